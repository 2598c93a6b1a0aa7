# %% [markdown]
# # 6. Hooks, in order
#
# **You need:** the chain rule of lesson 3, and lesson 4 (a forward hook, its handle).
#
# **You leave with:** every kind of hook that there is, in the order in which one forward and one backward call run them, each with its
# rule; what changes if the forward pass raises an error, or if no input asks for a gradient; the place in the source where it is decided,
# and how to step there and back in a debugger.
#
# **Run time:** a few seconds. **Files written:** `lessons/out/06_hooks_in_order_timeline.png`.
#
# The names, the order and the rules are those of PyTorch 2.13.0. Put `import torch as minicnn` into the first cell, and `torch` for
# `minicnn` into the imports below it (but not for `minicnn.inspect`): all but the part on the source prints the same. A test does so.

# %%
import inspect
import os
import warnings
from pathlib import Path

from matplotlib.figure import Figure

import minicnn
from minicnn import nn
from minicnn.autograd.graph import saved_tensors_hooks
from minicnn.inspect import diff, trace
from minicnn.nn.modules import module as module_py

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## A layer to watch
#
# The smallest layer that has everything: one input, one weight, one operation. What it computes does not matter here. We only ask when.

# %%
events = []  # the log: what ran, in order


def note(what):
    """A hook that writes its name into the log, whatever it is called with. It returns None: nothing is changed."""

    def hook(*args, **kwargs):
        events.append(what)

    return hook


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(minicnn.tensor([2.0, 3.0]))

    def forward(self, x):
        events.append("forward")
        return x * self.weight


layer = Scale()
x = minicnn.tensor([1.0, 1.0], requires_grad=True)

# %% [markdown]
# ## Hooks on the forward pass
#
# A **pre-hook** runs before the layer computes. It sees the arguments, and may change them. A **forward hook** runs when the layer has
# computed. It sees the result, and may change it: what it returns takes the result's place. Both can be set on one module, or globally,
# for every module there is. Watch the order in which we *set* them here: they run in another one.

# %%
layer.register_forward_hook(note("forward hook"))
layer.register_forward_hook(note("forward hook, always_call"), always_call=True)
layer.register_forward_hook(note("forward hook, prepended"), prepend=True)
layer.register_forward_pre_hook(note("forward pre-hook"))
layer.register_forward_pre_hook(note("forward pre-hook, with kwargs"), with_kwargs=True)
layer.register_forward_pre_hook(note("forward pre-hook, prepended"), prepend=True)
global_handles = [
    module_py.register_module_forward_hook(note("global forward hook")),
    module_py.register_module_forward_pre_hook(note("global forward pre-hook")),
]

# %% [markdown]
# ## Hooks on the backward pass of a module
#
# The forward pass leaves a record, the **graph**. It is made of **nodes**, one for each operation: a node turns the gradient of its
# result into the gradients of its inputs. The backward pass walks from node to node.
#
# A **full backward hook** sees the gradients at the two edges of a module: those of its outputs (`grad_output`) and those of its inputs
# (`grad_input`). To see them, it needs a node at each edge. So a module with such a hook sends its arguments through a function that
# changes nothing, and its result through another. Their node is called `BackwardHookFunctionBackward`.

# %%
layer.register_full_backward_hook(note("full backward hook"))
layer.register_full_backward_pre_hook(note("full backward pre-hook"))
global_handles += [
    module_py.register_module_full_backward_hook(note("global full backward hook")),
    module_py.register_module_full_backward_pre_hook(note("global full backward pre-hook")),
]

# %% [markdown]
# ## Hooks on tensors and on nodes
#
# Below the modules there are tensors, and the nodes that made them.
#
# - A **tensor hook** sees the gradient of one tensor, and `retain_grad` stores it.
# - A **leaf** is a tensor at the beginning of the graph: no operation made it. A weight is one. The graph has a node for it, too, named
#   **AccumulateGrad**: it adds the gradient that arrives to the leaf's `.grad`. When that is done, a **post-accumulate hook** runs.
# - A node has a **pre-hook** and a **hook**: before and after it turns the gradients of its outputs into those of its inputs.
#
# The product inside the layer cannot be seen from outside. But a forward hook sees it. So in a forward hook we set hooks *on the result*,
# before it passes the module's output edge.


