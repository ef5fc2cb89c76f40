"""Spans for what is no function: sessions, tests, phases, fixtures, examples. One is open below another, in the thread that runs the tests.

Each is what calls belong to while it is the innermost (`runtime.ambient`); nothing is made current. A span is recorded as a call is: a record
in the buffer, with a site of its own.
"""

from __future__ import annotations

import os
from typing import Any

from autoscope.bootstrap import CARRIER
from autoscope.ours import keep_builtins
from autoscope.plan.model import Capture
from autoscope.runtime import calls, sampling
from autoscope.runtime.ambient import NOTHING, Ambient
from autoscope.runtime.sites import TEST, Site, new_site, switches
from autoscope.runtime.spans import Captured, Details, Trace

keep_builtins(globals())

ALL_KEPT = "ot=th:0"
LEAST_NS = 300_000
"""A phase in which nothing was called is recorded when it took so long: as long as it takes to start a process, which may be traced."""
_CAPTURE = Capture()


def make_site(name: str, file: str = "", line: int = 0) -> Site:
    """What the spans of one name have in common; not registered, as nothing of it is woven, armed or changed."""
    site = new_site("", name, file, line, TEST, "recorded", (), registered=False)
    site.level = "full_trace"
    site.rate = 1.0
    site.capture = _CAPTURE
    return site


class Open:
    """A span that has begun. Without a trace nothing of it is recorded, nor of what is below."""

    __slots__ = (
        "above",
        "ambient",
        "attributes",
        "counted",
        "end",
        "error",
        "failed",
        "has_below",
        "site",
        "span_id",
        "start",
        "trace",
    )

    def __init__(self, site: Site, trace: Trace | None, above: Open | None) -> None:
        self.site = site
        self.trace = trace
        self.above = above
        self.attributes: dict[str, Any] = {}
        self.counted: dict[int, int] = {}
        """Number of a function, see `quota` -> calls of it that were only counted."""
        self.error: BaseException | None = None
        """What left it."""
        self.failed: tuple[str, str] | None = None
        """Type and message of what left a span below and failed this one."""
        self.has_below = False
        """Whether another of these is below it."""
        self.end = 0
        self.span_id = 0
        self.ambient = NOTHING
        if trace is not None:
            self.span_id = switches.next()
            self.ambient = Ambient(trace.trace_id, self.span_id, trace.flags, trace.tracestate, trace.failed)
        self.start = switches.clock()

    def below(self, site: Site) -> Open:
        """A span below this one."""
        self.has_below = True
        return Open(site, self.trace, self)

    def tells_nothing(self) -> bool:
        """Whether it ended well, at once, and nothing was recorded below it."""
        if self.has_below or self.attributes or self.error is not None or self.failed or self.ambient.was_asked():
            return False
        return self.end - self.start < LEAST_NS

    def record(self) -> None:
        """It is over; `end`, where that is set, says since when."""
        trace = self.trace
        if trace is None:
            return
        end = self.end or switches.clock()
        if self.counted:
            # By number, and in one text: with names it would be more than all else a test leaves behind.
            self.attributes["autoscope.counted.calls"] = sum(self.counted.values())
            self.attributes["autoscope.counted.functions"] = " ".join(map("%d:%d".__mod__, self.counted.items()))
        details: Details | Captured | None = None
        if self.error is not None:
            # As seen below: what a function's span tells of it is not told again.
            details = calls.outcome(self.site, self.ambient.trace(), self.error, end, self.attributes or None)
            if isinstance(details, Details) and details.exception is not None:
                details.exception.frames = _without_runner(details.exception.frames)
            self.error = None
        elif self.failed:
            details = Details(*self.failed, attributes=self.attributes)
        elif self.attributes:
            details = (tuple(self.attributes), *self.attributes.values())  # written at a fifth of the cost
        parent = None
        if self.above is not None and self.above.trace is not None:
            parent = self.above.trace, self.above.span_id
        switches.append((self.site, self.span_id, trace, parent, self.start, end, details))


def begin_trace(site: Site, remote: Ambient | None, *, at_any_rate: bool = False) -> Open:
    """The first span of a trace of this process; below `remote`, where that is given, whose trace it then belongs to."""
    if remote is not None:
        if not remote.sampled and not at_any_rate:
            return Open(site, None, None)
        trace = Trace(remote.trace_id, remote.span_id, remote.tracestate, remote.flags | 1, *sampling.this_thread())
    else:
        identity = sampling.decided_id(at_any_rate)
        if identity is None:
            return Open(site, None, None)
        told = ALL_KEPT if at_any_rate or sampling.late else sampling.tracestate
        trace = Trace(identity, 0, told, 3, *sampling.this_thread())
    trace.failed = {}
    return Open(site, trace, None)


_RUNNERS = tuple(
    os.path.join(os.path.dirname(module.__file__ or ""), "")
    for module in map(__import__, ("_pytest", "pluggy", "autoscope"))
)


def _without_runner(frames: tuple[Any, ...]) -> tuple[Any, ...]:
    """A stack trace from the test on: how the runner came to it is the same for all."""
    for place, frame in enumerate(frames):
        if type(frame) is str or not frame[0].co_filename.startswith(_RUNNERS):
            return frames[place:]
    return frames


class Stage:
    """The spans that are open in this process, innermost last; what is innermost is what calls belong to, here and in child processes."""

    def __init__(self, outside: Ambient | None) -> None:
        self.open: list[Open] = []
        self.before = sampling.ambient
        self.carried = os.environ.get(CARRIER)
        """What this process was told by its parent."""
        self.stand_by(outside)

    def stand_by(self, outside: Ambient | None) -> None:
        """Have calls belong to this while no span is open."""
        self.outside = outside
        sampling.set_ambient(outside)
        self.tell_children()

    def enter(self, opened: Open, *, told: bool = False) -> Open:
        """It is the innermost from now on; `told`: child processes are told of it."""
        self.open.append(opened)
        sampling.set_ambient(opened.ambient)
        if told:
            os.environ[CARRIER] = opened.ambient.carrier()
        return opened

    def leave(self, opened: Open) -> None:
        """It has ended, and all below it; when it is recorded is for others to say."""
        if opened in self.open:
            del self.open[self.open.index(opened) :]
        if not opened.end:
            opened.end = switches.clock()
        sampling.set_ambient(self.open[-1].ambient if self.open else self.outside)

    def tell_children(self) -> None:
        """Child processes are told what calls belong to while no span is open."""
        if self.outside is None:
            self._tell_as_before()
        else:
            os.environ[CARRIER] = self.outside.carrier()

    def _tell_as_before(self) -> None:
        if self.carried is None:
            os.environ.pop(CARRIER, None)
        else:
            os.environ[CARRIER] = self.carried

    def close(self) -> None:
        """As it was before."""
        self._tell_as_before()
        sampling.set_ambient(self.before)
