# %% [markdown]
# # 3. Feature maps, through a hook
#
# **You need:** lessons 1 and 2.
#
# **You leave with:** the maps of a photograph, taken in four ways: by hand, by a forward hook, with its handle, and with
# `with`; why early maps keep *where* and deep maps keep *what*; why `detach`, `clone` and `remove` are three different things.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/03_feature_maps_*.png` (4 figures).

# %%
# %matplotlib inline
import gc
import os
import weakref
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = here / "out"
out.mkdir(exist_ok=True)

model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")
photo = viz.fit(viz.load_image(path) if path else viz.sample_photo(), 224)
x = viz.preprocess(photo, model, size=224)  # (1, 3, 224, 224), normalised with the mean and std of model.meta

# %% [markdown]
# ## By hand
#
# A feature map is what a layer returns. To see it, call the layers one after the other and stop where you like.

# %%
with minicnn.no_grad():
    y = x
    for module in model.features[:2]:  # the first convolution and its ReLU
        y = module(y)
by_hand = y
print("features.1 returns (N, C, H, W):", tuple(by_hand.shape))
assert by_hand.shape == (1, 64, 112, 112)

# %% [markdown]
# ## By a hook
#
# By hand works for a chain of layers; a hook works for any network. It is a function that the module calls with
# (module, arguments, output) each time it has computed its output.

# %%
seen = {}


def keep(module, args, output):
    seen["features.1"] = output.detach().clone()


handle = model.features[1].register_forward_hook(keep)
with minicnn.no_grad():
    model(x)
difference = (seen["features.1"] - by_hand).abs().max().item()
print(f"largest difference between hook and hand: {difference}")
assert difference == 0.0

# %% [markdown]
# ## With the handle
#
# The hook stays until its handle removes it. Forgotten hooks run at every call, forever.

# %%
print("hooks on features.1:", len(model.features[1]._forward_hooks))
assert len(model.features[1]._forward_hooks) == 1
handle.remove()
print("after handle.remove():", len(model.features[1]._forward_hooks))
assert len(model.features[1]._forward_hooks) == 0

# %% [markdown]
# ## With `with`
#
# `capture` sets the hooks, stores copies outside of the graph, and removes the hooks at the end of the block, also when
# something raises an error in it.

# %%
layers = ["features.1", "features.4", "features.7", "features.9", "features.11"]
with minicnn.no_grad(), viz.capture(model, layers) as maps:
    model(x)
for name in layers:
    print(f"{name}: {tuple(maps[name].shape)}")
hooks = sum(len(module._forward_hooks) for module in model.modules())
print("hooks left on the network:", hooks)
assert hooks == 0

# %% [markdown]
# Each of the 64 first maps shows where one of the filters of lesson 2 fits. Some answer to edges of one direction, some to a
# colour. All maps have one scale here, so a dark map means: this filter finds little in this photograph.

# %%
figure = viz.draw_maps(maps["features.1"], scale="shared", title="The first layer's 64 maps of the photograph")
figure.savefig(out / "03_feature_maps_first_layer.png")
figure

# %%
figure = viz.draw_strip(maps, photo)
figure.savefig(out / "03_feature_maps_strip.png")
figure

# %%
strongest = int(maps["features.7"][0].mean((1, 2)).argmax())
figure = viz.draw_overlay(model, photo, f"features.7:{strongest}")
figure.savefig(out / "03_feature_maps_overlay.png")
figure

# %% [markdown]
# ## Early maps keep *where*
#
# Move the photograph by 8 pixels to the left. The first convolution moves its kernels in steps of 2 pixels, so its maps should be
# the same maps, 4 cells further left. (Cells near the border see zeros in place of pixels: we leave them out.)

# %%
with minicnn.no_grad():
    moved = model.features[1](model.features[0](x[:, :, :, 8:]))
difference = (moved[:, :, :, 2:-2] - by_hand[:, :, :, 6:-2]).abs().max().item()
print(f"maps of the moved photograph against the moved maps: {difference:.1e}")
assert difference < 1e-4

# %% [markdown]
# ## Deep maps keep *what*
#
# Now the other side: how different is the answer to a moved thing? Different from what? We compare it with the answer to
# *another* thing. From each corner of the photograph we cut a window. For each layer we measure two distances: from the window to the
# same window, moved by a few of its 64 pixels; and from the window to the windows of the other corners. Their ratio is
# 0 if the layer does not notice the move, and 1 if a moved thing is as foreign to it as another thing.

# %%
whole = viz.load_image(path) if path else viz.sample_photo()
height, width = whole.shape[:2]
side = int(0.45 * min(height, width))
corners = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side)]


def windows(shift=0):
    """The four windows, each moved inwards by `shift` of its 64 pixels: uint8 (64, 64, 3) each"""
    step = round(shift * side / 64)
    cuts = []
    for y, x in corners:
        y, x = (y + step if y == 0 else y - step), (x + step if x == 0 else x - step)
        cuts.append(viz.fit(whole[y : y + side, x : x + side], 64))
    return cuts


def answers(network, pictures):
    """{layer: the answers to the four pictures, (4, all numbers of the layer)}"""
    with minicnn.no_grad(), viz.capture(network, [*layers, "avgpool"]) as seen:
        network(minicnn.cat([viz.preprocess(picture, model) for picture in pictures]))
    return {name: seen[name].flatten(1).numpy() for name in seen}


