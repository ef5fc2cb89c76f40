"""The budget: what a plan will cost, and which of it goes first when it costs too much.

Estimates add up over functions, and the steps do not know the budget: they are worked out in one order, cheapest loss of
insight first, and the first state that fits is the plan. So more budget stops earlier on the same way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from autoscope.plan.choose import DETAIL, OFF, Choice, by_strategy, least_reasons
from autoscope.plan.cost import CostTable, price, spent
from autoscope.plan.facts import ENTRIES, Facts, Function
from autoscope.plan.model import Capture

if TYPE_CHECKING:
    from autoscope.plan.profile import Measured
    from autoscope.plan.score import Priority

LADDER = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Rates that are stepped down."""
STEPS_OF_GENERATOR = 10.0
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


@dataclass(slots=True)
class Fitted:
    """What came of it."""

    choices: list[Choice]
    steps: list[Step]
    share_before: float
    share: float
    is_minimum: bool
    """Whether nothing was left to give up."""


def static_load(facts: Facts) -> Load:
    """The load the source alone suggests: frequencies as `link` estimates them."""
    calls: dict[int, float] = {}
    cpu = 0.0
    for index, function in enumerate(facts.functions):
        if function.frequency > 0:
            calls[index] = function.frequency
            cpu += function.frequency * function.work_ns
    return Load(calls, max(cpu, 1.0), "the source alone", roots=roots_of(facts, calls))


def measured_load(facts: Facts, measured: Mapping[int, Measured], cpu_ns: float, source: str) -> Load:
    """The load a profile shows."""
    calls = {}
    for index, found in measured.items():
        # A sampled profile has times alone: calls are what they would be if each took as long as its source suggests.
        count = found.calls or found.own_ns / max(facts.functions[index].work_ns, 1.0)
        if count > 0:
            calls[index] = count
    steps = {
        index: found.steps / found.calls for index, found in measured.items() if found.calls > 0 and found.steps > 0
    }
    return Load(calls, max(cpu_ns, 1.0), source, steps, roots_of(facts, calls))


def roots_of(facts: Facts, calls: Mapping[int, float]) -> frozenset[int]:
    """Functions above which nothing of the project's runs: entry points, and what nothing is seen to call."""
    return frozenset(
        index for index in calls if facts.functions[index].role in ENTRIES or not facts.functions[index].callers
    )


class Estimator:
    """What choices cost, function by function. `traced`: the share of traces recorded."""

    def __init__(self, facts: Facts, load: Load, costs: CostTable, traced: float) -> None:
        self.functions = facts.functions
        self.load = load
        self.costs = costs
        self.traced = traced

    def of(self, index: int, choice: Choice) -> float:
        """CPU time in nanoseconds that watching one function so takes, for all its calls."""
        calls = self.load.calls.get(index, 0.0)
        if not choice.watched or not calls:
            return 0.0
        function = self.functions[index]
        capture = choice.capture
        asked = capture.args
        arguments = len(function.parameters) if asked is True else len(asked) if asked else 0
        one = price(
            self.costs,
            function.kind,
            steps=self.steps(index, function),
            arguments=arguments,
            result=capture.returns,
            state=capture.state != "none",
        )
        return spent(one, calls, traced=self.traced, rate=choice.rate, root=index in self.load.roots)

    def steps(self, index: int, function: Function) -> float:
        if function.kind == "function":
            return 0.0
        known = self.load.steps.get(index)
        if known is not None:
            return known
        return STEPS_OF_GENERATOR if "generator" in function.kind else 2.0

    def share(self, spent_ns: float) -> float:
        """Of the CPU time of program and tracing together."""
        return spent_ns / (self.load.cpu_ns + spent_ns)

    def total(self, choices: Sequence[Choice]) -> float:
        """Nanoseconds for all of them."""
        return sum(self.of(index, choice) for index, choice in enumerate(choices) if choice.watched)


def fit(
    facts: Facts,
    choices: Sequence[Choice],
    priorities: Sequence[Priority],
    estimator: Estimator,
    budget: float | None,
) -> Fitted:
    """Choices within `budget`, a share of CPU time (None: no bound), or the least there is."""
    fitting = _Fitting(facts, choices, priorities, estimator)
    before = fitting.share()
    steps: list[Step] = []
    if budget is not None and before > budget:
        for step in fitting.steps():
            steps.append(step)
            if step.share <= budget:
                break
        else:
            return Fitted(fitting.choices, steps, before, fitting.share(), True)
    return Fitted(fitting.choices, steps, before, fitting.share(), False)


