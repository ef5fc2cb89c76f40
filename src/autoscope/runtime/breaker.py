"""The circuit breaker: where the process is in trouble, everything of ours is turned off for a while.

What is trouble is found out by `Troubles`, about once a second in the drain's thread; what is done about it, and how often, is
`Breaker`'s. Only where there is a budget: who gives none has not asked to be watched over.
"""

from __future__ import annotations

from autoscope.errors import notice, pass_on
from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.runtime.library import system
from autoscope.runtime.spans import Clock

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

EXPORT, QUEUE, MEMORY, LAG = "export", "queue", "memory", "lag"
HOLD_SECONDS = {EXPORT: 30.0, QUEUE: 10.0, MEMORY: 5.0, LAG: 10.0}
"""So long each has to last."""
WORDS = {
    EXPORT: "spans have been lost for 30 s because they cannot be exported",
    QUEUE: "more is recorded than can be handed over, for 10 s",
    MEMORY: "memory is nearly used up",
    LAG: "our thread has not been let run in time, for 10 s",
}
COOL_SECONDS = 30.0
"""The first time it is off so long; then twice as long each time."""
MOST_TRIES = 5
"""So often it is turned on again."""
FULL = 0.95
"""Share of the memory there may be from which on it is scarce."""
LATE_SECONDS = 2.0
"""A thread that wants to run once a second and comes so much later has been kept waiting."""
MOST_BYTES = 4096


class Breaker:
    """Closed while all is well. `off` and `on` turn everything off and on again; `tell` is given each change."""

    def __init__(
        self, off: Callable[[], Any], on: Callable[[], Any], tell: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.off = off
        self.on = on
        self.tell = tell
        self.since: dict[str, float] = {}
        """Since when each trouble has lasted."""
        self.is_open = False
        self.until = 0.0
        self.tries = 0

    def look(self, troubles: Iterable[str], now: float) -> None:
        """What is wrong at this moment, by the monotonic clock."""
        if self.is_open:
            if self.tries <= MOST_TRIES and now >= self.until:
                self.is_open = False
                self.since.clear()
                self.on()
                self.say("on", f"after {COOL_SECONDS * 2 ** (self.tries - 1):g} s")
            return
        self.since = {trouble: self.since.get(trouble, now) for trouble in troubles}
        for trouble, since in self.since.items():
            if now - since >= HOLD_SECONDS[trouble]:
                self.trip(WORDS[trouble], now)
                return

    def trip(self, why: str, now: float) -> None:
        self.is_open = True
        self.tries += 1
        self.until = now + COOL_SECONDS * 2 ** (self.tries - 1)
        self.off()
        if self.tries > MOST_TRIES:
            notice("circuit-stays-open", f"tracing stays off in this process: {why}; it was tried {MOST_TRIES} times")
        elif self.tries == 1:
            notice("circuit-open", f"tracing is off for {COOL_SECONDS:g} s: {why}")
        self.say("off", why)

    def say(self, state: str, why: str) -> None:
        if self.tell is not None:
            before = "on" if state == "off" else "off"
            self.tell({"site": "everything", "from": before, "to": state, "why": why})


class Troubles:
    """Finds out what is wrong. `counts` gives how many spans were exported and lost so far."""

    def __init__(self, counts: Callable[[], tuple[int, int]]) -> None:
        self.counts = counts
        self.exported, self.lost = counts()
        self.at = Clock.monotonic()
        self.limit = memory_limit()

    def now(self) -> list[str]:
        """What is wrong since it was asked last."""
        found = []
        exported, lost = self.counts()
        if lost > self.lost and exported == self.exported:
            found.append(EXPORT)
        elif lost == self.lost and exported == self.exported and self.losing:
            found.append(EXPORT)  # nothing was tried: no sign that it works again
        self.losing = EXPORT in found
        self.exported, self.lost = exported, lost
        if sites.switches.append is sites.drop:
            found.append(QUEUE)
        self.looks += 1
        if self.limit and (self.scarce or self.looks % 4 == 1):
            self.scarce = memory_used() > self.limit * FULL
            if self.scarce:
                found.append(MEMORY)
        now = Clock.monotonic()
        if now - self.at > 1.0 + LATE_SECONDS:
            found.append(LAG)
        self.at = now
        return found

    losing = scarce = False
    looks = 0


def memory_limit() -> int:
    """Bytes this process's group may use; 0: nobody says."""
    return _number("/sys/fs/cgroup/memory.max") or _number("/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_used() -> int:
    """Bytes it uses, without what can be given back at once."""
    used = _number("/sys/fs/cgroup/memory.current") or _number("/sys/fs/cgroup/memory/memory.usage_in_bytes")
    return max(used - _cache(), 0)


def _cache() -> int:
    text = _read("/sys/fs/cgroup/memory.stat") or _read("/sys/fs/cgroup/memory/memory.stat")
    fields = dict([line.split(b" ", 1) for line in text.splitlines() if line.count(b" ") == 1])
    return sum([int(fields.get(name, b"0")) for name in (b"inactive_file",)])


def _number(path: str) -> int:
    try:
        value = int(_read(path))
    except ValueError:
        return 0  # "max"
    return value if value < 1 << 60 else 0


def _read(path: str) -> bytes:
    try:
        descriptor = system.open(path, system.O_RDONLY | system.O_CLOEXEC)
    except OSError as error:
        pass_on(error)
        return b""
    try:
        found: bytes = system.read(descriptor, MOST_BYTES)
        return found
    except OSError as error:
        pass_on(error)
        return b""
    finally:
        system.close(descriptor)
