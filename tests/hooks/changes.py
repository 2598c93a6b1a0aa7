"""What changed in PyTorch, in words: the table behind `python -m tests.hooks --changes` and HOOKS.md.

Where logs of two versions in a row differ, a line of this table says why, and each line is about such a difference
(`test_recorded.py`). A change that is `mirrored` is one that `minicnn.utils.hooks.mirror` switches; one that is `ahead` is
newer than the version that minicnn follows, and there all the same, whatever is mirrored.
"""

from .change import BASE, KINDS, Change, covers, minor
from .changes_before_2_7 import CHANGES as BEFORE_2_7
from .changes_since_2_7 import CHANGES as SINCE_2_7
from .changes_since_2_7 import TOLD

__all__ = ["BASE", "CHANGES", "KINDS", "TOLD", "Change", "covers", "minor"]

CHANGES = (*SINCE_2_7, *BEFORE_2_7)
