"""The bytes on the wire: what the official encoder would have said, field by field."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status as PBStatus
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from otlp_kit import SITE, Site, child, children, failure, frame, new_trace, root, spans_of

import autoscope
from autoscope import errors
from autoscope.export.settings import Limits, Settings
from autoscope.export.wire import SCHEMA_URL, Encoder
from autoscope.runtime.spans import Details, ExceptionRecord, epoch_offset

SITE_KEYS = ("code.function.name", "code.file.path", "code.line.number")
RESOURCE = {"service.name": "shop", "process.pid": 7, "ratio": 0.5, "debug": True}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("AUTOSCOPE_SILENCE", "all")
    monkeypatch.setattr(errors, "notices", [])


def decode(records, resource=RESOURCE, **kwargs):
    """What a server reads."""
    encoder = Encoder(resource, Settings(**kwargs))
    request = ExportTraceServiceRequest.FromString(encoder.encode(records))
    assert 0 == encoder.skipped, errors.notices
    return request


def decode_one(record, **kwargs):
    [span] = spans_of(decode([record], **kwargs))
    return span


def attributes(owner):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in owner.attributes}


def official(records):
    """The same spans as the SDK would hold them, through its encoder."""
    return encode_spans([as_sdk_span(record) for record in records])


def as_sdk_span(record):
    site, span_id, trace, parent, start, end, details = record
    state = TraceState.from_header([trace.tracestate]) if trace.tracestate else None
    flags = TraceFlags(trace.flags)
    above = None
    if parent or trace.remote_parent:
        parent_id = parent[1] if parent else trace.remote_parent
        above = SpanContext(trace.trace_id, parent_id, not parent, flags)
    own = {"code.function.name": f"{site.module}.{site.qualname}"}
    own |= {"code.file.path": site.file} if site.file else {}
    own |= {"code.line.number": site.line} if site.line else {}
    own |= {} if parent else {"thread.id": trace.thread_id, "thread.name": trace.thread_name}
    events, status = [], Status()
    if details is not None:
        own |= {"error.type": details.error_type} if details.error_type else {}
        own |= {key: value for key, value in (details.attributes or {}).items() if key not in SITE_KEYS}
        if details.error_type:
            status = Status(StatusCode.ERROR, details.error_message)
        if exception := details.exception:
            said = {
                "exception.type": exception.type,
                "exception.message": exception.message,
                "exception.stacktrace": exception.stacktrace(),
            }
            events = [Event("exception", said, exception.time + epoch_offset())]
    return ReadableSpan(
        name=site.name,
        context=SpanContext(trace.trace_id, span_id, False, flags, state),
        parent=above,
        resource=Resource(RESOURCE, SCHEMA_URL),
        attributes=own,
        events=events,
        kind=SpanKind.INTERNAL,
        status=status,
        start_time=start + epoch_offset(),
        end_time=end + epoch_offset(),
        instrumentation_scope=InstrumentationScope("autoscope", autoscope.__version__, SCHEMA_URL),
    )


def comparable(request):
    """Without what the SDK leaves out or writes although it is nothing; as bytes, so that NaN equals NaN."""
    for span in spans_of(request):
        span.flags &= ~0xFF  # the SDK omits the W3C flags
        if span.status == PBStatus():
            span.ClearField("status")
    return request.SerializeToString(deterministic=True)


text = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
name = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=140)
number = st.integers(-(2**63), 2**63 - 1)
scalar = st.one_of(text, st.booleans(), number, st.floats())
value = st.one_of(scalar, *(st.lists(kind, max_size=4) for kind in (text, st.booleans(), number, st.floats())))
times = st.integers(0, 2**62)
ids = st.integers(1, 2**64 - 1)


@st.composite
def traces(draw):
    return new_trace(
        remote_parent=draw(st.sampled_from([0, 0, 1, 2**64 - 1])),
        tracestate=draw(st.sampled_from(["", "ot=th:c", "ot=th:c;rv:0123456789abcd,vendor=" + "x" * 150])),
        flags=draw(st.integers(0, 3)),
        thread_id=draw(st.integers(1, 2**63 - 1)),
        thread_name=draw(text),
    )


@st.composite
def details(draw):
    if draw(st.booleans()):
        return None
    made = Details(attributes=draw(st.none() | st.dictionaries(name, value, max_size=5)))
    if draw(st.booleans()):
        made.error_type, made.error_message = draw(name), draw(text)
    if draw(st.booleans()):
        made.exception = ExceptionRecord(draw(text), draw(text), (frame("<made up>", 3, draw(text)),), draw(times))
    return made


@st.composite
def batches(draw):
    sites = [
        Site(draw(name), draw(name), draw(text), draw(st.integers(0, 2**31))) for _ in range(draw(st.integers(1, 3)))
    ]
    batch = []
    for _ in range(draw(st.integers(1, 3))):
        trace = draw(traces())
        parent = (trace, draw(ids))
        for _ in range(draw(st.integers(0, 4))):
            site = draw(st.sampled_from(sites))
            above = draw(st.sampled_from([None, parent, (trace, draw(ids))]))
            batch.append((site, draw(ids), trace, above, draw(times), draw(times), draw(details())))
    return batch


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches())
def test_the_official_encoder_says_the_same(batch):
    """Any records: every field equal, the envelope included."""
    if not batch:
        return

    assert comparable(official(batch)) == comparable(decode(batch))


def test_one_encoder_for_many_batches():
    """What is kept between batches (per site, length of tracestate, thread) never leaks from one into another."""
    encoder = Encoder(RESOURCE)
    sites = [Site(f"f{i}" * (i * 20 + 1)) for i in range(5)]
    for round_ in range(1, 31):
        trace = new_trace(tracestate=f"v={'x' * round_}", thread_name=f"worker-{round_ % 3}")
        batch = [record for site in sites for record in (child(trace, site), root(trace, site))]

        request = ExportTraceServiceRequest.FromString(encoder.encode(batch))

        assert comparable(official(batch)) == comparable(request)


def test_no_records_is_an_empty_request():
    """An envelope without spans is still a message."""
    assert [] == spans_of(decode([]))


def test_the_w3c_flags_are_there():
    """Low byte: W3C flags. Then: whether the parent is remote is known, and whether it is."""
    assert 0x103 == decode_one(child()).flags
    assert 0x103 == decode_one(root()).flags
    assert 0x301 == decode_one(root(new_trace(remote_parent=5, flags=1))).flags


def test_a_parent_of_another_tracer_in_this_process_is_not_remote():
    """The context the trace began under knows; one that can't tell makes it unknown."""

    class Span:
        is_remote = False

        def get_span_context(self):
            return self

    local, remote = Span(), Span()
    remote.is_remote = True

    def flags(context):
        return decode_one(root(new_trace(remote_parent=5, context=context))).flags

    assert [0x103, 0x303, 0x3] == [flags({"span": local}), flags({"span": remote}), flags({"baggage": {}})]


