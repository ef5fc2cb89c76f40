"""A signal that turns everything off and on again, for processes whose socket nobody can reach: only where `AUTOSCOPE_SIGNALS` names one.

The system calls a handler in C, `faulthandler`'s, which writes to a pipe; the drain's thread reads it when it looks round. So no
Python runs between two instructions of the program's, `signal.getsignal` answers what it would without us, system calls go on,
and whoever sets a handler, before us or afterwards, in Python or by `faulthandler`, has it: the signal is theirs from then on.

`faulthandler` does not tell whose file it writes to. So what was registered once stays, and in a forked child another pipe is put
under the same numbers.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os

from autoscope.ours import keep_builtins
from autoscope.runtime.library import library, system
from autoscope.runtime.sigterm import HIGH, caught

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable


class Refused(Exception):
    """The signal cannot be ours; the text says why."""


def number_of(word: str) -> int:
    """The number of a signal's name, `SIGUSR1` or `USR1`. Raises Refused."""
    name = word.upper()
    found = getattr(_signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if not isinstance(found, int) or found not in _signal.valid_signals():
        raise Refused("there is no such signal")
    if found == _signal.SIGTERM:
        raise Refused("it ends the process")
    return int(found)


class Switch:
    """One signal's. `toggle` is called in the drain's thread."""

    def __init__(self, number: int, toggle: Callable[[], None]) -> None:
        self.number = number
        self.toggle = toggle
        self.reader = self.writer = -1
        self.inodes = (0, 0)

    def open(self) -> None:
        """From now on the signal is heard. Raises Refused where somebody has a handler, OSError where there are no descriptors."""
        if _signal.getsignal(self.number) is not _signal.SIG_DFL or caught(self.number):
            raise Refused("the program has a handler for it")
        faulthandler = library("faulthandler")
        self.reader, self.writer = _pipe()
        self.inodes = self.look()
        try:
            faulthandler.register(self.number, file=self.writer, all_threads=False)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise Refused(str(error)) from None

    def close(self) -> None:
        for end in (self.reader, self.writer):
            system.close(end)

    def look(self) -> tuple[int, int]:
        try:
            return system.fstat(self.reader).st_ino, system.fstat(self.writer).st_ino
        except OSError:
            return 0, 0  # the program closed all it found

    def poll(self) -> None:
        """Toggle if the signal has come since the last time, however often."""
        if self.heard():
            self.toggle()

    def heard(self) -> bool:
        if self.look() != self.inodes:
            return False
        came = False
        try:
            while system.read(self.reader, 65536):
                came = True
        except BlockingIOError:
            pass
        return came

    def after_fork_child(self) -> None:
        """The pipe is the parent's: have one of our own where it was."""
        if self.look() != self.inodes:
            return
        try:
            reader, writer = _pipe()
        except OSError:
            return
        for end, number in ((reader, self.reader), (writer, self.writer)):
            system.dup2(end, number, False)
            system.close(end)
        self.inodes = self.look()


def _pipe() -> tuple[int, int]:
    """Both ends, which wait for nobody."""
    fcntl = library("fcntl")
    ends = system.pipe()
    try:
        reader, writer = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, HIGH) for end in ends)
    finally:
        for end in ends:
            system.close(end)
    for end in (reader, writer):
        system.set_blocking(end, False)
    return reader, writer


standing: dict[int, Switch] = {}
"""Signal -> what hears it in this process."""


def switch(word: str, toggle: Callable[[], None]) -> Switch:
    """Have a signal toggle. Raises Refused or OSError."""
    if os.name != "posix":
        raise Refused("there are no signals of this kind")
    number = number_of(word)
    found = standing.get(number)
    if found is None:
        found = Switch(number, toggle)
        found.open()
        standing[number] = found
    found.toggle = toggle
    return found
