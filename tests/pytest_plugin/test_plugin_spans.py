"""What is recorded of each test: its span, phases and fixtures, and below them the functions, in whichever thread, loop or process."""

from __future__ import annotations

import re

import pytest
from suite_kit import SHOP, session, write

EVERYTHING = """\
import os
import subprocess
import sys
import threading
import unittest

import pytest
from shop.cart import Cart
from shop.db import query


@pytest.fixture(scope="module")
def stock():
    query("stock")
    yield
    query("stock")


@pytest.fixture
def cart(stock):
    cart = Cart()
    yield cart
    cart.add("clear")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "token"), [(1, "abc")])
def test_cart(cart, number, token):
    cart.add("ab", number)


def test_error(cart):
    cart.add("ab", -2)


def test_assertion():
    assert query("ab") == 3


def test_thread():
    thread = threading.Thread(target=query, args=("ab",))
    thread.start()
    thread.join()


def test_process():
    code = "from shop.db import query; query('child')"
    subprocess.run([sys.executable, "-c", "import shop.cart"], check=True)


def test_forked():
    child = os.fork()
    if not child:
        query("forked")
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.xfail
def test_xfail():
    assert query("a") == 2


@pytest.mark.xfail
def test_xpass():
    query("a")


def test_skip():
    pytest.skip("no")


@pytest.fixture
def broken():
    query("broken")
    raise KeyError("broken")


def test_broken(broken):
    pass


class TestOld(unittest.TestCase):
    def setUp(self):
        query("old")

    def test_parts(self):
        for word in ("a", "ab"):
            with self.subTest(word=word):
                assert query(word) == 1


def test_no_variable_of_others_is_touched():
    assert "TRACEPARENT" not in os.environ
    assert "AUTOSCOPE_TRACEPARENT" in os.environ


def documented():
    '''
    >>> from shop.db import query
    >>> query("doc")
    3
    '''
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    place = write(tmp_path_factory.mktemp("spans"), SHOP | {"tests/test_all.py": EVERYTHING})
    (place / "pytest.ini").write_text(SHOP["pytest.ini"] + "markers = slow\n    [x]\n".replace("    [x]\n", ""))
    found = session(
        place,
        "--autoscope",
        "--autoscope-strategy=full_trace",
        "--doctest-modules",
        "--junitxml=junit.xml",
        "--autoscope-durations=0",
        "tests",
        PYTHONPATH=f"{place}/src",
    )
    return found, found.spans()


def test_outcomes(everything):
    """As pytest counts them, on the test's span; a test of which a part failed has failed."""
    found, spans = everything
    assert 1 == found.code
    assert "" == found.err
    told = {
        name.rpartition("::")[2]: (span.attributes["pytest.outcome"], span.attributes.get("test.case.result.status"))
        for name, span in spans.tests().items()
    }
    passed, failed = ("passed", "pass"), ("failed", "fail")
    assert {
        "test_cart[1-abc]": passed,
        "test_error": failed,
        "test_assertion": failed,
        "test_thread": passed,
        "test_process": passed,
        "test_forked": passed,
        "test_xfail": ("xfailed", "pass"),
        "test_xpass": ("xpassed", "pass"),
        "test_skip": ("skipped", None),
        "test_broken": ("error", "fail"),
        "test_parts": failed,
        "test_no_variable_of_others_is_touched": passed,
        "test_all.documented": passed,
    } == told


def test_phases_fixtures_and_functions(everything):
    """A trace for each test; what a fixture of a wider scope does belongs to the test that was first, or last."""
    _, spans = everything
    tests = {name.rpartition("::")[2]: span for name, span in spans.tests().items()}
    assert len({span.trace_id for span in tests.values()}) == len(tests)
    init, add = "shop.cart.Cart.__init__", ["shop.cart.Cart.add", "shop.db.query"]
    assert [
        "tests/test_all.py::test_cart[1-abc]",
        ["setup", ["fixture stock", "shop.db.query"], ["fixture cart", init]],
        ["call", add],
        ["teardown", ["finalizer cart", add]],
    ] == spans.tree(tests["test_cart[1-abc]"])
    # The module's fixture goes with the module's last test that is run.
    assert "finalizer stock" in {name for span in spans.all for name in spans.above(span)}
    (broken,) = [span for span in spans.all if span.name == "fixture broken"]
    assert ["setup", "fixture broken"] == spans.above(broken)[1:]
    parts = next(one for one in spans.below(tests["test_parts"]) if one.name == "call")
    query = "shop.db.query"
    assert ["call", query, ["subtest", query], ["subtest", query]] == spans.tree(parts)
    assert ["passed", "failed"] == [
        one.attributes["pytest.outcome"] for one in spans.below(parts) if one.name == "subtest"
    ]


