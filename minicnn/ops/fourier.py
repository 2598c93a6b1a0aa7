"""Discrete Fourier transforms of the last two dimensions."""

from __future__ import annotations

import numpy as np

from minicnn._tensor import Tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.ops.copying import stack

__all__ = ["complex", "conj", "view_as_complex", "view_as_real"]


_BACK = {"ortho": "ortho", "backward": "forward", "forward": "backward"}  # the norm of the transform back


def _half_weights(spectrum: np.ndarray, width: int) -> np.ndarray:
    """How often a column of the half spectrum stands for a column of the whole one: twice, but once at its ends."""
    weights = np.full(spectrum.shape[-1], 2, spectrum.real.dtype)
    weights[0] = 1
    if width % 2 == 0:
        weights[-1] = 1
    return weights


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
        out = np.fft.rfft2(image.array, norm=norm)
        return out.astype(np.complex64 if image.array.dtype == np.float32 else np.complex128, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return FftC2R.of(grad / both.constant(_half_weights, grad, ctx.size[1]), *ctx.size, _BACK[ctx.norm])


class ViewAsComplex(Op):
    """(..., 2) real and imaginary parts -> (...) complex"""

    holomorphic = False

    @staticmethod
    def forward(ctx, parts):
        return parts.array[..., 0] + parts.array.dtype.type(1) * 1j * parts.array[..., 1]

    @staticmethod
    def backward(ctx, grad):
        return ViewAsReal.of(grad)


class ViewAsReal(Op):
    """(...) complex -> (..., 2) real and imaginary parts"""

    @staticmethod
    def forward(ctx, z):
        return np.stack([z.array.real, z.array.imag], axis=-1)

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
    """(..., 2) real and imaginary parts -> (...) complex. RuntimeError for another last dimension."""
    if input.array.shape[-1:] != (2,):
        raise RuntimeError("Tensor must have a last dimension of size 2")
    return ViewAsComplex.apply(input)


def conj(input: Tensor) -> Tensor:
    """The complex conjugate of each element, of input's shape; real numbers as they are."""
    return Conj.apply(input) if input.array.dtype.kind == "c" else input


def view_as_real(input: Tensor) -> Tensor:
    """(...) complex -> (..., 2) real and imaginary parts."""
    return ViewAsReal.apply(input)
