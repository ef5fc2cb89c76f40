"""What is recorded where nobody says how much: some calls of each function, while all are counted."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from suite_kit import SHOP, session, write

from autoscope.read.affected import used_by
from autoscope.read.calltree import build_tree, find, render_text
from autoscope.read.phases import measure_phases
from autoscope.read.tests import measure
from autoscope.runtime.quota import FIRST, FIRST_OF_ALL, TESTS

WORKERS = ("-p", "xdist", "-n", "2")
COUNT = TESTS + 12
FILES = SHOP | {
    "src/shop/db.py": SHOP["src/shop/db.py"]
    + """

def refuse(sku):
    total = query(sku)
    for letter in sku:
        total += len(letter)
    raise LookupError(sku)


def rows(count):
    for number in range(count):
        yield query(str(number))
""",
    "src/shop/cart.py": """\
from shop import db


def fill(count):
    found = []
    for number in range(count):
        found.append(db.query(str(number)))
    return found


def look(count):
    total = 0
    for number in db.rows(count):
        total += number
    return total


def lose(count):
    fill(count)
    for number in range(count + 1):
        if number == count:
            db.refuse("ab")
        try:
            db.refuse("ab")
        except LookupError:
            pass
""",
    "tests/conftest.py": """\
import pytest
from shop import cart


@pytest.fixture(scope="session")
def full():
    yield cart.fill(30)
    cart.fill(7)


@pytest.fixture
def half():
    yield cart.fill(6)
    cart.fill(5)
""",
    "tests/test_cart.py": f"""\
import pytest
from shop import cart


@pytest.mark.parametrize("number", range({COUNT}))
def test_fill(number, half):
    cart.fill(number % 9)
    cart.look(number % 7)


def test_shared(full):
    cart.fill(11)


def test_expected():
    with pytest.raises(LookupError):
        cart.lose(9)


def test_lost():
    cart.lose(9)
""",
}
ALL = "--autoscope-calls=all"


@pytest.fixture
def project(tmp_path):
    return write(tmp_path, FILES)


def calls(run):
    """Test -> function -> calls."""
    found = measure(run)
    of_tests = {id: {name: one.calls for name, one in case.functions.items()} for id, case in found.cases.items()}
    assert all(one.exact for case in found.cases.values() for one in case.functions.values())
    return of_tests, {name: one.calls for name, one in found.rest.functions.items()}


def test_calls_are_those_of_a_session_that_records_all(project):
    """In each test and beside them, in one process and in several; and so are the functions a test is said to use."""
    runs = []
    for more in ((ALL,), (), WORKERS):
        made = session(project, "--autoscope", *more)
        assert made.outcomes == f"1 failed, {COUNT + 2} passed", made.out
        runs.append(made.run())
    assert len({run.id for run in runs}) == 3
    of_all, beside = calls(runs[0])
    assert beside == {"shop.cart.fill": 2, "shop.db.query": 37}
    assert calls(runs[1]) == (of_all, beside)
    assert calls(runs[2]) == (of_all, beside)
    assert runs[1].count_spans() < runs[0].count_spans() * 0.8
    used = used_by(runs[0])
    for run in runs[1:]:
        again = used_by(run)
        assert (again.cases, again.everybody) == (used.cases, used.everybody)


def test_functions_are_told_with_all_their_calls(project):
    """By the report, and by the section of the slowest."""
    every, default = [session(project, "--autoscope", *more).run() for more in ((ALL,), ())]
    wanted = {one.name: one.calls for one in every.functions()}
    assert {one.name: one.calls for one in default.functions()} == wanted
    assert {one.name: round(one.calls) for one in measure_phases(default)} == wanted
    recorded = {one.name: one.recorded for one in default.functions()}
    assert recorded["shop.db.query"] < wanted["shop.db.query"] / 2
    assert recorded["shop.cart.fill"] >= FIRST


def test_baselines_of_both_are_aligned(project):
    """Calls decide as before: more of them fail a session, whether they were recorded or counted."""
    saved = session(project, "--autoscope", ALL, "--autoscope-save-baseline=all.jsonl")
    assert saved.code == 1
    same = session(project, "--autoscope", "--autoscope-baseline=all.jsonl", "--autoscope-save-baseline=some.jsonl")
    assert "ALIGNED" in same.out, same.out
    again = session(project, "--autoscope", "--autoscope-baseline=some.jsonl")
    assert "ALIGNED" in again.out, again.out
    more = FILES["src/shop/cart.py"].replace("db.query(str(number))", "[db.query(str(number)) for _ in range(8)][0]")
    write(project, {"src/shop/cart.py": more})
    some = ("--autoscope-baseline=some.jsonl", "--deselect=tests/test_cart.py::test_lost")
    worse = session(project, "--autoscope", *some)
    assert worse.code == 1
    assert "shop.db.query: called 22 -> 155 times" in worse.out, worse.out


def test_the_way_of_a_failure_is_shown_though_its_calls_were_counted(project):
    """It is the traceback's; and the view of the test says what was only counted."""
    failed = session(project, "--autoscope")
    told = failed.failures()
    assert "shop.cart.lose(count=9)" in told
    assert "shop.db.refuse(sku='ab')" in told
    assert "LookupError: ab" in told
    run = failed.run()
    found = find(run, "tests/test_cart.py::test_lost")
    text = render_text(found, build_tree(run, found), run.id)
    assert "shop.db.refuse x 6  [only counted]" in text
    with closing(sqlite3.connect(run.processes[0].path)) as connection:
        [(errors,)] = connection.execute("SELECT count(*) FROM events WHERE name = 'exception'").fetchall()
    assert errors > 0


