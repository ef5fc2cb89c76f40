"""read/tests, read/compare and read/baseline: what was called in each test, and in what one run is worse than another."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from cases_kit import call, case, record, site, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscope.errors import AutoscopeError
from autoscope.export.store import StoreExporter
from autoscope.plan import check
from autoscope.plan.model import DIFFERENCES, Thresholds
from autoscope.read import baseline
from autoscope.read.compare import (
    certainty,
    compare,
    gather,
    lines_of,
    median,
    rank,
    weighted_median,
)
from autoscope.read.runs import open_run
from autoscope.read.tests import KEPT, Figures, Measured, Measurement, find_cases, measure, thin
from autoscope.runtime.spans import Details, Trace
from autoscope.verdicts import ALIGNED, CRITICAL_MISS, DRIFTED, VERDICTS, verdict_of

DEFAULT = Thresholds()
TEST = "tests/test_shop.py::test_order"

SHOP = """
import threading

class Refused(Exception):
    pass

def query(sku):
    if sku < 0:
        raise Refused(sku)
    return sku + 1

def order(skus):
    return [query(sku) for sku in skus]

def careful(sku):
    try:
        return query(sku)
    except Refused:
        return None

def in_a_thread(skus):
    thread = threading.Thread(target=order, args=(skus,))
    thread.start()
    thread.join()

def numbers(n):
    for k in range(n):
        yield query(k)
"""


def shop(folder, body, env=(), strategy="balanced"):
    """The measurement of a program that tests the shop."""
    source = "import shop\n" + body
    return measure(record(folder, source, files={"shop.py": SHOP}, env=env, strategy=strategy))


def calls(measured):
    return {name.removeprefix("shop."): one.calls for name, one in measured.functions.items()}


# -- what was called in each test


def test_calls_belong_to_the_test_they_were_made_in(tmp_path):
    """As often as they were made, whether or not they are folded; what the runner itself does is no call."""
    body = """
with case("t.py::one"):
    shop.order(range(4)); list(shop.numbers(2))
with case("t.py::two", "failed"):
    shop.careful(-1); shop.query(1)
shop.query(0)
"""
    spans = shop(tmp_path / "a", body)
    (tmp_path / "plan.yaml").write_text("sampling: {fold_under: 1s}\n")
    folded = shop(tmp_path / "b", body, {"AUTOSCOPE_PLAN": str(tmp_path / "plan.yaml")})
    for found in (spans, folded):
        assert list(found.cases) == ["t.py::one", "t.py::two"]
        assert calls(found.cases["t.py::one"]) == {"order": 1, "query": 6, "numbers": 1}
        assert calls(found.cases["t.py::two"]) == {"careful": 1, "query": 2}
        assert calls(found.rest) == {"query": 1}
        assert [one.outcome for one in found.cases.values()] == ["passed", "failed"]
        assert found.cases["t.py::two"].functions["shop.query"].errors == 1
        assert found.cases["t.py::two"].swallowed == {("shop.careful", "shop.query", "shop.Refused"): 1}
        assert not found.doubts
        assert all(one.exact for measured in found.cases.values() for one in measured.functions.values())
    assert spans.about["strategy"] == "balanced"


def test_what_the_test_itself_catches_is_not_swallowed(tmp_path):
    """`pytest.raises` in a test asks for the exception."""
    run = write(tmp_path, case("t.py::one", call("shop.pay", call("shop.charge", error="Refused"), error="Refused")))

    assert measure(run).cases["t.py::one"].swallowed == {}


def test_other_threads_and_processes_belong_to_the_test(tmp_path):
    """However many lie between: a process that a process of the test's thread has started."""
    test, worker, grandchild = site("tests.t", "test"), site("shop.worker"), site("shop.grandchild")
    told = Details(attributes={"test.case.name": "t.py::one", "pytest.outcome": "passed"})
    far = (1 << 63) + 9
    stores = [StoreExporter(str(tmp_path), run_id="20261121-053012-4f3a", resource={}, info={}) for _ in range(3)]
    trace, elsewhere = Trace(7), Trace(8)
    # Ids of the processes are not in the order of the files: the grandchild's file is read first.
    stores[0].export([(grandchild, 30, Trace(7, remote_parent=far), None, 5, 6, None)])
    stores[1].export([(worker, far, Trace(7, remote_parent=2), None, 3, 9, None)])
    stores[2].export(
        [
            (worker, 2, Trace(7, thread_id=5), (trace, 1), 2, 9, None),
            (test, 1, trace, None, 1, 10, told),
            (worker, 50, elsewhere, None, 20, 21, None),
        ]
    )
    for store in stores:
        store.close(5)

    found = measure(open_run(str(tmp_path)))

    assert {name: one.calls for name, one in found.cases["t.py::one"].functions.items()} == {
        "shop.worker": 2,
        "shop.grandchild": 1,
    }
    assert {name: one.calls for name, one in found.rest.functions.items()} == {"shop.worker": 1}


