# %% [markdown]
# # 16. One number, taken apart
#
# **You need:** lesson 3 (convolution by hand).
#
# **You leave with:** any single number of a convolution of a real network, as a sum that you can check with a pocket calculator: an
# output pixel, the gradient of one weight, the gradient of one input pixel; and the reason for the checkerboard in pictures of gradients.
#
# **Run time:** under 10 seconds. **Files written:** `lessons/out/16_one_number_taken_apart_*.png` (4 figures).

# %%
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.models import tinynet
from minicnn.nn import functional as F

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

model = tinynet("standard").eval()
path = os.environ.get("LESSON_PHOTO")
photo = viz.fit(viz.load_image(path) if path else viz.sample_photo(), 64)
x = viz.preprocess(photo, model, size=64)  # (1, 3, 64, 64)
conv = model.features[0]
print(conv)

# %% [markdown]
# ## An output pixel
#
# The first layer turns 3 channels of 64 x 64 pixels into 64 maps of 32 x 32. That makes 65,536 numbers. We take one of them: the largest
# that this photograph gives.

# %%
with minicnn.no_grad():
    maps = conv(x)
_, c, row, column = (int(i) for i in np.unravel_index(maps.numpy().argmax(), maps.shape))
explained = viz.explain_pixel(conv, x, n=0, c=c, y=row, x=column)
print(explained)
difference = abs(explained.value - maps.numpy()[0, c, row, column])
print(f"sum of the products plus bias against the layer's number: {difference:.1e}")
assert difference < 1e-4

# %% [markdown]
# Three tables of 49 products, one for each colour; their subtotals; the bias. Nothing else happens in a convolution.

# %%
figure = explained.figure()
figure.savefig(out / "16_one_number_taken_apart_pixel.png")
figure

# %% [markdown]
# And the same without the library's help, in one line. The patch begins at `stride * y - padding`.

# %%
top, left = 2 * row - 3, 2 * column - 3
padded = np.pad(x.numpy()[0].astype(float), ((0, 0), (3, 3), (3, 3)))
patch = padded[:, top + 3 : top + 10, left + 3 : left + 10]
by_hand = (patch * conv.weight.detach().numpy()[c]).sum() + conv.bias.detach().numpy()[c]
print(f"by hand {by_hand:.6f}, explained {explained.value:.6f}")
assert abs(by_hand - explained.value) < 1e-9

# %% [markdown]
# ## A deep pixel
#
# In the third convolution a number is the sum of 128 tables of 3 x 3: 1,152 products. A few of them do most of the work. We look at the
# pixel with the largest number again.

# %%
with minicnn.no_grad():
    before = model.features[:6](x)  # what arrives at features.6
    deep = model.features[6](before)
_, c, row, column = (int(i) for i in np.unravel_index(deep.numpy().argmax(), deep.shape))
explained = viz.explain_pixel(model.features[6], before, 0, c, row, column)
size = np.sort(np.abs(explained.subtotals))[::-1]
half = int(np.searchsorted(np.cumsum(size) / size.sum(), 0.5)) + 1
print(
    f"{explained.products.size} products of {len(size)} channels; half of all that is added up comes from {half} channels"
)
assert explained.products.size == 1152 and half < len(size) / 2.5
print(f"the sum is {explained.value:.5f}, the layer says {explained.library:.5f}")
assert abs(explained.value - explained.library) < 1e-4

# %%
figure = explained.figure(tables=4)
figure.savefig(out / "16_one_number_taken_apart_deep.png")
figure

# %% [markdown]
# ## Stride, padding, dilation, groups
#
# The four settings change *which* pixels meet the kernel, and nothing else: each output is still a sum of products. **Stride** is the
# step from one position to the next, **padding** the border of zeros, **dilation** the distance between the places of the kernel; with
# **groups** a filter reads only a part of the channels. The head of each explanation says which pixels they are.

