"""Measured calls and times: what a profile says of a program's functions.

`read` takes what `cProfile` and tools with speedscope's format write; a stored run is turned into a `Profile` by the command
line, with `from_run`. A profile names functions by file, line and name as they were where it was made: `assign` says which those are here.

A file of `cProfile` is in Python's `marshal` format, which is not safe against whoever wrote it: read such files only from
where you would run a program from, as with `pstats` itself.
"""

from __future__ import annotations

import json
import marshal
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    from autoscope.plan.cost import CostTable

MOST_BYTES = 200_000_000
"""Size of a profile that is read."""
SMALLEST_SHARE = 0.1
"""What is left of a time at least when the profiler's own cost is taken off."""
IN_CALLEE = 0.2
"""Part of cProfile's cost that falls into the time of the function called; the rest falls into its caller's."""
OF_BUILTIN = 0.65
"""What a call of a built-in function costs under cProfile, beside one of a Python function."""
OF_STEP = 0.75
"""The same for a step of a generator expression, which has a name of its own there. Measured: 0.71 on CPython 3.11, 0.83 on 3.13."""
SAMPLE_NS = 10_000_000.0
"""What a sample without a time stands for: most profilers take a hundred a second."""
UNITS = {"nanoseconds": 1.0, "microseconds": 1e3, "milliseconds": 1e6, "seconds": 1e9, "none": SAMPLE_NS}
OWN_DOUBT = 0.3
"""How far a profiler's own cost is off, as a part of it: what it takes depends on the program, its caches and the machine's mood."""

_MAKE = "make one with `python -m cProfile -o FILE app.py`"

Key = tuple[str, int, str]
"""File, line and name as the profile has them; line 0, or an empty file, where it has none."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one function, all its calls together."""

    calls: float
    """0 where the profile does not count calls."""
    own_ns: float
    """Without other Python functions that were seen; built-in ones included."""
    total_ns: float
    """With everything called; recursive calls count once."""
    steps: float = 0.0
    """How often its generators or coroutines were resumed, all together; 0 where that is not known."""

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            self.calls + other.calls,
            self.own_ns + other.own_ns,
            self.total_ns + other.total_ns,
            self.steps + other.steps,
        )


@dataclass(slots=True)
class Profile:
    """What a profile says, wherever it comes from."""

    source: str
    """The file's path, or the run's id."""
    kind: Literal["run", "pstats", "speedscope"]
    functions: dict[Key, Measured]
    cpu_ns: float
    """CPU time the plain program would have used: without the profiler's own cost, as far as that is known."""
    wall_ns: float
    """From first to last, everything included; 0 where it is not known."""
    counts: bool = True
    """Whether calls are counted; else there are only times."""
    notes: list[str] = field(default_factory=list)
    """What to know of these figures, one sentence each."""
    doubt_ns: float = 0.0
    """How far `cpu_ns` may be off because the profiler's own cost was taken from it: a standard error."""
    made: dict[tuple[Key, Key], float] = field(default_factory=dict)
    """Caller and function -> how often the one called, or resumed, the other; empty where that is not known."""
    cold: float = 1.0
    """How many times as much a recorded call takes that stands alone in this program, as far as the run shows it: `cost.coldness`."""


class Row(NamedTuple):
    """One function of a stored run, as `from_run` takes it."""

    name: str
    """With its module: `shop.cart.Cart.add`."""
    file: str
    line: int
    kind: str
    calls: float
    own_ns: float
    total_ns: float
    scale: float = 1.0
    """How many calls each recorded one stands for: 1 / the probability it was recorded with."""
    steps: float = 0.0


