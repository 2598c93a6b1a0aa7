"""Workers of Dask, real processes on this machine, some of which are ended in the middle."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

import minicnn
from minicnn import nn, viz
from minicnn.cluster import in_chunks

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
dask_ = pytest.importorskip("minicnn.cluster.dask")


def numbers(result):
    return sorted(chunk for chunk, _ in result), sorted(value for _, value in result)


@contextmanager
def cluster(workers: int = 2):
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs="CRITICAL"
    ) as local, distributed.Client(local, set_as_default=False) as client:  # fmt: skip
        yield client


def double(shared, chunk, latest):
    time.sleep(0.02)
    return chunk * shared


def test_each_chunk_once_and_no_more_ahead_than_the_workers_need():
    read = []

    def some():
        for i in range(30):
            read.append(i)
            yield i

    with cluster() as client:
        results = in_chunks(double, 2, some(), lambda: None, client)
        first = next(results)
        assert len(read) <= 2 * dask_.AHEAD + 2
        found = [first, *results]
        assert client.status == "running", "a client that was given is not closed"
    assert numbers(found) == (list(range(30)), list(range(0, 60, 2)))


def long(shared, chunk, latest):
    time.sleep(1)


def test_who_waits_for_the_workers_leaves_the_processor_to_them(monkeypatch):
    """Counted: the client looks after the workers about once a second."""
    looked, look = [], dask_._Hand._workers

    def counting(hand):
        looked.append(hand)
        return look(hand)

    monkeypatch.setattr(dask_._Hand, "_workers", counting)
    with cluster(1) as client:
        assert len(list(in_chunks(long, None, range(3), lambda: None, client))) == 3
    assert len(looked) < 30


def memory(shared, chunk, latest):
    """How many pages of a fresh array had to be brought, when one of its size has just been freed."""
    import resource

    np.ones(1 << 18)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(1 << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not minicnn.kernels.keep_memory(), reason="the limits are glibc's, or the caller's")
def test_a_worker_uses_freed_memory_again():
    """Dask gives each of its processes a limit of its own."""
    with cluster(1) as client:
        assert client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result() == "65536"
        ((_, faults),) = in_chunks(memory, None, [0], lambda: None, client)
    assert faults < 100  # of 512


def fails(shared, chunk, latest):
    if chunk == 3:
        raise ZeroDivisionError("chunk 3")
    return chunk


def test_processes_of_our_own_keep_no_diary():
    """Dask's profiles of 1000 seconds, and its last 1000 messages with all that they carried, would make each worker grow."""

    def kept(dask_worker):
        log, profiles = dask_worker.state.stimulus_log, dask_worker.profile_history
        return log.maxlen, profiles.maxlen, len(profiles), "profile" in dask_worker.periodic_callbacks

    with dask_.local_cluster(1) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        assert list(client.run(kept).values()) == [(10, 10, 0, False)]
        assert cluster.scheduler.transition_log.maxlen == 10
    assert dask.config.get("distributed.admin.low-level-log-length") == 1000  # what else is begun here keeps its own


def test_an_error_of_the_work_is_raised_as_it_is():
    with cluster(1) as client:
        with pytest.raises(ZeroDivisionError, match="chunk 3"):
            list(in_chunks(fails, None, range(8), lambda: None, client))
        assert list(in_chunks(double, 1, [5], lambda: None, client)) == [(5, 5)]


