"""Runs the lessons in order, each in a process of its own.

python -m lessons                       all of them
python -m lessons 3 gradient            those whose number or name matches
python -m lessons --photo MY.jpg        with a photograph of yours
python -m lessons 2 --model alexnet --weights alexnet-owt-7be5be79.pth        with another network
python -m lessons 2 --model mine.py:Net --weights mine.pth                    with a network of yours
python -m lessons --book                one HTML file of text, code, output and figures (needs the extra "book")
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE / "out"
LESSONS = sorted(HERE.glob("[0-9][0-9]_*.py"))


def chosen(wanted: list[str]) -> list[Path]:
    """The lessons whose number or name matches one of the words; all without words. SystemExit if a word matches none."""
    for word in wanted:
        if not any(matches(path, word) for path in LESSONS):
            sys.exit(f"no lesson matches {word!r}; there are: {', '.join(path.stem for path in LESSONS)}")
    return [path for path in LESSONS if not wanted or any(matches(path, word) for word in wanted)]


def matches(path: Path, word: str) -> bool:
    return int(path.stem[:2]) == int(word) if word.isdigit() else word in path.stem


def run(lessons: list[Path], environment: dict[str, str]) -> int:
    """Run the scripts; the number of those that failed."""
    failed = 0
    for i, path in enumerate(lessons, 1):
        print(f"\n[{i}/{len(lessons)}] {path.stem}", flush=True)
        started = time.perf_counter()
        code = subprocess.run([sys.executable, str(path)], env=environment, check=False).returncode
        failed += code != 0
        state = "done" if code == 0 else f"FAILED with exit code {code}"
        print(f"    {state} in {time.perf_counter() - started:.0f} s", flush=True)
    return failed


def book(lessons: list[Path], environment: dict[str, str]) -> Path:
    """Execute the lessons as notebooks and join them into one self-contained HTML file."""
    try:
        import jupytext
        import nbformat
        from nbconvert import HTMLExporter
        from nbconvert.preprocessors import ExecutePreprocessor
    except ImportError as error:
        sys.exit(f"--book needs the extra 'book' ({error}): pip install -e '.[book]'")
    os.environ.update(environment)
    whole = None
    for i, path in enumerate(lessons, 1):
        print(f"[{i}/{len(lessons)}] {path.stem}", flush=True)
        notebook = jupytext.read(path)
        ExecutePreprocessor(timeout=1800, kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(HERE)}})
        if whole is None:
            whole = notebook
        else:
            whole.cells += notebook.cells
    for cell in whole.cells:
        cell["id"] = nbformat.v4.new_code_cell()["id"]
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(whole, {"metadata": {"name": "minicnn: the lessons"}})
    target = OUT / "book.html"
    target.write_text(html, encoding="utf-8")
    return target


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


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lessons", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", help="numbers or parts of names; all if there are none")
    parser.add_argument("--photo", type=Path, help="a photograph in place of the sample that matplotlib installs")
    parser.add_argument(
        "--model",
        help="a network in place of the bundled one: a name of minicnn.models, or FILE.py:CLASS (lessons 1 to 4)",
    )
    parser.add_argument("--weights", type=Path, help="its checkpoint: .pth, .safetensors or .npz")
    parser.add_argument("--book", action="store_true", help="write lessons/out/book.html")
    arguments = parser.parse_args()
    environment = {**os.environ, **choices(arguments)}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    OUT.mkdir(exist_ok=True)
    selected = chosen(arguments.lessons)
    if arguments.book:
        print(f"the book is {book(selected, environment)}")
        return
    failed = run(selected, environment)
    print(f"\n{len(selected) - failed} of {len(selected)} lessons ran; the figures are in {OUT}")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
