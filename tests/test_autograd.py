"""The graph and the engine against torch: nodes, errors, versions, grad modes; memory; depth."""

from __future__ import annotations

import copy
import gc
import sys
import weakref

import pytest
from compare import graph_of, same, same_error

import minicnn


def leaf(lib, values=(1.0, 2.0, 3.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


# --- the graph ------------------------------------------------------------------------------------------------------------


def test_nodes_and_edges():
    def seen(lib):
        x, w = leaf(lib), leaf(lib)
        y = (x * w + 2).exp().sum()
        exp = y.grad_fn.next_functions[0][0]
        add = exp.next_functions[0][0]
        mul = add.next_functions[0][0]
        to_x, to_w = (edge[0] for edge in mul.next_functions)
        names = [(type(n).__name__, n.name()) for n in (y.grad_fn, exp, add, mul, to_x, to_w)]
        numbers = [number for n in (y.grad_fn, exp, add, mul, to_x) for _, number in n.next_functions]
        return names, numbers, to_x.variable is x, to_w.variable is w, to_x.next_functions, add.next_functions[1]

    names, *_ = same(seen)
    assert names[0] == ("SumBackward0", "SumBackward0")
    assert names[-1] == ("AccumulateGrad", "torch::autograd::AccumulateGrad")


def test_repr_of_nodes():
    same(lambda lib: [repr(leaf(lib).exp().grad_fn).split(" at ")[0], str(leaf(lib).exp().grad_fn).split(" at ")[0]])


def test_a_leaf_has_one_accumulator():
    def observed(lib):
        x = leaf(lib)
        a, b = x * 2, x + x
        nodes = [a.grad_fn.next_functions[0][0], *(n for n, _ in b.grad_fn.next_functions)]
        return all(n is nodes[0] for n in nodes), x.grad_fn, x.is_leaf, a.is_leaf

    same(observed)


def test_edges_of_a_node_with_several_outputs():
    def observed(lib):
        parts = lib.arange(6.0, requires_grad=True).split(2)
        y = parts[2] * parts[0]
        return [number for _, number in y.grad_fn.next_functions], [p.output_nr for p in parts]

    assert same(observed) == ([2, 0], [0, 1, 2])


GRAPHS = {
    "linear": lambda lib, x: lib.nn.functional.linear(x, leaf_of(lib, 4, 3), leaf_of(lib, 4)),
    "linear without bias": lambda lib, x: lib.nn.functional.linear(x, leaf_of(lib, 4, 3)),
    "conv2d": lambda lib, x: lib.nn.functional.conv2d(x.reshape(1, 1, 2, 3), leaf_of(lib, 2, 1, 2, 2), leaf_of(lib, 2)),
    "cross_entropy": lambda lib, x: lib.nn.functional.cross_entropy(x, lib.tensor([0, 2])),
    "residual": lambda lib, x: x.relu() + x,
    "numbers have no edge to anywhere": lambda lib, x: (x * 2 + 1) / 3 - 1,
    "constants have no edge to anywhere": lambda lib, x: x * lib.ones(3) + lib.ones(2, 3),
    "max_pool2d": lambda lib, x: lib.nn.functional.max_pool2d(x.reshape(1, 1, 2, 3), 2),
    "batch_norm": lambda lib, x: lib.nn.functional.batch_norm(x, None, None, leaf_of(lib, 3), leaf_of(lib, 3), True),
    "mean of a slice": lambda lib, x: x[0, 1:].mean(),
    "indexed logits": lambda lib, x: x[lib.arange(2), lib.tensor([0, 2])].sum(),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.5),
    "in place on a view": lambda lib, x: in_place_on_a_view(x),
}


def leaf_of(lib, *shape):
    return lib.ones(*shape, requires_grad=True)


def in_place_on_a_view(x):
    y = x * 1
    y[0].mul_(3)
    return y


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS.keys())
def test_graph(build):
    same(lambda lib: graph_of(build(lib, leaf_of(lib, 2, 3)).grad_fn))


