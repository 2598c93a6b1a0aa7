"""grad-cam (`pytorch_grad_cam`): all of its methods, and its measures.

Its maps are float32, whatever the network's type: rounded at the end (base_cam.py:204), from numbers that are the network's, or have
PyTorch's default type (score_cam.py:54). `RandomCAM` draws from NumPy, whose numbers are the same; the measure ROAD adds noise, and is
given none here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.libraries.networks import default_type, filled, images, small

DISTRIBUTION = "grad-cam"
METHODS = (
    "GradCAM", "HiResCAM", "GradCAMElementWise", "GradCAMPlusPlus", "XGradCAM", "LayerCAM", "ScoreCAM", "AblationCAM", "EigenCAM",
    "EigenGradCAM", "SegEigenCAM", "KPCA_CAM", "FEM", "RandomCAM", "ShapleyCAM", "FinerCAM",
)  # fmt: skip


def tensors(*arrays: Any) -> list[Any]:
    import torch

    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def maps(name: str, dtype: Any, layers: tuple[str, ...] = ("relu3",), **how: Any) -> list[Any]:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    np.random.seed(0)  # noqa: NPY002  (what the library draws from)
    model, x = small(dtype), images(dtype)
    targets = [ClassifierOutputTarget(3), ClassifierOutputTarget(7)]
    with default_type(dtype), getattr(pytorch_grad_cam, name)(model, [getattr(model, one) for one in layers]) as cam:
        return tensors(cam(input_tensor=x, targets=targets, **how))


def without_targets(dtype: Any) -> list[Any]:
    """The classes with the largest answers."""
    import pytorch_grad_cam

    model = small(dtype)
    with pytorch_grad_cam.GradCAM(model, [model.relu2]) as cam:
        return tensors(cam(input_tensor=images(dtype), targets=None))


def full_gradient(dtype: Any) -> list[Any]:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = small(dtype)
    with pytorch_grad_cam.FullGrad(model, []) as cam:
        return tensors(cam(input_tensor=images(dtype), targets=[ClassifierOutputTarget(3), ClassifierOutputTarget(7)]))


def around(name: str, dtype: Any, **settings: Any) -> list[Any]:
    """Methods that call another one."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = small(dtype)
    cam = getattr(pytorch_grad_cam, name)(model, [model.relu2, model.relu3][-settings.pop("layers", 1) :], **settings)
    return tensors(cam(input_tensor=images(dtype), targets=[ClassifierOutputTarget(3), ClassifierOutputTarget(7)]))


def guided(dtype: Any) -> list[Any]:
    import pytorch_grad_cam

    model = small(dtype)
    return tensors(
        pytorch_grad_cam.GuidedBackpropReLUModel(model)(images(dtype)[:1].requires_grad_(), target_category=3)
    )


def factors(dtype: Any) -> list[Any]:
    import pytorch_grad_cam

    model = small(dtype)

    def computed(concepts: Any) -> Any:  # which it gives in float32
        return model.fc(concepts.to(dtype))

    made = pytorch_grad_cam.DeepFeatureFactorization(model, model.relu3, computation_on_concepts=computed)
    concepts, explanations, outputs = made(images(dtype), 3)
    return tensors(concepts, *explanations, outputs)


def transformer(dtype: Any) -> list[Any]:
    """Grad-CAM of torchvision's transformer, a small one, with its tokens as an image."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchvision.models import VisionTransformer

    model = filled(VisionTransformer(32, 8, 2, 4, 24, 48, num_classes=10), dtype)

    def as_image(tokens: Any) -> Any:
        return tokens[:, 1:].reshape(tokens.shape[0], 4, 4, -1).permute(0, 3, 1, 2)

    with pytorch_grad_cam.GradCAM(model, [model.encoder.layers[-1].ln_1], reshape_transform=as_image) as cam:
        return tensors(cam(input_tensor=images(dtype, (32, 32)), targets=[ClassifierOutputTarget(3)] * 2))


def measures(dtype: Any) -> list[Any]:
    import pytorch_grad_cam
    import torch
    from pytorch_grad_cam.metrics import cam_mult_image
    from pytorch_grad_cam.metrics.arcc import Coherency, Complexity
    from pytorch_grad_cam.metrics.perturbation_confidence import (
        PerturbationConfidenceMetric,
        RemoveLeastRelevantFirst,
        RemoveMostRelevantFirst,
    )
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    network, x = small(dtype), images(torch.float32)  # holes are filled with numbers of this type

    def model(given: Any) -> Any:
        return network(given.to(dtype))

    targets = [ClassifierOutputSoftmaxTarget(3), ClassifierOutputSoftmaxTarget(7)]
    with pytorch_grad_cam.GradCAM(network, [network.relu3]) as cam:
        found = cam(input_tensor=x.to(dtype), targets=targets)
        quiet = NoisyLinearImputer(noise=0)
        asked = [
            cam_mult_image.CamMultImageConfidenceChange(),
            cam_mult_image.DropInConfidence(),
            cam_mult_image.IncreaseInConfidence(),
            PerturbationConfidenceMetric(RemoveMostRelevantFirst(80, quiet)),
            PerturbationConfidenceMetric(RemoveLeastRelevantFirst(20, quiet)),
        ]
        scores = [measure(x, found, targets, model) for measure in asked]
        return tensors(*scores, Complexity()(found), Coherency()(x.to(dtype), found, targets, model, cam))


def cases() -> dict[str, Callable]:
    found: dict[str, Callable] = {name: partial(maps, name) for name in METHODS}
    found["GradCAM of two layers"] = partial(maps, "GradCAM", layers=("relu2", "relu3"))
    found["GradCAM, smoothed"] = partial(maps, "GradCAM", aug_smooth=True, eigen_smooth=True)
    found["GradCAM without targets"] = without_targets
    found["FullGrad"] = full_gradient
    found["RefineCAM"] = partial(around, "RefineCAM", layers=2)
    found["SESS"] = partial(around, "SESS", num_scales=2)
    found["GuidedBackpropReLUModel"] = guided
    found["DeepFeatureFactorization"] = factors
    found["GradCAM of a transformer"] = transformer
    found["metrics"] = measures
    return found
