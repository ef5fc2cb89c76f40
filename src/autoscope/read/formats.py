"""A run in the formats of other tools: functions from a `Run` to pieces of text, so that long runs need little memory.

otlp-json   what an OpenTelemetry collector or backend takes: every span
chrome      for chrome://tracing and ui.perfetto.dev: every span, on its thread
speedscope  for speedscope.app: own time along call paths
collapsed   for flamegraph.pl and inferno: `a;b;c 1200`, own nanoseconds
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from autoscope.read.functions import LOST, Path, read_places, read_tree

if TYPE_CHECKING:
    from autoscope.read.runs import Event, Process, Run, Span

# -- OTLP


def write_otlp_json(run: Run) -> Iterator[str]:
    """One `TracesData` message in OTLP's JSON: ids in hexadecimal, 64-bit numbers as strings."""
    yield '{"resourceSpans": ['
    for number, process in enumerate(run.processes):
        resource = json.dumps({"attributes": _attributes(process.meta.get("resource", {}))})
        version = process.meta.get("process", {}).get("autoscope", "")
        scope = json.dumps({"name": "autoscope", "version": version})
        yield "," * bool(number) + f'\n{{"resource": {resource}, "scopeSpans": [{{"scope": {scope}, "spans": ['
        events = run.events_of(process)
        for place, span in enumerate(run.spans_of(process)):
            yield "," * bool(place) + "\n" + json.dumps(_otlp_span(span, events.get(span.span_id, [])))
        yield "]}]}"
    yield "]}\n"


def _otlp_span(span: Span, events: list[Event]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": f"{span.trace_id:032x}",
        "spanId": f"{span.span_id:016x}",
        "flags": span.flags & 0xFF,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.start_ns + span.duration_ns),
        "attributes": _attributes(span_attributes(span)),
    }
    if span.parent_id:
        found["parentSpanId"] = f"{span.parent_id:016x}"
    if span.tracestate:
        found["traceState"] = span.tracestate
    if span.error_type:
        found["status"] = {"code": 2, "message": span.error_message}
    if events:
        found["events"] = [
            {"timeUnixNano": str(event.time_ns), "name": event.name, "attributes": _attributes(event.attributes)}
            for event in events
        ]
    return found


def span_attributes(span: Span) -> dict[str, Any]:
    """All of a span's attributes under the names they have on the wire."""
    attributes: dict[str, Any] = {"code.function.name": span.name}
    if span.file:
        attributes["code.file.path"] = span.file
    if span.line:
        attributes["code.line.number"] = span.line
    if span.begins_here and span.thread_id:
        attributes |= {"thread.id": span.thread_id, "thread.name": span.thread_name}
    if span.error_type:
        attributes["error.type"] = span.error_type
    return attributes | span.attributes


def _attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in attributes.items()]


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {} if value is None else {"stringValue": str(value)}


# -- Chrome's trace events


def write_chrome(run: Run) -> Iterator[str]:
    """Complete events (`ph: X`), microseconds. What overlaps on a thread, as tasks do, is put on lanes beside it."""
    yield '{"displayTimeUnit": "ns", "traceEvents": [\n'
    first = True
    for process in run.processes:
        lanes = _Lanes()
        for span in run.spans_of(process):
            event = {
                "name": span.name,
                "cat": "error" if span.error_type else span.kind,
                "ph": "X",
                "ts": span.start_ns / 1000,
                "dur": span.duration_ns / 1000,
                "pid": process.pid,
                "tid": lanes.place(span),
                "args": span_attributes(span),
            }
            yield ("" if first else ",\n") + json.dumps(event)
            first = False
        for tid, name in lanes.names.items():
            args = {"name": name}
            yield ",\n" + json.dumps({"name": "thread_name", "ph": "M", "pid": process.pid, "tid": tid, "args": args})
    yield "\n]}\n"


class _Lanes:
    """Where each span of a process is drawn: a lane holds only spans that contain each other or follow each other."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._open: list[list[int]] = []
        """Lane -> ends of the spans that are open on it, outermost first."""
        self._of_thread: dict[int, list[int]] = {}
        self._of_span: dict[int, int] = {}

    def place(self, span: Span) -> int:
        mine = self._of_thread.setdefault(span.thread_id, [])
        above = self._of_span.get(span.parent_id)
        lane = self._fitting(span, above, mine)
        if lane is None:
            lane = len(self._open)
            self._open.append([])
            self.names[lane] = (span.thread_name or "thread") + (f" #{len(mine) + 1}" if mine else "")
            mine.append(lane)
        self._open[lane].append(span.start_ns + span.duration_ns)
        self._of_span[span.span_id] = lane
        return lane

    def _fitting(self, span: Span, above: int | None, mine: list[int]) -> int | None:
        """The parent's lane if the span lies within what is open there, else an idle one of its thread."""
        if above is not None and self._has_room(above, span):
            return above
        for lane in mine:
            if self._has_room(lane, span) and not self._open[lane]:
                return lane
        return None

    def _has_room(self, lane: int, span: Span) -> bool:
        ends = self._open[lane]
        while ends and ends[-1] <= span.start_ns:
            ends.pop()
        return not ends or ends[-1] >= span.start_ns + span.duration_ns


# -- call paths


def _paths(run: Run) -> Iterator[tuple[Process, list[tuple[tuple[str, ...], int]]]]:
    """For every process the ways functions called each other, as names from the root, with own nanoseconds."""

    def ask(connection: Any, process: Process) -> tuple[Process, list[tuple[tuple[str, ...], int]]]:
        places = read_places(connection)
        tree = read_tree(connection, places)
        names: dict[Path, tuple[str, ...]] = {tree.root: ()}
        for path in tree.paths:  # parents come first
            if path.parent is not None:
                names[path] = (*names[path.parent], places.get(path.site, LOST).name)
        return process, [(names[path], max(round(path.own_ns), 0)) for path in tree.paths]

    yield from run.ask(ask)


def write_collapsed(run: Run) -> Iterator[str]:
    """One line a call path, all processes together."""
    sums: dict[tuple[str, ...], int] = {}
    for _, paths in _paths(run):
        for names, own_ns in paths:
            sums[names] = sums.get(names, 0) + own_ns
    for names, own_ns in sorted(sums.items()):
        if own_ns:
            yield ";".join(name.replace(";", ":") for name in names) + f" {own_ns}\n"


def write_speedscope(run: Run) -> Iterator[str]:
    """One sampled profile a process, each call path a sample that weighs its own time."""
    frames: dict[str, int] = {}
    profiles = []
    for process, paths in _paths(run):
        kept = [(names, own_ns) for names, own_ns in paths if own_ns]
        profiles.append(
            {
                "type": "sampled",
                "name": f"process {process.pid}",
                "unit": "nanoseconds",
                "startValue": 0,
                "endValue": sum(own_ns for _, own_ns in kept),
                "samples": [[frames.setdefault(name, len(frames)) for name in names] for names, _ in kept],
                "weights": [own_ns for _, own_ns in kept],
            }
        )
    yield json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": "autoscope",
            "name": f"run {run.id}",
            "activeProfileIndex": 0,
            "shared": {"frames": [{"name": name} for name in frames]},
            "profiles": profiles,
        }
    )
    yield "\n"


FORMATS: dict[str, Callable[[Run], Iterator[str]]] = {
    "otlp-json": write_otlp_json,
    "chrome": write_chrome,
    "speedscope": write_speedscope,
    "collapsed": write_collapsed,
}
