# %% [markdown]
# # 3. Convolution by hand
#
# **You need:** loops in Python, and the chain rule for one product: if `p = a * b`, then `dp/da = b` and `dp/db = a`.
#
# **You leave with:** convolution and max-pooling, forward and backward, in plain loops, with the same numbers as the library; a
# gradient checked by finite differences; a breakpoint inside the backward pass of a convolution.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/03_convolution_by_hand_*.png` (3 figures).

# %%
import inspect
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import minicnn
from minicnn.autograd.gradcheck import gradcheck
from minicnn.kernels import reference
from minicnn.nn import functional as F
from minicnn.ops.convolution import Convolution

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## One output pixel is a sum of products
#
# You have seen filters as pictures. What does a network do with them? Lay the **kernel**, a small grid of weights, over a patch of the
# image. Multiply each weight by the pixel under it, and add the products up. That is one pixel of the output. Move the kernel one pixel
# to the right, and do it again. (If there are several input channels, each has a kernel of its own, and all products of all channels are
# added up. A bias is added at the end.)

# %%
image = np.array(
    [
        [0, 0, 0, 3, 3, 3],
        [0, 0, 0, 3, 3, 3],
        [0, 0, 1, 3, 3, 3],
        [0, 1, 2, 3, 3, 3],
        [1, 2, 3, 3, 3, 3],
        [2, 3, 3, 3, 3, 3],
    ],
    dtype=float,
)
kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=float)  # answers where it gets brighter to the right

y, x = 1, 2  # the output pixel that we want
patch = image[y : y + 3, x : x + 3]
products = kernel * patch
print(f"the output pixel ({y}, {x}) is the sum of {products.astype(int).tolist()}: {products.sum():.0f}")

edges = F.conv2d(minicnn.tensor(image[None, None]), minicnn.tensor(kernel[None, None]))[0, 0].numpy()
print(f"the library says {edges[y, x]:.0f}")
assert edges[y, x] == products.sum()


# %%
def draw(ax, array, title, frames=()):
    """The numbers of a small array in their cells; a frame is (row, column, height, width) in cells."""
    top = max(abs(array.min()), abs(array.max()), 1)
    ax.imshow(array, cmap="RdBu_r", vmin=-1.6 * top, vmax=1.6 * top)  # blue is negative, white zero, red positive
    for (row, column), value in np.ndenumerate(array):
        ax.text(column, row, f"{value + 0:g}", ha="center", va="center", fontsize=11)
    height, width = array.shape
    ax.set_xticks(np.arange(width) - 0.5, minor=True)
    ax.set_yticks(np.arange(height) - 0.5, minor=True)
    ax.grid(which="minor", color="#cccccc", linewidth=0.7)
    ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    for row, column, rows, columns in frames:
        corner = column - 0.5, row - 0.5
        ax.add_patch(
            Rectangle(corner, columns, rows, fill=False, edgecolor="black", linewidth=2.5, clip_on=False, zorder=5)
        )
    ax.set_title(title, fontsize=10)


figure = Figure(figsize=(11, 4), layout="constrained")
axes = figure.subplots(1, 4, width_ratios=[6, 3, 3, 4])
draw(axes[0], image, "image, and the patch\nunder the kernel", [(y, x, 3, 3)])
draw(axes[1], kernel, "kernel")
draw(axes[2], products, f"products\ntheir sum: {products.sum():.0f}")
draw(axes[3], edges, "output: the sum at\nevery position", [(y, x, 1, 1)])
figure.suptitle(
    "Convolution: multiply, add up, move on. This kernel answers where the image gets brighter to the right."
)
figure.savefig(out / "03_convolution_by_hand_forward.png", dpi=120)
figure

# %% [markdown]
# (Mathematicians turn the kernel by 180 degrees first, and call what we did a cross-correlation. Every deep-learning
# library does it as we did.)
#
# ## All of it, in one list of products
#
# A real layer has several images in a batch, several input channels, several filters. And it has three settings:
#
# - **stride**: by how many pixels the kernel moves from one position to the next;
# - **padding**: how wide a border of zeros is put around the image first;
# - **dilation**: how far apart the places of the kernel are. With 2, a pixel is left out between two of them.
#
# All of that only changes *which* weight meets *which* pixel. So we write that down once, as a list of index tuples. The letters are
# `N` images, `C` input channels, `H` x `W` pixels; `O` filters with kernels of `KH` x `KW`; output of `OH` x `OW`.


