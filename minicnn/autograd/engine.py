"""The backward pass: visits the nodes, from the roots to the leaves, and adds up what meets.

Iterative, in the calling thread. A node is ready when all nodes that feed it have run; of the ready ones the one that
was created last runs first, and leaves run at once. Each node: tensor hooks, `retain_grad`, node pre-hooks, the node
itself, node post-hooks.
"""

from __future__ import annotations

import contextvars
import itertools
import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from minicnn import _tensor
from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn._types import Size, dtype
from minicnn._warnings import warn_deprecated, warn_once
from minicnn.autograd import both, creation, grad_mode
from minicnn.autograd.node import AccumulateGrad, GradientEdge, Node, checked, saved_hooks, shared, type_name

# `.grad` then holds the graph, which holds the leaf.
_A_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter and its gradient which can "
    "cause a memory leak. We recommend using autograd.grad when creating the graph to avoid this. If you have to use this "
    "function, make sure to reset the .grad fields of your parameters to None after use to break the cycle and avoid the leak."
)

__all__ = ["backward", "grad", "current_task"]

Grads = list  # of Tensor | None, one for each output of a node
Edges = list[tuple[Any, int]]  # (node, number of its input)
Start = tuple[Any, int, Any]  # the same of a root, with the gradient that it starts with
Roots = Tensor | GradientEdge | Sequence[Tensor | GradientEdge]  # what gradients are taken of
Inputs = Roots | dict[str, Tensor]  # what gradients are asked for


