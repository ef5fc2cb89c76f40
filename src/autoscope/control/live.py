"""Changes while the program runs: what is said beside the plan, for a time or for good, and another plan in place of this one.

What holds for a function is always worked out from the plan and the changes in force, never from what held before: so whatever
is taken back leaves nothing behind. Most changes are assignments to sites and functions. What a call captures is part of its
twin, so another capture, and a function that was left alone so far, is woven anew, from its author's code.
"""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Callable, Iterable, Iterator
from fnmatch import translate
from re import compile as pattern
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

from autoscope.errors import AutoscopeError
from autoscope.ours import keep_builtins
from autoscope.runtime import capture, sampling, sites
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Clock
from autoscope.weave import attach, kept, main, weaver
from autoscope.weave.everywhere import CODE, GLOBALS, every_function
from autoscope.weave.finder import wants_loaded
from autoscope.weave.weaver import Weaver

keep_builtins(globals())

SLICE_SECONDS = 0.002
"""So long functions are looked through and changed before other threads are let in."""
MOST_BLOCKS = 120_000
"""Pieces of memory up to which all objects are looked through for copies of functions that modules hold: that is done in one go, which takes 2 to 5 ms then."""
FIRST_LOOK_SECONDS = 0.5
MOST_LOOK_SECONDS = 60.0
ASKED = "somebody asked for it"
LONGEST_SECONDS = 7 * 86_400.0
"""The longest time a change may be made for."""

Matches = Callable[[str], object]
Thing = TypeVar("Thing")


class Change:
    """Something said of the functions a glob names, that wins over the plan while it is in force."""

    __slots__ = ("matches", "number", "rule", "target", "until")

    def __init__(self, number: int, target: str, rule: Any, until: float | None) -> None:
        self.number = number
        self.target = target
        self.matches: Matches = matcher(target)
        self.rule = rule
        """A `plan.model.FunctionRule`."""
        self.until = until
        """By the monotonic clock; None: for good."""


def matcher(target: str) -> Matches:
    """Whether a glob means a function, by its name with its module."""
    return pattern(translate(target)).match


