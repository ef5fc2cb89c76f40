"""Statistics function by function, made of a run's spans in one pass over each process.

What the words mean (docs/store.md has examples):

- *own* time of a call is its duration without the time in which a recorded child of it ran: the children's intervals
  are cut to the parent's and joined first, so that children running at the same time are not taken off twice.
- A *generator* or *coroutine* that was suspended runs only part of the time. Its own time is its running time without
  that of its children (never below zero: children may be tasks, which ran beside it); and its parent loses its running
  time, not the whole stretch from first to last step. The rest of its duration is *waiting*.
- *total* adds up the calls that have no caller of the same function above them: recursion is not counted twice.
- *Folded* calls have no span of their own and are counted on one above them (`autoscope.folded.*`); calls and times have
  them, and percentiles take each of them for the mean of those that were counted together.

Children are looked for in the same process, because clocks of two processes need not agree.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from autoscope.read.estimates import Estimate, estimates, percentile
from autoscope.read.runs import probability

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

TEST = "test"
"""The kind of spans that stand for no function: tests, their phases and fixtures, which have their own time and are nobody's calls."""
SUSPENDED = ("generator", "async_generator", "coroutine")


@dataclass(frozen=True, slots=True)
class Function:
    """All calls of one function, in all processes. Times are nanoseconds; those of calls that were not recorded are estimated from the others."""

    name: str
    file: str
    line: int
    kind: str
    calls: int
    """As far as is known, where not all were recorded: each recorded one stands for some."""
    recorded: int
    errors: int
    """Of those recorded."""
    own_ns: int
    total_ns: int
    mean_ns: int
    """Of the durations of all calls, recursive ones included."""
    p50_ns: int
    """Of the recorded ones, as the two below."""
    p95_ns: int
    max_ns: int
    waiting_ns: int = 0
    """Part of the durations in which coroutines and generators were suspended."""


class Place(NamedTuple):
    """Which function: two definitions of one name in a file are two functions."""

    name: str
    file: str
    line: int
    kind: str


OTHERS = Place("(others)", "", 0, "function")
"""Folded calls of functions that there was no room to tell of one by one."""
OTHERS_SITE = -2
LOST = Place("(unknown function)", "", 0, "function")
"""Where a damaged file has a call but no longer its function."""


class Path:
    """One way functions called each other, root first, and what its calls came to: a node of the call tree.

    Most paths are leaves, and a program may take a great many: what only a caller needs is made with its first callee.
    """

    __slots__ = ("_above", "_below", "calls", "is_recursive", "own_ns", "parent", "site", "total_ns")

    def __init__(self, site: int, parent: Path | None) -> None:
        self.site = site
        self.parent = parent
        self.calls: float = 0
        self.own_ns: float = 0
        self.total_ns: float = 0
        """Durations, of recursive calls too."""
        self._below: dict[int, Path] | None = None
        self._above: frozenset[int] = frozenset()
        """This function and those above it, once it has called one."""
        self.is_recursive = parent is not None and site in parent._above

    def find(self, site: int) -> Path | None:
        """The path one call further down, if one was taken."""
        return self._below.get(site) if self._below else None

    def add(self, site: int, sets: dict[frozenset[int], frozenset[int]]) -> Path:
        """A path one call further down; `sets` holds one copy of each set of functions."""
        if self._below is None:
            self._below = {}
            if self.parent is not None:
                above = self.parent._above
                if not self.is_recursive:
                    above |= {self.site}
                self._above = sets.setdefault(above, above)
        path = self._below[site] = Path(site, self)
        return path


Row = tuple[int, int, int, int, int, "float | None"]
"""What is needed of a span: span, parent, site, start, duration, and how many calls it stands for where that is not one."""


class Folded(NamedTuple):
    """Calls of one function that were counted together."""

    site: int
    calls: int
    total_ns: int
    own_ns: int
    max_ns: int
    recursive_ns: int
    """Part of `total_ns` that was inside a call of the same function counted here."""


