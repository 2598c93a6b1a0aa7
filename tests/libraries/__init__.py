"""Libraries that were written for PyTorch, as installed from PyPI, run on minicnn, and give PyTorch's numbers.

    python3 -m venv /tmp/lib && /tmp/lib/bin/pip install -q -e ".[libraries-need]"
    /tmp/lib/bin/pip install -q --no-deps $(/tmp/lib/bin/python -m tests.libraries --packages)
    /tmp/lib/bin/python -m tests.libraries            # all; --help for more

PyTorch itself is not installed there: the libraries come without what they say they need, so that nothing of it leaks in. Their
versions are pinned in pyproject.toml, in the extra `libraries`.
What PyTorch computed is in `recorded.json`, written by `--record` in an environment with PyTorch.

A library is a file `of_NAME.py`. It has the `DISTRIBUTION` that pip installs, and `cases()`: {name: a function of a type}, where the
function runs the library in this type, float64 or float32, and returns its outputs and gradients as tensors. It imports the library
only when it is called. In float64 its numbers are PyTorch's to 1e-10 of their root mean square. Random numbers are not PyTorch's: what
draws is called so that it does not matter what it draws.

Some lines of libraries write float32, whatever the network's type. The file says which, and `FLOAT32_INSIDE` names the cases that run
them. Such a case is compared twice: within the file's `exact()`, which puts float64 into these lines, to 1e-10 like the others; and as
installed. Then no number may be farther from PyTorch's than PyTorch's worst number is from what it is within `exact()`, which `--record`
measures and writes down. `FLOAT32 = False` in a file says that its cases are in float64 only.
"""
