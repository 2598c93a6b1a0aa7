"""Writing in place: every method, on everything that a tensor can be in a graph, and every way back through the graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from both import assert_same
from compare import same, same_error
from quick import one_of_each

import minicnn


def mask(lib: ModuleType, t: Any) -> Any:
    return (lib.arange(t.numel()) % 2).reshape(t.shape) > 0


def ramp(lib: ModuleType, t: Any, step: float = 0.5) -> Any:
    return lib.arange(t.numel()).reshape(t.shape) * step - 1


def indices(lib: ModuleType, t: Any) -> Any:
    return lib.zeros(t.shape[0], dtype=lib.int64)


def with_pack_hooks(write: Callable) -> Callable:
    """What is kept is kept as it is before the write, also by a hook that keeps it itself."""

    def scenario(lib: ModuleType, t: Any) -> None:
        with lib.autograd.graph.saved_tensors_hooks(lambda kept: kept, lambda kept: kept):
            write(t)

    return scenario


# A method: what is written, as a function of the library and the target; random numbers are multiplied with 0 at once.
METHODS: dict[str, Callable] = {
    **{
        name: lambda lib, t, name=name: getattr(t, name)()
        for name in (
            "abs_", "atan_", "ceil_", "cos_", "exp_", "fix_", "floor_", "neg_", "reciprocal_", "relu_", "round_", "sigmoid_",
            "sign_", "sin_", "square_", "tan_", "tanh_", "trunc_", "zero_", "t_", "squeeze_", "detach_", "requires_grad_",
            "sinh_", "cosh_", "asinh_", "erf_", "erfc_", "exp2_", "expm1_", "frac_", "logical_not_", "nan_to_num_", "tril_", "triu_",
        )
    },
    **{
        name: lambda lib, t, name=name: getattr(t.mul_(0.2), name)()  # defined between -1 and 1
        for name in ("acos_", "asin_", "atanh_", "erfinv_")
    },
    **{
        name: lambda lib, t, name=name: getattr(t.add_(3), name)()  # defined above 1
        for name in ("acosh_", "log10_", "log2_", "log1p_")
    },
    **{
        name: lambda lib, t, name=name: getattr(t, name)(ramp(lib, t) + 0.2)
        for name in ("atan2_", "hypot_", "fmod_", "remainder_", "floor_divide_", "eq_", "ne_", "ge_", "gt_", "le_", "lt_",
                     "logical_and_", "logical_or_", "logical_xor_", "bitwise_and_", "bitwise_or_", "bitwise_xor_")
    },
    "bitwise_not_": lambda lib, t: t.bitwise_not_(),
    "logit_": lambda lib, t: t.logit_(0.1),
    "renorm_": lambda lib, t: t.renorm_(2, 0, 0.5),
    "fill_diagonal_": lambda lib, t: t.fill_diagonal_(2.0),
    "index_add_": lambda lib, t: t.index_add_(0, indices(lib, t)[:1], lib.ones(1, *t.shape[1:]), alpha=2),
    "index_copy_": lambda lib, t: t.index_copy_(0, indices(lib, t)[:1], lib.ones(1, *t.shape[1:])),
    "index_fill_": lambda lib, t: t.index_fill_(0, indices(lib, t)[:1], 2.0),
    "scatter_add_": lambda lib, t: t.scatter_add_(0, indices(lib, t).reshape(-1, *[1] * (t.dim() - 1)), lib.ones(t.shape)),
    "addmm_": lambda lib, t: t.addmm_(lib.ones(t.shape[0], 2), ramp(lib, lib.ones(2, t.shape[1]))),
    "addmv_": lambda lib, t: t[0].addmv_(lib.ones(t.shape[1], 2), ramp(lib, lib.ones(2))),
    "baddbmm_": lambda lib, t: t[None].baddbmm_(lib.ones(1, t.shape[0], 2), ramp(lib, lib.ones(1, 2, t.shape[1]))),
    **{
        name: lambda lib, t, name=name: getattr(t, name)().mul_(0)
        for name in ("normal_", "uniform_", "bernoulli_", "random_")
    },
    "sqrt_": lambda lib, t: t.add_(3).sqrt_(),
    "rsqrt_": lambda lib, t: t.add_(3).rsqrt_(),
    "log_": lambda lib, t: t.add_(3).log_(),
    "add_": lambda lib, t: t.add_(ramp(lib, t), alpha=2),
    "sub_": lambda lib, t: t.sub_(2),
    "mul_": lambda lib, t: t.mul_(ramp(lib, t)),
    "div_": lambda lib, t: t.div_(ramp(lib, t) + 2),
    "pow_": lambda lib, t: t.pow_(3),
    "clamp_": lambda lib, t: t.clamp_(-0.4, 0.6),
    "clamp_min_": lambda lib, t: t.clamp_min_(0.1),
    "clamp_max_": lambda lib, t: t.clamp_max_(0.1),
    "masked_fill_": lambda lib, t: t.masked_fill_(mask(lib, t), 2.0),
    "addcmul_": lambda lib, t: t.addcmul_(ramp(lib, t), ramp(lib, t, 0.25), value=2),
    "addcdiv_": lambda lib, t: t.addcdiv_(ramp(lib, t), ramp(lib, t, 0.25) + 2, value=2),
    "lerp_": lambda lib, t: t.lerp_(ramp(lib, t), 0.25),
    "xlogy_": lambda lib, t: t.xlogy_(ramp(lib, t) + 2),
    "cumsum_": lambda lib, t: t.cumsum_(0),
    "copy_": lambda lib, t: t.copy_(ramp(lib, t)),
    "fill_": lambda lib, t: t.fill_(2.0),
    "index_put_": lambda lib, t: t.index_put_((indices(lib, t)[:1],), lib.ones(t.shape[1:])),
    "scatter_": lambda lib, t: t.scatter_(0, indices(lib, t).reshape(-1, *[1] * (t.dim() - 1)), 2.0),
    "unsqueeze_": lambda lib, t: t.unsqueeze_(1),
    "transpose_": lambda lib, t: t.transpose_(0, 1),
    "swapaxes_": lambda lib, t: t.swapaxes_(-1, 0),
    "swapdims_": lambda lib, t: t.swapdims_(0, -1),
}  # fmt: skip
# Siblings that have no name of their own: what is written wants a gradient, operators, assignments.
OTHERS: dict[str, Callable] = {
    "mul_ by itself": lambda lib, t: t.mul_(t),
    "add_ of what was made of it": lambda lib, t: t.add_(t * 2),
    "mul_ by a parameter": lambda lib, t: t.mul_(lib.ones(t.shape, requires_grad=True)),
    "copy_ of what was made of it": lambda lib, t: t.copy_(t.exp()),
    "pow_ by a tensor": lambda lib, t: t.abs_().add_(1).pow_(ramp(lib, t)),
    "set item": lambda lib, t: t.__setitem__(0, 3.0),
    "set item by a list": lambda lib, t: t.__setitem__([0, 1], 3.0),
    "set item by a mask": lambda lib, t: t.__setitem__(mask(lib, t), 3.0),
    "set item to what was made of it": lambda lib, t: t.__setitem__(0, t[1] * 2),
    "iadd": lambda lib, t: t.__iadd__(1),
    "relu(inplace)": lambda lib, t: lib.nn.functional.relu(t, inplace=True),
    "squeeze_(1)": lambda lib, t: t.squeeze_(1),
    "unsqueeze_ squeeze_ t_": lambda lib, t: t.unsqueeze_(0).squeeze_(0).t_(),
    "t_ exp_": lambda lib, t: t.t_().exp_(),
    "exp_ t_": lambda lib, t: t.exp_().t_(),
    "t_ mul_ t_": lambda lib, t: t.t_().mul_(ramp(lib, t.t())).t_(),
    "no_grad mul_": lambda lib, t: lib.no_grad()(lambda: t.mul_(2))(),
    "no_grad unsqueeze_": lambda lib, t: lib.no_grad()(lambda: t.unsqueeze_(0))(),
    "data mul_": lambda lib, t: t.data.mul_(2),
    "detach mul_": lambda lib, t: t.detach().mul_(2),
    "mul_ by its own memory": lambda lib, t: t.mul_(t.detach()),
    "div_ by its own memory": lambda lib, t: t.div_(t.detach()),
    "addcmul_ of itself": lambda lib, t: t.addcmul_(t, lib.ones(t.shape, requires_grad=True)),
    "addcdiv_ of itself": lambda lib, t: t.addcdiv_(t, lib.ones(t.shape, requires_grad=True)),
    "masked_fill_ by what was made of it": lambda lib, t: t.masked_fill_(mask(lib, t), t.sum()),
    "fill_ by what was made of it": lambda lib, t: t.fill_(t.sum()),
    "sin_ with pack hooks": with_pack_hooks(lambda t: t.sin_()),
    "mul_ with pack hooks": with_pack_hooks(lambda t: t.mul_(t)),
}

# What is written, and what is looked at afterwards, both made from the leaf.
TARGETS: dict[str, Callable] = {
    "leaf": lambda x: (x, x),
    "constant": lambda x: (x.detach().clone(), x),
    "view of a constant": lambda x: (x.detach().clone()[:], x),
    "result": lambda x: (base := x * 1, base),
    "view": lambda x: ((base := x * 1)[:], base),
    "part": lambda x: ((base := x * 1)[1:], base),
    "view of a view": lambda x: ((base := x * 1)[1:].transpose(0, -1), base),
    "base": lambda x: (base := x * 1, base[1:]),
    "base of a view of a view": lambda x: (base := x * 1, base.transpose(0, -1)[1:]),
    "view beside another": lambda x: ((base := x * 1)[1:], base[:2]),
    "expanded": lambda x: ((x * 1)[:1].expand(x.shape), x),
    "split": lambda x: ((base := x * 1).split(1)[0], base),
    "view of the leaf": lambda x: (x[:], x),
    "empty": lambda x: ((base := x * 1)[3:], base),
}


def backward(lib, log, total, tensors):
    total.backward()


def backward_inputs(lib, log, total, tensors):
    total.backward(inputs=[tensor for tensor in tensors if tensor.requires_grad])


def grad(lib, log, total, tensors):
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    log(lib.autograd.grad(total, wanted, allow_unused=True, retain_graph=True))
    log(lib.autograd.grad(total, wanted[-1:], allow_unused=True))


WAYS = {"backward": backward, "inputs": backward_inputs, "grad": grad}


def shortened(error: Exception) -> tuple[str, str]:
    """PyTorch names the node of the overload, and shows the shape that a kept tensor has got meanwhile."""
    text = re.sub(r"\[[\w.]+ \[[^]]*\]\](, which is output \d+ of [\w:]+,)?", "[a tensor]", str(error))
    return type(error).__name__, re.sub(r"\bt_\(\)", "t()", text).replace("minicnn", "torch")


def program(write: Callable, make: Callable, way: Callable, shape: tuple[int, ...]) -> Callable:
    def scenario(lib, log):
        x = (lib.arange(float(np.prod(shape))) * 0.3 - 0.8).reshape(shape).clone().requires_grad_()
        try:
            target, seen = make(x)
            target.sum()  # asks a view for its node before the write
            write(lib, target)
            log(target, seen, target._version, seen._version, target.is_leaf, seen.is_leaf, target.requires_grad)
            total = (target * ramp(lib, target)).sum() + (seen * ramp(lib, seen, 0.7)).sum()
            way(lib, log, total, [x, seen, target])
        except Exception as error:
            log(*shortened(error))
        log(x.grad)

    return scenario


NAMED_OTHERWISE = (
    ("set item by a list", "empty"),
    ("fill_diagonal_", "split"),
)  # the view in the error, by another operation


def is_comparable(name: str, target: str) -> bool:
    """Where several elements are one place in memory PyTorch warns of what is refused here, or writes one over the other; and it
    fills such a tensor, but cannot go back. What is refused for two reasons is refused for the other one."""
    filling = [
        "masked_fill_",
        "index_put_",
        "index_fill_",
        "set item by a list",
        "set item by a mask",
        "fill_",
        "zero_",
    ]
    filling += ["tril_", "triu_", "baddbmm_"]
    filling += ["bitwise_not_", "bitwise_and_", "bitwise_or_", "bitwise_xor_"]
    name = name.removesuffix(" by what was made of it")
    return not (target == "expanded" and name in filling) and (name, target) not in NAMED_OTHERWISE


def in_two_parts() -> Iterator[tuple[str, list[str]]]:
    """Each method with one target, which changes from method to method, and with all others."""
    for k, name in enumerate(METHODS | OTHERS):
        targets = [target for target in TARGETS if is_comparable(name, target)]
        one = targets.pop(k % len(targets))
        yield from ((name, [one]), (name, targets))


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize(
    "name, targets",
    one_of_each(in_two_parts(), lambda name, targets: name, lambda name, targets: f"{name}-{len(targets)}"),
)
def test_every_method_on_every_target(name, targets):
    shape = (3, 1, 3) if name in ("squeeze_", "squeeze_(1)") else (3, 3)
    for target in targets:
        for way in WAYS:
            try:
                assert_same(program((METHODS | OTHERS)[name], TARGETS[target], WAYS[way], shape))
            except AssertionError as error:
                raise AssertionError(f"{target}, {way}: {error}") from None


def test_filling_an_expanded_tensor():
    """All elements become one number, so it does not matter that several are one place in memory."""
    x = minicnn.ones(1, 3, requires_grad=True)
    y = (x * 1).expand(2, 3)
    y.fill_(4.0)
    (y.sum() + x.sum()).backward()
    assert y.eq(4).all()
    assert x.grad.tolist() == [[1, 1, 1]]
    for write in (lambda t: t.masked_fill_(t > 0, 2.0), lambda t: t.__setitem__([0], 1.0), lambda t: t.mul_(2)):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            write(y)


def test_the_table_has_every_method():
    methods = {name for name in dir(minicnn.Tensor) if name.endswith("_") and name[0] != "_"}
    assert methods == set(METHODS)


# --- what a write refuses -------------------------------------------------------------------------------------------------


def leaf(lib, *shape):
    count = int(np.prod(shape or (3,)))
    return (lib.arange(float(count)) - 1).reshape(shape or (3,)).clone().requires_grad_()


def attempt(function):
    try:
        return function()
    except Exception as error:
        return shortened(error)


def test_the_reported_case_of_a_transposed_view():
    def observed(lib):
        x = lib.arange(4.0).reshape(2, 2).clone().requires_grad_()
        v = (x * 1)[:]
        v.t_()
        (v * lib.tensor([[1.0, 2], [3, 4]])).sum().backward()
        return x.grad.tolist()

    assert same(observed) == [[1, 3], [2, 4]]


def test_views_made_by_a_function():
    """Also of an input without gradient, if what is written has one."""

    def observed(lib):
        class Same(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, grad):
                return grad

        class Flat(Same):
            @staticmethod
            def forward(ctx, x):
                return x.view(-1)

        class Halves(Same):
            @staticmethod
            def forward(ctx, x):
                return x[:1], x[1:]

        seen = []
        for function in (Same, Flat, Halves):
            for source in (lambda: lib.ones(3), lambda: leaf(lib) * 1):
                for factor in (lambda: 2, lambda: leaf(lib, 1)):
                    out = function.apply(source())
                    out = out[0] if isinstance(out, tuple) else out
                    seen.append(attempt(lambda out=out, factor=factor: out.mul_(factor()).tolist()))
        return seen

    same(observed)


@pytest.mark.parametrize("grad", ["no_grad", "inference_mode"])
def test_views_made_without_gradients(grad):
    def observed(lib):
        seen = []
        for base in (lib.ones(3), leaf(lib) * 1, leaf(lib)):
            with getattr(lib, grad)():
                views = [base[:2], base.split(1)[0]]
            for view in views:
                seen += [view.requires_grad, attempt(lambda v=view: v.mul_(2).tolist())]
                seen.append(attempt(lambda v=view: v.mul_(leaf(lib, 1)).tolist()))
                seen.append(attempt(lambda v=view: (v.mul_(2), v.tolist())[1]))
        return seen

    same(observed)


@pytest.mark.parametrize("make", [lambda x: x[:2], lambda x: x.split(1)[0]])
def test_a_view_that_must_not_be_used_can_be_printed(make):
    def observed(lib):
        base = leaf(lib) * 1
        with lib.no_grad():
            view = make(base)
        texts = [repr(view), repr(make(base))]
        base.mul_(2)
        return [*texts, repr(view), attempt(lambda: (view * 2).tolist())]

    same(observed)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
@pytest.mark.parametrize("key", [lambda t: t > 0, lambda t: t > 9, lambda t: True, lambda t: (True, True)])
def test_a_mask_without_dimensions_writes_to_a_view(mode, key):
    """...of one more dimension, as the error for a view made without gradients tells."""

    def observed(lib):
        base = lib.tensor([0.0, 1.0, 2.0], requires_grad=True)
        with getattr(lib, mode)():
            view = base[..., 1]
        result = (lib.tensor([0.0, 1.0, 2.0], requires_grad=True) * 1)[1]
        result[key(result)] = 0.75
        return [attempt(lambda: view.__setitem__(key(view), 0.75)), result.tolist(), type(result.grad_fn).__name__]

    same(observed)


@pytest.mark.parametrize("fits", [True, False])
def test_what_is_assigned_is_looked_at_before_the_target(fits):
    """A view that must not be used any more, into a view of a leaf that must not be written: of two errors the first, unless
    nothing has to be made of the value."""

    def observed(lib):
        target, base = leaf(lib), leaf(lib)
        with lib.no_grad():
            stale = base[:]
            base.mul_(2)
        return attempt(lambda: target[:3].__setitem__(slice(None) if fits else slice(1), stale))

    assert "a view of a leaf" in same(observed)[1] or not fits


def test_detach_in_place_of_what_a_graph_needs():
    def observed(lib):
        seen = []
        for use in (lambda y: y * y, lambda y: y * 3, lambda y: y.relu(), lambda y: y[:2] * y[1:], lambda y: y[0]):
            x = leaf(lib)
            y = x * 2
            z = use(y)
            y.detach_()
            seen += [
                y.requires_grad,
                y.is_leaf,
                attempt(lambda z=z: z.sum().backward()),
                None if x.grad is None else x.grad.tolist(),
            ]
        y.requires_grad_()
        (y * y).sum().backward()
        return seen, y.grad.tolist(), attempt(lambda: y[:2].detach_())

    same(observed)


def test_other_data():
    def observed(lib):
        seen = []
        for kind in (lib.int64, lib.bool, lib.uint8, lib.float64, lib.float32):
            for tensor in (leaf(lib), leaf(lib) * 1, lib.ones(3), lib.ones(3, dtype=lib.int64)):
                seen.append(attempt(lambda t=tensor, k=kind: setattr(t, "data", lib.ones(3, dtype=k))))
                seen.append(str(tensor.dtype))
        return seen

    same(observed)


def test_empty_tensors():
    def observed(lib):
        seen = []
        for shape in ((0,), (0, 3), (2, 0)):
            for write in (lambda t: t.mul_(2), lambda t: t.exp_(), lambda t: t.unsqueeze_(0), lambda t: t.zero_()):
                for part in (lambda t: t, lambda t: t[:, 1:] if t.dim() > 1 else t[:0], lambda t: t.unsqueeze(0)):
                    x = lib.zeros(shape, requires_grad=True)
                    base = x * 1
                    target = part(base)
                    write(target)
                    (target.sum() + base.sum()).backward()
                    seen.append((target.shape, x.grad.shape))
        x = leaf(lib)
        base = x * 1
        base[3:] = 1
        base[[]] = lib.zeros(0)
        base[1:1].mul_(2)
        base.expand(0, 3).mul_(2)
        (base * base).sum().backward()
        return seen, x.grad.tolist()

    same(observed)


def test_dirty_tensors_that_are_no_inputs_or_not_returned():
    def observed(lib):
        class Made(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x * 2
                ctx.mark_dirty(y)
                return y

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        class Kept(Made):
            @staticmethod
            def forward(ctx, x):
                ctx.mark_dirty(x.mul_(2))
                return x * 2

        x = leaf(lib)
        with pytest.warns(UserWarning, match="received a tensor that was not an input. Only input Tensors"):
            y = Made.apply(x)
        y.sum().backward()
        return y.tolist(), y._version, x.grad.tolist(), attempt(lambda: Kept.apply(x * 1))

    same(observed)


@pytest.mark.parametrize("write", [lambda t: t.mul_(2), lambda t: t.t_(), lambda t: t.mul_(t)])
def test_a_leaf_and_its_view_even_of_a_view(write):
    same_error(lambda lib: write(leaf(lib)))
    same_error(lambda lib: write(leaf(lib)[:]))
    same_error(lambda lib: write(lib.ones(4).reshape(2, 2).requires_grad_()))
    same_error(lambda lib: write(lib.ones(4).reshape(2, 2).requires_grad_()[:]))
