"use strict";
// The layers in a row; all maps of one of them; one map enlarged. The pointer, a tap or the arrow keys choose a pixel, which `explain.js`
// takes apart.

const GAP = 1; // pixels between two maps
const PICTURE = { name: "picture", kind: "picture" };
const CHANNELS = ["red", "green", "blue"];

const layerAt = (index) => (index < 0 ? PICTURE : network.layers[index]);
const outputAt = (index, outputs = state.outputs) => (index < 0 ? state.input : outputs[index]);
const mapOf = ({ shape: [, H, W], data }, c) => data.subarray(c * H * W, (c + 1) * H * W);
const isOff = (layer, c) => Boolean(state.off[layer]?.has(c));

// What a map is called: a colour, a class, or its number.
function mapName(layer, c) {
  if (layer < 0) return CHANNELS[c];
  return layer === network.layers.length - 1 && network.categories.length ? network.categories[c].split(",")[0] : `map ${c}`;
}

function describe(layer) {
  const { kind, kernel, stride, outputs } = layer;
  const step = stride > 1 ? `, stride ${stride}` : "";
  return {
    picture: "the pixels, normalised",
    conv: `${outputs} filters ${kernel} × ${kernel}${step}`,
    relu: "negative becomes 0",
    pool: `largest of ${kernel} × ${kernel}${step}`,
    average: "average of each map",
    linear: `${outputs} weighted sums`,
  }[kind];
}

const KINDS = { picture: "input", conv: "conv", relu: "ReLU", pool: "pool", average: "average", linear: "linear" };

// ---- the row of layers: radio buttons, so the arrow keys go through them

function buildStrip() {
  const entries = [-1, ...network.layers.keys()].map((index) => {
    const layer = layerAt(index);
    const radio = make("input", {
      type: "radio",
      name: "layer",
      value: index,
      "aria-label": `${layer.name}: ${KINDS[layer.kind]}`,
      onchange: () => showLayer(index),
    });
    const short = layer.name.split(".").at(-1); // "features.10" is too wide: its whole name stands below when it is chosen
    return make(
      "label",
      { class: "layer", title: layer.name },
      radio,
      make("canvas", { "aria-hidden": "true" }),
      make("b", {}, KINDS[layer.kind]),
      make("small", {}, short),
    );
  });
  byId("strip").replaceChildren(...entries);
}

// In each button a map of its layer: that with the largest number.
function paintStrip() {
  document.querySelectorAll("#strip label").forEach((label, i) => {
    const index = i - 1;
    const output = outputAt(index);
    const [C, H, W] = output.shape;
    const canvas = label.querySelector("canvas");
    label.querySelector("input").checked = index === state.layer;
    label.classList.toggle("changed", Boolean(state.off[index]?.size) || (index === 0 && changedFilters().length > 0));
    if (H === 1) {
      const side = Math.ceil(Math.sqrt(C));
      const all = new Float32Array(side * side);
      all.set(output.data);
      drawMap(canvas, all, side, side);
    } else drawMap(canvas, mapOf(output, strongest(output)), H, W);
  });
}

// The map with the largest number of all.
const strongest = ({ shape: [, H, W], data }) => Math.floor(largestOf(data) / (H * W));

function largestOf(numbers) {
  let best = 0;
  numbers.forEach((value, i) => {
    if (value > numbers[best]) best = i;
  });
  return best;
}

