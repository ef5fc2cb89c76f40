"""The whole walk over one module: what to do at each kind of node."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from autoscope.plan.analysis.definitions import Definitions
from autoscope.plan.analysis.scopes import TYPE_ALIAS
from autoscope.plan.analysis.seen import Seen, SeenClass
from autoscope.plan.analysis.syntax import suspends


class Walk(Definitions):
    """The walk over one module."""

    def seen(self) -> Seen:
        self.bind(self.tree.body)
        for name, bound in self.bounds:
            found = self.annotation(bound)
            if found and found.endswith("()"):
                self.bound[name] = found[:-2]
        self.block(self.tree.body)
        return Seen(
            self.lines,
            tuple(self.imports),
            tuple(self.stars),
            self.names,
            tuple(
                SeenClass(name, tuple(bases), tuple(decorators), attributes, mark)
                for name, (bases, decorators, attributes, mark) in self.classes.items()
            ),
            tuple(function for function in self.functions if function is not None),
            tuple(self.handed),
            self.code.calls,
            self.main_calls,
            self.code.nodes,
            self.has_main,
            self.tables,
        )

    def block(self, body: Sequence[ast.stmt]) -> bool:
        """Walk statements up to the first that is always left; whether there is one. What follows it can never run."""
        code = self.code
        for node in body:
            code.nodes += code.weight
            code.statements += 1
            if _STATEMENTS[type(node)](self, node):
                if node is not body[-1] and not code.is_generator:
                    code.is_generator = suspends(body[body.index(node) + 1 :])
                return True
        return False

    def visit(self, node: ast.expr) -> str | None:
        code = self.code
        code.nodes += code.weight
        found: str | None = _EXPRESSIONS[type(node)](self, node)
        return found

    def unknown(self, node: Any) -> None:
        """A node newer than this walk: its parts are looked at, what it is is not known."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.visit(child)
            elif isinstance(child, ast.stmt):
                self.block([child])


class _Known(dict[type, Callable[[Any, Any], Any]]):
    """A node of a Python newer than this file does not stop anything."""

    def __missing__(self, kind: type) -> Callable[[Any, Any], Any]:
        return Walk.unknown


_STATEMENTS = _Known(
    {
        ast.FunctionDef: Walk.function,
        ast.AsyncFunctionDef: Walk.function,
        ast.ClassDef: Walk.class_,
        ast.Return: Walk.return_,
        ast.Assign: Walk.assign,
        ast.AnnAssign: Walk.annotated,
        ast.AugAssign: Walk.augmented,
        ast.For: Walk.loop,
        ast.AsyncFor: Walk.loop,
        ast.While: Walk.while_,
        ast.If: Walk.if_,
        ast.Try: Walk.try_,
        ast.TryStar: Walk.try_,
        ast.Raise: Walk.raise_,
        ast.With: Walk.with_,
        ast.AsyncWith: Walk.with_,
        ast.Match: Walk.match,
        ast.Import: Walk.import_here,
        ast.ImportFrom: Walk.import_here,
        ast.Global: Walk.globals_,
        ast.Nonlocal: Walk.nonlocals_,
        ast.Expr: Walk.value,
        ast.Assert: Walk.assert_,
        ast.Delete: Walk.delete,
        ast.Pass: Walk.nothing,
        ast.Break: Walk.break_,
        ast.Continue: Walk.continue_,
    }
)
_EXPRESSIONS = _Known(
    {
        ast.Name: Walk.name,
        ast.Attribute: Walk.attribute,
        ast.Call: Walk.call,
        ast.Await: Walk.await_,
        ast.Yield: Walk.yield_,
        ast.YieldFrom: Walk.yield_from,
        ast.BinOp: Walk.binary,
        ast.UnaryOp: Walk.unary,
        ast.Compare: Walk.compare,
        ast.BoolOp: Walk.boolean,
        ast.IfExp: Walk.conditional,
        ast.Constant: Walk.constant,
        ast.JoinedStr: Walk.joined,
        ast.List: Walk.sequence,
        ast.Tuple: Walk.sequence,
        ast.Set: Walk.sequence,
        ast.Dict: Walk.dictionary,
        ast.Starred: Walk.starred,
        ast.Subscript: Walk.subscript,
        ast.Slice: Walk.slice_,
        ast.NamedExpr: Walk.walrus,
        ast.ListComp: Walk.comprehension,
        ast.SetComp: Walk.comprehension,
        ast.DictComp: Walk.comprehension,
        ast.GeneratorExp: Walk.comprehension,
        ast.Lambda: Walk.lambda_,
    }
)
if TYPE_ALIAS is not None:
    _STATEMENTS[TYPE_ALIAS] = Walk.type_alias
