"""Which recorded traces are sent, decided when they have ended; between the drain and the exporters, under the drain's lock.

A trace that begins here while something is to be kept is an `Undecided`: recorded, and its records wait here. It is kept if a call of
it failed, or its first call took too long, as the plan says, and else by its rate, which its id decided when it began. What is kept
for a rule has that written in its tracestate (`ot=th:0`: all such are kept), what is kept by the rate the rate. What the trace
says of itself while it runs, to OpenTelemetry code and to services further on, is what the rate says, and never changes.

Traces that were begun elsewhere are not decided here.
"""

from __future__ import annotations

from itertools import chain

from autoscope.ours import keep_builtins
from autoscope.runtime import context, sampling
from autoscope.runtime.sites import WIDTH, Batch, counters
from autoscope.runtime.spans import Clock, Trace, Undecided, error_of

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.fold import Folder

MOST_WAITING = 65_536
"""Records of undecided traces; above, the oldest traces are decided early."""
LONGEST_NS = 30_000_000_000
"""A trace that has not ended after this time is decided early."""
SLACK_NS = 20_000_000
"""What may lie between the end of a call and its record."""
ALL_KEPT = "ot=th:0"

UNDECIDED, RULE, RATE, RATE_EARLY, OUT, OUT_EARLY = range(6)
"""Verdicts. Decided early, a rule may still keep what comes from there on."""


