"""Baseline files: a measurement as lines of JSON, to be kept beside the tests and compared with.

One line for the file, then one for each test, and below it one for each function called in it: what a change does to calls is
read in a `git diff`. The same measurement gives the same bytes. A file is read whole or refused, with its line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from autoscope.errors import AutoscopeError
from autoscope.read.runs import open_run
from autoscope.read.tests import Figures, Measured, Measurement, measure

VERSION = 1
WAY = "save it anew with `pytest --autoscope-save-baseline`"


def load(word: str, store: str) -> Measurement:
    """The baseline of that name: a file, or a run in the store. Raises AutoscopeError."""
    if os.path.isfile(word):
        return read(word)
    try:
        return measure(open_run(store, word))
    except AutoscopeError as error:
        if os.path.exists(word):
            raise
        raise AutoscopeError(f"can't compare with {word!r}: no such file, and {error}") from None


def write(measurement: Measurement, path: str) -> None:
    """Save it, whole or not at all. Raises AutoscopeError."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="ascii", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines_of(measurement))
        os.replace(temporary, path)
    except OSError as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # it was never made
        raise AutoscopeError(f"can't write {path}: {error.strerror}; name another file") from error


def lines_of(measurement: Measurement) -> Iterator[str]:
    """The file, line by line."""
    head = {"autoscope_baseline": VERSION, **{key: measurement.about[key] for key in sorted(measurement.about)}}
    lists = {"estimated": sorted(measurement.estimated), "doubts": list(measurement.doubts)}
    yield _json(head | {key: words for key, words in lists.items() if words})
    for id in sorted(measurement.cases):
        yield from _case_lines({"test": id}, measurement.cases[id])
    if not measurement.cases:
        yield from _case_lines({"test": None}, measurement.rest)


def _case_lines(head: dict[str, Any], measured: Measured) -> Iterator[str]:
    yield _json(head | {"outcome": measured.outcome} | ({} if measured.whole else {"whole": False}))
    for name in sorted(measured.functions):
        one = measured.functions[name]
        told: dict[str, Any] = {"function": name, "calls": round(one.calls)}
        told |= {"errors": one.errors} if one.errors else {}
        told |= {} if one.exact else {"exact": False}
        told |= {"counted": one.counted} if one.counted else {}
        yield _json(told | {"own_ns": round(one.own_ns), "total_ns": round(one.total_ns), "times_ns": list(one.times)})
    for caller, name, error in sorted(measured.swallowed):
        number = measured.swallowed[caller, name, error]
        yield _json({"swallowed": error, "function": name, "by": caller, "count": number})


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(", ", ": "))


def read(path: str) -> Measurement:
    """The measurement in a baseline file. Raises AutoscopeError: `file:line: what; way out`."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise AutoscopeError(f"can't read {path}: {error.strerror}; name a baseline, or a run") from error
    except UnicodeDecodeError:
        raise AutoscopeError(f"{path}:1: no baseline: it is not text; {WAY}") from None
    found: Measurement | None = None
    measured: Measured | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        told = _Told(place, line)
        if found is None:
            found = _head(told, path)
        elif "test" in told.values:
            measured = _case(told, found)
        elif measured is None:
            raise told.refuse("stands before the first test")
        elif "swallowed" in told.values:
            key = (told.text("by"), told.text("function"), told.text("swallowed"))
            measured.swallowed[key] = told.whole("count")
        else:
            measured.functions[told.text("function")] = _figures(told)
    if found is None:
        raise AutoscopeError(f"{path}:1: no baseline: it is empty; {WAY}")
    return found


def _head(told: _Told, path: str) -> Measurement:
    version = told.values.get("autoscope_baseline")
    if version is None:
        raise told.refuse("not a baseline: it begins otherwise")
    if version != VERSION:
        raise told.refuse(f"version {version!r} is not one this autoscope reads (it reads {VERSION})")
    lists = ("estimated", "doubts")
    about = {key: told.text(key) for key in told.values if key not in ("autoscope_baseline", *lists)}
    estimated, doubts = (told.texts(key) for key in lists)
    name = f"baseline {os.path.basename(path)}"
    return Measurement(name, estimated=frozenset(estimated), doubts=tuple(doubts), about=about)


def _case(told: _Told, found: Measurement) -> Measured:
    measured = Measured(told.text("outcome"), whole=told.flag("whole"))
    if told.values["test"] is None:
        found.rest = measured
        return measured
    id = told.text("test")
    if id in found.cases:
        raise told.refuse(f"{id} stands here twice")
    found.cases[id] = measured
    return measured


def _figures(told: _Told) -> Figures:
    times = told.values.get("times_ns", [])
    if not isinstance(times, list) or not all(type(one) is int for one in times):
        raise told.refuse("`times_ns` is not a list of whole numbers")
    return Figures(
        told.whole("calls"),
        told.whole("errors") if "errors" in told.values else 0,
        told.whole("own_ns"),
        told.whole("total_ns"),
        tuple(sorted(times)),
        told.flag("exact"),
        told.whole("counted") if "counted" in told.values else 0,
    )


class _Told:
    """One line, and what is wrong with it."""

    def __init__(self, place: str, line: str) -> None:
        self.place = place
        try:
            self.values = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = error.msg if isinstance(error, json.JSONDecodeError) else "too deep"
            raise self.refuse(f"not JSON: {what}") from None
        if not isinstance(self.values, dict):
            raise self.refuse("not an object")

    def refuse(self, why: str) -> AutoscopeError:
        return AutoscopeError(f"{self.place}: {why}; {WAY}")

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.refuse(f"`{key}` is not text")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.refuse(f"`{key}` is not a list of texts")
        return value

    def whole(self, key: str) -> int:
        value = self.values.get(key)
        if type(value) is not int or value < 0:
            raise self.refuse(f"`{key}` is not a whole number from 0 on")
        return value

    def flag(self, key: str) -> bool:
        value = self.values.get(key, True)
        if type(value) is not bool:
            raise self.refuse(f"`{key}` is neither true nor false")
        return value
