"""Where a test session's time went, function by function: in tests, in what prepares and clears up for them, and waiting.

Asked of the database in sums, as the session's end is waited for: own time is what is left when the callees' times are taken off, so what
ran beside its caller counts against it. `measure_run` follows every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import TYPE_CHECKING

from autoscope.read.functions import TEST, Place, adjusted_count, read_places, stands_for

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

PREPARING = ("setup", "teardown", "fixture *", "finalizer *")
"""Names of the spans of that kind whose time is not the tests' own."""


@dataclass(slots=True)
class Times:
    """One function in all tests. `own_ns` is its own time in all phases, of which `setup_ns` was in setup and teardown; `waiting_ns`
    comes on top: suspended coroutines and generators."""

    name: str
    calls: float = 0
    own_ns: float = 0
    setup_ns: float = 0
    waiting_ns: float = 0


def measure_phases(run: Run) -> list[Times]:
    """Every function, most own time first."""
    found: dict[Place, Times] = {}

    def add(connection: Connection, process: Process) -> None:
        places = read_places(connection)
        words = " OR ".join(["name GLOB ?"] * len(PREPARING))
        connection.create_function("adjusted_count", 1, adjusted_count, deterministic=True)
        text = _TIMES.format(stands_for=stands_for(connection), words=words, test=f"'{TEST}'")
        for site, is_setup, calls, busy, waiting in connection.execute(text, PREPARING):
            place = places.get(site)
            if place is None or place.kind == TEST:
                continue
            times = found.setdefault(place, Times(place.name))
            times.calls += calls
            times.own_ns += busy
            times.waiting_ns += waiting
            if is_setup:
                times.setup_ns += busy

    run.ask(add)
    for times in found.values():
        times.own_ns = max(times.own_ns, 0)
        times.setup_ns = min(max(times.setup_ns, 0), times.own_ns)
    return sorted(found.values(), key=lambda times: (-times.own_ns, times.name))


# A trace's row is of one thread and, where nothing was current, of one phase or fixture: its `remote_parent` says which.
_TIMES = """
WITH preparing AS (
    SELECT span FROM spans WHERE site IN (SELECT id FROM sites WHERE kind = {test} AND ({words}))
), phases AS MATERIALIZED (
    SELECT id, remote_parent IN preparing AS is_setup, coalesce(adjusted_count(tracestate), 1) AS weight FROM traces
), calls AS MATERIALIZED (
    SELECT s.span, s.parent, s.site, t.is_setup, coalesce({stands_for}, t.weight) AS weight,
        s.duration_ns AS duration, coalesce(d.running_ns, s.duration_ns) AS busy
    FROM spans s JOIN phases t ON t.id = s.trace LEFT JOIN details d ON d.span = s.span
)
SELECT site, is_setup, sum(weight), sum(busy * weight), sum(max(0, duration - busy) * weight) FROM calls GROUP BY 1, 2
UNION ALL
SELECT p.site, c.is_setup, 0, -sum(c.busy * c.weight), 0 FROM calls c JOIN spans p ON p.span = c.parent
WHERE c.parent != 0 GROUP BY 1, 2
"""
