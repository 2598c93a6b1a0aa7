"""`saved_tensors_hooks`: pack and unpack what nodes keep of the forward pass."""

from __future__ import annotations

from both import attempt, filled, known, linear

from .catalogue import cases
from .parts import double_leaf, gradients


def packing(torch, log, pack=None, unpack=None):
    """The context manager with hooks that log."""

    def on_pack(tensor):
        log("pack", tensor)
        return pack(tensor) if pack else tensor

    def on_unpack(packed):
        log("unpack", packed)
        return unpack(packed) if unpack else packed

    return torch.autograd.graph.saved_tensors_hooks(on_pack, on_unpack)


@cases(
    {
        "x * y": lambda torch, x, y: x * y,
        "x * x": lambda torch, x, y: x * x,
        "x * 3": lambda torch, x, y: x * 3,
        "x * constant": lambda torch, x, y: x * y.detach(),
        "x + y": lambda torch, x, y: x + y,
        "exp": lambda torch, x, y: x.exp(),
        "sin": lambda torch, x, y: x.sin(),
        "sum": lambda torch, x, y: x.sum(),
        "div": lambda torch, x, y: x / y,
        "pow": lambda torch, x, y: x**2,
        "tanh": lambda torch, x, y: x.tanh(),
        "sigmoid": lambda torch, x, y: x.sigmoid(),
        "relu": lambda torch, x, y: x.relu(),
        "view": lambda torch, x, y: x.reshape(1, -1),
        "softmax": lambda torch, x, y: x.softmax(0),
    }
)
def rule_what_is_packed(torch, log, case):
    """Pack is called once for each tensor that an operation saves: two for a product of two, none for a sum, the output
    for exp. Unpack once for each in the backward pass. In which order is left open, so it is not compared."""
    x, y = double_leaf(torch), double_leaf(torch, 3.0, 5.0)
    packed, unpacked = [], []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: unpacked.append(t) or t):
        z = case(torch, x, y)
    log("packed", sorted(packed, key=lambda t: t.sum().item()))
    z.sum().backward()
    log("unpacked", sorted(unpacked, key=lambda t: t.sum().item()))
    gradients(log, x, y)


def rule_not_under_no_grad(torch, log):
    """Operations that are not recorded save nothing."""
    x = double_leaf(torch)
    with packing(torch, log), torch.no_grad():
        log(x * x)


def rule_enter_returns_none(torch, log):
    """`__enter__` returns None."""
    with packing(torch, log) as entered:
        log(entered)


def rule_only_the_innermost_pair(torch, log):
    """Nested pairs do not chain: the innermost alone is used."""
    x = double_leaf(torch)
    with packing(torch, log, lambda t: t * 100, lambda t: t / 100):
        with packing(torch, log, lambda t: t * 2, lambda t: t / 2):
            y = x * x
        z = y.exp()
    z.sum().backward()
    gradients(log, x)


def rule_what_is_packed_may_be_anything(torch, log):
    """Pack may return any object; unpack must return a tensor."""
    x = double_leaf(torch)
    with packing(torch, log, lambda t: t.tolist(), lambda values: torch.tensor(values, dtype=torch.float64)):
        y = x.exp()
    y.sum().backward()
    gradients(log, x)


@cases({"int": 5, "None": None, "list": [1.0], "text": "no"})
def rule_unpack_must_return_a_tensor(torch, log, case):
    """Otherwise a TypeError in the backward pass that names the type."""
    x = double_leaf(torch)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda packed: case):
        y = x.exp()
    attempt(log, y.sum().backward)


def rule_unpack_may_return_other_numbers(torch, log):
    """Neither shape nor numbers of what unpack returns are checked: other numbers give another gradient."""
    x = double_leaf(torch)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: torch.ones(2, dtype=torch.float64) * 7):
        y = x * x
    y.sum().backward()
    gradients(log, x)


def rule_pack_must_not_write(torch, log):
    """A pack hook that changes its input in place is an error."""
    x = double_leaf(torch)
    y = x * 1
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
        attempt(log, y.exp)


def rule_exceptions_propagate(torch, log):
    """An exception in pack leaves the operation, one in unpack the backward pass."""
    x = double_leaf(torch)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: {}["pack"], lambda t: t):
        attempt(log, x.exp)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: {}["unpack"]):
        y = x.exp()
    attempt(log, y.sum().backward)


