"""`autoscope run` into real receivers: every span arrives, and what does not is counted."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from oteltest.sink import GrpcSink, HttpSink
from oteltest.sink.handler import AccumulatingHandler
from otlp_kit import free_port, wait_until_open

from program_kit import environment

PROGRAM = """
def leaf(x):
    return x

def work(n):
    for number in range(n):
        leaf(number)

def main():
    for _ in range(10):
        work(9999)
    try:
        fail()
    except ValueError:
        print("done")

def fail():
    raise ValueError("on purpose")

main()
"""
COUNT = 10 * 9999 + 10 + 1 + 1


def traced(tmp_path, url, calls=9999, **env):
    """The finished process, and [recorded, exported, dropped] of its summary."""
    (tmp_path / "app.py").write_text(PROGRAM.replace("9999", str(calls)))
    command = [sys.executable, "-m", "autoscope", "run", "--strategy", "full_trace", "--otlp", url, "app.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment("", env=env, plain=True),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "done\n"
    figures = re.search(r"(\d+) spans recorded, (\d+) exported, (\d+) dropped", done.stderr)
    assert figures, done.stderr
    return done, [int(figure) for figure in figures.groups()]


@pytest.fixture(params=[("http/protobuf", HttpSink), ("grpc", GrpcSink)], ids=["http", "grpc"])
def receiver(request):
    """(protocol, address, what was received) of a real OTLP receiver in this process."""
    protocol, kind = request.param
    handler, port = AccumulatingHandler(), free_port()
    sink = kind(handler, logging.getLogger("sink"), port=port)
    sink.start()
    wait_until_open(port)
    yield protocol, f"http://127.0.0.1:{port}", handler
    sink.stop()


def received(handler):
    return [
        span
        for request in handler.telemetry.trace_requests
        for resource in request.pbreq.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_every_span_arrives_at_full_speed(receiver, tmp_path):
    """100,000 spans as fast as they can be made: none lost, none twice, names, parents and attributes right."""
    protocol, url, handler = receiver
    _, (recorded, exported, dropped) = traced(tmp_path, url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    spans = received(handler)

    assert (recorded, exported, dropped) == (COUNT, COUNT, 0)
    assert Counter(span.name for span in spans) == {
        "__main__.leaf": 99990, "__main__.work": 10, "__main__.main": 1, "__main__.fail": 1
    }  # fmt: skip
    ids = {span.span_id: span for span in spans}
    assert len(ids) == COUNT
    assert len({span.trace_id for span in spans}) == 1
    parents = Counter((span.name, ids[span.parent_span_id].name if span.parent_span_id else "") for span in spans)
    assert parents == {
        ("__main__.leaf", "__main__.work"): 99990, ("__main__.work", "__main__.main"): 10,
        ("__main__.fail", "__main__.main"): 1, ("__main__.main", ""): 1,
    }  # fmt: skip
    leaf = next(span for span in spans if span.name == "__main__.leaf")
    attributes = {pair.key: pair.value for pair in leaf.attributes}
    assert attributes["code.function.name"].string_value == "__main__.leaf"
    assert attributes["code.file.path"].string_value == str(tmp_path / "app.py")
    assert attributes["code.line.number"].int_value == 2
    assert attributes["autoscope.arg.x"].int_value == attributes["autoscope.return"].int_value
    failed = next(span for span in spans if span.name == "__main__.fail")
    assert (failed.status.code, failed.status.message) == (2, "on purpose")
    assert [event.name for event in failed.events] == ["exception"]


def test_what_is_dropped_is_counted_exactly(receiver, tmp_path):
    """With a queue too small for its speed, received and dropped add up to what was recorded."""
    protocol, url, handler = receiver
    _, (recorded, exported, dropped) = traced(
        tmp_path, url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, OTEL_BSP_MAX_QUEUE_SIZE="2000"
    )
    assert recorded == COUNT
    assert dropped > 0
    assert exported == len(received(handler))
    assert exported + dropped == recorded


def test_a_dead_endpoint_is_said_once(tmp_path):
    """Nobody answers: the program ends as it would have, everything is counted as dropped."""
    done, (recorded, exported, dropped) = traced(tmp_path, f"http://127.0.0.1:{free_port()}")
    assert (recorded, exported, dropped) == (COUNT, 0, COUNT)
    assert done.stderr.count("(export-failed)") == 1


def test_the_main_thread_stays_the_main_thread(receiver, tmp_path):
    """The sender's modules are imported in our thread; the program, which imports `threading` after that, cannot tell."""
    protocol, url, handler = receiver
    (tmp_path / "app.py").write_text("""
def work(): return 1
work()
import time; time.sleep(0.5)
import threading, signal
print(threading.current_thread() is threading.main_thread())
signal.signal(signal.SIGUSR1, lambda *_: None)
""")
    command = [sys.executable, "-m", "autoscope", "run", "--quiet", "--strategy", "full_trace", "--otlp", url, "app.py"]
    env = environment("", env={"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_BSP_SCHEDULE_DELAY": "20"}, plain=True)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert [span.name for span in received(handler)] == ["__main__.work"]


