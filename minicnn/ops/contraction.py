"""`einsum`: products of tensors summed over what their dimensions have in common, by the matrix product."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from minicnn._tensor import Tensor, typename
from minicnn.ops import arithmetic, linear, reduction, shape

__all__ = ["einsum"]

Label = Hashable  # of a dimension: a letter, or ("...", which one of those that the ellipsis stands for)


def einsum(*args: Any) -> Tensor:
    """Products of the operands' numbers, summed over the labels of dimensions that the result does not have.

    "bij,bjk->bik" is a product of matrices for each b, "ii->i" a diagonal, "ij->" a sum. "..." stands for the dimensions
    without labels. Without "->" the result has what the ellipsis covers, then the labels that stand once, in alphabetical order.

    Args:
        args: the equation and the operands; or each operand and the list of its labels, numbers below 52, and perhaps the result's.

    Raises:
        RuntimeError: the equation is malformed or does not fit the operands; dimensions of one label have different sizes.
        ValueError: no operand, or a label out of range.
    """
    equation, operands = _arguments(args)
    left, arrow, right = equation.partition("->")
    labels = _labels_of(left, operands)
    covered = max(
        (t.array.ndim - len(own) + 1 for t, own in zip(operands, labels, strict=True) if "..." in own), default=0
    )
    seen = {label: sum(own.count(label) for own in labels) for own in labels for label in own if label != "..."}
    if arrow:
        kept = _result_labels(right, seen, len(left) + 2)
    else:
        kept = ["...", *sorted(label for label, count in seen.items() if count == 1)]
    summed = [] if "..." in kept else ["..."]
    summed += sorted(set(seen) - set(kept))
    out = list(_spread(kept, covered, covered))
    order = [*out, *_spread(summed, covered, covered)]
    aligned = []
    sizes: dict[Label, int] = {}
    for number, (tensor, own) in enumerate(zip(operands, labels, strict=True)):
        spread = list(_spread(own, covered, tensor.array.ndim - len(own) + 1))
        aligned.append(_aligned(tensor, spread, order, sizes, number))
    return _contracted(aligned, len(out))


def _arguments(args: tuple) -> tuple[str, list[Tensor]]:
    """The equation and the operands."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], Tensor):
        equation = ",".join("".join(map(_letter, labels)) for labels in args[1::2])
        odd = len(args) % 2
        if odd:
            equation += "->" + "".join(map(_letter, args[-1]))
        return equation, list(args[: len(args) - odd : 2])
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    for i, operand in enumerate(operands):
        if not isinstance(operand, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 1, but got {typename(operand)}")
    return equation, operands


def _letter(label: Any) -> str:
    """The label that a number stands for."""
    if label is Ellipsis:
        return "..."
    if not 0 <= label < 52:
        raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return chr(ord("A") + label if label < 26 else ord("a") + label - 26)


def _labels_of(left: str, operands: Sequence[Tensor]) -> list[list[str]]:
    """The labels of each operand, as many as it has dimensions, or an ellipsis for those that have none."""
    parts, start = left.split(","), 0
    labels = []
    for i, part in enumerate(parts):
        if i == len(operands):
            raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
        labels.append(
            _read(part, start, f"for operand {i} ", "for which an ellipsis was already found", "any ellipsis")
        )
        start += len(part) + 1
    if len(parts) < len(operands):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    for i, (own, operand) in enumerate(zip(labels, operands, strict=True)):
        several, ndim = "..." in own, operand.array.ndim
        count = len(own) - several
        if count > ndim if several else count != ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({count}"
                + (
                    ") is more than the number of dimensions ("
                    if several
                    else ") does not match the number of dimensions ("
                )
                + f"{ndim}) for operand {i}"
                + ("" if several else " and no ellipsis was given")
            )
    return labels


def _result_labels(right: str, seen: dict[str, int], start: int) -> list[str]:
    """The labels behind the arrow, each of them once and seen before."""
    labels = _read(right, start, "for output ", "but an ellipsis (...) was already found", "any ellipsis (...)")
    for i, label in enumerate(labels):
        if label != "..." and (label not in seen or label in labels[:i]):
            what = (
                "appears more than once in the output"
                if label in seen
                else "does not appear in the equation for any input operand"
            )
            raise RuntimeError(f"einsum(): output subscript {label} {what}")
    return labels


def _read(part: str, start: int, whose: str, twice: str, some: str) -> list[str]:
    """Letters and at most one ellipsis. `start`: where the part begins in the equation; the rest: for error texts."""
    labels: list[str] = []
    i = 0
    while i < len(part):
        if part[i] == ".":
            if "..." in labels:
                raise RuntimeError(f"einsum(): found '.' {whose}{twice}")
            if part[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' {whose}that is not part of {some}")
            labels.append("...")
            i += 2
        elif part[i].isascii() and part[i].isalpha():
            labels.append(part[i])
        elif part[i] != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {start + i} in the equation string, subscripts must be in "
                "[a-zA-Z]"
            )
        i += 1
    return labels


def _spread(labels: Sequence[str], covered: int, own: int) -> Iterator[Label]:
    """The ellipsis as `own` labels, the last ones of `covered`."""
    for label in labels:
        if label == "...":
            yield from (("...", k) for k in range(covered - own, covered))
        else:
            yield label


def _aligned(tensor: Tensor, labels: list[Label], order: list[Label], sizes: dict[Label, int], number: int) -> Tensor:
    """With one dimension for each label in `order`, of length 1 where it has none; of repeated labels the diagonal.

    `sizes`: of the labels of the operands before, which it is checked against and joins.
    """
    places: list[Label] = []
    for label in labels:
        place, size = len(places), tensor.array.shape[len(places)]
        if label in places:
            first = places.index(label)
            if tensor.array.shape[first] != size:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes don't match, {size} != "
                    f"{tensor.array.shape[first]}"
                )
            tensor = shape.movedim(shape.diagonal(tensor, 0, first, place), -1, first)
            continue
        places.append(label)
        before = sizes.get(label, 1)
        if size != 1 != before != size:
            if isinstance(label, tuple):
                raise RuntimeError(
                    f"einsum(): dimension {labels.index(label)} covered by ellipsis in operand {number}has size {size} which "
                    f"does not broadcast with previously seen ellipsis with size {before} for the respective dimension"
                )
            raise RuntimeError(
                f"einsum(): subscript {label} has size {size} for operand {number} which does not broadcast with "
                f"previously seen size {before}"
            )
        sizes[label] = size if before == 1 else before
    for label in order:
        if label not in places:
            places.append(label)
            tensor = shape.unsqueeze(tensor, -1)
    return shape.permute(tensor, [places.index(label) for label in order])