def rule_unpack_at_each_pass(torch, log):
    """With a retained graph unpack is called again at each pass."""
    x = double_leaf(torch)
    with packing(torch, log):
        y = x.exp()
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    gradients(log, x)


def rule_disabled(torch, log):
    """`disable_saved_tensors_hooks(msg)`: entering a pair inside raises RuntimeError(msg); so does disabling inside a
    pair. Nested, the inner message counts, and the outer one again afterwards."""
    disable = torch.autograd.graph.disable_saved_tensors_hooks

    def enter():
        with packing(torch, log):
            log("inside")

    with disable("not here"):
        attempt(log, enter)
        with disable("nor here"):
            attempt(log, enter)
        attempt(log, enter)
    enter()

    def disable_inside():
        with packing(torch, log), disable("too late"):
            log("never")

    attempt(log, disable_inside)


def rule_modules(torch, log):
    """A linear layer saves its input and weight; the hooks see the parameters themselves."""
    net, x, seen = (
        filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())),
        known(torch, 1, 3, requires_grad=True),
        [],
    )
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        out = net(x)
    log(sorted(list(t.shape) for t in seen), any(t is x for t in seen))
    out.sum().backward()
    gradients(log, x, net[0].weight)


def rule_save_on_cpu(torch, log):
    """`save_on_cpu` of a tensor that is on the CPU keeps the tensor itself: no copy, and a write goes unnoticed."""
    x = double_leaf(torch)
    y = x * 1
    with torch.autograd.graph.save_on_cpu():
        z = y * y
    with torch.no_grad():
        y.zero_()
    attempt(log, z.sum().backward)
    gradients(log, x)


def rule_grad_mode_in_pack_and_unpack(torch, log):
    """Pack and unpack run without recording."""
    x = double_leaf(torch)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: log(torch.is_grad_enabled()) or t, lambda t: log(torch.is_grad_enabled()) or t
    ):
        y = x.exp()
    y.sum().backward()


def rule_with_module_hooks(torch, log):
    """Inside a forward hook of a module the pair that is active around the call is active too."""
    layer, x = linear(torch), known(torch, 1, 3, requires_grad=True)
    layer.register_forward_hook(lambda m, args, out: out.exp())
    with packing(torch, log):
        out = layer(x).sum()
    log("backward")
    out.backward()


def rule_a_custom_function(torch, log):
    """`save_for_backward` goes through the hooks, in order."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad):
            a, b = ctx.saved_tensors
            return grad * b, grad * a

    a, b = double_leaf(torch), double_leaf(torch, 3.0, 4.0)
    with packing(torch, log, lambda t: (t, 1), lambda pair: pair[0]):
        out = Product.apply(a, b)
    log("backward")
    out.sum().backward()
    gradients(log, a, b)


def _image(torch):
    return known(torch, 1, 1, 4, 4, requires_grad=True)


@cases(
    {
        "max_pool2d": lambda torch, x: torch.nn.functional.max_pool2d(x, 2),
        "avg_pool2d": lambda torch, x: torch.nn.functional.avg_pool2d(x, 2),
        "adaptive_avg_pool2d": lambda torch, x: torch.nn.functional.adaptive_avg_pool2d(x, 2),
        "adaptive_max_pool2d": lambda torch, x: torch.nn.functional.adaptive_max_pool2d(x, 2),
        "conv2d": lambda torch, x: torch.nn.functional.conv2d(x, known(torch, 1, 1, 2, 2)),
        "sort": lambda torch, x: x.sort()[0],
        "max": lambda torch, x: x.max(1)[0],
        "index": lambda torch, x: x[torch.tensor([0])],
        "relu": lambda torch, x: x.relu(),
        "add": lambda torch, x: x + 1,
        "mean": lambda torch, x: x.mean(1),
    }
)
def rule_what_a_freed_graph_refuses(torch, log, case):
    """An operation that saved something cannot run a second time without `retain_graph`, and its pre-hooks have run when
    it says so; one that saved nothing can. Written inputs that an operation saved are an error."""
    x = _image(torch)
    y = case(torch, x + 1)
    y.grad_fn.register_prehook(lambda grads: log("pre"))
    ones = torch.ones(*y.shape)
    y.backward(ones)
    attempt(log, y.backward, ones)
    gradients(log, x)
    base = x * 1
    y = case(torch, base)
    base.add_(1)
    attempt(log, y.backward, ones)


def rule_unpack_without_a_gradient(torch, log):
    """A node unpacks what it saved even if no gradient arrives: a freed graph refuses, an unpack hook is called."""
    x = double_leaf(torch)
    y = x.exp()
    z = y * 2
    z.grad_fn.register_hook(lambda inputs, outputs: (None, None))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: log("unpack") or t):
        sine = y.sin()
    sine.grad_fn.register_prehook(lambda grads: (None,))
    root = z.sum() + sine.sum()
    root.backward(retain_graph=True)
    root.backward()
    attempt(log, root.backward)
    gradients(log, x)


@cases({name: name for name in ("exp", "tanh", "sigmoid", "sqrt", "relu", "reciprocal", "rsqrt", "sin", "abs")})
def rule_the_packed_tensor_is_the_users_own(torch, log, case):
    """An input is packed as the tensor that the caller holds, and so is an output: with its place in the graph."""
    x = double_leaf(torch)
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t), lambda t: None):
        y = getattr(x, case)()
    (tensor,) = packed
    log(tensor is x, tensor is y, tensor.requires_grad, tensor.grad_fn is y.grad_fn, tensor._version)


def rule_what_a_function_packs(torch, log):
    """The same for what a Function of one's own saves."""

    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[1]

    x = double_leaf(torch)
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        y = Exp.apply(x)
    log([(t is x, t is y, t.requires_grad) for t in packed])
    y.sum().backward()
    gradients(log, x)


