"""What the lessons on hooks say of the source and of PyTorch is so."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn
from minicnn.nn.modules import module as module_py

ROOT = Path(__file__).resolve().parent.parent
LESSON = (ROOT / "lessons" / "06_hooks_in_order.py").read_text(encoding="utf-8")


@pytest.mark.slow
def test_lesson_6_prints_the_same_in_torch(tmp_path):
    """Up to the part on the source. As the lesson says: torch in place of minicnn, except for the tools."""
    ours = LESSON[: LESSON.index("# ## Where it stands in the source")]
    theirs = (
        ours.replace("import minicnn\n", "import torch as minicnn\n")
        .replace("from minicnn import nn", "from torch import nn")
        .replace("from minicnn.autograd", "from torch.autograd")
        .replace("from minicnn.nn", "from torch.nn")
    )
    assert theirs.count("torch") - ours.count("torch") == 4
    outputs = []
    for name, source in (("ours", ours), ("theirs", theirs)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "lesson.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(folder / "lesson.py")],
            env={"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].count("\n") > 60


def called_functions(run) -> list:
    """The code of every Python function that is entered while `run` runs, as a debugger would meet them."""
    codes = []

    def on_event(frame, event, argument):
        if event == "call":
            codes.append(frame.f_code)

    sys.setprofile(on_event)
    try:
        run()
    finally:
        sys.setprofile(None)
    return codes


def test_between_a_call_and_its_hooks_there_are_only_plain_functions_of_one_file():
    class Nothing(minicnn.nn.Module):
        def forward(self, x):
            return x

    def hook(*args):
        return None

    module, x = Nothing(), minicnn.ones(1)
    assert [code.co_name for code in called_functions(lambda: module(x))] == ["<lambda>", "_call_impl", "forward"]
    module.register_forward_pre_hook(hook)
    module.register_forward_hook(hook)
    codes = called_functions(lambda: module(x))[1:]
    of_the_test = {hook.__code__, Nothing.forward.__code__}
    others = [code for code in codes if code not in of_the_test]
    assert {code.co_filename for code in others} == {module_py.__file__}
    assert len(others) <= 8
    for code in others:
        function = function_of(code)
        assert inspect.isfunction(function) and not hasattr(function, "__wrapped__"), code.co_name
        assert not inspect.getsource(function).lstrip().startswith("@"), code.co_name


def function_of(code):
    """The function in module.py with this code, alone or in a class."""
    spaces = [vars(module_py), *(vars(cls) for cls in vars(module_py).values() if inspect.isclass(cls))]
    return next(f for space in spaces for f in space.values() if getattr(f, "__code__", None) is code)


def test_stepping_out_of_a_hook_leads_back_to_the_call():
    frames = []

    def hook(module, args, output):
        frames.extend(info.frame for info in inspect.stack())

    module = minicnn.nn.ReLU()
    module.register_forward_hook(hook)
    module(minicnn.ones(1))
    names = [frame.f_code.co_name for frame in frames]
    here = names.index("test_stepping_out_of_a_hook_leads_back_to_the_call")
    assert names[0] == "hook"
    assert here <= 4
    assert all(frame.f_code.co_filename == module_py.__file__ for frame in frames[1:here])


def test_no_metaclass_and_no_wrapper():
    assert type(minicnn.nn.Module) is type
    classes = [value for value in vars(minicnn.nn).values() if inspect.isclass(value)]  # Buffer has one, as in PyTorch
    assert all(type(layer) is type for layer in classes if issubclass(layer, minicnn.nn.Module))
    assert minicnn.nn.Module.__call__ is minicnn.nn.Module._call_impl
