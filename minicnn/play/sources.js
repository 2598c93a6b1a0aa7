"use strict";
// Where a picture comes from: the photographs in this page, a file, a drawing, the camera.

function buildPhotographs() {
  byId("photos").append(
    ...network.photographs.map(({ name, source }) => {
      const image = make("img", { src: source, alt: "", width: network.side, height: network.side });
      return make(
        "button",
        { type: "button", title: name, "aria-label": name, "aria-pressed": "false", onclick: () => showPicture(pixelsOf(image), name) },
        image,
      );
    }),
  );
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
  byId("file").addEventListener("change", (event) => {
    warn("");
    if (event.target.files[0]) openFile(event.target.files[0]);
    event.target.value = "";
  });
  byId("open").addEventListener("click", () => byId("file").click());
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
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
  const canvas = byId("padcanvas");
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    [pen.x, pen.y] = placeOnPad(event);
    drawTo(pen.x, pen.y);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) drawTo(...placeOnPad(event));
  });
  canvas.addEventListener("pointerup", showDrawing);
  canvas.addEventListener("keydown", movePen);
  byId("pencolour").addEventListener("input", (event) => (pen.colour = event.target.value));
  byId("penwidth").addEventListener("input", (event) => (pen.width = Number(event.target.value)));
  byId("padclear").addEventListener("click", () => {
    clearPad();
    showDrawing();
  });
  byId("draw").addEventListener("click", () => {
    byId("pad").showModal();
    markPen();
  });
  clearPad();
}

const padContext = () => byId("padcanvas").getContext("2d", { willReadFrequently: true });

function clearPad() {
  const context = padContext();
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

function showDrawing() {
  const context = padContext();
  showPicture(context.getImageData(0, 0, context.canvas.width, context.canvas.height), "your drawing");
}

function placeOnPad(event) {
  const { width, height } = byId("padcanvas");
  const box = byId("padcanvas").getBoundingClientRect();
  return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
}

function drawTo(x, y) {
  const context = padContext();
  Object.assign(context, { strokeStyle: pen.colour, lineWidth: pen.width, lineCap: "round" });
  context.beginPath();
  context.moveTo(pen.x, pen.y);
  context.lineTo(x, y);
  context.stroke();
  Object.assign(pen, { x, y });
  markPen();
}

function markPen() {
  const { width, height } = byId("padcanvas");
  Object.assign(byId("pen").style, { left: `${(100 * pen.x) / width}%`, top: `${(100 * pen.y) / height}%` });
  byId("pen").classList.toggle("down", pen.down);
}

function movePen(event) {
  const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8], " ": [0, 0] }[event.key];
  if (!step) return;
  event.preventDefault();
  if (event.key === " ") pen.down = !pen.down;
  const { width, height } = byId("padcanvas");
  const x = Math.min(width, Math.max(0, pen.x + step[0]));
  const y = Math.min(height, Math.max(0, pen.y + step[1]));
  if (pen.down) {
    drawTo(x, y);
    showDrawing();
  } else Object.assign(pen, { x, y });
  markPen();
}

// The camera: the network looks at a frame, answers, and takes the next one, until a frame is held or the window closed.
function buildCamera() {
  const dialog = byId("camera");
  const video = byId("video");
  let stream = null;
  const watch = () => {
    if (!stream) return;
    if (video.videoWidth) showPicture(pixelsOf(video, video.videoWidth, video.videoHeight), "a frame of the camera");
    setTimeout(watch, 50);
  };
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
  };
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
