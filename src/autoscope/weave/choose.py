"""What a plan's strategy means for one function, seen from its code object alone.

Only for functions the plan does not name: a function named in a plan is woven whatever it looks like. The planner, which reads
whole programs, writes its choices into the plan; this is the rule for what no planner has read.
"""

from __future__ import annotations

from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.weave.assemble import OP, decode

keep_builtins(globals())

FUNCTION = 0x1 | 0x2
"""CO_OPTIMIZED | CO_NEWLOCALS: a function's code, not a module's or a class body's."""
SUSPENDS = 0x20 | 0x80 | 0x200
LIFE_CYCLE = frozenset(
    ("__init__", "__post_init__", "__new__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__")
)
"""Special methods that do a class's work; the others (`__eq__`, `__hash__`, `__getattr__`, …) are its manners."""
LAMBDA = "<lambda>"
SHORT = 24
"""Instructions up to which a function without calls and loops counts as trivial: an accessor, a constant, a comparison."""

_WORK = frozenset(
    op
    for name, op in OP.items()
    if name.startswith(
        ("CALL", "JUMP_BACKWARD", "IMPORT_", "RAISE_", "SEND", "YIELD", "BEFORE_", "WITH_", "MAKE_FUNCTION")
    )
    and op < 256
    and not name.startswith("CALL_INTRINSIC")
)


def is_function(code: CodeType) -> bool:
    """Whether a code object is that of a `def` or a `lambda`: comprehensions, class bodies and the like are none."""
    return code.co_flags & FUNCTION == FUNCTION and (code.co_name[:1] != "<" or code.co_name == LAMBDA)


def is_trivial(code: CodeType) -> bool:
    """Whether nothing can take time in it: no call, no loop, no await, and short."""
    if code.co_flags & SUSPENDS:
        return False
    count = 0
    for _, op, _, _ in decode(code.co_code):
        count += 1
        if op in _WORK or count > SHORT:
            return False
    return True


def left_out(code: CodeType, level: str) -> str:
    """The reason a function nobody named is not watched at `level`; empty where it is.

    `full_trace` leaves out nothing, `balanced` lambdas, what is trivial and the special methods other than the life cycle's,
    `minimal` also what is private or nested in another function.
    """
    if level == "full_trace":
        return ""
    name = code.co_name
    if name == LAMBDA:
        return f"lambda ({level})"
    if name.startswith("__") and name.endswith("__") and name not in LIFE_CYCLE:
        return f"special method ({level})"
    if is_trivial(code):
        return f"trivial ({level})"
    if level == "minimal":
        if "<locals>" in code.co_qualname:
            return "nested in a function (minimal)"
        if name.startswith("_") and name not in LIFE_CYCLE:
            return "private (minimal)"
    return ""


def kind_of(code: CodeType) -> str:
    """`function`, `generator`, `coroutine` or `async_generator`."""
    flags = code.co_flags
    if flags & 0x200:
        return "async_generator"
    if flags & 0x80:
        return "coroutine"
    return "generator" if flags & 0x20 else "function"
