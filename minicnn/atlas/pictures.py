"""Pictures of the pages: each is stored once, as the background of a class, and shown as often as one likes.

A background is decoded when its element is shown, so a page with thousands of pictures opens at once. The class is i and the
picture's number. How large an element
is follows from where it stands (`style.css`). A picture that says something has the role of an image and a name for
those who do not see it; one beside a link that names the same thing is decoration and has none.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from minicnn.atlas.markup import Markup, el

QUALITY = 68  # of WebP
SMALL = 32  # pixels of a side up to which a picture is stored without loss and its single pixels are shown


def encoded(image: np.ndarray, lossless: bool | None = None) -> str:
    """uint8 (H, W, 3) as a WebP data URI; lossless None: whichever is smaller."""
    smallest = min((_webp(image, way) for way in ((True, False) if lossless is None else (lossless,))), key=len)
    return "data:image/webp;base64," + base64.b64encode(smallest).decode()


def _webp(image: np.ndarray, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=QUALITY, lossless=lossless, method=4)
    return buffer.getvalue()


class Pictures:
    """The pictures of an atlas by key, and the rules of style that hold them, by number."""

    def __init__(self) -> None:
        self.rules: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, key: str, image: np.ndarray) -> None:
        """Store a picture, uint8 (H, W, 3)."""
        small = max(image.shape[:2]) <= SMALL
        self._store(key, image, small, "image-rendering:pixelated" if small else "")

    def add_sheet(self, key: str, tiles: np.ndarray) -> None:
        """Store pictures of one size, uint8 (N, H, W, 3), without loss in one file; `tile` shows one of them."""
        count, height, width, _ = tiles.shape
        columns = _columns(count)
        rows = -(-count // columns)
        sheet = np.zeros((rows * columns, height, width, 3), np.uint8)
        sheet[:count] = tiles
        sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
        size = f"background-size:{columns * 100}% {rows * 100}%;--n:{max(columns - 1, 1)};--m:{max(rows - 1, 1)}"
        self._store(key, sheet, True, f"{size};image-rendering:pixelated")

    def _store(self, key: str, image: np.ndarray, lossless: bool, more: str) -> None:
        if key not in self._numbers:
            self._numbers[key] = number = len(self.rules)
            self.rules.append(f".i{number}{{background-image:url({encoded(image, lossless)});{more}}}")

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def number(self, key: str) -> int:
        """By which the scripts know a picture."""
        return self._numbers[key]

    def show(
        self, key: str, alt: str | None = None, *content: Markup, kind: str = "", style: str | None = None
    ) -> Markup:
        """An element that shows a picture. alt: its name, None for decoration. kind: more classes."""
        classes = " ".join(filter(None, ("i", f"i{self._numbers[key]}", kind)))
        return el("span", *content, role=alt and "img", aria_label=alt, class_=classes, style=style)

    def tile(self, key: str, number: int, count: int, alt: str | None = None) -> Markup:
        """An element that shows one picture of a sheet of `count`."""
        row, column = divmod(number, _columns(count))
        return self.show(key, alt, kind="t", style=f"--c:{column};--r:{row}")


def box_style(box: Sequence[int], shape: Sequence[int]) -> str:
    """The style under which, in a square photograph of this shape, a box (top, left, bottom, right) is cut out or framed."""
    top, left, bottom, right = map(int, box)
    return f"--y:{top};--x:{left};--h:{bottom - top};--w:{right - left};--s:{shape[0]}"


def figure_image(figure: Any) -> np.ndarray:
    """A matplotlib figure as uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def _columns(count: int) -> int:
    return max(1, int(np.ceil(np.sqrt(count))))
