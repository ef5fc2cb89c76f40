"""All state that changes while the program runs: the sites, the buffer of records, and their reset.

A site is one function's live state. Its facts never change; `armed` is the switch that woven code tests; the other
switches are the functions woven code calls, so that changing what a call does is an assignment, never a recompile.
Nothing here decides (that is the plan's) and nothing here sends (that is `drain`'s).
"""

from __future__ import annotations

import itertools
import os
from _operator import length_hint
from _random import Random
from itertools import repeat
from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.runtime import context
from autoscope.runtime.spans import Clock

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from autoscope.plan.model import Capture
    from autoscope.runtime.spans import Record


class Switches:
    """What woven code calls and compares with, the same for every site: to change what all calls do is one assignment.

    Woven code finds each as an attribute whose name begins with `@`. Who provides a function puts it here: `calls`, `sampling`.
    """

    __slots__ = (
        "append",
        "chance",
        "clock",
        "enter",
        "fail",
        "fail_call",
        "leave",
        "leave_out",
        "leave_plain",
        "mark",
        "mend",
        "next",
        "resume",
        "root",
        "set",
        "share",
        "suspend",
        "suspend_first",
        "type",
        "undo",
        "undo_call",
        "unsampled",
    )

    append: Callable[[Any], Any]
    """Takes the record of a finished call."""
    chance: Callable[[], float]
    clock: Callable[[], int]
    enter: Callable[..., Any]
    fail: Callable[..., None]
    fail_call: Callable[..., None]
    leave: Callable[..., None]
    leave_out: Callable[[Any], Any]
    leave_plain: Callable[..., None]
    mark: Callable[[], Any]
    mend: Callable[[BaseException, BaseException], None]
    next: Callable[[], int]
    resume: Callable[[Any], None]
    root: Callable[[Any], Any]
    set: Callable[[Any], Any]
    share: float
    """A trace is decided against where `chance()` is not less."""
    suspend: Callable[[Any], None]
    suspend_first: Callable[[Site, Any, Any, int], Any]
    type: Callable[[Any], Any]
    undo: Callable[[Any], None]
    undo_call: Callable[[Any], None]
    unsampled: Any

    def __reduce__(self) -> tuple[Any, ...]:
        # As a site is where it arrives: never armed, so nobody asks this for anything.
        return bool, ()


class Site:
    """One woven function: fixed facts, live switches."""

    __slots__ = (
        "_off",
        "armed",
        "author",
        "capture",
        "counting",
        "file",
        "get",
        "keys",
        "kind",
        "level",
        "line",
        "module",
        "paced",
        "parameters",
        "path",
        "positions",
        "qualname",
        "rate",
        "traced",
    )

    module: str
    qualname: str
    file: str
    line: int
    kind: str
    """`function`, `generator`, `coroutine` or `async_generator`; `builtin` for a wrapped C callable; `test`, see `TEST`."""
    path: str
    """How it was woven: `bytecode`, `ast` or `wrapt`."""
    level: str
    rate: float
    capture: Capture
    parameters: tuple[str, ...]
    """Names of the parameters whose values are captured, in the order woven code hands them over."""
    keys: tuple[Any, ...] | None
    """What they are called in a span and which are secret, the result among them, by the words at [0]; see `capture`."""
    author: CodeType | None
    """The author's own code object, None where nobody has asked for it yet; see `weave.restore`."""
    _off: CodeType | None
    traced: CodeType | None
    """The twin; None for a wrapped C callable."""
    paced: CodeType | None
    """The twin that is asked first whether to look at a call, where it has one; see `weave.pace`."""
    counting: CodeType | None
    """One that looks at none, where calls are counted in windows."""
    positions: bytes | None
    """The author's location table, where it cannot be read back from the twin's."""

    armed: bool
    get: Callable[[], Any]
    """What is current, or a mark where this call is left out."""

    # What functions woven from source call; see `guard`.

    def call(self, arguments: tuple[Any, ...]) -> Any:
        from autoscope.runtime import guard

        for name in ("call", "result", "pause", "wake"):
            setattr(Site, name, getattr(guard, name))
        return guard.call(self, arguments)

    def result(self, value: Any) -> Any:
        return value

    def pause(self, value: Any) -> Any:
        return value

    def wake(self, sent: Any) -> Any:
        return sent

    @property
    def name(self) -> str:
        """`module.qualname`, the span's name; of what has no module, what it is called."""
        return f"{self.module}.{self.qualname}" if self.module else self.qualname

    @property
    def off(self) -> CodeType | None:
        """What runs while this function is off: the author's code, with nested functions still woven."""
        if self._off is None and self.traced is not None:
            self._off = Site.read_back(self, self.traced)
        return self._off

    read_back: Any
    """(site, twin) -> what it was made of, for twins that came without: set by who makes them."""

    def __repr__(self) -> str:
        return f"<site {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # cloudpickle and friends send code objects with their constants to processes that may not know us; there the
        # function runs its author's body. So what arrives is made of Python's own, hashable as constants are, and can
        # be sent again.
        from contextlib import nullcontext
        from functools import partial
        from typing import cast

        as_it_is = partial(cast, None)
        off = {"@armed": False, "call": nullcontext, "result": as_it_is, "pause": as_it_is, "wake": as_it_is}
        return partial, (bool,), (bool, (), {}, off)


