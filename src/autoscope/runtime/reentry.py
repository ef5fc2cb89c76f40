"""CPython 3.11 crashes where what a garbage collection calls sets a context variable while another one is being set.

Up to 3.11 a collection may begin at any allocation, also in the middle of `ContextVar.set`, which does not hold what it is reading: the
variables of the context as they are (python/cpython#148891). An abandoned generator or a destructor that is woven sets ours, which frees
just that. From 3.12 on collections begin between two instructions. So each collection holds what is there when it begins.
"""

from __future__ import annotations

import gc
from contextvars import copy_context
from gc import get_referents
from opcode import opmap

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_now: Iterator[list[Any]] = map(get_referents, iter(copy_context, None))
"""Each time it is asked, the variables of the context that is current."""


def hold(phase: str, info: object, now: Iterator[list[Any]] = _now, held: list[Any] = []) -> None:  # noqa: B006
    """Called by the interpreter as a collection begins and ends, in its thread.

    `held`: what was there when a collection began in which it was replaced, and what replaced it. As long as that is there, the call
    that was interrupted may not be over, and more collections come; when it is over, the call has set something else.

    Nothing is called here, so that no other thread gets a turn: nothing can be collected meanwhile, and a program that asks for it would see that.
    """
    variables: Any = None
    for (variables,) in now:  # noqa: B007
        break
    if phase == "start":
        if held and held[-1] is not variables:
            del held[:]
        held += [variables]
    elif held and held[-1] is variables:
        del held[-1]
    else:
        held += [variables]


def guard() -> None:
    """Have it called from now on. For good: what is woven may be suspended, and be closed by a collection, when tracing is long over."""
    if hold not in gc.callbacks:
        code = hold.__code__
        begin = bytes((opmap["RESUME"], 0))
        # Where a function begins, others get a turn; not where it goes on after an `await`.
        hold.__code__ = code.replace(co_code=code.co_code.replace(begin, bytes((opmap["RESUME"], 3)), 1))
        gc.callbacks.append(hold)
