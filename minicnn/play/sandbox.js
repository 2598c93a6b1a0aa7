"use strict";
// Stride, padding, dilation and the kernel on an input that is small enough to see every number. The arithmetic is the engine's.

const INPUTS = {
  // from (row, column, side) to a number
  "a cross": (y, x, n) => (y === n >> 1 || x === n >> 1 ? 1 : 0),
  "an edge": (y, x, n) => (x >= n / 2 ? 1 : 0),
  "a diagonal": (y, x) => (y === x ? 1 : 0),
  "a dot": (y, x, n) => (y === n >> 1 && x === n >> 1 ? 1 : 0),
  "a slope": (y, x) => x,
  chequers: (y, x) => (y + x) % 2,
};
const SMALL_KERNELS = {
  // from (row, column, side) to a number
  sum: () => 1,
  "vertical edge": (y, x, k) => Math.sign(x - (k - 1) / 2),
  "horizontal edge": (y, x, k) => Math.sign(y - (k - 1) / 2),
  "nothing changes": (y, x, k) => (y === (k - 1) >> 1 && x === (k - 1) >> 1 ? 1 : 0),
  outline: (y, x, k) => (y === (k - 1) >> 1 && x === (k - 1) >> 1 ? k * k - 1 : -1),
};
const small = { size: 7, kernel: 3, stride: 1, padding: 0, dilation: 1, y: 0, x: 0, input: [], weight: [] };
const SLIDERS = ["size", "kernel", "stride", "padding", "dilation"];

const square = (side, at) => Array.from({ length: side * side }, (_, i) => at(Math.floor(i / side), i % side, side));

function buildSandbox() {
  for (const name of SLIDERS) {
    byId(`s-${name}`).addEventListener("input", (event) => {
      small[name] = Number(event.target.value);
      if (name === "size") small.input = square(small.size, INPUTS[byId("s-input").value]);
      if (name === "kernel") small.weight = square(small.kernel, SMALL_KERNELS[byId("s-weight").value]);
      paintSandbox();
    });
  }
  byId("s-input").append(...Object.keys(INPUTS).map((name) => make("option", {}, name)));
  byId("s-weight").append(...Object.keys(SMALL_KERNELS).map((name) => make("option", {}, name)));
  byId("s-weight").value = "vertical edge";
  byId("s-input").addEventListener("change", (event) => {
    small.input = square(small.size, INPUTS[event.target.value]);
    paintSandbox();
  });
  byId("s-weight").addEventListener("change", (event) => {
    small.weight = square(small.kernel, SMALL_KERNELS[event.target.value]);
    paintSandbox();
  });
  small.input = square(small.size, INPUTS["a cross"]);
  small.weight = square(small.kernel, SMALL_KERNELS["vertical edge"]);
  paintSandbox();
}

const layerOf = ({ kernel, stride, padding, dilation, weight }) => ({
  kernel,
  stride,
  padding,
  dilation,
  inputs: 1,
  outputs: 1,
  weight: Float32Array.from(weight),
  bias: new Float32Array(1),
});

function paintSandbox() {
  const layer = layerOf(small);
  const { size, kernel, stride, padding, dilation } = small;
  const side = outputSize(size, layer);
  for (const name of SLIDERS) byId(`s-${name}-value`).textContent = small[name];
  byId("s-size-rule").textContent =
    `output side = (${size} + 2 · ${padding} − ${dilation} · (${kernel} − 1) − 1) / ${stride}, rounded down, + 1 = ${Math.max(side, 0)}`;
  const focused = document.activeElement?.dataset?.cell;
  if (side < 1) {
    byId("s-output").replaceChildren(
      make(
        "p",
        { class: "warn" },
        `The kernel covers ${dilation * (kernel - 1) + 1} pixels, and the input with its padding has only ${size + 2 * padding}: it finds no place.`,
      ),
    );
    byId("s-sum").replaceChildren();
  }
  const output = side < 1 ? null : conv2dByDefinition(maps(1, size, size, Float32Array.from(small.input)), layer);
  if (output) [small.y, small.x] = [Math.min(small.y, side - 1), Math.min(small.x, side - 1)];
  const rows = output ? reads(small.y, layer) : [];
  const columns = output ? reads(small.x, layer) : [];
  byId("s-padded").replaceChildren(paddedTable(rows, columns));
  byId("s-kernel-table").replaceChildren(
    smallTable("kernel", small.weight, kernel, "kernel", (i) => cycle(small.weight, i, [-1, 0, 1, 2])),
  );
  if (output) {
    byId("s-output").replaceChildren(
      smallTable(`output, ${side} × ${side}`, Array.from(output.data), side, "output", (i) => lookAt(i, side)),
    );
    byId("s-sum").replaceChildren(...smallSum(rows, columns, output.data[small.y * side + small.x]));
  }
  if (focused) document.querySelector(`#sandbox [data-cell="${focused}"]`)?.focus();
}

