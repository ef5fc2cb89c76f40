"""Choices -> the plan file: sorted, the same bytes for the same input, a reason beside each entry.

`ours` is how a later `--update` tells the planner's entries from the user's: digests of each entry written.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from autoscope.plan.choose import Choice, told_of
from autoscope.plan.facts import Facts
from autoscope.plan.model import SILENT, Capture, CapturePatch, FunctionRule, ModuleRule, Plan, Rule, is_glob
from autoscope.plan.schema import Layer
from autoscope.plan.values import parse_budget, printable

EVERYTHING = "*"
"""The entry that leaves alone what no other names."""


@dataclass(slots=True)
class Entry:
    """One line under `functions`, or what a module's entry itself says."""

    rule: FunctionRule
    reason: str = ""
    text: str = ""
    """As the user wrote it, where that is to be kept; lines without indentation."""
    by_user: bool = False
    level_ours: bool = False
    """Whether the planner put a level into an entry of the user's that has none."""
    above: list[str] = field(default_factory=list)
    """The user's comments on lines of their own above it."""


@dataclass(slots=True)
class ModuleEntry:
    """What stands under one module."""

    own: Entry
    functions: dict[str, Entry] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """A plan file before it is text."""

    head: list[str]
    """Lines of the comment at the top."""
    settings: dict[str, str]
    """Top-level key -> its value as YAML, in order."""
    modules: dict[str, ModuleEntry]
    provenance: dict[str, Any]
    above: dict[str, list[str]] = field(default_factory=dict)
    """Top-level key -> the user's comments above it."""
    tail: list[str] = field(default_factory=list)
    """The user's comments at the end."""


def entries(
    facts: Facts,
    choices: Sequence[Choice],
    heading: Mapping[str, str],
    user: Plan | None = None,
    own: Mapping[str, ModuleRule] | None = None,
    outside: Collection[str] = (),
) -> dict[str, ModuleEntry]:
    """The `modules` of a plan: what is watched by name, what is left alone by `"*"`.

    `user` is all that the user says, `own` what of it stands in this file (None: all): entries that stay as they are. The rest is in
    files that this one extends. The planner's entries stand beside the user's where those alone would not come to the choice.
    `outside`: modules that are left out as a whole, and need no entries for that.
    """
    farther = SILENT if user is None else user.capture
    modules: dict[str, ModuleEntry] = {
        EVERYTHING: ModuleEntry(Entry(FunctionRule("off"), "what is not named below runs as its author wrote it"))
    }
    for name in sorted(facts.modules):
        module = facts.modules[name]
        chosen: dict[str, Choice] = {}
        for index in module.functions:
            if not facts.functions[index].overload:
                chosen.setdefault(facts.functions[index].qualname, choices[index])
        if not any(choice.watched for choice in chosen.values()):
            continue
        everything = all(is_whole(choice, farther) for choice in chosen.values())
        entry = ModuleEntry(Entry(FunctionRule("full_trace" if everything else None), heading.get(name, "")))
        for qualname in sorted(chosen):
            rule = rule_of(chosen[qualname], everything, farther)
            if rule is not None:
                entry.functions[qualname] = Entry(rule, "; ".join(chosen[qualname].reasons))
        modules[name] = entry
    if user is None:
        return modules
    every: dict[tuple[str, str], Choice] = {}
    for function, choice in zip(facts.functions, choices, strict=True):
        if not function.overload and function.module not in outside:
            every.setdefault((function.module, function.qualname), choice)
    return with_user(modules, every, user, user.modules if own is None else own)


def is_whole(choice: Choice, farther: CapturePatch = SILENT) -> bool:
    """Whether a module's `level: full_trace` says all of a choice but its `state`."""
    if choice.level != "full_trace":
        return False
    plain = settled("full_trace", farther)._replace(state=choice.capture.state)
    return choice.rate == 1.0 and choice.capture == plain


def settled(level: str, farther: CapturePatch) -> Capture:
    """What an entry captures that gives a level alone; `farther` is what the plan as a whole says."""
    full = level == "full_trace"
    return CapturePatch(full or None, full or None).over(farther).settle()


def rule_of(choice: Choice, everything: bool, farther: CapturePatch = SILENT) -> FunctionRule | None:
    """What an entry has to say for a choice; None where it need not be there."""
    if choice.level == "off" and not everything:
        return None
    return _rule(choice.level, choice.rate, choice.capture, everything, farther)


