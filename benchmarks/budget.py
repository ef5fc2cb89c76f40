"""Whether the budget is kept: whole programs under it beside plain, by the stopwatch.

python benchmarks/budget.py [--json] [--seconds S] [--budget SHARE ...] [PROGRAM ...]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from macro import FOLDERS, PACKAGES, PROGRAMS, Program
from processes import ROOT, environment


class Budgeted(Program):
    """One program under a budget, everything woven, into a store; "" is the plain program."""

    def __init__(self, folder: Path, name: str, share: str, place: str) -> None:
        script = next(folder.glob(f"bm_{name}{FOLDERS.get(name, '')}")) / "run_benchmark.py"
        path = [str(ROOT / "benchmarks/standin")]
        settings = {}
        if share:
            package = PACKAGES.get(name)
            settings = {
                "AUTOSCOPE_STRATEGY": "full_trace",
                "AUTOSCOPE_INCLUDE": ",".join(["__main__", *([package, f"{package}.*"] if package else [])]),
                "AUTOSCOPE_BUDGET": share,
                "AUTOSCOPE_STORE": f"{place}/store",
                "AUTOSCOPE_CACHE_DIR": f"{place}/cache",
            }
            path.insert(0, str(ROOT))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script), *PROGRAMS[name]],
            env=environment(PYTHONPATH=os.pathsep.join(path), **settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        if self.answer() != "ready":
            raise RuntimeError(f"{name} cannot be run")


def compare(folder: Path, name: str, share: str, seconds: float, place: str, first: float = 3.0) -> tuple[float, float]:
    """(woven / plain, quartile distance)."""
    both = [Budgeted(folder, name, state, place) for state in ("", share)]
    times: list[list[float]] = [[], []]
    spent = [0.0, 0.0]
    rounds = 0
    while spent[0] < first + seconds:
        took = [program.once() for program in both]
        rounds += 1
        for number in (0, 1):
            spent[number] += took[number]
            if min(spent) > first:
                times[number].append(took[number])
    for program in both:
        program.end()
    pairs = [b / a for a, b in zip(*times, strict=True)]
    quartiles = statistics.quantiles(pairs, n=4)
    return sum(times[1]) / sum(times[0]), quartiles[2] - quartiles[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--budget", action="append")
    parser.add_argument("--store")
    parser.add_argument("programs", nargs="*", default=list(PROGRAMS))
    arguments = parser.parse_args()
    found = find_spec("pyperformance")
    folder = Path(found.origin).parent / "data-files/benchmarks"
    for name in arguments.programs:
        for share in arguments.budget or ["1%", "3%"]:
            with tempfile.TemporaryDirectory() as place:
                ratio, spread = compare(folder, name, share, arguments.seconds, arguments.store or place)
                print(f"{name:20} {share:4} {ratio - 1:+.2%}  (quartiles {spread:.1%})", flush=True)


main()