TREE = """\
from shop import cart


def test_tree(autoscope):
    cart.fill(50)
    assert autoscope.calls("shop.db.query") == 50
    assert autoscope.trace.tree() == "shop.cart.fill\\n  shop.db.query x50"


def test_late(request):
    cart.fill(50)
    autoscope = request.getfixturevalue("autoscope")
    cart.fill(3)
    with __import__("pytest").raises(Exception, match="only counted"):
        autoscope.calls("shop.db.query")
"""


def test_tests_that_ask_have_every_call(project):
    """From the moment they ask: of what was counted before nobody knows what called it."""
    write(project, {"tests/test_tree.py": TREE})
    asked = session(project, "--autoscope", "tests/test_tree.py")
    assert asked.outcomes == "2 passed", asked.out


@pytest.mark.parametrize(
    ("more", "environ"),
    [
        ((ALL,), {}),
        (("--autoscope-rate=1",), {}),
        (("--autoscope-show=long",), {}),
        ((ALL, "--autoscope-strategy=minimal"), {}),
        ((), {"AUTOSCOPE_RATE": "1"}),
    ],
)
def test_who_says_how_much_is_recorded_has_that(project, more, environ):
    """Every call, in each of these."""
    said = session(project, "--autoscope", "--deselect=tests/test_cart.py::test_fill", *more, **environ)
    names = [span.name for span in said.spans().all]
    assert names.count("shop.db.query") == 30 + 7 + 11 + 2 * (9 + 10)


@pytest.mark.parametrize(
    ("more", "environ", "most"),
    [
        (("--autoscope-strategy=minimal", "--autoscope-calls=18"), {}, 18),
        ((), {"AUTOSCOPE_STRATEGY": "minimal"}, FIRST_OF_ALL),
        (("--autoscope-strategy=minimal", "--autoscope-calls=7"), {}, 7),
        (("-o", "autoscope_calls=7"), {}, 7),
        (("--autoscope-calls=7", "--autoscope-rate=1"), {}, 7),
    ],
)
def test_who_says_how_closely_has_the_first_calls_of_every_test(project, more, environ, most):
    """However many tests call a function; the others are counted, as exactly as by default."""
    some = ("tests/test_cart.py::test_shared", "tests/test_cart.py::test_expected", "tests/test_cart.py::test_lost")
    said = session(project, "--autoscope", *some, *more, **environ)
    recorded = [span.name for span in said.spans().all].count("shop.db.query")
    # The fixture that tests share, test_shared, the two others, the fixture's finalizer.
    assert recorded == sum(min(count, most) for count in (30, 11, 9 + 10, 9 + 10, 7))
    every = session(project, "--autoscope", ALL, *some)
    assert calls(said.run()) == calls(every.run())


def test_a_strategy_records_first_calls_however_many_tests_there_are(project):
    """The hundredth test has its calls as the first has, in whichever process it runs."""
    write(project, {"tests/test_cart.py": FILES["tests/test_cart.py"].replace("number % 9", "30 + number % 9")})
    for more in ((), WORKERS):
        said = session(project, "--autoscope", "--autoscope-strategy=full_trace", "-k", "test_fill", *more)
        assert [span.name for span in said.spans().all].count("shop.db.query") == COUNT * FIRST_OF_ALL


@pytest.mark.parametrize("wrong", ["none", "0", "-3", "1.5"])
def test_a_number_of_calls_that_is_none_is_refused(project, wrong):
    """In one line, by pytest."""
    said = session(project, "--autoscope", f"--autoscope-calls={wrong}")
    assert said.code == 4
    assert f"autoscope: autoscope_calls: {wrong!r} is no number of calls, nor 'all'" in said.err


def test_a_number_of_calls_and_a_budget_are_refused(project):
    """Both say how many are recorded."""
    said = session(project, "--autoscope", "--autoscope-calls=7", "--autoscope-budget=3%")
    assert said.code == 4
    assert "autoscope: autoscope_calls: a budget says how many calls are recorded; leave out one of both" in said.err