@pytest.mark.parametrize(
    ("test", "way"),
    [
        ("test_thread", ["call", "shop.db.query"]),
        ("test_process", ["call", "shop.cart.prepared", "shop.db.query"]),
        ("test_forked", ["call", "shop.db.query"]),
        ("test_all.documented", ["call", "shop.db.query"]),
    ],
)
def test_all_that_a_test_does_is_in_its_trace(everything, test, way):
    """Threads, child processes and forks have nothing current, and belong to it all the same."""
    _, spans = everything
    (root,) = [span for name, span in spans.tests().items() if name.rpartition("::")[2] == test]
    last = [span for span in spans.all if span.trace_id == root.trace_id and span.name == way[-1]]
    assert [[root.name, *way]] == [spans.above(span) for span in last]


def test_what_a_span_says(everything):
    """The semantic conventions' attributes, markers, parameters; of an exception once, where it left first."""
    _, spans = everything
    tests = {name.rpartition("::")[2]: span for name, span in spans.tests().items()}
    first = tests["test_cart[1-abc]"]
    assert {
        "test.case.name": "tests/test_all.py::test_cart[1-abc]",
        "test.case.result.status": "pass",
        "test.suite.name": "tests/test_all.py",
        "pytest.outcome": "passed",
        "pytest.markers": ["parametrize", "slow"],
        "pytest.parameter.number": 1,
        "pytest.parameter.token": "[redacted]",
    } == first.attributes
    assert first.file.endswith("tests/test_all.py")
    assert first.line > 1
    events = {span: events for process in spans.run.processes for span, events in spans.run.events_of(process).items()}
    error = [span for span in spans.all if span.trace_id == tests["test_error"].trace_id and span.error_type]
    assert ["tests/test_all.py::test_error", "call", "shop.cart.Cart.add", "shop.cart.Cart.refuse"] == [
        span.name for span in error
    ]
    assert {"ValueError"} == {span.error_type for span in error}
    assert [False, False, False, True] == [span.span_id in events for span in error]
    (call,) = [span for span in spans.below(tests["test_assertion"]) if span.error_type]
    trace = events[call.span_id][0].attributes["exception.stacktrace"]
    assert "test_all.py" in trace.splitlines()[1], "the stack trace begins at the test"
    assert not tests["test_xfail"].error_type


def test_a_junit_property_has_the_trace_id(everything):
    """Of every test, and only where a JUnit file is written."""
    found, spans = everything
    text = (found.place / "junit.xml").read_text()
    for span in spans.tests().values():
        assert f'<property name="autoscope.trace_id" value="{span.trace_id:032x}"' in text


def test_what_is_outside_of_tests_is_not_recorded(everything):
    """Imports would be counted by each worker, and in whichever test comes first; and functions are all a report tells of."""
    _, spans = everything
    in_children = [span for span in spans.all if span.name == "shop.cart.prepared"]
    assert 1 == len(in_children), "only the child process of a test"
    assert {"shop.cart.Cart.__init__", "shop.cart.Cart.add", "shop.cart.Cart.refuse", "shop.cart.prepared",
            "shop.db.query"} == {one.name for one in spans.run.functions()}  # fmt: skip


ASYNC = {
    "src/shop/waiting.py": """\
import asyncio

import anyio
from shop.db import query


async def fetch(sku):
    await asyncio.sleep(0)
    return query(sku)


async def fetch_anywhere(sku):
    await anyio.sleep(0)
    return query(sku)
""",
    "tests/test_asyncio.py": """\
import asyncio

import pytest
import pytest_asyncio
from shop.db import query
from shop.waiting import fetch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready():
    yield await fetch("ready")
    await fetch("over")


@pytest.mark.asyncio(loop_scope="module")
async def test_first(ready):
    await asyncio.gather(fetch("a"), fetch("b"))


@pytest.mark.asyncio(loop_scope="module")
async def test_second(ready):
    await fetch("a")
    await asyncio.to_thread(query, "thread")
""",
    "tests/test_anyio.py": """\
import pytest
from shop.waiting import fetch_anywhere

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
async def ready(anyio_backend):
    yield await fetch_anywhere("ready")


async def test_first(ready):
    await fetch_anywhere("a")


async def test_second(ready):
    await fetch_anywhere("a")
""",
    "tests/test_trio.py": """\
import pytest
from shop.waiting import fetch_anywhere


@pytest.mark.trio
async def test_trio():
    await fetch_anywhere("a")
""",
    "tests/test_more.py": """\
from hypothesis import given, settings, strategies
from shop.db import query
import pytest

tries = []


@given(strategies.integers(1, 3))
@settings(max_examples=3, database=None, deadline=None)
def test_examples(number):
    query("x" * number)


@pytest.mark.flaky(reruns=3)
def test_again():
    tries.append(query("a"))
    assert len(tries) == 3
""",
}


