"""Files of ONNX that are damaged, ask for what is not read, or were made to do harm: a WeightsError, soon, and in little memory."""

from __future__ import annotations

import sys
import time
import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper  # noqa: E402
from onnx_made import classifier, loaded, model_of, node, saved, weights  # noqa: E402

import minicnn  # noqa: E402
from minicnn.serialization import WeightsError  # noqa: E402

RELU = [node("Relu", "x", "y")]


def refused(path, match):
    """The error of a file, after little time, in little memory."""
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(WeightsError, match=match) as caught:
        minicnn.onnx.load(path)
    assert time.perf_counter() - begin < 20
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


# --- what is absent ---------------------------------------------------------------------------------------------------------


def test_an_absent_operator_is_named_before_anything_runs(tmp_path):
    nodes = [
        node("Conv", "x w", "a", "stem"), node("LSTM", "a w", "b", "rnn", hidden_size=3), node("LSTM", "b w", "c"),
        helper.make_node("FusedConv", ["c"], ["y"], name="fused", domain="com.microsoft"),
    ]  # fmt: skip
    text = refused(saved(tmp_path, nodes, {"w": weights(4, 3, 3, 3)}), "operators that are not read")
    assert "LSTM (node 'rnn', opset 17, first input (1, 4, 14, 14)), 2 times" in text
    assert "com.microsoft.FusedConv (node 'fused', opset 17, first input of unknown shape)" in text


@pytest.mark.parametrize(
    ("opset", "match"),
    [(6, r"of opset 6: 7 to \d+ are read.*convert_version"), (1000, "of opset 1000: 7 to"), (0, "of opset 0: 7 to")],
)
def test_other_opsets(tmp_path, opset, match):
    refused(saved(tmp_path, RELU, opset=opset), match)


@pytest.mark.parametrize(
    ("made", "constants", "opset", "match"),
    [
        (node("Gelu", "x", "y"), {}, 13, "opset 13 has no such operator"),
        (
            node("Conv", "x w", "y", "c", auto_pad="ODD"),
            {"w": weights(4, 3, 3, 3)},
            17,
            r"Conv \(node 'c'.*auto_pad is 'ODD'",
        ),
        (
            node("Conv", "x w", "y", "c", group=3),
            {"w": weights(4, 1, 3, 3)},
            17,
            r"Conv \(node 'c'.*out_channels must be divisible",
        ),
        (node("Conv", "x w", "y", group=0), {"w": weights(4, 3, 3, 3)}, 17, "groups must be a positive integer"),
        (
            node("Conv", "x w b", "y"),
            {"w": weights(4, 3, 3, 3), "b": weights(3)},
            17,
            r"its bias is \(3,\), and \(4,\) is needed",
        ),
        (
            node("Conv", "x w", "y", pads=[1, 1]),
            {"w": weights(4, 3, 3, 3)},
            17,
            "pads has .*, and 4 numbers are needed",
        ),
        (node("Conv", "x w", "y", strides=[0, 1]), {"w": weights(4, 3, 3, 3)}, 17, "strides is .*: from 1 to 65536"),
        (node("Conv", "x w", "y", dilations=[2**40, 1]), {"w": weights(4, 3, 3, 3)}, 17, "dilations is .*: from 1"),
        (node("MaxPool", "x", "y"), {}, 17, "windows of one to three dimensions"),
        (node("MaxPool", "x", "y", kernel_shape=[1] * 9), {}, 17, "windows of one to three dimensions"),
        (
            node("BatchNormalization", "x s s s t", "y"),
            {"s": weights(3), "t": weights(4)},
            17,
            "running_var does not have",
        ),
        (
            node("Resize", "x - s", "y", mode="sinc"),
            {"s": weights(4)},
            17,
            "mode is 'sinc', not one of nearest, linear, cubic",
        ),
        (node("Pad", "x p", "y", mode="sphere"), {"p": np.zeros(8, int)}, 17, "mode is 'sphere'"),
        (node("Constant", "", "y", value_string="text"), {}, 17, "value_string: numbers are read"),
        (node("LeakyRelu", "x", "y", alpha=[1.0]), {}, 17, r"LeakyRelu \("),
        (node("Reshape", "w s", "y"), {"w": weights(4), "s": np.array([3])}, 17, r"Reshape .*cannot be built"),
        (node("Add", "x", "y"), {}, 17, "its input 'B' is left out"),
        (node("Relu", "x x", "y"), {}, 17, "it has 2 inputs and 1 outputs, more than the standard's"),
        (node("ScatterND", "x i x", "y", reduction="?"), {"i": np.zeros((1, 4), int)}, 17, r"reduction is '\?'"),
        (node("LRN", "x", "y", size=2**40), {}, 17, "size is 1099511627776"),
        (node("Add", "x z", "y", "plus"), {}, 17, r"Add \(node 'plus'.*it takes 'z', which nothing before it gives"),
        (node("Add", "x x", "x"), {}, 17, "it gives 'x', which is there already"),
        (node("Add", "x x", "z"), {}, 17, "its output 'y' is given by no node"),
    ],
)
def test_nodes_that_cannot_be_built_are_named(tmp_path, made, constants, opset, match):
    refused(saved(tmp_path, [made], constants, opset=opset), match)


