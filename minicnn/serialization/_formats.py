"""What a file is, by its contents, and its reader. A file of a format that is not read gets an error with the way out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from minicnn.serialization._errors import WeightsError
from minicnn.serialization._npz import npz_metadata, read_npz
from minicnn.serialization._safetensors import read_safetensors, safetensors_metadata
from minicnn.serialization._torch_read import read_stream, read_zip
from minicnn.serialization._torch_tar import read_tar
from minicnn.serialization._zip import Archive, opened_zip

_KERAS = "numpy.savez(out, **{w.path: w.numpy() for w in model.weights})"
_KERNELS = "Kernels are (KH, KW, C, O) there: transpose(3, 2, 0, 1)"
# Of zip archives: a member's name, or how it ends: what it is.
ARCHIVES = {
    "/constants.pkl": "a TorchScript archive, a program. In PyTorch: torch.save(torch.jit.load(path).state_dict(), out)",
    "/archive_format": "a .pt2 archive of torch.export. In PyTorch: torch.save(torch.export.load(path).state_dict, out)",
    "model.weights.h5": f"a .keras model. In Keras: model = keras.models.load_model(path); {_KERAS}. {_KERNELS}",
}
# Of other files: a place, the bytes there, what it is.
SIGNATURES = (
    (0, b"\x89HDF\r\n\x1a\n", f"an HDF5 file, such as .weights.h5. In Keras: model.load_weights(path); {_KERAS}. {_KERNELS}"),
    (4, b"TFL3", "a .tflite model. With LiteRT: get_tensor_details() of Interpreter(path) names its tensors, get_tensor(index) "
     "has the numbers: numpy.savez(out, **numbers)"),
    (0, b"\x1f\x8b", "a gzip file: unpack it"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself: git lfs pull"),
)  # fmt: skip
_ONNX = "an .onnx model, a whole network: minicnn.onnx.load(path), or --model FILE.onnx"
METADATA_OF: dict[str, Callable[..., dict[str, str]]] = {"safetensors": safetensors_metadata, "npz": npz_metadata}


@contextmanager
def reading(file: BinaryIO, name: str) -> Iterator[tuple[str, Callable[..., Any], Any]]:
    """(format, its reader, what the reader takes) of an open file. Whatever goes wrong inside is a WeightsError with its name.

    The formats: "torch", whose reader returns an object; "safetensors" and "npz", whose readers yield (name, array).
    """
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(512)
        file.seek(0)
        if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            with opened_zip(file, size) as archive:
                yield *_archive(archive), (archive,)
        else:
            yield *_single(head), (file, size)
    except WeightsError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:  # a foreign file may break zipfile, NumPy and the memory in many ways
        raise WeightsError(f"{name}: it is damaged or cut short: {str(error)[:200] or type(error).__name__}") from error


def _archive(archive: Archive) -> tuple[str, Callable[..., Any]]:
    names = list(archive.members)
    for ending, what in ARCHIVES.items():
        if any(name.endswith(ending) for name in names):
            raise WeightsError(f"it is {what}")
    if any(name.endswith("data.pkl") for name in names):
        return "torch", read_zip
    return "npz", read_npz


def _single(head: bytes) -> tuple[str, Callable[..., Any]]:
    if head[8:9] == b"{":
        return "safetensors", read_safetensors
    if head[257:262] == b"ustar":  # before version 0.1.10
        return "torch", read_tar
    if head[:1] == b"\x80":  # a pickle: torch.save before version 1.6
        return "torch", read_stream
    for place, signature, what in SIGNATURES:
        if head[place:].startswith(signature):
            raise WeightsError(f"it is {what}")
    if _is_onnx(head):
        raise WeightsError(f"it is {_ONNX}")
    what = "is empty" if not head else f"is neither .pth nor .safetensors nor .npz: it begins with {head[:16]!r}"
    raise WeightsError(f"it {what}")


def _is_onnx(head: bytes) -> bool:
    """A protocol buffer that begins as onnx.ModelProto does: field 1, its version, a small number; then a field with a length."""
    return len(head) > 2 and head[0] == 8 and 1 <= head[1] <= 30 and head[2] in (0x12, 0x1A, 0x22, 0x32, 0x3A, 0x42)
