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
_GENERATORS = frozenset(("generator", "async_generator"))
_HOOKS = frozenset(
    ("process_request", "process_view", "process_exception", "process_template_response", "process_response")
)
"""What Django asks of a middleware beside calling it."""
_ERROR_VIEWS = ("handler400", "handler403", "handler404", "handler500")
"""Names under which Django looks for views of its own in the module with the URLs."""
_ADMINS = frozenset(("delete_queryset",))
"""Methods of Django's admin that are given the same as an action."""
_ACTION = ("request", "queryset")
"""What Django's admin gives an action, after the administration itself."""
_SERVERS = {
    ("environ", "start_response"): "WSGI application",
    ("scope", "receive", "send"): "ASGI application",
}
"""Parameters a server calls an application with."""
_WRAPPED = ("get_response", "app", "application", "wsgi_app", "asgi_app")
"""First parameters of what makes a middleware: what comes next."""
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
                if bases or name == "__call__" or name in _HOOKS:
                    roles += self.roles_of_method(function, full, name)
            if index in given:
                roles += map(around_requests, given[index]) if function.kind in _GENERATORS else given[index]
            roles += self.structural(function, seen, name)
            if roles:
                # Of two that say the same, the one that knows the route.
                roles.sort(key=lambda role: (_ORDER.get(role.kind, 99), "/" not in role.detail))
                function.role = roles[0].kind
                function.role_detail = roles[0].detail
                function.roles = tuple(dict.fromkeys(role.kind for role in roles))
        for module, (_, _, seen_module) in self.modules.items():
            self.roles_of_module(module, seen_module)

    def roles_of_method(self, function: Function, full: str, name: str) -> list[catalogue.Role]:
        found = []
        for base in self.outside_bases(full):
            role = catalogue.role_of_base(base, name)
            if role is not None:
                found.append(role)
                if (
                    function.parameters[1:] == _ACTION
                    and role.detail.startswith("Django admin")
                    and name not in _ADMINS
                ):
                    found.append(catalogue.Role("web", "Django admin action"))
        wrapped = self.wrapped(full)
        if wrapped and name == "__call__":
            found.append(catalogue.Role("middleware", f"{wrapped} middleware"))
        if wrapped == "get_response" and name in _HOOKS:
            found.append(catalogue.Role("middleware", f"Django middleware {name}"))
        return found

    def wrapped(self, full: str) -> str:
        """What instances of a class are made around, if that is what a middleware is made around."""
        made = self.methods[full].get("__init__")
        first = self.functions[made].parameters[1:2] if made is not None else ()
        return first[0] if first and first[0] in _WRAPPED else ""

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
        for parameters, what in _SERVERS.items():
            if (
                function.parameters[bool(seen.owner) :] == parameters
                and function.trivial != "delegation"
                and not self.is_below_call(function, seen, name, parameters)
            ):
                found.append(self.served(function, seen, what))
        if seen.returns and not seen.nested and not seen.owner and function.module not in self.tests:
            made = self.resolve(seen.returns)
            word = str(made[1])[:-2] if made is not None and made[0] == "x" else ""
            if word in function.calls and catalogue.is_application(word):
                found.append(catalogue.Role("startup", f"makes the application ({word})"))
        script = self.scripts.get(function.name) if self.scripts else None
        if script:
            found.append(catalogue.Role("main", f"console script {script}"))
        return found

    def served(self, function: Function, seen: SeenFunction, what: str) -> catalogue.Role:
        """An application, or a middleware if it is made around another one."""
        if seen.owner:
            wrapped = self.wrapped(f"{function.module}.{seen.owner}")
        else:
            outer = self.defined.get(f"{function.module}.{function.qualname.rpartition('.<locals>.')[0]}")
            first = self.functions[outer[1]].parameters[:1] if outer is not None and outer[0] == "f" else ()
            wrapped = first[0] if first and first[0] in _WRAPPED else ""
        return catalogue.Role("middleware", f"{wrapped} middleware") if wrapped else catalogue.Role("web", what)

    def is_below_call(self, function: Function, seen: SeenFunction, name: str, parameters: tuple[str, ...]) -> bool:
        """Whether it is a method that is given what a server calls the object itself with: work begins there, not here."""
        if not seen.owner or name == "__call__":
            return False
        index = self.methods[f"{function.module}.{seen.owner}"].get("__call__")
        called = None if index is None else self.functions[index]
        return called is not None and called.parameters[1:] == parameters and called.trivial != "delegation"

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
                elif attribute == "actions" and owner and self.is_admin(f"{module}.{owner}"):
                    self.give(entity[1], "web", "Django admin action")
        if "urlpatterns" in seen.names:
            for name in _ERROR_VIEWS:
                entity = self.resolve(seen.names.get(name, ""))
                if entity is not None and entity[0] == "f":
                    self.give(entity[1], "web", f"Django {name}")
        if "WorkerSettings" in {kind.qualname for kind in seen.classes}:
            attributes = next(kind.attributes for kind in seen.classes if kind.qualname == "WorkerSettings")
            for attribute, role in (("on_startup", "startup"), ("on_shutdown", "shutdown")):
                entity = self.resolve(attributes.get(attribute, ""))
                if entity is not None and entity[0] == "f":
                    self.give(entity[1], role, f"in WorkerSettings.{attribute}")

    def is_admin(self, full: str) -> bool:
        """Whether a class administers models of Django's."""
        return full in self.classes and any(base.startswith("django.contrib.") for base in self.outside_bases(full))

    def give(self, index: int, kind: str, detail: str) -> None:
        function = self.functions[index]
        roles = sorted({*function.roles, kind}, key=lambda role: _ORDER.get(role, 99))
        if roles[0] != function.role:
            function.role, function.role_detail = kind, detail
        function.roles = tuple(roles)


def around_requests(role: catalogue.Role) -> catalogue.Role:
    """What a generator becomes by being handed over: as a dependency it runs before a request and after it."""
    if role.detail != "FastAPI dependency":
        return role
    return catalogue.Role("middleware", "FastAPI dependency that yields")
