"""What is wrong with a plan is said in one line that names the place, the reason and the way out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscope.errors import PlanError
from autoscope.plan import load as loading
from autoscope.plan import resolve as resolving
from autoscope.plan.load import MOST_BYTES, load

CASES = [
    tuple(block.split("\n=> "))
    for block in (Path(__file__).parent / "bad_plans.txt").read_text().rstrip("\n").split("\n====\n")
]
"""A plan and what is said of it: `bad_plans.txt` holds one after the other."""


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal(content: str | bytes) -> str:
    """What is said of a plan with this in it."""
    Path("plan.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PlanError) as caught:
        load("plan.yaml")
    message = str(caught.value)
    assert message.startswith("plan.yaml:")
    check_form(message)
    return message


def check_form(message: str) -> None:
    """One line, of bounded length, with a way out."""
    assert message.isprintable()
    assert len(message) < 500
    assert "; " in message
    assert message.rpartition("; ")[2].strip()


@pytest.mark.parametrize(("plan", "message"), CASES, ids=[case[0][:40] for case in CASES])
def test_a_bad_plan_is_refused_with_its_place(plan, message):
    """Exactly this is said."""
    assert refusal(plan + "\n") == message


@pytest.mark.parametrize("plan", [case[0] for case in CASES], ids=[case[0][:40] for case in CASES])
def test_it_is_refused_without_the_c_parser_too(plan, monkeypatch):
    """Where PyYAML was built without libyaml its own parser reads; it words syntax errors otherwise."""
    monkeypatch.setattr(loading, "_LOADER", yaml.SafeLoader)
    refusal(plan + "\n")


BYTES = [
    (b"", "plan.yaml: the plan is empty; begin with a key such as `strategy: balanced`"),
    (
        b"version: 1\nstrategy: \xe9\n",
        "plan.yaml:2:11: not a YAML file: byte 0xe9 is not UTF-8; name a plan file, or save it as UTF-8",
    ),
    (
        b"\x7fELF\x02\x01\x01",
        "plan.yaml:1:1: not a YAML file: it has the control character `\\u007f`; "
        "name a plan file, or take the character out",
    ),
    (
        "strategy: balanced\n".encode("utf-16"),
        "plan.yaml:1:1: not a YAML file: byte 0xff is not UTF-8; name a plan file, or save it as UTF-8",
    ),
    (
        b"a: \x1b[31mred\n",
        "plan.yaml:1:4: not a YAML file: it has the control character `\\u001b`; "
        "name a plan file, or take the character out",
    ),
]


@pytest.mark.parametrize(("content", "message"), BYTES, ids=[repr(case[0])[:30] for case in BYTES])
def test_a_file_that_is_not_text_is_refused(content, message):
    """Binary files and other encodings are told apart from bad YAML, at the first wrong byte."""
    assert refusal(content) == message


def test_a_byte_order_mark_is_read_over():
    """Editors put one at the start of a UTF-8 file."""
    Path("plan.yaml").write_bytes(b"\xef\xbb\xbfstrategy: minimal\n")
    assert load("plan.yaml").strategy == "minimal"


def test_a_plan_that_is_too_large_is_refused_at_once():
    """10 MB of YAML are not parsed: what is wrong in the first line is not found."""
    content = b"modules: ]\n" + b"  shop.cart: {level: off}\n" * (10 * 10**6 // 26)
    assert refusal(content) == (
        "plan.yaml: larger than 5 MB, the most a plan may have; "
        "leave to `strategy` and globs what needs no entry of its own"
    )


def test_a_file_without_end_is_refused():
    """Only as much is read as a plan may have."""
    with pytest.raises(PlanError, match="larger than 5 MB"):
        load("/dev/zero")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "], ids=["list", "mapping", "block"])
def test_deep_nesting_is_refused_before_it_hurts(opening):
    """No recursion of the parser's is deep enough to overflow."""
    content = opening * (MOST_BYTES // len(opening) // 100)
    if opening != "- ":
        content = "modules: " + content
    assert ": more than 32 levels deep; a plan needs six" in refusal(content)


def test_aliases_cannot_multiply():
    """A billion laughs, which no machine has room for, are refused at the first few thousand."""
    lines = ["provenance:", "  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert refusal("\n".join(lines)) == (
        "plan.yaml:6:17: aliases repeat more than 20000 values; write out what is meant"
    )


FILES = [
    ("nowhere.yaml", "nowhere.yaml: no such file; name a plan that exists, or write one with `autoscope plan"),
    (".", ".: a directory, not a plan; name the plan file in it"),
    ("", "`` is not the name of a file; name a plan file"),
    ("a\0b", "`a\\u0000b` is not the name of a file; name a plan file"),
    ("a\nb", "a\\nb: no such file; name a plan that exists, or write one with `autoscope plan"),
    ("x" * 300, "x" * 300 + ": cannot be read: File name too long; name a plan this user may read"),
    ("\ud800", "\\ud800"),
]


@pytest.mark.parametrize(("path", "beginning"), FILES, ids=[repr(case[0])[:20] for case in FILES])
def test_a_file_that_cannot_be_read_is_named(path, beginning):
    """In one line, whatever its name is."""
    for read in (load, lambda path: resolving.resolve(plan_file=path, environ={})):
        with pytest.raises(PlanError) as caught:
            read(path)
        assert str(caught.value).lstrip("`").startswith(beginning.lstrip("`"))
        check_form(str(caught.value))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named():
    """The system's reason is told."""
    Path("plan.yaml").touch(mode=0o000)
    with pytest.raises(PlanError, match="plan.yaml: cannot be read: Permission denied; "):
        load("plan.yaml")


def test_a_circle_of_plans_is_shown():
    """The error stands where the circle closes."""
    Path("a.yaml").write_text("extends: b.yaml\n")
    Path("b.yaml").write_text("version: 1\nextends: [autoscope:balanced, ./a.yaml]\n")
    with pytest.raises(PlanError) as caught:
        load("a.yaml")
    assert str(caught.value) == (
        "b.yaml:2:31: extends: ./a.yaml extends itself: a.yaml -> b.yaml -> ./a.yaml; "
        "take out one `extends` of the circle"
    )


def test_a_long_row_of_plans_is_refused():
    """Sixteen are enough."""
    for number in range(30):
        Path(f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    with pytest.raises(PlanError, match=r"15.yaml:1:10: extends: more than 16 plans extend each other; join"):
        load("0.yaml")


def test_an_error_in_an_extended_plan_has_its_place():
    """Not the place where it is extended."""
    Path("deep").mkdir()
    Path("deep/base.yaml").write_text("version: 1\nstrategy: fast\n")
    Path("plan.yaml").write_text("extends: deep/base.yaml\n")
    with pytest.raises(PlanError, match=r"^deep/base.yaml:2:11: strategy: `fast` is not known; "):
        load("plan.yaml")


def test_a_plan_reached_by_many_ways_is_read_once(monkeypatch):
    """Two to the sixteenth ways take no time."""
    for number in range(15):
        Path(f"{number}.yaml").write_text(f"extends: [{number + 1}.yaml, ./{number + 1}.yaml]\n")
    Path("15.yaml").write_text("strategy: minimal\n")
    read = []
    monkeypatch.setattr(
        loading, "parse", lambda data, path, parse=loading.parse: read.append(path) or parse(data, path)
    )
    assert load("0.yaml").strategy == "minimal"
    assert len(read) == 16


MAPPINGS = [
    ({"stratgy": "minimal"}, "<mapping>: unknown key `stratgy`; did you mean `strategy`? known keys: version, extends"),
    (
        {"sampling": {"rate": 2}},
        "<mapping>: sampling.rate: `2` is not between 0 and 1; did you mean `2%`? give a share",
    ),
    ({"sampling": {"rate": float("nan")}}, "<mapping>: sampling.rate: `nan` is not a finite number; give a share"),
    ({"sampling": {"rate": 10**5000}}, "<mapping>: sampling.rate: `inf` is not a finite number; give a share"),
    ({"sampling": {"rate": True}}, "<mapping>: sampling.rate: `true` is not a number; give a share"),
    ({"sampling": {"keep": {"errors": "yes"}}}, "<mapping>: sampling.keep.errors: the text `yes` is neither true nor"),
    ({1: 2}, "<mapping>: the key `1` is not text; write it as a str"),
    ({"include": {"shop"}}, "<mapping>: include: `set` is not a type a plan holds; give text, a number"),
    (
        {"modules": {"a": {"functions": {"f": {"level": 3}}}}},
        '<mapping>: modules["a"].functions["f"].level: `3` is not',
    ),
    ({"extends": "autoscope:none"}, "<mapping>: extends: no preset `none`; known: autoscope:minimal"),
    ({"extends": "a\ud800"}, "<mapping>: `a\\ud800` is not the name of a file; name a plan file"),
    ([], "<mapping>: a plan is a mapping, and this is a list; begin with"),
]


@pytest.mark.parametrize(("mapping", "beginning"), MAPPINGS, ids=[str(case[1])[11:40] for case in MAPPINGS])
def test_a_bad_mapping_is_refused_with_the_way_to_the_value(mapping, beginning):
    """The schema is the file's; the keys lead where line and column would."""
    with pytest.raises(PlanError) as caught:
        resolving.resolve_mapping(mapping, environ={})
    assert str(caught.value).replace("extends: `a", "`a").startswith(beginning)
    check_form(str(caught.value))


def test_a_mapping_that_contains_itself_is_refused():
    """In words, not by the recursion limit."""
    mapping: dict[str, object] = {}
    mapping["modules"] = mapping
    with pytest.raises(PlanError, match="more than 32 levels deep; take out what contains itself"):
        resolving.resolve_mapping(mapping, environ={})


VARIABLES = [
    (
        {"AUTOSCOPE_RATE": "2"},
        "AUTOSCOPE_RATE=2: `2` is not between 0 and 1; "
        "did you mean `2%`? give a share from 0 to 1 such as 0.2, or a percentage such as 20%",
    ),
    (
        {"AUTOSCOPE_STRATEGY": "fast"},
        "AUTOSCOPE_STRATEGY=fast: `fast` is not known; known: minimal, balanced, full_trace",
    ),
    (
        {"AUTOSCOPE_BUDGET": "3"},
        "AUTOSCOPE_BUDGET=3: `3` is not between 0 and 1; "
        "did you mean `3%`? give a percentage such as 3%, or a share such as 0.03",
    ),
    (
        {"AUTOSCOPE_INCLUDE": "shop.*,lib/x.py"},
        "AUTOSCOPE_INCLUDE=shop.*,lib/x.py: `lib/x.py` is a path, not a module; "
        "write `lib.x` if that is its module name",
    ),
    (
        {"AUTOSCOPE_EXCLUDE": "shop.["},
        "AUTOSCOPE_EXCLUDE=shop.[: `shop.[` has a `[` that no `]` closes; "
        "give a dotted module name, with `*`, `?` or `[…]` for several, such as shop.*",
    ),
    ({"AUTOSCOPE_RATE": "1\n2"}, None),
    ({"AUTOSCOPE_INCLUDE": "x " * 10_000}, None),
]


@pytest.mark.parametrize(("environ", "message"), VARIABLES, ids=[str(case[0])[:40] for case in VARIABLES])
def test_a_bad_variable_is_named(environ, message):
    """With the value it has."""
    with pytest.raises(PlanError) as caught:
        resolving.resolve(environ=environ)
    if message is not None:
        assert str(caught.value) == message
    check_form(str(caught.value))


def test_a_damaged_resolved_plan_is_refused():
    """Half a file, or one of another version."""
    text = resolving.resolve(environ={}).to_json()
    for damaged in (text[:-20], text.replace('"sampling":[', '"sampling":["x",1,2,3,4,5,'), '{"autoscope_resolved":1}'):
        Path("plan.json").write_text(damaged)
        with pytest.raises(PlanError, match="^plan.json: a resolved plan that is damaged; name the plan it was made"):
            resolving.resolve(plan_file="plan.json", environ={})


words = st.sampled_from(
    "version extends strategy include exclude budget sampling capture redact modules provenance level rate functions args "
    "return state keep errors slower_than fold_under overhead minimal off full_trace 0.5 3% 250ms true null shop.* [ ] { } "
    "'a' : - , & * ? ! | > # % @ ` \n \n  \t é \x00 << ---".split(" ")
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=80), st.lists(words, max_size=25).map(lambda each: " ".join(each).encode()))
)
def test_whatever_a_file_holds_it_is_a_plan_or_refused_in_one_line(content):
    """No other exception leaves the reader."""
    Path("plan.yaml").write_bytes(content)
    try:
        load("plan.yaml")
    except PlanError as error:
        check_form(str(error))


trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from("modules functions level rate capture sampling include args".split()), st.text()),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(mapping=st.dictionaries(st.sampled_from("modules capture sampling include redact provenance".split()), trees))
def test_whatever_a_mapping_holds_it_is_a_plan_or_refused_in_one_line(mapping):
    """No other exception leaves the reader, and a plan it becomes can be handed on."""
    try:
        plan = resolving.resolve_mapping(mapping, environ={})
    except PlanError as error:
        check_form(str(error))
    else:
        assert plan.from_dict(json.loads(plan.to_json())) == plan