@dataclass(slots=True)
class Tree:
    """The calls of one process, added up along the ways they were called."""

    root: Path
    paths: list[Path]
    durations: dict[int, array[int]]
    """Site -> duration of every recorded call that has a span."""
    sampled: dict[int, float] = field(default_factory=dict)
    """Site -> nanoseconds of the calls that were not recorded, as those that were have it."""
    folded: dict[int, list[Folded]] = field(default_factory=dict)
    """Site -> its recorded calls that have none, as they were counted."""
    own_times: dict[int, array[int]] = field(default_factory=dict)
    """Site -> own time of every recorded call that has a span, where it was asked for."""
    estimated: dict[int, Estimate] = field(default_factory=dict)
    """Site -> how long its calls took, where spans stand for several."""


def grow_tree(
    rows: Iterable[Row],
    running: dict[int, int] | None = None,
    generators: frozenset[int] = frozenset(),
    folded: dict[int, tuple[bool, list[Folded]]] | None = None,
    with_own: bool = False,
    estimated: dict[int, Estimate] | None = None,
) -> Tree:
    """One pass over `Row`s in order of start, parents first.

    `estimated`: how long calls took where a span stands for several.
    `running` has the running time of spans that were suspended, `generators` the sites whose spans go by it; `folded` what was
    counted on a span, and whether that ran beside it, below its caller, instead of below it.
    """
    root = Path(-1, None)
    durations: dict[int, array[int]] = {}
    tree = Tree(root, [], durations)
    running = running or {}
    folded = folded or {}
    tree.estimated = estimated or {}
    corrected = {site: one.share for site, one in tree.estimated.items()}
    sets: dict[frozenset[int], frozenset[int]] = {}
    index: dict[int, int] = {}
    path_of: list[Path] = []
    # Of every span: where it ends, up to where its children have been seen, and how much own time is left to take from.
    ends = array("q")
    seen = array("q")
    left = array("q")
    weights: list[float | None] = []
    for number, (span, parent, site, start, duration, weight) in enumerate(rows):
        end = start + duration
        busy = running.get(span) if running else None
        own = busy if busy is not None and site in generators else duration
        above = index.get(parent) if parent else None
        if above is None:
            path = root.find(site) or _begin_path(root, site, tree, sets)
        else:
            parent_path = path_of[above]
            path = parent_path.find(site) or _begin_path(parent_path, site, tree, sets)
            if busy is not None and (site in generators or parent_path.site in generators):
                covered = busy
            else:
                lower = seen[above]
                upper = ends[above]
                if start > lower:
                    lower = start
                if end < upper:
                    upper = end
                covered = upper - lower
                if covered > 0:
                    seen[above] = upper
            if covered > 0:
                rest = left[above]
                if covered > rest:
                    covered = rest
                left[above] = rest - covered
                parent_path.own_ns -= covered if weight is None else covered * weight * corrected.get(site, 1.0)
        if weight is None:
            path.calls += 1
            path.own_ns += own
            path.total_ns += duration
        else:
            path.calls += weight
            each_for = weight * corrected.get(site, 1.0)
            path.own_ns += own * each_for
            path.total_ns += duration * each_for
            tree.sampled[site] = tree.sampled.get(site, 0.0) + (each_for - 1.0) * duration
        durations[site].append(duration)
        index[span] = number
        path_of.append(path)
        ends.append(end)
        seen.append(start)
        left.append(own)
        if not folded:
            continue
        weights.append(weight)
        if span in folded:
            is_beside, calls = folded[span]
            caller = above if is_beside else number
            caller_path = root if caller is None else path_of[caller]
            each = (weight if caller is None else weights[caller]) or 1
            covered = _add_folded(caller_path, calls, each, tree, sets)
            if caller is not None:
                covered = min(covered, left[caller])
                left[caller] -= covered
                caller_path.own_ns -= covered * each
    if with_own:
        for path, own in zip(path_of, left, strict=True):
            tree.own_times.setdefault(path.site, array("q")).append(own)
    return tree


