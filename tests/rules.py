"""What a hook does, rule by rule, in both libraries.

    python tests/rules.py                    the rules, by file and topic
    python tests/rules.py prepend kwargs     the rules whose names hold both words
    python tests/rules.py NAME --logs        run them, and show both logs

Each rule is a function `rule_NAME(torch, log)` in tests/test_hooks*.py: it runs under minicnn and under PyTorch, and the
test suite demands equal logs.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from both import run, scenarios

import minicnn

HERE = Path(__file__).parent


class Rule(NamedTuple):
    name: str
    file: str
    line: int
    topic: str  # the comment line above it that ends in dashes
    function: Callable


def rules() -> Iterator[Rule]:
    """All of them, in the order of the files."""
    for path in sorted(HERE.glob("test_hooks*.py")) + sorted(HERE.glob("test_*_hooks.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for function in scenarios(vars(importlib.import_module(path.stem))):
            line = inspect.getsourcelines(function.func)[1]
            heads = [match for text in lines[:line] if (match := re.match(r"# (?:-* )?(\S.*?) -{3,}$", text))]
            topic = heads[-1].group(1) if heads else ""
            yield Rule(function.__name__.removeprefix("rule_"), path.name, line, topic, function)


def show(rule: Rule) -> bool:
    """Print the rule's source and what both libraries log. Returns whether the logs are equal."""
    print(f"\n{rule.name}   tests/{rule.file}:{rule.line}\n")
    print(textwrap.indent(inspect.getsource(rule.function.func), "    "))
    ours, theirs = run(rule.function, minicnn), run(rule.function, torch)
    if ours == theirs:
        print("  both libraries log:", *(f"    {i:2} {entry}" for i, entry in enumerate(ours)), sep="\n")
        return True
    for i in range(max(len(ours), len(theirs))):
        mine, other = (log[i] if i < len(log) else "(nothing)" for log in (ours, theirs))
        print(f"    {i:2} both {mine}" if mine == other else f"    {i:2} minicnn {mine}\n       PyTorch {other}")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="parts of a rule's name or topic")
    parser.add_argument("--logs", action="store_true", help="run the rules in both libraries and show the logs")
    args = parser.parse_args()
    found = [
        rule for rule in rules() if all(word.lower() in f"{rule.name} {rule.topic}".lower() for word in args.words)
    ]
    if not found:
        sys.exit(f"no rule has {' and '.join(map(repr, args.words))} in its name or topic")
    if args.logs:
        equal = [show(rule) for rule in found]
        print(f"\n{sum(equal)} of {len(equal)} rules log the same in both libraries")
        sys.exit(not all(equal))
    heading = None
    for rule in found:
        if heading != (heading := (rule.file, rule.topic)):
            print(f"\n{rule.topic or rule.file}   (tests/{rule.file})")
        print(f"    {rule.name}")
    print(f"\n{len(found)} rules; python tests/rules.py NAME --logs runs those that match in both libraries")


if __name__ == "__main__":
    main()
