"""The plan file's schema: from a tree of words, each with its place, to a `Layer`.

The tree is the same whether it came from YAML (`load`) or from a Python mapping (`from_python`). Words are taken as
they are written, not as YAML 1.1 would have them: a function may be called `on`, and `level: off` means off.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoscope.errors import Place
from autoscope.ours import keep_builtins
from autoscope.plan.model import (
    DIFFERENCES,
    LEVELS,
    SILENT,
    STATES,
    STRATEGIES,
    VERSION,
    CapturePatch,
    FunctionRule,
    ModuleRule,
)
from autoscope.plan.values import (
    did_you_mean,
    parse_budget,
    parse_count,
    parse_duration,
    parse_function_glob,
    parse_module_glob,
    parse_rate,
    parse_times,
    parse_word,
    refuse,
    shown,
)

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple, TypeVar

    T = TypeVar("T")
else:
    from autoscope.tuples import NamedTuple

MOST_DEPTH = 32
"""Lists and mappings inside each other."""
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")
_NULL = ("", "~", "null")


class Scalar(NamedTuple):
    """A word. `plain`: written without quotes, so that `true` is a truth value and `null` is nothing."""

    place: Place
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        return self.plain and self.text.lower() in _NULL


class Listing(NamedTuple):
    place: Place
    items: list[Node]


class Table(NamedTuple):
    """A mapping; every key stands in it once."""

    place: Place
    entries: dict[str, tuple[Place, Node]]


Node = Scalar | Listing | Table


class Layer(NamedTuple):
    """What one source of settings says; None, or nothing in it, where it is silent."""

    extends: tuple[Scalar, ...] = ()
    strategy: str | None = None
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    budget: float | None = None
    budget_spans: int | None = None
    rate: float | None = None
    rate_given: bool = True
    """False where the rate is a preset's."""
    keep_errors: bool | None = None
    keep_slower_than_ns: int | None = None
    fold_under_ns: int | None = None
    capture: CapturePatch = SILENT
    redact: tuple[str, ...] = ()
    modules: Mapping[str, ModuleRule] | None = None
    compare: Mapping[str, Any] | None = None
    """Fields of `Thresholds`."""
    provenance: Mapping[str, Any] | None = None
    extended: tuple[str, ...] = ()
    """The files that have come into it by `extends`."""

    def over(self, farther: Layer) -> Layer:
        """This, and where it is silent what `farther` says; `exclude`, `redact` and `modules` add up."""
        nearer = self
        return Layer(
            strategy=_first(nearer.strategy, farther.strategy),
            include=_first(nearer.include, farther.include),
            exclude=_both(farther.exclude, nearer.exclude),
            budget=_first(nearer.budget, farther.budget),
            budget_spans=_first(nearer.budget_spans, farther.budget_spans),
            rate=_first(nearer.rate, farther.rate),
            rate_given=nearer.rate_given if nearer.rate is not None else farther.rate_given,
            keep_errors=_first(nearer.keep_errors, farther.keep_errors),
            keep_slower_than_ns=_first(nearer.keep_slower_than_ns, farther.keep_slower_than_ns),
            fold_under_ns=_first(nearer.fold_under_ns, farther.fold_under_ns),
            capture=nearer.capture.over(farther.capture),
            redact=_both(farther.redact, nearer.redact),
            modules=_merge(nearer.modules or {}, farther.modules or {}, _module_over),
            compare={**farther.compare, **nearer.compare}
            if nearer.compare and farther.compare
            else nearer.compare or farther.compare,
            provenance=_first(nearer.provenance, farther.provenance),
            extended=_both(nearer.extended, farther.extended),
        )


def _first(nearer: T | None, farther: T | None) -> T | None:
    return farther if nearer is None else nearer


def _both(farther: tuple[str, ...], nearer: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(farther + nearer))


def _merge(nearer: Mapping[str, T], farther: Mapping[str, T], over: Callable[[T, T], T]) -> Mapping[str, T]:
    """Both, key by key. The nearer's keys stand last, which decides between globs of equal length."""
    if not nearer or not farther:
        return nearer or farther
    merged = {key: value for key, value in farther.items() if key not in nearer}
    for key, value in nearer.items():
        merged[key] = over(value, farther[key]) if key in farther else value
    return merged


def _function_over(nearer: FunctionRule, farther: FunctionRule) -> FunctionRule:
    return FunctionRule(
        _first(nearer.level, farther.level),
        _first(nearer.rate, farther.rate),
        nearer.capture.over(farther.capture),
    )


