"""export/store: the rows of a batch, made a column at a time, are those of its records one by one."""

from __future__ import annotations

import json
import sqlite3
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import Site, open_store

from autoscope import errors
from autoscope.export.plainjson import to_json
from autoscope.export.store import LONGEST_TEXT, TEXTS
from autoscope.runtime import sites
from autoscope.runtime.spans import STEPS, Details, ExceptionRecord, Trace, attributes_of, epoch_offset, error_of

SITES = [Site(number, name) for number, name in enumerate(("shop.cart.add", "shop.pay", "main", "shop.wörter"))]
ID = st.integers(1, (1 << 64) - 1)
NUMBER = st.integers(0, 1 << 60)
VALUE = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.booleans(), st.floats(), st.text(max_size=5))
NAMES = st.lists(st.text(max_size=5), unique=True, max_size=3)


@st.composite
def captured(draw):
    """What is recorded of arguments, of a result, of steps: some of them."""
    names = draw(NAMES)
    values = draw(st.lists(VALUE, min_size=len(names), max_size=len(names)))
    steps = draw(st.none() | st.sampled_from(list(STEPS.values())))
    if steps is not None:
        names, values = [*names, *steps], [*values, draw(NUMBER), draw(NUMBER)]
    return (tuple(names), *values) if names else None


SAID_BEFORE = st.sampled_from(
    [
        (names, *values)
        for names in (("a",), ("b", "c"))
        for value in ("x", "1", 1, True, 1.0, "")
        for values in [(value,) * len(names)]
    ]
)
"""What many calls capture alike; some are equal in Python and not the same."""
ATTRIBUTES = st.none() | st.dictionaries(st.text(max_size=5) | st.sampled_from(STEPS["coroutine"]), NUMBER, max_size=3)
EXCEPTION = st.builds(ExceptionRecord, st.text(max_size=5), st.text(max_size=5), st.just(()), NUMBER)
DETAILS = st.one_of(
    st.none(),
    captured(),
    SAID_BEFORE,
    st.builds(Details, st.text(max_size=5), st.text(max_size=5), st.none() | EXCEPTION, ATTRIBUTES),
)
TRACE = st.builds(
    Trace, st.integers(0, (1 << 128) - 1), ID | st.just(0), st.text(max_size=3), st.integers(0, 3), NUMBER
)


@st.composite
def batches(draw):
    """Batches of records, whose ids are unique."""
    traces = draw(st.lists(TRACE, min_size=1, max_size=4))
    spans = draw(st.lists(ID, unique=True, max_size=30))
    records = []
    for span in spans:
        trace, start = draw(st.sampled_from(traces)), draw(NUMBER)
        parent = draw(st.none() | st.tuples(st.just(trace), ID))
        end = start + draw(NUMBER)
        records.append((draw(st.sampled_from(SITES)), span, trace, parent, start, end, draw(DETAILS)))
    cut = draw(st.integers(0, len(records)))
    shares = draw(st.dictionaries(st.sampled_from(SITES), st.tuples(st.floats(0.01, 1.0), st.just(((5, 0.5),)))))
    return [records[:cut], records[cut:]], shares


def signed(number):
    return number - (1 << 64) if number >> 63 else number


def told(details):
    """Running time and attributes, as the file has them."""
    attributes = attributes_of(details)
    running = [value for key, value in (attributes or {}).items() if key.endswith(".running_ns")]
    return (running[0] or None if running else None), to_json(attributes) if attributes else None


def expected(batches):
    """What the file is to say of each span, and of the exceptions."""
    spans, events = {}, []
    for site, span, trace, parent, start, end, details in [record for records in batches for record in records]:
        if details is None:
            about = (None, None, None, None)
        else:
            message = "" if isinstance(details, tuple) else details.error_message
            about = (error_of(details), message, *told(details))
        spans[signed(span)] = (
            signed(parent[1]) if parent else 0,
            trace.trace_id.to_bytes(16),
            signed(trace.remote_parent),
            trace.tracestate,
            trace.flags,
            trace.thread_id,
            f"{site.module}.{site.qualname}" if site.module else site.qualname,
            start + epoch_offset(),
            end - start,
            sites.share_of(site, start),
            *about,
        )
        exception = None if details is None or isinstance(details, tuple) else details.exception
        if exception is not None:
            events.append((signed(span), exception.time + epoch_offset(), exception.type))
    return spans, sorted(events)


def found(path):
    with sqlite3.connect(path) as connection:
        spans = {
            span: row
            for span, *row in connection.execute(
                "SELECT s.span, parent, trace_id, remote_parent, tracestate, flags, thread_id, name, start_ns, duration_ns,"
                " probability, error_type, error_message, running_ns, attributes FROM spans s JOIN traces t ON t.id = s.trace"
                " JOIN sites f ON f.id = s.site LEFT JOIN details d ON d.span = s.span"
            )
        }
        events = connection.execute("SELECT span, time_ns, attributes FROM events").fetchall()
    connection.close()
    told = [(span, time, json.loads(attributes)["exception.type"]) for span, time, attributes in events]
    return {span: tuple(row) for span, row in spans.items()}, sorted(told)


