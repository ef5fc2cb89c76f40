"""Annotations: what a value annotated so is."""

from __future__ import annotations

import ast
from typing import Any

from autoscope.plan.analysis.scopes import Scopes
from autoscope.plan.analysis.seen import MOST_TEXT
from autoscope.plan.analysis.syntax import has_lambda, last_name

_CONTAINERS = frozenset(
    "list List set Set frozenset FrozenSet tuple Tuple Sequence MutableSequence Iterable Iterator Collection deque Deque AbstractSet "
    "Generator AsyncIterator AsyncIterable AsyncGenerator MutableSet QuerySet".split()
)
_MAPPINGS = frozenset("dict Dict Mapping MutableMapping defaultdict DefaultDict OrderedDict".split())
TRANSPARENT = frozenset(
    "Optional Annotated Final ClassVar Required NotRequired ReadOnly Awaitable Coroutine Mapped".split()
)
_SELF = frozenset(("typing.Self", "typing_extensions.Self"))
_ANYTHING = frozenset(
    ("builtins.object", "typing.Any", "typing_extensions.Any", "typing.Callable", "collections.abc.Callable")
)
"""Annotations that say nothing about what a value can do."""


class Annotations(Scopes):
    """The walk, as far as it reads annotations."""

    def annotation(self, node: Any) -> str | None:
        """What a value annotated so is: `Cart` -> `shop.cart.Cart()`, `list[Cart]` -> `[]shop.cart.Cart()`."""
        kind = type(node)
        if kind is ast.Name:
            found = self.lookup(node.id)
            if found is None or found[-1] == ")":
                return found
            if found in _ANYTHING:
                return None
            return found + "()" if found not in _SELF else self.own()
        if kind is ast.Attribute:
            found = self.peek(node)
            if found in _SELF:
                return self.own()
            return found + "()" if found and found[0] != "?" and found not in _ANYTHING else None
        if kind is ast.Constant:
            value = node.value
            if type(value) is not str or len(value) > MOST_TEXT:
                return None
            try:
                return self.annotation(ast.parse(value.strip(), mode="eval").body)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                return None
        if kind is ast.BinOp:
            return self.known(node.left) or self.known(node.right)
        if kind is ast.Subscript:
            return self.generic(node)
        return None

    def own(self) -> str | None:
        return f"{self.module}.{self.class_name}()" if self.class_name else None

    def known(self, node: ast.expr) -> str | None:
        return None if type(node) is ast.Constant and node.value is None else self.annotation(node)

    def generic(self, node: ast.Subscript) -> str | None:
        base = last_name(node.value)
        inner = node.slice
        items = inner.elts if type(inner) is ast.Tuple else [inner]
        if not items:
            return None
        if base in TRANSPARENT:
            return self.annotation(items[-1] if base == "Coroutine" else items[0])
        if base == "Union":
            return next(filter(None, map(self.known, items)), None)
        if base in ("type", "Type"):
            found = self.annotation(items[0])
            return found[:-2] if found and found.endswith("()") else None
        if base in _CONTAINERS:
            found = self.annotation(items[0])
            return "[]" + found if found else "builtins.list()"
        if base in _MAPPINGS:
            found = self.annotation(items[-1])
            return "{}" + found if found else "builtins.dict()"
        if base in ("Callable", "Literal"):
            return None
        return self.annotation(node.value)

    def evaluated(self, annotation: ast.expr | None) -> None:
        """Walk an annotation that is evaluated with what it stands on, for the lambdas in it."""
        if annotation is None or type(annotation) in (ast.Name, ast.Attribute, ast.Constant):
            return
        if "__future__.annotations" not in self.imports and has_lambda(annotation):
            self.visit(annotation)

    def peek(self, node: ast.expr) -> str | None:
        """What an expression is, without counting it."""
        code = self.code
        if type(node) is ast.Name:
            return self.lookup(node.id)
        kept = code.calls, code.loads, code.nodes, code.branches, code.cognitive, len(self.handed), len(self.functions)
        code.calls, code.loads = {}, {}
        found = self.visit(node)
        code.calls, code.loads, code.nodes, code.branches, code.cognitive = kept[:5]
        del self.handed[kept[5] :]
        del self.functions[kept[6] :]
        return found
