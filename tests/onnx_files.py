"""Networks in .onnx files, beside onnxruntime: the outputs, and the gradient of their sum beside finite differences.

    python -m tests.onnx_files net.onnx other.onnx

Needs the package onnxruntime. A length that a file does not fix is 1 for the batch and 64 for the rest.
"""

import sys
import time
import warnings

import numpy as np
from PIL import Image, ImageDraw

import minicnn
from minicnn.onnx._network import Network
from minicnn.viz import sample_photo

SHAPE = (1, 3, 64, 64)
STEP = 1e-7


def image_for(network: Network) -> np.ndarray:
    """A photograph with a word on it, between -1 and 1, of the shape that the network takes: (N, C, H, W)."""
    (shape,) = network.inputs.values()
    n, c, h, w = (n or other for n, other in zip(shape or SHAPE, SHAPE, strict=True))
    picture = Image.fromarray(sample_photo()).resize((w, h))
    ImageDraw.Draw(picture).text((w // 8, h // 3), "minicnn 2026", fill="black")
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1) / 127.5 - 1
    return np.ascontiguousarray(np.broadcast_to(pixels[np.arange(c) % 3], (n, c, h, w)))


def compare(path: str) -> str:
    """A line: the largest difference of the outputs over their largest number, and of a slope over itself."""
    import onnxruntime

    begin = time.perf_counter()
    network = minicnn.onnx.load(path)
    loaded = time.perf_counter() - begin
    image = image_for(network)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    fed = image.transpose(0, 2, 3, 1) if network._turned else image
    expected = session.run(None, {name: fed})
    with minicnn.no_grad():
        results = network(minicnn.tensor(image))
    results = results if isinstance(results, tuple) else (results,)
    worst = max(
        float(np.abs(result.numpy() - wanted).max() / (np.abs(wanted).max() or 1))
        for result, wanted in zip(results, expected, strict=True)
    )
    slope, difference = slopes(network, image)
    nodes = sum(1 for _ in network.modules())
    slopes_ = f"slope {slope:.6g}, by differences {difference:.6g}"
    return f"{path.rsplit('/', 1)[-1]:40} {nodes:5} modules, read in {loaded:.1f} s, outputs {worst:.1e}, {slopes_}"


def slopes(network: Network, image: np.ndarray) -> tuple[float, float]:
    """Of a weighted sum of the outputs along a random direction, in double precision: by gradients, and by differences."""
    network = network.double()
    rng = np.random.default_rng(1)
    direction = rng.standard_normal(image.shape)
    weights: list[np.ndarray] = []

    def value(x: minicnn.Tensor) -> minicnn.Tensor:
        results = network(x)
        results = results if isinstance(results, tuple) else (results,)
        if not weights:
            weights.extend(rng.standard_normal(r.shape) for r in results)
        return sum((r * minicnn.tensor(w)).sum() for r, w in zip(results, weights, strict=True))

    x = minicnn.tensor(image.astype(np.float64)).requires_grad_()
    value(x).backward()
    slope = float((x.grad.numpy() * direction).sum())
    with minicnn.no_grad():
        ends = [value(minicnn.tensor(image + sign * STEP * direction)).item() for sign in (1, -1)]
    return slope, (ends[0] - ends[1]) / (2 * STEP)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for file in sys.argv[1:]:
        print(compare(file), flush=True)
