"""What woven code calls when a call is more than a name and two clock readings.

The clock is asked of the site: libraries that freeze time replace every module's name for a clock by their own.

Capture, generators and coroutines, and exceptions. Every function here may be entered from the user's frame, so each
lets nothing of ours out: a failure switches the site off, says so once, and the call goes on. Nothing here imports
during a call: a `__del__` may be the last thing a process does, when there is no importing any more.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from gc import get_referents
from sys import modules

from autoscope.errors import OURS, from_a_signal, not_ours, notice
from autoscope.ours import keep_builtins
from autoscope.runtime import capture, context, sites
from autoscope.runtime.sites import Site, counters, switches
from autoscope.runtime.spans import (
    MOST_LEVELS,
    MOST_REPEATS,
    Clock,
    Details,
    ExceptionRecord,
    Frame,
    attributes_of,
    repeated,
)

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_set = context.set_current
_get = context.get

_GENERATORS = frozenset(("generator", "async_generator"))

MEASURED = 61
"""The cost of capture is measured on one call in so many; not a power of two, as the periods of programs are."""
MOST_FRAMES = 128
"""Lines of a stack trace kept; the middle of a longer one is left out."""
MOST_CAUSES = 8
"""Exceptions followed through `__cause__` and `__context__`."""
MOST_MEMBERS = 15
"""Exceptions of a group that are told; Python's own limit."""
MOST_EXCEPTIONS = 64
"""Exceptions told beside the one that left, causes and members together."""
MOST_NOTES = 32
MOST_TEXT = 4000
"""Characters of a message or a note."""
MOST_FAILURES = 16
"""Exceptions of one trace that are remembered at least."""


