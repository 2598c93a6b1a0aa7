# %% [markdown]
# # 2. The filters of the first layer
#
# **You need:** lesson 1.
#
# **You leave with:** what a weight tensor is, down to one number; the 64 filters of the first layer as pictures, beside the
# same layer before training and while it trains; a number that tells trained from untrained, and what it does *not* prove.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/02_first_layer_filters_*.png` (5 figures).

# %%
import copy
import os
from pathlib import Path

import numpy as np

import minicnn
from lessons.subject import Figure, Subject
from minicnn import nn, viz
from minicnn.models import weights_path

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## From the tensor to one number
#
# The first layer is a convolution. Its weights are one **tensor**, that is an array with any number of axes. Here it has four:
# `(filters, input channels, height, width)`. Each index that we give takes one axis away.
#
# A **kernel** is the grid of weights for one input channel. A **filter** is all that makes one output channel: a kernel for each
# input channel, and a **bias**, one number that is added to the sum.

# %%
subject = Subject()  # the bundled network; another one: python -m lessons 2 --model alexnet --weights FILE.pth
model, network = subject.model, subject.name
first = model.get_submodule(subject.convolutions[0])  # the layer "features.0"
weight = first.weight.detach()  # detach: only the numbers, no part in any gradient
count, colours, height, width = weight.shape
middle = height // 2

print(f"the weight tensor:  {tuple(weight.shape)}  all filters of the layer")
k = subject.channel(subject.convolutions[0], 5)  # one of the filters
print(f"weight[{k}]:          {tuple(weight[k].shape)}      one filter: {height} x {width} pixels in {colours} colours")
print(
    f"weight[{k}, 0]:       {tuple(weight[k, 0].shape)}         one kernel: what it does with red (0), green (1), blue (2)"
)
print(
    f"weight[{k}, 0, {middle}, {middle}]: {weight[k, 0, middle, middle].item():+.4f}        one number: the weight of the red pixel "
    "in the middle"
)
print(f"{count} x {colours} x {height} x {width} = {weight.numel()} numbers")
assert weight.numel() == count * colours * height * width

# %% [markdown]
# Some networks cut the channels into **groups**, and each filter reads only those of its own group. So the rule for the second axis is
#
# **`weight.shape[1] * groups == input channels`**

# %%
for layer in (first, nn.Conv2d(12, 24, 3, groups=4)):
    print(
        f"weight {tuple(layer.weight.shape)}: {layer.weight.shape[1]} x {layer.groups} groups = {layer.in_channels} channels"
    )
    assert layer.weight.shape[1] * layer.groups == layer.in_channels

# %% [markdown]
# A filter of the bundled network computes one number from a patch of the photograph: it multiplies the 147 pixels by its
# 147 weights and adds up. The sum is large where the patch looks like the filter. It is negative where the patch looks like the
# filter's negative.
#
# So a filter of the first layer can be drawn as a picture: of the patch that it likes best. (A deeper filter cannot: its channels are
# no colours. Lesson 5 comes to that.) A picture has no negative colours, so zero becomes mid-grey. Each filter has its own scale.

# %%
strongest = int(np.argmax(np.abs(weight.array).max(axis=(1, 2, 3))))
one = weight[strongest].array  # (3, height, width), the array behind the tensor
top = np.abs(one).max()

figure = Figure(figsize=(12, 3.5), layout="constrained")
axes = figure.subplots(1, 4)
for i, colour in enumerate(["red", "green", "blue"]):
    shown = axes[i].imshow(one[i], cmap="RdBu_r", vmin=-top, vmax=top)
    for (row, column), value in np.ndenumerate(one[i]):
        ink = "white" if abs(value) > 0.6 * top else "black"
        axes[i].text(
            column, row, f"{round(value * 100)}", color=ink, ha="center", va="center", fontsize=min(7.5, 52 / height)
        )
    axes[i].set_title(f"weight[{strongest}, {i}]: the kernel for {colour}", fontsize=10)
axes[3].imshow(0.5 + one.transpose(1, 2, 0) / (2 * top))
axes[3].set_title(f"weight[{strongest}] in colour: all three", fontsize=10)
for ax in axes:
    ax.set_axis_off()
figure.colorbar(shown, ax=axes[:3], shrink=0.7, label="weight")
figure.suptitle(f"{network}: one filter, as numbers (hundredths) and as a picture", wrap=True)
figure.savefig(out / "02_first_layer_filters_one.png", dpi=120)
figure

# %% [markdown]
# ## All of them, trained and untrained
#
# A network starts with random weights. We make such a layer too: a copy whose numbers are drawn afresh. They depend on nothing
# but the seed.

