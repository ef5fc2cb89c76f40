"""One program, plain and woven: everything a program can see of itself is compared.

A case is source text that defines `main()`. It is run in every state and by every path; what it returns, raises (with
positions), prints to `log`, and what its functions look like must be the same.
"""

from __future__ import annotations

import gc
import inspect
import sys
import traceback
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from autoscope.plan.model import Capture, CapturePatch, Plan
from autoscope.runtime import context, sampling, sites
from autoscope.weave import assemble
from autoscope.weave.weaver import Weaver, give_back

PATHS = ("bytecode", "ast") if assemble.SUPPORTED else ("ast",)
STATES = ("captured", "recorded", "sampled out", "disarmed", "off")
FILE = "<case>"


@dataclass
class Seen:
    """What one run of a case showed."""

    outcome: Any
    log: list[Any]
    looks: dict[str, Any]


def run(
    source: str, *, path: str | None = None, state: str = "captured", trace: bool = False
) -> tuple[Seen, ModuleType]:
    """Run a case plain (`path` None) or woven."""
    module = ModuleType("case")
    log: list[Any] = []
    module.__dict__.update(log=log.append, __file__=FILE)
    code = compile(source, FILE, "exec", dont_inherit=True)
    if path is not None:
        captures = state == "captured"
        plan = Plan(
            strategy="full_trace",
            capture=CapturePatch(args=captures, returns=captures),
            include=("case",),
        )
        weave = Weaver(plan)
        weave.path = path
        sampling.set_rate(0.0 if state == "sampled out" else 1.0)
        code = weave.module_code(code, "case", lambda: source)
        if state == "disarmed":
            for site in sites.sites:
                site.armed = False
    sys.modules["case"] = module
    try:
        exec(code, module.__dict__)
        if state == "off" and path is not None:
            give_back()
            sites.records.clear()  # of calls while the module was executed
        main = module.__dict__["main"]
        lines: list[Any] = []

        def tracer(frame: Any, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != FILE:
                return None
            lines.append((frame.f_code.co_name, event, frame.f_lineno))
            return tracer

        previous = sys.gettrace()
        if trace:
            sys.settrace(tracer)
        try:
            outcome: Any = ("returned", _plain(main()))
        except BaseException as error:
            sys.settrace(previous)
            outcome = ("raised", *_failure(error))
        finally:
            if trace:
                sys.settrace(previous)
        if trace:
            log.append(lines)
        assert context.get() is None, "the context is not what it was"
        return Seen(outcome, log, {} if state not in ("off", "disarmed") else _looks(module)), module
    finally:
        sys.modules.pop("case", None)
        sampling.set_rate(1.0)


def compare(source: str, *, trace: bool = False, paths: tuple[str, ...] = PATHS) -> int:
    """Assert that a case is the same in every state; returns how many calls were recorded."""
    ignored: list[Any] = []

    def ignore(what: Any) -> None:
        # Not the exception: its traceback would keep generators alive, to end in a later state.
        ignored.append((type(what.exc_value).__name__, str(what.exc_value)))

    hook, sys.unraisablehook = sys.unraisablehook, ignore
    gc.freeze()  # what was there before is nobody's garbage: the many collections below need not look at it
    try:
        return _compare(source, trace, paths, ignored)
    finally:
        gc.unfreeze()
        sys.unraisablehook = hook


def _compare(source: str, trace: bool, paths: tuple[str, ...], ignored: list[Any]) -> int:
    plain, module = run(source, trace=trace)
    gc.collect()
    expected = list(ignored)
    looks = _looks(module)
    recorded = 0
    for path in paths:
        for state in STATES:
            seen = module = None
            gc.collect()  # what an earlier state left behind ends now, not in the middle of this one
            sites.reset()
            ignored.clear()
            seen, module = run(source, path=path, state=state, trace=trace)
            assert seen.outcome == plain.outcome, (path, state)
            assert seen.log == plain.log, (path, state)
            if seen.looks:
                assert seen.looks == looks, (path, state)
            if state in ("captured", "recorded"):
                recorded += len(sites.records)
                gc.collect()  # a generator abandoned in a cycle ends, and is recorded, when it is collected
                # One that ignores GeneratorExit is destroyed where it stands: it never ends, so it is not recorded.
                _whole(sites.records, all_ended=not ignored)
            else:
                assert not sites.records, (path, state)
            gc.collect()
            assert ignored == expected, (path, state)
    sites.reset()
    return recorded


def _whole(records: list[Any], all_ended: bool) -> None:
    """Every parent that is not itself outside was recorded too, and ends after its children began."""
    ids = {record[1][1] for record in records}
    assert len(ids) == len(records), "one span was recorded twice"
    for _, span, parent, start, end, _ in records:
        assert span[0].trace_id
        assert start <= end
        assert not parent or parent[1] in ids or not all_ended, "a parent was never recorded"


def _failure(error: BaseException) -> tuple[Any, ...]:
    chain: list[Any] = []
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        frames = [
            (frame.filename, frame.name, frame.lineno, frame.end_lineno, frame.colno, frame.end_colno)
            for frame in traceback.extract_tb(here.__traceback__)
            if frame.filename == FILE or "autoscope" in frame.filename
        ]
        chain.append((type(here).__name__, str(here), frames, getattr(here, "__notes__", None)))
        here = here.__cause__ or here.__context__
    return tuple(chain)


def _plain(value: Any) -> Any:
    return (
        value
        if isinstance(value, (int, str, float, tuple, list, dict, set, type(None), bool, bytes))
        else repr(type(value))
    )


def _looks(module: ModuleType) -> dict[str, Any]:
    """How each function looks to a program that inspects it."""
    looks: dict[str, Any] = {"dir": sorted(module.__dict__)}
    for thing in gc.get_objects():
        # Functions made inside others live as long as their frames and cycles do, which is not looks but garbage.
        if (
            type(thing) is FunctionType
            and thing.__globals__ is module.__dict__
            and "<locals>" not in thing.__qualname__
        ):
            code = thing.__code__
            looks[f"{thing.__qualname__}:{code.co_firstlineno}"] = (
                str(inspect.signature(thing)),
                thing.__doc__,
                thing.__module__,
                thing.__name__,
                thing.__defaults__,
                thing.__kwdefaults__,
                sorted(thing.__annotations__),
                code.co_name,
                code.co_flags,
                code.co_firstlineno,
                code.co_varnames,
                code.co_freevars,
                code.co_cellvars,
                inspect.iscoroutinefunction(thing),
                inspect.isgeneratorfunction(thing),
                inspect.isasyncgenfunction(thing),
            )
    return looks


__all__ = ["PATHS", "STATES", "Capture", "compare", "run"]
