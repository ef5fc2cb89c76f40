"""The plan file as text: what is written, in which order, and that it is read back as it was meant."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from facts_kit import COSTS, a_function, code_base, write
from hypothesis import given
from hypothesis import strategies as st
from project_kit import shop  # noqa: F401

from autoscope.plan import planner
from autoscope.plan import write as writing
from autoscope.plan.choose import Choice
from autoscope.plan.load import parse
from autoscope.plan.model import Capture, CapturePatch, FunctionRule, ModuleRule, Plan
from autoscope.plan.planner import Settings
from autoscope.plan.resolve import parse_budget, parse_rate, resolve
from autoscope.plan.schema import Layer, read_layer

ENTRY = {"role": "web", "roles": ("web",), "role_detail": "route /"}


def text_of(code, **asked):
    made = planner.make(code, Settings(**asked), COSTS)
    return writing.text(planner.document(made))


@given(st.floats(0, 1))
def test_numbers_are_read_back_as_they_were(value):
    """A rate of the user's is his rate to the last digit, and so is a budget."""
    assert value == parse_rate(writing.number(value))
    if value:
        assert value == read_layer(parse(f"budget: {writing.budget_text(value)}".encode(), "")).budget


@pytest.mark.parametrize(
    "value, text", [(1.0, "1"), (0.1, "0.1"), (0.07, "0.07"), (1 / 3, "0.3333333333333333"), (1e-6, "1e-06")]
)
def test_numbers_are_written_as_people_do(value, text):
    """As short as they can be."""
    assert text == writing.number(value)


@pytest.mark.parametrize(
    "budget, text", [("3%", "{overhead: 3%}"), ("7%", "{overhead: 7%}"), ("0.0312345", "{overhead: 0.0312345}")]
)
def test_budgets_are_written_as_percentages(budget, text):
    """Where that is as exact."""
    assert text == writing.budget_text(parse_budget(budget))


