"""The histogram of a unit's activations as a drawing (SVG) in the page, in the colours of its text."""

import numpy as np

from minicnn.atlas.markup import Markup, el
from minicnn.viz.running_histogram import Histogram

BARS = 40  # at most
WIDTH, HEIGHT = 320, 80  # of the bars


def draw_histogram(h: Histogram, marks: list[float]) -> Markup:
    """Bars as high as log(1 + count), a line at zero, below the axis a mark for each of some values."""
    filled = np.flatnonzero(h.counts)
    if not len(filled):
        return el("p", "No activation was counted.")
    first, last = filled[0], filled[-1] + 1
    step = -(-(last - first) // BARS)
    counts = np.add.reduceat(h.counts[first:last], np.arange(0, last - first, step))
    edges = h.edges[[*range(first, last, step), last]]
    low, high = float(edges[0]), float(edges[-1])
    places = (edges - low) / (high - low) * WIDTH
    zero = -low / (high - low) * WIDTH
    ticks = "".join(f"M{(value - low) / (high - low) * WIDTH:.0f} {HEIGHT + 1}v5" for value in marks)
    return el(
        "svg",
        el("path", d=_outline(places, counts), fill="currentColor"),
        el("path", d=ticks, stroke="currentColor", stroke_width=2),
        el("line", x1=f"{zero:.4g}", x2=f"{zero:.4g}", y1=-4, y2=HEIGHT) if low < 0 < high else None,
        _label(f"{low:.3g}", 0, "start"),
        _label("0", zero, "middle") if 0.15 < zero / WIDTH < 0.85 else None,
        _label(f"{high:.3g}", WIDTH, "end"),
        viewBox=f"0 -6 {WIDTH} {HEIGHT + 28}",
        role="img",
        aria_label="Histogram",
        class_="histogram",
    )


def _outline(places: np.ndarray, counts: np.ndarray) -> str:
    """The path around the bars: at each edge across to it, then up or down to the next bar's top."""
    tops = HEIGHT - np.log1p(counts) / np.log1p(counts.max()) * HEIGHT
    steps = "".join(f"H{x:.0f}V{y:.0f}" for x, y in zip(places[:-1], tops, strict=True))
    return f"M0 {HEIGHT}{steps}H{WIDTH}V{HEIGHT}Z"


def _label(text: str, x: float, anchor: str) -> Markup:
    return el("text", text, x=f"{x:.4g}", y=HEIGHT + 18, text_anchor=anchor)