def test_what_is_a_leaf_and_what_requires_grad():
    def observed(lib):
        x, c = leaf(lib), lib.ones(3)
        tensors = [x, c, x * 2, c * 2, x.detach(), (x * c).detach(), x > 1, (x * 2).long(), x.argmax(), x[0], x.data]
        tensors += [
            x.clone(),
            lib.zeros_like(x),
            x.new_zeros(2),
            lib.nn.Parameter(c),
            lib.cat([x, c]),
            x.max(0).indices,
        ]
        return [(t.requires_grad, t.is_leaf, t.grad_fn is None) for t in tensors]

    same(observed)


# --- backward and grad ----------------------------------------------------------------------------------------------------


def test_gradients_add_up():
    def grads(lib):
        x = leaf(lib)
        seen = []
        for _ in range(3):
            (x * x).sum().backward()
            seen.append(x.grad.tolist())
        same_object = x.grad
        (x * 2).sum().backward()
        x.grad.zero_()
        return seen, same_object is x.grad, x.grad.tolist()

    same(grads)


def test_retain_graph():
    def grads(lib):
        x = leaf(lib)
        y = x.exp().sum()
        y.backward(retain_graph=True)
        y.backward()
        return x.grad.tolist()

    same(grads)


FREED = {
    "backward twice": lambda lib: [leaf(lib).exp().sum()] * 2,
    "product": lambda lib: [(lambda x: (x * x).sum())(leaf(lib))] * 2,
    "two roots with a part in common": lambda lib: (lambda z: [z.sum(), (z * 2).sum()])(leaf(lib).exp()),
    "relu": lambda lib: [leaf(lib).relu().sum()] * 2,
    "product with a number": lambda lib: [leaf(lib).sum() * 3] * 2,
    "convolution": lambda lib: [lib.nn.functional.conv2d(leaf_of(lib, 1, 1, 3, 3), leaf_of(lib, 1, 1, 2, 2)).sum()] * 2,
}


@pytest.mark.parametrize("roots", FREED.values(), ids=FREED.keys())
def test_second_backward(roots):
    def backward_all(lib):
        for root in roots(lib):
            root.backward()

    same_error(backward_all)


def test_second_backward_is_fine_where_nothing_was_saved():
    def grads(lib):
        x = leaf(lib)
        y = (x + x).sum() + 3
        y.backward()
        y.backward()
        return x.grad.tolist()

    same(grads)


