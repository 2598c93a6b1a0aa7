# %% [markdown]
# # 10. Memorising or learning?
#
# **You need:** lesson 9, and lesson 1 (accuracy on photographs that a network never saw).
#
# **You leave with:** one network trained three times from the same random numbers: on photographs, on photographs with shuffled labels,
# and on noise; what its first layer shows of the difference, and what it does not.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/10_memorising_or_learning_*.png` (4 figures).

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from minicnn import viz
from minicnn.models import tinynet, weights_path

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## The claim, and how to test it
#
# One often reads: *clean, Gabor-like filters in the first layer show that a network has learned to generalise; a network that merely
# memorises has noisy filters.* To test that, one has to make a network memorise, and look. So one architecture went four ways
# (`weights/four_arms.py` trained it):
#
# | arm | images | labels | what there is to learn |
# |---|---|---|---|
# | initial | | | not trained at all |
# | true | 5,000 photographs of 20 classes | their own | what the classes look like |
# | shuffled | the same photographs | the same labels, dealt out anew at random | nothing but the list, by heart |
# | noise | 5,000 images of Gaussian noise | random | nothing but the list, and no photographs either |
#
# All start from the same random numbers, and are trained alike: the same number of images, the same steps, the same rates. Two things
# would have hindered memorising, so they were left out: changed images, and **weight decay**, which makes every weight a little smaller
# in each step. So filter 7 of one arm can be compared with filter 7 of another one.

# %%
data = np.load(weights_path("four_arms.npz"))
arms = ("initial", "true", "shuffled", "noise")
colours = dict(zip(arms, ("#999999", "#d95f02", "#0072b2", "#009e73"), strict=True))
layers = {arm: data[f"{arm}_filters"][-1].astype(np.float32) for arm in arms}  # each (64, 3, 7, 7)

print("arm          right on its training images   right on held-out images")
for arm in arms:
    print(f"{arm:12} {data[f'{arm}_train_top1'][-1]:27.1%} {data[f'{arm}_held_out_top1'][-1]:26.1%}")
for arm in arms[1:]:
    assert data[f"{arm}_train_top1"][-1] > 0.9
assert data["true_held_out_top1"][-1] > 0.25
for arm in ("shuffled", "noise"):
    assert abs(data[f"{arm}_held_out_top1"][-1] - 0.05) < 0.03

# %% [markdown]
# **Held-out** images are those that training has not seen. For *initial*, *true* and *shuffled* they are 1,000 photographs of the same
# classes, with their true labels; for *noise* they are 1,000 further noise images with random labels. A guess among 20 classes is right
# in 5 %.
#
# All three trained networks know their 5,000 images. Only one of them knows anything else. **Held-out accuracy tells learning from
# memorising, at a glance.** Do the filters tell it, too?
#
# First the curves of the training. One **epoch** is one pass over all training images.

# %%
figure = Figure(figsize=(10, 3), layout="constrained")
left, right = figure.subplots(1, 2)
for arm in arms[1:]:
    left.plot(np.arange(1, len(data[f"{arm}_loss"]) + 1), data[f"{arm}_loss"], color=colours[arm], label=arm)
    epochs = data[f"{arm}_top1_epoch"]
    right.plot(epochs, data[f"{arm}_train_top1"], color=colours[arm])
    right.plot(epochs, data[f"{arm}_held_out_top1"], color=colours[arm], linestyle=":")
right.plot([], [], color="#555555", label="training images")
right.plot([], [], color="#555555", linestyle=":", label="held-out images")
left.set_ylabel("loss, mean of an epoch")
right.set_ylabel("accuracy")
right.axhline(0.05, color="black", linewidth=0.6, label="a guess, 5 %")
by_heart = {arm: int(np.argmax(data[f"{arm}_loss"] < 0.1)) + 1 for arm in arms[1:]}
print("first epoch with a loss below 0.1:", ", ".join(f"{arm} {epoch}" for arm, epoch in by_heart.items()))
assert by_heart["noise"] < by_heart["true"] < by_heart["shuffled"]
for ax in (left, right):
    ax.set_xlabel("epoch")
    ax.set_ylim(0, None)
    ax.legend(frameon=False, fontsize=8, loc="upper right" if ax is left else (0.62, 0.66))
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("Three trainings (colours as at the left): all end up knowing their images by heart")
figure.savefig(out / "10_memorising_or_learning_curves.png", dpi=110)
figure