@lru_cache(maxsize=1024)
def _rule(level: str, rate: float, capture: Capture, everything: bool, farther: CapturePatch) -> FunctionRule | None:
    patch = patch_of(level, capture, farther)
    if everything:
        return None if patch.state is None else FunctionRule(None, None, CapturePatch(state=patch.state))
    return FunctionRule(level, None if rate == 1.0 else rate, patch)


def patch_of(level: str, capture: Capture, farther: CapturePatch = SILENT) -> CapturePatch:
    """What of what is captured its level and the plan as a whole do not say already."""
    plain = settled(level, farther)
    return CapturePatch(
        None if capture.args == plain.args else capture.args,
        None if capture.returns == plain.returns else capture.returns,
        None if capture.exceptions == plain.exceptions else capture.exceptions,
        None if capture.state == plain.state else capture.state,
    )


def with_user(
    modules: dict[str, ModuleEntry],
    every: Mapping[tuple[str, str], Choice],
    user: Plan,
    own: Mapping[str, ModuleRule],
) -> dict[str, ModuleEntry]:
    """The entries with the user's among them, and with the planner's ones that those make necessary; without the needless."""
    for name, theirs in own.items():
        said = FunctionRule(theirs.level, theirs.rate, theirs.capture)
        if name not in modules:
            modules[name] = ModuleEntry(Entry(said, by_user=said != FunctionRule() or not theirs.functions))
        entry = modules[name]
        if said != FunctionRule():
            ours = name == EVERYTHING and said.level is None
            entry.own = Entry(said._replace(level="off") if ours else said, by_user=True, level_ours=ours)
        for qualname, inner in theirs.functions.items():
            entry.functions[qualname] = Entry(inner, by_user=True)
    # Of globs of equal length the later is nearer, so the user's keep their order; that of names says nothing.
    named = sorted(name for name in modules if not is_glob(name))
    # An empty one where the planner has its own says nothing, and is not the user's when this is read again.
    of_user = [name for name in own if is_glob(name) and (modules[name].own.by_user or modules[name].functions)]
    globs = [name for name in modules if is_glob(name) and name not in of_user] + of_user
    modules = {name: modules[name] for name in [*globs[:1], *named, *globs[1:]]}
    farther = Layer(modules=user.modules)
    told = [key for key in every if told_of(user, *key) is not None]
    for name, qualname in told:
        if name in modules and qualname in modules[name].functions and not modules[name].functions[qualname].by_user:
            del modules[name].functions[qualname]

    def differing(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str, Rule, Choice]]:
        plan = Plan(modules=Layer(modules=rules(modules)).over(farther).modules or {}, capture=user.capture)
        found = ((*key, plan.rule_for(*key), every[key]) for key in keys)
        return [(name, qualname, rule, choice) for name, qualname, rule, choice in found if not comes_to(rule, choice)]

    for whole in (False, True):
        for name, qualname, rule, choice in differing(every if whole else told):
            entry = modules.setdefault(name, ModuleEntry(Entry(FunctionRule())))
            stands = entry.functions.get(qualname)
            if stands is not None and stands.by_user:
                if stands.rule.level is None:
                    rule_with = stands.rule._replace(level=choice.level)
                    entry.functions[qualname] = Entry(rule_with, by_user=True, level_ours=True)
            else:
                entry.functions[qualname] = Entry(exactly(choice, rule, user.capture, whole), "; ".join(choice.reasons))
    return {
        name: entry
        for name, entry in modules.items()
        if entry.functions or entry.own.by_user or entry.own.rule != FunctionRule()
    }


def comes_to(rule: Rule, choice: Choice) -> bool:
    """Whether a rule is what was chosen."""
    if rule.level != choice.level:
        return False
    return not choice.watched or (rule.rate, rule.capture) == (choice.rate, choice.capture)


def exactly(choice: Choice, otherwise: Rule, farther: CapturePatch, whole: bool) -> FunctionRule:
    """What an entry by name has to say among the user's, without which the function has the rule `otherwise`; `whole`: leave nothing open."""
    if not choice.watched:
        return FunctionRule("off")
    if whole:
        return FunctionRule(choice.level, choice.rate, CapturePatch(*choice.capture))
    rate = None if choice.rate == otherwise.rate else choice.rate
    if otherwise.level != "full_trace":  # whose captures go with it
        farther = CapturePatch(*otherwise.capture)
    return FunctionRule(choice.level, rate, patch_of(choice.level, choice.capture, farther))


