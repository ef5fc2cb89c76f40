"""Which functions' code objects the program keeps, and may look for: those functions are never given another.

Jinja2 remembers the code objects of its own functions and leaves frames with them out of tracebacks; trio does the same for Ctrl-C. Such
a program would find out that a function has other code now than it had while its module was executed. So when a module has been
executed it is counted who holds its functions' code: one that is held by more than its function and ourselves is the
program's. The moment is the death of the module's own code object, and counting is C's business alone: no frame and no signal
of the program's comes in between, and it costs some 100 ns a function.
"""

from __future__ import annotations

import sys
from _operator import attrgetter
from _weakref import getweakrefcount, ref
from functools import partial
from itertools import chain
from types import CodeType

from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.runtime.sites import Site

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

_TRACED = attrgetter("traced")
# As they were when we were imported: a program may replace them.
_references, _frames = sys.getrefcount, sys._current_frames
HOLDERS = 3
"""References to the code of a function that nobody else has: the function's, its site's, and the counter's own."""

MOST_FRAMES = 20_000
"""Calls under way that are looked through."""

_seen: dict[str, tuple[object, list[Site], list[int]]] = {}
"""Module -> (what waits for its execution to end, its functions, what was counted then: references to each, weak references to each)."""
_verdicts: dict[Site, bool] = {}
"""Whether the program has it."""
_guesses: dict[Site, bool] = {}
"""Whether it may have it, where that was not counted."""


def watch(code: CodeType, module: str, first: int) -> None:
    """`code` is executed next, as that of `module`, whose functions' sites are among those from `first` on."""
    made = [site for site in sites.sites[first:] if site.traced is not None and site.module == module]
    if made:
        counts: list[int] = []
        counting = chain(map(_references, map(_TRACED, made)), map(getweakrefcount, map(_TRACED, made)))
        # Called with the dead reference, which is `next`'s default, never needed.
        then = partial(next, map(counts.extend, (counting,)))
        _seen[module] = ref(code, then), made, counts


def is_kept(site: Site) -> bool:
    """Whether the program is known to hold this function's code."""
    return verdict(site) is True


def may_be_kept(site: Site) -> bool:
    """Whether the program holds it, or looks as if it did: then a budget leaves it alone, but not who asks for the author's code."""
    return verdict(site) is True or _guesses.get(site, False)


def is_unknown(site: Site) -> bool:
    """Whether nobody has found out."""
    return verdict(site) is None and site not in _guesses


def verdict(site: Site) -> bool | None:
    """Whether the program held this function's code when its module had been executed.

    None, where that was not counted: of functions defined in others, whose makers hold it too, and of a module that is being executed
    still, as a script is.
    """
    found = _seen.get(site.module)
    if found is not None and found[2]:
        _seen.pop(site.module, None)  # another thread may be at it too, and comes to the same
        _, made, counts = found
        for one, strong, weak in zip(made, counts, counts[len(made) :], strict=False):
            if weak:
                _verdicts[one] = True
            elif "<locals>" not in one.qualname:
                _verdicts[one] = strong > HOLDERS
        _forget_retired(_verdicts, False)
    return _verdicts.get(site)


def ask(made: Mapping[Site, int]) -> None:
    """Guess at functions of which nobody has found out, given how many there are of each.

    Now, and by what can be seen from outside: calls under way have a function's code too, and code that defines it does. Where something
    is left over that was not found it may be the program's, or a call that is suspended. Twice, because the program goes on meanwhile.
    """
    first, second = _left_over(made), _left_over(made)
    for site in made:
        _guesses[site] = not first[site] == second[site] == 0
    _forget_retired(_guesses, True)


def _forget_retired(found: dict[Site, bool], held: bool) -> None:
    """Functions that were woven anew have other sites by now; the old ones would live for nobody else. `held`: also those said to be kept."""
    if len(found) > 2 * len(sites.sites) + 100:
        for site, is_held in list(found.items()):
            if sites.is_retired(site) and (held or not is_held):
                found.pop(site, None)


def _left_over(made: Mapping[Site, int]) -> dict[Site, int]:
    """How many references there are to each function's code that nothing known accounts for."""
    stacktrace = sys.modules.get("autoscope.runtime.stacktrace")
    if stacktrace is not None:
        stacktrace.forget_frames()
    # Nothing here may hold a code object when its references are counted, no variable either.
    known: dict[int, int] = {}
    lists: dict[int, tuple[Any, ...]] = {}
    _defined({site.module for site in made}, lists)
    for frame in list(_frames().values()):
        _under_way(frame, known, lists)
    _count(known, lists)
    found = {}
    for site, functions in made.items():
        references = _references(site.traced) - 2  # its site's, and the counter's
        found[site] = references - functions - known.get(id(site.traced), 0) + getweakrefcount(site.traced)
    return found


def _defined(modules: set[str], lists: dict[int, tuple[Any, ...]]) -> None:
    """Note the constants of our code objects for these modules."""
    for site in sites.sites:
        if site.module in modules:
            for code in (site.traced, site._off, site.paced, site.counting):
                if code is not None:
                    _constants(code, lists)


def _under_way(frame: FrameType | None, known: dict[int, int], lists: dict[int, tuple[Any, ...]]) -> None:
    """Count what a thread's calls hold, by identity, and note the constants of modules that are being executed in it."""
    count = 0
    while frame is not None and count < MOST_FRAMES:
        code = frame.f_code
        known[id(code)] = known.get(id(code), 0) + 1
        if code.co_name == "<module>":
            _constants(code, lists)
        frame = frame.f_back
        count += 1


def _constants(code: CodeType, lists: dict[int, tuple[Any, ...]]) -> None:
    """Note the constants of a code object and of those in it: once, as code objects that are copies of each other may share them."""
    constants = code.co_consts
    if id(constants) not in lists:
        lists[id(constants)] = constants
        for constant in constants:
            if type(constant) is CodeType:
                _constants(constant, lists)


def _count(known: dict[int, int], lists: dict[int, tuple[Any, ...]]) -> None:
    """Count what these constants hold."""
    for constants in lists.values():
        for constant in constants:
            if type(constant) is CodeType:
                known[id(constant)] = known.get(id(constant), 0) + 1


def is_looked_for(site: Site, code: CodeType) -> bool:
    """Whether a function with this twin of the site's, or a copy the program has made of one, is to keep it."""
    return getweakrefcount(code) > 0 or is_kept(site)


def reset() -> None:
    """Forget everything."""
    _seen.clear()
    _verdicts.clear()
    _guesses.clear()
