# %% [markdown]
# # 15. Why this answer?
#
# **You need:** lesson 1 (a photograph, an answer) and lesson 6 (hooks); lesson 14 helps.
#
# **You leave with:** seven methods that colour a photograph by what it had to do with an answer; for each of them one test that it must
# pass by its own definition; and the question that decides whether a beautiful map means anything.
#
# **Run time:** under 20 seconds. **Files written:** `lessons/out/15_why_this_answer_*.png` (3 figures).

# %%
import os
from pathlib import Path

import numpy as np

import minicnn
from minicnn import viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")
photo = viz.fit(viz.load_image(path) if path else viz.sample_photo(), 96)
x = viz.preprocess(photo, model, size=96)

with minicnn.no_grad():
    logits = model(x)[0].numpy()
first, second, *_, middle = (int(i) for i in np.argsort(-logits)[:100])
names = [name.split(",")[0] for name in model.meta.categories]
print(f"the answer: {names[first]} ({logits[first]:.2f}), then {names[second]} ({logits[second]:.2f})")
assert logits[first] > logits[second]

# %% [markdown]
# ## The gradient: what would change the answer?
#
# The plainest question: if a pixel became a little brighter, by how much would the score of this class rise? That is the gradient of the
# score with respect to the photograph. `saliency` is its magnitude. What it promises can be measured: take a small step, and the score
# changes by step times gradient.

# %%
grad = viz.gradient(model, x, first)  # (1, 3, 96, 96)
step = np.sign(grad).astype(np.float32) * 1e-3
rise = float(
    viz.score(model, x + minicnn.tensor(step), first)[0] - viz.score(model, x - minicnn.tensor(step), first)[0]
)
promised = float(2 * (step * grad).sum())
print(f"a small step along the gradient: promised {promised:.3f}, measured {rise:.3f}")
assert abs(rise - promised) < 0.1 * promised

# %% [markdown]
# ## Other rules at the ReLU
#
# Gradients look like noise. **Guided backpropagation** changes them on the way back: at every ReLU it throws away what is negative. The
# **deconvnet** does so too, without asking whether the ReLU was on. The pictures become sharp at once.
#
# Many libraries exchange the network's modules to do that, and if an error comes in between, the network stays changed. Here it is done
# by a hook on the nodes of one graph, for the length of a `with` block.

# %%
image = x.clone().requires_grad_()
with viz.relu_rule(model, "guided") as replaced:
    model(image)[0, first].backward()
print(f"gradients replaced at {replaced.count} ReLUs")
assert replaced.count == 5
same = np.array_equal(image.grad.numpy(), viz.guided_backprop(model, x, first))
print("the same as viz.guided_backprop:", same)
assert same
hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules())
print("hooks left on the network:", hooks)
assert hooks == 0
again = np.array_equal(viz.gradient(model, x, first), grad)
print("the ordinary gradient is what it was:", again)
assert again

# %% [markdown]
# ## Shares that add up
#
# A gradient says what *would* happen. **Integrated gradients** share out what *did* happen. Take the difference between the score of the
# photograph and the score of a grey image. It is distributed over the pixels, and the shares add up to it.

# %%
shares = viz.integrated_gradients(model, x, first, steps=16)
difference = float(viz.score(model, x, first)[0] - viz.score(model, x * 0, first)[0])
print(f"the shares add up to {shares.sum():.3f}, the scores differ by {difference:.3f}")
assert abs(shares.sum() - difference) < 0.05 * abs(difference) + 0.05

# %% [markdown]
# ## No gradient at all
#
# **Occlusion** is an experiment: cover a square, look at the score, move on. It needs a forward pass for every square, and no calculus.
# We repeat one of its measurements by hand.

# %%
falls = viz.occlusion(model, x, first, window=16, stride=12)[0]  # (96, 96)
covered = x.clone()
covered[:, :, :16, :16] = 0
by_hand = float(logits[first] - viz.score(model, covered, first)[0])
print(f"covering the upper left corner: by hand {by_hand:.4f}, in the map {falls[0, 0]:.4f}")
assert abs(by_hand - falls[0, 0]) < 1e-3

