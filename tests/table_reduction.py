"""Rows of the table: reductions, sorting, statistics."""

from __future__ import annotations

from compare import Input, Row, between, constant, data, exactly, fn, laid_out, method, normal

TIES = exactly([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -1.0, -5.0]])
WITH_NAN = exactly([[1.0, float("nan"), 3.0], [0.0, 2.0, 1.0]])
WITH_ZEROS = exactly([[0.0, 2.0, 3.0], [0.0, 0.0, 1.0], [1.0, 2.0, 4.0]])
EMPTY = Input(lambda rng: rng.standard_normal((0, 3)))

SUMS = [
    Row(f"{name}{kind}", fn(name, *args, **options), [(2, 3, 4)])
    for name in ["sum", "mean"]
    for kind, args, options in [
        ("", (), {}),
        (" dim 1", (1,), {}),
        (" dim -1", (-1,), {}),
        (" dims", ((0, 2),), {}),
        (" dims as a list, keepdim", ([-1, -3],), {"keepdim": True}),
        (" keepdim", (), {"dim": 1, "keepdim": True}),
    ]
] + [
    Row("sum of 0-d", fn("sum"), [()]),
    Row("sum of all dims, which are kept", fn("sum", None, True), [(2, 3, 4)]),
    Row("sum dims in another order", method("sum", (2, 0)), [(2, 3, 4)]),
    Row("sum of empty", fn("sum"), [EMPTY]),
    Row("sum of empty dim 0", fn("sum", 0), [EMPTY]),
    Row("mean of empty", fn("mean"), [EMPTY]),
    Row("sum dtype", fn("sum", dtype=None), [(2, 3)]),
    Row("sum of a transposed input", fn("sum", 0), [laid_out(normal(3, 4), lambda a: a.T)]),
    Row("sum of bool dim", fn("sum", 1), [data([[True, False], [True, True]], "bool")]),
    Row("sum many float32 numbers", fn("sum"), [(300, 301)]),
    Row("sum method of several dims", lambda lib, x: x.sum((2, 3)), [(2, 3, 4, 5)]),
    Row("mean method of several dims", lambda lib, x: x.mean((2, 3), keepdim=True), [(2, 3, 4, 5)]),
    Row("nansum", fn("nansum"), [WITH_NAN]),
    Row("prod", fn("prod"), [(2, 3)]),
    Row("prod dim", fn("prod", 1), [(2, 3)]),
    Row("prod dim keepdim", fn("prod", 0, keepdim=True), [(2, 3)]),
    Row("prod with one zero", fn("prod", 1), [WITH_ZEROS]),
    Row("prod of all with zeros", fn("prod"), [WITH_ZEROS]),
    Row("cumsum 0", fn("cumsum", 0), [(3, 4)]),
    Row("cumsum -1", fn("cumsum", dim=-1), [(3, 4)]),
    Row("logsumexp", fn("logsumexp", 1), [(3, 4)]),
    Row("logsumexp keepdim of large numbers", fn("logsumexp", 0, keepdim=True), [exactly([[1000.0], [1000.0]])]),
    Row("all", fn("all"), [data([True, False], "bool")]),
    Row("any dim", fn("any", 1), [data([[True, False], [False, False]], "bool")]),
    Row("all of numbers", method("all"), [data([1, 2, 3])]),
    Row("count_nonzero", fn("count_nonzero"), [WITH_ZEROS]),
]

EXTREMES = (
    [
        Row(f"{name}{kind}", fn(name, *args, **options), [given])
        for name in ["max", "min"]
        for kind, args, options, given in [
            ("", (), {}, normal(2, 3)),
            (" of ties", (), {}, TIES),
            (" dim 1", (1,), {}, normal(2, 3, 4)),
            (" dim -1 of ties", (-1,), {}, TIES),
            (" dim 0 keepdim", (0,), {"keepdim": True}, normal(2, 3)),
            (" of 0-d", (), {}, normal()),
            (" dim of 0-d", (0,), {}, normal()),
            (" with nan", (), {}, WITH_NAN),
            (" dim with nan", (1,), {}, WITH_NAN),
            (" of int", (), {}, data([3, 1, 3])),
            (" dim of a strided input", (1,), {}, laid_out(normal(6, 8), lambda a: a.T[::2])),
        ]
    ]
    + [
        Row(f"{name}{kind}", fn(name, *args, **options), [given])
        for name in ["amax", "amin"]
        for kind, args, options, given in [
            ("", (), {}, normal(2, 3)),
            (" of ties", (), {}, TIES),
            (" dim of ties", (1,), {}, TIES),
            (" dims keepdim", ((0, 2),), {"keepdim": True}, normal(2, 3, 4)),
        ]
    ]
    + [
        Row(f"{name}{kind}", fn(name, *args, **options), [given])
        for name in ["argmax", "argmin"]
        for kind, args, options, given in [
            ("", (), {}, normal(2, 3)),
            (" of ties", (), {}, TIES),
            (" dim", (1,), {}, TIES),
            (" keepdim", (), {"dim": -1, "keepdim": True}, TIES),
            (" with nan", (), {"dim": 1}, WITH_NAN),
        ]
    ]
    + [
        Row("names of max's result", lambda lib, x: (x.max(1).values, x.max(1).indices), [(2, 3)]),
    ]
)

