"""The networks in either library, from one source: the files of `minicnn/models`, executed with that library's `nn`."""

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]


def network(lib: Any, name: str) -> Any:
    """ "alexnet", "vgg16", "squeezenet1_1", "resnet18" or "tinynet" in eval mode, with the same numbers in both libraries:
    TinyNet's are the bundled ones, the others' are drawn from He's normal distribution."""
    if name == "tinynet":
        model = _classes(lib, "tinynet").TinyNet()
        from safetensors.numpy import load_file

        state = load_file(ROOT / "weights" / "tinynet_standard.safetensors")
        model.load_state_dict({key: lib.from_numpy(value) for key, value in state.items()})
        return model.eval()
    module = _classes(lib, {"vgg16": "vgg", "squeezenet1_1": "squeezenet", "resnet18": "resnet"}.get(name, name))
    if name == "alexnet":
        model = module.AlexNet()
    elif name == "vgg16":
        model = module.VGG(module.make_layers(module.cfgs["D"]), init_weights=False)
    elif name == "squeezenet1_1":
        model = module.SqueezeNet("1_1")
    else:
        model = module.ResNet(module.BasicBlock, [2, 2, 2, 2])
    rng = np.random.default_rng(0)
    with lib.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                fan_in = int(np.prod(parameter.shape[1:]))
                numbers = rng.standard_normal(tuple(parameter.shape), np.float32) * np.float32((2 / fan_in) ** 0.5)
                parameter.copy_(lib.from_numpy(numbers))
        for module in model.modules():
            if isinstance(module, (lib.nn.Conv2d, lib.nn.Linear)) and module.bias is not None:
                module.bias.fill_(0.01)
    return model.eval()


def _classes(lib: Any, file: str) -> SimpleNamespace:
    """What `minicnn/models/<file>.py` defines, with `lib.nn` in place of `minicnn.nn`. It imports nothing of minicnn's, so
    that the other library's process stays free of it."""
    tree = ast.parse((ROOT / "minicnn" / "models" / f"{file}.py").read_text())
    tree.body = [node for node in tree.body if _is_architecture(node)]
    names: dict[str, Any] = {
        "nn": lib.nn, "minicnn": lib, "init": lib.nn.init, "cat": lib.cat, "Tensor": lib.Tensor,
        "ModelMeta": lambda **settings: None, "IMAGENET": None, "WeightsArgument": Any,
    }  # fmt: skip
    exec(compile(tree, file, "exec"), names)
    return SimpleNamespace(**names)


def _is_architecture(node: ast.stmt) -> bool:
    """Neither minicnn's own imports, nor a registered builder, nor an enumeration of weights."""
    if isinstance(node, ast.ImportFrom):
        return not (node.module or "").startswith("minicnn")
    if isinstance(node, ast.Import):
        return all(alias.name != "minicnn" for alias in node.names)
    if isinstance(node, ast.ClassDef):
        return all(getattr(base, "id", "") != "WeightsEnum" for base in node.bases)
    return not getattr(node, "decorator_list", [])
