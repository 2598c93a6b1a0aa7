"""Why this answer: which pixels of an image an output of the network depends on, by seven methods.

    x = preprocess("photo.jpg", model)
    maps = {"saliency": saliency(model, x), "Grad-CAM": grad_cam(model, x, layer="features.11")}
    draw_attribution("photo.jpg", maps)

All take `model, x, target`: x is the network's normalised input (N, C, H, W); target says which output is to be explained, as a
class index or name, "layer:channel" as in `maximize`, a `Unit`, or a list of these, one an image; None is each image's own
strongest output. All return float32 arrays of a shape that they state; the network is left as it was. Whether a
map says anything about the network is another question: `sanity_check` asks it.
"""

import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from minicnn import Tensor, autograd, enable_grad, kernels, no_grad, tensor
from minicnn.nn import Module
from minicnn.nn.modules import pooling
from minicnn.viz.geometry import Field, receptive_fields
from minicnn.viz.network import (
    described,
    find_call,
    find_module,
    frozen,
    has_positions,
    outputs_of,
    part_hint,
    run,
)
from minicnn.viz.objectives import Unit, Units, logit, parse
from minicnn.viz.relu import Rule, relu_rule

POOLINGS = tuple(getattr(pooling, name) for name in pooling.__all__)  # also adaptive ones
Target = int | str | Unit | Sequence[int | str | Unit] | None


class AttributionWarning(UserWarning):
    """The map does not keep what its method promises."""


def targets(model: Module, x: Tensor, target: Target = None) -> list[Unit]:
    """The `Unit` to be explained for each image of x (N, C, H, W); None: the strongest output (N, classes) of each."""
    _check_input(x)
    if target is None:
        with frozen(model), no_grad():
            outputs = run(model, x)
        if not isinstance(outputs, Tensor) or outputs.dim() != 2:
            raise ValueError(
                f"the network's output is {described(outputs)}, not (N, classes): name a target=, such as 'features.8:12'"
                f"{part_hint(outputs)}"
            )
        target = outputs.numpy().argmax(1).tolist()
    listed = [target] * len(x) if isinstance(target, int | str | Unit | np.integer) else list(target)
    if len(listed) != len(x):
        raise ValueError(f"{len(listed)} targets for {len(x)} images: give one, or one an image")
    return [_unit(model, one) for one in listed]


def score(model: Module, x: Tensor, target: Target = None) -> np.ndarray:
    """float32 (N,): the number that the methods explain, of each image."""
    return _scores(model, x, targets(model, x, target)).detach().numpy().astype(np.float32)


def gradient(model: Module, x: Tensor, target: Target = None, *, rule: str | Rule | None = None) -> np.ndarray:
    """(N, C, H, W): by how much the score rises if a number of the input does, d score / d x.

    rule: what the gradient does at every ReLU, see `relu_rule`; None: the ReLU's own gradient. ValueError if there is a rule and
    the network calls no ReLU.
    """
    return _gradients(model, x, targets(model, x, target), rule)


def saliency(model: Module, x: Tensor, target: Target = None) -> np.ndarray:
    """(N, H, W): the largest magnitude of the gradient over the channels, not negative.

    Simonyan, Vedaldi, Zisserman 2014, "Deep inside convolutional networks".
    """
    return np.abs(gradient(model, x, target)).max(axis=1)


def guided_backprop(model: Module, x: Tensor, target: Target = None) -> np.ndarray:
    """(N, C, H, W): the gradient, with its negative part cut off at every ReLU. Springenberg et al. 2015."""
    return gradient(model, x, target, rule="guided")


def deconvnet(model: Module, x: Tensor, target: Target = None) -> np.ndarray:
    """(N, C, H, W): the gradient, with a ReLU of the gradient in place of every ReLU's own. Zeiler and Fergus 2014."""
    return gradient(model, x, target, rule="deconvnet")


def integrated_gradients(
    model: Module,
    x: Tensor,
    target: Target = None,
    *,
    baseline: float | Tensor = 0.0,
    steps: int = 64,
    batch: int = 32,
) -> np.ndarray:
    """(N, C, H, W): the share of each number in score(x) - score(baseline), whose sum is that difference (completeness).

    (x - baseline) times the mean gradient on the straight way from the baseline to x, by the midpoint rule. Sundararajan, Taly, Yan
    2017, "Axiomatic attribution for deep networks".

    Args:
        baseline: a normalised input that stands for "nothing", a number or broadcastable to x. 0 is the mean colour; what equals the
            baseline gets no share, so a black baseline sees nothing in black pixels.
        steps: points on the way. Warns (`AttributionWarning`) if the sum misses the difference by over 5 % of it.
    """
    units = targets(model, x, target)
    image = x.detach().numpy()
    start = np.broadcast_to(np.asarray(baseline, image.dtype), image.shape)
    result = np.empty(image.shape, np.float32)
    shares = ((np.arange(steps) + 0.5) / steps).astype(image.dtype)[:, None, None, None]
    for n, unit in enumerate(units):
        difference = image[n] - start[n]
        way = (start[n] + part * difference for part in _batches(shares, batch))
        result[n] = difference * _mean_gradient(model, unit, way)
    _check_completeness(model, x, tensor(start.copy()), units, result)
    return result