def rule_hooks_on_one_saved_tensor(torch, log):
    """`node._raw_saved_result.register_hooks(pack, unpack)`: hooks on what a node has saved already; one pair, and none on
    what is None or freed. `pack` gets the tensor without its graph."""
    x = double_leaf(torch)
    y = x.exp()
    raw = y.grad_fn._raw_saved_result
    log(type(raw).__name__, [name for name in dir(y.grad_fn) if "_saved_" in name and name != "_raw_saved_tensors"])

    def pack(tensor):
        log("pack", tensor, tensor.grad_fn, tensor.requires_grad)
        return 5

    def unpack(packed):
        log("unpack", packed)
        return torch.ones(2, dtype=torch.float64)

    raw.register_hooks(pack, unpack)
    attempt(log, raw.register_hooks, pack, unpack)
    log(y.grad_fn._saved_result)
    y.sum().backward()
    log(x.grad)
    attempt(log, raw.register_hooks, pack, unpack)
    attempt(log, lambda: y.grad_fn._saved_result)
    attempt(log, lambda: y.grad_fn._raw_saved_self)
    product = x * x.detach()
    attempt(log, product.grad_fn._raw_saved_self.register_hooks, pack, unpack)
    product.grad_fn._raw_saved_other.register_hooks(pack, unpack)


def rule_what_hooks_on_a_saved_tensor_must_not_do(torch, log):
    """`pack` must not write the tensor; `unpack` must give a tensor; hooks of `saved_tensors_hooks` leave no room."""
    x = double_leaf(torch)
    y = (x * 1).sin()
    attempt(log, y.grad_fn._raw_saved_self.register_hooks, lambda tensor: tensor.mul_(2), lambda packed: packed)
    y = (x * 1).sin()
    y.grad_fn._raw_saved_self.register_hooks(lambda tensor: "packed", lambda packed: packed)
    attempt(log, y.sum().backward)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda packed: packed):
        y = x.exp()
    attempt(log, y.grad_fn._raw_saved_result.register_hooks, lambda tensor: tensor, lambda packed: packed)


def rule_hooks_on_what_a_function_has_saved(torch, log):
    """`node._raw_saved_tensors` of a Function of one's own: one for each argument of `save_for_backward`."""

    class Keeps(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, other):
            ctx.save_for_backward(x, None, other)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            log("backward", ctx.saved_tensors)
            return grad * 2, None

    x = double_leaf(torch)
    y = Keeps.apply(x, torch.ones(2))
    raw = y.grad_fn._raw_saved_tensors
    log(len(raw))
    attempt(log, raw[1].register_hooks, lambda tensor: tensor, lambda packed: packed)
    raw[0].register_hooks(lambda tensor: tensor * 5, lambda packed: packed * 2)
    log(y.grad_fn.saved_tensors)
    y.sum().backward()
    attempt(log, lambda: y.grad_fn._raw_saved_tensors)