ERRORS = {
    "no grad_fn": lambda lib: lib.ones(2).sum().backward(),
    "no grad_fn, second root": lambda lib: lib.autograd.backward([leaf(lib).sum(), lib.ones(())]),
    "grad of no grad_fn": lambda lib: lib.autograd.grad(lib.ones(()), leaf(lib)),
    "not a scalar": lambda lib: (leaf(lib) * 2).backward(),
    "grad of not a scalar": lambda lib: (lambda x: lib.autograd.grad(x * 2, x))(leaf(lib)),
    "gradient of the wrong shape": lambda lib: (leaf(lib) * 2).backward(lib.ones(2)),
    "too few gradients": lambda lib: lib.autograd.backward([leaf(lib), leaf(lib)], [lib.ones(3)]),
    "unused input": lambda lib: lib.autograd.grad(leaf(lib).sum(), leaf(lib)),
    "unused second input": lambda lib: (lambda x: lib.autograd.grad(x.sum(), [x, leaf(lib)]))(leaf(lib)),
    "input without grad": lambda lib: lib.autograd.grad(leaf(lib).sum(), lib.ones(3)),
    "no inputs": lambda lib: leaf(lib).sum().backward(inputs=[]),
    "backward inputs without grad": lambda lib: leaf(lib).sum().backward(inputs=[lib.ones(3)]),
    "materialize without allow": lambda lib: (
        lambda x: lib.autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)
    )(leaf(lib)),
    "backward of an integer": lambda lib: lib.tensor(3).backward(),
    "detached": lambda lib: (leaf(lib) * 2).detach().sum().backward(),
    "under no_grad": lambda lib: under_no_grad(lib).backward(),
    "leaf in place": lambda lib: leaf(lib).add_(1),
    "leaf +=": lambda lib: leaf(lib).__iadd__(1),
    "leaf set item": lambda lib: leaf(lib).__setitem__(0, 5.0),
    "view of a leaf in place": lambda lib: leaf(lib)[1:].mul_(2),
    "leaf as output of relu_": lambda lib: lib.nn.functional.relu(leaf(lib), inplace=True),
    "leaf zero_": lambda lib: leaf(lib).zero_(),
    "one of several views in place": lambda lib: (leaf(lib) * 1).split(1)[0].add_(1),
    "hook without grad": lambda lib: lib.ones(2).register_hook(print),
    "retain_grad without grad": lambda lib: lib.ones(2).retain_grad(),
    "post-accumulate hook on a result": lambda lib: (leaf(lib) * 1).register_post_accumulate_grad_hook(print),
    "post-accumulate hook without grad": lambda lib: lib.ones(2).register_post_accumulate_grad_hook(print),
    "grad of the wrong shape": lambda lib: setattr(leaf(lib), "grad", lib.ones(2, dtype=lib.float64)),
    "grad of the wrong dtype": lambda lib: setattr(leaf(lib), "grad", lib.ones(3)),
    "grad that is no tensor": lambda lib: setattr(leaf(lib), "grad", 3),
    "requires_grad of a result": lambda lib: setattr(leaf(lib) * 2, "requires_grad", False),
    "deepcopy of a result": lambda lib: copy.deepcopy(leaf(lib) * 2),
    "detach_ of a view": lambda lib: (leaf(lib) * 1)[1:].detach_(),
    "complex scalar": lambda lib: lib.tensor(1 + 1j, requires_grad=True).mul(2).backward(),
    "grad of a complex scalar": lambda lib: (lambda x: lib.autograd.grad(x * 2, x))(lib.tensor(1j, requires_grad=True)),
    "complex vector": lambda lib: lib.tensor([1j, 2], requires_grad=True).mul(2).backward(),
    "complex gradient of a real tensor": lambda lib: (leaf(lib) * 2).backward(lib.tensor([1j, 1, 1])),
    "real gradient of a complex tensor": lambda lib: lib.tensor([1j], requires_grad=True).mul(2).backward(lib.ones(1)),
    "gradient that is no tensor": lambda lib: lib.autograd.backward([leaf(lib)], [3]),
    "Parameter of integers": lambda lib: lib.nn.Parameter(lib.tensor([1])),
}


def under_no_grad(lib):
    with lib.no_grad():
        return leaf(lib).sum()


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_error(call):
    same_error(call)


def test_grad():
    def found(lib):
        x, w, unused = leaf(lib), leaf(lib, [4.0, 5.0, 6.0]), leaf(lib)
        y = (x * w).exp().log()
        lists = []
        lists.append(lib.autograd.grad(y.sum(), [x, w], retain_graph=True))
        lists.append(lib.autograd.grad(y, x, lib.tensor([1.0, 0.0, 2.0], dtype=lib.float64), retain_graph=True))
        lists.append(lib.autograd.grad([y.sum(), w.sum()], [w, y], retain_graph=True))
        lists.append(lib.autograd.grad(y.sum(), [unused, x], allow_unused=True, retain_graph=True))
        lists.append(lib.autograd.grad(y.sum(), [unused, x], materialize_grads=True, retain_graph=True))
        lists.append(lib.autograd.grad(outputs=y, inputs=y, grad_outputs=lib.ones_like(y)))
        values = [[None if g is None else [round(v, 9) for v in g.tolist()] for g in grads] for grads in lists]
        return values, type(lists[0]).__name__, x.grad, w.grad

    same(found)


