"""The plugin where nobody asked for it, and pytest where autoscope was there before."""

from __future__ import annotations

import os
import sys

import pytest
from suite_kit import HAS_ENTRY_POINT, SHOP, SRC, session, write

LOADED = """\
import sys

def pytest_sessionfinish(session):
    print("loaded:", *sorted(name for name in sys.modules if name.partition(".")[0] == "autoscope"))
"""
TEST = "from shop.cart import Cart\n\ndef test_add():\n    assert Cart().add('ab', 2) == 4\n"


@pytest.fixture
def project(tmp_path):
    return write(tmp_path, SHOP | {"tests/test_cart.py": TEST, "tests/conftest.py": LOADED})


def test_inactive_it_imports_nothing_of_what_it_does_when_active(project):
    """Four small modules, and the suite is as it was; nothing is stored."""
    found = session(project, "-s")
    assert (0, "1 passed") == (found.code, found.outcomes), found.out + found.err
    assert "loaded: autoscope autoscope.errors autoscope.ours autoscope.pytest_plugin\n" in found.out
    assert not (project / ".autoscope").exists()


def test_the_test_above_can_fail(project):
    """What is loaded while active is seen by it, and `--no-autoscope` wins over the ini file."""
    found = session(project, "-s", "--autoscope")
    assert "autoscope.testing.suite" in found.out
    (project / "pytest.ini").write_text(SHOP["pytest.ini"] + "autoscope = true\n")
    assert "autoscope.testing.suite" in session(project, "-s").out
    assert "autoscope.testing.suite" not in session(project, "-s", "--no-autoscope").out


@pytest.mark.skipif(not HAS_ENTRY_POINT, reason="the installed autoscope has no plugin yet")
@pytest.mark.parametrize("arguments", [(), ("--autoscope",), ("-p", "no:autoscope"), ("-p", "autoscope")], ids=" ".join)
def test_the_entry_point_breaks_no_suite_whose_warnings_are_errors(project, arguments):
    """pytest warns of modules of plugins' distributions that are imported already."""
    found = session(project, *arguments, "-p", "no:asyncio", autoload=True)
    assert (0, "1 passed", "") == (found.code, found.outcomes, found.err), found.out


@pytest.mark.parametrize("way", ["run", "environment", "optimized"])
def test_nor_where_autoscope_is_there_before_pytest(project, way):
    """`autoscope run -- -m pytest`, our `sitecustomize`, and no docstrings at all."""
    arguments = ["-p", "no:asyncio", "-W", "error::pytest.PytestAssertRewriteWarning"]
    command = ()
    environ = {}
    if way == "environment":
        environ = {"AUTOSCOPE_INCLUDE": "shop.*", "PYTHONPATH": os.path.dirname(SRC) + os.pathsep + SRC}
    else:
        command = (sys.executable, "-m", "autoscope", "run", "--quiet", "--include", "shop.*", "--")
    if way == "optimized":
        environ["PYTHONOPTIMIZE"] = "2"
        arguments += ["-W", "ignore:assertions not in test modules"]
    found = session(project, *arguments, command=command, autoload=True, **environ)
    assert (0, "1 passed") == (found.code, found.outcomes), found.out + found.err
    names = {one.name for one in found.run().functions()}
    assert {"shop.cart.Cart.add", "shop.db.query"} <= names
    assert not found.spans().tests(), "a test's span without --autoscope"


def test_settings_that_cannot_be_used_are_said_before_any_test(project):
    """As any wrong use of pytest: exit code 4, and one line that says why."""
    found = session(project, "--autoscope", "--autoscope-strategy", "everything")
    assert 4 == found.code
    assert "ERROR: autoscope: " in found.err
    assert "everything" in found.err
    for settings in (("trace", "all"), ("show", "much"), ("gate", "always"), ("durations", "many")):
        found = session(project, "--autoscope", "-o", "autoscope_{}={}".format(*settings))
        assert 4 == found.code, found.out
        assert "ERROR: autoscope: autoscope_{}: '{}'".format(*settings) in found.err


def test_a_store_that_cannot_be_made(project):
    """The tests run, and it is said what to do about it in words of pytest's."""
    (project / "file").write_text("")
    found = session(project, "--autoscope", "--autoscope-store=file/store")
    assert (0, "1 passed") == (found.code, found.outcomes), found.out + found.err
    assert "nothing is stored; name another place with --autoscope-store (store-unusable)" in found.out


def test_disabled_by_environment_nothing_happens(project):
    """`AUTOSCOPE_DISABLED` is stronger than the option."""
    found = session(project, "--autoscope", AUTOSCOPE_DISABLED="1")
    assert (0, "1 passed") == (found.code, found.outcomes)
    assert not (project / ".autoscope").exists()
