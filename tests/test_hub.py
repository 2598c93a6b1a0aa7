"""Downloads: from a server on loopback, of files in their real formats, whole, broken and forged."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError

import pytest
import torch
from torchvision_record import torch_state

import minicnn
from minicnn import hub, models
from minicnn.models._registry import OFFICIAL
from minicnn.serialization import WeightsError

NAME = "net-{digest}.pth"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`, a name with "short" broken off in the middle; and `server.raw`, byte for byte."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path in self.server.raw:
            self.wfile.write(self.server.raw[self.path])
            self.close_connection = True
            return
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if "short" in self.path and self.server.broken else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.files, served.raw, served.asked, served.broken = {}, {}, [], True
    served.url = f"http://127.0.0.1:{served.server_address[1]}"
    thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def content_of(state, new_format: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=new_format)
    return buffer.getvalue()


def serve(server, name: str, content: bytes) -> str:
    server.files[f"/{name}"] = content
    return f"{server.url}/{name}"


def cached(tmp_path):
    folder = tmp_path / "home" / "hub" / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("new_format", [True, False])
def test_download_once(server, tmp_path, new_format, capsys):
    state = {"w": torch.arange(3.0)}
    content = content_of(state, new_format)
    name = NAME.format(digest=hashlib.sha256(content).hexdigest()[:8])
    url = serve(server, name, content)
    for _ in range(2):
        assert hub.load_state_dict_from_url(url, progress=True, check_hash=True)["w"].tolist() == [0, 1, 2]
    assert server.asked == [f"/{name}"]
    assert cached(tmp_path) == [name]
    printed = capsys.readouterr()
    assert printed.out.count("Downloading") == 1
    assert "100%" in printed.err


def test_the_cache_is_pytorchs(server, tmp_path, monkeypatch):
    """What torch.hub has downloaded is found, and the other way round."""
    url = serve(server, "a.pth", content_of({"w": torch.ones(2)}))
    torch.hub.load_state_dict_from_url(url, progress=False)
    assert hub.load_state_dict_from_url(url)["w"].tolist() == [1, 1]
    url = serve(server, "b.pth", content_of({"w": torch.ones(3)}))
    hub.load_state_dict_from_url(url, progress=False)
    assert torch.hub.load_state_dict_from_url(url, weights_only=True)["w"].tolist() == [1, 1, 1]
    assert server.asked == ["/a.pth", "/b.pth"]
    assert hub.get_dir() == torch.hub.get_dir() == str(tmp_path / "home" / "hub")
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub.get_dir() == torch.hub.get_dir() == str(tmp_path / "torch" / "hub")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert hub.get_dir() == torch.hub.get_dir()
    monkeypatch.setattr(hub, "_hub_dir", None)
    hub.set_dir(tmp_path / "elsewhere")
    assert hub.get_dir() == str(tmp_path / "elsewhere")


def test_other_folder_and_name(server, tmp_path):
    url = serve(server, "a.pth", content_of({"w": torch.ones(2)}))
    hub.load_state_dict_from_url(url, model_dir=str(tmp_path / "mine"), file_name="b.pth", map_location="cpu")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["b.pth"]
    with pytest.raises(ValueError, match="names no file"):
        hub.load_state_dict_from_url(server.url)


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    url = serve(server, NAME.format(digest="0123abcd"), content_of({"w": torch.ones(2)}))
    with pytest.raises(RuntimeError, match='invalid hash value .expected "0123abcd", got'):
        hub.load_state_dict_from_url(url, progress=False)
    assert cached(tmp_path) == []
    assert hub.load_state_dict_from_url(url, check_hash=False)["w"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["net-2.pth", "resnet18-20230815.pth", "net-20230815123456.pth", "net-00100000.pth"])
def test_a_number_is_no_hash(server, name):
    url = serve(server, name, content_of({"w": torch.ones(1)}))
    assert hub.load_state_dict_from_url(url, progress=False)["w"].tolist() == [1]


def test_the_hash_of_every_official_file_is_compared():
    for official in OFFICIAL.values():
        for weights in official:
            assert hub.HASH.search(weights.url), weights.url


GOOD = content_of({"w": torch.ones(100)})
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            OK + b"Content-Type: text/html\r\n\r\n<!DOCTYPE html><p>Please log in</p>",
            r"text/html, 35 bytes.*<!DOCTYPE html",
        ),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(GOOD), r"gzip, .*gzip file: unpack it"),
        (OK + b"Content-Length: 0\r\n\r\n", "0 bytes.*what came: it is empty"),
        (OK + b"\r\n", "0 bytes.*what came: it is empty"),
        (OK + b"Content-Le", "0 bytes.*what came: it is empty"),
        (OK + b"\r\n" + GOOD[:-100], "cut short"),
        (OK + b"\r\n" + GOOD[:200], "cut short"),
    ],
    ids=["page", "gzip", "empty", "nothing", "header cut off", "tail missing", "head only"],
)
def test_what_is_no_checkpoint_is_not_kept(server, tmp_path, answer, words):
    server.raw["/a.pth"] = answer
    for _ in range(2):
        with pytest.raises(WeightsError, match=words) as caught:
            hub.load_state_dict_from_url(f"{server.url}/a.pth", progress=False)
        assert f"try again, or put the file at {tmp_path}" in str(caught.value)
        assert cached(tmp_path) == []
    server.raw["/a.pth"] = OK + b"\r\n" + GOOD
    assert hub.load_state_dict_from_url(f"{server.url}/a.pth", progress=False)["w"].shape == (100,)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_other_formats_are_opened_too(server, tmp_path, suffix):
    minicnn.save({"w": minicnn.ones(100)}, tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    url = serve(server, f"a.{suffix}", content[:-40])
    with pytest.raises(WeightsError, match="Nothing was kept"):
        hub.load_state_dict_from_url(url, progress=False)
    serve(server, f"a.{suffix}", content)
    assert hub.load_state_dict_from_url(url, progress=False)["w"].shape == (100,)


def test_a_damaged_file_in_the_cache_is_named(server, tmp_path):
    url = serve(server, "a.pth", GOOD)
    hub.load_state_dict_from_url(url, progress=False)
    path = tmp_path / "home" / "hub" / "checkpoints" / "a.pth"
    path.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=rf"neither \.pth.* delete {path}, and it is downloaded again"):
        hub.load_state_dict_from_url(url, progress=False)
    path.unlink()
    assert hub.load_state_dict_from_url(url, progress=False)["w"].shape == (100,)


@pytest.mark.parametrize("length", ["abc", "-5", "\u00b2", "1_0", "+10", "0x10", "9" * 5000, "", "1e3"])
def test_a_length_that_is_no_number(server, length):
    server.raw["/a.pth"] = OK + f"Content-Length: {length}\r\n\r\n".encode("latin-1") + GOOD
    assert hub.load_state_dict_from_url(f"{server.url}/a.pth", progress=False)["w"].shape == (100,)


def test_a_download_in_pieces(server, tmp_path):
    """Chunks count, and not the length that is announced beside them; what breaks off says after how many bytes."""
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (GOOD[:700], GOOD[700:]))
    start = OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    server.raw["/a.pth"] = start + pieces + b"0\r\n\r\n"
    assert hub.load_state_dict_from_url(f"{server.url}/a.pth", progress=False)["w"].shape == (100,)
    server.raw["/b.pth"] = start + pieces[: 700 + 7 + 100]
    with pytest.raises(ConnectionError, match=r"b\.pth: the connection broke after 79\d bytes.*try again"):
        hub.load_state_dict_from_url(f"{server.url}/b.pth", progress=False)
    assert cached(tmp_path) == ["a.pth"]


def test_a_file_that_is_no_checkpoint_can_be_downloaded(server, tmp_path):
    hub.download_url_to_file(serve(server, "labels.txt", b"cat\n"), str(tmp_path / "labels.txt"), progress=False)
    assert (tmp_path / "labels.txt").read_bytes() == b"cat\n"


@pytest.mark.parametrize("path", ["", "/", "/..", "/a/."])
def test_an_address_without_a_name(server, path):
    with pytest.raises(ValueError, match="names no file"):
        hub.load_state_dict_from_url(server.url + path)


def test_an_interrupted_download_can_be_tried_again(server, tmp_path):
    url = serve(server, "short.pth", content_of({"w": torch.ones(100_000)}))
    for _ in range(2):
        with pytest.raises(ConnectionError, match="bytes"):
            hub.load_state_dict_from_url(url, progress=False)
        assert cached(tmp_path) == []
    server.broken = False
    assert hub.load_state_dict_from_url(url, progress=False)["w"].shape == (100_000,)


def test_interrupted_by_the_user(server, tmp_path, monkeypatch):
    url = serve(server, "a.pth", content_of({"w": torch.ones(2)}))

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(hub, "_copy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub.load_state_dict_from_url(url)
    assert cached(tmp_path) == []


def test_nothing_there(server, tmp_path):
    with pytest.raises(HTTPError, match=r"404: Not Found \(http://127.*/missing\.pth\)"):
        hub.load_state_dict_from_url(f"{server.url}/missing.pth")
    with pytest.raises(URLError, match=r"cannot be reached .*put the file at .*checkpoints/a\.pth"):
        hub.load_state_dict_from_url("http://127.0.0.1:9/a.pth")
    assert cached(tmp_path) == []


def test_a_hostile_download_is_only_data(server):
    url = serve(server, "evil.pth", content_of([print]))
    with pytest.raises(minicnn.serialization.ForbiddenError, match=r"builtins\.print|__builtin__\.print"):
        hub.load_state_dict_from_url(url)


@pytest.mark.parametrize("weights", ["DEFAULT", "SqueezeNet1_1_Weights.IMAGENET1K_V1", "member", "pretrained", True])
def test_a_model_with_official_weights(server, monkeypatch, weights):
    """With the official address replaced by the server's: downloaded, loaded, with classes and preprocessing."""
    theirs = torch_state("squeezenet1_1")
    content = content_of(theirs)
    name = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    member = models.SqueezeNet1_1_Weights.DEFAULT
    monkeypatch.setattr(member.value, "url", serve(server, name, content))
    if weights == "pretrained" or weights is True:
        with pytest.warns(UserWarning, match="'pretrained' is deprecated since 0.13"):
            ours = models.squeezenet1_1(True) if weights is True else models.squeezenet1_1(pretrained=True)
    else:
        ours = models.squeezenet1_1(weights=member if weights == "member" else weights, progress=False)
    assert server.asked == [f"/{name}"]
    for key, value in theirs.items():
        assert (ours.state_dict()[key].numpy() == value.numpy()).all()
    assert ours.meta.categories[207] == "golden retriever"
    assert (ours.meta.resize_size, ours.meta.input_size, ours.meta.accuracy) == (256, (3, 224, 224), 0.58178)
    assert models.from_spec("squeezenet1_1:DEFAULT").meta == ours.meta


def test_checkpoints_that_torchvision_downloaded_are_found(server, tmp_path):
    """Under the official name in PyTorch's cache: no connection is opened."""
    folder = tmp_path / "home" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    name = models.SqueezeNet1_0_Weights.DEFAULT.url.rpartition("/")[2]
    (folder / name).write_bytes(content_of(torch_state("squeezenet1_0"), new_format=False))
    assert models.squeezenet1_0(weights="DEFAULT").meta.accuracy == 0.58092
    assert server.asked == []
