"""`autoscope show TARGET`: the source of a function or module as it will be rewritten."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import sys

from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError
from autoscope.weave import rewrite, weaver
from autoscope.weave.weaver import Weaver


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "show",
        help="the source as it will be rewritten",
        description="Print a module, class or function as it will be rewritten. SITE stands for the function's live "
        "state. On interpreters whose bytecode is known the same is done to the compiled code, without new names.",
    )
    plan_options.add(parser)
    parser.add_argument("target", help="a file, a module, or module.qualname")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    module, file, qualname = find(arguments.target)
    plan = plan_options.resolve(arguments)
    with open(file, "rb") as stream:
        source = stream.read()
    try:
        tree = ast.parse(source, file)
        code = compile(source, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise AutoscopeError(f"{file} is not Python this interpreter can read: {error}") from None
    if plan.selects(module) is False:
        raise AutoscopeError(f"{module} is not woven: the plan's include and exclude leave it out")
    weave = Weaver(plan)
    authors = {(inner.co_qualname, inner.co_firstlineno): inner for inner in rewrite.walk(code)}

    def wanted(name: str, line: int, node: rewrite.Function) -> tuple[str, tuple[str, ...], bool] | None:
        author = authors.get((name, line))
        rule = None if author is None else weave.rule(module, author)
        if author is None or rule is None:
            return None
        return "@SITE@", weaver.captured(author, rule.capture), rule.capture.returns

    rewrite.rewrite(tree, wanted)
    nodes: list[ast.AST] = [tree] if not qualname else select(tree, qualname)
    if not nodes:
        raise AutoscopeError(f"{module} has no {qualname}: `autoscope show {module}` shows what it has")
    for node in nodes:
        print(ast.unparse(node).replace("'@SITE@'", "SITE"))
    for _, name, reason in weaver.left_alone:
        if not qualname or name == qualname or name.startswith(qualname + "."):
            print(f"# left alone: {name}: {reason}")
    return 0


def find(target: str) -> tuple[str, str, str]:
    """(module, file, qualname or "") of a target. Raises `AutoscopeError`; imports packages as little as `-m` does."""
    if os.path.isfile(target):
        return os.path.splitext(os.path.basename(target))[0], os.path.abspath(target), ""
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    parts = target.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is not None and spec.origin is not None:
            if not spec.origin.endswith(".py"):
                raise AutoscopeError(f"{name} has no Python source ({spec.origin}): nothing to show")
            return name, spec.origin, ".".join(parts[count:])
    raise AutoscopeError(f"no file and no module called {target}: give a path, a module, or module.qualname")


def select(tree: ast.AST, qualname: str) -> list[ast.AST]:
    """The class or function nodes a qualified name means; `<locals>` may be left out."""
    nodes = [tree]
    for part in qualname.split("."):
        if part == "<locals>":
            continue
        found: list[ast.AST] = []
        for node in nodes:
            for child in ast.walk(node):
                if (
                    isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                    and child.name == part
                    and child is not node
                ):
                    found.append(child)
        nodes = found
    return nodes
