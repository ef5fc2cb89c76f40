"""The budget: what is promised of any code base, any budget, any strategy, whatever the user says."""

from __future__ import annotations

import pytest
from facts_kit import COSTS, a_function, code_base, facts, plans, profiles, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscope.plan import planner
from autoscope.plan import write as writing
from autoscope.plan.budget import LADDER, Estimator, fit, static_load
from autoscope.plan.choose import DETAIL, Choice, by_strategy, namesakes
from autoscope.plan.facts import ENTRIES
from autoscope.plan.model import Capture, CapturePatch, FunctionRule, ModuleRule, Plan
from autoscope.plan.planner import Settings
from autoscope.plan.resolve import resolve
from autoscope.plan.score import score_all

budgets = st.floats(1e-6, 1.0)
anything = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@st.composite
def cases(draw):
    """(facts, settings without a budget)."""
    code = draw(facts())
    return code, Settings(
        strategy=draw(st.sampled_from(["minimal", "balanced", "full_trace", "auto"])),
        rate=draw(st.sampled_from([None, None, 0.0, 0.01, 0.08, 1.0])),
        overrides=draw(st.one_of(st.none(), plans(code))),
        profile=draw(profiles(code)),
    )


def planned(case, budget=None):
    code, asked = case
    return planner.make(
        code,
        Settings(asked.strategy, rate=asked.rate, overrides=asked.overrides, profile=asked.profile, budget=budget),
        COSTS,
    )


def detail(choice):
    """How much a choice tells, each part to be compared by itself."""
    capture = choice.capture
    args = 0 if not capture.args else 2 if capture.args is True else 1
    if not choice.watched:
        return (0, 0.0, 0, False, False)
    return (DETAIL[choice.level], choice.rate, args, capture.returns, capture.state != "none")


def is_no_closer(one, other):
    """Whether one choice tells nothing that the other does not."""
    return all(less <= more for less, more in zip(detail(one), detail(other), strict=True))


def least(made):
    """(level at most, captures, rate) of every function in the declared minimum, as budget's docstring has it."""
    functions = made.facts.functions
    alike = {index: indices for indices in namesakes(made.facts) for index in indices}
    found = []
    for index, wanted in enumerate(made.wanted):
        kept = any(by_strategy(functions[one], "minimal").watched for one in alike.get(index, (index,)))
        if wanted.fixed or not wanted.watched:
            found.append(wanted)
        elif not kept:
            found.append(None)
        else:
            told = wanted.told.capture.settle()
            found.append(Choice("balanced", wanted.rate, told._replace(exceptions=wanted.capture.exceptions)))
    return found


@anything
@given(cases(), budgets)
def test_a_plan_is_within_its_budget_or_the_declared_minimum(case, budget):
    """Nothing in between: what costs more than it may has nothing left to give up."""
    made = planned(case, budget)

    if not made.fitted.is_minimum:
        assert made.fitted.share <= budget
        return
    alike = {index: indices for indices in namesakes(made.facts) for index in indices}
    first = {index: indices[0] for index, indices in alike.items()}
    for index, (choice, expected) in enumerate(zip(made.choices, least(made), strict=True)):
        if expected is None or not expected.watched:
            assert not choice.watched
        elif made.wanted[index].fixed:
            assert made.wanted[index] == choice
        else:
            assert choice.watched
            assert choice.level != "full_trace" or choice.told.capture != CapturePatch()
            assert expected.capture == choice.capture
            leader = made.facts.functions[first.get(index, index)]
            if leader.role in ENTRIES or choice.told.rate is not None:
                assert expected.rate == choice.rate
            else:
                lower = [rate for rate in LADDER if rate < choice.rate]
                costs = [
                    sum(
                        made.estimator.of(one, Choice(choice.level, rate, choice.capture))
                        for one in alike.get(index, [index])
                    )
                    for rate in [choice.rate, *lower]
                ]
                assert min(costs) == costs[0]


@anything
@given(cases(), budgets, budgets)
def test_a_larger_budget_never_gives_a_poorer_plan(case, one, other):
    """Function by function: neither level nor rate nor anything captured is less with more budget."""
    small, large = planned(case, min(one, other)), planned(case, max(one, other))
    free = planned(case)

    assert all(is_no_closer(less, more) for less, more in zip(small.choices, large.choices, strict=True))
    assert all(is_no_closer(less, more) for less, more in zip(large.choices, free.choices, strict=True))
    assert free.wanted == free.choices


@anything
@given(cases(), budgets, budgets)
def test_steps_do_not_know_the_budget(case, one, other):
    """A larger budget stops earlier on the same way."""
    small, large = planned(case, min(one, other)).fitted, planned(case, max(one, other)).fitted

    assert small.steps[: len(large.steps)] == large.steps


