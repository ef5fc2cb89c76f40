"""What a traced process answers on its control socket."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from autoscope.control.live import Live, matcher
from autoscope.control.server import LATER
from autoscope.errors import AutoscopeError
from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.runtime.library import system
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Clock, error_of, opened

keep_builtins(globals())

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autoscope.runtime.spans import Record

    Reply = Callable[[Any], None]

PROTOCOL = 1
WATCHED_SECONDS = 5.0
"""So long after it was asked last, what `top` shows is counted."""
MOST_TIMES = 256
"""Durations kept of a function, for percentiles; which, by chance."""
MOST_SNAPSHOTS = 1000
LONGEST_SNAPSHOT_SECONDS = 3600.0


class Seen:
    """What was seen of one function since somebody began to watch."""

    __slots__ = ("calls", "errors", "times", "total_ns")

    def __init__(self) -> None:
        self.calls = self.errors = self.total_ns = 0
        self.times: list[int] = []


class Watch:
    """Counts what passes the drain, for as long as somebody asks."""

    def __init__(self) -> None:
        self.began = self.asked = Clock.monotonic()
        self.seen: dict[Site, Seen] = {}

    def __call__(self, records: Iterable[Record]) -> bool:
        """Whether to go on."""
        seen = self.seen
        for site, _, _, _, start, end, details in records:
            entry = seen.get(site)
            if entry is None:
                entry = seen[site] = Seen()
            entry.calls += 1
            duration = end - start
            entry.total_ns += duration
            if error_of(details):
                entry.errors += 1
            if len(entry.times) < MOST_TIMES:
                entry.times.append(duration)
            else:
                place = int(sites.random.random() * entry.calls)
                if place < MOST_TIMES:
                    entry.times[place] = duration
        return Clock.monotonic() - self.asked < WATCHED_SECONDS


class Snapshot:
    """The next calls of some functions, in full."""

    def __init__(self, matches: Callable[[str], object], calls: int, until: float, done: Callable[[Any], None]) -> None:
        self.matches = matches
        self.left = calls
        self.until = until
        self.done = done
        self.began = Clock.now()
        self.found: list[dict[str, Any]] = []
        self.over = False

    def __call__(self, records: Iterable[Record]) -> bool:
        for site, span, trace, parent, start, end, told in records:
            if self.left and start >= self.began and self.matches(site.name):
                self.left -= 1
                details = opened(told)
                self.found.append(
                    {
                        "name": site.name,
                        "trace_id": f"{trace.trace_id:032x}",
                        "span_id": f"{span:016x}",
                        "parent_id": f"{parent[1]:016x}" if parent else None,
                        "ago_ns": Clock.now() - start,
                        "duration_ns": end - start,
                        "attributes": None if details is None else details.attributes,
                        "error": None
                        if details is None or not details.error_type
                        else [details.error_type, details.error_message],
                    }
                )
        return not self.look()

    def look(self) -> bool:
        """Whether it is over: there were enough, or it took too long. Says so once."""
        if not self.over and (not self.left or Clock.monotonic() > self.until):
            self.over = True
            self.done({"calls": self.found, "missing": self.left})
        return self.over


class Verbs:
    """`running` is a `bootstrap.Running`."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.watching: Watch | None = None
        self.snapshots: list[Snapshot] = []
        self.table: dict[str, Any] = {
            "info": self.info,
            "get": self.get,
            "set": self.set,
            "revert": self.revert,
            "off": self.off,
            "on": self.on,
            "top": self.top,
            "snapshot": self.snapshot,
        }

    @property
    def live(self) -> Live:
        live: Live = self.running.live
        return live

    def tick(self) -> None:
        """A few times a second."""
        if self.snapshots:
            self.snapshots = [snapshot for snapshot in self.snapshots if not snapshot.look()]

    # The verbs. Each is given the request, and what answers later.

    def info(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """Who this is and how it is going."""
        running = self.running
        counts = running.stats()
        steer = running.steer
        return {
            "protocol": PROTOCOL,
            "pid": system.getpid(),
            "ppid": system.getppid(),
            "argv": list(sys.orig_argv),
            "service": os.environ.get("OTEL_SERVICE_NAME", ""),
            "python": sys.version.split()[0],
            "run": running.run_id,
            "plan": running.weave.plan.source,
            "strategy": running.weave.plan.strategy,
            "budget": running.weave.plan.budget_overhead,
            "spending": None if steer is None else steer.measured,
            "seconds": Clock.time() - running.started,
            "off": self.live.is_off,
            "paused": sites.paused > self.live.is_off,
            "changes": self.changes(),
            "stats": counts,
        }

    def changes(self) -> list[dict[str, Any]]:
        now = Clock.monotonic()
        return [
            {
                "number": change.number,
                "target": change.target,
                "level": change.rule.level,
                "rate": change.rule.rate,
                "capture": [*change.rule.capture],
                "seconds_left": None if change.until is None else max(change.until - now, 0.0),
            }
            for change in self.running.weave.changes
        ]

    def get(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """The functions a glob names, and what holds for each."""
        matches = matcher(_text(request, "target", "*"))
        found = [site for site in sites.sites if matches(site.name)]
        return {
            "pid": system.getpid(),
            "off": self.live.is_off,
            "sites": [self.told(site) for site in found],
            "changes": self.changes(),
        }

    def told(self, site: Site) -> dict[str, Any]:
        """What holds for a function, and what the budget has left of it."""
        steer = self.running.steer
        return {**_told(site), "budget": None if steer is None else steer.state_of(site)}

    def set(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """A change; `for`: seconds."""
        number, count = self.live.change(_text(request, "target"), _rule(request), _number(request, "for"))
        return {"pid": system.getpid(), "number": number, "sites": count}

    def revert(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """Changes taken back: one by its number, or all."""
        numbers = [change.number for change in self.running.weave.changes]
        if request.get("number") is not None:
            numbers = [number for number in numbers if number == request["number"]]
        return {"pid": system.getpid(), "reverted": sum(self.live.revert(number) for number in numbers)}

    def off(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        return {"pid": system.getpid(), "functions": self.live.off()}

    def on(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        return {"pid": system.getpid(), "functions": self.live.on()}

    def top(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        """What was seen of each function since the last time this was asked."""
        watching = self.watching
        drain = self.running.drain
        now = Clock.monotonic()
        if watching is None or watching not in drain.taps:
            watching = self.watching = Watch()
            drain.taps.append(watching)
        seen, watching.seen = watching.seen, {}
        seconds, watching.began = now - watching.began, now
        watching.asked = now
        rows = []
        for site, entry in seen.items():
            times = sorted(entry.times)
            rows.append(
                {
                    **self.told(site),
                    "spans": entry.calls,
                    "errors": entry.errors,
                    "total_ns": entry.total_ns,
                    "p50_ns": times[len(times) // 2],
                    "p95_ns": times[min(len(times) * 95 // 100, len(times) - 1)],
                }
            )
        return {**self.info(request, reply), "window_s": seconds, "sites": rows}

    def snapshot(self, request: dict[str, Any], reply: Reply) -> object:
        """The next calls of the functions a glob names, with arguments and results; answered when they were made."""
        from autoscope.plan.model import CapturePatch, FunctionRule

        target = _text(request, "target")
        calls = request.get("calls", 1)
        if type(calls) is not int or not 0 < calls <= MOST_SNAPSHOTS:
            raise AutoscopeError(f"calls={calls!r}: a whole number from 1 to {MOST_SNAPSHOTS}")
        seconds = _number(request, "for") or 60.0
        if not 0.0 < seconds <= LONGEST_SNAPSHOT_SECONDS:
            raise AutoscopeError(f"for={seconds:g}: more than 0, at most {LONGEST_SNAPSHOT_SECONDS:g} seconds")
        rule = FunctionRule("full_trace", 1.0, CapturePatch(True, True, True))
        number, count = self.live.change(target, rule, seconds)
        if not count:
            self.live.revert(number)
            raise AutoscopeError(f"no function is called {target}: `autoscope get {system.getpid()}` lists them")

        def done(answer: dict[str, Any]) -> None:
            self.live.revert(number)
            reply({"pid": system.getpid(), **answer})

        snapshot = Snapshot(matcher(target), calls, Clock.monotonic() + seconds, done)
        self.snapshots.append(snapshot)
        self.running.drain.taps.append(snapshot)
        return LATER


def _told(site: Site) -> dict[str, Any]:
    capture = site.capture
    return {
        "name": site.name,
        "file": site.file,
        "line": site.line,
        "kind": site.kind,
        "level": site.level,
        "rate": site.rate,
        "armed": site.armed,
        "args": capture.args,
        "return": capture.returns,
    }


def _text(request: dict[str, Any], key: str, otherwise: str | None = None) -> str:
    value = request.get(key, otherwise)
    if not isinstance(value, str) or not 0 < len(value) <= 1000:
        raise AutoscopeError(f"{key}: a text is needed")
    return value


def _number(request: dict[str, Any], key: str) -> float | None:
    value = request.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AutoscopeError(f"{key}={value!r}: a number is needed")
    return float(value)


def _rule(request: dict[str, Any]) -> Any:
    """What a request says of functions."""
    from autoscope.plan.model import STATES, CapturePatch, FunctionRule

    level = request.get("level")
    if level is not None and not isinstance(level, str):
        raise AutoscopeError(f"level={level!r}: a text is needed")
    patch = request.get("capture")
    if patch is not None and (not isinstance(patch, list) or len(patch) != 4):
        raise AutoscopeError("capture: a list of four is needed")
    args, returns, exceptions, state = patch or (None,) * 4
    if isinstance(args, list):
        args = tuple(str(name) for name in args)
    if args is not None and not isinstance(args, (bool, tuple)):
        raise AutoscopeError(f"capture.args={args!r}: true, false or names are needed")
    for name, value in (("return", returns), ("exceptions", exceptions)):
        if value is not None and not isinstance(value, bool):
            raise AutoscopeError(f"capture.{name}={value!r}: true or false is needed")
    if state is not None and state not in STATES:
        raise AutoscopeError(f"capture.state={state!r}: it is one of {', '.join(STATES)}")
    rate = _number(request, "rate")
    if (level, rate, args, returns, exceptions, state) == (None,) * 6:
        raise AutoscopeError("nothing to set: rate=, level=, capture.args=, capture.return=, capture.exceptions=")
    return FunctionRule(level, rate, CapturePatch(args, returns, exceptions, state))
