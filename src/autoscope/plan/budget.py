"""The budget: what a plan will cost, and which of it goes first when it costs too much.

Estimates add up over functions, and the steps do not know the budget: they are worked out in one order, cheapest loss of
insight first, and the first state that fits is the plan. So more budget stops earlier on the same way.

At the end of the way is the declared minimum. In it are watched: what the user and the author decided, just so; and of the other functions that
were chosen, those that strategy `minimal` watches, at `balanced` or below, with no captured values. Of these, entry points (`facts.ENTRIES`)
keep their rate; the rest, error boundaries, have the lowest of `LADDER`, or whichever costs least on the way there. Rates and
captures that the user's plan gives without a level hold throughout.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from autoscope.plan.choose import DETAIL, OFF, Choice, by_strategy, namesakes, nearest
from autoscope.plan.cost import CostTable, Price, among, price, spent
from autoscope.plan.creations import STEPS
from autoscope.plan.facts import ENTRIES, Facts, Function

if TYPE_CHECKING:
    from autoscope.plan.profile import Measured
    from autoscope.plan.score import Priority

LADDER = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Rates that are stepped down."""
SIMPLE = 8
"""Cognitive complexity below which a function is simple: what its arguments were is soon found out."""
OFTEN = 100.0
"""Calls from which on it is frequent."""


@dataclass(frozen=True, slots=True)
class Load:
    """How often functions are called while the plain program uses `cpu_ns` of CPU time."""

    calls: Mapping[int, float]
    """Index in `Facts.functions` -> calls; those that are not in it are not called."""
    cpu_ns: float
    source: str
    """What it is taken from: `the source alone`, or a profile."""
    steps: Mapping[int, float] = field(default_factory=dict)
    """Resumptions for one call of generators and coroutines."""
    roots: frozenset[int] = frozenset()
    """Functions whose calls begin traces."""
    cold: float = 1.0
    """As `Profile.cold`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing given up."""

    what: str
    """`rate`, `capture`, `level`, `drop` or `thin`."""
    index: int
    """Of the function; of `level`, of the first function of the module."""
    before: Choice
    after: Choice
    share: float
    """The estimate with it."""
    parts: tuple[Step, ...] = ()
    """Of `level`: what it meant for each function of the module."""


@dataclass(slots=True)
class Fitted:
    """What came of it."""

    choices: list[Choice]
    steps: list[Step]
    share_before: float
    share: float
    is_minimum: bool
    """Whether nothing was left to give up."""


def static_load(facts: Facts, slow: float = 1.0) -> Load:
    """The load the source alone suggests: frequencies as `link` estimates them. `slow`: `cost.slowness` of the machine."""
    calls: dict[int, float] = {}
    cpu = 0.0
    for index, function in enumerate(facts.functions):
        if function.frequency > 0:
            calls[index] = function.frequency
            cpu += function.frequency * function.work_ns * slow
    return Load(calls, max(cpu, 1.0), "the source alone", roots=roots_of(facts, calls))


def measured_load(
    facts: Facts,
    measured: Mapping[int, Measured],
    cpu_ns: float,
    source: str,
    doubt_ns: float = 0.0,
    slow: float = 1.0,
) -> Load:
    """The load a profile shows. `doubt_ns`: how far `cpu_ns` may be off, a standard error; `slow`: as for `static_load`.

    Where most of the time was the profiler's own, what is left says little: then it counts, too, what the calls come to by their source.
    """
    calls = {}
    for index, found in measured.items():
        # A sampled profile has times alone: calls are what they would be if each took as long as its source suggests.
        count = found.calls or found.own_ns / max(facts.functions[index].work_ns * slow, 1.0)
        if count > 0:
            calls[index] = count
    steps = {
        index: found.steps / found.calls for index, found in measured.items() if found.calls > 0 and found.steps > 0
    }
    work = 0.0
    for index, count in calls.items():
        function = facts.functions[index]
        # By its source a generator goes a usual number of steps.
        gone = measured[index].steps / STEPS[function.kind] if function.kind != "function" else 0.0
        work += max(count, gone) * function.work_ns * slow
    return Load(calls, max(weighed(cpu_ns, doubt_ns, work), 1.0), source, steps, roots_of(facts, calls))


def weighed(measured: float, doubt: float, guess: float) -> float:
    """One figure of two for the same time, each weighed by the factor it may be off by: a guess, by three or so."""
    if doubt <= 0.0 or guess <= 0.0 or measured <= 0.0:
        return measured
    trust = 1.0 / (1.0 + (doubt / measured) ** 2)
    return math.exp(trust * math.log(measured) + (1.0 - trust) * math.log(guess))


def roots_of(facts: Facts, calls: Mapping[int, float]) -> frozenset[int]:
    """Functions above which nothing of the project's runs: entry points; where there are none, what nothing is seen to call."""
    entries = frozenset(index for index in calls if facts.functions[index].role in ENTRIES)
    return entries or frozenset(index for index in calls if not facts.functions[index].callers)


