# %% [markdown]
# # 8. Three ways to convolve
#
# **You need:** lesson 3 (convolution in loops), matrix products, and that a polynomial of degree 3 is fixed by its values at 4 points.
#
# **You leave with:** one layer, computed in three ways of a screen each: loops, one matrix product (im2col), and Winograd's algorithm
# with a quarter of the multiplications. Their values are equal; their time, memory and rounding are not, and you will have measured why.
#
# **Run time:** a few seconds; the first time half a minute. **Files written:** `lessons/out/08_three_ways_to_convolve_*.png` (2 figures).

# %%
import os
import sys

# One thread each, to compare algorithms and not how well they share the work: that is read when NumPy and Numba are imported.
if {"numpy", "numba"} & sys.modules.keys():
    print("WARNING: NumPy is loaded already, with all its threads: restart the kernel and begin here")
os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", VECLIB_MAXIMUM_THREADS="1", NUMBA_NUM_THREADS="1")

import time
import tracemalloc
from pathlib import Path

import numba
import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from minicnn import kernels, viz
from minicnn.models import tinynet

here = Path(__file__).parent if "__file__" in globals() else Path.cwd()  # a notebook has no __file__
out = Path(os.environ.get("LESSON_OUT", here / "out"))
out.mkdir(parents=True, exist_ok=True)
if "get_ipython" in globals():  # in a notebook: figures appear below their cells
    get_ipython().run_line_magic("matplotlib", "inline")

# %% [markdown]
# ## The layer
#
# The layer is `features.8` of the bundled network: 256 filters of 3 x 3 over 256 channels. Its inputs are the maps that it gets when the
# network looks at a photograph of 128 x 128 pixels. We put the border of zeros on once, here, for all three ways. To keep the code short,
# they handle one image and stride 1. `C` are the input channels, `O` the filters, `H` x `W` the output pixels.
#
# How we measure:
#
# - **Time** is processor time, the median of three or five rounds. What we expect of it is not asserted: a line says whether it is so on
#   your machine.
# - **Memory** is the most that NumPy held at any moment of the call, without the output, as Python's `tracemalloc` saw it.
# - **Error** is the difference from the same layer in float64: its root mean square, divided by that of the output.

# %%
model = tinynet("standard").eval()
weight, bias = (parameter.detach().numpy() for parameter in model.features[8].parameters())


def maps_before(size):
    """What features.8 gets for the photograph at size x size pixels, with its border of zeros: (C, H + 2, W + 2)"""
    path = os.environ.get("LESSON_PHOTO")
    photo = viz.fit(viz.load_image(path) if path else viz.sample_photo(), size)
    with viz.capture(model, ["features.7"]) as maps:
        model(viz.preprocess(photo, model, size=size))
    return np.pad(maps["features.7"].detach().numpy()[0], ((0, 0), (1, 1), (1, 1)))


x = maps_before(128)
O, C, _, _ = weight.shape
H, W = x.shape[1] - 2, x.shape[2] - 2
products = O * C * 9 * H * W
print(f"maps ({C}, {H}, {W}), weight {weight.shape}: {products / 1e6:.0f} million products of a weight and a pixel")
assert products == 256 * 256 * 9 * 16 * 16


def milliseconds(call, rounds=5):
    """Processor time of a call: the median of some rounds of 20 ms or more (some systems' clocks tick in 16 ms)."""
    call()  # the first call may compile, or fetch memory
    times = []
    for _ in range(rounds):
        started, calls = time.process_time(), 0
        while calls == 0 or time.process_time() - started < 0.02:
            call()
            calls += 1
        times.append((time.process_time() - started) / calls)
    return 1000 * np.median(times)


def expect(claim, holds):
    """What we expect of times. They depend on the machine and on what else it does: if it is not so, we say that and go on."""
    print(f"{claim}: {'yes' if holds else 'WARNING: not here and now'}")


def workspace(call):
    """Bytes of NumPy arrays at the peak of a call, without what it returns."""
    tracemalloc.start()
    output = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - output.nbytes


def error(output, exact):
    return np.sqrt(np.mean((output - exact) ** 2) / np.mean(exact**2))


# %% [markdown]
# ## First way: loops
#
# This is the definition. For each filter and each output pixel there is one sum, over the channels and over the nine places of the
# kernel.


