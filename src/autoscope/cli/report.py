"""`autoscope report`: what a run saw, function by function."""

from __future__ import annotations

import argparse
import os
import shutil

from autoscope.cli.output import count, write
from autoscope.read.report import FORMATS, SORTS, arrange, build_report, render, render_decisions
from autoscope.read.runs import open_run


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "report",
        help="what a run saw, function by function",
        description="Shows what a run saw, function by function. Without RUN: the newest one in the store.",
    )
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run's id, the beginning of one, or its folder")
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="(default: table)")
    parser.add_argument("--sort", choices=tuple(SORTS), default="own", help="what comes first (default: own)")
    parser.add_argument("--limit", metavar="N", type=count, help="show so many functions (default: 30 in a table)")
    parser.add_argument("--decisions", action="store_true", help="what the budget decided, when and why, instead")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from autoscope.export import DEFAULT_STORE

    report = build_report(open_run(args.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE, args.run))
    if args.decisions:
        write(render_decisions(report))
        return 0
    limit = args.limit or (30 if args.format == "table" else None)
    shown = arrange(report, args.sort, limit)
    width = shutil.get_terminal_size((100, 24)).columns
    write(render(shown, args.format, width=max(40, width)))
    hidden = len(report.functions) - len(shown.functions)
    if hidden and args.format == "table" and not args.limit:
        write(f"and {hidden} more functions; --limit N shows more\n")
    return 0
