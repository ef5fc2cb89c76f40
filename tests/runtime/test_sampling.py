"""Which calls are recorded and under whom: whole traces by rate, single functions thinned, parents from outside followed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import random
import sqlite3
import textwrap
import threading
from collections import Counter
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace._sampling_experimental._trace_state import OtelTraceState
from opentelemetry.sdk.trace._sampling_experimental._util import MAX_THRESHOLD, calculate_threshold
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from autoscope.control.live import Live
from autoscope.export import bridge
from autoscope.export.console import ConsoleExporter
from autoscope.export.settings import Settings
from autoscope.export.store import StoreExporter, new_run_id
from autoscope.export.wire import Encoder
from autoscope.plan.model import FunctionRule
from autoscope.plan.resolve import resolve_mapping
from autoscope.read.formats import span_attributes
from autoscope.read.runs import open_run
from autoscope.runtime import context, sampling, sites
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver
from program_kit import run

SHAPES = {"lean": ("bytecode", False), "full": ("bytecode", True), "source": ("ast", False)}
if not weaver.BYTECODE:
    SHAPES = {"source": ("ast", False)}
RANDOMNESS = (1 << 56) - 1
"""The bits of a trace id that consistent samplers compare with their threshold."""


@pytest.fixture(params=SHAPES)
def weave(request):
    """Weaves a program in this process, in each of the shapes a woven function can have."""
    path, capture = SHAPES[request.param]

    def weave(source, **plan):
        settled = resolve_mapping(
            {"strategy": "full_trace", "include": ["program"], "capture": {"args": capture, "return": capture}} | plan,
            environ={},
        )
        weaver = Weaver(settled)
        weaver.path = path
        weave.weaver = weaver
        sampling.set_rate(settled.sampling.rate)
        module = ModuleType("program")
        source = textwrap.dedent(source)
        code = weaver.module_code(compile(source, "<program>", "exec", dont_inherit=True), "program", lambda: source)
        exec(code, module.__dict__)
        return module

    return weave


class Seen(NamedTuple):
    """A recorded call."""

    name: str
    parent: str | None
    """Name of its parent, "?" for one that was not recorded."""
    trace: Any
    span: int
    parent_id: int


def seen():
    """Every recorded call, in the order they ended."""
    names = {record[1]: record[0].qualname for record in sites.recorded()}
    assert len(names) == len(sites.recorded()), "one span was recorded twice"
    return [
        Seen(record[0].qualname, parent and names.get(parent[1], "?"), record[2], record[1], parent and parent[1])
        for record in sites.recorded()
        for parent in [record[3] or None]
    ]


def family():
    """{(name, parent's name): how many}"""
    return Counter((call.name, call.parent) for call in seen())


TREE = """
    def leaf(): return 1
    def branch():
        leaf()
        return leaf()
    def root():
        branch()
        return branch()
    def many(count):
        for _ in range(count): root()
"""
WHOLE = {("leaf", "branch"): 4, ("branch", "root"): 2, ("root", None): 1}


def within(count, total, share):
    """Whether a share of independent decisions is what it should be, to six standard deviations."""
    return abs(count - total * share) <= 6 * (total * share * (1 - share)) ** 0.5


# -- whole traces, by rate


@pytest.mark.parametrize("rate", [0.5, 0.1, 1 / 3, 0.999])
def test_a_share_of_whole_traces(weave, rate):
    """About this share of roots, each with all of its children, and the rest without any; what is left out is counted."""
    program = weave(TREE, sampling={"rate": rate}, modules={"program": {"functions": {"many": {"level": "off"}}}})
    program.many(3000)
    calls = family()
    roots = calls[("root", None)]
    assert within(roots, 3000, rate)
    assert calls == {pair: count * roots for pair, count in WHOLE.items()}
    assert sites.counters.sampled_out == 3000 - roots
    assert context.get() is None


def test_all_and_nothing(weave):
    """At 1 everything, at 0 nothing at all, whatever happens in it; and the rate can change in between."""
    program = weave(TREE, modules={"program": {"functions": {"many": {"level": "off"}}}})
    program.many(50)
    assert family() == {pair: 50 * count for pair, count in WHOLE.items()}
    assert sites.counters.sampled_out == 0
    sites.records.clear()
    sampling.set_rate(0.0)
    program.many(50)
    assert (sites.records, sites.counters.sampled_out) == ([], 50)
    sampling.set_rate(1.0)
    program.many(1)
    assert family() == WHOLE


def test_nothing_of_a_trace_that_is_left_out(weave):
    """Errors, generators, tasks: what runs in a trace that was decided against is not recorded either, nor does it decide anew."""
    program = weave(
        """
        import asyncio
        def leaf(): return 1
        def fail(): raise ValueError
        def count():
            leaf()
            yield leaf()
        async def step(): leaf()
        async def produce(): yield leaf()
        async def main():
            try: fail()
            except ValueError: pass
            list(count())
            async for _ in produce(): leaf()
            await asyncio.gather(step(), step())
            await asyncio.create_task(step())
            await asyncio.to_thread(leaf)
        def run(): asyncio.run(main())
        """,
        sampling={"rate": 0},
    )
    program.run()
    assert (sites.records, sites.counters.sampled_out) == ([], 1)


def test_the_rate_changes_between_traces_only(weave):
    """A trace in progress goes on as it began."""
    program = weave("""
        def leaf(): return 1
        def root(change, rate):
            leaf()
            change(rate)
            leaf()
    """)
    program.root(sampling.set_rate, 0.0)
    assert family() == {("leaf", "root"): 2, ("root", None): 1}
    sites.records.clear()
    program.root(sampling.set_rate, 1.0)
    assert not sites.records
    program.leaf()
    assert family() == {("leaf", None): 1}


def test_ids_are_random_and_unique(weave):
    """Every trace has an id of its own whose last 56 bits are evenly spread: samplers further on rely on it."""
    program = weave(TREE, modules={"program": {"functions": {"many": {"level": "off"}}}})
    program.many(2000)
    traces = {call.trace.trace_id for call in seen()}
    assert len(traces) == 2000
    for bit in range(56):
        assert within(sum(trace >> bit & 1 for trace in traces), 2000, 0.5)
    assert all(call.trace.flags == 3 for call in seen()), "sampled, and random"
    assert all(0 < call.span < 1 << 64 for call in seen())


def test_a_program_that_seeds_random_sees_its_own_numbers(weave):
    """Our decisions are not taken from the program's generator, and seeding it does not repeat our ids."""
    program = weave(TREE, sampling={"rate": 0.5})
    traces = []
    for _ in range(2):
        random.seed(5)
        expected = random.random()
        random.seed(5)
        for _ in range(20):
            program.root()
        assert random.random() == expected
        traces.append({call.trace.trace_id for call in seen()})
        sites.records.clear()
    assert not traces[0] & traces[1]


# -- the rate, told


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        # As in the specification, "TraceState: Probability Sampling".
        (1.0, "ot=th:0"),
        (0.5, "ot=th:8"),
        (0.25, "ot=th:c"),
        (0.75, "ot=th:4"),
        (0.01, "ot=th:fd70a3d70a3d71"),
        (0.1, "ot=th:e6666666666666"),
        (2**-56, "ot=th:ffffffffffffff"),
        (2**-57, ""),
        (0.0, ""),
    ],
)
def test_the_tracestate_of_a_rate(rate, expected):
    """The rejection threshold: 56 bits in hexadecimal, zeros at the end cut; nothing where nothing is recorded."""
    sampling.set_rate(rate)
    assert sampling.tracestate == expected


