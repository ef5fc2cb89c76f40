"""Other people's tests, plain and woven: every function of a package and of its tests traced, outcome compared by test.

    python tests/foreign/run.py                       every package of packages.toml, under this interpreter
    python tests/foreign/run.py --python python3.13 attrs click
    python tests/foreign/run.py --short               those of them that take seconds
    python tests/foreign/run.py --more                those of more.toml as well
    python tests/foreign/run.py --cache DIR           keep environments and sources there, and use them again

Each package's tests run plain, woven (strategy `full_trace`, rate 1, arguments and results captured), and plain again. A
test that does not come out the same in both plain runs is left out. Prints a line a package and every difference; exits 1
if there is one, 2 if a package could not be tried.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
TIMEOUT = 1800


class CannotTry(Exception):
    """This package's tests could not be run at all."""


def command(*words: object, cwd: Path | None = None, timeout: int = TIMEOUT) -> str:
    """Run it; what it printed. Raises `CannotTry`."""
    done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=timeout, env=clean())
    if done.returncode:
        raise CannotTry(f"{' '.join(map(str, words))}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def clean() -> dict[str, str]:
    unwanted = ("AUTOSCOPE_", "OTEL_", "PYTHON", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def prepare(name: str, package: dict[str, Any], python: str, cache: Path) -> tuple[Path, Path]:
    """(interpreter with the package and what its tests need, unpacked source), made once."""
    version = command(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    folder = cache / version / name
    interpreter, done = folder / "venv/bin/python", folder / "done"
    needs = [f"pytest{package.get('pytest', '>=8,<9')}", "pyyaml", "rich", *package.get("needs", ())]
    wanted = json.dumps([package["version"], *needs])
    if not (done.exists() and done.read_text() == wanted):
        command("rm", "-rf", folder)
        folder.mkdir(parents=True)
        command(python, "-m", "venv", folder / "venv")
        requirement = f"{name}=={package['version']}"
        command(interpreter, *PIP, "download", "--no-deps", "--no-binary", name, "-d", folder, requirement)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(folder / "source", filter="data")
        command(interpreter, *PIP, "install", requirement, *needs)
        done.write_text(wanted)
    (source,) = (folder / "source").iterdir()
    if not any(told in text(source / name) for name, told in SETTINGS):
        (source / "pytest.ini").touch()  # or pytest would look for settings above, and find ours
    return interpreter, source


SETTINGS = (("pyproject.toml", "[tool.pytest"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"))
"""Where pytest finds a package's settings, and what they begin with."""


def text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def outcomes(
    interpreter: Path, source: Path, package: dict[str, Any], work: Path, woven: bool
) -> tuple[dict[str, str], str]:
    """({test: outcome}, what was printed)"""
    report = work / "report.xml"
    report.unlink(missing_ok=True)
    words: list[object] = [interpreter]
    environment = clean() | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "COLUMNS": "80"}
    environment |= package.get("environment", {})
    if woven:
        plan = work / "plan.json"
        include = [glob for module in package["include"] for glob in (module, f"{module}.*")]
        include += ["test_*", "*_test", "tests", "tests.*", "testing.*", "conftest", "*.test_*", "*.tests.*"]
        plan.write_text(json.dumps({"version": 1, "strategy": "full_trace", "include": include}))
        environment |= {"AUTOSCOPE_CACHE_DIR": str(source.parents[1] / "woven")}
        environment |= {"PYTHONPATH": str(CHECKOUT / "src"), "OTEL_TRACES_EXPORTER": "none", "AUTOSCOPE_STRICT": "1"}
        words += ["-m", "autoscope", "run", "--no-store", "--plan", plan]
    words += ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1"]
    words += [*package.get("options", ()), *package["tests"]]
    # Ignored where a shell has started us in the background, and what is ignored is so in children: trio's tests of Ctrl-C wait for ever then.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = subprocess.run(
        [*map(str, words)], cwd=source, capture_output=True, text=True, timeout=TIMEOUT, env=environment
    )
    printed = done.stdout + done.stderr
    if not report.exists():
        raise CannotTry(f"pytest wrote no report: {printed.strip()[-1500:]}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        result = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        name = f"{case.get('classname')}::{case.get('name')}"
        name = re.sub(r"\d\d:\d\d:\d\d", "00:00:00", re.sub(r"0x[0-9a-f]+", "0x", name))
        found[name] = max(found.get(name, ""), result)
    if "passed" not in found.values():
        raise CannotTry(f"no test passed: {printed.strip()[-1500:]}")
    return found, printed


def compare(name: str, package: dict[str, Any], python: str, cache: Path, work: Path) -> list[str]:
    """The differences; prints the package's line."""
    interpreter, source = prepare(name, package, python, cache)
    seconds, runs = [], []
    for woven in (False, True, False):
        started = time.monotonic()
        runs.append(outcomes(interpreter, source, package, work, woven))
        seconds.append(time.monotonic() - started)
    (first, _), (traced, printed), (second, _) = runs
    apart = package.get("apart", {})
    steady = {test for test in first if first[test] == second.get(test)} - set(apart)
    different = [
        f"{test}: {first[test]}, woven {traced.get(test, 'not run')}"
        for test in sorted(steady)
        if traced.get(test) != first[test]
    ]
    passed = sum(first[test] == "passed" for test in steady)
    spans = re.search(r"autoscope: (\d+) spans recorded", printed)
    functions = re.search(r"(\d+) functions woven", printed)
    if spans is None or functions is None:
        raise CannotTry(f"nothing was woven: {printed.strip()[-800:]}")
    print(
        f"| {name} {package['version']} | {len(steady)} | {passed} | {len(first) - len(steady)} | {len(different)} | "
        f"{int(functions[1]):,} | {int(spans[1]):,} | {min(seconds[0], seconds[2]):.1f} | {seconds[1]:.1f} |",
        flush=True,
    )
    if different:
        (work / f"{name}.log").write_text(printed)
        print(f"-- what was printed is in {work / name}.log", file=sys.stderr)
    return different


def main() -> int:
    listed = tomllib.loads((HERE / "packages.toml").read_text())
    packages = listed | tomllib.loads((HERE / "more.toml").read_text())
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to try it on")
    parser.add_argument("--cache", type=Path, default=CHECKOUT / ".venv/foreign", help="for environments and sources")
    parser.add_argument("--short", action="store_true", help="only the packages that take seconds")
    parser.add_argument("--more", action="store_true", help="those of more.toml as well")
    parser.add_argument(
        "names", nargs="*", choices=[*packages, []], help="packages; all of packages.toml if none is named"
    )
    arguments = parser.parse_args()
    print("| package | tests | of them passed | unsteady | different | functions woven | spans | plain s | woven s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    status = 0
    work = Path(tempfile.mkdtemp(prefix="foreign-"))
    chosen = packages if arguments.more else listed
    if arguments.short:
        chosen = {name: package for name, package in listed.items() if package.get("short")}
    for name in arguments.names or chosen:
        try:
            different = compare(name, packages[name], arguments.python, arguments.cache.absolute(), work)
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
