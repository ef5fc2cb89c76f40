"""The two meeting points with OpenTelemetry in the same process: its current context, and the application's own provider.

Imported only once the program itself has imported `opentelemetry`. `RuntimeContext` makes OpenTelemetry keep its current
context in the variable the call path uses: a span opened by hand inside a woven function has that function's span
as parent, and the reverse, and what propagators send is true. An OpenTelemetry `Context` is only built when somebody
asks for one.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context, _RuntimeContext

from autoscope.errors import notice
from autoscope.ours import keep_builtins
from autoscope.runtime import sampling, sites
from autoscope.runtime.context import UNSAMPLED, Attached, Unsampled, current
from autoscope.runtime.spans import Record, Trace, Undecided, epoch_offset, opened

keep_builtins(globals())

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry import trace as otel

_EMPTY = Context()
FLUSH_SECONDS = 5.0


# Not at the top: as an entry point this module is loaded while `opentelemetry.context` is in the middle of loading.
@functools.cache
def _otel() -> Any:
    from opentelemetry import trace

    return trace


@functools.cache
def _span_key() -> str:
    from opentelemetry.trace import propagation

    return propagation._SPAN_KEY


@functools.cache
def _suppress_key() -> str:
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

    return _SUPPRESS_INSTRUMENTATION_KEY


class RuntimeContext(_RuntimeContext):
    """OpenTelemetry's current context, kept in our variable; entry point `autoscope` of `opentelemetry_context`."""

    def __init__(self, before: Any = None) -> None:
        self.before = before
        """The runtime context in use until now: tokens it handed out are still its own."""

    def attach(self, context: Context) -> Token[Any]:
        return current.set(attached(context))

    def get_current(self) -> Context:
        value = current.get()
        if value is None:
            theirs = self.before.get_current() if self.before is not None else _EMPTY
            now = sampling.ambient
            if theirs or now is None or not now.trace_id:
                return theirs
            value = now.trace(), now.span_id
        if type(value) is Attached:
            return value.context  # type: ignore[no-any-return]
        if value:
            under = value[0].context
            span: otel.Span = _otel().NonRecordingSpan(span_context(value[0], value[1]))
            if sampling.shown is not None:
                sampling.shown(value[1])
        elif type(value) is Unsampled:
            under = value.context
            span = _otel().NonRecordingSpan(_unsampled(value))
        else:
            return _EMPTY
        entries = dict(under) if under is not None else {}
        entries[_span_key()] = span
        return Context(entries)

    def detach(self, token: Token[Any]) -> None:
        if token.var is current:
            current.reset(token)
        elif self.before is not None:
            self.before.detach(token)


def attached(context: Context) -> Attached:
    """What the variable holds while OpenTelemetry code has made `context` current."""
    span = context.get(_span_key())
    parent = span.get_span_context() if isinstance(span, _otel().Span) else None
    if context.get(_suppress_key()):
        # An exporter of the program's at work: what it calls is not to be traced.
        value = Attached()
        value.sampled = False
    elif parent is None or not parent.is_valid:
        value = Attached()
        value.sampled = None
    elif not parent.trace_flags.sampled:
        # Where that is so because our trace may be left out, later, our calls below their span are recorded, under our own.
        value = Attached()
        value.sampled = False
        now = _undecided(parent)
        if now is not None:
            value = Attached((sampling.below(now[0], now[1], context), now[1]))
            value.sampled = True
    elif (now := _undecided(parent)) is not None:
        value = Attached((sampling.below(now[0], parent.span_id, context), parent.span_id))
        value.sampled = True
    else:
        trace = Trace(
            parent.trace_id,
            remote_parent=parent.span_id,
            tracestate=parent.trace_state.to_header() if parent.trace_state else "",
            flags=int(parent.trace_flags),
            context=context,
        )
        # Where it is attached is where it is followed; a thread that is handed a copy of the context makes no sign.
        trace.thread_id, trace.thread_name = sampling.this_thread()
        value = Attached((trace, parent.span_id))
        value.sampled = True
    value.context = context
    return value


def _undecided(parent: Any) -> Any:
    """The span of ours that is current, where its trace is decided late and a span of theirs belongs to it; else None."""
    now = current.get()
    return now if now and type(now[0]) is Undecided and now[0].trace_id == parent.trace_id else None


def span_context(trace: Trace, span_id: int, is_remote: bool = False) -> Any:
    """A span of this trace as OpenTelemetry names it."""
    state = _otel().TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    return _otel().SpanContext(trace.trace_id, span_id, is_remote, _otel().TraceFlags(trace.flags), state)


def _unsampled(mark: Unsampled) -> Any:
    if mark is UNSAMPLED:
        # Of a trace that began before anybody could ask: from now on it has a mark of its own here.
        mark = Unsampled()
        if current.get() is UNSAMPLED:
            current.set(mark)
    if not mark.span_id:
        mark.trace_id = sampling.left_out_id()
        mark.span_id = sites.random.getrandbits(62) | 1
    return _otel().SpanContext(mark.trace_id, mark.span_id, False, _otel().TraceFlags(2))


