"""What several tests of the runtime need."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from autoscope.export import bridge


@pytest.fixture
def tracer():
    """A tracer of the program's own, in the context we share with it; what it recorded is `tracer.spans()`."""
    bridge.take_over()
    provider = TracerProvider(shutdown_on_exit=False)
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("program")
    tracer.spans = memory.get_finished_spans
    yield tracer
    bridge.give_back()