def test_half_a_surrogate_pair_is_escaped_everywhere():
    """UTF-8 has no bytes for it; the span still goes out."""
    bad = "a\udc80"
    record = root(
        new_trace(thread_name=bad, tracestate=bad),
        Site(bad, file=bad),
        Details(bad, bad, ExceptionRecord(bad, bad, (), 1), {bad: bad, "list": [bad]}),
    )

    span = decode_one(record)

    assert "shop.cart.a\\udc80" == span.name
    assert "a\\udc80" == attributes(span)["a\\udc80"] == span.status.message == attributes(span)["thread.name"]


class Text(str):
    def __getitem__(self, item):
        raise AssertionError("the program's own code was called")

    encode = __str__ = __repr__ = __len__ = __getitem__


class Number(int):
    def __add__(self, other):
        raise AssertionError("the program's own code was called")

    __and__ = __repr__ = __str__ = __index__ = __add__


class Odd:
    def __repr__(self):
        raise AssertionError("the program's own code was called")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (2**63, str(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (10**5000, hex(10**5000)),
        (Text("abc"), "abc"),
        (Number(7), 7),
        (-0.0, -0.0),
        (b"\xff", b"\xff"),
        (math.inf, math.inf),
    ],
    ids=["big", "negative", "huge", "text", "number", "zero", "bytes", "infinity"],
)
def test_values_beyond_the_ordinary(given, expected):
    """Numbers that do not fit become text; subclasses are taken for what they are, none of their methods called."""
    assert expected == attributes(decode_one(child(details=Details(attributes={"v": given}))))["v"]
    assert expected == attributes(decode_one(child(details=Details(attributes={"v": given})), limits=Limits()))["v"]


def test_objects_and_lists_without_end():
    """What should not be there does no harm."""
    endless = []
    endless.append(endless)

    span = decode_one(child(details=Details(attributes={"odd": Odd(), "endless": endless, "none": None})))

    values = {pair.key: pair.value for pair in span.attributes}
    assert "Odd object at" in values["odd"].string_value
    assert values["endless"].HasField("array_value")
    assert values["none"].WhichOneof("value") is None


