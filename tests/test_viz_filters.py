"""Filters in numbers: Gabor fits, the report of a layer, and what they say of noise."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from minicnn import nn, viz
from minicnn.models import tinynet
from minicnn.viz.filter_report import measure


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def planted(count: int, side: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Gabor functions (count, side, side) by the formula at the head of `minicnn.viz.gabor`, and what they were made of."""
    rng = np.random.default_rng(seed)
    made = {
        "orientation": rng.uniform(0, 180, count),
        "frequency": rng.uniform(0.8, 2.5, count) / side,
        "phase": rng.uniform(-180, 180, count),
        "row": rng.uniform(0.35, 0.65, count) * (side - 1),
        "column": rng.uniform(0.35, 0.65, count) * (side - 1),
        "across": rng.uniform(0.15, 0.25, count) * side,
        "along": rng.uniform(0.15, 0.3, count) * side,
        "amplitude": rng.uniform(0.1, 10, count),
    }
    kernels = np.empty((count, side, side))
    for i, (angle, f, phase, row, column, across, along, amplitude) in enumerate(zip(*made.values(), strict=True)):
        for y in range(side):
            for x in range(side):
                dx, up = x - column, row - y  # x to the right, y upwards as one draws it
                along_bars = dx * np.cos(np.radians(angle)) + up * np.sin(np.radians(angle))
                across_bars = dx * np.sin(np.radians(angle)) - up * np.cos(np.radians(angle))
                envelope = np.exp(-(across_bars**2) / (2 * across**2) - along_bars**2 / (2 * along**2))
                kernels[i, y, x] = amplitude * envelope * np.cos(2 * np.pi * f * across_bars + np.radians(phase))
    return kernels, made


def apart(a: np.ndarray, b: np.ndarray, period: float) -> np.ndarray:
    return np.abs((a - b + period / 2) % period - period / 2)


@pytest.mark.parametrize("side", [7, 11])
def test_planted_gabors_are_recovered(side):
    kernels, made = planted(100, side)
    fit = viz.fit_gabor(kernels)
    found = fit.r2 > 0.9999
    assert found.mean() >= 0.97
    assert apart(fit.orientation, made["orientation"], 180)[found].max() < 0.5
    assert np.abs(fit.frequency - made["frequency"])[found].max() < 0.005
    assert apart(fit.phase, made["phase"], 360)[found].max() < 5
    np.testing.assert_allclose(fit.centre[found], np.stack([made["row"], made["column"]], 1)[found], atol=0.05)
    np.testing.assert_allclose(fit.sigma[found], np.stack([made["across"], made["along"]], 1)[found], rtol=0.05)
    np.testing.assert_allclose(fit.amplitude[found], made["amplitude"][found], rtol=0.05)
    np.testing.assert_allclose(fit.fitted[found], kernels[found], atol=0.02 * made["amplitude"].max())


def test_a_planted_gabor_survives_noise():
    kernels, made = planted(60, 7)
    noise = np.random.default_rng(1).standard_normal(kernels.shape)
    power = (kernels**2).mean((1, 2), keepdims=True)
    fit = viz.fit_gabor(kernels + 0.3 * np.sqrt(power) * noise)
    assert np.median(fit.r2) == pytest.approx(1 / (1 + 0.3**2), abs=0.04)
    assert np.median(apart(fit.orientation, made["orientation"], 180)) < 5


# Medians of this fit on white noise. A dictionary of 5,184 alone reaches 0.85, 0.40, 0.24 and 0.11 at these sizes.
@pytest.mark.slow
@pytest.mark.parametrize(("side", "median"), [(3, 0.87), (5, 0.50), (7, 0.305), (11, 0.154)])
def test_noise_is_fitted_as_well_as_is_stated(side, median):
    assert np.median(viz.noise_r2(side, side)) == pytest.approx(median, abs=0.015)
    assert np.median(viz.noise_r2(side, side, seed=7)) == pytest.approx(median, abs=0.03)


def test_r2_is_what_it_says_and_depends_on_no_scale():
    kernels = np.random.default_rng(0).standard_normal((20, 5, 5))
    fit = viz.fit_gabor(kernels)
    left = ((kernels - fit.fitted) ** 2).sum((1, 2)) / (kernels**2).sum((1, 2))
    np.testing.assert_allclose(fit.r2, 1 - left, atol=1e-6)
    np.testing.assert_allclose(viz.fit_gabor(-1e-4 * kernels).r2, fit.r2, atol=1e-9)


def test_zeros_have_no_fit_and_one_kernel_may_come_alone():
    kernels, _ = planted(1, 7)
    fit = viz.fit_gabor(kernels[0])
    assert len(fit) == 1
    assert fit.r2[0] > 0.999
    both = viz.fit_gabor(np.stack([np.zeros((7, 7)), kernels[0], np.full((7, 7), np.nan)]))
    assert np.isnan(both.r2).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="KH, KW"):
        viz.fit_gabor(np.zeros((2, 3, 7, 7)))