def _add_folded(
    caller: Path, calls: list[Folded], each: float, tree: Tree, sets: dict[frozenset[int], frozenset[int]]
) -> int:
    """Count folded calls below a path, each of which stands for so many; how long they ran."""
    for entry in calls:
        path = caller.find(entry.site) or _begin_path(caller, entry.site, tree, sets)
        path.calls += entry.calls * each
        path.own_ns += entry.own_ns * each
        path.total_ns += (entry.total_ns - entry.recursive_ns) * each
        tree.folded.setdefault(entry.site, []).append(entry)
        tree.sampled[entry.site] = tree.sampled.get(entry.site, 0.0) + (each - 1) * entry.total_ns
    return sum(entry.own_ns for entry in calls)


def _begin_path(parent: Path, site: int, tree: Tree, sets: dict[frozenset[int], frozenset[int]]) -> Path:
    path = parent.add(site, sets)
    tree.paths.append(path)
    if site not in tree.durations:
        tree.durations[site] = array("q")
    return path


def read_tree(connection: Connection, places: dict[int, Place]) -> Tree:
    """The call tree of one process's file."""
    generators = frozenset(site for site, place in places.items() if place.kind in SUSPENDED)
    running = dict(connection.execute("SELECT span, running_ns FROM details WHERE running_ns IS NOT NULL"))
    # Ids count up, so of two spans that began in the same tick of the clock the parent comes first.
    rows = read_rows(connection)
    return grow_tree(
        rows, running, generators, read_folded(connection, places), estimated=estimates(connection, places)
    )


def read_rows(connection: Connection, of_traces: bool = True) -> Iterable[Row]:
    """All spans of one process's file, in order of start; `of_traces`: see `weight`."""
    return connection.execute(_ROWS.format(weight=weight(connection, of_traces)))


_ROWS = """
SELECT span, CASE WHEN parent = 0 THEN t.remote_parent ELSE parent END, site, start_ns, duration_ns, {weight} FROM spans s JOIN traces t ON t.id = s.trace ORDER BY start_ns, span
"""


def weight(connection: Connection, of_traces: bool = True) -> str:
    """An expression for how many calls a span `s` of trace `t` stands for, NULL where it is one; `of_traces`: as often as its trace does too."""
    if not of_traces:
        return f"1.0 / {probability(connection)}"
    connection.create_function("adjusted_count", 1, adjusted_count, deterministic=True)
    return f"coalesce({stands_for(connection)}, adjusted_count(t.tracestate))"


def stands_for(connection: Connection) -> str:
    """An expression for how many calls a span `s` stands for because others of its function were left out or only counted; NULL where none was."""
    told = connection.execute("SELECT value FROM meta WHERE key = 'counted'").fetchone()
    weights = Counted({"counted": json.loads(told[0])}).weights(connection, read_places(connection)) if told else {}
    if not weights:
        return f"1.0 / {probability(connection)}"
    connection.create_function("counted_for", 1, weights.get, deterministic=True)
    return f"coalesce(1.0 / {probability(connection)}, counted_for(s.site))"


def adjusted_count(tracestate: str | None) -> float | None:
    """How many traces one of this `tracestate` stands for, None where it is one or not known.

    From the OpenTelemetry specification, "TraceState: Probability Sampling": the reciprocal of the share that `th` leaves over.
    """
    of_ours = [entry for entry in (tracestate or "").split(",") if entry.strip().startswith("ot=")]
    for part in of_ours[0].strip()[3:].split(";") if of_ours else ():
        if part.startswith("th:"):
            digits = part[3:]
            try:
                rejected = int(digits.ljust(14, "0"), 16)
            except ValueError:
                return None
            return (1 << 56) / ((1 << 56) - rejected) if 0 < rejected < 1 << 56 else None
    return None


