"""Files that appear whole or not at all."""

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file, to write and to read, that gets the name `path` when the block ends without an error.

    Until then it lies in the same folder under a name of its own, so that several writers of one path do not meet: the
    last to end wins. After an error it is removed, and what `path` was stays. A file that is replaced passes its mode on,
    a new one has that of any new file; a symbolic link goes on pointing to its file, whose contents are replaced. What
    is no file, such as /dev/stdout, is written as it is.

    Raises OSError that names `path`: no such folder, not allowed, a folder itself, no space left.
    """
    path = Path(path)
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):  # a device, a pipe; a folder raises here
        with path.open("wb") as file:
            yield file
        return
    target = path.resolve()
    partial = target.with_name(f".{uuid.uuid4().hex}.partial")  # short: the other name may be as long as names can be
    permissions = 0o666 if mode is None else stat.S_IMODE(mode)
    try:
        with open(partial, "x+b", opener=lambda name, flags: os.open(name, flags, permissions)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine might leave the new name without the contents
        if mode is not None and partial.stat().st_mode != mode:  # the umask took something off
            partial.chmod(permissions)
        partial.replace(target)
    except OSError as error:
        if error.errno is not None and str(error.filename) in ("None", str(partial)):
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """What a path is, and who may do what with it; None if there is nothing. An OSError if it cannot be written."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not os.access(path, os.W_OK):  # it could be replaced all the same, but its owner wants it to stay
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return mode
