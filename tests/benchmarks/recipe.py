"""The default recipe of `minicnn.viz.maximize`, written in PyTorch as a user would: what `maximize` is timed against."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

COLOURS = torch.tensor([[0.565, 0.227, 0.056], [0.584, -0.005, -0.115], [0.583, -0.215, 0.061]])
MEAN, STD = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def maximize_with_torch(
    model: torch.nn.Module, layer: int, channels: Sequence[int], steps: int = 256, size: int = 96
) -> np.ndarray:
    """The activations (N,) at the end of gradient ascent on these channels of `model.features[layer]`, one image for each."""
    part = model.features[: layer + 1].eval()
    for parameter in part.parameters():
        parameter.requires_grad_(False)
    noise = 0.01 * np.random.default_rng([0, 0]).standard_normal((3, size, size // 2 + 1, 2))
    spectrum = torch.tensor(np.stack([noise] * len(channels)).astype(np.float32), requires_grad=True)
    images = torch.arange(len(channels))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    scale = torch.tensor((0.25 / np.maximum(frequency, 1 / size)).astype(np.float32)[:, :, None])
    optimizer = torch.optim.Adam([spectrum], lr=0.05)
    rng = np.random.default_rng(0)

    def image() -> torch.Tensor:
        x = torch.fft.irfft2(torch.view_as_complex(spectrum * scale), (size, size), norm="ortho")
        return (COLOURS @ x.reshape(-1, 3, size * size)).reshape(-1, 3, size, size).sigmoid()

    def score(x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(part((x - MEAN) / STD)[images, channels], 0.01).mean((1, 2))

    for _ in range(steps):
        x = F.pad(image(), (8, 8, 8, 8), value=0.5)
        x = jitter(affine(jitter(x, rng), rng), rng)
        optimizer.zero_grad()
        (-score(x)).sum().backward()
        optimizer.step()
    with torch.no_grad():
        return score(image()).numpy()


def jitter(x: torch.Tensor, rng: np.random.Generator, pixels: int = 8) -> torch.Tensor:
    height, width = (side - pixels for side in x.shape[2:])
    top, left = rng.integers(0, pixels + 1, 2)
    return x[:, :, top : top + height, left : left + width]


def affine(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    n, _, height, width = x.shape
    zoom, angle = rng.uniform(0.9, 1.1), np.deg2rad(rng.uniform(-8, 8))
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    theta = torch.tensor([[[cos, -sin * height / width, 0], [sin * width / height, cos, 0]]], dtype=torch.float32)
    grid = F.affine_grid(theta, [1, 1, height, width], align_corners=False).expand(n, -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
