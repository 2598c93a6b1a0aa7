"""The order of a backward pass: of all nodes that are ready, leaves first, then the one that was created last."""

from __future__ import annotations

from both import attempt, filled, known, noting

from .catalogue import cases
from .parts import both_hooks, double_leaf, watch


def rule_events_of_one_node(torch, log):
    """Tensor hooks, `retain_grad`, node pre-hooks, the node (a leaf: accumulates, then its post-accumulate hooks), node
    post-hooks."""
    x = watch(log, "x", double_leaf(torch))
    watch(log, "sum", watch(log, "exp", watch(log, "mul", x * 2).exp()).sum()).backward()


@cases({"shortcut created first": True, "shortcut created last": False})
def rule_residual_block(torch, log, case):
    """The branch that was created last runs first, whichever it is: a shortcut comes before or after the main path by the
    order of the *forward* pass."""
    x = watch(log, "x", double_leaf(torch))
    trunk = watch(log, "trunk", x * 2)
    if case:
        shortcut = watch(log, "shortcut", trunk * 3)
    main = watch(log, "main 2", watch(log, "main 1", trunk.exp()).sin())
    if not case:
        shortcut = watch(log, "shortcut", trunk * 3)
    watch(log, "sum", watch(log, "add", main + shortcut).sum()).backward()


def rule_parameters_first(torch, log):
    """Leaves accumulate as soon as their gradient is there, before the rest of the graph goes on."""
    x = watch(log, "x", known(torch, 1, 3, requires_grad=True))
    weights = [watch(log, f"w{k}", known(torch, 3, 3, requires_grad=True)) for k in (1, 2)]
    biases = [watch(log, f"b{k}", known(torch, 3, requires_grad=True)) for k in (1, 2)]
    linear = torch.nn.functional.linear
    hidden = watch(log, "relu", watch(log, "linear 1", linear(x, weights[0], biases[0])).relu())
    watch(log, "sum", watch(log, "linear 2", linear(hidden, weights[1], biases[1])).sum()).backward()


def rule_a_convolution(torch, log):
    """A convolution's leaves: input, weight, bias."""
    x = watch(log, "x", known(torch, 1, 2, 3, 3, requires_grad=True))
    weight = watch(log, "weight", known(torch, 3, 2, 2, 2, requires_grad=True))
    bias = watch(log, "bias", known(torch, 3, requires_grad=True))
    watch(log, "conv", torch.nn.functional.conv2d(x, weight, bias)).sum().backward()


@cases({str(count): count for count in range(2, 9)})
def rule_several_leaves_of_one_node(torch, log, case):
    """Ties among leaves follow the heap of the C++ library that PyTorch is built with: 0, 1, 2 but 0, 2, 1, 3. Copied,
    never promised: a detail of the platform."""
    torch.cat([watch(log, f"x{k}", double_leaf(torch)) for k in range(case)]).sum().backward()


def rule_several_roots(torch, log):
    """With several roots all start at once; the rule of the last created holds among them too."""
    x = double_leaf(torch)
    y = x * 2
    first, second, third = y.sum(), (y * 3).sum(), y.exp()
    for name, tensor in [("x", x), ("y", y), ("first", first), ("second", second), ("third", third)]:
        watch(log, name, tensor)
    torch.autograd.backward([first, second, third], [None, None, torch.ones(2, dtype=torch.float64)])


def rule_the_same_root_twice(torch, log):
    """A tensor given twice as a root gets the sum of both seeds."""
    x = watch(log, "x", double_leaf(torch))
    y = watch(log, "y", x.sum())
    torch.autograd.backward([y, y], [torch.tensor(2.0, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)])


def rule_a_root_inside_the_graph_of_another(torch, log):
    """A root that is also an intermediate of another root waits for what arrives from there."""
    x = watch(log, "x", double_leaf(torch))
    y = watch(log, "y", x.sum())
    z = watch(log, "z", y * y)
    torch.autograd.backward([y, z])


def rule_an_edge_as_a_root(torch, log):
    """An edge of the graph can stand for the tensor that it belongs to, as a root too: nothing but the node is needed."""
    edge_of, x = torch.autograd.graph.get_gradient_edge, double_leaf(torch)
    log(torch.autograd.grad(edge_of(x.exp().sum()), x))
    y = watch(log, "y", x * 2)
    torch.autograd.backward([edge_of(y), y.sum()], [torch.ones(2, dtype=torch.float64), None])
    log(x.grad)
    y = x * 2
    for root, gradient in ((y, None), (y, torch.ones(3)), (y, torch.ones(2, dtype=torch.complex64)), (y.sum(), 5)):
        attempt(log, torch.autograd.backward, edge_of(root), [gradient])
    log(torch.autograd.grad(edge_of(y), edge_of(x), torch.ones(2, dtype=torch.float32)))
    log(torch.autograd.grad(edge_of(x), x, torch.ones(2)))


