"""An older plan file read for planning anew: what of it the planner wrote, and what is the user's.

The planner leaves digests of its entries in the plan's provenance (`write.ours`). An entry that is not among them is the
user's, and stays, as text where it stands on lines of its own; one that is missing was taken out, and stays out. Comments on lines of
their own are the user's, and stay with what stands below them.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from autoscope.errors import PlanError
from autoscope.plan.facts import Facts
from autoscope.plan.load import extend, parse, read_bytes
from autoscope.plan.model import SILENT, FunctionRule, ModuleRule, Plan, Rule
from autoscope.plan.planner import Settings, setting_digest
from autoscope.plan.schema import Layer, Node, Table, read_layer
from autoscope.plan.write import (
    COMPUTED_FROM,
    EVERYTHING,
    Document,
    flow,
    name_digest,
    setting_text,
    unpack,
    value_digest,
)

COMPUTED = ("version", "modules", "provenance")
"""Top-level keys that are always written anew."""
_HEAD = re.compile(
    r"# (?:Written by autoscope |seen      |watched   |priority  |overhead  |profile   |given up  |note      |Change what you like: )|#$"
)
"""What begins the lines of the summary at the top."""
_HEADING = re.compile(r"(?:\w+, )?(?:critical|high|medium|low) \([\d.]+\); \d+ of \d+ functions")

Spot = tuple[str, str, str]
"""A key of a plan: `("top", "redact", "")`, `("module", "shop.cart", "")`, `("function", "shop.cart", "Cart.add")`."""


@dataclass(slots=True)
class Previous:
    """An older plan file."""

    path: str
    layer: Layer
    """What the file itself says."""
    base: Layer
    """What it extends."""
    user: Plan
    """What the user says under `modules`, here and in what it extends, and under `capture`."""
    own: dict[str, ModuleRule]
    """Only what the user wrote under `modules` of this file."""
    texts: dict[tuple[str, str], str]
    """(module, function) -> the user's lines for it, as written."""
    remarks: dict[str, str]
    """Module -> the user's comment beside its key, or beside what it says itself."""
    settings: dict[str, str]
    """Top-level keys the user wrote -> their YAML, as written."""
    comments: list[tuple[Spot, list[str]]]
    """Every key in order, each with the comments above it; the last spot is the file's end."""
    removed: frozenset[bytes]
    """Digests of entries the user took out."""
    digests: set[bytes]
    newline: str = "\n"
    provenance: dict[str, object] = field(default_factory=dict)

    @property
    def by_planner(self) -> bool:
        """Whether the planner wrote any of it."""
        return "entries" in self.provenance

    def words(self, name: str) -> tuple[str, ...]:
        """A list in the provenance; empty where there is none, or something else by now."""
        found = self.provenance.get(name)
        return tuple(map(str, found)) if isinstance(found, list) else ()


def read_previous(path: str) -> Previous:
    """A plan file, taken apart. Raises PlanError for one that cannot be used."""
    data = read_bytes(path)
    root = parse(data, path)
    layer = read_layer(root)
    base = extend(Layer(extends=layer.extends), os.path.dirname(path))
    provenance = dict(layer.provenance or {})
    digests = unpack(provenance.get("entries"), 7)
    file = _File(data.decode("utf-8-sig").splitlines(), root)
    own: dict[str, ModuleRule] = {}
    texts: dict[tuple[str, str], str] = {}
    remarks: dict[str, str] = {}
    present: set[bytes] = set()
    for name, rule in (layer.modules or {}).items():
        said = FunctionRule(rule.level, rule.rate, rule.capture)
        digest = name_digest(name, "")
        present.add(digest)
        mine = digest + value_digest(said) not in digests
        if digest + value_digest(said, level_ours=True) in digests:
            said = said._replace(level=None)
        if mine and (remark := file.remark(name)):
            remarks[name] = remark
        functions: dict[str, FunctionRule] = {}
        for qualname, inner in rule.functions.items():
            digest = name_digest(name, qualname)
            present.add(digest)
            if digest + value_digest(inner) in digests:
                continue
            ours = digest + value_digest(inner, level_ours=True) in digests
            functions[qualname] = inner._replace(level=None) if ours else inner
            written = file.entry(name, qualname, inner)
            if written:
                texts[name, qualname] = written
        if mine or functions:
            own[name] = ModuleRule(*(said if mine else FunctionRule()), functions)
    settings = file.settings(layer, unpack(provenance.get("settings"), 4))
    user = Plan(
        modules=Layer(modules=own).over(base).modules or {}, capture=layer.capture.over(base.capture), source=path
    )
    return Previous(
        path,
        layer,
        base,
        user,
        own,
        texts,
        remarks,
        settings,
        file.comments("entries" in provenance),
        frozenset(digest for digest in digests if digest[:4] not in present),
        digests,
        "\r\n" if b"\r\n" in data else "\n",
        provenance,
    )


