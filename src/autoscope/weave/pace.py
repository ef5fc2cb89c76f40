"""Paced twins: a function's twin that asks an iterator first whether this call is looked at at all.

    if not next(pace):    # FOR_ITER, in C
        the author's body
    … the twin

A call that is not looked at costs a few nanoseconds, and is counted. The instructions are put in behind the prologue; all
else is the twin's, moved by as many.
"""

from __future__ import annotations

import sys
from _weakref import getweakrefcount, ref
from types import CodeType, FunctionType, ModuleType

from autoscope.ours import keep_builtins
from autoscope.runtime.sites import Site, site_of
from autoscope.weave import attach, kept
from autoscope.weave.assemble import (
    CACHES,
    EXTENDED_ARG,
    OP,
    VERSION,
    read_places,
    read_table,
    split_positions,
    write_positions,
    write_table,
)
from autoscope.weave.pattern import JUMP_IF
from autoscope.weave.restore import entrance

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable

    from autoscope.runtime.pacing import Pace

KNOWN = (3, 11) <= VERSION <= (3, 13)
"""Whether what FOR_ITER does in this version is known here."""
_ENDS = b"".join(
    [bytes((OP[name], 0)) for name in {(3, 11): (), (3, 12): ("END_FOR",)}.get(VERSION, ("END_FOR", "POP_TOP"))]
)
"""What FOR_ITER skips where it goes at the end."""


def paced(site: Site, twin: CodeType, pace: Pace) -> CodeType:
    """The twin with `pace` asked first. Raises StopIteration for a code object that is no twin."""
    raw = twin.co_code
    start, author = entrance(raw)
    # The NOP is never reached: it brings the line back to where the twin's own table goes on.
    looked_at = _code("POP_TOP") + _code("JUMP_FORWARD", 1) + _code("NOP")
    over = len(looked_at) // 2 + author - start
    # Where FOR_ITER goes at the end of what it iterates over: ours has none, that of a copy sent elsewhere ends at once.
    ended = _code("JUMP_FORWARD", over)
    left_out = _code("POP_TOP") + _code("JUMP_FORWARD", over + len(_ENDS + ended) // 2)
    test = _code(JUMP_IF + "TRUE", len(left_out + _ENDS + ended) // 2)
    asked = _code("LOAD_CONST", len(twin.co_consts)) + _code("FOR_ITER", len(test + left_out) // 2)
    added = asked + test + left_out + _ENDS + ended + looked_at
    shift = len(added) // 2
    before, after, line = split_positions(twin.co_linetable, start, twin.co_firstlineno)
    here = next(read_places(after, line)).position
    positions, _ = write_positions([(shift - 1, here), (1, (line, line, None, None))], line)
    rows = [
        (begin + shift * (begin >= start), stop + shift * (stop > start), target + shift, depth, lasti)
        for begin, stop, target, depth, lasti in read_table(twin.co_exceptiontable)
    ]
    return twin.replace(
        co_code=raw[: 2 * start] + added + raw[2 * start :],
        co_consts=(*twin.co_consts, pace),
        co_linetable=before + positions + after,
        co_exceptiontable=write_table(rows),
    )


def functions_of(wanted: set[Site]) -> dict[Site, list[ref[FunctionType]]]:
    """The functions that have one of these sites' code, as modules hold them; not closures that are made for a moment.

    Nor those whose code the program keeps, or has made of ours (see `kept`). Weakly: that a function is watched is no reason for it to live.
    """
    found: dict[Site, list[ref[FunctionType]]] = {}
    # Of whose code somebody else has nothing is looked for; and nothing of ours may hold a code while that is found out.
    by_code = {
        id(code): site
        for site in wanted
        if not kept.may_be_kept(site)
        for code in (site.traced, site._off, site.paced, site.counting)
        if code is not None
    }
    for name in {site.module for site in wanted}:
        module = sys.modules.get(name)
        if type(module) is not ModuleType:
            continue
        for function in attach.functions_of(module):
            site = by_code.get(id(function.__code__))
            if site is not None and not getweakrefcount(function.__code__):
                found.setdefault(site, []).append(ref(function))
    unknown = {
        site: len({id(one()) for one in functions}) for site, functions in found.items() if kept.is_unknown(site)
    }
    if unknown:
        kept.ask(unknown)
    return {site: functions for site, functions in found.items() if not kept.may_be_kept(site)}


def give(site: Site, functions: Iterable[ref[FunctionType]], code: CodeType) -> int:
    """Have these functions run another of this site's code objects; how many there still are.

    One that has been given other code by somebody else is left alone.
    """
    count = 0
    known = site._off
    for reference in functions:
        function = reference()
        if function is not None:
            now = function.__code__
            if now is known or site_of(now) is site:
                function.__code__ = code
                count += 1
    return count


def _code(name: str, arg: int = 0) -> bytes:
    op = OP[name]
    code = bytes((op, arg & 255)) + bytes(2 * CACHES[op])
    while arg > 255:
        arg >>= 8
        code = bytes((EXTENDED_ARG, arg & 255)) + code
    return code