function drawMap(canvas, numbers, H, W, scale = scaleOf(numbers)) {
  const image = new ImageData(W, H);
  paintMap(image, numbers, W, 0, 0, scale);
  canvas.width = W;
  canvas.height = H;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// ---- all maps of the layer

const zoomOf = (H) => (H === 1 ? 10 : 1); // a map of a single number is drawn larger
const columnsOf = (C, H) => (C === 3 ? 3 : H === 1 ? 20 : H > 20 ? 8 : 16);

function paintOverview() {
  const output = outputAt(state.layer);
  const [C, H, W] = output.shape;
  const columns = columnsOf(C, H);
  const zoom = zoomOf(H);
  const canvas = byId("overview");
  const rows = Math.ceil(C / columns);
  canvas.width = columns * (zoom * W + GAP) - GAP;
  canvas.height = rows * (zoom * H + GAP) - GAP;
  const image = new ImageData(canvas.width, canvas.height);
  const shared = byId("shared").checked || H === 1 ? scaleOf(output.data) : null;
  for (let c = 0; c < C; c++) {
    const left = (c % columns) * (zoom * W + GAP);
    const top = Math.floor(c / columns) * (zoom * H + GAP);
    const numbers = mapOf(output, c);
    if (isOff(state.layer, c)) crossOut(image, left, top, zoom * W, zoom * H);
    else paintMap(image, numbers, W, left, top, shared || scaleOf(numbers), zoom);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Diagonal stripes: a channel that is switched off.
function crossOut(image, left, top, width, height) {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      image.data.set((x + y) % 4 < 2 ? [120, 120, 120, 255] : [190, 190, 190, 255], 4 * ((top + y) * image.width + left + x));
  }
}

// Which map and pixel lie under the pointer, null between two maps.
function placeInOverview(event) {
  const canvas = byId("overview");
  const box = canvas.getBoundingClientRect();
  const [C, H, W] = outputAt(state.layer).shape;
  const zoom = zoomOf(H);
  const px = ((event.clientX - box.left) / box.width) * canvas.width;
  const py = ((event.clientY - box.top) / box.height) * canvas.height;
  const column = Math.floor(px / (zoom * W + GAP));
  const row = Math.floor(py / (zoom * H + GAP));
  const map = row * columnsOf(C, H) + column;
  const x = Math.floor((px - column * (zoom * W + GAP)) / zoom);
  const y = Math.floor((py - row * (zoom * H + GAP)) / zoom);
  return map >= 0 && map < C && column < columnsOf(C, H) && x >= 0 && x < W && y >= 0 && y < H ? { map, y, x } : null;
}

function placeInMap(event) {
  const box = byId("map").getBoundingClientRect();
  const [, H, W] = outputAt(state.layer).shape;
  const x = Math.floor(((event.clientX - box.left) / box.width) * W);
  const y = Math.floor(((event.clientY - box.top) / box.height) * H);
  return x >= 0 && x < W && y >= 0 && y < H ? { map: state.map, y, x } : null;
}

// The pointer shows a pixel, a click holds it, the next click lets go. A finger cannot hover: its tap holds.
function follow(canvas, placeOf) {
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !state.held) select(placeOf(event));
  });
  canvas.addEventListener("click", (event) => {
    const place = placeOf(event);
    if (!place) return;
    const again = state.held && place.map === state.map && place.y === state.y && place.x === state.x;
    state.held = !again;
    select(place);
    announce();
  });
}

