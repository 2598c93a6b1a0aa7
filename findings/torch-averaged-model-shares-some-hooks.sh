#!/usr/bin/env bash
# PyTorch 2.13.0 and 2.14.1: AveragedModel (EMA, SWA) copies a model with its hooks, and what a hook then does depends on how it was
# written: a function still fills the list of the first model, a bound method fills that of a copied recorder which nobody holds, and so
# does a partial. The handles remove the first model's hooks only: the average's stay for good. It hurts who captures features
# while training with an average: the numbers of two networks mix in one list, or half of them are lost, without a word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > averaged.py <<'PYTHON'
from functools import partial

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

class Recorder:
    def __init__(self):
        self.seen = []

    def hook(self, module, inputs, output):
        self.seen.append(output.shape)

def append(seen, module, inputs, output):
    seen.append(output.shape)

by_function, by_partial, by_method = [], [], Recorder()
model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
hooks = lambda m, i, o: by_function.append(o.shape), partial(append, by_partial), by_method.hook
handles = [model[0].register_forward_hook(hook) for hook in hooks]
average = AveragedModel(model)

def recorded(network):
    before = len(by_function), len(by_partial), len(by_method.seen)
    network(torch.ones(1, 2))
    return tuple(now - was for now, was in zip((len(by_function), len(by_partial), len(by_method.seen)), before))

print("torch", torch.__version__)
print("  recorded by a function, a partial, a method: of the model", recorded(model), "of its average", recorded(average))
assert recorded(model) == (1, 1, 1) and recorded(average) == (1, 0, 0)
for handle in handles:
    handle.remove()
print("  after remove(): of the model", recorded(model), "of its average", recorded(average))
assert recorded(model) == (0, 0, 0) and recorded(average) == (1, 0, 0)
assert len(average.module[0]._forward_hooks) == 3
PYTHON
for version in 2.13.0 2.14.1; do
    python3 -m venv "venv$version"
    "venv$version/bin/python" -m pip install --quiet "torch==$version" numpy==2.4.6
    "venv$version/bin/python" averaged.py || exit 1
    rm -rf "venv$version"
done
