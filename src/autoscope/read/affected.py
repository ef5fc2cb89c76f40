"""Which tests a change concerns: those that called a function whose code is another now, by what a run has recorded.

Code is compared as syntax, function by function, at a revision and in the working tree: moving a function, comments and layout change
nothing. What stands outside functions concerns every test that called a function of the module, or of one that imports it.
The rules, and what cannot be seen: docs/compare.md.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from hashlib import blake2b
from sqlite3 import Connection
from typing import TYPE_CHECKING

from autoscope import git
from autoscope.read.functions import Counted, read_folded, read_places
from autoscope.read.report import plural
from autoscope.read.tests import KINDS, Owners, doubts_of, find_cases, find_shared

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

TEST_FILES = ("test_*.py", "*_test.py")
"""What pytest takes for files of tests where nothing else is said."""
Function = tuple[str, str]
"""(file, qualified name)."""


@dataclass(frozen=True, slots=True)
class Affected:
    """What should be run."""

    tests: tuple[str, ...]
    """Node ids, and files of which no run knows the tests; in the run's order, new ones last."""
    reasons: dict[str, str]
    """For each the first reason found."""
    known: int
    """Tests in the run."""
    notes: tuple[str, ...]
    """What was changed and cannot be followed."""


# -- what was called in each test


@dataclass(slots=True)
class Used:
    """What a run's tests called."""

    cases: dict[str, set[Function]] = field(default_factory=dict)
    """Node id -> functions, files as the run has them."""
    files: dict[str, str] = field(default_factory=dict)
    """Node id -> the file of the test."""
    everybody: set[Function] = field(default_factory=set)
    """What was called outside all tests, for whomever: by imports, hooks, plugins."""
    doubts: list[str] = field(default_factory=list)


def used_by(run: Run) -> Used:
    """The functions each test called, itself or by a fixture that it may share."""
    cases = find_cases(run)
    shared = find_shared(run)
    owners = Owners(run, cases, shared)
    called: dict[int, set[Function]] = {}

    def ask(connection: Connection, process: Process) -> None:
        places = read_places(connection)
        rows = connection.execute("SELECT id, file, qualname, kind FROM sites")
        functions = {site: (file, qualname) for site, file, qualname, kind in rows if kind in KINDS}
        owner = owners.of(connection, process)
        for span, site in connection.execute("SELECT span, site FROM spans"):
            if site in functions:
                called.setdefault(owner.get(span, -1), set()).add(functions[site])
        for span, (_, entries) in read_folded(connection, places).items():
            mine = called.setdefault(owner.get(span, -1), set())
            mine.update(functions[entry.site] for entry in entries if entry.site in functions)
        for span, counted in Counted(process.meta).in_spans(connection).items():
            called.setdefault(owner.get(span, -1), set()).update(
                (place.file, qualname) for place, qualname, _ in counted
            )

    run.ask(ask)
    used = Used(doubts=doubts_of(run, True))
    for number, case in enumerate(cases):
        used.cases.setdefault(case.id, set()).update(called.get(number, ()))
        used.files[case.id] = case.file
    used.everybody = called.get(-1, set())
    for number, one in enumerate(shared, len(cases)):
        at = owners.under.get(number, -1)
        while at >= len(cases):  # a fixture that another one asked for
            at = owners.under.get(at, -1)
        for id in used.cases:
            if at < 0 or _shares(one.scope, cases[at].id, id):
                used.cases[id] |= called.get(number, set())
    return used


def _shares(scope: str, id: str, other: str) -> bool:
    """Whether a fixture of that scope, set up in one test, may be the other's too."""
    if scope == "session":
        return True
    one, two = id.partition("::")[0], other.partition("::")[0]
    if scope == "package":
        folder = os.path.dirname(one)
        return not folder or two.startswith(folder + "/")
    return one == two


# -- code, as far as it is compared


@dataclass(slots=True)
class Code:
    """One file as syntax."""

    functions: dict[str, list[bytes]] = field(default_factory=dict)
    """Qualified name -> what each of its definitions comes to, decorators and defaults included."""
    outside: bytes = b""
    """What all that stands outside functions comes to: classes but for their methods' bodies, decorators, and which functions have them."""
    called: frozenset[str] = frozenset()
    """Names of what is called outside functions, when the module is imported: decorators too."""


EMPTY = Code()


