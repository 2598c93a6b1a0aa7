"""Losses: how far a prediction is from its target.

`reduction` is 'mean', 'sum', or 'none' for one number per element. `size_average` and `reduce` are its old forms.
"""

from __future__ import annotations

import numpy as np

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.nn._functional.arguments import list_text, need_tensor
from minicnn.ops._common import broadcast_shapes


def reduction_name(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, or what the two old arguments mean, if one of them is given."""
    if size_average is None and reduce is None:
        return reduction
    name = "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
    warn_user(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.")
    return name


# Classes --------------------------------------------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class.

    Args:
        input: scores (N, C), (N, C, d1, ...) or (C,).
        target: class numbers (N), (N, d1, ...) or (), or probabilities of the input's shape.
        weight: (C,), a factor for each class; the mean is the weighted one.
        ignore_index: targets with this number do not count.
        label_smoothing: the part of the target that is spread evenly over all classes.
    """
    need_tensor(input, "cross_entropy")
    reduction = reduction_name(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    if target.shape == input.shape:
        if not target.is_floating_point():
            raise RuntimeError(
                "Expected floating point type for target with class probabilities, got "
                f"{target.dtype.tensor_type.removesuffix('Tensor')}"
            )
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        _check_weight(weight, input.shape[0 if input.dim() == 1 else 1])
    else:
        _check_classes(input, target, weight)
    return ops.cross_entropy(input, target, weight, reduction, ignore_index, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input at the target class: the cross entropy of log-probabilities. Arguments as in `cross_entropy`."""
    need_tensor(input, "nll_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    _check_classes(input, target, weight)
    return ops.nll_loss(input, target, weight, reduction, ignore_index)


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raises unless `target` holds class numbers for `input`."""
    kind = target.array.dtype
    if kind not in (np.int64, np.uint8):
        name = target.dtype.tensor_type.removesuffix("Tensor")
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {name}")
    shape, classes = input.array.shape, target.array.shape
    if len(shape) == 1:
        _check_weight(weight, shape[0])
        return
    if shape[:1] != classes[:1]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({classes[0] if classes else 1})."
        )
    if len(shape) == 2 and len(classes) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if shape[2:] != classes[1:]:
        raise RuntimeError(f"size mismatch (got input: {list_text(shape)} , target: {list_text(classes)}")
    _check_weight(weight, shape[1])


def _check_weight(weight: Tensor | None, classes: int) -> None:
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list_text(weight.shape)}"
        )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(target log sigmoid(x) + (1 - target) log(1 - sigmoid(x))), computed so that it does not overflow.

    Args:
        input: scores of any shape.
        target: probabilities of the same shape.
        weight: a factor for each element.
        pos_weight: a factor for the first term.
    """
    need_tensor(input, "binary_cross_entropy_with_logits")
    reduction = reduction_name(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    return ops.bce_with_logits(input, target, weight, reduction, pos_weight)


# Distances ------------------------------------------------------------------------------------------------------------


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2. With `weight`, of the input's shape, the mean is the weighted one."""
    input, target = _alike(input, target, "mse_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    if weight is not None:
        return _weighted((input - target) ** 2, input, weight, reduction)
    return ops.mse_loss(input, target, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|. With `weight`, of the input's shape, the mean is the weighted one."""
    input, target = _alike(input, target, "l1_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    if weight is not None:
        return _weighted((input - target).abs(), input, weight, reduction)
    return ops.l1_loss(input, target, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere."""
    input, target = _alike(input, target, "smooth_l1_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return ops.smooth_l1_loss(input, target, reduction, beta)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """d^2 / 2 where d = |input - target| is below delta, delta (d - delta / 2) elsewhere."""
    input, target = _alike(input, target, "huber_loss")
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    return ops.huber_loss(input, target, reduction, delta)


def _alike(input: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Both in their common shape. A warning if it was not the same from the start."""
    need_tensor(input, name)
    need_tensor(target, name, "target", 2)
    if target.shape == input.shape:
        return input, target
    warn_user(
        f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely "
        "lead to incorrect results due to broadcasting. Please ensure they have the same size."
    )
    shape = broadcast_shapes(input.array.shape, target.array.shape)
    return input.expand(shape), target.expand(shape)


def _weighted(losses: Tensor, input: Tensor, weight: Tensor, reduction: str) -> Tensor:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")
    losses = losses * weight
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.sum() / weight.sum()
    raise ValueError(f"Invalid reduction mode: {reduction}. Expected one of 'none', 'mean', 'sum'.")