# %%
def loops(x, weight, bias):
    """x (C, H + 2, W + 2), weight (O, C, 3, 3), bias (O,) -> (O, H, W)"""
    O, C = weight.shape[:2]
    H, W = x.shape[1] - 2, x.shape[2] - 2
    output = np.empty((O, H, W), x.dtype)
    for o in range(O):
        for row in range(H):
            for column in range(W):
                total = bias[o]
                for c in range(C):
                    for i in range(3):
                        for j in range(3):
                            total += weight[o, c, i, j] * x[c, row + i, column + j]
                output[o, row, column] = total
    return output


part = np.ascontiguousarray(x[:8, :3]), np.ascontiguousarray(weight[:8, :8]), bias[:8]  # one row of pixels, 8 channels
python = milliseconds(lambda: loops(*part), rounds=3) / (8 * 8 * 9 * W) * products
print(f"as Python, the layer would take some {python / 1000:.0f} s (estimated from {8 * 8 * 9 * W} products)")

compiled = numba.njit(loops)  # the same loops as machine code
double = x.astype(float), weight.astype(float), bias.astype(float)
exact = compiled(*double)  # what all others are judged by
times = {"loops": milliseconds(lambda: compiled(x, weight, bias), rounds=3)}
print(f"compiled, it takes {times['loops']:.0f} ms: {products / times['loops'] / 1e6:.1f} products in a nanosecond")
expect("more than ten times as fast as Python", python > 10 * times["loops"])

# %% [markdown]
# Python's interpreter spends its time on everything but the products: it looks up names, checks types, makes objects of numbers. Numba
# turns the same function into machine code. From here on, "loops" are the compiled ones. (Without Numba, under `NUMBA_DISABLE_JIT=1`,
# this lesson takes minutes.)
#
# ## Second way: one matrix product
#
# Copy the patch of 9C pixels under each output pixel into a column of a matrix. Hence the name **im2col**, "image to columns". Write each
# filter as a row of 9C weights. Then each output pixel is a row times a column, and the layer is a single matrix product `(O, 9C) @ (9C,
# H W)`.


# %%
def im2col(x, weight, bias):
    """The same layer as a matrix product."""
    O, C = weight.shape[:2]
    H, W = x.shape[1] - 2, x.shape[2] - 2
    windows = sliding_window_view(x, (3, 3), axis=(1, 2))  # (C, H, W, 3, 3): a view, nothing is copied yet
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(C * 9, H * W)  # here the pixels are copied, each nine times
    return (weight.reshape(O, C * 9) @ columns).reshape(O, H, W) + bias[:, None, None]


times["im2col"] = milliseconds(lambda: im2col(x, weight, bias))
memory = {"loops": 0, "im2col": workspace(lambda: im2col(x, weight, bias))}
difference = abs(im2col(*double) - exact).max()
print(f"im2col against loops, both in float64: {difference:.1e}")
assert difference < 1e-10 * abs(exact).max()
expect(f"in {times['im2col']:.1f} ms, less than a third of the loops' time", times["loops"] > 3 * times["im2col"])

# %% [markdown]
# ## Why is the matrix product faster, with the same multiplications?
#
# There are three reasons, and we can look at the first two one by one.
#
# The first: in the loops every addition waits for the one before it, since it needs `total`. A processor can multiply 4, 8 or 16 pairs of
# float32 with one instruction, but here it does one at a time. Change nothing but the *order* of the loops, so that the innermost one
# runs along a row of the output. Now neighbouring sums are independent, and the compiler can do many at once.


# %%
@numba.njit
def reordered(x, weight, bias):
    """The same products as in `loops`, added in the same order, but many sums side by side."""
    O, C = weight.shape[:2]
    H, W = x.shape[1] - 2, x.shape[2] - 2
    output = np.empty((O, H, W), x.dtype)
    for o in range(O):
        output[o] = bias[o]
        for row in range(H):
            sums = output[o, row]
            for c in range(C):
                for i in range(3):
                    for j in range(3):
                        w, pixels = weight[o, c, i, j], x[c, row + i, j:]
                        for column in range(W):
                            sums[column] += w * pixels[column]
    return output


times["reordered"] = milliseconds(lambda: reordered(x, weight, bias), rounds=3)
difference = abs(reordered(x, weight, bias) - compiled(x, weight, bias)).max()
print(f"in another order: {times['reordered']:.0f} ms, not {times['loops']:.0f}; largest difference {difference:.0e}")
assert difference <= 1e-6 * abs(exact).max()

