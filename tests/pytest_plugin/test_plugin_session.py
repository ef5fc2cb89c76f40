"""A session's traces: one each or one in all, a job's of the CI, over several workers; and what goes wrong."""

from __future__ import annotations

import pytest
from suite_kit import SHOP, session, write

TESTS = """\
import os

import pytest
from shop.cart import Cart


@pytest.mark.parametrize("number", range(8))
def test_number(number):
    cart = Cart()
    for _ in range(number):
        cart.add("ab")


def test_last():
    if os.environ.get("CRASH"):
        Cart().add("ab")
        import time

        import autoscope

        so_far = autoscope.stats()["recorded"]
        while autoscope.stats()["exported"] < so_far:
            time.sleep(0.05)
        os._exit = None
        os.kill(os.getpid(), 9)
"""
FULL = ("--autoscope", "--autoscope-strategy=full_trace")


@pytest.fixture
def project(tmp_path):
    return write(tmp_path, SHOP | {"tests/test_numbers.py": TESTS})


def counted(found):
    return {one.name: one.calls for one in found.run().functions()}


def test_workers_add_up_to_one_process(project):
    """One run in the store, exactly the same calls, and which worker it was; a worker that is killed leaves what it had."""
    pytest.importorskip("xdist")
    alone = session(project, *FULL)
    assert "9 passed" == alone.outcomes, alone.out + alone.err
    calls = counted(alone)
    assert {"shop.cart.Cart.__init__": 8, "shop.cart.Cart.add": 28, "shop.db.query": 28} == calls
    one = alone.run().id
    several = session(project, *FULL, "-p", "xdist", "-n", "2")
    assert "9 passed" == several.outcomes, several.out + several.err
    spans = several.spans()
    assert spans.run.id != one
    assert calls == counted(several)
    assert alone.spans().tests().keys() <= spans.tests().keys()
    assert {"gw0", "gw1"} == {span.attributes["pytest.worker"] for span in spans.tests().values()}
    assert ["finished"] * 2 == [process.state for process in spans.run.processes]
    crashed = session(project, *FULL, "-p", "xdist", "-n", "1", "--max-worker-restart=0", CRASH="1")
    assert "1 failed, 8 passed" == crashed.outcomes, crashed.out + crashed.err
    assert calls | {"shop.cart.Cart.__init__": 9, "shop.cart.Cart.add": 29, "shop.db.query": 29} == counted(crashed) | {
        "shop.cart.Cart.__init__": 9
    }
    (last,) = [span for name, span in crashed.spans().tests().items() if name.endswith("test_last")]
    assert ("failed", "worker crashed") == (last.attributes["pytest.outcome"], last.error_type)


WATCHED = {
    "conftest.py": """\
import threading
import pytest
from autoscope import bootstrap

seen = []


def pytest_sessionstart():
    drain = bootstrap.running.drain
    tape = drain.tape
    drain.tape = lambda records: not seen.append(threading.current_thread()) and tape(records)


def pytest_unconfigure():
    of_runner = sum(thread is threading.main_thread() for thread in seen)
    with open("seen", "w") as file:
        file.write(f"{of_runner} {len(seen)}")
""",
    "tests/test_short.py": """\
import time
import pytest
from shop.cart import Cart


@pytest.mark.parametrize("number", range(400))
def test_short(number):
    Cart().add("ab")
    time.sleep(0.01)
""",
}


def test_what_waits_is_handed_over_between_tests(project):
    """Beside a short test our thread does not work: it would take the test's time, and open files while it looks at descriptors."""
    done = session(write(project, WATCHED), *FULL, "tests/test_short.py")
    assert "400 passed" == done.outcomes, done.out + done.err
    of_runner, all_of_them = map(int, (project / "seen").read_text().split())
    assert all_of_them >= 4
    assert of_runner > all_of_them / 2


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_session_of_one_trace_below_the_jobs(project):
    """`--autoscope-trace=session` has a span above all tests, and `TRACEPARENT` one above that."""
    found = session(project, *FULL, "--autoscope-trace=session", "-k", "1 or 2", TRACEPARENT=f"00-{TRACE}-{PARENT}-01")
    assert "2 passed, 7 deselected" == found.outcomes, found.out + found.err
    spans = found.spans()
    assert {int(TRACE, 16)} == {span.trace_id for span in spans.all}
    (top,) = [span for span in spans.all if span.parent_id == int(PARENT, 16)]
    assert "pytest session" == top.name
    assert 2 == top.attributes["pytest.passed"]
    below = [span.name for span in spans.below(top)]
    assert below[0] == "shop.cart.prepared", "outside of tests calls belong to the session"
    assert set(spans.tests()) == set(below[1:])


def test_a_rate_of_tests(project):
    """Whole tests are left out; a job that is not sampled has none."""
    none = session(project, *FULL, "--autoscope-rate=0")
    assert "9 passed" == none.outcomes
    some = session(project, *FULL, TRACEPARENT=f"00-{TRACE}-{PARENT}-00")
    assert "9 passed" == some.outcomes
    assert not (project / ".autoscope/runs").exists() or not list((project / ".autoscope/runs").glob("*/*.db"))


BROKEN = """\
import pytest


collected = []


class Parameters:
    def items(self):
        if collected:
            raise RuntimeError("odd")
        return []


class Specification:
    params = Parameters()


def pytest_collection_finish():
    collected.append(True)


class Odd(pytest.Item):
    callspec = Specification()
    cls = None

    def runtest(self):
        from shop.db import query

        assert query("ab") == 2


class File(pytest.File):
    def collect(self):
        yield Odd.from_parent(self, name="one")
        yield Odd.from_parent(self, name="two")


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".odd":
        return File.from_parent(parent, path=file_path)
"""


def test_our_own_failure_is_said_once_and_changes_nothing(tmp_path):
    """Here an item that cannot be asked for its parameters."""
    place = write(tmp_path, SHOP | {"conftest.py": BROKEN, "tests/x.odd": "", "tests/test_numbers.py": TESTS})
    found = session(place, *FULL, "-k", "one or two or 3", AUTOSCOPE_STRICT="")
    assert (0, "3 passed, 8 deselected") == (found.code, found.outcomes), found.out + found.err
    assert 1 == found.out.count("autoscope: something of a test is not recorded: RuntimeError: odd (test-untraced)\n")
    assert ["tests/test_numbers.py::test_number[3]"] == [name for name in found.spans().tests() if name.endswith("[3]")]
    strict = session(place, *FULL, "-k", "one")
    assert 0 != strict.code, "under AUTOSCOPE_STRICT it is raised"


def test_it_joins_what_is_there(project):
    """`autoscope run -- -m pytest --autoscope`: plan and run are those of `run`, and what cannot be heeded is said."""
    import sys

    run = (
        sys.executable,
        "-m",
        "autoscope",
        "run",
        "--quiet",
        "--strategy",
        "full_trace",
        "--include",
        "shop.db",
        "--",
    )
    found = session(project, *FULL, command=run)
    assert (0, "9 passed") == (found.code, found.outcomes), found.out + found.err
    assert "autoscope was active before pytest began: --autoscope-strategy not heeded (pytest-joined)" in found.out
    spans = found.spans()
    assert 9 == len(spans.tests())
    assert "tests/test_numbers.py::test_number[1] > call > shop.db.query" in spans.ways()
    assert {"shop.db.query"} == set(counted(found))
