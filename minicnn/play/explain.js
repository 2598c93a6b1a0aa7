"use strict";
// The chosen number as what it is: a patch times a kernel, the larger of itself and 0, the largest of a window, an average, a weighted sum.

function explain() {
  const layer = layerAt(state.layer);
  const off = isOff(state.layer, state.map);
  const content = {
    picture: explainPicture,
    conv: explainConvolution,
    relu: explainRelu,
    pool: explainPool,
    average: explainAverage,
    linear: explainLinear,
  }[layer.kind](layer);
  const note = off
    ? make("p", { class: "warn" }, "This channel is switched off: whatever is computed here, zeros go on to the next layer.")
    : null;
  byId("explanation").replaceChildren(...[note, ...content].filter(Boolean));
}

// A button that looks like a link.
const link = (words, onclick) => make("button", { type: "button", class: "go", onclick }, words);

// To another number, which is then held.
function go(layer, place) {
  showLayer(layer, { ...place, hold: true });
  announce();
}
const goTo = (words, layer, place) => link(words, () => go(layer, place));

const narrow = matchMedia("(max-width: 40rem)");
narrow.addEventListener("change", () => {
  if (state.input) explain();
});

const paragraph = (...content) => make("p", {}, content);

function explainPicture() {
  const { map, y, x } = state;
  const value = state.pixels.data[4 * (y * state.pixels.width + x) + map];
  const { mean, std } = network;
  return [
    paragraph(
      `A pixel enters as (value / 255 − mean) / standard deviation, as it did in training. Each colour has its own mean and deviation.`,
    ),
    sumTable("This pixel", [
      [`${CHANNELS[map]}, from 0 to 255`, `${value}`],
      ["divided by 255", value / 255],
      ["less the mean", value / 255 - mean[map]],
      [`divided by ${number(std[map], 3)}`, valueAt(-1, map, y, x), "total"],
    ]),
    paragraph(goTo("Onward: what the first filter makes of it", 0, placeAfter(0))),
  ];
}

// The place of the next layer whose window has the chosen pixel in its middle.
function placeAfter(index) {
  const { stride = 1 } = network.layers[index];
  const [, H, W] = outputAt(index).shape;
  return { y: Math.min(H - 1, Math.floor(state.y / stride)), x: Math.min(W - 1, Math.floor(state.x / stride)) };
}

// ---- convolution: patch x kernel = products, channel by channel

function explainConvolution(layer) {
  const input = outputAt(state.layer - 1);
  const [C, H, W] = input.shape;
  const e = explainPixel(layer, input, state.map, state.y, state.x);
  const before = state.layer ? layerAt(state.layer - 1).name : "the picture";
  const called = (c) => (state.layer === 0 ? CHANNELS[c] : `channel ${c}`);
  const subtotals = e.channels.map(({ subtotal }) => subtotal);
  const few = C <= 3;
  const all = few && !narrow.matches; // on a phone one after the other
  const shown = all ? [...e.channels.keys()] : [state.channel ?? largestOf(subtotals.map(Math.abs))];
  const edges = { rows: edge(e.rows, H), columns: edge(e.columns, W), inside: e.inside };
  const tops = ["patch", "kernel", "products"].map((part) => Math.max(...shown.flatMap((c) => e.channels[c][part].map(Math.abs))) || 1);
  return [
    paragraph(
      `Filter ${state.map} lies on rows ${list(edges.rows)} and columns ${list(edges.columns)} of ${before}`,
      e.inside.every(Boolean) ? "" : " (pad: the padding, zeros around it)",
      ". Patch times kernel, number by number; then all is added up.",
    ),
    ...shown.map((c) => triple(called(c), before, e.channels[c], layer.kernel, edges, tops)),
    all ? null : channelChooser(subtotals, shown[0], called),
    sumTable("The sum", [
      ...(few ? subtotals.map((value, c) => [`subtotal of ${called(c)}`, value]) : [[`${C} subtotals, added up`, e.sum]]),
      [`bias of filter ${state.map}`, e.bias],
      ["this pixel", e.value, "total"],
      ...fate(e.value),
    ]),
    paragraph(...onward(), state.layer === 0 ? link(`Change filter ${state.map}`, () => editFilter(state.map)) : ""),
  ];
}

// What the rows or columns of a window are called.
const edge = (indices, size) => indices.map((index) => (index >= 0 && index < size ? index : "pad"));

