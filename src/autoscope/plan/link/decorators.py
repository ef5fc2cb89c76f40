"""Decorators: their full names, and what those of the project's own put in a function's place."""

from __future__ import annotations

from autoscope.plan.link.resolution import Resolution
from autoscope.plan.link.symbols import Entity


class Decorators(Resolution):
    """The linker, as far as it follows decorators."""

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
