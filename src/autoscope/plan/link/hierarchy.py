"""The class hierarchy: who inherits from whom, and in which order attributes are looked up."""

from __future__ import annotations

from autoscope.plan.link.symbols import Symbols


class Hierarchy(Symbols):
    """The linker, as far as it knows of base classes."""

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
