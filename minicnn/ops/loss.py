"""Losses: how far a prediction is from its target.

`reduction` is 'mean', 'sum', or 'none' for one number per element. `size_average` and `reduce` are its old forms.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import CATEGORY, dtype, short_name
from minicnn._warnings import warn_user
from minicnn.autograd import both, grad_mode
from minicnn.autograd.function import Op
from minicnn.ops import activation, arithmetic
from minicnn.ops._common import broadcast_shapes, implemented, mean_of, number, result_type


def _reduced(values: np.ndarray, how: str) -> np.ndarray:
    if how == "none":
        return values
    dims = tuple(range(values.ndim))
    return mean_of(values, dims, False, values.dtype) if how == "mean" else kernels.add_up(values)


def _spread(grad: Any, how: str, count: int) -> Any:
    """The gradient of each element's loss from that of the reduced one; an array or a tensor."""
    if how != "mean":
        return grad
    count = max(count, 1)
    return grad / count if isinstance(grad, Tensor) else (grad / np.float64(count)).astype(grad.dtype)


def _distance(a: Tensor, b: Tensor, kind: np.dtype) -> np.ndarray:
    return a.array.astype(kind, copy=False) - b.array.astype(kind, copy=False)


class NllLossBackward(Op):
    """Each loss's gradient, times its slope, put at the target class; the gradient of that is read there again."""

    slots = 2

    @staticmethod
    def value(grad, logp, label, slope, of_nothing):
        out = np.zeros(logp.shape, grad.dtype)
        rows = out[None] if out.ndim == 1 else out
        np.put_along_axis(rows, label[:, None], (slope * grad)[:, None], 1)
        return out

    @staticmethod
    def backward(ctx, grad):
        g, _, label, slope = ctx.saved
        rows = both.unsqueeze(grad, (0,)) if grad.ndim == 1 else grad
        read = both.gather(rows, 1, both.unsqueeze(label, (1,)))[:, 0] * slope
        if g.ndim != slope.ndim:
            read = both.sum(read, tuple(range(read.ndim))).reshape(g.shape) + ctx.options[0]
        return read, both.zeros_like(grad)


class NllLoss(Op):
    """-weight[target] logp[target]; "mean" divides by the sum of the weights. Targets equal ignore_index count nothing."""

    saved_names = ("self", "target", "weight")
    gradient: type[Op] = NllLossBackward

    @staticmethod
    def forward(ctx, logp, target, weight, how, ignore_index):
        x, t = logp.array, target.array
        if x.ndim == 1:  # one sample without a batch dimension
            x, t = x[None], t[None]
        valid = t != ignore_index
        label = np.where(valid, t, 0)
        if label.size and not (label.min() >= 0 and label.max() < x.shape[1]):
            wrong = label.max() if label.max() >= x.shape[1] else label.min()
            raise IndexError(f"Target {wrong} is out of bounds.")
        scale = np.ones(t.shape, x.dtype) if weight is None else weight.array[label].astype(x.dtype)
        scale = np.where(valid, scale, x.dtype.type(0))
        picked = np.take_along_axis(x, label[:, None], 1)[:, 0]
        losses = np.where(valid, -scale * picked, x.dtype.type(0))
        if how == "none":
            out, slope = losses.reshape(target.array.shape), -scale
        elif how == "sum":
            out, slope = kernels.add_up(losses), -scale
        else:
            total = kernels.add_up(scale)
            out, slope = kernels.add_up(losses) / total, np.where(valid, -scale / total, x.dtype.type(0))
        # The last two would do; with the others a write to the target, in a buffer that is used again, is noticed.
        ctx.save_for_backward(logp, target, weight, Tensor.wrap(label), Tensor.wrap(slope))
        ctx.of_nothing = (
            0.0 if how != "mean" or total else math.nan
        )  # the mean of no losses, in the second derivative too
        return out

    @classmethod
    def backward(cls, ctx, grad):
        logp, *_, label, slope = ctx.saved
        return cls.gradient.of(grad, logp, label, slope, ctx.of_nothing)


class NllLoss2DBackward(NllLossBackward):
    """The same for (N, C, H, W)."""


class NllLoss2D(NllLoss):
    """The same for (N, C, H, W) and targets (N, H, W)."""

    gradient = NllLoss2DBackward


