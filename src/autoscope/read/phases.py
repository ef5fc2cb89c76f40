"""Where a test session's time went, function by function: in tests, in what prepares and clears up for them, and waiting.

One look at each span, as the session's end is waited for: own time is what is left when the callees' times are taken off, so what
ran beside its caller counts against it. `measure_run` follows every call.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from sqlite3 import Connection
from typing import TYPE_CHECKING

from autoscope.read.functions import Counted, Place, adjusted_count, read_places
from autoscope.read.runs import probability as probability_of

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run


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
        places = read_places(connection, tests=False)
        preparing = {span for (span,) in connection.execute(_PREPARING)}
        stands_for = functools.cache(lambda tracestate: adjusted_count(tracestate) or 1.0)
        traces = {
            trace: (below in preparing, stands_for(tracestate))
            for trace, below, tracestate in connection.execute(_TRACES)
        }
        counted = Counted(process.meta).weights(connection, places)
        mine = {site: found.setdefault(place, Times(place.name)) for site, place in places.items()}
        covered: dict[int, float] = {}
        # Callees began later than their callers, and have higher ids.
        for span, parent, site, trace, duration, running, probability in connection.execute(
            _CALLS.format(probability=probability_of(connection))
        ):
            is_setup, weight = traces[trace]
            if probability is not None:
                weight = 1.0 / probability
            elif site in counted:
                weight = counted[site]
            busy = (duration if running is None else running) * weight
            own = busy - covered.pop(span, 0.0)
            if parent:
                covered[parent] = covered.get(parent, 0.0) + busy
            times = mine.get(site)
            if times is not None:
                times.calls += weight
                times.own_ns += own
                if is_setup:
                    times.setup_ns += own
                if running is not None and running < duration:
                    times.waiting_ns += (duration - running) * weight

    run.ask(add)
    for times in found.values():
        times.own_ns = max(times.own_ns, 0)
        times.setup_ns = min(max(times.setup_ns, 0), times.own_ns)
    called = [times for times in found.values() if times.calls]
    return sorted(called, key=lambda times: (-times.own_ns, times.name))


_PREPARING = """
SELECT span FROM spans WHERE site IN (SELECT id FROM sites WHERE kind = 'test'
    AND (name IN ('setup', 'teardown') OR name GLOB 'fixture *' OR name GLOB 'finalizer *'))
"""
"""Spans whose time is not the tests' own."""
# A trace's row is of one thread and, where nothing was current, of one phase or fixture: its `remote_parent` says which.
_TRACES = "SELECT id, remote_parent, tracestate FROM traces"
_CALLS = """
SELECT s.span, s.parent, s.site, s.trace, s.duration_ns, d.running_ns, {probability}
FROM spans s LEFT JOIN details d ON d.span = s.span WHERE s.site IN (SELECT id FROM sites WHERE kind != 'test')
ORDER BY s.span DESC
"""
