"""The code cache: woven modules kept on disk, as Python keeps compiled ones.

An entry is named after everything the woven code depends on: what Python itself would have executed (the content of
the `.pyc` it would have taken, or the code it has compiled where there is none), the plan's choices for the module but not its rates, this
version of the rewriter, the interpreter. So an entry is never out of date, only unused, and goes when the cache is full.
Written under another name and renamed; whoever reads one checks it. Deleting any of it at any time costs time, nothing else.

What is executed comes from here, so a directory others can write to is not used.
"""

from __future__ import annotations

import _imp
import _signal  # type: ignore[import-not-found]
import os
import sys
import time
from importlib import _bootstrap_external as _external
from importlib.machinery import SourceFileLoader
from marshal import dumps, loads
from types import CodeType

from autoscope import __version__
from autoscope.errors import from_a_signal, notice, pass_on
from autoscope.ours import keep_builtins
from autoscope.runtime import library, sites
from autoscope.runtime.spans import Clock
from autoscope.weave import pack, weaver

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from autoscope.plan.model import Plan
    from autoscope.weave.weaver import Weaver

FORMAT = 1
"""To be raised when `pack` writes something else, or the twins call other things of a site."""
MOST_BYTES = 512 << 20
"""Size of all entries from which on the least recently used go."""
LOOK_BYTES = 16 << 20
"""How much is written, on the average over all processes, between two looks at the size."""
DAY = 86400.0
HOUR = 3600.0
HEAD = b"autoscope-woven\n"
SUFFIX = ".woven"
_KEY: int = int.from_bytes(_external.MAGIC_NUMBER, "little")
_REWRITER = ("assemble.py", "choose.py", "pack.py", "pattern.py", "recode.py", "weaver.py")


def digest(content: bytes | memoryview) -> bytes:
    """64 bits of it, as Python computes them for `.pyc` files."""
    return _imp.source_hash(_KEY, content)


def read(path: str) -> tuple[os.stat_result, bytes]:
    """A file's status and content. Raises OSError."""
    system = library.system
    file = system.open(path, system.O_RDONLY | system.O_CLOEXEC)
    try:
        status = system.fstat(file)
        data: bytes = system.read(file, status.st_size)
        while len(data) < status.st_size:
            more = system.read(file, status.st_size - len(data))
            if not more:
                break
            data += more
    finally:
        system.close(file)
    return status, data


class _Plain:
    """What Python loads a module with, as we found it: where the program has put something else there, it knows why."""

    now = staticmethod(time.time)
    loader = SourceFileLoader
    get_code = SourceFileLoader.get_code
    get_data = SourceFileLoader.get_data
    path_stats = SourceFileLoader.path_stats
    source_to_code = SourceFileLoader.source_to_code
    cache_from_source = staticmethod(_external.cache_from_source)


def serves(loader: Any) -> bool:
    """Whether modules of this loader are cached: Python's own for files, with nothing of the program's in it."""
    kind = _Plain.loader
    return (
        type(loader) is kind
        and kind.get_code is _Plain.get_code
        and kind.get_data is _Plain.get_data
        and kind.path_stats is _Plain.path_stats
        and kind.source_to_code is _Plain.source_to_code
        and _external.cache_from_source is _Plain.cache_from_source
    )


def opened(environ: Mapping[str, str]) -> Cache | None:
    """The cache these variables speak of."""
    place = folder(environ)
    return None if place is None else Cache(place, "AUTOSCOPE_CACHE_DIR" in environ)


def folder(environ: Mapping[str, str]) -> str | None:
    """Where the cache is, by `AUTOSCOPE_CACHE_DIR`, `XDG_CACHE_HOME` or `HOME`; None: there is none, as where the first is empty."""
    given = environ.get("AUTOSCOPE_CACHE_DIR")
    if given is not None:
        return os.path.abspath(given) if given else None
    home = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(environ.get("HOME", ""), ".cache")
    return os.path.join(home, "autoscope") if os.path.isabs(home) else None


