"""read/report and `autoscope report`: what was recorded, readably, in every form."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from autoscope.cli import report as command
from autoscope.errors import AutoscopeError
from autoscope.export.store import StoreExporter
from autoscope.read.functions import Function
from autoscope.read.report import (
    Decision,
    Report,
    arrange,
    build_report,
    human_time,
    render,
    render_text,
    shorten,
    summary_text,
)
from autoscope.read.runs import open_run
from autoscope.runtime.spans import Details, ExceptionRecord, Trace

RUN = "20261121-053012-4f3a"


def site(name, kind="function", line=3):
    module, _, qualname = name.rpartition(".")
    return SimpleNamespace(name=name, module=module, qualname=qualname, file="shop.py", line=line, kind=kind)


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__


def write_run(directory):
    """One process: `pay` called twice by `checkout`, failing once."""
    checkout, pay = (Hashable(**vars(site(name))) for name in ("shop.checkout", "shop.cart.Cart.pay"))
    trace = Trace(7)
    root = (trace, 1)
    failed = Details("shop.Refused", "no", ExceptionRecord("shop.Refused", "no", (), 250))
    store = StoreExporter(str(directory), run_id=RUN, resource={}, info={"argv": ["app.py", "-v"], "started": 5})
    store.export(
        [
            (pay, 2, trace, root, 1_000_000, 3_500_000, None),
            (pay, 3, trace, root, 4_000_000, 4_500_000, failed),
            (checkout, 1, trace, None, 0, 10_000_000, None),
        ]
    )
    store.put_meta({"counters": {"dropped": 4, "sampled_out": 1200}})
    store.put_meta({"sites": {"woven": 2, "armed": 2}})
    store.put_meta({"not_woven": [["shop", "gen", "too small"], ["shop", "x", "too small"], ["a", "b", "no code"]]})
    store.put_meta({"notices": [["budget", "rates were lowered"]]})
    store.put_meta({"cost": {"cpu_ns": 2_000_000, "process_cpu_ns": 100_000_000, "share": 0.02}})
    store.close(5)


@pytest.fixture
def stored(tmp_path):
    write_run(tmp_path)
    return str(tmp_path)


EXPECTED = """\
run 20261121-053012-4f3a: app.py -v

function            calls  errors      own    total     mean      p50      p95      max
shop.checkout           1       -  7.00 ms  10.0 ms  10.0 ms  10.0 ms  10.0 ms  10.0 ms
shop.cart.Cart.pay      2       1  3.00 ms  3.00 ms  1.50 ms   500 µs  2.50 ms  2.50 ms

3 spans from 1 process, 4 dropped, 1,200 sampled out, 2 functions watched
autoscope took 2.0% of the CPU time (2.00 ms)
calls ended by exceptions: shop.Refused 1
not watched: too small 2, no code 1
notice: rates were lowered (budget)
"""


def test_the_table_as_text(stored):
    """The whole of it, as it goes into a pipe."""
    assert render_text(build_report(open_run(stored)), 100) == EXPECTED


def test_the_circuit_breaker_is_no_function(stored):
    """It is told apart, how often it opened and why."""
    report = replace(build_report(open_run(stored)), budget=0.03)
    off = Decision(7, 1, "everything", "on", "off", "memory is nearly used up")
    hot = Decision(8, 1, "shop.pay", "every call", "1 call in 9", "100 calls a second: 20% of the CPU time")

    def told(*decisions):
        lines = render_text(replace(report, decisions=decisions), 100).splitlines()
        return [line for line in lines if line.startswith(("budget", "everything"))]

    assert told(hot) == [
        "budget 3% of the CPU time: 1 function recorded in part, of which ~ are estimates (shop.pay 1 call in 9); --decisions tells all"
    ]
    assert told(off, replace(off, before="off", after="on", why="after 30 s")) == [
        "budget 3% of the CPU time: every call is recorded",
        "everything was turned off once: memory is nearly used up",
    ]
    assert told(hot, off, off)[1:] == ["everything was turned off 2 times: memory is nearly used up, the last time"]


def test_the_table_in_colour_says_the_same(stored):
    """Without its colours the terminal's table has the same words in the same order."""
    text = render(build_report(open_run(stored)), "table", width=100, in_colour=True)

    assert "\x1b[" in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text).split() == EXPECTED.split()


