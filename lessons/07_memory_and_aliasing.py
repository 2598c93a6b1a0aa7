# %% [markdown]
# # 7. Memory and aliasing: a laboratory
#
# **You need:** lesson 4 (`detach`, `clone`, `remove`) and lesson 6 (when a hook runs).
#
# **You leave with:** five ways to store an activation. For each: the memory that it holds after 50 passes, what an in-place ReLU does to
# it, and what `leaks` says. Then the handle that is left behind, and the hook that keeps its own network alive.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/07_memory_and_aliasing_*.png` (2 figures).

# %%
import gc
import os
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.inspect import leaks, trace
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
for module in model.modules():
    if isinstance(module, nn.ReLU):
        module.inplace = True  # as in many published networks: the ReLU writes its result over its input

path = os.environ.get("LESSON_PHOTO")
photo = viz.fit(viz.load_image(path) if path else viz.sample_photo(), 64)
x = viz.preprocess(photo, model, size=64)  # (1, 3, 64, 64), normalised with the mean and std of model.meta

# %% [markdown]
# ## Five ways
#
# A forward hook gets the output of its layer, its **activations**, and stores it to be looked at later. Here is what can be stored.

# %%
WAYS = {
    "raw": lambda output: output,
    "detach": lambda output: output.detach(),
    "clone": lambda output: output.clone(),
    "detach + clone": lambda output: output.detach().clone(),
    "NumPy copy": lambda output: output.detach().numpy().copy(),
}

# %% [markdown]
# ## Whose memory is it?
#
# A tensor is a small object that points to a block of memory. `detach` makes a second object that points to *the same* block, a **view**.
# `clone` and `copy` make a second block. `trace` says whose memory each layer's output is.

# %%
with trace(model, ["features.0", "features.1", "features.2"]) as events:
    model(x)
print(events)
relu = events[3]
print("features.1 (ReLU) returns the memory of:", relu.tensors[0].shares, " and has written:", relu.written)
assert relu.tensors[0].shares == ["input"] and relu.written == ["input"]

# %% [markdown]
# The ReLU `features.1` works in-place: it writes into the memory of `features.0`. So whoever has stored the output of `features.0`
# without copying it holds a block that is about to be written. We store it in all five ways at once, and compare with the truth: the
# convolution called alone.

# %%
with minicnn.no_grad():
    truth = model.features[0](x).numpy()

stored = {}


def store_all(module, args, output):
    stored.update((way, store(output)) for way, store in WAYS.items())


with model.features[0].register_forward_hook(store_all):
    model(x)
arrays = {way: np.asarray(kept.detach()) if way != "NumPy copy" else kept for way, kept in stored.items()}
changed = {way: bool((array != truth).any()) for way, array in arrays.items()}
print("changed by the in-place ReLU:", changed)
assert changed == {"raw": True, "detach": True, "clone": False, "detach + clone": False, "NumPy copy": False}
negative = {way: int((array < 0).sum()) for way, array in arrays.items()}
print("negative numbers:", negative, " truth:", int((truth < 0).sum()))
assert negative["raw"] == negative["detach"] == 0 < negative["clone"] == int((truth < 0).sum())

