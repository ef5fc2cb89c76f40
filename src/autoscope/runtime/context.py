"""Which span is current: one context variable, shared by the call path and OpenTelemetry's own context.

What the variable holds decides what a woven call does, by one truth test:

- a non-empty tuple, `(trace, span_id)`: a recorded span is current, calls become its children;
- `None` or an empty tuple: no recorded span is current, `sampling.root` looks closer.

`Attached` is what OpenTelemetry code made current; it keeps the `Context` it came with.
"""

from __future__ import annotations

from contextvars import ContextVar

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

current: ContextVar[Any] = ContextVar("autoscope.current", default=None)
get = current.get
set_current = current.set


class Unsampled(tuple[()]):
    """Current in a trace that was decided against: falsy, so nothing below it is recorded.

    OpenTelemetry code that asks gets a valid, unsampled span context, so that services further on decide alike.
    """

    trace_id: int = 0
    span_id: int = 0
    """Both made when they are asked for."""
    context: Any = None


UNSAMPLED = Unsampled()
"""The mark of every such trace while nobody can ask for its ids."""
THINNED = Unsampled()
"""What a thinned site's `get` answers when this call is left out; the current span stays as it is."""


class Attached(tuple[object, ...]):
    """Current is what OpenTelemetry code attached: `(trace, span_id)` of its recorded span, else empty."""

    context: Any
    sampled: bool | None
    """False where its span says "not sampled", None where it has no span."""
