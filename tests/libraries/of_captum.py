"""captum: its attribution methods.

What draws numbers is called so that the draws do not matter: with a deviation of 0, on a linear model, with all permutations, or with a
function that changes its inputs by a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.libraries.networks import filled, images, in_float64, small

DISTRIBUTION = "captum"
# It fits surrogates in float32 (attr/_core/lime.py:505 to :513). Lime's are of draws of ours, so both libraries fit the same numbers.
FLOAT32_INSIDE = ("KernelShap",)
exact = in_float64


def linear(dtype: Any) -> Any:
    """A linear function of six numbers, with three outputs, of so few digits that float32 holds them: surrogates are fitted in it."""
    import torch
    from torch import nn

    model = filled(nn.Sequential(nn.Linear(6, 3)), dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 64).round() / 64)
    return model


def dense(dtype: Any) -> Any:
    """Two layers of six numbers, with three outputs."""
    from torch import nn

    return filled(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)), dtype)


def rows(dtype: Any, count: int = 4) -> Any:
    import torch

    return torch.from_numpy(np.random.RandomState(2).randint(-32, 33, (count, 6)) / 16).to(dtype)


def blocks(x: Any) -> Any:
    """The masks of 7x9 features: an image in squares of 4x4 pixels."""
    import torch

    height, width = x.shape[2:]
    rows, columns = torch.arange(height) // 4, torch.arange(width) // 4
    return (rows[:, None] * (int(columns.max()) + 1) + columns).expand(1, 1, height, width)


def flat(found: Any) -> list[Any]:
    if isinstance(found, (tuple, list)):
        return [tensor for part in found for tensor in flat(part)]
    return [found]


def of_images(name: str, dtype: Any, layer: str | None = None, neuron: Any = None, **how: Any) -> list[Any]:
    """A method on the small network and two images, a class for each."""
    import torch
    from captum import attr

    np.random.seed(0)  # noqa: NPY002  (what GradientShap draws the places between image and reference from)
    model, x = small(dtype), images(dtype).requires_grad_()
    if "LRP" in name:
        add_rules(model)
    names = layer.split(",") if layer else []
    layers = [getattr(model, one) for one in names]
    made = getattr(attr, name)(model, *([layers if len(layers) > 1 else layers[0]] if layers else []))
    for key, value in how.items():
        how[key] = value(x.detach()) if callable(value) and key != "attribute_to_layer_input" else value
    if neuron is not None:
        return flat(made.attribute(x, neuron, **how))
    return flat(made.attribute(x, **({} if name == "LayerActivation" else {"target": torch.tensor([3, 7])}), **how))


def of_rows(name: str, build: Callable, dtype: Any, **how: Any) -> list[Any]:
    """A method on a network of six numbers."""
    from captum import attr

    model, x = build(dtype), rows(dtype)
    for key, value in how.items():
        how[key] = value(x) if callable(value) else value
    return flat(getattr(attr, name)(model).attribute(x, target=1, **how))


def zeros(x: Any) -> Any:
    import torch

    return torch.zeros_like(x)


def several(x: Any) -> Any:
    """Three images to compare with."""
    import torch

    return torch.cat([x[:1] * 0.5, x[1:] * -0.2, x[:1] * 0])


def one(x: Any) -> Any:
    return x[:1] * 0.5


def turned(x: Any, mask: Any) -> Any:
    """What `FeaturePermutation` does at random, by a rule: each image of the batch gets the next one's numbers."""
    import torch

    other = x.roll(1, 0)
    return torch.where(mask.expand_as(x) != 0, other, x)


def permuted(name: str, dtype: Any, layer: str = "") -> list[Any]:
    import torch
    from captum import attr

    model, x = small(dtype), images(dtype)
    given = [getattr(model, layer)] if layer else []
    made = getattr(attr, name)(model, *given)
    made.perm_func = turned  # `FeaturePermutation` takes it as an argument; what it wraps has it as an attribute
    if layer:
        return flat(made.attribute(x, target=torch.tensor([3, 7]), layer_mask=None))
    return flat(
        attr.FeaturePermutation(model, turned).attribute(x, target=torch.tensor([3, 7]), feature_mask=blocks(x))
    )


