"""Whether the budget is kept, and whether what it tells is true: whole programs under it beside plain, by turns.

    python benchmarks/budget.py [--json] [--seconds S] [--budget SHARE ...] [PROGRAM ...]

Each program of `macro.py` runs in two processes, plain and with every function of its own and its packages watched under a budget, into a local
store. They take turns, one run of the program at a time, the first of the two changing; what each run takes is its process's CPU time, our threads'
included. The first three seconds of the watched one are left out, then it goes on for `--seconds` of the plain one. Printed are
watched / plain - 1, of the sums and of the medians of pairs, and beside them the same for two plain processes: what the machine's
noise makes of nothing.

Then the five functions called most often, by a third process that counts calls with `sys.setprofile`: how far the report's calls are off, at most.
"""

from __future__ import annotations

import argparse
import json
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


def by_turns(folder: Path, name: str, share: str | None, seconds: float, place: str) -> tuple[float, float, int]:
    """(watched / plain of the sums, of the medians of pairs, how often the watched one ran)."""
    watched = {"AUTOSCOPE_BUDGET": share, "AUTOSCOPE_STORE": f"{place}/store"} if share is not None else {}
    both = [Program(folder, name, settings, f"{place}/cache") for settings in ({}, watched)]
    times: list[tuple[float, float]] = []
    warm = plain = 0.0
    runs = 0
    while plain < seconds:
        took = [0.0, 0.0]
        for number in (0, 1) if runs % 2 else (1, 0):
            took[number] = both[number].once()
        runs += 1
        warm += took[1]
        if warm > FIRST_SECONDS:
            times.append((took[0], took[1]))
            plain += took[0]
    for program in both:
        program.end()
    sums = [sum(column) for column in zip(*times, strict=True)]
    return sums[1] / sums[0], statistics.median(two / one for one, two in times), runs


def true_counts(folder: Path, name: str, place: str) -> dict[tuple[str, str, int], int]:
    """Calls of each plain function in one run of the program."""
    out = f"{place}/counts.json"
    argv = [str(script_of(folder, name)), *PROGRAMS[name]]
    code = COUNTING.format(standin=str(ROOT / "benchmarks/standin"), out=out, argv=argv)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=600)
    return {(qualname, file, line): count for qualname, file, line, count in json.loads(Path(out).read_text("utf-8"))}


def off_by(place: str, counts: dict[tuple[str, str, int], int], runs: int) -> float | None:
    """How far the report's calls of the hottest functions are from the truth, the farthest of them; None where none was watched."""
    from autoscope.read.runs import open_run

    told = {
        (one.file, one.line, one.name.rpartition(".")[2]): one.calls for one in open_run(f"{place}/store").functions()
    }
    hottest = sorted(counts, key=lambda key: -counts[key])
    errors = []
    for qualname, file, line in hottest:
        calls = told.get((file, line, qualname.rpartition(".")[2]))
        if calls is not None and len(errors) < HOT:
            errors.append(calls / (counts[qualname, file, line] * runs) - 1)
    return max(errors, key=abs) if errors else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--budget", action="append")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    found = find_spec("pyperformance")
    if found is None or found.origin is None:
        sys.exit("budget.py: the programs are pyperformance's: pip install pyperformance")
    folder = Path(found.origin).parent / "data-files/benchmarks"
    result: dict[str, dict[str, Any]] = {}
    if not arguments.json:
        print(f"programs, CPython {sys.version.split()[0]}: watched / plain - 1, sums (medians of pairs)")
    for name in arguments.programs or PROGRAMS:
        if name in PACKAGES and find_spec(PACKAGES[name]) is None:
            continue
        row: dict[str, Any] = {}
        try:
            with tempfile.TemporaryDirectory() as place:
                counts = true_counts(folder, name, place)
                sums, pairs, _ = by_turns(folder, name, None, arguments.seconds / 3, place)
                row["plain"] = {"sums": sums - 1, "pairs": pairs - 1}
            for share in arguments.budget or ["1%", "3%"]:
                with tempfile.TemporaryDirectory() as place:
                    sums, pairs, runs = by_turns(folder, name, share, arguments.seconds, place)
                    row[share] = {"sums": sums - 1, "pairs": pairs - 1, "calls": off_by(place, counts, runs)}
        except (RuntimeError, subprocess.SubprocessError, ValueError) as error:
            print(f"{name}: could not be run: {error}", file=sys.stderr)
            continue
        result[name] = row
        if not arguments.json:
            cells = []
            for state, cell in row.items():
                off = cell.get("calls")
                calls = f", calls {off:+.1%}" if off is not None else ""
                cells.append(f"{state} {cell['sums']:+.1%} ({cell['pairs']:+.1%}{calls})")
            print(f"{name:17}" + "   ".join(cells), flush=True)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "programs": result}, indent=2))


if __name__ == "__main__":
    main()
