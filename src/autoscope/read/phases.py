"""Where a test session's time went, function by function: in tests, in what prepares and clears up for them, and waiting."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import TYPE_CHECKING

from autoscope.read.functions import TEST, Path, Place, read_places, read_tree, weight

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

PREPARING = ("setup", "teardown")
"""Phases whose time is not the tests' own."""


@dataclass(slots=True)
class Times:
    """One function in all tests. `own_ns` is its own time in all phases, of which `setup_ns` was in setup and teardown; `waiting_ns`
    comes on top: suspended coroutines and generators."""

    name: str
    calls: int = 0
    own_ns: int = 0
    setup_ns: int = 0
    waiting_ns: int = 0


def measure_phases(run: Run) -> list[Times]:
    """Every function, most own time first."""
    found: dict[Place, Times] = {}

    def add(connection: Connection, process: Process) -> None:
        places = read_places(connection)
        tree = read_tree(connection, places)
        phases: dict[Path, bool] = {}
        for path in tree.paths:  # callers stand before whom they called
            place = places.get(path.site)
            if place is None:
                continue
            above = path.parent is not None and phases.get(path.parent, False)
            phases[path] = above or (place.kind == TEST and place.name in PREPARING)
            if place.kind == TEST:
                continue
            times = found.setdefault(place, Times(place.name))
            times.calls += round(path.calls)
            times.own_ns += max(round(path.own_ns), 0)
            if above:
                times.setup_ns += max(round(path.own_ns), 0)
        for site, waiting in connection.execute(_WAITING.format(weight=weight(connection))):
            place = places.get(site)
            if place in found:
                found[place].waiting_ns += round(waiting or 0)

    run.ask(add)
    return sorted(found.values(), key=lambda times: (-times.own_ns, times.name))


_WAITING = """
SELECT s.site, sum(max(0, s.duration_ns - d.running_ns) * coalesce({weight}, 1))
FROM details d JOIN spans s ON s.span = d.span JOIN traces t ON t.id = s.trace WHERE d.running_ns IS NOT NULL GROUP BY s.site
"""
