"""A plan against the code as it is now: what the plan names and is gone, what is new, what it asks for that cannot be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autoscope.errors import AutoscopeError
from autoscope.plan import goals as goals_of
from autoscope.plan import planner
from autoscope.plan.budget import Estimator
from autoscope.plan.choose import OFF, Choice
from autoscope.plan.cost import CostTable
from autoscope.plan.facts import Facts, Function
from autoscope.plan.model import ModuleRule, Plan, Rule, is_glob, matches_module
from autoscope.plan.planner import Planned, Settings
from autoscope.plan.update import Previous
from autoscope.plan.write import function_digest, unpack
from autoscope.verdicts import verdict_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which plan and code differ."""

    severity: str
    """`critical`, `drift` or `note`."""
    kind: str
    """`vanished`, `unmatched`, `parameter`, `new`, `budget`, `goal` or `source`."""
    target: str
    detail: str


@dataclass(frozen=True, slots=True)
class Check:
    """What came of it."""

    verdict: str
    findings: tuple[Finding, ...]
    distance: float
    """From 0 to 1: of the functions that the plan watches or a new one would, the share on which the two differ."""
    watched: int
    wanted: int
    share: float
    """The estimate for the plan on the code as it is."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "verdict": self.verdict,
            "distance": self.distance,
            "watched": self.watched,
            "wanted": self.wanted,
            "estimate": self.share,
            "findings": [
                {"severity": found.severity, "kind": found.kind, "target": found.target, "detail": found.detail}
                for found in self.findings
            ],
        }


def check(previous: Previous, plan: Plan, facts: Facts, settings: Settings, costs: CostTable) -> Check:
    """`plan` is what `previous`, a plan file, resolves to; `settings` what it was asked to be."""
    findings = vanished(previous, plan, facts)
    findings += parameters(plan, facts)
    settings, unmet = _met(facts, settings)
    findings += unmet
    planned = _replan(facts, settings, costs, findings)
    watched = {
        function.name: rule
        for function, rule in _rules(plan, facts)
        if rule.level != "off" and _is_told_apart(function)
    }
    wanted = {
        function.name: choice
        for function, choice in zip(facts.functions, planned.choices, strict=True)
        if choice.watched and not function.overload and _is_told_apart(function)
    }
    findings += new_functions(previous, planned, watched)
    share = _estimate(plan, planned)
    budget = plan.budget_overhead
    if budget is not None and share > budget:
        detail = f"now about {planner.percent(share)}, allowed {planner.percent(budget)}"
        if planned.fitted.is_minimum and share <= planned.fitted.share * 1.000001:
            findings.append(Finding("note", "budget", "budget", f"{detail}; there is no less to watch"))
        else:
            findings.append(Finding("drift", "budget", "budget", f"{detail}; plan again, or allow more"))
    source = previous.provenance.get("source")
    if source and source != facts.digest:
        findings.append(Finding("note", "source", "source", "the code has changed since the plan was written"))
    gone = {found.target for found in findings if found.kind == "vanished"}
    distance = (
        _distance(set(watched) | gone, set(wanted))
        if previous.by_planner
        else _distance(set(watched) | gone, set(watched))
    )
    verdict = verdict_of(found.severity for found in findings)
    order = {"critical": 0, "drift": 1, "note": 2}
    findings.sort(key=lambda found: (order[found.severity], found.kind, found.target))
    return Check(verdict, tuple(findings), distance, len(watched), len(wanted), share)


def _replan(facts: Facts, settings: Settings, costs: CostTable, findings: list[Finding]) -> Planned:
    """What would be planned today; a goal whose target is gone is a finding, not an end."""
    goals = []
    for goal in settings.goals:
        try:
            goals_of.aims(facts, [goal])
            goals.append(goal)
        except AutoscopeError as error:
            findings.append(Finding("critical", "goal", goal, str(error)))
    still = replace(settings, goals=tuple(goals), overrides=_matching(facts, settings.overrides))
    return planner.make(facts, still, costs)


def _met(facts: Facts, settings: Settings) -> tuple[Settings, list[Finding]]:
    """Settings without the globs that match no module any more, and those."""
    found = []
    still: dict[str, tuple[str, ...]] = {}
    for word, globs in (("include", settings.include), ("exclude", settings.exclude)):
        still[word] = tuple(glob for glob in globs if any(matches_module(glob, name) for name in facts.modules))
        lost = [glob for glob in globs if glob not in still[word]]
        found += [Finding("drift", "unmatched", f"{word}: {glob}", "matches no module") for glob in lost]
    return replace(settings, include=still["include"], exclude=still["exclude"]), found


def _matching(facts: Facts, overrides: Plan | None) -> Plan | None:
    """The user's entries that still speak of something."""
    if overrides is None:
        return None
    lost = set(planner.unmatched(facts, overrides))
    modules = {}
    for name, rule in overrides.modules.items():
        if (name, "") not in lost:
            functions = {qualname: inner for qualname, inner in rule.functions.items() if (name, qualname) not in lost}
            modules[name] = rule._replace(functions=functions)
    return overrides._replace(modules=modules)


