# %% [markdown]
# # 14. Where a unit looks
#
# **You need:** lesson 3 (convolution), lesson 4 (feature maps).
#
# **You leave with:** the receptive field of any unit, computed with two lines of arithmetic, and checked by a gradient and by an
# experiment; and for any unit the pieces of photographs that excite it most, cut out to what it sees.
#
# **Run time:** under 20 seconds. **Files written:** `lessons/out/14_where_a_unit_looks_*.png` (3 figures).
#
# With `LESSON_IMAGES=a/folder` the search runs over your photographs (the first 500 of them) instead of those that come with minicnn.

# %%
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")
whole = viz.load_image(path) if path else viz.sample_photo()
photo = viz.fit(whole, 224)
x = viz.preprocess(photo, model, size=224)

# %% [markdown]
# ## Two lines of arithmetic
#
# The pixels that can change a unit's number are its **receptive field**. A unit of the first layer sees the pixels under its kernel: 7 x
# 7. A unit of a later layer sees a patch of the map before it, and each cell of that map sees pixels of its own. How many pixels are that
# together?
#
# Keep two numbers for each layer: the **size** of the field, and the **stride**, that is how many pixels lie between two neighbouring
# units. A kernel of `k` cells adds `k - 1` steps of the stride so far to the size. A stride of `s` makes all later steps `s` times as
# long. A third number says where the first unit's field **starts**; the padding moves it outwards.

# %%
size, stride, start = 1, 1, 0  # of a pixel: it sees itself
table = {}
for i, module in enumerate(model.features):
    if isinstance(module, nn.Conv2d | nn.MaxPool2d):
        kernel, step, padding = (
            value[0] if isinstance(value, tuple) else value
            for value in (module.kernel_size, module.stride, module.padding)
        )
        size, stride, start = size + (kernel - 1) * stride, stride * step, start - padding * stride
    table[f"features.{i}"] = size, stride, start

print("layer         sees    every   the first from")
for name, (size, stride, start) in table.items():
    print(f"{name:<12}{size:>3} px {stride:>5} px {start:>8} px")

# %% [markdown]
# That was for a chain of layers. Other networks have branches and skips, and functions between the modules. `viz.receptive_fields` does
# the same arithmetic along the graph of a forward pass, whatever the modules are.

# %%
fields = viz.receptive_fields(model, list(table), tuple(x.shape))
by_graph = {name: (field.y.size, field.y.stride, field.y.start) for name, field in fields.items()}
print("the same numbers from the graph:", by_graph == table)
assert by_graph == table

small = model.meta.input_size[-1]
print(f"the last layer's units see {by_graph['features.10'][0]} pixels, the training images have {small}")
assert by_graph["features.10"][0] > small

# %%
shown = ["features.0", "features.2", "features.3", "features.5", "features.6", "features.8", "features.10"]
figure = viz.draw_receptive_fields(model, photo, shown)
figure.savefig(out / "14_where_a_unit_looks_fields.png")
figure

# %% [markdown]
# ## Two checks
#
# **A gradient.** If a pixel cannot reach a unit, the unit's gradient with respect to it is zero. So all pixels whose gradient is not zero
# must lie inside the box. Here zero has to mean exactly zero. So `kernels.exact()` leaves out the fast convolution of lesson 8: it
# computes 16 pixels of a map at once, and outside the box its sums cancel only to the seventh digit.

# %%
layer, y_cell, x_cell = "features.8", 13, 14
image = x.clone().requires_grad_()
with minicnn.kernels.exact():
    with viz.capture(model, layer, copy=False, detach=False, stop=True) as maps:
        model(image)
    maps[layer][0, :, y_cell, x_cell].sum().backward()
strength = np.abs(image.grad.numpy()[0]).sum(0)  # (224, 224)

top, left, bottom, right = fields[layer].box(y_cell, x_cell)
outside = strength.copy()
outside[top:bottom, left:right] = 0
reached = (strength[top:bottom, left:right] > 1e-5 * strength.max()).mean()
print(f"{layer} at ({y_cell}, {x_cell}): rows {top} to {bottom - 1}, columns {left} to {right - 1}")
print(f"largest gradient outside of the box: {outside.max()}, inside: {strength.max():.2g}")
assert outside.max() == 0
print(f"share of the pixels inside that have one: {reached:.2f}")
assert reached > 0.5

# %% [markdown]
# **An experiment.** Replace everything outside the box by noise: the unit's number must stay the same. Put noise into the middle of the
# box: it must change. No calculus is needed for that.


