"""Who is speaking: the resource attributes that go with every span of this process."""

from __future__ import annotations

import sys

import autoscope
from autoscope.export.settings import Settings
from autoscope.ours import keep_builtins
from autoscope.runtime.library import system

keep_builtins(globals())

UNKNOWN_SERVICE = "unknown_service:python"


def attributes(settings: Settings) -> dict[str, str | int]:
    """Resource attributes of this process, now; call it again in a forked child.

    What `OTEL_RESOURCE_ATTRIBUTES` says wins over what is found out here, `OTEL_SERVICE_NAME` over both.
    Command line, user and environment are left out: they hold secrets too often.
    """
    found: dict[str, str | int] = {
        "service.name": UNKNOWN_SERVICE,
        "service.instance.id": new_instance_id(),
        "host.name": system.uname().nodename,
        "process.pid": system.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": ".".join(map(str, sys.version_info[:3])),
    }
    found.update(settings.resource_attributes)
    if settings.service_name:
        found["service.name"] = settings.service_name
    # The specification keeps `opentelemetry` for its own SDKs; whoever is not one says its own name.
    found["telemetry.sdk.name"] = "autoscope"
    found["telemetry.sdk.language"] = "python"
    found["telemetry.sdk.version"] = autoscope.__version__
    return {key: value for key, value in found.items() if value != ""}


def new_instance_id() -> str:
    """A version 4 UUID. By hand, because `import uuid` costs the program milliseconds."""
    number = int.from_bytes(system.urandom(16), "big")
    number = number & ~(0xF << 76) | 4 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
