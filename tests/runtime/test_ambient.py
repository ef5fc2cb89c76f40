"""What a call belongs to for which nothing is current."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autoscope.runtime import context, sampling, sites
from autoscope.runtime.ambient import NOTHING, Ambient, from_carrier

SRC = Path(sampling.__file__).resolve().parents[2]
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
CARRIER = f"00-{TRACE:032x}-{SPAN:016x}-01"


@pytest.fixture(autouse=True)
def as_before():
    yield
    sampling.set_ambient(None)
    sampling.set_rate(1.0)


def test_a_carrier_there_and_back():
    """W3C `traceparent`; what is none names no span."""
    found = from_carrier(CARRIER, "vendor=1")
    assert (TRACE, SPAN, 1, True, "vendor=1") == (
        found.trace_id,
        found.span_id,
        found.flags,
        found.sampled,
        found.tracestate,
    )
    assert CARRIER == found.carrier()
    assert from_carrier(CARRIER + "-more").span_id == SPAN
    for text in ("", "00", CARRIER[:-3], CARRIER.replace("a", "x"), "ff" + CARRIER[2:], NOTHING.carrier()):
        assert from_carrier(text) is None, text


def test_first_calls_are_below_it_in_every_thread():
    """One part of the trace for each thread, at any rate; what is current stays what counts."""
    sampling.set_rate(0.001)
    sampling.set_ambient(Ambient(TRACE, SPAN))
    found = {}

    def begin(name):
        found[name] = [sampling.root(None) for _ in range(2)]

    begin("main")
    thread = threading.Thread(target=begin, args=("other",), name="other")
    thread.start()
    thread.join()
    (one, first), (again, second) = found["main"]
    assert one is again
    assert first != second
    assert (TRACE, SPAN, "MainThread") == (one.trace_id, one.remote_parent, one.thread_name)
    (other, _), _ = found["other"]
    assert (TRACE, SPAN, "other") == (other.trace_id, other.remote_parent, other.thread_name)
    assert 2.0 == sites.switches.share, "woven code must not decide by itself"
    assert sampling.root(context.Unsampled()) is None


def test_one_that_is_not_sampled_has_nothing_recorded():
    """As a trace that is decided against; and taken back, traces begin again."""
    before = sampling.set_ambient(Ambient(TRACE, SPAN, flags=2))
    assert before is None
    span = sampling.root(None)
    assert type(span) is context.Unsampled
    sampling.set_ambient(before)
    trace, _ = sampling.root(None)
    assert trace.trace_id != TRACE


def test_opentelemetry_code_is_told_of_it():
    """A span of the program's own, made where nothing is current, is in that trace too."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace

    from autoscope.export.bridge import RuntimeContext

    sampling.set_ambient(Ambient(TRACE, SPAN))
    told = trace.get_current_span(RuntimeContext().get_current()).get_span_context()
    assert (TRACE, SPAN) == (told.trace_id, told.span_id)
    sampling.set_ambient(NOTHING)
    assert not trace.get_current_span(RuntimeContext().get_current()).get_span_context().is_valid


def test_a_child_process_is_told_by_a_variable(tmp_path):
    """`AUTOSCOPE_TRACEPARENT`; none of its calls is recorded where nothing is to be."""
    (tmp_path / "app.py").write_text("def work():\n    return [1]\n\n\nwork()\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AUTOSCOPE_", "OTEL_"))}
    environ |= {"PYTHONPATH": os.pathsep.join([str(SRC.parent), str(SRC)]), "AUTOSCOPE_STRATEGY": "full_trace"}
    read = (
        "import json, sys; from autoscope.read.runs import open_run\n"
        "print(json.dumps([[s.name, s.trace_id, s.parent_id] for s in open_run(sys.argv[1]).spans()]))"
    )
    for carried, wanted in ((CARRIER, [["__main__.work", TRACE, SPAN]]), (NOTHING.carrier(), None)):
        store = str(tmp_path / carried[-2:])
        child = environ | {"AUTOSCOPE_STORE": store, "AUTOSCOPE_TRACEPARENT": carried}
        subprocess.run([sys.executable, "app.py"], cwd=tmp_path, env=child, check=True)
        if wanted is None:
            assert not list(Path(store).glob("runs/*/*.db"))
            continue
        done = subprocess.run(
            [sys.executable, "-c", read, store], env=environ, capture_output=True, text=True, check=True
        )
        assert wanted == json.loads(done.stdout)
