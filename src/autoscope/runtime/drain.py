"""The drain: takes finished calls out of the buffer and hands them to the exporters, in a thread of its own.

The thread is started by the first recorded call, or at once where the rate is 0; else a process that records nothing has none. It is a
bare `_thread`, so `threading.enumerate()`, trace and profile hooks and the wait for threads at exit know nothing of it.
It stops around `fork`, so that no lock of ours is held in a child and `os.fork` finds the threads it would have found.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
import time
from _thread import allocate_lock as allocate_lock
from _thread import get_ident as get_ident
from _thread import get_native_id, start_new_thread

from autoscope.errors import from_a_signal, notice, pass_on
from autoscope.ours import intact, keep_builtins
from autoscope.runtime import context, sites
from autoscope.runtime.library import system
from autoscope.runtime.sites import WIDTH, counters
from autoscope.runtime.spans import Clock

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Exporter(Protocol):
        """Where records go. `export` never raises; what it loses it counts."""

        @property
        def exported(self) -> int: ...
        @property
        def dropped(self) -> int: ...

        def export(self, records: list[Any]) -> None: ...
        def close(self, deadline_seconds: float) -> None: ...
        def after_fork(self) -> None: ...
else:
    Exporter = object


DEFAULT_QUEUE = 1 << 17
"""Records that may wait before the newest are dropped (`OTEL_BSP_MAX_QUEUE_SIZE`)."""
TICK_SECONDS = 0.1
"""The thread looks round at least so often while something is recorded, however seldom it hands records over."""
IDLE_SECONDS = 0.5
"""The same while nothing is."""
FORK_SECONDS = 2.0
"""A fork waits so long at most for a thread of ours to end."""
MOST_SHORT = 100
"""The thread goes on where there was no memory, up to so often."""
CHUNK = 4096
"""Records handed to the exporters at a time; the buffer's length is looked at in between."""


