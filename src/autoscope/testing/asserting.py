"""What was recorded of a test, while it is still running: for the fixture `autoscope`, and for what is told of a failure."""

from __future__ import annotations

import difflib
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from autoscope import bootstrap
from autoscope.errors import AutoscopeError
from autoscope.ours import keep_builtins
from autoscope.plan.model import matches
from autoscope.runtime import context, sites
from autoscope.runtime.sites import TEST, Site
from autoscope.runtime.spans import opened
from autoscope.testing.spans import Open
from autoscope.weave import weaver

keep_builtins(globals())

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FIXTURE = "autoscope"
KEPT = 8
"""Batches kept of what was handed over last, of 4,096 records at most."""
WAIT_SECONDS = 5.0


def wants_all(item: Any) -> bool:
    """Whether a test asks what was called, so that every call of it has to be recorded."""
    return FIXTURE in getattr(item, "fixturenames", ())


class Tape:
    """What was handed over last since a test began; all of it while one asks what was called."""

    def __init__(self, running: bootstrap.Running) -> None:
        self.running = running
        self.batches: deque[Any] = deque(maxlen=KEPT)
        self.thinned: list[tuple[Site, Any, Any]] = []
        self.lost = 0
        """Records lost before it was to be exact."""
        running.drain.tape = self.take

    def take(self, records: Any) -> bool:
        self.batches.append(records)
        quota = self.running.quota
        if quota is not None:
            quota.learn(records)
        return True

    def forget(self) -> None:
        """A test begins that does not ask: nobody will want to know what earlier ones called, and all of it would be in the garbage collector's way."""
        self.batches.clear()

    def begin_exact(self) -> None:
        """Lose nothing from here on: neither for the budget, nor for a rate of some functions."""
        self.running.drain.catch_up(WAIT_SECONDS)
        self.batches = deque()
        self.lost = self.losses()
        self.running.be_exact()
        if self.running.quota is not None:
            self.running.quota.rest()
        for site in sites.sites:
            if site.rate < 1.0:
                self.thinned.append((site, site.get, sites.shares.pop(site, None)))
                site.get = context.get

    def end_exact(self) -> None:
        self.running.drain.catch_up(WAIT_SECONDS)
        self.batches = deque(self.batches, maxlen=KEPT)
        for site, get, share in self.thinned:
            site.get = get
            if share is not None:
                sites.shares[site] = share
        self.thinned.clear()
        if self.running.quota is not None:
            self.running.quota.go_on()
        self.running.be_thrifty()

    def losses(self) -> int:
        return sites.counters.dropped

    def records(self, trace_id: int) -> list[Any]:
        """Those of one trace, in the order in which they ended; the newest of them, where the test does not ask for all."""
        if not self.running.drain.catch_up(WAIT_SECONDS):
            return []
        return [record for record in chain.from_iterable(self.batches) if record[2].trace_id == trace_id]

    def close(self) -> None:
        if self.running.drain.tape == self.take:
            self.running.drain.tape = None


class Seen:
    """One call that has ended. Times are nanoseconds; `error` is the type of the exception that left it, or empty."""

    __slots__ = ("above", "attributes", "below", "duration_ns", "error", "error_message", "kind", "name", "start_ns")

    def __init__(self, record: Any) -> None:
        site, _, _, _, start, end, told = record
        details = opened(told)
        self.name: str = site.name
        self.kind: str = site.kind
        self.start_ns: int = start
        self.duration_ns: int = end - start
        self.attributes: dict[str, Any] = dict(details.attributes or ()) if details is not None else {}
        self.error: str = details.error_type if details is not None else ""
        self.error_message: str = details.error_message if details is not None else ""
        self.above: Seen | None = None
        """The call it was made by, where that has ended too."""
        self.below: list[Seen] = []

    def __repr__(self) -> str:
        return f"<{self.name} {self.duration_ns / 1e6:.3f} ms{' ' + self.error if self.error else ''}>"


def family(records: Iterable[Any], top: int, phases: Iterable[Open] = ()) -> tuple[list[Seen], list[Seen]]:
    """(all calls below the span `top`, those directly below it), each in order of start. What is a phase or a fixture is looked through.

    `phases`: those of the test, which may have no record yet.
    """
    found: dict[int, Seen] = {}
    parents: dict[int, int] = {phase.span_id: phase.above.span_id for phase in phases if phase.above is not None}
    for record in records:
        found[record[1]] = Seen(record)
        parents[record[1]] = record[3][1] if record[3] else record[2].remote_parent
    inside: dict[int, bool] = {top: True}

    def is_inside(span: int) -> bool:
        way = []
        while span not in inside:
            way.append(span)
            if span not in parents:
                # Below a call that goes on still, or one whose record is gone.
                inside[span] = False
                break
            span = parents[span]
        for one in way:
            inside[one] = inside[span]
        return inside[span]

    calls: list[Seen] = []
    first: list[Seen] = []
    for span in sorted(found, key=lambda one: (found[one].start_ns, one)):
        seen = found[span]
        if seen.kind == TEST or not is_inside(span):
            continue
        calls.append(seen)
        above = parents[span]
        while above in parents and (above not in found or found[above].kind == TEST):
            above = parents[above]
        seen.above = found.get(above)
        (first if seen.above is None else seen.above.below).append(seen)
    return calls, first


