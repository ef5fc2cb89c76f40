"""`autoscope plan PATH...`: reads a code base and writes a plan for it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from typing import TYPE_CHECKING

from autoscope.cli import output, planning
from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    from autoscope.plan.cost import CostTable
    from autoscope.plan.facts import Facts
    from autoscope.plan.planner import Planned, Settings
    from autoscope.plan.update import Previous


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "plan",
        help="write a plan for a code base",
        description="Reads the code under PATH, without importing it, and writes a plan: what to watch, how closely and how "
        "often, within the budget, with a reason for each choice. See docs/planner.md.",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="packages, projects or scripts (default: here, or as the plan that is updated)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=output.name,
        help="where the plan goes (default, and `-`: standard output)",
    )
    parser.add_argument(
        "--update",
        metavar="FILE",
        type=output.name,
        help="plan anew, keep what was changed by hand in FILE, show the difference, write it back",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be planned, write nothing")
    parser.add_argument("--format", choices=("yaml", "table", "json"), default="yaml", help="(default: yaml)")
    planning.add_planning(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the plan."""
    target = arguments.output or arguments.update
    if target == "-":
        target = None
    if arguments.update and arguments.plan:
        raise AutoscopeError("--update and --plan both name a plan: give the one to be changed to --update alone")
    if target and arguments.format != "yaml" and not arguments.dry_run:
        raise AutoscopeError(
            f"--format {arguments.format} is for reading, and {target} would be a plan: leave one of the two out, or add --dry-run"
        )
    planning.check_strategy(arguments)
    costs = planning.cost_table()
    named = arguments.update or arguments.plan
    previous = planning.previous_plan(named) if named else None
    settings = planning.settings_of(arguments, costs, previous if arguments.update else None)
    if previous is not None:
        settings = planning.with_previous(settings, previous, arguments)
    kept = planning.kept_settings(previous, settings, _directory(target)) if previous is not None else {}
    with planning.opened() as cache:
        tree = planning.read_tree(planning.paths_of(arguments, previous), arguments, cache)
        paths = _relative(planning.paths_of(arguments, previous), target)
        # What a range of commits means is not known from the files.
        lasting = not any(goal.startswith("diff:") for goal in settings.goals)
        quick = arguments.format == "yaml" and not arguments.update and not arguments.dry_run and lasting
        own = previous.own if previous is not None else None
        key = f"plan {tree.digest()} {settings.digest()} {costs.digest()} {paths} {sorted(kept.items())} {own} {arguments.tests}"
        known = cache.load_plan(key) if quick and not arguments.refresh else None
        if known is not None:
            text, summary = json.loads(known)
            changes = ""
        else:
            facts = planning.facts_of(tree, arguments, cache)
            made = _plan(arguments, facts, settings, costs, previous, kept, paths)
            if made is None:
                return 0
            text, summary, changes = made
            if quick:
                cache.store_plan(key, json.dumps([text, summary]).encode())
    if arguments.dry_run:
        output.write(changes)
        planning.say(summary + "\nnothing is written (--dry-run)")
        return 0
    _write(text, target, previous.newline if arguments.update and previous is not None else "\n")
    # Whoever reads the difference may have seen enough before its end: the file is there by now.
    if target:
        output.write(changes)
        planning.say(summary + f"\nwritten to {target}")
    elif changes:
        planning.say(changes.rstrip())  # beside the plan, not in it
    return 0


def _plan(
    arguments: argparse.Namespace,
    facts: Facts,
    settings: Settings,
    costs: CostTable,
    previous: Previous | None,
    kept: dict[str, str],
    paths: list[str],
) -> tuple[str, str, str] | None:
    """(the plan file, what to say about it, what an update changes); None where all was said."""
    from autoscope.plan import planner, update
    from autoscope.plan import write as writing

    planned = planner.make(facts, settings, costs)
    if arguments.format == "json":
        output.write(json.dumps(planner.as_dict(planned), indent=2) + "\n")
        return None
    if arguments.format == "table":
        _table(planned)
        return None
    document = planner.document(planned, own=None if previous is None else previous.own, kept=kept)
    document.provenance["tests"] = arguments.tests
    document.provenance["paths"] = paths
    if arguments.update and previous is not None:
        update.keep_words(document, previous)
        stay_out = update.still_removed(document, previous)
        entries = writing.unpack(document.provenance["entries"], 7) | stay_out
        document.provenance["entries"] = writing.pack(entries)
    text = writing.text(document)
    summary = "\n".join(line for line in document.head if line)
    if not arguments.update or previous is None:
        return text, summary, ""
    changes = _changes(previous, text, facts)
    return text, summary, "\n".join([*changes, ""]) if changes else "no difference\n"