def _module_over(nearer: ModuleRule, farther: ModuleRule) -> ModuleRule:
    return ModuleRule(
        _first(nearer.level, farther.level),
        _first(nearer.rate, farther.rate),
        nearer.capture.over(farther.capture),
        _merge(nearer.functions, farther.functions, _function_over),
    )


def read_layer(root: Node) -> Layer:
    """What a whole plan says."""
    if not isinstance(root, Table):
        why = f"a plan is a mapping, and this is {_kind(root)}"
        raise refuse("", why, "begin with a key such as `strategy: balanced`", root.place)
    told = _told(root, "", _PLAN)
    _version(told.get("version"))
    budget = told.get("budget")
    bounds: Told = {}
    if isinstance(budget, Table):
        bounds = _told(budget, "budget", ("overhead", "spans_per_second"))
        budget = bounds.get("overhead")
    sampling = _table(told, "sampling", "", ("rate", "keep", "fold_under"), "{rate: 0.2}")
    keep = _table(sampling, "keep", "sampling", ("errors", "slower_than"), "{errors: true, slower_than: 250ms}")
    return Layer(
        extends=tuple(_words(told, "extends", "[autoscope:balanced]")),
        strategy=_read(told, "strategy", "", lambda text, name, place: parse_word(text, STRATEGIES, name, place)),
        include=_globs(told, "include") if "include" in told else None,
        exclude=_globs(told, "exclude"),
        budget=None if budget is None else parse_budget(_text(budget, "budget", "3%"), "budget", budget.place),
        budget_spans=_read(bounds, "spans_per_second", "budget", parse_count),
        rate=_read(sampling, "rate", "sampling", parse_rate),
        keep_errors=_flag(keep, "errors", "sampling.keep"),
        keep_slower_than_ns=_read(keep, "slower_than", "sampling.keep", parse_duration),
        fold_under_ns=_read(sampling, "fold_under", "sampling", parse_duration),
        capture=_capture(told, ""),
        redact=tuple(_redact(word) for word in _words(told, "redact", "[password, token]")),
        modules=_modules(told),
        compare=thresholds_from(told["compare"], "compare") if "compare" in told else None,
        provenance=_provenance(told.get("provenance")),
    )


_PLAN = (
    "version",
    "extends",
    "strategy",
    "include",
    "exclude",
    "budget",
    "sampling",
    "capture",
    "redact",
    "modules",
    "compare",
    "provenance",
)
_RULE = ("level", "rate", "capture")
_CAPTURE = ("args", "return", "exceptions", "state")
Told = Mapping[str, Node]
"""What stands under the keys of a mapping whose value is not null."""


def _version(node: Node | None) -> None:
    if node is not None:
        text = _text(node, "version", str(VERSION))
        if text != str(VERSION):
            way = f"write `version: {VERSION}`, or use the autoscope this plan was written for"
            raise refuse("version", f"{shown(text)} is not a version this autoscope reads", way, node.place)


def _modules(told: Told) -> Mapping[str, ModuleRule] | None:
    node = told.get("modules")
    if node is None:
        return None
    modules = {}
    for key, (place, entry) in _entries(node, "modules", "{shop.cart: {level: full_trace}}").items():
        path = f'modules["{shown(key)[1:-1]}"]'
        name = parse_module_glob(key, "modules", place)
        rule = _rule_table(entry, path, (*_RULE, "functions"))
        functions = {}
        if "functions" in rule:
            inside = f"{path}.functions"
            for inner, (spot, detail) in _entries(rule["functions"], inside, "{Cart.add: {rate: 0.5}}").items():
                where = f'{inside}["{shown(inner)[1:-1]}"]'
                qualname = parse_function_glob(inner, inside, spot)
                functions[qualname] = FunctionRule(*_rule(_rule_table(detail, where, _RULE), where))
        modules[name] = ModuleRule(*_rule(rule, path), functions)
    return modules


def _rule_table(node: Node, path: str, known: tuple[str, ...]) -> Told:
    if isinstance(node, Scalar) and node.is_null:
        return {}
    if isinstance(node, Scalar) and node.text.lower() in LEVELS:
        raise refuse(path, f"{_kind(node)} is not a mapping", f"write {{level: {node.text.lower()}}}", node.place)
    if not isinstance(node, Table):
        raise refuse(path, f"{_kind(node)} is not a mapping", "write one such as {level: off}", node.place)
    return _told(node, path, known)


def _rule(told: Told, path: str) -> tuple[str | None, float | None, CapturePatch]:
    return _read(told, "level", path, _level), _read(told, "rate", path, parse_rate), _capture(told, path)


