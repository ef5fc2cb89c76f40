"""What woven code calls when a call is more than a name and two clock readings.

The clock is asked of the site: libraries that freeze time replace every module's name for a clock by their own.

Capture, generators and coroutines, and exceptions. Every function here may be entered from the user's frame, so each
lets nothing of ours out: a failure switches the site off, says so once, and the call goes on. Nothing here imports
during a call: a `__del__` may be the last thing a process does, when there is no importing any more.
"""

from __future__ import annotations

import os

# Ours from here on: a program may replace its builtins, and does in tests.
from builtins import any, id, isinstance, len, min, range, type

from autoscope.errors import notice
from autoscope.runtime import capture, context
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Clock, Details, ExceptionRecord, Frame

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

_set = context.set_current
_get = context.get

_SUSPENDING = frozenset(("generator", "coroutine", "async_generator"))

MOST_FRAMES = 128
"""Lines of a stack trace kept; the middle of a longer one is left out."""
MOST_CAUSES = 8
"""Exceptions followed through `__cause__` and `__context__`."""


class Call:
    """One call in progress, where three values on the stack are not enough."""

    __slots__ = (
        "attributes",
        "first_parent",
        "parent",
        "paused",
        "resumed",
        "running",
        "site",
        "span",
        "start",
        "steps",
    )

    site: Site
    span: Any
    start: int
    resumed: int
    running: int
    """Nanoseconds it ran itself, up to `resumed`."""
    steps: int
    paused: bool
    """Whether it stands at a yield; only kept for functions woven from source."""
    attributes: dict[str, Any] | None
    parent: Any
    """What was current before: put back while the call is suspended and when it ends."""
    first_parent: Any
    """The parent the span is recorded under: the one at the start."""


def enter(site: Site, arguments: tuple[Any, ...]) -> Call | None:
    """A call begins; None: it is not recorded, the author's body runs."""
    parent = site.get()
    try:
        if parent:
            span: Any = (parent[0], site.next())
        else:
            span = site.root(parent)
            if span is None:
                return None
        call = Call()
        call.site = site
        call.span = span
        call.parent = call.first_parent = parent
        call.paused = False
        call.steps = 1
        call.running = 0
        call.attributes = None
        if arguments and span:
            call.attributes = capture.arguments(site, arguments)
        call.start = call.resumed = site.clock()
        _set(span)
        return call
    except RecursionError:
        # The program is at its limit: there is no room even to say so.
        _set(parent)
        return None
    except Exception as error:
        broken(site, error)
        _set(parent)
        return None


def leave(call: Call, result: Any) -> None:
    """The call returned."""
    if call.span and call.site.capture.returns:
        captured_result(call, result)
    finish(call)