class Live:
    """All changes of one process. Any thread may call it."""

    def __init__(self, weave: Weaver, budget: Callable[[], Any] = lambda: None) -> None:
        """`budget` gives the `runtime.budget.Budget` in force, if there is one."""
        self.weave = weave
        self.budget = budget
        self.lock = RLock()
        self.number = 0
        self.off_codes: dict[int, tuple[CodeType, CodeType]] = {}
        """While everything is off: the identity of a function's code -> (that, what it was)."""
        self.off_for: set[str] = set()
        """Why everything is off, if it is."""
        self.wait = self.next_look = 0.0
        """When functions made since are looked for, by the monotonic clock, and how long after the last time that is."""
        self.cache = weave.cache
        self.before: dict[str, list[Site]] = {}
        """Module -> the functions it had before it was last woven anew: who runs on in an old twin still makes functions of its parts."""

    def after_fork(self) -> None:
        self.lock = RLock()

    # Changes.

    def change(self, target: str, rule: Any, seconds: float | None = None) -> tuple[int, int]:
        """Say something of the functions whose name matches; (the number by which it is taken back, how many there are now).

        `rule` is a `plan.model.FunctionRule`. Raises AutoscopeError for what cannot be.
        """
        from autoscope.plan.model import LEVELS

        if rule.level is not None and rule.level not in LEVELS:
            raise AutoscopeError(f"no level {rule.level!r}: it is one of {', '.join(LEVELS)}")
        if rule.rate is not None and not 0.0 <= rule.rate <= 1.0:
            raise AutoscopeError(f"rate {rule.rate!r} is not between 0 and 1")
        if seconds is not None and not 0.0 < seconds <= LONGEST_SECONDS:
            raise AutoscopeError(f"{seconds:g} s is no time a change can be made for: more than 0, at most 7 days")
        with self.lock:
            self.number += 1
            until = None if seconds is None else Clock.monotonic() + seconds
            change = Change(self.number, target, rule, until)
            if until is None:
                # What it says wins over what was said of the same before: with that gone, changes do not pile up.
                self.weave.changes = [old for old in self.weave.changes if not _hides(change, old)]
            self.set_changes([*self.weave.changes, change])
            return change.number, self.refresh(change.matches)

    def set_changes(self, changes: list[Any]) -> None:
        self.weave.changes = changes
        # What is in the code cache was woven as the plan says.
        self.weave.cache = None if changes else self.cache

    def revert(self, number: int) -> bool:
        """Take a change back; False if it is gone already."""
        with self.lock:
            gone = [change for change in self.weave.changes if change.number == number]
            if not gone:
                return False
            self.set_changes([change for change in self.weave.changes if change.number != number])
            self.refresh(gone[0].matches)
            return True

    def expire(self) -> None:
        """Take back what was made for a time that is over."""
        if any(change.until is not None for change in self.weave.changes):
            now = Clock.monotonic()
            for change in list(self.weave.changes):
                if change.until is not None and change.until <= now:
                    self.revert(change.number)

    def adopt(self, plan: Any) -> None:
        """Another plan from now on; changes stay in force beside it."""
        with self.lock:
            plan.prepare()
            before, self.weave.plan = self.weave.plan, plan
            script = sys.modules.get("__main__")
            file = None if script is None else script.__dict__.get("__file__")
            if type(file) is str:
                self.weave.name_main(file)
            if before.redact != plan.redact:
                capture.set_redact(plan.redact)
                for site in sites.sites:
                    site.keys = None
            sampling.set_rate(plan.sampling.rate)
            self.refresh(matcher("*"), before.strategy != plan.strategy)
            # Modules nobody wanted so far.
            for name, module in attach.loaded_unseen(self.weave, self.wants)[0].items():
                if name != "__main__":
                    attach.attach(self.weave, module, "in place, with another plan")

    def wants(self, name: str, module: ModuleType) -> bool:
        return wants_loaded(self.weave.plan, name, module)

    # What follows from them.

    def refresh(self, matches: Matches, all_left_alone: bool = False) -> int:
        """Have what holds for these functions be in force; how many there are.

        `all_left_alone`: functions that are not woven may be wanted now, whatever the reason was.
        """
        with self.lock:
            budget = self.budget()
            if budget is None:
                return self.work_out(matches, all_left_alone)
            with budget.lock:
                budget.let_go(lambda site: matches(site.name))
                try:
                    return self.work_out(matches, all_left_alone)
                finally:
                    budget.take_up()

    def work_out(self, matches: Matches, all_left_alone: bool) -> int:
        """`refresh`, while nobody else changes functions."""
        with self.lock:
            swaps: dict[int, tuple[CodeType, CodeType]] = {}
            anew: dict[str, None] = {}
            at: set[str] = set()
            count = 0
            outlived = self.outlived()
            for site in in_slices([*sites.sites, *outlived]):
                if not matches(site.name):
                    continue
                count += site not in outlived
                rule = self.rule(site)
                other = rule.level != "off" and rule.capture != site.capture and site not in outlived
                if other and not self.recapture(site, rule.capture):
                    anew[site.module] = None
                    continue
                if rule.rate != site.rate:
                    site.rate = rule.rate
                    site.get = sampling.thinned(rule.rate)
                    sites.set_share(site, sampling.own_share(site))
                turned = (rule.level == "off") != (site.level == "off") and not kept.is_kept(site)
                if turned and site.traced is not None and site.off is not None:
                    old, new = (site.traced, site.off) if rule.level == "off" else (site.off, site.traced)
                    swaps[id(old)] = old, new
                    at.add(site.module)
                # The flag before the code: it is in force at once, in every thread, for functions not found too.
                if rule.level == "off":
                    sites.disarm(site)
                else:
                    sites.arm(site)
                site.level = rule.level
            for module, qualname, reason in weaver.left_alone:
                if module not in anew and matches(f"{module}.{qualname}"):
                    rule = self.weave.plan.rule_for(module, qualname, self.weave.nearer(module, qualname))
                    wanted = rule.named or (self.selected(module) and (all_left_alone or reason == weaver.OFF))
                    if rule.level != "off" and wanted:
                        anew[module] = None
            if not self.is_off:
                self.swap(swaps, at)
                for module in anew:
                    found = sys.modules.get(module)
                    if type(found) is ModuleType:
                        count += self.weave_anew(found, matches)
            return count

    def outlived(self) -> dict[Site, None]:
        """Functions as they were before their modules were woven anew."""
        return dict.fromkeys([site for before in self.before.values() for site in before])

    def end(self) -> None:
        """What runs on in an old twin is not recorded either."""
        for site in self.outlived():
            sites.retire(site)
        self.before.clear()

    def rule(self, site: Site) -> Any:
        """What holds for a function that is woven."""
        weave = self.weave
        nearer = weave.nearer(site.module, site.qualname)
        rule = weave.plan.rule_for(site.module, site.qualname, nearer)
        if not rule.named and not self.selected(site.module):
            return rule._replace(level="off")
        if site in weave.marked and not rule.named and not weave.plan.refuses(site.module, site.qualname):
            return rule._replace(level=weaver.MARKED if rule.level == "off" else rule.level, rate=1.0)
        if (
            rule.level not in ("off", site.level)
            and not rule.named
            and site.path == "bytecode"
            and site.off is not None
        ):
            choose, _ = weaver.rewriter()
            if choose.left_out(site.off, rule.level):
                return rule._replace(level="off")
        return rule

    def selected(self, module: str) -> bool:
        """Whether the plan has functions of this module watched that nobody names."""
        found = sys.modules.get(module)
        if found is None:
            return True
        file = found.__dict__.get("__file__")
        if module == "__main__" and type(file) is str:
            return main.selected(self.weave, file)
        return self.wants(module, found)

    def recapture(self, site: Site, capture: Any) -> bool:
        """Capture something else; False where that takes another twin."""
        code = site.off
        if site.path != "bytecode" or code is None:
            site.capture = capture
            return True
        if kept.is_kept(site):
            return True  # with what it captures now, for good
        if weaver.captured(code, capture) != site.parameters or capture.returns != site.capture.returns:
            return False
        site.capture = capture
        site.keys = None
        return True

    # Code.

    def swap(self, swaps: dict[int, tuple[CodeType, CodeType]], modules: Iterable[str]) -> None:
        """Give functions other code objects. By identity: two functions may have equal code."""
        if not swaps:
            return
        found: set[int] = set()
        for name in modules:
            module = sys.modules.get(name)
            if type(module) is ModuleType:
                give(attach.functions_of(module), swaps, found)
        # Closures, and what modules hold no longer; and copies, where looking for them stops nobody for long.
        if len(found) < len(swaps) or sys.getallocatedblocks() < MOST_BLOCKS:
            swap_everywhere(swaps)

    def weave_anew(self, module: ModuleType, matches: Matches) -> int:
        """Weave what a module holds from its authors' code; how many of its functions are woven that match."""
        if self.weave.path != "bytecode":
            return 0
        name = module.__name__
        spec = module.__dict__.get("__spec__")
        if getattr(spec, "_initializing", False):
            return 0  # its import goes by what holds now
        old = [
            site for site in sites.sites if site.module == name and site.path == "bytecode" and not kept.is_kept(site)
        ]
        weaver.left_alone[:] = [entry for entry in weaver.left_alone if entry[0] != name]
        count = len(sites.sites)
        self.weave.named_only = not self.selected(name)
        try:
            made = self.twins_anew(module, old)
        except BaseException:
            weaver.forget(name, count)  # what was woven before stays
            raise
        finally:
            self.weave.named_only = False
        give(attach.functions_of(module), made)
        parts: dict[tuple[str, int], CodeType] = {}
        for _, new in made.values():
            _parts(new, parts)
        if parts:
            give_parts(module, parts)
        new_sites = sites.sites[count:]
        for site in self.before.get(name, ()):
            sites.retire(site)
            self.weave.marked.discard(site)
        stacktrace = sys.modules.get("autoscope.runtime.stacktrace")
        if stacktrace is not None:
            stacktrace.forget_frames()
        self.before[name] = old
        gone = set(map(id, old))
        sites.sites[:] = [site for site in sites.sites if id(site) not in gone]
        return sum(1 for site in new_sites if matches(site.name)) - sum(1 for site in old if matches(site.name))

    def twins_anew(self, module: ModuleType, old: list[Site]) -> dict[int, tuple[CodeType, CodeType]]:
        """The identity of each function's code -> (that, its new twin, or its author's code where it is not woven any longer)."""
        from autoscope.weave.restore import author_code

        choose, _ = weaver.rewriter()
        off = {id(site.off): site for site in old if site._off is not None}
        made: dict[int, tuple[CodeType, CodeType]] = {}
        for function in list(attach.functions_of(module)):
            code = function.__code__
            author = author_code(code)
            if id(code) in made or "<locals>" in code.co_qualname or not choose.is_function(author):
                continue
            site = sites.site_of(code) or off.get(id(code))
            if site is not None and kept.is_looked_for(site, code):
                continue
            wraps = "__wrapped__" in function.__dict__
            mark = "" if wraps else function.__dict__.get(weaver.MARK, "")
            qualname = site.qualname if site is not None else None if wraps else function.__qualname__
            known = mark if mark in ("trace", "never") else ""
            made[id(code)] = code, self.weave.code(author, module.__name__, qualname, True, known)
        return made

    # Everything.

    @property
    def is_off(self) -> bool:
        return bool(self.off_for)

    def off(self, why: str = ASKED) -> int:
        """Give every function its author's code, until `on`; how many there were."""
        with self.lock:
            was_off = self.is_off
            self.off_for.add(why)
            if was_off:
                return 0
            budget = self.budget()
            if budget is not None:
                budget.hold("off")
            sites.pause()
            self.off_codes = {}
            self.wait = FIRST_LOOK_SECONDS
            self.next_look = Clock.monotonic() + self.wait
            return self.take_off()

    def take_off(self) -> int:
        """Give every function that is there now its author's code; how many had another."""
        from autoscope.weave.restore import author, author_code

        given = self.off_codes
        half = {
            id(site._off): author(site)
            for site in sites.sites
            if site._off is not None and site._off is not site.author
        }
        count = 0
        for function in in_slices(every_function()):
            code = function.__code__
            site = sites.site_of(code)
            if site is not None:
                new = None if kept.is_looked_for(site, code) else author_code(code)
            else:
                new = half.get(id(code))
            if new is not None and new is not code:
                function.__code__ = new
                given[id(new)] = new, code
                count += 1
        return count

    def look_again(self) -> None:
        """While everything is off: a call that runs on in a twin makes functions of its parts. The longer ago, the more seldom."""
        with self.lock:
            if self.is_off and Clock.monotonic() >= self.next_look:
                self.take_off()
                self.wait = min(2 * self.wait, MOST_LOOK_SECONDS)
                self.next_look = Clock.monotonic() + self.wait

    def on(self, why: str | None = None) -> int:
        """Take `off` back; how many functions have their twins again.

        `why`: only what was turned off for that, and nothing while there is another reason. None: whatever the reason was.
        """
        with self.lock:
            if not self.is_off:
                return 0
            self.off_for -= {why} if why is not None else self.off_for.copy()
            if self.is_off:
                return 0
            given, self.off_codes = self.off_codes, {}
            # Meanwhile the one or the other may have been turned on or off.
            for site in [*self.outlived(), *sites.sites]:
                if site.traced is not None:
                    now = site.traced if site.level != "off" else site.off
                    for code in (site._off, site.author):
                        if code is not None and now is not None:
                            given[id(code)] = code, now
            count = swap_everywhere(given)
            sites.go_on()
            self.refresh(matcher("*"))
            budget = self.budget()
            if budget is not None:
                budget.go_on("off")
            return count


