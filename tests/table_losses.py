"""Rows of the table: losses, with all reductions and weights."""

from __future__ import annotations

import numpy as np
from compare import Row, between, constant, data, exactly, fn

F = "nn.functional."
REDUCTIONS = [{}, {"reduction": "sum"}, {"reduction": "none"}]

LABELS, LABEL_MAPS = data([2, 0, 1, 2]), data(np.arange(24).reshape(2, 3, 4) % 5)


def probabilities(*shape):
    return between(0.05, 0.95, *shape)


def weighted_huber(reduction):
    return lambda lib, x, t, w: lib.nn.functional.huber_loss(x, t, reduction, weight=w)


ROWS = (
    [
        Row(f"{name} {options or ''}", fn(F + name, **options), [(3, 4), (3, 4)])
        for name, variants in [
            ("mse_loss", [{}]),
            ("l1_loss", [{}]),
            ("smooth_l1_loss", [{}, {"beta": 0.3}]),
            ("huber_loss", [{}, {"delta": 0.5}]),
        ]
        for base in variants
        for options in [base, {**base, "reduction": "sum"}, {**base, "reduction": "none"}]
    ]
    + [
        Row(f"cross_entropy {options or ''}", fn(F + "cross_entropy", **options), [(4, 3), LABELS])
        for options in [
            {},
            {"reduction": "sum"},
            {"reduction": "none"},
            {"label_smoothing": 0.1},
            {"label_smoothing": 0.1, "reduction": "sum"},
            {"label_smoothing": 0.2, "reduction": "none"},
            {"ignore_index": 2},
            {"ignore_index": 2, "label_smoothing": 0.1},
            {"ignore_index": 2, "reduction": "none"},
        ]
    ]
    + [
        Row(f"{name} with weights {options or ''}", _weighted, [(4, 3), LABELS, constant(between(0.5, 2, 3))])
        for name in ["cross_entropy", "nll_loss"]
        for options in [{}, {"reduction": "sum"}, {"reduction": "none"}, {"ignore_index": 0}]
        for _weighted in [
            lambda lib, x, target, w, name=name, options=options: getattr(lib.nn.functional, name)(
                x, target, w, **options
            )
        ]
    ]
    + [
        Row(
            "cross_entropy with weights and smoothing",
            lambda lib, x, target, w: lib.nn.functional.cross_entropy(x, target, w, label_smoothing=0.1),
            [(4, 3), LABELS, constant(between(0.5, 2, 3))],
            graph="last",
        ),
        Row("cross_entropy of maps", fn(F + "cross_entropy"), [(2, 5, 3, 4), LABEL_MAPS]),
        Row("cross_entropy of probabilities", fn(F + "cross_entropy"), [(4, 3), (4, 3)], graph="last"),
        Row("cross_entropy of one vector", fn(F + "cross_entropy"), [(3,), data(1)]),
        Row("cross_entropy of large logits", fn(F + "cross_entropy"), [exactly([[1000.0, -1000.0]]), data([1])]),
        Row("cross_entropy of all ignored", fn(F + "cross_entropy", ignore_index=1), [(2, 3), data([1, 1])]),
        Row("nll_loss", fn(F + "nll_loss"), [(4, 3), LABELS]),
        Row("nll_loss sum", fn(F + "nll_loss", reduction="sum"), [(4, 3), LABELS]),
        Row("nll_loss none", fn(F + "nll_loss", reduction="none"), [(4, 3), LABELS]),
        Row("nll_loss of maps", fn(F + "nll_loss"), [(2, 5, 3, 4), LABEL_MAPS]),
        Row("smooth_l1_loss at beta", fn(F + "smooth_l1_loss"), [exactly([1.0, -1.0, 0.0]), exactly([0.0, 0.0, 0.0])]),
        Row("l1_loss at 0", fn(F + "l1_loss"), [exactly([1.0, 2.0]), exactly([1.0, 3.0])]),
    ]
    + [
        Row(
            f"{name} {target} {options or ''}",
            fn(F + name, **options),
            [probabilities(3, 4) if name == "binary_cross_entropy" else (3, 4), constant(t) if target else t],
        )
        for name in ["binary_cross_entropy", "binary_cross_entropy_with_logits"]
        for target, t in [("", probabilities(3, 4)), ("of a constant target", probabilities(3, 4))]
        for options in REDUCTIONS
    ]
    + [
        Row(
            f"binary_cross_entropy_with_logits {what} {options or ''}",
            lambda lib, x, t, w, names=names, options=options: lib.nn.functional.binary_cross_entropy_with_logits(
                x, t, **dict.fromkeys(names, w), **options
            ),
            [(3, 4), probabilities(3, 4), constant(between(0.5, 2, *shape))],
        )
        for what, names, shape in [
            ("weighted", ["weight"], (3, 4)),
            ("with weights that broadcast", ["weight"], (3, 1)),
            ("with pos_weight", ["pos_weight"], (4,)),
            ("with both", ["weight", "pos_weight"], (4,)),
        ]
        for options in REDUCTIONS
    ]
    + [
        Row(
            f"binary_cross_entropy weighted by {shape} {options or ''}",
            lambda lib, x, t, w, options=options: lib.nn.functional.binary_cross_entropy(x, t, w, **options),
            [probabilities(3, 4), probabilities(3, 4), constant(between(0.5, 2, *shape))],
        )
        for shape in [(3, 4), (4,), (3, 1)]
        for options in REDUCTIONS
    ]
    + [
        Row(
            "binary_cross_entropy at 0 and 1",
            fn(F + "binary_cross_entropy", reduction="none"),
            [exactly([0.0, 1.0, 0.0, 1.0, 0.5, 1e-20]), exactly([0.0, 1.0, 1.0, 0.0, 0.5, 0.5])],
            loose={"float64": 1e3},  # torch has 1e-12 rounded to float32 in float64 too: off by 4e-9
        ),
        Row(
            "binary_cross_entropy_with_logits of large logits",
            fn(F + "binary_cross_entropy_with_logits"),
            [exactly([0.0, 500.0, -500.0]), constant(exactly([0.5, 0.0, 0.0]))],
        ),
    ]
    + [
        Row(
            f"kl_div log_target={log_target} {reduction}",
            fn(F + "kl_div", reduction=reduction, log_target=log_target),
            [(3, 4), (3, 4) if log_target else probabilities(3, 4)],
        )
        for log_target in [False, True]
        for reduction in ["batchmean", "sum", "none"]
    ]
    + [
        Row("kl_div of a target of 0", fn(F + "kl_div", reduction="sum"), [(3,), exactly([0.0, 0.5, 1.0])]),
        Row("kl_div broadcast", fn(F + "kl_div", reduction="batchmean"), [(2, 3), probabilities(1, 3)]),
        Row("huber_loss weighted", weighted_huber("mean"), [(3, 4), (3, 4), between(0.5, 2, 3, 4)], graph="last"),
        Row("huber_loss weighted, sum", weighted_huber("sum"), [(3, 4), (3, 4), between(0.5, 2, 3, 4)], graph="last"),
    ]
)
