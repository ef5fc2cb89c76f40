"""What is put into a woven function: the instructions round the author's, in the shape the function needs.

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

What is put in is the same for all functions of one shape but for the numbers of its constants and names: it is assembled once,
and then copied.
"""

from __future__ import annotations

from autoscope.ours import keep_builtins
from autoscope.weave.assemble import (
    CACHES,
    NOWHERE,
    OP,
    VERSION,
    Block,
    Entry,
    Instruction,
    Item,
    Label,
    Place,
    Position,
    emit,
    layout,
)

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Shape = tuple[bool, bool, bool, bool, "tuple[tuple[str, int], ...]"]
"""(full, late, plain: never suspended, whether the result is asked for, the loads of captured arguments)."""
OURS = 4
"""Constants of ours, behind the author's: the site, the switches, 0, None."""


def kept(full: bool, late: bool) -> int:
    """How many values of ours lie below the author's."""
    return 1 if full else 4 if late else 3


def room(kept: int, captured: int) -> int:
    """How much deeper the stack of a twin may become than its author's."""
    return kept + 11 + captured


JUMP_IF = "POP_JUMP_FORWARD_IF_" if VERSION < (3, 12) else "POP_JUMP_IF_"
_LESS = {(3, 11): 0, (3, 12): 2}.get(VERSION, 18)
"""COMPARE_OP's argument for `<`; from 3.13 on with the result made True or False."""
_OF_SITE = frozenset(("armed", "get"))
"""What each function has of its own; all else is the switches'."""
_SHIFT = 0 if VERSION < (3, 12) else 1
"""LOAD_ATTR's argument is the name's number, from 3.12 on shifted by one bit that says "method"."""


class Template:
    """One part, assembled with the numbers of the first constant and name taken as zero."""

    __slots__ = ("attributes", "code", "constants", "jumps", "mend", "rows")

    code: bytes
    constants: tuple[int, ...]
    """Where in `code` the number of the first constant of ours is to be added."""
    attributes: tuple[int, ...]
    """The same for names."""
    jumps: tuple[int, ...]
    """Jumps to the author's body, by unit."""
    rows: tuple[tuple[int, int, Entry], ...]
    """(start, end, one of the pattern's entries)"""
    mend: int
    """Where `struck` leads, -1 if this is not the part with it."""


