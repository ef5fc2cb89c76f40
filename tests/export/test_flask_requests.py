"""A real web application with OpenTelemetry of its own: one trace through its spans and ours, and on the wire."""

from __future__ import annotations

import json

from program_kit import run

PROGRAM = """
import json, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
import requests
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.resources import Resource
from werkzeug.serving import make_server

kept = InMemorySpanExporter()
provider = TracerProvider(resource=Resource.create({"service.name": "web"}))
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
RequestsInstrumentor().instrument()
tracer = trace.get_tracer("by hand")
seen = []

class Other(BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers["traceparent"])
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass

other = HTTPServer(("127.0.0.1", 0), Other)
threading.Thread(target=other.serve_forever, daemon=True).start()
app = Flask("web")

def fetch():
    return requests.get(f"http://127.0.0.1:{other.server_port}/").text

def price(n):
    return n * 2

@app.get("/<int:n>")
def page(n):
    with tracer.start_as_current_span("manual") as span:
        span.set_attribute("n", n)
        text = fetch()
        return f"{text} {price(n)}"

import logging
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = make_server("127.0.0.1", 0, app)
thread = threading.Thread(target=server.serve_forever)
thread.start()
import urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/3").read().decode())
server.shutdown(); thread.join(); other.shutdown()
import autoscope
assert autoscope.flush()
provider.force_flush()
spans = [
    {"name": s.name, "trace": f"{s.context.trace_id:032x}", "id": f"{s.context.span_id:016x}",
     "parent": s.parent and f"{s.parent.span_id:016x}", "service": s.resource.attributes["service.name"],
     "scope": s.instrumentation_scope.name}
    for s in kept.get_finished_spans()
]
print(json.dumps({"spans": spans, "seen": seen}))
"""


def test_one_trace_right_parents_and_traceparent(tmp_path):
    """Ours -> by hand -> ours -> requests' -> the wire; and the provider's resource on all of them."""
    ran = run(tmp_path, PROGRAM, env={"AUTOSCOPE_INCLUDE": "app,__main__", "AUTOSCOPE_STRATEGY": "full_trace"})
    answer, told = ran.out.splitlines()
    assert answer == "ok 6"
    told = json.loads(told)
    spans = {span["name"].removeprefix("__main__."): span for span in told["spans"]}
    page, manual, fetch, price, get = (spans[name] for name in ("page", "manual", "fetch", "price", "GET"))

    assert {span["trace"] for span in (page, manual, fetch, price, get)} == {page["trace"]}
    assert manual["parent"] == page["id"]
    assert fetch["parent"] == manual["id"]
    assert price["parent"] == manual["id"]
    assert get["parent"] == fetch["id"]
    assert page["parent"] is None
    assert told["seen"] == [f"00-{page['trace']}-{get['id']}-03"] or told["seen"] == [
        f"00-{page['trace']}-{get['id']}-01"
    ]
    assert {span["service"] for span in told["spans"]} == {"web"}
    assert page["scope"] == fetch["scope"] == "autoscope"
    assert manual["scope"] == "by hand"
