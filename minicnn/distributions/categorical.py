"""One of several, each with its probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn import _type_info, ops
from minicnn._tensor import Tensor
from minicnn._types import Size
from minicnn.distributions import constraints
from minicnn.distributions.distribution import Distribution
from minicnn.ops import creation


class Categorical(Distribution):
    """Numbers from 0 to K - 1, k with the probability probs[..., k], or softmax(logits)[..., k]; probs are divided by their sum.

    ValueError for both or none of them, for 0-d ones, and for negative probabilities or NaN.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        for name, given in (("probs", probs), ("logits", logits)):
            if given is not None and given.dim() < 1:
                raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is not None:
            self.probs = self._param = probs / probs.sum(-1, True)
        elif logits is not None:
            self.logits = self._param = logits - logits.logsumexp(-1, True)
        self._num_events = self._param.shape[-1]
        super().__init__(self._param.shape[:-1], validate_args=validate_args)

    def __getattr__(self, name: str) -> Any:
        """The one of `probs` and `logits` that was not given, worked out when it is asked for."""
        if name == "probs":
            self.probs = ops.softmax(self.logits, -1)
        elif name == "logits":
            eps = _type_info.finfo(self.probs.dtype).eps
            self.logits = self.probs.clamp(min=eps, max=1 - eps).log()
        else:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return vars(self)[name]

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        """0 to K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        """The shape of `probs`."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        """NaN: the numbers are names."""
        return creation.full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    variance = mean

    @property
    def mode(self) -> Tensor:
        """The most probable one."""
        return self.probs.argmax(-1)

    def expand(self, batch_shape: Sequence[int]) -> Categorical:
        """The same distribution with the parameters expanded to this shape."""
        given = {name: vars(self)[name] for name in ("probs", "logits") if name in vars(self)}
        expanded = {name: value.expand((*batch_shape, self._num_events)) for name, value in given.items()}
        return self._copied(batch_shape, **expanded, _param=list(expanded.values())[-1])

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """int64 numbers, of the shape sample_shape + batch_shape."""
        rows = self.probs.detach().reshape(-1, self._num_events)
        drawn = rows.multinomial(math.prod(sample_shape), True).t()
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of `value`."""
        if self._validate_args:
            self._validate_sample(value)
        number, logits = ops.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, number[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        """The entropy in nats, of batch_shape."""
        logits = self.logits.clamp(min=_type_info.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All numbers that there are: (K, ...), expanded to the batch's shape or with ones for it."""
        values = creation.arange(self._num_events).reshape(-1, *(1,) * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
