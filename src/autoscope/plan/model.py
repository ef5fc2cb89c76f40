"""The plan as a value: what is watched, how closely, how often.

Imported by the running program, so: no YAML, no parsing of people's words (`schema` does that), no judgement, and named
tuples, because `dataclasses` would cost every start of a program 6 ms and more; ours, because `typing`'s would cost 5. A plan crosses from plan time to the
program as JSON: `Plan.to_json()` there, `Plan.from_dict()` here.
"""

from __future__ import annotations

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NamedTuple
else:
    from autoscope.tuples import NamedTuple

VERSION = 1
"""The version of the plan file's schema."""
RESOLVED = '{"autoscope_resolved":1'
"""What a file with a resolved plan begins with."""
STRATEGIES = ("minimal", "balanced", "full_trace")
LEVELS = ("off", *STRATEGIES)
STATES = ("none", "before", "after", "diff")
REDACT = (
    "password",
    "passwd",
    "pwd",
    "token",
    "secret",
    "authorization",
    "cookie",
    "api_key",
    "apikey",
    "private_key",
    "credential",
    "session",
)
"""Names whose values are never shown, in every plan; a plan's own come after them."""

NONE: Mapping[str, Any] = {}
_GLOB = frozenset("*?[")


class Capture(NamedTuple):
    """What a span tells beside its times, every question answered."""

    args: bool | tuple[str, ...] = False
    """All arguments, none, or those of these names."""
    returns: bool = False
    exceptions: bool = True
    state: str = "none"
    """Of the object a method belongs to: `none`, `before`, `after` or `diff`."""


class CapturePatch(NamedTuple):
    """What one place in a plan says about capturing; None where it says nothing."""

    args: bool | tuple[str, ...] | None = None
    returns: bool | None = None
    exceptions: bool | None = None
    state: str | None = None

    def over(self, farther: CapturePatch) -> CapturePatch:
        """This, and where it says nothing what `farther` says."""
        if self is SILENT:
            return farther
        if farther is SILENT:
            return self
        return CapturePatch(
            farther.args if self.args is None else self.args,
            farther.returns if self.returns is None else self.returns,
            farther.exceptions if self.exceptions is None else self.exceptions,
            farther.state if self.state is None else self.state,
        )

    def settle(self) -> Capture:
        """The answer, with the defaults where nothing was said."""
        return Capture(
            False if self.args is None else self.args,
            False if self.returns is None else self.returns,
            True if self.exceptions is None else self.exceptions,
            "none" if self.state is None else self.state,
        )


SILENT = CapturePatch()
_FULL = CapturePatch(args=True, returns=True)
"""What `full_trace` means where the same place in the plan, or a nearer one, says nothing else."""


class FunctionRule(NamedTuple):
    """What a plan says of one function, or of those a glob names; None where it says nothing."""

    level: str | None = None
    rate: float | None = None
    capture: CapturePatch = SILENT


class ModuleRule(NamedTuple):
    """What a plan says of one module, or of those a glob names; `functions` by qualified name or glob."""

    level: str | None = None
    rate: float | None = None
    capture: CapturePatch = SILENT
    functions: Mapping[str, FunctionRule] = NONE


class Rule(NamedTuple):
    """What a plan comes to for one function."""

    level: str
    rate: float
    """Share of this function's calls, among those in recorded traces."""
    capture: Capture
    named: bool = False
    """Whether the plan means this function in particular: by its name, or by a glob that gives a level."""


class Sampling(NamedTuple):
    """Which traces are kept."""

    rate: float = 1.0
    rate_given: bool = False
    """Whether the user named the rate; False where it came from a preset."""
    keep_errors: bool = False
    keep_slower_than_ns: int | None = None
    fold_under_ns: int | None = None

    @property
    def keeps(self) -> bool:
        """Whether every trace is recorded, and kept by a rule or the rate when it has ended."""
        return self.keep_errors or self.keep_slower_than_ns is not None


DIFFERENCES = ("calls", "gone", "swallowed", "time")
"""Ways in which a run may be worse than its baseline; see `read.compare`."""


