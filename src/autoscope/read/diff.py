"""Two runs function by function: what `autoscope diff` prints above its verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from autoscope.read.compare import Comparison, headline, lines_of
from autoscope.read.functions import Function
from autoscope.read.report import escape, human_time, shorten
from autoscope.read.tests import KINDS


@dataclass(frozen=True, slots=True)
class Change:
    """One function in both runs, None where it was not called."""

    name: str
    before: Function | None
    after: Function | None

    @property
    def state(self) -> str:
        """`new`, `gone` or empty."""
        return "new" if self.before is None else "gone" if self.after is None else ""

    def differs(self) -> bool:
        """In how often it was called, or ended by an exception."""
        if self.before is None or self.after is None:
            return True
        return (self.before.calls, self.before.errors) != (self.after.calls, self.after.errors)


def changes_of(before: Iterable[Function], after: Iterable[Function]) -> list[Change]:
    """Every function of either run: what differs in calls first, then by how much own time differs."""
    then, now = by_name(before), by_name(after)
    found = [Change(name, then.get(name), now.get(name)) for name in then.keys() | now.keys()]
    return sorted(found, key=lambda one: (not one.differs(), -abs(_own(one.after) - _own(one.before)), one.name))


def _own(function: Function | None) -> int:
    return 0 if function is None else function.own_ns


def by_name(functions: Iterable[Function]) -> dict[str, Function]:
    """One for each name, steps of tests left out: definitions that share one are added up, with the percentiles of the one called most.

    Lines and files are no part of who a function is: they differ between two states of the code.
    """
    found: dict[str, Function] = {}
    for one in sorted(functions, key=lambda function: (-function.calls, function.file, function.line)):
        first = found.get(one.name)
        if one.kind not in KINDS:
            continue
        if first is None:
            found[one.name] = one
            continue
        calls = first.calls + one.calls
        found[one.name] = replace(
            first,
            calls=calls,
            recorded=first.recorded + one.recorded,
            errors=first.errors + one.errors,
            own_ns=first.own_ns + one.own_ns,
            total_ns=first.total_ns + one.total_ns,
            mean_ns=round((first.mean_ns * first.calls + one.mean_ns * one.calls) / max(calls, 1)),
            max_ns=max(first.max_ns, one.max_ns),
            waiting_ns=first.waiting_ns + one.waiting_ns,
        )
    return found


COLUMNS: tuple[tuple[str, Callable[[Function], str]], ...] = (
    ("calls", lambda function: f"{'' if function.calls == function.recorded else '~'}{function.calls:,}"),
    ("errors", lambda function: f"{function.errors:,}" if function.errors else "-"),
    ("own", lambda function: human_time(function.own_ns)),
    ("total", lambda function: human_time(function.total_ns)),
    ("p50", lambda function: human_time(function.p50_ns)),
)
DROP_ORDER = ("total", "p50", "own")
"""Columns that make room for the names, in this order."""
LEAST_NAME = 24


def cell(change: Change, show: Callable[[Function], str]) -> str:
    """`4 -> 400`; once where both are equal, `-` where there is none."""
    then = "-" if change.before is None else show(change.before)
    now = "-" if change.after is None else show(change.after)
    return then if then == now else f"{then} -> {now}"


def render_text(changes: list[Change], comparison: Comparison, *, limit: int | None = None, width: int = 100) -> str:
    """A table, the verdict below it."""
    shown = changes[:limit]
    columns = [column for column in COLUMNS if column[0] != "errors" or any(_errors(change) for change in shown)]
    cells = [[name for name, _ in columns]] + [[cell(change, show) for _, show in columns] for change in shown]
    sizes = [max(len(row[number]) for row in cells) for number in range(len(columns))]
    longest = max([len("function"), *(len(change.name) for change in shown)])
    for dropped in DROP_ORDER:
        if width - sum(sizes) - 2 * len(sizes) >= min(LEAST_NAME, longest):
            break
        at = [name for name, _ in columns].index(dropped)
        del columns[at], sizes[at]
        for row in cells:
            del row[at]
    room = max(12, width - sum(sizes) - 2 * len(sizes))
    names = ["function"] + [shorten(change.name, room) for change in shown]
    longest = max(map(len, names))
    lines = []
    for name, row in zip(names, cells, strict=True):
        lines.append(f"{name:<{longest}}" + "".join(f"  {one:>{size}}" for one, size in zip(row, sizes, strict=True)))
    if len(changes) > len(shown):
        lines.append(f"and {len(changes) - len(shown):,} more functions; --limit N shows more")
    return "\n".join([*(lines if changes else []), "", *lines_of(comparison)]) + "\n"


def _errors(change: Change) -> bool:
    return any(one is not None and one.errors for one in (change.before, change.after))


def render_json(changes: list[Change], comparison: Comparison, *, limit: int | None = None, width: int = 100) -> str:
    """All figures, and all that was found."""
    value = {
        **comparison.as_dict(),
        "functions": [asdict(change) | {"state": change.state} for change in changes[:limit]],
    }
    return json.dumps(value, indent=2) + "\n"


def render_markdown(
    changes: list[Change], comparison: Comparison, *, limit: int | None = None, width: int = 100
) -> str:
    """For a pull request: the verdict, what was found, and the functions that differ in calls or are among the first."""
    lines = [f"### autoscope: {escape(headline(comparison))}", ""]
    lines += [f"- {escape(line.strip())}" for line in lines_of(comparison)[1:]]
    if changes:
        lines += [
            "",
            "| function | " + " | ".join(name for name, _ in COLUMNS) + " |",
            "|---|" + "---:|" * len(COLUMNS),
        ]
        for change in changes[:limit]:
            cells = " | ".join(cell(change, show) for _, show in COLUMNS)
            lines.append(f"| `{change.name.replace('|', chr(92) + '|')}` | {cells} |")
    return "\n".join(lines) + "\n"


RENDERERS: dict[str, Callable[..., str]] = {
    "table": render_text,
    "json": render_json,
    "markdown": render_markdown,
}
FORMATS = tuple(RENDERERS)
