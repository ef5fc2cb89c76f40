"""Which Python files there are under the paths a user names, what each is called as a module, and why some are left out.

Nothing is read here but directories, until `read` is called; what is left out always comes with its reason.

A module is named as Python would import it from its *import root*: the first directory, upwards from the file, that is no
package. Below a directory that was named, directories without `__init__.py` are namespace packages, except those
that are roots themselves: `src` in a root, a directory with a project file (`pyproject.toml`, `manage.py`, ...), and
one whose name is no identifier (`my-scripts`), from which nothing but scripts can be run.
"""

from __future__ import annotations

import os
import re
import stat
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoscope.errors import AutoscopeError, PlanError
from autoscope.plan.model import is_glob
from autoscope.plan.values import parse_module_glob, printable, shown

MOST_BYTES = 2_000_000
"""Files larger than this are not read."""
TOO_LARGE = f"larger than {MOST_BYTES // 10**6} MB: generated code or data"
UNNAMED = "no plan can name it"
SUFFIXES = (".py", ".pyw")

_PROJECT = frozenset(("pyproject.toml", "setup.py", "setup.cfg"))
_ROOT = _PROJECT | {"manage.py", "Pipfile", "requirements.txt"}
"""What stands in a directory that programs are started from, or packages are built from."""
_ENVIRONMENT = frozenset(("pyvenv.cfg", "conda-meta"))
_NOT_ENTERED = {
    **dict.fromkeys(("site-packages", "dist-packages", "__pypackages__"), "installed packages"),
    "node_modules": "JavaScript packages",
    **dict.fromkeys(
        ("_vendor", "_vendored", "vendor", "vendored", "third_party", "thirdparty", "extern", "_extern"),
        "vendored: other people's code",
    ),
}
_BUILT = ("build", "dist")
_STUBS = ("_pb2.py", "_pb2_grpc.py")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file, as its directory shows it."""

    path: str
    """Absolute; no directory of it is a symbolic link."""
    module: str
    size: int
    """Bytes."""
    stamp: tuple[int, int, int]
    """(time of last change in ns, size, inode): another content has another stamp, but for changes within a clock tick."""
    is_package: bool


class Unreadable(Exception):
    """A file that cannot be analysed; `reason` says why, and what to do where something can be done."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


def find(paths: Sequence[str]) -> tuple[list[Source], list[tuple[str, str]]]:
    """The Python files under these paths by module name, and (path, reason) of every file and directory left out.

    A path that is named is read whatever it is called; the rules are for what lies below it. The result does not depend
    on the order of paths or of directories. Raises AutoscopeError for a path that is not there, cannot be listed, or is no Python.
    """
    search = _Search()
    for path in sorted({_real(path) for path in paths}):  # outer directories come before those in them
        search.root(path)
    search.resolve_links()
    sources = search.named_once()
    read_after_all = search.entered | search.found.keys()
    return sources, sorted((path, why) for path, why in search.left_out.items() if path not in read_after_all)


def _real(path: str) -> str:
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        why = "there is no such file or directory" if isinstance(error, FileNotFoundError) else _because(error)
    except ValueError:
        why = "there is no such file or directory"  # what no file system can hold
    raise AutoscopeError(f"{printable(path)}: {why}; name a Python file, or a directory with some")


