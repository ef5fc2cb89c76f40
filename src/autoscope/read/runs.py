"""Runs in the local store, opened for reading: finished, still being written, killed, or on a read-only disk.

A file that cannot be read is left out and named in the run's notes; one bad file does not hide the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from sqlite3 import Connection, DatabaseError
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    from autoscope.read.functions import Function

SCHEMA_VERSION = 3
"""The newest layout this module knows; `export/store.py` says what each has."""

_Value = TypeVar("_Value")


class Span(NamedTuple):
    """One finished call. Times are nanoseconds, `start_ns` since 1970; ids are as on the wire, 0 for none."""

    span_id: int
    parent_id: int
    trace_id: int
    name: str
    start_ns: int
    duration_ns: int
    error_type: str
    error_message: str
    attributes: dict[str, Any]
    file: str
    line: int
    kind: str
    thread_id: int
    thread_name: str
    tracestate: str
    flags: int
    begins_here: bool
    """Whether it is the first of its process: its parent, if it has one, is not a span of ours."""


class Event(NamedTuple):
    """Something that happened during a span: an exception that left it."""

    time_ns: int
    name: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Process:
    """What one process of a run left behind."""

    path: str
    pid: int
    state: str
    """`finished`, `running`, or `killed`: ended without saying so."""
    meta: dict[str, Any]
    """What it wrote about itself: `process`, `resource`, `counters`, `not_woven`, `notices`, `cost`, `sites`, `budget`."""


@dataclass(slots=True)
class Run:
    """One run: its processes, and what was found wrong with their files."""

    id: str
    path: str
    info: dict[str, Any]
    """`run.json`."""
    processes: tuple[Process, ...]
    notes: list[str] = field(default_factory=list)

    @property
    def meta(self) -> dict[str, Any]:
        """The processes' words put together: counters and costs added up, lists joined without repeats."""
        return merge_meta([process.meta for process in self.processes])

    def count_spans(self) -> int:
        counts = self.ask(lambda connection, _: int(connection.execute("SELECT count(*) FROM spans").fetchone()[0]))
        return sum(counts)

    def spans(self) -> Iterator[Span]:
        """Every span, process by process, in order of start."""
        for process in self.processes:
            yield from self.spans_of(process)

    def spans_of(self, process: Process, trace_id: int | None = None) -> Iterator[Span]:
        """The spans of one process, or those of one trace in it, parents before their children."""
        try:
            with connect(process.path) as connection:
                of = () if trace_id is None else (trace_id.to_bytes(16),)
                which = "WHERE t.trace_id = ?" if of else ""
                for row in connection.execute(_SPANS.format(probability=probability(connection), which=which), of):
                    yield _span(row)
        except (DatabaseError, OSError) as error:
            self.note(process, error)

    def events_of(self, process: Process) -> dict[int, list[Event]]:
        """Span id -> its events, for the spans that have any."""
        found: dict[int, list[Event]] = {}
        try:
            with connect(process.path) as connection:
                rows = connection.execute("SELECT span, time_ns, name, attributes FROM events ORDER BY id")
                for span, time_ns, name, attributes in rows:
                    found.setdefault(unsigned(span), []).append(Event(time_ns, name, json.loads(attributes)))
        except (DatabaseError, OSError) as error:
            self.note(process, error)
        return found

    def functions(self) -> list[Function]:
        """Statistics function by function."""
        from autoscope.read.functions import measure_run

        return measure_run(self)

    def ask(self, question: Callable[[Connection, Process], _Value]) -> list[_Value]:
        """`question` put to every process's file; those that cannot answer are noted and left out."""
        answers = []
        for process in self.processes:
            try:
                with connect(process.path) as connection:
                    connection.execute("BEGIN")  # one state of a file that is being written
                    answers.append(question(connection, process))
            except (DatabaseError, OSError) as error:
                self.note(process, error)
        return answers

    def note(self, process: Process, error: Exception) -> None:
        text = f"{os.path.basename(process.path)} could not be read: {error}; it is left out"
        if text not in self.notes:
            self.notes.append(text)


_SPANS = """
SELECT s.span, s.parent, t.remote_parent, t.trace_id, f.name, s.start_ns, s.duration_ns, d.error_type, d.error_message,
    d.attributes, f.file, f.line, f.kind, t.thread_id, t.thread_name,
    t.tracestate, t.flags, s.parent IN (0, t.remote_parent), {probability}
FROM spans s JOIN sites f ON f.id = s.site JOIN traces t ON t.id = s.trace LEFT JOIN details d ON d.span = s.span
{which} ORDER BY s.start_ns, s.span
"""


def _span(row: tuple[Any, ...]) -> Span:
    span, parent, remote, trace, name, start, duration, error, message, attributes, *place, begins_here, share = row
    own = json.loads(attributes) if attributes else {}
    if share is not None:
        own["autoscope.sampling.probability"] = share
    return Span(
        unsigned(span),
        unsigned(parent or remote),
        int.from_bytes(trace),
        name,
        start,
        duration,
        error or "",
        message or "",
        own,
        *(*place, bool(begins_here)),
    )


def probability(connection: Connection) -> str:
    """The column of `spans` with how probable it was that a call is recorded; files of the first layout have none."""
    return "NULL" if connection.execute("PRAGMA user_version").fetchone()[0] < 2 else "s.probability"


