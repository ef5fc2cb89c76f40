"""Statements: control flow, how often each part of it runs, and whether it is left for good."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from autoscope.plan.analysis.block_frequency import BRANCH, ITERATIONS, RARELY, trip_count
from autoscope.plan.analysis.expressions import OPERATORS, Expressions
from autoscope.plan.analysis.seen import MOST_TEXT
from autoscope.plan.analysis.syntax import endless, is_main_guard, last_name, suspends, tells

_ROUTERS = frozenset(("fastapi.APIRouter()", "flask.Blueprint()", "quart.Blueprint()", "sanic.Blueprint()"))


class Statements(Expressions):
    """The walk over statements."""

    def at(self, body: Sequence[ast.stmt], share: float, nest: int = 1) -> bool:
        """A block that runs `share` times for each time what stands before it does."""
        code = self.code
        weight = code.weight
        code.weight = weight * share
        code.nest += nest
        left = self.block(body)
        code.nest -= nest
        code.weight = weight
        return left

    def return_(self, node: ast.Return) -> bool:
        if node.value is not None:
            found = self.visit(node.value)
            if found and not self.code.returns:
                self.code.returns = found
        return True

    def assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        for target in node.targets:
            self.store(target, value, node.value)
        if value in _ROUTERS and self.code.scope is self.bound:
            self.know_prefix(node)

    def know_prefix(self, node: ast.Assign) -> None:
        """What the routes of a router begin with: `router = APIRouter(prefix="/items")`."""
        target, made = node.targets[0], node.value
        if type(target) is ast.Name and type(made) is ast.Call:
            for keyword in made.keywords:
                value = keyword.value
                if keyword.arg in ("prefix", "url_prefix") and type(value) is ast.Constant and type(value.value) is str:
                    self.prefixes[f"{self.module}.{target.id}"] = value.value[:MOST_TEXT]

    def annotated(self, node: ast.AnnAssign) -> None:
        value = self.visit(node.value) if node.value is not None else None
        known = self.annotation(node.annotation)
        if self.lambdas and (self.code.index < 0 or self.body_class):
            self.evaluated(node.annotation)
        if value and (known is None or known.startswith("builtins.")):
            known = value
        self.store(node.target, known, node.value)

    def augmented(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if type(node.target) is not ast.Subscript:
            self.implied(self.peek(node.target), OPERATORS[type(node.op)])
        self.store(node.target, None, None, keep=True)

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        code = self.code
        what = self.visit(node.iter)
        times = trip_count(node.iter, self.numbers)
        self.each(node.target, node.iter, what)
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.depth += 1
        code.most_depth = max(code.most_depth, code.depth)
        breaks = code.breaks
        self.at(node.body, times)
        code.breaks = breaks
        code.depth -= 1
        if node.orelse:
            code.cognitive += 1
            self.at(node.orelse, 1.0)

    def while_(self, node: ast.While) -> bool:
        code = self.code
        always = node.test.value if type(node.test) is ast.Constant else None
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.depth += 1
        code.most_depth = max(code.most_depth, code.depth)
        code.serves = code.serves or endless(node.test)
        weight = code.weight
        code.weight = weight * ITERATIONS
        self.implied(self.visit(node.test), "__bool__")
        code.weight = weight
        breaks, code.breaks = code.breaks, False
        if always is None or always:
            self.at(node.body, ITERATIONS)
        else:
            self.dead(node.body)
        forever = bool(always) and not code.breaks
        code.breaks = breaks
        code.depth -= 1
        if forever:
            self.dead(node.orelse)
        elif node.orelse:
            code.cognitive += 1
            self.at(node.orelse, 1.0)
        return forever

    def if_(self, node: ast.If) -> bool:
        code = self.code
        if code.index < 0 and is_main_guard(node.test):
            self.has_main = True
            kept, code.calls = code.calls, self.main_calls
            self.block(node.body)
            code.calls = kept
            self.block(node.orelse)
            return False
        share = BRANCH if code.index >= 0 else 1.0
        weight = code.weight
        code.cognitive += 1 + code.nest
        left = True
        while True:  # once for the `if` and for every `elif`: of those there may be thousands
            self.implied(self.visit(node.test), "__bool__")
            code.branches += 1
            other = node.orelse
            if type(node.test) is not ast.Constant:
                left = self.at(node.body, share) and left
            elif node.test.value:
                left = self.at(node.body, 1.0) and left
                self.dead(other)
                break
            else:
                self.dead(node.body)
            if len(other) != 1 or type(other[0]) is not ast.If or other[0].col_offset != node.col_offset:
                if other:  # an `else`; one whose only statement is an `if` is none the simpler for it
                    code.cognitive += 1
                left = self.at(other, share) and left
                break
            code.statements += 1
            code.cognitive += 1
            code.weight *= share
            node = other[0]
        code.weight = weight
        return left

    def dead(self, body: Sequence[ast.stmt]) -> None:
        """A block that can never run: the compiler leaves it out. Only whether it yields counts."""
        if body and not self.code.is_generator:
            self.code.is_generator = suspends(body)

    def break_(self, node: ast.Break) -> bool:
        self.code.breaks = True
        return True

    def continue_(self, node: ast.Continue) -> bool:
        return True

    def try_(self, node: Any) -> bool:
        code = self.code
        left = self.block(node.body)
        caught = True
        for handler in node.handlers:
            code.branches += 1
            code.cognitive += 1 + code.nest
            names = self.exceptions(handler.type)
            code.catches.extend(names)
            if handler.name and code.scope is not self.bound:
                code.scope[handler.name] = None
            if not tells(handler):
                code.swallows.extend(names)
            if handler.name:
                code.caught.append(handler.name)
            caught = self.at(handler.body, RARELY) and caught
            if handler.name:
                code.caught.pop()
        if left:
            self.dead(node.orelse)
        else:
            left = self.block(node.orelse)
        return self.block(node.finalbody) or (left and caught)

    def exceptions(self, node: ast.expr | None) -> list[str]:
        if node is None:
            return ["*"]
        if type(node) is ast.Tuple:
            return [name for item in node.elts for name in self.exceptions(item)]
        self.visit(node)
        name = last_name(node.value if type(node) is ast.Starred else node)
        return [name] if name else []

    def raise_(self, node: ast.Raise) -> bool:
        code = self.code
        if node.exc is None:
            code.raises.append("...")
            return True
        weight = code.weight
        code.weight = weight * RARELY
        self.visit(node.exc)
        if node.cause is not None:
            self.visit(node.cause)
        code.weight = weight
        what: Any = node.exc
        if type(what) is ast.Call and type(what.func) is ast.Attribute and what.func.attr == "with_traceback":
            what = what.func.value
        name = last_name(what)
        code.raises.append("..." if type(what) is ast.Name and name in code.caught else name)
        return True

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        enter, leave = ("__aenter__", "__aexit__") if type(node) is ast.AsyncWith else ("__enter__", "__exit__")
        for item in node.items:
            what = self.visit(item.context_expr)
            if what == "contextlib.suppress()" and type(item.context_expr) is ast.Call:
                names = [name for word in item.context_expr.args for name in self.exceptions(word)]
                self.code.catches += names
                self.code.swallows += names
            if what:
                self.count(f"{what}.{enter}")
                self.count(f"{what}.{leave}")
            if item.optional_vars is not None:
                self.store(item.optional_vars, f"{what}.{enter}()" if what else None, None)
        self.block(node.body)

    def match(self, node: ast.Match) -> bool:
        code = self.code
        subject = self.visit(node.subject)
        code.cognitive += 1 + code.nest
        left = True
        for case in node.cases:
            always = case.guard is None and type(case.pattern) is ast.MatchAs and case.pattern.pattern is None
            code.branches += 1 - always
            if case.guard is not None:
                code.branches += 1
                self.visit(case.guard)
            what = subject
            for inner in ast.walk(case.pattern):
                if type(inner) is ast.MatchValue:
                    self.visit(inner.value)
                elif type(inner) is ast.MatchClass:
                    found = self.visit(inner.cls)
                    if found and (inner is case.pattern or getattr(case.pattern, "pattern", None) is inner):
                        what = found + "()"
                name = getattr(inner, "name", None) or getattr(inner, "rest", None)
                if name and code.scope is not self.bound:
                    code.scope[name] = what if inner is case.pattern else None
            left = self.at(case.body, 1.0 / max(len(node.cases), 1)) and left
        return left and always

    def import_here(self, node: ast.Import | ast.ImportFrom) -> None:
        if self.code.scope is not self.bound:
            self.import_(node, self.code.scope, True)

    def globals_(self, node: ast.Global) -> None:
        self.code.globals.update(node.names)

    def nonlocals_(self, node: ast.Nonlocal) -> None:
        self.code.nonlocals.update(node.names)

    def value(self, node: Any) -> None:
        self.visit(node.value)

    def assert_(self, node: ast.Assert) -> None:
        self.code.branches += 1
        self.visit(node.test)
        if node.msg is not None:
            weight = self.code.weight
            self.code.weight = weight * RARELY
            self.visit(node.msg)
            self.code.weight = weight

    def delete(self, node: Any) -> None:
        targets: list[Any] = node.targets if type(node) is ast.Delete else node.elts
        for target in targets:
            kind = type(target)
            if kind is ast.Tuple or kind is ast.List:
                self.delete(target)
            elif kind is ast.Attribute:
                self.visit(target.value)
                self.changed(target)
            elif kind is ast.Subscript:
                self.implied(self.visit(target.value), "__delitem__")
                self.visit(target.slice)
                self.changed(target.value)

    def nothing(self, node: ast.AST) -> None:
        """`pass`."""
