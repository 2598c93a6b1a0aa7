"""The networks in either library, from one source: the files of `minicnn/models`, executed with that library's `nn`."""

import ast
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "minicnn" / "models"
SHARED = ("_meta", "_blocks", "_inception")  # what the families are built of
WEIGHTS = (
    "INSTALLED",
    "ImageClassification",
    "InterpolationMode",
    "Weights",
    "enumeration",
    "imagenet_classes",
)  # not of use here
SETTINGS = {
    "googlenet": {"init_weights": False, "aux_logits": False},
    "inception_v3": {"init_weights": False, "aux_logits": False},
}


def network(lib: Any, name: str, size: int = 64) -> Any:
    """A network by its name in `minicnn.models`, in eval mode, with the same numbers in both libraries: TinyNet's are the bundled ones,
    the others' are drawn from He's normal distribution, with batch norms that fit them (`_settle`)."""
    if name == "tinynet":
        model = _definitions(lib)["TinyNet"]()
        from safetensors.numpy import load_file

        state = load_file(ROOT / "weights" / "tinynet_standard.safetensors")
        model.load_state_dict({key: lib.from_numpy(value) for key, value in state.items()})
        return model.eval()
    model = _definitions(lib)[name](**SETTINGS.get(name, {}))
    rng = np.random.default_rng(0)
    with lib.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                fan_in = int(np.prod(parameter.shape[1:]))
                for row in range(
                    0, len(parameter), 64
                ):  # all at once they would be the peak of a large network's memory
                    some = parameter[row : row + 64]
                    numbers = rng.standard_normal(tuple(some.shape), np.float32) * np.float32((2 / fan_in) ** 0.5)
                    some.copy_(lib.from_numpy(numbers))
        for module in model.modules():
            if isinstance(module, (lib.nn.Conv2d, lib.nn.Linear)) and module.bias is not None:
                module.bias.fill_(0.01)
    _settle(lib, model.eval(), size)
    return model


def _settle(lib: Any, model: Any, size: int) -> None:
    """Give each batch norm the size that its input has, as training does. With a variance of 1 everywhere the numbers of
    efficientnet_v2_s grew from block to block until rounding turned its gates, and float32's results were not those of float64.

    It is measured with an image of `size` pixels, since padding has its part in it, and rounded to a power of 4, so that both libraries
    set the same number."""

    def measure(norm: Any, inputs: tuple[Any, ...]) -> None:
        numbers = inputs[0].numpy().ravel()
        square = np.dot(numbers, numbers) / numbers.size
        norm.running_var.fill_(4.0 ** round(np.log2(square) / 2))

    norms = [module for module in model.modules() if isinstance(module, lib.nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(measure) for norm in norms]
    with lib.no_grad():
        model(lib.from_numpy(np.random.default_rng(1).standard_normal((1, 3, size, size), np.float32)))
    for handle in handles:
        handle.remove()


@cache
def _definitions(lib: Any) -> dict[str, Any]:
    """What the files define, with `lib.nn` in place of `minicnn.nn`, and for each network a function that builds it. They import
    nothing of minicnn's, so that the other library's process stays free of it."""
    names: dict[str, Any] = {
        "nn": lib.nn, "F": lib.nn.functional, "minicnn": lib, "init": lib.nn.init, "cat": lib.cat, "rand": lib.rand, "full": lib.full,
        "Tensor": lib.Tensor, "WeightsError": ValueError, "WeightsArgument": Any, "Any": Any,
        "network": lambda name, architecture, *rest, **more: (architecture, None), "with_heads": None,
        **dict.fromkeys(WEIGHTS, Mock()),
    }  # fmt: skip
    families = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    found: dict[str, Any] = {}
    for file in [*SHARED, *families]:
        own = dict(names)
        tree = ast.parse((FOLDER / f"{file}.py").read_text())
        tree.body = [node for node in tree.body if _is_kept(node)]
        exec(compile(tree, file, "exec"), own)
        if file in SHARED:
            names |= {name: value for name, value in own.items() if not name.startswith("__")}
        found |= own
    return found


def _is_kept(node: ast.stmt) -> bool:
    """Neither an import of minicnn's, nor a registered builder."""
    if isinstance(node, ast.ImportFrom):
        return not (node.module or "").startswith("minicnn")
    if isinstance(node, ast.Import):
        return all(alias.name != "minicnn" for alias in node.names)
    return isinstance(node, ast.ClassDef) or not getattr(node, "decorator_list", [])
