"""`autoscope calibrate`: what a call of ours costs on this machine and interpreter, for the planner's estimates.

Measured through the real thing, in fresh processes: `autoscope.install` with a store in a temporary directory, then a
generated module whose functions are called woven and plain, in blocks that take turns. A figure is the median, over rounds, of
what the woven block took beyond the plain one of the same round. Each process has a rate of its own, because whether
traces are recorded is what tells the states apart:

    0              nothing can be recorded: `flag`, and what has nothing to do with us, `profiled` and `python`
    next to 0      every trace is decided against: `armed`, `root_no`
    1              all the rest
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autoscope
from autoscope.errors import AutoscopeError
from autoscope.weave import cache

if TYPE_CHECKING:
    from autoscope.plan.cost import CostTable

ROUNDS, QUICK = 41, 9
"""Blocks of each kind that are measured, after two to warm up."""
COPIES = 32
"""Functions of each shape: a program does not call the same one again and again."""
SHORT, LONG = 10, 110
"""What generators yield: the difference is made of steps alone."""
DEEP = 21
"""Recorded calls that an exception passes."""
NEVER = 1e-9
"""A rate at which everything is decided and nothing recorded."""
RATES = (0.0, NEVER, 1.0)
RATIO = "cold"
"""The one figure that is no time."""
WHAT = {
    "flag": "a call while nothing can be recorded",
    "armed": "a call in a trace that is not recorded",
    "root_no": "a call that begins a trace that is not recorded",
    "thinned": "a call its site's rate leaves out",
    "recorded": "a recorded call, in its own thread",
    "step": "a step of a recorded generator",
    "exception": "an exception through a recorded call",
    "told": "an exception where it leaves first",
    "exported": "a span from the buffer into the store",
    "root": "a recorded call that begins a trace, beyond that",
    "detailed": "a span with more to say than its times",
    "argument": "a captured argument",
    "result": "a captured result",
    "state": "a captured change of state",
    "profiled": "cProfile, a call",
    "python": "a statement, `x = a + b`",
    "cold": "a call alone among other work, times as much",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "calibrate",
        help="measure what tracing costs here, for the planner's estimates",
        description="Measures what a call costs in each state, on this machine and interpreter, in some seconds, and keeps the "
        "table in the cache's directory (AUTOSCOPE_CACHE_DIR, else autoscope/ of XDG_CACHE_HOME or ~/.cache), where "
        "`autoscope plan` finds it.",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: three seconds, less exact")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, keep, print."""
    from autoscope.plan import cost

    defaults = cost.shipped(sys.version_info[:2])
    table, kept = cost.mend(_table(_measure_all(QUICK if arguments.quick else ROUNDS), defaults), defaults)
    directory = cache.folder(os.environ)
    path = None if directory is None else cost.save(table, directory)
    if arguments.format == "json":
        found = {"table": table.to_dict(), "shipped": defaults.to_dict(), "kept": kept, "path": path}
        print(json.dumps(found, indent=2))
        return 0
    print(f"{table.interpreter}, nanoseconds of CPU time{'':26}here  shipped")
    for name, what in WHAT.items():
        here, there = getattr(table, name), getattr(defaults, name)
        digits = 1 if max(here, there) < 20 else 0
        print(f"  {name:10} {what:50} {here:9,.{digits}f}{there:9,.{digits}f}{'  *' if name in kept else ''}")
    for name, why in kept.items():
        print(f"* {name}: what was measured {why}; the shipped figure stands")
    if path is None:
        print("not kept: AUTOSCOPE_CACHE_DIR is empty, or there is no HOME; name a directory")
    else:
        print(f"kept in {path}")
    return 0


def _table(found: dict[str, float], defaults: CostTable) -> CostTable:
    """The table of what was measured. No version captures state yet."""
    from autoscope.plan import cost

    when = time.strftime("%Y-%m-%d")
    return cost.CostTable(cost.interpreter(), f"calibrated {when}", state=defaults.state, **found)


