"""The call graph: whom a function calls and how often, in the project and outside, and what that comes to in I/O and work."""

from __future__ import annotations

from collections.abc import Iterable

from autoscope.plan import catalogue
from autoscope.plan.analysis.block_frequency import ITERATIONS
from autoscope.plan.analysis.seen import SeenFunction
from autoscope.plan.facts import Function
from autoscope.plan.link.decorators import Decorators
from autoscope.plan.link.resolution import BUSY

NODE_NS = 4.0
"""CPU time of one part of an expression or statement once it is warm, on the machine of the shipped cost table."""
CALL_NS = 30.0
"""Of calling a Python function."""
MAKE_NS = 120.0
"""Of making the object that an `__init__` is given."""
HEAVY_NS = 1e7
"""Of a call outside the project from which on it is worth watching for that alone."""
MOST_OVERRIDING = 20
"""Methods of subclasses that a call of their base's is taken to reach."""
MOST_SHARED = 100
"""Functions that a call of one of a table's, or of those whose names begin alike, is taken to reach."""
MOST_CANDIDATES = 3
"""Classes that may have a method of one name for a call on an unknown object to be taken for a call of theirs."""
_COMMON = frozenset(
    name
    for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset, complex, Exception)
    for name in dir(kind)
) | frozenset(
    "open close read write readline flush seek acquire release start run join wait put send next name value".split()
)
"""Method names that say nothing about whose they are."""
_INSTEAD = {
    "__bool__": "__len__",
    "__str__": "__repr__",
    "__ne__": "__eq__",
    "__contains__": "__iter__",
    "__iter__": "__getitem__",
}
"""What Python calls where a class has not what was asked for."""


class CallGraph(Decorators):
    """The linker, as far as it knows who calls whom."""

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
                entity = memo.get(expression, BUSY)
                if entity is BUSY:
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
                    entity = memo.get(head, BUSY)
                    if entity is BUSY:
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


def _owner(method: Function) -> str:
    """The class a method is defined in."""
    return f"{method.module}.{method.qualname.rpartition('.')[0]}"