# %%
rng = np.random.default_rng(0)
small = minicnn.tensor(rng.integers(0, 5, (1, 4, 6, 6)).astype(np.float32))
for settings in ({"stride": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 2}):
    layer = nn.Conv2d(4, 2, 3, **settings)
    explained = viz.explain_pixel(layer, small, 0, 1, 0, 1)
    print(settings, "->", explained.describe().splitlines()[1])
    print(f"   {len(explained.tables)} tables; sum {explained.value:.5f}, layer {explained.library:.5f}")
    assert abs(explained.value - explained.library) < 1e-4
    assert len(explained.tables) == 4 // settings.get("groups", 1)

# %% [markdown]
# ## Backward: one weight
#
# In training, a weight learns from every place where it was used. Each output pixel of its filter sends it a share: the gradient that
# arrived there, times the input pixel that the weight met. We need a gradient that arrives. So we say that the photograph is of class 0,
# which is as good as any, and take the **cross-entropy**: minus the logarithm of that class's probability.

# %%
image = x.clone().requires_grad_()
output = conv(image)
output.retain_grad()
rest = model.classifier(model.avgpool(model.features[1:](output)).flatten(1))
F.cross_entropy(rest, minicnn.tensor([0])).backward()
arrived = output.grad  # (1, 64, 32, 32): what arrives at the output of the first layer

filter_, channel, i, j = 12, 1, 3, 2
explained = viz.explain_weight_gradient(conv, x, arrived, filter_, channel, i, j)
print(explained)
difference = abs(explained.value - conv.weight.grad.numpy()[filter_, channel, i, j])
print(f"the sum against conv.weight.grad: {difference:.1e}")
assert difference < 1e-4 * np.abs(explained.products).sum()

# %%
figure = explained.figure()
figure.savefig(out / "16_one_number_taken_apart_weight.png")
figure

# %% [markdown]
# ## Backward: one pixel
#
# A pixel gets something back from every output pixel that saw it: the gradient that arrived there, times the weight at which they met.

# %%
explained = viz.explain_input_gradient(conv, x, arrived, 0, 1, 31, 30)
print("\n".join(explained.describe(tables=1).splitlines()[:9]))
difference = abs(explained.value - image.grad.numpy()[0, 1, 31, 30])
print(f"the sum against image.grad: {difference:.1e}")
assert difference < 1e-4 * np.abs(explained.products).sum()

# %% [markdown]
# **How many output pixels saw it?** A kernel of 7 that moves in steps of 2 does not divide evenly. Along one axis some pixels are met 3
# times and the others 4 times, in turns. So in the plane there are three kinds of pixels, and they lie like a checkerboard.

# %%
counts = np.array(
    [
        [viz.explain_input_gradient(conv, x, arrived, 0, 0, y, z).left[0].size for z in range(20, 28)]
        for y in range(20, 28)
    ]
)
print(counts[:4, :4])
assert sorted(set(counts.ravel().tolist())) == [9, 12, 16]

# %% [markdown]
# Does the gradient show it? We let random gradients arrive at the layer, 64 times, and average the magnitude of what reaches each pixel.
# If all ways count alike, it grows with the square root of their number: for 16 ways against 9 the ratio is 4 / 3. That holds for random
# weights. A trained kernel weighs its middle more than its border, so its ways do not count alike.


# %%
def mean_gradient(layer):
    """The mean magnitude of the gradient at 16 x 16 pixels far from the border"""
    images = minicnn.zeros(64, 3, 32, 32, requires_grad=True)
    sent = np.random.default_rng(0).standard_normal((64, 64, 16, 16)).astype(np.float32)
    layer(images).backward(minicnn.tensor(sent))
    return np.abs(images.grad.numpy()).mean((0, 1))[8:24, 8:24]


minicnn.manual_seed(0)
gradients = {"random weights": mean_gradient(tinynet().features[0]), "trained weights": mean_gradient(conv)}
ratios = {name: grad[1::2, 1::2].mean() / grad[::2, ::2].mean() for name, grad in gradients.items()}  # odd: 16 ways
for name, ratio in ratios.items():
    print(f"{name}: mean |gradient| where 16 output pixels saw the pixel, divided by that where 9 did: {ratio:.2f}")
