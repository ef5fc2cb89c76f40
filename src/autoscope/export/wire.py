"""Records in, OTLP protobuf bytes out. Written by hand: the official encoder takes 11 to 24 µs a span, this about 0.3.

What never changes for a site (name, kind, `code.*` attributes) is prepared once as bytes, what never changes for a
trace (ids, flags, tracestate) once a trace, so that an ordinary span is one `Struct.pack`. Roots, children of spans that
are not ours, and spans with details take a slower road. Nothing here sends anything; that is `otlp`.

A field is its number and wire type, then its content; the byte before each piece below is the two in one, and its
place in opentelemetry/proto/trace/v1/trace.proto is named beside it. Order of fields is free in protobuf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import TYPE_CHECKING, Any

import autoscope
from autoscope.errors import notice
from autoscope.export.settings import Settings
from autoscope.ours import keep_builtins
from autoscope.runtime import sites
from autoscope.runtime.context import Attached
from autoscope.runtime.spans import Words, epoch_offset, opened

keep_builtins(globals())

if TYPE_CHECKING:
    from autoscope.runtime.sites import Site
    from autoscope.runtime.spans import Details, ExceptionRecord, Record, Trace

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SCOPE_NAME = "autoscope"

# Span.flags, beside the W3C flags in the low byte.
REMOTENESS_KNOWN = 0x100
PARENT_IS_REMOTE = 0x200

_LENGTHS_KEPT = 8
_THREADS_KEPT = 256
_NAMES_KEPT = 1024
_DEPTH = 8
_KIND_INTERNAL = b"\x30\x01"
_STATUS_ERROR = b"\x18\x02"
_SEVERITY_ERROR = b"\x10\x11" + b"\x1a\x05ERROR"

PROBABILITY = "autoscope.sampling.probability"
"""How probable it was that this call is recorded, where not all of its function's are: it stands for the reciprocal of it."""
_SITE_KEYS = frozenset({"code.function.name", "code.file.path", "code.line.number"})
_names: dict[str, bytes] = {}
_words: dict[tuple[str, Words], bytes] = {}
_BYTE = [bytes((number,)) for number in range(0x80)]
_double = Struct("<d").pack
_fixed32 = Struct("<I").pack
_fixed64 = Struct("<Q").pack

Pack = Callable[..., bytes]


