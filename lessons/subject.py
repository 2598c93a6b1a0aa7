"""What lessons 1, 2, 4 and 5 look at: the bundled network and a sample photograph, or others that `python -m lessons` was given.

All that is needed only because the network may be another one is in here. So the lessons read as if there were one network.
"""

import os

import numpy as np

from minicnn import nn, viz
from minicnn.models import from_spec, provenance

Figure = viz.plain_figure()  # matplotlib's, but a "$" in the name of a class is a letter and begins no formula


class Subject:
    """model: the network. name: what figures call it. state: "trained" where we know it, else "as given".

    bundled: whether it is the bundled network. twin: what figures call that one's robust twin. convolutions: the names of all its
    convolutions. layers: {name: layer}, in the order of a chain; a block, as in a ResNet, is one layer.
    """

    def __init__(self):
        spec, weights = os.environ.get("LESSON_MODEL", "tinynet"), os.environ.get("LESSON_WEIGHTS")
        self.model = from_spec(spec, weights)
        self.bundled = spec == "tinynet" and weights is None
        self.name = "The bundled network" if self.bundled else provenance(spec, weights)
        self.state = "trained" if self.bundled else "as given"
        self.twin = "robust twin" if self.bundled else "TinyNet's\nrobust twin"
        self.convolutions = [name for name, module in self.model.named_modules() if isinstance(module, nn.Conv2d)]
        self.layers = {}
        for name, child in self.model.named_children():
            parts = child.named_children() if isinstance(child, nn.Sequential) else [("", child)]
            self.layers |= {f"{name}.{part}".rstrip("."): layer for part, layer in parts}
        print("network:", self.name)

    def photo(self):
        """The photograph, an array of uint8 (height, width, 3)."""
        path = os.environ.get("LESSON_PHOTO")
        return viz.load_image(path) if path else viz.sample_photo()

    def classes(self, count):
        """The names of its `count` classes; a file may not name them."""
        return list(self.model.meta.categories) or [f"class {k}" for k in range(count)]

    def spread(self, names, count=5):
        """`count` of these names, evenly from the first to the last; all if there are no more."""
        return [names[k] for k in np.unique(np.linspace(0, len(names) - 1, count).round().astype(int))]

    def ends_in(self):
        """The name of the layer that averages over all positions, or of the first linear one."""
        ends = (nn.Linear, nn.AdaptiveAvgPool2d)
        return next((name for name, layer in self.layers.items() if isinstance(layer, ends)), list(self.layers)[-1])

    def activations(self):
        """The names of five layers from early to deep whose maps are worth a look: ReLUs, in a ResNet blocks too."""
        others = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.Dropout, nn.ZeroPad2d)
        maps = list(self.layers)[: list(self.layers).index(self.ends_in())]
        return self.spread([name for name in maps if not isinstance(self.layers[name], others)])

    def channel(self, layer, number):
        """This channel of a convolution; its last one if it has no such channel."""
        return min(number, self.model.get_submodule(layer).out_channels - 1)

    def channels(self, layer, first):
        """The names of eight channels of a convolution, such as "features.3:4"; its last ones if it has no more."""
        end = min(first + 8, self.model.get_submodule(layer).out_channels)
        return [f"{layer}:{channel}" for channel in range(max(0, end - 8), end)]

    def known(self, names):
        """Those of these classes that it knows, as "logit:pizza"; its first eight if it knows none."""
        logits = [f"logit:{name}" for name in names if name in self.model.meta.categories]
        outputs = self.model(viz.preprocess(self.photo(), self.model)).shape[1]
        return logits or [f"logit:{k}" for k in range(min(8, outputs))]

    def multiplications(self, name, seen):
        """Those of a layer for one image: each weight of its convolutions and linear layers, once for every position.

        seen: {name: what the module returned}, of every module.
        """
        parts = {f"{name}.{inner}".rstrip("."): part for inner, part in self.layers[name].named_modules()}
        return sum(
            part.weight.numel() * int(np.prod(seen[place].shape[2:]))
            for place, part in parts.items()
            if isinstance(part, (nn.Conv2d, nn.Linear))
        )
