# %% [markdown]
# # 19. What a layer sees
#
# **You need:** lesson 5 (gradient ascent), lesson 13 (the robust twin), lesson 14 (patches).
#
# **You leave with:** one picture of what a whole layer makes of a photograph; the photographs that are neighbours to the network; two
# maps of its last layer, by PCA and by t-SNE, both written by hand; and an eye for units that are never on.
#
# **Run time:** under half a minute. **Files written:** `lessons/out/19_what_a_layer_sees_*.png` (7 figures).

# %%
import os
from pathlib import Path

import numpy as np

import minicnn
from minicnn import nn, optim, viz
from minicnn.models import tinynet
from minicnn.nn import functional as F

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

networks = {"standard": tinynet("standard").eval(), "robust": tinynet("robust").eval()}
model, folder = networks["standard"], viz.sample_folder()
photo = os.environ.get("LESSON_PHOTO") or folder / "goldfish.jpg"

# %% [markdown]
# ## All channels at one place
#
# A feature map shows *where* one channel answers. Gradient ascent shows *what* one channel looks for. But at each place all channels
# answer together, and what the layer says there is their mixture. Here is the mixture of the fourth convolution in the middle of the
# photograph.

# %%
layer = "features.9"
with minicnn.no_grad(), viz.capture(model, layer) as maps:
    model(viz.preprocess(photo, model))
answers = maps[layer].numpy()[0]  # (channels, height, width)
mixture = answers[:, 4, 4]
strongest = np.argsort(-mixture)
print(f"{layer}: {answers.shape[0]} channels at {answers.shape[1]} x {answers.shape[2]} places")
print(f"at the place (4, 4) {np.mean(mixture > 0):.0%} of the channels are on")
alone = mixture[strongest[0]] / np.linalg.norm(mixture)
print(f"the strongest of them, channel {strongest[0]}, has a cosine of {alone:.2f} with the whole mixture")
assert alone < 0.6, "one channel does not tell what all of them say"

# %% [markdown]
# So we ask for an image that gets the same *mixture*. A mixture of 256 numbers is a **direction** in a space of 256 dimensions. Divide it
# by its length, v = mixture / |mixture|: then weak and strong places are asked in the same way. Let a be what the image gets. The
# score is
#
# > (a · v) × max(cos(a, v), 0.1)²
#
# The product alone would be raised by a few strong channels. The cosine says how alike two mixtures are, whatever their strength: 1
# for the same mixture, 0 for two that share no channel. Squared it holds the ascent to the mixture.

# %%
v = mixture / np.linalg.norm(mixture)
a = answers[:, 4, 5]  # the place beside it
cosine = a @ v / np.linalg.norm(a)
by_hand = (a @ v) * max(cosine, 0.1) ** 2
score = viz.Direction(layer, mixture, position=(4, 5))(maps).item()
print(f"cosine with the place beside it: {cosine:.2f}; score by hand {by_hand:.4f}, viz.Direction {score:.4f}")
assert abs(by_hand - score) < 1e-4

# %% [markdown]
# ## An image for each place
#
# `viz.activation_grid` makes one such image for each of the 8 x 8 places, all of them in one batch. All start from the same noise and
# are moved alike at random. So two of them differ only because the layer says different things there.

# %%
grids = {}
for name, network in networks.items():
    grids[name] = viz.activation_grid(network, layer, photo, tile=40, steps=48, progress=False)
    grid = grids[name]
    print(
        f"{name}: {grid.strength.size} images; cosine with the mixture of their place {np.median(grid.cosine):.2f}, "
        f"with that of another place {np.median(grid.control):.2f}; {grid.seconds:.0f} s"
    )
    assert np.median(grid.cosine) > np.median(grid.control) + 0.2
figure = grids["standard"].figure(f"What {layer} sees in a photograph")
figure.savefig(out / "19_what_a_layer_sees_grid.png")
figure

# %% [markdown]
# Walk over the photograph with your eyes. Where the fins are the images have streaks, where the body is they are round and have the
# fish's colours. Where there is only background the answers are weak: the images at the right are small. No single channel says "fish"
# here; the mixture comes near it.
#
# The number below the title is the control. An image gets the mixture of *its own* place far better than that of another one. If these
# two cosines were alike, the grid would be a pretty pattern and no evidence.
#
# Now the robust twin, with the same recipe.

# %%
figure = grids["robust"].figure(f"What {layer} of the robust twin sees")
figure.savefig(out / "19_what_a_layer_sees_grid_robust.png")
figure

