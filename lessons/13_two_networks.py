# %% [markdown]
# # 13. Two networks, one architecture
#
# **You need:** lessons 5 and 12.
#
# **You leave with:** the same recipes on two networks that differ in nothing but their training; what each of the two sees in the other's
# pictures; and an answer to the question whether such pictures show knowledge or noise.
#
# **Run time:** under a minute. **Files written:** `lessons/out/13_two_networks_*.png` (2 figures).

# %%
import os
from pathlib import Path

import numpy as np

import minicnn
from minicnn import viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

networks = {"standard": tinynet("standard").eval(), "robust twin": tinynet("robust").eval()}

# %% [markdown]
# ## What is different, and what is not
#
# The two networks have the same layers, and saw the same photographs. The twin started from the standard network's weights, and was
# trained on with an **adversary**. It changed every photograph by up to 4 of 255 steps a pixel, in the direction that raises the loss. So
# the twin has learned not to rely on anything that such a change can take away. That costs accuracy. And how far did its weights move?

# %%
for caption, network in networks.items():
    print(f"{caption}: {network.meta.accuracy:.1%} of 10,000 photographs that it never saw")
alike = {}
for name, parameter in networks["standard"].named_parameters():
    if name.endswith("weight"):
        a, b = parameter.detach().numpy().ravel(), networks["robust twin"].get_parameter(name).detach().numpy().ravel()
        alike[name] = float(a @ b / np.sqrt((a @ a) * (b @ b)))
        print(f"{name:<20} cosine between the two networks' weights: {alike[name]:.2f}")
assert networks["standard"].meta.accuracy > networks["robust twin"].meta.accuracy + 0.03
print(f"moved the most: {min(alike, key=alike.get)}")
assert min(alike.values()) > 0.7, "the twin is still a close relative"

# %% [markdown]
# ## How far a small step reaches
#
# We take one step against a network's own answer: every pixel of a photograph goes by 4/255 in the direction that lowers the logit of the
# class that it finds most probable. You could not see the difference. With `python -m lessons 13 --photo PATH` it is your photograph.

# %%
path = os.environ.get("LESSON_PHOTO")  # set by --photo
photo = viz.load_image(path) if path else viz.sample_photo()
changes = {}
for caption, network in networks.items():
    stats = viz.statistics(network)
    x = viz.preprocess(photo, network).requires_grad_()
    logits = network(x)
    best = logits.argmax().item()
    (gradient,) = minicnn.autograd.grad(logits[0, best], x)
    step = 4 / 255 / minicnn.tensor(stats.std).view(3, 1, 1)  # 4/255 of a pixel, in the network's units
    with minicnn.no_grad():
        attacked = network(x - step * gradient.sign())
    changes[caption] = (logits[0, best] - attacked[0, best]).item()
    print(
        f"{caption}: the logit of {network.meta.categories[best]!r} goes from {logits[0, best]:.2f} to {attacked[0, best]:.2f}"
    )
print(f"the same small step moves the standard network {changes['standard'] / changes['robust twin']:.1f} times as far")
assert changes["standard"] > 1.5 * changes["robust twin"]

# %% [markdown]
# ## The same recipes
#
# We make images of classes in two ways: with the full recipe (Fourier space, natural colours, random changes), and with naive ascent on
# pixels, which has no idea of what a picture looks like. What is in a naive picture comes from the network alone.

# %%
names = ["goldfish", "king penguin", "ladybug", "lighthouse", "school bus", "pizza"]
classes = [f"logit:{name}" for name in names]
recipes = {
    "full recipe": {"rate": 0.08},
    "naive pixels": {"parametrization": "pixels", "transforms": "none", "rate": 0.02},
}
made = {}
for recipe, parts in recipes.items():
    for caption, network in networks.items():
        result = viz.maximize(network, classes, steps=72, size=64, seed=0, progress=False, **parts)
        made[recipe, caption] = result
        start, end = result.activation_start.mean(), result.activation_end.mean()
        print(f"{recipe}, {caption}: mean logit {start:.1f} -> {end:.1f} in {result.seconds:.0f} s")
        assert result.rose.all()

# %%
rows = []
for (recipe, caption), result in made.items():
    labels = [f"{name}\n{end:.1f}" for name, end in zip(names, result.activation_end, strict=True)]
    rows.append((f"{recipe}\n{caption}", result.images, labels))
rule = "Gradient ascent on a class logit, 72 steps from the same noise. Below each name: the logit of the image in its own network."
figure = viz.draw_rows(rows, "One architecture, trained twice", rule)
figure.savefig(out / "13_two_networks_classes.png")
figure

# %% [markdown]
# ## Each judges the other's pictures
#
# A picture that shows a ladybug is a ladybug to others, too. A picture that only plays on its own network's weights is not. So we show
# each network the pictures that were made for the *other* one. We compare logits, since nearly all probabilities are 1.00 and say little.
# How much is left of the logit when the judge changes?