@given(st.floats(0, 1))
def test_the_tracestate_of_any_rate(rate):
    """What the SDK's own consistent sampler computes, and what it reads out of what we write."""
    sampling.set_rate(rate)
    threshold = calculate_threshold(rate)
    assert sampling.rejected == threshold
    told = OtelTraceState.parse(otel.TraceState.from_header([sampling.tracestate]) if sampling.tracestate else None)
    if threshold == MAX_THRESHOLD:
        assert sampling.tracestate == ""
    else:
        assert told.threshold == threshold
        assert sampling.tracestate == "ot=th:0" or not sampling.tracestate.endswith("0")
    sampling.set_rate(1.0)


@pytest.mark.parametrize("rate", [0.5, 1 / 3, 0.07])
def test_what_was_decided_is_what_the_tracestate_says(weave, tracer, rate):
    """Recorded exactly where the id's last 56 bits reach the threshold that is told: any consistent sampler would say the same."""
    program = weave(
        """
        def inner(note): note()
        def root(note): inner(note)
        """,
        sampling={"rate": rate},
    )
    met = []
    for _ in range(400):
        program.root(lambda: met.append(otel.get_current_span().get_span_context()))
    recorded = {call.trace.trace_id for call in seen()}
    threshold = int(sampling.tracestate.removeprefix("ot=th:").ljust(14, "0"), 16)
    assert len({found.trace_id for found in met}) == 400
    for found in met:
        chosen = found.trace_id & RANDOMNESS >= threshold
        assert found.is_valid
        assert found.trace_flags.sampled == chosen == (found.trace_id in recorded)
        assert found.trace_flags & 2, "its randomness is told"
        assert found.trace_state.to_header() == (sampling.tracestate if chosen else "")
    assert {call.trace.tracestate for call in seen()} == {sampling.tracestate}
    assert within(len(recorded), 400, rate)


