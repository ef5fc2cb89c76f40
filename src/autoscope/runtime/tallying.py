"""Sums: what was counted of each function, and how many calls each of its records stands for therefore.

Of functions that are not recorded in full all calls are counted, always or in windows. What was counted is owed, until records are handed
over that stand for it: the reciprocals of their probabilities add up to the calls there were. Who is counted how is `budget`'s.
"""

from __future__ import annotations

from _bisect import bisect_left
from _collections import _count_elements  # type: ignore[import-not-found]

from autoscope.ours import keep_builtins
from autoscope.runtime import sampling, sites
from autoscope.runtime.dealing import DEPTH, EVERY, MOST_SPANS, PACED, PLAIN, WINDOWS, even
from autoscope.runtime.sites import WIDTH, Site, counters
from autoscope.runtime.spans import error_of

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from autoscope.runtime.pacing import Pacer

    Place = tuple[str, str, int, str]
    """A function's name, file, line and kind, by which it is known when its site is gone."""

STEP_SECONDS = 0.2
"""So often it is looked whether the budget is kept, or more seldom."""
WINDOW_NET_NS = 10_000_000
"""In a window calls are counted until the program has used so much CPU time at least..."""
LOOKING = 0.5
"""... and before that looked at, for so much of it."""
PARTS = 2
"""In a window calls of one function in so many are looked at, while the others have their author's code: counted, they would slow
down the calls of them that are part of those looked at."""
IN_WINDOW = PARTS * (1.0 + LOOKING) / LOOKING
"""So many times as many of a function's calls are looked at then."""
BURST = 32
"""Calls of a short function that are looked at one after the other: the first take longer, because nothing is at hand in the processor."""
SHORT_NS = 10_000
"""Who usually takes less, in nanoseconds, is short."""
MOST_CALLERS = 16_384
"""Remembered, twice as many at most, because something below them was handed over."""
MOST_GONE = 16_384
"""The same because they were left out."""
MOST_FORKS = 256
"""Remembered."""
CROWD = 64
"""Records of one function that are handed over at a time, where it was found to be called too often meanwhile."""


class Tally(dict["Site", int] if TYPE_CHECKING else dict):  # type: ignore[misc]
    """How often each site is among some."""

    def __init__(self, found: Iterable[Any] = ()) -> None:
        _count_elements(self, found)

    def __missing__(self, site: Site) -> int:
        return 0

    def add(self, other: Tally) -> None:
        for site, count in other.items():
            self[site] += count


class Past:
    """A state a function was in, of which records are to be handed over yet."""

    __slots__ = ("share", "until", "waiting")

    def __init__(self, waiting: int, share: float | None) -> None:
        self.until = 0
        """Of calls that began before this, by the clock of records; 0: it is not over."""
        self.waiting = waiting
        """As far as they were in the buffer when it ended. What was being called then comes later."""
        self.share = share
        """How probable it was that one is recorded; None: they are like those recorded since, all of them stand for what was counted."""


