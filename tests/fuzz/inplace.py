"""Random programs of views, writes in place and backward passes: values, versions, places in the graph, gradients, errors.

A program is a list of Python statements, in which `torch` is the one library or the other, so that a difference prints as
code. It is made statement by statement, looking at the shapes that PyTorch has got so far.
"""

from __future__ import annotations

import random
import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import minicnn

CI_CASES = 300
NOT_COMPARABLE = "a fault of PyTorch's own, or an overlap of operand and target, which it refuses and minicnn computes"


def ramp(tensor: Any, lib: ModuleType) -> Any:
    """Different numbers of the tensor's shape."""
    return lib.arange(tensor.numel(), dtype=lib.float64).reshape(tensor.shape) * 0.37 - 0.8


def functions(lib: ModuleType) -> dict[str, Any]:
    """A user's own Functions: one that returns its input, one that returns a view of it, one that writes it."""

    class Same(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    class Turned(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.transpose(0, -1)

        @staticmethod
        def backward(ctx, grad):
            return grad.transpose(0, -1) * 2

    class Doubled(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    return {"Same": Same, "Turned": Turned, "Doubled": Doubled}


class World:
    """One library with the variables of a program, and what it answered."""

    def __init__(self, lib: ModuleType) -> None:
        self.names: dict[str, Any] = {"torch": lib, "ramp": lambda t: ramp(t, lib), **functions(lib)}
        self.answers: list[list[Any]] = []

    def run(self, statement: str) -> str | None:
        """Its error, if there is one."""
        error = None
        try:
            exec(statement, self.names)
        except NameError:  # of a program that was shortened
            raise
        except Exception as raised:
            error = _error(raised)
        grads = self.names.pop("grads", ())
        none = self.names["torch"].zeros((), dtype=self.names["torch"].float64)  # PyTorch has zeros without memory
        self.answers.append([error, *(None if grad is None else (grad.detach() + none).numpy() for grad in grads)])
        return error

    def tensors(self) -> dict[str, Any]:
        return {name: value for name, value in self.names.items() if re.fullmatch(r"v\d+", name)}

    def facts(self, name: str) -> list[Any]:
        """What can be seen of a variable."""
        tensor = self.names[name]
        facts: list[Any] = [list(tensor.shape), str(tensor.dtype).replace("minicnn", "torch"), tensor.detach().numpy()]
        for look in (
            lambda: tensor.requires_grad,
            lambda: tensor._version,
            lambda: tensor.is_leaf,
            lambda: tensor._is_view(),
            lambda: tensor.grad is None,
        ):
            try:
                facts.append(look())
            except RuntimeError as error:
                facts.append(_error(error))
        grad = tensor.grad if facts[-1] is False else None
        return [*facts, None if grad is None else grad.detach().numpy()]


def _error(error: Exception) -> str:
    """The type, and of the errors that are about the graph the text, without the names of overloads and kept shapes."""
    text = re.sub(r"\[[\w.]+ \[[^]]*\]\](, which is output \d+ of [\w:]+,)?", "[a tensor]", str(error))
    text = re.sub(r"Output \d+ of \w+ is", "Output is", text).replace("minicnn", "torch")
    if re.search("INTERNAL ASSERT|some elements of the input tensor and the written-to tensor", text):
        return NOT_COMPARABLE
    about_the_graph = re.search("inplace|in-place|a view|leaf|backward through|nference|version", text)
    return f"{type(error).__name__}: {text}" if about_the_graph else "error"


# --- what statements there are ------------------------------------------------------------------------------------------

VIEWS = (
    "{t}[:]", "{t}[...]", "{t}[1:]", "{t}[:1]", "{t}[0]", "{t}[-1:]", "{t}[::2]", "{t}[None]", "{t}[..., 0]", "{t}.T", "{t}.t()",
    "{t}.transpose(0, -1)", "{t}.unsqueeze(0)", "{t}.unsqueeze(-1)", "{t}.squeeze()", "{t}.squeeze(0)",
    "{t}.expand(2, *{t}.shape)", "{t}[:1].expand({t}.shape)", "{t}.split(1)[0]", "{t}.chunk(2)[-1]",
    "{t}.unbind(0)[0]", "{t}.narrow(0, 0, 1)", "{t}.select(0, -1)", "{t}.detach()", "{t}.detach()[1:]", "{t}.data",
    "{t}[1:1]", "Same.apply({t})", "Turned.apply({t})",
)  # fmt: skip
RESULTS = (
    "{t} * 1", "{t} * {u}", "{t} + {u}", "{t} - {u}", "{t}.tanh()", "{t}.sin()", "{t}.sigmoid()", "{t}.relu()", "{t} * {t}", "{t}.clone()",
    "{t}.sum(0)", "{t}.sum(0, keepdim=True)", "{t}.mean()", "{t}.abs()", "{t}.max(0)[0]", "{t}.max(0)[1]", "{t}.amax(0)", "{t}[{i}]",
    "{t}.index_select(0, {i})", "{t}.masked_fill({t} > 0, 0.5)", "torch.where({t} > 0, {t}, {u})",
    "{t} * {i}[0]", "{t}.softmax(-1)", "{t}.clamp(-0.5, 0.5)", "{t}.cumsum(0)",
    "{t}.unfold(0, 2, 1).clone()",
    "{t} / ({u}.abs() + 1)", "{t}.sort(0)[0]", "{t}.double()", "{t}.norm()", "torch.maximum({t}, {u})",
)  # fmt: skip
WRITES = (
    "{t}.mul_(2)", "{t}.mul_({u})", "{t}.add_({u})", "{t}.add_(1)", "{t}.sub_({u}, alpha=0.5)", "{t}.tanh_()", "{t}.sin_()",
    "{t}.sigmoid_()", "{t}.relu_()", "{t}.abs_()", "{t}.neg_()", "{t}.zero_()", "{t}.fill_(0.5)", "{t}.copy_({u})", "{t}.clamp_(-0.5, 0.5)",
    "{t}.masked_fill_({t} > 0, 0.25)", "{t}.cumsum_(0)", "{t}.t_()", "{t}.transpose_(0, -1)", "{t}.unsqueeze_(0)", "{t}.unsqueeze_(-1)",
    "{t}.squeeze_()", "{t}.squeeze_(0)", "{t}.lerp_(ramp({t}), 0.3)", "{t}.addcmul_({u}, {u})", "{t}.square_()", "{t}.mul_({t})",
    "{t}.add_({t}.sum())", "{t}.div_({u}.abs() + 1)", "{t}.reciprocal_()", "{t}[0] = 0.5", "{t}[1:] = 0.25",
    "{t}[0] = ramp({t}[0])", "{t}[:] = {u}",
    "{t}[{i}] = 0.5", "{t}[{t} > 0] = 0.75", "{t}[..., 0] *= 2", "{t} += {u}", "{t} *= 2", "{t}.index_put_(({i},), {t}[{i}] * 2)",
    "{t}.detach().mul_(2)", "{t}.data.mul_(2)", "{t}.detach_()", "{i}.zero_()", "{i}.fill_(1)", "Doubled.apply({t})",
    "{t}.round_()", "{t}.pow_(2)", "{t}.swapaxes_(0, -1)", "torch.nn.functional.relu({t}, inplace=True)",
)  # fmt: skip
LOOKS = ("{t}.grad_fn", "{t}.is_leaf", "{t}.requires_grad", "{t}.retain_grad()")
MODES = ("no_grad", "no_grad", "no_grad", "enable_grad", "inference_mode")


class Program:
    """Makes statements, running them in PyTorch on the way."""

    def __init__(self, number: int, seed: int) -> None:
        self.rng, self.world = random.Random(f"{seed} {number}"), World(torch)
        self.statements: list[str] = []
        self.count = 0
        shape = self.rng.choice([(2, 3), (3, 3), (2, 2), (3,), (2, 1, 3), (1, 2), (0, 2), (4, 2)])
        size = int(np.prod(shape))
        self.new(f"(torch.arange({size}, dtype=torch.float64) * 0.7 - 1).reshape({shape}).clone().requires_grad_()")
        self.new(f"(torch.arange({size}, dtype=torch.float64) * 0.3 - 0.4).reshape({shape}).clone()")
        self.new("torch.tensor([0, 1])")
        if self.rng.random() < 0.5:
            self.new(f"(torch.arange({size}, dtype=torch.float64) * 0.2).reshape({shape}).clone().requires_grad_()")
        for _ in range(self.rng.randint(2, 12)):
            if not self.step():
                return
        for _ in range(self.rng.randint(1, 3)):
            self.backward()

    def new(self, expression: str, before: str = "") -> str | None:
        self.count += 1
        return self.add(f"{before}v{self.count} = {expression}")

    def add(self, statement: str) -> str | None:
        self.statements.append(statement)
        return self.world.run(statement)

    def pick(self, wanted: Any) -> str:
        """A variable, more often a late one."""
        names = [name for name, tensor in self.world.tensors().items() if wanted(tensor)]
        return names[max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))]

    def step(self) -> bool:
        """One statement; False if it failed so that nobody knows how far it came."""
        t, other = (self.pick(lambda v: v.is_floating_point()) for _ in range(2))
        if (
            0 in self.world.names[other].stride()
        ):  # shows what is written just now, which PyTorch does not always notice
            other = f"ramp({t})"
        u = self.rng.choice([other, f"ramp({t})", f"ramp({t})"])
        i = self.pick(lambda v: not v.is_floating_point() and v.dim() == 1)
        kind = self.rng.choice(["view"] * 3 + ["result"] * 2 + ["write"] * 4 + ["look"])
        before = f"with torch.{self.rng.choice(MODES)}(): " if self.rng.random() < 0.15 else ""
        if kind == "look":
            look = self.rng.choice(LOOKS)
            if "retain_grad" not in look or not self.world.names[t]._is_view():  # PyTorch may do nothing then
                self.add(look.format(t=t))
            return True
        if kind == "result":  # what is made from a result of inference mode has versions of its own in PyTorch
            before = before.replace("inference_mode", "no_grad")
        template = self.rng.choice({"view": VIEWS, "result": RESULTS, "write": WRITES}[kind])
        written = self.world.names[t]
        if "{i}" in template and (written.dim() == 0 or len(written) < 2):
            return True
        if kind == "write" and 0 in written.stride():  # PyTorch warns of what minicnn refuses
            return True
        if kind == "write" and u in self.world.names and overlap(written, self.world.names[u]):
            u = f"ramp({t})"  # PyTorch refuses some such operands, and reads others when it has written over them
        if re.search(r"\.(detach|t|transpose|swapaxes|squeeze|unsqueeze)_\(", template):
            before = ""  # with gradients off, `detach_` does nothing in PyTorch, and a leaf no longer fits its gradient
        choice = template.format(t=t, u=u, i=i)
        if kind != "write":
            self.new(choice, before)
            return True
        error = self.add(before + choice)
        return error is None or changes_nothing(before + choice, error)

    def backward(self) -> None:
        """A pass from one or two roots, to all leaves or to some tensors; or one that is recorded, and a pass through that."""
        able = [
            name for name, v in self.world.tensors().items() if _asked(lambda v=v: v.requires_grad and not v.is_leaf)
        ]
        if not able:
            return
        roots = self.rng.sample(able, min(len(able), self.rng.randint(1, 2)))
        ends = [name for name, v in self.world.tensors().items() if _asked(lambda v=v: v.requires_grad)]
        ends = self.rng.sample(ends, min(len(ends), self.rng.randint(1, 3)))
        roots, seeds = ", ".join(roots), ", ".join(f"ramp({root})" for root in roots)
        to, keep = ", ".join(ends), self.rng.random() < 0.6
        way = self.rng.choice(["backward", "inputs", "grad", "recorded", "twice", "twice"])
        if way == "twice":
            grads = f"torch.autograd.grad([{roots}], [{to}], [{seeds}], allow_unused=True, create_graph=True)"
            first = f"first = [g for g in {grads} if g is not None and g.requires_grad]"
            again = (
                f"torch.autograd.grad(first, [{to}], [ramp(g) for g in first], allow_unused=True, retain_graph={keep})"
            )
            self.add(f"{first}; grads = (*first, *{again}) if first else ()")
        elif way == "recorded":
            self.add(f"torch.autograd.backward([{roots}], [{seeds}], create_graph=True)")
        elif way == "grad":
            self.add(
                f"grads = torch.autograd.grad([{roots}], [{to}], [{seeds}], allow_unused=True, retain_graph={keep})"
            )
        else:
            inputs = f", inputs=[{to}]" if way == "inputs" else ""
            self.add(f"torch.autograd.backward([{roots}], [{seeds}], retain_graph={keep}{inputs})")


def overlap(written: torch.Tensor, read: torch.Tensor) -> bool:
    """Whether an element is written that is read for another one."""
    places = [(t.data_ptr(), t.shape, t.stride()) for t in (written, read)]
    return places[0] != places[1] and np.shares_memory(*(t.detach().numpy() for t in (written, read)))


def _asked(question: Any) -> bool:
    try:
        return question()
    except RuntimeError:
        return False


# --- comparing ----------------------------------------------------------------------------------------------------------


def difference(statements: list[str]) -> str:
    """What the two libraries answer differently to a program; "" if nothing."""
    theirs, ours = World(torch), World(minicnn)
    for i, statement in enumerate(statements):
        error = theirs.run(statement)
        if error == NOT_COMPARABLE:
            return ""
        mine = ours.run(statement)
        if error and not mine and "a leaf Variable" in error and _writes_a_view(theirs, statement):
            return ""  # PyTorch did not yet know that the view's base has a place in the graph
        if mine and error and ("error" in (mine, error) or "Doubled" in statement):
            return ""  # both refuse, and not because of the graph, or when a user's own code has written already
        settle_ties(statement, ours, theirs)
        if not _same(ours.answers[-1], theirs.answers[-1]):
            return f"line {i + 1} gives {ours.answers[-1]} in minicnn, {theirs.answers[-1]} in PyTorch"
        if error and not changes_nothing(statement, error):
            return ""
    for name in theirs.tensors():
        if not _same(mine := ours.facts(name), other := theirs.facts(name)):
            return f"{name} is {mine} in minicnn, {other} in PyTorch"
    return ""


def settle_ties(statement: str, ours: World, theirs: World) -> None:
    """Of the indices of a maximum: go on with PyTorch's where rounding chose between them.

    The last digit of a softmax may make or break a tie. Then the indices differ, and what they point at does not by more than an
    error. Where the values are the same number in both libraries, the tie is real and the rule for it is compared.
    """
    found = re.fullmatch(r"(?:with .*: )?(v\d+) = (v\d+)\.max\(0\)\[1\]", statement)
    if not found or not all(found[1] in world.names for world in (ours, theirs)):
        return
    index, source = ([world.names[name].detach().numpy() for world in (ours, theirs)] for name in found.groups())
    if source[0].ndim == 0 or index[0].shape != index[1].shape:
        return
    at = [[np.take_along_axis(values, picks[None], 0)[0] for picks in index] for values in source]
    rounded = np.logical_or.reduce([mine != other for mine, other in at])
    if all(_close(mine, other) for mine, other in at):
        np.copyto(index[0], index[1], where=rounded)


def _writes_a_view(world: World, statement: str) -> bool:
    name = re.search(r"v\d+", statement)
    return name is not None and world.names[name[0]]._is_view()


def changes_nothing(statement: str, error: str) -> bool:
    """Whether the statement failed before it wrote anything; PyTorch refuses some writes when they are done."""
    if "Doubled" in statement:
        return False
    return " = " in statement.partition("[")[0] or "is being used in" in error or "is being modified" in error


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(
        np.shape(mine) == np.shape(other) and _close(mine, other)
        if isinstance(mine, np.ndarray) and isinstance(other, np.ndarray)
        else type(mine) is type(other) and mine == other
        for mine, other in zip(ours, theirs, strict=True)
    )


def _close(mine: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(mine, other, rtol=1e-7, atol=1e-9, equal_nan=True)


def shortest(statements: list[str]) -> list[str]:
    """Leave out what the difference does not need."""
    for i in reversed(range(len(statements))):
        fewer = statements[:i] + statements[i + 1 :]
        try:
            if difference(fewer):
                statements = fewer
        except NameError:
            pass
    return statements


def run(cases: int, seed: int) -> list[str]:
    """The differences among this many programs, each with its shortest program."""
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for number in tqdm(range(cases), desc="inplace", disable=cases < 1000):
            statements = Program(number, seed).statements
            if difference(statements):
                program = shortest(statements)
                found.append("\n".join([f"program {number} of seed {seed}", *program, f"-> {difference(program)}"]))
    return found
