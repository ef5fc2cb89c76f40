"""An exception's stack trace as text: what `traceback.format_exception` gave at that moment, made from what was noted then.

In the thread that sends. Frames are written by Python's own `traceback`, so that `^^^^` marks are those of this version; the
rest follows it line by line, because it wants live exceptions where we have values. Two things are left out: "Did you
mean …", for which Python searches the names and attributes that live objects have, and members of a group where they are
too many to be noted. Lines of source are read from files and archives and from what `linecache` holds already: `linecache`
itself is not called, which would change what the program finds in it, and no loader of the program's is asked.
"""

from __future__ import annotations

import os
import sys
from _io import BytesIO, TextIOWrapper, open
from itertools import islice

from autoscope.ours import keep_builtins
from autoscope.runtime.library import library, system
from autoscope.runtime.spans import MOST_LEVELS, MOST_REPEATS, repeated

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import CodeType
    from typing import Any

    from autoscope.runtime.spans import ExceptionRecord, Frame

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def text(exception: ExceptionRecord) -> str:
    """The stack trace of an exception, its causes before it."""
    return "".join(_Page().exception(exception))


class _Page:
    """How far in we are, and whether the frame round a group's members has yet to be closed."""

    def __init__(self) -> None:
        self.level = 0
        self.open = False

    def indented(self, text: str, margin: str = "|") -> str:
        if not self.level:
            return text
        margin = f"{'  ' * self.level}{margin} "
        return "".join([margin + line for line in text.splitlines(True)])

    def exception(self, exception: ExceptionRecord | None) -> Iterator[str]:
        chain = []
        while exception is not None:
            chain.append(exception)
            exception = exception.cause
        for one in reversed(chain):
            if one.cause is not None:
                yield self.indented(_CAUSE if one.explicit else _CONTEXT)
            if one.members is None:
                if one.frames:
                    yield self.indented("Traceback (most recent call last):\n")
                    yield self.indented("".join(_stack(one.frames)))
                yield self.indented("".join(_itself(one)))
            elif self.level > MOST_LEVELS:
                yield self.indented(f"... (max_group_depth is {MOST_LEVELS})\n")
            else:
                yield from self.group(one, one.members)

    def group(self, group: ExceptionRecord, members: tuple[ExceptionRecord, ...]) -> Iterator[str]:
        outermost = not self.level
        if outermost:
            self.level = 1
        if group.frames:
            yield self.indented("Exception Group Traceback (most recent call last):\n", "+" if outermost else "|")
            yield self.indented("".join(_stack(group.frames)))
        yield self.indented("".join(_itself(group)))
        self.open = False
        shown = len(members) + bool(group.more)
        for place in range(shown):
            last = place == shown - 1
            if last:
                self.open = True
            title = place + 1 if place < len(members) else "..."
            yield f"{'  ' * self.level}{'  ' if place else '+-'}+---------------- {title} ----------------\n"
            self.level += 1
            if place < len(members):
                yield from self.exception(members[place])
            else:
                yield self.indented(f"and {group.more} more exception{'s' if group.more > 1 else ''}\n")
            if last and self.open:
                yield f"{'  ' * self.level}+------------------------------------\n"
                self.open = False
            self.level -= 1
        if outermost:
            self.level = 0


def _itself(exception: ExceptionRecord) -> Iterator[str]:
    """Type, message and notes."""
    shown = exception.type.removeprefix("builtins.").removeprefix("__main__.")
    if exception.syntax is not None:
        yield from _syntax(shown, exception.message, exception.syntax)
    else:
        yield f"{shown}: {exception.message}\n" if exception.message else f"{shown}\n"
    for note in exception.notes:
        for line in note.split("\n"):
            yield line + "\n"


def _syntax(shown: str, message: str, details: tuple[Any, ...]) -> list[str]:
    """Python's own words about a syntax error, for one of our own with the same details."""
    error = SyntaxError()
    error.msg, error.filename, error.lineno, error.offset, error.text, error.end_lineno, error.end_offset = details
    try:
        *where, last = library("traceback").format_exception_only(error)
        return [*where, shown + last.removeprefix("SyntaxError")]
    except Exception:  # details no compiler gives
        return [f"{shown}: {message}\n"]


# -- frames


def _stack(frames: Sequence[Frame | str]) -> Iterator[str]:
    last = None
    count = 0
    for frame in frames:
        if type(frame) is str:
            this, lines = None, frame
        else:
            *this, lines = _frame(*frame)
        if last is None or last[1] is None or this != last:
            yield from _repeated(count)
            last = this
            count = 0
        count += 1
        if count <= MOST_REPEATS:
            yield lines
    yield from _repeated(count)


def _repeated(count: int) -> Iterator[str]:
    if count > MOST_REPEATS:
        yield repeated(count - MOST_REPEATS)


_FRAMES_KEPT = 1024
_frames: dict[tuple[int, int | None, int], tuple[CodeType, tuple[str, int | None, str, str]]] = {}
"""Frames written already: programs fail in the same places, and the marks under a line take time."""


