# %% [markdown]
# # 18. Gradients of gradients
#
# **You need:** lesson 3 (what a backward pass does) and lesson 15 (the gradient as an explanation).
#
# **You leave with:** what `create_graph=True` records; how a Hessian with millions of numbers is used without ever being written down;
# why a network of ReLUs has no curvature, and a softened one has; a photograph whose explanation was moved to where we wanted it; and a
# first layer that was trained for small gradients.
#
# **Run time:** two minutes. **Files written:** `lessons/out/18_gradients_of_gradients_*.png` (4 figures).

# %%
import copy
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.autograd import functional, grad
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## The gradient is a tensor like any other
#
# A backward pass computes a gradient out of products and sums. With `create_graph=True` these are recorded, as those of a forward pass
# are. So the gradient has a graph of its own. One can ask for its gradient, and for the gradient of that.

# %%
x = minicnn.tensor(2.0, requires_grad=True)
y = x**4
print(f"x = 2: x^4 is {y.item():.0f}")
for order, expected in enumerate([32, 48, 48, 24], 1):  # 4 x^3, 12 x^2, 24 x, 24
    (y,) = grad(y, [x], create_graph=True)
    print(f"derivative {order} is {y.item():.0f}, made by {type(y.grad_fn).__name__}")
    assert y.item() == expected

# %% [markdown]
# Without `create_graph` the first pass would have recorded nothing. That is the default, because a graph costs memory, and mostly nobody
# asks again.
#
# ## The Hessian, one product at a time
#
# Take one number that depends on n others. Its second derivatives are a matrix of n x n, the **Hessian**: how each slope changes when
# each input moves. For a photograph of 64 x 64 pixels in three colours n is 12,288, and the matrix would have 151 million numbers. Nobody
# needs them all. What one needs is the matrix times a direction, `H v`: how *all* slopes change when the photograph moves along `v`. That
# is one more backward pass, through the gradient's graph:
#
# > *H v* = gradient of (gradient · *v*)
#
# As the number we take the score (the logit) of the network's first answer, and as the direction the photograph itself: along it the
# contrast grows.

# %%
model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")
photo = viz.frame(viz.load_image(path) if path else viz.sample_photo(), model)
image = viz.preprocess(photo, model)  # (1, 3, 64, 64)
names = [name.split(",")[0] for name in model.meta.categories]
answer = int(model(image)[0].argmax())
print(f"the answer: {names[answer]}")


def score(network):
    """image (1, 3, H, W) -> the logit of the answer, a tensor of one number"""
    return lambda image: network(image)[0, answer]


def slope(network, at, create_graph=False):
    """The gradient of the logit by the image, (1, 3, H, W)."""
    leaf = at.detach().requires_grad_() if not at.requires_grad else at
    (gradient,) = grad(score(network)(leaf), [leaf], create_graph=create_graph)
    return gradient


_, product = functional.vhp(score(model), image, image)
print(f"largest number in the Hessian times the photograph: {product.abs().max().item()}")
assert product.abs().max() == 0

# %% [markdown]
# ## Zero, and not by accident
#
# It is not small, it is 0. A ReLU is made of two straight lines, and max-pooling picks one of its pixels. So within a small neighbourhood
# of a photograph the network multiplies, adds, and does nothing else. It is like a flat facet of a cut stone, with a huge number of other
# facets around it. On a facet the slope is the same everywhere, so its derivative is zero. Only on the edges, where facets meet, there is
# no derivative at all.
#
# Does the slope never change, then? It does, but in jumps, from facet to facet. We raise the contrast in small steps and look.

# %%
contrasts = np.linspace(1, 1.02, 41)
slopes = [slope(model, image * float(factor)).numpy().ravel() for factor in contrasts]
changed = [np.abs(after - before).max() > 1e-6 for before, after in zip(slopes, slopes[1:], strict=False)]
turn = 1 - np.corrcoef(slopes[0], slopes[-1])[0, 1]
print(f"in {sum(changed)} of {len(changed)} steps of 0.05 % contrast a facet's edge was crossed")
print(f"after 2 % more contrast the correlation with the first slope has fallen by {turn:.3f}")
assert sum(changed) > len(changed) / 2
assert turn > 0.001

# %% [markdown]
# **Softplus** is a ReLU without its corner: log(1 + exp(beta x)) / beta. The larger beta is, the closer it comes to a ReLU. We put it in
# the place of every ReLU, with beta 10 and the weights as they are. (The max-poolings stay, so some corners do.) Now there is curvature.
# Is it right? We measure it: the slope a little to both sides, in float64.

# %%


def softened(network, beta):
    """A copy with Softplus(beta) in the place of each ReLU."""
    soft = copy.deepcopy(network)
    for k, layer in enumerate(soft.features):
        if isinstance(layer, nn.ReLU):
            soft.features[k] = nn.Softplus(beta)
    return soft


