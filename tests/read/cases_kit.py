"""Runs with tests in them: of real woven programs, or written span by span."""

from __future__ import annotations

import itertools
from pathlib import Path

import program_kit
from autoscope.export.store import StoreExporter
from autoscope.read.runs import open_run
from autoscope.runtime.sites import Site
from autoscope.runtime.spans import Details, Trace

CASES = '''
import contextlib
from autoscope.runtime import context, sites
from autoscope.runtime.spans import Clock, Details, Trace

def site(name):
    made = sites.Site()
    made.module, _, made.qualname = name.rpartition(".")
    made.file, made.line, made.kind = "", 0, "test"
    return made

@contextlib.contextmanager
def span(name, attributes=None):
    """What a test runner records: a span of its own, current while it lasts."""
    outer = context.current.get()
    parent = outer or None
    trace = parent[0] if parent else Trace(sites.random.getrandbits(128))
    made = sites.switches.next()
    context.current.set((trace, made))
    start = Clock.now()
    told = dict(attributes or {})
    try:
        yield told
    finally:
        context.current.set(outer)
        details = Details(attributes=told) if told else None
        sites.records.extend((site(name), made, trace, parent, start, Clock.now(), details))

@contextlib.contextmanager
def case(id, outcome="passed"):
    told = {"test.case.name": id, "test.suite.name": id.partition("::")[0], "pytest.outcome": outcome,
            "test.case.result.status": "pass" if outcome == "passed" else "fail"}
    with span("tests." + id, told), span("call"):
        yield
'''
"""A test runner of a few lines, for programs that are woven."""


def record(folder, source, *, files=None, strategy="balanced", env=(), **options):
    """Run a program that has `case` in a process of its own; its run. `files`: its modules."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for name, text in {"cases.py": CASES, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    env = {"AUTOSCOPE_EXCLUDE": "cases,__main__"} | dict(env)
    program_kit.run(folder, "from cases import case, span\n" + source, strategy=strategy, env=env, **options)
    return open_run(str(folder / "store"))


_ids = itertools.count(1)


def site(name, kind="function", file="shop.py", line=3):
    made = Site()
    made.module, _, made.qualname = name.rpartition(".")
    made.file, made.line, made.kind = file, line, kind
    return made


def call(name, *below, took=10_000, error="", kind="function", attributes=None, times=1):
    """A call to be written: `took` is its own time."""
    return [(name, tuple(itertools.chain.from_iterable(below)), took, error, kind, attributes)] * times


def case(id, *below, outcome="passed"):
    """A test to be written."""
    told = {"test.case.name": id, "test.suite.name": id.partition("::")[0], "pytest.outcome": outcome}
    told["test.case.result.status"] = "pass" if outcome == "passed" else "fail"
    return call("tests." + id, call("call", *below, kind="test"), kind="test", attributes=told)


def write(directory, *trees, run_id="20261121-053012-4f3a", meta=None, info=None, tracestate="", sites=None):
    """A run of these calls, one trace for each on top."""
    sites = {} if sites is None else sites
    records = []
    clock = 1_000

    def add(tree, trace, parent):
        nonlocal clock
        name, below, took, error, kind, attributes = tree
        key = name, kind
        if key not in sites:
            sites[key] = site(name, kind)
        mine = next(_ids)
        start = clock
        clock += took
        for child in below:
            add(child, trace, (trace, mine))
        details = Details(error, "no" if error else "", None, attributes) if error or attributes else None
        records.append((sites[key], mine, trace, parent, start, clock, details))

    for tree in itertools.chain.from_iterable(trees):
        add(tree, Trace(next(_ids) << 64 | 1, tracestate=tracestate), None)
    store = StoreExporter(str(directory), run_id=run_id, resource={}, info=info or {"strategy": "balanced"})
    store.export(records)
    store.put_meta({"counters": {"dropped": 0}, **(meta or {})})
    store.close(5)
    assert not store.dropped
    return open_run(str(directory), run_id)
