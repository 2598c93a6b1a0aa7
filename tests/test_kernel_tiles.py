"""What the fast kernels stand on: the register tile and its plain twin, matrix products, the threads that share the work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from quick import one_of_each

from minicnn import kernels
from minicnn.kernels.fast import depthwise, parallel, strip
from minicnn.kernels.fast.parallel import jit
from minicnn.kernels.fast.tile import ROWS, VECTORS, lanes, plain, tile, width_for

KINDS = pytest.mark.parametrize(
    "kind", one_of_each([np.float32, np.float64], of=lambda kind: "float", name=lambda kind: kind.__name__)
)


@KINDS
@pytest.mark.parametrize("last", [0, ROWS - 1])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("vectors", [0.5, 1, 2, 3])
def test_the_tile_is_its_plain_twin(vectors, add, last, kind):
    """Also: it reads and writes nothing outside of its places, where here everything is NaN."""
    rng = np.random.default_rng(0)
    K, lane = 37, lanes(kind)
    width = int(vectors * lane)
    weight, pixels = np.full(2000, np.nan, kind), np.full(5000, np.nan, kind)
    row, step, weight_taps = 11, 101, rng.permutation(100)[:K]
    first, pixel_taps = 60, rng.permutation(40)[:K] * 100
    for r in range(last + 1):
        weight[row + r * step + weight_taps] = rng.standard_normal(K)
    for tap in pixel_taps:
        pixels[first + tap : first + tap + width] = rng.standard_normal(width)
    ours, theirs = np.full((2, ROWS, VECTORS * lane), 7, kind)
    tile(width, weight, row, step, last, weight_taps, pixels, first, pixel_taps, ours, add)
    plain(weight, row, step, last, weight_taps, pixels, first, pixel_taps, theirs, add, vectors)
    np.testing.assert_allclose(ours[: last + 1], theirs[: last + 1], rtol=0, atol=K * np.finfo(kind).eps * 20)
    assert np.all(ours[:, width:] == 7)
    assert np.isfinite(ours[: last + 1]).all()


@KINDS
def test_widths_cover_every_run_of_pixels(kind):
    lane = lanes(kind)
    for count in range(1, 5 * VECTORS * lane):
        done, pieces = 0, []
        while done < count:
            pieces.append(width_for(count - done, lane))
            done += pieces[-1]
        assert done - count < max(1, lane // 2), (count, pieces)  # no more than half a vector for nothing


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
@pytest.mark.parametrize(
    "shape",
    [
        (1, 9, 5), (1, 300, 40), (3, 40, 1000), (7, 33, 9), (8, 50, 47), (20, 70, 49), (70, 300, 100), (200, 9, 5), (5, 1, 4), (4, 0, 3),
        (3, 3, 1000),
    ],
    ids=str,
)  # fmt: skip
def test_matrix_product(shape, kind, which):
    M, K, N = shape
    if which == "reference" and M * K * N > 50_000:
        pytest.skip("the loops would take minutes")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((M, K)).astype(kind), rng.standard_normal((K, N)).astype(kind)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    wide = np.repeat(a, 2, axis=1)[:, ::2]
    with kernels.use(which):
        for left in (a, np.asfortranarray(a), wide):
            for right in (b, np.asfortranarray(b)):
                out = kernels.get("matmul")(left, right)
                assert out.flags.c_contiguous and out.dtype == kind
                np.testing.assert_allclose(out, exact, rtol=0, atol=4 * (K + 1) * np.finfo(kind).eps)
        batch = kernels.get("matmul")(np.stack([a, 2 * a]), np.stack([b, b]))
        np.testing.assert_allclose(batch[1], 2 * batch[0], rtol=0, atol=8 * (K + 1) * np.finfo(kind).eps)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("M", [1, 5, 40])
@pytest.mark.parametrize("turned", [False, True])
def test_matrix_product_keeps_nan_and_infinity_where_they_belong(turned, M, value):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((M, 60)).astype(np.float32), rng.standard_normal((60, 70)).astype(np.float32)
    b[7, 9] = value
    a[0, 3] = 0
    b[3, 20] = value  # 0 * infinity
    expected = (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()
    with np.errstate(invalid="ignore"):
        ours = kernels.get("matmul")(a, np.asfortranarray(b) if turned else b)
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(ours), kind(expected))


@pytest.mark.parametrize("name", ["direct", "im2col"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_strange_pixel_and_the_gradient_of_the_weight(value, name):
    x = np.random.default_rng(2).standard_normal((2, 20, 12, 13)).astype(np.float32)
    grad = np.random.default_rng(3).standard_normal((2, 9, 12, 13)).astype(np.float32)
    x[1, 3, 5, 6] = value
    weight = torch.zeros(9, 20, 3, 3, requires_grad=True)
    F.conv2d(torch.from_numpy(x), weight, padding=1).backward(torch.from_numpy(grad))
    with kernels.use(name):
        ours = kernels.get("conv2d_grad_weight")(grad, x, weight.shape, (1, 1), (1, 1), (1, 1), 1)
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(ours), kind(weight.grad.numpy()))


def _count(total: np.ndarray, start: int, stop: int) -> None:
    if start == 40:
        raise ValueError("unit 40 cannot be done")
    total[start:stop] += 1


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_every_unit_is_done_once(threads, monkeypatch):
    monkeypatch.setattr(parallel, "THREADS", threads)
    for units in (1, 2, 5, 100):
        total = np.zeros(units)
        for _ in range(20):
            parallel.run(_count, units, 10**9, total)
        assert np.all(total == 20)
        time.sleep(0.01)  # the helpers go to sleep, and are woken


def test_an_error_in_a_helper_is_raised_and_the_next_work_is_done(monkeypatch):
    monkeypatch.setattr(parallel, "THREADS", 2)
    total = np.zeros(80)
    with pytest.raises(ValueError, match="unit 40"):
        parallel.run(_count, 80, 10**9, total)
    total = np.zeros(60)
    parallel.run(_count, 60, 10**9, total)
    assert np.all(total == 1)


def test_a_thread_that_finds_the_helpers_busy_does_the_work_itself(monkeypatch):
    monkeypatch.setattr(parallel, "THREADS", 2)
    total = np.zeros(10)
    inside = threading.Event(), threading.Event()

    def slow(start, stop):
        inside[0].set()
        inside[1].wait(10)

    other = threading.Thread(target=parallel.run, args=(slow, 2, 10**9))
    other.start()
    inside[0].wait(10)
    parallel.run(_count, 10, 10**9, total)  # does not wait for the other thread's work
    assert np.all(total == 1) and other.is_alive()
    inside[1].set()
    other.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.slow
def test_a_forked_child_has_helpers_of_its_own():
    code = (
        "import os, numpy as np; from minicnn import kernels\n"
        "kernels.fast.parallel.THREADS = 2\n"
        "x = np.ones((2, 16, 40, 40), np.float32); w = np.ones((16, 16, 3, 3), np.float32)\n"
        "g = (1, 1), (1, 1), (1, 1), 1\n"
        "expected = kernels.get('conv2d')(x, w, None, *g); child = os.fork()\n"
        "same = np.array_equal(kernels.get('conv2d')(x, w, None, *g), expected)\n"
        "if child == 0: os._exit(0 if same else 3)\n"
        "print(os.waitpid(child, 0)[1], same)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["0", "True"], done.stderr


# Maps by how many vectors wide they are, and whether their rows follow each other: each is written in another way.
STRIPS = [
    (1, 1, 1), (2, 1, 1), (3, 2, 2), (20, 1, 1), (3, 1, 5), (7, 7, 7), (9, 5, 5), (8, 8, 8), (17, 14, 14), (12, 16, 16), (9, 17, 17),
    (5, 33, 40), (20, 48, 48), (10, 13, 20),
]  # fmt: skip


@KINDS
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("L", strip.LENGTHS)
@pytest.mark.parametrize("height, width, step", STRIPS)
def test_the_strips_are_their_plain_twins(height, width, step, L, fresh, kind):
    """Also: they write nothing outside of their places."""
    rng = np.random.default_rng(0)
    pitch, runs = width + 3, 4
    pixels, weight = (
        rng.standard_normal((height + 12) * pitch + 200).astype(kind),
        rng.standard_normal(100).astype(kind),
    )
    pixel_taps, taps = rng.integers(0, 3 * pitch, runs), rng.integers(0, 90, (runs, strip.LONGEST))
    ours, theirs = np.full((2, 50 + height * step + 50), 7, kind)
    given = weight, 10, taps, pixels, 5, pitch, pixel_taps, (1, runs), (height, width), fresh, kind(0.5)
    depthwise._strip(L, *given, ours, 50, step)
    strip.plain(*given, theirs, 50, step, L, share=2 if width <= lanes(kind) // 2 else 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=L * runs * np.finfo(kind).eps * 20)
    inside = np.zeros(len(ours), bool)
    inside[50 : 50 + height * step].reshape(height, step)[:, :width] = True
    assert np.all(ours[~inside] == 7) and not np.any(ours[inside] == 7)


@jit
def _part(S, *given):
    if S == 1:
        strip.part_1(*given)
    else:
        strip.part_2(*given)


@jit
def _finish(*given):
    strip.finish(*given)


@KINDS
@pytest.mark.parametrize("rows, count, at", [(1, 1, 0), (8, 3, 5), (3, 8, 1), (8, 24, 0), (5, 19, 2)])
def test_sums_go_to_their_place(rows, count, at, kind):
    """And nothing else is written."""
    sums = np.arange(8 * 3 * lanes(kind), dtype=kind).reshape(8, -1)
    count = min(count, sums.shape[1] - at)
    bias, plane = np.arange(10, dtype=kind) / 8, count + 3
    ours, theirs = np.full((2, 20 + 8 * plane), 7, kind)
    given = sums, at, bias, 2, rows
    _finish(*given, ours, 9, plane, count)
    strip.plain_finish(*given, theirs, 9, plane, count)
    np.testing.assert_array_equal(ours, theirs)
    expected = (sums[:rows, at : at + count] + bias[2 : 2 + rows, None]).ravel()
    np.testing.assert_array_equal(ours[9 : 9 + rows * plane].reshape(rows, plane)[:, :count].ravel(), expected)
    assert (ours == 7).sum() >= ours.size - rows * count


@jit
def _dots(half, *given):
    if half:
        strip.half_dots(*given)
    else:
        strip.dots(*given)


@KINDS
@pytest.mark.parametrize("S", [1, 2])
@pytest.mark.parametrize(
    "rows, columns, pitch", [(1, 1, 1), (5, 1, 4), (4, 7, 9), (3, 16, 16), (3, 17, 20), (2, 40, 43)]
)
def test_a_part_of_a_plane_is_copied(rows, columns, pitch, S, kind):
    """What is read ends with the array; behind each row a vector is filled up, behind the last one too."""
    step = columns * S + 2
    source = np.arange(1, 4 + (rows - 1) * step + (columns - 1) * S + 1, dtype=kind)
    ours, theirs = np.full((2, 20 + rows * pitch + lanes(kind)), 7, kind)
    given = 20, pitch, rows, columns, kind(-5)
    _part(S, source, 3, step, ours, *given)
    strip.plain_part(source, 3, step, theirs, *given, S)
    np.testing.assert_array_equal(ours, theirs)
    first = ours[20 : 20 + columns]
    np.testing.assert_array_equal(first, source[3 : 3 + (columns - 1) * S + 1 : S])
    assert ours[19] == 7 and (columns % lanes(kind) == 0 or -5 in ours)


@KINDS
@pytest.mark.parametrize("height, width", [(1, 1), (7, 7), (9, 5), (14, 14), (3, 16), (4, 17), (2, 50)])
def test_sums_of_products_are_their_plain_twin(height, width, kind):
    """What is beside a map, here NaN, has no part in them."""
    rng = np.random.default_rng(0)
    pitch, half = width + 2, width <= lanes(kind) // 2
    grad, pixels = np.full((2, (height + 4) * pitch), np.nan, kind)
    taps = np.array([0, 3] + [5] * strip.TOGETHER)
    for array, places in ((grad, [2]), (pixels, [4 + tap for tap in taps])):
        for place in places:
            for r in range(height):
                array[place + r * pitch : place + r * pitch + width] = rng.standard_normal(width)
    ours, theirs = np.full((2, strip.TOGETHER + 1), 7, kind)
    given = grad, 2, pitch, pixels, 4, pitch, taps, 1, height, width
    _dots(half, *given, ours)
    strip.plain_dots(*given, theirs, share=1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=height * width * np.finfo(kind).eps * 10)
    assert np.isfinite(ours).all() and ours[-1] == 7
