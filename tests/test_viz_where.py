"""Where a unit looks: receptive fields against the support of gradients, top patches against a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn, viz
from minicnn.nn import functional as F

# --- receptive fields ---------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A residual block with a strided 1x1 skip, and functions where others have modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.skip = nn.Conv2d(4, 4, 1, stride=2)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return F.relu(self.norm(self.conv2(F.relu(self.conv1(x)))) + self.skip(x))


class Branches(nn.Module):
    """Like SqueezeNet's and GoogLeNet's: kernels of different sizes side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, (3, 5), padding=(1, 2), dilation=1)

    def forward(self, x):
        return minicnn.cat([self.a(x), self.b(x), F.avg_pool2d(x, 3, 1, 1)], 1)


class Together(nn.Module):
    """A module of one's own around a function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function
        self.last = nn.Conv2d(4, 4, 2)

    def forward(self, x):
        return self.last(self.function(x))


def conv(*args, **kwargs) -> nn.Conv2d:
    return nn.Conv2d(4, 4, *args, **kwargs)


NETWORKS = {
    "strides and padding": lambda: nn.Sequential(conv(5, stride=2, padding=1), nn.ReLU(), conv(3, stride=3, padding=2)),
    "dilation": lambda: nn.Sequential(conv(3, dilation=3, padding=2), conv((2, 3), dilation=(1, 2))),
    "one way is wider": lambda: nn.Sequential(conv((1, 7), padding=(0, 3)), conv((5, 1), stride=(3, 1))),
    "max pooling": lambda: nn.Sequential(conv(3), nn.MaxPool2d(3, 2, 1), conv(3, padding="same"), nn.MaxPool2d(2)),
    "average pooling": lambda: nn.Sequential(nn.AvgPool2d(3, 2, 1), conv(4, padding=1), nn.AvgPool2d(2)),
    "residual blocks": lambda: nn.Sequential(Block(), Block()),
    "branches": lambda: nn.Sequential(Branches(), nn.Conv2d(8, 4, 3, stride=2)),
    "groups": lambda: nn.Sequential(conv(3, groups=2), conv(3, groups=4)),
    "functions": lambda: Together(lambda x: F.max_pool2d(F.pad(x, (2, 0, 3, 1)), 3, stride=2).relu() * 2 + 1),
    "slices": lambda: Together(lambda x: x[:, :, 3:, 1::2] - x[:, [3, 2, 1, 0], :-3, ::2]),
    "mirrored": lambda: nn.Sequential(conv(3, stride=2), Together(lambda x: x.flip(3))),
    "mirrored padding": lambda: conv(3, padding=1, padding_mode="reflect"),
    "upsampling": lambda: nn.Sequential(conv(3, stride=2), nn.Upsample(scale_factor=2), conv(2)),
    "smooth upsampling": lambda: nn.Sequential(conv(3, stride=2), nn.Upsample(scale_factor=2, mode="bilinear")),
    "transposed": lambda: nn.Sequential(conv(3, stride=2), nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1)),
    "adaptive pooling": lambda: nn.Sequential(conv(3, padding=1), nn.AdaptiveAvgPool2d((8, 6))),
}
EXACT = set(NETWORKS) - {"upsampling", "smooth upsampling", "transposed", "adaptive pooling"}


def supports(model: nn.Module, shape: tuple, places: list) -> list[np.ndarray]:
    """bool (H, W) for each place: the pixels to which a gradient at it comes back, for some of many images.

    The images are independent, and so many that each pixel wins a maximum and passes a ReLU in one of them.
    """
    images = minicnn.randn(150, *shape[1:], requires_grad=True)
    output = model(images)
    grads = [minicnn.autograd.grad(output[:, :, y, x].sum(), images, retain_graph=True)[0] for y, x in places]
    return [np.abs(grad.numpy()).sum((0, 1)) > 0 for grad in grads]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_field_is_the_support_of_a_gradient(name):
    minicnn.manual_seed(1)
    model, shape = NETWORKS[name]().eval(), (1, 4, 24, 24)
    field = viz.receptive_fields(model, "", shape)[""]
    height, width = model(minicnn.zeros(shape)).shape[2:]
    places = [(0, 0), (height // 2, width // 2), (height // 2, 0), (height - 1, width - 1)]
    for (y, x), reached in zip(places, supports(model, shape, places), strict=True):
        seen = np.zeros(shape[2:], bool)
        top, left, bottom, right = field.box(y, x, shape[2:])
        seen[top:bottom, left:right] = True
        assert not (reached & ~seen).any(), "a gradient came from outside of the field"
        rows, columns = (np.flatnonzero(reached.any(axis)) for axis in (1, 0))
        box = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        if name == "dilation" and field.box(y, x) != field.box(y, x, shape[2:]):
            continue  # a field with holes: one that the border cuts may begin with a hole
        if name in EXACT:
            assert box == (top, left, bottom, right)
        else:  # the closed form holds for all units at once, so it may be a little too large for one
            slack = field.y.stride * 2 + 1
            assert np.abs(np.subtract(box, (top, left, bottom, right))).max() <= slack


class Twice(minicnn.autograd.Function):
    """A user's operation, place by place."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class Shifted(minicnn.autograd.Function):
    """A user's operation that moves places."""

    @staticmethod
    def forward(ctx, x):
        return x.roll(1, 3)

    @staticmethod
    def backward(ctx, grad):
        return grad.roll(-1, 3)


