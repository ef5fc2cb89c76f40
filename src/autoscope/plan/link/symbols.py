"""The symbol table: the modules, classes and functions there are, and what the linker knows of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from autoscope.plan.analysis.seen import Seen, SeenClass, SeenFunction, whole
from autoscope.plan.facts import Function

Entity = tuple[str, Any] | None
"""What an expression is. Kinds: `m` project module, `c` project class, `i` instance of one, `f` project function, `s` super() of a class,
`x` a dotted expression of somebody else's, `[` and `{` several of an entity, `b` a method of those, `e` the entering of one as a context,
`w` those of a class's attributes whose names begin so; None: unknown."""
PROPERTY = frozenset(("property", "cached_property", "setter", "deleter", "hybrid_property"))


class Symbols(ABC):
    """The linker's state, and what is defined where."""

    def __init__(
        self, root: str, modules: Mapping[str, tuple[str, str, Seen]], scripts: Mapping[str, str] | None = None
    ) -> None:
        self.root = root
        self.modules = dict(sorted(modules.items()))
        self.scripts = scripts or {}
        """Console scripts: function's dotted name -> the script's name."""
        self.functions: list[Function] = []
        self.seen: list[SeenFunction] = []
        self.defined: dict[str, Entity] = {}
        """Dotted name -> module, class or function of the project."""
        self.classes: dict[str, tuple[str, SeenClass]] = {}
        self.methods: dict[str, dict[str, int]] = {}
        """Class -> its own methods."""
        self.nested: dict[str, dict[str, Entity]] = {}
        """Class -> the classes in it."""
        self.children: dict[str, list[str]] = {}
        self.by_name: dict[str, list[int]] = {}
        """Method name -> the methods of that name."""
        self.properties: set[str] = set()
        self.memo: dict[str, Entity] = {}
        self.circles = 0
        """How often something was asked while it was being worked out."""
        self.inside = False
        """Whether something is being worked out."""
        self.depth = 0
        """How many things are, for each other."""
        self.passing: dict[Any, Entity] = {}
        """What was found on the way to what is being worked out, and depends on where the way began, as all that leads in a circle does."""
        self.settled: dict[Any, Entity] = {}
        """The same for what was asked first: it holds, but only where it is asked first again."""
        self.tests: set[str] = set()
        """Modules."""
        self.alembic: set[str] = set()
        """Modules that change a database's tables with Alembic."""
        self.found: dict[tuple[str, str, bool], Entity] = {}
        self.orders: dict[str, tuple[str, ...]] = {}
        self.lower: dict[str, list[str]] = {}
        self.overridden: dict[tuple[str, str], list[int]] = {}
        self.alike: dict[str, list[int]] = {}
        self.outside: dict[str, list[str]] = {}
        self.wrappers: dict[int, list[int]] = {}
        """Decorated function -> what its decorators of the project put in its place, which runs, too, when it is called."""
        self.asked: dict[str, list[tuple[int, float]]] = {}
        """Parameter, as `calls` has it -> (function that calls it, times)."""
        self.tables: dict[str, tuple[str, ...]] = {}
        """Full name of a collection -> references to functions in it."""
        self.table_names: set[str] = set()
        self.rows: dict[str, list[int]] = {}
        self.made_by: dict[str, tuple[list[int], str]] = {}
        self.prices: dict[str, tuple[str, float]] = {}
        """What `catalogue` says of somebody else's function: kind of I/O, work."""
        self.first: dict[str, int] = {}
        """Module -> index of its first function."""

    @abstractmethod
    def resolve(self, expression: str) -> Entity:
        """What an expression is; None where that is unknown."""

    def define(self) -> None:
        defined = self.defined
        for name in self.modules:
            package, _, last = name.rpartition(".")
            if package in self.modules and self.modules[package][2].names.get(last, name) != name:
                continue  # `from .session import session` in a package hides its module of that name
            defined[name] = ("m", name)
        for name, (_, _, seen) in self.modules.items():
            self.first[name] = len(self.functions)
            for table, references in seen.tables.items():
                self.tables[f"{name}.{table}"] = references
                self.table_names.add(table.rpartition(".")[2])
            marks: dict[str, str] = {}
            for kind in seen.classes:
                full = f"{name}.{kind.qualname}"
                self.classes[full] = (name, kind)
                self.methods[full] = {}
                entity = defined[full] = ("c", full)
                owner, _, last = full.rpartition(".")
                if owner in self.methods:
                    self.nested.setdefault(owner, {})[last] = entity
                if kind.mark:
                    marks[kind.qualname] = kind.mark
            self.seen += seen.functions
            for function in seen.functions:
                index = len(self.functions)
                full = f"{name}.{function.qualname}"
                tails = [word.rpartition(".")[2] for word, _ in function.decorators] if function.decorators else ()
                facts = self.function(name, function, tails, marks)
                self.functions.append(facts)
                if full[-1] == ">":
                    defined[f"{full}@{function.line}"] = ("f", index)
                    continue
                if tails and (facts.overload or "setter" in tails or "deleter" in tails):
                    continue
                defined[full] = ("f", index)
                if function.owner:
                    owner, _, last = full.rpartition(".")
                    self.methods[owner][last] = index
                    self.by_name.setdefault(last, []).append(index)
                    if facts.is_property:
                        self.properties.add(last)

    def function(self, module: str, seen: SeenFunction, tails: Sequence[str], marks: Mapping[str, str]) -> Function:
        mark = seen.mark
        if not mark and marks:
            name = seen.qualname
            while name and not mark:
                name = name.rpartition(".")[0]
                mark = marks.get(name, "")
        return Function(
            module,
            seen.qualname,
            seen.line,
            seen.end_line,
            seen.kind,
            seen.parameters,
            (),
            seen.statements,
            seen.cyclomatic,
            seen.cognitive,
            seen.loop_depth,
            {},
            (),
            seen.raises,
            seen.catches,
            seen.swallows,
            seen.changes,
            seen.trivial,
            bool(tails) and not PROPERTY.isdisjoint(tails),
            "abstractmethod" in tails,
            seen.nested,
            "overload" in tails,
            mark,
        )

    def everything(self) -> range:
        """The indices of all functions, what they call and read included."""
        for name in self.modules:
            self.complete(name)
        return range(len(self.functions))

    def complete(self, name: str) -> None:
        """See to it that what a module's functions call and read is there."""
        path, digest, seen = self.modules[name]
        if seen.inner:
            seen = whole(seen)
            self.modules[name] = path, digest, seen
            self.seen[self.first[name] : self.first[name] + len(seen.functions)] = seen.functions
