"""`minicnn.onnx.load`: what a file becomes, and what one can do with it."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_made import classifier, loaded, model_of, node, saved, weights  # noqa: E402

import minicnn  # noqa: E402
from minicnn import models, nn, viz  # noqa: E402
from minicnn.cli import main  # noqa: E402
from minicnn.onnx._network import Network, Operator, Scope  # noqa: E402
from minicnn.onnx._windows import PaddedConv2d  # noqa: E402
from minicnn.serialization import WeightsError  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def file(tmp_path):
    return saved(tmp_path, *classifier())


def image(*shape, seed=1):
    return minicnn.tensor(weights(*shape, seed=seed))


def reference(model, x):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x})


# --- what it becomes --------------------------------------------------------------------------------------------------------


def test_nodes_are_layers_by_the_exporters_names(file):
    model = minicnn.onnx.load(file)
    kinds = {name: type(m) for name, m in model.named_modules() if next(m.children(), None) is None}
    assert list(kinds) == [
        "features.0", "features.1", "features.2", "features.3", "features.4.conv", "features.4.relu", "pool", "flatten", "fc"
    ]  # fmt: skip
    wanted = [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.ReLU,
        nn.MaxPool2d,
        nn.Conv2d,
        nn.ReLU,
        nn.AdaptiveAvgPool2d,
        nn.Flatten,
        nn.Linear,
    ]
    assert all(map(issubclass, kinds.values(), wanted))
    assert not model.training
    names = ["features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias", "features.4.conv.weight"]
    assert [name for name, _ in model.named_parameters()] == [*names, "fc.weight", "fc.bias"]
    assert {name.rpartition(".")[2] for name, _ in model.named_buffers()} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_it_answers_as_the_standards_reference(file):
    model = minicnn.onnx.load(file)
    x = weights(2, 3, 16, 16)
    answer = model(minicnn.tensor(x))
    np.testing.assert_allclose(answer.detach().numpy(), reference(onnx.load(file), x)[0], rtol=1e-5, atol=1e-5)
    assert answer.grad_fn is not None
    np.testing.assert_array_equal(copy.deepcopy(model)(x=minicnn.tensor(x)).detach().numpy(), answer.detach().numpy())
    with pytest.raises(ValueError, match=r"the network takes x \(1, 3, 16, 16\); it was given 2 by place"):
        model(minicnn.tensor(x), minicnn.tensor(x))


def test_everything_of_viz_works_on_it(file):
    model = minicnn.onnx.load(file)
    assert viz.filter_report(model).layer == "features.0"
    x = image(1, 3, 16, 16)
    with viz.capture(model, ["features.*", "fc"]) as maps, minicnn.no_grad():
        model(x)
    assert maps["features.3"].shape == (1, 6, 8, 8) and maps["fc"].shape == (1, 5)
    result = viz.maximize(model, ["features.4.conv:2", "logit:1"], steps=20, size=16)
    assert result.rose.all()
    assert str(viz.receptive_fields(model)["features.4.conv"]).startswith("8 pixels, every 4")
    assert viz.grad_cam(model, x).shape[-2:] == (16, 16)
    seen = []
    with model.features.get_submodule("4.conv").register_forward_hook(
        lambda m, args, output: seen.append(output.shape)
    ):
        model(x)
    assert seen == [(1, 8, 3, 3)]


def test_tied_weights_stay_tied_and_constants_are_no_parameters(tmp_path):
    nodes = [
        node("Conv", "x w", "a", "first"), node("Conv", "a w", "b", "second"), node("Mul", "b factor", "c", "scale"),
        node("Add", "c shift", "y", "plus"),
    ]  # fmt: skip
    model = loaded(tmp_path, nodes, {"w": weights(3, 3, 1, 1), "factor": np.float32(2), "shift": weights(3, 1, 1)})
    assert model.first.weight is model.second.weight
    assert [name for name, _ in model.named_parameters()] == ["first.weight", "plus.b"]
    assert [name for name, _ in model.named_buffers()] == ["scale.b"]
    assert repr(model.plus) == "Add()" and isinstance(model.plus, Operator)


def scoped(op, inputs, output, scopes):
    made = node(op, inputs, output, f"node_{output}")
    entry = made.metadata_props.add()
    entry.key, entry.value = "pkg.torch.onnx.name_scopes", str(scopes)
    return made


NAMES = {
    "torch's newer exporter": (
        [
            scoped("Conv", "x conv1.weight", "a", ["", "bn1", "_native_batch_norm"]),  # a batch norm was folded into it
            scoped("Relu", "a", "b", ["", "layer1", "layer1.0", "layer1.0.relu", "relu"]),
            scoped("Relu", "b", "c", ["", "layer1", "layer1.0", "layer1.0.relu", "relu_1"]),
            scoped("Add", "c a", "d", ["", "layer1", "layer1.0", "add_3"]),
            scoped("Sigmoid", "d", "y", ["", "sigmoid"]),
        ],
        ["conv1", "layer1.0.relu", "layer1.0.relu_1", "layer1.0.add", "sigmoid"],
    ),
    "torch's older exporter": (
        [
            node("Conv", "x onnx::Conv_3", "a", "/layer1/layer1.0/conv1/Conv"),
            node("Relu", "a", "b", "/layer1/layer1.0/relu/Relu"),
            node("Relu", "b", "c", "/layer1/layer1.0/relu_1/Relu"),
            node("Add", "c a", "y", "/layer1/layer1.0/Add"),
        ],
        ["layer1.0.conv1", "layer1.0.relu", "layer1.0.relu_1", "layer1.0.add"],
    ),
    "the oldest, with numbers": (
        [node("Conv", "x features.0.weight", "a", "Conv_0"), node("Relu", "a", "b", "Relu_1"), node("Relu", "b", "y")],
        ["features.0", "Relu_1", "relu"],
    ),
    "Paddle": (
        [node("Conv", "x conv2d_7.w_0", "a", "p2o.Conv.0"), node("Relu", "a", "b", "Relu.0"), node("Relu", "b", "y", "Relu.1")],
        ["conv2d_7", "Relu_0", "Relu_1"],
    ),
    "TensorFlow": (
        [
            node("Conv", "x w", "net/bn_1/FusedBatchNormV3:0", "Conv__440"),
            node("Relu", "net/bn_1/FusedBatchNormV3:0", "b", "net/act/Relu"),
            node("Relu", "b", "y", "net/block/act/Relu"),
        ],
        ["bn_1", "act", "block.act"],
    ),
    "signs, twice, and what a module has already": (
        [
            node("Relu", "x", "a", "a:0#1"), node("Relu", "a", "b", "a:0#1"), node("Relu", "b", "c", "forward"),
            node("Relu", "c", "d", "inputs"), node("Relu", "d", "e", "_modules"), node("Relu", "e", "f", "b"),
            node("Sigmoid", "f", "y", "b.c"),
        ],
        ["a_0_1", "a_0_1_1", "forward_", "inputs_", "n_modules", "b.relu", "b.c"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("exporter", NAMES)
def test_names(tmp_path, exporter):
    nodes, names = NAMES[exporter]
    constants = {name: weights(3, 3, 1, 1) for n in nodes for name in n.input[1:] if n.op_type == "Conv"}
    model = loaded(tmp_path, nodes, constants)
    with viz.capture(model, "**") as called, minicnn.no_grad():
        model(image(1, 3, 4, 4))
    assert [name for name in called if not isinstance(model.get_submodule(name), Scope | Network)] == names


# --- layouts, batches, constants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prepared", [False, True])
def test_an_image_of_channels_last_is_given_as_all_others(tmp_path, prepared):
    nodes = [node("Sub", "x mean", "s")] if prepared else []
    nodes += [node("Transpose", "s" if prepared else "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y", "conv")]
    path = saved(tmp_path, nodes, {"w": weights(4, 3, 3, 3), "mean": weights(3)}, shape=(None, 20, 16, 3))
    model = minicnn.onnx.load(path)
    assert model.inputs == {"x": (None, 3, 20, 16)} and model.meta.input_size == (3, 20, 16)
    x = weights(2, 3, 20, 16)
    expected = reference(onnx.load(path), x.transpose(0, 2, 3, 1))[0]
    np.testing.assert_allclose(model(minicnn.tensor(x)).detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    assert viz.maximize(model, "conv:1", steps=3, size=16).images.shape[-3:] == (16, 16, 3)


def test_a_transpose_that_is_the_answer_stays(tmp_path):
    model = loaded(tmp_path, [node("Transpose", "x", "y", perm=[0, 3, 1, 2])], shape=(1, 2, 3, 4))
    assert model(image(1, 2, 3, 4)).shape == (1, 4, 2, 3)


@pytest.mark.parametrize("shape", [[1, -1], [1, 12], [-1, 12], [0, -1]])
def test_a_batch_size_that_the_file_fixes_is_not_kept_to(tmp_path, shape):
    nodes = [node("Relu", "x", "a"), node("Reshape", "a shape", "b"), node("MatMul", "b w", "y")]
    model = loaded(tmp_path, nodes, {"shape": np.array(shape), "w": weights(12, 2)}, shape=(1, 3, 2, 2))
    x = image(3, 3, 2, 2)
    alone = minicnn.cat([model(row.unsqueeze(0)) for row in x])
    np.testing.assert_allclose(model(x).detach().numpy(), alone.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_shape_that_is_computed(tmp_path):
    """x.view(x.size(0), -1), as exporters write it."""
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Unsqueeze", "n axes", "u"),
        node("Concat", "u rest", "shape", axis=0), node("Reshape", "x shape", "y"),
    ]  # fmt: skip
    constants = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    assert loaded(tmp_path, nodes, constants)(image(5, 3, 2, 2)).shape == (5, 12)


def test_what_depends_on_constants_alone_is_computed_while_it_is_read(tmp_path):
    nodes = [
        node("Constant", "", "w", value=numpy_helper.from_array(weights(2, 2, 1, 1))),
        node("Mul", "w factor", "v"),
        node("Transpose", "v", "t", perm=[1, 0, 2, 3]),
        node("Conv", "x t", "y", "conv"),
    ]
    model = loaded(tmp_path, nodes, {"factor": np.float32(3)}, shape=(1, 2, 4, 4))
    assert [name for name, _ in model.named_modules()] == ["", "conv"]
    np.testing.assert_allclose(model.conv.weight.detach().numpy(), 3 * weights(2, 2, 1, 1).transpose(1, 0, 2, 3))


@pytest.mark.parametrize("kind", ["INT8", "UINT8", "INT4", "FLOAT8E4M3FN", "BFLOAT16"])
def test_quantised_weights_are_the_numbers_that_they_stand_for(tmp_path, kind):
    numbers = np.arange(-8, 8).reshape(2, 2, 2, 2) + (8 if kind == "UINT8" else 0)
    stored = helper.make_tensor("q", getattr(TensorProto, kind), numbers.shape, numbers.ravel())
    scale = np.array([0.5, 2], np.float32)
    nodes = [
        node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xd"),
        node("Cast", "q", "w", to=TensorProto.FLOAT) if kind == "BFLOAT16" else node("DequantizeLinear", "q scale", "w", axis=0),
        node("Conv", "xd w", "y", "conv"),
    ]  # fmt: skip
    constants = {"q": stored, "scale": scale, "s": np.float32(0.1), "z": np.uint8(128)}
    model = loaded(tmp_path, nodes, constants, shape=(1, 2, 4, 4), opset=21)
    assert type(model.conv) is nn.Conv2d
    expected = numbers * (1 if kind == "BFLOAT16" else scale[:, None, None, None])
    np.testing.assert_array_equal(model.conv.weight.detach().numpy(), expected)
    x = minicnn.full((1, 2, 4, 4), 0.26).requires_grad_()  # between two of the steps
    model(x).sum().backward()
    assert np.abs(x.grad.numpy()).max() > 0  # gradients pass the steps of the quantised image


# --- layers ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool", "LpPool"])
def test_auto_pad_is_the_padding_that_makes_the_size(tmp_path, op, auto, size):
    settings = {"strides": [2, 2], "kernel_shape": [3, 2]}
    constants = {"w": weights(2, 2, 3, 2), "b": weights(2)} if op == "Conv" else {}
    inputs = "x w b" if constants else "x"
    totals = [max((-(-n // 2) - 1) * 2 + k - n, 0) if auto != "VALID" else 0 for n, k in zip(size, (3, 2), strict=True)]
    less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
    pads = less + more if auto == "SAME_UPPER" else more + less
    x = image(1, 2, *size)
    results = [
        loaded(tmp_path, [node(op, inputs, "y", **settings, **how)], constants, shape=(1, 2, None, None))(x)
        .detach()
        .numpy()
        for how in ({"auto_pad": auto}, {"pads": pads})
    ]
    assert results[0].shape[2:] == tuple(-(-n // 2) for n in size) or auto == "VALID"
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_auto_pad_of_a_transposed_convolution(tmp_path, auto):
    nodes = [node("ConvTranspose", "x w b", "y", auto_pad=auto, strides=[2, 3])]
    path = saved(tmp_path, nodes, {"w": weights(2, 2, 3, 4), "b": weights(2)}, shape=(1, 2, 5, 6))
    x = weights(1, 2, 5, 6)
    result = minicnn.onnx.load(path)(minicnn.tensor(x)).detach().numpy()
    np.testing.assert_allclose(result, reference(onnx.load(path), x)[0], rtol=1e-5, atol=1e-5)


def test_padding_that_differs_from_side_to_side(tmp_path):
    nodes = [node("Conv", "x w", "y", "conv", pads=[0, 1, 2, 3], strides=[2, 2])]
    path = saved(tmp_path, nodes, {"w": weights(4, 3, 3, 3)})
    model = minicnn.onnx.load(path)
    x = weights(1, 3, 16, 16)
    np.testing.assert_allclose(
        model(minicnn.tensor(x)).detach().numpy(), reference(onnx.load(path), x)[0], rtol=1e-4, atol=1e-5
    )
    assert isinstance(model.conv, PaddedConv2d) and "pads=[(0, 2), (1, 3)]" in repr(model)
    assert viz.explain_pixel(model.conv, minicnn.tensor(x), n=0, c=1, y=0, x=0).value == pytest.approx(
        float(model(minicnn.tensor(x))[0, 1, 0, 0].item()), rel=1e-5
    )
    assert viz.receptive_fields(model)["conv"].x.start == -1


def test_a_linear_layer_of_any_matrix_product(tmp_path):
    nodes = [
        node("Gemm", "x w b", "a", "first", alpha=2.0, beta=0.5), node("MatMul", "a v", "c", "second"),
        node("Gemm", "c u", "y", "third", transB=1),
    ]  # fmt: skip
    constants = {"w": weights(4, 5), "b": weights(1, 5), "v": weights(5, 6), "u": weights(3, 6)}
    path = saved(tmp_path, nodes, constants, shape=(2, 4))
    model = minicnn.onnx.load(path)
    assert [type(m) for m in model.children()] == [nn.Linear] * 3
    x = weights(2, 4)
    np.testing.assert_allclose(
        model(minicnn.tensor(x)).detach().numpy(), reference(onnx.load(path), x)[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("how", "near", "mode", "factor", "layer"),
    [
        ("asymmetric", "floor", "nearest", 2, nn.Upsample),
        ("half_pixel", "round_prefer_floor", "nearest", 3, nn.Upsample),
        ("half_pixel", "floor", "linear", 1.5, nn.Upsample),
        ("align_corners", "floor", "linear", 2, nn.Upsample),
        ("asymmetric", "ceil", "nearest", 2, Operator),
        ("asymmetric", "floor", "linear", 2, Operator),
        ("half_pixel", "floor", "cubic", 2, Operator),
    ],
)
def test_resizing_is_a_layer_where_it_is_pytorchs(tmp_path, how, near, mode, factor, layer):
    settings = {"coordinate_transformation_mode": how, "nearest_mode": near, "mode": mode}
    nodes = [node("Resize", "x - scales", "y", "up", **settings)]
    path = saved(tmp_path, nodes, {"scales": np.array([1, 1, factor, factor], np.float32)}, shape=(1, 2, 5, 6))
    model = minicnn.onnx.load(path)
    assert type(model.up) is layer
    x = weights(1, 2, 5, 6)
    np.testing.assert_allclose(
        model(minicnn.tensor(x)).detach().numpy(), reference(onnx.load(path), x)[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.6, [[1, 3]]), (1.5, [[1, 1, 2, 3, 3, 4], [1, 1, 2, 3, 3, 4], [5, 5, 6, 7, 7, 8]])]
)
def test_the_nearest_pixel_before_opset_11_is_that_of_the_runtimes(tmp_path, factor, expected):
    """What ONNX Runtime 1.32 answers; the standard's own evaluator does not read Resize of opset 10."""
    scales = {"scales": np.array([1, 1, factor, factor], np.float32)}
    path = saved(tmp_path, [node("Resize", "x scales", "y")], scales, shape=(1, 1, 2, 4), opset=10)
    x = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)
    assert minicnn.onnx.load(path)(minicnn.tensor(x)).tolist() == [[expected]]