def _contracted(tensors: list[Tensor], kept: int) -> Tensor:
    """The product of tensors of as many dimensions, the first `kept` of which stay: two by two, summed over what is not needed."""
    ndim = tensors[0].array.ndim
    if len(tensors) == 1:
        return reduction.sum(tensors[0], list(range(kept, ndim))) if ndim > kept else tensors[0]
    counts = [sum(tensor.array.shape[d] != 1 for tensor in tensors) for d in range(ndim)]
    product, *others = tensors
    for other in others:
        common: list[int] = []
        alone: tuple[list[int], list[int]] = [], []
        for d in range(kept, ndim):
            has = [tensor.array.shape[d] != 1 for tensor in (product, other)]
            counts[d] -= all(has)
            if counts[d] == 1 and any(has):
                (common if all(has) else alone[has.index(True)]).append(d)
                counts[d] = 0
        product, other = (
            reduction.sum(t, dims, True) if dims else t for t, dims in zip((product, other), alone, strict=True)
        )
        product = _product(product, other, common)
    return shape.view(product, product.array.shape[:kept]) if ndim > kept else product


def _product(left: Tensor, right: Tensor, summed: list[int]) -> Tensor:
    """left * right, summed over these dimensions, which stay with length 1: a product of matrices for what both have."""
    if not summed:
        return arithmetic.mul(left, right)
    a, b = left.array.shape, right.array.shape
    free = [d for d in range(len(a)) if d not in summed]
    batch = [d for d in free if a[d] != 1 and b[d] != 1]
    rows = [d for d in free if a[d] != 1 and b[d] == 1]
    columns = [d for d in free if a[d] == 1]
    first = shape.permute(left, [*batch, *rows, *summed, *columns])
    second = shape.permute(right, [*batch, *summed, *columns, *rows])
    sides = [math.prod(sizes[d] for d in dims) for sizes, dims in ((a, batch), (a, rows), (a, summed), (b, columns))]
    first, second = shape.reshape(first, sides[:3]), shape.reshape(second, [sides[0], *sides[2:]])
    order = [*batch, *rows, *summed, *columns]
    lengths = [a[d] for d in (*batch, *rows)] + [1] * len(summed) + [b[d] for d in columns]
    return shape.permute(shape.view(linear.bmm(first, second), lengths), [order.index(d) for d in range(len(a))])
