"""The figure of one number taken apart: tables, their products, and the subtotals as steps up to the sum."""

from typing import Any

import numpy as np

from minicnn.viz.figures.plot import DIVERGING, Figure, axes, caption, new_figure, panel

UP, DOWN, TOTAL = "#b2182b", "#2166ac", "#333333"  # the ends of the diverging map: red above zero, blue below


def draw_explanation(explanation: Any, tables: int, most: int) -> Figure:
    """A row for each of the `tables` tables with the largest subtotals: left * right = products; at the right the sum.

    most: cells of a table whose numbers are written.
    """
    order = np.argsort(-np.abs(explanation.subtotals), kind="stable")
    shown = sorted(order[:tables].tolist())
    high, wide = explanation.left.shape[1:]
    if not high or not wide:
        raise ValueError("no output pixel saw this one: its gradient is an empty sum, and there is nothing to draw")
    side = 1.9
    tile_w, tile_h = side * min(1.0, wide / high), side * min(1.0, high / wide)
    gap, label, right = 0.42, 0.38, 4.0
    height = max(len(shown) * (tile_h + label), 2.6)
    rest = len(explanation.tables) - len(shown)
    rule = (
        f"{' '.join(explanation.what.split())} Red is above zero, blue below, white is zero; each column of tables has one scale."
        + (
            f" Shown are the {len(shown)} tables with the largest subtotals; {rest} more are in the sum."
            if rest
            else ""
        )
    )
    figure = new_figure(1.2 + 3 * (tile_w + gap) + right, height + 0.5, "One number, taken apart", rule)
    parts = explanation.left, explanation.right, explanation.products
    inside = np.broadcast_to(explanation.inside, explanation.left.shape)
    tops = [np.abs(part[shown]).max() or 1.0 for part in parts]
    numbers = high * wide <= most
    for row, k in enumerate(shown):
        bottom = height - (row + 1) * (tile_h + label) + 0.35
        caption(figure, 0.12, bottom, tile_h, explanation.tables[k], fontsize=9)
        for column, (part, top) in enumerate(zip(parts, tops, strict=True)):
            ax = axes(figure, 1.15 + column * (tile_w + gap), bottom, tile_w, tile_h)
            ax.imshow(part[k], cmap=DIVERGING, vmin=-1.35 * top, vmax=1.35 * top)
            if numbers:
                _write(ax, part[k], inside[k] if column == 0 else np.ones((high, wide), bool), tile_w / wide, top)
            if row == 0:
                ax.set_title((*explanation.names, "products")[column], fontsize=9)
            sign = "×=→"[column]
            ax.text(1 + gap / tile_w / 2, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=13)
    left = 1.15 + 3 * (tile_w + gap) + 0.55
    _steps(panel(figure, left, 0.85, right - 0.75, height - 0.75, "the subtotals, added up"), explanation, shown)
    return figure


def _write(ax: Any, table: np.ndarray, inside: np.ndarray, cell: float, top: float) -> None:
    """The numbers in their cells, to two digits of the largest; cell: its width in inches."""
    decimals = min(max(1 - int(np.floor(np.log10(top))), 0), 6) if top < 0.1 or top >= 100 else 2
    for (row, column), value in np.ndenumerate(table):
        text, colour = (_short(value, decimals), "#222222") if inside[row, column] else ("pad", "#888888")
        size = min(9.0, cell * 72 / (0.66 * (decimals + 3)))
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _short(value: float, decimals: int) -> str:
    """-0.04 as -.04, and what rounds to zero as 0."""
    text = f"{value:.{decimals}f}"
    return "0" if float(text) == 0 else text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def _steps(ax: Any, explanation: Any, shown: list[int]) -> None:
    """Subtotals as steps, each beginning where the last one ended; those that are not shown as one step; the bias; the sum."""
    rest = [k for k in range(len(explanation.tables)) if k not in shown]
    steps = [(explanation.tables[k], explanation.subtotals[k]) for k in shown]
    if rest:
        steps.append((f"{len(rest)} more", explanation.subtotals[rest].sum()))
    if explanation.bias is not None:
        steps.append(("bias", explanation.bias))
    ends = np.cumsum([value for _, value in steps])
    above = {"textcoords": "offset points", "ha": "center"}
    for i, ((_, value), end) in enumerate(zip(steps, ends, strict=True)):
        ax.bar(i, value, bottom=end - value, color=UP if value > 0 else DOWN, width=0.65)
        ax.plot([i - 0.33, i + 1.33], [end, end], color="#888888", linewidth=0.7)
        ax.annotate(f"{value:+.3g}", (i, max(end, end - value)), xytext=(0, 2), fontsize=8, **above)
    ax.bar(len(steps), explanation.value, color=TOTAL, width=0.65)
    top = len(steps), max(explanation.value, 0)
    ax.annotate(f"{explanation.value:.4g}", top, xytext=(0, 9), fontsize=9, fontweight="bold", **above)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.use_sticky_edges = False  # room for the numbers above and below the bars
    ax.margins(y=0.14)
    ax.set_xticks(range(len(steps) + 1), [*(name for name, _ in steps), "sum"], fontsize=7.5, rotation=30, ha="right")
