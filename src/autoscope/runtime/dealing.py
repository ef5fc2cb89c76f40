"""What each function may have of a budget: a function of figures alone.

Functions that are called seldom are recorded in full, the others have equally many spans a second. Of those that are called more often, what is
captured is left out first; then some of their calls are recorded; and where even counting them would be too much, they are counted in windows.
"""

from __future__ import annotations

from math import inf

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COUNTING = 0.5
"""Share of what is dealt out that is for counting calls; the rest is for spans."""
WINDOWED = 0.7
"""Share of that which is for windows, where not all can be counted all the time: few windows tell little."""
MOST_SPANS = 1000.0
"""Spans a second of one function that is called more often."""
LEAST_DUTY, MOST_DUTY = 0.002, 0.5
"""How much of the time windows may be open."""

EVERY, PLAIN, PACED, WINDOWS, OFF = "every call", "every call, nothing captured", "paced", "windows", "off"
"""From all of a function's calls to none of them."""
DEPTH = {EVERY: 0, PLAIN: 1, PACED: 2, WINDOWS: 3, OFF: 4}


class Load:
    """What is known of one function when it is dealt out. Figures are per second of the program's own CPU time."""

    __slots__ = ("calls", "captured", "counted", "most", "paceable", "recorded")

    def __init__(
        self,
        calls: float,
        recorded: float,
        counted: float,
        *,
        captured: float = 0.0,
        paceable: bool = True,
        most: float = 1.0,
    ) -> None:
        self.calls = calls
        self.recorded = recorded
        """Nanoseconds a recorded call costs that captures nothing."""
        self.captured = captured
        """What capturing adds."""
        self.counted = counted
        """Nanoseconds a call costs that is not recorded."""
        self.paceable = paceable
        self.most = most
        """The share of its calls that the plan has recorded."""

    def every(self, price: float) -> float:
        """Nanoseconds a second all calls take, as the plan has them recorded."""
        return self.calls * (self.most * price + (1.0 - self.most) * self.counted)


class Share:
    """What one function is dealt."""

    __slots__ = ("duty", "rate", "state")

    def __init__(self, state: str, rate: float = 1.0, duty: float = 1.0) -> None:
        self.state = state
        self.rate = rate
        """The share of calls that is looked at, in windows of those that fall into one."""
        self.duty = duty
        """The share of the time in which they are."""


def deal(loads: Mapping[Any, Load], allowed: float, spans: float = inf) -> dict[Any, Share]:
    """Deal out `allowed` nanoseconds and so many `spans`, a second of the program's CPU time.

    Who is called seldom is recorded in full. The others have equally many spans a second, from what is left; those that
    are called most often are looked at in windows only, for as much of the time as counting them leaves room for.
    """
    dealt: dict[Any, Share] = {}
    counting = allowed * COUNTING
    left = allowed - counting
    # The level rises; at each of these one of them has enough: without what it captures, then with it.
    steps: list[tuple[float, bool, Any, float]] = []
    for key, load in loads.items():
        plain, full = load.every(load.recorded), load.every(load.recorded + load.captured)
        steps.append((plain / load.recorded, False, key, plain))
        steps.append((full / load.recorded, True, key, full - plain))
    steps.sort(key=lambda step: step[:2])
    rising = sum([load.recorded for load in loads.values()])
    filled = 0.0
    most = even([load.calls * load.most for load in loads.values()], spans)
    level = min(MOST_SPANS, most)
    for need, in_full, key, cost in steps:
        load = loads[key]
        slope = 0.0 if in_full else load.recorded
        if filled + cost + (rising - slope) * need > left:
            level = min(level, need, max(left - filled, 0.0) / rising) if rising > 0.0 else level
            break
        if load.calls * load.most > most:
            break
        filled += cost
        rising -= slope
        dealt[key] = Share(EVERY if in_full else PLAIN)
    hot = [key for key in loads if key not in dealt]
    hot.sort(key=lambda key: loads[key].calls * loads[key].counted)
    rest = sum([loads[key].calls * loads[key].counted for key in hot])
    # Not of what is left: then others that need no windows any more would turn off those that do.
    is_hopeless = counting < rest * LEAST_DUTY
    windowed = counting * WINDOWED
    for place, key in enumerate(hot):
        load = loads[key]
        cost = load.calls * load.counted
        if rest > counting and cost > (counting - windowed) * 0.6:
            hot = hot[place:]
            break
        dealt[key] = Share(PACED, min(level / load.calls, load.most))
        counting -= cost
        rest -= cost
    else:
        return dealt
    found = min(counting / rest, MOST_DUTY)
    duty = max(found, LEAST_DUTY)
    for key in hot:
        load = loads[key]
        if is_hopeless and not load.paceable:
            dealt[key] = Share(OFF, 0.0, 0.0)
        else:
            dealt[key] = Share(WINDOWS, min(level / load.calls / duty, load.most), duty)
    return dealt


def even(wanted: list[float], whole: float) -> float:
    """How much each may have at most, so that all have no more than `whole`: who wants less leaves more for others."""
    for place, one in enumerate(sorted(wanted)):
        rest = len(wanted) - place
        if one * rest > whole:
            return whole / rest
        whole -= one
    return inf
