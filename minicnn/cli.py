"""The command `minicnn`: what the library shows, from a shell. Each subcommand is a few lines over `minicnn.viz`.

Exit codes: 0 done, 1 it failed (one line says why), 2 the command was not understood, 130 interrupted.
"""

import argparse
import json
import math
import os
import re
import sys
import textwrap
import traceback
import warnings
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import models
from minicnn.inspect.names import printable
from minicnn.serialization import atomic_write

REMEDY = (
    "Another --seed or more --steps may find what drives the unit; --open-dead-relus 32 lets the gradient through a ReLU that is "
    "off everywhere; or maximise the layer before the ReLU."
)
OPTIONS = (  # what an error of the library says, and how it is said to the command
    (r"viz\.choose_output\(model, '?(.+?)'?\)", r"--part \1"),
    (r"\b(size|mean|std)=(?= )", r"--\1"),
    (r"model\.meta\.categories states", "--classes FILE states"),
    (r" \(receptive_fields: shape=\)", ""),
    (r", or give labels=\{folder: class\}", ""),
    (r"labels='folders' needs", "minicnn mistakes needs"),
)
Raw = argparse.RawDescriptionHelpFormatter  # examples stay in lines
EXAMPLES = """examples:
  minicnn predict photo.jpg                        what the bundled network sees in a photograph
  minicnn filters -o filters.png                   the filters of its first layer
  minicnn maps photo.jpg --layers features.1 -o maps.png
  minicnn mistakes photos/                         what it gets wrong; photos/ has a folder for each class
  minicnn maximize features.8:12 logit:lighthouse  images that make these units answer most
  minicnn atlas -o atlas.html                      everything, in one file that opens offline
  minicnn play --open                              the network in your browser, to be played with

  --model alexnet --weights alexnet.pth            another network by its name, with its weights
  --model net.onnx                                 a network of any framework, with its weights
  --model mynet.py:MyNet --weights mynet.pth       a network of your own: a class or function in a file
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a letter must not end the work
        if hasattr(stream, "reconfigure"):  # a notebook has others
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _saying_once()
            _check_output(options)
            options.network = models.provenance(options.model, options.weights)
            result, text = options.run(options)
        print(_as_json({"network": options.network, **result}) if options.json else printable(text))
        return 0
    except KeyboardInterrupt:
        _say("minicnn: interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        drop_output()
        return 1
    except BaseException as error:  # a network of the user's own may raise anything
        if options.debug:
            raise
        _say(f"minicnn: {reason(error)}")
        return 1


def drop_output() -> None:
    """What is still printed goes nowhere, so that Python does not complain at its end that nobody reads it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


Result = tuple[dict[str, Any], str]  # what --json prints, and what is printed without it


def predict(options: argparse.Namespace) -> Result:
    """What a network sees in a photograph."""
    from minicnn.atlas.photograph import answer_of
    from minicnn.viz import preprocess
    from minicnn.viz.network import described, frozen, part_hint, run

    picture, model = _picture(options), _model(options)
    entrance = _entrance(model, options)
    with frozen(model), minicnn.no_grad():
        output = run(model, preprocess(picture, model))
    answer = answer_of(model, output, options.top)
    if not answer:
        raise ValueError(
            f"the network's output is {described(output)}, not (1, classes): it predicts no class{part_hint(output)}"
        )
    if not np.isfinite([p for _, _, p in answer]).all():
        raise ValueError("the network answers NaN or infinity: it predicts no class")
    rows = [{"class": name, "index": index, "probability": round(p, 6)} for index, name, p in answer]
    return {"photo": options.photo, **entrance, "predictions": rows}, "\n".join(f"{p:7.1%}  {n}" for _, n, p in answer)


def filters(options: argparse.Namespace) -> Result:
    """The filters of a layer as a picture, and in numbers beside those of noise."""
    from minicnn.viz import draw_filters, filter_report

    model = _model(options)
    report = filter_report(model, options.layer, seed=options.seed)
    path = _save(draw_filters(model, options.layer), options)
    result = {
        "layer": report.layer, "shape": list(report.weight.shape), "gabor_r2": report.gabor.r2, "percentile": report.percentile,
        "noise_r2_median": np.median(report.noise_r2) if len(report.noise_r2) else None, "dead": report.dead, "picture": path,
    }  # fmt: skip
    return result, f"{report.table()}\n{path}"


