"""Complex tensors: values and gradients as in PyTorch, views of pairs of numbers, and what is refused."""

from __future__ import annotations

import pytest
from both import assert_same, attempt

import minicnn

A, B = [1 + 2j, 3 - 1j, -0.5 + 0.25j], [2 - 1j, 0.5 + 1j, 1 + 1j]
SMOOTH = [
    "exp", "log", "log2", "log10", "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "square", "sin",
    "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "atanh", "sigmoid",
]  # fmt: skip
OPERATIONS = {
    "a + 2 b": lambda torch, a, b: a + b * 2,
    "add with alpha": lambda torch, a, b: torch.add(a, b, alpha=2j),
    "a b": lambda torch, a, b: a * b,
    "2j a": lambda torch, a, b: a * 2j,
    "a a": lambda torch, a, b: a * a,
    "a / b": lambda torch, a, b: a / b,
    "2j / a": lambda torch, a, b: 2j / a,
    "2j - a": lambda torch, a, b: 2j - a,
    "a ** 3": lambda torch, a, b: a**3,
    "a ** b": lambda torch, a, b: a**b,
    "2 ** a": lambda torch, a, b: 2**a,
    "a @ b": lambda torch, a, b: a.reshape(1, 3) @ b.reshape(3, 1),
    "bmm": lambda torch, a, b: torch.bmm(a.reshape(1, 1, 3), b.reshape(1, 3, 1)),
    "dot": lambda torch, a, b: a.dot(b),
    "mv": lambda torch, a, b: torch.mv(a.reshape(1, 3), b),
    "outer": lambda torch, a, b: torch.outer(a, b),
    "linear": lambda torch, a, b: torch.nn.functional.linear(a.reshape(1, 3), b.reshape(1, 3), b[:1]),
    "addcmul": lambda torch, a, b: torch.addcmul(a, a, b),
    "addcdiv": lambda torch, a, b: torch.addcdiv(a, a, b),
    "lerp": lambda torch, a, b: torch.lerp(a, b, 0.3),
    "prod": lambda torch, a, b: a.prod(),
    "cumsum": lambda torch, a, b: a.cumsum(0),
    "mean": lambda torch, a, b: a.mean(),
    "var": lambda torch, a, b: a.var(),
    "std": lambda torch, a, b: a.std(),
    "norm": lambda torch, a, b: a.norm(),
    "norm of order 1": lambda torch, a, b: a.norm(1),
    "where": lambda torch, a, b: torch.where(torch.tensor([True, False, True]), a, b),
    "masked_fill": lambda torch, a, b: a.masked_fill(torch.tensor([True, False, True]), 1j),
    "cat": lambda torch, a, b: torch.cat([a, b]),
    "index": lambda torch, a, b: a[[0, 0, 2]],
    "a times reals": lambda torch, a, b: a * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64),
    "in complex64": lambda torch, a, b: a.to(torch.complex64),
    "real": lambda torch, a, b: a.real,
    "imag": lambda torch, a, b: a.imag,
    "conj": lambda torch, a, b: a.conj() * b,
    "abs": lambda torch, a, b: a.abs(),
    "abs of zeros": lambda torch, a, b: (a * 0).abs() + (a - a.detach()).abs(),
    "|a|^2": lambda torch, a, b: (a * a.conj()).real,
    **{name: lambda torch, a, b, name=name: getattr(a, name)() for name in SMOOTH},
    "softsign": lambda torch, a, b: torch.nn.functional.softsign(a),
    "tanhshrink": lambda torch, a, b: torch.nn.functional.tanhshrink(a),
}


def parts(torch, tensor):
    """As real numbers, which logs compare up to rounding."""
    if tensor is None or not tensor.is_complex():
        return tensor
    return torch.view_as_real(tensor.detach() * 1)  # PyTorch puts conjugates off


