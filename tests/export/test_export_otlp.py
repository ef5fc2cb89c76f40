"""Records over real sockets: what arrives, what is tried again, what is said and counted when nothing does."""

import datetime
import email.utils
import json
import logging
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from oteltest.sink import GrpcSink, HttpSink
from oteltest.sink.handler import AccumulatingHandler
from otlp_kit import Receiver, Say, child, children, failure, free_port, root, spans_of, wait_until_open

import autoscope
from autoscope import errors
from autoscope.export import otlp
from autoscope.export.console import ConsoleExporter
from autoscope.export.otlp import OtlpExporter, OtlpSender
from autoscope.export.settings import Settings
from autoscope.export.transport import read_fields, show_url

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Notices are kept, not printed; pauses are short; nothing of the machine's proxies."""
    monkeypatch.setenv("AUTOSCOPE_SILENCE", "all")
    monkeypatch.setattr(errors, "notices", [])
    monkeypatch.setattr(otlp, "FIRST_PAUSE", 0.01)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def exporter_for(url, **environ):
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "20", **environ}
    return OtlpExporter(Settings.from_environ(environ))


@pytest.fixture
def opened():
    """Exporters closed at the end."""
    exporters = []

    def open_(url, **environ):
        exporters.append(exporter_for(url, **environ))
        return exporters[-1]

    yield open_
    for exporter in exporters:
        exporter.close(1.0)


def counts(exporter):
    return exporter.exported, exporter.dropped, exporter.rejected


def said(slug):
    return [text for given, text in errors.notices if given == slug]


# What arrives.


def test_spans_arrive_with_who_sent_them():
    """One request, its headers, its resource, its scope."""
    with Receiver() as server:
        exporter = exporter_for(
            server.url, OTEL_SERVICE_NAME="shop", OTEL_EXPORTER_OTLP_HEADERS="api-key=s%20e,umlaut=%C3%BC"
        )

        exporter.export([root(), child()])
        exporter.close(1.0)

    [got] = server.got
    assert ("/v1/traces", 2) == (got.path, len(got.spans))
    assert ("application/x-protobuf", f"autoscope/{autoscope.__version__}") == (
        got.headers["content-type"],
        got.headers["user-agent"],
    )
    assert ("s e", "ü") == (got.headers["api-key"], got.headers["umlaut"].encode("latin-1").decode())
    resource = {pair.key: pair.value for pair in got.request.resource_spans[0].resource.attributes}
    assert ("shop", os.getpid()) == (resource["service.name"].string_value, resource["process.pid"].int_value)
    assert (2, 0, 0) == counts(exporter)
    assert exporter.bytes == len(got.body)
    assert [] == errors.notices


