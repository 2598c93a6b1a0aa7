"""What all tests share: no window, no deadline that a slow machine could miss, the same examples in every run."""

import gc
import os

os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

import minicnn
from minicnn import nn

try:  # the judge: minicnn is to behave as the PyTorch that is installed. `.ci/matrix` has none.
    from torch import __version__ as judge
except ImportError:
    pass
else:
    minicnn.utils.hooks.mirror(judge)

# The collector looks for cycles after so many new objects, not after 700: it took more time than many a test.
gc.set_threshold(20_000)

settings.register_profile("minicnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("minicnn")


def pytest_collection_finish() -> None:
    """The thousands of tests are not looked through again each time that one of them collects garbage."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Nor is what a file of tests has left behind for good: modules that it imported, and the reports of its tests."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def net() -> nn.Module:
    """A small network of maps: (N, 3, H, W) -> (N, 8, about H / 4, about W / 4)."""
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
    )
