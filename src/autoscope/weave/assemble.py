"""Code objects taken apart and put together again: instructions, jumps, positions, exception table.

Only what `recode` needs, for CPython 3.11 to 3.13. Formats: CPython's `Objects/locations.md` and
`Objects/exception_handling_notes.txt`. What a traced body looks like is not decided here.
"""

from __future__ import annotations

import opcode
import sys
from types import CodeType

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
        position: Position = NOWHERE,
        entry: Entry | None = None,
    ) -> None:
        self.op = op
        self.arg = arg
        self.label = label
        self.position = position
        self.entry = entry
        self.offset = 0
        self.size = 1 + CACHES[op]


class Block:
    """Instructions assembled already, all with one position: what is put into every function is not assembled each time."""

    __slots__ = ("code", "entries", "jumps", "labels", "offset", "position", "size")

    def __init__(
        self,
        code: bytearray,
        position: Position,
        entries: Sequence[tuple[int, int, Entry]],
        jumps: Sequence[tuple[int, int, Label]],
        labels: Sequence[tuple[int, Label]],
    ) -> None:
        self.code = code
        self.size = len(code) // 2
        self.position = position
        self.entries = entries
        """(start, end, entry), in code units from the block's start."""
        self.jumps = jumps
        """(unit of the jump, how many EXTENDED_ARGs stand before it, where to): those that leave the block."""
        self.labels = labels
        """(unit, label): places in the block that entries lead to."""
        self.offset = 0


class FarJump(Exception):
    """A jump out of a block goes farther than there is room for in its arguments."""


Item = Instruction | Label | Block


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


def write_positions(runs: Sequence[tuple[int, Position]], line: int) -> tuple[bytes, int]:
    """Location table bytes for runs of (length in code units, position), and the line it ends on; `line` is the one before."""
    out = bytearray()
    for length, position in runs:
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
    index = covered = begin = columns = first = kind = 0
    while covered < units:
        begin = index
        first = table[index]
        covered += (first & 7) + 1
        kind = first >> 3 & 15
        index += 1
        if kind in (13, 14):
            value = shift = 0
            while True:
                value |= (table[index] & 63) << shift
                shift += 6
                index += 1
                if not table[index - 1] & 64:
                    break
            line += -(value >> 1) if value & 1 else value >> 1
        elif 10 <= kind <= 12:
            line += kind - 10
        columns = index
        while index < len(table) and not table[index] & 0x80:
            index += 1
    over = covered - units
    if not over:
        return table[:index], table[index:], line
    # Of `def f(): pass` for one, where the body has the position of the RESUME: the second half is on the same line.
    head = first & 0xF8 | (first & 7) - over
    tail = 0x80 | (10 if 10 <= kind <= 12 else kind) << 3 | over - 1
    before = table[:begin] + bytes((head,)) + table[begin + 1 : index]
    same_line = b"\0" if kind in (13, 14) else b""
    return before, bytes((tail,)) + same_line + table[columns:], line


