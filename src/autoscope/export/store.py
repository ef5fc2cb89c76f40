"""The local store: every process of a run writes its finished calls into an SQLite file of its own.

This runs inside the user's program, in the drain thread: nothing here raises, and whatever cannot be written is counted
as dropped and said once. Nothing here reads a store back; that is `read/`. How the parts behave: docs/store.md.
"""

from __future__ import annotations

import os
import weakref
from _thread import RLock
from itertools import chain, compress, repeat
from operator import add, sub

from autoscope.errors import notice, pass_on
from autoscope.export.plainjson import captured_json, to_json
from autoscope.export.runs import absolute, make_run, take_lock, write_json
from autoscope.export.runs import create_run as create_run
from autoscope.export.runs import describe_run as describe_run
from autoscope.export.runs import new_run_id as new_run_id
from autoscope.export.runs import prune as prune
from autoscope.ours import keep_builtins
from autoscope.runtime.library import ROOT, library, root, system
from autoscope.runtime.sites import TEST, WIDTH, Batch, share_of, shares
from autoscope.runtime.spans import RUNNING, Clock, Folding, epoch_offset, running_of

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from typing import Any

    from autoscope.runtime.sites import Site
    from autoscope.runtime.spans import Captured, Details, Record, Trace

    Facts = tuple[str, str, str, int, str]
    """Module, qualified name, file, line and kind of a function: what the file says of it."""

SCHEMA_VERSION = 3
"""Stands in the file as `PRAGMA user_version`. 1: first. 2: `spans.probability`. 3: `told`, of which `details` is a view."""

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
CREATE TABLE told (span INTEGER PRIMARY KEY, error_type TEXT, error_message TEXT, running_ns INTEGER, same_as INTEGER,
    attributes TEXT);
CREATE VIEW details AS SELECT span, error_type, error_message, running_ns,
    CASE WHEN t.same_as IS NULL THEN t.attributes ELSE (SELECT o.attributes FROM told o WHERE o.span = t.same_as) END AS attributes
    FROM told t;
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

`told.same_as` is another span, which has the same attributes and the text of them: most calls of a program say what others have said before.

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
        self._texts: dict[Captured, int] = {}
        """What was captured, of calls in the file whose rows have the text of it: their ids."""
        self._events: list[Any] = []
        """What happened in no span and is not written yet, as in `_Rows`."""
        self._quiet_until = 0

    # -- what the drain calls

    def export(self, records: list[Record] | Batch) -> None:
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
                    rows = self._new_rows()
                    for site in sites:
                        rows.site_id(site)
                    self._commit(connection, rows)
            except Exception as error:
                pass_on(error)
                self._complain(error)

    def put_meta(self, values: dict[str, Any]) -> None:
        """Write values of this process (`counters`, `not_woven`, …), in place of earlier ones of those names."""
        with self._lock:
            try:
                connection = self._ready()
                if connection is not None:
                    _insert(connection, *_META, [part for key in values for part in (key, to_json(values[key]))])
                    if self._events:
                        self._commit(connection, self._new_rows())
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
                    for time_ns, attributes in events:
                        self._events += 0, time_ns, name, to_json(attributes)
            except Exception as error:
                pass_on(error)
                self._complain(error)

    def close(self, deadline_seconds: float = 5.0) -> None:
        """Say that the process ended well, and leave one tidy file. Late or disturbed, all that was written stays."""
        if not self._lock.acquire(timeout=max(0.0, deadline_seconds)):
            return
        try:
            if self._connection is not None and self._pid == system.getpid() and self._intact():
                self.put_meta({"closed": Clock.now() + epoch_offset()})
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

    def _write(self, records: list[Record] | Batch) -> int:
        connection = self._ready()
        if connection is None:
            return 0
        parts = records.parts if isinstance(records, Batch) else list(chain.from_iterable(records))
        rows = self._new_rows()
        try:
            rows.add(parts)
        except Exception:
            rows = self._collect_one_by_one(parts)
        return self._commit(connection, rows)

    def _new_rows(self) -> _Rows:
        return _Rows(self._sites, self._functions, self._texts, self._traces)

    def _collect_one_by_one(self, parts: list[Any]) -> _Rows:
        """The batch has a record that cannot be written: all the others can."""
        rows = self._new_rows()
        for place in range(0, len(parts), WIDTH):
            try:
                rows.add(parts[place : place + WIDTH])
            except Exception as error:
                notice("span-skipped", f"a span could not be stored and is lost: {type(error).__name__}: {error}")
        return rows

    def _commit(self, connection: sqlite3.Connection, rows: _Rows) -> int:
        """How many spans were written: all or none, and fewer where the file has a span of that id already."""
        if connection.in_transaction:  # an exception of the program's (KeyboardInterrupt) struck in the last one
            connection.rollback()
        try:
            connection.execute("BEGIN IMMEDIATE")
            sites = [value for item in rows.functions.items() for value in _site_row(item)]
            _insert(connection, *_SITES, sites)
            _insert(connection, *_TOLD, rows.told)
            _insert(connection, *_SAME, rows.same)
            _insert(connection, *_STEPPED, rows.stepped)
            _insert(connection, *_DETAILS, rows.details)
            _insert(connection, *_EVENTS, [*self._events, *rows.events])
            _insert(connection, *_TRACES, rows.traces)
            before = connection.total_changes
            _insert(connection, *_SPANS, rows.spans)
            _insert(connection, *_WEIGHED, rows.weighed)
            written = connection.total_changes - before
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise
        self._events.clear()
        self._functions.update(rows.functions)
        # Each test has a site of its own: known for good, thousands would be in the garbage collector's way.
        self._sites.update({site: rows.sites[site] for site in rows.sites if site.kind != TEST})
        if len(self._sites) > 2 * len(self._functions) + 100:
            self._sites.clear()  # most are of functions that were woven anew since, and live for nobody else
        self._traces = rows.last_trace
        if len(self._texts) > TEXTS:
            self._texts.clear()
        self._texts.update(rows.texts)
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
"""How many rows are inserted by one statement at most, a power of two. SQLite's limit is 32,766 values, and was 999."""

