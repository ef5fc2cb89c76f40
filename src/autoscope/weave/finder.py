"""The import hook: lets the others find, then sees to it that what is loaded is woven.

The loader that was found stays the loader. For one load, its instance carries a `get_code` that gives the woven
code, which serves the import system and `runpy` alike, and which takes itself away when used; everything else of
the loader protocol is untouched. A loader that executes in a way of its own (pytest's, typeguard's) does so, and the
module is woven in place afterwards.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from itertools import chain, repeat
from types import CodeType, FunctionType, ModuleType

from autoscope.errors import from_a_signal, notice
from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.weave import attach, kept, weaver
from autoscope.weave.weaver import Weaver, own

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from autoscope.plan.model import Plan

_FROZEN = "<frozen importlib._bootstrap_external>"


NEVER = frozenset(
    ("autoscope", "sitecustomize", "importlib", "zipimport", "_frozen_importlib", "_frozen_importlib_external")
)
"""What no plan can have woven: ourselves, and what runs below us while a module is imported."""


READERS = frozenset(
    (
        "dill._dill",
        "hypothesis.internal.lambda_sources",
        "hypothesis.internal.reflection",
        "hypothesis.internal.scrutineer",
        "numba.core.bytecode",
        "numba.core.dispatcher",
        "pony.orm.decompiling",
        "torch._dynamo.convert_frame",
        "torch._dynamo.trace_rules",
        "torch._dynamo.variables.functions",
    )
)
"""Modules that read a function's instructions or follow every line; see `aside`."""
CLOUDPICKLES = ("cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast")
"""How the names of those end that are copies of cloudpickle."""


def _stand_aside(module: ModuleType) -> None:
    try:
        from autoscope.weave import aside
    except ImportError:
        return  # the program has made us one that cannot be imported
    aside.READERS.get(module.__name__, aside.cloudpickle)(module)


def _as_importlib(function: Any) -> Any:
    """Make a function's frame one that Python cuts out of tracebacks of failed imports, as it does its own."""
    assert isinstance(function, FunctionType)
    function.__code__ = function.__code__.replace(co_filename=_FROZEN)
    return function