# %% [markdown]
# **Grad-CAM** does not look at pixels, but at a deep layer: which of its maps speak for the class, and where are they active? It is as
# coarse as a deep map is, but each cell is drawn where it looks (lesson 14). **SmoothGrad** averages the gradient over noisy copies of
# the photograph.

# %%
maps = {
    "saliency": viz.saliency(model, x, first),
    "guided backprop": viz.guided_backprop(model, x, first),
    "deconvnet": viz.deconvnet(model, x, first),
    "integrated gradients": shares,
    "SmoothGrad": viz.smooth_grad(model, x, first, samples=8),
    "occlusion": falls[None],
    "Grad-CAM": viz.grad_cam(model, x, first, layer="features.11"),
}
styles = {
    "guided backprop": "colour", "deconvnet": "colour", "SmoothGrad": "max", "occlusion": "overlay", "Grad-CAM": "overlay"
}  # fmt: skip
figure = viz.draw_attribution(photo, maps, styles=styles, title=f"Why “{names[first]}”? Seven answers")
figure.savefig(out / "15_why_this_answer_methods.png")
figure

# %% [markdown]
# ## Seven answers to one question
#
# Do they agree? For each pair of maps we take the **rank correlation**. It puts the pixels of each map in order, from the least important
# to the most, and asks how well the two orders agree: 1 is the same order, 0 is no relation.

# %%
strength = {name: np.abs(m[0]).max(0) if m.ndim == 4 else np.maximum(m[0], 0) for name, m in maps.items()}
pairs = [(a, b) for i, a in enumerate(strength) for b in list(strength)[i + 1 :]]
agreement = {(a, b): viz.rank_correlation(strength[a], strength[b]) for a, b in pairs}
for a, b in sorted(pairs, key=lambda pair: -agreement[pair])[:3]:
    print(f"{a} and {b}: {agreement[a, b]:.2f}")
print(f"mean over all {len(pairs)} pairs: {np.mean(list(agreement.values())):.2f}")
assert np.mean(list(agreement.values())) < 0.7

# %% [markdown]
# Not very well. So which map is right? Nobody has the true answer to compare with. But one can ask something weaker, and a map must not
# fail it: **does it depend on what the network learned?**
#
# ## The sanity check
#
# Adebayo et al. (2018) give random weights to one layer after the other, from the last to the first. After the first step the network has
# forgotten all classes; at the end it knows nothing. A map that explains the network must become another map. A map that stays as it was
# is a picture of the photograph.
#
# We take three windows of the photograph. Beside the methods we take a control: an edge detector, which knows no network at all.