def smooth_grad(
    model: Module,
    x: Tensor,
    target: Target = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
    batch: int = 32,
) -> np.ndarray:
    """(N, C, H, W): the mean gradient over copies of the image with Gaussian noise.

    noise: its standard deviation, as a share of the image's range from its smallest to its largest number. Smilkov et al. 2017,
    "SmoothGrad: removing noise by adding noise".
    """
    units = targets(model, x, target)
    image, rng = x.detach().numpy(), np.random.default_rng(seed)
    result = np.empty(image.shape, np.float32)
    for n, unit in enumerate(units):
        deviation = noise * np.ptp(image[n])
        sizes = [(len(part), *image.shape[1:]) for part in _batches(np.arange(samples), batch)]
        copies = (image[n] + deviation * rng.standard_normal(size) for size in sizes)
        result[n] = _mean_gradient(model, unit, (part.astype(image.dtype) for part in copies))
    return result


def occlusion(
    model: Module,
    x: Tensor,
    target: Target = None,
    *,
    window: int = 16,
    stride: int = 8,
    fill: float = 0.0,
    batch: int = 64,
) -> np.ndarray:
    """(N, H, W): by how much the score falls when a square around the pixel is covered: the mean over all squares that cover it.

    window, stride: side of the square and the distance between neighbouring ones, in pixels; the last one of a row ends at the
    border. fill: what the square is filled with, in normalised numbers: 0 is the mean colour. No gradient is used, so it works for
    any network, and a square that the score does not see makes no difference: exactly 0. Zeiler and Fergus 2014.
    """
    units = targets(model, x, target)
    image = x.detach().numpy()
    height, width = image.shape[2:]
    if not 1 <= stride <= window <= min(height, width):
        raise ValueError(f"need 1 <= stride <= window <= {min(height, width)}, got stride {stride} and window {window}")
    corners = [(y, x_) for y in _starts(height, window, stride) for x_ in _starts(width, window, stride)]
    result = np.empty((len(image), height, width), np.float32)
    with kernels.exact():
        clean = _scores(model, x.detach(), units).numpy()
        for n, unit in enumerate(units):
            falls, times = np.zeros((2, height, width))
            for part in (corners[i : i + batch] for i in range(0, len(corners), batch)):
                covered = np.repeat(image[n : n + 1], len(part), axis=0)
                for picture, (top, left) in zip(covered, part, strict=True):
                    picture[:, top : top + window, left : left + window] = fill
                scores = _scores(model, tensor(covered), [unit] * len(part)).numpy()
                for value, (top, left) in zip(scores, part, strict=True):
                    falls[top : top + window, left : left + window] += clean[n] - value
                    times[top : top + window, left : left + window] += 1
            result[n] = falls / times
    return result


def grad_cam(
    model: Module, x: Tensor, target: Target = None, *, layer: str | None = None, upsample: bool = True
) -> np.ndarray:
    """(N, H, W), not negative: where the maps of a layer speak for the target.

    The maps are added up, each weighted with the mean gradient of the score with respect to it, and what is negative is cut off.
    Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization".

    Args:
        layer: name of any module that returns maps (N, K, h, w), "relu#2" for its second call. None: the last maps of more
            than one position before any last pooling, see `last_maps`.
        upsample: interpolate between the middles of the cells' receptive fields, where they really look; for a layer whose
            fields have no closed form the cells are spread evenly. False: the map as it is, (N, h, w).
    """
    units = targets(model, x, target)
    layer = last_maps(model, x) if layer is None else layer
    maps, grads = _maps_and_gradients(model, x, units, layer)
    cam = np.maximum((grads.mean(axis=(2, 3), keepdims=True) * maps).sum(axis=1), 0)
    return _on_pixels(cam, _field(model, layer, x.shape), x.shape[2:]) if upsample else cam


def last_maps(model: Module, x: Tensor) -> str:
    """The name of the last call that returns new maps (N, K, h, w) of more than one position: of any module but a pooling, so that
    a sum behind a skip counts where a block returns it. Of modules that return the same maps it is the innermost."""
    outputs = outputs_of(model, ["", "**#*"], x[:1])
    maps = {name: output.numpy() for name, output in outputs.items() if has_positions(output)}
    poolings = [name for name in maps if isinstance(find_module(model, name), POOLINGS)]
    new: list[str] = []
    for name in maps:
        known = (*new[-1:], *poolings)
        if name not in poolings and not any(np.array_equal(maps[name], maps[other]) for other in known):
            new.append(name)
    if not new:
        raise ValueError("no module of this network returns maps (N, K, h, w) of more than one position: name a layer=")
    return new[-1]


METHODS: dict[str, Callable[..., np.ndarray]] = {
    "saliency": saliency,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "occlusion": occlusion,
    "grad_cam": grad_cam,
}


# --- what the methods share ---------------------------------------------------------------------------------------------