# How rows are inserted: a statement's words, what stands for one row, and of how many values. What is the same in all rows is not among
# them, and None never: Python takes longer to hand it to SQLite than all the numbers of a span.
_META = "INSERT OR REPLACE INTO meta", "(?, ?)", 2
_SITES = "INSERT OR IGNORE INTO sites", "(?, ?, ?, ?, ?, ?, ?)", 7
_TRACES = "INSERT INTO traces", "(?, ?, ?, ?, ?, ?, ?)", 7
_SPANS = "INSERT OR IGNORE INTO spans", "(?, ?, ?, ?, ?, ?, NULL)", 6
_WEIGHED = "INSERT OR IGNORE INTO spans", "(?, ?, ?, ?, ?, ?, nullif(?, 1.0))", 7
_DETAILS = "INSERT OR IGNORE INTO told", "(?, ?, ?, nullif(?, 0), NULL, nullif(?, ''))", 5
_TOLD = "INSERT OR IGNORE INTO told", "(?, '', '', NULL, NULL, ?)", 2
_SAME = "INSERT OR IGNORE INTO told", "(?, '', '', NULL, ?, NULL)", 2
_STEPPED = "INSERT OR IGNORE INTO told", "(?, '', '', ?, NULL, ?)", 3
_EVENTS = "INSERT INTO events (span, time_ns, name, attributes)", "(?, ?, ?, ?)", 4

TEXTS = 2048
"""So many different ones of what was captured are known to be in the file, and those of the last batch."""
LONGEST_TEXT = 512
"""Characters of one that is referred to."""

_statements: dict[tuple[str, str, int], str] = {}
"""Their text, by how many rows they insert."""


def _insert(connection: sqlite3.Connection, words: str, row: str, width: int, values: list[Any]) -> None:
    """Insert rows, many by one statement. `values`: those of all rows, one after the other.

    At each statement Python lets other threads run; one that computes gives the interpreter back 5 ms later. Row by row (`executemany`) a
    batch of 4,096 took 5 s beside such a thread, and 30 µs of CPU time a row instead of 1.
    """
    place, left, size = 0, len(values) // width, ROWS
    while size * width > connection.getlimit(_VARIABLES):
        size //= 2
    while left:
        while size > left:
            size //= 2  # of few sizes, so that SQLite need not read a new statement each time
        statement = _statements.get((words, row, size))
        if statement is None:
            statement = _statements[words, row, size] = f"{words} VALUES {', '.join([row] * size)}"
        connection.execute(statement, values[place : place + size * width])
        place += size * width
        left -= size


_VARIABLES = 9
"""`sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER`."""
_SPOILT = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN")


