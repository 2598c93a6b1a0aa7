"use strict";
// What the reader changes in the network: numbers of the first layer's kernels, and channels that are switched off.

const KERNELS = {
  // a few kernels for all three colours, for a 7 x 7 filter and others: from the place (-1 to 1) to a number
  "vertical edge": (y, x) => Math.sign(x) * Math.exp(-2 * (x * x + y * y)),
  "horizontal edge": (y, x) => Math.sign(y) * Math.exp(-2 * (x * x + y * y)),
  spot: (y, x) => Math.exp(-6 * (x * x + y * y)) - 0.35 * Math.exp(-1.5 * (x * x + y * y)),
  blur: (y, x) => Math.exp(-1.5 * (x * x + y * y)),
};
const edit = { filter: 0, channel: 0, cell: 0, brush: 1, original: null };

const firstLayer = () => network.layers[0];

// The kernel of filter o for colour c: a view of the weights, so what is written into it is written into the network.
function kernelAt(o, c, weight = firstLayer().weight) {
  const { inputs, kernel } = firstLayer();
  const size = kernel * kernel;
  return weight.subarray((o * inputs + c) * size, (o * inputs + c + 1) * size);
}

const trainedKernel = (o, c) => kernelAt(o, c, edit.original);
const filterChanged = (o) => [0, 1, 2].some((c) => kernelAt(o, c).some((value, i) => value !== trainedKernel(o, c)[i]));
const changedFilters = () => [...Array(firstLayer().outputs).keys()].filter(filterChanged);
const strongestWeight = () => edit.original.reduce((top, value) => Math.max(top, Math.abs(value)), 0);

// ---- channels switched off

function switchChannel(layer, c) {
  if (layer < 0 || layer === network.layers.length - 1) return;
  const channels = (state.off[layer] ||= new Set());
  if (!channels.delete(c)) channels.add(c);
  say(`${layerAt(layer).name}, channel ${c} switched ${channels.has(c) ? "off" : "on"}`);
  compute(layer);
}

// Each channel of the chosen layer switched off by itself: how much of the first answer's probability goes with it. The page stays alive
// meanwhile, and a second press, another layer or another picture ends it.
let ranking = null;
async function rankChannels() {
  const running = (ranking = ranking ? null : {});
  const { layer, outputs, input, off } = state;
  const last = outputs.at(-1).data;
  paintRanking();
  if (!running) return;
  const answer = largestOf(last);
  const before = softmax(last)[answer];
  const count = outputs[layer].shape[0];
  const changes = [];
  for (let c = 0; c < count; c++) {
    const without = off.slice();
    without[layer] = new Set([...(off[layer] || []), c]);
    changes.push(softmax(forward(network, input, { off: without, from: layer, before: outputs }).at(-1).data)[answer] - before);
    if (c % 4 === 3) {
      byId("rank").textContent = `Stop (${c + 1} of ${count})`;
      await new Promise((resume) => setTimeout(resume));
    }
    if (ranking !== running || state.outputs !== outputs || state.layer !== layer) return;
  }
  ranking = null;
  paintRanking({ answer, before, changes });
}

// What was found is about one picture, one layer and one state of the network.
function endRanking() {
  ranking = null;
  paintRanking();
}

function paintRanking(found = null) {
  byId("rank").textContent = ranking ? "Stop" : "Switch off each one in turn";
  if (!found) return byId("ranking").replaceChildren();
  const { answer, before, changes } = found;
  const order = [...changes.keys()].sort((a, b) => changes[a] - changes[b]);
  const name = mapName(network.layers.length - 1, answer);
  const most = order[0];
  const words =
    changes[most] < 0
      ? `Without channel ${most}, “${name}” falls most: from ${percent(before)} to ${percent(before + changes[most])}.`
      : `No single channel speaks for “${name}”.`;
  const choose = (c) => {
    state.held = true;
    select({ map: c, y: state.y, x: state.x });
  };
  byId("ranking").replaceChildren(
    bars(`How the probability of ${name} changes without each of ${changes.length} channels. ${words}`, changes, most, choose),
    paragraph(
      `How “${name}” changes without each of the ${changes.length} channels; a click chooses one. `,
      words,
      " ",
      link(`Look at channel ${most}`, () => choose(most)),
    ),
  );
  say(words);
}

function switchOn(layer) {
  state.off[layer] = undefined;
  compute(layer);
}

function undoAll() {
  state.off = [];
  asTrained();
}

// ---- the first layer's kernels

function buildEditor() {
  edit.original = firstLayer().weight.slice();
  const { outputs } = firstLayer();
  byId("filter").max = outputs - 1;
  byId("filter").addEventListener("input", (event) =>
    chooseFilter(Math.min(outputs - 1, Math.max(0, Math.round(Number(event.target.value) || 0)))),
  );
  byId("weight").addEventListener("input", (event) => setWeight(edit.channel, edit.cell, Number(event.target.value)));
  byId("presets").append(
    ...Object.entries(KERNELS).map(([name, at]) => make("button", { type: "button", onclick: () => fillKernel(at) }, name)),
    make("button", { type: "button", onclick: () => fillKernel(() => 0) }, "all zeros"),
    make("button", { type: "button", onclick: () => changeFilter((value) => -value) }, "other sign"),
    make("button", { type: "button", onclick: () => changeFilter((value, i, from) => from[i]) }, "as trained"),
  );
  byId("grids").append(...CHANNELS.map(kernelCanvas));
  byId("brush").addEventListener("change", (event) => {
    edit.brush = Number(event.target.value);
  });
  paintEditor();
}

