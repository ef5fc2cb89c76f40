"""`autoscope diff RUN RUN`: what changed between two runs, function by function, and whether it is too much."""

from __future__ import annotations

import argparse
import os
import shutil
from typing import TYPE_CHECKING

from autoscope.cli.output import count, write
from autoscope.errors import AutoscopeError
from autoscope.read.diff import FORMATS

if TYPE_CHECKING:
    from autoscope.plan.model import Thresholds

KEYS = ("calls", "calls.more", "time", "time.more", "fail", "warn")
"""What `--threshold` sets: the plan's `compare`, with `calls` for `calls.times` and `time` for `time.times`."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "diff",
        help="what changed between two runs",
        description="Compares two runs function by function, and test by test where they have tests. "
        "Exit code 1 where the verdict is CRITICAL_MISS: more calls than the thresholds allow, functions no longer called, "
        "exceptions newly swallowed.",
    )
    parser.add_argument("before", metavar="RUN", help="the earlier run: its id, the beginning of one, or its folder")
    parser.add_argument("after", metavar="RUN", help="the later one")
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="(default: table)")
    parser.add_argument("--limit", metavar="N", type=count, help="show so many functions (default: 30, in JSON all)")
    parser.add_argument("--plan", metavar="FILE", help="the plan whose `compare` has the thresholds")
    parser.add_argument(
        "--threshold",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"one threshold instead of the plan's (repeatable): {', '.join(KEYS)}",
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the table and the verdict."""
    from autoscope.export import DEFAULT_STORE
    from autoscope.read.compare import compare
    from autoscope.read.diff import RENDERERS, changes_of
    from autoscope.read.runs import open_run
    from autoscope.read.tests import measure
    from autoscope.verdicts import CRITICAL_MISS

    thresholds = thresholds_of(arguments.plan, arguments.threshold)
    store = arguments.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE
    before, after = open_run(store, arguments.before), open_run(store, arguments.after)
    comparison = compare(measure(before), measure(after), thresholds)
    limit = arguments.limit or (None if arguments.format == "json" else 30)
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    changes = changes_of(before.functions(), after.functions())
    write(RENDERERS[arguments.format](changes, comparison, limit=limit, width=width))
    return 1 if comparison.verdict == CRITICAL_MISS else 0


def thresholds_of(plan_file: str | None, given: list[str]) -> Thresholds:
    """The plan's thresholds, with those of the command line over them. Raises AutoscopeError."""
    from autoscope.errors import Place
    from autoscope.plan.resolve import resolve
    from autoscope.plan.schema import from_python, thresholds_from

    thresholds = resolve(plan_file=plan_file, environ=os.environ).compare
    told: dict[str, object] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise AutoscopeError(f"--threshold {word}: write KEY=VALUE, such as calls=2; keys: {', '.join(KEYS)}")
        section, dot, _ = key.partition(".")
        if section in ("fail", "warn"):
            told[section] = [part.strip() for part in value.split(",") if part.strip()]
        else:
            inner = told.setdefault(section, {})
            assert isinstance(inner, dict)
            inner["more" if dot else "times"] = value
    return thresholds._replace(**thresholds_from(from_python(told, Place("--threshold")), ""))