def test_backward_with_inputs():
    def grads(lib):
        x, w = leaf(lib), leaf(lib)
        z = x * w
        z.exp().sum().backward(inputs=[x, z])
        return x.grad is not None, w.grad, z.grad is not None

    same(grads)


def test_backward_from_several_roots():
    def grads(lib):
        x = leaf(lib)
        y = x * 2
        weight = lib.ones(3, dtype=lib.float64)
        lib.autograd.backward([y.sum(), y, x * x], [None, weight, 3 * weight])
        return x.grad.tolist()

    same(grads)


def test_backward_of_a_leaf():
    def grads(lib):
        x = lib.tensor(3.0, requires_grad=True)
        x.backward()
        x.backward(lib.tensor(5.0))
        return x.grad.item()

    assert same(grads) == 6


def test_the_seed_is_not_touched():
    def observed(lib):
        x, seed = leaf(lib), lib.ones(3, dtype=lib.float64)
        (x * 1).backward(seed)
        x.grad.add_(5)
        (x + 0).backward(seed)
        x.grad.add_(7)
        return seed.tolist(), x.grad.tolist()

    same(observed)


def test_gradients_of_two_leaves_do_not_share_memory():
    def observed(lib):
        x, w = leaf(lib), leaf(lib)
        (x + w).sum().backward()
        x.grad.zero_()
        return w.grad.tolist()

    assert same(observed) == [1, 1, 1]


