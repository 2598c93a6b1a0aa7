"""What a pickle may ask for: a fixed list of names, each a value, or a function of its own that makes what PyTorch's makes.

A function takes the reader of the pickle, then the arguments that the file gives. Each of
them is applied, or refused by name.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import _types
from minicnn._tensor import Tensor
from minicnn._types import Size, UnheldDtype, device, dtype, layout
from minicnn.nn import Parameter
from minicnn.serialization._errors import ForbiddenError, WeightsError, short
from minicnn.serialization._storages import WIDER, held_type, raw_type, widen

MAX_DIMENSIONS = 64  # NumPy's limit
MAX_REPEATED = 2**26  # elements of a tensor that repeats numbers, such as an expanded one
MAX_RESOLVED = 1 << 28  # bytes of tensors with a conjugate or negative bit
MAX_FLAT = 32  # entries of a tuple that is a key
MAX_ODD_KEYS = 5000  # see `Reader.key`


class Reader:
    """What the functions below may ask of the reader (`_unpickle.Machine`) that calls them; it counts for all of one file."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []  # what needs the numbers of the storages
        self.wide: dict[tuple[int, str], np.ndarray] = {}
        self.odd_keys = self.resolved = 0

    def key(self, key: Any, table: Any) -> Any:
        """A key of a dictionary or an element of a set: text, a number, or a flat tuple of them.

        Python looks for a number where the number says. So numbers can be chosen to be looked for at the same place, and
        each would be compared with all before it. Those that are no count 0, 1, 2 ... are therefore limited.
        """
        if isinstance(key, (str, bytes)) or (type(key) is int and 0 <= key <= 2 * len(table) + 1000):
            return key
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) > MAX_FLAT or not all(
            isinstance(part, (str, int, float, bytes, type(None), dtype)) for part in parts
        ):
            raise WeightsError(f"a {type(key).__name__} as the key of a dictionary")
        self.odd_keys += len(parts)
        if self.odd_keys > MAX_ODD_KEYS:
            raise WeightsError(
                f"its dictionaries have more than {MAX_ODD_KEYS:,} keys that are neither text nor a count"
            )
        return key

    def widened(self, storage: np.ndarray, raw: np.ndarray, stored: str) -> np.ndarray:
        """The numbers of a storage whose type NumPy does not have, `raw`, in one that holds them; the same for all its tensors."""
        key = (id(storage), stored)
        if key not in self.wide:
            self.wide[key] = np.empty(len(raw), held_type(stored))
            self.later.append(lambda: widen(raw, stored, self.wide[key]))
        return self.wide[key]


class StorageType:
    """`torch.FloatStorage`: what a pickle says of the element type of a storage."""

    def __init__(self, name: str, stored: str) -> None:
        self.name, self.stored = name, stored  # `stored`: a type of `_storages.py`


STORED = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16", "Byte": "u1", "Char": "i1", "Short": "i2",
    "Int": "i4", "Long": "i8", "Bool": "b1", "ComplexFloat": "c8", "ComplexDouble": "c16",
}  # fmt: skip
UNHELD = (  # types whose numbers NumPy has no type for
    *WIDER, "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "quint8", "qint8", "qint32",
    "quint4x2", "quint2x4", *(f"{sign}int{k}" for sign in ("", "u") for k in range(1, 8)),
)  # fmt: skip
LAYOUTS = {
    f"torch.{name}": layout(name)
    for name in ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "_mkldnn")
}


# --- tensors ----------------------------------------------------------------------------------------------------------