class Thresholds(NamedTuple):
    """From where on a difference between two runs counts, and what it counts for."""

    calls_times: float = 2.0
    """A function is called at least so many times as often as before,"""
    calls_more: int = 5
    """and at least so often more."""
    time_times: float = 1.5
    """Its calls take at least so many times as long,"""
    time_more_ns: int = 1_000_000
    """and all together at least so much longer."""
    fail: tuple[str, ...] = ("calls", "gone", "swallowed")
    """Those of `DIFFERENCES` that make the verdict CRITICAL_MISS."""
    warn: tuple[str, ...] = ("time",)
    """Those that make it DRIFTED, if they are not among `fail`."""


class _Settings(NamedTuple):
    """What a plan consists of."""

    version: int = VERSION
    strategy: str = "balanced"
    include: tuple[str, ...] = ()
    """Module globs; empty: the application's own code."""
    exclude: tuple[str, ...] = ()
    budget_overhead: float | None = None
    """Share of the process's CPU time; None: no bound."""
    budget_spans: int | None = None
    """Spans a second of one process, where there is a bound to its CPU time; None: no bound."""
    sampling: Sampling = Sampling()
    capture: CapturePatch = SILENT
    redact: tuple[str, ...] = REDACT
    modules: Mapping[str, ModuleRule] = NONE
    compare: Thresholds = Thresholds()
    provenance: Mapping[str, Any] | None = None
    """What the planner computed this plan from; free-form."""
    source: str = ""
    """The file it was read from, `<mapping>`, or empty."""
    warnings: tuple[str, ...] = ()
    """What was overlooked on the way here, one line each, to be said once."""
    extended: tuple[str, ...] = ()
    """The files that `source` extends, and those that they do; presets are none of them."""


class Plan(_Settings):
    """Everything one run is told, every question answered. Derive another with `_replace`."""

    _lookup: _Lookup

    def rule_for(self, module: str, qualname: str, nearer: Sequence[FunctionRule] = ()) -> Rule:
        """What this plan comes to for one function; `docs/plan.md`, "Which value wins", is the law.

        `nearer`: what is said beside the plan and wins over it, nearest first.
        """
        return self.lookup().module(module).rule_for(qualname, nearer)

    def selects(self, module: str) -> bool | None:
        """Whether a module is watched; None where the plan leaves it to whether it is the application's own."""
        known = self.lookup().selected
        if module not in known:
            known[module] = self._select(module)  # asked again of every loaded module, every second
        return known[module]

    def _select(self, module: str) -> bool | None:
        if self.excludes(module):
            return False
        lookup = self.lookup()
        if any(matches_module(pattern, module) for pattern in self.include) or lookup.names(module):
            return not lookup.is_off(module)
        return False if self.include or lookup.is_off(module) else None

    def excludes(self, module: str) -> bool:
        """Whether a module is left alone whatever else is said."""
        return any(matches_module(pattern, module) for pattern in self.exclude)

    def refuses(self, module: str, qualname: str) -> bool:
        """Whether an entry says that a function is to be left alone, other than `"*"`, which only says what holds for the rest."""
        if self.excludes(module):
            return True
        entries = self.lookup().entries(module, but="*")
        found: list[FunctionRule | ModuleRule] = [
            entry.functions[name] for entry in entries for name in entry.functions if matches(name, qualname)
        ]
        level = next((rule.level for rule in [*found, *entries] if rule.level is not None), None)
        return level == "off"

    def prepare(self) -> None:
        """Have every test ready: what a test imports must not be imported by an import that asks for it."""
        for pattern in (*self.include, *self.exclude, *self.modules):
            matches_module(pattern, "")
        for rule in self.modules.values():
            for pattern in rule.functions:
                matches(pattern, "")

    def lookup(self) -> _Lookup:
        """What is worked out once for all questions about single modules and functions."""
        try:
            return self._lookup
        except AttributeError:
            self._lookup = lookup = _Lookup(self)
            return lookup

    def to_dict(self) -> dict[str, Any]:
        """This plan as JSON can hold it; `from_dict` is the way back."""
        return {
            "autoscope_resolved": 1,
            "version": self.version,
            "strategy": self.strategy,
            "include": list(self.include),
            "exclude": list(self.exclude),
            "budget_overhead": self.budget_overhead,
            "budget_spans": self.budget_spans,
            "sampling": [
                self.sampling.rate,
                self.sampling.rate_given,
                self.sampling.keep_errors,
                self.sampling.keep_slower_than_ns,
                self.sampling.fold_under_ns,
            ],
            "capture": _capture_to_list(self.capture),
            "redact": list(self.redact),
            "modules": {
                name: [
                    *_rule_to_list(rule),
                    {qualname: _rule_to_list(function) for qualname, function in rule.functions.items()},
                ]
                for name, rule in self.modules.items()
            },
            "compare": [*self.compare[:4], list(self.compare.fail), list(self.compare.warn)],
            "provenance": None if self.provenance is None else dict(self.provenance),
            "source": self.source,
            "warnings": list(self.warnings),
            "extended": list(self.extended),
        }

    def to_json(self) -> str:
        """The resolved plan as a file holds it; begins with `RESOLVED`."""
        import json

        return json.dumps(self.to_dict(), separators=(",", ":"))

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Plan:
        """The plan `to_dict` was given. Trusts its input: whoever writes such a file has checked it."""
        shared: dict[Any, FunctionRule] = {}
        return Plan(
            version=data["version"],
            strategy=data["strategy"],
            include=tuple(data["include"]),
            exclude=tuple(data["exclude"]),
            budget_overhead=data["budget_overhead"],
            budget_spans=data.get("budget_spans"),  # plans of stored runs may be older
            sampling=Sampling(*data["sampling"]),
            capture=_capture_from_list(data["capture"]),
            redact=tuple(data["redact"]),
            modules={
                name: ModuleRule(
                    level,
                    rate,
                    _capture_from_list(capture),
                    {qualname: _function_from_list(rule, shared) for qualname, rule in functions.items()},
                )
                for name, (level, rate, capture, functions) in data["modules"].items()
            },
            compare=Thresholds(*data["compare"][:4], *map(tuple, data["compare"][4:])),
            provenance=data["provenance"],
            source=data["source"],
            warnings=tuple(data["warnings"]),
            extended=tuple(data["extended"]),
        )


