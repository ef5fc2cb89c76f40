"""SIGTERM: what is left is flushed before the process dies of it, and it dies whatever its threads are doing.

Nothing is done before something is recorded, nor in a forked child before it records: the system's default holds, which
is to die at once. From then on there is something to lose, and a handler.

The handler is one in Python, which runs between two instructions of Python in the main thread. A process that waits in C
would not end, where by default it does: a pool's worker that is told to end just before it begins to wait for its next
task never would. So the system first calls a handler in C, `faulthandler`'s, which writes to a pipe and then does what the
system did before. A thread of ours reads the pipe, and where Python does not get to its handler, does in its stead.

Only the main thread can set a handler in Python. Where another records first, the thread is all there is.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import signal
from _operator import is_
from _thread import allocate_lock, get_ident, get_native_id
from functools import partial
from itertools import compress
from time import sleep

from autoscope.errors import pass_on
from autoscope.ours import keep_builtins
from autoscope.runtime import context
from autoscope.runtime.drain import FORK_SECONDS, acquire, ours, release, start_thread, stay_unknown, wait_for_end
from autoscope.runtime.library import system

keep_builtins(globals())

try:
    # Now: when something is recorded, Python would look for it where the program's script lies.
    import faulthandler
    import fcntl
except ImportError:  # Windows, which has no signal of this kind
    SUPPORTED = False
else:
    SUPPORTED = True

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

SIGTERM = signal.SIGTERM
HIGH = 200
"""Our descriptors' numbers begin here: the program's files have the numbers they have without us."""
STOP = b"\0"
GRACE_SECONDS = 0.1
"""So long the main thread may take to come back to Python."""
LATEST_SECONDS = 8.0
"""After a SIGTERM the process lives no longer than this, whatever the flush is waiting for."""


class Terminated(int):
    """What Python has as SIGTERM's handler, and at the same time the number 0, which is `SIG_DFL`.

    So `signal.getsignal` and `signal.signal` answer a program that asks what was there before with `Handlers.SIG_DFL`, as
    without us: a program that keeps the default in mind, calls a previous handler if there is one, or puts it back, does
    the same.
    """

    guard: Guard

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.guard.heard = True
        self.guard.terminated()


class Guard:
    """One process's. `terminated` is to flush, and to end the process by `die`; any thread may call it."""

    def __init__(self, terminated: Callable[[], None]) -> None:
        self.terminated = terminated
        self.handler = Terminated(0)
        self.handler.guard = self
        self.heard = False
        """The handler in Python was called."""
        self.wanted = False
        """There is something to lose."""
        self.in_place = False
        self.gone = allocate_lock()
        """Held while the thread runs."""
        self.reader = self.writer = -1
        self.native = 0
        """The system's number of the thread."""
        self.blocked: set[int] = set()
        """Threads that hold SIGTERM back because they are about to fork."""

    def watch(self) -> None:
        """From now on there is something to lose. Does nothing where the program or an extension has a handler."""
        self.wanted = True
        self.follow()
        if self.in_place and self.mine():
            self.start()  # it was stopped for a fork
            return
        if not SUPPORTED or _signal.getsignal(SIGTERM) is not _signal.SIG_DFL or caught():
            return
        if not self.in_place:
            try:
                self.open()
            except OSError as error:
                pass_on(error)
                return  # there are no more descriptors
        if not self.start():
            self.in_place = False
            self.close()
            return
        if self.in_place:  # the program had a handler, and put the default back
            faulthandler.unregister(SIGTERM)
        self.in_place = True
        try:
            # Past `signal.signal`, which would make a plain number of it.
            _signal.signal(SIGTERM, self.handler)
        except ValueError as error:  # not the main thread
            pass_on(error)
            any(map(partial(faulthandler.register, file=self.writer, all_threads=False), self.left_alone()))
        else:
            faulthandler.register(SIGTERM, file=self.writer, all_threads=False, chain=True)

    def follow(self) -> None:
        """Hear of it when the program puts the default back, as a server does that has shut down and raises the signal again.

        `signal.signal` calls `_int_to_enum` when it is done.
        """
        given = getattr(signal, "_int_to_enum", None)
        if self.followed is None and given is not None:
            self.followed = given

            def _int_to_enum(value: Any, enum: Any) -> Any:
                if self.wanted and _signal.getsignal(SIGTERM) is _signal.SIG_DFL:
                    self.watch()
                return given(value, enum)

            signal._int_to_enum = _int_to_enum  # type: ignore[attr-defined]

    followed: Any = None
    """Python's own, where ours stands in for it."""

    def mine(self) -> bool:
        """Whether our handler in Python is the one in force."""
        return _signal.getsignal(SIGTERM) is self.handler

    def left_alone(self) -> Iterator[int]:
        """SIGTERM, or nothing where there is a handler in Python.

        Looking and acting on it are one step of the interpreter's, in C: else the main thread could set a handler in
        between, and we would replace it.
        """
        return compress((SIGTERM,), map(partial(is_, _signal.SIG_DFL), map(_signal.getsignal, (SIGTERM,))))

    def open(self) -> None:
        ends = system.pipe()
        try:
            self.reader, self.writer = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH) for end in ends)
        finally:
            for end in ends:
                system.close(end)
        system.set_blocking(self.writer, False)

    def close(self) -> None:
        for end in (self.reader, self.writer):
            try:
                system.close(end)
            except OSError:
                pass  # the program closed it

    # The thread.

    def start(self) -> bool:
        if not self.gone.acquire(blocking=False):
            return True
        started = False
        try:
            started = start_thread(self.run)
        finally:
            if not started:
                release(self.gone)
        return started

    def run(self) -> None:
        me = get_ident()
        stay_unknown()
        self.native = get_native_id()
        context.set_current(context.Unsampled())
        gone = self.gone
        try:
            said = system.read(self.reader, 1)
        except OSError:
            said = b""
        stay_unknown()
        if not said:
            # The program closed all descriptors it found, and this number may become a file of its own.
            self.in_place = False
            self.unregister()
        release(gone)
        if said and said != STOP:
            if self.mine():
                sleep(GRACE_SECONDS)
            if not self.heard:
                start_thread(self.die_at_the_latest)
                self.terminated()
        ours.discard(me)

    def die_at_the_latest(self) -> None:
        stay_unknown()
        sleep(LATEST_SECONDS)
        self.die()

    def stop(self, seconds: float) -> None:
        """Ask the thread to end, and wait."""
        try:
            system.write(self.writer, STOP)
        except OSError as error:
            pass_on(error)
            return
        if acquire(self.gone, timeout=seconds):
            release(self.gone)
            wait_for_end(self.native)

    def unregister(self) -> None:
        """What the system called before, it calls again: our handler in Python, or nothing."""
        if self.mine():
            faulthandler.unregister(SIGTERM)
        else:
            any(map(faulthandler.unregister, self.left_alone()))

    # Ending.

    def end(self) -> None:
        """Give SIGTERM back."""
        self.wanted = False
        if self.followed is not None:
            signal._int_to_enum, self.followed = self.followed, None  # type: ignore[attr-defined]
        if self.in_place:
            self.in_place = False
            self.stop(1.0)
            self.unregister()
            self.close()
        self.put_back()

    def put_back(self) -> None:
        try:
            if self.mine():
                signal.signal(SIGTERM, signal.SIG_DFL)
        except ValueError as error:
            pass_on(error)
            # Not the main thread: it stays, and does what the default does

    def die(self) -> None:
        """Of the signal, as the program would have. The process is at its end: the signal's number is all that counts."""
        number = SIGTERM
        self.wanted = False
        if self.in_place:
            self.unregister()
        try:
            self.put_back()
            if self.mine():  # and this is not the main thread: Python has no way to set a handler
                from ctypes import pythonapi

                pythonapi.PyOS_setsig(SIGTERM, None)
        except (ImportError, AttributeError):
            number = signal.SIGKILL
        system.kill(system.getpid(), number)

    # Fork.

    def before_fork(self) -> None:
        """A child has our handlers until it has put them back: as long it takes no SIGTERM."""
        if not self.in_place:
            return
        held = _signal.pthread_sigmask(signal.SIG_BLOCK, (SIGTERM,))
        if SIGTERM not in held:
            self.blocked.add(get_ident())
        self.stop(FORK_SECONDS)
        if not self.mine():
            self.in_place = False  # until the next record: nobody would read the pipe
            self.unregister()
            self.close()

    def after_fork_parent(self) -> None:
        self.unblock()

    def after_fork_child(self) -> None:
        self.gone = allocate_lock()
        self.heard = self.wanted = False
        if self.in_place:
            self.in_place = False
            self.unregister()
            self.close()
        self.put_back()
        self.unblock()

    def unblock(self) -> None:
        if get_ident() in self.blocked:
            self.blocked.remove(get_ident())
            _signal.pthread_sigmask(signal.SIG_UNBLOCK, (SIGTERM,))


def caught(number: int = SIGTERM) -> bool:
    """Whether the system calls a handler for a signal: one in C, of an extension's, which Python knows nothing of."""
    try:
        file = system.open("/proc/self/status", os.O_RDONLY)
    except Exception as error:  # whatever an audit hook of the program's raises
        pass_on(error)
        return False  # not Linux
    try:
        text = system.read(file, 8192)
        start = text.index(b"SigCgt:") + 7
        return bool(int(text[start : text.index(b"\n", start)], 16) >> (number - 1) & 1)
    except ValueError as error:
        pass_on(error)
        return False
    finally:
        system.close(file)
