"""The standard `OTEL_*` variables, read once into a value.

Nothing here opens, imports or sends anything: `otlp` and `resource` act on what is said here. A value that cannot be
understood is reported once and its default is used; an empty value is an unset one, as the specification asks.
"""

from __future__ import annotations

from autoscope.errors import notice
from autoscope.ours import keep_builtins
from autoscope.runtime.library import library

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NamedTuple
else:
    from autoscope.tuples import NamedTuple

DEFAULT_TIMEOUT = 10.0
DEFAULT_ENDPOINTS = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}
EXPORTERS = ("otlp", "console", "none")


class Endpoint(NamedTuple):
    """Where one kind of telemetry goes over OTLP, and how."""

    url: str
    """For HTTP the whole address, path included; for gRPC the address of the server."""
    protocol: str = "http/protobuf"
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case. They hold keys and passwords: never print them."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for one batch, all attempts together."""
    gzip: bool = False
    insecure: bool = False
    """gRPC without TLS; an `http:` or `https:` in the address decides it instead."""
    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in self._asdict().items() if name != "headers"]
        return f"Endpoint({', '.join(shown)})"


class Limits(NamedTuple):
    """How much one span may hold; None is no limit."""

    attributes: int | None = 128
    attribute_length: int | None = None
    events: int | None = 128
    event_attributes: int | None = 128
    event_attribute_length: int | None = None


class Settings(NamedTuple):
    """What the environment says about telemetry. Times are seconds; None is "not said, choose"."""

    disabled: bool = False
    service_name: str = ""
    resource_attributes: tuple[tuple[str, str], ...] = ()
    exporters: tuple[str, ...] | None = None
    """Of `otlp` and `console`; () where `none` was asked for, None where nothing was."""
    endpoint_given: bool = False
    traces: Endpoint = Endpoint(DEFAULT_ENDPOINTS["http/protobuf"] + "/v1/traces")
    logs: Endpoint = Endpoint(DEFAULT_ENDPOINTS["http/protobuf"] + "/v1/logs")
    schedule_delay: float | None = None
    export_timeout: float | None = None
    max_queue_size: int | None = None
    max_export_batch_size: int | None = None
    limits: Limits = Limits()
    exceptions: str = "events"
    """How an exception is told: `events` on its span, `logs`, or `both`."""

    @property
    def otlp_wanted(self) -> bool:
        """Whether spans should leave over OTLP: asked for by name, or by an address and nothing said against it."""
        if self.disabled:
            return False
        return self.endpoint_given if self.exporters is None else "otlp" in self.exporters

    @property
    def console_wanted(self) -> bool:
        """Whether spans should be printed."""
        return not self.disabled and "console" in (self.exporters or ())

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, endpoint: str | None = None) -> Settings:
        """Read every variable; `endpoint` is an address given by other means (`--otlp`) and wins over the variables."""
        reader = _Reader(environ, endpoint)
        exporters, protocol = reader.exporters()
        traces = reader.endpoint("TRACES", "/v1/traces", protocol)
        length = reader.count("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        count = reader.count("OTEL_ATTRIBUTE_COUNT_LIMIT", 128)
        return cls(
            disabled=reader.flag("OTEL_SDK_DISABLED"),
            service_name=reader.text("OTEL_SERVICE_NAME"),
            resource_attributes=reader.pairs("OTEL_RESOURCE_ATTRIBUTES"),
            exporters=exporters,
            endpoint_given=endpoint is not None or bool(reader.either("TRACES", "ENDPOINT")[1]),
            traces=traces,
            logs=reader.logs(traces, protocol),
            schedule_delay=reader.milliseconds("OTEL_BSP_SCHEDULE_DELAY"),
            export_timeout=reader.milliseconds("OTEL_BSP_EXPORT_TIMEOUT"),
            max_queue_size=reader.count("OTEL_BSP_MAX_QUEUE_SIZE", least=1),
            max_export_batch_size=reader.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", least=1),
            limits=Limits(
                attributes=reader.count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count),
                attribute_length=reader.count("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
                events=reader.count("OTEL_SPAN_EVENT_COUNT_LIMIT", 128),
                event_attributes=reader.count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count),
                event_attribute_length=length,
            ),
            exceptions=reader.exceptions(),
        )