for _owner, _names in ((Site, ("armed", "get")), (Switches, Switches.__slots__)):
    for _name in _names:
        setattr(_owner, "@" + _name, _owner.__dict__[_name])

switches = Switches()

sites: list[Site] = []

records: list[Any] = []
"""Finished calls not yet taken by the drain, the `WIDTH` parts of each `Record` one after the other.

Flat, because a tuple kept for each would cost its making and its place in the garbage collector's lists: kept by the
hundred thousand, they would have Python look through all of a program's objects again and again. The tuple that woven
code hands over is gone at once. Never replaced: woven code holds its `extend`.
"""
WIDTH = 7
"""Parts of a record."""
TEST = "test"
"""The kind of a site that is no function: a test, a phase of one, a fixture. It is not among `sites`, and has no module."""

shares: dict[Site, tuple[float, tuple[tuple[int, float], ...]]] = {}
"""Of functions of whose calls only some are recorded: how probable it was of each; and (when, how probable) of those that began before
that, oldest first. Where the budget decides it changes with every batch that is handed over."""

retired: list[tuple[int, Site]] = []
"""Sites that are there no longer but in `shares`, and since when."""

random = Random(int.from_bytes(os.urandom(16), "big"))
"""Our own, so that a program that seeds `random` sees the numbers it would have seen."""


MANY = 1 << 62


class Counters:
    """What happened, counted; read by `stats()` and written with the run."""

    __slots__ = (
        "capture_ns",
        "dropped",
        "early",
        "entered",
        "folded",
        "late_out",
        "left_out",
        "marks",
        "roots",
        "taken",
    )

    def __init__(self) -> None:
        self.capture_ns = 0
        """CPU time of rendering arguments and results, extrapolated from the calls it was measured on."""
        self.dropped = 0
        self.early = 0
        """Traces decided before they had ended, of those that are decided late."""
        self.entered = 0
        """Calls that were recorded or sampled out with a `Call`; the others need none."""
        self.folded = 0
        """Recorded calls that are counted in another one's span and not sent."""
        self.late_out = 0
        """Traces that were recorded and decided against."""
        self.left_out = 0
        """Their calls."""
        self.marks = repeat(context.UNSAMPLED, MANY)
        """Marks of traces that are decided against, one taken for each: what is left of them is the count."""
        self.roots = 0
        """Traces begun here that are recorded."""
        self.taken = 0

    @property
    def sampled_out(self) -> int:
        """Traces decided against."""
        return MANY - length_hint(self.marks) + self.late_out


counters = Counters()


def _fresh_ids() -> Callable[[], int]:
    # Ids count up from a random base: unique in the process at the price of a counter. Never zero, and below 2**60 for as long as
    # a process can run: from there on Python needs a third digit for a number, and 48 bytes instead of 32.
    return itertools.count(random.getrandbits(59) + 1).__next__


asked_for = False
"""Whether somebody may ask for the ids of a trace that was decided against: then each has a mark of its own."""


def ask_for(ids: bool) -> None:
    """OpenTelemetry code is there (or gone), which asks what is current."""
    global asked_for
    asked_for = ids
    marks = counters.marks
    switches.mark = map(context.Unsampled, marks).__next__ if ids else marks.__next__


switches.set = context.set_current
switches.clock = Clock.now
switches.next = _fresh_ids()
switches.append = records.extend
switches.chance = random.random
switches.type = type
switches.unsampled = context.Unsampled
ask_for(False)


class Batch:
    """Some of them, as a sequence of `Record`: each is made when it is asked for, in a tuple that Python uses again."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts) // WIDTH

    def __iter__(self) -> Iterator[Record]:
        parts = iter(self.parts)
        return zip(parts, parts, parts, parts, parts, parts, parts, strict=True)

    def __getitem__(self, chosen: slice) -> Batch:
        """A part of it, from one record to before another."""
        start, stop, _ = chosen.indices(len(self))
        return Batch(self.parts[start * WIDTH : stop * WIDTH])


def recorded() -> list[Record]:
    """What is buffered, record by record, in the form that can be asked for everything."""
    from autoscope.runtime.spans import opened

    return [(site, *between, opened(details)) for site, *between, details in Batch(records)]  # type: ignore[misc]


def site_of(code: CodeType) -> Site | None:
    """The site of a twin, None for any other code: how a function in the program's hands is recognised as woven."""
    for constant in reversed(code.co_consts):
        if type(constant) is Site:
            return constant
    return None


