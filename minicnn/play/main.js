"use strict";
// The page: where a picture comes from, the answer, and what is computed anew when something changes.

const network = JSON.parse(byId("network").textContent);
const decoded = Uint8Array.from(atob(byId("weights").textContent.trim()), (letter) => letter.charCodeAt(0));
unpack(network.layers, network.bits, decoded);

// ---- computing

// After a change in layer `from` (0: a kernel, or the picture) that layer and all behind it are computed anew. Changes that come faster than
// the network answers are taken together.
let pending = null;
function compute(from) {
  if (pending === null) requestAnimationFrame(() => { const first = pending; pending = null; computeNow(first); });
  pending = Math.min(pending ?? from, from);
}

function computeNow(from) {
  state.outputs = forward(network, state.input, { off: state.off, from, before: state.outputs });
  paint();
}

// The shortest time of so many passes: a browser translates a program that runs often into a faster one, and other programs are in the way.
async function milliseconds(passes) {
  let shortest = Infinity;
  for (let i = 0; i < passes; i++) {
    const started = performance.now();
    forward(network, state.input);
    shortest = Math.min(shortest, performance.now() - started);
    await new Promise((resume) => setTimeout(resume)); // the page stays alive
  }
  return shortest;
}

function showPicture(pixels, name) {
  state.pixels = fit(pixels, network.side);
  state.input = normalized(state.pixels, network.mean, network.std);
  const first = !state.outputs.length, weight = firstLayer().weight;
  firstLayer().weight = edit.original; // the network as it was trained, for comparison
  state.trained = forward(network, state.input);
  firstLayer().weight = weight;
  state.outputs = changed() ? forward(network, state.input, { off: state.off }) : state.trained;
  const canvas = byId("input");
  canvas.width = canvas.height = network.side;
  canvas.getContext("2d").putImageData(state.pixels, 0, 0);
  canvas.setAttribute("aria-label", `The picture as the network sees it, ${network.side} by ${network.side} pixels: ${name}`);
  document.querySelectorAll("#photos button").forEach((button) => button.setAttribute("aria-pressed", button.title === name));
  if (first) showLayer(0);
  paint();
}

const changed = () => changedFilters().length > 0 || state.off.some((channels) => channels?.size);

function paint() {
  endRanking();
  paintAnswer();
  paintStrip();
  paintOverview();
  paintPlace();
  paintEditor();
}

// ---- the answer

const SHOWN = 5;

function paintAnswer() {
  const now = softmax(state.outputs.at(-1).data), before = softmax(state.trained.at(-1).data), isChanged = changed();
  const order = [...now.keys()].sort((a, b) => now[b] - now[a]).slice(0, SHOWN), last = network.layers.length - 1;
  byId("answers").replaceChildren(...order.map((c) => {
    const name = mapName(last, c), was = isChanged ? make("small", {}, `was ${percent(before[c])}`) : null;
    return make("li", {}, make("button", { type: "button", title: `How this number comes about`, onclick: () => { showLayer(last, { map: c, y: 0, x: 0, hold: true }); byId("layers").scrollIntoView(); } },
      make("span", { class: "name" }, name), make("span", { class: "percent" }, percent(now[c])), was,
      make("i", { style: { width: `${100 * now[c]}%` } }), isChanged ? make("u", { style: { left: `${100 * before[c]}%` } }) : null));
  }));
  document.querySelectorAll(".short").forEach((line) => line.replaceChildren( // where the answers are out of sight: on a phone, and behind a dialog
    make("b", {}, mapName(last, order[0])), ` ${percent(now[order[0]])}`, isChanged ? make("small", {}, ` was ${percent(before[order[0]])}`) : ""));
  paintChanges();
}

function paintChanges() {
  const filters = changedFilters(), items = [];
  if (filters.length) items.push(make("li", {}, `filter ${filters.join(", ")} of ${firstLayer().name} edited `, make("button", { type: "button", onclick: asTrained }, "undo")));
  state.off.forEach((channels, layer) => {
    if (channels?.size) items.push(make("li", {}, `${layerAt(layer).name}: channel ${[...channels].sort((a, b) => a - b).join(", ")} off `,
      make("button", { type: "button", onclick: () => { state.off[layer] = undefined; compute(layer); } }, "undo")));
  });
  byId("changes").replaceChildren(...(items.length ? [make("h3", {}, "Changed"), make("ul", {}, items), items.length > 1 ? make("button", { type: "button", onclick: undoAll }, "undo all") : ""] : []));
}

// ---- where pictures come from