def test_the_rate_reaches_the_store(tmp_path):
    """From the plan to what can be read afterwards."""
    text = """
        def work(): return 1
        def main(): work()
        for _ in range(300): main()
    """
    ran = run(tmp_path, text, strategy="full_trace", env={"AUTOSCOPE_RATE": "0.5"})
    ran.whole()
    mains = len(ran.named("main"))
    assert within(mains, 300, 0.5)
    assert len(ran.named("work")) == mains
    assert {span.tracestate for span in ran.spans} == {"ot=th:8"}
    assert all(span.trace_id & RANDOMNESS >= 1 << 55 for span in ran.spans)
    assert ran.meta["counters"]["sampled_out"] == 300 - mains


# -- single functions, thinned


def thin(name, rate):
    return {"program": {"functions": {name: {"rate": rate}}}}


def test_a_function_that_is_left_out(weave):
    """Only its own spans are missing; its children are children of whoever is recorded above it."""
    program = weave(TREE, modules=thin("branch", 0))
    program.root()
    assert family() == {("leaf", "root"): 4, ("root", None): 1}
    sites.records.clear()
    program.branch()
    assert family() == {("leaf", None): 2}, "nobody above it: each begins a trace"


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_a_function_that_is_thinned(weave, rate):
    """About this share of its calls, call by call; everything else is complete and hangs where it should."""
    program = weave(TREE, modules=thin("branch", rate))
    program.many(1000)
    calls = family()
    branches = calls[("branch", "root")]
    assert within(branches, 2000, rate)
    assert calls == {
        ("branch", "root"): branches,
        ("leaf", "branch"): 2 * branches,
        ("leaf", "root"): 2 * (2000 - branches),
        ("root", "many"): 1000,
        ("many", None): 1,
    }


def test_thinned_and_sampled(weave):
    """The rate of a function is a share of its calls in recorded traces: of the others there is nothing."""
    program = weave(TREE, sampling={"rate": 0.5}, modules=thin("leaf", 0.5))
    for _ in range(1000):
        program.root()
    calls = family()
    roots = calls[("root", None)]
    assert calls[("branch", "root")] == 2 * roots
    assert within(roots, 1000, 0.5)
    assert within(calls[("leaf", "branch")], 4 * roots, 0.5)
    assert set(calls) == set(WHOLE)


def test_generators_and_coroutines_are_thinned_too(weave):
    """A generator or coroutine that is left out is nobody's parent, at any of its steps."""
    program = weave(
        """
        import asyncio
        def leaf(): return 1
        def count():
            for _ in range(3): yield leaf()
        async def produce():
            for _ in range(3): yield leaf()
        async def wait():
            leaf()
            await asyncio.sleep(0)
            leaf()
        async def main():
            for _ in count(): leaf()
            async for _ in produce(): leaf()
            await wait()
        def run(): asyncio.run(main())
        """,
        modules={"program": {"functions": {name: {"rate": 0} for name in ("count", "produce", "wait")}}},
    )
    program.run()
    assert family() == {("leaf", "main"): 14, ("main", "run"): 1, ("run", None): 1}


def test_spans_of_the_programs_own_below_a_thinned_call(weave, tracer):
    """They hang under the nearest recorded call, and what is below them under them."""
    program = weave(
        """
        def leaf(): return 1
        def branch(tracer):
            with tracer.start_as_current_span("by hand"): leaf()
        def root(tracer): branch(tracer)
        """,
        modules=thin("branch", 0),
    )
    program.root(tracer)
    (by_hand,) = tracer.spans()
    leaf, root = seen()
    assert (leaf.name, root.name) == ("leaf", "root")
    assert by_hand.parent.span_id == root.span
    assert leaf.parent_id == by_hand.context.span_id
    assert leaf.trace.trace_id == by_hand.context.trace_id == root.trace.trace_id