def test_a_users_function_is_followed_or_refused():
    followed = viz.receptive_fields(nn.Sequential(conv(3), Together(Twice.apply)), "", (1, 4, 9, 9))[""]
    assert followed.box(0, 0) == (0, 0, 4, 4)
    with pytest.raises(ValueError, match="cannot follow ShiftedBackward"):
        viz.receptive_fields(Together(Shifted.apply), "", (1, 4, 9, 9))


def test_what_sees_everything_says_so():
    class Excited(nn.Module):
        def forward(self, x):
            return x * x.mean((2, 3), keepdim=True).sigmoid()

    fields = viz.receptive_fields(nn.Sequential(conv(3), Excited(), nn.Flatten()), None, (1, 4, 9, 9))
    assert not fields["0"].everything and fields["1"].everything and fields["2"].everything
    assert fields["1"].box(3, 3, (9, 9)) == (0, 0, 9, 9)
    with pytest.raises(ValueError, match="whole image"):
        fields["1"].box(3, 3)


def test_branches_of_different_strides_are_refused():
    net = Together(lambda x: F.interpolate(x, size=(8, 8)) + F.max_pool2d(x, 2))
    assert viz.receptive_fields(net, "", (1, 4, 16, 16))[""].y.stride == 2
    net = Together(lambda x: x[:, :, :8, :8] + F.max_pool2d(x, 2))
    with pytest.raises(ValueError, match="strides"):
        viz.receptive_fields(net, "", (1, 4, 16, 16))


def test_fields_of_the_bundled_architecture():
    fields = viz.receptive_fields(minicnn.models.tinynet())
    table = {name: (f.y.size, f.y.stride, f.y.start) for name, f in fields.items() if not f.everything}
    assert table == {
        "features.0": (7, 2, -3), "features.1": (7, 2, -3), "features.2": (11, 4, -5), "features.3": (27, 4, -13),
        "features.4": (27, 4, -13), "features.5": (35, 8, -17), "features.6": (51, 8, -25), "features.7": (51, 8, -25),
        "features.8": (67, 8, -33), "features.9": (67, 8, -33), "features.10": (83, 8, -41), "features.11": (83, 8, -41),
    }  # fmt: skip
    assert str(fields["features.0"]) == "7 pixels, every 2, the first from -3"
    assert fields["avgpool"].everything and fields["classifier"].everything


def test_receptive_fields_on_a_photograph():
    figure = viz.draw_receptive_fields(
        minicnn.models.tinynet(), viz.sample_photo(), ["features.3", "features.8"], size=64
    )
    words = " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "features.3: 27 × 27" in words and "features.8: 67 × 67" in words


# --- top patches --------------------------------------------------------------------------------------------------------


@pytest.fixture
def net() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 5, stride=2, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), nn.Conv2d(5, 6, 3, padding=1),
        nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 36, 4),
    )  # fmt: skip


def photographs(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(count)]


def test_top_patches_are_those_that_a_search_by_hand_finds(net):
    images, layers = photographs(23), ["0", "3", "6"]
    result = viz.top_patches(net, layers, images, k=4, size=24, batch=5, progress=False)
    x = minicnn.cat([viz.preprocess(image, size=24) for image in images])
    with minicnn.no_grad(), viz.capture(net, layers) as maps:  # copies: the ReLUs write in place
        net(x)
    for layer in layers:
        answers = maps[layer].numpy()
        answers = answers.reshape(*answers.shape[:2], -1)
        for channel, unit in result.layers[layer].items():
            every = answers[:, channel]
            order = np.argsort(-every.max(1), kind="stable")[:4]
            assert [patch.number for patch in unit.patches] == order.tolist()
            np.testing.assert_allclose([patch.value for patch in unit.patches], every.max(1)[order], rtol=1e-5)
            for patch in unit.patches:
                if patch.position is not None:
                    y, across = patch.position
                    assert y * maps[layer].shape[3] + across == every[patch.number].argmax()
                    assert patch.box == result.fields[layer].box(y, across)
                top, left, bottom, right = (max(edge, 0) for edge in patch.box)
                np.testing.assert_array_equal(patch.pixels, images[patch.number][top:bottom, left:right])
            h = unit.histogram
            assert h.counts.sum() == h.count == every.size
            np.testing.assert_allclose(
                [h.mean, h.minimum, h.maximum], [every.mean(), every.min(), every.max()], rtol=1e-4
            )
            width = h.edges[1] - h.edges[0]
            for q in (0, 0.1, 0.5, 0.97, 1):
                assert abs(h.quantile(q) - np.quantile(every, q, method="inverted_cdf")) <= width * 1.01
    assert result["3:2"].patches[0].tile().shape == (17, 17, 3)
    assert not any(module._forward_hooks for module in net.modules())


