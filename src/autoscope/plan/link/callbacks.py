"""Callbacks: functions handed to calls, what for, and that they will be called."""

from __future__ import annotations

from autoscope.plan import catalogue
from autoscope.plan.analysis.block_frequency import ITERATIONS
from autoscope.plan.link.call_graph import CallGraph
from autoscope.plan.link.symbols import Entity

_MANY = frozenset(("builtins.map", "builtins.filter", "builtins.sorted", "builtins.max", "builtins.min"))
_PASSIVE = ("builtins.", "functools.", "itertools.", "typing.", "operator.", "dataclasses.", "?")


class Callbacks(CallGraph):
    """The linker, as far as it follows functions that are given away."""

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
