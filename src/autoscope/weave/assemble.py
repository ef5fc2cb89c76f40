"""Code objects taken apart and put together again: instructions, jumps, positions, exception table.

Only what `recode` needs, for CPython 3.11 to 3.13. Formats: CPython's `Objects/locations.md` and
`Objects/exception_handling_notes.txt`. What a traced body looks like is not decided here.
"""

from __future__ import annotations

import opcode
import re
import sys
from types import CodeType

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

VERSION = sys.version_info[:2]

OP: dict[str, int] = opcode.opmap
EXTENDED_ARG = OP["EXTENDED_ARG"]
_entries: Any = getattr(opcode, "_inline_cache_entries", ())
# 3.11 and 3.12 index it by opcode, 3.13 by name.
CACHES: list[int] = (
    [_entries.get(name, 0) for name in opcode.opname] if isinstance(_entries, dict) else [*_entries, *[0] * 256][:256]
)
_JUMPS = frozenset(opcode.hasjrel)
_BACKWARD = frozenset(op for name, op in OP.items() if "BACKWARD" in name and op < 256)
_NO_FALLTHROUGH = frozenset(
    OP[name]
    for name in ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD",
                 "JUMP_BACKWARD_NO_INTERRUPT")
    if name in OP
)  # fmt: skip

Position = tuple["int | None", "int | None", "int | None", "int | None"]
"""(line, end line, column, end column), as `code.co_positions()` gives them."""
NOWHERE: Position = (None, None, None, None)


class Place:
    """One entry of a location table as it stands there: copied where it can be, decoded where somebody asks."""

    __slots__ = ("after", "before", "raw", "units")

    def __init__(self, raw: bytes, units: int, before: int, after: int) -> None:
        self.raw = raw
        self.units = units
        self.before = before
        """The line the entry before it ends on; its own is counted from there."""
        self.after = after

    @property
    def position(self) -> Position:
        raw, kind = self.raw, self.raw[0] >> 3 & 15
        if kind < 10:
            column = kind << 3 | raw[1] >> 4
            return self.after, self.after, column, column + (raw[1] & 15)
        if kind < 13:
            return self.after, self.after, raw[1], raw[2]
        if kind == 13:
            return self.after, self.after, None, None
        if kind == 15:
            return NOWHERE
        _, index = _read_signed(raw, 1)
        more, index = _read_varint(raw, index)
        column, index = _read_varint(raw, index)
        end_column, index = _read_varint(raw, index)
        return self.after, self.after + more, column - 1 if column else None, end_column - 1 if end_column else None


def _read_varint(raw: bytes, index: int) -> tuple[int, int]:
    """(value, index behind it) of a number in a location table."""
    value = shift = 0
    while True:
        byte = raw[index]
        value |= (byte & 63) << shift
        shift += 6
        index += 1
        if not byte & 64:
            return value, index


def _read_signed(raw: bytes, index: int) -> tuple[int, int]:
    value, index = _read_varint(raw, index)
    return -(value >> 1) if value & 1 else value >> 1, index


_ENTRY = re.compile(rb"[\x80-\xff][\x00-\x7f]*")


def read_places(table: bytes, line: int) -> Iterator[Place]:
    """The entries of a location table; `line` is the one before."""
    for match in _ENTRY.finditer(table):
        raw = match[0]
        first = raw[0]
        kind = first >> 3 & 15
        after = line
        if 10 <= kind < 13:
            after += kind - 10
        elif 13 <= kind < 15:
            after += _read_signed(raw, 1)[0]
        yield Place(raw, (first & 7) + 1, line, after)
        line = after


class Label:
    """A place in the instructions; `offset` is in code units, known once assembled."""

    __slots__ = ("offset",)

    def __init__(self) -> None:
        self.offset = -1


