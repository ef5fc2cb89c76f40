"""read/runs: files of every layout there has been are read alike."""

from __future__ import annotations

import sqlite3

import pytest

from autoscope.export.store import StoreExporter
from autoscope.read.functions import measure_run
from autoscope.read.runs import open_run
from autoscope.runtime.sites import new_site
from autoscope.runtime.spans import STEPS, Details, Trace

RUN = "20261121-053012-4f3a"
TO_LAYOUT_2 = """
CREATE TABLE older (span INTEGER PRIMARY KEY, error_type TEXT, error_message TEXT, running_ns INTEGER, attributes TEXT);
INSERT INTO older SELECT * FROM details;
DROP VIEW otel_traces;
DROP VIEW details;
DROP TABLE told;
ALTER TABLE older RENAME TO details;
PRAGMA user_version = 2;
"""
TO_LAYOUT_1 = """
ALTER TABLE spans DROP COLUMN probability;
PRAGMA user_version = 1;
"""


def write(directory):
    """A run of a root, a generator, calls that say the same, and one that fails; where its file is."""
    site = new_site("shop", "pay", "/shop.py", 3, "function", "", ("a",), registered=False)
    pieces = new_site("shop", "pieces", "/shop.py", 7, "generator", "", (), registered=False)
    trace = Trace(5, thread_id=1, thread_name="main")
    root = (trace, 1)
    names = ("autoscope.arg.a",)
    records = [
        (site, 10 + number, trace, root, 1000 * number, 1000 * number + 500, (names, "x")) for number in range(4)
    ]
    records.append((pieces, 20, trace, root, 5000, 5900, (STEPS["generator"], 3, 200)))
    records.append((site, 21, trace, root, 6000, 6100, Details("ValueError", "no", None, {"autoscope.arg.a": "y"})))
    records.append((site, 1, trace, None, 0, 9000, None))
    store = StoreExporter(directory, run_id=RUN, resource={"service.name": "shop"}, info={})
    store.export(records)
    path = store.path
    store.close(5)
    return path


@pytest.mark.parametrize("script", [TO_LAYOUT_2, TO_LAYOUT_2 + TO_LAYOUT_1], ids=["2", "1"])
def test_older_layouts_are_read_alike(tmp_path, script):
    """The same spans, attributes and figures as from the file of today, and nothing to be said about it."""
    directory = str(tmp_path)
    path = write(directory)
    run = open_run(directory)
    spans, functions = list(run.spans()), measure_run(run)
    assert [span.attributes.get("autoscope.arg.a") for span in spans if span.name == "shop.pay"][1:] == ["x"] * 4 + [
        "y"
    ]

    connection = sqlite3.connect(path)
    connection.executescript(script)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'told'").fetchone() == (0,)
    connection.close()
    older = open_run(directory)

    assert (list(older.spans()), measure_run(older), older.notes) == (spans, functions, [])
