"""Changing sites while the program runs: one verb, `update`, which walks the sites and publishes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from types import CodeType, FunctionType

from autoscope.errors import AutoscopeError
from autoscope.runtime import context, sampling, sites

LEVELS = ("off", "minimal", "balanced", "full_trace")


def update(target: str, *, level: str | None = None, rate: float | None = None) -> int:
    """Change every site whose name matches the glob; returns how many there were."""
    if level is not None and level not in LEVELS:
        raise AutoscopeError(f"no level {level!r}: it is one of {', '.join(LEVELS)}")
    if rate is not None and not 0.0 <= rate <= 1.0:
        raise AutoscopeError(f"rate {rate!r} is not between 0 and 1")
    chosen = [site for site in sites.sites if target == "*" or fnmatchcase(site.name, target)]
    get = None if rate is None else context.get if rate >= 1.0 else sampling.thinned(rate)
    swaps: list[tuple[CodeType, CodeType]] = []
    for site in chosen:
        if rate is not None and get is not None:
            site.rate = rate
            site.get = get
        if level is None:
            continue
        if level == "off":
            # The flag first: it is in force at once, in every thread, also for functions not found below.
            sites.disarm(site)
            if site.traced is not None and site.off is not None:
                swaps.append((site.traced, site.off))
        else:
            if site.level == "off" and site.traced is not None and site.off is not None:
                swaps.append((site.off, site.traced))
            sites.arm(site)
        site.level = level
    if swaps:
        _swap(swaps)
    return len(chosen)


def _swap(swaps: list[tuple[CodeType, CodeType]]) -> None:
    """Give functions other code objects. By identity: two functions may have equal code."""
    import gc

    by_identity = {id(old): new for old, new in swaps}
    for thing in gc.get_objects():
        if type(thing) is FunctionType:
            new = by_identity.get(id(thing.__code__))
            if new is not None:
                thing.__code__ = new
