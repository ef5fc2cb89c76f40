"""Strategies, marks and overrides: what is chosen, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from facts_kit import a_function, code_base
from project_kit import shop  # noqa: F401

from autoscope.plan.choose import Aim, choose_all
from autoscope.plan.model import SILENT, Capture, CapturePatch, FunctionRule, ModuleRule, Plan
from autoscope.plan.score import score_all

WEB = {"role": "web", "roles": ("web",), "role_detail": "route /"}
FULL = Capture(args=True, returns=True)


def chosen(functions, strategy="balanced", *, types=None, **known):
    code = code_base(functions, types)
    return choose_all(code, score_all(code, {}), strategy, **known)


def one(function, strategy="balanced", user=None, aim=None):
    (choice,) = chosen([function], strategy, overrides=user, aims={0: aim} if aim else None)
    return choice


STRATEGIES = [
    # what, minimal, balanced, reason at balanced
    (a_function(), "off", "off", "no entry point, no I/O"),
    (a_function(**WEB), "minimal", "balanced", "web entry point: route /"),
    (a_function(**WEB, trivial="constant"), "minimal", "balanced", "web entry point"),
    (a_function(catches=("Exception",)), "minimal", "balanced", "error boundary: catches Exception"),
    (a_function(catches=("*",)), "minimal", "balanced", "error boundary: catches everything"),
    (a_function(catches=("KeyError",)), "off", "off", "no entry point"),
    (a_function(io=("database",)), "off", "balanced", "does I/O: database"),
    (a_function(io=("lock", "console")), "off", "off", "no entry point"),
    (a_function(cognitive=8), "off", "balanced", "complex: cognitive 8"),
    (a_function(cyclomatic=8), "off", "balanced", "complex: cognitive 0, cyclomatic 8"),
    (a_function(io=("http",), trivial="delegation"), "off", "off", "trivial: it leaves the work to another function"),
    (a_function(qualname="Cart.__eq__", cognitive=9), "off", "off", "a special method"),
    (a_function(qualname="Cart.__enter__", cognitive=9), "off", "balanced", "complex"),
    (a_function(qualname="<lambda>", io=("http",)), "off", "off", "a lambda"),
    (a_function(is_abstract=True, cognitive=9), "off", "off", "abstract"),
    (a_function("tests.test_app", cognitive=9), "off", "off", "test code"),
    (a_function(role="migration", cognitive=9), "off", "off", "a migration"),
    (a_function(overload=True, **WEB), "off", "off", "only a declaration"),
    (a_function(role="thread", role_detail="pool"), "off", "balanced", "runs in a thread, process or pool: pool"),
]


@pytest.mark.parametrize("function, minimal, balanced, reason", STRATEGIES, ids=[case[3] for case in STRATEGIES])
def test_what_strategies_choose(function, minimal, balanced, reason):
    """By what a function is and does, and each choice says by which of it."""
    assert minimal == one(function, "minimal").level
    choice = one(function)
    assert balanced == choice.level
    assert choice.reasons[0].startswith(reason)
    assert Capture() == choice.capture


def test_full_trace_watches_all_there_is():
    """With arguments and results, state where a function changes its object's, and every call."""
    plain, changing, declared = (
        a_function(),
        a_function(changes=("self.total",), line=4, qualname="g"),
        a_function(overload=True, line=9),
    )

    found = chosen([plain, changing, declared], "full_trace")
    assert [("full_trace", 1.0, FULL), ("full_trace", 1.0, FULL._replace(state="diff"))] == [
        (choice.level, choice.rate, choice.capture) for choice in found[:2]
    ]
    assert "off" == found[2].level


@pytest.mark.parametrize(
    "known, rate",
    [
        ({"frequency": 10.0}, 1.0),
        ({"frequency": 11.0}, 0.5),
        ({"frequency": 60.0}, 0.1),
        ({"frequency": 1e9}, 0.01),
        ({"frequency": 1e9, **WEB}, 1.0),
        ({"frequency": 1e9, "qualname": "Cart.__init__"}, 1.0),
    ],
)
def test_rates_follow_from_how_often_a_function_is_called(known, rate):
    """Entry points and life-cycle functions are recorded every time."""
    assert rate == one(a_function(cognitive=9, **known)).rate