function buildPhotographs() {
  byId("photos").append(...network.photographs.map(({ name, source }) => {
    const image = make("img", { src: source, alt: "", width: network.side, height: network.side });
    return make("button", { type: "button", title: name, "aria-label": name, "aria-pressed": "false", onclick: () => showPicture(pixelsOf(image), name) }, image);
  }));
}

async function openFile(file) {
  try {
    const image = await createImageBitmap(file);
    showPicture(pixelsOf(image, image.width, image.height), file.name);
    say(`${file.name} opened`);
  } catch {
    warn(`${file.name || "What was dropped"} is not a picture that this browser can read.`);
  }
}

function warn(text) {
  byId("warning").textContent = text;
  byId("warning").hidden = !text;
  say(text);
}

function listenToFiles() {
  byId("file").addEventListener("change", (event) => { warn(""); if (event.target.files[0]) openFile(event.target.files[0]); event.target.value = ""; });
  byId("open").addEventListener("click", () => byId("file").click());
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    warn("");
    const file = event.dataTransfer.files[0];
    if (file) openFile(file);
    else warn("What was dropped is not a file.");
  });
}

// The drawing pad. By keys: the arrows move the pen, the space bar puts it down and lifts it.
const pen = { x: 160, y: 160, down: false, colour: "#222222", width: 16 };

function buildPad() {
  const canvas = byId("padcanvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => { context.fillStyle = "#ffffff"; context.fillRect(0, 0, canvas.width, canvas.height); };
  const show = () => showPicture(context.getImageData(0, 0, canvas.width, canvas.height), "your drawing");
  const line = (x, y) => {
    Object.assign(context, { strokeStyle: pen.colour, lineWidth: pen.width, lineCap: "round" });
    context.beginPath();
    context.moveTo(pen.x, pen.y);
    context.lineTo(x, y);
    context.stroke();
    Object.assign(pen, { x, y });
  };
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height]; };
  const mark = () => { const dot = byId("pen"); Object.assign(dot.style, { left: `${(100 * pen.x) / canvas.width}%`, top: `${(100 * pen.y) / canvas.height}%` }); dot.classList.toggle("down", pen.down); };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); [pen.x, pen.y] = at(event); line(pen.x, pen.y); mark(); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) { line(...at(event)); mark(); } });
  canvas.addEventListener("pointerup", show);
  canvas.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[event.key] || [0, 0];
    if (event.key === " ") pen.down = !pen.down;
    else if (!dx && !dy) return;
    event.preventDefault();
    const x = Math.min(canvas.width, Math.max(0, pen.x + dx)), y = Math.min(canvas.height, Math.max(0, pen.y + dy));
    if (pen.down) { line(x, y); show(); } else Object.assign(pen, { x, y });
    mark();
  });
  byId("pencolour").addEventListener("input", (event) => { pen.colour = event.target.value; });
  byId("penwidth").addEventListener("input", (event) => { pen.width = Number(event.target.value); });
  byId("padclear").addEventListener("click", () => { clear(); show(); });
  byId("draw").addEventListener("click", () => { byId("pad").showModal(); mark(); });
  clear();
}

// The camera: the network looks at a frame, answers, and takes the next one, until a frame is held or the window closed.
function buildCamera() {
  const dialog = byId("camera"), video = byId("video");
  let stream = null;
  const watch = () => {
    if (!stream) return;
    if (video.videoWidth) showPicture(pixelsOf(video, video.videoWidth, video.videoHeight), "a frame of the camera");
    setTimeout(watch, 50);
  };
  const stop = () => { stream?.getTracks().forEach((track) => track.stop()); stream = null; };
  byId("watch").addEventListener("click", async () => {
    warn("");
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      return warn(`There is no camera, or this page may not use it (${error.name || "not supported"}).`);
    }
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
    watch();
  });
  dialog.addEventListener("close", stop);
}

// ---- the start

buildPhotographs();
buildStrip();
listenToMaps();
listenToFiles();
buildPad();
buildCamera();
buildSandbox();
document.querySelectorAll("dialog .close").forEach((button) => button.addEventListener("click", () => button.closest("dialog").close()));
byId("source").addEventListener("toggle", (event) => { event.target.querySelector("pre").textContent = byId("engine").textContent; });
const firstPhotograph = document.querySelector("#photos img");
firstPhotograph.decode().then(() => {
  document.documentElement.classList.add("ready");
  buildEditor();
  showPicture(pixelsOf(firstPhotograph), network.photographs[0].name);
  milliseconds(12).then((shortest) => { byId("time").textContent = `The network takes ${shortest.toFixed(0)} ms in this browser.`; });
});
