"""The bytecode rewrite: a code object in, its traced twin out. Obeys, decides nothing.

The twin is the author's prologue, a test of the site's switch, a traced copy of the body, and the author's body byte for
byte, which runs while nothing is to be recorded. What we must remember during a call lies on the value stack below
the author's values, so no local variable is added; each of our instructions carries the position of the statement
it stands at, so line events, `f_lineno` and tracebacks are what they were.

Two shapes. *Lean*, for a plain function without capture, does everything in place:

    if site.armed:                                        # else: the author's body
        parent = site.get()
        if parent:
            span = (parent[0], s.next()); start = s.clock()           # s: the switches, which all sites share
        elif parent is None and s.chance() >= s.share:
            span = s.mark(); start = 0                    # a trace that is decided against
        elif parent is not None and s.type(parent) is s.unsampled:
            goto the author's body                        # inside such a trace
        else:
            span = s.root(parent); start = s.clock()      # None: the author's body
        s.set(span)
        try: body, where `return value` becomes
            result = value
            if span: end = s.clock(); s.set(parent); s.append((site, span[1], span[0], parent, start, end, None))
            else: s.set(parent)
            return result
        except: s.set(parent); if span: s.fail(site, span, parent, start, exception); raise

*Late*, for a coroutine without capture, is lean until it is suspended for the first time, as most calls never are: a fourth
value, `call`, is None until then, and what the full shape keeps from then on.

*Full*, for capture and for generators and async generators, keeps one object:

    if site.armed:
        parent = site.get()
        … as above, but `call = s.enter(site, arguments, parent)` for a call that is recorded, and for a trace decided
        against `call = s.leave_out(site)`; a plain function, which is never suspended, does without: `s.set(s.mark());
        call = None`
        try: body, where `return value` becomes `result = value; s.leave(call, result); return result`
             and `yield value` becomes `s.suspend(call); yield value; s.resume(call)`
        except: s.set(call.parent); s.fail_call(call, exception); raise

The names of our attributes begin with `@`, which no program's own names can.
"""

from __future__ import annotations

from types import CodeType

from autoscope.runtime.sites import switches
from autoscope.weave.assemble import (
    NOWHERE,
    OP,
    VERSION,
    Body,
    Entry,
    Instruction,
    Item,
    Label,
    decode,
    emit,
    layout,
    read_table,
    split_positions,
    write_positions,
    write_table,
)

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

