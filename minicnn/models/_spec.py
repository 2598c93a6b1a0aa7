"""One way to any network: a name from the list, or a class in a file of the user's own."""

import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from minicnn import onnx
from minicnn.models._meta import ASSUMED, IMAGENET, ModelMeta
from minicnn.models._registry import BUNDLED, fill_from_file, find_model
from minicnn.nn import Module
from minicnn.nn.utils import skip_init


def from_spec(spec: str = "tinynet", weights: str | PathLike[str] | None = None) -> Module:
    """A network in eval mode, by name or from a file of your own, with its `meta`.

    Args:
        spec: a name of `list_models()`, with the name of its weights behind a colon if wanted: "alexnet",
            "tinynet:robust"; "FILE.onnx" (see `minicnn.onnx.load`); or "FILE.py:NAME", a class or function without necessary
            arguments in a file of your own.
        weights: a checkpoint (.safetensors, .npz, .pth). Without it a named network gets the weights that travel with
            minicnn if there are any ("tinynet" is "tinynet:standard"), and is untrained otherwise.

    `model.meta` says how images enter: what the file of weights states, else the network's own `meta`, else ImageNet's
    mean, std and size, which `meta.note` then states.

    Raises:
        ValueError: no such name, or the file of your own does not define such a network; the message says what it has.
        FileNotFoundError: no such file.
        WeightsError: the file of weights is damaged, or does not fit the network.
    """
    if spec.partition(":")[0].endswith(".py"):
        with _imports_undone_on_error():
            return _own(spec, weights).eval()
    if _is_onnx(spec):
        network = onnx.load(spec)
        if weights is not None:
            network.meta = fill_from_file(network, weights, network.meta)
        return network
    name, _, variant = spec.partition(":")
    builder = find_model(name)
    if variant and weights is not None:
        raise ValueError(f"{spec!r} names weights, and so does weights={fspath(weights)!r}: give one of them")
    return builder(weights=weights if weights is not None else _variant(spec) or None).eval()


def provenance(spec: str = "tinynet", weights: str | PathLike[str] | None = None) -> str:
    """The network that `from_spec` returns for these arguments, and where its numbers come from, for captions.

    "tinynet:standard", "alexnet, weights of mine.pth", "alexnet, random weights".
    """
    file, _, name = spec.partition(":")
    called = f"{Path(file).name}:{name}" if file.endswith(".py") else Path(spec).name if _is_onnx(spec) else file
    if weights is not None:
        return f"{called}, weights of {Path(weights).name}"
    if file.endswith(".py"):
        return f"{called}, random weights unless the file loads some"
    if _is_onnx(spec):
        return called
    return f"{called}:{_variant(spec)}" if _variant(spec) else f"{called}, random weights"


def _is_onnx(spec: str) -> bool:
    return spec.lower().endswith(".onnx")


def _variant(spec: str) -> str:
    """The name of the weights that a named network gets when no file is given; "" if they are random."""
    name, _, variant = spec.partition(":")
    return variant or next(iter(BUNDLED.get(name.lower(), ())), "")


