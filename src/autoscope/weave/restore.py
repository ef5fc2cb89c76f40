"""The author's code out of a twin: what `recode` put there, taken away again.

A twin has all of it: the author's instructions stand behind the traced copy, byte for byte, his constants and names before
ours. So the author's own code objects need not be kept, nor read by an import that finds the twins in the code cache.
"""

from __future__ import annotations

from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.runtime.sites import Site, site_of
from autoscope.weave.assemble import OP, decode, read_table, split_positions, write_table
from autoscope.weave.pattern import JUMP_IF, OURS, kept, room
from autoscope.weave.recode import COROUTINE

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

_RESUME = OP["RESUME"]
_TEST = OP[JUMP_IF + "FALSE"]


def entrance(raw: bytes) -> tuple[int, int]:
    """Where a twin's part of ours begins, and where the author's body does behind it. Raises StopIteration for code that is no twin."""
    start = next(following for _, op, arg, following in decode(raw) if op == _RESUME and not arg & 3)
    return start, next(following + arg for _, op, arg, following in decode(raw, start) if op == _TEST)


def off(site: Site, code: CodeType) -> CodeType:
    """What `recode` was given for the twin `code`: the author's function, functions inside it still woven."""
    raw, consts, names = code.co_code, code.co_consts, code.co_names
    own = next(index for index in range(len(consts) - 1, -1, -1) if consts[index] is site)
    ours = next(index for index, name in enumerate(names) if name[:1] == "@")
    start, target = entrance(raw)
    shift = target - start
    positions = site.positions
    if positions is None:
        before, rest, line = split_positions(code.co_linetable, start, code.co_firstlineno)
        positions = before + split_positions(rest, shift, line)[1]
    rows = []
    for begin, stop, at, depth, lasti in read_table(code.co_exceptiontable):
        if begin < start:
            rows.append((begin, stop, at - shift, depth, lasti))
        elif begin >= target:
            row = (begin - shift, stop - shift, at - shift, depth, lasti)
            if rows and rows[-1][1] == row[0] == start and rows[-1][2:] == row[2:]:
                row = (rows.pop()[0], *row[1:])  # one of the author's, cut where our part begins
            rows.append(row)
    full = "@enter" in names[ours:]
    deeper = room(kept(full, not full and bool(code.co_flags & COROUTINE)), len(site.parameters))
    return code.replace(
        co_code=raw[: 2 * start] + raw[2 * target :],
        co_consts=consts[:own],
        co_names=names[:ours],
        co_linetable=positions,
        co_exceptiontable=write_table(rows),
        co_stacksize=code.co_stacksize - deeper,
    )


def author(site: Site) -> CodeType | None:
    """The author's function, and what is defined in it."""
    if site.author is None and site.off is not None:
        site.author = _as_compiled(_inside(site.off))
    return site.author


def author_code(code: CodeType) -> CodeType:
    """Any code object without anything of ours, itself and what is defined in it."""
    site = site_of(code)
    if site is None:
        inside = _inside(code)
        shared = _as_compiled(inside)  # also of code without anything of ours, whose parts those of others are to be
        return code if inside is code else shared
    if code is site.traced or code is site.paced or code is site.counting:
        return author(site) or code
    if site.traced is None and site.author is not None and _same_place(code, site.author):
        return site.author  # it was woven anew, and this is of before
    if site.path != "bytecode" or not any(
        part is site
        for part in code.co_consts[-OURS - 1 :]  # a paced twin has one more
    ):
        return code
    # Somebody's copy, with another name or file perhaps.
    try:
        return _as_compiled(_inside(off(site, code)))
    except StopIteration:
        return code  # and with other instructions


def _same_place(code: CodeType, other: CodeType) -> bool:
    return (code.co_qualname, code.co_filename, code.co_firstlineno) == (
        other.co_qualname,
        other.co_filename,
        other.co_firstlineno,
    )


def _inside(code: CodeType) -> CodeType:
    inner = tuple([author_code(part) if isinstance(part, CodeType) else part for part in code.co_consts])
    changed = any(new is not old for new, old in zip(inner, code.co_consts, strict=True))
    return code.replace(co_consts=inner) if changed else code


_shared: dict[str, dict[Any, Any]] = {}
"""File -> the names, constants and tables of code objects compiled from it, by what they are equal by."""


def _as_compiled(code: CodeType) -> CodeType:
    """This code with the very objects for its parts that others of its file have for equal ones.

    So Python compiles a module, and who pickles functions by value, and takes a digest of that, sees it. Constants that are equal
    and of one type are one object by then: two tuples are the same if all they hold is.
    """
    pool = _shared.setdefault(code.co_filename, {})
    names, constants = code.co_names, code.co_consts
    lines, exceptions = code.co_linetable, code.co_exceptiontable
    same = (
        pool.setdefault((str, *names), names),
        pool.setdefault((id, *map(id, constants)), constants),
        pool.setdefault(lines, lines),
        pool.setdefault(exceptions, exceptions),
    )
    if same[0] is names and same[1] is constants and same[2] is lines and same[3] is exceptions:
        return code
    return code.replace(co_names=same[0], co_consts=same[1], co_linetable=same[2], co_exceptiontable=same[3])
