"""Attention (Vaswani et al. 2017): each query gets a mean of the values, weighted by how well it fits their keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn._tensor import Tensor, need_tensor
from minicnn._types import dtype
from minicnn._warnings import warn_user
from minicnn.ops import activation, linear
from minicnn.ops.copying import cat
from minicnn.ops.creation import IN_C
from minicnn.ops.dropout import dropout
from minicnn.ops.indexing import repeat_interleave
from minicnn.ops.padding import pad


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T scale + attn_mask) value, of L queries and S pairs of key and value.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, V).
        attn_mask: what broadcasts to (..., L, S): booleans, true where a query may look, or numbers that are added.
        dropout_p: the probability with which a weight becomes 0; also out of training.
        is_causal: a query looks at no key behind its own place.
        scale: 1 / sqrt(E) if it is not given.
        enable_gqa: the third dimension from the end is one of heads, and each of those of key and value serves several queries.

    Returns:
        (..., L, V). Zeros for a query that may look nowhere.

    Raises:
        RuntimeError: types or sizes that do not fit, or a mask beside `is_causal`.
    """
    name = "scaled_dot_product_attention"
    for position, (argument, tensor) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        need_tensor(tensor, name, argument, position)
    _check_types(query, key, value, attn_mask)
    if is_causal and attn_mask is not None:
        raise RuntimeError(f"_{name}: Explicit attn_mask should not be set when is_causal=True")
    if enable_gqa:
        key, value = _for_each_head(query, key), _for_each_head(query, value)
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else math.inf
    scores = linear.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        attn_mask = Tensor.wrap(np.tri(*scores.shape[-2:], dtype=bool))
    if attn_mask is None:
        weights = activation.softmax(scores, -1)
    else:
        weights = _masked_softmax(scores, attn_mask)
    return linear.matmul(dropout(weights, dropout_p), value)


def _check_types(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    types = [IN_C[t.dtype.name] for t in (query, key, value)]
    if len(set(types)) > 1:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {types[0]} key.dtype: {types[1]} "
            f"and value.dtype: {types[2]} instead."
        )
    if min(t.array.ndim for t in (query, key, value)) < 2:
        dims = [t.array.ndim for t in (query, key, value)]
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{dims[0]} key.dim: {dims[1]} and value.dim: {dims[2]} instead."
        )
    if mask is not None and mask.array.dtype not in (np.bool_, np.float32, query.array.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{IN_C[mask.dtype.name]} and  query.dtype: {types[0]} instead."
        )


