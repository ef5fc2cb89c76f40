"""`autoscope affected RUN --since REV`: the tests that a change concerns, for pytest."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from autoscope.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ("args", "lines", "json")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "affected",
        help="the tests that a change concerns",
        description="Lists the tests of a run that called a function whose code is another now than at a revision, and new tests: "
        "pytest $(autoscope affected RUN --since main). Start it where pytest is started.",
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="a run with tests: its id, the beginning of one, or its folder (default: the newest)",
    )
    parser.add_argument("--since", metavar="REV", required=True, help="a revision git knows, such as main")
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="args",
        help="args: one a line, for `pytest $(…)`, ids that a shell would take apart without their parameters (default); "
        "lines: ids as they are, for `pytest @FILE`; json: with the reason for each",
    )
    parser.add_argument(
        "-0", "--null", action="store_true", help="ids as they are, a null after each, for `xargs -0r pytest`"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tests; what cannot be followed goes to standard error."""
    from autoscope.export import DEFAULT_STORE
    from autoscope.read.affected import find_affected
    from autoscope.read.runs import open_run

    found = open_run(arguments.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE, arguments.run)
    affected = find_affected(found, arguments.since, os.getcwd())
    if arguments.null:
        write("".join(f"{id}\0" for id in affected.tests))
    elif arguments.format == "json":
        write(json.dumps(asdict(affected), indent=2) + "\n")
    else:
        ids = affected.tests if arguments.format == "lines" else whole_words(affected.tests)
        write("".join(f"{id}\n" for id in ids))
    for note in (*affected.notes, *found.notes):
        sys.stderr.write(f"autoscope: {note}\n")
    if not affected.known:
        sys.stderr.write(f"autoscope: run {found.id} has no tests; record one with `pytest --autoscope`\n")
    elif not affected.tests:
        sys.stderr.write("autoscope: no test is affected; `pytest` without arguments would run all of them\n")
    return 0


def whole_words(ids: Sequence[str]) -> list[str]:
    """Each id as a word that no shell takes apart after `$(…)`, where quotes would not help: those with blanks or patterns in
    their parameters become the whole test, with all its parameters. Which is more than was meant, and nothing else."""
    words: dict[str, None] = {}
    for id in ids:
        test, bracket, parameters = id.partition("[")
        words[test if bracket and any(char.isspace() or char in "*?[]\\" for char in parameters[:-1]) else id] = None
    return [word for word in words if "[" not in word or word.partition("[")[0] not in words]