# %%
big = viz.load_image(path) if path else viz.sample_photo()
height, width = big.shape[:2]
side = int(0.6 * min(height, width))
corners = [(0, 0), (0, width - side), (height - side, (width - side) // 2)]
cuts = [viz.fit(big[top : top + side, left : left + side], 64) for top, left in corners]
batch = minicnn.cat([viz.preprocess(cut, model) for cut in cuts])


def edges(model, x, target):
    """How much a pixel differs from its neighbours, summed over the colours: (N, H, W)"""
    values = x.numpy()
    down, across = np.diff(values, axis=2, append=values[:, :, -1:]), np.diff(values, axis=3, append=values[..., -1:])
    return np.sqrt(down**2 + across**2).sum(1)


before = [p.detach().numpy().tobytes() for p in model.parameters()]
methods = ["saliency", "guided_backprop", "grad_cam"]
checks = {name: viz.sanity_check(name, model, batch, progress=False) for name in methods}
checks["edges"] = viz.sanity_check(edges, model, batch, name="edge detector (control)", progress=False)
unchanged = before == [p.detach().numpy().tobytes() for p in model.parameters()]
print("every weight is back, bit for bit:", unchanged)
assert unchanged
print(checks["guided_backprop"])

# %%
figure = viz.draw_sanity(list(checks.values()), cuts[0])
figure.savefig(out / "15_why_this_answer_sanity.png")
figure

# %% [markdown]
# Now the numbers. We look at the second step: the classifier and the last convolution are random, so nothing about classes is left.
# **SSIM** (structural similarity) compares two pictures window by window, by mean, contrast and how they vary together; 1 is the same
# picture.

# %%
left = {name: np.nanmean(check.absolute_rank_correlation[2]) for name, check in checks.items()}
similar = {name: np.nanmean(check.ssim[2]) for name, check in checks.items()}
for name in left:
    print(
        f"{checks[name].name:<24} rank correlation with the trained map {left[name]:5.2f}   SSIM {similar[name]:5.2f}"
    )
assert left["edges"] > 0.999
assert left["guided_backprop"] > left["saliency"] + 0.1
assert left["guided_backprop"] > left["grad_cam"] + 0.1

# %% [markdown]
# **Guided backpropagation hardly notices** that the network forgot its classes. Its sharp pictures show the photograph, filtered by the
# early layers. The maps of Grad-CAM and of the plain gradient become other maps.
#
# A second question of the same kind: ask for *another class*, one from the middle of the list. A map that explains an answer should
# depend on the answer.

# %%
others = {}
for name, method in {
    "saliency": viz.saliency,
    "guided_backprop": viz.guided_backprop,
    "grad_cam": viz.grad_cam,
}.items():
    ours, theirs = (np.abs(method(model, x, target)) for target in (first, middle))
    others[name] = viz.rank_correlation(ours, theirs)
    print(f"{name}: the map for {names[first]} against the map for {names[middle]}: {others[name]:.2f}")
assert others["guided_backprop"] > others["saliency"]

# %% [markdown]
# And the *robust* twin (lesson 5), which small changes move less? Its plain gradient, without any rule or average, follows what is in the
# photograph. So part of the noise was not the method's fault: the standard network does react to it.

# %%
robust = tinynet("robust").eval()
pair = {"standard: gradient": viz.gradient(model, x, first), "robust twin: gradient": viz.gradient(robust, x, first)}
figure = viz.draw_attribution(
    photo, pair, styles="max", title=f"The plain gradient of “{names[first]}”, in two networks"
)
figure.savefig(out / "15_why_this_answer_robust.png")
like_edges = {name: viz.rank_correlation(np.abs(m[0]).max(0), edges(None, x, None)[0]) for name, m in pair.items()}
for name, value in like_edges.items():
    print(f"{name}: rank correlation with the edges of the photograph {value:.2f}")
assert like_edges["robust twin: gradient"] > like_edges["standard: gradient"]
figure

# %% [markdown]
# **What to take home.** A map is a measurement of something. Say what it promises: a slope, a share, the result of an experiment. Test
# the promise. And run the sanity check before you believe that the map shows what the network learned. The check is necessary and not
# sufficient: a map can depend on the weights and still mislead.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/15_why_this_answer.py`.
#
# **1.** Write the rule of guided backpropagation at one ReLU: what goes back is the gradient that arrived, where it is positive
# *and* the ReLU was on.

# %%
from lessons.exercises import check


def guided(gradient, value):
    """gradient: what arrives; value: the input of the ReLU; arrays of one shape -> what goes back"""
    return ...


arrived, value = np.array([2.0, 2.0, -3.0, -3.0]), np.array([1.0, -1.0, 1.0, -1.0])
check(1, guided(arrived, value), [2, 0, 0, 0], "Two conditions, joined by &. np.where takes the one or the other.")

# %% [markdown]
# **2.** Integrated gradients of a score that is only a weighted sum: weights [2, -1, 0.5], values [3, 4, 2], compared with all
# values 0. What are the shares?

# %%
answer = ...  # three numbers

linear = minicnn.nn.Conv2d(3, 1, 1, bias=False)
with minicnn.no_grad():
    linear.weight.copy_(minicnn.tensor([2.0, -1.0, 0.5]).view(1, 3, 1, 1))
score_of = minicnn.nn.Sequential(linear, minicnn.nn.Flatten())
values = minicnn.tensor([3.0, 4.0, 2.0]).view(1, 3, 1, 1)
divided = viz.integrated_gradients(score_of, values, 0, steps=4).ravel()
check(
    2,
    answer,
    divided,
    "The gradient is the same all the way: weight times the way that the value has come.",
    tolerance=1e-4,
)

# %%
print("Next lesson: lessons/16_one_number_taken_apart.py")