def leaves(torch):
    return [torch.tensor(values, dtype=torch.complex128, requires_grad=True) for values in (A, B)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_gradients(name):
    def rule(torch, log):
        a, b = leaves(torch)
        y = OPERATIONS[name](torch, a, b)
        weight = torch.arange(1.0, 1.0 + y.numel(), dtype=torch.float64).reshape(y.shape)
        weight = weight * (1 + 0.5j) if y.is_complex() else weight
        if y.dtype is torch.complex64:
            weight = weight.to(torch.complex64)
        y.backward(weight)
        log(parts(torch, y), parts(torch, a.grad), parts(torch, b.grad))

    assert_same(rule)


@pytest.mark.parametrize("name", ["a b", "a / b", "a ** 3", "exp", "abs", "conj", "real", "tanh", "|a|^2", "a @ b"])
def test_second_derivatives(name):
    """Of the real part, with respect to both: a penalty on a gradient."""

    def rule(torch, log):
        a, b = leaves(torch)
        y = OPERATIONS[name](torch, a, b)
        y = y.real.sum() if y.is_complex() else y.sum()
        first = [g for g in torch.autograd.grad(y, (a, b), create_graph=True, allow_unused=True) if g is not None]
        penalty = sum((torch.view_as_real(g * 1) ** 2).sum() for g in first)
        if penalty.requires_grad:
            found = torch.autograd.grad(penalty, (a, b), allow_unused=True)
            log(*(parts(torch, g) for g in found))
        log(*(parts(torch, g) for g in first))

    assert_same(rule)


def rule_views_of_pairs(torch, log):
    """`view_as_real` and `view_as_complex` share the memory; a write to one is seen in the other, with its gradient."""
    z = torch.tensor(A[:2], requires_grad=True)
    w = z * 1
    pairs = torch.view_as_real(w)
    pairs[0].mul_(3)
    pairs.add_(1)
    log(pairs.data_ptr() == w.data_ptr(), pairs._is_view(), pairs._version, w._version, list(pairs.stride()))
    (w.abs() ** 2).sum().backward()
    log(parts(torch, w), parts(torch, z.grad), w.grad_fn.name())
    p = torch.ones(2, 2, requires_grad=True)
    q = p * 1
    c = torch.view_as_complex(q)
    c.mul_(2j)
    q.sum().backward()
    log(q.detach(), p.grad, c._version)
    turned = torch.view_as_real(torch.ones(2, 3, dtype=torch.complex64).t())
    log(list(turned.shape), list(turned.stride()))


def rule_pairs_that_are_none(torch, log):
    view, x = torch.view_as_complex, torch.arange(12.0)
    for pairs in (
        x.reshape(4, 3)[:, :1],
        x.reshape(2, 6).t()[:2].t(),
        torch.arange(9.0)[1:].reshape(4, 2),
        x.reshape(4, 3)[:, :2],
        torch.tensor(1.0),
        torch.tensor([1, 2]),
        torch.ones(2, dtype=torch.complex64),
    ):
        attempt(log, lambda pairs=pairs: torch.view_as_real(view(pairs)))
    attempt(log, torch.view_as_real, x)
    attempt(log, lambda: x.imag)
    log(x.real is x, x.conj() is x)
    log(torch.view_as_real(view(torch.ones(3, 2).expand(2, 3, 2))), list(view(torch.ones(0, 2)).shape))


def rule_no_order(torch, log):
    """What compares or cuts off refuses complex numbers."""
    a, f = torch.tensor(A), torch.nn.functional
    refused = [f.relu, f.relu6, f.hardtanh, torch.sign, f.hardsigmoid, f.hardswish, f.selu, f.elu, f.leaky_relu, f.gelu]
    refused += [
        f.softplus,
        f.mish,
        f.logsigmoid,
        lambda a: a.softmax(0),
        lambda a: a.log_softmax(0),
        lambda a: a.relu_(),
    ]
    for function in refused:
        attempt(log, function, a)


def rule_silu(torch, log):
    """PyTorch computes it, and has no gradient of it."""
    a = torch.tensor(A)
    log(
        parts(torch, torch.nn.functional.silu(a)),
        parts(torch, torch.nn.functional.silu(a, inplace=True)),
        parts(torch, a),
    )


@pytest.mark.parametrize("rule", [rule_views_of_pairs, rule_pairs_that_are_none, rule_no_order, rule_silu])
def test_rule(rule):
    assert_same(rule)


def test_a_node_prints_its_name():
    w = minicnn.ones(2, requires_grad=True) * 1
    w[:1].mul_(2)
    assert repr(w) == "tensor([2., 1.], grad_fn=<CopySlices>)"


@pytest.mark.parametrize(
    "name", ["a b", "a / b", "a ** b", "abs", "conj", "var", "tanh", "a @ b", "real", "a times reals"]
)
def test_gradients_are_differences(name):
    """gradcheck with complex inputs and outputs, of the first and of the second derivative."""
    a, b = leaves(minicnn)
    assert minicnn.autograd.gradcheck(lambda a, b: OPERATIONS[name](minicnn, a, b), (a, b))
    assert minicnn.autograd.gradgradcheck(lambda a, b: OPERATIONS[name](minicnn, a, b), (a, b))