# %% [markdown]
# By the way: noise is the *easiest* to learn by heart, perhaps because no two images resemble one another. The hardest are photographs
# whose labels contradict what they look like.
#
# ## Look first
#
# Here are the same twelve filters of each arm, those that the true labels changed most. The last row is the bundled network. It is *not*
# one of the arms: it saw twenty times as many photographs, changed at random, with weight decay, and began with other random numbers.

# %%
turned = {arm: layers[arm] - layers["initial"] for arm in arms[1:]}  # what training has added
strongest = np.argsort(-(turned["true"] ** 2).sum(axis=(1, 2, 3)))[:12]
bundled = viz.weight_of(tinynet("standard"))
rows = {**layers, "bundled": bundled}
figure = Figure(figsize=(11, 5.2), layout="constrained")
for row, (name, filters) in zip(figure.subplots(5, 12), rows.items(), strict=True):
    shown = strongest if name != "bundled" else np.argsort(-bundled.var(axis=(1, 2, 3)))[:12]
    for ax, k in zip(row, shown, strict=True):
        ax.imshow(viz.filter_tiles(filters)[k])
        ax.set_axis_off()
        if name in ("initial", "bundled"):  # the bundled network's are others
            ax.set_title(f"filter {k}", fontsize=8)
    row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
figure.suptitle(
    "The same filters before and after three trainings, and others of the bundled network (each on its own scale, mid-grey 0)"
)
figure.savefig(out / "10_memorising_or_learning_filters.png", dpi=110)
figure

# %% [markdown]
# ## Numbers instead of looks
#
# Here is the report of lesson 9 for each arm, and for a control that nobody trained: noise, blurred a little. *Turned* is the angle
# between a filter and itself before training.

# %%
fresh, blur = np.random.default_rng(0).standard_normal((64, 3, 9, 9)), np.array([1, 2, 1]) / 4
blurred = sum(blur[i] * blur[j] * fresh[:, :, i : i + 7, j : j + 7] for i in range(3) for j in range(3))
reports = {name: viz.filter_report(filters) for name, filters in {**layers, "blurred": blurred}.items()}


def angle(a, b):
    """The median angle in degrees between the filters of two layers (64, 3, 7, 7), filter by filter."""
    a, b = a.reshape(64, -1), b.reshape(64, -1)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.degrees(np.median(np.arccos(cosine.clip(-1, 1))))


print(
    f"arm        turned   median R2   above 95 % of noise   variance entropy   (R2 of noise: {np.median(reports['true'].noise_r2):.2f})"
)
for name, r in reports.items():
    turn = f"{angle(layers[name], layers['initial']):4.0f} deg" if name in arms else "       -"
    print(
        f"{name:10} {turn} {np.median(r.gabor.r2):11.2f} {r.beyond_noise.mean():21.0%} {r.quality.variance_entropy:18.2f}"
    )
for arm in ("true", "shuffled", "blurred"):
    assert reports[arm].r2_above_noise > 0.15
    assert reports[arm].beyond_noise.mean() > 0.7
assert reports["blurred"].r2_above_noise > reports["shuffled"].r2_above_noise + 0.05
assert reports["blurred"].r2_above_noise > reports["true"].r2_above_noise - 0.05
assert angle(layers["noise"], layers["initial"]) > 20  # it has learned something too
for arm in ("initial", "noise"):
    assert abs(reports[arm].r2_above_noise) < 0.1
    assert reports[arm].beyond_noise.mean() < 0.3

