"""`minicnn.as_torch`: minicnn in PyTorch's place for imports. What libraries compute with it: `python -m tests.libraries`."""

import importlib
import json
import pkgutil
import subprocess
import sys
import textwrap
import typing
import warnings
from pathlib import Path

import pytest

import minicnn
from minicnn.interop import absent, alias
from minicnn.interop.extra.torch_version import TorchVersion
from tests import libraries

ROOT = Path(__file__).resolve().parent.parent


def run(code, tmp_path, *flags):
    """What a program of its own prints; `import torch` in it has not happened yet. Warnings are errors."""
    program = "import sys\nimport minicnn\n" + textwrap.dedent(code)
    command = [sys.executable, "-W", "error", *flags, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_in_the_block_give_minicnn(tmp_path):
    run(
        """
        with minicnn.as_torch() as handle:
            import torch, torch.nn as nn, torch.nn.functional as F
            from torch import Tensor, nn as again
            from torch.nn.modules.conv import Conv2d
            from torch.autograd.function import Function
            from torch.utils.data import DataLoader, Dataset, IterableDataset
            from torch.nn.parameter import Parameter
            from torch.utils.checkpoint import checkpoint
            import torch.optim.lr_scheduler as schedules
        assert nn is again is torch.nn and F is torch.nn.functional and F is nn.functional
        assert Tensor is minicnn.Tensor and torch.float32 is minicnn.float32 and torch.pi == minicnn.pi
        assert Conv2d is nn.Conv2d is minicnn.nn.Conv2d and Parameter is minicnn.nn.Parameter
        assert Function is torch.autograd.Function is minicnn.autograd.Function
        assert schedules.StepLR is minicnn.optim.lr_scheduler.StepLR and checkpoint is minicnn.utils.checkpoint.checkpoint
        assert F.relu(nn.Linear(3, 1)(torch.ones(2, 3))).sum().item() >= 0
        assert torch.bool is minicnn.bool and torch.concat is minicnn.cat
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_the_version_is_the_mirrored_one(tmp_path):
    run(
        """
        minicnn.as_torch()
        import torch
        from torch.version import __version__, cuda
        assert torch.__version__ == __version__ == "2.13.0" and cuda is None and torch.version.cuda is None
        assert tuple(map(int, torch.__version__.split(".")[:2])) == (2, 13) and torch.__version__ >= (1, 8)
        assert minicnn.__version__ == "0.1.0"
        """,
        tmp_path,
    )


def test_the_version_compares_as_a_version():
    version = TorchVersion("2.13.0")
    assert (
        version > "2.9" and version > "2.9.1" and not version > "2.13" and version >= "2.13.0+cpu" and version < "2.14"
    )
    assert version >= (2, 9) and version < (3,) and version <= [2, 13] and version == "2.13" and version != "2.9"
    assert version.split(".") == ["2", "13", "0"] and {version: 1}["2.13.0"] == 1


@pytest.mark.slow
def test_undo_takes_out_what_was_put_there(tmp_path):
    (tmp_path / "library.py").write_text(
        "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"
        "def twice(x):\n    return F.relu(torch.add(x, x))\n"
        "def late():\n    import torch.nn\n    return torch.nn\n"
    )
    (tmp_path / "torch.py").write_text("real = True\n")  # what is found when the alias is gone
    run(
        """
        sys.path.insert(0, "")
        before = list(sys.meta_path)
        handle = minicnn.as_torch()
        import library
        assert library.late() is library.nn
        handle.undo()
        handle.undo()
        assert sys.meta_path == before
        assert [name for name in sys.modules if name.split(".")[0] == "torch"] == []
        assert float(library.twice(minicnn.ones(1))) == 2 and library.nn.Conv2d is minicnn.nn.Conv2d
        import torch
        assert torch.real
        del sys.modules["torch"]
        with minicnn.as_torch():
            import torch
            assert torch is library.torch and torch.nn is library.nn  # the same objects as the first time
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_it_is_undone_after_an_error_and_by_the_last_of_several(tmp_path):
    run(
        """
        try:
            with minicnn.as_torch():
                import torch
                1 / 0
        except ZeroDivisionError:
            pass
        assert "torch" not in sys.modules
        outer, inner = minicnn.as_torch(), minicnn.as_torch()
        outer.undo()
        import torch.nn
        inner.undo()
        assert "torch" not in sys.modules and "torch.nn" not in sys.modules
        sys.modules["torch"] = None   # somebody blocks the import
        minicnn.as_torch()
        import torch
        assert torch.Tensor is minicnn.Tensor
        """,
        tmp_path,
    )


def test_pytorch_itself_refuses():
    importlib.import_module("torch")
    before = list(sys.meta_path)
    with pytest.raises(RuntimeError, match=r"PyTorch is imported already in this process \(.*__init__.py\)"):
        minicnn.as_torch()
    assert sys.meta_path == before


@pytest.mark.slow
def test_an_absent_name_stops_no_import(tmp_path):
    """In an annotation, as a default argument, a base class, in isinstance, as an exception to be caught."""
    run(
        """
        from typing import List, Optional
        minicnn.as_torch()
        import torch
        from torch import nn
        from torch.distributed import ReduceOp
        from torch.nn.utils.rnn import PackedSequence
        import torch.nn.qat, torch.distributed.fsdp, torch.fx.node

        class Mine(nn.Conv3d):
            def __init__(self):
                super().__init__(1, 1, 1)

        class Both(nn.Module, torch.fx.Tracer):
            pass

        def reduce(x: Optional[PackedSequence], kind=ReduceOp.SUM, dtype=torch.qint8, layer: nn.LSTM | None = None) -> List[nn.GRU]:
            return torch.fx.node.Target

        def caught():
            try:
                raise ValueError
            except (torch.cuda.OutOfMemoryError, ValueError):
                return True

        x = torch.ones(1)
        assert not isinstance(x, (nn.Conv3d, PackedSequence)) and not isinstance(nn.ReLU(), nn.LSTM) and caught()
        assert issubclass(Mine, nn.Conv3d) and not issubclass(nn.Conv2d, nn.Conv3d)
        assert ReduceOp.SUM != ReduceOp.MAX and torch.sparse_coo != torch.sparse_csr
        assert isinstance(torch.bfloat16, torch.dtype) and torch.bfloat16 is torch.bfloat16 and repr(torch.qint8) == "torch.qint8"
        assert x.dtype != torch.bfloat16 and x.dtype in (torch.bfloat16, torch.float32)
        calls = {
            "torch.nn.Conv3d is": lambda: nn.Conv3d(1, 1, 1),
            "torch.nn.Conv3d is ": Mine,
            "torch.fx.Tracer is": Both,
            "torch.nn.functional.conv3d is": lambda: nn.functional.conv3d(x, x),
            "torch.distributed.all_reduce is": lambda: torch.distributed.all_reduce(x),
            "torch.sparse_coo is": torch.sparse_coo,
            "torch.ops.torchvision.roi_align is": lambda: torch.ops.torchvision.roi_align(x),
            "torch.autocast on the CPU is": lambda: torch.autocast("cpu"),
        }
        for text, call in calls.items():
            try:
                call()
            except NotImplementedError as error:
                assert str(error).startswith(text.strip() + " PyTorch's, and minicnn"), error
            else:
                raise AssertionError(text)
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_what_pytorch_has_not_is_not_there(tmp_path):
    """Scripts ask with hasattr and try: a name is there if PyTorch has it."""
    run(
        """
        minicnn.as_torch()
        import torch
        assert not hasattr(torch, "viz") and not hasattr(torch, "as_torch") and not hasattr(torch.nn, "Conv9d")
        assert not hasattr(torch.Tensor, "nothing") and not hasattr(torch.onnx, "load") and not hasattr(torch, "__file__")
        assert hasattr(torch.nn, "Conv3d") and "Conv3d" in dir(torch.nn) and "Conv3d" in torch.nn.__all__
        for name in ("torch.viz", "torch.nothing", "torch.nn.nothing", "torch.nn.modules.conv.deeper"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                assert name in str(error)
            else:
                raise AssertionError(name)
        from torch.nn import *
        assert Conv2d is minicnn.nn.Conv2d
        torch.backends.cudnn.benchmark = True   # a switch that switches nothing
        assert torch.backends.cudnn.benchmark and not torch.backends.cudnn.enabled and not torch.backends.mps.is_available()
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_the_names_are_those_of_pytorch():
    """`names.txt` is what PyTorch 2.13.0 has."""
    torch = pytest.importorskip("torch")
    if tuple(torch.__version__.split(".")[:2]) != ("2", "13"):
        pytest.skip("the names are recorded from PyTorch 2.13")
    from tests import torch_names_record

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch_names_record.NAMES.read_text(encoding="utf-8") == torch_names_record.text()


@pytest.mark.slow
def test_every_name_is_found(tmp_path):
    """No listed name raises when it is asked for, and no listed module when it is imported."""
    out = run(
        """
        import importlib
        from minicnn.interop.absent import listing
        minicnn.as_torch()
        real = absent = 0
        for module, names in listing().items():
            found = importlib.import_module(module)
            for name, kind in names.items():
                value = getattr(found, name)
                if kind == "classes" and isinstance(value, type) and hasattr(value, "_absent"):
                    absent += 1
                real += (getattr(value, "__module__", None) or "").startswith("minicnn")
        print(real, absent)
        """,
        tmp_path,
    )
    real, absent = map(int, out.split())
    assert real > 900 and absent > 500


def test_every_file_of_the_extra_tree_is_used():
    """Each answers for a module that PyTorch has, by a path that is listed or that begins with an underscore."""
    folder = ROOT / "minicnn" / "interop" / "extra"
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(["torch", *(part for part in parts if part != "__init__")])
        assert name in absent.listing() or any(part.startswith("_") for part in name.split(".")), name
        module = importlib.import_module(alias.EXTRA + name.removeprefix("torch"))
        assert module.__doc__


@pytest.mark.slow
def test_inert_modules(tmp_path):
    run(
        """
        import typing
        minicnn.as_torch()
        import torch
        from torch import nn

        @torch.jit.script
        def double(x):
            return 2 * x

        @torch.jit.ignore
        def plain(x):
            return x

        @torch.jit.ignore(drop=True)
        def dropped(x):
            return x

        @torch.jit._overload_method
        def overloaded(x):
            return x

        class Net(torch.jit.ScriptModule):
            size: torch.jit.Final[int] = 3

            @torch.jit.unused
            def extra(self):
                return 4

            @torch.jit.script_method
            def forward(self, x):
                return x + self.size

        assert double(3) == 6 and plain(1) == dropped(1) == overloaded(1) == 1
        net = Net()
        assert isinstance(net, nn.Module) and float(net(torch.ones(()))) == 4 and net.extra() == 4
        assert torch.jit.script(net) is net and torch.jit.trace(net, torch.ones(1)) is net
        assert not torch.jit.is_scripting() and not torch.jit.is_tracing() and torch.jit.annotate(int, 3) == 3
        assert torch.jit.isinstance([1], typing.List[int]) and not torch.jit.isinstance([1], int)
        assert torch.fx.wrap("len") == "len" and torch.fx.wrap(len) is len
        assert torch.compile(net) is net and torch.compile(fullgraph=True)(double) is double and not torch.compiler.is_compiling()
        assert not torch.distributed.is_available() and not torch.distributed.is_initialized()
        assert not torch.nn.parameter.is_lazy(nn.Parameter(torch.ones(1)))
        torch._assert(True, "never")
        try:
            torch._assert(False, "now")
        except AssertionError as error:
            assert str(error) == "now"
        wrapped = nn.DataParallel(nn.Linear(2, 1))
        assert list(wrapped.state_dict()) == ["module.weight", "module.bias"] and wrapped(torch.ones(1, 2)).shape == (1, 1)
        with torch.amp.autocast("cuda"), torch.autocast("cpu", enabled=False), torch.cuda.amp.autocast():
            assert double(3) == 6
        future = torch.futures.Future()
        after = future.then(lambda done: done.value() + 1)
        future.set_result(1)
        assert after.wait() == 2 and torch.futures.wait_all([future, after]) == [1, 2]
        assert torch.utils.model_zoo.load_url is minicnn.hub.load_state_dict_from_url
        assert torch.hub._get_torch_home().endswith("torch") and torch.utils.data.get_worker_info() is None
        assert torch.nn.modules.utils._pair(3) == (3, 3) and torch.nn.modules.utils._triple([1, 2, 3]) == (1, 2, 3)
        import torch.multiprocessing as mp
        assert mp.cpu_count() > 0 and mp.get_context("spawn")
        """,
        tmp_path,
    )


class Point(typing.NamedTuple):
    x: int
    y: object


def test_trees():
    from minicnn.interop.extra.utils import _pytree as ours

    theirs = pytest.importorskip("torch.utils._pytree")
    tree = {"a": [1, (2, 3)], "b": Point(4, {"c": None}), "d": []}
    leaves, spec = ours.tree_flatten(tree)
    assert leaves == theirs.tree_flatten(tree)[0] == [1, 2, 3, 4, None]
    assert ours.tree_unflatten(leaves, spec) == tree
    assert ours.tree_map(str, tree) == theirs.tree_map(str, tree)
    assert ours.tree_leaves(tree, is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3), Point(4, {"c": None})]
    with pytest.raises(ValueError, match="5 leaves, 4"):
        ours.tree_unflatten(leaves[1:], spec)


def test_overlapping_boxes():
    """torchvision's `nms`, whose compiled code cannot be loaded: the definition, in loops."""
    from minicnn.interop.extra._ops import ops

    minicnn.manual_seed(0)
    low = minicnn.rand(40, 2) * 10
    boxes, scores = minicnn.cat([low, low + 1 + 4 * minicnn.rand(40, 2)], 1), minicnn.rand(40)
    kept = []
    for i in sorted(range(40), key=lambda i: -float(scores[i])):

        def overlap(j, i=i):
            w = max(0.0, float(min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])))
            h = max(0.0, float(min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])))
            areas = sum(float((boxes[k, 2] - boxes[k, 0]) * (boxes[k, 3] - boxes[k, 1])) for k in (i, j))
            return w * h / (areas - w * h)

        if all(overlap(j) <= 0.3 for j in kept):
            kept.append(i)
    assert 1 < len(kept) < 40 and ops.torchvision.nms(boxes, scores, 0.3).tolist() == kept
    assert ops.torchvision.nms.default(minicnn.zeros(0, 4), minicnn.zeros(0), 0.5).shape == (0,)


