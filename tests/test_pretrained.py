"""Networks at their real size: torch.save writes them in both formats, minicnn reads them, and gives torchvision's logits."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from test_architectures import CASES, QUICK
from torchvision_record import image, split, summary, torch_state

import minicnn
from minicnn import models

pytestmark = pytest.mark.slow
ROOT = Path(minicnn.__file__).parents[1]


@pytest.fixture(scope="module")
def folder():
    """A place for files of 550 MB, in memory if there is room for it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4e9
    path = Path(tempfile.mkdtemp(dir=memory if roomy else None))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("name", [*QUICK, "inception_v3", "resnet50", "vgg16_bn"])
def test_logits_of_a_checkpoint(name, folder):
    """A network of each family in float32; the logits are torchvision's in float64."""
    theirs, path = torch_state(name), folder / "checkpoint.pth"
    for new_format in (True, False):
        torch.save(theirs, path, _use_new_zipfile_serialization=new_format)
        ours = models.get_model(name, weights=path).eval()
        for key, value in theirs.items():
            assert key not in ours.state_dict() or np.array_equal(ours.state_dict()[key].numpy(), value.numpy()), key
        gc.collect()
    _, _, size = split(CASES[name]["arguments"])
    with minicnn.no_grad():
        got = ours(minicnn.from_numpy(image(size).astype(np.float32))).numpy().astype(np.float64)
    largest = np.abs(got).max()
    _, root, *some = CASES[name]["computed"][0]
    np.testing.assert_allclose(summary(got)[1:], [root, *some], rtol=0, atol=1e-4 * largest)
    path.unlink()


MEASURE = """
import sys, time
path, library = sys.argv[1:]
if library == "torch":
    import torch
    load = lambda: torch.load(path, weights_only=True)
elif library == "minicnn":
    import minicnn
    load = lambda: minicnn.load(path)
else:
    from minicnn import models
    load = lambda: models.vgg16(path)
def peak():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before, times = peak(), []
for _ in range(3):
    begin = time.process_time()
    loaded = load()
    times.append(time.process_time() - begin)
    del loaded
print(min(times), peak() - before)
"""


def measure(path: Path, library: str) -> tuple[float, int]:
    """(seconds of processor time, bytes of memory) for loading, in a fresh process.

    NumPy asks for huge pages, which are quicker than others on an idle machine and slower on a busy one; torch does not.
    """
    command = [sys.executable, "-c", MEASURE, str(path), library]
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_time_and_memory_of_half_a_gigabyte(folder):
    path = folder / "vgg16.pth"
    state = torch_state("vgg16")
    for new_format in (True, False):
        torch.save(state, path, _use_new_zipfile_serialization=new_format)
        size = path.stat().st_size
        assert size > 500e6
        ours = theirs = float("inf")
        for _ in range(3):  # other programs can only make it slower
            seconds, memory = measure(path, "minicnn")
            ours, theirs = min(ours, seconds), min(theirs, measure(path, "torch")[0])
            if ours < 2 * theirs:
                break
        print(f"VGG-16: {ours:.2f} s (torch {theirs:.2f} s), peak {memory / size:.2f} times the file")
        assert memory < 1.3 * size
        assert ours < 2 * theirs
    assert measure(path, "model")[1] < 1.3 * size
    path.unlink()