class Call:
    """One call in progress, where three values on the stack are not enough."""

    __slots__ = (
        "captured",
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
    """Whether it stands at a yield or an await, and what is current is its consumer's doing; still, where a signal's exception
    strikes before it is woken."""
    captured: list[Any] | None
    """See `capture.arguments`."""
    parent: Any
    """What was current before: put back while the call is suspended and when it ends."""
    first_parent: Any
    """The parent the span is recorded under: the one at the start."""


for _name in ("parent", "paused"):
    setattr(Call, "@" + _name, Call.__dict__[_name])  # as woven code asks for them: no name of a program's begins so


def begin(site: Site, arguments: tuple[Any, ...]) -> Call | None:
    """`enter`, for who is not woven in bytecode, with all that woven code does before it."""
    try:
        parent = site.get()
        if parent is None and switches.chance() >= switches.share:
            return leave_out(site)
    except RecursionError:
        return None
    return enter(site, arguments, parent)


def leave_out(site: Site) -> Call | None:
    """A trace that is decided against begins with a call that may be suspended: a `Call` with the mark as its span."""
    try:
        call = Call()
        call.site = site
        call.span = switches.mark()
        call.parent = call.first_parent = call.captured = None
        call.paused = False
        call.steps = 1
        call.running = 0
        counters.entered += 1
        call.start = call.resumed = 0
        _set(call.span)
        return call
    except RecursionError:
        return None
    except BaseException:  # a Ctrl-C, before the caller's own handler has begun
        _set(None)
        raise


def enter(site: Site, arguments: tuple[Any, ...], parent: Any) -> Call | None:
    """A call begins; None: it is not recorded, the author's body runs. `parent` is what was current."""
    try:
        if parent:
            span: Any = (parent[0], switches.next())
        else:
            span = switches.root(parent)
            if span is None:
                return None
        call = Call()
        call.site = site
        call.span = span
        call.parent = call.first_parent = parent
        call.paused = False
        call.steps = 1
        call.running = 0
        entered = counters.entered = counters.entered + 1
        if not arguments or not span:
            call.captured = None
        elif entered % MEASURED:
            call.captured = capture.arguments(site, arguments)
        else:
            began = Clock.thread_cpu()
            call.captured = capture.arguments(site, arguments)
            counters.capture_ns += (Clock.thread_cpu() - began) * MEASURED
        call.start = call.resumed = switches.clock()
        _set(span)
        return call
    except RecursionError:
        # The program is at its limit: there is no room even to say so, nor perhaps to put back what could not be set.
        try:
            _set(parent)
        except RecursionError:
            pass
        return None
    except Exception as error:
        _set(parent)
        broken(site, error)
        return None
    except BaseException:  # a Ctrl-C, before the caller's own handler has begun
        _set(parent)
        raise


def leave_plain(call: Call, result: Any) -> None:
    """`leave` for a plain function, as most are: the same in one, which a captured call is a fifth cheaper for."""
    site = call.site
    end = switches.clock()
    _set(call.parent)
    span = call.span
    if not span:
        return
    try:
        captured = call.captured
        if not site.capture.returns:
            details = None if captured is None else capture.details_of(captured)
        elif counters.entered % MEASURED:
            details = capture.returned(site, captured, result)
        else:
            began = Clock.thread_cpu()
            details = capture.returned(site, captured, result)
            counters.capture_ns += (Clock.thread_cpu() - began) * MEASURED
        switches.append((site, span[1], span[0], call.first_parent, call.start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def leave(call: Call, result: Any) -> None:
    """The call returned; its time ends before its result is looked at."""
    end = switches.clock()
    if not call.paused:
        _set(call.parent)
    if not call.span:
        return
    if call.site.capture.returns:
        captured_result(call, result)
    _record_return(call, end)


def captured_result(call: Call, result: Any) -> None:
    """Note what a call returns; a generator's return value is nobody's result."""
    site = call.site
    if site.kind == "generator" or site.kind == "async_generator" or not call.span:
        return
    try:
        if counters.entered % MEASURED:
            call.captured = capture.add_result(site, call.captured, result)
        else:
            began = Clock.thread_cpu()
            call.captured = capture.add_result(site, call.captured, result)
            counters.capture_ns += (Clock.thread_cpu() - began) * MEASURED
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def finish(call: Call, end: int) -> None:
    """A call that returned, at `end`, is recorded."""
    if not call.paused:
        _set(call.parent)
    if call.span:
        _record_return(call, end)


def _record_return(call: Call, end: int) -> None:
    site, span = call.site, call.span
    try:
        details: Any = None
        if call.steps > 1 or site.kind in _GENERATORS:
            details = capture.with_steps(site, call.captured, call.steps, call.running + end - call.resumed)
        elif call.captured is not None:
            details = capture.details_of(call.captured)
        switches.append((site, span[1], span[0], call.first_parent, call.start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def _captured(call: Call, end: int) -> dict[str, Any] | None:
    """What is told of it beside the exception that leaves it."""
    if call.steps > 1 or call.site.kind in _GENERATORS:
        return attributes_of(
            capture.with_steps(call.site, call.captured, call.steps, call.running + end - call.resumed)
        )
    details = None if call.captured is None else capture.details_of(call.captured)
    return None if details is None else attributes_of(details)


def suspend(call: Call) -> None:
    """It yields or awaits: until it is resumed its span is current for nobody."""
    if call.paused:
        return  # it was never woken: see `Call.paused`
    call.running += switches.clock() - call.resumed
    _set(call.parent)
    call.paused = True


def suspend_first(site: Site, span: Any, parent: Any, start: int) -> Call:
    """A coroutine that did without a `Call` so far is about to wait, and needs one from now on."""
    call = Call()
    call.site = site
    call.span = span
    call.parent = call.first_parent = parent
    call.captured = None
    call.paused = False
    call.steps = 1
    call.start = call.resumed = start
    call.running = switches.clock() - start if span else 0
    counters.entered += 1
    _set(parent)
    call.paused = True
    return call


def resume(call: Call) -> None:
    """It goes on, perhaps under another caller and in another context."""
    call.parent = _get()
    call.paused = False
    call.steps += 1
    _set(call.span)
    call.resumed = switches.clock()


def undo(parent: Any) -> None:
    """A signal's exception struck while a call was being left: only the context is put right."""
    _set(parent)


def undo_call(call: Call | None) -> None:
    """The same, for a call with a `Call`, or with None, which began a trace that is decided against."""
    if call is None:
        _set(None)
    elif not call.paused:
        _set(call.parent)


def mend(raised: BaseException, on_its_way: BaseException) -> None:
    """A signal's exception struck while another was being recorded: its traceback is made as if that had not been there.

    It begins with an entry for the woven frame, at instructions that have no line, and goes on with frames of ours.
    """
    try:
        entry, known = _traceback(raised), _traceback(on_its_way)
        if entry is None or known is None or entry.tb_frame is not known.tb_frame:
            return
        rest = entry.tb_next
        while rest is not None and rest.tb_frame.f_code.co_filename.startswith(OURS):
            rest = rest.tb_next
        _set_traceback(raised, type(entry)(rest, entry.tb_frame, known.tb_lasti, known.tb_lineno))
    except Exception as error:
        if not_ours(error) or "AUTOSCOPE_STRICT" in os.environ:
            raise


def fail(site: Site, span: Any, parent: Any, start: int, exception: BaseException) -> None:
    """An exception leaves a plain function that is recorded and has made its parent current again: at the limit of recursion we
    cannot be called."""
    try:
        end = switches.clock()
        trace = span[0]
        details = None if trace.failed is None else _seen(trace, exception)
        if details is None:
            details = outcome(site, trace, exception, end, None)
        switches.append((site, span[1], trace, parent, start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def fail_call(call: Call, exception: BaseException) -> None:
    """The same, for a call with a `Call`."""
    site = call.site
    try:
        end = switches.clock()
        if not call.paused:
            _set(call.parent)
        span = call.span
        if not span:
            return
        trace = span[0]
        attributes = _captured(call, end)
        details = None if trace.failed is None else _seen(trace, exception)
        if details is None:
            details = outcome(site, trace, exception, end, attributes)
        elif attributes:
            details = Details(details.error_type, details.error_message, None, attributes)
        switches.append((site, span[1], trace, call.first_parent, call.start, end, details))
    except RecursionError:
        return  # the program is at its limit: there is no room even to say so
    except Exception as error:
        broken(site, error)


def _seen(trace: Any, exception: BaseException) -> Details | None:
    """What is said of an exception that a span below has told already; None where that has to be found out.

    The way of an exception through many frames: nothing is made here but the entry that the next one looks for.
    """
    failed = trace.failed
    address = id(exception)
    known = failed.get(address)
    if known is None or known[4] is None:
        return None
    traceback = _traceback(exception)
    if traceback is None:
        return None
    entry, below = traceback.tb_next, known[0]
    while entry is not None and id(entry) != below:
        entry = entry.tb_next
    if entry is None or entry.tb_frame.f_code is not known[1] or entry.tb_lasti != known[5]:
        return None
    known[0], known[1], known[5] = id(traceback), traceback.tb_frame.f_code, traceback.tb_lasti
    if len(failed) > 1:  # the newest stands last
        failed.pop(address, None)
        failed[address] = known
    details: Details = known[4]
    return details


def outcome(
    site: Site, trace: Any, exception: BaseException, now: int, attributes: dict[str, Any] | None
) -> Details | None:
    """What a span says that an exception leaves; told in full where no span below has. `trace` remembers those that were seen."""
    if _control_flow(site, exception):
        if trace.failed:
            trace.failed.pop(
                id(exception), None
            )  # one that is gone had its address, and must not be taken for it further on
        return Details(attributes=attributes) if attributes else None
    traceback = _traceback(exception)
    name = capture.type_name(type(exception))
    known = _known(trace, exception, traceback)
    message, causes = (known[2], known[3]) if known is not None else (message_of(exception), None)
    recorded = None
    if causes is None and site.capture.exceptions:
        causes = {}
        recorded = _record(trace, exception, name, message, causes, now)
    if traceback is not None:
        # No reference to the exception, its traceback or a frame: two addresses and a code object that lives anyway.
        # Not only the last one: others come and go while this one is on its way, in a `finally` or in another task.
        failed = trace.failed
        if failed is None:
            failed = trace.failed = {}
        elif len(failed) >= 2 * MOST_FAILURES:
            # Of a copy: other threads may be at it.
            failed = trace.failed = dict(list(failed.copy().items())[-MOST_FAILURES:])
        failed.pop(id(exception), None)
        # What all further spans say of it, where that is no question of which function it leaves.
        further = None
        if causes is not None and not issubclass(type(exception), AttributeError):
            further = Details(name, message)
        seen_by = traceback.tb_frame.f_code
        failed[id(exception)] = [id(traceback), seen_by, message, causes, further, traceback.tb_lasti]
    return Details(error_type=name, error_message=message, exception=recorded, attributes=attributes)


def _known(trace: Any, exception: BaseException, traceback: Any) -> Any:
    """What is remembered of this exception if a span below saw it on its way here, else None.

    Addresses are used again once free, so the traceback entry must also lie below this frame and belong to
    the function that saw it, at the same instruction: a call that is left out runs in another part of the code.
    Each function looks only as far down as the last one, so the whole is linear.
    """
    failed = trace.failed
    known = None if failed is None else failed.get(id(exception))
    if known is not None and traceback is not None:
        address = known[0]
        entry = traceback.tb_next
        while entry is not None:
            if id(entry) == address:
                return known if entry.tb_frame.f_code is known[1] and entry.tb_lasti == known[5] else None
            entry = entry.tb_next
    return None


# What every exception has, asked past what a class of the program's may have put before it.
_traceback = BaseException.__dict__["__traceback__"].__get__
_set_traceback = BaseException.__dict__["__traceback__"].__set__
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_suppress_context = BaseException.__dict__["__suppress_context__"].__get__
_exit_code = SystemExit.__dict__["code"].__get__
_exceptions = BaseExceptionGroup.__dict__["exceptions"].__get__
_SYNTAX = tuple(
    [
        SyntaxError.__dict__[name].__get__
        for name in ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")
    ]
)
_MORE_TO_TELL = (SyntaxError, BaseExceptionGroup)
_ORDINARY = (StopIteration, StopAsyncIteration, GeneratorExit)


def _control_flow(site: Site, exception: BaseException) -> bool:
    """Whether this exception is how Python says something ordinary."""
    kind = type(exception)
    if issubclass(kind, _ORDINARY):
        return True
    if issubclass(kind, AttributeError):
        return site.qualname.endswith(("__getattr__", "__getattribute__"))
    if issubclass(kind, SystemExit):
        code = _exit_code(exception)
        return code is None or (issubclass(type(code), int) and int.__eq__(code, 0))
    # Of the standard library: a class of the program's may have that name too, and mean an order.
    for name in ("asyncio.exceptions", "concurrent.futures._base"):
        # Perhaps it is being imported this moment, and has no such class yet.
        cancelled = getattr(modules.get(name), "CancelledError", None)
        if type(cancelled) is type and issubclass(kind, cancelled):
            return True
    return False


def message_of(exception: BaseException) -> str:
    """`str(exception)`, cut; a `__str__` that fails is named instead.

    The program did not ask for it: what it calls is no part of the trace, and what it keeps in the exception, as some keep
    the text once made, is taken out again.
    """
    before = _get()
    _set(context.Unsampled())
    try:
        if not _has_own_str(type(exception)):
            return str.__getitem__(str(exception), _TEXT)
        kept = _attributes(exception)
        saved = {} if kept is None else kept.copy()
        try:
            return str.__getitem__(str(exception), _TEXT)
        finally:
            kept = kept if kept is not None else _attributes(exception)
            if kept is not None and not _same(kept, saved):
                kept.clear()
                kept.update(saved)
    except BaseException as error:
        # A Ctrl-C has no handler's frame to be known by.
        if issubclass(type(error), KeyboardInterrupt) or from_a_signal(error):
            raise
        return f"<{capture.type_name(type(exception))}.__str__ raised {capture.type_name(type(error))}>"
    finally:
        _set(before)


_TEXT = slice(MOST_TEXT)
_mro = type.__dict__["__mro__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_instance = BaseException.__dict__["__dict__"].__get__


def _has_own_str(kind: type) -> bool:
    """Whether `str` of such an exception is a function of the program's."""
    for base in _mro(kind):
        if base is BaseException:
            return False
        if "__str__" in _namespace(base):
            return type(_namespace(base)["__str__"]) is not _SLOT
    return False


_SLOT = type(BaseException.__str__)


def _attributes(exception: BaseException) -> dict[str, Any] | None:
    """Its `__dict__`, where it has one: to ask for it would make one, as `__reduce__` and `pickle` would show."""
    for part in get_referents(exception):
        if type(part) is dict:
            found: dict[str, Any] = _instance(exception)
            return found
    return None


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return len(one) == len(other) and all(other.get(name, other) is value for name, value in one.copy().items())


def _record(
    trace: Any, exception: BaseException, name: str, message: str, causes: dict[int, str], now: int
) -> ExceptionRecord:
    """With all that Python's own stack trace tells: causes, and the members of groups, in the order in which it looks.

    `causes` is filled with the addresses and messages of those, which live as long as it does.
    """
    record = _told(exception, name, message, now)
    cause = _cause(exception)
    if cause is None and record.members is None and _context(exception) is None:
        return record
    seen = {id(exception)}
    left = MOST_EXCEPTIONS

    def tell(other: BaseException) -> ExceptionRecord:
        nonlocal left
        left -= 1
        seen.add(id(other))
        address = id(other)
        known = _known(trace, other, _traceback(other))
        if known is not None:
            causes.update(known[3] or {})
            message = known[2]
        else:
            message = causes[address] if address in causes else message_of(other)
        causes[address] = message
        return _told(other, capture.type_name(type(other)), message, now)

    # An exception, how many causes it may still have, and how deep in groups it lies (as Python counts).
    work = [(record, exception, MOST_CAUSES, 0)]
    while work and left:
        told, error, further, level = work.pop()
        cause = _cause(error)
        explicit = cause is not None and id(cause) not in seen
        if not explicit:
            cause = None if _suppress_context(error) else _context(error)
        if cause is not None and id(cause) not in seen and further:
            told.cause = tell(cause)
            told.explicit = explicit
            work.append((told.cause, cause, further - 1, level))
        if told.more and level <= MOST_LEVELS:
            level = level + 1 if level else 2
            members = _exceptions(error)[: min(MOST_MEMBERS, left)]
            told.members = tuple([tell(member) for member in members])
            told.more -= len(members)
            work += [(one, member, MOST_CAUSES, level) for one, member in zip(told.members, members, strict=True)]
    return record


def _told(exception: BaseException, name: str, message: str, now: int) -> ExceptionRecord:
    """What one exception has of its own."""
    record = ExceptionRecord(name, message, _frames(exception), now)
    for part in get_referents(exception):  # see `_attributes`
        if type(part) is dict and "__notes__" in part:
            record.notes = _notes(part["__notes__"])
    kind = type(exception)
    if issubclass(kind, _MORE_TO_TELL):
        if issubclass(kind, SyntaxError):
            said, *where = [field(exception) for field in _SYNTAX]
            said = said if said is None or type(said) is str else message
            record.syntax = tuple([_plain(value) for value in (said, *where)])
        else:
            record.members = ()
            record.more = len(_exceptions(exception) or ())
    return record


def _notes(notes: Any) -> tuple[str, ...]:
    """The program may have put anything there, of which nothing is asked."""
    if type(notes) is not list and type(notes) is not tuple:
        return ()
    return tuple(
        [note[:MOST_TEXT] if type(note) is str else f"<{capture.type_name(type(note))}>" for note in notes[:MOST_NOTES]]
    )


def _plain(value: Any) -> str | int | None:
    if type(value) is str:
        return value[:MOST_TEXT]
    return value if type(value) is int and -(1 << 31) < value < 1 << 31 else None


def _frames(exception: BaseException) -> tuple[Frame | str, ...]:
    entry = _traceback(exception)
    if entry is not None and entry.tb_next is None:
        return ((entry.tb_frame.f_code, entry.tb_lineno, entry.tb_lasti),)
    entries = []
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    if len(entries) > MOST_FRAMES:
        return _shortened(entries)
    return tuple([(entry.tb_frame.f_code, entry.tb_lineno, entry.tb_lasti) for entry in entries])


def _shortened(entries: list[TracebackType]) -> tuple[Frame | str, ...]:
    """Repeated lines counted, as Python does it, and the middle left out of what is still too long."""
    frames: list[Frame | str] = []
    before: Any = None
    again = 0
    for entry in entries:
        code, lasti = entry.tb_frame.f_code, entry.tb_lasti
        # The line is looked up by counting from the function's first: not for each round of a recursion.
        same = before is not None and code is before[0] and lasti == before[2]
        this = before if same else (code, entry.tb_lineno, lasti)
        if before is not None and (same or _same_line(this, before)):
            again += 1
        else:
            if again >= MOST_REPEATS:
                frames.append(repeated(again - MOST_REPEATS + 1))
            again = 0
        if again < MOST_REPEATS:
            frames.append(this)
        before = this
    if again >= MOST_REPEATS:
        frames.append(repeated(again - MOST_REPEATS + 1))
    if len(frames) <= MOST_FRAMES:
        return tuple(frames)
    half = MOST_FRAMES // 2
    return (*frames[:half], f"  [{len(frames) - MOST_FRAMES} lines left out]\n", *frames[-half:])


def _same_line(one: Frame, other: Frame) -> bool:
    return (
        one[1] == other[1]
        and str.__eq__(one[0].co_filename, other[0].co_filename)
        and str.__eq__(one[0].co_name, other[0].co_name)
    )


def broken(site: Site, error: Exception) -> None:
    """Our own failure: this site is switched off, once and for all; the user's call goes on.

    What a signal handler of the program's raised meanwhile goes on its way.
    """
    if type(error) is MemoryError:
        return  # the program's limit, as that of recursion: no failure of ours, and no moment to speak
    if not_ours(error) or "AUTOSCOPE_STRICT" in os.environ:
        raise error
    sites.disarm(site)
    notice("site-disabled", f"{site.name}: {type(error).__name__}: {error}; this function is no longer traced")


_costs: tuple[int, int, int] | None = None


def costs() -> tuple[int, int, int]:
    """Nanoseconds a recorded call costs here, lean and with a `Call` (capture apart), and what beginning a trace adds.

    Measured once, in a millisecond; medians of five.
    """
    global _costs
    if _costs is None:
        lean, full, root = [sorted([measure() for _ in range(5)])[2] for measure in (_lean, _full, _root)]
        _costs = lean, full, root
    return _costs


def empty() -> tuple[int, int]:
    """Nanoseconds a recorded call shows of a function that does nothing, lean and with a `Call`: the last ones of a burst, as of those of
    the program's that are looked at. Some 50 microseconds."""
    shown: tuple[list[int], list[int]] = [], []
    clock, get, put = Clock.now, _stand_in.get, _stand_in.set
    for number in range(_WARM):
        parent = get()
        span = (parent, number)
        begun = clock()
        put(span)
        shown[0].append(clock() - begun)
        put(parent)
    for number in range(_WARM):
        call = _begin_nothing(number)
        if call is not None:
            shown[1].append(_end_nothing(call, None))
    lean, full = [sorted(some[_WARM // 2 :])[_WARM // 4] for some in shown]
    return lean, full


_WARM = 64
"""Calls until all is at hand in the processor, and as many again that are looked at, in a thread that has just been woken."""


def _begin_nothing(number: int) -> Call | None:
    """As `enter`."""
    parent = _stand_in.get()
    call = Call()
    call.span, call.parent = (parent, number), parent
    call.start = call.resumed = switches.clock()
    _stand_in.set(call.span)
    return call


def _end_nothing(call: Call, result: Any) -> int:
    """As `leave_plain`."""
    start = call.start
    end = switches.clock()
    _stand_in.set(call.parent)
    return end - start


_ROUNDS = 100
_stand_in: ContextVar[Any] = ContextVar("autoscope.costs", default=None)
"""Set in place of the one that counts: what the program does meanwhile (a `__del__`, a signal's handler) has no part in this."""


def _lean() -> int:
    """What woven code does in place, from the same primitives."""
    clock, get, put = Clock.now, _stand_in.get, _stand_in.set
    kept: list[Any] = []
    started = clock()
    for number in range(_ROUNDS):
        parent = get()
        span = (parent, number)
        begun = clock()
        put(span)
        kept.extend((kept, number, span, parent, begun, clock(), None))
        put(parent)
    return (clock() - started) // _ROUNDS


def _root() -> int:
    """What `sampling.root` does, for traces that nobody will see."""
    clock, root = Clock.now, switches.root
    started = clock()
    for _ in range(_ROUNDS):
        root(None)
    taken = (clock() - started) // _ROUNDS
    counters.roots = max(counters.roots - _ROUNDS, 0)
    return taken


def _full() -> int:
    """What it does with a `Call`, which two functions of ours make and read."""
    clock, get, put = Clock.now, _stand_in.get, _stand_in.set
    kept: list[Any] = []
    site = Site()

    def begin(number: int) -> Call:
        call = Call()
        call.site, call.parent, call.first_parent = site, get(), None
        call.span = (call.parent, number)
        call.paused, call.steps, call.running, call.captured = False, 1, 0, None
        call.start = call.resumed = clock()
        put(call.span)
        return call

    def end(call: Call) -> None:
        ended = clock()
        put(call.parent)
        kept.extend((call.site, call.span[1], call.span[0], call.first_parent, call.start, ended, call.captured))

    started = clock()
    for number in range(_ROUNDS):
        end(begin(number))
    return (clock() - started) // _ROUNDS


switches.enter = enter
switches.leave_out = leave_out
switches.leave = leave
switches.leave_plain = leave_plain
switches.suspend = suspend
switches.suspend_first = suspend_first
switches.resume = resume
switches.undo = undo
switches.undo_call = undo_call
switches.mend = mend
switches.fail = fail
switches.fail_call = fail_call