def _for_each_head(query: Tensor, x: Tensor) -> Tensor:
    """A head of keys or values for each head of queries: repeated."""
    heads, own = query.shape[-3], x.shape[-3]
    if not own or heads % own:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in "
        )  # so it ends in PyTorch
    return repeat_interleave(x, heads // own, -3)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """The weights with a mask of booleans or of numbers; zeros where all of a row is left out."""
    if mask.array.dtype.kind == "b":
        scores = scores.masked_fill(mask.logical_not(), -math.inf)
    else:
        scores = scores + mask
    nowhere = Tensor.wrap((scores.array == -np.inf).all(-1, keepdims=True))
    if not nowhere.array.any():
        return activation.softmax(scores, -1)
    return activation.softmax(scores.masked_fill(nowhere, 0), -1).masked_fill(nowhere, 0)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `nn.MultiheadAttention` computes: query, key and value projected, cut into heads, attention in each, and projected back.

    Args:
        query: (L, N, E), or (L, E) of one sequence.
        key, value: (S, N, their sizes), or without N.
        embed_dim_to_check, num_heads: E, and into how many heads it is cut.
        in_proj_weight, in_proj_bias: (3E, E) and (3E,), those of query, key and value in a row.
        bias_k, bias_v: (1, 1, E): one more key and value, learned.
        add_zero_attn: one more key and value of zeros.
        dropout_p, training: the probability with which a weight becomes 0, in training.
        out_proj_weight, out_proj_bias: (E, E) and (E,).
        key_padding_mask: (N, S): true where a key is left out, or numbers that are added.
        need_weights: whether the weights are returned too.
        attn_mask: (L, S) or (N num_heads, L, S): true where a query must not look, or numbers that are added.
        use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight: (E, E), (E, size of a key) and (E, size of a value).
        static_k, static_v: (N num_heads, S, E / num_heads): already projected keys and values.
        average_attn_weights: whether the weights are the mean over the heads.
        is_causal: a hint that `attn_mask` is the causal one.

    Returns:
        (L, N, E), and (N, L, S) or (N, num_heads, L, S), or None; without N of one sequence.

    Raises:
        AssertionError, RuntimeError: sizes that do not fit, with PyTorch's words.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    (length, batch, size), source = query.shape, key.shape[0]
    attn_mask, key_padding_mask, is_causal = _masks(attn_mask, key_padding_mask, query, is_causal, need_weights)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    attn_mask = _mask_of_heads(attn_mask, length, source, batch * num_heads)
    if bias_k is not None or bias_v is not None:
        more = _one_more(bias_k, bias_v, static_k, static_v, batch)
        k, v = cat([k, more[0]]), cat([v, more[1]])
        attn_mask, key_padding_mask = _with_one_more(attn_mask), _with_one_more(key_padding_mask)
    heads, head = batch * num_heads, size // num_heads
    q = q.reshape(length, heads, head).transpose(0, 1)
    k, v = _in_heads(k, static_k, "static_k", heads, head), _in_heads(v, static_v, "static_v", heads, head)
    if add_zero_attn:
        zero = k.new_zeros(heads, 1, head)
        k, v = cat([k, zero], 1), cat([v, zero], 1)
        attn_mask, key_padding_mask = _with_one_more(attn_mask), _with_one_more(key_padding_mask)
    attn_mask = _merged(attn_mask, key_padding_mask, batch, num_heads, k.shape[1])
    attend = _attention_with_weights if need_weights else _attention_alone
    out, chosen = attend(q, k, v, attn_mask, dropout_p if training else 0.0, is_causal, num_heads)
    out = linear.linear(out.transpose(0, 1).reshape(length * batch, size), out_proj_weight, out_proj_bias)
    out = out.reshape(length, batch, out.shape[1])
    if chosen is not None and average_attn_weights:
        chosen = chosen.mean(1)
    return (out, chosen) if batched else (out.squeeze(1), chosen if chosen is None else chosen.squeeze(0))


def _attention_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool, num_heads: int
) -> tuple[Tensor, Tensor | None]:
    """(the answers, (N num_heads, L, head); the weights, (N, num_heads, L, S))."""
    scores = linear.bmm(q * math.sqrt(1 / q.shape[2]), k.transpose(-2, -1))
    weights = dropout(activation.softmax(scores if mask is None else mask + scores, -1), dropout_p)
    return linear.bmm(weights, v), weights.reshape(-1, num_heads, q.shape[1], k.shape[1])


def _attention_alone(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool, num_heads: int
) -> tuple[Tensor, None]:
    """(the answers, (N num_heads, L, head); None)."""
    q, k, v = (t.reshape(-1, num_heads, *t.shape[1:]) for t in (q, k, v))
    if mask is not None:
        mask = mask.reshape(-1, 1 if mask.shape[0] == 1 else num_heads, *mask.shape[1:])
    return scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal).flatten(0, 1), None


