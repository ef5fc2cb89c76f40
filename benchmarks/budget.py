"""Whether the budget is kept, and whether what it tells is true: whole programs under it beside themselves without it, by turns.

    python benchmarks/budget.py [--json] [--each] [--seconds S] [--families N] [--budget SHARE ...] [PROGRAM ...]

Each program of `macro.py` is started with every function of its own and its packages watched under a budget, into a local store, and runs for three
seconds. Then it forks into siblings, of which every second one has all its functions turned off, so that they have their authors' code. These take turns, one run of the program at a
time; what each run takes is its process's CPU time, our threads' included. The first three seconds of each are left out. Processes that were started each by itself
differ by several per cent for as long as they live, plain ones too, by where things come to lie in memory; in siblings everything lies in the same place. There are
`--families` of them, and all that are watched go on for `--seconds` together. Printed are the medians over the families of watched / off - 1, how far apart they are, and the same for
siblings that are off beside one another: what the machine's noise makes of nothing. What a program that is off costs beside a plain one `macro.py` measures.

Then what the report says, beside further processes that count calls (`sys.setprofile`) and time them (a stopwatch round one function at a time,
less what it shows for one that does nothing): how far its calls are off, at most and in the median of the families, of the five functions called most often; and its total
times, as parts of the program's time, of the five that took most (`times`) and of those five (`often`). `--each` prints each of them.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from macro import PACKAGES, PROGRAMS, Program, script_of
from processes import ROOT

FIRST_SECONDS = 3.0
HOT = 5
SIBLINGS = ("off", "on", "off", "on")
COUNTING = """
import json, runpy, sys
sys.path.insert(0, {standin!r})
import pyperf

def serve(runner, work):
    work()
    counts = {{}}
    def seen(frame, event, argument):
        code = frame.f_code
        if event == "call" and not code.co_flags & 0x2A0 and code.co_name[0] != "<":
            key = code.co_qualname, code.co_filename, code.co_firstlineno
            counts[key] = counts.get(key, 0) + 1
    sys.setprofile(seen)
    work()
    sys.setprofile(None)
    with open({out!r}, "w") as out:
        json.dump([[*key, count] for key, count in counts.items()], out)

pyperf.Runner.serve = serve
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TIMING = """
import gc, json, runpy, sys, time, types
sys.path.insert(0, {standin!r})
import pyperf

def watch(inner, clock=time.perf_counter_ns):
    kept = [0, 0, 0]
    def timed(*args, **named):
        if kept[2]:
            kept[0] += 1
            return inner(*args, **named)
        kept[2] = 1
        begun = clock()
        try:
            return inner(*args, **named)
        finally:
            kept[1] += clock() - begun
            kept[0] += 1
            kept[2] = 0
    return timed, kept

def put(wanted):
    for function in gc.get_objects():
        if type(function) is types.FunctionType and wanted == [function.__qualname__, function.__code__.co_filename, function.__code__.co_firstlineno]:
            timed, kept = watch(function)
            for holder in gc.get_referrers(function):
                if type(holder) is dict:
                    for name, value in list(holder.items()):
                        if value is function:
                            owner = [one for one in gc.get_referrers(holder) if isinstance(one, type) and one.__dict__.get(name) is function]
                            setattr(owner[0], name, timed) if owner else holder.__setitem__(name, timed)
            return kept, function.__code__.co_argcount
    return None, 2

def serve(runner, work):
    work()
    kept, count = put({wanted!r})
    values = [None] * count
    empty, cost = watch(eval("lambda " + ", ".join("a%d" % number for number in range(count)) + ": None"))
    rows = []
    for _ in range({rounds}):
        if kept is not None:
            kept[0] = kept[1] = 0
        begun = time.perf_counter_ns()
        work()
        whole = time.perf_counter_ns() - begun
        cost[0] = cost[1] = 0
        begun = time.perf_counter_ns()
        for _ in range(20000):
            empty(*values)
        rows.append([*(kept or (0, 0))[:2], whole, cost[1] / 20000, (time.perf_counter_ns() - begun) / 20000])
    with open({out!r}, "w") as out:
        json.dump(rows, out)

pyperf.Runner.serve = serve
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Family:
    """Siblings of one program, and what their runs took."""

    def __init__(self, folder: Path, name: str, share: str, seconds: float, place: str) -> None:
        """Those that are watched run for so many seconds together, beside their first ones."""
        settings = {"AUTOSCOPE_BUDGET": share, "AUTOSCOPE_STORE": f"{place}/store"}
        program = Program(folder, name, settings, f"{place}/cache")
        self.runs = 0
        """How often the program was run while it was watched."""
        warm = 0.0
        while warm < FIRST_SECONDS:
            warm += program.once()
            self.runs += 1
        for state in SIBLINGS:
            program.ask(f"fork {state}")
        times: list[list[float]] = []
        firsts = [0.0] * len(SIBLINGS)
        took = 0.0
        while took < seconds:
            row = [0.0] * len(SIBLINGS)
            order = list(range(len(SIBLINGS)))
            random.shuffle(order)
            for number in order:
                row[number] = float(program.ask(f"turn {number}"))
            if min(firsts) < FIRST_SECONDS:
                firsts = [sum(pair) for pair in zip(firsts, row, strict=True)]
            else:
                times.append(row)
                took += sum(row[1::2])
            self.runs += SIBLINGS.count("on")
        program.end()
        off, on = [[sum(column) for column in list(zip(*times, strict=True))[first::2]] for first in (0, 1)]
        self.watched = sum(on) / sum(off) - 1
        self.noise = [2 * one / sum(off) - 1 for one in off]
        self.each = sum(off) / len(off) / len(times)
        """CPU seconds of a run that is not watched."""


def true_counts(folder: Path, name: str, place: str) -> dict[tuple[str, str, int], int]:
    """Calls of each plain function in one run of the program."""
    out = f"{place}/counts.json"
    argv = [str(script_of(folder, name)), *PROGRAMS[name]]
    code = COUNTING.format(standin=str(ROOT / "benchmarks/standin"), out=out, argv=argv)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=600)
    return {(qualname, file, line): count for qualname, file, line, count in json.loads(Path(out).read_text("utf-8"))}


def true_share(folder: Path, name: str, place: str, function: tuple[str, str, int], calls: int) -> float | None:
    """The part of the plain program's time that one function takes with all it calls; None where it is held where it cannot be replaced."""
    out = f"{place}/times.json"
    argv = [str(script_of(folder, name)), *PROGRAMS[name]]
    code = TIMING.format(standin=str(ROOT / "benchmarks/standin"), out=out, argv=argv, wanted=list(function), rounds=5)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=600)
    rows = json.loads(Path(out).read_text("utf-8"))
    if any(abs(row[0] - calls) > 0.02 * calls for row in rows):
        return None
    return statistics.median(
        (took - count * inside) / (whole - count * outside) for count, took, whole, inside, outside in rows
    )


