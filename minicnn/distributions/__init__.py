"""Distributions that are drawn from: densities, entropies, and samples with and without a gradient."""

from minicnn.distributions import categorical, constraints, distribution, normal, uniform
from minicnn.distributions.categorical import Categorical
from minicnn.distributions.distribution import Distribution
from minicnn.distributions.normal import Normal
from minicnn.distributions.uniform import Uniform

__all__ = [
    "Categorical", "Distribution", "Normal", "Uniform", "categorical", "constraints", "distribution", "normal", "uniform",
]  # fmt: skip