def test_a_thread_of_a_real_program(tmp_path):
    """What a test's thread calls, where the context came with it."""
    found = shop(
        tmp_path,
        """
import contextvars, threading
with case("t.py::one"):
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(shop.order, range(3)))
    thread.start(); thread.join()
""",
    )

    assert calls(found.cases["t.py::one"]) == {"order": 1, "query": 3}


def test_of_a_repeated_test_the_last_time_counts(tmp_path):
    """And nothing of the times before counts as outside all tests."""
    run = write(
        tmp_path,
        case("t.py::flaky", call("shop.pay", times=3), outcome="rerun"),
        case("t.py::flaky", call("shop.pay")),
    )
    found = measure(run)

    assert [one.outcome for one in find_cases(run)] == ["rerun", "passed"]
    assert found.cases["t.py::flaky"].functions["shop.pay"].calls == 1
    assert not found.rest.functions


def test_own_time_is_without_callees_and_with_waiting(tmp_path):
    """As in reports, test by test; of many times some are kept."""
    run = write(tmp_path, case(TEST, call("shop.order", call("shop.query", took=30, times=100), took=500)))
    of = measure(run).cases[TEST].functions

    assert (of["shop.order"].own_ns, of["shop.order"].total_ns, of["shop.order"].times) == (500, 3_500, (500,))
    assert (of["shop.query"].own_ns, of["shop.query"].calls, len(of["shop.query"].times)) == (3_000, 100, KEPT)


@given(st.lists(st.integers(0, 100), max_size=200))
def test_kept_times_are_some_of_all(values):
    """In order, the first and last among them."""
    kept = thin(sorted(values))
    assert list(kept) == sorted(kept)
    assert len(kept) == min(len(values), KEPT)
    assert not values or (kept[0], kept[-1]) == (min(values), max(values))


def test_estimates_are_said_to_be_such(tmp_path):
    """A function of whose calls some are recorded; one the budget speaks of; and what has no name any more."""
    found = shop(
        tmp_path / "a",
        "with case('t.py::one'):\n    shop.order(range(200))\n",
        {"AUTOSCOPE_PLAN": str(plan_with_rate(tmp_path))},
    )
    of = found.cases["t.py::one"].functions
    assert (of["shop.query"].exact, of["shop.order"].exact) == (False, True)

    unseen = {"unseen": [["shop.pay", "shop.py", 3, "function", 99]]}
    run = write(tmp_path / "b", case(TEST, call("shop.pay"), call("shop.load")), meta={"budget": unseen})
    of = measure(run).cases[TEST].functions
    assert (of["shop.pay"].exact, of["shop.load"].exact) == (False, True)

    others = {
        "autoscope.folded.functions": ["(others)"],
        "autoscope.folded.lines": [0],
        "autoscope.folded.calls": [7],
        "autoscope.folded.total_ns": [70],
    }
    run = write(tmp_path / "c", case(TEST, call("shop.load", attributes=others)), case("t.py::b", call("shop.load")))
    found = measure(run)
    assert (found.cases[TEST].whole, found.cases["t.py::b"].whole) == (False, True)


def plan_with_rate(folder):
    plan = folder / "plan.yaml"
    plan.write_text("modules: {shop: {functions: {query: {rate: 0.5}}}}\n")
    return plan