class _File:
    """A plan file's lines, and where in them its keys are."""

    def __init__(self, lines: list[str], root: Node) -> None:
        self.lines = lines
        self.root = root
        self.kept: set[int] = set()
        """Lines that were taken as they are."""
        self.spots: list[tuple[int, Spot]] = sorted(_spots(root), key=lambda found: found[0])
        """(index of the line, key) of every key that matters."""
        self.first: dict[Spot, int] = {}
        for line, spot in self.spots:
            self.first.setdefault(spot, line)

    def entry(self, module: str, qualname: str, rule: FunctionRule) -> str:
        """The lines of an entry; empty where they do not stand for themselves: it shares them with others, or needs an anchor elsewhere."""
        start = self.first["function", module, qualname]
        indent = _indent(self.lines[start])
        end = start + 1
        while end < len(self.lines) and (not self.lines[end].strip() or _indent(self.lines[end]) > indent):
            end += 1
        while not self.lines[end - 1].strip() or self.lines[end - 1].lstrip().startswith("#"):
            end -= 1
        written = textwrap.dedent("\n".join(self.lines[start:end]))
        if entry_of(written) != {qualname: rule}:
            return ""
        self.kept.update(range(start, end))
        return written

    def settings(self, layer: Layer, known: set[bytes]) -> dict[str, str]:
        """Top-level keys with what the user wrote for them."""
        if not isinstance(self.root, Table):
            return {}
        found = {}
        starts = sorted(place.line - 1 for place, _ in self.root.entries.values())
        for name, (place, _) in self.root.entries.items():
            value = "" if name in COMPUTED else setting_text(name, layer)
            if value in ("", "{}") or setting_digest(name, value) in known:
                continue
            start = place.line - 1
            end = next((line for line in starts if line > start), len(self.lines))
            while end > start + 1 and (not self.lines[end - 1].strip() or self.lines[end - 1].lstrip()[0] == "#"):
                end -= 1
            written = "\n".join(self.lines[start:end])
            as_written = re.sub(rf"^[\"']?{name}[\"']?\s*:[ \t]*", "", written)
            if as_written != written and value_of(f"{name}: {as_written}", name) == value:
                self.kept.update(range(start, end))
                value = as_written
            found[name] = value
        return found

    def remark(self, module: str) -> str:
        """The comments beside a module's key and what it says itself, but for the planner's."""
        start = self.first["module", module, ""]
        end = min(
            [line for line, spot in self.spots if line > start and spot != ("module", module, "")] or [len(self.lines)]
        )
        found = [self.lines[line] for line, spot in self.spots if spot == ("module", module, "") and line < end]
        words = [words[1].strip() for line in dict.fromkeys(found) if (words := re.search(r"\s#(.*)$", line))]
        return "; ".join(word for word in words if word and not _HEADING.fullmatch(word))

    def comments(self, by_planner: bool) -> list[tuple[Spot, list[str]]]:
        """Every key with the comments above it, and the end of the file with those that are left."""
        found: list[tuple[Spot, list[str]]] = []
        at = 0
        provenance = self.first.get(("top", "provenance", ""), len(self.lines))
        for start, spot in [*self.spots, (len(self.lines), ("end", "", ""))]:
            above = []
            for index in range(at, start):
                line = self.lines[index].strip()
                computed = index > provenance and self.lines[index][:1] == " "
                summary = by_planner and not self.spots[0][0] <= index and _HEAD.match(line)
                if (
                    line[:1] == "#"
                    and index not in self.kept
                    and not computed
                    and not summary
                    and line != COMPUTED_FROM
                ):
                    above.append(line)
            at = max(at, start)
            if found and found[-1][0] == spot:
                found[-1][1].extend(above)
            else:
                found.append((spot, above))
        return found


def _spots(root: Node) -> Iterator[tuple[int, Spot]]:
    """(index of the line, key) of the keys at the top, of modules and what they say, and of functions."""
    for name, (place, node) in root.entries.items() if isinstance(root, Table) else ():
        yield place.line - 1, ("top", name, "")
        if name != "modules" or not isinstance(node, Table):
            continue
        for module, (spot, entry) in node.entries.items():
            yield spot.line - 1, ("module", module, "")
            for key, (place_of_key, inner) in entry.entries.items() if isinstance(entry, Table) else ():
                yield place_of_key.line - 1, ("module", module, "")
                if key == "functions" and isinstance(inner, Table):
                    for qualname, (line_of, _) in inner.entries.items():
                        yield line_of.line - 1, ("function", module, qualname)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def entry_of(written: str) -> dict[str, FunctionRule]:
    """What the lines of an entry say by themselves; empty where they are no plan."""
    inside = textwrap.indent(written, "      ")
    try:
        modules = read_layer(parse(f"modules:\n  m:\n    functions:\n{inside}\n".encode(), "")).modules or {}
    except PlanError:
        return {}
    return dict(modules["m"].functions)


