"""Tools for parameters and gradients."""

from minicnn.nn.utils.clip_grad import clip_grad_norm, clip_grad_norm_, clip_grad_value_, get_total_norm
from minicnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from minicnn.nn.utils.init import skip_init

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "skip_init",
    "vector_to_parameters",
]  # fmt: skip
