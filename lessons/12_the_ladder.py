# %% [markdown]
# # 12. The ladder: from noise to a picture
#
# **You need:** lessons 1 to 5: gradient ascent on an image.
#
# **You leave with:** what each of eight improvements does to one and the same picture, in numbers and in its spectrum; why the picture
# with the highest number is the worst one; several images for one unit; and what DeepDream is.
#
# **Run time:** under a minute. **Files written:** `lessons/out/12_the_ladder_*.png` (3 figures).

# %%
import os
from pathlib import Path

import numpy as np

from minicnn import viz
from minicnn.models import tinynet
from minicnn.viz.spectrum import NATURAL

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
robust = tinynet("robust").eval()

# %% [markdown]
# ## Eight rungs
#
# Lesson 5 asked: which image makes this unit answer most? The honest answer is unpleasant: speckle, which a network likes and nobody can
# read. All readable pictures come from a *narrower* question: which image of a certain kind? Each rung narrows it a little more.
#
# 1. **Pixels.** Any image at all.
# 2. **L2.** Values far from grey cost something.
# 3. **Total variation.** Differences between neighbouring pixels cost something, too.
# 4. **Blur.** So does all that a small blur would take away.
# 5. **Jitter, zoom, turn.** The image is moved at random before each step. Only what survives that can add up.
# 6. **Fourier, 1/f.** The ascent moves waves in place of pixels. The slow waves move more than the fast ones, in the same proportion as
#    photographs have more of them. That replaces the penalties of rungs 2 to 4.
# 7. **Natural colours.** Red, green and blue move together as they do in photographs.
# 8. **Fixed magnitude.** Each wave has exactly the strength that it has in photographs. Only its place can change.
#
# The unit is the logit of the class king penguin. Below the standard network stands its robust twin, which was trained against an
# adversary.

# %%
unit = "logit:king penguin"
ladder = viz.ladder(model, unit, steps=64, size=64, seed=0, progress=False)
twin = viz.ladder(robust, unit, steps=64, size=64, seed=0, progress=False)
print(f"standard: {ladder}\n")
print(f"robust twin: {twin}")
assert all(result.rose.all() for each in (ladder, twin) for result in each.results.values())

# %%
figure = ladder.figure(beside=twin)
figure.savefig(out / "12_the_ladder_rungs.png")
figure

# %% [markdown]
# ## A higher number is not a better picture
#
# The rung that looks most like a photograph has the lowest number. Nothing is wrong with that. A constraint takes images away, and the
# best of those that are left cannot be better than before. What the network answers to most strongly resembles no photograph, and that
# says something about the network.
#
# (The numbers mix two things: what is possible, and how fast the ascent gets there. In Fourier space it gets there faster. So after
# equally many steps rung 6 may stand above rung 5, or even above rung 1.)

# %%
for caption, each in (("standard", ladder), ("robust twin", twin)):
    free, bound = (each.results[name].activation_end[0] for name in ("pixels", "fixed magnitude"))
    print(f"{caption}: {free:.1f} with free pixels, {bound:.1f} with fixed magnitudes")
    assert bound < free

# %% [markdown]
# ## What the spectrum says
#
# Any image is a sum of waves. In photographs the magnitude of a wave of frequency f falls about as 1/f: the dashed line in the figure.
# Free pixels do not follow it. Each step moves every pixel by the same amount, and that is mostly the finest waves. The network answers
# to these as well as to the others, but the slow ones, which photographs are built on, hardly get off the ground. The penalties bend the
# fine end of the curve down. The Fourier rung lifts the slow end. The last rung lies on the line, because it is made so.


# %%
def distance_from_photographs(picture):
    """How far the spectrum is from the law of photographs: the mean over its rings of |log10(magnitude / law)|."""
    frequency, magnitude = viz.radial_spectrum(picture)
    law = NATURAL[0][0] / np.sqrt(3) / frequency ** NATURAL[0][1]
    return np.abs(np.log10(magnitude / law)).mean()