def test_what_is_lost_makes_a_run_doubtful(tmp_path):
    """Dropped calls, sampled traces (where there are no tests), processes that were killed."""
    lost = {"counters": {"dropped": 3, "sampled_out": 5}}
    assert measure(write(tmp_path / "a", call("shop.pay"), meta=lost)).doubts == (
        "dropped: 3 calls",
        "sampled out: 5 traces",
    )
    assert measure(write(tmp_path / "b", case(TEST), meta=lost)).doubts == ("dropped: 3 calls",)
    code = f"""
import os, sys
sys.path[:0] = {[os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))]!r}
from cases_kit import *
store = StoreExporter(sys.argv[1], run_id="20261121-053012-4f3a", resource={{}}, info={{}})
store.export([(site("shop.pay"), 1, Trace(7), None, 1, 2, None)])
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], check=True)
    assert measure(open_run(str(tmp_path / "c"))).doubts == ("killed: 1 process",)


def test_a_process_may_measure_its_own_run_before_it_ends(tmp_path):
    """As the pytest plugin does when all is flushed."""
    store = StoreExporter(str(tmp_path), run_id="20261121-053012-4f3a", resource={}, info={})
    store.export([(site("shop.pay"), 1, Trace(7), None, 1, 2, None)])

    assert measure(open_run(str(tmp_path))).doubts == ()
    store.close(5)


def test_traces_that_stand_for_several(tmp_path):
    """Count as often, but in tests, which ran once however many were left out."""
    assert measure(write(tmp_path / "a", call("shop.pay"), tracestate="ot=th:8")).rest.functions["shop.pay"].calls == 2
    found = measure(write(tmp_path / "b", case(TEST, call("shop.pay")), tracestate="ot=th:8"))
    assert (found.cases[TEST].functions["shop.pay"].calls, found.cases[TEST].functions["shop.pay"].exact) == (1, True)


# -- in what it is worse


def compared(tmp_path, then, now, thresholds=DEFAULT, **meta):
    return compare(measure(write(tmp_path / "then", *then)), measure(write(tmp_path / "now", *now, **meta)), thresholds)


def told(comparison):
    return [(line.finding.severity, line.finding.kind, line.finding.target, line.cases) for line in gather(comparison)]


def test_more_calls(tmp_path):
    """The N+1 of the issue: 400 for 4. One that grew by less than the thresholds is nothing."""
    found = compared(
        tmp_path,
        [case(TEST, call("shop.query", times=4), call("shop.load", times=20)), case("t.py::b", call("shop.query"))],
        [case(TEST, call("shop.query", times=400), call("shop.load", times=30)), case("t.py::b", call("shop.query"))],
    )

    assert found.verdict == CRITICAL_MISS
    assert found.verdicts() == {TEST: CRITICAL_MISS, "t.py::b": ALIGNED}
    assert told(found) == [("critical", "calls", "shop.query", (TEST,))]
    assert lines_of(found) == [
        "CRITICAL_MISS  run 20261121-053012-4f3a against run 20261121-053012-4f3a: 2 tests compared, 1 CRITICAL_MISS",
        f"  critical  calls      shop.query: called 4 -> 400 times ({TEST})",
    ]


@pytest.mark.parametrize(
    ("then", "now", "is_told"),
    [(4, 8, False), (4, 9, True), (6, 11, False), (6, 12, True), (1, 6, True), (9, 4, False), (5, 5, False)],
)
def test_both_thresholds_have_to_be_passed(tmp_path, then, now, is_told):
    """Twice as often, and five times more."""
    found = compared(tmp_path, [case(TEST, call("shop.q", times=then))], [case(TEST, call("shop.q", times=now))])

    assert (found.verdict == CRITICAL_MISS) is is_told


def test_functions_no_longer_called(tmp_path):
    """The check that is skipped now; a new function is nothing to tell."""
    found = compared(
        tmp_path,
        [case(TEST, call("shop.allowed"), call("shop.pay"))],
        [case(TEST, call("shop.pay"), call("shop.fast"))],
    )

    assert told(found) == [("critical", "gone", "shop.allowed", (TEST,))]
    assert gather(found)[0].finding.detail == "no longer called, was once"


def test_new_exceptions_swallowed(tmp_path):
    """Below a function that ends well; not those that were swallowed before, nor those that go on upwards."""
    fails = call("shop.charge", error="Refused")
    loses = call("shop.load", call("shop.read", error="OSError"))
    found = compared(
        tmp_path,
        [case(TEST, loses, call("shop.pay", call("shop.charge")))],
        [case(TEST, loses, call("shop.pay", fails), call("shop.pay", fails, error="Refused"))],
    )

    assert told(found) == [("critical", "swallowed", "shop.charge", (TEST,))]
    assert gather(found)[0].finding.detail == "Refused does not leave shop.pay"


def test_what_a_difference_counts_for_is_the_plans(tmp_path):
    """`fail` decides, `warn` warns, the rest is noted."""
    then, now = [case(TEST, call("shop.a"), call("shop.q"))], [case(TEST, call("shop.q", times=9))]
    verdicts = [
        compared(tmp_path / str(number), then, now, DEFAULT._replace(fail=fail, warn=warn)).verdict
        for number, (fail, warn) in enumerate([(("gone",), ()), ((), ("calls",)), ((), ()), (("gone",), ("gone",))])
    ]

    assert verdicts == [CRITICAL_MISS, DRIFTED, ALIGNED, CRITICAL_MISS]


def test_estimates_decide_nothing(tmp_path):
    """Where calls were dropped, one that is missing is noted, one too many warned of."""
    found = compared(
        tmp_path,
        [case(TEST, call("shop.a"), call("shop.q"))],
        [case(TEST, call("shop.q", times=9))],
        meta={"counters": {"dropped": 1}},
    )

    assert found.verdict == DRIFTED
    assert told(found) == [("drift", "calls", "shop.q", (TEST,)), ("note", "gone", "shop.a", (TEST,))]
    assert found.notes == ("run 20261121-053012-4f3a: dropped: 1 call",)
    assert "an estimate, so nothing is decided by it" in lines_of(found)[1]


def test_one_that_is_recorded_in_part_may_have_been_called(tmp_path):
    """Though it is in no span of the test; and its caller, where it left none, is not the one that is known."""
    unseen = {"unseen": [["shop.a", "shop.py", 3, "function", 99]]}
    failed = call("shop.q", error="Refused")
    found = compared(
        tmp_path,
        [case(TEST, call("shop.order", call("shop.a", failed))), case("t.py::b", call("shop.b"))],
        [case(TEST, call("shop.order", failed)), case("t.py::b", call("shop.c"))],
        meta={"budget": unseen},
    )

    assert told(found) == [
        ("critical", "gone", "shop.b", ("t.py::b",)),
        ("note", "gone", "shop.a", (TEST,)),
        ("note", "swallowed", "shop.q", (TEST,)),
    ]


def test_a_test_with_another_outcome_is_not_compared(tmp_path):
    """It ended early. Tests that only one of the two has are named. Where nothing is left to compare, that is a warning."""
    found = compared(
        tmp_path,
        [case(TEST, call("shop.a"), call("shop.b")), case("t.py::old", call("shop.a"))],
        [case(TEST, call("shop.a"), outcome="failed"), case("t.py::new", call("shop.a"))],
    )

    assert (found.verdict, found.skipped, found.new, found.missing) == (
        DRIFTED,
        (TEST,),
        ("t.py::new",),
        ("t.py::old",),
    )
    assert found.notes == ("nothing was compared: no test is in both with the same outcome",)


def test_runs_without_tests_are_compared_as_a_whole(tmp_path):
    """As `autoscope diff` does with two runs of a program; one with tests and one without have nothing in common."""
    found = compared(tmp_path, [call("shop.main", call("shop.q"))], [call("shop.main", call("shop.q", times=50))])
    assert (found.verdict, found.verdicts()) == (CRITICAL_MISS, {"": CRITICAL_MISS})
    assert lines_of(found)[0] == "CRITICAL_MISS  run 20261121-053012-4f3a against run 20261121-053012-4f3a"

    found = compared(tmp_path / "other", [call("shop.main")], [case(TEST, call("shop.main"))])
    assert found.notes[0] == "run 20261121-053012-4f3a has tests, run 20261121-053012-4f3a has none"
    assert "nothing was compared" in found.notes[1]


def test_other_strategies_are_no_reason_to_fail(tmp_path):
    """A function that is no longer watched looks as one that is no longer called."""
    found = compared(
        tmp_path,
        [case(TEST, call("shop.a"), call("shop.b"))],
        [case(TEST, call("shop.a"))],
        info={"strategy": "minimal", "python": "3.13.1"},
    )

    assert (found.verdict, told(found)) == (ALIGNED, [("note", "gone", "shop.b", (TEST,))])
    assert found.notes[0] == "strategy balanced then, minimal now: other functions are watched"
    assert found.notes[1].endswith(" then, 3.13.1 now: times may differ")


def test_the_same_in_many_tests_is_one_line(tmp_path):
    """The worst of them is told."""
    then = [case(f"t.py::{k}", call("shop.q")) for k in range(4)]
    now = [case(f"t.py::{k}", call("shop.q", times=6 + k)) for k in range(4)]

    assert lines_of(compared(tmp_path, then, now))[1:] == [
        "  critical  calls      shop.q: called 1 -> 9 times (t.py::3 and 3 more)"
    ]


def test_the_words_are_those_of_check():
    """`autoscope check` and this give the same verdicts."""
    assert check.verdict_of is compare.__globals__["verdict_of"] is verdict_of
    assert (ALIGNED, DRIFTED, CRITICAL_MISS) == VERDICTS == ("ALIGNED", "DRIFTED", "CRITICAL_MISS")


# -- times


def measured(times):
    """Function -> own times, as one test's measurement."""
    figures = {name: Figures(len(of), 0, sum(of), sum(of), thin(sorted(of))) for name, of in times.items()}
    return Measured("passed", figures)


