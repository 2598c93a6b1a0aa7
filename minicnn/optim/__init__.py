"""Optimizers: rules for how parameters follow their gradients."""

from minicnn.optim import lr_scheduler
from minicnn.optim.adam import Adam
from minicnn.optim.adamw import AdamW
from minicnn.optim.lbfgs import LBFGS
from minicnn.optim.nadam import NAdam
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.rmsprop import RMSprop
from minicnn.optim.sgd import SGD

__all__ = ["Adam", "AdamW", "LBFGS", "NAdam", "Optimizer", "RMSprop", "SGD", "lr_scheduler"]
