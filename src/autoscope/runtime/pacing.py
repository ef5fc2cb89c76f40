"""Counting calls in C: an iterator in a woven function's way says, call by call, whether this one is looked at, and how many there were.

Woven code asks it with `FOR_ITER` (see `weave.pace`), at a fiftieth of what a recorded call costs. Nothing of it can fail, at the limit of recursion or
without memory either: it is made of C iterators that call nothing and make nothing. It never ends: behind the answers
that were prepared it says no for ever.
"""

from __future__ import annotations

from _operator import call, length_hint
from itertools import chain, repeat

from autoscope.ours import keep_builtins
from autoscope.runtime import context, sites
from autoscope.runtime.sites import MANY

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

MOST_LAID = 20_000
"""Pieces a pacer lays out before another has to take its place: those that are used up take room still."""


class Pace(chain):  # type: ignore[type-arg]
    """What stands in a paced function's constants: gives True for a call that is looked at."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # Who sends functions to other processes sends their constants. What arrives is at its end: the author's body runs.
        return iter, ((),)


IN_SITE = repeat(context.THINNED, MANY).__next__, context.get
"""What is called for no and for yes where a site is asked, of a function that is woven in bytecode; see `Site.get`."""


class Pacer:
    """Prepares a function's answers and counts how many were asked for. Used by one thread at a time.

    Which calls are looked at is drawn: the gaps between them are between none and twice what they are on average, so that they do not
    keep step with the program.
    """

    __slots__ = (
        "_answers",
        "_base",
        "_done",
        "_laid",
        "_looked_at",
        "_rest",
        "_sizes",
        "_source",
        "burst",
        "get",
        "interval",
        "pace",
    )

    def __init__(self, interval: float, ahead: int, burst: int = 1, in_site: tuple[Any, Any] | None = None) -> None:
        """One call in `interval` is looked at, so many at a time (`burst`); so many are prepared (`ahead`), or some more.

        `in_site`: a site is to ask, by `get`, and this is called for a call that is left out and for one that is looked at; so all
        functions that have its code are counted, whoever holds them.
        """
        self._answers: Any = in_site or (False, True)
        self.interval = max(interval, 1.0)
        self.burst = burst
        self._rest = repeat(self._answers[0], MANY)
        self._laid: list[Any] = [self._rest]
        """The answers in the order in which they are given, piece by piece; the last one is never used up."""
        self._sizes: list[int] = []
        """How many are in each, but for the last."""
        self._looked_at = 0
        """Calls to be looked at that were laid out so far."""
        self._base = 0
        """Calls that the pieces took that are used up..."""
        self._done = 0
        """... and how many pieces these are."""
        self._source = iter(self._laid)
        self.prepare(ahead)
        self.pace = Pace.from_iterable(self._source)
        self.get: Any = map(call, self.pace).__next__ if in_site else None
        """What a site asks: what is current, or the mark of a call that is left out."""

    def prepare(self, ahead: int) -> bool:
        """See to it that so many calls are yet to be looked at; False where no further one can be: another pacer is needed."""
        if length_hint(self._rest) < MANY or len(self._laid) > MOST_LAID:
            return False
        burst = self.burst
        missing = -((self.left - ahead) // burst)
        if missing > 0:
            most = 2.0 * (self.interval - 1.0) * burst + 1.0
            draw = sites.random.random
            sizes = []
            for _ in range(missing):
                sizes += [int(draw() * most), burst]
            self._sizes += sizes
            self._looked_at += missing * burst
            self._laid[-1:-1] = [repeat(self._answers[place % 2], size) for place, size in enumerate(sizes)]
        return length_hint(self._rest) == MANY

    @property
    def left(self) -> int:
        """How many calls are yet to be looked at, but for those of a burst that has begun."""
        if length_hint(self._rest) < MANY:
            return 0
        waiting = length_hint(self._source) - 1
        return sum(self._sizes[-1 : -waiting - 1 : -2]) if waiting > 0 else 0

    @property
    def looked_at(self) -> int:
        """How many calls were looked at so far, with all of a burst that has begun."""
        return self._looked_at - self.left

    def count(self) -> int:
        """Calls so far."""
        beyond = MANY - length_hint(self._rest)
        laid, sizes = self._laid, self._sizes
        # What was laid behind the last piece at the moment that was begun is never used.
        begun = len(laid) - length_hint(self._source) - (beyond > 0)
        if begun > self._done + 1:
            # All but the one that is used now; freed, but for their places.
            self._base += sum(sizes[self._done : begun - 1])
            laid[self._done : begun - 1] = [None] * (begun - 1 - self._done)
            self._done = begun - 1
        if begun == self._done:
            return self._base + beyond
        return self._base + sizes[self._done] - length_hint(laid[self._done]) + beyond
