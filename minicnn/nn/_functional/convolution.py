"""Linear maps: convolution, its transpose, the fully connected layer, and the windows of an image as columns."""

from __future__ import annotations

import math
from typing import Any

from minicnn import kernels, ops
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.nn._functional.arguments import conv_pair, list_text, need_tensor, pair

Pair = Any  # an int, or two of them for height and width


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias.

    Args:
        input: (..., I).
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (..., O).
    """
    need_tensor(input, "linear")
    if min(input.dim(), weight.dim()) == 0:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {input.dim()}D and {weight.dim()}D"
        )
    if weight.dim() == 2 and input.shape[-1] != weight.shape[1]:
        mat1 = f"{math.prod(input.shape[:-1])}x{input.shape[-1]}"
        mat2 = f"{weight.shape[1]}x{weight.shape[0]}"
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({mat1} and {mat2})")
    if bias is not None and input.array.dtype != weight.array.dtype:
        first, second = (tensor.dtype.tensor_type.removesuffix("Tensor") for tensor in (input, weight))
        raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {first} and {second}")
    return ops.linear(input, weight, bias)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of an image with each filter.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, KH, KW).
        bias: (O,) or None.
        padding: rows and columns of zeros on each side; or 'valid' for none; or 'same' for as many as keep the size.
        dilation: the distance between neighbouring points of a filter.
        groups: the channels are cut into this many groups, and the filters with them.

    Returns:
        (N, O, OH, OW) or (O, OH, OW).

    Raises:
        RuntimeError: the numbers or shapes do not fit; the message says which.
    """
    need_tensor(input, "conv2d")
    need_tensor(weight, "conv2d", "weight", 2)
    stride, dilation = conv_pair(stride, "stride"), conv_pair(dilation, "dilation")
    _check_dims(input, weight, "conv2d", stride)
    unbatched = input.dim() == 3
    if unbatched:
        input = input.unsqueeze(0)
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    else:
        padding = conv_pair(padding, "padding")
    _check_numbers(stride, padding, dilation, groups)
    output = ops.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return output.squeeze(0) if unbatched else output


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """The transpose of a convolution: what `conv2d` does to a gradient on the way back.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, KH, KW).
        bias: (O,) or None.
        output_padding: rows and columns that are added at the far edge of the result.

    Returns:
        (N, O, OH, OW), where OH = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1.

    Raises:
        RuntimeError: the numbers or shapes do not fit; the message says which.
    """
    need_tensor(input, "conv_transpose2d")
    stride, dilation = conv_pair(stride, "stride"), conv_pair(dilation, "dilation")
    padding, output_padding = conv_pair(padding, "padding"), conv_pair(output_padding, "output_padding")
    _check_dims(input, weight, "conv_transpose2d", stride)
    unbatched = input.dim() == 3
    if unbatched:
        input = input.unsqueeze(0)
    _check_numbers(stride, padding, dilation, groups)
    channels = weight.array.shape[1] * groups
    if bias is not None and bias.array.shape != (channels,):
        raise RuntimeError(
            f"Given transposed=1, weight of size {list_text(weight.shape)}, expected bias to be 1-dimensional with "
            f"{channels} elements, but got bias of size {list_text(bias.shape)} instead"
        )
    if any(extra >= step and extra >= gap for extra, step, gap in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding_height: {output_padding[0]} output_padding_width: {output_padding[1]} "
            f"stride_height: {stride[0]} stride_width: {stride[1]} "
            f"dilation_height: {dilation[0]} dilation_width: {dilation[1]}"
        )
    output = ops.conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return output.squeeze(0) if unbatched else output


def _check_dims(input: Tensor, weight: Tensor, function: str, stride: tuple[int, int]) -> None:
    if weight.dim() != 4:
        raise RuntimeError(
            f"expected stride to be a single integer value or a list of {weight.dim() - 2} values to match the "
            f"convolution dimensions, but got stride={list(stride)}"
        )
    if input.dim() not in (3, 4):
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to {function}, but got input of size: "
            f"{list_text(input.shape)}"
        )


