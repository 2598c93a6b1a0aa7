"""Networks in `.onnx` files, as modules: `minicnn.onnx.load("net.onnx")`.

The constants of the file are parameters and buffers, its nodes modules with dotted names, in the scopes that the exporter
kept. Where minicnn has the layer (Conv2d, BatchNorm2d, MaxPool2d, ReLU, Linear ...) the module is that layer, so that hooks,
filters, `maximize`, attribution and the atlas work as on any network; else it is an `Operator`, a function of tensors.

    model = minicnn.onnx.load("net.onnx")     # needs the package onnx: pip install "minicnn[onnx]"
    print(model)
    viz.maximize(model, "layer1.0.conv1:3")

Where to look: `_file` reads and checks, `_names` finds the dotted names, `_inference` shapes and types, `_network` puts the modules
together and calls them, `_table` says for each type of operator how it is built: by `_windows`, `_layers`, `_arithmetic`,
`_shapes`, `_resize`, `_detection`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minicnn.onnx._network import Network

__all__ = ["load"]


def load(f: str | os.PathLike[str]) -> Network:
    """The network of an `.onnx` file, in eval mode.

    It is called with its inputs in the file's order, or by their names, and returns a tensor, or a tuple if the file has
    several outputs (`model.inputs` and `model.outputs` name them). An image that the file wants as (N, H, W, C) and turns to
    (N, C, H, W) is given as (N, C, H, W). A batch size that the file fixes to 1 is not kept to.

    `model.meta` says how images enter, as far as the file does: an `.onnx` file seldom states mean and std, so ImageNet's are
    assumed, and `meta.note` says so; entries of its metadata with the names of `ModelMeta` are taken.

    Weights that are quantised are read as the numbers that they stand for. Types that NumPy does not have are computed in a
    wider one: bfloat16, float8 and float4 in float32, int4 and int2 in int8.

    Raises:
        ImportError: the package `onnx` is not installed.
        FileNotFoundError: there is none.
        WeightsError: the file is damaged, or asks for what is not read; operators that are absent are named, each with a node,
            the opset and the shape of its first input.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError('reading .onnx needs the package onnx: pip install "minicnn[onnx]"') from error
    from minicnn.onnx._network import read

    return read(Path(f))