def rebuild_tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple) -> Tensor:
    """The tensor of shape `size` whose element (i, j ...) is number `offset + i stride[0] + j stride[1] ...`."""
    if not isinstance(storage, np.ndarray):
        raise WeightsError("a tensor without a storage")
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise WeightsError(f"a tensor of shape {short(size)} with strides {short(stride)}")
    if len(size) > MAX_DIMENSIONS:
        raise WeightsError(f"a tensor of {len(size)} dimensions: NumPy has at most {MAX_DIMENSIONS}")
    for number in (offset, *size, *stride):
        if type(number) is not int or not 0 <= number < 2**62:
            raise WeightsError(
                f"a tensor of shape {short(size)} with strides {short(stride)} and offset {short(offset)}"
            )
    count = math.prod(size)
    last = offset + sum([(n - 1) * step for n, step in zip(size, stride, strict=True)]) if count else offset - 1
    if last >= len(storage):
        raise WeightsError(
            f"a tensor of shape {list(size)} with strides {list(stride)} from number {offset} on does not fit in its "
            f"storage of {len(storage)} numbers"
        )
    if count > max(len(storage), MAX_REPEATED):
        raise WeightsError(f"a tensor of shape {list(size)} in a storage of only {len(storage)} numbers")
    if not count:
        return Tensor.wrap(np.empty(size, storage.dtype))
    item = storage.itemsize
    return Tensor.wrap(np.ndarray(size, storage.dtype, storage, offset * item, tuple([step * item for step in stride])))