def measurement(*cases):
    return Measurement("m", {f"t.py::{number}": measured(times) for number, times in enumerate(cases)})


def noisy(seed, scale, count):
    chance = random.Random(seed)
    return [round(scale * chance.lognormvariate(0, 0.2)) for _ in range(count)]


def functions(seed, **scales):
    """Eight functions of which most stay as they are."""
    usual = {f"f{k}": noisy(seed * 100 + k, 100_000 * (k + 1), 30) for k in range(8)}
    return usual | {name: noisy(seed + ord(name[-1]), scale, 30) for name, scale in scales.items()}


def test_a_slower_function_is_told(tmp_path):
    """Twice as long is beyond chance with thirty calls; it warns, and is nobody else's fault."""
    found = compare(measurement(functions(1, slow=500_000)), measurement(functions(2, slow=1_000_000)), DEFAULT)

    assert (found.verdict, [one.target for one in found.findings]) == (DRIFTED, ["slow"])
    assert found.findings[0].detail.startswith("a call's own time ")
    gates = DEFAULT._replace(fail=("time",))
    assert compare(
        measurement(functions(1, slow=500_000)), measurement(functions(2, slow=1_000_000)), gates
    ).verdict == (CRITICAL_MISS)


def test_a_slower_machine_is_not_a_slower_function():
    """Where everything takes twice as long, that is said once, and only what is slower than that is told."""
    then = functions(1, slow=500_000)
    now = {name: [2 * time for time in times] for name, times in functions(2, slow=1_500_000).items()}
    found = compare(measurement(then), measurement(now), DEFAULT)

    assert 1.8 < found.pace < 2.2
    assert [one.target for one in found.findings] == ["slow"]
    assert any("times as long as a rule" in line for line in lines_of(found))


