"""Losses: how far a prediction is from its target, as one number (or one for each element: reduction "none")."""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op
from minicnn.ops import activation, arithmetic, comparison, elementwise, reduction, shape
from minicnn.ops._common import mean_of


def _check_reduction(name: str) -> None:
    if name not in ("none", "mean", "sum"):
        raise ValueError(f"{name} is not a valid value for reduction")


def _reduce(values: Tensor, how: str) -> Tensor:
    _check_reduction(how)
    return values if how == "none" else reduction.mean(values) if how == "mean" else reduction.sum(values)


def _reduced(values: np.ndarray, how: str) -> np.ndarray:
    if how == "none":
        return values
    dims = tuple(range(values.ndim))
    return mean_of(values, dims, False, values.dtype) if how == "mean" else kernels.add_up(values)


def _spread(grad: np.ndarray, how: str, count: int) -> np.ndarray:
    return (grad / np.float64(max(count, 1))).astype(grad.dtype) if how == "mean" else grad


class NllLoss(Op):
    """-weight[target] logp[target]; "mean" divides by the sum of the weights. Targets equal ignore_index count nothing."""

    @staticmethod
    def forward(ctx, logp, target, weight, how, ignore_index):
        x, t = logp.array, target.array
        ctx.shape = x.shape
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
        return out

    @staticmethod
    def backward(ctx, grad):
        *_, label, slope = ctx.saved_tensors
        out = np.zeros(ctx.shape, grad.array.dtype)
        rows = out[None] if out.ndim == 1 else out
        np.put_along_axis(rows, label.array[:, None], (slope.array * grad.array)[:, None], 1)
        return out


class NllLoss2D(NllLoss):
    """The same for (N, C, H, W) and targets (N, H, W)."""


class MseLoss(Op):
    """(a - b)^2"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, how):
        ctx.save_for_backward(a, b)
        ctx.how = how
        return _reduced(np.square(a.array - b.array), how)

    @staticmethod
    def backward(ctx, grad):
        a, b = (t.array for t in ctx.saved_tensors)
        distance = a - b
        to_a = _spread(grad.array, ctx.how, distance.size) * 2 * distance
        return to_a, -to_a


class SmoothL1Loss(Op):
    """(a - b)^2 / (2 beta) for |a - b| < beta, else |a - b| - beta / 2"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, how, beta):
        ctx.save_for_backward(a, b)
        ctx.how, ctx.beta = how, beta
        size = np.abs(a.array - b.array)
        kind = size.dtype.type
        return _reduced(np.where(size < beta, size * size / kind(2 * beta), size - kind(beta / 2)), how)

    @staticmethod
    def backward(ctx, grad):
        a, b = (t.array for t in ctx.saved_tensors)
        distance = a - b
        slope = np.where(np.abs(distance) < ctx.beta, distance / distance.dtype.type(ctx.beta), np.sign(distance))
        to_a = _spread(grad.array, ctx.how, distance.size) * slope
        return to_a, -to_a


class HuberLoss(SmoothL1Loss):
    """(a - b)^2 / 2 for |a - b| < delta, else delta (|a - b| - delta / 2): smooth L1 times delta"""

    @staticmethod
    def forward(ctx, a, b, how, delta):
        ctx.save_for_backward(a, b)
        ctx.how, ctx.beta = how, delta
        size = np.abs(a.array - b.array)
        kind = size.dtype.type
        return _reduced(np.where(size < delta, size * size / 2, kind(delta) * (size - kind(delta / 2))), how)

    @staticmethod
    def backward(ctx, grad):
        return tuple(g * g.dtype.type(ctx.beta) for g in SmoothL1Loss.backward(ctx, grad))