function moveBy(event, steps, to) {
  const step = steps[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  state.held = true;
  select(to(step));
  announce();
}

function listenToMaps() {
  follow(byId("overview"), placeInOverview);
  follow(byId("map"), placeInMap);
  byId("overview").addEventListener("keydown", (event) => {
    const [C, H] = outputAt(state.layer).shape;
    const columns = columnsOf(C, H);
    moveBy(event, { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -C, End: C }, (step) => ({
      ...state,
      map: Math.min(C - 1, Math.max(0, state.map + step)),
    }));
    if (event.key === "x") switchChannel(state.layer, state.map);
  });
  byId("map").addEventListener("keydown", (event) => {
    const [, H, W] = outputAt(state.layer).shape;
    moveBy(event, { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }, ([dy, dx]) => ({
      map: state.map,
      y: Math.min(H - 1, Math.max(0, state.y + dy)),
      x: Math.min(W - 1, Math.max(0, state.x + dx)),
    }));
    if (event.key === "x") switchChannel(state.layer, state.map);
  });
  byId("shared").addEventListener("change", paintOverview);
  byId("letgo").addEventListener("click", () => {
    state.held = false;
    paintPlace();
  });
  byId("switch").addEventListener("click", () => switchChannel(state.layer, state.map));
  byId("rank").addEventListener("click", rankChannels);
}

// ---- the chosen layer, map and pixel: where a layer's largest number is, if no place is given

function showLayer(index, place = {}) {
  if (index !== state.layer) endRanking();
  const output = outputAt(index);
  const W = output.shape[2];
  const map = place.map ?? strongest(output);
  const largest = largestOf(mapOf(output, map));
  Object.assign(state, {
    layer: index,
    map,
    y: place.y ?? Math.floor(largest / W),
    x: place.x ?? largest % W,
    channel: null,
    held: Boolean(place.hold),
  });
  paintStrip();
  paintOverview();
  paintPlace();
  const strip = byId("strip");
  const label = strip.children[index + 1];
  strip.scrollLeft = label.offsetLeft - strip.offsetLeft - (strip.clientWidth - label.clientWidth) / 2; // on a phone it is wider than the page
}

function select(place) {
  if (!place) return;
  if (place.map !== state.map) state.channel = null;
  Object.assign(state, { map: place.map, y: place.y, x: place.x });
  paintPlace();
}

const valueAt = (index, c, y, x) => {
  const {
    shape: [, H, W],
    data,
  } = outputAt(index);
  return data[(c * H + y) * W + x];
};

function announce() {
  const [, H] = outputAt(state.layer).shape;
  const where = H === 1 ? "" : `, row ${state.y}, column ${state.x}`;
  say(
    `${layerAt(state.layer).name}, ${mapName(state.layer, state.map)}${where}: ${number(valueAt(state.layer, state.map, state.y, state.x))}`,
  );
}

// All that depends on the chosen pixel: frames on the maps and on the picture, the map enlarged, the sum.
function paintPlace() {
  const output = outputAt(state.layer);
  const [C, H, W] = output.shape;
  const columns = columnsOf(C, H);
  const zoom = zoomOf(H);
  const overview = byId("overview");
  const numbers = mapOf(output, state.map);
  const scale = scaleOf(numbers);
  frame(
    "chosen",
    overview.width,
    overview.height,
    (state.map % columns) * (zoom * W + GAP),
    Math.floor(state.map / columns) * (zoom * H + GAP),
    zoom * W,
    zoom * H,
  );
  drawMap(byId("map"), numbers, H, W, scale);
  frame("pixel", W, H, state.x, state.y, 1, 1);
  const box = fieldOf(state.layer, state.y, state.x);
  const side = network.side;
  frame("field", side, side, box.left, box.top, box.right - box.left, box.bottom - box.top);
  byId("scale").replaceChildren(
    make("span", {}, number(scale.low, 3)),
    make("i", { class: scale.low < 0 ? "signed" : "" }),
    make("span", {}, number(scale.high, 3)),
  );
  const layer = layerAt(state.layer);
  const where = H === 1 ? "" : `, row ${state.y}, column ${state.x}`;
  byId("layername").textContent = `${layer.name}: ${describe(layer)}, ${C} ${H === 1 ? "numbers" : `maps of ${H} × ${W}`}`;
  byId("place").textContent = `${mapName(state.layer, state.map)}${where}`;
  byId("value").textContent = number(valueAt(state.layer, state.map, state.y, state.x));
  byId("overview").setAttribute(
    "aria-label",
    `All ${C} maps of ${layer.name}. Arrow keys choose one, x switches it off. Chosen: ${mapName(state.layer, state.map)}`,
  );
  byId("map").setAttribute(
    "aria-label",
    `${mapName(state.layer, state.map)} of ${layer.name}, ${H} by ${W}. Arrow keys choose a pixel. Chosen: row ${state.y}, column ${state.x}`,
  );
  byId("letgo").hidden = !state.held;
  byId("hint").hidden = state.held;
  byId("switch").hidden = byId("rank").hidden = state.layer < 0 || state.layer === network.layers.length - 1;
  byId("switch").textContent = isOff(state.layer, state.map) ? "Switch this channel on" : "Switch this channel off";
  byId("single").hidden = H === 1;
  explain();
}

// A frame around a part of a canvas of width x height pixels: in percent, so it stays right however large the canvas is shown.
function frame(id, width, height, left, top, w, h) {
  const right = Math.min(width, left + w);
  const bottom = Math.min(height, top + h);
  const percentage = {
    left: Math.max(0, left) / width,
    top: Math.max(0, top) / height,
    width: (right - Math.max(0, left)) / width,
    height: (bottom - Math.max(0, top)) / height,
  };
  for (const [side, part] of Object.entries(percentage)) byId(id).style[side] = `${100 * part}%`;
}

// The pixels of the picture that a pixel of a layer depends on: from the layer back to the picture, a window becomes the pixels it reads.
function fieldOf(index, y, x) {
  let [top, bottom, left, right] = [y, y + 1, x, x + 1];
  for (let i = index; i >= 0; i--) {
    const { kind, kernel, stride = 1, padding = 0, dilation = 1 } = network.layers[i];
    const [, H, W] = outputAt(i - 1).shape;
    if (kind === "average" || kind === "linear") [top, bottom, left, right] = [0, H, 0, W];
    if (kind !== "conv" && kind !== "pool") continue;
    const reach = dilation * (kernel - 1) + 1;
    [top, left] = [top * stride - padding, left * stride - padding];
    [bottom, right] = [(bottom - 1) * stride - padding + reach, (right - 1) * stride - padding + reach];
  }
  return { top, bottom, left, right };
}