def ends_its_worker(shared, chunk, latest):
    """Each chunk of a list ends the worker that has it, once."""
    mark = os.path.join(shared, str(chunk))
    if chunk in (2, 5) and not os.path.exists(mark):
        open(mark, "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return chunk


def test_a_worker_that_ends_loses_nothing(tmp_path):
    with cluster() as client:
        found = list(in_chunks(ends_its_worker, str(tmp_path), range(12), lambda: None, client))
    assert numbers(found) == (list(range(12)), list(range(12)))
    assert sorted(os.listdir(tmp_path)) == ["2", "5"]


def full_disk(shared, chunk, latest):
    """One worker has no space left."""
    worker = distributed.get_worker().name
    if worker == 0:
        raise OSError(28, "No space left on device")
    return worker


def test_a_worker_with_a_full_disk_passes_its_chunks_on():
    with cluster() as client:
        found = list(in_chunks(full_disk, None, range(6), lambda: None, client))
    assert numbers(found) == (list(range(6)), [1] * 6)


def full_disks(shared, chunk, latest):
    raise OSError(28, "No space left on device")


def test_when_all_disks_are_full_the_error_says_so():
    with cluster() as client, pytest.raises(dask_.WorkerError, match=r"4 workers had a fault.*No space left"):
        list(in_chunks(full_disks, None, range(6), lambda: None, client))


def always_ends(shared, chunk, latest):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_chunk_that_ends_every_worker_is_an_error():
    with cluster() as client, pytest.raises(dask_.WorkerError, match="ended each worker|lost with its worker 10 times"):
        list(in_chunks(always_ends, None, [1], lambda: None, client))


def program(*arguments: str) -> subprocess.Popen:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@contextmanager
def scheduler(port: int):
    """A scheduler of its own with one worker, as a user starts them."""
    address = f"tcp://127.0.0.1:{port}"
    started = [program("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
    started.append(program("dask_worker", address, "--nthreads", "1", "--no-dashboard"))
    try:
        yield address
    finally:
        for process in started[::-1]:
            process.kill()
            process.wait()


def test_a_scheduler_that_is_started_anew():
    port, found = free_port(), []
    with scheduler(port) as address:
        results = in_chunks(double, 3, range(40), lambda: None, address)
        for _ in range(7):
            found.append(next(results))
    with scheduler(port):
        found += results
    assert numbers(found) == (list(range(40)), list(range(0, 120, 3)))


@pytest.mark.parametrize("workers", [0, True, 2.0, []])
def test_workers_of_another_kind(workers):
    with pytest.raises(TypeError, match="a number of processes, a scheduler's address or a distributed.Client"):
        list(in_chunks(double, 1, [1], lambda: None, workers))


# ---- the search and the ascent


def network() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(864, 3)
    )


def test_a_search_on_workers_is_equal_bit_for_bit(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (14, 14, 3), dtype=np.uint8) for _ in range(60)]
    pictures[7] = np.zeros((2, 2), complex)

    def searched(**how):
        return viz.top_patches(network(), ["0", "2", "5"], pictures, k=3, size=14, batch=4, progress=False, **how)

    monkeypatch.setattr(sys.modules["minicnn.viz.top_patches"], "CHUNK", 1)
    here, there = searched(), searched(workers=2, checkpoint=tmp_path / "kept.npz")
    assert here.skipped == there.skipped and len(here.skipped) == 1 and here.images == there.images == 59
    for one, two in zip(here.units, there.units, strict=True):
        assert [(p.number, p.value, p.box, p.pixels.tobytes()) for p in one.patches] == [
            (p.number, p.value, p.box, p.pixels.tobytes()) for p in two.patches
        ]
        np.testing.assert_array_equal(one.histogram.counts, two.histogram.counts)
        assert one.histogram.mean == two.histogram.mean
    assert searched(checkpoint=tmp_path / "kept.npz").images == 59


def test_an_atlas_made_by_workers_is_the_same(tmp_path):
    from minicnn import atlas

    photographs = viz.sample_folder()
    for name, workers in (("here", None), ("there", 2)):
        atlas.build(
            network(), tmp_path / f"{name}.html", title="A", size=14, steps=4, folder=photographs, patches=2, workers=workers,
            progress=False, say=lambda line: None,
        )  # fmt: skip
    assert (tmp_path / "here.html").read_bytes() == (tmp_path / "there.html").read_bytes()
