"""Calls of generators and coroutines, from profiles that count their steps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autoscope.plan import cost, planner, profile
from autoscope.plan.creations import STEPS, Creations
from autoscope.plan.facts import Function
from autoscope.plan.facts_cache import FactsCache
from autoscope.plan.gather import gather, read_tree
from autoscope.plan.planner import Planned
from autoscope.plan.profile import Measured

PROGRAM = """
import asyncio

def numbers(n):
    for number in range(n):
        yield number

def total():
    return sum(numbers(900))

def orders(n):
    for number in range(n):
        yield number, -number

def solutions(n):
    for one, other in orders(n):
        if one % 100 == 0:
            yield one

def solve():
    return list(solutions(2000))

def note(row):
    return len(row)

def cells(row):
    for cell in row:
        yield cell

def flat(rows):
    found = []
    for row in rows:
        note(row)
        found += cells(row)
    return found

def twice(n):
    yield n
    yield n

def alone(rows):
    found = []
    for row in rows:
        found += twice(row)
    return found

def hidden():
    for number in range(99):
        yield number

def walk(tree):
    for branch in tree:
        yield from walk(branch)
    yield tree

def look():
    return list(walk([[[]], [[], []]]))

async def ask(times):
    for _ in range(times):
        await asyncio.sleep(0)

async def serve():
    await ask(400)
    await ask(400)

def main():
    for _ in range(7):
        total()
        solve()
    flat(["some"] * 300)
    alone(range(50))
    for _ in range(4):
        list(globals()["hid" + "den"]())
    look()
    asyncio.run(serve())

main()
"""
CALLED = {"numbers": 7, "orders": 7, "solutions": 7, "cells": 300, "ask": 2, "serve": 1}


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Planned:
    """A plan of the program with a real cProfile of it."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "app.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "cProfile", "-o", "app.prof", "app.py"]
    assert subprocess.run(command, cwd=folder, check=False, stderr=subprocess.PIPE).stderr == b""
    with FactsCache.open(None, "1") as cache:
        facts = gather(read_tree([str(folder)], cache), cache)
    read = profile.read(str(folder / "app.prof"), cost.shipped())
    return planner.make(facts, planner.Settings("full_trace", profile=read), cost.shipped())


@pytest.fixture(scope="module")
def measured(planned) -> dict[str, Measured]:
    """What the profile comes to."""
    return {planned.facts.functions[index].qualname: of for index, of in planned.measured.items()}


def test_the_plan_says_which_calls_are_no_counts(planned):
    """How many were worked out, and by name those that are guesses."""
    (said,) = [line for line in planner.summary(planned) if "steps of generators and coroutines" in line]
    assert "note      This profile counts steps" in said
    assert "of 9 the calls are worked out from those of their callers" in said
    assert said.endswith("where these do not tell, at most the steps: app.hidden, app.twice, app.walk.")


def test_a_plan_is_made_for_the_calls(planned):
    """Not for the steps: of `numbers`, seven, with 901 steps each."""
    (index,) = [index for index, function in enumerate(planned.facts.functions) if function.qualname == "numbers"]
    assert (7, 901) == (planned.load.calls[index], planned.load.steps[index])


@pytest.mark.parametrize("name", CALLED)
def test_calls_are_told_from_steps(measured, name):
    """From the calls of whoever calls a generator or coroutine, and what the source says they do."""
    assert CALLED[name] == measured[name].calls


@pytest.mark.parametrize(
    "name, steps", [("numbers", 901 * 7), ("orders", 2001 * 7), ("cells", 5 * 300), ("ask", 401 * 2)]
)
def test_steps_are_what_was_counted(measured, name, steps):
    """All of them, as cProfile has them."""
    assert steps == measured[name].steps


@pytest.mark.parametrize("name", ["hidden", "walk"])
def test_what_cannot_be_told_is_guessed(measured, name):
    """Of a generator that nobody is seen to call, or that calls itself, the usual number of steps is taken."""
    assert measured[name].steps / STEPS["generator"] == measured[name].calls


def test_a_loop_whose_length_nothing_tells_is_met_halfway(measured):
    """50 calls of three steps: by its source three calls, by what is usual fifteen."""
    assert 150 == measured["twice"].steps
    assert (3 * 15) ** 0.5 == pytest.approx(measured["twice"].calls)


def test_functions_are_counted_as_they_are(measured):
    """Only what is resumed is counted otherwise."""
    assert (300, 0) == (measured["note"].calls, measured["note"].steps)


@pytest.mark.parametrize("weight, calls", [(0.001, 1.0), (1.0, 5.0), (1e9, 20.0)])
def test_calls_are_at_least_one_and_at_most_the_steps(weight, calls):
    """Whatever the source says."""
    made = Function("app", "made", 1, 2, "generator", (), callers=(1,))
    caller = Function("app", "caller", 3, 4, "function", (), loop_depth=1, callees={0: weight, 2: weight})
    beside = Function("app", "beside", 5, 6, "function", (), callers=(1,))
    seen = {0: Measured(20, 1, 1), 1: Measured(5, 1, 1), 2: Measured(5 * weight, 1, 1)}

    found = Creations([made, caller, beside], seen, {(1, 2): 5 * weight}).counted()

    assert calls == found[0].calls
