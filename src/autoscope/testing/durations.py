"""The section of the slowest functions, read from the store when all tests are done."""

from __future__ import annotations

from typing import Any

from autoscope.ours import keep_builtins
from autoscope.read.phases import measure_phases
from autoscope.read.runs import open_run

keep_builtins(globals())

MOST_SPANS = 30_000
"""Above so many nothing is shown, unless it is asked for: a span takes 2 µs here, as much as to store it."""
COUNT = 10
"""Functions shown where nobody says how many."""


def show(reporter: Any, store: str, run_id: str, asked: int | None) -> None:
    """Write it, and where more is to be had."""
    from autoscope.errors import AutoscopeError

    try:
        run = open_run(store, run_id)
    except AutoscopeError:
        return  # nothing was recorded
    spans = run.count_spans()
    count = COUNT if asked is None else asked
    if count > 0 and (spans <= MOST_SPANS or asked is not None):
        times = measure_phases(run)[:count]
        if times:
            reporter.write_sep("=", f"slowest {len(times)} functions")
            reporter.write_line(f"{'own s':>9} {'in setup':>9} {'waiting':>9} {'calls':>9}  function")
            for one in times:
                own, setup, waiting = [f"{part / 1e9:9.3f}" for part in (one.own_ns, one.setup_ns, one.waiting_ns)]
                reporter.write_line(f"{own} {setup} {waiting} {round(one.calls):9,}  {one.name}")
    elif count > 0:
        reporter.write_line(
            f"autoscope: too many spans to sum up unasked; --autoscope-durations={COUNT} shows the slowest functions"
        )
    reporter.write_line(f"autoscope: {spans:,} spans; autoscope report {run_id}")
