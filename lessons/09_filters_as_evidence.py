# %% [markdown]
# # 9. Filters as evidence
#
# **You need:** lesson 2. A correlation coefficient.
#
# **You leave with:** a wave under a bell fitted to every filter; what an R² of 0.9 is worth, measured on noise; the report of a layer,
# each number beside its control; deep filters carried back to the pixels, and how much of the network that picture still describes.
#
# **Run time:** about fifteen seconds. **Files written:** `lessons/out/09_filters_as_evidence_*.png` (8 figures).

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")
model = tinynet("standard").eval()
rng = np.random.default_rng(0)

# %% [markdown]
# ## A name for what we see
#
# "The filters are edge detectors", says everyone who looks at a first layer. The usual way to make a number of that is the **Gabor
# function**: a wave (bars) under a bell (which says where the bars are). It has eight numbers:
#
# - the *orientation* of the bars and their *frequency*, in cycles a pixel;
# - the *phase*: 0 is a bright bar in the middle, 180 a dark one, 90 an edge;
# - the bell's place (two numbers) and its two widths, across the bars and along them;
# - the *height* of it all.
#
# Vary one at a time:

# %%
rows, columns = np.mgrid[-3:3:49j, -3:3:49j]


def gabor(orientation=90, frequency=0.2, phase=0, across=1.6, along=1.6):
    """One Gabor function on 6 x 6 pixels, drawn finely. Angles in degrees, lengths in pixels."""
    angle = np.radians(orientation)
    u = columns * np.sin(angle) + rows * np.cos(angle)  # across the bars
    v = columns * np.cos(angle) - rows * np.sin(angle)  # along them
    bell = np.exp(-(u**2) / (2 * across**2) - v**2 / (2 * along**2))
    return bell * np.cos(2 * np.pi * frequency * u + np.radians(phase))


