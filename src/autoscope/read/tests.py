"""The tests of a run, and what was called in each.

A test is a span with the attribute `test.case.name` (its node id). All that has this span among its ancestors belongs to it, in
whatever thread or process of the run, but for what a fixture does that other tests share: it is called in whichever test comes first.
What pytest itself does in between (`setup`, `call`, fixtures) has spans too; they are told from functions of the program by their kind.

`Measurement` is what `compare` compares: calls are exact here or said to be estimates, and of own times a few are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from autoscope.read.estimates import estimates
from autoscope.read.functions import (
    LOST,
    OTHERS_SITE,
    SUSPENDED,
    Counted,
    Place,
    Row,
    Tree,
    grow_tree,
    read_folded,
    read_places,
    read_rows,
)
from autoscope.read.report import plural

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

KINDS = ("function", *SUSPENDED, "builtin")
"""Kinds of the program's own functions; spans of any other kind are steps of a test."""
KEPT = 32
"""Own times that are kept of a function in one test."""
NOBODY = -1
"""Whose spans belong to no test."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test as it ran; a repeated one ran more than once."""

    id: str
    """Node id."""
    file: str
    status: str
    """`pass` or `fail`."""
    outcome: str
    """As pytest calls it: `passed`, `failed`, `skipped`, `rerun`, …"""
    trace_id: int
    span: int
    """With a sign, as the store has it."""
    path: str
    """The file of the process it ran in."""
    start_ns: int
    duration_ns: int


def find_cases(run: Run) -> list[Case]:
    """Every test of a run, in order of start."""

    def ask(connection: Connection, process: Process) -> list[Case]:
        found = []
        for span, trace, start, duration, text in connection.execute(_CASES):
            told = json.loads(text)
            name = told.get("test.case.name")
            if isinstance(name, str):
                file, status, outcome = (
                    str(told.get(key, "")) for key in ("test.suite.name", "test.case.result.status", "pytest.outcome")
                )
                trace_id = int.from_bytes(trace)
                found.append(Case(name, file, status, outcome, trace_id, span, process.path, start, duration))
        return found

    return sorted((case for found in run.ask(ask) for case in found), key=lambda case: (case.start_ns, case.id))


_CASES = """
SELECT s.span, t.trace_id, s.start_ns, s.duration_ns, d.attributes
FROM details d JOIN spans s ON s.span = d.span JOIN traces t ON t.id = s.trace
WHERE instr(d.attributes, '"test.case.name"') > 0
"""


@dataclass(frozen=True, slots=True)
class Shared:
    """A fixture that was set up, or torn down, for more tests than the one it was in."""

    scope: str
    """`class`, `module`, `package` or `session`."""
    span: int
    path: str


def find_shared(run: Run) -> list[Shared]:
    """Every such fixture of a run."""

    def ask(connection: Connection, process: Process) -> list[Shared]:
        scopes = [(span, json.loads(text).get("pytest.fixture.scope")) for span, text in connection.execute(_FIXTURES)]
        return [Shared(scope, span, process.path) for span, scope in scopes if scope not in (None, "function")]

    return [shared for found in run.ask(ask) for shared in found]


_FIXTURES = """SELECT span, attributes FROM details WHERE instr(attributes, '"pytest.fixture.scope"') > 0"""


def last_of_each(cases: Iterable[Case]) -> dict[str, Case]:
    """Node id -> the test as it ran last."""
    return {case.id: case for case in cases}


# -- what belongs to which


class Owners:
    """Which test a span belongs to, or which shared fixture: the nearest above it.

    Both are numbered: first the tests, then the fixtures.
    """

    def __init__(self, run: Run, cases: Sequence[Case], shared: Sequence[Shared] = ()) -> None:
        self.starts: dict[str, dict[int, int]] = {}
        """Process's file -> span -> number."""
        tops = [(one.path, one.span) for one in cases] + [(one.path, one.span) for one in shared]
        for number, (path, span) in enumerate(tops):
            self.starts.setdefault(path, {})[span] = number
        self.remote: dict[int, int] = {}
        """Span in another process -> number of what it belongs to."""
        self.under: dict[int, int] = {}
        """Number -> that of the test it was in, once `of` was asked for its process."""
        if self.starts:
            self._find_remote(run)

    def of(self, connection: Connection, process: Process) -> dict[int, int]:
        """Span -> number, for those that belong to one."""
        return self._own(connection, process, self.remote)

    def _own(self, connection: Connection, process: Process, remote: dict[int, int]) -> dict[int, int]:
        owner: dict[int, int] = {}
        starts = self.starts.get(process.path, {})
        if not starts and not remote:
            return owner
        for span, parent in connection.execute(_PARENTS):
            above = owner[parent] if parent in owner else remote.get(parent)
            mine = starts.get(span)
            if mine is None:
                mine = above
            elif above is not None:
                self.under[mine] = above
            if mine is not None:
                owner[span] = mine
        return owner

    def _find_remote(self, run: Run) -> None:
        """Follow what other processes began, however many processes lie between."""
        asked = run.ask(lambda connection, _: [span for (span,) in connection.execute(_REMOTE)])
        wanted = {span: -2 - number for number, span in enumerate({span for spans in asked for span in spans})}
        if not wanted:
            return
        found: dict[int, int] = {}

        def look(connection: Connection, process: Process) -> None:
            owner = self._own(connection, process, wanted)
            found.update({span: owner[span] for span in wanted.keys() & owner.keys()})

        run.ask(look)
        behind = {number: span for span, number in wanted.items()}
        for span in wanted:
            at, seen = found.get(span, NOBODY), {span}
            while at < NOBODY and behind[at] not in seen:
                seen.add(behind[at])
                at = found.get(behind[at], NOBODY)
            if at >= 0:
                self.remote[span] = at
        self.under.clear()  # of what had not been followed yet


