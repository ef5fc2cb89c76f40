"""Two measurements, and in what the later is worse: values in, a `Comparison` out, and that as text.

Calls are compared test by test, as numbers. Times are compared function by function over all tests that both have:

- how much longer: the median of a test's calls, now over then; of all tests the weighted median of that;
- whether it is chance: the rank test of Wilcoxon, Mann and Whitney, with tests as strata (van Elteren 1960, "On the combination of
  independent two-sample tests of Wilcoxon"), so that calls are only compared with calls of the same test;
- whether it is the machine: the median of all functions' ratios is taken off first, where it is above 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from autoscope.read.report import human_time, plural
from autoscope.read.tests import Figures, Measured, Measurement
from autoscope.verdicts import CRITICAL_MISS, DRIFTED, verdict_of

if TYPE_CHECKING:
    from autoscope.plan.model import Thresholds

CERTAIN = 3.09
"""Standard deviations from where on slower is not chance: one function in a thousand is beyond it by chance alone."""
FEW_FUNCTIONS = 5
"""Fewer than these do not tell how fast the machine is."""
ENOUGH_TIMES = 7
"""Own times on either side from which on a function tells something of the machine; fewer are never `CERTAIN`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a run is worse than its baseline."""

    severity: str
    """`critical`, `drift` or `note`."""
    kind: str
    """`calls`, `gone`, `swallowed` or `time`."""
    target: str
    """A function."""
    detail: str
    weight: float = 0
    """Of findings that are alike, the worst has most."""


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """What came of one test."""

    id: str
    """Node id; empty for a run without tests."""
    verdict: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of all of them."""

    verdict: str
    before: str
    after: str
    cases: tuple[CaseVerdict, ...]
    """Those that were compared, in the later one's order."""
    findings: tuple[Finding, ...]
    """What was found of functions over all tests: times."""
    skipped: tuple[str, ...]
    """Tests in both whose outcome is another now."""
    new: tuple[str, ...]
    missing: tuple[str, ...]
    pace: float
    """How much longer functions take as a rule: above 1, the later machine was slower, or everything is."""
    notes: tuple[str, ...]
    """What makes counts uncertain, or the two hard to compare."""

    def verdicts(self) -> dict[str, str]:
        """Node id -> verdict, of the tests that were compared."""
        return {case.id: case.verdict for case in self.cases}

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def compare(before: Measurement, after: Measurement, thresholds: Thresholds) -> Comparison:
    """In what `after` is worse than `before`."""
    strata, skipped = pairs_of(before, after)
    notes = [f"{one.name}: {doubt}" for one in (before, after) for doubt in one.doubts]
    certain = not notes
    notes += differences(before, after)
    if not strata:
        notes.append("nothing was compared: no test is in both with the same outcome")
    same_watch = before.about.get("strategy") == after.about.get("strategy")
    cases = []
    for id, then, now in strata:
        judge = _Judge(thresholds, certain and then.whole and now.whole, same_watch, before.estimated | after.estimated)
        found = [*judge.calls(then, now), *judge.gone(then, now), *judge.swallowed(then, now)]
        cases.append(CaseVerdict(id, verdict_of(one.severity for one in found), tuple(found)))
    pace, slower = compare_times([(then, now) for _, then, now in strata], thresholds)
    every = [finding for case in cases for finding in case.findings]
    verdict = verdict_of(one.severity for one in [*every, *slower])
    return Comparison(
        # That nothing could be compared is no reason to fail, and none to call it well.
        verdict if strata else DRIFTED,
        before.name,
        after.name,
        tuple(cases),
        tuple(slower),
        tuple(skipped),
        tuple(id for id in after.cases if id not in before.cases),
        tuple(id for id in before.cases if id not in after.cases),
        round(pace, 3),
        tuple(notes),
    )


def pairs_of(before: Measurement, after: Measurement) -> tuple[list[tuple[str, Measured, Measured]], list[str]]:
    """(test, then, now) of all that can be compared, and tests that cannot because their outcome is another.

    A test that fails ends early: what it did not call tells nothing more.
    """
    if not before.cases and not after.cases:
        return [("", before.rest, after.rest)], []
    pairs, skipped = [], []
    for id, now in after.cases.items():
        then = before.cases.get(id)
        if then is not None and then.outcome == now.outcome:
            pairs.append((id, then, now))
        elif then is not None:
            skipped.append(id)
    return pairs, skipped


def differences(before: Measurement, after: Measurement) -> list[str]:
    """In what the circumstances differ."""
    found = []
    if bool(before.cases) != bool(after.cases):
        with_tests, without = (before, after) if before.cases else (after, before)
        found.append(f"{with_tests.name} has tests, {without.name} has none")
    for key, what in (("strategy", "other functions are watched"), ("python", "times may differ")):
        then, now = before.about.get(key), after.about.get(key)
        if then and now and then != now:
            found.append(f"{key} {then} then, {now} now: {what}")
    return found


