"""`autoscope view`: what was called in one test, as a tree."""

from __future__ import annotations

import json

import pytest
from cases_kit import call, case, record, write

from autoscope import cli

SHOP = """
import threading

class Refused(Exception):
    pass

def query(sku):
    if sku == 3:
        raise Refused("no 3")
    return sku + 1

def careful(sku):
    try:
        return query(sku)
    except Refused:
        return None

def order(skus, token=""):
    return [careful(sku) for sku in skus]
"""
BODY = """
import contextvars, threading, shop
with case("tests/test_shop.py::test_order[a b]"):
    shop.order([1, 2, 3], token="hidden")
    context = contextvars.copy_context()
    thread = threading.Thread(target=lambda: context.run(shop.query, 9), name="beside")
    thread.start(); thread.join()
with case("tests/test_shop.py::test_nothing", "failed"):
    pass
"""
TEST = "#tests/test_shop.py::test_order[a b]"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A real program's run."""
    return record(tmp_path_factory.mktemp("ran"), BODY, files={"shop.py": SHOP}, strategy="full_trace").path


def view(*words):
    return cli.main(["view", *words])


def without_times(text):
    """Times are the columns before the first ten characters."""
    return [line[11:] for line in text.splitlines()[1:]]


def test_a_test_as_a_tree(ran, capsys):
    """Counts of calls alike, arguments where there is one call, exceptions, threads."""
    assert view(ran + TEST) == 0
    out = capsys.readouterr().out
    assert out.startswith("tests/test_shop.py::test_order[a b]  passed  ")
    assert without_times(out) == [
        "call",
        "  shop.order(skus=[1, 2, 3], token=[redacted]) -> [2, 3, None]",
        "    shop.careful x 3",
        "      shop.query x 2",
        "      shop.query(sku=3)  shop.Refused: no 3",
        "  shop.query(sku=9) -> 10",
    ]


def test_json(ran, capsys):
    """The same for programs; who called whom by number."""
    assert view(ran + TEST, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)

    assert (told["id"], told["outcome"], len(told["trace_id"])) == (TEST[1:], "passed", 32)
    names = [one["name"] for one in told["calls"]]
    assert [(one["name"], None if one["below"] is None else names[one["below"]]) for one in told["calls"]][1:4] == [
        ("call", TEST[1:]),
        ("shop.order", "call"),
        ("shop.careful", "shop.order"),
    ]
    (failed,) = (one for one in told["calls"] if one["error"])
    assert (failed["error"], failed["message"], failed["arguments"]) == ("shop.Refused", "no 3", {"sku": 3})


def test_the_list(ran, capsys):
    """Tests with outcome and duration; how to see one."""
    assert view(ran) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0][11:] == "passed    tests/test_shop.py::test_order[a b]  10 spans"
    assert lines[1][11:] == "failed    tests/test_shop.py::test_nothing  2 spans"
    assert lines[2].endswith("#tests/test_shop.py::test_order[a b]' shows one")
    assert view(ran, "--format", "json") == 0
    assert [item["outcome"] for item in json.loads(capsys.readouterr().out)] == ["passed", "failed"]


def test_a_test_in_which_nothing_was_called(ran, capsys):
    """Has its steps and no more."""
    assert view(ran + "#tests/test_shop.py::test_nothing") == 0
    assert without_times(capsys.readouterr().out) == ["call"]


@pytest.mark.parametrize(
    ("word", "way"),
    [
        ("tests/test_shop.py::test_order", "did you mean tests/test_shop.py::test_order[a b]?"),
        ("tests/test_shop.py::test_nthing", "did you mean tests/test_shop.py::test_nothing"),
        ("zzz", "lists its tests"),
        ("", "lists its tests"),
    ],
)
def test_an_unknown_test(ran, capsys, word, way):
    """One line with the nearest ones."""
    assert view(f"{ran}#{word}") == 2
    said = capsys.readouterr().err
    assert f"#{word}: no such test in this run; " in said
    assert way in said
    assert said.count("\n") == 1


def test_folded_calls_are_in_the_tree(tmp_path, capsys):
    """Counted with those that have spans, whether they ran below or beside the span that tells of them."""

    def told(beside, *names):
        return {
            "autoscope.folded.functions": list(names),
            "autoscope.folded.lines": [3] * len(names),
            "autoscope.folded.calls": [10] * len(names),
            "autoscope.folded.total_ns": [1000] * len(names),
        } | ({"autoscope.folded.beside": True} if beside else {})

    order = call("shop.order", call("shop.query", times=2), attributes=told(False, "shop.query", "shop.price"))
    write(tmp_path, case("t.py::a", order, call("shop.tick", attributes=told(True, "shop.tick", "shop.tock"))))

    assert view("#t.py::a", "--store", str(tmp_path)) == 0
    assert without_times(capsys.readouterr().out) == [
        "call",
        "  shop.order",
        "    shop.query x 12",
        "    shop.price x 10",
        "  shop.tick x 11",
        "  shop.tock x 10",
    ]


def test_traces_of_a_run_without_tests(tmp_path, capsys):
    """By id, or the beginning of one."""
    run = write(tmp_path, call("shop.main", call("shop.a")), call("shop.other", error="Refused"))
    assert view("--store", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:] for line in lines[:2]] == [
        ["ok", lines[0].split()[3], "shop.main", "2", "spans"],
        ["failed", lines[1].split()[3], "shop.other", "1", "span"],
    ]
    trace = lines[0].split()[3]
    assert view(f"{run.id}#{trace[:4]}", "--store", str(tmp_path)) == 2
    assert view(f"{run.id}#{trace[:-1]}", "--store", str(tmp_path)) == 0
    assert without_times(capsys.readouterr().out) == ["shop.main", "  shop.a"]


def test_a_deep_tree(tmp_path, capsys):
    """No recursion of ours; what is too deep for the terminal is counted, JSON has all of it."""
    deep = call("shop.f")
    for _ in range(300):
        deep = call("shop.f", deep)
    write(tmp_path, case("t.py::a", deep))

    assert view("#t.py::a", "--store", str(tmp_path), "--depth", "5") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "and 297 calls more than 5 below each other; --depth N shows more"
    )
    assert view("#t.py::a", "--store", str(tmp_path), "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)["calls"]) == 303


def test_tests_of_one_trace(tmp_path, capsys):
    """With a trace for the whole session each test has its own part."""
    below = [case(f"t.py::{name}", call(f"shop.{name}")) for name in "ab"]
    write(tmp_path, call("session", *below, kind="test"))

    assert view("#t.py::b", "--store", str(tmp_path)) == 0
    assert without_times(capsys.readouterr().out) == ["call", "  shop.b"]
