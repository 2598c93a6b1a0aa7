"""The rules of hooks. Each is a scenario: one function that runs in minicnn and in PyTorch, whose logs must be equal.

    python -m tests.hooks --list            the rules, by group
    python -m tests.hooks removed           the rules with this word in their name: rule, code, both logs side by side
    python -m tests.hooks removed --version 2.6   the same beside a recorded PyTorch; --versions lists them
    python -m tests.hooks removed --changes 2.6 2.13   what changed between two of them
    python -m tests.hooks --differences     what is known to differ, and why
    python -m tests.hooks.programs          random modules, hooks and backward passes, compared in the same way

A group of rules is a file in this folder. `differences.py` is the list of what is known to differ.
"""

import sys
from pathlib import Path

# What all tests share lies one folder up. pytest puts that on the path; `python -m tests.hooks` does not.
_SHARED = str(Path(__file__).resolve().parent.parent)
if _SHARED not in sys.path:
    sys.path.append(_SHARED)
