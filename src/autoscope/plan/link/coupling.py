"""Coupling: the modules, what they are, and the imports and calls between them."""

from __future__ import annotations

from autoscope.plan.analysis.seen import Seen
from autoscope.plan.facts import ENTRIES, Module, is_test
from autoscope.plan.link.roles import Roles

_MODELS = (
    "django.db.models.",
    "sqlmodel.SQLModel",
    "sqlalchemy.orm.DeclarativeBase",
    "sqlalchemy.orm.declarative_base",
    "peewee.Model",
    "tortoise.models",
)


class Coupling(Roles):
    """The linker, as far as it describes modules."""

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