# %%
def answer(pixels):
    """The layer's 256 numbers at this cell."""
    with minicnn.no_grad(), minicnn.kernels.exact(), viz.capture(model, layer, stop=True) as maps:
        model(pixels)
    return maps[layer][0, :, y_cell, x_cell].numpy()


noise = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
around, inside = noise.copy(), x.numpy().copy()
around[:, :, top:bottom, left:right] = x.numpy()[:, :, top:bottom, left:right]
inside[:, :, top + 20 : bottom - 20, left + 20 : right - 20] = noise[
    :, :, top + 20 : bottom - 20, left + 20 : right - 20
]
original = answer(x)
moved = [np.abs(answer(minicnn.tensor(pixels)) - original).max() for pixels in (around, inside)]
print(f"noise everywhere outside of the box changes the cell's numbers by {moved[0]:.1e}")
assert moved[0] == 0
print(f"noise in the middle of the box changes them by {moved[1]:.2f}")
assert moved[1] > 0.01

# %% [markdown]
# ## What it can see, and what it does see
#
# Inside the box not all pixels count alike. Many ways lead from the middle to the unit, and few from a corner. So the middle has a larger
# gradient. (Luo et al. 2016 call that the *effective* receptive field.) We cut 24 windows of 96 pixels out of the photograph, as one
# batch, and average the gradient of the unit in the middle of each.

# %%
rng = np.random.default_rng(1)
corners = [(rng.integers(photo.shape[0] - 95), rng.integers(photo.shape[1] - 95)) for _ in range(24)]
windows = minicnn.cat([x[:, :, y : y + 96, column : column + 96] for y, column in corners]).requires_grad_()
with viz.capture(model, layer, copy=False, detach=False, stop=True) as maps:
    model(windows)
maps[layer][:, :, 6, 6].sum().backward()
box = fields[layer].box(6, 6)
assert box == fields[layer].box(6, 6, (96, 96))  # it lies inside of the window
profile = np.abs(windows.grad.numpy()).sum((0, 1))[box[0] : box[2], box[1] : box[3]]
quarter = len(profile) // 4
middle = profile[quarter : len(profile) - quarter, quarter : len(profile) - quarter].sum() / profile.sum()
area = ((len(profile) - 2 * quarter) / len(profile)) ** 2
print(f"the middle {area:.0%} of the box has {middle:.0%} of the gradient")
assert middle > 1.5 * area

# %%
figure = Figure(figsize=(10.5, 3.6), layout="constrained")
first, second, third = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
first.imshow(photo[top:bottom, left:right])
first.set_title("what one unit of features.8 can see", fontsize=10)
drawn = second.imshow(profile / profile.max(), cmap="magma")
figure.colorbar(drawn, ax=second, shrink=0.75)
second.set_title("where its gradient is\n(mean of 24 units, 1: the largest)", fontsize=10)
for ax in (first, second):
    ax.set_axis_off()
