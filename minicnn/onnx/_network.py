"""The network of a file: its nodes as modules, which are called in the file's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import onnx

from minicnn._tensor import Tensor
from minicnn.autograd import no_grad
from minicnn.models._meta import ASSUMED, IMAGENET, ModelMeta
from minicnn.nn import Module, Parameter
from minicnn.onnx._file import STANDARD, File, Shape, naming
from minicnn.onnx._inference import kind_of, shape_of
from minicnn.onnx._names import dotted_names
from minicnn.onnx._node import Compute, Node, shown
from minicnn.onnx._table import NOT_FOLDED, OPERATORS
from minicnn.serialization import WeightsError

BATCH = "\0batch"  # the name of a value: how many images the call was given
TO_CHANNELS_FIRST = [0, 3, 1, 2]
MOST_BEFORE_TURNING = 10  # operators that prepare an image
MOST_PIXELS = 4096  # of a side that the file states, to draw with


class Operator(Module):
    """A node for which there is no layer: a function of tensors. Those that the file states are its parameters and buffers."""

    def __init__(self, node: Node, compute: Compute, own: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.op, self.attributes = node.op, _described(node)
        self._compute = compute
        self._places: list[str | None] = [None] * len(
            node.inputs
        )  # of each input the name of the constant, if it is one
        self._given = [node.has(i) and i not in own for i in range(len(node.inputs))]
        for i, tensor in own.items():
            name = _input_name(node, i)
            while hasattr(self, name):
                name += "_"
            self._places[i] = name
            if isinstance(tensor, Parameter):
                self.register_parameter(name, tensor)
            else:
                self.register_buffer(name, tensor)

    def forward(self, *inputs: Tensor) -> Any:
        """The node's outputs: a tensor, or a tuple. inputs: those that are computed, in order."""
        rest = iter(inputs)
        arguments = [
            next(rest) if given else None if name is None else getattr(self, name)
            for name, given in zip([*self._places, None], self._given, strict=False)
        ]
        return self._compute(*arguments)

    def _get_name(self) -> str:
        return self.op

    def extra_repr(self) -> str:
        return self.attributes


class Step(NamedTuple):
    """A call of a module: its dotted name, the values that it takes and gives, those that nobody needs afterwards."""

    module: str
    inputs: list[str]
    outputs: list[str]
    done: list[str]


