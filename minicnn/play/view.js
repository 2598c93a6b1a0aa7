"use strict";
// Numbers as colours, tables and bars; small helpers for building the page; and what the page shows at the moment.

// What is looked at, and what has been changed. layer: -1 is the picture itself. channel: the input channel whose table is shown, null: that of
// the largest subtotal. held: the place was clicked and stays, wherever the pointer goes. trained: the outputs without any change.
const state = { pixels: null, input: null, outputs: [], trained: [], layer: 0, map: 0, y: 0, x: 0, channel: null, held: false, off: [] };

const byId = (id) => document.getElementById(id);

// An element: make("button", { class: "small", onclick: f }, "text", child).
function make(name, attributes = {}, ...content) {
  const element =
    name === "svg" || name === "rect" || name === "line"
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    else if (value !== false && value !== null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...content.flat().filter((part) => part !== null));
  return element;
}

function say(text) {
  byId("status").textContent = text;
}

// ---- numbers as text

// To four digits, with a real minus sign.
function number(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
  const size = Math.abs(value);
  const decimals = size === 0 ? 0 : Math.min(6, Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  const text = size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential(digits - 2) : value.toFixed(decimals);
  return text.replace("-", "−");
}

// For a cell of a table whose largest number is `top`: two decimals, or two digits of the largest; .05 for 0.05, and 0 for what rounds to it.
function brief(value, top) {
  const decimals = top >= 10 ? 1 : top >= 0.1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(top)));
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? "0" : text.replace("-", "−").replace(/^(−?)0\./, "$1.");
}

const percent = (share) => (share < 0.0995 ? `${(100 * share).toFixed(1)} %` : `${Math.round(100 * share)} %`);
const list = (indices) => (indices.length === 1 ? `${indices[0]}` : `${indices[0]} to ${indices.at(-1)}`);

// ---- numbers as colours: those of minicnn's figures, matplotlib's "RdBu_r" about zero and "magma" from nothing upwards

const shades = (...hex) => hex.map((code) => [0, 2, 4].map((i) => parseInt(code.slice(i, i + 2), 16)));
const ABOUT_ZERO = shades("053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f");
const FROM_ZERO = shades("000004", "180f3d", "440f76", "721f81", "9e2f7f", "cd4071", "f1605d", "fd9668", "feca8d", "fcfdbf");

// A number from 0 to 1 as a colour between two of the shades.
function colour(scale, part) {
  const at = Math.min(1, Math.max(0, part || 0)) * (scale.length - 1);
  const low = Math.min(scale.length - 2, Math.floor(at));
  return scale[low].map((value, i) => value + (at - low) * (scale[low + 1][i] - value));
}

// What makes the numbers of a map a part of its scale: about zero if any is negative, else from zero.
function scaleOf(numbers) {
  let low = 0;
  let high = 0;
  for (const value of numbers) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const top = Math.max(-low, high) || 1;
  return low < 0
    ? { shades: ABOUT_ZERO, low: -top, high: top, part: (value) => 0.5 + value / top / 2 }
    : { shades: FROM_ZERO, low: 0, high: top, part: (value) => value / top };
}

// Paint a map's numbers into an image, with the top left pixel at (left, top), each number as zoom x zoom pixels.
function paintMap(image, numbers, width, left, top, scale, zoom = 1) {
  numbers.forEach((value, i) => {
    const [r, g, b] = colour(scale.shades, scale.part(value));
    const y = top + zoom * Math.floor(i / width);
    const x = left + zoom * (i % width);
    for (let dy = 0; dy < zoom; dy++) {
      for (let dx = 0; dx < zoom; dx++) image.data.set([r, g, b, 255], 4 * ((y + dy) * image.width + x + dx));
    }
  });
}

// ---- tables of numbers

// A small table whose cells are coloured by their numbers: red above zero, blue below.
//   rows, columns: what its edges are called, null for none. inside[i]: false where a cell stands for padding. marked: the cell that stands out.
//   top: the number of the strongest colour. write: how a number is written. pick: what a click on cell i does. wide: for long numbers.
function table(
  caption,
  values,
  width,
  { rows = null, columns = null, inside = null, marked = -1, top = null, write = brief, pick = null, wide = false } = {},
) {
  const strongest = top ?? (Math.max(...values.map(Math.abs)) || 1);
  const cell = (value, i) => {
    const real = !inside || inside[i];
    const share = Math.min(1, Math.abs(value) / strongest);
    const shown = real ? write(value, strongest) : "pad";
    const kind = `${!real ? "pad" : value > 0 ? "plus" : value < 0 ? "minus" : ""}${i === marked ? " marked" : ""}`;
    return make(
      "td",
      { class: kind, style: { "--share": share.toFixed(3) } },
      pick ? make("button", { type: "button", onclick: () => pick(i) }, shown) : shown,
    );
  };
  const head =
    columns &&
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        rows ? make("td") : null,
        columns.map((name) => make("th", { scope: "col" }, `${name}`)),
      ),
    );
  const body = [];
  for (let i = 0; i < values.length; i += width) {
    const cells = values.slice(i, i + width).map((value, k) => cell(value, i + k));
    body.push(make("tr", {}, rows ? make("th", { scope: "row" }, `${rows[i / width]}`) : null, cells));
  }
  return make(
    "table",
    { class: wide ? "numbers wide" : "numbers", style: { "--columns": width } },
    make("caption", {}, caption),
    head,
    make("tbody", {}, body),
  );
}

// Numbers as bars above and below a line; a click on one picks it. Each is wide enough to be hit with a finger only if there are few: so the
// select beside it does the same.
function bars(label, values, selected, pick) {
  const top = Math.max(...values.map(Math.abs)) || 1;
  const width = 100 / values.length;
  const svg = make("svg", { class: "chart", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": label });
  values.forEach((value, i) => {
    const height = Math.max(0.4, (19 * Math.abs(value)) / top);
    svg.append(
      make("rect", {
        x: i * width + width * 0.1,
        width: width * 0.8,
        y: value > 0 ? 20 - height : 20,
        height,
        class: `${value > 0 ? "plus" : "minus"}${i === selected ? " selected" : ""}`,
      }),
    );
  });
  svg.append(make("line", { x1: 0, x2: 100, y1: 20, y2: 20 }));
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    pick(Math.min(values.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * values.length))));
  });
  return svg;
}

// Lines of a sum: what, and how much; a null as the number makes a heading of it.
function sumTable(caption, lines) {
  const row = ([what, value, kind]) =>
    make(
      "tr",
      { class: kind || null },
      make("th", { scope: "row" }, what),
      make("td", {}, typeof value === "number" ? number(value, 5) : value),
    );
  return make("table", { class: "sum" }, make("caption", {}, caption), make("tbody", {}, lines.map(row)));
}
