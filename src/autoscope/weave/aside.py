"""For those who read bytecode to make something else of it: they are given the author's.

numba compiles a function from its instructions, Pony turns a lambda's into SQL. What we put there they would not
understand. Each says in one place what it is about to read, and there the function gets its own code back for good; who
else shares that code, as other closures do, stays woven.
"""

from __future__ import annotations

import functools
import sys
from types import CodeType, FunctionType, MethodType, ModuleType

from autoscope.runtime import sites
from autoscope.weave import weaver

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def author_code(code: CodeType) -> CodeType:
    """This code without anything of ours, itself and what is defined in it."""
    site = sites.by_code.get(code)
    if site is not None and site.author is not None:
        return site.author
    inner = tuple([author_code(part) if isinstance(part, CodeType) else part for part in code.co_consts])
    changed = any(new is not old for new, old in zip(inner, code.co_consts, strict=True))
    return code.replace(co_consts=inner) if changed else code


def give_author_code(function: Any, reader: str) -> None:
    """Unweave one function for good; `reader` is whose doing it is."""
    if type(function) is MethodType:
        function = function.__func__
    if type(function) is not FunctionType:
        return
    code = function.__code__
    own = author_code(code)
    if own is not code:
        function.__code__ = own
        left = (function.__module__, function.__qualname__, f"its instructions are read by {reader}")
        if left not in weaver.left_alone:
            weaver.left_alone.append(left)


def _numba_bytecode(module: ModuleType) -> None:
    """Every compilation of numba's begins with `FunctionIdentity.from_function(function)`."""
    identity = module.__dict__["FunctionIdentity"]
    original = identity.__dict__["from_function"].__func__

    @functools.wraps(original)
    def from_function(cls: type, pyfunc: Any) -> Any:
        give_author_code(pyfunc, "numba")
        return original(cls, pyfunc)

    identity.from_function = classmethod(from_function)


def _numba_dispatcher(module: ModuleType) -> None:
    """A `jit` keeps the function's code, and looks for it in its cache, long before it compiles."""
    dispatcher = module.__dict__["Dispatcher"]
    original = dispatcher.__dict__["__init__"]

    @functools.wraps(original)
    def __init__(self: Any, py_func: Any, *args: Any, **options: Any) -> None:
        give_author_code(py_func, "numba")
        original(self, py_func, *args, **options)

    dispatcher.__init__ = __init__


def _pony(module: ModuleType) -> None:
    original = module.__dict__["decompile"]

    @functools.wraps(original)
    def decompile(x: Any) -> Any:
        give_author_code(x, "Pony")
        return original(x)

    for name, other in list(sys.modules.items()):
        if name.partition(".")[0] == "pony" and getattr(other, "__dict__", {}).get("decompile") is original:
            other.__dict__["decompile"] = decompile


READERS: dict[str, Callable[[ModuleType], None]] = {
    "numba.core.bytecode": _numba_bytecode,
    "numba.core.dispatcher": _numba_dispatcher,
    "pony.orm.decompiling": _pony,
}
"""Module -> what to do once it is loaded."""
