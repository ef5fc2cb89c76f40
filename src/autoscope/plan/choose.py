"""Strategies: from facts and priorities to one choice a function, each with its reasons.

A choice answers to rules in a fixed order: what the user said, the author's mark, the goals, the strategy. `Choice.reasons` has the rules that
decided; `rejected` says what keeps an unwatched function from being watched.

Definitions that share a name (a property's getter and setter, a function defined in both branches of an `if`) share a choice: a plan
knows functions by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from autoscope.plan.facts import Facts, Function, is_test
from autoscope.plan.model import (
    SILENT,
    Capture,
    CapturePatch,
    FunctionRule,
    ModuleRule,
    Plan,
    Rule,
    is_glob,
    matches,
    matches_module,
)
from autoscope.plan.score import BROAD, OF_ENTRY, Priority, is_boundary, score_module

STRATEGIES = ("minimal", "balanced", "full_trace", "auto")
DETAIL = {"off": 0, "minimal": 1, "balanced": 2, "full_trace": 3}
COMPLEX = 8
"""Cognitive complexity from which on a function is worth watching for it alone."""
BRANCHY = 8
"""The same for cyclomatic complexity."""
COORDINATES = 4
"""Project functions of other modules or classes that one calls from which on it holds a piece of work together."""
CENTRAL = 8
"""Callers from which on a function is central, where it has work to do."""
HOT_SHARE = 0.01
"""Share of all measured own time from which on a function is watched whatever else it is."""
RATES = ((10.0, 1.0), (30.0, 0.5), (100.0, 0.1))
"""Estimated calls up to which a function that is no entry point has this rate; above all, `RAREST`. Two, three and four loops deep."""
RAREST = 0.01
LIFE_CYCLE = frozenset(
    ("__init__", "__post_init__", "__new__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__")
)
_QUIET_IO = frozenset(("console", "lock"))
_LEAST = frozenset(("web", "task", "command", "consumer", "main", "startup", "shutdown", "worker_loop"))


PLAIN = Capture()
"""Times and exceptions, no values."""
UNTOLD = FunctionRule()
_FULL = CapturePatch(args=True, returns=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """The verdict on one function."""

    level: str
    """`off`, `minimal`, `balanced` or `full_trace`."""
    rate: float = 1.0
    capture: Capture = PLAIN
    reasons: tuple[str, ...] = ()
    by: str = "strategy"
    """Who decided: `user`, `mark`, `goal` or `strategy`. What the user or the author decided, no budget changes."""
    told: FunctionRule = UNTOLD
    """Rate and captures that the user's plan gives without a level: whether it is watched is open, these are not."""

    @property
    def watched(self) -> bool:
        return self.level != "off"

    @property
    def fixed(self) -> bool:
        return self.by in ("user", "mark")


OFF = Choice("off")


@lru_cache(maxsize=4096)
def off(reason: str) -> Choice:
    """The choice of most functions: one object for each reason."""
    return Choice("off", 1.0, PLAIN, (reason,))


@dataclass(frozen=True, slots=True)
class Aim:
    """What a goal wants of one function."""

    reason: str
    args: bool = False
    result: bool = False
    level: str = "balanced"


def choose_all(
    facts: Facts,
    priorities: Sequence[Priority],
    strategy: str,
    *,
    overrides: Plan | None = None,
    aims: Mapping[int, Aim] | None = None,
    shares: Mapping[int, float] | None = None,
) -> list[Choice]:
    """One choice a function, by index.

    `overrides` is the user's own plan, whose entries win; `shares` is each measured function's share of all own time.
    """
    shares = shares or {}
    aims = aims or {}
    levels = {name: strategy if strategy != "auto" else level_for(facts, name, priorities) for name in facts.modules}
    choices = []
    for index, function in enumerate(facts.functions):
        share = shares.get(index, 0.0) if shares else 0.0
        choice = by_strategy(function, levels[function.module], share, facts.functions)
        aim = aims.get(index) if aims else None
        if aim is not None and woven(function):
            choice = by_goal(function, choice, aim)
        if function.mark:
            choice = by_mark(function, choice)
        if overrides is not None:
            choice = by_user(function, choice, overrides)
        choices.append(choice)
    for indices in namesakes(facts):
        one = nearest([choices[index] for index in indices])
        for index in indices:
            choices[index] = one
    return choices


