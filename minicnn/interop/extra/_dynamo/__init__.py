"""The compiler's front: nothing is compiled."""

from minicnn.interop.extra.compiler import allow_in_graph, disable, reset

__all__ = ["allow_in_graph", "disable", "reset"]
