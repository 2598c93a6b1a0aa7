"""Resizing and sampling of images (N, C, H, W). The arithmetic is in `minicnn.kernels`; here is what depends on what."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import _memory, kernels
from minicnn._tensor import Tensor, need_tensor
from minicnn._warnings import warn_user
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.kernels.shapes import grid_fractions, grid_taps
from minicnn.ops import pooling
from minicnn.ops._common import number
from minicnn.ops.resizing import OPERATIONS, resized


class UpsampleNearest2D(Op):
    """Each output pixel copies the nearest input pixel."""

    value = staticmethod(lambda x, *options: _memory.follow(kernels.get("upsample_nearest2d", x.dtype)(x, *options), x))

    @staticmethod
    def forward(ctx, x, *options):
        ctx.shape, ctx.options = x.array.shape, options
        return UpsampleNearest2D.value(x.array, *options)

    @staticmethod
    def backward(ctx, grad):
        return UpsampleNearest2DBackward.of(grad, ctx.shape, *ctx.options)


class UpsampleNearest2DBackward(Op):
    """Each input pixel gets what its copies got."""

    saves = ()
    value = staticmethod(lambda grad, *options: kernels.get("upsample_nearest2d_grad", grad.dtype)(grad, *options))

    @staticmethod
    def backward(ctx, grad):
        return UpsampleNearest2D.of(grad, *ctx.options[1:])


class UpsampleBilinear2D(Op):
    """Each output pixel mixes the four input pixels around it."""

    value = staticmethod(
        lambda x, *options: _memory.follow(kernels.get("upsample_bilinear2d", x.dtype)(x, *options), x)
    )

    @staticmethod
    def forward(ctx, x, *options):
        ctx.shape, ctx.options = x.array.shape, options
        return UpsampleBilinear2D.value(x.array, *options)

    @staticmethod
    def backward(ctx, grad):
        return UpsampleBilinear2DBackward.of(grad, ctx.shape, *ctx.options)


class UpsampleBilinear2DBackward(Op):
    """Each input pixel gets its part of what was mixed of it."""

    saves = ()
    value = staticmethod(lambda grad, *options: kernels.get("upsample_bilinear2d_grad", grad.dtype)(grad, *options))

    @staticmethod
    def backward(ctx, grad):
        return UpsampleBilinear2D.of(grad, *ctx.options[1:])


class GridSampler2D(Op):
    """Pixels read at the places that a grid names; a place between pixels mixes its neighbours."""

    saved_names = ("input", "grid")
    slots = 2

    @staticmethod
    def forward(ctx, x, grid, *options):
        ctx.save_for_backward(x, grid)
        ctx.options = options
        return kernels.get("grid_sample", x.array.dtype)(x.array, grid.array, *options)

    @staticmethod
    def backward(ctx, grad):
        return GridSampler2DBackward.of(grad, *ctx.saved, *ctx.options, ctx.needs_input_grad[1])


class GridSampler2DBackward(Op):
    """The gradients of input and grid."""

    slots = 3
    value = staticmethod(lambda grad, *args: kernels.get("grid_sample_grad", grad.dtype)(grad, *args))

    @classmethod
    def forward(cls, ctx, *args):
        ctx.set_materialize_grads(False)
        return super().forward(ctx, *args)

    @staticmethod
    def backward(ctx, of_x, of_grid):
        """The result is a sum over taps of weight times pixel, so all of it is made of the weights' slopes by the place."""
        grad, x, grid = ctx.saved
        to_grad = to_image = to_column = to_row = 0.0
        across, down = (0.0, 0.0) if of_grid is None else (both.unsqueeze(of_grid[..., k], (1,)) for k in (0, 1))
        for places, wx, dx, wy, dy in _taps(x, grid, *ctx.options[:3]):
            along = dx * wy * across + wx * dy * down  # how the weight changes along of_grid
            pixel = pooling.AtPlaces.of(x, places)
            to_grad = to_grad + along * pixel
            to_image = to_image + pooling.MaxPool2DWithIndicesBackward.of(
                grad * along + both.zeros_like(grad), x, places
            )
            bend = both.sum(grad * pixel, (1,), True) * dx * dy
            to_column, to_row = to_column + bend * down, to_row + bend * across
            if of_x is not None:
                other = pooling.AtPlaces.of(of_x, places)
                to_grad = to_grad + wx * wy * other
                product = both.sum(grad * other, (1,), True)
                to_column, to_row = to_column + product * dx * wy, to_row + product * wx * dy
        return to_grad, to_image, both.stack([to_column[:, 0], to_row[:, 0]], -1)