# %% [markdown]
# The second reason is **reuse**. The loops fetch two numbers for each product. But a number that has been fetched should be used often
# before the next one is fetched. How often it *can* be used is the **arithmetic intensity**: the number of products for each byte that
# has to be moved at least once. NumPy hands a matrix product to a library (BLAS). That cuts both matrices into blocks that fit into the
# processor's caches, and the blocks into pieces that fit into its registers. So it comes near to that bound. We count it.
#
# And we measure: the layer's weights times 1, 4, 16, ... columns. With one column each weight is fetched for a single product; with 256
# columns, for 256 products. The layer's 2 MB may stay in a cache between the calls. So we also take a matrix of 64 MB, which most
# processors must fetch from memory every time. (Two columns may be slower than one: a single one goes to another routine, which does not
# rearrange the weights.)

# %%
moved = 4 * (weight.size + 9 * C * H * W + O * H * W)
print(f"products a byte: loops {1 / 8}; im2col, with each number of its three matrices once, {products / moved:.0f}")
assert products / moved > 100 / 8
rng = np.random.default_rng(0)
large = rng.standard_normal((2048, 8192), dtype=np.float32)
uses, rates = [1, 2, 4, 8, 16, 32, 64, 128, 256], {}
for name, matrix in {"2 MB of weights (the layer)": weight.reshape(O, -1), "64 MB of weights": large}.items():
    columns = [np.ones((matrix.shape[1], n), np.float32) for n in uses]
    spent = [milliseconds(lambda m=matrix, c=c: m @ c, rounds=1 if matrix is large else 5) for c in columns]
    rates[name] = [matrix.size * n / ms / 1e6 for n, ms in zip(uses, spent, strict=True)]
    print(f"{name}: {rates[name][0]:.1f} products a nanosecond with 1 column, {rates[name][-1]:.1f} with {uses[-1]}")
expect("many columns more than double the rate", rates["64 MB of weights"][-1] > 2 * rates["64 MB of weights"][0])

# %% [markdown]
# The third reason: people have tuned BLAS by hand, for each processor, for decades. That is why nearly every library of deep learning
# turns the convolution into a matrix product, although the columns take nine times the memory of the input.
#
# ## Third way: fewer multiplications
#
# Can it be done with fewer products? Take one dimension, a kernel of three weights `g` and two neighbouring outputs:
#
# ```
# y0 = d0 g0 + d1 g1 + d2 g2
# y1 = d1 g0 + d2 g1 + d3 g2          six products
# ```
#
# Shmuel Winograd did it with four:
#
# ```
# p1 = (d0 - d2) g0       p2 = (d1 + d2) (g0 + g1 + g2) / 2
# p4 = (d3 - d1) g2       p3 = (d2 - d1) (g0 - g1 + g2) / 2
# y0 = p1 + p2 + p3       y1 = p2 - p3 + p4
# ```
#
# Check `y0` on paper: `p2 + p3` is `d1 g1 + d2 g0 + d2 g2`, and `p1` takes away `d2 g0` and brings `d0 g0`. The sums of weights, such as
# `g0 + g1 + g2`, cost nothing: the weights stay the same for every image.
#
# ## Where that comes from
#
# From polynomials. Let `g(t) = g0 + g1 t + g2 t²`, and `u(t) = u0 + u1 t`. Their product has four coefficients, so it is fixed by its
# values at four points, and each value is *one* product, `u(p) g(p)`. At 0, 1 and -1 the values of `g` are `g0`, `g0 + g1 + g2` and
# `g0 - g1 + g2`; the fourth point is "infinity", where a polynomial's value is its highest coefficient, `g2`. You have just seen these.
#
# What has that to do with our outputs? Take the number `T`, the sum of `u_i g_k d_(i+k)` over all `i` and `k`. There are two ways to read
# it:
#
# - `d` weighs the coefficients of the product `u(t) g(t)`. Let `E` be the matrix that evaluates a polynomial at the points;
#   then those coefficients are `E⁻¹ [(E u) * (E g)]`, with `*` for number by number, and `T = d · E⁻¹ [(E u) * (E g)]`.
# - `u` weighs our outputs: `T = u0 y0 + u1 y1`.
#
# So the outputs are what stands beside `u` in the first way: `y = Eᵀ [(E g) * (E⁻ᵀ d)]`, where the three `E` have 2, 3 and 4 columns. The
# usual names are `y = Aᵀ [(G g) * (Bᵀ d)]`. For `m` outputs one needs `m + 2` products, one at each point, instead of `3 m`.