variations = {
    "orientation": (0, 45, 90, 135),
    "frequency": (0, 0.1, 0.2, 0.4),
    "phase": (0, 90, 180, -90),
    "along": (0.5, 1, 2, 4),
}
figure = Figure(figsize=(11, 3.3), layout="constrained")
axes = figure.subplots(2, 8)
for i, (name, values) in enumerate(variations.items()):
    for j, value in enumerate(values):
        ax = axes[i // 2, 4 * (i % 2) + j]
        ax.imshow(gabor(**{name: value}), cmap="gray", vmin=-1, vmax=1)
        ax.set_title(f"{name} {value}", fontsize=9)
        ax.set_axis_off()
figure.suptitle("Gabor functions: one number changed at a time (black -1, mid-grey 0, white +1)")
figure.savefig(out / "09_filters_as_evidence_gabors.png", dpi=110)
figure

# %% [markdown]
# A filter has three colours, a Gabor function has none. So each filter is first reduced to its **principal kernel**: the one 7 x 7
# pattern that comes closest to all three planes, if it is multiplied by one weight for each colour. (It is the first term of a singular
# value decomposition.) Most filters of the first layer are little else. To each of these kernels the nearest Gabor function is fitted.
# **R²** says how well: it is the share of the kernel's sum of squares that the fit accounts for.

# %%
report = viz.filter_report(model)
print(f"the principal kernel has {report.quality.share:.0%} of a filter (median); of three planes of noise: "
      f"{report.noise_quality.share:.0%}")  # fmt: skip
assert report.quality.share > report.noise_quality.share + 0.2

best = int(np.nanargmax(np.where(report.oriented, report.gabor.r2, np.nan)))
fit = report.gabor
print(
    f"filter {best}: bars at {fit.orientation[best]:.0f} degrees, {fit.frequency[best]:.2f} cycles a pixel, "
    f"phase {fit.phase[best]:.0f}, bell {fit.sigma[best, 0]:.1f} x {fit.sigma[best, 1]:.1f} pixels, R2 {fit.r2[best]:.2f}"
)
kernel, fitted = report.kernels[best], fit.fitted[best]
by_hand = 1 - ((kernel - fitted) ** 2).sum() / (kernel**2).sum()
assert abs(by_hand - fit.r2[best]) < 1e-6

figure = report.draw_fits(title="The first layer: each filter, and its Gabor beside it")
figure.savefig(out / "09_filters_as_evidence_fits.png")
figure

# %% [markdown]
# ## Is an R² of 0.9 a lot?
#
# It sounds like a lot. But eight numbers are fitted, and a small kernel does not have many more. So we make the same fit to kernels of
# pure noise, in which there is nothing to find.

# %%
sides = (3, 5, 7, 11)
figure = Figure(figsize=(11, 2.7), layout="constrained")
for ax, side in zip(figure.subplots(1, 4, sharey=True), sides, strict=True):
    noise = viz.noise_r2(side, side)
    print(
        f"noise, {side:2} x {side:<2}: median R2 {np.median(noise):.2f}, 95 % lie below {np.percentile(noise, 95):.2f}"
    )
    ax.hist(noise, np.linspace(0, 1, 41), color="#999999")
    ax.axvline(np.median(noise), color="#d95f02")
    ax.set_title(f"{side} × {side} noise: median {np.median(noise):.2f}", fontsize=10)
    ax.set_xlabel("R² of the Gabor fit")
    ax.spines[["top", "right"]].set_visible(False)
assert np.median(viz.noise_r2(3, 3)) > 0.8
assert np.median(viz.noise_r2(7, 7)) < 0.35
figure.suptitle("How well Gabors fit to nothing: 256 kernels of white noise of each size")
figure.savefig(out / "09_filters_as_evidence_noise.png", dpi=110)
figure

# %% [markdown]
# A Gabor function "explains" 87 % of a 3 x 3 kernel of noise. **An R² means nothing without the R² of noise: of kernels of the same size,
# found by the same fit.** At 7 x 7 noise reaches 0.3, so there is room above it. The report of a layer is built like that: each number
# stands beside that of noise.

# %%
print(report)
assert report.beyond_noise.mean() > 0.8
assert report.r2_above_noise > 0.3
figure = report.figure("The first layer, trained on photographs")
figure.savefig(out / "09_filters_as_evidence_report.png")
figure

# %%
minicnn.manual_seed(0)
untrained = viz.filter_report(tinynet())
print(
    f"untrained: median R2 {np.median(untrained.gabor.r2):.2f}, {untrained.beyond_noise.mean():.0%} above 95 % of the noise"
)
assert abs(untrained.r2_above_noise) < 0.06
figure = untrained.figure("The same layer before training: all of it is noise")
figure.savefig(out / "09_filters_as_evidence_untrained.png")
figure

# %% [markdown]
# The other rows of the table:
#
# - **variance entropy**: are all patterns equally frequent (1), or is there only one (0)? The fourth panel shows the distribution behind
#   it.
# - **sparsity**: how many kernels are practically zero. **Dead filters**: whole filters of that kind.
# - **orthogonality**: 1 if no filter looks like another one, 0 if all are the same. Trained filters are *less* orthogonal than noise.
#   That is no fault: there are few smooth patterns, while 64 random directions of 147 are nearly at right angles anyway.
#
# ## Controls that are harder to beat
#
# White noise is an easy opponent. Trained filters are smooth, and noise is not. Is "Gabor" more than another word for smooth? Two more
# controls: noise that was blurred a little, and 7 x 7 patches cut blindly out of a photograph (less their mean). Nobody has learned
# either of them.

# %%
fresh = rng.standard_normal((256, 3, 9, 9))
blur = np.array([1, 2, 1]) / 4
blurred = sum(blur[i] * blur[j] * fresh[:, :, i : i + 7, j : j + 7] for i in range(3) for j in range(3))
photo = viz.preprocess(viz.sample_photo(), model).numpy()[0]  # (3, 64, 64)
tops, lefts = rng.integers(0, 64 - 6, (2, 256))
patches = np.stack([photo[:, top : top + 7, left : left + 7] for top, left in zip(tops, lefts, strict=True)])
patches = patches - patches.mean(axis=(1, 2, 3), keepdims=True)

controls = {
    "white noise": untrained,
    "blurred noise": viz.filter_report(blurred),
    "patches of a photograph": viz.filter_report(patches),
    "trained filters": report,
}
figure = Figure(figsize=(11, 3), layout="constrained")
panels = figure.subplots(1, 2)
for (name, measured), colour in zip(controls.items(), ("#999999", "#56b4e9", "#0072b2", "#d95f02"), strict=True):
    r2, frequency = measured.gabor.r2, measured.gabor.frequency
    r2 = np.sort(r2[~np.isnan(r2)])
    fine = np.nanmean(frequency > 0.2)
    print(f"{name:24} median R2 {np.median(r2):.2f}, share of waves finer than 5 pixels {fine:.0%}")
    panels[0].plot(r2, np.linspace(0, 1, len(r2)), color=colour, label=name)
    values = np.sort(frequency[~np.isnan(frequency)])
    panels[1].plot(values, np.linspace(0, 1, len(values)), color=colour)
for ax, name in zip(panels, ("R² of the Gabor fit", "frequency of the fitted wave, cycles a pixel"), strict=True):
    ax.set_xlabel(name)
    ax.set_ylabel("share of filters below")
    ax.spines[["top", "right"]].set_visible(False)
panels[1].legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=9, loc="lower right")
figure.suptitle("Anything smooth is fitted well: the trained layer beside three controls")
figure.savefig(out / "09_filters_as_evidence_controls.png", dpi=110)

