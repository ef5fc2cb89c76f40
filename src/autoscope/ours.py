"""The builtins our own functions use: as they were when we came.

A program may put others in their place, and tests do (`mock.patch("builtins.open")`): those are asked by nobody but the program. A function takes its
builtins from the `__builtins__` of its module at the moment it is made, so a module of ours has this instead of Python's before
its first function.
"""

from __future__ import annotations

import builtins
from _operator import is_

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

_BUILTINS = dict(vars(builtins))


def keep_builtins(module: dict[str, Any]) -> None:
    """Have the functions that a module makes from now on use these; `module` are its globals."""
    module["__builtins__"] = _BUILTINS


keep_builtins(globals())

_NEEDED = ("BaseException", "Exception", "AttributeError", "KeyError", "RuntimeError", "getattr", "isinstance", "len")
_KEPT = [_BUILTINS[name] for name in _NEEDED]


def intact() -> bool:
    """Whether Python's own library, which we use too, has what it needs."""
    return all(map(is_, map(vars(builtins).get, _NEEDED), _KEPT))
