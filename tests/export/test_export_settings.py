"""What the `OTEL_*` variables mean here."""

import pytest

from autoscope import errors
from autoscope.export.settings import Endpoint, Limits, Settings


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("AUTOSCOPE_SILENCE", "all")
    monkeypatch.setattr(errors, "notices", [])


def read(**environ):
    return Settings.from_environ(environ)


def said():
    return " | ".join(text for _, text in errors.notices)


def test_nothing_set_is_the_defaults_and_nothing_said():
    """An empty environment asks for nothing."""
    settings = read()

    assert Settings() == settings
    assert not settings.otlp_wanted
    assert not settings.console_wanted
    assert [] == errors.notices


def test_empty_is_unset():
    """`OTEL_X=` and `OTEL_X=' '` say nothing, for every variable."""
    names = [
        "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_EXPORTER",
        "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
        *(
            f"OTEL_EXPORTER_OTLP_{signal}{what}"
            for signal in ("", "TRACES_", "LOGS_")
            for what in (
                "ENDPOINT", "HEADERS", "TIMEOUT", "COMPRESSION", "PROTOCOL", "INSECURE", "CERTIFICATE",
                "CLIENT_KEY", "CLIENT_CERTIFICATE",
            )
        ),
    ]  # fmt: skip

    assert Settings() == Settings.from_environ(dict.fromkeys(names, ""))
    assert Settings() == Settings.from_environ(dict.fromkeys(names, "  "))
    assert [] == errors.notices


@pytest.mark.parametrize(
    ("environ", "field", "expected"),
    [
        ({"OTEL_SDK_DISABLED": "True"}, "disabled", True),
        ({"OTEL_SDK_DISABLED": "false"}, "disabled", False),
        ({"OTEL_SERVICE_NAME": " shop "}, "service_name", "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=1, b.c = x%2Cy%3D,"}, "resource_attributes", (("a", "1"), ("b.c", "x,y="))),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b=c"}, "resource_attributes", (("a", "b=c"),)),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, "exporters", ("otlp", "console")),
        ({"OTEL_TRACES_EXPORTER": "none"}, "exporters", ()),
        ({"OTEL_BSP_SCHEDULE_DELAY": "2500"}, "schedule_delay", 2.5),
        ({"OTEL_BSP_EXPORT_TIMEOUT": "100"}, "export_timeout", 0.1),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "10"}, "max_queue_size", 10),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5"}, "max_export_batch_size", 5),
        ({"OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN": "logs"}, "exceptions", "logs"),
        ({"OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN": "http, logs/dup,logs"}, "exceptions", "both"),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "4"}, "limits", Limits(attributes=4, event_attributes=4)),
        (
            {"OTEL_ATTRIBUTE_COUNT_LIMIT": "4", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0"},
            "limits",
            Limits(attributes=0, event_attributes=4),
        ),
        (
            {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "9", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "8"},
            "limits",
            Limits(attribute_length=8, event_attribute_length=9),
        ),
    ],
)
def test_each_variable(environ, field, expected):
    """One variable, one field, and no complaint."""
    assert expected == getattr(read(**environ), field)
    assert [] == errors.notices


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "http://otel:1"}, "http://otel:1/v1/traces"),
        ({"ENDPOINT": "http://otel:1/base/"}, "http://otel:1/base/v1/traces"),
        ({"ENDPOINT": "otel:1"}, "http://otel:1/v1/traces"),
        ({"TRACES_ENDPOINT": "http://otel:1/as/it/is"}, "http://otel:1/as/it/is"),
        ({"TRACES_ENDPOINT": "http://a:1/", "ENDPOINT": "http://b:2"}, "http://a:1/"),
        ({"PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://otel:1"}, "https://otel:1"),
        ({"TRACES_PROTOCOL": "http/protobuf", "PROTOCOL": "grpc"}, "http://localhost:4318/v1/traces"),
    ],
)
def test_address_of_traces(environ, expected):
    """A base address gets the path, an address for traces stands as it is, gRPC has no path."""
    settings = read(**{f"OTEL_EXPORTER_OTLP_{key}": value for key, value in environ.items()})

    assert expected == settings.traces.url
    assert settings.otlp_wanted == any("ENDPOINT" in key for key in environ)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://given:9", "http://given:9/v1/traces"),
        ("http://given:9/v1/traces", "http://given:9/v1/traces"),
        ("given:9", "http://given:9/v1/traces"),
    ],
)
def test_an_address_by_other_means_wins(given, expected):
    """`--otlp` counts more than the variables."""
    settings = Settings.from_environ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://other:1"}, endpoint=given)

    assert expected == settings.traces.url
    assert settings.otlp_wanted


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ENDPOINT": "http://otel:1"}, "http://otel:1/v1/logs"),
        ({"TRACES_ENDPOINT": "http://otel:1/v1/traces"}, "http://otel:1/v1/logs"),
        ({"LOGS_ENDPOINT": "http://logs:1/x", "ENDPOINT": "http://otel:1"}, "http://logs:1/x"),
    ],
)
def test_address_of_logs(environ, expected):
    """Exceptions as log records go beside the traces unless told otherwise."""
    assert expected == read(**{f"OTEL_EXPORTER_OTLP_{key}": value for key, value in environ.items()}).logs.url