def _because(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"


def is_missed(reason: str) -> bool:
    """Whether what is left out for this reason is code of the project's all the same: it cannot be read, listed or named."""
    return reason.startswith((UNNAMED, "cannot be "))


class _Search:
    """What was found so far."""

    def __init__(self) -> None:
        self.found: dict[str, Source] = {}
        self.entered: set[str] = set()
        """Directories whose files were looked at."""
        self.left_out: dict[str, str] = {}
        self.links: list[tuple[str, str, bool]] = []
        """(path, prefix of its module's name, whether in a package) of symbolic links, which wait until all else is known."""

    def root(self, path: str) -> None:
        """Search one path that was named. Raises AutoscopeError."""
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                self.directory(path, *_climb(path))
                return
        except OSError as error:
            raise AutoscopeError(f"{printable(path)}: {_because(error)}; name one this user may read") from None
        if not path.endswith(SUFFIXES) or not stat.S_ISREG(status.st_mode):
            why = "a notebook, not a Python file" if path.endswith(".ipynb") else "not a Python file"
            raise AutoscopeError(f"{printable(path)}: {why}; name a .py file, or a directory with some")
        if path not in self.found:
            self.file(path, os.path.basename(path), *_climb(os.path.dirname(path)), status)

    def directory(self, top: str, prefix: str, package: bool) -> None:
        """Search a directory and what is below it; raises OSError where it cannot be listed.

        `prefix` begins the names of its modules (`shop.`), and `package` says whether it is one.
        """
        if top in self.entered:
            return
        entries, names = _list(top)
        below = self.entries(top, entries, names, prefix, package)
        while below:
            folder, name, outer = below.pop()
            try:
                entries, names = _list(folder)
            except OSError as error:
                self.left_out[folder] = f"cannot be listed: {error.strerror}"
                continue
            if not names.isdisjoint(_ENVIRONMENT):
                self.left_out[folder] = "a virtual environment"
                continue
            package = "__init__.py" in names
            if not name.isidentifier() or (
                not package and ((name == "src" and not outer) or not names.isdisjoint(_ROOT))
            ):
                prefix = ""
            else:
                prefix = f"{outer}{name}."
            below += self.entries(folder, entries, names, prefix, package)

    def entries(
        self, folder: str, entries: list[os.DirEntry[str]], names: set[str], prefix: str, package: bool
    ) -> list[tuple[str, str, str]]:
        """Sort what is in one directory; returns (path, name, prefix) of the directories to go on with."""
        self.entered.add(folder)
        below = []
        built = not names.isdisjoint(_PROJECT)
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if name == "__pycache__":
                    continue  # nothing of the author's is in there
                why = _not_entered(name, built)
                if why:
                    self.left_out[entry.path] = why
                else:
                    below.append((entry.path, name, prefix))
            elif name.endswith(SUFFIXES):
                if name[0] == ".":
                    self.left_out[entry.path] = "hidden"
                elif name.endswith(_STUBS):
                    self.left_out[entry.path] = "generated code (protocol buffers)"
                elif entry.is_symlink():
                    self.links.append((entry.path, prefix, package))
                else:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError as error:
                        self.left_out[entry.path] = _because(error)
                    else:
                        self.file(entry.path, name, prefix, package, status)
            elif name.endswith(".ipynb"):
                self.left_out[entry.path] = "a notebook"
            elif entry.is_symlink():
                self.links.append((entry.path, prefix, package))
        return below

    def file(self, path: str, name: str, prefix: str, package: bool, status: os.stat_result) -> None:
        """Take in one file."""
        if not stat.S_ISREG(status.st_mode):
            self.left_out[path] = "not a regular file"
            return
        size = status.st_size
        if size > MOST_BYTES:
            self.left_out[path] = TOO_LARGE
            return
        stamp = (status.st_mtime_ns, size, status.st_ino)
        stem = name[: name.rindex(".")]
        is_package = stem == "__init__"
        if is_package:
            module = prefix[:-1] or os.path.basename(os.path.dirname(path))
        else:
            # Django's migrations, `0001_initial`, are imported from their package; outside of packages such a file is a script.
            module = prefix + stem if stem.isidentifier() or (package and "." not in stem) else stem
        if _nameable(module):
            self.found[path] = Source(path, module, size, stamp, is_package)
        else:
            self.left_out[path] = f"{UNNAMED} {shown(module)}; rename it"

    def resolve_links(self) -> None:
        """Take in linked files that are nowhere else; what a linked directory contains is read under its own name or not at all."""
        taken = set(self.found)
        for path, prefix, package in sorted(self.links):
            try:
                target = os.path.realpath(path, strict=True)
                status = os.stat(target)
            except OSError:
                if path.endswith(SUFFIXES):
                    self.left_out[path] = "a symbolic link to nothing, or to itself"
                continue
            there = printable(target)
            is_directory = stat.S_ISDIR(status.st_mode)
            if is_directory and target in self.entered:
                self.left_out[path] = f"a symbolic link to {there}, which is read there"
            elif is_directory:
                self.left_out[path] = (
                    f"a symbolic link to {there}, which is not followed; name that, too, if it is wanted"
                )
            elif not path.endswith(SUFFIXES):
                continue
            elif target in taken:
                self.left_out[path] = f"a symbolic link to {there}, which is read there"
            else:
                taken.add(target)
                self.file(path, os.path.basename(path), prefix, package, status)

    def named_once(self) -> list[Source]:
        """The sources by name, each name once: a package goes before a module, as for Python, then the first by path."""
        ordered = sorted(self.found.values(), key=lambda source: (source.module, not source.is_package, source.path))
        sources: list[Source] = []
        for source in ordered:
            if sources and sources[-1].module == source.module:
                self.left_out[source.path] = f"also called {source.module}: {printable(sources[-1].path)} is"
                del self.found[source.path]
            else:
                sources.append(source)
        return sources


def _nameable(module: str) -> bool:
    """Whether an entry of a plan can speak of this module, and of it alone."""
    if all(map(str.isidentifier, module.split("."))):
        return True
    try:
        return parse_module_glob(module) == module and module.isprintable() and not is_glob(module)
    except PlanError:
        return False


def _list(folder: str) -> tuple[list[os.DirEntry[str]], set[str]]:
    with os.scandir(folder) as listing:
        entries = list(listing)
    return entries, {entry.name for entry in entries}


def _not_entered(name: str, built: bool) -> str:
    """Why a directory of this name is left out, "" where it is not; `built`: it is beside what builds a distribution."""
    if name[0] == ".":
        return "hidden"
    if built and (name in _BUILT or name.endswith(".egg-info")):
        return "built from what is beside it"
    return _NOT_ENTERED.get(name, "")


def _climb(folder: str) -> tuple[str, bool]:
    """What begins the names of modules in a directory, by the packages it is in, and whether it is one itself."""
    package = here = os.path.isfile(os.path.join(folder, "__init__.py"))
    prefix = ""
    while here and (name := os.path.basename(folder)).isidentifier():
        prefix = f"{name}.{prefix}"
        folder = os.path.dirname(folder)
        here = os.path.isfile(os.path.join(folder, "__init__.py"))
    return prefix, package


def read(source: Source | str) -> bytes:
    """A file's bytes. Raises Unreadable."""
    path = source if isinstance(source, str) else source.path
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # by now it may be a pipe
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file", path)
            if status.st_size > MOST_BYTES:
                raise Unreadable(TOO_LARGE, path)
            data = os.read(file, status.st_size + 1)
            while len(data) <= MOST_BYTES:
                more = os.read(file, MOST_BYTES)
                if not more:
                    return data
                data += more
        finally:
            os.close(file)
    except OSError as error:
        raise Unreadable(_because(error), path) from None
    raise Unreadable(TOO_LARGE, path)


_COOKIE = re.compile(rb"[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_NO_CODE = re.compile(rb"[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n)")


def decode(data: bytes, path: str) -> str:
    """The text of a file as Python would read it: UTF-8, or what its first two lines declare (PEP 263). Raises Unreadable."""
    marked = data.startswith(BOM_UTF8)
    if marked:
        data = data[len(BOM_UTF8) :]
    declared = _declared(data)
    if marked and declared.lower().replace("_", "-") not in ("", "utf-8", "utf8", "utf-8-sig"):
        raise Unreadable(f"marked as UTF-8, but declared as {declared}; take one of the two out", path)
    try:
        return data.decode(declared or "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"(byte 0x{data[error.start]:02x} in line {line})"
        if declared:
            why = f"not {declared}, as it declares {where}; save it as that, or declare another encoding"
        else:
            why = f"not UTF-8 {where}; declare its encoding"
    except (LookupError, ValueError):
        why = f"declared as {declared}, which is no text encoding of this Python; save it as UTF-8"
    raise Unreadable(why, path)


def _declared(data: bytes) -> str:
    """The encoding a file declares, "" where none."""
    second_line = data.find(b"\n", data.find(b"\n") + 1)
    if data.find(b"coding", 0, second_line if second_line > 0 else len(data)) < 0:
        return ""
    found = _COOKIE.match(data)
    if found is None:
        first = _NO_CODE.match(data)
        found = first and _COOKIE.match(data, first.end())
    return found[1].decode("ascii", "replace") if found else ""


HEAD_LINES = 5
GENERATED = "generated code"
_GENERATED = re.compile(
    r"@generated\b|DO NOT (?:EDIT|MODIFY)|(?i:do not (?:edit|modify) (?:this file|by hand|manually))"
    r"|(?i:^(?:(?:this|the) )?(?:(?:\w+ )?(?:file|code|module|parser|implementation|bindings) )?(?:(?:is|was|has been) )?"
    r"(?:automatically |auto-?|machine[- ])?generated (?:automatically )?(?:by|from|using|with)\b)"
)
_SCAFFOLDED = re.compile(
    r"generated (?:by|using|with) \W?(?:django|kedro|cookiecutter|copier)|file to edit", re.IGNORECASE
)
"""What was generated once for people to go on with, as Django's settings and migrations are, or is a notebook's code (nbdev)."""


def generated(head: bytes) -> str:
    """Why a file that begins like this is left out: its first lines say that a program wrote it; "" where they do not."""
    for number, line in _prose(head):
        if _GENERATED.search(line) and not _SCAFFOLDED.search(line):
            return f"{GENERATED}, as its line {number} says"
    return ""


def _prose(head: bytes) -> Iterator[tuple[int, str]]:
    """(number, text) of the comments and lines of docstring a file begins with, until its first code."""
    quotes = ""
    for number, line in enumerate(head[:2000].decode("utf-8-sig", "replace").splitlines()[:HEAD_LINES], 1):
        text = line.strip()
        if quotes:
            yield number, text
            if quotes in text:
                quotes = ""
        elif text.startswith("#"):
            yield number, text.lstrip("#!:-* ")
        elif text.lstrip("rR")[:3] in ('"""', "'''"):
            opening = text.lstrip("rR")
            yield number, opening[3:].lstrip()
            if opening[:3] not in opening[3:]:
                quotes = opening[:3]
        elif text:
            return
