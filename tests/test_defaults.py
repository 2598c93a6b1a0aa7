"""What new tensors are when nobody says it: default type and device; types as classes, old constructors, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch as real_torch
from both import assert_same, attempt, known, scenarios

import minicnn
from minicnn import kernels

KINDS = ["float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]
CLASSES = ["Half", "Float", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool"]


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """As they were, after each test."""
    yield
    for lib in (minicnn, real_torch):
        lib.set_default_dtype(lib.float32)
        lib.set_default_device(None)


def shown(log, function, *args, **kwargs):
    """What it makes: type, shape, numbers; or the error's type and the first line of its text."""
    try:
        made = function(*args, **kwargs)
    except Exception as error:
        log(type(error).__name__, str(error).partition("\n")[0])
    else:
        log(made)


# The default type -----------------------------------------------------------------------------------------------------


def rule_default_dtype(torch, log):
    for kind in ("float64", "float16", "float32"):
        torch.set_default_dtype(getattr(torch, kind))
        log(str(torch.get_default_dtype()), torch.get_default_dtype() is getattr(torch, kind))
        whole = torch.tensor([1, 2])
        for made in (
            torch.tensor([1.5]), torch.tensor(1.5), torch.as_tensor([1.5]), torch.Tensor([1, 2]), torch.zeros(2),
            torch.ones(2), torch.full((2,), 1.5), torch.arange(2.0), torch.arange(2), torch.linspace(0, 1, 2),
            torch.eye(2), whole / 2, whole + 1.5, whole.exp(), whole * 2, torch.ones(2) * 2, torch.FloatTensor([1]),
            torch.from_numpy(np.ones(2, np.float32)), torch.rand(2) * 0, torch.randn(2).abs() * 0, torch.tensor(np.ones(2)),
        ):  # fmt: skip
            log(made.dtype is getattr(torch, kind), made)
            log(repr(made))
        for empty in (torch.empty(0), torch.empty(0, 2), torch.empty(0, dtype=torch.float32), torch.LongTensor()):
            log(repr(empty))
    torch.set_default_dtype(torch.float64)
    log(torch.tensor(1j).dtype is torch.complex128, repr(torch.tensor([1j])), torch.tensor([1]) + 1j)
    layer = torch.nn.BatchNorm1d(2)
    log(
        {key: str(value.dtype) for key, value in layer.state_dict().items()},
        layer(torch.ones(2, 2)).dtype is torch.float64,
    )
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    log([str(value.dtype) for value in optimizer.state_dict()["state"][0].values()])


def rule_default_dtype_refuses(torch, log):
    for wrong in (torch.int32, torch.complex64, torch.bool, 5, "float64", None):
        attempt(log, torch.set_default_dtype, wrong)
        log(str(torch.get_default_dtype()))


def rule_default_tensor_type(torch, log):
    for given in (torch.DoubleTensor, "torch.HalfTensor", torch.FloatTensor, torch.LongTensor, torch.float64):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns once in a process
            attempt(log, torch.set_default_tensor_type, given)
        log(str(torch.get_default_dtype()))


def test_the_old_function_warns():
    with pytest.warns(UserWarning, match="set_default_tensor_type.. is deprecated"):
        minicnn.set_default_tensor_type(minicnn.DoubleTensor)


def test_the_default_dtype_is_of_all_threads():
    seen = []
    minicnn.set_default_dtype(minicnn.float64)
    thread = threading.Thread(target=lambda: seen.append(minicnn.ones(1).dtype))
    thread.start()
    thread.join()
    assert seen == [minicnn.float64]


# The default device ---------------------------------------------------------------------------------------------------


def rule_device_as_context(torch, log):
    with torch.device("cpu") as device:
        log(str(device), str(torch.ones(2).device), str(torch.get_default_device()))
        with torch.device("meta") as inner:
            log(str(inner), str(torch.get_default_device()))
            with torch.device("cpu"):
                log(torch.ones(2), str(torch.get_default_device()))
        log(torch.ones(2))
    torch.set_default_device("cpu")
    log(str(torch.get_default_device()))
    torch.set_default_device("meta")
    with torch.device("cpu"):
        log(torch.ones(2))
    log(str(torch.get_default_device()))
    torch.set_default_device(None)
    log(str(torch.get_default_device()), torch.ones(2))