class Pattern:
    """All that is put into functions of one shape."""

    # They stand for those of a function, by which `block` replaces them.
    guard: Entry
    undo: Entry
    undo_call: Entry
    entry: Entry
    struck: Entry

    def __init__(self, shape: Shape, constants: int, names: int, extended: int) -> None:
        """`constants` and `names`: the numbers of the first ones of ours. `extended`: EXTENDED_ARGs of a jump to the author's body."""
        self.full, self.late, self.plain, self.returns, self.loads = shape
        self.site = constants
        self.zero, self.none = constants + 2, constants + 3
        self.first_name = names
        self.extended = extended
        self.names: list[str] = []
        """What the function is to have, in this order."""
        self.kept = kept(self.full, self.late)
        self.room = room(self.kept, len(self.loads))
        self.author = Label()
        self.templates: dict[tuple[str, int], Template] = {}
        self.base = self
        """Who has the parts that do not depend on which arguments are captured: all but the first."""
        if self.loads:
            self.base = base = pattern_of((*shape[:4], ()), constants, names, extended)
            self.guard, self.undo, self.undo_call = base.guard, base.undo, base.undo_call
            self.entry, self.struck, self.names = base.entry, base.struck, base.names
            self.template("enter", 0)
            return
        # No two alike, or `emit` would take them for one.
        self.guard, self.undo, self.undo_call, self.entry, self.struck = [Entry(Label(), n, True) for n in range(5)]
        parts = ["enter", "leave", "handler"]
        parts += ["undo"] if not self.full else []
        parts += ["undo_call"] if self.full or self.late else []
        for part in parts:
            self.template(part, 0)
        if not self.plain:
            self.template("suspend", 1)
            self.template("resume", 1)
            self.template("wake", 1)

    def template(self, part: str, depth: int) -> Template:
        if self.base is not self and part != "enter":
            return self.base.template(part, depth)
        found = self.templates.get((part, depth))
        if found is None:
            found = self.templates[part, depth] = self.assemble(list(self.items(part, depth)))
        return found

    def items(self, part: str, depth: int) -> Iterable[Item]:
        if part == "enter":
            return self.enter_full() if self.full else self.enter_lean()
        if part == "leave":
            leave = self.leave_late() if self.late else self.leave_full() if self.full else self.leave_lean()
            return [*leave, self.op("RETURN_VALUE")]
        if part == "handler":
            return self.handler()
        if part == "undo":
            return self.put_back("undo", self.kept + 4)
        if part == "undo_call":
            return self.put_back("undo_call", 5)
        items: list[Item] = self.suspend(depth) if part == "suspend" else list(self.tell("resume", depth))
        for item in items:
            if isinstance(item, Instruction):
                item.entry = self.struck if part == "wake" else self.entry
        if part == "wake":
            items += self.on()
            for item in items:
                if isinstance(item, Instruction) and item.entry is None:
                    item.entry = self.entry
        return items

    def assemble(self, items: list[Item]) -> Template:
        instructions = [item for item in items if isinstance(item, Instruction)]
        out = [item for item in instructions if item.label is self.author]
        for item in out:
            item.label, item.arg = None, 1 << 8 * self.extended  # room for what comes
        layout(items, 0)
        made = Template()
        made.code, _, rows = emit(items)
        made.rows = tuple(rows)
        made.mend = self.struck.target.offset if self.struck.target in items else -1
        at = {item: item.offset + item.size - 1 - CACHES[item.op] for item in instructions}
        made.jumps = tuple([at[item] for item in out])
        made.constants = tuple([2 * at[item] + 1 for item in instructions if item.op == OP["LOAD_CONST"]])
        made.attributes = tuple([2 * at[item] + 1 for item in instructions if item.op == OP["LOAD_ATTR"]])
        return made

    # What one line of the shapes above becomes.

    def op(self, name: str, arg: int = 0, label: Label | None = None) -> Instruction:
        return Instruction(OP[name], arg, label)

    def name(self, name: str) -> int:
        """Its number among all names of the function."""
        if name not in self.names:
            self.names.append(name)
        return self.first_name + self.names.index(name)

    def owner(self, attribute: str) -> Instruction:
        return self.op("LOAD_CONST", self.site if attribute in _OF_SITE else self.site + 1)

    def load(self, attribute: str) -> Iterator[Instruction]:
        """An attribute of the site's or the switches', as a value"""
        yield self.owner(attribute)
        yield self.attribute(attribute)

    def attribute(self, name: str) -> Instruction:
        """The attribute of what lies on top"""
        return self.op("LOAD_ATTR", self.name("@" + name) << _SHIFT)

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
        yield self.op(JUMP_IF + kind, 0, label)

    def decide(self, child: Label, begin: Label, left_out: Label) -> Iterator[Item]:
        """Where a call goes by what is current, `parent`, which stays on the stack but on the way to the author's body."""
        other = Label()
        yield from self.load("armed")
        yield self.op(JUMP_IF + "FALSE", 0, self.author)
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
        yield self.op(JUMP_IF + "TRUE", 0, begin)
        yield self.op("JUMP_FORWARD", 0, left_out)
        yield other
        yield from self.function("type")
        yield self.op("COPY", 3)
        yield from self.call(1)
        yield from self.load("unsampled")
        yield self.op("IS_OP", 0)
        yield self.op(JUMP_IF + "FALSE", 0, begin)
        yield self.op("POP_TOP")
        yield self.op("JUMP_FORWARD", 0, self.author)

    def enter_lean(self) -> Iterator[Item]:
        child, begin, left_out, ready, known = Label(), Label(), Label(), Label(), Label()
        yield from self.decide(child, begin, left_out)
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
        yield self.op("JUMP_FORWARD", 0, self.author)
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
            instruction.entry = self.guard
            yield instruction

    def leave_late(self) -> Iterator[Item]:
        """parent, span, start, call, result -> result"""
        other, done = Label(), Label()
        yield self.op("COPY", 2)
        yield from self.jump_if("NOT_NONE", other)
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")
        yield from self.leave_lean()
        yield self.op("JUMP_FORWARD", 0, done)
        yield other
        yield from self.leave_full()  # parent, span, start, result
        yield self.op("SWAP", 4)
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield done

    def leave_lean(self) -> Iterator[Item]:
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
                item.entry = self.undo
            yield item
        yield self.op("SWAP", 4)
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")
        yield self.op("POP_TOP")

    def enter_full(self) -> Iterator[Item]:
        enter, left_out, made, ready = Label(), Label(), Label(), Label()
        yield from self.decide(enter, enter, left_out)
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
                instruction.entry = self.guard
                yield instruction
        else:
            yield self.op("POP_TOP")
            yield from self.function("leave_out")
            yield self.op("LOAD_CONST", self.site)
            yield from self.call(1)
        yield self.op("JUMP_FORWARD", 0, ready if self.plain else made)
        yield enter  # parent
        yield from self.function("enter")
        yield self.op("LOAD_CONST", self.site)
        for name, place in self.loads:
            yield self.op(name, place)
        yield self.op("BUILD_TUPLE", len(self.loads))
        yield self.op("COPY", 5)
        yield from self.call(3)  # parent, call or None
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")
        yield made
        yield self.op("COPY", 1)
        yield from self.jump_if("NOT_NONE", ready)
        yield self.op("POP_TOP")
        yield self.op("JUMP_FORWARD", 0, self.author)
        yield ready

    def leave_full(self) -> Iterator[Item]:
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
                item.entry = self.undo_call
            yield item
        yield self.op("SWAP", 2)
        yield self.op("POP_TOP")

    def suspend(self, depth: int) -> list[Item]:
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
        return [*items, *self.tell("suspend", depth), done]

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
        for item in self.record_failure():
            if isinstance(item, Instruction):
                item.entry = self.struck
            yield item
        yield from self.on()

    def on(self) -> Iterator[Item]:
        """lasti, exception: raised on. What a signal's handler raises meanwhile gets the line of the one on its way."""
        yield self.op("RERAISE", 1)
        yield self.struck.target  # lasti, exception, lasti, the one raised meanwhile
        yield from self.function("mend")
        yield self.op("COPY", 3)
        yield self.op("COPY", 6)
        yield from self.call(2)
        yield self.op("POP_TOP")
        yield self.op("RERAISE", 1)

    def record_failure(self) -> Iterator[Item]:
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
            woken = Label()
            if not self.plain:
                yield self.op("COPY", 3)  # call
                yield self.attribute("paused")
                yield self.op(JUMP_IF + "TRUE", 0, woken)  # else what is current is its consumer's
            yield from self.function("set")
            yield self.op("COPY", 5)  # call
            yield self.attribute("parent")
            yield from self.call(1)
            yield self.op("POP_TOP")
            yield woken
            yield from self.function("fail_call")
            yield self.op("COPY", 5)  # call
            yield self.op("COPY", 4)  # exception
            yield from self.call(2)
            yield self.op("POP_TOP")
        yield done

    def put_back(self, attribute: str, depth: int) -> Iterator[Item]:
        """kept…, lasti, exception: a signal's exception struck while the call was being left"""
        yield from self.function(attribute)
        yield self.op("COPY", depth)
        yield from self.call(1)
        yield self.op("POP_TOP")
        yield self.op("RERAISE", 1)