def test_what_takes_the_time_is_watched():
    """A function with a share of the measured time, whatever else it is."""
    code = [a_function(), a_function(qualname="g")]

    found = chosen(code, shares={0: 0.2, 1: 0.001})
    assert ["balanced", "off"] == [choice.level for choice in found]
    assert ("measured: 20% of all own time",) == found[0].reasons


def test_auto_picks_for_each_module():
    """Closely where much is at stake, loosely where leaves are hot, and least among tests."""
    functions = [
        a_function("web", **WEB, io=("http",), cognitive=20, frequency=1.0, reachable=True),
        a_function("core", io=("database",), cognitive=9, frequency=1.0, reachable=True),
        a_function("leaf", cognitive=9, io=("file",), frequency=1e6, reachable=True),
        a_function("tests.test_web", catches=("*",), role="worker_loop", role_detail="loop"),
    ]

    found = {
        choice_of[0].module: choice_of[1].level
        for choice_of in zip(code_base(functions).functions, chosen(functions, "auto"), strict=True)
    }
    assert {"core": "balanced", "leaf": "off", "tests.test_web": "off", "web": "full_trace"} == found


# Marks.

MARKED = """
    import autoscope
    from autoscope import never, trace as watch

    @autoscope.trace
    def traced(): return 1

    @watch
    def renamed(): return 1

    @never
    def silent():
        try: open("x")
        except Exception: pass

    def off_on_def():  # autoscope: off
        open("x").read()

    @staticmethod  # autoscope: off
    def off_on_decorator():
        open("x").read()

    class Quiet:  # autoscope: off
        def method(self): open("x").read()

        @autoscope.trace
        def heard(self): pass

    @autoscope.never
    class Silent:
        def method(self): open("x").read()

    @autoscope.trace
    class Loud:
        def method(self): return 1

    def unmarked(): open("x").read()  # an autoscope: off that is none
    """
BY_MARK = {
    "traced": "balanced",
    "renamed": "balanced",
    "silent": "off",
    "off_on_def": "off",
    "off_on_decorator": "off",
    "Quiet.method": "off",
    "Quiet.heard": "balanced",
    "Silent.method": "off",
    "Loud.method": "balanced",
    "unmarked": "balanced",
}


@pytest.mark.parametrize("strategy", ["minimal", "balanced", "full_trace", "auto"])
def test_marks_hold_whatever_the_strategy(shop, strategy):  # noqa: F811
    """On a function, on a decorator's line, on a class; the nearer mark wins."""
    import json

    shop.write({"shop/marked.py": MARKED})
    assert shop.run("plan", "shop", "--strategy", strategy, "--budget", "0.00001%", "--format", "json") == 0

    found = {item["name"]: item for item in json.loads(shop.out)["functions"]}
    for name, level in BY_MARK.items():
        if name != "unmarked":
            function = found[f"shop.marked.{name}"]
            assert "mark" == function["decided_by"], name
            assert (level != "off") == (function["level"] != "off"), name


TRACE, NEVER, HASH = (a_function(mark=mark, catches=("*",)) for mark in ("trace", "never", "off"))


@pytest.mark.parametrize(
    "function, modules, level, by",
    [
        (NEVER, {"app": ModuleRule("full_trace")}, "off", "mark"),
        (NEVER, {"app": ModuleRule(functions={"f": FunctionRule("minimal")})}, "minimal", "user"),
        (NEVER, {"app": ModuleRule(functions={"?": FunctionRule("minimal")})}, "minimal", "user"),
        (NEVER, {"app": ModuleRule(functions={"?": FunctionRule(rate=0.5)})}, "off", "mark"),
        (HASH, {"*": ModuleRule("full_trace")}, "off", "mark"),
        (TRACE, {"*": ModuleRule("off")}, "balanced", "mark"),
        (TRACE, {"a*": ModuleRule("off")}, "off", "user"),
        (TRACE, {"app": ModuleRule(functions={"f": FunctionRule("off")})}, "off", "user"),
        (TRACE, {"app": ModuleRule("full_trace", 0.5)}, "full_trace", "user"),
    ],
)
def test_marks_and_entries(function, modules, level, by):
    """As in a running program: `never` yields to the function's own name, `trace` to whatever is no `"*"`."""
    choice = one(function, user=Plan(modules=modules))

    assert (level, by) == (choice.level, choice.by)
    assert function.mark != "trace" or choice.rate == 1.0


