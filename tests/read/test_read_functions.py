"""read/functions: own time, totals and percentiles mean what they say, for any tree of calls."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope.read.estimates import percentile
from autoscope.read.functions import Folded, adjusted_count, grow_tree

GENERATOR = 3
"""The site that is a generator in every case here."""


def measure(rows, running=None, weight=None):
    """Site -> (calls, own, total); `weight`: what each span stands for."""
    ordered = [(*row, weight) for row in sorted(rows, key=lambda row: (row[3], row[0]))]
    tree = grow_tree(ordered, running, frozenset({GENERATOR}))
    found = {}
    for path in tree.paths:
        calls, own, total = found.get(path.site, (0, 0, 0))
        total += 0 if path.is_recursive else path.total_ns
        found[path.site] = (calls + path.calls, own + path.own_ns, total)
    return found


def measure_naively(rows, running):
    """The same by the definitions, nanosecond by nanosecond."""
    by_id = {row[0]: row for row in rows}
    found = {}
    for span, parent, site, start, duration in rows:
        children = [row for row in rows if row[1] == span]
        covered = set()
        asked = 0
        for child in children:
            if child[0] in running and GENERATOR in (site, child[2]):
                asked += running[child[0]]
            else:
                covered |= set(range(max(start, child[3]), min(start + duration, child[3] + child[4])))
        own = running[span] if site == GENERATOR and span in running else duration
        above, is_recursive = parent, False
        while above in by_id:
            is_recursive |= by_id[above][2] == site
            above = by_id[above][1]
        calls, so_far, total = found.get(site, (0, 0, 0))
        own = max(0, own - len(covered) - asked)
        found[site] = (calls + 1, so_far + own, total + (0 if is_recursive else duration))
    return found


@st.composite
def forests(draw):
    """Spans as (span, parent, site, start, duration): nested, overlapping, outliving their parents, or orphans."""
    rows = []
    running = {}
    for span in range(1, draw(st.integers(1, 14)) + 1):
        parent = draw(st.sampled_from([0, 999, *range(1, span)]))
        earliest = rows[parent - 1][3] if 0 < parent < 999 else 0
        start = earliest + draw(st.integers(0, 12))
        duration = draw(st.integers(0, 25))
        site = draw(st.integers(0, GENERATOR))
        if site >= GENERATOR - 1 and draw(st.booleans()):
            running[span] = draw(st.integers(0, duration))
        rows.append((span, parent, site, start, duration))
    return rows, running


@settings(max_examples=150, deadline=None)
@given(forests())
def test_figures_are_those_of_the_definition(forest):
    """One pass gives what counting every nanosecond gives; nothing is ever negative."""
    rows, running = forest

    found = measure(rows, running)

    assert found == measure_naively(rows, running)
    assert all(own >= 0 for _, own, _ in found.values())


@settings(max_examples=100, deadline=None)
@given(forests(), st.sampled_from([2.0, 8.0, 1024.0]))
def test_spans_that_stand_for_several(forest, weight):
    """If each stands for eight, there were eight times as many calls, and they took eight times as long."""
    rows, running = forest

    assert measure(rows, running, weight) == {
        site: tuple(weight * value for value in values) for site, values in measure(rows, running).items()
    }


def test_a_rare_child_stands_for_those_that_were_not_recorded():
    """A call of 100 that was recorded for sure, with one of ten children of 5: 50 are its own."""
    tree = grow_tree([(1, 0, 0, 0, 100, None), (2, 1, 1, 10, 5, 10.0)])

    assert {path.site: (path.calls, path.own_ns, path.total_ns) for path in tree.paths} == {
        0: (1, 50, 100),
        1: (10, 50, 50),
    }


def test_what_was_folded_stands_for_as_many_as_its_caller():
    """Of a trace that stands for twenty; what was counted stays as it was."""
    calls = [Folded(1, 3, 30, 30, 12, 0)]
    tree = grow_tree([(1, 0, 0, 0, 100, 20.0)], folded={1: (False, calls)})

    assert [(path.calls, path.own_ns, path.total_ns) for path in tree.paths] == [(20, 1400, 2000), (60, 600, 600)]
    assert tree.folded == {1: calls}
    assert tree.sampled[1] == 19 * 30


@pytest.mark.parametrize(
    ("tracestate", "count"),
    [
        ("ot=th:0", None),
        ("ot=th:8", 2.0),
        ("ot=th:c", 4.0),
        ("vendor=1,ot=rv:1;th:c", 4.0),
        ("", None),
        (None, None),
        ("ot=th:zz", None),
        ("vendor=th:8", None),
    ],
)
def test_a_traces_rate_is_in_its_state(tracestate, count):
    """OpenTelemetry's consistent probability sampling: `th` is the share that was rejected."""
    assert adjusted_count(tracestate) == count


def test_recursion_is_not_counted_twice():
    """f calls f calls f: total is the outermost call, own times add up to it."""
    assert measure([(1, 0, 0, 0, 100), (2, 1, 0, 10, 80), (3, 2, 0, 20, 60)]) == {0: (3, 100, 100)}


def test_recursion_through_another_function():
    """f -> g -> f: the inner f is not counted again in f, and g counts once."""
    assert measure([(1, 0, 0, 0, 100), (2, 1, 1, 10, 80), (3, 2, 0, 20, 60)]) == {0: (2, 80, 100), 1: (1, 20, 80)}


def test_children_at_the_same_time_are_taken_off_once():
    """Two tasks from 10 to 60 and 40 to 90 leave their parent 20 of 100."""
    assert measure([(1, 0, 0, 0, 100), (2, 1, 1, 10, 50), (3, 1, 1, 40, 50)])[0] == (1, 20, 100)


def test_a_child_that_outlives_its_parent_takes_only_what_is_there():
    """A task started at 90 in a call that ends at 100."""
    assert measure([(1, 0, 0, 0, 100), (2, 1, 1, 90, 500)]) == {0: (1, 90, 100), 1: (1, 500, 500)}


def test_a_generator_costs_its_consumer_its_running_time():
    """`for x in generate(): work(x)`: generate ran 30 of the 100, work 50, the consumer itself the other 20."""
    rows = [(1, 0, 0, 0, 100), (2, 1, GENERATOR, 0, 100), (3, 1, 1, 20, 25), (4, 1, 1, 60, 25)]

    assert measure(rows, {2: 30}) == {0: (1, 20, 100), 1: (2, 50, 50), GENERATOR: (1, 30, 100)}


def test_a_very_deep_recursion_is_measured():
    """No recursion of our own: 200,000 calls deep is one pass like any other."""
    depth = 200_000

    assert measure([(k, k - 1, 0, k, 2 * (depth - k) + 1) for k in range(1, depth + 1)])[0][0] == depth


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(1, 50, 1), (1, 95, 1), (2, 50, 1), (20, 95, 19), (100, 95, 95), (101, 50, 51)]
)
def test_percentiles_are_calls_that_happened(count, share, expected):
    """Nearest rank: of 1..count."""
    assert percentile(list(range(1, count + 1)), share) == expected