// One input channel: three tables, patch x kernel = products, each with the strongest colour at its number of `tops`.
function triple(name, before, { patch, kernel, products, subtotal }, width, edges, tops) {
  return make(
    "div",
    { class: "triple", role: "group", "aria-label": name },
    table(`patch: ${name} of ${before}`, patch, width, { ...edges, top: tops[0] }),
    make("span", { class: "sign" }, "×"),
    table(`kernel: filter ${state.map}, ${name}`, kernel, width, { top: tops[1] }),
    make("span", { class: "sign" }, "="),
    table("products", products, width, { top: tops[2] }),
    make("p", { class: "subtotal" }, `subtotal of ${name} `, make("b", {}, number(subtotal))),
  );
}

function channelChooser(subtotals, shown, called) {
  const choose = (c) => {
    state.channel = c;
    state.held = true;
    paintPlace();
  };
  const order = [...subtotals.keys()].sort((a, b) => Math.abs(subtotals[b]) - Math.abs(subtotals[a]));
  const select = make(
    "select",
    {
      onchange: (event) => {
        choose(Number(event.target.value));
        byId("explanation").querySelector("select").focus();
      },
    },
    order.map((c) => make("option", { value: c, selected: c === shown }, `${called(c)}: ${number(subtotals[c], 3)}`)),
  );
  return make(
    "div",
    { class: "chooser" },
    bars(`The subtotals of ${subtotals.length} channels; the largest is that of ${called(order[0])}`, subtotals, shown, choose),
    make(
      "label",
      {},
      `The subtotals of all ${subtotals.length} channels, above: click on one, or choose it here, the largest first `,
      select,
    ),
  );
}

// What becomes of a convolution's pixel: the ReLU, and whether it wins in a window of the pool behind it.
function fate(value) {
  const lines = [];
  const relued = network.layers[state.layer + 1];
  const pool = network.layers[state.layer + 2];
  if (relued?.kind !== "relu") return lines;
  lines.push([`after the ReLU (${relued.name})`, Math.max(0, value)]);
  if (pool?.kind !== "pool") return lines;
  const windows = windowsOver(pool, state.layer + 1);
  const won = windows.filter(({ best }) => best.y === state.y && best.x === state.x && best.value > 0);
  lines.push([`in the pool (${pool.name})`, `largest in ${won.length} of ${windows.length} window${windows.length > 1 ? "s" : ""}`]);
  return lines;
}

// The windows of a pool that lie over the chosen pixel, with the largest number of each.
function windowsOver(pool, before) {
  const [, H, W] = outputAt(before).shape;
  const found = [];
  for (let oh = 0; oh < outputSize(H, pool); oh++) {
    for (let ow = 0; ow < outputSize(W, pool); ow++) {
      if (reads(oh, pool).includes(state.y) && reads(ow, pool).includes(state.x))
        found.push({ y: oh, x: ow, best: windowOf(pool, before, oh, ow).best });
    }
  }
  return found;
}

function windowOf(pool, before, oh, ow) {
  const [, H, W] = outputAt(before).shape;
  const values = [];
  const inside = [];
  let best = { value: -Infinity };
  for (const y of reads(oh, pool)) {
    for (const x of reads(ow, pool)) {
      const real = y >= 0 && y < H && x >= 0 && x < W;
      const value = real ? valueAt(before, state.map, y, x) : 0;
      if (real && value > best.value) best = { value, y, x, at: values.length };
      values.push(value);
      inside.push(real);
    }
  }
  return { values, inside, best };
}

// Buttons to the layer before and after, at the place that belongs to this one.
function onward() {
  const { layer, map, y, x } = state;
  const next = network.layers[layer + 1];
  if (!next) return [];
  if (next.kind === "relu") return [goTo(`Onward: after the ReLU`, layer + 1, { map, y, x })];
  if (next.kind === "pool") {
    const windows = windowsOver(next, layer);
    const window = windows.find(({ best }) => best.y === y && best.x === x) || windows[0];
    return window ? [goTo(`Onward: in the pool, row ${window.y}, column ${window.x}`, layer + 1, { map, y: window.y, x: window.x })] : [];
  }
  if (next.kind === "average") return [goTo("Onward: the average of this map", layer + 1, { map, y: 0, x: 0 })];
  const most = next.kind === "linear" ? strongest(outputAt(layer + 1)) : 0;
  return [
    goTo(
      next.kind === "linear" ? "Onward: the strongest answer" : "Onward: the next convolution, here",
      layer + 1,
      next.kind === "linear" ? { map: most, y: 0, x: 0 } : placeAfter(layer + 1),
    ),
  ];
}

// ---- the other layers