def rules(modules: Mapping[str, ModuleEntry]) -> dict[str, ModuleRule]:
    """The entries as a plan holds them."""
    return {
        name: ModuleRule(
            entry.own.rule.level,
            entry.own.rule.rate,
            entry.own.rule.capture,
            {qualname: inner.rule for qualname, inner in entry.functions.items()},
        )
        for name, entry in modules.items()
    }


# What is ours.


def name_digest(module: str, qualname: str) -> bytes:
    """Four bytes that stand for an entry's place."""
    return blake2b(f"{module} {qualname}".encode(), digest_size=4).digest()


@lru_cache(maxsize=1024)
def value_digest(rule: FunctionRule, level_ours: bool = False) -> bytes:
    """Three bytes that stand for what it says; others if only the level is the planner's."""
    capture = rule.capture
    words = (rule.level, rule.rate, capture.args, capture.returns, capture.exceptions, capture.state)
    return blake2b(repr((*words, "level") if level_ours else words).encode(), digest_size=3).digest()


def ours(modules: Mapping[str, ModuleEntry]) -> str:
    """Digests of the planner's own entries, and of the user's it put a level into."""
    found = []
    for name, entry in modules.items():
        if not entry.own.by_user or entry.own.level_ours:
            found.append(name_digest(name, "") + value_digest(entry.own.rule, entry.own.level_ours))
        found += [
            name_digest(name, qualname) + value_digest(inner.rule, inner.level_ours)
            for qualname, inner in entry.functions.items()
            if not inner.by_user or inner.level_ours
        ]
    return pack(found)


def pack(digests: Iterable[bytes]) -> str:
    """Digests as one text: sorted, joined, base 64."""
    return base64.b64encode(b"".join(sorted(digests))).decode("ascii")


def unpack(text: object, size: int) -> set[bytes]:
    """The way back; empty for what is no such text."""
    try:
        data = base64.b64decode("".join(str(text or "").split()), validate=True)
    except ValueError:
        return set()
    return {data[at : at + size] for at in range(0, len(data) - size + 1, size)}


def function_digest(name: str) -> bytes:
    """Four bytes that stand for a function there was at plan time."""
    return blake2b(name.encode(), digest_size=4).digest()


# As text.

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.]*(?:<locals>[\w.]*)*\Z")
_ODD = frozenset("true false yes no on off null y n".split())


def key(name: str) -> str:
    """A mapping's key, quoted where YAML asks for it."""
    return name if _PLAIN_KEY.match(name) and name.lower() not in _ODD else json.dumps(name, ensure_ascii=False)


def number(value: float) -> str:
    """A rate as people write it, and as it is read back."""
    short = f"{value:.4g}"
    return short if float(short) == value else repr(float(value))


def budget_text(value: float, spans: int | None = None) -> str:
    """`{overhead: 3%}`, with `spans_per_second` where there is such a bound."""
    percent = f"{value * 100:.4g}%"
    more = "" if spans is None else f", spans_per_second: {spans}"
    return f"{{overhead: {percent if parse_budget(percent) == value else number(value)}{more}}}"


@lru_cache(maxsize=1024)
def rule_text(rule: FunctionRule) -> str:
    """`{level: balanced, rate: 0.1}`."""
    parts = []
    if rule.level is not None:
        parts.append(f"level: {rule.level}")
    if rule.rate is not None:
        parts.append(f"rate: {number(rule.rate)}")
    if rule.capture != SILENT:
        parts.append(f"capture: {capture_text(rule.capture)}")
    return "{" + ", ".join(parts) + "}"


def capture_text(capture: CapturePatch) -> str:
    """`{args: [sku], state: diff}`."""
    parts = []
    if capture.args is not None:
        parts.append(
            f"args: {str(capture.args).lower() if isinstance(capture.args, bool) else '[' + ', '.join(capture.args) + ']'}"
        )
    if capture.returns is not None:
        parts.append(f"return: {str(capture.returns).lower()}")
    if capture.exceptions is not None:
        parts.append(f"exceptions: {str(capture.exceptions).lower()}")
    if capture.state is not None:
        parts.append(f"state: {capture.state}")
    return "{" + ", ".join(parts) + "}"


def flow(words: Iterable[str]) -> str:
    """`[load, "shop.*"]`."""
    return "[" + ", ".join(key(word) for word in words) + "]"


def duration_text(nanoseconds: int) -> str:
    """`250ms`."""
    for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds and nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