def test_80_columns_drop_columns_before_names(stored):
    """Some figures make room; every line fits."""
    report = build_report(open_run(stored))
    long = replace(report.functions[0], name="shop.inventory.warehouse.Warehouse.reserve_everything")
    report = replace(report, functions=(long, *report.functions))

    for width in (40, 60, 80, 120):
        for text in (render_text(report, width), render(report, "table", width=width, in_colour=True)):
            table = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n\n")[1]
            assert max(len(line.rstrip()) for line in table.splitlines()) <= width
            assert "own" in table
    assert "…" in render_text(report, 80)
    assert "mean" not in render_text(report, 80)


def test_json_has_units_in_its_names_and_whole_names(stored):
    """Nanoseconds, as numbers."""
    value = json.loads(render(build_report(open_run(stored)), "json"))

    assert value["functions"][0] == {
        "name": "shop.checkout",
        "file": "shop.py",
        "line": 3,
        "kind": "function",
        "calls": 1,
        "recorded": 1,
        "errors": 0,
        "own_ns": 7_000_000,
        "total_ns": 10_000_000,
        "mean_ns": 10_000_000,
        "p50_ns": 10_000_000,
        "p95_ns": 10_000_000,
        "max_ns": 10_000_000,
        "waiting_ns": 0,
    }
    assert value["exceptions"] == [{"type": "shop.Refused", "raised": 1, "spans": 1}]
    assert (value["own_cpu_ns"], value["own_cpu_share"], value["dropped"]) == (2_000_000, 0.02, 4)


def test_csv_and_markdown(stored):
    """A line a function; a pipe in a name does not break the table."""
    report = build_report(open_run(stored))
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [(row["name"], row["own_ns"]) for row in rows] == [
        ("shop.checkout", "7000000"),
        ("shop.cart.Cart.pay", "3000000"),
    ]
    odd = replace(report, functions=(replace(report.functions[0], name="a|b"),))
    assert "| `a\\|b` | 1 | - | 7.00 ms |" in render(odd, "markdown")


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1.00 µs"),
        (9_994, "9.99 µs"),
        (9_996, "10.0 µs"),
        (1_240_000, "1.24 ms"),
        (99_960_000, "100 ms"),
        (999_400_000, "999 ms"),
        (999_600_000, "1.00 s"),
        (61_000_000_000, "61.0 s"),
        (125_000_000_000, "2 min 05 s"),
        (7_380_000_000_000, "2 h 03 min"),
    ],
)
def test_times_for_people(nanoseconds, shown):
    """Three figures and a unit."""
    assert human_time(nanoseconds) == shown


def test_names_lose_their_middle():
    """And fit."""
    assert shorten("shop.cart.Cart.add", 18) == "shop.cart.Cart.add"
    assert shorten("shop.cart.Cart.add", 13) == "shop…Cart.add"


def test_arranging(stored):
    """Every order puts what was asked for first; an unknown one names the known."""
    report = build_report(open_run(stored))

    assert [one.name for one in arrange(report, "calls", 1).functions] == ["shop.cart.Cart.pay"]
    assert [one.name for one in arrange(report, "name").functions] == ["shop.cart.Cart.pay", "shop.checkout"]
    with pytest.raises(AutoscopeError, match="can't sort by 'size': not one of own, total"):
        arrange(report, "size")


def test_the_summary_is_cheap(stored):
    """It loads no terminal library, and a very large run is not measured while the user waits."""
    code = (
        "import sys\nfrom autoscope.read.runs import open_run\nfrom autoscope.read.report import summary_text\n"
        "print(summary_text(open_run(sys.argv[1])), end='')\nassert 'rich' not in sys.modules, 'rich was loaded'"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, stored], capture_output=True, text=True, env={**os.environ, "PYTHONUTF8": "1"}
    )
    assert out.stderr == ""
    assert out.stdout.startswith("run 20261121-053012-4f3a: app.py -v\n\nfunction ")

    short = summary_text(open_run(stored), most_spans=2)
    assert "function " not in short
    assert f"autoscope report {RUN}" in short


