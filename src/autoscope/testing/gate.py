"""What a test run's calls are compared with, and what that means for its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from autoscope.errors import AutoscopeError
from autoscope.ours import keep_builtins
from autoscope.read import baseline
from autoscope.read.compare import Comparison, compare, lines_of
from autoscope.read.runs import open_run
from autoscope.read.tests import measure
from autoscope.testing.start import option
from autoscope.verdicts import CRITICAL_MISS, DRIFTED

keep_builtins(globals())

if TYPE_CHECKING:
    from autoscope.bootstrap import Running

MOST_LINES = 20


class Gate:
    """One session's comparison with a baseline, and the baseline it saves."""

    def __init__(self, config: pytest.Config, running: Running) -> None:
        """Reads the baseline, before the tests have cost time. Raises `pytest.UsageError` where there is none of that name."""
        self.name = option(config, "baseline")
        self.path = option(config, "save_baseline")
        self.at = option(config, "gate") or "critical"
        """At which verdict a session that passed fails."""
        self.running = running
        self.found: Comparison | None = None
        self.said: list[str] = []
        self.before: Any = None
        if self.name:
            try:
                self.before = baseline.load(self.name, running.kept_in)
            except AutoscopeError as error:
                raise pytest.UsageError(f"autoscope: {error}") from None

    def judge(self) -> bool:
        """Compare and save; whether a session that passed is to fail."""
        try:
            now = measure(open_run(self.running.kept_in, self.running.run_id))
            if self.path:
                baseline.write(now, self.path)
                self.said.append(f"autoscope: {len(now.cases)} tests saved in {self.path}")
        except AutoscopeError as error:
            self.said.append(f"autoscope: {error}")
            return self.before is not None and self.at != "never"
        if self.before is None:
            return False
        self.found = compare(self.before, now, self.running.plan.compare)
        failing = {"critical": (CRITICAL_MISS,), "drifted": (CRITICAL_MISS, DRIFTED), "never": ()}[self.at]
        return self.found.verdict in failing

    def show(self, reporter: Any) -> None:
        """Write the verdict, and what it rests on."""
        if self.found is not None:
            reporter.write_sep("=", f"compared with {self.name}")
            for line in lines_of(self.found, MOST_LINES):
                reporter.write_line(line)
        for line in self.said:
            reporter.write_line(line)
