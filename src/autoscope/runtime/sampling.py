"""Whether a trace is recorded: decided once, where it begins, and followed below."""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from autoscope.errors import not_ours, notice
from autoscope.ours import keep_builtins
from autoscope.runtime import context, sites
from autoscope.runtime.context import Attached, Unsampled
from autoscope.runtime.sites import switches
from autoscope.runtime.spans import Span, Trace, Undecided

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.ambient import Ambient

rate: float = 1.0
"""Share of traces recorded; live."""
tracestate: str = "ot=th:0"
"""The rate in OpenTelemetry's consistent-probability form, as `set_rate` computes it."""
late: bool = False
"""Whether every trace is recorded and decided when it has ended; see `late`."""
shown: Any = None
"""Called with the id of each span of ours that OpenTelemetry code asks for, where it matters; see `fold`."""
foreign: Any = None
"""Asked at a root for a span that OpenTelemetry code made current before its context was ours; see `export.bridge`."""
ambient: Ambient | None = None
"""What a call belongs to for which nothing is current; see `ambient`."""


def threshold(share: float) -> str:
    """The `th` value of a sampling probability: 56 bits, hexadecimal, trailing zeros cut.

    From the OpenTelemetry specification, "TraceState: Probability Sampling".
    """
    rejected = rejected_below(share)
    if rejected >= 1 << 56:
        return ""
    return f"{rejected:014x}".rstrip("0") or "0"


def rejected_below(share: float) -> int:
    """The randomness from which on a trace is recorded. Not `1 - share`, which is 1 for shares that are still recorded."""
    return (1 << 56) - round(share * (1 << 56))


rejected: int = 0
"""Traces whose randomness is below this are not recorded; follows `rate`.

The randomness is the last 56 bits of a trace's id, which consistent samplers further on compare with `th`.
"""
RANDOMNESS = (1 << 56) - 1
_bits = sites.random.getrandbits


def left_out_id() -> int:
    """An id for a trace that was decided against, with the randomness of one: made only where somebody asks."""
    return _bits(72) << 56 | (_bits(56) * rejected >> 56)


def set_rate(probability: float) -> None:
    """Record this share of traces from now on."""
    global rate, rejected, tracestate
    if probability:
        sites.wake()
    rate = probability
    rejected = rejected_below(probability)
    value = threshold(probability)
    tracestate = f"ot=th:{value}" if value else ""
    _publish()


def set_foreign(asked: Any) -> None:
    """Have a function asked at each root for a span made current before our context was there; None: there can be none."""
    global foreign
    foreign = asked
    _publish()


def set_ambient(found: Ambient | None) -> Ambient | None:
    """Have calls for which nothing is current belong to this from now on; what they belonged to until now."""
    global ambient
    before, ambient = ambient, found
    if found is not None and found.flags & 1:
        sites.wake()
    if (before is None) is not (found is None):
        _publish()
    return before


def set_late(decided: bool) -> None:
    """Record every trace from now on, to be decided when it has ended; or decide at the root again."""
    global late
    late = decided
    if decided:
        sites.wake()
    _publish()


def _publish() -> None:
    """Woven code decides by itself where nobody else has a say."""
    switches.share = rate if foreign is None and ambient is None and rejected and not late else 2.0