def namesakes(facts: Facts) -> list[list[int]]:
    """Indices of functions that share a name, those of one name together; a `typing.overload` is none of them."""
    first: dict[tuple[str, str], int] = {}
    found: dict[int, list[int]] = {}
    for index, function in enumerate(facts.functions):
        if woven(function):
            one = first.setdefault((function.module, function.qualname), index)
            if one != index:
                found.setdefault(one, [one]).append(index)
    return list(found.values())


def nearest(choices: Sequence[Choice]) -> Choice:
    """Of several choices for one name: what the author wants left alone, else what is fixed, else the closest."""

    def rank(choice: Choice) -> tuple[bool, bool, int, float]:
        return (choice.by == "mark" and not choice.watched, choice.fixed, DETAIL[choice.level], choice.rate)

    return max(choices, key=rank)


def level_for(facts: Facts, name: str, priorities: Sequence[Priority]) -> str:
    """`auto`: how closely one module is to be watched."""
    module = facts.modules[name]
    found = score_module(module, list(priorities))
    if module.type in ("test", "migration", "generated", "data"):
        return "minimal"
    hottest = max((facts.functions[index].frequency for index in module.functions), default=0.0)
    if not module.calls_out and hottest > RATES[1][0]:
        return "minimal"
    return {"critical": "full_trace", "high": "balanced", "medium": "balanced", "low": "minimal"}[found.level]


def woven(function: Function) -> bool:
    """Whether its code is what its name means: a `typing.overload` is not."""
    return not function.overload


def rejected(function: Function, level: str) -> str:
    """What keeps a function from being watched at `level` whatever speaks for it; empty for nothing."""
    if function.overload:
        return "only a declaration (typing.overload)"
    if level == "full_trace":
        return ""
    name = function.qualname.rpartition(".")[2]
    if name == "<lambda>":
        return "a lambda"
    if function.role in _LEAST and function.role != "worker_loop":
        return ""
    if function.role in ("test", "fixture") or is_test_code(function):
        return "test code"
    if function.role == "migration":
        return "a migration"
    if name.startswith("__") and name.endswith("__") and name not in LIFE_CYCLE:
        return "a special method"
    if function.trivial:
        return f"trivial: {_TRIVIAL[function.trivial]}"
    return "abstract" if function.is_abstract and not function.io else ""


_TRIVIAL = {
    "accessor": "it only reads, sets or combines a few values",
    "constant": "it returns a constant",
    "constructor": "it only sets attributes",
    "delegation": "it leaves the work to another function",
    "empty": "it does nothing",
    "stub": "it only says that it is not implemented",
}


def is_test_code(function: Function) -> bool:
    """Whether it stands among tests."""
    return is_test(function.module)


def by_strategy(function: Function, level: str, share: float = 0.0, functions: Sequence[Function] = ()) -> Choice:
    """What a strategy makes of a function; `functions` are all there are, by index."""
    if level == "off":
        return off("left out")
    no = rejected(function, level)
    if no:
        return off(no)
    if level == "full_trace":
        capture = Capture(args=True, returns=True, state="diff" if changes_self(function) else "none")
        return Choice("full_trace", 1.0, capture, ("full_trace watches everything",))
    reasons = least_reasons(function)
    if level == "balanced":
        reasons += more_reasons(function, share, functions)
    if not reasons:
        return off(not_enough(function, level))
    return Choice(level, rate_for(function), Capture(), tuple(reasons))


def changes_self(function: Function) -> bool:
    """Whether it changes the object it belongs to."""
    return any(word.startswith("self.") for word in function.changes)


def is_entry(function: Function) -> bool:
    """Whether work begins or ends in it."""
    return function.role in _LEAST


def works_outside(function: Function) -> list[str]:
    """The kinds of I/O it does that are worth a span: not a lock's or the console's alone."""
    return [kind for kind in function.io if kind not in _QUIET_IO]


def is_complex(function: Function) -> bool:
    """Whether it has more ways through it than one keeps in mind."""
    return function.cognitive >= COMPLEX or function.cyclomatic >= BRANCHY