_JUMP_IF = "POP_JUMP_FORWARD_IF_" if VERSION < (3, 12) else "POP_JUMP_IF_"
_LESS = {(3, 11): 0, (3, 12): 2}.get(VERSION, 18)
"""COMPARE_OP's argument for `<`; from 3.13 on with the result made True or False."""
_OF_SITE = frozenset(("armed", "get"))
"""What each function has of its own; all else is the switches'."""
OURS = 4
"""Constants of ours, behind the author's: the site, the switches, 0, None."""
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
        self.capture = capture
        self.returns = returns
        self.plain = not code.co_flags & SUSPENDS
        self.late = not (capture or returns) and code.co_flags & SUSPENDS == COROUTINE
        self.full = not self.late and bool(capture or returns or not self.plain)
        self.names = list(code.co_names)
        self.site = len(code.co_consts)
        self.zero, self.none = self.site + 2, self.site + 3
        self.constants = [*code.co_consts, site, switches, 0, None]
        self.position = NOWHERE
        self.positions: bytes | None = None
        """The author's location table, where the twin's does not tell it; see `restore`."""
        self.kept = 1 if self.full else 4 if self.late else 3
        """How many values of ours lie below the author's."""

    def run(self) -> CodeType:
        code = self.code
        start = self.prologue_end()
        body = Body(code, start)
        self.position = next((i.position for i in body.instructions if i.position[0] is not None), NOWHERE)
        author = Label()
        handler = Label()
        guard = Entry(handler, self.kept, True)
        items: list[Item] = list(self.enter_full(author, guard) if self.full else self.enter_lean(author, guard))
        depths = body.depths() if code.co_flags & SUSPENDS else {}
        items += self.traced(body, depths, guard)
        items.append(handler)
        items += self.handler()
        return self.finish(items, start, author)

    def prologue_end(self) -> int:
        """The code unit behind the first RESUME."""
        for _, op, arg, following in decode(self.code.co_code):
            if op == _RESUME:
                if arg & 3:
                    break
                return following
        raise CannotWeave("its bytecode does not begin as a function's does")

    # What one line of the shapes above becomes.

    def op(self, name: str, arg: int = 0, label: Label | None = None) -> Instruction:
        return Instruction(OP[name], arg, label, self.position)

    def name(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def owner(self, attribute: str) -> Instruction:
        return self.op("LOAD_CONST", self.site if attribute in _OF_SITE else self.site + 1)

    def load(self, attribute: str) -> Iterator[Instruction]:
        """An attribute of the site's or the switches', as a value"""
        yield self.owner(attribute)
        index = self.name("@" + attribute)
        yield self.op("LOAD_ATTR", index if VERSION < (3, 12) else index << 1)

    def function(self, attribute: str) -> Iterator[Instruction]:
        """The same, ready to be called: takes two places on the stack"""
        if VERSION < (3, 12):
            yield self.op("PUSH_NULL")
            yield from self.load(attribute)
        else:
            yield self.owner(attribute)
            yield self.op("LOAD_ATTR", self.name("@" + attribute) << 1 | 1)

    def call(self, arguments: int) -> Iterator[Instruction]:
        if VERSION < (3, 12):
            yield self.op("PRECALL", arguments)
        yield self.op("CALL", arguments)

    def jump_if(self, kind: str, label: Label) -> Iterator[Instruction]:
        if kind in ("TRUE", "FALSE") and VERSION >= (3, 13):
            yield self.op("TO_BOOL")
        yield self.op(_JUMP_IF + kind, 0, label)

    def decide(self, author: Label, child: Label, begin: Label, left_out: Label) -> Iterator[Item]:
        """Where a call goes by what is current, `parent`, which stays on the stack but on the way to the author's body."""
        other = Label()
        yield from self.load("armed")
        yield self.op(_JUMP_IF + "FALSE", 0, author)
        yield from self.function("get")
        yield from self.call(0)  # parent
        yield self.op("COPY", 1)
        yield from self.jump_if("TRUE", child)
        yield self.op("COPY", 1)
        yield from self.jump_if("NOT_NONE", other)
        yield from self.function("chance")
        yield from self.call(0)
        yield from self.load("share")
        yield self.op("COMPARE_OP", _LESS)
        yield self.op(_JUMP_IF + "TRUE", 0, begin)
        yield self.op("JUMP_FORWARD", 0, left_out)
        yield other
        yield from self.function("type")
        yield self.op("COPY", 3)
        yield from self.call(1)
        yield from self.load("unsampled")
        yield self.op("IS_OP", 0)
        yield self.op(_JUMP_IF + "FALSE", 0, begin)
        yield self.op("POP_TOP")
        yield self.op("JUMP_FORWARD", 0, author)

    def enter_lean(self, author: Label, guard: Entry) -> Iterator[Item]:
        child, begin, left_out, ready, known = Label(), Label(), Label(), Label(), Label()
        yield from self.decide(author, child, begin, left_out)
        yield left_out
        yield from self.function("mark")
        yield from self.call(0)
        yield self.op("LOAD_CONST", self.zero)  # parent, span, 0
        yield self.op("JUMP_FORWARD", 0, known)
        yield begin
        yield from self.function("root")
        yield self.op("COPY", 3)
        yield from self.call(1)  # parent, span or None
        yield self.op("COPY", 1)
        yield from self.jump_if("NOT_NONE", ready)
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield self.op("JUMP_FORWARD", 0, author)
        yield child
        yield self.op("COPY", 1)
        yield self.op("LOAD_CONST", self.zero)
        yield self.op("BINARY_SUBSCR")
        yield from self.function("next")
        yield from self.call(0)
        yield self.op("BUILD_TUPLE", 2)  # parent, span
        yield ready
        yield from self.function("clock")
        yield from self.call(0)
        yield known  # parent, span, start
        if self.late:
            yield self.op("LOAD_CONST", self.none)  # call
        # From here an exception, even one from a signal, puts the parent back.
        span = self.op("COPY", 5 if self.late else 4)
        for instruction in (*self.function("set"), span, *self.call(1), self.op("POP_TOP")):
            instruction.entry = guard
            yield instruction

    def leave_late(self, entry: Entry, suspended: Entry) -> Iterator[Item]:
        """parent, span, start, call, result -> result"""
        other, done = Label(), Label()
        yield self.op("COPY", 2)
        yield from self.jump_if("NOT_NONE", other)
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")
        yield from self.leave_lean(entry)
        yield self.op("JUMP_FORWARD", 0, done)
        yield other
        yield from self.leave_full(suspended)  # parent, span, start, result
        yield self.op("SWAP", 4)
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield done

    def leave_lean(self, entry: Entry) -> Iterator[Item]:
        """parent, span, start, result -> result"""
        left_out, done = Label(), Label()
        items: list[Item] = [
            self.op("COPY", 3),
            *self.jump_if("FALSE", left_out),
            *self.function("clock"),
            *self.call(0),  # parent, span, start, result, end
            *self.function("set"),
            self.op("COPY", 7),
            *self.call(1),
            self.op("POP_TOP"),
            *self.function("append"),
            self.op("LOAD_CONST", self.site),
            self.op("COPY", 7),
            self.op("UNPACK_SEQUENCE", 2),  # span id, trace
            self.op("COPY", 10),  # parent
            self.op("COPY", 9),  # start
            self.op("COPY", 8),  # end
            self.op("LOAD_CONST", self.none),
            self.op("BUILD_TUPLE", 7),
            *self.call(1),
            self.op("POP_TOP"),
            self.op("POP_TOP"),  # parent, span, start, result
            self.op("JUMP_FORWARD", 0, done),
            left_out,
            *self.function("set"),
            self.op("COPY", 6),
            *self.call(1),
            self.op("POP_TOP"),
            done,
        ]
        for item in items:
            if isinstance(item, Instruction):
                item.entry = entry
            yield item
        yield self.op("SWAP", 4)
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")

    def enter_full(self, author: Label, guard: Entry) -> Iterator[Item]:
        code, enter, left_out, ready = self.code, Label(), Label(), Label()
        yield from self.decide(author, enter, enter, left_out)
        yield left_out  # parent
        if self.plain:
            yield self.op("POP_TOP")
            yield self.op("LOAD_CONST", self.none)  # call: None
            for instruction in (
                *self.function("set"),
                *self.function("mark"),
                *self.call(0),
                *self.call(1),
                self.op("POP_TOP"),
            ):
                instruction.entry = guard
                yield instruction
        else:
            yield self.op("POP_TOP")
            yield from self.function("leave_out")
            yield self.op("LOAD_CONST", self.site)
            yield from self.call(1)
        yield self.op("JUMP_FORWARD", 0, ready)
        yield enter  # parent
        yield from self.function("enter")
        yield self.op("LOAD_CONST", self.site)
        for name in self.capture:
            # An argument that is also a cell has kept its place among the fast locals.
            yield self.op("LOAD_DEREF" if name in code.co_cellvars else "LOAD_FAST", code.co_varnames.index(name))
        yield self.op("BUILD_TUPLE", len(self.capture))
        yield self.op("COPY", 5)
        yield from self.call(3)  # parent, call or None
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")
        yield self.op("COPY", 1)
        yield from self.jump_if("NOT_NONE", ready)
        yield self.op("POP_TOP")
        yield self.op("JUMP_FORWARD", 0, author)
        yield ready

    def leave_full(self, entry: Entry) -> Iterator[Item]:
        """call, result -> result"""
        left_out, done = Label(), Label()
        items: list[Item] = []
        if self.plain:
            items += [self.op("COPY", 2), *self.jump_if("NONE", left_out)]
        items += [
            *self.function("leave_plain" if self.plain else "leave"),
            self.op("COPY", 4),
            self.op("COPY", 4) if self.returns else self.op("LOAD_CONST", self.none),
            *self.call(2),
            self.op("POP_TOP"),
        ]
        if self.plain:
            items += [
                self.op("JUMP_FORWARD", 0, done),
                left_out,
                *self.function("set"),
                self.op("LOAD_CONST", self.none),
                *self.call(1),
                self.op("POP_TOP"),
                done,
            ]
        for item in items:
            if isinstance(item, Instruction):
                item.entry = entry
            yield item
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")

    def suspend(self, depth: int, entry: Entry) -> Iterator[Item]:
        """Before a yield, where `depth` values of the author's lie above the call."""
        known, done = Label(), Label()
        items: list[Item] = []
        if self.late:
            items += [
                self.op("COPY", depth + 1),
                *self.jump_if("NOT_NONE", known),
                *self.function("suspend_first"),
                self.op("LOAD_CONST", self.site),
                self.op("COPY", depth + 6),  # span
                self.op("COPY", depth + 8),  # parent
                self.op("COPY", depth + 7),  # start
                *self.call(4),
                self.op("SWAP", depth + 2),
                self.op("POP_TOP"),
                self.op("JUMP_FORWARD", 0, done),
                known,
            ]
        items += [*self.tell("suspend", depth), done]
        for item in items:
            if isinstance(item, Instruction):
                item.entry = entry
            yield item

    def tell(self, attribute: str, depth: int) -> Iterator[Instruction]:
        """switches.attribute(call), where `depth` values of the author's lie above the call"""
        yield from self.function(attribute)
        yield self.op("COPY", depth + 3)
        yield from self.call(1)
        yield self.op("POP_TOP")

    def handler(self) -> Iterator[Item]:
        """kept…, lasti, exception: put the parent back, record, and raise on as if nothing had been here

        What a signal's handler raises meanwhile gets the line of the one on its way: ours have none, or there would be
        one more line event.
        """
        mend = Label()
        struck = Entry(mend, self.kept + 2, True)
        for item in self.record_failure():
            if isinstance(item, Instruction):
                item.entry = struck
            yield item
        yield self.op("RERAISE", 1)
        yield mend  # kept…, lasti, exception, lasti, the one raised meanwhile
        yield from self.function("mend")
        yield self.op("COPY", 3)
        yield self.op("COPY", 6)
        yield from self.call(2)
        yield self.op("POP_TOP")
        yield self.op("RERAISE", 1)

    def record_failure(self) -> Iterator[Item]:
        self.position = NOWHERE
        known, done = Label(), Label()
        if self.late or (self.full and self.plain):
            yield self.op("COPY", 3)  # call
            yield from self.jump_if("NOT_NONE", known)
        if self.full and self.plain:
            yield from self.function("set")
            yield self.op("LOAD_CONST", self.none)
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield self.op("JUMP_FORWARD", 0, done)
        elif not self.full:
            above = 1 if self.late else 0
            yield from self.function("set")
            yield self.op("COPY", 7 + above)  # parent
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield self.op("COPY", 4 + above)  # span
            yield from self.jump_if("FALSE", done)
            yield from self.function("fail")
            yield self.op("LOAD_CONST", self.site)
            yield self.op("COPY", 7 + above)  # span
            yield self.op("COPY", 9 + above)  # parent
            yield self.op("COPY", 8 + above)  # start
            yield self.op("COPY", 7)  # exception
            yield from self.call(5)
            yield self.op("POP_TOP")
            if self.late:
                yield self.op("JUMP_FORWARD", 0, done)
        yield known
        if self.full or self.late:
            yield from self.function("set")
            yield self.op("COPY", 5)  # call
            index = self.name("@parent")
            yield self.op("LOAD_ATTR", index if VERSION < (3, 12) else index << 1)
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield from self.function("fail_call")
            yield self.op("COPY", 5)  # call
            yield self.op("COPY", 4)  # exception
            yield from self.call(2)
            yield self.op("POP_TOP")
        yield done

    def traced(self, body: Body, depths: dict[Instruction, int], guard: Entry) -> Iterator[Item]:
        """The author's instructions, `kept` deeper, with returns and yields replaced."""
        moved: dict[tuple[int, int, bool], Entry] = {}
        undo_label, undo_call_label = Label(), Label()
        undo = Entry(undo_label, self.kept, True)
        undo_call = Entry(undo_call_label, self.kept, True)
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
                    moved[key] = Entry(author_entry.target, author_entry.depth + self.kept, author_entry.lasti)
                entry = moved[key]
            if item.op not in _REPLACED:
                item.entry = entry
                yield item
                continue
            self.position = item.position
            if item.op == _CONSTANT_RETURN:
                yield Instruction(OP["LOAD_CONST"], item.arg, None, item.position, entry)
            if item.op in (_RETURN, _CONSTANT_RETURN):
                if self.late:
                    yield from self.leave_late(undo, undo_call)
                else:
                    yield from (self.leave_full(undo_call) if self.full else self.leave_lean(undo))
                yield Instruction(_RETURN, 0, None, item.position)
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
        self.position = NOWHERE
        # An exception while leaving can only be a signal's: nothing more is recorded, the parent is put back.
        if not self.full:
            yield undo_label
            yield from self.function("undo")
            yield self.op("COPY", self.kept + 4)  # parent
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield self.op("RERAISE", 1)
        if self.full or self.late:
            yield undo_call_label
            yield from self.function("undo_call")
            yield self.op("COPY", 5)  # call
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield self.op("RERAISE", 1)

    def suspended(
        self, items: list[Item], index: int, item: Instruction, depth: int, entry: Entry, stubs: list[Item]
    ) -> Iterator[Item]:
        """A yield: the span is not current while somebody else runs; an exception thrown in wakes it first."""
        send = self.sender(items, index)
        yield from self.suspend(depth, entry)
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
        above = entry.depth - self.kept + 2
        self.position = NOWHERE
        for instruction in self.tell("resume", above):
            instruction.entry = entry
            stubs.append(instruction)
        stubs.append(Instruction(OP["RERAISE"], 1, None, NOWHERE, entry))

    def sender(self, items: list[Item], index: int) -> Label | None:
        """Where the SEND right before this yield goes when the delegation ends (3.11 only)."""
        if VERSION >= (3, 12) or index == 0:
            return None
        before = items[index - 1]
        if isinstance(before, Instruction) and before.op == _SEND:
            return before.label
        return None

    pending: tuple[Label, Label, Entry] | None = None

    def resumed(self, items: list[Item], index: int, depths: dict[Instruction, int], entry: Entry) -> Iterator[Item]:
        item = items[index]
        if not isinstance(item, Instruction) or item not in depths:
            return
        for instruction in self.tell("resume", depths[item]):
            instruction.entry = entry
            yield instruction
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
        for instruction in self.tell("resume", depths[item] - 1):
            instruction.entry = entry
            yield instruction
        yield Instruction(OP["JUMP_FORWARD"], 0, target, item.position, entry)

    def finish(self, items: list[Item], start: int, author: Label) -> CodeType:
        code = self.code
        raw = code.co_code
        before, after, line = split_positions(code.co_linetable, start, code.co_firstlineno)
        if len(before) + len(after) != len(code.co_linetable):
            self.positions = code.co_linetable  # an entry was cut in two
        # Never reached: it brings the line back to where the author's own table goes on.
        items.append(Instruction(OP["NOP"], 0, None, (line, line, None, None)))
        items.append(author)
        shift = layout(items, start) - start
        traced, runs, rows = emit(items)
        positions, _ = write_positions(runs, line)
        prologue_rows = []
        author_rows = []
        for begin, stop, target, depth, lasti in read_table(code.co_exceptiontable):
            if begin < start:
                prologue_rows.append((begin, min(stop, start), target + shift, depth, lasti))
            if stop > start:
                author_rows.append((max(begin, start) + shift, stop + shift, target + shift, depth, lasti))
        return code.replace(
            co_code=raw[: 2 * start] + traced + raw[2 * start :],
            co_consts=tuple(self.constants),
            co_names=tuple(self.names),
            co_linetable=before + positions + after,
            co_exceptiontable=write_table([*prologue_rows, *rows, *author_rows]),
            co_stacksize=code.co_stacksize + self.kept + 11 + len(self.capture),
        )
