"""One file's text -> what can be seen in it alone, as plain values that `marshal` can hold.

One walk over the tree does everything: an expression's visit returns what the expression *is*, as a dotted expression
(docs/decisions/0008), and on the way counts work, calls, complexity. What other files say is left to `link`.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

FORMAT = 1
"""To be raised when the same text would give another `Seen`."""
ITERATIONS = 10.0
"""How often a loop is taken to run where its source does not say."""
BRANCH = 0.5
"""How often one side of an `if` is taken to run, to each time the `if` is."""
RARELY = 0.02
"""The same for what handles an exception."""
MOST_ITERATIONS = 1e6


class SeenFunction(NamedTuple):
    """One function; see `facts.Function` for what most of it means."""

    qualname: str
    line: int
    end_line: int
    kind: str
    parameters: tuple[str, ...]
    decorators: tuple[tuple[str, str], ...]
    """(expression, first text among its arguments), outermost first."""
    statements: int
    cyclomatic: int
    cognitive: int
    loop_depth: int
    calls: dict[str, float]
    """Expression called -> times for one call."""
    loads: dict[str, float]
    """Attributes read that may turn out to be properties."""
    nodes: float
    """Parts of expressions and statements executed by one call."""
    raises: tuple[str, ...]
    catches: tuple[str, ...]
    swallows: tuple[str, ...]
    changes: tuple[str, ...]
    trivial: str
    nested: bool
    mark: str
    returns: str
    """What a call gives: an expression; empty where unknown."""
    owner: str
    """Qualified name of the class it is a method of; empty for none."""
    serves: bool
    """Whether it has a loop that ends only when told to."""


class SeenClass(NamedTuple):
    """One class."""

    qualname: str
    bases: tuple[str, ...]
    decorators: tuple[str, ...]
    attributes: dict[str, str]
    """Name -> expression of its value, from the class body, annotations and `self.name = …`."""
    mark: str


class Handed(NamedTuple):
    """A function, or what may be one, given to a call."""

    callee: str
    place: int | str
    text: str
    """The first text among the call's arguments."""
    reference: str
    owner: int
    """Index of the function whose code does it, -1 for the module's."""


class Seen(NamedTuple):
    """One module."""

    lines: int
    imports: tuple[str, ...]
    """Absolute dotted names, of modules or of what is in them."""
    stars: tuple[str, ...]
    names: dict[str, str]
    """Module-level name -> expression; functions and classes are not among them."""
    classes: tuple[SeenClass, ...]
    functions: tuple[SeenFunction, ...]
    handed: tuple[Handed, ...]
    calls: dict[str, float]
    """Made when the module is imported."""
    main_calls: dict[str, float]
    """Made under `if __name__ == "__main__":`."""
    nodes: float
    has_main: bool
    tables: dict[str, tuple[str, ...]]
    """Name in the module, or `Class.name` -> what may be functions among the values of the list, tuple or dict it names."""


def analyse(text: str, module: str, is_package: bool = False) -> Seen:
    """What can be seen in one module's text. Raises SyntaxError, and RecursionError or MemoryError for the monstrous."""
    tree = ast.parse(text)
    return _Module(tree, text, module, is_package).seen()


def to_plain(seen: Seen) -> tuple[Any, ...]:
    """As `marshal` can hold it."""
    return (
        *seen[:4],
        tuple(map(tuple, seen.classes)),
        tuple(map(tuple, seen.functions)),
        tuple(map(tuple, seen.handed)),
        *seen[7:],
    )


def from_plain(plain: tuple[Any, ...]) -> Seen:
    """The way back."""
    classes = tuple(map(SeenClass._make, plain[4]))
    functions = tuple(map(SeenFunction._make, plain[5]))
    handed = tuple(map(Handed._make, plain[6]))
    return Seen._make((*plain[:4], classes, functions, handed, *plain[7:]))


_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"__import__"}
_OFF = re.compile(r"#\s*autoscope:\s*(off|never|trace)\b")
_MARKS = {"autoscope.trace": "trace", "autoscope.never": "never"}
_MUTATORS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove reverse rotate setdefault sort update".split()
)
_TELLS = frozenset(
    "capture_exception critical debug error exception fatal info log print print_exc warn warning".split()
)
_CONTAINERS = frozenset(
    "list List set Set frozenset FrozenSet tuple Tuple Sequence MutableSequence Iterable Iterator Collection deque Deque AbstractSet "
    "Generator AsyncIterator AsyncIterable AsyncGenerator MutableSet QuerySet".split()
)
_MAPPINGS = frozenset("dict Dict Mapping MutableMapping defaultdict DefaultDict OrderedDict".split())
_TRANSPARENT = frozenset(
    "Optional Annotated Final ClassVar Required NotRequired ReadOnly Awaitable Coroutine Mapped".split()
)
_PASS_ON = frozenset(
    (
        "functools.partial",
        "functools.partialmethod",
        "builtins.staticmethod",
        "builtins.classmethod",
        "builtins.property",
        "builtins.iter",
        "builtins.sorted",
        "builtins.reversed",
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "copy.copy",
        "copy.deepcopy",
    )
)
"""Calls whose result is, for our purposes, their first argument."""
_UNKNOWN: Any = object()


