"""The hooks that are there while tests are traced: which span is open when, and what it says in the end.

Whatever goes wrong here is said once and goes by: the outcome of a suite is never ours to change.
"""

from __future__ import annotations

import functools
import inspect
import os
import unittest
from typing import TYPE_CHECKING, Any

import pytest

from autoscope import errors
from autoscope.bootstrap import CARRIER
from autoscope.errors import from_a_signal, notice
from autoscope.ours import keep_builtins
from autoscope.runtime import capture, sampling, sites
from autoscope.runtime.ambient import NOTHING, Ambient, from_carrier
from autoscope.runtime.calls import message_of
from autoscope.runtime.drain import CHUNK
from autoscope.runtime.quota import Quota
from autoscope.runtime.sites import WIDTH, Site
from autoscope.runtime.spans import Clock, Words
from autoscope.testing import failure, parts
from autoscope.testing.asserting import WAIT_SECONDS, Tape, wants_all
from autoscope.testing.spans import Open, Stage, begin_trace, make_site
from autoscope.testing.start import Started, check, is_disabled, option, start

keep_builtins(globals())

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MOST_PARAMETERS = 16
WAITED_SECONDS, WAITED_OF_WORKER = 0.5, 0.1
"""What has waited so long is handed over when a test has ended: sooner than our thread would do it, in the middle of another. A worker may
be gone with the next."""
UNDISTURBED_SECONDS, LOOK_SECONDS, LOOK_ROUND_SECONDS = 3.0, 0.5, 4
"""A session is open to `autoscope ps` and the like when it has taken so long, and then looks so often for who wants something, and for
modules that were loaded past the import hook: all of it is done beside a test, in its time."""
MOST_WAITING = 8 * CHUNK
"""Records that wait for a test's end."""
SCOPE = "pytest.fixture.scope"
"""What fixtures have that tests share."""
NO_ERRORS = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
NO_FIXTURES = ("autoscope", "get_direct_param_fixture_func")
"""Functions of fixtures that do nothing anybody wants to know: ours, and what stands for a parameter."""


def begin(config: pytest.Config, name: str, *, asked_only: bool = False) -> None:
    """Trace the tests of this session; `asked_only`: those with the fixture, and nothing is stored."""
    if is_disabled():
        return
    check(config)
    config.pluginmanager.register(Suite(config, start(config, asked_only=asked_only), asked_only), name)


class Test:
    """A test that is being run, one attempt of it."""

    __test__ = False

    def __init__(self, item: pytest.Item, span: Open, attempt: int) -> None:
        self.item = item
        self.span = span
        self.attempt = attempt
        self.phase: Open | None = None
        self.phases: dict[str, Open] = {}
        self.waiting: Open | None = None
        """A phase that has ended, and of which nothing is known yet but that."""
        self.reports: dict[str, Any] = {}
        self.exact = False
        self.hidden: tuple[str, ...] = ()
        """Phases in which calls were only counted, before every call was asked for."""
        self.parts: list[Open] = []
        """Subtests that have begun and of which not all is known yet, innermost last."""
        self.part_failed = False
        """Whether a subtest has, which pytest counts by itself."""

    def outcome(self) -> str:
        """As pytest counts it."""
        for when in ("setup", "call", "teardown"):
            report = self.reports.get(when)
            if report is None or (report.passed and not hasattr(report, "wasxfail")):
                continue
            if report.failed:
                return "failed" if when == "call" else "error"
            if hasattr(report, "wasxfail"):
                return "xfailed" if report.skipped else "xpassed"
            return str(report.outcome)
        if self.part_failed:
            return "failed"
        return "passed" if "call" in self.reports else ""


