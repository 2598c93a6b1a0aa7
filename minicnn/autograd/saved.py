"""What a node of a built-in operation tells under PyTorch's names: `node._saved_self`, `node._saved_stride`; and what can be
given hooks of its own: `node._raw_saved_self.register_hooks(pack, unpack)`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.autograd.node import FREED


class SavedTensor:
    """One tensor that a node has saved, or None in its place."""

    def __init__(self, node: Any, index: int) -> None:
        self._node, self._index = node, index

    def register_hooks(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        """Keep what `pack_hook(tensor)` returns, now, in its place; `unpack_hook` gives it back when the node runs.

        RuntimeError if it has such hooks, is None, has been freed with the graph, or is written by `pack_hook`.
        """
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"register_hooks(): a hook must be callable, not {type(hook).__name__}")
        if self._node._saved is None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are "
                "freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
                "through the graph a second time or if you need to access saved variables after calling backward."
            )
        kept = self._node._saved[self._index] if self._index < len(self._node._saved) else None
        if kept is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        kept.register_hooks(pack_hook, unpack_hook)


def names_of(node: Any) -> list[str]:
    """Under which names, without `_saved_`, a node of a built-in operation tells what it keeps: tensors, then settings."""
    return list(dict.fromkeys([*filter(None, node.function.saved_names), *SETTINGS.get(node.name(), ())]))


def value_of(node: Any, name: str) -> Any:
    """The tensor that the node has saved under this name, or the setting. AttributeError if there is no such name; RuntimeError
    for what has been freed."""
    names, settings = node.function.saved_names, SETTINGS.get(node.name(), {})
    kept = None
    if name in names:
        if node._saved is None:
            raise RuntimeError(FREED)
        index = names.index(name)
        kept = node._saved[index] if index < len(node._saved) else None
    elif name not in settings:
        raise AttributeError(name)
    if kept is not None:
        return kept.unpack(node)
    return settings[name](node) if name in settings else None


Setting = Callable[[Any], Any]  # of a node


def _shape(number: int = 0) -> Setting:
    """The shape of this input of the operation; None if it is not in the graph."""

    def shape(node: Any) -> Any:
        behind, nr = node.next_functions[number] if number < len(node.next_functions) else (None, 0)
        return None if behind is None else tuple(behind.input_metadata[nr][0])

    return shape


def _attribute(name: str) -> Setting:
    return lambda node: getattr(node, name)


def _part(name: str, index: int) -> Setting:
    return lambda node: getattr(node, name)[index]


def _parts(name: str, names: str) -> dict[str, Setting]:
    """Settings that stand in this order in a tuple on the node."""
    return {part: _part(name, index) for index, part in enumerate(names.split())}


def _reduction(how: Setting) -> dict[str, Setting]:
    return {"reduction": lambda node: ("none", "mean", "sum").index(how(node))}


def _number(node: Any) -> Any:
    """A Python number, as the 0-d tensor that PyTorch saves."""
    number = node.number
    if number is None:
        return None
    return Tensor.wrap(np.asarray(number, np.float64 if isinstance(number, float) else None))


def _output_padding(node: Any) -> tuple[int, ...]:
    """How much longer the result of a transposed convolution is than it would have to be."""
    if not node.function.__name__.startswith("ConvTranspose"):
        return (0, 0)
    x, weight = (kept.array.shape[2:] for kept in node.saved_tensors)
    out = node.input_metadata[0][0][2:]
    numbers = [setting[-len(out) :] for setting in node.geometry[:3]]  # of one dimension or of two
    least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in zip(x, weight, *numbers, strict=True)]
    return tuple(n - m for n, m in zip(out, least, strict=True))


def _widths(node: Any) -> tuple[int, ...]:
    """Of the last dimension first, as `pad` takes them."""
    count = int(node.name()[-len("1DBackward0")])
    return tuple(width for pair in reversed(node.widths[-count:]) for width in pair)


def _range(node: Any) -> slice:
    return node.key[-2]


_DIM = {"dim": _attribute("dim")}
_SIZES = {"self_sym_sizes": _shape()}
_REDUCED = {"dim": _attribute("dims"), "keepdim": _attribute("keepdim")}
_EXTREME = _DIM | _SIZES | {"keepdim": _attribute("keepdim")}
_WINDOWS = _parts("geometry", "kernel_size stride padding dilation")
_RESIZED = {"output_size": lambda node: tuple(axis[1] for axis in node.options[0])} | _SIZES
_RESIZED_1D = _RESIZED | {"scales": lambda node: node.options[0][0][2]}
_RESIZED_2D = _RESIZED | {f"scales_{'hw'[i]}": lambda node, i=i: node.options[0][i][2] for i in range(2)}
_CORNERS = {"align_corners": _part("options", 2)}
_FAR = 2**63 - 1  # where a range without an end ends

SETTINGS: dict[str, dict[str, Setting]] = {
    "AddBackward0": {"alpha": _attribute("alpha")},
    "AddcdivBackward0": {"value": _attribute("factor")},
    "AddcmulBackward0": {"value": _attribute("factor")},
    "AddmmBackward0": {"alpha": lambda node: 1, "beta": lambda node: 1},
    "AmaxBackward0": _REDUCED,
    "AminBackward0": _REDUCED,
    "BaddbmmBackward0": {"alpha": lambda node: 1, "beta": lambda node: 1},
    "AvgPool2DBackward0": _parts("options", "kernel_size stride padding ceil_mode count_include_pad divisor_override"),
    "BinaryCrossEntropyBackward0": _reduction(_attribute("how")),
    "BinaryCrossEntropyWithLogitsBackward0": _reduction(_attribute("how")),
    "CatBackward0": _DIM,
    "ClampBackward1": {"min": _attribute("low"), "max": _attribute("high")},
    "ClampMaxBackward0": {"max": _attribute("high")},
    "ClampMinBackward0": {"min": _attribute("low")},
    "ChannelShuffleBackward0": _parts("options", "groups"),
    "Col2ImBackward0": _WINDOWS,
    "ConvolutionBackward0": {
        **_parts("geometry", "stride padding dilation groups"),
        "transposed": lambda node: node.function.__name__.startswith("ConvTranspose"),
        "output_padding": _output_padding,
        "bias_sym_sizes_opt": lambda node: _shape(2)(node) or (0,),
    },
    "CumsumBackward0": _DIM,
    "DiagonalBackward0": _SIZES | _parts("place", "offset dim1 dim2"),
    "DivBackward0": {"other": _number},
    "CeluBackward0": _parts("options", "alpha"),
    "EluBackward0": _parts("options", "alpha scale") | {"input_scale": lambda node: 1},
    "EmbeddingBackward0": {
        **_parts("options", "weight_sym_argsize_0 padding_idx scale_grad_by_freq"),
        "padding_idx": lambda node: (-1 if node.options[1] is None else node.options[1]) % 2**64,
        "sparse": lambda node: False,
    },
    "ExpandBackward0": _SIZES,
    "FlipBackward0": _parts("args", "dims"),
    "GatherBackward0": _DIM | {"sparse_grad": lambda node: False},
    "GeluBackward0": _parts("options", "approximate"),
    "GridSampler2DBackward0": {
        "interpolation_mode": lambda node: ("bilinear", "nearest", "bicubic").index(node.options[0]),
        "padding_mode": lambda node: ("zeros", "border", "reflection").index(node.options[1]),
        "align_corners": _part("options", 2),
    },
    "HardshrinkBackward0": _parts("options", "lambd"),
    "HardtanhBackward0": _parts("options", "min_val max_val"),
    "HuberLossBackward0": _reduction(_part("options", 0)) | {"delta": _part("options", 1)},
    "Im2ColBackward0": _WINDOWS,
    "IndexAddBackward0": _DIM | {"alpha": _attribute("alpha")},
    "IndexBackward0": _SIZES,
    "IndexCopyBackward0": _DIM,
    "IndexFillBackward0": _DIM,
    "IndexFillBackward1": _DIM,
    "IndexPutBackward0": {"accumulate": _attribute("accumulate")},
    "IndexSelectBackward0": _SIZES | {"dim": lambda node: len(node.key) - 1},
    "LeakyReluBackward0": {"negative_slope": lambda node: float(node.slope)},
    "LerpBackward0": {"weight": _attribute("weight")},
    "LogitBackward0": {"eps": _attribute("eps")},
    "LinalgVectorNormBackward0": _REDUCED | {"ord": _attribute("p")},
    "LogSoftmaxBackward0": _DIM,
    "LogsumexpBackward0": _REDUCED,
    "MaxBackward0": _EXTREME,
    "MaxPool2DWithIndicesBackward0": _WINDOWS | {"ceil_mode": _attribute("ceil_mode")},
    "MeanBackward0": _SIZES | {"self_sym_numel": lambda node: math.prod(_shape()(node))},
    "MeanBackward1": _REDUCED | _SIZES | {"self_sym_numel": lambda node: math.prod(_shape()(node))},
    "MinBackward0": _EXTREME,
    "MseLossBackward0": _reduction(_part("options", 0)),
    "MulBackward0": {"other": _number},
    "NansumBackward0": {"keepdim": _attribute("keepdim")},
    "NativeBatchNormBackward0": _parts("options", "training eps"),
    "PermuteBackward0": {"dims": lambda node: tuple(np.argsort(node.back).tolist())},
    "PixelShuffleBackward0": _parts("options", "upscale_factor"),
    "PixelUnshuffleBackward0": _parts("options", "downscale_factor"),
    "PowBackward0": {"exponent": _attribute("exponent")},
    "PowBackward2": {"self": _attribute("number")},
    "ProdBackward1": {"dim": _part("dims", 0), "keepdim": _attribute("keepdim")},
    "ReflectionPad1DBackward0": {"padding": _widths},
    "ReflectionPad2DBackward0": {"padding": _widths},
    "RepeatBackward0": _SIZES | {"repeats": _attribute("repeats")},
    "ReplicationPad1DBackward0": {"padding": _widths},
    "ReplicationPad2DBackward0": {"padding": _widths},
    "ReshapeAliasBackward0": _SIZES,
    "RollBackward0": {"shifts": _attribute("shifts"), "dims": lambda node: node.dims or ()},
    "Rot90Backward0": {"k": _attribute("k"), "dims": _attribute("dims")},
    "RsubBackward1": {"alpha": lambda node: 1},
    "ScatterAddBackward0": _DIM,
    "ScatterBackward0": _DIM,
    "SelectBackward0": _SIZES | {"dim": lambda node: len(node.key) - 2, "index": lambda node: node.key[-2]},
    "SliceBackward0": _SIZES
    | {
        "dim": lambda node: len(node.key) - 2,
        "start": lambda node: _range(node).start or 0,
        "end": lambda node: _FAR if _range(node).stop is None else _range(node).stop,
        "step": lambda node: _range(node).step or 1,
    },
    "SmoothL1LossBackward0": _reduction(_part("options", 0)) | {"beta": _part("options", 1)},
    "SoftmaxBackward0": {"dim": lambda node: node.dim or 0},
    "SoftplusBackward0": _parts("options", "beta threshold"),
    "SortBackward0": _DIM | _SIZES,
    "SplitBackward0": _DIM | _SIZES,
    "SplitWithSizesBackward0": _DIM | _SIZES,
    "SqueezeBackward0": _SIZES,
    "SqueezeBackward1": _SIZES | {"dim": lambda node: node.dims[0] if node.dims else None},
    "SqueezeBackward2": _SIZES | {"dim": _attribute("dims")},
    "StackBackward0": _DIM,
    "StdMeanBackward0": {"keepdim": _attribute("keepdim")},
    "StdBackward0": {"keepdim": _attribute("keepdim")},
    "SoftshrinkBackward0": _parts("options", "lambd"),
    "SubBackward0": {"alpha": lambda node: -node.alpha},
    "SumBackward0": _SIZES,
    "SumBackward1": _REDUCED | _SIZES,
    "ThresholdBackward0": {"threshold": _attribute("threshold")},
    "TopkBackward0": _DIM | _SIZES,
    "TransposeBackward0": _parts("dims", "dim0 dim1"),
    "TrilBackward0": _parts("args", "diagonal"),
    "TriuBackward0": _parts("args", "diagonal"),
    "UnbindBackward0": _DIM,
    "UnfoldBackward0": _SIZES | _parts("window", "dimension size step"),
    "UnsafeViewBackward0": _SIZES,
    "UnsqueezeBackward0": _DIM,
    "UpsampleBicubic2DAaBackward0": _RESIZED_2D | _CORNERS,
    "UpsampleBicubic2DBackward0": _RESIZED_2D | _CORNERS,
    "UpsampleBilinear2DAaBackward0": _RESIZED_2D | _CORNERS,
    "UpsampleBilinear2DBackward0": _SIZES | _parts("options", "output_size align_corners"),
    "UpsampleLinear1DBackward0": _RESIZED_1D | _CORNERS,
    "UpsampleNearest1DBackward0": _RESIZED_1D,
    "UpsampleNearestExact1DBackward0": _RESIZED_1D,
    "UpsampleNearestExact2DBackward0": _RESIZED_2D,
    "UpsampleNearest2DBackward0": _SIZES | _parts("options", "output_size"),
    "VarMeanBackward0": {"keepdim": _attribute("keepdim")},
    "VarBackward0": {"keepdim": _attribute("keepdim")},
    "ViewBackward0": _SIZES,
}  # what PyTorch tells of an operation's settings, by the name of its node
