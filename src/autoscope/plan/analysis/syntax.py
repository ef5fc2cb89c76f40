"""What single nodes of a tree say by themselves, without what surrounds them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from typing import Any

_OFF = re.compile(r"#\s*autoscope:\s*(off|never|trace)\b")
_TELLS = frozenset(
    "capture_exception critical debug error exception fatal info log print print_exc warn warning".split()
)
_INLINED = sys.version_info >= (3, 12)
"""Whether a comprehension's code is part of that around it."""


def is_main_guard(test: ast.expr) -> bool:
    """Whether a test is `__name__ == "__main__"`, either way round."""
    if type(test) is not ast.Compare or len(test.ops) != 1 or type(test.ops[0]) is not ast.Eq:
        return False
    sides = (test.left, test.comparators[0])
    named = any(type(side) is ast.Name and side.id == "__name__" for side in sides)
    return named and any(type(side) is ast.Constant and side.value == "__main__" for side in sides)


def find_marks(text: str) -> dict[int, str]:
    """Line -> `off`, `never` or `trace` where a comment there says so."""
    import io
    import tokenize

    marks = {}
    for kind, word, (line, _), _, _ in tokenize.generate_tokens(io.StringIO(text).readline):
        if kind == tokenize.COMMENT and (found := _OFF.search(word)):
            marks[line] = found[1]
    return marks


def mangled(name: str, class_name: str) -> str:
    """A name as code in a class has it: `__key` in `Cart` is `_Cart__key`."""
    owner = class_name.rpartition(".")[2].lstrip("_")
    return f"_{owner}{name}" if owner and not name.endswith("__") and "." not in name else name


def suspends(nodes: Iterable[ast.AST]) -> bool:
    """Whether there is a `yield` in code, be it out of reach, that makes its function a generator."""
    work = list(nodes)
    while work:
        node = work.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            work.extend(ast.iter_child_nodes(node))
    return False


def beginning(node: ast.expr) -> str:
    """How a computed name begins: `visit_` of `f"visit_{kind}"`, `"visit_" + kind` and `"visit_%s" % kind`."""
    found: Any = None
    if type(node) is ast.JoinedStr and node.values:
        found = node.values[0]
    elif type(node) is ast.BinOp and type(node.op) in (ast.Add, ast.Mod):
        found = node.left
    if type(found) is not ast.Constant or type(found.value) is not str:
        return ""
    start = found.value.partition("%")[0]
    return start if start.isidentifier() else ""


def has_lambda(node: ast.AST | None) -> bool:
    return node is not None and any(type(inner) is ast.Lambda for inner in ast.walk(node))


def comprehension_prefix(kind: Any) -> str:
    """What the code of a comprehension adds to the qualified names of lambdas in it."""
    if kind is ast.GeneratorExp:
        return "<genexpr>."
    return "" if _INLINED else {ast.ListComp: "<listcomp>.", ast.SetComp: "<setcomp>."}.get(kind, "<dictcomp>.")


def endless(test: ast.expr) -> bool:
    """Whether a `while` with this test runs until it is told to stop: `True`, `not self.stopping`, `not stop.is_set()`."""
    if type(test) is ast.Constant:
        return bool(test.value)
    if type(test) is ast.UnaryOp and type(test.op) is ast.Not:
        test = test.operand
        if type(test) is ast.Call:
            return last_name(test) in ("is_set", "wait", "closed", "is_closing", "done", "cancelled")
    name = last_name(test) if type(test) in (ast.Name, ast.Attribute) else ""
    return any(
        word in name.lower() for word in ("run", "stop", "alive", "shut", "clos", "quit", "exit", "done", "active")
    )


def last_name(node: ast.expr | None) -> str:
    """`errors.NotFound("…")` -> `NotFound`."""
    if type(node) is ast.Call:
        node = node.func
    if type(node) is ast.Attribute:
        return node.attr
    return node.id if type(node) is ast.Name else ""


def tells(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does anything with what it caught: raises, logs it, or uses it."""
    node: Any
    for node in ast.walk(handler):
        kind = type(node)
        if kind is ast.Raise:
            return True
        if kind is ast.Name and handler.name and node.id == handler.name:
            return True
        if kind is ast.Call and last_name(node) in _TELLS:
            return True
    return False
