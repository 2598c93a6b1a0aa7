"""Operators on shapes, and those that pick numbers or make them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import minicnn.nn.functional as F
from minicnn import nn, ops
from minicnn._tensor import Tensor
from minicnn.onnx._file import held_type, stored_type
from minicnn.onnx._node import Compute, Node, check_size, ints, number, wrapped
from minicnn.ops.creation import zeros_like

# --- shapes ---------------------------------------------------------------------------------------------------------------------


def reshape(node: Node) -> Compute:
    """Reshape: 0 keeps a length, -1 is what is left. Of a file that fixes a batch of 1 the batch of the call is given too: where
    the tensor has as many rows, the 1 in front of the shape means them."""
    zero_is_zero, stated = node.attr("allowzero", 0), node.attr("shape")

    def compute(x: Tensor, wanted: Tensor | None = None, batch: int = 1) -> Tensor:
        sizes = ints(stated if wanted is None else wanted)
        if not zero_is_zero:
            sizes = [x.shape[i] if n == 0 and i < x.dim() else n for i, n in enumerate(sizes)]
        if sizes and sizes[0] == 1 and x.dim() and x.shape[0] == batch:
            sizes[0] = batch
        return x.reshape(sizes)

    return compute


def flatten(node: Node) -> Any:
    """Flatten: to a matrix, of the dimensions before the axis and those from it on."""
    axis = node.attr("axis", 1)
    if axis == 1 and (node.rank() or 0) > 1:
        return nn.Flatten(1)
    return lambda x: x.reshape(math.prod(x.shape[: axis if axis >= 0 else x.dim() + axis]), -1)


def transpose(node: Node) -> Compute:
    """Transpose: without perm the dimensions from behind."""
    perm = node.attr("perm")
    return lambda x: x.permute(perm if perm is not None else list(range(x.dim()))[::-1])


def squeeze(node: Node) -> Compute:
    """Squeeze: without the dimensions of length 1, all or those that are named."""
    stated = node.attr("axes")

    def compute(x: Tensor, axes: Tensor | None = None) -> Tensor:
        dims = stated if axes is None else ints(axes)
        if dims is None:
            return x.squeeze()
        dims = {d % x.dim() for d in dims}
        if any(x.shape[d] != 1 for d in dims):
            raise RuntimeError(f"the dimensions {sorted(dims)} of {tuple(x.shape)} are not of length 1")
        return x.reshape([n for d, n in enumerate(x.shape) if d not in dims])

    return compute


def unsqueeze(node: Node) -> Compute:
    """Unsqueeze: with new dimensions of length 1 at these places of the result."""
    stated = node.attr("axes")

    def compute(x: Tensor, axes: Tensor | None = None) -> Tensor:
        dims = stated if axes is None else ints(axes)
        rank = x.dim() + len(dims)
        for d in sorted(d % rank for d in dims):
            x = x.unsqueeze(d)
        return x

    return compute


def expand(x: Tensor, shape: Tensor) -> Tensor:
    """Expand: broadcast with a shape."""
    sizes = np.broadcast_shapes(x.shape, tuple(ints(shape)))
    check_size(sizes)
    return ops.broadcast_to(x, sizes)


def tile(x: Tensor, repeats: Tensor) -> Tensor:
    """Tile: repeated along each dimension."""
    times = ints(repeats)
    check_size([n * k for n, k in zip(x.shape, times, strict=True)])
    return x.repeat(times)


def concat(node: Node) -> Compute:
    """Concat: one behind the other along an axis."""
    axis = node.attr("axis", 1)
    return lambda *inputs: ops.cat(inputs, axis)


def split(node: Node) -> Compute:
    """Split: into parts of stated lengths, or into equal ones, of which the last may be shorter."""
    axis, stated, count = node.attr("axis", 0), node.attr("split"), node.attr("num_outputs", len(node.outputs))

    def compute(x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        if stated is None and lengths is None:
            each = -(-x.shape[axis] // count)
            edges = [min(i * each, x.shape[axis]) for i in range(count + 1)]
            return tuple(x.narrow(axis, a, b - a) for a, b in zip(edges, edges[1:], strict=False))
        return ops.split(x, stated if lengths is None else ints(lengths), axis)

    return compute


def slice_(node: Node) -> Compute:
    """Slice: from start to end in steps along some axes."""
    stated = [node.attr(name) for name in ("starts", "ends", "axes")]

    def compute(x: Tensor, *given: Tensor | None) -> Tensor:
        numbers = [None if t is None else ints(t) for t in given] if given else stated
        starts, ends, axes, steps = [*numbers, None, None][:4]
        axes = range(len(starts)) if axes is None else axes
        steps = [1] * len(starts) if steps is None else steps
        key = [slice(None)] * x.dim()
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            if step > 0:
                key[axis] = slice(start, end, step)
            else:
                n = x.shape[axis]  # a start before the first is the first, which Python's slices leave out
                places = range(*slice(max(start, -n), end, step).indices(n))
                x = x.index_select(axis, wrapped(list(places), np.int64))
        return x[tuple(key)]

    return compute


def pad(node: Node) -> Compute:
    """Pad: with a constant, the mirrored or the repeated edge, or what stands at the other end; negative widths cut off."""
    mode, stated, fill = node.attr("mode", "constant"), node.attr("pads"), node.attr("value", 0.0)
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise node.error(f"mode is {mode!r:.40}")

    def compute(
        x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
    ) -> Tensor:
        widths = stated if pads is None else ints(pads)
        dims = range(x.dim()) if axes is None else ints(axes)
        frame = [(0, 0)] * x.dim()
        for d, low, high in zip(dims, widths[: len(dims)], widths[len(dims) :], strict=True):
            frame[d] = low, high
        check_size([n + low + high for n, (low, high) in zip(x.shape, frame, strict=True)])
        if mode == "constant":
            flat = [width for both_ in reversed(frame) for width in both_]
            return F.pad(x, flat, value=fill if value is None else number(value))
        for d, (low, high) in enumerate(frame):
            if (low, high) != (0, 0):
                places = np.arange(x.shape[d])[max(-low, 0) : x.shape[d] + min(high, 0)]
                places = np.pad(places, (max(low, 0), max(high, 0)), mode=mode)
                x = x.index_select(d, wrapped(places, np.int64))
        return x

    return compute


def depth_to_space(node: Node) -> Compute:
    """DepthToSpace: channels become a block of pixels."""
    b, first = node.attr("blocksize"), node.attr("mode", "DCR") == "DCR"

    def compute(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, b, b, c // b**2, h, w) if first else x.reshape(n, c // b**2, b, b, h, w)
        return x.permute([0, 3, 4, 1, 5, 2] if first else [0, 1, 4, 2, 5, 3]).reshape(n, c // b**2, h * b, w * b)

    return compute


def space_to_depth(node: Node) -> Compute:
    """SpaceToDepth: a block of pixels becomes channels."""
    b, first = node.attr("blocksize"), node.attr("mode", "DCR") == "DCR"

    def compute(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // b, b, w // b, b)
        return x.permute([0, 3, 5, 1, 2, 4] if first else [0, 1, 3, 5, 2, 4]).reshape(n, c * b**2, h // b, w // b)

    return compute


def shape_of(node: Node) -> Compute:
    """Shape: all lengths, or those from start to end."""
    part = slice(node.attr("start", 0), node.attr("end"))
    return lambda x: wrapped(list(x.shape)[part], np.int64)


# --- picking --------------------------------------------------------------------------------------------------------------------


def gather(node: Node) -> Compute:
    """Gather: the places of an axis that a tensor of any shape names."""
    axis = node.attr("axis", 0)

    def compute(x: Tensor, places: Tensor) -> Tensor:
        if not places.dim():
            return x.select(axis, number(places))
        d = axis % x.dim()
        shape = [*x.shape[:d], *places.shape, *x.shape[d + 1 :]]
        check_size(shape)
        return x.index_select(d, _from_zero(places, x.shape[d]).reshape(-1)).reshape(shape)

    return compute


def _from_zero(places: Tensor, length: int) -> Tensor:
    """Places that may count from the end."""
    array = places.array.astype(np.int64)
    return wrapped(np.where(array < 0, array + length, array))


def gather_elements(node: Node) -> Compute:
    """GatherElements: PyTorch's gather."""
    axis = node.attr("axis", 0)
    return lambda x, places: x.gather(axis, _from_zero(places, x.shape[axis]))


