"""Rows of the table: slices added and filled in, places in an order, diagonals, pieces, tensors beside each other, more products."""

from __future__ import annotations

from compare import Row, constant, data, exactly, fn, method, normal

PLACES, ROWS_ = data([2, 0, 2]), data([[0, 2, 2], [1, 0, 1]])
NUMBERS = data([3, 1, 1, 2, 3, 3, 1])
TABLE = data([[1, 2], [1, 2], [3, 0], [1, 2]])

INDEXING = [
    Row("index_add", lambda lib, x, i, y: x.index_add(0, i, y), [(4, 2), PLACES, (3, 2)], graph="last"),
    Row(
        "index_add alpha",
        lambda lib, x, i, y: lib.index_add(x, 1, i, y, alpha=-2),
        [(2, 4), PLACES, (2, 3)],
        graph="last",
    ),
    Row("index_add of a 0-d tensor", lambda lib, x, i, y: x.index_add(0, i, y), [(), data(0), ()], graph="none"),
    Row("index_add_", lambda lib, x, i, y: x.clone().index_add_(0, i, y), [(4, 2), PLACES, (3, 2)], graph="none"),
    Row("index_copy", lambda lib, x, i, y: x.index_copy(1, i, y), [(2, 4), data([3, 0, 2]), (2, 3)], graph="none"),
    Row("index_fill", lambda lib, x, i: x.index_fill(1, i, 2.5), [(2, 4), data([3, -4])], graph="none"),
    Row("index_fill by a tensor", lambda lib, x, i, y: x.index_fill(0, i, y), [(4, 2), PLACES, ()], graph="none"),
    Row("index_put", lambda lib, x, i, y: lib.index_put(x, (i,), y), [(4, 2), data([3, 1]), (2, 2)], graph="none"),
    Row("scatter_add", lambda lib, x, i, y: x.scatter_add(1, i, y), [(2, 4), ROWS_, (2, 3)]),
    Row("scatter_add_", lambda lib, x, i, y: x.clone().scatter_add_(0, i, y), [(3, 3), ROWS_, (2, 3)]),
    Row("take", lambda lib, x, i: lib.take(x, i), [(3, 4), data([[0, -1], [7, 7]])], graph="none"),
    Row("argwhere", fn("argwhere"), [data([[0, 1], [2, 0]])]),
    Row("embedding", lambda lib, i, w: lib.nn.functional.embedding(i, w), [ROWS_, (4, 3)]),
    Row("embedding with padding", lambda lib, i, w: lib.nn.functional.embedding(i, w, 2), [ROWS_, (4, 3)]),
    Row(
        "embedding by frequency",
        lambda lib, i, w: lib.nn.functional.embedding(i, w, scale_grad_by_freq=True),
        [ROWS_, (4, 3)],
        graph="none",
    ),
]

ORDER = [
    Row("kthvalue", fn("kthvalue", 2), [(3, 4)]),
    Row("kthvalue keepdim", fn("kthvalue", 3, 0, True), [(3, 4)]),
    Row("aminmax", fn("aminmax"), [(3, 4)], graph="none"),
    Row("aminmax of a dim", fn("aminmax", dim=1, keepdim=True), [(3, 4)], graph="none"),
    Row("searchsorted", fn("searchsorted"), [exactly([1.0, 2.0, 2.0, 5.0]), exactly([[0.0, 2.0], [3.0, 9.0]])]),
    Row(
        "searchsorted right, in rows",
        fn("searchsorted", right=True),
        [exactly([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]), exactly([[0.0, 2.0], [3.0, 4.0]])],
    ),
    Row("searchsorted of a number", lambda lib, x: lib.searchsorted(x, 2.0, side="right"), [exactly([1.0, 2.0, 3.0])]),
    Row(
        "searchsorted with a sorter",
        lambda lib, x, y, i: lib.searchsorted(x, y, sorter=i, out_int32=True),
        [exactly([3.0, 1.0, 2.0]), exactly([1.5, 2.5]), data([1, 2, 0])],
    ),
    Row("bucketize", lambda lib, x, b: lib.bucketize(x, b), [data([[3, 6, 9], [3, 6, 9]]), data([1, 3, 5, 7, 9])]),
    Row("bucketize right", lambda lib, x, b: lib.bucketize(x, b, right=True), [data([3, 6]), data([1, 3, 5, 7, 9])]),
    Row("unique with all", lambda lib, x: lib.unique(x, return_inverse=True, return_counts=True), [TABLE]),
    Row("unique of slices", lambda lib, x: lib.unique(x, dim=0, return_inverse=True, return_counts=True), [TABLE]),
    Row("unique counted", lambda lib, x: x.unique(return_counts=True), [NUMBERS]),
    Row("unique_consecutive", lambda lib, x: lib.unique_consecutive(x, True, True), [NUMBERS]),
    Row("unique_consecutive of slices", lambda lib, x: x.unique_consecutive(dim=0, return_counts=True), [TABLE]),
    Row("nanmean", fn("nanmean", 1), [exactly([[1.0, float("nan")], [2.0, 4.0]])], graph="none"),
    Row("trapezoid", fn("trapezoid", dx=0.5, dim=0), [(4, 3)], graph="none"),
    Row("trapezoid at places", lambda lib, y, x: lib.trapezoid(y, x), [(2, 4), (4,)], graph="none"),
    Row("trapezoid at places of each", lambda lib, y, x: lib.trapz(y, x, dim=0), [(4, 3), (4, 3)], graph="none"),
    Row("renorm", fn("renorm", 2, 0, 1.5), [(3, 4)], graph="none"),
    Row("renorm of columns", fn("renorm", 1, 1, 2.0), [(3, 4)], graph="none"),
]

