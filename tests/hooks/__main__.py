"""Shows what a hook does: the rule, the code, and its log in minicnn and in PyTorch, side by side."""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import textwrap

import minicnn

from .catalogue import GROUPS, Scenario, group_statement, scenarios
from .differences import DIFFERENCES


def show_list(chosen: list[Scenario]) -> None:
    for group in GROUPS:
        rules = {scenario.rule: scenario for scenario in chosen if scenario.group == group}
        if rules:
            print(f"\n{group}: {group_statement(group)}")
        for rule, scenario in rules.items():
            name = scenario.name.split("[")[0] if hasattr(rule, "cases") else scenario.name
            variants = f" [{', '.join(rule.cases)}]" if hasattr(rule, "cases") else ""
            print(f"  {group}.{name}{variants}")
            print(textwrap.indent(textwrap.fill(scenario.statement, 110), "      "))


def show(scenario: Scenario, width: int) -> bool:
    """Print one scenario; whether both logs are equal."""
    import torch
    from both import run

    ours, theirs = run(scenario.function, minicnn), run(scenario.function, torch)
    print(f"\n{scenario}\n\n{textwrap.indent(textwrap.fill(scenario.statement, width - 2), '  ')}\n")
    print(textwrap.indent(scenario.source.rstrip(), "    ") + "\n")
    column = (width - 6) // 2
    print(f"     {'minicnn':<{column}}| PyTorch {torch.__version__}")
    for i, (mine, other) in enumerate(itertools.zip_longest(ours, theirs, fillvalue=None)):
        sign = "" if mine == other else "!"
        left, right = (textwrap.wrap("-" if entry is None else line(entry), column - 1) for entry in (mine, other))
        for k, (a, b) in enumerate(itertools.zip_longest(left, right, fillvalue="")):
            print(f"{sign:1}{i if k == 0 else '':>3} {a:<{column}}| {b}")
    print("     equal" if ours == theirs else "     DIFFERENT, see the lines with a '!'")
    return ours == theirs


def line(entry: tuple) -> str:
    return ", ".join(value if isinstance(value, str) else repr(value) for value in entry)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hooks", description=__doc__)
    parser.add_argument("name", nargs="*", help="a group, a rule, or words that are in a rule's name")
    parser.add_argument("--list", action="store_true", help="list the rules by group")
    parser.add_argument("--differences", action="store_true", help="list what is known to differ from PyTorch")
    options = parser.parse_args(arguments)
    if options.differences:
        for what, why in DIFFERENCES.items():
            print(f"\n{what}\n{textwrap.indent(textwrap.fill(why, 110), '    ')}")
        return 0
    chosen = [s for s in scenarios() if all(word in str(s) for word in options.name)]
    exact = [s for s in chosen if options.name and options.name[0] in (str(s), s.name)]
    if not chosen:
        parser.error(f"no rule with {' '.join(options.name)} in its name; --list shows all")
    if options.list or not options.name:
        show_list(chosen)
        return 0
    width = min(shutil.get_terminal_size((150, 40)).columns, 170)
    equal = [show(scenario, width) for scenario in exact or chosen]
    if len(equal) > 1:
        print(f"\n{len(equal)} scenarios, {sum(equal)} with equal logs")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
