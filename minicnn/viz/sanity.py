"""Does a map depend on what the network learned? Randomise its layers from the top, and see whether the map changes.

Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, "Sanity checks for saliency maps". A method whose map stays the same when the
weights are random explains the image, not the network.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn import Tensor, manual_seed, no_grad
from minicnn.nn import Module
from minicnn.random import fork_rng
from minicnn.viz.attribution import METHODS, Target, targets
from minicnn.viz.figures.attribution import draw_sanity
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import find_call, find_module, outputs_of

Method = str | Callable[[Module, Tensor, Any], np.ndarray]


@dataclass
class SanityCheck:
    """The map of one method, of the trained network and after each step of randomisation.

    name: of the method. stages: "trained", then the layer that was randomised at each step, the last layer first.
    maps: float32 (stages, N, H, W), the magnitudes: of maps with channels the largest over them.
    rank_correlation, absolute_rank_correlation: (stages, N) Spearman's rho between the map's numbers and those of the trained
    network's map, with their signs and without; ssim: (stages, N) structural similarity of the magnitudes, each scaled to its
    largest. All three are 1 for equal maps; rho is about 0 for unrelated ones, SSIM is not, see `ssim`. NaN where a map has
    one value everywhere, as a Grad-CAM map of nothing but zeros.
    """

    name: str
    stages: list[str]
    maps: np.ndarray
    rank_correlation: np.ndarray
    absolute_rank_correlation: np.ndarray
    ssim: np.ndarray
    seed: int
    cascade: bool = True

    @property
    def means(self) -> dict[str, list[float]]:
        """{number: its mean over the images at each stage}, of those that are numbers; NaN if none is."""
        numbers = {
            "rank_correlation": self.rank_correlation,
            "absolute_rank_correlation": self.absolute_rank_correlation,
        }
        numbers["ssim"] = self.ssim
        return {
            name: [float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else float("nan") for v in values]
            for name, values in numbers.items()
        }

    @property
    def order(self) -> str:
        """What happens from stage to stage, for a caption."""
        if not self.cascade:
            return "one layer at a time gets random weights, the others are trained."
        return "one layer more gets random weights" + (
            f", beginning with {self.stages[1]}." if self.stages[1:] else "."
        )

    def __str__(self) -> str:
        width = max(map(len, self.stages))
        lines = [f"{self.name}: means over {self.maps.shape[1]} images", f"{'':<{width}}   rank   |rank|   SSIM"]
        for stage, *numbers in zip(self.stages, *self.means.values(), strict=True):
            lines.append(f"{stage:<{width}}  " + "  ".join(f"{number:6.2f}" for number in numbers))
        return "\n".join(lines)

    def figure(self, photo: Any = None, **options: Any) -> Figure:
        """The maps of one image at every stage, and the curves of the numbers, see `draw_sanity`."""
        return draw_sanity([self], photo, **options)


def sanity_check(
    method: Method,
    model: Module,
    x: Tensor,
    target: Target = None,
    *,
    layers: Sequence[str] | None = None,
    cascade: bool = True,
    seed: int = 0,
    name: str | None = None,
    progress: bool = True,
) -> SanityCheck:
    """Randomise the network's layers one after the other from the top, and compare the method's map with the trained network's.

    Args:
        method: a name of `attribution.METHODS`, or a function (model, x, target) -> array (N, H, W) or (N, C, H, W), such as
            `partial(grad_cam, layer="features.11")`.
        x, target: as for every method. The target is chosen once, from the trained network.
        layers: the modules to randomise, in this order; by default all that have parameters of their own, the one that was
            called last first.
        cascade: each step keeps the layers before it random; False: one layer at a time, the others trained.
        seed: of the random weights. Equal seeds give equal numbers.

    A layer gets the weights that it would have at the start of training (`reset_parameters`; one that has no such method:
    normal numbers of each parameter's own standard deviation). At the end, after an error too, every parameter and buffer is
    put back bit for bit; the random numbers that follow, and the seed, are as if nothing had been drawn.
    """
    function, label = (METHODS[method], method) if isinstance(method, str) else (method, name or _name(method))
    units = targets(model, x, target)
    names = layers_from_the_top(model, x) if layers is None else list(layers)
    modules = [find_module(model, layer) for layer in names]
    raw = []
    with _put_back(model) as restore, fork_rng():
        for stage in tqdm([None, *range(len(names))], desc=label, unit="layer", delay=2, disable=not progress):
            if stage is not None:
                if not cascade:
                    restore()
                manual_seed(seed + stage)
                _randomise(modules[stage])
            raw.append(np.asarray(function(model, x, units), np.float32).copy())
    maps = np.stack([np.abs(m).max(axis=1) if m.ndim == 4 else np.abs(m) for m in raw])
    count = len(x)
    numbers = np.array(
        [
            [[rank_correlation(r[n], raw[0][n]), rank_correlation(abs(r[n]), abs(raw[0][n])), ssim(m[n], maps[0][n])] for n in range(count)]
            for r, m in zip(raw, maps, strict=True)
        ]
    )  # fmt: skip
    rank, magnitude, similar = np.moveaxis(numbers, 2, 0)
    return SanityCheck(name or label, ["trained", *names], maps, rank, magnitude, similar, seed, cascade)


def layers_from_the_top(model: Module, x: Tensor) -> list[str]:
    """The dotted names of the modules that have parameters of their own, the one that was called last first."""
    own = [name for name, module in model.named_modules() if next(module.parameters(recurse=False), None) is not None]
    if not own:
        raise ValueError("this network has no parameters to randomise")
    outputs = outputs_of(model, [f"{name}#*" for name in own], x[:1])
    return list(dict.fromkeys(find_call(model, call)[0] for call in reversed(list(outputs))))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rho of two arrays of one size: the correlation of their ranks, equal numbers sharing a rank. NaN if one of
    them has one value everywhere."""
    ranks = [_ranks(values) for values in (a, b)]
    deviations = [r - r.mean() for r in ranks]
    norm = np.sqrt(np.prod([(d * d).sum() for d in deviations]))
    return float((deviations[0] * deviations[1]).sum() / norm) if norm > 0 else float("nan")


def ssim(a: np.ndarray, b: np.ndarray, window: int = 7) -> float:
    """Structural similarity of two maps (H, W), not negative, each divided by its largest number: mean over all windows.

    Of luminance, contrast and structure in squares of `window` pixels. 1 for equal maps; where both are dark it is near 1 too, so
    that sparse maps of different things do not come near 0. NaN if one has one value everywhere. Wang, Bovik, Sheikh,
    Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    a, b = (values / values.max(initial=1e-30) for values in (a.astype(np.float64), b.astype(np.float64)))
    window = min(window, *a.shape)

    def average(values: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(values, (window, window))
        return views.mean(axis=(2, 3))

    mean_a, mean_b = average(a), average(b)
    variance_a, variance_b = average(a * a) - mean_a**2, average(b * b) - mean_b**2
    covariance = average(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similarity / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]


@contextmanager
def _put_back(model: Module) -> Iterator[Callable[[], None]]:
    """Every parameter and buffer as it was at the end of the block; what it yields does so at once."""
    tensors = [*model.parameters(), *model.buffers()]
    saved = [t.detach().numpy().copy() for t in tensors]

    def restore() -> None:
        with no_grad():
            for t, values in zip(tensors, saved, strict=True):
                t.copy_(Tensor.wrap(values))

    try:
        yield restore
    finally:
        restore()


def _randomise(module: Module) -> None:
    with no_grad():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
            return
        for parameter in module.parameters(recurse=False):
            values = parameter.detach().numpy()
            parameter.normal_(0.0, float(values.std()) or 1.0)


def _name(method: Any) -> str:
    return getattr(getattr(method, "func", method), "__name__", type(method).__name__)
