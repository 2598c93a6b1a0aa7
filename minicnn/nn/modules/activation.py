"""Activation layers: each calls the function of the same name in `minicnn.nn.functional`."""

from __future__ import annotations

from typing import Any

import minicnn.nn.functional as F
from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn._warnings import warn_deprecated
from minicnn.nn import init as initial
from minicnn.nn.modules._new import new_parameter
from minicnn.nn.modules.linear import NonDynamicallyQuantizableLinear
from minicnn.nn.modules.module import Module

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "MultiheadAttention", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d",
    "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _Inplace(Module):
    """An activation that writes over its input if `inplace` is set; then it prints that, behind its other settings."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        settings = super().extra_repr()
        return ", ".join(filter(None, [settings, "inplace=True" if self.inplace else ""]))


class _AlongDim(Module):
    """An activation that looks at all numbers along one dimension."""

    _extra_repr_names = ("dim",)
    _checks_dim = True

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        if self._checks_dim and since(2, 14) and type(dim) not in (int, type(None)):
            raise TypeError(f"dim must be an int or None, got {type(dim)}")
        self.dim = dim


class ReLU(_Inplace):
    """max(x, 0). With `inplace` it writes over its input."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, inplace=self.inplace)


class Hardtanh(_Inplace):
    """x clipped to [min_val, max_val]."""

    _extra_repr_names: tuple[str, ...] = ("min_val", "max_val")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__(inplace)
        if min_value is not None:
            warn_deprecated("keyword argument `min_value` is deprecated and renamed to `min_val`")
            min_val = min_value
        if max_value is not None:
            warn_deprecated("keyword argument `max_value` is deprecated and renamed to `max_val`")
            max_val = max_value
        if max_val <= min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)."""

    _extra_repr_names = ()

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class LeakyReLU(_Inplace):
    """x where positive, negative_slope x elsewhere."""

    _extra_repr_names = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(Module):
    """x where positive, weight x elsewhere, with a learned weight: one, or one for each channel.

    Args:
        num_parameters: 1, or the number of channels.
        init: the weight's first value.
        device: the CPU.
        dtype: of the weight.
    """

    _extra_repr_names = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = new_parameter((num_parameters,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to its first value."""
        initial.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)


class ELU(_Inplace):
    """x where positive, alpha (exp(x) - 1) elsewhere."""

    _extra_repr_names = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(ELU):
    """x where positive, alpha (exp(x / alpha) - 1) elsewhere: smooth for every alpha."""

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class GLU(Module):
    """The first half along `dim` times the sigmoid of the second one."""

    _extra_repr_names = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)


class Hardshrink(Module):
    """x, and 0 where |x| <= lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class Softshrink(Hardshrink):
    """x drawn towards 0 by lambd, and 0 where it is not farther from it."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class SELU(_Inplace):
    """A scaled ELU that keeps mean 0 and variance 1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class GELU(Module):
    """x times the normal distribution function at x."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_Inplace):
    """x sigmoid(x), also called swish."""

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, inplace=self.inplace)


class Mish(_Inplace):
    """x tanh(softplus(x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, inplace=self.inplace)


class Hardsigmoid(_Inplace):
    """(x + 3) / 6 clipped to [0, 1]."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""  # as in PyTorch: not even `inplace`


class Hardswish(_Inplace):
    """x hardsigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""  # as in PyTorch: not even `inplace`


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """log(sigmoid(x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""

    _extra_repr_names = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Threshold(_Inplace):
    """x where x > threshold, `value` elsewhere."""

    _extra_repr_names = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Softmax(_AlongDim):
    """exp(x) / sum exp(x) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)


class Softmin(_AlongDim):
    """softmax(-x) along `dim`."""

    _checks_dim = False  # as in PyTorch

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels at each place of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3)


class LogSoftmax(_AlongDim):
    """log(softmax(x)) along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class MultiheadAttention(Module):
    """Attention in several heads, each of a part of what query, key and value are projected to.

    `in_proj_weight` is (3E, E), the weights of query, key and value in a row, or `q_proj_weight`, `k_proj_weight` and
    `v_proj_weight` if their sizes differ; `in_proj_bias` (3E,), `out_proj` a linear layer.

    Args:
        embed_dim: E, the size of a query and of an answer.
        num_heads: how many heads; they divide E.
        dropout: the probability with which a weight becomes 0 in training.
        bias: whether the projections have biases.
        add_bias_kv: whether there are one more key and value, learned: `bias_k` and `bias_v`.
        add_zero_attn: whether there are one more key and value of zeros.
        kdim, vdim: the sizes of a key and of a value, if they are not E.
        batch_first: whether inputs are (N, L, E) and not (L, N, E).
        device: the CPU.
        dtype: of the parameters.

    Raises:
        ValueError, AssertionError: sizes that are not positive, or not divisible.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        if embed_dim % num_heads:
            raise AssertionError("embed_dim must be divisible by num_heads")
        names = ["q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_weight"]
        sizes = [(embed_dim, embed_dim), (embed_dim, self.kdim), (embed_dim, self.vdim), (3 * embed_dim, embed_dim)]
        for name, shape in zip(names, sizes, strict=True):
            wanted = self._qkv_same_embed_dim == (name == "in_proj_weight")
            self.register_parameter(name, new_parameter(shape, device, dtype) if wanted else None)
        self.register_parameter("in_proj_bias", new_parameter((3 * embed_dim,), device, dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        for name in ("bias_k", "bias_v"):
            setattr(self, name, new_parameter((1, 1, embed_dim), device, dtype) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Weights by Glorot's rule, biases 0."""
        for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight, self.in_proj_weight):
            if weight is not None:
                initial.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            initial.zeros_(self.in_proj_bias)
            initial.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                initial.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(the answers, of the query's shape; the weights, (N, L, S), or (N, num_heads, L, S) if they are not averaged, or None).

        Args:
            query, key, value: (L, N, E), (S, N, kdim) and (S, N, vdim), N first if `batch_first`; or without N.
            key_padding_mask: (N, S): true where a key is left out, or numbers that are added.
            need_weights: whether the weights are returned.
            attn_mask: (L, S) or (N num_heads, L, S): true where a query must not look, or numbers that are added.
            average_attn_weights: whether the weights are the mean over the heads.
            is_causal: a hint that `attn_mask` is the causal one.
        """
        turned = self.batch_first and query.dim() == 3
        types = F._none_or_dtype(attn_mask)
        key_padding_mask = F._canonical_mask(key_padding_mask, "key_padding_mask", types, "attn_mask", query.dtype)
        attn_mask = F._canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        if turned:
            once = {id(x): x.transpose(0, 1) for x in (query, key, value)}  # what is one tensor stays one
            query, key, value = once[id(query)], once[id(key)], once[id(value)]
        answers, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask,
            need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (answers.transpose(0, 1) if turned else answers), weights
