"""Node hooks, and what a graph node shows: `grad_fn`, `next_functions`, `AccumulateGrad`, names."""

from __future__ import annotations

import numpy as np
from both import attempt, known, noting

from .catalogue import cases
from .parts import double_leaf, gradients


def rule_pre_and_post_hooks_see_and_replace(torch, log):
    """`register_prehook(fn)`: fn(grad_outputs) before the node runs; `register_hook(fn)`: fn(grad_inputs, grad_outputs)
    after it. A tuple that is returned replaces the first; a removed one does not run."""
    x, w = double_leaf(torch), double_leaf(torch, 3.0, 4.0)
    y = x * w
    node = y.grad_fn
    node.register_prehook(lambda grads: log("pre", grads) or (grads[0] * 2,))
    node.register_prehook(noting(log, "pre 2"))
    node.register_hook(lambda inputs, outputs: log("post", inputs, outputs) or (inputs[0] + 1, None))
    node.register_hook(noting(log, "post 2"))
    node.register_hook(noting(log, "removed")).remove()
    y.sum().backward()
    gradients(log, x, w)


def rule_hooks_of_an_accumulator(torch, log):
    """A leaf's node is its AccumulateGrad: the post-hook gets `()` and the gradient, after the accumulation and after the
    post-accumulate hooks."""
    x = double_leaf(torch)
    y = x * 2
    accumulator = y.grad_fn.next_functions[0][0]
    accumulator.register_prehook(lambda grads: log("pre", grads, x.grad))
    accumulator.register_hook(lambda inputs, outputs: log("post", inputs, outputs, x.grad))
    x.register_hook(noting(log, "tensor"))
    x.register_post_accumulate_grad_hook(noting(log, "accumulated"))
    y.sum().backward()


def rule_a_pre_hook_of_an_accumulator_replaces(torch, log):
    """What a pre-hook of the AccumulateGrad returns is what is accumulated."""
    x = double_leaf(torch)
    y = x * 2
    accumulator = y.grad_fn.next_functions[0][0]
    accumulator.register_prehook(lambda grads: (grads[0] * 10,))
    y.sum().backward()
    gradients(log, x)


def _node_hook(torch, log, kind, case):
    x, c = double_leaf(torch), torch.ones(2, dtype=torch.float64)
    y = x * c

    def mine(grads, *rest):
        return case(torch, grads)

    getattr(y.grad_fn, kind)(mine)
    getattr(y.grad_fn, kind)(noting(log, "next"))
    attempt(log, y.sum().backward)
    gradients(log, x)


RETURNS = {
    "None": lambda torch, grads: None,
    "the same": lambda torch, grads: grads,
    "a list": lambda torch, grads: list(grads),
    "a tensor": lambda torch, grads: grads[0],
    "a number": lambda torch, grads: 3,
    "too few": lambda torch, grads: grads[:-1],
    "too many": lambda torch, grads: (*grads, None),
    "a number inside": lambda torch, grads: (3, *grads[1:]),
    "None inside": lambda torch, grads: (None, *grads[1:]),
    "another shape": lambda torch, grads: (torch.ones(5, dtype=torch.float64), *grads[1:]),
    "another dtype": lambda torch, grads: (grads[0].float(), *grads[1:]),
    "a value for None": lambda torch, grads: (grads[0],) * len(grads),
}


@cases(RETURNS)
def rule_return_of_a_post_hook(torch, log, case):
    """None or a tuple of the same length, of the same shapes and dtypes, no value where there was None; the texts name
    the hook. None takes a gradient away."""
    _node_hook(torch, log, "register_hook", case)


@cases(RETURNS)
def rule_return_of_a_pre_hook(torch, log, case):
    """The same for pre-hooks."""
    _node_hook(torch, log, "register_prehook", case)


def rule_registered_while_hooks_run(torch, log):
    """Snapshot: a post-hook added by a post-hook waits; a post-hook added by a pre-hook of the same node runs."""
    x = double_leaf(torch)
    y = x * 2
    node = y.grad_fn

    def pre(grads):
        log("pre")
        node.register_prehook(noting(log, "pre, added"))
        node.register_hook(post)

    def post(inputs, outputs):
        log("post")
        node.register_hook(noting(log, "post, added"))

    handle = node.register_prehook(pre)
    y.sum().backward(retain_graph=True)
    handle.remove()
    log("again")
    y.sum().backward()


def rule_metadata(torch, log):
    """`node.metadata` is a dictionary for the user's notes, empty at first."""
    node = (double_leaf(torch) * 2).grad_fn
    log(dict(node.metadata))
    node.metadata["mine"] = 3
    log(node.metadata["mine"])


