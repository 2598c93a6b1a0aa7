"""minicnn: a convolutional network library that can be read in an afternoon, with PyTorch's names.

`import minicnn as torch` runs what an ordinary CNN script uses; `minicnn.viz` shows what a network sees.
"""

import math

from minicnn import autograd  # first: the parts of the graph below `Tensor` and above it share a folder
from minicnn import _tensor as _tensor_module
from minicnn._creation import (
    ByteTensor,
    FloatTensor,
    LongTensor,
    arange,
    as_tensor,
    asarray,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    is_tensor,
    linspace,
    logspace,
    meshgrid,
    multinomial,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minicnn.random import Generator, default_generator, manual_seed
from minicnn._tensor import Tensor
from minicnn._types import (
    Size,
    complex64,
    complex128,
    device,
    dtype,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from minicnn._types import bool_ as bool

# PyTorch's second names
from minicnn._types import float16 as half
from minicnn._types import float32 as float
from minicnn._types import float64 as double
from minicnn._types import int32 as int
from minicnn._types import int64 as long
from minicnn.autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from minicnn.autograd.grad_mode import is_grad_enabled, is_inference_mode_enabled
from minicnn.ops import (
    abs,
    add,
    addcdiv,
    addcmul,
    addmm,
    all,
    allclose,
    amax,
    amin,
    any,
    argmax,
    argmin,
    argsort,
    atan,
    bincount,
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    bmm,
    broadcast_to,
    cat,
    ceil,
    chunk,
    clamp,
    clamp_max,
    clamp_min,
    clone,
    cos,
    count_nonzero,
    cumsum,
    div,
    dot,
    eq,
    equal,
    erf,
    exp,
    expm1,
    flatten,
    flip,
    floor,
    floor_divide,
    gather,
    ge,
    gt,
    histc,
    index_select,
    isclose,
    isfinite,
    isinf,
    isnan,
    le,
    lerp,
    log,
    log1p,
    log2,
    log10,
    log_softmax,
    logical_and,
    logical_not,
    logical_or,
    logsumexp,
    lt,
    masked_fill,
    masked_select,
    matmul,
    max,
    maximum,
    mean,
    median,
    min,
    minimum,
    mm,
    movedim,
    mul,
    mv,
    nansum,
    narrow,
    ne,
    neg,
    nonzero,
    norm,
    outer,
    permute,
    pow,
    prelu,
    prod,
    reciprocal,
    relu,
    remainder,
    reshape,
    roll,
    rot90,
    round,
    rsqrt,
    rsub,
    scatter,
    select,
    selu,
    sigmoid,
    sign,
    sin,
    softmax,
    sort,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    sub,
    sum,
    t,
    take_along_dim,
    tan,
    tanh,
    threshold,
    tile,
    topk,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unique,
    unsqueeze,
    var,
    view_as_complex,
    view_as_real,
    where,
)

inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
concat = concatenate = cat
absolute = abs
arctan = atan
clip = clamp
multiply = mul
subtract = sub
divide = true_divide = div
negative = neg
swapaxes = transpose


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.array.size


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag, of one shape."""
    return view_as_complex(stack([real, imag], -1))


from minicnn import cuda, fft, hub, linalg, models, nn, optim, transforms, utils
from minicnn.utils import data as _data  # so that `minicnn.utils.data` is there, as torch.utils.data is
from minicnn.serialization import load, save

__version__ = "0.1.0"
