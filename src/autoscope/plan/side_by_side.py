"""Work done in processes side by side, which end with the one that started them and leave Ctrl-C to it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

Portion = TypeVar("Portion")
Result = TypeVar("Result")


def side_by_side(
    processes: int,
    work: Callable[[Portion], Result],
    portions: Sequence[Portion],
    begin: Callable[..., object] | None = None,
    given: tuple[Any, ...] = (),
) -> Generator[Result, None, None]:
    """What `work` makes of each portion, in their order; `begin(*given)` is called once in each process.

    To be closed where it is not read to its end: what is not begun by then is not done. Raises what `work` raises, OSError where
    there are no processes to be had, and BrokenProcessPool where one was killed.
    """
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (begin, given))
    try:
        with _without_interrupts():
            results = pool.map(work, portions)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """What is started meanwhile does not hear of Ctrl-C even while it starts; here it is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[..., object] | None, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_with_parent() -> None:
    """Else it would wait for work for ever where that was killed: it holds the other end of its queue, too."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