class Suite:
    """One session's spans. `guarded` methods raise nothing of ours."""

    def __init__(self, config: pytest.Config, started: Started, asked_only: bool = False) -> None:
        self.config = config
        self.asked_only = asked_only
        """Whether only tests that ask for it are traced."""
        self.started = started
        self.running = started.running
        environ = os.environ
        self.remote: Ambient | None = from_carrier(environ.get(CARRIER, "")) or from_carrier(
            environ.get("TRACEPARENT", ""), environ.get("TRACESTATE", "")
        )
        """What the whole session is part of: a job of the CI's, or a test that has started this one."""
        self.worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        self.handed = 0.0
        """When it was last seen to that what waits is handed over, by the monotonic clock."""
        self.waited = WAITED_OF_WORKER if self.worker else WAITED_SECONDS
        # Where all of pytest is traced, and only some tests want to know more, nothing is taken from it.
        self.beside = asked_only and started.joined
        self.stage = Stage(sampling.ambient if self.beside else NOTHING)
        self.session: Open | None = None
        if option(config, "trace") == "session" and not self.worker and not asked_only:
            self.session = begin_trace(make_site("pytest session"), self.remote)
            self.remote = self.session.ambient
            self.stage.stand_by(self.remote)
        self.junit = bool(
            getattr(config.option, "xmlpath", None) or getattr(config.known_args_namespace, "xmlpath", None)
        )
        self.show = option(config, "show") or "short"
        self.test: Test | None = None
        self.sites: dict[tuple[str, str, int], Site] = {}
        self.marked: tuple[Any, tuple[str, ...]] = None, ()
        """What the last test stood in, and its markers."""
        self.tape = Tape(self.running)
        self.quota: Quota | None = None
        """What has calls only counted; None where all are recorded."""
        if started.allowance is not None and self.running.quota is None:
            self.quota = self.running.quota = Quota(*started.allowance)
        self.running.drain.enough = MOST_WAITING * WIDTH
        if not started.joined:
            self.running.control_from = Clock.monotonic() + UNDISTURBED_SECONDS
            self.running.control_every = LOOK_SECONDS
            self.running.look_every = LOOK_ROUND_SECONDS
        self.counts: dict[str, int] = {}
        self.told = 0
        """Notices that pytest has shown."""
        self.gate: Any = None
        """What compares this session with another, where that is asked for."""
        if not self.worker and not asked_only and (option(config, "baseline") or option(config, "save_baseline")):
            from autoscope.testing.gate import Gate

            self.gate = Gate(config, self.running)

    def guarded(self, action: Callable[..., Any], *args: Any) -> Any:
        """What `action` gives, or None where it fails."""
        try:
            return action(*args)
        except Exception as error:
            if from_a_signal(error) or "AUTOSCOPE_STRICT" in os.environ:
                raise
            notice("test-untraced", f"something of a test is not recorded: {type(error).__name__}: {error}")
            return None

    # Tests.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.guarded(self.begin_test, item, 0)
        try:
            return (yield)
        finally:
            self.guarded(self.end_test)

    def begin_test(self, item: pytest.Item, attempt: int) -> Test | None:
        exact = wants_all(item)
        if self.beside and not exact:
            return None
        if self.quota is not None:
            self.count(self.session)
            self.quota.adopt()
        file, line = str(item.path), (item.location[1] or -1) + 1
        site = make_site(item.nodeid, file, line)
        if self.asked_only and not exact:
            span = Open(site, None, None)
        else:
            span = begin_trace(site, self.remote, at_any_rate=exact)
        self.test = test = Test(item, span, attempt)
        if exact:
            test.exact = True
            self.tape.begin_exact()
        else:
            self.tape.forget()
        self.stage.enter(span)
        if span.trace is None:
            return test
        attributes = span.attributes
        attributes["test.case.name"] = item.nodeid
        attributes["test.suite.name"] = item.nodeid.partition("::")[0]
        if self.worker:
            attributes["pytest.worker"] = self.worker
        if attempt:
            attributes["pytest.attempt"] = attempt
        markers = self.markers(item)
        if markers:
            attributes["pytest.markers"] = Words(markers)
        parameters = getattr(getattr(item, "callspec", None), "params", None) or {}
        for name, value in list(parameters.items())[:MOST_PARAMETERS]:
            attributes[f"pytest.parameter.{name}"] = (
                capture.REDACTED if capture.is_secret(name) else capture.render(value)
            )
        if self.junit:
            told = ("autoscope.trace_id", f"{span.trace.trace_id:032x}")
            item.user_properties[:] = [one for one in item.user_properties if one[0] != told[0]]
            item.user_properties.append(told)
        return test

    def markers(self, item: pytest.Item) -> dict[str, None]:
        """Names of a test's markers, its own first. What is above it is asked once for all tests that stand there in a row."""
        above = item.parent
        if above is not self.marked[0]:
            self.marked = above, () if above is None else tuple([mark.name for mark in above.iter_markers()])
        return dict.fromkeys([*[mark.name for mark in item.own_markers], *self.marked[1]])

    def end_test(self, outcome: str = "") -> None:
        test = self.test
        if test is None:
            return
        self.test = None
        self.settle(test)
        self.stage.leave(test.span)
        self.count(test.span)
        self.stage.tell_children()
        if test.exact:
            self.tape.end_exact()
        outcome = outcome or test.outcome()
        attributes = test.span.attributes
        if outcome:
            attributes["pytest.outcome"] = outcome
            self.counts[outcome] = self.counts.get(outcome, 0) + 1
            if outcome != "skipped":
                attributes["test.case.result.status"] = "fail" if outcome in ("failed", "error", "rerun") else "pass"
        test.span.record()
        drain = self.running.drain
        now = Clock.monotonic()
        waited = False
        if drain.steer is None:  # a budget has its own rhythm
            waited = now - self.handed >= self.waited
            drain.drained = now  # our thread's turn comes when the next test has taken so long by itself
        if (waited and sites.records) or len(sites.records) >= CHUNK * WIDTH:
            self.handed = now
            # Between two tests, and at once: beside one our thread would get its turn late, and the buffer has an end. And it
            # opens files, whose numbers a test may have closed just now, which looks whether they are closed.
            drain.catch_up(WAIT_SECONDS)

    def count(self, span: Open | None) -> None:
        """What was only counted since this was last asked belongs to this span; None: to nothing."""
        if self.quota is None:
            return
        if span is None:
            self.quota.skip()
            return
        counted = self.quota.take()
        for number, calls in span.counted.items():  # of a fixture that tests share
            counted[number] = counted.get(number, 0) + calls
        span.counted = counted

    def counting(self) -> Open | None:
        """To which of the open spans calls belong that are only counted: a fixture that tests share, or the test."""
        shared = [one for one in self.stage.open if SCOPE in one.attributes]
        if shared:
            return shared[-1]
        return None if self.test is None else self.test.span

    # Phases.

    # Wrappers cost more than hooks: only `call` is one, during which pytest may report on parts of it. The others end with their report.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self.guarded(self.begin_phase, item, "setup")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self.guarded(self.begin_phase, item, "call")
        undo = self.guarded(parts.watch_case, self, item)
        try:
            return (yield)
        finally:
            if undo is not None:
                undo()
            self.guarded(self.end_phase)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        self.guarded(self.begin_phase, item, "teardown")

    def begin_phase(self, item: pytest.Item, when: str) -> None:
        test = self.test
        if test is None or test.item is not item:
            return  # a runner of its own, which knows no protocol
        if when in test.phases:  # once more from the beginning
            attempt = test.attempt + 1
            self.end_test("rerun")
            test = self.begin_test(item, attempt)
            if test is None:
                return
        self.settle(test)
        test.phase = test.phases[when] = self.stage.enter(test.span.below(self.site(when)), told=True)

    def end_phase(self) -> None:
        test = self.test
        if test is not None and test.phase is not None:
            self.stage.leave(test.phase)
            test.waiting, test.phase = test.phase, None

    def settle(self, test: Test) -> None:
        """Nothing more will be known of a phase that has ended."""
        if test.phase is not None:
            self.stage.leave(test.phase)
            test.phase.record()
            test.phase = None
        if test.waiting is not None:
            # Most tests have nothing set up and nothing cleared up. What a test calls is looked for in `call`.
            if test.waiting is test.phases.get("call") or not test.waiting.tells_nothing():
                test.waiting.record()
            test.waiting = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        if call.when != "call":
            self.guarded(self.end_phase)
        report = yield
        self.guarded(self.hear, item, call, report)
        return report

    def hear(self, item: pytest.Item, call: pytest.CallInfo[None], report: Any) -> None:
        """How a phase ended, or a part of one that pytest reports by itself."""
        test = self.test
        if test is None or test.item is not item:
            return
        error = call.excinfo.value if call.excinfo is not None and report.failed else None
        if test.phase is not None:  # it is still going on
            self.hear_part(test, call, report, error)
            return
        test.reports[call.when] = report
        if test.waiting is None:
            return
        phase = test.waiting
        phase.error = error
        if report.outcome != "passed":
            phase.attributes["pytest.outcome"] = report.outcome
        if error is not None and test.span.failed is None:
            test.span.failed = capture.type_name(type(error)), message_of(error)
        self.settle(test)
        self.tell_failure(test, phase, report, error)

    def tell_failure(self, test: Test, phase: Open, report: Any, error: BaseException | None) -> None:
        """Have the report of what failed in `phase` show the way there."""
        if error is not None and self.show != "off":
            text = failure.describe(error, test.span, phase, self.tape, self.show, self.run_id())
            if text:
                report.sections.append(("autoscope", text))

    # Subtests.

    def begin_part(self) -> Open | None:
        """A subtest begins, in the `call` of a test."""
        test = self.test
        if test is None or test.phase is None:
            return None
        part = self.stage.enter(self.stage.open[-1].below(self.site("subtest")))
        test.parts.append(part)
        return part

    def hear_part(self, test: Test, call: pytest.CallInfo[None], report: Any, error: BaseException | None) -> None:
        """How a subtest ended; of one that nobody saw begin, it is known now when that was."""
        assert test.phase is not None
        test.part_failed = test.part_failed or report.failed
        seen = test.parts[-1] if test.parts and test.parts[-1].end else None
        part = seen or test.phase.below(self.site("subtest"))
        part.attributes["pytest.outcome"] = report.outcome
        part.error = error
        if seen is None:
            part.start = max(part.start - round(call.duration * 1e9), test.phase.start)
            part.record()
        self.tell_failure(test, part, report, error)

    def end_part(self, part: Open) -> None:
        if self.test is not None and part in self.test.parts:
            self.test.parts.remove(part)
        part.record()

    def hear_crash(self, report: Any) -> None:
        """A worker of xdist is gone, and the span of the test it was at with it: the first process tells of it."""
        if self.worker or not report.failed:
            return
        span = begin_trace(make_site(report.nodeid), self.remote)
        span.failed = "worker crashed", str(report.longrepr)
        span.attributes = {
            "test.case.name": report.nodeid,
            "test.suite.name": report.nodeid.partition("::")[0],
            "test.case.result.status": "fail",
            "pytest.outcome": "failed",
        }
        span.record()

    def run_id(self) -> str:
        """The run's id, where it is stored."""
        return self.running.run_id if self.running.store != "" else ""

    # Fixtures.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        opened = self.guarded(self.begin_fixture, fixturedef, "fixture")
        before = len(getattr(fixturedef, "_finalizers", ()))
        try:
            result = yield
        except BaseException as error:
            if opened is not None and not isinstance(error, NO_ERRORS):
                opened.error = error
            raise
        finally:
            if opened is not None:
                self.guarded(self.end_fixture, fixturedef, opened, before)
        if fixturedef.argname == parts.FIXTURE:
            self.guarded(parts.watch_fixture, self, result)
        return result

    def begin_fixture(self, fixturedef: Any, what: str) -> Open | None:
        if not self.stage.open or self.test is None or getattr(fixturedef.func, "__name__", "") in NO_FIXTURES:
            return None
        function = fixturedef.func
        if hasattr(function, "__wrapped__"):
            function = inspect.unwrap(function)
        code = getattr(function, "__code__", None)
        place = ("", 0) if code is None else (code.co_filename, code.co_firstlineno)
        opened = self.stage.open[-1].below(self.site(f"{what} {fixturedef.argname}", *place))
        if fixturedef.scope != "function":
            # Whose calls are in whichever test comes first: readers do not count them as that test's.
            self.count(self.counting())
            opened.attributes = {SCOPE: fixturedef.scope}
        return self.stage.enter(opened)

    def end_fixture(self, fixturedef: Any, opened: Open, before: int) -> None:
        self.leave_fixture(opened)
        if len(getattr(fixturedef, "_finalizers", ())) > before:
            # The last to be registered is the first to be called, when what depends on this fixture is gone.
            fixturedef.addfinalizer(functools.partial(self.guarded, self.begin_finalizer, fixturedef))

    def begin_finalizer(self, fixturedef: Any) -> None:
        self.begin_fixture(fixturedef, "finalizer")

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        self.guarded(self.end_finalizer, fixturedef)

    def end_finalizer(self, fixturedef: Any) -> None:
        now = self.stage.open[-1] if self.stage.open else None
        if now is not None and now.site.qualname == f"finalizer {fixturedef.argname}":
            self.leave_fixture(now)

    def leave_fixture(self, opened: Open) -> None:
        self.stage.leave(opened)
        if SCOPE in opened.attributes:
            self.count(opened)
        opened.record()

    # Examples.

    def watch_examples(self, item: pytest.Function) -> Callable[[], None] | None:
        """Have each example that Hypothesis tries be a span, by the attribute it offers to plugins; async tests have their own in it."""
        handle = getattr(item.obj, "hypothesis", None)
        inner = getattr(handle, "inner_test", None)
        if handle is None or inner is None or inspect.iscoroutinefunction(inner):
            return None
        site = self.site("example")

        @functools.wraps(inner)
        def example(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            opened = self.guarded(self.begin_example, site)
            try:
                return inner(*args, **kwargs)
            except BaseException as error:
                if opened is not None and not type(error).__module__.startswith("hypothesis"):
                    opened.error = error
                raise
            finally:
                if opened is not None:
                    self.guarded(self.end_example, opened)

        handle.inner_test = example

        def undo() -> None:
            if handle.inner_test is example:
                handle.inner_test = inner

        return undo

    def begin_example(self, site: Site) -> Open:
        return self.stage.enter(self.stage.open[-1].below(site))

    def end_example(self, opened: Open) -> None:
        self.stage.leave(opened)
        opened.record()

    # The session.

    def site(self, name: str, file: str = "", line: int = 0) -> Site:
        key = name, file, line
        found = self.sites.get(key)
        if found is None:
            found = self.sites[key] = make_site(*key)
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        plugins = self.config.pluginmanager
        if plugins.has_plugin("dsession"):
            plugins.register(Crashes(self))
        if plugins.has_plugin("hypothesispytest"):
            plugins.register(Examples(self))

    def pytest_report_header(self) -> list[str]:
        plan = self.running.plan
        which = ", ".join(plan.include[:4]) + (", …" if len(plan.include) > 4 else "") or "own modules"
        budget = "" if plan.budget_overhead is None else f" within {100 * plan.budget_overhead:.3g} %"
        run = self.run_id()
        return [f"autoscope: {plan.strategy}{budget}, {which}" + (f"; run {run}" if run else ""), *self.notices()]

    def notices(self) -> list[str]:
        """What was said since this was asked last: on standard error, which pytest captures."""
        new = errors.notices[self.told :]
        self.told += len(new)
        return [f"autoscope: {text} ({slug})" for slug, text in new]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.guarded(self.end_session)
        if self.gate is not None and self.guarded(self.gate.judge) and not session.exitstatus:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def end_session(self) -> None:
        if self.session is not None:
            self.stage.stand_by(NOTHING)
            for outcome, count in self.counts.items():
                self.session.attributes[f"pytest.{outcome}"] = count
            self.session.record()
            self.session = None
        self.running.drain.catch_up(
            WAIT_SECONDS
        )  # a worker's records, too, are there when the first process reads them
        self.running.write_meta()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        self.guarded(self.summarize, terminalreporter)

    def summarize(self, reporter: Any) -> None:
        for line in self.notices():
            reporter.write_line(line)
        if self.worker or not self.run_id():
            return
        if self.gate is not None:
            self.gate.show(reporter)
        from autoscope.testing.durations import show

        count = option(self.config, "durations")
        show(reporter, self.running.kept_in, self.run_id(), None if count is None else int(count))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self.guarded(self.end)

    def end(self) -> None:
        self.tape.close()
        if self.quota is not None:
            self.quota.rest()
        self.running.drain.enough = CHUNK * WIDTH
        self.stage.close()
        self.started.stop()


class Crashes:
    """There where tests are handed out to workers."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when not in ("setup", "call", "teardown"):
            self.suite.guarded(self.suite.hear_crash, report)


class Examples:
    """There where Hypothesis is."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        undo = self.suite.guarded(self.suite.watch_examples, pyfuncitem)
        try:
            return (yield)
        finally:
            if undo is not None:
                undo()
