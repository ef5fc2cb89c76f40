"""What analysis saw, by content, and finished plans, by key: kept between runs of the planner in one SQLite file.

Everything in it can be worked out anew, so nothing here raises: a cache that is damaged, locked, full or somebody else's
holds nothing, and `trouble` says why. What comes out is what was put in, checked; a damaged file is deleted and begun anew.
Several processes may use the file at once; transactions are short, and who waits longer than `PATIENCE` goes without.

No write-ahead log: it does not work on network file systems, where home directories often are. Nothing is synced to the
disk: that would cost every run tens of milliseconds, and what a power failure spoils is noticed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING
from zlib import crc32

from autoscope.plan.values import printable

try:
    import sqlite3
except ImportError:  # Python can be built without
    sqlite3 = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from autoscope.plan.source import Source

FORMAT = 1
"""To be raised with the tables below, or with `digest`."""
FILE = "autoscope-facts.sqlite3"
MOST_BYTES = 256 << 20
"""Size of all entries from which on the least recently used go."""
MOST_STAMPS = 200_000
DAY = 86_400
UNUSED_DAYS = 30
"""After which an entry goes."""
RACY = 2.0
"""Seconds: a file changed later than this before it was looked at may change again without another stamp."""
PATIENCE = 0.5
"""Seconds that another process's lock is waited for."""
COUNTERS = ("hits", "misses", "stored", "evicted")

