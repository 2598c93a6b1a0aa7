"""A Function of one's own: its arguments, its node, and what it is called."""

from __future__ import annotations

from both import attempt

from .catalogue import cases
from .parts import double_leaf, gradients


def _scale(torch, log):
    """x * k; with ctx, and with forward and setup_context apart."""

    class WithCtx(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k=2, shift=0):
            ctx.k = k
            return x * k + shift

        @staticmethod
        def backward(ctx, grad):
            log("backward", ctx.needs_input_grad)
            return grad * ctx.k, *[None] * (len(ctx.needs_input_grad) - 1)

    class Apart(torch.autograd.Function):
        @staticmethod
        def forward(x, k=2, shift=0):
            return x * k + shift

        @staticmethod
        def setup_context(ctx, inputs, output):
            log("inputs", inputs[1:], output)
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, grad):
            log("backward", ctx.needs_input_grad)
            return grad * ctx.k, None, None

    return WithCtx, Apart


@cases(
    {
        "x": lambda apply, x: apply(x),
        "x, 3": lambda apply, x: apply(x, 3),
        "x, k=3": lambda apply, x: apply(x, k=3),
        "x=x, k=3": lambda apply, x: apply(x=x, k=3),
        "k=3, x=x": lambda apply, x: apply(k=3, x=x),
        "x, shift=1": lambda apply, x: apply(x, shift=1),
        "x, shift=1, k=3": lambda apply, x: apply(x, shift=1, k=3),
        "x, k=tensor": lambda apply, x: apply(x, k=x.detach().requires_grad_()),
        "nothing": lambda apply, x: apply(),
        "shift=1": lambda apply, x: apply(shift=1),
        "too many": lambda apply, x: apply(x, 1, 2, 3),
        "unknown": lambda apply, x: apply(x, other=1),
        "twice": lambda apply, x: apply(x, 3, k=3),
    }
)
def rule_arguments_of_apply(torch, log, case):
    """Keyword arguments are put in their positions: they are arguments of backward too. With setup_context, defaults are
    filled in and seen by it; without it they stay out, and a parameter before a keyword argument must be given."""
    for function in _scale(torch, log):
        x = double_leaf(torch)

        def run(function=function, x=x):
            y = case(function.apply, x)
            log(y, [node is not None for node, _ in y.grad_fn.next_functions])
            y.sum().backward()

        attempt(log, run)
        gradients(log, x)


def rule_keyword_only_parameters_are_refused(torch, log):
    """`forward` is called by position: what is keyword only, positional only or collected in `**kwargs` cannot be named."""

    class Collects(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, *rest, key=None, **more):
            return x * 2

        @staticmethod
        def backward(ctx, grad, *rest):
            return grad * 2, *[None] * (len(ctx.needs_input_grad) - 1)

    x = double_leaf(torch)
    for options in ({"key": 1}, {"other": 1}, {"rest": 1}, {"ctx": 1}):
        attempt(log, Collects.apply, x, **options)
    Collects.apply(x, 1, 2).sum().backward()
    gradients(log, x)


def rule_the_node_and_its_name(torch, log):
    """The node of a Function of one's own shows the module of its class; those of built-in operations do not."""
    x = double_leaf(torch)
    for function in _scale(torch, lambda *values: None):
        y = function.apply(x)
        log(repr(y.grad_fn), y.grad_fn.name(), repr(y), type(y.grad_fn).__name__, type(y.grad_fn).__module__)
    y = x * 2
    log(repr(y.grad_fn), repr(y.grad_fn.next_functions[0][0]))


def rule_its_apply_may_be_overridden(torch, log):
    """`super().apply` in an own `apply` of a subclass."""
    base, _ = _scale(torch, log)

    class Own(base):
        @classmethod
        def apply(cls, *args, **kwargs):
            log("own", len(args), kwargs)
            return super().apply(*args, **kwargs)

    x = double_leaf(torch)
    Own.apply(x, k=5).sum().backward()
    gradients(log, x)