def read_code(source: bytes) -> Code | None:
    """A file's code; None where it is not Python's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the program's escapes
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    code = Code()
    try:
        for qualname, node in definitions(tree):
            code.functions.setdefault(qualname, []).append(_digest(node))
        outside = _Outside().visit(tree)
        code.outside = _digest(outside)
        code.called = frozenset(_called(outside))
    except RecursionError:
        return None
    return code


FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, FunctionNode]]:
    """(qualified name, definition) of every function, nested ones too."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + child.name, child
            yield from definitions(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from definitions(child, f"{prefix}{child.name}.")
        elif not isinstance(child, ast.expr):
            yield from definitions(child, prefix)


def _digest(node: ast.AST) -> bytes:
    return blake2b(ast.dump(node).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Outside(ast.NodeTransformer):
    """Takes functions out; what is left of one that is decorated, or a method, is its name and its decorators.

    A method that is new or gone may override another; a decorated function may be registered somewhere. Any other function has to be
    called by somebody, who was changed then.
    """

    in_class = False

    def _function(self, node: FunctionNode) -> ast.stmt | None:
        if not node.decorator_list and not self.in_class:
            return None
        return ast.Expr(ast.Tuple([ast.Constant(node.name), *node.decorator_list], ast.Load()))

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        before, self.in_class = self.in_class, True
        self.generic_visit(node)
        self.in_class = before
        return node


def _called(tree: ast.AST) -> Iterator[str]:
    """Names of what is called; `if __name__ == "__main__":` runs in no test."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).startswith("__name__ =="):
            continue
        if isinstance(node, ast.Call):
            yield from _last_name(node.func)
        elif isinstance(node, ast.ClassDef):
            for decorator in (*node.decorator_list, *node.bases):
                yield from _last_name(decorator)
        elif isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            for decorator in node.elts[1:]:  # what `_Outside` has left of a function
                yield from _last_name(decorator)
        todo.extend(ast.iter_child_nodes(node))


def _last_name(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Call):
        yield from _last_name(node.func)


# -- who imports whom


def imports_of(source: bytes, file: str) -> set[str]:
    """What a file imports, as paths without an ending: `shop/cart` for `shop.cart`, seen from the file where it is relative."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.replace(".", "/") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").replace(".", "/")
            if node.level:
                folder = file
                for _ in range(node.level):
                    folder = os.path.dirname(folder)
                base = "./" + "/".join(part for part in (folder, base) if part)
            found.add(base)
            found.update(f"{base}/{alias.name}" for alias in node.names)
    return found


def path_of(file: str) -> str:
    """`src/shop/cart` for `src/shop/cart.py`, `src/shop` for the package's own file."""
    stem = file.removesuffix(".py")
    return os.path.dirname(stem) if os.path.basename(stem) == "__init__" else stem


def is_imported(file: str, imported: set[str]) -> bool:
    """Whether what a file imports may be that file: by its whole path, or as far as it is named from the right."""
    path = path_of(file)
    if "./" + path in imported:
        return True
    parts = path.split("/")
    return any("/".join(parts[at:]) in imported for at in range(len(parts)))


class Importers:
    """The files of a repository, asked for who imports one of them."""

    def __init__(self, top: str, asked: str) -> None:
        self.top = top
        listed = git.ask(top, asked, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "*.py")
        self.files = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        self._sources: dict[str, bytes] = {}
        self._imports: dict[str, set[str]] = {}

    def source(self, file: str) -> bytes:
        found = self._sources.get(file)
        if found is None:
            found = self._sources[file] = read_file(os.path.join(self.top, file)) or b""
        return found

    def of(self, changed: str) -> set[str]:
        """Files that import it; those that import a package's own file which does, also."""
        found: set[str] = set()
        todo = [changed]
        while todo:
            target = todo.pop()
            name = os.path.basename(path_of(target)).encode("utf-8", "surrogateescape")
            for file in self.files:
                if file not in found and file != changed and name in self.source(file):
                    if file not in self._imports:
                        self._imports[file] = imports_of(self.source(file), file)
                    if is_imported(target, self._imports[file]):
                        found.add(file)
                        if os.path.basename(file) == "__init__.py":
                            todo.append(file)
        return found


def read_file(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


# -- what was changed


@dataclass(slots=True)
class Changes:
    """The difference between two states of the code; files are named from the top of the repository."""

    functions: dict[Function, str] = field(default_factory=dict)
    """Function -> what happened to it: `changed`, `gone` or `new`."""
    modules: dict[str, str] = field(default_factory=dict)
    """File -> why every function of it counts as changed."""
    other: list[str] = field(default_factory=list)
    """Files that are not Python code."""
    new: list[str] = field(default_factory=list)
    """Python files that were not there."""

    def files(self) -> list[str]:
        """Those with code that changed."""
        return sorted({*self.modules, *(file for file, _ in self.functions)})


def find_changes(top: str, revision: str, asked: str) -> Changes:
    """What differs between a revision and the working tree."""
    found = Changes()
    for file, before in sorted(git.changed_since(top, revision, asked).items()):
        if not file.endswith(".py"):
            found.other.append(file)
            continue
        if before is None:
            found.new.append(file)
        old = EMPTY if before is None else read_code(git.text_at(top, revision, before, asked) or b"")
        now = read_file(os.path.join(top, file))
        new = EMPTY if now is None else read_code(now)
        if old is None or new is None:
            found.modules[file] = f"{file} could not be read as Python"
            continue
        for qualname in old.functions.keys() | new.functions.keys():
            then, here = old.functions.get(qualname), new.functions.get(qualname)
            if then != here:
                what = "gone" if here is None else "new" if then is None else "changed"
                found.functions[file, qualname] = what
        # A new file concerns nobody by itself, unless pytest looks for it: who imports it was changed too.
        if old.outside != new.outside and (before is not None or os.path.basename(file) == "conftest.py"):
            found.modules[file] = f"{file} changed outside functions"
    return found


def follow(found: Changes, importers: Importers) -> None:
    """Add the modules that a change reaches while they are imported: those that take values from a changed one, and those that
    call a changed function."""
    names: dict[str, set[str]] = {}
    for (file, qualname), what in found.functions.items():
        if what != "new":
            parts = qualname.split(".")
            names.setdefault(file, set()).update(parts[-2:] if parts[-1].startswith("__") else parts[-1:])
    direct = dict(found.modules)
    for file in sorted({*names, *direct}):
        for other in sorted({file, *importers.of(file)}):
            if other in found.modules:
                continue
            if other != file and file in direct:
                found.modules[other] = f"{file}, which {other} imports, changed outside functions"
            elif wanted := names.get(file):
                code = read_code(importers.source(other))
                called = sorted(wanted & code.called) if code else ()
                if called:
                    found.modules[other] = f"{other} calls {called[0]} of {file}, which changed, when it is imported"


def add_unwatched(found: Changes, called: dict[str, set[str]]) -> None:
    """Add the modules of changed functions that no test is known to have called, where not every function was watched."""
    for (file, qualname), what in found.functions.items():
        if what != "new" and file in called and called[file].isdisjoint(_around(qualname)):
            found.modules.setdefault(file, f"{qualname} of {file} {_did(what)}, which the run may not have watched")


def follow_helpers(found: Changes, importers: Importers, tests: set[str]) -> None:
    """Add the files of tests, and `conftest.py`, that import what stands beside tests and is no test: nobody watches that."""
    folders = {os.path.dirname(file) for file in tests}

    def is_helper(file: str) -> bool:
        beside = any(file.startswith(folder + "/") for folder in folders if folder)
        return beside and file not in tests and os.path.basename(file) != "conftest.py"

    todo = [file for file in found.files() if is_helper(file)]
    seen = set(todo)
    while todo:
        file = todo.pop()
        for other in sorted(importers.of(file)):
            if is_helper(other) and other not in seen:
                seen.add(other)
                todo.append(other)
            elif other not in found.modules and not is_helper(other):
                found.modules[other] = f"{file}, which {other} imports, changed"


# -- which tests that concerns


def find_affected(run: Run, revision: str, directory: str) -> Affected:
    """The tests to run after a change. `directory`: where pytest is started, which node ids begin at. Raises AutoscopeError."""
    asked = f"affected --since {revision}"
    top = os.path.realpath(git.top_of(directory, asked))
    changes = find_changes(top, revision, asked)
    used = used_by(run)
    where = _Where(top, directory)
    tests = {file for name in used.files.values() if (file := where.of_test(name))}
    called = _Where(top, directory).changed_of(changes, used)
    if run.info.get("strategy") != "full_trace":
        add_unwatched(changes, called)
    if changes.functions or changes.modules:
        importers = Importers(top, asked)
        follow(changes, importers)
        follow_helpers(changes, importers, tests)
    reasons: dict[str, str] = {}
    for_all = _of_calls(changes, used.everybody, where, by_module=False)
    for id, functions in used.cases.items():
        file = where.of_test(used.files[id] or id.partition("::")[0])
        name = qualname_of(id)
        if file is not None and (not where.exists(file) or changes.functions.get((file, name)) == "gone"):
            continue
        reason = _of_test(changes, file, name) or _of_calls(changes, functions, where) or for_all
        if reason is None and used.doubts:
            reason = f"not all calls were recorded ({used.doubts[0]})"
        if reason is not None:
            reasons[id] = reason
    _add_new(reasons, changes, used, where)
    notes = [f"{doubt}: every test is listed" for doubt in used.doubts[:1] if used.cases]
    uncalled = [file for file in changes.files() if file not in {*called.keys(), *tests, *changes.new} and used.cases]
    uncalled = [file for file in uncalled if not any(file in reason for reason in reasons.values())]
    if uncalled:
        notes.append(f"changed, and no test of the run called a function of it: {_some(uncalled)}")
    if changes.other:
        notes.append(f"not Python, and no test is listed for it: {_some(changes.other)}")
    return Affected(tuple(reasons), reasons, len(used.cases), tuple(notes))


def qualname_of(id: str) -> str:
    """`TestCart.test_add` for `tests/test_cart.py::TestCart::test_add[1-x::y]`."""
    return id.partition("[")[0].partition("::")[2].replace("::", ".")


def _of_test(changes: Changes, file: str | None, name: str) -> str | None:
    """Why a test is concerned by what is in its own file, or in a `conftest.py` above it."""
    if file is None:
        return None
    for other in changes.files():
        if os.path.basename(other) == "conftest.py":
            folder = os.path.dirname(other)
            if not folder or file.startswith(folder + "/"):
                return f"{other} changed"
    if file in changes.modules:
        return changes.modules[file]
    for (changed, qualname), what in changes.functions.items():
        # Helpers and fixtures of test files are not watched: any test of the file may use them. A test may be inherited.
        is_it = qualname.split(".")[-1] == name.split(".")[-1] if _is_test(qualname) else what != "new"
        if changed == file and is_it:
            return f"{qualname} of {file} {_did(what)}"
    return None


def _did(what: str) -> str:
    return what if what == "changed" else f"is {what}"


def _is_test(qualname: str) -> bool:
    return qualname.split(".")[-1].startswith("test") and "<locals>" not in qualname


def _of_calls(changes: Changes, functions: Iterable[Function], where: _Where, *, by_module: bool = True) -> str | None:
    """Why one who called these is concerned; `by_module`: also by what is outside functions."""
    for path, qualname in sorted(functions):
        file = where.of_code(path, changes)
        if file is None:
            continue
        if by_module and file in changes.modules:
            return changes.modules[file]
        # A nested function is made by those around it.
        for outer in _around(qualname):
            what = changes.functions.get((file, outer))
            if what is not None:
                return f"{outer} of {file} {_did(what)}"
    return None


def _around(qualname: str) -> Iterator[str]:
    while qualname:
        yield qualname
        qualname = qualname.rpartition(".<locals>.")[0]


def _add_new(reasons: dict[str, str], changes: Changes, used: Used, where: _Where) -> None:
    """Tests that no run knows: new files of tests, and new or changed tests in others."""
    files = {where.of_test(file) for file in used.files.values()}
    known = {(where.of_test(used.files[id]), qualname_of(id)) for id in used.cases}
    for file in changes.new:
        is_test = any(fnmatch(os.path.basename(file), pattern) for pattern in TEST_FILES)
        if is_test and file not in files and where.exists(file):
            reasons[where.as_argument(file)] = "a new file, which the run does not know"
    for (file, qualname), what in sorted(changes.functions.items()):
        if file in files and what != "gone" and _is_test(qualname) and (file, qualname) not in known:
            reasons[f"{where.as_argument(file)}::{qualname.replace('.', '::')}"] = (
                f"{what}, and the run does not know it"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {plural(len(names) - 3, 'other file')}" if len(names) > 3 else "")


class _Where:
    """Files as a run, git and pytest call them."""

    def __init__(self, top: str, directory: str) -> None:
        self.top = top
        self.start = os.path.relpath(os.path.realpath(directory), top)
        self._code: dict[str, str | None] = {}
        self._changed: dict[str, str] | None = None

    def exists(self, file: str) -> bool:
        return os.path.exists(os.path.join(self.top, file))

    def of_test(self, file: str) -> str | None:
        """Named from the top of the repository; None for what lies outside."""
        path = os.path.normpath(os.path.join(self.start, file))
        return None if path.startswith("..") else path

    def as_argument(self, file: str) -> str:
        """As pytest is given it."""
        return os.path.relpath(file, self.start)

    def changed_of(self, changes: Changes, used: Used) -> dict[str, set[str]]:
        """Changed file -> the functions of it that were called."""
        found: dict[str, set[str]] = {}
        for path, qualname in set().union(used.everybody, *used.cases.values()):
            file = self.of_code(path, changes)
            if file is not None:
                found.setdefault(file, set()).add(qualname)
        return found

    def of_code(self, path: str, changes: Changes) -> str | None:
        """The changed file that a run recorded under this path; None where it is not among them.

        A run may come from another machine, or from a copy that was installed: there a path counts that ends alike.
        """
        if path not in self._code:
            if self._changed is None:
                self._changed = {os.path.join(self.top, file): file for file in changes.files()}
            real = os.path.realpath(path)
            found = self._changed.get(real)
            is_here = real.startswith(self.top + os.sep) and "site-packages" not in real and os.path.exists(real)
            if found is None and not is_here:
                found = next((file for file in self._changed.values() if _ends_alike(path, file)), None)
            self._code[path] = found
        return self._code[path]


def _ends_alike(path: str, file: str) -> bool:
    """Whether the path ends in the file's, `src/` aside."""
    return f"/{path}".endswith((f"/{file}", f"/{file.removeprefix('src/')}"))