def element(of: str | None) -> str | None:
    """What iterating over, or subscripting, an expression gives."""
    if of is None or of[0] == "?":
        return None
    return of[2:] if of[0] in "[{" else of + "[]"


class _Code:
    """What is being gathered for one code block: a function, or a module's top level."""

    __slots__ = (
        "branches",
        "calls",
        "catches",
        "changes",
        "cognitive",
        "depth",
        "globals",
        "index",
        "is_generator",
        "loads",
        "most_depth",
        "name",
        "nest",
        "nodes",
        "nonlocals",
        "owner",
        "raises",
        "returns",
        "scope",
        "self_name",
        "serves",
        "statements",
        "swallows",
        "weight",
        "yields",
    )

    def __init__(self, index: int, scope: dict[str, Any], owner: str = "", self_name: str = "", name: str = "") -> None:
        self.index = index
        self.scope = scope
        self.owner = owner
        self.self_name = self_name
        self.name = name
        self.weight = 1.0
        self.nest = 0
        self.depth = 0
        self.most_depth = 0
        self.nodes = 0.0
        self.statements = 0
        self.branches = 1
        self.cognitive = 0
        self.calls: dict[str, float] = {}
        self.loads: dict[str, float] = {}
        self.raises: list[str] = []
        self.catches: list[str] = []
        self.swallows: list[str] = []
        self.changes: dict[str, None] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.returns = ""
        self.yields = ""
        self.is_generator = False
        self.serves = False


