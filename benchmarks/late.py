"""What deciding late and folding cost, and what they spare: CPU nanoseconds a recorded call.

    python benchmarks/late.py [--json] [--spans N]

First the room between the drain and the exporters by itself, then a call altogether: recorded, decided, and encoded and sent
over OTLP/HTTP to a local receiver or written into the store, beyond the plain call.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from receiver import Receiver

from autoscope.runtime import sampling, sites
from autoscope.runtime.drain import CHUNK, Drain
from autoscope.runtime.late import Late
from autoscope.runtime.sites import Batch
from export import cpu, plain, woven

CALLEES = (9, 99)
"""Below each root: few and many."""
RULES: dict[str, tuple[float, bool, int | None]] = {
    "all sent": (1.0, False, None),
    "rate 0.1, errors kept": (0.1, True, None),
    "folded": (1.0, False, 10**9),
    "rate 0.1, errors kept, folded": (0.1, True, 10**9),
}
"""What is measured -> rate, whether errors are kept, below which nanoseconds calls are folded."""


def ruled(rate: float, errors: bool, under: int | None) -> Late:
    sampling.set_rate(rate)
    late = Late()
    late.follow(errors, None, under)
    return late


def recorded(traces: int, callees: int) -> list[Batch]:
    """Roots with their callees, as the drain hands them over."""
    work = woven()
    for _ in range(traces):
        work(callees)
    every = Batch(sites.records[:])
    sites.records.clear()
    return [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]


def deciding(rule: tuple[float, bool, int | None], traces: int, callees: int) -> list[float]:
    """The room alone. What it decides it decides once, so each round has records of its own."""
    rounds: Iterator[tuple[Late, list[Batch]]] = iter([(ruled(*rule), recorded(traces, callees)) for _ in range(5)])

    def take() -> None:
        late, chunks = next(rounds)
        for chunk in chunks:
            late.take(chunk, 0)

    return cpu(take, traces * (callees + 1))


def altogether(exporter: Any, rule: tuple[float, bool, int | None], traces: int, callees: int) -> list[float]:
    work, bare = woven(), plain()
    drain = Drain(lambda: [exporter])
    late = ruled(*rule)
    drain.late = None if rule == RULES["all sent"] else late

    def run(call: Callable[[int], Any], hand_over: Callable[[], Any]) -> None:
        for number in range(traces):
            call(callees)
            if number % (20_000 // callees) == 0:
                hand_over()
        hand_over()

    count = traces * (callees + 1)
    base = cpu(lambda: run(bare, lambda: None), count)
    return [value - base[len(base) // 2] for value in cpu(lambda: run(work, lambda: drain.flush(60)), count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--spans", type=int, default=100_000)
    arguments = parser.parse_args()
    from autoscope.export.otlp import OtlpExporter
    from autoscope.export.runs import new_run_id
    from autoscope.export.settings import Settings
    from autoscope.export.store import StoreExporter

    results: dict[str, list[float]] = {}
    for callees in CALLEES:
        traces = max(arguments.spans // (callees + 1), 1)
        for name, rule in RULES.items():
            if name != "all sent":
                results[f"{callees} callees, deciding: {name}"] = deciding(rule, traces, callees)
        with Receiver() as receiver:
            for name, rule in RULES.items():
                exporter = OtlpExporter(Settings.from_environ({}, endpoint=receiver.url))
                what = f"{callees} callees, altogether over OTLP/HTTP: {name}"
                results[what] = altogether(exporter, rule, traces, callees)
                exporter.close(5)
        for name, rule in RULES.items():
            with tempfile.TemporaryDirectory() as folder:
                store = StoreExporter(folder, run_id=new_run_id(), resource={}, info={})
                what = f"{callees} callees, altogether into the store: {name}"
                results[what] = altogether(store, rule, traces, callees)
                store.close(5)
    rows = [
        {"what": what, "cpu_ns": values[len(values) // 2], "best_ns": values[0], "worst_ns": values[-1]}
        for what, values in results.items()
    ]
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "spans": arguments.spans, "rows": rows}, indent=2))
        return
    print(f"CPython {sys.version.split()[0]}: CPU nanoseconds a recorded call, median [best .. worst]")
    for row in rows:
        print(f"  {row['what']:74} {row['cpu_ns']:9.0f} [{row['best_ns']:.0f} .. {row['worst_ns']:.0f}]")


if __name__ == "__main__":
    main()
