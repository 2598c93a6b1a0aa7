#!/usr/bin/env bash
# distributed 2026.8.0: a worker takes the stack of what it computes a hundred times a second, makes a tree of each second and keeps 1000
# trees, though nobody asked for a profile. With calls 200 deep a tree is 56 kB: a worker that keeps no data grows for its first 17
# minutes, by 56 MB (more where calls branch), and then stops. That looks like a leak of one's own ("unmanaged memory") in every run that is
# shorter. It hurts who watches the memory of long searches; distributed.worker.profile.enabled: False ends it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet distributed==2026.8.0
cat > profiles.py <<'PYTHON'
import sys
import time

import dask
import distributed


def down(levels, until):
    if levels:
        return down(levels - 1, until)
    while time.perf_counter() < until:
        pass


def work(seconds):
    down(200, time.perf_counter() + seconds)


def size(tree):
    own = (tree, tree["children"], tree["description"] or {})
    return sum(map(sys.getsizeof, own)) + sum(map(size, tree["children"].values()))


def kept(dask_worker):
    sys.setrecursionlimit(5000)
    trees = list(dask_worker.profile_history)
    sizes = [size(tree) for _, tree in trees if tree["count"]]
    return len(sizes), dask_worker.profile_history.maxlen, sum(sizes) / max(1, len(sizes)) / 1000


def after_ten_seconds(settings):
    with dask.config.set(settings):
        local = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with local, distributed.Client(local) as client:
        for _ in range(10):
            client.submit(work, 1, pure=False).result()
        return next(iter(client.run(kept).values()))


if __name__ == "__main__":
    trees, most, size = after_ten_seconds({})
    print(f"{trees} trees after ten seconds, of {size:.0f} kB each; {most} are kept")
    without, _, _ = after_ten_seconds({"distributed.worker.profile.enabled": False})
    print(f"with the profile switched off: {without}")
    assert 8 <= trees <= 12 and most == 1000 and size > 40 and without == 0
PYTHON
venv/bin/python profiles.py || exit 1
