# %% [markdown]
# # 0. The whole idea in one file
#
# **You need:** Python and a little NumPy. Nothing of minicnn is imported here, only its file of weights is read.
#
# **You leave with:** everything that the other lessons take apart, once and in small: tensors that remember where they come from,
# convolution with its backward pass, layers with hooks, a trained network, its filters, its maps, and images that its outputs ask for.
#
# This is a summary for those who like to see the whole first. If it goes too fast, begin with lesson 1, and come back at the end.
# Each section names the file in which the library does the same for real: with checks, speed, and all of PyTorch's rules.
#
# **Run time:** under a minute. **Files written:** `lessons/out/00_the_whole_idea_*.png` (3 figures).

# %%
import json
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are small: threads would wait for each other

import numpy as np
from matplotlib import cbook
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## A tensor remembers where it comes from
#
# A **tensor** is an array of numbers that remembers two things: the tensors it was computed from, and a function that sends a gradient
# back to them. (The **gradient** says for each number by how much the result rises if that number rises by a little, divided by that
# little.) Tensors and their links make a **graph**.
# `backward` walks the graph from the result to the beginning. It comes to a tensor when it has been to all that used it, and adds up the
# gradients that arrive. Where a tensor is used twice, two arrive.
#
# *In the library: `minicnn/_tensor.py`, `minicnn/autograd/graph.py`, `minicnn/autograd/engine.py`.*


# %%
class Tensor:
    """array: the numbers. sources: the tensors it was computed from. send_back: its gradient -> one for each source."""

    def __init__(self, array, sources=(), send_back=None):
        self.array = np.asarray(array, np.float32)
        self.sources, self.send_back = sources, send_back
        self.grad = None

    def backward(self):
        """Add to `grad` of every tensor behind this one the gradient of this one's sum."""
        order, met = [], set()

        def visit(tensor):
            if id(tensor) not in met:
                met.add(id(tensor))
                for source in tensor.sources:
                    visit(source)
                order.append(tensor)  # after all that it was computed from

        visit(self)
        self.grad = np.ones_like(self.array)
        for tensor in reversed(order):
            if tensor.send_back is not None:
                for source, grad in zip(tensor.sources, tensor.send_back(tensor.grad), strict=True):
                    source.grad = grad if source.grad is None else source.grad + grad


def multiply(a, b):
    return Tensor(a.array * b.array, (a, b), lambda grad: (grad * b.array, grad * a.array))


x = Tensor([1.0, 2.0, 3.0])
multiply(x, x).backward()
print(f"the gradient of x * x at {x.array} is {x.grad}")
assert x.grad.tolist() == [2, 4, 6]  # 2 x: two gradients arrived, x from each side

# %% [markdown]
# ## Convolution
#
# The **kernel**, a small grid of weights, lies on a patch of the image. Each weight is multiplied by the pixel under it. The output is
# the sum of all products, plus a number called the **bias**. Then the kernel moves on, by **stride** pixels at a time. **Padding** puts a
# border of zeros around the image first. Here are the loops that say so, and then the same sum for all patches at once.
# Shapes, here and everywhere: `N` images with `C` **channels** (planes, such as red, green and blue) of `H` x `W` pixels; `O` kernels of
# `KH` x `KW`; an output of `OH` x `OW`.
#
# *In the library: `minicnn/kernels/reference.py` (loops), `minicnn/kernels/fast/convolution.py`, `minicnn/ops/convolution.py`.*


