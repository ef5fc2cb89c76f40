"""Where control sockets are: a directory only the user may enter, one socket for each process."""

from __future__ import annotations

import os
import stat

from autoscope.ours import keep_builtins
from autoscope.runtime.library import system

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

LONGEST_PATH = 100
"""Bytes of a socket's path that every system takes."""


def directory(environ: Any, user: int) -> str:
    """The user's directory for control sockets; not yet made.

    `XDG_RUNTIME_DIR` where it is the user's own (XDG Base Directory Specification), else one in `/tmp`.
    """
    base = environ.get("XDG_RUNTIME_DIR") or ""
    if base.startswith("/") and len(os.fsencode(base)) < LONGEST_PATH - 30:
        try:
            status = system.stat(base)
        except OSError:
            pass
        else:
            if status.st_uid == user and not stat.S_IMODE(status.st_mode) & 0o077:
                return f"{base}/autoscope"
    return f"/tmp/autoscope-{user}"


def trusted(path: str, user: int) -> bool:
    """Whether a directory is the user's own, and nobody else may enter it."""
    try:
        status = system.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == user and not stat.S_IMODE(status.st_mode) & 0o077
