"""`autoscope diff`: two runs, function by function."""

from __future__ import annotations

import json

import pytest
from cases_kit import call, case, record, write

from autoscope import cli
from autoscope.read.diff import by_name, changes_of
from autoscope.read.functions import Function
from autoscope.read.runs import list_runs

THEN, NOW = "20261121-053012-0001", "20261121-053013-0002"
TEST = "tests/test_shop.py::test_order"


@pytest.fixture
def stored(tmp_path):
    """`query` is called 400 times instead of 4 and fails once, `audit` is gone, `fast` is new."""
    query = call("shop.query", took=1_000_000)
    then = [case(TEST, call("shop.order", query * 4), call("shop.audit"), call("shop.same"))]
    failed = call("shop.query", took=1_000_000, error="Refused")
    now = [case(TEST, call("shop.order", query * 399, failed), call("shop.fast"), call("shop.same"))]
    write(tmp_path, *then, run_id=THEN)
    write(tmp_path, *now, run_id=NOW)
    return str(tmp_path)


def diff(stored, *words, runs=(THEN, NOW)):
    return cli.main(["diff", *runs, "--store", stored, *words])


def test_the_table(stored, capsys, monkeypatch):
    """The whole of it: what differs in calls first, then the verdict. Exit code 1."""
    monkeypatch.setenv("COLUMNS", "120")
    assert diff(stored) == 1
    assert capsys.readouterr().out == (
        "function       calls  errors                own              total                p50\n"
        "shop.query  4 -> 400  - -> 1  4.00 ms -> 400 ms  4.00 ms -> 400 ms            1.00 ms\n"
        "shop.audit    1 -> -       -       10.0 µs -> -       10.0 µs -> -       10.0 µs -> -\n"
        "shop.fast     - -> 1       -       - -> 10.0 µs       - -> 10.0 µs       - -> 10.0 µs\n"
        "shop.order         1       -            10.0 µs  4.01 ms -> 400 ms  4.01 ms -> 400 ms\n"
        "shop.same          1       -            10.0 µs            10.0 µs            10.0 µs\n"
        "\n"
        f"CRITICAL_MISS  run {NOW} against run {THEN}: 1 test compared, 1 CRITICAL_MISS\n"
        f"  critical  calls      shop.query: called 4 -> 400 times ({TEST})\n"
        f"  critical  gone       shop.audit: no longer called, was once ({TEST})\n"
        f"  critical  swallowed  shop.query: Refused does not leave shop.order ({TEST})\n"
    )


def test_a_narrow_table(stored, capsys, monkeypatch):
    """Columns make room for names."""
    monkeypatch.setenv("COLUMNS", "60")
    diff(stored)
    first = capsys.readouterr().out.split("\n")[0]

    assert first.split() == ["function", "calls", "errors", "own"]


def test_a_run_and_itself(stored, capsys):
    """Nothing changed."""
    assert diff(stored, runs=(NOW, NOW)) == 0
    out = capsys.readouterr().out
    assert "->" not in out
    assert f"ALIGNED  run {NOW} against run {NOW}: 1 test compared\n" in out


def test_json_and_markdown(stored, capsys):
    """Other programs get all of it; a pull request what matters."""
    assert diff(stored, "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "CRITICAL_MISS"
    assert {finding["kind"] for finding in told["cases"][0]["findings"]} == {"calls", "gone", "swallowed"}
    assert {one["name"]: one["state"] for one in told["functions"]} == {
        "shop.query": "",
        "shop.audit": "gone",
        "shop.fast": "new",
        "shop.order": "",
        "shop.same": "",
    }
    assert told["functions"][0]["after"]["calls"] == 400

    assert diff(stored, "--format", "markdown", "--limit", "1") == 1
    text = capsys.readouterr().out
    assert text.startswith("### autoscope: CRITICAL\\_MISS  run")
    assert "| `shop.query` | 4 -> 400 | - -> 1 | 4.00 ms -> 400 ms |" in text
    assert "shop.same" not in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--threshold", "calls=101", "--threshold", "fail=calls"], 0),
        (["--threshold", "calls=100", "--threshold", "fail=calls"], 1),
        (["--threshold", "calls.more=397", "--threshold", "fail=calls"], 0),
        (["--threshold", "fail=time"], 0),
        (["--threshold", "fail="], 0),
        (["--threshold", "fail=gone,swallowed"], 1),
        (["--plan", "plan.yaml"], 0),
        (["--plan", "plan.yaml", "--threshold", "fail=gone"], 1),
    ],
)
def test_thresholds(stored, tmp_path, monkeypatch, words, code):
    """From the plan, and over it from the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.yaml").write_text("compare: {calls: 500, fail: [calls]}\n")
    assert diff(stored, *words) == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--threshold", "calls"], "--threshold calls: write KEY=VALUE, such as calls=2; keys: calls, calls.more, "),
        (["--threshold", "call=2"], "--threshold call=2: write KEY=VALUE"),
        (["--threshold", "calls=x"], "--threshold: calls.times: `x` is not a number; give a number from 1 on"),
        (["--threshold", "time.more=5"], "--threshold: time.more: `5` has no unit; "),
        (["--threshold", "fail=all"], "--threshold: fail: `all` is not known; "),
        (["--plan", "nothing.yaml"], "nothing.yaml: no such file; "),
        (["--format", "csv"], "argument --format: invalid choice"),
    ],
)
def test_what_is_used_wrongly(stored, capsys, words, message):
    """One line, exit code 2."""
    assert diff(stored, *words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"autoscope: {message}")
    assert said.count("\n") == 1


def test_an_unknown_run(stored, capsys):
    """As everywhere."""
    assert diff(stored, runs=("2027", NOW)) == 2
    assert "can't open run '2027'" in capsys.readouterr().err


def test_two_runs_of_a_real_program(tmp_path, capsys):
    """Whose loop asks the database once a row now."""
    source = "import shop\nwith case('t.py::test'):\n    shop.page(range(40))\n"
    then = "def query(rows):\n    return list(rows)\ndef page(rows):\n    return query(rows)\n"
    now = "def query(rows):\n    return list(rows)\ndef page(rows):\n    return [query([row]) for row in rows]\n"
    # A plan that folds short calls: counted all the same.
    (tmp_path / "plan.yaml").write_text("sampling: {fold_under: 1s}\n")
    before = record(tmp_path / "a", source, files={"shop.py": then})
    after = record(tmp_path / "b", source, files={"shop.py": now}, env={"AUTOSCOPE_PLAN": str(tmp_path / "plan.yaml")})
    assert list_runs(str(tmp_path / "a/store"))

    assert cli.main(["diff", before.path, after.path]) == 1
    out = capsys.readouterr().out
    assert "  critical  calls      shop.query: called 1 -> 40 times (t.py::test)\n" in out
    assert "gone" not in out


def function(name, calls, own, line=1):
    return Function(name, "shop.py", line, "function", calls, calls, 1, own, own, own // calls, 5, 6, 7 * line)


def test_definitions_that_share_a_name_are_one():
    """Moving a function to another line changes nothing; two of a name are added up."""
    (one,) = by_name([function("f", 3, 30, line=1), function("f", 1, 50, line=9)]).values()
    assert (one.calls, one.own_ns, one.errors, one.mean_ns, one.max_ns) == (4, 80, 2, 20, 63)
    (change,) = changes_of([function("f", 3, 30, line=1)], [function("f", 3, 30, line=7)])
    assert not change.differs()
