# %% [markdown]
# # 4. Feature maps, through a hook
#
# **You need:** lessons 1 to 3.
#
# **You leave with:** the maps of a photograph, taken by hand, by a forward hook, and with `with`; why early maps keep *where* and
# deep maps keep *what*; why `detach`, `clone` and `remove` are three different things.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/04_feature_maps_*.png` (4 figures).

# %%
import copy
import gc
import os
import weakref
from pathlib import Path

import numpy as np

import minicnn
from lessons.subject import Figure, Subject
from minicnn import nn, viz

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

subject = Subject()  # the bundled network; another one: python -m lessons 4 --model alexnet --weights FILE.pth
model, network = subject.model, subject.name
photo = viz.fit(subject.photo(), 224)
x = viz.preprocess(photo, model, size=224)  # (1, 3, 224, 224), normalised with the mean and std of model.meta
layers = subject.activations()  # "features.1", "features.4", ...: the five ReLUs
last = subject.ends_in()  # "avgpool": the average over all positions
print("we look at", ", ".join(layers), "and", last)

# %% [markdown]
# ## By hand
#
# A **feature map** is one channel of what a layer returns: what one filter answers at all positions. To see the maps of a layer, call
# the layers one after the other, and stop where you like. Here we stop behind the first ReLU.

# %%
with minicnn.no_grad():
    y = x
    for name, layer in subject.layers.items():
        y = layer(y)
        if name == layers[0]:
            break
by_hand = y
print(f"{layers[0]} returns (N, C, H, W):", tuple(by_hand.shape))
assert by_hand.shape == (1, 64, 112, 112)

# %% [markdown]
# ## By a hook
#
# By hand works for a chain of layers. A **hook** works for any network. It is a function of yours, which the library calls at a certain
# moment. A *forward hook* is called each time the layer has computed its output, with (layer, arguments, output).

# %%
seen = {}


def keep(module, args, output):
    seen["first"] = output.detach().clone()


watched = model.get_submodule(layers[0])
handle = watched.register_forward_hook(keep)
with minicnn.no_grad():
    model(x)
difference = (seen["first"] - by_hand).abs().max().item()
print(f"largest difference between hook and hand: {difference}")
assert difference == 0.0

# %% [markdown]
# ## With the handle
#
# Registering a hook returns a **handle**. The hook stays until `handle.remove()` takes it off. A forgotten hook runs at every call,
# for ever.

# %%
print(f"hooks on {layers[0]}:", len(watched._forward_hooks))
assert len(watched._forward_hooks) == 1
handle.remove()
print("after handle.remove():", len(watched._forward_hooks))
assert len(watched._forward_hooks) == 0

# %% [markdown]
# ## With `with`
#
# `capture` does all of it for many layers: it sets the hooks, stores copies, and removes the hooks at the end of the block, even if
# something in the block raises an error.

# %%
with minicnn.no_grad(), viz.capture(model, layers) as maps:
    model(x)
for name in layers:
    print(f"{name}: {tuple(maps[name].shape)}")
hooks = sum(len(module._forward_hooks) for module in model.modules())
print("hooks left on the network:", hooks)
assert hooks == 0

# %% [markdown]
# Each of the first maps shows where one of the filters of lesson 2 fits. Some answer to edges of one direction, some to a
# colour. All maps have the same scale here. So a dark map means: this filter finds little in this photograph.

# %%
figure = viz.draw_maps(maps[layers[0]], scale="shared", title=f"{network}: the first layer's maps of the photograph")
figure.savefig(out / "04_feature_maps_first_layer.png")
figure

# %%
figure = viz.draw_strip(maps, photo, title=f"{network}: from early to deep")
figure.savefig(out / "04_feature_maps_strip.png")
figure

