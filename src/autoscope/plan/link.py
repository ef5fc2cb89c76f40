"""All files together: what each saw alone becomes `Facts`.

Expressions are resolved through imports, re-exports, variables, attributes, return values and base classes; then follow the call graph,
roles, reachability and frequencies. Every distinct expression is resolved once.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from autoscope.plan import catalogue
from autoscope.plan.analysis import DEEP
from autoscope.plan.analysis.block_frequency import ITERATIONS
from autoscope.plan.analysis.seen import Seen, SeenClass, SeenFunction, whole
from autoscope.plan.facts import ENTRIES, Facts, Function, Module, is_test

NODE_NS = 4.0
"""CPU time of one part of an expression or statement once it is warm, on the machine of the shipped cost table."""
CALL_NS = 30.0
"""Of calling a Python function."""
MAKE_NS = 120.0
"""Of making the object that an `__init__` is given."""
HEAVY_NS = 1e7
"""Of a call outside the project from which on it is worth watching for that alone."""
RECURSION = 5.0
"""How often a recursive function is taken to call itself for one call from outside."""
MOST_CALLS = 1e9
MOST_OVERRIDING = 20
"""Methods of subclasses that a call of their base's is taken to reach."""
MOST_SHARED = 100
"""Functions that a call of one of a table's, or of those whose names begin alike, is taken to reach."""
MOST_CANDIDATES = 3
"""Classes that may have a method of one name for a call on an unknown object to be taken for a call of theirs."""

Entity = tuple[str, Any] | None
"""What an expression is. Kinds: `m` project module, `c` project class, `i` instance of one, `f` project function, `s` super() of a class,
`x` a dotted expression of somebody else's, `[` and `{` several of an entity, `b` a method of those, `e` the entering of one as a context,
`w` those of a class's attributes whose names begin so; None: unknown."""

_MISSING: Any = object()
_BUSY: Any = object()
_COMMON = frozenset(
    name
    for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset, complex, Exception)
    for name in dir(kind)
) | frozenset(
    "open close read write readline flush seek acquire release start run join wait put send next name value".split()
)
"""Method names that say nothing about whose they are."""


