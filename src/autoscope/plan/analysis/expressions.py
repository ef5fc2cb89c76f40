"""Expressions: each visit counts what is done and returns what the expression is, None where that is unknown."""

from __future__ import annotations

import ast
from typing import Any

from autoscope.plan.analysis.annotations import TRANSPARENT
from autoscope.plan.analysis.assignments import Assignments
from autoscope.plan.analysis.block_frequency import trip_count
from autoscope.plan.analysis.dotted import MOST_EXPRESSION, element, taken_from
from autoscope.plan.analysis.scopes import UNKNOWN
from autoscope.plan.analysis.seen import MOST_TEXT, Handed
from autoscope.plan.analysis.syntax import beginning, comprehension_prefix

SEQUENCE, MAPPING, TEXT = 5.0, 10.0, 10.0
"""What making a list, a mapping or a text takes beyond its parts, in parts of an expression."""
_MUTATORS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove reverse rotate setdefault sort update".split()
)
_COLLECTS = frozenset(("add", "append", "appendleft", "insert"))
_PASS_ON = frozenset(
    (
        "functools.partial",
        "functools.partialmethod",
        "builtins.staticmethod",
        "builtins.classmethod",
        "builtins.property",
        "builtins.iter",
        "functools.wraps()",
        "functools.update_wrapper",
        "builtins.sorted",
        "builtins.reversed",
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "collections.deque",
        "copy.copy",
        "copy.deepcopy",
    )
)
"""Calls whose result is, for our purposes, their first argument."""
_GIVES_ELEMENT = frozenset(f"builtins.{name}" for name in ("max", "min", "next", "sum"))
_WRITES_TO = frozenset(("csv.writer", "csv.DictWriter"))
"""Calls whose result writes to their first argument, be that a file or not."""
_NO_CALLS = frozenset(("builtins.super", "builtins.getattr", "builtins.type"))
_KNOWN_RESULTS = (
    "builtins.str",
    "builtins.open",
    "builtins.bytes",
    "builtins.super",
    "builtins.type",
    "builtins.list",
    "builtins.dict",
    "builtins.set",
    "builtins.tuple",
    "builtins.frozenset",
    "builtins.object",
)
"""Of what else is built in, nobody knows what the result can do."""
_IMPLIED = {
    **{
        f"builtins.{name}": f"__{name}__"
        for name in ("len", "next", "iter", "str", "repr", "bool", "hash", "reversed", "abs", "int")
    },
    "builtins.list": "__iter__",
    "builtins.tuple": "__iter__",
    "builtins.set": "__iter__",
    "builtins.sorted": "__iter__",
    "builtins.enumerate": "__iter__",
    "builtins.sum": "__iter__",
    "builtins.any": "__iter__",
    "builtins.all": "__iter__",
}
"""Calls that make their first argument's class do something."""
OPERATORS: dict[type, str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.MatMult: "__matmul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__",
    ast.Pow: "__pow__",
    ast.LShift: "__lshift__",
    ast.RShift: "__rshift__",
    ast.BitOr: "__or__",
    ast.BitXor: "__xor__",
    ast.BitAnd: "__and__",
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
    ast.In: "__contains__",
    ast.NotIn: "__contains__",
    ast.USub: "__neg__",
    ast.UAdd: "__pos__",
    ast.Invert: "__invert__",
    ast.Not: "__bool__",
}
_GENERIC_BUILTINS = frozenset(f"builtins.{name}" for name in ("list", "dict", "set", "frozenset", "tuple", "type"))
_REFERENCES = (ast.Name, ast.Attribute, ast.Lambda, ast.Call)


