"""What a unit is good for: it is switched off, and one looks which classes break.

with ablated(model, "features.11:12"):
    model(x)
result = ablation(model, ["features.11:12", "features.11:40"], "photos/")
result.table()
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, no_grad, tensor
from minicnn.nn import Module
from minicnn.viz.answers import Labels, as_labels, categories_of, labeller, logits_of
from minicnn.viz.confusion import confusion
from minicnn.viz.figures.ablation import draw_ablation
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import described, find_call, find_module, frozen, run
from minicnn.viz.objectives import parse
from minicnn.viz.sources import MAX_PIXELS
from minicnn.viz.stream import Stream


@contextmanager
def ablated(model: Module, units: str | Sequence[str], value: float = 0.0) -> Iterator[None]:
    """In the block the channels "layer:channel" are `value` everywhere, whatever the network computes there; afterwards they are as
    before.

    By a forward hook, which hands on a copy: the layer's own output is left alone, and a gradient is 0 there. "relu#2:5" is channel 5
    of the second call of a module. IndexError for a channel that there is not.
    """
    wanted: dict[tuple[str, int], list[int]] = {}
    for target in [units] if isinstance(units, str) else units:
        unit = parse(model, target)
        if unit.position is not None:
            raise ValueError(f"{unit}: a whole channel is switched off; leave out the position")
        wanted.setdefault(find_call(model, unit.layer), []).append(unit.channel)
    if not wanted:
        raise ValueError("no units")
    calls: dict[str, int] = {}
    handles = [model.register_forward_pre_hook(lambda module, args: calls.clear())]

    def hook(name: str) -> Any:
        def switch_off(module: Module, args: tuple, output: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            channels = wanted.get((name, calls[name]))
            return None if channels is None else _without(output, channels, value, name)

        return switch_off

    try:
        handles += [find_module(model, name).register_forward_hook(hook(name)) for name in {name for name, _ in wanted}]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _without(output: Any, channels: Sequence[int], value: float, name: str) -> Tensor:
    """A copy of maps (N, C, H, W) or features (N, C) in which these channels are `value`."""
    if not isinstance(output, Tensor) or output.dim() not in (2, 4):
        raise ValueError(f"{name!r} returns {described(output)}: a unit needs a map (N, C, H, W) or features (N, C)")
    if max(channels) >= output.shape[1]:
        raise IndexError(f"{name}:{max(channels)}: {name or 'the output'!r} has {output.shape[1]} channels")
    keep = np.ones((1, output.shape[1], *(1,) * (output.dim() - 2)))
    keep[:, list(channels)] = 0
    return output * tensor(keep, dtype=output.dtype) + tensor((1 - keep) * value, dtype=output.dtype)


@dataclass
class Ablation:
    """What `ablation` returns, of U ablations and N pictures.

    units: what was switched off in each. before: float32 (N, classes), the logits of the whole network; after: (U, N, classes), those
    with each ablation. names, labels, categories: as in `Answers`.
    """

    units: list[str]
    before: np.ndarray
    after: np.ndarray
    names: list[str]
    labels: np.ndarray
    categories: tuple[str, ...]

    @property
    def change(self) -> np.ndarray:
        """(U, classes): the mean change of each logit over all pictures."""
        return (self.after - self.before).mean(1, dtype=np.float64)

    @property
    def changed(self) -> np.ndarray:
        """bool (U, N): whether the picture's most probable class is another one."""
        return self.after.argmax(2) != self.before.argmax(1)

    def accuracy(self, i: int | None = None) -> np.ndarray:
        """(classes,) the share of each class's pictures that are answered rightly with ablation i, without one for None; NaN for a
        class without pictures. ValueError if no class is known."""
        return confusion(self.labels, (self.before if i is None else self.after[i]).argmax(1), self.categories).by_class

    def table(self, k: int = 4) -> str:
        """A line for each ablation: how many answers change, and the k classes whose logits lose and gain most."""
        lines = []
        for unit, change, changed in zip(self.units, self.change, self.changed, strict=True):
            order = np.argsort(change, kind="stable")
            ends = (
                ", ".join(f"{self.categories[c]} {change[c]:+.2f}" for c in some)
                for some in (order[:k], order[::-1][:k])
            )
            lines.append(f"{unit}: {changed.sum()} of {len(changed)} answers change; " + "; ".join(ends))
        return "\n".join(lines)

    def figure(self, k: int = 6, title: str | None = None) -> Figure:
        """For each ablation the classes whose logits lose and gain most; where classes are known, their accuracies too."""
        return draw_ablation(self, k, title)


def ablation(
    model: Module,
    units: str | Sequence[str | Sequence[str]],
    images: Any,
    *,
    labels: Labels = None,
    value: float = 0.0,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch: int = 32,
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    progress: bool = True,
) -> Ablation:
    """The logits of many pictures, with the whole network and with each of some units switched off, see `ablated`.

    Args:
        units: "layer:channel", or several of them that are switched off together; or a list of these, one ablation for each.
        value: what the channels are instead.
        model, images, labels, size, mean, std, batch, max_pixels, limit, progress: as in `answers`.

    One pass of the whole network for each ablation and batch, and one without.
    """
    groups = [
        [unit] if isinstance(unit, str) else list(unit) for unit in ([units] if isinstance(units, str) else units)
    ]
    if not groups:
        raise ValueError("no units")
    stream = Stream(
        model, images, size=size, mean=mean, std=std, batch=batch, max_pixels=max_pixels, limit=limit, progress=progress
    )
    names: list[str] = []
    known: list[int] = []
    label = None
    logits: list[list[np.ndarray]] = [[] for _ in range(len(groups) + 1)]
    with frozen(model), no_grad():
        for group, x in stream:
            names += [picture.name for picture in group]
            logits[0].append(logits_of(run(model, x)))
            label = label or labeller(images, labels, model, logits[0][0].shape[1])
            known += [label(picture.name, picture.number) for picture in group]
            for kept, together in zip(logits[1:], groups, strict=True):
                with ablated(model, together, value):
                    kept.append(logits_of(run(model, x)))
    before, *after = (np.concatenate(parts) for parts in logits)
    said = [" + ".join(group) for group in groups]
    return Ablation(
        said, before, np.stack(after), names, as_labels(known, labels), categories_of(model, before.shape[1])
    )