def maps(options: argparse.Namespace) -> Result:
    """What the layers answer to a photograph."""
    from minicnn.viz import capture, draw_maps, draw_strip, fit, preprocess
    from minicnn.viz.image import input_size, to_channels
    from minicnn.viz.network import frozen, input_channels, run

    photo, model = _picture(options), _model(options)
    entrance = _entrance(model, options)
    size = input_size(model)
    picture = to_channels(fit(photo, size), input_channels(model))  # as the network sees it
    every = [f"{name}#*" for name, module in model.named_modules() if next(module.children(), None) is None]
    with frozen(model), minicnn.no_grad(), capture(model, options.layers or every) as captured:
        run(model, preprocess(picture, model, size=size))
    found = {name: output for name, output in captured.items() if getattr(output, "ndim", 0) == 4}
    if not found:
        raise ValueError(f"none of {', '.join(captured)} returns maps (N, C, H, W)")
    figure = draw_maps(*found.values(), title=next(iter(found))) if len(found) == 1 else draw_strip(found, picture)
    path = _save(figure, options)
    rows = {name: {"shape": list(m.shape), "mean": m.mean().item(), "max": m.max().item()} for name, m in found.items()}
    return {"photo": options.photo, **entrance, "layers": rows, "picture": path}, path


def mistakes(options: argparse.Namespace) -> Result:
    """Which photographs a network gets wrong, and which classes it mixes up."""
    from minicnn.viz import answers

    model = _model(options)
    entrance = _entrance(model, options)
    found = answers(model, options.images, labels="folders", progress=not options.quiet)
    table, count, wrong = found.confusion, int((found.labels >= 0).sum()), len(found.wrong)
    path = _save(table.figure() if options.matrix or not wrong else found.wrong_figure(options.top), options)
    rows = [mistake._asdict() for mistake in table.mistakes(options.top)]
    by_class = dict(zip(map(str, range(len(table.categories))), table.by_class, strict=True))
    result = {
        "images": options.images,
        **entrance,
        "photographs": count,
        "accuracy": table.accuracy,
        "by_class": by_class,
    }
    lines = [f"{table.accuracy:.1%} of {count} photographs right"]
    lines += [f"{row['times']:5} of {row['true']} taken for {row['answered']}" for row in rows]
    lines += [f"{found.skipped_count} files skipped"] * bool(found.skipped_count)
    return {**result, "skipped": found.skipped_count, "mistakes": rows, "picture": path}, "\n".join([*lines, path])


def maximize(options: argparse.Namespace) -> Result:
    """Images that make units answer most."""
    from minicnn import viz

    model = _model(options)
    entrance = _entrance(model, options)
    warnings.simplefilter("ignore", viz.ActivationWarning)  # said below, with the options of the command
    result = viz.maximize(
        model, options.units, steps=options.steps, size=options.size, seed=options.seed,
        open_dead_relus=options.open_dead_relus, progress=not options.quiet,
    )  # fmt: skip
    columns = zip(result.labels, result.activation_start, result.activation_end, result.rose.tolist(), strict=True)
    rows = [{"unit": label, "start": float(a), "end": float(b), "rose": rose} for label, a, b, rose in columns]
    lines = [f"{row['unit']}: {row['start']:.4g} -> {row['end']:.4g}" for row in rows]
    flat = "; ".join(line for line, row in zip(lines, rows, strict=True) if not row["rose"])
    if flat:
        flat = f"the activation did not rise, a picture shows nothing: {flat}. {REMEDY}"
    if not result.rose.any():
        raise ValueError(flat)
    if flat:
        _say(f"minicnn: {flat}")
    options.entrance = ""  # the figure says it itself
    path = _save(result.figure(), options)
    settings = {"seed": options.seed, "steps": options.steps, **entrance}
    return {**settings, "units": rows, "picture": path}, "\n".join([*lines, path])


