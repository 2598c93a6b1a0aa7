# %% [markdown]
# # 11. How filters grow
#
# **You need:** lessons 2 and 9.
#
# **You leave with:** the first layer at forty moments of its training, as a film strip and as a film; when its order appears, and what
# the network learns before and after that; what a filter keeps of the random numbers it began with.
#
# **Run time:** about fifteen seconds. **Files written:** `lessons/out/11_how_filters_grow_*.png` (3 figures) and `..._film.gif`.

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from minicnn import viz
from minicnn.models import weights_path

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## The recording
#
# The bundled network was trained once. What was not written down then is lost. So its first layer was saved at about forty moments, close
# together at the start, with the curves of the training. One *step* is one batch of 128 photographs.

# %%
history = np.load(weights_path("history_standard.npz"))
for name in ("filters", "filter_step", "loss", "loss_step", "val_top1", "val_step"):
    print(f"{name:12} {history[name].shape}")
steps = history["filter_step"]
assert steps[0] == 0 and len(steps) > 30

growth = viz.filter_growth(history, progress=False)
print("   step   median R2   above noise   with bars or an edge   variance entropy")
for i in growth.moments(9):
    print(f"{steps[i]:7,} {growth.r2[i]:11.2f} {growth.beyond_noise[i]:13.0%} {growth.oriented[i]:22.0%} "
          f"{growth.variance_entropy[i]:18.2f}")  # fmt: skip
assert growth.r2[-1] > growth.r2[0] + 0.3
assert growth.beyond_noise[0] < 0.2
assert growth.beyond_noise[-1] > 0.8

# %% [markdown]
# ## The film strip
#
# Six filters, from the one that is fitted worst at the end to the one that is fitted best. The columns are not evenly spaced in time:
# from each to the next there is an equal amount of change. Evenly spaced in time, or in the logarithm of time, most columns would show
# the same picture.

# %%
figure = growth.figure(title="Six of the 64 filters, from random numbers to edges and colours")
figure.savefig(out / "11_how_filters_grow_strip.png")
figure

# %% [markdown]
# And all 64 filters as a film, which stands still at the end. matplotlib writes it, here as a GIF; with ffmpeg installed
# `.save("film.mp4")` works, too.

# %%
growth.animation(title="The first layer while it is trained").save(
    out / "11_how_filters_grow_film.gif", writer="pillow", dpi=90
)

# %% [markdown]
# ## First nothing, then all at once, then nothing again
#
# The **cosine** of a filter with itself at the start says how far it has turned: 1 is not at all, 0 is a right angle. Put beside the loss
# and the accuracy, it tells what comes first.

# %%
start, end = np.median(growth.like_first, axis=1), np.median(growth.like_last, axis=1)
loss = np.interp(steps, history["loss_step"], history["loss"])  # at the moments of the recording
top1 = np.interp(steps, history["val_step"], history["val_top1"], left=0)
early = np.flatnonzero(start > 0.95)[-1]  # the last moment at which the filters have hardly turned
late = np.flatnonzero(end > 0.9)[0]  # the first at which they are nearly what they will be
first_loss, last_loss = history["loss"][0], history["loss"][-1]

print(f"step {steps[early]:,}: the filters have hardly turned (cosine with the start {start[early]:.2f}), "
      f"the loss has fallen from {first_loss:.2f} to {loss[early]:.2f}")  # fmt: skip
assert loss[early] < first_loss - 0.3
print(f"step {steps[late]:,}: the filters are nearly finished (cosine with the end {end[late]:.2f}), accuracy {top1[late]:.0%} "
      f"of {history['val_top1'][-1]:.0%} at the end")  # fmt: skip
assert top1[late] < 0.75 * history["val_top1"][-1]
assert steps[late] < 0.5 * steps[-1]

