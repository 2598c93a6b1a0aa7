"""The names of PyTorch that visualisation code uses: each is in minicnn under the same path, or its absence has a reason."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import minicnn

# Counted in the sources of seven public code bases: used by several of them.
USED_BY_SEVERAL = [
    "FloatTensor",
    "Tensor",
    "__version__",
    "abs",
    "arange",
    "autograd.Function",
    "autograd.Variable",
    "autograd.grad",
    "cat",
    "clamp",
    "complex64",
    "device",
    "float",
    "float32",
    "from_numpy",
    "full",
    "isnan",
    "linspace",
    "long",
    "manual_seed",
    "matmul",
    "max",
    "mean",
    "min",
    "nn",
    "nn.Conv2d",
    "nn.Linear",
    "nn.Module",
    "nn.Parameter",
    "nn.ReLU",
    "nn.Sequential",
    "nn.functional",
    "nn.functional.interpolate",
    "nn.functional.normalize",
    "nn.functional.relu",
    "nn.functional.softmax",
    "no_grad",
    "ones",
    "optim.Adam",
    "rand",
    "randn",
    "randn_like",
    "sigmoid",
    "softmax",
    "sqrt",
    "stack",
    "sum",
    "tensor",
    "utils.data.DataLoader",
    "zeros",
    "zeros_like",
]

# Used by one of them.
USED_BY_ONE = [
    "ByteTensor",
    "addcmul",
    "amax",
    "amin",
    "argsort",
    "as_tensor",
    "atan",
    "bernoulli",
    "bool",
    "broadcast_to",
    "complex",
    "cos",
    "cumsum",
    "enable_grad",
    "fft.fftfreq",
    "fft.irfft2",
    "fft.irfftn",
    "fft.rfft2",
    "flatten",
    "hub.download_url_to_file",
    "hub.load_state_dict_from_url",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_tensor",
    "isfinite",
    "load",
    "log",
    "maximum",
    "mm",
    "mul",
    "nan",
    "nansum",
    "nn.BatchNorm2d",
    "nn.ConvTranspose2d",
    "nn.CosineSimilarity",
    "nn.InstanceNorm2d",
    "nn.LeakyReLU",
    "nn.MaxPool2d",
    "nn.Sigmoid",
    "nn.Softmax",
    "nn.Upsample",
    "nn.UpsamplingBilinear2d",
    "nn.functional.avg_pool2d",
    "nn.functional.conv2d",
    "nn.functional.cross_entropy",
    "nn.functional.dropout",
    "nn.functional.linear",
    "nn.functional.max_pool2d",
    "nn.functional.pad",
    "nn.init.normal_",
    "nn.init.zeros_",
    "nn.utils.clip_grad_norm",
    "ones_like",
    "optim.NAdam",
    "optim.SGD",
    "rand_like",
    "relu",
    "reshape",
    "save",
    "sin",
    "sort",
    "std",
    "t",
    "tanh",
    "transpose",
    "uint8",
    "unsqueeze",
    "utils.data",
    "utils.data.Dataset",
    "utils.data.SequentialSampler",
    "utils.data.TensorDataset",
    "utils.data.sampler.Sampler",
    "utils.hooks.RemovableHandle",
    "view_as_complex",
    "where",
]

# What PyTorch's own tests of convolutional networks meet first.
USED_BY_ITS_TESTS = [
    "BoolTensor",
    "CharTensor",
    "DoubleTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "cuda.FloatTensor",
    "get_default_device",
    "get_default_dtype",
    "get_num_threads",
    "memory_format",
    "nn.AdaptiveAvgPool1d",
    "nn.BCELoss",
    "nn.Conv1d",
    "nn.ConvTranspose1d",
    "nn.InstanceNorm1d",
    "nn.MaxPool1d",
    "nn.KLDivLoss",
    "nn.Module.to_empty",
    "nn.functional.binary_cross_entropy",
    "nn.functional.kl_div",
    "optim.lr_scheduler.ChainedScheduler",
    "optim.lr_scheduler.ConstantLR",
    "optim.lr_scheduler.CosineAnnealingWarmRestarts",
    "optim.lr_scheduler.CyclicLR",
    "optim.lr_scheduler.LinearLR",
    "optim.lr_scheduler.PolynomialLR",
    "optim.lr_scheduler.ReduceLROnPlateau",
    "optim.lr_scheduler.SequentialLR",
    "preserve_format",
    "set_default_device",
    "set_default_dtype",
    "set_default_tensor_type",
    "set_num_threads",
    "std_mean",
    "utils.checkpoint.checkpoint",
    "utils.checkpoint.checkpoint_sequential",
    "var_mean",
    "xlogy",
]

# Of torchvision, in the same code bases: here they stand in minicnn itself, `minicnn.models` and `minicnn.transforms`.
TORCHVISION = [
    "models",
    "models.ResNet50_Weights.DEFAULT",
    "models.alexnet",
    "models.get_model",
    "models.get_model_weights",
    "models.resnet50",
    "models.vgg16",
    "models.vgg19",
    "transforms",
    "transforms.Compose",
    "transforms.Normalize",
    "transforms.ToTensor",
    "transforms.functional.InterpolationMode",
    "transforms.functional.InterpolationMode.BILINEAR",
    "transforms.functional.to_pil_image",
    "transforms.functional.to_tensor",
]

TRANSFORMERS = "a network of attention, not of convolutions: torchvision's own definition runs under `as_torch`"
ABSENT = {
    "models.swin_transformer.SwinTransformer": TRANSFORMERS,
    "models.vision_transformer.VisionTransformer": TRANSFORMERS,
}

# Tensor methods and attributes of the same code bases.
METHODS = [
    "abs",
    "add_",
    "amax",
    "argmax",
    "argsort",
    "array",
    "backward",
    "bool",
    "clamp",
    "clone",
    "contiguous",
    "cpu",
    "cuda",
    "data",
    "detach",
    "detach_",
    "device",
    "dim",
    "div_",
    "double",
    "dtype",
    "exp",
    "expand",
    "expand_as",
    "fill_",
    "flatten",
    "float",
    "grad",
    "grad_fn",
    "half",
    "int",
    "is_leaf",
    "item",
    "log",
    "long",
    "matmul",
    "max",
    "mean",
    "min",
    "mul_",
    "ndim",
    "new",
    "new_zeros",
    "norm",
    "normal_",
    "numel",
    "numpy",
    "permute",
    "pow",
    "register_hook",
    "relu",
    "relu_",
    "repeat",
    "requires_grad",
    "requires_grad_",
    "reshape",
    "retain_grad",
    "shape",
    "sigmoid",
    "size",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "std",
    "sum",
    "t",
    "tanh",
    "to",
    "tolist",
    "topk",
    "transpose",
    "type",
    "unsqueeze",
    "unsqueeze_",
    "var",
    "view",
    "view_as",
    "zero_",
]


def find(lib, path):
    """The object at a dotted path, modules imported on the way: `utils.data.DataLoader` must be importable."""
    found = lib
    for k, part in enumerate(path.split(".")):
        if not hasattr(found, part):
            importlib.import_module(".".join([lib.__name__, *path.split(".")[: k + 1]]))
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("path", USED_BY_SEVERAL)
def test_used_by_several(path):
    assert same_kind(find(minicnn, path), find(torch, path))


@pytest.mark.parametrize("path", USED_BY_ONE)
def test_used_by_one(path):
    assert same_kind(find(minicnn, path), find(torch, path))


@pytest.mark.parametrize("path", USED_BY_ITS_TESTS)
def test_used_by_its_tests(path):
    assert same_kind(find(minicnn, path), find(torch, path))


@pytest.mark.parametrize("path", TORCHVISION)
def test_torchvision(path):
    assert find(minicnn, path) is not None


@pytest.mark.parametrize("path", ABSENT)
def test_absent_names_are_absent(path):
    """A name that has come to be must leave the table of absent names."""
    with pytest.raises((AttributeError, ImportError)):
        find(minicnn, path)
    assert len(ABSENT[path]) > 20


@pytest.mark.parametrize("name", METHODS)
def test_tensor_method(name):
    assert hasattr(minicnn.Tensor, name) or hasattr(minicnn.ones(2), name)
    assert name == "array" or hasattr(torch.Tensor, name)


def same_kind(ours, theirs):
    """A class for a class, a module for a module, something callable for something callable."""
    if type(theirs).__name__ == "module":
        return type(ours).__name__ == "module"
    if callable(theirs):
        return callable(ours)
    return type(ours).__name__ == type(theirs).__name__ or isinstance(ours, str)


PATHS = {
    "nn.modules.module": ["Module", "register_module_forward_hook", "register_module_full_backward_hook"],
    "nn.modules.conv": ["Conv2d"],
    "nn.modules.container": ["Sequential", "ModuleList", "ModuleDict"],
    "nn.parameter": ["Parameter"],
    "nn.functional": ["conv2d", "relu", "cross_entropy"],
    "nn.init": ["kaiming_normal_"],
    "utils.hooks": ["RemovableHandle", "BackwardHook"],
    "autograd": ["Function", "grad", "backward", "gradcheck", "no_grad"],
    "autograd.function": ["Function", "once_differentiable"],
    "autograd.graph": ["Node"],
    "autograd.gradcheck": ["gradcheck", "GradcheckError"],
    "optim": ["SGD", "Adam"],
    "utils.data": ["DataLoader", "Dataset"],
}


@pytest.mark.parametrize("module", PATHS)
def test_import_paths(module):
    """`from minicnn.autograd.graph import Node` works as with torch."""
    ours = importlib.import_module(f"minicnn.{module}")
    theirs = importlib.import_module(f"torch.{module}")
    for name in PATHS[module]:
        assert same_kind(getattr(ours, name), getattr(theirs, name))


OWN = {
    "": {
        "kernels",
        "models",
        "transforms",
        "viz",
        "serialization",
        "atlas",
        "cli",
        "play",
        "as_torch",
        "interop",
        "cluster",
    },  # the loops and their twins; torchvision's models and transforms; looking inside
    "Tensor": {"array", "wrap", "alias", "gradient_edge"},  # the array behind it, and what autograd needs of it
    "nn": set(),
    "nn.functional": set(),
    "nn.Module": set(),
}


@pytest.mark.parametrize("path", OWN)
def test_public_names_are_those_of_torch(path):
    """A name under torch's path that torch does not have would be a trap for the reader."""
    ours, theirs = (find(lib, path) if path else lib for lib in (minicnn, torch))
    invented = {name for name in dir(ours) if name[0] != "_" and not hasattr(theirs, name)}
    assert invented <= OWN[path]


@pytest.mark.slow
def test_no_name_imports_torch():
    """minicnn with all its names has to work where torch is not installed."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import minicnn, minicnn.nn, minicnn.optim, minicnn.utils.data, minicnn.models, minicnn.serialization\n"
        "assert sys.modules['torch'] is None\n"
        "assert 'matplotlib' not in sys.modules\n"
        "print(minicnn.nn.Conv2d(1, 1, 1)(minicnn.ones(1, 1, 1, 1)).shape)"
    )
    root = Path(minicnn.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "torch.Size([1, 1, 1, 1])", done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("TransformerEncoderLayer", "build it of nn.MultiheadAttention, nn.LayerNorm and nn.Linear"),
        ("Transformer", "nn.MultiheadAttention"),
        ("LazyConv2d", r"write nn\.Conv2d with the sizes"),
        ("Conv2D", "module 'minicnn.nn' has no attribute 'Conv2D'$"),
    ],
)
def test_layers_that_stay_away_say_so(name, why):
    assert not hasattr(minicnn.nn, name)
    with pytest.raises(AttributeError, match=why):
        getattr(minicnn.nn, name)
