"""What a call of ours costs, by state: tables shipped for each interpreter, replaced by what `autoscope calibrate` measures.

All figures are nanoseconds of CPU time, those of our own threads included. What a function's calls cost together is `spent`;
it adds up over functions, so a plan's overhead is the sum divided by the CPU time of the plain program.

A table that was measured is kept in `costs/<cache tag>.json` of the cache's directory. Like everything there it may be deleted or
damaged at any time: the shipped figures hold then.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from typing import Any

from autoscope.errors import AutoscopeError

MOST_BYTES = 100_000
"""Size of a table's file from which on it is none of ours."""
MOST_NS = 1e9
"""No single thing we do takes a second."""
MOST_RATIO = 10.0
LEAST_SPANS = 1000
"""A run must have so many to show what one takes."""
SPARSE = 0.2
"""Where tracing, as measured call after call, takes this part of what the program takes, half of that is its caches' doing."""


@dataclass(frozen=True, slots=True)
class CostTable:
    """Nanoseconds of CPU time for each thing that happens; all beyond what the plain program spends."""

    interpreter: str
    """`CPython 3.11.7`; without the last number where the figures are shipped."""
    source: str
    """`shipped`, or `calibrated 2026-11-21`."""
    flag: float
    """A call while nothing can be recorded in the process at all, as at rate 0: one flag is read."""
    armed: float
    """A call in a trace that is not recorded: what is current is looked at."""
    root_no: float
    """A call where no trace is, which decides that none is recorded, and marks what is below it."""
    thinned: float
    """A call that its site's own rate leaves out of a recorded trace: a number is drawn."""
    recorded: float
    """A span of a plain function, in the thread that calls it."""
    exported: float
    """A span after its call: taken out of the buffer, encoded, written into the local store."""
    root: float
    """What beginning a recorded trace takes beyond a span: its ids, its thread, its own row in the store."""
    detailed: float
    """A span that has more to say than its times, however much: captured values, steps. Beyond `recorded` and `exported`."""
    step: float
    """One resumption of a generator or coroutine that is recorded."""
    exception: float
    """An exception on its way through one recorded call, beyond `recorded` and `exported`."""
    told: float
    """The same exception in the first recorded call it leaves, beyond `exception`: its message and stack trace."""
    argument: float
    """One captured argument, rendered and exported."""
    result: float
    """A captured result, likewise."""
    state: float
    """A captured change of an object's state. Nothing as long as nothing captures it."""
    profiled: float
    """What `cProfile` adds to one call."""
    python: float
    """One simple statement, `x = a + b`: the unit of work estimates."""
    cold: float
    """How many times as much a recorded call takes that stands alone among other work: the processor's caches hold other things by then."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` is the way back."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> CostTable:
        """The table `to_dict` was given. Raises ValueError for one that cannot be."""
        try:
            names = {"interpreter": str(data["interpreter"]), "source": str(data["source"])}
            prices = {name: float(data[name]) for name in PRICES}
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not a cost table: {error!r}") from None
        table = CostTable(**names, **prices)  # type: ignore[arg-type]
        wrong = implausible(table)
        if wrong:
            name, why = next(iter(wrong.items()))
            raise ValueError(f"not a cost table: {name} {why}")
        return table

    def digest(self) -> str:
        """Of interpreter and figures, wherever they come from: what an estimate was made with. 16 hexadecimal digits."""
        facts = (self.interpreter, *(getattr(self, name) for name in PRICES))
        return blake2b(repr(facts).encode(), digest_size=8).hexdigest()


PRICES = tuple(field.name for field in fields(CostTable) if field.type == "float")
"""The figures: nanoseconds, but for `cold`."""


_ORDER = (("flag", "armed"), ("armed", "root_no"), ("armed", "recorded"), ("thinned", "recorded"))
"""(less, more): what does more cannot take less."""


def implausible(table: CostTable) -> dict[str, str]:
    """Figure -> why it cannot be so; empty for a sound table."""
    wrong: dict[str, str] = {}
    for name in PRICES:
        value = getattr(table, name)
        if not math.isfinite(value) or value < 0 or value > MOST_NS:
            wrong[name] = f"cannot be {value:g}"
        elif not value and name in ("recorded", "exported", "python"):
            wrong[name] = "cannot be nothing"
        elif name == "cold" and not 1 <= value <= MOST_RATIO:
            wrong[name] = f"is not between 1 and {MOST_RATIO:g}"
    for less, more in _ORDER:
        if less not in wrong and more not in wrong and getattr(table, less) >= getattr(table, more):
            wrong[less] = f"is not below {more}"
            wrong[more] = f"is not above {less}"
    return wrong


def mend(table: CostTable, otherwise: CostTable) -> tuple[CostTable, dict[str, str]]:
    """A sound table: what is implausible in `table` taken from `otherwise`, and why, by figure."""
    why: dict[str, str] = {}
    while wrong := implausible(table):
        # A figure that was fine may not go together with one that took another's place.
        for name, reason in wrong.items():
            why.setdefault(name, reason)
        table = replace(table, **{name: getattr(otherwise, name) for name in why})
    return table, why


_SHIPPED: dict[tuple[int, int], dict[str, float]] = {
    (3, 11): {
        "flag": 8,
        "armed": 51,
        "root_no": 280,
        "thinned": 144,
        "recorded": 550,
        "exported": 1840,
        "root": 3400,
        "detailed": 3640,
        "step": 500,
        "exception": 3100,
        "told": 14200,
        "argument": 1680,
        "result": 2560,
        "state": 0,
        "profiled": 255,
        "python": 8.3,
        "cold": 1.35,
    },
    (3, 12): {
        "flag": 7,
        "armed": 57,
        "root_no": 390,
        "thinned": 147,
        "recorded": 630,
        "exported": 1740,
        "root": 3300,
        "detailed": 4150,
        "step": 680,
        "exception": 2750,
        "told": 14700,
        "argument": 1860,
        "result": 2420,
        "state": 0,
        "profiled": 230,
        "python": 8.6,
        "cold": 1.35,
    },
    (3, 13): {
        "flag": 13,
        "armed": 57,
        "root_no": 385,
        "thinned": 151,
        "recorded": 635,
        "exported": 1380,
        "root": 2500,
        "detailed": 2940,
        "step": 605,
        "exception": 3100,
        "told": 14500,
        "argument": 1540,
        "result": 2380,
        "state": 0,
        "profiled": 222,
        "python": 7.6,
        "cold": 1.35,
    },
}
"""Version -> figures: what `calibrate` found on one small shared machine, medians of five times, brought to one speed of it.

