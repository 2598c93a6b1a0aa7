"""Custom Functions, and in-place operations that meet views: values, gradients and refusals are torch's."""

from __future__ import annotations

import gc
import weakref

import pytest
from compare import graph_of, same, same_error

import minicnn


def leaf(lib, values=(1.0, -2.0, 3.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def rounded(tensor):
    return None if tensor is None else [round(v, 9) for v in tensor.flatten().tolist()]


def functions(lib):
    """The same classes, derived from the Function of either library."""

    class Square(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    class Scale(lib.autograd.Function):
        """Arguments that are no tensors, and attributes on the ctx."""

        @staticmethod
        def forward(ctx, x, factor, name="none"):
            ctx.factor, ctx.name_given = factor, name
            return x * factor

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.factor, None, None

    class GuidedRelu(lib.autograd.Function):
        """What visualisation code writes."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            grad = grad.clone()
            grad[x < 0] = 0
            grad[grad < 0] = 0
            return grad

    class TwoOutputs(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            ctx.seen = []
            return x * y, x + y

        @staticmethod
        def backward(ctx, of_product, of_sum):
            x, y = ctx.saved_tensors
            ctx.seen.append((rounded(of_product), rounded(of_sum)))
            return of_product * y + of_sum, of_product * x + of_sum

    class NotMaterialized(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, first, second):
            assert first is None
            return second * 3

    class Positive(lib.autograd.Function):
        """An output that has no gradient."""

        @staticmethod
        def forward(ctx, x):
            mask = (x > 0).to(x.dtype)
            ctx.mark_non_differentiable(mask)
            ctx.save_for_backward(mask)
            return x * mask, mask

        @staticmethod
        def backward(ctx, grad, of_mask):
            ctx.of_mask = rounded(of_mask)
            return grad * ctx.saved_tensors[0]

    class AddOne(lib.autograd.Function):
        """In place."""

        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 1

    class Identity(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 10

    class Exp(lib.autograd.Function):
        """Saves its output."""

        @staticmethod
        def forward(ctx, x):
            result = x.exp()
            ctx.save_for_backward(result, None)
            return result

        @staticmethod
        def backward(ctx, grad):
            result, nothing = ctx.saved_tensors
            assert nothing is None
            return grad * result

    class SetUp(lib.autograd.Function):
        @staticmethod
        def forward(x, factor):
            return x * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.factor = inputs
            ctx.save_for_backward(x, output)

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.factor, None

    class Partly(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, z):
            ctx.save_for_backward(x, y)
            ctx.needed = ctx.needs_input_grad
            return x * y + z

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            return grad * y if ctx.needs_input_grad[0] else None, grad * x if ctx.needs_input_grad[1] else None, grad

    class names:
        pass

    for cls in (Square, Scale, GuidedRelu, TwoOutputs, NotMaterialized, Positive, AddOne, Identity, Exp, SetUp, Partly):
        setattr(names, cls.__name__, cls)
    return names


CASES = {
    "Square": lambda lib, f, x: f.Square.apply(x),
    "Square twice": lambda lib, f, x: f.Square.apply(f.Square.apply(x)) * x,
    "Scale": lambda lib, f, x: f.Scale.apply(x, 3),
    "Scale with a name": lambda lib, f, x: f.Scale.apply(x, 3.5, "name"),
    "GuidedRelu": lambda lib, f, x: f.GuidedRelu.apply(x) * lib.tensor([1.0, 1.0, -1.0], dtype=lib.float64),
    "TwoOutputs": lambda lib, f, x: (lambda p, s: p * 2 + s.exp())(*f.TwoOutputs.apply(x, x * 3)),
    "TwoOutputs, one unused": lambda lib, f, x: f.TwoOutputs.apply(x, x)[1],
    "NotMaterialized": lambda lib, f, x: f.NotMaterialized.apply(x)[1],
    "Positive": lambda lib, f, x: f.Positive.apply(x)[0],
    "Positive times its mask": lambda lib, f, x: (lambda y, m: y * m * x)(*f.Positive.apply(x)),
    "AddOne": lambda lib, f, x: f.AddOne.apply(x * 2) * 3,
    "Identity": lambda lib, f, x: f.Identity.apply(x) * 2,
    "Identity of a result": lambda lib, f, x: f.Identity.apply(x * 2).exp(),
    "Exp": lambda lib, f, x: f.Exp.apply(x),
    "SetUp": lambda lib, f, x: f.SetUp.apply(x, 4),
    "Partly": lambda lib, f, x: f.Partly.apply(x, lib.ones_like(x), x * 2),
}


@pytest.mark.parametrize("build", CASES.values(), ids=CASES.keys())
def test_function(build):
    def observed(lib):
        x = leaf(lib)
        y = build(lib, functions(lib), x)
        y.backward(lib.tensor([1.0, 2.0, -3.0], dtype=lib.float64))
        return rounded(y), rounded(x.grad), graph_of(y.grad_fn), y.grad_fn.name()

    same(observed)


def test_what_backward_receives():
    def observed(lib):
        f, x = functions(lib), leaf(lib)
        product, total = f.TwoOutputs.apply(x, x)
        node = total.grad_fn
        total.sum().backward()
        masked, mask = f.Positive.apply(x)
        masked.sum().backward()
        return (
            node.seen,
            product.grad_fn is node,
            masked.grad_fn.of_mask,
            mask.requires_grad,
            mask.grad_fn,
            mask.is_leaf,
        )

    same(observed)


def test_needs_input_grad():
    def observed(lib):
        f, x = functions(lib), leaf(lib)
        constant = lib.ones(3, dtype=lib.float64)
        nodes = [f.Partly.apply(x, constant, x).grad_fn, f.Partly.apply(constant, x, constant).grad_fn]
        quiet = f.Partly.apply(constant, constant, constant)
        with lib.no_grad():
            silent = f.Partly.apply(x, x, x)
        edges = [[edge[0] is not None for edge in node.next_functions] for node in nodes]
        return [node.needed for node in nodes], edges, quiet.grad_fn, silent.grad_fn, silent.requires_grad

    same(observed)


def test_attributes_and_saved_tensors_of_a_node():
    def observed(lib):
        f, x = functions(lib), leaf(lib)
        node = f.Scale.apply(x, 5, "given").grad_fn
        saved = f.Square.apply(x).grad_fn.saved_tensors
        output = f.Exp.apply(x)
        (of_output, nothing) = output.grad_fn.saved_tensors
        return node.factor, node.name_given, type(node).__name__, saved[0] is x, rounded(of_output), nothing

    same(observed)


def test_identity_returns_a_view():
    def observed(lib):
        f, x = functions(lib), leaf(lib)
        y = f.Identity.apply(x)
        with lib.no_grad():
            z = f.Identity.apply(x)
        return y is x, y._is_view(), y._base is x, y.is_leaf, z.requires_grad, f.AddOne.apply(w := x * 2) is w

    same(observed)


def in_place_on(lib, which):
    f, x = functions(lib), leaf(lib)
    if which == "identity":
        f.Identity.apply(x * 1).add_(1)
    elif which == "identity, base written":
        base = x * 1
        y = f.Identity.apply(base)
        base.add_(1)
        (y * 2).sum().backward()
    elif which == "dirty leaf":
        f.AddOne.apply(x)
    elif which == "saved input written":
        z = x * 1
        y = f.Square.apply(z)
        z.add_(1)
        y.sum().backward()
    elif which == "saved output written":
        y = f.Exp.apply(x)
        y.add_(1)
        y.sum().backward()
    elif which == "second backward":
        y = f.Square.apply(x).sum()
        y.backward()
        y.backward()


@pytest.mark.parametrize(
    "which",
    [
        "identity",
        "identity, base written",
        "dirty leaf",
        "saved input written",
        "saved output written",
        "second backward",
    ],
)
def test_refusals(which):
    same_error(lambda lib: in_place_on(lib, which))


def wrong(lib, result, arguments=1):
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, *rest):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return result(lib, grad)

    x = leaf(lib)
    Wrong.apply(*[x, 5, "text"][:arguments]).sum().backward()
    return rounded(x.grad)


RESULTS = {
    "too many": lambda lib: wrong(lib, lambda lib, g: (g, g)),
    "too few": lambda lib: wrong(lib, lambda lib, g: g, 2),
    "for what is no tensor": lambda lib: wrong(lib, lambda lib, g: (g, g), 2),
    "wrong shape": lambda lib: wrong(lib, lambda lib, g: lib.ones(5, dtype=lib.float64)),
    "shape that broadcasts": lambda lib: wrong(lib, lambda lib, g: lib.ones(1, dtype=lib.float64)),
    "no backward": lambda lib: no_backward(lib),
    "no forward": lambda lib: type("Empty", (lib.autograd.Function,), {}).apply(leaf(lib)),
}


def no_backward(lib):
    class Forward(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    Forward.apply(leaf(lib)).sum().backward()


@pytest.mark.parametrize("call", RESULTS.values(), ids=RESULTS.keys())
def test_wrong_functions(call):
    same_error(call)


def test_results_that_are_allowed():
    same(lambda lib: wrong(lib, lambda lib, g: None))
    same(lambda lib: wrong(lib, lambda lib, g: (g, None, None), 3))
    same(lambda lib: wrong(lib, lambda lib, g: (g, None), 1))  # more Nones than arguments
    same(lambda lib: wrong(lib, lambda lib, g: g.float()))  # is cast


def test_arrays_may_take_the_place_of_tensors():
    """minicnn's own: forward and backward may work on NumPy arrays."""

    class Double(minicnn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.array * 2

        @staticmethod
        def backward(ctx, grad):
            return grad.array * 2

    x = leaf(minicnn)
    y = Double.apply(x)
    y.sum().backward()
    assert isinstance(y, minicnn.Tensor)
    assert (rounded(y), rounded(x.grad)) == ([2, -4, 6], [2, 2, 2])


def test_a_function_that_saves_its_output_makes_no_cycle():
    gc.collect()
    gc.disable()
    try:
        f, x = functions(minicnn), leaf(minicnn)
        for make in (
            lambda: f.Exp.apply(x),
            lambda: f.AddOne.apply(x * 1),
            lambda: f.TwoOutputs.apply(x, x)[0],
            lambda: f.Positive.apply(x)[0],
        ):
            y = make()
            node = weakref.ref(y.grad_fn)
            del y
            assert node() is None
    finally:
        gc.enable()


# --- in place on views ----------------------------------------------------------------------------------------------------


def changed(lib, which):
    x, w = leaf(lib, range(1, 7)), leaf(lib, [2.0, 3.0])
    base = x.reshape(2, 3) * 1
    if which == "slice":
        base[:, 1].mul_(w)
    elif which == "slice, view used as well":
        part = base[:, 1]
        part.mul_(w)
        base = base * part.sum()
    elif which == "base written, view used":
        part = base[0]
        base.mul_(3)
        base = base.sum() * part
    elif which == "two views":
        first, second = base[0], base[1]
        first.mul_(2)
        second.mul_(first.detach() * 0 + 5)
        base = base + first
    elif which == "overlapping views":
        first, second = base.view(-1)[:4], base.view(-1)[2:]
        first.mul_(2)
        second.mul_(3)
    elif which == "view of a view":
        base.t()[1:][:, 0].mul_(w)
    elif which == "copy_":
        base[0].copy_(w.sum() * lib.ones(3, dtype=lib.float64))
    elif which == "set item":
        base[1, 1:] = w
    elif which == "set item of itself":
        base[0] = base[1] * 2
    elif which == "mask":
        base[base > 3] = 0
    elif which == "zero_":
        base[0].zero_()
    elif which == "in a buffer without grad":
        buffer = lib.zeros(2, 3, dtype=lib.float64)
        buffer[0] = base[1]
        buffer[:, 2] += w
        base = buffer
    elif which == "chain":
        base.add_(1).mul_(2)[0].sub_(3)
        base.relu_()
    elif which == "+= of a slice":
        base[:, 0] += w
    elif which == "detached view":
        base.detach()[0] = 0
    elif which == "unsqueezed":
        base.unsqueeze_(0).mul_(2)
    return base, x, w


@pytest.mark.parametrize(
    "which",
    [
        "slice",
        "slice, view used as well",
        "base written, view used",
        "two views",
        "overlapping views",
        "view of a view",
        "copy_",
        "set item",
        "set item of itself",
        "mask",
        "zero_",
        "in a buffer without grad",
        "chain",
        "+= of a slice",
        "detached view",
        "unsqueezed",
    ],
)
def test_in_place_on_views(which):
    def observed(lib):
        result, x, w = changed(lib, which)
        upstream = lib.arange(1.0, 1.0 + result.numel(), dtype=lib.float64).reshape(result.shape)
        result.backward(upstream)
        return rounded(result), rounded(x.grad), rounded(w.grad), result._version

    same(observed)


def test_grad_fn_of_a_view_follows_its_base():
    def observed(lib):
        x = leaf(lib)
        base = x * 1
        view = base[1:]
        before = type(view.grad_fn).__name__
        base.mul_(2)
        after = type(view.grad_fn).__name__
        view.add_(1)
        return before, after, type(view.grad_fn).__name__, graph_of(base.grad_fn)

    same(observed)
