"""From a plan and a code object to woven code: sites are made here, whichever path the code came by.

A module's code object is woven from the inside out: every function in it gets a traced twin, and the code around it a
copy with the twin among its constants. The author's own code objects are in the twins, see `restore`.
"""

from __future__ import annotations

import os
import sys
from _weakref import getweakrefcount
from types import CodeType

from autoscope.errors import from_a_signal, notice
from autoscope.ours import keep_builtins
from autoscope.runtime import sampling, sites
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Clock
from autoscope.weave import kept

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType, ModuleType
    from typing import Any

    from autoscope.plan.model import Capture, Plan, Rule
    from autoscope.weave.cache import Cache

BYTECODE = (3, 11) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython"
"""Whether this interpreter's bytecode is one `recode` knows; elsewhere the source rewrite is used."""

left_alone: list[tuple[str, str, str]] = []
"""(module, qualname, reason) of every function seen and not woven."""
seen: dict[str, str] = {}
"""Module name -> how it came to be woven: `import`, `in place`, `main`, or why it was not."""


def _read_back(site: Site, twin: CodeType) -> CodeType:
    from autoscope.weave import restore

    return restore.off(site, twin)


Site.read_back = _read_back

MARK = "__autoscope__"
"""Attribute of a function its author marked: `trace` or `never`."""
OFF = "off in the plan"
MARKED_NEVER = "marked @autoscope.never"
LOOKED_FOR = "the program looks for its code object"

unsure: set[str] = set()
"""Modules in which something failed that may not fail the next time."""


def reset() -> None:
    """Forget what was woven and what was not."""
    left_alone.clear()
    seen.clear()
    unsure.clear()
    kept.reset()


class Cost:
    """CPU time spent weaving in this process."""

    cpu_ns = 0


REWRITER_NEEDS = ("opcode", "_opcode_metadata")
"""What it imports of the library's."""
_parts: tuple[ModuleType, ModuleType] | None = None


def rewriter() -> Any:
    """(`choose`, `recode`), imported when the first code turns up that is not in the cache."""
    global _parts
    if _parts is None:
        from autoscope.weave import choose, recode

        _parts = choose, recode
    return _parts


MARKED = "balanced"
"""The level of a function marked `@autoscope.trace` where the plan has none for it."""


def captured(code: CodeType, capture: Capture) -> tuple[str, ...]:
    """Names of the parameters a capture asks for, in signature order."""
    _, recode = rewriter()
    names: tuple[str, ...] = recode.parameters(code)
    if capture.args is True:
        return names
    if capture.args is False:
        return ()
    return tuple(name for name in names if name in capture.args)


def describe(site: Site, rule: Rule) -> None:
    """Give a site what the plan says of it."""
    site.level = rule.level
    site.rate = rule.rate
    site.capture = rule.capture
    if rule.rate < 1.0:
        site.get = sampling.thinned(rule.rate)
        sites.set_share(site, sampling.own_share(site))


def file_of(name: str) -> str:
    """The file a code object's `co_filename` means; `<string>` and its like mean none."""
    return os.path.abspath(name) if name[:1] != "<" else name