@pytest.mark.slow
def test_a_script_runs_as_it_is(tmp_path):
    (tmp_path / "beside.py").write_text("import torch\nvalue = torch.ones(2).sum()\n")
    (tmp_path / "script.py").write_text(
        "import sys\nimport torch\nimport beside\nprint(__name__, sys.argv[1:], float(beside.value), torch.__version__)\n"
    )

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "minicnn.interop", *arguments],
            cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = call(str(tmp_path / "script.py"), "--size", "3")
    assert done.stdout == "__main__ ['--size', '3'] 2.0 2.13.0\n", done.stderr
    assert "there is no file" in call("nowhere.py").stderr and "SCRIPT.py" in call().stderr


def test_what_the_libraries_compute_is_recorded():
    """Each case of `python -m tests.libraries` has PyTorch's numbers, of the version that pyproject.toml pins."""
    recorded = json.loads((ROOT / "tests" / "libraries" / "recorded.json").read_text(encoding="utf-8"))
    pinned = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = set()
    for info in pkgutil.iter_modules(libraries.__path__):
        if info.name.startswith("of_"):
            module = importlib.import_module(f"tests.libraries.{info.name}")
            entry = recorded[module.DISTRIBUTION]
            assert module.cases().keys() <= entry["cases"].keys(), info.name
            assert f'"{module.DISTRIBUTION}=={entry["version"]}"' in pinned
            names.add(module.DISTRIBUTION)
    assert names >= {"torchvision", "timm", "facenet-pytorch", "efficientnet-lite-pytorch"}
