"""What every figure is made of: the head with its title and rule, axes in inches, grids of tiles, colour bars, rows of pictures."""

import math
import os
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.inspect.names import printable
from minicnn.viz.image import load_image
from minicnn.viz.tiles import as_rgb, in_grey, limits_of

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:  # matplotlib is imported when the first figure is made; an annotation is the bare name
    Axes, Figure, FuncAnimation = "Axes", "Figure", "FuncAnimation"

SEQUENTIAL = "magma"  # from nothing to much
WIDEST = 16.0  # inches that a title may ask for, or a row of pictures
DIVERGING = "RdBu_r"  # about zero: blue below, white zero, red above
TITLE: dict[str, Any] = {"fontsize": 13, "fontweight": "bold", "ha": "left", "va": "top", "color": "#111111"}
RULE: dict[str, Any] = {"fontsize": 9, "ha": "left", "va": "top", "color": "#555555", "linespacing": 1.35}


def new_figure(width: float, height: float, title: str, rule: str) -> Figure:
    """An empty figure with its title, and the rule below it that says what the colours and numbers mean.

    width, height: inches of the free space; the head is added on top. A title widens the figure, up to WIDEST; a longer one wraps.
    """
    letter, margin = 0.115, 0.3  # inches, of the title's bold
    width = max(width, 4.5, min(WIDEST, letter * max(map(len, title.split("\n"))) + margin))
    title = textwrap.fill(title, int((width - margin) / letter + 0.5), replace_whitespace=False)
    lines = textwrap.wrap(rule, int(width * 14.5))
    below = 0.42 + 0.22 * title.count("\n")
    head = below + 0.17 * len(lines) + 0.1
    figure = plain_figure()(figsize=(width, height + head), dpi=130, facecolor="white")
    total = height + head
    figure.text(0.15 / width, 1 - 0.12 / total, title, **TITLE)
    figure.text(0.15 / width, 1 - below / total, "\n".join(lines), **RULE)
    return figure


@cache
def plain_figure() -> type[Figure]:
    """The class of figures whose words are words: matplotlib takes "a$b_c$", a class name, for a formula. The numbers at
    the axes stay what matplotlib makes of them, the names that stand there are words."""
    from matplotlib.artist import Artist
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    def words(artist: Artist) -> Iterator[Text]:
        children = artist.get_children()
        if isinstance(artist, Axis):
            named = isinstance(artist.get_major_formatter(), FuncFormatter)  # what `set_xticks(places, labels)` sets
            ticks = artist.get_major_ticks() if named else []
            children = [artist.label, *(label for tick in ticks for label in (tick.label1, tick.label2))]
        for child in children:
            yield from [child] if isinstance(child, Text) else words(child)

    class PlainFigure(Figure):
        def draw(self, renderer: Any) -> None:
            for text in words(self):
                text.set(parse_math=False, usetex=False, text=printable(text.get_text()))
            super().draw(renderer)

        def __reduce__(self) -> Any:  # pickled, it is a Figure
            return Figure, (), self.__getstate__()

    return PlainFigure


def normalisation(settings: Mapping[str, Any]) -> str:
    """For a rule: with which mean and std images entered the network, and who said so."""
    return " Normalisation: {statistics}: {source}.".format(**settings) if "source" in settings else ""


def text_width(text: str, fontsize: float) -> float:
    """Inches of the longest line."""
    from matplotlib.textpath import TextPath

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font does not have is drawn as a box
        lines = [TextPath((0, 0), line.replace("$", "S") or ".", size=fontsize) for line in printable(text).split("\n")]
        return max(line.get_extents().x1 for line in lines if len(line.vertices)) / 72


def axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without a frame at a place given in inches from the figure's lower left corner."""
    total_width, total_height = figure.get_size_inches()
    ax = figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))
    ax.set_axis_off()
    return ax


def panel(
    figure: Figure, left: float, bottom: float, width: float, height: float, title: str = "", x: str = "", y: str = ""
) -> Axes:
    """Axes for curves and bars, at a place in inches; title, x, y: what stands above, below and beside them."""
    ax = axes(figure, left, bottom, width, height)
    ax.set_axis_on()
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7, length=2)
    ax.set_title(title, fontsize=8.5, pad=4)
    ax.set_xlabel(x, fontsize=8)
    ax.set_ylabel(y, fontsize=8)
    return ax


def caption(figure: Figure, left: float, bottom: float, height: float, text: str, **style: Any) -> None:
    """Words beside a row of pictures, in the middle of its height."""
    axes(figure, left, bottom, 1, height).text(0, 0.5, text, **{"fontsize": 8.5, "va": "center", **style})


