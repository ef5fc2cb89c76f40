"""Words in and out of a command: what all of them read and print the same way."""

from __future__ import annotations

import sys


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


count.__name__ = "whole number above 0"  # argparse says `invalid … value`