def test_values_that_are_no_tensors_and_text(tmp_path):
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2])
    graph = helper.make_graph(RELU, "g", [helper.make_tensor_value_info("x", 1, [1]), sequence], [sequence])
    (tmp_path / "a.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    refused(tmp_path / "a.onnx", "'s' is a sequence: tensors alone are read")
    text = helper.make_tensor("t", TensorProto.STRING, [1], [b"a"])
    refused(saved(tmp_path, RELU, {"t": text}), "'t' is text")


# --- damage -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"hello" * 100, bytes(100), b"\x08\x0a\x12\x07pytorch"]
)
def test_what_is_no_onnx_file(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    refused(tmp_path / "a.onnx", "it is no .onnx file, or damaged or cut short")


def test_a_file_that_is_cut_short_anywhere(tmp_path):
    whole = model_of(*classifier()).SerializeToString()
    path = tmp_path / "a.onnx"
    for length in range(0, len(whole) - 1, max(len(whole) // 200, 1)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            minicnn.onnx.load(path)


@pytest.mark.slow
def test_a_file_with_wrong_bytes_is_read_or_refused(tmp_path):
    """Nothing but a WeightsError comes out of 1,500 files with some bytes changed."""
    whole = np.frombuffer(model_of(*classifier()).SerializeToString(), np.uint8)
    structure = np.flatnonzero(np.arange(len(whole)) < 1500)  # the nodes lie in front of the numbers
    rng = np.random.default_rng(0)
    path, read = tmp_path / "a.onnx", 0
    for _ in range(1500):
        changed = whole.copy()
        places = rng.choice(structure, rng.integers(1, 4))
        changed[places] = rng.integers(0, 256, len(places))
        path.write_bytes(changed.tobytes())
        try:
            minicnn.onnx.load(path)
            read += 1
        except WeightsError:
            pass
    assert 0 < read < 1500


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.dims.append(7), "'w' has 432 bytes, and .* of its type 3,024"),
        (lambda t: t.dims.__setitem__(0, -4), r"'w' has the shape \[-4, 3, 3, 3\]"),
        (lambda t: t.dims.extend([2**62] * 4), "'w' has 432 bytes"),
        (lambda t: t.dims.extend([1] * 100), "'w' has the shape"),
        (lambda t: setattr(t, "data_type", 99), "of the type 99, which is unknown"),
        (lambda t: (t.ClearField("raw_data"), t.float_data.extend([1.0] * 5)), "the numbers of 'w' are damaged"),
    ],
)
def test_numbers_that_do_not_fit_their_shape(tmp_path, change, match):
    model = model_of([node("Conv", "x w", "y")], {"w": weights(4, 3, 3, 3)})
    change(model.graph.initializer[0])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", match)


def test_two_tensors_of_one_name_and_sparse_ones(tmp_path):
    model = model_of(RELU, {"w": weights(1)})
    model.graph.initializer.append(model.graph.initializer[0])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", "two tensors called 'w'")
    model.graph.sparse_initializer.add()
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", "sparse")


# --- files beside -----------------------------------------------------------------------------------------------------------------


