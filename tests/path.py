"""The path: what a reader meets. Runs a few jobs under a tracer and says which lines of minicnn ran, in which order.

python -m tests.path                 the totals of all jobs
python -m tests.path conv hook       each function of these jobs, in the order in which it is met first
python -m tests.path --rooms         the size of each room, in lines of code
python -m tests.path --write         READING.md anew: read the code in this order

A function is met with all its comprehensions and inner functions. A line counts once, however often it runs; `def`
lines, docstrings and the imports at the top do not run. Depth is the number of frames below the caller.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import minicnn
from minicnn import kernels, nn, viz
from minicnn.models import tinynet

PACKAGE = Path(minicnn.__file__).resolve().parent
READING = PACKAGE.parent / "READING.md"


class Step(NamedTuple):
    """One function of the path."""

    file: str  # relative to the package
    name: str  # with its class: Module.__call__
    line: int  # of its def
    lines: int  # how many of its lines ran
    why: str  # the first sentence of its docstring, or ""


class Walk(NamedTuple):
    """What a job ran."""

    steps: list[Step]
    depth: int  # frames below the caller, at the deepest
    multiply_add: int  # frames below the caller where the reference convolution multiplies and adds; 0 if it did not

    @property
    def lines(self) -> int:
        return sum(step.lines for step in self.steps)

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(step.file for step in self.steps))


@functools.cache
def definitions(file: str) -> list[tuple[int, int, str, str]]:
    """(first line, last line, name, first sentence of the docstring, else of its class's) of each outer function in a file."""
    found = []

    def visit(node: ast.AST, prefix: str, inherited: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                why = _first_sentence(child) or inherited
                found.append((child.lineno, child.end_lineno or 0, prefix + child.name, why))
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.", _first_sentence(child))
            else:
                visit(child, prefix, inherited)

    visit(parsed(PACKAGE / file), "", "")
    return found


def _first_sentence(node: ast.FunctionDef | ast.ClassDef) -> str:
    text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[^. ])\. ", text)[0].removesuffix(".")


@functools.cache
def multiply_adds() -> set[int]:
    """The lines of `kernels/reference.py` in which `conv2d` adds a product."""
    tree = parsed(PACKAGE / "kernels" / "reference.py")
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "conv2d")
    return {node.lineno for node in ast.walk(function) if isinstance(node, ast.AugAssign)}


def walk(job: Callable[[], Any]) -> Walk:
    """Run `job` under a tracer."""
    ran: dict[tuple[str, int], None] = {}
    depth = multiply_add = 0
    caller = sys._getframe()

    def below(frame: FrameType | None) -> int:
        count = 0
        while frame is not None and frame is not caller:
            frame, count = frame.f_back, count + 1
        return count - 1  # the job itself

    def on_line(frame: FrameType, event: str, _: Any) -> Callable:
        nonlocal multiply_add
        if event == "line":
            file = Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()
            ran.setdefault((file, frame.f_lineno))
            if (
                file == "kernels/reference.py"
                and frame.f_code.co_name == "conv2d"
                and frame.f_lineno in multiply_adds()
            ):
                multiply_add = below(frame)
        return on_line

    def on_call(frame: FrameType, _event: str, _: Any) -> Callable | None:
        nonlocal depth
        if not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return None
        depth = max(depth, below(frame))
        return on_line

    previous = sys.gettrace()
    sys.settrace(on_call)
    try:
        job()
    finally:
        sys.settrace(previous)
    return Walk(_steps(ran), depth, multiply_add)


def _steps(ran: dict[tuple[str, int], None]) -> list[Step]:
    counts: dict[tuple[str, int, str, str], int] = {}
    for file, line in ran:
        around = [entry for entry in definitions(file) if entry[0] <= line <= entry[1]]
        start, _, name, why = around[-1] if around else (0, 0, "(the file itself)", "")
        counts[file, start, name, why] = counts.get((file, start, name, why), 0) + 1
    return [Step(file, name, start, lines, why) for (file, start, name, why), lines in counts.items()]


# --- the jobs -------------------------------------------------------------------------------------------------------


def _example() -> tuple[nn.Module, minicnn.Tensor]:
    """README's network and input, with the hook."""
    conv = nn.Conv2d(1, 1, kernel_size=3, padding=1)
    conv.register_forward_hook(lambda module, args, output: None)
    return conv, minicnn.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()


def conv(name: str = "reference") -> Walk:
    """`conv(x)` with nothing else on it, down to the multiply-add."""
    module, x = nn.Conv2d(1, 1, kernel_size=3, padding=1), minicnn.zeros(1, 1, 4, 4)
    module(x)  # what is compiled or cached once is not the path
    with kernels.use(name):
        module(x)
        return walk(lambda: module(x))


def fast() -> Walk:
    """`conv(x)` with the fast kernels."""
    return conv("fast")


def example() -> Walk:
    """README's ten lines: forward through a convolution with a hook and a ReLU, and backward to the input."""
    module, x = _example()
    with kernels.use("reference"):
        module(x)  # what is compiled or cached once is not the path
        return walk(lambda: minicnn.relu(module(x)).sum().backward())


def network() -> Walk:
    """A network of two layers, each with a forward hook, forward and backward."""
    module, x = _example()
    net = nn.Sequential(module, nn.ReLU())
    net[1].register_forward_hook(lambda module, args, output: None)
    with kernels.use("reference"):
        net(x)  # what is compiled or cached once is not the path
        return walk(lambda: net(x).sum().backward())


