"""The local store: every process of a run writes its finished calls into an SQLite file of its own.

This runs inside the user's program, in the drain thread: nothing here raises, and whatever cannot be written is counted
as dropped and said once. Nothing here reads a store back; that is `read/`. How the parts behave: docs/store.md.
"""

from __future__ import annotations

import os
import weakref
from _thread import RLock
from itertools import chain

from autoscope.errors import notice, pass_on
from autoscope.export.plainjson import captured_json, to_json
from autoscope.export.runs import absolute, make_run, take_lock, write_json
from autoscope.export.runs import create_run as create_run
from autoscope.export.runs import describe_run as describe_run
from autoscope.export.runs import new_run_id as new_run_id
from autoscope.export.runs import prune as prune
from autoscope.ours import keep_builtins
from autoscope.runtime.library import ROOT, library, root, system
from autoscope.runtime.sites import share_of, shares
from autoscope.runtime.spans import Clock, Folding, epoch_offset

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from typing import Any

    from autoscope.runtime.sites import Site
    from autoscope.runtime.spans import Details, Record, Trace

    Facts = tuple[str, str, str, int, str]
    """Module, qualified name, file, line and kind of a function: what the file says of it."""

SCHEMA_VERSION = 2
"""Stands in the file as `PRAGMA user_version`. 1: first. 2: `spans.probability`."""

RETRY_NS = 30_000_000_000
"""After a file could not be opened, so long nothing is tried."""
BUSY_SECONDS = 1.0
FORK_WAIT_SECONDS = 2.0

_WRAP = 1 << 64
_TOP = 1 << 63

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sites (id INTEGER PRIMARY KEY, name TEXT, module TEXT, qualname TEXT, file TEXT, line INTEGER, kind TEXT);
CREATE TABLE traces (id INTEGER PRIMARY KEY, trace_id BLOB, remote_parent INTEGER, tracestate TEXT, flags INTEGER,
    thread_id INTEGER, thread_name TEXT);
CREATE TABLE spans (span INTEGER PRIMARY KEY, parent INTEGER, trace INTEGER, site INTEGER, start_ns INTEGER,
    duration_ns INTEGER, probability REAL);
CREATE TABLE details (span INTEGER PRIMARY KEY, error_type TEXT, error_message TEXT, running_ns INTEGER,
    attributes TEXT);
CREATE TABLE events (id INTEGER PRIMARY KEY, span INTEGER, time_ns INTEGER, name TEXT, attributes TEXT);
CREATE INDEX events_span ON events (span);
CREATE VIEW otel_traces AS
SELECT strftime('%Y-%m-%d %H:%M:%S', s.start_ns / 1000000000, 'unixepoch')
        || printf('.%09d', s.start_ns % 1000000000) AS Timestamp,
    lower(hex(t.trace_id)) AS TraceId,
    printf('%016x', s.span) AS SpanId,
    CASE WHEN s.parent != 0 THEN printf('%016x', s.parent)
        WHEN t.remote_parent != 0 THEN printf('%016x', t.remote_parent) ELSE '' END AS ParentSpanId,
    t.tracestate AS TraceState,
    f.name AS SpanName,
    'Internal' AS SpanKind,
    (SELECT json_extract(value, '$."service.name"') FROM meta WHERE key = 'resource') AS ServiceName,
    (SELECT value FROM meta WHERE key = 'resource') AS ResourceAttributes,
    'autoscope' AS ScopeName,
    (SELECT json_extract(value, '$.autoscope') FROM meta WHERE key = 'process') AS ScopeVersion,
    json_patch(json_patch(
        json_object('code.function.name', CASE WHEN f.module != '' THEN f.name END, 'code.file.path', nullif(f.file, ''),
            'code.line.number', nullif(f.line, 0)),
        CASE WHEN s.parent IN (0, t.remote_parent) AND t.thread_id != 0
            THEN json_object('thread.id', t.thread_id, 'thread.name', t.thread_name) ELSE '{}' END),
        json_patch(json_object('error.type', nullif(d.error_type, ''), 'autoscope.sampling.probability', s.probability),
            coalesce(d.attributes, '{}'))
    ) AS SpanAttributes,
    s.duration_ns AS Duration,
    CASE WHEN coalesce(d.error_type, '') != '' THEN 'Error' ELSE 'Unset' END AS StatusCode,
    coalesce(d.error_message, '') AS StatusMessage,
    (SELECT json_group_array(json_object(
            'Timestamp', strftime('%Y-%m-%d %H:%M:%S', e.time_ns / 1000000000, 'unixepoch')
                || printf('.%09d', e.time_ns % 1000000000),
            'Name', e.name, 'Attributes', json(e.attributes)))
        FROM events e WHERE e.span = s.span) AS Events
