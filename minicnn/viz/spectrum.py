"""Spectra of pictures: how much of each frequency is in them, and how much is in photographs.

All transforms are orthonormal (the sum of the squared magnitudes is that of the squared pixels); frequencies are in cycles a
pixel, 0 to 0.5 along an axis. The magnitudes of photographs fall as a power of the frequency, near 1 / f (Field 1987, "Relations
between the statistics of natural images and the response properties of cortical cells").
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

# How the colours of photographs vary together: the square root of the covariance of R, G, B (rows) over the 10,000 validation
# photographs of Tiny ImageNet-200, a column for each principal direction (brightness, warm-cold, green-magenta), divided by the
# longest column. Measured by `python weights/image_statistics.py`. The idea: Olah, Mordvintsev, Schubert 2017.
COLOURS = np.array([[0.565, 0.227, 0.056], [0.584, -0.005, -0.115], [0.583, -0.215, 0.061]], np.float32)

# The mean magnitudes of the 10,000 validation photographs of Tiny ImageNet-200 (64 x 64, pixels in [0, 1]), along the three colour
# directions of `COLOURS` (brightness, warm-cold, green-magenta): a / f ** b, least squares on the logarithms.
# Measured by `python weights/image_statistics.py`.
NATURAL = ((0.052, 1.01), (0.0015, 1.73), (0.00099, 1.67))


def frequencies(height: int, width: int) -> np.ndarray:
    """The frequency of each coefficient of the half spectrum of an image, in cycles a pixel: (height, width // 2 + 1)."""
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])


def natural_magnitude(height: int, width: int, channels: int = 3) -> np.ndarray:
    """(channels, height, width // 2 + 1): the magnitudes of photographs by the power laws of `NATURAL`, for an image of any size.

    For 3 channels those of the three colour directions; otherwise each channel is a brightness. The mean colour stays out:
    the magnitude of frequency 0 is 0.
    """
    frequency = frequencies(height, width)
    frequency[0, 0] = np.inf
    laws = NATURAL if channels == 3 else NATURAL[:1] * channels
    return np.stack([a / frequency**b for a, b in laws]).astype(np.float32)


def mean_magnitude(photographs: Iterable[np.ndarray], columns: np.ndarray | None = None) -> np.ndarray:
    """The mean magnitudes (C, H, W // 2 + 1) of photographs of one size (H, W, C), uint8 or floats in [0, 1].

    columns: (C, C), orthonormal colour directions as columns, along which the spectra are taken; else the channels'. The mean
    colour of each photograph is taken away first. ValueError if there are no photographs, or of different sizes.
    """
    total: Any = 0.0
    count = 0
    for photograph in photographs:
        pixels = photograph / np.float32(255) if photograph.dtype == np.uint8 else np.asarray(photograph, np.float32)
        if count and np.shape(total) != (pixels.shape[2], pixels.shape[0], pixels.shape[1] // 2 + 1):
            raise ValueError(f"photograph {count} is {pixels.shape[:2]}, those before it have another size")
        pixels = pixels - pixels.mean((0, 1))
        if columns is not None:
            pixels = pixels @ columns.astype(np.float32)
        total = total + np.abs(np.fft.rfft2(pixels.transpose(2, 0, 1), norm="ortho"))
        count += 1
    if not count:
        raise ValueError("no photographs")
    return (total / count).astype(np.float32)


def radial_spectrum(picture: np.ndarray, bins: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """(frequencies, root mean square magnitudes) of a picture's brightness in rings of the spectrum, up to 0.5 cycles a pixel.

    picture: (H, W, C) in [0, 1]; its brightness is the mean of the channels, less its mean, under a Hann window, so that the
    jump from one border to the opposite one does not count; the window's own loss of energy is put back. The rings are
    equally wide on a logarithmic axis; empty ones are left out.
    """
    power, frequency = _power(picture)
    lowest = 1 / min(picture.shape[:2])
    edges = np.geomspace(lowest, 0.5, bins + 1)
    ring = np.digitize(frequency, edges) - 1
    rings = [i for i in range(bins) if (ring == i).any()]
    middle = np.array([frequency[ring == i].mean() for i in rings])
    return middle, np.sqrt([power[ring == i].mean() for i in rings])


def fine_share(picture: np.ndarray, above: float = 0.25) -> float:
    """The share of a picture's variance of brightness in frequencies above `above` cycles a pixel (0.25: finer than 4 pixels a
    period). The photographs of Tiny ImageNet-200 have a fifth there on the average, white noise four fifths."""
    power, frequency = _power(picture)
    twice = np.full(power.shape[1], 2.0)  # a column of the half spectrum stands for two
    twice[0] = 1
    if picture.shape[1] % 2 == 0:
        twice[-1] = 1
    power = power * twice
    return float(power[frequency > above].sum() / max(power[frequency > 0].sum(), 1e-12))


def _power(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = picture.shape[:2]
    grey = picture.mean(2)
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    spectrum = np.fft.rfft2((grey - (grey * window).sum() / window.sum()) * window, norm="ortho")
    return np.abs(spectrum) ** 2 / (window**2).mean(), frequencies(height, width)