def captured_result(call: Call, result: Any) -> None:
    """Note what a call returns; a generator's return value is nobody's result."""
    site = call.site
    if site.kind == "generator" or site.kind == "async_generator" or not call.span:
        return
    try:
        if call.attributes is None:
            call.attributes = {}
        call.attributes["autoscope.return"] = capture.render(result, site.qualname)
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def finish(call: Call) -> None:
    """A call that returned is recorded."""
    end = call.site.clock()
    _set(call.parent)
    if not call.span:
        return
    site = call.site
    try:
        attributes = call.attributes
        if site.kind in _SUSPENDING:
            attributes = _steps(call, end, attributes)
        details = Details(attributes=attributes) if attributes else None
        site.append((site, call.span, call.first_parent, call.start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def _steps(call: Call, end: int, attributes: dict[str, Any] | None) -> dict[str, Any] | None:
    """How often it was resumed and how long it ran itself; for a coroutine only if it was ever suspended."""
    kind = call.site.kind
    if kind == "coroutine" and call.steps == 1:
        return attributes
    word = "coroutine" if kind == "coroutine" else "generator"
    attributes = {} if attributes is None else attributes
    attributes[f"autoscope.{word}.steps"] = call.steps
    attributes[f"autoscope.{word}.running_ns"] = call.running + end - call.resumed
    return attributes


def suspend(call: Call) -> None:
    """It yields or awaits: until it is resumed its span is current for nobody."""
    call.running += call.site.clock() - call.resumed
    _set(call.parent)


def resume(call: Call) -> None:
    """It goes on, perhaps under another caller and in another context."""
    call.parent = _get()
    call.steps += 1
    _set(call.span)
    call.resumed = call.site.clock()


def undo_lean(parent: Any) -> None:
    """A signal's exception struck while a call was being left: only the context is put right."""
    _set(parent)


def undo_full(call: Call) -> None:
    """The same, for a call with a `Call`."""
    _set(call.parent)


def fail(site: Site, span: Any, parent: Any, start: int, exception: BaseException) -> None:
    """An exception leaves a plain function."""
    end = site.clock()
    _set(parent)
    if not span:
        return
    try:
        site.append((site, span, parent, start, end, _outcome(site, span, exception, end, None)))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def fail_call(call: Call, exception: BaseException) -> None:
    """The same, for a call with a `Call`."""
    end = call.site.clock()
    _set(call.parent)
    if not call.span:
        return
    site = call.site
    try:
        attributes = call.attributes
        if site.kind in _SUSPENDING:
            attributes = _steps(call, end, attributes)
        details = _outcome(site, call.span, exception, end, attributes)
        site.append((site, call.span, call.first_parent, call.start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def _outcome(
    site: Site, span: Any, exception: BaseException, now: int, attributes: dict[str, Any] | None
) -> Details | None:
    if _control_flow(site, exception):
        return Details(attributes=attributes) if attributes else None
    kind = type(exception)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    trace = span[0]
    traceback = exception.__traceback__
    recorded = None
    message = _known_message(trace, exception, traceback)
    if message is None:
        message = message_of(exception)
        if site.capture.exceptions:
            recorded = _record(exception, name, message, now)
    if traceback is not None:
        # No reference to the exception, its traceback or a frame: two addresses and a code object that lives anyway.
        trace.failed = (id(exception), id(traceback), traceback.tb_frame.f_code, message)
    return Details(error_type=name, error_message=message, exception=recorded, attributes=attributes)


def _known_message(trace: Any, exception: BaseException, traceback: Any) -> str | None:
    """The message of this exception if a span below recorded it on its way here, else None.

    Addresses are used again once free, so the traceback entry must also lie below this frame and belong to
    the function that recorded it; each function looks only as far down as the last one, so the whole is linear.
    """
    failed = trace.failed
    if failed is None or failed[0] != id(exception) or traceback is None:
        return None
    below = traceback.tb_next
    while below is not None:
        if id(below) == failed[1]:
            return failed[3] if below.tb_frame.f_code is failed[2] else None
        below = below.tb_next
    return None


def _control_flow(site: Site, exception: BaseException) -> bool:
    """Whether this exception is how Python says something ordinary."""
    if isinstance(exception, (StopIteration, StopAsyncIteration, GeneratorExit)):
        return True
    if isinstance(exception, AttributeError):
        return site.qualname.endswith(("__getattr__", "__getattribute__"))
    if isinstance(exception, SystemExit):
        return exception.code is None or exception.code == 0
    return any(kind.__name__ == "CancelledError" for kind in type(exception).__mro__)


def message_of(exception: BaseException) -> str:
    """`str(exception)`, cut to 4,000 characters; a `__str__` that fails is named instead."""
    try:
        return str(exception)[:4000]
    except Exception as error:
        return f"<{type(exception).__name__}.__str__ raised {type(error).__name__}>"


def _record(exception: BaseException, name: str, message: str, now: int) -> ExceptionRecord:
    seen = {id(exception)}
    record = ExceptionRecord(name, message, _frames(exception), now)
    below = record
    for _ in range(MOST_CAUSES):
        cause = exception.__cause__
        explicit = cause is not None
        if cause is None and not exception.__suppress_context__:
            cause = exception.__context__
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        kind = type(cause)
        cause_name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        below.cause = ExceptionRecord(cause_name, message_of(cause), _frames(cause), now)
        below.explicit = explicit
        below, exception = below.cause, cause
    return record


def _frames(exception: BaseException) -> tuple[Frame, ...]:
    frames = []
    entry = exception.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        frames.append(Frame(code.co_filename, entry.tb_lineno, code.co_name))
        entry = entry.tb_next
    if len(frames) > MOST_FRAMES:
        half = MOST_FRAMES // 2
        left_out = Frame(f"<{len(frames) - MOST_FRAMES} frames left out>", 0, "…")
        frames = [*frames[:half], left_out, *frames[-half:]]
    return tuple(frames)


def broken(site: Site, error: Exception) -> None:
    """Our own failure: this site is switched off, once and for all; the user's call goes on."""
    if "AUTOSCOPE_STRICT" in os.environ:
        raise error
    site.armed = False
    notice("site-disabled", f"{site.name}: {type(error).__name__}: {error}; this function is no longer traced")


_cost: int | None = None


def cost_of_a_record() -> int:
    """Nanoseconds a recorded call costs here, measured once with the same primitives in under a millisecond."""
    global _cost
    if _cost is None:
        clock = Clock.now
        kept: list[Any] = []
        before = _get()
        rounds = 200
        best = 1 << 62
        for _ in range(5):
            started = clock()
            for number in range(rounds):
                parent = _get()
                span = (parent, number)
                begun = clock()
                _set(before)
                kept.append((kept, span, parent, begun, clock(), None))
                _set(before)
            best = min(best, clock() - started)
            kept.clear()
        _cost = best // rounds
    return _cost
