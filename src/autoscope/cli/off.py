"""`autoscope off`: give every function of a running process its author's code object back."""

from __future__ import annotations

import argparse

from autoscope.cli import live


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "off",
        help="stop tracing in a running process",
        description="Gives every function its author's own code object back, in a traced process and all its children, until `autoscope on`.",
    )
    live.add_processes(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell them."""
    return live.tell(arguments, {"verb": "off"}, lambda answer: f"{answer['functions']} functions have their own code")