class Late:
    """What is in force in this process, and what waits for it."""

    def __init__(self) -> None:
        self.errors = False
        self.slower: int | None = None
        """Nanoseconds."""
        self.fold: Folder | None = None
        self.waiting: dict[Undecided, None] = {}
        """Undecided traces that have records, oldest first."""
        self.held = 0
        """How many records."""
        self.decided: list[Any] = []
        """Parts of records whose trace was decided when nothing could be handed over."""

    def follow(self, errors: bool, slower: int | None, under: int | None) -> None:
        """Have these rules be in force; any thread may say so. What is recorded by now goes by them too."""
        self.errors, self.slower = errors, slower
        sampling.set_late(self.keeps)
        if under and self.fold is None:
            from autoscope.runtime.fold import Folder

            self.fold = Folder()
        if self.fold is not None:
            self.fold.under = under or 0
            sampling.shown = self.fold.shown.add if under else None

    @property
    def keeps(self) -> bool:
        return self.errors or self.slower is not None

    def take(self, records: Any, now: int) -> Batch:
        """What is sent of these, and what is decided by them. `now`: all records made before have come."""
        parts = records.parts if type(records) is Batch else list(chain.from_iterable(records))
        if self.fold is not None and (self.fold.under or self.fold.open or self.fold.folding > 0):
            parts = self.fold.take(parts, now)
        out = self.keep(parts, now)
        if self.held > MOST_WAITING:
            self.make_room(now, out)
        return Batch(out)

    def due(self, now: int) -> Batch:
        """What is not to wait any longer; asked when all records made before `now` have come."""
        out, self.decided = self.decided, []
        if self.fold is not None and self.fold.open:
            out += self.keep(self.fold.overdue(now), now)
        for trace in list(self.waiting):
            if not self.is_slow(trace, now) and self.keeps and now - trace.since < LONGEST_NS:
                break
            self.decide_early(trace, now, out)
        return Batch(out)

    def settle(self, last: bool) -> Batch:
        """Decide everything now. `last`: no call will end any more."""
        now = Clock.now()
        out, self.decided = self.decided, []
        if last and self.fold is not None:
            out += self.keep(self.fold.end(), now)
        for trace in list(self.waiting):
            self.decide_early(trace, now, out)
        return Batch(out)

    def before_fork(self) -> None:
        """Decide what waits: the child goes on with these traces, and is to decide alike. Its spans name the call that is current now."""
        current = context.get()
        if current and self.fold is not None:
            self.fold.hold(current[1], Clock.now())
        for trace in list(self.waiting):
            self.decide_early(trace, Clock.now(), self.decided)

    def after_fork(self) -> None:
        """In a new child: what waits is the parent's to send."""
        for trace in self.waiting:
            trace.waiting = None
        self.waiting, self.held, self.decided = {}, 0, []
        if self.fold is not None:
            self.fold.after_fork()

    # Traces.

    def keep(self, parts: list[Any], now: int) -> list[Any]:
        """The parts of the records whose traces are kept, as far as that is decided."""
        traces = parts[2::WIDTH]
        if Undecided not in {*map(type, traces)}:
            return parts
        out: list[Any] = []
        first, count = 0, len(traces)
        while first < count:
            trace = traces[first]
            end = first + 1
            while end < count and traces[end] is trace:
                end += 1
            run = parts[first * WIDTH : end * WIDTH]
            if type(trace) is Undecided:
                self.judge(trace.home or trace, run, now, out)
            else:
                out += run
            first = end
        return out

    def judge(self, trace: Undecided, run: list[Any], now: int, out: list[Any]) -> None:
        """Some records of one trace: they wait, decide it, or follow what was decided."""
        verdict = trace.verdict
        if verdict in (UNDECIDED, RATE_EARLY, OUT_EARLY):
            parents = run[3::WIDTH]
            ended = not all(parents)
            if self.matches(run, parents, ended):
                self.decide(trace, RULE, out)
            elif ended or (verdict == UNDECIDED and not self.keeps):
                self.decide(trace, RATE if trace.flags & 1 else OUT, out)
            elif verdict == UNDECIDED:
                if trace.waiting is None:
                    trace.waiting, trace.since = [], now
                    self.waiting[trace] = None
                trace.waiting += run
                self.held += len(parents)
                return
            verdict = trace.verdict
        self.pass_on(verdict, run, out)

    def matches(self, run: list[Any], parents: list[Any], ended: bool) -> bool:
        """Whether a rule keeps a trace because of these records."""
        if self.slower is not None and ended:
            place = [bool(parent) for parent in parents].index(False) * WIDTH
            if run[place + 5] - run[place + 4] > self.slower:
                return True
        if self.errors:
            for details in run[6::WIDTH]:
                if details is not None and error_of(details):
                    return True
        return False

    def is_slow(self, trace: Undecided, now: int) -> bool:
        """Whether its first call, which has not ended, has taken too long already."""
        return self.slower is not None and now - trace.since > self.slower + SLACK_NS

    def decide(self, trace: Undecided, verdict: int, out: list[Any]) -> None:
        """What waited is passed on, or left out and counted."""
        counters.late_out += (verdict in (OUT, OUT_EARLY)) - (trace.verdict == OUT_EARLY)
        trace.verdict = verdict
        waiting, trace.waiting = trace.waiting, None
        if waiting is not None:
            del self.waiting[trace]
            self.held -= len(waiting) // WIDTH
            self.pass_on(verdict, waiting, out)

    def decide_early(self, trace: Undecided, now: int, out: list[Any]) -> None:
        """Without knowing how it ends."""
        counters.early += 1
        if self.is_slow(trace, now):
            self.decide(trace, RULE, out)
        else:
            self.decide(trace, RATE_EARLY if trace.flags & 1 else OUT_EARLY, out)

    def pass_on(self, verdict: int, run: list[Any], out: list[Any]) -> None:
        if verdict in (OUT, OUT_EARLY):
            counters.left_out += len(run) // WIDTH
            return
        if verdict == RULE:
            run[2::WIDTH] = [as_told(trace) for trace in run[2::WIDTH]]
        out += run

    def make_room(self, now: int, out: list[Any]) -> None:
        for trace in list(self.waiting):
            if self.held <= MOST_WAITING // 2:
                break
            self.decide_early(trace, now, out)


def as_told(trace: Undecided) -> Trace:
    """The trace as its spans tell of it where a rule keeps it: whoever is like it is kept, whatever the rate."""
    found = trace.told
    if found is None:
        found = trace.told = Trace(
            trace.trace_id,
            trace.remote_parent,
            ALL_KEPT,
            trace.flags | 1,
            trace.thread_id,
            trace.thread_name,
            trace.context,
        )
    return found
