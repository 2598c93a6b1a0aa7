"""Measures the statistics of photographs that the maximised images lean on, and prints them as minicnn/viz has them.

    python weights/image_statistics.py PATH/TO/tiny-imagenet-200

How red, green and blue vary together (`spectrum.COLOURS`), the power laws of the magnitudes along these directions
(`spectrum.NATURAL`), and how much of a photograph is fine. The folder has the official layout of Tiny ImageNet-200; its 10,000
validation photographs are read, in about ten seconds.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minicnn import viz
from minicnn.viz.spectrum import COLOURS, fine_share, frequencies, mean_magnitude


def colour_directions(photographs: list[np.ndarray]) -> np.ndarray:
    """The square root of the covariance of the colours, a column for each principal direction, the longest has length 1."""
    covariance = np.mean([np.cov(photograph.reshape(-1, 3).T / 255.0) for photograph in photographs], axis=0)
    means = np.array([photograph.mean((0, 1)) / 255.0 for photograph in photographs])
    values, vectors = np.linalg.eigh(covariance + np.cov(means.T))
    columns = (vectors * np.sqrt(values))[:, ::-1]
    columns *= np.where(columns[0] < 0, -1, 1)
    return columns / np.linalg.norm(columns, axis=0).max()


def power_law(magnitude: np.ndarray) -> tuple[float, float]:
    """(a, b) of a / f ** b, least squares on the logarithms, up to 0.5 cycles a pixel."""
    side = magnitude.shape[0]
    frequency = frequencies(side, side)
    chosen = (frequency > 0) & (frequency <= 0.5)
    slope, level = np.polyfit(np.log(frequency[chosen]), np.log(magnitude[chosen]), 1)
    return float(np.exp(level)), float(-slope)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    paths = sorted((parser.parse_args().folder / "val" / "images").glob("*.JPEG"))
    photographs = [viz.load_image(path) for path in tqdm(paths, delay=2)]
    print(f"{len(photographs)} photographs")
    print("COLOURS =", colour_directions(photographs).round(3).tolist())
    directions = COLOURS / np.linalg.norm(COLOURS, axis=0)
    laws = [power_law(magnitude) for magnitude in mean_magnitude(photographs, directions)]
    print("NATURAL =", [(float(f"{a:.2g}"), round(b, 2)) for a, b in laws])
    print("share of the variance above 0.25 cycles a pixel, mean:", end=" ")
    print(f"{np.mean([fine_share(photograph / 255.0) for photograph in photographs]):.3f}")


if __name__ == "__main__":
    main()
