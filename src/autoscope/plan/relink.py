"""What `link` found functions to call, kept for the next time: after a change, only those are connected anew that it may concern.

Soundness rests on names. What an expression comes to is found step by step, and each step asks for a name that stands in the expression
(an attribute, a module's name, a method), or in what was found by the step before (the value of a name, what a function returns, a class's
bases). So where the code says something else than before, the names it says it of are *spoiled*; so is what is said in terms of spoiled names;
and what a function calls can only have changed if it mentions one. The few steps that ask for a name that stands nowhere
(`__init__` for a call of a class, `__iter__` for a loop) spoil the names of the classes that have it. Where that would be hard to tell, as
where classes inherit otherwise, everything is connected anew.

It holds only because what an expression comes to does not depend on what was asked before: see `Linker.settle`.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoscope.plan.analysis.seen import Seen, SeenFunction
from autoscope.plan.analysis.words import asked_of, done_by, words_in

if TYPE_CHECKING:
    from autoscope.plan.link import Linker

Row = tuple[
    dict[int, float], dict[str, float], tuple[str, ...], tuple[str, ...], float, str, tuple[tuple[str, float], ...]
]
"""Of a function: `callees`, `calls`, `io`, `heavy`, `work_ns`, `trivial`, and the parameters it calls with how often."""

FEW = 40
"""Spoiled names up to which they are looked for in a text; more are looked up in a set."""
MOST_CHANGED = 0.25
"""Share of modules changed from which on nothing is gained."""
MOST_STALE = 0.1
"""Share of functions connected anew from which on what was kept is replaced."""


class _Everything(Exception):
    """Everything must be connected anew."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found the last time."""

    keys: dict[str, str]
    """Module -> what names its facts in the cache."""
    counts: dict[str, int]
    """Module -> how many functions it had."""
    rows: list[Row]
    """Of all functions, in the order of `Linker.functions`."""


def dump(linker: Linker, keys: Mapping[str, str]) -> bytes:
    """What `connect` has found, before anything else is added to it. `keys`: module -> what names its facts."""
    asked: dict[int, list[tuple[str, float]]] = {}
    for expression, found in linker.asked.items():
        for index, weight in found:
            asked.setdefault(index, []).append((expression, weight))
    rows = [
        (
            function.callees,
            function.calls,
            function.io,
            function.heavy,
            function.work_ns,
            function.trivial,
            tuple(asked.get(index, ())),
        )
        for index, function in enumerate(linker.functions)
    ]
    counts = {name: len(seen.functions) for name, (_, _, seen) in linker.modules.items()}
    return marshal.dumps((dict(keys), counts, rows))


def load(blob: bytes | None) -> Kept | None:
    """The way back; None where there is nothing, or nothing of ours."""
    if blob is None:
        return None
    try:
        return Kept(*marshal.loads(blob))
    except (EOFError, ValueError, TypeError):
        return None


def changed(kept: Kept, keys: Mapping[str, str]) -> list[str] | None:
    """Modules whose facts are others than then; None where that is so much that all is done anew."""
    if kept.keys.keys() != keys.keys():
        return None  # a new module is found by whoever imported it in vain
    found = [name for name, key in keys.items() if kept.keys[name] != key]
    return found if len(found) <= max(1.0, MOST_CHANGED * len(keys)) else None


def restore(linker: Linker, kept: Kept, before: Mapping[str, Seen]) -> Sequence[int]:
    """Give functions what was kept of them; returns the indices of those that must be connected anew.

    `before`: what was seen then of the modules that changed.
    """
    try:
        spoiled = _Spoiled(linker, before).names
    except _Everything:
        return linker.everything()
    moved = list(_moved(linker, kept, before))
    left: list[int] = []
    at = 0
    for name, (_, _, seen) in linker.modules.items():
        start, end = at, at + kept.counts[name]
        at = end
        first = linker.first[name]
        if name in before:
            linker.complete(name)
            left += range(first, first + len(seen.functions))
            continue
        concerned = mentions(seen.inner_words, spoiled)
        if concerned:
            linker.complete(name)
        for index in range(start, end):
            here = first + index - start
            if concerned and not spoiled.isdisjoint(words_in(done_by(linker.seen[here]))):
                left.append(here)
                continue
            callees, calls, io, heavy, work, trivial, asked = kept.rows[index]
            function = linker.functions[here]
            function.callees = {moved[callee]: weight for callee, weight in callees.items()}
            function.calls = calls
            function.io = io
            function.heavy = heavy
            function.work_ns = work
            function.trivial = trivial
            for expression, weight in asked:
                linker.asked.setdefault(expression, []).append((here, weight))
    return left


def mentions(words: str, names: set[str]) -> bool:
    """Whether one of the names is among the words, as `words_of` writes them."""
    if len(names) > FEW:
        return not names.isdisjoint(words.split("\n"))
    return any(f"\n{name}\n" in words for name in names)