def test_event_loops_examples_and_attempts(tmp_path):
    """pytest-asyncio, anyio and pytest-trio keep loops and tasks from one test to the next; each call is its own test's."""
    for name in ("pytest_asyncio", "pytest_trio", "pytest_rerunfailures"):
        pytest.importorskip(name)
    place = write(tmp_path, SHOP | ASYNC)
    (place / "pytest.ini").write_text(SHOP["pytest.ini"] + "asyncio_default_fixture_loop_scope = function\n")
    found = session(place, "--autoscope", "--autoscope-strategy=full_trace", autoload=True)
    assert (0, "9 passed, 2 rerun") == (found.code, found.outcomes), found.out + found.err
    spans = found.spans()
    tests = spans.tests()
    for file, function in (("asyncio", "fetch"), ("anyio", "fetch_anywhere"), ("trio", "fetch_anywhere")):
        mine = [span for name, span in tests.items() if name.startswith(f"tests/test_{file}.py")]
        assert mine
        for test in mine:
            (call,) = [span for span in spans.below(test) if span.name == "call"]
            names = [span.name for span in spans.below(call)]
            fetched = [f"shop.waiting.{function}"] * (2 if test.name.endswith("asyncio.py::test_first") else 1)
            assert fetched + ["shop.db.query"] * test.name.endswith("asyncio.py::test_second") == names
    assert "tests/test_asyncio.py::test_first > setup > fixture ready > shop.waiting.fetch" in spans.ways()
    assert "tests/test_asyncio.py::test_second > teardown > finalizer ready > shop.waiting.fetch" in spans.ways()
    examples = spans.below(next(s for s in spans.below(tests["tests/test_more.py::test_examples"]) if s.name == "call"))
    assert {("example", ("shop.db.query",))} == {
        (one.name, tuple(below.name for below in spans.below(one))) for one in examples
    }
    assert len(examples) >= 3
    attempts = [span for span in spans.all if span.name == "tests/test_more.py::test_again"]
    assert [("rerun", None), ("rerun", 1), ("passed", 2)] == [
        (span.attributes["pytest.outcome"], span.attributes.get("pytest.attempt")) for span in attempts
    ]


PARTS = {
    "tests/test_parts.py": """\
import unittest
import pytest
from shop.cart import Cart


def test_fixture(subtests):
    made = subtests.test(msg="held")
    with made:
        Cart().add("a")
    with subtests.test(msg="fails"):
        with subtests.test("inside", number=1):
            Cart().add("b")
        Cart().refuse("c", -1)
    Cart().add("d")


class TestCase(unittest.TestCase):
    def test_method(self):
        for number in (1, -1):
            with self.subTest("of", number=number) as given:
                assert given is None
                Cart().add("ab", number)

        @self.subTest(number=3)
        def again():
            Cart().add("e", -3)

        again()
        with self.subTest(skipped=True):
            self.skipTest("not now")
        Cart().add("f")

    def tearDown(self):
        assert "subTest" not in type(self).__dict__
""",
}


def test_what_a_subtest_calls_is_below_it(tmp_path):
    """And pytest says of it what it says without us, but for the way to what failed."""
    if int(pytest.__version__.partition(".")[0]) < 9:
        pytest.skip("no fixture `subtests`")
    place = write(tmp_path, SHOP | PARTS)
    plain = session(place, "-rA", "tests/test_parts.py")
    done = session(place, "-rA", "--autoscope", "--autoscope-strategy=full_trace", "tests/test_parts.py")
    assert plain.outcomes == done.outcomes
    said = re.sub(r"-+ autoscope -+\n(?:.*\n)*?autoscope view .*\n", "", done.failures())
    assert plain.failures() == said
    assert "shop.cart.Cart.refuse(self=<shop.cart.Cart>, sku='c', quantity=-1)" in done.failures()
    spans = done.spans()
    tests = spans.tests()
    (call,) = [one for one in spans.below(tests["tests/test_parts.py::test_fixture"]) if one.name == "call"]
    add = ["shop.cart.Cart.add", "shop.db.query"]
    made = "shop.cart.Cart.__init__"
    assert [
        "call",
        ["subtest", made, add],
        ["subtest", ["subtest", made, add], made, "shop.cart.Cart.refuse"],
        made,
        add,
    ] == spans.tree(call)
    (call,) = [one for one in spans.below(tests["tests/test_parts.py::TestCase::test_method"]) if one.name == "call"]
    refused = ["shop.cart.Cart.add", "shop.cart.Cart.refuse"]
    parts = [["subtest", made, add], ["subtest", made, refused], ["subtest", made, refused], "subtest"]
    assert ["call", *parts, made, add] == spans.tree(call)
    told = [one.attributes["pytest.outcome"] for one in spans.below(call) if one.name == "subtest"]
    assert ["passed", "failed", "failed", "skipped"] == told