def test_gzip(opened):
    """Compressed, and said so."""
    with Receiver() as server:
        exporter = opened(server.url, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")

        exporter.export(children(100))

    [got] = server.got
    assert ("gzip", 100) == (got.headers["content-encoding"], len(got.spans))
    assert exporter.bytes == len(got.body) < 100 * 100


def test_one_connection_for_many_requests(opened):
    """It is kept open."""
    with Receiver() as server:
        exporter = opened(server.url)
        for _ in range(5):
            exporter.export(children(2))

    assert 5 == len(server.got)
    assert 1 == len({got.client for got in server.got})


def test_a_connection_the_server_closed_is_opened_again(opened):
    """An idle connection that went away costs nothing: no retry, no notice, nothing lost."""
    with Receiver(Say(close_after=True), Say(), Say(drop=True)) as server:
        exporter = opened(server.url)
        for _ in range(3):
            exporter.export(children(2))

    assert (6, 0, 0) == counts(exporter)
    assert [] == errors.notices


def test_large_exports_are_split(opened):
    """By number, as OTEL_BSP_MAX_EXPORT_BATCH_SIZE says, and by size, as servers demand."""
    with Receiver() as server:
        exporter = opened(server.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10")
        exporter.export(children(25))
        assert [10, 10, 5] == [len(got.spans) for got in server.got]

        server.got.clear()
        exporter = opened(server.url)
        big = failure("x" * 1_000_000)
        exporter.export([child(details=big) for _ in range(7)])

    # Twice a message: in the status and in the event; and in the stack trace.
    assert [1] * 7 == [len(got.spans) for got in server.got]
    assert (7, 0, 0) == counts(exporter)


def test_a_record_that_cannot_be_encoded_is_dropped_not_sent(opened):
    """Counted as lost, once, also where the batch is split."""
    with Receiver() as server:
        exporter = opened(server.url)
        exporter.export([child(), (None,) * 7, *(child(details=failure("x" * 1_000_000)) for _ in range(3))])
        exporter.export([(None,) * 7])

    assert (4, 2, 0) == counts(exporter)
    assert 4 == len(server.spans)


@pytest.mark.parametrize(
    ("opt_in", "events", "paths"),
    [
        ("", 1, ["/v1/traces"]),
        ("logs", 0, ["/v1/traces", "/v1/logs"]),
        ("logs/dup", 1, ["/v1/traces", "/v1/logs"]),
    ],
)
def test_exceptions_as_logs(opened, opt_in, events, paths):
    """Where they go is the user's choice."""
    with Receiver() as server:
        opened(server.url, OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN=opt_in).export([child(details=failure())])

    assert paths == [got.path for got in server.got]
    assert events == len(server.got[0].spans[0].events)


# The servers other people test with.


def test_oteltest_over_http(opened):
    """HTTP/1.0 and a body that is no protobuf."""
    handler, port = AccumulatingHandler(), free_port()
    sink = HttpSink(handler, logging.getLogger("test"), port)
    sink.start()
    wait_until_open(port)
    try:
        exporter = opened(f"http://127.0.0.1:{port}")
        exporter.export(children(3))
        exporter.export([root()])
    finally:
        sink.stop()

    assert [3, 1] == [len(spans_of(request.pbreq)) for request in handler.telemetry.trace_requests]
    assert (4, 0, 0) == counts(exporter)


@pytest.fixture
def grpc_sink():
    handler, port = AccumulatingHandler(), free_port()
    sink = GrpcSink(handler, logging.getLogger("test"), port=port)
    sink.start()
    sink.spans = lambda: [s for request in handler.telemetry.trace_requests for s in spans_of(request.pbreq)]
    sink.handler = handler
    yield sink
    sink.svr.stop(grace=None).wait()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_oteltest_over_grpc(opened, grpc_sink, compression):
    """The same bytes through a generated server, with headers as metadata."""
    exporter = opened(
        f"http://127.0.0.1:{grpc_sink.port}",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="Api-Key=secret",
        OTEL_EXPORTER_OTLP_COMPRESSION=compression,
    )

    exporter.export(children(3))
    exporter.export([root()])

    assert 4 == len(grpc_sink.spans())
    assert (4, 0, 0) == counts(exporter)
    headers = grpc_sink.handler.telemetry.trace_requests[0].headers
    assert "secret" == headers["api-key"]
    assert headers["user-agent"].startswith(f"autoscope/{autoscope.__version__} ")


def test_grpc_without_a_scheme(opened, grpc_sink):
    """`host:port` is TLS unless OTEL_EXPORTER_OTLP_INSECURE says otherwise."""
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_INSECURE": "true"}

    exporter = opened(f"127.0.0.1:{grpc_sink.port}", **environ)
    exporter.export([root()])

    assert (1, 0, 0) == counts(exporter)


# What is tried again, and what is not.


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(opened, status):
    """The same bytes, until they are taken."""
    with Receiver(Say(status), Say(status)) as server:
        exporter = opened(server.url)
        exporter.export(children(2))

    assert 3 == len(server.got)
    assert 1 == len({got.body for got in server.got})
    assert (2, 0, 0) == counts(exporter)
    assert [] == errors.notices


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "HTTP 400 Bad Request: span too odd"),
        (401, "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, "path"),
        (413, "HTTP 413"),
        (500, "HTTP 500"),
        (302, "HTTP 302"),
    ],
)
def test_a_refusal_is_final(opened, status, words):
    """Asked once, counted, and said with the server's reason."""
    with Receiver(Say(status, PROTOBUF, b"\x08\x03\x12\x0cspan too odd")) as server:
        exporter = opened(server.url)
        exporter.export(children(2))

    assert 1 == len(server.got)
    assert (0, 2, 0) == counts(exporter)
    [text] = said("export-failed")
    assert words in text
    assert f"{server.url}/v1/traces" in text