class _OfDistance(Op):
    """A loss of a - b. Its gradients are one operation, with a and b exchanged for that of b."""

    saved_names = ("self", "target")
    slots = 2
    gradient: type[Op]

    @classmethod
    def backward(cls, ctx, grad):
        (a, b), to_a, to_b = ctx.saved, None, None
        if ctx.needs_input_grad[0]:
            to_a = cls.gradient.of(grad, a, b, *ctx.options[:-1])
        if ctx.needs_input_grad[1]:
            to_b = cls.gradient.of(grad, b, a, *ctx.options[:-1])
        return to_a, to_b


class _OfDistanceBackward(Op):
    """The gradient of a loss of a - b to a: grad times the slope, which a subclass gives with its own slope, `bend`."""

    slots = 3

    @classmethod
    def value(cls, grad, a, b, how, *options):
        return _spread(grad, how, a.size) * cls.slope(a - b, *options)

    @classmethod
    def backward(cls, ctx, grad):
        g, a, b = ctx.saved
        how, *options = ctx.options
        to_a = _spread(grad * g, how, math.prod(a.shape)) * both.constant(cls.bend, a - b, *options)
        return cls.of(grad, a, b, *ctx.options), to_a, -to_a


class MseLossBackward(_OfDistanceBackward):
    """2 (a - b) g"""

    slope = staticmethod(lambda distance: 2 * distance)
    bend = staticmethod(lambda distance: np.full_like(distance, 2))


class MseLoss(_OfDistance):
    """(a - b)^2"""

    gradient = MseLossBackward

    @staticmethod
    def forward(ctx, a, b, how, kind):
        ctx.save_for_backward(a, b)
        ctx.options = how, kind
        return _reduced(np.square(_distance(a, b, kind)), how)


class SmoothL1LossBackward(_OfDistanceBackward):
    """The sign of a - b, and (a - b) / beta where |a - b| < beta, times g"""

    @staticmethod
    def slope(distance, beta):
        return np.where(np.abs(distance) < beta, distance / distance.dtype.type(beta), np.sign(distance))

    bend = staticmethod(lambda distance, beta: (np.abs(distance) < beta) / distance.dtype.type(beta))


class SmoothL1Loss(_OfDistance):
    """(a - b)^2 / (2 beta) for |a - b| < beta, else |a - b| - beta / 2"""

    gradient = SmoothL1LossBackward

    @staticmethod
    def forward(ctx, a, b, how, beta, kind):
        ctx.save_for_backward(a, b)
        ctx.options = how, beta, kind
        size, number = np.abs(_distance(a, b, kind)), kind.type
        return _reduced(np.where(size < beta, size * size / number(2 * beta), size - number(beta / 2)), how)


class HuberLossBackward(_OfDistanceBackward):
    """a - b, cut off at delta and -delta, times g"""

    slope = staticmethod(lambda distance, delta: np.clip(distance, -delta, delta))
    bend = staticmethod(lambda distance, delta: (np.abs(distance) < delta).astype(distance.dtype))


class HuberLoss(_OfDistance):
    """(a - b)^2 / 2 for |a - b| < delta, else delta (|a - b| - delta / 2): smooth L1 times delta"""

    gradient = HuberLossBackward

    @staticmethod
    def forward(ctx, a, b, how, delta, kind):
        ctx.save_for_backward(a, b)
        ctx.options = how, delta, kind
        size, number = np.abs(_distance(a, b, kind)), kind.type
        return _reduced(np.where(size < delta, size * size / 2, number(delta) * (size - number(delta / 2))), how)


class BinaryCrossEntropyWithLogits(Op):
    """-(t log s + (1 - t) log(1 - s)), s = sigmoid(x); `pos_weight` multiplies the first part, `weight` all"""

    saved_names = ("self", "target", "weight", "pos_weight")
    slots = 2

    @staticmethod
    def forward(ctx, x, target, weight, pos_weight, how):
        ctx.save_for_backward(x, target, weight, pos_weight)
        ctx.how = how
        weight, pos_weight = (1 if w is None else w.array for w in (weight, pos_weight))
        softplus_minus = np.logaddexp(-x.array, 0)  # -log s
        t = target.array
        losses = (1 - t) * (x.array + softplus_minus) + pos_weight * t * softplus_minus
        return _reduced(np.asarray(weight * losses, t.dtype), how)  # of target's shape and type, as in PyTorch

    @staticmethod
    def backward(ctx, grad):
        x, t, weight, pos_weight = ctx.saved
        pos_weight, to_x, to_target = 1 if pos_weight is None else pos_weight, None, None
        g = _spread(grad, ctx.how, math.prod(x.shape))
        g = g if weight is None else g * weight
        if ctx.needs_input_grad[0]:
            to_x = g * ((1 - t) * activation.Sigmoid.of(x) - pos_weight * t * activation.Sigmoid.of(-x))
        if ctx.needs_input_grad[1]:
            to_target = g * (activation.LogSigmoid.of(-x) - pos_weight * activation.LogSigmoid.of(x))
        return to_x, to_target