def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch. AssertionError for numbers of dimensions that do not fit."""
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor")
    which = f"For {'batched' if dims == 3 else 'unbatched'} ({dims}-D) `query`, expected"
    if key.dim() != dims or value.dim() != dims:
        raise AssertionError(
            f"{which} `key` and `value` to be {dims}-D but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if padding is not None and padding.dim() != dims - 1:
        raise AssertionError(
            f"{which} `key_padding_mask` to be `None` or {dims - 1}-D but found {padding.dim()}-D tensor instead"
        )
    if mask is not None and mask.dim() not in (2, 3):
        raise AssertionError(f"{which} `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead")
    if dims == 2 and mask is not None and mask.dim() == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if mask.shape != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {mask.shape}")
    return dims == 3


def _none_or_dtype(input: Tensor | None) -> dtype | None:
    """Its element type."""
    return None if input is None else input.dtype


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: dtype | None,
    other_name: str,
    target_type: dtype,
    check_other: bool = True,
) -> Tensor | None:
    """A mask of booleans as numbers that are added: minus infinity where it is true. AssertionError for one of integers."""
    if mask is None:
        return None
    boolean = mask.array.dtype.kind == "b"
    if not boolean and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warn_user(f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both instead.")
    return Tensor.wrap(np.where(mask.array, -np.inf, 0.0).astype(target_type.numpy)) if boolean else mask


def _masks(
    mask: Tensor | None, padding: Tensor | None, query: Tensor, is_causal: bool, need_weights: bool
) -> tuple[Tensor | None, Tensor | None, bool]:
    """Both masks as numbers, and whether the hint stands for the first of them. RuntimeError for a hint without a mask."""
    padding = _canonical_mask(padding, "key_padding_mask", _none_or_dtype(mask), "attn_mask", query.dtype)
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        return None, None, True
    return _canonical_mask(mask, "attn_mask", None, "", query.dtype, False), padding, False


def _check_sizes(query: Tensor, key: Tensor, value: Tensor, expected: int, num_heads: int, separate: bool) -> None:
    size = query.shape[2]
    if size != expected:
        raise AssertionError(f"was expecting embedding dimension of {expected}, but got {size}")
    if size % num_heads:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _projected(query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Tensor | None) -> list[Tensor]:
    """Query, key and value times their weights: three matrices, or one of their rows."""
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    if not isinstance(weights, Tensor):
        if weights is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        for letter, weight in zip("qkv", weights, strict=True):
            if weight is None:
                raise AssertionError(f"use_separate_proj_weight is True but {letter}_proj_weight is None")
        size = query.shape[-1]
        for what, x, weight in zip(("query", "key", "value"), (query, key, value), weights, strict=True):
            if weight.shape != (size, x.shape[-1]):
                raise AssertionError(f"expecting {what} weights shape of {(size, x.shape[-1])}, but got {weight.shape}")
    elif query is key is value:  # one product for the three
        return list(linear.linear(query, weights, bias).chunk(3, -1))
    else:
        weights = weights.chunk(3)
    return [linear.linear(*args) for args in zip((query, key, value), weights, biases, strict=True)]


def _mask_of_heads(mask: Tensor | None, length: int, source: int, heads: int) -> Tensor | None:
    """With three dimensions. RuntimeError for a mask of another shape."""
    if mask is None:
        return None
    wanted = (length, source) if mask.dim() == 2 else (heads, length, source)
    if mask.shape != wanted:
        raise RuntimeError(f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}.")
    return mask.unsqueeze(0) if mask.dim() == 2 else mask


def _one_more(
    bias_k: Tensor | None, bias_v: Tensor | None, static_k: Tensor | None, static_v: Tensor | None, batch: int
) -> tuple[Tensor, Tensor]:
    """The learned key and value, for each of a batch. AssertionError for one of them alone, or beside static ones."""
    if bias_k is None or bias_v is None:
        there, missing = "vk" if bias_k is None else "kv"
        raise AssertionError(f"bias_{there} is set but bias_{missing} is None")
    for static, what in ((static_k, "key"), (static_v, "value")):
        if static is not None:
            raise AssertionError(f"bias cannot be added to static {what}.")
    return bias_k.repeat(1, batch, 1), bias_v.repeat(1, batch, 1)


def _with_one_more(mask: Tensor | None) -> Tensor | None:
    """That of one more key, at which everyone may look."""
    return None if mask is None else pad(mask, (0, 1))


def _in_heads(x: Tensor, static: Tensor | None, name: str, heads: int, size: int) -> Tensor:
    """(S, N, E) as (heads, S, size); what was given instead is checked."""
    if static is None:
        return x.reshape(x.shape[0], heads, size).transpose(0, 1)
    for dim, wanted in ((0, heads), (2, size)):
        if static.shape[dim] != wanted:
            raise AssertionError(f"expecting {name}.size({dim}) of {wanted}, but got {static.shape[dim]}")
    return static


def _merged(mask: Tensor | None, padding: Tensor | None, batch: int, num_heads: int, source: int) -> Tensor | None:
    """Both masks as one of (N num_heads, 1 or L, S), or (1, L, S) without padding."""
    if padding is None:
        return mask
    for dim, wanted in enumerate((batch, source)):
        if padding.shape[dim] != wanted:
            raise AssertionError(f"Expected key_padded_mask.shape[{dim}] to be {wanted}, but got {padding.shape[dim]}")
    padding = padding.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(batch * num_heads, 1, source)
    return padding if mask is None else mask + padding
