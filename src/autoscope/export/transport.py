"""One attempt to hand one request to an OTLP server, over HTTP or gRPC, and what came of it.

When to try again is for `otlp` to decide. The standard library is enough for HTTP; grpcio is imported only for gRPC.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import autoscope
from autoscope.errors import AutoscopeError
from autoscope.export.settings import Endpoint
from autoscope.ours import keep_builtins
from autoscope.runtime.library import library

keep_builtins(globals())

if TYPE_CHECKING:
    import ssl
    from http.client import HTTPConnection, HTTPResponse

USER_AGENT = f"autoscope/{autoscope.__version__}"

_ANSWER_LIMIT = 65536
_RETRIED_STATUSES = (429, 502, 503, 504)
_ABOUT_THE_REQUEST = (400, 413)
_RETRIED_CODES = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
# The channel's own back-off between connections would otherwise grow to two minutes.
_GRPC_OPTIONS = [("grpc.primary_user_agent", USER_AGENT), ("grpc.max_reconnect_backoff_ms", 5000)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt gave."""

    ok: bool = False
    reason: str = ""
    """Why not, in a few words."""
    retry: bool = False
    """The same request may succeed later."""
    unreachable: bool = False
    """No server was there to answer."""
    request_only: bool = False
    """It was about this request; the next one may well pass."""
    too_large: bool = False
    """A smaller request may pass."""
    wait: float | None = None
    """Seconds the server asked to be left alone."""
    body: bytes = b""


class Transport(Protocol):
    """A way to one server. Errors are answers; the constructor alone raises, `AutoscopeError` if it can't be used."""

    def prepare(self, body: bytes) -> bytes:
        """Compress, once for all attempts."""

    def attempt(self, body: bytes, timeout: float) -> Answer:
        """Send what `prepare` gave."""

    def interrupt(self) -> None:
        """Make an attempt in another thread end soon."""

    def close(self) -> None:
        """Give the connection back."""

    def forget(self) -> None:
        """In a forked child: the connection is the parent's."""


def open_transport(endpoint: Endpoint, method: str) -> Transport:
    """The transport for an endpoint; `method` is the gRPC method to call. Connects at the first attempt."""
    if endpoint.protocol == "grpc":
        return GrpcTransport(endpoint, method)
    return HttpTransport(endpoint)