def setting_text(name: str, layer: Layer) -> str:
    """A top-level setting as the planner writes it."""
    if name == "sampling":
        keep = [] if layer.keep_errors is None else [f"errors: {str(layer.keep_errors).lower()}"]
        if layer.keep_slower_than_ns is not None:
            keep.append(f"slower_than: {duration_text(layer.keep_slower_than_ns)}")
        parts = [] if layer.rate is None else [f"rate: {number(layer.rate)}"]
        parts += [f"keep: {{{', '.join(keep)}}}"] if keep else []
        parts += [] if layer.fold_under_ns is None else [f"fold_under: {duration_text(layer.fold_under_ns)}"]
        return "{" + ", ".join(parts) + "}"
    if name == "budget":
        return "" if layer.budget is None else budget_text(layer.budget, layer.budget_spans)
    if name == "capture":
        return capture_text(layer.capture)
    if name == "strategy":
        return layer.strategy or ""
    if name == "compare":
        return compare_text(layer.compare or {})
    words = {
        "extends": [word.text for word in layer.extends],
        "include": layer.include or (),
        "exclude": layer.exclude,
        "redact": layer.redact,
    }
    return flow(words[name])


def compare_text(given: Mapping[str, Any]) -> str:
    """`{calls: {times: 2}, warn: [time]}`."""
    parts = []
    for key, more in (("calls", "calls_more"), ("time", "time_more_ns")):
        inner = [f"times: {number(given[f'{key}_times'])}"] if f"{key}_times" in given else []
        if more in given:
            inner.append(f"more: {duration_text(given[more]) if key == 'time' else given[more]}")
        parts += [f"{key}: {{{', '.join(inner)}}}"] if inner else []
    parts += [f"{key}: {flow(given[key])}" for key in ("fail", "warn") if key in given]
    return "{" + ", ".join(parts) + "}"


def text(document: Document) -> str:
    """The plan file."""
    lines = [f"# {printable(line)}".rstrip() for line in document.head]
    above = document.above
    if above.get("version"):
        lines += ["", *above["version"]]
    lines.append("version: 1")
    for name, value in document.settings.items():
        lines += [*above.get(name, ()), f"{name}:{value}" if value[:1] == "\n" else f"{name}: {value}".rstrip()]
    lines += ["", *above.get("modules", ()), "modules:"]
    for name, entry in document.modules.items():
        lines += module_lines(name, entry)
    lines += ["", *above.get("provenance", ()), COMPUTED_FROM, "provenance:"]
    for name, value in document.provenance.items():
        lines += provenance_lines(name, value)
    return "\n".join([*lines, *document.tail]) + "\n"


COMPUTED_FROM = "# What this was computed from: `autoscope check` and `--update` read it."
"""The comment above the provenance."""


def module_lines(name: str, entry: ModuleEntry) -> list[str]:
    """One module's entry."""
    said = entry.own.rule
    comment = _comment(entry.own.reason)
    lines = [f"  {line}" for line in entry.own.above]
    if not entry.functions:
        return [*lines, f"  {key(name)}: {rule_text(said)}{comment}"]
    lines.append(f"  {key(name)}:{comment}")
    if said.level is not None:
        lines.append(f"    level: {said.level}")
    if said.rate is not None:
        lines.append(f"    rate: {number(said.rate)}")
    if said.capture != SILENT:
        lines.append(f"    capture: {capture_text(said.capture)}")
    lines.append("    functions:")
    globs = [qualname for qualname in entry.functions if is_glob(qualname)]
    for qualname in [*sorted(entry.functions.keys() - globs), *globs]:
        inner = entry.functions[qualname]
        lines += [f"      {line}" for line in inner.above]
        if inner.text:
            lines += [f"      {line}" if line else "" for line in inner.text.split("\n")]
        else:
            lines.append(f"      {key(qualname)}: {rule_text(inner.rule)}{_comment(inner.reason)}")
    return lines


def _comment(reason: str) -> str:
    return f"  # {printable(reason)}" if reason else ""


DIGESTS = frozenset(("critical", "settings", "entries", "functions"))
"""Facts of the provenance that are digests, and may be folded."""


def provenance_lines(name: str, value: Any) -> list[str]:
    """A fact of the provenance; long digests are folded."""
    if name in DIGESTS and len(value) > 100:
        return [f"  {name}: >-", *(f"    {value[at : at + 100]}" for at in range(0, len(value), 100))]
    written = json.dumps(value, ensure_ascii=False)
    # What is not text, as a path may be, and what YAML takes for an end of line.
    written = written.encode("utf-8", "replace").decode()
    return [f"  {name}: {written if written.isprintable() else json.dumps(value)}"]
