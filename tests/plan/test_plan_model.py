"""The plan as a value: what it comes to for a module, for a function, and across a process boundary."""

from __future__ import annotations

import copy
import fnmatch
import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope.plan.model import (
    LEVELS,
    RESOLVED,
    STATES,
    STRATEGIES,
    Capture,
    CapturePatch,
    FunctionRule,
    ModuleRule,
    Plan,
    Rule,
    Sampling,
    Thresholds,
    matches,
)

FULL = Capture(args=True, returns=True)

levels = st.none() | st.sampled_from(LEVELS)
rates = st.none() | st.floats(0, 1)
names = st.text("abAB.*?[]_é", min_size=1, max_size=6)
captures = st.builds(
    CapturePatch,
    args=st.none() | st.booleans() | st.lists(names, min_size=1, max_size=2).map(tuple),
    returns=st.none() | st.booleans(),
    exceptions=st.none() | st.booleans(),
    state=st.none() | st.sampled_from(STATES),
)
functions = st.builds(FunctionRule, levels, rates, captures)
modules = st.builds(ModuleRule, levels, rates, captures, st.dictionaries(names, functions, max_size=3))
globs = st.lists(names, max_size=2).map(tuple)
lengths = st.none() | st.integers(0, 10**12)
free = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
plans = st.builds(
    Plan,
    strategy=st.sampled_from(STRATEGIES),
    include=globs,
    exclude=globs,
    budget_overhead=rates,
    budget_spans=st.none() | st.integers(1, 10**9),
    sampling=st.builds(Sampling, st.floats(0, 1), st.booleans(), st.booleans(), lengths, lengths),
    capture=captures,
    redact=globs,
    modules=st.dictionaries(names, modules, max_size=3),
    compare=st.builds(
        Thresholds, st.floats(1, 9), st.integers(1, 99), st.floats(1, 9), st.integers(0, 10**9), globs, globs
    ),
    provenance=st.none() | st.dictionaries(st.text(), free, max_size=2),
    source=st.text(),
    warnings=st.lists(st.text(), max_size=2).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(plans)
def test_a_plan_crosses_as_json(plan):
    """What the program reads is what plan time resolved."""
    text = plan.to_json()
    assert text.startswith(RESOLVED)
    again = Plan.from_dict(json.loads(text))
    assert again == plan
    assert again.to_json() == text
    assert list(again.modules) == list(plan.modules)
    assert pickle.loads(pickle.dumps(plan)) == plan


@settings(max_examples=100, deadline=None)
@given(plans, names, names)
def test_every_function_gets_a_complete_rule(plan, module, qualname):
    """Nothing is left open, whatever the plan says; and asking twice gives the same answer."""
    rule = plan.rule_for(module, qualname)
    assert rule.level in LEVELS
    assert 0 <= rule.rate <= 1
    assert isinstance(rule.capture.args, (bool, tuple))
    assert rule.capture.state in STATES
    assert plan.rule_for(module, qualname) == rule
    assert plan.selects(module) in (True, False, None)


@given(st.text("ab.*?[]!-", min_size=1, max_size=8), st.text("ab.-]", max_size=8))
def test_globs_match_as_fnmatch_has_it(pattern, name):
    """The shortcuts for common patterns change nothing."""
    assert matches(pattern, name) == fnmatch.fnmatchcase(name, pattern)


def rule(functions=None, module=None, *, name="Cart.add", **plan) -> Rule:
    """The rule for `shop.cart`'s `Cart.add` under these function rules and this module entry."""
    entry = (module or ModuleRule())._replace(functions=functions or {})
    return Plan(modules={"shop.cart": entry}, **plan).rule_for("shop.cart", name)


def test_a_function_nobody_mentions_follows_the_strategy():
    """With the defaults for all else."""
    assert Plan().rule_for("shop", "f") == Rule("balanced", 1.0, Capture(), False)
    assert Plan(strategy="minimal").rule_for("shop", "f").level == "minimal"
    assert Plan(strategy="full_trace").rule_for("shop", "f") == Rule("full_trace", 1.0, FULL, False)


def test_the_rate_of_traces_is_not_the_rate_of_a_function():
    """A function's calls are thinned among the recorded traces; without a word, none is left out."""
    assert Plan(sampling=Sampling(rate=0.1)).rule_for("shop", "f").rate == 1.0


def test_a_function_is_nearer_than_its_module_and_that_than_the_strategy():
    """For each key by itself."""
    module = ModuleRule("minimal", 0.5, CapturePatch(returns=True, state="diff"))
    function = FunctionRule(rate=0.1, capture=CapturePatch(state="before"))
    expected = Rule("minimal", 0.1, Capture(args=("sku",), returns=True, state="before"), True)
    assert rule({"Cart.add": function}, module, capture=CapturePatch(args=("sku",), returns=False)) == expected


def test_the_exact_name_wins_then_the_longest_glob_then_the_last():
    """Each key from the nearest that gives it."""
    functions = {
        "*": FunctionRule("off", 0.1, CapturePatch(exceptions=False)),
        "Cart.a*": FunctionRule("minimal", 0.2),
        "Cart.?dd": FunctionRule("full_trace", 0.3),
        "Cart.add": FunctionRule(rate=0.4),
        "*.add": FunctionRule("balanced"),
    }
    assert rule(functions) == Rule("full_trace", 0.4, FULL._replace(exceptions=False), True)
    assert rule(functions, name="Cart.axe").level == "minimal"
    assert rule({"C*": FunctionRule("off"), "*d": FunctionRule("minimal")}).level == "minimal"
    assert rule({"*d": FunctionRule("minimal"), "C*": FunctionRule("off")}).level == "off"


def test_modules_are_as_near_as_their_names():
    """The exact name, then globs by length; functions under any of them come before what a module says."""
    plan = Plan(
        modules={
            "*": ModuleRule("off", 0.1),
            "shop.*": ModuleRule("minimal", functions={"save": FunctionRule("full_trace")}),
            "shop.cart": ModuleRule(rate=0.5, functions={"s*": FunctionRule(rate=0.9)}),
        }
    )
    assert plan.rule_for("shop.cart", "save") == Rule("full_trace", 0.9, FULL, True)
    assert plan.rule_for("shop.cart", "load") == Rule("minimal", 0.5, Capture(), False)
    assert plan.rule_for("shop", "load") == Rule("minimal", 0.1, Capture(), False)
    assert plan.rule_for("lib", "load") == Rule("off", 0.1, Capture(), False)


@pytest.mark.parametrize(
    ("functions", "module", "plan", "expected"),
    [
        ({}, ModuleRule("full_trace"), {}, FULL),
        ({}, ModuleRule("full_trace"), {"capture": CapturePatch(args=False, returns=False)}, FULL),
        ({}, ModuleRule("full_trace", capture=CapturePatch(args=("sku",))), {}, Capture(("sku",), True)),
        ({"Cart.add": FunctionRule(capture=CapturePatch(args=False))}, ModuleRule("full_trace"), {}, Capture(False, True)),
        ({"Cart.add": FunctionRule("minimal")}, ModuleRule("full_trace"), {}, Capture()),
        ({"Cart.add": FunctionRule("minimal")}, ModuleRule(), {"strategy": "full_trace"}, Capture()),
        ({"Cart.add": FunctionRule("minimal")}, ModuleRule(), {"capture": CapturePatch(args=True)}, Capture(True)),
        ({}, None, {"strategy": "full_trace", "capture": CapturePatch(args=False)}, Capture(False, True)),
    ],
)  # fmt: skip
def test_full_trace_captures_unless_the_same_place_or_a_nearer_one_says_otherwise(functions, module, plan, expected):
    """And a level that is overridden implies nothing."""
    assert rule(functions, module, **plan).capture == expected


def test_a_function_is_named_by_its_name_or_by_a_glob_that_gives_a_level():
    """What is named is woven whatever it looks like; a rate for many names nobody."""
    assert rule({"Cart.add": FunctionRule()}).named
    assert rule({"Cart.*": FunctionRule("minimal")}).named
    assert not rule({"Cart.*": FunctionRule(rate=0.1)}).named
    assert not rule({}, ModuleRule("full_trace")).named


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(), {"shop": None, "os": None}),
        (Plan(include=("shop.*",)), {"shop": True, "shop.cart": True, "shop.cart.db": True, "shopping": False, "os": False}),
        (Plan(include=("shop",)), {"shop": True, "shop.cart": False}),
        (Plan(include=("*",), exclude=("os", "shop.v*")), {"shop": True, "os": False, "shop.vendored": False}),
        (Plan(exclude=("shop.*",)), {"shop": False, "shop.cart": False, "os": None}),
        (Plan(include=("shop.*",), modules={"lib": ModuleRule(), "db.*": ModuleRule()}), {"lib": True, "db": True, "db.x": True, "lib.x": False}),
        (Plan(modules={"lib": ModuleRule()}, exclude=("lib",)), {"lib": False}),
        (Plan(modules={"lib": ModuleRule()}), {"lib": True, "os": None}),
        (Plan(modules={"*": ModuleRule(), "*.models": ModuleRule()}), {"os": None, "shop.models": None}),
        (Plan(include=("Shop",)), {"shop": False, "Shop": True}),
    ],
)  # fmt: skip
def test_selects(plan, expected):
    """`exclude` beats all; `include` and names under `modules` say yes; without `include` the rest is left open."""
    assert {module: plan.selects(module) for module in expected} == expected


