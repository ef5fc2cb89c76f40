"""`autoscope view RUN#TEST`: what was called in one test, as a tree; `autoscope view RUN` lists the tests."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict

from autoscope.cli.output import count, write


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "view",
        help="the calls of one test or trace, as a tree",
        description="Shows what was called in one test of a run (or in one trace, where it has no tests), as a tree: calls of one "
        "function by one caller are one line. Without #TEST: the tests there are.",
    )
    parser.add_argument(
        "target",
        metavar="RUN[#TEST]",
        nargs="?",
        default="",
        help="a run's id, the beginning of one, or its folder (default: the newest run), and the node id of a test or the id of a trace",
    )
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    parser.add_argument("--depth", metavar="N", type=count, help="show so many calls below each other (default: 40)")
    parser.add_argument("--limit", metavar="N", type=count, help="list so many tests or traces (default: 100)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the tree, or the list."""
    from autoscope.export import DEFAULT_STORE
    from autoscope.read import calltree
    from autoscope.read.runs import open_run

    run_id, hash_sign, word = arguments.target.partition("#")
    found = open_run(arguments.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE, run_id or None)
    if hash_sign:
        test = calltree.find(found, word)
        top = calltree.build_tree(found, test)
        render = calltree.render_json if arguments.format == "json" else calltree.render_text
        write(render(test, top, found.id, depth=arguments.depth or calltree.DEPTH))
    else:
        items = calltree.list_items(found)
        if arguments.format == "json":
            write(json.dumps([asdict(item) for item in items[: arguments.limit]], indent=2) + "\n")
        else:
            write(calltree.render_list(items, found.id, limit=arguments.limit or 100))
    for note in found.notes:
        sys.stderr.write(f"autoscope: {note}\n")
    return 0