def atlas(options: argparse.Namespace) -> Result:
    """Every unit of a network on a page of its own, in one HTML file."""
    from minicnn.atlas import build
    from minicnn.atlas.builder import duration, megabytes

    settings = {"layers": options.layers, "units": options.units, "steps": options.steps, "seed": options.seed}
    model = _model(options)
    entrance = _entrance(model, options)
    options.images = _folder(model, options)
    if options.estimate:
        result, text = _estimate(model, options, settings)
        return {**entrance, **result}, text
    say = (lambda line: None) if options.quiet else _say
    try:
        built = build(
            model, options.output, title=options.title or f"Atlas of {options.network}", folder=options.images,
            patches=options.patches, photo=options.photo, play=options.play, pages=options.pages,
            workers=options.scheduler or options.workers,
            budget=None if options.budget is None else 60 * options.budget,
            progress=not options.quiet, say=say, **settings,
        )  # fmt: skip
    except KeyboardInterrupt:
        _say(
            "\nEvery finished unit is kept, and what was found in the photographs: the same command goes on from there."
        )
        raise
    for name, reason in built.skipped[:10]:
        say(f"skipped {name}: {reason}")
    if len(built.skipped) > 10:
        say(f"... all {len(built.skipped)} files that were skipped are listed in the atlas")
    if built.not_risen:
        say(f"{built.not_risen} of {built.units} units did not rise; their pages say so")
    result = {
        **entrance,
        "path": str(built.path),
        "bytes": built.bytes,
        "seconds": round(built.seconds, 1),
        "units": built.units,
        "not_risen": built.not_risen,
        "photographs": built.photographs,
        "skipped": [{"file": name, "reason": reason} for name, reason in built.skipped],
    }
    return result, f"{built.path}: {built.units} units, {megabytes(built.bytes)}, in {duration(built.seconds)}"


def play(options: argparse.Namespace) -> Result:
    """A page to play with, in which the network runs in the browser."""
    from minicnn.atlas.builder import megabytes
    from minicnn.play import build

    links = {"The atlas of this network": options.atlas} if options.atlas else None
    model = _model(options)
    entrance = _entrance(model, options)
    built = build(model, options.output, bits=options.bits, photographs=options.photos, links=links)
    if options.open:
        webbrowser.open(built.path.resolve().as_uri())
    result = {"path": str(built.path), "bytes": built.bytes, "bits": built.bits, "photographs": built.photographs}
    text = f"{built.path}: {built.layers} layers, {megabytes(built.bytes)}: open it in a browser"
    return {**entrance, **result}, text


def _estimate(model: Any, options: argparse.Namespace, settings: dict[str, Any]) -> Result:
    from minicnn.atlas import Plan
    from minicnn.atlas.builder import cost_of, photograph_of
    from minicnn.atlas.cache import UnitCache
    from minicnn.atlas.writing import advice

    plan = Plan(model, **settings)
    photograph_of(plan, options.photo)
    cost = cost_of(plan, UnitCache.beside(options.output, plan), options.images, options.patches, not options.quiet)
    result = {
        "units": cost.units, "unfinished": cost.unfinished, "photographs": cost.photographs, "seconds": round(cost.seconds, 1),
        "bytes": round(cost.page_bytes), "measured_seconds": round(cost.measured_seconds, 1),
        "ten_minutes": cost.fits and {"units": cost.fits[0], "steps": cost.fits[1]},
    }  # fmt: skip
    said = advice(options.pages, cost.units)
    return result, "\n".join(filter(None, [f"{cost}{_advice(cost)}", said]))


