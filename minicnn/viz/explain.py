"""One number, taken apart: an output pixel of a convolution, or a number of its gradients, as the sum of products that it is.

    print(explain_pixel(model.features[0], x, n=0, c=5, y=10, x=12))
    print(explain_weight_gradient(conv, x, grad, o=5, c=0, i=1, j=1))
    print(explain_input_gradient(conv, x, grad, n=0, c=0, y=20, x=24))

All three are the same picture: two stacks of small tables, multiplied number by number, and added up table by table.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, autograd, enable_grad, kernels, no_grad
from minicnn.nn import Conv2d, Module
from minicnn.viz.figures.explain import draw_explanation
from minicnn.viz.figures.plot import Figure

MOST = 150  # cells of a table that are printed and drawn as numbers; a larger one is summed up and drawn as a picture


@dataclass
class Explanation:
    """A number as a sum over K tables of h x w products.

    left, right: float64 (K, h, w), the factors. inside: bool (h, w), or (K, h, w), False where a factor stands for zero padding.
    tables, rows, columns: what the K tables, the h rows and the w columns are called. bias: added at the end, None if there is none.
    library: the same number as the library computed it, in the layer's own precision.
    """

    what: str
    names: tuple[str, str]
    left: np.ndarray
    right: np.ndarray
    inside: np.ndarray
    tables: list[str]
    rows: list[str]
    columns: list[str]
    bias: float | None
    library: float

    @property
    def products(self) -> np.ndarray:
        """(K, h, w)"""
        return self.left * self.right

    @property
    def subtotals(self) -> np.ndarray:
        """(K,): the sum of each table's products."""
        return self.products.sum(axis=(1, 2))

    @property
    def value(self) -> float:
        """All products and the bias, added up in float64."""
        return float(self.subtotals.sum() + (self.bias or 0.0))

    def describe(self, tables: int = 3) -> str:
        """The sum as text: the `tables` tables of the largest subtotals in full, the subtotals of all, and the sum."""
        order = np.argsort(-np.abs(self.subtotals), kind="stable")
        shown = sorted(order[:tables].tolist())
        lines = [self.what]
        if len(shown) < len(self.tables):
            lines.append(f"The {len(shown)} of {len(self.tables)} tables with the largest subtotals:")
        for k in shown:
            lines += ["", f"{self.tables[k]}:", *self._table(k), f"  subtotal {_number(self.subtotals[k])}"]
        lines += ["", *self._sum()]
        return "\n".join(lines)

    def figure(self, tables: int = 3) -> Figure:
        """The tables of the largest subtotals with their products, and how the subtotals add up."""
        return draw_explanation(self, tables, MOST)

    def _table(self, k: int) -> list[str]:
        """One table: left, right and products side by side, or the largest products of a large one."""
        products, inside = self.products[k], np.broadcast_to(self.inside, self.products.shape)[k]
        if not products.size:
            return ["  no products"]
        if products.size > MOST:
            largest = np.argsort(-np.abs(products), axis=None, kind="stable")[:5]
            lines = [f"  the {len(largest)} largest of {products.size} products:"]
            for y, x in zip(*np.unravel_index(largest, products.shape), strict=True):
                left, right, product = map(_number, (self.left[k, y, x], self.right[k, y, x], products[y, x]))
                lines.append(f"  {f'{self.rows[y]}, {self.columns[x]}':>18}: {left} * {right} = {product}")
            return lines
        blocks = [_block(self.left[k], inside), _block(self.right[k]), _block(products)]
        width = len(blocks[0][0])
        middle = len(products) // 2
        captions = (*self.names, "products")
        if 3 * width > 130:  # too wide for one line: one below the other
            return [line for caption, block in zip(captions, blocks, strict=True) for line in (f"  {caption}", *block)]
        head = "   ".join(f"{caption:^{width}}" for caption in captions)
        signs = [(" * ", " = ") if i == middle else ("   ", "   ") for i in range(len(products))]
        return [head, *(f"{a}{s}{b}{t}{c}" for a, b, c, (s, t) in zip(*blocks, signs, strict=True))]

    def _sum(self) -> list[str]:
        lines = []
        if len(self.tables) > 1:
            kind = self.tables[0].split()[0]
            each = [f"{t.split()[-1]:>5}:{_number(v)}" for t, v in zip(self.tables, self.subtotals, strict=True)]
            lines += [f"subtotal of each {kind}:", *("".join(each[i : i + 8]) for i in range(0, len(each), 8))]
        rest = [("sum of the subtotals", self.subtotals.sum())]
        if self.bias is not None:
            rest += [("bias", self.bias), ("sum", self.value)]
        rest.append(("the library's number", self.library))
        return lines + [f"{name:<22}{value:>16.8g}" for name, value in rest]

    __str__ = describe

    def __repr__(self) -> str:
        return f"Explanation({self.what!r}, value={self.value:.6g})"


