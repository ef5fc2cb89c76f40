"""`autoscope check PLAN [PATH...]`: does a plan still fit the code?"""

from __future__ import annotations

import argparse
import json
import os

from autoscope.cli import output, planning


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "check",
        help="does a plan still fit the code?",
        description="Compares a plan with the code: what it names and is gone, what is new, captures of parameters that are not there, "
        "a budget no longer met. Exit code 0 for ALIGNED, 1 for DRIFTED and CRITICAL_MISS.",
    )
    parser.add_argument("file", metavar="PLAN", help="the plan file")
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        default=[],
        help="packages, projects or scripts (default: as the plan was written for)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    planning.add_profile(parser, ", to estimate the overhead with")
    planning.add_reading(parser)
    parser.set_defaults(command=run, plan=None, strategy=None, include=[], exclude=[], rate=None, budget=None, goal=[])


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict and what it rests on."""
    from autoscope.plan import check
    from autoscope.plan.planner import percent
    from autoscope.plan.resolve import resolve
    from autoscope.plan.update import read_previous
    from autoscope.verdicts import ALIGNED

    costs = planning.cost_table()
    previous = read_previous(arguments.file)
    settings = planning.with_previous(planning.settings_of(arguments, costs, previous), previous, arguments)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AUTOSCOPE_")}
    plan = resolve(plan_file=arguments.file, environ=environ)
    with planning.opened() as cache:
        tree = planning.read_tree(planning.paths_of(arguments, previous), arguments, cache)
        facts = planning.facts_of(tree, arguments, cache)
    found = check.check(previous, plan, facts, settings, costs)
    if arguments.format == "json":
        output.write(json.dumps(found.as_dict(), indent=2) + "\n")
    else:
        lines = [
            f"{found.verdict}  distance {found.distance:g}  ({found.watched} watched, {found.wanted} would be today; "
            f"about {percent(found.share)} of CPU time)"
        ]
        lines += [f"  {item.severity:8}  {item.kind:9}  {item.target}: {item.detail}" for item in found.findings]
        output.write("\n".join(lines) + "\n")
    return 0 if found.verdict == ALIGNED else 1