def _advice(cost: Any) -> str:
    """Options with which an atlas that takes long fits in ten minutes."""
    from minicnn.atlas.builder import PATIENCE

    if cost.seconds <= PATIENCE:
        return ""
    if cost.fits is None:
        return "\nNo choice of --units and --steps fits in ten minutes: --layers takes fewer layers, --images fewer photographs"
    return "\n--units {} --steps {} fit in ten minutes".format(*cost.fits)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minicnn", description="See what a convolutional network sees.", epilog=EXAMPLES, formatter_class=Raw
    )
    parser.add_argument("--version", action="version", version=f"minicnn {minicnn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    command = _command(commands, predict, "photo.jpg --top 3", "photo.jpg --json")
    _photo(command)
    command.add_argument("--top", type=_positive, default=5, metavar="N", help="so many classes (default 5)")

    command = _command(commands, filters, "-o filters.png", "--layer features.3 --json", output="filters.png")
    command.add_argument("--layer", metavar="NAME", help="dotted name of a convolution (default: the first)")
    _order(command)

    command = _command(commands, maps, "photo.jpg", "photo.jpg --layers features.1 -o maps.png", output="maps.png")
    _photo(command)
    command.add_argument("--layers", nargs="+", metavar="NAME", help="names or patterns of modules (default: all)")

    _mistakes_command(commands)

    command = _command(
        commands,
        maximize,
        "features.8:12 features.8:13",
        "logit:lighthouse --model tinynet:robust",
        output="maximized.png",
    )
    units = "layer:channel, layer:channel@y,x, logit:NAME or logit:INDEX"
    command.add_argument("units", nargs="+", metavar="UNIT", help=units)
    command.add_argument("--steps", type=_positive, default=256, metavar="N", help="of gradient ascent (default 256)")
    command.add_argument(
        "--open-dead-relus",
        type=int,
        default=0,
        metavar="N",
        help="for so many steps the gradient passes ReLUs that block it",
    )
    _input(command)

    _atlas_command(commands)

    command = _command(commands, play, "-o play.html", "--photos my.jpg --open", output="play.html")
    _input(command)
    pictures = "photographs to choose from (default: twelve that come with minicnn)"
    command.add_argument("--photos", nargs="+", metavar="PHOTO", help=pictures)
    bits = "of each weight in the page; 8 make it smaller and less exact (default 16)"
    command.add_argument("--bits", type=int, choices=(8, 16), default=16, help=bits)
    command.add_argument(
        "--atlas", metavar="ADDRESS", help="of an atlas of this network, as seen from the page: a link to it"
    )
    command.add_argument("--open", action="store_true", help="open it in the browser")
    return parser


def _mistakes_command(commands: Any) -> None:
    command = _command(commands, mistakes, "photos/", "photos/ --matrix -o matrix.png", output="mistakes.png")
    named = "a folder with a folder for each class, called like it; without names there are as many as classes, in their order"
    command.add_argument("images", metavar="FOLDER", help=named)
    command.add_argument("--top", type=_positive, default=12, metavar="N", help="so many mistakes (default 12)")
    matrix = "draw the matrix of the classes that are mixed up, in place of the photographs"
    command.add_argument("--matrix", action="store_true", help=matrix)
    _input(command)


def _atlas_command(commands: Any) -> None:
    examples = (
        "--images photos/ -o atlas.html",
        "--units 8 --no-images --layers features.10 classifier",
        "--images photos/ --estimate",
        "--images photos/ --workers 4",
        "--model squeezenet1_1 --budget 20",
        "--play play.html",
        "--model resnet18 --pages folder",
    )
    command = _command(commands, atlas, *examples, output="atlas.html")
    images = command.add_mutually_exclusive_group()
    searched = "photographs to search for what excites each unit (default: the 58 that come with minicnn)"
    images.add_argument("--images", metavar="FOLDER|LIST.txt|FILE.tar|FILE.parquet|URL", help=searched)
    images.add_argument("--no-images", action="store_true", help="no photographs")
    command.add_argument("--photo", metavar="PHOTO", help="for the page of one photograph (default: a sample)")
    layers = "names or patterns of modules (default: the convolutions and the output)"
    command.add_argument("--layers", nargs="+", metavar="NAME", help=layers)
    command.add_argument("--units", type=_positive, metavar="N", help="the first N units of each layer (default: all)")
    command.add_argument("--patches", type=_positive, default=5, metavar="K", help="photographs a unit (default 5)")
    command.add_argument("--steps", type=_positive, default=48, metavar="N", help="of gradient ascent (default 48)")
    budget = "of ascent and search: the units and steps that fit, by what they cost on this machine"
    command.add_argument("--budget", type=float, metavar="MINUTES", help=budget)
    workers = command.add_mutually_exclusive_group()
    processes = "processes on this machine that maximise and look (default: this one; needs minicnn[cluster])"
    workers.add_argument("--workers", type=_positive, metavar="N", help=processes)
    workers.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, whose workers do it")
    _input(command)
    command.add_argument("--title", metavar="TEXT", help="of the page")
    command.add_argument(
        "--play", metavar="ADDRESS", help="of a page that `minicnn play` made of this network: units link to it"
    )
    pages = "all in the file (default); for a large network parts of it, or files in a folder beside it, that are read when they are shown"
    command.add_argument("--pages", choices=("all", "parts", "folder"), default="all", help=pages)
    command.add_argument("--estimate", action="store_true", help="say what it would cost in time and size, and stop")


def _command(commands: Any, run: Any, *examples: str, output: str | None = None) -> argparse.ArgumentParser:
    """A subcommand that runs this function, with the options that all of them have."""
    lines = "\n".join(f"  minicnn {run.__name__} {example}" for example in examples)
    command = commands.add_parser(
        run.__name__, help=run.__doc__, description=run.__doc__, epilog=f"examples:\n{lines}", formatter_class=Raw
    )
    command.set_defaults(run=run)
    names = ", ".join(models.list_models())
    network = f"{names}; an .onnx file; a class or function in a file of your own (default: tinynet, the bundled one)"
    command.add_argument("--model", default="tinynet", metavar="NAME|FILE.onnx|FILE.py:NAME", help=network)
    command.add_argument("--weights", metavar="FILE", help="its weights: .safetensors, .npz or .pth")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)")
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    if output:
        command.add_argument(
            "-o", "--output", default=output, metavar="FILE", help=f"where to write (default {output})"
        )
    return command