class Cache:
    """One directory of entries."""

    def __init__(self, place: str, named: bool = True) -> None:
        self.place = place
        self.named = named
        """Whether somebody has said where it is to be; else it is in a home directory."""
        self.open: set[str] = set()
        """Directories that everybody may look into, those above them as well."""
        self.hits = self.stored = 0
        self.usable: bool | None = None
        """None until it was looked at, and while it does not exist."""
        self.writable = True
        stamps = []
        here = os.path.dirname(os.path.abspath(__file__))
        for name in _REWRITER:
            try:
                status = os.stat(os.path.join(here, name))
            except OSError:
                continue  # in an archive: the version says it
            stamps.append((status.st_size, status.st_mtime_ns))
        # Whether code has columns (`-X no_debug_ranges`): what `marshal` reads is without them too.
        columns = next(iter(compile("0", "", "eval").co_positions()))[2] is not None
        facts = (FORMAT, __version__, stamps, _external.MAGIC_NUMBER, sys.version, sys.flags.optimize, columns)
        self.stamp = digest(repr(facts).encode())
        """All that an entry depends on besides its module."""

    def key(self, plan: Plan, module: str, file: str, what: str, known: bytes) -> str:
        """The name of the entry for a module's code: `known` is the digest of `what` Python would execute."""
        choices = plan.lookup().choices(module)
        depends = repr((self.stamp, module, file, what, choices)).encode("utf-8", "surrogatepass")
        return digest(depends).hex() + known.hex() + SUFFIX

    def usable_now(self) -> bool:
        if self.usable is None:
            try:
                status = library.system.stat(self.place)
            except OSError as error:
                pass_on(error)
                return False
            self.usable = _trusted(status)
            if not self.usable:
                notice(
                    "cache-shared",
                    f"others can write to {self.place}, so no woven code is taken from there: `autoscope cache clear` and "
                    f"`chmod go-w` if it is yours, or name another with AUTOSCOPE_CACHE_DIR",
                )
        return self.usable

    def load(self, key: str) -> memoryview | None:
        """An entry's content; None where there is none, or none that is whole, or it is somebody else's."""
        if not self.usable_now() or library.root() != library.ROOT:
            return None
        path = f"{self.place}/{key}"
        try:
            status, data = read(path)
        except OSError as error:
            pass_on(error)
            return None
        if not _trusted(status):
            return None  # put there while others could write here
        if _Plain.now() - status.st_mtime > DAY:
            try:
                library.system.utime(path)  # still in use
            except OSError as error:
                pass_on(error)
        begin = len(HEAD) + 8
        content = memoryview(data)[begin:]
        if data[: len(HEAD)] != HEAD or data[len(HEAD) : begin] != digest(content):
            self.discard(key)
            return None
        return content

    def make(self) -> None:
        """Make the directory. Raises OSError.

        By itself only in a home directory that is there and is ours: root, with somebody else's, would leave directories there
        that he cannot write to. One that was named may be wherever it can be made, and is for others to read.
        """
        system = library.system
        missing = [self.place]
        while True:
            above = os.path.dirname(missing[-1])
            try:
                status = system.stat(above)
                break
            except FileNotFoundError:
                missing.append(above)
        if not self.named and (status.st_uid != system.geteuid() or len(missing) > 2):
            raise OSError("not ours to make")
        for folder in reversed(missing):
            try:
                system.mkdir(folder, 0o755 if self.named and folder is self.place else 0o700)
            except FileExistsError:
                pass  # by another process, this moment

    def mode(self, file: str) -> int:
        """Who may read the entry of a module: whoever can read the module."""
        system = library.system
        try:
            if not system.stat(self.place).st_mode & system.stat(file).st_mode & 0o004:
                return 0o600
            folder = os.path.dirname(file)
            while folder not in self.open:
                if not system.stat(folder).st_mode & 0o001:
                    return 0o600
                if folder == os.path.dirname(folder):
                    break
                folder = os.path.dirname(folder)
        except OSError as error:
            pass_on(error)
            return 0o600
        self.open.add(os.path.dirname(file))
        return 0o644

    def store(self, key: str, content: bytes, file: str) -> None:
        """Keep the entry of the module in `file`; that it cannot be kept is nobody's concern."""
        system = library.system
        path = f"{self.place}/{key}"
        other = f"{path}.{system.getpid()}.{sites.random.getrandbits(32):x}"
        try:
            if not self.writable or library.root() != library.ROOT or _fatal():
                return
            if not self.usable_now():
                if self.usable is False:
                    return
                self.make()
                if not self.usable_now():
                    return
            flags = system.O_WRONLY | system.O_CREAT | system.O_EXCL | system.O_CLOEXEC
            entry = system.open(other, flags, self.mode(file))
        except OSError as error:
            pass_on(error)
            self.writable = False
            return
        try:
            try:
                data = memoryview(HEAD + digest(content) + content)
                while data:
                    data = data[system.write(entry, data) :]
            finally:
                system.close(entry)
            system.replace(other, path)
        except BaseException as error:
            self.writable = False
            try:
                system.unlink(other)
            except OSError:
                pass
            if not isinstance(error, OSError) or from_a_signal(error):
                raise
            return
        self.stored += 1
        if sites.random.random() * LOOK_BYTES < len(content):
            self.shrink(MOST_BYTES)

    def discard(self, key: str) -> None:
        try:
            library.system.unlink(f"{self.place}/{key}")
        except OSError as error:
            pass_on(error)

    def entries(self) -> list[tuple[float, int, str]]:
        """(time of last use, size, name) of everything of ours in the directory; what is half written included."""
        found = []
        try:
            with library.system.scandir(self.place) as listing:
                for entry in listing:
                    name = entry.name
                    if name[32 : 32 + len(SUFFIX)] == SUFFIX and not name[:32].strip("0123456789abcdef"):
                        try:
                            status = entry.stat(follow_symlinks=False)
                        except OSError as error:
                            pass_on(error)
                            continue
                        found.append((status.st_mtime, status.st_size, entry.name))
        except OSError as error:
            pass_on(error)
        return found

    def shrink(self, most: int) -> int:
        """Have the entries take at most nine tenths of `most` bytes where they take more; returns how many went."""
        entries = sorted(self.entries())
        total = sum(size for _, size, _ in entries)
        gone = 0
        old = _Plain.now() - HOUR
        for used, size, name in entries:
            abandoned = not name.endswith(SUFFIX) and used < old
            if abandoned or (total > most and most > 0) or not most:
                self.discard(name)
                gone += 1
                total -= size
                if most and total <= most * 9 // 10:
                    most = sys.maxsize
        return gone


