"""What can be wrong with a file of weights."""

import pickle


class WeightsError(RuntimeError):
    """A file of weights that cannot be read, or that does not fit the model."""


class ForbiddenError(WeightsError, pickle.UnpicklingError):
    """A pickle that asks for something outside of the fixed list of names. Nothing of it was executed."""