def _photo(command: argparse.ArgumentParser) -> None:
    command.add_argument("photo", metavar="PHOTO", help="a file that Pillow reads")
    _input(command)


def _input(command: argparse.ArgumentParser) -> None:
    """How images enter the network, and what leaves it."""
    side = "side of the image (default: as the network was trained)"
    command.add_argument("--size", type=_positive, metavar="PIXELS", help=side)
    mean = "of the pixels, where white is 1: one number, or one for each channel as they enter (default: as the network was trained)"
    command.add_argument("--mean", type=_numbers, metavar="M[,M,M]", help=mean)
    command.add_argument("--std", type=_numbers, metavar="S[,S,S]", help="the standard deviation, likewise")
    scale = "what white is where --mean and --std are stated, 255 for example; without them pixels enter so (default 1)"
    command.add_argument("--scale", type=_number, metavar="WHITE", help=scale)
    _order(command)
    classes = "names of the classes: a line each; or JSON: a list, {index: name} or {name: index}"
    command.add_argument("--classes", metavar="FILE", help=classes)
    part = "of a network that returns a tuple or a dict, use this part; KEY,KEY goes deeper"
    command.add_argument("--part", type=_keys, metavar="KEY", help=part)


def _order(command: argparse.ArgumentParser) -> None:
    order = "in which channels enter (default: as the network was trained, red first)"
    command.add_argument("--channels-order", choices=("rgb", "bgr"), help=order)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _numbers(text: str) -> float | list[float]:
    numbers = [float(number) for number in text.split(",")]
    return numbers if len(numbers) > 1 else numbers[0]