# %%
def on_the_product(module, args, output):
    """A forward hook that sets hooks: on the tensor that `x * weight` has made, and on its node."""
    output.register_hook(note("tensor hook of the product"))
    output.grad_fn.register_prehook(note("node pre-hook of the product"))
    output.grad_fn.register_hook(note("node hook of the product"))
    leaf_node = output.grad_fn.next_functions[1][0]  # the AccumulateGrad of the weight
    leaf_node.register_prehook(note("node pre-hook of AccumulateGrad"))
    leaf_node.register_hook(note("node hook of AccumulateGrad"))
    events.append("forward hook that sets hooks")


layer.register_forward_hook(on_the_product)
layer.weight.register_hook(note("tensor hook of the weight"))
layer.weight.register_post_accumulate_grad_hook(note("post-accumulate hook of the weight"))
x.register_hook(note("tensor hook of the input"))
x.register_post_accumulate_grad_hook(note("post-accumulate hook of the input"))


def pack(tensor):
    events.append("pack a saved tensor")
    return tensor


def unpack(tensor):
    events.append("unpack a saved tensor")
    return tensor


# %% [markdown]
# ## One call forward, one backward

# %%
with saved_tensors_hooks(pack, unpack):
    y = layer(x)

y.retain_grad()
y.grad_fn.register_prehook(lambda grads: events.append(f"node pre-hook of the output (y.grad: {y.grad.tolist()})"))
y.register_hook(lambda grad: events.append(f"tensor hook of the output (y.grad: {y.grad})"))
events.append("backward")
y.sum().backward()

# %% [markdown]
# And this is what happened. Each line has the rule that puts it there. The list is the claim; the `assert` holds it. In short:
#
# - **Forward**: pre-hooks, the layer's own `forward`, forward hooks. The global ones come before the module's own.
# - **Backward**, from the output to the input: full backward pre-hooks, the layer's nodes, the leaves among its weights, full backward
#   hooks, and at last the input.
# - **At each node**: the hooks of its tensor, its pre-hooks, the node itself, its hooks.

# %%
ORDER = [
    ("global forward pre-hook", "global hooks run before the module's own"),
    ("forward pre-hook, prepended", "prepend: first among the module's own"),
    ("forward pre-hook", "otherwise in the order in which they were set"),
    ("forward pre-hook, with kwargs", "with_kwargs changes what a hook is given, not when it runs"),
    # here the arguments pass the input edge
    ("forward", "pre-hooks have had their say: it gets what they made of the arguments"),
    ("pack a saved tensor", "x * weight keeps two tensors for the backward pass: one call for each"),
    ("pack a saved tensor", "the second one"),
    ("global forward hook", "global before own, here too"),
    ("forward hook, prepended", "prepend: first among the module's own"),
    ("forward hook", "in the order in which they were set"),
    ("forward hook, always_call", "its place is the usual one; the flag counts only after an error"),
    ("forward hook that sets hooks", "set last, runs last: it sees what the others made of the result"),
    # here the result passes the output edge
    ("backward", "our own line: y.sum().backward()"),
    ("tensor hook of the output (y.grad: None)", "a node runs when its gradient is complete; first the tensor's hooks"),
    (
        "node pre-hook of the output (y.grad: [1.0, 1.0])",
        "retain_grad has stored by now: after tensor hooks, before node hooks",
    ),
    ("global full backward pre-hook", "the output edge has run: grad_output is known; global before own"),
    ("full backward pre-hook", "may replace grad_output, before the layer's own backward"),
    ("tensor hook of the product", "one node deeper: again the tensor's hooks come first"),
    ("node pre-hook of the product", "then the node's pre-hooks"),
    ("unpack a saved tensor", "then the node runs, and asks for what it has saved"),
    ("unpack a saved tensor", "the second one"),
    ("node hook of the product", "then the node's hooks, with the gradients on both sides"),
    ("tensor hook of the weight", "leaves have priority: the weight before anything further back"),
    ("node pre-hook of AccumulateGrad", "a leaf is a node too: tensor hook, pre-hook, run, hook"),
    ("post-accumulate hook of the weight", "this node runs by adding to weight.grad; at once after that"),
    ("node hook of AccumulateGrad", "and then the node's own hook"),
    ("global full backward hook", "the input edge has run: grad_input is known; global before own"),
    ("full backward hook", "with grad_input and grad_output; by now weight.grad is complete"),
    ("tensor hook of the input", "what is behind the input edge: here the leaf x"),
    ("post-accumulate hook of the input", "x.grad has been added to"),
]
width = max(len(name) for name, _ in ORDER)
for number, (happened, (_, rule)) in enumerate(zip(events, ORDER, strict=True), 1):
    print(f"{number:2}  {happened:{width}}  {rule}")
