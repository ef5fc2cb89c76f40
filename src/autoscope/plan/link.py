"""All files together: what each saw alone becomes `Facts`.

Expressions are resolved through imports, re-exports, variables, attributes, return values and base classes; then follow the call graph,
roles, reachability and frequencies. Every distinct expression is resolved once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from autoscope.plan import catalogue
from autoscope.plan.analysis import Seen, SeenClass, SeenFunction
from autoscope.plan.facts import ENTRIES, Facts, Function, Module, is_test

NODE_NS = 9.0
"""CPU time of one part of an expression or statement, on the machine of the shipped cost table."""
CALL_NS = 45.0
"""Of calling a Python function."""
RECURSION = 5.0
"""How often a recursive function is taken to call itself for one call from outside."""
MOST_CALLS = 1e9
MOST_OVERRIDING = 20
"""Methods of subclasses that a call of their base's is taken to reach."""
MOST_CANDIDATES = 3
"""Classes that may have a method of one name for a call on an unknown object to be taken for a call of theirs."""

Entity = tuple[str, Any] | None
"""What an expression is. Kinds: `m` project module, `c` project class, `i` instance of one, `f` project function, `s` super() of a class,
`x` a dotted expression of somebody else's, `[` and `{` several of an entity, `b` a method of those, `e` the entering of one as a context;
None: unknown."""

