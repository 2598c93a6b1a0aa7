#!/usr/bin/env bash
# torch.compile of PyTorch 2.13.0: a forward hook that is set on a layer after the first call is ignored for the batch
# size that was compiled, runs for every other size (those compile anew), and is ignored again when the first size comes
# back. A removed hook stops at once. It hurts whoever hooks a compiled network to look into it: with full batches the
# list stays empty, and the odd last batch of an epoch fills it. Seen for batches of 4, 3, 4, 5: 0, 1, 0, 1 calls.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
compiled = torch.compile(net, backend="eager")
compiled(torch.ones(4, 2))
seen = []
handle = net[0].register_forward_hook(lambda module, args, output: seen.append(len(output)))
calls = []
for batch in (4, 3, 4, 5):
    before = len(seen)
    compiled(torch.ones(batch, 2))
    calls.append(len(seen) - before)
handle.remove()
seen.clear()
compiled(torch.ones(3, 2))
print("calls of the hook for batches of 4, 3, 4, 5:", calls, "after its removal:", len(seen))
assert calls == [0, 1, 0, 1]
assert not seen
PYTHON
