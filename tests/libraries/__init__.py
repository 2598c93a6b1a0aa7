"""Libraries that were written for PyTorch, as installed from PyPI, run on minicnn, and give PyTorch's numbers.

    python3 -m venv /tmp/lib && /tmp/lib/bin/pip install -q -e ".[libraries-need]"
    /tmp/lib/bin/pip install -q --no-deps $(/tmp/lib/bin/python -m tests.libraries --packages)
    /tmp/lib/bin/python -m tests.libraries            # all; --help for more

PyTorch itself is not installed there: the libraries come without what they say they need, so that nothing of it leaks in. Their
versions are pinned in pyproject.toml, in the extra `libraries`.
What PyTorch computed is in `recorded.json`, written by `--record` in an environment with PyTorch.

A library is a file `of_NAME.py`. It has the `DISTRIBUTION` that pip installs, and `cases()`: {name: a function of a type}, where the
function runs the library in this type, float64 or float32, and returns its outputs and gradients as tensors. It imports the library
only when it is called. `FLOAT32 = False` says that the cases are compared in float64 only; `ROUNDS = {"A": 8}` that cases whose names
begin so work in float32 on the way, whatever the network's type: then they may be as far off as PyTorch's own float32 is from its
float64, or by eight of float32's steps. Random numbers are not PyTorch's: what draws is called so that it does not matter what it draws.
"""
