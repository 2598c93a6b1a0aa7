"""Where the models are listed by name, and where their weights are found."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from fnmatch import fnmatch
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._weights import WeightsEnum, imagenet_classes, official
from minicnn.nn import Module
from minicnn.nn.utils import skip_init
from minicnn.serialization import check_fit, load, load_weights, read_metadata, state_dict_in
from minicnn.serialization._storages import owner

WeightsArgument = WeightsEnum | str | PathLike[str] | None
BUNDLED: dict[str, dict[str, str]] = {
    "tinynet": {"standard": "tinynet_standard.safetensors", "robust": "tinynet_robust.safetensors"},
}  # {architecture: {name of its weights: file in weights/}}; the first is the one to begin with
OFFICIAL: dict[str, type[WeightsEnum]] = {}
_BUILDERS: dict[str, Callable[..., Module]] = {}

Builder = TypeVar("Builder", bound=Callable[..., Module])
Network = TypeVar("Network", bound=Module)
Prepare = Callable[[Mapping[str, Tensor], dict[str, Any], bool], Mapping[str, Tensor]]


def register_model(official: type[WeightsEnum] | None = None) -> Callable[[Builder], Builder]:
    """Decorator: list the function under its own name; `official` are the weights that torchvision offers for it."""

    def register(builder: Builder) -> Builder:
        _BUILDERS[builder.__name__] = builder
        if official is not None:
            OFFICIAL[builder.__name__] = official
        return builder

    return register


def network(
    name: str,
    architecture: Callable[..., Network],
    output: str,
    prepare: Prepare | None = None,
    weights: type[WeightsEnum] | None = None,
) -> tuple[Callable[..., Network], type[WeightsEnum]]:
    """(the function of a network, listed under its name; its official weights: by default torchvision's), of the weights' name, "ResNet18".

    The function takes `weights` ("DEFAULT" or another member of its enumeration: downloaded into PyTorch's cache, once; the path of
    a checkpoint; None for an untrained network), `progress` (a bar while downloading) and the arguments of `architecture`. Without
    `num_classes` there are as many outputs as the checkpoint has. `output` and `prepare` are those of `build`.
    """
    function, known = name.lower(), official(f"{name}_Weights") if weights is None else weights
    made_by = architecture.func if isinstance(architecture, partial) else architecture

    def model(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> Network:
        return build(function, architecture, weights, progress, output=output, prepare=prepare, **kwargs)

    model.__name__, model.__qualname__, model.__module__ = function, function, made_by.__module__
    millions = next(iter(known)).meta["num_params"] / 1e6
    model.__doc__ = (
        f"{name}: {millions:.1f} million numbers. `weights`, `progress`: see `network`; the rest: `{made_by.__name__}`."
    )
    return register_model(known)(model), known


def get_model_weights(name: str | Callable[..., Module]) -> type[WeightsEnum]:
    """The official weights of a model, of the function or its name. ValueError if torchvision has none for it."""
    name = name if isinstance(name, str) else name.__name__
    find_model(name)
    if name.lower() not in OFFICIAL:
        raise ValueError(f"torchvision has no weights for {name}; there are some for {', '.join(sorted(OFFICIAL))}")
    return OFFICIAL[name.lower()]


def get_weight(name: str) -> WeightsEnum:
    """A member by its full name: get_weight("ResNet50_Weights.IMAGENET1K_V1")."""
    for weights in OFFICIAL.values():
        if name.startswith(f"{weights.__name__}."):
            return weights.verify(name)
    raise ValueError(f"there are no weights {name!r}: write NAME_Weights.MEMBER, such as AlexNet_Weights.DEFAULT")


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
    architecture: Callable[..., Network],
    weights: WeightsArgument,
    progress: bool = True,
    *,
    output: str,
    default: ModelMeta = IMAGENET,
    prepare: Prepare | None = None,
    pretrained: bool | None = None,
    **kwargs: Any,
) -> Network:
    """`architecture(**kwargs)` with its weights and its `meta`: what every model function comes down to.

    `weights` is None (the fresh initialisation), a member of the model's official weights or its name (downloaded once),
    a key of `BUNDLED[name]`, or the path of a file. What is known of the weights replaces `default`: a file of the name of an
    official one is taken for that. The number of outputs is `num_classes` if that is given, else that of the `output` layer in the
    file. `prepare` is given the tensors of a file, `kwargs`, which it may change, and whether they are official, and returns those
    that are to be loaded. `pretrained` is torchvision's argument of before 0.13.
    """
    meta = replace(default, architecture=name, source="as the networks of this name are trained")
    member, path = _source(name, _legacy(name, weights, pretrained))
    if member is None and path is None:
        model = architecture(**kwargs)
        model.meta = meta
        return model
    source = path or str(member)
    loaded = load(path) if path is not None else member.get_state_dict(progress=progress)  # type: ignore[union-attr]
    state, how = state_dict_in(loaded, skip_init(architecture, **kwargs), source)
    if prepare is not None:
        state = prepare(state, kwargs, member is not None)
    last = state.get(f"{output}.weight")
    outputs = len(last) if isinstance(last, Tensor) and last.dim() else None
    if member is not None:
        meta = _official_meta(meta, member)
    elif outputs == 1000 and default is IMAGENET:
        note = "the file does not state its 1000 classes: they are taken for ImageNet's, in torchvision's order"
        meta = replace(meta, categories=tuple(imagenet_classes()), note=note)
    if path is not None:
        meta = meta.updated(read_metadata(path), str(path))
    if "num_classes" not in kwargs and outputs is not None:
        kwargs["num_classes"] = outputs
    model = skip_init(architecture, **kwargs)
    check_fit(model, state, source, how)
    # Take the tensors themselves, where they are of the right type: half of the memory, and half of the time.
    own = model.state_dict()
    ready = {name: value.to(own[name].dtype).contiguous() for name, value in state.items()}
    model.load_state_dict(ready, assign=len({id(owner(value.array)) for value in ready.values()}) == len(ready))
    model.meta = meta
    return model


def _legacy(name: str, weights: WeightsArgument | bool, pretrained: bool | None) -> WeightsArgument:
    """`pretrained=True`, and True in the place of `weights`, mean the first official weights there were."""
    if pretrained is None and not isinstance(weights, bool):
        return weights
    if name not in OFFICIAL:
        raise ValueError(f"{name} has no official weights")
    warn_user(
        "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, please use 'weights' instead."
    )
    wanted = pretrained if pretrained is not None else weights
    return next(iter(OFFICIAL[name])) if wanted else None


def _source(name: str, weights: WeightsArgument) -> tuple[WeightsEnum | None, Path | None]:
    """What `weights` stands for: a member of the official weights, a file that exists, both (by its name), or neither."""
    official, bundled = OFFICIAL.get(name), BUNDLED.get(name, {})
    if weights is None or isinstance(weights, Enum):
        return (official.verify(weights) if official is not None else weights), None
    text = fspath(weights)
    if text in bundled:
        return None, weights_path(bundled[text])
    members: Iterable[WeightsEnum] = official or ()
    if official is not None and text.removeprefix(f"{official.__name__}.") in official.__members__:
        return official.verify(text), None
    if not Path(text).is_file():
        names = ", ".join(repr(key) for key in (*bundled, *(official.__members__ if official is not None else ())))
        raise FileNotFoundError(f"weights={text!r} is neither {names}, None nor a file")
    return next((member for member in members if member.url.endswith(f"/{Path(text).name}")), None), Path(text)


def _official_meta(meta: ModelMeta, source: WeightsEnum) -> ModelMeta:
    preset = source.transforms()
    origin = source.meta.get("_origin", "torchvision")
    accuracy = round(source.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100, 5)
    return replace(
        meta,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        input_size=(len(preset.mean), *preset.crop_size * 2),
        resize_size=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        categories=tuple(source.meta["categories"] or ()),
        accuracy=None if math.isnan(accuracy) else accuracy,
        source=f"as {origin}'s {source} states",
        note=f"{origin}'s {source}; accuracy on ImageNet's 50,000 validation images, as {origin} states it",
    )


def fill_from_file(model: Module, weights: str | PathLike[str], meta: ModelMeta) -> ModelMeta:
    """Load a file into a model whose values are of no use yet; `meta`, with what the file states in its place."""
    path = Path(fspath(weights))
    if not path.is_file():
        raise FileNotFoundError(f"no such file of weights: {path}")
    load_weights(model, path)
    return meta.updated(read_metadata(path), str(path))
