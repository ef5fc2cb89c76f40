"""The section of the slowest functions, read from the store when all tests are done."""

from __future__ import annotations

from typing import Any

from autoscope.read.phases import measure_phases
from autoscope.read.runs import open_run

MOST_SPANS = 3_000_000
"""Above so many nothing is shown: reading them would take longer than anybody wants to wait for it."""


def show(reporter: Any, store: str, run_id: str, count: int) -> None:
    """Write it, and where more is to be had."""
    from autoscope.errors import AutoscopeError

    try:
        run = open_run(store, run_id)
    except AutoscopeError:
        return  # nothing was recorded
    spans = run.count_spans()
    if count > 0 and spans <= MOST_SPANS:
        times = measure_phases(run)[:count]
        if times:
            reporter.write_sep("=", f"slowest {len(times)} functions")
            reporter.write_line(f"{'own s':>9} {'in setup':>9} {'waiting':>9} {'calls':>9}  function")
            for one in times:
                own, setup, waiting = [f"{part / 1e9:9.3f}" for part in (one.own_ns, one.setup_ns, one.waiting_ns)]
                reporter.write_line(f"{own} {setup} {waiting} {one.calls:9,}  {one.name}")
    reporter.write_line(f"autoscope: {spans:,} spans; autoscope report {run_id}")
