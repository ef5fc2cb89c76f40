"""`autoscope show TARGET`: the source of a function or module as it will be rewritten."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder

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
    """(module, file, qualname or "") of a target. Raises `AutoscopeError`; imports nothing of the program's."""
    if os.path.isfile(target):
        return os.path.splitext(os.path.basename(target))[0], os.path.abspath(target), ""
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    parts = target.split(".")
    found: ModuleSpec | None = None
    depth = 0
    places: Sequence[str] | None = None
    # From package to module by the path alone: `importlib.util.find_spec` would import what stands in front.
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        try:
            spec = importlib.util.find_spec(name) if count == 1 else PathFinder.find_spec(name, places)
        except (ImportError, ValueError, AttributeError):
            break
        if spec is None:
            break
        found, depth, places = spec, count, spec.submodule_search_locations
        if places is None:
            break
    if found is not None and (found.origin is not None or (found.loader is not None and depth == len(parts))):
        name = ".".join(parts[:depth])
        if not (found.origin or "").endswith(".py"):
            raise AutoscopeError(f"{name} has no Python source ({found.origin}): nothing to show")
        return name, str(found.origin), ".".join(parts[depth:])
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