def _trusted(status: os.stat_result) -> bool:
    """Whether nobody but us and root can have written what is there."""
    return status.st_uid in (0, library.system.geteuid()) and not status.st_mode & 0o022


def _fatal() -> bool:
    """Whether the program wants to die of a file that becomes too large; Python itself ignores that signal."""
    number = getattr(_signal, "SIGXFSZ", None)
    return number is not None and _signal.getsignal(number) == _signal.SIG_DFL


class Load:
    """One module's load, by way of the cache: `before` Python reads it, and `after` where it had to."""

    def __init__(self, cache: Cache, weave: Weaver, loader: Any, name: str) -> None:
        self.cache = cache
        self.weave = weave
        self.loader = loader
        self.name = name
        self.file: str = loader.path

    def before(self) -> CodeType | None:
        """The woven code, where there is a `.pyc` Python would take; else None."""
        try:
            if not serves(self.loader):
                return None
            content = self.compiled()
            return None if content is None else self.of_pyc(content)
        except RecursionError:
            return None  # there is no room to say so
        except Exception as error:
            failed(self.name, error)
            return None

    def after(self, code: CodeType) -> CodeType:
        """The woven twin of what Python has compiled just now, and may have written as a `.pyc`."""
        try:
            if serves(self.loader):
                content = self.compiled()
                woven = None if content is None else self.of_pyc(content)
                if woven is None:
                    woven = of_code(self.weave, self.name, self.file, code)
                return woven
        except RecursionError:
            return code
        except Exception as error:
            failed(self.name, error)
        return self.weave.module_code(code, self.name, lambda: None)

    def compiled(self) -> memoryview | None:
        """The code in the `.pyc` that Python would take, None where it would take none. As `SourceLoader.get_code` decides it."""
        loader = self.loader
        try:
            pyc = _external.cache_from_source(self.file)
            stats = loader.path_stats(self.file)
            data = loader.get_data(pyc)
        except (NotImplementedError, OSError) as error:
            pass_on(error)
            return None
        flags = int.from_bytes(data[4:8], "little")
        if len(data) < 16 or data[:4] != _external.MAGIC_NUMBER or flags & ~3:
            return None
        if not flags:
            mtime, size = int(stats["mtime"]) & 0xFFFFFFFF, stats["size"] & 0xFFFFFFFF
            valid = data[8:16] == mtime.to_bytes(4, "little") + size.to_bytes(4, "little")
        else:
            checked = _imp.check_hash_based_pycs
            valid = checked == "never" or (checked != "always" and not flags & 2)
            valid = valid or data[8:16] == digest(loader.get_data(self.file))
        return memoryview(data)[16:] if valid else None

    def of_pyc(self, content: memoryview) -> CodeType | None:
        """The woven twin of what a `.pyc` contains, None where that is not what it should be."""
        cache, weave, name = self.cache, self.weave, self.name
        known = digest(content)
        key = cache.key(weave.plan, name, self.file, "pyc", known)
        woven = from_entry(cache, weave, key, name)
        if woven is not None:
            return woven
        try:
            code = loads(content)
        except (EOFError, TypeError, ValueError):
            return None  # Python will say so
        if type(code) is not CodeType:
            return None
        _imp._fix_co_filename(code, self.file)  # type: ignore[attr-defined]
        left = len(weaver.left_alone)
        woven = weave.module_code(code, name, lambda: None)
        keep(cache, key, name, self.file, woven, left)
        return woven


