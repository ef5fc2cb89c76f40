"""One file's text -> what can be seen in it alone, as plain values that `marshal` can hold.

One walk over the tree does everything: an expression's visit returns what the expression *is*, as a dotted expression
(docs/decisions/0008), and on the way counts work, calls, complexity. What other files say is left to `link`.
"""

from __future__ import annotations

import ast
import builtins
import marshal
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

FORMAT = 5
"""To be raised when the same text would give another `Seen`."""
ITERATIONS = 3.0
"""How often a loop is taken to run each time it is entered, where its source does not say. Counted in 1,344 loops of sympy, SQLAlchemy,
Django, Flask, Jinja, sqlglot, docutils and the standard library at work: 2.0 on average, 2.1 as the geometric mean over loops, 5.4 over
the 400 busiest."""
BRANCH = 0.5
"""How often one side of an `if` is taken to run, to each time the `if` is."""
RARELY = 0.02
"""The same for what handles an exception."""
SEQUENCE, MAPPING, TEXT = 5.0, 10.0, 10.0
"""What making a list, a mapping or a text takes beyond its parts, in parts of an expression."""
MOST_ITERATIONS = 1e6
MOST_EXPRESSION = 240
"""Characters of a dotted expression; longer ones are unknown (`x = x.next`, over and over, would grow without end)."""
MOST_TEXT = 200
"""Characters of a text kept, or of an annotation in quotes that is read."""
DEEP = 60_000
"""Recursion limit for trees too deep for the usual one; deeper than this the parser makes none."""


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
    """As radon counts, but for these: the `else` of a loop or `try` is no branch; a case's guard is one; what an `assert` combines
    counts; nested functions and lambdas are functions of their own."""
    cognitive: int
    """As SonarSource's paper has it, with what it leaves open: an `else` of a loop counts one, of a `try` none; every condition of a
    comprehension counts one; nested functions and lambdas are functions of their own, and begin at no depth."""
    loop_depth: int
    calls: dict[str, float]
    """Expression called -> times for one call; `shop.walk(visit)` is the parameter `visit` of `shop.walk`."""
    loads: dict[str, float]
    """What may turn out to be a call: attributes read (properties), and `x.__len__`, `x.__iter__`, `x.__eq__` for what operators do."""
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
    weight: float
    """How often, for one call of that function."""


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
    outer_words: str = ""
    """Names in what other code may ask of this one: values of names and attributes, bases, results, decorators, tables. See `words_of`."""
    inner_words: str = ""
    """Names in what its functions call and read."""
    inner: bytes = b""
    """What its functions call and read, as long as nobody asked: see `whole`."""