line = profile.mean(0) / profile.mean(0).max()
third.plot(np.arange(len(line)) - len(line) // 2, line, color="black")
third.axvspan(-quarter, quarter, color="#dddddd", zorder=0, label="the middle half")
third.set_xlabel("pixels from the middle of the box")
third.set_title("the same along x: it fades towards the border", fontsize=10)
third.set_ylim(0, 1.05)
third.legend(frameon=False, fontsize=8, loc="lower center")
third.spines[["top", "right"]].set_visible(False)
figure.savefig(out / "14_where_a_unit_looks_effective.png", dpi=120)
figure

# %% [markdown]
# ## Which pieces of my photographs excite it most?
#
# Now the other way round: given a unit, find the places that it likes. `viz.top_patches` sends a folder through the network once. For
# each unit it takes the photographs that excite it most, and keeps the best place of each, cut out to the receptive field. It also keeps
# a histogram of all the unit's activations. It keeps no more than that, however many photographs there are.
#
# The folder is a copy of the one that comes with minicnn: animals, buildings, things, landscapes, all free to use. We add two files that
# are no photographs, as real folders have them.

# %%
folder = os.environ.get("LESSON_IMAGES")
own_folder = folder is not None
if not own_folder:
    keep_alive = tempfile.TemporaryDirectory()
    folder = Path(shutil.copytree(viz.sample_folder(), Path(keep_alive.name) / "photos"))
    count = len(list(folder.iterdir()))
    complete = (folder / "koala.jpg").read_bytes()
    (folder / "half_copied.jpg").write_bytes(complete[: len(complete) // 2])
    (folder / "notes.txt").write_text("no picture")
    print(f"{count} photographs, and two files that are none")

layers = ["features.1", "features.4", "features.7", "features.11"]
result = viz.top_patches(model, layers, folder, k=8, limit=500, progress=False)
print(result)
for skipped in result.skipped[:5]:
    print(f"  skipped {Path(skipped.name).name}: {skipped.reason}")
if not own_folder:
    print("files skipped:", result.skipped_count)
    assert sorted(Path(s.name).name for s in result.skipped) == ["half_copied.jpg", "notes.txt"]

# %% [markdown]
# Of each layer we look at two units: those whose best patch stands out most from all their activations. We measure that as a multiple of
# the 99th percentile. That is a choice, and you should make others.

# %%
chosen = []
for name in layers:
    units = [unit for unit in result.layers[name].values() if len(unit.patches) == 8]
    chosen += sorted(units, key=lambda unit: -unit.histogram.maximum / max(unit.histogram.quantile(0.99), 1e-3))[:2]
targets = [unit.label for unit in chosen]
figure = result.figure(targets, title="The pieces of the photographs that excite a unit most")
figure.savefig(out / "14_where_a_unit_looks_patches.png")
figure

# %% [markdown]
# **Is the piece really all that the unit saw?** For the first layer that is quickly tested: multiply the piece by the filter, add up, and
# add the bias. Out comes the number above it.

# %%
conv = model.features[0]
patch = next(
    p
    for unit in result.layers["features.1"].values()
    for p in unit.patches
    if p.pixels.shape[:2] == (7, 7)  # one that lies inside of its picture
)
unit = next(u for u in result.layers["features.1"].values() if any(p is patch for p in u.patches))
piece = (patch.pixels / 255.0 - np.array(model.meta.mean)) / np.array(model.meta.std)  # (7, 7, 3), normalised
weight = conv.weight.detach().numpy()[unit.channel].transpose(1, 2, 0)  # (3, 7, 7) -> (7, 7, 3)
by_hand = (piece * weight).sum() + conv.bias.detach().numpy()[unit.channel]
print(f"{unit.label}: piece times filter plus bias {by_hand:.4f}, the unit answered {patch.value:.4f}")
assert abs(by_hand - patch.value) < 1e-3

# %% [markdown]
# ## The best is not the typical
#
# Eight patches do not tell what a unit does the rest of the time. The histogram does: how rare is an answer as strong as the ones that we
# look at?

# %%
shares = []
for unit in chosen:
    weakest = unit.patches[-1].value
    above = unit.histogram.counts[unit.histogram.edges[:-1] >= weakest].sum() / unit.histogram.count
    shares.append(above)
    print(
        f"{unit.label:<15} active {unit.histogram.active:>6.1%}   median {unit.histogram.quantile(0.5):6.3f}   "
        f"shown: from {weakest:5.2f}, which {above:.3%} of its answers reach"
    )
print(f"on average the patches shown stand for {np.mean(shares):.2%} of what these units answered")
assert np.mean(shares) < 0.05

# %% [markdown]
# So the patches are extremes: hardly any of the unit's answers is as strong. Most of the time it is off, or answers weakly, to things
# that the patches do not show.
#
# They answer the question "what does it like best among *these* pictures?", and no other. Lesson 5's picture answers "what would it like
# best of all?", and the histogram answers "what does it say all day?". Where the three agree, you may begin to name the unit. (Geirhos et
# al. 2024 show how a network can be made to give any answer you like to the first two.)

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/14_where_a_unit_looks.py`.
#
# **1.** A convolution of 5 x 5, a max-pooling of 2 x 2 with stride 2, a convolution of 3 x 3. How many pixels wide is the field of a unit
# of the last layer, and how many pixels lie between the fields of neighbours?

# %%
from lessons.exercises import check

answer = ...  # (size, stride)

chain = nn.Sequential(nn.Conv2d(3, 4, 5), nn.MaxPool2d(2, 2), nn.Conv2d(4, 4, 3))
field = viz.receptive_fields(chain, ["2"], (1, 3, 32, 32))["2"].y
check(
    1,
    answer,
    (field.size, field.stride),
    "A kernel of k adds k - 1 steps of the stride so far; a stride multiplies all later steps.",
)

# %% [markdown]
# **2.** Two convolutions of 3 x 3, each with padding 1; the first has stride 2. At which pixel does the field of the very first unit of
# the second one start?

# %%
answer = ...

chain = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1))
field = viz.receptive_fields(chain, ["1"], (1, 3, 32, 32))["1"].y
check(2, answer, field.start, "The padding moves it outwards, by steps of the stride so far.")

# %%
print("Next lesson: lessons/15_why_this_answer.py")
