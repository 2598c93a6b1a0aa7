"""torchcam: all of its methods, and its measures.

Methods that draw numbers draw them with a deviation of next to nothing: the same draws cannot come.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import filled, images, small

DISTRIBUTION = "torchcam"
METHODS: dict[str, dict[str, Any]] = {
    "CAM": {"fc_layer": "fc"},
    "ScoreCAM": {"batch_size": 5},
    "SSCAM": {"num_samples": 2, "std": 1e-30},
    "ISCAM": {"num_samples": 3},
    "GradCAM": {},
    "GradCAMpp": {},
    "SmoothGradCAMpp": {"num_samples": 2, "std": 1e-30},
    "XGradCAM": {},
    "LayerCAM": {},
}


def maps(name: str, dtype: Any, layers: Any = "relu3", **settings: Any) -> list[Any]:
    """The maps of two images, one class for both and a class for each."""
    from torchcam import methods

    model, x = small(dtype), images(dtype)
    found = []
    for classes in (3, [1, 7]):
        with getattr(methods, name)(model, layers, **settings) as extractor:
            scores = model(x)
            found += extractor(class_idx=classes, scores=scores, normalized=classes == 3)
    return found


def target(dtype: Any) -> list[Any]:
    """A map of a number that is made of the answer."""
    from torchcam import methods

    model, x = small(dtype), images(dtype)
    with methods.GradCAM(model, "relu3") as extractor:
        scores = model(x)
        return extractor(scores=scores, targets=lambda answer: answer[..., 2] - answer[..., 5])


def fused(dtype: Any) -> list[Any]:
    """Maps of several layers as one."""
    from torchcam import methods

    model, x = small(dtype), images(dtype)
    with methods.LayerCAM(model, ["relu2", "relu3"]) as extractor:
        found = extractor(class_idx=2, scores=model(x))
        return [extractor.fuse_cams(found)]


def wrapped(name: str, dtype: Any, **settings: Any) -> list[Any]:
    from torchcam import methods

    model, x = small(dtype), images(dtype)
    with getattr(methods, name)(model, ["relu2", "relu3"], **settings) as extractor:
        return list(extractor(class_idx=4, scores=model(x)))


def transformer(dtype: Any) -> list[Any]:
    """LeGrad, on torchvision's transformer, a small one."""
    from torchcam import methods
    from torchvision.models import VisionTransformer

    model = filled(VisionTransformer(32, 8, 3, 4, 24, 48, num_classes=10), dtype)
    with methods.LeGrad(model, list(model.encoder.layers)[-2:]) as extractor:
        scores = model(images(dtype, (32, 32)))
        return [scores, *extractor(class_idx=3, scores=scores)]


def measures(dtype: Any) -> list[Any]:
    """What the two measures say of Grad-CAM's maps."""
    import torch
    from torchcam import methods, metrics

    model, x, before = small(dtype), images(dtype), torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # of the steps of its curves
    with methods.GradCAM(model, "relu3") as extractor:
        classification = metrics.ClassificationMetric(extractor, partial(torch.softmax, dim=-1))
        classification.update(x)
        curves = metrics.DeletionInsertionMetric(extractor, steps=4, logits_fn=partial(torch.softmax, dim=-1))
        curves.update(x)
        torch.set_default_dtype(before)
        numbers = [*classification.summary().values(), *curves.summary().values()]
    return [torch.tensor([float(number) for number in numbers], dtype=torch.float64)]


def cases() -> dict[str, Callable]:
    found: dict[str, Callable] = {
        name: partial(maps, name, **{"layers": "relu3", **settings}) for name, settings in METHODS.items()
    }
    found["GradCAM of a target"] = target
    found["LayerCAM of two layers, fused"] = fused
    found["RefineCAM"] = partial(wrapped, "RefineCAM")
    found["FinerCAM"] = partial(wrapped, "FinerCAM")
    found["LeGrad"] = transformer
    found["metrics"] = measures
    return found
