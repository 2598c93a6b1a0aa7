"""`torch.onnx` exports; nothing is exported here, so what is registered for it is not kept."""

from typing import Any

__all__ = ["is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic"]


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Any, opset_version: int) -> None:
    """Nothing is exported."""


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Nothing is exported."""


def is_in_onnx_export() -> bool:
    """False."""
    return False
