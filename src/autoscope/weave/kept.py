"""Which functions' code objects the program keeps, and may look for: those functions are never given another.

Jinja2 remembers the code objects of its own functions and leaves frames with them out of tracebacks; trio does the same for Ctrl-C. Such
a program would find out that a function has other code now than it had while its module was executed. So when a module has been
executed it is counted who holds its functions' code: one that is held by more than its function and ourselves is the
program's. The moment is the death of the module's own code object, and counting is C's business alone: no frame and no signal
of the program's comes in between, and it costs some 100 ns a function.
"""

from __future__ import annotations

import sys
from _operator import attrgetter  # type: ignore[attr-defined]
from _weakref import getweakrefcount, ref
from functools import partial
from itertools import chain
from types import CodeType

from autoscope.runtime import sites
from autoscope.runtime.sites import Site

_TRACED = attrgetter("traced")
HOLDERS = 3
"""References to the code of a function that nobody else has: the function's, its site's, and the counter's own."""

_seen: dict[str, tuple[object, list[Site], list[int]]] = {}
"""Module -> (what waits for its execution to end, its functions, what was counted then: references to each, weak references to each)."""
_kept: dict[Site, None] = {}


def watch(code: CodeType, module: str, first: int) -> None:
    """`code` is executed next, as that of `module`, whose functions' sites are among those from `first` on."""
    made = [site for site in sites.sites[first:] if site.traced is not None and site.module == module]
    if made:
        counts: list[int] = []
        counting = chain(map(sys.getrefcount, map(_TRACED, made)), map(getweakrefcount, map(_TRACED, made)))
        # Called with the dead reference, which is `next`'s default, never needed.
        then = partial(next, map(counts.extend, (counting,)))
        _seen[module] = ref(code, then), made, counts


def is_kept(site: Site) -> bool:
    """Whether the program held this function's code when its module had been executed.

    Not of functions defined in others, whose makers hold it too, nor of a module that is being executed still, as a script is.
    """
    found = _seen.get(site.module)
    if found is not None and found[2]:
        _, made, counts = _seen.pop(site.module)
        for one, strong, weak in zip(made, counts, counts[len(made) :], strict=False):
            if weak or (strong > HOLDERS and "<locals>" not in one.qualname):
                _kept[one] = None
    return site in _kept


def is_looked_for(site: Site, code: CodeType) -> bool:
    """Whether a function with this twin of the site's, or a copy the program has made of one, is to keep it."""
    return getweakrefcount(code) > 0 or is_kept(site)


def reset() -> None:
    """Forget everything."""
    _seen.clear()
    _kept.clear()
