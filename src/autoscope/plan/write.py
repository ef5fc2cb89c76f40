"""Choices -> the plan file: sorted, the same bytes for the same input, a reason beside each entry.

`ours` is how a later `--update` tells the planner's entries from the user's: digests of each entry written.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from autoscope.plan.choose import Choice, told_of
from autoscope.plan.facts import Facts
from autoscope.plan.model import SILENT, Capture, CapturePatch, FunctionRule, ModuleRule, Plan
from autoscope.plan.values import printable

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


def entries(
    facts: Facts, choices: Sequence[Choice], heading: Mapping[str, str], user: Plan | None
) -> dict[str, ModuleEntry]:
    """The `modules` of a plan: what is watched by name, what is left alone by `"*"`.

    `user`: entries that stay as they are; planner's ones stand beside them where those alone would not come to the choice.
    """
    modules: dict[str, ModuleEntry] = {
        EVERYTHING: ModuleEntry(Entry(FunctionRule("off"), "what is not named below runs as its author wrote it"))
    }
    for name in sorted(facts.modules):
        module = facts.modules[name]
        chosen: dict[str, list[Choice]] = {}
        for index in module.functions:
            function = facts.functions[index]
            if not function.overload and not function.qualname.endswith("<lambda>"):
                chosen.setdefault(function.qualname, []).append(choices[index])
        if not any(choice.watched for found in chosen.values() for choice in found):
            continue
        everything = all(
            choice.level == "full_trace" and choice.rate == 1.0 for found in chosen.values() for choice in found
        )
        entry = ModuleEntry(Entry(FunctionRule("full_trace" if everything else None), heading.get(name, "")))
        for qualname in sorted(chosen):
            choice = best(chosen[qualname])
            rule = rule_of(choice, everything)
            if rule is not None:
                entry.functions[qualname] = Entry(rule, "; ".join(choice.reasons))
        modules[name] = entry
    if user is not None:
        add_user(modules, facts, choices, user)
    return modules


def best(choices: Sequence[Choice]) -> Choice:
    """Of definitions that share a name (a property's getter and setter), the one watched most closely."""
    watched = [choice for choice in choices if choice.watched]
    return max(watched, key=lambda choice: (choice.level == "full_trace", choice.rate)) if watched else choices[0]


def rule_of(choice: Choice, everything: bool) -> FunctionRule | None:
    """What an entry has to say for a choice; None where it need not be there."""
    if everything:
        state = choice.capture.state
        return None if state == "none" else FunctionRule(None, None, CapturePatch(state=state))
    if not choice.watched:
        return None
    return FunctionRule(choice.level, None if choice.rate == 1.0 else choice.rate, patch_of(choice))


def patch_of(choice: Choice) -> CapturePatch:
    """What of a choice's capture its level does not say already."""
    full = choice.level == "full_trace"
    plain = Capture(args=full, returns=full)
    capture = choice.capture
    return CapturePatch(
        None if capture.args == plain.args else capture.args,
        None if capture.returns == plain.returns else capture.returns,
        None if capture.exceptions == plain.exceptions else capture.exceptions,
        None if capture.state == plain.state else capture.state,
    )


def add_user(modules: dict[str, ModuleEntry], facts: Facts, choices: Sequence[Choice], user: Plan) -> None:
    """Put the user's entries in, and the planner's ones that they make necessary or needless."""
    for name, rule in user.modules.items():
        entry = modules.setdefault(name, ModuleEntry(Entry(FunctionRule(), "")))
        if rule.level is not None or rule.rate is not None or rule.capture != SILENT:
            entry.own = Entry(FunctionRule(rule.level, rule.rate, rule.capture), entry.own.reason, by_user=True)
        for qualname, inner in rule.functions.items():
            entry.functions[qualname] = Entry(inner, by_user=True)
    together = Plan(modules=rules(modules))
    for name, module in facts.modules.items():
        for index in module.functions:
            function = facts.functions[index]
            if (
                function.overload
                or function.qualname.endswith("<lambda>")
                or told_of(user, name, function.qualname) is None
            ):
                continue
            wanted = choices[index]
            found = together.rule_for(name, function.qualname)
            same = found.level == wanted.level and (
                not wanted.watched or (found.rate == wanted.rate and found.capture == wanted.capture)
            )
            entry = modules.setdefault(name, ModuleEntry(Entry(FunctionRule(), "")))
            kept = entry.functions.get(function.qualname)
            if kept is not None and kept.by_user:
                continue
            if same:
                if kept is not None and _needless(user, name, function.qualname, wanted):
                    del entry.functions[function.qualname]
                continue
            exact = (
                FunctionRule("off") if not wanted.watched else FunctionRule(wanted.level, wanted.rate, patch_of(wanted))
            )
            entry.functions[function.qualname] = Entry(exact, "; ".join(wanted.reasons))


def _needless(user: Plan, module: str, qualname: str, wanted: Choice) -> bool:
    told = told_of(user, module, qualname)
    return (
        told is not None
        and told[1] is not None
        and told[0].level == wanted.level
        and told[0].rate == wanted.rate
        and told[0].capture == wanted.capture
    )


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


def value_digest(rule: FunctionRule | ModuleRule) -> bytes:
    """Three bytes that stand for what it says."""
    capture = rule.capture
    words = (rule.level, rule.rate, capture.args, capture.returns, capture.exceptions, capture.state)
    return blake2b(repr(words).encode(), digest_size=3).digest()


def ours(modules: Mapping[str, ModuleEntry]) -> str:
    """Digests of the planner's own entries."""
    found = []
    for name, entry in modules.items():
        if not entry.own.by_user:
            found.append(name_digest(name, "") + value_digest(entry.own.rule))
        found += [
            name_digest(name, qualname) + value_digest(inner.rule)
            for qualname, inner in entry.functions.items()
            if not inner.by_user
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
    """A rate as people write it."""
    return f"{value:.4g}"


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


def text(document: Document) -> str:
    """The plan file."""
    lines = [f"# {line}".rstrip() for line in document.head]
    lines.append("version: 1")
    lines += [f"{name}: {value}" for name, value in document.settings.items()]
    lines += ["", "modules:"]
    for name, entry in document.modules.items():
        lines += module_lines(name, entry)
    lines += ["", "# What this was computed from: `autoscope check` and `--update` read it.", "provenance:"]
    for name, value in document.provenance.items():
        lines += provenance_lines(name, value)
    return "\n".join(lines) + "\n"


def module_lines(name: str, entry: ModuleEntry) -> list[str]:
    """One module's entry."""
    said = entry.own.rule
    comment = _comment(entry.own.reason)
    if not entry.functions:
        return [f"  {key(name)}: {rule_text(said)}{comment}"]
    lines = [f"  {key(name)}:{comment}"]
    if said.level is not None:
        lines.append(f"    level: {said.level}")
    if said.rate is not None:
        lines.append(f"    rate: {number(said.rate)}")
    if said.capture != SILENT:
        lines.append(f"    capture: {capture_text(said.capture)}")
    lines.append("    functions:")
    for qualname in sorted(entry.functions, key=lambda word: ("*" in word or "?" in word or "[" in word, word)):
        inner = entry.functions[qualname]
        if inner.text:
            lines += [f"      {line}" if line else "" for line in inner.text.split("\n")]
        else:
            lines.append(f"      {key(qualname)}: {rule_text(inner.rule)}{_comment(inner.reason)}")
    return lines


def _comment(reason: str) -> str:
    return f"  # {printable(reason)}" if reason else ""


def provenance_lines(name: str, value: Any) -> list[str]:
    """A fact of the provenance; long digests are folded."""
    if isinstance(value, str) and len(value) > 100:
        return [f"  {name}: >-", *(f"    {value[at : at + 100]}" for at in range(0, len(value), 100))]
    return [f"  {name}: {json.dumps(value, ensure_ascii=False)}"]
