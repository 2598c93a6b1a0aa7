"""Photographs per second through a search of all units (`viz.top_patches`), in this process and on worker processes.

    python -m tests.throughput [--photographs 4096]         # a table of three networks; the larger ones see a quarter and an eighth
    python -m tests.throughput --million FOLDER             # 1,000,000 photographs: those of a folder, again and again, under other names

Needs `pip install -e ".[cluster]"`. Times mean something on a quiet machine only.
"""

import argparse
import itertools
import os
import pickle
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minicnn
from minicnn import models, viz
from minicnn.atlas import Plan
from minicnn.cluster.dask import local_cluster
from minicnn.viz.ranking import Chunk, Found, Search, look
from minicnn.viz.sources import MAX_PIXELS, Reader, sources
from minicnn.viz.top_patches import _fields

NETWORKS = {"tinynet": 1, "resnet18": 4, "efficientnet_lite0": 8}  # and by how much fewer photographs each sees
IMAGENET, CLUSTER = 1_281_167, 100  # photographs, and workers, to which the figures are extrapolated


def search_of(name: str) -> Search:
    """What the atlas asks of a network: five photographs and a histogram for every unit."""
    plan = Plan(getattr(models, name)().eval())
    units = {layer.name: np.asarray(layer.units) for layer in plan.layers}
    fields, _ = _fields(plan.model, units, (1, plan.channels, plan.side, plan.side))
    return Search(plan.model, units, fields, 5, 128, 1, (plan.side, plan.side), plan.statistics, MAX_PIXELS, 32)


def found_on(client: Any, search: Search, photographs: list[str]) -> tuple[float, Any]:
    """Seconds of a search on a client's workers, or in this process (None)."""
    started = time.perf_counter()
    result = viz.top_patches(
        search.model, list(search.units), photographs, units=search.units, k=search.k, crop_size=1, workers=client,
        progress=False, size=search.shape, mean=search.statistics.mean, std=search.statistics.std,
    )  # fmt: skip
    return time.perf_counter() - started, result


def parts_of(search: Search, photographs: list[str]) -> dict[str, float]:
    """Seconds a photograph of decoding, and of all of a chunk; bytes a chunk there and back; seconds of a merge."""
    chunk = Chunk(0, photographs[:256])
    reader = Reader(len(search.statistics.mean))
    started = time.perf_counter()
    for photograph in chunk.sources:
        viz.fit(reader.read(photograph), search.shape)
    decoding = time.perf_counter() - started
    whole = Found(search)
    whole.merge(look(search, chunk, {}))
    started = time.perf_counter()
    part = look(search, Chunk(256, chunk.sources), whole.floors)
    looking = time.perf_counter() - started
    there, back = len(pickle.dumps((chunk, whole.floors))), len(pickle.dumps(part, protocol=5))
    started = time.perf_counter()
    whole.merge(part)
    merging = time.perf_counter() - started
    n = len(chunk.sources)
    return {"decode": decoding / n, "look": looking / n, "there": there, "back": back, "merge": merging, "size": n}


@contextmanager
def clients(workers: int) -> Iterator[Any]:
    """A client of so many new processes of one thread each."""
    import distributed

    with local_cluster(workers) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def on_each(client: Any) -> list[float]:
    """The same of each worker."""
    return list(client.run(peak).values())


def table(count: int) -> None:
    print("rates are photographs a second; one thread a worker; decoding is a share of the time")
    print(
        "network            photographs   here  1 worker  2 workers  efficiency  decoding  MB a worker  kB a chunk there, back  merge ms"
    )
    for name, fewer in NETWORKS.items():
        photographs = list(itertools.islice(itertools.cycle(sources(viz.sample_folder())), count // fewer))
        minicnn.set_num_threads(1)
        search = search_of(name)
        look(search, Chunk(0, photographs[:32]), {})  # compiles
        parts, rates, memory = parts_of(search, photographs), [], 0.0
        seconds, expected = found_on(None, search, photographs)
        rates.append(len(photographs) / seconds)
        for workers in (1, 2):
            with clients(workers) as client:
                found_on(client, search, photographs[:64])  # imports, and loads the kernels
                seconds, found = found_on(client, search, photographs)
                memory = max(on_each(client))
            rates.append(len(photographs) / seconds)
            same = [p.value for u in found.units for p in u.patches] == [
                p.value for u in expected.units for p in u.patches
            ]
            assert same, "the workers found something else"
        share = parts["decode"] / parts["look"]
        speeds = f"{rates[0]:7.1f} {rates[1]:9.1f} {rates[2]:10.1f} {rates[2] / rates[1] / 2:11.2f}"
        sent = f"{parts['there'] / 1e3:14.0f}, {parts['back'] / 1e3:6.0f} {parts['merge'] * 1e3:9.1f}"
        print(f"{name:<20} {len(photographs):9} {speeds} {share:9.0%} {memory:12.0f} {sent}", flush=True)
        hours = IMAGENET / CLUSTER / rates[1] / 3600
        client_side = IMAGENET / parts["size"] * (parts["merge"] + (parts["there"] + parts["back"]) / 1.25e8) / 3600
        print(
            f"  ImageNet's {IMAGENET:,} photographs on {CLUSTER} such workers: {hours:.2f} h of looking; one client merges and receives "
            f"(1 Gbit/s) for {client_side:.2f} h, so {max(hours, client_side):.2f} h"
        )


def million(folder: str, total: int, workers: int) -> None:
    """Memory must stay flat: it is printed ten times."""

    def again() -> Iterator[str]:
        for turn in itertools.count():
            for source in sources(folder):
                yield os.path.join(os.path.dirname(source), *["."] * turn, os.path.basename(source))

    search, started = search_of("tinynet"), time.perf_counter()

    def told(client: Any) -> Iterator[str]:
        for count, source in enumerate(itertools.islice(again(), total), 1):
            if count % (total // 10) == 0:
                seconds, used = time.perf_counter() - started, ", ".join(f"{mb:,.0f}" for mb in on_each(client))
                print(
                    f"{count:,} handed out after {seconds:,.0f} s; MB at most here {peak():,.0f}, on each worker {used}",
                    flush=True,
                )
            yield source

    with clients(workers) as client:
        result = viz.top_patches(
            search.model, list(search.units), told(client), units=search.units, k=5, crop_size=1, workers=client, progress=False,
        )  # fmt: skip
    print(
        f"{result.images:,} photographs in {result.seconds:,.0f} s with {workers} workers: {result.images / result.seconds:,.0f} a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=4096, metavar="N")
    parser.add_argument("--million", metavar="FOLDER")
    parser.add_argument("--total", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    options = parser.parse_args()
    if options.million:
        million(options.million, options.total, options.workers)
    else:
        table(options.photographs)


if __name__ == "__main__":
    sys.exit(main())