class _Running(threading.local):
    """The backward passes that are running in this thread, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Task] = []


_running = _Running()
_task_ids = itertools.count()
# One inside the other, before the next gets a thread of its own: each takes some 10 Python frames.
PASSES_IN_A_THREAD = 20


def current_task() -> Task | None:
    """The backward pass that is running in this thread, the innermost of several; None if there is none."""
    return _running.stack[-1] if _running.stack else None


def current_task_id() -> int | None:
    """The number of the backward pass that is running in this thread; None if there is none."""
    return _running.stack[-1].id if _running.stack else None


def is_selective() -> bool:
    """Whether a backward pass that is running in this thread goes to some inputs only."""
    return any(task.selective for task in _running.stack)


def backward(
    tensors: Roots,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Inputs | None = None,
) -> None:
    """Add the gradients of `tensors` (weighted with `grad_tensors`; 1 for a scalar) to the leaves' `.grad`.

    An edge of the graph can stand for a tensor, and `grad_variables` is an old name of `grad_tensors`. Only to the leaves
    of `inputs`, if given. The graph is freed unless `retain_graph`. With `create_graph` the pass is recorded, so that the
    gradients can be differentiated in their turn, and the graph is retained unless `retain_graph=False`. RuntimeError for a
    non-scalar without a gradient, for a tensor that does not require grad, and for a second pass through a freed graph.
    """
    if grad_variables is not None:
        warn_deprecated("`grad_variables` is deprecated. Use `grad_tensors` instead.")
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        grad_tensors = grad_variables
    tensors = (tensors,) if isinstance(tensors, (Tensor, GradientEdge)) else tuple(tensors)
    if inputs is not None:
        inputs = _inputs(inputs, "backward")
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    starts = _starts(tensors, grad_tensors)
    edges = None if inputs is None else _retained_edges(inputs)
    try:
        Task(retain_graph, create_graph).execute(starts, edges, capture=False)
    finally:
        if create_graph:
            warn_once(_A_CYCLE)


def grad(
    outputs: Roots,
    inputs: Inputs,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...] | dict[str, Tensor | None]:
    """The gradients of `outputs` with respect to `inputs`, of their shapes; no `.grad` of a leaf is touched.

    With `create_graph` they can be differentiated in their turn; `retain_graph` is then True unless it is given. With a
    dict of inputs, such as `dict(model.named_parameters())`, a dict with the same keys.

    RuntimeError for an input that does not require grad, or that is not part of the graph (None with
    `allow_unused=True`, zeros with `materialize_grads=True`).
    """
    outputs = (outputs,) if isinstance(outputs, (Tensor, GradientEdge)) else tuple(outputs)
    keys = tuple(inputs) if isinstance(inputs, dict) else None
    inputs = _inputs(inputs, "grad")
    if not inputs:
        if not since(2, 13):
            raise ValueError("grad requires non-empty inputs.")
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if is_grads_batched:
        raise NotImplementedError("minicnn has no vmap: compute the gradients one after the other")
    if allow_unused is None:
        allow_unused = materialize_grads
    elif not allow_unused and materialize_grads:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    if not only_inputs:
        warn_deprecated(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other parts "
            "of the graph, please use torch.autograd.backward."
        )
    starts = _starts(outputs, grad_outputs)
    edges = _edges(inputs)
    if any(isinstance(tensor, Tensor) and not tensor.requires_grad for tensor in inputs):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    found = Task(retain_graph, create_graph).execute(starts, edges, capture=True)
    for i, value in enumerate(found):
        if value is None and not allow_unused:
            which = f"The differentiated Tensor at index {i}" if since(2, 13) else "One of the differentiated Tensors"
            raise RuntimeError(
                f"{which} appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior."
            )
        if value is None and materialize_grads:
            if not isinstance(inputs[i], Tensor):
                raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
            found[i] = Tensor.wrap(np.zeros_like(inputs[i].array))
    return tuple(found) if keys is None else dict(zip(keys, found, strict=True))


def _inputs(inputs: Inputs, function: str) -> tuple:
    """The tensors and edges that are asked for, in a tuple."""
    if isinstance(inputs, (Tensor, GradientEdge)):
        return (inputs,)
    if isinstance(inputs, Mapping) and type(inputs) is not dict:
        raise TypeError(
            f"`inputs` argument to `{function}()` must be a dict, not {type(inputs).__name__}. Other Mapping types are not "
            "supported."
        )
    return tuple(inputs.values()) if isinstance(inputs, dict) else tuple(inputs)


def _edges(inputs: tuple) -> Edges:
    """Where the gradient of each enters the graph."""
    return [value.gradient_edge() if isinstance(value, Tensor) else _checked_edge(value) for value in inputs]


def _retained_edges(inputs: tuple) -> Edges:
    """`_edges` of tensors that shall keep their gradients, leaves or not."""
    edges = _edges(inputs)
    for tensor in inputs:
        if isinstance(tensor, Tensor):
            tensor.retain_grad()
    return edges


def _checked_edge(edge: Any) -> tuple[Node, int]:
    """Node and input number. RuntimeError unless it is an edge, of a node, and that has the input."""
    if not isinstance(edge, GradientEdge):
        raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(edge).__name__}")
    if not isinstance(edge.node, Node):
        raise RuntimeError(
            f"GradientEdge's first object must be an autograd.graph.Node but got {type(edge.node).__name__}"
        )
    if not 0 <= edge.output_nr < len(edge.node.input_metadata):
        raise RuntimeError(
            f"GradientEdge: {edge.node.name()} has {len(edge.node.input_metadata)} outputs, and none with the number "
            f"{edge.output_nr}"
        )
    return edge.node, edge.output_nr


def _starts(roots: tuple[Tensor | GradientEdge, ...], grads: Any) -> list[Start]:
    """Where the pass enters the graph, and with which gradients."""
    grads = (None,) * len(roots) if grads is None else (grads,) if isinstance(grads, Tensor) else tuple(grads)
    edges = _edges(roots)
    seeds = [_seed(i, root, grad) for i, (root, grad) in enumerate(zip(roots, grads, strict=False))]
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    if (None, 0) in edges:
        which = f"element {edges.index((None, 0))} of tensors"
        raise RuntimeError(f"{which} does not require grad and does not have a grad_fn")
    return [(*edge, seed) for edge, seed in zip(edges, seeds, strict=True)]


def _seed(i: int, root: Tensor | GradientEdge, grad: Any) -> Tensor | None:
    """The gradient that root number i starts with: the given one, else 1; None for a tensor that requires none."""
    if isinstance(root, Tensor):
        shape, kind = root.array.shape, root.array.dtype
    else:
        shape, kind = root.node.input_metadata[root.output_nr]
    if grad is not None:
        return _given_seed(i, grad, shape, kind)
    if isinstance(root, Tensor) and not root.requires_grad:
        return None
    if math.prod(shape) != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if kind.kind == "c":
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype.of(kind)}")
    return Tensor.wrap(np.ones(shape, kind))


def _given_seed(i: int, grad: Any, shape: tuple[int, ...], kind: np.dtype) -> Tensor:
    """The gradient that was given for a root of this shape and type. RuntimeError unless it fits."""
    if not isinstance(grad, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(grad).__name__}")
    if grad.array.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {grad.shape} and output[{i}] has a shape of {Size(shape)}."
        )
    if (grad.array.dtype.kind == "c") != (kind.kind == "c"):
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in "
            f"dtype: grad_output[{i}] has a dtype of {grad.dtype} and output[{i}] has a dtype of {dtype.of(kind)}."
        )
    return grad


class Task:
    """One backward pass: recorded, if it is to create a graph."""

    node: Node | None = None  # whose turn it is
    # Of a pass to some inputs only, see `_select`:
    selective = False
    only_root: Node | None = None  # the only one: as in PyTorch its tensor's hooks run in any case
    needed: Set[Node] = frozenset()  # nodes that have to run
    captures: Mapping[Node, list[tuple[int, int]]] = {}  # node -> (its input number, index of the result)
    captured: Any = ()  # the results, a list

    def __init__(self, keep_graph: bool | None, create_graph: bool = False) -> None:
        self.id = next(_task_ids)
        self.create_graph = create_graph
        self.keep_graph = create_graph if keep_graph is None else keep_graph
        self.dependencies: dict[Node, int] = {}  # of each node to be reached: the edges into it that have not delivered
        self.waiting: dict[Node, Grads] = {}  # what has arrived at nodes that are not ready
        self.ready = _ReadyQueue()

    def will_execute(self, node: Node) -> bool:
        """Whether the gradients of this node's tensors will be known in this pass.

        RuntimeError for a leaf that `autograd.grad` asks for: PyTorch cannot tell there either.
        """
        if not self.selective or node not in self.dependencies:
            return node in self.dependencies
        if node in self.captures and isinstance(node, AccumulateGrad):
            raise RuntimeError(
                "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). "
                "This is currently not supported."
            )
        return node in self.needed or node in self.captures

    def execute(self, starts: list[Start], edges: Edges | None, capture: bool) -> Any:
        """The whole pass: find the nodes, start with the roots' gradients, run what becomes ready. Returns those of `edges`,
        if they are to be captured."""
        self._discover([node for node, _, _ in starts])
        if edges is not None:
            self._select(starts, edges, capture)
        _running.stack.append(self)
        previous, grad_mode.mode.enabled = grad_mode.mode.enabled, self.create_graph
        try:
            for i, (node, nr, seed) in enumerate(starts):
                self._deliver(node, nr, seed, i)
            if len(_running.stack) % PASSES_IN_A_THREAD:
                self._walk()
            else:
                _in_new_thread(self._walk)
        finally:
            grad_mode.mode.enabled = previous
            _running.stack.pop()
        return self.captured

    def _walk(self) -> None:
        """Run the nodes, each as soon as it is ready, until none is left."""
        while self.ready:
            self._evaluate(*self.ready.take())

    def _discover(self, arrived: list[Node]) -> None:
        """Count the edges into each node that can be reached, and one from outside into each root."""
        while arrived:
            node = arrived.pop()
            self.dependencies[node] = self.dependencies.get(node, 0) + 1
            if self.dependencies[node] == 1:  # met for the first time
                arrived += [successor for successor, _ in node.next_functions if successor is not None]

    def _select(self, starts: list[Start], edges: Edges, capture: bool) -> None:
        """Mark the nodes that lie on a way to one of the edges: only they run."""
        self.selective, self.only_root = True, starts[0][0] if len(starts) == 1 else None
        captures: dict[Node, list[tuple[int, int]]] = {}
        if capture:
            self.captured = [None] * len(edges)
            for index, (node, nr) in enumerate(edges):
                captures.setdefault(node, []).append((nr, index))
        needed = set() if capture else {node for node, _ in edges}
        consumers: dict[Node, list[Node]] = {}
        for node in self.dependencies:
            for successor, _ in node.next_functions:
                if successor is not None:
                    consumers.setdefault(successor, []).append(node)
        reached = [node for node, _ in edges]
        while reached:
            for node in consumers.pop(reached.pop(), ()):
                needed.add(node)
                reached.append(node)
        self.needed, self.captures = needed, captures

    def _deliver(self, node: Node, nr: int, value: Tensor | None, i: int, by: Node | None = None) -> None:
        """A gradient arrives at input `nr` of the node; the last one makes it ready. `i` and `by`: see `_fitting`."""
        if value is not None:
            value = _fitting(value, node, nr, i, by)
        self.dependencies[node] -= 1
        if self.selective and node not in self.needed and node not in self.captures and node is not self.only_root:
            return
        grads = self.waiting.setdefault(node, [None] * len(node.input_metadata))
        if value is not None:
            grads[nr] = value if grads[nr] is None else _sum(grads[nr], value)
        if self.dependencies[node] == 0:
            self.ready.put(node, self.waiting.pop(node))

    def _evaluate(self, node: Node, grads: Grads) -> None:
        """One node's turn: run it, pass its gradients on."""
        self.node = node
        if self.selective and not self._capture(node, grads):
            return
        results = self._call(node, grads)
        if not self.keep_graph:
            node.release_saved()
        for i, ((successor, nr), value) in enumerate(zip(node.next_functions, results, strict=False)):
            if successor is not None:
                self._deliver(successor, nr, value, i, node)

    def _capture(self, node: Node, grads: Grads) -> bool:
        """Keep what was asked for of this node's gradients, and say whether it has to run.

        PyTorch's rule: they are taken after the tensor's hooks if the node need not run, before them if it must.
        """
        must_run = node in self.needed
        if not must_run:
            grads = _tensor_hooks(node, grads)
        for nr, index in self.captures.get(node, ()):
            self.captured[index] = grads[nr]
        return must_run

    def _call(self, node: Node, grads: Grads) -> tuple[Tensor | None, ...]:
        """The node with the hooks around it: tensor hooks and pre-hooks, the node, post-hooks."""
        if node.tensor_hooks() or node._retains_grad:
            grads = _tensor_hooks(node, grads)
        if node._pre_hooks:
            grads = _node_pre_hooks(node, grads)
        arrived = tuple(grads) if node._post_hooks else ()
        if self.selective:
            wanted = [n in self.needed or n in self.captures for n, _ in node.next_functions]
            results = node.run_for(grads, wanted)
        else:
            results = node.run(grads)
        if node._post_hooks:
            results = _node_post_hooks(node, _validated(node, results), arrived)
        return results


