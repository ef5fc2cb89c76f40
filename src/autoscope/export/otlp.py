"""Records to an OTLP server: batches, attempts, and what is said when they fail.

Runs in the drain thread and never raises. A server that is down costs little: the first batch it misses is tried again
until its time is up, after that one attempt now and then, and what could not be sent meanwhile is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autoscope.errors import AutoscopeError, notice
from autoscope.export import resource as process
from autoscope.export.console import ConsoleExporter as ConsoleExporter
from autoscope.export.settings import Endpoint, Settings
from autoscope.export.transport import Answer, Transport, grpc_is_running, open_transport, read_fields, show_url
from autoscope.export.wire import Encoder
from autoscope.ours import keep_builtins
from autoscope.runtime.drain import acquire, allocate_lock
from autoscope.runtime.library import system
from autoscope.runtime.spans import Clock

keep_builtins(globals())

if TYPE_CHECKING:
    from autoscope.runtime.spans import Record

TRACES_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

FORKED = (
    "can't send from a child process forked after gRPC was used: gRPC may hang there, so the child's spans are lost; "
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf has no such limit"
)

BATCH = 4096
REQUEST_LIMIT = 1_000_000
"""Bytes: many servers refuse bodies above 1 MiB unless told otherwise (nginx, aiohttp), gRPC servers above 4 MiB."""
LEAST_LIMIT = 1 << 16
"""Bytes: a smaller request is not divided because a server calls it too large."""
CLOSE_SECONDS = 5.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
LONGEST_REST = 60.0


class TooLarge(Exception):
    """The server may take the request in smaller parts; nothing is lost yet."""


class OtlpSender:
    """Hands encoded requests to one endpoint, again where that may help, and counts what became of them."""

    # In the class, because time-faking libraries replace what they find in modules.
    clock: Callable[[], float] = staticmethod(Clock.monotonic)

    def __init__(self, endpoint: Endpoint, method: str = TRACES_METHOD, what: str = "spans") -> None:
        self.endpoint = endpoint
        self.exported = 0
        self.failed = 0
        self.rejected = 0
        self.bytes = 0
        """Bytes accepted, after compression."""
        self._method = method
        self._what = what
        self._transport: Transport | None = None
        self._unusable = False
        self._closed = False
        self._deadline: float | None = None
        self._wake = threading.Event()
        self._failures = 0
        self._rest_until = 0.0
        self._lost_in_a_row = 0
        self._forks_grpc = False
        """Not usable in a forked child, because gRPC was running in its parent."""

    def send(self, body: bytes, count: int, deadline: float | None = None, *, divisible: bool = False) -> bool:
        """Send one request holding `count` spans; False if they are lost. Takes no longer than the endpoint's timeout.

        `deadline` is on `clock`, and shortens that. `divisible`: raises `TooLarge` where smaller requests may pass.
        """
        transport = self._open()
        if self._forks_grpc and self._unusable:
            notice("export-grpc-fork", FORKED)
        if transport is None or self._closed or self._resting():
            self._lose(count)
            return False
        started = self.clock()
        until = started + self.endpoint.timeout
        if deadline is not None:
            until = min(until, deadline)
        body = transport.prepare(body)
        answer = self._attempt_until(transport, body, until)
        if answer.too_large and divisible and not self._closed:
            raise TooLarge
        if answer.ok:
            self._succeed(answer, count, len(body))
        else:
            self._fail(answer, count)
        return answer.ok

    def _open(self) -> Transport | None:
        if self._transport is None and not self._unusable:
            try:
                self._transport = open_transport(self.endpoint, self._method)
            except AutoscopeError as error:
                self._unusable = True
                notice("export-failed", f"{error}; no {self._what} are sent")
        return self._transport

    def _resting(self) -> bool:
        """After a failure the server is left alone for a while; not at the end, when there is no later."""
        return self._deadline is None and self.clock() < self._rest_until

    def _attempt_until(self, transport: Transport, body: bytes, until: float) -> Answer:
        """Try until it worked, can't work, or the time is up."""
        answer = Answer(reason="out of time")
        pause = FIRST_PAUSE
        while True:
            left = self._left(until)
            if left <= 0:
                return answer
            answer = transport.attempt(body, left)
            if answer.ok or not answer.retry or self._closed:
                return answer
            if answer.unreachable and (self._failures or self._deadline is not None):
                return answer  # known to be down, or no time to wait for someone to start it
            wait = pause * _jitter() if answer.wait is None else answer.wait
            pause = min(2 * pause, LONGEST_PAUSE)
            if wait >= self._left(until):
                return answer
            if self._wake.wait(wait):
                self._wake.clear()  # `hurry` or `close`: the time left is another

    def _left(self, until: float) -> float:
        if self._deadline is not None:
            until = min(until, self._deadline)
        return until - self.clock()

    def _succeed(self, answer: Answer, count: int, size: int) -> None:
        rejected, message = _read_partial_success(answer.body)
        rejected = min(rejected, count)
        self.exported += count - rejected
        self.rejected += rejected
        self.bytes += size
        where = show_url(self.endpoint.url)
        if rejected or message:
            notice(
                "export-rejected", f"{where} took {self._what} but not all, or with a remark: {message or 'no reason'}"
            )
        if self._failures:
            notice("export-recovered", f"{where} takes {self._what} again; {self._lost_in_a_row} were lost meanwhile")
        self._failures = self._lost_in_a_row = 0
        self._rest_until = 0.0

    def _fail(self, answer: Answer, count: int) -> None:
        self._lose(count)
        if self._closed:
            return  # interrupted by ourselves
        notice("export-failed", f"can't send {self._what} to {show_url(self.endpoint.url)}: {answer.reason}")
        if answer.request_only:
            return
        self._failures += 1
        rest = min(2.0 ** min(self._failures - 1, 16), LONGEST_REST) * _jitter()
        self._rest_until = self.clock() + max(rest, answer.wait or 0.0)

    def _lose(self, count: int) -> None:
        self.failed += count
        self._lost_in_a_row += count

    def hurry(self, seconds: float) -> None:
        """From now on everything together may take this long. Callable from any thread; cuts waits short."""
        deadline = self.clock() + seconds
        self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        self._wake.set()

    def close(self) -> None:
        """Give the connection back; later requests are lost. Ends a wait or an attempt in another thread."""
        self._closed = True
        self._wake.set()
        if self._transport is not None:
            self._transport.interrupt()
            self._transport.close()

    def before_fork(self) -> None:
        """Close a gRPC channel: a fork would copy its locks in any state. `grpc_is_running` says more."""
        if self.endpoint.protocol == "grpc":
            self._forks_grpc = grpc_is_running()
            if self._transport is not None:
                self._transport.close()

    def after_fork(self) -> None:
        """In a forked child: own connections, own counters, nothing known about the server but its address."""
        transport, unusable = self._transport, self._unusable
        if transport is not None:
            transport.forget()
        forks_grpc = self._forks_grpc or (self.endpoint.protocol == "grpc" and transport is not None)
        self.__init__(self.endpoint, self._method, self._what)  # type: ignore[misc]
        self._forks_grpc = forks_grpc
        self._unusable = unusable or forks_grpc
        self._transport = None if self._unusable else transport


