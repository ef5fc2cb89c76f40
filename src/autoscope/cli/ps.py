"""`autoscope ps`: the traced processes of this user."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from autoscope.cli import output

COLUMNS = ("pid", "age", "service", "strategy", "watched", "spans", "cost", "budget", "state", "command")
LEAST_ROOM = 20
"""Characters of a command that are shown, however narrow the terminal is."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "ps",
        help="the traced processes there are",
        description="Lists the traced processes of this user (root: of everybody), with what each costs. Exit code 1 if there is none.",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them; 1 if there is none."""
    from autoscope.control import client

    found = client.processes()
    if arguments.format == "json":
        output.write(json.dumps(found, indent=2) + "\n")
    elif not found:
        output.write("no traced process\n")
    else:
        from rich.table import Table

        console = output.console(200)
        rows = [_cells(process) for process in found]
        # A command is of any length, and would leave no room for the rest.
        taken = sum(max(map(len, cells)) + 2 for cells in list(zip(COLUMNS, *rows, strict=True))[:-1])
        room = max(console.width - taken, LEAST_ROOM)
        table = Table(box=None, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, no_wrap=True)
        for *figures, command in rows:
            table.add_row(*figures, command if len(command) <= room else command[: room - 1] + "…")
        console.print(table)
    return 0 if found else 1


def _cells(process: dict[str, Any]) -> list[str]:
    if "unanswered" in process:
        return [str(process["pid"]), *[""] * 7, "no answer", ""]
    stats = process["stats"]
    return [
        str(process["pid"]),
        age(process["seconds"]),
        process["service"],
        process["strategy"],
        f"{stats['armed']:,}",
        f"{stats['recorded']:,}",
        f"{stats['cost']['share']:.1%}",
        "" if process["budget"] is None else share(process["budget"]),
        state(process),
        shlex.join(process["argv"]),
    ]


def state(process: dict[str, Any]) -> str:
    """On, off, paused, and how many changes are in force."""
    word = "off" if process["off"] else "paused" if process["paused"] else "on"
    changes = len(process["changes"])
    return f"{word}, {changes} change{'s' * (changes > 1)}" if changes else word


def share(part: float) -> str:
    """As a budget is given: `3%`, `0.25%`."""
    return f"{100 * part:.3g}%"


def age(seconds: float) -> str:
    """As people say it: `3s`, `12m`, `5h`, `2d`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"
