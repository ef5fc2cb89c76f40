"""`autoscope top [PID]`: what a running process does, function by function, live."""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any

from autoscope.cli import live, output
from autoscope.cli.ps import age, share, state
from autoscope.errors import AutoscopeError

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS = ("function", "spans/s", "total/s", "mean", "p50", "p95", "errors/s", "rate", "level")
SORTS = {"s": "spans/s", "t": "total/s", "m": "mean", "p": "p95", "e": "errors/s", "f": "function"}
"""Key -> the column it sorts by."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "top",
        help="a running process, function by function, live",
        description="A live table of what a traced process and its children record: spans a second, times, errors, what holds for each "
        "function, and what autoscope costs. Keys: s spans, t total, m mean, p p95, e errors, f function; / filters; q ends.",
    )
    live.add_processes(parser)
    parser.add_argument("--once", action="store_true", help="one table of one interval, and the end")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="(default: 1)")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only functions with this in their names")
    parser.add_argument("--sort", choices=sorted(set(SORTS.values())), default="total/s", help="(default: total/s)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print tables until `q` is pressed, the processes end, or, with `--once`, one."""
    if not 0.1 <= arguments.interval <= 60:
        raise AutoscopeError(f"--interval {arguments.interval:g}: from 0.1 to 60 seconds")
    processes = live.chosen(arguments)
    gather(processes)  # from now on it is counted
    if arguments.once or arguments.format == "json" or not sys.stdout.isatty():
        time.sleep(arguments.interval)
        found = gather(processes)
        if arguments.format == "json":
            output.write(json.dumps(found, indent=2) + "\n")
        else:
            output.console(200).print(table(found, arguments.sort, arguments.filter))
        return 0 if any(process["sites"] for process in found) else 1
    return watch(arguments, processes)


def gather(processes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each process saw since it was asked last; those that ended, or are busy, are left out. Raises where all are busy."""
    found, refused = live.answers_of(processes, {"verb": "top"})
    if refused and not found:
        raise refused[0]
    return found


def rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a function, all processes together; times in seconds, counts a second."""
    together: dict[str, dict[str, Any]] = {}
    for process in found:
        window = max(process["window_s"], 1e-3)
        for site in process["sites"]:
            row = together.setdefault(
                site["name"],
                {"function": site["name"], "spans/s": 0.0, "total/s": 0.0, "errors/s": 0.0, "p50": 0.0, "p95": 0.0,
                 "rate": site["rate"], "level": _state(site)},
            )  # fmt: skip
            row["spans/s"] += site["spans"] / window
            row["total/s"] += site["total_ns"] / 1e9 / window
            row["errors/s"] += site["errors"] / window
            # Of several processes' percentiles, that of the slowest: the one to look at.
            row["p50"] = max(row["p50"], site["p50_ns"] / 1e9)
            row["p95"] = max(row["p95"], site["p95_ns"] / 1e9)
    for row in together.values():
        row["mean"] = row["total/s"] / row["spans/s"] if row["spans/s"] else 0.0
    return list(together.values())


def table(found: list[dict[str, Any]], sort: str, text: str) -> Group:
    """As rich shows it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines = []
    for process in found:
        cost = process["stats"]["cost"]
        spending = process.get("spending")
        now = "" if spending is None else f", {spending:.1%} now"
        budget = "" if process["budget"] is None else f"{now}, {share(process['budget'])} allowed"
        lines.append(
            Text(
                f"{process['pid']}  {age(process['seconds'])}  {state(process)}  cost {cost['share']:.1%}{budget} of CPU  "
                f"{process['stats']['recorded']:,} spans  {process['stats']['dropped']:,} dropped"
            )
        )
    shown = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        left = name in ("function", "level")
        shown.add_column(name, justify="left" if left else "right", no_wrap=True, min_width=None if left else 7)
    ordered = sorted(
        (row for row in rows(found) if text in row["function"]),
        key=lambda row: row["function"] if sort == "function" else -row[sort],
    )
    for row in ordered:
        shown.add_row(
            row["function"], f"{row['spans/s']:,.1f}", f"{row['total/s']:.1%}", *[_time(row[name]) for name in ("mean", "p50", "p95")],
            f"{row['errors/s']:,.1f}" if row["errors/s"] else "", f"{row['rate']:g}", row["level"],
        )  # fmt: skip
    return Group(*lines, shown)


def _state(site: dict[str, Any]) -> str:
    """The level, and what the budget has left of it."""
    left = site.get("budget") or "every call"
    if left != "every call":
        return f"{site['level']}: {left}"  # also between two windows, when it is not armed
    return str(site["level"]) if site["armed"] else "off"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def watch(arguments: argparse.Namespace, processes: list[dict[str, Any]]) -> int:
    """The live table."""
    import termios
    import tty

    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    sort, text, typing = arguments.sort, arguments.filter, False
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else -1
    before = termios.tcgetattr(keyboard) if keyboard >= 0 else None
    found: list[dict[str, Any]] = []
    try:
        if keyboard >= 0:
            tty.setcbreak(keyboard)
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            due = time.monotonic()
            while True:
                if time.monotonic() >= due:
                    due = time.monotonic() + arguments.interval
                    found = gather(processes)
                    if not found:
                        break
                screen.update(table(found, sort, text), refresh=True)
                wait = max(due - time.monotonic(), 0.0)
                if keyboard < 0:
                    time.sleep(wait)
                    continue
                if not select.select([keyboard], [], [], wait)[0]:
                    continue
                for key in os.read(keyboard, 64).decode("utf-8", "replace"):
                    if typing:
                        typing = key not in "\r\n\x1b"
                        text = "" if key == "\x1b" else text[:-1] if key in "\x7f\b" else text + key if typing else text
                    elif key == "/":
                        typing, text = True, ""
                    elif key == "q":
                        return 0
                    else:
                        sort = SORTS.get(key, sort)
    except KeyboardInterrupt:
        pass
    finally:
        if before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
    return 0
