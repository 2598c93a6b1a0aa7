"""Shapes and types of what nodes give, as far as they follow from those of what they take."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from minicnn.onnx._file import Shape
from minicnn.onnx._node import Node, ints
from minicnn.onnx._windows import Window

INT64 = onnx.TensorProto.INT64
SPATIAL = (
    "MaxPool",
    "AveragePool",
    "LpPool",
    "Resize",
    "Upsample",
    "DepthToSpace",
    "SpaceToDepth",
    "MaxUnpool",
    "GridSample",
    "Pad",
)
BROADCAST = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Mod",
    "Sum",
    "Mean",
    "Max",
    "Min",
    "Where",
    "MatMul",
    "Equal",
    "Less",
    "Greater",
)


def shape_of(node: Node) -> Shape | None:
    """The shape of the first output, with None for what is not known; None if not even the number of dimensions is."""
    x, op = node.shape(), node.op
    if op == "Reshape":
        sizes = node.attr("shape") if node.constant(1) is None else ints(node.constant(1))  # type: ignore[arg-type]
        return None if sizes is None else tuple(n if n > 0 else None for n in sizes)
    if op in ("ConstantOfShape", "Expand"):
        sizes = node.constant(1 if op == "Expand" else 0)
        return None if sizes is None else (None,) * max(len(ints(sizes)), len(x or ()) if op == "Expand" else 0)
    if x is None:
        return None
    if op in ("Conv", "ConvTranspose"):
        weight = node.shape(1) or (None,) * len(x)
        if op == "Conv":
            return (x[0], weight[0], *_sizes(node, x, weight[2:]))
        return (x[0], (weight[1] or 0) * node.attr("group", 1) or None, *(None,) * (len(x) - 2))
    if op in ("MaxPool", "AveragePool", "LpPool"):
        return (*x[:2], *_sizes(node, x, node.attr("kernel_shape", [])))
    if op.startswith("Global"):
        return (*x[:2], *(1,) * (len(x) - 2))
    if op in SPATIAL:
        return (*(x[:2] if "Space" not in op and op != "Pad" else (x[0], None)), *(None,) * (len(x) - 2))
    if op in ("Gemm", "Flatten"):
        return (x[0], None)
    if op in BROADCAST or op.endswith("OrEqual"):
        shapes = [node.shape(i) for i in range(len(node.inputs))]
        return None if None in shapes else _broadcast([shape for shape in shapes if shape is not None], op == "MatMul")
    if op in ("Squeeze", "Unsqueeze") or op.startswith(("Reduce", "Arg")):
        return _other_rank(node, x)
    if op == "Gather":
        places = node.shape(1)
        return None if places is None else (None,) * (len(x) + len(places) - 1)
    if op in ("Shape", "Size", "NonZero", "GatherND", "OneHot", "Einsum", "Range", "NonMaxSuppression"):
        return (None,) if op == "Shape" else None
    if op == "Transpose":
        return tuple(x[d] for d in node.attr("perm", list(range(len(x)))[::-1]))
    if op in ("Concat", "Slice", "Split", "Tile", "TopK", "GatherElements"):
        return (x[0] if node.attr("axis", 1) % len(x) else None, *(None,) * (len(x) - 1)) if x else x
    return x


def _sizes(node: Node, x: Shape, kernel: Sequence[int | None]) -> Shape:
    """Height and width behind a window."""
    if None in x[2:] or None in kernel or node.attr("ceil_mode", 0) or len(kernel) != len(x) - 2:
        return (None,) * (len(x) - 2)
    sizes, window = [n or 0 for n in x[2:]], Window(node, kernel)  # type: ignore[arg-type]
    lists = sizes, window.pads(sizes), window.extents, window.strides
    return tuple((n + low + high - e) // s + 1 for n, (low, high), e, s in zip(*lists, strict=True))


def _broadcast(shapes: list[Shape], matrices: bool) -> Shape:
    """Of shapes that are broadcast, as far as it is clear; of a product of matrices the number of dimensions."""
    rank = max(map(len, shapes))
    whole = [(*(1,) * (rank - len(shape)), *shape) for shape in shapes]
    if matrices:
        return (whole[0][0] if len(shapes[0]) == rank else None, *(None,) * (rank - 1))
    found: list[int | None] = []
    for lengths in zip(*whole, strict=True):
        known = [n for n in lengths if n not in (1, None)]
        found.append(known[0] if known else None if None in lengths else 1)
    return tuple(found)


def _other_rank(node: Node, x: Shape) -> Shape | None:
    """Of operators that take dimensions away or add some."""
    axes = node.attr("axes")
    if axes is None and node.constant(1) is not None:
        axes = ints(node.constant(1))  # type: ignore[arg-type]
    if node.op.startswith("Arg"):
        axes = [node.attr("axis", 0)]
    if node.op == "Unsqueeze":
        return None if axes is None else (None,) * (len(x) + len(axes))
    if node.op != "Squeeze" and node.attr("keepdims", 1):
        return (x[0] if axes and all(a % len(x) for a in axes) else None, *(None,) * (len(x) - 1)) if x else x
    return None if axes is None else tuple(n for d, n in enumerate(x) if d not in [a % len(x) for a in axes])


def kind_of(node: Node, i: int) -> int:
    """The standard's number for the type of an output, 0 if it is not known: by what the standard says of its operators."""
    schema = onnx.defs.get_schema(node.op, node.opset)
    for name in ("to", "dtype", "output_dtype"):
        if name in node.attributes and i == 0:
            return node.attr(name)
    stated = schema.outputs[min(i, len(schema.outputs) - 1)].type_str
    if stated.startswith("tensor("):
        return onnx.TensorProto.DataType.Value(stated[7:-1].upper())
    for j, formal in enumerate(schema.inputs):
        if formal.type_str == stated:
            return node.kind(j)
    return {"Shape": INT64, "Size": INT64}.get(node.op, 0)