def value_of(written: str, name: str) -> str | None:
    """What the lines of a top-level setting say by themselves, as the planner writes it; None where they are no plan."""
    try:
        return setting_text(name, read_layer(parse(written.encode(), "")))
    except PlanError:
        return None


def settle(settings: Settings, previous: Previous, *, strategy: bool, rate: bool) -> Settings:
    """Settings with all that an older plan has to say. `strategy`, `rate`: whether the user asks for another now."""
    layer, said = previous.layer, previous.settings
    if previous.user.modules or previous.user.capture != SILENT:
        settings = replace(settings, overrides=previous.user)
    if "strategy" in said and not strategy and layer.strategy:
        settings = replace(settings, strategy=layer.strategy)
    if previous.by_planner and "include" not in said and not settings.include:
        # What stands there is all there was, unless it was asked for.
        settings = replace(settings, include=previous.words("include"))
    if previous.by_planner and "sampling" not in said and not rate and settings.rate == layer.rate:
        # The rate in the file is what the strategy then meant, unless it was asked for.
        asked = previous.provenance.get("rate")
        settings = replace(settings, rate=float(asked) if isinstance(asked, (int, float)) else None)
    return settings


def kept_settings(previous: Previous, settings: Settings, directory: str) -> dict[str, str]:
    """The user's top-level keys for a plan in `directory`, as written where they still say what holds."""
    layer, base = previous.layer, previous.base
    holds = {
        "strategy": layer.strategy == settings.strategy,
        "include": layer.include == settings.include,
        "exclude": set(settings.exclude) <= {*layer.exclude, *base.exclude},
        "budget": layer.budget == settings.budget,
    }
    kept = {name: value for name, value in previous.settings.items() if holds.get(name, True)}
    if "sampling" in kept and layer.rate != settings.rate and (layer.rate is not None or settings.rate != base.rate):
        kept["sampling"] = setting_text("sampling", layer._replace(rate=settings.traced))
    if layer.budget_spans is not None and settings.budget is not None and layer.budget != settings.budget:
        kept["budget"] = setting_text("budget", layer._replace(budget=settings.budget))
    here = os.path.dirname(os.path.abspath(previous.path))
    if "extends" in kept and os.path.realpath(here) != os.path.realpath(directory):
        words = [word.text for word in layer.extends]
        kept["extends"] = flow(
            word
            if word.startswith("autoscope:") or os.path.isabs(os.path.expanduser(word))
            else os.path.relpath(os.path.join(here, word), directory).replace(os.sep, "/")
            for word in words
        )
    return kept


def keep_words(document: Document, previous: Previous) -> None:
    """Give the user back the lines of his entries, and his comments."""
    for (name, qualname), written in previous.texts.items():
        entry = document.modules[name].functions.get(qualname) if name in document.modules else None
        if entry is None or not entry.by_user:
            continue
        if entry_of(written) != {qualname: entry.rule}:
            written = with_level(written, entry.rule.level or "off")
        if entry_of(written) == {qualname: entry.rule}:
            entry.text = written
    for name, module in document.modules.items():
        if module.own.by_user:
            module.own.reason = previous.remarks.get(name, "")
    waiting: list[str] = []
    for (kind, name, qualname), above in previous.comments:
        waiting += above
        at = document.modules.get(name) if kind in ("module", "function") else None
        if kind == "top" and (name in document.settings or name in COMPUTED):
            document.above.setdefault(name, []).extend(waiting)
        elif kind == "module" and at is not None:
            at.own.above.extend(waiting)
        elif kind == "function" and at is not None and qualname in at.functions:
            at.functions[qualname].above.extend(waiting)
        elif kind == "end":
            document.tail.extend(waiting)
        else:
            continue  # what it stood above is gone: it goes to what comes next
        waiting = []


def with_level(written: str, level: str) -> str:
    """The lines of an entry that has no level of the user's, with this one."""
    without = re.sub(r"\blevel:[ ]*\w+(?:,[ ]*)?", "", written, count=1)
    if "{" in without:
        return without.replace("{", f"{{level: {level}, ", 1).replace(", }", "}", 1)
    first, _, rest = without.partition("\n")
    lines = [line for line in rest.split("\n") if line.strip()]
    indent = " " * (_indent(lines[0]) if lines else 2)
    return "\n".join([first.rstrip(), f"{indent}level: {level}", *lines])


def still_removed(document: Document, previous: Previous) -> set[bytes]:
    """Digests to carry on, so that what was taken out stays out the next time."""
    written = {name_digest(name, "") for name in document.modules}
    written |= {name_digest(name, qualname) for name, entry in document.modules.items() for qualname in entry.functions}
    return {digest for digest in previous.removed if digest[:4] not in written}


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
        words.append(f"arguments {' '.join(capture.args)}" if isinstance(capture.args, tuple) else "arguments")
    if capture.returns:
        words.append("result")
    if not capture.exceptions:
        words.append("no exceptions")
    if capture.state != "none":
        words.append(f"state {capture.state}")
    return ", ".join(words)
