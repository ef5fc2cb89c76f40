"""Short calls, counted in the span above them instead of being sent.

In the order in which calls end, so that a call comes after what it called. Of each call that has not ended a `Fold` says what was
counted below it; it goes with the call's own record: on its span where it is sent, into its caller's where it is folded too.

What cannot vanish is sent, however short: the first call of a trace, one that failed, one below which a span was sent, one
whose id OpenTelemetry code has asked for. A call whose caller's record is gone already, as that of a thread or a task may be, is
sent too; where the caller was folded, under the one it is counted in.
"""

from __future__ import annotations

from autoscope.ours import keep_builtins
from autoscope.runtime.sites import WIDTH, counters, shares
from autoscope.runtime.spans import Folding, Words, error_of, opened, running_of

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.sites import Site
    from autoscope.runtime.spans import Captured, Details

MOST_FUNCTIONS = 100
"""Functions told of under one span; further ones are counted as `OTHERS`."""
OTHERS = "(others)"
REMEMBERED = 16_384
"""Calls that have ended are remembered at least so long, in calls, for what outlives them."""
MOST_OPEN = 16_384
"""Unfinished calls with something folded below them."""
OPEN_NS = 30_000_000_000
"""What is folded below a call that does not end is sent after this time, on one of the folded calls' spans."""
MOST_SHOWN = 65_536

NAMES_KEPT = 1024
_names: dict[tuple[Any, ...], tuple[Words, Words, tuple[Any, ...]]] = {}
"""What is said of the same functions again and again."""

CALLS, TOTAL, LESS, LONGEST, INSIDE = range(5)
"""What is counted of a function: its calls, their durations, what of these was not its own (folded callees', or suspended), the
longest, and the part of the durations that was inside a call of the same function."""


class Fold:
    """What is counted below one call that has not ended."""

    __slots__ = ("counts", "first", "sent", "since")

    counts: dict[Site | None, list[int]] | None
    first: Any
    """The record of a call folded below that called none itself: it is sent after all where this one does not come to tell."""
    sent: bool
    """Whether a span was sent below."""
    since: int

    def __init__(self, since: int) -> None:
        self.counts = self.first = None
        self.sent = False
        self.since = since


class Folder:
    """One process's. One thread at a time."""

    def __init__(self) -> None:
        self.under = 0
        """Nanoseconds below which a call is folded; 0: none is."""
        self.open: dict[int, Fold] = {}
        """By span id, oldest first."""
        self.gone: dict[int, Any] = {}
        """Calls that have ended -> the span they were counted under, None where they were sent."""
        self.gone_before: dict[int, Any] = {}
        self.folding = 0
        """Of these two so many may have folded calls in them, though none is folded any more."""
        self.shown: set[int] = set()
        """Spans of ours that OpenTelemetry code has asked for."""

    def take(self, parts: list[Any], now: int) -> list[Any]:
        """The parts of the records that are sent, in order."""
        under, opened, gone, shown = self.under, self.open, self.gone, self.shown
        if under:
            self.folding = 2
        out: list[Any] = []
        append = out.extend
        folded = 0
        last: Any = out  # nobody's parent
        target: Fold | None = None
        above: Any = None
        entry: Any = None
        counted: Any = None  # whose `entry` is
        again = more = longest = 0  # what is to be added to it
        each = iter(parts)
        for site, span, trace, parent, start, end, details in zip(
            each, each, each, each, each, each, each, strict=True
        ):
            took = end - start
            if (
                parent is last
                and site is counted
                and took < under
                and details is None
                and span not in opened
                and not shown
            ):
                # As the call before it: most of what is folded.
                gone[span] = above
                again += 1
                more += took
                if took > longest:
                    longest = took
                continue
            if again:
                folded += again
                add(entry, again, more, longest)
                again = more = longest = 0
            mine = opened.pop(span, None)
            if mine is not None and mine is target:
                last = out
            if type(parent) is not tuple or not parent:  # it begins here
                gone[span] = None
                append((site, span, trace, parent, start, end, details if mine is None else told(details, mine)))
                continue
            if parent is not last:
                last = parent
                counted = target = None
                above = self.sent_above(parent)
                # Where the caller's record has come already, nothing can be counted in it any more.
                if under and above[1] not in gone and above[1] not in self.gone_before:
                    target = opened.get(above[1])
                    if target is None:
                        target = opened[above[1]] = Fold(now)
            if (
                took >= under
                or target is None
                or (mine is not None and mine.sent)
                or (details is not None and error_of(details))
                or (shown and span in shown)
                or (shares and site in shares)  # it stands for more calls than one
            ):
                if target is not None:
                    target.sent = True
                gone[span] = None
                append((site, span, trace, above, start, end, details if mine is None else told(details, mine)))
                continue
            gone[span] = above
            folded += 1
            counts = target.counts
            if counts is None:
                counts = target.counts = {}
                target.first = (site, span, trace, above, start, end, details)
                if mine is not None and mine.first is not None:
                    target.first = (*mine.first[:3], above, *mine.first[4:])
            less = 0 if details is None else took - running(details, took)
            if mine is not None and mine.counts is not None:
                less += sum([below[TOTAL] - below[LESS] for below in mine.counts.values()])
                merge(counts, mine.counts, site)
            counted = site
            entry = counts.get(site)
            if entry is None:
                if len(counts) >= MOST_FUNCTIONS:
                    site = None
                    entry = counts.get(None)
                if entry is None:
                    entry = counts[site] = [1, took, less, took, 0]
                    continue
            entry[LESS] += less
            add(entry, 1, took, took)
        if again:
            folded += again
            add(entry, again, more, longest)
        counters.folded += folded
        if shown:
            shown.difference_update(parts[1::WIDTH])
        if len(gone) > REMEMBERED:
            self.gone_before, self.gone = gone, {}
            self.folding -= 1
        return out

    def sent_above(self, parent: Any) -> Any:
        """The nearest caller that was sent, or that has not ended."""
        gone, before = self.gone, self.gone_before
        while True:
            above = gone.get(parent[1]) or before.get(parent[1])
            if above is None:
                return parent
            parent = above

    def overdue(self, now: int) -> list[Any]:
        """What is folded below calls that are not likely to end soon, or of which too many have not."""
        opened = self.open
        out: list[Any] = []
        while opened:
            span = next(iter(opened))
            fold = opened[span]
            if now - fold.since < OPEN_NS and len(opened) <= MOST_OPEN:
                break
            del opened[span]
            out += beside(fold)
            if self.under and len(opened) < MOST_OPEN:
                # By now there is a span below it: it must not be folded itself, however long a call may be for that.
                opened[span] = Fold(now)
                opened[span].sent = True
        if len(self.shown) > MOST_SHOWN:
            self.shown.clear()
        return out

    def end(self) -> list[Any]:
        """All of it: no call will end any more."""
        opened, self.open = self.open, {}
        return [part for fold in opened.values() for part in beside(fold)]

    def hold(self, span: int, now: int) -> None:
        """Have a call that has not ended sent: spans of another process name it."""
        if self.under and span not in self.gone and span not in self.gone_before:
            fold = self.open.get(span)
            if fold is None:
                fold = self.open[span] = Fold(now)
            fold.sent = True

    def after_fork(self) -> None:
        """In a new child: what has not ended is the parent's to tell. What it has folded already, calls here may outlive."""
        self.open = {}
        self.shown.clear()


