"""The pytest plugin's options. All else is in `testing`, which is imported where tracing is asked for: inactive, this costs next to nothing."""

from __future__ import annotations

import pytest

from autoscope.ours import keep_builtins

keep_builtins(globals())

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from autoscope.testing.asserting import Observed

NAME = "autoscope-suite"
"""The plugin that is registered while active."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("autoscope", "tracing the application under test (autoscope)")
    add = group.addoption
    add("--autoscope", action="store_true", default=None, help="trace each test (off by default)")
    add("--no-autoscope", dest="autoscope", action="store_false", help="do not, whatever the ini file says")
    for name, metavar, what in (
        ("plan", "FILE", "the plan file"),
        ("strategy", "S", "minimal (default), balanced or full_trace"),
        ("rate", "R", "share of tests recorded, 0..1"),
        ("calls", "N|all", "record N calls of each function in a test (4; 32 with a strategy), count the others"),
        ("budget", "B", "share of the CPU time, as 3%%"),
        ("store", "DIR", "the local store (default .autoscope/)"),
        ("baseline", "FILE|RUN", "compare calls and times with these, and fail where calls differ too much"),
        ("save-baseline", "FILE", "save this session's calls and times"),
        ("gate", "WHEN", "at which verdict a session that passed fails: critical (default), drifted or never"),
    ):
        add(f"--autoscope-{name}", metavar=metavar, help=what)
        parser.addini(f"autoscope_{name.replace('-', '_')}", what.replace("%%", "%"))
    for name, what in (
        ("include", "modules to trace (repeatable)"),
        ("exclude", "modules to leave alone (repeatable)"),
    ):
        add(f"--autoscope-{name}", metavar="GLOB", action="append", default=[], help=what)
        parser.addini(f"autoscope_{name}", what, type="args", default=[])
    add("--autoscope-trace", choices=("test", "session"), help="what a trace is: one test (default), or all")
    add("--autoscope-show", choices=("short", "long", "off"), help="how much is shown of a failed test's calls (short)")
    add("--autoscope-durations", metavar="N", type=int, help="show the N slowest functions (10; 0: none)")
    parser.addini("autoscope", "trace each test", type="bool", default=False)
    parser.addini("autoscope_trace", "what a trace is: test or session")
    parser.addini("autoscope_show", "how much is shown of a failed test's calls: short, long or off")
    parser.addini("autoscope_durations", "how many of the slowest functions are shown")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before any conftest: what it imports is the application already.
    _begin(early_config, early_config.known_args_namespace)


def pytest_configure(config: pytest.Config) -> None:
    # Where this plugin was named by a conftest file, it was not there before.
    _begin(config, config.option)


def _begin(config: pytest.Config, options: Any) -> None:
    wanted = getattr(options, "autoscope", None)
    if (config.getini("autoscope") if wanted is None else wanted) and not config.pluginmanager.has_plugin(NAME):
        from autoscope.testing.suite import begin

        begin(config, NAME)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Tests that ask what was called have it told also where nobody asked for traces.
    plugins = session.config.pluginmanager
    if not plugins.has_plugin(NAME) and any("autoscope" in getattr(item, "fixturenames", ()) for item in session.items):
        from autoscope.testing.suite import begin

        begin(session.config, NAME, asked_only=True)


@pytest.fixture
def autoscope(request: pytest.FixtureRequest) -> Iterator[Observed]:
    """What the application's functions did in this test: `autoscope.calls("shop.db.query") <= 3`."""
    from autoscope.testing.asserting import observe

    yield from observe(request)
