"""Why the gradient of a deep network in float32 may be off by thousandths while its outputs are right to six digits.

    python -m tests.kinks wide_resnet50_2 mnasnet1_0 resnet50

A ReLU lets a gradient through, or not, by the sign of a number. Where float32 rounds that number to the other side of 0, the output
hardly changes, and a whole term of the gradient comes or goes: a handful of millions is enough. The command runs each network of
`minicnn.models` in float64, in float32, and in float32 with the signs of float64, and prints how far both gradients are from
float64's, beside PyTorch's own error in float32. Which numbers fall on the other side depends on the order of summation, so PyTorch has
it at other networks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import models, nn
from tests.torchvision_record import directions, fill, image

RECORD = Path(__file__).parent / "libraries" / "recorded.json"  # with the same weights and images


class Gate(nn.Module):
    """max(0, x) or min(max(0, x), 6), which notes for which numbers the gradient passes, or takes a note for it."""

    def __init__(self, top: float) -> None:
        super().__init__()
        self.top, self.notes, self.given, self.turned = top, [], [], 0

    def forward(self, x: Any) -> Any:
        numbers = x.detach().numpy()
        inside = (numbers > 0) & (numbers < self.top)
        if not self.given:
            self.notes.append(inside)
            return x.clamp(0, self.top)
        given = self.given.pop(0)
        self.turned += int((given != inside).sum())
        flat = np.where(given, 0, np.clip(numbers, 0, self.top)).astype(numbers.dtype)
        return x * minicnn.from_numpy(given.astype(numbers.dtype)) + minicnn.from_numpy(flat)


def gated(model: nn.Module) -> list[Gate]:
    """A gate in the place of each ReLU and ReLU6."""
    gates = []
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (nn.ReLU, nn.ReLU6)):
                gates.append(Gate(6.0 if isinstance(child, nn.ReLU6) else np.inf))
                setattr(module, name, gates[-1])
    return gates


def gradient(model: nn.Module, dtype: Any) -> np.ndarray:
    model.to(dtype)
    own = model.state_dict()
    for key, value in fill({key: value.shape for key, value in own.items()}).items():
        own[key].copy_(minicnn.from_numpy(value))
    x = minicnn.from_numpy(image((65, 88))).to(dtype).requires_grad_()
    y = model(x)
    (y * minicnn.from_numpy(directions(tuple(y.shape))).to(dtype)).sum().backward()
    return x.grad.numpy().astype(np.float64)


def measure(name: str) -> tuple[float, float, int, int]:
    """(error of float32's gradient, with float64's signs, how many signs are others, of how many), errors as parts of the norm."""
    model = models.get_model(name).eval().requires_grad_(False)
    gates = gated(model)
    exact = gradient(model, minicnn.float64)
    signs = [gate.notes for gate in gates]
    rough = gradient(model, minicnn.float32)
    for gate, notes in zip(gates, signs, strict=True):
        gate.given = notes[: len(notes) // 2]  # the first half is float64's
    same = gradient(model, minicnn.float32)
    size, count = np.linalg.norm(exact), sum(note.size for notes in signs for note in notes) // 2
    turned = sum(gate.turned for gate in gates)
    return float(np.linalg.norm(rough - exact) / size), float(np.linalg.norm(same - exact) / size), turned, count


if __name__ == "__main__":
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["torchvision"]["cases"]
    print(
        f"{'network':20} {'float32':>9} {'with the signs of float64':>26} {'PyTorch, float32':>17}  signs that are others"
    )
    for name in sys.argv[1:] or ("wide_resnet50_2", "mnasnet1_0", "resnet50"):
        free, held, turned, count = measure(name)
        theirs = f"{recorded[name]['float32'][-1]:.1e}" if name in recorded else ""
        print(f"{name:20} {free:9.1e} {held:26.1e} {theirs:>17}  {turned} of {count:,}")