def test_a_rate_changed_live(weave):
    """`update(rate=…)` is in force at the next call, both ways."""
    program = weave(TREE)
    for rate, expected in ((0.0, {("leaf", "root"): 4, ("root", None): 1}), (1.0, WHOLE)):
        assert Live(weave.weaver).change("program.branch", FunctionRule(rate=rate))[1] == 1
        sites.records.clear()
        program.root()
        assert family() == expected


# -- parents from elsewhere

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
APPLICATION = """
    def leaf(tracer):
        with tracer.start_as_current_span("query"): return 1
    def request(tracer): return leaf(tracer)
"""


@pytest.fixture
def remote(tracer):
    """Attaches the parent a request brought along, as instrumentations of servers do."""
    tokens = []

    def remote(flags, tracestate=""):
        carrier = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": tracestate}
        tokens.append(otel_context.attach(TraceContextTextMapPropagator().extract(carrier)))

    yield remote
    for token in reversed(tokens):
        otel_context.detach(token)
    assert not otel_context.get_current()


def injected():
    """What would be sent to the next service from here."""
    carrier = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier


@pytest.mark.parametrize("rate", [0.0, 1.0])
@pytest.mark.parametrize("tracestate", ["", "ot=th:c,vendor=value"])
@pytest.mark.parametrize("flags", ["01", "03"])
def test_a_sampled_remote_parent_is_followed(weave, tracer, remote, rate, tracestate, flags):
    """Recorded whatever our own rate: the same trace, its parent there, its flags and tracestate handed on."""
    program = weave(APPLICATION, sampling={"rate": rate})
    remote(flags, tracestate)
    program.request(tracer)
    leaf, request = seen()
    assert (leaf.name, request.name) == ("leaf", "request")
    assert request.trace.trace_id == leaf.trace.trace_id == int(TRACE, 16)
    assert request.parent_id == int(PARENT, 16)
    assert leaf.parent_id == request.span
    assert request.trace.tracestate == tracestate
    assert request.trace.flags == int(flags)
    (query,) = tracer.spans()
    assert query.context.trace_id == int(TRACE, 16)
    assert query.parent.span_id == leaf.span
    # Left as it was found.
    assert injected()["traceparent"] == f"00-{TRACE}-{PARENT}-{flags}"


@pytest.mark.parametrize("flags", ["00", "02"])
def test_an_unsampled_remote_parent_is_followed(weave, tracer, remote, flags):
    """Nothing is recorded whatever our own rate, of the program's spans neither, and the next service is told the same."""
    program = weave(APPLICATION)
    remote(flags)
    program.request(tracer)
    assert sites.records == []
    assert tracer.spans() == ()
    assert sites.counters.sampled_out == 0, "it was not ours to decide"
    assert injected()["traceparent"] == f"00-{TRACE}-{PARENT}-{flags}"


def test_each_request_by_itself(weave, tracer):
    """Sampled and unsampled requests next to each other, in tasks of one server."""
    program = weave("def leaf(): return 1")

    def parent(number, flags):
        carrier = {"traceparent": f"00-{number:032x}-{PARENT}-{flags}"}
        return lambda: otel_context.attach(TraceContextTextMapPropagator().extract(carrier))

    attaches = [parent(number, "01" if number % 2 else "00") for number in range(1, 9)]

    async def serve():
        await asyncio.gather(*(one(attach) for attach in attaches))

    async def one(attach):
        attach()
        await asyncio.sleep(0)
        program.leaf()

    asyncio.run(serve())
    assert sorted(call.trace.trace_id for call in seen()) == [1, 3, 5, 7]
    assert {call.parent_id for call in seen()} == {int(PARENT, 16)}


def test_the_programs_spans_follow_our_root(weave, tracer):
    """Below a root that was decided against they are not sampled, and a trace of ours goes on in theirs."""
    program = weave(APPLICATION, sampling={"rate": 0})
    program.request(tracer)
    assert tracer.spans() == ()
    assert sites.records == []
    sampling.set_rate(1.0)
    program.request(tracer)
    (query,) = tracer.spans()
    leaf = seen()[0]
    assert (query.context.trace_id, query.parent.span_id) == (leaf.trace.trace_id, leaf.span)
    assert query.context.trace_state.to_header() == "ot=th:0"


def test_an_unsampled_trace_is_told_on(weave, tracer):
    """What is sent to the next service from a trace that was decided against: one id, valid, not sampled."""
    program = weave(
        """
        def leaf(note): note()
        def root(note):
            note()
            leaf(note)
            note()
        """,
        sampling={"rate": 0},
    )
    sent = []
    program.root(lambda: sent.append(injected()["traceparent"]))
    assert len(set(sent)) == 1
    version, trace, span, flags = sent[0].split("-")
    assert (version, flags) == ("00", "02")
    assert int(trace, 16)
    assert int(span, 16)
    assert injected() == {}


