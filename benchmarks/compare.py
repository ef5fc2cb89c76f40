"""This tree beside another revision of it, benchmark by benchmark, in turn: what became worse.

    python benchmarks/compare.py REVISION [--rounds N] [--threshold SHARE] [BENCHMARK ...]

Each revision runs its own benchmarks over its own sources, one after the other, `--rounds` times; figures with the same name are
compared. Worse is what every round of this tree is above every round of the other, and the medians by more than the threshold.
Exit code 1 if anything is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS: dict[str, list[str]] = {
    "call": ["--rounds", "9"],
    "startup": ["--rounds", "9"],
    "imports": ["--rounds", "3", "--no-peers", "yaml", "argparse", "django"],
    "export": ["--spans", "50000"],
    "memory": ["--calls", "20000"],
    "reconfigure": ["--rounds", "5"],
}
FIGURES = ("ns", "cpu_ns", "ms", "bytes")
"""What is compared of a row: less is better."""
NAMES = ("package", "kind", "state", "what", "variant", "change")
PEERS = ("OpenTelemetry", "logfire", "ddtrace", "viztracer", "wrapt", "functools", "plain", "control")
"""Rows that begin so are not ours."""


def figures(said: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """(name, figure) of every row in what a benchmark printed."""
    for group in said.get("packages", [said]):
        for row in group["rows"]:
            name = " ".join([str({**group, **row}[key]) for key in NAMES if key in row or key in group])
            if str(row.get("state", row.get("what", row.get("variant", "")))).startswith(PEERS):
                continue
            figure = next((row[key] for key in FIGURES if row.get(key) is not None), None)
            if figure is not None:
                yield name, figure


def interpreter(tree: Path, folder: Path) -> Path:
    """A Python that has this one's packages, and autoscope from `tree`: also in the processes the benchmarks start."""
    venv.create(folder, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    # As plain lines: where this Python has autoscope from, a `.pth` of its own says, which is not read from here.
    lines = [str(tree / "src"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    Path(paths["purelib"], "revision.pth").write_text("\n".join(lines) + "\n")
    return folder / "bin" / "python"


def measure(tree: Path, python: Path, benchmark: str) -> dict[str, float]:
    """One run of one revision's benchmark; empty where it has none, or it fails there."""
    script = tree / "benchmarks" / f"{benchmark}.py"
    if not script.exists():
        return {}
    words = [str(python), "-W", "ignore", str(script), "--json", *BENCHMARKS[benchmark]]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        print(f"{benchmark} fails at {tree}: exit code {ran.returncode}", file=sys.stderr)
        return {}
    return dict(figures(json.loads(ran.stdout)))


def worse(ours: list[float], theirs: list[float], threshold: float) -> bool:
    return min(ours) > max(theirs) and statistics.median(ours) > (1 + threshold) * statistics.median(theirs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threshold", type=float, default=0.05, metavar="SHARE")
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=", ".join(BENCHMARKS))
    arguments = parser.parse_intermixed_args()
    unknown = set(arguments.benchmarks) - BENCHMARKS.keys()
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(BENCHMARKS)}")
    commit = f"{arguments.revision}^{{commit}}"
    found = subprocess.run(["git", "rev-parse", "--verify", "--quiet", commit], cwd=ROOT, stdout=subprocess.DEVNULL)
    if found.returncode:
        parser.error(f"{arguments.revision} is no revision of this repository: `git log` shows them")
    became_worse = 0
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, "other")
        git = ["git", "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(other), arguments.revision], cwd=ROOT, check=True)
        pythons = interpreter(ROOT, Path(folder, "here")), interpreter(other, Path(folder, "there"))
        try:
            for benchmark in arguments.benchmarks or BENCHMARKS:
                rounds: dict[str, tuple[list[float], list[float]]] = {}
                for _ in range(arguments.rounds):
                    here = measure(ROOT, pythons[0], benchmark)
                    there = measure(other, pythons[1], benchmark)
                    for name in here.keys() & there.keys():
                        ours, theirs = rounds.setdefault(name, ([], []))
                        ours.append(here[name])
                        theirs.append(there[name])
                print(f"{benchmark}: here, at {arguments.revision}, ratio")
                for name, (ours, theirs) in sorted(rounds.items()):
                    verdict = worse(ours, theirs, arguments.threshold)
                    became_worse += verdict
                    mine, other_median = statistics.median(ours), statistics.median(theirs)
                    ratio = f"{mine / other_median:7.3f}" if other_median else "      -"
                    print(f"  {name:70} {mine:12,.1f} {other_median:12,.1f} {ratio}{'  WORSE' if verdict else ''}")
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], cwd=ROOT, check=True)
    print(f"{became_worse} worse" if became_worse else "nothing is worse")
    return 1 if became_worse else 0


if __name__ == "__main__":
    sys.exit(main())
