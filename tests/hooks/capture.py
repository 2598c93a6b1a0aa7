"""`autograd.grad` and `backward(inputs=)`: which hooks run, and the two rules of what is returned."""

from __future__ import annotations

from both import attempt, known, linear, noting

from .catalogue import cases
from .parts import double_leaf, gradients, watch


def _build(torch, log):
    x = torch.tensor(2.0, requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: log("hook of y", g) or g * 7)
    y.retain_grad()
    x.register_hook(lambda g: log("hook of x", g) or g * 11)
    x.register_post_accumulate_grad_hook(lambda t: log("accumulated", t.grad))
    y.grad_fn.register_prehook(noting(log, "node of y, pre"))
    y.grad_fn.register_hook(noting(log, "node of y, post"))
    return x, y, y * 3


def rule_a_tensor_whose_node_need_not_run(torch, log):
    """The first rule: `grad(z, y)` returns the gradient after y's tensor hooks, which run; y's node does not."""
    x, y, z = _build(torch, log)
    log(torch.autograd.grad(z, [y]))
    gradients(log, y, x)


def rule_a_tensor_whose_node_has_to_run(torch, log):
    """The second rule: in `grad(z, [y, x])` y's node runs because of x, and what is returned for y is the raw gradient,
    *before* its hooks. They run once, fill `y.grad` and change what reaches x."""
    x, y, z = _build(torch, log)
    log(torch.autograd.grad(z, [y, x]))
    gradients(log, y, x)


def rule_backward_with_inputs(torch, log):
    """`backward(inputs=[y, x])` stores the gradients after the hooks, for a non-leaf too, whose node runs."""
    x, y, z = _build(torch, log)
    z.backward(inputs=[y, x])
    gradients(log, y, x)
    x, y, z = _build(torch, log)
    z.backward(inputs=[y])
    gradients(log, y, x)


def rule_grad_touches_no_leaf(torch, log):
    """`autograd.grad` runs the tensor hooks of a requested leaf, but neither accumulates nor runs post-accumulate hooks or
    the hooks of its AccumulateGrad."""
    x = double_leaf(torch)
    y = x * 2
    x.register_hook(lambda g: log("tensor") or g * 10)
    x.register_post_accumulate_grad_hook(noting(log, "never"))
    y.grad_fn.next_functions[0][0].register_hook(noting(log, "never either"))
    log(torch.autograd.grad(y.sum(), x))
    gradients(log, x)


def rule_grad_of_other_leaves(torch, log):
    """Hooks on leaves that were not asked for do not run."""
    x, w = watch(log, "x", double_leaf(torch)), watch(log, "w", double_leaf(torch))
    log(torch.autograd.grad((x * w).sum(), w))


def rule_the_same_tensor_twice(torch, log):
    """Asked for twice, a tensor's hooks run once, and the gradient is returned twice."""
    x = watch(log, "x", double_leaf(torch))
    log(torch.autograd.grad((x * 2).sum(), [x, x]))


def rule_the_root_itself(torch, log):
    """The root as an input gives the seed, after its hooks."""
    x = double_leaf(torch)
    y = x.sum()
    y.register_hook(lambda g: log("root") or g * 5)
    log(torch.autograd.grad(y, y))


