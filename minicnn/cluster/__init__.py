"""One function over many chunks: in this process, or on worker processes of Dask.

`in_chunks` knows nothing of what the function does. Who merges the results must not depend on their order.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def in_chunks(
    work: Callable[[Any, Chunk, Any], Result],
    shared: Any,
    chunks: Iterable[Chunk],
    latest: Callable[[], Any],
    workers: Any = None,
) -> Generator[tuple[Chunk, Result], None, None]:
    """(chunk, `work(shared, chunk, latest())`) of every chunk, each once.

    workers: None: one after the other, in this process. A number of processes to start on this machine, a `distributed.Client`, or the
    address of a scheduler: there, in the order in which they are finished, see `minicnn.cluster.dask`. shared: the same for
    all, sent to each worker once. latest: called when a chunk is handed out.

    The chunks are read one by one as they are wanted. Closing the iterator ends what still runs.
    """
    if workers is None:
        for chunk in chunks:
            yield chunk, work(shared, chunk, latest())
    else:
        from minicnn.cluster.dask import on_workers

        yield from on_workers(work, shared, chunks, latest, workers)