class HttpTransport:
    """OTLP/HTTP on one connection that is kept open."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        client = library("http.client")
        # As they are now: what records or replaces a program's requests puts others in their place for a while.
        self._plain, self._secure = client.HTTPConnection, client.HTTPSConnection
        self._bad_answer, self._other = client.BadStatusLine, client.HTTPException
        self._url = _split(endpoint.url)
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise AutoscopeError(f"can't send to {show_url(endpoint.url)}: not an http or https address")
        self._host = self._url.hostname
        self._port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        self._headers = {"content-type": "application/x-protobuf", "user-agent": USER_AGENT}
        if endpoint.gzip:
            self._headers["content-encoding"] = "gzip"
        if self._url.username is not None:
            self._headers["authorization"] = _basic(self._url)
        for name, value in endpoint.headers:
            self._headers[name] = value.encode("utf-8").decode("latin-1")
        self._context = _tls(endpoint) if self._url.scheme == "https" else None
        self._connection: HTTPConnection | None = None

    def prepare(self, body: bytes) -> bytes:
        # Level 1: 0.6 µs a span where the default takes 1.6, for a request a tenth larger.
        return zlib.compress(body, 1, wbits=31) if self._endpoint.gzip else body

    def attempt(self, body: bytes, timeout: float) -> Answer:
        kept = self._connection is not None and self._connection.sock is not None
        try:
            return self._exchange(body, timeout)
        except (ConnectionError, self._bad_answer) as error:
            self.close()
            if not kept:
                return self._failure(error)
        except (OSError, self._other, ValueError) as error:
            self.close()
            return self._failure(error)
        # The server had closed a connection that was idle: that says nothing about the server.
        try:
            return self._exchange(body, timeout)
        except (OSError, self._other, ValueError) as error:
            self.close()
            return self._failure(error)

    def _exchange(self, body: bytes, timeout: float) -> Answer:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        content = response.read(_ANSWER_LIMIT)
        if not response.isclosed():
            self.close()  # a long answer nobody reads
        return _judge(response, content)

    def _connect(self, timeout: float) -> HTTPConnection:
        proxy = _proxy(self._url.scheme, f"{self._host}:{self._port}")
        host, port = (self._host, self._port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        authorization = {"proxy-authorization": _basic(proxy)} if proxy and proxy.username is not None else {}
        if self._context is None:
            if proxy is not None:
                self._path = self._url._replace(netloc=self._url.netloc.rpartition("@")[2], fragment="").geturl()
                self._headers.update(authorization)
            plain: HTTPConnection = self._plain(host, port, timeout=timeout)
            return plain
        connection: HTTPConnection = self._secure(host, port, timeout=timeout, context=self._context)
        if proxy is not None:
            connection.set_tunnel(self._host, self._port, authorization)
        return connection

    def _failure(self, error: Exception) -> Answer:
        reason = _describe(error)
        if self._context is not None and hasattr(error, "verify_message"):  # ssl.SSLCertVerificationError
            return Answer(reason=f"its certificate is not trusted: {error.verify_message}")
        if self._port == 4317 and not isinstance(error, ConnectionRefusedError):
            reason += "; port 4317 is usually gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use port 4318"
        return Answer(reason=reason, retry=isinstance(error, OSError), unreachable=isinstance(error, OSError))

    def interrupt(self) -> None:
        connection = self._connection
        try:
            if connection is not None and connection.sock is not None:
                connection.sock.shutdown(library("socket").SHUT_RDWR)
        except OSError:
            pass  # it was closed meanwhile

    def close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except OSError:
            pass  # closed is closed

    # Closing the child's copy of the socket leaves the parent's open, and sends nothing, with TLS neither.
    forget = close


class GrpcTransport:
    """OTLP/gRPC: the bytes as they are, without generated classes."""

    def __init__(self, endpoint: Endpoint, method: str) -> None:
        try:
            import grpc
        except ImportError:
            raise AutoscopeError(
                "can't send over gRPC: grpcio is not installed; "
                "pip install 'autoscope[grpc]', or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            ) from None
        self._grpc: Any = grpc
        self._endpoint = endpoint
        self._method = method
        url = _split(endpoint.url)
        self._insecure = url.scheme == "http" or (url.scheme != "https" and endpoint.insecure)
        self._target = url.netloc or endpoint.url
        self._credentials = None if self._insecure else self._read_credentials()
        self._metadata = tuple(endpoint.headers)
        self._channel: Any = None
        self._call: Any = None

    def _read_credentials(self) -> Any:
        files = (self._endpoint.certificate, self._endpoint.client_key, self._endpoint.client_certificate)
        return self._grpc.ssl_channel_credentials(*[_read(name) if name else None for name in files])

    def prepare(self, body: bytes) -> bytes:
        return body  # the channel compresses

    def attempt(self, body: bytes, timeout: float) -> Answer:
        try:
            return Answer(ok=True, body=self._connected()(body, timeout=timeout, metadata=self._metadata))
        except self._grpc.RpcError as error:
            return _judge_call(error)
        except Exception as error:  # a closed channel, metadata gRPC refuses
            return Answer(reason=_describe(error))

    def _connected(self) -> Any:
        if self._call is None:
            grpc = self._grpc
            compression = grpc.Compression.Gzip if self._endpoint.gzip else grpc.Compression.NoCompression
            if self._insecure:
                self._channel = grpc.insecure_channel(self._target, _GRPC_OPTIONS, compression)
            else:
                self._channel = grpc.secure_channel(self._target, self._credentials, _GRPC_OPTIONS, compression)
            self._call = self._channel.unary_unary(self._method)
        return self._call

    def interrupt(self) -> None:
        self.close()

    def close(self) -> None:
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        # Neither closed nor collected: both would wait for threads that only the parent has.
        _abandoned.append((self._channel, self._call))
        self._channel = self._call = None


_abandoned: list[Any] = []


def grpc_is_running() -> bool:
    """Whether gRPC, ours or the program's, has threads in this process; where that can't be seen, whether it is loaded.

    A child forked from such a process may not use gRPC: now and then a lock is copied that nobody will release, and
    then making a channel stops the whole child, the interpreter's lock in hand (grpc/grpc#15334).
    """
    if "grpc" not in sys.modules:
        return False
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/comm") as file:
                if file.read().startswith(("grpc", "event_engine")):
                    return True
    except OSError:
        return True
    return False


def show_url(url: str) -> str:
    """An address as it may be printed: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that can't be read"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protobuf message: number, and a varint's value or the content of anything with a length.

    Ends quietly where the bytes are not protobuf: it reads what a server says beside its status.
    """
    position = 0
    try:
        while position < len(message):
            tag, position = _read_varint(message, position)
            kind = tag & 7
            if kind == 0:
                value, position = _read_varint(message, position)
                yield tag >> 3, value
                continue
            if kind == 2:
                size, position = _read_varint(message, position)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                return
            if position + size > len(message):
                return
            yield tag >> 3, message[position : position + size]
            position += size
    except IndexError:
        return


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7


def _judge(response: HTTPResponse, content: bytes) -> Answer:
    """An HTTP response as an answer."""
    protobuf = response.headers.get("content-type", "").startswith("application/x-protobuf")
    if 200 <= response.status < 300:
        return Answer(ok=True, body=content if protobuf else b"")
    reason = f"HTTP {response.status} {response.reason}"
    for number, value in read_fields(content) if protobuf else ():
        if number == 2 and isinstance(value, bytes):  # google.rpc.Status.message
            reason += f": {value.decode('utf-8', 'replace')[:200]}"
    if response.status in (401, 403):
        reason += "; are OTEL_EXPORTER_OTLP_HEADERS right?"
    elif response.status in (404, 405):
        reason += "; is the path of the address right?"
    return Answer(
        reason=reason,
        retry=response.status in _RETRIED_STATUSES,
        request_only=response.status in _ABOUT_THE_REQUEST,
        too_large=response.status == 413,
        wait=_retry_after(response.headers.get("retry-after", "")),
    )


def _retry_after(text: str) -> float | None:
    """Seconds, from a number of seconds or a date."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until: float = library("email.utils").parsedate_to_datetime(text).timestamp()
        return max(0.0, until - time.time())
    except (ValueError, OverflowError):
        return None


