"""Chunks on the workers of Dask: handed out a few at a time, handed out again where a worker or the scheduler was lost."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import Any

from minicnn.cluster.faults import is_machines_fault

AHEAD = 2  # chunks that each worker has: one in work, and one that waits
TRIES = 4  # of a chunk, on another worker each time
MOST_LOST, LOST = 10, ""  # times that a chunk may be lost with its worker or the scheduler
PATIENCE = 120.0  # seconds without a scheduler or a worker, before that is an error
# What Dask keeps unasked: the stacks of what a worker did, a hundred times a second, for its last 1000 seconds, and the last 1000
# messages. A search made each process grow by 30 MB in four minutes.
NO_DIARY = {"distributed.worker.profile.enabled": False, "distributed.admin.low-level-log-length": 10}
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerError(RuntimeError):
    """A chunk could not be finished on any worker."""


def on_workers(
    work: Callable[..., Any], shared: Any, chunks: Iterable[Any], latest: Callable[[], Any], workers: Any
) -> Iterator[tuple[Any, Any]]:
    """`in_chunks` on workers. A chunk whose worker ended is handed out again by Dask; one whose worker has a fault of its own (a full
    disk), on another worker; all that was out, when the scheduler came back. None is yielded twice.

    Raises what `work` raises; `WorkerError` after TRIES faults, or PATIENCE seconds without a worker.
    """
    with _client(workers) as client, closing(_Hand(client, work, shared, latest)) as hand:
        stream = iter(chunks)
        for chunk in islice(stream, max(1, AHEAD * hand.threads)):
            hand.out(chunk)
        while hand.pending:
            for chunk, result in hand.finished():
                for following in islice(stream, 1 + max(0, AHEAD * hand.threads - len(hand.pending) - 1)):
                    hand.out(following)
                yield chunk, result


@contextmanager
def _client(workers: Any) -> Iterator[Any]:
    """A client: the one that was given, one of this scheduler, or one of so many new processes."""
    try:
        import distributed
    except ImportError as error:
        raise ImportError('workers need Dask: pip install "minicnn[cluster]"') from error
    if isinstance(workers, distributed.Client):
        yield workers
    elif isinstance(workers, str):
        with distributed.Client(workers, timeout=PATIENCE, set_as_default=False) as client:
            yield client
    elif isinstance(workers, int) and not isinstance(workers, bool) and workers > 0:
        with (
            local_cluster(workers, silence_logs="CRITICAL") as local,
            distributed.Client(local, set_as_default=False) as client,
        ):
            yield client
    else:
        raise TypeError(
            f"workers is a number of processes, a scheduler's address or a distributed.Client, not {workers!r}"
        )


@contextmanager
def local_cluster(workers: int, **options: Any) -> Iterator[Any]:
    """So many new processes, of one thread each; options: those of `distributed.LocalCluster`."""
    import dask
    import distributed

    with dask.config.set(NO_DIARY):  # they take it with them
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", env=ONE_THREAD, **options
        )
    with cluster:
        yield cluster


class _Hand:
    """The chunks that are out. pending: {future: (chunk, addresses of workers that had a fault with it)}."""

    def __init__(self, client: Any, work: Callable[..., Any], shared: Any, latest: Callable[[], Any]) -> None:
        self.client, self.work, self.latest = client, work, latest
        self.pending: dict[Any, tuple[Any, tuple[str, ...]]] = {}
        self._shared, self._sent = shared, None

    def close(self) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self.client.cancel(list(self.pending), force=True)
        self.pending.clear()

    @property
    def threads(self) -> int:
        """Of all workers together."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    def _workers(self) -> dict[str, Any]:
        """{address: worker}, when there are some."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with suppress(OSError, RuntimeError, TimeoutError, ValueError):  # the scheduler is away, and may come back
                found = self.client.scheduler_info(n_workers=-1)["workers"]
                if found:
                    return found
            time.sleep(0.2)
        raise WorkerError(f"no worker for {PATIENCE:.0f} seconds: is the scheduler there, and has it workers?")

    def _send(self) -> None:
        """Bring what is shared to all workers. They may end meanwhile."""
        until = time.monotonic() + PATIENCE
        while True:
            self._workers()
            try:
                (self._sent,) = self.client.scatter(
                    [self._shared], broadcast=True, hash=False
                )  # of a list: a tuple is one, too
                return
            except (OSError, TimeoutError):
                if time.monotonic() > until:
                    raise

    def out(self, chunk: Any, faults: tuple[str, ...] = ()) -> None:
        """Hand a chunk to a worker, to one that had no fault with it if there is one."""
        others = [address for address in self._workers() if address not in faults] if faults else []
        if (
            self._sent is None or self._sent.status != "finished"
        ):  # never sent, or lost with the scheduler or all workers
            self._send()
        future = self.client.submit(
            _work, self.work, self._sent, chunk, self.latest(), pure=False,
            workers=others or None, allow_other_workers=bool(others),
        )  # fmt: skip
        self.pending[future] = chunk, faults

    def finished(self) -> Iterator[tuple[Any, Any]]:
        """Wait until something is finished, and give it; what was lost, or had a fault that another worker may not have, goes out again."""
        while not any(future.status != "pending" for future in self.pending):
            self._workers()
            with suppress(
                CancelledError, OSError, RuntimeError, TimeoutError
            ):  # too early, or it was lost: its status tells
                self._wait()
        for future in [future for future in self.pending if future.status != "pending"]:
            chunk, faults = self.pending.pop(future)
            fault, result = self._result(future)
            if fault is None:
                yield chunk, result
            else:
                self.out(chunk, _counted((*faults, fault), result))

    def _wait(self) -> None:
        from distributed import wait

        with self.client.as_current():  # `wait` asks for no client
            wait(list(self.pending), timeout=1, return_when="FIRST_COMPLETED")

    def _result(self, future: Any) -> tuple[str | None, Any]:
        """(None, what work returned), or (a worker, the fault that it had), or (LOST, why). Raises what work raised."""
        try:
            return future.result(timeout=PATIENCE)
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                raise WorkerError(f"a chunk ended each worker that it was given to: {error}") from error
            if future.status == "error":
                raise
            return LOST, error  # its worker or the scheduler ended, perhaps when it was finished and not yet fetched


def _counted(faults: tuple[str, ...], last: Exception) -> tuple[str, ...]:
    """The faults of a chunk, if they are not too many."""
    lost = faults.count(LOST)
    if lost >= MOST_LOST:
        raise WorkerError(f"a chunk was lost with its worker {lost} times, the last time by {last!r}") from last
    if len(faults) - lost >= TRIES:
        raise WorkerError(
            f"{len(faults) - lost} workers had a fault of their own with one chunk, the last one: {last}"
        ) from last
    return faults


def _work(work: Callable[..., Any], shared: Any, chunk: Any, latest: Any) -> tuple[str | None, Any]:
    """On the worker. Each of its threads computes alone."""
    from minicnn import kernels

    kernels.set_num_threads(1)
    kernels.keep_memory(anyway=True)  # Dask has its processes give back all from 64 kB on
    try:
        return None, work(shared, chunk, latest)
    except Exception as error:
        if not is_machines_fault(error):
            raise
        from distributed import get_worker

        return get_worker().address, error
