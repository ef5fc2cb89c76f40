"""What is told of a test that failed: the way through the application's own functions to where it went wrong, with their arguments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from autoscope.ours import keep_builtins
from autoscope.runtime import capture, sites
from autoscope.testing.asserting import Seen, Tape, family
from autoscope.testing.spans import Open

keep_builtins(globals())

if TYPE_CHECKING:
    from types import FrameType

MOST_STEPS = 12
"""Functions of a way that are shown, of the short form; the last ones."""
MOST_CALLS = 5
"""Calls shown of a test that failed by itself."""
MOST_WIDE = 110
MOST_LINES = 200


def describe(error: BaseException, test: Open, phase: Open, tape: Tape, show: str, run_id: str) -> str:
    """The section of a test's report that failed in `phase`; `show` is `short` or `long`."""
    steps = way_of(error)
    lines: list[str] = []
    if steps:
        left_out = max(len(steps) - MOST_STEPS, 0) if show == "short" else 0
        if left_out:
            lines.append(f"… {left_out} more")
        for depth, (place, call) in enumerate(steps[left_out:]):
            lines.append(_cut(f"{'  ' * depth}{call}", f"  {place}"))
        lines.append(_cut(f"{'  ' * (len(steps) - left_out)}{capture.type_name(type(error))}: {_first_line(error)}"))
    if test.trace is not None and (show == "long" or not steps):
        top = test if show == "long" else phase
        _, first = family(tape.records(test.trace.trace_id), top.span_id, [phase])
        if show == "long":
            lines += ["", "calls of this test:"] if lines and first else []
            _tell(first, 0, lines)
        elif first:
            lines += [] if len(first) <= MOST_CALLS else [f"… {len(first) - MOST_CALLS} calls before"]
            lines += [_line(seen) for seen in first[-MOST_CALLS:]]
    if run_id and test.trace is not None:
        lines.append(f"autoscope view '{run_id}#{test.site.qualname}'")
    return "\n".join(lines)


def way_of(error: BaseException) -> list[tuple[str, str]]:
    """(place, call) of each traced function the exception came through, outermost first."""
    steps = []
    entry = error.__traceback__
    while entry is not None:
        site = sites.site_of(entry.tb_frame.f_code)
        if site is not None:
            place = f"{os.path.relpath(site.file) if site.file[:1] == os.sep else site.file}:{entry.tb_lineno}"
            steps.append((place, f"{site.name}({_arguments(entry.tb_frame)})"))
        entry = entry.tb_next
    return steps


def _arguments(frame: FrameType) -> str:
    """As they are now: a function may have given its parameters other values since."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    values = frame.f_locals
    told = []
    for name in code.co_varnames[:count]:
        if name in values:
            value = capture.REDACTED if capture.is_secret(name) else _shown(values[name])
            told.append(f"{name}={value}")
    return ", ".join(told)


def _shown(value: Any) -> str:
    return _short(repr(value[: capture.MOST_CHARACTERS]) if type(value) is str else capture.render(value))


def _short(rendered: Any) -> str:
    """What was captured: of text that stood for something else and of text itself nobody can tell which it was."""
    text = str(rendered)
    return text if len(text) <= 40 else text[:39] + "…"


def _first_line(error: BaseException) -> str:
    from autoscope.runtime.calls import message_of

    return message_of(error).partition("\n")[0]


def _line(seen: Seen) -> str:
    told = [(key[14:], value) for key, value in seen.attributes.items() if key.startswith("autoscope.arg.")]
    arguments = ", ".join([f"{name}={_short(value)}" for name, value in told]) if told else "…"
    result = f" -> {_short(seen.attributes['autoscope.return'])}" if "autoscope.return" in seen.attributes else ""
    failed = f" raised {seen.error}" if seen.error else ""
    return _cut(f"{seen.name}({arguments}){result}{failed}", f"  {seen.duration_ns / 1e6:.2f} ms")


def _tell(calls: list[Seen], depth: int, lines: list[str]) -> None:
    for seen in calls:
        if len(lines) >= MOST_LINES:
            if lines[-1] != "…":
                lines.append("…")
            return
        lines.append("  " * depth + _line(seen))
        _tell(seen.below, depth + 1, lines)


def _cut(text: str, end: str = "") -> str:
    room = MOST_WIDE - len(end)
    return (text if len(text) <= room else text[: room - 1] + "…") + end
