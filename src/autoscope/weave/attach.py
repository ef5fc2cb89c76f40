"""Weaving in place: modules that were imported before us, or that another import hook loaded.

Functions are found by walking what a module and its classes hold, through the ordinary wrappers of decorators.
"""

from __future__ import annotations

import functools
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, FunctionType, MethodType, ModuleType

from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def attach(weave: Weaver, module: ModuleType, how: str = "in place") -> int:
    """Weave the functions of a module that exists already; returns how many."""
    name = module.__name__
    twins: dict[int, tuple[CodeType, CodeType]] = {}
    count = sum(weave.function(function, name, twins) for function in functions_of(module))
    weaver.seen[name] = how
    return count


def attach_everything(weave: Weaver, modules: dict[str, ModuleType]) -> int:
    """The same for many modules at once, with closures and whatever else the garbage collector knows."""
    from autoscope.weave.everywhere import GLOBALS, every_function

    namespaces = {id(module.__dict__): name for name, module in modules.items()}
    twins: dict[int, tuple[CodeType, CodeType]] = {}
    count = 0
    for function in every_function(GLOBALS, namespaces):
        count += weave.function(function, namespaces[id(function.__globals__)], twins)
    for name in modules:
        weaver.seen[name] = "in place"
    return count


def functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Every function a module defines and still holds: its own, its classes', and those behind decorators."""
    namespace = module.__dict__
    found: set[int] = set()
    work: list[Any] = list(namespace.values())
    while work:
        thing = work.pop()
        if id(thing) in found:
            continue
        found.add(id(thing))
        # Of the type alone, and by identity: an object may compute its `__class__`, a metaclass its `==` and its attributes.
        kind = type(thing)
        if kind is FunctionType:
            if thing.__globals__ is namespace:
                yield thing
            work.extend(_behind(thing))
        elif issubclass(kind, type):
            # Asked of the type itself, so that no metaclass of the program's runs.
            if type.__getattribute__(thing, "__module__") == module.__name__:
                work.extend(type.__dict__["__dict__"].__get__(thing).values())
        elif kind is staticmethod or kind is classmethod or kind is MethodType:
            work.append(thing.__func__)
        elif kind is property:
            work.extend((thing.fget, thing.fset, thing.fdel))
        elif (
            kind is functools.cached_property
            or kind is functools.partial
            or kind is functools.partialmethod
            or kind is functools.singledispatchmethod
        ):
            work.append(thing.func)
        elif kind is _CACHE:
            work.append(thing.__wrapped__)


_CACHE = type(functools.lru_cache(len))


def _behind(function: FunctionType) -> Iterator[Any]:
    """What a decorator's function hides: its `__wrapped__` and the functions in its cells."""
    wrapped = function.__dict__.get("__wrapped__")
    if wrapped is not None:
        yield wrapped
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            pass  # the cell is empty still


def loaded_unseen(weave: Weaver, wanted: Any) -> tuple[dict[str, ModuleType], bool]:
    """Modules the plan wants that are loaded and that neither our finder nor `attach` has seen, and whether more are on their way.

    One that is being imported this moment, in another thread, is left for the next look: it has its functions
    only when it is done, and its loader may not have asked for its woven code yet.
    """
    unseen, more = {}, False
    for name, module in list(sys.modules.items()):
        if name not in weaver.seen and type(module) is ModuleType and module.__name__ == name and wanted(name, module):
            # `__dict__`, because a module of the program's may compute its attributes.
            spec = module.__dict__.get("__spec__")
            if getattr(spec, "_initializing", False):
                more = True
                continue
            if type(spec) is ModuleSpec and spec.origin is None and spec.submodule_search_locations is not None:
                weaver.seen[name] = "a namespace package, which has no code"
                continue
            unseen[name] = module
    return unseen, more


def woven(function: FunctionType) -> sites.Site | None:
    """The site of a function, None if it is not woven now."""
    return sites.site_of(function.__code__)
