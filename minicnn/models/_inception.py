"""What GoogLeNet and Inception v3 share."""

from collections.abc import Callable, Mapping
from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET
from minicnn.nn import functional as F
from minicnn.ops import cat


class BasicConv2d(nn.Module):
    """A convolution, batch norm and ReLU. `kwargs` go to the convolution."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def from_minus_one_to_one(x: Tensor) -> Tensor:
    """Pixels as ImageNet's mean and std make them -> the same pixels between -1 and 1."""
    pairs = zip(IMAGENET.mean, IMAGENET.std, strict=True)
    return cat([x[:, c : c + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for c, (mean, std) in enumerate(pairs)], 1)


def init_truncated(model: nn.Module, std: float) -> None:
    """The weights of convolutions and linear layers from a normal distribution, cut off at 2; `std` of it, or the module's `stddev`."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, mean=0.0, std=getattr(module, "stddev", std), a=-2, b=2)


def with_heads(prefix: str, wanted: bool) -> Callable[..., Mapping[str, Tensor]]:
    """The `prepare` of `build` for networks with heads at half depth, whose keys begin with `prefix`. Official weights want
    `transform_input`. The heads of a file are left out unless `aux_logits` (by default `wanted`) asks for them."""

    def prepare(state: Mapping[str, Tensor], settings: dict[str, Any], is_official: bool) -> Mapping[str, Tensor]:
        if is_official:
            settings.setdefault("transform_input", True)
        heads = {key for key in state if key.startswith(prefix)}
        settings.setdefault("aux_logits", wanted and bool(heads))
        return state if settings["aux_logits"] else {key: value for key, value in state.items() if key not in heads}

    return prepare
