"""Backward passes beside and inside of each other, and which nodes a pass with `inputs=` visits."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from both import assert_same
from compare import same

import minicnn


def written_later(lib):
    """A view whose base was written after the view was made: its node is younger than the node that uses it."""
    x = lib.ones(3, requires_grad=True)
    base = x * 1
    view = base[0]
    base.mul_(2)
    return x, base, view, view * 3


@pytest.mark.parametrize("target", ["leaf", "base", "view"])
def test_a_view_of_a_base_that_was_written_later(target):
    def scenario(lib, log):
        x, base, view, y = written_later(lib)
        wanted = {"leaf": x, "base": base, "view": view}[target]
        log(*lib.autograd.grad(y, [wanted], retain_graph=True), y.grad_fn.next_functions[0][0].name())
        y.backward(inputs=[wanted], retain_graph=True)
        log(wanted.grad)
        y.backward()
        log(x.grad)

    assert_same(scenario)


def test_a_pass_follows_edges_through_several_views_of_one_base():
    def scenario(lib, log):
        x = lib.ones(4, requires_grad=True)
        base = x * 1
        first, second = base[:2], base[2:]
        second.mul_(3)
        total = first.sum() * second.sum()
        first.add_(second)
        log(*lib.autograd.grad(total + base.sum(), [x], retain_graph=True))
        log(*lib.autograd.grad(base.prod(), [first, second, x], allow_unused=True))

    assert_same(scenario)


SAVED_FOR_ANOTHER = {  # the one operand with an edge needs nothing, or there is none
    "view * c": lambda lib, x, view, c: view * c,
    "view * 2": lambda lib, x, view, c: view * 2,
    "view / c": lambda lib, x, view, c: view / c,
    "addcmul": lambda lib, x, view, c: lib.addcmul(view, c, view),
    "addcdiv": lambda lib, x, view, c: lib.addcdiv(view, view, c),
    "mm": lambda lib, x, view, c: lib.mm(view, c),
    "bmm": lambda lib, x, view, c: lib.bmm(c[None], view[None]),
    "mv": lambda lib, x, view, c: lib.mv(view, c[0]),
    "dot": lambda lib, x, view, c: lib.dot(c[0], view[0]),
    "linear with frozen weight": lambda lib, x, view, c: lib.nn.functional.linear(c, c, x[0]),
    "linear": lambda lib, x, view, c: lib.nn.functional.linear(c, c, view[0]),
    "maximum": lambda lib, x, view, c: lib.maximum(view, c),
    "view ** c": lambda lib, x, view, c: view**c,
    "conv2d": lambda lib, x, view, c: lib.nn.functional.conv2d(view[None, None], c[None, None]),
}


@pytest.mark.parametrize("name", SAVED_FOR_ANOTHER)
def test_a_second_pass_is_refused_where_something_was_saved(name):
    """A view of a leaf made under no_grad has no edge: nothing is saved for it."""

    def scenario(lib, log):
        x = (lib.arange(4.0) + 1).reshape(2, 2).clone().requires_grad_()
        with lib.no_grad():
            view = x[:]
        y = SAVED_FOR_ANOTHER[name](lib, x, view, lib.ones(2, 2) * 3)
        log(y, y.requires_grad)
        y.sum().backward()
        log(x.grad)
        y.sum().backward()

    assert_same(scenario)


# --- threads --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty():
    """Threads take turns as often as they can, so that they meet in the middle of things."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(*functions: Callable[[], object]) -> list[object]:
    """Each function's result, or its error; they start together."""
    barrier, results = threading.Barrier(len(functions)), [None] * len(functions)

    def run(i: int) -> None:
        barrier.wait()
        try:
            results[i] = functions[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Meeting(minicnn.autograd.Function):
    """An identity where two backward passes wait for each other, so that both are in the middle of their graph."""

    barrier: threading.Barrier

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, grad):
        Meeting.barrier.wait(10)
        return grad


@pytest.mark.parametrize("operation", ["mul", "matmul", "conv2d", "cat"])
def test_two_passes_with_other_wishes_on_one_retained_graph(operation):
    a, b = (minicnn.ones(1, 1, 2, 2).mul(k).requires_grad_() for k in (2, 3))
    join = {
        "mul": lambda: a * b,
        "matmul": lambda: a @ b,
        "conv2d": lambda: minicnn.nn.functional.conv2d(a, b),
        "cat": lambda: minicnn.cat([a * a, b * b]),
    }[operation]
    y = Meeting.apply(join()).sum()
    Meeting.barrier = threading.Barrier(1)
    expected = [minicnn.autograd.grad(y, [leaf], retain_graph=True)[0] for leaf in (a, b)]
    Meeting.barrier = threading.Barrier(2)
    for _ in range(20):
        found = in_threads(
            *(lambda leaf=leaf: minicnn.autograd.grad(y, [leaf], retain_graph=True)[0] for leaf in (a, b))
        )
        for one, other in zip(found, expected, strict=True):
            assert isinstance(one, minicnn.Tensor), one
            assert one.equal(other)


def test_the_flags_of_a_node_are_the_same_during_and_after_a_pass():
    a, b = (minicnn.ones(2, requires_grad=True) for _ in range(2))
    y = a * b
    seen = []
    y.grad_fn.register_hook(lambda *args: seen.append(y.grad_fn.needs_input_grad))
    y.sum().backward(inputs=[a])
    assert seen == [y.grad_fn.needs_input_grad] == [(True, True, False)]


def test_gradients_of_many_threads_all_arrive(hasty):
    weight = minicnn.ones(200_000, requires_grad=True)  # large enough for NumPy to let other threads run meanwhile

    def train():
        for _ in range(10):
            (weight * 2).sum().backward()

    assert in_threads(*[train] * 4) == [None] * 4
    assert weight.grad.eq(80).all()


