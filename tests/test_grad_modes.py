"""Grad modes against torch: what is recorded inside `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`."""

from __future__ import annotations

import threading

import pytest
from compare import same, same_error


def leaf(lib, values=(1.0, 2.0, 3.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


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