class Small(Receiver):
    """A server with a limit: 413 above it."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit
        self.refused = 0

    def answer(self, body):
        self.refused += len(body) > self.limit
        return Say(413) if len(body) > self.limit else Say()


def test_a_server_with_a_lower_limit_gets_smaller_requests(opened):
    """Nothing is lost, and the size it takes is remembered."""
    with Small(200_000) as server:
        exporter = opened(server.url)
        exporter.export(children(5000))
        refused = server.refused
        exporter.export(children(5000))

    assert (10000, 0, 0) == counts(exporter)
    assert 10000 == len({span.span_id for got in server.got if len(got.body) <= 200_000 for span in got.spans})
    assert 0 < refused == server.refused
    assert [] == errors.notices


def test_a_server_that_takes_no_size_is_not_asked_for_ever(opened):
    """Small requests are not divided further."""
    with Small(10) as server:
        exporter = opened(server.url)
        exporter.export(children(5000))

    assert (0, 5000, 0) == counts(exporter)
    assert len(server.got) < 80
    assert "HTTP 413" in said("export-failed")[0]


def test_a_grpc_server_with_a_lower_limit_gets_smaller_requests(opened):
    """A message larger than the server's maximum."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    got = []

    class Handler(grpc.GenericRpcHandler):
        def service(self, call):
            return grpc.unary_unary_rpc_method_handler(lambda body, _: (got.append(body), b"")[1])

    options = [("grpc.max_receive_message_length", 200_000)]
    server = grpc.server(ThreadPoolExecutor(1), [Handler()], options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        exporter = opened(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        exporter.export(children(5000))
    finally:
        server.stop(None).wait()

    assert (5000, 0, 0) == counts(exporter)
    assert 5000 == sum(len(spans_of(ExportTraceServiceRequest.FromString(body))) for body in got)
    assert [] == errors.notices


def test_a_bad_request_says_nothing_about_the_next(opened):
    """No rest for the server after it."""
    with Receiver(Say(400)) as server:
        exporter = opened(server.url)
        exporter.export(children(2))
        exporter.export(children(3))

    assert (3, 2, 0) == counts(exporter)


def test_retry_after_is_kept():
    """Seconds or a date: the wait is the server's, and one longer than the time there is ends the attempt."""
    waits = []
    for header in ("7", email.utils.format_datetime(datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)), "soon"):
        with Receiver(Say(503, {"retry-after": header})) as server:
            sender = OtlpSender(exporter_for(server.url)._settings.traces)
            sender._wake.wait = lambda seconds, waits=waits: waits.append(seconds)
            sent = sender.send(b"", 1)
            sender.close()
            assert (sent, len(server.got)) == ((False, 1) if header.endswith("GMT") or "2100" in header else (True, 2))

    assert [7.0] == waits[:1]
    assert 2 == len(waits)


def test_a_hanging_server_takes_no_longer_than_the_timeout(opened):
    """The batch is lost; the program is not."""
    with Receiver(Say(hang=True)) as server:
        exporter = opened(server.url, OTEL_EXPORTER_OTLP_TIMEOUT="0.2")
        exporter.export(children(2))

        assert (0, 2, 0) == counts(exporter)
        assert "timed out" in said("export-failed")[0]


def test_partial_success_is_counted(opened):
    """Some were rejected: they are lost too, said with the server's words."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "too old"
    with Receiver(Say(200, PROTOBUF, response.SerializeToString())) as server:
        exporter = opened(server.url)
        exporter.export(children(5))

    assert (2, 3, 3) == counts(exporter)
    assert "too old" in said("export-rejected")[0]


@pytest.mark.parametrize("body", [b"\x0a\xff", b"\xff" * 40, b"\x0a\x02\x08", b"<html>"])
def test_answers_that_are_nonsense(opened, body):
    """Taken is taken."""
    with Receiver(Say(200, PROTOBUF, body)) as server:
        exporter = opened(server.url)
        exporter.export(children(5))

    assert (5, 0, 0) == counts(exporter)
    assert list(read_fields(body)) is not None


def test_something_else_listens_there(opened):
    """Not HTTP at all."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"\x00\x00\x12\x04\x00 not HTTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        exporter = opened(f"http://127.0.0.1:{listener.getsockname()[1]}", OTEL_EXPORTER_OTLP_TIMEOUT="1")
        exporter.export(children(5))
        thread.join()

    assert (0, 5, 0) == counts(exporter)
    assert 1 == len(said("export-failed"))


# Nobody there.


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_dead_endpoint_is_said_once_and_counted(opened, protocol):
    """At the end there is no time to wait for a server: one attempt a batch, everything counted, one line."""
    port = free_port()
    exporter = opened(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    exporter.hurry(20)

    for _ in range(3):
        exporter.export(children(4))

    assert (0, 12, 0) == counts(exporter)
    [text] = said("export-failed")
    assert f"127.0.0.1:{port}" in text
    assert "refused" in text


def test_a_dead_endpoint_is_left_alone_for_a_while():
    """While it rests nothing is tried; then one attempt; and when it answers, that is said with what was lost."""
    port, now = free_port(), [1000.0]
    exporter = exporter_for(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    sender = exporter._traces
    sender.clock = lambda: now[0]
    sender._wake.wait = lambda seconds: now.__setitem__(0, now[0] + seconds)
    exporter.export(children(1))
    attempts = []
    attempt = sender._transport.attempt
    sender._transport.attempt = lambda *args: attempts.append(now[0]) or attempt(*args)

    for _ in range(100):
        exporter.export(children(1))
    assert [] == attempts

    now[0] += 60
    exporter.export(children(1))
    exporter.export(children(1))
    assert 1 == len(attempts)

    with Receiver(port=port) as server:
        exporter.export(children(1))
        assert [] == server.got
        now[0] += 60
        exporter.export(children(3))
        exporter.export(children(2))
        exporter.close(1.0)

    assert (5, 104, 0) == counts(exporter)
    assert 1 == len(said("export-failed"))
    assert ["104 were lost meanwhile"] == [text.split("; ")[1] for text in said("export-recovered")]


def test_a_server_that_starts_late_gets_everything(opened):
    """The first batch that finds nobody is tried again."""
    port = free_port()
    exporter = opened(f"http://127.0.0.1:{port}")
    thread = threading.Thread(target=exporter.export, args=(children(3),))
    refused = threading.Event()
    wait = exporter._traces._wake.wait
    exporter._traces._wake.wait = lambda seconds: refused.set() or wait(seconds)

    thread.start()
    assert refused.wait(30)
    with Receiver(port=port):
        thread.join()

    assert (3, 0, 0) == counts(exporter)


@pytest.mark.parametrize(("script", "expected"), [(2, (0, 3, 0)), (1, (3, 0, 0))])
def test_close_ends_a_wait(script, expected):
    """Whatever the server asked for, the program ends when it wants to, after one last attempt."""
    with Receiver(*[Say(503, {"retry-after": "15"})] * script) as server:
        exporter = exporter_for(server.url)
        waiting = threading.Event()
        wait = exporter._traces._wake.wait
        exporter._traces._wake.wait = lambda seconds: waiting.set() or wait(seconds)
        thread = threading.Thread(target=exporter.export, args=(children(3),))
        thread.start()
        assert waiting.wait(30)

        exporter.close(10)
        thread.join(10)

    assert not thread.is_alive()
    assert expected == counts(exporter)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_close_ends_an_attempt(protocol):
    """A server that never answers does not keep the program."""
    with Receiver(Say(hang=True)) as server:
        exporter = exporter_for(server.url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        thread = threading.Thread(target=exporter.export, args=(children(3),))
        thread.start()
        if protocol != "grpc":
            while not server.got:
                thread.join(0.01)

        exporter.close(0.1)
        thread.join(15)

        assert not thread.is_alive()
        exporter.export(children(1))

    assert (0, 4, 0) == counts(exporter)


def test_flush_waits_for_what_is_under_way(opened):
    """And says whether it is over."""
    with Receiver(Say(hang=True)) as server:
        exporter = opened(server.url, OTEL_EXPORTER_OTLP_TIMEOUT="30")
        assert exporter.flush(1.0)
        thread = threading.Thread(target=exporter.export, args=(children(3),))
        thread.start()
        while not server.got:
            thread.join(0.01)

        assert not exporter.flush(0.01)
        server.released.set()
        thread.join()

    assert exporter.flush(1.0)


def test_the_export_timeout_is_for_all_requests_together(opened):
    """OTEL_BSP_EXPORT_TIMEOUT."""
    with Receiver(Say(hang=True)) as server:
        exporter = opened(server.url, OTEL_BSP_EXPORT_TIMEOUT="200", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="1")
        exporter.export(children(3))

        assert 1 == len(server.got)
        assert (0, 3, 0) == counts(exporter)


# What can't be used.


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://otel:1"}, "not an http or https address"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:port"}, "Port could not be cast"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "Invalid IPv6"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such/file"},
            "No such file",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel:1",
                "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such/file",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            "No such file",
        ),
    ],
)
def test_settings_that_cannot_work(environ, words):
    """Said once; the spans are counted as dropped."""
    exporter = OtlpExporter(Settings.from_environ(environ))
    exporter.export(children(2))
    exporter.export(children(2))
    exporter.close(1.0)

    assert (0, 4, 0) == counts(exporter)
    [text] = said("export-failed")
    assert words in text
    assert text.endswith("no spans are sent")


def test_grpc_without_grpcio(monkeypatch, opened):
    """One line with the way out."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    exporter = opened("http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")

    exporter.export(children(2))

    assert (0, 2, 0) == counts(exporter)
    assert "pip install 'autoscope[grpc]'" in said("export-failed")[0]


def test_passwords_are_not_shown(opened):
    """In no notice."""
    assert "https://h:1/p" == show_url("https://user:pass@h:1/p?token=x#y")
    exporter = opened(f"http://user:hunter2@127.0.0.1:{free_port()}/?key=hunter2")
    exporter.hurry(20)
    exporter.export(children(1))

    assert said("export-failed")
    assert "hunter2" not in str(errors.notices)


def test_a_user_in_the_address(opened):
    """Basic authentication."""
    with Receiver() as server:
        opened(server.url.replace("//", "//user:p%40ss@")).export(children(1))

    assert "Basic dXNlcjpwQHNz" == server.got[0].headers["authorization"]


def test_a_failure_of_our_own_is_counted(monkeypatch, opened):
    """`export` never raises."""
    exporter = opened("http://127.0.0.1:1")
    monkeypatch.setattr(exporter._encoder, "encode", lambda records: 1 / 0)

    exporter.export(children(2))

    assert (0, 2, 0) == counts(exporter)
    assert "ZeroDivisionError" in said("export-failed")[0]


# Proxies and TLS.


def test_a_proxy_is_used(monkeypatch, opened):
    """http_proxy, with its user; not for who is in no_proxy."""
    with Receiver() as proxy, Receiver() as server:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//u:p@"))
        opened("http://collector.invalid:4318").export(children(1))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        opened(server.url).export(children(2))

    [got] = proxy.got
    assert "http://collector.invalid:4318/v1/traces" == got.path
    assert ("Basic dTpw", "collector.invalid:4318") == (got.headers["proxy-authorization"], got.headers["host"])
    assert 2 == len(server.spans)


def test_a_proxy_is_used_for_tls(monkeypatch, opened):
    """https_proxy is asked to connect through."""
    with Receiver() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        exporter = opened("https://collector.invalid:4318", OTEL_EXPORTER_OTLP_TIMEOUT="1")
        exporter.hurry(20)
        exporter.export(children(1))

    assert "collector.invalid:4318" == proxy.got[0].path
    assert (0, 1, 0) == counts(exporter)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-out", str(cert), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )
    return str(cert), str(key)


def server_context(certificate, *, ask_client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
    return context


def test_tls_both_ways(certificate, opened):
    """The server's certificate is checked, and ours is shown."""
    cert, key = certificate
    with Receiver(context=server_context(certificate, ask_client=True)) as server:
        exporter = opened(
            server.url,
            OTEL_EXPORTER_OTLP_CERTIFICATE=cert,
            OTEL_EXPORTER_OTLP_CLIENT_KEY=key,
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=cert,
        )
        exporter.export(children(2))
        exporter.export(children(2))

    assert (4, 0, 0) == counts(exporter)
    assert 1 == len({got.client for got in server.got})


def test_a_certificate_that_is_not_trusted(certificate, opened):
    """Nothing is sent, nothing is tried again."""
    with Receiver(context=server_context(certificate)) as server:
        exporter = opened(server.url)
        exporter.export(children(2))

    assert [] == server.got
    assert (0, 2, 0) == counts(exporter)
    assert "certificate is not trusted" in said("export-failed")[0]


# Fork.

FORK = """
import os, sys
url, first, expected = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path[:0] = sys.argv[4:]
from otlp_kit import children
from autoscope.export.otlp import OtlpExporter
from autoscope.export.settings import Settings
exporter = OtlpExporter(Settings.from_environ(os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}))
exporter.export(children(first))
exporter.before_fork()
pid = os.fork()
if not pid:
    exporter.after_fork()
    exporter.export(children(2))
    exporter.close(1.0)
    os._exit(0 if (expected, 2 - expected) == (exporter.exported, exporter.dropped) else 1)
exporter.export(children(4))
status = os.waitpid(pid, 0)[1]
exporter.close(1.0)
sys.exit(status or (first + 4, 0) != (exporter.exported, exporter.dropped))
"""


def fork_against(url, first, expected, **environ):
    """Send `first` spans, fork, send 2 in the child, of which `expected` leave, and 4 in the parent. What was said."""
    arguments = [url, first, expected, Path(autoscope.__file__).parent.parent, Path(__file__).parent]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, *map(str, arguments)],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == result.returncode, result.stderr
    return result.stderr


