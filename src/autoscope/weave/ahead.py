"""Weaving into the code cache what nobody has imported yet."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader

from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.weave.cache import Load
from autoscope.weave.finder import wants
from autoscope.weave.weaver import Weaver

keep_builtins(globals())


def weave_ahead(weave: Weaver, name: str, file: str) -> tuple[str, str]:
    """See to it that module `name` is in the cache: (what became of it, why not). Nothing of it is executed.

    Python's own `.pyc` is written as well where there is none, as by an import.
    """
    cache = weave.cache
    if cache is None:
        return "not kept", "what this interpreter weaves from source is not kept"
    if not wants(weave.plan, name, file):
        return "not in the plan", ""
    hits, stored = cache.hits, cache.stored
    loader = SourceFileLoader(name, file)
    load = Load(cache, weave, loader, name)
    try:
        if load.before() is None:
            code = loader.get_code(name)
            if code is not None:
                load.after(code)
    except (SyntaxError, OSError, ValueError, RecursionError, MemoryError) as error:
        return "not compiled", f"{file}: {type(error).__name__}: {error}"
    finally:
        sites.reset()
    if cache.hits > hits:
        return "there already", ""
    return "woven" if cache.stored > stored else "not kept", ""