class BinaryCrossEntropy(Op):
    """-(t log x + (1 - t) log(1 - x)), each logarithm not below -100; `weight` multiplies all"""

    saved_names = ("self", "target", "weight")
    slots = 2

    @staticmethod
    def forward(ctx, x, target, weight, how):
        ctx.save_for_backward(x, target, weight)
        ctx.how = how
        p, t = x.array, target.array
        low = p.dtype.type(-100)
        losses = (t - 1) * np.maximum(np.log1p(-p), low) - t * np.maximum(np.log(p), low)
        return _reduced(losses if weight is None else (losses * weight.array).astype(p.dtype, copy=False), how)

    @staticmethod
    def backward(ctx, grad):
        p, t, weight = ctx.saved
        to_x = to_target = None
        if ctx.needs_input_grad[0]:
            to_x = BinaryCrossEntropyBackward.of(grad, p, t, weight, ctx.how)
        if ctx.needs_input_grad[1]:
            g = _spread(grad, ctx.how, math.prod(p.shape))
            to_target = (g if weight is None else g * weight) * (both.log(1 - p) - both.log(p))
        return to_x, to_target


class BinaryCrossEntropyBackward(Op):
    """(x - t) / (x (1 - x)) g, where the divisor is at least 1e-12"""

    slots = 3

    @staticmethod
    def value(grad, p, t, weight, how):
        g = _spread(grad, how, p.size)
        g = g if weight is None else g * weight
        return g * ((p - t) / np.maximum((1 - p) * p, p.dtype.type(1e-12)))

    @staticmethod
    def backward(ctx, grad):
        g, p, t, *weight = ctx.saved
        weight, how = weight[0] if weight else None, ctx.options[-1]
        of = _spread(grad, how, math.prod(p.shape))
        of = of if weight is None else of * weight
        product = (p + 1e-12) * (1 - p + 1e-12)  # PyTorch's other way to keep from dividing by 0
        to_p = of * g * (p * p - 2 * p * t + t) / (product * product)
        return of * (p - t) / product, to_p, -of * g / both.where(p * (1 - p) > 1e-12, p * (1 - p), 1e-12)


# --- the functions ----------------------------------------------------------------------------------------------------


