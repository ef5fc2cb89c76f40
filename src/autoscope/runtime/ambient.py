"""What a call belongs to for which nothing is current: a span that stands for what the whole process does now.

A test runner does one test at a time, whichever thread, task or event loop the test's calls are made in; a child process does what its
parent started it for. Asked by `sampling.root`, at first calls only. Nothing is put into a context, where it could outlive its time.
"""

from __future__ import annotations

from _thread import get_ident

from autoscope.ours import keep_builtins
from autoscope.runtime import sampling
from autoscope.runtime.spans import Trace

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any


class Ambient:
    """A span, of this process or another, under which calls are recorded; or a mark that none is."""

    __slots__ = ("_traces", "failed", "flags", "span_id", "trace_id", "tracestate")

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        flags: int = 3,
        tracestate: str = "",
        failed: dict[int, list[Any]] | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.tracestate = tracestate
        self.failed = failed
        """Exceptions seen in this trace, where several of these belong to one: see `Trace.failed`."""
        self._traces: dict[int, Trace] = {}

    @property
    def sampled(self) -> bool:
        return bool(self.flags & 1)

    def trace(self, inherited: Any = None) -> Trace:
        """The part of the trace that is below this span, in this thread. `inherited`: the OpenTelemetry `Context` it was found in."""
        ident = get_ident()
        found = self._traces.get(ident)
        if found is None or inherited is not None or found.context is not None:
            thread = sampling.this_thread()
            found = Trace(self.trace_id, self.span_id, self.tracestate, self.flags, *thread, inherited)
            found.failed = self.failed
            self._traces[ident] = found
        return found

    def was_asked(self) -> bool:
        """Whether a call of this process belongs to it."""
        return bool(self._traces)

    def carrier(self) -> str:
        """As another process is told of it: W3C `traceparent`."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


NOTHING = Ambient(0, 0, flags=0)
"""Nothing is to be recorded that is not below something current. Its carrier is none to others, who begin traces of their own."""


def from_carrier(text: str, tracestate: str = "") -> Ambient | None:
    """The span a `traceparent` names; None where it names none."""
    parts = text.strip().split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == "ff":
        return None
    try:
        _, trace_id, span_id, flags = [int(part, 16) for part in parts[:4]]
    except ValueError:
        return None
    return Ambient(trace_id, span_id, flags, tracestate) if trace_id and span_id else None
