"""`autoscope on`: take `off` back."""

from __future__ import annotations

import argparse

from autoscope.cli import live


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    live.add_verb(
        subparsers,
        "on",
        "are traced again",
        help="go on tracing after `off`",
        description="Takes `autoscope off` back, in a traced process and all its children.",
    )
