"""Names: what is bound in which scope, and what a name stands for where the walk is."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from autoscope.plan.analysis.block_frequency import number
from autoscope.plan.analysis.code_block import CodeBlock
from autoscope.plan.analysis.seen import Handed, SeenFunction
from autoscope.plan.analysis.syntax import find_marks, last_name, mangled

_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"__import__"}
_TYPE_VARIABLES = frozenset(("TypeVar", "ParamSpec", "TypeVarTuple"))
_BLOCKS = frozenset(
    (ast.If, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.Match)
)
TYPE_ALIAS: Any = getattr(ast, "TypeAlias", None)
UNKNOWN: Any = object()


class Scopes(ABC):
    """The walk's state, and what a name stands for where it is."""

    body_class = ""
    """Of the class whose body itself is being walked; empty inside its methods."""

    def __init__(self, tree: ast.Module, text: str, module: str, is_package: bool) -> None:
        self.tree = tree
        self.text = text
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.imports: dict[str, None] = {}
        self.stars: list[str] = []
        self.names: dict[str, str] = {}
        self.bound: dict[str, Any] = {}
        """Module-level name -> the expression other code knows it by."""
        self.bounds: list[tuple[str, ast.expr]] = []
        """Type variables, and what they are bound to."""
        self.numbers: dict[str, float] = {}
        self.prefixes: dict[str, str] = {}
        """Router of the module, by its full name -> what the paths of its routes begin with."""
        self.tables: dict[str, tuple[str, ...]] = {}
        self.classes: dict[str, tuple[list[str], list[str], dict[str, str], str]] = {}
        self.functions: list[SeenFunction | None] = []
        self.handed: list[Handed] = []
        self.scopes: list[dict[str, Any]] = []
        """Of the functions around the one being walked, outermost first."""
        self.prefix = ""
        self.class_name = ""
        """Of the class whose body, or whose method, is being walked."""
        self.lines = text.count("\n") + (not text.endswith("\n") and text != "")
        self.marks = find_marks(text) if "autoscope:" in text else {}
        self.lambdas = "lambda" in text
        """Whether looking for lambdas in annotations can find any."""
        self.main_calls: dict[str, float] = {}
        self.has_main = False
        self.code = CodeBlock(-1, self.bound)

    @abstractmethod
    def visit(self, node: ast.expr) -> str | None:
        """Count what an expression does; returns what it is, None where that is unknown."""

    @abstractmethod
    def block(self, body: Sequence[ast.stmt]) -> bool:
        """Walk statements up to the first that is always left; whether there is one. What follows it can never run."""

    def bind(self, body: Iterable[Any], instead: bool = False) -> None:
        """Know a module's own names before any code that uses them is walked; `instead`: the first import of a name holds."""
        for node in body:
            kind = type(node)
            if kind is ast.FunctionDef or kind is ast.AsyncFunctionDef or kind is ast.ClassDef:
                self.bound[node.name] = f"{self.module}.{node.name}"
            elif kind is ast.Import or kind is ast.ImportFrom:
                self.import_(node, self.bound, instead)
            elif kind is ast.Assign or kind is ast.AnnAssign:
                self.bind_assigned(node)
            elif kind in _BLOCKS:
                for name in ("body", "orelse", "handlers", "finalbody", "cases"):
                    inner = getattr(node, name, None)
                    if inner:
                        self.bind(inner, instead or name == "handlers" or name == "orelse")
            elif kind is ast.ExceptHandler or kind is ast.match_case:
                self.bind(node.body, instead)
            elif kind is TYPE_ALIAS:
                self.bound[node.name.id] = f"{self.module}.{node.name.id}"

    def bind_assigned(self, node: Any) -> None:
        targets = node.targets if type(node) is ast.Assign else [node.target]
        for target in targets:
            if type(target) is ast.Name:
                value = node.value
                if type(value) is ast.Call and last_name(value) in _TYPE_VARIABLES:
                    self.bound[target.id] = None  # of which nothing is known, unless it is bound to a class
                    self.names[target.id] = "typing.TypeVar()"
                    self.bounds += [(target.id, word.value) for word in value.keywords if word.arg == "bound"]
                    continue
                self.bound[target.id] = f"{self.module}.{target.id}"
                known = number(value, {}) if type(value) is ast.Constant else None
                if known is not None:
                    self.numbers[target.id] = known
            elif type(target) is ast.Tuple:
                for item in target.elts:
                    if type(item) is ast.Name:
                        self.bound[item.id] = f"{self.module}.{item.id}"

    def import_(self, node: Any, scope: dict[str, Any], instead: bool = False) -> None:
        if type(node) is ast.Import:
            for alias in node.names:
                self.imports[alias.name] = None
                top = alias.name.partition(".")[0]
                self.bind_import(alias.asname or top, alias.name if alias.asname else top, scope, instead)
            return
        source = node.module or ""
        if node.level:
            base = self.package
            for _ in range(node.level - 1):
                base = base.rpartition(".")[0]
            source = f"{base}.{source}" if source and base else source or base
        for alias in node.names:
            if alias.name == "*":
                if source not in self.stars:
                    self.stars.append(source)
                self.imports[source] = None
            else:
                target = f"{source}.{alias.name}"
                self.imports[target] = None
                self.bind_import(alias.asname or alias.name, target, scope, instead)

    def bind_import(self, name: str, target: str, scope: dict[str, Any], instead: bool) -> None:
        if not instead or scope.get(name) is None:
            scope[name] = target
        if scope is self.bound:
            self.names.setdefault(name, target)

    def lookup(self, name: str) -> str | None:
        """What a name stands for where the walk is."""
        found: str | None = self.code.scope.get(name, UNKNOWN)
        if found is not UNKNOWN:
            return found
        for scope in reversed(self.scopes):
            found = scope.get(name, UNKNOWN)
            if found is not UNKNOWN:
                return found
        found = self.bound.get(name, UNKNOWN)
        if found is not UNKNOWN:
            return found
        if name in _BUILTINS:
            return "builtins." + name
        if name == "__class__" and self.class_name:
            return f"{self.module}.{self.class_name}"
        return f"{self.module}.{name}" if self.stars else None

    def in_class_body(self) -> bool:
        return self.body_class != ""

    def mangle(self, names: Iterable[str]) -> tuple[str, ...]:
        """Parameters as code in the class being walked has them."""
        return tuple(mangled(name, self.class_name) if name[:2] == "__" else name for name in names)
