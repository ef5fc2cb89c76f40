"""`OTEL_TRACES_EXPORTER=console`: every span as one line of JSON on standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autoscope.errors import notice
from autoscope.export import resource as process
from autoscope.export.settings import Settings
from autoscope.export.wire import begins_here, exception_attributes, own_attributes, site_attributes
from autoscope.ours import keep_builtins
from autoscope.runtime.library import library
from autoscope.runtime.sites import share_of
from autoscope.runtime.spans import epoch_offset, opened

keep_builtins(globals())

if TYPE_CHECKING:
    from autoscope.runtime.spans import Record


class ConsoleExporter:
    """Prints spans, with the keys the OpenTelemetry SDK's console exporter uses."""

    def __init__(self, settings: Settings, resource: dict[str, Any] | None = None) -> None:
        self._settings = settings
        self._given_resource = resource
        self._resource = process.attributes(settings) if resource is None else resource
        self.exported = 0
        self.dropped = 0
        self.rejected = 0

    def export(self, records: Sequence[Record]) -> None:
        """Print them, all of them or none."""
        json = library("json")
        try:
            epoch = epoch_offset()
            lines = [json.dumps(self._describe(record, epoch), default=object.__repr__) + "\n" for record in records]
            # One write, so that a line of the program's is not inside one of ours.
            sys.stdout.write("".join(lines))
            sys.stdout.flush()
        except Exception as error:  # closed, or replaced by the program
            self.dropped += len(records)
            notice("export-failed", f"can't print spans on standard output: {type(error).__name__}: {error}")
        else:
            self.exported += len(records)

    def _describe(self, record: Record, epoch: int) -> dict[str, Any]:
        site, span_id, trace, parent, start, end, told = record
        details = opened(told)
        parent_id = parent[1] if parent else trace.remote_parent
        events = []
        if details is not None and details.exception is not None:
            exception = details.exception
            when, attributes = _timestamp(exception.time + epoch), exception_attributes(exception)
            events.append({"name": "exception", "timestamp": when, "attributes": attributes})
        status = {"status_code": "UNSET"}
        if details is not None and details.error_type:
            status = {"status_code": "ERROR", "description": details.error_message}
        return {
            "name": site.name,
            "context": {
                "trace_id": f"0x{trace.trace_id:032x}",
                "span_id": f"0x{span_id:016x}",
                "trace_state": trace.tracestate,
            },
            "kind": "SpanKind.INTERNAL",
            "parent_id": f"0x{parent_id:016x}" if parent_id else None,
            "start_time": _timestamp(start + epoch),
            "end_time": _timestamp(end + epoch),
            "status": status,
            "attributes": site_attributes(site)
            | own_attributes(trace if begins_here(parent) else None, details, share_of(site, start)),
            "events": events,
            "links": [],
            "resource": {"attributes": self._resource, "schema_url": ""},
        }

    def close(self, deadline_seconds: float = 0.0) -> None:
        """Nothing to do: standard output is the program's."""

    def before_fork(self) -> None:
        """Nothing to do: nothing is held between exports."""

    def after_fork(self) -> None:
        """In a forked child: own process id in the resource, own counters."""
        self.__init__(self._settings, self._given_resource)  # type: ignore[misc]


def _timestamp(nanoseconds: int) -> str:
    """ISO 8601 in UTC, to the microsecond. Not by `datetime`: time-faking libraries replace its classes."""
    from time import gmtime, strftime  # built in: no program has one of its own

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)) + f".{rest // 1000:06d}Z"
