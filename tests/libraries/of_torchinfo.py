"""torchinfo: the table that it prints, character by character."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import filled
from tests.libraries.of_torchsummary import as_numbers, of_torchvision, ours, two_inputs

DISTRIBUTION = "torchinfo"
FLOAT32 = False  # it prints counts and sizes
ALL = ("input_size", "output_size", "num_params", "params_percent", "kernel_size", "mult_adds", "trainable")


def table(build: Callable[[], Any], dtype: Any, **how: Any) -> list[Any]:
    from torchinfo import summary

    made = summary(build(), verbose=0, **how)
    sizes = [made.total_params, made.trainable_params, made.total_mult_adds, made.total_output_bytes]
    return as_numbers("\n".join([str(made), *map(str, [*sizes, made.total_param_bytes])]))


def transformer() -> Any:
    import torch
    from torchvision.models import VisionTransformer

    return filled(VisionTransformer(32, 8, 2, 4, 24, 48, num_classes=10), torch.float32)


def given(dtype: Any) -> list[Any]:
    """Of tensors, and of named arguments."""
    import torch
    from torchinfo import summary

    data = [torch.ones(2, 1, 5, 5), torch.ones(2, 1, 5, 5)]
    first = summary(two_inputs(), input_data=data, verbose=0, col_names=ALL)
    second = summary(two_inputs(), input_data={"x": data[0], "y": data[1]}, verbose=0, depth=1)
    return as_numbers(f"{first}\n{second}\n{first.summary_list}")


def frozen() -> Any:
    model = ours()
    for parameter in model.conv1.parameters():
        parameter.requires_grad_(False)
    return model


def cases() -> dict[str, Callable]:
    return {
        "the small network": partial(table, ours, input_size=(2, 3, 28, 36)),
        "all columns": partial(
            table,
            ours,
            input_size=(2, 3, 28, 36),
            col_names=ALL,
            row_settings=("depth", "var_names", "hide_recursive_layers"),
        ),
        "without a pass": partial(table, ours),
        "partly frozen": partial(table, frozen, input_size=(1, 3, 28, 36), col_names=ALL),
        "in another type": partial(table, ours, input_size=(1, 3, 28, 36), dtypes=None, mode="train"),
        "resnet18": partial(
            table, partial(of_torchvision, "resnet18"), input_size=(1, 3, 64, 64), depth=4, col_names=ALL
        ),
        "mobilenet_v3_small": partial(
            table, partial(of_torchvision, "mobilenet_v3_small"), input_size=(1, 3, 64, 64), depth=5
        ),
        "a transformer": partial(table, transformer, input_size=(1, 3, 32, 32), depth=5, col_names=ALL),
        "given tensors": given,
    }