def _capture_to_list(capture: CapturePatch) -> list[Any] | None:
    if capture == SILENT:
        return None
    args = list(capture.args) if isinstance(capture.args, tuple) else capture.args
    return [args, capture.returns, capture.exceptions, capture.state]


def _capture_from_list(data: list[Any] | None) -> CapturePatch:
    if data is None:
        return SILENT
    args, returns, exceptions, state = data
    return CapturePatch(tuple(args) if type(args) is list else args, returns, exceptions, state)


def _rule_to_list(rule: FunctionRule | ModuleRule) -> list[Any]:
    return [rule.level, rule.rate, _capture_to_list(rule.capture)]


def _function_from_list(data: list[Any], shared: dict[Any, FunctionRule]) -> FunctionRule:
    """A planner's plan says the same of thousands of functions: equal rules are one object."""
    level, rate, capture = data
    if capture is not None:
        return FunctionRule(level, rate, _capture_from_list(capture))
    known = shared.get((level, rate))
    if known is None:
        known = shared[level, rate] = FunctionRule(level, rate)
    return known


class _Lookup:
    """A plan's answers: it is asked at every import, and for every function."""

    __slots__ = ("globs", "modules", "plan", "selected", "some_off")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.globs = _globs(plan.modules)
        self.some_off = any(rule.level == "off" for rule in plan.modules.values())
        self.modules: dict[str, _Module] = {}
        self.selected: dict[str, bool | None] = {}

    def module(self, module: str) -> _Module:
        known = self.modules.get(module)
        if known is None:
            known = self.modules[module] = _Module(self.plan, self.entries(module))
        return known

    def rules(self, module: str) -> Callable[[str], Rule]:
        """`rule_for` of one module, for many functions."""
        return self.module(module).rule_for

    def choices(self, module: str) -> str:
        """All that decides what becomes of a module's code, in one text: everything but the rates."""
        return self.module(module).choices()

    def is_off(self, module: str) -> bool:
        """Whether entries leave alone the whole module, function by function too."""
        return self.some_off and self.module(module).is_off()

    def entries(self, module: str, but: str = "") -> list[ModuleRule]:
        """The entries that speak of a module: its own first, then the globs that match it, longest first."""
        rules = self.plan.modules
        found = [rules[pattern] for pattern in self.globs if pattern != but and matches_module(pattern, module)]
        exact = rules.get(module)
        return found if exact is None else [exact, *found]

    def names(self, module: str) -> bool:
        """Whether `modules` speaks of it by name; `*` and `*.models` speak of what is watched anyway."""
        if module in self.plan.modules:
            return True
        return any(pattern[0] not in _GLOB and matches_module(pattern, module) for pattern in self.globs)