def test_a_span_of_the_programs_own_is_a_parent(weave, tracer):
    """Sampled or not: its trace, its decision."""
    program = weave(TREE, sampling={"rate": 0})
    with tracer.start_as_current_span("by hand") as span:
        program.root()
        assert family() == {("leaf", "branch"): 4, ("branch", "root"): 2, ("root", "?"): 1}
        root = seen()[-1]
        assert (root.trace.trace_id, root.parent_id) == (
            span.get_span_context().trace_id,
            span.get_span_context().span_id,
        )
    sites.records.clear()
    sampling.set_rate(1.0)
    unsampled = otel.NonRecordingSpan(otel.SpanContext(1, 2, False, otel.TraceFlags(0)))
    with otel.use_span(unsampled):
        program.root()
    assert sites.records == []
    program.root()
    assert family() == WHOLE


@pytest.mark.parametrize("is_remote", [True, False])
def test_remoteness_is_told_on_the_wire(weave, tracer, is_remote):
    """`Span.flags` says of a parent from outside whether it is in another process, and of our own that they are not."""
    program = weave("""
        def leaf(): return 1
        def root(): return leaf()
    """)
    parent = otel.NonRecordingSpan(otel.SpanContext(1, 2, is_remote, otel.TraceFlags(1)))
    for _ in range(2):
        with otel.use_span(parent):
            program.root()
    request = ExportTraceServiceRequest.FromString(Encoder({}).encode(sites.recorded()))
    spans = request.resource_spans[0].scope_spans[0].spans
    assert [(span.name, span.flags) for span in spans] == [
        ("program.leaf", 0x101),
        ("program.root", 0x301 if is_remote else 0x101),
    ] * 2
    assert {int.from_bytes(span.parent_span_id) for span in spans if span.name == "program.root"} == {2}


@pytest.mark.parametrize("parent", ["none", "remote", "local"])
def test_a_root_of_this_process_is_told_alike_everywhere(weave, tracer, parent, tmp_path):
    """On the wire, to the application's processors, on the console and in the store: its thread on the first span of ours,
    whatever is above it, and on no other; its parent is remote only where it is."""
    program = weave("""
        def leaf(fail):
            if fail: raise ValueError("no")
        def root(fail): leaf(fail)
    """)
    above = otel.NonRecordingSpan(otel.SpanContext(1, 2, parent == "remote", otel.TraceFlags(1)))
    for fail in (False, True):
        with otel.use_span(above) if parent != "none" else contextlib.nullcontext():
            try:
                program.root(fail)
            except ValueError:
                pass
    records = sites.recorded()
    thread = {"thread.id": threading.get_ident(), "thread.name": threading.current_thread().name}
    expected = {"program.leaf": {}, "program.root": thread}

    def threads(spans):
        assert len(spans) == 4
        for name, attributes in spans:
            assert {key: value for key, value in attributes.items() if key.startswith("thread.")} == expected[name]

    request = ExportTraceServiceRequest.FromString(Encoder({}).encode(records))
    wire = request.resource_spans[0].scope_spans[0].spans
    threads([(span.name, _wire_attributes(span)) for span in wire])
    provider = TracerProvider()
    spans = [bridge.Bridge(provider).readable(record) for record in records]
    provider.shutdown()
    threads([(span.name, dict(span.attributes)) for span in spans])
    threads(
        [
            (line["name"], line["attributes"])
            for line in (ConsoleExporter(Settings(), {})._describe(record, 0) for record in records)
        ]
    )
    store = StoreExporter(str(tmp_path), run_id=new_run_id(), resource={}, info={})
    store.export(records)
    store.close()
    run = open_run(str(tmp_path))
    threads([(span.name, span_attributes(span)) for span in run.spans()])
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        rows = connection.execute("SELECT SpanName, SpanAttributes FROM otel_traces").fetchall()
    threads([(name, json.loads(attributes)) for name, attributes in rows])
    remote = {"none": None, "remote": True, "local": False}[parent]
    found = {(span.name, span.parent and span.parent.is_remote, span.context.is_remote) for span in spans}
    assert found == {("program.leaf", False, False), ("program.root", remote, False)}
    flags = {"none": 0x103, "remote": 0x301, "local": 0x101}[parent]
    assert {span.flags for span in wire if span.name == "program.root"} == {flags}