def from_run(
    source: str,
    rows: Iterable[Row],
    cpu_ns: float,
    *,
    wall_ns: float = 0.0,
    own_cpu_ns: float = 0.0,
    notes: Iterable[str] = (),
    cold: float = 1.0,
) -> Profile:
    """The profile a stored run amounts to.

    `cpu_ns` is what its processes used, `own_cpu_ns` what of it was autoscope's; `cold`: see `Profile`. Functions that were not recorded are not in it.
    """
    functions: dict[Key, Measured] = {}
    for row in rows:
        measured = Measured(
            row.calls * row.scale, row.own_ns * row.scale, row.total_ns * row.scale, row.steps * row.scale
        )
        _add(functions, (row.file, row.line, row.name), measured)
    left = _left(cpu_ns, own_cpu_ns)
    return Profile(source, "run", functions, left, wall_ns, True, list(notes), OWN_DOUBT * own_cpu_ns, cold=cold)


def read(path: str, cost: CostTable) -> Profile:
    """The profile in a file, told by its content. Raises AutoscopeError for what is none."""
    data = _content(path)
    if data[:1] in (b"{", b"\xfb") and data[1:2] in _MARSHAL_KEYS:
        return _read_pstats(path, data, cost)
    if data.lstrip()[:1] in (b"{", b"["):
        return _read_speedscope(path, data)
    raise _refuse(path, _looks_like(data))


_MARSHAL_KEYS = (b"(", b")", b"\xa8", b"\xa9", b"0")
"""What follows in a marshalled dictionary whose keys are tuples, or that is empty. JSON has none of them there."""


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except IsADirectoryError:
        raise _refuse(path, "it is a directory; a stored run is named by its id", "see `autoscope report`") from None
    except (OSError, ValueError) as error:
        raise _refuse(path, getattr(error, "strerror", None) or str(error), "name a profile or a stored run") from None
    if not data.strip():
        raise _refuse(path, "it is empty: was the program ended before it could write its profile?")
    if len(data) > MOST_BYTES:
        raise _refuse(path, f"it is larger than {MOST_BYTES // 1_000_000} MB", "profile a shorter run")
    return data


def _refuse(path: str, why: str, do: str = _MAKE) -> AutoscopeError:
    return AutoscopeError(f"cannot read a profile from {path!r}: {why}; {do}")