def _tensor(reader: Reader, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    return rebuild_tensor(storage, offset, size, stride)


def _tensor_v2(
    reader: Reader, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, bits: Any = None
) -> Tensor:
    tensor = rebuild_tensor(storage, offset, size, stride)
    return _learned(tensor if bits is None else _resolved(reader, tensor, bits), requires_grad, hooks)


def _tensor_v3(
    reader: Reader, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, kind: Any,
    bits: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of a type that came later than the names of storages: its storage is one of bytes."""
    if not isinstance(storage, np.ndarray) or not isinstance(kind, dtype):
        raise WeightsError(f"a tensor of type {short(kind)} in {type(storage).__name__}")
    stored = kind.name if isinstance(kind, UnheldDtype) else kind.numpy.str
    if stored in UNHELD and stored not in WIDER:
        raise WeightsError(f"a tensor of type {kind}, whose numbers NumPy has no type for")
    if len(storage) * storage.itemsize % raw_type(stored).itemsize:
        raise WeightsError(f"{len(storage) * storage.itemsize} bytes are no whole number of {kind}")
    numbers = storage.view(raw_type(stored))
    if stored in WIDER:
        numbers = reader.widened(storage, numbers, stored)
    return _tensor_v2(reader, numbers, offset, size, stride, requires_grad, hooks, bits)


def _learned(tensor: Tensor, requires_grad: Any, hooks: Any) -> Tensor:
    if type(requires_grad) is not bool:
        raise WeightsError(f"a tensor whose requires_grad is {short(requires_grad)}")
    if requires_grad:
        if tensor.array.dtype.kind not in "fc":
            raise WeightsError(f"a tensor of type {tensor.dtype} that requires grad")
        tensor.requires_grad = True
    if hooks is not None and (not isinstance(hooks, dict) or hooks):
        raise WeightsError(f"a tensor with backward hooks: {short(hooks)}")
    return tensor


def _resolved(reader: Reader, tensor: Tensor, bits: Any) -> Tensor:
    """Of a tensor that `conj()` or `imag` returned the file has the numbers from before, and a bit: apply it to a copy."""
    if not isinstance(bits, dict) or any(name not in ("conj", "neg") or bits[name] is not True for name in bits):
        raise WeightsError(f"a tensor with the metadata {short(bits)}: only conj and neg are known, set to True")
    if "conj" in bits and not tensor.is_complex():
        raise WeightsError(f"a tensor of type {tensor.dtype} with a conjugate bit")
    if not bits:
        return tensor
    reader.resolved += tensor.array.nbytes
    if reader.resolved > MAX_RESOLVED:
        raise WeightsError(f"conjugate and negative views of more than {MAX_RESOLVED:,} bytes")
    source, result = tensor.array, np.empty(tensor.array.shape, tensor.array.dtype)

    def compute() -> None:
        np.copyto(result, source)
        for name, operation in (("conj", np.conjugate), ("neg", np.negative)):
            if name in bits:
                operation(result, out=result)

    reader.later.append(compute)
    return Tensor.wrap(result)


def _parameter(
    reader: Reader, data: Any = None, requires_grad: Any = True, hooks: Any = None, state: Any = None
) -> Parameter:
    if not isinstance(data, Tensor | None):
        raise WeightsError(f"a Parameter of {type(data).__name__}")
    parameter = Parameter(None if data is None else data.detach(), requires_grad=False)
    _learned(parameter, requires_grad, hooks)
    set_attributes(parameter, state)
    return parameter


def _from_cpu_tensor(reader: Reader, data: Any, kind: Any, where: Any, requires_grad: Any) -> Tensor:
    """A tensor of a device that PyTorch copies to the CPU before it saves it."""
    if not isinstance(data, Tensor) or not isinstance(where, str) or not isinstance(kind, dtype):
        raise WeightsError("a copy of a tensor of another device that is no tensor")
    if not isinstance(kind, UnheldDtype) and kind is not data.dtype:
        raise WeightsError(f"a tensor of type {data.dtype} that shall be {kind}")
    return _learned(data.detach(), requires_grad, None)


def _from_type(reader: Reader, rebuild: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
    """A tensor with attributes of its own."""
    if rebuild not in (_tensor, _tensor_v2, _tensor_v3, _parameter) or not isinstance(arguments, tuple):
        raise WeightsError("a tensor of an unknown kind")
    tensor = rebuild(reader, *arguments)
    if kind is _parameter and not isinstance(tensor, Parameter):
        tensor = _parameter(reader, tensor, tensor.requires_grad)
    if kind is not (_parameter if isinstance(tensor, Parameter) else Tensor):
        raise WeightsError(f"a {type(tensor).__name__} that shall be {short(kind)}")
    set_attributes(tensor, state)
    return tensor


def set_attributes(target: Any, state: Any) -> None:
    """Those that a user's program gave to a tensor or a state_dict. None takes the place of one that is there already.

    `state`: {name: value}, or a pair of them, or None.
    """
    for attributes in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if attributes is not None and not isinstance(attributes, dict):
            raise WeightsError(f"a {type(target).__name__} with the state {short(state)}")
        for name, value in (attributes or {}).items():
            # a name such as __array_interface__ would be believed by NumPy
            free = isinstance(name, str) and name.isidentifier() and not name.startswith("__")
            if not free or hasattr(type(target), name) or name in vars(target):
                raise WeightsError(f"it sets {short(name)} of a {type(target).__name__}, which is not a file's to set")
            setattr(target, name, value)


def set_state(target: Any, state: Any) -> None:
    """What the file says of an object after it made it."""
    if type(target) is OrderedDict:
        metadata = state.get("_metadata", {}) if isinstance(state, dict) else None
        if not isinstance(metadata, dict) or not all(isinstance(entry, dict) for entry in metadata.values()):
            raise WeightsError("a state_dict whose _metadata is no dictionary of dictionaries")
        set_attributes(target, state)
    elif isinstance(target, Parameter) and isinstance(state, tuple) and len(state) in (3, 5):  # before version 0.4
        if len(state) == 5:
            data, more, hooks, requires_grad, volatile = state
            if not isinstance(data, Tensor) or more is not None:
                raise WeightsError(f"a Parameter of {type(data).__name__} with {short(more)}")
            target.data = data
        else:
            requires_grad, volatile, hooks = state
        if volatile is not False:
            raise WeightsError(f"a Parameter whose volatile is {short(volatile)}")
        target.requires_grad = False
        _learned(target, requires_grad, hooks)
    else:
        raise ForbiddenError(f"it sets the state of {type(target).__name__}, which is not in the list")


# --- other values -----------------------------------------------------------------------------------------------------


def _ordered_dict(reader: Reader, pairs: Any = ()) -> OrderedDict:
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise WeightsError("an OrderedDict of what are no pairs")
    result: OrderedDict = OrderedDict()
    for key, value in pairs:
        result[reader.key(key, result)] = value
    return result


def _counter(reader: Reader, counts: Any = None) -> Counter:
    if counts is not None and not isinstance(counts, dict):
        raise WeightsError(f"a Counter of {type(counts).__name__}")
    return Counter(counts)


def _set(reader: Reader, items: Any = ()) -> set:
    if not isinstance(items, (list, tuple, set)):
        raise WeightsError(f"a set of {type(items).__name__}")
    result: set = set()
    for item in items:
        result.add(reader.key(item, result))
    return result


def _bytes(reader: Reader, text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise WeightsError(f"bytes from {type(text).__name__} in the encoding {short(encoding)}")
    return text.encode("latin-1")


def _no_bytes(reader: Reader) -> bytes:
    return b""


def _bytearray(reader: Reader, content: Any = b"", encoding: Any = None) -> bytearray:
    """As bytes; Python 2 and early protocols give text and an encoding."""
    if isinstance(content, str):
        content = _bytes(reader, content, encoding)
    elif encoding is not None or not isinstance(content, bytes):
        raise WeightsError(f"a bytearray of {short(content)}")
    return bytearray(content)


def _complex(reader: Reader, real: Any, imaginary: Any) -> complex:
    if not all(type(part) in (int, float) for part in (real, imaginary)):
        raise WeightsError(f"a complex number of {short(real)} and {short(imaginary)}")
    return complex(real, imaginary)


def _size(reader: Reader, lengths: Any = ()) -> Size:
    if not isinstance(lengths, (tuple, list)) or not all(type(length) is int for length in lengths):
        raise WeightsError(f"a shape that is no tuple of numbers: {short(lengths)}")
    return Size(lengths)


def _device(reader: Reader, *where: Any) -> device:
    named = where and isinstance(where[0], str) and len(where[0]) < 100
    if not named or len(where) > 2 or not all(type(part) is int for part in where[1:]):
        raise WeightsError(f"a device that is no name: {short(where)}")
    return device(*where)


def _layout(reader: Reader, name: Any) -> layout:
    if not isinstance(name, str) or name not in LAYOUTS:
        raise WeightsError(f"an unknown layout: {short(name)}")
    return LAYOUTS[name]


# --- the list ---------------------------------------------------------------------------------------------------------

CALLABLE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _from_cpu_tensor,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.serialization._get_layout": _layout,
    "torch.Size": _size,
    "torch.device": _device,
    "_codecs.encode": _bytes,
    **{
        f"{module}.{name}": function
        for module in ("builtins", "__builtin__")
        for name, function in (("set", _set), ("complex", _complex), ("bytes", _no_bytes), ("bytearray", _bytearray))
    },
}
CALLED = frozenset(CALLABLE.values())
VALUES: dict[str, Any] = {
    **{f"torch.{name}Storage": StorageType(name, stored) for name, stored in STORED.items()},
    **{f"torch.{module}UntypedStorage": StorageType("Untyped", "u1") for module in ("", "storage.")},
    **{f"torch.{kind.name}": kind for kind in vars(_types).values() if isinstance(kind, dtype)},
    **{f"torch.{name}": UnheldDtype(name) for name in UNHELD},
    **{f"torch.{name}Tensor": Tensor for name in STORED},  # what a tar archive says of each tensor
    "torch.Tensor": Tensor,
}
_DENSE = "save tensor.to_dense() in its place"
REFUSED = {
    "torch._utils._rebuild_sparse_tensor": f"a sparse tensor: {_DENSE}",
    "torch._utils._rebuild_nested_tensor": "a nested tensor: save tensor.unbind() in its place",
    "torch._utils._rebuild_qtensor": "a quantized tensor: save tensor.dequantize() in its place",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device, which has no numbers",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class that is not PyTorch's own",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device, as an array: save tensor.cpu() in its place",
    "torch.nested._internal.nested_tensor._rebuild_njt": "a nested tensor: save tensor.unbind() in its place",
}


def find_global(module: str, name: str) -> Any:
    """What a name of the list stands for; ForbiddenError for any other."""
    full = f"{module}.{name}"
    if full in CALLABLE:
        return CALLABLE[full]
    if full in VALUES:
        return VALUES[full]
    if full in REFUSED:
        raise WeightsError(f"it holds {REFUSED[full]}")
    raise ForbiddenError(
        f"it asks for {full:.200}, which is not in the list of names that minicnn unpickles; nothing was executed. "
        "Only tensors, numbers, text, and lists and dictionaries of them are read. If the file holds a whole pickled model: "
        "load it in PyTorch, if you trust it, and save its numbers with torch.save(model.state_dict(), path); or name its "
        "classes and hooks: with minicnn.serialization.safe_globals([...]): minicnn.load(path, weights_only=False)"
    )
