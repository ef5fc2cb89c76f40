"""The standard library's modules for our own use, in a program that has modules of the same names.

A script lies in a directory with a `json.py` or a `token.py`, which Python puts before its own. What we import then must
not be the program's, which would run code nobody asked for; and what the program imports must not be Python's because we
had it loaded. So where such names are seen at the start, everything we shall ever need is imported then, from where Python
has it, and given back: it stays with us, and `sys.modules` is as it was.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    BuiltinImporter,
    ExtensionFileLoader,
    FileFinder,
    FrozenImporter,
    SourceFileLoader,
    SourcelessFileLoader,
)

from autoscope.errors import pass_on
from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType
    from typing import Any

system: Any = import_module(os.name)
"""The system's calls, past `os`, where programs and above all their tests put others in their place."""


def root() -> tuple[int, int]:
    """Which directory `/` is: a process may move into a jail, where our paths mean other places."""
    status = system.stat("/")
    return status.st_dev, status.st_ino


def stamp(path: str) -> tuple[int, int, int, int] | None:
    """What changes when a file's content does; None where there is no file."""
    try:
        status = system.stat(path)
    except OSError as error:
        pass_on(error)
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


ROOT = root()
"""The one we started in."""

kept: dict[str, ModuleType] = {}
"""Modules we have, whatever the program has under their names."""

LATE = frozenset(
    (
        "array",
        "ast",
        "base64",
        "binascii",
        "bisect",
        "bz2",
        "calendar",
        "codeop",
        "contextlib",
        "copy",
        "copyreg",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "dis",
        "email",
        "fcntl",
        "fnmatch",
        "hashlib",
        "heapq",
        "http",
        "inspect",
        "io",
        "ipaddress",
        "json",
        "linecache",
        "locale",
        "lzma",
        "math",
        "numbers",
        "opcode",
        "quopri",
        "random",
        "re",
        "select",
        "selectors",
        "shutil",
        "socket",
        "sqlite3",
        "ssl",
        "statistics",
        "string",
        "stringprep",
        "struct",
        "tempfile",
        "textwrap",
        "token",
        "tokenize",
        "traceback",
        "typing",
        "unicodedata",
        "urllib",
        "weakref",
        "yaml",
        "zlib",
    )
)
"""Names of the library's that what we import when there is something to send, or a plan to be read again, imports; a test compares."""

SENDING = (
    "ast",
    "_socket",
    "autoscope.control.live",
    "autoscope.control.server",
    "autoscope.control.verbs",
    "autoscope.control.watch",
    "autoscope.export.destinations",
    "autoscope.export.store",
    "autoscope.export.wire",
    "autoscope.runtime.breaker",
    "autoscope.runtime.budget",
    "autoscope.runtime.guard",
    "autoscope.runtime.marks",
    "autoscope.runtime.stacktrace",
    "autoscope.weave.choose",
    "autoscope.weave.pace",
    "autoscope.weave.pack",
    "autoscope.weave.recode",
    "autoscope.weave.restore",
    "autoscope.weave.rewrite",
    "fcntl",
    "json",
    "opcode",
    "sqlite3",
    "tokenize",
    "traceback",
    "unicodedata",
)
STEERING = (
    "autoscope.runtime.breaker",
    "autoscope.runtime.budget",
    "autoscope.weave.pace",
    "autoscope.control.server",
    "autoscope.export.destinations",
    "autoscope.export.store",
    "fcntl",
    "json",
    "sqlite3.dbapi2",
)
"""What a budget's first second needs. While a program computes, a thread that imports waits 5 ms for its turn after each of some
hundred calls of the system's: two seconds, in which nobody would look after the budget."""
NETWORK = (
    "autoscope.export.otlp",
    "autoscope.export.console",
    "base64",
    "email.utils",
    "encodings.idna",
    "http.client",
    "socket",
    "ssl",
    "urllib.request",
)
FOLLOWING = ("autoscope.plan.load", "autoscope.plan.near", "autoscope.plan.resolve")
SUMMARY = ("autoscope.read.report", "autoscope.read.runs")


def library(name: str) -> ModuleType:
    """A module of the standard library's, imported now unless we have it."""
    module = kept.get(name)
    if module is None:
        module = kept[name] = import_module(name)
    return module


def load(names: Iterable[str]) -> None:
    """Import these now, as far as there are any."""
    for name in names:
        try:
            import_module(name)
        except ImportError:
            pass  # who needs it says what is missing


def give_back(before: set[str], path: Iterable[str], *needed: str) -> set[str]:
    """Where the program has modules of names we use, import what is `needed` and leave those names to it; which they are.

    `before`: the modules loaded before us. `path`: what Python will search before its own library. To be called while it
    searches that first.
    """
    used = LATE.union(_tops(set(sys.modules) - before)) - _tops(before) - {"autoscope"}
    hidden = {name for entry in path for name in _offered(entry, used)}
    if hidden:
        for name in needed:
            import_module(name)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in hidden:
                kept[name] = sys.modules.pop(name)
    return hidden


def _tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


_KINDS: Any = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def _archive(entry: str) -> Any:
    if entry.endswith(".py"):
        raise ImportError  # a script; the interpreter reads no further either
    from zipimport import zipimporter

    return zipimporter(entry).find_spec


def _offered(entry: str, names: frozenset[str] | set[str]) -> list[str]:
    """Which of these modules Python would find at one entry of its path, and not sooner."""
    try:
        # The interpreter reads the directory itself as soon as the program imports something.
        names = names.intersection([file.partition(".")[0] for file in os.listdir(entry or ".")])
    except NotADirectoryError:
        pass  # an archive, perhaps
    except OSError as error:
        pass_on(error)
        return []
    if not names:
        return []
    try:
        # Not by `sys.path_hooks`: one of ours waits there for the interpreter to ask about the script.
        find = FileFinder(entry or os.getcwd(), *_KINDS).find_spec if os.path.isdir(entry or ".") else _archive(entry)
    except (ImportError, OSError) as error:
        pass_on(error)
        return []
    found = []
    for name in names:
        spec = find(name)
        # A directory without `__init__.py` counts only where there is no module of the name anywhere.
        sooner = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
        if spec is not None and spec.loader is not None and sooner is None:
            found.append(name)
    return found
