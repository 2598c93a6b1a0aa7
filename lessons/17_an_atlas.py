# %% [markdown]
# # 17. An atlas
#
# **You need:** lessons 4, 5 and 14.
#
# **You leave with:** one HTML file with a page for every unit of a network, which opens offline and can be sent to a friend; and the
# habit of reading a unit from three sides: the image that maximises it, the places in photographs that excite it, and the units that it
# is wired to.
#
# **Run time:** under a minute. **Files written:** `lessons/out/17_an_atlas.html`, beside it two folders, of photographs and of
# finished units, and `lessons/out/17_an_atlas.png`.

# %%
import os
import re
import shutil
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import atlas, viz
from minicnn.cli import main
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")

# %% [markdown]
# ## A folder of photographs
#
# An atlas looks through a folder for the places that excite each unit most. Yours may hold thousands of photographs. This one is a copy
# of the folder that comes with minicnn, whose `README.md` says where each photograph is from. Like a real folder, it also holds a file
# that is no photograph.

# %%
folder = out / "17_an_atlas_photos"
shutil.rmtree(folder, ignore_errors=True)
shutil.copytree(viz.sample_folder(), folder)
(folder / "shopping list.txt").write_text("milk")

# %% [markdown]
# ## Three layers, fourteen units each
#
# The complete atlas of this network has 1,160 units, and the command `minicnn atlas` makes it. Three layers will do here, with fewer
# steps of gradient ascent than a good picture needs. What that will cost is said before the work begins.

# %%
settings = dict(layers=["features.0", "features.10", "classifier"], units=14, steps=16)
built = atlas.build(model, out / "17_an_atlas.html", folder=folder, photo=path, progress=False, **settings)
print(
    f"{built.path.name}: {built.units} units, {built.bytes / 1e6:.1f} MB; {built.cost.page_bytes / 1e6:.1f} MB were announced"
)
assert built.units == 3 * 14
assert 0.5 < built.cost.page_bytes / built.bytes < 2
print(f"{built.photographs} photographs; skipped: {[(Path(name).name, why) for name, why in built.skipped]}")
assert built.photographs == 58 and len(built.skipped) == 1

# %% [markdown]
# ## One file that asks for nothing
#
# Open `lessons/out/17_an_atlas.html` in a browser, with the network off if you like. Every picture is inside the file, and a policy in
# its head forbids the browser to load anything else. Press `/` and type a class or a unit. The arrow keys go on to the neighbours.

# %%
page = built.path.read_text(encoding="utf-8")
addresses = re.findall(r'(?:src|href)="([^"#][^"]{0,40})', page) + re.findall(r"url\((.{0,40})", page)
outside = [address for address in addresses if not address.startswith("data:")]
print(f"{len(addresses)} pictures inside, {len(outside)} addresses that lead out of the file")
assert len(addresses) > 40 and not outside

# %% [markdown]
# ## An interruption costs nothing
#
# Each unit was put on disk when it was finished. If you run the same command again after a break, nothing is left to maximise:

# %%
files = list(built.path.with_name(built.path.name + ".units").glob("*.npz"))
print(f"{len(files)} finished units on disk")
assert len(files) >= built.units
code = main(["atlas", "--estimate", "--layers", *settings["layers"], "--units", "14", "--steps", "16",
             "--images", str(folder), "-o", str(built.path)])  # fmt: skip
assert code == 0

# %% [markdown]
# ## Reading unit 12 of the last convolution
#
# **First side: what excites it in photographs.** The atlas names the file, the place and the activation. So it can be checked: show that
# file to the network again, and look there.

# %%
unit = built.contents.patches["features.10:12"]
best = unit.patches[0]
with minicnn.no_grad(), viz.capture(model, "features.10", stop=True) as maps:
    model(viz.preprocess(best.image, model))
again = maps["features.10"][0, 12][best.position].item()
print(
    f"best place: {Path(best.image).name} at {best.position}: {best.value:.4f} in the atlas, {again:.4f} when shown again"
)
assert abs(again - best.value) < 1e-3 * max(1, abs(again))

# %% [markdown]
# **Second side: the image that was made for it.** Its number is the mean over the whole map. The photographs' number is that of their
# best single place, which is easier to make large. So neither is the measure of the other: read both.

# %%
made = built.contents.units["features.10", 12]
units = built.contents.plan.layer("features.10").units
ends = np.array([built.contents.units["features.10", i].end for i in units])
tops = np.array([built.contents.patches[f"features.10:{i}"].patches[0].value for i in units])
print(f"unit 12: made {made.end:.2f} on average over the map, photographs {best.value:.2f} at the best place")
print(
    f"the made image answers more than the best of {built.photographs} photographs for {(ends > tops).sum()} of {len(units)} units"
)
assert all(built.contents.units["features.10", i].rose for i in units), (
    "and every one of them answers more than its noise did"
)

