"""Which part of an expression Python's traceback marks with `^` among `~`, found without making a tree of it.

`traceback` asks `ast.parse`. CPython 3.11 counts how deep that is in one place for all threads: where a garbage collection
in the middle of it calls something, another thread gets its turn, and parses too, the first fails with `SystemError: AST constructor
recursion depth mismatch`. That other thread would be ours. Compiled to instructions, the expression tells as much:
each operand has instructions, and these their places. From 3.12 on nothing is called in the middle.
"""

from __future__ import annotations

import sys
from itertools import pairwise

from autoscope.ours import keep_builtins
from autoscope.runtime.library import library

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CodeType: Any = type((lambda: 0).__code__)
FunctionType: Any = type(lambda: 0)
Node: Any = type(sys.implementation)
"""As `types` has them, which a program may have one of its own by the name of."""
Span = tuple[int, int]
"""Where something begins and ends in a line, in bytes."""


class Expr:
    __match_args__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class BinOp:
    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right


class Subscript:
    def __init__(self, value: Any, slice: Any) -> None:
        self.value, self.slice = value, slice


def parse(segment: str) -> Any:
    """As much of what `ast.parse` gives as `traceback` looks at. Raises SyntaxError."""
    found = _operation(segment)
    return Node(body=[] if found is None else [Expr(found)])


def _operation(segment: str) -> BinOp | Subscript | None:
    if segment[:1].isspace():
        raise SyntaxError
    opcode: Any = library("opcode")
    # In brackets, for its indentation; in a function that may await and yield.
    module = compile(f"async def f():\n (\n{segment}\n)", "<marks>", "exec")
    code = next(part for part in module.co_consts if type(part) is CodeType)
    places: list[tuple[str, Span | None]] = []
    for op, (line, end_line, column, end_column) in zip(code.co_code[::2], code.co_positions(), strict=True):
        is_there = line == end_line == 3 and column is not None and end_column is not None
        places.append((opcode.opname[op], (column, end_column) if is_there else None))
    names = [name for name, _ in places]
    if names.count("POP_TOP") == 0:
        return None
    last = len(names) - 1 - names[::-1].index("POP_TOP") - 1
    while last >= 0 and names[last] == "CACHE":
        last -= 1
    name, whole = places[last]
    if name not in ("BINARY_OP", "BINARY_SUBSCR") or whole is None:
        return None
    text = segment.encode()
    parts = _merged([place for _, place in places if place is not None and place != whole])
    wanted = b"[" if name == "BINARY_SUBSCR" else opcode._nb_ops[code.co_code[2 * last + 1]][1].encode()
    for (_, end), (start, _) in pairwise(parts):
        if text[end:start].strip(b" \t\f()") == wanted:
            if wanted == b"[":
                return Subscript(Node(end_col_offset=end), Node(end_col_offset=parts[-1][1]))
            return BinOp(Node(end_col_offset=end), Node(col_offset=start))
    return None


def _merged(spans: list[Span]) -> list[Span]:
    """Those that overlap as one, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def with_marks(traceback: Any) -> Callable[[Any, Any], str]:
    """`StackSummary.format_frame_summary` of this version, which asks `parse` here."""
    ours = Node(parse=parse, Expr=Expr, BinOp=BinOp, Subscript=Subscript)
    builtins = {**vars(library("builtins")), "__import__": lambda *_: ours}
    asks = traceback._extract_caret_anchors_from_line_segment
    asks = FunctionType(asks.__code__, {**vars(traceback), "__builtins__": builtins}, asks.__name__)
    formats = traceback.StackSummary.format_frame_summary
    made: Callable[[Any, Any], str] = FunctionType(
        formats.__code__, {**vars(traceback), "_extract_caret_anchors_from_line_segment": asks}
    )
    return made
