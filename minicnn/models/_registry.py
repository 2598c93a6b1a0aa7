"""Where the models are listed by name, and where their weights are found."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatch
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.nn import Module
from minicnn.nn.utils import skip_init
from minicnn.serialization import check_fit, load, load_weights, read_metadata, state_dict_in

Weights = str | PathLike[str] | None
BUNDLED: dict[str, dict[str, str]] = {
    "tinynet": {"standard": "tinynet_standard.safetensors", "robust": "tinynet_robust.safetensors"},
}  # {architecture: {name of its weights: file in weights/}}; the first is the one to begin with
_BUILDERS: dict[str, Callable[..., Module]] = {}

Builder = TypeVar("Builder", bound=Callable[..., Module])


def register_model(builder: Builder) -> Builder:
    """Decorator: list the function under its own name."""
    _BUILDERS[builder.__name__] = builder
    return builder


def list_models(
    module: ModuleType | None = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> list[str]:
    """The names that `get_model` takes, in alphabetical order.

    `module` keeps those that are defined in a package; `include` and `exclude` are patterns such as "vgg*", or lists.
    """
    included, excluded = _patterns(include) or ["*"], _patterns(exclude)
    return sorted(
        name
        for name, builder in _BUILDERS.items()
        if (module is None or builder.__module__.rpartition(".")[0] == module.__name__)
        and any(fnmatch(name, pattern) for pattern in included)
        and not any(fnmatch(name, pattern) for pattern in excluded)
    )


def _patterns(given: str | Iterable[str] | None) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def find_model(name: str) -> Callable[..., Module]:
    """The function of this name, in capitals or not. ValueError that lists the names."""
    if name.lower() not in _BUILDERS:
        raise ValueError(f"Unknown model {name}. There are: {', '.join(list_models())}")
    return _BUILDERS[name.lower()]


def get_model(name: str, **config: Any) -> Module:
    """Build a model by name: `get_model("tinynet", weights="standard")` is `tinynet(weights="standard")`."""
    return find_model(name)(**config)


def weights_path(name: str) -> Path:
    """The full path of a bundled file, such as "tinynet_standard.safetensors" or "history_standard.npz".

    In a wheel the files lie inside the package, in a clone in `weights/` beside it.
    Raises FileNotFoundError that names both places.
    """
    package = Path(__file__).resolve().parent.parent
    folders = (package / "weights", package.parent / "weights")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"no bundled file {name!r} in {folders[0]} or {folders[1]}")


def build(
    name: str,
    architecture: Callable[..., Module],
    weights: Weights,
    progress: bool = True,
    *,
    output: str,
    default: ModelMeta = IMAGENET,
    **kwargs: Any,
) -> Module:
    """`architecture(**kwargs)` with its weights and its `meta`: what every model function comes down to.

    `weights` is None (the fresh initialisation), a key of `BUNDLED[name]`, or the path of a file. What the file states
    about itself replaces `default`. The number of outputs is `num_classes` if that is given, else that of the `output`
    layer in the file.
    """
    meta = replace(default, architecture=name)
    if weights is None:
        model = architecture(**kwargs)
        model.meta = meta
        return model
    bundled = BUNDLED.get(name, {})
    path = weights_path(bundled[weights]) if weights in bundled else Path(fspath(weights))
    if not path.is_file():
        names = "".join(f"{key!r}, " for key in bundled)
        raise FileNotFoundError(f"weights={fspath(weights)!r} is neither {names}None nor a file")
    state = state_dict_in(load(path), path)
    if "num_classes" not in kwargs and f"{output}.weight" in state:
        kwargs["num_classes"] = len(state[f"{output}.weight"])
    model = skip_init(architecture, **kwargs)
    check_fit(model, state, path)
    # Take the tensors themselves, where they are of the right type: half of the memory, and half of the time.
    own = model.state_dict()
    ready = {name: value.to(own[name].dtype).contiguous() for name, value in state.items()}
    model.load_state_dict(ready, assign=len({owner(value) for value in ready.values()}) == len(ready))
    model.meta = meta.updated(read_metadata(path), str(path))
    return model


def fill_from_file(model: Module, weights: str | PathLike[str], meta: ModelMeta) -> ModelMeta:
    """Load a file into a model whose values are of no use yet; `meta`, with what the file states in its place."""
    path = Path(fspath(weights))
    if not path.is_file():
        raise FileNotFoundError(f"no such file of weights: {path}")
    load_weights(model, path)
    return meta.updated(read_metadata(path), str(path))


def owner(tensor: Tensor) -> int:
    """Says which tensors look into the same memory: theirs have the same number."""
    array = tensor.array
    while isinstance(array.base, np.ndarray):
        array = array.base
    return id(array)