AGENT = Path(__file__).parents[2] / ".venv/agent/bin/ddapm-test-agent"


@pytest.fixture
def agent(tmp_path):
    """ddapm-test-agent in a process and an environment of its own: ({protocol: address}, what was received)."""
    if not AGENT.exists():
        pytest.skip("no .venv/agent: `make test` makes it (its OpenTelemetry pins are not ours)")
    main, http, grpc = free_port(), free_port(), free_port()
    command = [str(AGENT), "--host", "127.0.0.1", "-p", str(main), "--otlp-http-port", str(http),
               "--otlp-grpc-port", str(grpc), "--snapshot-dir", str(tmp_path / "snapshots")]  # fmt: skip
    with (tmp_path / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_open(http)
        wait_until_open(grpc)

        def traces():
            with urllib.request.urlopen(f"http://127.0.0.1:{http}/test/session/traces", timeout=30) as answer:
                return json.load(answer)

        yield {"http/protobuf": f"http://127.0.0.1:{http}", "grpc": f"http://127.0.0.1:{grpc}"}, traces
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_somebody_elses_agent_reads_every_span(agent, tmp_path, protocol):
    """What a receiver in a process of its own, which is not OpenTelemetry's, made of the bytes."""
    urls, traces = agent
    _, figures = traced(tmp_path, urls[protocol], calls=999, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert figures == [10002, 10002, 0], _.stderr[-600:]
    spans = [
        (span, resource["resource"])
        for request in traces()
        for resource in request["resource_spans"]
        for scope in resource["scope_spans"]
        for span in scope["spans"]
    ]
    assert Counter(span["name"] for span, _ in spans) == {
        "__main__.leaf": 9990, "__main__.work": 10, "__main__.main": 1, "__main__.fail": 1
    }  # fmt: skip
    ids = {span["span_id"] for span, _ in spans}
    assert len(ids) == 10002
    roots = [span["name"] for span, _ in spans if not span.get("parent_span_id")]
    assert roots == ["__main__.main"]
    assert all(span["parent_span_id"] in ids for span, _ in spans if span.get("parent_span_id"))
    resource = {pair["key"]: pair["value"] for pair in spans[0][1]["attributes"]}
    assert resource["service.name"]["string_value"]
    failed = next(span for span, _ in spans if span["name"] == "__main__.fail")
    assert [event["name"] for event in failed["events"]] == ["exception"]


def test_kept_and_folded_spans_arrive(receiver, tmp_path):
    """A trace kept for its error says that all such are kept; 99,990 short calls are one line of it."""
    protocol, url, handler = receiver
    (tmp_path / "app.py").write_text(PROGRAM)
    plan = "version: 1\nstrategy: full_trace\nsampling: {rate: 0, keep: {errors: true}, fold_under: 1h}\n"
    (tmp_path / "plan.yaml").write_text(plan)
    command = [sys.executable, "-m", "autoscope", "run", "--plan", "plan.yaml", "--otlp", url, "app.py"]
    env = environment("", env={"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}, plain=True)
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "done\n"
    spans = {span.name: span for span in received(handler)}
    assert set(spans) == {"__main__.main", "__main__.fail"}
    assert {(span.trace_state, span.flags & 0xFF) for span in spans.values()} == {("ot=th:0", 3)}
    assert spans["__main__.fail"].parent_span_id == spans["__main__.main"].span_id
    told = {pair.key: pair.value.array_value.values for pair in spans["__main__.main"].attributes}
    names = [value.string_value for value in told["autoscope.folded.functions"]]
    calls = [value.int_value for value in told["autoscope.folded.calls"]]
    assert dict(zip(names, calls, strict=True)) == {"__main__.leaf": 99990, "__main__.work": 10}
