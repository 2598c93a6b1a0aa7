"""`leaks` finds what hooks have left behind: handles, stored tensors that keep a graph alive, stored tensors whose memory
is written by somebody else. It works on PyTorch's modules as on minicnn's.
"""

from __future__ import annotations

import weakref
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.inspect.calls import WatchedCalls
from minicnn.inspect.names import names_of
from minicnn.inspect.stored import Hook, Stored, describe_hook, hooks_on, set_by_library, stored_by
from minicnn.inspect.tensors import as_array, is_tensor, memory_block, share_memory, tensors_in, version

__all__ = ["Finding", "leaks"]

_CURES = {
    "handle": "keep the handle and call handle.remove(), or set the hook in a `with` block",
    "graph": "store tensor.detach()",
    "alias": "store tensor.detach().clone()",
    "array": "store a copy: array.copy()",
}


@dataclass
class Finding:
    """One thing left behind.

    `kind` is "handle", "graph" or "alias". `module` is the name of the module concerned, `hook` says which hook, `where`
    from the hook's point of view the place of the stored tensor (`acts['conv']`), `count` how many lie there and
    `bytes` how much memory they keep. `what` is the finding in words, `cure` what to do.
    """

    kind: str
    module: str
    hook: str
    what: str
    cure: str
    where: str = ""
    count: int = 1
    bytes: int = 0

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}\n    set by: {self.hook}\n    cure: {self.cure}"


@dataclass
class _Sight:
    """A stored tensor or array, from the moment on when it was first found."""

    reference: weakref.ref
    version: int
    checksum: int | None = None  # if it shares memory: an array has no version, `tensor.data` has one of its own
    made_by: str | None = None  # the module in whose call it appeared
    shares: str | None = None  # whose live memory it is
    written: str | None = None  # who has written there since

    def changed(self, value: Any, live: list | None) -> bool:
        """Whether its memory was written. That takes a pass over the numbers, unless the version says so; it is made
        only while this is the memory of one of the `live` tensors, or if there is no such list."""
        if version(value) > self.version:
            return True
        if self.checksum is None or not (live is None or any(share_memory(tensor, value) for _, tensor in live)):
            return False
        return self.checksum != _checksum(value)


