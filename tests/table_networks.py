"""Rows of the table: what networks other than plain convolutional ones are made of."""

from __future__ import annotations

from compare import Row, between, constant, data, exactly, fn, in_place, laid_out, method, normal

EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "bhid,bhjd->bhij": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "nchw,kc->nkhw": [(2, 3, 4, 5), (6, 3)],
    "...ij,...jk": [(2, 3, 4), (4, 5)],
    "i...,...i->...": [(3, 2, 4), (2, 1, 3)],
    "ij...->i...": [(2, 3, 4)],
    "...j->j": [(2, 4, 3)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "bii->bi": [(2, 3, 3)],
    "iji->j": [(3, 2, 3)],
    "ij->": [(2, 3)],
    "ij->ji": [(2, 3)],
    "ji": [(2, 3)],
    " b a ": [(2, 3)],
    "i,j->ij": [(2,), (3,)],
    "ij,ij->ij": [(2, 3), (2, 3)],
    "ij,ij->": [(2, 3), (2, 3)],
    "ij,ij->i": [(2, 3), (1, 3)],
    "ij,jk": [(2, 3), (1, 4)],
    "ij,k->ik": [(2, 3), (4,)],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 5)],
    "bn,anm,bm->ba": [(2, 3), (4, 3, 5), (2, 5)],
    "ij,jk->": [(2, 3), (3, 4)],
    "ij,jk->ik of nothing": [(2, 0), (0, 3)],
    "aB,Bc": [(2, 3), (3, 4)],
    ",ij->ij": [(), (2, 3)],
    "->": [()],
}

PRODUCTS = [
    Row(f"einsum {name}", lambda lib, *x, name=name: lib.einsum(name.partition(" of")[0], *x), shapes)
    for name, shapes in EQUATIONS.items()
] + [
    Row("einsum of a list", lambda lib, x, y: lib.einsum("ij,kj", [x, y]), [(2, 3), (4, 3)]),
    Row("einsum by numbers", lambda lib, x, y: lib.einsum(x, [0, 1], y, [1, 30], [0, 30]), [(2, 3), (3, 4)]),
    Row("einsum by numbers without a result", lambda lib, x: lib.einsum(x, [..., 2, 1]), [(4, 2, 3)]),
    Row("einsum of ints", lambda lib, x, y: lib.einsum("ij,j->i", x, y), [data([[1, 2], [3, 4]]), data([5, 6])]),
]

SERIES = [
    Row("trunc", fn("trunc"), [normal(2, 3)]),
    Row("trunc at the edges", fn("trunc"), [exactly([0.5, -0.5, 1.0, -1.5, 0.0])]),
    Row("fix", method("fix"), [between(-3, 3, 2, 3)]),
    Row("trunc of ints", fn("trunc"), [data([1, -2])]),
    Row("trunc_ in place", in_place("trunc_"), [between(0.2, 1.3, 2, 3)]),
    Row("diff", fn("diff"), [(2, 5)]),
    Row("diff twice, dim 0", method("diff", n=2, dim=0), [(4, 3)]),
    Row("diff none", fn("diff", n=0), [(4, 3)]),
    Row("diff of too few", fn("diff", n=7), [(2, 3)]),
    Row("diff with ends", lambda lib, x, a, b: x.diff(prepend=a, append=b), [(2, 3), (2, 1), (2, 2)]),
    Row("diff of booleans", fn("diff"), [data([True, False, False], "bool")]),
    Row("diff of bytes", fn("diff"), [data([1, 5, 2], "uint8")]),
    Row("repeat_interleave", fn("repeat_interleave", 2), [(2, 3)]),
    Row("repeat_interleave of a vector", method("repeat_interleave", 3), [(4,)]),
    Row("repeat_interleave dim", method("repeat_interleave", 2, dim=1), [(2, 3, 2)]),
    Row("repeat_interleave dim -1", method("repeat_interleave", 2, -1), [laid_out(normal(3, 2), lambda a: a.T)]),
    Row("repeat_interleave never", method("repeat_interleave", 0, dim=0), [(2, 3)]),
    Row("repeat_interleave of a number", fn("repeat_interleave", 2), [()]),
    Row(
        "repeat_interleave each",
        lambda lib, x, r: lib.repeat_interleave(x, r, dim=1, output_size=4),
        [(2, 3), data([1, 0, 3])],
    ),
    Row("repeat_interleave all alike", lambda lib, x, r: x.repeat_interleave(r, 1), [(2, 3), data([2], "int32")]),
    Row("repeat_interleave each number", lambda lib, x, r: x.repeat_interleave(r), [(2, 2), data([1, 0, 3, 1])]),
    Row("repeat_interleave places", fn("repeat_interleave"), [data([1, 0, 3], "int32")]),
    Row("diagonal", fn("diagonal"), [(3, 3)]),
    Row("diagonal to the right", method("diagonal", 1), [(3, 4)]),
    Row("diagonal to the left", method("diagonal", offset=-2, dim1=-1, dim2=0), [(3, 2, 4)]),
    Row("diagonal outside", fn("diagonal", 5), [(3, 4)]),
    Row("diagonal of a constant", fn("diagonal", 0, 1, 2), [constant(normal(2, 3, 3))]),
]

NORMS = [
    Row("group_norm", fn("nn.functional.group_norm", 2), [(2, 4, 5, 3)]),
    Row("group_norm affine", lambda lib, x, w, b: lib.nn.functional.group_norm(x, 2, w, b), [(2, 6, 5), (6,), (6,)]),
    Row("group_norm of no images", fn("nn.functional.group_norm", 2), [(0, 4, 3)]),
    Row("group_norm transposed", fn("nn.functional.group_norm", 2), [laid_out(normal(5, 4, 2), lambda a: a.T)]),
]

PLACES = data([[[[5, 3], [8, 14]], [[0, 2], [9, 10]]]])
UNPOOLING = [
    Row("max_unpool2d", lambda lib, x, i: lib.nn.functional.max_unpool2d(x, i, 2), [(1, 2, 2, 2), PLACES]),
    Row(
        "max_unpool1d",
        lambda lib, x, i: lib.nn.functional.max_unpool1d(x, i, 2),
        [(2, 2, 2), data([[[0, 3], [1, 2]], [[1, 2], [0, 3]]])],
    ),
    Row(
        "max_unpool2d of a size",
        lambda lib, x, i: lib.nn.functional.max_unpool2d(x[0], i[0], (2, 2), 2, output_size=(5, 4)),
        [(1, 2, 2, 2), PLACES],
    ),
    Row(
        "max_unpool2d of max_pool2d",
        lambda lib, x: lib.nn.MaxUnpool2d(2, 2, 1)(*lib.nn.functional.max_pool2d(x, 2, 2, 1, return_indices=True)),
        [(2, 3, 6, 4)],
    ),
]

ROWS = PRODUCTS + SERIES + NORMS + UNPOOLING