# %% [markdown]
# Do the two agree? The made image is a round thing with a crust. Two of the four best photographs are round things on a saucer. The other
# two are spotted coats, light patches in a dark net. "A round thing" or "patches in a net"? Ask the third side.
#
# **Third side: its wiring.** Before it are the units that it reads; after it are the classes that it speaks for or against. These are
# weights, so they hold for every image. But a strong weight from a unit that is never active says nothing. That is why one reads all
# three sides.

# %%
survey = built.contents.plan.survey
before, after = survey.before("features.10", 12, 6), survey.after("features.10", 12, 6)
names = [model.meta.categories[link.unit].split(",")[0] for link in after]
print("reads most:", ", ".join(f"{link.layer}:{link.unit} ({link.share:.1%})" for link in before))
print(
    "feeds most:",
    ", ".join(f"{'+' if l.excites else '-'} {name} ({l.share:.1%})" for l, name in zip(after, names, strict=True)),
)
weights = model.classifier.weight.detach().numpy()
share = weights[:, 12] ** 2 / (weights**2).sum(1)
assert [link.unit for link in after] == np.argsort(-share)[:6].tolist()
assert all(escape(name) in page for name in names)
food = {"potpie", "pizza", "mashed potato", "plate", "meat loaf", "ice cream", "guacamole"} & set(names)
print("food and what it lies on:", ", ".join(sorted(food)), f"- {len(food)} of {len(names)}")
assert len(food) > len(names) / 2
assert made.end > best.value
top4 = {Path(patch.image).stem for patch in unit.patches[:4]}
print("the four photographs:", ", ".join(sorted(top4)))
assert top4 == {"cup", "espresso", "giraffe", "jaguars"}

# %% [markdown]
# The wiring says food on a plate. So does the made image, which answers more than the best of the photographs. The espresso and the cup
# fit in with that; the jaguars and the giraffe show that a texture will do. There is no food but coffee in this folder, so the
# photographs alone would have given a poorer name. Give the atlas a folder of yours with a pizza in it, and look again.

# %%
figure = Figure(figsize=(11, 3.6), layout="constrained")
left, middle, right = figure.subfigures(1, 3, width_ratios=(1, 1.5, 1.2))
ax = left.subplots()
ax.imshow(made.image, interpolation="bilinear")
ax.set_axis_off()
left.suptitle(f"made: {round(made.start, 2) + 0:.2f} → {made.end:.2f}\n(mean of its map)", fontsize=10)
for ax, patch in zip(middle.subplots(2, 2).ravel(), unit.patches, strict=False):
    ax.set_axis_off()
    ax.imshow(viz.fit(viz.load_image(patch.image), 64))
    ax.set_title(f"{patch.value:.2f}", fontsize=8)
middle.suptitle("what excites it most in this folder:\nits best places are in these", fontsize=10)
ax = right.subplots()
signed = [link.share * 100 * (1 if link.excites else -1) for link in after]
ax.barh(names, signed, color=["#b2182b" if value > 0 else "#2166ac" for value in signed])
ax.invert_yaxis()
ax.axvline(0, color="black", linewidth=0.8)
ax.set_xlabel("share of the class's squared weights, %", fontsize=8)
ax.tick_params(labelsize=8)
ax.spines[["top", "right"]].set_visible(False)
right.suptitle("what it feeds (+ red, − blue)", fontsize=10)
figure.suptitle("Unit 12 of features.10, from three sides", fontweight="bold")
figure.savefig(out / "17_an_atlas.png", dpi=120)
figure

# %% [markdown]
# ## The whole atlas
#
# `minicnn atlas -o atlas.html` makes it for the bundled network and these photographs. `--images FOLDER` takes photographs of yours;
# `--model NAME --weights FILE` or `--model mynet.py:MyNet` takes another network. With `--estimate` it says what that would cost, and
# stops. A network of thousands of units opens at once with `--pages folder`: then the pages lie in a folder beside the file, and are
# read when they are shown.
#
# A unit in the atlas is finished. In `minicnn play --open` the same network runs: switch the unit off, and see what becomes of the
# answer.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/17_an_atlas.py`.
#
# **1.** A class reads three units, with the weights 3, -4 and 0. What is the share of the first one, as the atlas counts it?

# %%
from lessons.exercises import check

answer = ...

weights_of_class = np.array([[3.0, -4.0, 0.0]])
share_of_first = (weights_of_class[:, 0] ** 2 / (weights_of_class**2).sum(1))[0]
check(
    1,
    answer,
    share_of_first,
    "Squared weights, divided by the sum of all squared weights of the class.",
    tolerance=1e-3,
)

# %% [markdown]
# **2.** Of the three sides from which a unit was read, which one holds for *every* image: `"photographs"`, `"made image"` or
# `"wiring"`?

# %%
answer = ...

sides = {"photographs": "one folder", "made image": "one ascent", "wiring": "the weights"}
check(
    2,
    answer,
    next(side for side, source in sides.items() if source == "the weights"),
    "Which one asks no image at all?",
)

# %%
print("Next lesson: lessons/18_gradients_of_gradients.py")
