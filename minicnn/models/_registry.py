"""Where the models are listed by name, and where their weights are found."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from minicnn.models._meta import ModelMeta
from minicnn.nn import Module
from minicnn.serialization import load_weights, read_metadata

_BUILDERS: dict[str, Callable[..., Module]] = {}

Builder = TypeVar("Builder", bound=Callable[..., Module])


def register_model(builder: Builder) -> Builder:
    """Decorator: list the function under its own name."""
    _BUILDERS[builder.__name__] = builder
    return builder


def list_models(include: str | None = None) -> list[str]:
    """The names that `get_model` takes, in alphabetical order; `include` is a pattern such as "vgg*"."""
    return sorted(name for name in _BUILDERS if include is None or fnmatch(name, include))


def get_model(name: str, **config: Any) -> Module:
    """Build a model by name: `get_model("tinynet", weights="standard")` is `tinynet(weights="standard")`."""
    if name not in _BUILDERS:
        raise ValueError(f"Unknown model {name}. There are: {', '.join(list_models())}")
    return _BUILDERS[name](**config)


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
    architecture: Callable[..., Module],
    weights: str | PathLike[str] | None,
    bundled: Mapping[str, str],
    default: ModelMeta,
    num_classes: int | None,
) -> Module:
    """`architecture(outputs)` with its weights and its `meta`: what every model function comes down to.

    `weights` is None (the fresh initialisation), a key of `bundled` (whose value is a name for `weights_path`), or the
    path of a file. What the file states about itself replaces `default`; its number of class names is the number of
    outputs, unless `num_classes` is given; without either it is the architecture's own default.
    """
    meta, path = default, None
    if weights is not None:
        path = weights_path(bundled[weights]) if weights in bundled else Path(fspath(weights))
        if not path.is_file():
            names = ", ".join(f"{name!r}" for name in bundled)
            raise FileNotFoundError(f"weights={fspath(weights)!r} is neither one of {names} nor a file")
        meta = default.updated(read_metadata(path), str(path))
    outputs = num_classes or len(meta.categories)
    model = architecture(outputs) if outputs else architecture()
    if path is not None:
        load_weights(model, path)
    model.meta = meta
    return model