def change_from(words: Mapping[str, Any], where: str) -> FunctionRule:
    """`level`, `rate` and `capture` as a plan has them of a function, given as Python values. Raises PlanError.

    `where` stands before what is wrong.
    """
    place = Place(where)
    rule = FunctionRule(*_rule(_rule_table(from_python(words, place), "", ("level", "rate", "capture")), ""))
    if rule == FunctionRule():
        raise refuse("", "nothing to change", "give a level, a rate, or what to capture", place)
    return rule


def _level(text: str, name: str, place: Place) -> str:
    """A tool that writes YAML 1.1 turns `off` into `false`."""
    return "off" if text.lower() in _FALSE else parse_word(text, LEVELS, name, place)


def _state(text: str, name: str, place: Place) -> str:
    return parse_word(text, STATES, name, place)


def _capture(told: Told, path: str) -> CapturePatch:
    inside = _join(path, "capture")
    capture = _table(told, "capture", path, _CAPTURE, "{args: true, return: true}", null="state")
    if not capture:
        return SILENT
    state = capture.get("state")
    return CapturePatch(
        args=_args(capture.get("args"), f"{inside}.args"),
        returns=_flag(capture, "return", inside),
        exceptions=_flag(capture, "exceptions", inside),
        state="none" if isinstance(state, Scalar) and state.is_null else _read(capture, "state", inside, _state),
    )


def _args(node: Node | None, name: str) -> bool | tuple[str, ...] | None:
    if node is None:
        return None
    if isinstance(node, Listing):
        words = [_parameter(item, name) for item in node.items]
        return tuple(dict.fromkeys(words)) or False
    truth = _truth(node)
    if truth is None:
        way = "write true, false or a list of names such as [sku, quantity]"
        raise refuse(name, f"{_kind(node)} is not what to capture", way, node.place)
    return truth


def _parameter(node: Node, name: str) -> str:
    text = _text(node, name, "sku")
    if not text.isidentifier():
        way = "write the name alone, without `*`, defaults or dots"
        raise refuse(name, f"{shown(text)} is not the name of a parameter", way, node.place)
    return text


def thresholds_from(node: Node, name: str) -> Mapping[str, Any]:
    """The fields of `Thresholds` that are given; `name` is what the section is called. Raises PlanError."""
    if not isinstance(node, Table):
        raise refuse(name, f"{_kind(node)} is not a mapping", "write one such as {calls: 2, time: 1.5}", node.place)
    told = _told(node, name, ("calls", "time", "fail", "warn"))
    found: dict[str, Any] = {}
    for key in ("calls", "time"):
        inner = told.get(key)
        if isinstance(inner, Table):
            inside = _join(name, key)
            parts = _told(inner, inside, ("times", "more"))
            found[f"{key}_times"] = _read(parts, "times", inside, parse_times)
            if key == "calls":
                found["calls_more"] = _read(parts, "more", inside, parse_count)
            else:
                found["time_more_ns"] = _read(parts, "more", inside, parse_duration)
        else:
            found[f"{key}_times"] = _read(told, key, name, parse_times)
    for key in ("fail", "warn"):
        if key in told:
            words = _words(told, key, "[calls, gone]", name)
            kinds = [parse_word(word.text, DIFFERENCES, _join(name, key), word.place) for word in words]
            found[key] = tuple(dict.fromkeys(kinds))
    return {key: value for key, value in found.items() if value is not None}


def _redact(word: Scalar) -> str:
    if not word.text.strip("-_ "):
        way = "write a part of the names to hide, such as password"
        raise refuse("redact", f"{shown(word.text)} would hide everything", way, word.place)
    return word.text.strip()


def _provenance(node: Node | None) -> Mapping[str, Any] | None:
    if node is None:
        return None
    if not isinstance(node, Table):
        raise refuse("provenance", f"{_kind(node)} is not a mapping", "leave it to the planner or out", node.place)
    return {key: plain_value(entry) for key, (_, entry) in node.entries.items()}


def plain_value(node: Node) -> Any:
    """A free-form value as JSON can hold it."""
    if isinstance(node, Table):
        return {key: plain_value(entry) for key, (_, entry) in node.entries.items()}
    if isinstance(node, Listing):
        return [plain_value(item) for item in node.items]
    text = node.text
    if not node.plain:
        return text
    if node.is_null:
        return None
    if text in ("true", "false"):
        return text == "true"
    try:
        if text.lstrip("-")[:1].isdigit() and text.isascii() and "_" not in text:
            return float(text) if any(char in text for char in ".eE") else int(text)
    except ValueError:
        pass  # a date, a hash: text
    return text


