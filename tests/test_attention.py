"""`nn.MultiheadAttention` with all of its settings, and its errors, against PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from compare import assert_close, same_error
from quick import one_of_each

import minicnn

SETTINGS = [
    dict(zip(("bias", "add_bias_kv", "add_zero_attn", "batch_first"), flags, strict=True))
    for flags in itertools.product([True, False], repeat=4)
]
LENGTH, BATCH = 4, 3


def answer(lib: Any, settings: dict, state: dict, inputs: list, options: dict) -> tuple[list, list, str]:
    """(answers, weights and gradients; the names of the state; the module's text) of one call."""
    module = lib.nn.MultiheadAttention(8, 2, **settings, dtype=lib.float64)
    module.load_state_dict({name: lib.from_numpy(array.copy()) for name, array in state.items()})
    tensors = [lib.from_numpy(array.copy()).requires_grad_() for array in inputs]
    query, key, value = tensors * 3 if len(tensors) == 1 else tensors
    masks = {name: lib.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in options.items()}
    answers, weights = module(query, key, value, **masks)
    number = (answers * answers).sum() + (0 if weights is None else (weights * weights).sum())
    number.backward()
    grads = [tensor.grad for tensor in [*tensors, *module.parameters()]]
    return [answers, weights, *grads], list(module.state_dict()), repr(module)


def masks(rng: np.random.Generator, source: int) -> list[dict]:
    """What is left out, in the ways that there are."""
    behind = np.triu(np.ones((LENGTH, source), bool), 2)
    short = np.arange(source)[None] >= np.array([source, source - 1, source - 2])[:, None]
    return [
        {},
        {"attn_mask": behind},
        {"attn_mask": rng.standard_normal((LENGTH, source))},
        {"attn_mask": rng.standard_normal((2 * BATCH, LENGTH, source))},
        {"key_padding_mask": short},
        {"attn_mask": behind, "key_padding_mask": short},
        {"attn_mask": rng.standard_normal((LENGTH, source)), "key_padding_mask": rng.standard_normal((BATCH, source))},
    ]


@pytest.mark.parametrize(
    "kind, settings",
    one_of_each(
        itertools.product(["itself", "another", "other sizes"], SETTINGS),
        of=lambda kind, settings: kind if len({*settings.values()}) == 1 else "mixed",
        name=lambda kind, settings: f"{kind}-{settings}",
    ),
)
def test_every_setting(kind, settings):
    rng = np.random.default_rng(0)
    source, sizes = (LENGTH if kind == "itself" else 5), ((5, 6) if kind == "other sizes" else (8, 8))
    if kind == "other sizes":
        settings = {**settings, "kdim": 5, "vdim": 6}
    module = torch.nn.MultiheadAttention(8, 2, **settings)
    state = {name: rng.standard_normal(tuple(tensor.shape)) for name, tensor in module.state_dict().items()}
    shapes = [(LENGTH, BATCH, 8)] if kind == "itself" else [(LENGTH, BATCH, 8), *((source, BATCH, n) for n in sizes)]
    inputs = [rng.standard_normal(shape) for shape in shapes]
    inputs = [x.swapaxes(0, 1).copy() if settings["batch_first"] else x for x in inputs]
    ways = [(True, True), (True, False), (False, True)]
    for masked, (need, average) in itertools.product(masks(rng, source), ways):
        options = {**masked, "need_weights": need, "average_attn_weights": average}
        ours, theirs = (answer(lib, settings, state, inputs, options) for lib in (minicnn, torch))
        assert ours[1:] == theirs[1:]
        for k, (x, y) in enumerate(zip(ours[0], theirs[0], strict=True)):
            assert (x is None) == (y is None)
            if y is not None:
                assert_close(x.detach().numpy(), y.detach().numpy(), f"{k} of {sorted(masked)}, {need}, {average}")


@pytest.mark.parametrize("need", [True, False])
def test_one_sequence_without_a_batch(need):
    module = torch.nn.MultiheadAttention(8, 2, dtype=torch.float64)
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    inputs = [np.random.default_rng(1).standard_normal((5, 8))]
    options = {"need_weights": need, "attn_mask": np.triu(np.ones((5, 5), bool), 1), "is_causal": True}
    ours, theirs = (answer(lib, {}, state, inputs, options) for lib in (minicnn, torch))
    for k, (x, y) in enumerate(zip(ours[0], theirs[0], strict=True)):
        assert (x is None) == (y is None)
        if y is not None:
            assert_close(x.detach().numpy(), y.detach().numpy(), str(k))


def module_call(*shapes: tuple[int, ...], settings: dict | None = None, **given: Any) -> Any:
    def call(lib: Any) -> Any:
        made = {name: lib.ones(value) if isinstance(value, tuple) else value for name, value in given.items()}
        module = lib.nn.MultiheadAttention(8, 2, **(settings or {}))
        return module(*[lib.ones(shape) for shape in shapes], **made)

    return call


def attention(*shapes: tuple[int, ...], **options: Any) -> Any:
    return lambda lib: lib.nn.functional.scaled_dot_product_attention(*[lib.ones(s) for s in shapes], **options)


X = (4, 3, 8)
ERRORS = {
    "no heads": lambda lib: lib.nn.MultiheadAttention(8, 0),
    "heads that do not divide": lambda lib: lib.nn.MultiheadAttention(8, 3),
    "one dimension": module_call((8,), (8,), (8,)),
    "a key without a batch": module_call(X, (4, 8), X),
    "another size": module_call((4, 3, 7), X, X),
    "key and value differ": module_call(X, X, (5, 3, 8)),
    "lengths differ": module_call(X, (4, 3, 5), (5, 3, 6), settings={"kdim": 5, "vdim": 6}),
    "padding of another size": module_call(X, X, X, key_padding_mask=(3, 5)),
    "padding of another batch": module_call(X, X, X, key_padding_mask=(2, 4)),
    "padding of three dimensions": module_call(X, X, X, key_padding_mask=(3, 4, 1)),
    "mask of another size": module_call(X, X, X, attn_mask=(4, 5)),
    "mask of other heads": module_call(X, X, X, attn_mask=(3, 4, 4)),
    "mask of one dimension": module_call(X, X, X, attn_mask=(4,)),
    "a hint without a mask": module_call(X, X, X, is_causal=True),
    "mask of integers": lambda lib: lib.nn.MultiheadAttention(8, 2)(
        *[lib.ones(X)] * 3, attn_mask=lib.ones(4, 4, dtype=lib.int64)
    ),
    "sizes of query and key": attention((4, 6), (5, 7), (5, 7)),
    "a mask beside is_causal": lambda lib: lib.nn.functional.scaled_dot_product_attention(
        *[lib.ones(2, 3)] * 3, lib.ones(2, 2), is_causal=True
    ),
    "types": lambda lib: lib.nn.functional.scaled_dot_product_attention(
        lib.ones(2, 3), lib.ones(2, 3, dtype=lib.float64), lib.ones(2, 3)
    ),
    "a mask of integers": lambda lib: lib.nn.functional.scaled_dot_product_attention(
        *[lib.ones(2, 3)] * 3, lib.ones(2, 2, dtype=lib.int64)
    ),
    "vectors": attention((3,), (3,), (3,)),
    "grouped heads": attention((1, 4, 2, 3), (1, 3, 2, 3), (1, 3, 2, 3), enable_gqa=True),
    "a bias alone": lambda lib: lib.nn.functional.multi_head_attention_forward(
        *[lib.ones(X)] * 3, 8, 2, lib.ones(24, 8), None, lib.ones(1, 1, 8), None, False, 0.0, lib.ones(8, 8), None
    ),
    "static keys of another size": lambda lib: lib.nn.functional.multi_head_attention_forward(
        *[lib.ones(X)] * 3,
        8,
        2,
        lib.ones(24, 8),
        None,
        None,
        None,
        False,
        0.0,
        lib.ones(8, 8),
        None,
        static_k=lib.ones(6, 4, 3),
    ),
    "inverse of a vector": lambda lib: lib.inverse(lib.ones(3)),
    "inverse of a rectangle": lambda lib: lib.inverse(lib.ones(2, 3)),
    "baddbmm of matrices": lambda lib: lib.baddbmm(lib.ones(2), lib.ones(2, 3), lib.ones(2, 3)),
    "baddbmm of sizes": lambda lib: lib.baddbmm(lib.ones(2), lib.ones(1, 2, 3), lib.ones(1, 2, 3)),
    "baddbmm of a bias": lambda lib: lib.baddbmm(lib.ones(3), lib.ones(1, 2, 3), lib.ones(1, 3, 2)),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_errors(call):
    same_error(call)


def test_masks_of_two_kinds_warn():
    for lib in (torch, minicnn):
        x = lib.ones(X)
        with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
            lib.nn.functional.multi_head_attention_forward(
                x, x, x, 8, 2, lib.ones(24, 8), None, None, None, False, 0.0, lib.ones(8, 8), None,
                key_padding_mask=lib.zeros(3, 4, dtype=lib.bool), attn_mask=lib.zeros(4, 4),
            )  # fmt: skip


def test_dropout_is_for_training():
    module, x = minicnn.nn.MultiheadAttention(8, 2, dropout=0.9), minicnn.randn(X)
    assert not module(x, x, x)[0].equal(module(x, x, x)[0])
    module.eval()
    assert module(x, x, x)[0].equal(module(x, x, x)[0])
