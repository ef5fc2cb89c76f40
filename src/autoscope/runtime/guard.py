"""What functions woven from source call; see `weave.rewrite`, whose one shape is `with site.call(arguments): body`.

There is no hidden local to keep a call in, so it is found by the frame it runs in.
"""

from __future__ import annotations

import sys
from types import TracebackType

from autoscope.ours import keep_builtins
from autoscope.runtime import calls
from autoscope.runtime.calls import Call
from autoscope.runtime.sites import Site, switches

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

_frame = sys._getframe
_open: dict[int, Call] = {}
"""Calls being recorded, by the identity of their frame (which lives as long as they do)."""


class Guard:
    """`with site.call(arguments):` round an author's body."""

    __slots__ = ("arguments", "call", "frame", "result", "site")

    def __init__(self, site: Site, arguments: tuple[Any, ...]) -> None:
        self.site = site
        self.arguments = arguments
        self.result: Any = None

    def __enter__(self) -> None:
        call = calls.begin(self.site, self.arguments)
        self.arguments = ()
        self.call = call
        if call is not None:
            self.frame = id(_frame(1))
            _open[self.frame] = call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        call = self.call
        if call is not None:
            del _open[self.frame]
            if error is None:
                calls.finish(call, switches.clock())
            else:
                calls.fail_call(call, error)


class _Nothing:
    """`with` round a body that is not recorded."""

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


_nothing = _Nothing()


def call(site: Site, arguments: tuple[Any, ...]) -> Guard | _Nothing:
    """site.call(arguments)"""
    return Guard(site, arguments) if site.armed else _nothing


def result(site: Site, value: Any) -> Any:
    """`return value` of a function whose results are captured becomes `return site.result(value)`."""
    running = _open.get(id(_frame(1)))
    if running is not None:
        calls.captured_result(running, value)
    return value


def pause(site: Site, value: Any) -> Any:
    """`yield value` becomes `site.wake((yield site.pause(value)))`: between the two its span is nobody's current one."""
    running = _open.get(id(_frame(1)))
    if running is not None:
        calls.suspend(running)
    return value


def wake(site: Site, sent: Any) -> Any:
    """See `pause`."""
    running = _open.get(id(_frame(1)))
    if running is not None:
        calls.resume(running)
    return sent
