"""Words that are near to another. A module of its own: a program may have a `difflib`, and this is imported before that is found."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from autoscope.ours import keep_builtins

keep_builtins(globals())


def nearest(text: str, known: Sequence[str]) -> str:
    """The one of the known words that is nearest, empty where none is near."""
    return next(iter(get_close_matches(text, known, 1)), "")