# %%
minicnn.manual_seed(0)
fresh = copy.deepcopy(first)
fresh.reset_parameters()
untrained = fresh.weight.detach()
figure = viz.draw_filters(weight, title=f"{network}: the first layer, {subject.state}")
figure.savefig(out / "02_first_layer_filters_all.png")
figure

# %%
figure = viz.draw_filters(untrained, title="The same layer, its weights drawn afresh")
figure.savefig(out / "02_first_layer_filters_untrained.png")
figure

# %% [markdown]
# The trained filters are edges at many angles, gratings of bars, and blobs and edges between two colours. Nobody drew them:
# they came out of training. The untrained ones are coloured noise.
#
# ## A number in place of an impression
#
# What does the eye see? Neighbouring weights of a trained filter belong together: it changes slowly from one pixel to
# the next. The **Fourier transform** measures that. It writes a 7 x 7 kernel as a sum of 49 waves, from the constant one
# to the finest. The **power** of a wave is its squared strength. Nine of the 49 waves are coarse: they have at most one period
# across the kernel in each direction. Which share of all power do these nine have?


# %%
def power_spectrum(filters):
    """filters (N, 3, K, K) -> (N, K, K): power of each wave, summed over the colours; the constant wave in the middle"""
    waves = np.fft.fft2(filters.array, axes=(2, 3))
    return np.fft.fftshift((np.abs(waves) ** 2).sum(axis=1), axes=(1, 2))


def coarse_waves(size):
    """(size, size), True for the 9 coarsest waves: at most one period across the kernel in each direction"""
    steps = np.arange(size) - size // 2  # periods across the kernel
    return np.hypot(steps[:, None], steps[None, :]) <= 1.5


def coarse_share(filters):
    """filters (N, 3, K, K) -> (N,): the share of each filter's power that its 9 coarsest waves have"""
    power = power_spectrum(filters)
    return power[:, coarse_waves(power.shape[-1])].sum(axis=1) / power.sum(axis=(1, 2))


share, untrained_share = coarse_share(weight), coarse_share(untrained)
of_noise = coarse_waves(height).mean()  # noise has equal power in all waves
print(f"of noise a share of 9 / {height * width} = {of_noise:.3f} is expected")
print(f"untrained: {untrained_share.mean():.3f} on average")
assert abs(untrained_share.mean() - of_noise) < 0.02
print(f"{subject.state}: {share.mean():.3f} on average")
assert share.mean() > 0.3

# %% [markdown]
# The averages differ. Do the single filters differ, too? Take any trained filter and any untrained one: how often has the trained one
# the larger share? Noise against noise would give one half.

# %%
pairs = (share[:, None] > untrained_share[None, :]).mean()
print(f"of all pairs, the filter that was not drawn afresh is the coarser one in {pairs:.0%}")
assert pairs > 0.75
finest = np.argsort(share)[:4]
print("its filters with the smallest share:", ", ".join(f"{i} ({share[i]:.2f})" for i in finest))

# %% [markdown]
# Look those four up in the figure of all filters: they are gratings of fine bars. They have an order, but this number does not see
# it. So the number describes the layer, and is no verdict on one filter.
#
# In the figure below, trained filters have their power in the coarse waves, and noise has it everywhere.

# %%
figure = Figure(figsize=(12, 3.9), layout="constrained")
left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.5])
for ax, filters, name in ((left, weight, subject.state), (middle, untrained, "untrained")):
    power = power_spectrum(filters)
    mean = (power / power.sum(axis=(1, 2), keepdims=True)).mean(axis=0)
    edge = height / 2
    shown = ax.imshow(mean, cmap="magma", vmin=0, vmax=0.2, extent=(-edge, edge, edge, -edge))
    ax.plot([-1.5, 1.5, 1.5, -1.5, -1.5], [-1.5, -1.5, 1.5, 1.5, -1.5], color="white", linewidth=1.5)
    ax.set_title(f"{name}:\nmean power of each wave", fontsize=10)
    ax.set_xlabel("periods across the kernel")
left.set_ylabel("periods down the kernel")
figure.colorbar(shown, ax=[left, middle], shrink=0.75, label="share of the power")
bins = np.linspace(0, 1, 26)
right.hist(untrained_share, bins, color="#999999", label="untrained", alpha=0.9)
right.hist(share, bins, color="#d95f02", label=subject.state, alpha=0.7)
right.axvline(of_noise, color="black", linestyle=":", label="expected of noise")
right.set_xlabel("share of the 9 coarsest waves (white frame)")
right.set_ylabel("filters")
right.legend(frameon=False)
right.spines[["top", "right"]].set_visible(False)
figure.suptitle(f"{network}: the power of its filters in waves, beside noise", wrap=True)
figure.savefig(out / "02_first_layer_filters_spectrum.png", dpi=120)
figure