medians = {name: np.nanmedian(measured.gabor.r2) for name, measured in controls.items()}
assert medians["patches of a photograph"] > 0.75
assert medians["blurred noise"] > np.percentile(report.noise_r2, 95)
figure

# %% [markdown]
# Patches cut blindly out of a photograph are fitted about as well as trained filters. So a high R² shows that the filters are *not white
# noise*. It does not show that the network knows anything that blind scissors do not. The right panel shows what sets the trained layer
# apart from the patches: waves finer than five pixels, of which patches have next to none. The network has made them stronger than they
# are in photographs.

# %%
fine = {name: np.nanmean(measured.gabor.frequency > 0.2) for name, measured in controls.items()}
assert fine["trained filters"] > fine["patches of a photograph"] + 0.05

# %% [markdown]
# Where that comes from, and whether it has to do with understanding, is the question of the next lesson.
#
# ## Deeper layers
#
# Here is the same report for all five convolutions. A deep filter has a kernel for each of its many input channels. Its principal kernel
# is again the one pattern that comes closest to all of them.

# %%
layers = ["features.0", "features.3", "features.6", "features.8", "features.10"]
reports = {layer: viz.filter_report(model, layer) for layer in layers}
print("layer         kernel   R2 (noise)    principal kernel's share (noise)   entropy (noise)")
for layer, r in reports.items():
    q, n = r.quality, r.noise_quality
    kernel = " x ".join(map(str, r.weight.shape[1:]))
    print(f"{layer:12} {kernel:>11}   {np.nanmedian(r.gabor.r2):.2f} ({np.median(r.noise_r2):.2f})   "
          f"{q.share:.2f} ({n.share:.2f})   {q.variance_entropy:.2f} ({n.variance_entropy:.2f})")  # fmt: skip
last, second = reports["features.10"], reports["features.3"]
assert all(r.quality.share > r.noise_quality.share + 0.1 for r in reports.values())
assert last.quality.variance_entropy < second.quality.variance_entropy - 0.15
figure = last.figure("The last convolution: 3 × 3 kernels, nearly all of them flat")
figure.savefig(out / "09_filters_as_evidence_last.png")
figure

# %% [markdown]
# Two things that no grid of pictures would have shown:
#
# - In the 3 x 3 layers R² is near 1 and says little, because noise is fitted nearly as well.
# - The kernels of the last convolution are flat: one pattern carries almost all the variance. Behind this layer the network takes the
#   *mean* of the whole map. So it does not matter where in a kernel a weight stands, and training made the nine alike.
#
# ## Back to the pixels
#
# A deep filter weighs channels, not pixels. But a convolution of a convolution is a convolution. So its weights could be multiplied out
# until they stand over pixels, **if all that lies between were linear**. The ReLUs and the max-poolings are not. So we have to state a
# rule: let each ReLU pass its input on, and let each max-pooling take the mean of its window. What comes out are the **expanded
# weights**. They are the gradient of the unit in that linear network, exact, and the same for any image.
#
# By hand, for two layers of 3 x 3: each weight of the second layer places a copy of the first layer's kernels.