def with_noise(kind: str, dtype: Any) -> list[Any]:
    """Of a deviation of 0: the mean of equal maps, their squares, or their variance, which is 0."""
    from captum import attr

    model, x = small(dtype), images(dtype)
    made = attr.NoiseTunnel(attr.Saliency(model))
    found = made.attribute(x, nt_type=kind, nt_samples=3, stdevs=0.0, target=3)
    return [found + 1 if kind == "vargrad" else found]


def by_products(dtype: Any) -> list[Any]:
    """Deep learning's important features with several references, and how far they are from their sum."""
    from captum import attr

    model, x = small(dtype), images(dtype)
    found, delta = attr.DeepLift(model).attribute(x, x * 0.1, target=3, return_convergence_delta=True)
    return [found, delta]


def add_rules(model: Any) -> None:
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule

    model.conv1.rule, model.conv2.rule, model.fc.rule = GammaRule(), Alpha1_Beta0_Rule(), EpsilonRule()


def lrp(dtype: Any) -> list[Any]:
    from captum import attr

    model, x = small(dtype), images(dtype)
    add_rules(model)
    found, delta = attr.LRP(model).attribute(x, target=3, return_convergence_delta=True)
    return [found, delta]


def lime(dtype: Any) -> list[Any]:
    """Of a linear function with a linear surrogate, its weights: of every two samples or more the same."""
    import torch
    from captum import attr
    from captum._utils.models.linear_model import SkLearnLinearRegression

    model, x = linear(dtype), rows(dtype, 1)
    draws = iter(torch.from_numpy(np.random.RandomState(3).randint(0, 2, (20, 1, 6))).to(dtype))

    def draw(given: Any, **more: Any) -> Any:
        return next(draws)

    made = attr.Lime(model, SkLearnLinearRegression(), perturb_func=draw)
    return flat(made.attribute(x, target=1, n_samples=20))


def kernel_shap(dtype: Any) -> list[Any]:
    """Of a linear function any samples give its weights times the inputs, but for the rounding of what is fitted to them.

    That depends on the draws, so these are means over several, of each row and output.
    """
    import torch
    from captum import attr

    made, x, found = attr.KernelShap(linear(dtype)), rows(dtype), []
    for seed in range(8):
        torch.manual_seed(seed)
        found.append([made.attribute(row, target=target, n_samples=20) for row in x.split(1) for target in range(3)])
    return [torch.stack([torch.cat(one) for one in found]).mean(0)]


def words(dtype: Any) -> list[Any]:
    """Integrated gradients of numbers of words, by their embeddings; and a layer that stands in for the embeddings."""
    import torch
    from captum import attr
    from torch import nn

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.fc = nn.Embedding(7, 5, padding_idx=0), nn.Linear(5, 3)

        def forward(self, numbers: Any) -> Any:
            return self.fc(torch.tanh(self.embedding(numbers)).mean(1))

    model = filled(Text(), dtype)
    numbers, nothing = torch.tensor([[3, 1, 6, 0], [2, 2, 5, 4]]), torch.zeros(2, 4, dtype=torch.int64)
    found = attr.LayerIntegratedGradients(model, model.embedding).attribute(numbers, nothing, target=1, n_steps=10)
    stand_in = attr.configure_interpretable_embedding_layer(model, "embedding")
    embedded, nothing = stand_in.indices_to_embeddings(numbers), stand_in.indices_to_embeddings(nothing)
    again = attr.IntegratedGradients(model).attribute(embedded, nothing, target=1, n_steps=10)
    attr.remove_interpretable_embedding_layer(model, stand_in)
    return [found, again, model(numbers)]


def metrics(dtype: Any) -> list[Any]:
    """Infidelity and sensitivity under changes by a rule."""
    from captum import attr
    from captum.metrics import infidelity, sensitivity_max

    model, x = small(dtype), images(dtype)
    found = attr.Saliency(model).attribute(x, target=3)

    def change(given: Any) -> Any:
        return given * 0.1, given * 0.9

    def nearby(given: Any, radius: float = 0.02) -> Any:
        return given * (1 + radius)

    moved = sensitivity_max(attr.Saliency(model).attribute, x, perturb_func=nearby, n_perturb_samples=2, target=3)
    return [infidelity(model, change, x, found, target=3), moved]


def guided_grad_cam(dtype: Any) -> list[Any]:
    from captum import attr

    model, x = small(dtype), images(dtype)
    return flat(attr.GuidedGradCam(model, model.relu3).attribute(x, target=3, interpolate_mode="bilinear"))


