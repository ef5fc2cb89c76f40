"""The names that what was seen in a file mentions: by them `relink` tells what a change may concern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from autoscope.plan.analysis.seen import Seen, SeenFunction

_WORD = re.compile(r"\w+\*?")


def words_in(expressions: Iterable[str]) -> set[str]:
    """The names that expressions are made of; `visit_*` stands for all that begin so."""
    return set(_WORD.findall("\n".join(expressions)))


def words_of(expressions: Iterable[str]) -> str:
    """The same as one text, each between ends of line: it is read sooner than a set, and seldom asked for more than a few."""
    return "\n".join(["", *sorted(words_in(expressions)), ""])


def asked_of(function: SeenFunction) -> Iterator[str]:
    """Expressions that say what a function is to those who call it."""
    yield function.returns
    for decorator, _ in function.decorators:
        yield decorator


def done_by(function: SeenFunction) -> Iterator[str]:
    """Expressions that say what a function does."""
    yield from function.calls
    yield from function.loads


def with_words(seen: Seen) -> Seen:
    """The same with the names in it."""
    outer = [*seen.names.values()]
    for kind in seen.classes:
        outer += kind.bases
        outer += kind.attributes.values()
    for function in seen.functions:
        outer += asked_of(function)
    for references in seen.tables.values():
        outer += references
    inner = [word for function in seen.functions for word in done_by(function)]
    return seen._replace(outer_words=words_of(outer), inner_words=words_of(inner))
