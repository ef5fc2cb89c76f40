"""The load: how often functions are called for how much CPU time, from the source or a profile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from facts_kit import COSTS, a_function, code_base

from autoscope.plan import cost
from autoscope.plan.analysis import analyse
from autoscope.plan.budget import Estimator, measured_load, roots_of, static_load, weighed
from autoscope.plan.choose import Choice
from autoscope.plan.link import Linker
from autoscope.plan.profile import Measured


@pytest.mark.parametrize(
    "measured, doubt, guess, expected",
    [
        (100.0, 0.0, 900.0, 100.0),
        (100.0, 100.0, 900.0, 300.0),
        (100.0, 50.0, 0.0, 100.0),
        (0.0, 50.0, 900.0, 0.0),
    ],
)
def test_two_figures_are_made_one(measured, doubt, guess, expected):
    """By factors: half way between 100 and 900 is 300. What is not doubted stands, and so does what there is no second figure for."""
    assert expected == pytest.approx(weighed(measured, doubt, guess))


def test_the_less_a_time_can_be_doubted_the_nearer_to_it():
    """And never beyond either figure."""
    found = [weighed(100.0, doubt, 900.0) for doubt in (1000.0, 300.0, 100.0, 30.0, 1.0)]

    assert sorted(found, reverse=True) == found
    assert all(100.0 < one < 900.0 for one in found)


def test_what_is_left_of_a_doubtful_profile_is_held_to_the_source():
    """A profile that was mostly the profiler's own cost: the calls count, and what they come to by their source."""
    code = code_base([a_function(work_ns=1000.0)])
    measured = {0: Measured(50.0, 1.0, 1.0)}

    assert 200.0 == measured_load(code, measured, 200.0, "p").cpu_ns
    assert 200.0 < measured_load(code, measured, 200.0, "p", 400.0).cpu_ns < 50_000.0


def test_work_of_a_generator_is_that_of_its_steps():
    """One call of a hundred thousand steps is work, and is held against a time that is in doubt as such."""
    code = code_base([a_function(kind="generator", work_ns=50.0)])
    once, often = ({0: Measured(1.0, 100.0, 100.0, steps)} for steps in (10.0, 1e5))

    assert 50.0 == pytest.approx(measured_load(code, once, 100.0, "p", 1e9).cpu_ns, rel=0.1)
    assert 5e5 == pytest.approx(measured_load(code, often, 100.0, "p", 1e9).cpu_ns, rel=0.1)


def test_work_takes_longer_where_python_does():
    """Work estimates are in nanoseconds of one machine; a calibrated table says how another compares."""
    code = code_base([a_function(frequency=10.0, work_ns=1000.0)])
    slow = cost.slowness(replace(cost.shipped(), python=2 * cost.shipped().python))

    assert (10_000.0, 20_000.0) == (static_load(code).cpu_ns, static_load(code, slow).cpu_ns)
    only_times = {0: Measured(0.0, 6000.0, 6000.0)}
    assert [{0: 6.0}, {0: 3.0}] == [measured_load(code, only_times, 1.0, "p", 0.0, by).calls for by in (1.0, slow)]


@pytest.mark.parametrize(
    "roles, roots",
    [
        (("", ""), {0}),
        (("web", ""), {0}),
        (("web", "task"), {0, 1}),
    ],
)
def test_traces_begin_at_entry_points(roles, roots):
    """Where there are none, at what nothing is seen to call."""
    first, second = (a_function(qualname=f"f{number}", role=role) for number, role in enumerate(roles))
    first.callees = {1: 1.0}
    code = code_base([first, second])
    code.functions[1].callers = (0,)

    assert roots == roots_of(code, {0: 1.0, 1: 1.0})


def test_what_begins_a_trace_is_dearer():
    """By as much as the table says."""
    code = code_base([a_function(qualname="get", role="web", frequency=100.0, work_ns=1e6)])
    estimator = Estimator(code, static_load(code), COSTS, 1.0)

    assert 100 * (COSTS.recorded + COSTS.exported + COSTS.root) == estimator.of(0, Choice("balanced"))


def test_a_method_the_project_has_is_not_priced_as_a_librarys():
    """`task.execute()` asks a database where no class here has an `execute`; where several have, it may be any of theirs."""
    call = "def run(task):\n    task.execute()\n"
    classes = "".join(f"class C{number}:\n    def execute(self):\n        return {number}\n" for number in range(5))

    def work(text):
        facts = Linker("/project", {"app": ("app.py", "digest", analyse(text, "app"))}).link()
        return facts.find("app.run").work_ns

    assert work(call) > 10_000 > 1_000 > work(classes + call)
