"""What calling a module costs over calling its `forward`: the fastest of many rounds, in microseconds.

    python -m tests.benchmarks.module_call

The module does nothing, so that only the call is measured. PyTorch stands beside it.
"""

import argparse
import timeit

import torch

import minicnn

LIMITS = {"no hooks": 3.0, "one forward hook": 3.0 + 2.0}  # over forward alone


def module(lib):
    class Nothing(lib.nn.Module):
        def forward(self, x):
            return x

    return Nothing()


def nothing(module, args, output=None):
    return None


SETTINGS = {
    "no hooks": (),
    "one forward hook": ("register_forward_hook",),
    "one forward pre-hook": ("register_forward_pre_hook",),
    "both": ("register_forward_pre_hook", "register_forward_hook"),
    "one full backward hook": ("register_full_backward_hook",),
}


def microseconds(call, x, rounds: int, calls: int = 1000) -> float:
    return min(timeit.repeat(lambda: call(x), repeat=rounds, number=calls)) / calls * 1e6


def over_forward(lib, setting: str, rounds: int) -> float:
    """Microseconds of a call with these hooks, less those of `forward` alone."""
    called, x = module(lib), lib.ones(1)
    alone = microseconds(called.forward, x, rounds)
    for register in SETTINGS[setting]:
        getattr(called, register)(nothing)
    return microseconds(called, x, rounds) - alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="rounds of 1000 calls; the fastest counts")
    rounds = parser.parse_args().rounds
    print(f"{'':26}{'minicnn':>10}{'torch':>10}{'limit':>8}   (microseconds over calling forward)")
    for setting in SETTINGS:
        ours, theirs = (over_forward(lib, setting, rounds) for lib in (minicnn, torch))
        limit = f"{LIMITS[setting]:8.1f}" if setting in LIMITS else ""
        print(f"{setting:26}{ours:10.2f}{theirs:10.2f}{limit}", flush=True)


if __name__ == "__main__":
    main()
