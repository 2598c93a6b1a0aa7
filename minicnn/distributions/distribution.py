"""What all distributions have in common: shapes, and the check of parameters and samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn import ops
from minicnn._tensor import Number, Tensor
from minicnn._types import Size, get_default_dtype
from minicnn.autograd.grad_mode import no_grad
from minicnn.distributions.constraints import Constraint
from minicnn.ops import creation


class Distribution:
    """Numbers drawn at random. A sample has the shape `sample_shape + batch_shape + event_shape`.

    Args:
        batch_shape: of the parameters.
        event_shape: of one sample.
        validate_args: whether parameters and samples are checked; None: as `set_default_validate_args` says.
    """

    has_rsample = False
    arg_constraints: dict[str, Constraint] = {}
    support: Any = None
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their parameters and samples if they are not told."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        for name, constraint in self.arg_constraints.items() if self._validate_args else ():
            if name in vars(self) and not constraint.check(vars(self)[name]).all():
                value = vars(self)[name]
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        """The mean, of batch_shape."""
        raise NotImplementedError

    @property
    def variance(self) -> Tensor:
        """The variance, of batch_shape."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation, of batch_shape."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Random numbers without a gradient, of the shape sample_shape + batch_shape + event_shape."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """The same with a gradient to the parameters. NotImplementedError where there is none."""
        raise NotImplementedError

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy in nats, of batch_shape."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """ValueError for what is no tensor, has another shape, or cannot be a sample."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        actual, expected = value.shape, self._extended_shape()
        for i, j in zip(reversed(actual), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {actual} vs {expected}.")
        if self.support is not None and not self.support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _copied(self, batch_shape: Sequence[int], **parameters: Tensor) -> Any:
        """Another one with these parameters, which are not checked again."""
        new = object.__new__(type(self))
        vars(new).update(vars(self) | parameters, _batch_shape=Size(batch_shape))
        return new

    def __repr__(self) -> str:
        given = {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}
        words = [f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in given.items()]
        return f"{type(self).__name__}({', '.join(words)})"


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers as tensors of the first tensor's type, or of the default one, and all expanded to the common shape."""
    if not all(isinstance(value, (Tensor, *Number)) for value in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    kind = next((value.dtype for value in values if isinstance(value, Tensor)), get_default_dtype())
    tensors = [value if isinstance(value, Tensor) else creation.tensor(value, dtype=kind) for value in values]
    return ops.broadcast_tensors(*tensors)
