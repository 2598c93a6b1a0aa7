#!/usr/bin/env bash
# distributed 2026.8.0 with glibc: a worker process is started with MALLOC_TRIM_THRESHOLD_=65536. For glibc a limit that is set ends the
# growth of the others, so each NumPy array above 128 kB is mapped anew and its pages are brought one by one: 512 page faults for every
# array of 2 MB, where the same loop in a plain process has nearly none after the first. LocalCluster(env=...) comes too late for the C
# library, and a larger limit does not help. It hurts networks and filters on a cluster: slower there than alone, and no profile says why.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet distributed==2026.8.0 numpy==2.4.6
cat > faults.py <<'PYTHON'
import os
import platform
import subprocess
import sys

import dask
import distributed
import numpy as np

LOOP = """
import resource
import numpy as np
np.ones(1 << 18)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 18)
faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50
"""

def on_worker():
    names = {}
    exec(LOOP, names)
    return names["faults"]

def by_cluster(limits=None, **settings):
    with dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": str(value) for name, value in (limits or {}).items()}):
        local = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", **settings)
    with local, distributed.Client(local) as client:
        return client.submit(on_worker).result(), client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result()

if __name__ == "__main__":
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    os.environ.clear()
    os.environ.update(plain)
    alone = float(subprocess.run([sys.executable, "-c", LOOP + "print(faults)"], capture_output=True, text=True, check=True).stdout)
    worker, limit = by_cluster()
    limits = {"MALLOC_TRIM_THRESHOLD_": 1 << 26, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
    asked, _ = by_cluster(env={name: str(value) for name, value in limits.items()})
    larger, _ = by_cluster({"MALLOC_TRIM_THRESHOLD_": 1 << 26})
    print(platform.libc_ver(), "page faults for an array of 2 MB")
    print(f"  alone {alone:.0f}, on a worker {worker:.0f} (MALLOC_TRIM_THRESHOLD_={limit}), with env={{both limits}} {asked:.0f}")
    print(f"  with a limit of 64 MB set before it starts, by pre-spawn-environ: {larger:.0f}")
    assert limit == "65536" and alone < 50 and min(worker, asked, larger) > 400
PYTHON
venv/bin/python faults.py || exit 1
