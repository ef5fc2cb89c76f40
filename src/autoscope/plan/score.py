"""Priority: how much a function's spans would tell, from 0 to 100, as a sum of named parts. docs/planner.md has the table.

`critical` from 60, `high` from 35, `medium` from 15, else `low`. A module's is made of its functions'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from autoscope.plan.facts import Facts, Function, Module

if TYPE_CHECKING:
    from autoscope.plan.profile import Measured

LEVELS = (("critical", 60.0), ("high", 35.0), ("medium", 15.0), ("low", 0.0))
SOMETHING = LEVELS[-2][1]
"""From which on a score is not `low`, as most are."""
OF_ROLE = {
    "web": 60,
    "task": 60,
    "command": 60,
    "consumer": 60,
    "main": 60,
    "worker_loop": 50,
    "startup": 45,
    "shutdown": 45,
    "thread": 45,
    "middleware": 40,
    "orm_query": 20,
    "model": 10,
    "context_manager": 10,
    "callback": 10,
    "migration": 5,
    "test": 5,
    "fixture": 0,
}
OF_IO = {
    "http": 20,
    "subprocess": 20,
    "database": 18,
    "network": 18,
    "queue": 16,
    "cache": 14,
    "file": 12,
    "sleep": 10,
    "lock": 6,
    "console": 2,
}
BROAD = frozenset(("*", "Exception", "BaseException"))
TRIVIAL = 5.0
"""The most that what cannot take time may have."""
BOUNDARY = 20.0
"""For catching whatever goes wrong below."""


class Priority(NamedTuple):
    """A score, what it is made of, and its level."""

    score: float
    level: str
    parts: Mapping[str, float]


def level_of(score: float) -> str:
    """`critical`, `high`, `medium` or `low`."""
    for name, least in LEVELS:
        if score >= least:
            return name
    return "low"


def is_boundary(function: Function) -> bool:
    """Whether it stops whatever exception comes from below."""
    return not BROAD.isdisjoint(function.catches)


@cache
def _log2(count: int) -> float:
    return math.log2(1 + count)


def score(function: Function, modules_calling: int, measured: Measured | None, whole_ns: float) -> Priority:
    """One function's priority. `whole_ns`: own time of all functions measured, 0 where nothing was."""
    parts: dict[str, float] = {}
    if function.role:
        parts["role"] = float(OF_ROLE.get(function.role, 0))
    if function.catches and is_boundary(function):
        parts["error boundary"] = BOUNDARY
    if function.io:
        kinds = sorted((OF_IO.get(kind, 0) for kind in function.io), reverse=True)
        parts["I/O"] = min(kinds[0] + 2.0 * sum(points > 2 for points in kinds[1:]), 25.0)
    shape = 0.75 * function.cognitive + 0.5 * (function.cyclomatic - 1) + 1.5 * function.loop_depth
    if shape:
        parts["complexity"] = min(shape, 20.0)
    if len(function.callees) > 2:
        parts["coordination"] = min(2.0 * (len(function.callees) - 2), 10.0)
    if function.callers:
        points = 2.0 * _log2(len(function.callers))
        if modules_calling:
            points += 1.5 * _log2(modules_calling)
        parts["centrality"] = min(points, 15.0)
    if measured is not None and whole_ns > 0:
        parts["measured time"] = min(200.0 * measured.own_ns / whole_ns, 40.0)
    elif function.frequency > 1:
        parts["hotness"] = min(3.0 * math.log10(function.frequency), 8.0)
    total = sum(parts.values())
    # What cannot take time tells nothing, unless it is where work begins.
    if function.trivial and function.role not in OF_ENTRY:
        if total > TRIVIAL:
            parts[f"trivial ({function.trivial})"] = TRIVIAL - total
            total = TRIVIAL
    elif total and not function.reachable:
        parts["nothing leads to it"] = -0.4 * total
        total *= 0.6
    total = round(min(total, 100.0), 1)
    return Priority(total, level_of(total) if total >= SOMETHING else "low", parts)


OF_ENTRY = frozenset(role for role, points in OF_ROLE.items() if points >= 40)


def score_all(facts: Facts, measured: Mapping[int, Measured]) -> list[Priority]:
    """The priority of every function, by index."""
    whole = sum(found.own_ns for found in measured.values())
    functions = facts.functions
    places = [function.module for function in functions]
    found = []
    for index, function in enumerate(functions):
        callers = function.callers
        modules = 0
        if len(callers) == 1:
            modules = int(places[callers[0]] != places[index])
        elif callers:
            modules = len({places[caller] for caller in callers} - {places[index]})
        found.append(score(function, modules, measured.get(index) if measured else None, whole))
    return found


def score_module(module: Module, priorities: list[Priority]) -> Priority:
    """Six tenths its most telling function, four tenths the mean of its five most telling."""
    best = sorted([priorities[index].score for index in module.functions], reverse=True)[:5]
    if not best:
        return Priority(0.0, "low", {})
    total = round(0.6 * best[0] + 0.4 * sum(best) / len(best), 1)
    return Priority(
        total, level_of(total), {"best function": best[0], "mean of the best five": round(sum(best) / len(best), 1)}
    )