_TABLES = (
    "CREATE TABLE entries(key BLOB NOT NULL UNIQUE, plan INTEGER NOT NULL, used INTEGER NOT NULL, "
    "size INTEGER NOT NULL, checksum INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX entries_used ON entries(used, size, plan)",
    "CREATE TABLE stamps(path BLOB PRIMARY KEY, stamp BLOB NOT NULL, digest BLOB NOT NULL, used INTEGER NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)
_AT_ONCE = 500
"""Keys in one question; SQLite has a limit."""
_IN_ONE_TRANSACTION = 4 << 20
"""Bytes, so that nobody waits long."""
_ANOTHER = "name another directory with AUTOSCOPE_CACHE_DIR"


def digest(data: bytes) -> str:
    """What names a file's content: BLAKE2b, 16 bytes, in hex."""
    return blake2b(data, digest_size=16).hexdigest()


class FactsCache:
    """One file of entries, or none. To be closed; a context manager."""

    def __init__(self, directory: str | None, version: str, now: float) -> None:
        self.directory = os.path.abspath(directory) if directory else ""
        self.now = now
        self.trouble = ""
        """Why the cache is not used, or was begun anew, and what to do: one line; "" where all is well."""
        self.usable = bool(directory) and sqlite3 is not None
        self._file = os.path.join(self.directory, FILE)
        self._seed = blake2b(version.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._connection: sqlite3.Connection | None = None
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._touched: dict[str, list[tuple[int, bytes]]] = {"entries": [], "stamps": []}

    @classmethod
    def open(cls, directory: str | None, version: str, now: float | None = None) -> FactsCache:
        """The cache in a directory, which is made when something is stored; None: one that holds nothing.

        `version` is part of every entry's name: autoscope's, that of the analysis, the interpreter's. `now` (seconds since
        the epoch) must not be later than the first read of a file; it counts as the time of all that follows.
        """
        cache = cls(directory, version, time.time() if now is None else now)
        if not directory:
            cache.trouble = (
                "there is no facts cache: AUTOSCOPE_CACHE_DIR is empty, or there is no HOME; name a directory"
            )
        elif sqlite3 is None:
            cache.trouble = "there is no facts cache: this Python was built without sqlite3"
        else:
            with cache._stepping_aside():
                cache._connect()
        return cache

    def __enter__(self) -> FactsCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # What files contain.

    def known(self, sources: Sequence[Source]) -> dict[str, str]:
        """Path -> digest of those that have not changed since they were remembered."""
        found: dict[str, str] = {}
        wanted = {os.fsencode(source.path): source for source in sources}
        question = "SELECT path, stamp, digest, used FROM stamps WHERE path IN "
        for path, stamp, sealed, used in self._rows(question, list(wanted)):
            source = wanted.get(path)
            if source is not None and stamp == _stamp(source) and _sealed(sealed):
                found[source.path] = sealed[:16].hex()
                self._touch("stamps", path, used)
        return found

    def remember(self, digests: Iterable[tuple[Source, str]]) -> None:
        """Keep the digests of files, but for those so new that a change of theirs might not be seen by their stamp."""
        latest = (self.now - RACY) * 1e9
        rows = [
            (os.fsencode(source.path), _stamp(source), _seal(bytes.fromhex(content)), int(self.now))
            for source, content in digests
            if source.stamp[0] <= latest
        ]
        with self._stepping_aside():
            if rows and self._made():
                with self._transaction() as execute:
                    execute.executemany("INSERT OR REPLACE INTO stamps VALUES(?, ?, ?, ?)", rows)

    # What was seen in them, and plans.

    def load(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The entries there are of these."""
        return self._load(list(keys), 0)

    def store(self, entries: Mapping[str, bytes]) -> None:
        """Keep entries; that they cannot be kept is nobody's concern."""
        self._store(entries, 0)

    def load_plan(self, key: str) -> bytes | None:
        """A finished plan, None where there is none."""
        return self._load([key], 1).get(key)

    def store_plan(self, key: str, data: bytes) -> None:
        """Keep a finished plan."""
        self._store({key: data}, 1)

    # The whole of it.

    def stats(self) -> dict[str, int | str]:
        """`directory`, `entries` (facts of files), `plans`, `bytes` of both, and counts over all processes: `COUNTERS`."""
        result: dict[str, int | str] = {"directory": self.directory, "entries": 0, "plans": 0, "bytes": 0}
        counted = dict(self._counts)
        names = {name.encode(): name for name in COUNTERS}
        with self._stepping_aside():
            if self._connection is not None:
                execute = self._connection.execute
                for plan, number, size in execute(
                    "SELECT plan = 1, count(*), CAST(total(size) AS INTEGER) FROM entries GROUP BY 1"
                ):
                    result["plans" if plan else "entries"] = number
                    result["bytes"] = int(result["bytes"]) + size
                for name, value in execute("SELECT name, CAST(coalesce(value, 0) AS INTEGER) FROM counters"):
                    if name in names:
                        counted[names[name]] += value
        return {**result, **counted}

    def clear(self) -> int:
        """Delete everything, counts included; returns how many entries and plans there were."""
        gone = 0
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._touched = {"entries": [], "stamps": []}
        with self._stepping_aside():
            if self._connection is not None:
                with self._transaction() as execute:
                    gone = execute.execute("DELETE FROM entries").rowcount
                    execute.execute("DELETE FROM stamps")
                    execute.execute("DELETE FROM counters")
                self._connection.execute("VACUUM")
        return gone

    def close(self) -> None:
        """Write down what was counted, and let go of the file."""
        counts = [(name, value) for name, value in self._counts.items() if value]
        with self._stepping_aside():
            if self._connection is not None and (counts or any(self._touched.values())):
                with self._transaction() as execute:
                    execute.executemany(
                        "INSERT INTO counters VALUES(?, ?) "
                        "ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
                        counts,
                    )
                    execute.executemany("UPDATE entries SET used = ? WHERE key = ?", self._touched["entries"])
                    execute.executemany("UPDATE stamps SET used = ? WHERE path = ?", self._touched["stamps"])
        self._let_go()
        self.usable = False

    # Reading and writing.

    def _key(self, key: str, plan: int) -> bytes:
        return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, key=self._seed, salt=b"%d" % plan).digest()

    def _rows(self, question: str, values: list[bytes]) -> list[tuple[Any, ...]]:
        """What is found for these values, all or nothing."""
        rows: list[tuple[Any, ...]] = []
        with self._stepping_aside():
            if self._connection is not None:
                execute = self._connection.execute
                execute("BEGIN")
                try:
                    for start in range(0, len(values), _AT_ONCE):
                        part = values[start : start + _AT_ONCE]
                        rows += execute(f"{question} ({'?,' * (len(part) - 1)}?)", part)
                finally:
                    self._connection.rollback()
                return rows
        return []

    def _touch(self, table: str, key: bytes, used: Any) -> None:
        """Note that a row was used, once a day; it is written when the cache is closed."""
        if not isinstance(used, int) or abs(self.now - used) > DAY:
            self._touched[table].append((int(self.now), key))

    def _load(self, keys: list[str], plan: int) -> dict[str, bytes]:
        wanted = {self._key(key, plan): key for key in keys}
        found: dict[str, bytes] = {}
        question = "SELECT key, used, checksum, data FROM entries WHERE key IN "
        for key, used, checksum, data in self._rows(question, list(wanted)):
            if key in wanted and isinstance(data, bytes) and crc32(data, crc32(key)) == checksum:
                found[wanted[key]] = data
                self._touch("entries", key, used)
        self._counts["hits"] += len(found)
        self._counts["misses"] += len(wanted) - len(found)
        return found

    def _store(self, entries: Mapping[str, bytes], plan: int) -> None:
        with self._stepping_aside():
            if not entries or not self._made():
                return
            for rows in self._portions(entries, plan):
                with self._transaction() as execute:
                    execute.executemany("INSERT OR REPLACE INTO entries VALUES(?, ?, ?, ?, ?, ?)", rows)
                self._counts["stored"] += len(rows)
            self._shrink()

    def _portions(
        self, entries: Mapping[str, bytes], plan: int
    ) -> Iterator[list[tuple[bytes, int, int, int, int, bytes]]]:
        """Rows for the entries, as many at a time as one transaction may write."""
        rows = []
        size = 0
        for name, data in entries.items():
            if len(data) > MOST_BYTES // 4:
                continue
            key = self._key(name, plan)
            rows.append((key, plan, int(self.now), len(data), crc32(data, crc32(key)), data))
            size += len(data)
            if size > _IN_ONE_TRANSACTION:
                yield rows
                rows = []
                size = 0
        if rows:
            yield rows

    def _shrink(self) -> None:
        """Delete what was not used for `UNUSED_DAYS`, then the least recently used, to nine tenths of what may be."""
        oldest = int(self.now) - UNUSED_DAYS * DAY
        gone = 0
        with self._transaction() as execute:
            gone += execute.execute("DELETE FROM entries WHERE used < ?", (oldest,)).rowcount
            execute.execute("DELETE FROM stamps WHERE used < ?", (oldest,))
            total = execute.execute("SELECT CAST(total(size) AS INTEGER) FROM entries").fetchone()[0]
            if total > MOST_BYTES:
                leaving = []
                for row, size in execute.execute(
                    "SELECT rowid, CAST(coalesce(size, 0) AS INTEGER) FROM entries ORDER BY used, size"
                ):
                    leaving.append((row,))
                    total -= size
                    if total <= MOST_BYTES * 9 // 10:
                        break
                execute.executemany("DELETE FROM entries WHERE rowid = ?", leaving)
                gone += len(leaving)
            stamps = execute.execute("SELECT count(*) FROM stamps").fetchone()[0]
            if stamps > MOST_STAMPS:
                few = (stamps - MOST_STAMPS * 9 // 10,)
                execute.execute("DELETE FROM stamps WHERE path IN (SELECT path FROM stamps ORDER BY used LIMIT ?)", few)
        self._counts["evicted"] += gone
        if gone and self._connection is not None:
            self._connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """All that is executed in it is written, or nothing."""
        assert self._connection is not None
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        finally:
            cursor.close()

    # The file.

    def _connect(self) -> None:
        """Connect to the file, if it is there and may be used. Raises OSError, sqlite3.Error."""
        if not self._trusted():
            return
        connection = sqlite3.connect(self._file, timeout=PATIENCE, isolation_level=None)
        connection.text_factory = bytes  # what is damaged may be no text
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _set_up(connection)
            elif version != FORMAT:
                raise _Other(f"it has format {version}, not {FORMAT}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _trusted(self) -> bool:
        """Whether the file is there, and nobody but us and root can have written what is in it. Raises OSError."""
        for path in (self.directory, self._file):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                return False
            if path is self.directory and not stat.S_ISDIR(status.st_mode):
                self._refuse(f"it is not a directory; {_ANOTHER}")
                return False
            if status.st_uid not in (0, os.geteuid()):
                self._refuse(f"{printable(path)} is somebody else's; {_ANOTHER}")
                return False
            if status.st_mode & 0o022:
                self._refuse(f"others can write to {printable(path)}; `chmod go-w` it if it is yours, or {_ANOTHER}")
                return False
        return True

    def _made(self) -> bool:
        """Whether there is a file to write to; it is made where it is not there. Raises OSError, sqlite3.Error."""
        if self._connection is None and self.usable:
            _make_directory(self.directory)
            try:
                os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError:
                pass  # made by another process, this moment
            self._connect()
        return self._connection is not None

    def _refuse(self, why: str) -> None:
        """Go on without a cache."""
        self.trouble = f"the facts cache in {printable(self.directory)} is not used: {why}"
        self.usable = False

    def _let_go(self) -> None:
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error:
                pass
            self._connection = None

    @contextmanager
    def _stepping_aside(self) -> Iterator[None]:
        """Whatever goes wrong inside, the cache is given up, and a damaged file deleted."""
        try:
            yield
        except (OSError, MemoryError, sqlite3.Error, UnicodeDecodeError, _Other) as error:
            self._let_go()
            if self._damaged(error):
                self._begin_anew(error)
            else:
                self._refuse(f"{_in_words(error)}; {_ANOTHER} if that stays so")

    def _damaged(self, error: BaseException) -> bool:
        if isinstance(error, (UnicodeDecodeError, _Other)):  # the former is what a damaged schema's message comes to
            return True
        name: str = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_READONLY":  # what a damaged header asks for
            return os.access(self.directory, os.W_OK) and os.access(self._file, os.W_OK)
        return name == "SQLITE_IOERR_SHORT_READ" or (bool(name) and name.split("_")[1] not in _CIRCUMSTANCES)

    def _begin_anew(self, error: BaseException) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):  # a damaged header may ask for the latter
            try:
                os.unlink(self._file + suffix)
            except FileNotFoundError:
                pass
            except OSError as failure:
                self._refuse(f"it is damaged, and cannot be deleted: {failure.strerror}; {_ANOTHER}")
                return
        self.trouble = f"the facts cache in {printable(self.directory)} is begun anew: {_in_words(error)}"


class _Other(Exception):
    """The file is not of this format."""


def _stamp(source: Source) -> bytes:
    return b"%d %d %d" % source.stamp


def _seal(content: bytes) -> bytes:
    """A digest with a checksum."""
    return content + crc32(content).to_bytes(4, "little")


def _sealed(content: object) -> bool:
    """Whether this is what `_seal` has made."""
    return isinstance(content, bytes) and content == _seal(content[:16])


def _set_up(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process does. Raises sqlite3.Error."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _make_directory(path: str) -> None:
    """Make a directory only we can look into, with those above it. Raises OSError.

    Not as root in somebody else's directory: he could not write to it afterwards.
    """
    missing = []
    while True:
        try:
            status = os.stat(path)
            break
        except FileNotFoundError:
            missing.append(path)
            path = os.path.dirname(path)
    if missing and os.geteuid() == 0 != status.st_uid:
        raise PermissionError(0, "it would be made by root in somebody else's directory")
    for folder in reversed(missing):
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass  # by another process, this moment


_CIRCUMSTANCES = frozenset(
    (
        "BUSY",
        "LOCKED",
        "READONLY",
        "CANTOPEN",
        "FULL",
        "IOERR",
        "PERM",
        "NOMEM",
        "AUTH",
        "INTERRUPT",
        "PROTOCOL",
        "NOLFS",
    )
)
"""SQLite's errors that say nothing of what is in the file; by all others it is damaged."""


def _in_words(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
        return f"another process has locked it for longer than {PATIENCE} s"
    return printable(str(error)) or type(error).__name__
