"""What a span costs after the call: encoding, sending over OTLP/HTTP to a local receiver, writing into the store.

    python benchmarks/export.py [--json] [--spans N]

CPU nanoseconds a span in this process; the receiver is a process of its own. The OpenTelemetry rows need
`opentelemetry-exporter-otlp-proto-http`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

RECEIVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def made(count: int) -> list[Any]:
    """Records as the call path makes them: one root and its children."""
    from autoscope.plan.model import CapturePatch, Plan
    from autoscope.runtime import sites
    from autoscope.weave.weaver import Weaver

    source = "def leaf(x):\n    return x\ndef work(n):\n    for i in range(n): leaf(i)\n"
    names: dict[str, Any] = {}
    weave = Weaver(Plan(strategy="full_trace", include=("bench",), capture=CapturePatch(args=False, returns=False)))

    exec(weave.module_code(compile(source, "<benchmark>", "exec"), "bench", lambda: source), names)
    names["work"](count - 1)
    records = sites.recorded()
    sites.records.clear()
    return records


def cpu(function: Callable[[], Any], spans: int, rounds: int = 5) -> list[float]:
    """CPU nanoseconds a span, sorted."""
    values = []
    for _ in range(rounds):
        started = time.process_time_ns()
        function()
        values.append((time.process_time_ns() - started) / spans)
    return sorted(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--spans", type=int, default=100_000)
    arguments = parser.parse_args()
    from autoscope.export import resource
    from autoscope.export.otlp import OtlpExporter
    from autoscope.export.runs import new_run_id
    from autoscope.export.settings import Settings
    from autoscope.export.store import StoreExporter
    from autoscope.export.wire import Encoder

    records = made(arguments.spans)
    count = len(records)
    chunks = [records[start : start + 4096] for start in range(0, count, 4096)]
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

        results["write into the store, with its indexes"] = cpu(store, count)
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    try:
        endpoint = f"http://127.0.0.1:{receiver.stdout.readline().strip()}"
        exporter = OtlpExporter(Settings.from_environ({}, endpoint=endpoint))

        def send() -> None:
            for chunk in chunks:
                exporter.export(chunk)

        results["encode and send over OTLP/HTTP"] = cpu(send, count)
        assert exporter.exported == 5 * count, "spans were lost"
        exporter.close(5)
        official(results, endpoint, min(count, 20_000))
    finally:
        receiver.kill()
    rows = [
        {"what": what, "cpu_ns": values[len(values) // 2], "best_ns": values[0], "worst_ns": values[-1]}
        for what, values in results.items()
    ]
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "spans": count, "rows": rows}, indent=2))
        return
    print(f"CPython {sys.version.split()[0]}, {count} spans: CPU nanoseconds a span, median [best .. worst]")
    for row in rows:
        print(f"  {row['what']:52} {row['cpu_ns']:9.0f} [{row['best_ns']:.0f} .. {row['worst_ns']:.0f}]")


def official(results: dict[str, list[float]], endpoint: str, count: int) -> None:
    """The same through the OpenTelemetry SDK: made, and sent by its exporter in batches of 512."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    except ImportError:
        return

    class Keep(SpanExporter):
        def __init__(self) -> None:
            self.spans: list[Any] = []

        def export(self, spans: Any) -> Any:
            self.spans.extend(spans)
            return SpanExportResult.SUCCESS

    keep = Keep()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(keep))
    tracer = provider.get_tracer("bench")
    attributes = {"code.function.name": "bench.leaf", "code.file.path": "<benchmark>", "code.line.number": 1}
    for _ in range(count):
        with tracer.start_as_current_span("bench.leaf", attributes=attributes):
            pass
    exporter = OTLPSpanExporter(endpoint + "/v1/traces")

    def send() -> None:
        for start in range(0, count, 512):
            exporter.export(keep.spans[start : start + 512])

    results["OpenTelemetry SDK: encode and send over OTLP/HTTP"] = cpu(send, count, 3)


if __name__ == "__main__":
    main()
