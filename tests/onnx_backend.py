"""ONNX's own tests of backends, which the package `onnx` brings, in minicnn.

    python -m tests.onnx_backend            # counts, and a table of the cases that are not for minicnn, with the reasons
    python -m tests.onnx_backend resize     # the cases with this word in their names, each with its outcome

A case of operators before opset 7 is brought to opset 8 by onnx's own converter first.
"""

import collections
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, version_converter
from onnx.backend.test.loader import load_model_tests

import minicnn
from minicnn.onnx._file import FIRST_OPSET, held, held_type
from minicnn.serialization import WeightsError

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator")
ROUNDED = {
    "bf16": "bfloat16 is computed in float32, and rounded less often than the reference does",
    "fp16": "a softmax of float16 is rounded once, as in PyTorch; the reference rounds each step of it",
}  # of cases that differ in the last place of a short type
PASSED, FAILED = "passed", "failed"


def cases() -> dict[str, Any]:
    """{name: case} of all that need no download."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, while onnx computes what it expects
        return {case.name: case for kind in KINDS for case in load_model_tests(kind=kind)}


def outcome(case: Any, folder: Path) -> tuple[str, str]:
    """("passed", ""), ("failed", the error), or ("not read", the reason)."""
    model = case.model if case.model_dir is None else onnx.load(Path(case.model_dir) / "model.onnx")
    path = folder / "model.onnx"
    try:
        if 0 < next((entry.version for entry in model.opset_import if not entry.domain), 0) < FIRST_OPSET:
            model = version_converter.convert_version(model, 8)
        path.write_bytes(model.SerializeToString())
        network = minicnn.onnx.load(path)
        for inputs, expected in _data(case, model):
            _compare(case, network, inputs, expected)
    except WeightsError as error:
        return "not read", _reason(str(error).removeprefix(f"{path}: "))
    except Exception as error:
        short = [why for word, why in ROUNDED.items() if word in case.name and isinstance(error, AssertionError)]
        return (
            ("not read", short[0])
            if short
            else (FAILED, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        )
    return PASSED, ""


def _data(case: Any, model: Any) -> Iterable[tuple[list[Any], list[Any]]]:
    """(inputs, expected outputs) of a case."""
    if case.model_dir is None:
        yield from case.data_sets
        return
    for folder in sorted(Path(case.model_dir).glob("test_data_set*")):
        yield tuple(  # type: ignore[misc]
            [onnx.TensorProto.FromString((folder / f"{kind}_{i}.pb").read_bytes()) for i in range(count)]
            for kind, count in (
                ("input", len(list(folder.glob("input_*")))),
                ("output", len(list(folder.glob("output_*")))),
            )
        )


def _compare(case: Any, network: Any, inputs: list[Any], expected: list[Any]) -> None:
    with minicnn.no_grad():
        results = network(*(held(_array(value)) for value in inputs))
    results = results if isinstance(results, tuple) else (results,)
    for result, value in zip(results, expected, strict=True):
        wanted, got = _array(value), result.numpy()
        kind = held_type(wanted.dtype)
        assert got.dtype == kind or got.dtype.kind == "f", (
            f"{got.dtype}, not {kind}"
        )  # quantised numbers are held in floats
        assert got.shape == wanted.shape, f"{got.shape}, not {wanted.shape}"
        np.testing.assert_allclose(got.astype(wanted.dtype).astype(kind), wanted.astype(kind), case.rtol, case.atol)


def _array(value: Any) -> np.ndarray:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def _reason(error: str) -> str:
    """An error without what belongs to one case: the node, the names."""
    absent = re.search(r"that are not read: (\S+)", error)
    return f"operator {absent[1]}" if absent else re.sub(r" \(node .*?\)\)?:|^'\w+' ", "", error)


def table() -> dict[str, dict[str, list[str]]]:
    """{"passed", "failed", "not read": {why: names of the cases}}."""
    found: dict[str, dict[str, list[str]]] = {
        kind: collections.defaultdict(list) for kind in (PASSED, FAILED, "not read")
    }
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, about infinities that the cases contain
        for name, case in cases().items():
            kind, why = outcome(case, Path(folder))
            found[kind][why].append(name)
    return found


def main(words: list[str]) -> int:
    """Print; how many failed."""
    if words:
        with tempfile.TemporaryDirectory() as folder:
            results = {
                name: outcome(case, Path(folder)) for name, case in cases().items() if any(w in name for w in words)
            }
        for name, (kind, why) in results.items():
            print(f"{name:50} {kind:10} {why}")
        return sum(kind == FAILED for kind, _ in results.values())
    found = table()
    passed, failed, others = (sum(map(len, reasons.values())) for reasons in found.values())
    print(f"onnx {onnx.__version__}: {passed} passed of {passed + failed} applicable cases; {others} others:")
    for why, names in sorted(found["not read"].items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{len(names):5}  {why[:130]}")
    for why, names in found[FAILED].items():
        print(f"FAILED {', '.join(names)}: {why}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
