"""What all tests share: no window, no deadline that a slow machine could miss, the same examples in every run."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

settings.register_profile("minicnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("minicnn")
