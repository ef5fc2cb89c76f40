"""The source rewrite: a module's tree in, a tree with traced functions out. Obeys, decides nothing.

One shape for every kind of function:

    def add(self, sku, quantity=1):                    def add(self, sku, quantity=1):
        "docstring"                                        "docstring"
        body                                               with SITE.call((sku, quantity)):
        return total                                           body
                                                               return SITE.result(total)

SITE stands for a constant: a string no constant of the module begins with, replaced by the site itself after compiling.
Nothing is added to the module's names or the function's locals. In generators `yield x` becomes
`SITE.wake((yield SITE.pause(x)))`. Every node keeps its place; what is added takes that of the statement it stands at.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any

from autoscope.ours import keep_builtins
from autoscope.weave import choose

keep_builtins(globals())

if TYPE_CHECKING:
    from autoscope.runtime.sites import Site
    from autoscope.weave.weaver import Weaver

Function = ast.FunctionDef | ast.AsyncFunctionDef
Wanted = Callable[[str, int, Function], "tuple[str, tuple[str, ...], bool] | None"]
"""(qualname, first line, node) -> (placeholder, captured parameters, capture the result), None to leave it alone."""


def rewrite(tree: ast.Module, wanted: Wanted) -> ast.Module:
    """Rewrite, in place, every function that is wanted."""
    _Rewriter(wanted).visit(tree)
    return ast.fix_missing_locations(tree)


def first_line(node: Function) -> int:
    """A function's `co_firstlineno`: that of its first decorator if it has one."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


class _Rewriter(ast.NodeTransformer):
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.path: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.path.append(node.name)
        self.generic_visit(node)
        self.path.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self.function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.function(node)

    def function(self, node: Function) -> ast.AST:
        qualname = ".".join([*self.path, node.name])
        self.path += [node.name, "<locals>"]
        self.generic_visit(node)
        del self.path[-2:]
        found = self.wanted(qualname, first_line(node), node)
        if found is None:
            return node
        placeholder, parameters, result = found
        head = 1 if ast.get_docstring(node, clean=False) is not None else 0
        body = node.body[head:]
        at = body[0] if body else node.body[0]
        if not body:
            # Only a docstring: its place is the only one there is.
            body = [ast.copy_location(ast.Pass(), at)]
        inner = _Inner(placeholder, result)
        body = [inner.visit(statement) for statement in body]
        # This node means: with SITE.call((parameters, …)): body
        names: list[ast.expr] = [ast.Name(name, ast.Load()) for name in parameters]
        guard = ast.With([ast.withitem(_call(placeholder, "call", ast.Tuple(names, ast.Load())))], body)
        _place(guard.items[0].context_expr, at)
        node.body = [*node.body[:head], ast.copy_location(guard, at)]
        return node


class _Inner(ast.NodeTransformer):
    """Returns and yields of one function, not of those inside it."""

    def __init__(self, placeholder: str, result: bool) -> None:
        self.placeholder = placeholder
        self.result = result

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        if self.result and node.value is not None:
            node.value = _place(_call(self.placeholder, "result", node.value), node.value)
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.AST:
        self.generic_visit(node)
        value = node.value if node.value is not None else ast.copy_location(ast.Constant(None), node)
        node.value = _place(_call(self.placeholder, "pause", value), value)
        return _place(_call(self.placeholder, "wake", node), node)


def _call(placeholder: str, method: str, argument: ast.expr) -> ast.Call:
    """SITE.method(argument)"""
    return ast.Call(ast.Attribute(ast.Constant(placeholder), method, ast.Load()), [argument], [])


def _place(call: ast.expr, at: ast.AST) -> ast.expr:
    """Give the nodes of a `_call` a place, but not its argument, which has one."""
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    for node in (call, call.func, call.func.value, *call.args, *getattr(call.args[0], "elts", ())):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, at)
    return call


def delegates(node: Function) -> bool:
    """Whether a function itself has a `yield from`."""
    work: list[ast.AST] = list(node.body)
    while work:
        here = work.pop()
        if isinstance(here, ast.YieldFrom):
            return True
        if not isinstance(here, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            work.extend(ast.iter_child_nodes(here))
    return False


def prefix_for(tree: ast.AST) -> str:
    """A beginning of strings that none of the tree's own has."""
    prefix = "@site"
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    while any(text.startswith(prefix) for text in strings):
        prefix += "@"
    return prefix + ":"


def weave(weaver: Weaver, code: CodeType, module: str, source: bytes | str) -> CodeType:
    """The woven twin of a module's code, from its source. `code` is what the author's source compiles to."""
    from autoscope.runtime.sites import arm
    from autoscope.weave.weaver import left_alone

    authors = {(inner.co_qualname, inner.co_firstlineno): inner for inner in walk(code)}
    for author in walk(code):
        if author.co_name == choose.LAMBDA and weaver.rule(module, author) is not None:
            left_alone.append((module, author.co_qualname, "a lambda, which the source rewrite leaves alone"))
    tree = ast.parse(source)
    prefix = prefix_for(tree)
    made: dict[str, Site] = {}

    def wanted(qualname: str, line: int, node: Function) -> tuple[str, tuple[str, ...], bool] | None:
        author = authors.get((qualname, line))
        if author is None:
            left_alone.append((module, qualname, "its code object was not found"))
            return None
        if delegates(node):
            left_alone.append((module, qualname, "yield from, which the source rewrite cannot follow"))
            return None
        rule = weaver.rule(module, author)
        if rule is None:
            return None
        site = weaver.site(module, author, qualname, "ast", rule)
        placeholder = f"{prefix}{len(made)}"
        made[placeholder] = site
        return placeholder, site.parameters, rule.capture.returns

    flags = code.co_flags & 0x1FFF000  # __future__ features the author's module was compiled with
    woven = compile(rewrite(tree, wanted), code.co_filename, "exec", flags=flags, dont_inherit=True)
    bound = bind(woven, made)
    twins = {(inner.co_qualname, inner.co_firstlineno): inner for inner in walk(bound)}
    for site in made.values():
        traced = twins[site.qualname, site.line]
        site.traced = traced
        site.author = author = authors[site.qualname, site.line]
        site._off = _with_twins(author, twins)
        arm(site)
    return bound


def _with_twins(code: CodeType, twins: dict[tuple[str, int], CodeType]) -> CodeType:
    """An author's code with the functions inside it woven still."""
    constants = tuple(
        twins.get((constant.co_qualname, constant.co_firstlineno), constant)
        if isinstance(constant, CodeType) and choose.is_function(constant) and constant.co_name != choose.LAMBDA
        else constant
        for constant in code.co_consts
    )
    changed = any(new is not old for new, old in zip(constants, code.co_consts, strict=True))
    return code.replace(co_consts=constants) if changed else code


def bind(code: CodeType, values: dict[str, Any]) -> CodeType:
    """Replace placeholder constants by what they stand for, in all code objects inside too."""
    constants = tuple(
        bind(constant, values)
        if isinstance(constant, CodeType)
        else values.get(constant, constant)
        if type(constant) is str
        else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=constants)


def walk(code: CodeType) -> Iterator[CodeType]:
    """A code object and all inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from walk(constant)
