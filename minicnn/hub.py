"""Checkpoints from the network, kept in the folder where PyTorch keeps them: what it has downloaded is found."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from tqdm import tqdm

from minicnn.serialization import load

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

HASH = re.compile(r"-([0-9a-f]{8,})\.")  # `alexnet-owt-7be5be79.pth`: the first digits of the contents' SHA-256
CHUNK = 1 << 17  # bytes
TIMEOUT = 60  # seconds without a byte

_hub_dir: str | None = None


def get_dir() -> str:
    """$TORCH_HOME/hub, where TORCH_HOME is $XDG_CACHE_HOME/torch or ~/.cache/torch if it is not set; or `set_dir`'s."""
    if _hub_dir is not None:
        return _hub_dir
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return str(Path(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))).expanduser() / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Another folder for the downloads of this process."""
    global _hub_dir
    _hub_dir = os.path.expanduser(os.fspath(d))


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Store what is behind `url` as the file `dst`.

    It appears under its name only when it is complete: until then it is `dst` with ".partial" at the end, which is
    removed when something goes wrong.

    Raises:
        URLError: no such host, no answer, an error of the server (HTTPError); the message says what can be done.
        ConnectionError: fewer bytes came than were announced.
        RuntimeError: the SHA-256 of the contents does not begin with `hash_prefix`.
    """
    target = Path(dst).expanduser()
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")
    digest = hashlib.sha256()
    try:
        with _answer(url, target) as answer, partial.open("xb") as file:
            announced = answer.headers.get("Content-Length")
            announced = int(announced) if announced is not None and announced.isdigit() else None
            received = _copy(answer, file, digest, announced, progress, target.name)
        if announced is not None and received != announced:
            raise ConnectionError(f"{url}: {received:,} of {announced:,} bytes came. Nothing was kept; try again")
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f'{url}: invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")')
        shutil.move(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _answer(url: str, target: Path) -> Any:
    try:
        return urlopen(Request(url, headers={"User-Agent": "minicnn.hub"}), timeout=TIMEOUT)
    except HTTPError as error:
        raise HTTPError(url, error.code, f"{error.reason} ({url})", error.headers, None) from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise URLError(f"{url} cannot be reached ({reason}). Without a connection, put the file at {target}") from error


def _copy(answer: Any, file: Any, digest: Any, announced: int | None, progress: bool, name: str) -> int:
    """The number of bytes that came."""
    received = 0
    with tqdm(total=announced, disable=not progress, unit="B", unit_scale=True, unit_divisor=1024, desc=name) as bar:
        while True:
            try:
                chunk = answer.read(CHUNK)
            except (HTTPException, OSError) as error:
                raise ConnectionError(f"the connection broke after {received:,} bytes: {error!r}; try again") from error
            if not chunk:
                return received
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = True,
    file_name: str | None = None,
    weights_only: bool = True,
) -> Any:
    """`minicnn.load` of the file behind `url`, from the cache if it is there already.

    Args:
        url: where the file is; its name is the one in the cache.
        model_dir: the folder; `get_dir()/checkpoints` if None, which is PyTorch's.
        map_location: torch.load's argument.
        progress: show a bar.
        check_hash: compare a download with the hash in its name, `NAME-HASH.pth`, if there is one of at least eight digits.
            (PyTorch's default is False.)
        file_name: another name for the cache.
        weights_only: True is the only value there is.

    Raises:
        What `download_url_to_file` and `minicnn.load` raise.
    """
    folder = Path(model_dir) if model_dir is not None else Path(get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    if not name:
        raise ValueError(f"{url} names no file: give file_name")
    cached = folder / name
    if not cached.exists():
        print(f'Downloading: "{url}" to {cached}')
        found = HASH.search(name)
        download_url_to_file(url, str(cached), found.group(1) if found and check_hash else None, progress)
    return load(cached, map_location, weights_only=weights_only)