def rule_one_of_several_outputs(torch, log):
    """For one output of a node with several, the hooks of the node's other outputs run too, with None where nothing
    arrived."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.register_hook(noting(log, "a"))
    b.register_hook(noting(log, "b"))
    log(torch.autograd.grad((b * 5).sum() + (a * 2).sum(), [b], retain_graph=True))
    log(torch.autograd.grad((b * 5).sum(), [a, b], allow_unused=True))


def rule_unused_inputs(torch, log):
    """An input that is not part of the graph is an error, or None with `allow_unused`; its hooks do not run."""
    x, other = watch(log, "x", double_leaf(torch)), watch(log, "other", double_leaf(torch))
    y = (x * 2).sum()
    attempt(log, torch.autograd.grad, y, [x, other], retain_graph=True)
    log(torch.autograd.grad(y, [x, other], allow_unused=True))


def rule_module_hooks_and_grad(torch, log):
    """For a module with full backward hooks: what fires when the input, the weight, the output, or both sides are asked
    for."""
    for names in (("x",), ("weight",), ("out",), ("x", "weight"), ("x", "out")):
        layer, x = linear(torch), known(torch, 1, 3, requires_grad=True)
        layer.register_full_backward_pre_hook(lambda m, go: log("pre", go) or (go[0] * 2,))
        layer.register_full_backward_hook(lambda m, gi, go: log("post", gi, go) or (gi[0] * 10,))
        out = layer(x)
        tensors = {"x": x, "weight": layer.weight, "out": out}
        log(names, torch.autograd.grad((out * 3).sum(), [tensors[name] for name in names]))


@cases({"grad": False, "backward": True})
def rule_retained_gradients_of_what_is_not_asked_for(torch, log, case):
    """`retain_grad` of a tensor on the way is filled; of one beside the way it is not."""
    x, w = double_leaf(torch), double_leaf(torch)
    a, b = x * 2, w * 2
    a.retain_grad()
    b.retain_grad()
    z = (a * b).sum()
    if case:
        z.backward(inputs=[x])
    else:
        log(torch.autograd.grad(z, x))
    gradients(log, a, b, x, w)


def rule_inputs_retain_their_gradient_afterwards(torch, log):
    """A non-leaf in `inputs=` retains its gradient from then on, in later passes too."""
    x = double_leaf(torch)
    y = x * 2
    z = y.sum()
    z.backward(inputs=[y], retain_graph=True)
    log(y.retains_grad)
    gradients(log, y, x)
    z.backward()
    gradients(log, y, x)


def rule_multi_output_capture_and_execution(torch, log):
    """The second rule for one output of a split, whose node has to run for the leaf."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.register_hook(lambda g: log("a", g) or g * 7)
    b.register_hook(lambda g: log("b", g) or g * 5)
    log(torch.autograd.grad((b * 5).sum() + (a * 2).sum(), [b, x, a]))


def rule_what_is_refused_of_inputs(torch, log):
    """Inputs without a gradient, no inputs, inputs that are not part of the graph: each has its error, in its order."""
    constant, weight = torch.ones(2), torch.ones(2, requires_grad=True)
    product = (constant * weight).sum()
    attempt(log, constant.sum().backward, inputs=[constant])
    attempt(log, product.backward, inputs=[constant])
    attempt(log, product.backward, inputs=[])
    attempt(log, torch.autograd.grad, product, [])
    attempt(log, torch.autograd.grad, product, [constant])
    attempt(log, torch.autograd.grad, product, torch.ones(2, requires_grad=True))


def rule_inputs_in_a_dict(torch, log):
    """`autograd.grad` of a dict of tensors gives a dict with its keys; `backward(inputs=dict)` takes its values. A plain
    dict only. Anything in it that is neither a tensor nor an edge is refused."""
    from collections import OrderedDict

    module = linear(torch)
    parameters = dict(module.named_parameters())
    x = known(torch, 1, 3)

    def loss():
        return module(x).sum()

    def unused():
        return known(torch, 1, requires_grad=True)

    grad = torch.autograd.grad
    log(grad(loss(), parameters))
    log(grad(loss(), {1: module.weight}), grad(loss(), {"w": module.weight, "u": unused()}, allow_unused=True))
    log(grad(loss(), {"w": module.weight, "u": unused()}, materialize_grads=True))
    attempt(log, grad, loss(), {"w": module.weight, "u": unused()})
    for inputs in ({}, OrderedDict(parameters), {"w": 3}, [3], [module.weight, None]):
        attempt(log, grad, loss(), inputs)
        attempt(log, loss().backward, inputs=inputs)
        attempt(log, torch.autograd.backward, loss(), inputs=inputs)
    loss().backward(inputs={"w": module.weight})
    log(module.weight.grad, module.bias.grad)
    torch.autograd.backward(loss(), inputs=parameters)
    log(module.weight.grad, module.bias.grad)


def rule_an_edge_as_an_input(torch, log):
    """`get_gradient_edge(tensor)` stands for the tensor among the inputs; zeros cannot be made for one that is unused."""
    module = linear(torch)
    loss = module(known(torch, 1, 3)).sum()
    edge = torch.autograd.graph.get_gradient_edge(module.weight)
    log(
        torch.autograd.grad(loss, edge, retain_graph=True),
        torch.autograd.grad(loss, [edge, module.bias], retain_graph=True),
    )
    unused = torch.autograd.graph.get_gradient_edge(known(torch, 1, requires_grad=True))
    attempt(log, torch.autograd.grad, loss, unused, retain_graph=True, materialize_grads=True)
    attempt(log, torch.autograd.grad, loss, unused, retain_graph=True, allow_unused=True)
    loss.backward(inputs=edge)
    log(module.weight.grad, module.bias.grad)
