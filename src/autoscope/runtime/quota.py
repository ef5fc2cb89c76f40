"""A test run's quota: of each function the first calls in a test are recorded, the others only counted.

Every call is counted, in C, by what the function asks for the current span anyway (`Site.get`): a chain of iterators that gives what is
current so many times, and then the mark of a call that is left out, taken from a `repeat` whose length is the count. The first call in
a test puts its function among those that were called, so what a test costs beside its calls is for what it called, not for what is woven.

A function that has had its quota in some tests is known well enough, if it takes no longer than a thousand times what recording it does: of
its calls all are counted only, at a third of the price, and those are looked through after each test.
"""

from __future__ import annotations

from _operator import length_hint, ne, sub
from itertools import chain, compress, count, islice, repeat, starmap
from types import MethodType

from autoscope.ours import keep_builtins
from autoscope.runtime import context, sites
from autoscope.runtime.sites import MANY, Site

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from autoscope.runtime.spans import Record

FIRST = 4
"""Calls of a function that are recorded in each test..."""
TESTS = 12
"""... and of one that takes little time, in so many of the tests that call it."""
FIRST_OF_ALL = 32
"""The first of these where somebody has said how closely functions are watched: then in every test."""
LONG_NS = 500_000
"""Who takes longer on average is recorded in every test."""
LEARNED = 256
"""Recorded calls of a function that are looked at for that."""

_current = starmap(context.get, repeat(()))
"""What is current, each time it is asked."""
_given = dict[object, object]().get
"""(what is not in it, value) -> value: the second of two, in C."""


class Counted:
    """One function."""

    __slots__ = ("before", "get", "known", "number", "site", "tail", "tests", "took", "total")

    def __init__(self, site: Site, number: int) -> None:
        self.site = site
        self.number = number
        """Its place among those that are described."""
        self.tail = repeat(context.THINNED, MANY)
        """Marks of its calls that are not recorded: what is left of them is the count."""
        self.before = MANY
        """What was left when it was last looked at, or came to have no quota."""
        self.get: Callable[[], Any] = self.tail.__next__
        """What its site asks."""
        self.tests = 0
        """Tests in which it was called, as long as it has a quota."""
        self.known = self.took = self.total = 0
        """How many recorded calls were looked at, the nanoseconds they took, and how many calls of tests were only counted, as long as it
        has a quota."""


class Quota:
    """One process's. Used by the thread that runs the tests, but for `learn`."""

    def __init__(self, first: int = FIRST, tests: int | None = TESTS) -> None:
        """The first so many calls of a function, in so many tests; None: in each."""
        self.first = first
        self.tests = tests
        self.resting = False
        """Whether all calls are recorded for now."""
        self.begin()

    def begin(self) -> None:
        """Nothing was counted yet."""
        self.states: dict[Site, Counted] = {}
        """Functions that were called."""
        self.seen = 0
        """Sites there were when it was last looked for new ones."""
        self.called: dict[Counted, Any] = {}
        """Functions with a quota that were called since `take`."""
        self.usual: list[Counted] = []
        """Functions without one, whose calls are all only counted..."""
        self.numbers: list[int] = []
        self.tails: list[Any] = []
        self.hints: list[int] = []
        """... and what was left of each when they were last looked at."""

    def adopt(self) -> None:
        """Give a quota to functions that were woven meanwhile, unless they have a rate of their own."""
        there = len(sites.sites)
        if self.resting or there == self.seen:
            return
        new, self.seen = sites.sites[min(self.seen, there) :], there
        meet = self.meet
        for site in new:
            if site.path == "bytecode" and site.get is context.get:
                site.get = MethodType(meet, site)

    def meet(self, site: Site) -> Any:
        """What a site asks whose function was never called: most never are."""
        state = self.states.get(site)
        if state is None:
            state = self.states[site] = Counted(site, len(self.states))
            self.allow(state)
        return state.get()

    def allow(self, state: Counted) -> None:
        """Its first calls from now on are recorded."""
        first = map(_given, starmap(self.called.setdefault, ((state, context.THINNED),)), _current)
        state.get = state.site.get = chain(first, islice(_current, self.first - 1), state.tail).__next__

    def skip(self) -> None:
        """What was called since this or `take` belongs to nothing that is recorded."""
        if self.called:
            numbered = list(self.states.values())
            for number, calls in self.take(0).items():
                numbered[number].total -= calls
            return
        before, self.hints = self.hints, list(map(length_hint, self.tails))
        if self.hints != before:
            for place in compress(count(), map(ne, self.hints, before)):
                self.usual[place].total -= before[place] - self.hints[place]

    def take(self, tests: int = 1) -> dict[int, int]:
        """How many calls were only counted since this was last called, by the numbers of their functions; `tests`: in how many tests.

        Most functions are called in most tests, so there is no step of the interpreter's for each that has no quota.
        """
        found: dict[int, int] = {}
        called = self.called
        for _ in range(len(called)):
            # One by one: another thread may put more there meanwhile, to be found the next time.
            state = called.popitem()[0]
            if state.site.get is not state.get:
                continue  # somebody has other wishes for it
            left = length_hint(state.tail)
            if left != state.before:
                found[state.number] = calls = state.before - left
                state.total += calls
                state.before = left
            state.tests += tests
            enough = self.tests is not None and state.tests >= self.tests
            if enough and state.known and state.took < state.known * LONG_NS:
                state.get = state.site.get = state.tail.__next__
                self.usual.append(state)
                self.numbers.append(state.number)
                self.tails.append(state.tail)
                self.hints.append(left)
            else:
                self.allow(state)
        before, hints = self.hints, list(map(length_hint, self.tails))
        changed = list(map(ne, hints, before))
        calls_of = compress(map(sub, before, hints), changed)
        found.update(zip(compress(self.numbers, changed), calls_of, strict=True))
        self.hints = hints
        return found

    def learn(self, records: Iterable[Record]) -> None:
        """How long recorded calls took: of records that are handed over."""
        if self.tests is None:
            return  # nobody asks
        states = self.states
        for site, _, _, _, start, end, _ in records:
            state = states.get(site)
            if state is not None and state.known < LEARNED:
                state.known += 1
                state.took += end - start

    def describe(self) -> list[list[Any]]:
        """Module, qualified name, file, line and kind of each function, by its number, and how many of its calls in tests were only counted."""
        left = dict(zip(list(self.usual), self.hints, strict=False))  # in our thread, while another takes
        told = [
            (state.site, state.total + state.before - left.get(state, state.before))
            for state in list(self.states.values())
        ]
        return [[site.module, site.qualname, site.file, site.line, site.kind, total] for site, total in told]

    def rest(self) -> None:
        """Every call is recorded, until `go_on`."""
        self.resting = True
        for site in sites.sites:
            state = self.states.get(site)
            if type(site.get) is MethodType if state is None else site.get is state.get:
                site.get = context.get

    def go_on(self) -> None:
        """As before `rest`; what was called meanwhile took nothing of anybody's quota."""
        self.resting = False
        for state in self.states.values():
            if state.site.get is context.get:
                state.site.get = state.get
        self.seen = 0
        self.adopt()

    def after_fork(self) -> None:
        """In a child, where nobody takes: every call is recorded, and what was counted is the parent's."""
        self.rest()
        self.begin()