exact = softened(model, beta=10).double()
point = image.double()
_, product = functional.vhp(score(exact), point, point)
h = 1e-7  # small enough that hardly any max-pool changes its pixel
measured = (slope(exact, point * (1 + h)) - slope(exact, point * (1 - h))) / (2 * h)
error = ((product - measured).norm() / measured.norm()).item()
print(f"largest number in the product: {product.abs().max():.4f}; measured by differences: off by {error:.1e}")
assert error < 1e-3

symmetric = [functional.hvp(score(exact), point, point)[1], product]  # H v and v H: a Hessian is symmetric
print(f"H v against v H: {(symmetric[0] - symmetric[1]).abs().max():.1e}")
assert (symmetric[0] - symmetric[1]).abs().max() < 1e-10

# %% [markdown]
# Look at it beside the slope. The slope says: if this pixel were brighter, the score would rise. The product says: if the contrast were
# higher, *that advice would change*. Where the product is dark, the explanation is stable.

# %%


def strength(tensor):
    """(1, 3, H, W) -> (H, W): the magnitudes, summed over the colours"""
    return np.abs(tensor.numpy()[0]).sum(0)


figure = Figure(figsize=(11, 3.4), layout="constrained")
pictures = {
    "the photograph": photo,
    "slope, ReLU": strength(slope(model, image)),
    "slope, Softplus": strength(slope(exact, point)),
    "Hessian x photograph, ReLU:\nnothing": np.zeros((64, 64)),
    "Hessian x photograph,\nSoftplus": strength(product),
}
for ax, (title, picture) in zip(figure.subplots(1, 5), pictures.items(), strict=True):
    ax.imshow(picture, cmap="magma", vmin=None if picture.any() else 0, vmax=None if picture.any() else 1)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()
figure.suptitle(f"How the slope of “{names[answer]}” changes with the contrast (each map on its own scale)")
figure.savefig(out / "18_gradients_of_gradients_hessian.png", dpi=110)
figure

# %% [markdown]
# ## An explanation can be moved
#
# The gradient is often shown as an explanation: *these pixels mattered*. Dombrowski et al. (2019, "Explanations can be manipulated and
# geometry is to blame") asked: how much must one change a photograph until the map shows whatever one likes, while the answer stays? To
# find such a change, one follows the gradient of a loss that contains the map. And the map is a gradient, so this is a second derivative.
#
# Through ReLUs nothing happens: the map's own gradient is zero, as we saw. So they took the softened network to find the change, and
# showed the result to the real one. We do the same. The map that we want is a frame, which has nothing to do with the photograph. No
# pixel may change by more than 12 of 255, and the logits should stay.

# %%


def heat(network, at, create_graph=False):
    """(H, W): where the slope is strong; the sum is 1"""
    strong = slope(network, at, create_graph).abs().sum(1)[0]
    return strong / strong.sum()


wanted = np.zeros((64, 64), np.float32)
wanted[8:56, 8:56] = 1
wanted[14:50, 14:50] = 0
frame = minicnn.tensor(wanted / wanted.sum())

leaf = image.clone().requires_grad_()
((heat(model, leaf, create_graph=True) - frame) ** 2).sum().backward()
print(f"ReLU: the largest slope of the map itself is {leaf.grad.abs().max().item()}")
assert leaf.grad.abs().max() == 0

