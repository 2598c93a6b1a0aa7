# %% [markdown]
# # 5. What does a deep filter look for?
#
# **You need:** lessons 1 to 4.
#
# **You leave with:** why a deeper filter cannot be drawn as a picture; gradient ascent on an image in ten lines; what makes
# its pictures readable; images from edges to shapes; and the same for a network that was trained to be robust.
#
# **Run time:** under a minute. **Files written:** `lessons/out/05_gradient_ascent_*.png` (4 figures).

# %%
import os
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import minicnn
from lessons.subject import Figure, Subject
from minicnn import viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# The bundled network; another one, with more patience: python -m lessons 5 --model alexnet --weights FILE.pth
subject = Subject()
model, network = subject.model, subject.name
robust = tinynet("robust")

convolutions = subject.spread(subject.convolutions)  # all five; of a deep network five, the first and the last too
deep = convolutions[-2:][0]  # "features.8", the fourth
print("convolutions:", ", ".join(convolutions))

# %% [markdown]
# ## A deeper layer's weights
#
# A filter of the first layer could be drawn as a picture, because its three kernels stand for red, green and blue. A filter of the third
# convolution has 128 kernels of 3 x 3, one for each map below it. These are no colours: to show three of them as red, green and blue
# would mix maps that have nothing to do with each other. All we can draw is the matrix of kernels. It says little to the eye.

# %%
kernels = convolutions[len(convolutions) // 2]
figure = viz.draw_kernels(model, kernels, rows=16, columns=32, title=f"{network}: kernels of {kernels}")
figure.savefig(out / "05_gradient_ascent_kernels.png")
figure

# %% [markdown]
# ## Gradient ascent, by hand
#
# So we ask differently: which image makes this filter answer most? **The weights are held fixed, and the image is optimised.** That is
# training the other way round. Start from grey noise and compute the answer. The backward pass says for each pixel by how much the
# answer rises if the pixel rises a little: its **gradient**. Move every pixel a little in that direction, and do it again.
#
# The answer is the mean of channel 12 of `features.8`, the fourth convolution. We take it *before* the ReLU. Behind the ReLU a channel
# that is off everywhere would have no gradient, and nothing would move: the gradient of a ReLU is 1 where its input is above 0, and 0
# below. (At 0 itself there is a corner and no slope. PyTorch and we set the gradient there to 0.)

# %%
channel = subject.channel(deep, 12)
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
assert answers[-1] > answers[0] + 1

# %% [markdown]
# ## What makes a picture readable
#
# `viz.maximize` is this loop with parts that can be exchanged. Two of them matter most. The first: the image is moved, turned and zoomed
# at random before each step, so only what survives that can grow. The second: the image is written as a sum of waves, as in lesson 2, in
# natural colours. Watch the number above each picture. It is the answer to the clean image, and a picture whose answer did not rise
# shows nothing. Lesson 12 goes from the first of these pictures to the last in eight steps.

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
    assert end > start
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
# A **unit** is one thing that answers: a channel of a layer, or a class. We use the same recipe for units of every layer.
#
# The first layer needs care, for two reasons. It has no ReLU before it, so the mean of a whole map depends on nothing but the image's
# mean colour and its border: its best picture is flat. So we ask for one position of the map, the one in the centre. And it is linear in
# the pixels: alone it would ask for the extreme of every colour. So we charge the pixels for their squared distance from grey, each unit
# in proportion to its strongest weight. Then the best image is the filter itself, which we can check.

# %%
weights = viz.weight_of(model)  # of the first convolution, (64, 3, 7, 7)
strongest = np.argsort(-weights.var(axis=(1, 2, 3)))[:8]
weights = weights[strongest]
side = max(12, 2 * weights.shape[2])
charges = np.abs(weights).max(axis=(1, 2, 3)) / min(stats.std) * 3 * side**2 / 0.9
fast = dict(steps=72, rate=0.1, seed=0, progress=False)
linear = dict(transforms="none", parametrization="pixels", penalties=[viz.L2(minicnn.tensor(charges))])
result = viz.maximize(model, [f"{convolutions[0]}:{c}@centre" for c in strongest], size=side, **fast, **linear)
print(f"conv 1, one position: activation rose for {result.rose.sum()} of {len(strongest)} units")
assert result.rose.all()
maximized = [("conv 1 (one position)", result)]

images = result.images.transpose(0, 3, 1, 2) - 0.5  # of each the unit sees one place
places = sliding_window_view(images, (3, *weights.shape[2:]), axis=(1, 2, 3))[:, 0]
places = places.reshape(len(weights), -1, weights[0].size)
best = (places * weights.reshape(len(weights), 1, -1)).sum(2).argmax(1)
alike = [np.corrcoef(places[i, best[i]], weights[i].ravel())[0, 1] for i in range(len(weights))]
print(f"correlation of the images with the filters: from {min(alike):.3f} to {max(alike):.3f}")
assert min(alike) > 0.97

# %% [markdown]
# Now the deeper layers, eight units each.

# %%
for layer, start in zip(convolutions[1:], (4, 4, 8, 8), strict=False):
    caption, units = f"conv {subject.convolutions.index(layer) + 1}", subject.channels(layer, start)
    result = viz.maximize(model, units, size=64 if layer == convolutions[1] else 96, **fast)
    print(f"{caption}: activation rose for {result.rose.sum()} of {len(units)} units, {result.seconds:.0f} s")
    assert result.rose.all()
    maximized.append((caption, result))

# %% [markdown]
# And classes: which image has the largest logit of "pizza"? We ask the bundled network, and its robust twin.

# %%
names = ["goldfish", "jellyfish", "king penguin", "ladybug", "monarch", "lighthouse", "school bus", "pizza"]
classes = subject.known(names)  # "logit:goldfish", ...
size = min(model.meta.input_size[-1], 128)  # 64
standard_classes = viz.maximize(model, classes, steps=96, rate=0.08, size=size, seed=0, progress=False)
maximized.append(("classes", standard_classes))
twins_classes = [f"logit:{name}" for name in names]
robust_classes = viz.maximize(robust, twins_classes, steps=96, rate=0.08, size=64, seed=0, progress=False)
maximized.append((f"classes, {subject.twin}", robust_classes))
print(
    f"class logits rose for {standard_classes.rose.sum()} of {len(classes)}, and for {robust_classes.rose.sum()} of 8 (robust)"
)
assert standard_classes.rose.all() and robust_classes.rose.all()
figure = viz.draw_overview(
    model,
    subject.photo(),
    maximized,
    layers=subject.spread(subject.activations(), 3),
    title=f"{network}, from the inside",
)
figure.savefig(out / "05_gradient_ascent_overview.png")
figure

# %% [markdown]
# ## The robust twin
#
# The last two rows show two networks with the same layers, which were trained differently. The robust twin was trained on **adversarial**
# images: each was changed against the network, by up to 4 of 255 steps a pixel, which you would not see. Its class images are easier to
# name. The recipe was the same, so the difference comes from what the networks learned. Lesson 13 goes on from here.

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