class Scope(Module):
    """A scope of the exporter: the nodes in it, and what they give, which passes through it if it is one value."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Network(Module):
    """What `minicnn.onnx.load` returns. inputs: {name: shape, None for what is not fixed}; outputs: their names."""

    meta: ModelMeta

    def __init__(self, inputs: dict[str, Shape | None], outputs: list[str], turned: frozenset[str]) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self._turned = turned  # the file wants these images as (N, H, W, C)
        self._steps: list[Step] = []
        self._alias: dict[str, str] = {}  # a value that is another one by another name
        self._constants: dict[str, str] = {}  # the names of buffers for values that the file states

    def forward(self, *inputs: Tensor, **by_name: Tensor) -> Any:
        """inputs: in the order of `self.inputs`, or by their names; an image as (N, C, H, W)."""
        given = dict(zip(self.inputs, inputs, strict=False)) | by_name
        if len(inputs) + len(by_name) != len(given) or given.keys() != self.inputs.keys():
            wanted = ", ".join(f"{name} {shown(shape)}" for name, shape in self.inputs.items())
            raise ValueError(
                f"the network takes {wanted}; it was given {len(inputs)} by place and {list(by_name)} by name"
            )
        values: dict[str, Any] = {name: getattr(self, buffer) for name, buffer in self._constants.items()}
        values[BATCH] = next((value.shape[0] for value in given.values() if value.dim()), 1)
        for name, value in given.items():
            values[name] = value.permute(0, 2, 3, 1) if name in self._turned and value.dim() == 4 else value
        for step in self._steps:
            arguments = [values[name] for name in step.inputs]
            result = self._call(step, arguments)
            results = result if isinstance(result, tuple | list) else [result]
            if len(results) < len(step.outputs):
                raise RuntimeError(f"{step.module} gives {len(results)} values, and the file names {len(step.outputs)}")
            values |= {name: value for name, value in zip(step.outputs, results, strict=False) if name}
            for name in step.done:
                del values[name]
        results = tuple(values[self._alias.get(name, name)] for name in self.outputs)
        return results if len(results) > 1 else results[0]

    def _call(self, step: Step, arguments: list[Tensor]) -> Any:
        try:
            return self.get_submodule(step.module)(*arguments)
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            shapes = ", ".join(shown(tuple(value.shape)) for value in arguments if isinstance(value, Tensor))
            wanted = ", ".join(shown(shape) for shape in self.inputs.values())
            if type(error) not in (RuntimeError, IndexError, ValueError, TypeError, WeightsError):  # a hook's own
                raise
            place = f"(in {step.module}, which was given {shapes}; the file states inputs {wanted})"
            raise type(error)(f"{error} {place}") from error


def read(path: Path) -> Network:
    """The network of a file, in eval mode."""
    with naming(path):
        file = File(path)
        network = _Reader(file).network
    network.eval()
    return network


class _Reader:
    """Goes through the nodes once: what depends on constants alone is computed, the rest becomes modules."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.constants = dict(file.constants)
        self.parameters: dict[int, Parameter] = {}  # by the tensor that the file states: tied weights stay tied
        self.alias: dict[str, str] = {}
        self.left = max(2**26, 4 * file.size)  # numbers that may be computed while the file is read
        self.readers: dict[str, list[Any]] = {}
        for proto in file.nodes:
            for name in set(proto.input):
                self.readers.setdefault(name, []).append(proto)
        inputs = {name: file.shapes.get(name) for name in file.inputs}
        self.fixed_batch = next((shape[0] for shape in inputs.values() if shape), None) == 1
        turned = frozenset(name for name, shape in inputs.items() if self._is_turned(name, shape))
        for name in turned:
            n, h, w, c = inputs[name] or (None,) * 4
            inputs[name] = n, c, h, w
        self.network = Network(inputs, file.outputs, turned)
        self.network.meta = _meta(file, inputs)
        self._build()

    def _is_turned(self, name: str, shape: Shape | None) -> bool:
        """Whether an image (N, H, W, C) is turned to (N, C, H, W) before anything but arithmetic looks at it."""
        if shape is None or len(shape) != 4:
            return False
        for _ in range(MOST_BEFORE_TURNING):
            readers = self.readers.get(name, [])
            turns = [n for n in readers if n.op_type == "Transpose" and self._node(n).attr("perm") == TO_CHANNELS_FIRST]
            if turns:
                return len(turns) == len(readers) and not {node.output[0] for node in turns} & set(self.file.outputs)
            if len(readers) != 1 or readers[0].op_type not in ("Sub", "Div", "Mul", "Add", "Cast", "Identity"):
                return False
            name = readers[0].output[0]
        return False

    def _node(self, proto: Any) -> Node:
        constants = [self.constants.get(name) for name in proto.input]
        return Node(proto, self.file.opset, constants, self.file.shapes, self.file.kinds, self._own)

    def _build(self) -> None:
        """Fold or build each node; at the end, before anything is computed that is not constant, say what is not read."""
        known, absent = set(self.file.inputs), {}  # type: set[str], dict[tuple[str, str], list[Node]]
        made: list[tuple[Node, Module | Compute]] = []
        for proto in self.file.nodes:
            proto.input[:] = [self.alias.get(name, name) for name in proto.input]
            node = self._node(proto)
            self._check_values(node, known)
            if proto.domain not in STANDARD or node.op not in OPERATORS:
                absent.setdefault((proto.domain, node.op), []).append(node)
                known.update(node.outputs)
                continue
            built = self._module(node)
            if built is None:
                continue
            made.append((node, built))
            known.update(filter(None, node.outputs))
        if absent:
            named = [f"{nodes[0]}{f', {len(nodes)} times' if len(nodes) > 1 else ''}" for nodes in absent.values()]
            raise WeightsError(f"it has operators that are not read: {'; '.join(named[:10])}")
        names = dotted_names([node.proto for node, _ in made])
        for name, (node, built) in zip(names, made, strict=True):
            self._add(name, node, built)
        self._finish(known)

    def _check_values(self, node: Node, known: set[str]) -> None:
        """Each value is given before it is taken, and once."""
        for name in filter(None, node.inputs):
            if name not in known and name not in self.constants and name not in self.alias:
                raise node.error(f"it takes {name!r:.80}, which nothing before it gives")
        for name in filter(None, node.outputs):
            if name in known or name in self.constants or name in self.alias:
                raise node.error(f"it gives {name!r:.80}, which is there already")

    def _module(self, node: Node) -> Module | Compute | None:
        """What the node becomes; None if its outputs are constants, or its input by another name."""
        try:
            schema = onnx.defs.get_schema(node.op, node.opset)
        except Exception:
            raise node.error(f"opset {node.opset} has no such operator") from None
        for i, formal in enumerate(schema.inputs):
            places = range(i, max(len(node.inputs), 1)) if formal.option.name == "Variadic" else [i]
            if formal.option.name != "Optional" and not all(map(node.has, places)):
                raise node.error(f"its input {formal.name!r} is left out")
        if len(node.inputs) > schema.max_input or len(node.outputs) > schema.max_output:
            raise node.error(
                f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs, more than the standard's"
            )
        try:
            for i, name in enumerate(node.outputs):
                self.file.kinds.setdefault(name, kind_of(node, i))
            if node.outputs and node.outputs[0] not in self.file.shapes and (shape := shape_of(node)) is not None:
                self.file.shapes[node.outputs[0]] = shape
            same = node.op == "Identity" or (node.op == "Cast" and node.attr("to") == node.kind())
            if same and not node.fixed(0):
                self.alias[node.outputs[0]] = node.inputs[0]
                return None
            built = OPERATORS[node.op](self._all_computed(node) if node.constant(0) is not None else node)
            return None if self._fold(node, built) else built
        except WeightsError:
            raise
        except Exception as error:  # attributes of a wrong type, constants that do not fit together
            raise node.error(f"it cannot be built: {str(error)[:200] or type(error).__name__}") from error

    def _all_computed(self, node: Node) -> Node:
        """The node as if nothing of it were constant, unless it will be folded: no layer has its input as a constant."""
        none: list[Tensor | None] = [None] * len(node.inputs)
        if node.op not in NOT_FOLDED:
            return node
        return Node(node.proto, self.file.opset, none, self.file.shapes, self.file.kinds, self._own)

    def _fold(self, node: Node, built: Module | Compute) -> bool:
        """Whether all that the node needs is constant, and its outputs were computed."""
        arguments = [node.constant(i) for i in range(len(node.inputs))]
        needed = len(arguments)
        if node.op == "CastLike" and node.kind(1):  # of the second input its type alone is asked
            needed = 1
        if node.op in NOT_FOLDED or not node.fixed(*range(needed)):
            return False
        size = sum(t.numel() for t in arguments if t is not None)
        if size > self.left:
            return False
        try:
            with no_grad():
                result = built(arguments[0]) if isinstance(built, Module) else built(*arguments)
        except WeightsError:  # too large: the network may never be called
            return False
        results = result if isinstance(result, tuple | list) else [result]
        self.left -= size + sum(t.numel() for t in results)
        for name, tensor in zip(node.outputs, results, strict=False):
            if name:
                self.constants[name], self.file.shapes[name] = tensor, tuple(tensor.shape)
        return True

    def _add(self, name: str, node: Node, built: Module | Compute) -> None:
        own = {i: t for i in range(len(node.inputs)) if (t := node.constant(i)) is not None}
        if isinstance(built, Module) and 0 not in own:
            module, inputs = built, node.inputs[:1]
        else:
            compute = (lambda x, *rest: built(x)) if isinstance(built, Module) else built
            module = Operator(node, compute, {i: self._own(t) for i, t in own.items()})
            inputs = [value for i, value in enumerate(node.inputs) if value and i not in own]
            if node.op == "Reshape" and self.fixed_batch:
                module._given.append(True)
                inputs.append(BATCH)
        parent, _, last = name.rpartition(".")
        _scope(self.network, parent).add_module(last, module)
        self.network._steps.append(Step(name, inputs, node.outputs, []))

    def _own(self, tensor: Tensor) -> Tensor:
        """The parameter for a constant of the file, one for all that use it; single numbers and whole numbers stay as they are."""
        if not tensor.dtype.is_floating_point or not tensor.dim():
            return tensor
        return self.parameters.setdefault(id(tensor), Parameter(tensor))

    def _finish(self, known: set[str]) -> None:
        """Which values die where; the constants that are outputs."""
        network = self.network
        network._alias = {name: self.alias.get(name, name) for name in network.outputs}
        ends = set(network._alias.values())
        for name in ends - known:
            if name not in self.constants:
                raise WeightsError(f"its output {name!r:.80} is given by no node")
            buffer = f"constant_{len(network._constants)}"
            network.register_buffer(buffer, self.constants[name])
            network._constants[name] = buffer
        self._call_scopes(ends)
        seen = ends | set(network.inputs) | {BATCH}
        for i in reversed(range(len(network._steps))):
            step = network._steps[i]
            done = [name for name in dict.fromkeys((*step.inputs, *filter(None, step.outputs))) if name not in seen]
            network._steps[i] = step._replace(done=done)
            seen.update(done)

    def _call_scopes(self, ends: set[str]) -> None:
        """A scope of which one value is used outside, after its last node, is called with this value there, so that hooks see it."""
        network, steps = self.network, self.network._steps
        scopes: dict[str, list[int]] = {}  # by name, the steps inside
        readers: dict[str, list[int]] = {}  # by value, the steps that take it
        for i, step in enumerate(steps):
            for name in step.inputs:
                readers.setdefault(name, []).append(i)
            for end in [at for at, letter in enumerate(step.module) if letter == "."]:
                scopes.setdefault(step.module[:end], []).append(i)
        calls: dict[int, list[Step]] = {}  # after which step
        for path in sorted(scopes, key=lambda path: -path.count(".")):  # from the inside
            inside = set(scopes[path])
            last = max(inside)
            given = dict.fromkeys(name for i in scopes[path] for name in steps[i].outputs if name)
            outside = {name: [i for i in readers.get(name, ()) if i not in inside] for name in given}
            used = [name for name, users in outside.items() if users or name in ends]
            if len(used) == 1 and all(i > last for i in outside[used[0]]) and isinstance(_scope(network, path), Scope):
                calls.setdefault(last, []).append(Step(path, used, used, []))
        network._steps = [each for i, step in enumerate(steps) for each in (step, *calls.get(i, ()))]


