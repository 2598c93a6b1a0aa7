"""Operators that are layers: normalisations, matrices, activations.

A builder returns the layer of minicnn, if the file's numbers fit it; else a function that computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import minicnn.nn.functional as F
from minicnn import nn, ops
from minicnn._tensor import Tensor
from minicnn.nn.utils import skip_init
from minicnn.onnx._node import MOST_SIDE, Builder, Compute, Node, check_size, number
from minicnn.onnx._windows import weighted
from minicnn.ops.creation import zeros_like

# --- normalisation --------------------------------------------------------------------------------------------------------------


def batch_norm(node: Node) -> Any:
    """BatchNormalization: BatchNorm2d or BatchNorm1d of the file's statistics."""
    eps, momentum = node.attr("epsilon", 1e-5), node.attr("momentum", 0.9)
    if node.attr("training_mode", 0):
        return lambda *inputs: _train(*inputs, eps=eps, momentum=momentum)
    if not node.attr("spatial", 1):
        raise node.error("spatial=0, statistics for each place, is not read")
    scale, kind = node.constant(1), {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}.get(node.rank() or 0)
    if kind is None or scale is None or not node.fixed(2, 3, 4) or not scale.dtype.is_floating_point:
        return lambda x, scale, bias, mean, var: F.batch_norm(x, mean, var, scale, bias, False, 0.0, eps)
    layer = weighted(node, kind, scale.numel(), eps=eps, momentum=1 - momentum)
    for name, i in (("running_mean", 3), ("running_var", 4)):
        statistic = node.constant(i)
        if statistic is None or statistic.shape != scale.shape:
            raise node.error(f"its {name} does not have the scale's shape {tuple(scale.shape)}")
        setattr(layer, name, statistic)
    return layer


