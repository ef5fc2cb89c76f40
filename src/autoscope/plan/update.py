"""An older plan file read for planning anew: what of it the planner wrote, and what is the user's.

The planner leaves digests of its entries in the plan's provenance (`write.ours`). An entry that is not among them is the
user's, and stays, as text where it stands on lines of its own; one that is missing was taken out, and stays out.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from autoscope.plan.facts import Facts
from autoscope.plan.load import parse, read_bytes
from autoscope.plan.model import FunctionRule, ModuleRule, Plan, Rule
from autoscope.plan.planner import setting_digest
from autoscope.plan.schema import Layer, Node, Table, read_layer
from autoscope.plan.write import EVERYTHING, ModuleEntry, name_digest, unpack, value_digest

COMPUTED = ("version", "modules", "provenance")
"""Top-level keys that are always written anew."""


@dataclass(slots=True)
class Previous:
    """An older plan file."""

    path: str
    layer: Layer
    user: Plan
    """Only what the user wrote under `modules`."""
    texts: dict[tuple[str, str], str]
    """(module, function) -> the user's lines for it, as written."""
    settings: dict[str, str]
    """Top-level keys the user wrote -> their YAML, as written."""
    removed: frozenset[bytes]
    """Name digests of entries the user took out."""
    digests: set[bytes]
    provenance: dict[str, object] = field(default_factory=dict)

    @property
    def by_planner(self) -> bool:
        """Whether the planner wrote any of it."""
        return bool(self.digests)


def read_previous(path: str) -> Previous:
    """A plan file, taken apart. Raises PlanError for one that cannot be used."""
    data = read_bytes(path)
    root = parse(data, path)
    layer = read_layer(root)
    provenance = dict(layer.provenance or {})
    digests = unpack(provenance.get("entries"), 7)
    lines = data.decode("utf-8-sig").splitlines()
    modules: dict[str, ModuleRule] = {}
    texts: dict[tuple[str, str], str] = {}
    present: set[bytes] = set()
    places = _entries(root, "modules")
    for name, rule in (layer.modules or {}).items():
        own = FunctionRule(rule.level, rule.rate, rule.capture)
        digest = name_digest(name, "")
        present.add(digest)
        said = own != FunctionRule()
        mine = said and digest + value_digest(own) not in digests
        functions: dict[str, FunctionRule] = {}
        inside = _entries(places.get(name), "functions")
        for qualname, inner in rule.functions.items():
            digest = name_digest(name, qualname)
            present.add(digest)
            if digest + value_digest(inner) in digests:
                continue
            functions[qualname] = inner
            written = _lines_of(lines, inside, qualname)
            if written:
                texts[name, qualname] = written
        if mine or functions:
            modules[name] = ModuleRule(*(own if mine else FunctionRule()), functions)
    settings = _settings(root, lines, unpack(provenance.get("settings"), 4))
    removed = frozenset(digest[:4] for digest in digests) - present
    user = Plan(modules=modules, source=path)
    return Previous(path, layer, user, texts, settings, removed, digests, provenance)


def _entries(node: Node | None, key: str) -> dict[str, Node]:
    """Key -> node of a mapping inside a mapping; empty where there is none."""
    if not isinstance(node, Table) or key not in node.entries:
        return {}
    inner = node.entries[key][1]
    return {name: value for name, (_, value) in inner.entries.items()} if isinstance(inner, Table) else {}


def _lines_of(lines: list[str], siblings: dict[str, Node], name: str) -> str:
    """The lines an entry stands on, with comments right above it; empty where it shares a line with others."""
    first = _line_of(lines, siblings, name)
    if first < 0:
        return ""
    indent = len(lines[first]) - len(lines[first].lstrip())
    start, end = first, first + 1
    while start > 0 and lines[start - 1].lstrip().startswith("#") and _indent(lines[start - 1]) == indent:
        start -= 1
    while end < len(lines) and lines[end].strip() and _indent(lines[end]) > indent:
        end += 1
    return textwrap.dedent("\n".join(lines[start:end]))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _line_of(lines: list[str], siblings: dict[str, Node], name: str) -> int:
    """Index of the line that begins with an entry's key; -1 where it stands inside another line."""
    node = siblings[name]
    words = (f"{name}:", f'"{name}":', f"'{name}':")
    for index in range(min(node.place.line, len(lines)) - 1, -1, -1):
        if lines[index].lstrip().startswith(words):
            return index
        if index < node.place.line - 2:
            break
    return -1


def _settings(root: Node, lines: list[str], known: set[bytes]) -> dict[str, str]:
    """Top-level keys with what the user wrote for them."""
    if not isinstance(root, Table):
        return {}
    starts = sorted(place.line - 1 for place, _ in root.entries.values())
    found = {}
    for name, (place, _) in root.entries.items():
        if name in COMPUTED:
            continue
        start = place.line - 1
        following = [line for line in starts if line > start]
        block = lines[start : following[0] if following else len(lines)]
        while block and (not block[-1].strip() or block[-1].startswith("#")):
            block.pop()
        if not block or not block[0].startswith(name):
            continue  # a mapping on one line: its values hold, its text does not
        value = "\n".join(block)[len(name) :].lstrip().removeprefix(":").strip(" ")
        if setting_digest(name, value) not in known:
            found[name] = value
    return found


def keep_texts(modules: dict[str, ModuleEntry], previous: Previous) -> None:
    """Give the user's entries back the lines he wrote."""
    for (name, qualname), written in previous.texts.items():
        entry = modules[name].functions.get(qualname) if name in modules else None
        if entry is not None and entry.by_user:
            entry.text = written


def still_removed(modules: dict[str, ModuleEntry], previous: Previous) -> set[bytes]:
    """Digests to carry on, so that what was taken out stays out the next time."""
    written = {name_digest(name, "") for name in modules}
    written |= {name_digest(name, qualname) for name, entry in modules.items() for qualname in entry.functions}
    return {digest for digest in previous.digests if digest[:4] in previous.removed and digest[:4] not in written}


def difference(before: Plan, after: Plan, facts: Facts) -> list[str]:
    """What a new plan watches otherwise than the old one did, a line each: `+`, `-` or `~`, name, levels and rates."""
    lines = []
    known = set()
    for function in facts.functions:
        if function.overload or function.qualname.endswith("<lambda>") or function.name in known:
            continue
        known.add(function.name)
        old = before.rule_for(function.module, function.qualname)
        new = after.rule_for(function.module, function.qualname)
        if old.level == new.level == "off" or (old.level, old.rate, old.capture) == (new.level, new.rate, new.capture):
            continue
        if old.level == "off":
            lines.append(f"+ {function.name}  {_words(new)}")
        elif new.level == "off":
            lines.append(f"- {function.name}  {_words(old)}")
        else:
            lines.append(f"~ {function.name}  {_words(old)} -> {_words(new)}")
    for name, rule in before.modules.items():
        if name == EVERYTHING:
            continue
        if name not in facts.modules and not set(name) & set("*?["):
            lines.append(f"- {name}  gone from the code")
            continue
        for qualname, inner in rule.functions.items():
            if f"{name}.{qualname}" not in known and inner.level != "off" and not set(qualname) & set("*?["):
                lines.append(f"- {name}.{qualname}  gone from the code")
    return lines


def _words(rule: Rule) -> str:
    level, rate, capture = rule.level, rule.rate, rule.capture
    words = [level]
    if rate != 1.0:
        words.append(f"rate {rate:.4g}")
    if capture.args:
        words.append("arguments")
    if capture.state != "none":
        words.append(f"state {capture.state}")
    return ", ".join(words)