def reported(store: str) -> dict[tuple[str, int, str], Any]:
    """(file, line, name) -> what the report of the last run says of each function."""
    from autoscope.read.runs import open_run

    return {(one.file, one.line, one.name.rpartition(".")[2]): one for one in open_run(store).functions()}


def hottest(place: str, counts: dict[tuple[str, str, int], int]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What the report says of the functions called most often, and of those that took most time."""
    told = reported(f"{place}/store")
    known = {key: (key[1], key[2], key[0].rpartition(".")[2]) for key in counts}
    watched = [key for key in sorted(counts, key=lambda key: -counts[key]) if known[key] in told]
    longest = sorted(watched, key=lambda key: -told[known[key]].total_ns)
    often, most = [{key: told[known[key]] for key in keys[:HOT]} for keys in (watched, longest)]
    return often, most


def middle(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def farthest(errors: list[float]) -> float | None:
    return max(errors, key=abs) if errors else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--families", type=int, default=2)
    parser.add_argument("--budget", action="append")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    found = find_spec("pyperformance")
    if found is None or found.origin is None:
        sys.exit("budget.py: the programs are pyperformance's: pip install pyperformance")
    folder = Path(found.origin).parent / "data-files/benchmarks"
    result: dict[str, dict[str, Any]] = {}
    if not arguments.json:
        print(f"programs, CPython {sys.version.split()[0]}: watched / off - 1")
    for name in arguments.programs or PROGRAMS:
        if name in PACKAGES and find_spec(PACKAGES[name]) is None:
            continue
        row: dict[str, Any] = {}
        shares: dict[tuple[str, str, int], float | None] = {}
        try:
            with tempfile.TemporaryDirectory() as place:
                counts = true_counts(folder, name, place)
            for share in arguments.budget or ["1%", "3%"]:
                told: list[dict[str, float | None]] = []
                kept: list[float] = []
                noise: list[float] = []
                for _ in range(arguments.families):
                    with tempfile.TemporaryDirectory() as place:
                        family = Family(folder, name, share, arguments.seconds / arguments.families, place)
                        kept.append(family.watched)
                        noise += family.noise
                        often, most = hottest(place, counts)
                        asked = {**often, **most}
                        calls = {key: one.calls / (counts[key] * family.runs) - 1 for key, one in asked.items()}
                        errors = {}
                        for key, one in asked.items():
                            if key not in shares:
                                shares[key] = true_share(folder, name, place, key, counts[key])
                            true = shares[key]
                            if true is not None and true > 0:
                                errors[key] = one.total_ns / (family.runs * family.each * 1e9) / true - 1
                            if arguments.each and not arguments.json:
                                off = f", {errors[key]:+.1%}" if key in errors else ""
                                took = (true or 0.0) * family.each / counts[key]
                                print(
                                    f"  {share} {key[0]}: {counts[key]:,} calls, {calls[key]:+.1%}, of {took * 1e9:,.0f} ns{off}",
                                    flush=True,
                                )
                        told.append(
                            {
                                "calls": farthest([calls[key] for key in often]),
                                "times": farthest([errors[key] for key in most if key in errors]),
                                "often": farthest([errors[key] for key in often if key in errors]),
                            }
                        )
                row[share] = {what: middle([one[what] for one in told]) for what in told[0]} | {
                    "watched": statistics.median(kept),
                    "from": min(kept),
                    "to": max(kept),
                    "noise": max(map(abs, noise)),
                }
        except (RuntimeError, subprocess.SubprocessError, ValueError) as error:
            print(f"{name}: could not be run: {error}", file=sys.stderr)
            continue
        result[name] = row
        if not arguments.json:
            cells = []
            for share, cell in row.items():
                off_by = [
                    f", {what} {cell[what]:+.1%}" for what in ("calls", "times", "often") if cell.get(what) is not None
                ]
                spread = f"{cell['from']:+.1%} to {cell['to']:+.1%}, noise {cell['noise']:.1%}"
                cells.append(f"{share} {cell['watched']:+.1%} ({spread}{''.join(off_by)})")
            print(f"{name:17}" + "   ".join(cells), flush=True)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "programs": result}, indent=2))


if __name__ == "__main__":
    main()