def rule_next_functions(torch, log):
    """Each tensor argument has an entry: (node, which of its outputs), (AccumulateGrad, 0) for a leaf, (None, 0) for what
    needs no gradient."""
    x, c = double_leaf(torch), torch.ones(2, dtype=torch.float64)
    a, b = (x * c).split(1)
    node = (a + b).grad_fn
    log(node.name(), [(n.name(), nr) for n, nr in node.next_functions])
    split = node.next_functions[0][0]
    log(split is node.next_functions[1][0], [(n.name(), nr) for n, nr in split.next_functions])
    mul = split.next_functions[0][0]
    log([(n and n.name(), nr) for n, nr in mul.next_functions])
    log(mul.next_functions[0][0].variable is x, mul.next_functions[0][0].next_functions)


def rule_an_accumulator_is_one_per_leaf(torch, log):
    """Two operations on one leaf end in the same AccumulateGrad object, while a graph holds it."""
    x = double_leaf(torch)
    a, b = x * 2, x * 3
    log(a.grad_fn.next_functions[0][0] is b.grad_fn.next_functions[0][0])


def rule_grad_fn_is_one_object(torch, log):
    """`y.grad_fn` is the same object at each look."""
    y = double_leaf(torch) * 2
    log(y.grad_fn is y.grad_fn, y.output_nr, y.is_leaf)


@cases(
    {
        "linear": lambda torch, x: torch.nn.functional.linear(
            x, known(torch, 2, 3, requires_grad=True), known(torch, 2, requires_grad=True)
        ),
        "linear, no bias": lambda torch, x: torch.nn.functional.linear(x, known(torch, 2, 3, requires_grad=True)),
        "relu": lambda torch, x: x.relu(),
        "relu_": lambda torch, x: (x * 1).relu_(),
        "tanh": lambda torch, x: x.tanh(),
        "view": lambda torch, x: x.view(-1),
        "reshape": lambda torch, x: x.reshape(-1),
        "flatten": lambda torch, x: x.flatten(1),
        "transpose": lambda torch, x: x.t(),
        "index": lambda torch, x: x[0],
        "slice": lambda torch, x: x[:, 1:],
        "sum": lambda torch, x: x.sum(),
        "sum of dim": lambda torch, x: x.sum(1),
        "mean": lambda torch, x: x.mean(),
        "max": lambda torch, x: x.max(1)[0],
        "cat": lambda torch, x: torch.cat([x, x * 2]),
        "stack": lambda torch, x: torch.stack([x, x]),
        "softmax": lambda torch, x: torch.softmax(x, 1),
        "log_softmax": lambda torch, x: torch.nn.functional.log_softmax(x, 1),
        "cross entropy": lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 1])),
        "mse": lambda torch, x: torch.nn.functional.mse_loss(x, known(torch, 2, 3)),
        "dropout": lambda torch, x: torch.nn.functional.dropout(x, 0.5, training=False),
        "clone": lambda torch, x: x.clone(),
        "pow": lambda torch, x: x**2,
        "div": lambda torch, x: x / 2,
        "sub": lambda torch, x: x - 1,
        "matmul": lambda torch, x: x @ x.t(),
        "expand": lambda torch, x: x[:1].expand(4, 3),
        "double": lambda torch, x: x.double(),
        "add_": lambda torch, x: (x * 1).add_(x),
        "set item": lambda torch, x: _set_item(x * 1),
    }
)
def rule_names_and_shape_of_graphs(torch, log, case):
    """The names of nodes and the shape of the graph are PyTorch's: `Linear` is an addmm of bias, input and the transposed
    weight."""

    def tree(node, depth=0):
        log("  " * depth + ("None" if node is None else node.name()))
        for successor, _ in node.next_functions if node is not None else ():
            tree(successor, depth + 1)

    tree(case(torch, known(torch, 2, 3, requires_grad=True)).grad_fn)


def _set_item(y):
    y[0] = 5.0
    return y


def rule_gradients_that_nobody_needs_are_none(torch, log):
    """A built-in operation computes only what the pass needs: with `autograd.grad(out, weight)` a post-hook sees None for
    the input, and cannot put a value there."""
    x, w, b = (
        known(torch, 1, 3, requires_grad=True),
        known(torch, 2, 3, requires_grad=True),
        known(torch, 2, requires_grad=True),
    )
    for wanted in ([x], [w], [b], [x, b], [w, x]):
        out = torch.nn.functional.linear(x, w, b)
        out.grad_fn.register_hook(noting(log, "addmm"))
        log(torch.autograd.grad(out.sum(), wanted))
        out = torch.nn.functional.linear(x, w, b)
        out.grad_fn.register_hook(noting(log, "addmm"))
        out.sum().backward(inputs=wanted)
    out = x[0] * w[0]
    out.grad_fn.register_hook(lambda inputs, outputs: (torch.ones(3), torch.ones(3)))
    attempt(log, torch.autograd.grad, out.sum(), w)


