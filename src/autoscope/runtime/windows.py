"""Windows: functions that are too dear to be counted all the time have their author's code, and are counted for some milliseconds now and then.

A few of them at a time, in turns: with other code a function starts anew with cold caches, its callers' too, and what is counted while all
of a program's hot functions do is another program, of a half or a third of its speed. Each window stands for the program's CPU time since
the function's window before (a stratum), so that the moments, which are drawn, need not be equally far apart.
"""

from __future__ import annotations

from _operator import attrgetter
from _thread import get_ident

from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.runtime.dealing import MOST_DUTY, PACED, WINDOWS
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Clock
from autoscope.runtime.tallying import LOOKING, PARTS, WINDOW_NET_NS, Steered

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from autoscope.runtime.budget import Budget
    from autoscope.runtime.pacing import Pacer

SHARE = 0.25
"""Of the budget, that windows may take beside what is counted in them."""
LEAST_SECONDS = 0.002
"""Between two looks whether one was open for long enough; in a program that computes, the interpreter's switch interval longer."""
LONGEST_SECONDS = 1.0
"""One that is open so long is closed, whatever the program has done..."""
LEAST_NET_NS = 300_000
"""... and tells nothing if that is less than this: the program waited, and did what it does at other times."""
LATE = 2.0
"""A program that waits is looked at so many times as seldom as one that computes: when it goes on, a window is longer by that."""
MOST_OPEN = 0.5
"""Share of the time in which one is open."""
MOST_TOGETHER = 24
"""Functions that have theirs at the same time; what one costs grows with them."""
MOST_ROUND = 10.0
"""Windows in which all have their turn at most, or single ones would decide."""
LONGEST_NET_NS = 100_000_000
"""CPU time of the program's in the longest, of which there are so few that each has to tell more."""
MOST_APART_SECONDS = 20.0
"""From one to the next at most..."""
MOST_STRETCH = 50.0
"""... and so many times as long as the program's CPU time that is to be between them."""
CONTROLS = 8
MOST_CHECKS = 60
LEAST_CHECKED = 500
MOST_ERROR = 0.1
"""What windows tell is corrected by so many functions that are counted all the time, if that can be done as well as this."""

# At the speed at which a recorded call takes 500 ns in the thread that makes it, in nanoseconds.
SWAP_NS = 1500
"""Giving a function other code, and what its callers take to get used to that."""
WINDOW_NS = 120_000
"""Opening and closing a window beside that: two changes of thread."""
COUNTED_NS = 14.0
"""A call that is counted and not looked at."""
FLAGGED_NS = 130.0
"""A call that is counted and not looked at where its function has no code of its own for that."""

_CALLS = attrgetter("calls")


