"""Modules that the rules of several groups use."""

from __future__ import annotations

from both import filled

__all__ = ["Echo", "both_hooks", "chain", "double_leaf", "failing", "gradients", "mixed", "two_outputs", "watch"]


class Echo:
    """Makes a module that logs what its forward receives."""

    def __new__(cls, torch, log, result="output"):
        class Echo(torch.nn.Module):
            def forward(self, *args, **kwargs):
                log("forward", args, kwargs)
                return result

        return Echo()


def failing(torch, log, error=ValueError):
    """A module whose forward raises, unless it is called with `fail=False`."""

    class Failing(torch.nn.Module):
        def forward(self, x, fail=True, **kwargs):
            if fail:
                raise error("forward failed")
            return x

    return Failing()


def mixed(torch):
    """A module that multiplies its first two arguments and passes the rest on."""

    class Mixed(torch.nn.Module):
        def forward(self, a, b=None, *rest, **kwargs):
            out = a * 2 if b is None or not hasattr(b, "shape") else a * b
            return (out, *rest) if rest else out

    return Mixed()


def two_outputs(torch):
    """A module that returns two tensors that need a gradient and one that cannot have one."""

    class Two(torch.nn.Module):
        def forward(self, x):
            return x * 2, x * 3, x.argmax()

    return Two()


def chain(torch):
    """Two linear layers, called a and b, in a network N."""

    class N(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 4)
            self.b = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.b(self.a(x))

    return filled(torch, N())


def both_hooks(module, log):
    """A full backward pre-hook and a full backward hook that log what they see."""
    module.register_full_backward_pre_hook(lambda m, grad_output: log("pre", m, grad_output))
    module.register_full_backward_hook(lambda m, grad_input, grad_output: log("post", m, grad_input, grad_output))


def gradients(log, *tensors):
    """Log the `.grad` of each tensor."""
    for tensor in tensors:
        log("grad", tensor.grad)


def double_leaf(torch, *values):
    """A leaf of float64 numbers."""
    return torch.tensor(list(values or (1.0, 2.0)), dtype=torch.float64, requires_grad=True)


def watch(log, name, tensor):
    """Every kind of hook on one tensor and its node; returns the tensor."""
    tensor.register_hook(lambda grad: log(f"{name} tensor hook", grad))
    if tensor.grad_fn is None:
        tensor.register_post_accumulate_grad_hook(lambda t: log(f"{name} accumulated", t.grad))
        return tensor
    node = tensor.grad_fn
    tensor.retain_grad()
    node.register_prehook(lambda grads: log(f"{name} node pre, grad stored", tensor.grad is not None, grads))
    node.register_hook(lambda inputs, outputs: log(f"{name} node post", inputs, outputs))
    return tensor
