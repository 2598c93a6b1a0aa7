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


def test_random_sampler():
    sampler = minicnn.utils.data.RandomSampler
    draws = [list(sampler(range(10), generator=minicnn.Generator().manual_seed(3))) for _ in range(2)]
    assert draws[0] == draws[1] and sorted(draws[0]) == list(range(10)) and draws[0] != sorted(draws[0])
    longer = sampler(range(4), num_samples=10)
    order = list(longer)
    assert len(longer) == len(order) == 10
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3] and set(order[8:]) <= {0, 1, 2, 3}
    twice = list(sampler(range(5), replacement=True, num_samples=200))
    assert len(twice) == 200 and set(twice) == set(range(5)) and sorted(twice[:5] * 40) != sorted(twice)
    assert list(sampler([])) == [] and len(sampler(range(3))) == 3
    with pytest.raises(ValueError, match="positive integer value, but got num_samples=0"):
        sampler(range(3), num_samples=0)


def test_a_loader_takes_the_arguments_of_pytorchs():
    """Those of worker processes change nothing; a generator shuffles."""
    x = minicnn.utils.data.TensorDataset(minicnn.arange(8))

    def batches():
        loader = minicnn.utils.data.DataLoader(
            x, batch_size=4, shuffle=True, num_workers=2, pin_memory=True, worker_init_fn=print, prefetch_factor=4,
            persistent_workers=True, generator=minicnn.Generator().manual_seed(1),
        )  # fmt: skip
        return [batch[0].tolist() for batch in loader]

    assert batches() == batches() and sorted(k for batch in batches() for k in batch) == list(range(8))


class Counting:
    def __iter__(self):
        return iter(range(7))


@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}, {}])
def test_items_one_after_another(options):
    def batches(lib):
        dataset = type("Numbers", (Counting, lib.utils.data.IterableDataset), {})()
        return [
            batch.tolist() if hasattr(batch, "tolist") else batch
            for batch in lib.utils.data.DataLoader(dataset, **options)
        ]

    assert batches(minicnn) == batches(torch)


def test_items_one_after_another_cannot_be_shuffled():
    for lib in (minicnn, torch):
        dataset = type("Numbers", (Counting, lib.utils.data.IterableDataset), {})()
        with pytest.raises(ValueError, match="expected unspecified"):
            lib.utils.data.DataLoader(dataset, shuffle=True)
        with pytest.raises(TypeError):
            len(lib.utils.data.DataLoader(dataset))
