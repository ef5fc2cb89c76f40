"""A stored run as the profile of a plan: what was not stored is counted too, and our own CPU time is taken off."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from cli_kit import python, write

from autoscope.cli.planning import from_store
from autoscope.errors import AutoscopeError
from autoscope.plan import cost
from autoscope.read.runs import open_run

PROGRAM = """
import asyncio

def numbers(count):
    for number in range(count):
        yield number

async def pause():
    for _ in range(3):
        await asyncio.sleep(0)

async def never_pauses():
    return 1

async def both():
    await pause()
    await never_pauses()

def often():
    return 1

def main():
    for _ in range(200):
        often()
    sum(numbers(10))
    sum(numbers(20))
    asyncio.run(both())

main()
"""
COSTS = cost.shipped(sys.version_info[:2])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with one run in it: `often` had a rate of a half."""
    folder = tmp_path_factory.mktemp("profiled")
    plan = "version: 1\nmodules: {app: {functions: {often: {rate: 0.5}}}}\n"
    write(folder, {"app.py": PROGRAM, "plan.yaml": plan})
    done = python(
        "-m", "autoscope", "run", "--quiet", "--strategy", "full_trace", "--plan", "plan.yaml", "--store", "store", "app.py",
        cwd=folder,
    )  # fmt: skip
    assert 0 == done.code, done.stderr
    return folder / "store"


def measured(store, name):
    """What is said of one function."""
    found = from_store("", str(store), COSTS).functions
    (one,) = (of for (_, _, full), of in found.items() if full == f"__main__.{name}")
    return one


def test_resumptions_are_those_that_were(stored):
    """Of generators and coroutines; one that never waited was resumed once."""
    assert [(2, 32), (1, 4), (1, 1)] == [
        (measured(stored, name).calls, measured(stored, name).steps) for name in ("numbers", "pause", "never_pauses")
    ]


def test_a_sites_rate_is_scaled_back(stored):
    """Each recorded call of a site at 0.5 stands for two."""
    run = open_run(str(stored))
    recorded = next(found.recorded for found in run.functions() if found.name == "__main__.often")

    assert 0 < recorded < 200
    assert 2 * recorded == measured(stored, "often").calls


def change(store: Path, **meta):
    """Tell the run's only process other figures; returns what was there."""
    (process,) = open_run(str(store)).processes
    before = {}
    with sqlite3.connect(process.path) as connection:
        for key, value in meta.items():
            before[key] = process.meta[key]
            connection.execute(
                "UPDATE meta SET value = ? WHERE key = ?", (json.dumps({**process.meta[key], **value}), key)
            )
    connection.close()
    return before


def test_dropped_spans_are_stood_for(stored):
    """Where half of what was recorded is not there, what is there counts twice, and that is said."""
    here = open_run(str(stored)).count_spans()
    before = change(stored, counters={"recorded": 2 * here, "dropped": here})
    try:
        found = from_store("", str(stored), COSTS)
        assert 4 == measured(stored, "numbers").calls
        assert ["50% of the run's calls were dropped or left out; the others stand for them."] == found.notes
    finally:
        change(stored, **before)


@pytest.mark.parametrize("rate", [1e-9, 0.1])
def test_kept_traces_stand_for_those_left_out(tmp_path, rate):
    """The rate is not taken off a second time, and folded calls count as they were, whichever traces chance has kept beside."""
    program = """
        def leaf(): return 1
        def request(n):
            for _ in range(3): leaf()
            if n % 10 == 0: raise ValueError
        for n in range(100):
            try: request(n)
            except ValueError: pass
        """
    plan = f"version: 1\nsampling: {{rate: {rate:.10f}, keep: {{errors: true}}, fold_under: 1h}}\n"
    write(tmp_path, {"app.py": program, "plan.yaml": plan})
    words = ["run", "--quiet", "--strategy", "full_trace", "--plan", "plan.yaml", "--store", "store", "app.py"]
    python("-m", "autoscope", *words, cwd=tmp_path)
    found = from_store("", str(tmp_path / "store"), COSTS)
    calls = {name: measured.calls for (_, _, name), measured in found.functions.items()}
    assert {"__main__.leaf": 300, "__main__.request": 100} == pytest.approx(calls)


def test_what_was_ours_is_taken_off(stored):
    """What came before the program, what the run says of itself, the part of each call and resumption that it does not, and calls left out by a rate; and the doubt in that."""
    figures = {"process_cpu_ns": 10**10, "cpu_ns": 10**9, "before_cpu_ns": 10**8, "in_calls_ns": 700}
    run = open_run(str(stored))
    before = change(stored, counters={"recorded": run.count_spans()}, cost=figures)
    try:
        found = from_store("", str(stored), COSTS)
        often = next(found.recorded for found in run.functions() if found.name == "__main__.often")
        own = 1e9 + run.count_spans() * COSTS.recorded - 700 + (32 + 3 + 3) * COSTS.step + often * COSTS.thinned
        assert 1e10 - 1e8 - own == pytest.approx(found.cpu_ns)
        assert 0.3 * own == pytest.approx(found.doubt_ns)
    finally:
        change(stored, **before)


def test_a_run_without_calls_is_no_profile(tmp_path):
    """One line, with the way out."""
    write(tmp_path, {"app.py": "x = 1\n"})
    assert 0 == python("-m", "autoscope", "run", "--quiet", "--store", "store", "app.py", cwd=tmp_path).code

    with pytest.raises(
        AutoscopeError, match=r"^--profile .*: the run has no calls; name one that has, or a cProfile file$"
    ):
        from_store("", str(tmp_path / "store"), COSTS)
