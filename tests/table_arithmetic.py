"""Rows of the table: arithmetic, functions of one number, comparisons, activations, in-place forms, type promotion."""

from __future__ import annotations

from math import nan

import numpy as np
from compare import Row, between, constant, data, exactly, fn, in_place, laid_out, method, normal

ZEROS_AND_SIGNS = exactly([[0.0, -0.0, 1.0], [-1.0, 2.5, -0.5]])
SPECIAL = exactly([0.0, -1.0, 1.0, float("inf"), float("-inf"), float("nan")])

ARITHMETIC = [
    Row("add", fn("add"), [(2, 3), (2, 3)]),
    Row("add alpha", fn("add", alpha=2), [(2, 3), (2, 3)]),
    Row("sub", fn("sub"), [(2, 3), (2, 3)]),
    Row("sub alpha", fn("sub", alpha=0.5), [(2, 3), (2, 3)]),
    Row("mul", fn("mul"), [(2, 3), (2, 3)]),
    Row("div", fn("div"), [(2, 3), between(0.5, 2, 2, 3)]),
    Row("div by zero", lambda lib, x, y: x / y, [exactly([1.0, -1.0, 0.0]), exactly([0.0, 0.0, 0.0])]),
    Row("neg", fn("neg"), [(2, 3)]),
    Row("operator + with a number", lambda lib, x: x + 2, [(2, 3)]),
    Row("operator + from the right", lambda lib, x: 2.5 + x, [(2, 3)]),
    Row("operator - from the right", lambda lib, x: 1 - x, [(2, 3)]),
    Row("operator * from the right", lambda lib, x: 3 * x, [(2, 3)]),
    Row("operator / with a number", lambda lib, x: x / 3, [(2, 3)]),
    Row("operator / from the right", lambda lib, x: 1 / x, [between(0.5, 2, 2, 3)]),
    Row("operator - of one", lambda lib, x: -x, [(2, 3)]),
    Row("operator // of tensors", lambda lib, x, y: x // y, [constant(normal(2, 3)), constant(between(0.5, 1, 2, 3))]),
    Row("operator % with a number", lambda lib, x: x % 3, [data([-4, -3, 0, 5, 7])]),
    Row("operator ** 2", lambda lib, x: x**2, [(2, 3)]),
    Row("operator ** 3", lambda lib, x: x**3, [(2, 3)]),
    Row("operator ** 0.5", lambda lib, x: x**0.5, [between(0.1, 2, 2, 3)]),
    Row("operator ** -1", lambda lib, x: x**-1, [between(0.5, 2, 2, 3)]),
    Row("operator ** 0", lambda lib, x: x**0, [ZEROS_AND_SIGNS]),
    Row("pow 2 at 0", fn("pow", 2), [ZEROS_AND_SIGNS]),
    Row("pow of tensors", fn("pow"), [between(0.5, 2, 2, 3), (2, 3)]),
    Row("pow of tensors at base 0", fn("pow"), [exactly([0.0, 0.0, 2.0]), exactly([2.0, 0.0, 0.0])]),
    Row("pow of a number", lambda lib, x: 2**x, [(2, 3)]),
    Row("maximum", fn("maximum"), [(2, 3), (2, 3)]),
    Row("minimum", fn("minimum"), [(2, 3), (2, 3)]),
    Row("fmax", fn("fmax"), [(2, 3), (3,)]),
    Row("fmin", method("fmin"), [(2, 3), (2, 3)]),
    Row("fmax of NaN", fn("fmax"), [exactly([nan, 1.0, nan, 2.0]), exactly([1.0, nan, nan, 3.0])]),
    Row("fmin of ties", fn("fmin"), [exactly([nan, 1.0, 0.0, 2.0]), exactly([1.0, 1.0, -0.0, 3.0])]),
    Row("maximum of ties", fn("maximum"), [exactly([1.0, 2.0, 3.0]), exactly([1.0, 3.0, 2.0])]),
    Row("minimum of ties", fn("minimum"), [exactly([1.0, 2.0, 3.0]), exactly([1.0, 3.0, 2.0])]),
    Row("max of two tensors", fn("max"), [(2, 3), (3,)]),
    Row("min of two tensors", fn("min"), [(2, 3), (3,)]),
    Row("where", fn("where"), [data([[True, False, True], [False, True, False]], "bool"), (2, 3), (2, 3)]),
    Row("where broadcast", fn("where"), [data([True, False, True], "bool"), (2, 3), (2, 1)]),
    Row("where with a number", lambda lib, m, x: lib.where(m, x, 0.0), [data([True, False, True], "bool"), (2, 3)]),
    Row("where method", method("where"), [(2, 3), data([True, False, True], "bool"), (2, 3)]),
    Row("addcmul", fn("addcmul", value=0.5), [(2, 3), (2, 3), (3,)]),
    Row("lerp", fn("lerp", weight=0.3), [(2, 3), (2, 3)]),
    Row("xlogy", fn("xlogy"), [(2, 3), between(0.5, 2, 3)]),
    Row(
        "xlogy at 0",
        method("xlogy"),
        [exactly([0.0, 0.0, 0.0, 0.0, 2.0]), exactly([0.0, 1.0, -1.0, float("nan"), 0.0])],
    ),
    Row("xlogy by a number", fn("xlogy", 3), [(2, 3)]),
    Row("xlogy of a number", lambda lib, x: lib.xlogy(2, x), [between(0.5, 2, 2, 3)]),
    Row("xlogy of ints", fn("xlogy", 3), [data([0, 1, 2])]),
    Row("addcdiv", fn("addcdiv", value=0.5), [(2, 3), (2, 3), between(0.5, 2, 3)]),
    Row("rsub", fn("rsub", 2.5), [(2, 3)]),
    Row("rsub alpha", fn("rsub", alpha=2), [(2, 3), (3,)]),
    Row("floor_divide", fn("floor_divide"), [constant(normal(2, 3)), constant(between(0.5, 1, 2, 3))]),
    Row("remainder", fn("remainder", 0.7), [(2, 3)]),
    Row("remainder of tensors", fn("remainder"), [(2, 3), between(0.3, 0.8, 3)]),
    Row("remainder by a negative number", fn("remainder", -0.7), [(2, 3)]),
    Row("operator % of a number", lambda lib, x: 5 % x, [constant(between(0.5, 2, 3))]),
    Row("remainder of ints", fn("remainder"), [data([-4, -3, 5, 7]), data([3, -2, 3, -4])]),
    Row("div rounding_mode floor", fn("div", 0.7, rounding_mode="floor"), [constant(normal(2, 3))]),
    Row("div rounding_mode trunc", fn("div", rounding_mode="trunc"), [data([-7, 7, 5]), data([2, 2, -3])]),
]

BROADCASTING = [
    Row("broadcast (3,1) x (1,4)", fn("mul"), [(3, 1), (1, 4)]),
    Row("broadcast (2,3) + (3,)", fn("add"), [(2, 3), (3,)]),
    Row("broadcast (3,) - (2,3)", fn("sub"), [(3,), (2, 3)]),
    Row("broadcast (1,) / (2,3,4)", fn("div"), [(1,), between(0.5, 2, 2, 3, 4)]),
    Row("broadcast 0-d x matrix", fn("mul"), [(), (2, 3)]),
    Row("broadcast matrix / 0-d", fn("div"), [(2, 3), between(0.5, 2)]),
    Row("broadcast 0-d x 0-d", fn("mul"), [(), ()]),
    Row("broadcast N C H W x C 1 1", fn("mul"), [(2, 3, 4, 5), (3, 1, 1)]),
    Row("broadcast pow", fn("pow"), [between(0.5, 2, 3, 1), (1, 4)]),
    Row("broadcast maximum", fn("maximum"), [(2, 1, 3), (4, 1)]),
    Row("broadcast empty (0,3) x (3,)", fn("mul"), [(0, 3), (3,)]),
    Row("reuse x*x", lambda lib, x: x * x, [(2, 3)]),
    Row("reuse three times", lambda lib, x: x * x + x.sin() * x, [(2, 3)]),
    Row("reuse x/x", lambda lib, x: x / x, [between(0.5, 2, 2, 3)]),
    Row("reuse in a diamond", lambda lib, x: (x.exp() + 1) * x.exp().log(), [(2, 3)]),
    Row("reuse and broadcast of itself", lambda lib, x: x.unsqueeze(0) * x.unsqueeze(1), [(3,)]),
    Row("two outputs of one input", lambda lib, x: (x * 2, x * x), [(2, 3)]),
]

LAYOUTS = [
    Row("layout transposed", fn("mul"), [laid_out(normal(3, 2), lambda a: a.T), (2, 3)]),
    Row("layout every second", lambda lib, x: x.exp(), [laid_out(normal(6, 5), lambda a: a[::2, 1::2])]),
    Row("layout flipped", lambda lib, x: x.flip(0) * 3, [(4, 3)]),
    Row("layout broadcast", lambda lib, x: x.sin(), [laid_out(normal(1, 3), lambda a: a[:, ::2])]),
    Row("layout transposed twice", lambda lib, x: (x.t() * 2).t().exp(), [(2, 3)]),
    Row("layout permuted, then sum", lambda lib, x: x.permute(2, 0, 1).exp().sum(1), [(2, 3, 4)]),
    Row("layout flipped, then matmul", lambda lib, x, y: x.flip(1) @ y, [(4, 3), (3, 2)]),
    Row("layout permuted, then view", lambda lib, x: x.permute(1, 0).contiguous().view(-1), [(2, 3)]),
]

FUNCTIONS = [
    Row(f"{name}{kind}", fn(name), [given])
    for name, numbers, at_edges in [
        ("exp", normal(2, 3), SPECIAL),
        ("log", between(0.1, 3, 2, 3), exactly([0.0, 1.0, float("inf")])),
        ("log2", between(0.1, 3, 2, 3), exactly([0.0, 1.0])),
        ("log10", between(0.1, 3, 2, 3), exactly([0.0, 1.0])),
        ("expm1", normal(2, 3), exactly([0.0, 1e-9])),
        ("log1p", between(-0.5, 3, 2, 3), exactly([0.0, 1e-9])),
        ("sqrt", between(0.1, 3, 2, 3), exactly([0.0, 1.0])),
        ("rsqrt", between(0.1, 3, 2, 3), exactly([0.0, 1.0])),
        ("square", normal(2, 3), ZEROS_AND_SIGNS),
        ("reciprocal", between(0.1, 3, 2, 3), exactly([0.0, 1.0])),
        ("abs", normal(2, 3), ZEROS_AND_SIGNS),
        ("sign", normal(2, 3), ZEROS_AND_SIGNS),
        ("sin", normal(2, 3), ZEROS_AND_SIGNS),
        ("cos", normal(2, 3), ZEROS_AND_SIGNS),
        ("tan", between(-1, 1, 2, 3), ZEROS_AND_SIGNS),
        ("atan", normal(2, 3), ZEROS_AND_SIGNS),
        ("asin", between(-0.9, 0.9, 2, 3), exactly([0.0, 0.5, -0.5])),
        ("acos", between(-0.9, 0.9, 2, 3), exactly([0.0, 0.5, -0.5])),
        ("sinh", normal(2, 3), ZEROS_AND_SIGNS),
        ("cosh", normal(2, 3), ZEROS_AND_SIGNS),
        ("asinh", normal(2, 3), ZEROS_AND_SIGNS),
        ("atanh", between(-0.9, 0.9, 2, 3), exactly([0.0, 0.5, -0.5])),
        ("tanh", normal(2, 3), exactly([0.0, 50.0, -50.0])),
        ("sigmoid", normal(2, 3), exactly([0.0, 200.0, -200.0])),
        ("erf", normal(2, 3), exactly([0.0, 8.0, -8.0])),
        ("erfinv", between(-0.99, 0.99, 5, 6), exactly([0.0, 0.7, -0.7, 1e-9, -0.999])),
        ("floor", normal(2, 3), ZEROS_AND_SIGNS),
        ("ceil", normal(2, 3), ZEROS_AND_SIGNS),
        ("round", normal(2, 3), exactly([0.5, 1.5, -0.5, 2.5])),
        ("relu", normal(2, 3), ZEROS_AND_SIGNS),
    ]
    for kind, given in [("", numbers), (" at the edges", at_edges), (" of 0-d", between(0.2, 0.9))]
]

FUNCTIONS += [
    Row("acosh", fn("acosh"), [between(1.1, 3, 2, 3)]),
    Row("acosh outside", fn("acosh"), [exactly([1.0, 0.5])]),
]

CLAMP = [
    Row("clamp", fn("clamp", -0.5, 0.5), [(3, 4)]),
    Row("clamp at the bound", fn("clamp", 0, 1), [exactly([-0.5, 0.0, 0.5, 1.0, 1.5])]),
    Row("clamp min", fn("clamp", min=0.1), [(3, 4)]),
    Row("clamp max", fn("clamp", max=0.1), [(3, 4)]),
    Row("clamp min at the bound", fn("clamp", min=0), [ZEROS_AND_SIGNS]),
    Row("clamp nan", fn("clamp", -1, 1), [SPECIAL]),
    Row("clamp min above max", fn("clamp", 1, -1), [(2, 3)]),
    Row("clamp int", fn("clamp", 0, 3), [data([-2, 0, 2, 3, 9])]),
    Row("clamp method", method("clamp", min=-0.2, max=0.2), [(3, 4)]),
    Row("clip", fn("clip", -0.5, 0.5), [(3, 4)]),
    Row("clamp_min", method("clamp_min", 0.0), [ZEROS_AND_SIGNS]),
    Row("clamp_max", method("clamp_max", 0.5), [(3, 4)]),
]

COMPARISON = (
    [
        Row(
            f"operator {name}",
            compare,
            [exactly([1.0, 2.0, 3.0, float("nan")]), exactly([2.0, 2.0, 2.0, float("nan")])],
        )
        for name, compare in [
            ("<", lambda lib, x, y: x < y),
            ("<=", lambda lib, x, y: x <= y),
            (">", lambda lib, x, y: x > y),
            (">=", lambda lib, x, y: x >= y),
            ("==", lambda lib, x, y: x == y),
            ("!=", lambda lib, x, y: x != y),
            ("> number", lambda lib, x, y: x > 1.5),
            ("& of masks", lambda lib, x, y: (x > 1) & (y < 3)),
            ("| of masks", lambda lib, x, y: (x > 1) | (y < 3)),
            ("~ of a mask", lambda lib, x, y: ~(x > 1)),
        ]
    ]
    + [
        Row(f"{name} of ints", fn(name), [data([1, 2, 3]), data([2, 2, 2])])
        for name in [
            "lt",
            "le",
            "gt",
            "ge",
            "eq",
            "ne",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "logical_and",
            "logical_or",
        ]
    ]
    + [
        Row(
            "isclose", fn("isclose", rtol=0.1), [exactly([1.0, 2.0, float("inf")]), exactly([1.05, 2.5, float("inf")])]
        ),
        Row("isclose equal_nan", fn("isclose", equal_nan=True), [SPECIAL, SPECIAL]),
        Row("isnan", fn("isnan"), [SPECIAL]),
        Row("isfinite", fn("isfinite"), [SPECIAL]),
        Row("isinf", fn("isinf"), [SPECIAL]),
        Row("eq broadcast", fn("eq"), [data([[1], [2]]), data([1, 2, 3])]),
        Row("logical_not", fn("logical_not"), [data([0, 1, 2])]),
        Row("allclose", fn("allclose"), [exactly([1.0, 2.0]), exactly([1.0, 2.0 + 1e-7])]),
        Row("equal, no", fn("equal"), [exactly([1.0, 2.0]), exactly([1.0, 2.5])]),
    ]
)

F = "nn.functional."
ROUNDED_SIXTH = {"float64": 1e4}  # torch's gradient has 1/6 rounded to float32, in float64 too: off by 3e-8
ACTIVATIONS = (
    [
        Row(f"{name} {kind}", fn(F + name, **options), [given])
        for name, options, edges in [
            ("relu", {}, [0.0, -0.0, 1.0, -1.0]),
            ("relu6", {}, [0.0, 6.0, 3.0, 7.0, -1.0]),
            ("leaky_relu", {}, [0.0, -0.0, 1.0, -1.0]),
            ("leaky_relu", {"negative_slope": 0.3}, [0.0, 1.0, -2.0]),
            ("elu", {}, [0.0, 1.0, -1.0, -100.0]),
            ("elu", {"alpha": 0.5}, [0.0, 1.0, -1.0]),
            ("selu", {}, [0.0, 1.0, -1.0]),
            ("gelu", {}, [0.0, 9.0, -9.0]),
            ("gelu", {"approximate": "tanh"}, [0.0, 9.0, -9.0]),
            ("silu", {}, [0.0, 100.0, -100.0]),
            ("mish", {}, [0.0, 50.0, -50.0]),
            ("softplus", {}, [0.0, 20.0, 21.0, -50.0]),
            ("softplus", {"beta": 2, "threshold": 4}, [0.0, 2.0, 2.5]),
            ("softsign", {}, [0.0, 1.0, -1.0]),
            ("hardtanh", {}, [-1.0, 1.0, 0.0, 2.0]),
            ("hardtanh", {"min_val": -0.3, "max_val": 0.4}, [-0.3, 0.4, 0.0]),
            ("hardswish", {}, [-3.0, 3.0, 0.0, 4.0]),
            ("logsigmoid", {}, [0.0, 200.0, -200.0]),
            ("tanh", {}, [0.0]),
            ("sigmoid", {}, [0.0]),
        ]
        for kind, given in [(f"{options or ''}", normal(3, 4)), (f"{options or ''} at the edges", exactly(edges))]
    ]
    + [
        Row(f"hardsigmoid {kind}", fn(F + "hardsigmoid"), [given], loose=ROUNDED_SIXTH)
        for kind, given in [("", normal(3, 4)), ("at the edges", exactly([-3.0, 3.0, 0.0, 4.0]))]
    ]
    + [
        Row("softmax dim 1", fn(F + "softmax", dim=1), [(2, 5)]),
        Row("softmax dim -3 of 4", fn(F + "softmax", dim=-3), [(2, 3, 2, 2)]),
        Row("softmax of large numbers", fn("softmax", 0), [exactly([1000.0, 999.0, -1000.0])]),
        Row("softmax method", method("softmax", dim=-1), [(2, 5)]),
        Row("softmax not contiguous", fn("softmax", dim=0), [laid_out(normal(4, 6), lambda a: a.T[::2])]),
        Row("softmax of 0-d", fn("softmax", dim=0), [()]),
        Row("log_softmax of nothing", fn("log_softmax", 1), [exactly(np.zeros((3, 0)))]),
        Row("log_softmax of no rows", fn("log_softmax", 1), [exactly(np.zeros((0, 3)))]),
        Row("softmax of nothing", fn("softmax", 1), [exactly(np.zeros((3, 0)))]),
        Row("log_softmax dim 1", fn(F + "log_softmax", dim=1), [(2, 5)]),
        Row("log_softmax of large numbers", fn("log_softmax", 0), [exactly([1000.0, 999.0, -1000.0])]),
        Row("log_softmax method", method("log_softmax", dim=0), [(2, 5)]),
        Row("prelu one weight", fn(F + "prelu"), [(2, 3, 4), (1,)]),
        Row("prelu a weight per channel", fn(F + "prelu"), [(2, 3, 4), (3,)]),
        Row("prelu at 0", fn(F + "prelu"), [exactly([[0.0, 1.0], [-1.0, 0.0]]), (2,)]),
        Row("threshold", fn(F + "threshold", 0.1, 20.0), [(3, 4)]),
        Row("softmin", fn(F + "softmin", dim=1), [(3, 4)]),
        Row("tanhshrink", fn(F + "tanhshrink"), [(3, 4)]),
        Row("pairwise_distance", fn(F + "pairwise_distance"), [(3, 4), (3, 4)], graph="none"),
        Row(
            "pairwise_distance p 1 keepdim",
            fn(F + "pairwise_distance", p=1.0, keepdim=True),
            [(3, 4), (3, 4)],
            graph="none",
        ),
        Row("relu inplace", lambda lib, x: lib.nn.functional.relu(x.clone(), inplace=True), [ZEROS_AND_SIGNS]),
        Row("leaky_relu inplace", lambda lib, x: lib.nn.functional.leaky_relu(x.clone(), 0.1, inplace=True), [(2, 3)]),
        Row("elu inplace", lambda lib, x: lib.nn.functional.elu(x.clone(), inplace=True), [(2, 3)]),
        Row("normalize", fn(F + "normalize"), [(3, 4)]),
        Row("normalize p 1 dim 0", fn(F + "normalize", p=1, dim=0), [(3, 4)]),
        Row("normalize of zeros", fn(F + "normalize", dim=0), [exactly([0.0, 0.0])]),
        Row("cosine_similarity", fn(F + "cosine_similarity", dim=1), [(3, 4), (3, 4)], graph="last"),
    ]
)

IN_PLACE = [
    Row(f"{name}_ in place", in_place(f"{name}_"), [between(0.2, 1.3, 2, 3)])
    for name in ["atan", "ceil", "cos", "floor", "reciprocal", "round", "rsqrt", "sign", "sin", "square", "tan"]
] + [
    Row("add_", in_place("add_"), [(2, 3), (3,)]),
    Row("add_ number, alpha", in_place("add_", 2, alpha=3), [(2, 3)]),
    Row("xlogy_", in_place("xlogy_"), [(2, 3), between(0.5, 2, 2, 3)]),
    Row("sub_", in_place("sub_"), [(2, 3), (2, 3)]),
    Row("mul_", in_place("mul_"), [(2, 3), (2, 1)]),
    Row("div_", in_place("div_"), [(2, 3), between(0.5, 2, 2, 3)]),
    Row("pow_", in_place("pow_", 2), [(2, 3)]),
    Row("neg_", in_place("neg_"), [(2, 3)]),
    Row("exp_", in_place("exp_"), [(2, 3)]),
    Row("erfinv_", in_place("erfinv_"), [between(-0.9, 0.9, 2, 3)]),
    Row("log_", in_place("log_"), [between(0.5, 2, 2, 3)]),
    Row("sqrt_", in_place("sqrt_"), [between(0.5, 2, 2, 3)]),
    Row("abs_", in_place("abs_"), [ZEROS_AND_SIGNS]),
    Row("tanh_", in_place("tanh_"), [(2, 3)]),
    Row("sigmoid_", in_place("sigmoid_"), [(2, 3)]),
    Row("relu_", in_place("relu_"), [ZEROS_AND_SIGNS]),
    Row("clamp_", in_place("clamp_", -0.5, 0.5), [(2, 3)]),
    Row("clamp_min_", in_place("clamp_min_", 0.1), [(2, 3)]),
    Row("clamp_max_", in_place("clamp_max_", 0.1), [(2, 3)]),
    Row("addcmul_", in_place("addcmul_", value=0.5), [(2, 3), (2, 3), (3,)]),
    Row("addcdiv_", in_place("addcdiv_", value=0.5), [(2, 3), (2, 3), between(0.5, 2, 3)]),
    Row("lerp_", in_place("lerp_", weight=0.3), [(2, 3), (2, 3)]),
    Row("cumsum_", in_place("cumsum_", 1), [(2, 3)]),
    Row("transpose_", in_place("transpose_", 0, 1), [(2, 3)]),
    Row("t_", in_place("t_"), [(2, 3)]),
    Row("zero_", in_place("zero_"), [(2, 3)]),
    Row("fill_", in_place("fill_", 2.5), [(2, 3)]),
    Row("copy_", in_place("copy_"), [(2, 3), (3,)]),
    Row("unsqueeze_", in_place("unsqueeze_", 0), [(2, 3)]),
    Row("squeeze_", in_place("squeeze_"), [(2, 1, 3)]),
    Row("masked_fill_", in_place("masked_fill_", value=2.0), [(2, 3), data([True, False, True], "bool")]),
    Row("masked_fill", method("masked_fill", value=2.0), [(2, 3), data([True, False, True], "bool")]),
    Row("operator +=", lambda lib, x, y: _augmented(x.clone(), y, "+"), [(2, 3), (2, 3)]),
    Row("operator *=", lambda lib, x, y: _augmented(x.clone(), y, "*"), [(2, 3), (2, 3)]),
    Row("operator /=", lambda lib, x, y: _augmented(x.clone(), y, "/"), [(2, 3), between(0.5, 2, 2, 3)]),
    Row("in place twice", lambda lib, x: x.clone().mul_(2).add_(1).relu_(), [(2, 3)]),
    Row("in place on a slice", lambda lib, x, y: _on_a_part(x.clone(), lambda z: z[1].mul_(y)), [(3, 2), (2,)]),
    Row(
        "in place on a slice of a slice", lambda lib, x: _on_a_part(x.clone(), lambda z: z[1:][:, 0].mul_(3)), [(3, 2)]
    ),
    Row("in place on a transpose", lambda lib, x, y: _on_a_part(x.clone(), lambda z: z.t().add_(y)), [(3, 2), (2, 3)]),
    Row("in place on a view", lambda lib, x: _on_a_part(x.clone(), lambda z: z.view(-1)[2:5].zero_()), [(3, 2)]),
    Row("set an item", lambda lib, x, y: _set(x.clone(), 1, y), [(3, 2), (2,)]),
    Row("set a number", lambda lib, x: _set(x.clone(), (0, 1), 5.0), [(3, 2)]),
    Row(
        "set a slice", lambda lib, x, y: _set(x.clone(), (slice(None), slice(0, 2)), y), [(3, 4), (1, 2)], graph="last"
    ),
    Row("set by a mask", lambda lib, x, m: _set(x.clone(), m, 0.0), [(3,), data([True, False, True], "bool")]),
    Row("set by indices", lambda lib, x, i, y: _set(x.clone(), i, y), [(4, 2), data([2, 0]), (2, 2)]),
    Row(
        "in place after use in an op that does not save it",
        lambda lib, x: (lambda z: (z + 1, z.mul_(2)))(x.clone()),
        [(2, 3)],
    ),
]


def _augmented(x, y, operator):
    if operator == "+":
        x += y
    elif operator == "*":
        x *= y
    else:
        x /= y
    return x


def _on_a_part(z, change):
    change(z)
    return z


def _set(z, key, value):
    z[key] = value
    return z


INT, BOOL, BYTE, SINGLE, DOUBLE = (
    data([[1, -2, 3]]),
    data([[True, False, True]], "bool"),
    data([[1, 2, 250]], "uint8"),
    data([[1.5, -2.0, 3.0]], "float32"),
    data([[1.5, -2.0, 3.0]], "float64"),
)
PROMOTION = [
    Row(f"promotion {one} {op} {other}", fn(op), [a, b], dtypes=["float32"])
    for op in ["add", "mul", "div", "maximum"]
    for one, a, other, b in [
        ("int", INT, "int", INT),
        ("int", INT, "bool", BOOL),
        ("bool", BOOL, "bool", BOOL),
        ("int", INT, "float32", SINGLE),
        ("float32", SINGLE, "float64", DOUBLE),
        ("uint8", BYTE, "int", INT),
        ("uint8", BYTE, "uint8", BYTE),
        ("bool", BOOL, "float64", DOUBLE),
        ("0-d float64", data(2.0, "float64"), "float32", SINGLE),
        ("0-d float64", data(2.0, "float64"), "int", INT),
        ("0-d int", data(2), "uint8", BYTE),
    ]
] + [
    Row("promotion int * number", lambda lib, x: x * 2.5, [INT], dtypes=["float32"]),
    Row("promotion int / int", lambda lib, x: x / 2, [INT], dtypes=["float32"]),
    Row("promotion float32 * number", lambda lib, x: x * 2.5, [SINGLE], dtypes=["float32"]),
    Row("promotion float32 + NumPy float64 scalar", lambda lib, x: x + 0.1, [SINGLE], dtypes=["float32"]),
    Row("promotion bool + number", lambda lib, x: x + 1, [BOOL], dtypes=["float32"]),
    Row("promotion bool * number", lambda lib, x: x * 0.5, [BOOL], dtypes=["float32"]),
    Row("promotion exp of int", fn("exp"), [INT], dtypes=["float32"]),
    Row("promotion sqrt of uint8", fn("sqrt"), [BYTE], dtypes=["float32"]),
    Row("promotion sigmoid of bool", fn("sigmoid"), [BOOL], dtypes=["float32"]),
    Row("promotion sum of bool", fn("sum"), [BOOL], dtypes=["float32"]),
    Row("promotion sum of uint8", fn("sum"), [BYTE], dtypes=["float32"]),
    Row("promotion cumsum of uint8", fn("cumsum", 1), [BYTE], dtypes=["float32"]),
    Row("promotion prod of bool", fn("prod"), [BOOL], dtypes=["float32"]),
    Row("promotion int ** 2", lambda lib, x: x**2, [INT], dtypes=["float32"]),
    Row("promotion int ** 0.5", lambda lib, x: x**0.5, [data([1, 4, 9])], dtypes=["float32"]),
    Row("promotion abs of int", fn("abs"), [INT], dtypes=["float32"]),
    Row("promotion where", lambda lib, m, x: lib.where(m, x, 0), [BOOL, SINGLE], dtypes=["float32"]),
    Row("promotion cat", lambda lib, x, y: lib.cat([x, y]), [INT, SINGLE], dtypes=["float32"]),
    Row("promotion uint8 wraps around", fn("add", 10), [BYTE], dtypes=["float32"]),
    Row("promotion float leaf * int", fn("mul"), [(1, 3), INT]),
    Row("promotion float32 leaf with float64", fn("mul"), [(1, 3), DOUBLE]),
    Row("to float", method("float"), [INT], dtypes=["float32"]),
    Row("to double and back", lambda lib, x: x.double().float(), [(2, 3)]),
    Row("to long", method("long"), [exactly([1.9, -1.9, 0.0])]),
    Row("to bool", method("bool"), [exactly([1.9, -0.0, 0.0])]),
    Row("type_as", method("type_as"), [INT, (2,)], dtypes=["float64"]),
]

# What a complex result's gradient is: the conjugate of the derivative, as in PyTorch. The numbers are away from branch cuts.
COMPLEX = [
    Row(
        f"{name} of complex numbers",
        lambda lib, *parts, f=f: f(lib, *[lib.view_as_complex(part) for part in parts]),
        [between(0.5, 2, *shape, 2) for shape in shapes],
        graph="last",  # PyTorch notes a conjugate in a bit of the tensor
    )
    for name, f, shapes in [
        *((name, lambda lib, z, name=name: getattr(lib, name)(z), [(2, 3)]) for name in [
            "abs", "acosh", "asin", "atan", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2", "mean", "neg",
            "norm", "prod", "reciprocal", "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "square", "sum", "tan", "tanh",
        ]),
        ("*", lambda lib, z, w: z * w, [(2, 3), (3,)]),
        ("/", lambda lib, z, w: z / w, [(2, 3), (3,)]),
        ("** tensor", lambda lib, z, w: z**w, [(2, 3), (3,)]),
        ("** number", lambda lib, z: z**3, [(2, 3)]),
        ("number **", lambda lib, z: 3**z, [(2, 3)]),
        ("+, with a complex alpha", lambda lib, z, w: lib.add(z, w, alpha=2 - 1j), [(2, 3), (3,)]),
        ("times real ones", lambda lib, z, w: z * lib.view_as_real(w)[..., 0], [(2, 3), (3,)]),
        ("@", lambda lib, z, w: z @ w, [(2, 3), (3, 2)]),
        ("@ vector", lambda lib, z, w: z @ w, [(2, 3), (3,)]),
        ("dot", lambda lib, z, w: lib.dot(z, w), [(3,), (3,)]),
        ("addcmul", lambda lib, z, w: lib.addcmul(z, w, w), [(2, 3), (3,)]),
        ("addcdiv", lambda lib, z, w: lib.addcdiv(z, z, w), [(2, 3), (3,)]),
        ("conj", lambda lib, z: lib.conj(z) * z * z, [(2, 3)]),
        ("indices", lambda lib, z: z[:, [0, 0, 2]] * z, [(2, 3)]),
        ("a choice", lambda lib, z, w: lib.where(lib.view_as_real(z)[..., 0] > 1, z * z, w), [(2, 3), (2, 3)]),
    ]
]  # fmt: skip
ROWS = (
    ARITHMETIC + BROADCASTING + LAYOUTS + FUNCTIONS + CLAMP + COMPARISON + ACTIVATIONS + IN_PLACE + PROMOTION + COMPLEX
)