figure = Figure(figsize=(10, 4.6), layout="constrained")
upper, lower = figure.subplots(2, 1, sharex=True)
x = np.maximum(steps, 1)
upper.plot(x, start, color="#999999", label="cosine with its start")
upper.plot(x, end, color="#d95f02", label="cosine with its end")
upper.set_ylabel("median of 64 filters")
lower.plot(history["loss_step"], history["loss"] / first_loss, color="#0072b2", label="loss / first loss")
lower.plot(history["val_step"], history["val_top1"], "o-", color="#cc79a7", label="accuracy on held-out photographs")
lower.set_ylabel("loss share, accuracy")
lower.set_xlabel("training steps (logarithmic; before step 20 nothing moves)")
for ax in (upper, lower):
    ax.axvspan(steps[early], steps[late], color="#f2f2f2", zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(20, 1.1 * steps[-1])
    ax.set_ylim(0, 1.05)
    ax.legend(frameon=False, loc="center left")
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("Grey: the time in which the first layer takes shape")
figure.savefig(out / "11_how_filters_grow_order.png", dpi=110)
figure

# %% [markdown]
# - **Before**: the loss falls although the first layer is still noise. The layers behind it learn to use random filters, and that is
#   better than guessing.
# - **Then** all filters turn at about the same time.
# - **After**: the first layer is nearly done, and most of the accuracy is still to come.
#
# One caution. The **learning rate**, the size of the steps, is small at first in this training, and grows through the first fifth (a
# **warm-up**). So part of the quiet beginning comes from the schedule and not from the network. And part of the late rise in accuracy
# comes from the rate, which falls to zero. What the schedule does not explain is the order: the loss moves first, the filters after it,
# most of the accuracy last.
#
# ## What is left of the start?
#
# A filter begins as 147 random numbers, and at the end it looks like anything but that. Yet take the final filters, and ask of each
# starting filter: which final one is most similar to it? If the start were forgotten, its own would win one time in 64.

# %%
flat = growth.filters.reshape(*growth.filters.shape[:2], -1)
flat = flat / np.linalg.norm(flat, axis=2, keepdims=True)
similar = flat[0] @ flat[-1].T  # (64 at the start, 64 at the end)
own = np.diag(similar)
others = np.abs(similar[~np.eye(len(similar), dtype=bool)])
faithful = (similar.argmax(axis=1) == np.arange(len(similar))).sum()
print(
    f"cosine of start and end: own filter {np.median(own):.2f}, any other {np.median(others):.2f} (median, without sign)"
)
print(
    f"{faithful} of {len(similar)} starting filters are most similar to what they became themselves; by chance it would be 1"
)
assert faithful > len(similar) / 3
assert np.median(own) > 2 * np.median(others)

figure = Figure(figsize=(10, 4.4), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
top = np.abs(similar).max()
shown = left.imshow(similar, cmap="RdBu_r", vmin=-top, vmax=top)
left.set_xlabel("filter at the end")
left.set_ylabel("filter at the start")
figure.colorbar(shown, ax=left, shrink=0.8, label="cosine (one scale, symmetric about 0)")
bins = np.linspace(-top, top, 40)
right.hist(similar[~np.eye(len(similar), dtype=bool)], bins, density=True, color="#999999", label="with another filter")
right.hist(own, bins, density=True, color="#d95f02", alpha=0.8, label="with what it became")
right.set_xlabel("cosine of a starting filter")
right.set_ylabel("density")
right.legend(frameon=False)
right.spines[["top", "right"]].set_visible(False)
figure.suptitle("The diagonal: most filters still resemble the random numbers they grew from")
figure.savefig(out / "11_how_filters_grow_start.png", dpi=110)
figure

# %% [markdown]
# So chance decides which filter becomes which. What the layer becomes as a whole hardly depends on chance: networks that were trained
# from different random numbers had first layers whose energy lay alike (Chowers and Weiss 2023; lesson 10 measures that energy). The four
# first layers of lesson 10 began with one set of random numbers, so filter k can be followed across them.
#
# **Try it:** the robust twin started from the finished filters: `viz.filter_growth(np.load(weights_path("history_robust.npz")))`. How far
# do they turn?

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/11_how_filters_grow.py`.
#
# **1.** Training adds to a filter something that is as long as the filter, and at a right angle to it. What is the cosine of the
# new filter with the old one?

# %%
from lessons.exercises import check

answer = ...

old, added = np.array([1.0, 0.0]), np.array([0.0, 1.0])
new = old + added
check(
    1,
    answer,
    new @ old / np.linalg.norm(new) / np.linalg.norm(old),
    "Draw it: the diagonal of a square. The angle is 45 degrees.",
    tolerance=0.005,
)

# %% [markdown]
# **2.** At which step had the bundled network reached half of its final accuracy? Take the first such step that was written down.


# %%
def half_way(accuracy, step):
    """accuracy, step: arrays of one length -> the first step at which the accuracy is at least half of the last one"""
    return ...


accuracy, step = history["val_top1"], history["val_step"]
first_half = next(s for a, s in zip(accuracy, step, strict=True) if a >= accuracy[-1] / 2)
check(2, half_way(accuracy, step), first_half, "argmax of an array of True and False finds the first True.")

# %%
print("Next lesson: lessons/12_the_ladder.py")
