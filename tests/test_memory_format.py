"""Memory formats: strides as PyTorch's after `to`, `clone`, `contiguous`, `empty` and the functions of their kind."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch as real_torch
from both import assert_same, attempt, known, scenarios
from compare import assert_close, numbers

import minicnn

FORMATS = ["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"]
SHAPES = [
    (), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 1, 4, 5), (1, 3, 4, 5), (2, 3, 1, 1), (4, 1, 1, 1), (1, 1, 1, 1),
    (1, 4, 1, 3), (2, 3, 4, 5, 6), (2, 1, 1, 1, 1),
]  # fmt: skip


def layouts(array):
    """The same numbers in other orders, with gaps, and with repetitions."""
    yield array
    for order in list(itertools.permutations(range(array.ndim)))[1::5]:
        turned = np.ascontiguousarray(array.transpose(order))
        yield turned.transpose(np.argsort(order))
    if array.ndim == 4:
        yield np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if array.ndim:
        yield np.repeat(array, 2, -1)[..., ::2]
        yield np.repeat(array, 2, 0)[::2]
        yield np.broadcast_to(array[..., :1], array.shape).copy("K")
        yield np.lib.stride_tricks.as_strided(array, array.shape, (*array.strides[:-1], 0))


def calls(torch, x, format):
    """What takes a memory format, by name."""
    return {
        "is_contiguous": lambda: x.is_contiguous(memory_format=format),
        "contiguous": lambda: x.contiguous(memory_format=format),
        "clone": lambda: x.clone(memory_format=format),
        "to": lambda: x.to(memory_format=format),
        "to a type": lambda: x.to(torch.float64, memory_format=format),
        "to, copied": lambda: x.to(memory_format=format, copy=True),
        "double": lambda: x.double(memory_format=format),
        "float": lambda: x.float(memory_format=format),
        "type": lambda: x.type(torch.int64, memory_format=format),
        "cpu": lambda: x.cpu(memory_format=format),
        "empty_like": lambda: torch.empty_like(x, memory_format=format),
        "zeros_like": lambda: torch.zeros_like(x, memory_format=format),
        "ones_like": lambda: torch.ones_like(x, dtype=torch.float64, memory_format=format),
        "full_like": lambda: torch.full_like(x, 3, memory_format=format),
        "rand_like": lambda: torch.rand_like(x, memory_format=format),
        "randn_like": lambda: torch.randn_like(x, memory_format=format),
        "empty": lambda: torch.empty(x.shape, memory_format=format),
    }


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_strides(shape, format):
    def rule(torch, log):
        array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        for x in map(torch.from_numpy, layouts(array)):
            log(x.stride())
            for name, call in calls(torch, x, getattr(torch, format)).items():
                try:
                    made = call()
                except RuntimeError as error:
                    log(name, str(error))
                    continue
                if isinstance(made, bool):
                    log(name, made)
                else:
                    log(name, made if "empty" not in name and "rand" not in name else None, made.stride(), made is x)

    assert_same(rule)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_order_is_kept_without_a_format(shape):
    def rule(torch, log):
        array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        for x in map(torch.from_numpy, layouts(array)):
            for make in (torch.zeros_like, torch.empty_like, torch.randn_like, torch.clone, lambda t: t.double()):
                log(make(x).stride())
            log(x.contiguous().stride(), x.new_zeros(shape).stride(), x.detach().stride())

    assert_same(rule)


def test_random_strides():
    """Any order, with gaps, lengths of 1, and repetitions."""
    rng = np.random.default_rng(0)
    programs = [(rng.choice([1, 2, 3], n), rng.permutation(n), rng.choice([1, 1, 2], n), rng.random(n) < 0.1)
                for n in rng.choice([2, 3, 4, 4, 4, 4, 5], 400)]  # fmt: skip

    def rule(torch, log):
        for lengths, order, steps, repeated in programs:
            memory = np.zeros(lengths * steps, np.float32)
            array = memory[tuple(slice(None, None, step) for step in steps)].transpose(order)
            strides = tuple(0 if again else stride for again, stride in zip(repeated, array.strides, strict=True))
            x = torch.from_numpy(np.lib.stride_tricks.as_strided(array, array.shape, strides))
            log(x.stride(), x.clone().stride(), x.double().stride(), torch.zeros_like(x).stride())
            log(x.to(memory_format=torch.contiguous_format) is x, x.is_contiguous())
            if x.dim() == 4:
                log(x.is_contiguous(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last) is x)
            if x.dim() == 5:
                log(x.to(memory_format=torch.channels_last_3d) is x)

    assert_same(rule)


def rule_of_nothing(torch, log):
    for shape in ((0,), (3, 0), (0, 3), (2, 3, 0, 4), (0, 3, 4, 5)):
        x = torch.zeros(shape)
        log(x.stride(), x.is_contiguous(), x.clone().stride(), torch.empty_like(x).stride(), torch.ones(shape).stride())
        if x.dim() != 4:
            attempt(log, x.to, memory_format=torch.channels_last)
        else:
            log(x.to(memory_format=torch.channels_last).shape)


# --- results of operations on images that lie channels last ---------------------------------------------------------------


def weight(torch, *shape):
    return known(torch, *shape, start=-0.3, step=0.05)


def last(x, torch):
    return x.to(memory_format=torch.channels_last)


OPERATIONS = {
    "conv2d": lambda t, F, x: F.conv2d(x, weight(t, 4, 3, 3, 3)),
    "conv2d, strided and padded": lambda t, F, x: F.conv2d(x, weight(t, 4, 3, 3, 3), weight(t, 4), 2, 1),
    "conv2d by a weight that lies so": lambda t, F, x: F.conv2d(x.contiguous(), last(weight(t, 4, 3, 3, 3), t)),
    "conv2d in groups": lambda t, F, x: F.conv2d(x, weight(t, 3, 1, 3, 3), groups=3),
    "conv2d of 1 x 1": lambda t, F, x: F.conv2d(x, weight(t, 4, 3, 1, 1)),
    "conv2d of rows": lambda t, F, x: F.conv2d(x.contiguous(), weight(t, 4, 3, 3, 3)),
    "conv2d of one channel": lambda t, F, x: F.conv2d(last(x[:, :1], t), weight(t, 4, 1, 3, 3)),
    "conv_transpose2d": lambda t, F, x: F.conv_transpose2d(x, weight(t, 3, 4, 3, 3), stride=2),
    "max_pool2d": lambda t, F, x: F.max_pool2d(x, 2),
    "max_pool2d, overlapping": lambda t, F, x: F.max_pool2d(x, 3, 1, 1, return_indices=True),
    "avg_pool2d": lambda t, F, x: F.avg_pool2d(x, 3, 2, 1),
    "adaptive_avg_pool2d": lambda t, F, x: F.adaptive_avg_pool2d(x, 3),
    "adaptive_max_pool2d": lambda t, F, x: F.adaptive_max_pool2d(x, 3, return_indices=True),
    "batch_norm": lambda t, F, x: F.batch_norm(x, None, None, weight(t, 3), training=True),
    "batch_norm in evaluation": lambda t, F, x: F.batch_norm(x, weight(t, 3), weight(t, 3) + 1),
    "instance_norm": lambda t, F, x: F.instance_norm(x),
    "nearest": lambda t, F, x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda t, F, x: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "area": lambda t, F, x: F.interpolate(x, size=(4, 3), mode="area"),
    "zeros around": lambda t, F, x: F.pad(x, (1, 2, 0, 1)),
    "reflect": lambda t, F, x: F.pad(x, (1, 1, 1, 1), "reflect"),
    "replicate": lambda t, F, x: F.pad(x, (1, 1, 1, 1), "replicate"),
    "relu": lambda t, F, x: F.relu(x),
    "relu in place": lambda t, F, x: F.relu(x * 1, inplace=True),
    "gelu": lambda t, F, x: F.gelu(x),
    "softmax": lambda t, F, x: F.softmax(x, 1),
    "with a number": lambda t, F, x: x * 2 + 1,
    "with a channel each": lambda t, F, x: x + weight(t, 3, 1, 1),
    "dropout2d": lambda t, F, x: F.dropout2d(x, 0.5, False) * 1,
    "cat": lambda t, F, x: t.cat([x, x * 2], 1),
    "cat of both": lambda t, F, x: t.cat([x, x.contiguous()], 1),
    "flip": lambda t, F, x: x.flip(3),
    "roll": lambda t, F, x: x.roll(1, 2),
    "where": lambda t, F, x: t.where(x > 0, x, 0.0),
    "sum": lambda t, F, x: x.sum(),
    "a part": lambda t, F, x: x[:, 1:, ::2] * 1,
    "one image": lambda t, F, x: F.conv2d(x[0], weight(t, 4, 3, 3, 3)),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.filterwarnings("error")
def test_operations_keep_channels_last(name):
    """The strides of the result, and those of the gradient, which lies as its leaf does."""

    def rule(torch, log):
        x = last(known(torch, 2, 3, 6, 7, step=0.02), torch).requires_grad_()
        made = OPERATIONS[name](torch, torch.nn.functional, x)
        made = made if isinstance(made, tuple) else (made,)
        for out in made:
            log(out, out.stride())
        (made[0] * made[0].detach()).sum().backward()
        log(x.grad, x.grad.stride())

    assert_same(rule)


def rule_a_network_and_its_gradients(torch, log):
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 2, 3), nn.Flatten()
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(weight(torch, *parameter.shape))
    image = known(torch, 2, 2, 10, 9, step=0.01)
    for x, format in ((last(image, torch), torch.preserve_format), (image, torch.channels_last)):
        strides = []
        net.to(memory_format=format)
        handles = [layer.register_forward_hook(lambda m, a, out: strides.append(out.stride())) for layer in net]  # noqa: B023
        net.zero_grad()
        (net(x) ** 2).sum().backward()
        log(strides, [(p.grad, p.grad.stride()) for p in net.parameters()])
        for handle in handles:
            handle.remove()


def rule_gradients_go_through(torch, log):
    x = known(torch, 2, 3, 4, 5, requires_grad=True)
    for change in (
        lambda t: t.to(memory_format=torch.channels_last),
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.clone(memory_format=torch.channels_last),
        lambda t: t.to(torch.float64, memory_format=torch.channels_last),
        lambda t: t.to(copy=True),
        lambda t: t.to("cpu", torch.float32, False, True),
        lambda t: t.to(t, copy=True),
    ):
        x.grad = None
        y = change(x * 2)
        log(y, y.stride(), y.grad_fn.name())
        (y * y).sum().backward()
        log(x.grad, x.grad.stride())


def rule_what_is_no_format(torch, log):
    x = known(torch, 2, 3, 4, 5)
    for wrong in (None, 5, "channels_last"):
        attempt(log, x.is_contiguous, memory_format=wrong)
        attempt(log, x.contiguous, memory_format=wrong)
        if wrong is not None:
            attempt(log, x.clone, memory_format=wrong)
            attempt(log, torch.empty_like, x, memory_format=wrong)
            attempt(log, torch.empty, 2, memory_format=wrong)
    log(torch.empty(2, memory_format=None).stride(), x.clone(memory_format=None).stride())
    log(torch.clone(x, memory_format=torch.channels_last).stride())
    attempt(log, x.transpose(1, 2).contiguous, memory_format=torch.preserve_format)


def rule_formats_print_and_are_copied(torch, log):
    for name in FORMATS:
        format = getattr(torch, name)
        log(repr(format), copy.deepcopy(format) is format, pickle.loads(pickle.dumps(format)) is format)
        log(isinstance(format, torch.memory_format))


def rule_modules(torch, log):
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 3))
    weight = net[0].weight
    (net[0](torch.ones(1, 3, 4, 4)).sum() + net[2].weight.sum()).backward()
    for arguments in (
        {"memory_format": torch.channels_last},
        {"memory_format": torch.contiguous_format, "dtype": torch.float64},
        {"memory_format": torch.preserve_format},
        {"device": "cpu", "memory_format": torch.channels_last},
    ):
        log(net.to(**arguments) is net, net[0].weight is weight)
        log({key: (value.stride(), str(value.dtype)) for key, value in net.state_dict().items()})
        log(net[0].weight.grad.stride(), str(net[0].weight.grad.dtype))
    attempt(log, net.to, memory_format=torch.channels_last_3d)


def rule_to_empty(torch, log):
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    before = dict(net.named_parameters())
    log(net.to_empty(device="cpu") is net)
    log({name: (p is before[name], p.requires_grad, p.stride()) for name, p in net.named_parameters()})
    log({key: list(value.shape) for key, value in net.state_dict().items()})
    held = net[0].weight.data_ptr()
    net.to_empty(device=None, recurse=False)
    log(net[0].weight.data_ptr() == held)
    attempt(log, net.to_empty)
    attempt(log, net.to_empty, "cpu")


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)


def test_to_empty_elsewhere():
    for lib in (minicnn, real_torch):
        with pytest.raises((RuntimeError, AssertionError)):
            lib.nn.Linear(2, 2).to_empty(device="cuda")


# --- operations on other layouts ----------------------------------------------------------------------------------------

IN_ROWS = {
    "cat": lambda lib, x: lib.cat([x, x], 1),
    "stack": lambda lib, x: lib.stack([x, x], 1),
    "roll": lambda lib, x: x.roll(1, 0),
    "tril": lambda lib, x: x.tril(),
    "clone": lambda lib, x: x.clone(),
    "reshape": lambda lib, x: x.reshape(4, -1),
    "repeat": lambda lib, x: x.repeat(2, 1, 1),
    "softmax": lambda lib, x: x.softmax(-1),
    "log_softmax": lambda lib, x: x.log_softmax(0),
    "cumsum": lambda lib, x: x.cumsum(0),
    "masked_fill": lambda lib, x: x.masked_fill(x > 3, 0),
    "gather": lambda lib, x: x.gather(0, (x * 0).long()),
    "index_select": lambda lib, x: x.index_select(1, lib.tensor([0, 1])),
    "index": lambda lib, x: x[:, lib.tensor([0, 1])],
    **{
        name: lambda lib, x, name=name: getattr(x, name)(0)
        for name in ("sum", "mean", "prod", "nansum", "amax", "amin", "var", "std", "logsumexp", "argmax")
    },
    "norm": lambda lib, x: x.norm(dim=0),
    "sum 1": lambda lib, x: x.sum(1, keepdim=True),
    "any": lambda lib, x: x.any(1),
    "all": lambda lib, x: x.all(0, keepdim=True),
    "count_nonzero": lambda lib, x: lib.count_nonzero(x, 1),
    "one_hot": lambda lib, x: lib.nn.functional.one_hot(x.long() % 3, 3),
    "logsigmoid": lambda lib, x: lib.nn.functional.logsigmoid(x),
    "bernoulli": lambda lib, x: lib.bernoulli(x / 200),
}
IN_THEIR_ORDER = {
    "float": lambda lib, x: x.double().float(),
    "long": lambda lib, x: x.long(),
    "zeros_like": lambda lib, x: lib.zeros_like(x),
    "randn_like": lambda lib, x: lib.randn_like(x),
    "relu": lambda lib, x: x.relu(),
    "erf": lambda lib, x: lib.erf(x),
    "gelu": lambda lib, x: lib.nn.functional.gelu(x),
    "clamp": lambda lib, x: x.clamp(1, 3),
    "elu": lambda lib, x: lib.nn.functional.elu(x),
    "exp": lambda lib, x: x.exp(),
    "add": lambda lib, x: x + 1,
    "gt": lambda lib, x: x > 1,
    "flip": lambda lib, x: x.flip(1),
    "rot90": lambda lib, x: x.rot90(1, (1, 2)),
    "sort": lambda lib, x: x.sort(1).values,
    "argsort": lambda lib, x: x.argsort(1),
    "dropout": lambda lib, x: lib.nn.functional.dropout(x, 0.5) * 0,
}
LAYOUTS = {
    "rows": lambda lib: lib.arange(24.0).reshape(2, 3, 4),
    "reversed": lambda lib: lib.arange(24.0).reshape(4, 3, 2).permute(2, 1, 0),
    "swapped": lambda lib: lib.arange(24.0).reshape(3, 2, 4).transpose(0, 1),
    "expanded": lambda lib: lib.arange(4.0).reshape(1, 1, 4).expand(2, 3, 4),
    "expanded in the middle": lambda lib: lib.arange(8.0).reshape(2, 1, 4).expand(2, 3, 4),
    "with gaps": lambda lib: lib.arange(192.0).reshape(8, 6, 4).permute(2, 1, 0)[::2, ::2, ::2],
}


@pytest.mark.parametrize("name", IN_ROWS)
def test_what_lies_in_rows_in_pytorch(name):
    """...does so here, whatever the order of the operands: `view` works."""
    for layout, make in LAYOUTS.items():
        ours, theirs = (IN_ROWS[name](lib, make(lib)) for lib in (minicnn, real_torch))
        assert ours.is_contiguous() or not theirs.is_contiguous(), layout


@pytest.mark.parametrize("name", IN_THEIR_ORDER)
def test_what_lies_as_its_operand_does(name):
    for layout, make in LAYOUTS.items():
        ours, theirs = (IN_THEIR_ORDER[name](lib, make(lib)) for lib in (minicnn, real_torch))
        assert ours.stride() == theirs.stride(), layout
        if name != "randn_like":
            assert_close(numbers(ours), numbers(theirs), layout)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("weight", [True, False])
def test_the_gradient_of_a_batch_norm_lies_as_its_input(training, weight):
    def strides(lib):
        norm = lib.nn.BatchNorm2d(3, affine=weight).train(training)
        x = lib.ones(2, 3, 4, 5).to(memory_format=lib.channels_last).requires_grad_()
        (to_x,) = lib.autograd.grad(norm(x), x, lib.ones(2, 3, 4, 5).to(memory_format=lib.channels_last))
        return to_x.stride()

    assert strides(minicnn) == strides(real_torch)
