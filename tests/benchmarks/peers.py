"""The peers beside minicnn, each in a process of its own (`worker.py`), with the same number of threads, weights and image:

    torch          PyTorch as it comes
    channels_last  PyTorch, network and image in its other memory layout
    compile        torch.compile; needs a C++ compiler
    onnxruntime    ONNX Runtime, on a file that PyTorch has exported
    openvino       OpenVINO on the same file

Each runs with its own defaults but for the number of threads; OpenVINO is told to compute in float32, as the others do (where a
processor has bfloat16 it may take that), and to answer one request at a time.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PEERS = {
    "torch": "PyTorch", "channels_last": "channels_last", "compile": "torch.compile", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
}  # fmt: skip
ON_FILES = ("onnxruntime", "openvino")  # they take an .onnx file
NET, IMAGE = "net.onnx", "image.npy"  # in the folder where one process leaves them for another
REST = {"onnxruntime": 0.06, "others": 0.01}  # seconds after a turn until its threads, which look for more work, sleep
Session = Callable[[], list[np.ndarray]]


def load(side: str, threads: int) -> Any:
    """The library of minicnn or of a peer, ready to run on that many threads. An error says why it cannot."""
    if side in ("minicnn", *ON_FILES):
        return importlib.import_module(side)
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    if side == "compile":
        torch.compile(lambda x: x + 1)(torch.ones(2))  # fails where there is no compiler
    return torch


def fit(side: str, lib: Any, model: Any, x: Any) -> tuple[Any, Any]:
    """Network and image as this side wants them."""
    if side == "channels_last":
        return model.to(memory_format=lib.channels_last), x.contiguous(memory_format=lib.channels_last)
    return (lib.compile(model) if side == "compile" else model), x


def export(torch: Any, model: Any, x: Any, folder: Path) -> None:
    """Leave the network as an .onnx file and the image as an array. The older exporter needs no package but `onnx`."""
    np.save(folder / IMAGE, x.numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its deprecation
        torch.onnx.export(
            model, (x,), folder / NET, dynamo=False, input_names=["x"], output_names=["y"], opset_version=17
        )


def session(side: str, lib: Any, folder: Path) -> Session:
    """One forward pass of the file in `folder`."""
    threads, x = int(os.environ["OMP_NUM_THREADS"]), np.load(folder / IMAGE)
    if side == "onnxruntime":
        options = lib.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        run = lib.InferenceSession(folder / NET, options, providers=["CPUExecutionProvider"]).run
        return lambda: run(None, {"x": x})
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = lib.Core().compile_model(folder / NET, "CPU", settings).create_infer_request()
    return lambda: list(request.infer([x], share_inputs=True, share_outputs=True).values())