def unsigned(number: int) -> int:
    """An id as it is on the wire; SQLite keeps 64 bits with a sign."""
    return number & 0xFFFF_FFFF_FFFF_FFFF


# -- finding runs


def list_runs(directory: str) -> list[str]:
    """Ids of the runs in a store, newest first."""
    try:
        names = os.listdir(os.path.join(directory, "runs"))
    except OSError:
        return []
    found = [name for name in names if not name.startswith(".")]
    # Ids tell the second; runs begun in the same one are told apart by what they wrote.
    return sorted(found, key=lambda name: (name[:15], _started(directory, name)), reverse=True)


def _started(directory: str, name: str) -> int:
    started = _read_json(os.path.join(directory, "runs", name, "run.json")).get("started", 0)
    return started if isinstance(started, int) else 0


def open_run(directory: str, run: str | None = None) -> Run:
    """The run with that id, the beginning of one, or a folder; the newest where none is named."""
    if run and os.path.isdir(run) and (os.sep in run or not list_runs(directory)):
        return read_run(os.path.abspath(run))
    known = list_runs(directory)
    if not known:
        raise AutoscopeError(
            f"no runs in {directory}: nothing was recorded there; "
            "`autoscope run app.py` records a run, --store DIR looks elsewhere"
        )
    matching = [name for name in known if name.startswith(run or "")]
    if run in matching:
        matching = [run]
    if not matching or (run and len(matching) > 1):
        why = "several runs begin so" if matching else "no such run"
        names = matching or known
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} older" if len(names) > 5 else "")
        raise AutoscopeError(f"can't open run {run!r} in {directory}: {why}; there {_are(names)} {shown}")
    return read_run(os.path.join(directory, "runs", matching[0]))


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def read_run(folder: str) -> Run:
    """The run in `folder`, whatever state it is in."""
    info = _read_json(os.path.join(folder, "run.json"))
    run = Run(os.path.basename(folder), folder, info, ())
    names = sorted(name for name in os.listdir(folder) if name.endswith(".db"))
    run.processes = tuple(process for name in names if (process := _read_process(run, os.path.join(folder, name))))
    return run


def _read_process(run: Run, path: str) -> Process | None:
    pid = os.path.basename(path).partition("-")[0]
    process = Process(path, int(pid) if pid.isdigit() else 0, "killed", {})
    try:
        with connect(path) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                return None  # the process ended before it had made its tables
            if version > SCHEMA_VERSION:
                raise DatabaseError(f"a newer autoscope wrote it (layout {version}, known are up to {SCHEMA_VERSION})")
            meta = {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    except (DatabaseError, OSError, ValueError) as error:
        run.note(process, error)
        return None
    state = "finished" if "closed" in meta else "running" if _is_locked(path) else "killed"
    return Process(path, process.pid, state, meta)


def _is_locked(path: str) -> bool:
    """Whether the process that writes `path` lives: it holds a lock on the file beside it."""
    import fcntl

    try:
        descriptor = os.open(path.removesuffix(".db") + ".alive", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(descriptor)
    return False


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# -- opening files


@contextmanager
def connect(path: str) -> Iterator[Connection]:
    """A connection for reading, with what still stands in the write-ahead log of a process that lives or was killed.

    Without a log nobody is writing: the file is read as it stands, and nothing is left beside it. With one, SQLite wants
    to make a file beside it; where the disk is read-only a copy of both is read.
    """
    log = path + "-wal"
    if not os.path.exists(log):
        with closing(_open(path, "mode=ro&immutable=1")) as connection:
            yield connection
        return
    try:
        connection = _open(path, "mode=ro")
    except DatabaseError:
        if not os.path.isfile(path):
            raise
    else:
        with closing(connection):
            yield connection
        return
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="autoscope-") as folder:
        copy = os.path.join(folder, os.path.basename(path))
        shutil.copyfile(path, copy)
        if os.path.exists(log):
            shutil.copyfile(log, copy + "-wal")
        with closing(_open(copy, "mode=rw")) as connection:
            yield connection


def _open(path: str, options: str) -> Connection:
    import sqlite3
    from urllib.parse import quote

    connection = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?{options}", uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opening alone reads nothing
    except DatabaseError:
        connection.close()
        raise
    return connection


# -- putting together what processes said


def merge_meta(metas: list[dict[str, Any]]) -> dict[str, Any]:
    """Numbers of a kind added up, lists joined without repeats; `share` worked out anew."""
    merged: dict[str, Any] = {}
    for key in ("counters", "cost", "sites"):
        total: dict[str, int] = {}
        for meta in metas:
            for name, value in meta.get(key, {}).items():
                if isinstance(value, int):
                    # Every process of a run weaves the same functions; their calls and costs are each its own.
                    total[name] = max(total.get(name, 0), value) if key == "sites" else total.get(name, 0) + value
        merged[key] = total
    cost = merged["cost"]
    if cost.get("process_cpu_ns"):
        cost["share"] = cost.get("cpu_ns", 0) / cost["process_cpu_ns"]
    for key in ("not_woven", "notices"):
        joined = {tuple(map(str, item)): None for meta in metas for item in meta.get(key, [])}
        merged[key] = [list(item) for item in joined]
    return merged
