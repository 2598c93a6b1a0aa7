"""A frame around a tensor: of a constant, or of the tensor's own values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn._tensor import Tensor, need_tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.ops._common import fitting, number


class ConstantPadNd(Op):
    """A frame of a constant around the tensor; negative widths cut off."""

    @staticmethod
    def forward(ctx, a, widths, value):
        ctx.back = tuple((-lo, -hi) for lo, hi in widths)
        lengths = [lo + n + hi for (lo, hi), n in zip(widths, a.array.shape, strict=True)]
        cropped = [n + min(lo, 0) + min(hi, 0) for (lo, hi), n in zip(widths, a.array.shape, strict=True)]
        if min(lengths + cropped) < 0:
            raise RuntimeError(
                f"The input size {list(a.array.shape)}, plus negative padding {[list(w) for w in widths]}, resulted in a "
                "negative output size"
            )
        # Where the input lies in the output, and which part of the input that is.
        ctx.there = tuple(slice(max(lo, 0), m - max(hi, 0)) for (lo, hi), m in zip(widths, lengths, strict=True))
        ctx.here = tuple(slice(max(-lo, 0), n - max(-hi, 0)) for (lo, hi), n in zip(widths, a.array.shape, strict=True))
        out = np.full(lengths, fitting(float(value), a.array.dtype))
        out[ctx.there] = a.array[ctx.here]
        return _memory.follow(out, a.array)

    @staticmethod
    def backward(ctx, grad):
        return ConstantPadNd.of(grad, ctx.back, 0)


class _BorderPadBackward(Op):
    """The gradients of a padded tensor, added up at the places that its elements came from."""

    slots, saves = 2, (1,)
    pad: type[_BorderPad]

    @classmethod
    def value(cls, grad, _, shape, widths):
        out = grad
        for axis, (n, width) in enumerate(zip(shape, widths, strict=True)):
            if width != (0, 0):
                folded = np.zeros((n, *np.delete(out.shape, axis)), out.dtype)
                np.add.at(folded, cls.pad.sources(n, width), np.moveaxis(out, axis, 0))
                out = np.moveaxis(folded, 0, axis)
        return out

    @classmethod
    def backward(cls, ctx, grad):
        (x,), (_, widths) = ctx.saved, ctx.options
        return cls.pad.of(grad, widths), None if x is None else both.zeros_like(x)


class _BorderPad(Op):
    """A frame made of the tensor's own values; they get the gradients of their copies. Negative widths cut off."""

    mode: str
    transpose: type[Op]

    def __init_subclass__(cls, second_name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.transpose = type(f"{cls.__name__}Backward", (_BorderPadBackward,), {"pad": cls}, node_name=second_name)

    @classmethod
    def sources(cls, n: int, width: tuple[int, int]) -> np.ndarray:
        """Which element of an axis of length n each element of the padded axis is copied from."""
        places = np.arange(-width[0], n + width[1])
        if cls.mode == "circular":  # of what is left after cutting off
            first, kept = max(-width[0], 0), n + min(width[0], 0) + min(width[1], 0)
            return first + (places - first) % max(kept, 1)
        if cls.mode == "replicate":
            return np.clip(places, 0, n - 1)
        return n - 1 - np.abs(n - 1 - np.abs(places))

    @classmethod
    def forward(cls, ctx, a, widths):
        ctx.shape, ctx.widths = a.array.shape, widths
        ctx.save_for_backward(None if cls.mode == "circular" else a)  # as in PyTorch: a write to it is noticed
        out = a.array
        for axis, (n, width) in enumerate(zip(ctx.shape, widths, strict=True)):
            if width != (0, 0):
                out = out.take(cls.sources(n, width), axis)
        out = out if out is not a.array else out.copy()
        return out if cls.mode == "circular" else _memory.follow(out, a.array)

    @classmethod
    def backward(cls, ctx, grad):
        return cls.transpose.of(grad, *ctx.saved, ctx.shape, ctx.widths)


class ReflectionPad1D(_BorderPad):
    """The mirror image, without the edge itself."""

    saved_names = ("self",)
    mode = "reflect"


class ReflectionPad2D(ReflectionPad1D):
    """The same on all four sides."""

    saved_names = ("self",)


class ReplicationPad1D(_BorderPad):
    """The edge again and again."""

    saved_names = ("self",)
    mode = "replicate"


class ReplicationPad2D(ReplicationPad1D):
    """The same on all four sides."""

    saved_names = ("self",)


class CircularPad(_BorderPad, second_name="SliceBackwardBackward0"):
    """What stands at the other end. PyTorch puts it together of slices."""

    mode = "circular"


_BORDERS = {
    ("reflect", 1): ReflectionPad1D,
    ("reflect", 2): ReflectionPad2D,
    ("replicate", 1): ReplicationPad1D,
    ("replicate", 2): ReplicationPad2D,
    ("circular", 1): CircularPad,
    ("circular", 2): CircularPad,
}


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add a border, or with negative numbers cut one off.

    Args:
        pad: (left, right, top, bottom, ...): pairs for the dimensions, the last dimension first.
        mode: 'constant', 'reflect' (the edge is not repeated), 'replicate' or 'circular'.
        value: the constant, 0 if not given.
    """
    need_tensor(input, "pad")
    value = None if value is None else number(value, "pad", "value", 4, "float")
    pad = tuple(pad)
    if len(pad) % 2 != 0:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.dim()}"
        )
    widths = [(0, 0)] * input.dim()
    for i in range(len(pad) // 2):
        widths[-1 - i] = (operator.index(pad[2 * i]), operator.index(pad[2 * i + 1]))
    if mode == "constant":
        return ConstantPadNd.apply(input, tuple(widths), 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    spatial = len(pad) // 2
    if input.dim() not in (spatial + 1, spatial + 2) or spatial not in (1, 2, 3):
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {input.dim()}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if (mode, spatial) not in _BORDERS:
        raise NotImplementedError(f"padding mode '{mode}' pads the last one or two dimensions, got {list(pad)}")
    for axis in range(input.dim() - spatial, input.dim()):
        _check_border(mode, input.array.shape, axis, widths[axis])
    return _BORDERS[mode, spatial].apply(input, tuple(widths))


def _check_border(mode: str, shape: tuple[int, ...], axis: int, width: tuple[int, int]) -> None:
    """RuntimeError unless a frame of this width can be made of the axis."""
    n, (lo, hi) = shape[axis], width
    if 0 in shape[max(len(shape) - 3, 0) :] and mode != "circular":
        raise RuntimeError(f"only the batch may be empty, but got an input of {list(shape)}")
    if mode == "reflect" and max(lo, hi) >= n:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({lo}, {hi}) at dimension {axis} of input {list(shape)}"
        )
    if mode == "circular" and max(lo, hi) > n:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    if n + lo + hi < (mode != "circular") or n + min(lo, 0) + min(hi, 0) < 0 or n == 0:
        raise RuntimeError(f"the padding ({lo}, {hi}) leaves nothing of dimension {axis} of input {list(shape)}")