# %% [markdown]
# ## Neighbours
#
# The last layer before the classes is one mixture for the whole photograph: the 256 numbers behind the average pooling. Photographs
# whose mixtures have a large cosine are **neighbours** to the network: it can hardly tell them apart. We look for the neighbours of
# some of the 58 photographs that come with minicnn. The control is the cosine of the pixels themselves, without any network.

# %%
found = {name: viz.answers(network, folder, layer="avgpool", progress=False) for name, network in networks.items()}
seen = found["standard"]
pixels = np.stack([picture.ravel() for picture in seen.pictures]).astype(float)
pixels = (pixels - pixels.mean(0)) / 255  # so that a cosine is not about brightness


def neighbours(rows, k=5):
    """The k nearest rows of each row (N, D) by cosine, itself left out: (N, k)"""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T - 2 * np.eye(len(rows))
    return np.argsort(-cosines, axis=1)[:, :k]


def shared(a, b):
    """The share of neighbours (N, k) that two lists have in common."""
    return np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a, b, strict=True)])


near = {name: neighbours(result.features) for name, result in found.items()}
assert near["standard"][3].tolist() == [i for i, _ in seen.nearest(3)]
between, by_pixels = shared(near["standard"], near["robust"]), shared(near["standard"], neighbours(pixels))
chance = 5 / (len(pixels) - 1)
print(f"of 5 neighbours the two networks share {between:.0%}, network and pixels {by_pixels:.0%}; chance: {chance:.0%}")
assert between > by_pixels + 0.15 and by_pixels < 3.5 * chance
queries = [seen.find(f"{name}.jpg") for name in ("goldfish", "pont_du_gard", "koala", "skyscrapers")]
figure = seen.nearest_figure(queries, title="Neighbours in the last layer")
figure.savefig(out / "19_what_a_layer_sees_neighbours.png")
figure

# %% [markdown]
# The neighbours of the bridge with arches stand on legs: a crab, horses, columns. To this network that is what a bridge is. Those of
# the koala are furry things among leaves, and those of the goldfish have its colours. So neighbours show what a network goes by, better
# than its answers do: none of these photographs need be of a class that it knows.
#
# ## A map by PCA
#
# 58 points in 256 dimensions cannot be drawn. **Principal component analysis** (PCA) turns the axes so that the first lies where the
# points differ most, the second where they differ most of what is left. Take off the mean, and the singular value decomposition does
# the rest. We give it the mixtures divided by their lengths: how far two directions are apart goes by their cosine.

# %%
features = seen.features.astype(np.float64)
directions = features / np.linalg.norm(features, axis=1, keepdims=True)
centred = directions - directions.mean(0)
left, strengths, axes = np.linalg.svd(centred, full_matrices=False)  # centred = left @ diag(strengths) @ axes
flat = left[:, :2] * strengths[:2]  # (58, 2), the same as centred @ axes[:2].T
assert np.allclose(flat, centred @ axes[:2].T)
shares = strengths**2 / (strengths**2).sum()
print(
    f"share of the variance: {shares[0]:.0%} and {shares[1]:.0%}; for 90 % one needs {np.argmax(shares.cumsum() > 0.9) + 1} axes"
)
assert shares[:2].sum() < 0.5, "a flat map leaves out more than half"
rule = f"58 photographs by the first two principal components of their 256 numbers: {shares[:2].sum():.0%} of the variance."
figure = viz.draw_picture_map(flat, seen.pictures, "The last layer by PCA", rule)
figure.savefig(out / "19_what_a_layer_sees_pca.png")
figure

# %% [markdown]
# ## A map by t-SNE
#
# PCA keeps large distances right and pays with the small ones: points lie on top of each other that are far apart in a direction which it
# left out. **t-SNE** (van der Maaten and Hinton 2008) wants the opposite: neighbours shall stay neighbours. It has two steps.
#
# 1. *Who is whose neighbour?* Each point hands out a share of 1 to the others, more to near ones: a bell curve. Its width is searched
#    so that every point has about the same number of neighbours, the **perplexity**. The search halves an interval.
# 2. *Move the points of the map* until the shares there are the same. On the map a curve with long tails is used, so that what is not
#    near may lie far away. The difference of the shares is the Kullback-Leibler divergence, and the points go down its gradient.


# %%
def handed_out(distances, perplexity):
    """The squared distances (N,) of one point to the others -> its shares (N,), of sum 1."""
    low, high, width = 0.0, np.inf, 1 / distances.mean()  # of the bell curve exp(-width * distance)
    for _ in range(60):
        shares = np.exp(-width * (distances - distances.min()))
        shares /= shares.sum()
        neighbours = np.exp(-(shares * np.log(shares + 1e-300)).sum())  # e to the entropy
        if neighbours > perplexity:  # too many: narrower
            low, width = width, 2 * width if high == np.inf else (width + high) / 2
        else:
            high, width = width, (low + width) / 2
    return shares


