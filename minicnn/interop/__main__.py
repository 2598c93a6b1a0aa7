"""`python -m minicnn.interop script.py ...`: a script that was written for PyTorch, as it is, on minicnn."""

import os
import runpy
import sys

from minicnn.interop.alias import as_torch


def main() -> None:
    """Runs the script that the command line names, with the arguments after it."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("python -m minicnn.interop SCRIPT.py [ARGUMENTS]: runs a script written for PyTorch on minicnn")
    del sys.argv[0]
    if not os.path.exists(sys.argv[0]):
        sys.exit(f"python -m minicnn.interop: there is no file {sys.argv[0]}")
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    as_torch()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
