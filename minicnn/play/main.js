"use strict";
// The page begins here: the weights are unpacked, and what changes is computed anew.

const network = JSON.parse(byId("network").textContent);
const decoded = Uint8Array.from(atob(byId("weights").textContent.trim()), (letter) => letter.charCodeAt(0));
unpack(network.layers, network.bits, decoded);

// ---- computing

// After a change in layer `from` (0: a kernel, or the picture) that layer and all behind it are computed anew. Changes that come faster than
// the network answers are taken together.
let pending = null;
function compute(from) {
  if (pending === null)
    requestAnimationFrame(() => {
      const first = pending;
      pending = null;
      computeNow(first);
    });
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
  const first = !state.outputs.length;
  const weight = firstLayer().weight;
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

// An address that ends in #features.8:12 opens the page at that map. The atlas links so.
function openAddress() {
  let address = location.hash.slice(1);
  try {
    address = decodeURIComponent(address);
  } catch {
    return; // not an address of ours
  }
  const [, name, map] = address.match(/^(.+):(\d+)$/) ?? [];
  const index = network.layers.findIndex((layer) => layer.name === name);
  if (index < 0 || map >= outputAt(index).shape[0]) return;
  showLayer(index, { map: Number(map) });
  byId("layers").scrollIntoView();
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

// ---- the start

buildPhotographs();
buildStrip();
listenToMaps();
listenToFiles();
buildPad();
buildCamera();
buildSandbox();
document.querySelectorAll("dialog .close").forEach((button) => button.addEventListener("click", () => button.closest("dialog").close()));
byId("source").addEventListener("toggle", (event) => {
  event.target.querySelector("pre").textContent = byId("engine").textContent;
});
const firstPhotograph = document.querySelector("#photos img");
firstPhotograph.decode().then(() => {
  buildEditor();
  showPicture(pixelsOf(firstPhotograph), network.photographs[0].name);
  openAddress();
  addEventListener("hashchange", openAddress);
  milliseconds(12).then((shortest) => {
    byId("time").textContent = `The network takes ${shortest.toFixed(0)} ms in this browser.`;
  });
});
