"""The budget, kept by the running process: measures what tracing costs and has fewer calls recorded until it fits.

All that is ours is added up: recorded calls and counted ones by what they cost here, our threads by their clocks. It is compared with the
CPU time the program itself has used, several times a second. What may be spent is then dealt out, to rare functions
first: each may have so many spans a second. Of those that are called more often, what is captured is left out first; then they are
*paced*, which records some of their calls and counts all; and where even counting would be too much, a function has its author's
code and is counted in *windows*. Going down is done at once, coming back takes seconds in which there was room.

Everything here runs in the drain's thread. How it is dealt out is `dealing.deal`, a function of figures alone.
"""

from __future__ import annotations

from _bisect import bisect_left, bisect_right
from _thread import RLock, get_ident
from itertools import accumulate

from autoscope.ours import keep_builtins
from autoscope.runtime import calls, capture, sampling, sites
from autoscope.runtime.context import get as read_current
from autoscope.runtime.dealing import (
    DEPTH,
    EVERY,
    OFF,
    PACED,
    PLAIN,
    WINDOWS,
    Load,
    Share,
    deal,
)
from autoscope.runtime.pacing import IN_SITE, Pacer
from autoscope.runtime.sites import WIDTH, Site, counters
from autoscope.runtime.spans import Clock, epoch_offset, running_of
from autoscope.runtime.tallying import (
    CROWD,
    IN_WINDOW,
    MOST_FORKS,
    STEP_SECONDS,
    Steered,
    Sums,
    Tally,
    in_buffer,
    limits_of,
    place_of,
)
from autoscope.runtime.windows import COUNTED_NS, FLAGGED_NS, SWAP_NS, WINDOW_NS, Windows, counted_ns

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from autoscope.runtime.tallying import Place

FIXED = 0.12
"""Share of the budget that looking may take..."""
MOST_CALM = 4.0
LONGEST_STEP_SECONDS = 2.0
"""Between two steps."""
FIRST_GLANCE_SECONDS, LONGEST_GLANCE_SECONDS = 0.02, 0.3
"""Between two glances at how much was recorded since the last step: a program begins something new at any time."""
LEAST_ALARMING = 200
"""Records from which on a step is taken at once, where they cost more than..."""
ALARM = 2.0
"""... so many times what may be spent."""
HURRY_SECONDS = 2.0
"""No longer than this at a time."""
AIM = 0.7
"""Share of the budget that is dealt out: the rest is for what is not measured, as caches that grow cold."""
LEAST_SHARE = 0.0025
"""Of one core: so much may always be spent, however little a process does."""
PATIENCE_SECONDS = 3.0
"""There has to be room so long before a function gets more."""
MARGIN = 0.7
"""And it has to be so much that this share of it would do."""
SAVED_SECONDS = 2.0
"""Of the program's CPU time: what may be handed over in it can be saved up."""
LEAST_HANDED = 500
"""Records that may be handed over at a time in any case."""
MOST_TURNS = 256
"""Turns of our thread that are remembered."""
MOST_SHOWN = 200
RATE_STEP = 1.6
"""A rate is changed when it is wrong by more than this factor."""
TRIFLE = 0.002
"""But not where it makes a difference of less than this share of what is dealt out: each change costs as much as several spans."""
TOLD_STEP = 4.0
"""And told when it is another by more than this."""
FORGOTTEN = 0.97
"""Of what is known of a function that is off so much remains from one step to the next."""
LEAST_NET_NS = 5e6
"""CPU time of the program's from which on it is worth asking how often functions are called a second."""
IDLE_SHARE = 0.02
"""Of one core: a process that uses less is not looked at in windows."""
LEAST_SCALE, MOST_SCALE = 0.1, 1.5
LEAST_DEALT = 0.25
"""Share of what may be dealt out that is, however much our thread takes by itself: else nothing would be told."""
STALE = 4.0
"""A pacer gives way to another where the calls to be looked at are to be so many times as many."""
NEVER = float(1 << 40)
"""One call in so many is none."""
HURRY_AT_FIRST_SECONDS = 0.5
MOST_DECISIONS = 2000
"""Decisions a process tells one by one; further ones are counted."""

LEAST_TURN_NS = 20_000
"""No call that took less had a turn of our thread in it: two threads take turns no faster."""
INTERRUPTED = "autoscope.interrupted_ns"
"""On a span: for how much of it our own thread was at work."""

