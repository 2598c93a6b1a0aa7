"""Resizing, padding and sampling of images, and one-hot codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.nn._functional.arguments import need_tensor
from minicnn.nn._functional.pooling import adaptive_avg_pool2d

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
    """Resize images (N, C, H, W).

    Args:
        size: the new height and width; or give `scale_factor`.
        mode: 'nearest', 'bilinear' or 'area' (the mean of the pixels that fall together).
        align_corners: bilinear only. True: the centres of the corner pixels stay where they are. False (the default):
            the outer edges do.
        recompute_scale_factor: compute the factor anew from the rounded size instead of using the one given.

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
    if output_size is None:
        output_size = [math.floor(length * scale) for length, scale in zip(input.shape[2:], scales, strict=True)]
    if recompute_scale_factor or scales is None or mode == "area":
        scales = (None,) * len(output_size)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    return _resize(input, tuple(output_size), tuple(scales), mode, bool(align_corners), antialias)


def _target(input: Tensor, size: Any, scale_factor: Any) -> tuple[list[int] | None, list[float] | None]:
    """(output size, None) or (None, scale factors), one for each spatial dimension."""
    spatial = list(input.shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is None:
        if not isinstance(scale_factor, (tuple, list)):
            return None, [float(scale_factor)] * len(spatial)
        if len(scale_factor) != len(spatial):
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {spatial} and scale_factor of shape {scale_factor}. Please provide input tensor in "
                "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        return None, [float(scale) for scale in scale_factor]
    if not isinstance(size, (tuple, list)):
        size = [size] * len(spatial)
    if len(size) != len(spatial):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {spatial} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "output size in (o1, o2, ...,oK) format."
        )
    if not all(isinstance(length, (int, np.integer)) for length in size):
        raise TypeError(
            "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size "
            f"with types {[type(length) for length in size]}"
        )
    return [int(length) for length in size], None


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
    if dims != 4 or mode not in ("nearest", "bilinear", "area") or antialias:
        raise NotImplementedError(
            "minicnn resizes 4D inputs by the modes nearest | bilinear | area without antialias, "
            f"but got a {dims}D input and mode {mode}{' with antialias' if antialias else ''}"
        )
    if mode == "area":
        return adaptive_avg_pool2d(input, size)
    if min(size) <= 0 or min(input.shape[2:]) <= 0:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"(H: {input.shape[2]}, W: {input.shape[3]}) output (H: {size[0]}, W: {size[1]})"
        )
    if input.shape[1] == 0:
        raise RuntimeError(f"Non-empty 4D data tensor expected but got a tensor with sizes {list(input.shape)}")
    if mode == "nearest":
        return ops.upsample_nearest2d(input, size, scales)
    return ops.upsample_bilinear2d(input, size, align_corners, scales)


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


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add a border, or with negative numbers cut one off.

    Args:
        pad: (left, right, top, bottom, ...): pairs for the dimensions, the last dimension first.
        mode: 'constant', 'reflect' (the edge is not repeated), 'replicate' or 'circular'.
        value: the constant, 0 if not given.
    """
    need_tensor(input, "pad")
    pad = tuple(pad)
    if len(pad) % 2 != 0:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input.dim():
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.dim()}"
        )
    if mode == "constant":
        return ops.pad(input, pad, mode, 0.0 if value is None else value)
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
    return ops.pad(input, pad, mode, 0.0)


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
    sizes = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if grid.shape[0] != input.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {sizes}")
    if grid.shape[-1] != input.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.dim() - 2} in last dimension, "
            f"but got grid with sizes {list(grid.shape)}"
        )
    if input.dim() != 4 or grid.dim() != 4:
        raise RuntimeError(f"grid_sampler(): expected 4D input and grid with same number of dimensions, {sizes}")
    for dim in (2, 3):
        if input.shape[dim] == 0:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(input.shape)} "
                f"with dimension {dim} being empty"
            )
    return ops.grid_sample(input, grid, mode, padding_mode, align_corners)


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


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 class numbers of shape (...) as int64 codes of shape (..., num_classes): a one at the class, else zeros.

    `num_classes` is the largest number plus one if it is -1.
    """
    need_tensor(tensor, "one_hot", "tensor")
    classes = tensor.array
    if classes.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if classes.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    else:
        if classes.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            num_classes = int(classes.max()) + 1
        elif classes.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    return Tensor.wrap((classes[..., None] == np.arange(num_classes)).astype(np.int64))
