"""The bytecode rewrite: a code object in, its traced twin out. Obeys, decides nothing.

The twin is the author's prologue, a test of the site's switch, a traced copy of the body, and the author's body byte for
byte, which runs while nothing is to be recorded. What we must remember during a call lies on the value stack below
the author's values, so no local variable is added; each of our instructions carries the position of the statement
it stands at, so line events, `f_lineno` and tracebacks are what they were.

What is put into it is `pattern`'s.
"""

from __future__ import annotations

from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.runtime.sites import switches
from autoscope.weave.assemble import (
    NOWHERE,
    OP,
    VERSION,
    Body,
    Entry,
    FarJump,
    Instruction,
    Item,
    Label,
    Part,
    Slice,
    decode,
    emit,
    layout,
    read_table,
    split_positions,
    write_positions,
    write_table,
)
from autoscope.weave.pattern import Placed, Shape

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

GENERATOR = 0x20
COROUTINE = 0x80
ASYNC_GENERATOR = 0x200
SUSPENDS = GENERATOR | COROUTINE | ASYNC_GENERATOR
_VARARGS = 4
_VARKEYWORDS = 8

_CONSTANT_RETURN = OP.get("RETURN_CONST", -1)
_RETURN, _YIELD, _RESUME, _SEND = OP["RETURN_VALUE"], OP["YIELD_VALUE"], OP["RESUME"], OP["SEND"]


_REPLACED = frozenset((_CONSTANT_RETURN, _RETURN, _YIELD, _RESUME))
"""Instructions of the author's that become others, or more."""


class CannotWeave(Exception):
    """This code object is left alone; the message is the reason."""