def rule_a_device_of_a_block_does_not_move_what_is_there(torch, log):
    x = known(torch, 2, 3)
    with torch.device("meta"):
        for made in (
            torch.ones_like(x),
            x.double(),
            x.new_ones(2),
            torch.randn_like(x) * 0,
            x + 1,
            x.clone(),
            x.long(),
        ):
            log(made, str(made.device))
        log(torch.from_numpy(np.ones(2)), torch.ones(2, device="cpu"))
        layer = torch.nn.Linear(2, 2, device="cpu")
        log(str(layer.weight.device))


def test_elsewhere_nothing_is_made():
    for make in (
        lambda: minicnn.ones(2),
        lambda: minicnn.tensor([1]),
        lambda: minicnn.as_tensor(3),
        lambda: minicnn.empty(2),
        lambda: minicnn.arange(3),
        lambda: minicnn.nn.Linear(2, 2),
        lambda: minicnn.rand(2),
    ):
        with minicnn.device("cuda"), pytest.raises(RuntimeError, match="device 'cuda' is not available"):
            make()
        make()


def test_the_default_device_is_the_threads():
    for lib in (minicnn, real_torch):
        lib.set_default_device("meta")
        seen = []
        thread = threading.Thread(target=lambda lib=lib, seen=seen: seen.append(str(lib.ones(1).device)))
        thread.start()
        thread.join()
        assert seen == ["cpu"]


# Types as classes, old constructors -----------------------------------------------------------------------------------


def rule_types_as_classes(torch, log):
    classes = [getattr(torch, f"{name}Tensor") for name in CLASSES]
    for kind in KINDS:
        x = torch.ones(2).to(getattr(torch, kind))
        log(kind, [isinstance(x, cls) for cls in classes], isinstance(x, torch.Tensor), x.type())
        log([isinstance(x, getattr(torch.cuda, f"{name}Tensor")) for name in CLASSES])
    log([isinstance(3, cls) for cls in classes], isinstance(torch.nn.Parameter(torch.ones(2)), torch.FloatTensor))
    log([(cls.__name__, str(cls.dtype), cls.is_cuda, issubclass(cls, torch.Tensor)) for cls in classes])
    log(repr(torch.FloatTensor))


def constructors(torch):
    x = known(torch, 2, 3)
    return [
        (), (0,), (2,), (2, 3), ([1, 2],), ((1, 2),), (torch.Size([2, 1]),), (torch.Size([]),), (x,), (x.long(),),
        (x.double(),), (5.5,), ([[1, 2], [3, 4]],), (torch.tensor(3),), ("a",), (["a"],), (np.ones(2),), (True,),
        (range(3),), ([],), ([[]],), (torch.tensor(3), 2), ([True, False],), (-1,), (2, -1), ([1j],), ([[1, 2], [3]],),
        ([torch.tensor(1), torch.tensor(2)],),
    ]  # fmt: skip


def rule_old_constructors(torch, log):
    for name in CLASSES:
        for data in constructors(torch):
            undefined = not data or isinstance(data[0], (int, torch.Size)) or len(data) > 1
            make = getattr(torch, f"{name}Tensor")
            shown(log, (lambda *d, make=make: list(make(*d).shape)) if undefined else make, *data)
    for data in constructors(torch):
        undefined = not data or isinstance(data[0], (int, torch.Size)) or len(data) > 1
        for make in (torch.Tensor, known(torch, 1).new, known(torch, 1).long().new, known(torch, 1).double().new):
            shown(log, (lambda *d, make=make: list(make(*d).shape)) if undefined else make, *data)


def rule_old_constructors_share_memory(torch, log):
    x = known(torch, 2, 3)
    for make in (torch.Tensor, torch.FloatTensor, x.new):
        y = make(x)
        log(y is x, y.data_ptr() == x.data_ptr(), y.grad_fn, y.requires_grad)
        z = make(x * 1).requires_grad_() * 2
        w = make(z)
        log(w.requires_grad, w.grad_fn.name(), w._is_view())
        (w * w).sum().backward()
        log(w._version, z._version)
        w.mul_(2)
        log(w._version, z._version, z)
    array = np.zeros(2, np.float32)
    y = torch.Tensor(array)
    array[0] = 5
    log(y)


def rule_old_constructors_and_devices(torch, log):
    x = known(torch, 2)
    for make in (torch.Tensor, torch.FloatTensor, x.new):
        shown(log, lambda make=make: make([1, 2], device="cpu"))
        shown(log, lambda make=make: make([1, 2], device=torch.device("cpu")))
        shown(log, lambda make=make: make([1, 2], device="cuda"))
        with torch.device("meta"):
            log(str(make(2).device))
    if not real_torch.version.cuda:  # PyTorch was built without CUDA, as minicnn is
        shown(log, torch.cuda.FloatTensor, 2)
        shown(log, torch.cuda.LongTensor, [1])