def test_chosen_units_and_logits_by_name(net):
    result = viz.top_patches(net, ["0", "3"], photographs(3), units={"3": [4, 1]}, size=24, progress=False)
    assert [unit.label for unit in result.units] == ["0:0", "0:1", "0:2", "0:3", "0:4", "3:1", "3:4"]
    result = viz.top_patches(net, ["3:4", "logit:2", "3:0"], photographs(3), size=24, progress=False)
    assert [unit.label for unit in result.units] == ["3:0", "3:4", "output:2"]
    assert len(result["3:4"].patches) == 3
    with pytest.raises(IndexError, match="6 channels"):
        viz.top_patches(net, "3", photographs(1), units=[6], size=24)
    with pytest.raises(KeyError, match="features"):
        viz.top_patches(minicnn.models.tinynet(), "feature.0", photographs(1))


def test_a_folder_with_damaged_huge_and_other_files(net, tmp_path):
    from PIL import Image

    good = photographs(3)
    (tmp_path / "deeper").mkdir()
    for place, image in zip(["b.png", "deeper/c.png", "a.png"], good, strict=True):
        Image.fromarray(image).save(tmp_path / place)
    Image.fromarray(np.zeros((200, 300, 3), np.uint8)).save(tmp_path / "huge.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    result = viz.top_patches(net, "3", tmp_path, k=2, size=24, max_pixels=50_000, progress=False)
    assert result.images == 3
    reasons = {skipped.name.rsplit("/")[-1]: skipped.reason for skipped in result.skipped}
    assert reasons.keys() == {"huge.png", "cut.png", "notes.txt", "empty.jpg"}
    assert "300 x 200 pixels are more than max_pixels = 50000" in reasons["huge.png"]
    assert reasons["cut.png"].startswith("damaged: OSError")
    assert reasons["notes.txt"] == "not an image that Pillow can read"
    best = result["3:0"].patches[0]
    assert best.image.endswith(".png") and best.number in (0, 1, 6)  # of the seven files
    with pytest.raises(ValueError, match=r"no picture.*notes.txt"):
        viz.top_patches(net, "3", [tmp_path / "notes.txt"], progress=False)
    with pytest.raises(FileNotFoundError):
        viz.top_patches(net, "3", tmp_path / "nowhere", progress=False)


def test_answers_that_are_no_numbers_are_skipped_and_dead_units_have_no_patches(net):
    with minicnn.no_grad():
        net[3].bias[2] = -1e6
    images = photographs(3)
    poison = minicnn.tensor([0.0, float("nan"), 0.0]).reshape(3, 1, 1, 1)
    net[4].register_forward_hook(lambda module, args, out: out + poison if len(out) == 3 else None)
    result = viz.top_patches(net, "4", images, size=24, batch=3, progress=False)
    assert [(s.name, s.reason) for s in result.skipped] == [("image 1", "4 answered NaN or infinity")]
    assert result["4:2"].patches == [] and result["4:2"].histogram.active == 0
    assert {p.number for p in result["4:0"].patches} <= {0, 2}
    assert result.figure(["4:2", "4:0"]) is not None


def test_a_unit_that_saw_nothing_but_padding():
    """Kernel 2 in a padding of 3: cells at the border see none of the picture; the bias of a black picture's cells wins."""
    net = nn.Sequential(nn.Conv2d(3, 1, 2, padding=3))
    with minicnn.no_grad():
        net[0].weight[:], net[0].bias[:] = -1, 1
    white = np.full((8, 8, 3), 255, np.uint8)
    patch = viz.top_patches(net, "0", [white], size=8, progress=False)["0:0"].patches[0]
    assert (patch.value, patch.position, patch.box) == (1, (0, 0), (-3, -3, -1, -1))
    assert patch.pixels.size == 0
    assert patch.tile().shape == (2, 2, 3) and (patch.tile() == 128).all()


def test_an_endless_stream_with_a_limit_and_what_is_kept_of_it(net):
    def endless():
        rng = np.random.default_rng(1)
        while True:
            yield rng.integers(0, 256, (300, 200, 3), dtype=np.uint8)

    result = viz.top_patches(net, "3", endless(), k=2, size=(200, 300), limit=6, crop_size=16, progress=False)
    assert result.images == 6
    pixels = [patch.pixels for unit in result.units for patch in unit.patches]
    assert len(pixels) == 12 and max(max(p.shape) for p in pixels) <= 16


def test_a_histogram_that_must_widen():
    rng = np.random.default_rng(0)
    values = [rng.standard_normal((2, 50)) * scale for scale in (1e-4, 0.0, 3.0, 1e3, 1.0)]
    from minicnn.viz.running_histogram import Histograms

    growing = Histograms(2, 64)
    for part in values:
        growing.update([part.astype(np.float32)])
    for unit in range(2):
        every = np.concatenate([part[unit] for part in values]).astype(np.float32)
        histogram = growing.of(unit)
        np.testing.assert_array_equal(histogram.counts, np.histogram(every, histogram.edges)[0])
        assert histogram.edges[-1] < 2 * np.abs(every).max()