class _Judge:
    """What differences in one test count for."""

    def __init__(
        self, thresholds: Thresholds, certain: bool, same_watch: bool, estimated: frozenset[str] = frozenset()
    ) -> None:
        self.thresholds = thresholds
        self.certain = certain
        self.same_watch = same_watch
        self.estimated = estimated

    def finding(self, kind: str, target: str, detail: str, exact: bool, weight: float) -> Finding:
        severity = severity_of(kind, self.thresholds)
        if not (exact and self.certain) and severity != "note":
            # More calls than before are worth a word all the same; that one is missing may be chance.
            severity = "drift" if kind == "calls" else "note"
            detail += "; an estimate, so nothing is decided by it"
        return Finding(severity, kind, target, detail, weight)

    def is_exact(self, name: str, *figures: Figures) -> bool:
        return name not in self.estimated and all(one.exact for one in figures)

    def calls(self, then: Measured, now: Measured) -> list[Finding]:
        found = []
        for name in sorted(now.functions.keys() & then.functions.keys()):
            old, new = then.functions[name], now.functions[name]
            more = new.calls - old.calls
            if more >= self.thresholds.calls_more and new.calls >= old.calls * self.thresholds.calls_times:
                detail = f"called {count(old)} -> {count(new)} times"
                found.append(self.finding("calls", name, detail, self.is_exact(name, old, new), more))
        return found

    def gone(self, then: Measured, now: Measured) -> list[Finding]:
        found = []
        for name in sorted(then.functions.keys() - now.functions.keys()):
            old = then.functions[name]
            times = "once" if round(old.calls) == 1 else f"{count(old)} times"
            detail = f"no longer called, was {times}"
            found.append(self.finding("gone", name, detail, self.is_exact(name, old) and self.same_watch, old.calls))
        return found

    def swallowed(self, then: Measured, now: Measured) -> list[Finding]:
        found = []
        for (caller, name, error), number in sorted(now.swallowed.items()):
            if (caller, name, error) not in then.swallowed:
                # Where calls are left out, the caller that is known may not be the one that was.
                whole = not any(one.counted for measured in (then, now) for one in measured.functions.values())
                exact = whole and not self.estimated and self.same_watch
                detail = f"{error} does not leave {caller}"
                if name in then.functions and caller not in then.functions:
                    detail += ", which was not called before"
                found.append(self.finding("swallowed", name, detail, exact, number))
        return found


def severity_of(kind: str, thresholds: Thresholds) -> str:
    """What a difference of that kind counts for."""
    return "critical" if kind in thresholds.fail else "drift" if kind in thresholds.warn else "note"


def count(figures: Figures) -> str:
    """`1,200`, with `~` where it is an estimate."""
    return f"{'' if figures.exact else '~'}{round(figures.calls):,}"


# -- times

Strata = list[tuple[tuple[int, ...], tuple[int, ...], float]]
"""Of one function in each test: own times then and now, and how many calls these now stand for."""


def compare_times(pairs: Sequence[tuple[Measured, Measured]], thresholds: Thresholds) -> tuple[float, list[Finding]]:
    """How much slower everything is, and the functions that are slower than that."""
    strata: dict[str, Strata] = {}
    for then, now in pairs:
        for name, new in now.functions.items():
            old = then.functions.get(name)
            if old is not None and old.times and new.times:
                strata.setdefault(name, []).append((old.times, new.times, new.calls))
    ratios = {name: ratio_of(of) for name, of in strata.items()}
    pace = pace_of(strata, ratios)
    allowed = max(pace, 1.0)
    found = []
    for name, of in strata.items():
        ratio = ratios[name] / allowed
        more = sum((median(new) / allowed - median(old)) * calls for old, new, calls in of)
        if ratio >= thresholds.time_times and more >= thresholds.time_more_ns and certainty(of, allowed) >= CERTAIN:
            old_time = weighted_median([(median(old), _weight(old, new)) for old, new, _ in of])
            new_time = weighted_median([(median(new), _weight(old, new)) for old, new, _ in of])
            detail = (
                f"a call's own time {human_time(round(old_time))} -> {human_time(round(new_time))}, "
                f"{ratio:.3g} times as long, {human_time(round(more))} more in all"
            )
            found.append(Finding(severity_of("time", thresholds), "time", name, detail, more))
    return pace, sorted(found, key=lambda finding: (-finding.weight, finding.target))


def _weight(old: Sequence[float], new: Sequence[float]) -> float:
    return min(len(old), len(new))


def ratio_of(strata: Strata) -> float:
    """How many times as long calls of a function take now."""
    return weighted_median([(max(median(new), 1) / max(median(old), 1), _weight(old, new)) for old, new, _ in strata])


def pace_of(strata: dict[str, Strata], ratios: dict[str, float]) -> float:
    """What the ratios of most functions are."""
    told = [
        ratios[name]
        for name, of in strata.items()
        if min(sum(len(old) for old, _, _ in of), sum(len(new) for _, new, _ in of)) >= ENOUGH_TIMES
    ]
    return median(sorted(told)) if len(told) >= FEW_FUNCTIONS else 1.0


