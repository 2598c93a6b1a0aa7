# %% [markdown]
# # 5. What does a deep filter look for?
#
# **You need:** lessons 1 to 4.
#
# **You leave with:** why a deeper filter cannot be read as a picture; gradient ascent on an image in ten lines; what makes
# its pictures readable; images from edges to shapes; and the same for a network that was trained to be robust.
#
# **Run time:** under a minute. **Files written:** `lessons/out/05_gradient_ascent_*.png` (4 figures).

# %%
import os
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import minicnn
from minicnn import nn, viz
from minicnn.models import from_spec, provenance

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")
Figure = viz.plain_figure()  # matplotlib's, but a "$" in the name of a class is a letter and begins no formula

# "tinynet" is the bundled network. Others: python -m lessons 5 --model alexnet --weights FILE.pth (and more patience)
spec, file = os.environ.get("LESSON_MODEL", "tinynet"), os.environ.get("LESSON_WEIGHTS")
model = from_spec(spec, file)
bundled = spec == "tinynet" and file is None  # what we claim about it, we do not claim about every network
network = "The bundled network" if bundled else provenance(spec, file)
print("network:", network)
robust = from_spec("tinynet:robust")

convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
chosen = np.unique(np.linspace(0, len(convolutions) - 1, 5).round().astype(int))  # five, the first and the last too
deep = convolutions[chosen[-2:][0]]  # the fourth of the five
print("convolutions:", ", ".join(convolutions[k] for k in chosen))

# %% [markdown]
# ## A deeper layer's weights
#
# A filter of the bundled network's third convolution has 128 kernels of 3 x 3, one for each map below it. They are not
# colours: to show three of them as red, green and blue would mix maps that have nothing to do with each other. All we can
# draw is the matrix of kernels.

