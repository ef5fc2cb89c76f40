"""What a recorded call is made of: plain values that pass from the call path to the exporters.

The record itself is a tuple, because a tuple is the cheapest thing to make: see `Record`.
"""

from __future__ import annotations

import time

from autoscope.ours import keep_builtins

keep_builtins(globals())


TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from autoscope.runtime.sites import Site


class Clock:
    """The clocks as they were when we were imported: a program that patches or freezes time neither breaks us nor is asked by us.

    In a class, because what freezes time replaces the clocks it finds among the names of every loaded module.
    """

    epoch_offset = time.time_ns() - time.perf_counter_ns()
    now = staticmethod(time.perf_counter_ns)
    monotonic = staticmethod(time.monotonic)
    thread_cpu = staticmethod(time.thread_time_ns)
    process_cpu = staticmethod(time.process_time_ns)
    sleep = staticmethod(time.sleep)
    time = staticmethod(time.time)


def epoch_offset() -> int:
    """Nanoseconds to add to a record's `start` or `end` to get Unix time."""
    return Clock.epoch_offset


class Trace:
    """One trace as this process sees it: what all of its spans share."""

    __slots__ = (
        "__weakref__",
        "context",
        "failed",
        "flags",
        "remote_parent",
        "thread_id",
        "thread_name",
        "trace_id",
        "tracestate",
    )

    trace_id: int
    """128 random bits (samplers rely on their randomness)."""
    remote_parent: int
    """Span id of the parent in another process or another tracer, 0 if this trace begins here."""
    tracestate: str
    """W3C tracestate, with OpenTelemetry's `ot=th:…` where this process decided the sampling."""
    flags: int
    """W3C trace flags: 1 sampled, 2 random trace id."""
    thread_id: int
    thread_name: str
    context: Any
    """The OpenTelemetry `Context` the trace was started under (baggage and the like), or None."""
    failed: dict[int, list[Any]] | None
    """Exceptions seen on their way out, newest last, by id: [id of the traceback entry, code object, message, messages of its
    causes and members by their ids, or None where it was not recorded, `Details` of every further span]. No reference."""

    def __init__(
        self,
        trace_id: int,
        remote_parent: int = 0,
        tracestate: str = "",
        flags: int = 3,
        thread_id: int = 0,
        thread_name: str = "",
        context: Any = None,
    ) -> None:
        self.trace_id = trace_id
        self.remote_parent = remote_parent
        self.tracestate = tracestate
        self.flags = flags
        self.thread_id = thread_id
        self.thread_name = thread_name
        self.context = context
        self.failed = None


class Undecided(Trace):
    """A trace that is recorded, and of which is decided later whether it is kept; see `late`.

    What OpenTelemetry code and services further on are told, `flags` and `tracestate`, is what the rate says of it and stays so.
    """

    __slots__ = ("home", "since", "told", "verdict", "waiting")

    home: Undecided | None
    """The trace this one is a part of, where calls go on below a span of OpenTelemetry code; None: it is decided by itself."""
    verdict: int
    """What was decided; 0: nothing yet."""
    since: int
    """`perf_counter_ns` of when its first record was seen."""
    waiting: list[Any] | None
    """The parts of its records that wait for the decision."""
    told: Trace | None
    """What its records are sent with, where a rule keeps it that the rate would not tell of."""


Span = tuple[Trace, int]
"""A span in progress: its trace and its span id. This is what the context variable holds."""


Frame = tuple["CodeType", "int | None", int]
"""One frame of a stack trace: its code object, line and instruction. Plain values, so that no frame stays alive; the code object
is its function's. Where the instruction stands, to the column, is looked up later."""


MOST_LEVELS = 10
"""Groups in groups whose members are told; Python's own limit."""
MOST_REPEATS = 3
"""Equal lines of a stack trace shown one after another; Python's own limit."""


def repeated(more: int) -> str:
    """What stands for further equal ones."""
    return f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]\n"


