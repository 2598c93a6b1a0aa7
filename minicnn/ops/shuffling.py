"""Channels that become pixels, pixels that become channels, channels in another order: every number is kept."""

from __future__ import annotations

import numpy as np

from minicnn._tensor import Tensor, need_tensor
from minicnn.autograd.function import Op


class PixelShuffle(Op):
    """Blocks of r x r channels become blocks of r x r pixels."""

    @staticmethod
    def value(x, r):
        *batch, C, H, W = x.shape
        apart = x.reshape(*batch, C // (r * r), r, r, H, W)  # C r r H W -> C H r W r
        n = len(batch)
        order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
        return np.ascontiguousarray(apart.transpose(order)).reshape(*batch, C // (r * r), H * r, W * r)

    @classmethod
    def forward(cls, ctx, x, r):
        ctx.options = (r,)
        return cls.value(x.array, r)

    @staticmethod
    def backward(ctx, grad):
        return PixelUnshuffle.of(grad, *ctx.options)


class PixelUnshuffle(PixelShuffle):
    """Blocks of r x r pixels become blocks of r x r channels."""

    @staticmethod
    def value(x, r):
        *batch, C, H, W = x.shape
        apart = x.reshape(*batch, C, H // r, r, W // r, r)  # C H r W r -> C r r H W
        n = len(batch)
        order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
        return np.ascontiguousarray(apart.transpose(order)).reshape(*batch, C * r * r, H // r, W // r)

    @staticmethod
    def backward(ctx, grad):
        return PixelShuffle.of(grad, *ctx.options)


class ChannelShuffle(Op):
    """The first channel of each group, then the second of each ..."""

    @staticmethod
    def value(x, groups):
        N, C, *rest = x.shape
        return np.ascontiguousarray(x.reshape(N, groups, C // groups, *rest).swapaxes(1, 2)).reshape(x.shape)

    @classmethod
    def forward(cls, ctx, x, groups):
        ctx.options = (groups,)
        return cls.value(x.array, groups)

    @staticmethod
    def backward(ctx, grad):
        (groups,) = ctx.options
        return ChannelShuffle.of(grad, grad.shape[1] // groups)


def _check(input: Tensor, name: str, factor_name: str, factor: int) -> None:
    need_tensor(input, name)
    if input.dim() < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.dim()} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {factor_name}, but got {factor}")


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., C r r, H, W) -> (..., C, H r, W r), with r = upscale_factor: how networks enlarge images.

    Raises:
        RuntimeError: r * r does not divide the channels.
    """
    _check(input, "pixel_shuffle", "upscale_factor", upscale_factor)
    if input.shape[-3] % upscale_factor**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={input.shape[-3]} is not divisible by {upscale_factor**2}"
        )
    return PixelShuffle.apply(input, upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., C, H r, W r) -> (..., C r r, H, W), with r = downscale_factor: the way back of `pixel_shuffle`.

    Raises:
        RuntimeError: r does not divide height or width.
    """
    _check(input, "pixel_unshuffle", "downscale_factor", downscale_factor)
    for axis, side in ((-2, "height"), (-1, "width")):
        if input.shape[axis] % downscale_factor:
            raise RuntimeError(
                f"pixel_unshuffle expects {side} to be divisible by downscale_factor, but input.size({axis})="
                f"{input.shape[axis]} is not divisible by {downscale_factor}"
            )
    return PixelUnshuffle.apply(input, downscale_factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, ...): the channels, taken in turn from each of the groups of neighbours.

    Raises:
        RuntimeError: the groups do not divide the channels.
    """
    need_tensor(input, "channel_shuffle")
    if input.dim() < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if input.shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {input.shape[1]} channels and {groups} groups."
        )
    return ChannelShuffle.apply(input, groups)