def test_a_single_slow_call_is_chance():
    """However slow: that is what noise looks like."""
    then, now = functions(1), functions(1)
    now["f3"] = [*now["f3"][1:], 10**9]
    few_then, few_now = {"few": [10**6] * 3}, {"few": [10**8] * 3}

    assert compare(measurement(then), measurement(now), DEFAULT).verdict == ALIGNED
    assert compare(measurement(few_then), measurement(few_now), DEFAULT).verdict == ALIGNED


def test_calls_are_compared_with_calls_of_the_same_test():
    """One test is slow and one is fast. More calls in the slow one are no slower function; slower in each, it is."""
    then = measurement({"f": noisy(1, 10**5, 30)}, {"f": noisy(2, 10**7, 3)})
    more = measurement({"f": noisy(3, 10**5, 3)}, {"f": noisy(4, 10**7, 30)})
    slower = measurement({"f": noisy(3, 3 * 10**5, 30)}, {"f": noisy(4, 3 * 10**7, 3)})

    assert compare(then, more, DEFAULT).findings == ()
    assert [one.target for one in compare(then, slower, DEFAULT).findings] == ["f"]


def test_one_call_each_in_many_tests_is_enough():
    """The tests are what varies then."""
    then = measurement(*({"f": noisy(k, 10**6, 1)} for k in range(20)))
    now = measurement(*({"f": noisy(100 + k, 3 * 10**6, 1)} for k in range(20)))

    assert [one.target for one in compare(then, now, DEFAULT).findings] == ["f"]


def test_little_time_is_not_worth_a_word():
    """Twice as long, and still nothing beside a millisecond."""
    assert compare(measurement({"f": [100] * 30}), measurement({"f": [200] * 30}), DEFAULT).verdict == ALIGNED


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_ranks_are_those_of_the_definition(old, new):
    """Every pair counted one by one."""
    wins, ties = rank(old, new)
    together = old + new

    assert wins == sum((b > a) + (a == b) / 2 for a in old for b in new)
    assert ties == sum(together.count(value) ** 3 - together.count(value) for value in set(together))


