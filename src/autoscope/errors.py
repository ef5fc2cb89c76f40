"""What autoscope says when something is wrong: exceptions at plan time, one-line notices while a program runs.

Nothing here imports anything heavy, because every room may import it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
from types import FunctionType, MethodType

from autoscope.ours import keep_builtins

keep_builtins(globals())


class AutoscopeError(Exception):
    """Something was asked that cannot be done. The message is one line: what was asked, why not, what to do."""


class Place:
    """Where in a plan file something stands; `line` and `column` count from 1, 0 where unknown."""

    __slots__ = ("column", "file", "line")

    def __init__(self, file: str, line: int = 0, column: int = 0) -> None:
        self.file = file
        self.line = line
        self.column = column

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"Place({self.file!r}, {self.line}, {self.column})"

    def __str__(self) -> str:
        if self.line:
            return f"{self.file}:{self.line}:{self.column}"
        return self.file


class PlanError(AutoscopeError):
    """A plan that cannot be used. `place` says where; the message begins with it."""

    extended: tuple[str, ...] = ()
    """The files that it extends, as far as they were looked for."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place


class AutoscopeWarning(UserWarning):
    """Category for callers of the Python interface who want `warnings` filters; see `notices` for running programs."""


notices: list[tuple[str, str]] = []
"""Every notice given in this process, as (slug, text): read by the summary and `doctor`."""


def notice(slug: str, text: str) -> None:
    """Say one line on standard error, once per text, unless its slug is silenced.

    `warnings` and `logging` belong to the program (`-W error` would turn a notice into a crash, a handler would
    put it into the program's files), so this writes to file descriptor 2 and touches neither.
    `AUTOSCOPE_SILENCE=slug,slug` silences; `AUTOSCOPE_SILENCE=all` silences everything.
    """
    if (slug, text) in notices:
        return
    notices.append((slug, text))
    silenced = os.environ.get("AUTOSCOPE_SILENCE", "")
    if silenced == "all" or slug in silenced.split(","):
        return
    say(f"autoscope: {text} ({slug})\n")


def say(text: str) -> None:
    """Write to file descriptor 2, past `sys.stderr`, which is the program's."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass  # standard error is closed or full


def not_ours(error: BaseException) -> bool:
    """Whether what was raised in a function of ours that calls nobody else's came from the program's code all the same.

    So do exceptions of its signal handlers, which run wherever the main thread happens to be: they are the program's to see.
    """
    entry = error.__traceback__
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(OURS):
            return True
        entry = entry.tb_next
    return False


def from_a_signal(error: BaseException) -> bool:
    """The same for functions of ours that do call others': whether one of the program's signal handlers raised it."""
    handlers = set()
    for number in range(1, _signal.NSIG):
        try:
            handler = _signal.getsignal(number)
        except ValueError:
            continue
        if type(handler) is MethodType:
            handler = handler.__func__
        elif callable(handler) and type(handler) is not FunctionType:
            handler = getattr(type(handler), "__call__", None)  # noqa: B004
        if type(handler) is FunctionType:
            handlers.add(handler.__code__)
    entry = error.__traceback__
    while entry is not None:
        if entry.tb_frame.f_code in handlers:
            return True
        entry = entry.tb_next
    return False


def pass_on(error: BaseException) -> None:
    """Raise again what a signal handler of the program's raised, in place of an error that we deal with ourselves.

    A handler may raise any class, `TimeoutError` for one, which is an `OSError`.
    """
    if from_a_signal(error):
        raise error


OURS = os.path.join(os.path.dirname(not_ours.__code__.co_filename), "")
"""What the names of all our files begin with."""
