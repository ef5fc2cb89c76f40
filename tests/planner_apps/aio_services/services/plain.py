"""The standard library alone: an HTTP handler, a stream server, a socket server, a protocol."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTS: dict[str, int] = {}
lock = threading.Lock()


class CountHandler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, COUNTS)

    def do_POST(self):
        name = self.path.strip("/")
        with lock:
            COUNTS[name] = COUNTS.get(name, 0) + 1
        self.answer(201, {name: COUNTS[name]})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class LineHandler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class Beacon(asyncio.DatagramProtocol):
    def __init__(self):
        self.seen = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.seen += 1
        self.transport.sendto(str(self.seen).encode(), address)

    def total(self):
        return self.seen


async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
    while line := await reader.readline():
        writer.write(line[::-1])
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve_client, "127.0.0.1", 9000)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Beacon, local_addr=("127.0.0.1", 9001))
    web = ThreadingHTTPServer(("127.0.0.1", 9002), CountHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
