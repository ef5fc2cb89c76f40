"""Facts: what static analysis saw in functions and modules, and nothing it thinks of them.

`autoscope analyze` prints them, `score` and `choose` judge by them. Field by field in docs/planner.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

KINDS = ("function", "generator", "coroutine", "async_generator")
IO_KINDS = ("file", "network", "http", "database", "cache", "queue", "subprocess", "lock", "sleep", "console")
ROLES = (
    "web",
    "task",
    "command",
    "main",
    "consumer",
    "startup",
    "shutdown",
    "worker_loop",
    "thread",
    "middleware",
    "orm_query",
    "model",
    "context_manager",
    "callback",
    "test",
    "fixture",
    "migration",
)
"""What a function is for, where that can be told; the first that holds is its `role`, all are its `roles`.

`web` a request handler; `task` a job run by a queue or a scheduler; `command` a command-line command; `main` the program's start;
`consumer` a handler of messages, events or signals; `startup`, `shutdown` run once at either end of a process;
`worker_loop` a loop that serves until stopped; `thread` the target of a thread, process or pool; `middleware` wraps requests;
`orm_query` asks a database through an ORM; `model` a method of an ORM model; `context_manager` enters or leaves one;
`callback` is handed to somebody else's code; `test`, `fixture`, `migration` as the words say.
"""
ENTRIES = frozenset(
    ("web", "task", "command", "main", "consumer", "startup", "shutdown", "worker_loop", "thread", "test")
)
"""Roles whose functions nobody in the code need call: work begins there."""


@dataclass(slots=True)
class Function:
    """One function as its source shows it."""

    module: str
    qualname: str
    """As Python has it: `Cart.add`, `make.<locals>.inner`."""
    line: int
    """Of the first decorator, else of `def`: what `co_firstlineno` is."""
    end_line: int
    kind: str
    """One of `KINDS`."""
    parameters: tuple[str, ...]
    """Names in signature order, those with `*` and `**` included."""
    decorators: tuple[str, ...] = ()
    """Dotted expressions, outermost first."""
    statements: int = 0
    cyclomatic: int = 1
    """McCabe's: 1 + branches, loops, handlers, boolean operators, comprehensions' conditions."""
    cognitive: int = 0
    """SonarSource's: as above, each weighed by how deeply it is nested; recursion counts 1."""
    loop_depth: int = 0
    """Loops and comprehensions inside each other."""
    calls: dict[str, float] = field(default_factory=dict)
    """Resolved dotted expression -> how often one call of this function makes it, by `link`'s rules for loops."""
    io: tuple[str, ...] = ()
    """Kinds of input, output and waiting done by this function itself; of `IO_KINDS`."""
    raises: tuple[str, ...] = ()
    """Names of exceptions its `raise` statements name; `...` for a bare `raise`."""
    catches: tuple[str, ...] = ()
    """Names of exceptions its handlers catch; `*` for a bare `except`."""
    swallows: tuple[str, ...] = ()
    """Those of `catches` whose handler neither raises nor logs nor uses the exception."""
    changes: tuple[str, ...] = ()
    """State that outlives the call: `self.total`, `global counter`, `nonlocal seen`, `shop.config.DEBUG`."""
    trivial: str = ""
    """Why nothing in it can take time: `accessor`, `constant`, `delegation`, `empty`, `stub`; empty where something can."""
    is_property: bool = False
    is_abstract: bool = False
    nested: bool = False
    """Defined inside another function."""
    overload: bool = False
    """A `typing.overload`, or replaced by a later definition of the same name: its code is not what the name means."""
    mark: str = ""
    """What its author wrote on it: `trace`, `never`, `off` (`# autoscope: off`); empty for nothing."""
    work_ns: float = 0.0
    """CPU time of one call without that of project functions it calls, estimated from its statements."""

    # Filled in by `link`, which sees all files.
    heavy: tuple[str, ...] = ()
    """Which of `calls` take `call_graph.HEAVY_NS` of CPU time or more each, as hashing a password does."""
    role: str = ""
    roles: tuple[str, ...] = ()
    role_detail: str = ""
    """What shows it, for people: `Flask route /cart/<id>`, `Celery task`."""
    callees: dict[int, float] = field(default_factory=dict)
    """Index in `Facts.functions` -> calls of it per call of this one."""
    callers: tuple[int, ...] = ()
    """Those in tests only where it is of the tests itself."""
    recursive: bool = False
    reachable: bool = False
    """Whether an entry point, or a module's top level, leads to it."""
    frequency: float = 0.0
    """Estimated calls for every time the program's entry points are called once. What nothing is seen to call counts as called
    once; tests do not count."""

    @property
    def name(self) -> str:
        """`shop.cart.Cart.add`: as its spans are called."""
        return f"{self.module}.{self.qualname}"


@dataclass(slots=True)
class Module:
    """One module."""

    name: str
    file: str
    lines: int
    digest: str
    """Of the file's bytes: BLAKE2b, 16 bytes, in hex."""
    type: str = "code"
    """`code`, `package`, `entry` (has entry points or a `__main__` guard), `model`, `test`, `migration`, `generated`, `data`."""
    functions: tuple[int, ...] = ()
    """Indices in `Facts.functions`, in order of line."""
    imports: tuple[str, ...] = ()
    """Project modules it imports."""
    imported_by: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    """Top-level names of what it imports from outside the project."""
    calls_out: int = 0
    """Functions of other modules that functions here call."""
    called_from: int = 0
    """Functions of other modules that call functions here."""
    reachable: bool = False


@dataclass(slots=True)
class Facts:
    """A whole code base."""

    root: str
    functions: list[Function]
    modules: dict[str, Module]
    skipped: list[tuple[str, str]]
    """(path, reason) of every file that was left out."""
    digest: str
    """Of all modules' names and digests: the source tree hash of a plan's provenance."""
    tests: int = 0
    """Test modules that were left out."""
    unread: list[tuple[str, str]] = field(default_factory=list)
    """Those of `skipped` that are the project's code and could not be read as such: what they do is missing from the facts."""

    def find(self, name: str) -> Function | None:
        """The function of this name, as its spans are called; None where there is none."""
        for function in self.functions:
            if not function.overload and function.name == name:
                return function
        return None


@cache
def is_test(module: str) -> bool:
    """Whether a module's name says that it is a test's."""
    for part in module.split("."):
        if part in ("test", "tests", "conftest", "testing") or part.startswith("test_") or part.endswith("_test"):
            return True
    return False