class _Reader:
    """One pass over an environment. Every method takes names and gives a value, reporting what it cannot read."""

    def __init__(self, environ: Mapping[str, str], endpoint: str | None) -> None:
        self.environ = environ
        self.given_endpoint = endpoint

    def text(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    def either(self, signal: str, what: str) -> tuple[str, str]:
        """The name and value in force of `OTEL_EXPORTER_OTLP_<signal>_<what>` and `OTEL_EXPORTER_OTLP_<what>`."""
        for name in (f"OTEL_EXPORTER_OTLP_{signal}_{what}", f"OTEL_EXPORTER_OTLP_{what}"):
            if value := self.text(name):
                return name, value
        return name, ""

    def flag(self, name: str) -> bool:
        return self.one_of(name, self.text(name).lower(), ("true", "false"), "false") == "true"

    def one_of(self, name: str, value: str, known: tuple[str, ...], default: str) -> str:
        if not value:
            return default
        if value in known:
            return value
        _complain(name, value, f"not one of {', '.join(known)}", default or "nothing")
        return default

    def count(self, name: str, default: int | None = None, *, least: int = 0) -> int | None:
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = -1
        if number < least:
            _complain(
                name, value, f"not a whole number of at least {least}", "the default" if default is None else default
            )
            return default
        return number

    def milliseconds(self, name: str) -> float | None:
        number = self.count(name)
        return None if number is None else number / 1000

    def seconds(self, name: str, value: str) -> float:
        if not value:
            return DEFAULT_TIMEOUT
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number < 1e9:
            _complain(name, value, "not a number of seconds above 0", f"{DEFAULT_TIMEOUT:g}")
            return DEFAULT_TIMEOUT
        return number

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """`a=b,c=d`, each percent-decoded. A malformed list is reported without its values: they may be secrets."""
        found: dict[str, str] = {}
        for part in self.text(name).split(","):
            key, equals, value = part.partition("=")
            key = _decode(key.strip())
            if key and equals:
                found[key] = _decode(value.strip())
            elif part.strip():
                notice("otel-setting", f"{name}: one of its parts is not key=value; that part is ignored")
        return tuple(found.items())

    def headers(self, name: str) -> tuple[tuple[str, str], ...]:
        """As `pairs`, names in lower case, without what HTTP would refuse."""
        good: dict[str, str] = {}
        for key, value in self.pairs(name):
            if _is_token(key) and not any(ord(char) < 32 or ord(char) == 127 for char in value):
                good[key.lower()] = value
            else:
                notice("otel-setting", f"{name}: a header has a character HTTP does not allow; that header is ignored")
        return tuple(good.items())

    def exporters(self) -> tuple[tuple[str, ...] | None, str]:
        """Which exporters were named, and the protocol where the name says it (`otlp_proto_grpc`)."""
        name = "OTEL_TRACES_EXPORTER"
        words = [word.strip() for word in self.text(name).split(",") if word.strip()]
        if not words:
            return None, ""
        found: dict[str, None] = {}
        protocol = ""
        for word in words:
            if word in ("otlp_proto_http", "otlp_proto_grpc"):
                protocol = "grpc" if word.endswith("grpc") else "http/protobuf"
                word = "otlp"
            if word in EXPORTERS:
                found[word] = None
            else:
                _complain(name, word, f"autoscope has {', '.join(EXPORTERS)}", "the others")
        if not found:
            return None, ""
        return tuple(word for word in found if word != "none"), protocol

    def endpoint(self, signal: str, path: str, protocol: str) -> Endpoint:
        name, value = self.either(signal, "PROTOCOL")
        if value == "http/json":
            _complain(name, value, "autoscope sends protobuf", "http/protobuf")
            value = "http/protobuf"
        protocol = self.one_of(name, value, ("http/protobuf", "grpc"), protocol or "http/protobuf")
        compression, timeout = self.either(signal, "COMPRESSION"), self.either(signal, "TIMEOUT")
        return Endpoint(
            url=self.url(signal, path, protocol),
            protocol=protocol,
            headers=self.headers(self.either(signal, "HEADERS")[0]),
            timeout=self.seconds(*timeout),
            gzip=self.one_of(*compression, ("gzip", "none"), "none") == "gzip",
            insecure=self.flag(self.either(signal, "INSECURE")[0]),
            certificate=self.either(signal, "CERTIFICATE")[1],
            client_key=self.either(signal, "CLIENT_KEY")[1],
            client_certificate=self.either(signal, "CLIENT_CERTIFICATE")[1],
        )

    def logs(self, traces: Endpoint, protocol: str) -> Endpoint:
        """Where exceptions go as log records. With an address for traces alone: its neighbour, not the default."""
        if (
            self.either("LOGS", "ENDPOINT")[1]
            or self.given_endpoint
            or not self.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        ):
            return self.endpoint("LOGS", "/v1/logs", protocol)
        return traces._replace(
            url=traces.url.removesuffix("/v1/traces") + "/v1/logs" if traces.protocol != "grpc" else traces.url
        )

    def url(self, signal: str, path: str, protocol: str) -> str:
        """An address for one signal stands as it is; a base address gets the signal's path (HTTP only)."""
        base = self.given_endpoint or ""
        if not base:
            name, value = self.either(signal, "ENDPOINT")
            if value and signal in name:
                return value if "//" in value or protocol == "grpc" else f"http://{value}"
            base = value or DEFAULT_ENDPOINTS[protocol]
        if protocol == "grpc":
            return base
        if "//" not in base:
            base = f"http://{base}"
        base = base.rstrip("/").removesuffix("/v1/traces") if self.given_endpoint else base.rstrip("/")
        return base + path

    def exceptions(self) -> str:
        """`logs/dup` wins over `logs`; words meant for other instrumentations are left alone."""
        words = {word.strip() for word in self.text("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN").split(",")}
        if "logs/dup" in words:
            return "both"
        return "logs" if "logs" in words else "events"


def _complain(name: str, value: str, why: str, instead: object) -> None:
    notice("otel-setting", f"can't use {name}={value[:80]!r}: {why}; using {instead}")


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    # Only here: most lists have no escapes, and this runs when the program starts.
    decoded: str = library("urllib.parse").unquote(text)
    return decoded


def _is_token(text: str) -> bool:
    """Whether `text` may be the name of an HTTP header."""
    return bool(text) and text.isascii() and all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in text)