# %%
third = layers[len(layers) // 2]
strongest = int(maps[third][0].mean((1, 2)).argmax())
figure = viz.draw_overlay(model, photo, f"{third}:{strongest}", title=f"{network}: {third}:{strongest}")
figure.savefig(out / "04_feature_maps_overlay.png")
figure

# %% [markdown]
# ## Early maps keep *where*
#
# Move the photograph by 8 pixels to the left. The first convolution has a stride of 2: it moves its kernels by 2 pixels at a time. So
# its maps should be the same maps, 4 cells further left. (Cells near the border see zeros in place of pixels: we leave them out.)

# %%
first = model.get_submodule(subject.convolutions[0])
with minicnn.no_grad():
    moved = x[:, :, :, 8:]
    for name, layer in subject.layers.items():
        moved = layer(moved)
        if name == layers[0]:
            break
cells, border = 8 // first.stride[1], first.kernel_size[1]
difference = (moved[:, :, :, border:-border] - by_hand[:, :, :, border + cells : -border]).abs().max().item()
print(f"maps of the moved photograph against the moved maps: {difference:.1e}")
assert difference < 1e-4

# %% [markdown]
# ## Deep maps keep *what*
#
# Early maps move with the thing. And deep ones? How different is their answer to a moved thing? We need something to compare it with:
# the answer to *another* thing. So we cut a window from each corner of the photograph. For each layer we measure two distances: from a
# window to the same window, moved by a few of its 64 pixels; and from a window to the windows of the other corners. We divide the first
# by the second. 0 means that the layer does not notice the move; 1 means that a moved thing is as foreign to it as another thing.

# %%
whole = subject.photo()
height, width = whole.shape[:2]
side = int(0.45 * min(height, width))
pixels = model.meta.input_size[-1]  # 64
corners = [(0, 0), (0, width - side), (height - side, 0), (height - side, width - side)]


def windows(shift=0):
    """The four windows, each moved inwards by `shift` 64ths of its side: uint8 (pixels, pixels, 3) each"""
    step = round(shift * side / 64)
    cuts = []
    for y, x in corners:
        y, x = (y + step if y == 0 else y - step), (x + step if x == 0 else x - step)
        cuts.append(viz.fit(whole[y : y + side, x : x + side], pixels))
    return cuts


def answers(network, pictures):
    """{layer: the answers to the four pictures, (4, all numbers of the layer)}"""
    with minicnn.no_grad(), viz.capture(network, [*layers, last]) as seen:
        network(minicnn.cat([viz.preprocess(picture, model, size=pixels) for picture in pictures]))
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
print("moved by 4 of 64 pixels:", ", ".join(f"{name} {value:.2f}" for name, value in at4.items()))
far = {name: moves[-1][name] for name in at4}
print("moved by 16:           ", ", ".join(f"{name} {value:.2f}" for name, value in far.items()))
for shift, move in list(zip(shifts, moves, strict=True))[1:]:
    *early, deepest, average = (move[name] for name in at4)
    assert average < deepest < min(early), shift
    assert shift > 4 or early[0] > early[1] > max(early[2:]), shift
assert min(list(far.values())[:4]) > 1

# %% [markdown]
# The last convolution, and the average over its positions, notice a move least, however far it goes. As long as the move is small, up to
# 4 pixels, the first layer notices it most, and the second next. When it goes further there is no such order among the first four: a
# thing that has moved by 16 pixels is as foreign to all four as another thing, or more so.
#
# Did training do that? **Ask the untrained network**: the same layers with random weights. And ask about other changes that leave
# *what* a thing is as it was: its mirror image, and half of its contrast.

# %%
minicnn.manual_seed(0)
untrained = copy.deepcopy(model)
for module in untrained.modules():
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
changes = {
    "moved by 4 pixels": windows(4),
    "mirrored": [cut[:, ::-1] for cut in windows()],
    "half the contrast": [(cut / 2 + cut.mean() / 2).astype(np.uint8) for cut in windows()],
}
trained_bars = [foreignness(model, pictures)[last] for pictures in changes.values()]
untrained_bars = [foreignness(untrained, pictures)[last] for pictures in changes.values()]
for change, ours, theirs in zip(changes, trained_bars, untrained_bars, strict=True):
    print(f"{last}, {change:<18} {subject.state} {ours:.2f}, untrained {theirs:.2f}")
assert untrained_bars[0] < 0.5 and trained_bars[2] < 0.5 < 1 < untrained_bars[2]

# %% [markdown]
# So forgetting *where* is mostly built in, and random weights do it too: max-pooling takes the largest of nine cells, wherever it
# was, and the average over all positions forgets positions. What training adds: the numbers that remain say *what*. For the untrained
# network half the contrast makes a thing about as foreign as another thing; for the trained one it does not.
#
# In short: **early maps keep *where* something is, deep maps keep *what* it is.**

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
for name, colour in zip(at4, ["#e6a800", "#8fbc30", "#35b779", "#26828e", "#3e4989", "#000000"], strict=False):
    curves.plot(shifts, [move[name] for move in moves], marker="o", color=colour, label=name)
curves.set_xlabel("pixels that the window was moved, of 64")
curves.set_title(f"{network}, {subject.state}, every layer", fontsize=10)
curves.legend(frameon=False, title="early to deep", loc="lower right")
places = np.arange(len(changes))
bars.bar(places - 0.2, untrained_bars, 0.38, color="#aaaaaa", label="untrained")
bars.bar(places + 0.2, trained_bars, 0.38, color="black", label=subject.state)
bars.set_xticks(places, [change.replace(" ", "\n", 1) for change in changes])
bars.set_title(f"last layer ({last}), three changes", fontsize=10)
bars.legend(frameon=False, loc="upper left")
for ax in (curves, bars):
    ax.axhline(1, color="#888888", linestyle=":")
    ax.set_ylim(0, 1.35)
    ax.set_ylabel("distance (1: as foreign as another thing)")
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle(f"{network}: how foreign a changed thing is, beside another thing", wrap=True)
figure.savefig(out / "04_feature_maps_where_and_what.png", dpi=110)
figure

# %% [markdown]
# ## Three faults, three cures
#
# A hook that stores an output can go wrong in three ways.
#
# **`detach`** cuts the stored tensor off the graph. The **graph** is the record of how a tensor was computed; the backward pass needs it.
# It is made of **nodes**, one for each operation, and `grad_fn` is the node that made a tensor. Whoever holds the tensor keeps all of it
# in memory: the whole forward pass.

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
# **`clone`** copies. Without it the stored tensor is a **view**: it looks at the memory of the network's own tensor. If the next layer
# works **in-place**, it writes its result over that memory, and the stored numbers change. `detach` does not help: what it returns is a
# view, too.

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

# %% [markdown]
# **Look around:** `minicnn play --open` opens a page with every map of every layer, of a photograph of yours too. Point at any pixel of a
# map, and see the sum that it is; switch a map off, and see what becomes of the answer.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/04_feature_maps.py`.
#
# **1.** Which of these four, stored by a hook, keep the graph of the forward pass alive: `output`, `output.detach()`,
# `output.clone()`, `output.detach().clone()`?

# %%
from lessons.exercises import check

answer = ...  # a set of texts, such as {"output", "output.clone()"}

ways = {
    "output": lambda output: output,
    "output.detach()": lambda output: output.detach(),
    "output.clone()": lambda output: output.clone(),
    "output.detach().clone()": lambda output: output.detach().clone(),
}
alive = {way for way, store in ways.items() if node_survives(store)}
check(1, answer, alive, "detach cuts the tensor off the graph. Does a copy do so, too?")

# %% [markdown]
# **2.** A convolution has stride 2, and so has a pooling behind it. The photograph moves by 16 pixels. By how many cells does
# the map behind the pooling move?

# %%
answer = ...

chain_of_two = nn.Sequential(nn.Conv2d(1, 1, 1, stride=2), nn.MaxPool2d(2, stride=2))
spot = minicnn.zeros(1, 1, 32, 64)
spot[0, 0, 0, 32] = 1
nn.init.constant_(chain_of_two[0].weight, 1.0)
places = [int(chain_of_two(image)[0, 0, 0].argmax()) for image in (spot, spot.roll(-16, 3))]
check(2, answer, places[0] - places[1], "Each stride divides: one cell behind both stands for 2 * 2 pixels.")

# %%
print("Next lesson: lessons/05_gradient_ascent.py")
