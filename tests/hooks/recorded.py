"""What each version of PyTorch did in each rule: recorded, so that a version answers that is not installed.

`recorded.json.gz` beside this file has for each rule its distinct logs, and for each version the number of the one that it
logged; and likewise for each public name what is behind it. A rule that is changed forgets what was recorded of its old form.
CONTRIBUTING.md says how a version is added.
"""

from __future__ import annotations

import ast
import functools
import gzip
import hashlib
import importlib.machinery
import inspect
import json
import re
import sys
import types
from pathlib import Path
from typing import Any

from .api import surface
from .catalogue import Scenario, everything
from .changes import BASE

FILE = Path(__file__).with_name("recorded.json.gz")


@functools.cache
def _file() -> dict[str, dict[str, Any]]:
    if not FILE.exists():
        return {"rules": {}, "names": {}}
    return json.loads(gzip.decompress(FILE.read_bytes()), object_hook=_decoded)


def stored() -> dict[str, dict[str, Any]]:
    """{rule: {"source": its fingerprint, "logs": distinct logs, "of": {version: index in logs}}}"""
    return _file()["rules"]


def names(version: str) -> dict[str, str]:
    """The public names of this version, and what is behind each (`api.surface`)."""
    kept = _file()["names"]
    return {name: what for name, forms in kept.items() for what, of in forms.items() if version in of}


def versions() -> list[str]:
    """All that are recorded, the oldest first."""
    return sorted({version for entry in stored().values() for version in entry["of"]}, key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def resolve(version: str) -> str:
    """The recorded version that is meant: "2.6" is "2.6.0". ValueError if there is none."""
    found = [known for known in versions() if f"{known}.".startswith(f"{version}.")]
    if not found:
        raise ValueError(f"PyTorch {version} is not recorded; recorded are {', '.join(versions())}")
    return found[-1]


def log(scenario: Scenario, version: str) -> list[tuple] | None:
    """What the version logged; None if the rule, as it is today, was not recorded under it."""
    entry = _entry(scenario)
    index = entry["of"].get(version)
    return None if index is None else [tuple(line) for line in entry["logs"][index]]


def letters(scenario: Scenario) -> dict[str, str]:
    """For each version "=" if it logged what 2.13.0 did, and otherwise a letter for each distinct log."""
    entry, named = _entry(scenario), {}
    named[entry["of"].get(BASE)] = "="
    for version in reversed(versions()):
        if version in entry["of"]:
            named.setdefault(entry["of"][version], chr(ord("a") + len(named)))
    return {version: named[entry["of"][version]] if version in entry["of"] else "" for version in versions()}


def _entry(scenario: Scenario) -> dict[str, Any]:
    entry = stored().get(str(scenario))
    return entry if entry and entry["source"] == fingerprint(scenario.rule) else {"logs": [], "of": {}}


@functools.cache
def fingerprint(rule: Any) -> str:
    """Of a rule's code, without its docstring and blanks."""
    lines = inspect.getsource(rule).splitlines()
    first = ast.parse("\n".join(lines)).body[0].body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        del lines[first.lineno - 1 : first.end_lineno]
    return hashlib.sha256("".join("".join(lines).split()).encode()).hexdigest()[:8]


# --- recording -----------------------------------------------------------------------------------------------------------


def record() -> str:
    """Run every rule under the PyTorch that is installed, and store the logs; returns a line about it."""
    sys.meta_path.insert(0, _StubFinder())  # minicnn is not asked, and an old environment cannot import it
    import torch
    from both import run

    version = re.match(r"[0-9.]+", torch.__version__).group().rstrip(".")
    rules = {}
    for scenario in everything():
        old = stored().get(str(scenario))
        rules[str(scenario)] = _with_log(old, fingerprint(scenario.rule), version, run(scenario.function, torch))
        _forget_global_hooks(torch)
    write({"rules": rules, "names": _with_names(version, surface(torch))})
    differ = sum(entry["of"][version] != entry["of"].get(BASE) for entry in rules.values())
    return f"PyTorch {version}: {len(rules)} rules recorded, {differ} of them not as in {BASE}"


def _with_log(old: dict[str, Any] | None, source: str, version: str, log: list) -> dict[str, Any]:
    known = old and old["of"].get(version)
    if old is None or old["source"] != source:
        old = {"logs": [], "of": {}}
    elif known is not None and [tuple(line) for line in old["logs"][known]] != log:
        old = {"logs": [], "of": {}}  # what the rule calls has changed, so the other versions' logs are out of date too
    logs = list(old["logs"])
    index = next((i for i, other in enumerate(logs) if [tuple(line) for line in other] == log), len(logs))
    if index == len(logs):
        logs.append(log)
    return {"source": source, "logs": logs, "of": {**old["of"], version: index}}


def _with_names(version: str, found: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    """{name: {what is behind it: [versions]}}"""
    kept: dict[str, dict[str, list[str]]] = {}
    for name, forms in _file()["names"].items():
        left = {what: [v for v in of if v != version] for what, of in forms.items()}
        kept[name] = {what: of for what, of in left.items() if of}
    for name, what in found.items():
        of = kept.setdefault(name, {}).setdefault(what, [])
        of[:] = sorted([*of, version], key=numbers)
    return {name: kept[name] for name in sorted(kept) if kept[name]}


def write(contents: dict[str, Any]) -> None:
    text = json.dumps(contents, default=_encoded, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    _file.cache_clear()


def _forget_global_hooks(torch: Any) -> None:
    """Those that a rule left behind which failed half-way."""
    place = torch.nn.modules.module
    for name, value in vars(place).items():
        if name.startswith("_global_") and isinstance(value, dict):
            value.clear()
    place._global_is_full_backward_hook = None


def _encoded(value: Any) -> Any:
    """What JSON has no form for: complex numbers, and `both.Numbers`, with the seven digits that are compared."""
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    array = value.array if value.array.dtype.kind != "f" else value.array.astype("float64")
    shown = [float(f"{x:.7g}") for x in array.reshape(-1)] if array.dtype.kind == "f" else array.reshape(-1).tolist()
    return {"kind": value.kind, "numbers": shown}


def _decoded(value: dict[str, Any]) -> Any:
    if set(value) == {"complex"}:
        return complex(*value["complex"])
    if set(value) != {"kind", "numbers"}:
        return value
    from both import Numbers

    return Numbers.recorded(**value)


class _Stub(types.ModuleType):
    """A module of minicnn when PyTorch alone is asked: its names are empty classes, and modules like this."""

    __path__: list[str] = []
    __all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        full = f"{self.__name__}.{name}"
        made = sys.modules.get(full) or (_Stub(full) if name.islower() else type(name, (), {}))
        setattr(self, name, made)
        return made


class _StubFinder:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] == "minicnn":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass
