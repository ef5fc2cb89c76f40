"""The planner's estimates beside the truth: plans for real programs, and what these take under them.

    python benchmarks/estimate.py [--json] [--processes N] [--seconds S] [--strategy S] [--shipped] [PROGRAM ...]

Before each program `autoscope calibrate` measures what tracing costs here and now (`--shipped`: it does not). For each strategy three
plans are written: from the source alone, with `--profile` of a stored run (every function, nothing captured), with `--profile`
of a cProfile run, each the quietest of three. What a plan says of itself is the estimate. Then the program runs plain and under the
plan, into a store, in processes of its own by turns, plain before and after each. Each does its work once and then again for
about `--seconds` of plain CPU time, fewer times where the plan is dear. Counted is the CPU time of process and children from the
second time on, without what ending takes after the first: starting up, weaving and closing the store are no part of the estimate.
A share is (traced - plain) / traced.

Printed are medians over the processes and, of what was measured, the quartiles; then estimate / measured, of the shares, and of
what they add to the plain program, which is stricter: 98 % is twice as much as 96 %. A share below one per cent, or below what
the machine's noise leaves to be seen, is taken for that.

Programs are those of `macro.py` and others of pyperformance, and `examples/shop` under its load. Those whose packages are not
installed are left out. cProfile sees one thread, and the shop has many: it is not asked there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import macro
import yaml
from processes import ROOT, environment

FROM_MACRO = ("richards", "deltablue", "chaos", "go", "hexiom", "nqueens", "float", "async_tree")
"""Not raytrace and pyflate: one round of theirs makes millions of spans."""
PROGRAMS: dict[str, tuple[str, ...]] = {
    "shop": (),
    **{name: macro.PROGRAMS[name] for name in FROM_MACRO},
    "typing_runtime_protocols": (),
}
"""Arguments of each program; all but the shop are pyperformance's."""
STRATEGIES = ("balanced", "full_trace")
LIMITS = {"source": 5.0, "run": 1.5, "cprofile": 1.5}
"""What an estimate is made from -> how far it may be off, as a factor either way."""
MOST_RUNS = 2000
LEAST = 0.01
"""A share from which on it matters."""
MOST = 0.999
"""A share that is not told from larger ones."""
MOST_SECONDS = 2.0
"""CPU time of one traced process."""
SHOP = """
import sys, time
sys.path.insert(0, {folder!r})
import load, run

def visit(host, port, visits=load.run):
    visits(host, port, 1)
    if "autoscope" in sys.modules:
        sys.modules["autoscope"].flush()
    with open({said!r}, "w") as said:
        said.write(str(time.process_time()))
    return visits(host, port, {runs})

load.run = visit
run.under_load()
"""


@dataclass(frozen=True)
class Program:
    """One program, and where it may leave things."""

    name: str
    source: Path
    """What is planned."""
    place: Path

    def command(self, runs: int) -> list[str]:
        """The words behind `python`."""
        if self.name == "shop":
            script = self.place / f"visits_{runs}.py"
            script.write_text(SHOP.format(folder=str(self.source), runs=runs, said=str(self.said)), "ascii")
            return [str(script)]
        return [str(self.source / "run_benchmark.py"), *PROGRAMS[self.name]]

    @property
    def said(self) -> Path:
        """Where a process says how much it has used when it begins to count."""
        return self.place / "said"

    def start(self, before: list[str], runs: int) -> float:
        """Run it once and so many times more; CPU seconds of these, children's and the end of the process included."""
        environ = environment(
            PYTHONPATH=os.pathsep.join([str(ROOT / "src"), str(ROOT / "benchmarks/standin")]),
            STANDIN_RUNS=str(runs),
            STANDIN_SAID=str(self.said),
            AUTOSCOPE_CACHE_DIR=str(self.place / "cache"),
        )
        words = [sys.executable, "-W", "ignore", *before, *self.command(runs)]
        with open(self.place / "complaints", "w+", encoding="utf-8") as complaints:
            process = subprocess.Popen(words, env=environ, cwd=self.place, stdout=subprocess.DEVNULL, stderr=complaints)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                complaints.seek(0)
                said = complaints.read().strip().splitlines()
                raise RuntimeError(said[-1] if said else f"exit code {process.returncode}")
        return used.ru_utime + used.ru_stime - float(self.said.read_text())

    def traced(self, plan: Path, runs: int, store: str = "store") -> float:
        """The same under a plan."""
        options = ["--plan", str(plan), "--quiet", "--store", str(self.place / store)]
        return self.start(["-m", "autoscope", "run", *options], runs)


