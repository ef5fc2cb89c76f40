"""A receiver that takes whatever it is posted, in a process of its own: OTLP/HTTP, and what else speaks HTTP.

Counted is how often the name of the benchmark's spans stands in what arrives, as protobuf writes it; `GET /` tells the number.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from types import TracebackType

NAME = b"\x2a\x0d__main__."
"""How `Span.name` (field 5) of a span `__main__.????` begins."""

SERVER = f"""
import http.server
seen = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        global seen
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen += body.count({NAME!r})
        said = b"%d" % seen if self.command == "GET" else b""
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_POST = do_PUT = do_GET = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Receiver:
    """`with Receiver() as receiver:` … `receiver.url`, `receiver.spans()`"""

    def __enter__(self) -> Receiver:
        self.process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"
        return self

    def spans(self) -> int:
        """How many arrived so far."""
        with urllib.request.urlopen(self.url) as answer:
            return int(answer.read())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