def is_central(function: Function) -> bool:
    """Whether many call it, and it has something to do."""
    return len(function.callers) >= CENTRAL and bool(function.callees or function.calls) and function.statements > 4


def least_reasons(function: Function) -> list[str]:
    """What speaks for a function even at `minimal`: work begins or ends in it, or errors stop there."""
    reasons = []
    if is_entry(function):
        reasons.append(role_words(function))
    if function.catches and is_boundary(function):
        caught = "everything" if "*" in function.catches else next(word for word in function.catches if word in BROAD)
        reasons.append(f"error boundary: catches {caught}")
    return reasons


def role_words(function: Function) -> str:
    """`web entry point: Flask GET /cart`; the role alone where no more is known."""
    label = _ROLES[function.role]
    return label if function.role_detail in ("", label, function.role, "group") else f"{label}: {function.role_detail}"


_ROLES = {
    "web": "web entry point",
    "task": "task",
    "command": "command",
    "consumer": "consumer",
    "main": "the program's start",
    "startup": "start-up",
    "shutdown": "shutdown",
    "worker_loop": "worker loop",
    "thread": "runs in a thread, process or pool",
    "middleware": "middleware",
    "orm_query": "ORM query",
}


def coordinates(function: Function, functions: Sequence[Function]) -> bool:
    """Whether it brings together the work of several others: calls enough of them, some of other modules, and not a constructor."""
    if len(function.callees) < COORDINATES or not functions:
        return False
    if function.qualname.rpartition(".")[2] in ("__init__", "__new__"):
        return False
    called = [functions[callee] for callee in function.callees]
    working = [other for other in called if not other.trivial]
    return len(working) >= COORDINATES and any(other.module != function.module for other in working)


def more_reasons(function: Function, share: float, functions: Sequence[Function]) -> list[str]:
    """What else speaks for a function at `balanced`."""
    reasons = []
    if function.role in ("thread", "middleware"):
        reasons.append(role_words(function))
    kinds = works_outside(function) if function.io else ()
    if kinds:
        reasons.append(f"does I/O: {', '.join(kinds)}")
    if function.heavy:
        reasons.append(f"heavy: calls {', '.join(function.heavy)}")
    if is_complex(function):
        reasons.append(f"complex: cognitive {function.cognitive}, cyclomatic {function.cyclomatic}")
    if coordinates(function, functions):
        reasons.append(f"coordinates: calls {len(function.callees)} functions")
    if is_central(function):
        reasons.append(f"central: called from {len(function.callers)} functions")
    if share >= HOT_SHARE:
        reasons.append(f"measured: {share:.0%} of all own time")
    return reasons


def not_enough(function: Function, level: str) -> str:
    """Why nothing speaks for it."""
    if level == "minimal":
        return "neither an entry point nor an error boundary"
    io = f"no I/O but {', '.join(function.io)}" if function.io else "no I/O"
    count = len(function.callers)
    callers = f"small (called from {count} functions)" if count >= CENTRAL else f"few callers ({count})"
    return f"no entry point, {io}, not complex (cognitive {function.cognitive}), {callers}"


def rate_for(function: Function) -> float:
    """Share of calls recorded: entry points and life-cycle functions always, what is called often more rarely."""
    if function.role in OF_ENTRY or function.qualname.rpartition(".")[2] in LIFE_CYCLE:
        return 1.0
    for most, rate in RATES:
        if function.frequency <= most:
            return rate
    return RAREST


def by_goal(function: Function, choice: Choice, aim: Aim) -> Choice:
    """A goal's functions are watched at least at its level, every call."""
    level = max(choice.level, aim.level, key=DETAIL.__getitem__)
    capture = choice.capture._replace(
        args=choice.capture.args or aim.args, returns=choice.capture.returns or aim.result
    )
    reasons = (aim.reason, *(choice.reasons if choice.watched else ()))
    return Choice(level, 1.0, capture, reasons, "goal")


def by_mark(function: Function, choice: Choice) -> Choice:
    """What the author wrote on the function."""
    if function.mark == "trace":
        if not woven(function):
            return choice
        level = choice.level if choice.watched else "balanced"
        return Choice(level, 1.0, choice.capture, ("marked @autoscope.trace",), "mark")
    word = "# autoscope: off" if function.mark == "off" else "@autoscope.never"
    return Choice("off", 1.0, Capture(), (f"marked {word}",), "mark")


