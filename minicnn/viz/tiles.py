"""Pictures as arrays: what is laid out and coloured before anything is drawn."""

import numpy as np

GREY = 0.5  # a weight of zero


def limits_of(values: np.ndarray, top: float | None = None) -> tuple[float, float]:
    """(0, top) if nothing is negative, else (-top, top): zero always has the same colour. top: the largest magnitude."""
    top = float(np.abs(values).max()) if top is None else top
    return (-top if values.min() < 0 else 0.0, top or 1.0)


def mosaic(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Tiles (N, h, w) or (N, h, w, 3), so many a row, as one array with NaN lines `gap` wide between: quick for thousands."""
    count, height, width, *colours = tiles.shape
    rows = -(-count // columns)
    out = np.full((rows * columns, height + gap, width + gap, *colours), np.nan, np.float32)
    out[:count, :height, :width] = tiles
    out = out.reshape(rows, columns, *out.shape[1:]).swapaxes(1, 2)
    return out.reshape(rows * (height + gap), columns * (width + gap), *colours)[: -gap or None, : -gap or None]


def as_rgb(image: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) in [0, 1] of any number of channels as one that can be drawn, (H, W * k, 3).

    3: as it is; 1: grey; any other number: its channels as grey pictures side by side.
    """
    if image.shape[2] == 3:
        return image
    return np.repeat(np.concatenate(np.moveaxis(image, 2, 0), axis=1)[:, :, None], 3, axis=2)


def in_grey(picture: np.ndarray) -> np.ndarray:
    """The brightness of a picture uint8 (H, W, C), the mean of its channels, as uint8 (H, W, 3): what a map is laid over."""
    return np.repeat(picture.mean(2, keepdims=True).astype(np.uint8), 3, 2)
