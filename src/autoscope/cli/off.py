"""`autoscope off`: give every function of a running process its author's code object back."""

from __future__ import annotations

import argparse

from autoscope.cli import live


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    live.add_verb(
        subparsers,
        "off",
        "have their own code",
        help="stop tracing in a running process",
        description="Gives every function its author's own code object back, in a traced process and all its children, until `autoscope on`.",
    )