def beside(folder, location, count=1, offset=0, length=16):
    """A network whose tensors of four numbers lie in another file."""
    tensors = {}
    for i in range(count):
        tensor = TensorProto(name=f"w{i}", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
        tensors[f"w{i}"] = tensor
    return saved(folder, [node("Add", "x w0", "y")], tensors, shape=(1, 4))


def test_numbers_are_read_from_inside_of_its_folder_alone(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(weights(4).tobytes())
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "data").write_bytes(weights(4).tobytes())
    for location in ("../secret", str(tmp_path / "secret"), "link", "sub/../../secret", "", "."):
        refused(beside(folder, location), "outside of its folder|which is not there")
    refused(beside(folder, "none"), "'none', which is not there beside it")
    refused(beside(folder, "data", offset=4), r"shall be 16 bytes at 4 of 'data', which has 16")
    refused(beside(folder, "data", offset=-4), r"at -4 of 'data'")
    refused(beside(folder, "data", length=12), r"16 bytes, shall be 12 bytes")
    refused(beside(folder, "data", offset="x"), r"damaged")
    refused(beside(folder, "data", count=5), "share the bytes of 'data' more than four times over")
    assert minicnn.onnx.load(beside(folder, "data", count=4))(minicnn.zeros(1, 4)).shape == (1, 4)
    constant = helper.make_node("Constant", [], ["y"])
    constant.attribute.append(
        helper.make_attribute("value", onnx.load(beside(folder, "data"), load_external_data=False).graph.initializer[0])
    )
    refused(saved(folder, [constant]), "which is no initializer, lie in another file")


# --- time and memory ------------------------------------------------------------------------------------------------------------


def test_functions_that_multiply(tmp_path):
    """Ten functions of ten calls of the one before: ten thousand million nodes in a file of a few kilobytes."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [helper.make_function("f", "f0", ["a"], ["b"], [node("Relu", "a", "b")], opsets)]
    for i in range(1, 11):
        calls = [helper.make_node(f"f{i - 1}", [f"v{j}"], [f"v{j + 1}"], domain="f") for j in range(10)]
        functions.append(helper.make_function("f", f"f{i}", ["v0"], ["v10"], calls, opsets))
    model = model_of([helper.make_node("f3", ["x"], ["y"], domain="f")], functions=functions)
    model.opset_import.append(opsets[1])
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert len(list(minicnn.onnx.load(tmp_path / "a.onnx").modules())) > 1000
    model.graph.node[0].op_type = "f10"
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", "more than 200,000 nodes")
    model.functions[0].node[0].op_type, model.functions[0].node[0].domain = "f10", "f"
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    refused(tmp_path / "a.onnx", "calls itself")


HUGE = {
    "Expand": ([node("Expand", "w s", "y")], {"w": weights(1), "s": np.array([2**20, 2**20])}),
    "ConstantOfShape": ([node("ConstantOfShape", "s", "y")], {"s": np.array([2**40])}),
    "negative": ([node("ConstantOfShape", "s", "y")], {"s": np.array([-5])}),
    "Tile": ([node("Tile", "w s", "y")], {"w": weights(4), "s": np.array([2**40])}),
    "Range": ([node("Range", "a b c", "y")], {"a": np.array(0), "b": np.array(2**60), "c": np.array(1)}),
    "Range without end": ([node("Range", "a b c", "y")], {"a": np.array(0), "b": np.array(9), "c": np.array(0)}),
    "Pad": ([node("Pad", "w s", "y")], {"w": weights(4), "s": np.array([2**40, 0])}),
    "Add": ([node("Add", "v w", "y")], {"v": weights(2**16, 1), "w": weights(1, 2**16)}),
    "Where": ([node("Where", "c v w", "y")], {"c": np.array(True), "v": weights(2**16, 1), "w": weights(1, 2**16)}),
    "Gather": ([node("Gather", "w i", "y")], {"w": weights(1, 2**15), "i": np.zeros(2**15, int)}),
    "GatherND": ([node("GatherND", "w i", "y")], {"w": weights(1, 2**15), "i": np.zeros((2**15, 1), int)}),
    "MatMul": ([node("MatMul", "v w", "y")], {"v": weights(2**16, 1), "w": weights(1, 2**16)}),
    "OneHot": ([node("OneHot", "i d v", "y")], {"i": np.zeros(2**10, int), "d": np.array(2**40), "v": weights(2)}),
    "Conv": ([node("Conv", "v w", "y", pads=[2**16] * 4)], {"v": weights(1, 1, 1, 1), "w": weights(1, 1, 1, 1)}),
    "ConvTranspose": ([node("ConvTranspose", "v w", "y", strides=[2**16] * 2)], {"v": weights(1, 1, 9, 9), "w": weights(1, 1, 1, 1)}),
    "MaxPool": ([node("MaxPool", "v", "y", kernel_shape=[1] * 3, pads=[2**12] * 6)], {"v": weights(1, 1, 1, 1, 1)}),
    "Resize": ([node("Resize", "v - s", "y", mode="cubic")], {"v": weights(1, 1, 4, 4), "s": np.array([1, 1, 2e9, 1], np.float32)}),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_what_makes_much_of_little_is_not_made(tmp_path, name):
    """The file is read, since the network may never be called; the call is refused."""
    nodes, constants = HUGE[name]
    tracemalloc.start()
    model = loaded(tmp_path, nodes, constants)
    with pytest.raises(WeightsError, match="the file asks for a tensor of"):
        model(minicnn.zeros(1, 3, 16, 16))
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_constants_that_grow_step_by_step(tmp_path):
    """Each node doubles: no single one is large, and all together are not computed while the file is read."""
    nodes = [node("Concat", f"w{i} w{i}", f"w{i + 1}", axis=0) for i in range(60)] + [node("Shape", "w60", "y")]
    tracemalloc.start()
    model = loaded(tmp_path, nodes, {"w0": np.zeros(1, np.float32)})
    assert tracemalloc.get_traced_memory()[1] < 2 << 30
    tracemalloc.stop()
    assert 20 < len(model._steps) < 60


def test_the_work_of_reading_many_nodes_grows_with_their_number(tmp_path):
    """Counted in calls, which no other process changes."""
    calls = []
    for count in (500, 2000):
        nodes = [node("Relu", f"v{i}" if i else "x", f"v{i + 1}", "same") for i in range(count)]
        path, met = saved(tmp_path, nodes, outputs=f"v{count}"), [0]

        def counting(frame, event, argument, met=met):
            met[0] += event in ("call", "c_call")

        sys.setprofile(counting)
        try:
            model = minicnn.onnx.load(path)
        finally:
            sys.setprofile(None)
        calls.append(met[0])
        assert len(list(model.children())) == count
    assert calls[1] < 8 * calls[0], calls  # four times as many; a square would be sixteen