def analyse(text: str, module: str, is_package: bool = False) -> Seen:
    """What can be seen in one module's text.

    Raises SyntaxError, and ValueError, RecursionError or MemoryError for what the interpreter's parser gives up on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and the like: the author's, when the program runs
        tree = ast.parse(text)
        try:
            return with_words(_Module(tree, text, module, is_package).seen())
        except RecursionError:
            # Sums of a thousand parts, chains of a thousand calls. The walk is all Python, and Python's calls of
            # itself take no room on the C stack.
            usual = sys.getrecursionlimit()
            sys.setrecursionlimit(max(usual, DEEP))
            try:
                return with_words(_Module(tree, text, module, is_package).seen())
            finally:
                sys.setrecursionlimit(usual)


_WORD = re.compile(r"\w+\*?")


def words_in(expressions: Iterable[str]) -> set[str]:
    """The names that expressions are made of; `visit_*` stands for all that begin so."""
    return set(_WORD.findall("\n".join(expressions)))


def words_of(expressions: Iterable[str]) -> str:
    """The same as one text, each between ends of line: it is read sooner than a set, and seldom asked for more than a few."""
    return "\n".join(["", *sorted(words_in(expressions)), ""])


def asked_of(function: SeenFunction) -> Iterator[str]:
    """Expressions that say what a function is to those who call it."""
    yield function.returns
    for decorator, _ in function.decorators:
        yield decorator


def done_by(function: SeenFunction) -> Iterator[str]:
    """Expressions that say what a function does."""
    yield from function.calls
    yield from function.loads


def with_words(seen: Seen) -> Seen:
    """The same with the names in it."""
    outer = [*seen.names.values()]
    for kind in seen.classes:
        outer += kind.bases
        outer += kind.attributes.values()
    for function in seen.functions:
        outer += asked_of(function)
    for references in seen.tables.values():
        outer += references
    inner = [word for function in seen.functions for word in done_by(function)]
    return seen._replace(outer_words=words_of(outer), inner_words=words_of(inner))


def to_plain(seen: Seen) -> tuple[Any, ...]:
    """As `marshal` can hold it; what functions call and read in a part of its own, which is half of all."""
    inner = marshal.dumps([(function.calls, function.loads) for function in seen.functions])
    return (
        *seen[:4],
        tuple(map(tuple, seen.classes)),
        tuple([(*function[:_INNER], None, None, *function[_INNER + 2 :]) for function in seen.functions]),
        tuple(map(tuple, seen.handed)),
        *seen[7:-1],
        inner,
    )


_INNER = SeenFunction._fields.index("calls")
"""Place of `calls`, which `loads` follows."""


def whole(seen: Seen) -> Seen:
    """With what its functions call and read."""
    if not seen.inner:
        return seen
    inner = marshal.loads(seen.inner)
    plain = [
        (*function[:_INNER], *both, *function[_INNER + 2 :])
        for function, both in zip(seen.functions, inner, strict=True)
    ]
    return seen._replace(functions=tuple(map(tuple.__new__, repeat(SeenFunction), plain)), inner=b"")


def from_plain(plain: tuple[Any, ...]) -> Seen:
    """The way back, but for what `whole` adds."""
    # What `_make` does, without a call of Python's for each.
    classes = tuple(map(tuple.__new__, repeat(SeenClass), plain[4]))
    functions = tuple(map(tuple.__new__, repeat(SeenFunction), plain[5]))
    handed = tuple(map(tuple.__new__, repeat(Handed), plain[6]))
    return Seen._make((*plain[:4], classes, functions, handed, *plain[7:]))


_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"__import__"}
_OFF = re.compile(r"#\s*autoscope:\s*(off|never|trace)\b")
_MARKS = {"autoscope.trace": "trace", "autoscope.never": "never"}
_MUTATORS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove reverse rotate setdefault sort update".split()
)
_COLLECTS = frozenset(("add", "append", "appendleft", "insert"))
_EMPTY = frozenset(("builtins.list()", "builtins.set()", "builtins.dict()", "collections.deque()"))
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
        "functools.wraps()",
        "functools.update_wrapper",
        "builtins.sorted",
        "builtins.reversed",
        "builtins.list",
        "builtins.tuple",
        "builtins.set",
        "collections.deque",
        "copy.copy",
        "copy.deepcopy",
    )
)
"""Calls whose result is, for our purposes, their first argument."""
_GIVES_ELEMENT = frozenset(f"builtins.{name}" for name in ("max", "min", "next", "sum"))
_NO_CALLS = frozenset(("builtins.super", "builtins.getattr", "builtins.type"))
_KNOWN_RESULTS = (
    "builtins.str",
    "builtins.open",
    "builtins.bytes",
    "builtins.super",
    "builtins.type",
    "builtins.list",
    "builtins.dict",
    "builtins.set",
    "builtins.tuple",
    "builtins.frozenset",
    "builtins.object",
)
"""Of what else is built in, nobody knows what the result can do."""
_IMPLIED = {
    **{
        f"builtins.{name}": f"__{name}__"
        for name in ("len", "next", "iter", "str", "repr", "bool", "hash", "reversed", "abs", "int")
    },
    "builtins.list": "__iter__",
    "builtins.tuple": "__iter__",
    "builtins.set": "__iter__",
    "builtins.sorted": "__iter__",
    "builtins.enumerate": "__iter__",
    "builtins.sum": "__iter__",
    "builtins.any": "__iter__",
    "builtins.all": "__iter__",
}
"""Calls that make their first argument's class do something."""
_OPERATORS: dict[type, str] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.MatMult: "__matmul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__",
    ast.Pow: "__pow__",
    ast.LShift: "__lshift__",
    ast.RShift: "__rshift__",
    ast.BitOr: "__or__",
    ast.BitXor: "__xor__",
    ast.BitAnd: "__and__",
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
    ast.In: "__contains__",
    ast.NotIn: "__contains__",
    ast.USub: "__neg__",
    ast.UAdd: "__pos__",
    ast.Invert: "__invert__",
    ast.Not: "__bool__",
}
_UNKNOWN: Any = object()