class Calls:
    """The calls of a test as a tree."""

    def __init__(self, first: list[Seen]) -> None:
        self.first = first
        """Those the test made itself, in order of start."""

    def tree(self) -> str:
        """Who called what how often, one function a line, indented by depth: names and counts, no times, the same for the same calls.

        A function stands where its caller called it first; calls of it from the same place in the tree are one line.
        """
        lines: list[str] = []

        def add(group: list[Seen], depth: int) -> None:
            names: dict[str, list[Seen]] = {}
            for seen in group:
                names.setdefault(seen.name, []).append(seen)
            for name, calls in names.items():
                lines.append("  " * depth + name + (f" x{len(calls)}" if len(calls) > 1 else ""))
                if len(lines) < MOST_LINES:
                    add(
                        sorted(chain.from_iterable([seen.below for seen in calls]), key=lambda one: one.start_ns),
                        depth + 1,
                    )

        add(self.first, 0)
        return "\n".join(lines)


MOST_LINES = 10_000


class Observed:
    """The fixture `autoscope`: what the application's functions did in this test so far.

    Calls that have ended count, in all threads of this process; those of the test itself, or of `phase` (`setup`), or of all (None).
    """

    def __init__(self, tape: Tape, test: Open, phases: dict[str, Open], hidden: Sequence[str] = ()) -> None:
        self._tape = tape
        self._test = test
        self._phases = phases
        self._hidden = hidden
        """Phases of whose calls some were only counted."""

    @property
    def trace_id(self) -> str:
        """Of this test's trace, 32 hexadecimal digits."""
        return "" if self._test.trace is None else f"{self._test.trace.trace_id:032x}"

    def spans(self, glob: str = "*", *, phase: str | None = "call") -> list[Seen]:
        """The calls of the functions whose names match, in order of start.

        Raises AutoscopeError where no traced function has such a name: no calls would say nothing then.
        """
        self._check(glob)
        return [seen for seen in self._family(phase)[0] if matches(glob, seen.name)]

    def calls(self, glob: str = "*", *, phase: str | None = "call") -> int:
        """How many calls of the functions whose names match. Raises as `spans`."""
        return len(self.spans(glob, phase=phase))

    @property
    def trace(self) -> Calls:
        """The calls the test has made, as a tree."""
        return Calls(self._family("call")[1])

    def _family(self, phase: str | None) -> tuple[list[Seen], list[Seen]]:
        top = self._test if phase is None else self._phases.get(phase)
        if top is None or top.trace is None:
            return [], []
        if phase in self._hidden or (phase is None and self._hidden):
            raise AutoscopeError(
                "before this test asked for it, some calls were only counted; name the fixture among the test's parameters"
            )
        if self._tape.losses() > self._tape.lost:
            raise AutoscopeError(
                "more was called than could be kept: a count would be wrong; OTEL_BSP_MAX_QUEUE_SIZE is the room"
            )
        return family(self._tape.records(top.trace.trace_id), top.span_id, self._phases.values())

    def _check(self, glob: str) -> None:
        names = [site.name for site in sites.sites]
        if any(matches(glob, name) for name in names):
            return
        for module, qualname, reason in weaver.left_alone:
            if matches(glob, f"{module}.{qualname}"):
                raise AutoscopeError(
                    f"{module}.{qualname} is not traced: {reason}; name it in a plan, or use full_trace"
                )
        near = difflib.get_close_matches(glob, names, 3)
        hint = f"; like it: {', '.join(near)}" if near else ""
        raise AutoscopeError(
            f"no traced function is named {glob}{hint}; which modules are traced is told at the top of the run"
        )


def observe(request: pytest.FixtureRequest) -> Iterator[Observed]:
    """The fixture. Where pytest was started without `--autoscope`, tests that ask for it are traced all the same, and nothing is stored."""
    from autoscope.testing.suite import Suite

    plugins = request.config.pluginmanager
    suite = next((found for found in plugins.get_plugins() if isinstance(found, Suite)), None)
    if suite is None or suite.test is None:
        pytest.skip("autoscope is disabled in this process" if suite is None else "not run by pytest's own protocol")
    if not suite.test.exact:  # asked for by `getfixturevalue`
        suite.test.exact = True
        suite.count(suite.counting())
        if suite.test.span.counted:
            suite.test.hidden = tuple(suite.test.phases)
        suite.tape.begin_exact()
    yield Observed(suite.tape, suite.test.span, suite.test.phases, suite.test.hidden)
