"use strict";
// The chosen number as what it is: a patch times a kernel, the larger of itself and 0, the largest of a window, an average, a weighted sum.

function explain() {
  const layer = layerAt(state.layer), off = isOff(state.layer, state.map);
  const content = { picture: explainPicture, conv: explainConvolution, relu: explainRelu, pool: explainPool, average: explainAverage, linear: explainLinear }[layer.kind](layer);
  const note = off ? make("p", { class: "warn" }, "This channel is switched off: whatever is computed here, zeros go on to the next layer.") : null;
  byId("explanation").replaceChildren(...[note, ...content].filter(Boolean));
}

// A button that leads to another number; the place is held there.
function goTo(words, layer, place) {
  return make("button", { type: "button", class: "go", onclick: () => { showLayer(layer, { ...place, hold: true }); announce(); } }, words);
}

const narrow = matchMedia("(max-width: 40rem)");
narrow.addEventListener("change", () => { if (state.input) explain(); });

const paragraph = (...content) => make("p", {}, content);

function explainPicture() {
  const { map, y, x } = state, value = state.pixels.data[4 * (y * state.pixels.width + x) + map], { mean, std } = network;
  return [
    paragraph(`A pixel enters as (value / 255 − mean) / standard deviation: so it was in training, with one mean and one deviation for each colour.`),
    sumTable("This pixel", [[`${CHANNELS[map]}, from 0 to 255`, `${value}`], ["divided by 255", value / 255], ["less the mean", value / 255 - mean[map]], [`divided by ${number(std[map], 3)}`, valueAt(-1, map, y, x), "total"]]),
    paragraph(goTo("On: what the first filter makes of it", 0, placeAfter(0))),
  ];
}

// The place of the next layer whose window has the chosen pixel in its middle.
function placeAfter(index) {
  const { stride = 1 } = network.layers[index], [, H, W] = outputAt(index).shape;
  return { y: Math.min(H - 1, Math.floor(state.y / stride)), x: Math.min(W - 1, Math.floor(state.x / stride)) };
}

// ---- convolution: patch x kernel = products, channel by channel

function explainConvolution(layer) {
  const input = outputAt(state.layer - 1), [C, H, W] = input.shape, e = explainPixel(layer, input, state.map, state.y, state.x);
  const subtotals = e.channels.map(({ subtotal }) => subtotal), few = C <= 3, all = few && !narrow.matches; // on a phone one after the other
  const largest = subtotals.reduce((best, value, c) => (Math.abs(value) > Math.abs(subtotals[best]) ? c : best), 0);
  const shown = all ? [...e.channels.keys()] : [state.channel ?? largest];
  const before = layerAt(state.layer - 1).name, called = (c) => (few && state.layer === 0 ? CHANNELS[c] : `channel ${c}`);
  const tops = ["patch", "kernel", "products"].map((part) => Math.max(...shown.flatMap((c) => e.channels[c][part].map(Math.abs))) || 1);
  const name = (index, size) => (index >= 0 && index < size ? index : "pad");
  const rows = e.rows.map((row) => name(row, H)), columns = e.columns.map((column) => name(column, W)), inside = e.inside;
  const triple = (c) => make("div", { class: "triple", role: "group", "aria-label": called(c) },
    table(`patch: ${called(c)} of ${few && state.layer === 0 ? "the picture" : before}`, e.channels[c].patch, layer.kernel, { rows, columns, inside, top: tops[0] }),
    make("span", { class: "sign" }, "×"),
    table(`kernel: filter ${state.map}, ${called(c)}`, e.channels[c].kernel, layer.kernel, { top: tops[1] }),
    make("span", { class: "sign" }, "="),
    table("products", e.channels[c].products, layer.kernel, { top: tops[2] }),
    make("p", { class: "subtotal" }, `subtotal of ${called(c)} `, make("b", {}, number(subtotals[c]))));
  return [
    paragraph(`Filter ${state.map} lies on rows ${list(rows)} and columns ${list(columns)} of ${state.layer ? before : "the picture"}`,
      inside.every(Boolean) ? "" : " (pad: the padding, zeros around it)", ". Patch times kernel, number by number; then all is added up."),
    ...shown.map(triple),
    all ? null : channelChooser(subtotals, shown[0], called),
    sumTable("The sum", [
      ...(few ? subtotals.map((value, c) => [`subtotal of ${called(c)}`, value]) : [[`${C} subtotals, added up`, e.sum]]),
      [`bias of filter ${state.map}`, e.bias], ["this pixel", e.value, "total"], ...fate(e.value),
    ]),
    paragraph(...onward(), state.layer === 0 ? make("button", { type: "button", class: "go", onclick: () => editFilter(state.map) }, `Change filter ${state.map}`) : ""),
  ];
}