def test_everything_about_an_endpoint():
    """The variable for traces wins over the general one, one by one."""
    settings = read(
        OTEL_EXPORTER_OTLP_ENDPOINT="https://otel:1",
        OTEL_EXPORTER_OTLP_HEADERS="Api-Key=a%20b,x=1==,=no",
        OTEL_EXPORTER_OTLP_TIMEOUT="3",
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="0.5",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_INSECURE="TRUE",
        OTEL_EXPORTER_OTLP_CERTIFICATE="/ca",
        OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY="/key",
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="/cert",
    )

    assert settings.traces == Endpoint(
        url="https://otel:1/v1/traces",
        headers=(("api-key", "a b"), ("x", "1==")),
        timeout=0.5,
        gzip=False,
        insecure=True,
        certificate="/ca",
        client_key="/key",
        client_certificate="/cert",
    )
    assert (3.0, True) == (settings.logs.timeout, settings.logs.gzip)


@pytest.mark.parametrize(
    ("exporter", "endpoint", "otlp", "console"),
    [
        (None, False, False, False),
        (None, True, True, False),
        ("otlp", False, True, False),
        ("console", True, False, True),
        ("none", True, False, False),
        ("otlp,console", False, True, True),
        ("otlp_proto_grpc", False, True, False),
        ("zipkin", False, False, False),
        ("zipkin", True, True, False),
    ],
)
def test_what_is_wanted(exporter, endpoint, otlp, console):
    """An address asks for OTLP, unless exporters are named and it is not among them."""
    environ = {} if exporter is None else {"OTEL_TRACES_EXPORTER": exporter}
    if endpoint:
        environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://otel:1"

    settings = Settings.from_environ(environ)

    assert (otlp, console) == (settings.otlp_wanted, settings.console_wanted)
    disabled = Settings.from_environ({**environ, "OTEL_SDK_DISABLED": "true"})
    assert (False, False) == (disabled.otlp_wanted, disabled.console_wanted)


def test_the_protocol_may_be_in_the_exporters_name():
    """As the SDK has it: `otlp_proto_grpc`."""
    assert "grpc" == read(OTEL_TRACES_EXPORTER="otlp_proto_grpc").traces.protocol


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("OTEL_SDK_DISABLED", "yes", "not one of true, false"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "autoscope has otlp, console, none"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "at least 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s", "whole number"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", "at least 0; using 128"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "seconds above 0; using 10"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan", "seconds above 0"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "autoscope sends protobuf"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", "not one of http/protobuf, grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "not one of gzip, none"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "not key=value"),
    ],
)
def test_what_cannot_be_used_is_said_once_and_is_the_default(name, value, words):
    """A typing error never stops anything, and is not repeated."""
    first, second = Settings.from_environ({name: value}), Settings.from_environ({name: value})

    assert Settings() == first == second
    assert 1 == len(errors.notices)
    assert words in said()
    assert name in said()


def test_secrets_are_not_shown():
    """Headers hold keys: neither a complaint nor a repr contains them."""
    settings = read(OTEL_EXPORTER_OTLP_HEADERS="key=hunter2,bad name=hunter2,k=hunter2%0a,hunter2")

    assert (("key", "hunter2"),) == settings.traces.headers
    assert errors.notices
    assert "hunter2" not in said() + repr(settings)
