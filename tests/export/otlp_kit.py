"""What the export tests share: sites without a program, records, and a server that does as it is told."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from autoscope.runtime.spans import Clock, Details, ExceptionRecord, Trace

_indexes = itertools.count()
_random = random.Random(7)


class Site:
    """The fixed facts of a site, which is all that exporters read."""

    def __init__(self, qualname="Cart.add", module="shop.cart", file="/srv/shop/cart.py", line=12, kind="function"):
        self.index = next(_indexes)
        self.module, self.qualname, self.file, self.line, self.kind = module, qualname, file, line, kind
        self.name = f"{module}.{qualname}"


SITE = Site()


def new_trace(**kwargs):
    kwargs = {"thread_id": 77, "thread_name": "MainThread"} | kwargs
    return Trace(_random.getrandbits(128), **kwargs)


def new_id():
    return _random.getrandbits(64) or 1


def child(trace=None, site=SITE, details=None):
    trace = trace or new_trace()
    start = Clock.now()
    return (site, new_id(), trace, (trace, new_id()), start, start + 1000, details)


def children(count):
    trace = new_trace()
    return [child(trace) for _ in range(count)]


def root(trace=None, site=SITE, details=None):
    start = Clock.now()
    return (site, new_id(), trace or new_trace(), None, start, start + 1000, details)


def frame(file, line, name):
    """A line of a stack trace, in code that nobody wrote."""
    return frame.__code__.replace(co_filename=file, co_name=name), line, -1


def failure(message="no such sku", type="builtins.ValueError"):
    exception = ExceptionRecord(type, message, (frame("/srv/shop/cart.py", 13, "add"),), Clock.now())
    return Details(error_type=type.removeprefix("builtins."), error_message=message, exception=exception)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(port):
    """Return once something listens there."""
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"nothing listens on {port}")


@dataclass
class Got:
    """A request as the server saw it."""

    path: str
    headers: dict[str, str]
    body: bytes
    client: tuple[str, int]

    @property
    def request(self):
        body = zlib.decompress(self.body, 31) if self.headers.get("content-encoding") == "gzip" else self.body
        return ExportTraceServiceRequest.FromString(body)

    @property
    def spans(self):
        return spans_of(self.request)


def spans_of(request):
    return [span for rs in request.resource_spans for ss in rs.scope_spans for span in ss.spans]


@dataclass
class Say:
    """One answer: a status, or `drop` the connection without one, or `hang` until the server is closed."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: bool = False
    hang: bool = False
    close_after: bool = False
    """Answer as if the connection stayed open, then close it: what an idle timeout looks like."""


class Receiver:
    """An HTTP server that gives the answers of a script, then 200 for ever."""

    def __init__(self, *script, port=0, context=None):
        self.script = list(script)
        self.got = []
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.got.append(Got(self.path, headers, body, self.client_address))
                say = outer.answer(body)
                if say.hang:
                    outer.released.wait(30)
                if say.drop or say.hang:
                    self.close_connection = True
                    return
                self.send_response(say.status)
                for key, value in say.headers.items():
                    self.send_header(key, value)
                self.send_header("content-length", str(len(say.body)))
                self.end_headers()
                self.wfile.write(say.body)
                self.close_connection = self.close_connection or say.close_after

            def do_CONNECT(self):
                outer.got.append(Got(self.path, {}, b"", self.client_address))
                self.send_error(502)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def spans(self):
        return [span for got in self.got for span in got.spans]

    def answer(self, body):
        return self.script.pop(0) if self.script else Say()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
