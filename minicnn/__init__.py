"""minicnn: a convolutional network library that can be read in an afternoon, with PyTorch's names.

`import minicnn as torch` runs what an ordinary CNN script uses; `minicnn.viz` shows what a network sees.
"""

import math

from minicnn import autograd  # first: the parts of the graph below `Tensor` and above it share a folder
from minicnn import _tensor as _tensor_module
from minicnn.ops.creation import *
from minicnn.random import Generator, default_generator, manual_seed
from minicnn._tensor import Tensor
from minicnn._types import *
from minicnn._types import bool_ as bool
from minicnn._type_info import *
from minicnn._warnings import is_warn_always_enabled, set_warn_always
from minicnn.kernels import get_num_threads, set_num_threads
from minicnn.autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from minicnn.autograd.grad_mode import is_grad_enabled, is_inference_mode_enabled
from minicnn.ops.activation import *
from minicnn.ops.arithmetic import *
from minicnn.ops.comparison import *
from minicnn.ops.contraction import *
from minicnn.ops.copying import *
from minicnn.ops.elementwise import *
from minicnn.ops.fourier import *
from minicnn.ops.indexing import *
from minicnn.ops.joining import *
from minicnn.ops.linear import *
from minicnn.ops.reduction import *
from minicnn.ops.shape import *
from minicnn.ops.sorting import *
from minicnn._out import functions as _taking_out

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e

globals().update(_taking_out())  # the same functions, with `out=`

# PyTorch's second names
half, float, double = float16, float32, float64
int, long = int32, int64
concat = concatenate = cat
absolute = abs
arctan = atan
clip = clamp
fix = trunc
multiply = mul
subtract = sub
divide = true_divide = div
negative = neg
swapaxes = swapdims = transpose
moveaxis = movedim
row_stack = vstack
trapz = trapezoid
arctan2 = atan2
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

from minicnn import _C, __future__, cuda, distributions, fft, hub, linalg, models, nn, onnx, optim, transforms, utils
from minicnn.utils import checkpoint as _checkpoint  # so that `minicnn.utils.checkpoint` is there, as torch's is
from minicnn.utils import data as _data
from minicnn.interop import as_torch
from minicnn.serialization import load, save

__version__ = "0.1.0"