class Linker:
    """One code base: `modules` maps module names to (path, content digest, what was seen)."""

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
        self.callees: list[tuple[int, ...]] = []
        """Of each function, once all are known."""

    def link(
        self, reconnect: Callable[[], Sequence[int]] | None = None, keep: Callable[[int], None] | None = None
    ) -> Facts:
        """The facts.

        `reconnect` gives functions what is known of them and returns the indices of the rest (None: all are connected); `keep` is told how
        many that were, as soon as that is done.
        """
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, DEEP))  # for names that lead to names, a thousand times over
        try:
            self.define()
            self.inherit()
            self.decorate()
            left = self.everything() if reconnect is None else reconnect()
            self.connect(left)
            if keep is not None:
                keep(len(left))
            self.hand_over()
            self.give_roles()
            modules = self.describe()
            self.reach(modules)
        finally:
            sys.setrecursionlimit(usual)
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.modules):
            digest.update(f"{name} {self.modules[name][1]}\n".encode())
        return Facts(self.root, self.functions, modules, [], digest.hexdigest())

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

    # What there is.

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
            bool(tails) and not _PROPERTY.isdisjoint(tails),
            "abstractmethod" in tails,
            seen.nested,
            "overload" in tails,
            mark,
        )

    def inherit(self) -> None:
        for full, (_, kind) in self.classes.items():
            for base in kind.bases:
                entity = self.resolve(base)
                if entity is not None and entity[0] == "c":
                    self.children.setdefault(entity[1], []).append(full)
        # All at once, and first: of classes that inherit from each other, the first to be asked has another order than the rest.
        for full in self.classes:
            self.order(full)
        for full in self.classes:
            self.outside_bases(full)

    def order(self, full: str) -> tuple[str, ...]:
        """A class and the project's classes it inherits from, in the order Python looks attributes up in."""
        found = self.orders.get(full)
        if found is not None:
            return found
        self.orders[full] = (full,)  # asked again on the way, it is a circle
        lines = []
        direct = []
        for base in self.classes[full][1].bases:
            entity = self.resolve(base)
            if entity is not None and entity[0] == "c" and entity[1] != full:
                direct.append(entity[1])
                lines.append(list(self.order(entity[1])))
        if len(lines) == 1:
            found = (full, *lines[0])
        elif lines:
            found = (full, *merge([*lines, direct]))
        else:
            found = (full,)
        self.orders[full] = found
        return found

    def below(self, full: str) -> list[str]:
        """The project's classes that inherit from a class, itself not among them."""
        found = self.lower.get(full)
        if found is None:
            every: dict[str, None] = {}
            work = list(self.children.get(full, ()))
            while work:
                kind = work.pop(0)
                if kind not in every and kind != full:
                    every[kind] = None
                    work += self.children.get(kind, ())
            found = self.lower[full] = list(every)
        return found

    # What an expression is.

    def resolve(self, expression: str) -> Entity:
        found = self.memo.get(expression, _MISSING)
        if found is _MISSING:
            return self.settle(self.memo, expression, self.work_out)
        if found is _BUSY:
            self.circles += 1
            return None
        return found  # type: ignore[no-any-return]

    def settle(self, memo: dict[Any, Entity], key: Any, work_out: Callable[[Any], Entity]) -> Entity:
        """Work something out. What came of it depends on nothing that was asked before, so `relink` may ask for some and not for others.

        That is why what leads in a circle is no more than passed on to what asked for it: beginning elsewhere, one goes round another way.
        """
        inside = self.inside
        found = (self.passing if inside else self.settled).get(key, _MISSING)
        if found is not _MISSING:
            self.circles += 1
            return found  # type: ignore[no-any-return]
        memo[key] = _BUSY
        circles = self.circles
        self.inside = True
        found = work_out(key)
        self.inside = inside
        if circles == self.circles:
            memo[key] = found
            return found
        del memo[key]
        if inside:
            self.passing[key] = found
        else:
            self.passing.clear()
            self.settled[key] = found
        return found

    def work_out(self, expression: str) -> Entity:
        known = self.defined.get(expression)
        if known is not None:
            return known
        if not expression:
            return None
        first = expression[0]
        if first == "?":
            return None
        if first == "[" or first == "{":
            inner = self.resolve(expression[2:])
            return (first, inner)
        last = expression[-1]
        if last == ")":
            return self.called(self.resolve(expression[:-2]))
        if last == "]":
            return self.element(self.resolve(expression[:-2]))
        head, dot, tail = expression.rpartition(".")
        if not dot:
            return ("x", expression)
        if head in self.modules:
            return self.of_module(head, tail)
        return self.attribute(self.resolve(head), tail)

    def called(self, what: Entity) -> Entity:
        """What calling it gives."""
        if what is None:
            return None
        kind, value = what
        if kind == "c":
            return ("i", value)
        if kind == "x":
            return ("x", value + "()")
        if kind == "f":
            return self.result(value)
        if kind == "i":
            method = self.member(value, "__call__")
            return self.result(method[1]) if method is not None and method[0] == "f" else None
        if kind == "b":
            container, method_name = value
            if container[0] == "{":
                if method_name in ("get", "pop", "setdefault"):
                    return container[1]  # type: ignore[no-any-return]
                return ("[", container[1]) if method_name == "values" else None
            return container[1] if method_name in ("pop", "popleft") else None
        if kind == "e":
            return value  # type: ignore[no-any-return]
        if kind == "w":
            methods = self.beginning(*value)
            return self.result(methods[0]) if methods else None
        return what if kind == "s" else None

    def result(self, index: int) -> Entity:
        returns = self.seen[index].returns
        return self.resolve(returns) if returns else None

    def element(self, what: Entity) -> Entity:
        if what is None:
            return None
        kind, value = what
        if kind in "[{":
            return value  # type: ignore[no-any-return]
        if kind == "i":
            for name in ("__getitem__", "__iter__"):
                method = self.member(value, name)
                if method is not None and method[0] == "f":
                    found = self.result(method[1])
                    if name == "__getitem__" or found is None:
                        return found
                    return self.called(self.attribute(found, "__next__")) if found[0] == "i" else self.element(found)
        if kind == "c":
            return what  # a generic class with its parameters
        if kind != "x" or (value.startswith("builtins.") and not value.startswith("builtins.open")):
            return None
        return ("x", value + "[]")

    def attribute(self, what: Entity, name: str) -> Entity:
        if what is None:
            return None
        kind, value = what
        if kind == "x":
            return ("x", f"{value}.{name}") if value != "builtins.object()" else None
        if kind == "m":
            return self.of_module(value, name)
        if kind == "i":
            if name[-1] == "*":
                return ("w", (value, name[:-1]))
            return ("c", value) if name == "__class__" else self.member(value, name, instance=True)
        if kind == "c":
            return ("s", value) if name == "__super__" else self.member(value, name)
        if kind == "s":
            return self.inherited(value, name)
        if kind in "[{":
            if name in ("__enter__", "__aenter__"):
                return ("e", value)
            return ("b", (what, name))
        if kind == "f" and name in _SENDS and self.seen[value].decorators:
            return ("x", f"{self.canonical(self.seen[value].decorators[0][0])}().{name}")
        return None

    def canonical(self, expression: str) -> str:
        """An expression as `catalogue` knows it: somebody else's name where it comes to one, else as it was."""
        entity = self.resolve(expression)
        if entity is None:
            return expression if expression.startswith("?") else f"?.{expression.rpartition('.')[2]}"
        return str(entity[1]) if entity[0] == "x" else expression

    def of_module(self, module: str, name: str) -> Entity:
        seen = self.modules[module][2]
        expression = seen.names.get(name)
        if expression is not None and expression != f"{module}.{name}":
            return self.resolve(expression)
        for star in seen.stars:
            if star in self.modules:
                found = self.resolve(f"{star}.{name}")
                if found is not None:
                    return found
            elif star and len(seen.stars) == 1:
                return ("x", f"{star}.{name}")
        return None

    def member(self, full: str, name: str, instance: bool = False) -> Entity:
        """An attribute of a project class or of an instance."""
        key = (full, name, instance)
        found = self.found.get(key, _MISSING)
        if found is _MISSING:
            return self.settle(self.found, key, self.look_up)
        if found is _BUSY:
            self.circles += 1
            return None
        return found  # type: ignore[no-any-return]

    def look_up(self, key: tuple[str, str, bool]) -> Entity:
        full, name, instance = key
        found = self.of_classes(self.order(full), name, instance)
        return found if found is not None else self.of_outside(full, name, instance)

    def inherited(self, full: str, name: str) -> Entity:
        """What `super()` in a class's method gives."""
        found = self.of_classes(self.order(full)[1:], name, True)
        return found if found is not None else self.of_outside(full, name, True)

    def of_classes(self, order: Iterable[str], name: str, instance: bool) -> Entity:
        for full in order:
            own = self.methods[full].get(name)
            if own is not None:
                return self.result(own) if instance and self.functions[own].is_property else ("f", own)
            expression = self.classes[full][1].attributes.get(name)
            if expression is not None:
                found = self.resolve(expression)
                if found is not None:
                    return found
            elif full in self.nested and name in self.nested[full]:
                return self.nested[full][name]
        return None

    def of_outside(self, full: str, name: str, instance: bool) -> Entity:
        for base in self.outside_bases(full):
            if base not in _BARE:
                return ("x", f"{base}{'()' if instance else ''}.{name}")
        return None

    def beginning(self, full: str, start: str) -> list[int]:
        """The methods of a class, and of those below it, whose names begin so."""
        found: dict[int, None] = {}
        for kind in (*self.order(full), *self.below(full)):
            for name, index in self.methods[kind].items():
                if name.startswith(start) and len(name) > len(start):
                    found[index] = None
        return list(found)

    # Who calls whom.

    def connect(self, indices: Iterable[int]) -> None:
        resolve, memo = self.resolve, self.memo
        plain = self.alone()
        implied = {name for name in self.by_name if name[:2] == "__"} | self.properties | set(_INSTEAD)
        for index in indices:
            function, seen = self.functions[index], self.seen[index]
            callees: dict[int, float] = {}
            calls: dict[str, float] = {}
            for expression, weight in seen.calls.items():
                if expression.startswith("builtins."):
                    calls[expression] = calls.get(expression, 0.0) + weight
                    continue
                if expression[-1] == ")" and expression[-2] != "(":
                    self.asked.setdefault(expression, []).append((index, weight))
                    continue
                entity = memo.get(expression, _BUSY)
                if entity is _BUSY:
                    entity = resolve(expression)
                if entity is None:
                    self.unknown(expression, weight, callees, calls)
                    continue
                kind, value = entity
                if kind == "x":
                    calls[value] = calls.get(value, 0.0) + weight
                elif kind == "f":
                    if value in plain and expression[-1] not in ")]":
                        callees[value] = callees.get(value, 0.0) + weight
                    else:
                        self.add(callees, value, weight, expression)
                elif kind == "c":
                    self.read(expression, weight, callees)
                    self.construct(value, weight, callees, calls)
                elif kind == "i":
                    self.read(expression, weight, callees)
                    method = self.member(value, "__call__")
                    if method is not None and method[0] == "f":
                        self.add(callees, method[1], weight, expression, value)
                elif kind == "w":
                    self.share(callees, self.beginning(*value)[:MOST_SHARED], weight)
                elif kind == "b":
                    word = f"builtins.list().{value[1]}"
                    calls[word] = calls.get(word, 0.0) + weight
            for expression, weight in seen.loads.items():
                head, _, tail = expression.rpartition(".")
                if tail in implied:
                    entity = memo.get(head, _BUSY)
                    if entity is _BUSY:
                        entity = resolve(head)
                    if entity is not None and entity[0] == "i":
                        self.imply(callees, entity[1], tail, weight)
            function.calls = calls
            function.callees = callees
            self.measure(function, seen)

    def alone(self) -> set[int]:
        """Functions that are meant wherever they are named: no method of another class can be, and nothing is put in their place."""
        found = {index for index, seen in enumerate(self.seen) if not seen.owner}
        found.update(
            same[0] for same in self.by_name.values() if len(same) == 1 and self.seen[same[0]].trivial != "empty"
        )
        return found.difference(self.wrappers)

    def read(self, expression: str, weight: float, callees: dict[int, float]) -> None:
        """A property whose value is called at once."""
        head, _, tail = expression.rpartition(".")
        if tail in self.properties:
            owner = self.resolve(head)
            method = self.member(owner[1], tail) if owner is not None and owner[0] == "i" else None
            if method is not None and method[0] == "f" and self.functions[method[1]].is_property:
                self.count(callees, method[1], weight)

    def decorate(self) -> None:
        """Decorators by their full names, and what those of the project's own make."""
        for index, seen in enumerate(self.seen):
            words = seen.decorators
            if not words:
                continue
            function = self.functions[index]
            function.decorators = tuple([self.canonical(word) if word else "" for word, _ in words])
            found: dict[int, None] = {}
            for word, _ in words:
                entity = self.resolve(word) if word else None
                made = self.made(entity, function.is_property) if entity is not None and entity[0] in "fc" else None
                if made is not None and made != index:
                    found[made] = None
            if found:
                self.wrappers[index] = list(found)

    def made(self, decorator: Entity, is_property: bool) -> int | None:
        """The function that a decorator, or what a factory of decorators makes, puts in the place of what it is given."""
        for _ in range(3):
            if decorator is None:
                return None
            kind, value = decorator
            if kind in "ci":
                method = self.member(value, "__get__" if is_property else "__call__")
                return method[1] if method is not None and method[0] == "f" else None
            made = self.result(value) if kind == "f" else None
            if made is None or made[0] not in "fi":
                return None
            if made[0] == "f":
                inner = self.seen[made[1]].qualname.rpartition(".<locals>.")[0]
                if inner != self.seen[value].qualname:
                    return None  # what it is given, or something else's
                again = self.result(made[1])
                if again is None or again[0] not in "fi" or again == made:
                    return made[1]  # type: ignore[no-any-return]
                if (
                    again[0] == "f"
                    and self.seen[again[1]].qualname.rpartition(".<locals>.")[0] != self.seen[made[1]].qualname
                ):
                    return made[1]  # type: ignore[no-any-return]
            decorator = made
        return None

    def imply(self, callees: dict[int, float], full: str, name: str, weight: float) -> None:
        """A property read, or what an operator has a class do."""
        method = self.member(full, name)
        if method is None and name in _INSTEAD:
            method = self.member(full, _INSTEAD[name])
        if method is not None and method[0] == "f":
            self.add(callees, method[1], weight, "", full)
            if name == "__iter__":
                made = self.result(method[1])
                step = self.member(made[1], "__next__") if made is not None and made[0] == "i" else None
                if step is not None and step[0] == "f":
                    self.add(callees, step[1], weight * ITERATIONS, "", made[1] if made is not None else "")

    def unknown(self, expression: str, weight: float, callees: dict[int, float], calls: dict[str, float]) -> None:
        """A call on an object nobody knows: of the few methods there are of that name, or of none of ours."""
        name = expression.rpartition(".")[2]
        if name in self.properties and expression[0] != "?":
            self.read(expression, weight, callees)
        candidates = self.in_table(expression) if expression[-1] in ")]" else None
        if not candidates:
            candidates = self.alike.get(name)
            if candidates is None:
                candidates = self.alike[name] = self.candidates(name)
        if candidates:
            self.share(callees, candidates, weight)
        else:
            word = f"?.{name}"
            calls[word] = calls.get(word, 0.0) + weight

    def candidates(self, name: str) -> list[int]:
        """The methods that a call of this name, on who knows what, may mean: those of a few families of classes, or none."""
        same = self.by_name.get(name, ()) if self.may_fit_protocols(name) else ()
        if not same:
            return []
        families = {self.order(_owner(self.functions[index]))[-1] for index in same}
        return list(same[:MOST_OVERRIDING]) if len(families) <= MOST_CANDIDATES else []

    def may_fit_protocols(self, name: str) -> bool:
        """Whether a method of this name may be meant by a call on who knows what."""
        return name not in _COMMON

    def share(self, callees: dict[int, float], functions: list[int], weight: float) -> None:
        """A call of one of several functions, nobody knows which."""
        for index in functions:
            self.count(callees, index, weight / len(functions))

    def count(self, callees: dict[int, float], index: int, weight: float) -> None:
        callees[index] = callees.get(index, 0.0) + weight
        if index in self.wrappers:
            for wrapper in self.wrappers[index]:
                callees[wrapper] = callees.get(wrapper, 0.0) + weight

    def add(self, callees: dict[int, float], index: int, weight: float, expression: str, full: str = "") -> None:
        """A call of a function. Of a method that classes below the object's have too, any of them may be meant."""
        if expression and (expression[-1] == "]" or expression[-1] == ")"):
            functions = self.in_table(expression)
            if len(functions) > 1:
                self.share(callees, functions, weight)
                return
        if self.seen[index].owner:
            function = self.functions[index]
            if not full:
                head = expression.rpartition(".")[0]
                owner = self.resolve(head) if head else None
                full = owner[1] if owner is not None and owner[0] == "i" else ""
            if full in self.children:
                others = self.overriding(full, function.qualname.rpartition(".")[2])
                if others:
                    own = not function.is_abstract and function.trivial not in ("stub", "empty")
                    self.share(callees, [index, *others] if own else others, weight)
                    return
            elif function.trivial == "empty" and "typing.Protocol" in self.outside_bases(full or _owner(function)):
                # What fits a protocol need not inherit from it.
                others = self.candidates(function.qualname.rpartition(".")[2])
                others = [other for other in others if other != index]
                if others:
                    self.share(callees, others, weight)
                    return
        self.count(callees, index, weight)

    def overriding(self, full: str, name: str) -> list[int]:
        """The methods of this name in the classes below a class; of a great many, the first."""
        if (name[:2] == "__" and name[-2:] != "__") or len(self.by_name.get(name, ())) < 2:
            return []
        key = (full, name)
        found = self.overridden.get(key)
        if found is None:
            methods = self.methods
            found = [methods[kind][name] for kind in self.below(full) if name in methods[kind]][:MOST_OVERRIDING]
            self.overridden[key] = found
        return found

    def in_table(self, expression: str) -> list[int]:
        """The functions in a table, where calling this expression calls one of them: `shop.HANDLERS[]`, `shop.HANDLERS.get()`."""
        known = self.rows.get(expression)
        if known is None:
            known = self.rows[expression] = self.find_rows(expression)
        return known

    def find_rows(self, expression: str) -> list[int]:
        while expression:
            for end in ("[]", ".get()", ".pop()", ".values()"):
                if expression.endswith(end):
                    expression = expression[: -len(end)]
                    break
            else:
                break
        references = self.tables.get(expression)
        if references is None:
            head, _, name = expression.rpartition(".")
            owner = self.resolve(head) if head and name in self.table_names else None
            for full in self.order(owner[1]) if owner is not None and owner[0] in "ic" else ():
                references = references or self.tables.get(f"{full}.{name}")
            if owner is not None and owner[0] == "m":
                references = self.tables.get(f"{owner[1]}.{name}")
        found: dict[int, None] = {}
        for reference in references or ():
            entity = self.resolve(reference)
            if entity is not None and entity[0] == "c":
                entity = self.member(entity[1], "__init__")
            if entity is not None and entity[0] == "f":
                found[entity[1]] = None
        return list(found)[:MOST_SHARED]

    def construct(self, full: str, weight: float, callees: dict[int, float], calls: dict[str, float]) -> None:
        """A call of a class."""
        found = self.made_by.get(full)
        if found is None:
            found = self.made_by[full] = self.makers(full)
        for index in found[0]:
            self.count(callees, index, weight)
        word = found[1]
        if word:
            calls[word] = calls.get(word, 0.0) + weight

    def makers(self, full: str) -> tuple[list[int], str]:
        """The methods that make an instance of a class; and what somebody else's does, empty where nothing does."""
        own = []
        word = ""
        for name in ("__new__", "__init__", "__post_init__"):
            method = self.member(full, name)
            if method is not None and method[0] == "f":
                own.append(method[1])
            elif method is not None and method[0] == "x" and name == "__init__":
                word = str(method[1]).rpartition(".")[0]
        return own, word if own or word else "builtins.object"

    def measure(self, function: Function, seen: SeenFunction) -> None:
        """What it does itself: kinds of I/O, and work."""
        kinds: dict[str, None] = {}
        work = CALL_NS + seen.nodes * NODE_NS
        if function.name == "__init__":
            work += MAKE_NS
        prices = self.prices
        for word, weight in function.calls.items():
            found = prices.get(word)
            if found is None:
                found = prices[word] = catalogue.io_kind(word), self.price(word)
            if found[0]:
                kinds[found[0]] = None
            if found[1] >= HEAVY_NS:
                function.heavy += (word,)
            work += weight * found[1]
        if kinds:
            function.io = tuple(sorted(kinds))
        function.work_ns = work
        if function.trivial in ("accessor", "constructor") and function.callees:
            function.trivial = "delegation"  # to a property, or to what an operator calls
        if function.trivial == "delegation" and (kinds or function.heavy):
            function.trivial = ""

    def price(self, word: str) -> float:
        """The work of a call outside the project; of an unknown object's method that classes of the project have too, the least: it may be theirs."""
        tail = word.removeprefix("?.")
        return catalogue.work_ns("?." if tail != word and tail in self.by_name else word)

    # What functions are for.

    def hand_over(self) -> None:
        """Functions given to calls: what for, and that they will be called."""
        self.given: dict[int, list[catalogue.Role]] = {}
        called: dict[str, dict[int, float]] = {}
        for module, (_, _, seen) in self.modules.items():
            start = self.first[module]
            for callee, place, text, reference, owner, weight in seen.handed:
                entity = self.resolve(reference)
                if entity is None or entity[0] != "f":
                    continue
                target = entity[1]
                what = self.resolve(callee)
                outside = what is None or what[0] == "x"
                name = self.canonical(callee) if outside else ""
                role = catalogue.role_of_registration(name, place, text) if outside else None
                if role is None and outside and what is not None and not name.startswith(_PASSIVE):
                    role = catalogue.Role("callback", f"handed to {name}")
                if role is not None:
                    self.given.setdefault(target, []).append(role)
                if not outside:
                    parameter = self.parameter(what, place)
                    if parameter in self.asked:
                        shares = called.setdefault(parameter, {})
                        shares[target] = shares.get(target, 0.0) + weight
                        continue
                if owner >= 0 and (role is None or role.kind == "callback"):
                    times = ITERATIONS if name in _MANY or place == "key" else 1.0
                    self.count(self.functions[start + owner].callees, target, weight * times)
        for parameter, shares in called.items():
            whole = sum(shares.values()) or 1.0
            for index, weight in self.asked[parameter]:
                for target, share in shares.items():
                    self.count(self.functions[index].callees, target, weight * share / whole)

    def parameter(self, what: Entity, place: int | str) -> str:
        """The parameter that takes an argument, as `calls` has it; empty where that cannot be told."""
        if what is not None and what[0] in "ci":
            what = self.member(what[1], "__init__" if what[0] == "c" else "__call__")
        if what is None or what[0] != "f":
            return ""
        function, seen = self.functions[what[1]], self.seen[what[1]]
        if isinstance(place, int):
            bound = bool(seen.owner) and "builtins.staticmethod" not in function.decorators
            names = function.parameters[place + bound : place + bound + 1]
            place = names[0] if names else ""
        return f"{function.module}.{function.qualname}({place})"

    def give_roles(self) -> None:
        given, outside = self.given, self.outside
        self.tests = {module for module in self.modules if is_test(module)}
        self.alembic = {module for module, (_, _, seen) in self.modules.items() if "alembic.op" in seen.imports}
        for index, (function, seen) in enumerate(zip(self.functions, self.seen, strict=True)):
            roles: list[catalogue.Role] = []
            for word, (_, text) in zip(function.decorators, seen.decorators, strict=True) if seen.decorators else ():
                role = catalogue.role_of_decorator(word, text) if word else None
                if role is not None:
                    roles.append(role)
            name = function.qualname.rpartition(".")[2]
            if seen.owner:
                full = f"{function.module}.{seen.owner}"
                bases = outside.get(full)
                if bases is None:
                    bases = self.outside_bases(full)
                if bases or name == "__call__":
                    roles += self.roles_of_method(full, name)
            if index in given:
                roles += given[index]
            roles += self.structural(function, seen, name)
            if roles:
                # Of two that say the same, the one that knows the route.
                roles.sort(key=lambda role: (_ORDER.get(role.kind, 99), "/" not in role.detail))
                function.role = roles[0].kind
                function.role_detail = roles[0].detail
                function.roles = tuple(dict.fromkeys(role.kind for role in roles))
        for module, (_, _, seen_module) in self.modules.items():
            self.roles_of_module(module, seen_module)

    def roles_of_method(self, full: str, name: str) -> list[catalogue.Role]:
        found = []
        for base in self.outside_bases(full):
            role = catalogue.role_of_base(base, name)
            if role is not None:
                found.append(role)
        if name == "__call__" and "__init__" in self.methods[full]:
            parameters = self.functions[self.methods[full]["__init__"]].parameters
            if len(parameters) > 1 and parameters[1] in ("get_response", "app"):
                found.append(catalogue.Role("middleware", f"{parameters[1]} middleware"))
        return found

    def outside_bases(self, full: str) -> list[str]:
        """Somebody else's classes that a class inherits from, directly or through the project's."""
        found = self.outside.get(full)
        if found is None:
            every: dict[str, None] = {}
            for kind in self.order(full):
                for base in self.classes[kind][1].bases:
                    entity = self.resolve(base)
                    if entity is not None and entity[0] == "x":
                        every[str(entity[1])] = None
            found = self.outside[full] = list(every)
        return found

    def structural(self, function: Function, seen: SeenFunction, name: str) -> list[catalogue.Role]:
        """Roles that show in the function itself."""
        found = []
        if name[:2] == "__" and name in ("__enter__", "__exit__", "__aenter__", "__aexit__") and seen.owner:
            found.append(catalogue.Role("context_manager", "enters or leaves a context"))
        if seen.serves and _WAITS.intersection(function.io):
            found.append(catalogue.Role("worker_loop", f"loops until stopped, waiting ({', '.join(function.io)})"))
        if seen.nested and self.is_middleware_factory(function):
            found.append(catalogue.Role("middleware", "get_response middleware"))
        if name[:4] == "test" and function.module in self.tests and not seen.nested:
            found.append(catalogue.Role("test", "a test"))
        if ".migrations." in function.module or (name in _MIGRATES and function.module in self.alembic):
            found.append(catalogue.Role("migration", "in a migration"))
        if function.io and "database" in function.io and any(word.startswith(_ORM) for word in function.calls):
            found.append(catalogue.Role("orm_query", "asks a database through an ORM"))
        script = self.scripts.get(function.name) if self.scripts else None
        if script:
            found.append(catalogue.Role("main", f"console script {script}"))
        return found

    def is_middleware_factory(self, function: Function) -> bool:
        """Whether a nested function is what a Django middleware factory, `def factory(get_response)`, makes."""
        outer = self.defined.get(f"{function.module}.{function.qualname.rpartition('.<locals>.')[0]}")
        return outer is not None and outer[0] == "f" and self.functions[outer[1]].parameters[:1] == ("get_response",)

    def roles_of_module(self, module: str, seen: Seen) -> None:
        is_main = module.rpartition(".")[2] == "__main__"
        calls = {**seen.main_calls, **(seen.calls if is_main else {})}
        for expression in calls:
            entity = self.resolve(expression)
            if entity is not None and entity[0] == "f":
                self.give(
                    entity[1],
                    "main",
                    'called under `if __name__ == "__main__"`' if not is_main else "called by __main__",
                )
        dispatches = any(name.partition(".")[0] in ("argparse", "getopt") for name in seen.imports)
        for name, references in seen.tables.items():
            owner, _, attribute = name.rpartition(".")
            for reference in references:
                entity = self.resolve(reference)
                if entity is None or entity[0] != "f":
                    continue
                if owner.endswith("WorkerSettings"):
                    role = {
                        "functions": "task",
                        "cron_jobs": "task",
                        "on_startup": "startup",
                        "on_shutdown": "shutdown",
                    }.get(attribute)
                    if role:
                        self.give(entity[1], role, f"in {name}")
                elif dispatches and not owner:
                    self.give(entity[1], "command", f"in the table {name}")
        if "WorkerSettings" in {kind.qualname for kind in seen.classes}:
            attributes = next(kind.attributes for kind in seen.classes if kind.qualname == "WorkerSettings")
            for attribute, role in (("on_startup", "startup"), ("on_shutdown", "shutdown")):
                entity = self.resolve(attributes.get(attribute, ""))
                if entity is not None and entity[0] == "f":
                    self.give(entity[1], role, f"in WorkerSettings.{attribute}")

    def give(self, index: int, kind: str, detail: str) -> None:
        function = self.functions[index]
        roles = sorted({*function.roles, kind}, key=lambda role: _ORDER.get(role, 99))
        if roles[0] != function.role:
            function.role, function.role_detail = kind, detail
        function.roles = tuple(roles)

    # Graphs.

    def describe(self) -> dict[str, Module]:
        """The modules, and the edges between them."""
        names = set(self.modules)
        modules: dict[str, Module] = {}
        imported: dict[str, set[str]] = {name: set() for name in names}
        for name, (path, digest, seen) in self.modules.items():
            inside: dict[str, None] = {}
            outside: dict[str, None] = {}
            for word in seen.imports:
                target = word
                while target and target not in names:
                    target = target.rpartition(".")[0]
                if target and target != name:
                    inside[target] = None
                    imported[target].add(name)
                elif not target:
                    outside[word.partition(".")[0]] = None
            start = self.first[name]
            indices = tuple(range(start, start + len(seen.functions)))
            module = Module(name, path, seen.lines, digest, "code", indices, tuple(inside), (), tuple(outside))
            module.type = self.type_of(module, seen)
            modules[name] = module
        for name, module in modules.items():
            module.imported_by = tuple(sorted(imported[name]))
        self.count_edges(modules)
        return modules

    def count_edges(self, modules: dict[str, Module]) -> None:
        """Who calls a function, and how many call into and out of a module. What tests call of the program is not counted."""
        functions = self.functions
        tests = {index for module in modules.values() if module.type == "test" for index in module.functions}
        callers: list[list[int]] = [[] for _ in functions]
        for index, function in enumerate(functions):
            for callee in tests.intersection(function.callees) if index in tests else function.callees:
                callers[callee].append(index)
        for function, found in zip(functions, callers, strict=True):
            if found:
                function.callers = tuple(found)
        for module in modules.values():
            own = module.functions
            called = set().union(*[functions[index].callees for index in own])
            calling = set().union(*[callers[index] for index in own])
            if module.type == "test":
                called &= tests
            module.calls_out = len(called.difference(own))
            module.called_from = len(calling.difference(own))

    def type_of(self, module: Module, seen: Seen) -> str:
        name = module.name
        if is_test(name):
            return "test"
        if ".migrations." in name or name.endswith(".migrations") or name in self.alembic:
            return "migration"
        roles = {self.functions[index].role for index in module.functions}
        if seen.has_main or name.endswith("__main__") or not roles.isdisjoint(ENTRIES):
            return "entry"
        if not roles and not seen.classes:
            return "package" if module.file.endswith("__init__.py") else "data"
        models = sum(
            any(base.startswith(_MODELS) for base in self.outside_bases(f"{name}.{kind.qualname}"))
            for kind in seen.classes
        )
        if models and models * 2 >= len(seen.classes):
            return "model"
        return "package" if module.file.endswith("__init__.py") else "code"

    def reach(self, modules: dict[str, Module]) -> None:
        """Reachability, and how often functions are called when every entry point is called once."""
        functions = self.functions
        tests = {name for name, module in modules.items() if module.type == "test"}
        roots: dict[int, float] = {}
        for index, function in enumerate(functions):
            if function.role in _LED and function.module not in tests:
                roots[index] = 1.0
        entries = any(functions[index].role in ENTRIES for index in roots)
        for index in list(roots):
            for wrapper in self.wrappers.get(index, ()):
                roots[wrapper] = roots.get(wrapper, 0.0) + 1.0
        top: dict[int, float] = {}
        for name, (_, _, seen) in self.modules.items():
            if name not in tests:
                for index, weight in self.at_top(seen):
                    top[index] = top.get(index, 0.0) + weight
        if entries:
            work = [*roots, *top]
            reached = set(work)
            while work:
                for callee in functions[work.pop()].callees:
                    if callee not in reached:
                        reached.add(callee)
                        work.append(callee)
            for index in reached:
                functions[index].reachable = True
        for module in modules.values():
            module.reachable = any(functions[index].reachable for index in module.functions) or (
                module.type == "entry" or not entries
            )
        for index, weight in top.items():
            roots[index] = roots.get(index, 0.0) + weight
        for index, function in enumerate(functions):
            if (
                index not in roots
                and (not function.callers or function.callers == (index,))
                and function.module not in tests
            ):
                # Called by what cannot be seen: dispatch, other projects.
                roots[index] = 1.0
            if not entries:
                function.reachable = True
        self.spread(roots, tests)

    def at_top(self, seen: Seen) -> Iterable[tuple[int, float]]:
        for calls in (seen.calls, seen.main_calls):
            for expression, weight in calls.items():
                entity = self.resolve(expression)
                if entity is None:
                    continue
                if entity[0] == "c":
                    entity = self.member(entity[1], "__init__")
                if entity is not None and entity[0] == "f":
                    yield entity[1], weight

    def spread(self, roots: dict[int, float], tests: Collection[str] = ()) -> None:
        """Frequencies from callers to callees, in an order that meets callers first; a call back up is recursion.

        A function called in several ways gets the sum. What calls in a circle gets `RECURSION` times what comes from outside
        it, once. Of a circle that nothing outside calls, its first function is a root.
        """
        functions = self.functions
        self.callees = [tuple(function.callees) for function in functions]
        roots = dict(roots)
        left = bytearray(len(functions))
        back: dict[int, set[int]] = {}
        order = self.postorder(sorted(roots), left, back)
        rest = [index for index, function in enumerate(functions) if not left[index] and function.module not in tests]
        # Of what no root leads to, the last to be left is called by nothing else.
        for index in reversed(self.postorder(rest, bytearray(left), {})):
            if not left[index]:
                roots[index] = 1.0
                order += self.postorder([index], left, back)
        order += self.postorder(range(len(functions)), left, back)
        order.reverse()
        circles = self.find_circles(order, set().union(*back.values()))
        frequency = [0.0] * len(functions)
        for index, weight in roots.items():
            frequency[index] = weight * (RECURSION if index in circles else 1.0)
        for index in order:
            own = frequency[index]
            if own == 0.0:
                continue
            circle = circles.get(index)
            above = back.get(index, ())
            for callee, weight in functions[index].callees.items():
                if callee in above:
                    continue
                gain = own * weight
                if callee in circles and circles[callee] != circle:
                    gain *= RECURSION
                gain += frequency[callee]
                frequency[callee] = gain if gain < MOST_CALLS else MOST_CALLS
        for index, function in enumerate(functions):
            function.frequency = frequency[index]
            function.recursive = index in circles

    def postorder(self, starts: Iterable[int], left: bytearray, back: dict[int, set[int]]) -> list[int]:
        """What `starts` lead to that is not in `left` yet, callees before callers; calls back up are added to `back`."""
        callees = self.callees
        order: list[int] = []
        above: set[int] = set()
        for start in starts:
            if left[start]:
                continue
            left[start] = 1
            if not callees[start]:
                order.append(start)
                continue
            above.add(start)
            stack = [(start, iter(callees[start]))]
            while stack:
                index, rest = stack[-1]
                for callee in rest:
                    if not left[callee]:
                        left[callee] = 1
                        if not callees[callee]:
                            order.append(callee)
                            continue
                        above.add(callee)
                        stack.append((callee, iter(callees[callee])))
                        break
                    if callee in above:
                        back.setdefault(index, set()).add(callee)
                else:
                    above.discard(index)
                    order.append(index)
                    stack.pop()
        return order

    def find_circles(self, order: list[int], turns: set[int]) -> dict[int, int]:
        """Function that may come to call itself -> the first, in `order`, of those that call each other so.

        `order` has callers first, `turns` are called from further down: a circle's first function is always one of those.
        """
        circles: dict[int, int] = {}
        passed: set[int] = set()
        for first in order:
            if first in turns and first not in circles:
                circles[first] = first
                work = [first]
                while work:
                    for caller in self.functions[work.pop()].callers:
                        if caller not in circles and caller not in passed:
                            circles[caller] = first
                            work.append(caller)
            passed.add(first)
        return circles