def test_certainty_is_that_of_the_literature():
    """Worked out by hand for 1..8 against 9..16 (U = 64, sigma = sqrt(64 * 17 / 12)), and additive over equal strata."""
    one = (tuple(range(1, 9)), tuple(range(9, 17)), 8.0)
    expected = 32 / (64 * 17 / 12) ** 0.5

    assert certainty([one]) == pytest.approx(expected)
    assert certainty([one] * 4) == pytest.approx(2 * expected)
    assert certainty([((5, 5), (5, 5), 2.0)]) == 0.0


@given(st.lists(st.floats(-9, 9), min_size=1))
def test_medians(values):
    """A weighted one with equal weights is the lower of those in the middle."""
    ordered = sorted(values)
    assert weighted_median([(value, 3) for value in values]) == ordered[(len(values) - 1) // 2]
    assert ordered[(len(values) - 1) // 2] <= median(ordered) <= ordered[len(values) // 2]


# -- for any measurement

names = st.sampled_from(["shop.a", "shop.b", "shop.c<locals>", "shöp.\ud800", 'x"y\\z'])
figures = st.builds(
    lambda calls, errors, own, total, times, exact: Figures(calls, errors, own, total, thin(sorted(times)), exact),
    st.integers(0, 2000),
    st.integers(0, 3),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.lists(st.integers(0, 10**8), max_size=40),
    st.booleans(),
)
measureds = st.builds(
    Measured,
    st.sampled_from(["passed", "failed"]),
    st.dictionaries(names, figures, max_size=4),
    st.dictionaries(st.tuples(names, names, names), st.integers(1, 9), max_size=2),
    st.booleans(),
)
measurements = st.builds(
    lambda cases, rest, estimated, doubts, about: Measurement(
        "m", cases, Measured() if cases else rest, estimated, tuple(doubts), about
    ),
    st.dictionaries(st.sampled_from(["t.py::a", "t.py::b[x y]", "t.py::c[\n]"]), measureds, max_size=3),
    measureds,
    st.frozensets(names, max_size=2),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.sampled_from(["python", "strategy"]), st.text(max_size=5)),
)
kinds = st.lists(st.sampled_from(DIFFERENCES), unique=True).map(tuple)
thresholds = st.builds(
    Thresholds, st.floats(1, 9), st.integers(1, 99), st.floats(1, 9), st.integers(0, 10**8), kinds, kinds
)


@settings(max_examples=60, deadline=None)
@given(measurements, thresholds)
def test_whatever_is_compared_with_itself_is_aligned(one, limits):
    """With any thresholds."""
    found = compare(one, one, limits)

    assert (found.verdict, gather(found)) == (ALIGNED, [])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(measurements, measurements, thresholds, thresholds)
def test_looser_thresholds_never_make_it_worse(then, now, one, other):
    """Higher numbers, fewer kinds that fail."""
    looser = Thresholds(
        *(max(a, b) for a, b in zip(one[:4], other[:4], strict=True)),
        tuple(kind for kind in one.fail if kind in other.fail),
        one.warn,
    )
    strict = one._replace(warn=one.warn)
    worse, better = compare(then, now, strict), compare(then, now, looser)

    assert VERDICTS.index(better.verdict) <= VERDICTS.index(worse.verdict)
    for case_better, case_worse in zip(better.cases, worse.cases, strict=True):
        assert VERDICTS.index(case_better.verdict) <= VERDICTS.index(case_worse.verdict)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(measurements)
def test_a_baseline_is_read_as_it_was_written(tmp_path, one):
    """To the last figure; and written again it is the same bytes."""
    path = tmp_path / "base.jsonl"
    baseline.write(one, str(path))
    again = baseline.read(str(path))

    assert (again.cases, again.rest, again.about) == (one.cases, one.rest, one.about)
    assert (again.estimated, again.doubts) == (one.estimated, one.doubts)
    first = path.read_bytes()
    baseline.write(again, str(path))
    assert path.read_bytes() == first


# -- baseline files


def test_a_run_is_aligned_with_the_baseline_saved_of_it(tmp_path):
    """Which is text a person can read in a diff."""
    tests = [case(TEST, call("shop.pay", call("shop.charge", error="Refused", times=2)))]
    found = measure(write(tmp_path, *tests, info={"strategy": "balanced", "python": "3.11.7"}))
    path = tmp_path / "base.jsonl"
    baseline.write(found, str(path))

    assert path.read_text().splitlines() == [
        '{"autoscope_baseline": 1, "autoscope": "'
        + found.about["autoscope"]
        + '", "python": "3.11.7", "strategy": "balanced"}',
        f'{{"test": "{TEST}", "outcome": "passed"}}',
        '{"function": "shop.charge", "calls": 2, "errors": 2, "own_ns": 20000, "total_ns": 20000, "times_ns": [10000, 10000]}',
        '{"function": "shop.pay", "calls": 1, "own_ns": 10000, "total_ns": 30000, "times_ns": [10000]}',
        '{"swallowed": "Refused", "function": "shop.charge", "by": "shop.pay", "count": 2}',
    ]
    assert compare(baseline.load(str(path), str(tmp_path)), found, DEFAULT).verdict == ALIGNED


HEAD = '{"autoscope_baseline": 1}\n'
BAD = [
    ("", "base:1: no baseline: it is empty; "),
    ("\n\n[]", "base:3: not an object; "),
    ("{}", "base:1: not a baseline: it begins otherwise; "),
    ('{"autoscope_baseline": 2}', "base:1: version 2 is not one this autoscope reads (it reads 1); "),
    ('{"autoscope_baseline": 1, "python": 3}', "base:1: `python` is not text; "),
    ('{"autoscope_baseline": 1, "doubts": "x"}', "base:1: `doubts` is not a list of texts; "),
    (HEAD + '{"function": "f"}', "base:2: stands before the first test; "),
    (HEAD + '{"test": "a"', "base:2: not JSON: Expecting ',' delimiter; "),
    (HEAD + "[" * 200_000, "base:2: not JSON: "),
    (HEAD + '{"test": 5, "outcome": ""}', "base:2: `test` is not text; "),
    (HEAD + '{"test": "a"}', "base:2: `outcome` is not text; "),
    (HEAD + '{"test": "a", "outcome": "", "whole": 1}', "base:2: `whole` is neither true nor false; "),
    (HEAD + '{"test": "a", "outcome": ""}\n{"test": "a", "outcome": ""}', "base:3: a stands here twice; "),
    (
        HEAD + '{"test": "a", "outcome": ""}\n{"function": "f", "calls": -1}',
        "base:3: `calls` is not a whole number from 0 on; ",
    ),
    (
        HEAD
        + '{"test": "a", "outcome": ""}\n{"function": "f", "calls": 1, "own_ns": 1, "total_ns": 1, "times_ns": [1.5]}',
        "base:3: `times_ns` is not a list of whole numbers; ",
    ),
    (
        HEAD + '{"test": "a", "outcome": ""}\n{"swallowed": "E", "function": "f", "count": 1}',
        "base:3: `by` is not text; ",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_baseline_is_refused_with_its_line(tmp_path, monkeypatch, text, message):
    """In one line, with the way out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").write_text(text)
    with pytest.raises(AutoscopeError) as refused:
        baseline.read("base")

    assert str(refused.value).startswith(message)
    assert str(refused.value).endswith("save it anew with `pytest --autoscope-save-baseline`")
    assert "\n" not in str(refused.value)


def test_other_files_and_places(tmp_path):
    """What is no text, what is not there, what cannot be written."""
    (tmp_path / "base").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AutoscopeError, match="base:1: no baseline: it is not text"):
        baseline.read(str(tmp_path / "base"))
    with pytest.raises(AutoscopeError, match="can't read .*: Is a directory"):
        baseline.read(str(tmp_path))
    with pytest.raises(AutoscopeError, match="can't compare with 'nothing': no such file, and no runs in "):
        baseline.load("nothing", str(tmp_path / "store"))
    with pytest.raises(AutoscopeError, match="can't write /nowhere/base: No such file or directory"):
        baseline.write(Measurement("m"), "/nowhere/base")


def test_a_run_is_a_baseline_too(tmp_path):
    """By its id, the beginning of one, or its folder."""
    run = write(tmp_path, case(TEST, call("shop.pay")))
    for word in (run.id, run.id[:8], run.path):
        assert baseline.load(word, str(tmp_path)).cases[TEST].functions["shop.pay"].calls == 1
