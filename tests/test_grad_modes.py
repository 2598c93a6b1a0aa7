"""Grad modes against torch: what is recorded inside `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from compare import same, same_error

import minicnn


def leaf(lib, values=(1.0, 2.0, 3.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def test_needs_input_grad_says_what_the_inputs_are_in_every_mode():
    def observed(lib):
        told = []

        class Told(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                told.append(ctx.needs_input_grad)
                return x + y

        x = leaf(lib)
        for mode in (lib.no_grad, lib.enable_grad, lib.inference_mode):
            with mode():
                Told.apply(x, 1)
        return told

    same(observed)


def test_grad_modes():
    def observed(lib):
        x, seen = leaf(lib), []

        def note():
            seen.append((lib.is_grad_enabled(), (x * 2).requires_grad))

        with lib.no_grad():
            note()
            with lib.enable_grad():
                note()
                with lib.set_grad_enabled(False):
                    note()
                note()
            note()
        note()
        with lib.set_grad_enabled(True):
            note()
        previous = lib.set_grad_enabled(False)
        note()
        lib.set_grad_enabled(True)
        del previous
        with lib.inference_mode():
            note()
            seen.append(lib.is_inference_mode_enabled())
        note()
        try:
            with lib.no_grad():
                raise KeyError
        except KeyError:
            note()
        return seen

    same(observed)


def test_grad_modes_as_decorators():
    def observed(lib):
        x = leaf(lib)

        @lib.no_grad()
        def without(a, b=1):
            """The documentation."""
            return (x * a * b).requires_grad, lib.is_grad_enabled()

        @lib.enable_grad()
        def having():
            return (x * 2).requires_grad

        @lib.inference_mode()
        def inferring():
            return (x * 2).requires_grad

        @lib.no_grad
        def bare():
            return (x * 2).requires_grad

        @lib.set_grad_enabled(False)
        def switched():
            return (x * 2).requires_grad

        @lib.no_grad()
        def generating():
            yield lib.is_grad_enabled()
            yield lib.is_grad_enabled()

        between = [(inside, lib.is_grad_enabled()) for inside in generating()]
        lib.set_grad_enabled(True)
        with lib.no_grad():
            inner = having(), without(3)
        return (
            without(2, b=3),
            without.__name__,
            without.__doc__,
            having(),
            inferring(),
            bare(),
            switched(),
            inner,
            between,
        )

    same(observed)


@pytest.mark.parametrize("name", ["no_grad", "inference_mode", "enable_grad"])
def test_a_generator_gets_what_is_sent_and_thrown_and_closes_in_its_own_mode(name):
    def observed(lib):
        seen = []

        @getattr(lib, name)()
        def answering():
            try:
                while True:
                    try:
                        seen.append(("got", (yield lib.is_grad_enabled()), lib.is_grad_enabled()))
                    except ValueError as error:
                        seen.append(("thrown", str(error), lib.is_grad_enabled()))
            finally:
                seen.append(("finally", lib.is_grad_enabled()))

        @getattr(lib, name)()
        def returning():
            yield 1
            return lib.is_grad_enabled()

        def outer():
            seen.append((yield from returning()))

        with lib.set_grad_enabled(name != "enable_grad"):
            generator = answering()
            seen.append(
                (next(generator), generator.send(5), generator.throw(ValueError("first")), lib.is_grad_enabled())
            )
            try:
                generator.throw(KeyError("last"))
            except KeyError as error:
                seen.append((str(error), lib.is_grad_enabled()))
            closed = answering()
            next(closed)
            closed.close()
            forgotten = answering()
            next(forgotten)
            del forgotten
            seen.append((list(outer()), lib.is_grad_enabled()))
        return seen

    same(observed)


def test_grad_mode_belongs_to_a_thread():
    def observed(lib):
        seen = []
        with lib.no_grad():
            thread = threading.Thread(target=lambda: seen.append(lib.is_grad_enabled()))
            thread.start()
            thread.join()
        return seen

    assert same(observed) == [True]


def test_in_place_under_no_grad():
    def observed(lib):
        x = leaf(lib)
        with lib.no_grad():
            x -= 0.5
            x[0] = 7
        x.data.mul_(2)
        return x.tolist(), x.requires_grad, x.is_leaf, x._version

    same(observed)


def test_view_made_under_no_grad_then_written():
    same_error(lambda lib: view_under_no_grad(lib).mul_(2))


def view_under_no_grad(lib):
    x = leaf(lib)
    with lib.no_grad():
        return x[1:]


def test_a_view_made_without_grad_asks_its_base():
    """PyTorch 2.13: such a view requires grad if its base does, has no grad_fn, and refuses both once its base was written."""

    def attempt(function):
        try:
            return function()
        except RuntimeError as error:
            return str(error)

    def observed(lib):
        x = lib.ones(2, 3, requires_grad=True)
        with lib.no_grad():
            view, plain = x.view(3, 2), lib.ones(2).view(2, 1)
        seen = [view.requires_grad, view.is_leaf, plain.requires_grad]
        with lib.no_grad():
            x.mul_(2)
            seen += [view.requires_grad, (view + 1).sum().item(), view.clone().requires_grad]
        return seen + [attempt(lambda: view.grad_fn), attempt(lambda: (view + 1).sum()), attempt(lambda: view.add_(1))]

    same(observed)


# --- inference mode -------------------------------------------------------------------------------------------------------


def modes(lib):
    return lib.is_grad_enabled(), lib.is_inference_mode_enabled()


def test_inference_mode_inside_of_other_modes():
    """`inference_mode(False)` is the normal mode, with gradients, wherever it stands."""

    def observed(lib):
        x, seen = leaf(lib), []
        with lib.inference_mode():
            seen.append(modes(lib))
            with lib.inference_mode(False):
                seen += [modes(lib), (x * 2).requires_grad]
            with lib.enable_grad():
                seen += [modes(lib), (x * 2).requires_grad]
                with lib.no_grad():
                    seen.append(modes(lib))
                seen.append(modes(lib))
            with lib.no_grad(), lib.inference_mode(False):
                seen.append(modes(lib))
            seen.append(modes(lib))
        with lib.no_grad():
            with lib.inference_mode(False):
                seen += [modes(lib), (x * 2).requires_grad]
            with lib.inference_mode(True):
                seen.append(modes(lib))
            seen.append(modes(lib))

        @lib.inference_mode(False)
        def normal():
            return modes(lib), (x * 2).requires_grad

        return seen, normal(), modes(lib)

    same(observed)


MADE_IN_INFERENCE_MODE = {
    "ones": lambda lib: lib.ones(2),
    "tensor": lambda lib: lib.tensor([1.0, 2.0]),
    "of integers": lambda lib: lib.tensor([1, 2]),
    "comparison": lambda lib: lib.ones(2) > 0,
    "result": lambda lib: leaf(lib) * 2,
    "view of a leaf": lambda lib: leaf(lib)[:2],
    "view": lambda lib: lib.ones(3)[:2],
    "detached": lambda lib: lib.ones(3).detach(),
    "data": lambda lib: lib.ones(3).data,
    "written": lambda lib: lib.ones(3).add_(1),
    "parameter": lambda lib: lib.nn.Parameter(lib.ones(2)),
    "with gradient": lambda lib: lib.ones(2, requires_grad=True),
    "normal mode inside": lambda lib: lib.inference_mode(False)(lambda: lib.ones(2))(),
}


@pytest.mark.parametrize("made", MADE_IN_INFERENCE_MODE)
def test_what_was_made_in_inference_mode(made):
    """It cannot be written outside, nor be kept for a backward pass; a clone can."""

    def attempt(function):
        try:
            result = function()
        except (RuntimeError, NotImplementedError) as error:
            return type(error).__name__, str(error)
        return result if isinstance(result, (bool, int)) else (result.tolist(), result.requires_grad, result.is_leaf)

    def observed(lib):
        with lib.inference_mode():
            t = MADE_IN_INFERENCE_MODE[made](lib)
        x = lib.ones(1, requires_grad=True)
        uses = [
            lambda: t.is_inference(), lambda: t[:1].is_inference(), lambda: t.detach().is_inference(),
            lambda: t.data.is_inference(), lambda: t.clone().is_inference(), lambda: (t + t).is_inference(),
            lambda: t._version, lambda: t + x, lambda: t * x, lambda: x * t, lambda: t.clone() * x,
            lambda: t.clone().zero_(), lambda: lib.zeros(t.shape).copy_(t.detach()), lambda: t.t_(),
            lambda: lib.no_grad()(lambda: t.fill_(1))(),  # PyTorch writes, and then refuses
        ]  # fmt: skip
        if made not in ("view of a leaf", "parameter", "with gradient"):
            uses = [lambda: t.requires_grad_(t.is_floating_point()), *uses, lambda: t.zero_(), lambda: t.fill_(1)]
        return [attempt(use) for use in uses]

    same(observed)


def test_writing_normal_tensors_in_inference_mode_is_counted():
    def observed(lib):
        x = leaf(lib)
        y = x * x
        with lib.inference_mode():
            x.add_(1)
            x[0] = 5
        return x.tolist(), x._version, x.is_inference(), x.requires_grad, y.grad_fn.name()

    same(observed)
    same_error(lambda lib: written_in_inference_mode(lib).sum().backward())


def written_in_inference_mode(lib):
    x = leaf(lib)
    y = x * x
    with lib.inference_mode():
        x.add_(1)
    return y


def test_another_thread_makes_normal_tensors_meanwhile():
    with minicnn.inference_mode():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(minicnn.ones(2).is_inference()))
        thread.start()
        thread.join()
        assert minicnn.ones(2).is_inference()
    assert seen == [False]
    assert not minicnn.ones(2).is_inference()


def test_numpy_without_gradients():
    """Under no_grad a tensor that requires grad gives its array, as in PyTorch."""

    def observed(lib):
        x = leaf(lib)
        with lib.no_grad():
            view = x[1:]
            arrays = [x.numpy(), view.numpy(), (x * 2).numpy(), np.asarray(x)]
        return [array.tolist() for array in arrays]

    same(observed)
    for make in (lambda lib: leaf(lib), lambda lib: leaf(lib) * 2, view_under_no_grad):
        same_error(lambda lib, make=make: make(lib).numpy())
        same_error(lambda lib, make=make: np.asarray(make(lib)))