class Drain:
    """One process's drain. `exporters` is asked once, in the drain's thread, when there is something to send."""

    def __init__(
        self,
        make_exporters: Callable[[], list[Exporter]],
        *,
        interval: float = 1.0,
        queue: int = DEFAULT_QUEUE,
        at_start: Callable[[], None] | None = None,
        each_tick: Callable[[], None] | None = None,
        each_second: Callable[[], None] | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.make_exporters = make_exporters
        self.interval = interval
        self.queue = queue
        self.at_start = at_start
        """Called by the thread that records first, when the drain's thread was started."""
        self.each_tick = each_tick
        """Called whenever the drain's thread has woken, at least every `TICK_SECONDS`."""
        self.taps: list[Callable[[Any], bool]] = []
        """Each is shown what is handed over, until it gives False. They wait for it."""
        self.tape: Callable[[Any], bool] | None = None
        """Is shown it too, whenever that is."""
        self.each_second = each_second
        """Called about once a second in the drain's thread."""
        self.at_end = at_end
        """Called in the drain's thread where it is the process's last one."""
        self.late: Any = None
        """A `late.Late`, which says what of the records is sent; None where all are."""
        self.exporters: list[Exporter] | None = None
        self.lock = allocate_lock()
        """Held while records are being handed over."""
        self.bell = allocate_lock()
        """Held while the thread sleeps; released to wake it."""
        self.bell.acquire()
        self.steer: Any = None
        """What keeps to the budget, where there is one: a `budget.Budget`."""
        self.make_steer: Callable[[], Any] | None = None
        """Makes it, in the drain's thread, when that begins."""
        self.running = False
        self.stopping = False
        self.closed = False
        self.gone = allocate_lock()
        """Held for as long as the thread lives."""
        self.drained = 0.0
        """When records were last handed over, by the monotonic clock."""
        self.enough = CHUNK * WIDTH
        """Parts of records in the buffer from which on the thread hands them over, however short a while they have waited."""
        self.cpu_ns = 0
        """CPU time the drain's thread has used..."""
        self.aside_ns = 0
        """... and other threads, handing over because they were told to."""
        self.handed_ns = 0
        """What of both exporting took."""

    # Starting, sleeping, stopping.

    def arm(self) -> None:
        """From now on the first recorded call starts the thread."""
        if not self.closed and not self.frozen:
            sites.switches.append = self.first

    def first(self, record: Any) -> None:
        """Stands in for the buffer's `append` while there is no thread."""
        sites.records.extend(record)
        sites.switches.append = sites.records.extend
        if self.running:
            release(self.bell)
        else:
            self.start()
        if self.at_start is not None and not self.closed:
            self.at_start()

    def start(self) -> None:
        if self.closed or not self.gone.acquire(blocking=False):
            return
        self.running = True
        self.stopping = False
        try:
            started = start_thread(self.run)
        except BaseException:  # out of a signal's handler of the program's
            self.running = False
            release(self.gone)
            self.arm()
            raise
        if not started:  # what is left goes at exit
            self.running = False
            release(self.gone)

    def run(self) -> None:
        stay_unknown()
        # What we call here is not the program's doing; recorded, it would be work for the next round, for ever.
        context.set_current(context.Unsampled())
        self.native = get_native_id()
        try:
            looked = self.drained = ticked = Clock.monotonic()
            if self.make_steer is not None:
                self.steer, self.make_steer = self.make_steer(), None
            elif self.steer is not None:
                self.steer.begin()
            more = rung = False
            short = 0
            while not self.stopping and not self.deserted():
                try:
                    idle = not more and not rung and self.quiet()
                    wait = 0 if more else IDLE_SECONDS if idle else min(self.interval, TICK_SECONDS)
                    if self.steer is not None and not more:
                        # Each waking costs as much as dozens of spans: no oftener than the budget asks for.
                        wait = min(self.steer.due(), TICK_SECONDS if self.busy else IDLE_SECONDS)
                    rung = self.bell.acquire(timeout=wait)
                    if self.stopping:
                        break
                    stay_unknown()
                    if not intact():  # by a test of the program's, which is over by the next time
                        more = False
                        continue
                    now = Clock.monotonic()
                    pause = min(self.interval, TICK_SECONDS) if self.busy else self.interval
                    late = now - self.drained >= pause - TICK_SECONDS / 2 or len(sites.records) >= self.enough
                    if self.steer is not None:
                        self.steer.turn()
                        # What follows takes longer than far too much may be recorded; but the buffer has an end.
                        hurried = self.steer.hurried and len(sites.records) < self.queue * WIDTH // 2
                        if hurried and now - ticked < IDLE_SECONDS:
                            continue
                        late = not hurried and (now - self.drained >= self.steer.rhythm or self.steer.hurried)
                        more = more and not hurried
                    if rung:
                        self.drained = now
                        continue  # the first record in a while: more will come, and whoever made it is not to be disturbed
                    if more or late:
                        self.drained = now
                        more = self.drain()
                    if now - ticked < (TICK_SECONDS / 2 if self.steer is None or self.busy else IDLE_SECONDS * 0.9):
                        continue
                    ticked = now
                    if self.each_tick is not None:
                        self.each_tick()
                    self.cpu_ns = Clock.thread_cpu()
                    if self.each_second is not None and Clock.monotonic() - looked >= 1.0:
                        looked = Clock.monotonic()
                        self.each_second()
                except MemoryError:
                    short += 1  # it may be over by the next time, and what was not taken yet still waits
                    if short > MOST_SHORT:
                        raise
        except Exception as error:
            self.failed(error)
        finally:
            if self.steer is not None:
                self.steer.rest()
            self.running = False
            release(self.gone)
            if self.stopping and not self.forking:
                self.arm()  # asked to end for a fork that is over by now
        if self.deserted() and self.at_end is not None:
            self.at_end()
        ours.discard(get_ident())

    def quiet(self) -> bool:
        """Whether nothing is recorded, and nobody is waiting for anything: then the thread may sleep longer, and is woken."""
        if sites.records or self.busy or self.of_a_thread:
            return False
        if sites.switches.append == sites.records.extend:
            sites.switches.append = self.ring
            return not sites.records  # one may have come before that
        return sites.switches.append in (self.ring, self.first)

    busy = False
    """Somebody waits for what the next look round brings."""

    def ring(self, record: Any) -> None:
        """Stands in for the buffer's `append` while the thread sleeps longer than usual."""
        sites.records.extend(record)
        if sites.switches.append == self.ring:
            sites.switches.append = sites.records.extend
        release(self.bell)

    def deserted(self) -> bool:
        """Whether this process has no thread left but ours.

        A child that another thread than the main one forked ends when that thread returns: no handler of ours is called,
        the system ends the process with its last thread, and that must not be ours.
        """
        return self.of_a_thread and _System.frames().keys() <= ours

    def stop(self, seconds: float) -> bool:
        """Ask the thread to end and wait; False if it is still busy after `seconds`."""
        if not self.running:
            return True
        self.stopping = True
        release(self.bell)
        if acquire(self.gone, timeout=seconds):
            release(self.gone)
            return True
        return False

    # Handing over.

    def drain(self) -> bool:
        """Hand over what is buffered, for a moment; whether much is left. Nothing where another thread is at it."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            # Where there is a budget it says how much is handed over, and what that stands for.
            self._drain(None if self.steer is not None else Clock.monotonic() + TICK_SECONDS)
            return len(sites.records) > CHUNK * WIDTH
        finally:
            self.lock.release()

    def _drain(self, until: float | None = None) -> None:
        """What is buffered now, and no more: other threads may record as fast as this hands over.

        `until`: by the monotonic clock; what takes longer is gone on with when others who wait for our thread were seen to.
        """
        records = sites.records
        began = Clock.now()
        left = len(records)
        if self.steer is not None and left:
            left = self.steer.weigh(records, left)
        while True:
            waiting = min(len(records), left)
            if len(records) > self.queue * WIDTH:
                sites.switches.append = sites.drop
            elif sites.switches.append is sites.drop and not self.frozen and len(records) < self.queue * WIDTH // 2:
                sites.switches.append = records.extend
            if not waiting:
                sites.forget_retired()
                if self.late is not None:
                    self.hand_over(self.late.due(began))
                return
            count = min(waiting, CHUNK * WIDTH)
            chunk: Any = sites.Batch(records[:count])
            del records[:count]
            left -= count
            if self.forked:
                chunk = [record for record in chunk if record[4] >= self.forked]
                if not chunk:
                    continue
            counters.taken += len(chunk)
            if self.tape is not None:
                _shown(self.tape, chunk)
            if self.taps:
                self.taps[:] = [tap for tap in self.taps if _shown(tap, chunk)]
            if self.late is not None:
                chunk = self.late.take(chunk, began)
            self.hand_over(chunk)
            if until is not None and Clock.monotonic() > until:
                return

    def hand_over(self, records: Any) -> None:
        if not records:
            return
        if self.exporters is None:
            self.exporters = self.make_exporters()
        began = Clock.thread_cpu()
        for exporter in self.exporters:
            exporter.export(records)
        self.handed_ns += Clock.thread_cpu() - began

    def catch_up(self, seconds: float) -> bool:
        """Hand over what is buffered now, in the calling thread, and wait for nobody else; False if the lock was not to be had in time."""
        if not acquire(self.lock, timeout=seconds):
            return False
        before = self._take_over()
        try:
            self._drain()
            return True
        finally:
            self.drained = Clock.monotonic()
            self._give_back(*before)

    def flush(self, seconds: float, last: bool = False) -> bool:
        """Hand over what is buffered now, in the calling thread, and have it sent; False if that took too long.

        `last`: the process ends, and no later attempt will be made.
        """
        end = Clock.monotonic() + seconds
        if not acquire(self.lock, timeout=max(seconds, 0)):
            return False
        before = self._take_over()
        try:
            self._drain()
            if self.late is not None:
                self.hand_over(self.late.settle(last))
            if last:
                for hurry in methods(self.exporters, "hurry"):
                    hurry(seconds)
            settled = [settle(max(end - Clock.monotonic(), 0.1)) for settle in methods(self.exporters, "flush")]
            return False not in settled
        except Exception as error:
            if from_a_signal(error):
                raise
            self.failed(error)
            return False
        finally:
            self._give_back(*before)

    def _take_over(self) -> tuple[Any, int]:
        """The calling thread, which holds the lock, hands over from now on; what `_give_back` is to be given."""
        self.owner = get_ident()
        before = context.get(), Clock.thread_cpu()
        context.set_current(context.Unsampled())
        return before

    def _give_back(self, current: Any, started: int) -> None:
        context.set_current(current)
        self.owner = 0
        self.lock.release()
        self.aside_ns += Clock.thread_cpu() - started

    owner = 0
    """The thread that is handing over because it was told to: a signal's handler in it must not wait for it."""
    frozen = False
    forking = False
    native = 0
    """The system's number of our thread."""

    def freeze(self) -> None:
        """Calls that end from now on are counted as dropped, so that what is counted at the end holds."""
        self.frozen = True
        sites.switches.append = sites.drop

    def close(self, seconds: float) -> None:
        """Flush, then let the exporters finish; nothing is recorded afterwards."""
        if self.closed:
            return
        self.closed = True
        sites.switches.append = sites.drop
        end = Clock.monotonic() + seconds
        self.stop(min(seconds, 1.0))
        self.flush(max(end - Clock.monotonic(), 0.1))
        for exporter in self.exporters or ():
            try:
                exporter.close(max(end - Clock.monotonic(), 0.1))
            except Exception as error:
                self.failed(error)

    def failed(self, error: Exception) -> None:
        """Our own failure: nothing more is recorded, the program goes on."""
        if "AUTOSCOPE_STRICT" in os.environ:
            raise error
        for site in sites.sites:
            sites.disarm(site)
        sites.switches.append = sites.drop
        notice("drain-failed", f"tracing stops in this process: {type(error).__name__}: {error}")

    # Fork.

    def before_fork(self) -> None:
        """The thread ends. It is waited for: what it is importing, a child could never import."""
        self.forking = True
        self.interrupted = self.running
        self.in_a_thread = get_native_id() != system.getpid()
        self.stop(FORK_SECONDS)
        for settle in methods(self.exporters, "before_fork"):
            settle()
        wait_for_end(self.native)
        self.locked = acquire(self.lock, timeout=0.2)
        if self.late is not None and self.locked:
            self.late.before_fork()
        if self.steer is not None:
            self.steer.before_fork()

    def after_fork_parent(self) -> None:
        self.forking = False
        if self.locked:
            self.lock.release()
        self.arm()
        if self.interrupted and not fork_counts_threads():
            self.start()  # else by the next record

    def after_fork_child(self) -> None:
        """The child starts with nothing: what was buffered is the parent's to send."""
        self.lock = allocate_lock()
        self.bell = allocate_lock()
        self.bell.acquire()
        self.gone = allocate_lock()
        self.running = self.stopping = self.forking = False
        self.cpu_ns = self.aside_ns = self.handed_ns = self.owner = self.native = 0
        # A call that was open at the fork ends in both processes: the parent records it.
        self.forked = Clock.now()
        self.of_a_thread = self.of_a_thread or self.in_a_thread
        if self.steer is not None:
            self.steer.after_fork()
        ours.clear()
        sites.after_fork()
        if self.late is not None:
            self.late.after_fork()
        for exporter in self.exporters or ():
            exporter.after_fork()
        self.arm()

    interrupted = False
    """Whether the last fork found the thread running."""
    locked = False
    forked = 0
    """In a forked child: when that was."""
    in_a_thread = False
    """Whether a thread other than the main one forked last."""
    of_a_thread = False
    """Whether this process was forked by such a thread."""


def _shown(tap: Callable[[Any], bool], records: Any) -> bool:
    """Whether a tap wants to see more; one that fails does not."""
    try:
        return tap(records)
    except Exception as error:
        if "AUTOSCOPE_STRICT" in os.environ:
            raise
        notice("control-failed", f"somebody who watched is told nothing more: {type(error).__name__}: {error}")
        return False


def methods(exporters: list[Any] | None, name: str) -> list[Any]:
    """This method of those that have it."""
    found = [getattr(exporter, name, None) for exporter in exporters or ()]
    return [method for method in found if method is not None]


class _System:
    """As they were when we were imported: a program may replace or freeze them."""

    sleep = staticmethod(time.sleep)
    stat = staticmethod(system.stat)
    frames = staticmethod(sys._current_frames)
    gettrace = staticmethod(sys.gettrace)
    settrace = staticmethod(sys.settrace)
    getprofile = staticmethod(sys.getprofile)
    setprofile = staticmethod(sys.setprofile)
    signals = frozenset(_signal.valid_signals())
    mask = staticmethod(getattr(_signal, "pthread_sigmask", lambda how, signals: ()))
    block = getattr(_signal, "SIG_BLOCK", 0)
    put_back = getattr(_signal, "SIG_SETMASK", 0)


ours: set[int] = set()
"""Threads of ours that run now."""


def stay_unknown() -> None:
    """Called by a thread of ours as it begins and as it wakes: it is one of `ours`, traced and profiled by nobody, unknown to `threading`.

    A debugger that looks at every thread by what it executes (pydevd, which is debugpy's and PyCharm's) asks `threading` for
    each, which makes it known to `enumerate()`, and all those are stopped at a breakpoint: ours in the middle of an export.
    `threading.settrace_all_threads` and `setprofile_all_threads` do not ask which thread is whose.
    """
    ours.add(get_ident())
    if _System.gettrace() is not None:
        _System.settrace(None)
    if _System.getprofile() is not None:
        _System.setprofile(None)
    threading = sys.modules.get("threading")
    active = getattr(threading, "_active", None)
    if active:
        for ident in tuple(ours):
            active.pop(ident, None)


def start_thread(run: Callable[[], None]) -> bool:
    """Start a thread of ours; False where none is to be had: the interpreter is on its way out, or the system has no more.

    It takes no signals, from its first moment on: one that the program's threads block and wait for would come to it, and
    do what it does by default, end the process.
    """
    held = _System.mask(_System.block, ())
    try:
        _System.mask(_System.block, _System.signals)
        try:
            start_new_thread(run, ())
        except RuntimeError as error:
            pass_on(error)
            return False
        return True
    finally:
        _System.mask(_System.put_back, held)


def wait_for_end(native: int) -> None:
    """Until the system has forgotten a thread that is ending: `fork` asks it for their number, and warns above one."""
    if not native:
        return
    end = Clock.monotonic() + 1.0
    while Clock.monotonic() < end:
        try:
            _System.stat(f"/proc/self/task/{native}")
        except OSError:
            return
        _System.sleep(0.0001)


def fork_counts_threads() -> bool:
    """Whether a thread that is started in a parent after a fork would be warned of: Python counts when our hooks have run.

    From 3.12 on; and where the program has threads itself, it is warned in any case.
    """
    if sys.version_info < (3, 12):
        return False
    try:
        return len(system.listdir("/proc/self/task")) < 2
    except OSError as error:
        pass_on(error)
        return len(_System.frames()) < 2


acquire = type(allocate_lock()).acquire
"""`lock.acquire`, as it was: what looks for blocking calls puts its own into the type, and would find ours at a fork."""


def release(lock: Any) -> None:
    try:
        lock.release()
    except RuntimeError:
        pass  # it was not held