class Weaver:
    """Weaves code for one plan."""

    def __init__(self, plan: Plan, cache: Cache | None = None) -> None:
        plan.prepare()
        self.plan = plan
        self.path = os.environ.get("AUTOSCOPE_WEAVE", "") or ("bytecode" if BYTECODE else "ast")
        """`bytecode` or `ast`; the variable is for our own tests."""
        self.cache = cache if self.path == "bytecode" else None
        self.changes: list[Any] = []
        """What was said of functions while the program runs (`control.live.Change`), oldest first."""
        self.named_only = False
        """While a module is woven that the plan does not select, for a function in it that is meant by name."""
        self.marked: set[Site] = set()
        """Functions that are woven because their author marked them."""

    def rule(self, module: str, code: CodeType, qualname: str | None = None, mark: str = "") -> Rule | None:
        """What the plan wants of this function, None for nothing; the reason goes to `left_alone`. `mark`: what its author wrote on it."""
        name = qualname or code.co_qualname
        rule = self.plan.rule_for(module, name, self.nearer(module, name))
        if mark and not rule.named and not self.plan.refuses(module, name):
            if mark == "trace":
                return rule._replace(level=MARKED if rule.level == "off" else rule.level, rate=1.0, named=True)
            left_alone.append((module, name, MARKED_NEVER))
            return None
        if rule.level == "off" or (self.named_only and not rule.named):
            left_alone.append((module, name, OFF))
            return None
        choose, _ = rewriter()
        reason = "" if rule.named else choose.left_out(code, rule.level)
        if reason:
            left_alone.append((module, name, reason))
            return None
        return rule

    def nearer(self, module: str, qualname: str) -> list[Any]:
        """What changes say of a function, nearest first."""
        if not self.changes:
            return []
        name = f"{module}.{qualname}"
        return [change.rule for change in reversed(self.changes) if change.matches(name)]

    def name_main(self, path: str) -> None:
        """Take what the plan says of the script's module by name, `app` or `tools.app`, as said of `__main__`, which it runs as."""
        modules = self.plan.modules
        if "__main__" in modules:
            return
        parts = os.path.splitext(os.path.abspath(path))[0].split(os.sep)
        for start in range(len(parts)):
            name = ".".join(parts[start:])
            if name in modules:
                self.plan = self.plan._replace(modules={**modules, "__main__": modules[name]})
                self.plan.prepare()
                return

    def site(self, module: str, code: CodeType, qualname: str, path: str, rule: Rule) -> Site:
        choose, _ = rewriter()
        site = sites.new_site(
            module=module,
            qualname=qualname,
            file=file_of(code.co_filename),
            line=code.co_firstlineno,
            kind=choose.kind_of(code),
            path=path,
            parameters=captured(code, rule.capture),
        )
        describe(site, rule)
        return site

    def code(
        self, code: CodeType, module: str, qualname: str | None = None, known: bool = False, mark: str = ""
    ) -> CodeType:
        """`code` with every function in it that the plan wants woven, itself included.

        `known`: the program has had `code` in its hands, so it is what it is given back, not an equal one. `mark`: its author's.
        """
        inner = tuple(
            self.code(constant, module, None, known) if isinstance(constant, CodeType) else constant
            for constant in code.co_consts
        )
        # Compared by identity: equal constants may differ in type (1 and True, 0.0 and -0.0).
        changed = any(new is not old for new, old in zip(inner, code.co_consts, strict=True))
        off = code.replace(co_consts=inner) if changed else code
        choose, recode = rewriter()
        if not choose.is_function(code):
            return off
        rule = self.rule(module, code, qualname, mark)
        if rule is None:
            return off
        site = self.site(module, code, qualname or code.co_qualname, "bytecode", rule)
        if mark == "trace":
            self.marked.add(site)
        try:
            traced: CodeType = recode.recode(off, site, capture=site.parameters, returns=rule.capture.returns)
        except Exception as error:
            sites.sites.remove(site)
            if from_a_signal(error) or ("AUTOSCOPE_STRICT" in os.environ and not isinstance(error, recode.CannotWeave)):
                raise
            if isinstance(error, recode.CannotWeave):
                reason = str(error)
            else:
                reason = f"{type(error).__name__}: {error}"
                unsure.add(module)
            left_alone.append((module, site.qualname, reason))
            return off
        site.traced = traced
        if known:
            site.author, site._off = code, off
        sites.arm(site)
        return traced

    def module_code(self, code: CodeType, module: str, source: Callable[[], bytes | str | None]) -> CodeType:
        """A module's code, woven by whichever path this interpreter has; any failure gives the author's back."""
        count = len(sites.sites)
        started = Clock.thread_cpu()
        try:
            if self.path == "ast":
                from autoscope.weave import rewrite

                text = source()
                if text is None:
                    seen[module] = "its source cannot be read"
                    return code
                woven = rewrite.weave(self, code, module, text)
            else:
                woven = self.code(code, module)
            seen[module] = "import"
            return woven
        except Exception as error:
            if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
                raise
            forget(module, count)
            unsure.add(module)
            seen[module] = f"{type(error).__name__}: {error}"
            notice("module-untraced", f"{module} runs untraced: weaving it failed with {type(error).__name__}: {error}")
            return code
        finally:
            Cost.cpu_ns += Clock.thread_cpu() - started

    def function(self, function: FunctionType, module: str, twins: dict[int, tuple[CodeType, CodeType]]) -> bool:
        """Weave a function that exists already; True if it is woven now.

        `twins` maps the identity of code already woven to (that code, its twin): closures share their code.
        """
        code = function.__code__
        if sites.site_of(code) is not None:
            return False
        if getweakrefcount(code):
            left_alone.append((module, function.__qualname__, LOOKED_FOR))
            return False
        known = twins.get(id(code))
        if known is None:
            choose, _ = rewriter()
            if self.path != "bytecode" or not choose.is_function(code):
                # The author's; what is defined inside it still counts.
                return False
            # A decorator's inner function has the name of whatever it wraps, and shares its code with its like.
            wraps = "__wrapped__" in function.__dict__
            qualname = None if wraps else function.__qualname__
            # A decorator's function has its mark from what it wraps.
            mark = "" if wraps else function.__dict__.get(MARK, "")
            twin = self.code(code, module, qualname, True, mark if mark in ("trace", "never") else "")
            twins[id(code)] = known = (code, twin)
        twin = known[1]
        if twin is code:
            return False
        function.__code__ = twin
        return True


def forget(module: str, count: int) -> None:
    """Take back the sites made for a module since there were `count`: its code is not used."""
    for site in [site for site in sites.sites[count:] if site.module == module]:
        sites.retire(site)
        sites.sites.remove(site)


def give_back() -> int:
    """Give every function in the process its author's own code object, but those whose code the program keeps; returns how many there were."""
    for site in sites.sites:
        sites.disarm(site)
    if not any(site.traced is not None for site in sites.sites):
        return 0
    from autoscope.weave.everywhere import every_function
    from autoscope.weave.restore import author_code

    count = 0
    for function in every_function():
        woven = sites.site_of(function.__code__)
        if woven is not None and not kept.is_looked_for(woven, function.__code__):
            function.__code__ = author_code(function.__code__)
            count += 1
    return count


def own(file: str | None) -> bool:
    """Whether a file is the application's own: not the standard library's, not installed, not ours."""
    if not file or file[0] == "<":
        return False
    path = os.path.abspath(file)
    if any(f"{os.sep}{part}{os.sep}" in path for part in ("site-packages", "dist-packages")):
        return False
    return not path.startswith(_not_own())


_outside: tuple[str, ...] = ()


def _not_own() -> tuple[str, ...]:
    global _outside
    if not _outside:
        standard = os.path.dirname(os.__file__)
        scripts = [os.path.join(prefix, "bin") for prefix in {sys.prefix, sys.base_prefix}]
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        places = {standard, os.path.realpath(standard), *scripts, here}
        _outside = tuple(place.rstrip(os.sep) + os.sep for place in places)
    return _outside
