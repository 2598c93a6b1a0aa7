"""Edges of the graph in place of tensors: `GradientEdge` among the inputs of `grad` and `backward`."""

from __future__ import annotations

import pytest
from both import assert_same, attempt, known, scenarios

import minicnn
from tests.hooks.parts import watch


def _three(torch, log):
    x = watch(log, "x", known(torch, 3, requires_grad=True))
    h = watch(log, "h", x * 2)
    a, b, _ = h.unbind()
    return x, h, watch(log, "a", a), b, (h * h).sum() + a * 3 + b


def _edge(torch, tensor):
    return torch.autograd.graph.get_gradient_edge(tensor)


EDGES = {
    "of a result and a leaf": lambda torch, x, h, a, b: [_edge(torch, h), _edge(torch, x)],
    "twice, and as a tensor": lambda torch, x, h, a, b: (_edge(torch, h), _edge(torch, h), h),
    "of several results": lambda torch, x, h, a, b: [_edge(torch, a), _edge(torch, b)],
    "of the second result": lambda torch, x, h, a, b: _edge(torch, b),
    "by its node": lambda torch, x, h, a, b: [torch.autograd.graph.GradientEdge(a.grad_fn, 2)],
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_as_inputs(name):
    """What an edge of a result among the inputs brings, and which hooks run; `backward` leaves nothing with it."""

    def rule(torch, log):
        *tensors, y = _three(torch, log)
        attempt(log, torch.autograd.grad, y, EDGES[name](torch, *tensors))
        *tensors, y = _three(torch, log)
        attempt(log, torch.autograd.backward, y, inputs=EDGES[name](torch, *tensors))
        log([tensor.retains_grad for tensor in tensors], tensors[0].grad)

    assert_same(rule)


def rule_what_is_no_edge(torch, log):
    """A pair of a node and a number is no edge, and an edge needs a node."""
    x, h, _, _, y = _three(torch, log)
    nothing = torch.autograd.graph.GradientEdge(None, 0)
    for wrong in ([h, 5], [(h.grad_fn, 0)], [nothing]):
        attempt(log, torch.autograd.grad, y, wrong, retain_graph=True)
        attempt(log, torch.autograd.backward, y, inputs=wrong, retain_graph=True)
    edge = _edge(torch, x)
    log(edge.node.name(), len(edge), edge.ownership_token, edge == _edge(torch, x), isinstance(edge, tuple))


def test_an_edge_that_is_not_there():
    """minicnn alone: the number is looked at before the pass."""
    x = minicnn.ones(3, requires_grad=True)
    y = x * 2
    edge = minicnn.autograd.graph.GradientEdge(y.grad_fn, 7)
    for wrong in (edge, edge._replace(output_nr=-1)):
        for call in (
            lambda wrong=wrong: minicnn.autograd.grad(y.sum(), wrong),
            lambda wrong=wrong: minicnn.autograd.backward(y.sum(), inputs=[wrong]),
            lambda wrong=wrong: minicnn.autograd.grad(wrong, x, minicnn.ones(3)),
        ):
            with pytest.raises(RuntimeError, match="MulBackward0 has 1 outputs, and none with the number"):
                call()


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