def _wire_attributes(span):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


# -- tasks and threads


CONCURRENT = """
    import asyncio, threading
    from concurrent.futures import ThreadPoolExecutor
    def leaf(): return 1
    async def step(number):
        leaf()
        await asyncio.sleep(0)
        leaf()
        return number
    async def gather(): return await asyncio.gather(step(1), step(2), step(3))
    async def tasks():
        first = asyncio.create_task(step(1))
        leaf()
        await asyncio.sleep(0)
        leaf()
        await first
    async def group():
        async with asyncio.TaskGroup() as all_of_them:
            all_of_them.create_task(step(1))
            all_of_them.create_task(step(2))
    async def thread(): await asyncio.to_thread(leaf)
    async def executor(): await asyncio.get_running_loop().run_in_executor(None, leaf)
    async def callbacks():
        asyncio.get_running_loop().call_soon(leaf)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    kept = []
    async def start(): kept.append(asyncio.create_task(step(1)))
    async def outlives():
        await start()
        leaf()
        await kept.pop()
    def pool():
        def each(_): return leaf()
        with ThreadPoolExecutor(2) as workers: list(workers.map(each, range(3)))
    def threads():
        worker = threading.Thread(target=leaf)
        worker.start()
        worker.join()
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gather", {("step", "gather"): 3, ("leaf", "step"): 6}),
        ("tasks", {("step", "tasks"): 1, ("leaf", "step"): 2, ("leaf", "tasks"): 2}),
        ("group", {("step", "group"): 2, ("leaf", "step"): 4}),
        ("thread", {("leaf", "thread"): 1}),
        ("callbacks", {("leaf", "callbacks"): 1}),
        # A task that outlives the call that started it is still that call's child.
        ("outlives", {("start", "outlives"): 1, ("step", "start"): 1, ("leaf", "step"): 2, ("leaf", "outlives"): 1}),
        # Python hands no context to these: what runs there begins a trace.
        ("executor", {("leaf", None): 1}),
        ("pool", {("leaf", "pool.<locals>.each"): 3, ("pool.<locals>.each", None): 3}),
        ("threads", {("leaf", None): 1}),
    ],
)
def test_parents_in_tasks_and_threads(weave, name, expected):
    """A coroutine's span is current across its awaits, in its own task and those it starts, and nowhere else."""
    program = weave(CONCURRENT)
    function = getattr(program, name)
    if asyncio.iscoroutinefunction(function):
        asyncio.run(function())
    else:
        function()
    assert family() == expected | {(name, None): 1}
    traces = {call.trace.trace_id for call in seen()}
    assert len(traces) == sum(count for (_, parent), count in expected.items() if parent is None) + 1
    assert context.get() is None


def test_a_thread_given_the_context(weave):
    """`copy_context().run` in a thread, as instrumentations of thread pools do: the caller's child there as well."""
    program = weave("""
        def leaf(): return 1
        def root(start): start(leaf)
    """)

    def start(function):
        worker = threading.Thread(target=contextvars.copy_context().run, args=(function,))
        worker.start()
        worker.join()

    program.root(start)
    assert family() == {("leaf", "root"): 1, ("root", None): 1}


def test_tasks_of_unsampled_and_sampled_roots_side_by_side(weave):
    """Each task has its own root's decision, however they take turns."""
    program = weave(
        """
        import asyncio
        def leaf(): return 1
        async def step():
            for _ in range(3):
                leaf()
                await asyncio.sleep(0)
        """,
        sampling={"rate": 0.5},
    )

    async def main():
        await asyncio.gather(*(program.step() for _ in range(300)))

    asyncio.run(main())
    calls = family()
    steps = calls[("step", None)]
    assert within(steps, 300, 0.5)
    assert calls == {("step", None): steps, ("leaf", "step"): 3 * steps}


# -- what is suspended is nobody's parent


