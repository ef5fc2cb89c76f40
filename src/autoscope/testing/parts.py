"""Subtests: what a part of a test calls belongs to that part.

pytest tells of a part when it is over. When it begins is seen where the test begins it: the `test` of the fixture `subtests`, and the `subTest` of
a unittest case, give a context manager; the one here goes around that one, and has no part in what becomes of exceptions.
"""

from __future__ import annotations

import unittest
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

from autoscope.ours import keep_builtins

keep_builtins(globals())

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscope.testing.suite import Suite

FIXTURE = "subtests"
METHOD = "subTest"


class Part(ContextDecorator):
    """One part's context manager, with its span around what is called in it."""

    def __init__(self, suite: Suite, make: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.made = suite, make, args, options
        self.suite = suite
        self.inner = make(*args, **options)
        self.opened: Any = None

    def _recreate_cm(self) -> Part:
        return Part(*self.made)  # as a decorator it is entered once a call

    def __enter__(self) -> Any:
        __tracebackhide__ = True
        found = self.inner.__enter__()
        self.opened = self.suite.guarded(self.suite.begin_part)
        return found

    def __exit__(self, *error: Any) -> Any:
        __tracebackhide__ = True
        opened, self.opened = self.opened, None
        if opened is not None:
            self.suite.guarded(self.suite.stage.leave, opened)
        try:
            return self.inner.__exit__(*error)  # pytest reports it meanwhile
        finally:
            if opened is not None:
                self.suite.guarded(self.suite.end_part, opened)


def watch_fixture(suite: Suite, subtests: Any) -> None:
    """Have the parts that this fixture begins be spans."""
    make = subtests.test
    subtests.test = lambda *args, **options: Part(suite, make, args, options)


def watch_case(suite: Suite, item: Any) -> Callable[[], None] | None:
    """The same for a unittest case, until what this gives is called."""
    case = getattr(item, "instance", None)
    if not isinstance(case, unittest.TestCase) or METHOD in vars(case):
        return None
    make = case.subTest

    def begin(*args: Any, **options: Any) -> Part:
        return Part(suite, make, args, options)

    vars(case)[METHOD] = begin

    def undo() -> None:
        if vars(case).get(METHOD) is begin:
            del vars(case)[METHOD]

    return undo