@pytest.mark.parametrize("tls", [False, True])
def test_fork_over_http(certificate, tls):
    """Parent and child both send, on their own connections, and say who they are."""
    with Receiver(context=server_context(certificate) if tls else None) as server:
        fork_against(server.url, 1, 2, OTEL_EXPORTER_OTLP_CERTIFICATE=certificate[0] if tls else "")

    by_process = {}
    for got in server.got:
        resource = {pair.key: pair.value for pair in got.request.resource_spans[0].resource.attributes}
        process = resource["process.pid"].int_value, resource["service.instance.id"].string_value
        by_process.setdefault(process, []).append((len(got.spans), got.client))
    (first, second) = sorted(by_process.values(), key=len)
    assert [2] == [count for count, _ in first]
    assert [1, 4] == [count for count, _ in second]
    assert 2 == len({client for requests in by_process.values() for _, client in requests})


@pytest.mark.parametrize(("first", "in_child"), [(0, 2), (1, 0)])
def test_fork_over_grpc(grpc_sink, first, in_child):
    """gRPC does not survive a fork: a child of a process that has used it loses its spans, and says so; never hangs."""
    url = f"http://127.0.0.1:{grpc_sink.port}"

    stderr = fork_against(url, first, in_child, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")

    assert first + in_child + 4 == len(grpc_sink.spans())
    assert bool(first) == ("export-grpc-fork" in stderr)


# Printing.


def test_console(capsys):
    """One line of JSON a span, with the SDK's keys."""
    exporter = ConsoleExporter(Settings(), {"service.name": "shop"})
    record = child(details=failure("no"))

    exporter.export([root(), record])

    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ("shop.cart.Cart.add", None, "UNSET", 77) == (
        first["name"],
        first["parent_id"],
        first["status"]["status_code"],
        first["attributes"]["thread.id"],
    )
    assert (f"0x{record[3][1]:016x}", {"status_code": "ERROR", "description": "no"}) == (
        second["parent_id"],
        second["status"],
    )
    assert "exception" == second["events"][0]["name"]
    assert first["start_time"] < first["end_time"]
    assert first["start_time"].endswith("Z")
    assert (2, 0) == (exporter.exported, exporter.dropped)


def test_console_without_standard_output(monkeypatch):
    """Counted and said, not raised."""
    monkeypatch.setattr(sys, "stdout", None)
    exporter = ConsoleExporter(Settings())

    exporter.export([root()])

    assert (0, 1) == (exporter.exported, exporter.dropped)
    assert said("export-failed")


# What it costs to have it there.


def test_nothing_heavy_is_loaded():
    """No protobuf, no requests, no OpenTelemetry; HTTP only once something is sent, gRPC only where asked for."""
    code = """
import sys
from autoscope.export.settings import Settings
Settings.from_environ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "3"})
heavy = {"urllib", "http.client", "ssl", "socket", "json", "autoscope.export.otlp"} & set(sys.modules)
assert not heavy, heavy
from autoscope.export.otlp import OtlpExporter
exporter = OtlpExporter(Settings())
exporter.close(1.0)
heavy = {"http.client", "ssl", "json", "grpc", "requests", "opentelemetry", "google", "uuid"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path(autoscope.__file__).parents[1])}
    )
