"""The operations of a network as functions, with PyTorch's names, arguments and defaults."""

from minicnn.ops.activation import (
    celu,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from minicnn.ops.attention import (
    _canonical_mask,
    _none_or_dtype,
    multi_head_attention_forward,
    scaled_dot_product_attention,
)
from minicnn.ops.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d, fold, unfold
from minicnn.ops.distance import cosine_similarity, normalize, pairwise_distance
from minicnn.ops.dropout import dropout, dropout1d, dropout2d
from minicnn.ops.indexing import embedding, one_hot
from minicnn.ops.linear import linear
from minicnn.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from minicnn.ops.normalization import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from minicnn.ops.padding import pad
from minicnn.ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    lp_pool1d,
    lp_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool2d_with_indices,
    max_unpool1d,
    max_unpool2d,
)
from minicnn.ops.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from minicnn.ops.vision import affine_grid, grid_sample, interpolate, upsample
