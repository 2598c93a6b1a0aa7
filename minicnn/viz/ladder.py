"""One unit, one improvement of the ascent at a time: an ablation study, from naive pixels to images that can be read.

The order is the field's own. Pixels: Erhan et al. 2009. L2: Simonyan, Vedaldi, Zisserman 2014. Total variation: Mahendran and
Vedaldi 2015. Blur: Yosinski et al. 2015. Random shifts, zooms and turns, the Fourier parametrisation and decorrelated colours:
Olah, Mordvintsev, Schubert 2017. Fixed magnitudes: Fel et al. 2023.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz.figures.ladder import draw_ladders
from minicnn.viz.figures.plot import Figure
from minicnn.viz.maximize import Maximized, maximize
from minicnn.viz.objectives import Unit
from minicnn.viz.parts import L2, Blur, FixedMagnitude, Fourier, Pixels, TotalVariation
from minicnn.viz.spectrum import fine_share

Variants = Mapping[str, Mapping[str, Any]]
NAIVE = {"parametrization": Pixels(rate=0.02), "transforms": "none"}


def standard_variants(rise: float) -> dict[str, dict[str, Any]]:
    """The eight variants as arguments of `maximize`; each keeps what the one before it has, and adds what its name says.

    The Fourier variant writes the image in another way, in place of the pixels and of the three penalties: it starts from what they
    ask for. rise: how far the activation rises on the first variant. The penalties are weighed in it, so that they are as strong for
    a unit that reaches 2 as for one that reaches 40.
    """
    penalties = [L2(2 * rise), TotalVariation(0.5 * rise), Blur(4 * rise)]
    moving = {"transforms": "standard"}
    variants: dict[str, dict[str, Any]] = {"pixels": NAIVE}
    for i, name in enumerate(("+ L2", "+ total variation", "+ blur")):
        variants[name] = {**NAIVE, "penalties": penalties[: i + 1]}
    variants["+ jitter, zoom, turn"] = {**variants["+ blur"], **moving}
    variants["Fourier, 1/f"] = {"parametrization": Fourier(decorrelate=False), **moving}
    variants["+ natural colours"] = {"parametrization": Fourier(), **moving}
    variants["fixed magnitude"] = {"parametrization": FixedMagnitude(), **moving}
    return variants


@dataclass
class Ladder:
    """What `ladder` returns: {variant: `Maximized` with one image}, in order. standard: `standard_variants`."""

    unit: str
    results: dict[str, Maximized]
    standard: bool = False

    @property
    def columns(self) -> str:
        """For a caption: what the standard variants do, of others what ran."""
        if not self.standard:
            return " ".join(f"{name}: {result.recipe}." for name, result in self.results.items())
        return (
            "Each column adds what its name says to the one before it; Fourier writes the image in another way, in place of pixels and "
            "penalties, and so does fixed magnitude."
        )

    def table(self) -> str:
        """A line for each variant: the activation of the clean image before and after, how much of the picture's variance
        is finer than 4 pixels a period (`spectrum.fine_share`), and the seconds."""
        width = max(map(len, self.results))
        lines = [f"{self.unit}\n{'variant':<{width}}  {'before':>8} {'after':>8} {'fine':>6} {'seconds':>8}"]
        for name, result in self.results.items():
            start, end = result.activation_start[0], result.activation_end[0]
            fine = fine_share(result.images[0])
            lines.append(f"{name:<{width}}  {start:8.3f} {end:8.3f} {fine:6.1%} {result.seconds:8.1f}")
        return "\n".join(lines)

    __str__ = table

    def figure(self, beside: "Ladder | None" = None, captions: Sequence[str] = ("standard", "robust twin")) -> Figure:
        """The images, with the curve of the loss and the spectrum below each; a matplotlib Figure.

        beside: the same ladder of another network, drawn below the first; captions: what the two networks are called.
        """
        return draw_ladders([self] if beside is None else [self, beside], captions)


def ladder(
    model: Module,
    unit: str | Unit,
    *,
    variants: Variants | Callable[[float], Variants] = standard_variants,
    steps: int = 192,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    progress: bool = True,
    **parts: Any,
) -> Ladder:
    """Maximise one unit as many times as there are variants, with one improvement more each time.

    Args:
        model, unit, steps, size, seed, progress: as in `maximize`, the same for every variant; and `parts`, whatever else it takes.
        variants: {name: arguments of `maximize`}, or a function that returns it when it is given the rise of the activation under
            naive ascent on pixels; by default `standard_variants`.

    Each variant warns (`ActivationWarning`) where the activation of the clean image did not rise.
    """
    standard = variants is standard_variants
    parts |= {"steps": steps, "size": size, "seed": seed, "progress": progress}
    naive = None
    if callable(variants):
        naive = maximize(model, [unit], **{**parts, **NAIVE})
        rise = float(naive.activation_end[0] - naive.activation_start[0])
        variants = variants(max(rise, float(np.finfo(np.float32).tiny)))
    results = {
        name: naive if naive is not None and arguments is NAIVE else maximize(model, [unit], **{**parts, **arguments})
        for name, arguments in variants.items()
    }
    if not results:
        raise ValueError("a ladder needs at least one variant")
    return Ladder(next(iter(results.values())).labels[0], results, standard)