def _changes(previous: Previous, text: str, facts: Facts) -> list[str]:
    from autoscope.plan.load import extend, parse
    from autoscope.plan.model import Plan
    from autoscope.plan.schema import Layer, read_layer
    from autoscope.plan.update import difference

    def plan_of(layer: Layer) -> Plan:
        return Plan(strategy=layer.strategy or "balanced", modules=layer.modules or {}, capture=layer.capture)

    before = extend(previous.layer, os.path.dirname(previous.path))
    after = extend(read_layer(parse(text.encode(), previous.path)), os.path.dirname(previous.path))
    return difference(plan_of(before), plan_of(after), facts)


def _directory(target: str | None) -> str:
    """Where the plan will be, and paths in it begin."""
    return os.path.dirname(os.path.abspath(target)) if target else os.getcwd()


def _relative(paths: list[str], target: str | None) -> list[str]:
    """The paths planned, as seen from the plan file."""
    base = _directory(target)
    found = []
    for path in paths:
        try:
            found.append(os.path.relpath(path, base).replace(os.sep, "/"))
        except ValueError:  # another drive
            found.append(os.path.abspath(path))
    # YAML holds text alone: without all of them, `check` asks for the paths.
    return found if all(path.isprintable() for path in found) else []


def _write(text: str, target: str | None, newline: str) -> None:
    """To a file, whole or not at all; to standard output where none is named."""
    if target is None:
        output.write(text)
        return
    real = os.path.realpath(target)
    special = os.path.exists(real) and not os.path.isfile(real)  # a pipe, a terminal
    other = real if special else f"{real}.{os.getpid()}.new"
    try:
        try:
            with open(other, "w", encoding="utf-8", newline=newline) as stream:
                stream.write(text)
            if not special:
                if os.path.exists(real):
                    shutil.copymode(real, other)
                os.replace(other, real)
        except BaseException:
            if not special and os.path.exists(other):
                os.unlink(other)
            raise
    except OSError as error:
        raise AutoscopeError(
            f"{target} cannot be written: {error.strerror or error}; name another file with -o"
        ) from None


def _table(planned: Planned) -> None:
    """What is planned, for reading on a screen."""
    from rich.table import Table

    from autoscope.plan import planner
    from autoscope.plan.values import printable

    console = output.console()
    table = Table(box=None, pad_edge=False)
    table.add_column("function", overflow="fold", min_width=output.NAME)
    for name, where in (
        ("level", "left"),
        ("rate", "right"),
        ("priority", "left"),
        ("calls", "right"),
        ("cost", "right"),
    ):
        table.add_column(name, justify=where, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("why")
    rows = []
    for index, function in enumerate(planned.facts.functions):
        choice = planned.choices[index]
        if choice.watched and not function.qualname.endswith("<lambda>"):
            rows.append((-planned.priorities[index].score, function.name, index, choice))
    for _, name, index, choice in sorted(rows, key=lambda row: row[:2]):
        share = planned.estimator.share(planned.estimator.of(index, choice))
        calls = planned.load.calls.get(index, 0.0)
        level = planned.priorities[index].level
        table.add_row(
            name,
            choice.level,
            f"{choice.rate:g}",
            level,
            f"{calls:,.0f}",
            planner.percent(share),
            "; ".join(choice.reasons),
        )
    with console.capture() as shown:
        console.print(table)
        for line in planner.summary(planned):
            if line:
                console.print(line, style="dim", soft_wrap=True)
        for path, reason in planned.facts.skipped:
            console.print(f"left out  {printable(path)}: {reason}", style="dim", soft_wrap=True)
    output.write(shown.get())