class Steered:
    """One function the budget knows, whether all of its calls are recorded or not."""

    __slots__ = (
        "begun",
        "calls",
        "capture",
        "counted",
        "functions",
        "looked_at",
        "lost",
        "observed",
        "owed",
        "pacer",
        "past",
        "rate",
        "room_since",
        "seen",
        "silent",
        "state",
        "stepped",
        "stratum",
        "told",
        "typical",
        "waited",
    )

    def __init__(self) -> None:
        self.state = EVERY
        self.rate = 1.0
        """The share of its calls that is looked at, while it is watched."""
        self.told = 1.0
        """The same when it was told last."""
        self.pacer: Pacer | None = None
        self.silent: Pacer | None = None
        """Counts its calls in windows, of which none is looked at then."""
        self.functions: list[Any] = []
        """Weak references to those that have its code."""
        self.lost = False
        """Whether nobody holds them where they are found, or their code cannot be paced: they ask their site instead, each time."""
        self.counted = self.stepped = self.observed = 0
        """What was counted when its calls were owed last, in all at the last step, and when it was last observed."""
        self.looked_at: int | None = None
        """How many of them were looked at when it was last observed; None: it was not, since it has this pacer."""
        self.owed = 0.0
        """Calls, counted or estimated, that no recorded one stands for yet."""
        self.seen = 0
        """Windows of its so far."""
        self.begun = 0
        """Calls its pacers had counted when the last one was opened."""
        self.past: list[Past] = []
        """Of records in the buffer from before its state changed, oldest first."""
        self.calls = 0.0
        """A second of the program's CPU time, of late."""
        self.stratum = 0.0
        """The program's CPU time when a window of its was last closed."""
        self.room_since = 0.0
        """Since when there has been room for more; 0: there is none."""
        self.capture: Any = None
        """What it captures by the plan, while it captures nothing."""
        self.typical = 0.0
        """Nanoseconds a call of its takes, as the recorded ones have it; half of them take less."""
        self.waited = 2 * PARTS
        """Windows since its calls were looked at in one."""

    def ahead(self) -> int:
        """How many calls are to be prepared that are looked at: those of two steps, or of three windows in which they are."""
        if self.state == WINDOWS:
            return int(min(max(4.0, 3.0 * self.looked_at_in_one()), MOST_SPANS))
        return int(min(max(4.0, self.rate * self.calls * 2 * STEP_SECONDS), MOST_SPANS))

    def looked_at_in_one(self) -> float:
        """How many of its calls are to be looked at in a window in which they are."""
        return self.rate * IN_WINDOW * self.calls * WINDOW_NET_NS * LOOKING / 1e9

    def burst(self) -> int:
        """How many calls are looked at one after the other: no more than a window has, or whole windows would go by without one."""
        if self.typical >= SHORT_NS:
            return 1
        if self.state != WINDOWS:
            return BURST
        return int(min(max(self.looked_at_in_one(), 1.0), BURST))

    def in_all(self) -> int:
        """Calls its pacers have counted."""
        return sum([pacer.count() for pacer in (self.pacer, self.silent) if pacer is not None])

    def since_window(self, total: float) -> float:
        """Calls since its last window, as far as is known, when the program has used so much CPU time (`total`)."""
        return self.calls * max(total - self.stratum, 0.0) / 1e9

    def count(self) -> None:
        """What was called since is owed."""
        if self.pacer is not None:
            counted = self.pacer.count()
            self.owed += counted - self.counted
            self.counted = counted