def test_threads_that_meet_a_parameter_first_share_its_node(hasty):
    """Two nodes for one leaf would mean that a pass asks for a leaf that its graph does not end in."""
    for _ in range(200):
        weight = minicnn.ones(2, requires_grad=True)
        nodes = in_threads(*[lambda weight=weight: (weight * 2).grad_fn] * 4)
        assert len({id(node.next_functions[0][0]) for node in nodes}) == 1


def test_threads_that_read_a_view_of_a_written_base_share_its_node(hasty):
    for _ in range(200):
        base = minicnn.ones(3, requires_grad=True) * 1
        view = base[:2]
        base.mul_(2)
        nodes = in_threads(*[lambda view=view: view.grad_fn] * 4)
        assert len({id(node) for node in nodes}) == 1


def test_retained_gradients_of_two_threads_add_up(hasty):
    x = minicnn.ones(100_000, requires_grad=True)
    middle = x * 2
    middle.retain_grad()
    y = Meeting.apply(middle).sum()
    Meeting.barrier = threading.Barrier(2)
    in_threads(*[lambda: y.backward(retain_graph=True)] * 2)
    assert middle.grad.eq(2).all()
    assert x.grad.eq(4).all()


# --- passes inside of passes ----------------------------------------------------------------------------------------------


def nested(lib):
    """A Function whose backward pass runs another one, `depth` times; each notes what a thread knows."""

    class Nested(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, depth, seen):
            ctx.depth, ctx.seen = depth, seen
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            ctx.seen.append(lib.is_grad_enabled())
            if ctx.depth == 0:
                return grad * 2, None, None
            with lib.enable_grad():
                x = lib.ones(2, requires_grad=True)
                Nested.apply(x, ctx.depth - 1, ctx.seen).sum().backward()
            return x.grad * grad, None, None

    return Nested


@pytest.mark.parametrize("depth", [1, 30, 200, 500])
def test_a_pass_in_a_pass_in_a_pass(depth):
    def observed(lib):
        x, seen = lib.ones(2, requires_grad=True), []
        nested(lib).apply(x, depth, seen).sum().backward()
        return x.grad.tolist(), len(seen), set(seen)

    same(observed)


@pytest.mark.parametrize("depth", [3, 100])
def test_an_error_comes_up_from_the_bottom(depth):
    def descend(depth):
        x = minicnn.ones(2, requires_grad=True)
        x.register_hook(lambda grad: descend(depth - 1))
        if depth == 0:
            raise KeyError("at the bottom")
        with minicnn.enable_grad():
            (x * 2).sum().backward()

    with pytest.raises(KeyError, match="at the bottom"):
        descend(depth)
    x = minicnn.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert minicnn.is_grad_enabled()


def test_saved_tensors_hooks_reach_the_passes_inside():
    def observed(lib):
        packed = []

        def descend(depth):
            x = lib.ones(2, requires_grad=True)
            x.register_hook(lambda grad: descend(depth - 1) if depth else None)
            with lib.enable_grad():
                x.exp().sum().backward()

        with lib.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t.tolist()) or t, lambda t: t):
            descend(45)
        return len(packed)

    assert same(observed) == 46


def test_backward_in_two_threads():
    """Each thread has its own pass; the leaves are their own."""
    results = {}

    def work(number):
        rng = np.random.default_rng(number)
        x = minicnn.from_numpy(rng.standard_normal(20)).requires_grad_()
        for _ in range(50):
            x.grad = None
            (x.exp() * x).sum().backward()
        results[number] = np.allclose(x.grad.numpy(), np.exp(x.detach().numpy()) * (1 + x.detach().numpy()))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


def test_the_post_hook_of_a_leaf_sees_the_gradient_itself():
    """What it gets and `.grad` are the same memory, unless somebody else holds that; later gradients are added to it."""

    def observed(lib):
        seen = []
        for keep in (False, True):
            x = lib.tensor([1.0, 2.0, 3.0], dtype=lib.float64, requires_grad=True)
            y = x.relu()
            node = y.grad_fn.next_functions[0][0]
            if keep:
                node.register_prehook(lambda grads: seen.append(grads[0]))
            node.register_hook(lambda _, grads, x=x: seen.append((grads[0], grads[0].data_ptr() == x.grad.data_ptr())))
            for _ in range(2):
                y.backward(lib.ones(3, dtype=lib.float64), retain_graph=True)
        return [(entry[0].tolist(), entry[1]) if isinstance(entry, tuple) else entry.tolist() for entry in seen]

    assert same(observed)[0] == ([2, 2, 2], True)


ROOTS = {
    "cat": lambda lib, a, b: lib.cat([a, b]),
    "cat of the same twice": lambda lib, a, b: lib.cat([a, b, a]),
    "stack": lambda lib, a, b: lib.stack([a, b]),
    "mul": lambda lib, a, b: a * b,
    "exp": lambda lib, a, b: a.exp(),
    "max": lambda lib, a, b: a.max(0)[0],
    "matmul": lambda lib, a, b: a @ b,
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("root", ROOTS)
def test_a_root_that_is_the_only_input_hands_on_nothing(root, create_graph):
    def scenario(lib, log):
        a, b = ((lib.arange(3.0) + i).requires_grad_() * 1 for i in range(2))
        y = ROOTS[root](lib, a, b)
        y.retain_grad()
        y.grad_fn.register_hook(lambda inputs, outputs: log(inputs, outputs))
        y.sum().backward(inputs=[y], create_graph=create_graph)
        log(y.grad)

    assert_same(scenario)
