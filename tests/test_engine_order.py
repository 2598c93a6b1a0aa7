"""The order in which the engine works: the logs of all events of a backward pass are torch's.

For each node: tensor hooks, `retain_grad`, node pre-hooks, the node itself (a leaf accumulates, then its post-accumulate
hooks), node post-hooks. Of the nodes that are ready, leaves come first, then the one that was created last.
"""

from __future__ import annotations

import pytest
from compare import same


def leaf(lib, values=(1.0, 2.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def watch(lib, log, name, tensor):
    """Every kind of hook on one tensor and its node."""
    tensor.register_hook(lambda g: log.append(f"{name} tensor hook"))
    if tensor.grad_fn is None:
        tensor.register_post_accumulate_grad_hook(lambda t: log.append(f"{name} accumulated"))
        return
    node = tensor.grad_fn
    tensor.retain_grad()
    node.register_prehook(lambda g: log.append(f"{name} pre, grad stored: {tensor.grad is not None}"))
    node.register_hook(lambda i, o: log.append(f"{name} post"))


def events(build, **options):
    """The event log of a backward pass through `build(lib, watch)`, which returns the root."""

    def observed(lib):
        log = []
        build(lib, lambda name, tensor: watch(lib, log, name, tensor) or tensor).backward(**options)
        return log

    return same(observed)


def test_order_in_a_chain():
    def build(lib, w):
        x = w("x", leaf(lib))
        return w("sum", w("exp", w("mul", x * 2).exp()).sum())

    log = events(build)
    assert log[:4] == ["sum tensor hook", "sum pre, grad stored: True", "sum post", "exp tensor hook"]
    assert len(log) == 3 * 3 + 2


@pytest.mark.parametrize("shortcut_first", [True, False])
def test_order_in_a_residual_block(shortcut_first):
    """The branch that was created last runs first, whichever it is."""

    def build(lib, w):
        x = w("x", leaf(lib))
        trunk = w("trunk", x * 2)
        if shortcut_first:
            shortcut = w("shortcut", trunk * 3)
            main = w("main 2", w("main 1", trunk.exp()).sin())
        else:
            main = w("main 2", w("main 1", trunk.exp()).sin())
            shortcut = w("shortcut", trunk * 3)
        return w("sum", w("add", main + shortcut).sum())

    events(build)


def test_order_with_parameters():
    """Leaves accumulate as soon as they can, before the rest of the graph."""

    def build(lib, w):
        x = w("x", leaf(lib, [1.0, 2.0, 3.0]).detach().reshape(1, 3).requires_grad_())
        weights = [w(f"w{k}", lib.ones(3, 3, dtype=lib.float64, requires_grad=True)) for k in (1, 2)]
        biases = [w(f"b{k}", lib.ones(3, dtype=lib.float64, requires_grad=True)) for k in (1, 2)]
        hidden = w("relu", w("linear 1", lib.nn.functional.linear(x, weights[0], biases[0])).relu())
        return w("sum", w("linear 2", lib.nn.functional.linear(hidden, weights[1], biases[1])).sum())

    log = events(build)
    assert log.index("w2 accumulated") < log.index("relu tensor hook")


def test_order_of_a_convolution():
    def build(lib, w):
        x = w("x", lib.ones(1, 2, 4, 4, requires_grad=True))
        weight = w("weight", lib.ones(3, 2, 3, 3, requires_grad=True))
        bias = w("bias", lib.ones(3, requires_grad=True))
        return w("sum", w("conv", lib.nn.functional.conv2d(x, weight, bias, padding=1)).sum())

    events(build)


@pytest.mark.parametrize("count", range(2, 9))
def test_order_of_several_leaves_of_one_node(count):
    """Ties among leaves follow the heap of torch's C++ library: 0,1,2 but 0,2,1,3. Copied, not promised."""

    def build(lib, w):
        return lib.cat([w(f"x{k}", leaf(lib)) for k in range(count)]).sum()

    events(build)


def test_order_from_several_roots():
    def observed(lib):
        log = []
        x = leaf(lib)
        y = x * 2
        first, second, third = y.sum(), (y * 3).sum(), y.exp()
        for name, tensor in [("x", x), ("y", y), ("first", first), ("second", second), ("third", third)]:
            watch(lib, log, name, tensor)
        lib.autograd.backward([first, second, third], [None, None, lib.ones(2, dtype=lib.float64)])
        return log

    same(observed)


def test_order_with_selected_inputs():
    def build(lib, w):
        x, other = w("x", leaf(lib)), w("other", leaf(lib))
        build.chosen = x
        a, b = w("a", x * 2), w("b", other * 3)
        return w("sum", w("ab", a * b).sum())

    def observed(lib):
        log = []
        root = build(lib, lambda name, tensor: watch(lib, log, name, tensor) or tensor)
        root.backward(inputs=[build.chosen])
        return log

    same(observed)


def test_order_of_a_module_with_hooks_of_its_own():
    def observed(lib):
        log = []
        lib.manual_seed(0)
        net = lib.nn.Sequential(lib.nn.Conv2d(1, 2, 3), lib.nn.ReLU(), lib.nn.Flatten(), lib.nn.Linear(8, 2))
        for name, parameter in net.named_parameters():
            watch(lib, log, name, parameter)
        for name, module in net.named_modules():
            module.register_forward_hook(lambda m, i, o, name=name: log.append(f"{name} forward"))
            module.register_full_backward_pre_hook(lambda m, g, name=name: log.append(f"{name} backward pre"))
            module.register_full_backward_hook(lambda m, i, o, name=name: log.append(f"{name} backward"))
        x = lib.ones(1, 1, 4, 4, requires_grad=True)
        watch(lib, log, "x", x)
        y = net(x)
        watch(lib, log, "y", y)
        y.sum().backward()
        return log

    same(observed)
