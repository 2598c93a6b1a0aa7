"""Images that make a unit of a network answer strongly, by gradient ascent on the image.

Erhan, Bengio, Courville, Vincent 2009, "Visualizing higher-layer features of a deep network"; the parametrisation and the random
changes follow Olah, Mordvintsev, Schubert 2017, "Feature visualization" (distill.pub/2017/feature-visualization).

What is made large is in `objectives`; how the image is written, moved at random and charged for in `parts`. All of these, and the
optimiser, can be exchanged.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn import Tensor, enable_grad, no_grad, optim, tensor, zeros
from minicnn.inspect.names import printable
from minicnn.nn import Module
from minicnn.viz.figures.maximize import draw_maximized
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import (
    Statistics,
    computed,
    dtype_of,
    frozen,
    has_positions,
    input_channels,
    input_size,
    normalize,
    source,
    statistics,
)
from minicnn.viz.objectives import Unit, objective
from minicnn.viz.parts import PARAMETRIZATIONS, PENALTIES, TRANSFORMS, named, words
from minicnn.viz.relu import relu_rule


class ActivationWarning(UserWarning):
    """The picture does not show what it should: the activation did not rise, or no gradient reached the image."""


@dataclass
class Maximized:
    """What `maximize` returns: N images and how they came about.

    images: float32 (N, H, W, C), pixels in [0, 1]. labels: what each of them maximises.
    activation_start, activation_end: (N,) the objective on the clean image (no random changes, no penalties).
    scores: (steps, N) the objective on the changed image of each step. losses: (steps, N) penalties minus score.
    seed, settings, seconds: how to make the same images again, and what it cost.
    """

    images: np.ndarray
    labels: list[str]
    activation_start: np.ndarray
    activation_end: np.ndarray
    scores: np.ndarray
    losses: np.ndarray
    seed: int
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def uint8(self) -> np.ndarray:
        """The images as uint8 (N, H, W, C), 0 to 255."""
        return (self.images * 255).round().astype(np.uint8)

    @property
    def rose(self) -> np.ndarray:
        """bool (N,): the activation is higher at the end than at the start."""
        return self.activation_end > self.activation_start

    @property
    def recipe(self) -> str:
        """How the images were made, in words: what ran, not what was asked for by name."""
        if not self.settings:
            return f"{len(self.scores)} steps, seed {self.seed}"
        height, width = self.settings["size"]
        pixels = f"{height} × {width} pixels as {words(self.settings['parametrization'])}"
        return f"{self.ascent} on {pixels}; {self.conditions}; seed {self.seed}"

    @property
    def ascent(self) -> str:
        """The steps in words: "256 steps of Adam at rate 0.05"."""
        rate = self.settings.get("rate")
        rated = "" if rate is None else f" at rate {rate:g}"
        steps = "1 step" if len(self.scores) == 1 else f"{len(self.scores)} steps"
        return f"{steps} of {self.settings.get('optimizer', 'gradient ascent')}{rated}"

    @property
    def conditions(self) -> str:
        """In words what was done to the image and to the gradient at every step."""
        changes, costs, opened = (self.settings.get(name) for name in ("transforms", "penalties", "open_dead_relus"))
        parts = ["random changes: " + ", ".join(map(words, changes)) if changes else "no random changes"]
        parts += ["charged for " + ", ".join(map(words, costs))] if costs else []
        parts += [f"ReLUs that are off let the gradient through for {opened} steps"] if opened else []
        return "; ".join(parts)

    def figure(self, columns: int | None = None, curves: bool = True) -> Figure:
        """The images with their activations before and after, and the curves of the ascent: a matplotlib Figure."""
        return draw_maximized(self, columns, curves)


def maximize(
    model: Module,
    targets: str | Unit | Sequence[str | Unit] | Callable[[Mapping[str, Tensor]], Tensor],
    *,
    layers: Iterable[str] | None = None,
    count: int = 1,
    steps: int = 256,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    parametrization: Any = "fourier",
    transforms: Any = "standard",
    penalties: Iterable[Any] = (),
    optimizer: Callable[[list[Tensor]], Any] | None = None,
    rate: float | None = None,
    seed: int = 0,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    open_dead_relus: int = 0,
    progress: bool = True,
) -> Maximized:
    """Images that maximise units of a network, one image for each target, all in one batch.

    Args:
        model: any `Module` that takes images (N, C, H, W).
        targets: "layer:channel" (the mean of that channel's map, see `objectives.score_channel`), "layer:channel@y,x" or
            "layer:channel@centre" (one neuron), "logit:name" or "logit:index" (a class), "classifier:145" (a feature of
            any layer); a `Unit`; a list of these; or a function of {layer: output Tensor} that returns (N,) scores
            or one, with `layers` naming what it reads and `count` the number of images.
        steps: number of ascent steps.
        size: side of the square image, or (height, width). Default: the model's input size for outputs without
            positions (logits), one and a half times that, so that a pattern can repeat, for maps; 96 without `model.meta`.
        channels: of the image; by default those of the network's first convolution.
        parametrization: "fourier", "pixels", or an object of `parametrization`.
        transforms: "standard", "jitter", "roll", "none", or a list of functions (x, rng) -> x.
        penalties: any of "l2", "tv", "blur", or functions image -> (N,), or of maps, see `penalties`.
        optimizer: list of parameters -> optimiser; by default Adam at `rate`, by default the parametrisation's.
        seed: of the start and of the random changes. Equal seeds give equal images; a target that the list contains
            k times starts from k different images.
        mean, std: of the pixels that the network was trained on; by default `model.meta`'s, else 0 and 1, see `network.statistics`.
        open_dead_relus: for so many first steps the gradient passes a ReLU that blocks all of it, see `relu.opened`.
        progress: a bar for what takes over two seconds.

    The network is in eval mode meanwhile and its parameters collect no gradient; both are put back afterwards. It is
    computed up to the last layer that is asked for: the hook there raises an exception, which is caught, because that
    works for any module, where walking through layers works only for a Sequential.

    Warns (`ActivationWarning`) if a ReLU that is off everywhere blocks the gradient from the start, and if the activation of
    an image did not rise.
    """
    score, labels = objective(model, targets, layers, count)
    part = named(parametrization, PARAMETRIZATIONS)
    changes = named("none" if transforms is None else transforms, TRANSFORMS)
    costs = [named(cost, PENALTIES) for cost in ([penalties] if isinstance(penalties, str) else penalties)]
    channels = channels or input_channels(model)
    stats = statistics(model, mean, std, channels=channels)
    evaluate = partial(_evaluate, model, score, stats)
    curves, started = [], time.perf_counter()
    with frozen(model), enable_grad():
        size = _size(model, score, channels, size)
        parameter = part.start(_generators(labels, seed), channels, *size)
        optimizer = optimizer or partial(optim.Adam, lr=part.rate if rate is None else rate)
        stepper = optimizer([parameter])
        ascent = _Ascent(evaluate, part, parameter, size, changes, costs, stepper, np.random.default_rng(seed))
        first = _clean_start(evaluate, ascent.image(), labels, open_dead_relus)
        for step in tqdm(range(steps), desc=_title(labels), unit="step", delay=2) if progress else range(steps):
            with relu_rule(model, "opened") if step < open_dead_relus else nullcontext():
                curves.append(ascent.step())
        with no_grad():
            image = ascent.image()
            last = evaluate(image)[0].numpy().copy()
    settings = {
        "size": size, "steps": steps, "parametrization": part, "transforms": tuple(changes), "penalties": tuple(costs),
        "optimizer": getattr(stepper, "name", type(stepper).__name__), "rate": stepper.param_groups[0].get("lr"),
        "statistics": stats, "source": source(model, mean=mean, std=std), "open_dead_relus": open_dead_relus,
    }  # fmt: skip
    pixels = np.ascontiguousarray(image.numpy().transpose(0, 2, 3, 1))
    scores, losses = np.array(curves, np.float32).reshape(steps, 2, len(labels)).swapaxes(0, 1)
    result = Maximized(pixels, labels, first, last, scores, losses, seed, time.perf_counter() - started, settings)
    _warn_if_not_risen(result)
    return result


@dataclass
class _Ascent:
    """An ascent under way: the image, as the numbers that the optimiser moves, and what happens to it in a step."""

    evaluate: Callable[..., tuple[Tensor, Mapping[str, Tensor]]]
    part: Any
    parameter: Tensor
    size: tuple[int, int]
    changes: Sequence[Any]
    costs: Sequence[Any]
    stepper: Any
    rng: np.random.Generator

    def image(self) -> Tensor:
        """(N, C, H, W) in [0, 1]."""
        return self.part.image(self.parameter, *self.size)

    def step(self) -> tuple[np.ndarray, np.ndarray]:
        """Move the image once. Returns the scores (N,) of the randomly changed images, and the losses (N,)."""
        image = changed = self.image()
        for change in self.changes:
            changed = change(changed, self.rng)
        value, maps = self.evaluate(changed, [layer for cost in self.costs for layer in getattr(cost, "layers", ())])
        costs = [cost(maps, value.detach()) if hasattr(cost, "layers") else cost(image) for cost in self.costs]
        loss = sum(costs, zeros(value.shape, dtype=value.dtype)) - value
        self.parameter.grad = None
        loss.sum().backward()  # a sum, not a mean: an image's gradient is the same in any batch
        self.stepper.step()
        with no_grad():
            self.part.project(self.parameter)
        return value.detach().numpy().copy(), loss.detach().numpy().copy()


def activation(
    model: Module,
    targets: str | Unit | Sequence[str | Unit] | Callable[[Mapping[str, Tensor]], Tensor],
    pictures: np.ndarray,
    *,
    layers: Iterable[str] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> np.ndarray:
    """The activation (N,) of pictures (N, H, W, C) in [0, 1], as they are: target i on picture i, or one target on all.

    The other arguments are those of `maximize`. So a network can judge the pictures that were made with another one.
    """
    pictures = np.asarray(pictures, np.float32)
    if pictures.ndim != 4 or not (pictures.min() >= 0 and pictures.max() <= 1):
        raise ValueError(f"pictures are floats (N, H, W, C) in [0, 1], got {pictures.shape}")
    if isinstance(targets, str | Unit):
        targets = [targets] * len(pictures)
    score, labels = objective(model, targets, layers)
    if not callable(targets) and len(labels) != len(pictures):
        raise ValueError(f"{len(labels)} targets for {len(pictures)} pictures: give one for each, or one for all")
    x = tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    stats = statistics(model, mean, std, channels=x.shape[1])
    with frozen(model), no_grad():
        return _evaluate(model, score, stats, x)[0].numpy().copy()


def _evaluate(
    model: Module, score: Any, stats: Statistics, image: Tensor, more: Sequence[str] = ()
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The scores (N,) of images (N, C, H, W) as they are, and what the objective's layers, and `more`, make of them. One score
    for all images is shared out among them."""
    maps = computed(model, [*score.layers, *more], normalize(image, stats, dtype_of(model)))
    value, count = score(maps), image.shape[0]
    if not isinstance(value, Tensor) or value.dim() > 1 or value.numel() not in (1, count):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"the objective must return one score or a tensor of {count}, one an image, not {shape}")
    return value.reshape(count) if value.numel() == count else value.reshape(1).expand(count) / count, maps