def _hides(new: Change, old: Change) -> bool:
    """Whether nothing is left of an older change for good under a newer one."""
    if old.until is not None or old.target != new.target:
        return False
    return all(
        theirs is None or mine is not None
        for mine, theirs in zip((*new.rule[:2], *new.rule.capture), (*old.rule[:2], *old.rule.capture), strict=True)
    )


def _parts(code: CodeType, found: dict[tuple[str, int], CodeType]) -> None:
    """Every function defined in it, by qualified name and line."""
    for part in code.co_consts:
        if type(part) is CodeType:
            found[part.co_qualname, part.co_firstlineno] = part
            _parts(part, found)


def give_parts(module: ModuleType, parts: dict[tuple[str, int], CodeType]) -> None:
    """Closures that live: each is given the part of its maker's twin that it would be made of now."""
    namespace = module.__dict__
    for function in in_slices(every_function(GLOBALS, {id(namespace)})):
        code = function.__code__
        part = parts.get((code.co_qualname, code.co_firstlineno))
        if part is not None and "<locals>" in code.co_qualname and code.co_freevars == part.co_freevars:
            function.__code__ = part


def swap_everywhere(swaps: dict[int, tuple[CodeType, CodeType]]) -> int:
    """The same for every function the garbage collector knows: closures, and what no module holds."""
    return give(every_function(CODE, swaps), swaps)


def give(
    functions: Iterable[FunctionType], swaps: dict[int, tuple[CodeType, CodeType]], found: set[int] | None = None
) -> int:
    """Give these functions other code objects, by the identity of those they have; how many there were.

    `found`: the identities go there.
    """
    count = 0
    for function in in_slices(functions):
        entry = swaps.get(id(function.__code__))
        if entry is not None:
            function.__code__ = entry[1]
            count += 1
            if found is not None:
                found.add(id(entry[0]))
    return count


def in_slices(things: Iterable[Thing]) -> Iterator[Thing]:
    """One after the other, with other threads let in between."""
    began = Clock.monotonic()
    for thing in things:
        yield thing
        if Clock.monotonic() - began > SLICE_SECONDS:
            Clock.sleep(0)
            began = Clock.monotonic()
