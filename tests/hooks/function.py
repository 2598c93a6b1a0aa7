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


@cases(
    {
        "float64": lambda torch: (torch.float64, None),
        "float16": lambda torch: (torch.float16, torch.float64),
        "as it comes": lambda torch: (None, None),
        "its own": lambda torch: (torch.float32, torch.float32),
        "too few": lambda torch: (torch.float64,),
        "too many": lambda torch: (torch.float64,) * 3,
        "for none": lambda torch: (None, None, torch.float64),
        "no type": lambda torch: ("float64", None),
    }
)
def rule_the_type_of_gradients_for_backward(torch, log, case):
    """`ctx.set_output_grad_dtype`: the type in which `backward`, and hooks, get the gradient of each output; None as it
    comes."""

    class Typed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_output_grad_dtype(*case(torch))
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, *grads):
            log("backward", grads)
            return sum(grad.float() for grad in grads)

    def run(first, seeds):
        x = torch.ones(2, requires_grad=True)
        outputs = Typed.apply(x)
        outputs[0].register_hook(lambda grad: log("hook", grad))
        outputs[0].grad_fn.register_prehook(lambda grads: log("pre-hook", grads))
        outputs[0].retain_grad()
        torch.autograd.backward(outputs[: len(seeds)] if first else outputs[::-1], seeds)
        gradients(log, outputs[0], x)
        log(torch.autograd.grad(Typed.apply(x)[0].sum(), x))

    ones = torch.ones(2)
    for first, seeds in (
        (True, [ones, ones]),
        (True, [ones.double(), ones.double()]),
        (True, [ones]),
        (False, [ones, ones]),
    ):
        attempt(log, run, first, seeds)


def rule_the_type_of_gradients_is_set_once(torch, log):
    """Once for a call, in forward or in setup_context; with None for what is no tensor or has no gradient."""

    def make(*types, calls=1):
        class Typed(torch.autograd.Function):
            @staticmethod
            def forward(x):
                return x * 2, "text", x.argmax()

            @staticmethod
            def setup_context(ctx, inputs, output):
                for _ in range(calls):
                    ctx.set_output_grad_dtype(*types)

            @staticmethod
            def backward(ctx, *grads):
                log("backward", grads)
                return grads[0]

        x = torch.ones(2, requires_grad=True)
        y = Typed.apply(x)
        log(y)
        y[0].sum().backward()
        gradients(log, x)

    double = torch.float64
    attempt(log, make, double, None, None)
    attempt(log, make, double, None, None, calls=2)
    attempt(log, make, double, double, None)
    attempt(log, make, double, None, double)


def rule_results_that_are_no_tensors(torch, log):
    """`forward` may return anything beside tensors: it stays as it is, and has the gradient None."""

    class Mixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 5, x * 2, "text", None, (1, 2), x.argmax()

        @staticmethod
        def backward(ctx, *grads):
            log("backward", grads)
            return grads[1]

    x = double_leaf(torch)
    result = Mixed.apply(x)
    log(result, [type(value).__name__ for value in result])
    result[1].sum().backward()
    gradients(log, x)


def rule_it_is_not_instantiated(torch, log):
    """An instance is good for nothing: making it warns, calling it raises."""
    function, _ = _scale(torch, log)
    instance = function()
    attempt(log, instance, double_leaf(torch))
    instance.apply(double_leaf(torch)).sum().backward()
