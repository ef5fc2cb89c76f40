"""Assignments: what names, attributes and items come to stand for, and which state that outlives a call is changed."""

from __future__ import annotations

import ast
from typing import Any

from autoscope.plan.analysis.annotations import Annotations
from autoscope.plan.analysis.dotted import MOST_EXPRESSION, element

_LITERALS = frozenset((ast.List, ast.Tuple, ast.Set, ast.Dict))
_EMPTY = frozenset(("builtins.list()", "builtins.set()", "builtins.dict()", "collections.deque()"))


class Assignments(Annotations):
    """The walk, as far as something is given a value."""

    def store(self, target: Any, value: str | None, source: Any, keep: bool = False) -> None:
        """A target is given what `value` stands for; `keep`: it is changed rather than replaced."""
        code = self.code
        code.nodes += code.weight
        if value is not None and len(value) > MOST_EXPRESSION:
            value = None
        kind = type(target)
        if kind is ast.Name:
            name = target.id
            if name in code.globals:
                code.changes[f"global {name}"] = None
                if value and name not in self.names:
                    self.names[name] = value
            elif name in code.nonlocals:
                code.changes[f"nonlocal {name}"] = None
            elif keep:
                pass
            elif self.body_class and type(source) in _LITERALS:
                code.scope[name] = value
                self.table(f"{self.body_class}.{name}", source)
            elif code.scope is self.bound:
                if value and name not in self.names:
                    self.names[name] = value
                if source is not None:
                    self.table(name, source)
            else:
                if type(source) in _LITERALS and self.table(f"@{source.lineno}", source, 2):
                    self.names[f"@{source.lineno}"] = value or "builtins.list()"
                    value = f"{self.module}.@{source.lineno}"
                if value or code.scope.get(name) is None:
                    code.scope[name] = value
                if name in code.parameters:
                    code.parameters = {key: word for key, word in code.parameters.items() if key != name}
        elif kind is ast.Attribute:
            base = self.visit(target.value)
            name = target.attr
            self.changed(target)
            if code.owner and self.is_self(target.value):
                if value and base and base.endswith("()"):
                    self.classes[code.owner][2].setdefault(name, value)
                if type(source) in _LITERALS:
                    self.table(f"{code.owner}.{name}", source)
        elif kind is ast.Subscript:
            self.implied(self.visit(target.value), "__setitem__")
            self.visit(target.slice)
            self.collect(target.value, "{}", value)
            self.changed(target.value)
        elif kind is ast.Tuple or kind is ast.List:
            values = source.elts if type(source) in (ast.Tuple, ast.List) else []
            items = target.elts
            for place, item in enumerate(items):
                if len(values) == len(items):
                    # Visited already as parts of the whole: only what it is is asked.
                    self.store(item, self.peek(values[place]), values[place])
                else:
                    self.store(item, element(value), None)
        elif kind is ast.Starred:
            self.store(target.value, None, None)

    def each(self, target: Any, iterated: ast.expr, what: str | None) -> None:
        """A loop's target is given what there is in `iterated`, which stands for `what`."""
        if type(target) is ast.Tuple and type(iterated) is ast.Call and len(target.elts) == 2:
            function, arguments = iterated.func, iterated.args
            first, second = target.elts
            if type(function) is ast.Name and arguments:
                if function.id == "enumerate":
                    self.store(first, None, None)
                    self.each(second, arguments[0], self.peek(arguments[0]))
                    return
                if function.id == "zip" and len(arguments) == 2:
                    for part, argument in zip(target.elts, arguments, strict=True):
                        self.store(part, element(self.peek(argument)), None)
                    return
            elif type(function) is ast.Attribute and function.attr == "items" and not arguments:
                self.store(first, None, None)
                self.store(second, element(self.peek(function.value)), None)
                return
        self.implied(what, "__iter__")
        self.store(target, element(what), None)

    def is_self(self, node: ast.expr) -> bool:
        return type(node) is ast.Name and node.id == self.code.self_name

    def collect(self, container: ast.expr, prefix: str, value: str | None) -> None:
        """Something is put into a list, set or dict that was empty: `[]`, `{}` of what it stands for."""
        if value is None or value[-1] != ")" or value[0] in "?[{" or value.startswith("builtins."):
            return
        code = self.code
        if type(container) is ast.Name:
            if code.scope is not self.bound and code.scope.get(container.id) in _EMPTY:
                code.scope[container.id] = prefix + value
        elif code.owner and type(container) is ast.Attribute and self.is_self(container.value):
            attributes = self.classes[code.owner][2]
            if attributes.get(container.attr) in _EMPTY:
                attributes[container.attr] = prefix + value

    def table(self, name: str, source: Any, least: int = 1) -> bool:
        """Keep what may be functions among a collection's values, or its rows': dispatch tables, URL patterns. Whether any are kept."""
        found = []
        for value in source.values if type(source) is ast.Dict else getattr(source, "elts", ()):
            for item in value.elts if type(value) is ast.Tuple else (value,):
                if type(item) is ast.Name or type(item) is ast.Attribute:
                    word = self.peek(item)
                    if word and word[0] != "?" and word[-1] not in ")]" and not word.startswith("builtins."):
                        found.append(word)
        kept = tuple(dict.fromkeys(found))
        if len(kept) < least:
            return False
        self.tables[name] = kept
        return True

    def changed(self, target: ast.expr) -> None:
        """State that outlives the call, if `target` is part of any."""
        names: list[str] = []
        node: Any = target
        while True:
            kind = type(node)
            if kind is ast.Attribute:
                names.append(node.attr)
                node = node.value
            elif kind is ast.Subscript:
                node = node.value
            else:
                break
        if type(node) is not ast.Name:
            return
        code = self.code
        if node.id == code.self_name:
            word = "self." + names[-1] if names else ""
        elif node.id in code.scope and code.scope is not self.bound:
            return
        else:
            found = self.lookup(node.id)
            word = ".".join([found, *reversed(names)]) if found and code.index >= 0 else ""
        if word:
            code.changes[word] = None

    def implied(self, what: str | None, name: str) -> None:
        """An operator, a loop or the like has the class of `what` do something."""
        if what is not None and what[0] not in "?[{" and not what.startswith("builtins."):
            loads = self.code.loads
            word = f"{what}.{name}"
            loads[word] = loads.get(word, 0.0) + self.code.weight