def _train(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, eps: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    """In training: the batch's own statistics, towards which the running ones move."""
    dims = (0, *range(2, x.dim()))
    own_mean, own_var = x.mean(dims), x.var(dims, correction=0)
    y = F.batch_norm(x, None, None, scale, bias, True, 0.0, eps)
    return y, mean * momentum + own_mean * (1 - momentum), var * momentum + own_var * (1 - momentum)


def _normalised(x: Tensor, dims: Sequence[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean) / sqrt(var + eps) over some dimensions, the mean, and 1 / sqrt(var + eps)."""
    mean = x.mean(tuple(dims), keepdim=True)
    centred = x - mean
    inverse = ((centred * centred).mean(tuple(dims), keepdim=True) + eps).rsqrt()
    return centred * inverse, mean, inverse


def instance_norm(node: Node) -> Any:
    """InstanceNormalization: InstanceNorm2d or InstanceNorm1d of the file's scale and bias."""
    eps, scale = node.attr("epsilon", 1e-5), node.constant(1)
    kind = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d}.get(node.rank() or 0)
    if kind is not None and scale is not None and node.fixed(2):
        return weighted(node, kind, scale.numel(), eps=eps, affine=True)
    return lambda x, scale, bias: F.instance_norm(x, None, None, scale, bias, True, 0.0, eps)


def group_norm(node: Node) -> Any:
    """GroupNormalization: the channels of each image in groups; before opset 21 scale and bias were the groups'."""
    eps, groups, by_channel, scale = (
        node.attr("epsilon", 1e-5),
        node.attr("num_groups", 1),
        node.opset >= 21,
        node.constant(1),
    )
    if by_channel and scale is not None and node.fixed(2):
        return weighted(node, nn.GroupNorm, groups, scale.numel(), eps=eps)

    def compute(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        rows = x.reshape(x.shape[0], groups, -1)
        y = _normalised(rows, [2], eps)[0]
        if not by_channel:
            return (y * scale.reshape(-1, 1) + bias.reshape(-1, 1)).reshape(x.shape)
        ends = (1,) * (x.dim() - 2)
        return y.reshape(x.shape) * scale.reshape(-1, *ends) + bias.reshape(-1, *ends)

    return compute


def layer_norm(node: Node) -> Any:
    """LayerNormalization: a LayerNorm if the file has the scale, and nobody asks for the statistics."""
    eps, axis, outputs, scale = (
        node.attr("epsilon", 1e-5),
        node.attr("axis", -1),
        max(len(node.outputs), 1),
        node.constant(1),
    )
    if axis < 0 and outputs == 1 and scale is not None and scale.dim() == -axis and node.fixed(2):
        return weighted(node, nn.LayerNorm, tuple(scale.shape), eps=eps, bias=node.has(2))

    def compute(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
        y, mean, inverse = _normalised(x.float() if x.dtype.itemsize < 4 else x, range(axis % x.dim(), x.dim()), eps)
        y = y.to(x.dtype) * scale
        return (y if bias is None else y + bias, mean, inverse)[:outputs]

    return compute


def rms_norm(node: Node) -> Compute:
    """RMSNormalization: the last dimensions over the root of their mean square."""
    eps, axis = node.attr("epsilon", 1e-5), node.attr("axis", -1)

    def compute(x: Tensor, scale: Tensor) -> Tensor:
        y = x.float() if x.dtype.itemsize < 4 else x
        mean = (y * y).mean(tuple(range(axis % x.dim(), x.dim())), keepdim=True)
        return (y * (mean + eps).rsqrt()).to(x.dtype) * scale

    return compute


def mean_variance_norm(node: Node) -> Compute:
    """MeanVarianceNormalization."""
    axes = node.attr("axes", [0, 2, 3])
    return lambda x: _normalised(x, axes, 1e-9)[0]


def lp_norm(node: Node) -> Compute:
    """LpNormalization: over the norm along an axis; zeros stay zeros."""
    axis, p = node.attr("axis", -1), node.attr("p", 2)

    def compute(x: Tensor) -> Tensor:
        norm = x.abs().sum(axis, keepdim=True) if p == 1 else (x * x).sum(axis, keepdim=True).sqrt()
        return x / norm.masked_fill(norm == 0, 1.0)

    return compute


def lrn(node: Node) -> Any:
    """LRN: PyTorch's, in which the neighbours of an even number lie the other way round."""
    size = node.attr("size", 1)
    if not 1 <= size <= MOST_SIDE:
        raise node.error(f"size is {size}")
    layer = nn.LocalResponseNorm(size, node.attr("alpha", 1e-4), node.attr("beta", 0.75), node.attr("bias", 1.0))
    return layer if size % 2 else lambda x: layer(x.flip([1])).flip([1])


# --- matrices -------------------------------------------------------------------------------------------------------------------


def gemm(node: Node) -> Any:
    """Gemm: a Linear if the file has the matrix, and a number of the bias for each output."""
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    turn_a, turn_b = node.attr("transA", 0), node.attr("transB", 0)
    matrix, bias = _matrix(node), node.constant(2)
    if matrix is not None and not turn_a and node.fixed(2):
        rows = matrix if turn_b else matrix.t()
        if bias is None or (bias.dim() and bias.numel() == rows.shape[0] == bias.shape[-1]):
            bias = bias if bias is None or (beta == 1 and bias.dim() == 1) else (bias * beta).reshape(-1)
            return linear(node, rows if turn_b and alpha == 1 else (rows * alpha).contiguous(), bias)

    def compute(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        y = product(a.t() if turn_a else a, b.t() if turn_b else b)
        y = y if alpha == 1 else (y * alpha).to(y.dtype)
        return y if c is None else y + (c if beta == 1 else (c * beta).to(c.dtype))

    return compute


def _matrix(node: Node) -> Tensor | None:
    """The second input, if it is a constant matrix of floats."""
    matrix = node.constant(1)
    return matrix if matrix is not None and matrix.dim() == 2 and matrix.dtype.is_floating_point else None


def linear(node: Node, matrix: Any, bias: Tensor | None) -> nn.Linear:
    """A Linear of this matrix (outputs, inputs)."""
    layer = skip_init(nn.Linear, matrix.shape[1], matrix.shape[0], bias=bias is not None)
    layer.weight = node.parameter_of(matrix)
    if bias is not None:
        layer.bias = node.parameter_of(bias)
    return layer


def matmul(node: Node) -> Any:
    """MatMul: a Linear without bias if the file has the second matrix."""
    matrix = _matrix(node)
    return product if matrix is None else linear(node, matrix.t().contiguous(), None)


def einsum(node: Node) -> Compute:
    """Einsum: PyTorch's, by the node's equation."""
    equation = node.attr("equation", "")
    return lambda *inputs: ops.einsum(equation, *inputs)


def product(a: Tensor, b: Tensor) -> Tensor:
    """The product of matrices, or of batches of them."""
    if min(a.dim(), b.dim()) > 1:
        check_size([*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]])
    return a @ b


# --- activations ----------------------------------------------------------------------------------------------------------------


def layer(kind: Any, **attributes: tuple[str, Any]) -> Builder:
    """A layer whose arguments are attributes of the node: {argument: (attribute, its default)}."""
    return lambda node: kind(**{name: node.attr(*attribute) for name, attribute in attributes.items()})


def softmax(node: Node) -> Any:
    """Softmax, LogSoftmax, Hardmax: along an axis; before opset 13 over all dimensions from the axis on."""
    axis = node.attr("axis", -1 if node.opset >= 13 else 1)
    by_op: dict[str, Any] = {"Softmax": nn.Softmax, "LogSoftmax": nn.LogSoftmax, "Hardmax": _Hardmax}
    if node.opset >= 13 or (node.rank() is not None and axis in (-1, node.rank() - 1)):  # type: ignore[operator]
        return by_op[node.op](dim=axis)
    compute = by_op[node.op](dim=1)

    def flat(x: Tensor) -> Tensor:
        first = axis % x.dim() if axis < 0 else axis
        return compute(x.reshape(math.prod(x.shape[:first]), -1)).reshape(x.shape)

    return flat


class _Hardmax(nn.Module):
    """1 at the first of the largest along an axis, 0 elsewhere."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return zeros_like(x).scatter(self.dim, x.argmax(self.dim, keepdim=True), 1.0)


def clip(node: Node) -> Any:
    """Clip: ReLU6 or Hardtanh, if the file has both bounds."""
    if node.opset >= 11:
        bounds = [node.constant(i) for i in (1, 2)]
        if not all(bound is not None and bound.dtype.is_floating_point for bound in bounds):
            return _clamp
        low, high = (number(bound) for bound in bounds if bound is not None)
        if not low < high:  # a Hardtanh refuses it
            return _clamp
    else:
        low, high = node.attr("min", -math.inf), node.attr("max", math.inf)
        if not low < high:
            return lambda x: x.clamp(low, high)
    return nn.ReLU6() if (low, high) == (0.0, 6.0) else nn.Hardtanh(low, high)


def _clamp(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def prelu(node: Node) -> Any:
    """PRelu: a PReLU if the file has one slope, or one for each channel."""
    slope, rank = node.constant(1), node.rank() or 0
    by_channel = slope is not None and rank > 1 and slope.shape == (slope.numel(), *(1,) * (rank - 2))
    if slope is not None and (slope.numel() == 1 or by_channel) and rank > 1:
        activation = nn.PReLU(slope.numel())
        activation.weight = node.parameter_of(slope.reshape(-1))
        return activation
    return _prelu


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    if slope.dim() == 1 and slope.shape[0] not in (1, x.shape[-1]):  # of old files: a list of the channels' slopes
        slope = slope.reshape(-1, *(1,) * (x.dim() - 2))
    return ops.where(x > 0, x, x * slope)


def hard_sigmoid(node: Node) -> Any:
    """HardSigmoid: PyTorch's Hardsigmoid, if the slope is 1/6."""
    alpha, beta = node.attr("alpha", 0.2), node.attr("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return nn.Hardsigmoid()
    return lambda x: (x * alpha + beta).clamp(0, 1)


def selu(node: Node) -> Any:
    """Selu: PyTorch's SELU, if the numbers are those of the paper."""
    alpha, gamma = node.attr("alpha", 1.6732632), node.attr("gamma", 1.0507010)
    if abs(alpha - 1.6732632423543772) < 1e-6 and abs(gamma - 1.0507009873554805) < 1e-6:
        return nn.SELU()
    return lambda x: gamma * F.elu(x, alpha)


def celu(node: Node) -> Compute:
    """Celu: max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    alpha = node.attr("alpha", 1.0)
    return lambda x: x.clamp(min=0) + (alpha * (x / alpha).clamp(max=0).expm1())


def swish(node: Node) -> Any:
    """Swish: x sigmoid(alpha x)."""
    alpha = node.attr("alpha", 1.0)
    return nn.SiLU() if alpha == 1 else lambda x: x * (x * alpha).sigmoid()


def shrink(node: Node) -> Compute:
    """Shrink: 0 between -lambd and lambd, outside of it nearer to 0 by the bias."""
    bias, lambd = node.attr("bias", 0.0), node.attr("lambd", 0.5)

    def compute(x: Tensor) -> Tensor:
        nearer = ops.where(x < -lambd, x + bias, x - bias)
        return ops.where((x < -lambd) | (x > lambd), nearer, zeros_like(x)).to(x.dtype)

    return compute


def dropout(node: Node) -> Any:
    """Dropout: what it is in a network that answers; with the mask, or in training, as the standard's own reference does it."""
    ratio, seed = node.attr("ratio", 0.5), node.attr("seed")
    if not node.has(2) and not node.gives(1):
        given = node.constant(1)
        return nn.Dropout(ratio if given is None else number(given))

    def compute(x: Tensor, given: Tensor | None = None, training: Tensor | None = None) -> tuple[Tensor, Tensor]:
        share = ratio if given is None else number(given)
        if training is None or not number(training) or not share:
            return x, Tensor.wrap(np.ones(x.shape, np.bool_))
        random = np.random.RandomState(seed if seed is None else seed % 2**32)
        kept = random.uniform(0, 1.0, x.shape) >= share
        return x * Tensor.wrap(kept).to(x.dtype) / (1 - share), Tensor.wrap(kept)

    return compute
