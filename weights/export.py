"""Turn a PyTorch state_dict into a `.safetensors` file that minicnn reads, batch norm folded into the convolutions.

The bundled network, from the file that `train.py` wrote:

    python weights/export.py RUN/last.pth weights/tinynet_standard.safetensors --architecture tinynet \\
        --classes DATA/wnids.txt --words DATA/words.txt --rename beacon=lighthouse \\
        --accuracy 0.4571 --note "Tiny ImageNet-200; top-1 on its 10,000 validation images"

A network of your own (`torch.save(model.state_dict(), "mine.pth")`), class names one a line:

    python weights/export.py mine.pth mine.safetensors --architecture mynet --classes names.txt \\
        --mean 0.5 0.5 0.5 --std 0.25 0.25 0.25 --input-size 3 32 32

The input may be a plain state_dict, or a checkpoint that nests it under "model", "state_dict" or "model_state_dict";
the prefix `module.` of DataParallel is taken off. Numbers leave as float32.

What folding does. In evaluation mode batch norm is one multiplication and one addition a channel, so a convolution
directly followed by it is itself a convolution: `weight * s` and `(bias - running_mean) * s + beta`, with
`s = gamma / sqrt(running_var + eps)`. The batch norm's entries disappear, and the numbers in a Sequential close up, as
if it had been built without batch norm: `features.0, features.1 (batch norm), features.4` become `features.0,
features.3`, so that a vgg11_bn file fits a vgg11. A state_dict holds no graph: "directly followed" is read from names
and order: a four-dimensional weight, then the batch norm, in the same module, in a Sequential with consecutive numbers.
A batch norm without such a convolution is kept and reported. Use `--no-fold` if your network applies its modules in
another order than it defines them, shares them, or normalises after a transposed convolution.
"""

import argparse
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

import minicnn
from minicnn.models import ModelMeta

NESTED_UNDER = ("model", "state_dict", "model_state_dict")
BATCH_NORM_NAMES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

State = Mapping[str, torch.Tensor]


def read_state_dict(path: Path, trust: bool = False) -> dict[str, torch.Tensor]:
    """The state_dict in a file that `torch.save` wrote. `trust` unpickles anything: only for a file of your own."""
    loaded = torch.load(path, map_location="cpu", weights_only=not trust)
    for name in NESTED_UNDER:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
            break
    if isinstance(loaded, torch.nn.Module):
        loaded = loaded.state_dict()
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        keys = list(loaded)[:8] if isinstance(loaded, Mapping) else type(loaded).__name__
        raise SystemExit(f"{path}: no state_dict found, neither at the top nor under {NESTED_UNDER}. It holds: {keys}")
    if loaded and all(name.startswith("module.") for name in loaded):
        loaded = {name.removeprefix("module."): value for name, value in loaded.items()}
    return dict(loaded)


def fold_batch_norm(state: State, eps: float = 1e-5) -> tuple[dict[str, torch.Tensor], dict[str, str], list[str]]:
    """Fold every batch norm that directly follows a convolution.

    Returns the new state_dict, the folded pairs {batch norm: convolution}, and the batch norms that had to stay.
    `eps` must be that of the batch norm layers; a state_dict does not hold it. PyTorch's default is 1e-5.
    """
    modules: OrderedDict[str, dict[str, torch.Tensor]] = OrderedDict()
    for name, value in state.items():
        module, _, leaf = name.rpartition(".")
        modules.setdefault(module, {})[leaf] = value

    folded, kept, before = {}, [], None
    for module, values in modules.items():
        if "running_mean" in values and "running_var" in values:
            if before is not None and _directly_followed(before, modules[before], module, values):
                modules[before] = _folded(modules[before], values, eps)
                folded[module] = before
            else:
                kept.append(module)
        before = module

    removed = set(folded)
    result = {
        f"{_renumbered(module, removed)}.{leaf}".lstrip("."): value
        for module, values in modules.items()
        if module not in removed
        for leaf, value in values.items()
    }
    return result, folded, kept


def _directly_followed(conv: str, conv_values: State, norm: str, norm_values: State) -> bool:
    weight = conv_values.get("weight")
    if weight is None or weight.ndim != 4 or len(weight) != len(norm_values["running_mean"]):
        return False
    conv_parent, _, conv_name = conv.rpartition(".")
    norm_parent, _, norm_name = norm.rpartition(".")
    if conv_parent != norm_parent:
        return False
    if conv_name.isdigit() and norm_name.isdigit():
        return int(norm_name) == int(conv_name) + 1  # a gap is a module without parameters: perhaps a ReLU
    return True