HOOKS = {  # through which the gradient that arrives at the leaf is kept
    "tensor": lambda x, y, keep: x.register_hook(keep),
    "view": lambda x, y, keep: x.register_hook(lambda g: keep(g[:1])),
    "leaf": lambda x, y, keep: y.grad_fn.next_functions[0][0].register_prehook(lambda grads: keep(grads[0])),
    "operation": lambda x, y, keep: y.grad_fn.register_hook(lambda to_x, to_y: keep(to_x[0])),
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_gradient_that_somebody_keeps_is_copied(hook):
    def observed(lib):
        x, kept = leaf(lib), []
        y = x.relu()
        hook(x, y, kept.append)
        y.backward(lib.ones(3, dtype=lib.float64))
        x.grad += 10
        return [value.tolist() for value in kept], x.grad.tolist()

    ((kept,), gradient) = same(observed)
    assert max(kept) == 1 and gradient == [11, 11, 11]


def test_a_gradient_that_nobody_keeps_is_not_copied():
    x, places = minicnn.ones(9, requires_grad=True), []
    x.register_hook(lambda g: places.append(g.data_ptr()))
    x.relu().backward(minicnn.ones(9))
    assert places == [x.grad.data_ptr()]


def test_grad_of_a_result_warns():
    with pytest.warns(UserWarning, match="The .grad attribute of a Tensor that is not a leaf Tensor is being accessed"):
        assert (leaf(minicnn) * 2).grad is None


def test_gradients_have_the_dtype_of_their_tensor():
    def dtypes(lib):
        single, double = lib.ones(2, requires_grad=True), lib.ones(2, dtype=lib.float64, requires_grad=True)
        (single * double).sum().backward()
        return str(single.grad.dtype), str(double.grad.dtype)

    same(dtypes)


# --- memory and depth -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_gc():
    """The collector is off: what dies, dies by reference counting."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


GRAPHS_THAT_DIE = {
    "exp": lambda lib, x: x.exp(),
    "product of a result with itself": lambda lib, x: (lambda y: y * y)(x * 2),
    "sigmoid": lambda lib, x: x.sigmoid(),
    "softmax": lambda lib, x: x.softmax(0),
    "in place": lambda lib, x: (x * 1).add_(1).exp_(),
    "in place relu": lambda lib, x: (x * 1).relu_(),
    "view": lambda lib, x: (x * 1)[1:].exp(),
    "in place on a view": lambda lib, x: (lambda y: (y[1:].mul_(2), y)[1])(x * 1),
    "max": lambda lib, x: x.max(0).values,
    "std": lambda lib, x: x.std(),
    "norm": lambda lib, x: x.norm(),
    "prod": lambda lib, x: x.prod(),
    "hooks": lambda lib, x: (lambda y: (y.register_hook(lambda g: None), y)[1])(x * 2),
    "retain_grad": lambda lib, x: (lambda y: (y.retain_grad(), y * 3)[1])(x * 2),
    "convolution": lambda lib, x: lib.nn.functional.conv2d(x.reshape(1, 1, 1, 3), x.reshape(1, 1, 1, 3)).relu(),
    "batch_norm": lambda lib, x: lib.nn.functional.batch_norm(x.reshape(3, 1), None, None, training=True),
    "max_pool2d": lambda lib, x: lib.nn.functional.max_pool2d(x.reshape(1, 1, 1, 3), (1, 2)),
    "cross_entropy": lambda lib, x: lib.nn.functional.cross_entropy(x, lib.tensor(1)),
    "module": lambda lib, x: lib.nn.Sequential(lib.nn.Linear(3, 2).double(), lib.nn.ReLU(inplace=True))(x),
    "custom function": lambda lib, x: CUBE.apply(x),
}


class CUBE(minicnn.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        result = x**3
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx, grad):
        x, result = ctx.saved_tensors
        return grad * 3 * result / x


@pytest.mark.slow
@pytest.mark.parametrize("backward", ["no backward", "backward", "backward, graph kept"])
@pytest.mark.parametrize("build", GRAPHS_THAT_DIE.values(), ids=GRAPHS_THAT_DIE.keys())
def test_graph_dies_with_its_output(no_gc, build, backward):
    x = leaf(minicnn)
    between = x * 1
    y = build(minicnn, between).sum()
    node, tensor, array = weakref.ref(y.grad_fn), weakref.ref(y), weakref.ref(between)
    behind = weakref.ref(between.grad_fn)
    del between
    if backward != "no backward":
        y.backward(retain_graph=backward == "backward, graph kept")
    del y
    assert (node(), tensor(), array(), behind()) == (None, None, None, None)


def test_backward_frees_what_was_saved(no_gc):
    x = leaf(minicnn)
    hidden = x.exp()
    seen = weakref.ref(hidden.array)
    y = (hidden * hidden).sum()
    del hidden
    assert seen() is not None  # the graph holds it
    y.backward()
    assert seen() is None


def test_failed_backward_leaves_nothing_behind(no_gc):
    x = leaf(minicnn)
    y = (x * 2).exp()

    def fail(grad):
        raise KeyError("from a hook")

    y.register_hook(fail)
    node = weakref.ref(y.grad_fn)
    for _ in range(2):
        with pytest.raises(KeyError, match="from a hook"):
            y.sum().backward()
    del y
    assert node() is None
    assert minicnn.is_grad_enabled()


def test_a_deep_graph():
    """Neither the backward pass nor the end of the graph may recurse."""
    depth = 10_000
    assert depth > sys.getrecursionlimit()
    x = minicnn.ones(1, dtype=minicnn.float64, requires_grad=True)
    y = x
    for _ in range(depth):
        y = y + 0.5
    y.backward()
    assert (y.item(), x.grad.item()) == (1 + depth / 2, 1)
    y = x * 2
    for _ in range(depth):
        y = y * 1.0
    node = weakref.ref(y.grad_fn)
    del y  # with the graph still complete
    assert node() is None


def test_a_deep_graph_of_in_place_operations():
    depth = 5_000
    x = minicnn.ones(2, dtype=minicnn.float64, requires_grad=True)
    y = x * 1
    for _ in range(depth):
        y += 1
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    del y


def test_a_wide_graph_is_visited_once_per_node():
    """Doubling 60 times has 2**60 paths; only counting edges can do it."""
    x = minicnn.ones(1, dtype=minicnn.float64, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60