class leaks(Sequence):
    """A list of `Finding`, empty if nothing was left behind. Print it to read it.

        print(leaks(model))             # what is there now

        with leaks(model) as found:     # what the block leaves, after an error too
            model(x)
        assert not found, found

    The three kinds of findings:

        handle  a hook that is still set (in a block: one that was set in it), but none that the library set itself
        graph   a stored tensor that has a `grad_fn`, and so keeps the forward pass alive that made it
        alias   a stored tensor or array in memory that somebody else has written since it was stored

    Stored tensors are found where hooks can put them: in what the hook's function encloses, its defaults and the global
    variables that it names, the arguments of a `partial`, the object of a bound method, attributes of modules, and in
    nested dicts, lists, tuples and objects from there on. In a block, what hooks stored stays known when they are
    removed. A stored tensor that nothing reachable from a hook or a module holds is not found.

    Only a block sees writes as they happen, and names the writer. Without one there is a tensor's version alone, the
    number of writes to its memory: such a finding says "perhaps", since the hook itself may have written.

    Args:
        model: a `Module` of minicnn or PyTorch. In a block it gets two hooks a module, which are removed at its end.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._names = names_of(dict(model.named_modules(remove_duplicate=False)))
        self._findings: list[Finding] = []
        self._watching = False
        self._before: set[tuple[int, int]] = set()  # the hooks that were there when the block began
        self._known: dict[tuple[int, int], Hook] = {}  # all that have been there since
        self._sights: dict[int, _Sight] = {}
        self._open: list[
            tuple[Any, list[tuple[Any, int]]]
        ] = []  # calls: their module, and their inputs with their versions
        self._hooks: WatchedCalls | None = None
        self._look()

    def __len__(self) -> int:
        return len(self._findings)

    def __getitem__(self, index: Any) -> Any:
        return self._findings[index]

    def __str__(self) -> str:
        return "\n".join(map(str, self._findings)) if self._findings else "no leaks found"

    def __repr__(self) -> str:
        kinds = Counter(finding.kind for finding in self._findings)
        return f"<leaks: {', '.join(f'{count} {kind}' for kind, count in kinds.items()) or 'none'}>"

    # The block ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> leaks:
        if self._watching:
            raise RuntimeError("these leaks are already being watched: make a new one for each `with`")
        self._watching, self._findings = True, []
        self._before = {hook.key for hook in hooks_on(self._model)}
        self._hooks = WatchedCalls(self._names, self._called, self._returned)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if self._hooks is not None:
            self._hooks.remove()
        self._open.clear()
        self._look()
        self._watching = False

    def _called(self, module: Any, args: tuple, kwargs: dict) -> None:
        """Before the module's other pre-hooks: whatever is stored by now was stored before this call."""
        writer = (
            f"{self._title(self._open[-1][0])}, between its layers" if self._open else "a line outside of the model"
        )
        inputs = [*tensors_in(tuple(args), "input"), *tensors_in(kwargs, "input")]
        self._see(writer, inputs, made_by=None)
        self._open.append((module, [(tensor, version(tensor)) for _, tensor in inputs]))

    def _returned(self, module: Any, args: tuple, kwargs: dict, output: Any) -> None:
        if not any(called is module for called, _ in self._open):
            return  # an earlier pre-hook raised: the call never began
        while self._open[-1][0] is not module:  # left by an error that somebody caught
            self._open.pop()
        versions = self._open[-1][1]
        live = [*tensors_in(output, "output"), *(("input", tensor) for tensor, _ in versions)]
        self._see(self._title(module), live, made_by=module, versions=versions)
        self._open.pop()

    # Looking ------------------------------------------------------------------------------------------------------

    def _see(self, writer: str, live: list | None, made_by: Any, versions: Sequence[tuple[Any, int]] = ()) -> None:
        """Find what is stored now: note of what is new whose memory it shares, and of the rest whether that was written."""
        for stored in self._stored():
            value = stored.value
            sight = self._sights.get(id(value))
            if sight is None or sight.reference() is not value:
                sight = self._sights[id(value)] = _Sight(weakref.ref(value), version(value))
                sight.shares = self._whose(value, live or [], made_by)
                if sight.shares is not None:
                    sight.checksum = _checksum(value)
                    sight.made_by = self._names[made_by][0] if made_by is not None else None
                if any(hook.key in self._pre_hooks_of(made_by) for hook in stored.hooks):
                    # Stored before the module's forward: what that wrote came later.
                    sight.version = min(
                        [sight.version, *(was for tensor, was in versions if share_memory(tensor, value))]
                    )
            if sight.written is None and sight.changed(value, live):
                sight.written = writer

    @staticmethod
    def _pre_hooks_of(module: Any) -> set[tuple[int, int]]:
        hooks = module._forward_pre_hooks if module is not None else {}
        return {(id(hooks), key) for key in hooks}

    def _whose(self, value: Any, live: list, made_by: Any) -> str | None:
        """A name for the live tensor whose memory this is."""
        for place, tensor in live:
            if share_memory(tensor, value):
                return f"the {place} of {self._title(made_by)}" if made_by is not None else "a layer's input"
        for name, tensor in (*self._model.named_parameters(), *self._model.named_buffers()):
            if share_memory(tensor, value):
                return name
            if tensor.is_leaf and tensor.grad is not None and share_memory(tensor.grad, value):
                return f"{name}.grad"
        return None

    def _stored(self) -> list[Stored]:
        self._known.update((hook.key, hook) for hook in hooks_on(self._model))
        return stored_by(self._model, list(self._known.values()))

    def _look(self) -> None:
        """Fill the list of findings, and let go of what was looked at."""
        self._see("a line outside of the model", None, made_by=None)
        self._findings = []
        for hook in hooks_on(self._model):
            if hook.key not in self._before and not set_by_library(hook):
                what = f"a {hook.kind} is still set on {hook.module or 'the model'}"
                self._findings.append(Finding("handle", hook.module, describe_hook(hook), what, _CURES["handle"]))
        groups: dict[tuple, list[Stored]] = {}
        for stored in self._stored():
            for kind in self._faults(stored):
                groups.setdefault((kind, stored.group, self._module_of(stored)), []).append(stored)
        for (kind, _, module), together in groups.items():
            self._findings.append(self._finding(kind, module, together))
        self._known.clear()
        self._sights.clear()

    def _faults(self, stored: Stored) -> Iterator[str]:
        value, sight = stored.value, self._sights[id(stored.value)]
        if _grad_fn(value) is not None:
            yield "graph"
        if self._watching:
            if sight.shares is not None and sight.written is not None:
                yield "alias"
        elif is_tensor(value) and (sight.shares is not None or version(value) > _own_writes(self._model, stored)):
            yield "alias"

    def _module_of(self, stored: Stored) -> str:
        made_by = self._sights[id(stored.value)].made_by
        return made_by if made_by is not None else ", ".join(dict.fromkeys(hook.module for hook in stored.hooks))

    def _finding(self, kind: str, module: str, together: list[Stored]) -> Finding:
        first = together[0]
        count, where = len(together), first.where if len(together) == 1 else first.group
        size = sum(dict(memory_block(stored.value) for stored in together).values())
        noun = "tensor" if is_tensor(first.value) else "array"
        them = f"a stored {noun}" if count == 1 else f"{count} stored {noun}s"
        what = f"{them} ({size:,} bytes) in {where}"
        if kind == "graph":
            nodes = _graph_size([_grad_fn(stored.value) for stored in together])
            what += f" keep{'s' * (count == 1)} {nodes} nodes of the graph alive"
        else:
            what += self._alias_text(first, count)
        cure = _CURES["array" if noun == "array" else kind]
        hook = describe_hook(first.hooks[0]) if first.hooks else "an attribute of the module"
        return Finding(kind, module, hook, what, cure, where, count, size)

    def _alias_text(self, stored: Stored, count: int) -> str:
        sight = self._sights[id(stored.value)]
        if not self._watching:
            if sight.shares is not None:
                return f" {'is' if count == 1 else 'are'} the memory of {sight.shares}"
            times = version(stored.value)
            return f" perhaps changed: the memory has been written in place {times} time{'s' * (times > 1)} since it was made"
        return f" changed after it was stored: it is the memory of {sight.shares}, which was written by {sight.written}"

    def _title(self, module: Any) -> str:
        name = self._names[module][0]
        return f"{name} ({type(module).__name__})" if name else type(module).__name__


def _checksum(value: Any) -> int:
    array = as_array(value)
    return 0 if array is None else zlib.crc32(np.ascontiguousarray(array).data)


def _grad_fn(value: Any) -> Any:
    try:
        return getattr(value, "grad_fn", None)
    except RuntimeError:  # a view whose base was written in a way that autograd forbids
        return None


def _own_writes(model: Any, stored: Stored) -> int:
    """How many writes to a stored tensor are explained by an in-place layer whose own output it may be."""
    modules = dict(model.named_modules(remove_duplicate=False))
    return int(any(getattr(modules.get(hook.module), "inplace", False) for hook in stored.hooks))


def _graph_size(roots: list[Any]) -> int:
    """How many nodes are reachable from these."""
    seen: dict[int, Any] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node is not None and id(node) not in seen:
            seen[id(node)] = node  # kept meanwhile, so that PyTorch makes no second object for it
            waiting += [edge[0] for edge in node.next_functions]
    return len(seen)
