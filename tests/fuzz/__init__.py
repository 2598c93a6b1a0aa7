"""Random programs, shapes and files, in minicnn and in PyTorch: every difference is printed with what makes it again.

    python -m tests.fuzz inplace --cases 20000 --seed 0    one part
    python -m tests.fuzz --cases 1000                      all parts

A part is a module of this folder with `run(cases, seed) -> list[str]`: the differences found, none if all is well. Case number
i of a seed is the same in every run. `CI_CASES` of the module is how many of them the test suite runs.
"""

import pkgutil
import sys
from pathlib import Path

# What all tests share lies one folder up. pytest puts that on the path; `python -m tests.fuzz` does not.
_SHARED = str(Path(__file__).resolve().parent.parent)
if _SHARED not in sys.path:
    sys.path.append(_SHARED)

PARTS = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith(("_", "test_")))