def _folded(conv: State, norm: State, eps: float) -> dict[str, torch.Tensor]:
    """A convolution's values, {"weight" (O, C/groups, KH, KW), "bias" (O,)}, with the batch norm after it folded in."""
    mean, var = norm["running_mean"].double(), norm["running_var"].double()
    gamma = norm["weight"].double() if "weight" in norm else torch.ones_like(mean)
    beta = norm["bias"].double() if "bias" in norm else torch.zeros_like(mean)
    bias = conv["bias"].double() if "bias" in conv else torch.zeros_like(mean)
    scale = gamma / torch.sqrt(var + eps)
    return {
        **conv,
        "weight": conv["weight"].double() * scale[:, None, None, None],
        "bias": (bias - mean) * scale + beta,
    }


def _renumbered(module: str, removed: set[str]) -> str:
    """`features.4` with `features.1` removed is `features.3`; names that are not numbers stay."""
    parts, result = module.split("."), []
    for depth, part in enumerate(parts):
        if part.isdigit():
            siblings = (".".join([*parts[:depth], str(i)]) for i in range(int(part)))
            part = str(int(part) - sum(sibling in removed for sibling in siblings))
        result.append(part)
    return ".".join(result)


def read_classes(classes: Path | None, words: Path | None = None, rename: Sequence[str] = ()) -> tuple[str, ...]:
    """Class names in the order of the network's outputs, one a line.

    With `words` (ImageNet's words.txt: `n01443537<TAB>goldfish, Carassius auratus`) the lines are WordNet ids, and the
    first of the synonyms becomes the name. `rename` holds "old=new" for names that say too little by themselves.
    Raises SystemExit if two classes would carry the same name, or a class cannot be found.
    """
    if classes is None:
        return ()
    names = [line.strip() for line in classes.read_text(encoding="utf-8").splitlines() if line.strip()]
    if words is not None:
        synonyms = dict(line.split("\t", 1) for line in words.read_text(encoding="utf-8").splitlines() if "\t" in line)
        unknown = [name for name in names if name not in synonyms]
        if unknown:
            raise SystemExit(f"{words} has no line for {', '.join(unknown[:5])} of {classes}")
        names = [synonyms[name].split(",")[0].strip() for name in names]
    for pair in rename:
        old, _, new = pair.partition("=")
        if old not in names or not new:
            raise SystemExit(f"--rename {pair}: write it OLD=NEW, with the name of a class for OLD")
        names[names.index(old)] = new
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SystemExit(f"{classes}: names that occur more than once: {', '.join(repeated)}")
    return tuple(names)


def export(state: State, target: Path, meta: ModelMeta) -> None:
    """Write the state_dict (floating point as float32) with its metadata; `.safetensors` or `.npz` by the suffix."""
    arrays = {name: (v.float() if v.is_floating_point() else v).contiguous().numpy() for name, v in state.items()}
    minicnn.save(arrays, target, metadata=meta.to_metadata())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the file that torch.save wrote (.pth, .pt)")
    parser.add_argument("target", type=Path, help="the file to write (.safetensors or .npz)")
    parser.add_argument("--architecture", required=True, help="name of the architecture, such as tinynet or vgg11")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names in output order, one a line")
    parser.add_argument("--words", type=Path, metavar="FILE", help="words.txt, if --classes holds WordNet ids")
    parser.add_argument(
        "--rename", nargs="+", default=[], metavar="OLD=NEW", help="other names for some of the classes"
    )
    parser.add_argument(
        "--mean", type=float, nargs="+", default=[0.485, 0.456, 0.406], help="of pixels / 255 (ImageNet's)"
    )
    parser.add_argument(
        "--std", type=float, nargs="+", default=[0.229, 0.224, 0.225], help="of pixels / 255 (ImageNet's)"
    )
    parser.add_argument("--input-size", type=int, nargs=3, default=[3, 64, 64], metavar=("C", "H", "W"))
    parser.add_argument("--accuracy", type=float, help="top-1 on the validation images, a fraction in [0, 1]")
    parser.add_argument("--note", default="", help="one line: what the network was trained on, what the accuracy is of")
    parser.add_argument("--eps", type=float, default=1e-5, help="eps of the batch norm layers (default: 1e-5)")
    parser.add_argument("--no-fold", action="store_true", help="keep batch norm as it is")
    parser.add_argument("--trust", action="store_true", help="unpickle anything: only for a file of your own")
    args = parser.parse_args(arguments)

    meta = ModelMeta(
        architecture=args.architecture,
        categories=read_classes(args.classes, args.words, args.rename),
        mean=tuple(args.mean),
        std=tuple(args.std),
        input_size=tuple(args.input_size),
        accuracy=args.accuracy,
        note=args.note,
    )
    state, folded, kept = read_state_dict(args.source, args.trust), {}, []
    if not args.no_fold:
        state, folded, kept = fold_batch_norm(state, args.eps)
    export(state, args.target, meta)
    print(f"{args.target}: {len(state)} tensors, {sum(v.numel() for v in state.values()):,} numbers")
    print(f"batch norm folded into a convolution: {len(folded)}; kept: {', '.join(kept) or 'none'}")


if __name__ == "__main__":
    main()