function lookAt(i, side) {
  [small.y, small.x] = [Math.floor(i / side), i % side];
  paintSandbox();
}

function cycle(values, i, order) {
  values[i] = order[(order.indexOf(values[i]) + 1) % order.length];
  paintSandbox();
}

const whole = (value) => `${Math.round(100 * value) / 100}`.replace("-", "−");

// A grid of buttons; the pointer over one of the output, or the focus on it, shows how it comes about.
function smallTable(caption, values, width, name, press) {
  const top = Math.max(...values.map(Math.abs)) || 1;
  const cells = values.map((value, i) => {
    const marked = name === "output" && i === small.y * width + small.x;
    const button = make(
      "button",
      {
        type: "button",
        "data-cell": `${name}${i}`,
        "aria-label": `${name}, row ${Math.floor(i / width)}, column ${i % width}: ${whole(value)}`,
        class: `${value > 0 ? "plus" : value < 0 ? "minus" : ""}${marked ? " marked" : ""}`,
        style: { "--share": (Math.abs(value) / top).toFixed(3) },
        onclick: () => press(i),
      },
      whole(value),
    );
    if (name === "output") {
      button.addEventListener("pointerenter", (event) => {
        if (event.pointerType === "mouse" && !marked) press(i);
      });
      button.addEventListener("focus", () => {
        if (!marked) press(i);
      });
    }
    button.addEventListener("keydown", (event) => moveFocus(event, name, i, width, values.length));
    return button;
  });
  return make(
    "div",
    { class: "small", role: "group", "aria-label": caption },
    make("p", {}, caption),
    make("div", { class: "cells", style: { "--columns": width } }, cells),
  );
}

function moveFocus(event, name, i, width, count) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -width, ArrowDown: width }[event.key];
  const to = i + step;
  if (!step || to < 0 || to >= count) return;
  event.preventDefault();
  document.querySelector(`#sandbox [data-cell="${name}${to}"]`).focus();
}

// The input with its padding around it; the cells under the kernel are framed, with the kernel's numbers in their corners.
function paddedTable(rows, columns) {
  const { size, padding, kernel, weight } = small;
  const side = size + 2 * padding;
  const top = Math.max(...small.input.map(Math.abs)) || 1;
  const cells = Array.from({ length: side * side }, (_, i) => {
    const y = Math.floor(i / side) - padding;
    const x = (i % side) - padding;
    const inside = y >= 0 && y < size && x >= 0 && x < size;
    const a = rows.indexOf(y);
    const b = columns.indexOf(x);
    const under = a >= 0 && b >= 0;
    const value = inside ? small.input[y * size + x] : 0;
    const corner = under ? make("sub", { "aria-hidden": "true" }, `×${whole(weight[a * kernel + b])}`) : null;
    const kind = `${value > 0 ? "plus" : value < 0 ? "minus" : ""}${under ? " under" : ""}`;
    if (!inside) return make("span", { class: `pad ${kind}` }, "0", corner);
    const at = y * size + x;
    return make(
      "button",
      {
        type: "button",
        "data-cell": `input${at}`,
        "aria-label": `input, row ${y}, column ${x}: ${whole(value)}${under ? ", under the kernel" : ""}`,
        class: kind,
        style: { "--share": (Math.abs(value) / top).toFixed(3) },
        onclick: () => cycle(small.input, at, [0, 1, 2]),
        onkeydown: (event) => moveFocus(event, "input", at, size, size * size),
      },
      whole(value),
      corner,
    );
  });
  const caption = `input, ${size} × ${size}${padding ? `, and ${padding} zero${padding > 1 ? "s" : ""} of padding at each side` : ""}`;
  return make(
    "div",
    { class: "small", role: "group", "aria-label": caption },
    make("p", {}, caption),
    make("div", { class: "cells", style: { "--columns": side } }, cells),
  );
}

function smallSum(rows, columns, value) {
  const { size, kernel, weight, input } = small;
  const products = rows.flatMap((y, a) =>
    columns.map((x, b) => {
      const inside = y >= 0 && y < size && x >= 0 && x < size;
      return [inside ? input[y * size + x] : 0, weight[a * kernel + b]];
    }),
  );
  const terms = products
    .filter(([pixel, w]) => pixel !== 0 && w !== 0)
    .map(([pixel, w]) => (w < 0 ? `${whole(pixel)} · (${whole(w)})` : `${whole(pixel)} · ${whole(w)}`));
  return [
    make(
      "p",
      {},
      `Row ${small.y}, column ${small.x} of the output: the kernel lies on rows ${rows.join(" ")} and columns ${columns.join(" ")} of the input `,
      "(what is below 0 or beyond the last one is padding). The sum: ",
      make("b", {}, `${terms.join(" + ") || "only products with 0"} = ${whole(value)}`),
    ),
  ];
}