def draw_map(ax: Axes, values: np.ndarray, top: float | None = None, **options: Any) -> Any:
    """A map (H, W) up to its largest magnitude, or `top`: 0 is black, or white if values are negative. The drawn image."""
    low, high = limits_of(values, top)
    cmap = DIVERGING if low < 0 else SEQUENTIAL
    return ax.imshow(values, cmap=cmap, vmin=low, vmax=high, **{"interpolation": "nearest", **options})


def overlay(ax: Axes, picture: np.ndarray, values: np.ndarray, top: float | None = None, **options: Any) -> Any:
    """A map laid over a photograph in grey: colour and opacity grow with its magnitude. `draw_map`'s image."""
    height, width = picture.shape[:2]
    ax.imshow(in_grey(picture))
    alpha = np.clip(np.abs(values) / limits_of(values, top)[1], 0, 1) * 0.75 + 0.1
    drawn = draw_map(ax, values, top, alpha=alpha, **{"extent": (-0.5, width - 0.5, height - 0.5, -0.5), **options})
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return drawn


class Grid:
    """Tiles in rows and columns. The unit of all lengths but `wide` and `high`, the inches of the whole, is a tile's width.

    tile: its inches, fewer where the whole would be wider than `widest` inches or higher than `highest`. aspect: height of a
    tile; gap between tiles; label: height left above each.
    """

    def __init__(
        self, count: int, columns: int, aspect: float, tile: float, *, gap: float = 0.06, label: float = 0.0,
        widest: float = 12.0, highest: float = math.inf,
    ) -> None:  # fmt: skip
        self.count, self.columns = count, max(1, min(columns, count))
        self.rows = -(-count // self.columns)
        self.aspect, self.gap, self.label = aspect, gap, label
        self.width = self.columns * (1 + gap) - gap
        self.height = self.rows * (aspect + gap + label) - gap
        tile = min(tile, widest / self.width, highest / self.height)
        self.wide, self.high = self.width * tile, self.height * tile

    def place(self, i: int) -> tuple[float, float]:
        """(x, y) of the upper left corner of tile i; y grows downwards."""
        row, column = divmod(i, self.columns)
        return column * (1 + self.gap), row * (self.aspect + self.gap + self.label) + self.label

    def row(self, i: int, bottom: float = 0.0) -> tuple[float, float]:
        """(inches from the figure's lower edge, height in inches) of the tiles of a row, for a grid that begins at `bottom`."""
        tile = self.wide / self.width
        return bottom + self.high - (self.place(i * self.columns)[1] + self.aspect) * tile, self.aspect * tile

    def axes(self, figure: Figure, left: float, bottom: float) -> list[Axes]:
        """Axes for each tile, for a grid at a place in inches."""
        tile = self.wide / self.width
        rows = (self.row(i // self.columns, bottom) for i in range(self.count))
        return [axes(figure, left + self.place(i)[0] * tile, y, tile, high) for i, (y, high) in enumerate(rows)]

    def draw(
        self,
        figure: Figure,
        left: float,
        bottom: float,
        tiles: Sequence[np.ndarray],
        *,
        labels: Sequence[str] = (),
        cmap: str | None = None,
        limits: Any = None,
        crossed: Sequence[bool] = (),
        colours: Sequence[str] = (),
        fontsize: float = 7.0,
    ) -> Axes:
        """Draw the tiles, (h, w) values or (h, w, 3 or 4) colours of one shape, at a place in inches; the axes.

        limits: of the colour map, (low, high), or one such pair for each tile.
        """
        ax = axes(figure, left, bottom, self.wide, self.high)
        for i, tile in enumerate(tiles):
            x, y = self.place(i)
            extent = (x, x + 1, y + self.aspect, y)
            if len(crossed) and crossed[i]:
                cross(ax, x, y, 1, self.aspect)
            elif tile.ndim == 3:
                ax.imshow(tile, extent=extent, interpolation="nearest")
            else:
                low, high = limits[i] if isinstance(limits, list) else limits
                ax.imshow(tile, extent=extent, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            if len(labels):
                colour = colours[i] if len(colours) else "#222222"
                words: dict[str, Any] = {"fontsize": fontsize, "ha": "center", "va": "bottom", "linespacing": 1.1}
                ax.text(x + 0.5, y - 0.03, labels[i], color=colour, **words)
        ax.set(xlim=(-0.01, self.width + 0.01), ylim=(self.height + 0.01, -0.01), aspect="equal")
        return ax


def cross(ax: Axes, x: float, y: float, width: float, height: float) -> None:
    """The mark of something dead: an empty box with a cross, in place of noise stretched to full contrast."""
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), width, height, facecolor="#eeeeee", edgecolor="#999999", linewidth=0.6))
    ax.plot([x, x + width], [y, y + height], color="#999999", linewidth=0.8)
    ax.plot([x, x + width], [y + height, y], color="#999999", linewidth=0.8)


def colour_bar(figure: Figure, image: Any, left: float, bottom: float, height: float, label: str) -> None:
    """A vertical colour bar for a drawn image, at a place in inches."""
    bar = figure.colorbar(image, cax=axes(figure, left, bottom, 0.14, height))
    bar.ax.set_axis_on()
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_linewidth(0.5)


def relative_bar(figure: Figure, cmap: str, left: float, bottom: float, height: float, ticks: Sequence[str]) -> None:
    """A colour bar for tiles that have a scale each: its ends are named, not numbered."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colour_bar(figure, ScalarMappable(Normalize(0, 1), cmap), left, bottom, height, "")
    figure.axes[-1].set_yticks(np.linspace(0, 1, len(ticks)), ticks)


def figure_path(name: str | os.PathLike[str]) -> Path:
    """The file of a figure: a PNG if the name has no ending. ValueError if matplotlib cannot write such files."""
    path = Path(name)
    path = path if path.suffix or path.is_dir() else path.with_suffix(".png")
    known = plain_figure()().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(
            f"{path}: a figure is written as {', '.join(sorted(known))}, not as {path.suffix or 'a folder'}"
        )
    return path


def writable(path: Path) -> None:
    """Raises OSError if a file of this name cannot be written; its folder is made. For before the work."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(f"{path.parent} is a file, not a folder") from None
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written")


def coloured(values: np.ndarray, signed: bool) -> np.ndarray:
    """A map (H, W) as uint8 (H, W, 3), to its own largest magnitude: about zero if signed, else from zero."""
    from matplotlib import colormaps

    top = float(np.abs(values).max()) or 1.0
    shares = values / (2 * top) + 0.5 if signed else values / top
    return colormaps[DIVERGING if signed else SEQUENTIAL](shares, bytes=True)[..., :3]


def draw_rows(rows: Sequence[tuple[str, Any, Sequence[str]]], title: str, rule: str, inches: float = 1.4) -> Figure:
    """Rows of pictures: (words at the left, pictures (H, W, C) in [0, 1], a label above each; no labels: []).

    rule: what the labels say and how the pictures were made. inches: a picture's width.
    """
    columns = max(len(pictures) for _, pictures, _ in rows)
    left = 0.25 + 0.068 * max(len(line) for words, _, _ in rows for line in words.split("\n"))
    gap = 0.08
    heights = [inches * pictures[0].shape[0] / pictures[0].shape[1] for _, pictures, _ in rows]
    heads = [0.12 + 0.13 * max((label.count("\n") + 1 for label in labels), default=0) for _, _, labels in rows]
    bottom = sum(heights) + sum(heads) + 0.1
    figure = new_figure(left + columns * (inches + gap) + 0.1, bottom, title, rule)
    for (words, pictures, labels), height, head in zip(rows, heights, heads, strict=True):
        bottom -= height + head
        caption(figure, 0.12, bottom, height, words)
        for i, picture in enumerate(pictures):
            ax = axes(figure, left + i * (inches + gap), bottom, inches, height)
            ax.imshow(as_rgb(picture), interpolation="nearest" if len(picture) < 32 else "bilinear")
            if len(labels):
                ax.set_title(labels[i], fontsize=fitting(labels, inches), pad=3)
    return figure


def fitting(labels: Sequence[str], inches: float, largest: float = 7.5) -> float:
    """The size of letters with which none of the labels, of one line or more, is wider than this."""
    longest = max(1, *map(len, "\n".join(labels).split("\n")))
    return min(largest, 120 * inches / longest)


def name_places(axis: Any, names: Sequence[str], **style: Any) -> None:
    """The names at the places 0, 1, 2, ... of an axis of a plot. matplotlib makes these words anew whenever it draws, from the
    text that it is given here: so what no terminal shows is taken out here."""
    axis.set_ticks(range(len(names)), [printable(name) for name in names], **style)


def sample_photo() -> np.ndarray:
    """The photograph of Grace Hopper that matplotlib installs (public domain, James S. Davis 1984): uint8 (600, 512, 3)."""
    from matplotlib import cbook

    return load_image(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