def _taps(x: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool) -> Iterator[tuple]:
    """For each tap its places in the planes of x, and the factors of its weight: by column, its slope, by row, its slope."""
    sides: list[list[tuple]] = [[(1.0, 0.0)], [(1.0, 0.0)]]  # of a place, along x and along y: the nearest pixel alone
    if mode == "bilinear":
        for k in (0, 1):
            fraction, slope = both.constant(lambda g: grid_fractions(x.shape, g, padding_mode, align_corners)[k], grid)  # noqa: B023
            along = grid[..., k]
            moved = fraction + slope * (
                along - both.constant(np.copy, along)
            )  # the same number, which moves with the grid
            moved, slope = both.unsqueeze(moved, (1,)), both.unsqueeze(slope, (1,))
            sides[k] = [(1 - moved, -slope), (moved, slope)]
    taps = both.constant(lambda g: _tap_places(x.shape, g, mode, padding_mode, align_corners), grid)
    for places, ((wy, dy), (wx, dx)) in zip(taps, itertools.product(sides[1], sides[0]), strict=True):
        yield places, wx, dx, wy, dy


def _tap_places(shape: Sequence[int], grid: np.ndarray, *options: Any) -> tuple[np.ndarray, ...]:
    """Where each tap reads, row W + column, for each channel (N, C, OH, OW); -1 outside of the image."""
    rows, columns, _, inside = grid_taps(tuple(shape), grid, *options)
    places = np.where(inside, rows * shape[3] + columns, -1)[:, :, None]
    return tuple(np.repeat(places, shape[1], axis=2))


# --- the functions ----------------------------------------------------------------------------------------------------


_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"
_NEEDED_DIMS = {"linear": 3, "bilinear": 4, "trilinear": 5}


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images (N, C, H, W) or series (N, C, W).

    Args:
        size: the new height and width; or give `scale_factor`.
        mode: 'nearest' or 'nearest-exact' (the pixel whose centre is nearest), 'area' (the mean of the pixels that fall together),
            'bilinear' or 'bicubic' of images, 'linear' of series.
        align_corners: of linear and cubic modes only. True: the centres of the corner pixels stay where they are. False (the default):
            the outer edges do.
        recompute_scale_factor: compute the factor anew from the rounded size instead of using the one given.
        antialias: bilinear and bicubic only. A smaller image mixes all pixels that fall together, and not only the nearest ones.

    Raises:
        ValueError: both or neither of `size` and `scale_factor`, or an option that the mode does not have.
        NotImplementedError: a mode or number of dimensions that minicnn does not have.
    """
    need_tensor(input, "interpolate")
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: "
                "linear | bilinear | bicubic | trilinear"
            )
    elif align_corners is None:
        align_corners = False
    output_size, scales = _target(input, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if recompute_scale_factor or mode == "area":
        scales = None
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    return _resize(input, output_size, scales or (None,) * len(output_size), mode, bool(align_corners), antialias)


def _target(input: Tensor, size: Any, scale_factor: Any) -> tuple[tuple[int, ...], tuple | None]:
    """(output size, scale factors or None), one for each spatial dimension."""
    spatial = list(input.shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is None:
        if not isinstance(scale_factor, (tuple, list)):
            scale_factor = [scale_factor] * len(spatial)
        if len(scale_factor) != len(spatial):
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {spatial} and scale_factor of shape {scale_factor}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        scales = tuple(number(scale, "interpolate", "scale_factor", kind="float") for scale in scale_factor)
        return tuple(math.floor(n * scale) for n, scale in zip(spatial, scales, strict=True)), scales
    if not isinstance(size, (tuple, list)):
        size = [size] * len(spatial)
    if len(size) != len(spatial):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {spatial} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "output size in (o1, o2, ...,oK) format."
        )
    if not all(isinstance(length, (int, np.integer, Tensor)) for length in size):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size "
            f"with types {[type(length) for length in size]}"
        )
    return tuple(map(operator.index, size)), None


def _resize(
    input: Tensor, size: tuple[int, ...], scales: tuple, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    dims = input.dim()
    if dims not in (3, 4, 5):
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {dims}D) for the modes: {_MODES} (got "
            f"{mode})"
        )
    if mode in _NEEDED_DIMS and dims != _NEEDED_DIMS[mode]:
        raise NotImplementedError(f"Got {dims}D input, but {mode} mode needs {_NEEDED_DIMS[mode]}D input")
    by_weights = (mode, dims, antialias) in OPERATIONS
    if not by_weights and ((mode, dims) == ("area", 5) or dims == 5 or mode == "lanczos"):
        raise NotImplementedError(
            "minicnn resizes 3D inputs by the modes nearest | linear | area | nearest-exact, and 4D inputs by nearest | bilinear | "
            f"bicubic | area | nearest-exact, but got a {dims}D input and mode {mode}"
        )
    if mode == "area":
        return (pooling.adaptive_avg_pool1d if dims == 3 else pooling.adaptive_avg_pool2d)(input, size)
    if min(size) <= 0 or min(input.shape[2:]) <= 0:
        letters = "W" if dims == 3 else "HW"
        before, after = (
            ", ".join(f"{c}: {n}" for c, n in zip(letters, t, strict=True)) for t in (input.shape[2:], size)
        )
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({before}) "
            f"{'and ' if dims == 3 else ''}output ({after})"
        )
    if input.shape[1] == 0:
        raise RuntimeError(f"Non-empty 4D data tensor expected but got a tensor with sizes {list(input.shape)}")
    if by_weights:
        return resized(input, size, scales, mode, align_corners, antialias)
    if mode == "nearest":
        return UpsampleNearest2D.apply(input, size, scales)
    return UpsampleBilinear2D.apply(input, size, align_corners, scales)


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of `interpolate`."""
    warn_user("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.")
    return interpolate(input, size, scale_factor, mode, align_corners)


