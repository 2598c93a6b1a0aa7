# %% [markdown]
# # 1. A network, from the outside
#
# **You need:** a little Python. No mathematics yet.
#
# **You leave with:** a trained network's answer to a photograph, and a feeling for how far to trust it; the shape of the
# data after every layer; where the network keeps its weights, and where it spends its time.
#
# **Run time:** a few seconds; half a minute the first time, when the library's fast code is compiled.
# **Files written:** `lessons/out/01_a_network_from_outside_*.png` (3 figures).

# %%
import os
from pathlib import Path

import numpy as np

import minicnn
from lessons.subject import Figure, Subject
from minicnn import nn, viz

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

subject = Subject()  # the bundled network; another one: python -m lessons 1 --model alexnet --weights FILE.pth
model, network = subject.model, subject.name

# %% [markdown]
# ## A photograph, as the network gets it
#
# The photograph is one that matplotlib installs: Rear Admiral Grace Hopper, who wrote one of the first compilers. With
# `python -m lessons 1 --photo PATH` it is yours. The network was trained on images of 64 x 64 pixels. So it gets the middle
# of the photograph, made small. Look at the right-hand picture before you judge the answer.

# %%
photo = subject.photo()  # uint8 (height, width, 3)
small = viz.frame(photo, model)
side = small.shape[0]

figure = Figure(figsize=(8, 4.6), layout="constrained")
left, right = figure.subplots(1, 2)
left.imshow(photo)
figure.suptitle(network, wrap=True)
left.set_title(f"the photograph: {photo.shape[1]} x {photo.shape[0]} pixels")
right.imshow(small, interpolation="nearest")
right.set_title(f"what the network gets: {side} x {side} pixels")
for ax in (left, right):
    ax.set_axis_off()
figure.savefig(out / "01_a_network_from_outside_photo.png", dpi=110)
figure

# %% [markdown]
# ## The network
#
# The bundled network, `tinynet("standard")`, reads about seven megabytes of numbers from a file: its **weights**. They were found
# by training on 100,000 photographs of 200 classes (Tiny ImageNet). `weights/README.md` says how. What else one must know to
# use the network travels with it as `model.meta`: the size of its images, their mean, the names of its classes.
#
# Printed, the network is a list of layers. There are five kinds:
#
# - **Conv2d**, a convolution, lays small grids of weights (**kernels**) over every patch of its input and adds up the products. It
#   moves them by `stride` pixels at a time, and `padding` puts a border of zeros around its input first.
# - **ReLU** computes `max(x, 0)`: it keeps what is positive and makes the rest 0.
# - **MaxPool2d** makes maps smaller: of each window it keeps the largest number. That is max-pooling.
# - **AdaptiveAvgPool2d** takes the average of each whole map.
# - **Linear**, a linear layer, weighs all numbers that it gets, and adds up: one sum for each class.
#
# You will not find a sixth kind that many networks have: **batch norm** shifts and scales each map, so that training goes well.
# Ours had it in training. Afterwards it is only one multiplication and one addition, and was **folded** into the convolution
# before it: multiplied into its weights.

# %%
print(model)
print(f"classes: {len(model.meta.categories)}, among them {', '.join(model.meta.categories[:4]) or 'none with a name'}")
if model.meta.accuracy is not None:
    guess = 1 / len(model.meta.categories)
    print(f"right answers on photographs that it never saw: {model.meta.accuracy:.1%}; a guess would give {guess:.1%}")
    assert model.meta.accuracy > 0.4

# %% [markdown]
# ## Its answer
#
# First the pixels are made ready: they are divided by 255, the mean of the training images is subtracted, and the result is divided
# by their standard deviation. Then the network returns 200 numbers, one for each class. These scores are called **logits**: any
# number, also a negative one. **Softmax** makes probabilities of them: `exp` of each, divided by the sum of all. So they are
# positive, and their sum is 1.

# %%
x = viz.preprocess(photo, model)  # Tensor (1, 3, 64, 64)
with minicnn.no_grad():  # we only look: no graph for gradients is needed
    logits = model(x)
    probabilities = logits.softmax(dim=1)[0]
print(f"input {tuple(x.shape)} -> logits {tuple(logits.shape)}")
print(f"sum of the {len(probabilities)} probabilities: {probabilities.sum():.6f}")
assert abs(probabilities.sum().item() - 1) < 1e-5

