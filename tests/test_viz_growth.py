"""How filters grow, and how their energy lies along the patterns of image patches."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn import viz


def history(channels: int = 3, moments: int = 6, filters: int = 6) -> dict[str, np.ndarray]:
    """Filters that stay noise for half of the moments and then turn into upright edges."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((filters, channels, 5, 5))
    edge = np.broadcast_to(3 * np.array([0.0, 1, 0, -1, 0]), noise.shape)
    shares = np.concatenate([np.zeros(moments // 2), np.linspace(0.2, 1, moments - moments // 2)])
    turned = [(1 - share) * noise + share * edge for share in shares]
    return {"filters": np.array(turned, np.float16), "filter_step": np.array([0, *(2 ** np.arange(moments - 1))])}


def test_numbers_of_each_moment_are_those_of_its_report():
    data = history()
    growth = viz.filter_growth(data, progress=False)
    last = viz.filter_report(data["filters"][-1].astype(np.float32))
    assert growth.r2[-1] == np.median(last.gabor.r2)
    assert growth.oriented[-1] == last.oriented.mean() == 1
    assert growth.beyond_noise[0] <= 0.5
    assert growth.variance_entropy[-2] == growth.reports[-2].quality.variance_entropy
    assert np.isnan(growth.variance_entropy[-1])  # all kernels are one: there is no variance
    np.testing.assert_allclose(growth.like_first[:3], 1, atol=1e-5)
    np.testing.assert_allclose(growth.like_last[-1], 1, atol=1e-5)
    flat = data["filters"].reshape(6, 6, -1).astype(float)
    cosine = flat[4, 2] @ flat[0, 2] / np.linalg.norm(flat[4, 2]) / np.linalg.norm(flat[0, 2])
    assert growth.like_first[4, 2] == pytest.approx(cosine, abs=1e-5)


def test_the_moments_follow_the_change_and_not_the_clock():
    growth = viz.filter_growth(history(moments=10), progress=False)
    chosen = growth.moments(4)
    assert chosen[0] <= 4  # nothing has changed up to the fifth
    assert chosen[-1] == 9
    assert (chosen[1:] >= 5).all()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_strip_and_film_of_any_number_of_channels(channels, tmp_path):
    growth = viz.filter_growth(history(channels), progress=False)
    figure = growth.figure(filters=[0, 3], moments=3)
    assert isinstance(figure, Figure)
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert {"filter 0", "filter 3"} <= set(texts)
    assert any("own scale" in text for text in texts)
    growth.animation(moments=3, hold=1).save(tmp_path / "film.gif", writer="pillow", dpi=40)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames >= 3


def test_a_history_that_does_not_fit_together():
    data = history()
    with pytest.raises(ValueError, match="filter_step"):
        viz.filter_growth({**data, "filter_step": np.arange(3)})
    with pytest.raises(ValueError, match="two moments"):
        viz.filter_growth({"filters": data["filters"][:1], "filter_step": [0]})


def test_components_of_patches_are_those_of_all_patches():
    """Of an image whose patches all differ along two known patterns only."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((400, 1, 1, 1)) * 3 + rng.standard_normal((400, 1, 1, 1)) * np.array([-1.0, 0, 1])
    images = np.broadcast_to(images, (400, 1, 3, 3))
    components, variances = viz.patch_components(images, 3, patches=4000)
    np.testing.assert_allclose(np.abs(components[0]), 1 / 3, atol=0.05)
    np.testing.assert_allclose(np.abs(components[1]).reshape(3, 3), np.tile([1, 0, 1], (3, 1)) / np.sqrt(6), atol=0.06)
    assert variances[0] == pytest.approx(9 * 9, rel=0.2)
    assert variances[1] == pytest.approx(6, rel=0.2)
    np.testing.assert_allclose(variances[2:], 0, atol=1e-9)
    with pytest.raises(ValueError, match="at least 5"):
        viz.patch_components(images, 5)


def test_energy_adds_up_and_is_even_for_noise():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((27, 27)))
    energy = viz.component_energy(rng.standard_normal((4000, 3, 3, 3)), basis)
    assert energy.sum() == pytest.approx(1)
    np.testing.assert_allclose(energy, 1 / 27, rtol=0.12)
    only = viz.component_energy(np.stack([2 * basis[5], -basis[5], basis[8]]).reshape(3, 3, 3, 3), basis)
    assert only[[5, 8]] == pytest.approx([5 / 6, 1 / 6])
    with pytest.raises(ValueError, match="27 weights"):
        viz.component_energy(np.ones((2, 3, 3, 3)), np.eye(9))