@anything
@given(cases())
def test_the_estimate_falls_with_every_step(case):
    """No step makes a plan dearer, and each starts where the one before left its function."""
    made = planned(case, 1e-9)

    shares = [made.fitted.share_before, *(step.share for step in made.fitted.steps)]
    assert sorted(shares, reverse=True) == shares
    assert made.fitted.share == shares[-1]
    at = dict(enumerate(made.wanted))
    for step in made.fitted.steps:
        for part in step.parts or (step,):
            assert at[part.index] == part.before
            assert is_no_closer(part.after, part.before)
            at[part.index] = part.after


@anything
@given(cases(), st.one_of(st.none(), budgets))
def test_the_estimate_is_that_of_the_choices(case, budget):
    """What is left after many steps is what the choices cost when they are estimated from scratch."""
    made = planned(case, budget)

    again = made.estimator.share(made.estimator.total(made.choices))
    assert made.fitted.share == pytest.approx(again, rel=1e-12, abs=1e-15)


@anything
@given(cases(), budgets)
def test_what_users_and_authors_decide_is_kept(case, budget):
    """No budget, and no strategy, changes what an entry with a level or a mark says."""
    code, asked = case
    user = asked.overrides or Plan()
    made = planned(case, budget)

    together = {index for indices in namesakes(code) for index in indices}
    for index, (function, choice) in enumerate(zip(code.functions, made.choices, strict=True)):
        if function.overload or index in together:
            continue
        rule = user.rule_for(function.module, function.qualname)
        level = said_level(user, function)
        if function.mark in ("never", "off") and not rule.named:
            assert not choice.watched
        elif function.mark == "trace" and not rule.named and not user.refuses(function.module, function.qualname):
            assert (choice.watched, choice.rate) == (True, 1.0)
        elif level == "off":
            assert not choice.watched
        elif level is not None:
            assert (level, rule.rate, rule.capture) == (choice.level, choice.rate, choice.capture)
        elif rule.named:
            assert choice.watched
            assert choice.rate == rule.rate


def said_level(user, function):
    """The level that an entry of the user's gives a function; None for none."""
    with_strategy = [
        user._replace(strategy=strategy).rule_for(function.module, function.qualname).level
        for strategy in ("minimal", "balanced")
    ]
    return with_strategy[0] if with_strategy[0] == with_strategy[1] else None


@anything
@given(case=cases(), budget=st.one_of(st.none(), budgets))
def test_the_file_says_what_was_chosen(tmp_path, case, budget):
    """Level, rate and captures of every function come out of the written YAML as they were chosen, whatever entries the user has."""
    code, asked = case
    made = planned(case, budget)
    kept = {}
    if asked.overrides is not None and asked.overrides.capture != CapturePatch():
        kept["capture"] = writing.capture_text(asked.overrides.capture)
    path = write(tmp_path / "plan.yaml", writing.text(planner.document(made, kept=kept)))

    plan = resolve(plan_file=path, environ={})
    assert budget == plan.budget_overhead
    assert made.estimator.traced == plan.sampling.rate
    for function, choice in zip(code.functions, made.choices, strict=True):
        if function.overload:
            assert not choice.watched
            continue
        rule = plan.rule_for(function.module, function.qualname)
        assert rule.level == choice.level
        if choice.watched:
            assert (choice.rate, choice.capture) == (rule.rate, rule.capture)


# By hand: what hypothesis would take for granted.


def fitted(functions, budget, level="balanced", *, traced=1.0, by="strategy", **capture):
    code = code_base(functions)
    estimator = Estimator(code, static_load(code), COSTS, traced)
    choices = [Choice(level, 1.0, Capture(**capture), by=by) for _ in functions]
    return fit(code, choices, score_all(code, {}), estimator, budget)


def test_without_a_budget_nothing_is_given_up():
    """However dear a plan is."""
    found = fitted([a_function(frequency=1e9, work_ns=1.0)], None)

    assert ([], False) == (found.steps, found.is_minimum)
    assert found.share > 0.9


def test_the_least_telling_go_first():
    """Of two that cost the same, the one without a priority loses its rate first."""
    dull = a_function(qualname="dull", frequency=1000.0, work_ns=1e4, reachable=True)
    telling = a_function(
        qualname="telling", frequency=1000.0, work_ns=1e4, reachable=True, cognitive=20, io=("http", "database")
    )

    found = fitted([telling, dull], 1e-9)
    assert [("rate", 1)] * 3 == [(step.what, step.index) for step in found.steps][:3]