def _measure_all(rounds: int) -> dict[str, float]:
    """Figure -> nanoseconds, from one process after the other."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    found: dict[str, float] = {}
    speeds: list[float] = []
    bar = Progress(
        TextColumn("measuring"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with tempfile.TemporaryDirectory(prefix="autoscope-") as folder, bar:
        for name in (PLAIN, WOVEN):
            Path(folder, f"{name}.py").write_text(module_text(), "ascii")
        task = bar.add_task("", total=len(RATES))
        for rate in RATES:
            figures = _in_a_process(folder, rate, rounds)
            speeds.append(figures.pop("python"))
            found |= figures
            bar.advance(task)
    python = statistics.median(speeds)
    return {name: value * (1.0 if name == RATIO else python) for name, value in found.items()} | {"python": python}


def _in_a_process(folder: str, rate: float, rounds: int) -> dict[str, float]:
    """What `measure` prints in a fresh interpreter; none of the user's settings reach it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOSCOPE_", "OTEL_"))}
    ours = str(Path(autoscope.__file__).resolve().parents[1])
    environ["PYTHONPATH"] = os.pathsep.join(entry for entry in (ours, environ.get("PYTHONPATH", "")) if entry)
    environ["AUTOSCOPE_CACHE_DIR"] = ""
    child = f"from autoscope.cli.calibrate import measure; measure({folder!r}, {rate!r}, {rounds!r})"
    done = subprocess.run(
        [sys.executable, "-c", child], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, float] = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise AutoscopeError(f"nothing was measured: {said}; try `autoscope doctor`") from None
    return found


# What is measured.

PLAIN, WOVEN = "costs_plain", "costs_woven"
_FUNCTIONS = """
def call{0}(x):
    return x + 1
def thin{0}(x):
    return x + 1
def one{0}(a):
    return 1
def four{0}(a, b, c, d):
    return d
def full{0}(a, b, c, d):
    return d
def generate{0}(x):
    for number in range(x):
        yield number
"""
_REST = """
import json, re

papers = [{"id": number, "name": f"paper {number}", "tags": ["a", str(number)]} for number in range(60)]

def stroll():
    text = json.dumps(papers)
    return re.sub(r"\\d+", "#", text), sorted(text.split()), json.loads(text)

class Thing:
    pass

thing = Thing()
record = {"id": 7, "name": "a pear", "price": 2.5, "tags": ["ripe", "green"]}

def deep(below):
    if below:
        return deep(below - 1)
    raise ValueError("deep")

def run_fail(n):
    for _ in range(n):
        try:
            deep(0)
        except ValueError:
            pass

def run_deep(n):
    for _ in range(n):
        try:
            deep(20)
        except ValueError:
            pass
"""
_VALUES = ("1", "'some text'", "thing", "record")
"""What arguments and results are: numbers and texts mostly, objects and containers."""


def module_text() -> str:
    """The module that is measured: `COPIES` functions of each shape, and loops that call them all in turn."""
    parts = [_REST, *(_FUNCTIONS.format(number) for number in range(COPIES))]

    def loop(name: str, line: Callable[[int], str]) -> None:
        lines = [f"        {line(number)}" for number in range(COPIES)]
        parts.append("\n".join([f"def {name}(n, a=1, b=2):", "    for _ in range(n):", *lines, ""]))

    loop("run_python", lambda number: "x = a + b")
    loop("run_generate", lambda number: f"for _ in generate{number}({SHORT}): pass")
    loop("run_generate_more", lambda number: f"for _ in generate{number}({LONG}): pass")
    for name in ("call", "thin"):
        loop(f"run_{name}", lambda number, name=name: f"{name}{number}(1)")  # type: ignore[misc]
    loop("run_roots", lambda number: f"call{number}(1)")
    loop("run_cold", lambda number: f"stroll(); full{number}({', '.join(_turned(number))})")
    loop("run_one", lambda number: f"one{number}({_turned(number)[0]})")
    for name in ("four", "full"):
        loop(f"run_{name}", lambda number, name=name: f"{name}{number}({', '.join(_turned(number))})")  # type: ignore[misc]
    return "\n".join(parts)


def _turned(number: int) -> tuple[str, ...]:
    return (*_VALUES[number % 4 :], *_VALUES[: number % 4])


def _plan(rate: float) -> dict[str, Any]:
    """Everything woven but the loop whose calls are to be roots, nothing captured but where that is measured."""
    functions = {
        "run_roots": {"level": "off"},
        "stroll": {"level": "off"},
        "thin*": {"rate": NEVER},
        "one*": {"capture": {"args": True}},
        "four*": {"capture": {"args": True}},
        "full*": {"capture": {"args": True, "return": True}},
    }
    return {
        "version": 1,
        "strategy": "full_trace",
        "include": [WOVEN],
        "sampling": {"rate": rate},
        "capture": {"args": False, "return": False},
        "modules": {WOVEN: {"functions": functions}},
    }


# Measuring, in a process of its own.

Times = dict[str, tuple[float, float]]
"""Loop -> nanoseconds of CPU a call, of one round: in this thread, and for handing over what was recorded."""