def _owner(method: Function) -> str:
    """The class a method is defined in."""
    return f"{method.module}.{method.qualname.rpartition('.')[0]}"


def merge(lines: list[list[str]]) -> list[str]:
    """The classes of several lines in one (C3); where Python would refuse, the first line's come first."""
    lines = [line for line in lines if line]
    found = []
    while lines:
        for line in lines:
            first = line[0]
            if not any(first in other[1:] for other in lines):
                break
        else:
            first = lines[0][0]
        found.append(first)
        lines = [rest for line in lines if (rest := [name for name in line if name != first])]
    return found


_ORDER = {
    role: place
    for place, role in enumerate(
        "web task command consumer startup shutdown main worker_loop thread middleware test fixture migration orm_query model "
        "context_manager callback".split()
    )
}
_LED = ENTRIES | {"middleware", "callback", "model", "orm_query"}
"""Roles whose functions somebody else's code calls."""
_PROPERTY = frozenset(("property", "cached_property", "setter", "deleter", "hybrid_property"))
_INSTEAD = {
    "__bool__": "__len__",
    "__str__": "__repr__",
    "__ne__": "__eq__",
    "__contains__": "__iter__",
    "__iter__": "__getitem__",
}
"""What Python calls where a class has not what was asked for."""
_MIGRATES = frozenset(("upgrade", "downgrade"))
_WAITS = frozenset(("lock", "sleep", "queue", "network", "cache", "http", "database"))
_SENDS = frozenset(
    ("delay", "apply_async", "send", "send_with_options", "enqueue", "apply", "s", "si", "schedule", "using")
)
_ORM = ("django.db.models", "sqlalchemy.orm", "sqlmodel.", "sqlalchemy.ext.asyncio", "peewee.", "tortoise.", "pony.orm")
_MODELS = (
    "django.db.models.",
    "sqlmodel.SQLModel",
    "sqlalchemy.orm.DeclarativeBase",
    "sqlalchemy.orm.declarative_base",
    "peewee.Model",
    "tortoise.models",
)
_BARE = frozenset(("builtins.object", "typing.Generic", "typing.Protocol", "abc.ABC"))
_MANY = frozenset(("builtins.map", "builtins.filter", "builtins.sorted", "builtins.max", "builtins.min"))
_PASSIVE = ("builtins.", "functools.", "itertools.", "typing.", "operator.", "dataclasses.", "?")
