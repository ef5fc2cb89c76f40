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
from types import CodeType, FunctionType, ModuleType
from typing import Any

from autoscope.plan.model import CapturePatch, Plan
from autoscope.runtime import context, sampling, sites
from autoscope.runtime.pacing import Pacer
from autoscope.runtime.sites import Site, site_of
from autoscope.weave import pace, pack, weaver
from autoscope.weave.weaver import Weaver, give_back

PATHS = ("bytecode", "ast") if weaver.BYTECODE else ("ast",)
STATES = ((True, ("captured", "paced")), (False, ("recorded", "sampled out", "paced", "disarmed", "off")))
"""Whether arguments and results are captured, and what is done with code woven so."""
FILE = "<case>"


@dataclass
class Seen:
    """What one run of a case showed."""

    outcome: Any
    log: list[Any]
    looks: dict[str, Any]


@dataclass
class Prelude:
    """What many cases begin with: compiled and woven once, its sites kept."""

    source: str
    plain: CodeType
    woven: dict[tuple[str, bool], tuple[CodeType, list[Site]]]

    @classmethod
    def of(cls, source: str) -> Prelude:
        return cls(source, compile(source, "<prelude>", "exec", dont_inherit=True), {})

    def begin(self, path: str, captures: bool) -> CodeType:
        """Forget all sites but those of the prelude; its module, woven."""
        sites.reset()
        kept = self.woven.get((path, captures))
        if kept is None:
            code = weave(self.source, compile(self.source, "<prelude>", "exec", dont_inherit=True), path, captures)
            kept = self.woven[path, captures] = code, list(sites.sites)
        code, sites.sites[:] = kept
        return code


NOTHING = Prelude.of("")


def weave(source: str, code: CodeType, path: str, captures: bool) -> CodeType:
    """The case's module, woven."""
    plan = Plan(strategy="full_trace", capture=CapturePatch(args=captures, returns=captures), include=("case",))
    weaver = Weaver(plan)
    weaver.path = path
    before = len(sites.sites)
    woven = weaver.module_code(code, "case", lambda: source)
    if path == "bytecode" and captures:
        # As from the code cache; without captures, as it is woven.
        packed = pack.pack(woven, [])
        assert packed is not None
        del sites.sites[before:]
        woven, _ = pack.unpack(packed, plan, "case")
    return woven


def paced(code: CodeType) -> CodeType:
    """Woven code with every twin in it paced: one call in two is looked at, by chance."""
    inner = tuple([paced(part) if type(part) is CodeType else part for part in code.co_consts])
    code = code.replace(co_consts=inner)
    site = site_of(code)
    if site is None or site.path != "bytecode":
        return code
    site.paced = pace.paced(site, code, Pacer(2.0, 1000).pace)
    return site.paced


def run(prelude: CodeType, code: CodeType, state: str = "plain", trace: bool = False) -> tuple[Seen, ModuleType]:
    """Run a case's module, plain or woven."""
    module = ModuleType("case")
    log: list[Any] = []
    module.__dict__.update(log=log.append, __file__=FILE)
    sampling.set_rate(0.0 if state == "sampled out" else 1.0)
    for site in sites.sites:
        site.armed = state != "disarmed"
    sys.modules["case"] = module
    try:
        exec(prelude, module.__dict__)
        exec(paced(code) if state == "paced" else code, module.__dict__)
        if state == "off":
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
        gc.collect()
        assert context.get() is None, "the context is not what it was"
        return Seen(outcome, log, _looks(module) if state in ("plain", "off", "disarmed") else {}), module
    finally:
        sys.modules.pop("case", None)
        for site in sites.sites:
            site.paced = None  # site and code hold each other for ever, and each pacer holds two thousand things
        sampling.set_rate(1.0)


def compare(source: str, *, prelude: Prelude = NOTHING, trace: bool = False, paths: tuple[str, ...] = PATHS) -> int:
    """Assert that a case is the same in every state; returns how many calls were recorded."""
    ignored: list[Any] = []

    def ignore(what: Any) -> None:
        # Not the exception: its traceback would keep generators alive, to end in a later state.
        ignored.append((type(what.exc_value).__name__, str(what.exc_value)))

    hook, sys.unraisablehook = sys.unraisablehook, ignore
    gc.freeze()  # what was there before is nobody's garbage: the many collections below need not look at it
    # When cycles are collected depends on how many objects there are: ours count too. Here it is when we say so.
    gc.disable()
    try:
        return _compare(source, prelude, trace, paths, ignored)
    finally:
        gc.enable()
        gc.unfreeze()
        sys.unraisablehook = hook


def _compare(source: str, prelude: Prelude, trace: bool, paths: tuple[str, ...], ignored: list[Any]) -> int:
    plain, expected, code = _plain_run(source, prelude, trace, ignored)
    recorded = 0
    for path in paths:
        for captures, states in STATES:
            woven = prelude.begin(path, captures), weave(source, code, path, captures)
            for state in states:
                if state == "paced" and (path != "bytecode" or not pace.KNOWN):
                    continue
                try:
                    recorded += _check(woven, path, state, trace, plain, expected, ignored)
                except AssertionError:
                    # Code that was run before may have been specialised: CPython 3.11 then gives other columns.
                    plain, expected, _ = _plain_run(source, prelude, trace, ignored)
                    code = compile(source, FILE, "exec", dont_inherit=True)
                    woven = prelude.begin(path, captures), weave(source, code, path, captures)
                    recorded += _check(woven, path, state, trace, plain, expected, ignored)
    gc.collect()
    sites.reset()
    return recorded


def _plain_run(source: str, prelude: Prelude, trace: bool, ignored: list[Any]) -> tuple[Seen, list[Any], CodeType]:
    code = compile(source, FILE, "exec", dont_inherit=True)
    sites.reset()
    ignored.clear()
    plain, _ = run(prelude.plain, code, trace=trace)
    gc.collect()
    return plain, list(ignored), code


def _check(
    woven: tuple[CodeType, CodeType],
    path: str,
    state: str,
    trace: bool,
    plain: Seen,
    expected: list[Any],
    ignored: list[Any],
) -> int:
    """Run woven code in one state and compare; returns how many calls were recorded."""
    sites.records.clear()
    ignored.clear()
    seen = run(*woven, state, trace)[0]
    assert seen.outcome == plain.outcome, (path, state)
    assert seen.log == plain.log, (path, state)
    if seen.looks:
        assert seen.looks == plain.looks, (path, state)
    recorded = len(sites.recorded())
    if state in ("captured", "recorded", "paced"):
        gc.collect()  # a generator abandoned in a cycle ends, and is recorded, when it is collected
        # One that ignores GeneratorExit is destroyed where it stands: it never ends, so it is not recorded.
        _whole(sites.recorded(), all_ended=not ignored)
    else:
        assert not recorded, (path, state)
    gc.collect()
    assert ignored == expected, (path, state)
    return recorded


def _whole(records: list[Any], all_ended: bool) -> None:
    """Every parent that is not itself outside was recorded too, and ends after its children began."""
    ids = {record[1] for record in records}
    assert len(ids) == len(records), "one span was recorded twice"
    for _, _, trace, parent, start, end, _ in records:
        assert trace.trace_id
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
