"""Traces decided when they have ended, and short calls counted above them: against a model, then in real programs."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace as otel
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from autoscope.export.store import StoreExporter, new_run_id
from autoscope.plan.resolve import resolve_mapping
from autoscope.read.runs import open_run
from autoscope.runtime import fold, late, sampling, sites
from autoscope.runtime.late import Late
from autoscope.runtime.sites import Batch, counters
from autoscope.runtime.spans import Details, Trace, Undecided
from autoscope.weave.weaver import Weaver
from program_kit import run

US = 1_000
MS = 1_000_000


def functions(count):
    """Sites of a program that is not there."""
    return [
        sites.new_site("app", f"f{number}", "/app.py", number + 1, "function", "bytecode", ())
        for number in range(count)
    ]


def failure():
    return Details("ValueError", "on purpose")


class Calls:
    """Records of generated calls, in the order they end. A call is (function, nanoseconds of its own, failed, callees)."""

    def __init__(self, places, ids, clock=0):
        self.places, self.ids, self.clock = places, ids, clock
        self.records = []
        self.spans = {}
        """Each call's, which all of its callees have as their parent: the same tuple, as in a program."""

    def make(self, call, trace, parent=None):
        number, own, failed, callees = call
        span = next(self.ids)
        start = self.clock
        me = self.spans[span] = (trace, span)
        for callee in callees:
            self.clock += own // (len(callees) + 1)
            self.make(callee, trace, me)
        self.clock += max(own - own // (len(callees) + 1) * len(callees), 0)
        details = failure() if failed else None
        self.records.append((self.places[number], span, trace, parent, start, self.clock, details))
        return self.records


def ids():
    number = random.Random(5).getrandbits(50)
    while True:
        number += 1
        yield number


def calls(most_own=120 * US, depth=5):
    """Generated calls of four functions, with callees."""
    return st.recursive(
        st.tuples(st.integers(0, 3), st.integers(0, most_own), st.sampled_from([False] * 9 + [True]), st.just([])),
        lambda inner: st.tuples(
            st.integers(0, 3), st.integers(0, most_own), st.just(False), st.lists(inner, min_size=1, max_size=depth)
        ),
        max_leaves=25,
    )


def interleaved(streams, choices):
    """All records of several threads in one order, each thread's in its own."""
    streams = [list(stream) for stream in streams]
    while any(streams):
        stream = choices.choice([stream for stream in streams if stream])
        yield stream.pop(0)


def in_batches(records, choices):
    records = list(records)
    while records:
        count = choices.randint(1, 7)
        yield Batch([part for record in records[:count] for part in record])
        del records[:count]


def flat(batch):
    return list(Batch(list(batch.parts)))


def measured(batches):
    """Function -> what a report says of it, of records written to a real store."""
    folder = tempfile.mkdtemp()
    try:
        store = StoreExporter(folder, run_id=new_run_id(), resource={}, info={})
        for batch in batches:
            store.export(batch)
        store.close()
        assert not store.dropped
        return {function.name: function for function in open_run(folder).functions()}
    finally:
        shutil.rmtree(folder)


# -- folding, against what is reported of the same calls unfolded


@settings(max_examples=60, deadline=None)
@given(trees=st.lists(calls(), min_size=1, max_size=3), seed=st.integers(0, 1000), under=st.integers(1, 300))
def test_a_folded_run_is_reported_as_the_unfolded_one(trees, seed, under):
    """Calls, errors, own and total time and the longest call of every function, whatever is folded; nothing hangs in the air."""
    places, numbers, choices = functions(4), ids(), random.Random(seed)
    streams = [Calls(places, numbers).make(tree, Trace(number + 1)) for number, tree in enumerate(trees)]
    records = list(interleaved(streams, choices))
    folder = Late()
    folder.follow(False, None, under * US)
    out = [folder.take(batch, 0) for batch in in_batches(records, choices)]
    out.append(folder.settle(True))
    sent = [record for batch in out for record in flat(batch)]
    plain, folded = measured([Batch([part for record in records for part in record])]), measured(out)

    assert plain.keys() == folded.keys()
    for name, function in plain.items():
        other = folded[name]
        assert (function.calls, function.errors, function.max_ns) == (other.calls, other.errors, other.max_ns)
        assert (function.own_ns, function.total_ns) == (other.own_ns, other.total_ns)
    known = {record[1] for record in sent}
    assert all(record[3] is None or record[3][1] in known for record in sent)
    # What is sent is what cannot vanish: roots, failures, calls long enough, and who is above one of these.
    above = {record[3][1] for record in sent if record[3]}
    for site, span, _, parent, start, end, details in sent:
        assert parent is None or end - start >= under * US or (details and details.error_type) or span in above, (
            site.name
        )
    assert not folder.fold.open


@settings(max_examples=50, deadline=None)
@given(tree=calls(), late_ones=calls(), seed=st.integers(0, 1000), under=st.integers(1, 300))
def test_calls_that_outlive_their_callers_are_counted_once(tree, late_ones, seed, under):
    """A thread or task goes on below a call that has ended, sent or folded: no call is lost or counted twice, no parent is missing."""
    places, numbers, choices = functions(4), ids(), random.Random(seed)
    trace = Trace(1)
    made = Calls(places, numbers)
    records = list(made.make(tree, trace))
    caller = choices.choice(records)
    after = Calls(places, numbers, made.clock + 1).make(late_ones, trace, made.spans[caller[1]])
    place = records.index(caller) + 1
    stream = records[:place] + list(interleaved([records[place:], after], choices))
    folder = Late()
    folder.follow(False, None, under * US)
    out = [folder.take(batch, 0) for batch in in_batches(stream, choices)] + [folder.settle(True)]
    sent = [record for batch in out for record in flat(batch)]
    known = {record[1] for record in sent}
    assert all(record[3] is None or record[3][1] in known for record in sent)
    plain, folded = measured([Batch([part for record in stream for part in record])]), measured(out)
    assert {name: (one.calls, one.errors) for name, one in plain.items()} == {
        name: (one.calls, one.errors) for name, one in folded.items()
    }


@settings(max_examples=30, deadline=None)
@given(tree=calls(), lost=st.integers(0, 20))
def test_what_is_folded_below_a_call_that_never_ends_is_told_at_the_end(tree, lost):
    """The process ends in the middle of the outermost calls: all that had ended is counted."""
    places = functions(4)
    records = Calls(places, ids()).make(tree, Trace(1))
    records = records[: max(len(records) - 1 - lost, 0)]
    folder = Late()
    folder.follow(False, None, 10**15)
    out = [folder.take(Batch([part for record in records for part in record]), 0), folder.settle(True)]
    wanted = measured([Batch([part for record in records for part in record])]) if records else {}
    found = measured(out) if any(map(len, out)) else {}
    assert {name: (one.calls, one.max_ns) for name, one in wanted.items()} == {
        name: (one.calls, one.max_ns) for name, one in found.items()
    }


def test_what_is_folded_below_a_long_call_is_told_meanwhile():
    """After half a minute on one of its callees' spans, and the rest with itself; each call once."""
    places, numbers = functions(2), ids()
    trace = Trace(1)
    main = next(numbers)
    folder = Late()
    folder.follow(False, None, 50 * US)

    def leaves(count):
        return Batch(
            [part for _ in range(count) for part in (places[1], next(numbers), trace, (trace, main), 5, 15, None)]
        )

    assert not len(folder.take(leaves(10), 0)) and not len(folder.due(fold.OPEN_NS - 1))
    told = flat(folder.due(fold.OPEN_NS))
    assert len(told) == 1
    assert told[0][6].attributes["autoscope.folded.calls"] == [9] and told[0][6].attributes["autoscope.folded.beside"]
    assert not len(folder.take(leaves(3), fold.OPEN_NS))
    end = flat(folder.take(Batch([places[0], main, trace, None, 0, 10**12, None]), fold.OPEN_NS))
    assert end[0][6].attributes["autoscope.folded.calls"] == [3]
    assert counters.folded == 12


def outlived():
    """A call that is folded, into one that is sent, and has ended; last what a thread or task begun in each has as its parent."""
    places, numbers = functions(3), ids()
    folder = Late()
    folder.follow(False, None, 50 * US)
    trace = Trace(1)
    main, caller = next(numbers), next(numbers)
    folder.take(Batch([places[1], caller, trace, (trace, main), 5, 15, None]), 0)
    folder.take(Batch([places[0], main, trace, None, 0, 100, None]), 0)
    return folder, places, numbers, trace, (trace, main), (trace, caller)


def test_how_long_a_folded_call_is_remembered():
    """For 16,384 calls of the process at least: what outlives it for longer names it, though it was not sent."""
    folder, places, numbers, trace, main, caller = outlived()

    def parent_of_a_late_one():
        (sent,) = flat(folder.take(Batch([places[2], next(numbers), trace, caller, 200, 210, None]), 0))
        return sent[3]

    for _ in range(fold.REMEMBERED - 1):
        assert len(folder.take(Batch([places[0], next(numbers), Trace(2), None, 0, 10, None]), 0)) == 1
    assert parent_of_a_late_one() == main
    for _ in range(2 * fold.REMEMBERED):
        folder.take(Batch([places[0], next(numbers), Trace(2), None, 0, 10, None]), 0)
    # It may as well not have ended yet: what is below it waits for it, and is told at the end.
    assert not len(folder.take(Batch([places[2], next(numbers), trace, caller, 200, 210, None]), 0))
    (told,) = flat(folder.settle(True))
    assert told[3] == caller


def test_who_outlives_a_folded_call_when_nothing_is_folded_any_more():
    """A change of the plan file: its caller was not sent all the same."""
    folder, places, numbers, trace, main, caller = outlived()
    folder.follow(False, None, None)
    (sent,) = flat(folder.take(Batch([places[2], next(numbers), trace, caller, 200, 210, None]), 0))
    assert sent[3] == main
    # After a while nobody looks any more.
    for _ in range(2 * fold.REMEMBERED + 2):
        folder.take(Batch([places[0], next(numbers), Trace(2), None, 0, 10, None]), 0)
    assert not folder.fold.folding and not folder.fold.open
    batch = Batch([places[0], next(numbers), Trace(2), None, 0, 10, None])
    assert folder.take(batch, 0).parts is batch.parts


def test_a_call_with_a_span_below_it_is_sent_however_long_ago_that_was():
    """Folded calls below it were told of after half a minute, on a span that names it; then it ends, and is short by the plan."""
    places, numbers = functions(3), ids()
    trace = Trace(1)
    main, caller, failed = next(numbers), next(numbers), next(numbers)
    folder = Late()
    folder.follow(False, None, 3600 * 10**9)
    for _ in range(2):
        folder.take(Batch([places[2], next(numbers), trace, (trace, caller), 5, 15, None]), 0)
    (failure_sent,) = flat(folder.take(Batch([places[2], failed, trace, (trace, main), 5, 15, failure()]), 0))
    (told,) = flat(folder.due(fold.OPEN_NS))
    assert (told[3], failure_sent[3]) == ((trace, caller), (trace, main))
    assert not len(folder.due(3 * fold.OPEN_NS))
    ended = 4 * fold.OPEN_NS
    sent = flat(folder.take(Batch([places[1], caller, trace, (trace, main), 0, ended, None]), ended))
    assert [record[1] for record in sent] == [caller]
    sent = flat(folder.take(Batch([places[0], main, trace, (trace, next(numbers)), 0, ended, None]), ended))
    assert [record[1] for record in sent] == [main]


def test_more_functions_than_there_is_room_for():
    """They are counted as others, and no call is lost."""
    places, numbers = functions(fold.MOST_FUNCTIONS + 50), ids()
    trace = Trace(1)
    main = next(numbers)
    folder = Late()
    folder.follow(False, None, 50 * US)
    parts = []
    for place in places[1:]:
        parts += (place, next(numbers), trace, (trace, main), 5, 15, None)
    parts += (places[0], main, trace, None, 0, 10**6, None)
    out = folder.take(Batch(parts), 0)
    attributes = flat(out)[0][6].attributes
    assert len(attributes["autoscope.folded.functions"]) == fold.MOST_FUNCTIONS + 1
    assert sum(attributes["autoscope.folded.calls"]) == len(places) - 1
    found = measured([out])
    assert found["(others)"].calls == len(places) - 1 - fold.MOST_FUNCTIONS
    assert sum(function.own_ns for function in found.values()) == 10**6


# -- keeping


@settings(max_examples=80, deadline=None)
@given(
    trees=st.lists(calls(most_own=2 * MS), min_size=1, max_size=12),
    seed=st.integers(0, 1000),
    rate=st.sampled_from([0.0, 0.3, 0.9]),
    errors=st.booleans(),
    slower=st.sampled_from([None, 1 * MS, 5 * MS]),
)
def test_what_is_kept(trees, seed, rate, errors, slower):
    """Whole traces: those a rule names with `th:0`, the others by what their ids say of the rate; all else is counted as left out."""
    counters.__init__()
    sampling.set_rate(rate)
    places, numbers, choices = functions(4), ids(), random.Random(seed)
    keeper = Late()
    keeper.follow(errors, slower, None)
    traces = [sampling.undecided(None) if errors or slower is not None else Trace(9) for _ in trees]
    streams = [Calls(places, numbers).make(tree, trace) for tree, trace in zip(trees, traces, strict=True)]
    out = [keeper.take(batch, 0) for batch in in_batches(interleaved(streams, choices), choices)]
    assert not keeper.waiting and not keeper.held
    sent = Counter(
        (record[2].trace_id, record[2].tracestate, record[2].flags) for batch in out for record in flat(batch)
    )
    expected = Counter()
    gone = 0
    for stream, trace in zip(streams, traces, strict=True):
        matches = (errors and any(record[6] for record in stream)) or (
            slower is not None and stream[-1][5] - stream[-1][4] > slower
        )
        if type(trace) is Trace or matches:
            expected[trace.trace_id, "ot=th:0" if matches else trace.tracestate, 3] += len(stream)
        elif trace.trace_id & sampling.RANDOMNESS >= sampling.rejected:
            expected[trace.trace_id, "ot=th:" + sampling.threshold(rate), 3] += len(stream)
        else:
            gone += 1
    assert sent == expected
    assert counters.sampled_out == counters.late_out == gone
    assert counters.left_out == sum(map(len, streams)) - sum(expected.values())
    assert counters.dropped == counters.early == 0


@pytest.fixture
def keeper():
    sampling.set_rate(0.5)
    keeper = Late()
    keeper.follow(True, 250 * MS, None)
    return keeper


def one(trace, site, span, parent=None, took=10, details=None):
    return Batch([site, span, trace, parent, 0, took, details])


def trace_that(sampled):
    """An undecided trace that the rate keeps, or does not."""
    while True:
        trace = sampling.undecided(None)
        if bool(trace.flags & 1) is sampled:
            return trace


def test_what_comes_after_the_decision_follows_it(keeper):
    """Threads and tasks that outlive their trace's first call; an error in one changes nothing any more."""
    (site,) = functions(1)
    for sampled in (True, False):
        trace = trace_that(sampled)
        assert len(keeper.take(one(trace, site, 1), 0)) == sampled
        for details in (None, failure()):
            assert len(keeper.take(one(trace, site, 2, (trace, 1), details=details), 0)) == sampled
    assert (counters.late_out, counters.left_out, counters.early) == (1, 3, 0)


def test_an_error_decides_at_once(keeper):
    """What waited goes, and what comes needs not wait."""
    (site,) = functions(1)
    trace = trace_that(False)
    assert not len(keeper.take(one(trace, site, 2, (trace, 1)), 0))
    sent = flat(keeper.take(one(trace, site, 3, (trace, 1), details=failure()), 0))
    assert [record[1] for record in sent] == [2, 3]
    assert {(record[2].tracestate, record[2].flags) for record in sent} == {("ot=th:0", 3)}
    assert len(keeper.take(one(trace, site, 1), 0)) == 1
    # What it says of itself to others is what it said when it began.
    assert (trace.tracestate, trace.flags) == ("", 2)


def test_a_trace_that_is_slow_by_now_need_not_end(keeper):
    (site,) = functions(1)
    trace = trace_that(False)
    keeper.take(one(trace, site, 2, (trace, 1)), 0)
    assert not len(keeper.due(250 * MS))
    assert [record[2].tracestate for record in flat(keeper.due(250 * MS + late.SLACK_NS + 1))] == ["ot=th:0"]
    assert not keeper.waiting


def test_too_old_is_decided_by_rate_and_kept_from_its_first_error_on(keeper):
    keeper.follow(True, None, None)
    (site,) = functions(1)
    for sampled in (True, False):
        counters.__init__()
        trace = trace_that(sampled)
        keeper.take(one(trace, site, 2, (trace, 1)), 0)
        assert not len(keeper.due(late.LONGEST_NS - 1))
        assert len(keeper.due(late.LONGEST_NS)) == sampled
        assert (counters.early, counters.late_out, counters.left_out) == (1, not sampled, not sampled)
        assert len(keeper.take(one(trace, site, 3, (trace, 1)), 0)) == sampled
        (sent,) = flat(keeper.take(one(trace, site, 4, (trace, 1), details=failure()), 0))
        assert sent[2].tracestate == "ot=th:0"
        assert len(keeper.take(one(trace, site, 1), 0)) == 1
        assert counters.sampled_out == 0


def test_who_outlives_a_call_that_was_left_out_early(keeper):
    """Kept from the error on: what was begun in a call from before names that, which is not there; the process says it decided early."""
    keeper.follow(True, None, None)
    (site,) = functions(1)
    trace = trace_that(False)
    keeper.take(one(trace, site, 2, (trace, 1)), 0)
    keeper.before_fork()
    assert not len(keeper.due(0)) and counters.early == 1
    keeper.take(one(trace, site, 3, (trace, 1), details=failure()), 0)
    (sent,) = flat(keeper.take(one(trace, site, 4, (trace, 2)), 0))
    assert sent[3][1] == 2 and sent[2].tracestate == late.ALL_KEPT


def test_too_much_is_decided_early(keeper, monkeypatch):
    """The oldest traces go first, and memory is bounded."""
    monkeypatch.setattr(late, "MOST_WAITING", 100)
    (site,) = functions(1)
    sent = 0
    for number in range(1000):
        trace = trace_that(number % 2 == 0)
        sent += len(keeper.take(one(trace, site, number + 1, (trace, 1)), number))
        assert keeper.held <= 100
    assert counters.early == 1000 - keeper.held
    assert abs(sent - counters.early / 2) <= 1 and sent + counters.left_out == counters.early


def test_rules_withdrawn(keeper):
    """What waits is decided by rate, and so is what comes of traces that were begun under them."""
    (site,) = functions(1)
    kept, gone, open_one = trace_that(True), trace_that(False), trace_that(False)
    for trace in (kept, gone):
        keeper.take(one(trace, site, 2, (trace, 1)), 0)
    keeper.follow(False, None, None)
    assert not sampling.late
    assert [record[2] for record in flat(keeper.due(0))] == [kept]
    assert not len(keeper.take(one(open_one, site, 3, (open_one, 1), details=failure()), 0))
    assert not keeper.waiting


def test_a_child_of_a_fork_starts_empty(keeper):
    keeper.follow(True, None, 50 * US)
    (site,) = functions(1)
    waits, decided = trace_that(False), trace_that(True)
    for trace in (waits, decided):
        keeper.take(Batch([site, 5, trace, (trace, 4), 0, 10**9, None, site, 2, trace, (trace, 1), 0, 10, None]), 0)
    keeper.before_fork()
    keeper.after_fork()
    assert not len(keeper.settle(True)) and not keeper.waiting and not keeper.held
    # The parent has decided, and its child goes by that.
    assert len(keeper.take(one(decided, site, 9, (decided, 1), took=10**9), 0)) == 1
    assert len(keeper.take(one(waits, site, 9, (waits, 1), took=10**9), 0)) == 0


def test_no_rule_no_undecided_trace():
    """At a rate of 1, and where nothing is kept, a trace is what it always was."""
    sampling.set_late(True)
    assert type(sampling.root(None)[0]) is Trace
    sampling.set_rate(0.5)
    assert type(sampling.root(None)[0]) is Undecided
    sampling.set_late(False)
    assert type(sampling.root(None)[0]) is Trace


# -- beside OpenTelemetry code


def woven(source, **names):
    settled = resolve_mapping(
        {"strategy": "full_trace", "include": ["program"], "capture": {"args": False, "return": False}}, environ={}
    )
    namespace = {"__name__": "program"} | names
    exec(
        Weaver(settled).module_code(compile(source, "<program>", "exec", dont_inherit=True), "program", lambda: source),
        namespace,
    )
    return namespace


SPANS = """
def leaf(): return 1
def fails(): raise ValueError
def inside(failing):
    with tracer.start_as_current_span("theirs"):
        inject(carrier)
        leaf()
        if failing:
            try: fails()
            except ValueError: pass
def root(failing):
    return inside(failing)
"""


@pytest.mark.parametrize("failing", [False, True])
def test_others_are_told_what_the_rate_says(tracer, failing):
    """Their spans and the headers they send are those of the rate alone; our own calls below their spans are recorded all the same."""
    sampling.set_rate(0.5)
    keeper = Late()
    keeper.follow(True, None, None)
    carrier = {}
    inject = TraceContextTextMapPropagator().inject
    program = woven(SPANS, tracer=tracer, carrier=carrier, inject=inject)
    kept = theirs = 0
    for _ in range(60):
        sites.records.clear()
        before = len(tracer.spans())
        program["root"](failing)
        records = sites.recorded()
        assert sorted(record[0].qualname for record in records) == sorted(
            ["leaf", "inside", "root"] + ["fails"] * failing
        )
        trace_id = records[-1][2].trace_id
        sampled = trace_id & sampling.RANDOMNESS >= sampling.rejected
        assert carrier["traceparent"].split("-")[1] == f"{trace_id:032x}"
        assert carrier["traceparent"].endswith("-03" if sampled else "-02")
        assert len(tracer.spans()) - before == sampled
        sent = flat(keeper.take(Batch(list(sites.records)), 0))
        assert len(sent) == (len(records) if sampled or failing else 0)
        assert {record[2].tracestate for record in sent} <= {"ot=th:0" if failing else "ot=th:8"}
        # Their span is above the calls where it was recorded; else ours, which is.
        by_id = {record[1]: record[0].qualname for record in sent}
        for record in sent:
            if record[0].qualname in ("leaf", "fails"):
                assert by_id.get(record[3][1]) == (None if sampled else "inside")
                assert record[2].remote_parent == record[3][1]
        kept += bool(sent)
        theirs += sampled
    assert 0 < theirs < 60 and kept == (60 if failing else theirs)


def test_a_span_others_asked_for_is_sent_however_short(tracer):
    """It may be a parent somewhere, or stand in a log."""
    folder = Late()
    folder.follow(False, None, 10**15)
    program = woven(
        "def asks(): return ask()\ndef other(): return 1\ndef root(): asks(), other()\n", ask=otel.get_current_span
    )
    program["root"]()
    sent = flat(folder.take(Batch(list(sites.records)), 0))
    assert [record[0].qualname for record in sent] == ["asks", "root"]
    assert not folder.fold.shown


def test_a_generators_running_time_is_what_its_caller_loses():
    """As in an unfolded run: the time in which it was suspended is its caller's."""
    places = functions(2)
    places[1].kind = "generator"
    trace = Trace(1)
    details = Details(attributes={"autoscope.generator.steps": 3, "autoscope.generator.running_ns": 4})
    parts = [places[1], 2, trace, (trace, 1), 10, 30, details, places[0], 1, trace, None, 0, 100, None]
    folder = Late()
    folder.follow(False, None, 50 * US)
    plain, folded = measured([Batch(list(parts))]), measured([folder.take(Batch(list(parts)), 0)])
    for name in ("app.f0", "app.f1"):
        assert (plain[name].own_ns, plain[name].total_ns) == (folded[name].own_ns, folded[name].total_ns)


# -- real programs


ALL = "{rate: 0, keep: {errors: true}, fold_under: 1h}"


def traced(folder, source, sampling_text, **options):
    plan = folder / "plan.yaml"
    plan.write_text(
        "version: 1\nstrategy: full_trace\ncapture: {args: false, return: false}\n"
        + (f"sampling: {sampling_text}\n" if sampling_text else "")
    )
    env = {"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None} | dict(options.pop("env", {}))
    return run(folder, source, env=env, **options)


def totals(folder):
    return {
        function.name.removeprefix("__main__."): function.calls
        for function in open_run(str(folder / "store")).functions()
    }


DETERMINISTIC = """
import asyncio, threading, contextvars
def leaf(x): return x
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def numbers(n):
    for number in range(n): yield leaf(number)
def fails():
    raise ValueError("on purpose")
class Cart:
    def __init__(self): self.items = []
    def add(self, sku): self.items.append(leaf(sku)); return self
async def step(n):
    await asyncio.sleep(0)
    return leaf(n)
async def after(n):
    await asyncio.sleep(0.05)
    await step(n)
def spawn(n): return asyncio.ensure_future(after(n))
tasks = []
async def serve():
    for n in range(5):
        await step(n)
        tasks.append(spawn(n))
async def outlived():
    await serve()
    await asyncio.gather(*tasks)
def in_thread(): fib(6)
def main():
    fib(12)
    sum(numbers(20))
    for n in range(300): Cart().add(n)
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(in_thread,))
    thread.start()
    thread.join()
    for _ in range(3):
        try: fails()
        except ValueError: pass
for _ in range(3): main()
asyncio.run(outlived())
"""


@pytest.mark.parametrize("under", ["20us", "1ms", "1h"])
def test_the_same_calls_folded_and_not(tmp_path, under):
    """A program with recursion, generators, threads, tasks that outlive their callers: the same calls of each function, fewer spans."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "folded").mkdir()
    plain = traced(tmp_path / "plain", DETERMINISTIC, None)
    folded = traced(tmp_path / "folded", DETERMINISTIC, f"{{fold_under: {under}}}")
    assert totals(tmp_path / "plain") == totals(tmp_path / "folded")
    folded.whole()
    counts = folded.meta["counters"]
    assert counts["recorded"] == len(plain.spans) == len(folded.spans) + counts["folded"]
    assert counts["exported"] == len(folded.spans) < len(plain.spans) / 2
    assert len(folded.named("fails")) == 9


def test_kept_for_an_error(tmp_path):
    """Nothing by rate: the traces that failed are there, whole, and are counted one for one."""
    ran = traced(
        tmp_path,
        """
        import autoscope
        def leaf(): return 1
        def fails(): raise ValueError("on purpose")
        def request(n):
            leaf()
            if n % 10 == 0:
                try: fails()
                except ValueError: pass
        for n in range(100): request(n)
        autoscope.flush()
        print(autoscope.stats())
        """,
        "{rate: 0, keep: {errors: true}}",
    )
    assert ran.names == {"request": 10, "leaf": 10, "fails": 10}
    ran.whole()
    assert {(span.tracestate, span.flags) for span in ran.spans} == {("ot=th:0", 3)}
    stats = eval(ran.out)
    assert (stats["sampled_out"], stats["left_out"], stats["dropped"], stats["exported"]) == (90, 180, 0, 30)
    assert stats["recorded"] == 210 and ran.meta["counters"]["sampled_out"] == 90


def test_kept_for_its_time(tmp_path):
    """A trace is as long as its first call."""
    ran = traced(
        tmp_path,
        """
        import time
        def wait(seconds): time.sleep(seconds)
        def request(seconds): wait(seconds)
        for seconds in (0, 0, 0.3, 0, 0.3): request(seconds)
        """,
        "{rate: 0, keep: {slower_than: 250ms}}",
    )
    assert ran.names == {"request": 2, "wait": 2}
    assert all(span.duration_ns >= 300 * MS for span in ran.spans)


@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os.kill(os.getpid(), 15); time.sleep(5)", "sys.exit(0)", "raise SystemExit"]
)
def test_ended_in_the_middle(tmp_path, end):
    """Everything undecided is decided then: an open trace with an error is kept, what was folded below open calls is counted."""
    ran = traced(
        tmp_path,
        f"""
        import os, sys, time
        def leaf(): return 1
        def fails(): raise ValueError("on purpose")
        def main():
            for _ in range(1000): leaf()
            try: fails()
            except ValueError: pass
            for _ in range(1000): leaf()
            {end}
        main()
        """,
        ALL,
        check=False,
    )
    calls = totals(tmp_path)
    assert (calls["leaf"], calls["fails"]) == (2000, 1)
    assert len(ran.spans) <= 3


def test_ended_in_the_middle_of_nothing_special(tmp_path):
    """An open trace without an error goes by its rate."""
    ran = traced(
        tmp_path,
        "import os\ndef leaf(): return 1\ndef main():\n    for _ in range(100): leaf()\n    os._exit(0)\nmain()\n",
        "{rate: 0, keep: {errors: true}}",
    )
    assert not ran.spans


def test_a_fork_in_the_middle(tmp_path):
    """Each process tells of its own calls, each call once."""
    ran = traced(
        tmp_path,
        """
        import os
        def leaf(): return 1
        def fails(): raise ValueError("on purpose")
        def work(count):
            for _ in range(count): leaf()
            try: fails()
            except ValueError: pass
        def main():
            work(100)
            child = os.fork()
            work(10 if child else 20)
            if child: os.waitpid(child, 0)
            else: os._exit(0)
        main()
        """,
        ALL,
    )
    assert len(ran.processes) == 2
    calls = totals(tmp_path)
    assert (calls["leaf"], calls["work"], calls["fails"], calls["main"]) == (130, 3, 3, 1)


def test_a_fork_in_a_short_call(tmp_path):
    """The child's spans name it, so it is sent. What had been folded by then is known in the child, too."""
    ran = traced(
        tmp_path,
        """
        import autoscope, contextvars, os
        def leaf(): return 1
        def fails(): raise ValueError("on purpose")
        def spawn(): return contextvars.copy_context()
        def forks(context):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            else:
                try: fails()
                except ValueError: pass
                context.run(leaf)
                os._exit(0)
        def main():
            context = spawn()
            autoscope.flush()
            forks(context)
        main()
        """,
        "{fold_under: 1h}",
    )
    ran.whole()
    assert ran.names == {"main": 1, "forks": 1, "fails": 1, "leaf": 1}
    assert (ran.parent_name(ran.one("fails")), ran.parent_name(ran.one("leaf"))) == ("forks", "main")


def test_sampled_out_and_kept_add_up(tmp_path):
    """By rate and by rule: weighed by what each span says of its probability, the number of requests is found again."""
    ran = traced(
        tmp_path,
        """
        def fails(): raise ValueError("on purpose")
        def request(n):
            if n % 4 == 0:
                try: fails()
                except ValueError: pass
        for n in range(4000): request(n)
        """,
        "{rate: 25%, keep: {errors: true}, fold_under: 1h}",
    )
    states = Counter(span.tracestate for span in ran.named("request"))
    assert states["ot=th:0"] == 1000
    assert set(states) == {"ot=th:0", "ot=th:c"}
    assert abs(4 * states["ot=th:c"] - 3000) < 6 * 4 * (3000 * 0.25 * 0.75) ** 0.5
    assert ran.meta["counters"]["sampled_out"] == 4000 - len(ran.named("request"))


def test_a_live_change(tmp_path):
    """Other rules in the plan file hold within a second, and are said to be in force."""
    from program_kit import end, start

    plan = tmp_path / "plan.yaml"
    head = "version: 1\nstrategy: full_trace\ncapture: {args: false, return: false}\n"
    plan.write_text(head)
    program = """
        import sys, autoscope
        def leaf(): return 1
        def fails(): raise ValueError("on purpose")
        def request(failing):
            leaf()
            if failing:
                try: fails()
                except ValueError: pass
        for line in sys.stdin:
            autoscope.flush()
            before = autoscope.stats()
            for n in range(20): request(n % 2)
            autoscope.flush()
            after = autoscope.stats()
            print(*[after[key] - before[key] for key in ("exported", "folded", "left_out", "sampled_out")], flush=True)
    """
    env = {"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None}
    process = start(tmp_path, program, env=env, stdin=-1)

    def ask():
        process.stdin.write("round\n")
        process.stdin.flush()
        return [int(word) for word in process.stdout.readline().split()]

    def becomes(expected):
        # How long is for tests of the plan file to say.
        limit = time.monotonic() + 30
        while (found := ask()) != expected:
            assert time.monotonic() < limit, f"still {found} instead of {expected}"
            time.sleep(0.05)

    assert ask() == [50, 0, 0, 0]
    time.sleep(0.5)
    for text, expected in [
        ("{rate: 0, keep: {errors: true}}", [30, 0, 20, 10]),
        ("{rate: 0, keep: {errors: true}, fold_under: 1h}", [20, 20, 10, 10]),
        ("{rate: 1, fold_under: 1h}", [30, 20, 0, 0]),
        ("{rate: 1}", [50, 0, 0, 0]),
        ("{rate: 0, keep: {slower_than: 1h}}", [0, 0, 50, 20]),
        ("{rate: 0, keep: {slower_than: 1ns}}", [50, 0, 0, 0]),
    ]:
        plan.write_text(f"{head}sampling: {text}\n")
        becomes(expected)
    process.stdin.close()
    process.stdin = None
    ran = end(tmp_path, process)
    assert "does not act on it" not in ran.err


def test_folded_calls_over_otlp(tmp_path):
    """What a server is sent: arrays of one kind each, on the span of the caller."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from autoscope.export.wire import Encoder

    places, numbers = functions(3), ids()
    folder = Late()
    folder.follow(False, None, 50 * US)
    records = Calls(places, numbers).make((0, 10**9, False, [(1, 10, False, [(2, 5, False, [])])] * 3), Trace(1))
    out = folder.take(Batch([part for record in records for part in record]), 0)
    request = ExportTraceServiceRequest.FromString(Encoder({}).encode(out))
    (span,) = request.resource_spans[0].scope_spans[0].spans
    told = {pair.key: pair.value.array_value.values for pair in span.attributes if "folded" in pair.key}
    assert [value.string_value for value in told["autoscope.folded.functions"]] == ["app.f2", "app.f1"]
    assert [value.int_value for value in told["autoscope.folded.calls"]] == [3, 3]
    assert [value.int_value for value in told["autoscope.folded.total_ns"]] == [15, 45]
    assert [value.int_value for value in told["autoscope.folded.own_ns"]] == [15, 30]


def test_nothing_of_it_is_loaded_without_a_rule(tmp_path):
    """A program whose plan keeps and folds nothing has neither room in it."""
    source = "import sys\ndef f(): return 1\nf()\nprint([name for name in sys.modules if name.endswith(('.late', '.fold'))])\n"
    assert traced(tmp_path, source, None).out == "[]\n"
    (tmp_path / "two").mkdir()
    assert json.loads(traced(tmp_path / "two", source, "{fold_under: 1us}").out.replace("'", '"')) == [
        "autoscope.runtime.late", "autoscope.runtime.fold"
    ]  # fmt: skip


class Kept:
    """An exporter that keeps what it is given."""

    exported = dropped = 0

    def __init__(self):
        self.records = []

    def export(self, records):
        self.records += flat(records)

    def close(self, deadline_seconds):
        pass

    def after_fork(self):
        pass


def test_who_watches_sees_every_call():
    """`top` and `snapshot` are shown what is folded and left out, too; a flush hands over and decides."""
    from autoscope.control.verbs import Snapshot, Watch
    from autoscope.runtime.drain import Drain

    program = woven("def leaf(): return 1\ndef root(): return [leaf() for _ in range(50)]\n")
    kept, answers = Kept(), []
    drain = Drain(lambda: [kept])
    drain.late = Late()
    sampling.set_rate(0.0)
    drain.late.follow(True, None, 10**15)
    watch = Watch()
    drain.taps += [watch, Snapshot(lambda name: name == "program.leaf", 20, time.monotonic() + 60, answers.append)]
    program["root"]()
    assert drain.flush(5)
    assert {site.qualname: seen.calls for site, seen in watch.seen.items()} == {"leaf": 50, "root": 1}
    assert len(answers[0]["calls"]) == 20
    assert not kept.records and (counters.folded, counters.left_out, counters.sampled_out) == (50, 1, 1)
    drain.close(1)


def test_threads_tasks_and_forks_at_once(tmp_path):
    """Every recorded call is sent, folded or left out, in each process; no span's parent is missing.

    Fewer calls than folded ones are remembered for. A trace that a fork has decided early may be kept later without what
    was left out of it, and the process says that it did that.
    """
    ran = traced(
        tmp_path,
        """
        import asyncio, os, sys, threading
        sys.setswitchinterval(0.0005)
        def leaf(x): return x
        def mid(x): return [leaf(i) for i in range(5)]
        def fails(): raise ValueError("on purpose")
        def request(n):
            for i in range(4): mid(i)
            if n % 31 == 0:
                try: fails()
                except ValueError: pass
        async def later(n):
            await asyncio.sleep(n % 7 / 1000)
            mid(n)
        def spawn(n): return asyncio.ensure_future(later(n))
        async def handle(n):
            task = spawn(n)
            if n % 20 == 0:
                try: fails()
                except ValueError: pass
            return task
        async def serve(): await asyncio.gather(*[await handle(n) for n in range(200)])
        def work():
            for n in range(120): request(n)
            asyncio.run(serve())
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(2):
            child = os.fork()
            if not child:
                for n in range(200): request(n)
                os._exit(0)
            os.waitpid(child, 0)
        for thread in threads: thread.join()
        """,
        "{rate: 0.1, keep: {errors: true}, fold_under: 50us}\nmodules: {__main__: {functions: {work: {level: 'off'}, serve: {level: 'off'}}}}",
        env={"OTEL_BSP_MAX_QUEUE_SIZE": "1000000"},
    )
    assert len(ran.by_id) == len(ran.spans)
    assert len(ran.processes) == 3
    decided_early = any(process.meta["counters"].get("decided_early") for process in ran.processes)
    for span in ran.spans:
        if span.parent_id and span.parent_id not in ran.by_id:
            assert decided_early and span.tracestate == late.ALL_KEPT, f"{span.name}: its parent is nowhere"
    for process in ran.processes:
        counts = process.meta["counters"]
        assert counts["recorded"] == counts["exported"] + counts["folded"] + counts["left_out"] < fold.REMEMBERED
        assert counts["dropped"] == 0 < counts["sampled_out"]
    assert len(ran.named("fails")) == 3 * (4 + 10) + 2 * 7


def test_keeping_begins_in_a_process_that_rests(tmp_path):
    """Started with a rate of 0 nothing can be recorded; a rule in the plan file has it record, within the second as ever."""
    from program_kit import end, start

    plan = tmp_path / "plan.yaml"
    plan.write_text("version: 1\nsampling: {rate: 0}\n")
    program = """
        import sys, autoscope
        def fails(): return [].pop()
        for line in sys.stdin:
            try: fails()
            except IndexError: pass
            autoscope.flush()
            print(autoscope.stats()["exported"], flush=True)
    """
    process = start(tmp_path, program, env={"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None}, stdin=-1)

    def ask():
        process.stdin.write("go\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    assert ask() == 0
    time.sleep(0.5)
    plan.write_text("version: 1\nsampling: {rate: 0, keep: {errors: true}}\n")
    limit = time.monotonic() + 30
    while not ask():
        assert time.monotonic() < limit, "nothing is kept"
        time.sleep(0.05)
    process.stdin.close()
    process.stdin = None
    assert end(tmp_path, process).spans
