"""TinyNet: the bundled network. Five convolutions, trained on Tiny ImageNet-200; `weights/README.md` is its card."""

from dataclasses import replace
from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import WeightsArgument, build, register_model

META = replace(IMAGENET, architecture="tinynet", input_size=(3, 64, 64), resize_size=None)


class TinyNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    The sizes at the right are those of 64 x 64, at which it was trained. 1.74 million parameters at 200 classes. The
    batch norm of its training is folded into the convolutions: what is left is weights, and biases, and nothing else.
    """

    meta: ModelMeta = META

    def __init__(self, num_classes: int = 200) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3),  # 0: 64 maps of 32 x 32
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # 2: 16 x 16
            nn.Conv2d(64, 128, kernel_size=5, padding=2),  # 3: 128 maps
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # 5: 8 x 8
            nn.Conv2d(128, 256, kernel_size=3, padding=1),  # 6: 256 maps
            nn.ReLU(),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),  # 8
            nn.ReLU(),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),  # 10
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(256, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)


@register_model()
def tinynet(weights: WeightsArgument = None, *, num_classes: int | None = None) -> TinyNet:
    """The bundled network: `tinynet("standard")`, its robust twin: `tinynet("robust")`.

    The twin was trained on images that an adversary had changed by up to 4/255 a pixel: it is less accurate, and its
    gradients follow what people see. A path loads weights of your own for this architecture; None gives an untrained
    network. `model.meta` (ModelMeta) is what the file says about itself: class names, mean, std, input size, accuracy.
    """
    outputs: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    return build("tinynet", TinyNet, weights, output="classifier", default=META, **outputs)