@pytest.mark.parametrize("opset", [7, 11, 22])
@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (1.0, -1.0)])
def test_clip_takes_bounds_that_leave_one_number(tmp_path, opset, low, high):
    x, bounds = weights(2, 3), {"low": np.float32(low), "high": np.float32(high)}
    if opset < 11:
        path = saved(tmp_path, [node("Clip", "x", "y", min=low, max=high)], {}, shape=(2, 3), opset=opset)
    else:
        path = saved(tmp_path, [node("Clip", "x low high", "y")], bounds, shape=(2, 3), opset=opset)
    np.testing.assert_array_equal(minicnn.onnx.load(path)(minicnn.tensor(x)).numpy(), np.full((2, 3), high, np.float32))


GRADIENTS = {
    "asymmetric": [node("Pad", "x pads", "y", mode="reflect")],
    "edge": [node("Pad", "x pads", "y", mode="edge")],
    "wrap": [node("Pad", "x pads", "y", mode="wrap")],
    "cubic": [node("Resize", "x - scales", "y", mode="cubic")],
    "lrn": [node("LRN", "x", "y", size=4)],
    "layer": [node("LayerNormalization", "x scale", "y", axis=-1)],
    "group": [node("InstanceNormalization", "x two two", "y")],
    "lp": [node("LpPool", "x", "y", kernel_shape=[2, 2], p=3)],
    "volume": [node("Unsqueeze", "x axes", "a"), node("Conv", "a w", "y", pads=[0, 1, 1, 0, 1, 1])],
    "transposed": [node("ConvTranspose", "x v", "y", strides=[2, 2], pads=[0, 1, 1, 0], output_padding=[1, 0])],
    "places": [node("MaxPool", "x", "y i", kernel_shape=[2, 2], pads=[0, 1, 0, 0])],
    "mean": [node("AveragePool", "x", "y", kernel_shape=[2, 2], pads=[0, 1, 0, 0], count_include_pad=1)],
    "reversed": [node("Slice", "x starts ends axes steps", "y")],
    "block": [node("SpaceToDepth", "x", "a", blocksize=2), node("DepthToSpace", "a", "y", blocksize=2, mode="CRD")],
    "scatter": [node("ScatterND", "x places updates", "y")],
    "picked": [node("GatherND", "x places", "y")],
    "top": [node("TopK", "x k", "y i", axis=-1)],
    "shrunk": [node("Shrink", "x", "y", bias=0.1)],
    "celu": [node("Celu", "x", "y", alpha=0.7)],
    "norms": [node("ReduceL2", "x", "y", axes=[2, 3])],
}
CONSTANTS = {
    "pads": np.array([0, 0, 2, 1, 0, 0, 1, 2]), "scales": np.array([1, 1, 1.5, 2], np.float32), "scale": weights(4),
    "two": weights(2), "axes": np.array([1]), "w": weights(2, 1, 2, 3, 3), "v": weights(2, 3, 3, 3), "starts": np.array([3, -1]),
    "ends": np.array([0, -4]), "steps": np.array([-1, -2]), "places": np.array([[0, 1], [0, 0]]), "updates": weights(2, 4, 4),
    "k": np.array([2]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_what_is_no_layer(tmp_path, name):
    constants = CONSTANTS | ({"axes": np.array([2, 3])} if name == "reversed" else {})
    used = {key: value for key, value in constants.items() if any(key in n.input for n in GRADIENTS[name])}
    model = loaded(tmp_path, GRADIENTS[name], used, shape=(1, 2, 4, 4)).double()
    x = minicnn.tensor(weights(1, 2, 4, 4).astype(np.float64)).requires_grad_()
    for p in model.parameters():
        p.requires_grad = False
    assert minicnn.autograd.gradcheck(model, (x,))


# --- files beside, metadata, the command ----------------------------------------------------------------------------------------------


def test_numbers_in_a_file_beside_it(tmp_path):
    model = model_of(*classifier())
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    assert (tmp_path / "net.onnx.data").stat().st_size > 1000
    x = weights(1, 3, 16, 16)
    result = minicnn.onnx.load(tmp_path / "net.onnx")(minicnn.tensor(x))
    np.testing.assert_allclose(result.detach().numpy(), reference(model_of(*classifier()), x)[0], rtol=1e-5, atol=1e-5)


def test_how_images_enter(tmp_path):
    meta = loaded(tmp_path, [node("Relu", "x", "y")], shape=(None, 1, 28, 30)).meta
    assert meta.input_size == (1, 28, 30) and meta.mean == (0.5,) and "assumed" in meta.note
    model = model_of([node("Relu", "x", "y")])
    helper.set_model_props(model, {"mean": "[0.1, 0.2, 0.3]", "std": "not JSON"})
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert (
        minicnn.onnx.load(tmp_path / "a.onnx").meta.mean == models.squeezenet1_1().meta.mean
    )  # one of the entries is no list
    helper.set_model_props(model, {"mean": "[0.1, 0.2, 0.3]", "categories": '["cat", "dog"]'})
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    meta = minicnn.onnx.load(tmp_path / "a.onnx").meta
    assert meta.mean == (0.1, 0.2, 0.3) and meta.categories == ("cat", "dog")


def test_several_outputs_by_the_part_that_is_chosen(tmp_path):
    nodes = [node("Relu", "x", "a", "relu"), node("Sigmoid", "a", "b", "sigmoid")]
    model = loaded(tmp_path, nodes, outputs="b a x")
    out = model(image(1, 3, 4, 4))
    assert model.outputs == ["b", "a", "x"] and len(out) == 3
    viz.choose_output(model, 1)
    assert model(image(1, 3, 4, 4)).min() == 0


def test_the_command_takes_it(file, tmp_path, capsys):
    target = tmp_path / "x.png"
    command = ["maximize", "features.4.conv:1", "--model", str(file), "--steps", "8", "-o", str(target), "--quiet"]
    assert main(command) == 0
    assert target.stat().st_size > 1000 and "features.4.conv:1" in capsys.readouterr().out
    minicnn.save(models.from_spec(str(file)).state_dict(), tmp_path / "w.pth")
    assert (
        main(["filters", "--model", str(file), "--weights", str(tmp_path / "w.pth"), "-o", str(target), "--quiet"]) == 0
    )
    assert (
        models.provenance(str(file)) == "net.onnx"
        and models.provenance(str(file), "w.pth") == "net.onnx, weights of w.pth"
    )
    assert main(["filters", "--model", str(tmp_path / "none.onnx")]) == 1
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(WeightsError, match=r"minicnn\.onnx\.load"):
        minicnn.load(file)


@pytest.mark.slow
def test_without_the_package_a_word_says_so(file):
    code = f"import sys; sys.modules['onnx'] = None; import minicnn; minicnn.onnx.load({str(file)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (
        done.returncode
        and 'ImportError: reading .onnx needs the package onnx: pip install "minicnn[onnx]"' in done.stderr
    )


@pytest.mark.slow
def test_importing_minicnn_does_not_import_the_package():
    code = "import sys, minicnn.cli, minicnn.viz; print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- ONNX's own tests ---------------------------------------------------------------------------------------------------------------

NOT_READ = (
    "operator ", "is a sequence", "is a optional", "its operators are of opset 0", "tensors here are numbers", "bfloat16", "a softmax of",
    "GridSample mode='cubic'", "GridSample mode='bilinear' of 5", "GridSample mode='nearest' of 5",
    "Cast rounding to float8e8m0",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 28, reason="before onnx 1.23 some cases expect other numbers")
def test_every_case_of_the_operators_that_are_read_passes():
    from onnx_backend import table

    from minicnn.onnx._table import OPERATORS

    found = table()
    assert dict(found["failed"]) == {}
    assert len(found["passed"][""]) > 1000
    absent = [why.removeprefix("operator ") for why in found["not read"] if why.startswith("operator ")]
    assert not set(absent) & OPERATORS.keys()
    assert [why for why in found["not read"] if not why.startswith(NOT_READ)] == []
