"""What planning a code base takes, whole process: with nothing in the cache, with nothing changed, with one file changed.

    python benchmarks/planning.py [--json] [--rounds N] [--tests] [PATH ...]

Without PATH: the source distributions of django, sqlalchemy and sympy, fetched with pip, tests and all. The trees are copied first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import environment

PACKAGES = ("django", "sqlalchemy", "sympy")
STATES = ("nothing in the cache", "nothing changed", "one file changed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tests", action="store_true", help="test modules too")
    parser.add_argument("paths", nargs="*")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, tree in trees(arguments.paths, Path(folder)):
            rows += measure(name, tree, arguments.rounds, arguments.tests, Path(folder) / "work")
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    print(
        f"autoscope plan, CPython {sys.version.split()[0]}: seconds [least .. most], CPU, peak memory of the largest process"
    )
    for row in rows:
        low, high = row["range_ms"]
        print(
            f"  {row['what']:48} {row['ms'] / 1000:6.2f} [{low / 1000:.2f} .. {high / 1000:.2f}]  {row['cpu_ms'] / 1000:6.2f}"
            f"  {row['bytes'] / 1e6:5.0f} MB  {row['lines']:,} lines, {row['lines_per_second']:,.0f} a second of CPU"
        )


def trees(paths: list[str], folder: Path) -> list[tuple[str, Path]]:
    """(name, directory) of what is planned."""
    if paths:
        return [(Path(path).resolve().name, Path(path)) for path in paths]
    found = []
    for name in PACKAGES:
        place = folder / name
        words = [
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--disable-pip-version-check",
            "-d",
            str(place),
            name,
        ]
        if subprocess.run([sys.executable, "-m", "pip", *words]).returncode:
            print(f"{name} cannot be fetched and is left out", file=sys.stderr)
            continue
        with tarfile.open(next(place.glob("*.tar.gz"))) as archive:
            archive.extractall(place, filter="data")
        found.append((name, next(path for path in place.iterdir() if path.is_dir())))
    return found


def measure(name: str, tree: Path, rounds: int, tests: bool, work: Path) -> list[dict[str, Any]]:
    """A row for each of `STATES`."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(tree, work / "tree", symlinks=True)
    files = sorted((work / "tree").rglob("*.py"))
    lines = sum(file.read_bytes().count(b"\n") for file in files if tests or "test" not in str(file.relative_to(work)))
    touched = max((file for file in files if "test" not in str(file)), key=lambda file: file.stat().st_size % 100_003)
    environ = environment(AUTOSCOPE_CACHE_DIR=str(work / "cache"))
    words = [
        sys.executable,
        "-m",
        "autoscope",
        "plan",
        str(work / "tree"),
        "-o",
        str(work / "plan.yaml"),
        *["--tests"] * tests,
    ]
    took: dict[str, list[tuple[float, float, int]]] = {state: [] for state in STATES}
    run(words, environ)  # our own `.pyc` files
    for number in range(rounds):
        shutil.rmtree(work / "cache", ignore_errors=True)
        took[STATES[0]].append(run(words, environ))
        age(work)
        run(words, environ)
        took[STATES[1]].append(run(words, environ))
        with touched.open("a") as stream:
            stream.write(f"\ndef added_{number}(x):\n    return open(x)\n")
        took[STATES[2]].append(run(words, environ))
    rows = []
    for state, values in took.items():
        wall, cpu, memory = zip(*values, strict=True)
        rows.append(
            {
                "what": f"{name}, {state}",
                "ms": statistics.median(wall),
                "range_ms": [min(wall), max(wall)],
                "cpu_ms": statistics.median(cpu),
                "bytes": max(memory),
                "lines": lines,
                "lines_per_second": 1000 * lines / statistics.median(cpu),
            }
        )
    return rows


def age(work: Path) -> None:
    """Files changed within the last moments are not trusted to be as they were: these have not been."""
    before = time.time() - 3600
    for file in (work / "tree").rglob("*.py"):
        if file.stat().st_mtime > before:
            os.utime(file, (before, before))


def run(words: list[str], environ: dict[str, str]) -> tuple[float, float, int]:
    """(wall ms, CPU ms of the whole tree, peak bytes of its largest process) of one run."""
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {process.returncode}")
    return 1000 * wall, 1000 * (used.ru_utime + used.ru_stime), used.ru_maxrss * 1024


if __name__ == "__main__":
    main()
