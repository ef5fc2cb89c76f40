"""What a run saw, as a value, and that value as a table, JSON, CSV, Markdown or a few lines of text.

`build_report` asks the run; everything after it is a function from `Report` to text. Only `render_table` needs rich,
because the program itself prints `summary_text` at its end and must not pay for a terminal library.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from autoscope.errors import AutoscopeError
from autoscope.read.functions import Function

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

SORTS: dict[str, Callable[[Function], Any]] = {
    "own": lambda function: -function.own_ns,
    "total": lambda function: -function.total_ns,
    "calls": lambda function: -function.calls,
    "errors": lambda function: -function.errors,
    "p95": lambda function: -function.p95_ns,
    "name": lambda function: function.name,
}

SUMMARY_SPANS = 200_000
"""Above so many spans the summary at a program's end names no functions: half a second is enough to wait for it."""


@dataclass(frozen=True, slots=True)
class Exceptions:
    """One type of exception, as it left watched functions."""

    type: str
    raised: int
    """How often one was recorded, where it left first."""
    spans: int
    """How many calls it ended."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the budget decided of one function, and why."""

    time_ns: int
    pid: int
    site: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that is reported of a run; times are nanoseconds."""

    run: str
    command: tuple[str, ...]
    started_ns: int
    python: str
    functions: tuple[Function, ...]
    spans: int
    """Spans in the store."""
    dropped: int
    sampled_out: int
    folded: int
    """Calls that have no span, and are counted on one above them."""
    processes: dict[str, int]
    """State (`finished`, `running`, `killed`) -> how many."""
    woven: int
    armed: int
    not_woven: dict[str, int]
    """Reason -> how many functions."""
    exceptions: tuple[Exceptions, ...]
    own_cpu_ns: int | None
    """CPU time that was autoscope's, None where it was not measured."""
    own_cpu_share: float | None
    budget: float | None
    """Share of the program's CPU time that was allowed, None where nothing was said."""
    decisions: tuple[Decision, ...]
    """The budget's, oldest first."""
    notices: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    """What could not be read."""


def build_report(run: Run, *, with_functions: bool = True) -> Report:
    """Everything about a run; without `functions` it is a matter of milliseconds."""
    meta = run.meta
    spans = run.count_spans()
    functions = tuple(run.functions()) if with_functions else ()
    states: dict[str, int] = {}
    for process in run.processes:
        states[process.state] = states.get(process.state, 0) + 1
    budgets = [process.meta.get("budget") for process in run.processes]
    reasons: dict[str, int] = {}
    for item in meta["not_woven"]:
        reasons[item[-1]] = reasons.get(item[-1], 0) + 1
    return Report(
        run=run.id,
        command=tuple(map(str, run.info.get("argv", ()))),
        started_ns=run.info.get("started", 0),
        python=str(run.info.get("python", "")),
        functions=functions,
        spans=spans,
        dropped=meta["counters"].get("dropped", 0),
        sampled_out=meta["counters"].get("sampled_out", 0),
        folded=sum(run.ask(lambda connection, _: int(connection.execute(_FOLDED).fetchone()[0])), 0),
        processes=states,
        woven=meta["sites"].get("woven", 0),
        armed=meta["sites"].get("armed", 0),
        not_woven=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        exceptions=count_exceptions(run),
        own_cpu_ns=meta["cost"].get("cpu_ns"),
        own_cpu_share=meta["cost"].get("share"),
        budget=next((found["share"] for found in budgets if found), None),
        decisions=decisions_of(run),
        notices=tuple((str(slug), str(text)) for slug, text in (item[:2] for item in meta["notices"])),
        notes=tuple(run.notes),
    )


_FOLDED = """
SELECT coalesce(sum(calls.value), 0) FROM details d, json_each(d.attributes, '$."autoscope.folded.calls"') calls
WHERE instr(d.attributes, 'autoscope.folded.') > 0
"""