def test_captures_of_frequent_simple_functions_go_before_their_rates():
    """What they were called with is soon found out; that they were called is not."""
    function = a_function(frequency=1e6, work_ns=1e6, role="web", role_detail="GET /", roles=("web",))

    first = fitted([function], 1e-9, args=True).steps[0]
    assert ("capture", Capture(), 1.0) == (first.what, first.after.capture, first.after.rate)


def test_a_rate_that_costs_more_than_it_saves_is_passed_over():
    """Where few traces are recorded, drawing a number for every call costs more than recording one call in two of theirs."""
    function = a_function(frequency=1e6, work_ns=100.0, cognitive=12, callers=(0,))

    found = fitted([function], 1e-9, traced=0.08)
    assert [("rate", 0.2), ("rate", 0.1), ("level", 1.0)] == [(step.what, step.after.rate) for step in found.steps]


def test_what_is_never_called_is_given_up_last_and_said():
    """It costs nothing as far as is known, so it goes only when all else that may go has gone, as a step like any other."""
    idle = a_function(qualname="idle", cognitive=12)
    busy = a_function(qualname="busy", cognitive=12, frequency=1e6, work_ns=10.0)
    boundary = a_function(qualname="main", frequency=1e6, work_ns=10.0, catches=("Exception",))

    found = fitted([idle, busy, boundary], 1e-9, by="goal")
    drops = [step.index for step in found.steps if step.what == "drop"]
    assert [1, 0] == drops
    assert found.choices[2].watched


def test_definitions_of_one_name_go_together():
    """A plan knows functions by name: of a property's getter and setter neither is lowered alone, and both are paid for."""
    getter = a_function(qualname="Cart.total", frequency=1e4, work_ns=1e4)
    setter = a_function(qualname="Cart.total", frequency=1e6, work_ns=1e4, line=5)

    first = fitted([getter, setter], 1e-9).steps[0]
    found = fitted([getter, setter], first.share)
    assert [first] == found.steps
    assert found.choices[0] == found.choices[1] == first.after
    assert 0 == first.index


def test_rates_given_without_a_level_are_kept():
    """The user says how often, the budget whether at all."""
    user = Plan(modules={"app": ModuleRule(rate=0.5)})
    code = code_base([a_function(frequency=1e6, work_ns=1.0, cognitive=12, reachable=True)])

    for budget in (None, 0.9, 0.5, 0.1, 0.001):
        (choice,) = planner.make(code, Settings(overrides=user, budget=budget), COSTS).choices
        assert not choice.watched or choice.rate == 0.5
    assert not choice.watched


def test_a_measured_hot_function_stays_when_its_module_is_lowered():
    """What `balanced` watches for its measured time it also watches where the budget lowered `full_trace` to it."""
    from autoscope.plan.profile import Row, from_run

    code = code_base([a_function(qualname="hot"), a_function(qualname="cold", line=9)])
    rows = [Row("app.hot", "", 0, "function", 50, 9e9, 9e9), Row("app.cold", "", 0, "function", 50, 1e6, 1e6)]
    made = planner.make(code, Settings("full_trace", profile=from_run("run 1", rows, 1e10), budget=1e-9), COSTS)

    lowered = next(step for step in made.fitted.steps if step.what == "level")
    assert [(0, "balanced"), (1, "off")] == [(part.index, part.after.level) for part in lowered.parts]


def test_sums_leave_no_rest_behind():
    """After a dear function is dropped, what is left is exactly what the cheap ones cost."""
    dear = a_function(qualname="dear", frequency=1e9)
    cheap = a_function(qualname="main", frequency=1e-6, role="main", roles=("main",), role_detail="it")

    code = code_base([dear, cheap])
    estimator = Estimator(code, static_load(code), COSTS, 1.0)
    found = fit(code, [Choice("balanced"), Choice("balanced")], score_all(code, {}), estimator, 1e-30)
    assert found.share == estimator.share(estimator.of(1, found.choices[1]))


@pytest.mark.parametrize(
    "user",
    [
        Plan(modules={"app": ModuleRule(functions={"f": FunctionRule(rate=0.5)})}),
        Plan(modules={"app": ModuleRule(functions={"f": FunctionRule()})}),
        Plan(modules={"app": ModuleRule(functions={"f": FunctionRule(capture=CapturePatch(args=("sku",)))})}),
        Plan(modules={"*": ModuleRule(functions={"f": FunctionRule(rate=0.5)})}),
    ],
)
def test_a_function_the_user_names_is_watched(user):
    """As in a plan without a planner, an entry by name means that function, level or not, and no budget takes it away."""
    code = code_base([a_function(frequency=1e9)])

    (choice,) = planner.make(code, Settings(overrides=user, budget=1e-6), COSTS).choices
    rule = user.rule_for("app", "f")
    assert ("balanced", rule.rate, rule.capture) == (choice.level, choice.rate, choice.capture)
