"""L-BFGS: steps along the gradient as the curvature bends it, which is learned from the last steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn.autograd.grad_mode import enable_grad, no_grad
from minicnn.ops.copying import cat
from minicnn.ops.creation import zeros_like
from minicnn.ops.fourier import view_as_real
from minicnn.optim.optimizer import Optimizer, checked

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """One step is up to `max_iter` moves, each of which asks the closure at least once.

    Args:
        params: the parameters, all in one group.
        lr: how far a move goes along its direction; with a line search, where that begins.
        max_iter: moves in a step, at most.
        max_eval: calls of the closure in a step, at most; 1.25 `max_iter` if not given.
        tolerance_grad: stop when no number of the gradient is larger.
        tolerance_change: stop when neither parameters nor loss change by more.
        history_size: how many of the last moves tell the curvature.
        line_search_fn: 'strong_wolfe', or None: each move has the length that `lr` says.
        maximize: go up.

    Raises:
        ValueError: a learning rate below 0, or several groups.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        settings = checked(locals())
        settings["max_eval"] = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, settings)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Move the parameters. `closure` computes the loss anew, with its gradients, and returns it; so does this: the first."""
        group = self.param_groups[0]
        params = group["params"]
        with no_grad():
            return _Step(params, group, self.state[params[0]], enable_grad()(closure)).run() if params else closure()


class _Step:
    """One call of `step`. What outlives it is in the state of the first parameter."""

    def __init__(self, params: list[Tensor], group: dict[str, Any], state: dict[str, Any], closure: Callable) -> None:
        self.params, self.group, self.state, self.closure = params, group, state, closure
        self.sign = -1 if group.get("maximize") else 1
        self.evaluations = 0

    def run(self) -> Any:
        """Move until the gradient, the change or the number of moves says that it is enough; the loss before."""
        state, group = self.state, self.group
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = self.closure()
        self._count(1)
        loss, grad = self.sign * float(first), self._flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first
        for moves in range(1, group["max_iter"] + 1):
            direction = self._direction(grad)
            state["d"] = direction
            state["prev_flat_grad"], state["prev_loss"] = grad.clone(), loss
            slope = grad.dot(direction)
            lr = group["lr"].item() if isinstance(group["lr"], Tensor) else group["lr"]
            shortened: Any = min(1.0, 1.0 / grad.abs().sum()) if state["n_iter"] == 1 else 1
            state["t"] = shortened * lr
            if slope > -group["tolerance_change"]:
                break
            loss, grad = self._move(_Point(0, loss, grad, slope), last=moves == group["max_iter"])
            if moves == group["max_iter"] or self.evaluations >= group["max_eval"]:
                break
            change = direction.mul(state["t"]).abs().max()
            if (
                grad.abs().max() <= group["tolerance_grad"]
                or change <= group["tolerance_change"]
                or abs(loss - state["prev_loss"]) < group["tolerance_change"]
            ):
                break
        return first

    def _direction(self, grad: Tensor) -> Tensor:
        """Against the gradient, times what the last moves say of the inverse of the Hessian."""
        state = self.state
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"], state["H_diag"] = [], [], [], 1
            return grad.neg()
        changes, steps, weights = state["old_dirs"], state["old_stps"], state["ro"]
        change, step = grad - state["prev_flat_grad"], state["d"].mul(state["t"])
        curvature = change.dot(step)
        if curvature > 1e-10:
            if len(changes) == self.group["history_size"]:
                for remembered in (changes, steps, weights):
                    remembered.pop(0)
            changes.append(change)
            steps.append(step)
            weights.append(1.0 / curvature)
            state["H_diag"] = curvature / change.dot(change)
        direction = grad.neg()
        shares = state.setdefault("al", [None] * self.group["history_size"])
        for i in reversed(range(len(changes))):
            shares[i] = steps[i].dot(direction) * weights[i]
            direction.add_(changes[i], alpha=-float(shares[i]))
        direction = direction * state["H_diag"]
        for i in range(len(changes)):
            share = changes[i].dot(direction) * weights[i]
            direction.add_(steps[i], alpha=float(shares[i] - share))
        return direction

    def _move(self, start: _Point, last: bool) -> tuple[float, Tensor]:
        """Go along the direction; the loss and the gradient there, which after the last move nobody needs."""
        state, group = self.state, self.group
        if group["line_search_fn"] is None:
            self._add(state["t"])
            if last:
                return start.loss, start.grad
            self._count(1)
            return self.sign * float(self.closure()), self._flat_grad()
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        search = _LineSearch(self._at, start, group["max_eval"] - self.evaluations if since(2, 10) else 25)
        found = search.run(state["t"], group["tolerance_change"] / state["d"].abs().max())
        self._count(search.evaluations)
        state["t"] = found.t
        self._add(found.t)
        return found.loss, found.grad

    def _at(self, t: Any) -> _Point:
        """What the closure says of the place at `t` along the direction."""
        before = [param.clone() for param in self.params]
        self._add(t)
        loss, grad = self.sign * float(self.closure()), self._flat_grad()
        for param, old in zip(self.params, before, strict=True):
            param.copy_(old)
        return _Point(t, loss, grad, grad.dot(self.state["d"]))

    def _add(self, t: Any) -> None:
        row = self.state["d"]
        for param in self.params:
            real = view_as_real(param) if param.is_complex() else param
            part, row = row[: real.numel()], row[real.numel() :]
            real.add_(part.view_as(real), alpha=float(t))

    def _flat_grad(self) -> Tensor:
        """The gradients of all parameters in one row; of what is to be maximized, against them."""
        grads = [zeros_like(param) if param.grad is None else param.grad for param in self.params]
        row = cat([(view_as_real(grad) if grad.is_complex() else grad).reshape(-1) for grad in grads])
        return row.neg() if self.sign < 0 else row

    def _count(self, evaluations: int) -> None:
        self.evaluations += evaluations
        self.state["func_evals"] += evaluations


class _Point(NamedTuple):
    """A place on the line: how far along it, the loss and the gradient there, and the slope along the line."""

    t: Any  # a float, or a 0-d tensor
    loss: float
    grad: Tensor
    slope: Tensor


class _LineSearch:
    """Looks for a place where the loss is clearly lower and the slope clearly flatter: the strong Wolfe conditions."""

    def __init__(self, at: Callable[[Any], _Point], start: _Point, most: int) -> None:
        self.at, self.start, self.most = at, start, most
        self.evaluations = 0

    def run(self, t: Any, smallest: Any) -> _Point:
        """The best place that `most` further looks find; a bracket shorter than `smallest` is not cut any more."""
        bracket = self._bracket(t)
        return bracket[0] if len(bracket) == 1 else self._narrow(bracket, smallest)

    def _look(self, t: Any) -> _Point:
        self.evaluations += 1
        return self.at(t)

    def _too_high(self, point: _Point) -> bool:
        return point.loss > self.start.loss + 1e-4 * point.t * self.start.slope

    def _flat(self, point: _Point) -> bool:
        return bool(abs(point.slope) <= -0.9 * self.start.slope)

    def _bracket(self, t: Any) -> list[_Point]:
        """Two places with a good one between them, or the good one alone."""
        before, here = self.start, self._look(t)
        for looks in range(self.most):
            if self._too_high(here) or (looks > 1 and here.loss >= before.loss):
                return [before, here]
            if self._flat(here):
                return [here]
            if here.slope >= 0:
                return [before, here]
            further = here.t + 0.01 * (here.t - before.t), here.t * 10
            before, here = here, self._look(_lowest_of_cubic(before, here, further))
        return [self.start, here]

    def _narrow(self, bracket: list[_Point], smallest: Any) -> _Point:
        """Cut the bracket by the lowest place of the cubic through its ends until a good place is found."""
        stuck = False
        low = int(bracket[1].loss < bracket[0].loss)
        while self.evaluations <= self.most and abs(bracket[1].t - bracket[0].t) >= smallest:
            t = _lowest_of_cubic(bracket[0], bracket[1])
            first, last = sorted(point.t for point in bracket)
            margin = 0.1 * (last - first)
            near = min(last - t, t - first) < margin
            if near and (stuck or not first < t < last):
                t = last - margin if abs(t - last) < abs(t - first) else first + margin
                near = False
            stuck = near
            here = self._look(t)
            if self._too_high(here) or here.loss >= bracket[low].loss:
                bracket[1 - low] = here
                low = int(bracket[1].loss < bracket[0].loss)
                continue
            if self._flat(here):
                return here
            if here.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = here
        return bracket[low]


def _lowest_of_cubic(a: _Point, b: _Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where between the bounds the cubic through two places, with their slopes, is lowest; their middle if it is nowhere."""
    if a.t > b.t:
        a, b = b, a
    low, high = (a.t, b.t) if bounds is None else bounds
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square.sqrt()
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)), low), high)
