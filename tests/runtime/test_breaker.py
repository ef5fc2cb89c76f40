"""The circuit breaker: off in trouble, on again after a while, not for ever."""

from __future__ import annotations

import sys
import time

import pytest

import autoscope
from autoscope.errors import notices
from autoscope.runtime import breaker
from autoscope.runtime.breaker import COOL_SECONDS, EXPORT, HOLD_SECONDS, MEMORY, MOST_TRIES, QUEUE, Breaker, Troubles


class Switch:
    def __init__(self):
        self.said = []
        self.breaker = Breaker(lambda: self.said.append("off"), lambda: self.said.append("on"))
        self.now = 1000.0

    def look(self, seconds, *troubles):
        """Once a second, so long."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.breaker.look(troubles, self.now)
        return self.said


def test_trouble_has_to_last():
    """A moment is none; what comes and goes begins anew."""
    switch = Switch()
    switch.look(HOLD_SECONDS[QUEUE] - 1, QUEUE)
    switch.look(1)
    assert switch.look(HOLD_SECONDS[QUEUE], QUEUE) == []
    assert switch.look(1, QUEUE) == ["off"]


def test_one_trouble_after_the_other_is_not_one():
    """Each has a time of its own."""
    switch = Switch()
    assert switch.look(4, MEMORY) == []
    assert switch.look(4, EXPORT) == []
    assert switch.look(4, MEMORY) == []


def test_it_is_tried_again_and_at_last_not():
    """Twice as long each time."""
    switch = Switch()
    lasted = []
    for number in range(1, MOST_TRIES + 2):
        switch.look(HOLD_SECONDS[MEMORY] + 1, MEMORY)
        assert switch.said == ["off", "on"] * (number - 1) + ["off"]
        began = switch.now
        while switch.said[-1] == "off" and switch.now - began < 10_000:
            switch.look(1, MEMORY)
        lasted.append(switch.now - began)
    assert lasted[:MOST_TRIES] == pytest.approx([COOL_SECONDS * 2**number for number in range(MOST_TRIES)], abs=2)
    assert switch.said[-1] == "off"
    assert "circuit-stays-open" in [slug for slug, *_ in notices]


def test_export_that_fails_is_trouble_until_it_works():
    """Losing and exporting nothing; nothing tried is no sign that it works again."""
    counts = [(0, 0)]
    troubles = Troubles(lambda: counts[0])
    seen = []
    for pair in ((10, 0), (10, 5), (10, 5), (10, 9), (11, 9), (11, 9), (12, 20)):
        counts[0] = pair
        seen.append(EXPORT in troubles.now())
    assert seen == [False, True, True, True, False, False, False]


def test_memory_that_is_used_up_turns_everything_off(tmp_path, monkeypatch):
    """And when there is some again, everything on; with a real process's functions."""
    name = f"breaking_{time.monotonic_ns()}"
    (tmp_path / f"{name}.py").write_text("def f():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("AUTOSCOPE_STRICT", "1")
    monkeypatch.setattr(breaker, "memory_limit", lambda: 1)
    used = [100]
    monkeypatch.setattr(breaker, "memory_used", lambda: used[0])
    monkeypatch.setitem(HOLD_SECONDS, MEMORY, 0.5)
    monkeypatch.setattr(breaker, "COOL_SECONDS", 0.5)
    handle = autoscope.install(strategy="full_trace", include=[name], budget=0.05, store=str(tmp_path / "store"))
    try:
        module = __import__(name)
        plain = compile("def f():\n    return 1\n", module.__file__, "exec", dont_inherit=True).co_consts[0]

        def wait_for(is_authors):
            end = time.monotonic() + 30
            while (module.f.__code__ == plain) is not is_authors:
                assert time.monotonic() < end
                assert module.f() == 1
                time.sleep(0.01)

        wait_for(True)
        used[0] = 0
        wait_for(False)
    finally:
        handle.uninstall()
        sys.modules.pop(name, None)
