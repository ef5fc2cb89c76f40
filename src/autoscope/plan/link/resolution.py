"""Name resolution: what a dotted expression is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autoscope.plan.link.hierarchy import Hierarchy
from autoscope.plan.link.symbols import Entity

MISSING: Any = object()
BUSY: Any = object()
MOST_DEEP = 8_000
"""Expressions worked out inside each other; what leads further is unknown. Each takes several calls of Python's, of which there is a limit."""
_SENDS = frozenset(
    ("delay", "apply_async", "send", "send_with_options", "enqueue", "apply", "s", "si", "schedule", "using")
)
_BARE = frozenset(("builtins.object", "typing.Generic", "typing.Protocol", "abc.ABC"))


class Resolution(Hierarchy):
    """The linker, as far as it resolves expressions."""

    def resolve(self, expression: str) -> Entity:
        found = self.memo.get(expression, MISSING)
        if found is MISSING:
            return self.settle(self.memo, expression, self.work_out)
        if found is BUSY:
            self.circles += 1
            return None
        return found  # type: ignore[no-any-return]

    def settle(self, memo: dict[Any, Entity], key: Any, work_out: Callable[[Any], Entity]) -> Entity:
        """Work something out. What came of it depends on nothing that was asked before, so `relink` may ask for some and not for others.

        That is why what leads in a circle is no more than passed on to what asked for it: beginning elsewhere, one goes round another way.
        """
        inside = self.inside
        found = (self.passing if inside else self.settled).get(key, MISSING)
        if found is not MISSING:
            self.circles += 1
            return found  # type: ignore[no-any-return]
        if self.depth > MOST_DEEP:
            memo[key] = None
            return None
        memo[key] = BUSY
        circles = self.circles
        self.inside = True
        self.depth += 1
        found = work_out(key)
        self.depth -= 1
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
        found = self.found.get(key, MISSING)
        if found is MISSING:
            return self.settle(self.found, key, self.look_up)
        if found is BUSY:
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
        found = ""
        for base in self.outside_bases(full):
            if base not in _BARE and (not found or found.endswith("Mixin")):
                found = base  # what is mixed in comes first, and seldom has what is asked for
        return ("x", f"{found}{'()' if instance else ''}.{name}") if found else None

    def beginning(self, full: str, start: str) -> list[int]:
        """The methods of a class, and of those below it, whose names begin so."""
        found: dict[int, None] = {}
        for kind in (*self.order(full), *self.below(full)):
            for name, index in self.methods[kind].items():
                if name.startswith(start) and len(name) > len(start):
                    found[index] = None
        return list(found)
