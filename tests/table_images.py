"""Rows of the table: convolution, pooling, resizing, normalization. Images are N C H W."""

from __future__ import annotations

import numpy as np
from compare import Input, Row, between, constant, exactly, fn, laid_out, normal

F = "nn.functional."

CONVOLUTION = (
    [
        Row(f"conv2d {options or 'defaults'} {x}{w}", fn(F + "conv2d", **options), [x, w, (w[0],)])
        for options, x, w in [
            ({}, (2, 3, 6, 7), (4, 3, 3, 3)),
            ({}, (1, 1, 3, 3), (1, 1, 3, 3)),
            ({}, (2, 3, 5, 5), (4, 3, 1, 1)),
            ({"padding": 1}, (2, 3, 6, 7), (4, 3, 3, 3)),
            ({"padding": 1}, (2, 8, 13, 14), (9, 8, 3, 3)),
            ({"padding": (2, 0)}, (1, 3, 6, 7), (4, 3, 3, 2)),
            ({"padding": 2}, (2, 3, 9, 8), (4, 3, 5, 5)),
            ({"padding": 3, "stride": 2}, (2, 3, 15, 16), (4, 3, 7, 7)),
            ({"stride": 2}, (2, 3, 7, 8), (4, 3, 3, 3)),
            ({"stride": (2, 3), "padding": (1, 2)}, (2, 3, 8, 9), (4, 3, 3, 4)),
            ({"stride": 3}, (1, 2, 7, 7), (3, 2, 2, 2)),
            ({"stride": 2}, (2, 3, 6, 6), (4, 3, 1, 1)),
            ({"dilation": 2}, (2, 3, 8, 8), (4, 3, 3, 3)),
            ({"dilation": (1, 3), "padding": 1, "stride": (2, 1)}, (2, 2, 8, 9), (3, 2, 3, 3)),
            ({"padding": "same"}, (2, 3, 6, 7), (4, 3, 3, 3)),
            ({"padding": "same"}, (2, 3, 6, 7), (4, 3, 2, 4)),
            ({"padding": "same", "dilation": 2}, (2, 3, 6, 7), (4, 3, 2, 3)),
            ({"padding": "valid"}, (2, 3, 6, 7), (4, 3, 3, 3)),
            ({"groups": 2, "padding": 1}, (2, 4, 5, 5), (6, 2, 3, 3)),
            ({"groups": 4, "padding": 1}, (2, 4, 5, 5), (4, 1, 3, 3)),
            ({"groups": 3, "stride": 2}, (2, 3, 7, 7), (6, 1, 3, 3)),
            ({"padding": 1}, (0, 3, 6, 7), (4, 3, 3, 3)),
            ({"padding": 1}, (3, 6, 7), (4, 3, 3, 3)),
        ]
    ]
    + [
        Row("conv2d without bias", fn(F + "conv2d", padding=1), [(2, 3, 5, 5), (4, 3, 3, 3)]),
        Row(
            "conv2d, gradient to the weight only", fn(F + "conv2d"), [constant(normal(2, 3, 5, 5)), (4, 3, 3, 3), (4,)]
        ),
        Row("conv2d, gradient to the input only", fn(F + "conv2d"), [(2, 3, 5, 5), constant(normal(4, 3, 3, 3))]),
        Row(
            "conv2d of a transposed image",
            fn(F + "conv2d", padding=1),
            [laid_out(normal(2, 6, 5, 3), lambda a: a.transpose(0, 3, 1, 2)), (4, 3, 3, 3), (4,)],
        ),
        Row(
            "conv2d of every second row",
            fn(F + "conv2d"),
            [laid_out(normal(2, 3, 10, 6), lambda a: a[:, :, ::2]), (4, 3, 3, 3), (4,)],
        ),
        Row("conv2d, one weight used twice", lambda lib, x, w: _twice(lib, x, w), [(2, 3, 5, 5), (3, 3, 3, 3)]),
    ]
    + [
        Row(f"conv_transpose2d {options or 'defaults'}", fn(F + "conv_transpose2d", **options), [(2, 4, 5, 4), w, (b,)])
        for options, w, b in [
            ({}, (4, 3, 3, 3), 3),
            ({"stride": 2, "padding": 1}, (4, 3, 4, 3), 3),
            ({"stride": 2, "padding": 1, "output_padding": 1}, (4, 3, 3, 3), 3),
            ({"stride": (2, 3), "dilation": (2, 1)}, (4, 3, 2, 3), 3),
            ({"groups": 2, "stride": 2}, (4, 3, 3, 3), 6),
        ]
    ]
)