def cases() -> dict[str, Callable]:
    found: dict[str, Callable] = {}

    def add(name: str, title: str = "", **how: Any) -> None:
        found[title or name] = partial(of_images, name, **how)

    add("Saliency")
    add("Saliency", "Saliency with signs", abs=False)
    add("InputXGradient")
    add("IntegratedGradients", n_steps=12)
    add(
        "IntegratedGradients",
        "IntegratedGradients in parts",
        n_steps=12,
        internal_batch_size=5,
        method="riemann_trapezoid",
    )
    add(
        "IntegratedGradients",
        "IntegratedGradients and its delta",
        n_steps=9,
        baselines=one,
        return_convergence_delta=True,
    )
    add("DeepLift", baselines=zeros)
    add("DeepLiftShap", baselines=several)
    add("GradientShap", baselines=one, stdevs=0.0, n_samples=1)
    add("GuidedBackprop")
    add("Deconvolution")
    add("FeatureAblation", feature_mask=blocks, perturbations_per_eval=4)
    add("Occlusion", sliding_window_shapes=(3, 8, 8), strides=(3, 6, 7), baselines=0.5)
    for layer in ("relu3", "conv2"):
        add("LayerActivation", f"LayerActivation {layer}", layer=layer)
        add("LayerGradCam", f"LayerGradCam {layer}", layer=layer)
        add("LayerGradientXActivation", f"LayerGradientXActivation {layer}", layer=layer)
        add("LayerConductance", f"LayerConductance {layer}", layer=layer, n_steps=8)
        add("LayerIntegratedGradients", f"LayerIntegratedGradients {layer}", layer=layer, n_steps=8)
        add("InternalInfluence", f"InternalInfluence {layer}", layer=layer, n_steps=8)
        add("LayerDeepLift", f"LayerDeepLift {layer}", layer=layer, baselines=zeros)
        add("LayerDeepLiftShap", f"LayerDeepLiftShap {layer}", layer=layer, baselines=several)
        add("LayerGradientShap", f"LayerGradientShap {layer}", layer=layer, baselines=one, stdevs=0.0, n_samples=1)
        unit = (2, 3, 4)
        add("NeuronGradient", f"NeuronGradient {layer}", layer=layer, neuron=unit)
        add("NeuronIntegratedGradients", f"NeuronIntegratedGradients {layer}", layer=layer, neuron=unit, n_steps=8)
        add("NeuronConductance", f"NeuronConductance {layer}", layer=layer, neuron=unit, n_steps=8, target=3)
        add("NeuronDeepLift", f"NeuronDeepLift {layer}", layer=layer, neuron=unit, baselines=zeros)
        add("NeuronDeepLiftShap", f"NeuronDeepLiftShap {layer}", layer=layer, neuron=unit, baselines=several)
        add(
            "NeuronGradientShap",
            f"NeuronGradientShap {layer}",
            layer=layer,
            neuron=unit,
            baselines=one,
            stdevs=0.0,
            n_samples=1,
        )
        add("NeuronGuidedBackprop", f"NeuronGuidedBackprop {layer}", layer=layer, neuron=unit)
        add("NeuronDeconvolution", f"NeuronDeconvolution {layer}", layer=layer, neuron=unit)
        add("NeuronFeatureAblation", f"NeuronFeatureAblation {layer}", layer=layer, neuron=unit, feature_mask=blocks)
    add("LayerFeatureAblation", layer="relu3", layer_mask=lambda x: blocks(x[:, :, :7, :9]))
    add("LayerGradientXActivation", "LayerGradientXActivation of two layers", layer="relu2,relu3")
    found["GuidedGradCam"] = guided_grad_cam
    found["FeaturePermutation"] = partial(permuted, "FeaturePermutation")
    for kind in ("smoothgrad", "smoothgrad_sq", "vargrad"):
        found[f"NoiseTunnel {kind}"] = partial(with_noise, kind)
    found["DeepLift and its delta"] = by_products
    found["LRP"] = lrp
    add("LayerLRP", "LayerLRP conv2", layer="conv2")
    add("LayerLRP", "LayerLRP conv3", layer="conv3")
    found["ShapleyValues"] = partial(of_rows, "ShapleyValues", dense, baselines=zeros)
    found["ShapleyValueSampling"] = partial(of_rows, "ShapleyValueSampling", linear, n_samples=3)
    found["Lime"] = lime
    found["KernelShap"] = kernel_shap
    found["words"] = words
    found["metrics"] = metrics
    return found