def reduction_name(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, or what the two old arguments mean, if one of them is given."""
    if size_average is None and reduce is None:
        return reduction
    name = "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
    warn_user(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.")
    return name


def _valid(reduction: str) -> str:
    """The reduction, or what an old name means. ValueError unless it is one."""
    if reduction == "elementwise_mean":
        warn_user("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.")
        return "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _need_constant(function: str, **tensors: Tensor | None) -> None:
    """RuntimeError, in PyTorch's words, for a tensor that would need a gradient that this loss does not have."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.requires_grad and grad_mode.mode.enabled:
            raise RuntimeError(
                f"The function '{function}' is not differentiable with respect to argument '{name}'. This input cannot have "
                "requires_grad True."
            )


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
    label_smoothing = number(label_smoothing, "cross_entropy_loss", "label_smoothing", 6, "float")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    reduction = _valid(reduction)
    axis, ignore_index = 0 if input.dim() == 1 else 1, operator.index(ignore_index)
    if target.shape != input.shape:
        _check_classes(input, target, weight)
        logp = activation.log_softmax(input, axis)
        return _class_numbers(logp, target, weight, reduction, ignore_index, label_smoothing)
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {short_name(target.dtype)}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    _check_weight(weight, input.shape[axis])
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    return _probabilities(activation.log_softmax(input, axis), target, weight, reduction, axis)


def _probabilities(logp: Tensor, target: Tensor, weight: Tensor | None, how: str, axis: int) -> Tensor:
    losses = -(_weighted_classes(logp, weight, axis) * target).sum(axis)
    if how == "none":
        return losses
    count = losses.array.size if logp.array.size else 0  # NaN of nothing
    return losses.sum() / count if how == "mean" else losses.sum()


def _class_numbers(
    logp: Tensor, target: Tensor, weight: Tensor | None, how: str, ignore_index: int, smoothing: float
) -> Tensor:
    hard = _nll(logp, target, weight, how, ignore_index)
    if not smoothing:
        return hard
    axis = 0 if logp.dim() == 1 else 1
    even = _evenly(logp, target, weight, how, ignore_index, axis)
    return hard * (1 - smoothing) + even * (smoothing / logp.shape[axis])


def _evenly(logp: Tensor, target: Tensor, weight: Tensor | None, how: str, ignore_index: int, axis: int) -> Tensor:
    """The part of label smoothing: every class counts alike."""
    losses = -_weighted_classes(logp, weight, axis).sum(axis)
    valid = target.array != ignore_index
    losses = losses.masked_fill(Tensor.wrap(~valid), 0)
    if how != "mean":
        return losses if how == "none" else losses.sum()
    count = valid.sum() if weight is None else kernels.add_up(weight.array[np.where(valid, target.array, 0)][valid])
    return losses.sum() / count.item()


def _weighted_classes(logp: Tensor, weight: Tensor | None, axis: int) -> Tensor:
    if weight is None:
        return logp
    return logp * weight.view(*(1,) * axis, -1, *(1,) * (logp.dim() - axis - 1))


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
    reduction = _valid(reduction_name(size_average, reduce, reduction))
    _check_classes(input, target, weight)
    return _nll(input, target, weight, reduction, ignore_index)


def _nll(logp: Tensor, target: Tensor, weight: Tensor | None, how: str, ignore_index: int) -> Tensor:
    implemented("nll_loss_out_frame", logp.array.dtype, "f")
    _need_constant(f"nll_loss{'2d' if logp.dim() == 4 else ''}_forward", weight=weight)
    if weight is not None and weight.array.dtype != logp.array.dtype:
        expected, found = (short_name(t.dtype) for t in (logp, weight))
        raise RuntimeError(f"expected scalar type {expected} but found {found}")
    return (NllLoss2D if logp.dim() == 4 else NllLoss).apply(logp, target, weight, how, ignore_index)


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raises unless `target` holds class numbers for `input`."""
    kind = target.array.dtype
    if kind not in (np.int64, np.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {short_name(target.dtype)}")
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
        raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(classes)}")
    _check_weight(weight, shape[1])


def _check_weight(weight: Tensor | None, classes: int) -> None:
    if weight is not None and weight.array.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
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

    Raises:
        ValueError: the target's shape is another one.
        RuntimeError: a weight does not broadcast to it, or requires grad; the target's type is not a floating-point one.
    """
    name = "binary_cross_entropy_with_logits"
    need_tensor(input, name)
    reduction = _valid(reduction_name(size_average, reduce, reduction))
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    _need_constant(name, weight=weight, pos_weight=pos_weight)
    implemented("log_sigmoid_cpu", input.array.dtype, "f")
    if target.array.dtype.kind in "biu":
        kind, to = short_name(input.dtype), short_name(target.dtype)
        raise RuntimeError(f"result type {kind} can't be cast to the desired output type {to}")
    shape = target.array.shape
    for factor, shapes in ((pos_weight, lambda other: (other, shape)), (weight, lambda other: (shape, other))):
        common = shape if factor is None else broadcast_shapes(*shapes(factor.array.shape))
        if common != shape:
            raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(common)}")
    return BinaryCrossEntropyWithLogits.apply(input, target, weight, pos_weight, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2: (), or input's shape for "none". With `weight`, of input's shape, the mean is the weighted one.

    ValueError for a weight of another shape; a warning if input and target are of different shapes.
    """
    input, target = _alike(input, target, "mse_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    if weight is not None:
        return _reduce((input - target) ** 2, reduction, weight)
    return MseLoss.apply(input, target, _valid(reduction), _common_type("mse_cpu", input, target))


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|input - target|: (), or input's shape for "none". With `weight`, of input's shape, the mean is the weighted one.

    ValueError for a weight of another shape; a warning if input and target are of different shapes.
    """
    input, target = _alike(input, target, "l1_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    return _reduce((input - target).abs(), reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where d = |input - target| is below beta, d - beta / 2 elsewhere: (), or input's shape for "none".

    RuntimeError for a negative beta.
    """
    input, target = _alike(input, target, "smooth_l1_loss")
    reduction = reduction_name(size_average, reduce, reduction)
    beta = number(beta, "smooth_l1_loss", "beta", 4, "float")
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return _reduce((input - target).abs(), reduction)
    return SmoothL1Loss.apply(input, target, _valid(reduction), beta, _common_type("smooth_l1_cpu", input, target))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 where d = |input - target| is below delta, delta (d - delta / 2) elsewhere: (), or input's shape for "none".

    With `weight`, of input's shape, each is multiplied by its weight; the mean stays the plain one. RuntimeError unless delta
    is positive.
    """
    input, target = _alike(input, target, "huber_loss")
    delta = number(delta, "huber_loss", "delta", 4, "float")
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is not None:
        losses = _weighted(huber_loss(input, target, "none", delta), reduction, weight)
        return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
    kind = result_type(input, target)
    if CATEGORY[kind.kind] > CATEGORY[input.array.dtype.kind]:
        wide, narrow = short_name(dtype.of(kind)), short_name(input.dtype)
        raise RuntimeError(f"result type {wide} can't be cast to the desired output type {narrow}")
    implemented("huber_cpu", kind, "f")
    return HuberLoss.apply(
        input, target, _valid(reduction), delta, input.array.dtype
    )  # as in PyTorch, not the common type


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


def _reduce(losses: Tensor, how: str, weight: Tensor | None = None) -> Tensor:
    """The losses by themselves, their sum or their mean; the weighted mean if there are weights, of their shape."""
    if weight is None:
        how = _valid(how)
        return losses if how == "none" else losses.mean() if how == "mean" else losses.sum()
    losses = _weighted(losses, how, weight)
    return losses if how == "none" else losses.sum() / weight.sum() if how == "mean" else losses.sum()


def _weighted(losses: Tensor, how: str, weight: Tensor) -> Tensor:
    if weight.shape != losses.shape:
        raise ValueError("Weights and input must have the same size.")
    if how not in ("none", "sum", "mean"):
        raise ValueError(f"Invalid reduction mode: {how}. Expected one of 'none', 'mean', 'sum'.")
    return losses * weight


def _common_type(name: str, input: Tensor, target: Tensor) -> np.dtype:
    """The type of a loss. NotImplementedError unless it is a floating-point one."""
    kind = result_type(input, target)
    implemented(name, kind, "f")
    return kind


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log input + (1 - target) log(1 - input)): (), or input's shape for "none". Logarithms stop at -100.

    Args:
        input: probabilities of any shape.
        target: probabilities of the same shape.
        weight: a factor for each element; broadcast.

    Raises:
        ValueError: the target's shape is another one.
        RuntimeError: an element is not between 0 and 1, the types differ, or the weight requires grad.
    """
    name = "binary_cross_entropy"
    need_tensor(input, name)
    reduction = _valid(reduction_name(size_average, reduce, reduction))
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. Please "
            "ensure they have the same size."
        )
    _need_constant(name, weight=weight)
    if weight is not None:
        weight = weight.expand(broadcast_shapes(target.array.shape, weight.array.shape))
    if target.array.dtype != input.array.dtype:
        raise RuntimeError(f"Found dtype {short_name(target.dtype)} but expected {short_name(input.dtype)}")
    implemented(name, input.array.dtype, "f")
    for what, tensor in (("input", input), ("target", target)):
        if not ((tensor.array >= 0) & (tensor.array <= 1)).all():
            raise RuntimeError(f"all elements of {what} should be between 0 and 1")
    return BinaryCrossEntropy.apply(input, target, weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log target - input), the Kullback-Leibler divergence of log-probabilities `input` from `target`.

    Args:
        input: log-probabilities (N, ...).
        target: probabilities of the same shape, or their logarithms.
        reduction: 'batchmean' divides the sum by N, as the divergence is defined; 'mean' by the number of all elements.
        log_target: whether the target holds logarithms.
    """
    need_tensor(input, "kl_div")
    need_tensor(target, "kl_div", "target", 2)
    how = reduction_name(size_average, reduce, reduction)
    if size_average is None and reduce is None and reduction == "mean":
        warn_user(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides only by "
            "the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the same as "
            "'batchmean' in the next major release."
        )
    by_batch = reduction == "batchmean" and input.dim() != 0
    how = _valid("sum" if how == "batchmean" else how)
    for what, kinds in (("Complex", "c"), ("Integral", "iub")):
        if input.array.dtype.kind in kinds or target.array.dtype.kind in kinds:
            raise RuntimeError(f"kl_div: {what} inputs not supported.")
    if log_target:
        losses = target.exp() * (target - input)
    else:
        product = target * input  # first, as in PyTorch: what is made first comes last on the way back
        losses = arithmetic.xlogy(target, target) - product
    reduced = _reduce(losses, how)
    return reduced / input.shape[0] if by_batch else reduced