class _Module:
    """What a plan says of one module, in order of nearness: asked once for each function of it."""

    __slots__ = ("exact", "otherwise", "outer", "patterns")

    def __init__(self, plan: Plan, entries: list[ModuleRule]) -> None:
        self.outer: list[FunctionRule | ModuleRule] = [*entries, FunctionRule(plan.strategy, None, plan.capture)]
        """What holds for every function of the module, nearest first; always ends in a level."""
        self.exact = [entry.functions for entry in entries if entry.functions]
        """The functions each entry speaks of, nearest entry first."""
        self.patterns = [_globs(functions) for functions in self.exact]
        self.otherwise = _settle(self.outer, False)
        """The rule for a function nobody mentions."""

    def rule_for(self, qualname: str, nearer: Sequence[FunctionRule] = ()) -> Rule:
        if not self.exact and not nearer:
            return self.otherwise
        found: list[FunctionRule | ModuleRule] = [*nearer]
        named = any(rule.level is not None for rule in nearer)
        for functions, patterns in zip(self.exact, self.patterns, strict=True):
            exact = functions.get(qualname)
            if exact is not None:
                found.append(exact)
                named = True
            for pattern in patterns:
                if matches(pattern, qualname):
                    rule = functions[pattern]
                    found.append(rule)
                    named = named or rule.level is not None
        return _settle(found + self.outer, named) if found else self.otherwise

    def is_off(self) -> bool:
        if self.otherwise.level != "off":
            return False
        return all(rule.level in ("off", None) for functions in self.exact for rule in functions.values())

    def choices(self) -> str:
        parts = [(rule.level, rule.capture) for rule in self.outer]
        named = [
            [(qualname, rule.level, rule.capture) for qualname, rule in functions.items()] for functions in self.exact
        ]
        return repr((parts, named))


def _settle(rules: list[FunctionRule | ModuleRule], named: bool) -> Rule:
    """One rule of many, nearest first: for each key the nearest that gives it.

    `full_trace` captures arguments and results as if the place that says `full_trace` had said so too; a level that
    a nearer one overrides implies nothing.
    """
    level: str | None = None
    rate: float | None = None
    capture = SILENT
    for rule in rules:
        capture = capture.over(rule.capture)
        if level is None and rule.level is not None:
            level = rule.level
            if level == "full_trace":
                capture = capture.over(_FULL)
        if rate is None:
            rate = rule.rate
    return Rule(level or "off", 1.0 if rate is None else rate, capture.settle(), named)


def is_glob(pattern: str) -> bool:
    """Whether a name in a plan may stand for several."""
    return not _GLOB.isdisjoint(pattern)


def _globs(rules: Mapping[str, Any]) -> list[str]:
    """The globs among the keys, nearest first: longest, and of equal length the one that stands last."""
    globs = [pattern for pattern in rules if not _GLOB.isdisjoint(pattern)]
    globs.reverse()
    globs.sort(key=len, reverse=True)
    return globs


def matches_module(pattern: str, module: str) -> bool:
    """Like `matches`; besides, `shop.*` means the package `shop` and all that is in it."""
    if matches(pattern, module):
        return True
    return pattern.endswith(".*") and matches(pattern[:-2], module)


def matches(pattern: str, name: str) -> bool:
    """As `fnmatch.fnmatchcase`; the whole name counts, upper and lower case differ, `*` crosses dots."""
    test = _tests.get(pattern)
    if test is None:
        test = _tests[pattern] = _test_of(pattern)
    return bool(test(name))


_tests: dict[str, Callable[[str], Any]] = {}


def _test_of(pattern: str) -> Callable[[str], Any]:
    """Almost every pattern is a plain name or ends in its one `*`: only the others cost a regular expression."""
    if _GLOB.isdisjoint(pattern):
        return pattern.__eq__
    stem = pattern[:-1]
    if pattern[-1] == "*" and _GLOB.isdisjoint(stem):
        return lambda name: name.startswith(stem)
    import fnmatch
    import re

    return re.compile(fnmatch.translate(pattern)).match