_REMOTE = "SELECT DISTINCT remote_parent FROM traces WHERE remote_parent != 0"
_PARENTS = """
SELECT s.span, CASE s.parent WHEN 0 THEN t.remote_parent ELSE s.parent END
FROM spans s JOIN traces t ON t.id = s.trace ORDER BY s.start_ns, s.span
"""


# -- what was called


@dataclass(slots=True)
class Figures:
    """One function in one test. Times are nanoseconds; own time is as in reports, but a coroutine's waiting is its own."""

    calls: float = 0
    errors: int = 0
    own_ns: float = 0
    total_ns: float = 0
    times: tuple[int, ...] = ()
    """Own times of calls, in order: all, or `KEPT` of them at equal distances. Calls that were folded are told of by their mean."""
    exact: bool = True
    """Whether every call was recorded, or counted."""
    counted: int = 0
    """Calls that were only counted: that one raised is not known, and times are estimated from the others."""


Swallowed = tuple[str, str, str]
"""(caller, function, type of the exception): an exception that ended a call and not its caller."""


@dataclass(slots=True)
class Measured:
    """What was called in one test, or in a whole run."""

    outcome: str = ""
    functions: dict[str, Figures] = field(default_factory=dict)
    swallowed: dict[Swallowed, int] = field(default_factory=dict)
    whole: bool = True
    """False where some calls were counted without their function's name."""


@dataclass(slots=True)
class Measurement:
    """A run, or a baseline file, as something to compare with."""

    name: str
    cases: dict[str, Measured] = field(default_factory=dict)
    """By node id; of one that was repeated, the last time."""
    rest: Measured = field(default_factory=Measured)
    """What belongs to no test: of a run without tests, everything."""
    estimated: frozenset[str] = frozenset()
    """Functions of whose calls only some were recorded: one that is in no test may have been called all the same."""
    doubts: tuple[str, ...] = ()
    """Why counts may be too low, one reason each."""
    about: dict[str, Any] = field(default_factory=dict)
    """`autoscope`, `python` and `strategy` of the run."""


def measure(run: Run) -> Measurement:
    """What was called in each test of a run, and outside all of them. Everything should have been flushed."""
    cases = find_cases(run)
    owners = Owners(run, cases, find_shared(run))
    found = [Measured(case.outcome) for case in cases]
    rest = Measured()
    counted: list[tuple[Measured, list[tuple[Place, str, int]]]] = []
    estimated = {name for process in run.processes for name, *_ in process.meta.get("budget", {}).get("unseen", ())}

    def into(number: int) -> Measured:
        return found[number] if 0 <= number < len(cases) else rest

    def add(connection: Connection, process: Process) -> None:
        places = read_places(connection)
        owner = owners.of(connection, process)
        generators = frozenset(site for site, place in places.items() if place.kind.endswith("generator"))
        running = dict(connection.execute("SELECT span, running_ns FROM details WHERE running_ns IS NOT NULL"))
        folded = read_folded(connection, places)
        took = estimates(connection, places)
        for number, rows in _rows(connection, owner, scaled=not cases).items():
            tree = grow_tree(rows, running, generators, folded, with_own=True, estimated=took)
            _add(into(number), tree, places)
            estimated.update(places.get(row[2], LOST).name for row in rows if row[5] is not None)
        for span, calls in Counted(process.meta).in_spans(connection).items():
            counted.append((into(owner.get(span, NOBODY)), calls))
        for span, site, error, caller, caller_error in connection.execute(_ERRORS):
            number = owner.get(span, NOBODY)
            _add_error(into(number), places, site, error, caller, caller_error)

    run.ask(add)
    _add_counted([*found, rest], counted)
    for measured in (*found, rest):
        for name, figures in measured.functions.items():
            figures.exact = measured.whole and name not in estimated
            figures.times = thin(sorted(figures.times))
    about = {key: run.info[key] for key in ("autoscope", "python", "strategy") if isinstance(run.info.get(key), str)}
    by_id = {case.id: measured for case, measured in zip(cases, found, strict=True)}
    doubts = tuple(doubts_of(run, bool(cases)))
    return Measurement(f"run {run.id}", by_id, rest, frozenset(estimated), doubts, about)