def test_attributes_are_counted_to_the_limit():
    """The first so many are kept, of the site's as of the span's own, and the number of the others is told."""
    record = root(details=Details(attributes={"a": 1, "b": 2}))
    everything = list(attributes(decode_one(record)))

    for limit in (None, 128, 7, 6, 5, 4, 3, 2, 1, 0):
        span = decode_one(record, limits=Limits(attributes=limit))

        kept = 7 if limit is None else min(limit, 7)
        assert (everything[:kept], 7 - kept) == (list(attributes(span)), span.dropped_attributes_count)

    plain = decode_one(child(), limits=Limits(attributes=1))
    assert (["code.function.name"], 2) == (list(attributes(plain)), plain.dropped_attributes_count)


def test_values_are_cut_to_the_limit():
    """Text, and text in lists."""
    record = child(details=Details(attributes={"long": "abcdef", "list": ["abcdef"], "number": 123456}))

    span = decode_one(record, limits=Limits(attribute_length=3))

    found = attributes(span)
    assert ("abc", 123456, "sho") == (found["long"], found["number"], found["code.function.name"])
    assert "abc" == found["list"].values[0].string_value


def test_limits_of_events():
    """None at all, fewer attributes, shorter attributes."""
    record = child(details=failure("a long message"))

    none = decode_one(record, limits=Limits(events=0))
    assert ([], 1) == (list(none.events), none.dropped_events_count)
    few = decode_one(record, limits=Limits(event_attributes=1)).events[0]
    assert (["exception.type"], 2) == (list(attributes(few)), few.dropped_attributes_count)
    short = decode_one(record, limits=Limits(event_attribute_length=6)).events[0]
    assert "a long" == attributes(short)["exception.message"]


def test_a_builtin_has_no_place():
    """No file and no line are left out, not sent empty."""
    assert ["code.function.name"] == list(attributes(decode_one(child(site=Site(file="", line=0)))))


def test_a_stack_trace_that_cannot_be_made():
    """The exception is told all the same."""

    class Broken(ExceptionRecord):
        def stacktrace(self):
            raise RecursionError

    record = child(details=Details("E", "m", Broken("E", "m", (), 1)))

    assert "(no stack trace: RecursionError)" == attributes(decode_one(record).events[0])["exception.stacktrace"]


def test_a_record_that_cannot_be_encoded_is_left_out_alone():
    """Its neighbours arrive, it is counted and said once."""
    good = child()
    bad = (SITE, 2**64, good[2], good[3], 1, 2, None)
    worse = (SITE, *["nonsense"] * 6)
    encoder = Encoder(RESOURCE)

    request = ExportTraceServiceRequest.FromString(encoder.encode([good, bad, worse, good]))

    assert (2, 2) == (len(spans_of(request)), encoder.skipped)
    assert {"span-skipped"} == {slug for slug, _ in errors.notices}


def test_exceptions_as_log_records():
    """Opted in: the log record has what the event had, at the same time, beside its span."""
    record = child(details=failure())
    batch = [child(), record, child(details=Details(error_type="passes by"))]
    encoder = Encoder(RESOURCE, Settings(exceptions="logs"))

    spans = spans_of(ExportTraceServiceRequest.FromString(encoder.encode(batch)))
    body, count = encoder.encode_logs(batch)

    assert not any(span.events for span in spans)
    request = ExportLogsServiceRequest.FromString(body)
    [log] = [log for rl in request.resource_logs for sl in rl.scope_logs for log in sl.log_records]
    event = decode_one(record).events[0]
    assert 1 == count
    assert attributes(event) == attributes(log)
    assert event.time_unix_nano == log.time_unix_nano == log.observed_time_unix_nano
    assert ("exception", "ERROR", 17, 3) == (log.event_name, log.severity_text, log.severity_number, log.flags)
    assert record[2].trace_id.to_bytes(16, "big") == log.trace_id
    assert record[1].to_bytes(8, "big") == log.span_id
    assert decode([]).resource_spans[0].resource == request.resource_logs[0].resource
    assert ("autoscope", SCHEMA_URL) == (
        request.resource_logs[0].scope_logs[0].scope.name,
        request.resource_logs[0].scope_logs[0].schema_url,
    )


def test_both_ways_of_telling_an_exception():
    """`logs/dup`: the event stays."""
    encoder = Encoder(RESOURCE, Settings(exceptions="both"))

    request = ExportTraceServiceRequest.FromString(encoder.encode([child(details=failure())]))

    assert 1 == len(spans_of(request)[0].events)
    assert 1 == encoder.encode_logs([child(details=failure())])[1]


def test_an_ordinary_batch_is_small():
    """About 200 bytes a span: names, places, ids and times, and nothing else."""
    batch = children(512)

    assert len(Encoder(RESOURCE).encode(batch)) < 512 * 220