# %% [markdown]
# **One network learned its list by heart, with nothing to understand in it. Its filters did not stay noisy**: nearly all of them are
# fitted better than 95 % of white noise. The network that never saw a photograph kept noisy filters, though they turned nearly as far. So
# this number tells *photographs* from *no photographs*. It does not tell learning from memorising.
#
# It does not say "Gabor-like" either. Blurred noise, which nobody trained, is fitted better than the shuffled arm and as well as the true
# one. An R² of this size says *smooth*, no more. The true labels give the larger R², but that is no mark of understanding: one training
# of each kind cannot say how much R² varies from one to the next. We need a number that blurred noise does not have.
#
# ## Energy along the patterns of photographs
#
# What do patches of photographs look like on average? A **principal component analysis** (PCA) finds the directions along which data
# differ most. Of 7 x 7 patches in three colours it makes 147 patterns, in their order: along the first one patches differ most. They
# begin with brightness, then come slopes from bright to dark, then finer and finer waves and colours. They were computed from the
# training photographs, and are in the same file.

# %%
components, variance = data["pca_components"], data["pca_variance"]
figure = Figure(figsize=(11, 1.7), layout="constrained")
for ax, i in zip(figure.subplots(1, 12), (0, 1, 2, 3, 4, 6, 9, 14, 24, 49, 99, 146), strict=True):
    ax.imshow(viz.filter_tiles(components[i].reshape(1, 3, 7, 7))[0])
    ax.set_title(f"{i + 1}: {100 * variance[i] / variance.sum():.2g} %", fontsize=8)
    ax.set_axis_off()
figure.suptitle(
    "Patterns of photographs: number, and share of the patches' variance (each on its own scale, mid-grey 0)",
    fontsize=10,
)
figure.savefig(out / "10_memorising_or_learning_patterns.png", dpi=110)
figure

# %% [markdown]
# The **energy** of a layer along a pattern is the sum of its filters' squared products with it, as a share of the whole. Chowers and
# Weiss (2023, "What do CNNs learn in the first layer and why?") proposed it as the way to compare first layers, because it does not ask
# how a filter looks to us. White noise has the same energy, 1/147, along every pattern.

# %%
energy = {arm: viz.component_energy(layers[arm], components) for arm in arms}
gained = {arm: viz.component_energy(turned[arm], components) for arm in arms[1:]}


