"""Rows of the table: more functions of one or two operands, element by element, and truth values."""

from __future__ import annotations

from compare import Row, between, constant, data, exactly, fn, in_place, method, normal

nan, inf = float("nan"), float("inf")
EDGES = exactly([0.0, 1.0, -2.5, inf, -inf, nan])
INTS, OTHERS = data([-7, 5, 0, 3]), data([2, -3, 4, 3])
TRUTH, OTHER_TRUTH = data([True, False, True, False], "bool"), data([True, True, False, False], "bool")

ELEMENTWISE = [
    Row("exp2", fn("exp2"), [(2, 3)]),
    Row("exp2 of ints", fn("exp2"), [INTS]),
    Row("frac", fn("frac"), [between(-3, 3, 2, 5)]),
    Row("logit", fn("logit"), [between(0.05, 0.95, 2, 3)]),
    Row("logit outside", fn("logit"), [exactly([-0.5, 0.0, 0.5, 1.0, 1.5])]),
    Row("logit eps", fn("logit", eps=0.1), [exactly([-0.5, 0.05, 0.5, 0.93, 1.5])]),
    Row("nan_to_num", fn("nan_to_num"), [EDGES]),
    Row("nan_to_num with numbers", fn("nan_to_num", nan=1.5, posinf=2.0, neginf=-3.0), [EDGES]),
    Row("nan_to_num of ints", fn("nan_to_num"), [INTS]),
    Row("erfc", fn("erfc"), [between(-3, 5, 2, 6)]),
    Row("atan2", fn("atan2"), [(2, 3), (3,)]),
    Row("atan2 of ints", fn("atan2"), [INTS, OTHERS]),
    Row("fmod", fn("fmod"), [(2, 3), between(0.3, 0.8, 3)]),
    Row("fmod by a number", fn("fmod", -0.7), [(2, 3)]),
    Row("fmod of ints", fn("fmod"), [INTS, OTHERS]),
    Row("hypot", fn("hypot"), [(2, 3), (3,)]),
    Row("logaddexp", fn("logaddexp"), [(2, 3), (3,)]),
    Row("logical_xor", fn("logical_xor"), [TRUTH, OTHER_TRUTH]),
    Row("bitwise_not", fn("bitwise_not"), [INTS]),
    Row("bitwise_not of booleans", fn("bitwise_not"), [TRUTH]),
    Row("isposinf", fn("isposinf"), [EDGES]),
    Row("isneginf", fn("isneginf"), [EDGES]),
    Row("isreal", fn("isreal"), [EDGES]),
    Row("signbit", fn("signbit"), [exactly([-0.0, 0.0, -1.0, 2.0])]),
    Row("signbit of ints", fn("signbit"), [INTS]),
    Row("isin", fn("isin"), [INTS, OTHERS]),
    Row("isin inverted, of numbers", lambda lib, x: lib.isin(x, 3, invert=True), [INTS]),
    Row("not_equal", fn("not_equal"), [INTS, OTHERS]),
    Row("arctan2 method", method("arctan2"), [(2, 3), (2, 3)]),
    Row("multiply method", method("multiply"), [(2, 3), (2, 3)]),
]
IN_PLACE = [
    Row("fill_diagonal_", in_place("fill_diagonal_", 2.5), [(3, 4)], graph="none"),
    Row("fill_diagonal_ wrapped", in_place("fill_diagonal_", 2.5, wrap=True), [(7, 2)], graph="none"),
    Row("fill_diagonal_ of a cube", in_place("fill_diagonal_", 2.5), [(3, 3, 3)], graph="none"),
] + [
    Row(f"{name} of a clone", in_place(name, *args), given, graph="last")
    for name, args, given in [
        ("fmod_", (0.7,), [(2, 3)]),
        ("remainder_", (0.7,), [(2, 3)]),
        ("erf_", (), [(2, 3)]),
        ("erfc_", (), [(2, 3)]),
        ("expm1_", (), [(2, 3)]),
        ("exp2_", (), [(2, 3)]),
        ("log1p_", (), [between(0.1, 2, 2, 3)]),
        ("log2_", (), [between(0.1, 2, 2, 3)]),
        ("log10_", (), [between(0.1, 2, 2, 3)]),
        ("logit_", (), [between(0.1, 0.9, 2, 3)]),
        ("nan_to_num_", (), [EDGES]),
        ("frac_", (), [(2, 3)]),
        ("atan2_", (), [(2, 3), (2, 3)]),
        ("hypot_", (), [(2, 3), (2, 3)]),
        ("acos_", (), [between(-0.9, 0.9, 2, 3)]),
        ("asin_", (), [between(-0.9, 0.9, 2, 3)]),
        ("sinh_", (), [(2, 3)]),
        ("cosh_", (), [(2, 3)]),
        ("asinh_", (), [constant(normal(2, 3))]),
        ("acosh_", (), [constant(between(1.1, 3, 2, 3))]),
        ("atanh_", (), [constant(between(-0.9, 0.9, 2, 3))]),
        ("tril_", (), [(3, 3)]),
        ("triu_", (1,), [(3, 3)]),
        ("logical_and_", (), [TRUTH, OTHER_TRUTH]),
        ("logical_or_", (), [TRUTH, OTHER_TRUTH]),
        ("logical_xor_", (), [TRUTH, OTHER_TRUTH]),
        ("logical_not_", (), [TRUTH]),
        ("bitwise_and_", (), [INTS, OTHERS]),
        ("bitwise_or_", (), [INTS, OTHERS]),
        ("bitwise_xor_", (), [INTS, OTHERS]),
        ("bitwise_not_", (), [INTS]),
        ("floor_divide_", (2,), [INTS]),
        ("lt_", (), [INTS, OTHERS]),
        ("ge_", (1,), [INTS]),
    ]
]

ROWS = ELEMENTWISE + IN_PLACE