def _number(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive, not {text}")
    return value


def _keys(text: str) -> list[int | str]:
    return [int(key) if key.isdecimal() else key for key in text.split(",")]


_numbers.__name__ = "list of numbers"
_number.__name__ = "number"
_positive.__name__ = "whole number"  # what argparse calls it in "invalid ... value"


def _model(options: argparse.Namespace) -> Any:
    """The network of the options, which says by its `meta` how images enter, and in a note if its weights are random."""
    from minicnn.viz.network import choose_output, input_channels

    minicnn.manual_seed(options.seed)  # of a network without weights
    model = models.from_spec(options.model, options.weights)
    if getattr(options, "part", None):
        choose_output(model, *options.part)
    _let_in(model, options)
    channels = input_channels(model)
    if channels not in (1, 3) and (getattr(options, "photo", None) or getattr(options, "images", None)):
        raise ValueError(
            f"the network takes {channels} channels and a photograph has 3: in Python, minicnn.viz takes arrays (H, W, {channels})"
        )
    if "random weights" in options.network:
        model.meta = replace(model.meta, note=f"{options.network}. {model.meta.note}")
        _say(f"minicnn: {options.network}: --weights FILE loads trained ones")
    return model


def _let_in(model: Any, options: argparse.Namespace) -> None:
    """Write into the network's `meta` what the options say of how images enter and of what the classes are called."""
    from minicnn.viz.network import as_given, input_channels, statistics

    names = ("size", "scale", "mean", "std", "channels_order")
    size, scale, mean, std, order = given = [getattr(options, name, None) for name in names]
    said = [f"--{name.replace('_', '-')}" for name, value in zip(names, given, strict=True) if value is not None]
    meta = replace(model.meta, source=as_given(said, model.meta.source or "as model.meta states"))
    if scale is not None:  # mean and std are stated for pixels up to it, or pixels enter so
        mean, std = np.divide(0 if mean is None else mean, scale), np.divide(1 if std is None else std, scale)
    elif np.max(mean or 0) > 1:
        _say("minicnn: --mean is above white, which is 1: if it is stated for pixels up to 255, --scale 255 says so")
    if mean is not None or std is not None:
        stats = statistics(model, mean, std, channels=input_channels(model))
        meta = replace(meta, mean=stats.mean, std=stats.std)
    if size is not None:
        meta = replace(meta, input_size=(meta.input_size[0], size, size), resize_size=None)
    if getattr(options, "classes", None) is not None:
        meta = replace(meta, categories=_class_names(options.classes))
    model.meta = meta if order is None else replace(meta, channels_order=order)


def _class_names(file: str) -> tuple[str, ...]:
    """The names in a file: a line each; or JSON: a list, {index: name} or {name: index}, where [.., name] may stand for a name."""
    try:
        text = Path(file).read_text(encoding="utf-8-sig").strip()
        found = json.loads(text) if text[:1] in ("[", "{") else text.splitlines()
        if isinstance(found, dict):
            if all(isinstance(index, int) for index in found.values()):
                found = {str(index): name for name, index in found.items()}
            found = [found[str(index)] for index in range(len(found))]
    except KeyError as error:
        raise ValueError(f"{file}: {len(found)} names, and none of them has the index {error.args[0]}") from error
    except ValueError as error:  # also of what is no UTF-8
        raise ValueError(f"{file}: the names of classes are lines or JSON: {error}") from error
    if not found:
        raise ValueError(f"{file} holds no names of classes")
    return tuple(str(entry[-1] if isinstance(entry, list) and entry else entry).strip() for entry in found)


def _entrance(model: Any, options: argparse.Namespace) -> dict[str, Any]:
    """What --json says of how images enter; the same is said to the user, and stands below figures."""
    from minicnn.viz.network import entrance, input_channels, input_size, statistics

    stats = statistics(model, channels=input_channels(model))
    options.entrance = f"images enter as {entrance(model)}"
    if not (options.quiet or options.json):
        _say(f"minicnn: {options.entrance}")
    return {"input": {"size": input_size(model), **stats._asdict(), "source": model.meta.source}}


def _picture(options: argparse.Namespace) -> np.ndarray:
    """The photograph of the options: looked at before the network is made."""
    from minicnn.viz import load_image

    return load_image(options.photo)


def _folder(model: Any, options: argparse.Namespace) -> Any:
    """The folder of the options, by default that which comes with minicnn, for a network that takes photographs."""
    from minicnn.viz import sample_folder
    from minicnn.viz.network import input_channels

    if options.images is not None or options.no_images:
        return None if options.no_images else options.images
    return sample_folder() if input_channels(model) in (1, 3) else None


def _check_output(options: argparse.Namespace) -> None:
    """Before the work: the file that is to be written can be, and is none of those that are read."""
    from minicnn.viz.figures.plot import figure_path, writable

    if not hasattr(options, "output"):
        return
    path = Path(options.output)
    path = path if options.run in (atlas, play) else figure_path(path)
    writable(path)
    options.output = str(path)
    for read in (
        options.weights,
        getattr(options, "photo", None),
        *(getattr(options, "photos", None) or ()),
        options.model.partition(":")[0],
    ):
        if read is not None and path.exists() and Path(read).exists() and path.samefile(read):
            raise ValueError(f"{path} is read by this command: write to another file")


def _save(figure: Any, options: argparse.Namespace) -> str:
    """Write a figure, with the network's name below it; the file's name."""
    width = figure.get_figwidth()
    lines = [
        textwrap.fill(line, int(width * 14)) for line in (options.network, getattr(options, "entrance", "")) if line
    ]
    figure.text(0.15 / width, 0, "\n".join(lines), va="top", fontsize=8, color="#555555")
    with atomic_write(options.output) as file:
        figure.savefig(file, format=Path(options.output).suffix[1:], bbox_inches="tight")
    return options.output


def _as_json(value: Any) -> str:
    return printable(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Arrays as lists, NaN and infinity as null, since JSON has none of them."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _saying_once() -> Callable[..., None]:
    """What shows warnings to the user, each text once in a command."""
    said: set[str] = set()

    def show(message: Warning | str, *_rest: Any, **_more: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            _say(f"minicnn: {_in_options(str(message))}")

    return show


def _in_options(text: str) -> str:
    """What the library advises, said with the options of the command."""
    for pattern, option in OPTIONS:
        text = re.sub(pattern, option, text)
    return text


def reason(error: BaseException) -> str:
    """An error as one paragraph for a person: what it says; and where, if it comes from code that is not minicnn's."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        text = f"{what}: {error.filename}"
    text = _in_options(text)
    kind = type(error).__name__
    place = next(filter(None, map(models.raised_at, _causes(error))), "")
    if place and place not in text:
        said = " ".join(text.split())[:1000] or traceback.extract_tb(error.__traceback__)[-1].line
        return f"{place}: {kind}: {said} (--debug shows the traceback)"
    if isinstance(error, OSError | ValueError | KeyError | IndexError | TypeError | RuntimeError):
        return text or kind
    return f"{kind}: {text} (--debug shows the traceback)"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