# %%
def evaluate(points, terms):
    """E: its product with `terms` coefficients gives the values at the points, and at infinity."""
    return np.concatenate([np.vander(points, terms, increasing=True), np.eye(terms)[-1:]])


def transforms(points):
    """A^T (m, n), G (n, 3) and B^T (n, n) of Winograd's F(m, 3), for n = m + 2 points of which the last is infinity"""
    n = len(points) + 1
    scale = np.array([*(np.prod([p - q for q in points if q != p]) for p in points), 1.0])[:, None]
    B = np.linalg.inv(evaluate(points, n)).T * scale  # its denominators move to the weights
    return evaluate(points, n - 2).T, evaluate(points, 3) / scale, B


for name, matrix in zip(("A^T", "G", "B^T"), transforms([0, 1, -1]), strict=True):
    print(name, *(matrix + 0.0).tolist(), sep="\n   ")
A, G, B = transforms([0, 1, -1])
d, g = np.array([3, -1, 4, 2]), np.array([2, 0, 6])
four, six = A @ ((G @ g) * (B @ d)), np.correlate(d, g)
print(f"four products: {four.round(9).tolist()}, six products: {six.tolist()}")
assert abs(four - six).max() < 1e-12

# %% [markdown]
# ## On images, with channels
#
# In two dimensions do the same along rows and columns. A tile of 6 x 6 pixels gives 4 x 4 outputs, `Aᵀ [(G g Gᵀ) * (Bᵀ d B)] A`, with 36
# products instead of 4 · 4 · 9 = 144. The sum over the channels can be taken before the last step. Then the last step is needed once for
# a filter, and not once for each pair of channel and filter. So each of the 36 places of a tile becomes a matrix product, `(O, C) @ (C,
# tiles)`, and BLAS comes in again. (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.)


# %%
POINTS = [0, 1, -1, 2, -2]  # the usual ones for 4 x 4 outputs, F(4 x 4, 3 x 3); and infinity


def both_axes(matrix, tiles):
    """matrix tile matrix^T, for many tiles at a time: (p, n) and (n, n, ...) -> (p * p, everything else)"""
    p, n = matrix.shape
    down = (matrix @ tiles.reshape(n, -1)).reshape(p, n, -1)
    return (matrix @ down).reshape(p * p, -1)


def transform_weight(weight, points):
    """G g G^T, once for all images: (O, C, 3, 3) -> (n * n, O, C)"""
    G = transforms(points)[1].astype(weight.dtype)
    return both_axes(G, weight.transpose(2, 3, 0, 1)).reshape(-1, *weight.shape[:2])