# %%
def convolution_in_loops(x, weight, bias, stride=1, padding=0):
    """x (N, C, H, W), weight (O, C, KH, KW), bias (O,) -> (N, O, OH, OW): the definition."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    O, _, KH, KW = weight.shape
    OH, OW = (x.shape[2] - KH) // stride + 1, (x.shape[3] - KW) // stride + 1
    y = np.zeros((len(x), O, OH, OW), np.float32)
    for n, o, oh, ow in np.ndindex(y.shape):
        patch = x[n, :, oh * stride : oh * stride + KH, ow * stride : ow * stride + KW]
        y[n, o, oh, ow] = (patch * weight[o]).sum() + bias[o]
    return y


def conv2d(x, weight, bias, stride=1, padding=0):
    """The same, of tensors, all patches at once. Backward is two more sums of the same products."""
    p, (KH, KW) = padding, weight.array.shape[2:]
    padded = np.pad(x.array, ((0, 0), (0, 0), (p, p), (p, p)))
    patches = sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::stride, ::stride]  # (N, C, OH, OW, KH, KW)
    y = np.tensordot(patches, weight.array, ((1, 4, 5), (1, 2, 3))) + bias.array  # (N, OH, OW, O)
    OH, OW = y.shape[1:3]

    def send_back(grad):  # (N, O, OH, OW)
        to_padded = np.zeros_like(padded)
        for kh, kw in np.ndindex(KH, KW):  # every pixel gets back what it gave, through the same weight
            share = np.tensordot(grad, weight.array[:, :, kh, kw], ((1,), (0,))).transpose(0, 3, 1, 2)
            to_padded[:, :, kh : kh + stride * OH : stride, kw : kw + stride * OW : stride] += share
        to_weight = np.tensordot(grad, patches, ((0, 2, 3), (0, 2, 3)))  # every weight: what it was multiplied by
        H, W = x.array.shape[2:]
        return to_padded[:, :, p : p + H, p : p + W], to_weight, grad.sum((0, 2, 3))

    return Tensor(y.transpose(0, 3, 1, 2), (x, weight, bias), send_back)


rng = np.random.default_rng(0)
x, weight, bias = (Tensor(rng.standard_normal(shape)) for shape in [(2, 3, 7, 6), (4, 3, 3, 3), (4,)])
y = conv2d(x, weight, bias, stride=2, padding=1)
difference = np.abs(y.array - convolution_in_loops(x.array, weight.array, bias.array, stride=2, padding=1)).max()
print(f"convolution {x.array.shape} -> {y.array.shape}; all at once and in loops differ by {difference:.0e}")
assert difference < 1e-5

# Is the backward pass right? Move the image along some direction: the output must change by gradient times step. (A large step will do:
# the output is linear in the image.)
y.backward()
direction = rng.standard_normal(x.array.shape).astype(np.float32)
ahead, behind = (conv2d(Tensor(x.array + step * direction), weight, bias, 2, 1).array.sum() for step in (0.5, -0.5))
print(f"change along a direction: measured {ahead - behind:.4f}, by the gradient {(x.grad * direction).sum():.4f}")
assert np.isclose(ahead - behind, (x.grad * direction).sum(), rtol=1e-3)

# %% [markdown]
# ## What stands between the convolutions
#
# - **ReLU** keeps what is positive and makes the rest 0. The gradient passes where the value was above 0, and is 0 elsewhere.
# - **Max-pooling** keeps the largest value of each window, and the gradient goes to where it stood.
# - **The average** of a map is one number for "how much of it is there".
# - **Linear** weighs these numbers and adds up: one score for each class, called its **logit**.
#
# *In the library: `minicnn/ops/activation.py`, `minicnn/ops/pooling.py`, `minicnn/ops/linear.py`.*


# %%
def relu(x):
    return Tensor(np.maximum(x.array, 0), (x,), lambda grad: (grad * (x.array > 0),))


def max_pool2d(x, kernel_size, stride, padding):
    """(N, C, H, W) -> (N, C, OH, OW): the largest of each window, the first one if there are several."""
    k, p = kernel_size, padding
    padded = np.pad(x.array, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=-np.inf)
    windows = sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::stride, ::stride]
    windows = windows.reshape(*windows.shape[:4], k * k)
    which = windows.argmax(-1)  # (N, C, OH, OW), the place in the window

    def send_back(grad):
        to_padded = np.zeros_like(padded)
        n, c, oh, ow = np.indices(grad.shape, sparse=True)
        np.add.at(to_padded, (n, c, oh * stride + which // k, ow * stride + which % k), grad)
        return (to_padded[:, :, p : p + x.array.shape[2], p : p + x.array.shape[3]],)

    return Tensor(np.take_along_axis(windows, which[..., None], -1)[..., 0], (x,), send_back)


def average(x):
    """(N, C, H, W) -> (N, C)"""
    shape = x.array.shape
    spread = lambda grad: (np.broadcast_to(grad[:, :, None, None] / (shape[2] * shape[3]), shape),)  # noqa: E731
    return Tensor(x.array.mean((2, 3)), (x,), spread)


def linear(x, weight, bias):
    """(N, C), weight (O, C), bias (O,) -> (N, O)"""
    back = lambda grad: (grad @ weight.array, grad.T @ x.array, grad.sum(0))  # noqa: E731
    return Tensor(x.array @ weight.array.T + bias.array, (x, weight, bias), back)


# %% [markdown]
# ## A layer, and a hook on it
#
# A layer is a function together with its weights. When it is called, it computes, and then it shows the result to whoever has asked: a
# **forward hook** is nothing but a function in a list. With hooks we look into a network without changing it.
#
# *In the library: `minicnn/nn/modules/module.py`, `minicnn/utils/hooks.py`.*


# %%
class Layer:
    def __init__(self, function, *weights, **settings):
        self.function, self.weights, self.settings = function, [Tensor(w) for w in weights], settings
        self.forward_hooks = []

    def __call__(self, x):
        y = self.function(x, *self.weights, **self.settings)
        for hook in self.forward_hooks:
            hook(self, x, y)
        return y


class Network:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


# %% [markdown]
# ## A trained network, out of its file
#
# The file begins with the length of its header. Then comes the header (JSON: the name, type, shape and place of each array), and then
# come the numbers. It can hold nothing else. Other files of weights hold a **pickle**, and whoever unpickles a stranger's file runs what
# the stranger wrote into it. The network has five convolutions. It was trained on 100,000 small photographs of 200 classes.
#
# *In the library: `minicnn/serialization/`, `minicnn/models/tinynet.py`.*


# %%
def read_weights(path):
    """A .safetensors file of float32 arrays -> ({name: array}, what the file says about itself)."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    about = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(data[start + begin : start + end], "<f4").reshape(entry["shape"])
    return arrays, about


