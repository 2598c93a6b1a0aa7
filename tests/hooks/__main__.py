"""Shows what a hook does: the rule, the code, and its log in minicnn and in PyTorch, side by side.

Of the PyTorch that is installed, or of one that is recorded (`--version`); `--changes` compares two recorded ones.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import textwrap

from . import recorded
from .api import differences, is_here
from .catalogue import GROUPS, Scenario, everything, group_statement
from .changes import CHANGES, KINDS
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


def show(scenario: Scenario, width: int, version: str | None) -> bool:
    """Print one scenario beside the PyTorch that is installed, or a recorded one; whether both logs are equal."""
    from both import run

    import minicnn

    if version is None:
        import torch

        with minicnn.utils.hooks.mirror(torch.__version__):
            ours = run(scenario.function, minicnn)
        theirs, name = run(scenario.function, torch), torch.__version__
    else:
        ours = run(scenario.function, minicnn)
        theirs, name = recorded.log(scenario, version), f"{version} (recorded)"
    print_head(scenario, width)
    if theirs is None:
        print(f"     was not recorded under {version} since it was written or changed")
        return True
    equal = print_logs(ours, theirs, "minicnn", f"PyTorch {name}", width)
    print("     equal" if equal else "     DIFFERENT, see the lines with a '!'")
    if version is not None and not equal:
        with minicnn.utils.hooks.mirror(version):
            equal = run(scenario.function, minicnn) == theirs
        print(f'     under minicnn.utils.hooks.mirror("{version}"): {"equal" if equal else "different too"}')
        print_changes(scenario, *sorted((version, recorded.BASE), key=recorded.numbers), width)
    return equal


def print_head(scenario: Scenario, width: int) -> None:
    print(f"\n{scenario}\n\n{textwrap.indent(textwrap.fill(scenario.statement, width - 2), '  ')}\n")
    print(textwrap.indent(scenario.source.rstrip(), "    ") + "\n")


def print_logs(ours: list, theirs: list, left_title: str, right_title: str, width: int) -> bool:
    column = (width - 6) // 2
    print(f"     {left_title:<{column}}| {right_title}")
    for i, (mine, other) in enumerate(itertools.zip_longest(ours, theirs, fillvalue=None)):
        sign = "" if mine == other else "!"
        left, right = (textwrap.wrap("-" if entry is None else line(entry), column - 1) for entry in (mine, other))
        for k, (a, b) in enumerate(itertools.zip_longest(left, right, fillvalue="")):
            print(f"{sign:1}{i if k == 0 else '':>3} {a:<{column}}| {b}")
    return ours == theirs


def print_changes(scenario: Scenario, older: str, newer: str, width: int) -> None:
    for change in CHANGES:
        if change.concerns(scenario) and change.between(older, newer):
            print(textwrap.indent(textwrap.fill(f"Since {change.since}: {change.text}", width - 5), "     "))


def show_changes(chosen: list[Scenario], older: str, newer: str, width: int) -> None:
    """What changed between two recorded versions in these rules: first in words, then the logs that differ."""
    differ = []
    for scenario in chosen:
        old, new = recorded.log(scenario, older), recorded.log(scenario, newer)
        if old is not None and new is not None and old != new:
            differ.append((scenario, old, new))
    print(f"From PyTorch {older} to {newer}: {len(differ)} of {len(chosen)} rules log something else.")
    for kind, meaning in KINDS.items():
        told = [
            c for c in CHANGES if c.kind == kind and c.between(older, newer) and any(c.concerns(s) for s, *_ in differ)
        ]
        if told:
            print(f"\n{kind}: {meaning}")
        for change in told:
            print(textwrap.indent(textwrap.fill(f"{change.since}: {change.text}", width - 4), "  "))
    for scenario, old, new in differ:
        print_head(scenario, width)
        print_changes(scenario, older, newer, width)
        print_logs(old, new, f"PyTorch {older}", f"PyTorch {newer}", width)


def show_versions(chosen: list[Scenario]) -> None:
    """The table of versions and rules."""
    versions = recorded.versions()
    table = {str(scenario): recorded.letters(scenario) for scenario in chosen}
    print(f"Rules that log what they log in {recorded.BASE}, of those that were recorded under the version:")
    for version in versions:
        column = [row[version] for row in table.values() if row[version]]
        print(f"  {version:>7}  {column.count('=')} of {len(column)}")
    print("\nThe others ('=': as in " + recorded.BASE + "; the same letter: the same log; blank: not recorded)\n")
    print(f"  {' '.join(f'{version:>6}' for version in versions)}")
    for name, row in table.items():
        if set(row.values()) - {"=", ""}:
            print(f"  {' '.join(f'{row[version]:>6}' for version in versions)}  {name}")


def show_names(older: str, newer: str, words: list[str]) -> None:
    """Which public names came and went between two recorded versions, and whose parameters changed."""
    found = [d for d in differences(recorded.names(older), recorded.names(newer)) if all(w in d.name for w in words)]
    print(
        f"From PyTorch {older} to {newer}: {len(found)} public names around hooks differ{' with these words' * bool(words)}."
    )
    for title, here in (("minicnn has:", True), ("minicnn does not have:", False)):
        for what, chosen in (
            ("new", [d for d in found if d.old is None]),
            ("gone", [d for d in found if d.new is None]),
            ("other parameters", [d for d in found if d.old is not None and d.new is not None]),
        ):
            texts = [d.text for d in chosen if is_here(d.name) == here]
            if texts:
                print(f"\n{what}, which {title}")
            for text in texts:
                print(textwrap.indent(text, "  "))


def line(entry: tuple) -> str:
    return ", ".join(value if isinstance(value, str) else repr(value) for value in entry)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hooks", description=__doc__)
    parser.add_argument("name", nargs="*", help="a group, a rule, or words that are in a rule's name")
    parser.add_argument("--list", action="store_true", help="list the rules by group")
    parser.add_argument("--differences", action="store_true", help="list what is known to differ from PyTorch")
    parser.add_argument("--version", metavar="V", help="show a recorded PyTorch instead of the installed one")
    parser.add_argument("--versions", action="store_true", help="the table of recorded versions")
    parser.add_argument("--changes", nargs=2, metavar=("A", "B"), help="what changed between two recorded versions")
    parser.add_argument("--names", nargs=2, metavar=("A", "B"), help="names and parameters that differ in two versions")
    parser.add_argument("--page", action="store_true", help="print HOOKS.md")
    parser.add_argument("--record", action="store_true", help="record what the installed PyTorch does")
    options = parser.parse_args(arguments)
    if options.record:
        print(recorded.record())
        return 0
    if options.page:
        from .history import page

        print(page(), end="")
        return 0
    if options.differences:
        for what, why in DIFFERENCES.items():
            print(f"\n{what}\n{textwrap.indent(textwrap.fill(why, 110), '    ')}")
        return 0
    words = [] if options.names else options.name
    chosen = [s for s in everything() if all(word in str(s) for word in words)]
    exact = [s for s in chosen if options.name and options.name[0] in (str(s), s.name)]
    if not chosen:
        parser.error(f"no rule with {' '.join(options.name)} in its name; --list shows all")
    width = min(shutil.get_terminal_size((150, 40)).columns, 170)
    try:
        version = options.version and recorded.resolve(options.version)
        changes = sorted(map(recorded.resolve, options.changes), key=recorded.numbers) if options.changes else None
        between = sorted(map(recorded.resolve, options.names), key=recorded.numbers) if options.names else None
    except ValueError as error:
        parser.error(str(error))
    if options.versions:
        show_versions(chosen)
        return 0
    if between:
        show_names(*between, options.name)
        return 0
    if changes:
        show_changes(exact or chosen, *changes, width)
        return 0
    if options.list or not options.name:
        show_list(chosen)
        return 0
    equal = [show(scenario, width, version) for scenario in exact or chosen]
    if len(equal) > 1:
        print(f"\n{len(equal)} scenarios, {sum(equal)} with equal logs")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