def measure(folder: str, rate: float, rounds: int) -> None:
    """Print, as JSON, the figures that can be had at this rate, as multiples of `python`, and that in nanoseconds."""
    from importlib import import_module

    handle = autoscope.install(_plan(rate), store=os.path.join(folder, "store"))
    plain, woven = import_module(PLAIN), import_module(WOVEN)
    if rate == 1.0:
        measured = _in_turn(plain, woven, SPANS, rounds)
        closing = _closing(handle) / statistics.median(of["python"][0] for of in measured)
        found = _figures(measured, _recorded)
        found["exported"] += closing
    elif rate:
        found = _figures(_in_turn(plain, woven, {"call": 8192, "roots": 8192}, rounds), _unrecorded)
    else:
        found = _figures(_in_turn(plain, woven, {"call": 8192, "profiled": 8192}, rounds), _idle)
    handle.uninstall()
    print(json.dumps(found))


SPANS = {
    "call": 4096,
    "roots": 2048,
    "thin": 4096,
    "generate": 512,
    "generate_more": 128,
    "one": 1024,
    "four": 1024,
    "full": 1024,
    "cold": 128,
    "fail": 256,
    "deep": 32,
}
"""Loop -> calls in a block: some milliseconds each."""


def _in_turn(plain: Any, woven: Any, loops: dict[str, int], rounds: int) -> list[Times]:
    """Every loop, plain and woven by turns, round by round; under its name what the woven one took beyond the plain one."""
    from cProfile import Profile

    profiler = Profile()
    measured: list[Times] = []
    for _ in range(rounds + 2):
        of: Times = {"python": _cpu(plain.run_python, 8192)}
        for name, calls in loops.items():
            if name == "profiled":
                base, other = plain.run_call, lambda turns: profiler.runcall(plain.run_call, turns)
            else:
                base, other = (getattr(module, f"run_{name}") for module in (plain, woven))
            turns = calls if name in ("fail", "deep") else calls // COPIES
            bare, spent = _cpu(base, calls, turns), _cpu(other, calls, turns)
            of[name] = spent[0] - bare[0], spent[1] - bare[1]
        measured.append(of)
    return measured[2:]


def _cpu(loop: Callable[[int], object], calls: int, turns: int = 0) -> tuple[float, float]:
    """What a call took, in this thread and beside it: in our threads, and in handing over what was recorded."""
    process, thread = time.process_time_ns(), time.thread_time_ns()
    loop(turns or calls // COPIES)
    mine = time.thread_time_ns() - thread
    beside = time.process_time_ns() - process - mine
    # A program's own data is in the caches when it is our thread's turn.
    sum(map(len, _OTHER_DATA))
    process = time.process_time_ns()
    autoscope.flush()
    return mine / calls, (beside + time.process_time_ns() - process) / calls


_OTHER_DATA = [(number,) for number in range(60_000)]
"""Some megabytes: more than what is nearest to a processor holds."""


def _closing(handle: autoscope.Handle) -> float:
    """What the end of a run takes, by span: the store makes its indexes then."""
    spans: int = autoscope.stats()["recorded"]
    started = time.process_time_ns()
    handle.uninstall()
    return (time.process_time_ns() - started) / max(spans, 1)


def _figures(measured: list[Times], of_round: Callable[[Times], dict[str, float]]) -> dict[str, float]:
    """Medians over rounds, as multiples of the statement's time in the same round: a machine's speed changes by the minute."""
    found: dict[str, list[float]] = {}
    for of in measured:
        python = of["python"][0]
        for name, value in of_round(of).items():
            found.setdefault(name, []).append(value / (1.0 if name == RATIO else python))
    figures = {name: statistics.median(values) for name, values in found.items()}
    return figures | {"python": statistics.median(of["python"][0] for of in measured)}


def _idle(of: Times) -> dict[str, float]:
    return {"flag": of["call"][0], "profiled": of["profiled"][0]}


def _unrecorded(of: Times) -> dict[str, float]:
    return {"armed": of["call"][0], "root_no": of["roots"][0]}


def _recorded(of: Times) -> dict[str, float]:
    both = {name: sum(times) for name, times in of.items()}
    span = both["call"]
    exception = (both["deep"] - both["fail"]) / (DEEP - 1) - span
    argument = (both["four"] - both["one"]) / 3
    detailed = both["one"] - argument - span
    return {
        "recorded": of["call"][0],
        "exported": of["call"][1],
        "root": both["roots"] - span,
        "thinned": of["thin"][0],
        "detailed": detailed,
        "step": (both["generate_more"] - both["generate"]) / (LONG - SHORT),
        "exception": exception,
        "told": both["fail"] - span - exception,
        "argument": argument,
        "result": both["full"] - both["four"],
        RATIO: both["cold"] / both["full"],
    }