class Counted:
    """Calls of one process's tests that were only counted; see docs/pytest.md."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        """`meta`: what the process wrote about itself."""
        self.functions: list[tuple[Place, str, int]] = [
            (Place(f"{module}.{qualname}", file, line, kind), qualname, calls)
            for module, qualname, file, line, kind, calls in meta.get("counted", ())
        ]
        """Each function that was called, its qualified name, and how many of its calls were only counted, in all tests together."""

    def in_spans(self, connection: Connection) -> dict[int, list[tuple[Place, str, int]]]:
        """Span of a test, or of a fixture that tests share -> functions as above, and how many of its calls."""
        if not self.functions:
            return {}
        return {span: self.read(json.loads(text)) for span, text in connection.execute(_COUNTED)}

    def read(self, attributes: Mapping[str, Any]) -> list[tuple[Place, str, int]]:
        """What such a span says."""
        pairs = [pair.split(":") for pair in str(attributes.get("autoscope.counted.functions", "")).split()]
        found = [(int(number), int(calls)) for number, calls in pairs]
        return [(*self.functions[number][:2], calls) for number, calls in found if number < len(self.functions)]

    def weights(self, connection: Connection, places: Mapping[int, Place]) -> dict[int, float]:
        """Site -> how many calls each recorded one stands for, for those of which not all were."""
        more = {place: calls for place, _, calls in self.functions if calls}
        if not more:
            return {}
        recorded = dict(connection.execute("SELECT site, count(*) FROM spans GROUP BY site"))
        return {site: 1 + more[places[site]] / count for site, count in recorded.items() if places.get(site) in more}


_COUNTED = "SELECT span, attributes FROM details WHERE instr(attributes, 'autoscope.counted.') > 0"


def read_places(connection: Connection, tests: bool = True) -> dict[int, Place]:
    """Site -> function; `tests`: those of tests too, which are none."""
    rows = connection.execute("SELECT id, name, file, line, kind FROM sites WHERE ? OR kind != ?", (tests, TEST))
    places = {site: Place(name, file, line, kind) for site, name, file, line, kind in rows}
    places[OTHERS_SITE] = OTHERS
    return places


def read_folded(connection: Connection, places: dict[int, Place]) -> dict[int, tuple[bool, list[Folded]]]:
    """Span -> whether what was counted on it ran beside it, and that."""
    sites = {(place.name, place.line): site for site, place in places.items()}
    rows = connection.execute(_FOLDED)
    found: dict[int, tuple[bool, list[Folded]]] = {}
    for span, text in rows:
        told = json.loads(text)
        names = told.get("autoscope.folded.functions", [])
        where = zip(names, told.get("autoscope.folded.lines", []), strict=False)
        total = told.get("autoscope.folded.total_ns", [])
        columns = [[sites.get(place, -1) for place in where], told.get("autoscope.folded.calls", []), total]
        for name, otherwise in (("own_ns", total), ("max_ns", total), ("recursive_ns", [0] * len(total))):
            columns.append(told.get(f"autoscope.folded.{name}", otherwise))
        calls = [Folded(*entry) for entry in zip(*columns, strict=False)]
        found[span] = bool(told.get("autoscope.folded.beside")), calls
    return found


_FOLDED = """
SELECT span, attributes FROM details WHERE instr(attributes, 'autoscope.folded.') > 0
"""


class _Sum:
    """What the processes saw of one function."""

    __slots__ = ("calls", "durations", "errors", "folded", "own", "sampled", "total", "waiting")

    def __init__(self) -> None:
        self.durations: array[int] = array("q")
        self.folded: list[Folded] = []
        self.calls: float = 0
        self.errors = 0
        self.own: float = 0
        self.sampled: float = 0
        self.total: float = 0
        self.waiting: float = 0


def measure_run(run: Run) -> list[Function]:
    """Statistics of every function that was called, most own time first."""
    sums: dict[Place, _Sum] = {}

    def add(connection: Connection, process: Process) -> None:
        places = read_places(connection)
        tree = read_tree(connection, places)
        mine = {site: sums.setdefault(places.get(site, LOST), _Sum()) for site in tree.durations}
        for path in tree.paths:
            of = mine[path.site]
            of.calls += path.calls
            of.own += path.own_ns
            if not path.is_recursive:
                of.total += path.total_ns
        for site, durations in tree.durations.items():
            mine[site].durations.extend(durations)
            mine[site].sampled += tree.sampled.get(site, 0.0)
        for site, entries in tree.folded.items():
            mine[site].folded.extend(entries)
        _add_unseen(process, sums, {places.get(site, LOST): one.took_ns for site, one in tree.estimated.items()})
        for site, errors, waiting in connection.execute(_DETAILS.format(weight=weight(connection))):
            mine[site].errors += errors
            mine[site].waiting += waiting or 0

    run.ask(add)
    functions = [
        _function(place, found)
        for place, found in sums.items()
        if place.kind != TEST and (found.durations or found.folded)
    ]
    return sorted(functions, key=lambda function: (-function.own_ns, function.name))


_DETAILS = """
SELECT s.site, sum(d.error_type != ''), sum(max(0, s.duration_ns - d.running_ns) * coalesce({weight}, 1))
FROM details d JOIN spans s ON s.span = d.span JOIN traces t ON t.id = s.trace GROUP BY s.site
"""


def _add_unseen(process: Process, sums: dict[Place, _Sum], took: dict[Place, float]) -> None:
    """Calls that were counted and for which no recorded one stands: they were like those that stand for others, or all.

    Where it is known how long these took (`took`), nothing is told by the first calls of a process, which are all recorded and among their like.
    """
    for name, file, line, kind, calls in process.meta.get("budget", {}).get("unseen", ()):
        place = Place(name, file, line, kind)
        found = sums.get(place)
        if found is None or not found.calls:
            continue
        recorded = sum(found.durations) + sum([one.total_ns for one in found.folded]) + found.sampled
        share = calls / found.calls
        if place in took and recorded > 0:
            share = calls * took[place] / recorded
        found.own += found.own * share
        found.total += found.total * share
        found.sampled += recorded * share
        found.calls += calls


def _function(place: Place, found: _Sum) -> Function:
    ordered = sorted(found.durations)
    calls = len(ordered) + sum(entry.calls for entry in found.folded)
    groups = sorted(_groups(ordered, found.folded)) if found.folded else []
    return Function(
        *place,
        calls=round(found.calls),
        recorded=calls,
        errors=found.errors,
        own_ns=max(round(found.own), 0),
        total_ns=round(found.total),
        mean_ns=round((sum(ordered) + found.sampled + sum([entry.total_ns for entry in found.folded])) / found.calls),
        p50_ns=_percentile_of_groups(groups, calls, 50) if groups else percentile(ordered, 50),
        p95_ns=_percentile_of_groups(groups, calls, 95) if groups else percentile(ordered, 95),
        max_ns=groups[-1][0] if groups else ordered[-1],
        waiting_ns=round(found.waiting),
    )


def _groups(ordered: list[int], folded: list[Folded]) -> list[tuple[int, int]]:
    """(duration, how many calls): of those counted together the longest, and all others by their mean."""
    groups = [(duration, 1) for duration in ordered]
    for entry in folded:
        groups.append((entry.max_ns, 1))
        if entry.calls > 1:
            groups.append(((entry.total_ns - entry.max_ns) // (entry.calls - 1), entry.calls - 1))
    return groups


def _percentile_of_groups(groups: list[tuple[int, int]], calls: int, share: int) -> int:
    """The same as `percentile`, of groups in order."""
    rank = max(1, -(-calls * share // 100))
    for duration, count in groups:
        rank -= count
        if rank <= 0:
            return duration
    return groups[-1][0]