# %%
kernels = convolutions[chosen[len(chosen) // 2]]
figure = viz.draw_kernels(model, kernels, rows=16, columns=32, title=f"{network}: kernels of {kernels}")
figure.savefig(out / "05_gradient_ascent_kernels.png")
figure

# %% [markdown]
# ## Gradient ascent, by hand
#
# So we ask differently: which image makes this filter answer most? The weights are held fixed, and the image is optimised: training the
# other way round. Start from grey noise, compute the answer, and move every pixel a little in the direction that raises it.
# The answer is the mean of channel 12 of `features.8`, the fourth convolution, before its ReLU: after it, a channel that is off
# everywhere would have no gradient and nothing would move.

# %%
channel = min(12, model.get_submodule(deep).out_channels - 1)
stats = viz.statistics(model)
rng = np.random.default_rng(0)
pixels = minicnn.tensor(0.5 + 0.05 * rng.standard_normal((1, 3, 64, 64)), dtype=minicnn.float32)
pixels.requires_grad_()
answers = []
for _ in range(40):
    with viz.capture(model, deep, copy=False, detach=False, stop=True) as maps:
        model((pixels - minicnn.tensor(stats.mean).view(3, 1, 1)) / minicnn.tensor(stats.std).view(3, 1, 1))
    answer = maps[deep][0, channel].mean()
    (gradient,) = minicnn.autograd.grad(answer, pixels)
    with minicnn.no_grad():
        pixels += 0.5 * gradient / gradient.std() / 255 * 4
        pixels.clamp_(0, 1)
    answers.append(answer.item())
print(f"channel {channel} of {deep} by hand: {answers[0]:.3f} at the start, {answers[-1]:.3f} after 40 steps")
assert answers[-1] > answers[0] + (1 if bundled else 0)

# %% [markdown]
# ## What makes a picture readable
#
# `maximize` is this loop with exchangeable parts. Two of them matter most: random shifts, turns and zooms before each step, and
# writing the image as waves (Fourier) in natural colours. Watch the number: it is the answer to the clean image, and a picture
# whose answer did not rise shows nothing. Lesson 12 takes the way between these three pictures in eight steps.

# %%
unit = f"{deep}:{channel}"
recipes = {
    "pixels": dict(parametrization="pixels", transforms="none"),
    "+ jitter, zoom, turn": dict(parametrization="pixels", transforms="standard"),
    "Fourier, natural colours": dict(parametrization="fourier", transforms="standard"),
}
figure = Figure(figsize=(8.4, 4.6), layout="constrained")
axes = figure.subplots(2, len(recipes), height_ratios=(2.4, 1), sharey="row")
for column, (name, parts) in enumerate(recipes.items()):
    result = viz.maximize(model, unit, steps=64, size=96, seed=0, progress=False, **parts)
    start, end = result.activation_start[0], result.activation_end[0]
    print(f"{name}: {start:.3f} -> {end:.3f} in {result.seconds:.0f} s")
    assert not bundled or end > start
    axes[0, column].imshow(result.images[0], interpolation="bilinear")
    axes[0, column].set_title(f"{name}\n{start:.3f} → {end:.2f}", fontsize=9)
    axes[0, column].set_axis_off()
    axes[1, column].plot(result.scores[:, 0], linewidth=0.8)
    axes[1, column].set_xlabel("step", fontsize=8)
    axes[1, column].tick_params(labelsize=7)
axes[1, 0].set_ylabel("score on the\nchanged image", fontsize=8)
figure.suptitle(f"{network}, {unit}: the activation of the clean image, before → after", fontsize=10, wrap=True)
figure.savefig(out / "05_gradient_ascent_recipes.png", dpi=110)
figure

# %% [markdown]
# ## From edges to shapes
#
# The same recipe for units of every layer. The first row takes one position of the first layer's map: the mean of a
# whole map of a linear layer depends on nothing but the image's mean colour and its border, and its picture is flat. And it is linear in
# the pixels: alone it would ask for the extreme of every colour. So the pixels are charged for their squared distance from grey, each
# unit in proportion to its strongest weight. Then its best image is the filter itself, which we can check.

# %%
strongest = np.argsort(-viz.weight_of(model).var(axis=(1, 2, 3)))[:8]
rows = {"conv 1 (one position)": [f"{convolutions[0]}:{c}@centre" for c in strongest]}
for place, k in enumerate(chosen[1:], 1):
    end = min(12 if place < 3 else 16, model.get_submodule(convolutions[k]).out_channels)
    rows[f"conv {k + 1}"] = [f"{convolutions[k]}:{c}" for c in range(max(0, end - 8), end)]
maximized = []
weights = viz.weight_of(model)[strongest]  # (8 or fewer, 3, height, width)
sizes = {"conv 1 (one position)": max(12, 2 * weights.shape[2]), "conv 2": 64}
charges = np.abs(weights).max(axis=(1, 2, 3)) / min(stats.std) * 3 * sizes["conv 1 (one position)"] ** 2 / 0.9
linear = dict(transforms="none", parametrization="pixels", penalties=[viz.L2(minicnn.tensor(charges))])
for caption, units in rows.items():
    parts = linear if caption.startswith("conv 1") else {}
    result = viz.maximize(
        model, units, steps=72, rate=0.1, size=sizes.get(caption, 96), seed=0, progress=False, **parts
    )
    print(f"{caption}: activation rose for {result.rose.sum()} of {len(units)} units, {result.seconds:.0f} s")
    assert not bundled or result.rose.all()
    maximized.append((caption, result))

images = maximized[0][1].images.transpose(0, 3, 1, 2) - 0.5  # of each the unit sees one place
sides = weights.shape[2:]
places = sliding_window_view(images, (3, *sides), axis=(1, 2, 3))[:, 0].reshape(len(weights), -1, weights[0].size)
best = (places * weights.reshape(len(weights), 1, -1)).sum(2).argmax(1)
alike = [np.corrcoef(places[i, best[i]], weights[i].ravel())[0, 1] for i in range(len(weights))]
print(f"correlation of the images with the filters: from {min(alike):.3f} to {max(alike):.3f}")
assert not bundled or min(alike) > 0.97

# %%
names = ["goldfish", "jellyfish", "king penguin", "ladybug", "monarch", "lighthouse", "school bus", "pizza"]
robust_targets = [f"logit:{name}" for name in names]
outputs = model(minicnn.zeros(1, 3, 64, 64)).shape[1]
known = {name: f"logit:{name}" for name in names if name in model.meta.categories}  # ImageNet calls a lighthouse beacon
classes = list(known.values()) or [f"logit:{k}" for k in range(min(8, outputs))]
standard_classes = viz.maximize(
    model, classes, steps=96, rate=0.08, size=64 if bundled else 128, seed=0, progress=False
)
maximized.append(("classes", standard_classes))
robust_classes = viz.maximize(robust, robust_targets, steps=96, rate=0.08, size=64, seed=0, progress=False)
maximized.append(("classes, robust twin" if bundled else "classes, TinyNet's\nrobust twin", robust_classes))
print(
    f"class logits rose for {standard_classes.rose.sum()} of {len(classes)}, and for {robust_classes.rose.sum()} of 8 (robust)"
)
assert not bundled or standard_classes.rose.all()
assert robust_classes.rose.all()
shown = [convolutions[k] for k in np.unique(chosen[[0, int(len(chosen) > 1), -1]])]  # early, middle, last
figure = viz.draw_overview(
    model,
    viz.sample_photo(),
    maximized,
    layers=["features.1", "features.4", "features.11"] if bundled else shown,
    title=f"{network}, from the inside",
)
figure.savefig(out / "05_gradient_ascent_overview.png")
figure

# %% [markdown]
# ## The robust twin
#
# The last two rows are the same architecture, trained twice. The robust twin was trained on images that an adversary had changed by up to
# 4 of 255 steps a pixel. More of its class images can be named by anyone. So the difference between the rows is what the networks
# learned, not what the recipe adds. Lesson 13 goes on from here.

# %%
figure = robust_classes.figure()
figure.savefig(out / "05_gradient_ascent_robust_classes.png")
figure

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/05_gradient_ascent.py`.
#
# **1.** In gradient ascent one thing is held fixed, and one is optimised. Which one is optimised: `"weights"` or `"image"`?

# %%
from lessons.exercises import check

answer = ...

check(1, answer, "image", "Look at what the loop of this lesson changes, line by line.")

# %% [markdown]
# **2.** Write one step of the ascent: every pixel moves by `rate` in the direction of its gradient's sign, and stays between 0
# and 1.


# %%
def ascent_step(image, gradient, rate):
    """image, gradient: arrays of one shape -> the image after the step"""
    return ...


image, gradient = np.array([0.5, 0.5, 0.99, 0.0]), np.array([3.0, -0.1, 2.0, -1.0])
after = np.array([0.52, 0.48, 1.0, 0.0])
check(
    2,
    ascent_step(image, gradient, 0.02),
    after,
    "np.sign gives the directions, np.clip keeps the numbers between two bounds.",
)

# %% [markdown]
# **3.** Why do we ask for the channel *before* its ReLU? Say how large the largest gradient is at a channel that is negative
# everywhere, seen through its ReLU.

# %%
answer = ...

off = minicnn.tensor([-3.0, -1.0, -0.5], requires_grad=True)
off.relu().mean().backward()
check(3, answer, off.grad.abs().max(), "Behind the ReLU all of them are 0, and stay 0 if they change a little.")

# %%
print("Next lesson: lessons/06_hooks_in_order.py")