class Placed:
    """A pattern in one function: its parts, as they are to stand there."""

    def __init__(self, shape: Shape, constants: int, names: int, extended: int) -> None:
        pattern = pattern_of(shape, 0, 0, extended)
        self.constants, self.attributes = constants, names << _SHIFT
        if constants + OURS > 256 or (names + len(pattern.names) << _SHIFT) > 256:
            # Numbers that take an EXTENDED_ARG: assembled for this function alone.
            pattern = pattern_of(shape, constants, names, extended)
            self.constants = self.attributes = 0
        self.pattern = pattern
        self.author = Label()
        self.handler, self.undo, self.undo_call = Label(), Label(), Label()
        kept = pattern.kept
        self.guard = Entry(self.handler, kept, True)
        self.roles = {
            pattern.guard: self.guard,
            pattern.undo: Entry(self.undo, kept, True),
            pattern.undo_call: Entry(self.undo_call, kept, True),
        }

    def block(
        self, part: str, position: Position | Place = NOWHERE, depth: int = 0, entry: Entry | None = None
    ) -> Block:
        """`depth`: how many values of the author's lie above ours; `entry`: what guards the instruction it stands at."""
        pattern = self.pattern
        template = pattern.template(part, depth)
        code = bytearray(template.code)
        if self.constants:
            for at in template.constants:
                code[at] += self.constants
        if self.attributes:
            for at in template.attributes:
                code[at] += self.attributes
        roles = self.roles
        labels: list[tuple[int, Label]] = []
        if template.mend >= 0:
            mend = Label()
            labels.append((template.mend, mend))
            below = pattern.kept if entry is None else entry.depth
            roles = roles | {pattern.struck: Entry(mend, below + 2, True)}
        if entry is not None:
            roles = roles | {pattern.entry: entry}
        return Block(
            code,
            position,
            [(start, end, roles[role]) for start, end, role in template.rows if role in roles],
            [(unit, pattern.extended, self.author) for unit in template.jumps],
            labels,
        )


_patterns: dict[tuple[Shape, int], Pattern] = {}
"""Those with numbers that are to be added to, by shape and room for jumps; functions have few of each."""


def pattern_of(shape: Shape, constants: int, names: int, extended: int) -> Pattern:
    if constants or names:
        return Pattern(shape, constants, names, extended)
    pattern = _patterns.get((shape, extended))
    if pattern is None:
        pattern = _patterns[shape, extended] = Pattern(shape, 0, 0, extended)
    return pattern