def rule_old_arguments_of_backward(torch, log):
    """`grad_variables=` and `only_inputs=False`: accepted still, with a warning."""
    x = double_leaf(torch)
    torch.autograd.backward(x * 2, grad_variables=torch.ones(2))
    attempt(log, torch.autograd.backward, x * 2, torch.ones(2), grad_variables=torch.ones(2))
    log(x.grad, torch.autograd.grad(x.sum(), x, only_inputs=False))


def rule_selected_inputs(torch, log):
    """With `inputs=` only nodes that lead to them run."""
    x, other = watch(log, "x", double_leaf(torch)), watch(log, "other", double_leaf(torch))
    a, b = watch(log, "a", x * 2), watch(log, "b", other * 3)
    watch(log, "sum", watch(log, "ab", a * b).sum()).backward(inputs=[x])


def rule_a_module_with_all_kinds_of_hooks(torch, log):
    """Module hooks, tensor hooks and node hooks of a small convolutional network, in one log."""
    nn = torch.nn
    net = filled(torch, nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)))
    for name, parameter in net.named_parameters():
        watch(log, name, parameter)
    for module in net.modules():
        module.register_forward_pre_hook(noting(log, "forward pre"))
        module.register_forward_hook(noting(log, "forward"))
        both_hooks(module, log)
    x = watch(log, "x", known(torch, 1, 1, 4, 4, requires_grad=True))
    watch(log, "y", net(x)).sum().backward()


def rule_a_backward_pass_inside_a_backward_pass(torch, log):
    """An inner pass runs to its end inside the hook that started it, even over leaves that the outer one also reaches."""
    x = watch(log, "x", double_leaf(torch))
    y = watch(log, "y", x * 2)

    def inner(grad):
        log("inner starts")
        with torch.enable_grad():
            watch(log, "inner sum", (x * 5).sum()).backward()
        log("inner ends")

    y.register_hook(inner)
    y.exp().sum().backward()


def rule_everything_in_the_calling_thread(torch, log):
    """On the CPU hooks run in the thread that called backward, in nested passes too."""
    import threading

    here, x = threading.get_ident(), double_leaf(torch)
    y = x * 2
    y.register_hook(lambda g: log(threading.get_ident() == here))
    x.register_post_accumulate_grad_hook(lambda t: log(threading.get_ident() == here))
    y.sum().backward()


def rule_a_node_without_gradient_still_passes_on(torch, log):
    """A branch that a hook cut still counts for those behind it: its nodes run, with None."""
    x = watch(log, "x", double_leaf(torch))
    y = watch(log, "y", x * 2)
    z = watch(log, "z", y * 3)
    z.grad_fn.register_hook(lambda inputs, outputs: (None, None))
    z.sum().backward()


def rule_in_place_operations_in_the_order(torch, log):
    """An in-place operation on a view makes the base's new node, CopySlices; the order of creation counts as always."""
    x = watch(log, "x", torch.arange(4.0, requires_grad=True))
    y = watch(log, "y", x * 1)
    view = watch(log, "view", y[:2])
    view.mul_(3)
    log(y.grad_fn.name(), view.grad_fn.name())
    watch(log, "y after", y)
    watch(log, "view after", view)
    (y.sum() + view.sum()).backward()


def rule_errors_of_backward(torch, log):
    """What `backward` refuses: a vector without a gradient, a tensor without a graph, wrong shapes, no inputs."""
    x = double_leaf(torch)
    attempt(log, (x * 2).backward)
    attempt(log, torch.ones(1).backward)
    attempt(log, (x * 2).backward, torch.ones(3, dtype=torch.float64))
    attempt(log, (x * 2).sum().backward, inputs=[])
    attempt(log, torch.autograd.backward, [x.sum(), x.sum()], [None])
    attempt(log, torch.autograd.grad, x.sum(), torch.ones(1))
    attempt(log, torch.autograd.grad, x.sum(), double_leaf(torch))
    attempt(log, torch.autograd.grad, x.sum(), double_leaf(torch), allow_unused=True)
    attempt(log, torch.autograd.grad, x.sum(), double_leaf(torch), materialize_grads=True)
    attempt(log, torch.autograd.grad, x.sum(), [x], allow_unused=False, materialize_grads=True)
    attempt(log, torch.autograd.grad, x.sum(), [])