@cases(
    {
        "mul": lambda torch, a, b: a * b,
        "add": lambda torch, a, b: a + b,
        "sub": lambda torch, a, b: a - b,
        "div": lambda torch, a, b: a / b,
        "pow": lambda torch, a, b: (a + 2) ** b,
        "matmul": lambda torch, a, b: a @ b,
        "maximum": lambda torch, a, b: torch.maximum(a, b),
        "where": lambda torch, a, b: torch.where(a > b, a, b),
        "cat": lambda torch, a, b: torch.cat([a, b]),
        "stack": lambda torch, a, b: torch.stack([a, b]),
        "mse": lambda torch, a, b: torch.nn.functional.mse_loss(a, b),
        "conv": lambda torch, a, b: torch.nn.functional.conv2d(a[None, None], b[None, None]),
        "in place": lambda torch, a, b: (a * 1).add_(b),
        "in place into a view": lambda torch, a, b: _add_to_view(a * 1, b),
    }
)
def rule_needed_gradients_by_operation(torch, log, case):
    """For each operation of two tensors: what the post-hook of its node sees if only one gradient is asked for."""
    a, b = known(torch, 2, 2, requires_grad=True), known(torch, 2, 2, start=0.33, requires_grad=True)
    for wanted in (a, b):
        out = case(torch, a, b)
        out.grad_fn.register_hook(noting(log, "node"))
        log(torch.autograd.grad(out.sum(), wanted))


def _add_to_view(a, b):
    a[0].add_(b[0])
    return a


def rule_a_view_made_under_no_grad_gets_no_gradient(torch, log):
    """A view that was made under no_grad says that it requires grad, since its base does, but has no node: where it is an
    argument of an operation, the post-hook sees None."""
    x = known(torch, 2, 3, requires_grad=True) * 1
    with torch.no_grad():
        view = x.view(3, 2).view(2, 3)
    log(view.requires_grad, view.grad_fn)
    y = x * view
    y.grad_fn.register_hook(noting(log, "node"))
    y.sum().backward()


