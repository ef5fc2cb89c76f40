"""Who the spans say they come from."""

import os
import uuid

import pytest

import autoscope
from autoscope.export import resource
from autoscope.export.settings import Settings


def attributes(**environ):
    return resource.attributes(Settings.from_environ(environ))


def test_what_is_known_without_being_told():
    """Enough to find the process, nothing that may be a secret."""
    found = attributes()

    assert set(found) == {
        "service.name", "service.instance.id", "host.name", "process.pid", "process.runtime.name",
        "process.runtime.version", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version",
    }  # fmt: skip
    assert "unknown_service:python" == found["service.name"]
    assert os.getpid() == found["process.pid"]
    assert ("autoscope", "python", autoscope.__version__) == tuple(
        found[f"telemetry.sdk.{key}"] for key in ("name", "language", "version")
    )


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OTEL_SERVICE_NAME": "a"}, "a"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, "b"),
        ({"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, "a"),
    ],
)
def test_the_name_of_the_service(environ, name):
    """OTEL_SERVICE_NAME wins over OTEL_RESOURCE_ATTRIBUTES."""
    assert name == attributes(**environ)["service.name"]


def test_what_is_told_wins():
    """Except about what sends."""
    found = attributes(OTEL_RESOURCE_ATTRIBUTES="host.name=h,service.instance.id=i,env=x,telemetry.sdk.name=other")

    assert ("h", "i", "x") == (found["host.name"], found["service.instance.id"], found["env"])
    assert "autoscope" == found["telemetry.sdk.name"]


def test_every_instance_has_its_own_id():
    """A version 4 UUID, another one for every process: it is made anew each time."""
    first, second = (uuid.UUID(str(attributes()["service.instance.id"])) for _ in range(2))

    assert first != second
    assert (4, uuid.RFC_4122) == (first.version, first.variant)