def gather_nd(node: Node) -> Compute:
    """GatherND: the last dimension of the places is a place in the tensor, behind the dimensions of the batch."""
    batch = node.attr("batch_dims", 0)

    def compute(x: Tensor, places: Tensor) -> Tensor:
        array = places.array
        grid = np.indices(array.shape[:batch]).reshape(batch, *array.shape[:batch], *(1,) * (array.ndim - 1 - batch))
        key = [*grid, *np.moveaxis(array, -1, 0)]
        check_size([*array.shape[:-1], *x.shape[batch + array.shape[-1] :]])
        return x[tuple(wrapped(np.broadcast_to(part, array.shape[:-1]), np.int64) for part in key)]

    return compute


REDUCED: dict[str, Any] = {"mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _put(x: Tensor, key: Sequence[np.ndarray], updates: Tensor, how: str) -> Tensor:
    """A copy of x with these numbers at these places, alone or added, multiplied ... with what is there."""
    if how in ("none", "add"):
        out = x.clone()
        ops.index_put_(out, tuple(wrapped(part, np.int64) for part in key), updates, how == "add")
        return out
    array = x.array.copy()
    REDUCED[how].at(array, tuple(key), updates.array)
    return wrapped(array)


def _reduction(node: Node) -> str:
    how = node.attr("reduction", "none")
    if how not in ("none", "add", *REDUCED):
        raise node.error(f"reduction is {how!r:.40}")
    return how


def scatter_nd(node: Node) -> Compute:
    """ScatterND: a copy with other numbers at places."""
    how = _reduction(node)
    return lambda x, places, updates: _put(x, list(np.moveaxis(places.array, -1, 0)), updates, how)


def scatter_elements(node: Node) -> Compute:
    """ScatterElements, Scatter: PyTorch's scatter."""
    axis, how = node.attr("axis", 0), _reduction(node)

    def compute(x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
        key: list[Any] = list(np.indices(places.shape))
        key[axis] = places.array
        return _put(x, key, updates, how)

    return compute


def one_hot(node: Node) -> Compute:
    """OneHot: along a new axis one of two values, at the place that is named the second."""
    axis = node.attr("axis", -1)

    def compute(places: Tensor, depth: Tensor, values: Tensor) -> Tensor:
        count = number(depth)
        check_size([*places.shape, count])
        array = places.array.astype(np.int64)
        here = (np.where(array < 0, array + count, array)[..., None] == np.arange(count)).astype(np.int64)
        return wrapped(np.moveaxis(values.array[here], -1, axis))

    return compute


def eye_like(node: Node) -> Compute:
    """EyeLike: 1 on a diagonal, 0 elsewhere."""
    k, to = node.attr("k", 0), node.attr("dtype")
    kind = held_type(stored_type(to)) if to else None
    return lambda x: wrapped(np.eye(x.shape[0], x.shape[1], k).astype(kind or x.array.dtype))


def trilu(node: Node) -> Compute:
    """Trilu: the upper or lower triangle."""
    upper = node.attr("upper", 1)

    def compute(x: Tensor, diagonal: Tensor | None = None) -> Tensor:
        k = 0 if diagonal is None else number(diagonal)
        mask = np.tri(x.shape[-2], x.shape[-1], k - 1 if upper else k, np.bool_)
        return ops.where(wrapped(~mask if upper else mask), x, zeros_like(x))

    return compute


def constant(node: Node) -> Compute:
    """Constant: a tensor, a number or a list of them."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            value = node.attr(name)
            kind = np.float32 if "float" in name else np.int64
            return lambda: value if isinstance(value, Tensor) else wrapped(np.asarray(value, kind))
    raise node.error(f"{', '.join(node.attributes) or 'a value that is missing'}: numbers are read")


def constant_of_shape(node: Node) -> Compute:
    """ConstantOfShape: one number everywhere."""
    value = node.attr("value", wrapped(np.zeros(1, np.float32)))

    def compute(shape: Tensor) -> Tensor:
        sizes = ints(shape)
        check_size(sizes)
        return wrapped(np.full(sizes, value.array.reshape(-1)[0]))

    return compute


def range_(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Range: from start to before the limit in steps."""
    first, end, step = number(start), number(limit), number(delta)
    count = max(math.ceil((end - first) / step), 0) if step else -1
    check_size([count])
    return wrapped((first + np.arange(count) * step).astype(start.array.dtype))