def _clean_start(evaluate: Callable, image: Any, labels: list[str], opened: int) -> np.ndarray:
    """The activation (N,) of the starting images. Warns where no gradient reaches them: nothing would move."""
    image = image.detach().requires_grad_()
    value, _ = evaluate(image)
    if not value.requires_grad:
        raise ValueError("the objective does not depend on the image")
    value.sum().backward()
    moved = np.abs(image.grad.numpy()).max(axis=(1, 2, 3)) > 0
    blocked = [label for label, alive in zip(labels, moved, strict=True) if not alive]
    if blocked and not opened:
        warnings.warn(
            f"no gradient reaches the image from {', '.join(blocked)}: on the starting image a ReLU on the way is off everywhere, "
            "and its gradient there is zero. Let it through for the first steps with maximize(..., open_dead_relus=32), "
            "or maximise the layer before the ReLU.",
            ActivationWarning,
            stacklevel=3,
        )
    return value.detach().numpy().copy()


def _warn_if_not_risen(result: Maximized) -> None:
    """Say which images excite their unit no more than where they started: such a picture shows nothing."""
    ends = zip(result.labels, result.activation_start, result.activation_end, result.rose, strict=True)
    flat = [f"{label} ({start:.4g} -> {end:.4g})" for label, start, end, rose in ends if not rose]
    if flat:
        warnings.warn(
            f"the activation did not rise on the clean image, the picture shows nothing: {'; '.join(flat)}",
            ActivationWarning,
            stacklevel=3,
        )


def _generators(labels: list[str], seed: int) -> list[np.random.Generator]:
    """One for each image, from the seed and from how often the label came before: repeated targets start differently."""
    return [np.random.default_rng([seed, labels[:i].count(label)]) for i, label in enumerate(labels)]


def _size(model: Module, score: Any, channels: int, size: int | tuple[int, int] | None) -> tuple[int, int]:
    """The size that is asked for, else the network's own; half as much again if one of the layers returns maps of it."""
    if size is not None:
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    side = input_size(model, 64)
    maps = computed(model, score.layers, zeros(1, channels, side, side, dtype=dtype_of(model)))
    side = side * 3 // 2 if any(has_positions(output) for output in maps.values()) else side
    return side, side


def _title(labels: list[str]) -> str:
    """What is maximised, for the progress bar."""
    return printable(labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more")