def load_network(path):
    w, about = read_weights(path)
    convolution = lambda i, **settings: Layer(conv2d, w[f"features.{i}.weight"], w[f"features.{i}.bias"], **settings)  # noqa: E731
    pool = dict(kernel_size=3, stride=2, padding=1)
    layers = [convolution(0, stride=2, padding=3), Layer(relu), Layer(max_pool2d, **pool)]
    layers += [convolution(3, padding=2), Layer(relu), Layer(max_pool2d, **pool)]
    layers += [convolution(6, padding=1), Layer(relu), convolution(8, padding=1), Layer(relu)]
    layers += [convolution(10, padding=1), Layer(relu)]
    layers += [Layer(average), Layer(linear, w["classifier.weight"], w["classifier.bias"])]
    return Network(layers), json.loads(about["categories"])


network, classes = load_network(here.parent / "weights" / "tinynet_standard.safetensors")
count = sum(w.array.size for layer in network.layers for w in layer.weights)
print(f"{len(network.layers)} layers, {count:,} weights, {len(classes)} classes")

# %% [markdown]
# ## Its first layer is a set of pictures
#
# A **filter** is all kernels that make one output channel. Of the first layer it has 3 x 7 x 7 weights: one for each colour at each
# place. So it is a small colour picture of what it answers to. Nobody drew the edges, gratings and colour blobs: training found them.
#
# *In the library: `minicnn/viz/filters.py`, and lesson 2.*

# %%
filters = network.layers[0].weights[0].array  # (64, 3, 7, 7)
figure = Figure(figsize=(7, 7), layout="constrained")
for ax, kernel in zip(figure.subplots(8, 8).flat, filters, strict=True):
    ax.imshow(0.5 + 0.5 * kernel.transpose(1, 2, 0) / np.abs(kernel).max())  # 0 is grey
    ax.set_axis_off()
figure.suptitle("The 64 filters of the first layer, 7 x 7; each scaled by its own largest weight, 0 is grey")
figure.savefig(out / "00_the_whole_idea_filters.png", dpi=110)
figure

# %% [markdown]
# ## An answer, and the maps on the way to it
#
# The photograph is cut and shrunk to 64 x 64, and each colour is shifted and scaled as it was in training. A hook keeps what comes out of
# three ReLUs. Each picture is a **feature map**: where in the photograph one filter answers, and how strongly.
# The percentages are made of the logits: `exp` of each, divided by the sum of all. That is called **softmax**.
#
# *In the library: `minicnn/viz/image.py`, `minicnn/viz/network.py`, `minicnn/viz/feature_maps.py`, and lesson 4.*