def _named_padding(
    input: Tensor, weight: Tensor, padding: str, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """Padding 'valid' or 'same' in numbers. What 'same' needs on the far side only is added to the input."""
    if padding == "valid":
        return input, (0, 0)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if stride != (1, 1):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [gap * (size - 1) for gap, size in zip(dilation, weight.shape[2:], strict=True)]
    if total[0] % 2 or total[1] % 2:
        warn_user(
            "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the "
            "input be created"
        )
        input = ops.pad(input, (0, total[1] % 2, 0, total[0] % 2), "constant", 0)
    return input, (total[0] // 2, total[1] // 2)


def _check_numbers(stride: tuple, padding: tuple, dilation: tuple, groups: int) -> None:
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(dilation) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")


def unfold(input: Tensor, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Tensor:
    """The windows of an image as columns: (N, C, H, W) -> (N, C KH KW, OH OW), also without N.

    Raises:
        RuntimeError: no window fits.
    """
    need_tensor(input, "unfold")
    kernel, dilation, padding, stride = _window_numbers(kernel_size, dilation, padding, stride)
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
            f"got: {list(input.shape)}"
        )
    _count_windows(input.shape[-2:], kernel, dilation, padding, stride, "Given input with")
    if input.dim() == 3:
        return ops.im2col(input.unsqueeze(0), kernel, dilation, padding, stride).squeeze(0)
    return ops.im2col(input, kernel, dilation, padding, stride)


def fold(
    input: Tensor, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
) -> Tensor:
    """Columns added up at the places of their windows: (N, C KH KW, OH OW) -> (N, C, *output_size), also without N.

    Raises:
        RuntimeError: the columns are too long or too many for the kernel and the size.
    """
    need_tensor(input, "fold")
    kernel, dilation, padding, stride = _window_numbers(kernel_size, dilation, padding, stride)
    size = _two("output_size", output_size)
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
            f"but got: {list(input.shape)}"
        )
    rows, columns = input.shape[-2:]
    if rows % (kernel[0] * kernel[1]) != 0:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={kernel}."
        )
    high, wide = _count_windows(size, kernel, dilation, padding, stride, "Given output with")
    if columns != high * wide:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}, "
            "expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{high} * {wide} = {high * wide}, but got input.size(2)={columns}."
        )
    if input.dim() == 2:
        return ops.col2im(input.unsqueeze(0), size, kernel, dilation, padding, stride).squeeze(0)
    return ops.col2im(input, size, kernel, dilation, padding, stride)


def _two(name: str, value: Any) -> tuple:
    numbers = pair(value)
    if len(numbers) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(numbers)}")
    return numbers


def _window_numbers(kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple]:
    """The four as pairs. RuntimeError for a length that is not 2, a negative padding, or another number below 1."""
    result = []
    for name, value in (("kernel_size", kernel), ("dilation", dilation), ("padding", padding), ("stride", stride)):
        numbers = _two(name, value)
        if min(numbers) < (name != "padding"):
            rule = "non-negative" if name == "padding" else "greater than zero"
            raise RuntimeError(f"{name} should be {rule}, but got {numbers}")
        result.append(numbers)
    return result


def _count_windows(size: Any, kernel: tuple, dilation: tuple, padding: tuple, stride: tuple, where: str) -> tuple:
    """(OH, OW). RuntimeError if one of them is not positive."""
    numbers = zip(size, kernel, stride, padding, dilation, strict=True)
    counts = tuple(kernels.output_size(*each) for each in numbers)
    if min(counts) < 1:
        raise RuntimeError(
            f"{where} spatial size ({size[0]}, {size[1]}), kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, calculated shape of the array of sliding blocks as ({counts[0]}, {counts[1]}), but "
            "its components must be at least one."
        )
    return counts