class BinaryCrossEntropyWithLogits(Op):
    """-(t log s + (1 - t) log(1 - s)), s = sigmoid(x); `pos_weight` multiplies the first part, `weight` all"""

    slots = 2

    @staticmethod
    def forward(ctx, x, target, weight, pos_weight, how):
        ctx.save_for_backward(x, target, weight, pos_weight)
        ctx.how = how
        weight, pos_weight = (1 if w is None else w.array for w in (weight, pos_weight))
        softplus_minus = np.logaddexp(-x.array, 0)  # -log s
        t = target.array
        losses = (1 - t) * (x.array + softplus_minus) + pos_weight * t * softplus_minus
        return _reduced(np.asarray(weight * losses, x.array.dtype), how)

    @staticmethod
    def backward(ctx, grad):
        x, t, weight, pos_weight = (1 if tensor is None else tensor.array for tensor in ctx.saved_tensors)
        s = 1 / (1 + np.exp(-np.abs(x)))
        s = np.where(x >= 0, s, 1 - s)
        slope = (1 - t) * s - pos_weight * t * (1 - s)
        g = _spread(grad.array, ctx.how, x.size) * weight
        to_target = g * (-pos_weight * -np.logaddexp(-x, 0) - (x + np.logaddexp(-x, 0)))
        return (g * slope).astype(x.dtype, copy=False), to_target


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
) -> Tensor:
    """Log-probabilities (N, C, *), class numbers (N, *). IndexError for a class number that does not exist."""
    _check_reduction(reduction)
    if target.array.dtype.kind not in "iu":
        kind = target.dtype.tensor_type.removesuffix("Tensor")
        raise RuntimeError(f"expected scalar type Long but found {kind}")
    if input.array.ndim == 1:
        return NllLoss.apply(input, target, weight, reduction, ignore_index)
    if input.array.shape[0] != target.array.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({input.array.shape[0]}) to match target batch_size ({target.array.shape[0]})."
        )
    loss = NllLoss2D if input.array.ndim == 4 else NllLoss
    return loss.apply(input, target, weight, reduction, ignore_index)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Logits (N, C, *) and class numbers (N, *), or probabilities of input's shape."""
    _check_reduction(reduction)
    axis = 0 if input.array.ndim == 1 else 1
    logp = activation.log_softmax(input, axis)
    classes = input.array.shape[axis]
    if target.array.shape == input.array.shape and target.array.dtype.kind == "f":
        if label_smoothing:
            target = arithmetic.add(arithmetic.mul(target, 1 - label_smoothing), label_smoothing / classes)
        return _soft_target(logp, target, weight, reduction, axis)
    hard = nll_loss(logp, target, weight, reduction, ignore_index)
    if not label_smoothing:
        return hard
    smooth = _smooth(logp, target, weight, reduction, ignore_index, axis)
    return arithmetic.add(arithmetic.mul(hard, 1 - label_smoothing), arithmetic.mul(smooth, label_smoothing / classes))


def _weighted(logp: Tensor, weight: Tensor | None, axis: int) -> Tensor:
    if weight is None:
        return logp
    return arithmetic.mul(logp, shape.view(weight, (*(1,) * axis, -1, *(1,) * (logp.array.ndim - axis - 1))))


def _soft_target(logp: Tensor, target: Tensor, weight: Tensor | None, how: str, axis: int) -> Tensor:
    losses = arithmetic.neg(reduction.sum(arithmetic.mul(_weighted(logp, weight, axis), target), axis))
    total = reduction.sum(losses) if how != "none" else losses
    count = losses.array.size if logp.array.size else 0  # NaN of nothing
    return arithmetic.div(total, count) if how == "mean" else total


def _smooth(logp: Tensor, target: Tensor, weight: Tensor | None, how: str, ignore_index: int, axis: int) -> Tensor:
    """The part of label smoothing: every class counts alike."""
    losses = arithmetic.neg(reduction.sum(_weighted(logp, weight, axis), axis))
    valid = target.array != ignore_index
    losses = comparison.masked_fill(losses, Tensor.wrap(~valid), 0)
    if how != "mean":
        return losses if how == "none" else reduction.sum(losses)
    count = valid.sum() if weight is None else kernels.add_up(weight.array[np.where(valid, target.array, 0)][valid])
    return arithmetic.div(reduction.sum(losses), count.item())


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    _check_reduction(reduction)
    return MseLoss.apply(input, target, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    return _reduce(elementwise.abs(arithmetic.sub(input, target)), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    _check_reduction(reduction)
    if beta == 0:
        return l1_loss(input, target, reduction)
    return SmoothL1Loss.apply(input, target, reduction, beta)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    _check_reduction(reduction)
    return HuberLoss.apply(input, target, reduction, delta)


def bce_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    _check_reduction(reduction)
    return BinaryCrossEntropyWithLogits.apply(input, target, weight, pos_weight, reduction)