function channelChooser(subtotals, shown, called) {
  const choose = (c) => { state.channel = c; state.held = true; paintPlace(); };
  const order = [...subtotals.keys()].sort((a, b) => Math.abs(subtotals[b]) - Math.abs(subtotals[a]));
  const select = make("select", { onchange: (event) => { choose(Number(event.target.value)); byId("explanation").querySelector("select").focus(); } },
    order.map((c) => make("option", { value: c, selected: c === shown }, `${called(c)}: ${number(subtotals[c], 3)}`)));
  return make("div", { class: "chooser" }, bars(`The subtotals of ${subtotals.length} channels; the largest is that of ${called(order[0])}`, subtotals, shown, choose),
    make("label", {}, `The subtotals of all ${subtotals.length} channels, above: click on one, or choose it here, the largest first `, select));
}

// What becomes of a convolution's pixel: the ReLU, and whether it wins in a window of the pool behind it.
function fate(value) {
  const lines = [], relued = network.layers[state.layer + 1], pool = network.layers[state.layer + 2];
  if (relued?.kind !== "relu") return lines;
  lines.push([`after the ReLU (${relued.name})`, Math.max(0, value)]);
  if (pool?.kind !== "pool") return lines;
  const windows = windowsOver(pool, state.layer + 1), won = windows.filter(({ best }) => best.y === state.y && best.x === state.x && best.value > 0);
  lines.push([`in the pool (${pool.name})`, `largest in ${won.length} of ${windows.length} window${windows.length > 1 ? "s" : ""}`]);
  return lines;
}

// The windows of a pool that lie over the chosen pixel, with the largest number of each.
function windowsOver(pool, before) {
  const [, H, W] = outputAt(before).shape, found = [];
  for (let oh = 0; oh < outputSize(H, pool); oh++) {
    for (let ow = 0; ow < outputSize(W, pool); ow++) {
      if (reads(oh, pool).includes(state.y) && reads(ow, pool).includes(state.x)) found.push({ y: oh, x: ow, best: windowOf(pool, before, oh, ow).best });
    }
  }
  return found;
}

function windowOf(pool, before, oh, ow) {
  const [, H, W] = outputAt(before).shape, values = [], inside = [];
  let best = { value: -Infinity };
  for (const y of reads(oh, pool)) {
    for (const x of reads(ow, pool)) {
      const real = y >= 0 && y < H && x >= 0 && x < W, value = real ? valueAt(before, state.map, y, x) : 0;
      if (real && value > best.value) best = { value, y, x, at: values.length };
      values.push(value);
      inside.push(real);
    }
  }
  return { values, inside, best };
}

// Buttons to the layer before and after, at the place that belongs to this one.
function onward() {
  const { layer, map, y, x } = state, next = network.layers[layer + 1];
  if (!next) return [];
  if (next.kind === "relu") return [goTo(`On: after the ReLU`, layer + 1, { map, y, x })];
  if (next.kind === "pool") {
    const windows = windowsOver(next, layer), window = windows.find(({ best }) => best.y === y && best.x === x) || windows[0];
    return window ? [goTo(`On: in the pool, row ${window.y}, column ${window.x}`, layer + 1, { map, y: window.y, x: window.x })] : [];
  }
  if (next.kind === "average") return [goTo("On: the average of this map", layer + 1, { map, y: 0, x: 0 })];
  const most = next.kind === "linear" ? strongest(outputAt(layer + 1)) : 0;
  return [goTo(next.kind === "linear" ? "On: the strongest answer" : "On: the next convolution, here", layer + 1, next.kind === "linear" ? { map: most, y: 0, x: 0 } : placeAfter(layer + 1))];
}

// ---- the other layers

