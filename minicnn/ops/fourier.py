"""Discrete Fourier transforms of the last two dimensions."""

from __future__ import annotations

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import short_name
from minicnn.autograd import both
from minicnn.autograd.function import Op, ViewOp
from minicnn.ops.copying import stack

__all__ = ["complex", "conj", "view_as_complex", "view_as_real"]


_BACK = {"ortho": "ortho", "backward": "forward", "forward": "backward"}  # the norm of the transform back


def _half_weights(spectrum: np.ndarray, width: int) -> np.ndarray:
    """How often a column of the half spectrum stands for a column of the whole one: twice, but once at its ends."""
    column = np.arange(spectrum.shape[-1])
    return np.where((column == 0) | (2 * column == width), 1, 2).astype(spectrum.real.dtype)


class FftC2R(Op):
    """Half a spectrum (..., H, W // 2 + 1) -> real image (..., H, W): irfft2.

    The gradient is the transform of the incoming one; a column that stands for two counts twice.
    """

    @staticmethod
    def forward(ctx, spectrum, height, width, norm):
        ctx.width, ctx.norm = width, norm
        out = np.fft.irfft2(spectrum.array, s=(height, width), norm=norm)
        return out.astype(np.float32 if spectrum.array.dtype == np.complex64 else np.float64, copy=False)

    @staticmethod
    def backward(ctx, grad):
        spectrum = FftR2C.of(grad, _BACK[ctx.norm])
        return spectrum * both.constant(_half_weights, spectrum, ctx.width)


class FftR2C(Op):
    """Real image (..., H, W) -> half its spectrum (..., H, W // 2 + 1): rfft2"""

    holomorphic = False

    @staticmethod
    def forward(ctx, image, norm):
        ctx.size, ctx.norm = image.array.shape[-2:], norm
        return FftR2C.value(image.array, norm)

    @staticmethod
    def value(image, norm):
        out = np.fft.rfft2(image, norm=norm)
        return out.astype(np.complex64 if image.dtype == np.float32 else np.complex128, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return FftC2R.of(grad / both.constant(_half_weights, grad, ctx.size[1]), *ctx.size, _BACK[ctx.norm])


class ViewAsComplex(ViewOp):
    """(..., 2) real and imaginary parts -> (...) complex"""

    holomorphic = False

    @staticmethod
    def forward(ctx, parts):
        return parts.array.view(np.result_type(parts.array.dtype, np.complex64))[..., 0]

    @staticmethod
    def backward(ctx, grad):
        return ViewAsReal.of(grad)


class ViewAsReal(ViewOp):
    """(...) complex -> (..., 2) real and imaginary parts"""

    value = staticmethod(lambda z: z[..., None].view(z.real.dtype))

    @staticmethod
    def forward(ctx, z):
        return ViewAsReal.value(z.array)

    @staticmethod
    def backward(ctx, grad):
        return ViewAsComplex.of(grad)


class Conj(Op):
    """a - i b of a + i b"""

    holomorphic = False

    @staticmethod
    def forward(ctx, z):
        return z.array.conj()

    @staticmethod
    def backward(ctx, grad):
        return Conj.of(grad)


def rfft2(input: Tensor, norm: str | None = None) -> Tensor:
    """Half the spectrum of real images: (..., H, W) -> complex (..., H, W // 2 + 1)."""
    if 0 in input.array.shape[-2:]:
        raise RuntimeError(f"Invalid number of data points (0) specified: the image is {list(input.shape)}")
    return FftR2C.apply(input, norm or "backward")


def irfft2(input: Tensor, s: tuple[int, int] | None = None, norm: str | None = None) -> Tensor:
    """Real images from half their spectrum: complex (..., H, W // 2 + 1) -> (..., H, W), s = (H, W)."""
    height, width = s or (input.array.shape[-2], 2 * (input.array.shape[-1] - 1))
    return FftC2R.apply(input, height, width, norm or "backward")


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag, both of one shape and type -> complex of this shape. RuntimeError if the shapes differ."""
    return view_as_complex(stack([real, imag], -1))


def view_as_complex(input: Tensor) -> Tensor:
    """(..., 2) real and imaginary parts -> (...) complex; a view. RuntimeError for another last dimension, for types without a
    complex one, and where pairs do not lie side by side, each at an even place."""
    array = input.array
    if array.dtype.kind != "f" or array.dtype == np.float16:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            f"{short_name(input.dtype)}"
        )
    if array.shape[-1:] != (2,):
        wrong = "Tensor must have a last dimension of size 2", "Input tensor must have one or more dimensions"
        raise RuntimeError(wrong[array.ndim == 0])
    if array.size and not (array.flags.c_contiguous and array.flags.owndata):  # of others the pairs lie as they should
        _check_pairs(input)
    return ViewAsComplex.apply(input)


def _check_pairs(input: Tensor) -> None:
    """RuntimeError unless the last dimension's pairs lie side by side, each at an even place."""
    *outer, last = (step // input.array.itemsize for step in input.array.strides)
    if last != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(step % 2 for step in outer):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if input.storage_offset() % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")


def conj(input: Tensor) -> Tensor:
    """The complex conjugate of each element, of input's shape; real numbers as they are."""
    return Conj.apply(input) if input.array.dtype.kind == "c" else input


def view_as_real(input: Tensor) -> Tensor:
    """(...) complex -> (..., 2) real and imaginary parts; a view. RuntimeError unless it is complex."""
    if not input.is_complex():
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return ViewAsReal.apply(input)