def _rows(connection: Connection, owner: dict[int, int], scaled: bool) -> dict[int, list[Row]]:
    """Number of the test -> its rows, in order of start; `scaled`: standing for as many calls as their traces do.

    A test is one trace, recorded whole or not at all: how many traces it stands for is nothing to its calls.
    """
    found: dict[int, list[Row]] = {}
    for row in read_rows(connection, scaled):
        found.setdefault(owner.get(row[0], NOBODY), []).append(row)
    return found


def _add(into: Measured, tree: Tree, places: dict[int, Place]) -> None:
    """Count the calls of one process."""
    for path in tree.paths:
        place = places.get(path.site, LOST)
        if path.site == OTHERS_SITE or place is LOST:
            into.whole = False
        elif place.kind in KINDS:
            figures = into.functions.setdefault(place.name, Figures())
            figures.calls += path.calls
            figures.own_ns += path.own_ns
            figures.total_ns += 0 if path.is_recursive else path.total_ns
    for site, times in tree.own_times.items():
        place = places.get(site, LOST)
        if place.name in into.functions:
            into.functions[place.name].times += tuple(times)
    for site, entries in tree.folded.items():
        place = places.get(site, LOST)
        if place.name in into.functions:
            into.functions[place.name].times += tuple(entry.own_ns // entry.calls for entry in entries if entry.calls)


def _add_counted(
    recorded: Sequence[Measured], counted: Sequence[tuple[Measured, list[tuple[Place, str, int]]]]
) -> None:
    """Add calls that were only counted; their times are those of the function's recorded calls, in whichever test."""
    usual: dict[str, tuple[float, float]] = {}
    if counted:
        sums: dict[str, Figures] = {}
        for measured in recorded:
            for name, figures in measured.functions.items():
                total = sums.setdefault(name, Figures())
                total.calls += figures.calls
                total.own_ns += figures.own_ns
                total.total_ns += figures.total_ns
        usual = {name: (one.own_ns / one.calls, one.total_ns / one.calls) for name, one in sums.items() if one.calls}
    for into, functions in counted:
        for place, _, calls in functions:
            figures = into.functions.setdefault(place.name, Figures())
            own, total_ns = usual.get(place.name, (0.0, 0.0))
            figures.calls += calls
            figures.counted += calls
            figures.own_ns += own * calls
            figures.total_ns += total_ns * calls


_ERRORS = """
SELECT s.span, s.site, d.error_type, p.site, e.error_type
FROM details d JOIN spans s ON s.span = d.span
LEFT JOIN spans p ON p.span = s.parent LEFT JOIN details e ON e.span = p.span
WHERE d.error_type != ''
"""


def _add_error(
    into: Measured, places: dict[int, Place], site: int, error: str, caller: int | None, caller_error: str | None
) -> None:
    """Count a call that an exception ended, and whether its caller was ended too."""
    function = places.get(site, LOST)
    if function.name in into.functions:
        into.functions[function.name].errors += 1
    above = LOST if caller is None else places.get(caller, LOST)
    if not caller_error and above is not LOST and above.kind in KINDS and function.kind in KINDS:
        key = (above.name, function.name, error)
        into.swallowed[key] = into.swallowed.get(key, 0) + 1


def thin(ordered: list[int]) -> tuple[int, ...]:
    """At most `KEPT` of the values, at equal distances, the first and the last among them."""
    last = len(ordered) - 1
    if last < KEPT:
        return tuple(ordered)
    return tuple(ordered[round(last * index / (KEPT - 1))] for index in range(KEPT))


def doubts_of(run: Run, has_cases: bool) -> list[str]:
    """Why calls may be missing in a run. This process's own file is whole: who reads it has flushed."""
    counters = run.meta["counters"]
    found = []
    if counters.get("dropped"):
        found.append(f"dropped: {plural(counters['dropped'], 'call')}")
    if counters.get("decided_early"):
        found.append(f"decided before it had ended: {plural(counters['decided_early'], 'trace')}")
    if counters.get("sampled_out") and not has_cases:
        found.append(f"sampled out: {plural(counters['sampled_out'], 'trace')}")
    for state in ("running", "killed"):
        count = sum(process.state == state and process.pid != os.getpid() for process in run.processes)
        if count:
            found.append(f"{'still running' if state == 'running' else 'killed'}: {plural(count, 'process', 'es')}")
    return [*found, *run.notes]
