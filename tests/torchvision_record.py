"""What torchvision's networks are and compute, written down once, so that the tests need no torchvision.

    python3 -m venv /tmp/tv && /tmp/tv/bin/pip install -q torchvision==0.29.1
    /tmp/tv/bin/python tests/torchvision_record.py

It writes `minicnn/models/official.csv` (the official weights: where they are, how images enter, what they reach) and
`tests/torchvision.json.gz`. In the latter each case, a network with some arguments, has

* "listing": the SHA-256 of every key with its shape, in order, and of what the network prints: names and settings of its modules;
* "parameters": how many numbers they have;
* "computed": what it computes in float64 of `image`, with `fill`'s numbers for weights, as `summary` sums it up;
* "spread": the standard deviation of each weight as it is drawn first (those of more than 500 numbers).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OFFICIAL, RECORD = ROOT / "minicnn" / "models" / "official.csv", ROOT / "tests" / "torchvision.json.gz"
ADDRESS = "https://download.pytorch.org/models/"
FAMILIES = (
    "alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inception", "mnasnet", "mobilenetv2", "mobilenetv3",
    "regnet", "resnet", "shufflenetv2", "squeezenet", "vgg",
)  # fmt: skip
COLUMNS = (
    "weights", "member", "default", "file", "crop", "resize", "interpolation", "mean", "std", "min_size", "num_params", "acc@1",
    "acc@5", "gigaflops", "megabytes", "license", "categories",
)  # fmt: skip
LARGEST = 100e6  # numbers of a network that is computed here; of larger ones only the listing is kept, but for
ALL_THE_SAME = ("vgg11", "vgg16_bn")
# Networks with arguments of their own; "train" runs them in training mode, with batch norm by the batch and all outputs.
VARIANTS: dict[str, dict[str, Any]] = {
    "alexnet": {"num_classes": 7},
    "googlenet": {"aux_logits": True, "transform_input": True, "dropout": 0.0, "dropout_aux": 0.0, "train": True},
    "inception_v3": {"transform_input": True, "dropout": 0.0, "size": (299, 299), "train": True},
    "densenet121": {"num_classes": 3, "memory_efficient": True, "train": True},
    "mobilenet_v2": {"width_mult": 0.35, "round_nearest": 4},
    "mobilenet_v3_small": {"reduced_tail": True, "dilated": True},
    "mobilenet_v3_large": {"width_mult": 0.75, "num_classes": 2},
    "efficientnet_b0": {"num_classes": 5, "dropout": 0.0, "stochastic_depth_prob": 0.0, "train": True},
    "shufflenet_v2_x0_5": {"num_classes": 2, "train": True},
    "resnet50": {"replace_stride_with_dilation": [False, True, True], "zero_init_residual": True},
}
SPREAD = {
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_0",
}  # fmt: skip


def fill(shapes: Mapping[str, Iterable[int]]) -> dict[str, np.ndarray]:
    """Numbers for tensors by name and shape that keep the size of what passes through: none is 0, none is 1. The same everywhere:
    NumPy promises that RandomState's never change."""
    state = {}
    for key, shape in shapes.items():
        shape = tuple(shape)
        if key.endswith("num_batches_tracked"):
            state[key] = np.array(1000)
            continue
        uniform = np.random.RandomState(zlib.crc32(key.encode())).random_sample(math.prod(shape)).reshape(shape)
        if key.endswith("layer_scale"):  # of ConvNeXt: how much a block adds
            state[key] = 0.3 + 0.4 * uniform
        elif len(shape) > 1:
            state[key] = (2 * uniform - 1) * (4 / math.prod(shape[1:])) ** 0.5
        elif key.endswith(("bias", "running_mean")):
            state[key] = (2 * uniform - 1) * 0.1
        else:  # the scale of a batch norm, its variance
            state[key] = 0.5 + 0.5 * uniform
    return state


def image(size: tuple[int, int]) -> np.ndarray:
    """Two normalised images (2, 3, H, W), which need not be square."""
    return np.random.RandomState(0).standard_normal((2, 3, *size))


