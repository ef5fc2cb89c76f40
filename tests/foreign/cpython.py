"""Python's own tests of its library, plain and woven: the modules under test and the tests traced, compared test by test.

    python tests/foreign/cpython.py                       every module of cpython.toml, under this interpreter
    python tests/foreign/cpython.py --python python3.13 test_enum test_copy
    python tests/foreign/cpython.py --everything test_enum      the whole standard library woven

The interpreter needs its `test` package and PyYAML. As in `run.py`, each module runs plain, woven (strategy `full_trace`,
rate 1, arguments and results captured), and plain again, and what differs between the plain runs is left out. Prints a line
a module and every difference; exits 1 if there is one, 2 if a module could not be tried.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import CHECKOUT, HERE, TIMEOUT, CannotTry, clean, command

TESTS = ("test", "test.*")
Outcomes = dict[str, tuple[str, str]]
"""Test -> (outcome, what was said of it)."""


def outcomes(
    python: str, name: str, plan: dict[str, Any] | None, seconds: int, left_out: Iterable[str]
) -> tuple[Outcomes, str]:
    """(what came of each test, what was printed); woven if there is a plan."""
    with tempfile.TemporaryDirectory(prefix="cpython-") as folder:
        work = Path(folder)
        report, here = work / "report.jsonl", work / "here"
        here.mkdir()
        # A temporary directory of its own: tests compare the names in it.
        environment = clean() | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TMPDIR": str(work)}
        environment |= {"COLUMNS": "80", "LANG": "C.UTF-8"}
        words: list[object] = [python]
        if plan is not None:
            file = work / "plan.json"
            file.write_text(json.dumps(plan))
            environment |= {
                "PYTHONPATH": str(CHECKOUT / "src"),
                "OTEL_TRACES_EXPORTER": "none",
                "AUTOSCOPE_STRICT": "1",
                "AUTOSCOPE_CACHE_DIR": str(work / "woven"),
            }
            words += ["-m", "autoscope", "run", "--no-store", "--plan", file]
        words += [HERE / "cpython_tests.py", report, seconds, f"test.{name}", *left_out]
        done = subprocess.run(
            [*map(str, words)],
            cwd=here,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds + 60,
            env=environment,
        )
        printed = (done.stdout + done.stderr).decode(errors="replace")
        if not report.exists():
            raise CannotTry(f"no test began: {printed.strip()[-1500:]}")
        found: Outcomes = {}
        last = ""
        for line in report.read_text().splitlines():
            last, outcome, said = json.loads(line)
            test = re.sub(r"0x[0-9a-fA-F]+", "0x", last).replace(folder, "")
            if outcome == "begun":
                found.setdefault(test, ("not ended", ""))
            elif test not in found or found[test][0] in ("not ended", "passed"):
                found[test] = outcome, said
        if last != "the end":
            found["the end"] = f"ended with {done.returncode}", printed[-3000:]
    return found, printed


def compare(python: str, name: str, table: dict[str, Any], everything: bool, logs: Path) -> list[str]:
    """The differences; prints the module's line."""
    include = ["*"] if everything else [*table.get("tests", TESTS), *table.get("include", ())]
    plan = {"version": 1, "strategy": "full_trace", "include": include, "capture": table.get("capture", {})}
    limit = table.get("seconds", TIMEOUT)
    seconds, runs = [], []
    for woven in (None, plan, None):
        started = time.monotonic()
        runs.append(outcomes(python, name, woven, limit, table.get("left_out", {})))
        seconds.append(time.monotonic() - started)
    (first, _), (traced, printed), (second, _) = runs
    steady = {test for test in first if first[test][0] == second.get(test, ("", ""))[0]}
    apart = {test for test in steady if any(fnmatchcase(test, glob) for glob in table.get("apart", {}))}
    steady -= apart
    missing = ("not run", "")
    different = [test for test in sorted(steady) if traced.get(test, missing)[0] != first[test][0]]
    # Parts of a test (`subTest`) are told only where they fail, and then so is the test.
    extra = sorted(test for test in set(traced) - set(first) - set(second) if test.split()[0] not in first)
    spans = re.search(r"autoscope: (\d+) spans recorded", printed)
    functions = re.search(r"(\d+) functions woven", printed)
    passed = sum(first[test][0] == "passed" for test in steady)
    print(
        f"| {name} | {len(steady)} | {passed} | {len(first) - len(steady) - len(apart)} | {len(apart)} | "
        f"{len(different) + len(extra)} | {int(functions[1]) if functions else 0:,} | {int(spans[1]) if spans else 0:,} | "
        f"{min(seconds[0], seconds[2]):.1f} | {seconds[1]:.1f} |",
        flush=True,
    )
    lines = [f"{test}: {first[test][0]}, woven {traced.get(test, missing)[0]}" for test in different]
    lines += [f"{test}: not run, woven {traced[test][0]}" for test in extra]
    if lines or functions is None:
        text = "".join(f"{test}\n{traced.get(test, missing)[1]}\n" for test in [*different, *extra])
        (logs / f"{name}.log").write_text(f"{text}\n{printed}")
        print(f"-- what was said is in {logs / name}.log", file=sys.stderr)
    return lines


def main() -> int:
    modules = tomllib.loads((HERE / "cpython.toml").read_text())
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to try it on")
    parser.add_argument("--everything", action="store_true", help="weave the whole standard library")
    parser.add_argument("names", nargs="*", choices=[*modules, []], help="modules; all if none is named")
    arguments = parser.parse_args()
    version = tuple(map(int, command(arguments.python, "-c", "import sys; print(*sys.version_info[:2])").split()))
    print(
        "| module | tests | of them passed | unsteady | apart | different | functions woven | spans | plain s | woven s |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    status = 0
    logs = Path(tempfile.mkdtemp(prefix="cpython-logs-"))
    for name in arguments.names or modules:
        if version < tuple(modules[name].get("since", (3, 11))):
            continue
        try:
            different = compare(arguments.python, name, modules[name], arguments.everything, logs)
        except (CannotTry, subprocess.TimeoutExpired, OSError, ValueError) as error:
            print(f"-- {name} could not be tried: {error}", file=sys.stderr, flush=True)
            status = 2
            continue
        for line in different:
            print(f"-- {name}: {line}", file=sys.stderr, flush=True)
        status = max(status, bool(different))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
