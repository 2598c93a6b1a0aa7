"""Rows of the table: convolution, pooling and normalization of series (N, C, W)."""

from __future__ import annotations

import numpy as np
from compare import Input, Row, constant, exactly, fn, laid_out, normal

F = "nn.functional."

CONVOLUTION = (
    [
        Row(f"conv1d {options or 'defaults'} {x}{w}", fn(F + "conv1d", **options), [x, w, (w[0],)])
        for options, x, w in [
            ({}, (2, 3, 7), (4, 3, 3)),
            ({}, (1, 1, 3), (1, 1, 3)),
            ({}, (2, 3, 5), (4, 3, 1)),
            ({"padding": 1}, (2, 3, 7), (4, 3, 3)),
            ({"padding": (2,)}, (2, 8, 30), (16, 8, 5)),
            ({"padding": 3, "stride": 2}, (2, 3, 16), (4, 3, 7)),
            ({"stride": (3,), "dilation": 2}, (2, 3, 15), (4, 3, 3)),
            ({"padding": "same"}, (2, 3, 7), (4, 3, 3)),
            ({"padding": "same"}, (2, 3, 7), (4, 3, 4)),
            ({"padding": "same", "dilation": 3}, (2, 3, 7), (4, 3, 2)),
            ({"padding": "valid"}, (2, 3, 7), (4, 3, 3)),
            ({"groups": 2, "padding": 1}, (2, 4, 5), (6, 2, 3)),
            ({"groups": 4}, (2, 4, 5), (4, 1, 3)),
            ({"padding": 1}, (0, 3, 6), (4, 3, 3)),
            ({"padding": 1}, (3, 6), (4, 3, 3)),
        ]
    ]
    + [
        Row("conv1d without bias", fn(F + "conv1d", padding=1), [(2, 3, 5), (4, 3, 3)]),
        Row("conv1d, gradient to the weight only", fn(F + "conv1d"), [constant(normal(2, 3, 5)), (4, 3, 3), (4,)]),
        Row("conv1d, gradient to the input only", fn(F + "conv1d"), [(2, 3, 5), constant(normal(4, 3, 3))]),
        Row("conv1d transposed", fn(F + "conv1d"), [laid_out(normal(5, 3, 2), lambda a: a.T), (4, 3, 3), (4,)]),
        Row("conv1d of every second", fn(F + "conv1d"), [laid_out(normal(2, 3, 10), lambda a: a[..., ::2]), (4, 3, 3)]),
    ]
    + [
        Row(f"conv_transpose1d {options or 'defaults'} {x}", fn(F + "conv_transpose1d", **options), [x, w, (b,)])
        for options, x, w, b in [
            ({}, (2, 4, 5), (4, 3, 3), 3),
            ({"stride": 2, "padding": 1}, (2, 4, 5), (4, 3, 4), 3),
            ({"stride": 2, "padding": 1, "output_padding": 1}, (2, 4, 5), (4, 3, 3), 3),
            ({"stride": (2,), "dilation": (2,)}, (2, 4, 5), (4, 3, 2), 3),
            ({"groups": 2, "stride": 2}, (2, 4, 5), (4, 3, 3), 6),
            ({}, (4, 5), (4, 3, 3), 3),
            ({}, (0, 4, 5), (4, 3, 3), 3),
        ]
    ]
)

TIES = Input(lambda rng: rng.integers(0, 3, (2, 3, 9)).astype(np.float64))
POOLING = (
    [
        Row(f"max_pool1d {args} {options or ''}", fn(F + "max_pool1d", *args, **options), [(2, 3, 9)])
        for args, options in [
            ((2,), {}),
            ((3, 2), {}),
            ((3, 1), {"padding": 1}),
            (((3,), (2,)), {"padding": (1,), "ceil_mode": True}),
            ((3,), {"dilation": 2}),
            ((3, 2), {"return_indices": True, "padding": 1}),
        ]
    ]
    + [
        Row("max_pool1d of ties", fn(F + "max_pool1d", 3, 1, padding=1, return_indices=True), [TIES]),
        Row(
            "max_pool1d with nan",
            fn(F + "max_pool1d", 2, 1, return_indices=True),
            [exactly([[[1, float("nan"), 3, 2]]])],
        ),
        Row("max_pool1d C W", fn(F + "max_pool1d", 2, return_indices=True), [(3, 6)], graph="none"),
    ]
    + [
        Row(f"avg_pool1d {args} {options or ''}", fn(F + "avg_pool1d", *args, **options), [(2, 3, 9)])
        for args, options in [
            ((2,), {}),
            ((3, 2), {"padding": 1}),
            ((3, 2), {"padding": 1, "count_include_pad": False}),
            (((3,), (2,), (1,)), {"ceil_mode": True}),
            ((2, 3), {"ceil_mode": True}),
        ]
    ]
    + [Row("avg_pool1d C W", fn(F + "avg_pool1d", 2), [(3, 6)], graph="none")]
    + [
        Row(f"{name} {size} of {shape}", fn(F + name, size), [shape], graph="whole" if len(shape) == 3 else "none")
        for name in ["adaptive_avg_pool1d", "adaptive_max_pool1d"]
        for size, shape in [(1, (2, 3, 6)), (3, (2, 3, 7)), ((9,), (2, 3, 4)), (2, (3, 5))]
    ]
    + [Row("adaptive_max_pool1d of ties", fn(F + "adaptive_max_pool1d", 4, return_indices=True), [TIES])]
)

REST = [
    Row("instance_norm of series", fn(F + "instance_norm"), [(2, 3, 5)], graph="last"),
    Row("dropout1d in evaluation", fn(F + "dropout1d", 0.5, False), [(2, 3, 5)]),
]

ROWS = CONVOLUTION + POOLING + REST
