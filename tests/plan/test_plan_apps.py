"""Plans for applications of the usual shapes, against what a reviewer wrote down of each (`tests/planner_apps/*/expected.json`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscope.plan import cost, gather, planner
from autoscope.plan.facts import ENTRIES
from autoscope.plan.facts_cache import FactsCache

APPS = Path(__file__).resolve().parent.parent / "planner_apps"
NAMES = sorted(path.parent.name for path in APPS.glob("*/expected.json"))


@pytest.fixture(scope="module")
def planned():
    """(what is expected of an application, its plan by strategy)."""
    made = {}

    def plan(name, strategy="balanced"):
        if (name, strategy) not in made:
            cache = FactsCache.open(None, "")
            facts = gather.gather(gather.read_tree([str(APPS / name)], cache), cache, jobs=1)
            settings = planner.Settings(strategy=strategy)
            made[name, strategy] = planner.make(facts, settings, cost.shipped())
        return json.loads((APPS / name / "expected.json").read_text()), made[name, strategy]

    return plan


def by_name(plan):
    return {
        function.name: (function, choice)
        for function, choice in zip(plan.facts.functions, plan.choices, strict=True)
        if not function.qualname.endswith("<lambda>")
    }


def test_there_are_applications():
    """The cases below are made of them."""
    assert len(NAMES) >= 6


@pytest.mark.parametrize("app", NAMES)
def test_every_entry_point_is_found_and_no_other(app, planned):
    """Roles are the reviewer's, both ways."""
    expected, plan = planned(app)
    found = {name: function.role for name, (function, _) in by_name(plan).items() if function.role in ENTRIES}
    assert expected["entries"] == found


@pytest.mark.parametrize("app", NAMES)
def test_other_roles_are_the_reviewers_too(app, planned):
    """What is called from outside without work beginning there, or asks a database."""
    expected, plan = planned(app)
    functions = by_name(plan)
    assert expected["roles"] == {name: functions[name][0].role for name in expected["roles"]}


@pytest.mark.parametrize("strategy", ["minimal", "balanced", "auto"])
@pytest.mark.parametrize("app", NAMES)
def test_every_entry_point_is_watched_always(app, strategy, planned):
    """Whatever the strategy, where work begins is watched, every call; threads from `balanced` on, tests never."""
    expected, plan = planned(app, strategy)
    functions = by_name(plan)
    skipped = {"test", "thread"} if strategy != "balanced" else {"test"}
    wanted = [name for name, role in expected["entries"].items() if role not in skipped]
    assert dict.fromkeys(wanted, 1.0) == {
        name: functions[name][1].rate for name in wanted if functions[name][1].watched
    }


@pytest.mark.parametrize("app", NAMES)
def test_no_accessor_is_watched(app, planned):
    """What cannot take time is left out, with that as the reason."""
    expected, plan = planned(app)
    functions = by_name(plan)
    assert [] == [name for name in expected["trivial"] if functions[name][1].watched]


@pytest.mark.parametrize("app", NAMES)
def test_io_is_seen_where_it_is_done(app, planned):
    """The kinds of I/O of every function that does any, and of no other."""
    expected, plan = planned(app)
    found = {name: sorted(function.io) for name, (function, _) in by_name(plan).items() if function.io}
    assert {name: sorted(kinds) for name, kinds in expected["io"].items()} == found


@pytest.mark.parametrize("app", NAMES)
def test_every_choice_has_a_reason(app, planned):
    """Watched or not."""
    _, plan = planned(app)
    assert [] == [name for name, (_, choice) in by_name(plan).items() if not all(choice.reasons) or not choice.reasons]