def test_a_blob_has_no_orientation_and_an_edge_has():
    y, x = np.mgrid[-3:4, -3:4]
    round_blob, edge = np.exp(-(x**2 + y**2) / 6), x * np.exp(-(x**2 + y**2) / 8)
    fit = viz.fit_gabor(np.stack([round_blob, edge, np.ones((7, 7))]))
    assert (fit.coherence > 0.4).tolist() == [False, True, False]
    assert apart(fit.orientation[1], 90, 180) < 2


@pytest.mark.parametrize("shape", [(10, 3, 7, 7), (10, 40, 3, 3), (4, 1, 5, 5)])
def test_the_principal_kernel_is_the_first_of_a_singular_value_decomposition(shape):
    weight = np.random.default_rng(0).standard_normal(shape)
    kernels, channels, share = viz.principal_kernels(weight)
    for o in range(len(weight)):
        values = np.linalg.svd(weight[o].reshape(shape[1], -1), compute_uv=False)
        assert share[o] == pytest.approx(values[0] ** 2 / (values**2).sum())
        left = ((weight[o] - channels[o][:, None, None] * kernels[o]) ** 2).sum()
        assert left == pytest.approx((values[1:] ** 2).sum(), abs=1e-9)
        assert channels[o][np.abs(channels[o]).argmax()] > 0


def test_numbers_of_a_layer_at_their_ends():
    one_pattern = np.outer(np.arange(1, 9), np.arange(9.0) - 4).reshape(8, 1, 3, 3)
    quality = measure(one_pattern)
    assert quality.variance_entropy == pytest.approx(0, abs=1e-6)
    assert quality.orthogonality == pytest.approx(0)
    single_weights = np.concatenate([np.eye(9), -np.eye(9)]).reshape(18, 1, 3, 3)
    quality = measure(single_weights)
    assert quality.variance_entropy == pytest.approx(1)
    assert quality.orthogonality == pytest.approx(1 - 1 / 17)  # each is the negative of one of the 17 others
    weight = np.ones((2, 4, 3, 3))
    weight[0, 1:] = 0.009
    assert measure(weight).sparsity == 3 / 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [(64, 3, 11, 11), (16, 24, 3, 3), (6, 1, 5, 5), (8, 4, 1, 1), (8, 2, 1, 7), (1, 3, 7, 5)]
)
def test_noise_of_any_shape_is_reported_as_noise(shape):
    report = viz.filter_report(np.random.default_rng(3).standard_normal(shape))
    assert f"{shape[0]} filters of {shape[1]} x {shape[2]} x {shape[3]}" in str(report)
    assert isinstance(report.figure(), Figure)
    assert isinstance(report.draw_fits(), Figure)
    if shape[2:] == (1, 1):
        assert np.isnan(report.gabor.r2).all()
    elif shape[0] == 64:
        assert report.beyond_noise.sum() <= 10
        assert abs(report.r2_above_noise) < 0.03
        assert report.quality.orthogonality == pytest.approx(report.noise_quality.orthogonality, abs=0.01)


def test_dead_filters_are_counted_and_crossed():
    layer = nn.Conv2d(3, 6, 5)
    layer.weight.detach()[[1, 4]] = 0
    report = viz.filter_report(layer)
    assert np.flatnonzero(report.dead).tolist() == [1, 4]
    assert np.isnan(report.percentile).sum() == 2
    assert "2 of 6" in str(report)
    assert "Crossed: dead" in words(report.draw_fits())
    assert "dead" in str(viz.filter_report(np.zeros((3, 3, 5, 5))))


@pytest.mark.slow
def test_the_trained_first_layer_is_no_noise_and_the_figures_say_how_it_was_measured():
    report = viz.filter_report(tinynet("standard"))
    assert report.layer == "features.0"
    assert report.beyond_noise.mean() > 0.7
    assert report.quality.variance_entropy < report.noise_quality.variance_entropy - 0.1
    assert "95th percentile" in words(report.figure()).replace("\n", " ")
    assert "m the largest |weight|" in words(report.draw_fits([3, 5])).replace("\n", " ")


def test_a_deep_layer_by_name_and_a_wrong_name():
    model = tinynet("standard")
    report = viz.filter_report(model, "features.6", seed=2)
    assert report.kernels.shape == (256, 3, 3)
    assert report.seed == 2
    with pytest.raises(KeyError, match=r"features\.6"):
        viz.filter_report(model, "feature.6")
    with pytest.raises(ValueError, match="C_out"):
        viz.filter_report(model, "features.1")
