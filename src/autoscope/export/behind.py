"""An exporter that may have to wait (for the network) moved behind a queue and a thread of its own.

So that the drain, which watches the buffer's length, never waits.
"""

from __future__ import annotations

from _thread import get_native_id
from collections import deque
from typing import Any

from autoscope.errors import notice
from autoscope.ours import keep_builtins
from autoscope.runtime import context

# The locks are those of before the program began: it may put others in their place (gevent).
from autoscope.runtime.drain import (
    Exporter,
    acquire,
    allocate_lock,
    get_ident,
    ours,
    start_thread,
    stay_unknown,
    wait_for_end,
)
from autoscope.runtime.spans import Clock

keep_builtins(globals())


class Behind:
    """Passes records on to `exporter` in another thread; more than `queue` of them waiting are dropped and counted."""

    def __init__(self, exporter: Exporter, queue: int) -> None:
        self.exporter = exporter
        self.queue = queue
        self.chunks: deque[list[Any]] = deque()
        self.waiting = 0
        self.lost = 0
        self.cpu_ns = 0
        self._fresh()

    def _fresh(self) -> None:
        self.idle = allocate_lock()
        """Held while the thread has something to do."""
        self.running = False

    @property
    def exported(self) -> int:
        return self.exporter.exported

    @property
    def dropped(self) -> int:
        return self.exporter.dropped + self.lost

    def export(self, records: list[Any]) -> None:
        room = max(self.queue - self.waiting, 0)
        if len(records) > room:
            self.lost += len(records) - room
            records = records[:room]
        count = len(records)
        if not count:
            return
        self.waiting += count
        self.chunks.append(records)
        if not self.running:
            self.start()

    def start(self) -> None:
        """The thread lives as long as there is work: `fork` and exit have one thing less to stop."""
        if not self.idle.acquire(blocking=False):
            return
        self.running = True
        started = False
        try:
            started = start_thread(self.run)
        finally:
            if not started:
                self.running = False
                self.idle.release()

    native = 0
    """The system's number of the thread."""

    def send(self) -> None:
        """Everything waiting, one chunk after the other."""
        while self.chunks:
            chunk = self.chunks.popleft()
            try:
                self.exporter.export(chunk)
            except Exception as error:
                self.lost += len(chunk)
                notice("export-failed", f"{type(error).__name__}: {error}")
            count = len(chunk)
            self.waiting -= count

    def run(self) -> None:
        stay_unknown()
        started = Clock.thread_cpu()
        self.native = get_native_id()
        # Exporters and processors of the program's may be woven; what they do here is not a trace.
        context.set_current(context.Unsampled())
        try:
            self.send()
        finally:
            self.cpu_ns += Clock.thread_cpu() - started
            self.running = False
            try:
                self.idle.release()
            except RuntimeError:
                pass  # a fork made a new one
            if self.chunks:
                self.start()  # one came in between the last look and here
            ours.discard(get_ident())

    def close(self, deadline_seconds: float) -> None:
        self.hurry(deadline_seconds)
        end = Clock.monotonic() + deadline_seconds
        self.flush(deadline_seconds)
        self.exporter.close(max(end - Clock.monotonic(), 0.1))
        if self.waiting:
            self.lost += self.waiting

    def hurry(self, seconds: float) -> None:
        hurry = getattr(self.exporter, "hurry", None)
        if hurry is not None:
            hurry(seconds)

    def flush(self, seconds: float) -> bool:
        """Have everything waiting sent; False if that took longer."""
        end = Clock.monotonic() + seconds
        while self.waiting and Clock.monotonic() < end:
            if self.chunks and not self.running:
                self.start()
                if not self.running and self.chunks and self.idle.acquire(blocking=False):
                    # No thread is to be had, as when the interpreter is on its way out: it is done here.
                    self.idle.release()
                    self.send()
            if acquire(self.idle, timeout=max(end - Clock.monotonic(), 0.01)):
                self.idle.release()
        return not self.waiting

    def before_fork(self) -> None:
        """Let what is under way finish, if it is quick."""
        if self.running and acquire(self.idle, timeout=0.1):
            self.idle.release()
        if not self.running:
            wait_for_end(self.native)
        settle = getattr(self.exporter, "before_fork", None)
        if settle is not None:
            settle()

    def after_fork(self) -> None:
        self.chunks.clear()
        self.waiting = self.lost = self.cpu_ns = 0
        self._fresh()
        self.exporter.after_fork()
