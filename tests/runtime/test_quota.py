"""A test run's quota: some calls of each function are recorded, and not one of the others is miscounted."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope.plan.resolve import resolve_mapping
from autoscope.runtime import context, quota, sampling, sites
from autoscope.runtime.ambient import NOTHING, Ambient
from autoscope.runtime.quota import FIRST, TESTS, Quota
from autoscope.weave.weaver import Weaver

PROGRAM = """
def leaf(depth):
    told("leaf")

def down(depth):
    told("down")
    leaf(depth)
    if depth:
        down(depth - 1)

def fails(depth):
    told("fails")
    leaf(depth)
    if depth:
        fails(depth - 1)
    raise LookupError(depth)

def catches(depth):
    told("catches")
    try:
        fails(depth)
    except LookupError:
        pass

def gives(depth):
    told("gives")
    for number in range(depth):
        yield number
    leaf(depth)

def takes(depth):
    told("takes")
    return list(gives(depth))

async def waits(depth):
    told("waits")
    await sleep(0)
    if depth:
        await waits(depth - 1)

def runs(depth):
    told("runs")
    run(waits(depth))

def starts(depth):
    told("starts")
    threads = [Thread(target=down, args=(depth,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""
NAMES = ("leaf", "down", "catches", "takes", "runs", "starts")
TESTS_OF_A_RUN = st.lists(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 7)), max_size=6), max_size=12)


class Run:
    """A program whose functions say themselves that they were called, and its tests."""

    def __init__(self):
        self.called = []
        given = {"strategy": "full_trace", "include": ["program"], "capture": {"args": False, "return": False}}
        weave = Weaver(resolve_mapping(given, environ={}))
        self.names = {
            "told": self.called.append,
            "run": asyncio.run,
            "sleep": asyncio.sleep,
            "Thread": threading.Thread,
            "__name__": "program",
        }
        code = compile(PROGRAM, "program.py", "exec", dont_inherit=True)
        exec(weave.module_code(code, "program", lambda: PROGRAM), self.names)
        self.quota = Quota()
        self.quota.adopt()

    def test(self, number, actions):
        """What was recorded, counted only, and really called in one test."""
        self.quota.skip()
        self.called.clear()
        sites.records.clear()
        sampling.set_ambient(Ambient(number + 1, number + 1))
        for name, depth in actions:
            self.names[name](depth)
        sampling.set_ambient(NOTHING)
        taken = self.quota.take()
        names = [line[1] for line in self.quota.describe()]
        counted = Counter({names[number]: calls for number, calls in taken.items()})
        records = sites.recorded()
        self.quota.learn(records)
        return Counter(record[0].qualname for record in records), counted, Counter(self.called)

    def close(self):
        self.quota.rest()
        sampling.set_ambient(None)
        sites.reset()
        context.current.set(None)


@pytest.fixture
def run():
    made = Run()
    yield made
    made.close()


@settings(max_examples=60, deadline=None)
@given(TESTS_OF_A_RUN)
def test_what_is_recorded_and_what_is_counted_are_all_calls(tests):
    """Test by test, whatever recurses, waits, raises or runs in threads; and the first calls of each function are recorded."""
    run = Run()
    try:
        for number, actions in enumerate(tests):
            recorded, counted, called = run.test(number, actions)
            assert recorded + counted == called
            assert {name: min(count, FIRST) for name, count in called.items()} == recorded
    finally:
        run.close()


@settings(max_examples=20, deadline=None)
@given(TESTS_OF_A_RUN)
def test_counts_are_exact_without_a_quota(tests):
    """The same of functions that were recorded in enough tests, and are only counted by now."""
    run = Run()
    try:
        for number in range(TESTS + 1):
            run.test(number, [(name, 1) for name in NAMES])
        assert run.quota.usual
        short = {state.site.qualname for state in run.quota.usual}
        for number, actions in enumerate(tests):
            recorded, counted, called = run.test(number, actions)
            assert recorded + counted == called
            assert not short & set(recorded)
    finally:
        run.close()


def test_calls_between_tests_belong_to_none(run):
    """Neither recorded nor counted, and of nobody's quota."""
    for number in range(3):
        recorded, counted, _ = run.test(number, [("leaf", 0)] * 6)
        assert (recorded, counted) == ({"leaf": FIRST}, {"leaf": 6 - FIRST})
        for _ in range(50):
            run.names["leaf"](0)
    assert [6] == [line[5] for line in run.quota.describe() if line[1] == "leaf"]


def test_who_takes_long_is_recorded_in_every_test(run, monkeypatch):
    """What recording costs is nothing to it, and in a later test it may take longer still."""
    monkeypatch.setattr(quota, "LONG_NS", 0)
    for number in range(2 * TESTS):
        recorded, _, _ = run.test(number, [("leaf", 0)] * 9)
        assert recorded == {"leaf": FIRST}
    assert not run.quota.usual


def test_a_call_hangs_below_the_nearest_recorded_one(run):
    """Those that were only counted are passed over."""
    run.test(0, [("down", 9)])
    downs = [record for record in sites.recorded() if record[0].qualname == "down"]
    assert len(downs) == FIRST
    for caller, callee in pairwise(reversed(downs)):
        assert callee[3][1] == caller[1]
    assert {record[3][1] for record in sites.recorded() if record[0].qualname == "leaf"} <= {one[1] for one in downs}


def test_all_calls_are_recorded_while_it_rests(run):
    """And as before when it goes on."""
    run.test(0, [("leaf", 0)] * 5)
    run.quota.rest()
    recorded, counted, called = run.test(1, [("leaf", 0)] * 20 + [("down", 0)])
    assert (recorded, counted) == (called, {})
    run.quota.go_on()
    recorded, counted, called = run.test(2, [("leaf", 0)] * 20 + [("catches", 0)] * 7)
    assert recorded + counted == called
    assert recorded["leaf"] == recorded["catches"] == FIRST


def test_who_has_a_rate_of_its_own_keeps_it(run):
    """Somebody has asked for that while the program runs."""
    run.test(0, [("leaf", 0)] * 5)
    [leaf] = [site for site in sites.sites if site.qualname == "leaf"]
    leaf.rate = 1e-9
    leaf.get = thinned = sampling.thinned(leaf.rate)
    recorded, _, _ = run.test(1, [("leaf", 0)] * 20)
    assert not recorded
    run.quota.rest()
    assert leaf.get is thinned


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_records_every_call(run):
    """It has nobody who counts for it."""
    run.test(0, [("leaf", 0)] * 9)
    sampling.set_ambient(Ambient(1, 1))
    sites.records.clear()
    child = os.fork()
    if not child:
        run.quota.after_fork()
        run.names["leaf"](0)
        for _ in range(20):
            run.names["leaf"](0)
        os._exit(len(sites.recorded()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 21
