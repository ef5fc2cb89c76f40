"""Reachability: where the program begins, and what that leads to."""

from __future__ import annotations

from collections.abc import Iterable

from autoscope.plan.analysis.seen import Seen
from autoscope.plan.facts import ENTRIES, Module
from autoscope.plan.link.coupling import Coupling
from autoscope.plan.link.frequency import spread

_LED = ENTRIES | {"middleware", "callback", "model", "orm_query"}
"""Roles whose functions somebody else's code calls."""


class Reachability(Coupling):
    """The linker, as far as it follows what entry points lead to."""

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
        spread(functions, roots, tests)

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