# At the speed at which a recorded call takes 500 ns in the thread that makes it, in nanoseconds.
SPEED_NS = 500
LEAST_EXPORTED = 50
"""Records of a step from which on it tells what one costs."""
EXPORTED_NS = 1800
"""A record's way from the buffer to the disk."""
ARMED_NS = 60.0
"""A call in a trace that is not recorded."""
CAPTURED_NS = 2500
"""Each captured value, exported."""


class Budget:
    """Keeps one process within its budget."""

    def __init__(
        self,
        share: float,
        most_spans: float,
        own_cpu: Callable[[], int],
        pace: Any,
        tell: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        """`share` is of the program's CPU time, `most_spans` are a second. `own_cpu` gives nanoseconds of CPU time our threads have used, `pace` is who gives functions
        paced twins (`weave.pace`), None where nobody can. `tell` is given decisions, some at a time."""
        self.lock = RLock()
        """Held while anything is looked at or changed: other threads change what holds for functions too."""
        self.handed: Callable[[], int] = _nothing
        """CPU time, in nanoseconds, that exporting took."""
        self.weighed_ns = self.looked_ns = 0
        """What saying took what records stand for, and what steps did."""
        self.left = 0
        """Records that were handed over since the last step."""
        self.saved = float(LEAST_HANDED)
        """Records that may be handed over now."""
        self.share = share
        self.most_spans = most_spans
        self.own_cpu = own_cpu
        self.pace = pace
        self.tell = tell
        self.warm: dict[Site, Steered] = {}
        """Functions that are called now and then, or were lately."""
        self.sums = Sums()
        self.active = self.sums.active
        """Those of them whose records may stand for more than one call."""
        self.scale = 1.0
        """How much of what the figures allow is dealt out: what they do not tell shows in what is measured."""
        self.measured = 0.0
        """What tracing costs, a share of the program's CPU time, in the last second or so."""
        self.decisions = 0
        self.untold: list[dict[str, Any]] = []
        self.is_exempt: Callable[[Site], object] = _never
        """Whether a function is none of the budget's business, because somebody asked for it."""
        self.net_total = 0.0
        """CPU time of the program's up to the last step, in nanoseconds..."""
        self.total = 0.0
        """... and up to the moment at which is dealt out."""
        self.held: set[str] = set()
        """Why all functions are somebody else's for now, if they are."""
        self.allowed, self.allowed_spans = share * AIM * 1e9, most_spans
        """Nanoseconds a second of the program's CPU time that were dealt out last."""
        self.slowness = 1.0
        self.swaps = 0
        self.woken = 0
        """Since when our thread has been at it, by the clock of records; 0: it sleeps."""
        self.turns: list[tuple[int, int]] = []
        """From when to when it was, the last times."""
        self.thinned: dict[Place, bool] = {}
        """Functions whose calls were not all recorded, at some time, and whether they make a `Call`."""
        self.shown: tuple[list[int], list[int]] = [], []
        """What a call of a function that does nothing showed, of late: lean, and with a `Call`."""
        self.windows = Windows(self)
        self.begin()

    def begin(self) -> None:
        """Measure from now on, in this process and thread."""
        self.thread = get_ident()
        self.at = self.hurried_at = self.room_since = Clock.monotonic()
        self.cpu, self.own = Clock.process_cpu(), self.own_cpu()
        self.taken = _taken()
        self.spent = self.spent_ns()
        for steered in self.active.values():
            if steered.pacer is not None:
                steered.observed = steered.pacer.count()
                steered.looked_at = steered.pacer.looked_at
                steered.stepped = steered.in_all()
        self.windows.begin()
        self.since: Tally = Tally()
        """Records of each function that were handed over since calls were last observed."""
        self.buffered: Tally = in_buffer()
        """Those that were in the buffer then."""
        self.net = 0.0
        """CPU time of the program's since calls were last observed."""
        self.exported_ns = float(EXPORTED_NS)
        """What a record's way to the disk takes here."""
        self.calm = 1.0
        """By which all is done more seldom, because doing it was measured to be too dear."""
        self.fixed = 0.0
        """Nanoseconds our threads use that no record is to blame for, a second of the program's CPU time."""
        self.history: list[tuple[float, float, float, float]] = []
        """(when, nanoseconds of ours, of the program's, what of ours was for records and counting) of the last steps."""
        self.found_at = self.at
        """When functions were found last that are called too often for what they had."""
        self.began = self.at
        self.hurried = not self.held
        self.idle = False
        self.over = 0
        """How often it was exceeded, one time after the other."""
        self.glance = FIRST_GLANCE_SECONDS
        """Seconds to the next glance."""
        self.alarmed = False
        """Whether the last step was taken because of what was recorded: it tells little of what steps cost."""
        self.rhythm = STEP_SECONDS
        """Seconds between two steps: as long as their own cost asks for."""

    # What the drain asks.

    def step_seconds(self) -> float:
        return STEP_SECONDS if self.hurried else self.rhythm

    def due(self) -> float:
        """Seconds until `turn` is to be called. The thread sleeps until then."""
        if self.woken:
            self.turns.append((self.woken, Clock.now()))
            del self.turns[:-MOST_TURNS]
            self.woken = 0
        now = Clock.monotonic()
        at = self.at + self.step_seconds()
        if self.windows.functions and not (self.idle and not self.windows.is_open):
            at = min(at, self.windows.at)
        if not self.idle and not self.held:
            at = min(at, now + self.glance)
        return max(at - now, 0.0)

    def is_alarming(self) -> bool:
        """Whether so much was recorded since the last step that the next one cannot wait."""
        recorded = self.recorded() - self.taken[0]
        if recorded >= LEAST_ALARMING:
            net = Clock.process_cpu() - self.cpu
            if net >= LEAST_NET_NS and recorded * (self.recorded_ns + self.exported_ns) > ALARM * self.share * net:
                self.glance = FIRST_GLANCE_SECONDS
                return True
        self.glance = min(self.glance * 1.5, LONGEST_GLANCE_SECONDS)
        return False

    def turn(self) -> None:
        """Open or close windows, or take a step, if it is time."""
        self.woken = self.woken or Clock.now()
        with self.lock:
            now = Clock.monotonic()
            if self.held:
                self.at = now
                return
            self.windows.turn(now)
            is_due = now - self.at >= self.step_seconds() - 0.001
            if not (is_due or self.is_alarming()):
                return
            self.alarmed = not is_due
            began = Clock.thread_cpu()
            self.step()
            self.looked_ns += Clock.thread_cpu() - began
        if self.hurried:
            return
        # Now, because who is told may have a store to open first.
        told, self.untold = self.untold, []
        if told:
            self.tell(told)

    def weigh(self, records: list[Any], length: int) -> int:
        """Say how probable it was that these were recorded, so that the reciprocals add up to the calls there were.

        `records` is the buffer, of which so many parts are handed over next (`length`). Of functions that were found to be called far
        too often meanwhile only a few are left in it. How many parts that are now.
        """
        began = Clock.thread_cpu()
        with self.lock:
            there = Tally(records[:length:WIDTH])
            limits: dict[Site, int] = {}
            if not self.held:
                self.since.add(there)
                limits = limits_of(there, max(self.saved, LEAST_HANDED), self.is_exempt)
                for site in limits:
                    if site not in self.active:
                        self.active[site] = self.warm.setdefault(site, Steered())
            left = self.sums.weigh(records, length, there, self.look_at, limits)
            self.left += left // WIDTH
            self.saved = max(self.saved - left // WIDTH, 0.0)
        self.weighed_ns += Clock.thread_cpu() - began
        return left

    def spent_ns(self) -> tuple[int, int]:
        """CPU time that what was recorded has taken in our threads, and that steps have."""
        return self.handed() + self.weighed_ns, self.looked_ns

    def look_at(self, records: list[Any], length: int) -> None:
        """Learn how long calls take of functions that are not recorded in full, and note in which our own thread had a turn.

        While it has one no other runs: a call of 60 ns shows milliseconds then.
        """
        took: dict[Site, list[int]] = {}
        active, within = self.active, in_turns(self.turns)
        columns = [records[part:length:WIDTH] for part in (0, 4, 5)]
        for number, (site, start, end) in enumerate(zip(*columns, strict=True)):
            if site in active:
                if site in took:
                    took[site].append(end - start)
                else:
                    took[site] = [end - start]
                if end - start > LEAST_TURN_NS:
                    inside = within(start, end)
                    details = records[number * WIDTH + 6]
                    if inside and (details is None or type(details) is tuple) and running_of(details) is None:
                        names, *values = details or ((),)
                        records[number * WIDTH + 6] = ((*names, INTERRUPTED), *values, inside)
        for site, durations in took.items():
            steered = active[site]
            median = sorted(durations)[len(durations) // 2]
            steered.typical += (median - steered.typical) * (0.3 if steered.typical else 1.0)
            if steered.pacer is not None:
                steered.pacer.burst = steered.burst()

    def unseen(self) -> dict[Place, float]:
        """Calls for which no record stands so far."""
        total = self.net_now()
        found = dict(self.sums.left)
        for site, steered in self.active.items():
            owed = steered.owed
            if steered.state == PACED:
                steered.count()
                owed = steered.owed
            elif site in self.windows.functions and steered.silent is not None:
                owed += steered.since_window(total)
            if owed >= 1.0:
                place = place_of(site)
                found[place] = found.get(place, 0.0) + owed
        return found

    def rest(self) -> None:
        """The thread ends, for a fork or for good: no window stays open without it."""
        with self.lock:
            self.windows.cut_short()

    def state_of(self, site: Site) -> str:
        """What is recorded of a function now, in words."""
        steered = self.warm.get(site)
        return EVERY if steered is None else _described(steered.state, steered.rate, self.windows.duty)

    def describe(self) -> dict[str, Any]:
        """What a run's report needs of it."""
        with self.lock:
            unseen = [[*place, calls] for place, calls in self.unseen().items()]
            return {
                "share": self.share,
                "measured": self.measured,
                "decisions": self.decisions,
                "unseen": unseen,
                "empty": self.empty(),
            }

    def empty(self) -> list[list[Any]]:
        """Of functions that were not always recorded in full: what a recorded call would show if it did nothing, in nanoseconds."""
        shows = [_usual(shown) for shown in self.shown]
        return [[*place, shows[is_full]] for place, is_full in self.thinned.items()]

    def give(self, site: Site, steered: Steered, pacer: Pacer | None) -> None:
        """Have this pacer asked about each call of a function; None: nobody is, and none is looked at."""
        if steered.lost:
            if pacer is None:
                sites.disarm(site)
            else:
                site.get = pacer.get
                sites.arm(site)
            return
        code = site.off if pacer is None else site.paced if pacer is steered.pacer else site.counting
        self.swaps += self.pace.give(site, steered.functions, code)

    def recorded(self) -> int:
        """Calls recorded so far."""
        return _taken()[0]

    def net_now(self) -> float:
        """CPU time of the program's own, in nanoseconds."""
        recorded = self.recorded() - self.taken[0]
        ours = self.own_cpu() - self.own + recorded * self.recorded_ns
        since = Clock.process_cpu() - self.cpu
        return self.net_total + max(since - ours, since * 0.02)

    recorded_ns = 1000.0
    """What a recorded call takes in its own thread."""

    # Steps.

    def step(self) -> None:
        """Measure, and deal out anew."""
        now = Clock.monotonic()
        seconds = now - self.at
        net, base = self.measure(now)
        self.net += net
        self.net_total += net
        buffered = in_buffer()
        if self.net >= LEAST_NET_NS or self.hurried:
            self.observe(buffered)
        allowed = self.share * AIM * self.scale * 1e9
        self.allowed = max(allowed - self.fixed, allowed * LEAST_DEALT) * base / net
        each = self.exported_ns * 1e9
        self.saved = min(
            self.saved + self.allowed * net / each, max(self.allowed * SAVED_SECONDS * 1e9 / each, LEAST_HANDED)
        )
        self.allowed_spans = self.most_spans * seconds * 1e9 / net
        self.settle(now, buffered)
        self.windows.choose()
        self.refill()
        if self.active:
            for shown, new in zip(self.shown, calls.empty(), strict=True):
                shown.append(new)
                del shown[:-MOST_SHOWN]

    def measure(self, now: float) -> tuple[float, float]:
        """What tracing has cost since the last step; nanoseconds of the program's CPU time, and what the budget is a share of."""
        cpu, own, taken = Clock.process_cpu(), self.own_cpu(), _taken()
        recorded, entered, roots, captured = [max(new - old, 0) for new, old in zip(taken, self.taken, strict=True)]
        lean, full, root = calls.costs()
        self.slowness = lean / SPEED_NS
        self.recorded_ns = lean
        entered = min(entered, recorded)
        inside: float = (recorded - entered) * lean + entered * full + roots * root + captured
        inside += self.counted() * self.slowness
        windows = (self.swaps * SWAP_NS + self.windows.opened * WINDOW_NS) * self.slowness
        self.swaps = self.windows.opened = 0
        threads = own - self.own
        ours = threads + inside + windows
        all_of_it = max(cpu - self.cpu, 1)
        net = max(all_of_it - ours, all_of_it * 0.02)
        seconds = now - self.at
        # What a process uses that does next to nothing is no measure.
        base = max(net, seconds * 1e9 * LEAST_SHARE / self.share)
        self.idle = all_of_it < seconds * 1e9 * IDLE_SHARE
        self.at, self.cpu, self.own, self.taken = now, cpu, own, taken
        self.history = [entry for entry in self.history if entry[0] > now - 1.0]
        spent = self.spent_ns()
        for_records, looking = [max(new - old, 0) for new, old in zip(spent, self.spent, strict=True)]
        self.spent = spent
        self.history.append((now, ours, base, for_records + inside))
        self.measured = sum([entry[1] for entry in self.history]) / sum([entry[2] for entry in self.history])
        if not self.hurried and not self.alarmed:
            self.learn(for_records, looking, max(threads - for_records, 0), base, seconds)
        self.left = 0
        self.correct(now, inside / base, recorded)
        return net, base

    def learn(self, for_records: float, looking: float, by_itself: float, base: float, seconds: float) -> None:
        """What our thread takes for a record, for steps, and beside records; and how often it may look therefore."""
        if self.left > LEAST_EXPORTED:
            # Each costs more where there are few: nothing of it is at hand in the processor any more.
            each = min(max(for_records / self.left, EXPORTED_NS / 2), 10 * EXPORTED_NS)
            self.exported_ns += (each - self.exported_ns) * 0.3
        self.fixed += (by_itself * 1e9 / base - self.fixed) * 0.4
        rhythm = looking * seconds / (FIXED * self.share * base)
        rhythm = self.rhythm * 0.7 + rhythm * self.calm * 0.3
        self.rhythm = min(max(rhythm, STEP_SECONDS), LONGEST_STEP_SECONDS)

    def counted(self) -> float:
        """What counting calls took since the last step, in nanoseconds of a machine of the usual speed."""
        took = 0.0
        for steered in self.active.values():
            if steered.pacer is not None:
                counted = steered.in_all()
                took += (counted - steered.stepped) * counted_ns(steered)
                steered.stepped = counted
        return took

    def correct(self, now: float, share: float, recorded: int) -> None:
        """Let what is measured tell how far the figures are to be trusted.

        `share`: what is recorded takes in the program's threads.
        """
        was = self.hurried
        self.hurried = now - self.began < HURRY_AT_FIRST_SECONDS or (share > 4 * self.share and recorded > 200)
        if self.hurried and not was:
            self.hurried_at = now
        if self.hurried and now - self.hurried_at > HURRY_SECONDS:
            self.hurried = False
        if self.hurried or was:
            self.history.clear()
            self.room_since = now
        elif self.measured > self.share * 0.95:
            # Once may be the program's doing, or that of a garbage collection that came in our thread.
            self.over += 1
            of_records = sum([entry[3] for entry in self.history]) / sum([entry[2] for entry in self.history])
            if self.over == 1:
                pass
            elif of_records > self.share * AIM * self.scale:
                # While there are others still, those that were not known yet are to blame, and not the figures.
                if now - self.found_at > PATIENCE_SECONDS:
                    self.scale = max(self.scale * max(self.share * AIM / self.measured, 0.7), LEAST_SCALE)
            else:
                # It is the looking that is too dear.
                self.calm = min(self.calm * 1.3, MOST_CALM)
            self.history.clear()
            self.room_since = now
        elif self.measured > self.share * AIM * 0.9:
            self.over = 0
            self.room_since = now
        elif now - self.room_since > PATIENCE_SECONDS:
            self.over = 0
            self.scale = min(self.scale * (1.5 if self.measured < self.share * AIM * 0.5 else 1.1), MOST_SCALE)
            self.calm = max(self.calm / 1.1, 1.0)
            self.room_since = now

    def observe(self, buffered: Tally) -> None:
        """How often each function is called."""
        astray: list[Site] = []
        since, before = self.since, self.buffered
        self.since, self.buffered = Tally(), buffered
        for site in {*self.warm, *since, *buffered}:
            steered = self.warm.get(site)
            if steered is None:
                steered = self.warm[site] = Steered()
            new = since[site] + buffered[site] - before[site]
            if steered.state in (EVERY, PLAIN):
                called: float = new / site.rate if site.rate else 0.0
            elif steered.state == PACED and steered.pacer is not None:
                counted = steered.pacer.count()
                called, steered.observed = counted - steered.observed, counted
                looked_at = steered.pacer.looked_at
                if steered.looked_at is not None and new > CROWD + looked_at - steered.looked_at and not steered.lost:
                    astray.append(site)
                steered.looked_at = looked_at
            else:
                if steered.state == OFF:
                    steered.calls *= FORGOTTEN  # nobody can tell: it comes back, and is found out
                continue  # its windows tell
            calls = called * 1e9 / self.net
            # Up at once, where it is sure.
            sure = calls > steered.calls * RATE_STEP and new > 20
            steered.calls += (calls - steered.calls) * (1.0 if sure else 0.2)
            if steered.calls < 0.5 and steered.state == EVERY and site not in self.active:
                del self.warm[site]
        self.net = 0.0
        for site in astray:
            self.seek(site, self.warm[site], buffered)

    def seek(self, site: Site, steered: Steered, buffered: Tally) -> None:
        """A paced function is recorded far too often: there are others with its code, made since, or made anew for each call."""
        before = steered.functions
        found = self.pace.functions_of({site}).get(site, [])
        new = {id(one()) for one in found} - {id(one()) for one in before}
        steered.functions = found
        if new:
            self.swaps += self.pace.give(site, found, site.paced)
            return
        self.change(site, steered, Share(EVERY), buffered, "its functions cannot all be found")
        steered.lost = True

    # Dealing out.

    def loads(self) -> dict[Site, Load]:
        """What is known of the functions that are the budget's business."""
        lean, whole, _ = calls.costs()
        share = sampling.rate
        beside = (1.0 - share) * ARMED_NS * self.slowness
        paths = [share * (cost + self.exported_ns) + beside for cost in (lean, whole)]
        counted = COUNTED_NS * self.slowness, FLAGGED_NS * self.slowness
        value = share * CAPTURED_NS * self.slowness
        is_exempt, is_retired, has_pace = self.is_exempt, sites.is_retired, self.pace is not None
        found = {}
        for site, steered in self.warm.items():
            if site.level == "off" or is_exempt(site) or is_retired(site):
                continue
            paceable = has_pace and not steered.lost and site.path == "bytecode"
            captured = steered.capture or site.capture
            found[site] = Load(
                steered.calls,
                paths[_is_full(site)],
                counted[not paceable],
                captured=value * (len(site.parameters) + captured.returns),
                paceable=paceable,
                most=site.rate,
            )
        return found

    def settle(self, now: float, buffered: Tally) -> None:
        """Deal out, and have it in force: less at once, more when there has been room for a while."""
        self.total = self.net_now()
        self.forget_retired(buffered)
        loads = self.loads()
        for site, steered in self.warm.items():
            if site not in loads and steered.state != EVERY:
                self.change(site, steered, Share(EVERY), buffered, "somebody asked for it")
        dealt = deal(loads, self.allowed, self.allowed_spans)
        less: dict[Any, Share] | None = None
        changes: list[tuple[Site, Share, str]] = []
        for site, share in dealt.items():
            steered = self.warm[site]
            deeper = DEPTH[share.state] - DEPTH[steered.state]
            if deeper >= 0:
                steered.room_since = 0.0
                load = loads[site]
                if deeper or (
                    share.state in (PACED, WINDOWS)
                    and _differ(share.rate, steered.rate, RATE_STEP)
                    and abs(share.rate - steered.rate) * share.duty * load.calls * load.recorded > TRIFLE * self.allowed
                ):
                    taken = load.every(load.recorded + load.captured) / 1e9
                    if deeper:
                        self.found_at = now
                    changes.append((site, share, f"{load.calls:,.0f} calls a second: {taken:.0%} of the CPU time"))
                continue
            if less is None:
                less = deal(loads, self.allowed * MARGIN, self.allowed_spans * MARGIN)
            if DEPTH[less[site].state] >= DEPTH[steered.state]:
                steered.room_since = 0.0
            elif not steered.room_since:
                steered.room_since = now
            elif now - steered.room_since > PATIENCE_SECONDS:
                more = less[site]
                if steered.state == WINDOWS and DEPTH[more.state] < DEPTH[PACED]:
                    # What is called in bursts may have had none in its windows: it is counted before all of it is recorded.
                    more = Share(PACED, steered.rate * self.windows.duty)
                changes.append((site, more, "there is room"))
        self.find([site for site, share, _ in changes if share.state in (PACED, WINDOWS)])
        for site, share, why in changes:
            self.change(site, self.warm[site], share, buffered, why)
        duties = [share.duty for share in dealt.values() if share.state == WINDOWS]
        if duties:
            self.windows.duty = duties[0]

    def forget_retired(self, buffered: Tally) -> None:
        """Functions that were woven anew have other sites by now. Of the old ones what they are owed remains, when no record of theirs waits."""
        for site in [site for site in self.warm if sites.is_retired(site)]:
            steered = self.warm[site]
            if steered.state != EVERY:
                self.change_untold(site, steered, buffered)
            if not buffered[site]:
                del self.warm[site]
                self.sums.drop(site, steered)

    def find(self, wanted: list[Site]) -> None:
        """Find the functions of those that are to have other code."""
        missing = {site for site in wanted if not self.warm[site].functions and not self.warm[site].lost}
        if missing:
            found = {} if self.pace is None else self.pace.functions_of(missing)
            for site in missing:
                self.warm[site].functions = found.get(site, [])
                self.warm[site].lost = not self.warm[site].functions

    def change(self, site: Site, steered: Steered, share: Share, buffered: Tally, why: str) -> None:
        """Have a function's share in force."""
        before, state, told = steered.state, share.state, steered.told
        old = steered.pacer if before == PACED != state else None
        self.leave(site, steered, state, buffered)
        counted = steered.counted
        steered.state, steered.room_since = state, 0.0
        steered.rate = share.rate
        if state in (EVERY, PLAIN):
            site.get = sampling.thinned(site.rate)
        if state == EVERY:
            if steered.capture is not None:
                site.capture, site.keys, steered.capture = steered.capture, None, None
        elif steered.capture is None and (site.parameters or site.capture.returns):
            steered.capture = site.capture
            site.capture = site.capture._replace(args=False, returns=False)
            capture.hide(site)
        if state in (PACED, WINDOWS):
            self.set_pace(site, steered, before)
        if state == WINDOWS:
            self.windows.add(site, steered, self.total)
        elif state == OFF:
            sites.disarm(site)
            if steered.functions and site.off is not None:
                self.swaps += self.pace.give(site, steered.functions, site.off)
        if old is not None:
            steered.owed += old.count() - counted  # meanwhile other threads had a turn
        if steered.past and not steered.past[-1].until:
            steered.past[-1].until = Clock.now()
        if state != before or _differ(share.rate, steered.told, TOLD_STEP):
            steered.told = share.rate
            self.decisions += 1
            if self.decisions <= MOST_DECISIONS:
                self.untold.append(
                    {
                        "time_ns": Clock.now() + epoch_offset(),
                        "site": site.name,
                        "from": _described(before, told, self.windows.duty),
                        "to": _described(state, share.rate, share.duty),
                        "why": why,
                    }
                )

    def leave(self, site: Site, steered: Steered, state: str, buffered: Tally) -> None:
        """What was called until now is owed in the words of the state it was in."""
        self.thinned[place_of(site)] = _is_full(site)
        before = steered.state
        self.sums.end_state(site, steered, buffered[site])
        if before == WINDOWS != state:
            self.windows.drop(site, self.net_now())
            if steered.silent is not None:
                if steered.pacer is not None:
                    steered.stepped -= steered.silent.count()
                    steered.counted = steered.pacer.count()
                steered.silent = site.counting = None
        if before in (WINDOWS, OFF) and state not in (WINDOWS, OFF):
            sites.arm(site)
        if before in (PACED, WINDOWS, OFF) and state not in (PACED, WINDOWS):
            steered.pacer = site.paced = None
            if state != OFF and steered.functions and site.traced is not None:
                self.swaps += self.pace.give(site, steered.functions, site.traced)

    def set_pace(self, site: Site, steered: Steered, before: str) -> None:
        """Give it a paced twin, or another interval where it has one."""
        ahead = steered.ahead()
        rate = steered.rate
        in_site = None
        if steered.lost:
            in_site = IN_SITE if site.path == "bytecode" else (sampling.leave_out, read_current)
        if steered.state == WINDOWS:
            rate *= IN_WINDOW
            self.windows.here.pop(site, None)  # what was counted in the one that is open is not all
            if steered.silent is None:
                steered.silent = Pacer(NEVER, 0, in_site=in_site)
                if not steered.lost:
                    site.counting = self.pace.paced(site, site.traced, steered.silent.pace)
        interval = 1.0 / rate if rate > 0.0 else NEVER
        # Gaps that were drawn for another interval have to be gone through yet.
        if steered.pacer is not None and steered.pacer.interval < interval * STALE:
            steered.pacer.interval, steered.pacer.burst = interval, steered.burst()
            if steered.pacer.prepare(ahead):
                if before != steered.state:
                    self.give(site, steered, steered.pacer if steered.state == PACED else None)
                return
            if before == steered.state == PACED:
                steered.count()
        old, counted = steered.pacer, steered.counted
        steered.pacer = Pacer(interval, ahead, steered.burst(), in_site=in_site)
        steered.counted = steered.observed = 0
        steered.looked_at = None  # what was recorded since calls were last observed is another one's too
        steered.stepped = steered.in_all()
        if not steered.lost:
            site.paced = self.pace.paced(site, site.traced, steered.pacer.pace)
            site.get = read_current
        self.give(site, steered, steered.pacer if steered.state == PACED else None)
        if old is not None and before == steered.state == PACED:
            steered.owed += old.count() - counted  # meanwhile other threads had a turn

    # Other people's doings.

    def refill(self) -> None:
        """See to it that paced functions have calls ahead that are looked at."""
        for site, steered in self.active.items():
            pacer = steered.pacer
            if steered.state == PACED and pacer is not None and not pacer.prepare(steered.ahead()):
                self.set_pace(site, steered, PACED)

    def take_up(self) -> None:
        """Somebody has changed functions, which were let go of for that: what is known of them holds on."""
        with self.lock:
            if not self.held:
                self.settle(Clock.monotonic(), in_buffer())

    def hold(self, why: str) -> None:
        """Let go of all functions, and touch none until `go_on` for the same reason. What was recorded until then stands for what it did."""
        with self.lock:
            self.held.add(why)
            self.hurried = False  # or records would wait for a step to say what they stand for
            self.let_go()

    def go_on(self, why: str) -> None:
        """Take one `hold` back."""
        with self.lock:
            self.held.discard(why)
            if not self.held:
                self.begin()

    def let_go(self, matches: Callable[[Site], object] | None = None) -> None:
        """Have functions as they were without a budget, all or some: somebody changes them, or we end."""
        with self.lock:
            self.rest()
            buffered = in_buffer()
            for site, steered in list(self.warm.items()):
                if steered.state != EVERY and (matches is None or matches(site)):
                    self.change_untold(site, steered, buffered)

    def change_untold(self, site: Site, steered: Steered, buffered: Tally) -> None:
        """Have a function as it was without a budget. That it was changed is told by whoever did."""
        told = len(self.untold)
        self.change(site, steered, Share(EVERY), buffered, "")
        del self.untold[told:]

    def before_fork(self) -> None:
        """Spans of the child name calls that are under way now: they are to be handed over when they end."""
        self.sums.forks.append(Clock.now())
        del self.sums.forks[:-MOST_FORKS]

    def after_fork(self) -> None:
        """In a child: what the parent counted is the parent's."""
        self.lock = RLock()
        self.sums.after_fork()
        self.begin()


def _is_full(site: Site) -> bool:
    """Whether a recorded call of this function makes a `Call`."""
    return site.traced is None or "@enter" in site.traced.co_names


def _usual(values: list[int]) -> float:
    """The mean of the middle half."""
    some = sorted(values)[len(values) // 4 : len(values) - len(values) // 4]
    return sum(some) / len(some) if some else 0.0


def _taken() -> tuple[int, int, int, int]:
    recorded = counters.taken + len(sites.records) // WIDTH
    return recorded, counters.entered, counters.roots, counters.capture_ns


def in_turns(turns: list[tuple[int, int]]) -> Callable[[int, int], int]:
    """What tells how much of a time, from a start to an end, lay in these turns, which come one after the other."""
    since, to = [turn[0] for turn in turns], [turn[1] for turn in turns]
    before = [0, *accumulate([turn[1] - turn[0] for turn in turns])]

    def within(start: int, end: int) -> int:
        # A call that waits, as coroutines do, may last for hundreds of turns.
        first, last = bisect_right(to, start), bisect_left(since, end)
        if first >= last:
            return 0
        return before[last] - before[first] - max(start - since[first], 0) - max(to[last - 1] - end, 0)

    return within


def _nothing() -> int:
    return 0


def _differ(one: float, other: float, factor: float) -> bool:
    return one > other * factor or other > one * factor


def _never(site: Site) -> bool:
    return False


def _described(state: str, rate: float, duty: float) -> str:
    if state in (EVERY, PLAIN, OFF):
        return state
    words = f"1 call in {1 / rate:,.0f}" if rate > 0.0 else "no call"
    return f"{words}, in windows of {duty:.1%} of the time" if state == WINDOWS else words
