"""The two nodes of views that are written in place: they know a view by its window in the memory of its base."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.autograd import both, inplace
from minicnn.autograd.function import Op, ViewOp
from minicnn.autograd.node import FREED, Node


class Window:
    """Where a view lies in the memory of its base, so that the same window can be cut out of a gradient."""

    def __init__(self, base: np.ndarray, view: np.ndarray) -> None:
        low, high = np.lib.array_utils.byte_bounds(base if base.size else base[:0].ravel())
        self.nbytes = high - low
        self.base, self.view = (  # the types differ if pairs of numbers are seen as complex ones
            (a.shape, a.dtype, a.strides, a.__array_interface__["data"][0] - low) for a in (base, view)
        )

    def zeros(self) -> np.ndarray:
        """Zeros laid out like the base."""
        return self._in(np.zeros(self.nbytes, np.uint8), *self.base)

    def of(self, whole: np.ndarray) -> np.ndarray:
        """The window in what `zeros` returned, as a view of that."""
        return self._in(whole.base, *self.view)

    def _in(self, memory: Any, shape: tuple, kind: np.dtype, strides: tuple, start: int) -> np.ndarray:
        return np.ndarray(shape, kind, memory, start, strides)


class AsStrided(ViewOp):
    """base -> view; the base lies in memory as `Window.zeros` made it."""

    holomorphic = False  # of pairs of numbers it may make complex ones

    @staticmethod
    def forward(ctx, base, window):
        ctx.window = window
        return window.of(base.array)

    @staticmethod
    def backward(ctx, grad):
        return AsStridedBackward.of(grad, ctx.window)


class AsStridedBackward(Op):
    """view -> base: the view's gradient in its place, zeros around it."""

    saves = ()

    @staticmethod
    def value(grad, window):
        whole = window.zeros()
        np.add.at(window.of(whole), ..., grad)  # one place may be several elements of the view
        return whole

    @staticmethod
    def backward(ctx, grad):
        (window,) = ctx.options
        return AsStrided.of(both.laid_in(window.zeros(), grad), window)


def view_node(base: Tensor, view: Tensor) -> Node:
    """The node that makes the view of its base, wherever both lie."""
    node: Any = AsStrided._node_class()
    node.needs_input_grad, node._slots, node.next_functions = (True, False), (0,), (base.gradient_edge(),)
    node.input_metadata = [(view.array.shape, view.array.dtype)]
    node.window = Window(base.array, view.array)
    return node


class CopySlices(Node):
    """The write of `node`'s result into a view of `base`: next are the old base, then `node`'s other inputs."""

    def name(self) -> str:
        """As PyTorch has it."""
        return "torch::autograd::CopySlices"

    def __init__(self, base: Tensor, view: Tensor, node: Node) -> None:
        super().__init__()
        self.input_metadata = [(base.array.shape, base.array.dtype)]
        self._window = Window(base.array, view.array)
        self._node: Node | None = node
        self.next_functions = (base.gradient_edge(), *node.next_functions[1:])

    def run(self, grads: list[Tensor | None]) -> tuple[Tensor | None, ...]:
        """All gradients."""
        return self.run_for(grads, [True] * len(self.next_functions))

    def run_for(self, grads: list[Tensor | None], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        """The written part through the operation that wrote, the rest around it."""
        if grads[0] is None:
            return (None,) * len(wanted)
        if self._node is None:
            raise RuntimeError(FREED)
        whole = Tensor.wrap(self._window.zeros()).copy_(grads[0])
        part = AsStrided.apply(whole, self._window)
        through = self._node.run_for([part.clone()], wanted)
        if not wanted[0]:
            return None, *through[1:]
        # Of elements in one place (after `expand`) all became one constant, or the write was refused.
        part.zero_() if through[0] is None or inplace.overlaps(part.array) else part.copy_(through[0])
        return whole, *through[1:]

    def release_saved(self) -> None:
        """Forget what the operation saved, and the operation."""
        if self._node is not None:
            self._node.release_saved()
        self._node = None