class Windows:
    """Those of one process. Used by the budget's thread, but for `close`."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.functions: dict[Site, Steered] = {}
        """Those that are counted in windows."""
        self.duty = MOST_DUTY
        """The share of the time for which each is to be."""
        self.waiting: list[Site] = []
        """Those whose turn is to come, the next one last."""
        self.at = 0.0
        """When there is something to be done, by the monotonic clock."""
        self.opened = 0
        """Windows since somebody last asked for what they cost."""
        self.cost_ns = float(WINDOW_NS)
        """What one takes in all."""
        self.controls: list[Pacer] = []
        """Of the functions that are called most of those that are counted all the time."""
        self.begin()

    def begin(self) -> None:
        """Measure from now on, in this process and thread."""
        total = self.budget.net_total
        for steered in self.functions.values():
            steered.stratum = total
        self.closed_at = total
        self.control_closed = self.control()
        self.checks: list[tuple[float, float, float, float]] = []
        """(calls in a window of those counted all the time, since the window before, CPU time in it, since that before)."""
        self.is_open = self.is_counting = False
        self.here: dict[Site, Steered] = {}
        """Those whose window it is."""

    def add(self, site: Site, steered: Steered, total: float) -> None:
        """Count this function too; its turn comes first."""
        if site not in self.functions:
            steered.stratum = total
            steered.seen = 0
            self.waiting.append(site)
        self.functions[site] = steered

    def drop(self, site: Site, total: float) -> None:
        """Count this function no more: what it was called since its last window is owed as far as is known."""
        steered = self.functions.pop(site)
        known = steered.since_window(total)
        if self.here.pop(site, None) is not None:
            known = max(known, steered.in_all() - steered.begun)
        steered.owed += known

    def turn(self, now: float) -> None:
        """Open or close one, if it is time."""
        if not self.functions or now < self.at:
            return
        began = Clock.thread_cpu()
        if not self.is_open:
            self.took = 0
            self.open(now)
        elif self.is_over(now):
            if self.is_counting:
                self.close(now)
            else:
                self.count(now)
        self.took += Clock.thread_cpu() - began
        if not self.is_open:
            self.wait(now)

    took = 0
    """CPU time of our thread for the one that is open, or was last, in nanoseconds."""

    def open(self, now: float) -> None:
        self.is_open, self.is_counting = True, False
        self.opened += 1
        self.opened_at = now, self.used()
        self.here = self.next_ones()
        is_looked_at = False
        for site, steered in self.here.items():
            steered.begun = steered.in_all()
            if steered.waited >= 2 * PARTS or sites.random.random() * PARTS < 1.0:
                steered.waited = 0
                self.budget.give(site, steered, steered.pacer)
                is_looked_at = True
            else:
                steered.waited += 1
        if is_looked_at:
            self.measure_from(now)
        else:
            self.count(now)

    def next_ones(self) -> dict[Site, Steered]:
        """Whose turn it is: so many that each has its share of the time, when all have had theirs."""
        self.waiting = [site for site in self.waiting if site in self.functions]
        if not self.waiting:
            self.waiting = sorted(self.functions, key=_drawn)
        whole = sum(map(_load, self.functions.values()))
        room = whole * min(max(self.duty / self.open_share(), 1.0 / MOST_ROUND), 1.0)
        most = max(MOST_TOGETHER, len(self.functions) / MOST_ROUND)
        found: dict[Site, Steered] = {}
        self.part = 0.0
        while self.waiting and len(found) < most:
            site = self.waiting[-1]
            load = _load(self.functions[site])
            if found and load > room:
                break
            self.waiting.pop()
            found[site] = self.functions[site]
            room -= load
            self.part += load
        self.part = self.part / whole if self.part else len(found) / len(self.functions)
        self.length = min(max(self.duty * self.apart_ns() / self.part, WINDOW_NET_NS), LONGEST_NET_NS)
        return found

    part = 1.0
    """How much of what counting all of them takes falls to those whose window it is."""
    length = float(WINDOW_NET_NS)
    """For so much CPU time of the program's, in nanoseconds, they are counted."""

    def apart_ns(self) -> float:
        """CPU time of the program's from one to the next, at least."""
        return max(self.cost_ns / (SHARE * self.budget.share), 1.0)

    def open_share(self) -> float:
        """Share of the time in which one is open."""
        return min(WINDOW_NET_NS * (1.0 + LOOKING) / self.apart_ns(), MOST_OPEN)

    def count(self, now: float) -> None:
        """What is called from now on is counted and tells how often that is; calls were looked at until now.

        Not both at once: among others a recorded call takes several times what it does among its like, and nobody knows how many times.
        """
        self.is_counting = True
        for site, steered in self.here.items():
            if steered.silent is not None:
                self.budget.give(site, steered, steered.silent)
                steered.counted = steered.silent.count()
        self.measure_from(now)

    def measure_from(self, now: float) -> None:
        self.from_ = now, Clock.process_cpu(), self.budget.own_cpu(), self.budget.recorded()
        self.control_opened = self.control()
        self.at = now + self.needed() / 1e9

    def used(self) -> int:
        """CPU time of the process without our threads, in nanoseconds."""
        return Clock.process_cpu() - self.budget.own_cpu()

    def needed(self) -> float:
        """CPU time of the program's that this part of a window takes, in nanoseconds."""
        return self.length if self.is_counting else WINDOW_NET_NS * LOOKING

    def is_over(self, now: float) -> bool:
        """Whether the program has run for long enough, and was not waiting for the processor all the while; else when to ask again."""
        began, cpu, own, _ = self.from_
        spent = self.used() - (cpu - own)
        missing = self.needed() - spent
        if missing <= 0 or now - began >= LONGEST_SECONDS:
            return True
        ahead = missing * (now - began) * 1e9 / max(spent, 1.0)
        self.at = now + max(min(ahead, LATE * missing) / 1e9, LEAST_SECONDS)
        return False

    def close(self, now: float) -> None:
        """Each window stands for the time since the one before."""
        self.is_open = False
        _, cpu, own, recorded = self.from_
        budget = self.budget
        # By another thread's clock nothing can be told.
        is_known = self.is_counting and get_ident() == budget.thread
        spent: float = Clock.process_cpu() - cpu
        if is_known:
            spent -= budget.own_cpu() - own
        spent -= (budget.recorded() - recorded) * budget.recorded_ns
        called: list[tuple[Site, Steered, int]] = []
        for site, steered in self.here.items():
            budget.give(site, steered, None)
            if steered.silent is not None:
                called.append((site, steered, steered.silent.count() - steered.counted))
        self.swapped = 3 * len(self.here)
        self.here = {}
        self.is_counting = False
        if is_known and spent >= LEAST_NET_NS:
            self.estimate(called, spent)

    swapped = 0
    """How often functions were given other code for it."""

    def wait(self, now: float) -> None:
        """Until the next one: as long as what this one cost and what is counted in it ask for."""
        cost = self.took + (self.swapped * SWAP_NS + WINDOW_NS) * self.budget.slowness
        self.cost_ns += (cost - self.cost_ns) * 0.3
        began, cpu = self.opened_at
        used = max(self.used() - cpu, 1.0)
        pause = max(used / self.duty * self.part, self.apart_ns()) - used
        seconds = max(pause, 0.0) / 1e9 * min((now - began) * 1e9 / used, MOST_STRETCH)
        self.at = now + min(seconds, MOST_APART_SECONDS) * (0.5 + sites.random.random())

    def cut_short(self) -> None:
        """Our thread ends, for a fork or for good: no window stays open without it."""
        if self.is_open:
            self.is_counting = False  # what is called as a program ends or forks is not what it calls
            self.close(Clock.monotonic())

    def estimate(self, called: list[tuple[Site, Steered, int]], spent: float) -> None:
        """How often functions are called since the window before, by their calls in this one and the CPU time the program used in it."""
        counting = sum([count * counted_ns(steered) for _, steered, count in called]) * self.budget.slowness
        spent = max(spent - counting, 1e5)
        total = self.budget.net_now()
        progress = self.progress(spent, total - self.closed_at)
        self.closed_at = total
        for site, steered, count in called:
            stretch = (total - steered.stratum) / spent / progress
            steered.owed += count * max(stretch, 1.0)
            steered.stratum = total
            steered.seen += 1
            steered.calls += (count * 1e9 / spent - steered.calls) * max(0.1, 1.0 / (steered.seen + 1))
            if steered.pacer is not None and not steered.pacer.prepare(steered.ahead()):
                self.budget.set_pace(site, steered, WINDOWS)

    def choose(self) -> None:
        """Choose by which functions windows are compared with what is between them."""
        if self.functions:
            paced = sorted([one for one in self.budget.active.values() if one.state == PACED], key=_CALLS)
            self.controls = [one.pacer for one in paced if one.pacer is not None][-CONTROLS:]

    def control(self) -> tuple[int, int]:
        """(which functions these are, how many calls they had)."""
        count = names = 0
        for pacer in self.controls:
            names ^= id(pacer)
            count += pacer.count()
        return names, count

    def progress(self, spent: float, since: float) -> float:
        """How much more the program gets done in windows than outside them, for the CPU time it has there.

        Told by functions that are counted all the time, where they are called often enough in windows: a processor that is shared is
        not always as fast, and a program goes on more slowly when its functions have just been given other code.
        """
        now, (names, opened), (before, closed) = self.control(), self.control_opened, self.control_closed
        self.control_closed = now
        if names == before == now[0]:
            self.checks.append((now[1] - opened, now[1] - closed, spent, since))
            del self.checks[:-MOST_CHECKS]
        within, all_of_them, spent, since = [sum(column) for column in zip(*self.checks, strict=True)] or [0.0] * 4
        if within < LEAST_CHECKED or not spent or not since:
            return 1.0
        each = within / spent
        error = sum([(check[0] - each * check[2]) ** 2 for check in self.checks]) ** 0.5 / within
        found = each / (all_of_them / since)
        return min(max(found, 0.5), 1.5) if error < MOST_ERROR else 1.0


def counted_ns(steered: Steered) -> float:
    """What counting a call takes that is not looked at."""
    return FLAGGED_NS if steered.lost else COUNTED_NS


def _load(steered: Steered) -> float:
    return steered.calls * counted_ns(steered)


def _drawn(site: Site) -> float:
    return sites.random.random()