# Overrides.

BOUNDARY = a_function(catches=("*",), frequency=60.0)
"""Watched by any strategy, at rate 0.1."""


def in_app(*rule, **functions):
    return {"app": ModuleRule(*rule, functions={name: FunctionRule(*said) for name, said in functions.items()})}


@pytest.mark.parametrize(
    "modules, level, rate, capture, by",
    [
        ({}, "balanced", 0.1, Capture(), "strategy"),
        (in_app("off"), "off", 1.0, Capture(), "user"),
        (in_app("full_trace"), "full_trace", 1.0, FULL, "user"),
        (in_app(f=("full_trace", 0.3)), "full_trace", 0.3, FULL, "user"),
        (in_app("full_trace", 0.7, f=("minimal",)), "minimal", 0.7, Capture(), "user"),
        (in_app(None, 0.7), "balanced", 0.7, Capture(), "strategy"),
        (in_app(None, None, CapturePatch(args=True)), "balanced", 0.1, Capture(args=True), "strategy"),
        (in_app(f=(None, 0.7)), "balanced", 0.7, Capture(), "user"),
        (in_app("off", f=("balanced",)), "balanced", 1.0, Capture(), "user"),
        ({"a*": ModuleRule("off"), "*": ModuleRule("full_trace")}, "off", 1.0, Capture(), "user"),
    ],
)
def test_entries_win_key_by_key(modules, level, rate, capture, by):
    """A level, or the function's own name, settles all of it; what is given without either changes that alone."""
    choice = one(BOUNDARY, user=Plan(modules=modules))

    assert (level, rate, capture, by) == (choice.level, choice.rate, choice.capture, choice.by)


def test_what_the_plan_as_a_whole_captures_counts():
    """Over what the strategy would, and under the entries."""
    user = Plan(capture=CapturePatch(args=False, exceptions=False))
    assert Capture(args=False, returns=True, exceptions=False) == one(BOUNDARY, "full_trace", user).capture

    entries = Plan(capture=user.capture, modules=in_app(None, None, CapturePatch(args=("sku",))))
    assert Capture(args=("sku",), returns=True, exceptions=False) == one(BOUNDARY, "full_trace", entries).capture
    level = Plan(capture=user.capture, modules=in_app("full_trace"))
    assert Capture(args=True, returns=True, exceptions=False) == one(BOUNDARY, "minimal", level).capture


def test_rates_for_what_is_not_watched_do_not_watch_it():
    """A glob's rate is for what is there anyway."""
    choice = one(a_function(), user=Plan(modules={"*": ModuleRule(rate=0.5, functions={"*": FunctionRule(rate=0.2)})}))

    assert ("off", "strategy") == (choice.level, choice.by)


def test_entries_win_over_goals():
    """The goal says what is wanted, the user what is allowed."""
    aim = Aim("goal slow:app.f: the function itself", args=True, level="full_trace")

    assert "goal" == one(a_function(), aim=aim).by
    assert "off" == one(a_function(), user=Plan(modules=in_app("off")), aim=aim).level
    assert one(a_function(), user=Plan(capture=CapturePatch(args=False)), aim=aim).capture == Capture()
    assert "off" == one(a_function(mark="never"), aim=aim).level
    assert "off" == one(a_function(overload=True), aim=aim).level