def decisions_of(run: Run) -> tuple[Decision, ...]:
    """What the budget decided, in all processes."""

    def ask(connection: Connection, process: Process) -> list[Decision]:
        rows = connection.execute(
            "SELECT time_ns, attributes FROM events WHERE span = 0 AND name = 'autoscope.budget' ORDER BY id"
        )
        told = [(time_ns, json.loads(attributes)) for time_ns, attributes in rows]
        return [
            Decision(time_ns, process.pid, *(str(one.get(key, "")) for key in ("site", "from", "to", "why")))
            for time_ns, one in told
        ]

    return tuple(sorted((one for found in run.ask(ask) for one in found), key=lambda one: one.time_ns))


def count_exceptions(run: Run) -> tuple[Exceptions, ...]:
    """Types of exceptions that left watched functions, most frequent first."""
    spans: dict[str, int] = {}
    raised: dict[str, int] = {}

    def count(connection: Connection, _: Process) -> None:
        for kind, number in connection.execute(
            "SELECT error_type, count(*) FROM details WHERE error_type != '' GROUP BY error_type"
        ):
            spans[kind] = spans.get(kind, 0) + number
        for (attributes,) in connection.execute("SELECT attributes FROM events WHERE name = 'exception'"):
            kind = json.loads(attributes).get("exception.type", "")
            raised[kind] = raised.get(kind, 0) + 1

    run.ask(count)
    found = [Exceptions(kind, raised.get(kind, 0), spans.get(kind, 0)) for kind in {*spans, *raised}]
    return tuple(sorted(found, key=lambda one: (-one.spans, one.type)))


def arrange(report: Report, sort: str = "own", limit: int | None = None) -> Report:
    """The same report with its functions in another order, and only the first of them."""
    if sort not in SORTS:
        raise AutoscopeError(f"can't sort by {sort!r}: not one of {', '.join(SORTS)}")
    ordered = sorted(sorted(report.functions, key=lambda function: function.name), key=SORTS[sort])
    return replace(report, functions=tuple(ordered[:limit]))


# -- renderers


def render_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2) + "\n"


def render_csv(report: Report) -> str:
    """One line a function, all columns, whole nanoseconds."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(Function.__slots__)
    writer.writerow(names)
    writer.writerows([getattr(function, name) for name in names] for function in report.functions)
    return text.getvalue()


COLUMNS: tuple[tuple[str, Callable[[Function], str]], ...] = (
    ("calls", lambda function: f"{'' if function.calls == function.recorded else '~'}{function.calls:,}"),
    ("errors", lambda function: f"{function.errors:,}" if function.errors else "-"),
    ("own", lambda function: human_time(function.own_ns)),
    ("total", lambda function: human_time(function.total_ns)),
    ("mean", lambda function: human_time(function.mean_ns)),
    ("p50", lambda function: human_time(function.p50_ns)),
    ("p95", lambda function: human_time(function.p95_ns)),
    ("max", lambda function: human_time(function.max_ns)),
)

DROP_ORDER = ("mean", "p50", "max", "p95", "errors", "calls")
"""Columns that make room for the names, in this order."""


def render_markdown(report: Report) -> str:
    """For a pull request or an issue."""
    lines = [f"### autoscope: {escape(_title(report))}", ""]
    lines += [f"- {escape(line)}" for line in facts(report)]
    if report.functions:
        lines += ["", "| function | " + " | ".join(name for name, _ in COLUMNS) + " |"]
        lines.append("|---|" + "---:|" * len(COLUMNS))
        for function in report.functions:
            cells = " | ".join(show(function) for _, show in COLUMNS)
            lines.append(f"| `{function.name.replace('|', chr(92) + '|')}` | {cells} |")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text as Markdown shows it."""
    for character in "\\`*_<|":
        text = text.replace(character, "\\" + character)
    return text