class ExceptionRecord:
    """An exception at the moment it first left a woven function; text is made later, off the call path."""

    __slots__ = (
        "cause",
        "explicit",
        "frames",
        "members",
        "message",
        "more",
        "notes",
        "syntax",
        "time",
        "type",
    )

    frames: tuple[Frame | str, ...]
    """Outermost first. Text stands for frames that were left out."""
    time: int
    """`perf_counter_ns` of the moment."""
    explicit: bool
    """True where `cause` was given by `raise … from …`, False where it was being handled."""
    notes: tuple[str, ...]
    """What `add_note` was given."""
    syntax: tuple[Any, ...] | None
    """Of a syntax error: message, file, line, column, text, end line, end column, each None if there is none."""
    members: tuple[ExceptionRecord, ...] | None
    """Of a group: the first of its exceptions."""
    more: int
    """Of a group: how many of its exceptions are not among `members`."""

    def __init__(
        self,
        type: str,
        message: str,
        frames: tuple[Frame | str, ...],
        time: int,
        cause: ExceptionRecord | None = None,
        explicit: bool = False,
    ) -> None:
        self.type = type
        self.message = message
        self.frames = frames
        self.time = time
        self.cause = cause
        self.explicit = explicit
        self.notes = ()
        self.syntax = None
        self.members = None
        self.more = 0

    def stacktrace(self) -> str:
        """The traceback as Python prints it, source lines looked up now."""
        from autoscope.runtime import stacktrace

        return stacktrace.text(self)


class Details:
    """What only some spans have. Plain classes: `dataclasses` would load `inspect` into every traced program."""

    __slots__ = ("attributes", "error_message", "error_type", "exception")

    def __init__(
        self,
        error_type: str = "",
        error_message: str = "",
        exception: ExceptionRecord | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self.error_type = error_type
        self.error_message = error_message
        self.exception = exception
        self.attributes = attributes


Captured = tuple["Any", ...]
"""Details of a call that only has arguments or a result to tell: a tuple of the attributes' names, and then their values.

No class of ours and no dictionary: a tuple that only holds text, numbers and such tuples is none of the garbage collector's business
any more when that has seen it once. Tens of thousands wait to be handed over in a busy second; were they looked through again and
again, and counted as the program's that grow old, its full collections would come sooner and take longer.
"""


def attributes_of(details: Details | Captured) -> dict[str, Any] | None:
    """What a call tells beside how it ended."""
    if isinstance(details, tuple):
        return dict(zip(details[0], details[1:], strict=True))
    return details.attributes


STEPS = {
    "coroutine": ("autoscope.coroutine.steps", "autoscope.coroutine.running_ns"),
    "generator": ("autoscope.generator.steps", "autoscope.generator.running_ns"),
    "async_generator": ("autoscope.generator.steps", "autoscope.generator.running_ns"),
}
"""What is told last of calls of these kinds that were suspended: how often they were resumed, and how long they ran themselves."""
RUNNING = frozenset([words[1] for words in STEPS.values()])


def running_of(details: Details | Captured | None) -> int | None:
    """Nanoseconds a call ran itself; None where it was never suspended."""
    if details is None:
        return None
    found: int | None
    if isinstance(details, tuple):
        found = details[-1] if details[0][-1] in RUNNING else None
        return found
    attributes = details.attributes
    if attributes:
        for name in RUNNING:
            if name in attributes:
                found = attributes[name]
                return found
    return None


def error_of(details: Details | Captured | None) -> str:
    """The type of the exception that left a call; empty where it returned."""
    return "" if details is None or isinstance(details, tuple) else details.error_type


def opened(details: Details | Captured | None) -> Details | None:
    """The same details, for who has time to ask them for everything."""
    return Details(attributes=attributes_of(details)) if isinstance(details, tuple) else details


class Words(tuple):  # type: ignore[type-arg]
    """A list among the attributes that many spans have alike: what it is on the wire may be kept."""

    __slots__ = ()


class Folding(Details):
    """Details of a call that tells of others, which were too short to be sent; see `fold`."""

    __slots__ = ("sites",)

    sites: tuple[Site, ...]
    """Their functions."""


Record = tuple["Site", int, Trace, "Span | None", int, int, "Details | Captured | None"]
"""A finished call: (site, span id, trace, parent, start, end, details); see docs/decisions/0001-skeleton.md.

Not the span itself: it is a tuple, and one kept for each call would cost its place among what the garbage collector looks through.
"""