def test_two_processes_are_one_run(stored):
    """Counters and calls of all processes of a run are added up."""
    write_run(stored)
    report = build_report(open_run(stored))

    assert (report.spans, report.dropped, report.woven) == (6, 8, 2)
    assert report.processes == {"finished": 2}
    assert [(one.name, one.calls, one.total_ns) for one in report.functions] == [
        ("shop.checkout", 2, 20_000_000),
        ("shop.cart.Cart.pay", 4, 6_000_000),
    ]


def test_files_that_cannot_be_read_are_named(stored):
    """Rubbish, an empty file and a newer layout hide nothing else."""
    import sqlite3

    folder = os.path.join(stored, "runs", RUN)
    with open(os.path.join(folder, "7-0.db"), "wb") as file:
        file.write(b"rubbish" * 1000)
    open(os.path.join(folder, "8-0.db"), "wb").close()
    newer = sqlite3.connect(os.path.join(folder, "9-0.db"))
    newer.execute("PRAGMA user_version = 7")
    newer.close()

    report = build_report(open_run(stored))

    assert report.spans == 3
    assert [re.sub(" could.*read: ", "|", note) for note in report.notes] == [
        "7-0.db|file is not a database; it is left out",
        "9-0.db|a newer autoscope wrote it (layout 7, known are up to 3); it is left out",
    ]


def test_no_store_and_no_such_run(stored, tmp_path_factory):
    """One line: what was asked, why not, what there is."""
    with pytest.raises(AutoscopeError, match="no runs in /nowhere: .*--store DIR"):
        open_run("/nowhere")
    with pytest.raises(AutoscopeError, match=f"can't open run 'x' in .*: no such run; there is {RUN}"):
        open_run(stored, "x")
    os.mkdir(os.path.join(stored, "runs", "20261121-053013-0000"))
    with pytest.raises(AutoscopeError, match="several runs begin so"):
        open_run(stored, "2026")
    assert open_run(stored, "20261121-053012").id == RUN
    assert open_run(stored, os.path.join(stored, "runs", RUN)).id == RUN
    assert open_run(stored).id == "20261121-053013-0000"


def test_reading_leaves_nothing_behind(stored):
    """The folder of a finished run is as it was, also after a report."""
    folder = os.path.join(stored, "runs", RUN)
    before = sorted(os.listdir(folder))
    build_report(open_run(stored))

    assert sorted(os.listdir(folder)) == before
    assert not [name for name in before if name.endswith(("-wal", "-shm", ".alive"))]


def test_an_empty_run_is_reported(tmp_path):
    """Nothing recorded: said, not crashed on."""
    (tmp_path / "runs" / RUN).mkdir(parents=True)

    assert render(build_report(open_run(str(tmp_path))), "table", in_colour=True)
    assert "0 spans from 0 processes" in summary_text(open_run(str(tmp_path)))


def call(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["report", *words])
    return args.command(args)


def test_the_command(stored, capsys, monkeypatch):
    """`autoscope report`, by option and by environment."""
    assert call("--store", stored, "--format", "csv", "--limit", "1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2

    monkeypatch.setenv("AUTOSCOPE_STORE", stored)
    monkeypatch.setenv("COLUMNS", "100")
    assert call(RUN[:8], "--sort", "calls") == 0
    assert sorted(capsys.readouterr().out.split()) == sorted(EXPECTED.split())


def test_a_report_is_a_plain_value(stored):
    """It can be compared and hashed apart from its dictionaries; building it twice gives the same."""
    assert build_report(open_run(stored)) == build_report(open_run(stored))
    assert isinstance(build_report(open_run(stored)), Report)
    assert isinstance(build_report(open_run(stored)).functions[0], Function)