def by_user(function: Function, choice: Choice, overrides: Plan) -> Choice:
    """What the user's own plan says of the function, key by key.

    A level, or the function's own name, decides; what is said without either changes what is watched anyway. Against an author's mark
    it is as in a running program: `never` yields to the function's own name, `trace` to any entry but `"*"`.
    """
    if overrides.excludes(function.module):
        return Choice("off", 1.0, Capture(), ("excluded by the user's plan",), "user")
    if not woven(function):
        return choice
    told = told_of(overrides, function.module, function.qualname)
    if told is None:
        return _told(choice, None, overrides.capture, ())
    rule, level, source = told
    because = (f"{source} says so", *(choice.reasons if choice.watched else ()))
    marked = choice.by == "mark" and not rule.named
    if marked and not choice.watched:
        return choice
    if level == "off":
        if marked and not overrides.refuses(function.module, function.qualname):
            return choice
        return Choice("off", 1.0, Capture(), (f"{source} says off",), "user")
    if level is not None:
        return Choice(level, 1.0 if marked else rule.rate, rule.capture, because, "user")
    entries = entries_for(overrides, function.module, function.qualname)
    if rule.named:
        level = choice.level if choice.watched else "balanced"
        return Choice(
            level, rule.rate, _captured(entries, function.qualname, level, overrides.capture), because, "user"
        )
    rate = next((entry.rate for _, entry in entries if entry.rate is not None), None)
    said = SILENT
    for _, entry in entries:
        said = said.over(entry.capture)
    return _told(choice, None if marked else rate, said.over(overrides.capture), (f"{source} says so",))


def _told(choice: Choice, rate: float | None, capture: CapturePatch, reasons: tuple[str, ...]) -> Choice:
    """A choice with what the user says whatever it is."""
    if not choice.watched or (rate is None and capture == SILENT):
        return choice
    had = choice.capture
    return replace(
        choice,
        rate=choice.rate if rate is None else rate,
        capture=capture.over(CapturePatch(had.args, had.returns, had.exceptions, had.state)).settle(),
        reasons=(*reasons, *choice.reasons),
        told=FunctionRule(None, rate, capture),
    )


def _captured(
    entries: Sequence[tuple[str, FunctionRule | ModuleRule]], qualname: str, level: str, farther: CapturePatch
) -> Capture:
    """What is captured where the nearest entry with the function's own name is given a level."""
    said, given = SILENT, False
    for name, entry in entries:
        said = said.over(entry.capture)
        if not given and name.endswith(f" {qualname}"):
            given = True
            said = said.over(_FULL) if level == "full_trace" else said
    return said.over(farther).settle()


def told_of(plan: Plan, module: str, qualname: str) -> tuple[Rule, str | None, str] | None:
    """(resulting rule, the level said, where) if a plan's `modules` speak of a function."""
    said = entries_for(plan, module, qualname)
    speaking = [name for name, rule in said if (rule.level, rule.rate, rule.capture) != (None, None, SILENT)]
    rule = plan.rule_for(module, qualname)
    if not speaking and not rule.named:
        return None
    level = next((rule.level for _, rule in said if rule.level is not None), None)
    return rule, level, speaking[0] if speaking else said[0][0]


def entries_for(plan: Plan, module: str, qualname: str) -> list[tuple[str, FunctionRule | ModuleRule]]:
    """The entries of `modules` that speak of a function, nearest first, each with its name in the plan."""
    functions: list[tuple[str, FunctionRule | ModuleRule]] = []
    modules: list[tuple[str, FunctionRule | ModuleRule]] = []
    for name in (module, *plan.lookup().globs):
        rule = plan.modules.get(name)
        if rule is None or not matches_module(name, module):
            continue
        for inner in (qualname, *_globs(rule.functions)):
            if inner in rule.functions and matches(inner, qualname):
                functions.append((f"the entry {name} {inner}", rule.functions[inner]))
        modules.append((f"the entry {name}", rule))
    return functions + modules


def _globs(names: Mapping[str, object]) -> list[str]:
    """The globs among the names, nearest first."""
    globs = [name for name in names if is_glob(name)]
    globs.reverse()
    globs.sort(key=len, reverse=True)
    return globs