def test_a_suspended_generator_is_not_current(weave):
    """What its consumer calls between its steps is the consumer's, what it calls itself is its own."""
    program = weave("""
        from contextlib import contextmanager
        def inside(): return 1
        def outside(): return 1
        def count(stop):
            for number in range(stop):
                inside()
                yield number
                inside()
        @contextmanager
        def manage():
            inside()
            yield
            inside()
        def loop():
            for _ in count(2): outside()
            outside()
        def abandon():
            steps = count(3)
            next(steps)
            outside()
            del steps
            outside()
        def close():
            steps = count(3)
            next(steps)
            outside()
            steps.close()
            outside()
        def throw():
            steps = count(3)
            next(steps)
            try: steps.throw(KeyError)
            except KeyError: outside()
        def within():
            with manage(): outside()
            outside()
        def two():
            for _ in zip(count(2), count(2)): outside()
    """)
    expected = {
        "loop": {("inside", "count"): 4, ("outside", "loop"): 3, ("count", "loop"): 1},
        "abandon": {("inside", "count"): 1, ("outside", "abandon"): 2, ("count", "abandon"): 1},
        "close": {("inside", "count"): 1, ("outside", "close"): 2, ("count", "close"): 1},
        "throw": {("inside", "count"): 1, ("outside", "throw"): 1, ("count", "throw"): 1},
        "within": {("inside", "manage"): 2, ("outside", "within"): 2, ("manage", "within"): 1},
        "two": {("inside", "count"): 7, ("outside", "two"): 2, ("count", "two"): 2},
    }
    for name, calls in expected.items():
        sites.records.clear()
        getattr(program, name)()
        assert family() == calls | {(name, None): 1}, name
        assert context.get() is None


@pytest.mark.parametrize("seed", range(5))
def test_many_generators_in_any_order(weave, seed):
    """Generators and async generators stepped by turns, from different callers, nested in one another."""
    program = weave("""
        def inside(): return 1
        def outside(): return 1
        def count():
            while True:
                inside()
                yield
        def delegate():
            yield from count()
        async def produce():
            while True:
                inside()
                yield
        def one(steps):
            outside()
            next(steps)
            outside()
        def other(steps):
            outside()
            one(steps)
            next(steps)
            outside()
        def drive(steps):
            try: steps.__anext__().send(None)
            except StopIteration: pass
            outside()
    """)
    turns = random.Random(seed)
    running = [program.count() for _ in range(3)] + [program.delegate() for _ in range(2)]
    producing = [program.produce() for _ in range(2)]
    expected = Counter()
    for _ in range(60):
        what = turns.choice(["one", "other", "drive"])
        expected[("outside", what)] += {"one": 2, "other": 2, "drive": 1}[what]
        if what == "other":
            expected[("outside", "one")] += 2
        steps = turns.choice(producing if what == "drive" else running)
        getattr(program, what)(steps)
        assert context.get() is None
    for steps in running:
        steps.close()
    calls = family()
    assert {pair: count for pair, count in calls.items() if pair[0] == "outside"} == expected
    # Generators that are not over yet are not recorded yet: their children's parent is not, but it is never a consumer.
    inside = {parent for name, parent in calls if name == "inside"}
    assert inside <= {"count", "?"}


def test_a_generator_stepped_by_other_threads_and_tasks(weave):
    """It is current in nobody else's thread or task, neither while it runs nor while it is suspended."""
    program = weave("""
        import asyncio
        def inside(): return 1
        def outside(): return 1
        def count():
            while True:
                inside()
                yield
        async def produce():
            while True:
                inside()
                await asyncio.sleep(0)
                inside()
                yield
        def step(steps):
            next(steps)
            outside()
        async def take(steps):
            await anext(steps)
            outside()
        async def other():
            for _ in range(10):
                outside()
                await asyncio.sleep(0)
        async def main():
            steps = produce()
            await take(steps)
            for _ in range(2):
                task = asyncio.create_task(take(steps))
                await asyncio.gather(task, other())
                outside()
            await steps.aclose()
    """)
    steps = program.count()
    program.step(steps)
    for _ in range(3):
        worker = threading.Thread(target=program.step, args=(steps,))
        worker.start()
        worker.join()
    steps.close()
    assert family() == {
        ("step", None): 4,
        ("outside", "step"): 4,
        ("inside", "count"): 4,
        ("count", "step"): 1,
    }
    sites.records.clear()
    asyncio.run(program.main())
    assert family() == {
        ("main", None): 1,
        ("take", "main"): 3,
        ("other", "main"): 2,
        ("outside", "take"): 3,
        ("outside", "other"): 20,
        ("outside", "main"): 2,
        ("produce", "take"): 1,
        ("inside", "produce"): 6,
    }
    assert context.get() is None


