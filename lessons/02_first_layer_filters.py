# %% [markdown]
# # 2. The first layer as pictures
#
# **You need:** lesson 1.
#
# **You leave with:** what a weight tensor is, number by number; the 64 filters of the first layer as pictures, beside the
# same layer before training; one number that tells the two apart, and what it does not tell.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/02_first_layer_filters_*.png` (3 figures).

# %%
# %matplotlib inline
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import viz
from minicnn.models import tinynet, weights_path

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = here / "out"
out.mkdir(exist_ok=True)

# %% [markdown]
# ## A weight tensor
#
# The first layer's weight has four indices: which filter (O), which input channel (C: red, green, blue), which row and
# which column of the kernel (KH, KW). One filter is a stack of three 7 x 7 kernels, one for each colour.

# %%
model = tinynet("standard")
weight = model.features[0].weight.detach().numpy()
print("shape (O, C, KH, KW):", weight.shape)
assert weight.shape == (64, 3, 7, 7)

strongest = int(weight.var(axis=(1, 2, 3)).argmax())
np.set_printoptions(precision=2, suppress=True)
print(f"filter {strongest}, the kernel for green:\n{weight[strongest, 1]}")
print(f"one number of it, row 3, column 4: {weight[strongest, 1, 3, 4]:.4f}")
assert weight[strongest, 1].shape == (7, 7)

# %% [markdown]
# ## As pictures
#
# Red, green and blue of a pixel are the three weights at one place, so a filter of the first layer can be looked at as a
# small colour picture. A weight of zero becomes mid-grey. Each filter is scaled by its own largest weight: the title says so,
# for with another rule the same numbers look different.

# %%
figure = viz.draw_filters(model, order="variance", title="The first layer, trained: 64 filters of 7 × 7")
figure.savefig(out / "02_first_layer_filters_trained.png")
figure

# %%
minicnn.manual_seed(0)
untrained = tinynet(None)
figure = viz.draw_filters(untrained, order="variance", title="The same layer before training")
figure.savefig(out / "02_first_layer_filters_untrained.png")
figure

# %% [markdown]
# ## A number
#
# Edges, gratings and blobs are smooth: their power lies at low spatial frequencies. Noise has its power everywhere. So we
# take the Fourier transform of every kernel and ask which share of the power lies within 1.5 cycles of zero.


# %%
def low_frequency_share(weight: np.ndarray) -> float:
    """The share of the spectral power of kernels (O, C, 7, 7) within radius 1.5 of the 7 x 7 transform."""
    power = np.abs(np.fft.fft2(weight)) ** 2
    f = np.fft.fftfreq(7) * 7  # 0, 1, 2, 3, -3, -2, -1 cycles over the kernel
    low = np.hypot(f[:, None], f[None, :]) <= 1.5
    return float(power[..., low].sum() / power.sum())


trained_share = low_frequency_share(weight)
untrained_share = low_frequency_share(untrained.features[0].weight.detach().numpy())
print(f"low-frequency share: trained {trained_share:.3f}, untrained {untrained_share:.3f} (9 of 49 places: {9 / 49:.3f})")
assert trained_share > 1.5 * untrained_share

# %% [markdown]
# What the number says: these filters were fitted to photographs. What it does **not** say is that the network generalises:
# networks trained on photographs with *shuffled* labels, which can only memorise, grow much the same first layer (Chowers and
# Weiss 2023; Maennel et al. 2020). Whether a network generalises shows in its accuracy on images it has not seen.
#
# ## How it came about
#
# While the network was trained its first layer was recorded about forty times.

# %%
history = np.load(weights_path("history_standard.npz"))
steps, recorded = history["filter_step"], history["filters"].astype(np.float32)
shares = np.array([low_frequency_share(w) for w in recorded])
print(f"recorded at {len(steps)} moments: share {shares[0]:.3f} at the start, {shares[-1]:.3f} after {steps[-1]:,} steps")
assert shares[-1] > shares[0]

figure = Figure(figsize=(9, 6.2), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1))
moments = np.linspace(0, len(steps) - 1, 8).round().astype(int)
grid = top.subplots(5, 8)
followed = weight.var(axis=(1, 2, 3)).argsort()[::-1][:5]
for column, moment in enumerate(moments):
    tiles = viz.filter_tiles(recorded[moment])
    for row, channel in enumerate(followed):
        grid[row, column].imshow(tiles[channel], interpolation="nearest")
        grid[row, column].set_axis_off()
    grid[0, column].set_title(f"step {steps[moment]:,}", fontsize=8)
ax = bottom.subplots()
ax.plot(np.maximum(steps, 0.7), shares, marker=".")
ax.set_xscale("log")
ax.set_xlabel("training step (the first point is the start)")
ax.set_ylabel("low-frequency share")
ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("Five filters while they grow (each picture scaled by itself), and the share of all 64")
figure.savefig(out / "02_first_layer_filters_growing.png", dpi=110)
figure

# %%
print("Next lesson: lessons/03_feature_maps.py")