class Body:
    """A function's instructions behind its prologue (`RETURN_GENERATOR`, `MAKE_CELL`, … up to the first `RESUME`)."""

    def __init__(self, code: CodeType, start: int) -> None:
        raw = code.co_code
        positions = list(code.co_positions())
        labels: dict[int, Label] = {}
        decoded: list[tuple[int, int, Instruction]] = []
        # As `decode`, whose generator would be resumed for each.
        caches, position = CACHES, NOWHERE
        first = index = start
        end, extended = len(raw) // 2, 0
        while index < end:
            op = raw[2 * index]
            arg = raw[2 * index + 1] | extended
            if op == EXTENDED_ARG:
                extended = arg << 8
                index += 1
                continue
            extended = 0
            following = index + 1 + caches[op]
            label = None
            if op in _JUMPS:
                target = following - arg if op in _BACKWARD else following + arg
                label = labels.get(target)
                if label is None:
                    label = labels[target] = Label()
            if positions[index] != position:
                position = positions[index]  # one object for a run of them
            decoded.append((first, index, Instruction(op, arg, label, position)))
            first = index = following
        self.rows: list[tuple[int, int, Label, int, bool]] = []
        for begin, end, target, depth, lasti in read_table(code.co_exceptiontable):
            if end > start:
                self.rows.append((max(begin, start), end, labels.setdefault(target, Label()), depth, lasti))
        self.items: list[Instruction | Label] = []
        self.instructions: list[Instruction] = []
        row = 0
        rows, items = self.rows, self.items
        stop = rows[0][1] if rows else sys.maxsize
        for first, offset, instruction in decoded:
            if first in labels:
                items.append(labels[first])
            # A jump to an instruction with EXTENDED_ARG lands on the EXTENDED_ARG.
            if first != offset:
                items += [labels[at] for at in range(first + 1, offset + 1) if at in labels]
            while stop <= offset:
                row += 1
                stop = rows[row][1] if row < len(rows) else sys.maxsize
            if row < len(rows) and rows[row][0] <= offset:
                instruction.entry = Entry(*rows[row][2:])
            items.append(instruction)
            self.instructions.append(instruction)

    def depths(self) -> dict[Instruction, int]:
        """Stack depth before each reachable instruction, 0 before the first."""
        following: dict[Instruction | Label, Instruction | Label | None] = dict(
            zip(self.items, [*self.items[1:], None], strict=True)
        )
        depths: dict[Instruction | Label, int] = {}
        work: list[tuple[Instruction | Label | None, int]] = [(self.items[0], 0)]
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
            if type(item) is not Label:
                offset += item.size  # type: ignore[union-attr]
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


def emit(items: Sequence[Item]) -> tuple[bytes, list[tuple[int, Position]], list[tuple[int, int, int, int, bool]]]:
    """Bytes, position runs and exception rows of laid-out items. Raises `FarJump`."""
    out = bytearray()
    runs: list[tuple[int, Position]] = []
    rows: list[tuple[int, int, int, int, bool]] = []
    length = 0
    position: Position | None = None
    # The row that is still growing, by entry: author and ours share few.
    begin = end = -1
    last: Entry | None = None
    for item in items:
        if type(item) is Instruction:
            op, arg, size = item.op, item.arg, item.size
            if size > _SIZES[op]:
                for shift in range(8 * (size - _SIZES[op]), 0, -8):
                    out += bytes((EXTENDED_ARG, arg >> shift & 255))
                arg &= 255
            out.append(op)
            out.append(arg)
            out += _CACHE_BYTES[op]
            entry = item.entry
            if entry is not None:
                if last is not None and end == item.offset and (entry is last or _alike(entry, last)):
                    end += size
                else:
                    if last is not None:
                        rows.append((begin, end, last.target.offset, last.depth, last.lasti))
                    begin, end, last = item.offset, item.offset + size, entry
        elif type(item) is Block:
            size = item.size
            for unit, extended, label in item.jumps:
                distance = label.offset - (item.offset + unit + _SIZES[item.code[2 * unit]])
                if not 0 <= distance < 1 << 8 * (1 + extended):
                    raise FarJump
                for back in range(extended + 1):
                    item.code[2 * (unit - back) + 1] = distance >> 8 * back & 255
            out += item.code
            for first, stop, entry in item.entries:
                first, stop = first + item.offset, stop + item.offset
                if last is not None and end == first and (entry is last or _alike(entry, last)):
                    end = stop
                else:
                    if last is not None:
                        rows.append((begin, end, last.target.offset, last.depth, last.lasti))
                    begin, end, last = first, stop, entry
        else:
            continue
        if item.position is position or item.position == position:
            length += size
        else:
            if position is not None:
                runs.append((length, position))
            position = item.position
            length = size
    if position is not None:
        runs.append((length, position))
    if last is not None:
        rows.append((begin, end, last.target.offset, last.depth, last.lasti))
    return bytes(out), runs, rows


_SIZES = [1 + count for count in CACHES]
_CACHE_BYTES = [bytes(2 * count) for count in CACHES]


def _alike(one: Entry, other: Entry) -> bool:
    return one.target.offset == other.target.offset and one.depth == other.depth and one.lasti == other.lasti