assert events == [name for name, _ in ORDER]

# %% [markdown]
# Not in this list are:
#
# - the *legacy* `register_backward_hook`. It is a node hook on the last operation of the module, and its `grad_input` is rarely the
#   module's. Use the full one;
# - `register_multi_grad_hook`, which is a tensor hook on several tensors at once;
# - hooks that have nothing to do with a call: those of `state_dict`, of `load_state_dict`, and of the registration of parameters and
#   modules.
#
# ## The same as a picture
#
# Time runs downwards. Forward, the call goes from the input through the layer to the output. Backward, it returns through the same
# stations in reverse. Filled dots are events of the graph (tensors and nodes), squares are those of the module.

# %%
STATIONS = ["input x", "input edge", "weight", "inside the layer", "output edge", "output y"]
WHERE = {  # what of a name says where it stands
    "of the input": "input x", "pre-hook of the output": "output y", "hook of the output": "output y",
    "of the weight": "weight", "AccumulateGrad": "weight", "of the product": "inside the layer",
    "saved tensor": "inside the layer", "full backward pre-hook": "output edge", "full backward hook": "input edge",
    "forward pre-hook": "input edge", "forward hook": "output edge", "forward": "inside the layer", "backward": "output y",
}  # fmt: skip


def station(name):
    return STATIONS.index(next(place for part, place in WHERE.items() if part in name))


figure = Figure(figsize=(12, 11.5), layout="constrained")
ax = figure.subplots()
places = [station(name) for name in events]
turn = events.index("backward")
for first, last, colour in ((0, turn, "#0072b2"), (turn, len(events) - 1, "#d55e00")):
    ax.plot(places[first : last + 1], range(first, last + 1), color=colour, linewidth=6, alpha=0.18, zorder=1)