_SIGNS = (
    (b"SQLite format 3\0", "it is a database; a stored run is named by its id"),
    (b"\x1f\x8b", "it is compressed: unpack it first"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (b"# callgrind", "callgrind's format is not supported"),
    (b"<", "it is a web page or a picture, made of a profile"),
)
_COLLAPSED = re.compile(rb"[^\n]*\S \d+(\.\d+)?\s*")


def _looks_like(data: bytes) -> str:
    for sign, what in _SIGNS:
        if data.lstrip().startswith(sign):
            return what
    first = data[:10_000].split(b"\n", 1)[0]
    if _COLLAPSED.fullmatch(first) and b";" in data[:10_000]:
        return "collapsed stacks are not supported, since they have no lines and no calls"
    if b"\0" in data[:1000] or not data[:1000].isascii():
        return "it is neither a file of cProfile nor one of speedscope's format"
    return "it is text, not a profile"


def _left(whole: float, cost: float) -> float:
    return max(whole - cost, whole * SMALLEST_SHARE)


def _add(functions: dict[Key, Measured], key: Key, measured: Measured) -> None:
    before = functions.get(key)
    functions[key] = measured if before is None else before + measured


# -- cProfile

_WAITS = re.compile(
    r"time\.sleep|select\.|'acquire' of|'__enter__' of '_thread|_socket|'read' of '_ssl|waitpid|wait4|input>"
)
"""Built-in functions whose time is spent waiting: cProfile's clock is the one on the wall."""
_NS = 1e9


def _read_pstats(path: str, data: bytes, cost: CostTable) -> Profile:
    """What `cProfile` saw, without what it took itself.

    A call under it takes `cost.profiled` more, a part of it seen in the function called and the rest in its caller. What
    waits in built-in functions uses no CPU.
    """
    try:
        stats = marshal.loads(data)
    except (EOFError, ValueError, TypeError, MemoryError) as error:
        raise _refuse(path, f"it is damaged or cut off ({error})") from None
    if not isinstance(stats, dict) or not stats:
        raise _refuse(path, "no function was profiled")
    try:
        entries = {_key(key): _entry(value) for key, value in stats.items()}
    except (TypeError, ValueError, OverflowError):
        raise _refuse(path, "its entries are not those of cProfile") from None
    spent = 0.0
    taken: dict[Key, float] = {}
    inside: dict[Key, float] = {}
    waited = 0.0
    for key, (calls, own, _, callers) in entries.items():
        builtin = key[0] == "~"
        price = cost.profiled * (OF_BUILTIN if builtin else OF_STEP if key[2] == "<genexpr>" else 1.0)
        spent += calls * price
        waits = builtin and _WAITS.search(key[2]) is not None
        waited += own * waits
        if not builtin:
            taken[key] = taken.get(key, 0.0) + calls * price * IN_CALLEE
        for caller, (made, time) in callers.items():
            taken[caller] = taken.get(caller, 0.0) + made * price * (1.0 if builtin else 1 - IN_CALLEE)
            if builtin and not waits:
                inside[caller] = inside.get(caller, 0.0) + time
    whole = sum(own for _, own, _, _ in entries.values())
    cpu = _left(whole - waited, spent)
    share = cpu / (whole - waited) if whole > waited else 1.0
    functions: dict[Key, Measured] = {}
    edges: dict[tuple[Key, Key], float] = {}
    for key, (calls, own, total, callers) in entries.items():
        if key[0] != "~":
            mine = _left(own + inside.get(key, 0.0), taken.get(key, 0.0))
            functions[key] = Measured(calls, mine, max(mine, total * share))
            edges.update({(caller, key): made for caller, (made, _) in callers.items()})
    notes = ["cProfile sees the thread it was started in; what other threads and processes did is not in this profile."]
    if any(not exact for exact in map(_has_times, stats.values())):
        notes.append(
            "This profile was made by `profile`, whose own cost is not known: its times are too long; use `cProfile`."
        )
    return Profile(path, "pstats", functions, cpu, whole, True, notes, OWN_DOUBT * spent, edges)


def _key(key: Any) -> Key:
    file, line, name = key
    if file in ("", "profile") and line == 0:  # as `profile` has what is built in, and itself
        return "~", 0, str(name)
    if not (isinstance(file, str) and isinstance(line, int) and isinstance(name, str)):
        raise TypeError
    return file, line, name


def _entry(value: Any) -> tuple[float, float, float, dict[Key, tuple[float, float]]]:
    """Calls, own and total nanoseconds, and for each caller the calls it made and the own time of these."""
    _, calls, own, total, callers = value
    made: dict[Key, tuple[float, float]] = {}
    for caller, of in callers.items():
        if isinstance(of, tuple):  # `profile` has a number here
            made[_key(caller)] = _number(of[0]), _number(of[2]) * _NS
        else:
            made[_key(caller)] = _number(of), 0.0
    return _number(calls), _number(own) * _NS, _number(total) * _NS, made


def _has_times(value: Any) -> bool:
    return all(isinstance(of, tuple) for of in value[4].values())


def _number(value: Any) -> float:
    """A finite number, not below nothing. Raises ValueError, TypeError."""
    if not isinstance(value, (int, float)):
        raise TypeError(f"{value!r:.40} is not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a time")
    return max(number, 0.0)


# -- speedscope


def _read_speedscope(path: str, data: bytes) -> Profile:
    """All profiles of a file together: each is a thread or a process."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refuse(path, f"it is JSON that is damaged or cut off ({str(error).splitlines()[0]})") from None
    if not isinstance(document, dict) or not {"profiles", "shared"} <= document.keys():
        raise _refuse(path, _other_json(document))
    functions: dict[Key, Measured] = {}
    walls: list[float] = []
    notes: list[str] = []
    kinds: set[str] = set()
    try:
        frames = [_frame(frame) for frame in document["shared"]["frames"]]
        for profile in document["profiles"]:
            kind, unit = profile["type"], profile.get("unit", "none")
            if unit not in UNITS:
                raise _refuse(path, f"its unit is {unit!r:.40}, so it is not one of times")
            if kind not in ("sampled", "evented"):
                raise _refuse(path, f"profiles of type {kind!r:.40} are not known")
            if unit == "none":
                notes.append(f"Samples have no times in this profile: each is taken for {SAMPLE_NS / 1e6:g} ms.")
            kinds.add(kind)
            walls.append((_events if kind == "evented" else _samples)(profile, frames, UNITS[unit], functions))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _refuse(path, f"it is not sound as speedscope's format ({error!r:.80})") from None
    if not functions:
        raise _refuse(path, "no function was profiled")
    if "sampled" in kinds:
        notes.append("A sampled profile has times and no calls.")
    notes.append("Its times are those the profiler counted, which may be waiting as well as work.")
    own = sum(measured.own_ns for measured in functions.values())
    return Profile(path, "speedscope", functions, own, max(walls), kinds == {"evented"}, list(dict.fromkeys(notes)))


def _other_json(document: object) -> str:
    if isinstance(document, list) or (isinstance(document, dict) and "traceEvents" in document):
        return "Chrome's trace events are not supported"
    if isinstance(document, dict) and "resourceSpans" in document:
        return "it holds OpenTelemetry spans; a stored run is named by its id"
    return "it is JSON, but not speedscope's"


def _frame(frame: Any) -> Key:
    name, file, line = frame["name"], frame.get("file") or "", frame.get("line") or 0
    if not (isinstance(name, str) and isinstance(file, str)):
        raise TypeError("a frame's name is not text")
    return file, int(_number(line)), name


def _at(frames: list[Key], index: Any) -> Key:
    if not isinstance(index, int) or index < 0:
        raise TypeError(f"{index!r:.40} is no frame")
    return frames[index]


def _samples(profile: dict[str, Any], frames: list[Key], unit: float, functions: dict[Key, Measured]) -> float:
    """Adds what was sampled; returns the time it took."""
    own: dict[Key, float] = {}
    total: dict[Key, float] = {}
    samples, weights = profile["samples"], profile.get("weights") or [1] * len(profile["samples"])
    whole = 0.0
    for sample, given in zip(samples, weights, strict=True):
        weight = _number(given) * unit
        whole += weight
        stack = [_at(frames, index) for index in sample]
        if not stack:
            continue
        own[stack[-1]] = own.get(stack[-1], 0.0) + weight
        for key in set(stack):
            total[key] = total.get(key, 0.0) + weight
    for key, time in total.items():
        _add(functions, key, Measured(0.0, own.get(key, 0.0), time))
    return _span(profile, unit) or whole


def _events(profile: dict[str, Any], frames: list[Key], unit: float, functions: dict[Key, Measured]) -> float:
    """Adds what was entered and left; returns the time it took."""
    calls: dict[Key, int] = {}
    own: dict[Key, float] = {}
    total: dict[Key, float] = {}
    stack: list[Key] = []
    began: dict[Key, list[float]] = {}
    now = 0.0

    def leave(key: Key) -> None:
        since = began[key].pop()
        if not began[key]:
            total[key] = total.get(key, 0.0) + now - since

    for event in profile["events"]:
        key, at = _at(frames, event["frame"]), _number(event["at"])
        if stack:
            own[stack[-1]] = own.get(stack[-1], 0.0) + max(0.0, at - now)
        now = at
        if event["type"] == "O":
            calls[key] = calls.get(key, 0) + 1
            stack.append(key)
            began.setdefault(key, []).append(now)
        elif event["type"] == "C" and stack and stack[-1] == key:
            leave(stack.pop())
        else:
            raise ValueError(f"{key[2]:.40} is left at {at:g}, but not open")
    while stack:  # the profile ended before they did
        leave(stack.pop())
    for key, times in calls.items():
        _add(functions, key, Measured(times, own.get(key, 0.0) * unit, total.get(key, 0.0) * unit))
    return _span(profile, unit)


def _span(profile: dict[str, Any], unit: float) -> float:
    return max(0.0, _number(profile.get("endValue", 0)) - _number(profile.get("startValue", 0))) * unit