def failed(name: str, error: Exception) -> None:
    """Our own failure: the module is woven without the cache."""
    if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
        raise error
    notice("cache-failed", f"{name} was woven anew: {type(error).__name__}: {error}")


def from_entry(cache: Cache, weave: Weaver, key: str, name: str, path: str | None = None) -> CodeType | None:
    """A module's woven code from the cache, None where it is not there; `path` as for `pack.unpack`."""
    started = Clock.thread_cpu()
    try:
        packed = cache.load(key)
        if packed is None:
            return None
        count = len(sites.sites)
        try:
            code, left = pack.unpack(packed, weave.plan, name, path)
        except Exception as error:
            weaver.forget(name, count)
            if from_a_signal(error):
                raise
            if not isinstance(error, (MemoryError, RecursionError)):
                cache.discard(key)
            return None
        weaver.left_alone.extend([(name, qualname, reason) for qualname, reason in left])
        weaver.seen[name] = "import"
        cache.hits += 1
        return code
    finally:
        weaver.Cost.cpu_ns += Clock.thread_cpu() - started


def keep(cache: Cache, key: str, name: str, file: str, code: CodeType, left: int, compiled: bool = False) -> None:
    """Store a module that was woven just now; `left` is how many functions were left alone before.

    Not one where something failed: the next time it may not.
    """
    if weaver.seen.get(name) != "import" or name in weaver.unsure:
        return
    started = Clock.thread_cpu()
    try:
        alone = [(qualname, reason) for module, qualname, reason in weaver.left_alone[left:] if module == name]
        packed = pack.pack(code, alone, compiled)
        if packed is not None:
            cache.store(key, packed, file)
    except (MemoryError, RecursionError):
        pass
    except Exception as error:
        failed(name, error)
    finally:
        weaver.Cost.cpu_ns += Clock.thread_cpu() - started


def of_code(
    weave: Weaver,
    name: str,
    file: str,
    code: CodeType,
    finish: Callable[[CodeType], CodeType | None] = lambda woven: woven,
    source: Callable[[], bytes | str | None] = lambda: None,
) -> CodeType:
    """What becomes of code that was compiled just now: a script's, or a module's without a `.pyc`; `code` where nothing does.

    `finish` is done to the woven code, and makes None of what cannot be used. The entry is that of the code, not of the source:
    the program may have put something of its own between the two.
    """
    cache = weave.cache
    key = ""
    if cache is not None:
        try:
            key = cache.key(weave.plan, name, file, finish.__name__, digest(dumps(code, 2)))
            count = len(sites.sites)
            known = from_entry(cache, weave, key, name, code.co_filename)
            if known is not None:
                return known if len(sites.sites) > count else code
        except RecursionError:
            return code
        except Exception as error:
            failed(name, error)
    left = len(weaver.left_alone)
    woven = weave.module_code(code, name, source)
    finished = code if woven is code else finish(woven)
    if finished is None:
        return code
    if cache is not None and key:
        keep(cache, key, name, file, finished, left, True)
    return finished
