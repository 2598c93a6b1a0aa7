"""What a network is made of and how its layers are wired, from one forward pass with a hook on every module.

The pass shows what was really executed, so it serves any module: branches, skips and concatenations are followed through the
graph that autograd kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minicnn import Tensor, enable_grad, zeros
from minicnn.nn import Module
from minicnn.viz import receptive_fields
from minicnn.viz.geometry import Field
from minicnn.viz.network import EVERY, dtype_of, find_call, find_calls, find_module, frozen, run


@dataclass(frozen=True)
class ModuleCall:
    """A call of a module without children: its output's shape (N, ...), and where its units look, if that is known.

    name: the module's, with the number of the call if there are several: "relu#2". parameters: those of a tied module are counted
    at its first call.
    """

    name: str
    kind: str
    detail: str
    shape: tuple[int, ...]
    parameters: int
    field: Field | None


@dataclass(frozen=True)
class Connection:
    """A connection between two units of neighbouring layers with weights, as one of the two sees the other.

    layer, unit: the other one. share: of the squared weights of the later unit, how much lies on this connection.
    excites: whether these weights have a positive sum.
    """

    layer: str
    unit: int
    share: float
    excites: bool


class Survey:
    """The modules that a forward pass calls, in the order of the calls, and the connections between those with weights.

    shape: (N, C, H, W) of the image of zeros that is sent through.
    """

    def __init__(self, model: Module, shape: Iterable[int]) -> None:
        self.model, self.shape = model, tuple(shape)
        self._names = {module: name for name, module in reversed(list(model.named_modules(remove_duplicate=False)))}
        self._made: list[tuple[Any, str]] = []  # the graph node of each weighted call's output
        self._into: dict[str, list[str]] = {}  # weighted call: those whose outputs reach its input
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._times: Counter[Module] = Counter()
        self._pass()
        once = {f"{self._names[module]}#1": self._names[module] for module, times in self._times.items() if times == 1}
        self._shapes = {once.get(call, call): shape for call, shape in self._shapes.items()}
        self._into = {once.get(call, call): [once.get(c, c) for c in before] for call, before in self._into.items()}
        fields = self._fields()
        self.calls = [self._call(name, shape, fields.get(name)) for name, shape in self._shapes.items()]
        self._blocks = list(self._connected())

    @property
    def weighted(self) -> list[ModuleCall]:
        """The convolutions and linear layers."""
        return [call for call in self.calls if call.name in self._into]

    def call(self, name: str) -> ModuleCall:
        """The call of this name."""
        return next(call for call in self.calls if call.name == name)

    def module(self, name: str) -> Module:
        """The module that a call is of; KeyError if there is none."""
        return find_module(self.model, name)

    def is_first(self, name: str) -> bool:
        """Whether it has weights and reads the image itself."""
        return name in self._into and not self._into[name]

    def choose(self, patterns: Iterable[str] | None = None) -> list[ModuleCall]:
        """The calls that names or patterns select; by default the convolutions and the layer that returns the output.

        Raises KeyError for a pattern that selects nothing, ValueError for modules that cannot have units.
        """
        if patterns is None:
            last = self.weighted[-1:]
            return [call for call in self.weighted if len(call.shape) == 4 or call in last]
        selected = find_calls(self.model, patterns)
        wanted = set(selected.values())
        named = [(call, *find_call(self.model, call.name)) for call in self.calls if len(call.shape) in (2, 4)]
        chosen = [call for call, name, number in named if not wanted.isdisjoint({(name, number), (name, EVERY)})]
        if not chosen:
            raise ValueError(
                f"none of {', '.join(selected)} is a layer that returns maps (N, C, H, W) or features (N, C)"
            )
        return chosen

    def before(self, name: str, unit: int, count: int) -> list[Connection]:
        """The `count` strongest connections of a unit to units of the layers before, the strongest first."""
        found = [(b.earlier, b.share[unit], b.total[unit]) for b in self._blocks if b.later == name]
        return _strongest(found, count)

    def after(self, name: str, unit: int, count: int) -> list[Connection]:
        """The `count` strongest connections of a unit to units of the layers after it, the strongest first."""
        found = [(b.later, b.share[:, unit], b.total[:, unit]) for b in self._blocks if b.earlier == name]
        return _strongest(found, count)

    def _pass(self) -> None:
        handles = []
        try:
            with frozen(self.model), enable_grad():
                handles = [m.register_forward_hook(self._hook, with_kwargs=True) for m in self.model.modules()]
                self.output = run(self.model, zeros(self.shape, dtype=dtype_of(self.model)).requires_grad_())
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, module: Module, args: tuple, kwargs: dict, output: Any) -> None:
        if not isinstance(output, Tensor) or next(module.children(), None) is not None:
            return
        self._times[module] += 1
        name = f"{self._names[module]}#{self._times[module]}"
        self._shapes[name] = tuple(output.shape)
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if given is not None and _connects(module, output):
            self._into[name] = list(dict.fromkeys(self._behind(given.grad_fn)))
            self._made.append((output.grad_fn, name))

    def _behind(self, node: Any) -> Iterator[str]:
        """The weighted modules that a tensor comes from with none between, in the order of the arguments."""
        stack, seen = [node], set()
        while stack:
            node = stack.pop()
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            name = next((name for other, name in reversed(self._made) if other is node), None)
            if name is not None:
                yield name
            else:
                stack += [following for following, _ in reversed(node.next_functions)]

    def _fields(self) -> dict[str, Field]:
        """Where each call's units look; without those for which that cannot be said."""
        fields: dict[str, Field] = {}
        for names in [list(self._shapes), *([name] for name in self._shapes)]:  # all in one pass, else one by one
            with suppress(ValueError):
                fields |= receptive_fields(self.model, names, self.shape)
            if len(fields) == len(self._shapes):
                break
        return fields

    def _call(self, name: str, shape: tuple[int, ...], field: Field | None) -> ModuleCall:
        module = self.module(name)
        first = find_call(self.model, name)[1] == 1
        parameters = sum(parameter.numel() for parameter in module.parameters()) if first else 0
        return ModuleCall(name, type(module).__name__, module.extra_repr(), shape, parameters, field)

    def _connected(self) -> Iterator["_Block"]:
        for later, sources in self._into.items():
            matrix = _matrix(self.module(later))
            numbers = matrix.reshape(*matrix.shape[:2], -1)
            squares, totals = (numbers**2).sum(2), numbers.sum(2)  # (units, inputs)
            whole = squares.sum(1, keepdims=True)
            widths = [self.call(source).shape[1] for source in sources]
            for source, width, first, each in _inputs_of(sources, widths, matrix.shape[1]):
                inputs, shape = slice(first, first + width * each), (len(matrix), width, each)
                share = squares[:, inputs].reshape(shape).sum(2) / np.where(whole > 0, whole, 1)
                yield _Block(source, later, share, totals[:, inputs].reshape(shape).sum(2))


