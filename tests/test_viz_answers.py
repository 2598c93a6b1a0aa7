"""What a network answers to many photographs: against sums by hand, and on bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import nn, viz
from minicnn.models import ModelMeta, tinynet, weights_path


def network(classes: int = 4, names: bool = True) -> nn.Module:
    """(N, 3, 24, 24) -> (N, classes), with an in-place ReLU that one pass calls twice."""
    minicnn.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 5, 5, stride=2, padding=2), nn.Conv2d(5, 6, 3, padding=1)
            self.relu, self.pool = nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
            self.last = nn.Linear(6, classes)
            categories = ("red, ruby", "green", "blue sky", "grey")[:classes] if names else None
            self.meta = ModelMeta("net", (0.5,) * 3, (0.25,) * 3, (3, 24, 24), categories)

        def forward(self, x):
            return self.last(self.pool(self.relu(self.second(self.relu(self.first(x))))).flatten(1))

    return Net().eval()


def photographs(count: int, side: int = 24) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


def outputs(model: nn.Module, images: list[np.ndarray]) -> np.ndarray:
    with minicnn.no_grad():
        return model(minicnn.cat([viz.preprocess(image, model) for image in images])).numpy()


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def words(figure) -> str:
    figure.draw_without_rendering()
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


# --- answers ------------------------------------------------------------------------------------------------------------


def test_answers_are_those_of_one_pass():
    model, images = network(), photographs(11)
    result = viz.answers(model, images, labels=[i % 4 for i in range(11)], layer="relu#2", batch=4, progress=False)
    expected = outputs(model, images)
    np.testing.assert_allclose(result.logits, expected, rtol=1e-5, atol=1e-6)
    powers = np.exp(expected.astype(np.float64))
    np.testing.assert_allclose(result.probabilities, powers / powers.sum(1, keepdims=True), rtol=1e-4)
    labels = np.arange(11) % 4
    assert result.accuracy == (expected.argmax(1) == labels).mean()
    assert result.wrong.tolist() == sorted(
        np.flatnonzero(expected.argmax(1) != labels), key=lambda i: -result.probabilities[i].max()
    )
    np.testing.assert_allclose(result.right_probability, result.probabilities[np.arange(11), labels])
    assert result.categories == ("red", "green", "blue sky", "grey")
    np.testing.assert_array_equal(result.pictures[3], images[3])
    with minicnn.no_grad(), viz.capture(model, "relu#2") as maps:
        model(minicnn.cat([viz.preprocess(image, model) for image in images]))
    features = maps["relu#2"].numpy().mean((2, 3))
    np.testing.assert_allclose(result.features, features, rtol=1e-4, atol=1e-6)
    cosines = features @ features[5] / np.linalg.norm(features, axis=1) / np.linalg.norm(features[5])
    found = result.nearest(5, 3)
    assert [i for i, _ in found] == [i for i in np.argsort(-cosines) if i != 5][:3]
    np.testing.assert_allclose([c for _, c in found], cosines[[i for i, _ in found]], rtol=1e-4)
    assert [i for i, _ in result.nearest(-6, 3)] == [i for i, _ in found]
    assert hooks(model) == 0
    assert "cosine between the answers of relu#2" in words(result.nearest_figure([0, 5], 3)).replace("\n", " ")
    assert "green" in words(result.wrong_figure(3))
    with pytest.raises(IndexError, match="picture 11: there are 11"):
        result.nearest(11)


@pytest.fixture
def folder(tmp_path):
    """red/a.png, red/b.png, Blue_Sky/deep/c.png, loose.png and a text"""
    for place, image in zip(("red/a", "red/b", "Blue_Sky/deep/c", "loose"), photographs(4), strict=True):
        path = tmp_path / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "red" / "notes.txt").write_text("no picture")
    return tmp_path


def test_labels_are_the_folders_or_given(folder):
    model = network()
    (folder / ".hidden").mkdir()
    result = viz.answers(model, folder, labels="folders", progress=False)
    at = {name.removeprefix(f"{folder}/"): label for name, label in zip(result.names, result.labels, strict=True)}
    assert at == {"Blue_Sky/deep/c.png": 2, "loose.png": -1, "red/a.png": 0, "red/b.png": 0}
    assert result.skipped_count == 1 and result.skipped[0].name.endswith("notes.txt")
    assert result.confusion.counts.sum() == 3
    (folder / "Blue_Sky").rename(folder / "ruby")  # a synonym of the same class
    result = viz.answers(model, folder, labels="folders", progress=False)
    assert result.labels[result.find("c.png")] == 0
    given = viz.answers(model, folder, labels={"a.png": "grey", "ruby": 1, "loose.png": "sky"}, progress=False)
    assert [given.labels[given.find(name)] for name in ("a.png", "b.png", "c.png", "loose.png")] == [3, -1, 1, 2]
    files = [folder / "red" / "notes.txt", folder / "loose.png", folder / "red" / "a.png"]
    assert viz.answers(model, files, labels=[0, 1, 3], progress=False).labels.tolist() == [1, 3]
    assert viz.answers(model, files[1:2] * 2, labels=[2, 1], progress=False).labels.tolist() == [2, 1]
    with pytest.raises(KeyError, match="no pictures are called 'd.png'"):
        given.find("d.png")


def test_folders_without_names_are_in_the_order_of_image_folder(folder):
    model = network(2, names=False)
    result = viz.answers(model, folder, labels="folders", progress=False)
    assert [result.labels[result.find(name)] for name in ("a.png", "c.png", "loose.png")] == [1, 0, -1]
    assert result.categories == ("class 0", "class 1")
    with pytest.raises(
        ValueError, match=r"2 of 2 folders are no class, the first 'Blue_Sky'.*as many folders as classes, 3"
    ):
        viz.answers(network(3, names=False), folder, labels="folders", progress=False)


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"labels": "names"}, ValueError, "labels is 'folders', a mapping or a sequence, not 'names'"),
        ({"labels": "folders"}, ValueError, "needs a folder of folders"),
        ({"labels": [0, 1]}, ValueError, "2 labels are for a list of as many images"),
        ({"labels": {"a.png": 0}}, ValueError, "none of the 1 labels is of a picture that was read: the first is for 'a.png'"),
        ({"labels": [0, 1, 4]}, ValueError, "class 4: there are 4"),
        ({"labels": ["red", "green", "purple"]}, ValueError, "no class 'purple'"),
        ({"layer": "lst"}, KeyError, "no module|selects nothing|last"),
        ({"batch": 0}, ValueError, "batch and limit are at least 1, got 0 and None"),
        ({"limit": 0}, ValueError, "batch and limit are at least 1, got 32 and 0"),
        ({"change": lambda picture, rng: picture[:5]}, ValueError, r"a change returns a picture uint8 \(24, 24, 3\)"),
    ],
)  # fmt: skip
def test_answers_say_what_is_wrong(options, error, says):
    with pytest.raises(error, match=says):
        viz.answers(network(), photographs(3), **{"progress": False, **options})


def test_answers_need_logits_and_pictures(tmp_path, net):
    with pytest.raises(ValueError, match=r"the network returns \(3, 8, 6, 6\), not logits \(N, classes\)"):
        viz.answers(net, photographs(3), size=24, progress=False)
    model = network()
    with pytest.raises(ValueError, match="no picture among the images"):
        viz.answers(model, tmp_path, progress=False)
    with minicnn.no_grad():
        model.last.bias[0] = math.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        viz.answers(model, photographs(1), progress=False)
    with pytest.raises(ValueError, match="the class of no picture is known"):
        viz.answers(network(), photographs(1), progress=False).accuracy  # noqa: B018


def test_a_change_is_the_same_in_any_batch():
    model, images = network(), photographs(7)
    one, other = (
        viz.answers(model, images, change=viz.shuffled(4), seed=3, batch=batch, progress=False) for batch in (2, 7)
    )
    np.testing.assert_array_equal(one.pictures, other.pictures)
    assert not np.array_equal(one.pictures[0], images[0])
    np.testing.assert_allclose(
        one.logits, outputs(model, one.pictures), rtol=1e-5, atol=1e-6
    )  # what is kept is what was seen


def test_a_network_of_grey_images_gets_labels_too():
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    result = viz.cues(model, photographs(3), labels=[0, 1, 2], size=16, progress=False)
    assert result.variants["grey"].pictures[0].shape == (16, 16, 3)
    assert result.kept["grey"] == 1  # grey already


# --- confusion ----------------------------------------------------------------------------------------------------------


def test_confusion_by_hand():
    found = viz.confusion([0, 0, 0, 1, 2, 2, -1], [0, 1, 1, 1, 0, 2, 0], ["a", "b", "c", "d"])
    assert found.counts.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert found.accuracy == 3 / 6
    np.testing.assert_allclose(found.by_class, [1 / 3, 1, 1 / 2, np.nan])
    assert [tuple(m) for m in found.mistakes()] == [("a", "b", 2, 2 / 3), ("c", "a", 1, 0.5)]
    assert found.mistakes(0) == []
    two = viz.confusion([0, 1, 2, 2], [1, 1, 1, 2], ["crane", "crane", "b"])  # as two of ImageNet's classes are called
    assert [label.get_text() for label in two.figure().axes[0].get_yticklabels()] == ["crane", "crane", "b"]
    with pytest.raises(ValueError, match="no class 'd' among 3"):
        two.figure(["d"])
    with pytest.raises(ValueError, match="no class 3 among 3"):
        two.figure([3])
    assert "share of the row" in words(found.figure()) and "b" in words(found.figure(["a", 1]))


@pytest.mark.parametrize(
    "labels, answered, says",
    [
        ([0, 1], [0], r"equal length, got \(2,\) and \(1,\)"),
        ([0, 2], [0, 1], "2 categories, but labels up to 2 and answers up to 1"),
        ([0, 1], [0, -1], "2 categories"),
        ([-1], [0], "the class of no picture is known"),
    ],
)
def test_confusion_says_what_is_wrong(labels, answered, says):
    with pytest.raises(ValueError, match=says):
        viz.confusion(labels, answered, ["a", "b"])


# --- what is recorded, and what is bundled ------------------------------------------------------------------------------


def test_the_sample_labels_are_files_and_classes():
    labels, model = viz.sample_labels(), tinynet("standard")
    files = {path.name for path in viz.sample_folder().iterdir()}
    assert labels.keys() <= files and set(labels.values()) <= set(model.meta.categories)


def test_a_map_of_pictures_puts_each_at_its_point():
    pictures = photographs(3, 8)
    figure = viz.draw_picture_map([[0, 0], [2, 1], [1, 4]], pictures)
    images = [image for ax in figure.axes for image in ax.images]
    centres = [(np.mean(image.get_extent()[:2]), np.mean(image.get_extent()[2:])) for image in images]
    np.testing.assert_allclose(centres, [[0, 0], [1, 0.25], [0.5, 1]], atol=1e-9)
    with pytest.raises(ValueError, match=r"3 pictures need finite points \(3, 2\), got \(2, 2\)"):
        viz.draw_picture_map([[0, 0], [1, 1]], pictures)


@pytest.mark.parametrize("name", ["standard", "robust"])
def test_the_record_of_the_validation_images_agrees_with_the_networks_card(name):
    with np.load(weights_path("validation.npz")) as record:
        labels, answered = record["labels"], record[f"{name}: as it is"]
        assert all(f"{name}: {change}" in record for change in viz.CHANGES)
    model = tinynet(name)
    assert np.bincount(labels).tolist() == [50] * 200
    found = viz.confusion(labels, answered, model.meta.categories)
    assert math.isclose(found.accuracy, model.meta.accuracy, abs_tol=5e-4)  # two libraries, rounded to four digits