def explain_pixel(layer: Module, input: Tensor, n: int, c: int, y: int, x: int) -> Explanation:
    """Output pixel (n, c, y, x) of a convolution: the patch under the kernel times the kernel, channel by channel, plus the bias.

    Args:
        layer: a `Conv2d` with any stride, padding (also "same"), padding mode, dilation and groups.
        input: (N, C, H, W), or (C, H, W) with n = 0.
        n, c, y, x: the image, the output channel (the filter), the row and the column of the output.

    The tables are the input channels that the filter meets: those of its group. Raises TypeError for a layer that is no
    Conv2d, IndexError for a place outside of the output.
    """
    seen = _Seen(layer, input, "explain_pixel")
    _check_place((n, c, y, x), seen.output_shape, "output (N, O, OH, OW)")
    rows, columns, channels = seen.rows[y], seen.columns[x], seen.channels(c)
    patch, inside = _read(seen.image[n, channels], rows, columns)
    with no_grad(), kernels.exact():
        output = seen.layer.forward(
            Tensor.wrap(seen.image[n : n + 1])
        )  # not layer(...): the user's hooks are not to run
    return _checked(
        Explanation(
            f"Output pixel (n={n}, c={c}, y={y}, x={x}) of {layer}:\nfilter {c} on rows {_list(rows)} and columns "
            f"{_list(columns)} of image {n}{_padding(inside)}",
            ("patch", "kernel"), patch, seen.weight[c], inside,
            [f"channel {channel}" for channel in range(channels.start, channels.stop)],
            [_source(row) for row in rows], [_source(column) for column in columns],
            None if seen.layer.bias is None else float(seen.layer.bias.detach().numpy()[c]),
            float(output.numpy()[0, c, y, x]),
        )
    )  # fmt: skip


def explain_weight_gradient(
    layer: Module, input: Tensor, grad_output: Tensor, o: int, c: int, i: int, j: int
) -> Explanation:
    """The gradient of weight[o, c, i, j]: every output pixel of filter o sends its gradient, times the pixel that this weight met.

    Args:
        layer, input: as in `explain_pixel`.
        grad_output: (N, O, OH, OW), the gradient that arrives at the layer's output.
        o, c, i, j: an index into `layer.weight` (O, C / groups, KH, KW).

    The tables are the images, their rows and columns those of the output.
    """
    seen = _Seen(layer, input, "explain_weight_gradient")
    grad = _grad_output(grad_output, seen.output_shape)
    _check_place((o, c, i, j), seen.weight.shape, "weight (O, C / groups, KH, KW)")
    channel = seen.channels(o).start + c
    pixels, inside = _read(seen.image[:, channel], seen.rows[:, i], seen.columns[:, j])
    return _checked(
        Explanation(
            f"Gradient of weight[{o}, {c}, {i}, {j}] of {layer}:\nthe gradients of filter {o}'s output, each times the pixel of "
            f"channel {channel} that this weight met there{_padding(inside)}",
            ("pixels", "gradients"), pixels, grad[:, o], inside, [f"image {n}" for n in range(len(grad))],
            [f"y {y}" for y in range(grad.shape[2])], [f"x {x}" for x in range(grad.shape[3])], None,
            float(seen.backward(grad)[1][o, c, i, j]),
        )
    )  # fmt: skip


def explain_input_gradient(
    layer: Module, input: Tensor, grad_output: Tensor, n: int, c: int, y: int, x: int
) -> Explanation:
    """The gradient of input pixel (n, c, y, x): every output pixel that saw it sends its gradient, times the weight that they met at.

    Args:
        layer, input, grad_output: as in `explain_weight_gradient`.
        n, c, y, x: an index into the input (N, C, H, W).

    The tables are the filters that see channel c: those of its group. Their rows are the ways along y, "y 3 by i 0": output row 3, which
    saw the pixel under kernel row 0; the columns are the ways along x. A pixel that no kernel met has no rows or columns, and
    its gradient is 0.
    """
    seen = _Seen(layer, input, "explain_input_gradient")
    grad = _grad_output(grad_output, seen.output_shape)
    _check_place((n, c, y, x), seen.image.shape, "input (N, C, H, W)")
    (out_y, i), (out_x, j) = np.nonzero(seen.rows == y), np.nonzero(seen.columns == x)
    per_group = len(seen.weight) // seen.layer.groups
    group, local = divmod(c, seen.weight.shape[1])
    filters = slice(group * per_group, (group + 1) * per_group)
    return _checked(
        Explanation(
            f"Gradient of input pixel (n={n}, c={c}, y={y}, x={x}) of {layer}:\nthe gradients of the {len(out_y) * len(out_x)} output "
            "pixels of each filter that saw it, each times the weight that they met at.",
            ("gradients", "weights"), grad[n, filters][:, out_y[:, None], out_x], seen.weight[filters, local][:, i[:, None], j],
            np.ones((len(out_y), len(out_x)), bool), [f"filter {o}" for o in range(filters.start, filters.stop)],
            [f"y {a} by i {b}" for a, b in zip(out_y, i, strict=True)], [f"x {a} by j {b}" for a, b in zip(out_x, j, strict=True)],
            None, float(seen.backward(grad)[0][n, c, y, x]),
        )
    )  # fmt: skip


# --- where the factors are ----------------------------------------------------------------------------------------------


