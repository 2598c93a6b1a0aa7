"""A photograph changed against a network, by less than one sees, and how the change grows from layer to layer.

Szegedy et al. 2014, "Intriguing properties of neural networks"; the ascent is that of Madry et al. 2018, "Towards deep learning models
resistant to adversarial attacks": steps by the gradient's sign, cut back to the allowed change.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn import Tensor, enable_grad, no_grad, tensor
from minicnn.nn import Module
from minicnn.nn import functional as F
from minicnn.viz import image as images_
from minicnn.viz.answers import categories_of, class_of, logits_of
from minicnn.viz.figures.adversarial import draw_adversarial
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import capture, described, dtype_of, frozen, input_channels, run


@dataclass
class LayerChange:
    """What a change of the photograph does to a layer's answers a: it makes them a'.

    relative: |a' - a| / |a|, the lengths over all channels and places. noise: the same for noise as strong as the change.
    where: float32 (H, W), |a' - a| over the channels at each place, in units of the root mean square of |a| over the places; None for a
    layer without places.
    """

    layer: str
    relative: float
    noise: float
    where: np.ndarray | None


@dataclass
class Adversarial:
    """What `adversarial` returns.

    photo, picture: uint8 (H, W, C), the photograph as the network saw it, and the changed one. noisy: the control, changed as much at
    each pixel, up or down at random. before, after, control: float64 (classes,), the probabilities of the three. label: the class that
    the change is directed against; target: the one that it aims at, or None. layers: {layer: LayerChange}, in the network's order.
    epsilon: the most by which a pixel changed, in steps of 255.
    """

    photo: np.ndarray
    picture: np.ndarray
    noisy: np.ndarray
    before: np.ndarray
    after: np.ndarray
    control: np.ndarray
    label: int
    target: int | None
    categories: tuple[str, ...]
    layers: dict[str, LayerChange]
    epsilon: int
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def fooled(self) -> bool:
        """Whether the network's most probable class is no longer `label`; with a target: whether it is that."""
        said = int(self.after.argmax())
        return said != self.label if self.target is None else said == self.target

    def figure(self, title: str | None = None) -> Figure:
        """The photograph, the change made visible, the changed photograph; where each layer's answers change, and by how much."""
        return draw_adversarial({"": self}, title)


def adversarial(
    model: Module,
    photo: Any,
    *,
    label: int | str | None = None,
    target: int | str | None = None,
    epsilon: int = 4,
    steps: int = 10,
    layers: str | Iterable[str] | None = None,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    seed: int = 0,
) -> Adversarial:
    """A photograph that is changed by at most `epsilon` of 255 at each pixel, so that the network answers something else.

    Args:
        photo: whatever `load_image` takes; it is resized and cut to `size`, by default what `model.meta` asks for, see `frame`.
        label: the class that is there, an index or a name; by default what the network answers. The loss of this class is raised.
        target: a class that it shall be taken for; then the loss of that is lowered instead.
        steps: each moves every pixel by 2.5 * epsilon / steps (1 step: by epsilon) in the direction of its gradient's sign.
        layers: whose answers are compared, names or patterns; by default every module without modules of its own.
        seed: of the control's signs.

    The result is a photograph, of whole numbers from 0 to 255: saved as PNG, and given in this size, it is what the network was shown
    here. ValueError for an output that is not (N, classes), or if there is no gradient.
    """
    if not (isinstance(epsilon, int | np.integer) and 1 <= epsilon <= 255) or steps < 1:
        raise ValueError(
            f"epsilon is a whole number of steps of 255, from 1, and steps at least 1; got {epsilon} and {steps}"
        )
    started = time.perf_counter()
    stats = images_.statistics(model, mean, std, channels=input_channels(model))
    picture = images_.to_channels(images_.frame(photo, model, size), len(stats.mean))
    with frozen(model), no_grad():
        clean = _logits(model, picture[None], stats)
    classes = len(clean[0])
    label = int(clean[0].argmax()) if label is None else class_of(model, label, classes)
    aim = None if target is None else class_of(model, target, classes)
    if aim == label:
        raise ValueError(f"the target is the class that is there, {label}")
    changed = _ascend(
        model, picture, stats, label if aim is None else aim, -1 if aim is not None else 1, int(epsilon), steps
    )
    signs = np.random.default_rng(seed).choice((-1, 1), picture.shape)
    amount = np.abs(changed.astype(int) - picture)
    noisy = (picture + amount * signs).clip(0, 255).astype(np.uint8)
    three = np.stack([picture, changed, noisy])
    names = _leaves(model) if layers is None else layers
    with frozen(model), no_grad(), capture(model, names) as maps:
        logits = _logits(model, three, stats)
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    before, after, control = powers / powers.sum(1, keepdims=True)
    return Adversarial(
        picture, changed, noisy, before, after, control, label, aim, categories_of(model, classes), _changes(maps),
        int(epsilon), time.perf_counter() - started, {"steps": steps, "seed": seed, "statistics": stats},
    )  # fmt: skip


def _ascend(
    model: Module, picture: np.ndarray, stats: images_.Statistics, label: int, sign: int, epsilon: int, steps: int
) -> np.ndarray:
    """The picture uint8 (H, W, C) after steps that raise (sign 1) or lower (-1) the loss of a class."""
    start = picture.transpose(2, 0, 1)[None].astype(np.float64)
    low, high = (start - epsilon).clip(0, 255), (start + epsilon).clip(0, 255)
    rate = epsilon if steps == 1 else 2.5 * epsilon / steps
    now = start
    with frozen(model), enable_grad():
        for _ in range(steps):
            pixels = tensor(now / 255, dtype=dtype_of(model)).requires_grad_()
            logits = run(model, images_.normalize(pixels, stats, dtype_of(model)))
            loss = F.cross_entropy(logits, tensor([label]))
            if loss.requires_grad:
                loss.backward()
            if pixels.grad is None:
                raise ValueError("the network's answer does not depend on the image")
            now = (now + sign * rate * np.sign(pixels.grad.numpy())).clip(low, high)
    return now.round()[0].transpose(1, 2, 0).astype(np.uint8)


def _logits(model: Module, pictures: np.ndarray, stats: images_.Statistics) -> np.ndarray:
    return logits_of(run(model, images_.as_input(pictures, model, stats)))


def _leaves(model: Module) -> list[str]:
    """All calls of the modules that have no modules of their own."""
    return [f"{name}#*" for name, module in model.named_modules() if name and next(module.children(), None) is None]


def _changes(maps: Mapping[str, Any]) -> dict[str, LayerChange]:
    """What the second and the third image of a batch get otherwise than the first, layer by layer."""
    found = {}
    for name, output in maps.items():
        if not isinstance(output, Tensor) or output.dim() not in (2, 4) or output.shape[0] != 3:
            continue  # no answers of three images
        clean, changed, noisy = output.numpy().astype(np.float64)
        length = np.sqrt((clean**2).sum()) or 1.0
        relative, noise = (float(np.sqrt(((other - clean) ** 2).sum()) / length) for other in (changed, noisy))
        where = None
        if clean.ndim == 3 and clean.shape[1] * clean.shape[2] > 1:
            usual = length / np.sqrt(clean.shape[1] * clean.shape[2])
            where = (np.sqrt(((changed - clean) ** 2).sum(0)) / usual).astype(np.float32)
        found[name] = LayerChange(name, relative, noise, where)
    if not found:
        raise ValueError(
            f"none of these layers returns maps or features: {', '.join(f'{n}: {described(o)}' for n, o in maps.items())}"
        )
    return found