def smooth(values, width=7):
    """The mean of neighbouring patterns: 64 filters alone are a rough measure of each."""
    ends = np.pad(values, width // 2, mode="edge")
    return np.convolve(ends, np.ones(width) / width, mode="valid")


figure = Figure(figsize=(11, 3.9), layout="constrained")
left, right = figure.subplots(1, 2)
index = np.arange(1, 148)
for ax, profiles in ((left, energy), (right, gained)):
    for arm, values in profiles.items():
        ax.plot(index, 147 * values, color=colours[arm], linewidth=0.5, alpha=0.5)
        ax.plot(index, 147 * smooth(values), color=colours[arm], linewidth=1.8, label=arm)
    ax.axhline(1, color="black", linewidth=0.6, linestyle=":")
    ax.set_yscale("log")
    ax.set_xlabel("pattern of photographs, from coarse to fine")
    ax.set_ylabel("energy (white noise: 1)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
left.set_title("the filters", fontsize=10)
right.set_title("what training has added to them", fontsize=10)
figure.suptitle("Which patterns of photographs the first layers listen to (thick: mean of 7 neighbours)")
figure.savefig(out / "10_memorising_or_learning_energy.png", dpi=110)

coarse = {arm: values[:20].sum() for arm, values in energy.items()}
print(f"share of the energy along the 20 coarsest patterns (white noise: {20 / 147:.2f}):")
print("  " + ", ".join(f"{arm} {value:.2f}" for arm, value in coarse.items()))
assert abs(coarse["initial"] - 20 / 147) < 0.02
assert min(coarse["true"], coarse["shuffled"]) > coarse["noise"] + 0.15
assert abs(coarse["true"] - coarse["shuffled"]) < 0.5 * (coarse["true"] - coarse["initial"])
figure


# %%
def alike(a, b):
    """Correlation of two energy profiles: of their logarithms, smoothed."""
    return np.corrcoef(np.log(smooth(a)), np.log(smooth(b)))[0, 1]


def factor(a, b):
    """By what factor two energy profiles, smoothed, differ on the average over the patterns."""
    return 10 ** np.abs(np.log10(smooth(a) / smooth(b))).mean()


others = {**gained, "blurred": viz.component_energy(blurred, components)}
apart = {name: factor(others[name], gained["true"]) for name in ("shuffled", "noise", "blurred")}
print("the energy differs from that which the true labels added, along a pattern and on average, by a factor of")
print("  " + ", ".join(f"{value:.1f} ({name})" for name, value in apart.items()))
assert apart["shuffled"] < 2
assert min(apart["noise"], apart["blurred"]) > 5
print("how alike two arms are in what training has added (correlation of the right-hand curves):")
for a, b in (("true", "shuffled"), ("true", "noise"), ("shuffled", "noise")):
    print(f"  {a} and {b}: {alike(gained[a], gained[b]):+.2f}")
assert alike(gained["true"], gained["shuffled"]) > 0.9
span = smooth(gained["true"]).max() / smooth(gained["true"]).min()
print(
    f"from the strongest pattern to the weakest the energy that the true labels added falls by a factor of {span:,.0f}"
)
assert span > 1000
ratio = variance[0] / variance.sum(), gained["true"][0], gained["shuffled"][0]
print(
    f"pattern 1 has {ratio[0]:.0%} of the patches' variance, but {ratio[1]:.1%} (true) and {ratio[2]:.1%} (shuffled) of the energy"
)
assert max(ratio[1:]) < 0.5 * ratio[0]

# %% [markdown]
# With true labels and with shuffled ones, training has added **nearly the same energy along the same patterns**, over several powers of
# ten. One layer served to recognise, the other one to recite, and this measure can hardly tell them apart. But it can tell blurred noise
# from them, which R² could not. The noise images were learned by heart just as well, and turned the filters nearly as far (the table
# above), but along no pattern in particular: noise has none.
#
# So the energy follows the *images*. It does not copy them either: the brightest pattern has most of the patches' variance, and next to
# nothing of the energy. The layer takes up the coarse patterns and evens them out. Chowers and Weiss derive that for linear networks, and
# call it whitening.
#
# ## What may be said
#
# - "This network was trained on photographs": the first layer shows it by its energy. An R² above that of noise shows no more than that
#   its filters are smooth.
# - "This network has learned something that holds for new photographs": the first layer does not show it. Held-out accuracy does, as the
#   table at the top says.
# - "Memorising leaves noisy filters": false as it stands. Memorising *noise* did, memorising *photographs* did not.
#
# And what may not be said? This is one training of each kind, of one small network, with one rate. Others saw the same in larger ones:
# Chowers and Weiss the equal energy, Maennel et al. (2020, "What do neural networks learn when trained with random labels?") that weights
# line up with the data's principal components whatever the labels. None of this shows that filters *cannot* tell learning from
# memorising. If you think you have a number that can, here are the four layers.
#
# **Try it:** `data["shuffled_filters"]` holds nine moments of the training. When does the shuffled arm get its filters: before it knows
# its list, or after?

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/10_memorising_or_learning.py`.
#
# **1.** Which of the arms know their training images (more than 90 % right), but next to nothing about held-out ones (less than 10 %)?

# %%
from lessons.exercises import check

answer = ...  # a set of texts, such as {"initial", "true"}

by_heart_alone = {arm for arm in arms if data[f"{arm}_train_top1"][-1] > 0.9 and data[f"{arm}_held_out_top1"][-1] < 0.1}
check(1, answer, by_heart_alone, "Both columns stand in the table at the beginning of this lesson.")

# %% [markdown]
# **2.** White noise has the same energy along each of the 147 patterns. Which share of it lies along the 20 coarsest ones?

# %%
answer = ...

white = viz.component_energy(np.random.default_rng(0).standard_normal((20000, 3, 7, 7)), data["pca_components"])
check(2, answer, white[:20].sum(), "All shares are equal, and together they are 1.", tolerance=0.003)

# %%
print("Next lesson: lessons/11_how_filters_grow.py")