def take_over(module: ModuleType | None = None) -> None:
    """Make OpenTelemetry's context ours, now that `opentelemetry.context` is loaded. Safe to call again.

    `module` is that, where it has been loaded this moment, so that nobody can have made anything current.
    """
    from opentelemetry import context as api

    before = api._RUNTIME_CONTEXT
    if isinstance(before, RuntimeContext):
        return
    api._RUNTIME_CONTEXT = RuntimeContext(before)

    def foreign() -> Attached | None:
        context = before.get_current()
        return attached(context) if context else None

    sampling.set_foreign(foreign if module is None else None)
    sites.ask_for(True)


def give_back() -> None:
    """Undo `take_over`."""
    api = sys.modules.get("opentelemetry.context")
    if api is not None and isinstance(api.__dict__["_RUNTIME_CONTEXT"], RuntimeContext):
        before = api.__dict__["_RUNTIME_CONTEXT"].before
        if before is not None:
            api.__dict__["_RUNTIME_CONTEXT"] = before
    sampling.set_foreign(None)
    sites.ask_for(False)
    sdk = sys.modules.get("opentelemetry.sdk.trace")
    if sdk is not None:
        for name, theirs in _theirs.items():
            setattr(sdk.TracerProvider, name, theirs)
    _theirs.clear()


def application_provider() -> Any:
    """The SDK `TracerProvider` the application has set, None if it has set none."""
    provider = _otel()._TRACER_PROVIDER
    return provider if hasattr(provider, "_active_span_processor") and hasattr(provider, "resource") else None


_ENDS = ("force_flush", "shutdown")
_theirs: dict[str, Any] = {}
"""The SDK's own methods, while ours stand before them."""


_over: weakref.WeakSet[Any] = weakref.WeakSet()
"""Providers that were shut down: they take nothing more, and complain when asked."""


def flush_before(flush: Callable[[float], object]) -> None:
    """What we have buffered reaches the application's provider before it is flushed or shut down, at exit above all:

    the SDK's handler runs before ours, and a provider that was shut down takes nothing more.
    """
    from opentelemetry.sdk.trace import TracerProvider

    for name in _ENDS:
        theirs = _theirs.setdefault(name, getattr(TracerProvider, name))
        setattr(TracerProvider, name, _after(flush, theirs))


def _after(flush: Callable[[float], object], theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def ours(provider: Any, *args: Any, **kwargs: Any) -> Any:
        if provider is application_provider() and not Bridge.flushing:
            flush(FLUSH_SECONDS)
        if theirs.__name__ == "shutdown":
            _over.add(provider)
        return theirs(provider, *args, **kwargs)

    return ours


class Bridge:
    """Hands our spans to the span processors of the application's own provider, with its resource."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        from autoscope import __version__

        self.provider = provider
        self.scope = InstrumentationScope("autoscope", __version__)
        self.exported = 0
        self.dropped = 0

    flushing = False

    def export(self, records: list[Record]) -> None:
        if self.provider in _over:
            self.dropped += len(records)
            return
        processor = self.provider._active_span_processor
        for record in records:
            try:
                processor.on_end(self.readable(record))
                self.exported += 1
            except Exception as error:
                self.dropped += 1
                notice("processor-failed", f"a span processor of the program's raised {type(error).__name__}: {error}")

    def readable(self, record: Record) -> Any:
        """One record as the SDK's `ReadableSpan`."""
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import SpanKind, Status, StatusCode

        from autoscope.export import wire

        site, span_id, trace, parent, start, end, told = record
        details = opened(told)
        offset = epoch_offset()
        outside = wire.begins_here(parent)
        attributes = wire.site_attributes(site) | wire.own_attributes(
            trace if outside else None, details, sites.share_of(site, start)
        )
        events = []
        status = Status(StatusCode.UNSET)
        if details is not None:
            if details.error_type:
                status = Status(StatusCode.ERROR, details.error_message)
            exception = details.exception
            if exception is not None:
                events.append(Event("exception", wire.exception_attributes(exception), exception.time + offset))
        above = None
        parent_id = parent[1] if parent else trace.remote_parent
        if parent_id:
            above = span_context(trace, parent_id, outside and bool(wire.parent_is_remote(trace)))
        return ReadableSpan(
            name=site.name,
            context=span_context(trace, span_id),
            parent=above,
            resource=self.provider.resource,
            attributes=attributes,
            events=events,
            kind=SpanKind.INTERNAL,
            status=status,
            start_time=start + offset,
            end_time=end + offset,
            instrumentation_scope=self.scope,
        )

    def close(self, deadline_seconds: float) -> None:
        """The provider is the application's: it is flushed, not shut down."""
        if self.provider in _over:
            return
        Bridge.flushing = True
        try:
            self.provider.force_flush(int(deadline_seconds * 1000))
        except Exception as error:
            notice("processor-failed", f"the program's TracerProvider raised {type(error).__name__}: {error}")
        finally:
            Bridge.flushing = False

    def after_fork(self) -> None:
        self.exported = self.dropped = 0
