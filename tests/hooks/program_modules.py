"""The modules of the random programs in `programs.py`, made of either library's `Module`.

Each maps (2, 3) to (2, 3), so that any tree of them fits together.
"""

from __future__ import annotations

import functools
from types import ModuleType, SimpleNamespace
from typing import Any

ROWS, WIDTH = 2, 3


@functools.cache
def classes(lib: ModuleType) -> SimpleNamespace:
    """The module classes, made of this library's `Module`."""
    Module = lib.nn.Module

    class Scale(Module):
        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(lib.zeros(WIDTH))

        def forward(self, x):
            return x * self.weight

    class Constant(Module):
        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(lib.zeros(ROWS, WIDTH))

        def forward(self, x):
            return self.weight * 2

    class Halves(Module):
        def forward(self, x):
            upper, _ = x.chunk(2)  # one output of two is unused
            return lib.cat((upper, upper * 2))

    class View(Module):
        def forward(self, x):
            return x.view(WIDTH, ROWS).view(ROWS, WIDTH)

    class Image(Module):
        """A convolution and a pooling over the numbers as one small image."""

        def __init__(self):
            super().__init__()
            self.conv = lib.nn.Conv2d(1, 2, 2, padding=1)
            self.pool = lib.nn.MaxPool2d(2, stride=2)

        def forward(self, x):
            uneven = lib.sin(lib.arange(24, dtype=lib.float32) * 2.3).reshape(
                1, 2, 3, 4
            )  # no ties that rounding decides
            maps = self.pool(self.conv(x.reshape(1, 1, ROWS, WIDTH)) + uneven)  # (1, 2, 1, 2)
            return x + maps.sum()

    class Slices(Module):
        def forward(self, x):
            y = x * 1
            y[0] += x[1]  # a write into a view: the base's node becomes CopySlices
            y[1].mul_(2)
            return y

    class Indexed(Module):
        def forward(self, x):
            values, index = x.max(dim=1, keepdim=True)
            return x - values * index.float()

    class Own(Module):
        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(lib.zeros(WIDTH))

        def forward(self, x):
            product, _, same = own_function(lib).apply(x, self.weight, 3)
            return product + same

    class Raises(Module):
        def forward(self, x):
            raise RuntimeError("forward failed")

    class Outer(Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

    class Residual(Outer):
        def forward(self, x):
            return self.inner(x) + x

    class ResidualInPlace(Outer):
        def forward(self, x):
            out = self.inner(x)
            out += x
            return out

    class Shared(Outer):
        def forward(self, x):
            return self.inner(self.inner(x))

    class Detached(Outer):
        def forward(self, x):
            return self.inner(x.detach())

    class NoGrad(Outer):
        def forward(self, x):
            with lib.no_grad():
                y = self.inner(x)
            return x * y

    class InPlaceReLU(Outer):
        def forward(self, x):
            return lib.nn.functional.relu(self.inner(x), inplace=True)

    class OnAView(Outer):
        def forward(self, x):
            return lib.cat([self.inner(x)[:1], x[1:]])

    class Branches(Module):
        def __init__(self, left, right):
            super().__init__()
            self.left, self.right = left, right

        def forward(self, x):
            return self.left(x) + self.right(x)

    class TwoOutputs(Outer):
        def forward(self, x):
            return self.inner(x), x * 3

    class ListOutput(Outer):
        def forward(self, x):
            return [self.inner(x), x]

    class DictOutput(Outer):
        def forward(self, x):
            return {"inner": self.inner(x)}

    class TwoInputs(Outer):
        def forward(self, x, y, flag):
            return self.inner(x) + y if flag else x

    class Keyword(Outer):
        def forward(self, x, *, scale):
            return self.inner(x) * scale

    class Unpack(Outer):
        """Calls a module of another signature, and makes one tensor of what it returns."""

        def forward(self, x):
            if isinstance(self.inner, TwoInputs):
                return self.inner(x, x * 2, True)
            if isinstance(self.inner, Keyword):
                return self.inner(x, scale=x * 0.5)
            out = self.inner(x)
            return out["inner"] if isinstance(out, dict) else out if isinstance(out, lib.Tensor) else out[0]

    return SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("lib", "Module")})


@functools.cache
def own_function(lib: ModuleType) -> Any:
    """A user's own Function: three outputs, one of which is an index, one an input as it came."""

    class Own(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, number):
            ctx.save_for_backward(x, weight)
            ctx.number = number
            index = x.argmax()
            ctx.mark_non_differentiable(index)
            return x * weight * number, index, x

        @staticmethod
        def backward(ctx, grad, _, grad_same):
            x, weight = ctx.saved_tensors
            return grad * weight * ctx.number + grad_same, (grad * x * ctx.number).sum(0), None

    return Own


def build(lib: ModuleType, tree: tuple) -> Any:
    name, *children = tree
    c, nn = classes(lib), lib.nn
    if name == "sequential":
        return nn.Sequential(*(build(lib, child) for child in children[0]))
    parts = [build(lib, child) for child in children]
    make = {
        "linear": lambda: nn.Linear(WIDTH, WIDTH), "relu": nn.ReLU, "relu_": lambda: nn.ReLU(inplace=True), "tanh": nn.Tanh,
        "identity": nn.Identity, "scale": c.Scale, "constant": c.Constant, "halves": c.Halves, "view": c.View,
        "raises": c.Raises, "image": c.Image, "slices": c.Slices, "indexed": c.Indexed, "own": c.Own,
        "in_place_relu": c.InPlaceReLU, "on_a_view": c.OnAView, "residual": c.Residual, "residual_": c.ResidualInPlace, "shared": c.Shared,
        "detached": c.Detached, "no_grad": c.NoGrad, "branches": c.Branches,
        "two_outputs": lambda inner: c.Unpack(c.TwoOutputs(inner)), "list_output": lambda inner: c.Unpack(c.ListOutput(inner)),
        "dict_output": lambda inner: c.Unpack(c.DictOutput(inner)), "two_inputs": lambda inner: c.Unpack(c.TwoInputs(inner)),
        "keyword": lambda inner: c.Unpack(c.Keyword(inner)),
    }  # fmt: skip
    return make[name](*parts)
