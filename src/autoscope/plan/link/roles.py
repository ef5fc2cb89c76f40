"""Roles: what functions are for."""

from __future__ import annotations

from autoscope.plan import catalogue
from autoscope.plan.analysis.seen import Seen, SeenFunction
from autoscope.plan.facts import Function, is_test
from autoscope.plan.link.callbacks import Callbacks

_ORDER = {
    role: place
    for place, role in enumerate(
        "web task command consumer startup shutdown main worker_loop thread middleware test fixture migration orm_query model "
        "context_manager callback".split()
    )
}
_MIGRATES = frozenset(("upgrade", "downgrade"))
_WAITS = frozenset(("lock", "sleep", "queue", "network", "cache", "http", "database"))
_ORM = ("django.db.models", "sqlalchemy.orm", "sqlmodel.", "sqlalchemy.ext.asyncio", "peewee.", "tortoise.", "pony.orm")


class Roles(Callbacks):
    """The linker, as far as it gives functions their roles."""

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