assert 1.2 < ratios["random weights"] < 1.5

# %%
figure = Figure(figsize=(11.5, 4.2), layout="constrained")
axes = figure.subplots(1, 3)
axes[0].imshow(counts, cmap="viridis", vmin=0, extent=(20, 28, 28, 20))
for (y, z), value in np.ndenumerate(counts):
    axes[0].text(z + 20.5, y + 20.5, str(value), ha="center", va="center", color="white" if value < 14 else "black")
axes[0].set_title("how many output pixels\nsaw a pixel", fontsize=10)
for ax, (name, grad) in zip(axes[1:], gradients.items(), strict=True):
    drawn = ax.imshow(grad / grad.mean(), cmap="magma", vmin=0.75, vmax=1.3)
    ax.set_title(f"mean |gradient| / its mean, {name}\n16 ways against 9: {ratios[name]:.2f}", fontsize=10)
    figure.colorbar(drawn, ax=ax, shrink=0.75)
for ax in axes:
    ax.set_axis_off()
figure.suptitle("Kernel 7, stride 2: pixels are not met equally often, and the gradient shows it")
figure.savefig(out / "16_one_number_taken_apart_checkerboard.png", dpi=120)
figure

# %% [markdown]
# Odena, Dumoulin and Olah (2016, "Deconvolution and checkerboard artifacts") found that pattern in generated images. Their networks use a
# transposed convolution, which is this backward pass, run forward. A kernel whose size is a multiple of its stride does not make the
# pattern.

# %%
even = nn.Conv2d(1, 1, 8, stride=2, padding=3)
line = minicnn.randn(1, 1, 32, 32)
sent = minicnn.ones(even(line).shape)
met = {
    viz.explain_input_gradient(even, line, sent, 0, 0, y, z).left[0].size for y in range(12, 16) for z in range(12, 16)
}
print("kernel 8, stride 2: output pixels that saw a pixel:", met)
assert met == {16}

# %% [markdown]
# **Take any number apart.** `minicnn play --open` opens a page in which this network runs in your browser. Point at any pixel of any map,
# and see the sum that `explain_pixel` prints. Change a kernel, and see what becomes of the answer.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check says whether it is right, or gives a hint. The solutions are in
# `lessons/solutions/16_one_number_taken_apart.py`.
#
# **1.** A kernel of 7 x 7, stride 2, padding 3. Where in the image does the patch of the output pixel in row 10, column 4 begin?

# %%
from lessons.exercises import check

answer = ...  # (row, column)

layer = nn.Conv2d(1, 1, 7, stride=2, padding=3, bias=False)
picture = minicnn.zeros(1, 1, 64, 64, requires_grad=True)
layer(picture)[0, 0, 10, 4].backward()
rows, columns = np.nonzero(picture.grad.numpy()[0, 0])
check(1, answer, (rows.min(), columns.min()), "It begins at stride * y - padding, along both axes.")

# %% [markdown]
# **2.** A bias is added at every output pixel of its filter. Write its gradient, from the gradient that arrives.


# %%
def bias_gradient(arrived):
    """arrived (N, O, H, W) -> (O,)"""
    return ...


layer, sent = nn.Conv2d(2, 3, 3), np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)
layer(minicnn.randn(2, 2, 6, 6)).backward(minicnn.tensor(sent))
check(
    2,
    bias_gradient(sent),
    layer.bias.grad,
    "The same number was used at many places: what they send back is added.",
    tolerance=1e-4,
)

# %% [markdown]
# **3.** A kernel of 4 x 4 moves in steps of 2. How many output pixels see a pixel that is far from the border?

# %%
answer = ...

layer = nn.Conv2d(1, 1, 4, stride=2, padding=1)
flat = minicnn.zeros(1, 1, 16, 16)
ways = viz.explain_input_gradient(layer, flat, minicnn.ones(layer(flat).shape), 0, 0, 8, 8).left[0].size
check(3, answer, ways, "Along one axis the pixel is met by 4 / 2 kernels.")

# %%
print("Next lesson: lessons/17_an_atlas.py")
