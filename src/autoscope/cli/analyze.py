"""`autoscope analyze PATH...`: what can be seen in the code, without judgement."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from autoscope.cli import output, planning

if TYPE_CHECKING:
    from autoscope.plan.facts import Facts


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "analyze",
        help="facts about a code base, function by function",
        description="Reads the code under PATH, without importing it, and shows what can be seen in each function and module: "
        "size, complexity, calls, I/O, roles, how often it is likely to run. docs/planner.md explains the fields.",
    )
    parser.add_argument("paths", metavar="PATH", nargs="*", help="packages, projects or scripts (default: here)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    planning.add_reading(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the facts."""
    with planning.opened() as cache:
        tree = planning.read_tree(list(arguments.paths) or ["."], arguments, cache)
        facts = planning.facts_of(tree, arguments, cache)
    if arguments.format == "json":
        output.write(json.dumps(as_dict(facts), indent=1) + "\n")
    else:
        _table(facts)
    return 0


def as_dict(facts: Facts) -> dict[str, Any]:
    """As JSON can hold it: functions by name instead of by index."""
    names = [function.name for function in facts.functions]
    functions = []
    for function in facts.functions:
        found = asdict(function)
        found["callees"] = {names[index]: weight for index, weight in function.callees.items()}
        found["callers"] = [names[index] for index in function.callers]
        functions.append({"name": function.name, **found})
    modules = []
    for module in facts.modules.values():
        found = asdict(module)
        found["functions"] = [names[index] for index in module.functions]
        modules.append(found)
    return {
        "root": facts.root,
        "digest": facts.digest,
        "functions": functions,
        "modules": modules,
        "skipped": [{"path": path, "reason": reason} for path, reason in facts.skipped],
    }


def _table(facts: Facts) -> None:
    from rich.table import Table

    from autoscope.plan.planner import plural
    from autoscope.plan.values import printable

    console = output.console()
    table = Table(box=None, pad_edge=False)
    table.add_column("function", overflow="fold", min_width=output.NAME)
    table.add_column("role", overflow="fold")
    for name in ("lines", "cyclomatic", "cognitive", "loops", "callers", "calls", "frequency"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("I/O", overflow="fold")
    table.add_column("trivial", overflow="fold")
    for function in facts.functions:
        if function.qualname.endswith("<lambda>"):
            continue
        lines = function.end_line - function.line + 1
        numbers = (
            lines,
            function.cyclomatic,
            function.cognitive,
            function.loop_depth,
            len(function.callers),
            len(function.callees),
        )
        table.add_row(
            function.name,
            function.role,
            *map(str, numbers),
            f"{function.frequency:.3g}",
            ", ".join(function.io),
            function.trivial,
        )
    with console.capture() as shown:
        console.print(table)
        for path, reason in facts.skipped:
            console.print(f"left out  {printable(path)}: {reason}", style="dim", soft_wrap=True)
        count = f"{plural(len(facts.functions), 'function')} in {plural(len(facts.modules), 'module')}"
        console.print(count, style="dim")
    output.write(shown.get())
