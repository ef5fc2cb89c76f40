"""The floor under a recorded call: what the interpreter asks for each thing that cannot be left out.

    python benchmarks/floor.py [--json] [--rounds N]

Nanoseconds of CPython's own functions, called as woven code calls them, beyond an empty loop; the medians of rounds in turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from contextvars import ContextVar
from random import Random

LOOP = """
def loop(n, get=get, set=set, clock=clock, next=next, chance=chance, extend=extend, span=span, site=site):
    for _ in range(n):
        {}
"""
PRIMITIVES = {
    "empty": "pass",
    "read the context variable": "get()",
    "set the context variable twice": "set(span); set(None)",
    "read the clock twice": "clock(); clock()",
    "the next span id": "next()",
    "a span: a tuple of two": "(span, site)",
    "the record: seven values into a list": "extend((site, site, site, span, site, site, None))",
    "a random number": "chance()",
}
CHILD = (
    "read the context variable",
    "set the context variable twice",
    "read the clock twice",
    "the next span id",
    "a span: a tuple of two",
    "the record: seven values into a list",
)
"""What a recorded call below another needs at least."""
LEFT_OUT = ("read the context variable", "set the context variable twice", "a random number")
"""What the root of a trace that is decided against needs, for what is below it to know."""
STEP = ("read the context variable", "set the context variable twice", "read the clock twice")
"""What each step of a generator needs: its consumer is not inside it, and its own time is told."""


def measure(rounds: int) -> dict[str, list[float]]:
    current: ContextVar[object] = ContextVar("floor", default=None)
    kept: list[object] = []
    names: dict[str, object] = {
        "get": current.get,
        "set": current.set,
        "clock": time.perf_counter_ns,
        "next": itertools.count(Random().getrandbits(59)).__next__,
        "chance": Random().random,
        "extend": kept.extend,
        "span": (object(), 1),
        "site": object(),
    }
    loops = {}
    for name, text in PRIMITIVES.items():
        made = dict(names)
        exec(LOOP.format(text), made)
        loops[name] = made["loop"]
    times: dict[str, list[float]] = {name: [] for name in loops}
    count = 20_000
    for number in range(rounds + 1):
        for name, loop in loops.items():
            started = time.perf_counter_ns()
            loop(count)  # type: ignore[operator]
            spent = (time.perf_counter_ns() - started) / count
            kept.clear()
            if number:
                times[name].append(spent)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    times = measure(arguments.rounds)
    rows = []

    def row(what: str, values: list[float]) -> None:
        low, middle, high = statistics.quantiles(values, n=4)
        rows.append({"what": what, "ns": middle, "quartiles_ns": [low, high]})

    net = {
        name: [value - empty for value, empty in zip(values, times["empty"], strict=True)]
        for name, values in times.items()
        if name != "empty"
    }
    for name, values in net.items():
        row(name, values)
    for what, parts in (
        ("altogether: a recorded call below another", CHILD),
        ("altogether: a root that is not recorded", LEFT_OUT),
        ("altogether: a step of a recorded generator", STEP),
    ):
        row(what, [sum(values) for values in zip(*[net[part] for part in parts], strict=True)])
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=2))
        return
    print(f"the interpreter's own prices, CPython {sys.version.split()[0]}: nanoseconds [quartiles]")
    for entry in rows:
        low, high = entry["quartiles_ns"]
        print(f"  {entry['what']:46} {entry['ns']:7.0f} [{low:.0f} .. {high:.0f}]")


if __name__ == "__main__":
    main()