def _own(spec: str, weights: str | PathLike[str] | None) -> Module:
    file, _, name = spec.partition(":")
    make = _definition(Path(file), name)
    needed = [
        parameter.name
        for parameter in inspect.signature(make).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if needed:
        raise ValueError(
            f"{spec} needs arguments ({', '.join(needed)}), which nobody can give here: write a function beside it that "
            f"gives them, such as\n    def network():\n        return {name}({', '.join(f'{n}=...' for n in needed)})\nand name that"
        )
    try:
        model = make() if weights is None else skip_init(make)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{spec} cannot be built: {_where(error)}") from error
    if not isinstance(model, Module):
        raise ValueError(f"{spec} returned {_described(model)}, not a minicnn.nn.Module")
    meta = getattr(model, "meta", None)
    if not isinstance(meta, ModelMeta):
        note = "nothing states how images enter this network: ImageNet's mean, std and size are assumed"
        meta = replace(IMAGENET, architecture=name, note=note, source=ASSUMED)
    if weights is not None:
        meta = fill_from_file(model, weights, meta)
    model.meta = meta
    return model


@contextmanager
def _imports_undone_on_error() -> Iterator[None]:
    """After an error `sys.path` and `sys.modules` are what they were, so that a file that was mended runs anew."""
    paths, modules = list(sys.path), dict(sys.modules)
    try:
        yield
    except BaseException:
        sys.path[:] = paths
        for name in [name for name, module in sys.modules.items() if _is_changed(name, module, modules)]:
            if name in modules:
                sys.modules[name] = modules[name]
            else:
                del sys.modules[name]
        raise


def _is_changed(name: str, module: object, before: dict) -> bool:
    """Whether a module of somebody's own came in, or another in its place. What is installed may stay."""
    return before.get(name) is not module and _is_own(getattr(module, "__file__", None) or "<built in>")


def _definition(path: Path, name: str) -> Callable[..., Any]:
    """The class or function `name` of the file, which is run once as a module of its own."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path} (a network of your own is written FILE.py:NAME)")
    module_name = f"minicnn_user_{path.stem}"
    found = importlib.util.spec_from_file_location(module_name, path)
    assert found is not None and found.loader is not None, "its name ends in .py"
    module = importlib.util.module_from_spec(found)
    sys.modules[module_name] = module  # dataclasses and pickle look there
    sys.path.insert(0, str(path.parent.resolve()))  # what lies beside the file can be imported, as when it is run
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path} cannot be run: {_where(error)}") from error
    finally:
        with suppress(ValueError):  # the file may have removed it itself
            sys.path.remove(str(path.parent.resolve()))
    known = _known(vars(module), module_name)
    if not name:
        raise ValueError(f"which network of {path}? Write {path}:NAME. {known}")
    if not hasattr(module, name):
        raise ValueError(f"{path} has no {name!r}. {known}")
    make = getattr(module, name)
    if isinstance(make, Module):
        return lambda: make
    if not callable(make):
        raise ValueError(f"{name} in {path} is {_described(make)}: a class or a function is needed. {known}")
    if inspect.isclass(make) and not issubclass(make, Module):
        raise ValueError(f"{name} in {path} is no subclass of minicnn.nn.Module{_of_torch(make)}. {known}")
    return make


def _known(names: Mapping[str, object], module_name: str) -> str:
    """In words, what a file has to offer: networks, and functions that may return one."""
    own = {
        key: value
        for key, value in names.items()
        if getattr(value, "__module__", None) == module_name and key[0] != "_"
    }
    networks = [key for key, value in own.items() if inspect.isclass(value) and issubclass(value, Module)]
    networks += [key for key, value in names.items() if isinstance(value, Module)]
    functions = [key for key, value in own.items() if inspect.isfunction(value)]
    said = f"Networks in it: {', '.join(networks)}." if networks else "It defines no subclass of minicnn.nn.Module."
    return said + (f" Functions in it: {', '.join(functions)}." if functions else "")


def _described(value: object) -> str:
    return f"{type(value).__name__}{_of_torch(type(value))}"


def _of_torch(kind: type) -> str:
    """A hint, if the class is one of PyTorch's."""
    if any(base.__module__.split(".")[0] == "torch" for base in kind.__mro__):
        return " but PyTorch's: in the file, write `import minicnn as torch` and `from minicnn import nn`"
    return ""


def raised_at(error: BaseException) -> str:
    """Where in somebody's own code, not in minicnn nor in what is installed, an error was raised: "net.py, line 12"; "" if nowhere."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""


def _is_own(file: str) -> bool:
    """Whether a file of Python was not installed, with minicnn, with another package, or with Python."""
    path = Path(file).resolve()
    installed = (Path(__file__).parents[1], sysconfig.get_path("stdlib"))
    elsewhere = {"site-packages", "dist-packages"} & set(path.parts)
    return not (file.startswith("<") or elsewhere or any(path.is_relative_to(root) for root in installed))


def _where(error: BaseException) -> str:
    """The error, with the line that it came from."""
    place = f" ({at})" if (at := raised_at(error)) and not isinstance(error, SyntaxError) else ""
    hint = ""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in ("torch", "torchvision"):
        hint = "; write `import minicnn as torch` and `from minicnn import nn` in its place"
    return f"{type(error).__name__}: {error}{place}{hint}"
