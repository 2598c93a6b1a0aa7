"""Files that appear whole or not at all: weights, figures and atlases go through one function."""

import errno
import os
import resource
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import minicnn
from minicnn.atlas.cache import UnitCache
from minicnn.cli import _save
from minicnn.serialization import atomic_write

STATE = {"w": np.arange(50_000, dtype=np.float32)}


@pytest.fixture(params=[".pth", ".safetensors", ".npz"])
def path(request, tmp_path):
    return tmp_path / f"net{request.param}"


def holds(path, value: float = 0.0) -> bool:
    return minicnn.load(path)["w"][0].item() == value and len(minicnn.load(path)["w"]) == len(STATE["w"])


def test_a_file_of_the_user_beside_it_stays(path):
    beside = path.with_name(path.name + ".partial")
    beside.write_text("mine")
    minicnn.save(STATE, path)
    assert holds(path)
    assert beside.read_text() == "mine"
    assert sorted(path.parent.iterdir()) == sorted([path, beside])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode(path, mode):
    path.touch()
    path.chmod(mode)
    minicnn.save(STATE, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_of_any_new_file(path):
    old = os.umask(0o027)
    try:
        minicnn.save(STATE, path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_followed(path, exists):
    (path.parent / "deep").mkdir()
    target = path.parent / "deep" / "real"
    if exists:
        target.write_text("old")
    path.symlink_to("deep/real")
    minicnn.save(STATE, path)
    assert path.is_symlink() and os.readlink(path) == "deep/real"
    assert holds(target)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("length", [252, 255])
def test_long_names(path, length):
    long = path.with_name("n" * (length - len(path.suffix)) + path.suffix)
    minicnn.save(STATE, long)
    assert holds(long)


def test_concurrent_saves_all_succeed(path):
    def save(value: float) -> None:
        minicnn.save({"w": STATE["w"] + np.float32(value)}, path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(60)))
    assert any(holds(path, value) for value in range(60))
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture
def small_disk():
    """No file of this process can have more than 100,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_the_system_refuses_is_an_oserror_and_the_old_file_stays(path, small_disk):
    minicnn.save({"w": np.ones(3)}, path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="File too large") as caught:
        minicnn.save(STATE, path)
    assert caught.value.errno == errno.EFBIG
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_no_space_left(path):
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        minicnn.save(STATE, path)
    assert caught.value.errno == errno.ENOSPC
    assert stat.S_ISCHR(path.stat().st_mode)


def test_a_pipe_is_written_into(path):
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    minicnn.save(STATE, path)
    reader.join()
    copy = path.with_name(f"copy{path.suffix}")
    copy.write_bytes(received[0])
    assert holds(copy)


def test_errors_name_the_path_of_the_user(tmp_path):
    for path, kind in (
        (tmp_path / "no folder" / "a.pth", FileNotFoundError),
        (tmp_path, IsADirectoryError),
        (tmp_path / "loop", OSError),
        (tmp_path / ("n" * 300), OSError),
    ):
        (tmp_path / "loop").unlink(missing_ok=True)
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(kind) as caught:
            minicnn.save(STATE, path)
        assert str(caught.value.filename) == str(path)
    assert list(tmp_path.iterdir()) == [tmp_path / "loop"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_its_owner_protects_stays(path):
    path.write_text("mine")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match=path.name):
        minicnn.save(STATE, path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, FileNotFoundError])
def test_an_interruption_leaves_nothing(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def interrupted() -> None:
        with atomic_write(tmp_path / "a") as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (tmp_path / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_pictures_of_the_command(tmp_path):
    """A failure leaves the old picture; the name says the format."""
    for name, start in (("a.png", b"\x89PNG"), ("a.PNG", b"\x89PNG"), ("a.svg", b"<?xml")):
        _save(Figure((1, 1)), SimpleNamespace(network="small", output=str(tmp_path / name)))
        assert (tmp_path / name).read_bytes().startswith(start)
    (tmp_path / "a.xyz").write_text("old")
    with pytest.raises(ValueError, match="'xyz' is not supported"):
        _save(Figure((1, 1)), SimpleNamespace(network="small", output=str(tmp_path / "a.xyz")))
    assert (tmp_path / "a.xyz").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.PNG", "a.png", "a.svg", "a.xyz"]


def test_units_of_an_atlas_with_a_long_name(tmp_path):
    plan = SimpleNamespace(model=minicnn.nn.Linear(1, 1), statistics=None)
    short, long, other = (UnitCache.beside(tmp_path / name, plan).folder for name in ("a", "n" * 255, "n" * 254))
    assert short == tmp_path / "a.units"
    long.mkdir()
    other.mkdir()