# %%
MEAN, STD = (np.array(v, np.float32)[:, None, None] for v in [(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])


def prepare(picture, size=64):
    """A PIL image -> Tensor (1, 3, size, size): the middle of it, normalised."""
    scale = max(size / picture.width, size / picture.height)
    width, height = (max(size, round(scale * side)) for side in picture.size)
    small = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    top, left = (height - size) // 2, (width - size) // 2
    pixels = small[top : top + size, left : left + size].transpose(2, 0, 1) / np.float32(255)
    return Tensor((pixels - MEAN)[None] / STD)


with cbook.get_sample_data("grace_hopper.jpg") as file:
    photo = Image.open(os.environ.get("LESSON_PHOTO", file)).convert("RGB")
x = prepare(photo)

maps = {}
for place in (1, 4, 11):
    network.layers[place].forward_hooks.append(lambda layer, x, y, place=place: maps.update({place: y.array[0]}))
logits = network(x)
for layer in network.layers:
    layer.forward_hooks.clear()  # a hook that is forgotten goes on keeping maps

odds = np.exp(logits.array[0] - logits.array[0].max())
for k in np.argsort(-odds)[:3]:
    print(f"  {odds[k] / odds.sum():6.1%}  {classes[k]}")
assert [maps[place].shape for place in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]

figure = Figure(figsize=(8, 4.4), layout="constrained")
for row, place in zip(figure.subplots(3, 7), maps, strict=True):
    row[0].imshow(np.clip(x.array[0] * STD + MEAN, 0, 1).transpose(1, 2, 0))
    for ax, c in zip(row[1:], np.argsort(-maps[place].max((1, 2))), strict=False):  # the maps that answer most
        ax.imshow(maps[place][c], cmap="gray", vmin=0)
        ax.set_title(f"layer {place}, map {c}", fontsize=7)
    for ax in row:
        ax.set_axis_off()
figure.suptitle("Maps of three ReLUs, those with the largest answers; black is 0, each scaled by its own largest")
figure.savefig(out / "00_the_whole_idea_maps.png", dpi=110)
figure

# %% [markdown]
# ## What does an output ask for?
#
# Now the weights are held fixed, and the *image* is optimised. Start from grey noise, compute a class's logit, send its gradient back to
# the pixels, and move them a little uphill, 100 times, by Adam's rule. The network here is the **robust twin**. In its training the images
# were changed a little, against it, and so its gradients follow what people see. The other network's are speckle: lesson 5 starts there.
#
# *In the library: `minicnn/viz/maximize.py`, `minicnn/optim/adam.py`, and lessons 5, 12 and 13.*


# %%
def ascend(network, wanted, steps=100, rate=0.01, size=64):
    """One image for each wanted class: pixels (N, 3, size, size) in [0, 1], and the logits before and after, (N,)."""
    rng = np.random.default_rng(0)
    pixels = (0.5 + 0.05 * rng.standard_normal((len(wanted), 3, size, size))).clip(0, 1).astype(np.float32)
    mean, square = np.zeros_like(pixels), np.zeros_like(pixels)
    chosen = np.eye(len(classes), dtype=np.float32)[wanted]  # (N, classes): 1 where it counts
    scores = []
    for step in range(1, steps + 1):
        x = Tensor((pixels - MEAN) / STD)
        picked = multiply(network(x), Tensor(chosen))
        picked.backward()
        scores.append(picked.array.sum(1))
        grad = x.grad / STD  # with respect to the pixels
        mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
        uphill = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        pixels = (pixels + rate * uphill).clip(0, 1)
    return pixels, scores[0], scores[-1]


robust, _ = load_network(here.parent / "weights" / "tinynet_robust.safetensors")
names = ["king penguin", "lighthouse", "ladybug", "pizza"]
images, start, end = ascend(robust, [classes.index(name) for name in names])

figure = Figure(figsize=(8, 2.6), layout="constrained")
for ax, name, pixels, before, after in zip(figure.subplots(1, 4), names, images, start, end, strict=True):
    print(f"{name}: logit {before:.1f} -> {after:.1f}")
    assert after > before + 5
    ax.imshow(pixels.transpose(1, 2, 0))
    ax.set_title(f"{name}\n{before:.1f} → {after:.1f}", fontsize=9)
    ax.set_axis_off()
figure.suptitle("Images that raise a class's logit, from grey noise, and the logit before → after", fontsize=10)
figure.savefig(out / "00_the_whole_idea_images.png", dpi=110)
figure

# %% [markdown]
# That is all. What the library adds is in the files that were named. Read them in the order of `READING.md`.
#
# ## Exercises
#
# Put your answer in the place of the three dots; the check gives a hint. Solutions: `lessons/solutions/00_the_whole_idea.py`.
#
# **1.** `multiply(multiply(t, t), t)` is the cube of `t`. Which number stands in `t.grad` after `backward`, for `t = 2`?

# %%
from lessons.exercises import check

answer = ...
t = Tensor([2.0])
multiply(multiply(t, t), t).backward()
check(1, answer, t.grad[0], "t is used three times; each use sends a gradient, the product of the two other factors.")

# %% [markdown]
# **2.** What is the gradient of `relu(t)` at -1, 0 and 2, if a gradient of 5 arrives at each?

# %%
answer = ...  # three numbers: [_, _, _]
gradient = relu(Tensor([-1.0, 0.0, 2.0])).send_back(np.array([5.0, 5.0, 5.0]))[0]
check(2, answer, gradient, "The gradient passes where the value was larger than 0. At 0 itself it was not.")

# %%
print("Next lesson: lessons/01_a_network_from_outside.py")
