"""What is built from the parts of `maximize`: spectra, the ladder, diversity, DeepDream, inversion."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.viz.spectrum import COLOURS, NATURAL, frequencies

QUICK = {"steps": 12, "size": 24, "progress": False}


@pytest.fixture
def alexnet_shaped() -> nn.Module:
    """AlexNet's kinds of layers in its order, with fewer channels: 11 x 11 at stride 4, dropout, flatten, linear layers."""
    minicnn.manual_seed(0)
    features = nn.Sequential(
        nn.Conv2d(3, 8, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    model = nn.Sequential()
    model.features, model.avgpool, model.flatten = features, nn.AdaptiveAvgPool2d(2), nn.Flatten()
    model.classifier = nn.Sequential(nn.Dropout(), nn.Linear(64, 20), nn.ReLU(inplace=True), nn.Linear(20, 10))
    return model


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def noise(size: int, power: float, seed: int = 0) -> np.ndarray:
    """A grey picture (size, size, 3) whose magnitudes fall as 1 / f ** power, around 0.5."""
    rng = np.random.default_rng(seed)
    frequency = frequencies(size, size)
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    grey = np.fft.irfft2(phases / frequency**power, (size, size), norm="ortho")
    return np.repeat((0.5 + 0.1 * grey / grey.std())[:, :, None], 3, 2)


# --- spectra ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_radial_spectrum_finds_the_power_law_of_noise(power):
    frequency, magnitude = viz.radial_spectrum(noise(128, power))
    kept = frequency > 0.03  # the window smears the lowest ones
    slope = np.polyfit(np.log(frequency[kept]), np.log(magnitude[kept]), 1)[0]
    assert slope == pytest.approx(-power, abs=0.12)


def test_the_spectrum_keeps_the_variance():
    picture = noise(64, 0.0)
    _, magnitude = viz.radial_spectrum(picture, bins=1)
    assert magnitude[0] == pytest.approx(picture.std(), rel=0.1)  # white noise: the same at every frequency


def test_the_fine_share_of_white_noise_is_an_area():
    outside = (frequencies(256, 256) > 0.25).mean()
    assert viz.fine_share(noise(128, 0.0)) == pytest.approx(outside, abs=0.03)
    assert viz.fine_share(noise(128, 2.0)) < 0.05


def test_mean_magnitudes_of_pictures_and_their_errors():
    pictures = [noise(32, 1.0, seed) for seed in range(3)]
    magnitude = viz.mean_magnitude(pictures)
    assert magnitude.shape == (3, 32, 17)
    expected = np.mean([np.abs(np.fft.rfft2(p[:, :, 0] - p[:, :, 0].mean(), norm="ortho")) for p in pictures], 0)
    np.testing.assert_allclose(magnitude[1], expected, atol=1e-4)
    with pytest.raises(ValueError, match="no photographs"):
        viz.mean_magnitude([])
    with pytest.raises(ValueError, match="another size"):
        viz.mean_magnitude([*pictures, noise(16, 1.0)])


# --- fixed magnitudes ---------------------------------------------------------------------------------------------------


def test_only_the_phases_of_a_fixed_magnitude_image_move(net):
    part = viz.FixedMagnitude()
    result = viz.maximize(net, "3:0", parametrization=part, transforms="none", **QUICK)
    assert result.rose.all()
    inner = np.log(result.images[0] / (1 - result.images[0])) / 4  # before the sigmoid
    directions = COLOURS / np.linalg.norm(COLOURS, axis=0)
    spectrum = np.abs(np.fft.rfft2((inner @ np.linalg.inv(directions).T).transpose(2, 0, 1), norm="ortho"))
    wanted = viz.natural_magnitude(24, 24)
    free = np.s_[
        :, :, 1:-1
    ]  # in the first and last column an image is real only if two phases agree: less is left there
    np.testing.assert_allclose(spectrum[free], wanted[free], rtol=0.02, atol=1e-3)
    assert wanted[0, 0, 1] == pytest.approx(NATURAL[0][0] * 24 ** NATURAL[0][1], rel=1e-5)


def test_magnitudes_of_your_own_photographs(net):
    own = viz.mean_magnitude([noise(24, 1.0)] * 2)
    result = viz.maximize(net, "3:0", parametrization=viz.FixedMagnitude(magnitude=own), **QUICK)
    assert result.rose.all()
    with pytest.raises(ValueError, match="this image needs"):
        viz.maximize(net, "3:0", parametrization=viz.FixedMagnitude(magnitude=own), **{**QUICK, "size": 32})


# --- starting from a picture --------------------------------------------------------------------------------------------


def test_pixels_start_from_a_given_picture(net):
    photo = viz.fit(viz.sample_photo(), 24) / 255
    part = viz.Pixels(noise=0, initial=photo)
    result = viz.maximize(net, "3:0", parametrization=part, transforms="none", **{**QUICK, "steps": 1})
    assert np.abs(result.images[0] - photo).max() < 0.011  # one step of Adam
    assert viz.activation(net, "3:0", photo[None])[0] == pytest.approx(result.activation_start[0], rel=1e-4)
    with pytest.raises(ValueError, match="initial image"):
        viz.maximize(net, "3:0", parametrization=part, **{**QUICK, "size": 32})


def test_the_activation_of_pictures_that_exist(net):
    result = viz.maximize(net, ["3:0", "3:1"], **QUICK)
    np.testing.assert_allclose(viz.activation(net, ["3:0", "3:1"], result.images), result.activation_end, atol=1e-5)
    with pytest.raises(ValueError, match="3 targets for 2 pictures"):
        viz.activation(net, ["3:0", "3:1", "3:2"], result.images)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        viz.activation(net, "3:0", result.images * 255)


# --- the ladder ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the activation did not rise")  # in so few steps
@pytest.mark.slow
def test_a_ladder_of_two_networks(net, alexnet_shaped):
    found = viz.ladder(net, "3:0", **QUICK)
    assert next(iter(found.results)) == "pixels"
    assert len(found.results) == 8
    assert all(result.rose.all() and result.losses.shape == (12, 1) for result in found.results.values())
    assert str(found).count("\n") == 9
    beside = viz.ladder(alexnet_shaped, "features.6:1", **{**QUICK, "size": 96, "steps": 2})
    text = words(found.figure(beside=beside))
    assert "fixed magnitude" in text
    assert "robust\ntwin" in text
    assert isinstance(found.figure(), Figure)


def test_rungs_of_your_own(net):
    variants = {"mine": {"parametrization": "pixels", "transforms": "jitter"}}
    found = viz.ladder(net, "3:0", variants=variants, **QUICK)
    assert list(found.results) == ["mine"]
    with pytest.raises(ValueError, match="different variants"):
        found.figure(beside=viz.ladder(net, "3:0", variants={"other": variants["mine"]}, **QUICK))


# --- diversity ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_diverse_images_are_less_alike(net):
    found = viz.diverse(net, "3:0", 3, strength=20.0, transforms="none", **{**QUICK, "steps": 40})
    assert found.diverse_similarity < found.plain_similarity - 0.05
    assert found.diverse.rose.all()
    assert "alike" in words(found.figure())
    with pytest.raises(ValueError, match="at least two"):
        viz.diverse(net, "3:0", 1)


def test_similarity_is_the_cosine_of_gram_matrices(net):
    pictures = np.random.default_rng(0).random((2, 20, 20, 3)).astype(np.float32)
    alike = viz.similarity(net, pictures, "3")
    maps = np.maximum(net[:4](minicnn.tensor(pictures.transpose(0, 3, 1, 2))).detach().numpy(), 0).reshape(2, 8, -1)
    a, b = (m @ m.T for m in maps)
    assert alike[0, 1] == pytest.approx((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), rel=1e-4)
    np.testing.assert_allclose(np.diag(alike), 1, rtol=1e-4)


@pytest.mark.slow
def test_the_layer_of_a_logit_is_the_last_convolution(alexnet_shaped):
    found = viz.diverse(alexnet_shaped, "logit:3", 2, **{**QUICK, "size": 80, "steps": 2})
    assert found.layer == "features.6"


# --- DeepDream and inversion --------------------------------------------------------------------------------------------


def test_a_dream_raises_the_energy_and_stays_near_the_photograph(net):
    found = viz.dream(net, viz.sample_photo(), "3", size=(48, 40), octaves=2, steps=4, progress=False)
    assert found.activation_end > found.activation_start
    assert [octave.images.shape[1:3] for octave in found.octaves] == [(34, 29), (48, 40)]
    assert 0 < np.abs(found.image - found.photo).mean() <= 2 * 4 * 0.01 + 0.01
    assert isinstance(found.figure(), Figure)
    again = viz.dream(net, viz.sample_photo(), "3", size=(48, 40), octaves=2, steps=4, progress=False)
    np.testing.assert_array_equal(found.image, again.image)
    with pytest.raises(KeyError, match="nothing"):
        viz.dream(net, viz.sample_photo(), "nothing")
    with pytest.raises(ValueError, match="octave"):
        viz.dream(net, viz.sample_photo(), "3", octaves=0)


def test_a_dream_of_one_unit(alexnet_shaped):
    found = viz.dream(alexnet_shaped, viz.sample_photo(), "logit:2", size=96, octaves=1, steps=3, progress=False)
    assert found.activation_end > found.activation_start


@pytest.mark.slow
def test_an_inversion_finds_the_photograph_again(net):
    found = viz.invert(net, viz.sample_photo(), ["1", "4"], size=32, steps=120, progress=False)
    assert found.images.shape == (2, 32, 32, 3)
    assert (found.errors < 0.15).all()
    assert (found.errors < -found.result.activation_start / 3).all()
    grey = np.sqrt(((0.5 - found.photo) ** 2).mean())
    assert found.distances[0] < 0.75 * grey, "the first layer keeps most of the picture"
    assert "the photograph" in words(found.figure())


def test_an_inversion_of_features_and_of_nothing(alexnet_shaped):
    found = viz.invert(
        alexnet_shaped, viz.sample_photo(), ["features.2", "classifier.1"], size=80, steps=2, progress=False
    )
    assert found.result.rose.all()
    with minicnn.no_grad():
        alexnet_shaped.features[0].weight.zero_()
        alexnet_shaped.features[0].bias.fill_(-1)
    with pytest.raises(ValueError, match="all zeros"):
        viz.invert(alexnet_shaped, viz.sample_photo(), "features.1", size=80)