function explainRelu(layer) {
  const before = valueAt(state.layer - 1, state.map, state.y, state.x), name = layerAt(state.layer - 1).name, { map, y, x } = state;
  return [
    paragraph("A ReLU lets through what is positive and makes 0 of the rest. Each pixel is for itself."),
    sumTable("This pixel", [[`before, in ${name}`, before], ["the larger of it and 0", Math.max(0, before), "total"]]),
    paragraph(goTo("Back: the number before, taken apart", state.layer - 1, { map, y, x }), ...onward()),
  ];
}

function explainPool(layer) {
  const { values, inside, best } = windowOf(layer, state.layer - 1, state.y, state.x), name = layerAt(state.layer - 1).name;
  const [, H, W] = outputAt(state.layer - 1).shape, called = (index, size) => (index >= 0 && index < size ? index : "pad");
  const rows = reads(state.y, layer).map((row) => called(row, H)), columns = reads(state.x, layer).map((column) => called(column, W));
  return [
    paragraph(`The largest number of a window of ${layer.kernel} × ${layer.kernel} pixels of the same map of ${name}. What is beside it is forgotten.`),
    make("div", { class: "triple" }, table(`window on map ${state.map} of ${name}`, values, layer.kernel, { rows, columns, inside, marked: best.at, write: (value) => number(value, 3), wide: true }),
      make("span", { class: "sign" }, "→"), make("p", { class: "subtotal" }, "the largest ", make("b", {}, number(best.value)))),
    paragraph(goTo(`Back: the largest, row ${best.y}, column ${best.x}`, state.layer - 1, { map: state.map, y: best.y, x: best.x }), ...onward()),
  ];
}

function explainAverage() {
  const before = outputAt(state.layer - 1), [, H, W] = before.shape, values = Array.from(mapOf(before, state.map)), sum = values.reduce((a, b) => a + b, 0);
  const best = values.indexOf(Math.max(...values)), name = layerAt(state.layer - 1).name;
  const go = (i) => { showLayer(state.layer - 1, { map: state.map, y: Math.floor(i / W), x: i % W, hold: true }); announce(); };
  return [
    paragraph(`All ${H * W} numbers of map ${state.map} of ${name}, added up and divided by ${H * W}: how much of it is in the picture, wherever it is.`),
    make("div", { class: "triple" }, table(`map ${state.map} of ${name}: each number leads to its sum`, values, W, { marked: best, pick: go })),
    sumTable("The average", [["sum", sum], [`divided by ${H * W}`, sum / (H * W), "total"]]),
    paragraph(...onward()),
  ];
}

function explainLinear(layer) {
  const { shape: [, H, W], data } = outputAt(state.layer - 1), weights = layer.weight.subarray(state.map * layer.inputs, (state.map + 1) * layer.inputs);
  const products = Array.from(data, (value, i) => value * weights[i]), sum = products.reduce((a, b) => a + b, 0), logit = sum + layer.bias[state.map];
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, 8);
  const placeOf = (i) => ({ map: Math.floor(i / (H * W)), y: Math.floor(i / W) % H, x: i % W }); // an input is a map's only number, or one of them
  const go = (i) => { showLayer(state.layer - 1, { ...placeOf(i), hold: true }); announce(); };
  const called = (i) => `map ${placeOf(i).map}${H * W > 1 ? `, row ${placeOf(i).y}, column ${placeOf(i).x}` : ""}`;
  const line = (i) => make("tr", {}, make("th", { scope: "row" }, make("button", { type: "button", class: "go", onclick: () => go(i) }, called(i))),
    make("td", {}, number(data[i])), make("td", {}, number(weights[i])), make("td", {}, number(products[i])));
  const last = state.layer === network.layers.length - 1, probability = last ? softmax(outputAt(state.layer).data)[state.map] : 0;
  return [
    paragraph(`“${mapName(state.layer, state.map)}” is ${data.length} numbers of ${layerAt(state.layer - 1).name}, each times a weight, added up. What speaks for it is above the line, what speaks against it below.`),
    bars(`${products.length} products of a number and a weight`, products, order[0], go),
    make("table", { class: "sum wide" }, make("caption", {}, "The eight largest products"),
      make("thead", {}, make("tr", {}, ["from", "number", "× weight", "= product"].map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, order.map(line))),
    sumTable("The sum", [[`${products.length} products, added up`, sum], ["bias", layer.bias[state.map]], [last ? "logit" : "this number", logit, "total"],
      ...(last ? [["softmax: its share of all e^logit", percent(probability)]] : [])]),
  ];
}