class Estimator:
    """What choices cost, function by function. `traced`: the share of traces recorded."""

    def __init__(self, facts: Facts, load: Load, costs: CostTable, traced: float) -> None:
        self.functions = facts.functions
        self.load = load
        self.costs = costs
        self.traced = traced
        self.prices: dict[tuple[str, float, int, bool, bool], Price] = {}
        """What was asked before: kind, steps, arguments, whether the result and the state are captured -> what a call costs."""

    def of(self, index: int, choice: Choice) -> float:
        """CPU time in nanoseconds that watching one function so takes, for all its calls."""
        calls = self.load.calls.get(index, 0.0)
        if not choice.watched or not calls:
            return 0.0
        function = self.functions[index]
        capture = choice.capture
        asked = capture.args
        arguments = len(function.parameters) if asked is True else len(asked) if asked else 0
        like = (function.kind, self.steps(index, function), arguments, capture.returns, capture.state != "none")
        one = self.prices.get(like)
        if one is None:
            kind, steps, arguments, result, state = like
            one = price(self.costs, kind, steps=steps, arguments=arguments, result=result, state=state)
            self.prices[like] = one
        return spent(one, calls, traced=self.traced, rate=choice.rate, root=index in self.load.roots)

    def steps(self, index: int, function: Function) -> float:
        if function.kind == "function":
            return 0.0
        known = self.load.steps.get(index)
        if known is not None:
            return known
        return STEPS[function.kind]

    def share(self, spent_ns: float) -> float:
        """Of the CPU time of program and tracing together, where nothing else is watched."""
        spent_ns = among(self.costs, spent_ns, self.load.cpu_ns, self.load.cold)
        return spent_ns / (self.load.cpu_ns + spent_ns)

    def total(self, choices: Sequence[Choice]) -> float:
        """Nanoseconds for all of them."""
        return sum(exact(self.of(index, choice)) for index, choice in enumerate(choices)) / EXACT


EXACT = 2.0**64
"""Sums are whole numbers of this part of a nanosecond: steps take costs off again, and nothing must be left of them."""


def exact(cost: float) -> int:
    """A cost as it is summed up."""
    return int(min(cost, 1e150) * EXACT)


def fit(
    facts: Facts,
    choices: Sequence[Choice],
    priorities: Sequence[Priority],
    estimator: Estimator,
    budget: float | None,
    shares: Mapping[int, float] | None = None,
) -> Fitted:
    """Choices within `budget`, a share of CPU time (None: no bound), or the declared minimum. `shares`: as for `choose_all`."""
    if budget is None:
        share = estimator.share(estimator.total(choices))
        return Fitted(list(choices), [], share, share, False)
    fitting = _Fitting(facts, choices, priorities, estimator, shares or {})
    before = fitting.share()
    steps: list[Step] = []
    if before > budget:
        for step in fitting.steps():
            steps.append(step)
            if step.share <= budget:
                break
        else:
            return Fitted(fitting.choices, steps, before, fitting.share(), True)
    return Fitted(fitting.choices, steps, before, fitting.share(), False)


