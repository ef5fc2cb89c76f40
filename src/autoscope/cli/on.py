"""`autoscope on`: take `off` back."""

from __future__ import annotations

import argparse

from autoscope.cli import live


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "on",
        help="go on tracing after `off`",
        description="Takes `autoscope off` back, in a traced process and all its children.",
    )
    live.add_processes(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell them."""
    return live.tell(arguments, {"verb": "on"}, lambda answer: f"{answer['functions']} functions are traced again")