def _judge_call(error: Any) -> Answer:
    """A failed gRPC call as an answer."""
    code = error.code().name
    wait = _retry_info(error)
    exhausted = code == "RESOURCE_EXHAUSTED"
    return Answer(
        reason=f"gRPC {code}: {(error.details() or '')[:200]}",
        # The specification: a server that is out of resources is asked again only if it says when.
        retry=code in _RETRIED_CODES or (exhausted and wait is not None),
        unreachable=code == "UNAVAILABLE" and wait is None,
        request_only=exhausted or code == "INVALID_ARGUMENT",
        too_large=exhausted and "larger than max" in (error.details() or ""),
        wait=wait,
    )


def _retry_info(error: Any) -> float | None:
    """Seconds from the google.rpc.RetryInfo a server may add to an error."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for number, detail in read_fields(value):  # google.rpc.Status.details = 3, an Any
            detail_fields = dict(read_fields(detail)) if number == 3 and isinstance(detail, bytes) else {}
            type_url, info = detail_fields.get(1), detail_fields.get(2, b"")
            if isinstance(type_url, bytes) and type_url.endswith(b"/google.rpc.RetryInfo") and isinstance(info, bytes):
                delay = dict(read_fields(info)).get(1, b"")  # a Duration: seconds = 1, nanos = 2
                parts = dict(read_fields(delay)) if isinstance(delay, bytes) else {}
                seconds, nanos = parts.get(1, 0), parts.get(2, 0)
                if isinstance(seconds, int) and isinstance(nanos, int):
                    return seconds + nanos / 1e9
    return None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise AutoscopeError(f"can't send to {show_url(url)}: {error}") from None
    return parts


def _basic(url: SplitResult) -> str:
    user = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
    encoded: bytes = library("base64").b64encode(user.encode())
    return "Basic " + encoded.decode()


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = library("ssl").create_default_context(cafile=endpoint.certificate or None)
        if endpoint.client_certificate:
            context.load_cert_chain(endpoint.client_certificate, endpoint.client_key or None)
    except OSError as error:
        raise AutoscopeError(f"can't send to {show_url(endpoint.url)}: certificate files: {_describe(error)}") from None
    return context


def _read(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise AutoscopeError(f"can't send over gRPC: {name}: {_describe(error)}") from None


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """The proxy the environment names for a host, by the rules of `urllib.request`."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    request = library("urllib.request")  # late: it is not small, and most programs have no proxy
    proxies = request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or request.proxy_bypass(host):
        return None
    return _split(address if "//" in address else f"http://{address}")


def _describe(error: Exception) -> str:
    """An error in a few words: what the operating system says about it, without numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