SORTING = [
    Row("sort", fn("sort"), [(3, 5)]),
    Row("sort descending", fn("sort", descending=True), [(3, 5)]),
    Row("sort dim 0", fn("sort", dim=0), [(3, 5)]),
    Row("sort of ties, stable", fn("sort", stable=True), [TIES]),
    Row("sort of ties, stable, descending", fn("sort", descending=True, stable=True), [TIES]),
    Row("argsort", fn("argsort"), [(3, 5)]),
    Row("argsort descending dim 0", fn("argsort", dim=0, descending=True), [(3, 5)]),
    Row("topk", fn("topk", 2), [(3, 5)]),
    Row("topk smallest", fn("topk", 2, largest=False), [(3, 5)]),
    Row("topk dim 0", fn("topk", 2, dim=0), [(3, 5)]),
    Row("topk of all", fn("topk", 5), [(5,)]),
    Row("names of topk's result", lambda lib, x: (x.topk(2).values, x.topk(2).indices), [(3, 5)]),
    Row("median of odd", fn("median"), [(5,)]),
    Row("unique", fn("unique"), [data([3, 1, 3, 2])]),
    Row("nonzero", fn("nonzero"), [data([[0, 1], [2, 0]])]),
    Row("histc", fn("histc", bins=4, min=-1, max=1), [constant(between(-1, 1, 30))]),
    Row("histc of the range of the data", fn("histc", bins=5), [constant(normal(30))]),
    Row("bincount", fn("bincount"), [data([0, 2, 2, 1])]),
]

STATISTICS = [
    Row(f"{name}{kind}", fn(name, *args, **options), [(3, 4, 5)])
    for name in ["var", "std", "var_mean", "std_mean"]
    for kind, args, options in [
        ("", (), {}),
        (" dim", (1,), {}),
        (" dims keepdim", ((0, 2),), {"keepdim": True}),
        (" unbiased False", (), {"unbiased": False}),
        (" dim unbiased False", (1,), {"unbiased": False}),
        (" correction 0", (), {"dim": (1, 2), "correction": 0}),
    ]
] + [
    Row("std of constant numbers", fn("std"), [exactly([2.0, 2.0, 2.0])]),
    Row("std of pairs, one constant", fn("std", 1), [exactly([[1.0, 1.0], [1.0, 3.0]])]),
    Row("std_mean of pairs, one constant", fn("std_mean", 1), [exactly([[1.0, 1.0], [1.0, 3.0]])]),
    Row("var_mean, the mean alone", lambda lib, x: lib.var_mean(x, 1)[1], [(3, 4)]),
    Row("std_mean, the deviation alone", lambda lib, x: lib.std_mean(x, 1)[0], [(3, 4)]),
    *[
        Row(
            f"{name} of complex numbers",
            lambda lib, x, name=name: getattr(lib, name)(lib.view_as_complex(x), 1),
            [(3, 4, 2)],
        )
        for name in ["var", "std", "var_mean", "std_mean"]
    ],
    Row("norm", method("norm"), [(3, 4)]),
    Row("norm function", fn("norm"), [(3, 4)]),
    Row("norm dim", method("norm", dim=1), [(3, 4)]),
    Row("norm p 1", method("norm", p=1, dim=0, keepdim=True), [(3, 4)]),
    Row("norm p 3", method("norm", 3, 1), [(3, 4)]),
    Row("norm p inf", method("norm", float("inf")), [(3, 4)]),
    Row("norm p inf of ties", method("norm", float("inf")), [exactly([2.0, -2.0, 1.0])]),
    Row("norm at 0", method("norm"), [exactly([0.0, 0.0])]),
    Row("norm dim, one row 0", method("norm", 2, 1), [exactly([[0.0, 0.0], [3.0, 4.0]])]),
    Row("norm p 1 at 0", method("norm", p=1), [exactly([0.0, -1.0])]),
    Row("norm dims", method("norm", dim=(1, 2)), [(2, 3, 4)]),
]

ROWS = SUMS + EXTREMES + SORTING + STATISTICS