def vanished(previous: Previous, plan: Plan, facts: Facts) -> list[Finding]:
    """Entries that speak of nothing."""
    critical = unpack(previous.provenance.get("critical"), 4)
    found = []
    for name, qualname in planner.unmatched(facts, plan):
        target = f"{name}.{qualname}" if qualname else name
        if is_glob(name) or is_glob(qualname):
            found.append(Finding("drift", "unmatched", target, "matches nothing"))
            continue
        rules = plan.modules[name].functions
        said = [rules[qualname]] if qualname else list(rules.values())
        off = bool(said) and all(rule.level == "off" for rule in said)
        names = [target] if qualname else [f"{name}.{inner}" for inner in rules]
        important = not previous.by_planner or any(function_digest(word) in critical for word in names)
        severity = "drift" if off or not important else "critical"
        what = "function" if qualname else "module"
        found.append(Finding(severity, "vanished", target, f"the plan names it, the code has no such {what}"))
    return found


def parameters(plan: Plan, facts: Facts) -> list[Finding]:
    """Captures that name a parameter the function does not have."""
    found = []
    for function, rule in _rules(plan, facts):
        if rule.level == "off" or not isinstance(rule.capture.args, tuple):
            continue
        missing = [name for name in rule.capture.args if name not in function.parameters]
        # A glob's list may name what only some of its functions have.
        if missing and function.qualname in plan.modules.get(function.module, _NOTHING).functions:
            has = ", ".join(function.parameters) or "none"
            found.append(
                Finding(
                    "drift", "parameter", function.name, f"captures {', '.join(missing)}; its parameters are: {has}"
                )
            )
    return found


def new_functions(previous: Previous, planned: Planned, watched: Mapping[str, Rule]) -> list[Finding]:
    """Functions that were not there at plan time and that a plan of today would watch."""
    known = unpack(previous.provenance.get("functions"), 4)
    if not known:
        return []
    found = []
    for index, function in enumerate(planned.facts.functions):
        choice = planned.choices[index]
        if (
            not choice.watched
            or function.name in watched
            or function.overload
            or function_digest(function.name) in known
        ):
            continue
        if not _is_told_apart(function):
            continue
        severity = "critical" if planned.priorities[index].level == "critical" else "drift"
        found.append(Finding(severity, "new", function.name, f"new, not watched: {'; '.join(choice.reasons)}"))
    return found


def _is_told_apart(function: Function) -> bool:
    """Whether it has a name of its own, as lambdas have not."""
    return not function.qualname.endswith("<lambda>")


_NOTHING = ModuleRule()


def _rules(plan: Plan, facts: Facts) -> list[tuple[Function, Rule]]:
    """Every function in a module that the plan does not leave out, with what the plan comes to for it."""
    selected = {name for name in facts.modules if plan.selects(name) is not False}
    return [
        (function, plan.rule_for(function.module, function.qualname))
        for function in facts.functions
        if not function.overload and function.module in selected
    ]


def _estimate(plan: Plan, planned: Planned) -> float:
    estimator = Estimator(planned.facts, planned.load, planned.costs, plan.sampling.rate)
    choices = {
        function.name: Choice(rule.level, rule.rate, rule.capture) for function, rule in _rules(plan, planned.facts)
    }
    functions = planned.facts.functions
    return estimator.share(
        estimator.total([OFF if function.overload else choices.get(function.name, OFF) for function in functions])
    )


def _distance(one: set[str], other: set[str]) -> float:
    """Jaccard's: the share of all names that only one of the two has."""
    together = one | other
    return round(len(one ^ other) / len(together), 4) if together else 0.0