def test_the_model_is_light():
    """A program that is handed a resolved plan loads no YAML, no dataclasses, no parser."""
    code = (
        "import sys; from autoscope.plan.model import Plan; Plan(include=('a.*',)).selects('a');"
        "print(*{'yaml', 'dataclasses', 'inspect', 'fnmatch', 'json'} & set(sys.modules),"
        " *(name for name in sys.modules if name.startswith('autoscope.plan.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["autoscope.plan.model"]


def test_a_program_that_is_started_without_a_plan_file_loads_no_dataclasses():
    """Reading what the environment says, of the plan and of telemetry, takes milliseconds otherwise."""
    code = (
        "import sys; from autoscope.export import settings; from autoscope.plan.resolve import resolve;"
        "resolve(environ={'AUTOSCOPE_STRATEGY': 'balanced'}); settings.Settings();"
        "print(*{'yaml', 'dataclasses', 'inspect', 'typing', 'ast'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not ran.stdout.split()


def test_our_named_tuples_are_like_typings():
    from typing import Any as Anything
    from typing import NamedTuple as Pythons

    from autoscope.tuples import NamedTuple as Ours

    class A(Ours):
        x: int
        y: str = "b"
        z: tuple[Anything, ...] = ()

        def twice(self):
            return self.x * 2

    class B(Pythons):
        x: int
        y: str = "b"
        z: tuple[Anything, ...] = ()

    for values, named in (((1,), {}), ((1, "c"), {"z": (3,)}), ((), {"x": 4, "y": "q"}), ((1, "2", (3,)), {})):
        ours, pythons = A(*values, **named), B(*values, **named)
        assert tuple(ours) == tuple(pythons) and ours == pythons and hash(ours) == hash(pythons)
        assert (ours.x, ours.y, ours.z) == (pythons.x, pythons.y, pythons.z)
        assert repr(ours)[1:] == repr(pythons)[1:] and ours._asdict() == pythons._asdict()
        assert ours._replace(y="new") == pythons._replace(y="new") and type(ours._replace(x=1)) is A
        assert copy.deepcopy(ours) == ours and type(copy.copy(ours)) is A
    for values, named in (((), {}), ((1, 2, 3, 4), {}), ((1,), {"x": 2}), ((1,), {"w": 2})):
        for kind in (A, B):
            with pytest.raises(TypeError):
                kind(*values, **named)
    with pytest.raises(AttributeError):
        A(1).x = 2
    assert A(3).twice() == 6 and A._fields == B._fields == A.__match_args__


@pytest.mark.parametrize(
    "text", ['{"a": [1, -2.5e3, null, true, false, "x\\u00e9\\ud83d\\ude00\\n"], "b": {}} \n', "[]", '"x"', "NaN"]
)
def test_json_is_read_as_by_json(text):
    from autoscope.bootstrap import _from_json

    assert repr(_from_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", ['{"a":', "[1] x", "nope", "", "[1,]", '"\n"'])
def test_what_is_not_json_is_refused_as_by_json(text):
    from autoscope.bootstrap import _from_json

    with pytest.raises(ValueError) as ours:
        _from_json(text)
    with pytest.raises(ValueError) as theirs:
        json.loads(text)
    assert str(ours.value) == str(theirs.value)