names = subject.classes(len(probabilities))
most = min(5, len(names))
values, classes = probabilities.topk(most)
for value, index in zip(values.tolist(), classes.tolist(), strict=True):
    print(f"  {value:6.1%}  {names[index]}")

# %% [markdown]
# ## How far to trust it
#
# Of the 200 classes a person would choose "military uniform" for Grace Hopper. Where does the network put it? Do not expect too
# much. We have printed the share of its answers that are right, its **top-1** accuracy: more than half are wrong. It was measured on
# **held-out** photographs, those that training has not seen. On others, accuracy would only say how well the network remembers. And
# this photograph is of another kind than all of those.

# %%
if "military uniform" in names:
    fitting = names.index("military uniform")
    place = 1 + (probabilities > probabilities[fitting]).sum().item()
    print(f"'military uniform' has {probabilities[fitting]:.1%}: place {place} of {len(probabilities)}")

# %% [markdown]
# And what if none of the 200 things is in the image? The network cannot say so. Softmax makes probabilities whose sum is 1 of any
# 200 logits. So even pure noise gets an answer.

# %%
rng = np.random.default_rng(0)
noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
with minicnn.no_grad():
    noise_probabilities = model(viz.preprocess(noise, model, size=side)).softmax(dim=1)[0]
noise_value, noise_class = noise_probabilities.max(dim=0)
name = names[noise_class.item()]
times = noise_value.item() * len(names)  # a guess would give each class 1 / len(names)
print(f"pure noise is {name!r} with {noise_value:.1%}, {times:.0f} times as much as a guess")
assert times > 5


# %%
def draw_answer(axes, picture, probabilities, title):
    """A picture above the bars of its most probable classes."""
    top, bars = axes
    top.imshow(picture, interpolation="nearest")
    top.set_title(title)
    top.set_axis_off()
    values, classes = probabilities.topk(most)
    bars.barh(range(most), values.tolist(), color="#3b6ea5")
    bars.set_yticks(range(most), [names[i] for i in classes.tolist()])
    bars.invert_yaxis()
    bars.set_xlim(0, 1)
    bars.set_xlabel("probability")
    bars.spines[["top", "right"]].set_visible(False)
    for i, value in enumerate(values.tolist()):
        bars.text(value + 0.02, i, f"{value:.1%}", va="center")


figure = Figure(figsize=(9, 5.2), layout="constrained")
axes = figure.subplots(2, 2, height_ratios=[2, 1])
draw_answer(axes[:, 0], small, probabilities, "the photograph")
draw_answer(axes[:, 1], noise, noise_probabilities, "pure noise")
figure.suptitle(
    f"{network}: every image gets an answer, also one that shows none of the {len(names)} classes", wrap=True
)
figure.savefig(out / "01_a_network_from_outside_answer.png", dpi=110)
figure

# %% [markdown]
# ## Layer by layer
#
# A network is a chain of layers. Each reads what the one before it made. What comes out has the shape `(N, C, H, W)`: `N` images
# with `C` channels of `H` x `W` numbers. A **channel** is one plane of an image: a photograph has three, red, green and blue. The
# output of a layer has many, and each is called a **feature map**, or map for short.
#
# For each layer we count
#
# - its **weights**: the numbers that training has found;
# - its **multiplications**: a convolution uses each of its weights once for every position of its output.

# %%
with minicnn.no_grad(), viz.capture(model, "**") as seen:  # keeps what every module returns; how, is lesson 4
    model(x)
rows = []  # (name, shape of the output without N, weights, multiplications)
print(f"{'layer':<12} {'kind':<18} {'output':<18} {'numbers':>8} {'weights':>9} {'multiplications':>16}")
for name, layer in subject.layers.items():
    h, products = seen[name], subject.multiplications(name, seen)
    weights = sum(parameter.numel() for parameter in layer.parameters())
    rows.append((name, tuple(h.shape[1:]), weights, products))
    kind = type(layer).__name__
    print(f"{name:<12} {kind:<18} {tuple(h.shape)!s:<18} {h.numel():>8,} {weights:>9,} {products:>16,}")

print(f"largest difference between the last of them and the logits: {(h - logits).abs().max():.1g}")
assert (h == logits).all()

