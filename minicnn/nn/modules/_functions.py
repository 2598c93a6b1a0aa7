"""PyTorch's place for the autograd function on which full backward hooks stand."""

from minicnn.utils.hooks import BackwardHookFunction

__all__ = ["BackwardHookFunction"]
