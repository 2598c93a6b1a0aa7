"""Runs the lessons in order, each in a process of its own.

python -m lessons                       all of them
python -m lessons 3 gradient            those whose number or name matches
python -m lessons --photo MY.jpg        with a photograph of yours
python -m lessons 2 --model alexnet --weights alexnet-owt-7be5be79.pth        with another network
python -m lessons 2 --model mine.py:Net --weights mine.pth                    with a network of yours

With a photograph or a network of yours the claims are printed but not asserted.

python -m lessons --book                one HTML file of text, code, output and figures (needs the extra "book")
python -m lessons --notebooks           Jupyter notebooks, not yet executed (needs the extra "book")
"""

import argparse
import os
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LESSONS = sorted(HERE.glob("[0-9][0-9]_*.py"))


def chosen(wanted: list[str], another: bool) -> list[Path]:
    """The lessons whose number or name matches one of the words; all without words.

    another: of a network that is not the bundled one, which some lessons are about. SystemExit if a word matches none, or
    one of those.
    """
    for word in wanted:
        if not any(matches(path, word) for path in LESSONS):
            sys.exit(f"no lesson matches {word!r}; there are: {', '.join(path.stem for path in LESSONS)}")
    found = [path for path in LESSONS if not wanted or any(matches(path, word) for word in wanted)]
    if not another:
        return found
    fitting = [path for path in found if "Subject()" in path.read_text(encoding="utf-8")]
    if wanted and fitting != found:
        names = ", ".join(path.stem for path in found if path not in fitting)
        sys.exit(f"--model and --weights are for lessons 1, 2, 4 and 5; about the bundled network alone: {names}")
    return fitting


def matches(path: Path, word: str) -> bool:
    """Whether a lesson has this number, or this in its name."""
    return int(path.stem[:2]) == int(word) if word.isdigit() else word in path.stem


def run(lessons: list[Path], environment: dict[str, str], debug: bool) -> int:
    """Run the scripts; the number of those that failed. What went wrong is one paragraph each, with debug a traceback."""
    start = [] if debug else ["-c", "import sys; from lessons.__main__ import one; one(sys.argv[1])"]
    failed = 0
    for i, path in enumerate(lessons, 1):
        print(f"\n[{i}/{len(lessons)}] {path.stem}", flush=True)
        started = time.perf_counter()
        code = subprocess.run([sys.executable, *start, str(path)], env=environment, check=False).returncode
        failed += code != 0
        state = "done" if code == 0 else f"FAILED with exit code {code}"
        print(f"    {state} in {time.perf_counter() - started:.0f} s", flush=True)
    return failed


def one(path: str) -> None:
    """Run a script in this process, as Python would. SystemExit with one paragraph if it fails."""
    sys.argv, sys.path[0] = [path], str(HERE)
    try:
        runpy.run_path(path, run_name="__main__")
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            raise
        if isinstance(error, BrokenPipeError):
            nobody_reads()
        sys.exit(f"    {said(error)}")


def nobody_reads() -> None:
    """The reader of our output has gone, as with `| head`: leave without a word."""
    from minicnn.cli import drop_output

    drop_output()
    sys.exit(1)


def check(chosen: dict[str, str]) -> None:
    """Look at the photograph and the network before any lesson runs. SystemExit with one paragraph if they cannot be used."""
    try:
        if "LESSON_PHOTO" in chosen:
            from minicnn.viz import load_image

            load_image(chosen["LESSON_PHOTO"])
        if {"LESSON_MODEL", "LESSON_WEIGHTS"} & chosen.keys():
            from minicnn.models import from_spec
            from minicnn.viz.network import input_channels

            model = from_spec(chosen.get("LESSON_MODEL", "tinynet"), chosen.get("LESSON_WEIGHTS"))
            if (channels := input_channels(model)) != 3:
                raise ValueError(
                    f"the lessons are about networks of colour photographs, with 3 input channels; this one takes {channels} "
                    "(`minicnn filters`, `maps`, `maximize` and `atlas` take any)"
                )
    except BaseException as error:
        sys.exit(said(error.with_traceback(error.__traceback__.tb_next)))  # this function is not where it went wrong


def said(error: BaseException) -> str:
    """An error as one paragraph."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    from minicnn.cli import reason

    return reason(error)


def choices(arguments: argparse.Namespace) -> dict[str, str]:
    """What the lessons read from the environment: LESSON_PHOTO, LESSON_MODEL, LESSON_WEIGHTS, with absolute paths."""
    chosen = {}
    for name in ("photo", "weights"):
        path = getattr(arguments, name)
        if path is not None and not path.is_file():
            sys.exit(f"--{name}: no such file: {path}")
        if path is not None:
            chosen[f"LESSON_{name.upper()}"] = str(path.resolve())
    if arguments.model is not None:
        file, colon, name = arguments.model.partition(":")
        chosen["LESSON_MODEL"] = f"{Path(file).resolve()}{colon}{name}" if file.endswith(".py") else arguments.model
    return chosen


def folder(arguments: argparse.Namespace) -> Path:
    """Where the figures go: LESSON_OUT, or lessons/out; those of another network in a folder in it with its name."""
    out = Path(os.environ.get("LESSON_OUT", HERE / "out")).resolve()
    if arguments.model in (None, "tinynet") and arguments.weights is None:
        return out
    file, _, name = (arguments.model or "tinynet").partition(":")
    of = [Path(file).stem, name, arguments.weights.stem if arguments.weights else "" if name else "random_weights"]
    return out / re.sub(r"[^0-9A-Za-z-]+", "_", "_".join(part for part in of if part))


def main() -> None:
    """Read the command line and do what it asks for. Always leaves by SystemExit."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", help="numbers or parts of names; all if there are none")
    parser.add_argument("--photo", type=Path, help="a photograph in place of the sample that matplotlib installs")
    parser.add_argument(
        "--model",
        help="a network in place of the bundled one: a name of minicnn.models, or FILE.py:CLASS (lessons 1, 2, 4 and 5)",
    )
    parser.add_argument("--weights", type=Path, help="its checkpoint: .pth, .safetensors or .npz")
    parser.add_argument("--book", action="store_true", help="write lessons/out/book.html")
    parser.add_argument("--notebooks", action="store_true", help="write lessons/out/notebooks/*.ipynb")
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    arguments = parser.parse_args()
    out = folder(arguments)
    given = choices(arguments)
    environment = {**os.environ, **given, "LESSON_OUT": str(out)}
    if given:
        environment["PYTHONOPTIMIZE"] = (
            "1"  # no assert: what a lesson claims, it claims of its own photograph and network
        )
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    selected = chosen(arguments.lessons, arguments.model is not None or arguments.weights is not None)
    sys.path.insert(0, str(HERE.parent))  # where minicnn lies, if it is not installed
    if not arguments.debug:
        check(given)
    out.mkdir(parents=True, exist_ok=True)
    if arguments.book or arguments.notebooks:
        try:
            from lessons import book
        except ImportError as error:
            option = "--book" if arguments.book else "--notebooks"
            sys.exit(f"{option} needs the extra 'book' ({error}): pip install -e '.[book]'")
        os.environ.update(environment)
        sys.exit(
            book.write(selected, out / "book.html") if arguments.book else book.notebooks(selected, out / "notebooks")
        )
    try:
        failed = run(selected, environment, arguments.debug)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    print(f"\n{len(selected) - failed} of {len(selected)} lessons ran; the figures are in {out}")
    sys.exit(failed != 0)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        nobody_reads()