def test_definitions_of_one_name_have_one_choice():
    """The closest of theirs; but what one of them is marked with holds for all."""
    setter = a_function(qualname="Cart.total", cognitive=9, line=5)
    getter = a_function(qualname="Cart.total")

    assert ["balanced"] * 2 == [choice.level for choice in chosen([getter, setter])]
    marked = chosen([replace(getter, mark="never"), setter])
    assert [("off", "mark")] * 2 == [(choice.level, choice.by) for choice in marked]


def test_every_choice_has_a_reason():
    """A yes and a no."""
    for case in STRATEGIES:
        for strategy in ("minimal", "balanced", "full_trace"):
            assert one(case[0], strategy).reasons
    assert ("the entry app f says off",) == one(BOUNDARY, user=Plan(modules=in_app(f=("off",)))).reasons
    assert "the entry app says so" == one(BOUNDARY, user=Plan(modules=in_app(None, 0.5))).reasons[0]
    assert SILENT == one(BOUNDARY).told.capture


# Entries that match nothing, includes and excludes: by the command line.

WRONG = [
    (
        "shop.crat:\n    level: off\n",
        '3:3: modules["shop.crat"]: the code has no such module; did you mean `shop.cart`? ',
    ),
    ("'paid.*':\n    level: off\n", '3:3: modules["paid.*"]: the code has no such module; '),
    (
        "shop.payments:\n    functions:\n      pay: {rate: 0.5}\n      chrge: {level: off}\n",
        '6:7: modules["shop.payments"].functions["chrge"]: the code has no such function; did you mean `charge`? there are charge, pay, rounded',
    ),
    (
        "shop.*: {functions: {'Crat.*': {level: off}}}\n",
        '3:24: modules["shop.*"].functions["Crat.*"]: the code has no such function; ',
    ),
]


@pytest.mark.parametrize("entry, message", WRONG, ids=[case[0].split()[0] for case in WRONG])
@pytest.mark.parametrize("way", ["--plan", "--update"])
def test_entries_that_match_nothing_are_errors_at_their_place(shop, entry, message, way):  # noqa: F811
    """With what may have been meant."""
    shop.plan.write_text(f"version: 1\nmodules:\n  {entry}")

    assert shop.run("plan", "shop", way, shop.plan) == 2
    assert shop.err.startswith(f"autoscope: {shop.plan}:{message}")
    assert 1 == shop.err.count("\n")
    assert "" == shop.out


def test_excludes_win_over_everything(shop):  # noqa: F811
    """Marks, goals and entries; and the plan says who left it out."""
    import json

    shop.write({"shop/marked.py": MARKED})
    shop.plan.write_text("modules:\n  shop.payments:\n    level: full_trace\n")
    options = (
        "--plan",
        shop.plan,
        "--goal",
        "slow:shop.payments",
        "--exclude",
        "shop.pay*",
        "--exclude",
        "shop.marked",
    )
    assert shop.run("plan", "shop", *options, "--format", "json") == 0

    for function in json.loads(shop.out)["functions"]:
        if function["name"].startswith(("shop.payments", "shop.marked")):
            assert ("off", "user") == (function["level"], function["decided_by"])
            assert function["reasons"][0].startswith("excluded: shop.")
    assert shop.run("plan", "shop", *options, "-o", "out.yaml") == 0
    text = (shop.root / "out.yaml").read_text()
    assert 'exclude: ["shop.pay*", shop.marked]\n' in text
    assert "  shop.payments: {level: full_trace}\n" in text


def test_includes_leave_out_the_rest(shop):  # noqa: F811
    """And those that match nothing are errors, as excludes are."""
    assert shop.run("plan", "shop", "--include", "shop.cart", "-o", shop.plan) == 0
    body = shop.plan.read_text().partition("modules:\n")[2].partition("provenance:")[0]
    assert "shop.cart:" in body
    assert "shop.web:" not in body

    for option in ("--include", "--exclude"):
        assert shop.run("plan", "shop", option, "shop.crat") == 2
        assert (
            f"autoscope: {option} shop.crat: no such module here; did you mean `shop.cart`? there are shop, "
            in shop.err
        )