ODD_NAMES = ["on", "null", "No", "e1", "0001_initial", "make.<locals>.<lambda>", "<lambda>", "größe", "y", "true"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_is_read_back(tmp_path, name):
    """Whatever YAML would take it for."""
    function = a_function(name.partition(".")[0].strip("<>"), name, **ENTRY)
    other = a_function(function.module, "other", mark="never")
    path = write(tmp_path / "plan.yaml", text_of(code_base([function, other]), strategy="full_trace"))

    assert "full_trace" == resolve(plan_file=path, environ={}).rule_for(function.module, name).level


@pytest.mark.parametrize(
    "patch, text",
    [
        (CapturePatch(args=("sku", "on")), "{args: [sku, on]}"),
        (CapturePatch(args=True, returns=False), "{args: true, return: false}"),
        (CapturePatch(exceptions=False, state="diff"), "{exceptions: false, state: diff}"),
    ],
)
def test_captures_are_read_back(patch, text):
    """Every key of them."""
    assert text == writing.capture_text(patch)
    assert patch == read_layer(parse(f"capture: {text}".encode(), "")).capture


SETTINGS = [
    ("strategy", "minimal"),
    ("extends", '["autoscope:balanced", "../team.yaml"]'),
    ("include", '[load, "shop.*"]'),
    ("exclude", "[]"),
    ("redact", '[iban, "on"]'),
    ("budget", "{overhead: 3%}"),
    ("sampling", "{rate: 0.5, keep: {errors: false, slower_than: 1500ms}, fold_under: 0ns}"),
    ("capture", "{args: [sku]}"),
]


@pytest.mark.parametrize("name, text", SETTINGS, ids=[name for name, _ in SETTINGS])
def test_top_level_settings_are_read_back(name, text):
    """Each is written as it would be read."""
    layer = read_layer(parse(f"{name}: {text}".encode(), ""))

    assert text == writing.setting_text(name, layer)


def test_a_setting_that_is_not_given_is_no_text():
    """So that nothing is written for it."""
    names = [name for name, _ in SETTINGS]

    assert {"", "{}", "[]"} >= {writing.setting_text(name, Layer()) for name in names}


def test_entries_are_sorted_and_the_users_globs_keep_their_order(tmp_path):
    """Names by name; of globs of equal length the later is nearer, so their order is not the planner's to change."""
    functions = [a_function(module, name, **ENTRY) for module in ("b", "a") for name in ("z", "ab", "Cart.add")]
    user = Plan(
        modules={
            "b": ModuleRule(
                functions={"z*": FunctionRule("off"), "a*": FunctionRule(rate=0.5), "*b": FunctionRule(rate=0.1)}
            ),
            "?": ModuleRule(rate=0.25),
            "*": ModuleRule(rate=0.75),
        }
    )
    text = text_of(code_base(functions), overrides=user)

    keys = [
        line.strip().partition(":")[0]
        for line in text.split("\n")
        if line.startswith(("  ", "      ")) and line.strip()[:1] != "#"
    ]
    order = [key for key in keys if key in ("a", "b", '"?"', '"*"', "ab", "z", "Cart.add", '"z*"', '"a*"', '"*b"')]
    assert ['"?"', "a", "Cart.add", "ab", "z", "b", "Cart.add", "ab", '"z*"', '"a*"', '"*b"', '"*"'] == order
    plan = resolve(plan_file=write(tmp_path / "plan.yaml", text), environ={})
    for module, name in (("a", "ab"), ("b", "ab"), ("b", "z")):
        said = user.rule_for(module, name)
        assert said.rate == plan.rule_for(module, name).rate
    assert "off" == plan.rule_for("b", "z").level


def test_a_module_watched_whole_is_one_line(tmp_path):
    """Entries for its functions would say the same a hundred times; those whose state is captured say that."""
    plain, changing = a_function(qualname="f"), a_function(qualname="Cart.add", changes=("self.total",))
    text = text_of(code_base([plain, changing]), strategy="full_trace")

    assert "  app:  # low (0.6); 2 of 2 functions\n    level: full_trace\n    functions:\n" in text.replace(
        "(0)", "(0.6)"
    )
    assert "      Cart.add: {capture: {state: diff}}  # full_trace watches everything\n" in text
    assert "      f:" not in text


def test_lambdas_are_named_where_their_module_is_not_watched_whole(tmp_path):
    """Or they would be missing beside their neighbours."""
    code = code_base([a_function(qualname="f", mark="never"), a_function(qualname="f.<locals>.<lambda>")])
    plan = resolve(plan_file=write(tmp_path / "plan.yaml", text_of(code, strategy="full_trace")), environ={})

    assert ["off", "full_trace"] == [plan.rule_for("app", function.qualname).level for function in code.functions]


def test_every_entry_has_its_reason():
    """And so has the entry that leaves all else alone."""
    code = code_base([a_function(**ENTRY), a_function(qualname="g", cognitive=9, io=("database",), frequency=1.0)])
    body = text_of(code).partition("modules:\n")[2].partition("\n# What")[0]

    assert [] == [line for line in body.split("\n") if "{" in line and "  # " not in line]
    assert "g: {level: balanced}  # does I/O: database; complex: cognitive 9, cyclomatic 1" in body


def test_a_reason_cannot_break_its_line():
    """Whatever a framework's route is made of, it is one comment."""
    code = code_base([a_function(**{**ENTRY, "role_detail": "route /a\nmodules: {}\u2028# \x85"})])
    text = text_of(code)

    assert ["app"] == [name for name in read_layer(parse(text.encode(), "")).modules if name != "*"]
    assert "web entry point: route /a\\nmodules: {}\\u2028# \\u0085" in text


def test_the_summary_and_the_provenance_survive_any_path(tmp_path):
    """Of a profile, or of a name that is no text."""
    from autoscope.plan.profile import from_run

    code = code_base([a_function(frequency=1.0)])
    for source in (f"/{'long/' * 60}run", "two\nlines", "caf\udce9", 'quo"te # no comment'):
        profile = from_run(source, [], 1e9)
        profile.functions["", 0, "app.f"] = _once()
        text = text_of(code, profile=profile)
        layer = read_layer(parse(text.encode("utf-8"), ""))
        assert source.replace("\udce9", "?") == layer.provenance["profile"]


def _once():
    from autoscope.plan.profile import Measured

    return Measured(1.0, 1e6, 1e6)


def test_digests_stand_for_what_was_written():
    """Of an entry: where it stands, what it says, and whether only its level is the planner's."""
    one = FunctionRule("balanced", 0.5)

    assert 4 == len(writing.name_digest("app", "f"))
    assert writing.name_digest("app", "f") != writing.name_digest("app f", "")
    assert 3 == len(
        {writing.value_digest(one), writing.value_digest(one, True), writing.value_digest(FunctionRule("balanced"))}
    )
    packed = writing.pack([b"\x02" * 7, b"\x01" * 7])
    assert {b"\x01" * 7, b"\x02" * 7} == writing.unpack(packed, 7)
    assert [set(), set(), set()] == [writing.unpack(text, 7) for text in (None, "not base64!", 17)]


def test_what_an_entry_has_to_say():
    """No more than its level does not say."""
    full = Capture(args=True, returns=True)

    assert FunctionRule("full_trace") == writing.rule_of(Choice("full_trace", 1.0, full), False)
    assert None is writing.rule_of(Choice("full_trace", 1.0, full), True)
    assert None is writing.rule_of(Choice("off"), False)
    expected = FunctionRule("balanced", 0.1, CapturePatch(args=("sku",)))
    assert expected == writing.rule_of(Choice("balanced", 0.1, Capture(args=("sku",))), False)
    expected = FunctionRule("full_trace", None, CapturePatch(returns=False))
    assert expected == writing.rule_of(Choice("full_trace", 1.0, Capture(args=True)), False)


# The same input, the same bytes.


def test_the_same_code_gives_the_same_bytes(shop):  # noqa: F811
    """Whatever the hash seed, the number of processes, the cache, and the order in which files were made."""
    outputs = set()
    for seed, jobs, cache in (("0", "1", "one"), ("7", "2", "one"), ("1", "2", "two"), ("2", "1", "off")):
        done = subprocess.run(
            [sys.executable, "-m", "autoscope", "plan", "shop", "--strategy", "auto", "--budget", "0.5%", "-j", jobs],
            env={**os.environ, "PYTHONHASHSEED": seed, "AUTOSCOPE_CACHE_DIR": str(shop.root.parent / cache)},
            capture_output=True,
            check=True,
            timeout=90,
        )
        outputs.add(done.stdout)
    assert 1 == len(outputs)

    again = shop.root.parent / "again"
    for name in sorted(os.listdir(shop.root / "shop"), reverse=True):
        target = again / "project" / "shop" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isfile(shop.root / "shop" / name):
            target.write_bytes((shop.root / "shop" / name).read_bytes())
    assert shop.run("plan", "shop", "--strategy", "auto", "--budget", "0.5%") == 0
    here = shop.out
    os.chdir(again / "project")
    assert shop.run("plan", "shop", "--strategy", "auto", "--budget", "0.5%") == 0

    def but_for_the_tree_hash(text):
        return [line for line in text.split("\n") if not line.startswith("  source:")]

    assert but_for_the_tree_hash(here) == but_for_the_tree_hash(shop.out)
    assert here.encode() in outputs


def test_a_cached_plan_is_used_only_for_the_same_question(shop):  # noqa: F811
    """The user's settings count, and where the plan goes."""
    (shop.root / "mine.yaml").write_text("redact: [iban]\n")
    assert shop.run("plan", "shop", "--plan", "mine.yaml") == 0
    first = shop.out
    (shop.root / "mine.yaml").write_text("redact: [card]\n")

    assert shop.run("plan", "shop", "--plan", "mine.yaml") == 0
    assert "redact: [card]\n" in shop.out
    assert first.replace("iban", "card") == shop.out
    (shop.root / "below").mkdir()
    assert shop.run("plan", "shop", "-o", "below/plan.yaml") == 0
    assert 'paths: ["../shop"]\n' in (shop.root / "below" / "plan.yaml").read_text()
