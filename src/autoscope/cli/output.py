"""Words in and out of a command: what all of them read and print the same way."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 1_000
"""Characters in a line of a table that is not for a terminal: one row is one line, for `grep`."""

NAME = 20
"""The same for the names of functions on a narrow terminal, where they go on in the next line."""


def console(widest: int = WIDEST) -> Console:
    """Where tables are laid out: as wide as the terminal, and where there is none, as wide as they are, up to so many characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else widest, highlight=False, markup=False)


def write(text: str) -> None:
    """To standard output, whatever its encoding has no character for written as an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def count(text: str) -> int:
    """A whole number above 0, as an option's `type`."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def name(text: str) -> str:
    """What a file, a directory or a run is called, as an option's `type`: not nothing, as a shell makes of a variable nobody has set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("there is no name (is a variable empty?)")
    return text


count.__name__ = "whole number above 0"  # argparse says `invalid … value`