SHAPES = [
    Row("movedim of several", fn("movedim", (0, 2), (2, 1)), [(2, 3, 4)]),
    Row("moveaxis method", method("moveaxis", -1, 0), [(2, 3, 4)]),
    Row("swapdims", fn("swapdims", 0, 1), [(2, 3)]),
    Row("ravel", fn("ravel"), [(2, 3)]),
    Row("atleast_1d", lambda lib, *x: lib.atleast_1d(*x), [(), (3,)], graph="none"),
    Row("atleast_2d", lambda lib, *x: lib.atleast_2d(*x), [(), (3,), (2, 3)], graph="none"),
    Row("atleast_3d", lambda lib, *x: lib.atleast_3d(x), [(), (3,), (2, 3), (1, 2, 3)], graph="none"),
    Row("broadcast_tensors", lambda lib, *x: lib.broadcast_tensors(*x), [(3, 1), (4,), (2, 1, 1)]),
    Row("diag of a vector", fn("diag", 1), [(3,)], graph="none"),
    Row("diag of a matrix", fn("diag", -1), [(3, 4)], graph="none"),
    Row("diag_embed", fn("diag_embed", -1, 0, 2), [(2, 3)], graph="none"),
    Row("trace", fn("trace"), [(3, 4)], graph="none"),
    Row("tensor_split", fn("tensor_split", 3), [(7, 2)]),
    Row("tensor_split at places", method("tensor_split", (1, 4, 9), dim=1), [(2, 6)], graph="none"),
    Row("hsplit", fn("hsplit", 2), [(2, 4)]),
    Row("vsplit", method("vsplit", [1, 3]), [(4, 2)]),
    Row("dsplit", fn("dsplit", 3), [(1, 2, 3)]),
    Row("hstack", lambda lib, *x: lib.hstack(x), [(2, 3), (2, 1)]),
    Row("hstack of vectors", lambda lib, *x: lib.hstack(x), [(2,), (3,), ()], graph="none"),
    Row("vstack", lambda lib, *x: lib.vstack(x), [(2, 3), (3,)], graph="none"),
    Row("dstack", lambda lib, *x: lib.dstack(x), [(2, 3), (2, 3)], graph="none"),
    Row("column_stack", lambda lib, *x: lib.column_stack(x), [(2,), (2, 3)], graph="none"),
    Row("fliplr", fn("fliplr"), [(2, 3)]),
    Row("flipud", method("flipud"), [(2, 3)]),
    Row("cartesian_prod", lambda lib, *x: lib.cartesian_prod(*x), [(2,), (3,), (2,)], graph="none"),
]

PRODUCTS = [
    Row("addmv", fn("addmv", beta=0.5, alpha=2), [(3,), (3, 4), (4,)], graph="none"),
    Row("inner", fn("inner"), [(2, 3), (4, 3)], graph="none"),
    Row("inner with a number", fn("inner"), [(2, 3), ()], graph="none"),
    Row("tensordot", fn("tensordot"), [(2, 3, 4), (3, 4, 5)], graph="none"),
    Row("tensordot of named dims", fn("tensordot", ([0, 2], [1, 0])), [(2, 3, 4), (4, 2, 5)], graph="none"),
    Row("tensordot stretched", fn("tensordot", ([1], [0])), [(2, 3), (1, 4)], graph="none"),
    Row("tensordot of no dims", fn("tensordot", 0), [(2,), (3,)], graph="none"),
    Row("inverse", fn("inverse"), [exactly([[2.0, 1.0, 0.5], [-1.0, 3.0, 1.0], [0.0, 1.0, 1.5]])]),
    Row(
        "inverse of a batch", method("inverse"), [(2, 4, 3, 3)], loose={"float32": 100}, graph="none"
    ),  # some are nearly singular
    Row("linalg.inv", fn("linalg.inv"), [exactly([[2.0, 1.0], [-1.0, 3.0]])]),
    Row("kron", fn("kron"), [(2, 3), (3, 2)], graph="none"),
    Row("kron of a vector", fn("kron"), [(2,), (3, 2)], graph="none"),
    Row("cross", fn("cross"), [(2, 3), (2, 3)], graph="none"),
    Row("cross of a dim", fn("cross", dim=0), [(3, 4), (3, 1)], graph="none"),
    Row("cdist", fn("cdist"), [(2, 3, 4), (5, 4)], graph="none"),
    Row("cdist p 1", fn("cdist", p=1.0), [(3, 4), constant(normal(5, 4))], graph="none"),
]
ROWS = INDEXING + ORDER + SHAPES + PRODUCTS