_ALIGN_CORNERS_CHANGED = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Read images at given places.

    Args:
        input: (N, C, H, W).
        grid: (N, OH, OW, 2), the place (x, y) of each result, from -1 (left, top) to 1 (right, bottom).
        mode: 'bilinear' or 'nearest'.
        padding_mode: what is outside: 'zeros', 'border' (the nearest pixel) or 'reflection'.
        align_corners: True: -1 and 1 are the centres of the outer pixels. False (the default): their outer edges.

    Returns:
        (N, C, OH, OW).
    """
    need_tensor(input, "grid_sample")
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    if align_corners is None:
        warn_user(_ALIGN_CORNERS_CHANGED)
        align_corners = False
    if grid.shape[0] != input.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {_but_got(input, grid)}")
    if grid.shape[-1] != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, "
            f"but got grid with sizes {list(grid.shape)}"
        )
    if input.dim() != 4 or grid.dim() != 4:
        raise RuntimeError(
            f"grid_sampler(): expected 4D input and grid with same number of dimensions, {_but_got(input, grid)}"
        )
    if 0 in input.shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)} "
            f"with dimension {list(input.shape).index(0, 2)} being empty"
        )
    return GridSampler2D.apply(input, grid, mode, padding_mode, align_corners)


def _but_got(input: Tensor, grid: Tensor) -> str:
    return f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that shows images through affine maps.

    Args:
        theta: (N, 2, 3): the map from places in the result to places in the input.
        size: (N, C, OH, OW) of the result.
        align_corners: as in `grid_sample`.

    Returns:
        (N, OH, OW, 2).
    """
    need_tensor(theta, "affine_grid", "theta")
    size = tuple(operator.index(n) if isinstance(n, Tensor) else n for n in size)
    if align_corners is None:
        warn_user(_ALIGN_CORNERS_CHANGED)
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) != 4:
        raise NotImplementedError(
            f"minicnn's affine_grid supports 4D sizes, for 2D affine transforms. Got size {size}."
        )
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (2, 3):
        raise ValueError(f"Expected a batch of 2D affine matrices of shape Nx2x3 for size {size}. Got {theta.shape}.")
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    height, width = size[-2:]
    kind = theta.array.dtype
    y, x = np.meshgrid(
        _centres(height, align_corners).astype(kind), _centres(width, align_corners).astype(kind), indexing="ij"
    )
    places = Tensor.wrap(np.stack([x, y, np.ones_like(x)], axis=-1).reshape(1, height * width, 3))
    grid = places.expand(theta.shape[0], -1, -1).bmm(theta.transpose(1, 2))
    return grid.view(theta.shape[0], height, width, 2)


def _centres(count: int, align_corners: bool) -> np.ndarray:
    """The places of `count` pixels between -1 and 1."""
    if count <= 1:
        return np.zeros(count)
    centres = np.linspace(-1, 1, count)
    return centres if align_corners else centres * (count - 1) / count