def render_text(report: Report, width: int = 80) -> str:
    """Plain text, for pipes and for the summary."""
    lines = [_title(report)]
    if report.functions:
        columns, room = fit_columns(report, width)
        cells = [[name for name, _ in columns]] + [[show(one) for _, show in columns] for one in report.functions]
        widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
        names = ["function"] + [shorten(one.name, room) for one in report.functions]
        longest = max(map(len, names))
        lines.append("")
        for name, row in zip(names, cells, strict=True):
            figures = "".join(f"  {cell:>{size}}" for cell, size in zip(row, widths, strict=True))
            lines.append(f"{name:<{longest}}{figures}")
    lines += ["", *facts(report)]
    return "\n".join(lines) + "\n"


def render_table(report: Report, width: int = 80) -> str:
    """For a terminal, in colour."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=width, force_terminal=True, highlight=False, legacy_windows=False)
    columns, room = fit_columns(report, width)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold", show_edge=False)
    table.add_column("function", no_wrap=True)
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True, style="bold" if name == "own" else "")
    for function in report.functions:
        style = "red" if function.errors else ""
        table.add_row(Text(shorten(function.name, room), style=style), *(Text(show(function)) for _, show in columns))
    with console.capture() as capture:
        console.print(Text(_title(report), style="bold"))
        if report.functions:
            console.print()
            console.print(table)
        console.print()
        for line in facts(report):
            console.print(Text(line, style="dim"))
    return capture.get()


def fit_columns(report: Report, width: int, least: int = 20) -> tuple[list[tuple[str, Callable[[Function], str]]], int]:
    """Which columns there is room for beside names of `least` characters, and what room the names get."""
    sizes = {
        name: 2 + max([len(name), *(len(show(function)) for function in report.functions)]) for name, show in COLUMNS
    }
    shown = list(COLUMNS)
    if not any(function.errors for function in report.functions):
        shown = [column for column in shown if column[0] != "errors"]
    longest = max([len("function"), *(len(function.name) for function in report.functions)])
    for dropped in DROP_ORDER:
        if width - sum(sizes[name] for name, _ in shown) >= min(least, longest):
            break
        shown = [column for column in shown if column[0] != dropped]
    return shown, max(12, width - sum(sizes[name] for name, _ in shown))


def shorten(text: str, room: int) -> str:
    """`shop.inventory.W…ehouse.reserve`: the middle goes first, the end says most."""
    if len(text) <= room:
        return text
    tail = (room - 1) * 2 // 3
    return text[: room - 1 - tail] + "…" + text[len(text) - tail :]


def human_time(nanoseconds: int) -> str:
    """`1.24 ms`: three figures, and the unit that suits."""
    for limit, divisor, unit in ((1_000, 1, "ns"), (1_000_000, 1e3, "µs"), (1_000_000_000, 1e6, "ms")):
        # What rounds up to a thousand is written in the next unit.
        if nanoseconds < limit * 0.9995 or (divisor == 1 and nanoseconds < limit):
            return f"{nanoseconds} ns" if divisor == 1 else f"{_three_figures(nanoseconds / divisor)} {unit}"
    if nanoseconds < 100 * 1_000_000_000:
        return f"{_three_figures(nanoseconds / 1e9)} s"
    minutes, seconds = divmod(round(nanoseconds / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _three_figures(number: float) -> str:
    if number < 9.995:
        return f"{number:.2f}"
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def _title(report: Report) -> str:
    command = " ".join(report.command)
    command = command if len(command) <= 60 else command[:59] + "…"
    return f"run {report.run}" + (f": {command}" if command else "")


def facts(report: Report) -> list[str]:
    """What is said under the table, one line each."""
    lines = [_counts(report)]
    if report.own_cpu_share is not None:
        spent = f" ({human_time(report.own_cpu_ns)})" if report.own_cpu_ns is not None else ""
        lines.append(f"autoscope took {report.own_cpu_share:.1%} of the CPU time{spent}")
    lines += _budget(report)
    if report.exceptions:
        shown = ", ".join(f"{one.type} {one.spans:,}" for one in report.exceptions[:5])
        more = len(report.exceptions) - 5
        lines.append(f"calls ended by exceptions: {shown}" + (f" and {more} other types" if more > 0 else ""))
    if report.not_woven:
        shown = ", ".join(f"{reason} {number:,}" for reason, number in list(report.not_woven.items())[:4])
        more = len(report.not_woven) - 4
        lines.append(f"not watched: {shown}" + (f" and {more} other reasons" if more > 0 else ""))
    lines += [f"notice: {text} ({slug})" for slug, text in report.notices]
    lines += [f"note: {note}" for note in report.notes]
    return lines


EVERYTHING = "everything"
"""What the circuit breaker's decisions are about; see `runtime.breaker`."""