class Expressions(Assignments):
    """The walk over expressions."""

    container = ""
    """What the attribute visited last belongs to, where that is a list or mapping of something."""

    def count(self, expression: str) -> None:
        code = self.code
        calls = code.calls
        calls[expression] = calls.get(expression, 0.0) + code.weight

    def name(self, node: ast.Name) -> str | None:
        return self.lookup(node.id)

    def attribute(self, node: ast.Attribute) -> str | None:
        found = self.member(self.visit(node.value), node.attr)
        if found[0] != "?" and "()" in found and not found.startswith("builtins."):
            loads = self.code.loads
            loads[found] = loads.get(found, 0.0) + self.code.weight
        return found

    def member(self, base: str | None, name: str) -> str:
        """What an attribute of `base` is."""
        if not base or base[0] == "?" or len(base) > MOST_EXPRESSION:
            return "?." + name
        if base[0] == "[" or base[0] == "{":
            self.container = base
            return f"builtins.{'list' if base[0] == '[' else 'dict'}().{name}"
        return f"{base}.{name}"

    def call(self, node: ast.Call) -> str | None:
        function = node.func
        code = self.code
        self.container = ""
        what: str | None
        if type(function) is ast.Attribute:
            code.nodes += code.weight
            what = self.member(self.visit(function.value), function.attr)
        else:
            what = self.visit(function)
        container, self.container = self.container, ""
        text = ""
        given: list[tuple[int | str, Any, str | None]] = []
        place: int | str
        for place, argument in enumerate(node.args):
            if type(argument) is ast.Constant:
                if not text and type(argument.value) is str:
                    text = argument.value[:MOST_TEXT]
                code.nodes += code.weight
                continue
            given.append((place, argument, self.visit(argument)))
        for keyword in node.keywords:
            value = keyword.value
            if type(value) is ast.Constant:
                code.nodes += code.weight
                if not text and type(value.value) is str and keyword.arg in ("path", "rule", "name", "route"):
                    text = value.value[:MOST_TEXT]
                continue
            given.append((keyword.arg or "**", value, self.visit(value)))
        if what is None:
            if type(function) is ast.Name and function.id in code.parameters:
                self.count(code.parameters[function.id])
            return None
        first = given[0][2] if given and given[0][0] == 0 else None
        if what in _NO_CALLS:
            found = self.of_builtin(what, node, first, text)
            if found is not UNKNOWN:
                return found  # type: ignore[no-any-return]
        elif what in ("typing.cast", "typing_extensions.cast") and len(node.args) == 2:
            return self.annotation(node.args[0])
        calls = code.calls
        calls[what] = calls.get(what, 0.0) + code.weight
        if type(function) is ast.Attribute and function.attr in _MUTATORS:
            self.changed(function.value)
            if function.attr in _COLLECTS and given:
                self.collect(function.value, "[]", given[-1][2])
        if self.prefixes and text[:1] == "/":
            text = self.prefixes.get(what.rpartition(".")[0], "") + text
        for place, argument, reference in given:
            if reference and type(argument) in _REFERENCES and reference[0] != "?" and reference[-1] not in ")]":
                if not reference.startswith("builtins."):
                    self.handed.append(Handed(what, place, text, reference, code.index, code.weight))
            elif type(argument) in (ast.List, ast.Tuple):
                for item in argument.elts:
                    word = self.peek(item) if type(item) in (ast.Name, ast.Attribute) else None
                    if word and word[0] != "?" and word[-1] not in ")]" and not word.startswith("builtins."):
                        self.handed.append(Handed(what, place, text, word, code.index, code.weight))
        if container:
            return taken_from(container, what.rpartition(".")[2])
        if first is not None:
            if what in _IMPLIED:
                self.implied(first, _IMPLIED[what])
            if what in _PASS_ON or (what in _WRITES_TO and first[0] != "?"):
                return first
        if what in _GIVES_ELEMENT and len(node.args) == 1:
            return element(first)
        if len(what) > MOST_EXPRESSION or (what.startswith("builtins.") and not what.startswith(_KNOWN_RESULTS)):
            return None
        return what + "()"

    def of_builtin(self, what: str, node: ast.Call, first: str | None, text: str) -> Any:
        """What calling something built in comes to, where that is no call or not just one; else `UNKNOWN`."""
        if what == "builtins.super":
            return f"{self.module}.{self.class_name}.__super__()" if self.class_name else None
        if what == "builtins.getattr" and len(node.args) > 1 and first:
            self.count(what)
            if text and len(node.args) == 2 and text.isidentifier():
                return self.member(first, text)
            start = beginning(node.args[1])
            return (
                f"{first}.{start}*" if start and first[0] not in "?[{" and not first.startswith("builtins.") else None
            )
        if what == "builtins.type" and len(node.args) == 1 and first:
            return first[:-2] if first.endswith("()") else None
        return UNKNOWN

    def await_(self, node: ast.Await) -> str | None:
        return self.visit(node.value)

    def yield_(self, node: ast.Yield) -> str | None:
        code = self.code
        code.is_generator = True
        if node.value is not None:
            found = self.visit(node.value)
            if found and not code.yields:
                code.yields = found
        return None

    def yield_from(self, node: ast.YieldFrom) -> str | None:
        code = self.code
        code.is_generator = True
        found = self.visit(node.value)
        self.implied(found, "__iter__")
        if not code.yields:
            code.yields = element(found) or ""
        return None

    def binary(self, node: ast.BinOp) -> str | None:
        left = self.visit(node.left)
        self.visit(node.right)
        if left is None:
            return None
        operator = type(node.op)
        self.implied(left, OPERATORS[operator])
        if operator is ast.BitOr and left[-1] != ")":
            return left  # an alias such as `Number = int | float`
        if left[0] in "?[{":
            return left if operator is ast.Add and left[0] != "?" else None
        if left.startswith("builtins."):
            return left if left == "builtins.str()" and operator in (ast.Add, ast.Mod) else None
        # A path divided is a path; what else operators give is taken to be of the same kind.
        return left if left[-1] == ")" else None

    def unary(self, node: ast.UnaryOp) -> str | None:
        found = self.visit(node.operand)
        self.implied(found, OPERATORS[type(node.op)])
        return None

    def compare(self, node: ast.Compare) -> None:
        left = self.visit(node.left)
        for operator, item in zip(node.ops, node.comparators, strict=True):
            right = self.visit(item)
            kind = type(operator)
            if kind is ast.In or kind is ast.NotIn:
                self.implied(right, "__contains__")
            elif left is not None and kind in OPERATORS:
                self.implied(left, OPERATORS[kind])
            left = right

    def boolean(self, node: ast.BoolOp) -> str | None:
        code = self.code
        code.branches += len(node.values) - 1
        code.cognitive += 1
        found = None
        last = node.values[-1]
        for value in node.values:
            what = self.visit(value)
            if value is not last:
                self.implied(what, "__bool__")
            found = what or found
        return found

    def conditional(self, node: ast.IfExp) -> str | None:
        code = self.code
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.nest += 1
        self.implied(self.visit(node.test), "__bool__")
        first = self.visit(node.body)
        second = self.visit(node.orelse)
        code.nest -= 1
        return first or second

    def constant(self, node: ast.Constant) -> str | None:
        return "builtins.str()" if type(node.value) is str else None

    def joined(self, node: ast.JoinedStr) -> str | None:
        self.code.nodes += self.code.weight * TEXT
        for value in node.values:
            if type(value) is ast.FormattedValue:
                self.code.nodes += self.code.weight
                self.implied(self.visit(value.value), "__repr__" if value.conversion == 114 else "__str__")
                if value.format_spec is not None:
                    self.visit(value.format_spec)
        return "builtins.str()"

    def sequence(self, node: Any) -> str | None:
        self.code.nodes += self.code.weight * SEQUENCE
        inner = None
        for value in node.elts:
            found = self.visit(value)
            if inner is None:
                inner = found
            elif found is not None and found != inner and type(node) is ast.Tuple:
                inner = "?"  # of several kinds: a part of it may be any
        return "[]" + inner if inner and inner[0] not in "?[{" else "builtins.list()"

    def dictionary(self, node: ast.Dict) -> str | None:
        self.code.nodes += self.code.weight * MAPPING
        for key in node.keys:
            if key is not None:
                self.visit(key)
        inner = None
        for value in node.values:
            found = self.visit(value)
            inner = inner or found
        return "{}" + inner if inner and inner[0] not in "?[{" else "builtins.dict()"

    def starred(self, node: ast.Starred) -> None:
        self.visit(node.value)

    def subscript(self, node: ast.Subscript) -> str | None:
        base = self.visit(node.value)
        self.visit(node.slice)
        if base is None:
            return None
        if base[-1] not in ")]" and base.rpartition(".")[2] in TRANSPARENT:
            inner = self.annotation(node)
            return inner[:-2] if inner and inner.endswith("()") else inner
        if base[-1] not in ")]":
            name = base.rpartition(".")[2]
            if (name[:1].isupper() and not name.isupper()) or base in _GENERIC_BUILTINS:
                return base  # a generic class with its parameters
        if type(node.slice) is ast.Slice and base[0] in "[{":
            return base
        self.implied(base, "__getitem__")
        return element(base)

    def slice_(self, node: ast.Slice) -> None:
        for part in (node.lower, node.upper, node.step):
            if part is not None:
                self.visit(part)

    def walrus(self, node: ast.NamedExpr) -> str | None:
        found = self.visit(node.value)
        self.store(node.target, found, node.value)
        return found

    def comprehension(self, node: Any) -> str | None:
        code = self.code
        weight, depth = code.weight, code.depth
        kept: dict[str, Any] = {}
        prefix = self.prefix
        for generator in node.generators:
            what = self.visit(generator.iter)
            if self.lambdas and prefix is self.prefix:  # what the first one goes through is found outside
                self.prefix += comprehension_prefix(type(node))
            code.branches += 1 + len(generator.ifs)
            code.cognitive += len(generator.ifs)
            code.depth += 1
            code.most_depth = max(code.most_depth, code.depth)
            code.weight *= trip_count(generator.iter, self.numbers)
            if code.scope is not self.bound:
                self.each(generator.target, generator.iter, what)
            else:
                for name in ast.walk(generator.target):
                    if type(name) is ast.Name and name.id in self.bound:
                        kept.setdefault(name.id, self.bound.pop(name.id))
            for test in generator.ifs:
                self.visit(test)
        if type(node) is ast.DictComp:
            self.visit(node.key)
            found = self.visit(node.value)
            answer = "{}" + found if found and found[0] not in "?[{" else "builtins.dict()"
        else:
            found = self.visit(node.elt)
            answer = "[]" + found if found and found[0] not in "?[{" else "builtins.list()"
        code.weight, code.depth = weight, depth
        self.prefix = prefix
        self.bound.update(kept)
        return answer
