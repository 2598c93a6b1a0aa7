"""What the network does with one photograph: its answer, why, and the maps of every layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, no_grad
from minicnn.atlas.plan import Plan
from minicnn.nn import Module
from minicnn.viz import capture, grad_cam, maps_of
from minicnn.viz import image as images
from minicnn.viz.figures.plot import coloured
from minicnn.viz.network import class_names, frozen
from minicnn.viz.tiles import in_grey

EXPLAINED = 3  # answers for which Grad-CAM says where they come from


@dataclass
class Photograph:
    """name: the file's. image: uint8 (H, W, 3) as the network saw it. maps: {layer: (C, H, W)}.

    answer: [(class index, name, probability)], the most probable first; empty if the output is not (N, classes).
    why: [(class name, uint8 (H, W, 3))], the photograph under Grad-CAM for the first answers.
    """

    name: str
    image: np.ndarray
    maps: dict[str, np.ndarray]
    answer: list[tuple[int, str, float]]
    why: list[tuple[str, np.ndarray]]


def look_at(plan: Plan, source: Any, name: str, top: int = 5) -> Photograph:
    """One pass over a photograph (whatever `viz.load_image` takes) at the network's input size, and its gradients."""
    model = plan.model
    image = images.fit(images.load_image(source, plan.channels), plan.side)
    x = images.as_input(image[None], model, plan.statistics)
    image = image if plan.channels == 3 else in_grey(images.to_channels(image, plan.channels))  # as the network sees it
    layers = [layer.name for layer in plan.layers if layer.has_maps]
    with frozen(model), no_grad(), capture(model, layers or [""]) as captured:
        output = model(x)
    maps = {layer: maps_of(captured[layer]) for layer in layers}
    answer = answer_of(model, output, top)
    return Photograph(name, image, maps, answer, _why(model, x, image, answer[:EXPLAINED]))


def answer_of(model: Module, output: Any, top: int) -> list[tuple[int, str, float]]:
    """The most probable classes of an output (1, classes) as (index, name, probability)."""
    if getattr(output, "ndim", 0) != 2 or len(output) != 1:
        return []
    probabilities = output.detach().softmax(1)[0].numpy()
    names = class_names(model, len(probabilities))
    order = np.argsort(-probabilities, kind="stable")[:top].tolist()
    return [(i, names[i] if names else f"class {i}", float(probabilities[i])) for i in order]


def _why(
    model: Module, x: Tensor, image: np.ndarray, answers: list[tuple[int, str, float]]
) -> list[tuple[str, np.ndarray]]:
    try:
        return [(name, _overlay(image, grad_cam(model, x, index)[0])) for index, name, _ in answers]
    except ValueError:  # no module of this network returns maps
        return []


def _overlay(image: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """The photograph in grey, coloured where a map (H, W) >= 0 is large."""
    share = cam[..., None] / (float(cam.max()) or 1.0)
    grey = image.mean(2, keepdims=True)
    return ((1 - 0.7 * share) * grey + 0.7 * share * coloured(cam, signed=False)).round().astype(np.uint8)
