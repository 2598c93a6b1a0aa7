#!/usr/bin/env bash
# torch.export of PyTorch 2.13.0: a forward hook that changes the output becomes a part of the exported program and
# stays in it after handle.remove(). A hook that only looks runs once, while the export traces, and never when the
# program runs; hooks set on the exported program's submodules never run either, since it calls none of them: only the
# outermost module's does. It hurts whoever exports a network with a debugging or steering hook still on it, and whoever
# wants feature maps out of an exported one (unflatten it for that).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
x = torch.zeros(1, 2)
seen = []
steering = net[1].register_forward_hook(lambda module, args, output: output + 100)
looking = net[1].register_forward_hook(lambda module, args, output: seen.append(output.shape))
program = torch.export.export(net, (x,)).module()
steering.remove()
looking.remove()
while_exporting = len(seen)
exported, eager = program(x).min().item(), net(x).min().item()
print("hook ran", while_exporting, "time(s) in the export,", len(seen) - while_exporting, "in the call; exported", exported, "eager", eager)
assert exported >= 100 > eager
assert while_exporting == 1 == len(seen)
called = []
for name, module in program.named_modules():
    module.register_forward_hook(lambda module, args, output, name=name: called.append(name))
program(x)
print("modules:", [name for name, _ in program.named_modules()], "hooks that ran:", called)
assert "" in called and "0" not in called and "1" not in called
PYTHON
