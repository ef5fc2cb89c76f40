"""OpenTelemetry in the same process: one trace both ways, the application's own provider, and everything put back."""

from __future__ import annotations

import json
import os
import tomllib

import pytest

from program_kit import ROOT, SOURCES, run

SETUP = """
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Kept(InMemorySpanExporter):
    def shutdown(self):
        print(len(self.get_finished_spans()), "at shutdown", flush=True)

memory = Kept()
provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_span_processor(%s(memory))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")

def work(n):
    return sum(range(n))
"""
NO_STORE = {"AUTOSCOPE_STORE": ""}


@pytest.mark.parametrize("processor", ["SimpleSpanProcessor", "BatchSpanProcessor"])
@pytest.mark.parametrize("ending", ["", "provider.shutdown()", "provider.force_flush()", "raise SystemExit"])
def test_the_applications_provider_gets_every_span(tmp_path, processor, ending):
    """Also those of the last moments: the SDK's provider shuts down before our own handler runs."""
    text = SETUP % processor + f"for _ in range(100): work(1)\n{ending}\n"
    ran = run(tmp_path, text, env=NO_STORE | {"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert ran.out == "100 at shutdown\n"
    assert ran.err == ""


def test_one_trace_both_ways(tmp_path):
    """Our span, a span opened by hand, our span: each the child of the one before, with the provider's resource."""
    text = (
        SETUP % "SimpleSpanProcessor"
        + """
def inner():
    assert baggage.get_baggage("user") == "kim"
    work(1)

def outer():
    context.attach(baggage.set_baggage("user", "kim"))
    with tracer.start_as_current_span("by hand"):
        inner()
    assert baggage.get_baggage("user") == "kim"

import json
outer()
provider.force_flush()
spans = memory.get_finished_spans()
assert {span.resource.attributes["service.name"] for span in spans} == {"shop"}
assert len({span.context.trace_id for span in spans}) == 1
names = {span.context.span_id: span.name.removeprefix("__main__.") for span in spans}
print(json.dumps({names[span.context.span_id]: span.parent and names[span.parent.span_id] for span in spans}))
"""
    )
    ran = run(tmp_path, text, env=NO_STORE)
    assert json.loads(ran.out.splitlines()[0]) == {
        "outer": None,
        "by hand": "outer",
        "inner": "by hand",
        "work": "inner",
    }
    assert ran.err == ""


def test_what_a_processor_does_is_no_trace(tmp_path):
    """A span processor of the program's that is woven itself does not make spans of its own work without end."""
    text = (
        SETUP % "SimpleSpanProcessor"
        + """
from opentelemetry.sdk.trace import SpanProcessor

class Mine(SpanProcessor):
    def on_end(self, span):
        work(3)

provider.add_span_processor(Mine())
work(1)
for _ in range(5): provider.force_flush()
print([span.name for span in memory.get_finished_spans()])
"""
    )
    ran = run(tmp_path, text, env=NO_STORE)
    assert ran.out.splitlines()[0] == "['__main__.work']"


@pytest.mark.parametrize("early", [True, False], ids=["before us", "after us"])
def test_install_and_uninstall(tmp_path, early):
    """Tokens handed out before still detach, an open span is the parent, and at the end all is as it was."""
    setup, definition, body = (SETUP % "SimpleSpanProcessor").partition("def work")
    work = definition + body  # what `__main__` defines after `install` is not woven: nobody imports it
    text = f"""
import autoscope
{work}
{setup if early else ""}
handle = None if {early} else autoscope.install(store="")
{"" if early else setup}
from opentelemetry import context
theirs = TracerProvider.__dict__["shutdown"], TracerProvider.__dict__["force_flush"]
before = context._RUNTIME_CONTEXT
token = context.attach(context.set_value("key", "value"))
with tracer.start_as_current_span("open"):
    handle = handle or autoscope.install(store="")
    work(1)
    assert context.get_value("key") == "value"
assert context.get_value("key") == "value"
context.detach(token)
assert context.get_value("key") is None
autoscope.flush()
handle.uninstall()
work(1)
spans = {{span.name: span for span in memory.get_finished_spans()}}
assert sorted(spans) == ["__main__.work", "open"], spans
assert spans["__main__.work"].parent.span_id == spans["open"].context.span_id
assert type(context._RUNTIME_CONTEXT).__name__ == "ContextVarsRuntimeContext"
assert not hasattr(TracerProvider.shutdown, "__wrapped__") and not hasattr(TracerProvider.force_flush, "__wrapped__")
if {early}:
    assert context._RUNTIME_CONTEXT is before
    assert (TracerProvider.__dict__["shutdown"], TracerProvider.__dict__["force_flush"]) == theirs
"""
    ran = run(tmp_path, text, env=NO_STORE | {"AUTOSCOPE_STRATEGY": None})
    assert ran.err == ""


def test_the_entry_point_works_alone(tmp_path):
    """`OTEL_PYTHON_CONTEXT=autoscope` without anything traced: OpenTelemetry works in our context."""
    text = """
from opentelemetry import context
assert type(context._RUNTIME_CONTEXT).__module__ == "autoscope.export.bridge", context._RUNTIME_CONTEXT
token = context.attach(context.set_value("a", 1))
assert context.get_value("a") == 1
context.detach(token)
assert context.get_value("a") is None
"""
    described = tmp_path / "autoscope-0.dist-info"  # as pip would write it
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: autoscope\nVersion: 0\n")
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["opentelemetry_context"]
    lines = [f"{name} = {value}\n" for name, value in entry.items()]
    (described / "entry_points.txt").write_text("[opentelemetry_context]\n" + "".join(lines))
    env = {"OTEL_PYTHON_CONTEXT": "autoscope", "PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCES}"}
    ran = run(tmp_path, text, plain=True, env=env)
    assert ran.err == ""


def test_sdk_disabled(tmp_path):
    """`OTEL_SDK_DISABLED=true`: nothing is traced, nothing written, one notice."""
    ran = run(tmp_path, "def work(): return sum(())\nwork()\n", env={"OTEL_SDK_DISABLED": "true"})
    assert not ran.spans
    assert ran.err.count("autoscope:") == 1
