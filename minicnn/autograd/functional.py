"""Products with Jacobians and Hessians, and these matrices themselves, of a function of tensors.

All come from backward passes. A row of the Jacobian is one pass. A product with a Jacobian from the right takes two: the first
one's result, `J^T u`, is linear in u, and its gradient by u in the direction v is `J v`, whatever u is.

`func` takes tensors and returns a tensor, or a tuple of them. The inputs are a tensor, or a tuple; results have their form. With
`create_graph` results can be differentiated in turn. What does not depend on an input has a derivative of zeros, or with `strict`
raises RuntimeError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minicnn._tensor import Tensor
from minicnn.autograd.both import stack, zeros_like
from minicnn.autograd.engine import grad
from minicnn.autograd.grad_mode import enable_grad, is_grad_enabled, set_grad_enabled

__all__ = ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"]

Tensors = tuple[Tensor, ...]
Given = Tensor | Tensors
_STRICT = "This is not allowed in strict mode."


def vjp(
    func: Callable[..., Any], inputs: Given, v: Given | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, v^T J): the gradients of the inputs when those of the outputs are `v`.

    Args:
        v: of the outputs' shapes; may be left out for one output of one element, and is 1 then.
    """
    with enable_grad():
        of_inputs, inputs = _as_tuple(inputs, "inputs", "vjp")
        inputs = _prepared(inputs, create_graph, True)
        of_outputs, outputs = _called(func, inputs, "vjp", strict)
        if v is None and (len(outputs) != 1 or outputs[0].numel() != 1):
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
            )
        directions = None if v is None else _directions(v, outputs, of_outputs, "vjp", create_graph)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(outputs, inputs, directions, create_graph)
        result = _zeros_for_none(found, inputs, strict, create_graph, "output", "jacobian")
    return _returned(outputs, of_outputs, create_graph), _returned(result, of_inputs, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Given, v: Given | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, J v): how the outputs move when the inputs move along `v`. Two backward passes.

    Args:
        v: of the inputs' shapes; may be left out for one input of one element, and is 1 then.
    """
    with enable_grad():
        of_inputs, inputs = _as_tuple(inputs, "inputs", "jvp")
        inputs = _prepared(inputs, create_graph, True)
        directions = _along_inputs(v, inputs, of_inputs, "jvp", create_graph)
        of_outputs, outputs = _called(func, inputs, "jvp", strict)
        anything = tuple(zeros_like(output).requires_grad_() for output in outputs)  # what comes out is linear in it
        to_inputs = _gradients(outputs, inputs, anything, True)
        _must_depend(to_inputs, "gradient", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(to_inputs, anything, directions, create_graph)
        result = _zeros_for_none(found, outputs, strict, create_graph, "gradient", "jacobian")
    return _returned(outputs, of_outputs, create_graph), _returned(result, of_outputs, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Given,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivative of each output element by each input element: a tensor of shape (*output.shape, *input.shape).

    A tuple over the outputs and a tuple over the inputs, where these are tuples.

    Args:
        vectorize: in PyTorch all rows in one batched pass. Here it is one pass a row in any case, with the same result.
        strategy: 'reverse-mode'; or 'forward-mode', which PyTorch has with `vectorize` only: the same matrix.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            f"strategy must be 'forward-mode' or 'reverse-mode', not {strategy!r}; with more outputs than inputs the first is "
            "the faster one"
        )
    if strategy == "forward-mode" and (create_graph or not vectorize):
        reason = "create_graph=True is not supported with it" if create_graph else "it needs vectorize=True"
        raise NotImplementedError(f"jacobian with strategy='forward-mode': {reason}; use strategy='reverse-mode'")
    if vectorize and strict:
        raise RuntimeError(
            "jacobian: strict=True and vectorize=True are not supported together; set one of them to False"
        )
    with enable_grad():
        of_inputs, inputs = _as_tuple(inputs, "inputs", "jacobian")
        inputs = _prepared(inputs, create_graph, True)
        of_outputs, outputs = _called(func, inputs, "jacobian", strict)
        rows = tuple(_rows(output, i, inputs, create_graph, strict) for i, output in enumerate(outputs))
        for_outputs = tuple(_returned(row, of_inputs, create_graph) for row in rows)
        return for_outputs if of_outputs else for_outputs[0]


def _rows(output: Tensor, number: int, inputs: Tensors, create_graph: bool, strict: bool) -> Tensors:
    """The Jacobian of one output, a tensor for each input: the gradients of one element after the other."""
    collected: list[list[Tensor]] = [[] for _ in inputs]
    for element in output.reshape(-1).unbind():
        found = _gradients((element,), inputs, None, create_graph, retain_graph=True)
        for i, (gradient, x) in enumerate(zip(found, inputs, strict=True)):
            if strict and gradient is None:
                raise RuntimeError(
                    f"Output {number} of the user-provided function is independent of input {i}. {_STRICT}"
                )
            if strict and create_graph and gradient is not None and not gradient.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {number}. "
                    "This is not allowed in strict mode when create_graph=True."
                )
            collected[i].append(zeros_like(x) if gradient is None else gradient)
    return tuple(
        stack(gradients, 0).view((*output.shape, *x.shape)) if gradients else x.new_zeros((*output.shape, *x.shape))
        for gradients, x in zip(collected, inputs, strict=True)
    )


def hessian(
    func: Callable[..., Tensor],
    inputs: Given,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of one number by each pair of input elements: (*input.shape, *input.shape).

    For a tuple of inputs a tuple of tuples: [i][j] by the elements of input i and of input j. The other arguments are those of
    `jacobian`.
    """
    of_inputs, inputs = _as_tuple(inputs, "inputs", "hessian")

    def gradients(*inputs: Tensor) -> Tensors:
        inputs = tuple(x if x.requires_grad else x.requires_grad_() for x in inputs)
        found = jacobian(
            lambda *args: _one_number(func, args, "hessian", strict).reshape(()), inputs, create_graph=True
        )
        _must_depend(found, "jacobian", strict)
        return found

    rows = jacobian(gradients, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return rows if of_inputs else rows[0][0]


def vhp(
    func: Callable[..., Tensor], inputs: Given, v: Given | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, v^T H), H the Hessian of one number: the gradient of the gradient's product with `v`.

    Args:
        v: of the inputs' shapes; may be left out for one input of one element, and is 1 then.
    """
    with enable_grad():
        of_inputs, inputs = _as_tuple(inputs, "inputs", "vhp")
        inputs = _prepared(inputs, create_graph, True)
        directions = _along_inputs(v, inputs, of_inputs, "vhp", create_graph)
        output = _one_number(func, inputs, "vhp", strict)
        first = _gradients((output,), inputs, None, True)
        _must_depend(first, "jacobian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(first, inputs, directions, create_graph)
        result = _zeros_for_none(found, inputs, strict, create_graph, "jacobian", "hessian")
    return _returned((output,), False, create_graph), _returned(result, of_inputs, create_graph)


def hvp(
    func: Callable[..., Tensor], inputs: Given, v: Given | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, H v), H the Hessian of one number. Where H is symmetric, as mostly, `vhp` says the same in a pass less.

    Args:
        v: of the inputs' shapes; may be left out for one input of one element, and is 1 then.
    """
    with enable_grad():
        of_inputs, inputs = _as_tuple(inputs, "inputs", "hvp")
        inputs = _prepared(inputs, create_graph, True)
        directions = _along_inputs(v, inputs, of_inputs, "hvp", create_graph)
        output = _one_number(func, inputs, "hvp", strict)
        first = _gradients((output,), inputs, None, True)
        _must_depend(first, "jacobian", strict)
        anything = tuple(zeros_like(x).requires_grad_() for x in inputs)
        second = _gradients(first, inputs, anything, True)
        _must_depend(first, "hessian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _gradients(second, anything, directions, create_graph)
        result = _zeros_for_none(found, inputs, strict, create_graph, "hessian", "hessian")
    return _returned((output,), False, create_graph), _returned(result, of_inputs, create_graph)


# --- what they share ----------------------------------------------------------------------------------------------------


def _as_tuple(value: Any, what: str, function: str) -> tuple[bool, Tensors]:
    """(whether it was a tuple, the tuple). TypeError for anything but tensors."""
    was_tuple = isinstance(value, tuple)
    values = value if was_tuple else (value,)
    for i, element in enumerate(values):
        if not isinstance(element, Tensor):
            found = f"value at index {i} has type" if was_tuple else f"given {what} has type"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but the {found} {type(element)}."
            )
    return was_tuple, values


def _prepared(tensors: Tensors, create_graph: bool, need_graph: bool) -> Tensors:
    """Tensors of our own in their place, so that what `func` knows from elsewhere is not taken for an argument."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_(need_graph) for x in tensors
    )


def _called(func: Callable[..., Any], inputs: Tensors, function: str, strict: bool) -> tuple[bool, Tensors]:
    was_tuple, outputs = _as_tuple(func(*inputs), "outputs of the user-provided function", function)
    for i, output in enumerate(outputs if strict else ()):
        if not output.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )
    return was_tuple, outputs


def _one_number(func: Callable[..., Any], inputs: Tensors, function: str, strict: bool) -> Tensor:
    was_tuple, outputs = _called(func, inputs, function, strict)
    if was_tuple:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {function} should contain a single element")
    return outputs[0]


def _along_inputs(v: Any, inputs: Tensors, of_inputs: bool, function: str, create_graph: bool) -> Tensors | None:
    if v is not None:
        return _directions(v, inputs, of_inputs, function, create_graph)
    if len(inputs) != 1 or inputs[0].numel() != 1:
        raise RuntimeError(
            "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
        )
    return None


def _directions(v: Any, like: Tensors, was_tuple: bool, function: str, create_graph: bool) -> Tensors:
    """`v` as a tuple. RuntimeError unless it has the number and the shapes of `like`."""
    _, given = _as_tuple(v, "v", function)
    given = _prepared(given, create_graph, False)
    if len(given) != len(like):
        if not was_tuple:
            raise RuntimeError("The given v should contain a single Tensor.")
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(given)}.")
    for i, (one, other) in enumerate(zip(given, like, strict=True)):
        if one.shape != other.shape:
            which = f"Entry {i} in " if was_tuple else ""
            raise RuntimeError(f"{which}v has invalid size: should be {other.shape} but got {one.shape}.")
    return given


def _gradients(
    outputs: Sequence[Tensor | None],
    inputs: Tensors,
    directions: Tensors | None,
    create_graph: bool,
    retain_graph: bool | None = None,
) -> Sequence[Tensor | None]:
    """`autograd.grad`, where outputs may be None or without a graph, and inputs without any part in them."""
    pairs = zip(outputs, directions or (None,) * len(outputs), strict=True)
    chosen = [(y, v) for y, v in pairs if y is not None and y.requires_grad]
    if not chosen:
        return (None,) * len(inputs)
    of, along = zip(*chosen, strict=True)
    found = grad(of, inputs, along, retain_graph, create_graph, allow_unused=True)
    assert isinstance(found, tuple)  # it is a dict for a dict of inputs only
    return found


def _must_depend(gradients: Sequence[Tensor | None], what: str, strict: bool) -> None:
    """With `strict` RuntimeError for a gradient that is None, or that has no graph."""
    for i, gradient in enumerate(gradients if strict else ()):
        if gradient is None:
            raise RuntimeError(f"The output of the user-provided function is independent of input {i}. {_STRICT}")
        if gradient.requires_grad:
            continue
        if what == "gradient":
            raise RuntimeError(
                f"The gradient with respect to input {i} is independent of the inputs of the user-provided function. {_STRICT}"
            )
        if what == "jacobian":
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided function with respect to input "
                f"{i} is independent of the input. {_STRICT} You should ensure that your function is twice differentiable and "
                "that the jacobian depends on the inputs (this would be violated by a linear function for example)."
            )
        raise RuntimeError(
            f"The hessian of the user-provided function with respect to input {i} is independent of the input. {_STRICT} You "
            "should ensure that your function is thrice differentiable and that the hessian depends on the inputs."
        )


_INDEPENDENT = {
    "output": "The output of the user-provided function is independent of input {i}.",
    "gradient": "The gradient with respect to the input is independent of entry {i} in the grad_outputs when using the double "
    "backward trick to compute forward mode gradients.",
    "jacobian": "The jacobian of the user-provided function is independent of input {i}.",
    "hessian": "The hessian of the user-provided function is independent of entry {i} in the grad_jacobian.",
}


def _zeros_for_none(
    gradients: Sequence[Tensor | None], like: Tensors, strict: bool, create_graph: bool, of: str, result: str
) -> Tensors:
    """Zeros for each None; with `strict` RuntimeError, `of` being what does not depend on the input."""
    filled = []
    for i, (gradient, x) in enumerate(zip(gradients, like, strict=True)):
        if strict and gradient is None:
            raise RuntimeError(f"{_INDEPENDENT[of].format(i=i)} {_STRICT}")
        if strict and create_graph and gradient is not None and not gradient.requires_grad:
            raise RuntimeError(
                f"The {result} of the user-provided function is independent of input {i}. This is not allowed in strict mode "
                "when create_graph=True."
            )
        filled.append(zeros_like(x) if gradient is None else gradient)
    return tuple(filled)


def _returned(tensors: Tensors, as_tuple: bool, create_graph: bool) -> Any:
    """In the form of what was given, without a graph unless one is wanted."""
    result = tensors if create_graph else tuple(tensor.detach() for tensor in tensors)
    return result if as_tuple else result[0]
