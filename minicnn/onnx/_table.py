"""For each type of operator how it is built. An operator is added here, and nowhere else."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from minicnn import nn, ops
from minicnn._types import int64
from minicnn.onnx import _arithmetic as arithmetic
from minicnn.onnx import _layers as layers
from minicnn.onnx import _shapes as shapes
from minicnn.onnx import _windows as windows
from minicnn.onnx._arithmetic import both, every, function, of_arrays, reduction
from minicnn.onnx._detection import grid_sample, non_max_suppression
from minicnn.onnx._layers import layer
from minicnn.onnx._node import Builder, wrapped
from minicnn.onnx._resize import resize

OPERATORS: dict[str, Builder] = {
    # convolutions, poolings, matrices
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), windows.pool),
    "MaxUnpool": windows.max_unpool,
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), windows.global_pool),
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    "Einsum": layers.einsum,
    # normalisation
    "BatchNormalization": layers.batch_norm,
    "InstanceNormalization": layers.instance_norm,
    "GroupNormalization": layers.group_norm,
    "LayerNormalization": layers.layer_norm,
    "RMSNormalization": layers.rms_norm,
    "MeanVarianceNormalization": layers.mean_variance_norm,
    "LRN": layers.lrn,
    "LpNormalization": layers.lp_norm,
    # activations
    "Relu": layer(nn.ReLU),
    "LeakyRelu": layer(nn.LeakyReLU, negative_slope=("alpha", 0.01)),
    "PRelu": layers.prelu,
    "ThresholdedRelu": layer(partial(nn.Threshold, value=0.0), threshold=("alpha", 1.0)),
    "Clip": layers.clip,
    "Sigmoid": layer(nn.Sigmoid),
    "HardSigmoid": layers.hard_sigmoid,
    "HardSwish": layer(nn.Hardswish),
    "Elu": layer(nn.ELU, alpha=("alpha", 1.0)),
    "Selu": layers.selu,
    "Celu": layers.celu,
    "Softplus": layer(nn.Softplus),
    "Softsign": layer(nn.Softsign),
    "Mish": layer(nn.Mish),
    "Gelu": layer(nn.GELU, approximate=("approximate", "none")),
    "Swish": layers.swish,
    "Shrink": layers.shrink,
    "Tanh": layer(nn.Tanh),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), layers.softmax),
    "Dropout": layers.dropout,
    # element by element
    "Add": both(ops.add),
    "Sub": both(ops.sub),
    "Mul": both(ops.mul),
    "Div": both(arithmetic.divide),
    "Pow": both(arithmetic.power),
    "Mod": arithmetic.modulo,
    "Sum": every(ops.add),
    "Mean": arithmetic.mean,
    "Max": every(ops.maximum),
    "Min": every(ops.minimum),
    "Abs": function(ops.abs),
    "Neg": function(ops.neg),
    "Sign": function(ops.sign),
    "Floor": function(ops.floor),
    "Ceil": function(ops.ceil),
    "Round": function(ops.round),
    "Sqrt": function(ops.sqrt),
    "Reciprocal": function(ops.reciprocal),
    "Exp": function(ops.exp),
    "Log": function(ops.log),
    "Erf": function(ops.erf),
    "Sin": function(ops.sin),
    "Cos": function(ops.cos),
    "Tan": function(ops.tan),
    "Asin": function(ops.asin),
    "Acos": function(ops.acos),
    "Atan": function(ops.atan),
    "Sinh": function(ops.sinh),
    "Cosh": function(ops.cosh),
    "Asinh": function(ops.asinh),
    "Acosh": function(ops.acosh),
    "Atanh": function(ops.atanh),
    "Equal": both(ops.eq),
    "Less": both(ops.lt),
    "LessOrEqual": both(ops.le),
    "Greater": both(ops.gt),
    "GreaterOrEqual": both(ops.ge),
    "And": both(ops.logical_and),
    "Or": both(ops.logical_or),
    "Xor": both(ops.ne),
    "Not": function(ops.logical_not),
    "IsNaN": function(ops.isnan),
    "IsInf": arithmetic.is_inf,
    "BitwiseAnd": both(ops.bitwise_and),
    "BitwiseOr": both(ops.bitwise_or),
    "BitwiseXor": both(ops.bitwise_xor),
    "BitwiseNot": of_arrays(np.invert),
    "BitShift": arithmetic.bit_shift,
    "Where": function(arithmetic.where),
    **dict.fromkeys(("Cast", "CastLike"), arithmetic.cast),
    "QuantizeLinear": arithmetic.quantize,
    "DequantizeLinear": arithmetic.dequantize,
    # reductions
    "ReduceSum": reduction(arithmetic.total),
    "ReduceMean": reduction(arithmetic.average),
    "ReduceProd": reduction(arithmetic.product),
    "ReduceMax": arithmetic.extreme(True),
    "ReduceMin": arithmetic.extreme(False),
    "ReduceL1": reduction(lambda x, dims, keep: arithmetic.total(x.abs(), dims, keep)),
    "ReduceL2": reduction(lambda x, dims, keep: arithmetic.total(x * x, dims, keep).sqrt().to(x.dtype)),
    "ReduceSumSquare": reduction(lambda x, dims, keep: arithmetic.total(x * x, dims, keep)),
    "ReduceLogSum": reduction(lambda x, dims, keep: arithmetic.total(x, dims, keep).log()),
    "ReduceLogSumExp": reduction(arithmetic.log_sum_exp),
    **dict.fromkeys(("ArgMax", "ArgMin"), arithmetic.arg),
    "CumSum": arithmetic.cumsum,
    "TopK": arithmetic.top_k,
    # shapes
    "Reshape": shapes.reshape,
    "Flatten": shapes.flatten,
    "Transpose": shapes.transpose,
    "Squeeze": shapes.squeeze,
    "Unsqueeze": shapes.unsqueeze,
    "Expand": function(shapes.expand),
    "Tile": function(shapes.tile),
    "Concat": shapes.concat,
    "Split": shapes.split,
    "Slice": shapes.slice_,
    "Pad": shapes.pad,
    **dict.fromkeys(("Resize", "Upsample"), resize),
    "DepthToSpace": shapes.depth_to_space,
    "SpaceToDepth": shapes.space_to_depth,
    "Shape": shapes.shape_of,
    "Size": function(lambda x: wrapped(math.prod(x.shape), np.int64)),
    "Identity": layer(nn.Identity),
    # picking and making
    "Gather": shapes.gather,
    "GatherElements": shapes.gather_elements,
    "GatherND": shapes.gather_nd,
    **dict.fromkeys(("ScatterElements", "Scatter"), shapes.scatter_elements),
    "ScatterND": shapes.scatter_nd,
    "NonZero": function(lambda x: ops.nonzero(x).t().to(int64)),
    "OneHot": shapes.one_hot,
    "Trilu": shapes.trilu,
    "EyeLike": shapes.eye_like,
    "Constant": shapes.constant,
    "ConstantOfShape": shapes.constant_of_shape,
    "Range": function(shapes.range_),
    # detectors
    "NonMaxSuppression": non_max_suppression,
    "GridSample": grid_sample,
}

# Not computed while the file is read, though all of their inputs be constants: it could take long, or make much of little.
NOT_FOLDED = frozenset({
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "MaxUnpool", "Gemm", "MatMul", "Einsum", "LRN", "Resize", "Upsample",
    "NonZero", "NonMaxSuppression", "GridSample", "TopK", "Dropout",
})  # fmt: skip
