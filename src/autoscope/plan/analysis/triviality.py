"""Whether anything in a function can take time."""

from __future__ import annotations

import ast
from typing import Any

from autoscope.plan.analysis.syntax import last_name


def trivial(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Why nothing in a function can take time; empty where something can. `link` knows better of delegations that do I/O."""
    body = node.body
    if body and type(body[0]) is ast.Expr and type(body[0].value) is ast.Constant:
        body = body[1:]
    if not body:
        return "empty"
    if len(body) > 4:
        return ""
    only: Any = body[0]
    kind = type(only)
    if len(body) == 1:
        if kind is ast.Pass or (kind is ast.Expr and type(only.value) is ast.Constant):
            return "empty"
        if kind is ast.Raise:
            return "stub" if last_name(only.exc) in ("NotImplementedError", "NotImplemented") else ""
        if kind is ast.Return:
            value = only.value
            if value is None:
                return "empty"
            if type(value) is ast.Constant:
                return "constant"
            if _plain(value):
                return "accessor"
        value = only.value if kind in (ast.Return, ast.Expr) else None
        if type(value) is ast.Await:
            value = value.value
        if type(value) is ast.Call and _delegates(value):
            return "delegation"
    if all(_sets(statement) for statement in body):
        return "constructor" if node.name in ("__init__", "__new__") else "accessor"
    return ""


def _sets(node: ast.stmt) -> bool:
    """`self.x = y`, with nothing to be worked out."""
    if type(node) is ast.Assign:
        return _plain(node.value) and all(type(target) is ast.Attribute and _plain(target) for target in node.targets)
    if type(node) is ast.AnnAssign:
        return node.value is not None and _plain(node.value)
    if type(node) is ast.Return:
        return node.value is None or _plain(node.value)
    return False


_PLAIN = (ast.Name, ast.Constant)


def _plain(node: Any, depth: int = 3) -> bool:
    """Whether an expression only reads and combines a few values."""
    kind = type(node)
    if kind in _PLAIN:
        return True
    if depth == 0:
        return False
    if kind is ast.Attribute:
        return _plain(node.value, depth)
    if kind is ast.Subscript:
        return _plain(node.value, depth - 1) and _plain(node.slice, depth - 1)
    if kind is ast.Compare:
        return _plain(node.left, depth - 1) and all(_plain(item, depth - 1) for item in node.comparators)
    if kind is ast.BoolOp:
        return all(_plain(item, depth - 1) for item in node.values)
    if kind is ast.UnaryOp:
        return _plain(node.operand, depth - 1)
    if kind is ast.BinOp and type(node.op) is not ast.MatMult:
        return _plain(node.left, depth - 1) and _plain(node.right, depth - 1)
    if kind in (ast.Tuple, ast.List):
        return all(_plain(item, depth - 1) for item in node.elts)
    if kind is ast.Dict:
        return not node.keys
    if kind is ast.JoinedStr:
        return all(
            type(item) is ast.Constant or (type(item) is ast.FormattedValue and _plain(item.value, depth - 1))
            for item in node.values
        )
    return False


def _delegates(node: ast.Call) -> bool:
    """Whether a call only passes on what it is given."""
    function = node.func
    while type(function) is ast.Attribute:
        function = function.value
    if type(function) is ast.Call:
        if type(function.func) is not ast.Name or function.func.id != "super":
            return False
    elif type(function) is not ast.Name:
        return False
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    return all(_plain(item.value if type(item) is ast.Starred else item, 1) for item in arguments)