def certainty(strata: Strata, allowed: float = 1.0) -> float:
    """By how many standard deviations the later times, divided by `allowed`, rank above the earlier ones."""
    above = variance = 0.0
    for old, new, _ in strata:
        m, n = len(old), len(new)
        wins, ties = rank(old, [value / allowed for value in new])
        size = m + n
        # The rank sum's mean and variance where both come from one distribution, equal values counted as such.
        spread = m * n / 12 * (size + 1 - (ties / (size * (size - 1)) if size > 1 else 0))
        weight = 1 / (size + 1)
        above += weight * (wins - m * n / 2)
        variance += weight * weight * spread
    return above / variance**0.5 if variance > 0 else 0.0


def rank(old: Sequence[float], new: Sequence[float]) -> tuple[float, int]:
    """In how many of all pairs the new value is above the old, equal ones half; and the sum of t³ - t over groups of t equal values."""
    ordered = sorted([(value, 0) for value in old] + [(value, 1) for value in new])
    wins, ties, below, at = 0.0, 0, 0, 0
    while at < len(ordered):
        sides = [0, 0]
        value = ordered[at][0]
        while at < len(ordered) and ordered[at][0] == value:
            sides[ordered[at][1]] += 1
            at += 1
        wins += sides[1] * (below + sides[0] / 2)
        below += sides[0]
        equal = sides[0] + sides[1]
        ties += equal**3 - equal
    return wins, ties


def median(ordered: Sequence[float]) -> float:
    """Of values in order."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def weighted_median(values: Sequence[tuple[float, float]]) -> float:
    """The value with half of the weight at or below it."""
    ordered = sorted(values)
    half = sum(weight for _, weight in ordered) / 2
    for value, weight in ordered:
        half -= weight
        if half <= 0:
            return value
    return ordered[-1][0]


# -- as text


@dataclass(frozen=True, slots=True)
class Line:
    """Findings that are alike, in however many tests."""

    finding: Finding
    """The worst of them."""
    cases: tuple[str, ...]
    """Node ids, that of the worst first."""


def gather(comparison: Comparison) -> list[Line]:
    """The findings of all tests, worst first, those of one function and kind in one."""
    found: dict[tuple[str, str, str], list[tuple[Finding, str]]] = {}
    for finding in comparison.findings:
        found.setdefault((finding.severity, finding.kind, finding.target), []).append((finding, ""))
    for case in comparison.cases:
        for finding in case.findings:
            found.setdefault((finding.severity, finding.kind, finding.target), []).append((finding, case.id))
    lines = []
    for alike in found.values():
        alike.sort(key=lambda one: (-one[0].weight, one[1]))
        lines.append(Line(alike[0][0], tuple(dict.fromkeys(id for _, id in alike if id))))
    order = ("critical", "drift", "note")
    return sorted(lines, key=lambda line: (order.index(line.finding.severity), line.finding.kind, line.finding.target))


def headline(comparison: Comparison) -> str:
    """The verdict, and over what."""
    what = f"{comparison.after} against {comparison.before}"
    if len(comparison.cases) == 1 and not comparison.cases[0].id:
        return f"{comparison.verdict}  {what}"
    counts = [f"{plural(len(comparison.cases), 'test')} compared"]
    for verdict in (CRITICAL_MISS, DRIFTED):
        number = sum(case.verdict == verdict for case in comparison.cases)
        counts += [f"{number:,} {verdict}"] if number else []
    for tests, word in (
        (comparison.new, "new"),
        (comparison.missing, "not there"),
        (comparison.skipped, "with another outcome"),
    ):
        counts += [f"{len(tests):,} {word}"] if tests else []
    return f"{comparison.verdict}  {what}: {', '.join(counts)}"


def lines_of(comparison: Comparison, limit: int | None = None) -> list[str]:
    """The headline, a line for each kind of finding of a function, and what is uncertain."""
    found = [headline(comparison)]
    gathered = gather(comparison)
    for line in gathered[:limit]:
        one = line.finding
        where = ""
        if line.cases:
            where = f" ({line.cases[0]}{f' and {len(line.cases) - 1:,} more' if len(line.cases) > 1 else ''})"
        found.append(f"  {one.severity:8}  {one.kind:9}  {one.target}: {one.detail}{where}")
    if limit is not None and len(gathered) > limit:
        found.append(f"  and {len(gathered) - limit:,} more")
    if comparison.pace >= 1.1:
        found.append(
            f"  calls took {comparison.pace:.3g} times as long as a rule; only what is slower than that is told"
        )
    return found + [f"  note: {note}" for note in comparison.notes]


def render_json(comparison: Comparison) -> str:
    return json.dumps(comparison.as_dict(), indent=2) + "\n"