class OtlpExporter:
    """The exporter for OTLP: encodes records, splits them into requests and sends these."""

    def __init__(self, settings: Settings, resource: dict[str, Any] | None = None) -> None:
        """`resource`, for who knows better, is kept over a fork; the usual one is made anew."""
        self._settings = settings
        self._given_resource = resource
        self._encoder = self._new_encoder()
        self._traces = OtlpSender(settings.traces)
        self._logs = OtlpSender(settings.logs, LOGS_METHOD, "exceptions") if settings.exceptions != "events" else None
        self._lock = allocate_lock()
        self._batch = settings.max_export_batch_size or BATCH
        self._limit = REQUEST_LIMIT
        self._span_bytes = 300.0
        """What a span of the last request took, so that the next is made of the right size at once."""
        self._lost = 0

    def _new_encoder(self) -> Encoder:
        resource = self._given_resource
        return Encoder(process.attributes(self._settings) if resource is None else resource, self._settings)

    @property
    def exported(self) -> int:
        """Spans a server has accepted."""
        return self._traces.exported

    @property
    def dropped(self) -> int:
        """Spans lost: no server took them, one took and refused them, or they could not be encoded."""
        return self._traces.failed + self._traces.rejected + self._encoder.skipped + self._lost

    @property
    def rejected(self) -> int:
        """Spans a server took and refused."""
        return self._traces.rejected

    @property
    def bytes(self) -> int:
        """Bytes of spans accepted, as they were on the wire."""
        return self._traces.bytes

    def export(self, records: Sequence[Record]) -> None:
        """Send them, or count them as dropped. Blocks for as long as `OTEL_EXPORTER_OTLP_TIMEOUT` a request says."""
        with self._lock:
            limit = self._settings.export_timeout
            deadline = None if limit is None else self._traces.clock() + limit
            start = 0
            while start < len(records):
                batch = records[start : start + self._size()]
                start += len(batch)
                try:
                    self._send(batch, deadline)
                except Exception as error:
                    self._lost += len(batch)
                    notice("export-failed", f"{len(batch)} spans are lost: {type(error).__name__}: {error}")

    def _size(self) -> int:
        """How many spans the next request is made of."""
        return max(1, min(self._batch, int(self._limit / self._span_bytes)))

    def _send(self, batch: Sequence[Record], deadline: float | None) -> None:
        skipped = self._encoder.skipped
        body = self._encoder.encode(batch)
        skipped = self._encoder.skipped - skipped
        self._span_bytes = 1.1 * len(body) / len(batch) + 1
        try:
            if len(body) > self._limit and len(batch) > 1:
                raise TooLarge
            if len(batch) > skipped:
                divisible = len(batch) > 1 and len(body) > LEAST_LIMIT
                self._traces.send(body, len(batch) - skipped, deadline, divisible=divisible)
        except TooLarge:
            if len(body) <= self._limit:
                self._limit = max(len(body) // 2, LEAST_LIMIT)  # the server's is lower
            self._encoder.skipped -= skipped  # they are met again
            middle = len(batch) // 2
            self._send(batch[:middle], deadline)
            self._send(batch[middle:], deadline)
            return
        if self._logs is not None:
            body, count = self._encoder.encode_logs(batch)
            if count:
                self._logs.send(body, count, deadline)

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Wait for an `export` going on in another thread; nothing is kept back between exports."""
        if not acquire(self._lock, timeout=seconds):
            return False
        self._lock.release()
        return True

    def hurry(self, seconds: float) -> None:
        """The program ends: everything still to be sent may take this long altogether. Callable from any thread."""
        for sender in self._senders():
            sender.hurry(seconds)

    def close(self, deadline_seconds: float = CLOSE_SECONDS) -> None:
        """Let an `export` going on finish, within this time, then give the connections back."""
        self.hurry(deadline_seconds)
        free = acquire(self._lock, timeout=max(0.0, deadline_seconds))
        for sender in self._senders():
            sender.close()
        if free:
            self._lock.release()

    def before_fork(self) -> None:
        """Let go of what does not survive a fork. The parent connects anew when it next sends."""
        if self._settings.traces.protocol != "grpc" and self._settings.logs.protocol != "grpc":
            return
        if self._lock.acquire(blocking=False):
            for sender in self._senders():
                sender.before_fork()
            self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: own connections, own process id in the resource, own counters."""
        self._lock = allocate_lock()
        self._lost = 0
        self._encoder = self._new_encoder()
        for sender in self._senders():
            sender.after_fork()

    def _senders(self) -> list[OtlpSender]:
        return [self._traces] if self._logs is None else [self._traces, self._logs]


def _jitter() -> float:
    """0.8 to 1.2, so that many processes do not come back at once. `random` is not touched: it is the program's."""
    byte: int = system.urandom(1)[0]
    return 0.8 + byte / 255 * 0.4


def _read_partial_success(body: bytes) -> tuple[int, str]:
    """Of an Export…ServiceResponse: how many were rejected, and the message."""
    rejected, message = 0, ""
    for number, content in read_fields(body):
        if number != 1 or not isinstance(content, bytes):
            continue
        for inner, value in read_fields(content):
            if inner == 1 and isinstance(value, int):
                rejected = value
            elif inner == 2 and isinstance(value, bytes):
                message = value.decode("utf-8", "replace")[:200]
    return (rejected if rejected < 1 << 63 else 0), message
