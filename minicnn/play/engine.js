"use strict";
// A convolutional network, from a picture to an answer. Each function below is one kind of layer; `forward`, at the end, calls them one after
// the other. The names are PyTorch's. Nothing here draws, and nothing needs another file: read it from the top to the bottom.
//
// What goes from layer to layer is a stack of maps: { shape: [C, H, W], data }. There are C maps (the channels) of H rows and W columns, and
// `data` is one long row of numbers: all of map 0, row by row, then all of map 1 ... The number at (c, y, x) is data[(c * H + y) * W + x].
//
// Where is the batch norm that most networks have? This one was trained with it, and it is folded in: a batch norm takes each map times a
// number plus a number, and a convolution with other weights and another bias does the same. So there is none left to compute.

const maps = (C, H, W, data = new Float32Array(C * H * W)) => ({ shape: [C, H, W], data });

// How many places a window finds along an axis of `size` pixels. `padding` zeros stand at either end; the window's cells are `dilation` pixels
// apart, so it covers dilation * (kernel - 1) + 1 pixels; it moves on by `stride` pixels.
function outputSize(size, { kernel, stride = 1, padding = 0, dilation = 1 }) {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

// Which pixels of its input a window reads along an axis at output place `place`: `kernel` of them. In the padding they are below 0 or
// beyond the last.
function reads(place, { kernel, stride = 1, padding = 0, dilation = 1 }) {
  return Array.from({ length: kernel }, (_, i) => place * stride - padding + i * dilation);
}

// ---- convolution -------------------------------------------------------------------------------------------------------------------------

// The definition. A filter is a small stack of numbers (C, kernel, kernel), one for each pixel of each channel under it. Lay it on a patch of
// the input, multiply what lies on each other, add up all products and the filter's bias: that is one pixel of the filter's map. The patch is
// then moved by the stride. There are as many maps as filters. layer.weight is (outputs, C, kernel, kernel).
function conv2dByDefinition(input, layer) {
  const [C, H, W] = input.shape;
  const { kernel, outputs, weight, bias } = layer;
  const output = maps(outputs, outputSize(H, layer), outputSize(W, layer));
  const [, OH, OW] = output.shape;
  for (let o = 0; o < outputs; o++) {
    for (let oh = 0; oh < OH; oh++) {
      for (let ow = 0; ow < OW; ow++) {
        const rows = reads(oh, layer);
        const columns = reads(ow, layer);
        let total = 0;
        for (let c = 0; c < C; c++) {
          for (let i = 0; i < kernel; i++) {
            for (let j = 0; j < kernel; j++) {
              const h = rows[i];
              const w = columns[j];
              const inside = h >= 0 && h < H && w >= 0 && w < W;
              if (inside) total += weight[((o * C + c) * kernel + i) * kernel + j] * input.data[(c * H + h) * W + w];
            }
          }
        }
        output.data[(o * OH + oh) * OW + ow] = total + bias[o];
      }
    }
  }
  return output;
}

// The same numbers, much faster: first every patch is copied out as a row of numbers, then each filter, which is such a row too, is
// multiplied with each patch.
function conv2d(input, layer) {
  const [, H, W] = input.shape;
  const output = maps(layer.outputs, outputSize(H, layer), outputSize(W, layer));
  const [, OH, OW] = output.shape;
  multiply(layer.weight, patches(input, layer), layer.bias, layer.outputs, OH * OW, output.data);
  return output;
}

// Row p holds what lies under the window at output place p, in the order of a filter's weights; 0 for the padding.
function patches({ shape: [C, H, W], data }, layer) {
  const OH = outputSize(H, layer);
  const OW = outputSize(W, layer);
  const k = layer.kernel;
  const rows = Array.from({ length: OH }, (_, oh) => reads(oh, layer));
  const columns = Array.from({ length: OW }, (_, ow) => reads(ow, layer));
  const out = new Float32Array(OH * OW * C * k * k);
  let at = 0;
  for (let oh = 0; oh < OH; oh++) {
    for (let ow = 0; ow < OW; ow++) {
      for (let c = 0; c < C; c++) {
        for (let i = 0; i < k; i++) {
          const h = rows[oh][i];
          const start = (c * H + h) * W;
          for (let j = 0; j < k; j++, at++) {
            const w = columns[ow][j];
            if (h >= 0 && h < H && w >= 0 && w < W) out[at] = data[start + w];
          }
        }
      }
    }
  }
  return out;
}

// output[o, p] = bias[o] + the products of filter o and patch p, added up. Two filters and two patches at a time: then each number that is
// fetched from memory is used twice, and the processor waits for half as many. (`p + 1 < P ? ... : p`: an odd one out is computed twice.)
function multiply(filters, patches, bias, O, P, output) {
  const K = filters.length / O;
  for (let o = 0; o < O; o += 2) {
    const next = o + 1 < O ? o + 1 : o;
    const f = o * K;
    const g = next * K;
    for (let p = 0; p < P; p += 2) {
      const beside = p + 1 < P ? p + 1 : p;
      const a = p * K;
      const b = beside * K;
      let fa = 0;
      let fb = 0;
      let ga = 0;
      let gb = 0;
      for (let k = 0; k < K; k++) {
        const wf = filters[f + k];
        const wg = filters[g + k];
        const xa = patches[a + k];
        const xb = patches[b + k];
        fa += wf * xa;
        fb += wf * xb;
        ga += wg * xa;
        gb += wg * xb;
      }
      output[o * P + p] = fa + bias[o];
      output[o * P + beside] = fb + bias[o];
      output[next * P + p] = ga + bias[next];
      output[next * P + beside] = gb + bias[next];
    }
  }
}

// ---- the other layers --------------------------------------------------------------------------------------------------------------------

// What is negative becomes 0. Without something that is no straight line between them, two convolutions could do no more than one.
function relu({ shape, data }) {
  return { shape, data: data.map((value) => Math.max(0, value)) };
}

// The largest number under each window: the maps become smaller, and it no longer matters much where exactly something was found.
function maxPool2d({ shape: [C, H, W], data }, layer) {
  const output = maps(C, outputSize(H, layer), outputSize(W, layer));
  const [, OH, OW] = output.shape;
  const { kernel, stride, padding } = layer;
  for (let c = 0; c < C; c++) {
    for (let oh = 0; oh < OH; oh++) {
      for (let ow = 0; ow < OW; ow++) {
        const top = oh * stride - padding;
        const left = ow * stride - padding;
        let largest = -Infinity;
        for (let h = Math.max(0, top); h < Math.min(H, top + kernel); h++) {
          // what lies in the padding is left out: it never wins
          for (let w = Math.max(0, left); w < Math.min(W, left + kernel); w++) largest = Math.max(largest, data[(c * H + h) * W + w]);
        }
        output.data[(c * OH + oh) * OW + ow] = largest;
      }
    }
  }
  return output;
}

// One number for each map, its average: how much of it is there, wherever it is.
function averagePool({ shape: [C, H, W], data }) {
  const output = maps(C, 1, 1);
  for (let c = 0; c < C; c++) output.data[c] = data.subarray(c * H * W, (c + 1) * H * W).reduce((sum, value) => sum + value, 0) / (H * W);
  return output;
}

// Each output is all inputs, each times a weight of its own, added up, plus a bias: a convolution whose window is the whole input.
// layer.weight is (outputs, inputs).
function linear({ data }, { weight, bias, outputs }) {
  const output = maps(outputs, 1, 1);
  multiply(weight, data, bias, outputs, 1, output.data);
  return output;
}

// Logits as probabilities: all positive, and 1 together. The largest is taken off first, which changes nothing in the quotient but keeps the
// powers from growing beyond what a number can hold.
function softmax(logits) {
  const top = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

// ---- the network -------------------------------------------------------------------------------------------------------------------------

const LAYERS = { conv: conv2d, relu, pool: maxPool2d, average: averagePool, linear };

// All layers, one after the other; the list of what each returned, the last of which are the logits.
//   off[i]    a Set of the channels of layer i that are switched off: their maps are replaced by zeros
//   from      the first layer that is computed; what those before it returned is taken from `before`, an earlier list
function forward(network, input, { off = [], from = 0, before = [] } = {}) {
  const outputs = before.slice(0, from);
  for (let i = from; i < network.layers.length; i++) {
    const layer = network.layers[i];
    const output = LAYERS[layer.kind](i ? outputs[i - 1] : input, layer);
    outputs.push(off[i]?.size ? withoutChannels(output, off[i]) : output);
  }
  return outputs;
}

function withoutChannels({ shape, data }, channels) {
  const left = data.slice();
  const size = shape[1] * shape[2];
  for (const c of channels) left.fill(0, c * size, (c + 1) * size);
  return { shape, data: left };
}

// ---- one number, taken apart -------------------------------------------------------------------------------------------------------------

// Pixel (y, x) of map o of a convolution as the sum that it is, the numbers of minicnn's `explain_pixel`: for each input channel the patch under
// the kernel, the kernel, their products and the subtotal. inside: false where the patch lies on the padding.
function explainPixel(layer, { shape: [C, H, W], data }, o, y, x) {
  const k = layer.kernel;
  const rows = reads(y, layer);
  const columns = reads(x, layer);
  const places = rows.flatMap((h) => columns.map((w) => (h >= 0 && h < H && w >= 0 && w < W ? h * W + w : -1)));
  const channels = Array.from({ length: C }, (_, c) => {
    const patch = places.map((place) => (place < 0 ? 0 : data[c * H * W + place]));
    const kernel = Array.from(layer.weight.subarray((o * C + c) * k * k, (o * C + c + 1) * k * k));
    const products = patch.map((value, i) => value * kernel[i]);
    return { patch, kernel, products, subtotal: products.reduce((a, b) => a + b, 0) };
  });
  const sum = channels.reduce((total, channel) => total + channel.subtotal, 0);
  return { rows, columns, inside: places.map((place) => place >= 0), channels, sum, bias: layer.bias[o], value: sum + layer.bias[o] };
}

// ---- the weights in this file ------------------------------------------------------------------------------------------------------------

// Weights are stored as whole numbers of 8 or 16 bits: weight = factor * whole number, with a factor for each filter. `bytes` holds the factors
// and biases of all layers as 32-bit floats, then all whole numbers.
function unpack(layers, bits, bytes) {
  const weighted = layers.filter(({ kind }) => kind === "conv" || kind === "linear");
  const floats = new Float32Array(bytes.buffer, 0, 2 * weighted.reduce((sum, { outputs }) => sum + outputs, 0));
  const whole = new (bits === 8 ? Int8Array : Int16Array)(bytes.buffer, floats.byteLength);
  let at = 0;
  let from = 0;
  for (const layer of weighted) {
    const { inputs, outputs, kernel = 1 } = layer;
    const each = inputs * kernel * kernel;
    const factors = floats.subarray(at, at + outputs);
    layer.bias = floats.slice(at + outputs, at + 2 * outputs);
    layer.weight = Float32Array.from(whole.subarray(from, from + outputs * each), (number, i) => number * factors[Math.floor(i / each)]);
    at += 2 * outputs;
    from += outputs * each;
  }
}