# %%
def logits_of(network, pictures):
    """The logit of class i of `classes` in picture i, (6,), and whether the network finds it the most probable, (6,)."""
    wanted = np.array([viz.logit(network, name).channel for name in names])
    found = viz.activation(network, lambda maps: maps[""][np.arange(len(wanted)), wanted], pictures, layers=[""])
    return found, found == viz.activation(network, lambda maps: maps[""].amax(1), pictures, layers=[""])


recognised, kept = {}, {}
for (recipe, maker), result in made.items():
    for judge, network in networks.items():
        found, right = logits_of(network, result.images)
        kept[recipe, maker, judge] = found.mean() / made[recipe, maker].activation_end.mean()
        print(f"{recipe:<12} made for {maker:<11} judged by {judge:<11}: mean logit {found.mean():4.1f}, "
              f"{kept[recipe, maker, judge]:4.0%} of that in its own network; its class first in {right.sum()} of 6")  # fmt: skip
        assert maker != judge or right.all(), "in its own eyes every picture shows its class"
        recognised[recipe, maker, judge] = right.sum()
for recipe in recipes:
    assert kept[recipe, "robust twin", "standard"] > 1 > 0.5 > kept[recipe, "standard", "robust twin"]
assert kept["naive pixels", "standard", "robust twin"] < kept["full recipe", "standard", "robust twin"]
assert recognised["naive pixels", "standard", "robust twin"] < 6

# %% [markdown]
# What was made for the twin excites the standard network even more than the twin itself. What was made for the standard network loses
# more than half of its logit in the eyes of the twin. It loses most in the naive pictures, which the twin does not always recognise: they
# are partly speckle that means the class to the standard network alone. Only partly, since the twin is a close relative: speckle that
# fits the one fits the other better than it would fit a stranger.

# %% [markdown]
# ## What each keeps of a photograph
#
# **Inversion** starts from noise, and looks for an image to which a layer answers as it answers to the photograph. Where the picture is
# right, the layer has kept what is in it. Where it is wrong, the layer does not see the difference.

# %%
layers = ["features.5", "features.11", "avgpool"]
inverted = {}
for caption, network in networks.items():
    inverted[caption] = viz.invert(network, photo, layers, steps=72, seed=0, progress=False)
    for layer, error, distance in zip(layers, inverted[caption].errors, inverted[caption].distances, strict=True):
        print(f"{caption:<11} {layer:<12} answers differ by {error:.1%}, pixels by {distance:.2f}")
    assert (inverted[caption].errors < 0.2).all()
    assert inverted[caption].distances[0] < inverted[caption].distances[2]

# %%
rows = [(caption, *each.row()) for caption, each in inverted.items()]
rule = (
    "Above each image: the layer, and the squared distance of its answers from those to the photograph, as a share of their squared "
    "length, before → after 72 steps."
)
figure = viz.draw_rows(rows, "What a layer knows of a photograph", rule)
figure.savefig(out / "13_two_networks_inversion.png")
figure

# %% [markdown]
# Early layers keep nearly everything. Behind the average over positions 256 numbers are left of 12,288. The image has the right kind of
# things in it, but not in the right places: *what* is kept, *where* is lost (lesson 4). Do not say that one row is better than the other
# before you have compared the distances of the pixels above: a picture that looks more like a photograph need not be nearer to *the*
# photograph.
#
# ## Knowledge or noise?
#
# Both, and the ascent cannot tell them apart, because the network uses both. A standard network leans on large shapes, and on fine
# patterns that happen to go with a class in photographs. Free ascent finds the fine patterns first, since they are cheap. Training
# against small changes takes the fine patterns away, and the naive picture becomes a picture. The recipe with its random changes does
# something similar from outside: it hides what the network also knows. So a beautiful image is no proof that this is *all* a unit answers
# to. And an ugly one is no proof that the network has learned nothing.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/13_two_networks.py`.
#
# **1.** Write the small step of the adversary: every value goes by `budget` in the direction that *lowers* the logit.

# %%
from lessons.exercises import check


def attack(values, gradient, budget):
    """values, gradient: arrays of one shape; gradient: that of the logit -> the values after the step"""
    return ...


values, slope = np.array([0.2, 0.5, 0.9]), np.array([4.0, -0.01, 0.0])
check(1, attack(values, slope, 0.1), [0.1, 0.6, 0.9], "Against the sign of the gradient, whatever its size.")

# %% [markdown]
# **2.** Why does so small a step reach so far? A score is a sum of 12,288 products of a weight, 0.01 or -0.01, and a value. Each
# value moves by 0.02 in the direction that lowers the score. By how much does the score fall?

# %%
answer = ...

weights = 0.01 * np.sign(np.random.default_rng(0).standard_normal(12288))
fall = -(weights * (-0.02 * np.sign(weights))).sum()
check(2, answer, fall, "Each product falls by 0.01 * 0.02, and all of them fall together.", tolerance=1e-3)

# %%
print("Next lesson: lessons/14_where_a_unit_looks.py")