FROM spans s JOIN sites f ON f.id = s.site JOIN traces t ON t.id = s.trace LEFT JOIN details d ON d.span = s.span;
"""
"""`spans.probability` is how probable it was that a call is recorded, NULL where all are. An event of span 0 is the process's own: a
decision of the budget. `spans.parent` is 0 at a root, and `remote_parent` or 0 where the parent is not a span of ours. Ids of 2**63 and more stand as negative numbers. Times are Unix time.

`traces` has one row for every trace of every batch, so that nothing need be remembered between two transactions.
The view has the column names of the ClickHouse exporter; it is slow, and for people and their tools.
"""


class StoreExporter:
    """Writes one process's records. Any thread may call it; after a fork the child writes a file of its own."""

    def __init__(self, directory: str, *, run_id: str, resource: dict[str, Any], info: dict[str, Any]) -> None:
        """`info` describes the process (see `describe_run`). Nothing is opened before there is something to write."""
        self.directory = absolute(directory)  # the program may change its working directory
        self.run_id = run_id
        self.exported = 0
        self.dropped = 0
        self.path = ""
        """The file being written, "" before there is one."""
        self._resource = resource
        self._info = info
        self._lock = RLock()
        self._closed = False
        self._forget()
        _live.add(self)
        _watch_forks()

    def _forget(self) -> None:
        """To the state before a file was opened."""
        self._pid = system.getpid()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._opened: dict[int, tuple[int, int]] = {}
        self._alive = -1
        self._sites: dict[Site, int] = {}
        self._functions: dict[Facts, int] = {}
        self._traces = 0
        self._in_file = 0
        self._events: list[tuple[Any, ...]] = []
        """What happened in no span and is not written yet."""
        self._quiet_until = 0

    # -- what the drain calls

    def export(self, records: list[Record]) -> None:
        """Write one batch in one transaction. What cannot be written is counted in `dropped`."""
        if not records:
            return
        with self._lock:
            written = 0
            try:
                written = self._write(records)
            except Exception as error:
                pass_on(error)
                self._complain(error)
            finally:
                self.exported += written
                self.dropped += len(records) - written

    def put_sites(self, sites: Iterable[Site]) -> None:
        """Write sites that may never be called; those that are called write themselves."""
        with self._lock:
            try:
                connection = self._ready()
                if connection is not None:
                    batch = _Batch(self._sites, self._functions, self._traces)
                    for site in sites:
                        batch.site_id(site)
                    self._commit(connection, batch)
            except Exception as error:
                pass_on(error)
                self._complain(error)

    def put_meta(self, key: str, value: Any) -> None:
        """Write one value of this process (`counters`, `not_woven`, …), in place of an earlier one of that name."""
        with self._lock:
            try:
                connection = self._ready()
                if connection is not None:
                    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, to_json(value)))
                    if self._events:
                        self._commit(connection, _Batch(self._sites, self._functions, self._traces))
            except Exception as error:
                pass_on(error)
                self._complain(error)

    def put_events(self, name: str, events: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Write what happened in this process and in no span, with what is written next: when (Unix time in nanoseconds), and its attributes.

        A transaction of its own costs as much as hundreds of spans, and a budget decides hundreds of times when it begins.
        """
        with self._lock:
            try:
                if self._ready() is not None:
                    self._events += [(None, 0, time_ns, name, to_json(attributes)) for time_ns, attributes in events]
            except Exception as error:
                pass_on(error)
                self._complain(error)

    def close(self, deadline_seconds: float = 5.0) -> None:
        """Say that the process ended well, and leave one tidy file. Late or disturbed, all that was written stays."""
        if not self._lock.acquire(timeout=max(0.0, deadline_seconds)):
            return
        try:
            if self._connection is not None and self._pid == system.getpid() and self._intact():
                self.put_meta("closed", Clock.now() + epoch_offset())
                # The last connection folds the write-ahead log into the file; at most a few MB wait there.
                self._connection.close()
                self._release()
        except Exception as error:
            self._complain(error)
        finally:
            self._connection = None
            self._closed = True
            self._lock.release()

    def before_fork(self) -> None:
        """Wait for the batch being written, some milliseconds, and write nothing until the fork is over.

        The drain calls this when its own thread has stopped. SQLite's own locks must not be held by another thread while
        the process forks: the child could never open a file. What is taken here is given back by `_let_go`.
        """
        if self._lock.acquire(timeout=FORK_WAIT_SECONDS):
            _held.append(self)

    def after_fork(self, resource: dict[str, Any] | None = None) -> None:
        """In a new child: begin anew, in another file. Safe to call twice.

        The parent's connection is dropped, never closed: SQLite forbids the use of a connection across a fork, and
        closing it counts as use. `_open` has seen to it that it is never deallocated either.
        """
        if resource is not None:
            self._resource = resource
        if self._pid == system.getpid():
            return
        if resource is None and "process.pid" in self._resource:
            self._resource = {**self._resource, "process.pid": system.getpid(), "service.instance.id": _new_instance()}
        if "pid" in self._info:
            self._info = {**self._info, "pid": system.getpid()}
        if self._is_ours(self._alive):
            system.close(self._alive)  # a copy of it: the parent's lock stays
        self._lock = RLock()
        self._forget()
        self.path = ""
        self.exported = self.dropped = 0

    # -- writing

    def _write(self, records: list[Record]) -> int:
        connection = self._ready()
        if connection is None:
            return 0
        batch = _Batch(self._sites, self._functions, self._traces)
        try:
            batch.add(records)
        except Exception:
            batch = self._collect_one_by_one(records)
        return self._commit(connection, batch)

    def _collect_one_by_one(self, records: list[Record]) -> _Batch:
        """The batch has a record that cannot be written: all the others can."""
        batch = _Batch(self._sites, self._functions, self._traces)
        for record in records:
            try:
                batch.add((record,))
            except Exception as error:
                notice("span-skipped", f"a span could not be stored and is lost: {type(error).__name__}: {error}")
        return batch

    def _commit(self, connection: sqlite3.Connection, batch: _Batch) -> int:
        """How many spans were written: all or none, and fewer where the file has a span of that id already."""
        if connection.in_transaction:  # an exception of the program's (KeyboardInterrupt) struck in the last one
            connection.rollback()
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = [_site_row(item) for item in batch.functions.items()]
            _insert(connection, "INSERT OR IGNORE INTO sites", 7, rows)
            _insert(connection, "INSERT OR IGNORE INTO details", 5, batch.details)
            _insert(connection, "INSERT INTO events", 5, [*self._events, *batch.events])
            _insert(connection, "INSERT INTO traces", 7, batch.traces)
            before = connection.total_changes
            _insert(connection, "INSERT OR IGNORE INTO spans", 7, batch.spans)
            written = connection.total_changes - before
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise
        self._events.clear()
        self._functions.update(batch.functions)
        self._sites.update(batch.sites)
        if len(self._sites) > 2 * len(self._functions) + 100:
            self._sites.clear()  # most are of functions that were woven anew since, and live for nobody else
        self._traces += len(batch.traces)
        self._in_file += written
        return written

    # -- the file

    def _ready(self) -> sqlite3.Connection | None:
        """The connection to write to; None while there is none to be had."""
        if self._closed:
            return None
        if self._pid != system.getpid():
            self.after_fork()
        if self._connection is not None and not self._intact():
            self._give_up(f"{self.path} was removed or closed while it was being written; what it held is lost")
        if self._connection is None and Clock.now() >= self._quiet_until:
            self._quiet_until = Clock.now() + RETRY_NS
            self._open()
        return self._connection

    def _open(self) -> None:
        sqlite3 = library("sqlite3.dbapi2")  # only here: a program that records nothing does not load it

        if root() != ROOT:
            raise OSError("the program has changed its root directory")
        folder = make_run(self.directory, self.run_id)
        if not _identity(os.path.join(folder, "run.json")):
            write_json(os.path.join(folder, "run.json"), {**describe_run(), **self._info})
        path, alive = _claim(folder)
        connection = None
        try:
            connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._prepare(connection)
        except BaseException:
            if connection is not None:
                connection.close()
            system.close(alive)
            for leftover in (path, _alive_path(path)):
                if _identity(leftover):
                    system.unlink(leftover)
            raise
        # A reference cycle the garbage collector cannot see: this connection is freed by `close()` and by nothing else,
        # not when a forked child drops it and not when the child's interpreter is taken down.
        connection.create_function("autoscope_keep", 0, lambda: str(connection))
        self.path = path
        self._alive = alive
        self._connection = connection
        self._file = _identity(path)
        self._opened = _descriptors_of((path, path + "-wal", path + "-shm", _alive_path(path)))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        # No fsync: what a killed process wrote is safe with the kernel; only a power cut could spoil the file, and
        # making the program's disk wait for its traces would be the worse harm.
        connection.execute("PRAGMA synchronous = OFF")
        about = {"pid": system.getpid(), "started": Clock.now() + epoch_offset(), "epoch_offset": epoch_offset()}
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [("process", to_json({**describe_run(), **self._info, **about})), ("resource", to_json(self._resource))],
        )

    def _intact(self) -> bool:
        """Whether the file is where it was, and its descriptors are still ours.

        A program that becomes a daemon closes every descriptor it finds. The next file it opens gets the same
        number, and SQLite would write our pages into it.
        """
        if _identity(self.path) != self._file:
            return False
        return all(_identity(descriptor) == identity for descriptor, identity in self._opened.items())

    def _is_ours(self, descriptor: int) -> bool:
        return descriptor in self._opened and _identity(descriptor) == self._opened[descriptor]

    def _give_up(self, why: str) -> None:
        """Leave this file, as it is and unclosed; a new one is begun when there is more to write."""
        self.dropped += self._in_file
        self.exported -= self._in_file
        if self._is_ours(self._alive):
            system.close(self._alive)
        self._forget()
        notice("store-lost", why)

    def _release(self) -> None:
        """Let go of the mark that this process lives."""
        if self._is_ours(self._alive):
            system.close(self._alive)
            system.unlink(_alive_path(self.path))
        self._alive = -1

    def _complain(self, error: Exception) -> None:
        """Say once what is wrong. A full disk may have room again; a file that is spoilt is left for a new one."""
        reason = system.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        place = os.path.join(self.directory, "runs", self.run_id)
        notice("store-failed", f"can't store spans in {place}: {reason}; they are dropped while this lasts")
        if self._connection is not None and getattr(error, "sqlite_errorname", "").startswith(_SPOILT):
            self._give_up(f"{self.path} is damaged; what it held may be lost")
            self._quiet_until = Clock.now() + RETRY_NS


ROWS = 1024
"""How many rows are inserted by one statement at most, a power of two. 7 values each: SQLite's limit is 32,766, and was 999."""


def _insert(connection: sqlite3.Connection, words: str, width: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, many by one statement.

    At each statement Python lets other threads run; one that computes gives the interpreter back 5 ms later. Row by row (`executemany`) a
    batch of 4,096 took 5 s beside such a thread, and 30 µs of CPU time a row instead of 1.
    """
    values = f"({', '.join('?' * width)})"
    place, size = 0, ROWS
    while size * width > connection.getlimit(_VARIABLES):
        size //= 2
    while place < len(rows):
        while size > len(rows) - place:
            size //= 2  # of few sizes, so that SQLite need not read a new statement each time
        some = chain.from_iterable(rows[place : place + size])
        connection.execute(f"{words} VALUES {', '.join([values] * size)}", list(some))
        place += size


_VARIABLES = 9
"""`sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER`."""
_SPOILT = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN")


class _Batch:
    """Rows of one transaction, made from records."""

    def __init__(self, known_sites: dict[Site, int], known_functions: dict[Facts, int], known_traces: int) -> None:
        self.spans: list[tuple[int, int, int, int, int, int, float | None]] = []
        self.traces: list[tuple[Any, ...]] = []
        self.details: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.sites: dict[Site, int] = {}
        """Those not seen before, with the numbers they get."""
        self.functions: dict[Facts, int] = {}
        """Those the file does not have yet: a function that is woven anew has another site, and its row."""
        self._known_sites = known_sites
        self._known_functions = known_functions
        self._known_traces = known_traces
        self._trace_rows: dict[Trace, int] = {}
        self._epoch = epoch_offset()

    def add(self, records: Iterable[Record]) -> None:
        """The loop every span goes through: with SQLite's insert some 1.4 µs of CPU each (docs/store.md)."""
        append = self.spans.append
        site_ids = self._known_sites
        epoch = self._epoch
        last_trace: Trace | None = None
        row = 0
        for site, span, trace, parent, start, end, details in records:
            if trace is not last_trace:
                row = self._trace_rows.get(trace) or self._add_trace(trace)
                last_trace = trace
            try:
                site_id = site_ids[site]
            except KeyError:
                site_id = self.site_id(site)
            if span >= _TOP:
                span -= _WRAP
            if details is not None:
                if isinstance(details, tuple):
                    self.details.append((span, "", "", None, captured_json(details)))
                else:
                    self._add_details(span, details)
            parent_id = parent[1] if parent else 0
            if parent_id >= _TOP:
                parent_id -= _WRAP
            append(
                (span, parent_id, row, site_id, start + epoch, end - start, share_of(site, start) if shares else None)
            )

    def site_id(self, site: Site) -> int:
        """The number of a site in this file."""
        found = self._known_sites.get(site) or self.sites.get(site)
        if found is None:
            facts = site.module, site.qualname, site.file, site.line, site.kind
            found = self._known_functions.get(facts) or self.functions.get(facts)
            if found is None:
                found = self.functions[facts] = len(self._known_functions) + len(self.functions) + 1
            self.sites[site] = found
        return found

    def _add_trace(self, trace: Trace) -> int:
        row = self._known_traces + len(self.traces) + 1
        self.traces.append(
            (
                row,
                trace.trace_id.to_bytes(16),
                _signed(trace.remote_parent),
                _text(trace.tracestate),
                trace.flags,
                _signed(trace.thread_id),
                _text(trace.thread_name),
            )
        )
        self._trace_rows[trace] = row
        return row

    def _add_details(self, span: int, details: Details) -> None:
        attributes = details.attributes
        running = encoded = None
        if attributes:
            running = attributes.get("autoscope.generator.running_ns") or attributes.get(
                "autoscope.coroutine.running_ns"
            )
            encoded = to_json(attributes)
        if type(details) is Folding:
            for site in details.sites:
                self.site_id(site)
        exception = details.exception
        if exception is not None:
            from autoscope.export.wire import exception_attributes

            told = to_json(exception_attributes(exception))
            self.events.append((None, span, exception.time + self._epoch, "exception", told))
        self.details.append((span, _text(details.error_type), _text(details.error_message), running, encoded))


def _new_instance() -> str:
    from autoscope.export.resource import new_instance_id

    return new_instance_id()


def _site_row(item: tuple[Facts, int]) -> tuple[Any, ...]:
    (module, qualname, file, line, kind), site_id = item
    texts = (_text(f"{module}.{qualname}" if module else qualname), _text(module), _text(qualname), _text(file))
    return (site_id, *texts, line, _text(kind))


def _signed(number: int) -> int:
    """As SQLite keeps it: 64 bits with a sign."""
    number &= _WRAP - 1
    return number - _WRAP if number >= _TOP else number


def _text(text: str) -> str:
    """Text SQLite can keep: a file name may hold half a surrogate pair, which UTF-8 has no bytes for."""
    if str.isascii(text):
        return str.__str__(text)
    return str.encode(text, "utf-8", "backslashreplace").decode()


# -- forks

_live: weakref.WeakSet[StoreExporter] = weakref.WeakSet()
_watching = False


def _watch_forks() -> None:
    global _watching
    if not _watching:
        _watching = True
        os.register_at_fork(after_in_parent=_let_go, after_in_child=_begin_anew)


_held: list[StoreExporter] = []
"""Those that wait for a fork to be over."""


def _let_go() -> None:
    while _held:
        _held.pop()._lock.release()


def _begin_anew() -> None:
    _held.clear()
    for store in list(_live):
        store.after_fork()


# -- files and folders


def _identity(file: int | str) -> tuple[int, int] | None:
    try:
        status = system.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _descriptors_of(paths: Iterable[str]) -> dict[int, tuple[int, int]]:
    """Which of this process's descriptors are open on `paths`: SQLite does not tell its own."""
    wanted = {identity for identity in map(_identity, paths) if identity}
    found: dict[int, tuple[int, int]] = {}
    try:
        names = system.listdir("/dev/fd")
    except OSError:
        return {}  # not to be known here
    for name in names:
        identity = _identity(int(name))
        if identity is not None and identity in wanted:
            found[int(name)] = identity
    return found


def _alive_path(path: str) -> str:
    return path.removesuffix(".db") + ".alive"


def _claim(folder: str) -> tuple[str, int]:
    """A file name of our own, and the descriptor of the lock that says we live.

    Not the process id but the lock is what `prune` goes by: ids are used again, and mean nothing in another container.
    """
    for number in range(10_000):
        path = os.path.join(folder, f"{system.getpid()}-{number}.db")
        try:
            descriptor = system.open(_alive_path(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except FileExistsError:
            continue
        take_lock(descriptor, wait=True)
        if not _identity(path):
            return path, descriptor
        system.close(descriptor)
    raise FileExistsError(17, f"no free file name in {folder}")