class Finder:
    """On `sys.meta_path`; asks the finders behind and in front of it, weaves what the plan selects."""

    def __init__(self, weave: Weaver) -> None:
        self.weave = weave
        self.after_import: dict[str, Callable[[ModuleType], None]] = {}
        """Module name -> what is to happen once it is loaded."""
        self.after_import["multiprocessing.spawn"] = self.spawning
        self.after_import.update(dict.fromkeys(READERS, _stand_aside))
        for name in [name for name in list(sys.modules) if name in READERS or name.endswith(CLOUDPICKLES)]:
            _do(_stand_aside, sys.modules[name])
        self.finding = 0
        """Specs asked of the others: the dear part, counted for a test."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # First of all, and for whatever is imported: a hook that is before us answers for its modules without our being asked.
        self.to_the_front()
        then = self.after_import.get(name) or (_stand_aside if name.endswith(CLOUDPICKLES) else None)
        selected = name.partition(".")[0] not in NEVER and self.weave.plan.selects(name)
        if then is None and (selected is False or (selected is None and _standard(name))):
            return None
        spec = self.ask_others(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        try:
            if then is not None:
                on_load(spec.loader, name, then)
            if selected or (selected is None and own(spec.origin)):
                self.take(spec, spec.loader)
        except Exception as error:
            if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
                raise
            notice("module-untraced", f"{name} runs untraced: {type(error).__name__}: {error}")
        return spec

    def to_the_front(self) -> None:
        """Hooks installed after us (pytest's) stand before us and answer without our knowing: go before them again.

        Safe while an import walks the list: what stands behind our old place stays where it is.
        """
        others = sys.meta_path
        if others and others[0] is not self:
            try:
                others.remove(self)
            except ValueError:
                return
            others.insert(0, self)

    def ask_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        self.finding += 1
        for finder in sys.meta_path:
            if finder is self:
                continue
            find = getattr(finder, "find_spec", None)
            if find is not None:
                spec: ModuleSpec | None = find(name, path, target)
                if spec is not None:
                    return spec
        return None

    def take(self, spec: ModuleSpec, loader: Any) -> None:
        """See to it that the module is woven when this loader loads it."""
        execute = getattr(loader if isinstance(loader, type) else type(loader), "exec_module", None)
        if execute is None:
            weaver.seen[spec.name] = f"its loader ({type(loader).__name__}) is of the old kind"
            return
        if isinstance(loader, type):
            weaver.seen[spec.name] = "built in"  # or frozen: a loader shared by all, which nobody may change
        elif isinstance(loader, ExtensionFileLoader) or not hasattr(type(loader), "get_code"):
            # An extension module (whose `get_code` gives None), or a loader that makes modules out of something else.
            on_load(loader, spec.name, self.in_place)
        elif execute.__module__ in ("_frozen_importlib_external", "zipimport", "importlib._bootstrap_external"):
            _replace_get_code(self.weave, loader, spec.name)
        else:
            on_load(loader, spec.name, self.in_place)

    def spawning(self, module: ModuleType) -> None:
        from autoscope.weave import main

        main.weave_spawned(self.weave, module)

    def in_place(self, module: ModuleType) -> None:
        from autoscope.weave import wrap

        attach.attach(self.weave, module, "in place, after its own loader")
        wrap.wrap_named(self.weave, module)


def _standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def wants(plan: Plan, name: str, file: str | None) -> bool:
    """Whether a plan selects a module that is in this file. The finder asks the same in steps, the file last."""
    if name.partition(".")[0] in NEVER:
        return False
    selected = plan.selects(name)
    return (not _standard(name) and own(file)) if selected is None else selected


def wants_loaded(plan: Plan, name: str, module: ModuleType) -> bool:
    """Whether a plan selects a module that is loaded already."""
    # `__dict__`, because a module of the program's may compute its attributes.
    file = module.__dict__.get("__file__")
    return wants(plan, name, file if type(file) is str else None)


def _replace_get_code(weave: Weaver, loader: Any, name: str) -> None:
    existing = loader.__dict__.get("get_code")
    if existing is not None:
        if hasattr(existing, "names"):
            existing.names.add(name)  # a zipimporter serves all modules of its archive
        return
    original = type(loader).get_code
    if type(loader).__module__ == "zipimport":
        loader.get_code = _for_archive(weave, loader, name, original)
        return

    load: Any = None
    if weave.cache is not None:
        from autoscope.weave import cache

        if cache.serves(loader):
            load = cache.Load(weave.cache, weave, loader, name)

    def cached(load: Any) -> CodeType | None:
        loader.__dict__.pop("get_code", None)
        first = len(sites.sites)
        code: CodeType | None = load.before()
        if code is not None:
            kept.watch(code, name, first)
        return code

    def woven(code: CodeType | None) -> CodeType | None:
        loader.__dict__.pop("get_code", None)
        if code is None:
            return code
        first = len(sites.sites)
        code = load.after(code) if load is not None else weave.module_code(code, name, lambda: _source(loader, name))
        kept.watch(code, name, first)
        return code

    # One call after the other without a Python frame around Python's own, whose failure `runpy` would show with ours in it.
    # The name asked for is `next`'s default, never needed: this loader knows one module.
    found = filter(None, map(cached, () if load is None else (load,)))
    codes = chain(found, map(woven, map(original, repeat(loader), repeat(name))))
    loader.get_code = partial(next, codes)


def _for_archive(weave: Weaver, loader: Any, name: str, original: Any) -> Any:
    names = {name}

    def get_code(fullname: str) -> CodeType | None:
        code: CodeType | None = original(loader, fullname)
        if fullname not in names:
            return code
        names.discard(fullname)
        if not names:
            loader.__dict__.pop("get_code", None)
        if code is None:
            return code
        first = len(sites.sites)
        code = weave.module_code(code, fullname, lambda: _source(loader, fullname))
        kept.watch(code, fullname, first)
        return code

    get_code.names = names  # type: ignore[attr-defined]
    return _as_importlib(get_code)


def _source(loader: Any, name: str) -> bytes | str | None:
    get_filename, get_data = getattr(loader, "get_filename", None), getattr(loader, "get_data", None)
    if get_filename is None or get_data is None:
        return None
    path = get_filename(name)
    if not path.endswith((".py", ".pyw")):
        return None
    data: bytes = get_data(path)
    return data


def on_load(loader: Any, name: str, then: Callable[[ModuleType], None]) -> None:
    """Have `then(module)` called once this loader has executed module `name`."""
    if isinstance(loader, type) or not hasattr(loader, "__dict__"):
        return  # BuiltinImporter and the like, shared by everybody: found at the next look round
    existing = loader.__dict__.get("exec_module")
    if hasattr(existing, "waiting"):
        existing.waiting.setdefault(name, []).append(then)
        return
    execute = type(loader).exec_module
    waiting = {name: [then]}

    def exec_module(module: ModuleType) -> None:
        execute(loader, module)
        for action in waiting.pop(module.__name__, ()):
            _do(action, module)

    exec_module.waiting = waiting  # type: ignore[attr-defined]
    loader.exec_module = _as_importlib(exec_module)


def _do(action: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        action(module)
    except Exception as error:
        if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
            raise
        notice("module-untraced", f"{module.__name__}: {type(error).__name__}: {error}")