@pytest.fixture(autouse=True)
def _as_they_were(monkeypatch):
    monkeypatch.setattr(errors, "notices", [])
    monkeypatch.setenv("AUTOSCOPE_SILENCE", "all")
    yield
    sites.shares.clear()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches(), st.booleans())
def test_what_is_written_is_what_the_records_say(given_batches, flat):
    """Whatever its ids, parents, details and shares: every record is one span, and says what it said; as a list and as the drain hands it over."""
    batches, shares = given_batches
    sites.shares.clear()
    sites.shares.update(shares)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        for records in batches:
            store.export(sites.Batch([part for record in records for part in record]) if flat else records)
        path = store.path
        store.close(5)
        count = sum(map(len, batches))
        assert (store.exported, store.dropped) == (count, 0)
        if count:
            assert expected(batches) == found(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches(), st.data())
def test_what_cannot_be_written_is_left_out_alone(given_batches, data):
    """Records that nothing can be made of, anywhere in a batch: all others are there."""
    batches, shares = given_batches
    sites.shares.clear()
    sites.shares.update(shares)
    bad = [
        (SITES[0], 7, Trace(-1), None, 1, 2, None),
        (SITES[1], None, Trace(1), None, 1, 2, None),
        (SITES[1], 8, Trace(1), None, None, 2, None),
        (SITES[2], 9, Trace(1), None, 1, 2, (("a",),)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        for records in batches:
            place = data.draw(st.integers(0, len(records)))
            store.export([*records[:place], data.draw(st.sampled_from(bad)), *records[place:]])
        path = store.path
        store.close(5)
        assert (store.exported, store.dropped) == (sum(map(len, batches)), len(batches))
        assert expected(batches) == found(path)


def texts(store):
    """Id -> (id of the call that has its text, its text), as the rows are; and id -> attributes, as everybody sees them."""
    with sqlite3.connect(store.path) as connection:
        rows = {span: row for span, *row in connection.execute("SELECT span, same_as, attributes FROM told")}
        seen = dict(connection.execute("SELECT span, attributes FROM details"))
    connection.close()
    return {span: tuple(row) for span, row in rows.items()}, seen


def said(span, *values):
    return (SITES[0], span, Trace(5), None, 1, 2, (("a", "b")[: len(values)], *values))


def test_what_was_said_before_is_written_once(tmp_path):
    """In a batch, and in a later one; what only looks alike to Python is not taken for it, nor what is very long kept in mind."""
    store = open_store(str(tmp_path))
    long = "x" * LONGEST_TEXT
    store.export([said(1, "x"), said(2, "x"), said(3, 1), said(4, True), said(5, long), said(6, long)])
    store.export([said(7, "x"), said(8, "x", "x"), said(9, 1)])
    rows, seen = texts(store)
    store.close(5)

    assert {span: first for span, (first, _) in rows.items() if first is not None} == {2: 1, 7: 1}
    assert all((first is None) == (text is not None) for first, text in rows.values())
    assert [seen[span] for span in (1, 2, 7)] == ['{"a": "x"}'] * 3
    assert [seen[span] for span in (3, 4, 8, 9)] == ['{"a": 1}', '{"a": true}', '{"a": "x", "b": "x"}', '{"a": 1}']
    assert seen[5] == seen[6] == f'{{"a": "{long}"}}'


def test_nothing_refers_to_what_was_not_written(tmp_path):
    """A batch the disk had no room for, and a record that could not be written: the next call that says the same has the text itself."""
    store = open_store(str(tmp_path))
    store.export([said(1, "first")])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    store.export([said(2, "lost"), *(said(100 + number, f"{number}" * 100) for number in range(200))])
    assert (store.exported, [slug for slug, _ in errors.notices]) == (1, ["store-failed"])
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.export([said(3, "lost"), said(4, "first"), (SITES[0], 5, Trace(-1), None, 1, 2, (("a",), "bad"))])
    store.export([said(6, "lost"), said(7, "bad")])
    rows, seen = texts(store)
    store.close(5)

    assert rows == {
        1: (None, '{"a": "first"}'),
        3: (None, '{"a": "lost"}'),
        4: (1, None),
        6: (3, None),
        7: (None, '{"a": "bad"}'),
    }
    assert seen[4] == seen[1]


def test_what_is_kept_in_mind_has_an_end(tmp_path):
    """Of a program that never says the same twice no more is kept than so many texts, and those of one batch."""
    store = open_store(str(tmp_path))
    for first in range(1, 5 * TEXTS, TEXTS):
        store.export([said(span, str(span)) for span in range(first, first + TEXTS)])
        assert 0 < len(store._texts) <= 2 * TEXTS
    store.close(5)