def _check_input(x: Any) -> None:
    if not isinstance(x, Tensor) or x.dim() != 4:
        what = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            f"x is the network's input, a Tensor (N, C, H, W), not {what}; `preprocess` makes one of a photograph"
        )


def _unit(model: Module, target: Any) -> Unit:
    if isinstance(target, Unit):
        find_module(model, target.layer)
        return target
    if isinstance(target, str) and ":" in target:
        return parse(model, target)
    return logit(model, int(target) if isinstance(target, np.integer) else target)


def _scores(model: Module, x: Tensor, units: list[Unit]) -> Tensor:
    """(N,): with a graph if x asks for a gradient."""
    objective = Units(units)
    return objective(outputs_of(model, objective.layers, x))


def _gradients(model: Module, x: Tensor, units: list[Unit], rule: str | Rule | None = None) -> np.ndarray:
    image = x.detach().clone().requires_grad_()
    with enable_grad(), nullcontext() if rule is None else relu_rule(model, rule) as replaced:
        grads: Any = autograd.grad(_scores(model, image, units).sum(), [image])
    if replaced is not None and not replaced.count:
        raise ValueError(f"the rule {rule!r} is one for ReLUs, and this network calls none on the way to the target")
    return grads[0].numpy().astype(np.float32)


def _batches(items: np.ndarray, batch: int) -> list[np.ndarray]:
    """Parts of at most `batch`, of nearly one length."""
    return np.array_split(items, -(-len(items) // batch))


def _mean_gradient(model: Module, unit: Unit, batches: Iterable[np.ndarray]) -> np.ndarray:
    """The gradient of a unit's score (C, H, W), the mean over all images of the batches."""
    sums = [(_gradients(model, tensor(x), [unit] * len(x)).sum(axis=0, dtype=np.float64), len(x)) for x in batches]
    return np.sum([total for total, _ in sums], axis=0) / sum(count for _, count in sums)


def _maps_and_gradients(model: Module, x: Tensor, units: list[Unit], layer: str) -> tuple[np.ndarray, np.ndarray]:
    """A layer's maps and the gradient of the scores with respect to them, both (N, K, h, w)."""
    kept: list[Tensor] = []
    (name, number), calls = find_call(model, layer), itertools.count(1)

    def keep(module: Module, args: tuple, output: Any) -> Any:
        if next(calls) != number:
            return None
        if not isinstance(output, Tensor) or output.dim() != 4:
            raise ValueError(f"{layer!r} does not return maps (N, K, h, w)")
        kept.append(output)
        return output.clone()  # the network goes on with a copy, so that an in-place ReLU does not rewrite what is kept

    handle = dict(model.named_modules(remove_duplicate=False))[name].register_forward_hook(keep, prepend=True)
    try:
        with enable_grad():
            scores = _scores(model, x.detach().clone().requires_grad_(), units)
            if not kept:
                raise ValueError(f"{layer!r} was not called before the target was computed")
            grads: Any = autograd.grad(scores.sum(), kept, allow_unused=True)
    finally:
        handle.remove()
    if grads[0] is None:
        raise ValueError(f"the target does not depend on {layer!r}")
    return kept[0].detach().numpy(), grads[0].numpy()


def _field(model: Module, layer: str, shape: Sequence[int]) -> Field | None:
    try:
        field = receptive_fields(model, layer, (1, *shape[1:]))[layer]
    except ValueError:
        return None
    return None if field.everything else field


def _on_pixels(maps: np.ndarray, field: Field | None, shape: Sequence[int]) -> np.ndarray:
    """Maps (N, h, w) interpolated linearly between the middles of the cells' fields: (N, H, W)."""
    for dim, length in ((1, shape[0]), (2, shape[1])):
        cells = maps.shape[dim]
        axis = None if field is None else (field.y, field.x)[dim - 1]
        centres = [(i + 0.5) * length / cells - 0.5 if axis is None else axis.centre(i) for i in range(cells)]
        order = np.argsort(centres)  # a mirrored map runs backwards
        share = np.stack([np.interp(np.arange(length), np.take(centres, order), row[order]) for row in np.eye(cells)])
        maps = np.moveaxis(np.tensordot(maps, share, (dim, 0)), -1, dim)
    return maps.astype(np.float32)


def _starts(length: int, window: int, stride: int) -> list[int]:
    """The first pixels of the windows along one axis; the last window ends at the border."""
    starts = list(range(0, length - window + 1, stride))
    return starts if starts[-1] == length - window else [*starts, length - window]


def _check_completeness(model: Module, x: Tensor, start: Tensor, units: list[Unit], result: np.ndarray) -> None:
    difference = _scores(model, x.detach(), units).numpy() - _scores(model, start, units).numpy()
    gap = np.abs(result.sum(axis=(1, 2, 3), dtype=np.float64) - difference)
    n = int(np.argmax(gap - 0.05 * np.abs(difference)))
    if gap[n] > 0.05 * abs(difference[n]) + 1e-4:
        warnings.warn(
            f"the shares of image {n} add up to {difference[n]:.4g} only within {gap[n]:.2g}: take more steps",
            AttributionWarning,
            stacklevel=3,
        )