# %%
def output_size(size, kernel, stride, padding, dilation):
    """The number of positions at which a kernel fits into a line of `size` pixels."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def meetings(image_shape, weight_shape, stride, padding, dilation):
    """Each (output index, weight index, pixel index) of which the convolution takes a product."""
    N, C, H, W = image_shape
    O, C, KH, KW = weight_shape
    OH = output_size(H, KH, stride, padding, dilation)
    OW = output_size(W, KW, stride, padding, dilation)
    for n, o, y, x in np.ndindex(N, O, OH, OW):
        for c, i, j in np.ndindex(C, KH, KW):
            row = y * stride + i * dilation - padding
            column = x * stride + j * dilation - padding
            if 0 <= row < H and 0 <= column < W:  # outside of the image there are only zeros
                yield (n, o, y, x), (o, c, i, j), (n, c, row, column)


def conv2d(image, weight, bias, stride=1, padding=0, dilation=1):
    """image (N, C, H, W), weight (O, C, KH, KW), bias (O,) -> (N, O, OH, OW)"""
    N, _, H, W = image.shape
    O, _, KH, KW = weight.shape
    OH = output_size(H, KH, stride, padding, dilation)
    OW = output_size(W, KW, stride, padding, dilation)
    output = np.zeros((N, O, OH, OW)) + bias[:, None, None]
    for to, w, pixel in meetings(image.shape, weight.shape, stride, padding, dilation):
        output[to] += weight[w] * image[pixel]
    return output


# %% [markdown]
# ## The backward pass is the same list
#
# What is it for? Training makes one number small, the **loss**, which says how wrong the answers are. For each weight it needs the
# **gradient**: by how much the loss rises if that weight rises by a little, divided by that little. The **backward pass** computes all
# gradients at once, from the last layer to the first.
#
# At our layer it arrives as `grad`: for each output pixel, the gradient of the loss. The forward pass did `output += weight * pixel`. So
# by the chain rule each product sends two messages back: `grad * pixel` to its weight, and `grad * weight` to its pixel. Messages to
# the same place are added.


# %%
def conv2d_backward(grad, image, weight, stride=1, padding=0, dilation=1):
    """grad (N, O, OH, OW) -> the gradients of image, weight and bias, each in the shape of what it belongs to"""
    grad_image, grad_weight = np.zeros_like(image), np.zeros_like(weight)
    for to, w, pixel in meetings(image.shape, weight.shape, stride, padding, dilation):
        grad_weight[w] += grad[to] * image[pixel]
        grad_image[pixel] += grad[to] * weight[w]
    return grad_image, grad_weight, grad.sum(axis=(0, 2, 3))


rng = np.random.default_rng(0)
image4 = rng.standard_normal((2, 3, 9, 8))  # two images, three channels
weight = rng.standard_normal((4, 3, 3, 3))  # four filters
bias = rng.standard_normal(4)

print("largest difference between our loops and the library:")
for stride, padding, dilation in [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 2, 2)]:
    leaves = [minicnn.tensor(array, requires_grad=True) for array in (image4, weight, bias)]
    library = F.conv2d(*leaves, stride=stride, padding=padding, dilation=dilation)
    ours = conv2d(image4, weight, bias, stride, padding, dilation)

    grad = rng.standard_normal(ours.shape)  # any gradient may arrive from behind
    library.backward(minicnn.tensor(grad))
    our_grads = conv2d_backward(grad, image4, weight, stride, padding, dilation)

    forward = np.abs(ours - library.detach().numpy()).max()
    backward = max(np.abs(g - leaf.grad.numpy()).max() for g, leaf in zip(our_grads, leaves, strict=True))
    setting = f"stride {stride}, padding {padding}, dilation {dilation}"
    print(f"  {setting}: output {tuple(ours.shape)}, forward {forward:.1e}, backward {backward:.1e}")
    assert max(forward, backward) < 1e-12

# %% [markdown]
# The figure shows both messages for the image from above. Left: a gradient of 1 at one output pixel paints the
# *kernel* onto the image. Right: with a gradient of 1 at every output pixel, the kernels overlap and add up.

# %%
one = np.zeros_like(edges)
one[1, 2] = 1
kernel4, picture4 = kernel[None, None], image[None, None]
from_one, weight_from_one, _ = conv2d_backward(one[None, None], picture4, kernel4)
from_all, _, _ = conv2d_backward(np.ones_like(picture4[:, :, :4, :4]), picture4, kernel4)

figure = Figure(figsize=(12, 3.9), layout="constrained")
axes = figure.subplots(1, 4, width_ratios=[4, 6, 3, 6])
draw(axes[0], one, "gradient that arrives:\n1 at one output pixel", [(1, 2, 1, 1)])
draw(axes[1], from_one[0, 0], "what it sends to the image:\nthe kernel", [(1, 2, 3, 3)])
draw(axes[2], weight_from_one[0, 0], "what it sends to\nthe kernel: the patch")
draw(axes[3], from_all[0, 0], "the image's gradient\nif a 1 arrives everywhere")
figure.suptitle("The backward pass: each product sends grad x weight to its pixel and grad x pixel to its weight")
figure.savefig(out / "03_convolution_by_hand_backward.png", dpi=120)

print(f"gradient to the image from one output pixel: {from_one[0, 0, 1:4, 2:5].astype(int).tolist()}")
assert (from_one[0, 0, 1:4, 2:5] == kernel).all()
print(f"gradient to the kernel from the same pixel:  {weight_from_one[0, 0].astype(int).tolist()}")
assert (weight_from_one[0, 0] == patch).all()
figure

# %% [markdown]
# Painting kernels is a convolution, too. At stride 1 the image's gradient is a convolution of `grad`: the kernels are turned by 180
# degrees, and filters and channels change places. So whoever has a fast convolution has a fast backward pass.

# %%
grad = rng.standard_normal((2, 4, 7, 6))
grad_image, _, _ = conv2d_backward(grad, image4, weight)
turned = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]  # (C, O, KH, KW), each kernel turned
difference = np.abs(grad_image - conv2d(grad, turned, bias=np.zeros(3), padding=2)).max()
print(f"gradient of the image against a convolution with turned kernels: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# ## Finite differences: who checks the chain rule?
#
# A gradient makes a promise: raise one weight by a small `h`, and the loss rises by `h` times its gradient. That can be measured
# without any calculus: compute the loss a little above and a little below, and divide the difference by `2 h`. The library's
# `gradcheck` does the same for all inputs, each along a random direction.


# %%
def loss(w):
    return (conv2d(image4, w, bias, stride=2, padding=1) * upstream).sum()


upstream = rng.standard_normal((2, 4, 5, 4))
_, grad_weight, _ = conv2d_backward(upstream, image4, weight, stride=2, padding=1)

place, h = (1, 2, 0, 1), 1e-5
higher, lower = weight.copy(), weight.copy()
higher[place] += h
lower[place] -= h
measured = (loss(higher) - loss(lower)) / (2 * h)
print(f"weight {place}: gradient {grad_weight[place]:.8f}, measured {measured:.8f}")
assert abs(grad_weight[place] - measured) < 1e-6

leaves = [minicnn.tensor(array, requires_grad=True) for array in (image4, weight, bias)]
agrees = gradcheck(lambda *inputs: F.conv2d(*inputs, stride=2, padding=1), leaves)
print(f"gradcheck of the library's convolution: {agrees}")
assert agrees

# %% [markdown]
# ## Max-pooling: the winner takes it all
#
# **Max-pooling** makes a map smaller: it keeps the largest pixel of each window. It has no weights. If a pixel that lost rises by a
# little, nothing changes: its gradient is zero. The whole gradient goes to the winner. Of equal pixels the first one wins, in
# reading order.
#
# (A **ReLU**, `max(x, 0)`, is simpler still. Where `x` is above 0 the gradient passes, where `x` is below 0 it becomes 0. At 0 itself there
# is a corner and no slope; there it is set to 0, here and in PyTorch.)


# %%
def max_pool2d(image, kernel, stride, padding=0):
    """image (N, C, H, W) -> the largest of each window (N, C, OH, OW), and where it stood: a list of index pairs"""
    N, C, H, W = image.shape
    OH = output_size(H, kernel, stride, padding, 1)
    OW = output_size(W, kernel, stride, padding, 1)
    output = np.full((N, C, OH, OW), -np.inf)  # padding never wins
    winners = {}
    for n, c, y, x, i, j in np.ndindex(N, C, OH, OW, kernel, kernel):
        row, column = y * stride + i - padding, x * stride + j - padding
        if 0 <= row < H and 0 <= column < W and image[n, c, row, column] > output[n, c, y, x]:
            output[n, c, y, x] = image[n, c, row, column]
            winners[n, c, y, x] = (n, c, row, column)
    return output, winners


def max_pool2d_backward(grad, winners, image_shape):
    """grad (N, C, OH, OW) -> the gradient of the image (N, C, H, W)"""
    grad_image = np.zeros(image_shape)
    for to, pixel in winners.items():
        grad_image[pixel] += grad[to]  # += because windows overlap: one pixel can win several
    return grad_image


print("largest difference between our loops and the library:")
for size, stride, padding in [(2, 2, 0), (3, 2, 1), (3, 1, 1)]:
    leaf = minicnn.tensor(image4, requires_grad=True)
    library = F.max_pool2d(leaf, size, stride, padding)
    ours, winners = max_pool2d(image4, size, stride, padding)
    grad = rng.standard_normal(ours.shape)
    library.backward(minicnn.tensor(grad))
    difference = np.abs(max_pool2d_backward(grad, winners, image4.shape) - leaf.grad.numpy()).max()
    forward = np.abs(ours - library.detach().numpy()).max()
    print(f"  window {size}, stride {stride}, padding {padding}: forward {forward:.1e}, backward {difference:.1e}")
    assert max(forward, difference) < 1e-12

# %%
small = rng.permutation(36).reshape(6, 6).astype(float)
pooled, winners = max_pool2d(small[None, None], 2, 2)
grad = np.arange(1.0, 10).reshape(1, 1, 3, 3)
back = max_pool2d_backward(grad, winners, (1, 1, 6, 6))[0, 0]
won = [(*pixel[2:], 1, 1) for pixel in winners.values()]

figure = Figure(figsize=(12, 4.2), layout="constrained")
axes = figure.subplots(1, 4, width_ratios=[6, 3, 3, 6])
draw(axes[0], small, "image: the winner of each\n2 x 2 window is framed", won)
draw(axes[1], pooled[0, 0], "output")
draw(axes[2], grad[0, 0], "gradient that\narrives")
draw(axes[3], back, "what reaches the image:\nonly the winners get any", won)
for ax in (axes[0], axes[3]):
    for line in (1.5, 3.5):
        ax.axhline(line, color="#555555", linewidth=1)
        ax.axvline(line, color="#555555", linewidth=1)
figure.suptitle("Max-pooling, forward and backward")
figure.savefig(out / "03_convolution_by_hand_max_pool.png", dpi=120)

print(f"{np.count_nonzero(back)} of {back.size} pixels get a gradient; both gradients add up to {back.sum():.0f}")
assert np.count_nonzero(back) == 9 and back.sum() == grad.sum()
figure

# %% [markdown]
# ## Stop inside the backward pass
#
# In minicnn an operation is a class with its forward and its backward on one screen, so a debugger can stop there. In a
# terminal, from the folder of the project:
#
# ```
# python -m pdb lessons/03_convolution_by_hand.py
# (Pdb) import minicnn.ops.convolution
# (Pdb) break minicnn.ops.convolution.Convolution.backward
# (Pdb) continue
# (Pdb) next
# (Pdb) p x.shape, weight.shape, ctx.geometry
# (Pdb) where
# ```
#
# `where` shows the engine, which runs the backward passes of all operations in turn, and before it the line of this lesson that said
# `backward()`.
#
# ## Stop at one multiply-add
#
# The library's fast code is compiled, so no debugger can step through it. Its definitions can be stepped through: they are loops
# like ours, in `minicnn/kernels/reference.py`, and `minicnn.kernels.use("reference")` switches to them. A condition on the indices
# stops at the products of one output pixel:
#
# ```
# python -m pdb lessons/03_convolution_by_hand.py
# (Pdb) import minicnn.kernels.reference
# (Pdb) break minicnn/kernels/reference.py:45, (n, o, oh, ow) == (1, 3, 5, 4)
# (Pdb) continue
# (Pdb) p weight[o, c, kh, kw], x[n, channel, h, w], total
# (Pdb) continue
# ```
#
# Each `continue` goes on to the next of its products. The next cell is where that happens.

# %%
file = Path(inspect.getsourcefile(Convolution.backward))
line = inspect.getsourcelines(Convolution.backward)[1]
print(f"Convolution.backward is at {'/'.join(file.parts[-3:])}:{line}")
assert file.parts[-3:] == ("minicnn", "ops", "convolution.py")

y = F.conv2d(*leaves)
print(
    f"a convolution's node in the graph: {y.grad_fn.name()}, it keeps {[tuple(t.shape) for t in y.grad_fn.saved_tensors]}"
)
assert [t is leaf for t, leaf in zip(y.grad_fn.saved_tensors, leaves[:2], strict=True)] == [True, True]

lines, begin = inspect.getsourcelines(reference.conv2d)
(offset,) = (i for i, text in enumerate(lines) if "total +=" in text)
print(f"the multiply-add is at minicnn/kernels/reference.py:{begin + offset}: {lines[offset].strip()}")
with minicnn.kernels.use("reference"):
    slow = F.conv2d(*leaves)  # with the breakpoint, this line stops at output pixel (1, 3, 5, 4)
difference = float((slow - y).detach().abs().max())
print(f"the library's loops against its fast kernel: {difference:.1e}")
assert difference < 1e-12

# %% [markdown]
# **Try it:** give `conv2d` an argument `groups`. Only `meetings` has to change: filter `o` then meets no channels but those of its
# own group.

# %% [markdown]
# **Move it yourself.** `minicnn play --open` opens a page with a small convolution whose stride, padding, dilation and kernel have sliders:
# point at a number of the output, and see which numbers of the input it is made of.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/03_convolution_by_hand.py`.
#
# **1.** Compute the output pixel in row 3, column 0 of the edge image, with pencil and paper.

# %%
from lessons.exercises import check

answer = ...

check(
    1, answer, edges[3, 0], "The patch is image[3:6, 0:3]. The kernel's left column is negative, its middle one is 0."
)

# %% [markdown]
# **2.** Write the gradient of max-pooling for one window.


# %%
def max_pool_gradient(window, grad):
    """window (H, W), grad: the number that arrives -> the gradient of the window, (H, W)"""
    return ...


window = np.array([[1.0, 4.0], [4.0, 2.0]])
arriving = np.full((1, 1, 1, 1), 3.0)
gradient = max_pool2d_backward(arriving, max_pool2d(window[None, None], 2, 2)[1], (1, 1, 2, 2))[0, 0]
check(
    2,
    max_pool_gradient(window, 3.0),
    gradient,
    "Zeros, and all of `grad` at one place. Of equal pixels the first one wins.",
)

# %% [markdown]
# **3.** How many pixels of the input does an output pixel of `nn.Conv2d(1, 1, 3, dilation=2)` meet, and how wide is the piece of
# a row that they span?

# %%
answer = ...  # (pixels, width)

met = {pixel for to, _, pixel in meetings((1, 1, 9, 9), (1, 1, 3, 3), 1, 0, 2) if to == (0, 0, 0, 0)}
columns = [pixel[3] for pixel in met]
check(
    3,
    answer,
    (len(met), max(columns) - min(columns) + 1),
    "The gaps make the kernel wider, and give it no further weights.",
)

# %%
print("Next lesson: lessons/04_feature_maps.py")
