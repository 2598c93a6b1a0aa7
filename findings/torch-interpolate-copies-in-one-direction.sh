#!/usr/bin/env bash
# PyTorch 2.13.0 and 2.14.1: F.interpolate with a factor that changes no length (1.03 of 10 pixels) copies the image in one direction
# only. With antialias=True the image comes out as it went in, but the gradient is resampled with the factor; bicubic and the nearest
# mode of series resample the image, but pass the gradient on as it is. gradcheck says no to all four; without antialias bilinear
# copies both ways. It hurts gradient ascent and attribution through augmentation by random zoom, where small factors are the usual case.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > near.py <<'PYTHON'
import torch
import torch.nn.functional as F

def copies(shape, factor, **how):
    """Whether the result is the image, whether its gradient is what came in, and gradcheck's word."""
    image = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    resized = F.interpolate(image, scale_factor=factor, **how)
    assert resized.shape == image.shape
    came_in = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(resized, image, came_in)
    right = torch.autograd.gradcheck(lambda x: F.interpolate(x, scale_factor=factor, **how), image, raise_exception=False)
    return torch.equal(resized, image), torch.equal(gradient, came_in), right

square, series = (1, 1, 10, 10), (1, 1, 40)
found = {
    "bilinear": copies(square, 1.03, mode="bilinear"),
    "bilinear, antialias": copies(square, 1.03, mode="bilinear", antialias=True),
    "bicubic": copies(square, 1.03, mode="bicubic"),
    "bicubic, antialias": copies(square, 1.03, mode="bicubic", antialias=True),
    "nearest, a series": copies(series, 1.02, mode="nearest"),
}
print("torch", torch.__version__)
for name, answer in found.items():
    print(f"  {name:20} the image is copied: {answer[0]}, the gradient: {answer[1]}, gradcheck: {answer[2]}")
assert found == {
    "bilinear": (True, True, True),
    "bilinear, antialias": (True, False, False),
    "bicubic": (False, True, False),
    "bicubic, antialias": (True, False, False),
    "nearest, a series": (False, True, False),
}
PYTHON
for version in 2.13.0 2.14.1; do
    python3 -m venv "venv$version"
    "venv$version/bin/python" -m pip install --quiet "torch==$version" numpy==2.4.6
    "venv$version/bin/python" near.py || exit 1
    rm -rf "venv$version"
done