def affinities(points, perplexity):
    """points (N, D) -> P (N, N), symmetric, of sum 1: the share of each pair."""
    square = ((points[:, None] - points[None]) ** 2).sum(2)
    rows = [np.insert(handed_out(np.delete(row, i), perplexity), i, 0) for i, row in enumerate(square)]
    return (np.array(rows) + np.array(rows).T) / (2 * len(points))


def divergence(P, y):
    """Shares P (N, N) and a map y (N, 2) -> how far the map's shares are from P, and the gradient (N, 2)."""
    tails = 1 / (1 + ((y[:, None] - y[None]) ** 2).sum(2))
    np.fill_diagonal(tails, 0)
    Q = tails / tails.sum()
    pull = (P - Q) * tails  # above 0 where the two should come nearer
    gradient = 4 * (pull.sum(1)[:, None] * y - pull @ y)
    return (P * np.log((P + 1e-300) / (Q + 1e-300))).sum(), gradient


def tsne(points, perplexity=8, steps=600, rate=20.0, seed=0):
    """points (N, D) -> a map (N, 2), and the divergence at each step."""
    P = affinities(points, perplexity)
    y = 1e-2 * np.random.default_rng(seed).standard_normal((len(points), 2))
    speed, curve = np.zeros_like(y), []
    for step in range(steps):
        early = step < 100  # at first neighbours pull four times as hard, so that groups find together
        curve.append(divergence(P, y)[0])
        speed = (0.5 if early else 0.8) * speed - rate * divergence(4 * P if early else P, y)[1]
        y = y + speed
    return y - y.mean(0), np.array(curve)


# %% [markdown]
# How good is a map? We count how many of the five neighbours in 256 dimensions are still among the five nearest on the map.

# %%
P = affinities(directions, 8)
print(f"the shares add up to {P.sum():.6f}; the largest of a pair is {P.max() / P[P > 0].mean():.0f} times the mean")
assert abs(P.sum() - 1) < 1e-9 and np.allclose(P, P.T)
maps2 = {"PCA": flat}
for seed in (0, 1):
    maps2[f"t-SNE, seed {seed}"], curve = tsne(directions, seed=seed)
    print(f"seed {seed}: divergence from {curve[0]:.2f} to {curve[-1]:.2f} in {len(curve)} steps")
    assert curve[-1] < 0.6 * curve[0]


def nearest_on_map(y, k=5):
    square = ((y[:, None] - y[None]) ** 2).sum(2)
    return np.argsort(square + np.diag(np.full(len(y), np.inf)), axis=1)[:, :k]


kept = {name: shared(near["standard"], nearest_on_map(y)) for name, y in maps2.items()}
print("neighbours that stay neighbours: " + ", ".join(f"{name} {share:.0%}" for name, share in kept.items()))
assert min(kept["t-SNE, seed 0"], kept["t-SNE, seed 1"]) > kept["PCA"] + 0.15
rule = f"58 photographs. {kept['t-SNE, seed 0']:.0%} of the five nearest are so in the last layer too (PCA: {kept['PCA']:.0%})."
figure = viz.draw_picture_map(maps2["t-SNE, seed 0"], seen.pictures, "The last layer by t-SNE", rule)
figure.savefig(out / "19_what_a_layer_sees_tsne.png")
figure

# %% [markdown]
# **How not to read it.** The axes have no meaning. Nor has the distance between two far clusters, nor how large a cluster is. Another seed
# gives another map. What two maps agree on is worth looking at. Let us count: two photographs that are neighbours on one map, are
# they neighbours on the other?

# %%
both = shared(nearest_on_map(maps2["t-SNE, seed 0"]), nearest_on_map(maps2["t-SNE, seed 1"]))
far = [np.linalg.norm(y[:, None] - y[None], axis=2)[np.triu_indices(len(y), 1)] for y in list(maps2.values())[1:]]
same = np.corrcoef(far[0], far[1])[0, 1]
print(f"the two seeds agree on {both:.0%} of the neighbours; their distances have a correlation of {same:.2f}")
assert both > 0.5 and same < 0.9

# %% [markdown]
# ## Units that are never on, and units that always are
#
# The mixtures have zeros in them: a ReLU cuts off what is below 0. A unit that is 0 everywhere, for all photographs, is a
# **dead unit**. It hands nothing on, and the gradient behind its ReLU is 0, so training cannot wake it. A unit that is on everywhere
# does not need its ReLU. Neither is seen in a picture of one photograph. `viz.activity` counts over all of them.

