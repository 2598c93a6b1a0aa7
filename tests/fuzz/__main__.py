"""`python -m tests.fuzz PART --cases N --seed S`: looks for differences from PyTorch, and counts them."""

from __future__ import annotations

import argparse
import importlib
import sys
import textwrap

from . import PARTS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; all if none is given")
    parser.add_argument("--cases", type=int, default=1000, help="how many of each part (1000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other cases (0)")
    options = parser.parse_args(arguments)
    unknown = [part for part in options.part if part not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    total = 0
    for part in options.part or PARTS:
        differences = importlib.import_module(f".{part}", __package__).run(options.cases, options.seed)
        for difference in differences:
            print(textwrap.indent(difference, "  "), end="\n\n")
        print(f"{part}: {options.cases} cases with seed {options.seed}, {len(differences)} differences", flush=True)
        total += len(differences)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