class _Block(NamedTuple):
    """The connections between two layers. share: of the later unit's squared weights; total: of the weights; both
    (units of the later layer, units of the earlier one)."""

    earlier: str
    later: str
    share: np.ndarray
    total: np.ndarray


def _inputs_of(sources: list[str], widths: list[int], channels: int) -> Iterator[tuple[str, int, int, int]]:
    """(layer before, its units, the input that its first unit is, inputs for each of its units) of a weighted module.

    One source, or several that are added, have as many units as the module has input channels; several that are
    concatenated have so many together; flattened maps (N, C, H, W) -> (N, C H W) have H W inputs for each unit.
    """
    if len(set(widths)) == 1 and channels % widths[0] == 0 and (len(sources) == 1 or channels == widths[0]):
        yield from ((source, widths[0], 0, channels // widths[0]) for source in sources)
    elif sum(widths) == channels:
        firsts = np.cumsum([0, *widths[:-1]]).tolist()
        yield from ((source, width, first, 1) for source, width, first in zip(sources, widths, firsts, strict=True))


def _matrix(module: Module) -> np.ndarray:
    """The weights of a convolution or a linear layer as (units, inputs, ...), zero where a grouped convolution has none."""
    weight, groups = module.weight.detach().numpy(), getattr(module, "groups", 1)
    if getattr(module, "transposed", False):
        weight = np.swapaxes(weight, 0, 1)
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    full = np.zeros((weight.shape[0], inputs * groups, *weight.shape[2:]), weight.dtype)
    for g in range(groups):
        rows = slice(g * outputs, (g + 1) * outputs)
        full[rows, g * inputs : (g + 1) * inputs] = weight[rows]
    return full


def _connects(module: Module, output: Tensor) -> bool:
    """Whether its weight connects units, as that of a convolution or a linear layer does, and that of a LayerNorm does not."""
    weight, transposed = getattr(module, "weight", None), getattr(module, "transposed", False)
    if not isinstance(weight, Tensor) or weight.dim() not in (2, 4) or (transposed and module.groups > 1):
        return False
    return output.shape[-1 if weight.dim() == 2 else 1] == weight.shape[1 if transposed else 0]


def _strongest(found: list[tuple[str, np.ndarray, np.ndarray]], count: int) -> list[Connection]:
    """Of (layer, share of each unit, total of each unit) the `count` connections of the largest share."""
    links = [
        Connection(layer, int(i), float(share[i]), bool(total[i] > 0))
        for layer, share, total in found
        for i in np.argsort(-share, kind="stable")[:count]
        if share[i] > 0
    ]
    return sorted(links, key=lambda link: -link.share)[:count]