class _Module:
    """The walk over one module."""

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
        self.numbers: dict[str, float] = {}
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
        self.marks = self.find_marks() if "autoscope:" in text else {}
        self.main_calls: dict[str, float] = {}
        self.has_main = False
        self.code = _Code(-1, self.bound)

    def seen(self) -> Seen:
        self.bind(self.tree.body)
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

    def find_marks(self) -> dict[int, str]:
        """Line -> `off`, `never` or `trace` where a comment there says so."""
        marks = {}
        for number, line in enumerate(self.text.splitlines(), 1):
            if "autoscope:" in line and (found := _OFF.search(line)):
                marks[number] = found[1]
        return marks

    def bind(self, body: Iterable[Any]) -> None:
        """Know a module's own names before any code that uses them is walked."""
        for node in body:
            kind = type(node)
            if kind is ast.FunctionDef or kind is ast.AsyncFunctionDef or kind is ast.ClassDef:
                self.bound[node.name] = f"{self.module}.{node.name}"
            elif kind is ast.Import or kind is ast.ImportFrom:
                self.import_(node, self.bound)
            elif kind is ast.Assign or kind is ast.AnnAssign:
                self.bind_assigned(node)
            elif kind in _BLOCKS:
                for name in ("body", "orelse", "handlers", "finalbody"):
                    inner = getattr(node, name, None)
                    if inner:
                        self.bind(inner)
            elif kind is ast.ExceptHandler:
                self.bind(node.body)

    def bind_assigned(self, node: Any) -> None:
        targets = node.targets if type(node) is ast.Assign else [node.target]
        for target in targets:
            if type(target) is ast.Name:
                self.bound[target.id] = f"{self.module}.{target.id}"
                value = node.value
                if type(value) is ast.Constant and isinstance(value.value, (int, float)):
                    self.numbers[target.id] = float(value.value)
            elif type(target) is ast.Tuple:
                for item in target.elts:
                    if type(item) is ast.Name:
                        self.bound[item.id] = f"{self.module}.{item.id}"

    # Names.

    def lookup(self, name: str) -> str | None:
        """What a name stands for where the walk is."""
        found: str | None = self.code.scope.get(name, _UNKNOWN)
        if found is not _UNKNOWN:
            return found
        for scope in reversed(self.scopes):
            found = scope.get(name, _UNKNOWN)
            if found is not _UNKNOWN:
                return found
        found = self.bound.get(name, _UNKNOWN)
        if found is not _UNKNOWN:
            return found
        if name in _BUILTINS:
            return "builtins." + name
        if name == "__class__" and self.class_name:
            return f"{self.module}.{self.class_name}"
        return f"{self.module}.{name}" if self.stars else None

    def import_(self, node: Any, scope: dict[str, Any]) -> None:
        if type(node) is ast.Import:
            for alias in node.names:
                self.imports[alias.name] = None
                top = alias.name.partition(".")[0]
                self.bind_import(alias.asname or top, alias.name if alias.asname else top, scope)
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
                self.bind_import(alias.asname or alias.name, target, scope)

    def bind_import(self, name: str, target: str, scope: dict[str, Any]) -> None:
        scope[name] = target
        if scope is self.bound:
            self.names.setdefault(name, target)

    # Statements.

    def block(self, body: Iterable[ast.stmt]) -> None:
        code = self.code
        for node in body:
            code.nodes += code.weight
            code.statements += 1
            _STATEMENTS[type(node)](self, node)

    def at(self, body: Iterable[ast.stmt], share: float, nest: int = 1) -> None:
        """A block that runs `share` times for each time what stands before it does."""
        code = self.code
        weight = code.weight
        code.weight = weight * share
        code.nest += nest
        self.block(body)
        code.nest -= nest
        code.weight = weight

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = self.code
        qualname = self.prefix + node.name
        decorators, mark = self.decorators(node)
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if not mark and self.marks:
            mark = self.mark_at(first, node)
        if outer.scope is not self.bound and not self.in_class_body():
            outer.scope[node.name] = f"{self.module}.{qualname}"
        arguments = node.args
        for default in arguments.defaults:
            self.visit(default)
        for value in arguments.kw_defaults:
            if value is not None:
                self.visit(value)
        index = len(self.functions)
        self.functions.append(None)
        scope: dict[str, Any] = {}
        names: list[str] = []
        method = self.in_class_body()
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            names.append(argument.arg)
            scope[argument.arg] = self.annotation(argument.annotation) if argument.annotation is not None else None
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                names.append(extra.arg)
                scope[extra.arg] = None
        first_name = names[0] if names and (arguments.posonlyargs or arguments.args) else ""
        self_name = ""
        if method and first_name and not any(name == "builtins.staticmethod" for name, _ in decorators):
            is_class = node.name in _CLASS_METHODS or any(name == "builtins.classmethod" for name, _ in decorators)
            if scope[first_name] is None:
                scope[first_name] = f"{self.module}.{self.class_name}" + ("" if is_class else "()")
            self_name = first_name
        code = _Code(index, scope, self.class_name if method else "", self_name, node.name)
        nested = outer.index >= 0
        prefix, self.prefix = self.prefix, f"{qualname}.<locals>."
        kept_class = self.class_name
        pushed = outer.index >= 0
        if pushed:
            self.scopes.append(outer.scope)
        self.code = code
        kept_body, self.body_class = self.body_class, ""
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
        returns = self.annotation(node.returns) or "" if node.returns is not None else ""
        if not returns or returns == "builtins.None()":
            returns = ("[]" + code.yields if code.yields else "") if code.is_generator else code.returns
        if node.name in code.calls or f"{self.module}.{qualname}" in code.calls:
            code.cognitive += 1
        self.functions[index] = SeenFunction(
            qualname,
            first,
            node.end_lineno or node.lineno,
            kind,
            tuple(names),
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

    body_class = ""
    """Of the class whose body itself is being walked; empty inside its methods."""

    def in_class_body(self) -> bool:
        return self.body_class != ""

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
                        text = value.value
            mark = mark or _MARKS.get(expression, "")
            found.append((expression, text))
        return tuple(found), mark

    def mark_at(self, first: int, node: Any) -> str:
        """What a comment between the first decorator and the end of the signature says."""
        last = node.body[0].lineno if node.body else node.lineno
        for line in range(first, max(last, node.lineno + 1)):
            if line in self.marks:
                return "off" if self.marks[line] != "trace" else "trace"
        return ""

    def class_(self, node: ast.ClassDef) -> None:
        outer = self.code
        qualname = self.prefix + node.name
        decorators, mark = self.decorators(node)
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if not mark and self.marks:
            mark = self.mark_at(first, node)
        bases = []
        for base in node.bases:
            found = self.visit(base.value if type(base) is ast.Subscript else base)
            if found:
                bases.append(found)
        for keyword in node.keywords:
            self.visit(keyword.value)
        if outer.index >= 0 and not self.in_class_body():
            outer.scope[node.name] = f"{self.module}.{qualname}"
        attributes: dict[str, str] = {}
        self.classes[qualname] = (bases, [name for name, _ in decorators], attributes, mark)
        scope: dict[str, Any] = {}
        code = _Code(outer.index, scope, qualname)
        code.weight = outer.weight
        prefix, self.prefix = self.prefix, f"{qualname}."
        kept_class, self.class_name = self.class_name, qualname
        kept_body, self.body_class = self.body_class, qualname
        pushed = outer.index >= 0
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

    def return_(self, node: ast.Return) -> None:
        if node.value is not None:
            found = self.visit(node.value)
            if found and not self.code.returns:
                self.code.returns = found

    def assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        for target in node.targets:
            self.store(target, value, node.value)

    def annotated(self, node: ast.AnnAssign) -> None:
        value = self.visit(node.value) if node.value is not None else None
        known = self.annotation(node.annotation)
        if value and (known is None or known.startswith("builtins.")):
            known = value
        self.store(node.target, known, node.value)

    def augmented(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self.store(node.target, None, None, keep=True)

    def store(self, target: Any, value: str | None, source: Any, keep: bool = False) -> None:
        """A target is given what `value` stands for; `keep`: it is changed rather than replaced."""
        code = self.code
        code.nodes += code.weight
        kind = type(target)
        if kind is ast.Name:
            name = target.id
            if name in code.globals:
                code.changes[f"global {name}"] = None
            elif name in code.nonlocals:
                code.changes[f"nonlocal {name}"] = None
            elif keep:
                pass
            elif self.body_class and source is not None and type(source) in (ast.List, ast.Tuple, ast.Dict):
                code.scope[name] = value
                self.table(f"{self.body_class}.{name}", source)
            elif code.scope is self.bound:
                if value and name not in self.names:
                    self.names[name] = value
                if source is not None:
                    self.table(name, source)
            elif value or code.scope.get(name) is None:
                code.scope[name] = value
        elif kind is ast.Attribute:
            base = self.visit(target.value)
            name = target.attr
            self.changed(target)
            is_own = type(target.value) is ast.Name and target.value.id == code.self_name and code.owner
            if value and is_own and base and base.endswith("()"):
                self.classes[code.owner][2].setdefault(name, value)
        elif kind is ast.Subscript:
            self.visit(target.value)
            self.visit(target.slice)
            self.changed(target.value)
        elif kind is ast.Tuple or kind is ast.List:
            values = source.elts if type(source) in (ast.Tuple, ast.List) else []
            items = target.elts
            for place, item in enumerate(items):
                if len(values) == len(items):
                    # Visited already as parts of the whole: only what it is is asked.
                    self.store(item, self.peek(values[place]), values[place])
                else:
                    self.store(item, element(value), None)
        elif kind is ast.Starred:
            self.store(target.value, None, None)

    def table(self, name: str, source: Any) -> None:
        """Keep what may be functions among a module-level collection's values: dispatch tables, URL patterns."""
        kind = type(source)
        if kind is ast.Dict:
            values: list[Any] = source.values
        elif kind in (ast.List, ast.Tuple, ast.Set):
            values = source.elts
        else:
            return
        found = [self.peek(value) for value in values if type(value) in (ast.Name, ast.Attribute)]
        kept = tuple(dict.fromkeys(word for word in found if word and not word.startswith("builtins.")))
        if kept:
            self.tables[name] = kept

    def peek(self, node: ast.expr) -> str | None:
        """What an expression is, without counting it."""
        code = self.code
        kept = code.calls, code.loads, code.nodes, code.branches, code.cognitive, len(self.handed), len(self.functions)
        code.calls, code.loads = {}, {}
        found = self.visit(node)
        code.calls, code.loads, code.nodes, code.branches, code.cognitive = kept[:5]
        del self.handed[kept[5] :]
        del self.functions[kept[6] :]
        return found

    def changed(self, target: ast.expr) -> None:
        """State that outlives the call, if `target` is part of any."""
        names: list[str] = []
        node: Any = target
        while True:
            kind = type(node)
            if kind is ast.Attribute:
                names.append(node.attr)
                node = node.value
            elif kind is ast.Subscript:
                node = node.value
            else:
                break
        if type(node) is not ast.Name:
            return
        code = self.code
        if node.id == code.self_name:
            word = "self." + names[-1] if names else ""
        elif node.id in code.scope and code.scope is not self.bound:
            return
        else:
            found = self.lookup(node.id)
            word = ".".join([found, *reversed(names)]) if found and code.index >= 0 else ""
        if word:
            code.changes[word] = None

    def loop(self, node: ast.For | ast.AsyncFor) -> None:
        code = self.code
        what = self.visit(node.iter)
        times = self.times(node.iter)
        self.store(node.target, element(what), None)
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.depth += 1
        code.most_depth = max(code.most_depth, code.depth)
        self.at(node.body, times)
        code.depth -= 1
        if node.orelse:
            code.cognitive += 1
            self.block(node.orelse)

    def times(self, node: Any) -> float:
        """How often a loop over `node` runs."""
        kind = type(node)
        if kind is ast.Call:
            name = node.func.id if type(node.func) is ast.Name else ""
            arguments = node.args
            if name == "range" and arguments:
                bounds = [self.number(argument) for argument in arguments[:2]]
                last = bounds[-1]
                if last is None:
                    return ITERATIONS
                start = bounds[0] if len(bounds) == 2 and bounds[0] is not None else 0.0
                return min(max(abs(last - start), 0.0), MOST_ITERATIONS)
            if name in ("enumerate", "reversed", "sorted", "list", "tuple", "zip", "iter") and arguments:
                return self.times(arguments[0])
        elif kind in (ast.Tuple, ast.List, ast.Set):
            return float(len(node.elts)) or 1.0
        return ITERATIONS

    def number(self, node: Any) -> float | None:
        """A number the source says: a literal, a constant of the module, or simple arithmetic with them."""
        kind = type(node)
        if kind is ast.Constant:
            value = node.value
            return float(value) if type(value) in (int, float) and abs(value) < 1e12 else None
        if kind is ast.Name:
            return self.numbers.get(node.id)
        if kind is ast.BinOp:
            left, right = self.number(node.left), self.number(node.right)
            if left is None or right is None:
                return None
            operator = type(node.op)
            if operator is ast.Add:
                return left + right
            if operator is ast.Sub:
                return left - right
            if operator is ast.Mult:
                return left * right
            if operator in (ast.Div, ast.FloorDiv) and right:
                return left / right
        return None

    def while_(self, node: ast.While) -> None:
        code = self.code
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.depth += 1
        code.most_depth = max(code.most_depth, code.depth)
        code.serves = code.serves or endless(node.test)
        weight = code.weight
        code.weight = weight * ITERATIONS
        self.visit(node.test)
        code.weight = weight
        self.at(node.body, ITERATIONS)
        code.depth -= 1
        if node.orelse:
            code.cognitive += 1
            self.block(node.orelse)

    def if_(self, node: ast.If, chained: bool = False) -> None:
        code = self.code
        if code.index < 0 and is_main_guard(node.test):
            self.has_main = True
            kept, code.calls = code.calls, self.main_calls
            self.block(node.body)
            code.calls = kept
            self.block(node.orelse)
            return
        self.visit(node.test)
        code.branches += 1
        code.cognitive += 1 if chained else 1 + code.nest
        share = BRANCH if code.index >= 0 else 1.0
        self.at(node.body, share)
        other = node.orelse
        if len(other) == 1 and type(other[0]) is ast.If:
            code.statements += 1
            weight = code.weight
            code.weight = weight * share
            self.if_(other[0], True)
            code.weight = weight
        elif other:
            code.cognitive += 1
            self.at(other, share)

    def try_(self, node: Any) -> None:
        code = self.code
        self.block(node.body)
        for handler in node.handlers:
            code.branches += 1
            code.cognitive += 1 + code.nest
            names = self.exceptions(handler.type)
            code.catches.extend(names)
            if handler.name and code.scope is not self.bound:
                code.scope[handler.name] = None
            if not tells(handler):
                code.swallows.extend(names)
            self.at(handler.body, RARELY)
        self.block(node.orelse)
        self.block(node.finalbody)

    def exceptions(self, node: ast.expr | None) -> list[str]:
        if node is None:
            return ["*"]
        if type(node) is ast.Tuple:
            return [name for item in node.elts for name in self.exceptions(item)]
        self.visit(node)
        return [last_name(node)]

    def raise_(self, node: ast.Raise) -> None:
        code = self.code
        if node.exc is None:
            code.raises.append("...")
            return
        weight = code.weight
        code.weight = weight * RARELY
        self.visit(node.exc)
        if node.cause is not None:
            self.visit(node.cause)
        code.weight = weight
        code.raises.append(last_name(node.exc))

    def with_(self, node: ast.With | ast.AsyncWith) -> None:
        enter, leave = ("__aenter__", "__aexit__") if type(node) is ast.AsyncWith else ("__enter__", "__exit__")
        for item in node.items:
            what = self.visit(item.context_expr)
            if what:
                self.count(f"{what}.{enter}")
                self.count(f"{what}.{leave}")
            if item.optional_vars is not None:
                self.store(item.optional_vars, f"{what}.{enter}()" if what else None, None)
        self.block(node.body)

    def match(self, node: ast.Match) -> None:
        code = self.code
        self.visit(node.subject)
        code.cognitive += 1 + code.nest
        for case in node.cases:
            code.branches += 1
            if case.guard is not None:
                self.visit(case.guard)
            for inner in ast.walk(case.pattern):
                name = getattr(inner, "name", None) or getattr(inner, "rest", None)
                if name and code.scope is not self.bound:
                    code.scope[name] = None
            self.at(case.body, 1.0 / max(len(node.cases), 1))

    def import_here(self, node: ast.Import | ast.ImportFrom) -> None:
        if self.code.scope is not self.bound:
            self.import_(node, self.code.scope)

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

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if type(target) is ast.Attribute or type(target) is ast.Subscript:
                self.visit(target.value)
                self.changed(target if type(target) is ast.Attribute else target.value)

    def nothing(self, node: ast.AST) -> None:
        """`pass`, `break`, `continue`, type aliases."""

    # Expressions: each visit returns what it is, None where that is unknown.

    def visit(self, node: ast.expr) -> str | None:
        code = self.code
        code.nodes += code.weight
        found: str | None = _EXPRESSIONS[type(node)](self, node)
        return found

    def count(self, expression: str) -> None:
        code = self.code
        calls = code.calls
        calls[expression] = calls.get(expression, 0.0) + code.weight

    def name(self, node: ast.Name) -> str | None:
        return self.lookup(node.id)

    container = ""
    """What the attribute visited last belongs to, where that is a list or mapping of something."""

    def attribute(self, node: ast.Attribute) -> str | None:
        base = self.visit(node.value)
        if base is None or base == "":
            return "?." + node.attr
        if base[0] in "?[{":
            if base[0] == "?":
                return "?." + node.attr
            self.container = base
            return f"builtins.{'list' if base[0] == '[' else 'dict'}().{node.attr}"
        found = f"{base}.{node.attr}"
        if base[-1] == ")" and base.startswith(self.module):
            loads = self.code.loads
            loads[found] = loads.get(found, 0.0) + self.code.weight
        return found

    def call(self, node: ast.Call) -> str | None:
        function = node.func
        code = self.code
        self.container = ""
        what = self.visit(function)
        container = self.container if what and what.startswith("builtins.") else ""
        self.container = ""
        text = ""
        given: list[tuple[int | str, Any, str | None]] = []
        place: int | str
        for place, argument in enumerate(node.args):
            if type(argument) is ast.Constant:
                if not text and type(argument.value) is str:
                    text = argument.value[:200]
                code.nodes += code.weight
                continue
            given.append((place, argument, self.visit(argument)))
        for keyword in node.keywords:
            value = keyword.value
            if type(value) is ast.Constant:
                code.nodes += code.weight
                if not text and type(value.value) is str and keyword.arg in ("path", "rule", "name", "route"):
                    text = value.value[:200]
                continue
            given.append((keyword.arg or "**", value, self.visit(value)))
        if what is None:
            return None
        if what == "builtins.super":
            return f"{self.module}.{self.class_name}.__super__()" if self.class_name else None
        if what == "builtins.getattr" and len(node.args) == 2 and text and given:
            base = given[0][2]
            return f"{base}.{text}" if base and text.isidentifier() else None
        if what == "builtins.type" and len(node.args) == 1 and given:
            base = given[0][2]
            return base[:-2] if base and base.endswith("()") else None
        if what in ("typing.cast", "typing_extensions.cast") and len(node.args) == 2:
            return self.annotation(node.args[0])
        if code.loads and what in code.loads:
            # Not a load of its own: the call says it all.
            code.loads[what] -= code.weight
            if code.loads[what] <= 1e-9:
                del code.loads[what]
        calls = code.calls
        calls[what] = calls.get(what, 0.0) + code.weight
        if type(function) is ast.Attribute and function.attr in _MUTATORS:
            self.changed(function.value)
        for place, argument, reference in given:
            if reference and type(argument) in _REFERENCES and reference[0] != "?" and reference[-1] not in ")]":
                if not reference.startswith("builtins."):
                    self.handed.append(Handed(what, place, text, reference, code.index))
            elif type(argument) in (ast.List, ast.Tuple):
                for item in argument.elts:
                    word = self.peek(item) if type(item) in (ast.Name, ast.Attribute) else None
                    if word and word[0] != "?" and word[-1] not in ")]" and not word.startswith("builtins."):
                        self.handed.append(Handed(what, place, text, word, code.index))
        if container and type(function) is ast.Attribute:
            return taken_from(container, function.attr) or what + "()"
        if what in _PASS_ON and given and given[0][0] == 0:
            return given[0][2]
        return what + "()"

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
        self.code.is_generator = True
        self.visit(node.value)
        return None

    def binary(self, node: ast.BinOp) -> str | None:
        left = self.visit(node.left)
        right = self.visit(node.right)
        if type(node.op) is ast.Div:  # paths
            return left
        if type(node.op) is ast.BitOr and left and left[-1] != ")":
            return left  # an alias such as `Number = int | float`
        del right
        return None

    def unary(self, node: ast.UnaryOp) -> None:
        self.visit(node.operand)

    def compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        for item in node.comparators:
            self.visit(item)

    def boolean(self, node: ast.BoolOp) -> str | None:
        code = self.code
        code.branches += len(node.values) - 1
        code.cognitive += 1
        found = None
        for value in node.values:
            found = self.visit(value) or found
        return found

    def conditional(self, node: ast.IfExp) -> str | None:
        code = self.code
        code.branches += 1
        code.cognitive += 1 + code.nest
        self.visit(node.test)
        first = self.visit(node.body)
        second = self.visit(node.orelse)
        return first or second

    def constant(self, node: ast.Constant) -> str | None:
        return "builtins.str()" if type(node.value) is str else None

    def joined(self, node: ast.JoinedStr) -> str | None:
        for value in node.values:
            if type(value) is ast.FormattedValue:
                self.code.nodes += self.code.weight
                self.visit(value.value)
                if value.format_spec is not None:
                    self.visit(value.format_spec)
        return "builtins.str()"

    def parts(self, node: Any) -> None:
        """Strings with values in them, of kinds to come (template strings)."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.visit(child)

    def sequence(self, node: Any) -> str | None:
        inner = None
        for value in node.elts:
            found = self.visit(value)
            inner = inner or found
        return "[]" + inner if inner and inner[0] not in "?[{" else "builtins.list()"

    def dictionary(self, node: ast.Dict) -> str | None:
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
        if base[-1] not in ")]" and base.rpartition(".")[2] in _TRANSPARENT:
            inner = self.annotation(node)
            return inner[:-2] if inner and inner.endswith("()") else inner
        if base[-1] not in ")]" and (base.rpartition(".")[2][:1].isupper() or base in _GENERIC_BUILTINS):
            return base  # a generic class with its parameters
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
        for generator in node.generators:
            what = self.visit(generator.iter)
            code.branches += 1 + len(generator.ifs)
            code.cognitive += len(generator.ifs)
            code.depth += 1
            code.most_depth = max(code.most_depth, code.depth)
            code.weight *= self.times(generator.iter)
            if code.scope is not self.bound:
                self.store(generator.target, element(what), None)
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
        self.bound.update(kept)
        return answer

    def lambda_(self, node: ast.Lambda) -> str | None:
        outer = self.code
        arguments = node.args
        for default in (*arguments.defaults, *(value for value in arguments.kw_defaults if value is not None)):
            self.visit(default)
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        names += [extra.arg for extra in (arguments.vararg, arguments.kwarg) if extra is not None]
        index = len(self.functions)
        self.functions.append(None)
        code = _Code(index, dict.fromkeys(names))
        pushed = outer.scope is not self.bound and not self.in_class_body()
        if pushed:
            self.scopes.append(outer.scope)
        kept_body, self.body_class = self.body_class, ""
        self.code = code
        found = self.visit(node.body)
        self.code = outer
        self.body_class = kept_body
        if pushed:
            self.scopes.pop()
        qualname = self.prefix + "<lambda>"
        self.functions[index] = SeenFunction(
            qualname,
            node.lineno,
            node.end_lineno or node.lineno,
            "generator" if code.is_generator else "function",
            tuple(names),
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

    def unknown(self, node: Any) -> None:
        """A node newer than this walk: its parts are looked at, what it is is not known."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.visit(child)
            elif isinstance(child, ast.stmt):
                self.block([child])

    # Annotations.

    def annotation(self, node: Any) -> str | None:
        """What a value annotated so is: `Cart` -> `shop.cart.Cart()`, `list[Cart]` -> `[]shop.cart.Cart()`."""
        kind = type(node)
        if kind is ast.Name:
            found = self.lookup(node.id)
            return found + "()" if found and found[-1] != ")" else found
        if kind is ast.Attribute:
            found = self.peek(node)
            return found + "()" if found and found[0] != "?" else None
        if kind is ast.Constant:
            value = node.value
            if type(value) is not str or len(value) > 200:
                return None
            try:
                return self.annotation(ast.parse(value.strip(), mode="eval").body)
            except (SyntaxError, ValueError):
                return None
        if kind is ast.BinOp:
            return self.known(node.left) or self.known(node.right)
        if kind is ast.Subscript:
            return self.generic(node)
        return None

    def known(self, node: ast.expr) -> str | None:
        return None if type(node) is ast.Constant and node.value is None else self.annotation(node)

    def generic(self, node: ast.Subscript) -> str | None:
        base = last_name(node.value)
        inner = node.slice
        items = inner.elts if type(inner) is ast.Tuple else [inner]
        if not items:
            return None
        if base in _TRANSPARENT:
            return self.annotation(items[-1] if base == "Coroutine" else items[0])
        if base == "Union":
            return next(filter(None, map(self.known, items)), None)
        if base in ("type", "Type"):
            found = self.annotation(items[0])
            return found[:-2] if found and found.endswith("()") else None
        if base in _CONTAINERS:
            found = self.annotation(items[0])
            return "[]" + found if found else "builtins.list()"
        if base in _MAPPINGS:
            found = self.annotation(items[-1])
            return "{}" + found if found else "builtins.dict()"
        if base in ("Callable", "Literal"):
            return None
        return self.annotation(node.value)


_CLASS_METHODS = frozenset(("__new__", "__init_subclass__", "__class_getitem__"))
_GENERIC_BUILTINS = frozenset(f"builtins.{name}" for name in ("list", "dict", "set", "frozenset", "tuple", "type"))
_REFERENCES = (ast.Name, ast.Attribute, ast.Lambda, ast.Call)
_BLOCKS = frozenset((ast.If, ast.Try, ast.With, ast.For, ast.While, getattr(ast, "TryStar", ast.Try)))


def taken_from(container: str, method: str) -> str | None:
    """What a method of `[]X` or `{}X` gives: an `X`, or several."""
    if container[0] == "{":
        if method in ("get", "pop", "setdefault"):
            return container[2:]
        return "[]" + container[2:] if method == "values" else None
    return container[2:] if method in ("pop", "popleft") else None


def is_main_guard(test: ast.expr) -> bool:
    """Whether a test is `__name__ == "__main__"`, either way round."""
    if type(test) is not ast.Compare or len(test.ops) != 1 or type(test.ops[0]) is not ast.Eq:
        return False
    sides = (test.left, test.comparators[0])
    named = any(type(side) is ast.Name and side.id == "__name__" for side in sides)
    return named and any(type(side) is ast.Constant and side.value == "__main__" for side in sides)


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
    """`self.x = y`, with nothing to be worked out; `super().__init__()`."""
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
    if kind is ast.BinOp:
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


_STATEMENTS: dict[type, Callable[[Any, Any], Any]] = {
    ast.FunctionDef: _Module.function,
    ast.AsyncFunctionDef: _Module.function,
    ast.ClassDef: _Module.class_,
    ast.Return: _Module.return_,
    ast.Assign: _Module.assign,
    ast.AnnAssign: _Module.annotated,
    ast.AugAssign: _Module.augmented,
    ast.For: _Module.loop,
    ast.AsyncFor: _Module.loop,
    ast.While: _Module.while_,
    ast.If: _Module.if_,
    ast.Try: _Module.try_,
    ast.Raise: _Module.raise_,
    ast.With: _Module.with_,
    ast.AsyncWith: _Module.with_,
    ast.Match: _Module.match,
    ast.Import: _Module.import_here,
    ast.ImportFrom: _Module.import_here,
    ast.Global: _Module.globals_,
    ast.Nonlocal: _Module.nonlocals_,
    ast.Expr: _Module.value,
    ast.Assert: _Module.assert_,
    ast.Delete: _Module.delete,
    ast.Pass: _Module.nothing,
    ast.Break: _Module.nothing,
    ast.Continue: _Module.nothing,
}
_EXPRESSIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Name: _Module.name,
    ast.Attribute: _Module.attribute,
    ast.Call: _Module.call,
    ast.Await: _Module.await_,
    ast.Yield: _Module.yield_,
    ast.YieldFrom: _Module.yield_from,
    ast.BinOp: _Module.binary,
    ast.UnaryOp: _Module.unary,
    ast.Compare: _Module.compare,
    ast.BoolOp: _Module.boolean,
    ast.IfExp: _Module.conditional,
    ast.Constant: _Module.constant,
    ast.JoinedStr: _Module.joined,
    ast.List: _Module.sequence,
    ast.Tuple: _Module.sequence,
    ast.Set: _Module.sequence,
    ast.Dict: _Module.dictionary,
    ast.Starred: _Module.starred,
    ast.Subscript: _Module.subscript,
    ast.Slice: _Module.slice_,
    ast.NamedExpr: _Module.walrus,
    ast.ListComp: _Module.comprehension,
    ast.SetComp: _Module.comprehension,
    ast.DictComp: _Module.comprehension,
    ast.GeneratorExp: _Module.comprehension,
    ast.Lambda: _Module.lambda_,
}


class _Known(dict[type, Callable[[Any, Any], Any]]):
    """A node of a Python newer than this file does not stop anything."""

    def __missing__(self, kind: type) -> Callable[[Any, Any], Any]:
        return _Module.unknown if kind.__name__ not in ("TypeAlias",) else _Module.nothing


_STATEMENTS = _Known(_STATEMENTS)
_EXPRESSIONS = _Known(_EXPRESSIONS)
_STATEMENTS[getattr(ast, "TryStar", ast.Try)] = _Module.try_
