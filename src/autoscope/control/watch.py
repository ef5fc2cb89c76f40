"""The plan file, followed: what is saved holds within a second.

Looked at by its path, so a file put in its place, a link that leads elsewhere (as a Kubernetes ConfigMap is changed) and one that
is deleted and written again are all seen. What cannot be used is said once, and the plan before it stays in force.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from autoscope.errors import AutoscopeError, notice
from autoscope.runtime.library import system

if TYPE_CHECKING:
    from collections.abc import Callable

Stamp = tuple[int, int, int, int] | None


def stamp(path: str) -> Stamp:
    """What changes when the file's content does; None where there is no file."""
    try:
        status = system.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


class PlanFile:
    """`read` gives the plan there is now, with whatever wins over the file; `adopt` puts it in force."""

    def __init__(self, path: str, read: Callable[[], Any], adopt: Callable[[Any], None]) -> None:
        self.path = os.path.abspath(path)
        self.read = read
        self.adopt = adopt
        self.paths: tuple[str, ...] = (self.path,)
        """The file, and those it extends."""
        self.stamps = self.look()
        self.said = ""

    def look(self) -> tuple[Stamp, ...]:
        return tuple(stamp(path) for path in self.paths)

    def check(self) -> bool:
        """Look once; whether another plan is in force now."""
        now = self.look()
        if now == self.stamps:
            return False
        self.stamps = now
        if now[0] is None:
            return False  # deleted: what it said holds until it is there again
        try:
            plan = self.read()
        except AutoscopeError as error:
            if str(error) != self.said:
                self.said = str(error)
                notice("plan-refused", f"the plan in force stays: {error}")
            return False
        self.said = ""
        self.adopt(plan)
        return True
