"""`minicnn.utils.data`: the batches that PyTorch's loader gives, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch.utils.data

import minicnn


class Squares:
    """Item i is (i^2 as an array, i)."""

    def __getitem__(self, index):
        return np.array([index**2], np.float32), index

    def __len__(self):
        return 5


OPTIONS = {
    "batches of two": {"batch_size": 2},
    "the last one dropped": {"batch_size": 2, "drop_last": True},
    "one by one": {"batch_size": None},
    "one by one, as a sampler says": {"batch_size": None, "sampler": [4, 0]},
    "an empty sampler": {"sampler": []},
    "a sampler": {"sampler": [3, 1, 1], "batch_size": 2},
    "a batch sampler": {"batch_sampler": [[0, 3], [1]]},
    "an empty batch sampler": {"batch_sampler": []},
    "a collate_fn": {"batch_size": 2, "collate_fn": lambda items: [index for _, index in items]},
    "a collate_fn for single items": {"batch_size": None, "collate_fn": lambda item: item[1]},
    "no size and drop_last": {"batch_size": None, "drop_last": True},
    "a size of 0": {"batch_size": 0},
    "a negative size": {"batch_size": -2},
    "shuffle and sampler": {"shuffle": True, "sampler": [0]},
    "batch_sampler and size": {"batch_sampler": [[0]], "batch_size": 2},
}


def plain(value):
    if hasattr(value, "tolist"):
        return str(value.dtype), list(value.shape), value.tolist()
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def seen(lib, options):
    try:
        loader = lib.utils.data.DataLoader(Squares(), **options)
        return len(loader), [plain(batch) for batch in loader]
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_loader(options):
    assert seen(minicnn, options) == seen(torch, options)


def test_shuffle_gives_every_item_once():
    indices = [
        i for _, batch in minicnn.utils.data.DataLoader(Squares(), batch_size=2, shuffle=True) for i in batch.tolist()
    ]
    assert sorted(indices) == [0, 1, 2, 3, 4]