def forget_frames() -> None:
    """Functions were woven anew: the code objects of before live for nobody else."""
    _frames.clear()


def _frame(code: CodeType, line: int | None, lasti: int) -> tuple[str, int | None, str, str]:
    """(file, line, function, text) of one frame."""
    key = id(code), line, lasti
    found = _frames.get(key)
    if found is None or found[0] is not code:
        if len(_frames) >= _FRAMES_KEPT:
            _frames.clear()
        found = _frames[key] = code, _written(code, line, lasti)
    return found[1]


def _written(code: CodeType, line: int | None, lasti: int) -> tuple[str, int | None, str, str]:
    file, name = str.__str__(code.co_filename), str.__str__(code.co_name)
    end_line = column = end_column = None
    if lasti >= 0:
        found = next(islice(code.co_positions(), lasti // 2, None), (None, None, None, None))
        line = line if found[0] is None else found[0]
        _, end_line, column, end_column = found
    source = _source(file)
    first = _line(source, line)
    try:
        traceback = library("traceback")
        if column is not None and not _can_mark(first):
            column = end_column = None
        if sys.version_info >= (3, 13) and line is not None:
            rest = range(line, (line if end_line is None else end_line) + 1)
            first = "\n".join([_line(source, number).rstrip() for number in rest]) + "\n"
        summary = traceback.FrameSummary(
            file, line, name, lookup_line=False, line=first, end_lineno=end_line, colno=column, end_colno=end_column
        )  # fmt: skip
        return file, line, name, _format()(traceback.StackSummary(), summary)
    except Exception:  # positions that do not fit the source there is now
        shown = first.partition("\n")[0].strip()
        return file, line, name, f'  File "{file}", line {line}, in {name}\n' + (f"    {shown}\n" if shown else "")


_formats: Any = None


def _format() -> Any:
    """What writes a frame as Python does: its own, but for what other threads would feel."""
    global _formats
    if _formats is None:
        if sys.version_info < (3, 12):
            from autoscope.runtime import marks

            _formats = marks.with_marks(library("traceback"))
        else:
            _formats = library("traceback").StackSummary.format_frame_summary
    return _formats


def _can_mark(line: str) -> bool:
    """Whether what `traceback` imports when it looks for what to mark is Python's own, and not the program's."""
    needed = [] if sys.version_info < (3, 12) else ["ast"]
    if not line.isascii():
        needed.append("unicodedata")
    return all(sys.modules.get(name) is library(name) for name in needed)


# -- source


def _line(lines: Sequence[str], number: int | None) -> str:
    return lines[number - 1] if number is not None and 1 <= number <= len(lines) else ""


_FILES_KEPT = 64
_files: dict[str, tuple[tuple[int, int], list[str]]] = {}
"""Files read already, as long as they are the same."""


def _source(file: str) -> Sequence[str]:
    """The lines of a file; what the program has told `linecache` of it comes first, as it does for Python."""
    told = _told(file)
    if told is not None and told[1] is None:
        return told[2]
    if file[:1] != "<":
        for path in _places(file):
            try:
                stat = system.stat(path)
            except (OSError, ValueError):
                continue
            return _read(path, (stat.st_size, stat.st_mtime_ns))
    return _from_archive(file) if told is None else told[2]


def _told(file: str) -> tuple[Any, Any, list[str], Any] | None:
    """`linecache`'s entry for a file (size, time, lines, …), if it holds the lines."""
    cache = getattr(sys.modules.get("linecache"), "cache", None)
    entry = cache.get(file) if type(cache) is dict else None
    return entry if type(entry) is tuple and len(entry) == 4 and type(entry[2]) is list else None


def _places(file: str) -> Iterator[str]:
    yield file
    if not os.path.isabs(file):
        for folder in list(sys.path):
            if type(folder) is str:
                yield os.path.join(folder, file)


def _read(path: str, stamp: tuple[int, int]) -> list[str]:
    found = _files.get(path)
    if found is None or found[0] != stamp:
        if len(_files) >= _FILES_KEPT:
            _files.clear()
        try:
            with open(path, "rb") as stream:
                lines = _decoded(stream.read())
        except OSError:
            lines = []
        found = _files[path] = stamp, lines
    return found[1]


def _decoded(source: bytes) -> list[str]:
    """Lines of a source file, as the compiler reads it."""
    try:
        encoding, _ = library("tokenize").detect_encoding(BytesIO(source).readline)
        lines = list(TextIOWrapper(BytesIO(source), encoding))
    except (UnicodeDecodeError, SyntaxError):
        return []
    if lines and lines[-1][-1:] != "\n":
        lines[-1] += "\n"
    return lines


def _from_archive(file: str) -> list[str]:
    """The path of a module that was imported from a ZIP archive goes through it."""
    zipimport = sys.modules.get("zipimport")
    at = file.rfind(os.sep)
    while zipimport is not None and at > 0:
        importer: Any = sys.path_importer_cache.get(file[:at])
        if type(importer) is zipimport.zipimporter:
            try:
                return _decoded(importer.get_data(file))
            except OSError:
                return []
        at = file.rfind(os.sep, 0, at)
    return []