# %% [markdown]
# From top to bottom the maps get smaller, and there are more of them: in the bundled network 64 maps of 32 x 32 become 256 maps of
# 8 x 8, and at the end 200 single numbers. *Where* something is gets lost on the way, and *what* it is remains: lesson 4 measures that.
#
# The sizes follow one rule, the same for convolution and pooling. There are `size + 2 * padding` pixels. A kernel moves over them by
# `stride` pixels at a time, and makes one number at each of its positions. These are `(size + 2 * padding - kernel) // stride + 1`, where
# `//` divides and rounds down. For a kernel of 7, stride 2 and padding 3 over 64 pixels: `(64 + 6 - 7) // 2 + 1`, which is 32.


# %%
def output_size(size, kernel, stride, padding):
    """The number of positions of a kernel that moves by `stride` over `size` pixels with `padding` zeros at both ends."""
    return (size + 2 * padding - kernel) // stride + 1


first, pool = output_size(64, 7, 2, 3), output_size(32, 3, 2, 1)
print(
    f"a kernel of 7, stride 2, padding 3 makes {first} x {first} of 64 x 64; a window of 3 makes {pool} x {pool} of that"
)
assert rows[0][1] == (64, first, first) and rows[2][1] == (64, pool, pool)

# %%
total = sum(weights for _, _, weights, _ in rows)
work = sum(products for *_, products in rows)
first_weights, first_work = rows[0][2] / total, rows[0][3] / work
print(f"weights: {total:,}; multiplications for one image: {work:,}")
assert total == sum(parameter.numel() for parameter in model.parameters())
print(f"the first layer has {first_weights:.1%} of the weights and does {first_work:.0%} of the work")
assert first_weights < 0.01 and first_work > 0.05

# %% [markdown]
# The first layer has few weights, but uses each of them at many positions. In the figure, the first layers make many numbers out of
# few weights, and the last ones hold the weights.

# %%
kept = [row for row in rows if row[2] > 0]  # the layers with weights
labels = [f"{name}\n{' x '.join(map(str, shape))}" for name, shape, _, _ in kept]
columns = [
    ("numbers that come out", [int(np.prod(shape)) for _, shape, _, _ in kept], "#b5651d"),
    ("weights", [weights for _, _, weights, _ in kept], "#3b6ea5"),
    ("multiplications", [products for *_, products in kept], "#4c8c4a"),
]
figure = Figure(figsize=(11, max(4.6, 0.4 * len(kept))), layout="constrained")
for ax, (title, values, colour) in zip(figure.subplots(1, 3, sharey=True), columns, strict=True):
    ax.barh(range(len(kept)), values, color=colour)
    ax.set_yticks(range(len(kept)), labels, fontsize=9 if len(kept) < 10 else 6)
    ax.set_title(title)
    ax.set_xlim(0, max(values) * 1.35)
    ax.set_xticks([])
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    for i, value in enumerate(values):
        ax.text(value + max(values) * 0.02, i, f"{value:,}", va="center", fontsize=9)
figure.get_axes()[0].invert_yaxis()
figure.suptitle(f"{network}: what its layers make, hold and do", wrap=True)
figure.savefig(out / "01_a_network_from_outside_layers.png", dpi=110)
figure

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/01_a_network_from_outside.py`.
#
# **1.** A kernel of 5 moves by a stride of 2 over 30 pixels, with a padding of 1 at both ends. How many positions has it?

# %%
from lessons.exercises import check

answer = ...

check(
    1,
    answer,
    output_size(30, 5, 2, 1),
    "30 pixels and 2 of padding; take the kernel off, divide by the stride, round down, add 1.",
)

# %% [markdown]
# **2.** A convolution has 16 filters over 3 channels. A **filter** is all that makes one output channel: here a kernel of 5 x 5 for each of
# the input channels, and one number that is added, the **bias**. How many numbers does training find?

# %%
answer = ...

counted = sum(parameter.numel() for parameter in nn.Conv2d(3, 16, 5).parameters())
check(2, answer, counted, "Count one filter first: a kernel for every input channel, and a bias. Then take all 16.")

# %% [markdown]
# **3.** Every logit is raised by 10. By how much does the largest probability change?

# %%
answer = ...

moved = (logits + 10).softmax(dim=1)[0].max() - probabilities.max()
check(
    3,
    answer,
    moved,
    "softmax divides exp(logit) by the sum of all of them, and exp(10) stands in both.",
    tolerance=1e-4,
)

# %%
print("Next lesson: lessons/02_first_layer_filters.py")