A little more than docs/performance.md has for a single call, because 32 functions take turns here and the drain runs beside them.
`state` is nothing: nothing captures it yet.
"""


def slowness(table: CostTable) -> float:
    """How long Python's own work takes where a table is from, beside the machine whose nanoseconds work estimates are in."""
    return table.python / _SHIPPED[3, 11]["python"]


def shipped(version: tuple[int, int] = (3, 11)) -> CostTable:
    """The figures for a version of CPython; for later ones those of the newest that is known."""
    known = max((other for other in _SHIPPED if other <= version), default=min(_SHIPPED))
    return CostTable(f"CPython {version[0]}.{version[1]}", "shipped", **_SHIPPED[known])


def interpreter() -> str:
    """The interpreter that runs this, as a table names it."""
    name = {"cpython": "CPython"}.get(sys.implementation.name, sys.implementation.name)
    return f"{name} {'.'.join(map(str, sys.version_info[:3]))}"


def load(directory: str | None) -> CostTable:
    """The table calibrated for this interpreter, where the cache in `directory` has a sound one of this version of autoscope; else the shipped."""
    found = None if directory is None else _calibrated(directory)
    return shipped(sys.version_info[:2]) if found is None else found


def _calibrated(directory: str) -> CostTable | None:
    from autoscope import __version__

    try:
        with open(_path(directory), "rb") as stream:
            text = stream.read(MOST_BYTES + 1)
        data = json.loads(text) if len(text) <= MOST_BYTES else None
        if not isinstance(data, dict) or data.get("autoscope") != __version__:
            return None
        table = CostTable.from_dict(data)
    except (OSError, ValueError, RecursionError):
        return None
    return table if table.interpreter == interpreter() else None