def rule_a_class_of_ones_own(torch, log):
    class Mine(torch.Tensor):
        pass

    for data in ((2, 3), ([1, 2],), (known(torch, 2),)):
        made = Mine(*data)
        log(type(made).__name__, isinstance(made, Mine), list(made.shape), str(made.dtype))


def rule_type(torch, log):
    x = known(torch, 2, requires_grad=True)
    for kind in (torch.LongTensor, torch.FloatTensor, "torch.DoubleTensor", torch.int32, "torch.BoolTensor", None):
        log(x.type(kind), x.type(kind) is x)
    log(x.type(torch.float64).grad_fn.name(), x.type(dtype=torch.float16))
    attempt(log, x.type, "nix")
    net = torch.nn.Linear(2, 2).type(torch.DoubleTensor)
    log(str(net.weight.dtype))


def test_a_type_of_another_device():
    for lib in (minicnn, real_torch):
        with pytest.raises(RuntimeError):
            lib.ones(2).type("torch.cuda.FloatTensor")


# new_* ----------------------------------------------------------------------------------------------------------------


def rule_new(torch, log):
    x, whole = known(torch, 2, 3), torch.tensor([1, 2])
    for name in ("new_zeros", "new_ones"):
        for of in (x, whole, x.double()):
            make = getattr(of, name)
            log(make(2, 1), make((2, 1)), make([2]), make(torch.Size([2])), make(2, dtype=torch.float16))
            log(
                make(2, device="cpu"),
                make((2,), device=torch.device("cpu"), dtype=torch.float32, requires_grad=True).requires_grad,
            )
            attempt(log, make, -1)
            attempt(log, make, 2, requires_grad=True, dtype=torch.int64)
    log(x.new_empty(2, 1, device="cpu").shape, x.new_empty((2,), dtype=torch.int8).dtype is torch.int8)
    for of in (x, whole):
        log(of.new_full((2,), 3), of.new_full((2,), 3.5), of.new_full((2,), True), of.new_full((), torch.tensor(3.0)))
        log(of.new_full([2, 1], 3, dtype=torch.float64, device="cpu"))
        attempt(log, of.new_full, (-1,), 3)
        log(
            of.new_tensor([1.5, 2]),
            of.new_tensor(3, device="cpu"),
            of.new_tensor(np.ones(2, np.int32)),
            of.new_tensor([]),
        )
        log(of.new_tensor([1.5], dtype=torch.int32), of.new_tensor(x))
        attempt(log, of.new_tensor, [[1], [2, 3]])
        attempt(log, of.new_tensor, "a")
    log(x.new_tensor([torch.tensor(1.0), 2]))
    attempt(log, whole.new_tensor, [1], requires_grad=True)
    log(x.new_tensor(5, requires_grad=True).requires_grad)


def test_new_elsewhere():
    for name, arguments in (
        ("new_zeros", (2,)),
        ("new_ones", (2,)),
        ("new_empty", (2,)),
        ("new_full", ((2,), 1)),
        ("new_tensor", ([1],)),
    ):
        for lib in (minicnn, real_torch):
            with pytest.raises((RuntimeError, AssertionError)):
                getattr(lib.ones(2), name)(*arguments, device="cuda")


# Threads --------------------------------------------------------------------------------------------------------------


def rule_threads(torch, log):
    before = torch.get_num_threads()
    log(before > 0)
    for number in (2, 1, 3, before):
        log(torch.set_num_threads(number), torch.get_num_threads() == number)
    for wrong in (0, -1, 2.5, "2", True, None):
        attempt(log, torch.set_num_threads, wrong)
        log(torch.get_num_threads() == before)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_kernels_use_these_threads(threads, monkeypatch):
    parts = []
    monkeypatch.setattr(kernels.parallel, "THREADS", kernels.parallel.THREADS)
    minicnn.set_num_threads(threads)
    kernels.parallel.run(lambda start, stop: parts.append((start, stop)), 10, 10**9)
    assert len(parts) == threads
    assert sorted(parts)[0][0] == 0 and sorted(parts)[-1][1] == 10


@pytest.mark.slow
def test_threads_while_a_debugger_steps_through_the_loops():
    code = "import minicnn as m; m.set_num_threads(2); m.set_num_threads(4); x = m.ones(1, 2, 90, 90)\n"
    code += "print(m.relu(x).sum().item(), m.get_num_threads())"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "16200.0 4\n"


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