def _moved(linker: Linker, kept: Kept, before: Mapping[str, Seen]) -> Iterator[int]:
    """By a function's index then, its index now. Of those that are gone any: nobody who called them keeps his row."""
    for name, (_, _, seen) in linker.modules.items():
        first = linker.first[name]
        if name not in before:
            yield from range(first, first + kept.counts[name])
            continue
        places: dict[str, list[int]] = {}
        for place, function in enumerate(seen.functions):
            places.setdefault(_name(function), []).append(first + place)
        for function in before[name].functions:
            same = places.get(_name(function))
            yield same.pop(0) if same else -1


def _name(function: SeenFunction) -> str:
    """Lambdas alone are known by their lines."""
    return f"{function.qualname}@{function.line}" if function.qualname[-1] == ">" else function.qualname


class _Spoiled:
    """The names of which the code now says something else."""

    def __init__(self, linker: Linker, before: Mapping[str, Seen]) -> None:
        self.linker = linker
        self.names: set[str] = set()
        texts = [text for _, _, seen in linker.modules.values() for text in (seen.outer_words, seen.inner_words)]
        self.starts = {word for text in texts if "*" in text for word in text.split("\n") if word[-1:] == "*"}
        """What names begin with of which any may be meant: `visit_*`."""
        for name, was in before.items():
            self.compare(name, was, linker.modules[name][2])
        count = -1
        while count != len(self.names):
            count = len(self.names)
            self.spread()

    def add(self, name: str, owner: str = "") -> None:
        """A name, said in a class or not, that says something else."""
        last = name.rpartition(".")[2]
        self.names |= words_in((last,))
        self.names.update(start for start in self.starts if last.startswith(start[:-1]))
        if owner and last[:2] == "__" and last[-2:] == "__":
            self.add_families(owner, last)

    def add_families(self, owner: str, method: str) -> None:
        """What nobody need mention to have it called: by those who mention a class that has it, or one above or below."""
        linker = self.linker
        every = [owner]
        if owner in linker.classes:
            for kind in linker.order(owner):
                every += (kind, *linker.below(kind))
        if linker.by_name.get(method) and linker.may_fit_protocols(method):
            every += [full for full, methods in linker.methods.items() if method in methods]
        self.names |= words_in(full.rpartition(".")[2] for full in every)

    def compare(self, module: str, was: Seen, now: Seen) -> None:
        """What one module says otherwise."""
        if was.stars != now.stars:
            raise _Everything
        for before, after in ((was.names, now.names), (was.tables, now.tables)):
            for name in _differing(before, after):
                self.add(name)
        self.compare_classes(module, was, now)
        functions = _said_of_functions(was.functions), _said_of_functions(now.functions)
        if not _same_order(*functions):
            raise _Everything
        for name in _differing(*functions):
            owner = next(iter(functions[0].get(name) or functions[1][name]))[0]
            self.add(name, f"{module}.{owner}" if owner else "")

    def compare_classes(self, module: str, was: Seen, now: Seen) -> None:
        before = {kind.qualname: kind for kind in was.classes}
        after = {kind.qualname: kind for kind in now.classes}
        if not _same_order(before, after):
            raise _Everything
        for name in before.keys() | after.keys():
            old, new = before.get(name), after.get(name)
            if old is None or new is None:
                self.add(name)
                if old is not None and not all(self.is_others(base) for base in old.bases):
                    raise _Everything  # which classes were above it, nobody knows any more
            elif old.bases != new.bases:
                raise _Everything
            for attribute in _differing(old.attributes if old else {}, new.attributes if new else {}):
                self.add(attribute, f"{module}.{name}")

    def is_others(self, base: str) -> bool:
        """Whether a class's base is somebody else's."""
        entity = self.linker.resolve(base)
        return entity is not None and entity[0] == "x"

    def spread(self) -> None:
        """What is said in terms of spoiled names."""
        for module, (_, _, seen) in self.linker.modules.items():
            if not mentions(seen.outer_words, self.names):
                continue
            for name, expression in seen.names.items():
                self.follow((expression,), name)
            for name, references in seen.tables.items():
                self.follow(references, name)
            for kind in seen.classes:
                if not self.names.isdisjoint(words_in(kind.bases)):
                    raise _Everything
                for name, expression in kind.attributes.items():
                    self.follow((expression,), name, f"{module}.{kind.qualname}")
            for function in seen.functions:
                owner = f"{module}.{function.owner}" if function.owner else ""
                self.follow(asked_of(function), function.qualname, owner)

    def follow(self, expressions: Iterable[str], name: str, owner: str = "") -> None:
        if not self.names.isdisjoint(words_in(expressions)):
            self.add(name, owner)


def _said_of_functions(functions: tuple[SeenFunction, ...]) -> dict[str, list[tuple[Any, ...]]]:
    """Name -> of each function of that name, all that its callers' rows depend on."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for function in functions:
        nothing = function.trivial if function.trivial in ("stub", "empty") else ""
        said = (function.owner, function.returns, function.decorators, nothing)
        found.setdefault(_name(function), []).append(said)
    return found


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]


def _same_order(before: Iterable[str], after: Iterable[str]) -> bool:
    """Whether what is in both comes in the same order: of several that may be meant, the first come first."""
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    return [name for name in old if name in new] == [name for name in new if name in old]
