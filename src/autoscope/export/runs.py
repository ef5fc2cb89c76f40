"""Run folders: made, described, and the oldest removed. `store` fills them, `read` reads them.

<store>/.gitignore                      *
<store>/runs/<run id>/run.json          what was started: argv, cwd, time, versions, plan
<store>/runs/<run id>/<pid>-<n>.db      what one process recorded
<store>/runs/<run id>/<pid>-<n>.alive   locked while that process lives
"""

from __future__ import annotations

import os
import time
from stat import S_ISDIR

from autoscope.errors import AutoscopeError
from autoscope.export.plainjson import to_json
from autoscope.ours import keep_builtins
from autoscope.runtime.library import library, system
from autoscope.runtime.spans import Clock, epoch_offset

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any


def new_run_id() -> str:
    """`20261121-053012-4f3a`: UTC, so that names sort as the runs began."""
    suffix: str = system.urandom(2).hex()
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(_now_ns() // 1_000_000_000)) + suffix


def _now_ns() -> int:
    """Unix time; not asked of `time`, which the program may have frozen."""
    return Clock.now() + epoch_offset()


def absolute(path: str) -> str:
    """`path` from the root on, where the working directory is still there."""
    try:
        return os.path.normpath(path if os.path.isabs(path) else os.path.join(system.getcwd(), path))
    except OSError:
        return path


def exists(path: str) -> bool:
    """Whether there is a file."""
    try:
        system.stat(path)
    except OSError:
        return False
    return True


def describe_run() -> dict[str, Any]:
    """What is known of a run without being told: argv, cwd, start time, versions."""
    import sys

    import autoscope

    try:
        cwd = system.getcwd()
    except OSError:
        cwd = ""  # the working directory was removed
    return {
        "argv": list(getattr(sys, "argv", [])),
        "cwd": cwd,
        "started": _now_ns(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "autoscope": autoscope.__version__,
    }


def create_run(directory: str, info: dict[str, Any]) -> str:
    """Make the folder of a new run and write its `run.json`; its id. `info` goes over what `describe_run` finds."""
    try:
        while True:
            run_id = new_run_id()
            folder = os.path.join(_make_store(directory), run_id)
            if _make_private(folder):
                write_json(os.path.join(folder, "run.json"), {**describe_run(), **info})
                return run_id
    except OSError as error:
        raise AutoscopeError(
            f"can't make a run in {directory}: {error.strerror}; name another place with --store DIR or use --no-store"
        ) from error


KEEP_RUNS = 50
KEEP_BYTES = 1_000_000_000
YOUNG_SECONDS = 60
"""A run this young is never removed: its process may not have got as far as opening its file."""


def prune(
    directory: str, keep_runs: int = KEEP_RUNS, keep_bytes: int = KEEP_BYTES, *, current: str = ""
) -> tuple[str, ...]:
    """Remove the oldest runs beyond either limit; the ids of those removed.

    Never `current`, never a run with a living process, never what does not look like a run. Several processes may do
    this at once: a run is renamed before it is emptied, and only one of them can rename it. Raises nothing.
    """
    runs = os.path.join(directory, "runs")
    try:
        names = sorted(system.listdir(runs), reverse=True)
    except OSError:
        return ()
    removed = []
    kept_bytes = kept = 0
    full = False
    for name in names:
        folder = os.path.join(runs, name)
        if name.startswith(".removing-"):
            _remove(folder)  # somebody was stopped in the middle
        elif _is_run_id(name):
            size = _size(folder)
            full = full or kept >= keep_runs or kept_bytes + size > keep_bytes
            if not full or name == current or _is_alive(folder):
                kept += 1
                kept_bytes += size
            elif _retire(runs, name):
                removed.append(name)
    return tuple(removed)


def _is_run_id(name: str) -> bool:
    date, _, rest = name.partition("-")
    clock_time, _, suffix = rest.partition("-")
    digits = date.isdigit() and clock_time.isdigit() and len(date) == 8 and len(clock_time) == 6
    return digits and len(suffix) == 4 and all(char in "0123456789abcdef" for char in suffix)


def _size(folder: str) -> int:
    total = 0
    try:
        with system.scandir(folder) as entries:
            for entry in entries:
                total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass  # it is being removed by somebody else, or written to
    return total


def _is_alive(folder: str) -> bool:
    """Whether one of the run's processes still holds its lock, or the run is too young to tell."""
    try:
        if _now_ns() - system.stat(folder).st_mtime_ns < YOUNG_SECONDS * 1_000_000_000 and not _has_begun(folder):
            return True
        return any(
            name.endswith(".alive") and _is_locked(os.path.join(folder, name)) for name in system.listdir(folder)
        )
    except OSError:
        return False


def _has_begun(folder: str) -> bool:
    return any(name.endswith(".db") for name in system.listdir(folder))


def _is_locked(path: str) -> bool:
    try:
        descriptor = system.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not take_lock(descriptor, wait=False)
    finally:
        system.close(descriptor)


def _retire(runs: str, name: str) -> bool:
    hidden = os.path.join(runs, f".removing-{system.getpid()}-{name}")
    try:
        system.rename(os.path.join(runs, name), hidden)
    except OSError:
        return False
    _remove(hidden)
    return True


def _remove(folder: str) -> None:
    try:
        with system.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    system.unlink(entry.path)
        system.rmdir(folder)
    except OSError:
        pass  # another process removes it too, or may not; the next prune tries again


def take_lock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock is ours now. A file system without locks says yes."""
    fcntl = library("fcntl")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def make_run(directory: str, run_id: str) -> str:
    """The run's folder, made if need be."""
    folder = os.path.join(_make_store(directory), run_id)
    _make_private(folder)
    return folder


def _make_store(directory: str) -> str:
    directory = absolute(directory)
    _make_folders(os.path.dirname(directory))
    if _make_private(directory):  # only in a folder we made: `*` would hide everything in someone else's
        _write(os.path.join(directory, ".gitignore"), "*\n")
    runs = os.path.join(directory, "runs")
    _make_private(runs)
    return runs


def _make_private(folder: str) -> bool:
    """Whether it had to be made. Others may not look in: a trace holds arguments and messages."""
    try:
        system.mkdir(folder, 0o700)
    except FileExistsError:
        if not S_ISDIR(system.stat(folder).st_mode):
            raise
        return False
    return True


def _make_folders(folder: str) -> None:
    if exists(folder) or os.path.dirname(folder) == folder:
        return
    _make_folders(os.path.dirname(folder))
    try:
        system.mkdir(folder, 0o777)
    except FileExistsError:
        pass  # by another process, this moment


def _write(path: str, text: str) -> None:
    """Past `open`, which a program may have replaced by one that only looks like it."""
    descriptor = system.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        data = text.encode("ascii")
        while data:
            data = data[system.write(descriptor, data) :]
    finally:
        system.close(descriptor)


def write_json(path: str, value: Any) -> None:
    """Whole or not at all: a reader may come at any moment."""
    temporary = f"{path}.{system.getpid()}"
    _write(temporary, to_json(value) + "\n")
    system.replace(temporary, path)
