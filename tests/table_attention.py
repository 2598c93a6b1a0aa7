"""Rows of the table: attention, and the products of matrices that it is made of."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from compare import Row, data, exactly, fn
from torch.nn.attention import SDPBackend, sdpa_kernel

Q, K, V = (2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7)
MAY_LOOK = data([[True, False, True, True, False]] * 3 + [[False] * 5], "bool")  # the last query: nowhere


def attend(**options: Any) -> Any:
    """PyTorch's fused kernel has no second derivative: it computes by its formula."""

    def run(lib: Any, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        with sdpa_kernel(SDPBackend.MATH) if lib is torch else contextlib.nullcontext():
            return lib.nn.functional.scaled_dot_product_attention(query, key, value, mask, **options)

    return run


ROWS = [
    Row("attention", attend(), [Q, K, V], graph="none"),
    Row("attention of one head", attend(), [(4, 6), (5, 6), (5, 3)], graph="none"),
    Row("attention with a scale", attend(scale=0.3), [Q, K, V], graph="none"),
    Row("attention to what was before", attend(is_causal=True), [Q, K, V], graph="none"),
    Row("attention with a mask of booleans", attend(), [Q, K, V, MAY_LOOK], graph="none"),
    Row("attention with a mask of numbers", attend(), [Q, K, V, (3, 4, 5)], graph="none"),
    Row(
        "attention with a mask of infinities",
        attend(),
        [(2, 6), (3, 6), (3, 2), exactly([[0.5, float("-inf"), 1.0], [float("-inf")] * 3])],
        graph="none",
    ),
    Row(
        "attention of grouped queries",
        attend(enable_gqa=True),
        [(2, 4, 3, 6), (2, 2, 5, 6), (2, 2, 5, 7)],
        graph="none",
    ),
    Row("attention broadcast", attend(), [(3, 4, 6), (2, 1, 5, 6), (5, 7)], graph="none"),
    Row("baddbmm", fn("baddbmm"), [(2, 3, 4), (2, 3, 5), (2, 5, 4)]),
    Row("baddbmm broadcast", fn("baddbmm"), [(4,), (2, 3, 5), (2, 5, 4)]),
    Row("baddbmm with factors", fn("baddbmm", beta=0.5, alpha=-2), [(3, 1), (2, 3, 5), (2, 5, 4)], graph="none"),
    Row("addmm with factors", fn("addmm", beta=-0.5, alpha=3), [(4,), (2, 3), (3, 4)], graph="none"),
]
