"""The fixture `autoscope`: exact counts, a tree for approval, and no way to count what is not there."""

from __future__ import annotations

from suite_kit import SHOP, session, write

TESTS = """\
import threading

import pytest
from shop.cart import Cart
from shop.db import query

TREE = '''\\
shop.cart.Cart.__init__
shop.cart.Cart.add x3
  shop.db.query x3
shop.db.query x2'''


@pytest.fixture
def cart():
    cart = Cart()
    cart.add("fixture")
    return cart


def test_calls(cart, autoscope):
    Cart()
    for _ in range(3):
        cart.add("ab")
    assert autoscope.calls("shop.db.query") == 3
    assert autoscope.calls("shop.db.query", phase="setup") == 1
    assert autoscope.calls("shop.*", phase=None) == 10
    query("direct")
    thread = threading.Thread(target=query, args=("thread",))
    thread.start()
    thread.join()
    assert autoscope.trace.tree() == TREE
    assert len(autoscope.trace_id) == 32


def test_spans(cart, autoscope):
    with pytest.raises(ValueError):
        cart.add("ab", -1)
    cart.add("ab", 2)
    first, second = autoscope.spans("shop.cart.Cart.add")
    assert (first.error, second.error) == ("ValueError", "")
    assert first.error_message == "not -1 of ab"
    assert first.duration_ns >= first.below[0].duration_ns > 0
    assert second.attributes["autoscope.arg.quantity"] == 2
    assert [one.name for one in second.below] == ["shop.db.query"]
    assert second.below[0].above is second


def test_many(autoscope):
    for _ in range(30_000):
        query("")
    assert autoscope.calls("shop.db.query") == 30_000


def test_unknown(autoscope):
    from autoscope import AutoscopeError

    with pytest.raises(AutoscopeError, match="no traced function is named shop.db.querry; like it: shop.db.query"):
        autoscope.calls("shop.db.querry")


def test_without():
    query("ab")


def test_late(request):
    query("ab")
    autoscope = request.getfixturevalue("autoscope")
    query("ab")
    assert autoscope.calls("shop.db.query") == 1
"""
PLAN = """\
version: 1
strategy: full_trace
include: ["shop.*"]
budget: {overhead: 0.1%}
sampling: {rate: 0.001}
modules:
  shop.db: {functions: {query: {rate: 0.01}}}
"""


def test_exact_whatever_the_plan_says(tmp_path):
    """Rates of traces and of functions and a budget: of a test that asks every call is recorded; of the others as planned."""
    place = write(tmp_path, SHOP | {"tests/test_it.py": TESTS.replace("def test_late", "def late"), "plan.yaml": PLAN})
    found = session(place, "--autoscope", "--autoscope-plan=plan.yaml")
    assert (0, "5 passed") == (found.code, found.outcomes), found.out + found.err


def test_without_the_option(tmp_path):
    """Tests that ask are traced all the same, with every function, and nothing is stored."""
    place = write(tmp_path, SHOP | {"tests/test_it.py": TESTS.replace("def test_late", "def late")})
    found = session(place)
    assert (0, "5 passed") == (found.code, found.outcomes), found.out + found.err
    assert not (place / ".autoscope").exists()


def test_asked_for_in_the_middle_of_a_test(tmp_path):
    """Counting begins there."""
    place = write(tmp_path, SHOP | {"tests/test_it.py": TESTS})
    found = session(place, "--autoscope", "--autoscope-strategy=full_trace", "-k", "late")
    assert (0, "1 passed, 5 deselected") == (found.code, found.outcomes), found.out + found.err


def test_what_is_not_traced_cannot_be_counted(tmp_path):
    """A function that the strategy leaves out is named with the reason."""
    test = """\
def test_it(autoscope):
    autoscope.calls("shop.cart.Cart.add")
    autoscope.calls("shop.tiny.one")
"""
    place = write(
        tmp_path,
        SHOP
        | {
            "src/shop/tiny.py": "def one():\n    return 1\n",
            "tests/test_it.py": "import shop.cart, shop.tiny\n" + test,
        },
    )
    found = session(place, "--autoscope")
    assert "1 failed" == found.outcomes
    assert "shop.tiny.one is not traced: " in found.out