fine = {name: viz.fine_share(result.images[0]) for name, result in ladder.results.items()}
far = {name: distance_from_photographs(result.images[0]) for name, result in ladder.results.items()}
for name in fine:
    print(
        f"{name:<20} {fine[name]:5.1%} of the variance finer than 4 pixels; a factor {10 ** far[name]:.1f} from photographs"
    )
assert fine["pixels"] > fine["+ blur"] + 0.02
assert fine["pixels"] > fine["Fourier, 1/f"] + 0.1
assert far["fixed magnitude"] < 0.5 * far["pixels"]

# %% [markdown]
# The twin's naive picture is smoother than the standard network's, though nothing asked it to be. A network that small changes of the
# pixels must not move cannot listen to the finest waves.

# %%
twin_fine = viz.fine_share(twin.results["pixels"].images[0])
print(f"naive pixels, finer than 4 pixels: standard {fine['pixels']:.1%}, robust twin {twin_fine:.1%}")
assert twin_fine < fine["pixels"] - 0.03

# %% [markdown]
# ## More than one image
#
# A picture shows *one* image that excites the unit. Starting from other noise gives nearly the same again. To see more of what the unit
# answers to, we make a batch of images, and charge them for being alike. Two images are alike if the same channels of a layer are active
# together in both. That is what a **Gram matrix** holds: for each pair of channels, the sum over all positions of the product of the two.
# We charge the cosine of the images' Gram matrices. Look at what the unit still answers to, and at what that costs.

# %%
several = viz.diverse(model, "features.8:12", 4, strength=1.5, steps=56, size=64, seed=0, progress=False)
print(
    f"alike, from other noise:  {several.plain_similarity:.2f}; mean activation {several.plain.activation_end.mean():.2f}"
)
print(
    f"alike, with the new term: {several.diverse_similarity:.2f}; mean activation {several.diverse.activation_end.mean():.2f}"
)
assert several.diverse_similarity < several.plain_similarity - 0.1
assert several.diverse.rose.all()
figure = several.figure()
figure.savefig(out / "12_the_ladder_diverse.png")
figure

# %% [markdown]
# ## DeepDream
#
# This is the same ascent with another start: not noise, but a photograph. And the unit is a whole layer: whatever the layer already finds
# in the photograph, it shall find more of. It is done at three sizes, from small to large, so that large things are drawn first and then
# refined. With `python -m lessons 12 --photo PATH` it is your photograph that dreams.

# %%
path = os.environ.get("LESSON_PHOTO")  # set by --photo
photo = viz.load_image(path) if path else viz.sample_photo()
dream = viz.dream(model, photo, "features.8", size=192, octaves=3, steps=8, seed=0, progress=False)
moved = np.abs(dream.image - dream.photo).mean()
print(f"mean square answer of features.8: {dream.activation_start:.4f} -> {dream.activation_end:.4f}")
print(f"a pixel moved by {moved * 255:.0f} of 255 on the average")
assert dream.activation_end > 2 * dream.activation_start
figure = dream.figure()
figure.savefig(out / "12_the_ladder_dream.png")
figure

# %% [markdown]
# **Change something.** `viz.ladder` takes variants of your own, `{"name": {...arguments of maximize...}}`: what do natural colours do to
# naive pixels? `viz.FixedMagnitude(magnitude=viz.mean_magnitude(photographs))` takes the magnitudes of your own photographs.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/12_the_ladder.py`.
#
# **1.** The penalty of rung 3: add up the differences between all neighbours of `[[0, 1], [0, 3]]`, across and down, without their signs.

# %%
from lessons.exercises import check

answer = ...

picture = np.array([[0, 1], [0, 3]])
variation = sum(np.abs(np.diff(picture, axis=axis)).sum() for axis in (0, 1))
check(1, answer, variation, "Two pairs lie side by side, and two one above the other.")

# %% [markdown]
# **2.** By the law 1/f, how many times as strong as a wave of 0.2 cycles a pixel is one of 0.05?

# %%
answer = ...

law = 1 / np.array([0.05, 0.2])
check(2, answer, law[0] / law[1], "The slower wave has a quarter of the frequency.")

# %%
print("Next lesson: lessons/13_two_networks.py")
