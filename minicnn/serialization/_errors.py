"""What can be wrong with a file of weights."""

import pickle
import reprlib
from typing import Any


class WeightsError(RuntimeError):
    """A file of weights that cannot be read, or that does not fit the model."""


class ForbiddenError(WeightsError, pickle.UnpicklingError):
    """A pickle that asks for something outside of the fixed list of names. Nothing of it was executed."""


class _Short(reprlib.Repr):
    """Of a value from a file: a few characters, in a few steps, whatever it is (tuples in tuples, enormous numbers)."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = self.maxtuple = self.maxlist = self.maxdict = 3
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 200 else f"a number of {x.bit_length()} bits"


def short(value: Any) -> str:
    """`repr`, for error messages about what a stranger may have written."""
    return _Short().repr(value)