def program_of(name: str, place: Path) -> Program | None:
    """None where its packages are not installed."""
    if name == "shop":
        return Program(name, ROOT / "examples/shop", place) if find_spec("flask") else None
    found = find_spec("pyperformance")
    if found is None or found.origin is None:
        return None
    return Program(name, Path(found.origin).parent / f"data-files/benchmarks/bm_{name}", place)


def autoscope(place: Path, *words: str) -> str:
    """What a command of ours prints."""
    environ = environment(PYTHONPATH=str(ROOT / "src"), AUTOSCOPE_CACHE_DIR=str(place / "cache"))
    ran = subprocess.run(
        [sys.executable, "-m", "autoscope", *words], env=environ, cwd=place, capture_output=True, text=True
    )
    if ran.returncode:
        raise RuntimeError((ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1])
    return ran.stdout


def write_plan(program: Program, strategy: str, way: str, profile: Path | str | None) -> tuple[Path, float]:
    """A plan and what it says it will take, a share of CPU time."""
    plan = program.place / f"{strategy}-{way}.yaml"
    words = ["plan", str(program.source), "-o", str(plan), "--strategy", strategy, "--rate", "1"]
    if profile is not None:
        words += ["--profile", str(profile), "--store", str(program.place / "profiled")]
    autoscope(program.place, *words)
    return plan, float(yaml.safe_load(plan.read_text())["provenance"]["estimate"])


def content(plan: Path) -> str:
    """What a plan asks for, whatever it was made from."""
    document = yaml.safe_load(plan.read_text())
    del document["provenance"]
    return json.dumps(document, sort_keys=True)


def profiles(program: Program, runs: int, times: int) -> dict[str, Path | str | None]:
    """What plans are written with: nothing, the id of a stored run, a file of cProfile; each the quietest of so many."""
    plain = program.place / "everything.yaml"
    document = yaml.safe_load(write_plan(program, "full_trace", "first", None)[0].read_text())
    modules = {name: rule for name, rule in document["modules"].items() if name != "*"}
    for rule in modules.values():
        rule.pop("functions", None)
        rule["capture"] = {"args": False, "return": False}
    document["modules"] = {"*": {"level": "off"}, **modules}
    document.pop("provenance")
    plain.write_text(yaml.safe_dump(document, sort_keys=False))
    # So that starting up, which is in a profile and not in what is measured, weighs little.
    some = affordable(program, plain, 4 * runs)
    found: dict[str, Path | str | None] = {"source": None, "run": quietest_run(program, plain, some, times)}
    if program.name != "shop":
        found["cprofile"] = quietest_profile(program, runs, times)
    return found


def quietest_run(program: Program, plan: Path, runs: int, times: int) -> str:
    """The id of a stored run, of so many the one in which the machine did least besides."""
    from autoscope.read.runs import open_run

    taken: dict[str, float] = {}
    for _ in range(times):
        seconds = program.traced(plan, runs, "profiled")
        taken[open_run(str(program.place / "profiled")).id] = seconds
    return min(taken, key=taken.__getitem__)


def quietest_profile(program: Program, runs: int, times: int) -> Path:
    """The same for a file of cProfile, whose clock is the one on the wall."""
    from pstats import Stats

    files = [program.place / f"{number}.pstats" for number in range(times)]
    for file in files:
        program.start(["-m", "cProfile", "-o", str(file)], runs)
    return min(files, key=lambda file: Stats(str(file)).total_tt)  # type: ignore[attr-defined]


def runs_for(program: Program, seconds: float) -> int:
    """How many runs of the work take so many CPU seconds."""
    runs = 1
    while (taken := program.start([], runs)) < seconds / 2 and runs < MOST_RUNS:
        runs *= 2 if taken > seconds / 8 else 8
    return min(max(1, round(seconds / taken * runs)), MOST_RUNS)


def affordable(program: Program, plan: Path, runs: int) -> int:
    """How many of these runs a traced process can be asked for."""
    few = max(1, runs // 16)
    program.traced(plan, few)  # so that what is woven is in the cache
    return max(1, min(runs, int(MOST_SECONDS / program.traced(plan, few) * few)))


def measure(program: Program, plans: list[Path], runs: int, processes: int) -> list[list[float]]:
    """The shares measured under each plan, one for each process."""
    shares: list[list[float]] = [[] for _ in plans]
    times = [affordable(program, plan, runs) for plan in plans]
    ending = statistics.median(program.start([], 0) for _ in range(min(processes, 3)))
    endings = [statistics.median(program.traced(plan, 0) for _ in range(min(processes, 3))) for plan in plans]
    for _ in range(processes):
        for plan, found, some, end in zip(plans, shares, times, endings, strict=True):
            before = program.start([], some)
            traced = program.traced(plan, some) - end
            plain = (before + program.start([], some)) / 2 - ending
            found.append(1 - plain / max(traced, 0.001))
    return shares


def rows_of(program: Program, strategies: list[str], seconds: float, processes: int) -> list[dict[str, Any]]:
    """A row for each strategy and each source of estimates."""
    runs = runs_for(program, seconds)
    written: dict[tuple[str, str], tuple[Path, float]] = {
        (strategy, way): write_plan(program, strategy, way, profile)
        for way, profile in profiles(program, runs, min(processes, 3)).items()
        for strategy in strategies
    }
    different = {content(plan): plan for plan, _ in written.values()}
    shares = dict(zip(different, measure(program, list(different.values()), runs, processes), strict=True))
    rows = []
    for (strategy, way), (plan, estimate) in sorted(written.items()):
        measured = shares[content(plan)]
        low, middle, high = statistics.quantiles(measured, n=4) if len(measured) > 1 else measured * 3
        least = max(LEAST, (high - low) / 2)
        said, true = (min(max(share, least), MOST) for share in (estimate, middle))
        rows.append(
            {
                "program": program.name,
                "strategy": strategy,
                "from": way,
                "estimate": estimate,
                "measured": middle,
                "quartiles": [low, high],
                "factor": said / true,
                "of_added": added(said) / added(true),
                "runs": runs,
            }
        )
    return rows


def added(share: float) -> float:
    """What a share of the whole is as a multiple of the plain program."""
    return share / (1 - share)


def missed(rows: list[dict[str, Any]], by: str = "factor") -> list[dict[str, Any]]:
    """Rows whose estimate is further off than it may be."""
    return [row for row in rows if not 1 / LIMITS[row["from"]] <= row[by] <= LIMITS[row["from"]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4, help="CPU time of the plain program")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="(repeatable; default: all)")
    parser.add_argument(
        "--shipped", action="store_true", help="with the shipped costs, not what `autoscope calibrate` says"
    )
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if not arguments.json:
        print(
            f"estimates, CPython {sys.version.split()[0]}: overhead in per cent of CPU time, factors to what was measured"
        )
        print(
            f"{'':26}{'strategy':11}{'from':10}{'estimate':>9}{'measured':>9}{'quartiles':>15}{'factor':>8}{'added':>8}"
        )
    for name in arguments.programs or PROGRAMS:
        with tempfile.TemporaryDirectory(prefix="estimate-") as folder:
            program = program_of(name, Path(folder))
            if program is None:
                continue
            try:
                if not arguments.shipped:
                    autoscope(program.place, "calibrate", "--quick")
                found = rows_of(program, arguments.strategy or list(STRATEGIES), arguments.seconds, arguments.processes)
            except RuntimeError as error:
                print(f"{name}: could not be run: {error}", file=sys.stderr)
                continue
        rows += found
        if not arguments.json:
            for row in found:
                print_row(row)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=2))
        return
    far = missed(rows)
    limits = f"within {LIMITS['run']} with a profile and {LIMITS['source']:g} without"
    print(
        f"{len(rows) - len(far)} of {len(rows)} shares {limits}; of what they add, {len(rows) - len(missed(rows, 'of_added'))}"
    )
    for row in far:
        print(f"  missed: {row['program']} {row['strategy']} from {row['from']}: {row['factor']:.2f}")


def print_row(row: dict[str, Any]) -> None:
    low, high = row["quartiles"]
    spread = f"{100 * low:.1f} .. {100 * high:.1f}"
    print(
        f"{row['program']:26}{row['strategy']:11}{row['from']:10}{100 * row['estimate']:9.1f}{100 * row['measured']:9.1f}"
        f"{spread:>15}{row['factor']:8.2f}{row['of_added']:8.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