class Sums:
    """What the functions of one process are owed. Used by one thread at a time."""

    def __init__(self) -> None:
        self.active: dict[Site, Steered] = {}
        """Functions whose records may stand for more than one call."""
        self.left: dict[Place, float] = {}
        """Calls for which no record stands, of functions that have other sites by now."""
        self.callers: set[int] = set()
        """Spans that are parents of what was handed over, and have not come yet..."""
        self.callers_before: set[int] = set()
        """... and those before these: most do not come any more, as callers of tasks that outlive them have come already."""
        self.forks: list[int] = []
        """When this process forked, by the clock of records: a child may go on with what was under way, a generator that was suspended."""
        self.gone: dict[int, Any] = {}
        """Of spans that were left out, their parents: what outlives its caller, as generators and tasks do, is below those then..."""
        self.gone_before: dict[int, Any] = {}
        """... and of spans before these."""

    def weigh(
        self,
        records: list[Any],
        length: int,
        there: Tally,
        look_at: Callable[[list[Any], int], None],
        limits: dict[Site, int],
    ) -> int:
        """Say what the records of the buffer's first so many parts stand for (`length`); how many parts of these are left.

        `there`: how many records of each function these are. `look_at` is shown those that are left. `limits`: functions, which are among the
        active ones, of which only so many may be left; see `limits_of`.
        """
        for site, steered in self.active.items():
            if DEPTH[steered.state] > 1 and there[site] > max(CROWD, 4 * steered.ahead(), 4 * steered.burst()):
                limits[site] = min(limits.get(site, CROWD), CROWD)
        before = self.of_before(records, length)
        if limits:
            kept, kept_before = self.shed(records, length, there, limits)
        else:
            kept, kept_before = there, before
            callers = {parent[1] for parent in records[3:length:WIDTH] if parent}
            if not (self.gone.keys().isdisjoint(callers) and self.gone_before.keys().isdisjoint(callers)):
                records[3:length:WIDTH] = [self.there(parent) for parent in records[3:length:WIDTH]]
                callers = {parent[1] for parent in records[3:length:WIDTH] if parent}
            self.callers |= callers
            for some in (self.callers, self.callers_before):
                some.difference_update(records[1:length:WIDTH])
        if len(self.callers) > MOST_CALLERS:
            self.callers_before, self.callers = self.callers, set()
        length = sum(kept.values()) * WIDTH
        if self.active:
            look_at(records, length)
            later = Tally(records[length::WIDTH])
            for site, steered in list(self.active.items()):
                counts = before.get(site, ()), kept_before.get(site, before.get(site, ()))
                self.stand(site, steered, there[site], kept[site], counts, later[site])
        return length

    def of_before(self, records: list[Any], length: int) -> dict[Site, list[int]]:
        """How many of these records are of each past state of their function."""
        found = {site: [0] * len(steered.past) for site, steered in self.active.items() if steered.past}
        if found:
            for site, start in zip(records[:length:WIDTH], records[4:length:WIDTH], strict=True):
                if site in found:
                    self.find_past(site, start, found[site])
        return found

    def find_past(self, site: Site, start: int, counts: list[int]) -> None:
        """Count a call that began then among those of a past state, if it is one of those."""
        for number, past in enumerate(self.active[site].past):
            if start < past.until:
                counts[number] += 1
                return

    def stand(
        self,
        site: Site,
        steered: Steered,
        there: int,
        kept: int,
        of_before: tuple[Sequence[int], Sequence[int]],
        later: int,
    ) -> None:
        """How many calls each of these records of one function stands for: `there` are `kept`, and `later` ones wait still.

        `of_before`: how many there are of each past state, and how many of these are kept.
        """
        for past, here, left in zip(steered.past, *of_before, strict=True):
            # What began in one state and ended in the next was among those waiting when that was over, and is none of its.
            past.waiting = min(max(past.waiting - here, 0), later)
            there -= here
            if past.share is not None:
                kept -= left
                if here and not left:
                    steered.owed += here / past.share
        self.owe(site, steered, there)
        share = 1.0
        is_known = known_share(site, steered) is not None
        if kept > 0:
            # Those that are owed already, because they were counted.
            if is_known:
                waiting = min(later, sum([past.waiting for past in steered.past if past.share is None]))
            else:
                waiting = max(later - sum([past.waiting for past in steered.past if past.share is not None]), 0)
            share = min((kept + waiting) / steered.owed, 1.0) if steered.owed > 0 else 1.0
        before: list[tuple[int, float]] = []
        for past, here, left in zip(steered.past, *of_before, strict=True):
            if past.share is None:
                before.append((past.until, share))
            else:
                before.append((past.until, past.share * left / here if left else past.share))
        # What was being called when the last one ended may come at any time, and must not stand for a thousand calls.
        steered.past = [past for past in steered.past if past.waiting or (past is steered.past[-1] and not is_known)]
        if steered.state in (EVERY, PLAIN) and not steered.past and abs(steered.owed - kept) < 1.0:
            del self.active[site]
            steered.owed = 0.0
            share = sampling.own_share(site)
        else:
            steered.owed -= max(kept, 0) / share
        sites.set_share(site, share, (*before,))

    def owe(self, site: Site, steered: Steered, recorded: int) -> None:
        """Calls that so many records tell of, or that were counted, are owed."""
        share = known_share(site, steered)
        if share is not None:
            steered.owed += recorded / share
        elif steered.state == PACED:
            steered.count()

    def shed(
        self, records: list[Any], length: int, there: Tally, limits: dict[Site, int]
    ) -> tuple[Tally, dict[Site, list[int]]]:
        """Leave out most of what was recorded before a function was found to be called so often: what is handed over costs most.

        Not the callers of what is handed over, or was before: their callees' records come first. What is left, by site, and how many of that
        are of each past state.
        """
        kept: list[Any] = []
        tally, seen = Tally(), Tally()
        needed, needed_before = self.callers, self.callers_before
        before = {site: [0] * len(steered.past) for site, steered in self.active.items() if steered.past}
        each = {site: there[site] // limit + 1 for site, limit in limits.items()}
        columns = [records[part:length:WIDTH] for part in (0, 1, 6)]
        for number, (site, span, details) in enumerate(zip(*columns, strict=True)):
            if span in needed or span in needed_before:
                needed.discard(span)
                needed_before.discard(span)
            elif site in each and (details is None or not error_of(details)):
                seen[site] += 1
                if seen[site] % each[site] and not self.saw_fork(*records[number * WIDTH + 4 : number * WIDTH + 6]):
                    self.gone[span] = records[number * WIDTH + 3]
                    continue
            record = records[number * WIDTH : (number + 1) * WIDTH]
            record[3] = self.there(record[3])
            if record[3]:
                needed.add(record[3][1])
            tally[site] += 1
            if site in before:
                self.find_past(site, record[4], before[site])
            kept += record
        if len(self.gone) > MOST_GONE:
            self.gone_before, self.gone = self.gone, {}
        left_out = (length - len(kept)) // WIDTH
        records[:length] = kept
        counters.left_out += left_out
        counters.taken += left_out
        return tally, before

    def saw_fork(self, start: int, end: int) -> bool:
        """Whether this process forked meanwhile."""
        place = bisect_left(self.forks, start)
        return place < len(self.forks) and self.forks[place] <= end

    def there(self, parent: Any) -> Any:
        """The next of a span's callers that was not left out."""
        while parent and (parent[1] in self.gone or parent[1] in self.gone_before):
            parent = self.gone[parent[1]] if parent[1] in self.gone else self.gone_before[parent[1]]
        return parent

    def end_state(self, site: Site, steered: Steered, waiting: int) -> None:
        """What was called until now is owed in the words of the state it was in; so many records `waiting` are of then or before."""
        self.active[site] = steered
        share = known_share(site, steered)
        self.owe(site, steered, 0)
        waiting = max(waiting - sum([past.waiting for past in steered.past]), 0)
        if share is not None or waiting:
            steered.past.append(Past(waiting, share))

    def drop(self, site: Site, steered: Steered) -> None:
        """Of a function that has another site by now what it is owed remains."""
        if steered.owed >= 1.0:
            place = place_of(site)
            self.left[place] = self.left.get(place, 0.0) + steered.owed
        self.active.pop(site, None)
        sites.set_share(site, 1.0)

    def after_fork(self) -> None:
        """In a child: what the parent counted is the parent's. What it has left out, calls here may outlive."""
        self.left.clear()
        self.callers.clear()
        self.callers_before.clear()
        for steered in self.active.values():
            steered.owed = 0.0
            steered.past.clear()
            if steered.pacer is not None:
                steered.counted = steered.pacer.count()


def limits_of(there: Tally, most: float, exempt: Callable[[Site], object]) -> dict[Site, int]:
    """How many records of which functions may be left, so that of all there are no more than so many, but for callers and errors.

    Functions of which there are few are left alone.
    """
    if sum(there.values()) <= most:
        return {}
    level = max(int(even(list(there.values()), most)), 1)
    return {site: level for site, count in there.items() if count > level and not exempt(site)}


def known_share(site: Site, steered: Steered) -> float | None:
    """How probable it is that a call is recorded now; None where that is found out by counting."""
    return of_all(site.rate, sampling.rate) if steered.state in (EVERY, PLAIN) else None


def in_buffer() -> Tally:
    """Records that wait to be handed over."""
    return Tally(sites.records[::WIDTH])


def place_of(site: Site) -> Place:
    return site.name, site.file, site.line, site.kind


def of_all(*rates: float) -> float:
    """Which part of all calls these leave; where one leaves none there is nothing that could be divided by it."""
    part = 1.0
    for rate in rates:
        part *= rate if rate > 0.0 else 1.0
    return part
