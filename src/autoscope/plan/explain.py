"""Why a function is watched, or is not: its facts, its score, each rule with what it came to, what would change the verdict, the cost."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from autoscope.plan import choose, planner
from autoscope.plan.facts import Function
from autoscope.plan.planner import Planned
from autoscope.plan.score import is_boundary
from autoscope.plan.write import key

NS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def explain(planned: Planned, index: int) -> dict[str, Any]:
    """Everything about one function, as JSON can hold it."""
    function, choice, priority = planned.facts.functions[index], planned.choices[index], planned.priorities[index]
    facts = asdict(function)
    facts["callees"] = {planned.facts.functions[callee].name: weight for callee, weight in function.callees.items()}
    facts["callers"] = [planned.facts.functions[caller].name for caller in function.callers]
    estimator = planned.estimator
    watched = choose.Choice("balanced", 1.0) if not choice.watched else choice
    return {
        "name": function.name,
        "level": choice.level,
        "rate": choice.rate,
        "capture": planner.capture_as_dict(choice.capture),
        "decided_by": choice.by,
        "reasons": list(choice.reasons),
        "priority": {
            "level": priority.level,
            "score": priority.score,
            "parts": {name: round(points, 1) for name, points in priority.parts.items()},
        },
        "rules": [{"rule": name, "holds": holds, "because": because} for name, holds, because in rules(planned, index)],
        "would_change": would_change(planned, index),
        "cost": {
            "calls": planned.load.calls.get(index, 0.0),
            "calls_from": planned.load.source,
            "watched_ns": estimator.of(index, watched),
            "share": estimator.share(estimator.of(index, watched)),
        },
        "budget_steps": budget_steps(planned, index),
        "facts": facts,
    }


def budget_steps(planned: Planned, index: int) -> list[dict[str, Any]]:
    """What the budget took from a function, in order, by itself or with its module."""
    function = planned.facts.functions[index]
    namesakes = {
        other
        for other in planned.facts.modules[function.module].functions
        if planned.facts.functions[other].qualname == function.qualname
    }
    return [
        {"what": step.what, "from": part.before.level, "to": part.after.level, "rate": part.after.rate}
        for step in planned.fitted.steps
        for part in step.parts or (step,)
        if part.index in namesakes
    ]


def rules(planned: Planned, index: int) -> list[tuple[str, bool, str]]:
    """(rule, whether it speaks for watching, with what), in the order in which they decide."""
    function = planned.facts.functions[index]
    settings = planned.settings
    found: list[tuple[str, bool, str]] = []
    if settings.overrides is not None:
        said = choose.told_of(settings.overrides, function.module, function.qualname)
        if said is not None:
            found.append(("the user's plan", said[1] != "off", f"{said[2]}: {said[1] or 'no level'}"))
    if function.mark:
        found.append(("the author's mark", function.mark == "trace", function.mark))
    wanted = planned.wanted[index]
    if wanted.by == "goal":
        found.append(("a goal", True, wanted.reasons[0]))
    level = level_in(planned, function)
    no = choose.rejected(function, level)
    found.append((f"may be watched at {level}", not no, no or "nothing speaks against it"))
    role = f"{function.role}: {function.role_detail}" if function.role else "no role"
    found.append(("entry point", choose.is_entry(function), role))
    found.append(("error boundary", is_boundary(function), f"catches {', '.join(function.catches) or 'nothing'}"))
    found.append(("does I/O", bool(choose.works_outside(function)), ", ".join(function.io) or "none seen"))
    shape = f"cognitive {function.cognitive} (from {choose.COMPLEX}), cyclomatic {function.cyclomatic} (from {choose.BRANCHY})"
    found.append(("complex", choose.is_complex(function), shape))
    called = (
        f"calls {planner.plural(len(function.callees), 'function')} (from {choose.COORDINATES}, some of other modules)"
    )
    found.append(("coordinates", choose.coordinates(function, planned.facts.functions), called))
    callers = f"{planner.plural(len(function.callers), 'caller')} (from {choose.CENTRAL})"
    found.append(("central", choose.is_central(function), callers))
    if planned.measured:
        whole = sum(measured.own_ns for measured in planned.measured.values())
        own = planned.measured[index].own_ns if index in planned.measured else 0.0
        share = own / whole if whole else 0.0
        found.append(
            ("takes time", share >= choose.HOT_SHARE, f"{share:.1%} of all own time (from {choose.HOT_SHARE:.0%})")
        )
    return found


def level_in(planned: Planned, function: Function) -> str:
    """The level the strategy has for the function's module."""
    strategy = planned.settings.strategy
    return choose.level_for(planned.facts, function.module, planned.priorities) if strategy == "auto" else strategy


def would_change(planned: Planned, index: int) -> list[str]:
    """What would make the verdict another, one sentence each; each is true by itself."""
    function, choice = planned.facts.functions[index], planned.choices[index]
    entry = f"modules: {{{key(function.module)}: {{functions: {{{key(function.qualname)}: "
    has_line = not function.qualname.endswith("<lambda>")  # of its own, to write a mark on
    whole = sum(measured.own_ns for measured in planned.measured.values())
    share = planned.measured[index].own_ns / whole if whole and index in planned.measured else 0.0

    def watched_at(level: str, other: Function = function) -> bool:
        return choose.by_strategy(other, level, share, planned.facts.functions).watched

    level = level_in(planned, function)
    if choice.by == "mark":
        way = f"{entry}{{level: {'off' if choice.watched else 'balanced'}}}}}}}}}"
        found = [f"to {'leave it out' if choice.watched else 'watch it'}: {way}"]
        if watched_at(level) != choice.watched:
            found.append(f"take the mark off its definition (line {function.line})")
        return found
    if choice.watched:
        found = [f"to leave it out: {entry}{{level: off}}}}}}}}"]
        if has_line and choice.by != "user":
            found[0] += ", or `# autoscope: off` on its `def` line"
        if choice.by == "strategy" and not watched_at("minimal"):
            found.append("--strategy minimal would not watch it")
        return found
    if choice.by == "user":
        return [f"change what the plan or the options say: {choice.reasons[0]}"]
    found = [f"to watch it: {entry}{{level: balanced}}}}}}}}"]
    if has_line:
        found[0] += ", or @autoscope.trace on its definition"
    budget = planned.settings.budget
    room = "" if budget is None else ", if the budget has room for it"
    strategies = ("balanced", "full_trace")
    found += [f"--strategy {other}{room}" for other in strategies if other != level and watched_at(other)]
    if planned.wanted[index].watched:
        found.append(f"a larger budget than {planner.percent(budget or 0.0)}")
    else:
        missing = [what for what, other in _with_more(function) if watched_at(level, other)]
        if missing:
            found.append(f"{', '.join(missing[:-1])}{' or ' if missing[1:] else ''}{missing[-1]}{room}")
    return found


def _with_more(function: Function) -> list[tuple[str, Function]]:
    """What might speak for a function, and the function with it."""
    return [
        ("I/O of its own", replace(function, io=(*function.io, "file"))),
        (f"cognitive complexity of {choose.COMPLEX}", replace(function, cognitive=choose.COMPLEX)),
        (f"{choose.CENTRAL} callers", replace(function, callers=tuple(range(choose.CENTRAL)))),
        ("a handler for every `Exception`", replace(function, catches=(*function.catches, "Exception"))),
    ]


def duration(nanoseconds: float) -> str:
    """`1.2 ms`."""
    size, unit = next(((size, unit) for size, unit in NS if nanoseconds >= size), NS[-1])
    return f"{nanoseconds / size:.3g} {unit}"