class Entry:
    """One row of the exception table: where control goes, and how much of the stack is kept."""

    __slots__ = ("depth", "lasti", "target")

    def __init__(self, target: Label, depth: int, lasti: bool) -> None:
        self.target = target
        self.depth = depth
        self.lasti = lasti


class Instruction:
    """One instruction without its caches and EXTENDED_ARGs; a jump has its target in `label`."""

    __slots__ = ("arg", "entry", "label", "offset", "op", "position", "size")

    def __init__(
        self,
        op: int,
        arg: int = 0,
        label: Label | None = None,
        position: Position | Place = NOWHERE,
        entry: Entry | None = None,
    ) -> None:
        self.op = op
        self.arg = arg
        self.label = label
        self.position = position
        self.entry = entry
        self.offset = 0
        self.size = 1 + CACHES[op]

    def assembled(self) -> bytes:
        op, arg = self.op, self.arg
        code = bytes((op, arg & 255)) + _CACHE_BYTES[op]
        for _ in range(self.size - _SIZES[op]):
            arg >>= 8
            code = bytes((EXTENDED_ARG, arg & 255)) + code
        return code

    @property
    def runs(self) -> tuple[tuple[int, Position | Place]]:
        return ((self.size, self.position),)

    @property
    def guarded(self) -> tuple[tuple[int, int, Entry], ...]:
        return ((0, self.size, self.entry),) if self.entry is not None else ()


class Slice:
    """Instructions of the author's that are copied as they are: no jumps, nothing jumps between them, and one row guards them."""

    __slots__ = ("code", "entry", "offset", "runs", "size")

    def __init__(self, code: bytes, runs: list[tuple[int, Position | Place]], entry: Entry | None) -> None:
        self.code = code
        self.size = len(code) // 2
        self.runs = runs
        self.entry = entry
        self.offset = 0

    def assembled(self) -> bytes:
        return self.code

    @property
    def guarded(self) -> tuple[tuple[int, int, Entry], ...]:
        return ((0, self.size, self.entry),) if self.entry is not None else ()


class Block:
    """Instructions assembled already, all with one position: what is put into every function is not assembled each time."""

    __slots__ = ("code", "guarded", "jumps", "labels", "offset", "runs", "size")

    def __init__(
        self,
        code: bytearray,
        position: Position | Place,
        guarded: Sequence[tuple[int, int, Entry]],
        jumps: Sequence[tuple[int, int, Label]],
        labels: Sequence[tuple[int, Label]],
    ) -> None:
        self.code = code
        self.size = len(code) // 2
        self.runs = [(self.size, position)]
        self.guarded = guarded
        """(start, end, entry), in code units from the block's start."""
        self.jumps = jumps
        """(unit of the jump, how many EXTENDED_ARGs stand before it, where to): those that leave the block."""
        self.labels = labels
        """(unit, label): places in the block that entries lead to."""
        self.offset = 0

    def assembled(self) -> bytearray:
        """Raises `FarJump`."""
        code = self.code
        for unit, extended, label in self.jumps:
            distance = label.offset - (self.offset + unit + _SIZES[code[2 * unit]])
            if not 0 <= distance < 1 << 8 * (1 + extended):
                raise FarJump
            for back in range(extended + 1):
                code[2 * (unit - back) + 1] = distance >> 8 * back & 255
        return code


class FarJump(Exception):
    """A jump out of a block goes farther than there is room for in its arguments."""


Part = Instruction | Slice | Label
"""Of the author's."""
Item = Part | Block


