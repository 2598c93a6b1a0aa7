"""What a network is made of and how its layers are wired, from one forward pass with a hook on every module.

The pass shows what was really executed, so it serves any module: branches, skips and concatenations are followed through the
graph that autograd kept.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, enable_grad, zeros
from minicnn.nn import Module
from minicnn.viz import receptive_fields
from minicnn.viz._modules import EVERY, dtype_of, find_call, find_calls, find_module, frozen, run
from minicnn.viz.geometry import Field


@dataclass(frozen=True)
class Part:
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
class Link:
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
        self._calls: Counter[Module] = Counter()
        self._pass()
        once = {f"{self._names[module]}#1": self._names[module] for module, times in self._calls.items() if times == 1}
        self._shapes = {once.get(call, call): shape for call, shape in self._shapes.items()}
        self._into = {once.get(call, call): [once.get(c, c) for c in before] for call, before in self._into.items()}
        fields = self._fields()
        self.parts = [self._part(name, shape, fields.get(name)) for name, shape in self._shapes.items()]

    @property
    def weighted(self) -> list[Part]:
        """The convolutions and linear layers."""
        return [part for part in self.parts if _weight(self.module(part.name)) is not None]

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def module(self, name: str) -> Module:
        return find_module(self.model, name)

    def is_first(self, name: str) -> bool:
        """Whether it has weights and reads the image itself."""
        return name in self._into and not self._into[name]

    def choose(self, patterns: Iterable[str] | None = None) -> list[Part]:
        """The parts that names or patterns select; by default the convolutions and the layer that returns the output.

        Raises KeyError for a pattern that selects nothing, ValueError for modules that cannot have units.
        """
        if patterns is None:
            last = self.weighted[-1:]
            return [part for part in self.weighted if len(part.shape) == 4 or part in last]
        selected = find_calls(self.model, patterns)
        calls = set(selected.values())
        named = [(part, *find_call(self.model, part.name)) for part in self.parts if len(part.shape) in (2, 4)]
        parts = [part for part, name, number in named if not calls.isdisjoint({(name, number), (name, EVERY)})]
        if not parts:
            raise ValueError(
                f"none of {', '.join(selected)} is a layer that returns maps (N, C, H, W) or features (N, C)"
            )
        return parts

    def before(self, name: str, unit: int, count: int) -> list[Link]:
        """The `count` strongest connections of a unit to units of the layers before, the strongest first."""
        matrix = self._matrix(name)
        if matrix is None:
            return []
        links = []
        for source, first, blocks in self._sources(name):
            width = self._width(source)
            rows = matrix[unit, first * blocks : (first + width) * blocks].reshape(width, -1)
            links += _links(source, (rows**2).sum(1) / (_total(matrix[unit])), rows.sum(1), count)
        return sorted(links, key=lambda link: -link.share)[:count]

    def after(self, name: str, unit: int, count: int) -> list[Link]:
        """The `count` strongest connections of a unit to units of the layers after it, the strongest first."""
        links = []
        for later in self._into:
            for source, first, blocks in self._sources(later):
                if source == name:
                    matrix = self._matrix(later)
                    columns = matrix[:, (first + unit) * blocks : (first + unit + 1) * blocks].reshape(len(matrix), -1)
                    total = (matrix.reshape(len(matrix), -1) ** 2).sum(1)
                    share = (columns**2).sum(1) / np.where(total > 0, total, 1)
                    links += _links(later, share, columns.sum(1), count)
        return sorted(links, key=lambda link: -link.share)[:count]

    def _pass(self) -> None:
        handles = []
        try:
            with frozen(self.model), enable_grad():
                handles = [module.register_forward_hook(self._hook) for module in self.model.modules()]
                self.output = run(self.model, zeros(self.shape, dtype=dtype_of(self.model)).requires_grad_())
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, module: Module, args: tuple, output: Any) -> None:
        if not isinstance(output, Tensor) or next(module.children(), None) is not None:
            return
        self._calls[module] += 1
        name = f"{self._names[module]}#{self._calls[module]}"
        self._shapes[name] = tuple(output.shape)
        if _weight(module) is not None and args and isinstance(args[0], Tensor):
            self._into[name] = list(dict.fromkeys(self._behind(args[0].grad_fn)))
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
        """Where each part's units look; without those for which that cannot be said."""
        names = list(self._shapes)
        try:
            return receptive_fields(self.model, names, self.shape)
        except ValueError:
            return {name: field for name in names for field in self._field(name)}

    def _field(self, name: str) -> Iterator[Field]:
        try:
            yield receptive_fields(self.model, name, self.shape)[name]
        except ValueError:
            pass

    def _part(self, name: str, shape: tuple[int, ...], field: Field | None) -> Part:
        module = self.module(name)
        first = find_call(self.model, name)[1] == 1
        parameters = sum(parameter.numel() for parameter in module.parameters()) if first else 0
        return Part(name, type(module).__name__, module.extra_repr(), shape, parameters, field)

    def _width(self, name: str) -> int:
        return next(part.shape[1] for part in self.parts if part.name == name)

    def _sources(self, name: str) -> list[tuple[str, int, int]]:
        """(layer before, the input channel that its first unit is, inputs for each of its units) of a weighted module.

        One source, or several that are added, have as many units as the module has input channels; several that are
        concatenated have so many together; flattened maps (N, C, H, W) -> (N, C H W) have H W inputs for each unit.
        """
        sources, channels = self._into[name], self._matrix(name).shape[1]
        widths = [self._width(source) for source in sources]
        if not sources:
            return []
        if len(set(widths)) == 1 and channels % widths[0] == 0 and (len(sources) == 1 or channels == widths[0]):
            return [(source, 0, channels // widths[0]) for source in sources]
        if sum(widths) == channels:
            return list(zip(sources, np.cumsum([0, *widths[:-1]]).tolist(), [1] * len(sources), strict=True))
        return []

    def _matrix(self, name: str) -> np.ndarray | None:
        """The weights of a module as (units, inputs, ...), zero where a grouped convolution has none."""
        module = self.module(name)
        weight = _weight(module)
        if weight is None:
            return None
        if getattr(module, "transposed", False):
            weight = np.swapaxes(weight, 0, 1)
        groups = getattr(module, "groups", 1)
        if groups == 1:
            return weight
        outputs, inputs = weight.shape[0] // groups, weight.shape[1]
        full = np.zeros((weight.shape[0], inputs * groups, *weight.shape[2:]), weight.dtype)
        for g in range(groups):
            full[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = weight[
                g * outputs : (g + 1) * outputs
            ]
        return full


def _weight(module: Module) -> np.ndarray | None:
    """The weight of a convolution or a linear layer."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() not in (2, 4):
        return None
    if getattr(module, "transposed", False) and module.groups > 1:
        return None
    return weight.detach().numpy()


def _total(weights: np.ndarray) -> float:
    return float((weights**2).sum()) or 1.0


def _links(layer: str, share: np.ndarray, sums: np.ndarray, count: int) -> Iterator[Link]:
    strongest: Sequence[int] = np.argsort(-share, kind="stable")[:count]
    return (Link(layer, int(i), float(share[i]), bool(sums[i] > 0)) for i in strongest if share[i] > 0)
