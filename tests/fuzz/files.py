"""Random files of every format: whole, they hold what PyTorch, safetensors or NumPy finds in them; damaged, they give a
WeightsError or what is left, soon and with little memory. (Damaged files are shown to minicnn only.)"""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import tarfile
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

import minicnn
from minicnn.serialization import WeightsError, read_metadata

CI_CASES = 300
SECONDS, BYTES = 2, 50e6

FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu]
WIDER = {torch.complex32: torch.complex64, torch.bfloat16: torch.float32, **dict.fromkeys(FLOAT8, torch.float32)}
SIGNED = [torch.int8, torch.int16, torch.int32, torch.int64]
FLOATS = [torch.float16, torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.complex128]
NAMED = [torch.uint8, torch.bool, *SIGNED, *FLOATS]  # those with a storage of their own
TYPES = [*NAMED, torch.uint16, torch.uint32, torch.uint64, torch.complex32, *FLOAT8]
FORMATS = ["zip", "stream", "tar", "safetensors", "npz", "npz, compressed"]


# --- files ------------------------------------------------------------------------------------------------------------


def a_tensor(rng: random.Random, types: list[torch.dtype], views: bool = True) -> torch.Tensor:
    """Any bits, any shape, and a view of a larger one as often as not."""
    kind = rng.choice(types)
    shape = [rng.choice((0, 1, 1, 2, 3, 5)) for _ in range(rng.choice((0, 1, 2, 2, 3, 4)))]
    size = int(np.prod(shape)) * kind.itemsize
    raw = torch.frombuffer(bytearray(rng.randbytes(size + kind.itemsize)), dtype=torch.uint8)[:size]
    tensor = (raw & 1).bool().reshape(shape) if kind == torch.bool else raw.view(kind).reshape(shape)
    for _ in range(rng.choice((0, 1, 2)) if views and shape else 0):
        dim = rng.randrange(tensor.dim())
        what = rng.choice((3, rng.randrange(5))) if tensor.is_complex() else rng.randrange(5)
        if what == 0:
            tensor = tensor.transpose(dim, 0)
        elif what == 1:
            tensor = tensor.narrow(dim, 0, tensor.shape[dim] // 2)
        elif what == 2:
            tensor = tensor.unsqueeze(dim).expand([*tensor.shape[:dim], 2, *tensor.shape[dim:]])
        elif what == 3 and tensor.is_complex() and kind != torch.complex32:
            tensor = tensor.conj()
        elif what == 4 and kind in FLOATS and kind != torch.bfloat16:
            tensor = torch._neg_view(tensor)
    return tensor


def a_value(rng: random.Random, types: list[torch.dtype], depth: int = 0) -> Any:
    """What may stand in a checkpoint."""
    kind = rng.randrange(14 if depth < 3 else 10)
    if kind < 4:
        tensor = a_tensor(rng, types)
        if tensor.dtype in FLOATS and rng.random() < 0.5:
            return torch.nn.Parameter(tensor, rng.random() < 0.7) if rng.random() < 0.5 else tensor.requires_grad_()
        return tensor
    if kind == 4:
        return rng.choice((0, 1, -1, 255, 256, 65536, -(2**31), 2**31, 2**62, 2**64, -(2**100)))
    if kind == 5:
        return rng.choice((0.5, -0.0, float("inf"), 1e-300, True, False, None, 1j, 2 - 3j))
    if kind == 6:
        return rng.choice(("", "weight", "é ∇ \x00", "x" * 300, "a" * 70000))
    if kind == 7:
        return rng.choice((b"", b"\xff\x00", bytearray(b"ab\xff"), bytearray()))
    if kind == 8:
        return rng.choice((torch.float32, torch.bfloat16, torch.strided, torch.Size([2, 3]), torch.device("cuda", 1)))
    if kind == 9:
        return {rng.choice((1, "a", 2.5, (1, "b"), b"k")) for _ in range(3)}
    values = [a_value(rng, types, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 10:
        return values + values[:1]
    if kind == 11:
        return tuple(values)
    keys = [rng.choice(("a", "layer.0.weight", 7, 2**70, (1, 2), None)) for _ in values]
    return dict(zip(keys, values, strict=True)) if kind == 12 else OrderedDict(zip(keys, values, strict=True))


def tar_file(rng: random.Random) -> bytes:
    """What PyTorch wrote before version 0.1.10."""
    put = lambda value: pickle.dumps(value, 2)[2:-1]  # noqa: E731
    text = lambda name: b"X" + struct.pack("<I", len(name)) + name.encode()  # noqa: E731
    types = [kind for kind in NAMED if not kind.is_complex]
    bases = [a_tensor(rng, types, views=False).contiguous() for _ in range(rng.randrange(1, 4))]
    storages, tensors = pickle.dumps(len(bases), 2), b""
    body, key = b"\x80\x02ccollections\nOrderedDict\n)R(", 10**14
    for k, base in enumerate(bases):
        storage = base._typed_storage()
        name = f"ctorch\n{storage._pickle_storage_type()}\n".encode()
        storages += b"\x80\x02(" + put(k) + text("cpu") + name + b"t." + struct.pack("<q", storage._size())
        storages += bytes(storage._untyped_storage.tolist())
        for view in (base, base.T) if base.dim() == 2 else (base,):
            key += 16
            tensors += b"\x80\x02(" + put(key) + put(k) + name.replace(b"Storage", b"Tensor") + b"t."
            tensors += struct.pack(f"<ii{2 * view.dim() + 1}q", view.dim(), 0, *view.shape, *view.stride(), 0)
            body += text(f"tensor{key}") + text(str(key)) + b"Q"
    tensors = pickle.dumps((key - 10**14) // 16, 2) + tensors
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (
            ("pickle", body + b"u."),
            ("storages", storages + pickle.dumps([], 2)),
            ("tensors", tensors),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5  # a time that needs a header of text
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def whole_file(rng: random.Random, kind: str, path: Path) -> Any:
    """Write a file, and return what the other library finds in it."""
    if kind == "tar":
        path.write_bytes(tar_file(rng))
        return torch.load(path, weights_only=False)
    if kind in ("zip", "stream"):
        protocol = rng.choice((2, 2, 3, 4))
        types = TYPES if kind == "zip" else NAMED  # PyTorch cannot load the others from a stream that it has saved
        some = rng.random() < 0.3
        value = a_value(rng, types) if some else {f"{k}": a_value(rng, types) for k in range(rng.randrange(6))}
        torch.save(value, path, _use_new_zipfile_serialization=kind == "zip", pickle_protocol=protocol)
        return torch.load(path, weights_only=False)  # True does not know all protocols
    names = [
        rng.choice(("weight", "layer.10.bias", "layer.9.bias", "é", "x" * 50)) + str(k) for k in range(rng.randrange(6))
    ]
    if kind == "safetensors":
        types = [kind for kind in TYPES if kind not in (torch.complex32, torch.complex128)]
        state = {name: a_tensor(rng, types, views=False).contiguous() for name in names}
        safetensors.torch.save_file(state, path, metadata={"note": "n"} if rng.random() < 0.5 else None)
        return safetensors.torch.load_file(path)
    types = [kind for kind in TYPES if kind not in WIDER]
    arrays = {name: plain_array(a_tensor(rng, types)) for name in names}
    swapped = {name: a.astype(a.dtype.newbyteorder(rng.choice("<>"))) for name, a in arrays.items()}
    with path.open("wb") as file:
        (np.savez if kind == "npz" else np.savez_compressed)(file, **swapped)
    with np.load(path) as loaded:
        return OrderedDict((name, torch.from_numpy(a.astype(a.dtype.newbyteorder("=")))) for name, a in loaded.items())


# --- the same? --------------------------------------------------------------------------------------------------------


def plain_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to(WIDER.get(tensor.dtype, tensor.dtype)).resolve_conj().resolve_neg().numpy()


def difference(ours: Any, theirs: Any, place: str = "obj") -> str | None:
    """Where the two differ, if they do."""
    if isinstance(theirs, torch.Tensor):
        if not isinstance(ours, minicnn.Tensor):
            return f"{place}: {type(ours).__name__} for a tensor"
        want, is_parameter = plain_array(theirs), isinstance(ours, minicnn.nn.Parameter)
        kinds = [
            (ours.array.dtype, ours.shape, ours.requires_grad, is_parameter),
            (want.dtype, tuple(theirs.shape), theirs.requires_grad, isinstance(theirs, torch.nn.Parameter)),
        ]
        if kinds[0] != kinds[1]:
            return f"{place}: {kinds[0]} for {kinds[1]}"
        same = np.array_equal(ours.array, want, equal_nan=want.dtype.kind in "fc")
        return None if same else f"{place}: {ours.array!r} for {want!r}"
    if type(ours).__name__ not in (type(theirs).__name__, "UnheldDtype"):
        return f"{place}: {type(ours).__name__} for {type(theirs).__name__}"
    if isinstance(theirs, dict):
        if list(ours) != list(theirs):
            return f"{place}: the keys {list(ours)} for {list(theirs)}"
        parts = [(f"{place}[{key!r}]", ours[key], theirs[key]) for key in theirs]
    elif isinstance(theirs, (list, tuple)):
        if len(ours) != len(theirs):
            return f"{place}: {len(ours)} values for {len(theirs)}"
        parts = [(f"{place}[{k}]", a, b) for k, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    else:
        same = ours == theirs if isinstance(theirs, set) else repr(ours) == repr(theirs)
        return None if same else f"{place}: {ours!r} for {theirs!r}"
    return next((found for name, a, b in parts if (found := difference(a, b, name))), None)


# --- damage -----------------------------------------------------------------------------------------------------------

NUMBERS = (
    0,
    1,
    2,
    64,
    70,
    2**15,
    2**16 - 1,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**61 - 1,
    2**62,
    2**63 - 1,
    2**64 - 1,
)


def edited(rng: random.Random, data: bytes) -> bytes:
    """One to four times: bits flipped, bytes replaced, taken out, repeated, a number put in, or the end cut off."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not damaged:
            break
        # what matters stands at the beginning or at the end
        span = min(len(damaged), rng.choice((64, 512, len(damaged))))
        place = rng.randrange(span) if rng.random() < 0.6 else len(damaged) - 1 - rng.randrange(span)
        what = rng.randrange(7)
        if what == 0:
            damaged[place] ^= 1 << rng.randrange(8)
        elif what == 1:
            damaged[place] = rng.randrange(256)
        elif what == 2:
            del damaged[place : place + rng.choice((1, 2, 8, 30, 100))]
        elif what == 3:
            damaged[place:place] = damaged[place : place + rng.choice((1, 2, 8, 30, 100))]
        elif what == 4:
            width = rng.choice((1, 2, 4, 8))
            damaged[place : place + width] = (rng.choice(NUMBERS) % 256**width).to_bytes(
                width, rng.choice(("little", "big"))
            )
        elif what == 5:
            damaged[place : place + 1] = str(rng.choice((*NUMBERS, -1, 10**30))).encode()
        else:
            del damaged[place:]
    return bytes(damaged)


def rezipped(rng: random.Random, data: bytes) -> bytes:
    """An archive with right checksums around a damaged member, or without a member, or with one that is compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        chosen = rng.choice([*old.namelist(), ""])
        pickled = [name for name in old.namelist() if name.endswith("data.pkl")]
        if pickled and rng.random() < 0.6:
            chosen = pickled[0]
        what = rng.randrange(6)
        for name in old.namelist():
            content = old.read(name)
            if name != chosen or what == 1:
                new.writestr(name, content, zipfile.ZIP_DEFLATED if name == chosen else zipfile.ZIP_STORED)
            elif what > 1:
                new.writestr(name, edited(rng, content))
    return buffer.getvalue()


def reheaded(rng: random.Random, data: bytes) -> bytes:
    """A .safetensors file with a damaged header of the right length, or with another entry in it."""
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length]
    if rng.random() < 0.5:
        entries = json.loads(header)
        if not entries:
            return data
        entry = entries[rng.choice(list(entries))]
        field = rng.choice(list(entry))
        entry[field] = rng.choice(
            (None, [], {}, "F32", "BF16", [2] * 70, [2**40, 2**40], [0, 2**62], -1, "x", [0, 16], 1.5)
        )
        header = json.dumps(entries).encode()
    else:
        header = edited(rng, header)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def damaged_file(rng: random.Random, kind: str, data: bytes) -> bytes:
    if rng.random() < 0.5:
        if kind == "zip" or kind.startswith("npz"):
            return rezipped(rng, data)
        if kind == "safetensors":
            return reheaded(rng, data)
    return edited(rng, data)


def complaint(path: Path) -> str | None:
    """What is wrong with how minicnn takes a damaged file."""
    tracemalloc.reset_peak()
    memory, began = tracemalloc.get_traced_memory()[0], time.process_time()
    for read in (minicnn.load, read_metadata):
        try:
            read(path)
        except WeightsError as error:
            if not str(error).startswith(str(path)) or len(str(error)) > 2000:
                return f"{read.__name__} says: {error}"
        except Exception as error:
            return f"{read.__name__} raises {type(error).__name__}: {error}"
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1] - memory
    return f"{seconds:.1f} s, {peak / 1e6:.0f} MB" if seconds > SECONDS or peak > BYTES else None


def run(cases: int, seed: int) -> list[str]:
    """Each case is a whole file, and three damaged ones made from it."""
    found = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / "file"
        tracemalloc.start()
        try:
            for case in range(cases):
                rng = random.Random(f"{seed} {case}")
                kind = FORMATS[case % len(FORMATS)]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of PyTorch: complex32 is experimental, a pickle is of protocol 3
                    theirs = whole_file(rng, kind, path)
                    data = path.read_bytes()
                    try:
                        text = difference(minicnn.load(path), sorted_as_ours(theirs, kind))
                    except Exception as error:
                        text = f"the whole file: {type(error).__name__}: {error}"
                for _ in range(3):
                    if text:
                        break
                    path.write_bytes(damaged_file(rng, kind, data))
                    text = complaint(path)
                if text:
                    found.append(f"case {case}, {kind}: {text}\n{path.read_bytes()[:3000].hex()}")
        finally:
            tracemalloc.stop()
    return found


def sorted_as_ours(theirs: Any, kind: str) -> Any:
    """A .safetensors file keeps no order: minicnn's is the natural one, which has a test of its own."""
    if kind != "safetensors":
        return theirs
    return OrderedDict((name, theirs[name]) for name in sorted(theirs, key=minicnn.serialization._safetensors._natural))
