"""What patches of images look like on the average, and how much of a filter lies along each of their patterns.

The principal components of image patches are the patterns along which patches differ most from one another: for photographs
first the brightness, then gradients, then finer and finer waves and colours. The energy of a layer along them says which of
these the layer listens to: Chowers and Weiss 2023, "What do CNNs learn in the first layer and why? A linear systems perspective".
"""

import numpy as np


def patch_components(
    images: np.ndarray, size: int, patches: int = 20_000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of random square patches of images (N, C, H, W): (components, variances).

    components (K, K), K = C size size: row i is the pattern with the i-th largest variance, in the order of a filter's weights
    (channel, row, column), length 1. variances (K,), in the square of the images' unit; the patches' mean is taken off.
    Normalise the images as the network does, or the components are not those of what its filters meet.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or min(images.shape[2:]) < size:
        raise ValueError(f"images are (N, C, H, W) with sides of at least {size}, got {images.shape}")
    rng = np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))  # (N, C, H', W', size, size)
    n, y, x = (rng.integers(windows.shape[axis], size=patches) for axis in (0, 2, 3))
    flat = windows[n, :, y, x].reshape(patches, -1).astype(np.float64)
    variances, vectors = np.linalg.eigh(np.cov(flat.T))
    return vectors.T[::-1].copy(), variances[::-1].clip(0)


def component_energy(weight: np.ndarray, components: np.ndarray) -> np.ndarray:
    """How the energy of filters (O, C, KH, KW) is distributed over components (K, C KH KW): (K,).

    Entry i is the sum over the filters of their squared product with component i, divided by the filters' sum of squares.
    For a whole basis the entries add up to 1, and for white noise each is about 1 / K.
    """
    rows = np.asarray(weight, np.float64).reshape(len(weight), -1)
    components = np.asarray(components, np.float64)
    if rows.shape[1] != components.shape[1]:
        raise ValueError(f"a filter has {rows.shape[1]} weights, a component {components.shape[1]}")
    total = (rows**2).sum()
    return ((rows @ components.T) ** 2).sum(axis=0) / (total if total > 0 else 1.0)