def _scope(network: Module, path: str) -> Module:
    """The container of this dotted name, made if it is not there."""
    for part in filter(None, path.split(".")):
        if part not in network._modules:
            network.add_module(part, Scope())
        network = network._modules[part]  # type: ignore[assignment]
    return network


def _input_name(node: Node, i: int) -> str:
    """What the standard calls this input."""
    inputs = onnx.defs.get_schema(node.op, node.opset).inputs
    name = inputs[min(i, len(inputs) - 1)].name.lower()
    return name if i < len(inputs) and inputs[i].option.name != "Variadic" else f"{name}_{i}"


def _described(node: Node) -> str:
    """The attributes that are short, for `print(model)`."""
    values = {name: node.attr(name) for name, entry in node.attributes.items() if entry.type in (1, 2, 3, 6, 7)}
    return ", ".join(f"{name}={value}" for name, value in values.items() if len(str(value)) < 60)


def _meta(file: File, inputs: dict[str, Shape | None]) -> ModelMeta:
    """How images enter: what the metadata state, the size of the first image among the inputs, and ImageNet's mean and std."""
    shape = next((shape for shape in inputs.values() if shape and len(shape) == 4), (None,) * 4)
    sizes = zip(shape[1:], IMAGENET.input_size, strict=True)
    channels, height, width = (n if n and n <= MOST_PIXELS else usual for n, usual in sizes)
    note = "an .onnx file does not state how images enter: ImageNet's mean and std are assumed"
    meta = replace(
        IMAGENET, architecture=file.path.stem, input_size=(channels, height, width), note=note, source=ASSUMED
    )
    if (height, width) != IMAGENET.input_size[1:]:
        meta = replace(meta, resize_size=None)
    if channels != 3:
        meta = replace(meta, mean=(0.5,) * channels, std=(0.5,) * channels, source="assumed: nothing states others")
    stated = ("mean", "std", "input_size", "resize_size", "interpolation", "channels_order", "categories")
    own = {key: file.metadata[key] for key in stated if key in file.metadata}
    try:
        return meta.updated(own, str(file.path))
    except WeightsError:  # somebody else's entries of these names
        return meta