def _budget(report: Report) -> list[str]:
    """What came of the budget, in one line; and how often the circuit breaker opened."""
    if report.budget is None:
        return []
    last = {(one.pid, one.site): one for one in report.decisions if one.site != EVERYTHING}
    partly = list({one.site: one for one in last.values() if one.after != "every call"}.values())
    trips = [one for one in report.decisions if one.site == EVERYTHING and one.after == "off"]
    lines = []
    if trips:
        text = f"everything was turned off {'once' if len(trips) == 1 else f'{len(trips)} times'}: {trips[-1].why}"
        lines.append(text + ("" if len(trips) == 1 else ", the last time"))
    text = f"budget {100 * report.budget:.3g}% of the CPU time"
    if not partly:
        return [text + ": every call is recorded", *lines]
    text += f": {plural(len(partly), 'function')} recorded in part, of which ~ are estimates"
    shown = "; ".join(f"{shorten(one.site, 40)} {one.after}" for one in partly[:2])
    more = f" and {len(partly) - 2} more" if len(partly) > 2 else ""
    return [f"{text} ({shown}{more}); --decisions tells all", *lines]


def render_decisions(report: Report) -> str:
    """What the budget decided, one line each, the time in seconds since the run began."""
    lines = []
    for one in report.decisions:
        seconds = (one.time_ns - report.started_ns) / 1e9 if report.started_ns else 0.0
        lines.append(f"{seconds:9.2f}  {one.pid}  {one.site}: {one.before} -> {one.after} ({one.why})")
    return "\n".join(lines or ["the budget decided nothing: every call is recorded, or there is none"]) + "\n"


def _counts(report: Report) -> str:
    number = sum(report.processes.values())
    parts = [plural(report.spans, "span") + " from " + plural(number, "process", "es")]
    parts += [f"{report.processes[state]} {state}" for state in ("running", "killed") if state in report.processes]
    if report.folded:
        parts.append(plural(report.folded, "call") + " folded")
    if report.dropped:
        parts.append(f"{report.dropped:,} dropped")
    if report.sampled_out:
        parts.append(f"{report.sampled_out:,} sampled out")
    if report.woven:
        parts.append(plural(report.woven, "function") + " watched")
    return ", ".join(parts)


def plural(number: int, noun: str, ending: str = "s") -> str:
    """`1,200 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else ending}"


def summary_text(run: Run, *, limit: int = 10, most_spans: int = SUMMARY_SPANS, width: int = 80) -> str:
    """The report in short, as `autoscope run` prints it when the program has ended. Loads nothing for terminals."""
    report = build_report(run, with_functions=run.count_spans() <= most_spans)
    text = render_text(arrange(report, limit=limit), width)
    if len(report.functions) > limit or not report.functions:
        text += f"autoscope report {run.id} shows all functions\n" if report.spans else ""
    return text


def render(report: Report, form: str, *, width: int = 80, in_colour: bool | None = None) -> str:
    """`table`, `json`, `csv` or `markdown`. A table that does not go to a terminal is plain text."""
    if form == "table":
        in_colour = sys.stdout.isatty() if in_colour is None else in_colour
        return render_table(report, width) if in_colour else render_text(report, width)
    return RENDERERS[form](report)


RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": render_json,
    "csv": render_csv,
    "markdown": render_markdown,
}
FORMATS = ("table", *RENDERERS)