# %%
relus = [f"features.{i}" for i in (1, 4, 7, 9, 11)]
activity = viz.activity(model, relus, folder, progress=False)
print(activity.table())
dead = sum(len(activity[name].dead) for name in relus)
total = sum(len(activity[name].units) for name in relus)
print(f"dead for these {activity.images} photographs: {dead} of {total}")
assert dead == 0
least = min(relus, key=lambda name: activity[name].histogram.active)
print(f"the fewest answers above 0: {least}, {activity[least].histogram.active:.0%}")
assert activity[least].histogram.active < 0.25
(first,) = viz.activity(networks["robust"], "features.1", folder, progress=False).layers.values()
always = first.always_on()
print(f"in the robust twin's first layer always on: {', '.join(f'unit {c} ({first.active[c]:.1%})' for c in always)}")
assert len(activity["features.1"].always_on()) == 0 and len(always) == 1
figure = activity.figure("How often the units of the bundled network are on")
figure.savefig(out / "19_what_a_layer_sees_activity.png")
figure

# %% [markdown]
# A healthy network: every unit is on now and then, most of them seldom. (In the twin's first layer there is one that is on nearly
# everywhere. For it the ReLU does nothing: it hands on what its filter finds, as it is.)
# The histograms fall off steeply. Strong answers are rare, and that
# is why the patches of lesson 14 say something.
#
# And an ill one? It is quickly made. A small network learns the 58 photographs by heart, once with a rate that suits it, and once with
# one that is six times as large. A large step can push a unit's bias so far down that no photograph reaches it any more.

# %%
small = [viz.preprocess(path, size=32, mean=0.5, std=0.25) for path in sorted(folder.iterdir())]
x, y = minicnn.cat(small), minicnn.tensor(list(range(len(small))))
trained = {}
for rate in (0.05, 0.3):
    minicnn.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 58)
    )  # fmt: skip
    steps = optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    for _ in range(60):
        steps.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        steps.step()
    trained[rate] = viz.activity(net, ["1", "3"], folder, size=32, mean=0.5, std=0.25, progress=False)
    print(f"rate {rate}: loss {loss.item():.2f}; dead in the second layer: {len(trained[rate]['3'].dead)} of 32")
    if rate == 0.3:
        assert len(trained[rate]["3"].dead) > 16 and loss.item() > 3.5
        print(f"    a guess among 58 has a loss of {np.log(58):.2f}: it has learned nothing")
    else:
        assert len(trained[rate]["3"].dead) < 8 and loss.item() < 0.1
figure = trained[0.3].figure("The same, trained with too large a rate")
figure.savefig(out / "19_what_a_layer_sees_dead.png")
figure

# %% [markdown]
# The loss said only that nothing is learned. The histogram says why: the second layer hands on nothing but zeros. So when a
# training does not get going, look at the activations before you look for anything else. Remedies: a smaller rate, a
# [batch norm](glossary.md#batch-norm-batch-normalisation), or a leaky ReLU, whose gradient is never 0.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/19_what_a_layer_sees.py`.
#
# **1.** Write the cosine of two mixtures. (If all answers of a place double, its cosine with another one stays. Do you see why?)

# %%
from lessons.exercises import check


def cosine_of(a, b):
    """a, b: arrays (C,) -> a number from -1 to 1"""
    return ...


check(
    1,
    cosine_of(np.array([1.0, 2.0, 2.0]), np.array([2.0, 0.0, 4.0])),
    10 / (3 * np.sqrt(20)),
    "The sum of the products, divided by both lengths. A factor is in the sum and in the length, and goes.",
)

# %% [markdown]
# **2.** A point hands out its share evenly to 8 others and nothing to the rest. What is its perplexity?

# %%
answer = ...

p8 = np.full(8, 1 / 8)
check(2, answer, np.exp(-(p8 * np.log(p8)).sum()), "It is e to the entropy: of eight equal shares.")

# %% [markdown]
# **3.** A unit is dead: it is below 0 at all places of all photographs. How large is the gradient of its bias, seen through its ReLU?

# %%
answer = ...

sleeper = nn.Conv2d(3, 1, 3)
with minicnn.no_grad():
    sleeper.bias.fill_(-1000.0)
F.relu(sleeper(minicnn.rand(4, 3, 8, 8))).sum().backward()
check(3, answer, sleeper.bias.grad[0], "Behind the ReLU all of it is 0, and stays 0 if the bias changes a little.")

# %%
print("Next lesson: lessons/20_what_breaks_it.py")