def _twice(lib, x, w):
    conv2d = lib.nn.functional.conv2d
    return conv2d(conv2d(x, w, padding=1).relu(), w, padding=1)


TIES = Input(lambda rng: rng.integers(0, 3, (2, 3, 8, 9)).astype(np.float64))
WITH_NAN = exactly([[[[1, 2, 3, 4], [5, float("nan"), 1, 1], [0, 0, 9, 9], [-9, -9, -9, float("-inf")]]]])
NEGATIVE = Input(lambda rng: -1 - rng.random((2, 3, 6, 7)))

POOLING = (
    [
        Row(f"max_pool2d {args} {options or ''}", fn(F + "max_pool2d", *args, **options), [(2, 3, 9, 8)])
        for args, options in [
            ((2,), {}),
            ((2, 2), {}),
            ((3, 2), {}),
            ((3, 2), {"padding": 1}),
            ((3, 1), {"padding": 1}),
            (((2, 3), (1, 2)), {"padding": (0, 1)}),
            ((3, 2), {"ceil_mode": True}),
            ((2, 3), {"ceil_mode": True, "padding": 1}),
            ((3,), {"dilation": 2}),
            ((3, 2), {"dilation": (1, 2), "padding": 1, "ceil_mode": True}),
            ((3, 2), {"return_indices": True, "padding": 1}),
        ]
    ]
    + [
        Row("max_pool2d of ties", fn(F + "max_pool2d", 3, 2, return_indices=True), [TIES]),
        Row("max_pool2d of ties, overlapping", fn(F + "max_pool2d", 3, 1, padding=1, return_indices=True), [TIES]),
        Row("max_pool2d_with_indices", fn(F + "max_pool2d_with_indices", 3, 2, padding=1), [(2, 3, 9, 8)]),
        Row("max_pool2d of zeros", fn(F + "max_pool2d", 2, return_indices=True), [exactly([[[[0.0] * 4] * 4]])]),
        Row("max_pool2d with nan", fn(F + "max_pool2d", 2, 1, return_indices=True), [WITH_NAN]),
        Row("max_pool2d of negative numbers, padded", fn(F + "max_pool2d", 3, 2, padding=1), [NEGATIVE]),
        Row("max_pool2d C H W", fn(F + "max_pool2d", 2), [(3, 6, 6)], graph="none"),  # unsqueezed and squeezed
        Row(
            "local_response_norm", fn(F + "local_response_norm", 3), [(2, 5, 4, 3)], graph="last"
        ),  # PyTorch: avg_pool3d
        Row(
            "max_pool2d of a strided input",
            fn(F + "max_pool2d", 2),
            [laid_out(normal(8, 9, 3, 2), lambda a: a.T[..., ::2])],
        ),
    ]
    + [
        Row(f"lp_pool2d {args}", fn(F + "lp_pool2d", *args), [(2, 3, 9, 8)])
        for args in [(2, 2), (3, (2, 3), 2), (1.5, 3, 2, True), (float("inf"), 2), (-float("inf"), 3, 1)]
    ]
    + [
        Row(f"avg_pool2d {args} {options or ''}", fn(F + "avg_pool2d", *args, **options), [(2, 3, 9, 8)])
        for args, options in [
            ((2,), {}),
            ((3, 2), {}),
            (((2, 3), (1, 2)), {"padding": (0, 1)}),
            ((3, 2), {"padding": 1}),
            ((3, 2), {"padding": 1, "count_include_pad": False}),
            ((3, 2), {"padding": 1, "ceil_mode": True}),
            ((2, 3), {"padding": 1, "ceil_mode": True, "count_include_pad": False}),
            ((2, 3), {"ceil_mode": True}),
            ((3, 2), {"divisor_override": 5}),
        ]
    ]
    + [
        Row(f"{name} {size} of {shape}", fn(F + name, size), [shape], graph="whole" if len(shape) == 4 else "none")
        for name in ["adaptive_avg_pool2d", "adaptive_max_pool2d"]
        for size, shape in [
            (1, (2, 3, 5, 6)),
            ((6, 6), (2, 3, 6, 6)),
            ((3, 2), (2, 3, 7, 5)),
            ((7, 9), (1, 2, 3, 4)),
            ((None, 2), (2, 3, 4, 5)),
            (2, (3, 5, 6)),
        ]
    ]
    + [
        Row("adaptive_max_pool2d of ties", fn(F + "adaptive_max_pool2d", 3, return_indices=True), [TIES]),
    ]
)