for row, (name, place) in enumerate(zip(events, places, strict=True)):
    colour = "#0072b2" if row < turn else "#d55e00"
    of_the_module = "full backward" in name or name.startswith(("forward", "global"))
    ax.plot(place, row, marker="s" if of_the_module else "o", color=colour, markersize=7, zorder=2)
    bold = "bold" if name in ("forward", "backward") else "normal"
    left = place > 3
    ax.annotate(
        f"{row + 1}  {name}",
        (place, row),
        (-9 if left else 9, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=9,
        fontweight=bold,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )
ax.set_xticks(range(len(STATIONS)), STATIONS)
ax.xaxis.tick_top()
ax.grid(axis="x", color="#dddddd")
ax.set_xlim(-0.4, len(STATIONS) - 0.6)
ax.invert_yaxis()
ax.set_yticks([])
ax.set_ylabel("time runs down: forward (blue), then backward (orange)")
ax.spines[["top", "right", "bottom", "left"]].set_visible(False)
figure.suptitle("One call forward, one backward: every hook where it runs (squares: the module's, dots: the graph's)")
figure.savefig(out / "06_hooks_in_order_timeline.png", dpi=110)
figure

# %%
for handle in global_handles:  # they would run for every module of this process
    handle.remove()
left = len(module_py._global_forward_hooks) + len(module_py._global_backward_hooks)
print("global hooks left:", left)
assert left == 0

# %% [markdown]
# ## When forward raises
#
# Then the forward hooks do not run, except those set with `always_call`. If there is no result yet, these get None in its place.
# Afterwards the error goes on its way. Such a hook can close a file, or end a measurement.


# %%
class Fails(nn.Module):
    def forward(self, x):
        raise ValueError("no result today")


failing, events[:] = Fails(), []
failing.register_forward_hook(note("forward hook"))
failing.register_forward_hook(lambda m, args, result: events.append(f"always_call, result {result}"), always_call=True)
try:
    failing(x)
except ValueError as error:
    events.append(f"the caller gets: {error}")
print(events)
assert events == ["always_call, result None", "the caller gets: no result today"]

# %% [markdown]
# ## Modules in modules, and the input that asks for no gradient
#
# `trace` writes down what the modules of a network do. With `full_backward=True` it uses full backward hooks, so we see their order.
# First with an input that requires grad: the edges of a module lie around those of the modules in it.


# %%
def chain_of_two():
    minicnn.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def backward_trace(requires_grad):
    model = chain_of_two()
    with warnings.catch_warnings(), trace(model, full_backward=True) as seen:
        warnings.simplefilter(
            "ignore"
        )  # if the input asks for no gradient there is a UserWarning that says what follows
        model(minicnn.ones(1, 2, requires_grad=requires_grad)).sum().backward()
    return seen


with_gradient, without = backward_trace(True), backward_trace(False)
print(with_gradient)
order = [f"{event.module or 'model'} {event.kind}" for event in with_gradient if event.kind.startswith("grad")]
assert order == [
    *("model grad_output", "1 grad_output", "1 grad_input", "0 grad_output", "0 grad_input", "model grad_input"),
]

# %% [markdown]
# Now the input is an image that asks for no gradient, as in training. So there is nothing to see at the input edge, and the library makes
# no input edge. The hook runs all the same, but earlier: **on the output edge, before the module's own backward**, with None for
# `grad_input`. That is so for the model and for its first layer. It is not so for the second layer, whose input does require grad. `diff`
# shows where the two traces part.

# %%
difference = diff(with_gradient, without, ignore=("bytes", "requires_grad"))
print(difference)
order = [f"{event.module or 'model'} {event.kind}" for event in without if event.kind.startswith("grad")]
assert order == [
    *("model grad_output", "model grad_input", "1 grad_output", "1 grad_input", "0 grad_output", "0 grad_input"),
]
assert difference.b.kind == "grad_input" and difference.b.tensors[0].dtype == "None"

# %% [markdown]
# ## Four rules that surprise
#
# **1. A backward pass runs the backward hooks that were there when the module was called.** Removing the handle afterwards does not stop
# the hook.

# %%
layer, events[:] = Scale(), []
handle = layer.register_full_backward_hook(note("full backward hook"))
y = layer(x)
handle.remove()
y.sum().backward()
print("after handle.remove():", [event for event in events if "full" in event])
assert "full backward hook" in events

# %% [markdown]
# **2. Each phase makes a list of its hooks first, and then runs it.** If a forward hook removes another one, that one still runs this
# time. A hook that is added runs from the next call on.

# %%
layer, events[:] = Scale(), []
layer.register_forward_hook(lambda m, args, result: doomed.remove())
doomed = layer.register_forward_hook(note("removed before its turn"))
layer(x)
layer(x)
print("in two calls:", events)
assert events == ["forward", "removed before its turn", "forward"]

# %% [markdown]
# **3. Hooks belong to the call, not to `forward`.** Whoever calls `layer.forward(x)`, or uses `layer.weight` directly, passes them by.

# %%
layer, events[:] = Scale(), []
layer.register_forward_hook(note("forward hook"))
layer.forward(x)
print("layer.forward(x):", events)
assert events == ["forward"]

# %% [markdown]
# **4. With a full backward hook, a forward hook and the caller get two different tensors.** Between them lies the output edge. The
# caller's tensor is a **view**: it looks at the memory of the first one, and has a node of its own. To write to this view in place is an
# error. That is why an **in-place** ReLU, which writes its result over its input, fails behind a layer with a full backward hook.

# %%
layer, kept = Scale(), []
layer.register_full_backward_hook(note("full backward hook"))
layer.register_forward_hook(lambda m, args, result: kept.append(result))
y = layer(x)
print("the hook's:", kept[0].grad_fn.name(), " the caller's:", y.grad_fn.name())
assert (kept[0].grad_fn.name(), y.grad_fn.name()) == ("MulBackward0", "BackwardHookFunctionBackward")
try:
    y.relu_()
    message = "no error"
except RuntimeError as error:
    message = str(error)
print("y.relu_():", message[:82], "...")
assert "is a view and is being modified inplace" in message

# %% [markdown]
# **There are two ways out:** a ReLU that is not in-place (`nn.ReLU(inplace=False)`), or a copy before it (`y.clone()`).

# %%
print("not in place:", y.relu().tolist(), "  on a copy:", y.clone().relu_().tolist())
assert y.relu().tolist() == y.clone().relu_().tolist() == [2, 3]

# %% [markdown]
# ## Where it stands in the source
#
# All of this is decided in `_call_impl` in `minicnn/nn/modules/module.py`. A module without hooks goes straight to `forward`. With hooks
# it goes through the phases of `_HookedCall.run`, which read like the list above. There is no decorator and no metaclass between your
# line and your hook, so a debugger steps through plain functions. Try it:
#
# ```text
# python -m pdb lessons/06_hooks_in_order.py
# (Pdb) import minicnn.nn.modules.module as m
# (Pdb) break m._HookedCall.run
# (Pdb) continue            # `layer(x)` stops here, at the top of the phases
# (Pdb) next  ...  step     # into a phase, and from its loop into a hook
# (Pdb) return              # out of the hook, back in the loop that called it
# (Pdb) where               # three frames between your call and your hook
# ```
#
# Is that true? Ask the stack: inside a hook we look upwards, to the line that called the layer.

# %%
frames = []


def look_up(module, args, result):
    frames.extend(info.frame for info in inspect.stack()[1:])


layer = Scale()
layer.register_forward_hook(look_up)
layer(x)
between = []
for frame in frames:
    if frame.f_code.co_filename != module_py.__file__:
        break
    between.append(frame.f_code)
for code in between:
    print(f"    {Path(code.co_filename).name}:{code.co_firstlineno}  {code.co_name}")
print(f"frames between the call and the hook: {len(between)}, then our own: {frame.f_globals is globals()}")
assert len(between) <= 4 and between[-1].co_name == "_call_impl"
assert frame.f_globals is globals()  # in a notebook each statement of a cell has a frame of its own

plain = all(inspect.isfunction(f) and not hasattr(f, "__wrapped__") for f in (nn.Module.__call__, nn.Module._call_impl))
print("the class of Module:", type(nn.Module).__name__, "  plain functions:", plain)
assert type(nn.Module) is type and plain

# %%
frames.clear()
line = inspect.getsourcelines(nn.Module._call_impl)[1]
print(f"the first breakpoint: minicnn/nn/modules/module.py:{line}")
assert "_forward_hooks" in inspect.getsource(nn.Module._call_impl)

# %% [markdown]
# **Try it:** return something from one of the hooks. The value of a pre-hook becomes the arguments, that of a forward hook the result,
# that of a full backward hook `grad_input`. Then set the same hooks in PyTorch, and let `diff` of the two traces say whether both agree.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/06_hooks_in_order.py`.
#
# **1.** A layer gets the hook "a", then the hook "b" with `prepend=True`, then the hook "c". In which order do they run?

# %%
from lessons.exercises import check

answer = ...  # a list of texts, such as ["a", "b", "c"]

layer, events[:] = nn.Identity(), []
for name, first_of_all in (("a", False), ("b", True), ("c", False)):
    layer.register_forward_hook(note(name), prepend=first_of_all)
layer(minicnn.ones(1))
check(
    1,
    answer,
    events,
    "prepend puts a hook before those that are there. The others run in the order in which they were set.",
)

# %% [markdown]
# **2.** The first forward hook of an `nn.Identity` returns `10 * output`, and the second one returns nothing. The input is 2. Which
# number does the second hook see, and which one does the caller get?

# %%
answer = ...  # (seen by the second hook, returned to the caller)

layer, seen = nn.Identity(), []
layer.register_forward_hook(lambda module, args, output: 10 * output)
layer.register_forward_hook(lambda module, args, output: seen.append(output.item()))
check(
    2,
    answer,
    (layer(minicnn.tensor(2.0)).item(), seen[0]),
    "What a forward hook returns takes the place of the result, for all that follows.",
)

# %% [markdown]
# **3.** A weight has three hooks: a post-accumulate hook, a tensor hook, and a pre-hook on its AccumulateGrad node. Put them into the
# order in which they run.

# %%
answer = ...  # a list: "post-accumulate hook", "tensor hook", "node pre-hook", in the right order

names = [name for name, _ in ORDER if "of the weight" in name or name == "node pre-hook of AccumulateGrad"]
order = [name.split(" of ")[0] for name in names]
check(3, answer, order, "First the gradient is complete, then the node runs, then `.grad` has changed.")

# %%
print("Next lesson: lessons/07_memory_and_aliasing.py")