def new_site(
    module: str,
    qualname: str,
    file: str,
    line: int,
    kind: str,
    path: str,
    parameters: tuple[str, ...],
    registered: bool = True,
) -> Site:
    """A site with its facts set and its switches at rest (not armed); registered, unless nothing of it is ever woven or changed.

    One assignment after the other: an import that finds everything in the code cache spends most of its time here.
    """
    site = Site()
    site.module = module
    site.qualname = qualname
    site.file = file
    site.line = line
    site.kind = kind
    site.path = path
    site.parameters = parameters
    site.armed = False
    site.get = context.get
    site.author = site._off = site.traced = site.paced = site.counting = site.keys = site.positions = None
    if registered:
        sites.append(site)
    return site


_resting: dict[Site, None] | None = None
"""Sites that would be armed, while no call can come to be recorded at all; None while one can."""
_reasons: set[str] = set()
"""Why none can: there is no rate, or there is a pause."""
paused = 0
"""How many pauses there are, one in another."""


def set_share(site: Site, share: float, before: tuple[tuple[int, float], ...] = ()) -> None:
    """What is handed over of this function's calls from now on stands for `1 / share` calls each; see `shares`."""
    if share < 1.0 or before:
        shares[site] = share, before
    else:
        shares.pop(site, None)


def share_of(site: Site, start: int) -> float | None:
    """How probable it was that a call is recorded; None: all are."""
    found = shares.get(site)
    if found is None:
        return None
    share, before = found
    for until, old in before:
        if start < until:
            share = old
            break
    return share if share < 1.0 else None


def arm(site: Site) -> None:
    """From now on calls of this function are looked at, if any can be recorded at all."""
    if _resting is None:
        site.armed = True
    else:
        _resting[site] = None


def disarm(site: Site) -> None:
    """No call of this function is looked at from now on, by any thread."""
    site.armed = False
    if _resting is not None:
        _resting.pop(site, None)


def retire(site: Site) -> None:
    """A site whose function has another by now: no call is looked at, and it lives only as long as a twin of it does.

    The two hold each other, and the garbage collector does not look into code objects.
    """
    disarm(site)
    site.traced = site._off = site.paced = site.counting = None
    if site in shares:
        retired.append((Clock.now(), site))


def forget_retired() -> None:
    """When records have been handed over: what those of retired sites stand for is asked no longer, where none waits."""
    if retired:
        oldest = records[5] if records else Clock.now()
        while retired and retired[0][0] < oldest:
            shares.pop(retired.pop(0)[1], None)


def is_retired(site: Site) -> bool:
    """Whether its function has another by now."""
    return site.path == "bytecode" and site.traced is None


def rest(reason: str = "rate") -> None:
    """Nothing can be recorded: the rate is zero, and nobody else begins traces. Every function costs the test of its switch.

    Not for the rate once a trace has begun, whose calls are recorded whatever becomes of that.
    """
    global _resting
    _reasons.add(reason)
    if _resting is None:
        _resting = dict.fromkeys([site for site in sites if site.armed])
        for site in list(_resting):
            site.armed = False


def wake(reason: str = "rate") -> None:
    """A trace may begin from now on, if nothing else is against it."""
    global _resting
    _reasons.discard(reason)
    if _resting is not None and not _reasons:
        resting, _resting = _resting, None
        for site in resting:
            site.armed = True


def is_resting() -> bool:
    """Whether no call can come to be recorded."""
    return _resting is not None


def pause() -> None:
    """Record nothing, in no thread, until `go_on` was called as often."""
    global paused
    paused += 1
    rest("pause")


def go_on() -> None:
    """Take one `pause` back."""
    global paused
    paused = max(paused - 1, 0)
    if not paused:
        wake("pause")


def watched() -> int:
    """How many functions are armed, or would be if anything could be recorded."""
    return sum(site.armed for site in sites) + len(_resting or ())


def drop(record: Any) -> None:
    """The buffer is full: count, forget."""
    counters.dropped += 1


def after_fork() -> None:
    """In a new child: what the parent recorded is the parent's to send; ids must differ from its."""
    records.clear()
    random.seed(int.from_bytes(os.urandom(16), "big"))
    switches.next = _fresh_ids()
    counters.__init__()  # type: ignore[misc]
    ask_for(asked_for)


def reset() -> None:
    """Forget everything: for tests."""
    global paused
    paused = 0
    _reasons.clear()
    wake()
    sites.clear()
    records.clear()
    shares.clear()
    retired.clear()
    counters.__init__()  # type: ignore[misc]
    ask_for(False)
    sampling.set_rate(1.0)
    sampling.set_late(False)
    sampling.shown = None
    switches.append = records.extend


# Last, because both import this module, and put into `switches` what woven code calls of theirs.
from autoscope.runtime import calls, sampling  # noqa: E402, F401