def parameters(code: CodeType) -> tuple[str, ...]:
    """Names of all parameters in signature order, `*args` and `**kwargs` without their stars at the end."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKEYWORDS)
    return code.co_varnames[:count]


def recode(code: CodeType, site: Any, *, capture: tuple[str, ...] = (), returns: bool = False) -> CodeType:
    """The traced twin of `code`, with `site` among its constants.

    `capture` names the parameters whose values are handed to `site.enter`, in the order given; `returns` asks for the
    value returned. `site.positions` is set where that is needed to get `code` back. Raises `CannotWeave` where the code's
    prologue is not one we know.
    """
    recoder = _Recoder(code, site, capture, returns)
    twin = recoder.run()
    site.positions = recoder.positions
    return twin


class _Recoder:
    """One code object's rewriting; lives as long as `run`."""

    def __init__(self, code: CodeType, site: Any, capture: tuple[str, ...], returns: bool) -> None:
        self.code = code
        self.site = site
        plain = not code.co_flags & SUSPENDS
        late = not (capture or returns) and code.co_flags & SUSPENDS == COROUTINE
        full = not late and bool(capture or returns or not plain)
        # An argument that is also a cell has kept its place among the fast locals.
        loads = tuple(
            [
                ("LOAD_DEREF" if name in code.co_cellvars else "LOAD_FAST", code.co_varnames.index(name))
                for name in capture
            ]
        )
        self.shape: Shape = (full, late, plain, returns, loads)
        self.positions: bytes | None = None
        """The author's location table, where the twin's does not tell it; see `restore`."""

    def run(self) -> CodeType:
        try:
            return self.rewrite(1)
        except FarJump:
            return self.rewrite(3)

    def rewrite(self, extended: int) -> CodeType:
        """`extended`: how many EXTENDED_ARGs a jump to the author's body may need."""
        code = self.code
        start = self.prologue_end()
        before, after, line = split_positions(code.co_linetable, start, code.co_firstlineno)
        if len(before) + len(after) != len(code.co_linetable):
            self.positions = code.co_linetable  # an entry was cut in two
        suspends = code.co_flags & SUSPENDS
        body = Body(code, start, after, line, None if suspends else _REPLACED)
        self.placed = placed = Placed(self.shape, len(code.co_consts), len(code.co_names), extended)
        depths = body.depths() if suspends else {}
        first = next((place for place in body.places if place.raw[0] >> 3 & 15 != 15), NOWHERE)
        items: list[Item] = [placed.block("enter", first)]
        items += self.traced(body, depths)
        items += [placed.handler, placed.block("handler")]
        return self.finish(items, start, before, after, line)

    def prologue_end(self) -> int:
        """The code unit behind the first RESUME."""
        for _, op, arg, following in decode(self.code.co_code):
            if op == _RESUME:
                if arg & 3:
                    break
                return following
        raise CannotWeave("its bytecode does not begin as a function's does")

    def traced(self, body: Body, depths: dict[Instruction, int]) -> Iterator[Item]:
        """The author's instructions, deeper by what we keep, with returns and yields replaced."""
        placed, kept = self.placed, self.placed.pattern.kept
        guard = placed.guard
        moved: dict[tuple[int, int, bool], Entry] = {}
        stubs: list[Item] = []
        items = body.items
        for index, item in enumerate(items):
            if isinstance(item, Label):
                yield item
                continue
            entry = guard
            author_entry = item.entry
            if author_entry is not None:
                key = id(author_entry.target), author_entry.depth, author_entry.lasti
                if key not in moved:
                    moved[key] = Entry(author_entry.target, author_entry.depth + kept, author_entry.lasti)
                entry = moved[key]
            if isinstance(item, Slice) or item.op not in _REPLACED:
                item.entry = entry
                yield item
                continue
            if item.op == _CONSTANT_RETURN:
                yield Instruction(OP["LOAD_CONST"], item.arg, None, item.position, entry)
            if item.op in (_RETURN, _CONSTANT_RETURN):
                yield placed.block("leave", item.position)
            elif item.op == _YIELD and item in depths:
                yield from self.suspended(items, index, item, depths[item], entry, stubs)
            elif item.op == _RESUME and VERSION >= (3, 13):
                # 4: `close()` need not wake the generator, since nothing would catch GeneratorExit. We would.
                yield Instruction(item.op, item.arg & 3, None, item.position, entry)
                yield from self.resumed(items, index, depths, entry)
            else:
                yield Instruction(item.op, item.arg, item.label, item.position, entry)
                if item.op == _RESUME:
                    yield from self.resumed(items, index, depths, entry)
        yield from stubs
        # An exception while leaving can only be a signal's: nothing more is recorded, the parent is put back.
        if not placed.pattern.full:
            yield from (placed.undo, placed.block("undo"))
        if placed.pattern.full or placed.pattern.late:
            yield from (placed.undo_call, placed.block("undo_call"))

    def suspended(
        self,
        items: list[Part],
        index: int,
        item: Instruction,
        depth: int,
        entry: Entry,
        stubs: list[Item],
    ) -> Iterator[Item]:
        """A yield: the span is not current while somebody else runs; an exception thrown in wakes it first."""
        send = self.sender(items, index)
        yield self.placed.block("suspend", item.position, depth, entry)
        if send is not None:
            # CPython 3.11 finds the end of a delegation by the SEND right before the YIELD_VALUE, which must be near.
            # Nothing executes this one.
            over, done = Label(), Label()
            yield Instruction(OP["JUMP_FORWARD"], 0, over, item.position, entry)
            yield Instruction(_SEND, 0, done, item.position, entry)
            yield over
        arg = item.arg + 1 if VERSION == (3, 12) else item.arg  # 3.12: 1 means `close()` need not wake it; see RESUME
        stub = Label()
        thrown = Entry(stub, entry.depth, True)
        if send is not None:
            self.pending = (done, send, thrown)
        yield Instruction(_YIELD, arg, None, item.position, thrown)
        stubs.append(stub)
        # kept…, what the entry keeps, lasti, exception. No position: it would be one more line event.
        above = entry.depth - self.placed.pattern.kept + 2
        stubs.append(self.placed.block("wake", NOWHERE, above, entry))

    def sender(self, items: list[Part], index: int) -> Label | None:
        """Where the SEND right before this yield goes when the delegation ends (3.11 only)."""
        if VERSION >= (3, 12) or index == 0:
            return None
        before = items[index - 1]
        if isinstance(before, Instruction) and before.op == _SEND:
            return before.label
        return None

    pending: tuple[Label, Label, Entry] | None = None

    def resumed(self, items: list[Part], index: int, depths: dict[Instruction, int], entry: Entry) -> Iterator[Item]:
        item = items[index]
        if not isinstance(item, Instruction) or item not in depths:
            return
        yield self.placed.block("resume", item.position, depths[item], entry)
        if self.pending is None:
            return
        done, target, thrown = self.pending
        self.pending = None
        # 3.11: what ends the delegation from outside goes on at `done`, or is raised at the instruction before it.
        loop = items[index + 1]
        if not isinstance(loop, Instruction) or loop.op != OP["JUMP_BACKWARD_NO_INTERRUPT"]:
            raise CannotWeave("its await is compiled in a way not known here")
        yield Instruction(loop.op, loop.arg, loop.label, loop.position, thrown)
        yield done
        yield self.placed.block("resume", item.position, depths[item] - 1, entry)
        yield Instruction(OP["JUMP_FORWARD"], 0, target, item.position, entry)

    def finish(self, items: list[Item], start: int, before: bytes, after: bytes, line: int) -> CodeType:
        """`before` and `after` `start`, the author's location table, and the line between."""
        code, pattern = self.code, self.placed.pattern
        raw = code.co_code
        # Never reached: it brings the line back to where the author's own table goes on.
        items.append(Instruction(OP["NOP"], 0, None, (line, line, None, None)))
        items.append(self.placed.author)
        shift = layout(items, start) - start
        traced, runs, rows = emit(items)
        positions, _ = write_positions(runs, line)
        traced_rows = [(begin, end, entry.target.offset, entry.depth, entry.lasti) for begin, end, entry in rows]
        prologue_rows = []
        author_rows = []
        for begin, stop, target, depth, lasti in read_table(code.co_exceptiontable):
            if begin < start:
                prologue_rows.append((begin, min(stop, start), target + shift, depth, lasti))
            if stop > start:
                author_rows.append((max(begin, start) + shift, stop + shift, target + shift, depth, lasti))
        return code.replace(
            co_code=raw[: 2 * start] + traced + raw[2 * start :],
            co_consts=(*code.co_consts, self.site, switches, 0, None),
            co_names=(*code.co_names, *pattern.names),
            co_linetable=before + positions + after,
            co_exceptiontable=write_table([*prologue_rows, *traced_rows, *author_rows]),
            co_stacksize=code.co_stacksize + pattern.room,
        )
