"""The pacer: which calls are looked at, and how many there were."""

from __future__ import annotations

import pickle
import sys
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope.runtime.pacing import MOST_LAID, Pacer


@settings(max_examples=100, deadline=None)
@given(
    st.floats(1.0, 30.0),
    st.lists(
        st.one_of(st.tuples(st.just("calls"), st.integers(0, 200)), st.tuples(st.just("ahead"), st.integers(0, 20)))
    ),
)
def test_every_call_is_counted(interval, doings):
    """Whatever was prepared when, used up or not."""
    pacer = Pacer(interval, 3)
    calls = looked_at = 0
    prepared = 3
    for what, number in doings:
        if what == "calls":
            answers = [next(pacer.pace) for _ in range(number)]
            assert set(answers) <= {True, False}
            calls += number
            looked_at += sum(answers)
        else:
            before = pacer.left
            if pacer.prepare(number):
                prepared += max(number - before, 0)
        assert pacer.count() == calls
    assert looked_at <= prepared


def test_one_call_in_so_many_is_looked_at():
    """By chance, so many on average."""
    pacer = Pacer(10.0, 5000)
    answers = [next(pacer.pace) for _ in range(40_000)]

    assert abs(sum(answers) - 4000) < 300
    gaps = {len(gap) for gap in "".join("x" if answer else "." for answer in answers).split("x")}
    assert min(gaps) == 0
    assert max(gaps) < 20


def test_calls_are_looked_at_in_bursts():
    """As many of all calls as without, so many one after the other; what is prepared is counted in calls."""
    pacer = Pacer(10.0, 4000, 8)
    assert (pacer.left, pacer.looked_at) == (4000, 0)
    answers = [next(pacer.pace) for _ in range(40_000)]

    assert abs(sum(answers) - 4000) < 600
    bursts = [len(burst) for burst in "".join("x" if answer else "." for answer in answers).split(".") if burst]
    assert min(bursts[:-1]) == 8, "the last one may not be over"
    assert pacer.count() == 40_000
    assert pacer.left <= 4000 - sum(answers)
    assert sum(answers) <= pacer.looked_at < sum(answers) + 8


def test_bursts_of_another_length():
    """From the next ones prepared on."""
    pacer = Pacer(1.0, 3)
    pacer.burst = 5
    assert pacer.prepare(10)
    assert pacer.left == 13
    assert [next(pacer.pace) for _ in range(14)] == [True] * 13 + [False]


def test_nothing_prepared():
    """No call is looked at; all are counted."""
    pacer = Pacer(5.0, 0)

    assert not any(next(pacer.pace) for _ in range(1000))
    assert pacer.count() == 1000
    assert not pacer.prepare(5), "what was never used up has been begun"


def test_it_takes_no_room_for_ever():
    """Pieces that are used up are freed, and another pacer takes over in time."""
    pacer = Pacer(1.0, 10)
    while pacer.prepare(100):
        for _ in range(100):
            next(pacer.pace)
        pacer.count()
    assert MOST_LAID < len(pacer._laid) < MOST_LAID + 1000
    assert sum(piece is not None for piece in pacer._laid) < 1000


def test_calls_of_several_threads_are_counted():
    """While another thread prepares and asks."""
    pacer = Pacer(3.0, 50)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    counts = []
    try:
        threads = [
            threading.Thread(target=lambda: counts.append(len([next(pacer.pace) for _ in range(30_000)])))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        before = 0
        while any(thread.is_alive() for thread in threads):
            pacer.prepare(50)
            now = pacer.count()
            assert now >= before
            before = now
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert pacer.count() == sum(counts) == 90_000


def test_what_is_sent_elsewhere_is_at_its_end():
    """A function's constants may go to a process that does not know us: there the author's body runs."""
    assert list(pickle.loads(pickle.dumps(Pacer(2.0, 5).pace))) == []