def element(of: str | None) -> str | None:
    """What iterating over, or subscripting, an expression gives."""
    if of is None or of[0] == "?":
        return None
    if of[0] in "[{":
        return of[2:]
    return None if of.startswith("builtins.") and not of.startswith("builtins.open") else of + "[]"


class _Code:
    """What is being gathered for one code block: a function, or a module's top level."""

    __slots__ = (
        "branches",
        "breaks",
        "calls",
        "catches",
        "caught",
        "changes",
        "cognitive",
        "depth",
        "globals",
        "index",
        "is_generator",
        "loads",
        "most_depth",
        "nest",
        "nodes",
        "nonlocals",
        "owner",
        "parameters",
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

    def __init__(
        self,
        index: int,
        scope: dict[str, Any],
        owner: str = "",
        self_name: str = "",
        parameters: dict[str, str] | None = None,
    ) -> None:
        self.index = index
        self.scope = scope
        self.owner = owner
        self.self_name = self_name
        self.parameters = parameters or {}
        """Parameters nothing is known of, those of functions around it too -> as `calls` has them."""
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
        self.caught: list[str] = []
        """Names that handlers being walked give to what they caught."""
        self.changes: dict[str, None] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.returns = ""
        self.yields = ""
        self.is_generator = False
        self.serves = False
        self.breaks = False
        """Whether the loop being walked has a `break`."""


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
        self.bounds: list[tuple[str, ast.expr]] = []
        """Type variables, and what they are bound to."""
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
        self.marks = find_marks(text) if "autoscope:" in text else {}
        self.lambdas = "lambda" in text
        """Whether looking for lambdas in annotations can find any."""
        self.main_calls: dict[str, float] = {}
        self.has_main = False
        self.code = _Code(-1, self.bound)

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
            elif kind is _TYPE_ALIAS:
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

    # Statements.

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

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = self.code
        qualname = self.prefix + node.name if node.name not in outer.globals else node.name
        decorators, mark = self.decorators(node)
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if not mark and self.marks:
            mark = self.mark_at(first, node)
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
        code = _Code(index, scope, self.class_name if method else "", self_name, parameters)
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

    def mangle(self, names: Iterable[str]) -> tuple[str, ...]:
        """Parameters as code in the class being walked has them."""
        return tuple(mangled(name, self.class_name) if name[:2] == "__" else name for name in names)

    def in_annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Lambdas in a signature's annotations (`Annotated[int, Check(lambda value: …)]`), and in its type parameters."""
        arguments = node.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
        for annotation in (*(argument.annotation for argument in every if argument is not None), node.returns):
            self.evaluated(annotation)
        self.type_parameters(node)

    def evaluated(self, annotation: ast.expr | None) -> None:
        """Walk an annotation that is evaluated with what it stands on, for the lambdas in it."""
        if annotation is None or type(annotation) in (ast.Name, ast.Attribute, ast.Constant):
            return
        if "__future__.annotations" not in self.imports and has_lambda(annotation):
            self.visit(annotation)

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
        code, self.code = self.code, _Code(self.code.index, {})
        kept, self.prefix = self.prefix, self.prefix + prefix
        for node in nodes:
            for child in [node] if isinstance(node, ast.expr) else ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.visit(child)
        self.code, self.prefix = code, kept

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
                        text = value.value[:MOST_TEXT]
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

    def class_(self, node: ast.ClassDef) -> None:
        outer = self.code
        qualname = self.prefix + node.name if node.name not in outer.globals else node.name
        decorators, mark = self.decorators(node)
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        if not mark and self.marks:
            mark = self.mark_at(first, node)
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
        code = _Code(outer.index, scope, qualname, "", outer.parameters)
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
            self.implied(self.peek(node.target), _OPERATORS[type(node.op)])
        self.store(node.target, None, None, keep=True)

    def store(self, target: Any, value: str | None, source: Any, keep: bool = False) -> None:
        """A target is given what `value` stands for; `keep`: it is changed rather than replaced."""
        code = self.code
        code.nodes += code.weight
        if value is not None and len(value) > MOST_EXPRESSION:
            value = None
        kind = type(target)
        if kind is ast.Name:
            name = target.id
            if name in code.globals:
                code.changes[f"global {name}"] = None
                if value and name not in self.names:
                    self.names[name] = value
            elif name in code.nonlocals:
                code.changes[f"nonlocal {name}"] = None
            elif keep:
                pass
            elif self.body_class and type(source) in _LITERALS:
                code.scope[name] = value
                self.table(f"{self.body_class}.{name}", source)
            elif code.scope is self.bound:
                if value and name not in self.names:
                    self.names[name] = value
                if source is not None:
                    self.table(name, source)
            else:
                if type(source) in _LITERALS and self.table(f"@{source.lineno}", source, 2):
                    self.names[f"@{source.lineno}"] = value or "builtins.list()"
                    value = f"{self.module}.@{source.lineno}"
                if value or code.scope.get(name) is None:
                    code.scope[name] = value
                if name in code.parameters:
                    code.parameters = {key: word for key, word in code.parameters.items() if key != name}
        elif kind is ast.Attribute:
            base = self.visit(target.value)
            name = target.attr
            self.changed(target)
            if code.owner and self.is_self(target.value):
                if value and base and base.endswith("()"):
                    self.classes[code.owner][2].setdefault(name, value)
                if type(source) in _LITERALS:
                    self.table(f"{code.owner}.{name}", source)
        elif kind is ast.Subscript:
            self.implied(self.visit(target.value), "__setitem__")
            self.visit(target.slice)
            self.collect(target.value, "{}", value)
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

    def is_self(self, node: ast.expr) -> bool:
        return type(node) is ast.Name and node.id == self.code.self_name

    def collect(self, container: ast.expr, prefix: str, value: str | None) -> None:
        """Something is put into a list, set or dict that was empty: `[]`, `{}` of what it stands for."""
        if value is None or value[-1] != ")" or value[0] in "?[{" or value.startswith("builtins."):
            return
        code = self.code
        if type(container) is ast.Name:
            if code.scope is not self.bound and code.scope.get(container.id) in _EMPTY:
                code.scope[container.id] = prefix + value
        elif code.owner and type(container) is ast.Attribute and self.is_self(container.value):
            attributes = self.classes[code.owner][2]
            if attributes.get(container.attr) in _EMPTY:
                attributes[container.attr] = prefix + value

    def table(self, name: str, source: Any, least: int = 1) -> bool:
        """Keep what may be functions among a collection's values, or its rows': dispatch tables, URL patterns. Whether any are kept."""
        found = []
        for value in source.values if type(source) is ast.Dict else getattr(source, "elts", ()):
            for item in value.elts if type(value) is ast.Tuple else (value,):
                if type(item) is ast.Name or type(item) is ast.Attribute:
                    word = self.peek(item)
                    if word and word[0] != "?" and word[-1] not in ")]" and not word.startswith("builtins."):
                        found.append(word)
        kept = tuple(dict.fromkeys(found))
        if len(kept) < least:
            return False
        self.tables[name] = kept
        return True

    def peek(self, node: ast.expr) -> str | None:
        """What an expression is, without counting it."""
        code = self.code
        if type(node) is ast.Name:
            return self.lookup(node.id)
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

    def each(self, target: Any, iterated: ast.expr, what: str | None) -> None:
        """A loop's target is given what there is in `iterated`, which stands for `what`."""
        if type(target) is ast.Tuple and type(iterated) is ast.Call and len(target.elts) == 2:
            function, arguments = iterated.func, iterated.args
            first, second = target.elts
            if type(function) is ast.Name and arguments:
                if function.id == "enumerate":
                    self.store(first, None, None)
                    self.each(second, arguments[0], self.peek(arguments[0]))
                    return
                if function.id == "zip" and len(arguments) == 2:
                    for part, argument in zip(target.elts, arguments, strict=True):
                        self.store(part, element(self.peek(argument)), None)
                    return
            elif type(function) is ast.Attribute and function.attr == "items" and not arguments:
                self.store(first, None, None)
                self.store(second, element(self.peek(function.value)), None)
                return
        self.implied(what, "__iter__")
        self.store(target, element(what), None)

    def implied(self, what: str | None, name: str) -> None:
        """An operator, a loop or the like has the class of `what` do something."""
        if what is not None and what[0] not in "?[{" and not what.startswith("builtins."):
            loads = self.code.loads
            word = f"{what}.{name}"
            loads[word] = loads.get(word, 0.0) + self.code.weight

    def times(self, node: Any) -> float:
        """How often a loop over `node` runs."""
        kind = type(node)
        if kind is ast.Call:
            name = node.func.id if type(node.func) is ast.Name else ""
            arguments = node.args
            if name == "range" and arguments:
                bounds = [self.number(argument) for argument in arguments[:3]]
                last = bounds[-1] if len(bounds) < 3 else bounds[1]
                if last is None:
                    return ITERATIONS
                start = bounds[0] if len(bounds) > 1 and bounds[0] is not None else 0.0
                step = bounds[2] if len(bounds) == 3 else 1.0
                times = (last - start) / step if step else abs(last - start)
                return min(max(times, 0.0), MOST_ITERATIONS)
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
        if kind is ast.UnaryOp and type(node.op) is ast.USub:
            found = self.number(node.operand)
            return None if found is None else -found
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
        found = self.member(self.visit(node.value), node.attr)
        if found[0] != "?" and "()" in found and not found.startswith("builtins."):
            loads = self.code.loads
            loads[found] = loads.get(found, 0.0) + self.code.weight
        return found

    def member(self, base: str | None, name: str) -> str:
        """What an attribute of `base` is."""
        if not base or base[0] == "?" or len(base) > MOST_EXPRESSION:
            return "?." + name
        if base[0] == "[" or base[0] == "{":
            self.container = base
            return f"builtins.{'list' if base[0] == '[' else 'dict'}().{name}"
        return f"{base}.{name}"

    def call(self, node: ast.Call) -> str | None:
        function = node.func
        code = self.code
        self.container = ""
        what: str | None
        if type(function) is ast.Attribute:
            code.nodes += code.weight
            what = self.member(self.visit(function.value), function.attr)
        else:
            what = self.visit(function)
        container, self.container = self.container, ""
        text = ""
        given: list[tuple[int | str, Any, str | None]] = []
        place: int | str
        for place, argument in enumerate(node.args):
            if type(argument) is ast.Constant:
                if not text and type(argument.value) is str:
                    text = argument.value[:MOST_TEXT]
                code.nodes += code.weight
                continue
            given.append((place, argument, self.visit(argument)))
        for keyword in node.keywords:
            value = keyword.value
            if type(value) is ast.Constant:
                code.nodes += code.weight
                if not text and type(value.value) is str and keyword.arg in ("path", "rule", "name", "route"):
                    text = value.value[:MOST_TEXT]
                continue
            given.append((keyword.arg or "**", value, self.visit(value)))
        if what is None:
            if type(function) is ast.Name and function.id in code.parameters:
                self.count(code.parameters[function.id])
            return None
        first = given[0][2] if given and given[0][0] == 0 else None
        if what in _NO_CALLS:
            found = self.of_builtin(what, node, first, text)
            if found is not _UNKNOWN:
                return found  # type: ignore[no-any-return]
        elif what in ("typing.cast", "typing_extensions.cast") and len(node.args) == 2:
            return self.annotation(node.args[0])
        calls = code.calls
        calls[what] = calls.get(what, 0.0) + code.weight
        if type(function) is ast.Attribute and function.attr in _MUTATORS:
            self.changed(function.value)
            if function.attr in _COLLECTS and given:
                self.collect(function.value, "[]", given[-1][2])
        for place, argument, reference in given:
            if reference and type(argument) in _REFERENCES and reference[0] != "?" and reference[-1] not in ")]":
                if not reference.startswith("builtins."):
                    self.handed.append(Handed(what, place, text, reference, code.index, code.weight))
            elif type(argument) in (ast.List, ast.Tuple):
                for item in argument.elts:
                    word = self.peek(item) if type(item) in (ast.Name, ast.Attribute) else None
                    if word and word[0] != "?" and word[-1] not in ")]" and not word.startswith("builtins."):
                        self.handed.append(Handed(what, place, text, word, code.index, code.weight))
        if container:
            return taken_from(container, what.rpartition(".")[2])
        if first is not None:
            if what in _IMPLIED:
                self.implied(first, _IMPLIED[what])
            if what in _PASS_ON:
                return first
        if what in _GIVES_ELEMENT and len(node.args) == 1:
            return element(first)
        if len(what) > MOST_EXPRESSION or (what.startswith("builtins.") and not what.startswith(_KNOWN_RESULTS)):
            return None
        return what + "()"

    def of_builtin(self, what: str, node: ast.Call, first: str | None, text: str) -> Any:
        """What calling something built in comes to, where that is no call or not just one; else `_UNKNOWN`."""
        if what == "builtins.super":
            return f"{self.module}.{self.class_name}.__super__()" if self.class_name else None
        if what == "builtins.getattr" and len(node.args) > 1 and first:
            self.count(what)
            if text and len(node.args) == 2 and text.isidentifier():
                return self.member(first, text)
            start = beginning(node.args[1])
            return (
                f"{first}.{start}*" if start and first[0] not in "?[{" and not first.startswith("builtins.") else None
            )
        if what == "builtins.type" and len(node.args) == 1 and first:
            return first[:-2] if first.endswith("()") else None
        return _UNKNOWN

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
        code = self.code
        code.is_generator = True
        found = self.visit(node.value)
        self.implied(found, "__iter__")
        if not code.yields:
            code.yields = element(found) or ""
        return None

    def binary(self, node: ast.BinOp) -> str | None:
        left = self.visit(node.left)
        self.visit(node.right)
        if left is None:
            return None
        operator = type(node.op)
        self.implied(left, _OPERATORS[operator])
        if operator is ast.BitOr and left[-1] != ")":
            return left  # an alias such as `Number = int | float`
        if left[0] in "?[{":
            return left if operator is ast.Add and left[0] != "?" else None
        if left.startswith("builtins."):
            return left if left == "builtins.str()" and operator in (ast.Add, ast.Mod) else None
        # A path divided is a path; what else operators give is taken to be of the same kind.
        return left if left[-1] == ")" else None

    def unary(self, node: ast.UnaryOp) -> str | None:
        found = self.visit(node.operand)
        self.implied(found, _OPERATORS[type(node.op)])
        return None

    def compare(self, node: ast.Compare) -> None:
        left = self.visit(node.left)
        for operator, item in zip(node.ops, node.comparators, strict=True):
            right = self.visit(item)
            kind = type(operator)
            if kind is ast.In or kind is ast.NotIn:
                self.implied(right, "__contains__")
            elif left is not None and kind in _OPERATORS:
                self.implied(left, _OPERATORS[kind])
            left = right

    def boolean(self, node: ast.BoolOp) -> str | None:
        code = self.code
        code.branches += len(node.values) - 1
        code.cognitive += 1
        found = None
        last = node.values[-1]
        for value in node.values:
            what = self.visit(value)
            if value is not last:
                self.implied(what, "__bool__")
            found = what or found
        return found

    def conditional(self, node: ast.IfExp) -> str | None:
        code = self.code
        code.branches += 1
        code.cognitive += 1 + code.nest
        code.nest += 1
        self.implied(self.visit(node.test), "__bool__")
        first = self.visit(node.body)
        second = self.visit(node.orelse)
        code.nest -= 1
        return first or second

    def constant(self, node: ast.Constant) -> str | None:
        return "builtins.str()" if type(node.value) is str else None

    def joined(self, node: ast.JoinedStr) -> str | None:
        self.code.nodes += self.code.weight * TEXT
        for value in node.values:
            if type(value) is ast.FormattedValue:
                self.code.nodes += self.code.weight
                self.implied(self.visit(value.value), "__repr__" if value.conversion == 114 else "__str__")
                if value.format_spec is not None:
                    self.visit(value.format_spec)
        return "builtins.str()"

    def parts(self, node: Any) -> None:
        """Strings with values in them, of kinds to come (template strings)."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.visit(child)

    def sequence(self, node: Any) -> str | None:
        self.code.nodes += self.code.weight * SEQUENCE
        inner = None
        for value in node.elts:
            found = self.visit(value)
            if inner is None:
                inner = found
            elif found is not None and found != inner and type(node) is ast.Tuple:
                inner = "?"  # of several kinds: a part of it may be any
        return "[]" + inner if inner and inner[0] not in "?[{" else "builtins.list()"

    def dictionary(self, node: ast.Dict) -> str | None:
        self.code.nodes += self.code.weight * MAPPING
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
        if base[-1] not in ")]":
            name = base.rpartition(".")[2]
            if (name[:1].isupper() and not name.isupper()) or base in _GENERIC_BUILTINS:
                return base  # a generic class with its parameters
        if type(node.slice) is ast.Slice and base[0] in "[{":
            return base
        self.implied(base, "__getitem__")
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
        prefix = self.prefix
        for generator in node.generators:
            what = self.visit(generator.iter)
            if self.lambdas and prefix is self.prefix:  # what the first one goes through is found outside
                self.prefix += comprehension_prefix(type(node))
            code.branches += 1 + len(generator.ifs)
            code.cognitive += len(generator.ifs)
            code.depth += 1
            code.most_depth = max(code.most_depth, code.depth)
            code.weight *= self.times(generator.iter)
            if code.scope is not self.bound:
                self.each(generator.target, generator.iter, what)
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
        self.prefix = prefix
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
            if found is None or found[-1] == ")":
                return found
            if found in _ANYTHING:
                return None
            return found + "()" if found not in _SELF else self.own()
        if kind is ast.Attribute:
            found = self.peek(node)
            if found in _SELF:
                return self.own()
            return found + "()" if found and found[0] != "?" and found not in _ANYTHING else None
        if kind is ast.Constant:
            value = node.value
            if type(value) is not str or len(value) > MOST_TEXT:
                return None
            try:
                return self.annotation(ast.parse(value.strip(), mode="eval").body)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                return None
        if kind is ast.BinOp:
            return self.known(node.left) or self.known(node.right)
        if kind is ast.Subscript:
            return self.generic(node)
        return None

    def own(self) -> str | None:
        return f"{self.module}.{self.class_name}()" if self.class_name else None

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


_SELF = frozenset(("typing.Self", "typing_extensions.Self"))
_ANYTHING = frozenset(
    ("builtins.object", "typing.Any", "typing_extensions.Any", "typing.Callable", "collections.abc.Callable")
)
"""Annotations that say nothing about what a value can do."""
_TYPE_VARIABLES = frozenset(("TypeVar", "ParamSpec", "TypeVarTuple"))
_LITERALS = frozenset((ast.List, ast.Tuple, ast.Set, ast.Dict))
_CLASS_METHODS = frozenset(("__new__", "__init_subclass__", "__class_getitem__"))
_GENERIC_BUILTINS = frozenset(f"builtins.{name}" for name in ("list", "dict", "set", "frozenset", "tuple", "type"))
_REFERENCES = (ast.Name, ast.Attribute, ast.Lambda, ast.Call)
_BLOCKS = frozenset(
    (ast.If, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.Match)
)
_DEFINITIONS = frozenset((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
_TYPE_ALIAS: Any = getattr(ast, "TypeAlias", None)
_INLINED = sys.version_info >= (3, 12)
"""Whether a comprehension's code is part of that around it."""


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
    ast.Break: _Module.break_,
    ast.Continue: _Module.continue_,
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
        return _Module.unknown


_STATEMENTS = _Known(_STATEMENTS)
_EXPRESSIONS = _Known(_EXPRESSIONS)
_STATEMENTS[ast.TryStar] = _Module.try_
if _TYPE_ALIAS is not None:
    _STATEMENTS[_TYPE_ALIAS] = _Module.type_alias
