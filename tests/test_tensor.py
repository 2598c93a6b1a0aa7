"""The tensor as an object, against torch: printing, numbers out of it, indexing, memory, versions, copies."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest
from compare import same, same_error

import minicnn


def text(make):
    """The same `repr` in both libraries."""
    return same(lambda lib: repr(make(lib)))


# --- printing -------------------------------------------------------------------------------------------------------------

PRINTED = {
    "0-d": lambda lib: lib.tensor(2.5),
    "0-d whole number": lambda lib: lib.tensor(3.0),
    "0-d small": lambda lib: lib.tensor(1.5e-7),
    "0-d large": lambda lib: lib.tensor(123456789.0),
    "0-d int": lambda lib: lib.tensor(3),
    "0-d bool": lambda lib: lib.tensor(True),
    "floats": lambda lib: lib.tensor([1.0, 2.5, -3.0]),
    "whole numbers": lambda lib: lib.tensor([1.0, 2.0, -3.0]),
    "thirds": lambda lib: lib.tensor([1 / 3, 2 / 3]),
    "widths": lambda lib: lib.tensor([1.5, 100.25, -7.0]),
    "scientific": lambda lib: lib.tensor([1e-6, 1.0]),
    "scientific large": lambda lib: lib.tensor([1e9, 1.5]),
    "large whole": lambda lib: lib.tensor([100000.0, 1.0]),
    "special": lambda lib: lib.tensor([1.0, float("nan"), float("inf"), -float("inf")]),
    "only special": lambda lib: lib.tensor([float("nan"), float("inf")]),
    "zeros": lambda lib: lib.zeros(2, 3),
    "minus zero": lambda lib: lib.tensor([-0.0, 0.5]),
    "ints": lambda lib: lib.tensor([[1, -20], [300, 4]]),
    "bools": lambda lib: lib.tensor([[True, False], [False, True]]),
    "uint8": lambda lib: lib.tensor([1, 200], dtype=lib.uint8),
    "int32": lambda lib: lib.tensor([1, 200], dtype=lib.int32),
    "float64": lambda lib: lib.tensor([0.1, 0.2], dtype=lib.float64),
    "float64 0-d": lambda lib: lib.tensor(0.1, dtype=lib.float64),
    "empty": lambda lib: lib.tensor([]),
    "empty with a shape": lambda lib: lib.zeros(2, 0),
    "empty ints": lambda lib: lib.zeros(0, dtype=lib.int64),
    "three dims": lambda lib: lib.arange(12.0).reshape(2, 3, 2),
    "four dims": lambda lib: lib.arange(16).reshape(2, 2, 2, 2),
    "wrapped lines": lambda lib: lib.arange(40.0) / 3,
    "summarised": lambda lib: lib.arange(2000.0),
    "summarised matrix": lambda lib: lib.arange(10000).reshape(100, 100),
    "summarised image": lambda lib: lib.zeros(2, 8, 20, 20),
    "requires_grad": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True),
    "grad_fn": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True) * 2,
    "grad_fn of 0-d": lambda lib: lib.tensor([1.0, 2.0], requires_grad=True).sum(),
    "grad_fn of a long line": lambda lib: lib.ones(2, 9, requires_grad=True).exp(),
    "grad_fn float64": lambda lib: lib.ones(2, dtype=lib.float64, requires_grad=True) + 1,
    "relu": lambda lib: lib.tensor([1.0, -2.0], requires_grad=True).relu(),
    "parameter": lambda lib: lib.nn.Parameter(lib.ones(2, 2)),
    "transposed": lambda lib: lib.arange(6).reshape(2, 3).t(),
    "Size": lambda lib: lib.zeros(1, 16, 32, 32).shape,
    "Size of 0-d": lambda lib: lib.zeros(()).shape,
    "Size of one": lambda lib: lib.zeros(4).size(),
    "part of a Size": lambda lib: lib.zeros(1, 16, 32, 32).shape[2:],
    "sum of Sizes": lambda lib: lib.zeros(1, 2).shape + (3,),
    "dtype": lambda lib: lib.float32,
    "dtype of long": lambda lib: lib.long,
    "device": lambda lib: lib.zeros(1).device,
    "device with an index": lambda lib: lib.device("cuda:1"),
    "max along a dim": lambda lib: lib.tensor([[1.0, 3.0], [5.0, 2.0]]).max(1),
    "sort": lambda lib: lib.tensor([2, 1, 3]).sort(),
    "topk": lambda lib: lib.tensor([2.0, 1.0, 3.0]).topk(2),
}


@pytest.mark.parametrize("make", PRINTED.values(), ids=PRINTED.keys())
def test_repr(make):
    text(make)
    same(lambda lib: str(make(lib)))


def test_format():
    same(lambda lib: f"{lib.tensor(2.5):.3f} {lib.tensor(7):>4d} {lib.tensor(2.5)} {lib.tensor([1.0])}")
    same_error(lambda lib: f"{lib.tensor([1.0, 2.0]):.3f}")


def test_shape_as_the_first_snippet_prints_it():
    x = minicnn.randn(1, 3, 32, 32)
    y = minicnn.nn.Conv2d(3, 16, kernel_size=3, padding=1)(x)
    assert str(y.shape) == "torch.Size([1, 16, 32, 32])"


# --- attributes and numbers out of it -------------------------------------------------------------------------------------


def test_attributes():
    def seen(lib):
        x = lib.zeros(2, 3, 4, requires_grad=True)
        y = x.sum(0)
        return [
            (tuple(t.shape), t.size(), t.dim(), t.ndim, t.numel(), t.requires_grad, t.is_leaf, t.element_size())
            + (
                t.is_contiguous(),
                t.stride(),
                t.is_floating_point(),
                str(t.device),
                t.is_cuda,
                t.output_nr,
                t.nelement(),
            )
            for t in (x, y, x.permute(2, 0, 1), lib.tensor(1))
        ]

    same(seen)
    same(lambda lib: [lib.is_tensor(lib.zeros(1)), lib.is_tensor(np.zeros(1)), lib.numel(lib.zeros(2, 3))])


def test_numbers_out():
    same(lambda lib: lib.tensor([[1.0, 2.5], [3.0, 4.0]]).tolist())
    same(lambda lib: lib.tensor([[True], [False]]).tolist())
    same(
        lambda lib: [
            lib.tensor(2.5).tolist(),
            lib.tensor([2.5]).item(),
            lib.tensor([[7]]).item(),
            lib.tensor(True).item(),
        ]
    )
    same(lambda lib: [type(lib.tensor(2.5).item()), type(lib.tensor(2).item()), type(lib.tensor(True).item())])
    same(
        lambda lib: [float(lib.tensor(2)), int(lib.tensor(2.9)), bool(lib.tensor([0.0])), round(float(lib.tensor(2.6)))]
    )
    same(lambda lib: [range(5)[lib.tensor(3)], [10, 20, 30][lib.tensor(1)]])
    same(lambda lib: [len(lib.zeros(3, 2)), [x.item() for x in lib.arange(3)]])
    same(lambda lib: [2.0 in lib.tensor([1.0, 2.0]), 3 in lib.tensor([1, 2])])


def test_numpy_shares_memory():
    x = minicnn.zeros(3)
    array = x.numpy()
    array[1] = 5
    x[2] = 7
    assert x.tolist() == [0, 5, 7] == array.tolist()
    assert x.array is array or np.shares_memory(x.array, array)
    assert x.cpu().detach().numpy().dtype == np.float32
    np.testing.assert_array_equal(np.asarray(x), array)
    np.testing.assert_array_equal(np.exp(x.numpy()), np.exp(np.array([0, 5, 7], np.float32)))


def test_numpy_of_a_tensor_that_requires_grad():
    same_error(lambda lib: lib.ones(2, requires_grad=True).numpy())
    same_error(lambda lib: (lib.ones(2, requires_grad=True) * 2).numpy())
    same_error(lambda lib: np.asarray(lib.ones(2, requires_grad=True)))
    same(lambda lib: (lib.ones(2, requires_grad=True) * 2).detach().numpy().tolist())


def test_conversions():
    def kinds(lib):
        x = lib.tensor([1.5, -2.5])
        made = [
            x.to(lib.float64),
            x.to("cpu"),
            x.to(x.device, lib.int64),
            x.double(),
            x.float(),
            x.long(),
            x.int(),
            x.bool(),
        ]
        made += [
            x.to(lib.zeros(1, dtype=lib.float64)),
            x.type(lib.float64),
            x.abs().to(dtype=lib.uint8),
            x.abs().byte(),
        ]
        return [(str(t.dtype), t.tolist()) for t in made]

    def same_object(lib):
        x = lib.zeros(2)
        return [x.to(lib.float32) is x, x.float() is x, x.cpu() is x, x.contiguous() is x, x.to("cpu", copy=True) is x]

    same(kinds)
    same(same_object)
    same(lambda lib: lib.zeros(1).type())
    same(lambda lib: lib.cuda.is_available() and False)


def test_other_devices_are_refused():
    for refused in [
        lambda: minicnn.zeros(1, device="cuda"),
        lambda: minicnn.zeros(1).to("cuda"),
        lambda: minicnn.zeros(1).cuda(),
        lambda: minicnn.tensor([1.0], device=minicnn.device("cuda:0")),
    ]:
        with pytest.raises((RuntimeError, AssertionError), match="(?i)cpu|cuda"):
            refused()
    assert minicnn.cuda.is_available() is False


# --- memory: views, in-place changes, versions ----------------------------------------------------------------------------

VIEWS = {
    "view": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(3, 2),
    "flatten": lambda x: x.flatten(),
    "index int": lambda x: x[0],
    "slice": lambda x: x[:, 1:],
    "None and Ellipsis": lambda x: x[None, ..., 0],
    "transpose": lambda x: x.t(),
    "T": lambda x: x.T,
    "permute": lambda x: x.permute(1, 0),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "squeeze": lambda x: x.squeeze(),
    "select": lambda x: x.select(1, 0),
    "narrow": lambda x: x.narrow(1, 0, 2),
    "expand": lambda x: x[:1].expand(4, 3),
    "split": lambda x: x.split(1)[0],
    "chunk": lambda x: x.chunk(2)[0],
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "iteration": lambda x: next(iter(x)),
    "view_as": lambda x: x.view_as(x),
    "index tensor": lambda x: x[[0]],
    "mask": lambda x: x[x > -1],
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.contiguous(),
    "contiguous of a transpose": lambda x: x.t().contiguous(),
    "reshape of a transpose": lambda x: x.t().reshape(-1),
    "flip": lambda x: x.flip(0),
    "repeat": lambda x: x.repeat(1, 1),
    "to the same dtype": lambda x: x.to(x.dtype),
    "+ 0": lambda x: x + 0,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_what_shares_memory(view):
    def observed(lib):
        x = lib.arange(6.0).reshape(2, 3).clone()
        y = view(x)
        x[0, 0] = 50
        seen_by_y = 50.0 in y.flatten().tolist()
        version = x._version, y._version
        y.fill_(-3.0) if y._is_view() or not seen_by_y else y.mul_(-3)
        return seen_by_y, version, x.tolist(), x._version, y._version, y._is_view()

    same(observed)


def test_writing_to_an_expanded_tensor_is_refused():
    same_error(lambda lib: lib.zeros(1, 3).expand(4, 3).add_(1))
    same_error(lambda lib: lib.zeros(1, 3).expand(4, 3).copy_(lib.ones(4, 3)))


def test_base_of_a_view():
    def bases(lib):
        x = lib.zeros(2, 3)
        y = x.view(-1)[1:]
        return x._base is None, y._base is not None and y._base.shape == (2, 3), x.data._base is None

    same(bases)


def test_versions_are_counted():
    def versions(lib):
        x = lib.zeros(2, 3)
        seen = [x._version]
        for change in [
            lambda: x.add_(1),
            lambda: x[0].mul_(2),
            lambda: x.__setitem__(0, 3),
            lambda: x.copy_(lib.ones(2, 3)),
            lambda: x.data.zero_(),
            lambda: x.detach().zero_(),
            lambda: x.numpy().fill(1),
            lambda: x.relu_().clamp_(0, 1),
            lambda: x.fill_(2),
        ]:
            change()
            seen.append(x._version)
        return seen

    same(versions)


def test_augmented_assignment_changes_in_place():
    def shared(lib):
        x = y = lib.ones(2)
        x += 1
        x *= 3
        x -= 2
        x /= 2
        return x is y, y.tolist(), y._version

    same(shared)


def test_set_items():
    def changed(lib):
        x = lib.arange(24.0).reshape(4, 6).clone()
        x[0] = 1
        x[1, 2] = lib.tensor(-1.0)
        x[2:, ::2] = lib.tensor([7.0, 8.0, 9.0])
        x[x > 20] = 0
        x[lib.tensor([0, 3]), lib.tensor([1, 1])] = 99
        x[..., -1] = lib.arange(4)
        x[[1, 2]] += 100
        x[None, 3] = 4.5
        x[:, 3] *= 2
        return x.tolist()

    same(changed)


def test_in_place_forms_return_the_tensor():
    names = ["add_", "sub_", "mul_", "div_"]
    same(lambda lib: [(lambda x: getattr(x, n)(2) is x)(lib.ones(2)) for n in names])
    for name in ["relu_", "zero_", "sqrt_", "abs_", "neg_", "tanh_", "sigmoid_", "t_", "squeeze_", "detach_"]:
        same(lambda lib, name=name: (lambda x: (getattr(x, name)() is x, x.tolist()))(lib.ones(1, 2)))
    same(lambda lib: (lambda x: (x.unsqueeze_(0) is x, tuple(x.shape)))(lib.ones(2)))
    same(lambda lib: (lambda x: (x.requires_grad_() is x, x.requires_grad))(lib.ones(2)))


def test_random_in_place_forms():
    minicnn.manual_seed(0)
    x = minicnn.zeros(10_000)
    assert x.normal_(2, 0.5) is x
    assert abs(x.mean().item() - 2) < 0.03
    assert abs(x.std().item() - 0.5) < 0.03
    assert x.uniform_(-1, 3) is x
    assert abs(x.mean().item() - 1) < 0.06
    assert -1 <= x.min().item() < -0.99
    assert 2.99 < x.max().item() < 3


# --- copies ---------------------------------------------------------------------------------------------------------------


def test_deepcopy_of_a_leaf():
    def copied(lib):
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        (x * 3).sum().backward()
        y = copy.deepcopy(x)
        y.data.add_(1)
        return x.tolist(), y.tolist(), y.requires_grad, y.is_leaf, y.grad.tolist(), y.grad is x.grad, type(y).__name__

    same(copied)


def test_deepcopy_keeps_what_is_shared():
    def shared(lib):
        x = lib.zeros(2)
        pair = copy.deepcopy([x, x])
        return pair[0] is pair[1], pair[0] is x

    same(shared)


def test_deepcopy_keeps_shared_memory():
    def copies(lib):
        a = lib.arange(12.0).reshape(3, 4)
        originals = [a, a[:2], a.t(), a[1:, ::2], a[0].expand(2, 4), a.detach(), lib.nn.Parameter(a[2]), a.clone()]
        new = copy.deepcopy(originals)
        new[0][0, 0], new[6].data[1] = 100, 200
        return [t.tolist() for t in new] + [t.stride() for t in new] + [t.tolist() for t in originals]

    same(copies)
    same(
        lambda lib: [
            lib.arange(6.0).reshape(2, 3)[1].expand(2, 3).storage_offset(),
            lib.arange(6)[1:].unfold(0, 2, 1).storage_offset(),
        ]
    )
    one, view = copy.deepcopy([minicnn.zeros(3), minicnn.ones(4)[1:]])
    assert (one.tolist(), view.tolist()) == ([0, 0, 0], [1, 1, 1])
    assert copy.deepcopy(minicnn.zeros(0, 3)).shape == (0, 3)


def test_deepcopy_of_a_result_is_refused():
    same_error(lambda lib: copy.deepcopy(lib.ones(2, requires_grad=True) * 2))


def test_deepcopy_of_a_parameter():
    same(
        lambda lib: (lambda p: (type(p).__name__, p.requires_grad, p.tolist()))(
            copy.deepcopy(lib.nn.Parameter(lib.ones(2)))
        )
    )


@pytest.mark.parametrize("make", ["tensor", "Parameter"])
def test_pickle_of_a_leaf(make):
    def loaded(lib):
        x = lib.tensor([[1.0, 2.0]], requires_grad=True)
        x = lib.nn.Parameter(x.detach()) if make == "Parameter" else x
        y = pickle.loads(pickle.dumps(x))
        return type(y).__name__, y.tolist(), str(y.dtype), y.requires_grad, y.is_leaf, y.grad

    same(loaded)


def test_pickle_of_dtypes_sizes_and_devices():
    same(
        lambda lib: [repr(pickle.loads(pickle.dumps(v))) for v in (lib.float32, lib.int64, lib.bool, lib.device("cpu"))]
    )
    same(lambda lib: repr(pickle.loads(pickle.dumps(lib.zeros(2, 3).shape))))
    same(lambda lib: pickle.loads(pickle.dumps(lib.float32)) is lib.float32)
    same(lambda lib: copy.deepcopy(lib.float32) is lib.float32)


def test_pickle_of_a_result_gives_a_leaf():
    def loaded(lib):
        y = pickle.loads(pickle.dumps(lib.ones(2, requires_grad=True) * 2))
        return y.tolist(), y.requires_grad, y.is_leaf

    same(loaded)


def test_tensors_are_compared_elementwise_and_hashed_by_identity():
    def observed(lib):
        x, y = lib.zeros(2), lib.zeros(2)
        return (x == y).tolist(), (x != 1).tolist(), len({x, y, x}), x == None, hash(x) == hash(x)  # noqa: E711

    same(observed)


def test_user_attributes():
    def kept(lib):
        x = lib.zeros(2)
        x.note = "mine"
        return x.note, copy.deepcopy(x).note, hasattr(x.clone(), "note")

    same(kept)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("name", ["minicnn", "torch"])
def test_storage(name):
    """Views share it; it is as large as all of the memory."""
    lib = pytest.importorskip(name)
    x = lib.arange(12.0).reshape(3, 4)
    for storage, size in ((lib.Tensor.storage, 12), (lib.Tensor.untyped_storage, 48)):
        assert storage(x).data_ptr() == x.data_ptr() == storage(x[1:].t()).data_ptr() != storage(x.clone()).data_ptr()
        assert storage(x[1:]).size() == len(storage(x)) == size and storage(x).nbytes() == 48
        assert 48 < sys.getsizeof(storage(x)) < 48 + 200
    assert x.t().storage().tolist() == list(range(12)) and x.storage().element_size() == 4
    assert x.storage().dtype == lib.float32 and x.storage().untyped().nbytes() == 48


@pytest.mark.filterwarnings("ignore:.*is_mtia")
def test_what_a_tensor_on_the_cpu_is_not():
    ours, theirs = minicnn.ones(1), pytest.importorskip("torch").ones(1)
    names = [name for name in dir(theirs) if name.startswith("is_") and isinstance(getattr(theirs, name), bool)]
    missing = [name for name in names if not hasattr(ours, name)]
    assert missing == []
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    for name in ("get_device", "is_signed", "is_pinned", "is_shared"):
        assert getattr(ours, name)() == getattr(theirs, name)()
    assert not minicnn.ones(1).byte().is_signed()


@pytest.mark.parametrize("name", ["minicnn", "torch"])
def test_as_subclass(name):
    lib = pytest.importorskip(name)

    class Image(lib.Tensor):
        def area(self):
            return self.shape[-1] * self.shape[-2]

    x = lib.ones(3, 4, 5).requires_grad_()
    image = x.transpose(1, 2).as_subclass(Image)
    assert type(image) is Image and isinstance(image, lib.Tensor) and image.area() == 20
    assert image.data_ptr() == x.data_ptr() and image.stride() == (20, 1, 5)
    (image * 2).sum().backward()
    assert x.grad.tolist() == lib.full((3, 4, 5), 2.0).tolist()
    with pytest.raises(TypeError, match="does not inherit from Tensor"):
        x.as_subclass(int)