# %% [markdown]
# ## What this does not prove
#
# The number tells *trained on photographs* from *untrained*. It is tempting to go on: "so the network has understood
# something". That does not follow. Some networks were trained on photographs with **shuffled labels**. There is nothing to
# understand in these: all one can do is learn them by heart. Still, the first layers look much like this one (Maennel et al.
# 2020, "What do neural networks learn when trained with random labels?"; Chowers and Weiss 2023, "What do CNNs learn in the
# first layer and why?"). The first layer follows what patches of photographs look like, whatever the labels say.
#
# Whether a network has learned something that holds for new photographs is seen in one place only: in its answers to photographs that
# it never saw. You have met that number in lesson 1.
#
# ## How the filters grew
#
# While the bundled network was trained, its first layer was recorded at about forty moments. At the first of them all numbers are
# random. For a while nothing seems to happen; then all filters take shape together. (One **step** of training is one **batch**, here
# 128 photographs that go through the network together.)

# %%
history = np.load(weights_path("history_standard.npz"))
recorded = minicnn.tensor(history["filters"].astype(np.float32))  # (moments, 64, 3, 7, 7)
moments = history["filter_step"]  # how many batches of 128 photographs the network had seen
growth = [coarse_share(filters).mean() for filters in recorded]
print(f"coarse share at the start {growth[0]:.3f}, at the end {growth[-1]:.3f}, after {moments[-1]:,} steps")
assert growth[-1] > growth[0] + 0.1

# %%
begin = np.searchsorted(moments, 150)
columns = [0, *np.linspace(begin, len(moments) - 1, 9).round().astype(int)]
grown = recorded[-1]
gratings = np.argsort(coarse_share(grown))[:2]
followed = [*np.argsort(-grown.array.var(axis=(1, 2, 3)))[:2], *gratings]  # two strong ones, two gratings
figure = Figure(figsize=(11, 6), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[1.5, 1])
grid = top.subplots(len(followed), len(columns))
for column, moment in enumerate(columns):
    pictures = viz.filter_tiles(recorded[moment].array)  # (64, 7, 7, 3)
    for row, filter_index in enumerate(followed):
        grid[row, column].imshow(pictures[filter_index])
        grid[row, column].set_axis_off()
    grid[0, column].set_title(f"step {moments[moment]:,}", fontsize=9)
for row, filter_index in enumerate(followed):
    grid[row, 0].text(-1.2, 3, f"filter {filter_index}", rotation=90, va="center", ha="right", fontsize=9)
curve = bottom.subplots()
curve.plot(np.maximum(moments, 0.7), growth, marker=".", color="#d95f02")
curve.plot(np.maximum(moments[columns], 0.7), np.array(growth)[columns], "o", color="black", label="drawn above")
curve.axhline(coarse_waves(7).mean(), color="black", linestyle=":", label="expected of noise")
curve.set_xscale("log")
curve.set_xlabel("training steps (the first point is the start)")
curve.set_ylabel("coarse share, mean of 64")
curve.legend(frameon=False)
curve.spines[["top", "right"]].set_visible(False)
figure.suptitle("The bundled network: four filters while they grow, each picture on its own scale", wrap=True)
figure.savefig(out / "02_first_layer_filters_growing.png", dpi=110)
figure

# %% [markdown]
# **Try it:** the bundled network has a twin, `tinynet("robust")`. It began with these weights and was trained on, with images that were
# changed against it. Is its first layer coarser?
#
# **Paint one:** `minicnn play --open` opens a page in which this network runs in your browser. Paint another kernel into its first layer,
# and see what becomes of the maps and of the answer.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/02_first_layer_filters.py`.
#
# **1.** A layer's weights have the shape (64, 3, 7, 7). Which shape has `w[3, :, 2]`?

# %%
from lessons.exercises import check

answer = ...  # a tuple

w = minicnn.zeros(64, 3, 7, 7)
check(1, answer, w[3, :, 2].shape, "A number takes an axis away, and a colon leaves it. Axes that are not named stay.")

# %% [markdown]
# **2.** Which shape have the weights of `nn.Conv2d(8, 6, 5, groups=2)`?

# %%
answer = ...  # a tuple

layer = nn.Conv2d(8, 6, 5, groups=2)
check(
    2,
    answer,
    layer.weight.shape,
    "(filters, channels that one filter reads, height, width): how many of the 8 channels has a group?",
)

# %% [markdown]
# **3.** A filter meets a patch that looks like its own negative, with twice its strength. Divide the answer (without bias) by the
# answer to the filter itself.

# %%
answer = ...

ratio = (weight[0] * (-2 * weight[0])).sum() / (weight[0] * weight[0]).sum()
check(
    3,
    answer,
    ratio,
    "The answer is a sum of products: what happens to it if every pixel is multiplied by -2?",
    tolerance=1e-4,
)

# %%
print("Next lesson: lessons/03_convolution_by_hand.py")