class _Seen:
    """A convolution and the input that it sees. weight: float64 (O, C / groups, KH, KW); image: (N, C, H, W); rows, columns:
    int (OH, KH) and (OW, KW), the input row under row i of the kernel for each output row, -1 in the padding of zeros."""

    def __init__(self, layer: Any, input: Tensor, name: str) -> None:
        if not isinstance(layer, Conv2d):
            kind = type(layer).__name__
            hints = {
                "ConvTranspose2d": ": its output is the gradient of a convolution's input, see explain_input_gradient",
                "Linear": ": each of its outputs is (weight[o] * x).sum() + bias[o]",
            }
            raise TypeError(f"{name} takes a Conv2d, not a {kind}{hints.get(kind, '')}")
        image = input.detach().numpy()
        image = image[None] if image.ndim == 3 else image
        if image.ndim != 4 or image.shape[1] != layer.in_channels:
            raise ValueError(f"the input is (N, {layer.in_channels}, H, W), got {tuple(input.shape)}")
        self.layer, self.image = layer, np.ascontiguousarray(image)
        self.weight = layer.weight.detach().numpy().astype(np.float64)
        self.rows, self.columns = (self._taps(axis) for axis in range(2))
        self.output_shape = len(image), len(self.weight), len(self.rows), len(self.columns)

    def _taps(self, axis: int) -> np.ndarray:
        modes: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
        layer, line = self.layer, np.arange(self.image.shape[2 + axis])
        width = layer._reversed_padding_repeated_twice[2 * (1 - axis) :][:2]
        if layer.padding_mode == "zeros":
            line = np.pad(line, width, constant_values=-1)
        else:
            line = np.pad(line, width, mode=modes[layer.padding_mode])
        kernel, stride, dilation = (getattr(layer, name)[axis] for name in ("kernel_size", "stride", "dilation"))
        count = (len(line) - dilation * (kernel - 1) - 1) // stride + 1
        return line[np.arange(count)[:, None] * stride + np.arange(kernel) * dilation]

    def channels(self, o: int) -> slice:
        """The input channels that filter o meets."""
        each = self.weight.shape[1]
        group = o // (len(self.weight) // self.layer.groups)
        return slice(group * each, (group + 1) * each)

    def backward(self, grad: np.ndarray) -> list[np.ndarray]:
        """[gradient of the input, gradient of the weight] as the library computes them by definition; no `.grad` is touched."""
        x, weight = Tensor.wrap(self.image).requires_grad_(), self.layer.weight.detach().requires_grad_()
        with enable_grad(), kernels.exact():
            output = self.layer._conv_forward(x, weight, None)
            grads: Any = autograd.grad([output], [x, weight], [Tensor.wrap(grad.astype(self.image.dtype))])
        return [g.numpy() for g in grads]


def _read(planes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(planes (K, H, W) at rows x columns as float64 (K, h, w), 0 where one of them is -1; bool (h, w): where none is)"""
    inside = (rows[:, None] >= 0) & (columns >= 0)
    return np.where(inside, planes[:, rows[:, None], columns], 0).astype(np.float64), inside


# --- what is refused ----------------------------------------------------------------------------------------------------


def _grad_output(grad_output: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    grad = grad_output.detach().numpy().astype(np.float64)
    if grad.shape not in (shape, shape[1:]):
        raise ValueError(f"the gradient of the output has the output's shape {shape}, got {grad.shape}")
    return grad.reshape(shape)


def _check_place(place: tuple[int, ...], shape: tuple[int, ...], name: str) -> None:
    if not all(0 <= i < n for i, n in zip(place, shape, strict=True)):
        raise IndexError(f"{place} lies outside of the {name}, which is {tuple(shape)}; places count from 0")


def _checked(explanation: Explanation) -> Explanation:
    """RuntimeError if the library says something else: a subclass of Conv2d that computes another thing."""
    bound = 1e-5 * (np.abs(explanation.products).sum() + abs(explanation.bias or 0)) + 1e-30
    if not abs(explanation.value - explanation.library) <= bound and np.isfinite(explanation.value):
        raise RuntimeError(
            f"the products add up to {explanation.value:.8g}, but the layer computes {explanation.library:.8g}: it is not a plain "
            "convolution"
        )
    return explanation


# --- words --------------------------------------------------------------------------------------------------------------


def _number(value: float) -> str:
    value = float(value) + 0.0  # -0.0 becomes 0.0
    return f"{value:9.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:9.2e}"


def _block(table: np.ndarray, inside: np.ndarray | None = None) -> list[str]:
    """The rows of a table as lines of equal width."""
    inside = np.ones(table.shape, bool) if inside is None else inside
    return [
        " ".join(_number(value) if real else f"{'pad':>9}" for value, real in zip(row, mask, strict=True))
        for row, mask in zip(table, inside, strict=True)
    ]


def _padding(inside: np.ndarray) -> str:
    return "." if inside.all() else "; pad: the padding, which is zero."


def _source(index: int) -> str:
    return "pad" if index < 0 else str(index)


def _list(indices: np.ndarray) -> str:
    return " ".join(_source(index) for index in indices)