def _told(node: Table, path: str, known: tuple[str, ...], null: str = "") -> Told:
    """The values under known keys; a key with nothing after it is as if left out, unless it is `null`."""
    told = {}
    for key, (place, value) in node.entries.items():
        if key not in known:
            way = f"{did_you_mean(key, known)}known {'here' if path else 'keys'}: {', '.join(known)}"
            raise refuse(path, f"unknown key {shown(key)}", way, place)
        if key == null or not (isinstance(value, Scalar) and value.is_null):
            told[key] = value
    return told


def _table(told: Told, key: str, path: str, known: tuple[str, ...], example: str, null: str = "") -> Told:
    node = told.get(key)
    if node is None:
        return {}
    name = _join(path, key)
    if not isinstance(node, Table):
        raise refuse(name, f"{_kind(node)} is not a mapping", f"write one such as {example}", node.place)
    return _told(node, name, known, null)


def _entries(node: Node, name: str, example: str) -> dict[str, tuple[Place, Node]]:
    if not isinstance(node, Table):
        raise refuse(name, f"{_kind(node)} is not a mapping", f"write one such as {example}", node.place)
    return node.entries


def _read(told: Told, key: str, path: str, parse: Callable[[str, str, Place], T]) -> T | None:
    node = told.get(key)
    if node is None:
        return None
    name = _join(path, key)
    return parse(_text(node, name, _EXAMPLES[key]), name, node.place)


_EXAMPLES = {
    "strategy": "balanced",
    "rate": "0.2",
    "spans_per_second": "500",
    "slower_than": "250ms",
    "fold_under": "50us",
    "level": "full_trace",
    "state": "diff",
    "calls": "2",
    "time": "1.5",
    "times": "2",
    "more": "5",
}


def _text(node: Node, name: str, example: str) -> str:
    if not isinstance(node, Scalar):
        raise refuse(name, f"{_kind(node)} stands where one value belongs", f"write one such as {example}", node.place)
    return node.text


def _flag(told: Told, key: str, path: str) -> bool | None:
    node = told.get(key)
    if node is None:
        return None
    truth = _truth(node)
    if truth is None:
        raise refuse(_join(path, key), f"{_kind(node)} is neither true nor false", "write true or false", node.place)
    return truth


def _truth(node: Node) -> bool | None:
    if not isinstance(node, Scalar) or not node.plain:
        return None
    text = node.text.lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _globs(told: Told, key: str) -> tuple[str, ...]:
    words = _words(told, key, '["shop.*"]')
    return tuple(dict.fromkeys(parse_module_glob(word.text, key, word.place) for word in words))


def _words(told: Told, key: str, example: str, path: str = "") -> list[Scalar]:
    """A list of words; one word alone counts as a list of one."""
    node = told.get(key)
    if node is None:
        return []
    items = node.items if isinstance(node, Listing) else [node]
    words = []
    for item in items:
        if not isinstance(item, Scalar) or item.is_null:
            way = f"write a list of words such as {example}"
            raise refuse(_join(path, key), f"{_kind(item)} is not text", way, item.place)
        words.append(item)
    return words


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _kind(node: Node) -> str:
    """What stands there, as a message calls it."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    return "an empty value" if node.is_null else shown(node.text) if node.plain else f"the text {shown(node.text)}"


def from_python(value: object, place: Place, name: str = "", depth: int = 0) -> Node:
    """A Python value, as `install(plan=...)` is given it, as the tree YAML would have made of it."""
    if depth > MOST_DEPTH:
        raise refuse(name, f"more than {MOST_DEPTH} levels deep", "take out what contains itself", place)
    if isinstance(value, Mapping):
        entries: dict[str, tuple[Place, Node]] = {}
        for key, inner in value.items():
            if not isinstance(key, str):
                raise refuse(name, f"the key {shown(_safe_repr(key))} is not text", "write it as a str", place)
            entries[str(key)] = (place, from_python(inner, place, _join(name, shown(key)[1:-1]), depth + 1))
        return Table(place, entries)
    if isinstance(value, (list, tuple)):
        return Listing(place, [from_python(item, place, name, depth + 1) for item in value])
    if isinstance(value, str):
        return Scalar(place, str(value), plain=False)
    if value is None or isinstance(value, (bool, int, float)):
        return Scalar(place, _word(value))
    way = "give text, a number, a truth value, None, a list or a mapping"
    raise refuse(name, f"{shown(type(value).__name__)} is not a type a plan holds", way, place)


def _word(value: bool | int | float | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float.__repr__(value)
    try:
        return int.__repr__(value)
    except ValueError:  # more digits than Python prints
        return "inf"


def _safe_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