# %%
soft = softened(model, beta=10)
goal = soft(image).detach()
deviation = minicnn.tensor(np.array(model.meta.std, np.float32)).view(1, 3, 1, 1)
most = 12 / 255 / deviation  # in the numbers that enter the network
attacked = image.clone().requires_grad_()
optimizer = minicnn.optim.Adam([attacked], lr=0.01)
for _ in range(150):
    logits = soft(attacked)
    (gradient,) = grad(logits[0, answer], [attacked], create_graph=True)
    strong = gradient.abs().sum(1)[0]
    loss = 4096 * ((strong / strong.sum() - frame) ** 2).sum() + ((logits - goal) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with minicnn.no_grad():
        attacked.copy_(image + (attacked - image).clamp(-most, most))
attacked = attacked.detach()


def likeness(a, b):
    """The correlation of two maps."""
    return float(np.corrcoef(np.asarray(a).ravel(), np.asarray(b).ravel())[0, 1])


change = ((attacked - image) * deviation * 255).abs()
maps = {name: heat(model, at).numpy() for name, at in (("before", image), ("after", attacked))}
print(f"pixels changed by {change.mean():.1f} of 255 on average, at most {change.max():.1f}")
for name, at in (("before", image), ("after", attacked)):
    probabilities = model(at).softmax(1)[0]
    print(
        f"the real network, {name}: {names[int(probabilities.argmax())]} with {probabilities.max():.0%}; correlation of its map "
        f"with the frame {likeness(maps[name], wanted):.2f}"
    )
assert change.max() < 12.01
assert path or int(model(attacked)[0].argmax()) == answer
assert path or (likeness(maps["before"], wanted) < 0.1 and likeness(maps["after"], wanted) > 0.4)

# %%


def as_picture(at):
    """What enters the network, as a picture again: (H, W, 3) between 0 and 1"""
    return np.clip(at.numpy()[0].transpose(1, 2, 0) * np.array(model.meta.std) + np.array(model.meta.mean), 0, 1)


figure = Figure(figsize=(11, 3.2), layout="constrained")
pictures = {
    "the photograph": as_picture(image),
    "its map": maps["before"],
    "wanted": wanted,
    "the photograph, changed": as_picture(attacked),
    "its map now": maps["after"],
}
for ax, (title, picture) in zip(figure.subplots(1, 5), pictures.items(), strict=True):
    ax.imshow(picture, cmap="magma")
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
figure.suptitle(f"Both are “{names[answer]}” to the network. Its explanation went where we wanted it")
figure.savefig(out / "18_gradients_of_gradients_moved.png", dpi=110)
figure

# %% [markdown]
# Softer networks resist. The attack lives on curvature: the more the slope changes within 12 of 255, the further it can be moved. The
# corners of ReLU are curvature without bound; a small beta makes gentle bends of them. The paper's cure is to *explain* with a small
# beta. We try it: the same two photographs, explained by ever softer networks, which did not take part in finding the change.

# %%
betas = [1, 2, 5, 10, 20, 50]
moved = []
for beta in betas:
    network = softened(model, beta)
    before, after = (heat(network, at).numpy() for at in (image, attacked))
    moved.append(likeness(before, after))
    print(f"beta {beta:3}: correlation of the map before with the map after {moved[-1]:.2f}")
moved.append(likeness(maps["before"], maps["after"]))
print(f"ReLU:     {moved[-1]:.2f}")
assert path or moved[0] > moved[-1] + 0.2

# %%
figure = Figure(figsize=(6, 3), layout="constrained")
ax = figure.subplots()
ax.plot(range(len(moved)), moved, marker="o", color="#3b6ea5")
ax.set_xticks(range(len(moved)), [*map(str, betas), "ReLU"])
ax.set_xlabel("beta of the network that explains")
ax.set_ylabel("map before and after, correlation")
ax.set_ylim(0, 1)
ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("Softer networks keep to their explanation")
figure.savefig(out / "18_gradients_of_gradients_beta.png", dpi=110)
figure

# %% [markdown]
# ## Trained for small slopes
#
# If slopes are a weakness, train them away: add their size to the loss. (Drucker and LeCun did so in 1992 and called it double
# backpropagation; the gradient penalties of generative networks are the same thing.) Now the loss contains a gradient by the *image*, and
# training needs its gradient by the *weights*. That one is not zero in a network of ReLUs either: the slope on a facet is a product of
# weights.
#
# We train the first layer alone, for about two minutes on a busy machine, on windows cut from the 58 photographs that come with minicnn.
# Nobody has labelled them. The network has two tasks: to keep the logits that it gives today, and to make smaller the slopes of the
# log-probability of its answer.

# %%
rng = np.random.default_rng(0)


def windows(paths, each):
    """Windows of these photographs, cut at random places: (N, 3, 64, 64)"""
    cuts = []
    for file in paths:
        whole = viz.load_image(file)
        height, width = whole.shape[:2]
        for _ in range(each):
            side = int(rng.uniform(0.5, 1) * min(height, width))
            top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            cuts.append(viz.preprocess(viz.fit(whole[top : top + side, left : left + side], 64), model))
    return minicnn.cat(cuts)


files = sorted(viz.sample_folder().glob("*.jpg"))
held_out = windows(files[::4], 4)
training = windows([file for k, file in enumerate(files) if k % 4], 8)
print(f"{len(training)} windows to train on, {len(held_out)} of other photographs to look at")


def slopes_of_answers(network, images, create_graph=False):
    """(logits, gradients of the first answer's log-probability by the images)"""
    leaf = images.detach().requires_grad_()
    logits = network(leaf)
    best = logits.detach().argmax(1, keepdim=True)
    chosen = logits.log_softmax(1).gather(1, best)
    (gradient,) = grad(chosen.sum(), [leaf], create_graph=create_graph)
    return logits, gradient


student = copy.deepcopy(model)
for parameter in student.parameters():
    parameter.requires_grad_(False)
first = student.features[0]
learned = [first.weight.requires_grad_(), first.bias.requires_grad_()]
optimizer = minicnn.optim.Adam(learned, lr=3e-3)
for step in range(150):
    batch = training[minicnn.tensor(rng.choice(len(training), 16, replace=False))]
    with minicnn.no_grad():
        today = model(batch)
    logits, gradient = slopes_of_answers(student, batch, create_graph=True)
    size = (gradient**2).sum((1, 2, 3)).mean()
    fit = ((logits - today) ** 2).mean()
    optimizer.zero_grad()
    (fit + 0.3 * size).backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3}: logits off by {fit.sqrt():.2f}, squared slope {size:.2f}")

