"""From facts to a plan: priorities, choices, the budget, the document. Every step's result is kept, for whoever explains it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from autoscope.errors import AutoscopeError, Place, PlanError
from autoscope.plan import goals, write
from autoscope.plan.assign import assign
from autoscope.plan.budget import Estimator, Fitted, Load, Step, fit, measured_load, static_load
from autoscope.plan.choose import OFF, Choice, choose_all
from autoscope.plan.cost import CostTable, slowness
from autoscope.plan.facts import Facts
from autoscope.plan.model import (
    STATES,
    Capture,
    CapturePatch,
    FunctionRule,
    ModuleRule,
    Plan,
    is_glob,
    matches,
    matches_module,
)
from autoscope.plan.profile import Measured, Profile
from autoscope.plan.schema import Node, Table, read_layer
from autoscope.plan.score import LEVELS, Priority, score_all, score_module
from autoscope.plan.values import did_you_mean, printable

TRACED = {"minimal": 0.1}
"""Share of traces recorded, by strategy, where none is asked for; else all."""
MOST_UNREAD = 3
"""Files named in a plan's summary that could not be read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a plan is asked to be."""

    strategy: str = "balanced"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    budget: float | None = None
    rate: float | None = None
    overrides: Plan | None = None
    """The user's own entries, which win."""
    profile: Profile | None = None
    removed: frozenset[bytes] = frozenset()
    """Name digests of entries the user took out of an older plan."""

    @property
    def traced(self) -> float:
        """Share of traces recorded."""
        return TRACED.get(self.strategy, 1.0) if self.rate is None else self.rate

    def digest(self) -> str:
        """Of everything the settings say."""
        overrides = None if self.overrides is None else self.overrides.to_json()
        profile = (
            None
            if self.profile is None
            else (
                self.profile.source,
                self.profile.cpu_ns,
                self.profile.doubt_ns,
                self.profile.cold,
                sorted(self.profile.functions.items(), key=repr),
            )
        )
        words = (
            self.strategy,
            self.include,
            self.exclude,
            self.goals,
            self.budget,
            self.rate,
            overrides,
            profile,
            sorted(self.removed),
        )
        return blake2b(repr(words).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(slots=True)
class Planned:
    """A plan, and all that led to it."""

    facts: Facts
    settings: Settings
    costs: CostTable
    priorities: list[Priority]
    wanted: list[Choice]
    """Before the budget."""
    fitted: Fitted
    load: Load
    estimator: Estimator
    measured: dict[int, Measured]
    notes: list[str] = field(default_factory=list)

    @property
    def choices(self) -> list[Choice]:
        return self.fitted.choices


def make(facts: Facts, settings: Settings, costs: CostTable) -> Planned:
    """The plan. Raises PlanError for overrides that match nothing, AutoscopeError for goals that mean nothing here."""
    measured: dict[int, Measured] = {}
    notes: list[str] = []
    slow = slowness(costs)
    load = static_load(facts, slow)
    if settings.profile is not None:
        measured = assign(settings.profile, facts, {name: module.file for name, module in facts.modules.items()})
        profile = settings.profile
        load = measured_load(facts, measured, profile.cpu_ns, profile.source, profile.doubt_ns, slow)
        load = replace(load, cold=profile.cold)
        notes = list(settings.profile.notes)
    if settings.overrides is not None:
        check_overrides(facts, settings.overrides)
    check_globs(facts, settings)
    priorities = score_all(facts, measured)
    whole = sum(found.own_ns for found in measured.values())
    shares = {index: found.own_ns / whole for index, found in measured.items()} if whole > 0 else {}
    choices = choose_all(
        facts,
        priorities,
        settings.strategy,
        overrides=settings.overrides,
        aims=goals.aims(facts, settings.goals),
        shares=shares,
    )
    choices = keep_out(facts, within(facts, choices, settings), settings.removed)
    estimator = Estimator(facts, load, costs, settings.traced)
    fitted = fit(facts, choices, priorities, estimator, settings.budget, shares)
    return Planned(facts, settings, costs, priorities, choices, fitted, load, estimator, measured, notes)


def outside(facts: Facts, settings: Settings) -> dict[str, str]:
    """Modules that `include` and `exclude` leave out, each with why."""
    left_out = {}
    for name in facts.modules:
        pattern = next((glob for glob in settings.exclude if matches_module(glob, name)), None)
        if pattern is not None:
            left_out[name] = f"excluded: {pattern}"
        elif settings.include and not any(matches_module(glob, name) for glob in settings.include):
            left_out[name] = "not included"
    return left_out


def within(facts: Facts, choices: list[Choice], settings: Settings) -> list[Choice]:
    """Choices without those in modules that `include` and `exclude` leave out."""
    left_out = outside(facts, settings)
    if not left_out:
        return choices
    return [
        replace(OFF, reasons=(left_out[function.module],), by="user") if function.module in left_out else choice
        for function, choice in zip(facts.functions, choices, strict=True)
    ]


def keep_out(facts: Facts, choices: list[Choice], removed: frozenset[bytes]) -> list[Choice]:
    """Choices without what the user took out of an older plan: functions, whole modules, the `state` captured of functions."""
    if not removed:
        return choices
    said = {digest[:4]: digest[4:] for digest in removed}
    whole = {name for name in facts.modules if write.name_digest(name, "") in said}
    state_alone = {
        write.value_digest(FunctionRule(capture=CapturePatch(state=state))) for state in STATES if state != "none"
    }
    kept = []
    for function, choice in zip(facts.functions, choices, strict=True):
        taken = said.get(write.name_digest(function.module, function.qualname))
        if choice.watched and not choice.fixed:
            if taken in state_alone and function.module not in whole:
                choice = replace(choice, capture=choice.capture._replace(state="none"))
            elif taken is not None or function.module in whole:
                choice = replace(OFF, reasons=("taken out of the plan by hand",), by="user")
        kept.append(choice)
    return kept


def check_globs(facts: Facts, settings: Settings) -> None:
    """Raises AutoscopeError for an `include` or `exclude` that matches no module."""
    for word, globs in (("--include", settings.include), ("--exclude", settings.exclude)):
        for glob in globs:
            if not any(matches_module(glob, name) for name in facts.modules):
                raise AutoscopeError(
                    f"{word} {glob}: no such module here; {did_you_mean(glob, list(facts.modules))}{_some(facts.modules)}"
                )


def unmatched(facts: Facts, plan: Plan) -> list[tuple[str, str]]:
    """(module entry, function entry or "") of a plan's `modules` that speak of nothing in the code."""
    names: dict[str, set[str]] = {name: set() for name in facts.modules}
    for function in facts.functions:
        names[function.module].add(function.qualname)
    found = []
    for name, rule in plan.modules.items():
        meant = (
            [module for module in names if matches_module(name, module)] if is_glob(name) else [name] * (name in names)
        )
        if not meant and name != "__main__":
            if name != write.EVERYTHING:
                found.append((name, ""))
            continue
        for qualname in rule.functions:
            if name == "__main__":
                continue
            if is_glob(qualname):
                if not any(matches(qualname, function) for module in meant for function in names[module]):
                    found.append((name, qualname))
            elif not any(qualname in names[module] for module in meant):
                found.append((name, qualname))
    return found


def check_overrides(facts: Facts, overrides: Plan) -> None:
    """Raises PlanError for an entry of the user's that matches nothing."""
    for name, qualname in unmatched(facts, overrides):
        place = place_of(overrides.source, name, qualname) if overrides.source else None
        if not qualname:
            way = f"{did_you_mean(name, list(facts.modules))}{_some(facts.modules)}"
            raise PlanError(f'modules["{name}"]: the code has no such module; {way}', place)
        known = sorted(function.qualname for function in facts.functions if matches_module(name, function.module))
        way = f"{did_you_mean(qualname, known)}{_some(known)}"
        raise PlanError(f'modules["{name}"].functions["{qualname}"]: the code has no such function; {way}', place)


def place_of(path: str, module: str, qualname: str) -> Place:
    """Where an entry stands in a plan file or in what it extends; the file alone where that cannot be told."""
    from autoscope.plan.load import parse, read_bytes

    try:
        root = parse(read_bytes(path), path)
        node: Node | None = root
        place = Place(path)
        for key in ("modules", module, *(("functions", qualname) if qualname else ())):
            if not isinstance(node, Table) or key not in node.entries:
                break
            place, node = node.entries[key]
        else:
            return place
        for word in read_layer(root).extends:
            if not word.text.startswith("autoscope:"):
                other = os.path.join(os.path.dirname(path), os.path.expanduser(word.text))
                found = place_of(other, module, qualname)
                if found.line:
                    return found
    except PlanError:
        pass  # it was changed since
    return Place(path)


def _some(names: Sequence[str] | Mapping[str, Any]) -> str:
    listed = sorted(names)
    return f"there are {', '.join(listed[:6])}{', …' if len(listed) > 6 else ''}" if listed else "there are none"


# The document.


def document(
    planned: Planned, *, own: Mapping[str, ModuleRule] | None = None, kept: Mapping[str, str] | None = None
) -> write.Document:
    """The plan file's content. `own`: those of the user's entries that stand in this file (None: all); `kept`: his top-level settings."""
    facts, settings = planned.facts, planned.settings
    headings = {name: heading(planned, name) for name in facts.modules}
    modules = write.entries(facts, planned.choices, headings, settings.overrides, own, outside(facts, settings))
    plain: dict[str, str] = {
        "strategy": "balanced" if settings.strategy == "auto" else settings.strategy,
        "include": write.flow(settings.include or roots(facts)),
    }
    if settings.exclude:
        plain["exclude"] = write.flow(settings.exclude)
    if settings.budget is not None:
        plain["budget"] = write.budget_text(settings.budget)
    plain["sampling"] = f"{{rate: {write.number(settings.traced)}}}"
    ours = {name: value for name, value in plain.items() if name not in (kept or {})}
    plain.update(kept or {})
    return write.Document(summary(planned), plain, modules, provenance(planned, modules, ours))


def roots(facts: Facts) -> tuple[str, ...]:
    """Globs that mean all modules there are."""
    tops: dict[str, bool] = {}
    for name, module in facts.modules.items():
        top, dot, _ = name.partition(".")
        tops[top] = tops.get(top, False) or bool(dot) or os.path.basename(module.file) == "__init__.py"
    return tuple(f"{top}.*" if package else top for top, package in sorted(tops.items()))


def heading(planned: Planned, name: str) -> str:
    """What stands beside a module's name."""
    module, choices = planned.facts.modules[name], planned.choices
    priority = score_module(module, planned.priorities)
    words = [f"{priority.level} ({priority.score:g})"]
    if module.type != "code":
        words.insert(0, module.type)
    watched = sum([choices[index].level != "off" for index in module.functions])
    return f"{', '.join(words)}; {watched} of {len(module.functions)} functions"


def summary(planned: Planned) -> list[str]:
    """The comment at the top of the file, as lines."""
    from autoscope import __version__

    facts, settings = planned.facts, planned.settings
    count = Counter(choice.level for choice in planned.choices if choice.watched)
    total = sum(count.values())
    levels = ", ".join(f"{count[level]} {level}" for level in ("full_trace", "balanced", "minimal") if count[level])
    priorities = Counter(priority.level for priority in planned.priorities)
    lines = [
        f"Written by autoscope {__version__}: strategy {settings.strategy}"
        + (f", {', '.join(f'goal {goal}' for goal in settings.goals)}" if settings.goals else "")
        + ".",
        "",
        f"seen      {plural(len(facts.functions), 'function')} in {plural(len(facts.modules), 'module')}"
        + (f"; {plural(facts.tests, 'test module')} not read (--tests)" if facts.tests else "")
        + (f"; {plural(len(facts.skipped), 'file')} left out" if facts.skipped else ""),
        f"watched   {total:,}: {levels}" if total else "watched   nothing",
        "priority  " + ", ".join(f"{priorities[level]:,} {level}" for level, _ in LEVELS),
        "overhead  " + overhead(planned),
    ]
    lines += [
        f"profile   {planned.load.source}"
        if planned.measured
        else "profile   none: calls are estimated from the source"
    ]
    lines += [f"unread    {line}" for line in unread(facts)]
    lines += [f"given up  {line}" for line in given_up(planned)]
    lines += [f"note      {note}" for note in planned.notes]
    lines += [
        "",
        "Change what you like: `autoscope plan --update FILE` keeps it. The reason for each entry stands beside it.",
    ]
    return lines


def unread(facts: Facts) -> list[str]:
    """The files that are missing from the plan though they are code, with the reason: the first few, and how many more."""
    lines = []
    for path, reason in facts.unread[:MOST_UNREAD]:
        lines.append(f"{printable(os.path.relpath(path, facts.root))}: {reason}")
    more = len(facts.unread) - MOST_UNREAD
    return lines if more <= 0 else [*lines, f"and {plural(more, 'file')} more: see --format table"]


def overhead(planned: Planned) -> str:
    """The estimate in words."""
    fitted, settings = planned.fitted, planned.settings
    known = "from a profile" if planned.measured else "from the source alone: within a factor of five or so"
    words = f"about {percent(fitted.share)} of CPU time, {known}"
    if settings.budget is None:
        return words + "; no budget given"
    words += f"; budget {percent(settings.budget)}"
    if fitted.share > settings.budget:
        return words + ": NOT MET by the least there is to watch"
    return words + (f", {percent(fitted.share_before)} before it" if fitted.steps else "")


def plural(count: int, what: str) -> str:
    """`1 file`, `1,200 files`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """`2.3 %`."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


_GIVEN_UP = {
    "rate": "rates lowered",
    "capture": "captured values left out",
    "level": "modules watched less closely",
    "drop": "functions dropped",
    "thin": "rates lowered of what is always kept",
}


def given_up(planned: Planned) -> list[str]:
    """The budget's steps, those of a kind in a row as one line."""
    lines: list[str] = []
    row: list[Step] = []
    for step in [*planned.fitted.steps, None]:
        if row and (step is None or step.what != row[0].what):
            names = list(dict.fromkeys(_target(planned, found) for found in row))
            listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            lines.append(f"{len(names):,} {_GIVEN_UP[row[0].what]} ({listed}): {percent(row[-1].share)} left")
            row = []
        if step is not None:
            row.append(step)
    return lines


def _target(planned: Planned, step: Step) -> str:
    function = planned.facts.functions[step.index]
    return function.module if step.what == "level" else function.name


def provenance(
    planned: Planned, modules: Mapping[str, write.ModuleEntry], settings: Mapping[str, str]
) -> dict[str, Any]:
    """What the plan was computed from, and which of it is ours."""
    from autoscope import __version__

    asked = planned.settings
    names = {function.name for function in planned.facts.functions if not function.overload}
    found: dict[str, Any] = {
        "autoscope": __version__,
        "source": planned.facts.digest,
        "strategy": asked.strategy,
        "rate": asked.rate,
        "include": list(asked.include),
        "goals": list(asked.goals),
        "estimate": round(planned.fitted.share, 6),
        "costs": f"{planned.costs.interpreter} {planned.costs.source} {planned.costs.digest()}",
        "profile": planned.load.source if planned.measured else None,
        "critical": write.pack(
            {
                write.function_digest(function.name)
                for function, choice, priority in zip(
                    planned.facts.functions, planned.choices, planned.priorities, strict=True
                )
                if choice.watched and priority.level == "critical"
            }
        ),
        "settings": write.pack(setting_digest(name, value) for name, value in settings.items()),
        "entries": write.ours(modules),
        "functions": write.pack({write.function_digest(name) for name in names}),
    }
    return found


def setting_digest(name: str, value: str) -> bytes:
    """Four bytes that stand for a top-level setting as written."""
    return blake2b(f"{name}: {value}".encode(), digest_size=4).digest()


def capture_as_dict(capture: Capture) -> dict[str, Any]:
    """What is captured, in a plan's words."""
    return {
        "args": capture.args,
        "return": capture.returns,
        "exceptions": capture.exceptions,
        "state": capture.state,
    }


def as_dict(planned: Planned) -> dict[str, Any]:
    """The plan with everything known of it, for `--format json`."""
    functions = []
    for index, function in enumerate(planned.facts.functions):
        choice, priority = planned.choices[index], planned.priorities[index]
        functions.append(
            {
                "name": function.name,
                "level": choice.level,
                "rate": choice.rate,
                "capture": capture_as_dict(choice.capture),
                "reasons": list(choice.reasons),
                "decided_by": choice.by,
                "priority": priority.level,
                "score": priority.score,
                "calls": planned.load.calls.get(index, 0.0),
                "cost_ns": planned.estimator.of(index, choice),
            }
        )
    fitted = planned.fitted
    return {
        "strategy": planned.settings.strategy,
        "functions": functions,
        "modules": {
            name: {"priority": score_module(module, planned.priorities).level, "type": module.type}
            for name, module in planned.facts.modules.items()
        },
        "skipped": [{"path": path, "reason": reason} for path, reason in planned.facts.skipped],
        "overhead": {
            "share": fitted.share,
            "before_budget": fitted.share_before,
            "budget": planned.settings.budget,
            "from": planned.load.source,
            "is_minimum": fitted.is_minimum,
        },
        "steps": [
            {
                "what": step.what,
                "target": _target(planned, step),
                "from": {"level": step.before.level, "rate": step.before.rate},
                "to": {"level": step.after.level, "rate": step.after.rate},
                "share": step.share,
            }
            for step in fitted.steps
        ],
        "notes": planned.notes,
    }