def directions(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of this shape to multiply an output with, so that one number holds them all."""
    return np.random.RandomState(1).standard_normal(shape)


def summary(array: np.ndarray) -> list[float]:
    """Its projection on `directions`, the root of its mean square, and some of its numbers."""
    flat = array.ravel()
    some = flat[:: max(1, flat.size // 6)][:6]
    return [float((array * directions(array.shape)).sum()), float(np.sqrt((flat**2).mean())), *map(float, some)]


def torch_state(name: str) -> dict[str, Any]:
    """The numbers of `fill` for a network as PyTorch's tensors in float32: what the tests write checkpoints of. Needs no torchvision."""
    import torch

    from minicnn import models
    from minicnn.nn.utils import skip_init

    shapes = {key: value.shape for key, value in skip_init(models.get_model, name).state_dict().items()}
    state = {key: torch.from_numpy(value) for key, value in fill(shapes).items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def outputs_of(result: Any) -> list[Any]:
    """The tensors of a network's answer: one, or those of a tuple."""
    return list(result) if isinstance(result, tuple) else [result]


def listing(model: Any) -> str:
    """Every key with its shape, in order, and what the model prints: module names, settings."""
    text = "\n".join([*(f"{key} {list(value.shape)}" for key, value in model.state_dict().items()), repr(model)])
    return text.replace(", bias=True, track", ", track")  # PyTorch 2.14 prints a batch norm's bias


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def split(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bool, tuple[int, int]]:
    """(what goes to the network, whether it is in training mode, height and width of the images) of an entry of `VARIANTS`."""
    rest = dict(arguments)
    train, size = rest.pop("train", False), rest.pop("size", (65, 88))
    return rest, train, tuple(size)


def cases(names: Iterable[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """{how a case is called: (the network, its arguments)}."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in names:
        size = {"size": (79, 91)} if name == "inception_v3" else {}
        found[name] = name, size
        if name in VARIANTS:
            words = ", ".join(f"{key}={value}" for key, value in VARIANTS[name].items())
            found[f"{name}({words})"] = name, VARIANTS[name]
    return found


def _case(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What torchvision makes of one case."""
    import torch
    from torchvision import models

    settings, train, size = split(arguments)
    if name in ("googlenet", "inception_v3"):
        settings["init_weights"] = name == "inception_v3" or train
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNet computes its widths with tensors
        model = models.get_model(
            name, **{**settings, **({"init_weights": False} if "init_weights" in settings else {})}
        )
    parameters = sum(p.numel() for p in model.parameters())
    entry: dict[str, Any] = {
        "network": name,
        "arguments": arguments,
        "parameters": parameters,
        "listing": digest(listing(model)),
    }
    if parameters > LARGEST and name not in ALL_THE_SAME:
        return entry
    if name in SPREAD and (train or not arguments or name not in VARIANTS):
        torch.manual_seed(0)
        drawn = models.get_model(name, **{**settings, **({"init_weights": True} if "init_weights" in settings else {})})
        entry["spread"] = {
            key: float(f"{value.std().item():.4g}")
            for key, value in drawn.named_parameters()
            if value.dim() > 1 and value.numel() > 500
        }
    model = model.double().to_empty(device="cpu").train(train)
    own = model.state_dict()
    for key, value in fill({key: value.shape for key, value in own.items()}).items():
        own[key].copy_(torch.from_numpy(value))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    # PyTorch's gradient of hardsigmoid is 1/6 as float32 has it, for float64 too: off by 3e-8 of itself.
    torch.nn.Hardsigmoid.forward = lambda self, x: torch.nn.functional.relu6(x + 3) / 6
    x = torch.from_numpy(image(size)).requires_grad_()
    outputs = outputs_of(model(x))
    sum((y * torch.from_numpy(directions(tuple(y.shape)))).sum() for y in outputs).backward()
    entry["computed"] = [summary(y.detach().numpy()) for y in outputs] + [summary(x.grad.numpy())]
    print(f"{name:20} {entry['computed'][0][1]:10.3g} {entry['computed'][-1][1]:10.3g}  {arguments}", flush=True)
    return entry


def _official(names: Iterable[str]) -> list[list[Any]]:
    """The rows of `official.csv`."""
    from torchvision.models import get_model_weights

    rows: list[list[Any]] = []
    for name in names:
        weights = get_model_weights(name)
        for member in weights:
            value, preset = member.value, member.value.transforms()
            assert value.url.startswith(ADDRESS)
            height, width = value.meta.get("min_size", (1, 1))
            assert height == width
            metrics = value.meta["_metrics"]["ImageNet-1K"]
            of_imagenet = preset.mean == [0.485, 0.456, 0.406] and preset.std == [0.229, 0.224, 0.225]
            rows.append([
                weights.__name__, member.name, "yes" if weights.DEFAULT is member else "", value.url.removeprefix(ADDRESS),
                *preset.crop_size, *preset.resize_size, preset.interpolation.value,
                *(["", ""] if of_imagenet else [" ".join(map(str, v)) for v in (preset.mean, preset.std)]),
                height, value.meta["num_params"], metrics["acc@1"], metrics["acc@5"], value.meta["_ops"],
                value.meta["_file_size"], value.meta.get("license", ""), "" if value.meta["categories"] else "none",
            ])  # fmt: skip
    return rows


def main() -> None:
    from torchvision import __version__, models
    from torchvision.models._api import BUILTIN_MODELS

    names = [name for name in models.list_models(models) if BUILTIN_MODELS[name].__module__.split(".")[-1] in FAMILIES]
    with OFFICIAL.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_official(names))
    warnings.simplefilter("ignore")
    found = {case: _case(name, arguments) for case, (name, arguments) in cases(names).items()}
    text = json.dumps({"torchvision": __version__, "cases": found}, indent=0, sort_keys=True)
    RECORD.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(found)} cases, {RECORD.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