# %% [markdown]
# What does it do to the maps? For each held-out window we ask, as in lesson 15, whether the map follows the edges of what is in the
# picture: by the rank correlation of the two.

# %%


def edges(images):
    """How much a pixel differs from its neighbours, summed over the colours: (N, H, W)"""
    values = images.numpy()
    down, across = np.diff(values, axis=2, append=values[:, :, -1:]), np.diff(values, axis=3, append=values[..., -1:])
    return np.sqrt(down**2 + across**2).sum(1)


results = {}
outlines = edges(held_out)
for name, network in (("as it was", model), ("trained for small slopes", student)):
    logits, gradient = slopes_of_answers(network, held_out)
    noisy = held_out + 0.3 * minicnn.tensor(np.random.default_rng(1).standard_normal(held_out.shape).astype(np.float32))
    with minicnn.no_grad():
        stays = (network(noisy).argmax(1) == logits.argmax(1)).float().mean().item()
    length = (gradient**2).sum((1, 2, 3)).sqrt().mean().item()
    follows = np.mean([viz.rank_correlation(strength(g[None]), e) for g, e in zip(gradient, outlines, strict=True)])
    results[name] = (logits.argmax(1), length, stays, follows)
    print(
        f"{name}: slope {length:.2f} on average, its map's rank correlation with edges {follows:.3f}; {stays:.0%} of the "
        "answers survive noise"
    )
same = (results["as it was"][0] == results["trained for small slopes"][0]).float().mean().item()
shrunk = results["trained for small slopes"][1] / results["as it was"][1]
print(f"the slopes have {shrunk:.0%} of their length, and {same:.0%} of the answers are the old ones")
assert shrunk < 0.97
assert results["trained for small slopes"][2] > results["as it was"][2]
assert results["trained for small slopes"][3] > results["as it was"][3]

# %%
figure = Figure(figsize=(11, 4.6), layout="constrained")
rows = figure.subplots(2, 6)
strongest = np.argsort(-model.features[0].weight.detach().numpy().var(axis=(1, 2, 3)))[:3]
for row, (name, network) in zip(rows, (("as it was", model), ("small slopes", student)), strict=True):
    tiles = viz.filter_tiles(network.features[0].weight.detach().numpy())
    for ax, k in zip(row, strongest, strict=False):
        ax.imshow(tiles[k])
        ax.set_title(f"{name}: filter {k}", fontsize=8)
    gradient = slopes_of_answers(network, image)[1]
    others = slopes_of_answers(network, held_out[8:10])[1]
    for ax, tensor in zip(row[3:], (gradient, others[:1], others[1:]), strict=True):
        ax.imshow(strength(tensor), cmap="magma")
        ax.set_title(f"{name}: map", fontsize=8)
    for ax in row:
        ax.set_axis_off()
figure.suptitle(
    "The first layer and three saliency maps, before and after training for small slopes (each on its own scale)"
)
figure.savefig(out / "18_gradients_of_gradients_trained.png", dpi=110)
figure

# %% [markdown]
# The price is printed beside the gain. The gain: smaller slopes, maps that follow the picture a little more, more answers that survive
# noise. The price: a part of the answers is not what it was. A first layer alone cannot do more. The robust twin of lesson 5 can: its
# every layer learned against an adversary.
#
# **Try it:** make the penalty 0 and see that nothing changes, which is the control of this experiment. Then attack the student's
# explanation as you attacked the network's.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/18_gradients_of_gradients.py`.
#
# **1.** What is the second derivative of x³ at x = 2?

# %%
from lessons.exercises import check

answer = ...

x3 = minicnn.tensor(2.0, requires_grad=True)
(slope3,) = grad(x3**3, [x3], create_graph=True)
check(1, answer, grad(slope3, [x3])[0], "The first one is 3 x². Take the derivative of that.", tolerance=1e-4)

# %% [markdown]
# **2.** A ReLU has no curvature, its square has some. What is the second derivative of relu(x)² at 3 and at -1?

# %%
answer = ...  # two numbers

at = minicnn.tensor([3.0, -1.0], requires_grad=True)
(slopes2,) = grad((at.relu() ** 2).sum(), [at], create_graph=True)
check(2, answer, grad(slopes2.sum(), [at])[0], "Right of 0 it is x², left of 0 it is 0.", tolerance=1e-4)

# %%
print("Next lesson: lessons/19_what_a_layer_sees.py")
