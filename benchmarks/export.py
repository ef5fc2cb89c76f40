"""What a span costs after the call, and altogether: encoding, sending over OTLP/HTTP to a local receiver, writing into the store.

    python benchmarks/export.py [--json] [--spans N] [--store]

CPU nanoseconds a span in this process, one thing after the other; the receiver is a process of its own. "Altogether" is a span from
the call to the socket, beyond the plain call. The OpenTelemetry rows need `opentelemetry-exporter-otlp-proto-http`. `--store`: what spans of
different kinds take in the store, and how many bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from receiver import Receiver

from autoscope.plan.model import CapturePatch, Plan
from autoscope.runtime import sites
from autoscope.runtime.drain import CHUNK, Drain
from autoscope.weave.weaver import Weaver

SOURCE = """
def leaf(x): return x
def pair(x, y): return x
def pieces(x): yield x
def work(n):
    for i in range(n): leaf(i)
def alike(n):
    for i in range(n): pair(work, f"number {i % 20}")
def different(n):
    for i in range(n): pair(work, f"number {i}")
def steps(n):
    for i in range(n):
        for _ in pieces(i): pass
"""


def woven(name: str = "work", captures: bool = False) -> Callable[[int], Any]:
    """A root with so many children, or what would be one of them: `leaf`."""
    names: dict[str, Any] = {"__name__": "__main__"}
    capture = CapturePatch(args=captures, returns=False)
    weave = Weaver(Plan(strategy="full_trace", include=("__main__",), capture=capture))
    exec(weave.module_code(compile(SOURCE, "<benchmark>", "exec"), "__main__", lambda: SOURCE), names)
    root: Callable[[int], Any] = names[name]
    return root


def plain() -> Callable[[int], Any]:
    names: dict[str, Any] = {}
    exec(SOURCE, names)
    work: Callable[[int], Any] = names["work"]
    return work


def cpu(function: Callable[[], Any], spans: int, rounds: int = 5) -> list[float]:
    """CPU nanoseconds a span, sorted."""
    values = []
    for _ in range(rounds):
        started = time.process_time_ns()
        function()
        values.append((time.process_time_ns() - started) / spans)
    return sorted(values)


def chunked(count: int, name: str = "work", captures: bool = False, chunk: int = CHUNK) -> list[sites.Batch]:
    """Records as the call path makes them, one root and its children, as the drain hands them over."""
    root = woven(name, captures)
    if name == "leaf":
        for number in range(count):
            root(number)
    else:
        root(count - 1)
    every = sites.Batch(sites.records[:])
    sites.records.clear()
    return [every[start : start + chunk] for start in range(0, count, chunk)]


def altogether(exporter: Any, count: int) -> list[float]:
    """Spans in blocks, each recorded and then handed over and sent; the calls themselves taken off."""
    work, bare = woven(), plain()
    drain = Drain(lambda: [exporter])
    blocks = range(0, count, 4 * CHUNK)

    def record() -> None:
        for _ in blocks:
            work(4 * CHUNK - 1)
            drain.flush(60)

    def call() -> None:
        for _ in blocks:
            bare(4 * CHUNK - 1)

    made = len(blocks) * 4 * CHUNK
    base = cpu(call, made)
    before = exporter.exported
    spent = cpu(record, made)
    assert exporter.exported - before == 5 * made, "spans were lost"
    return [value - base[len(base) // 2] for value in spent]


def stored(count: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """What spans of each kind take in the store, beginning with an empty one, and the bytes of its files."""
    from autoscope.export.runs import new_run_id
    from autoscope.export.store import StoreExporter

    kinds: dict[str, dict[str, Any]] = {
        "store: one root's": {},
        "store: one root's, batches of 100": {"chunk": 100},
        "store: each a trace of its own": {"name": "leaf"},
        "store: generators": {"name": "steps"},
        "store: two captured arguments, 20 different pairs": {"name": "alike", "captures": True},
        "store: two captured arguments, all different": {"name": "different", "captures": True},
    }
    results, sizes = {}, {}
    for what, kind in kinds.items():
        chunks = chunked(count, **kind)
        with tempfile.TemporaryDirectory() as folder:

            def store(chunks: list[sites.Batch] = chunks, folder: str = folder, what: str = what) -> None:
                exporter = StoreExporter(folder, run_id=new_run_id(), resource={}, info={})
                for chunk in chunks:
                    exporter.export(chunk)
                path = exporter.path
                exporter.close(5)
                assert exporter.exported == count, "spans were lost"
                sizes[what] = os.path.getsize(path) / count

            results[what] = cpu(store, count)
    return results, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--store", action="store_true")
    arguments = parser.parse_args()
    if arguments.store:
        tell(arguments, *stored(arguments.spans))
        return
    from autoscope.export import resource
    from autoscope.export.otlp import OtlpExporter
    from autoscope.export.runs import new_run_id
    from autoscope.export.settings import Settings
    from autoscope.export.store import StoreExporter
    from autoscope.export.wire import Encoder

    count = arguments.spans
    chunks = chunked(count)
    results: dict[str, list[float]] = {}
    settings = Settings.from_environ({})
    encoder = Encoder(resource.attributes(settings), settings)
    results["encode as OTLP"] = cpu(lambda: [encoder.encode(chunk) for chunk in chunks], count)
    with tempfile.TemporaryDirectory() as folder:

        def store() -> None:
            exporter = StoreExporter(folder, run_id=new_run_id(), resource={}, info={})
            for chunk in chunks:
                exporter.export(chunk)
            exporter.close(5)

        results["write into the store"] = cpu(store, count)
    with Receiver() as receiver:
        exporter = OtlpExporter(Settings.from_environ({}, endpoint=receiver.url))

        def send() -> None:
            for chunk in chunks:
                exporter.export(chunk)

        results["encode and send over OTLP/HTTP"] = cpu(send, count)
        assert exporter.exported == 5 * count, "spans were lost"
        results["altogether, over OTLP/HTTP"] = altogether(exporter, count)
        exporter.close(5)
        official(results, receiver.url, min(count, 20_000))
    tell(arguments, results, {})


def tell(arguments: argparse.Namespace, results: dict[str, list[float]], sizes: dict[str, float]) -> None:
    rows = [
        {"what": what, "cpu_ns": values[len(values) // 2], "best_ns": values[0], "worst_ns": values[-1]}
        | ({"bytes": sizes[what]} if what in sizes else {})
        for what, values in results.items()
    ]
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "spans": arguments.spans, "rows": rows}, indent=2))
        return
    print(f"CPython {sys.version.split()[0]}, {arguments.spans} spans: CPU nanoseconds a span, median [best .. worst]")
    for row in rows:
        size = f", {row['bytes']:.0f} bytes" if "bytes" in row else ""
        print(f"  {row['what']:52} {row['cpu_ns']:9.0f} [{row['best_ns']:.0f} .. {row['worst_ns']:.0f}]{size}")


def official(results: dict[str, list[float]], url: str, count: int) -> None:
    """The same through the OpenTelemetry SDK, with the attributes ours have."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SimpleSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
    except ImportError:
        return

    class Keep(SpanExporter):
        def __init__(self) -> None:
            self.spans: list[Any] = []

        def export(self, spans: Any) -> Any:
            self.spans.extend(spans)
            return SpanExportResult.SUCCESS

    attributes = {"code.function.name": "__main__.leaf", "code.file.path": "<benchmark>", "code.line.number": 1}

    def make(tracer: Any, spans: int) -> None:
        for _ in range(spans):
            with tracer.start_as_current_span("__main__.leaf", attributes=attributes):
                pass

    keep = Keep()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(keep))
    make(provider.get_tracer("bench"), count)
    exporter = OTLPSpanExporter(url + "/v1/traces")

    def send() -> None:
        for start in range(0, count, 512):
            exporter.export(keep.spans[start : start + 512])

    results["OpenTelemetry SDK: encode and send over OTLP/HTTP"] = cpu(send, count, 3)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")

    def everything() -> None:
        for _ in range(0, count, 2000):  # its queue takes 2,048
            make(tracer, 2000)
            provider.force_flush()

    results["OpenTelemetry SDK: altogether, over OTLP/HTTP"] = cpu(everything, count, 3)


if __name__ == "__main__":
    main()