def add(entry: list[int], calls: int, total: int, longest: int) -> None:
    entry[CALLS] += calls
    entry[TOTAL] += total
    if longest > entry[LONGEST]:
        entry[LONGEST] = longest


def running(details: Details | Captured, took: int) -> int:
    """How long a call ran itself, where it was suspended."""
    busy = running_of(details)
    return took if busy is None else min(busy, took)


def merge(counts: dict[Site | None, list[int]], below: dict[Site | None, list[int]], caller: Site) -> None:
    """Add what was counted below a call of `caller` that is folded itself."""
    for site, (calls, total, less, longest, inside) in below.items():
        if site is caller:
            inside = total
        entry = counts.get(site)
        if entry is None and len(counts) >= MOST_FUNCTIONS:
            site = None
            entry = counts.get(None)
        if entry is None:
            counts[site] = [calls, total, less, longest, inside]
            continue
        entry[CALLS] += calls
        entry[TOTAL] += total
        entry[LESS] += less
        entry[LONGEST] = max(entry[LONGEST], longest)
        entry[INSIDE] += inside


def told(details: Details | Captured | None, fold: Fold, is_beside: bool = False) -> Details | Captured | None:
    """A call's details with what is folded below it, or beside it."""
    if not fold.counts:
        return details
    calls, total, less, longest, inside = map(list, zip(*fold.counts.values(), strict=True))
    details = opened(details)
    attributes: dict[str, Any] = {} if details is None or details.attributes is None else {**details.attributes}
    sites = tuple(fold.counts)
    names = _names.get(sites)
    if names is None:
        if len(_names) >= NAMES_KEPT:
            _names.clear()
        names = _names[sites] = (
            Words([OTHERS if site is None else site.name for site in sites]),
            Words([0 if site is None else site.line for site in sites]),
            sites if None not in sites else tuple([site for site in sites if site is not None]),
        )
    attributes["autoscope.folded.functions"], attributes["autoscope.folded.lines"], made_of = names
    attributes["autoscope.folded.calls"] = calls
    attributes["autoscope.folded.total_ns"] = total
    if any(less):
        own = [max(took - others, 0) for took, others in zip(total, less, strict=True)]
        attributes["autoscope.folded.own_ns"] = own
    if longest != total:
        attributes["autoscope.folded.max_ns"] = longest
    if any(inside):
        attributes["autoscope.folded.recursive_ns"] = inside
    if is_beside:
        attributes["autoscope.folded.beside"] = True
    if details is None:
        made = Folding(attributes=attributes)
    else:
        made = Folding(details.error_type, details.error_message, details.exception, attributes)
    made.sites = made_of
    return made


def beside(fold: Fold) -> tuple[Any, ...]:
    """What is folded below a call that is not there to tell: one of those is sent after all, and tells of the others beside it."""
    if fold.first is None or fold.counts is None:
        return ()
    counts = fold.counts
    site, span, trace, parent, start, end, details = fold.first
    took = end - start
    key = site if site in counts else None
    entry = counts[key]
    if entry[CALLS] == 1:
        del counts[key]
    else:
        entry[CALLS] -= 1
        entry[TOTAL] -= took
        entry[LESS] -= 0 if details is None else took - running(details, took)
        entry[INSIDE] = min(entry[INSIDE], entry[TOTAL])
    counters.folded -= 1
    return site, span, trace, parent, start, end, told(details, fold, True)
