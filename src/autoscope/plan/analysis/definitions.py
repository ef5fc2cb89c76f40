"""Definitions: functions, classes, lambdas, type aliases, with what decorates them."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from autoscope.plan.analysis.code_block import CodeBlock
from autoscope.plan.analysis.seen import MOST_TEXT, SeenFunction
from autoscope.plan.analysis.statements import Statements
from autoscope.plan.analysis.syntax import has_lambda
from autoscope.plan.analysis.triviality import trivial

_MARKS = {"autoscope.trace": "trace", "autoscope.never": "never"}
_CLASS_METHODS = frozenset(("__new__", "__init_subclass__", "__class_getitem__"))
_DEFINITIONS = frozenset((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


class Definitions(Statements):
    """The walk over definitions."""

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = self.code
        qualname, decorators, first, mark = self.head(node)
        if outer.scope is not self.bound and not self.in_class_body():
            outer.scope[node.name] = f"{self.module}.{qualname}"
        if self.lambdas:
            self.in_annotations(node)
        arguments = node.args
        positional = (*arguments.posonlyargs, *arguments.args)
        defaults: dict[str, str | None] = {}
        for argument, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
            defaults[argument.arg] = self.visit(default)
        for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if value is not None:
                defaults[argument.arg] = self.visit(value)
        index = len(self.functions)
        self.functions.append(None)
        scope: dict[str, Any] = {}
        names: list[str] = []
        parameters = dict(outer.parameters) if outer.parameters else {}
        method = self.in_class_body() and qualname is not node.name
        bound = method and not any(name == "builtins.staticmethod" for name, _ in decorators)
        for argument in (*positional, *arguments.kwonlyargs):
            name = argument.arg
            names.append(name)
            known = None
            if argument.annotation is not None and (not bound or len(names) > 1):
                known = self.annotation(argument.annotation)
            if known is None and defaults:
                known = defaults.get(name)
                if known is not None and known.startswith("builtins."):
                    known = None
            scope[name] = known
            if known is None:
                parameters[name] = f"{self.module}.{qualname}({name})"
            elif parameters:
                parameters.pop(name, None)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                names.append(extra.arg)
                scope[extra.arg] = None
        first_name = names[0] if positional else ""
        self_name = ""
        if bound and first_name:
            is_class = node.name in _CLASS_METHODS or any(name == "builtins.classmethod" for name, _ in decorators)
            scope[first_name] = f"{self.module}.{self.class_name}" + ("" if is_class else "()")
            parameters.pop(first_name, None)
            self_name = first_name
        code = CodeBlock(index, scope, self.class_name if method else "", self_name, parameters)
        nested = outer.index >= 0
        prefix, self.prefix = self.prefix, f"{qualname}.<locals>."
        kept_class = self.class_name
        pushed = outer.index >= 0 and not self.in_class_body()
        if pushed:
            self.scopes.append(outer.scope)
        self.code = code
        kept_body, self.body_class = self.body_class, ""
        for inner in node.body:
            # Known to each other before any of them is walked.
            if type(inner) in _DEFINITIONS:
                scope[inner.name] = f"{self.module}.{qualname}.<locals>.{inner.name}"  # type: ignore[attr-defined]
        self.block(node.body)
        self.body_class = kept_body
        self.code = outer
        if pushed:
            self.scopes.pop()
        self.prefix = prefix
        self.class_name = kept_class
        is_async = type(node) is ast.AsyncFunctionDef
        if code.is_generator:
            kind = "async_generator" if is_async else "generator"
        else:
            kind = "coroutine" if is_async else "function"
        returns = ""
        if code.returns.endswith("*"):
            returns = code.returns  # a computed name says more than its annotation
        elif node.returns is not None:
            returns = self.annotation(node.returns) or ""
        if not returns or returns == "builtins.None()":
            returns = ("[]" + code.yields if code.yields else "") if code.is_generator else code.returns
        if (f"{self.module}.{self.class_name}().{node.name}" if method else f"{self.module}.{qualname}") in code.calls:
            code.cognitive += 1
        self.functions[index] = SeenFunction(
            qualname,
            first,
            node.end_lineno or node.lineno,
            kind,
            tuple(names) if not kept_class else self.mangle(names),
            decorators,
            code.statements,
            code.branches,
            code.cognitive,
            code.most_depth,
            code.calls,
            code.loads,
            code.nodes,
            tuple(dict.fromkeys(code.raises)),
            tuple(dict.fromkeys(code.catches)),
            tuple(dict.fromkeys(code.swallows)),
            tuple(code.changes),
            trivial(node),
            nested,
            mark,
            returns,
            self.class_name if method else "",
            code.serves,
        )

    def class_(self, node: ast.ClassDef) -> None:
        outer = self.code
        qualname, decorators, _, mark = self.head(node)
        if self.lambdas:
            self.type_parameters(node)
        bases = []
        for base in node.bases:
            if type(base) is ast.Subscript:
                self.visit(base.slice)
                base = base.value
            found = self.visit(base)
            if found:
                bases.append(found)
        for keyword in node.keywords:
            self.visit(keyword.value)
        if outer.index >= 0 and not self.in_class_body():
            outer.scope[node.name] = f"{self.module}.{qualname}"
        attributes: dict[str, str] = {}
        self.classes[qualname] = (bases, [name for name, _ in decorators], attributes, mark)
        scope: dict[str, Any] = {}
        code = CodeBlock(outer.index, scope, qualname, "", outer.parameters)
        code.weight = outer.weight
        prefix, self.prefix = self.prefix, f"{qualname}."
        kept_class, self.class_name = self.class_name, qualname
        kept_body, self.body_class = self.body_class, qualname
        pushed = outer.index >= 0 and outer.scope is not self.bound and not kept_body
        if pushed:
            self.scopes.append(outer.scope)
        self.code = code
        self.block(node.body)
        self.code = outer
        if pushed:
            self.scopes.pop()
        self.prefix, self.class_name, self.body_class = prefix, kept_class, kept_body
        for name, value in scope.items():
            if value and name not in attributes:
                attributes[name] = value
        outer.nodes += code.nodes
        for name, weight in code.calls.items():
            outer.calls[name] = outer.calls.get(name, 0.0) + weight

    def lambda_(self, node: ast.Lambda) -> str | None:
        outer = self.code
        arguments = node.args
        for default in (*arguments.defaults, *(value for value in arguments.kw_defaults if value is not None)):
            self.visit(default)
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        names += [extra.arg for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
        index = len(self.functions)
        self.functions.append(None)
        code = CodeBlock(index, dict.fromkeys(names))
        code.parameters = {name: word for name, word in outer.parameters.items() if name not in names}
        pushed = outer.scope is not self.bound and not self.in_class_body()
        if pushed:
            self.scopes.append(outer.scope)
        kept_body, self.body_class = self.body_class, ""
        qualname = self.prefix + "<lambda>"
        prefix, self.prefix = self.prefix, f"{qualname}.<locals>."
        self.code = code
        found = self.visit(node.body)
        self.code = outer
        self.prefix = prefix
        self.body_class = kept_body
        if pushed:
            self.scopes.pop()
        self.functions[index] = SeenFunction(
            qualname,
            node.lineno,
            node.end_lineno or node.lineno,
            "generator" if code.is_generator else "function",
            self.mangle(names) if self.class_name else tuple(names),
            (),
            1,
            code.branches,
            code.cognitive,
            code.most_depth,
            code.calls,
            code.loads,
            code.nodes,
            (),
            (),
            (),
            tuple(code.changes),
            "" if code.calls or code.most_depth else "accessor",
            outer.index >= 0,
            "",
            found or "",
            "",
            False,
        )
        return f"{self.module}.{qualname}@{node.lineno}"

    def head(self, node: Any) -> tuple[str, tuple[tuple[str, str], ...], int, str]:
        """Of a definition: qualified name, decorators, line of the first of these or its own, and how it is marked."""
        qualname = self.prefix + node.name if node.name not in self.code.globals else node.name
        decorators, mark = self.decorators(node)
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if not mark and self.marks:
            mark = self.mark_at(first, node)
        return qualname, decorators, first, mark

    def decorators(self, node: Any) -> tuple[tuple[tuple[str, str], ...], str]:
        """What decorates a definition, and what the marks among it say."""
        found = []
        mark = ""
        for decorator in node.decorator_list:
            call = type(decorator) is ast.Call
            expression = self.visit(decorator.func if call else decorator) or ""
            text = ""
            if call:
                for value in (*decorator.args, *(keyword.value for keyword in decorator.keywords)):
                    self.visit(value)
                    if not text and type(value) is ast.Constant and type(value.value) is str:
                        text = value.value[:MOST_TEXT]
            if self.prefixes and call:
                text = self.prefixes.get(expression.rpartition(".")[0], "") + text
            mark = mark or _MARKS.get(expression, "")
            found.append((expression, text))
        return tuple(found), mark

    def mark_at(self, first: int, node: Any) -> str:
        """What a comment between the first decorator and the end of the signature says."""
        last = node.body[0].lineno
        if type(node.body[0]) in _DEFINITIONS and node.body[0].decorator_list:
            last = node.body[0].decorator_list[0].lineno
        for line in range(first, max(last, node.lineno + 1)):
            if line in self.marks:
                return "off" if self.marks[line] != "trace" else "trace"
        return ""

    def in_annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Lambdas in a signature's annotations (`Annotated[int, Check(lambda value: …)]`), and in its type parameters."""
        arguments = node.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
        for annotation in (*(argument.annotation for argument in every if argument is not None), node.returns):
            self.evaluated(annotation)
        self.type_parameters(node)

    def type_parameters(self, node: Any) -> None:
        """Bounds and defaults of `[T: …]`: nobody evaluates them before they are asked for."""
        parameters = getattr(node, "type_params", None)
        if parameters and any(map(has_lambda, parameters)):
            self.lazily(f"<generic parameters of {node.name}>.", parameters)

    def type_alias(self, node: Any) -> None:
        name = node.name.id
        found = self.peek(node.value)
        if self.code.scope is not self.bound:
            self.code.scope[name] = found
        elif found and name not in self.names:
            self.names[name] = found
        if self.lambdas and has_lambda(node):
            self.lazily(f"{name}.<locals>.", [node.value])
            if any(map(has_lambda, node.type_params)):
                self.lazily(f"<generic parameters of {name}>.", node.type_params)

    def lazily(self, prefix: str, nodes: Iterable[ast.AST]) -> None:
        """Find the lambdas in what is not run here."""
        code, self.code = self.code, CodeBlock(self.code.index, {})
        kept, self.prefix = self.prefix, self.prefix + prefix
        for node in nodes:
            for child in [node] if isinstance(node, ast.expr) else ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.visit(child)
        self.code, self.prefix = code, kept