def save(table: CostTable, directory: str) -> str:
    """Keep a table where `load` finds it; returns its path. Raises AutoscopeError where nothing can be written."""
    from autoscope import __version__

    path = _path(directory)
    other = f"{path}.{os.getpid()}"
    text = json.dumps({"autoscope": __version__, **table.to_dict()}, indent=1) + "\n"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(other, "w", encoding="ascii") as stream:
            stream.write(text)
        os.replace(other, path)
    except OSError as error:
        raise AutoscopeError(
            f"the cost table cannot be kept in {directory}: {error.strerror or error}; "
            "name another directory with AUTOSCOPE_CACHE_DIR"
        ) from None
    return path


def _path(directory: str) -> str:
    return os.path.join(directory, "costs", f"{sys.implementation.cache_tag}.json")


@dataclass(frozen=True, slots=True)
class Price:
    """What one call of a function comes to, in nanoseconds, by what becomes of it."""

    recorded: float
    thinned: float
    armed: float
    root_no: float
    flag: float
    drawn: float
    """What drawing a number adds to a recorded call, where its site has a rate of its own."""
    root: float
    """What beginning a trace adds to a recorded call."""


def price(
    table: CostTable,
    kind: str = "function",
    *,
    steps: float = 0.0,
    arguments: float = 0.0,
    result: bool = False,
    state: bool = False,
) -> Price:
    """What a call costs. `kind` is one of `facts.KINDS`; `steps` is how often one call of a generator or coroutine is
    resumed, `arguments` how many are captured.

    A coroutine that never waits is resumed once, and costs what a function does. A generator's return value is never captured.
    """
    generator = kind in ("generator", "async_generator")
    if kind == "function" or (kind == "coroutine" and steps <= 1):
        steps = 0.0
    result = result and not generator
    recorded = table.recorded + table.exported + steps * table.step + arguments * table.argument
    recorded += result * table.result + state * table.state
    if generator or steps or arguments or result or state:
        recorded += table.detailed
    return Price(
        recorded=recorded,
        thinned=table.thinned,
        armed=table.armed,
        # Each step says to what it calls that nothing is recorded, and takes it back before its consumer goes on.
        root_no=table.root_no + steps * table.step,
        flag=table.flag,
        drawn=max(0.0, table.thinned - table.armed),
        root=table.root,
    )


def spent(price: Price, calls: float, *, traced: float = 1.0, rate: float = 1.0, root: bool = False) -> float:
    """Nanoseconds that so many calls cost together.

    `traced`: the share of traces that are recorded, 0 where none can be; `rate`: the site's own, of the calls in them; `root`: whether the
    calls begin traces. So for a site without a rate `calls * (traced * recorded + (1 - traced) * armed)`.
    """
    if traced <= 0.0:
        return calls * price.flag
    recorded = price.recorded + (price.root if root else 0.0)
    if rate >= 1.0:
        return calls * (traced * recorded + (1 - traced) * (price.root_no if root else price.armed))
    inside = rate * (recorded + price.drawn) + (1 - rate) * price.thinned
    outside = price.thinned
    if root:
        # Drawn first: a call that is left out begins no trace, and nothing has to be decided.
        outside = rate * (price.root_no + price.drawn) + (1 - rate) * price.thinned
    return calls * (traced * inside + (1 - traced) * outside)


def among(table: CostTable, spent_ns: float, cpu_ns: float, cold: float = 1.0) -> float:
    """What calls take in a program that uses so much CPU time itself, if they take `spent_ns` one after the other.

    `cold`: as the table's, where a run of the program shows more (`coldness`).
    """
    return spent_ns * (1.0 + (max(table.cold, cold) - 1.0) / (1.0 + spent_ns / (SPARSE * cpu_ns)))


def coldness(table: CostTable, spans: float, traces: float, handed_ns: float, cpu_ns: float) -> float:
    """How many times as much a call would take that stands alone in a program, by what handing over the spans of a run took.

    `handed_ns` is the CPU time of that, `cpu_ns` the program's own. From few spans nothing is to be seen: then 1.
    """
    handed = spans * table.exported + traces * table.root
    if spans < LEAST_SPANS or cpu_ns <= 0:
        return 1.0
    spent_ns = handed + spans * table.recorded
    return min(max(1.0 + (handed_ns / handed - 1.0) * (1.0 + spent_ns / (SPARSE * cpu_ns)), 1.0), MOST_RATIO)


def raised(table: CostTable, frames: float) -> float:
    """What an exception adds that passes so many recorded calls, in nanoseconds."""
    return table.told + frames * table.exception if frames else 0.0
