"""The atlas of a large network, without the hours of ascent: a chain of layers with random weights, and pictures of noise.

python -m tests.large_atlas                        # opens some in Chromium, and prints how long that and searches take
python -m tests.large_atlas --layers 20 --width 100 --pages folder -o large.html   # only writes one, for a look
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import nn, viz
from minicnn.atlas import Plan
from minicnn.atlas.cache import Picture
from minicnn.atlas.contents import Contents
from minicnn.atlas.writing import FORMS, write
from minicnn.models import ModelMeta

ENTERS = 8  # pixels
SIZES = (
    (20, 100, 96),
    (125, 400, 8),
)  # layers, units of each, pixels of each picture: 2,000 units for the paint, 50,000 for the search
QUERIES = ("unit", "conv7:12", "class 31", "layer conv2d", "feeds class 7", "zebra", "1")
TURNS = 5


def network(layers: int, width: int) -> nn.Module:
    """`layers` layers of `width` units: 1 x 1 convolutions, and a linear layer with names of classes."""
    minicnn.manual_seed(0)
    model = nn.Sequential()
    for i in range(layers - 1):
        model.add_module(f"conv{i}", nn.Conv2d(width if i else 3, width, 1))
        model.add_module(f"relu{i}", nn.ReLU())
    model.add_module("pool", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("classifier", nn.Linear(width, width))
    classes = tuple(f"class {i}, the {i}th" for i in range(width))
    model.meta = ModelMeta("large", (0.5,) * 3, (0.25,) * 3, (3, ENTERS, ENTERS), classes, None, "random weights")
    return model.eval()


def contents(layers: int, width: int, side: int, photographs: int = 4) -> Contents:
    """An atlas whose pictures are noise of `side` pixels; each unit has a patch of each of some photographs."""
    model = network(layers, width)
    plan = Plan(model, steps=1)
    rng = np.random.default_rng(0)

    def noise(pixels: int) -> np.ndarray:
        return np.kron(
            rng.integers(0, 256, (pixels // 4, pixels // 4, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8)
        )

    pictures = {(layer.name, unit): Picture(noise(side), 0.0, 1.0) for layer in plan.layers for unit in layer.units}
    made = Contents(plan, f"A network of {plan.count:,} units", pictures)
    seen = [noise(ENTERS) for _ in range(photographs)]
    names = [layer.name for layer in plan.layers]
    made.patches = viz.top_patches(model, names, seen, k=photographs, size=ENTERS, crop_size=1, progress=False)
    for number, image in enumerate(seen):
        made.pictures.add(f"photo {number}", image)
    return made


def opened(driver: Any, address: str) -> dict[str, float]:
    """Milliseconds from the navigation to the first paint with content, until the script is ready, and of work of the page's thread."""
    driver.get("about:blank")
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = busy(driver)
    driver.get(address)
    times = driver.execute_async_script("""const done = arguments[0], look = () => {
        const paint = performance.getEntriesByName("first-contentful-paint")[0], ready = performance.getEntriesByName("ready")[0];
        if (paint && ready) done([paint.startTime, ready.startTime]); else setTimeout(look, 10);
    }; look();""")
    return {"paint": times[0], "ready": times[1], "thread": busy(driver) - before}


def busy(driver: Any) -> float:
    """Milliseconds for which a processor has worked on the page's thread."""
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def search(driver: Any, query: str) -> tuple[float, float, list[str], str]:
    """Milliseconds until what a query finds stands in the page and is laid out, those of the thread; the addresses, what is said."""
    before = busy(driver)
    took, found, said = driver.execute_script(
        """const box = document.getElementById("search"), found = document.getElementById("found");
        box.value = arguments[0];
        const started = performance.now();
        box.dispatchEvent(new Event("input"));
        found.getBoundingClientRect();
        const took = performance.now() - started;
        return [took, [...found.querySelectorAll("a")].map((a) => a.hash), document.getElementById("status").textContent];""",
        query,
    )
    return took, busy(driver) - before, found, said


def report(folder: Path, forms: tuple[str, ...]) -> Iterator[str]:
    """Write them, open them, search in them."""
    from tests.browser import start

    for layers, width, side in SIZES:
        made = contents(layers, width, side)
        for form in forms:
            output = folder / f"{layers * width}-{form}.html"
            size = write(made, output, form)
            yield (
                f"{layers * width:,} units, --pages {form}: {size / 1e6:.1f} MB, {output.stat().st_size / 1e6:.1f} MB of them the document"
            )
            driver = start(folder / f"{output.name}.profile")
            driver.set_page_load_timeout(300)
            driver.set_script_timeout(300)
            try:
                yield from _measured(driver, output)
            finally:
                driver.quit()
    yield f"medians of {TURNS}; load on this machine's {os.cpu_count()} processors: {os.getloadavg()[0]:.1f}"


def _measured(driver: Any, output: Path) -> Iterator[str]:
    word = output.with_name("word.html")  # how long a browser takes over any page, here and now
    word.write_text("<!doctype html><title>a word</title>word<script>performance.mark('ready')</script>")
    turns = [(opened(driver, word.as_uri()), opened(driver, output.as_uri())) for _ in range(TURNS)]
    least = statistics.median(turn["paint"] for turn, _ in turns)
    paint, ready, thread = (statistics.median(turn[key] for _, turn in turns) for key in ("paint", "ready", "thread"))
    elements = driver.execute_script("return document.querySelectorAll('*').length")
    yield f"  first paint {paint:.0f} ms (of a page with one word: {least:.0f} ms), ready {ready:.0f} ms"
    yield f"  a processor's work until then {thread:.0f} ms; {elements:,} elements"
    first = search(driver, QUERIES[0])
    medians = [[statistics.median(column) for column in zip(*(search(driver, query)[:2] for _ in range(TURNS)), strict=True)]
               for query in QUERIES]  # fmt: skip
    slowest, work = (max(column) for column in zip(*medians, strict=True))
    yield (
        f"  the first search {first[0]:.0f} ms (a processor's work {first[1]:.0f}), the slowest of {len(QUERIES)} others "
        f"{slowest:.0f} ms (a processor's work {work:.0f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--pages", choices=FORMS, action="append")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    forms = tuple(options.pages or FORMS)
    if options.output:
        size = write(contents(options.layers, options.width, options.side), options.output, forms[0])
        print(f"{options.output}: {size / 1e6:.1f} MB")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for line in report(Path(folder), forms):
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