# %%
minicnn.manual_seed(0)
small = minicnn.nn.Sequential(minicnn.nn.Conv2d(3, 4, 3), minicnn.nn.ReLU(), minicnn.nn.Conv2d(4, 1, 3))
first, then = small[0].weight.detach().numpy(), small[2].weight.detach().numpy()
by_hand = np.zeros((3, 5, 5))
for row in range(3):
    for column in range(3):
        for middle in range(4):
            by_hand[:, row : row + 3, column : column + 3] += then[0, middle, row, column] * first[middle]
expanded = viz.expanded_weights(small, "2", size=16).weights[0]
print(f"largest difference between the loops and the library: {np.abs(by_hand - expanded).max():.1e}")
assert np.allclose(by_hand, expanded, atol=1e-6)

# %% [markdown]
# Now the bundled network, eight units of each layer. And at once we ask how much the linear network still is like the real one: both look
# at the photograph, and for each channel the two maps are correlated.

# %%
x = viz.preprocess(viz.sample_photo(), model)
with minicnn.no_grad(), viz.capture(model, layers) as real:
    model(x)
with minicnn.no_grad(), viz.linearized(model), viz.capture(model, layers) as linear:
    model(x)

agreement = {}
figure = Figure(figsize=(11, 7.2), layout="constrained")
axes = figure.subplots(len(layers), 8)
for row, layer in zip(axes, layers, strict=True):
    pairs = zip(real[layer].numpy()[0], linear[layer].numpy()[0], strict=True)
    agreement[layer] = np.median([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])
    expanded = viz.expanded_weights(model, layer, range(8), size=96)
    side = expanded.weights.shape[-1]
    print(
        f"{layer:12} weights over {side} x {side} pixels; its map agrees with the network's: r = {agreement[layer]:.2f}"
    )
    for ax, picture, channel in zip(row, viz.filter_tiles(expanded.weights), expanded.channels, strict=True):
        ax.imshow(picture)
        ax.set_title(f"{layer}:{channel}", fontsize=7.5)
        ax.set_axis_off()
    row[0].text(-0.12, 0.5, f"{side} × {side}\nr = {agreement[layer]:.2f}", transform=row[0].transAxes, ha="right",
                va="center", fontsize=9)  # fmt: skip
figure.suptitle(
    "Expanded weights: ReLUs open, maxima averaged (each picture on its own scale, mid-grey 0)\n"
    "r: how the linear network's maps correlate with the real ones, median over the channels"
)
figure.savefig(out / "09_filters_as_evidence_expanded.png", dpi=110)
assert agreement["features.0"] > 0.999
assert agreement["features.3"] < 0.9
assert agreement["features.10"] < agreement["features.3"] - 0.15
figure

# %% [markdown]
# In the second layer there is still something to see: how edges and colours of the first layer are put together. Then the pictures turn
# into coloured spots, and the linear network has little to do with the real one. The drawing is not to blame. It is a result: **what the
# deep layers do is in their ReLUs and poolings**, which are open or shut, and no single picture of weights holds that. A picture of a
# deep unit must let them work, as gradient ascent does (lesson 5). Or one must ask which photographs open them (lesson 14).
#
# **Try it:** the report of the robust twin, `viz.filter_report(tinynet("robust"))`. Is its last layer flat, too?

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/09_filters_as_evidence.py`.
#
# **1.** Write R²: the share of a kernel's sum of squares that a fit accounts for.

# %%
from lessons.exercises import check


def r_squared(kernel, fitted):
    """kernel, fitted: arrays of one shape -> a number, 1 for a perfect fit"""
    return ...


pair = np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[1.0, -1.0], [0.5, 0.5]])
check(1, r_squared(*pair), 0.8, "Subtract the fit; what is left of the sum of squares is the share that was missed.")

# %% [markdown]
# **2.** A convolution of 3 x 3 with stride 2, a ReLU, and another convolution of 3 x 3. How wide are the expanded weights of the second
# convolution?

# %%
answer = ...

chain = minicnn.nn.Sequential(minicnn.nn.Conv2d(3, 4, 3, stride=2), minicnn.nn.ReLU(), minicnn.nn.Conv2d(4, 1, 3))
width = viz.expanded_weights(chain, "2", size=16).weights.shape[-1]
check(2, answer, width, "The second kernel meets three cells of the first map, and these lie 2 pixels apart.")

# %%
print("Next lesson: lessons/10_memorising_or_learning.py")
