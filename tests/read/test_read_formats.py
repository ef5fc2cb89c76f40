"""read/formats and `autoscope export`: other tools get what was recorded, in their own words."""

from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import pytest

from autoscope.cli import export as command
from autoscope.errors import AutoscopeError
from autoscope.export.store import StoreExporter
from autoscope.read.formats import FORMATS
from autoscope.read.runs import open_run
from autoscope.runtime.spans import Details, ExceptionRecord, Trace, epoch_offset


class Site(SimpleNamespace):
    __hash__ = object.__hash__


def site(name):
    module, _, qualname = name.rpartition(".")
    return Site(name=name, module=module, qualname=qualname, file="shop.py", line=3, kind="function")


@pytest.fixture
def stored(tmp_path):
    """`checkout` runs `pay` and `ship` at the same time; `pay` fails."""
    checkout, pay, ship = site("shop.checkout"), site("shop.pay"), site("shop.ship")
    trace = Trace(7, thread_id=11, thread_name="main", tracestate="ot=th:8")
    root = (trace, 1)
    failed = Details("shop.Refused", "no", ExceptionRecord("shop.Refused", "no", (), 60_000), {"tags": ["a", 1, 0.5]})
    store = StoreExporter(str(tmp_path), run_id="20261121-053012-4f3a", resource={"service.name": "shop"}, info={})
    store.export(
        [
            (pay, (1 << 64) - 2, trace, root, 10_000, 60_000, failed),
            (ship, 3, trace, root, 40_000, 90_000, None),
            (checkout, 1, trace, None, 0, 100_000, None),
        ]
    )
    store.close(5)
    return str(tmp_path)


def written(stored, form):
    return "".join(FORMATS[form](open_run(stored)))


def test_otlp_json(stored):
    """A message of the protocol, as its own parser reads it."""
    json_format = pytest.importorskip("google.protobuf.json_format")
    trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    value = json.loads(written(stored, "otlp-json"))
    for span in value["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):  # hexadecimal in OTLP, base64 to this parser
            if key in span:
                import base64

                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    message = json_format.ParseDict(value, trace_pb2.TracesData())

    (resource,) = message.resource_spans
    assert resource.resource.attributes[0].value.string_value == "shop"
    (scope,) = resource.scope_spans
    assert [span.name for span in scope.spans] == ["shop.checkout", "shop.pay", "shop.ship"]
    root, pay, _ = scope.spans
    assert (root.parent_span_id, pay.parent_span_id, pay.span_id) == (b"", root.span_id, ((1 << 64) - 2).to_bytes(8))
    assert (pay.status.code, pay.status.message, pay.trace_state) == (2, "no", "ot=th:8")
    assert pay.start_time_unix_nano == 10_000 + epoch_offset()
    assert pay.end_time_unix_nano - pay.start_time_unix_nano == 50_000
    assert pay.events[0].name == "exception"
    keys = {attribute.key: attribute.value for attribute in pay.attributes}
    assert [item.WhichOneof("value") for item in keys["tags"].array_value.values] == [
        "string_value",
        "int_value",
        "double_value",
    ]
    assert {attribute.key for attribute in root.attributes} >= {"thread.id", "code.line.number"}


def test_chrome(stored):
    """Spans that overlap without containing each other are on different lanes."""
    events = json.loads(written(stored, "chrome"))["traceEvents"]
    spans = {event["name"]: event for event in events if event["ph"] == "X"}

    assert spans["shop.pay"]["tid"] == spans["shop.checkout"]["tid"]
    assert spans["shop.ship"]["tid"] != spans["shop.checkout"]["tid"]
    assert (spans["shop.pay"]["dur"], spans["shop.pay"]["cat"]) == (50, "error")
    assert [event["args"]["name"] for event in events if event["ph"] == "M"] == ["main", "main #2"]


def test_collapsed(stored):
    """Own nanoseconds along the path, of a trace that stands for two; the 20 that no child covers are the root's."""
    assert written(stored, "collapsed") == (
        "shop.checkout 40000\nshop.checkout;shop.pay 100000\nshop.checkout;shop.ship 100000\n"
    )


def test_speedscope(stored):
    """Samples and weights belong together, frames are shared."""
    value = json.loads(written(stored, "speedscope"))
    (profile,) = value["profiles"]
    names = [frame["name"] for frame in value["shared"]["frames"]]

    assert {
        ";".join(names[frame] for frame in sample): weight
        for sample, weight in zip(profile["samples"], profile["weights"], strict=True)
    } == {"shop.checkout": 40_000, "shop.checkout;shop.pay": 100_000, "shop.checkout;shop.ship": 100_000}
    assert profile["endValue"] == 240_000


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_run(tmp_path, form):
    """Is valid in every format."""
    (tmp_path / "runs" / "20261121-053012-4f3a").mkdir(parents=True)
    text = written(str(tmp_path), form)

    assert text == "" if form == "collapsed" else json.loads(text)


def call(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["export", *words])
    return args.command(args)


def test_the_command(stored, tmp_path, capsys):
    """To a file, to standard output, and to a place that cannot be written."""
    out = tmp_path / "out.txt"
    assert call("--store", stored, "--format", "collapsed", "-o", str(out)) == 0
    assert call("--store", stored, "--format", "collapsed") == 0
    assert out.read_text() == capsys.readouterr().out
    with pytest.raises(AutoscopeError, match="can't write /nowhere/x: No such file or directory"):
        call("--store", stored, "--format", "chrome", "-o", "/nowhere/x")
