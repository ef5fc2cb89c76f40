"""How long calls took that were not recorded, told by those that were: what a recorded call shows of itself is taken off.

Only where a budget left calls out, and only of functions that usually take less than `SHORT_NS`. Of these a span shows more than the call
took: reading the clock twice takes longer than a small function; the first calls that are looked at after a while take several
times what others do, because nothing is at hand in the processor; and where our own thread had a turn in a call, it shows milliseconds.
So the mean is made of the later calls of each burst, without what an empty call shows in their place, which was measured in the
process; but of calls that took long, of all there are: nothing of this matters to them. Only where they are one or two among hundreds,
they count for nothing. The spans themselves stay as they were measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import NamedTuple

from autoscope.read.runs import probability

SHORT_NS = 20_000
"""Calls that take less are held up by being looked at."""
WARM = 12
"""Of a burst so many calls come first that tell nothing."""
GAP_NS = 200_000
"""A burst is over where no further call was recorded for so long."""
LEAST_WARM = 20
"""Later calls of bursts that must be there; else all are taken."""
SLICE_NS = 20_000_000
"""No longer than this are a program's threads kept from running, by each other or by other programs."""
FEW, LEAST_SHARE = 2, 0.01
"""So few calls that took long, and so small a part of all, are taken for interrupted ones: to tell them from calls that take long, more are needed."""
LEAST_NS = 10.0
"""No call of a Python function takes less."""


class Estimate(NamedTuple):
    """How long the calls of a function took."""

    took_ns: float
    """On average."""
    share: float
    """What the durations of its spans are to be multiplied by to tell that."""


Sample = tuple[int, int, float, int, bool]
"""When a recorded call began, what it took, how many calls it stands for, for how much of it our own thread was at work, and whether calls
below it were recorded, which takes its time too; nanoseconds."""


def estimates(connection: Connection, places: Mapping[int, tuple[str, str, int, str]]) -> dict[int, Estimate]:
    """Site -> how long its calls took, for functions a budget has left calls out of.

    `places`: name, file, line and kind of each site. Told by calls that were chosen among others; of a function of which there are none, by all that were
    recorded, for those that were only counted.
    """
    sites = {place: site for site, place in places.items()}
    told = connection.execute("SELECT value FROM meta WHERE key = 'budget'").fetchone()
    empty = {}
    for name, file, line, kind, shows in (json.loads(told[0]) if told else {}).get("empty", ()):
        site = sites.get((name, file, line, kind))
        if site is not None and kind == "function":
            empty[site] = shows
    if not empty:
        return {}
    chosen: dict[int, list[Sample]] = {site: [] for site in empty}
    others: dict[int, list[Sample]] = {site: [] for site in empty}
    asked = _SAMPLES.format(probability=probability(connection), sites=", ".join(map(str, empty)))
    for site, weight, start, duration, inside, has_below in connection.execute(asked):
        (others if weight is None else chosen)[site].append((start, duration, weight or 1.0, inside, has_below))
    found = {site: estimate(samples, empty[site]) for site, samples in chosen.items() if samples}
    for site, samples in others.items():
        if samples and site not in found:
            # The first calls of a process: some were held up for milliseconds, by imports and by our thread's start.
            usual = percentile(sorted([sample[1] for sample in samples]), 50)
            found[site] = Estimate(min(estimate(samples, empty[site]).took_ns, usual), 1.0)
    return found


_SAMPLES = """
SELECT s.site, 1.0 / {probability}, s.start_ns, s.duration_ns,
    coalesce(json_extract(d.attributes, '$."autoscope.interrupted_ns"'), 0), s.span IN (SELECT parent FROM spans)
FROM spans s LEFT JOIN details d ON d.span = s.span WHERE s.site IN ({sites}) ORDER BY s.start_ns
"""


def estimate(samples: Iterable[Sample], empty: float) -> Estimate:
    """How long the calls of one function take, by these.

    The samples are in order of start; `empty` nanoseconds are what a call shows that does nothing.
    """
    samples = list(samples)
    raw = mean([sample[1:3] for sample in samples])
    alone = [sample for sample in samples if not sample[4]]
    is_alone = 2.0 * sum(sample[2] for sample in alone) > sum(sample[2] for sample in samples)
    middle = percentile(sorted([sample[1] for sample in (alone if is_alone else samples)]), 50)
    if raw <= 0.0 or middle >= SHORT_NS:
        return Estimate(raw, 1.0)
    # After an interruption a program may wait for a processor for as long again: what is left is believed where calls take that long.
    longest = max([sample[1] for sample in samples if not sample[3]], default=0)
    long, short, warm = [], [], []
    place, last = 0, -GAP_NS
    for start, duration, weight, inside, has_below in samples:
        place = place + 1 if start - last < GAP_NS else 0
        last = start + duration
        if has_below and is_alone:
            continue
        if inside:
            duration -= inside
            if duration > longest:
                continue
        if duration >= SHORT_NS:
            long.append((duration, weight))
        else:
            short.append((duration, weight))
            if place >= WARM:
                warm.append((duration, weight))
    if len(long) <= FEW and len(long) < LEAST_SHARE * len(samples) and max(long, default=(0, 0.0))[0] < SLICE_NS:
        long.clear()
    share = sum(weight for _, weight in long) / (sum(weight for _, weight in long + short) or 1.0)
    usual = mean(warm if len(warm) >= LEAST_WARM else short)
    took = max(usual - empty, LEAST_NS) * (1.0 - share) + mean(long) * share
    return Estimate(took, took / raw)


def percentile(ordered: Sequence[int], share: int) -> int:
    """The smallest duration that at least `share` per cent of the calls did not exceed.

    Not by `statistics`, which a traced program would have to load for its summary.
    """
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def mean(weighted: Sequence[tuple[int, float]]) -> float:
    """Of (value, weight)."""
    return sum(value * weight for value, weight in weighted) / (sum(weight for _, weight in weighted) or 1.0)
