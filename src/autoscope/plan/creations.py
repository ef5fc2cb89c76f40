"""Calls of generators and coroutines, where a profiler counts resumptions alone.

A profiler sees a generator each time it is resumed, and not when its function is called. But it counts the calls of whoever
calls that function, and the source says how often one call of theirs does so: `calls of the caller x times for each of them`. Where a loop's
length is part of that, plain functions that are called in the same loop tell it, since those are counted; without such a one the
answer is halfway, as factors go, between what the source suggests and what is usual.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoscope.plan.facts import Function
    from autoscope.plan.profile import Measured

STEPS = {"generator": 10.0, "async_generator": 10.0, "coroutine": 2.0}
"""Kind -> resumptions taken for one call, where nothing else is known."""


class Creations:
    """What was measured with calls and steps told apart. `made`: (caller, function) -> calls or resumptions seen."""

    def __init__(
        self, functions: Sequence[Function], measured: Mapping[int, Measured], made: Mapping[tuple[int, int], float]
    ) -> None:
        self.functions = functions
        self.measured = measured
        self.made = made
        self.known: dict[int, float] = {}
        self.asked: set[int] = set()
        self.guessed: set[int] = set()
        """Functions whose calls their callers do not tell, or not well: at least one, at most as many as resumptions."""

    def counted(self) -> dict[int, Measured]:
        """As it was measured, but for generators and coroutines: these were resumed so often, and called less often."""
        return {
            index: replace(of, calls=self.calls(index), steps=of.calls)
            if of.calls and self.functions[index].kind != "function"
            else of
            for index, of in self.measured.items()
        }

    def calls(self, index: int) -> float:
        """How often a function was called."""
        measured = self.measured.get(index)
        if measured is None or not measured.calls:
            return 0.0
        if self.functions[index].kind == "function":
            return measured.calls
        found = self.known.get(index)
        if found is None:
            self.asked.add(index)
            created, sure = self.created(index, measured.calls)
            found = self.known[index] = min(max(1.0, created), measured.calls)
            if not sure and measured.calls > 1.0:
                self.guessed.add(index)
            self.asked.discard(index)
        return found

    def created(self, index: int, resumed: float) -> tuple[float, bool]:
        """The same from its callers, as far as they are known; and whether most of it is."""
        usual = resumed / STEPS[self.functions[index].kind]
        sure = unsure = 0.0
        for caller in self.functions[index].callers:
            if caller in self.asked:
                return usual, False  # it calls itself: what comes from outside says little
            weight = self.functions[caller].callees[index]
            calls = self.calls(caller)
            straight = weight <= 1.0 or not self.functions[caller].loop_depth
            counted = weight if straight else self.in_the_same_loop(caller, weight)
            if counted is not None:
                sure += calls * counted
            else:
                unsure += calls * weight
        whole = sure + unsure
        if not whole:
            return usual, False
        return (math.sqrt(whole * usual), False) if unsure > sure else (whole, True)

    def in_the_same_loop(self, caller: int, weight: float) -> float | None:
        """How often for each call of a function that is done which its source has as often as `weight`; None where nothing tells."""
        calls = self.calls(caller)
        times = [
            self.made[caller, callee] / calls
            for callee, other in self.functions[caller].callees.items()
            if other == weight and (caller, callee) in self.made and self.functions[callee].kind == "function"
        ]
        return statistics.median(times) if times and calls else None
