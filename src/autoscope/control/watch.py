"""The plan file, followed, and every file it extends: what is saved holds within a second.

Looked at by their paths, so a file put in its place, a link that leads elsewhere (as a Kubernetes ConfigMap is changed) and one that
is deleted and written again are all seen. What cannot be used is said once, and the plan before it stays in force.
"""

from __future__ import annotations

import os

from autoscope.errors import AutoscopeError, PlanError, notice
from autoscope.ours import keep_builtins
from autoscope.runtime.library import stamp

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Stamps = dict[str, object]


def stamps(paths: Iterable[str]) -> Stamps:
    """Each file with its stamp as it is now, None where there is none."""
    return {path: stamp(path) for path in paths}


class PlanFile:
    """`read` gives the plan there is now, with whatever wins over the file; `adopt` puts it in force.

    `seen`: the files, the plan itself first, with their stamps when the plan in force was read from them.
    """

    def __init__(self, seen: Stamps, read: Callable[[], Any], adopt: Callable[[Any], None]) -> None:
        self.path = next(iter(seen))
        self.read = read
        self.adopt = adopt
        self.seen = seen
        self.said = ""

    def check(self) -> bool:
        """Look once; whether another plan is in force now."""
        now = stamps(self.seen)
        changed = [path for path in now if now[path] != self.seen[path]]
        self.seen = now
        if not any(now[path] is not None for path in changed):
            return False  # what is deleted holds until it is there again
        try:
            plan = self.read()
        except AutoscopeError as error:
            # What it was refused for may be mended in a file that it did not extend before.
            self.follow(*(error.extended if isinstance(error, PlanError) else ()), *now)
            if str(error) != self.said:
                self.said = str(error)
                notice("plan-refused", f"the plan in force stays: {error}")
            return False
        self.said = ""
        self.follow(*plan.extended)
        self.adopt(plan)
        return True

    def follow(self, *extended: str) -> None:
        """Follow these besides the plan itself. One that is new is read once more: it may have been saved since it was read."""
        paths = dict.fromkeys((self.path, *map(os.path.abspath, extended)))
        self.seen = {path: self.seen.get(path) for path in paths}