def rule_a_custom_function_computes_all(torch, log):
    """The backward of a user's own Function returns what it returns: a post-hook sees it, needed or not."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad):
            log("needs", ctx.needs_input_grad)
            a, b = ctx.saved_tensors
            return grad * b, grad * a

    a, b = double_leaf(torch), double_leaf(torch, 3.0, 4.0)
    out = Product.apply(a, b)
    log(out.grad_fn.name(), [(n.name(), nr) for n, nr in out.grad_fn.next_functions])
    out.grad_fn.register_hook(noting(log, "node"))
    log(torch.autograd.grad(out.sum(), b))


def rule_gradient_edges(torch, log):
    """`get_gradient_edge(t)`: the node and the output number where the gradient of a tensor enters the graph."""
    x = double_leaf(torch)
    _, b = (x * 1).split(1)
    graph = torch.autograd.graph
    edge = graph.get_gradient_edge(b)
    log(type(edge).__name__, edge.node is b.grad_fn, edge.output_nr, graph.get_gradient_edge(x).node.name())
    attempt(log, graph.get_gradient_edge, torch.ones(1))


def rule_after_the_graph_is_freed(torch, log):
    """A second pass through a freed graph raises where saved values are missing; node hooks before that node run."""
    x = double_leaf(torch)
    y = x.exp()
    z = y.sum()
    y.grad_fn.register_prehook(noting(log, "pre of exp"))
    y.grad_fn.register_hook(noting(log, "post of exp"))
    z.grad_fn.register_hook(noting(log, "post of sum"))
    z.backward()
    attempt(log, z.backward)
    gradients(log, x)
    y = x + 1  # saves nothing: a second pass is possible
    z = y.sum()
    z.backward()
    attempt(log, z.backward)


@cases(
    {
        "mul": lambda torch, x: x * (x + 1),
        "div": lambda torch, x: x / (x + 3),
        "pow": lambda torch, x: x**2,
        "exp": lambda torch, x: x.exp(),
        "log": lambda torch, x: x.log(),
        "sin": lambda torch, x: x.sin(),
        "abs": lambda torch, x: x.abs(),
        "sqrt": lambda torch, x: x.sqrt(),
        "relu": lambda torch, x: x.relu(),
        "sigmoid": lambda torch, x: x.sigmoid(),
        "tanh": lambda torch, x: x.tanh(),
        "softmax": lambda torch, x: x.softmax(-1),
        "log_softmax": lambda torch, x: x.log_softmax(-1),
        "leaky_relu": lambda torch, x: torch.nn.functional.leaky_relu(x),
        "clamp": lambda torch, x: x.clamp(0, 1),
        "mse_loss": lambda torch, x: torch.nn.functional.mse_loss(x, x.detach() + 1),
        "conv2d": lambda torch, x: torch.nn.functional.conv2d(x, torch.ones(1, 1, 2, 2)),
        "max_pool2d": lambda torch, x: torch.nn.functional.max_pool2d(x, 2),
        "avg_pool2d": lambda torch, x: torch.nn.functional.avg_pool2d(x, 2),
        "add": lambda torch, x: x + 1,
    }
)
def rule_what_a_node_has_saved(torch, log, case):
    """`grad_fn._saved_self` and its like are the tensors that the operation keeps, under the names of its formula, for as
    long as the graph is not freed."""
    x = known(torch, 1, 1, 4, 4, requires_grad=True)
    y = case(torch, x)
    node = y.grad_fn
    names = ("self", "other", "result", "target", "input", "weight", "result1")
    for name in names:
        attempt(log, lambda name=name: getattr(node, f"_saved_{name}"))
    log([getattr(node, f"_saved_{name}", None) is x for name in names])
    y.sum().backward()
    for name in names:
        attempt(log, lambda name=name: getattr(node, f"_saved_{name}"))


def rule_the_pass_that_runs(torch, log):
    """`torch._C` says which backward pass runs, at which node it is, and which nodes it will run; nothing outside of one."""
    ask, x = torch._C, double_leaf(torch)
    y = x * 2
    z = y.exp()
    leaf = torch.autograd.graph.get_gradient_edge(x).node
    passes = set()

    def look(when):
        passes.add(ask._current_graph_task_id())
        log(
            when,
            ask._current_autograd_node().name(),
            [ask._will_engine_execute_node(n) for n in (z.grad_fn, y.grad_fn, leaf)],
        )

    z.register_hook(lambda grad: look("tensor hook"))
    z.grad_fn.register_hook(lambda inputs, outputs: look("post hook"))
    y.grad_fn.register_prehook(lambda grads: look("pre-hook"))
    x.register_hook(lambda grad: look("leaf"))
    z.sum().backward(retain_graph=True)
    torch.autograd.grad(z.sum(), y, retain_graph=True)
    log(len(passes), ask._current_graph_task_id(), ask._current_autograd_node())
    attempt(log, torch.autograd.grad, z.sum(), x)
    for asked in (y.grad_fn, 3, None):
        attempt(log, ask._will_engine_execute_node, asked)


def rule_threads_can_be_forbidden(torch, log):
    """`autograd.set_multithreading_enabled`: a switch, a context manager and a decorator; on the CPU a pass is in its
    thread anyway."""
    forbid, ask = torch.autograd.set_multithreading_enabled, torch._C._is_multithreading_enabled
    log(ask())
    with forbid(False):
        log(ask())
        x = double_leaf(torch)
        x.sum().backward()
        gradients(log, x)
        with forbid(True):
            log(ask())
        log(ask())
    log(ask())
    forbid(False)
    log(ask())
    forbid(True)
    log(ask(), forbid(False)(ask)(), ask())
    forbid(True)
    attempt(log, forbid, 1)


def rule_what_is_known_of_its_gradients(torch, log):
    """`_input_metadata`: shape, type and place of each gradient that a node takes."""
    x = known(torch, 2, 3, requires_grad=True)
    for node in ((x * 2).grad_fn, x.max(1)[0].grad_fn, x.split(1)[0].grad_fn, (x * 2).grad_fn.next_functions[0][0]):
        log([(list(m.shape), m.dtype, m.device, m.is_nested_tensor) for m in node._input_metadata])


def rule_arrays_in_the_place_of_tensors(torch, log):
    """NumPy arrays are refused by name, wherever a hook or a script gives one."""
    array, x = np.zeros(2), double_leaf(torch)
    hooked = x * 1
    hooked.register_hook(lambda grad: array)
    attempt(log, hooked.sum().backward)
    for result in (array, (array, None)):
        y = x * 1
        y.grad_fn.register_hook(lambda inputs, outputs, result=result: result)
        attempt(log, y.sum().backward)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda packed: array):
        y = x.exp()
    attempt(log, y.sum().backward)
    attempt(log, setattr, x, "grad", array)
    for gradient in (array, 3):
        attempt(log, (x * 1).backward, gradient)
