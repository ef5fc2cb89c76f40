"""Strategies: from facts and priorities to one choice a function, each with its reasons.

A choice answers to rules in a fixed order: what the user said, the author's mark, the goals, the strategy. `Choice.reasons` has the rules that
decided; `rejected` says what keeps an unwatched function from being watched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from autoscope.plan.facts import Facts, Function
from autoscope.plan.model import SILENT, Capture, FunctionRule, ModuleRule, Plan, Rule
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
RATES = ((100.0, 1.0), (1_000.0, 0.5), (10_000.0, 0.1))
"""Estimated calls up to which a function that is no entry point has this rate; above all, `RAREST`."""
RAREST = 0.01
LIFE_CYCLE = frozenset(
    ("__init__", "__post_init__", "__new__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__")
)
_QUIET_IO = frozenset(("console", "lock"))
_LEAST = frozenset(("web", "task", "command", "consumer", "main", "startup", "shutdown", "worker_loop"))


PLAIN = Capture()
"""Times and exceptions, no values."""


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

    @property
    def watched(self) -> bool:
        return self.level != "off"

    @property
    def fixed(self) -> bool:
        return self.by in ("user", "mark")


OFF = Choice("off")


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
        choice = by_strategy(function, levels[function.module], shares.get(index, 0.0), facts.functions)
        aim = aims.get(index)
        if aim is not None and woven(function):
            choice = by_goal(function, choice, aim)
        if function.mark:
            choice = by_mark(function, choice)
        if overrides is not None:
            choice = by_user(function, choice, overrides)
        choices.append(choice)
    return choices


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
    "accessor": "it only reads or sets attributes",
    "constant": "it returns a constant",
    "constructor": "it only sets attributes",
    "delegation": "it only passes its arguments on",
    "empty": "it does nothing",
    "stub": "it only says that it is not implemented",
}


def is_test_code(function: Function) -> bool:
    """Whether it stands among tests."""
    from autoscope.plan.link import is_test

    return is_test(function.module)


def by_strategy(function: Function, level: str, share: float = 0.0, functions: Sequence[Function] = ()) -> Choice:
    """What a strategy makes of a function; `functions` are all there are, by index."""
    if level == "off":
        return replace(OFF, reasons=("left out",))
    no = rejected(function, level)
    if no:
        return replace(OFF, reasons=(no,))
    if level == "full_trace":
        capture = Capture(args=True, returns=True, state="diff" if changes_self(function) else "none")
        return Choice("full_trace", 1.0, capture, ("full_trace watches everything",))
    reasons = least_reasons(function)
    if level == "balanced":
        reasons += more_reasons(function, share, functions)
    if not reasons:
        return replace(OFF, reasons=(not_enough(function, level),))
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
    return len(function.callers) >= CENTRAL and bool(function.callees or function.calls) and function.statements > 2


def least_reasons(function: Function) -> list[str]:
    """What speaks for a function even at `minimal`: work begins or ends in it, or errors stop there."""
    reasons = []
    if is_entry(function):
        reasons.append(f"{_ROLES[function.role]}: {function.role_detail}")
    if is_boundary(function):
        caught = "everything" if "*" in function.catches else next(word for word in function.catches if word in BROAD)
        reasons.append(f"error boundary: catches {caught}")
    return reasons


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
        reasons.append(f"{_ROLES[function.role]}: {function.role_detail}")
    kinds = works_outside(function)
    if kinds:
        reasons.append(f"does I/O: {', '.join(kinds)}")
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
    return (
        f"no entry point, no I/O, not complex (cognitive {function.cognitive}), few callers ({len(function.callers)})"
    )


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
    """What the user's own plan says of the function, key by key."""
    if overrides.excludes(function.module):
        return Choice("off", 1.0, Capture(), ("excluded by the user's plan",), "user")
    told = told_of(overrides, function.module, function.qualname)
    if told is None:
        return choice
    rule, level, source = told
    if level is None and not choice.watched:
        return choice
    if level == "off":
        return Choice("off", 1.0, Capture(), (f"{source} says off",), "user")
    capture = rule.capture if level is not None else _over(overrides, function, choice.capture)
    rate = rule.rate if _says_rate(overrides, function) else choice.rate
    return Choice(
        level or choice.level, rate, capture, (f"{source} says so", *(choice.reasons if choice.watched else ())), "user"
    )


def told_of(plan: Plan, module: str, qualname: str) -> tuple[Rule, str | None, str] | None:
    """(resulting rule, the level said, where) if a plan's `modules` speak of a function."""
    said = list(entries_for(plan, module, qualname))
    if not any(rule.level is not None or rule.rate is not None or rule.capture != SILENT for _, rule in said):
        return None
    level = next((rule.level for _, rule in said if rule.level is not None), None)
    source = next(
        name for name, rule in said if rule.level is not None or rule.rate is not None or rule.capture != SILENT
    )
    return plan.rule_for(module, qualname), level, source


def entries_for(plan: Plan, module: str, qualname: str) -> list[tuple[str, FunctionRule | ModuleRule]]:
    """The entries of `modules` that speak of a function, nearest first, each with its name in the plan."""
    from autoscope.plan.model import is_glob, matches, matches_module

    def near(names: Mapping[str, object]) -> list[str]:
        globs = [name for name in names if is_glob(name)]
        globs.reverse()
        globs.sort(key=len, reverse=True)
        return [name for name in names if not is_glob(name)] + globs

    functions: list[tuple[str, FunctionRule | ModuleRule]] = []
    modules: list[tuple[str, FunctionRule | ModuleRule]] = []
    for name in near(plan.modules):
        if not matches_module(name, module):
            continue
        rule = plan.modules[name]
        for inner in near(rule.functions):
            if matches(inner, qualname):
                functions.append((f"the entry {name} {inner}", rule.functions[inner]))
        modules.append((f"the entry {name}", rule))
    return functions + modules


def _says_rate(plan: Plan, function: Function) -> bool:
    return any(rule.rate is not None for _, rule in entries_for(plan, function.module, function.qualname))


def _over(plan: Plan, function: Function, capture: Capture) -> Capture:
    """A capture with what the user's entries say about it over it."""
    said = SILENT
    for _, rule in entries_for(plan, function.module, function.qualname):
        said = said.over(rule.capture)
    return Capture(
        capture.args if said.args is None else said.args,
        capture.returns if said.returns is None else said.returns,
        capture.exceptions if said.exceptions is None else said.exceptions,
        capture.state if said.state is None else said.state,
    )