class Encoder:
    """Turns records into requests, for one process and one resource. One thread at a time."""

    def __init__(self, resource: Mapping[str, Any], settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.limits = settings.limits
        self.events_wanted = settings.exceptions != "logs"
        self.skipped = 0
        """Records that could not be encoded."""
        self._resource = _message(b"\x0a", _attributes(b"\x0a", resource.items(), None))  # ResourceSpans.resource = 1
        scope = _text(b"\x0a", SCOPE_NAME) + _text(b"\x12", autoscope.__version__)
        self._scope = _message(b"\x0a", scope)  # ScopeSpans.scope = 1
        self._schema = _text(b"\x1a", SCHEMA_URL)  # schema_url = 3, in both
        self._fixed: dict[Site, tuple[bytes, int]] = {}
        self._packs: dict[int, dict[Site, tuple[Pack, bytes]]] = {}
        self._threads: dict[tuple[int, str, int], bytes] = {}

    def encode(self, records: Iterable[Record]) -> bytes:
        """An `ExportTraceServiceRequest`. A record that cannot be encoded is left out and counted in `skipped`."""
        if len(self._fixed) > 2 * len(sites.sites) + 1000:
            # Most are of functions that were woven anew since, and live for nobody else.
            self._fixed.clear()
            self._packs.clear()
        parts: list[bytes] = []
        append = parts.append
        epoch = epoch_offset()
        last_trace: Trace | None = None
        last_parent: Any = None
        outside = True
        shares = sites.shares
        for site, span_id, trace, parent, start, end, details in records:
            try:
                if trace is not last_trace:
                    trace_part = _trace_part(trace, REMOTENESS_KNOWN)
                    packs = self._packs_for(len(trace_part))
                    last_trace = trace
                if parent is not last_parent:
                    parent_id = parent[1].to_bytes(8) if parent else b""
                    outside = begins_here(parent)
                    last_parent = parent
                if outside or details is not None or (shares and site in shares):
                    record = (site, span_id, trace, parent, start, end, details)
                    append(self._encode_slowly(record, trace_part, epoch))
                    continue
                try:
                    pack, head = packs[site]
                except KeyError:
                    pack, head = packs[site] = self._prepare(site, len(trace_part))
                append(
                    pack(head, span_id.to_bytes(8), trace_part, parent_id, b"\x39", start + epoch, b"\x41", end + epoch)
                )
            except Exception as error:
                self._skip(error)
        return self._wrap(b"".join(parts))

    def encode_logs(self, records: Iterable[Record]) -> tuple[bytes, int]:
        """An `ExportLogsServiceRequest` with one log record for every exception, and how many that is."""
        parts: list[bytes] = []
        for _site, span_id, trace, _parent, _start, _end, details in records:
            if details is None or isinstance(details, tuple) or details.exception is None:
                continue
            try:
                parts.append(_message(b"\x12", self._log_record(details.exception, trace, span_id)))  # log_records = 2
            except Exception as error:
                self._skip(error)
        return self._wrap(b"".join(parts)), len(parts)

    def _wrap(self, body: bytes) -> bytes:
        """The envelope: resource, scope, and what is in it. The same for spans and log records."""
        scope_size = len(self._scope) + len(body) + len(self._schema)
        scope_head = b"\x12" + _varint(scope_size)  # ResourceSpans.scope_spans = 2
        size = len(self._resource) + len(scope_head) + scope_size + len(self._schema)
        head = b"\x0a" + _varint(size)  # ExportTraceServiceRequest.resource_spans = 1
        return b"".join((head, self._resource, scope_head, self._scope, body, self._schema, self._schema))

    def _packs_for(self, length: int) -> dict[Site, tuple[Pack, bytes]]:
        """Spans of traces with another length of tracestate have another size; keep a few sizes, not all."""
        packs = self._packs.get(length)
        if packs is None:
            if len(self._packs) >= _LENGTHS_KEPT:
                self._packs.clear()
            packs = self._packs[length] = {}
        return packs

    def _prepare(self, site: Site, trace_length: int) -> tuple[Pack, bytes]:
        """The packer of an ordinary span of this site, and all of its bytes up to the span id.

        Packed: head, span id, trace part, parent id, 0x39 = start_time_unix_nano, 0x41 = end_time_unix_nano.
        """
        fixed, _ = self._fixed_part(site)
        size = len(fixed) + 2 + 8 + trace_length + 8 + 1 + 8 + 1 + 8
        head = b"\x12" + _varint(size) + fixed + b"\x12\x08"  # ScopeSpans.spans = 2; Span.span_id = 2
        return Struct(f"<{len(head)}s8s{trace_length}s8scQcQ").pack, head

    def _fixed_part(self, site: Site) -> tuple[bytes, int]:
        """Name, kind and attributes of a site, and how many attributes."""
        found = self._fixed.get(site)
        if found is None:
            attributes, dropped = _limited(site_attributes(site), self.limits.attributes)
            encoded = _attributes(b"\x4a", attributes.items(), self.limits.attribute_length) + _dropped(dropped)
            found = self._fixed[site] = _text(b"\x2a", site.name) + _KIND_INTERNAL + encoded, len(attributes) + dropped
        return found

    def _encode_slowly(self, record: Record, trace_part: bytes, epoch: int) -> bytes:
        """A root, a child of a span that is not ours, or a span with details."""
        site, span_id, trace, parent, start, end, told = record
        details = opened(told)
        fixed, count = self._fixed_part(site)
        parts = [fixed, b"\x12\x08", span_id.to_bytes(8)]
        outside = begins_here(parent)
        if parent and not outside:
            parts += [trace_part, parent[1].to_bytes(8)]
        elif trace.remote_parent:
            parts += [_trace_part(trace, _remoteness(trace)), trace.remote_parent.to_bytes(8)]
        else:
            parts.append(trace_part[:-2])
        parts += [b"\x39", _fixed64(start + epoch), b"\x41", _fixed64(end + epoch)]
        share = sites.share_of(site, start)
        if details is None and share is None:
            parts.append(self._thread_part(trace, count))
        else:
            parts.append(self._own_attributes(trace if outside else None, details, count, share))
        if details is not None:
            if details.exception is not None and self.events_wanted:
                parts.append(self._event(details.exception, epoch))
            if details.error_type:
                status = _text(b"\x12", details.error_message) if details.error_message else b""
                parts.append(_message(b"\x7a", status + _STATUS_ERROR))  # status = 15
        return _message(b"\x12", b"".join(parts))

    def _thread_part(self, trace: Trace, count: int) -> bytes:
        """All that a root without details has of its own; kept, because there are many roots and few threads."""
        key = (trace.thread_id, trace.thread_name, count)
        found = self._threads.get(key)
        if found is None:
            if len(self._threads) >= _THREADS_KEPT:
                self._threads.clear()
            found = self._threads[key] = self._own_attributes(trace, None, count)
        return found

    def _own_attributes(
        self, root: Trace | None, details: Details | None, count: int, share: float | None = None
    ) -> bytes:
        """Attributes this span has beside its site's, and the number of those there was no room for."""
        limit = self.limits.attributes
        if (
            root is not None
            and details is not None
            and share is None
            and (limit is None or count + len(details.attributes or ()) < limit - 2)
        ):
            return self._thread_part(root, count) + self._own_attributes(None, details, count)  # there is room for all
        attributes, dropped = _limited(
            own_attributes(root, details, share), None if limit is None else max(0, limit - count)
        )
        dropped += 0 if limit is None else max(0, count - limit)
        return _attributes(b"\x4a", attributes.items(), self.limits.attribute_length) + _dropped(dropped)

    def _event(self, exception: ExceptionRecord, epoch: int) -> bytes:
        """The `exception` event of a span."""
        if self.limits.events == 0:
            return b"\x60\x01"  # dropped_events_count = 12
        attributes, dropped = _limited(exception_attributes(exception), self.limits.event_attributes)
        event = b"\x09" + _fixed64(exception.time + epoch) + _text(b"\x12", "exception")
        event += _attributes(b"\x1a", attributes.items(), self.limits.event_attribute_length)
        if dropped:
            event += b"\x20" + _varint(dropped)
        return _message(b"\x5a", event)  # events = 11

    def _log_record(self, exception: ExceptionRecord, trace: Trace, span_id: int) -> bytes:
        when = _fixed64(exception.time + epoch_offset())
        attributes = _attributes(b"\x32", exception_attributes(exception).items(), self.limits.event_attribute_length)
        return b"".join(
            (
                b"\x09" + when,  # time_unix_nano = 1
                _SEVERITY_ERROR,
                attributes,
                b"\x45" + _fixed32(trace.flags & 0xFF),
                b"\x4a\x10" + trace.trace_id.to_bytes(16),
                b"\x52\x08" + span_id.to_bytes(8),
                b"\x59" + when,  # observed_time_unix_nano = 11
                _text(b"\x62", "exception"),  # event_name = 12
            )
        )

    def _skip(self, error: Exception) -> None:
        self.skipped += 1
        notice("span-skipped", f"a span could not be encoded and is lost: {type(error).__name__}: {error}")


def site_attributes(site: Site) -> dict[str, Any]:
    """What every span of a site says about its code."""
    attributes: dict[str, Any] = {"code.function.name": site.name} if site.module else {}
    if site.file:
        attributes["code.file.path"] = site.file
    if site.line:
        attributes["code.line.number"] = site.line
    return attributes


def begins_here(parent: Any) -> bool:
    """Whether a record with this parent is the first span of ours on its way down: none above it, or one that is not ours."""
    return not parent or type(parent) is Attached


def own_attributes(root: Trace | None, details: Details | None, share: float | None = None) -> dict[str, Any]:
    """What one span says beside that: its thread if it begins here (`root` is its trace), how probable it was that its call is
    recorded where not all are (`share`), and its details."""
    attributes: dict[str, Any] = {}
    if root is not None and root.thread_id:
        attributes["thread.id"] = root.thread_id
        attributes["thread.name"] = root.thread_name
    if share is not None:
        attributes[PROBABILITY] = share
    if details is not None:
        if details.error_type:
            attributes["error.type"] = details.error_type
        if details.attributes:
            attributes.update(details.attributes)
            if not _SITE_KEYS.isdisjoint(attributes):  # a key must not come twice: the site's stand
                attributes = {key: value for key, value in attributes.items() if key not in _SITE_KEYS}
    return attributes


def exception_attributes(exception: ExceptionRecord) -> dict[str, str]:
    """What is told about an exception, by the semantic conventions."""
    attributes = {"exception.type": exception.type, "exception.message": exception.message}
    try:
        attributes["exception.stacktrace"] = exception.stacktrace()
    except Exception as error:  # the rest is worth more than nothing
        attributes["exception.stacktrace"] = f"(no stack trace: {type(error).__name__})"
    return attributes


def _trace_part(trace: Trace, remoteness: int) -> bytes:
    """What the spans of one trace share, up to the parent id: Span.flags = 16, trace_id = 1, trace_state = 3."""
    flags = b"\x85\x01" + _fixed32(trace.flags & 0xFF | remoteness)
    state = _text(b"\x1a", trace.tracestate) if trace.tracestate else b""
    return b"".join((flags, state, b"\x0a\x10", trace.trace_id.to_bytes(16), b"\x22\x08"))  # parent_span_id = 4


def _remoteness(trace: Trace) -> int:
    is_remote = parent_is_remote(trace)
    return 0 if is_remote is None else REMOTENESS_KNOWN | PARENT_IS_REMOTE if is_remote else REMOTENESS_KNOWN


def parent_is_remote(trace: Trace) -> bool | None:
    """Whether the parent outside this trace's spans is in another process, or a span of another tracer in this one.

    The OpenTelemetry context the trace began under knows; it is a mapping, and is asked without importing anything.
    None: it is not known.
    """
    if not trace.context:
        return True
    try:
        for value in trace.context.values():
            if hasattr(value, "get_span_context"):
                return bool(value.get_span_context().is_remote)
    except Exception:
        pass  # someone else's object
    return None


def _limited(attributes: dict[str, Any], limit: int | None) -> tuple[dict[str, Any], int]:
    """The first `limit` of them, and how many were left out."""
    if limit is None or len(attributes) <= limit:
        return attributes, 0
    return dict(list(attributes.items())[:limit]), len(attributes) - limit


def _dropped(count: int) -> bytes:
    """Span.dropped_attributes_count = 10. Where it is written twice the later counts."""
    return b"\x50" + _varint(count) if count else b""


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _message(tag: bytes, body: bytes) -> bytes:
    size = len(body)
    return tag + (_BYTE[size] if size < 0x80 else _varint(size)) + body


def _text(tag: bytes, text: str) -> bytes:
    """A string; half a surrogate pair, which UTF-8 has no bytes for, is written as its escape."""
    return _message(tag, str.encode(text, "utf-8", "backslashreplace"))


def _attributes(tag: bytes, attributes: Iterable[tuple[str, Any]], length: int | None) -> bytes:
    """KeyValue messages: key = 1, value = 2."""
    parts = []
    for key, value in attributes:
        name = _names.get(key) or _name(key)
        if type(value) is str and len(value) < 0x70 and length is None and value.isascii():
            size = len(value)
            if len(name) + size < 0x78:  # the common case in one step, what follows it says the same in general
                text = value.encode()
                parts.append(b"%b%c%b\x12%c\x0a%c%b" % (tag, len(name) + size + 4, name, size + 2, size, text))
                continue
        elif type(value) is Words and length is None:
            found = _words.get((key, value))
            if found is None:
                if len(_words) >= _NAMES_KEPT:
                    _words.clear()
                found = _words[key, value] = name + _message(b"\x12", _any_value(value, None))
            parts.append(_message(tag, found))
            continue
        elif type(value) is list:
            items = b"".join([_item(item, length, 1) for item in value])
            size = len(items)
            if len(name) + size < 0x78:
                parts.append(b"%b%c%b\x12%c\x2a%c%b" % (tag, len(name) + size + 4, name, size + 2, size, items))
            else:
                parts.append(_message(tag, name + _message(b"\x12", _message(b"\x2a", items))))
            continue
        parts.append(_message(tag, name + _message(b"\x12", _any_value(value, length))))
    return b"".join(parts)


def _name(key: str) -> bytes:
    """KeyValue.key = 1, kept for the next span: there are few different ones."""
    if len(_names) >= _NAMES_KEPT:
        _names.clear()
    name = _names[key] = _text(b"\x0a", key)
    return name


def _item(value: Any, length: int | None, depth: int) -> bytes:
    """ArrayValue.values = 1; small numbers and short words, which are most, in one step."""
    if type(value) is int and 0 <= value < 1 << 28:
        if value < 0x80:
            return bytes((0x0A, 2, 0x18, value))
        if value < 1 << 14:
            return bytes((0x0A, 3, 0x18, value & 0x7F | 0x80, value >> 7))
        if value < 1 << 21:
            return bytes((0x0A, 4, 0x18, value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
        return bytes(
            (0x0A, 5, 0x18, value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21)
        )
    if type(value) is str and len(value) < 0x70 and length is None and value.isascii():
        size = len(value)
        return b"\x0a%c\x0a%c%b" % (size + 2, size, value.encode())
    return _message(b"\x0a", _any_value(value, length, depth))


def _any_value(value: Any, length: int | None, depth: int = 0) -> bytes:
    """The content of an AnyValue: string 1, bool 2, int 3, double 4, array 5, bytes 7; nothing for None.

    Calls no method a subclass of the program's own may have given its string or number.
    """
    if isinstance(value, str):
        return _text(b"\x0a", value if length is None else str.__getitem__(value, slice(length)))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        number = int.__add__(value, 0)
        if -(1 << 63) <= number < 1 << 63:
            return b"\x18" + _varint(number & 0xFFFF_FFFF_FFFF_FFFF)
        # Python refuses to write very long numbers in decimal.
        return _any_value(str(number) if number.bit_length() < 4096 else hex(number), length)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, (list, tuple)) and depth < _DEPTH:
        return _message(b"\x2a", b"".join([_item(item, length, depth + 1) for item in value]))
    if isinstance(value, (bytes, bytearray)):
        return _message(b"\x3a", bytes(value))
    if value is None:
        return b""
    return _any_value(object.__repr__(value), length)
