"""From a network to its page: the chain of its layers, its weights, some photographs, and the scripts that run it, in one file."""

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

import minicnn
from minicnn import no_grad
from minicnn.atlas.markup import Markup, el, html
from minicnn.nn import Module
from minicnn.play.chain import Layer, chain
from minicnn.play.packing import pack
from minicnn.serialization import atomic_write
from minicnn.viz import fit, load_image, sample_folder, statistics
from minicnn.viz.figures.plot import writable
from minicnn.viz.image import as_input, input_size
from minicnn.viz.network import Statistics, class_names, first_convolution, input_channels, stated

SCRIPTS = ("engine", "picture", "view", "maps", "explain", "changes", "sandbox", "answer", "sources", "main")
PHOTOGRAPHS = (  # of `viz.sample_folder()`: some that the bundled network knows, some that it does not
    "german_shepherd", "goldfish", "red_panda", "espresso", "triumphal_arch", "pont_du_gard", "frying_pan", "rocket", "kitten",
    "koala", "raccoon", "snowy_peak",
)  # fmt: skip
SETTINGS = {"kernel_size": "kernel"}  # as the page calls them


@dataclass(frozen=True)
class Built:
    """What `build` made. layers: how many the page runs; photographs: the names of those in it."""

    path: Path
    bytes: int
    bits: int
    layers: int
    photographs: list[str]


def build(
    model: Module,
    output: str | os.PathLike[str],
    *,
    bits: int = 16,
    photographs: Iterable[Any] | None = None,
    title: str = "A network to play with",
    links: Mapping[str, str] | None = None,
) -> Built:
    """Write a page in which a network runs, as one HTML file that needs nothing else.

    Args:
        model: a chain of `Conv2d`, `ReLU`, `MaxPool2d`, a global average and `Linear` that begins with a convolution and takes three
            channels, as the bundled network is; `model.meta` says how pictures enter and what the classes are called.
        output: the file.
        bits: of each weight, 8 or 16. The page of the bundled network has 3 MB with 8, and 5 MB with 16; `weights/README.md` says
            what it loses by them.
        photographs: paths, or whatever else `viz.load_image` takes, to choose from; by default twelve of those that come with minicnn.
        links: {text: address} of other pages, such as the atlas of the network, for the top of this one.

    An address that ends in #features.8:12 opens the page at that map.

    Raises TypeError and ValueError for a network that the page cannot run (see `chain`), with the rule.
    """
    output = Path(output)
    writable(output)
    if input_channels(model) != 3:
        raise ValueError(f"the page shows colour pictures, and this network takes {input_channels(model)} channels")
    sources = [sample_folder() / f"{name}.jpg" for name in PHOTOGRAPHS] if photographs is None else list(photographs)
    if not sources:
        raise ValueError("the page needs at least one photograph")
    side, stats = input_size(model), statistics(model)
    if stats.order == "bgr":  # the page feeds red, green, blue
        model, stats = _turned(model), Statistics(stats.mean[::-1], stats.std[::-1])
    pictures = {_name(source, number): fit(load_image(source), side) for number, source in enumerate(sources)}
    layers = chain(model, as_input(next(iter(pictures.values()))[None], model, stats))
    if layers[0].kind != "conv":
        raise ValueError(f"the page begins with a convolution, this network with {layers[0].module}")
    weights = pack(layers, bits)
    network = {
        "bits": bits, "side": side, "mean": stats.mean, "std": stats.std, "categories": class_names(model),
        "layers": [_described(layer) for layer in layers],
        "photographs": [{"name": name, "source": _png(picture)} for name, picture in pictures.items()],
    }  # fmt: skip
    text = _page(title, network, weights, _about(model, bits), links or {}).encode("utf-8")
    with atomic_write(output) as file:
        file.write(text)
    return Built(output, len(text), bits, len(layers), list(pictures))


def _turned(model: Module) -> Module:
    """The network for red, green, blue that answers as this one does with blue, green, red: its first weights turned."""
    model = deepcopy(model)
    first = first_convolution(model)
    assert first is not None  # who takes three channels has one
    with no_grad():
        first[1].weight.copy_(first[1].weight.flip(1))
    return model


def _name(source: Any, number: int) -> str:
    return Path(source).stem.replace("_", " ") if isinstance(source, str | os.PathLike) else f"photograph {number}"


def _described(layer: Layer) -> dict[str, Any]:
    settings = {SETTINGS.get(key, key): value for key, value in layer.settings.items()}
    return {"name": layer.name, "kind": layer.kind, **settings}


def _about(model: Module, bits: int) -> str:
    """What the page says of its network and its numbers."""
    note, accuracy = stated(model, "note"), stated(model, "accuracy")
    right = f" It is right on {accuracy:.2%} of them." if accuracy else ""
    return (
        f"The network: {note or type(model).__name__}.{right} It has {sum(p.numel() for p in model.parameters()):,} weights and "
        f"biases. In this file each weight is a whole number of {bits} bits, times a factor that its filter shares. So it is off by half a "
        "factor at most. Apart from that the page computes what minicnn computes: in 32-bit numbers, with sums in 64 bits. Batch norm "
        "is folded into the convolutions. The program that does all this is below, and is meant to be read."
    )


def _png(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _page(title: str, network: dict[str, Any], weights: bytes, about: str, links: Mapping[str, str]) -> str:
    scripts = {name: _file(f"{name}.js") for name in SCRIPTS}
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts.values()]
    return Template(_file("page.html")).substitute(
        title=html(title), version=html(minicnn.__version__), style=_file("style.css"), about=html(about),
        links=html([[" ", el("a", text, href=address)] for text, address in links.items()]),
        hashes=" ".join(f"'sha256-{digest}'" for digest in hashes),
        network=json.dumps(network).replace("<", "\\u003c"),  # so that no name can end the element
        weights=base64.b64encode(weights).decode(),
        scripts=Markup("\n".join(f'<script id="{name}">{text}</script>' for name, text in scripts.items())),
    )  # fmt: skip


def _file(name: str) -> str:
    return files("minicnn.play").joinpath(name).read_text(encoding="utf-8")
