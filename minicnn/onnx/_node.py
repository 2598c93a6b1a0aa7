"""One node of a file, as those see it that build a module of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from minicnn._tensor import Tensor
from minicnn.nn import Module
from minicnn.onnx._file import Shape, array_of, held
from minicnn.serialization import WeightsError

MOST_NUMBERS = 2**28  # in a tensor whose size is a number in the file
MOST_SIDE = 2**16  # of a window, its padding or its steps

Compute = Callable[..., Any]
Builder = Callable[["Node"], "Module | Compute"]  # a layer, which takes the first input, or a function of all inputs


class Node:
    """An operator with its attributes and what is known of its inputs.

    constants: of each input the tensor, or None if it is computed or left out. shapes, kinds: of each value that is known, its
    shape and the standard's number for its type. parameter_of: gives the one Parameter of a constant.
    """

    def __init__(
        self,
        proto: Any,
        opset: int,
        constants: Sequence[Tensor | None],
        shapes: dict[str, Shape],
        kinds: dict[str, int],
        parameter_of: Callable[[Tensor], Any],
    ) -> None:
        self.proto, self.op, self.opset = proto, proto.op_type, opset
        self.kinds, self.parameter_of = kinds, parameter_of
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        while self.outputs and not self.outputs[-1]:
            self.outputs.pop()
        self.constants, self.shapes = constants, shapes
        self.attributes = {entry.name: entry for entry in proto.attribute}

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute: a number, a str, a list of numbers, a tensor; `default` if the node does not have it."""
        if name not in self.attributes:
            return default
        entry = self.attributes[name]
        if entry.type == onnx.AttributeProto.TENSOR:
            return held(array_of(entry.t))
        value = onnx.helper.get_attribute_value(entry)
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if default is not None and not isinstance(
            value, (int, float) if isinstance(default, int | float) else type(default)
        ):
            raise self.error(f"{name} is {value!r:.60}")
        return value

    def has(self, i: int) -> bool:
        """Whether the input is there."""
        return i < len(self.inputs) and bool(self.inputs[i])

    def gives(self, i: int) -> bool:
        """Whether the output is wanted."""
        return i < len(self.outputs) and bool(self.outputs[i])

    def constant(self, i: int) -> Tensor | None:
        """The input as a tensor, if the file has its numbers."""
        return self.constants[i] if self.has(i) else None

    def fixed(self, *places: int) -> bool:
        """Whether these inputs are constant or left out."""
        return all(not self.has(i) or self.constant(i) is not None for i in places)

    def shape(self, i: int = 0) -> Shape | None:
        """Of an input, with None for each length that is not fixed; None if nothing is known of it."""
        constant = self.constant(i)
        if constant is not None:
            return tuple(constant.shape)
        return self.shapes.get(self.inputs[i]) if self.has(i) else None

    def kind(self, i: int = 0) -> int:
        """The standard's number for the type of an input; 0 if it is not known."""
        return self.kinds.get(self.inputs[i], 0) if self.has(i) else 0

    def rank(self, i: int = 0) -> int | None:
        """The number of dimensions of an input, if it is known."""
        shape = self.shape(i)
        return None if shape is None else len(shape)

    def numbers(self, name: str, count: int, default: Sequence[int], least: int = 1) -> list[int]:
        """A list attribute of so many whole numbers of a window: kernel_shape, strides, dilations, pads."""
        values = self.attr(name, list(default))
        if not isinstance(values, list) or len(values) != count:
            raise self.error(f"{name} has {values!r:.60}, and {count} numbers are needed")
        if not all(least <= v <= MOST_SIDE for v in values):
            raise self.error(f"{name} is {values!r:.60}: from {least} to {MOST_SIDE} is read")
        return values

    def error(self, why: str) -> WeightsError:
        """An error that says which node it is."""
        return WeightsError(f"{self}: {why}")

    def __str__(self) -> str:
        name = self.proto.name or (self.outputs[0] if self.outputs else "")
        domain = f"{self.proto.domain}." if self.proto.domain else ""
        return f"{domain}{self.op} (node {name!r:.80}, opset {self.opset}, first input {shown(self.shape())})"


def shown(shape: Shape | None) -> str:
    """(1, 3, ?, ?): a shape, with a question mark for each length that is not fixed."""
    if shape is None:
        return "of unknown shape"
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"


def ints(values: Tensor | Sequence[int]) -> list[int]:
    """The numbers of a tensor, for a shape, axes, places."""
    if isinstance(values, Tensor):
        return [int(v) for v in values.array.reshape(-1)]
    return [int(v) for v in values]


def number(value: Tensor) -> Any:
    """The first number of a tensor that holds one."""
    return value.array.reshape(-1)[0].item()


def wrapped(array: Any, kind: Any = None) -> Tensor:
    """A tensor of a new array."""
    return Tensor.wrap(np.ascontiguousarray(array, kind).reshape(np.shape(array)))


def check_size(shape: Sequence[int]) -> None:
    """RuntimeError if a tensor whose shape the file states is too large to be meant."""
    if math.prod(shape) > MOST_NUMBERS or any(n < 0 for n in shape):
        raise WeightsError(
            f"the file asks for a tensor of {str(list(shape))[:80]}, and {MOST_NUMBERS:,} numbers are the most"
        )