def foreignness(network, pictures):
    """{layer: how far the pictures are from the windows, in distances of the windows from each other}"""
    before, after = answers(network, windows()), answers(network, pictures)
    result = {}
    for name in before:
        a, b = before[name], after[name]
        to_itself = np.linalg.norm(a - b, axis=1)
        to_others = np.linalg.norm(a[:, None] - a[None, :], axis=2).sum(axis=1) / 3
        result[name] = (to_itself / to_others).mean()
    return result


shifts = [0, 1, 2, 4, 6, 8, 12, 16]
moves = [foreignness(model, windows(shift)) for shift in shifts]
at4 = moves[shifts.index(4)]
print("moved by 4 pixels:", ", ".join(f"{name} {value:.2f}" for name, value in at4.items()))
assert at4["avgpool"] < at4["features.11"] < at4["features.1"]

# %% [markdown]
# The deeper the layer, the less it matters where the thing is. Did training do that? **Ask the untrained network**: the same
# architecture with random weights. And ask about other changes that leave *what* it is as it was: the mirror image, and the
# image with half of its contrast.

# %%
minicnn.manual_seed(0)
untrained = tinynet()
changes = {
    "moved by 4 pixels": windows(4),
    "mirrored": [cut[:, ::-1] for cut in windows()],
    "half the contrast": [(cut / 2 + cut.mean() / 2).astype(np.uint8) for cut in windows()],
}
trained_bars = [foreignness(model, pictures)["avgpool"] for pictures in changes.values()]
untrained_bars = [foreignness(untrained, pictures)["avgpool"] for pictures in changes.values()]
for change, ours, theirs in zip(changes, trained_bars, untrained_bars, strict=True):
    print(f"avgpool, {change:<18} trained {ours:.2f}, untrained {theirs:.2f}")
assert untrained_bars[0] < 0.5 and trained_bars[2] < untrained_bars[2]

# %% [markdown]
# So forgetting *where* is mostly built in: max-pooling takes the largest of nine cells wherever it was, and the average over all
# positions forgets them, with random weights as well. What training adds is that the numbers that remain say *what*: to the
# untrained network half the contrast makes a thing about as foreign as another thing, to the trained one it does not.

# %%
figure = Figure(figsize=(13, 4.3), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 2.6])
rows = {"windows": windows(), **changes}
for ax_row, (caption, pictures) in zip(left.subplots(4, 4), rows.items(), strict=True):
    for ax, picture in zip(ax_row, pictures, strict=True):
        ax.imshow(picture)
        ax.set_axis_off()
    ax_row[0].set_title(caption, fontsize=8, loc="left")
curves, bars = right.subplots(1, 2, width_ratios=[1.4, 1])
for name, colour in zip(at4, ["#e6a800", "#8fbc30", "#35b779", "#26828e", "#3e4989", "#000000"], strict=True):
    curves.plot(shifts, [move[name] for move in moves], marker="o", color=colour, label=name)
curves.set_xlabel("pixels that the window was moved, of 64")
curves.set_title("trained network, every layer", fontsize=10)
curves.legend(frameon=False, title="early to deep", loc="lower right")
places = np.arange(len(changes))
bars.bar(places - 0.2, untrained_bars, 0.38, color="#aaaaaa", label="untrained")
bars.bar(places + 0.2, trained_bars, 0.38, color="black", label="trained")
bars.set_xticks(places, [change.replace(" ", "\n", 1) for change in changes])
bars.set_title("last layer (avgpool), three changes", fontsize=10)
bars.legend(frameon=False, loc="upper left")
for ax in (curves, bars):
    ax.axhline(1, color="#888888", linestyle=":")
    ax.set_ylim(0, 1.35)
    ax.set_ylabel("distance (1: as foreign as another thing)")
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle(
    "Forgetting where a thing is comes with the architecture; knowing it in another light comes with training"
)
figure.savefig(out / "03_feature_maps_where_and_what.png", dpi=110)
figure

# %% [markdown]
# ## Three faults, three cures
#
# **`detach`** cuts the stored tensor off the graph. Without it, the tensor keeps the whole forward pass alive.

# %%
layer = nn.Conv2d(3, 8, 3)


def node_survives(store) -> bool:
    """Whether the graph of a forward pass is still alive when only what `store` kept of the output is left."""
    output = layer(x).relu()
    node = weakref.ref(output.grad_fn)
    kept = store(output)
    del output
    gc.collect()
    return node() is not None and kept is not None


alive = {"as it is": node_survives(lambda t: t), "detach": node_survives(lambda t: t.detach())}
print("the graph is still alive:", alive)
assert alive == {"as it is": True, "detach": False}

# %% [markdown]
# **`clone`** copies. Without it the stored tensor shares its memory with the network's own, and an in-place layer that follows
# rewrites it. `detach` does not help: it shares memory too.

# %%
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
kept = {}
h1 = net[0].register_forward_hook(lambda m, a, o: kept.update(detached=o.detach()))
h2 = net[0].register_forward_hook(lambda m, a, o: kept.update(cloned=o.detach().clone()))
with minicnn.no_grad():
    net(x)
negative = {name: int((t < 0).sum()) for name, t in kept.items()}
print("negative numbers in the stored output of the convolution:", negative)
assert negative["detached"] == 0 and negative["cloned"] > 0

# %% [markdown]
# **`remove`** takes the hook off. `detach` and `clone` do not: the hooks are still there.

# %%
print("hooks left behind:", len(net[0]._forward_hooks))
assert len(net[0]._forward_hooks) == 2
h1.remove()
h2.remove()
print("after remove:", len(net[0]._forward_hooks))
assert len(net[0]._forward_hooks) == 0

# %%
print("Next lesson: lessons/04_gradient_ascent.py")
