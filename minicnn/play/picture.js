"use strict";
// How a picture enters: made as small as the network wants it, cut to a square, and its colours shifted and scaled as they were in training.
// The numbers are those of minicnn's `viz.preprocess`, which makes pictures smaller by Pillow's bilinear filter.

// One line of pixels made longer or shorter. Each new pixel is an average of the old ones around its place, those further away counting less;
// if the line becomes shorter, the average reaches so far that no old pixel is missed. Returns for each new pixel [first old one, weights].
function averages(from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const middle = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const last = Math.min(from, Math.floor(middle + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, k) => Math.max(0, 1 - Math.abs((first + k + 0.5 - middle) / reach)));
    const sum = weights.reduce((a, b) => a + b, 0);
    return [first, weights.map((weight) => weight / sum)];
  });
}

// RGBA pixels { width, height, data } with another width, and turned over: rows become columns. Twice, and both sides are new.
function resizedAndTurned({ width, height, data }, newWidth) {
  const out = { width: height, height: newWidth, data: new Uint8ClampedArray(4 * height * newWidth) };
  averages(width, newWidth).forEach(([first, weights], x) => {
    for (let y = 0; y < height; y++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) sum += weights[k] * data[4 * (y * width + first + k) + channel];
        out.data[4 * (x * height + y) + channel] = Math.floor(sum + 0.5);
      }
      out.data[4 * (x * height + y) + 3] = 255;
    }
  });
  return out;
}

// The middle square of a picture, `side` x `side` pixels.
function fit(picture, side) {
  const scale = Math.max(side / picture.height, side / picture.width);
  const width = Math.max(side, Math.round(scale * picture.width));
  const height = Math.max(side, Math.round(scale * picture.height));
  const small = width === picture.width && height === picture.height ? picture : resizedAndTurned(resizedAndTurned(picture, width), height);
  const left = Math.floor((width - side) / 2);
  const top = Math.floor((height - side) / 2);
  const square = new ImageData(side, side);
  for (let y = 0; y < side; y++)
    square.data.set(small.data.subarray(4 * ((top + y) * width + left), 4 * ((top + y) * width + left + side)), 4 * y * side);
  return square;
}

// Pixels as the network's input, three maps: (value / 255 - mean) / std for red, green and blue.
function normalized({ width, height, data }, mean, std) {
  const input = maps(3, height, width);
  const size = width * height;
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < size; i++) input.data[c * size + i] = (data[4 * i + c] / 255 - mean[c]) / std[c];
  }
  return input;
}

// The pixels of anything that a canvas can draw: an image, a frame of a video, another canvas. Transparent parts lie on white.
function pixelsOf(source, width = source.naturalWidth || source.width, height = source.naturalHeight || source.height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