def winograd(x, weight, bias, points=POINTS, transformed=None):
    """The same layer with (m + 2)² products for m x m outputs. `transformed`: the weight, if it has been transformed."""
    transformed = transform_weight(weight, points) if transformed is None else transformed
    A, _, B = (matrix.astype(x.dtype) for matrix in transforms(points))
    m, n = A.shape
    O, C = transformed.shape[1:]
    H, W = x.shape[1] - 2, x.shape[2] - 2
    down, across = -(-H // m), -(-W // m)  # tiles, the last ones perhaps sticking out
    x = np.pad(x, ((0, 0), (0, down * m - H), (0, across * m - W)))
    tiles = sliding_window_view(x, (n, n), axis=(1, 2))[:, ::m, ::m]  # (C, down, across, n, n): they overlap by two
    values = both_axes(B, tiles.transpose(3, 4, 0, 1, 2)).reshape(n * n, C, down * across)
    values = transformed @ values  # n² matrix products: (O, C) @ (C, tiles)
    outputs = both_axes(A, values.reshape(n, n, -1)).reshape(m, m, O, down, across)
    outputs = outputs.transpose(2, 3, 0, 4, 1).reshape(O, down * m, across * m)[:, :H, :W]
    return outputs + bias[:, None, None]


U = transform_weight(weight, POINTS)
difference = abs(winograd(*double) - exact).max()
print(f"Winograd against loops, both in float64: {difference:.1e}")
assert difference < 1e-10 * abs(exact).max()
times["Winograd"] = milliseconds(lambda: winograd(x, weight, bias, transformed=U))
memory["Winograd"] = workspace(lambda: winograd(x, weight, bias, transformed=U))

# %% [markdown]
# ## Side by side
#
# We count the multiplications. `both_axes` with a (p, n) matrix takes `p n n + p p n` of them for each tile.

# %%
tiles = (H // 4) * (W // 4)
in_the_middle = 36 * O * C * tiles
transforming = C * tiles * (6 * 36 + 36 * 6) + O * tiles * (4 * 36 + 16 * 6)  # pixels; outputs
multiplications = {"loops": products, "im2col": products, "Winograd": in_the_middle + transforming}
print(f"Winograd: {in_the_middle / 1e6:.0f} million products, and {transforming / 1e6:.1f} in its transforms")
assert products == 4 * in_the_middle and transforming < 0.1 * in_the_middle
mb = [value / 1e6 for value in (memory["Winograd"], U.nbytes, weight.nbytes)]
print(f"memory of im2col: {memory['im2col'] / 1e6:.2f} MB; its columns are {9 * C * H * W * 4 / 1e6:.2f} MB")
print(f"memory of Winograd: {mb[0]:.1f} MB, and {mb[1]:.1f} MB of weights instead of {mb[2]:.1f} MB")
assert memory["im2col"] >= 9 * C * H * W * 4 and U.nbytes == 4 * weight.nbytes
ways = {"loops": compiled, "im2col": im2col, "Winograd": winograd}
errors = {way: error(call(x, weight, bias), exact) for way, call in ways.items()}
print("errors in float32:", ", ".join(f"{way} {value:.1e}" for way, value in errors.items()))
assert 1e-4 > errors["Winograd"] > 1.5 * errors["im2col"]

# %% [markdown]
# im2col rounds less than the loops. They add 2304 products to one sum, and each addition rounds; BLAS adds up several shorter sums first.
# Winograd rounds most, and below we shall see why. Now the library, on the same layer:


# %%
def library(x, weight, bias):
    """The library's convolution of a map that has its border already."""
    return kernels.get("conv2d")(x[None], weight, bias, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)[0]


times["minicnn"] = milliseconds(lambda: library(x, weight, bias))
errors["minicnn"] = error(library(x, weight, bias), exact)
algorithm = kernels.explain((1, *x.shape), weight.shape)
print(f"minicnn's algorithm: {algorithm}; its error {errors['minicnn']:.1e}")
assert errors["minicnn"] < 1e-5
expect(f"it takes {times['minicnn']:.1f} ms, less than a third of the loops", times["loops"] > 3 * times["minicnn"])
assert abs(library(*double) - exact).max() < 1e-10 * abs(exact).max()  # in float64 it is what our loops say

COLORS = {"loops": "#999999", "im2col": "#0072B2", "Winograd": "#E69F00", "minicnn": "#009E73"}  # colour-blind safe
panels = [
    ("multiplications, millions", multiplications, 1e6, "{:.0f}"),
    ("time, ms (logarithmic scale)", times, 1, "{:.1f}"),
    ("memory besides input and output, MB", memory, 1e6, "{:.1f}"),
    ("error, $10^{-7}$ of the output (both rms)", errors, 1e-7, "{:.1f}"),
]
figure = Figure(figsize=(13, 4), layout="constrained")
axes = figure.subplots(1, 4, width_ratios=[3, 4, 3, 4])
for ax, (title, values, unit, form) in zip(axes, panels, strict=True):
    heights = {way: values[way] / unit for way in COLORS if way in values}
    drawn = ax.bar(list(heights), list(heights.values()), color=[COLORS[way] for way in heights])
    ax.bar_label(drawn, [form.format(height) for height in heights.values()], padding=2)
    ax.margins(y=0.15)
    ax.set_title(title, fontsize=10)
axes[1].set_yscale("log")
kept = mb[1] - mb[2]
axes[2].bar("Winograd", kept, bottom=mb[0], fill=False, edgecolor=COLORS["Winograd"])
axes[2].text(2, mb[0] + kept / 2, f"{kept:.1f}\nkept for\nlarger\nweights", ha="center", va="center", fontsize=9)
axes[2].set_ylim(0, 1.15 * (mb[0] + kept))
figure.suptitle(f"{O} filters of 3 x 3 over {C} maps of {H} x {W}, float32, one core. minicnn chose {algorithm!r} here")
figure.savefig(out / "08_three_ways_to_convolve_side_by_side.png", dpi=110)
figure

# %% [markdown]
# (Two remarks. BLAS keeps small buffers of its own, which Python does not see. minicnn keeps its workspaces from call to call, so it has
# no bar for memory. And our Winograd had its weights transformed before the clock started; minicnn's kernel may have to do that in the
# call.)
#
# ## Why is Winograd not four times faster?
#
# It has a quarter of the products, yet it does not take a quarter of the time. The reason is reuse again. In im2col the matrix of weights
# meets 256 columns, one for each output pixel. In each of Winograd's 36 products a matrix of weights meets one column for each *tile*,
# and here there are only 16 tiles. There are also four times as many weights to fetch. So there are fewer products, but each costs more.
# And the transforms multiply little, but read and write the data several times. With larger maps, or several images in a batch, there are
# more tiles, and each product costs less.

# %%
values = rng.standard_normal((36, C, tiles), dtype=np.float32)  # as many as in `winograd`
alone = milliseconds(lambda: U @ values)
rate = in_the_middle / alone / 1e6, products / times["im2col"] / 1e6
print(f"of Winograd's {times['Winograd']:.1f} ms the 36 matrix products take {alone:.1f} ms, the transforms the rest")
print(f"products in a nanosecond: in those {rate[0]:.0f}; im2col, with the copying, {rate[1]:.0f}")
calls = {"im2col": im2col, "Winograd": lambda *layer: winograd(*layer, transformed=U), "minicnn": library}
sides, measured = [8, 12, 16, 24, 32], {way: [] for way in calls}
for side in sides:
    larger = maps_before(8 * side)
    truth = im2col(larger.astype(float), *double[1:])
    report = []
    for way, call in calls.items():
        measured[way].append(milliseconds(lambda call=call, x=larger: call(x, weight, bias)))
        report.append(f"{way} {measured[way][-1]:4.1f} ms (error {error(call(larger, weight, bias), truth):.1e})")
    print(f"{side:2} x {side:2}: {', '.join(report)}, by {kernels.explain((1, *larger.shape), weight.shape)}")
gain = [i / w for i, w in zip(measured["im2col"], measured["Winograd"], strict=True)]
print(f"im2col's time over Winograd's: {', '.join(f'{value:.1f}' for value in gain)}; four would be the whole saving")
expect("Winograd gains more on larger maps", max(gain[-2:]) > min(gain[:2]))

figure = Figure(figsize=(12, 4.2), layout="constrained")
left, right = figure.subplots(1, 2)
for (name, values), marker in zip(rates.items(), "os", strict=True):
    left.loglog(uses, values, base=2, marker=marker, label=name)
left.axhline(products / times["loops"] / 1e6, color=COLORS["loops"], linestyle="--", label="our loops")
left.set_xticks(uses, uses)
left.set_yticks([1, 2, 4, 8, 16, 32, 64], [1, 2, 4, 8, 16, 32, 64])
left.set(xlabel="columns: how often each weight that was fetched is used", ylabel="products in a nanosecond")
left.set_title("A matrix product on one core: fast if it uses each number often", fontsize=10)
left.legend()
for way, spent in measured.items():
    right.plot(sides, 1000 * np.array(spent) / np.square(sides), marker="o", color=COLORS[way], label=way)
right.set_xticks(sides, [f"{side} x {side}\n{((side + 3) // 4) ** 2} tiles" for side in sides])
right.set(ylim=(0, None), xlabel="size of the maps", ylabel="microseconds an output pixel, all filters")
right.set_title("Winograd needs many tiles (one core)", fontsize=10)
right.legend()
figure.savefig(out / "08_three_ways_to_convolve_reuse.png", dpi=110)
figure

# %% [markdown]
# ## Why not larger tiles?
#
# A tile of 10 x 10 gives 8 x 8 outputs with 100 products. That is 1.6 for each output, instead of 9. But the matrices hold powers of the
# points, and these grow. Large intermediate numbers are added and taken away again and nearly cancel, and float32 keeps only seven digits
# of each. How much is lost depends on the points as well. In float64 all of these are right to 8 digits: the formula is exact, the
# rounding is not.

# %%
CHOICES = {
    "2 x 2: 0, ±1": [0, 1, -1],
    "4 x 4: 0, ±1, ±2": [0, 1, -1, 2, -2],
    "4 x 4: 0, ±3/4, ±3/2": [0, 0.75, -0.75, 1.5, -1.5],
    "4 x 4: 0, 1, 2, 3, 4": [0, 1, 2, 3, 4],
    "6 x 6: 0, ±1, ±2, ±1/2": [0, 1, -1, 2, -2, 0.5, -0.5],
    "8 x 8: 0, ±1, ±2, ±3, ±1/2": [0, 1, -1, 2, -2, 3, -3, 0.5, -0.5],
}
lost = {}
for name, points in CHOICES.items():
    m = len(points) - 1
    lost[name], exactly = error(winograd(x, weight, bias, points), exact), error(winograd(*double, points), exact)
    print(f"{name:27} {(m + 2) ** 2 / m**2:.2f} products an output, error {lost[name]:.1e}, in float64 {exactly:.0e}")
    assert exactly < 1e-8
two, usual, _, careless, _, eight = lost.values()
print(f"8 x 8 outputs: {eight / two:.0f} times the error of 2 x 2; careless points: {careless / usual:.0f} times usual")
assert eight > 5 * two and careless > 50 * usual

# %% [markdown]
# ## What the library does
#
# It plans by the shape, and `kernels.explain` says how. All cores take part, if allowed.
#
# - `winograd` is for small kernels at stride 1, where there are enough channels and tiles for it to pay. It is used in float32 only:
#   whoever asks for float64 wants the digits.
# - `direct` takes our reordered loops to their end. It computes a small tile at a time, some filters times some neighbouring pixels,
#   whose sums stay in the processor's registers. So each number that is fetched is used several times, as in BLAS, and nothing is copied
#   into columns.
# - `im2col` is taken only where a layer has a few input maps and their gradient is wanted, a few megabytes at a time.

# %%
LAYERS = {
    "bundled network, features.8": ((1, 256, 8, 8), (256, 256, 3, 3), (1, 1), (1, 1)),
    "VGG-16, conv3_1": ((1, 128, 56, 56), (256, 128, 3, 3), (1, 1), (1, 1)),
    "ResNet-18, layer2.0.conv1": ((1, 64, 56, 56), (128, 64, 3, 3), (2, 2), (1, 1)),
    "SqueezeNet, squeeze": ((1, 128, 55, 55), (16, 128, 1, 1), (1, 1), (0, 0)),
}
for name, (x_shape, w_shape, stride, padding) in LAYERS.items():
    plans = [kernels.explain(x_shape, w_shape, stride, padding, dtype=dtype) for dtype in (np.float32, np.float64)]
    print(f"{name:28} {w_shape!s:19} on {x_shape!s:18} stride {stride[0]}: {plans[0]:10} in float64: {plans[1]}")
    assert plans[1] != "winograd" and (plans[0] != "winograd" or stride == (1, 1))

# %% [markdown]
# **Try it:** give `winograd` several images. The tiles of all go side by side into one matrix, and the weights are fetched once for all.

# %% [markdown]
# ## Exercises
#
# Put your answer in the place of the three dots. The check gives a hint. Solutions: `lessons/solutions/08_three_ways_to_convolve.py`.
#
# **1.** 16 maps, with their border of zeros, are convolved with 3 x 3 kernels to maps of 10 x 10. Which shape has im2col's matrix?

# %%
from lessons.exercises import check

answer = ...  # (rows, columns)

windows = sliding_window_view(np.zeros((16, 12, 12)), (3, 3), axis=(1, 2))
columns = windows.transpose(0, 3, 4, 1, 2).reshape(16 * 9, -1)
check(1, answer, columns.shape, "A column for each output pixel; in it a row for each channel and place of the kernel.")

# %% [markdown]
# **2.** How many products does Winograd's F(6 x 6, 3 x 3) take for each output pixel (and pair of channel and filter)?

# %%
answer = ...

A, G, B = transforms([0, 1, -1, 2, -2, 0.5, -0.5])
tile, outputs = B.shape[0] ** 2, A.shape[0] ** 2
check(2, answer, tile / outputs, "A tile of (6 + 2) x (6 + 2) products gives 6 x 6 outputs.", tolerance=0.01)

# %%
print("Next lesson: lessons/09_filters_as_evidence.py")
