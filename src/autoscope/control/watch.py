"""The plan file, followed: what is saved holds within a second.

Looked at by its path, so a file put in its place, a link that leads elsewhere (as a Kubernetes ConfigMap is changed) and one that
is deleted and written again are all seen. What cannot be used is said once, and the plan before it stays in force.
"""

from __future__ import annotations

from autoscope.errors import AutoscopeError, notice
from autoscope.runtime.library import stamp

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class PlanFile:
    """`read` gives the plan there is now, with whatever wins over the file; `adopt` puts it in force.

    `seen`: the file's stamp when the plan in force was read from it.
    """

    def __init__(self, path: str, seen: object, read: Callable[[], Any], adopt: Callable[[Any], None]) -> None:
        self.path = path
        self.read = read
        self.adopt = adopt
        self.seen = seen
        self.said = ""

    def check(self) -> bool:
        """Look once; whether another plan is in force now."""
        now = stamp(self.path)
        if now == self.seen:
            return False
        self.seen = now
        if now is None:
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