// The kernel of one colour, to be painted into: by the pointer, or by keys.
function kernelCanvas(name, c) {
  const canvas = make("canvas", { tabindex: 0, role: "application", class: "kernel" });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    brush(event, c);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) brush(event, c);
  });
  canvas.addEventListener("keydown", (event) => moveCell(event, c));
  canvas.addEventListener("focus", () => {
    edit.channel = c;
    paintEditor();
  });
  return make("figure", {}, make("div", { class: "stage" }, canvas, make("i", {})), make("figcaption", {}, name));
}

function chooseFilter(o) {
  edit.filter = o;
  paintEditor();
}

function editFilter(o) {
  chooseFilter(o);
  byId("edit").scrollIntoView();
  byId("filter").focus({ preventScroll: true });
}

function brush(event, c) {
  const k = firstLayer().kernel;
  const box = event.target.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * k);
  const y = Math.floor(((event.clientY - box.top) / box.height) * k);
  if (x < 0 || x >= k || y < 0 || y >= k) return;
  event.preventDefault();
  setWeight(c, y * k + x, edit.brush * strongestWeight());
}

function moveCell(event, c) {
  const k = firstLayer().kernel;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -k, ArrowDown: k }[event.key];
  const change = { "+": 0.1, "-": -0.1 }[event.key];
  if ((!step && !change) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (change) return setWeight(c, edit.cell, kernelAt(edit.filter, c)[edit.cell] + change * strongestWeight());
  edit.channel = c;
  if (edit.cell + step >= 0 && edit.cell + step < k * k) edit.cell += step;
  paintEditor();
  say(`row ${Math.floor(edit.cell / k)}, column ${edit.cell % k}: ${number(kernelAt(edit.filter, c)[edit.cell])}`);
}

function setWeight(c, cell, value) {
  Object.assign(edit, { channel: c, cell });
  kernelAt(edit.filter, c)[cell] = value;
  compute(0);
}

// The same kernel in all three colours, as strong as the trained filter was.
function fillKernel(at) {
  const k = firstLayer().kernel;
  const half = Math.max(1, (k - 1) / 2);
  const numbers = Array.from({ length: k * k }, (_, i) => at(Math.floor(i / k) / half - 1, (i % k) / half - 1));
  const strength = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const trained = [0, 1, 2].flatMap((c) => Array.from(trainedKernel(edit.filter, c)));
  const scale = strength(trained) / (Math.sqrt(3) * strength(numbers) || 1);
  changeFilter((_, i) => scale * numbers[i]);
}

function changeFilter(change) {
  for (let c = 0; c < firstLayer().inputs; c++) {
    const kernel = kernelAt(edit.filter, c);
    const trained = trainedKernel(edit.filter, c);
    kernel.forEach((value, i) => {
      kernel[i] = change(value, i, trained);
    });
  }
  compute(0);
}

function asTrained() {
  firstLayer().weight.set(edit.original);
  compute(0);
}

function paintEditor() {
  const { kernel: k } = firstLayer();
  const top = strongestWeight();
  const scale = { shades: ABOUT_ZERO, part: (value) => 0.5 + value / top / 2 };
  byId("filter").value = edit.filter;
  document.querySelectorAll("#grids canvas").forEach((canvas, c) => {
    drawMap(canvas, kernelAt(edit.filter, c), k, k, scale);
    canvas.setAttribute(
      "aria-label",
      `Kernel of filter ${edit.filter} for ${CHANNELS[c]}, ${k} by ${k}. Arrow keys choose a number, plus and minus change it`,
    );
    const mark = canvas.nextElementSibling;
    const chosen = c === edit.channel;
    mark.hidden = !chosen;
    Object.assign(mark.style, {
      left: `${(100 * (edit.cell % k)) / k}%`,
      top: `${(100 * Math.floor(edit.cell / k)) / k}%`,
      width: `${100 / k}%`,
      height: `${100 / k}%`,
    });
  });
  const weight = kernelAt(edit.filter, edit.channel)[edit.cell];
  Object.assign(byId("weight"), { min: -1.5 * top, max: 1.5 * top, step: top / 100 });
  byId("weight").value = weight;
  byId("weightname").textContent =
    `${CHANNELS[edit.channel]}, row ${Math.floor(edit.cell / k)}, column ${edit.cell % k}: ${number(weight)}`;
  paintFilter();
  for (const [id, outputs] of [
    ["mapbefore", state.trained],
    ["mapafter", state.outputs],
  ]) {
    const shown = network.layers[1]?.kind === "relu" ? 1 : 0;
    const output = outputs[shown];
    if (output)
      drawMap(byId(id), mapOf(output, edit.filter), output.shape[1], output.shape[2], scaleOf(mapOf(state.trained[shown], edit.filter)));
  }
}

// The filter in colours: grey is zero, and a colour is what it looks for.
function paintFilter() {
  const { kernel: k } = firstLayer();
  const canvas = byId("filtercolour");
  const image = new ImageData(k, k);
  const kernels = [0, 1, 2].map((c) => kernelAt(edit.filter, c));
  const top = Math.max(...kernels.map((kernel) => kernel.reduce((most, value) => Math.max(most, Math.abs(value)), 0))) || 1;
  for (let i = 0; i < k * k; i++) image.data.set([...kernels.map((kernel) => 127.5 + (127.5 * kernel[i]) / top), 255], 4 * i);
  canvas.width = canvas.height = k;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
