"""What hooks did, and what they left behind; of minicnn's modules or of PyTorch's, since nothing here imports either.

    with trace(model) as events:    every call, forward and backward, as a table
    diff(events, other_events)      where two traces part; None if they agree
    leaks(model)                    handles left behind, graphs kept alive, memory that others write

PyTorch has none of this. With another question about hooks, look here:

    what runs when            `python lessons/06_hooks_in_order.py` prints one call, forward and backward, rule by rule
    how a call is dispatched  `minicnn/nn/modules/module.py`, from `_call_impl` on: set a breakpoint there
    what may be stored, how   `python lessons/07_memory_and_aliasing.py`
    one certain rule          `python -m tests.hooks WORD` runs it in minicnn and in PyTorch, and shows both logs
    what a call costs         `python -m tests.benchmarks.module_call`
"""

from minicnn.inspect.events import diff
from minicnn.inspect.leaks import leaks
from minicnn.inspect.tracing import trace

__all__ = ["diff", "leaks", "trace"]
