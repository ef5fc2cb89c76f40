"""Which modules are woven, and when; what pytest loads stays pytest's."""

from __future__ import annotations

import re

from suite_kit import SHOP, session, write

from autoscope.testing.start import left_to_pytest, project_modules

SUITE = SHOP | {
    "src/shop/checks.py": """\
def check(value, wanted):
    checked = [value]
    assert checked == [wanted]


def plainly(value):
    return [value]
""",
    "early.py": "from shop.db import query\n\n\ndef lengths():\n    return [query('early')]\n",
    "tests/conftest.py": """\
import pytest

pytest.register_assert_rewrite("shop.checks")

from shop.cart import Cart
from shop.checks import check


def helper():
    return [Cart()]


@pytest.fixture
def cart():
    return helper()[0]
""",
    "tests/test_all.py": """\
import early
from shop.checks import check


def own():
    return [1, 2][0]


def test_early():
    assert early.lengths() == [5]


def test_helper(cart):
    own()
    check(cart.add("ab"), 3)


def test_message(cart):
    assert cart.add("abc") == {"own": own()}


def test_error(cart):
    cart.add("ab", -2)


class TestClass:
    def test_local(self, cart):
        words = ["a", "b"]
        assert [cart.add(word) for word in words] == [1, 2], words
""",
}


def test_what_is_woven_and_that_messages_stay(tmp_path):
    """From the first import on, earlier ones in place, pytest's own loader kept: and every message is what it was."""
    place = write(tmp_path, SUITE)
    plain = session(place, "-p", "early", "-vv", "-l", PYTHONPATH=f"{place}:{place}/src")
    traced = session(place, "-p", "early", "-vv", "-l", "--autoscope", "--autoscope-strategy=full_trace",
                     "--autoscope-show=off", PYTHONPATH=f"{place}:{place}/src")  # fmt: skip
    assert "4 failed, 1 passed" == plain.outcomes == traced.outcomes, traced.out + traced.err
    assert plain.failures() == traced.failures()
    assert "assert [2] == [3]" in plain.failures(), "the helper's assertion was to be rewritten"
    run = traced.run()
    names = {one.name for one in run.functions()}
    assert {
        "shop.cart.Cart.add",
        "shop.cart.Cart.__init__",
        "shop.db.query",
        "shop.checks.check",
        "early.lengths",
    } == names - {"shop.cart.Cart.refuse"}
    woven = {name: how for process in run.processes for name, how in process.meta["modules"].items()}
    assert "import" == woven["shop.cart"]
    assert woven["early"].startswith("in place")
    assert woven["shop.checks"].startswith("in place")
    assert not [name for name in woven if "test" in name]


def test_the_way_to_a_failure(tmp_path):
    """What the application's own functions were called with, and where to see more; secrets are not shown."""
    place = write(
        tmp_path,
        SHOP
        | {
            "tests/test_cart.py": """\
from shop.cart import Cart


def test_error():
    Cart().add("ab", -2, password="hunter2")


def test_assertion():
    assert Cart().add("abc", password="hunter2") == 4


def test_unrelated():
    raise KeyError("own")
"""
        },
    )
    found = session(place, "--autoscope", "--autoscope-strategy=full_trace", "--autoscope-durations=2")
    assert "3 failed" == found.outcomes, found.out + found.err
    run = found.run().id
    sections = re.findall(r"^-+ autoscope -+\n(.*?)(?=^[_=]{3})", found.out, re.MULTILINE | re.DOTALL)
    times = [re.sub(r"\d+\.\d\d ms", "0 ms", section) for section in sections]
    assert [
        "shop.cart.Cart.add(self=<shop.cart.Cart>, sku='ab', quantity=-2, password=[redacted])  src/shop/cart.py:10\n"
        "  shop.cart.Cart.refuse(self=<shop.cart.Cart>, sku='ab', quantity=-2)  src/shop/cart.py:16\n"
        "    ValueError: not -2 of ab\n"
        f"autoscope view '{run}#tests/test_cart.py::test_error'\n",
        "shop.cart.Cart.__init__(self=<shop.cart.Cart>) -> None  0 ms\n"
        "shop.cart.Cart.add(self=<shop.cart.Cart>, sku=abc, quantity=1, password=[redacted]) -> 3  0 ms\n"
        f"autoscope view '{run}#tests/test_cart.py::test_assertion'\n",
        f"autoscope view '{run}#tests/test_cart.py::test_unrelated'\n",
    ] == times
    assert "hunter2" not in "".join(sections)
    assert "slowest 2 functions" in found.out
    long = session(
        place, "--autoscope", "--autoscope-strategy=full_trace", "--autoscope-show=long", "--autoscope-durations=0"
    )
    assert "calls of this test:\nshop.cart.Cart.__init__(" in long.out
    assert "slowest" not in long.out


def test_which_modules_are_the_projects(tmp_path):
    """By name, so that an installed copy is meant too; tests are pytest's, unless somebody asks for their package."""
    files = ["src/shop/__init__.py", "src/space/inner/__init__.py", "src/one.py", "tool/__init__.py", "data/x.txt", "setup.py",
             "conftest.py", "tests/__init__.py", "test_x.py", "app.py", "docs/__init__.py", "no-module/__init__.py"]  # fmt: skip
    place = write(tmp_path, dict.fromkeys(files, ""))
    patterns = ["test_*.py", "*_test.py"]
    assert ("one", "shop.*", "space.*", "app", "tool.*") == project_modules(place, patterns)
    assert () == project_modules(place / "data", patterns)
    globs = left_to_pytest(patterns)
    assert {"conftest", "*.conftest", "test_*", "*.test_*", "*_test", "tests.*", "*.tests.*", "*._tests.*"} <= set(
        globs
    )
    assert "tests.*" not in left_to_pytest(patterns, ["tests.helpers"])
    assert "*" not in left_to_pytest(["*.py"])