_MISSING: Any = object()
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
        self.modules = modules
        self.scripts = scripts or {}
        """Console scripts: function's dotted name -> the script's name."""
        self.functions: list[Function] = []
        self.seen: list[SeenFunction] = []
        self.defined: dict[str, Entity] = {}
        """Dotted name -> module, class or function of the project."""
        self.classes: dict[str, tuple[str, SeenClass]] = {}
        self.methods: dict[str, dict[str, int]] = {}
        """Class -> its own methods."""
        self.children: dict[str, list[str]] = {}
        self.by_name: dict[str, list[int]] = {}
        """Method name -> the methods of that name."""
        self.properties: set[str] = set()
        self.memo: dict[str, Entity] = {}
        self.found: dict[tuple[str, str, bool], Entity] = {}
        self.ancestors: dict[str, frozenset[str]] = {}
        self.outside: dict[str, list[str]] = {}
        self.overridden: dict[tuple[str, str], list[int]] = {}
        self.prices: dict[str, tuple[str, float]] = {}
        """What `catalogue` says of somebody else's function: kind of I/O, work."""
        self.first: dict[str, int] = {}
        """Module -> index of its first function."""

    def link(self) -> Facts:
        """The facts."""
        self.define()
        self.inherit()
        self.connect()
        self.hand_over()
        self.give_roles()
        modules = self.describe()
        self.reach(modules)
        digest = hashlib.blake2b(digest_size=16)
        for name in sorted(self.modules):
            digest.update(f"{name} {self.modules[name][1]}\n".encode())
        return Facts(self.root, self.functions, modules, [], digest.hexdigest())

    # What there is.

    def define(self) -> None:
        defined = self.defined
        for name in self.modules:
            defined[name] = ("m", name)
        for name, (_, _, seen) in self.modules.items():
            self.first[name] = len(self.functions)
            marks: dict[str, str] = {}
            for kind in seen.classes:
                full = f"{name}.{kind.qualname}"
                self.classes[full] = (name, kind)
                self.methods[full] = {}
                defined[full] = ("c", full)
                if kind.mark:
                    marks[kind.qualname] = kind.mark
            for function in seen.functions:
                index = len(self.functions)
                self.seen.append(function)
                full = f"{name}.{function.qualname}"
                facts = self.function(name, function, marks)
                self.functions.append(facts)
                if function.qualname.endswith("<lambda>"):
                    defined[f"{full}@{function.line}"] = ("f", index)
                    continue
                if facts.overload or any(word.endswith((".setter", ".deleter")) for word, _ in function.decorators):
                    continue
                defined[full] = ("f", index)
                if function.owner:
                    last = function.qualname.rpartition(".")[2]
                    self.methods[f"{name}.{function.owner}"][last] = index
                    self.by_name.setdefault(last, []).append(index)
                    if facts.is_property:
                        self.properties.add(last)

    def function(self, module: str, seen: SeenFunction, marks: Mapping[str, str]) -> Function:
        words = [word for word, _ in seen.decorators]
        tails = [word.rpartition(".")[2] for word in words]
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
            any(tail in ("property", "cached_property", "setter", "deleter", "hybrid_property") for tail in tails),
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

    # What an expression is.

    def resolve(self, expression: str) -> Entity:
        found = self.memo.get(expression, _MISSING)
        if found is _MISSING:
            self.memo[expression] = None  # asked again on the way, it is a circle: unknown
            found = self.memo[expression] = self.work_out(expression)
        return found  # type: ignore[no-any-return]

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
        return ("x", value + "[]") if kind == "x" else None

    def attribute(self, what: Entity, name: str) -> Entity:
        if what is None:
            return None
        kind, value = what
        if kind == "x":
            return ("x", f"{value}.{name}")
        if kind == "m":
            return self.of_module(value, name)
        if kind == "i":
            return self.member(value, name, instance=True)
        if kind == "c":
            return ("s", value) if name == "__super__" else self.member(value, name)
        if kind == "s":
            return self.of_bases(value, name, True)
        if kind in "[{":
            if name in ("__enter__", "__aenter__"):
                return ("e", value)
            return ("b", (what, name))
        if kind == "f":
            words = self.functions[value].decorators or tuple(word for word, _ in self.seen[value].decorators)
            if words and name in _SENDS:
                return ("x", f"{self.canonical(words[0])}().{name}")
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
        if expression is not None:
            return self.resolve(expression)
        for star in seen.stars:
            if star in self.modules:
                found = self.defined.get(f"{star}.{name}") or self.of_module_once(star, name)
                if found is not None:
                    return found
            elif star and len(seen.stars) == 1:
                return ("x", f"{star}.{name}")
        return None

    def of_module_once(self, module: str, name: str) -> Entity:
        return self.resolve(f"{module}.{name}")

    def member(self, full: str, name: str, instance: bool = False) -> Entity:
        """An attribute of a project class or of an instance."""
        key = (full, name, instance)
        found = self.found.get(key, _MISSING)
        if found is not _MISSING:
            return found  # type: ignore[no-any-return]
        self.found[key] = None
        own = self.methods[full].get(name)
        answer: Entity
        if own is not None:
            answer = ("f", own)
            if self.functions[own].is_property and instance:
                answer = self.result(own)
        else:
            expression = self.classes[full][1].attributes.get(name)
            nested = self.defined.get(f"{full}.{name}")
            if nested is not None:
                answer = nested
            elif expression is not None:
                answer = self.resolve(expression)
            else:
                answer = self.of_bases(full, name, instance)
        self.found[key] = answer
        return answer

    def of_bases(self, full: str, name: str, instance: bool) -> Entity:
        outside: Entity = None
        for base in self.classes[full][1].bases:
            entity = self.resolve(base)
            if entity is None:
                continue
            if entity[0] == "c" and entity[1] != full:
                found = self.member(entity[1], name, instance)
                if found is not None and found[0] != "x":
                    return found
                outside = outside or found
            elif entity[0] == "x" and outside is None and entity[1] not in _BARE:
                outside = ("x", f"{entity[1]}{'()' if instance else ''}.{name}")
        return outside

    # Who calls whom.

    def connect(self) -> None:
        resolve, memo = self.resolve, self.memo
        for index, function in enumerate(self.functions):
            seen = self.seen[index]
            callees: dict[int, float] = {}
            calls: dict[str, float] = {}
            for expression, weight in seen.calls.items():
                if expression.startswith("builtins."):
                    calls[expression] = calls.get(expression, 0.0) + weight
                    continue
                entity = memo[expression] if expression in memo else resolve(expression)
                if entity is None:
                    self.unknown(expression, weight, callees, calls)
                    continue
                kind, value = entity
                if kind == "x":
                    calls[value] = calls.get(value, 0.0) + weight
                elif kind == "f":
                    self.add(callees, value, weight, expression)
                elif kind == "c":
                    self.construct(value, weight, callees, calls)
                elif kind == "i":
                    method = self.member(value, "__call__")
                    if method is not None and method[0] == "f":
                        self.add(callees, method[1], weight, expression)
                elif kind == "b":
                    calls["builtins.list()." + value[1]] = weight
            for expression, weight in seen.loads.items():
                tail = expression.rpartition(".")[2]
                if tail in self.properties:
                    owner = resolve(expression[: -len(tail) - 1])
                    if owner is not None and owner[0] == "i":
                        method = self.member(owner[1], tail)
                        if method is not None and method[0] == "f":
                            self.add(callees, method[1], weight, "")
            function.calls = calls
            function.callees = callees
            if seen.decorators:
                function.decorators = tuple([self.canonical(word) if word else "" for word, _ in seen.decorators])
            self.measure(function, seen)

    def unknown(self, expression: str, weight: float, callees: dict[int, float], calls: dict[str, float]) -> None:
        """A call on an object nobody knows: of the few methods there are of that name, or of none of ours."""
        name = expression.rpartition(".")[2]
        candidates = self.by_name.get(name, ()) if name not in _COMMON else ()
        if 0 < len(candidates) <= MOST_CANDIDATES:
            for index in candidates:
                callees[index] = callees.get(index, 0.0) + weight / len(candidates)
        else:
            word = f"?.{name}"
            calls[word] = calls.get(word, 0.0) + weight

    def add(self, callees: dict[int, float], index: int, weight: float, expression: str) -> None:
        """A call of a function; of a method that subclasses have too, any of them may be meant."""
        owner = self.seen[index].owner
        if owner and self.children and ".__super__()" not in expression:
            function = self.functions[index]
            others = self.overriding(f"{function.module}.{owner}", function.qualname.rpartition(".")[2])
            if others:
                targets = others if function.is_abstract or function.trivial in ("stub", "empty") else [index, *others]
                for target in targets:
                    callees[target] = callees.get(target, 0.0) + weight / len(targets)
                return
        callees[index] = callees.get(index, 0.0) + weight

    def overriding(self, full: str, name: str) -> list[int]:
        """The methods of this name in the classes below a class; of a great many, the first."""
        same = self.by_name.get(name, ())
        if len(same) < 2 or full not in self.children:
            return []
        key = (full, name)
        found = self.overridden.get(key)
        if found is None:
            found = self.overridden[key] = []
            for index in same:
                owner = f"{self.functions[index].module}.{self.seen[index].owner}"
                if owner != full and full in self.above(owner):
                    found.append(index)
                    if len(found) == MOST_OVERRIDING:
                        break
        return found

    def above(self, full: str) -> frozenset[str]:
        """The project classes a class inherits from."""
        found = self.ancestors.get(full)
        if found is None:
            self.ancestors[full] = frozenset()  # asked again on the way, it is a circle
            own: set[str] = set()
            for base in self.classes[full][1].bases:
                entity = self.resolve(base)
                if entity is not None and entity[0] == "c":
                    own |= {entity[1], *self.above(entity[1])}
            found = self.ancestors[full] = frozenset(own)
        return found

    def construct(self, full: str, weight: float, callees: dict[int, float], calls: dict[str, float]) -> None:
        found = False
        for name in ("__new__", "__init__", "__post_init__"):
            method = self.member(full, name)
            if method is not None and method[0] == "f":
                callees[method[1]] = callees.get(method[1], 0.0) + weight
                found = True
            elif method is not None and method[0] == "x" and name == "__init__":
                word = str(method[1]).rpartition(".")[0]
                calls[word] = calls.get(word, 0.0) + weight
                found = True
        if not found:
            calls["builtins.object"] = calls.get("builtins.object", 0.0) + weight

    def measure(self, function: Function, seen: SeenFunction) -> None:
        """What it does itself: kinds of I/O, and work."""
        kinds: dict[str, None] = {}
        work = CALL_NS + seen.nodes * NODE_NS
        prices = self.prices
        for word, weight in function.calls.items():
            found = prices.get(word)
            if found is None:
                found = prices[word] = catalogue.io_kind(word), catalogue.work_ns(word)
            if found[0]:
                kinds[found[0]] = None
            work += weight * found[1]
        if kinds:
            function.io = tuple(sorted(kinds))
        function.work_ns = work
        if function.trivial == "delegation" and kinds:
            function.trivial = ""

    # What functions are for.

    def hand_over(self) -> None:
        """Functions given to calls: what for, and that they will be called."""
        self.given: dict[int, list[catalogue.Role]] = {}
        for module, (_, _, seen) in self.modules.items():
            start = self.first[module]
            for callee, place, text, reference, owner in seen.handed:
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
                if owner >= 0 and (role is None or role.kind == "callback"):
                    callees = self.functions[start + owner].callees
                    callees[target] = callees.get(target, 0.0) + (10.0 if name in _MANY or place == "key" else 1.0)

    def give_roles(self) -> None:
        for index, function in enumerate(self.functions):
            seen = self.seen[index]
            roles: list[catalogue.Role] = []
            for word, (_, text) in zip(function.decorators, seen.decorators, strict=True) if seen.decorators else ():
                role = catalogue.role_of_decorator(word, text) if word else None
                if role is not None:
                    roles.append(role)
            name = function.qualname.rpartition(".")[2]
            if seen.owner:
                roles += self.roles_of_method(f"{function.module}.{seen.owner}", name)
            roles += self.given.get(index, ())
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

    def outside_bases(self, full: str, depth: int = 0) -> list[str]:
        """Somebody else's classes that a class inherits from, directly or through the project's."""
        known = self.outside.get(full)
        if known is not None:
            return known
        found: list[str] = []
        for base in self.classes[full][1].bases:
            entity = self.resolve(base)
            if entity is None:
                continue
            if entity[0] == "x":
                found.append(str(entity[1]))
            elif entity[0] == "c" and entity[1] != full and depth < 10:
                found += self.outside_bases(entity[1], depth + 1)
        if depth == 0:
            self.outside[full] = found
        return found

    def structural(self, function: Function, seen: SeenFunction, name: str) -> list[catalogue.Role]:
        """Roles that show in the function itself."""
        found = []
        if name in ("__enter__", "__exit__", "__aenter__", "__aexit__") and seen.owner:
            found.append(catalogue.Role("context_manager", "enters or leaves a context"))
        if seen.serves and _WAITS.intersection(function.io):
            found.append(catalogue.Role("worker_loop", f"loops until stopped, waiting ({', '.join(function.io)})"))
        if seen.nested and self.is_middleware_factory(function):
            found.append(catalogue.Role("middleware", "get_response middleware"))
        if name.startswith("test") and is_test(function.module) and not seen.nested:
            found.append(catalogue.Role("test", "a test"))
        if ".migrations." in function.module:
            found.append(catalogue.Role("migration", "in a migration"))
        if any(word.startswith(_ORM) for word in function.calls) and "database" in function.io:
            found.append(catalogue.Role("orm_query", "asks a database through an ORM"))
        script = self.scripts.get(function.name)
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
        callers: dict[int, list[int]] = {}
        out: dict[str, set[int]] = {}
        into: dict[str, set[int]] = {}
        for index, function in enumerate(self.functions):
            from_test = modules[function.module].type == "test"
            for callee in function.callees:
                other = self.functions[callee].module
                if from_test and modules[other].type != "test":
                    continue
                callers.setdefault(callee, []).append(index)
                if other != function.module:
                    out.setdefault(function.module, set()).add(callee)
                    into.setdefault(other, set()).add(index)
        for index, found in callers.items():
            self.functions[index].callers = tuple(found)
        for name, module in modules.items():
            module.calls_out = len(out.get(name, ()))
            module.called_from = len(into.get(name, ()))
        return modules

    def type_of(self, module: Module, seen: Seen) -> str:
        name = module.name
        if is_test(name):
            return "test"
        if ".migrations." in name or name.endswith(".migrations"):
            return "migration"
        functions = [self.functions[index] for index in module.functions]
        if seen.has_main or name.endswith("__main__") or any(function.role in ENTRIES for function in functions):
            return "entry"
        if not functions and not seen.classes:
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
        top = {
            index: weight
            for name, (_, _, seen) in self.modules.items()
            if name not in tests
            for index, weight in self.at_top(seen)
        }
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
            if not function.callers and index not in roots and function.module not in tests:
                # Called by what cannot be seen: dispatch, other projects.
                roots[index] = 1.0
            if not entries:
                function.reachable = True
        self.spread(roots)

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

    def spread(self, roots: dict[int, float]) -> None:
        """Frequencies from callers to callees, in an order that meets callers first; a call back up is recursion."""
        functions = self.functions
        order: list[int] = []
        state = bytearray(len(functions))
        back: set[tuple[int, int]] = set()
        for root in (*sorted(roots), *range(len(functions))):
            if state[root]:
                continue
            state[root] = 1
            stack = [(root, iter(functions[root].callees))]
            while stack:
                index, rest = stack[-1]
                for callee in rest:
                    if state[callee] == 1:
                        back.add((index, callee))
                    elif state[callee] == 0:
                        state[callee] = 1
                        stack.append((callee, iter(functions[callee].callees)))
                        break
                else:
                    state[index] = 2
                    order.append(index)
                    stack.pop()
        turns = {callee for _, callee in back}
        frequency = [0.0] * len(functions)
        for index, weight in roots.items():
            frequency[index] = weight
        for index in reversed(order):
            own = frequency[index]
            if own == 0.0:
                continue
            if index in turns:
                own = frequency[index] = min(own * RECURSION, MOST_CALLS)
            for callee, weight in functions[index].callees.items():
                if (index, callee) not in back:
                    frequency[callee] = min(frequency[callee] + own * weight, MOST_CALLS)
        for index, function in enumerate(functions):
            function.frequency = frequency[index]
            function.recursive = index in turns


_ORDER = {
    role: place
    for place, role in enumerate(
        "web task command consumer startup shutdown main worker_loop thread middleware test fixture migration orm_query model "
        "context_manager callback".split()
    )
}
_LED = ENTRIES | {"middleware", "callback", "model", "orm_query"}
"""Roles whose functions somebody else's code calls."""
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