class _Fitting:
    """Choices on their way down."""

    def __init__(
        self, facts: Facts, choices: Sequence[Choice], priorities: Sequence[Priority], estimator: Estimator
    ) -> None:
        self.facts = facts
        self.choices = list(choices)
        self.priorities = priorities
        self.estimator = estimator
        self.costs = [estimator.of(index, choice) for index, choice in enumerate(self.choices)]
        self.sum = sum(self.costs)
        self.free = [index for index, choice in enumerate(self.choices) if choice.watched and not choice.fixed]

    def share(self) -> float:
        return self.estimator.share(max(self.sum, 0.0))

    def insight(self, index: int) -> float:
        """How much the function's spans tell; a goal's functions count four times."""
        own = 1.0 + self.priorities[index].score
        return own * 4.0 if self.choices[index].by == "goal" else own

    def steps(self) -> Iterator[Step]:
        """Everything that can be given up, in order."""
        low = [
            index
            for index in self.free
            if self.priorities[index].level in ("low", "medium") and not self.is_least(index)
        ]
        yield from self.descend(low, self.rate_to(0.1), "rate")
        simple = [
            index
            for index in self.free
            if self.facts.functions[index].cognitive < SIMPLE and self.estimator.load.calls.get(index, 0.0) >= OFTEN
        ]
        yield from self.descend(simple, self.without_capture, "capture")
        yield from self.lower_modules()
        yield from self.descend([i for i in self.free if not self.is_least(i)], self.rate_to(LADDER[-1]), "rate")
        yield from self.descend([i for i in self.free if not self.is_least(i)], self.dropped, "drop")
        yield from self.descend(self.free, self.without_capture, "capture")
        thinnable = [i for i in self.free if self.facts.functions[i].role not in ENTRIES]
        yield from self.descend(thinnable, self.rate_to(LADDER[-1]), "thin")

    def is_least(self, index: int) -> bool:
        """Whether it is of the minimal set, which is kept."""
        return (
            bool(least_reasons(self.facts.functions[index]))
            and by_strategy(self.facts.functions[index], "minimal").watched
        )

    def descend(self, indices: Sequence[int], lower: Callable[[Choice], Choice | None], what: str) -> Iterator[Step]:
        """Lower these one at a time, the most expensive for its insight first, each until it can be lowered no more."""
        heap = [(-self.costs[index] / self.insight(index), index) for index in indices if self.costs[index] > 0]
        heapq.heapify(heap)
        while heap:
            _, index = heapq.heappop(heap)
            before = self.choices[index]
            after = lower(before) if before.watched else None
            if after is None:
                continue
            cost = self.estimator.of(index, after)
            if cost < self.costs[index]:
                yield self.take(what, index, after, cost)
                if after.watched:
                    heapq.heappush(heap, (-cost / self.insight(index), index))
            elif what == "drop":
                continue
        if what == "drop":
            # What is never called costs nothing and tells nothing: it goes with the rest.
            for index in indices:
                if self.choices[index].watched:
                    self.choices[index] = replace(OFF, reasons=("dropped for the budget",))

    def take(self, what: str, index: int, after: Choice, cost: float) -> Step:
        before = self.choices[index]
        self.choices[index] = after
        self.sum += cost - self.costs[index]
        self.costs[index] = cost
        return Step(what, index, before, after, self.share())

    @staticmethod
    def rate_to(least: float) -> Callable[[Choice], Choice | None]:
        def lower(choice: Choice) -> Choice | None:
            rate = next((rate for rate in LADDER if rate < choice.rate and rate >= least), None)
            return None if rate is None else replace(choice, rate=rate)

        return lower

    @staticmethod
    def without_capture(choice: Choice) -> Choice | None:
        plain = Capture(exceptions=choice.capture.exceptions)
        if choice.capture == plain:
            return None
        level = "balanced" if choice.level == "full_trace" else choice.level
        return replace(choice, level=level, capture=plain)

    @staticmethod
    def dropped(choice: Choice) -> Choice | None:
        return replace(OFF, reasons=("dropped for the budget", *choice.reasons))

    def lower_modules(self) -> Iterator[Step]:
        """Whole modules, the least telling first, from `full_trace` to `balanced` to `minimal`."""
        for level in ("balanced", "minimal"):
            names = sorted(self.facts.modules, key=lambda name: (self.worth(name), name))
            for name in names:
                first = None
                for index in self.facts.modules[name].functions:
                    choice = self.choices[index]
                    if choice.fixed or choice.by == "goal" or DETAIL[choice.level] <= DETAIL[level]:
                        continue
                    lowered = by_strategy(self.facts.functions[index], level, 0.0, self.facts.functions)
                    if lowered.watched:
                        lowered = replace(
                            lowered,
                            rate=min(lowered.rate, choice.rate),
                            capture=Capture(exceptions=choice.capture.exceptions),
                        )
                    cost = self.estimator.of(index, lowered)
                    if cost > self.costs[index]:
                        continue
                    step = self.take("level", index, lowered, cost)
                    first = first or step
                if first is not None:
                    yield replace(first, share=self.share())

    def worth(self, name: str) -> float:
        return max((self.priorities[index].score for index in self.facts.modules[name].functions), default=0.0)
