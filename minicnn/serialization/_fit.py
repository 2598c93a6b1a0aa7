"""Which tensors of a file are a model's: inside of a checkpoint, and under the names that wrappers give them."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.nn import Module
from minicnn.serialization._errors import WeightsError, short

NESTED_UNDER = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
    "ema", "model_ema", "ema_state_dict", "state_dict_ema", "params_ema",
)  # fmt: skip
# Under these names DataParallel and averaged models, torch.compile, FSDP and checkpointing keep what they wrap.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

SAID = 5  # keys that a message names of many

Place = tuple[str, ...]
Names = dict[str, str]  # {name in the file: name in the model}


def state_dict_in(
    loaded: Any, model: Module, f: str | os.PathLike[str] = "the file"
) -> tuple[Mapping[str, Tensor], str]:
    """(tensors by the model's names, how they were found) in what `load` returned of the file `f`.

    They are taken as they are if their names are the model's: then there is nothing to say, and `how` is empty. Otherwise
    they are looked for under "state_dict", "model", "ema" and other usual names, two levels deep, and under names that
    differ by what wrappers put into them (`module.`, `_orig_mod.`) or by what all begin with (`model.`). The first that
    fit are taken; if none fit, the closest. `check_fit` says then what is wrong with them.

    Raises WeightsError that says what the file holds if there are no tensors by name.
    """
    own = model.state_dict().keys()
    places = list(_places(loaded, own))
    if not places:
        what = f"a dictionary with {', '.join(map(short, list(loaded)[:8]))}" if isinstance(loaded, Mapping) else None
        raise WeightsError(
            f"{f} holds no state_dict, neither at the top nor under {', '.join(map(repr, NESTED_UNDER))}: "
            f"it holds {what or type(loaded).__name__}"
        )
    choices = [(place, state, names) for place, state in places for names in _readings(state, own)]
    place, state, names = max(choices, key=lambda choice: _closeness(choice[2], own))  # of equal ones the first
    renamed = next((f", {old!r} as {new!r}" for old, new in names.items() if old != new), "")
    others = [f"; {_at(other)} there are {_some(mapping)}" for other, mapping in places if other != place]
    plainly = not place and not renamed and (not others or _closeness(names, own)[0])
    how = "" if plainly else f" ({_at(place)}{renamed}{''.join(others)})"
    return (_renamed(state, names) if renamed else state), how


def check_fit(model: Module, weights: Mapping[str, Tensor], f: Any, how: str = "", strict: bool = True) -> None:
    """WeightsError that counts the names and shapes of `weights` that do not fit the model, and names the first; a warning of how they
    were found.

    `f` and `how` are of `state_dict_in`. The counters of batch norm, `num_batches_tracked`, may be missing: files of
    before 2018 do not have them.
    """
    own = model.state_dict()
    problems, unlike = [], []
    if strict:
        missing = [name for name in own if name not in weights and not _may_be_missing(name)]
        unexpected = [name for name in weights if name not in own]
        problems += [f"Missing key(s) in the file: {_some_of(missing, len(own))}."] if missing else []
        problems += [f"Unexpected key(s) in the file: {_some_of(unexpected, len(weights))}."] if unexpected else []
    for name, value in own.items():
        if name not in weights or not isinstance(value, Tensor):
            continue
        if not isinstance(weights[name], Tensor):
            unlike.append(f"{name} is {type(weights[name]).__name__} in the file, and shall be a tensor.")
        elif weights[name].shape != value.shape:
            unlike.append(
                f"size mismatch for {name}: the shape in the file is {weights[name].shape}, "
                f"the shape in the model is {value.shape}."
            )
    problems += unlike[:SAID]
    problems += [f"... {len(unlike)} such keys of {len(own)}."] if len(unlike) > SAID else []
    if problems:
        raise WeightsError(f"{f} does not fit {type(model).__name__}{how}:\n\t" + "\n\t".join(problems))
    if how:
        warn_user(f"weights taken from {f}{how}")


def _some_of(names: list[str], whole: int) -> str:
    """How many, and the first of them: "a", "b", ... (120 of 364)."""
    first = ", ".join(f'"{name}"' for name in names[:SAID])
    return f"{first}, ... ({len(names)} of {whole})" if len(names) > SAID else first


def _may_be_missing(name: str) -> bool:
    return name.endswith("num_batches_tracked")


# --- where a checkpoint has tensors by name ---------------------------------------------------------------------------


def _places(loaded: Any, own: Iterable[str], place: Place = ()) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """(where, the dictionary) of each that has text for names and tensors among its values: two levels deep."""
    if not isinstance(loaded, Mapping):
        return
    tensors = any(isinstance(value, Tensor) for value in loaded.values())
    if all(isinstance(name, str) for name in loaded) and (tensors or loaded.keys() <= set(own)):
        yield place, loaded
    if len(place) < 2:
        for name in NESTED_UNDER:
            yield from _places(loaded.get(name), own, (*place, name))


def _at(place: Place) -> str:
    return "under " + " in ".join(map(repr, reversed(place))) if place else "at the top"


def _some(state: Mapping[str, Any]) -> str:
    names = [name for name, value in state.items() if isinstance(value, Tensor)]
    return ", ".join(map(short, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- what its names mean ----------------------------------------------------------------------------------------------


def _readings(state: Mapping[str, Any], own: Iterable[str]) -> Iterator[Names]:
    """The ways to read the names in a file: as they are, and those that leave wrappers and a beginning out."""
    yield {name: name for name in state}
    plain = _plain if len({_plain(name) for name in own}) == len(set(own)) else str
    meant = {plain(name): name for name in own}
    read = {name: plain(name) for name in state if name in own or plain(name) != "n_averaged"}  # an average's own count
    beginning = os.path.commonprefix(list(read.values())).split(".", 4)[:-1]  # noqa: RUF071, up to the last dot is right
    for start in ("", "model.", *(".".join(beginning[: i + 1]) + "." for i in range(len(beginning)))):
        rest = {name: text.removeprefix(start) if text.startswith(start) else name for name, text in read.items()}
        names = {name: meant.get(text, text) for name, text in rest.items()}
        if len(set(names.values())) == len(names):
            yield names


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _closeness(names: Names, own: Iterable[str]) -> tuple[bool, int]:
    """(whether the names fit the model's, how many of them are the model's)."""
    found, wanted = set(names.values()), set(own)
    return found <= wanted and all(map(_may_be_missing, wanted - found)), len(found & wanted)


def _renamed(state: Mapping[str, Tensor], names: Names) -> "OrderedDict[str, Tensor]":
    """By the model's names, with the versions of the modules that `state_dict` keeps beside the tensors."""
    renamed: Any = OrderedDict((new, state[old]) for old, new in names.items())
    if hasattr(state, "_metadata"):
        renamed._metadata = {_module(new): state._metadata.get(_module(old), {}) for old, new in names.items()}
    return renamed


def _module(name: str) -> str:
    return name.rpartition(".")[0]
