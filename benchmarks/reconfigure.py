"""What changing many sites of a running program takes: rate, armed, disarmed, off and on again.

    python benchmarks/reconfigure.py [--json] [--rounds N] [--sites N]

Figures of a change: the wall milliseconds `autoscope.update` takes, the longest a thread that calls one of the functions all the while was
held up, and the most CPU time between two moments at which others are let in, the first time and afterwards. That one is ours alone; the wall
clock has the machine's other programs in it, and Python's switch interval of 5 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from autoscope.control import live as control
from autoscope.control.live import Live
from autoscope.plan.model import FunctionRule, Plan
from autoscope.runtime import sampling, sites
from autoscope.runtime.spans import Clock
from autoscope.weave.weaver import Weaver


def program(count: int) -> tuple[dict[str, Any], Live]:
    """A module of many functions, woven, and what changes them."""
    text = "\n".join(f"def f{number}(x, y=1):\n    z = x + y\n    return z * {number}" for number in range(count))
    weave = Weaver(Plan(strategy="full_trace", include=("bench",)))
    module = sys.modules["bench"] = ModuleType("bench")
    names = module.__dict__
    exec(weave.module_code(compile(text, "<benchmark>", "exec"), "bench", lambda: text), names)
    return names, Live(weave)


class Caller(threading.Thread):
    """Calls one function over and over, and notes the longest time between two calls."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.longest = 0
        self.over = False

    def run(self) -> None:
        function, clock = self.function, time.perf_counter_ns
        before = clock()
        while not self.over:
            function(1)
            now = clock()
            if now - before > self.longest:
                self.longest = now - before
            before = now


class Stretches:
    """Stands in for the `sleep(0)` that lets others in, and notes the most CPU time, in nanoseconds, since the last."""

    def __init__(self) -> None:
        self.longest = 0
        self.began = time.thread_time_ns()

    def sleep(self, seconds: float) -> None:
        self.note()
        time.sleep(seconds)
        self.began = time.thread_time_ns()

    def note(self) -> None:
        self.longest = max(self.longest, time.thread_time_ns() - self.began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sites", type=int, default=5000)
    arguments = parser.parse_args()
    names, live = program(arguments.sites)
    sites.switches.append = lambda record: None
    changes: dict[str, Callable[[], Any]] = {
        "update('*', rate=0.5)": lambda: live.change("*", FunctionRule(rate=0.5)),
        "update('*', rate=1.0)": lambda: live.change("*", FunctionRule(rate=1.0)),
        "update('*', level='off')": lambda: live.change("*", FunctionRule("off")),
        "update('*', level='full_trace')": lambda: live.change("*", FunctionRule("full_trace")),
        "all at rest (rate 0)": sites.rest,
        "all awake": lambda: sampling.set_rate(1.0),
    }
    took: dict[str, list[float]] = {name: [] for name in changes}
    held: dict[str, list[float]] = {name: [] for name in changes}
    stretch: dict[str, list[float]] = {name: [] for name in changes}
    for _ in range(arguments.rounds):
        for name, change in changes.items():
            caller = Caller(names["f7"])
            caller.start()
            time.sleep(0.02)  # it is running, its calls specialised
            caller.longest = 0
            stretches = Stretches()
            control.Clock = type("Clock", (Clock,), {"sleep": staticmethod(stretches.sleep)})
            started = time.perf_counter()
            change()
            stretches.note()
            stretch[name].append(stretches.longest / 1e6)
            took[name].append(1000 * (time.perf_counter() - started))
            time.sleep(0.005)  # what was changed last is felt
            held[name].append(caller.longest / 1e6)
            caller.over = True
            caller.join()
    rows = [
        {
            "change": name,
            "ms": statistics.median(took[name]),
            "quartiles_ms": [statistics.quantiles(took[name], n=4)[at] for at in (0, 2)],
            "held_up_ms": statistics.median(held[name]),
            "stretch_first_ms": stretch[name][0],
            "stretch_ms": statistics.median(stretch[name][1:] or stretch[name]),
        }
        for name in changes
    ]
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "sites": arguments.sites, "rows": rows}, indent=2))
        return
    print(
        f"{arguments.sites:,} sites, CPython {sys.version.split()[0]}: milliseconds [quartiles]; the longest pause of a caller; "
        "the most CPU time without letting others in, the first time and afterwards"
    )
    for row in rows:
        low, high = row["quartiles_ms"]
        print(
            f"  {row['change']:34} {row['ms']:8.1f} [{low:.1f} .. {high:.1f}]   {row['held_up_ms']:8.1f}   "
            f"{row['stretch_first_ms']:8.1f} {row['stretch_ms']:8.1f}"
        )


if __name__ == "__main__":
    main()
