# %% [markdown]
# # 3. Feature maps, through a hook
#
# **You need:** lessons 1 and 2.
#
# **You leave with:** the maps of a photograph, taken in four ways: by hand, by a forward hook, with its handle, and with
# `with`; why early maps keep *where* and deep maps keep *what*; why `detach`, `clone` and `remove` are three different things.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/03_feature_maps_*.png` (3 figures).

# %%
# %matplotlib inline
import gc
import os
import weakref
from pathlib import Path

import numpy as np

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
assert not any(module._forward_hooks for module in model.modules())

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
# ## Where and what
#
# Move the photograph by 8 pixels. If a layer keeps *where* things are, its maps change a lot (they move along); if it keeps *what*
# is there, its answer stays nearly the same. We compare the layer's whole answer before and after, as a correlation.

# %%
moved = viz.preprocess(np.roll(photo, (8, 8), axis=(0, 1)), model, size=224)
with minicnn.no_grad(), viz.capture(model, [*layers, "avgpool"]) as after:
    model(moved)
with minicnn.no_grad(), viz.capture(model, "avgpool") as pooled:
    model(x)
similarity = {}
for name in [*layers, "avgpool"]:
    a = (pooled if name == "avgpool" else maps)[name].numpy().ravel()
    b = after[name].numpy().ravel()
    similarity[name] = float(np.corrcoef(a, b)[0, 1])
    print(f"{name}: correlation of the answer before and after the move {similarity[name]:.2f}")
assert similarity["features.1"] < similarity["features.11"] < similarity["avgpool"]

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