# %%
channel = int(np.argmax((truth[0] < 0).mean((1, 2)) * truth[0].std((1, 2))))  # a map with much that is negative
pictures = {"truth": truth, **arrays}
limit = float(abs(truth[0, channel]).max())
figure = Figure(figsize=(13, 2.9), layout="constrained")
axes = figure.subplots(1, len(pictures))
for ax, (way, array) in zip(axes, pictures.items(), strict=True):
    drawn = ax.imshow(array[0, channel], cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_title(way if not changed.get(way) else f"{way}\n(rewritten)", fontsize=10)
    ax.set_axis_off()
figure.colorbar(drawn, ax=axes, label="output of features.0")
figure.suptitle(
    f"Channel {channel} of the first convolution, as each way has stored it, after the in-place ReLU. One scale for all"
)
figure.savefig(out / "07_memory_and_aliasing_maps.png", dpi=110)
figure

# %% [markdown]
# **Two of the five are rewritten: raw and detach.** They share the memory of the layer's output. Clone, detach + clone and the NumPy
# copy have memory of their own. **Nothing fails and nothing warns**: the stored picture is simply that of another layer.
#
# ## What is kept alive
#
# The second question: what hangs on the stored tensor? An output that requires grad points to the **node** that made it (`grad_fn`). This
# node points to the nodes before it, and each node points to the tensors that it needs for the backward pass. Together that is the
# **graph**, with the activations of *all* the layers so far. `detach` cuts it off. `clone` does not: it is an operation like any other,
# and has a node.
#
# We store the output of a deep layer, `features.8`, in 50 passes, and count the bytes that are in use (by Python's `tracemalloc`, which
# knows NumPy's arrays).

# %%
PASSES = 50


def memory_of(store, passes=PASSES):
    """Bytes in use after each of the passes, over those before the first."""
    kept = []
    with model.features[8].register_forward_hook(lambda module, args, output: kept.append(store(output))):
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        used = []
        for _ in range(passes):
            model(x)
            used.append(tracemalloc.get_traced_memory()[0] - before)
        tracemalloc.stop()
    return np.array(used)


memory_of(WAYS["raw"], passes=2)  # for nothing: whatever the library sets up at first is not counted below
used = {way: memory_of(store) for way, store in WAYS.items()}
one = 4 * 256 * 8 * 8  # bytes of the output that is stored: float32 (1, 256, 8, 8)
for way, curve in used.items():
    print(
        f"{way:15} {curve[-1] / 1e6:6.1f} MB after {PASSES} passes, {curve[-1] / PASSES / one:5.1f} stored outputs a pass"
    )
assert used["raw"][-1] > 4 * used["detach"][-1] and used["clone"][-1] > 4 * used["detach + clone"][-1]
for way in ("detach", "detach + clone", "NumPy copy"):
    assert 0.9 < used[way][-1] / (PASSES * one) < 1.3  # what was stored, and next to nothing else

# %%
figure = Figure(figsize=(11, 3.2), layout="constrained")
panels = figure.subplots(1, len(used), sharey=True)
for ax, (way, curve) in zip(panels, used.items(), strict=True):
    keeps = way in ("raw", "clone")  # the whole forward pass of each stored output
    ax.fill_between(range(1, PASSES + 1), curve / 1e6, color="#d55e00" if keeps else "#0072b2", linewidth=0)
    ax.set_title(f"{way}: {curve[-1] / 1e6:.1f} MB", fontsize=10)
    ax.set_xlabel("passes")
    ax.set(xlim=(1, PASSES), ylim=(0, None))
    ax.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("memory in use, MB (tracemalloc)")
figure.suptitle(
    f"One output of features.8 stored a pass ({one / 1000:.0f} kB each). Orange: the whole forward pass stays in memory; "
    "blue: what was stored",
    fontsize=11,
)
figure.savefig(out / "07_memory_and_aliasing_memory.png", dpi=110)
figure

# %% [markdown]
# Under `no_grad` there is no graph, and raw costs no more than detach. But the in-place ReLU writes all the same.

# %%
with minicnn.no_grad():
    without_graph = memory_of(WAYS["raw"])
print(f"raw under no_grad: {without_graph[-1] / 1e6:.1f} MB")
assert without_graph[-1] < 0.5 * used["raw"][-1]

# %% [markdown]
# ## What `leaks` says
#
# `leaks(model)` looks for what hooks leave behind. Used with `with`, it also watches the passes of its block, and sees who writes to
# memory that was stored. It works on PyTorch's modules as well.

# %%
said = {}
for way, store in WAYS.items():
    kept = {}
    handle = model.features[8].register_forward_hook(lambda m, a, o, store=store, kept=kept: kept.update(conv=store(o)))
    with leaks(model) as found, handle:
        model(x)
    said[way] = sorted(finding.kind for finding in found)
    print(f"--- {way}")
    print(found)
assert said == {
    "raw": ["alias", "graph"],
    "detach": ["alias"],
    "clone": ["graph"],
    "detach + clone": [],
    "NumPy copy": [],
}

# %% [markdown]
# All five in one table:

# %%
print(f"{'':16}{'rewritten':>10}{'keeps graph':>13}{'MB':>8}   leaks")
for way in WAYS:
    keeps = hasattr(stored[way], "grad_fn") and stored[way].grad_fn is not None
    print(f"{way:16}{changed[way]!s:>10}{keeps!s:>13}{used[way][-1] / 1e6:8.1f}   {', '.join(said[way]) or 'nothing'}")
    assert (changed[way], keeps) == ("alias" in said[way], "graph" in said[way])

# %% [markdown]
# So: **`detach` and `clone`** to look at it later. Raw only if a gradient has to flow through it, and then not in a list that lives on.
# And if all you want is a number, store the number: `output.mean().item()`.
#
# ## The handle left behind
#
# The cell of a notebook sets a hook, and you run the cell four times. Nothing takes the hooks off again.

# %%
calls = []
for _ in range(4):
    model.features[0].register_forward_hook(lambda module, args, output: calls.append(tuple(output.shape)))
with minicnn.no_grad():
    model(x)
print("one pass, calls of the hook:", len(calls))
assert len(calls) == 4
found = leaks(model)
print(found[0])
print("and", len(found) - 1, "more like it")
assert [finding.kind for finding in found] == ["handle"] * 4

# %% [markdown]
# If you have lost the handles, you can still find the hooks: they are in a dictionary of the module. Better is `with`: a handle is a
# context manager, and removes its hook at the end of the block, after an error too.

# %%
model.features[0]._forward_hooks.clear()
with model.features[0].register_forward_hook(lambda module, args, output: calls.append("with")), minicnn.no_grad():
    model(x)
print("left after `with`:", len(leaks(model)))
assert len(leaks(model)) == 0 and calls[-1] == "with"

# %% [markdown]
# ## The hook that keeps its network alive
#
# Python frees an object when the last reference to it goes, at once and without any search. In a circle the last reference never goes.
# Here an object holds the network, and the network holds one of the object's methods, as a hook. And a method holds its object, as
# `self`.


# %%
class Watcher:
    def __init__(self, network):
        self.network = network
        self.handle = network[0].register_forward_hook(self.keep)

    def keep(self, module, args, output):
        self.last = output.detach().clone()


def network_is_alive_after(use):
    """Make a network, `use` it, drop everything: is it still there, before and after the garbage collector ran?"""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    reference = weakref.ref(network)
    gc.collect()
    gc.disable()  # so that it does not run by itself just now
    try:
        use(network)
        del network
        before = reference() is not None
    finally:
        gc.enable()
    gc.collect()
    return before, reference() is not None


def watch_and_remove(network):
    Watcher(network).handle.remove()


def watch_by_a_function(network):
    seen = {}
    network[0].register_forward_hook(lambda module, args, output: seen.update(last=output.detach().clone()))


cases = {
    "no hook": lambda network: None,
    "bound method of an object that holds the network": Watcher,
    "the same, removed": watch_and_remove,
    "a function with a dict of its own": watch_by_a_function,
}
alive = {case: network_is_alive_after(use) for case, use in cases.items()}
for case, (before, after) in alive.items():
    print(f"{case:50} alive: {before!s:5}  after gc.collect(): {after}")
assert [before for before, _ in alive.values()] == [False, True, False, False]
assert not any(after for _, after in alive.values())

# %% [markdown]
# A circle is not lost for ever: the garbage collector finds it. But it runs when it likes. Until then the network, its weights and all
# that the hook has stored stay in memory, and the next large network may not fit. So remove the handle. Or let the hook hold only what it
# needs: a dictionary, not the object that owns the network.
#
# **Try it:** store `output.numpy()` under `no_grad`, without `.copy()`. Which of the five does it behave like, and what does `leaks` say?

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/07_memory_and_aliasing.py`.
#
# **1.** Under `no_grad` a hook stores `output.numpy()`, without `.copy()`. Which of the five ways does it behave like?

# %%
from lessons.exercises import check

answer = ...  # "raw", "detach", "clone", "detach + clone" or "NumPy copy"

net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
with minicnn.no_grad():
    output = net[0](minicnn.randn(1, 3, 8, 8))
    array = output.numpy()
    net[1](output)
behaves = "detach" if array.min() >= 0 else "NumPy copy"  # has the in-place ReLU written into it?
check(1, answer, behaves, "Whose memory does the array have? And is there a graph that it could keep?")

# %% [markdown]
# **2.** How many bytes does the output of `features.0` have for one photograph of 64 x 64 pixels? (64 channels of 32 x 32,
# float32.)

# %%
answer = ...

with minicnn.no_grad():
    output = model.features[0](x)
check(2, answer, output.numel() * output.element_size(), "A float32 has 32 bits, and a byte has 8 of them.")

# %% [markdown]
# **3.** A cell that sets a hook was run three times, and nothing took the hooks off. Then the network is called twice. How often
# does the hook run?

# %%
answer = ...

net, runs = nn.Identity(), []
for _ in range(3):
    net.register_forward_hook(lambda module, args, output: runs.append(1))
net(minicnn.ones(1))
net(minicnn.ones(1))
check(3, answer, len(runs), "There are three hooks now, and each runs at each call.")

# %%
print("Next lesson: lessons/08_three_ways_to_convolve.py")
