"""facenet-pytorch: MTCNN, which finds faces with its three trained networks, and a network for what it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.libraries.networks import network

DISTRIBUTION = "facenet-pytorch"
PHOTOGRAPH = Path(__file__).resolve().parents[2] / "minicnn" / "photographs" / "images" / "orchestra.jpg"


def part(name: str) -> Callable[[], Any]:
    def build() -> Any:
        import facenet_pytorch.models.mtcnn as mtcnn

        return getattr(mtcnn, name)()

    return build


def finder(dtype: Any) -> tuple[Any, Any]:
    """(MTCNN, a photograph of an orchestra, in which it finds five faces)."""
    from facenet_pytorch import MTCNN
    from PIL import Image

    photograph = Image.open(PHOTOGRAPH).convert("RGB")
    twice = photograph.resize((2 * photograph.width, 2 * photograph.height))
    return MTCNN(keep_all=True, min_face_size=12, thresholds=[0.5, 0.5, 0.5]).to(dtype), twice


def detect(dtype: Any) -> list[Any]:
    """Boxes, probabilities and the five points of every face."""
    import torch

    network, photograph = finder(dtype)
    return [torch.from_numpy(np.asarray(a, np.float64)) for a in network.detect(photograph, landmarks=True)]


def faces(dtype: Any) -> list[Any]:
    """The faces themselves, cut out: they are made of the photograph's bytes."""
    network, photograph = finder(dtype)
    return [network(photograph)]


def resnet() -> Any:
    from facenet_pytorch import InceptionResnetV1

    return InceptionResnetV1(num_classes=10, classify=True)


def cases() -> dict[str, Callable]:
    return {
        "PNet": network(part("PNet"), weights=False),
        "RNet": network(part("RNet"), (24, 24), weights=False),
        "ONet": network(part("ONet"), (48, 48), weights=False),
        "MTCNN.detect": detect,
        "MTCNN": faces,
        "InceptionResnetV1": network(resnet, (96, 110)),
    }
