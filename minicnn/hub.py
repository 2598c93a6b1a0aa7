"""Checkpoints from the network, kept in the folder where PyTorch keeps them: what it has downloaded is found."""

from __future__ import annotations

import hashlib
import os
import re
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from tqdm import tqdm

from minicnn.serialization import WeightsError, atomic_write, load

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

# `alexnet-owt-7be5be79.pth`: the first digits of the contents' SHA-256; not a date, 20230815, nor a count, 00100000.
HASH = re.compile(r"-(?!(?:0|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))\d*\.)([0-9a-f]{8,})\.")
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
    """Store what is behind `url` as the file `dst`, which appears under its name only when it is complete.

    Raises:
        URLError: no such host, no answer, an error of the server (HTTPError); the message says what can be done.
        ConnectionError: fewer bytes came than were announced.
        RuntimeError: the SHA-256 of the contents does not begin with `hash_prefix`.
        OSError: it cannot be written.
    """
    _download(url, Path(dst).expanduser(), hash_prefix, progress)


def _download(url: str, target: Path, hash_prefix: str | None, progress: bool, checkpoint: bool = False) -> None:
    """As above; a `checkpoint` is opened before it is kept, and WeightsError says that it is none."""
    digest = hashlib.sha256()
    with atomic_write(target) as file:
        with _answer(url, target) as answer:
            kind = answer.headers.get("Content-Encoding") or answer.headers.get("Content-Type") or "of no stated type"
            announced = _announced(answer)
            received = _copy(answer, file, digest, announced, progress, target.name)
        if announced is not None and received != announced:
            raise ConnectionError(f"{url}: {received:,} of {announced:,} bytes came. Nothing was kept; try again")
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(
                f'{url}: invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}"; {kind}, {received:,} '
                "bytes). Nothing was kept: try again, or with check_hash=False if the digits in the name are no hash"
            )
        if checkpoint:
            file.flush()
            try:
                load(str(file.name))
            except WeightsError as error:
                reason = str(error).replace(str(file.name), "what came")
                raise type(error)(
                    f"{url} sent no checkpoint that can be read ({kind}, {received:,} bytes): {reason}. Nothing was kept: "
                    f"try again, or put the file at {target}"
                ) from error


def _answer(url: str, target: Path) -> Any:
    try:
        return urlopen(Request(url, headers={"User-Agent": "minicnn.hub"}), timeout=TIMEOUT)
    except HTTPError as error:
        raise HTTPError(url, error.code, f"{error.reason} ({url})", error.headers, None) from error
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise URLError(f"{url} cannot be reached ({reason}). Without a connection, put the file at {target}") from error


def _announced(answer: Any) -> int | None:
    """The number of bytes that shall come; None if the server does not say it, or says what is no number."""
    text = answer.headers.get("Content-Length", "")
    if getattr(answer, "chunked", False):  # then each chunk has its length, and this header does not count
        return None
    if re.fullmatch("[0-9]{1,18}", text):
        return int(text)
    if text:
        answer.length = None  # http.client takes "1_0" for 10, and would stop there
    return None


def _copy(answer: Any, file: Any, digest: Any, announced: int | None, progress: bool, name: str) -> int:
    """The number of bytes that came."""
    received = 0
    with tqdm(total=announced, disable=not progress, unit="B", unit_scale=True, unit_divisor=1024, desc=name) as bar:
        while True:
            try:
                chunk = answer.read1(CHUNK)  # `read` would lose what has come when the connection breaks
            except (HTTPException, OSError) as error:
                raise ConnectionError(
                    f"{answer.url}: the connection broke after {received:,} bytes: {error!r}; try again"
                ) from error
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
        check_hash: compare a download with the hash in its name, `NAME-HASH.pth`, if there is one: at least eight digits
            from 0 to f that are not a date (20230815) or a count (00100000). (PyTorch's default is False.)
        file_name: another name for the cache.
        weights_only: that of `minicnn.load`.

    Raises:
        What `download_url_to_file` and `minicnn.load` raise. A download that is no checkpoint is not kept.
    """
    folder = Path(model_dir) if model_dir is not None else Path(get_dir()) / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    if name in ("", ".", ".."):
        raise ValueError(f"{url} names no file: give file_name")
    cached = folder / name
    if not cached.exists():
        print(f'Downloading: "{url}" to {cached}')
        found = HASH.search(name)
        _download(url, cached, found.group(1) if found and check_hash else None, progress, checkpoint=True)
    try:
        return load(cached, map_location, weights_only=weights_only)
    except WeightsError as error:
        raise type(error)(f"{error}. It came from the cache: delete {cached}, and it is downloaded again") from error