function explainRelu(layer) {
  const before = valueAt(state.layer - 1, state.map, state.y, state.x);
  const name = layerAt(state.layer - 1).name;
  const { map, y, x } = state;
  return [
    paragraph("A ReLU lets through what is positive, and makes 0 of the rest. It looks at each pixel alone."),
    sumTable("This pixel", [
      [`before, in ${name}`, before],
      ["the larger of it and 0", Math.max(0, before), "total"],
    ]),
    paragraph(goTo("Back: the number before, taken apart", state.layer - 1, { map, y, x }), ...onward()),
  ];
}

function explainPool(layer) {
  const { values, inside, best } = windowOf(layer, state.layer - 1, state.y, state.x);
  const name = layerAt(state.layer - 1).name;
  const [, H, W] = outputAt(state.layer - 1).shape;
  const edges = { rows: edge(reads(state.y, layer), H), columns: edge(reads(state.x, layer), W), inside };
  return [
    paragraph(
      `The largest number in a window of ${layer.kernel} × ${layer.kernel} pixels of the same map of ${name}. The others are forgotten.`,
    ),
    make(
      "div",
      { class: "triple" },
      table(`window on map ${state.map} of ${name}`, values, layer.kernel, {
        ...edges,
        marked: best.at,
        write: (value) => number(value, 3),
        wide: true,
      }),
      make("span", { class: "sign" }, "→"),
      make("p", { class: "subtotal" }, "the largest ", make("b", {}, number(best.value))),
    ),
    paragraph(
      goTo(`Back: the largest, row ${best.y}, column ${best.x}`, state.layer - 1, { map: state.map, y: best.y, x: best.x }),
      ...onward(),
    ),
  ];
}

function explainAverage() {
  const before = outputAt(state.layer - 1);
  const [, H, W] = before.shape;
  const values = Array.from(mapOf(before, state.map));
  const sum = values.reduce((a, b) => a + b, 0);
  const best = largestOf(values);
  const name = layerAt(state.layer - 1).name;
  const pick = (i) => go(state.layer - 1, { map: state.map, y: Math.floor(i / W), x: i % W });
  return [
    paragraph(
      `All ${H * W} numbers of map ${state.map} of ${name}, added up and divided by ${H * W}: how much of it is in the picture, wherever it is.`,
    ),
    make("div", { class: "triple" }, table(`map ${state.map} of ${name}: each number leads to its sum`, values, W, { marked: best, pick })),
    sumTable("The average", [
      ["sum", sum],
      [`divided by ${H * W}`, sum / (H * W), "total"],
    ]),
    paragraph(...onward()),
  ];
}

function explainLinear(layer) {
  const input = outputAt(state.layer - 1);
  const before = layerAt(state.layer - 1).name;
  const [, H, W] = input.shape;
  const weights = layer.weight.subarray(state.map * layer.inputs, (state.map + 1) * layer.inputs);
  const products = Array.from(input.data, (value, i) => value * weights[i]);
  const sum = products.reduce((a, b) => a + b, 0);
  const pick = (i) => go(state.layer - 1, { map: Math.floor(i / (H * W)), y: Math.floor(i / W) % H, x: i % W }); // a map's number, or one of them
  const lines = [
    [`${products.length} products, added up`, sum],
    ["bias", layer.bias[state.map]],
  ];
  if (state.layer === network.layers.length - 1) {
    lines.push(["logit", sum + layer.bias[state.map], "total"]);
    lines.push(["softmax: its share of all e^logit", percent(softmax(outputAt(state.layer).data)[state.map])]);
  } else lines.push(["this number", sum + layer.bias[state.map], "total"]);
  return [
    paragraph(
      `“${mapName(state.layer, state.map)}” is ${products.length} numbers of ${before}, each times a weight, added up. `,
      "What speaks for it is above the line, what speaks against it below.",
    ),
    bars(`${products.length} products of a number and a weight`, products, largestOf(products.map(Math.abs)), pick),
    largestProducts(input, weights, products, pick),
    sumTable("The sum", lines),
    paragraph(...onward()),
  ];
}

function largestProducts({ shape: [, H, W], data }, weights, products, pick) {
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, 8);
  const called = (i) => `map ${Math.floor(i / (H * W))}${H * W > 1 ? `, row ${Math.floor(i / W) % H}, column ${i % W}` : ""}`;
  const heads = ["from", "number", "× weight", "= product"].map((head) => make("th", { scope: "col" }, head));
  const numbers = (i) => [data[i], weights[i], products[i]].map((value) => make("td", {}, number(value)));
  const line = (i) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        link(called(i), () => pick(i)),
      ),
      numbers(i),
    );
  return make(
    "table",
    { class: "sum wide" },
    make("caption", {}, `The ${order.length} largest products`),
    make("thead", {}, make("tr", {}, heads)),
    make("tbody", {}, order.map(line)),
  );
}
