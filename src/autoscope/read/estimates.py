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

Sample = tuple[int, int, float, int, bool]
"""When a recorded call began, what it took, how many calls it stands for, for how much of it our own thread was at work, and whether calls
below it were recorded, which takes its time too; nanoseconds."""


def corrections(connection: Connection, places: Mapping[int, tuple[str, str, int, str]]) -> dict[int, float]:
    """Site -> what the durations of its recorded calls are multiplied by, where that is not 1.

    `places`: name, file, line and kind of each site.
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
    samples: dict[int, list[Sample]] = {site: [] for site in empty}
    column = probability(connection)
    for site, *sample in connection.execute(_SAMPLES.format(probability=column)):
        if site in samples:
            samples[site].append((*sample,))
    return {site: correction(of_site, empty[site]) for site, of_site in samples.items() if of_site}


_SAMPLES = """
SELECT s.site, s.start_ns, s.duration_ns, 1.0 / {probability},
    coalesce(json_extract(d.attributes, '$."autoscope.interrupted_ns"'), 0), s.span IN (SELECT parent FROM spans)
FROM spans s LEFT JOIN details d ON d.span = s.span WHERE {probability} IS NOT NULL ORDER BY s.start_ns
"""


def correction(samples: Iterable[Sample], empty: float) -> float:
    """What durations of these calls of one function are to be multiplied by, so that they tell how long its calls take.

    The samples are in order of start; `empty` nanoseconds are what a call shows that does nothing.
    """
    samples = list(samples)
    raw = mean([sample[1:3] for sample in samples])
    alone = [sample for sample in samples if not sample[4]]
    is_alone = 2.0 * sum(sample[2] for sample in alone) > sum(sample[2] for sample in samples)
    middle = percentile(sorted([sample[1] for sample in (alone if is_alone else samples)]), 50)
    if raw <= 0.0 or middle >= SHORT_NS:
        return 1.0
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
    return took / raw


def percentile(ordered: Sequence[int], share: int) -> int:
    """The smallest duration that at least `share` per cent of the calls did not exceed.

    Not by `statistics`, which a traced program would have to load for its summary.
    """
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def mean(weighted: Sequence[tuple[int, float]]) -> float:
    """Of (value, weight)."""
    return sum(value * weight for value, weight in weighted) / (sum(weight for _, weight in weighted) or 1.0)
