"""The operations: functions of tensors, one file a family. `minicnn.Tensor` and `minicnn.nn.functional` call them.

Each family lists in `__all__` what stands in `minicnn` too, under PyTorch's names.
"""

import sys

from minicnn import _tensor
from minicnn.autograd import inplace, strided
from minicnn.ops import creation
from minicnn.ops._common import default_dtype, result_type
from minicnn.ops.activation import *
from minicnn.ops.arithmetic import *
from minicnn.ops.comparison import *
from minicnn.ops.contraction import *
from minicnn.ops.copying import *
from minicnn.ops.copying import contiguous, repeat
from minicnn.ops.elementwise import *
from minicnn.ops.elementwise import to_dtype
from minicnn.ops.fourier import *
from minicnn.ops.fourier import irfft2, rfft2
from minicnn.ops.indexing import *
from minicnn.ops.indexing import index, index_put_
from minicnn.ops.joining import *
from minicnn.ops.linear import *
from minicnn.ops.reduction import *
from minicnn.ops.shape import *
from minicnn.ops.shape import expand, unfold, view
from minicnn.ops.sorting import *

_tensor.ops = sys.modules[__name__]  # for the methods of `Tensor`
inplace.strided = strided
