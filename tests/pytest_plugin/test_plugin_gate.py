"""A session beside a baseline: what is called too often, or not any more, fails it."""

from __future__ import annotations

import pytest
from suite_kit import SHOP, session, write

WORKERS = ("-p", "xdist", "-n", "2")

TESTS = """\
import pytest
from shop.cart import Cart


@pytest.mark.parametrize("number", range(4))
def test_number(number):
    Cart().add("ab" * number)
"""


@pytest.fixture
def project(tmp_path):
    return write(tmp_path, SHOP | {"tests/test_numbers.py": TESTS})


def test_a_session_is_compared_with_a_baseline(project):
    """The same calls are aligned, more or fewer by far are a miss, and the session fails for that alone."""
    saved = session(project, "--autoscope", "--autoscope-save-baseline=calls.jsonl")
    assert saved.code == 0, saved.out + saved.err
    assert "4 tests saved in calls.jsonl" in saved.out
    same = session(project, "--autoscope", "--autoscope-baseline=calls.jsonl")
    assert same.code == 0, same.out + same.err
    assert "compared with calls.jsonl" in same.out
    assert "ALIGNED" in same.out

    changed = SHOP["src/shop/cart.py"].replace("query(sku) * quantity", "sum(query(sku) for _ in range(40))")
    write(project, {"src/shop/cart.py": changed})
    more = session(project, "--autoscope", f"--autoscope-baseline={same.run().id}", "--autoscope-save-baseline=b.jsonl")
    assert more.code == 1, more.out + more.err
    assert more.outcomes == "4 passed"
    assert "CRITICAL_MISS" in more.out
    assert "shop.db.query: called 1 -> 40 times" in more.out
    told = session(project, "--autoscope", "--autoscope-baseline=calls.jsonl", "--autoscope-gate=never")
    assert told.code == 0
    assert "CRITICAL_MISS" in told.out
    assert "range(40)" not in told.out
    assert (project / "b.jsonl").read_text().count("shop.db.query") == 4


TABLES = """\
from shop.db import query


def make(count):
    return [query("name") for _ in range(count)]


def drop(count):
    return make(count)
"""
SHARED = """\
import pytest
from shop import tables
from shop.cart import Cart


@pytest.fixture(scope="session")
def made():
    yield tables.make(10)
    tables.drop(10)


@pytest.mark.parametrize("number", range(8))
def test_number(made, number):
    Cart().add("ab" * number)
"""


def test_workers_beside_a_baseline(tmp_path):
    """Of one process and of four: what a shared fixture calls is each worker's, in whichever test comes first there."""
    project = write(tmp_path, SHOP | {"tests/test_shared.py": SHARED, "src/shop/tables.py": TABLES})
    for workers, others in (((), WORKERS), (WORKERS, ())):
        saved = session(project, "--autoscope", "--autoscope-save-baseline=calls.jsonl", *workers)
        assert saved.code == 0, saved.out + saved.err
        assert saved.out.count("8 tests saved in calls.jsonl") == 1
        assert (project / "calls.jsonl").read_text().count("shop.db.query") == 8
        for options in (others, ("--deselect", "tests/test_shared.py::test_number[0]")):
            compared = session(project, "--autoscope", "--autoscope-baseline=calls.jsonl", *options)
            assert "ALIGNED" in compared.out, compared.out
            assert compared.out.count("compared with calls.jsonl") == 1
            assert compared.code == 0

    changed = SHOP["src/shop/cart.py"].replace("query(sku) * quantity", "sum(query(sku) for _ in range(40))")
    write(project, {"src/shop/cart.py": changed})
    more = session(project, "--autoscope", "--autoscope-baseline=calls.jsonl", *WORKERS)
    assert more.code == 1
    assert "8 CRITICAL_MISS" in more.out
    assert "shop.db.query: called 1 -> 40 times" in more.out


def test_a_baseline_that_cannot_be_read(project):
    """Said in one line before any test is run."""
    (project / "broken.jsonl").write_text("{}\n")
    for name, words in (("nowhere", "no such file"), ("broken.jsonl", "broken.jsonl:1")):
        refused = session(project, "--autoscope", f"--autoscope-baseline={name}")
        assert refused.code == 4
        assert words in refused.err
        assert "passed" not in refused.out