RESIZING = (
    [
        Row(f"interpolate {options} {shape}", fn(F + "interpolate", **options), [shape])
        for shape in [(2, 3, 4, 5)]
        for options in [
            {"scale_factor": 2},
            {"scale_factor": 2.5},
            {"scale_factor": (0.5, 1.7)},
            {"size": 7},
            {"size": (3, 9)},
            {"size": (4, 5)},
            {"scale_factor": 1.7, "recompute_scale_factor": True},
            {"scale_factor": 2, "mode": "bilinear"},
            {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
            {"scale_factor": 1.7, "mode": "bilinear", "align_corners": False},
            {"scale_factor": 1.7, "mode": "bilinear", "align_corners": False, "recompute_scale_factor": True},
            {"size": (7, 3), "mode": "bilinear", "align_corners": False},
            {"size": (7, 3), "mode": "bilinear", "align_corners": True},
            {"size": (1, 1), "mode": "bilinear", "align_corners": True},
            {"size": (1, 1), "mode": "bilinear"},
            {"size": (4, 5), "mode": "bilinear"},
        ]
    ]
    + [
        # A factor that leaves the size, or doubles it: PyTorch copies. Others beside them.
        Row(f"interpolate {shape} {options}", fn(F + "interpolate", **options), [shape])
        for shape in [(1, 2, 10, 10), (2, 1, 3, 3), (1, 1, 1, 7)]
        for factor in [1.03, 2.06, (1.03, 2.06), (2.3, 1.01), (0.97, 3.2), 1.0]
        for options in [
            {"scale_factor": factor},
            {"scale_factor": factor, "recompute_scale_factor": True},
            {"scale_factor": factor, "mode": "area"},
            {"scale_factor": factor, "mode": "bilinear"},
            {"scale_factor": factor, "mode": "bilinear", "recompute_scale_factor": True},
            {"scale_factor": factor, "mode": "bilinear", "align_corners": True},
        ]
        if factor != (0.97, 3.2) or shape[2] > 1  # PyTorch: no size of 0
    ]
    + [
        Row(f"resize {shape} {options}", fn(F + "interpolate", **options), [shape])
        for shape, many in [
            ((2, 3, 6, 5), ["bicubic", "nearest-exact", "bilinear antialias", "bicubic antialias"]),
            ((2, 3, 7), ["nearest", "linear", "area", "nearest-exact"]),
        ]
        for how in many
        for size in [
            {"scale_factor": 2},
            {"scale_factor": 0.4},
            {"scale_factor": 1.7},
            {"scale_factor": 1.7, "recompute_scale_factor": True},
            {"size": 4},
            {"size": 9},
            {"size": 1},
        ]
        for corners in ([{}, {"align_corners": True}] if how.split()[0] in ("bicubic", "bilinear", "linear") else [{}])
        for options in [{"mode": how.split()[0], **({"antialias": True} if " " in how else {}), **size, **corners}]
    ]
    + [
        Row("upsample", fn(F + "upsample", scale_factor=2), [(2, 3, 4, 5)]),
        Row("interpolate of one pixel", fn(F + "interpolate", size=3, mode="bilinear"), [(1, 2, 1, 1)]),
    ]
    + [
        Row(
            f"grid_sample {mode} {padding} align_corners={align}",
            fn(F + "grid_sample", mode=mode, padding_mode=padding, align_corners=align),
            [(2, 3, 4, 5), between(-1.3, 1.3, 2, 3, 4, 2)],
        )
        for mode in ["bilinear", "nearest"]
        for padding in ["zeros", "border", "reflection"]
        for align in [False, True]
    ]
    + [
        Row("affine_grid", fn(F + "affine_grid", (2, 3, 4, 5), align_corners=False), [(2, 2, 3)], graph="none"),
        Row("fold", fn(F + "fold", (5, 6), 3, padding=1, stride=2), [(2, 27, 9)], graph="last"),
        Row("pixel_shuffle", fn(F + "pixel_shuffle", 2), [(2, 8, 3, 4)]),
        Row("pixel_shuffle of one image", fn(F + "pixel_shuffle", 3), [(9, 2, 3)]),
        Row("pixel_unshuffle", fn(F + "pixel_unshuffle", 2), [(2, 3, 4, 6)]),
        Row("pixel_unshuffle of batches", fn(F + "pixel_unshuffle", 2), [(2, 1, 3, 4, 2)]),
        Row("channel_shuffle", fn(F + "channel_shuffle", 2), [(2, 6, 3, 4)]),
        Row("channel_shuffle of three", fn(F + "channel_shuffle", 3), [(1, 12, 5)]),
        Row("unfold", fn(F + "unfold", 3, padding=1, stride=2), [(2, 3, 5, 6)], graph="last"),
    ]
)

RUNNING = [constant(normal(3)), constant(between(0.5, 2, 3))]


def _batch_norm(training, momentum, affine=True):
    def function(lib, x, mean, variance, *affine_parameters):
        weight, bias = affine_parameters if affine else (None, None)
        mean, variance = mean.clone(), variance.clone()
        y = lib.nn.functional.batch_norm(x, mean, variance, weight, bias, training, momentum)
        return y, mean, variance

    return function


NORMALIZATION = [
    Row(f"batch_norm {kind}", function, [(4, 3, 5, 6), *RUNNING, *parameters])
    for kind, function, parameters in [
        ("training", _batch_norm(True, 0.1), [(3,), (3,)]),
        ("training momentum 0.7", _batch_norm(True, 0.7), [(3,), (3,)]),
        ("training, not affine", _batch_norm(True, 0.1, False), []),
        ("evaluation", _batch_norm(False, 0.1), [(3,), (3,)]),
        ("evaluation, not affine", _batch_norm(False, 0.1, False), []),
        ("evaluation, frozen", _batch_norm(False, 0.1), [constant(normal(3)), constant(normal(3))]),
    ]
] + [
    Row("batch_norm of a matrix", _batch_norm(True, 0.1), [(6, 3), *RUNNING, (3,), (3,)]),
    Row(
        "batch_norm without running statistics",
        lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True),
        [(4, 3, 5, 6)],
    ),
    Row(
        "batch_norm of a constant channel",
        lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True),
        [exactly([[[[2.0, 2.0], [2.0, 2.0]], [[1.0, 2.0], [3.0, 5.0]]]])],
        # the constant channel divides rounding errors by sqrt(eps), so they are 300 times larger
        loose={"float32": 300, "float64": 300},
    ),
    Row("layer_norm", fn(F + "layer_norm", (5,)), [(2, 3, 4, 5)]),
    Row("rms_norm", fn(F + "rms_norm", (4, 5), eps=0.1), [(2, 3, 4, 5)], graph="none"),
    Row("celu", fn(F + "celu", 1.5), [(2, 3, 4)]),
    Row("glu", fn(F + "glu", 1), [(2, 4, 3)], graph="none"),
    Row("hardshrink", fn(F + "hardshrink", 0.3), [(2, 3, 4)]),
    Row("softshrink", fn(F + "softshrink", 0.3), [(2, 3, 4)]),
    Row("lp_pool1d", fn(F + "lp_pool1d", 2, 3, 2), [(2, 3, 9)]),
    Row("instance_norm", fn(F + "instance_norm"), [(2, 3, 4, 5)], graph="last"),
]

FOURIER = [
    Row(f"{name} {size}", function, [(2, 3, size[0], size[1] // 2 + 1, 2) if "irfft2" in name else (2, 3, *size)])
    for size in [(6, 8), (5, 7)]
    for name, function in [
        ("irfft2", lambda lib, x, size=size: lib.fft.irfft2(lib.view_as_complex(x), s=size)),
        ("irfft2 ortho", lambda lib, x, size=size: lib.fft.irfft2(lib.view_as_complex(x), s=size, norm="ortho")),
        ("rfft2", lambda lib, x: lib.view_as_real(lib.fft.rfft2(x))),
        ("rfft2 ortho", lambda lib, x: lib.view_as_real(lib.fft.rfft2(x, norm="ortho"))),
        ("rfft2 and back", lambda lib, x, size=size: lib.fft.irfft2(lib.fft.rfft2(x), s=size)),
    ]
]

FOURIER += [Row("conj", lambda lib, x: lib.view_as_real(lib.conj(lib.view_as_complex(x)) * 1), [(3, 2)])]

ROWS = FOURIER + CONVOLUTION + POOLING + RESIZING + NORMALIZATION