class _Rows:
    """Rows of one transaction, made from records: the values of one after those of the other, as `_insert` wants them.

    A tuple for each row, kept until all are written, would have the garbage collector look through the program's objects.
    """

    def __init__(
        self,
        known_sites: dict[Site, int],
        known_functions: dict[Facts, int],
        known_texts: dict[Captured, int],
        last_trace: int,
    ) -> None:
        self.spans: list[int] = []
        self.weighed: list[float] = []
        """Spans, where not all calls of some functions are recorded, with how probable each was."""
        self.traces: list[Any] = []
        self.told: list[Any] = []
        """Details that are attributes alone: id, attributes."""
        self.same: list[int] = []
        """The same where another call's row has the text: id, that one's id."""
        self.texts: dict[Captured, int] = {}
        """Those whose text is among `told`, as far as it may be referred to."""
        self.stepped: list[Any] = []
        """The same of calls that were suspended: id, running time, attributes."""
        self.details: list[Any] = []
        self.events: list[Any] = []
        self.sites: dict[Site, int] = {}
        """Those not seen before, with the numbers they get."""
        self.functions: dict[Facts, int] = {}
        """Those the file does not have yet: a function that is woven anew has another site, and its row."""
        self.last_trace = last_trace
        """The number of the trace that was added last."""
        self._known_sites = known_sites
        self._known_functions = known_functions
        self._known_texts = known_texts
        self._trace_rows: dict[Trace, int] = {}
        self._epoch = epoch_offset()

    def add(self, parts: list[Any]) -> None:
        """What every span goes through, a column at a time: with SQLite's insert some 0.8 µs of CPU each (docs/store.md).

        `parts`: as in `sites.records`, at least those of one record. Where one cannot be written this raises, and adds no span.
        """
        sites, traces = parts[0::WIDTH], parts[2::WIDTH]
        spans, parents = parts[1::WIDTH], [parent[1] if parent else 0 for parent in parts[3::WIDTH]]
        starts = parts[4::WIDTH]
        durations = map(sub, parts[5::WIDTH], starts)
        if max(spans) >= _TOP or max(parents) >= _TOP:
            spans, parents = [*map(_signed, spans)], [*map(_signed, parents)]
        try:
            numbers = [*map(self._known_sites.__getitem__, sites)]
        except KeyError:
            new = {site: self.site_id(site) for site in dict.fromkeys(sites)}
            numbers = [*map(new.__getitem__, sites)]
        for trace in dict.fromkeys(traces):
            if trace not in self._trace_rows:
                self._add_trace(trace)
        weighed = bool(shares)
        width = 7 if weighed else 6
        rows: list[Any] = [0] * (len(sites) * width)
        rows[0::width] = spans
        rows[1::width] = parents
        rows[2::width] = map(self._trace_rows.__getitem__, traces)
        rows[3::width] = numbers
        rows[4::width] = map(add, starts, repeat(self._epoch))
        rows[5::width] = durations
        if weighed:
            rows[6::width] = [share_of(site, start) or 1.0 for site, start in zip(sites, starts, strict=True)]
        told, texts = parts[6::WIDTH], self.texts
        known = [*map(self._known_texts.get, told)]
        pairs: Iterable[Any] = zip(spans, known, strict=True)
        self.same += chain.from_iterable(compress(pairs, known))
        for span, details in [
            (span, details)
            for span, details, first in zip(spans, told, known, strict=True)
            if details is not None and first is None
        ]:
            if not isinstance(details, tuple):
                self._add_details(span, details)
            elif details[-1] and details[0][-1] in RUNNING:
                self.stepped += span, details[-1], captured_json(details)[0]
            elif (first := texts.get(details)) is not None:
                self.same += span, first
            else:
                text, only_text = captured_json(details)
                self.told += span, text
                # Text is equal to nothing that is written otherwise; 1 is to True, and to 1.0.
                if only_text and len(text) <= LONGEST_TEXT:
                    texts[details] = span
        if weighed:
            self.weighed += rows
        else:
            self.spans += rows

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

    def _add_trace(self, trace: Trace) -> None:
        row = self.last_trace + 1
        self.traces += (
            row,
            trace.trace_id.to_bytes(16),
            _signed(trace.remote_parent),
            _text(trace.tracestate),
            trace.flags,
            _signed(trace.thread_id),
            _text(trace.thread_name),
        )
        self._trace_rows[trace] = self.last_trace = row

    def _add_details(self, span: int, details: Details) -> None:
        encoded = to_json(details.attributes) if details.attributes else ""
        if type(details) is Folding:
            for site in details.sites:
                self.site_id(site)
        exception = details.exception
        if exception is not None:
            from autoscope.export.wire import exception_attributes

            told = to_json(exception_attributes(exception))
            self.events += span, exception.time + self._epoch, "exception", told
        self.details += span, _text(details.error_type), _text(details.error_message), running_of(details) or 0, encoded


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
