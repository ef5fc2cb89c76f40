"""autoscope shows what a Python program's own functions do, as OpenTelemetry spans, without a line of it changing.

Three times, and the rooms of each:

- plan time explains itself: `plan` (YAML to one resolved plan), `cli`;
- import time steps aside: `weave` (modules in, woven modules out), `bootstrap`;
- call time costs almost nothing: `runtime` (a call in, a record out);

then `export` (records to OTLP or the local store) and, afterwards, `read` (the store to a report). `control` reaches into a running
process: changes of functions, the plan file followed, the socket the command line asks.

This module is the front door. Importing it loads none of them.

PYTEST_DONT_REWRITE: pytest would warn that it is imported already where a program was traced before its tests began.
"""

from __future__ import annotations

import sys
from types import FunctionType

from autoscope.errors import AutoscopeError, AutoscopeWarning, PlanError
from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, TypeVar

    from autoscope.plan.model import Plan

    Thing = TypeVar("Thing")

__version__ = "0.1.0"
__doc__ = __doc__ or "PYTEST_DONT_REWRITE"  # under -OO there is none
__all__ = [
    "AutoscopeError",
    "AutoscopeWarning",
    "Handle",
    "PlanError",
    "__version__",
    "flush",
    "install",
    "never",
    "pause",
    "stats",
    "trace",
    "update",
]


class Handle:
    """What `install` gives: whoever holds it may end the tracing. Also a context manager that does."""

    def __init__(self, running: object) -> None:
        self._running = running

    def uninstall(self) -> None:
        """Flush, stop, and give every function its own code object back. Doing it twice does nothing."""
        from autoscope import bootstrap

        if bootstrap.running is self._running:
            bootstrap.stop()

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.uninstall()


def install(
    plan: str | os.PathLike[str] | Mapping[str, Any] | Plan | None = None,
    *,
    strategy: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    rate: float | None = None,
    budget: float | str | None = None,
    store: str | os.PathLike[str] | None = None,
    otlp: str | None = None,
) -> Handle:
    """Trace this process from now on: what is imported already is woven in place, the rest when it is imported.

    `plan` is a path, a mapping in the plan file's schema, or a `Plan`; the keywords win over it. `rate` is 0 to 1,
    `budget` a share of CPU (`0.03` or `"3%"`), `store` the local store's directory, `otlp` an endpoint's URL.
    A second call replaces the first. Raises `PlanError` for a plan that cannot be used.
    """
    import os

    from autoscope import bootstrap
    from autoscope.plan import resolve as plans
    from autoscope.plan.model import Plan

    over: dict[str, Any] = {
        "environ": os.environ,
        "strategy": strategy,
        "include": include,
        "exclude": exclude,
        "rate": rate,
        "budget": budget,
    }
    if isinstance(plan, Plan):
        resolved = plans.resolve_plan(plan, **over)
    elif plan is None or isinstance(plan, (str, os.PathLike)):
        resolved = plans.resolve(plan_file=None if plan is None else os.fspath(plan), **over)
    else:
        resolved = plans.resolve_mapping(plan, **over)
    directory = os.environ.get("AUTOSCOPE_STORE") if store is None else os.fspath(store)
    return Handle(bootstrap.start(resolved, store=directory, otlp=otlp))


def update(
    target: str, *, level: str | None = None, rate: float | None = None, capture: Any = None, for_: float | None = None
) -> int:
    """Change running sites whose names match the glob `target`; returns how many.

    `rate` (0 to 1) thins a site's calls; `level="off"` gives the author's code back, any other level the traced code;
    `capture` is a mapping as in a plan (`{"args": True, "return": True}`). What is said wins over the plan, also for functions
    that are imported later, for `for_` seconds or, without, for good. Raises `AutoscopeError` for what cannot be.
    """
    from autoscope import bootstrap
    from autoscope.plan.schema import change_from

    said = {"level": level, "rate": rate, "capture": capture}
    rule = change_from({key: value for key, value in said.items() if value is not None}, "update()")
    if bootstrap.running is None:
        return 0
    count: int = bootstrap.running.live.change(target, rule, for_)[1]
    if for_ is not None:
        bootstrap.running.drain.start()  # which takes it back
    return count


class pause:
    """Record nothing in this process while its body runs, in no thread: a context manager, which may be entered again inside.

    Calls that began before are recorded when they end.
    """

    def __enter__(self) -> None:
        from autoscope.runtime import sites

        sites.pause()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from autoscope.runtime import sites

        sites.go_on()


def trace(function: Thing) -> Thing:
    """Mark a function, or all functions of a class, as worth watching whatever the strategy: a decorator.

    Returns what it is given, never a wrapper. What a plan says of the function itself, or of its module, wins.
    """
    return _mark(function, "trace")


def never(function: Thing) -> Thing:
    """Mark a function, or all functions of a class, as never to be watched: a decorator.

    Returns what it is given, never a wrapper. Only a plan that names the function itself wins over it.
    """
    return _mark(function, "never")


def _mark(thing: Thing, word: str) -> Thing:
    bootstrap = sys.modules.get("autoscope.bootstrap")
    running = None if bootstrap is None else bootstrap.running
    for function in _functions(thing):
        function.__dict__["__autoscope__"] = word
        if running is not None:
            running.mark(function)
    return thing


def _functions(thing: Any) -> list[FunctionType]:
    """The function in a decorator's hands, a method's in its wrapper, or all those of a class."""
    if isinstance(thing, FunctionType):
        return [thing]
    if isinstance(thing, (staticmethod, classmethod)):
        return _functions(thing.__func__)
    if isinstance(thing, property):
        return [function for part in (thing.fget, thing.fset, thing.fdel) for function in _functions(part)]
    if isinstance(thing, type):
        own = [
            part
            for part in vars(thing).values()
            if getattr(part, "__module__", None) == thing.__module__ or not isinstance(part, type)
        ]
        return [function for part in own for function in _functions(part)]
    return []


def stats() -> dict[str, Any]:
    """Counters of this process: woven, armed, recorded, dropped, sampled_out (traces), exported, `cost` in nanoseconds, and where the plan
    keeps or folds, recorded calls that are counted in others (folded) or belong to traces decided against (left_out), and traces
    decided before they had ended (decided_early)."""
    from autoscope import bootstrap

    if bootstrap.running is None:
        return {
            "woven": 0,
            "armed": 0,
            "recorded": 0,
            "dropped": 0,
            "sampled_out": 0,
            "exported": 0,
            "folded": 0,
            "left_out": 0,
            "decided_early": 0,
            "cost": {},
        }
    return bootstrap.running.stats()


def flush(timeout: float = 5.0) -> bool:
    """Drain and send what is buffered; `timeout` in seconds. True if everything buffered was handed over in time."""
    from autoscope import bootstrap

    return bootstrap.running is None or bootstrap.running.flush(timeout)
