"""`einsum`, `repeat_interleave`, `diff` and `diagonal` under both libraries: what they refuse. Their values: `table_networks.py`."""

from __future__ import annotations

import pytest
from both import assert_same, attempt, known, scenarios

EQUATIONS = {
    "too few operands": ("ij,jk->ik", [(2, 3)]),
    "too many operands": ("ij", [(2, 3), (2,)]),
    "too few labels": ("i", [(2, 3)]),
    "too many labels": ("ijk", [(2, 3)]),
    "too many labels beside an ellipsis": ("i...jk", [(2, 3)]),
    "a lone dot": ("i.j", [(2, 3)]),
    "two ellipses": ("...i...", [(2, 3)]),
    "a digit": ("i1", [(2, 3)]),
    "a digit behind the arrow": ("ij->1", [(2, 3)]),
    "a second operand's digit": ("ij, j2->i", [(2, 3), (3, 2)]),
    "an unknown label": ("ij->k", [(2, 3)]),
    "a label twice": ("ij->ii", [(2, 3)]),
    "a diagonal of no square": ("ii", [(2, 3)]),
    "different sizes": ("ij,jk", [(2, 3), (2, 3)]),
    "different sizes below the ellipsis": ("...i,...i", [(2, 3, 4), (5, 3, 4)]),
    "two arrows": ("ij->ij->ij", [(2, 3)]),
    "half an arrow": ("ij-ij", [(2, 3)]),
    "two ellipses behind the arrow": ("ij->...ij...", [(2, 3)]),
    "a lone dot behind the arrow": ("ij->i.", [(2, 3)]),
    "no number for the result's ellipsis": ("ij->...", [(2, 3)]),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations(name):
    equation, shapes = EQUATIONS[name]
    assert_same(lambda torch, log: attempt(log, torch.einsum, equation, *[torch.zeros(shape) for shape in shapes]))


def rule_arguments(torch, log):
    x = torch.zeros(2, 3)
    for wrong in [("ij->ji",), (3,), (), (x, [0, 60], [0]), (x, [0, -1]), ("ij", 3), ("ij", [x, 3]), (x,)]:
        attempt(log, torch.einsum, *wrong)
    log(torch.einsum("iB,Bj", x, torch.zeros(3, 4)), torch.einsum("ij->ij", x).data_ptr() == x.data_ptr())
    log(torch.einsum("ij", x)._is_view())


def rule_types(torch, log):
    x = known(torch, 2, 3)
    attempt(log, torch.einsum, "ij,jk->ik", x, torch.zeros(3, 4).double())
    log(torch.einsum("i,i->i", torch.zeros(2), torch.zeros(2).double()))
    attempt(log, torch.einsum, "ij,j", x > 0, x[0] > 0)
    attempt(log, torch.einsum, "bij,bj->bi", torch.ones(2, 2, 3).long(), torch.ones(2, 3))
    attempt(log, torch.bmm, torch.ones(2, 2, 3).double(), torch.ones(2, 3, 3))
    attempt(log, torch.matmul, torch.ones(2, 2, 3).double(), torch.ones(3, 3))


def rule_repeat_interleave(torch, log):
    repeat, x = torch.repeat_interleave, known(torch, 3, 4)
    for wrong in [
        (x, torch.tensor([1, 0, 2])),
        (x, -1),
        (x, torch.tensor([1, -1, 2]), 0),
        (x, torch.tensor([1.0, 2.0, 3.0]), 0),
        (x, torch.tensor([1, 2, 3], dtype=torch.int16), 0),
        (x, torch.tensor([[1, 2, 3]]), 0),
        (x, 2, 5),
        (torch.tensor(3.0), 2, 0),
        (torch.tensor([1.0]),),
        (torch.tensor([-1, 2]),),
        (torch.tensor([[1, 2]]),),
        (torch.tensor(2),),
    ]:
        attempt(log, repeat, *wrong)
    attempt(log, repeat, torch.tensor([1, 0, 2]), output_size=4)
    attempt(log, repeat, x, torch.tensor([1, 0, 2]), dim=0, output_size=4)
    attempt(log, repeat, x, 2, dim=0, output_size=7)
    log(repeat(x, 2, dim=0, output_size=6))


def rule_kinds_of_repeats(torch, log):
    for wrong in (1.5, True, [1, 2, 3]):
        try:
            torch.repeat_interleave(known(torch, 3, 4), wrong, dim=0)
        except TypeError as error:
            log(str(error).partition(" - ")[0])


def rule_diff(torch, log):
    x = known(torch, 3, 4)
    attempt(log, torch.diff, torch.tensor(1.0))
    attempt(log, torch.diff, x, -1)
    attempt(log, torch.diff, x, dim=2)
    attempt(log, torch.diff, x, prepend=torch.ones(2, 2))
    attempt(log, torch.diff, x, append=torch.ones(2))
    attempt(log, torch.diff, x, 0, append=torch.ones(2))
    log(torch.diff(x, 0).data_ptr() == x.data_ptr(), x.diff(prepend=torch.ones(3, 1).double()), torch.zeros(0).diff())
    for wrong in (True, 1.5):
        attempt(log, torch.diff, x, n=wrong)


def rule_diagonal(torch, log):
    x = known(torch, 3, 4)
    for wrong in [(0, 0, 0), (0, 0, 5), (0, -1, 1)]:
        attempt(log, x.diagonal, *wrong)
    attempt(log, torch.zeros(2).diagonal)
    log(x.diagonal(-7), x.diagonal(1).stride(), x.diagonal(1)._is_view())
    x.diagonal().zero_()
    log(x)
    y = known(torch, 3, 3, requires_grad=True) * 1
    y.diagonal(1).mul_(5)
    y.sum().backward()
    log(y)


def rule_max_unpool2d(torch, log):
    x, unpool = known(torch, 1, 2, 4, 4), torch.nn.functional.max_unpool2d
    v, i = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    for wrong in [(v, i.int()), (v, i[:1, :1]), (v[0, 0], i[0, 0]), (v[:, :0], i[:, :0])]:
        attempt(log, unpool, *wrong, 2)
    for size in [(9, 4), (4,), (1, 2, 5, 5), [5, 4], [9, 4]]:
        attempt(log, unpool, v, i, 2, output_size=size)
    for off in (1, -6):  # one place outside
        attempt(log, unpool, v[:, :1], i[:, :1] + off, 2)
    attempt(log, unpool, v, i, 2, padding=3)
    attempt(log, unpool, v.long(), i, 2)
    log(unpool(v[:0], i[:0], 2), torch.nn.MaxUnpool2d(2)(v, i, output_size=x.size()))


def rule_trunc(torch, log):
    attempt(log, torch.trunc, torch.tensor([True]))
    attempt(log, torch.trunc, torch.tensor([1 + 2j]))


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