def root(parent: Any) -> Span | Unsampled | None:
    """What a call without a recorded parent does: a new span, a mark "not recorded", or None: nothing at all.

    `parent` is what the context variable held: None or an empty tuple (see `context`). Where it is None and nobody else has a
    say, who calls this has decided already that the trace is recorded.
    """
    try:
        if parent is None:
            if foreign is not None:
                attached = foreign()
                if attached is not None:
                    if attached:
                        return attached[0], switches.next()
                    if attached.sampled is False:
                        return None
            inherited = None
        elif type(parent) is Attached:
            if parent.sampled is False:
                return None
            inherited = parent.context
        else:
            return None
        if ambient is not None:
            if ambient.flags & 1:
                sites.counters.roots += 1
                return ambient.trace(inherited), switches.next()
            mark = Unsampled()
            if inherited is not None:
                mark.context = inherited
            return mark
        if rejected:
            if late:
                sites.counters.roots += 1
                return undecided(inherited), switches.next()
            if parent is None and foreign is None:
                randomness = rejected + (_bits(56) * ((1 << 56) - rejected) >> 56)  # it was decided that it is recorded
            else:
                randomness = _bits(56)
                if randomness < rejected:
                    next(sites.counters.marks)
                    mark = Unsampled()
                    if inherited is not None:
                        mark.context = inherited
                    return mark
            identity = _bits(72) << 56 | randomness
        else:
            identity = _bits(128)
        sites.counters.roots += 1
        return Trace(identity, 0, tracestate, 3, *this_thread(), inherited), switches.next()
    except Exception as error:
        _give_up(error)
        return None


def decided_id(at_any_rate: bool = False) -> int | None:
    """An id for a trace that is begun by other means than a call; None where the rate decides against it."""
    identity = _bits(128)
    if at_any_rate or late or identity & RANDOMNESS >= rejected:
        sites.counters.roots += 1
        return identity
    next(sites.counters.marks)
    return None


def undecided(inherited: Any) -> Undecided:
    """A trace that begins here and is decided late. Its id says, and whoever asks is told, what the rate alone would have decided."""
    identity = _bits(128)
    kept = identity & RANDOMNESS >= rejected
    trace = Undecided(identity, 0, tracestate if kept else "", 3 if kept else 2, *this_thread(), inherited)
    trace.home = trace.waiting = trace.told = None
    trace.verdict = trace.since = 0
    return trace


def below(trace: Undecided, span_id: int, inherited: Any) -> Undecided:
    """The part of such a trace that lies below a span of OpenTelemetry code, which was not recorded: it hangs under our span."""
    part = Undecided(trace.trace_id, span_id, trace.tracestate, trace.flags, *this_thread(), inherited)
    part.home = trace.home or trace
    part.waiting = part.told = None
    part.verdict = part.since = 0
    return part


def this_thread() -> tuple[int, str]:
    """The id and name of the thread this runs in."""
    ident = get_ident()
    # Not current_thread(): in a thread C code made, that would add a dummy to threading.enumerate().
    threading = sys.modules.get("threading")
    active = getattr(threading, "_active", None)  # a program may have a module of its own by that name
    thread = active.get(ident) if type(active) is dict else None
    name = thread.__dict__.get("_name", "") if thread is not None else "MainThread" if active is None else ""
    return ident, name


def _give_up(error: Exception) -> None:
    kind = type(error)
    if kind is RecursionError or kind is MemoryError:
        return  # the program is at its limit: no failure of ours, and there is no room even to say so
    if not_ours(error) or "AUTOSCOPE_STRICT" in os.environ:
        raise error
    notice("root-failed", f"a trace could not be begun: {type(error).__name__}: {error}; the call ran untraced")


def thinned(share: float) -> Any:
    """A site's `get`: where it has a rate of its own (`share`), one that leaves out `1 - share` of its calls."""
    global _thinned
    if share >= 1.0:
        return context.get
    if _thinned[0] == share:
        return _thinned[1]  # thousands of sites are given the same rate at a time
    chance, read = sites.random.random, context.get

    def get() -> Any:
        return read() if chance() < share else leave_out()

    _thinned = share, get
    return get


def leave_out() -> Unsampled:
    """What a site's `get` answers for a call that is not looked at, wherever it is woven."""
    span = context.get()
    # An exception out of this call is not seen here, and may look as one did that is gone (see `calls._known`).
    if span and span[0].failed:
        span[0].failed = None
    return context.THINNED


_thinned: tuple[float, Any] = (-1.0, None)
"""The last one made."""


def own_share(site: sites.Site) -> float:
    """How probable it is that a call of a site with a rate of its own is recorded; 1 where the trace's own probability tells it."""
    return site.rate * rate if site.rate < 1.0 else 1.0


switches.root = root
_publish()
