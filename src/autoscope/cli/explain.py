"""`autoscope explain TARGET`: every choice for a function or module, with its reasons."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from autoscope.cli import output, planning
from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    from autoscope.plan.planner import Planned


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "explain",
        help="why a function is watched, or is not",
        description="Plans the code under PATH and explains the choice for TARGET: its facts, its score, each rule that was asked, "
        "what would change the verdict, and what watching it costs.",
    )
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="a function, class or module, such as shop.cart.Cart.add"
    )
    parser.add_argument("paths", metavar="PATH", nargs="*", help="packages, projects or scripts (default: here)")
    parser.add_argument(
        "--why-not", metavar="GLOB", help="list what is not watched among the functions a glob matches, and why"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    planning.add_planning(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; exit code 1 where `--why-not` found nothing."""
    from autoscope.plan import planner
    from autoscope.plan.update import read_previous

    if arguments.why_not:
        if arguments.target:
            arguments.paths.insert(0, arguments.target)
    elif not arguments.target:
        raise AutoscopeError("explain: name a function, class or module, or give --why-not GLOB")
    planning.check_strategy(arguments)
    costs = planning.cost_table()
    previous = read_previous(arguments.plan) if arguments.plan else None
    settings = planning.settings_of(arguments, costs, previous)
    if previous is not None:
        settings = planning.with_previous(settings, previous, arguments)
    with planning.opened() as cache:
        tree = planning.read_tree(planning.paths_of(arguments, previous), arguments, cache)
        facts = planning.facts_of(tree, arguments, cache)
    planned = planner.make(facts, settings, costs)
    if arguments.why_not:
        return _why_not(planned, arguments.why_not, arguments.format)
    return _explain(planned, arguments.target, arguments.format)


def _why_not(planned: Planned, glob: str, form: str) -> int:
    from autoscope.plan.goals import named
    from autoscope.plan.model import matches

    functions = planned.facts.functions
    meant = [
        index
        for index, function in enumerate(functions)
        if matches(glob, function.name) or matches(glob, function.qualname)
    ]
    if not meant:
        meant = named(planned.facts, glob, glob, "--why-not")
    found = [
        (functions[index].name, "; ".join(planned.choices[index].reasons))
        for index in meant
        if not planned.choices[index].watched
    ]
    found = list(dict.fromkeys(found))  # those that share a name share the choice
    if form == "json":
        output.write(json.dumps([{"name": name, "why": why} for name, why in found], indent=2) + "\n")
    else:
        width = max((len(name) for name, _ in found), default=0)
        output.write("".join(f"{name:{min(width, 70)}}  {why}\n" for name, why in found))
    if not found:
        planning.say(f"no function that {glob} matches is left out")
    return 0 if found else 1


def _explain(planned: Planned, target: str, form: str) -> int:
    from autoscope.plan import explain
    from autoscope.plan.goals import named

    indices = named(planned.facts, target, target, "explain")
    # A function's own name means it alone, whatever is defined inside it.
    indices = [index for index in indices if planned.facts.functions[index].name == target] or indices
    if len({planned.facts.functions[index].name for index in indices}) > 1 and form == "text":
        output.write(_listing(planned, target, indices))
        return 0
    found = [explain.explain(planned, index) for index in indices]
    if form == "json":
        output.write(json.dumps(found[0] if len(found) == 1 else found, indent=2) + "\n")
    else:
        output.write("\n".join(map(_text, found)))
    return 0


def _listing(planned: Planned, target: str, indices: list[int]) -> str:
    from autoscope.plan.score import score_module

    lines = []
    module = planned.facts.modules.get(target)
    if module is not None:
        priority = score_module(module, planned.priorities)
        lines += [
            f"{target}: {module.type}, {priority.level} ({priority.score:g}), {module.lines:,} lines, {len(module.functions)} functions",
            f"  imported by {len(module.imported_by)} modules, imports {len(module.imports)}; "
            f"called from {module.called_from} functions of others, calls {module.calls_out}",
        ]
    for index in indices:
        function, choice, priority = planned.facts.functions[index], planned.choices[index], planned.priorities[index]
        rate = f" {choice.rate:g}" if choice.watched and choice.rate != 1.0 else ""
        lines.append(f"{choice.level + rate:15} {priority.level:8} {function.name}  {'; '.join(choice.reasons)}")
    return "\n".join(lines) + "\n"


def _text(found: dict[str, Any]) -> str:
    from autoscope.plan.explain import duration
    from autoscope.plan.planner import percent, plural

    facts, cost, priority = found["facts"], found["cost"], found["priority"]
    rate = f", rate {found['rate']:g}" if found["level"] != "off" else ""
    lines = [
        f"{found['name']}  ({facts['module']}, lines {facts['line']} to {facts['end_line']})",
        f"  verdict   {found['level']}{rate}, decided by the {found['decided_by']}",
        *(f"            {reason}" for reason in found["reasons"]),
        f"  priority  {priority['level']}, {priority['score']:g}: "
        + (", ".join(f"{name} {points:+.3g}" for name, points in priority["parts"].items()) or "nothing speaks for it"),
        "  rules",
    ]
    lines += [
        f"    {'yes' if rule['holds'] else 'no ':3}  {rule['rule']}: {rule['because']}" for rule in found["rules"]
    ]
    lines += [
        f"    budget: {step['what']}, {step['from']} -> {step['to']}"
        + (f" at {step['rate']:g}" * (step["to"] != "off"))
        for step in found["budget_steps"]
    ]
    lines += [
        "  facts",
        f"    {facts['kind']}, {plural(facts['statements'], 'statement')}, cyclomatic {facts['cyclomatic']}, cognitive {facts['cognitive']}, "
        f"loops {facts['loop_depth']} deep" + (f", trivial ({facts['trivial']})" if facts["trivial"] else ""),
        f"    called from {len(facts['callers'])}, calls {len(facts['callees'])} of the project's functions; "
        f"about {facts['frequency']:.3g} times for each round of the entry points",
    ]
    for name, label in (
        ("io", "I/O"),
        ("raises", "raises"),
        ("catches", "catches"),
        ("swallows", "swallows"),
        ("changes", "changes"),
    ):
        if facts[name]:
            lines.append(f"    {label}: {', '.join(facts[name])}")
    lines += [
        "  cost",
        f"    called {cost['calls']:,.4g} times (from {cost['calls_from']}), {duration(cost['watched_ns'])} to watch them, "
        f"{percent(cost['share'])} of CPU time",
        "  what would change it",
        *(f"    {line}" for line in found["would_change"]),
    ]
    return "\n".join(lines) + "\n"