class _Fitting:
    """Choices on their way down. Functions that share a name go together, under the index of the first."""

    def __init__(
        self,
        facts: Facts,
        choices: Sequence[Choice],
        priorities: Sequence[Priority],
        estimator: Estimator,
        shares: Mapping[int, float],
    ) -> None:
        self.facts = facts
        self.choices = list(choices)
        self.priorities = priorities
        self.estimator = estimator
        self.shares = shares
        self.together = {indices[0]: indices for indices in namesakes(facts)}
        followers = {index for indices in self.together.values() for index in indices[1:]}
        self.costs = [0.0 if index in followers else self.cost(index, choice) for index, choice in enumerate(choices)]
        self.sum = sum(map(exact, self.costs))
        self.free = [
            index
            for index, choice in enumerate(self.choices)
            if choice.watched and not choice.fixed and index not in followers
        ]

    def all_of(self, index: int) -> Sequence[int]:
        """A function and those that share its name."""
        return self.together.get(index, (index,))

    def cost(self, index: int, choice: Choice) -> float:
        return sum(self.estimator.of(one, choice) for one in self.all_of(index))

    def share(self) -> float:
        return self.estimator.share(self.sum / EXACT)

    def insight(self, index: int) -> float:
        """How much the function's spans tell; a goal's functions count four times."""
        own = 1.0 + max(self.priorities[one].score for one in self.all_of(index))
        return own * 4.0 if self.choices[index].by == "goal" else own

    def steps(self) -> Iterator[Step]:
        """Everything that can be given up, in order."""
        lesser = [index for index in self.free if not self.is_least(index)]
        low = [index for index in lesser if self.priorities[index].level in ("low", "medium")]
        yield from self.descend(low, self.rate_to(0.1), "rate")
        yield from self.descend([i for i in self.free if self.is_simple(i)], self.without_capture, "capture")
        yield from self.lower_modules()
        yield from self.descend(lesser, self.rate_to(LADDER[-1]), "rate")
        yield from self.descend(lesser, self.dropped, "drop", idle=True)
        yield from self.descend(self.free, self.without_capture, "capture", idle=True)
        thinnable = [i for i in self.free if self.facts.functions[i].role not in ENTRIES]
        yield from self.descend(thinnable, self.rate_to(LADDER[-1]), "thin")

    def is_least(self, index: int) -> bool:
        """Whether it is of the minimal set, which is kept."""
        return any(by_strategy(self.facts.functions[one], "minimal").watched for one in self.all_of(index))

    def is_simple(self, index: int) -> bool:
        """Whether it is called often, and what its arguments were is soon found out."""
        every = self.all_of(index)
        calls = sum(self.estimator.load.calls.get(one, 0.0) for one in every)
        return calls >= OFTEN and all(self.facts.functions[one].cognitive < SIMPLE for one in every)

    def descend(
        self, indices: Sequence[int], lower: Callable[[Choice], Choice | None], what: str, idle: bool = False
    ) -> Iterator[Step]:
        """Lower these one at a time, the most expensive for its insight first, each until it can be lowered no more.

        `idle`: at last also those that cost nothing as far as is known.
        """
        heap = [(-self.costs[index] / self.insight(index), index) for index in indices if self.costs[index] > 0]
        heapq.heapify(heap)
        while heap:
            _, index = heapq.heappop(heap)
            after = self.cheaper(index, lower)
            if after is not None:
                yield self.take(what, index, *after)
                heapq.heappush(heap, (-self.costs[index] / self.insight(index), index))
        for index in indices if idle else ():
            after = self.cheaper(index, lower, as_well=True)
            if after is not None:
                yield self.take(what, index, *after)

    def cheaper(
        self, index: int, lower: Callable[[Choice], Choice | None], as_well: bool = False
    ) -> tuple[Choice, float] | None:
        """The next choice down that costs less, and its cost: drawing numbers may cost more than it saves. `as_well`: or the same."""
        after: Choice | None = self.choices[index]
        while after is not None and after.watched:
            after = lower(after)
            if after is None:
                break
            cost = self.cost(index, after)
            if cost < self.costs[index] or (as_well and cost == self.costs[index]):
                return after, cost
        return None

    def take(self, what: str, index: int, after: Choice, cost: float) -> Step:
        before = self.choices[index]
        for one in self.all_of(index):
            self.choices[one] = after
        self.sum += exact(cost) - exact(self.costs[index])
        self.costs[index] = cost
        return Step(what, index, before, after, self.share())

    @staticmethod
    def rate_to(least: float) -> Callable[[Choice], Choice | None]:
        def lower(choice: Choice) -> Choice | None:
            rate = next((rate for rate in LADDER if rate < choice.rate and rate >= least), None)
            if rate is None or choice.told.rate is not None:
                return None
            return replace(choice, rate=rate, reasons=_and(choice.reasons, "rate lowered for the budget"))

        return lower

    @staticmethod
    def without_capture(choice: Choice) -> Choice | None:
        plain = choice.told.capture.settle()._replace(exceptions=choice.capture.exceptions)
        if choice.capture == plain:
            return None
        level = "balanced" if choice.level == "full_trace" else choice.level
        reasons = _and(choice.reasons, "values not captured for the budget")
        return replace(choice, level=level, capture=plain, reasons=reasons)

    @staticmethod
    def dropped(choice: Choice) -> Choice | None:
        return replace(OFF, reasons=("dropped for the budget", *choice.reasons))

    def lower_modules(self) -> Iterator[Step]:
        """Whole modules, the least telling first, from `full_trace` to `balanced` to `minimal`."""
        free = set(self.free)
        for level in ("balanced", "minimal"):
            names = sorted(self.facts.modules, key=lambda name: (self.worth(name), name))
            for name in names:
                parts = []
                for index in self.facts.modules[name].functions:
                    choice = self.choices[index]
                    if index not in free or choice.by == "goal" or DETAIL[choice.level] <= DETAIL[level]:
                        continue
                    lowered = self.lowered(index, level)
                    cost = self.cost(index, lowered)
                    if cost > self.costs[index]:
                        continue
                    parts.append(self.take("level", index, lowered, cost))
                if parts:
                    yield replace(parts[0], share=self.share(), parts=tuple(parts))

    def lowered(self, index: int, level: str) -> Choice:
        """What a lower level makes of a function, nothing in it closer than now."""
        choice = self.choices[index]
        functions = self.facts.functions
        found = nearest(
            [by_strategy(functions[one], level, self.shares.get(one, 0.0), functions) for one in self.all_of(index)]
        )
        if not found.watched:
            return replace(found, reasons=("dropped for the budget", *found.reasons))
        plain = choice.told.capture.settle()._replace(exceptions=choice.capture.exceptions)
        rate = min(found.rate, choice.rate) if choice.told.rate is None else choice.rate
        reasons = _and(found.reasons, "watched less closely for the budget")
        return replace(found, rate=rate, capture=plain, reasons=reasons, told=choice.told)

    def worth(self, name: str) -> float:
        return max((self.priorities[index].score for index in self.facts.modules[name].functions), default=0.0)


def _and(reasons: tuple[str, ...], reason: str) -> tuple[str, ...]:
    """The reasons with one more, which is there once."""
    return reasons if reason in reasons else (*reasons, reason)