def test_a_suspended_async_generator_is_not_current(weave):
    """As a generator: in a loop, closed, thrown into, left behind."""
    program = weave("""
        import asyncio
        from contextlib import asynccontextmanager
        def inside(): return 1
        def outside(): return 1
        async def produce(stop):
            for number in range(stop):
                inside()
                await asyncio.sleep(0)
                inside()
                yield number
        @asynccontextmanager
        async def manage():
            inside()
            yield
            inside()
        async def loop():
            async for _ in produce(2):
                outside()
                await asyncio.sleep(0)
                outside()
        async def close():
            steps = produce(2)
            await anext(steps)
            outside()
            await steps.aclose()
            outside()
        async def throw():
            steps = produce(2)
            await anext(steps)
            try: await steps.athrow(KeyError)
            except KeyError: outside()
        async def within():
            async with manage(): outside()
            outside()
        async def comprehend(): return [outside() async for _ in produce(2)]
    """)
    expected = {
        "loop": {("inside", "produce"): 4, ("outside", "loop"): 4, ("produce", "loop"): 1},
        "close": {("inside", "produce"): 2, ("outside", "close"): 2, ("produce", "close"): 1},
        "throw": {("inside", "produce"): 2, ("outside", "throw"): 1, ("produce", "throw"): 1},
        "within": {("inside", "manage"): 2, ("outside", "within"): 2, ("manage", "within"): 1},
        "comprehend": {("inside", "produce"): 4, ("outside", "comprehend"): 2, ("produce", "comprehend"): 1},
    }
    for name, calls in expected.items():
        sites.records.clear()
        asyncio.run(getattr(program, name)())
        assert family() == calls | {(name, None): 1}, name
        assert context.get() is None


def test_the_programs_own_code_never_sees_a_suspended_span(weave, tracer):
    """Asked through OpenTelemetry, what is current is the consumer's span before, between and after the steps."""
    program = weave("""
        def count(note):
            note()
            yield 1
            note()
            yield 2
        def loop(note):
            note()
            for _ in count(note): note()
            note()
    """)
    noted = []
    program.loop(lambda: noted.append(otel.get_current_span().get_span_context().span_id))
    count, loop = seen()
    assert noted == [loop.span, count.span, loop.span, count.span, loop.span, loop.span]


RESTS = """
import sys, autoscope
from autoscope.runtime import sites
def work(x): return x
def gen():
    yield work(1)
class Late:
    def m(self): return work(2)
def armed(): return [site.armed for site in sites.sites if site.module == "__main__"]
work(0); list(gen()); Late().m()
print(any(armed()), sites.watched() >= 4, sites.counters.sampled_out)
exec(WAKE)
work(0); list(gen()); Late().m()
print(all(armed()), len(sites.records) > 0)
"""


@pytest.mark.parametrize(
    ("wake", "recorded"),
    [
        ("from autoscope.runtime import sampling; sampling.set_rate(1.0)", "True"),
        # Traces may come from elsewhere, with a decision of their own: all calls are looked at again, and decided against.
        ("import opentelemetry.context", "False"),
    ],
)
def test_at_rate_zero_nothing_is_looked_at(tmp_path, wake, recorded):
    """No call can come to be recorded, so each costs the test of a switch; until that changes, while the program runs."""
    ran = run(
        tmp_path,
        RESTS.replace("exec(WAKE)", wake),
        strategy="full_trace",
        env={"AUTOSCOPE_RATE": "0", "OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert ran.out.splitlines() == ["False True 0", f"True {recorded}"], ran.out


def test_what_is_off_stays_off_when_others_wake():
    sites.reset()
    facts = {"file": "", "line": 1, "kind": "function", "path": "bytecode", "parameters": (), "module": "m"}
    made = [sites.new_site(qualname=name, **facts) for name in ("a", "b", "c")]
    for site in made[:2]:
        sites.arm(site)
    sites.rest()
    sites.rest()
    sites.arm(made[2])
    assert [site.armed for site in made] == [False] * 3 and sites.watched() == 3
    sites.disarm(made[0])
    sampling.set_rate(0.5)
    assert [site.armed for site in made] == [False, True, True] and sites.watched() == 2
    sampling.set_rate(1.0)


def test_traces_left_out_have_ids_of_their_own(tmp_path):
    """Also those that began before OpenTelemetry was there to ask: each has one, and keeps it."""
    source = """
        import threading
        begun, ids = threading.Barrier(3), []

        def handle():
            begun.wait()
            from opentelemetry import trace
            first, again = [trace.get_current_span().get_span_context() for _ in range(2)]
            ids.append((first.trace_id, first.is_valid, first == again))

        threads = [threading.Thread(target=handle) for _ in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len({trace_id for trace_id, _, _ in ids}), all(valid and same for _, valid, same in ids))
    """
    ran = run(tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_RATE": "0.0000001"})
    assert (ran.out, ran.err) == ("3 True\n", "")