def _in_new_thread(function: Callable[[], None]) -> None:
    """Call it in a thread that has this one's state, and wait: a new thread has the whole depth of Python's stack."""
    state = [(local, dict(local.__dict__)) for local in (_running, grad_mode.mode, saved_hooks, creation.watchers)]
    errors: list[BaseException] = []

    def run() -> None:
        for local, values in state:
            local.__dict__.update(values)
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


# --- hooks --------------------------------------------------------------------------------------------------------------


def _tensor_hooks(node: Node, grads: Grads) -> Grads:
    """Show the gradients to the tensors' hooks, which may change them, and keep those that `retain_grad` asks for."""
    for hooks, nr in node.tensor_hooks():
        for hook in tuple(hooks.values()):
            result = hook(grads[nr])
            if result is not None and result is not grads[nr]:
                grads[nr] = checked(hook, result, grads[nr])
    if node._retains_grad:
        for nr, reference in tuple(node._retains_grad.items()):
            tensor = reference()
            if tensor is None or grads[nr] is None:
                continue
            with shared:
                held, new = tensor._grad, grads[nr]
                if held is not None:
                    tensor._grad = _sum(held, new)
                else:
                    tensor._grad = new.clone() if grad_mode.mode.enabled else Tensor.wrap(new.array.copy())
    return grads


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Their sum, recorded if the pass is."""
    with np.errstate(all="ignore"):
        return a + b if grad_mode.mode.enabled else Tensor.wrap(a.array + b.array)


def _node_pre_hooks(node: Node, grads: Grads) -> Grads:
    for hook in tuple((node._pre_hooks or {}).values()):
        result = hook(tuple(grads))
        if result is not None:
            grads = _replacement(hook, result, tuple(grads))
    return list(grads)


def _node_post_hooks(node: Node, results: tuple, arrived: tuple) -> tuple:
    for hook in tuple((node._post_hooks or {}).values()):
        result = hook(results, arrived)
        if result is not None:
            results = tuple(_replacement(hook, result, results))
    return results


def _replacement(hook: Any, result: Any, original: tuple) -> list:
    """What a node hook returned, checked against what it was given."""
    name = getattr(hook, "__name__", "<unknown>")
    if not isinstance(result, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type_name(result)}'")
    if len(result) != len(original):
        raise RuntimeError(
            f"hook '{name}' has returned an incorrect number of values (got {len(result)}, but expected {len(original)})"
        )
    return [
        new if new is None or new is old else checked(hook, new, old) for new, old in zip(result, original, strict=True)
    ]


def _validated(node: Node, results: tuple) -> tuple:
    """Each gradient in the shape and type of the tensor that it belongs to."""
    arrivals = enumerate(zip(node.next_functions, results, strict=False))
    return tuple([v if v is None or n is None else _fitting(v, n, nr, i, node) for i, ((n, nr), v) in arrivals])


def _fitting(value: Any, node: Node, nr: int, i: int, by: Node | None = None) -> Tensor:
    """The gradient in the shape and type of this input of the node: summed where the tensor was broadcast. It is number i of
    those that were given to `backward`, or that the node `by` returned."""
    shape, kind = node.input_metadata[nr]
    if node.output_grad_dtypes is not None:
        asked = node.output_grad_dtypes[nr]
        kind = value.array.dtype if asked is None else asked.numpy
    if (value.array.shape, value.array.dtype) == (shape, kind):
        return value
    given = value if grad_mode.mode.enabled else value.array
    try:
        with np.errstate(all="ignore"):
            fitted = both.sum_to(given if kind.kind == "c" else both.real(given), shape)
            fitted = fitted.to(dtype.of(kind)) if grad_mode.mode.enabled else fitted.astype(kind, copy=False)
    except ValueError:
        whence = "backward was given" if by is None else f"Function {by.name()} returned"
        raise RuntimeError(
            f"{whence} an invalid gradient at index {i} - got {list(value.array.shape)} but expected shape compatible with "
            f"{list(shape)}"
        ) from None
    return value if fitted is given else fitted if isinstance(fitted, Tensor) else Tensor.wrap(fitted)


# --- the queue ----------------------------------------------------------------------------------------------------------


class _ReadyQueue(list):
    """A binary heap of (key, node, its gradients), the node created last on top and leaves above all.

    Leaves are equal among themselves. Which of them comes first is then up to the heap; this one moves its elements as
    `std::push_heap` and `std::pop_heap` of libstdc++ do, so that event logs can be compared with PyTorch's.
    """

    def put(self, node: Node, grads: Grads) -> None:
        """Let the node wait for its turn."""
        self.append((float("inf") if isinstance(node, AccumulateGrad) else node._order, node, grads))
        if len(self) > 1:
            self._rise(len(self) - 1)

    def take(self) -> tuple[Node, Grads]:
        """The node whose turn it is."""
        top, last = self[0], self.pop()
        if self:
            hole, n = 0, len(self)
            while 2 * hole + 2 < n:  # the hole sinks to the bottom along the larger children; of equals, the right one
                child = 2 * hole + 2
                if self[child][0] < self[child - 1][0]:
                    child -= 1
                self[hole] = self[child]
                hole = child
            if 2 * hole + 2 == n:
                self[hole] = self[n - 1]
                hole = n - 1
            self[hole] = last
            self._rise(hole)
        return top[1], top[2]

    def _rise(self, hole: int) -> None:
        """Move what stands at `hole` up until nothing smaller is above it."""
        item = self[hole]
        while hole > 0 and self[(hole - 1) // 2][0] < item[0]:
            self[hole] = self[(hole - 1) // 2]
            hole = (hole - 1) // 2
        self[hole] = item


_tensor.engine = sys.modules[__name__]  # for `Tensor.backward`
