"""What whole programs pay: those of pyperformance, with every function of theirs and of their packages woven.

    python benchmarks/macro.py [--json] [--rounds N] [--processes N] [PROGRAM ...]

Each program runs in a process of its own for each state; the processes take turns, one run of the program at a time, and CPU
seconds are compared with the plain process's of the same round. Where things come to lie in memory makes two processes differ by
several per cent for as long as they live, so each state has some, one after the other. Printed are the median of the ratios,
and the geometric mean over the programs. `pyperformance` brings the programs; those whose packages are not installed are left out.

- off: everything woven, then switched off by `autoscope.update("*", level="off")`;
- rate 0: everything armed, nothing can be recorded;
- rate 0.001: one trace in a thousand is recorded, and dropped at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from processes import ROOT, environment

PROGRAMS: dict[str, tuple[str, ...]] = {
    "richards": (),
    "deltablue": (),
    "raytrace": (),
    "chaos": (),
    "go": (),
    "hexiom": (),
    "nqueens": (),
    "float": (),
    "pyflate": (),
    "async_tree": ("none",),
    "generators": (),
    "coroutines": (),
    "django_template": (),
    "mako": (),
    "sqlglot": ("optimize",),
    "sympy": ("str",),
    "tornado_http": (),
}
"""Arguments of each program."""
PACKAGES = {
    "django_template": "django",
    "mako": "mako",
    "sqlglot": "sqlglot",
    "sympy": "sympy",
    "tornado_http": "tornado",
}
FOLDERS = {"sqlglot": "_v*"}
NOT_SENT = {"AUTOSCOPE_STORE": "", "OTEL_TRACES_EXPORTER": "none"}
STATES: dict[str, dict[str, str]] = {
    "plain": {},
    "off": {**NOT_SENT, "AUTOSCOPE_RATE": "0", "MACRO_OFF": "1"},
    "rate 0": {**NOT_SENT, "AUTOSCOPE_RATE": "0"},
    "rate 0.001": {**NOT_SENT, "AUTOSCOPE_RATE": "0.001"},
}


def script_of(folder: Path, name: str) -> Path:
    return next(folder.glob(f"bm_{name}{FOLDERS.get(name, '')}")) / "run_benchmark.py"


class Program:
    """One program in one state: a process that runs it when it is told to."""

    def __init__(self, folder: Path, name: str, settings: dict[str, str], cache: str) -> None:
        """Every function of its own and of its package is woven under these settings; where there are none it is plain."""
        path = [str(ROOT / "benchmarks/standin")]
        if settings:
            include = ",".join(["__main__", *([PACKAGES[name], f"{PACKAGES[name]}.*"] if name in PACKAGES else [])])
            settings = settings | {
                "AUTOSCOPE_STRATEGY": "full_trace",
                "AUTOSCOPE_INCLUDE": include,
                "AUTOSCOPE_CACHE_DIR": cache,
            }
            path.insert(0, str(ROOT))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script_of(folder, name)), *PROGRAMS[name]],
            env=environment(PYTHONPATH=os.pathsep.join(path), **settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.answer() != "ready":
            assert self.process.stderr is not None
            raise RuntimeError(self.process.stderr.read().strip().splitlines()[-1])

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def once(self) -> float:
        """CPU seconds of one run."""
        return float(self.ask("again"))

    def ask(self, command: str) -> str:
        """What the stand-in for pyperf answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        self.process.communicate(timeout=30)


def measure(folder: Path, name: str, rounds: int, cache: str) -> dict[str, list[float]]:
    """CPU seconds by state, `rounds` values each, after two runs to warm up."""
    programs: dict[str, Program] = {}
    try:
        for state, settings in STATES.items():
            programs[state] = Program(folder, name, settings, cache)
        times: dict[str, list[float]] = {state: [] for state in STATES}
        for number in range(rounds + 2):
            for state, program in programs.items():
                seconds = program.once()
                if number > 1:
                    times[state].append(seconds)
        return times
    finally:
        for program in programs.values():
            program.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    found = find_spec("pyperformance")
    if found is None or found.origin is None:
        sys.exit("macro.py: the programs are pyperformance's: pip install pyperformance")
    folder = Path(found.origin).parent / "data-files/benchmarks"
    result: dict[str, dict[str, Any]] = {}
    states = [state for state in STATES if state != "plain"]
    if not arguments.json:
        print(f"programs, CPython {sys.version.split()[0]}: CPU time as a ratio to plain, median of rounds [quartiles]")
        print(f"{'':17}{'plain ms':>9}  " + "".join(f"{state:>24}" for state in states))
    with tempfile.TemporaryDirectory() as cache:
        for name in arguments.programs or PROGRAMS:
            if name in PACKAGES and find_spec(PACKAGES[name]) is None:
                continue
            try:
                times: dict[str, list[float]] = {state: [] for state in STATES}
                for _ in range(arguments.processes):
                    for state, seconds in measure(folder, name, arguments.rounds, cache).items():
                        times[state] += seconds
            except RuntimeError as error:
                print(f"{name}: could not be run: {error}", file=sys.stderr)
                continue
            row: dict[str, Any] = {"plain_ms": 1000 * statistics.median(times["plain"])}
            for state in states:
                ratios = [a / b for a, b in zip(times[state], times["plain"], strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4)
                row[state] = {"ratio": middle, "quartiles": [low, high]}
            result[name] = row
            if not arguments.json:
                cells = [f"{row[s]['ratio']:.3f} [{'{:.3f} .. {:.3f}'.format(*row[s]['quartiles'])}]" for s in states]
                print(f"{name:17}{row['plain_ms']:9.1f}  " + "".join(f"{cell:>24}" for cell in cells), flush=True)
    means = {
        state: math.exp(statistics.fmean(math.log(row[state]["ratio"]) for row in result.values()))
        for state in states
        if result
    }
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "programs": result, "geometric_mean": means}, indent=2))
    elif result:
        print(f"{'geometric mean':28}" + "".join(f"{means[state]:>24.3f}" for state in states))


if __name__ == "__main__":
    main()
