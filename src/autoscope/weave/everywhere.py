"""Every function the garbage collector knows.

Nobody may hold the list of all objects while another thread runs. A tuple that is being made of an iterator is in it, and `tuple()` fails with
"SystemError: bad argument to internal function" where somebody else has what it makes (CPython's `_PyTuple_Resize`,
3.11 to 3.13); and what the program lets go of meanwhile would live on, and end in our thread. So objects are
listed, looked at and let go of by C functions that call one another: the interpreter's lock is given up between steps of Python code, and there is
none. It takes some 60 to 100 ns an object, about as long as a full collection.
"""

from __future__ import annotations

import gc
from _operator import attrgetter, call, is_
from collections import deque
from functools import partial
from itertools import compress, repeat
from types import FunctionType

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any

CODE, GLOBALS = attrgetter("__code__"), attrgetter("__globals__")
"""By what functions are chosen."""

_objects = gc.get_objects
"""As it was when we were imported: a program may replace it."""


def every_function(
    read: Callable[[FunctionType], Any] | None = None, wanted: Container[int] = frozenset()
) -> list[FunctionType]:
    """Functions, closures among them, that the garbage collector knows.

    read, wanted: only those of which `id(read(function))` is wanted. Both in C, and `read` makes nothing new.
    """
    things: list[Any] = []
    found: list[FunctionType] = []
    # Iterators over lists that are empty yet.
    functions = compress(things, map(is_, map(type, things), repeat(FunctionType)))
    fill: Callable[[], object] = partial(deque, map(things.extend, map(call, (_objects,))), 0)
    steps: list[Callable[[], object]] = [fill, partial(found.extend, functions), things.clear]
    if read is not None:
        chosen: list[FunctionType] = []
        those = compress(found, map(wanted.__contains__, map(id, map(read, found))))
        steps += [partial(chosen.extend, those), found.clear]
        found = chosen
    deque(map(call, steps), 0)
    return found