def hook() -> Walk:
    """A forward hook, from registration to its call, and its removal."""
    module, x = nn.ReLU(), minicnn.zeros(1)

    def job() -> None:
        handle = module.register_forward_hook(lambda module, args, output: None)
        module(x)
        handle.remove()

    job()  # what is compiled or cached once is not the path
    return walk(job)


def maximize() -> Walk:
    """Gradient ascent: `viz.maximize` of one unit of the bundled network, two steps."""
    model = tinynet("standard").eval()

    def job() -> None:
        viz.maximize(model, "features.8:12", steps=2, progress=False)

    job()  # what is compiled or cached once is not the path
    return walk(job)


JOBS: dict[str, Callable[[], Walk]] = {f.__name__: f for f in (conv, fast, example, network, hook, maximize)}


# --- the size of the rooms --------------------------------------------------------------------------------------------


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file, which is made once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below a node, without the expressions in them, of which there are ten times as many."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from statements(child)


def code_lines(path: Path) -> int:
    """How many lines of a file hold code: neither blank, nor comment, nor docstring."""
    tree, text = parsed(path), path.read_text(encoding="utf-8").splitlines()
    with_body = [
        node for node in (tree, *statements(tree)) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    ]
    docstrings = _lines_of(node.body[0] for node in with_body if ast.get_docstring(node) is not None)
    code = {k for k, line in enumerate(text, 1) if line.strip() and not line.lstrip().startswith("#")} - docstrings
    if any('"""' in text[k - 1] for k in code):  # a long text, whose blank lines are code as well
        strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
        code |= _lines_of(node for node in strings if "\n" in node.value) - docstrings
    return len(code)


def _lines_of(nodes: Iterable[ast.stmt | ast.expr]) -> set[int]:
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or 0) + 1)}


def rooms() -> dict[str, int]:
    """Lines of code of each folder directly in the package; "." is the files beside them."""
    sizes: dict[str, int] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        room = parts[0] if len(parts) > 1 else "."
        sizes[room] = sizes.get(room, 0) + code_lines(path)
    return sizes


# --- what is printed --------------------------------------------------------------------------------------------------


def totals(name: str, walked: Walk) -> str:
    """One line: the job and its numbers."""
    text = f"{name:9} {walked.lines:5} lines in {len(walked.steps)} functions of {len(walked.files)} files"
    text += f", at most {walked.depth} frames deep"
    return text + (f", {walked.multiply_add} at the multiply-add" if walked.multiply_add else "")


def table(walked: Walk) -> str:
    """Each function in the order in which it is met: how many lines of it ran, where it stands, what it is for."""
    return "\n".join(f"{s.lines:4}  {f'{s.file}:{s.line}':38} {s.name:34} {s.why}" for s in walked.steps)


PARTS = {  # job -> its title in READING.md
    conv: "From a call to the multiply-add, in the loops that define it",
    example: "README's ten lines: a hook, a ReLU, and the way back (what was met above is left out)",
    hook: "A hook, from registration to removal",
    maximize: "Gradient ascent on the bundled network (what it asks of the observatory and the optimiser)",
}


def read(job: Callable[[], Walk], walked: Walk) -> list[Step]:
    """The steps of a job that READING.md has: of the ascent, which calls half of the engine, those above the engine."""
    return [step for step in walked.steps if job is not maximize or step.file.startswith(("viz/", "optim/"))]


def reading() -> str:
    """The text of READING.md: the functions of four jobs, each where it is met first, with its reason."""
    text = ["# Read the code in this order", ""]
    text += [
        "Made by `python -m tests.path --write`, which runs four jobs under a tracer and lists each function of minicnn"
    ]
    text += [
        "where it is met first. Each sentence is the first of the function's docstring. Lesson 0 is the same in small.",
        "",
    ]
    met: set[tuple[str, str]] = set()
    for part, title in PARTS.items():
        walked = part()
        text += [f"## {title}", ""]
        if part is not maximize:  # there it depends on which thread is done first, by a line or two
            text += [f"`{totals(part.__name__, walked).split(maxsplit=1)[1]}`", ""]
        file = ""
        for step in read(part, walked):
            if (step.file, step.name) in met:
                continue
            met.add((step.file, step.name))
            if step.file != file:
                file = step.file
                text += [f"\n[minicnn/{file}](minicnn/{file})\n"]
            text += [f"- `{step.name}`: {step.why}"]
        text += [""]
    return "\n".join(text).replace("\n\n\n", "\n\n").rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.path", description=__doc__.partition("\n")[0])
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], help=f"of {', '.join(JOBS)}; none: the totals of all")
    parser.add_argument("--rooms", action="store_true", help="lines of code of each room")
    parser.add_argument("--write", action="store_true", help="write READING.md")
    arguments = parser.parse_args()
    if arguments.rooms:
        sizes = rooms()
        print("\n".join(f"{lines:6}  {room}" for room, lines in sizes.items()))
        print(f"{sum(sizes.values()):6}  in all")
        return
    if arguments.write:
        READING.write_text(reading(), encoding="utf-8")
        print(f"wrote {READING}")
        return
    for name in arguments.jobs or JOBS:
        walked = JOBS[name]()
        if arguments.jobs:
            print(f"{JOBS[name].__doc__}\n\n{table(walked)}\n")
        print(totals(name, walked))


if __name__ == "__main__":
    main()