def decode(raw: bytes, start: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """(offset, opcode, argument, next offset) of each instruction of `raw` from unit `start`; all offsets in code units.

    The offset is that of the instruction itself, behind its EXTENDED_ARGs: exception table and jumps point at
    the first EXTENDED_ARG, which `Body` allows for.
    """
    index, end, extended = start, len(raw) // 2, 0
    while index < end:
        op = raw[2 * index]
        arg = raw[2 * index + 1] | extended
        if op == EXTENDED_ARG:
            extended = arg << 8
            index += 1
            continue
        extended = 0
        following = index + 1 + CACHES[op]
        yield index, op, arg, following
        index = following


def read_table(table: bytes) -> Iterator[tuple[int, int, int, int, bool]]:
    """(start, end, target, depth, lasti) of an exception table; offsets in code units, end exclusive."""
    stream = iter(table)

    def varint(byte: int) -> int:
        value = byte & 63
        while byte & 64:
            byte = next(stream)
            value = value << 6 | byte & 63
        return value

    for byte in stream:
        start = varint(byte)
        length, target, depth_lasti = varint(next(stream)), varint(next(stream)), varint(next(stream))
        yield start, start + length, target, depth_lasti >> 1, bool(depth_lasti & 1)


def write_table(rows: Sequence[tuple[int, int, int, int, bool]]) -> bytes:
    """The reverse of `read_table`; rows are sorted by start and do not overlap."""
    out = bytearray()

    def varint(value: int, first: int = 0) -> None:
        shift = (
            24 if value >= 1 << 24 else 18 if value >= 1 << 18 else 12 if value >= 1 << 12 else 6 if value >= 64 else 0
        )
        while shift:
            out.append(value >> shift & 63 | 64 | first)
            shift -= 6
            first = 0
        out.append(value & 63 | first)

    for start, end, target, depth, lasti in rows:
        if end > start:
            varint(start, 128)
            varint(end - start)
            varint(target)
            varint(depth << 1 | lasti)
    return bytes(out)


def _signed(value: int) -> bytes:
    return _unsigned(-value << 1 | 1 if value < 0 else value << 1)


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value >= 64:
        out.append(value & 63 | 64)
        value >>= 6
    out.append(value)
    return bytes(out)


def write_positions(runs: Sequence[tuple[int, Position | Place]], line: int) -> tuple[bytes, int]:
    """Location table bytes for runs of (length in code units, position), and the line it ends on; `line` is the one before."""
    out = bytearray()
    for length, place in runs:
        if isinstance(place, Place):
            if length == place.units and line == place.before:
                out += place.raw
                line = place.after
                continue
            position = place.position
        else:
            position = place
        here, end_line, column, end_column = position
        while length > 0:
            units = length if length < 8 else 8
            length -= units
            first = 0x80 | (units - 1)
            if here is None:
                out.append(first | 15 << 3)
                continue
            delta = here - line
            line = here
            if column is None or end_column is None or end_line is None:
                out.append(first | 13 << 3)
                out += _signed(delta)
            elif end_line == here and delta == 0 and column < 80 and 0 <= end_column - column < 16:
                out.append(first | (column >> 3) << 3)
                out.append((column & 7) << 4 | (end_column - column))
            elif end_line == here and 0 <= delta < 3 and column < 128 and end_column < 128:
                out += bytes((first | (10 + delta) << 3, column, end_column))
            elif -32 < delta < 32 and end_line - here < 64 and column < 63 and end_column < 63:
                # Each number in one byte, as almost all are.
                signed = -delta << 1 | 1 if delta < 0 else delta << 1
                out += bytes((first | 14 << 3, signed, end_line - here, column + 1, end_column + 1))
            else:
                out.append(first | 14 << 3)
                out += _signed(delta)
                out += _unsigned(end_line - here)
                out += _unsigned(column + 1)
                out += _unsigned(end_column + 1)
    return bytes(out), line


def split_positions(table: bytes, units: int, line: int) -> tuple[bytes, bytes, int]:
    """A location table cut after `units` code units: (before, after, line at the cut); an entry that spans it becomes two."""
    size = covered = 0
    places = read_places(table, line)
    while covered < units:
        place = next(places)
        size += len(place.raw)
        covered += place.units
        line = place.after
    over = covered - units
    if not over:
        return table[:size], table[size:], line
    # Of `def f(): pass` for one, where the body has the position of the RESUME: the second half is on the same line.
    raw = place.raw
    kind = raw[0] >> 3 & 15
    columns = b"\0" + raw[_read_signed(raw, 1)[1] :] if kind in (13, 14) else raw[1:]
    head = bytes((raw[0] - over,)) + raw[1:]
    tail = bytes((0x80 | (10 if 10 <= kind <= 12 else kind) << 3 | over - 1,)) + columns
    return table[: size - len(raw)] + head, tail + table[size:], line


class Body:
    """A function's instructions behind its prologue (`RETURN_GENERATOR`, `MAKE_CELL`, … up to the first `RESUME`)."""

    def __init__(self, code: CodeType, start: int, table: bytes, line: int, replaced: frozenset[int] | None) -> None:
        """`table`, `line`: the location table from `start` on, and the line before it. `replaced`: the instructions that are wanted one
        by one, beside jumps; all others come in slices. None: all are."""
        self.raw = raw = code.co_code
        self.places = places = list(read_places(table, line))
        self.items: list[Part] = []
        self.labels: dict[int, Label] = {}
        labels = self.labels
        found: list[tuple[int, int, int, int, int]] = []
        stops = None if replaced is None else replaced | _JUMPS
        sizes = _SIZES
        first = index = start
        end, extended = len(raw) // 2, 0
        while index < end:
            op = raw[2 * index]
            if op == EXTENDED_ARG:
                extended = (raw[2 * index + 1] | extended) << 8
                index += 1
                continue
            following = index + sizes[op]
            if stops is None or op in stops:
                arg = raw[2 * index + 1] | extended
                if op in _JUMPS:
                    target = following - arg if op in _BACKWARD else following + arg
                    if target not in labels:
                        labels[target] = Label()
                found.append((first, index, op, arg, following))
            extended = 0
            first = index = following
        self.rows: list[tuple[int, int, Entry]] = []
        for begin, stop, target, depth, lasti in read_table(code.co_exceptiontable):
            if stop > start:
                self.rows.append((max(begin, start), stop, Entry(labels.setdefault(target, Label()), depth, lasti)))
        cuts = set(labels)
        for begin, stop, _ in self.rows:
            cuts.add(begin)
            cuts.add(stop)
        self.cuts = sorted(cuts)
        self.cut = self.row = self.place = 0
        self.place_end = start + places[0].units if places else end
        at = start
        for first, index, op, arg, following in found:
            self.straight(at, first)
            for place in range(first, index + 1):
                # A jump to an instruction with EXTENDED_ARG lands on the EXTENDED_ARG.
                if place in labels:
                    self.items.append(labels[place])
            label = None
            if op in _JUMPS:
                label = labels[following - arg if op in _BACKWARD else following + arg]
            self.items.append(Instruction(op, arg, label, self.place_at(index), self.entry_at(index)))
            at = following
        self.straight(at, end)

    def straight(self, start: int, end: int) -> None:
        """Append what lies between two instructions that are wanted one by one, cut where a jump or a row begins or ends."""
        cuts, labels = self.cuts, self.labels
        while start < end:
            while self.cut < len(cuts) and cuts[self.cut] <= start:
                self.cut += 1
            stop = min(end, cuts[self.cut]) if self.cut < len(cuts) else end
            if start in labels:
                self.items.append(labels[start])
            runs: list[tuple[int, Position | Place]] = []
            at = start
            while at < stop:
                place = self.place_at(at)
                until = min(self.place_end, stop)
                runs.append((until - at, place))
                at = until
            self.items.append(Slice(self.raw[2 * start : 2 * stop], runs, self.entry_at(start)))
            start = stop

    def place_at(self, unit: int) -> Place:
        """Asked in order."""
        while self.place_end <= unit:
            self.place += 1
            self.place_end += self.places[self.place].units
        return self.places[self.place]

    def entry_at(self, unit: int) -> Entry | None:
        """Asked in order."""
        rows = self.rows
        while self.row < len(rows) and rows[self.row][1] <= unit:
            self.row += 1
        if self.row < len(rows) and rows[self.row][0] <= unit:
            return rows[self.row][2]
        return None

    def depths(self) -> dict[Instruction, int]:
        """Stack depth before each reachable instruction, 0 before the first. All must have been wanted one by one."""
        following: dict[Part, Part | None] = dict(zip(self.items, [*self.items[1:], None], strict=True))
        depths: dict[Part, int] = {}
        work: list[tuple[Part | None, int]] = [(self.items[0], 0)]
        while work:
            item, depth = work.pop()
            while item is not None and item not in depths:
                depths[item] = depth
                if isinstance(item, Instruction):
                    entry = item.entry
                    if entry is not None:
                        work.append((entry.target, entry.depth + entry.lasti + 1))
                    op = item.op
                    arg = item.arg if op >= opcode.HAVE_ARGUMENT else None
                    if item.label is not None:
                        work.append((item.label, depth + opcode.stack_effect(op, arg, jump=True)))
                    if op in _NO_FALLTHROUGH:
                        break
                    depth += opcode.stack_effect(op, arg, jump=False)
                item = following[item]
        return {item: depth for item, depth in depths.items() if isinstance(item, Instruction)}


def layout(items: Sequence[Item], start: int) -> int:
    """Give every instruction, block and label its offset, EXTENDED_ARGs included; returns the offset of the end."""
    instructions = [item for item in items if type(item) is Instruction]
    while True:
        offset = start
        for item in items:
            item.offset = offset
            if not isinstance(item, Label):
                offset += item.size
        changed = False
        for item in instructions:
            if item.label is not None:
                following = item.offset + item.size
                distance = item.label.offset - following
                item.arg = -distance if item.op in _BACKWARD else distance
                if item.arg < 0:
                    raise ValueError(f"a jump over {distance} goes the wrong way")
            arg = item.arg
            if arg < 256:
                continue
            size = 1 + CACHES[item.op] + (1 if arg < 1 << 16 else 2 if arg < 1 << 24 else 3)
            if size > item.size:
                item.size = size
                changed = True
        if not changed:
            break
    for item in items:
        if type(item) is Block:
            for unit, label in item.labels:
                label.offset = item.offset + unit
    return offset


def emit(items: Sequence[Item]) -> tuple[bytes, list[tuple[int, Position | Place]], list[tuple[int, int, Entry]]]:
    """Bytes, position runs and (start, end, entry) rows of laid-out items. Raises `FarJump`."""
    out = bytearray()
    runs: list[tuple[int, Position | Place]] = []
    rows: list[tuple[int, int, Entry]] = []
    length = 0
    position: Position | Place | None = None
    # The row that is still growing, by entry: author and ours share few.
    begin = end = -1
    last: Entry | None = None
    for item in items:
        if isinstance(item, Label):
            continue
        out += item.assembled()
        for units, place in item.runs:
            if place is position or place == position:
                length += units
            else:
                if position is not None:
                    runs.append((length, position))
                position, length = place, units
        for first, stop, entry in item.guarded:
            first, stop = first + item.offset, stop + item.offset
            if last is not None and end == first and (entry is last or _alike(entry, last)):
                end = stop
            else:
                if last is not None:
                    rows.append((begin, end, last))
                begin, end, last = first, stop, entry
    if position is not None:
        runs.append((length, position))
    if last is not None:
        rows.append((begin, end, last))
    return bytes(out), runs, rows


_SIZES = [1 + count for count in CACHES]
_CACHE_BYTES = [bytes(2 * count) for count in CACHES]


def _alike(one: Entry, other: Entry) -> bool:
    return one.target.offset == other.target.offset and one.depth == other.depth and one.lasti == other.lasti
