"""Other people's tests under `pytest --autoscope`: the same outcome test by test, and what it costs in wall-clock time.

    python tests/foreign/plugin.py                        the packages that the targets name, under this interpreter
    python tests/foreign/plugin.py --python python3.13 --rounds 5 click flask

Each package's tests run plain, with every function traced (`full_trace`), and as `--autoscope` does it by default, one after the other and as often as
`--rounds` says. A ratio is the median of those of single rounds; in brackets the lowest and the highest. A test that does not come out the same in all plain runs is left out. Prints a line a package, then
geometric means; exits 1 if a test came out differently, 2 if a package could not be tried.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

from run import CHECKOUT, HERE, PIP, CannotTry, command, outcomes, prepare

PACKAGES = ("flask", "jinja2", "click", "attrs", "werkzeug", "marshmallow", "trio", "starlette", "networkx")
WAYS = ("plain", "full_trace", "default")


def options(way: str, package: dict[str, Any], work: Path) -> list[str]:
    if way == "plain":
        return []
    asked = ["--autoscope", f"--autoscope-store={work / 'store'}", "--autoscope-show=off"]
    asked += [f"--autoscope-include={module}.*" for module in package["include"]]
    return asked + (["--autoscope-strategy=full_trace"] if way == "full_trace" else [])


def install(interpreter: Path) -> None:
    """Put this checkout, with its entry points, beside the package."""
    done = interpreter.parents[2] / "plugin"
    if not done.exists():
        command(interpreter, *PIP, "install", "hatchling", "editables")
        command(interpreter, *PIP, "install", "--no-deps", "--no-build-isolation", "-e", CHECKOUT)
        done.touch()


def compare(
    name: str, package: dict[str, Any], python: str, cache: Path, work: Path, rounds: int
) -> tuple[list[str], list[float]]:
    """(the differences, the times of the ways); prints the package's line."""
    interpreter, source = prepare(name, package, python, cache)
    install(interpreter)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    seen: dict[str, list[dict[str, str]]] = {way: [] for way in WAYS}
    said: dict[str, str] = {}
    for _ in range(rounds):
        for way in WAYS:
            # Compiled modules are kept, as they are at home: pytest's, and our code cache, which goes by the same variable.
            more = package | {
                "options": [*package.get("options", ()), *options(way, package, work)],
                "environment": package.get("environment", {}) | {"PYTHONDONTWRITEBYTECODE": ""},
            }
            started = time.monotonic()
            found, said[way] = outcomes(interpreter, source, more, work, woven=False)
            seconds[way].append(time.monotonic() - started)
            seen[way].append(found)
    first = seen["plain"][0]
    steady = {test for test in first if all(one.get(test) == first[test] for one in seen["plain"])}
    different = [
        f"{test}: {first[test]}, {way} {one.get(test, 'not run')}"
        for way in WAYS[1:]
        for one in seen[way]
        for test in sorted(steady - set(package.get("apart", {})))
        if one.get(test) != first[test]
    ]
    spans = [re.search(r"autoscope: ([\d,]+) spans", said[way]) for way in WAYS[1:]]
    if None in spans:
        raise CannotTry(f"nothing was recorded: {said['full_trace'].strip()[-800:]}")
    of_rounds = [sorted(map(truediv, seconds[way], seconds["plain"])) for way in WAYS[1:]]
    ratios = [median(some) for some in of_rounds]
    counts = " | ".join(one[1] for one in spans if one)
    told = " | ".join(f"{ratio:.2f} ({some[0]:.2f} to {some[-1]:.2f})" for ratio, some in zip(ratios, of_rounds))
    plain = median(seconds["plain"])
    print(
        f"| {name} {package['version']} | {len(steady)} | {len(different)} | {counts} | {plain:.1f} | {told} |",
        flush=True,
    )
    for way in WAYS[1:] if different else ():
        (work / f"{name}-{way}.log").write_text(said[way])
    return different, ratios


def main() -> int:
    packages = tomllib.loads((HERE / "packages.toml").read_text())
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to try it on")
    parser.add_argument("--cache", type=Path, default=CHECKOUT / ".venv/foreign", help="for environments and sources")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "names", nargs="*", choices=[*packages, []], help="packages; those of the targets if none is named"
    )
    arguments = parser.parse_args()
    print("| package | tests | different | spans, full_trace | spans, default | plain s | full_trace | default |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    status = 0
    work = Path(tempfile.mkdtemp(prefix="plugin-"))
    all_ratios = []
    for name in arguments.names or PACKAGES:
        try:
            different, ratios = compare(
                name, packages[name], arguments.python, arguments.cache.absolute(), work, arguments.rounds
            )
        except (CannotTry, subprocess.TimeoutExpired, OSError, ValueError) as error:
            print(f"-- {name} could not be tried: {error}", file=sys.stderr, flush=True)
            status = 2
            continue
        all_ratios.append(ratios)
        for line in different:
            print(f"-- {name}: {line}", file=sys.stderr, flush=True)
        status = max(status, bool(different))
    means = [math.exp(sum(map(math.log, column)) / len(column)) for column in zip(*all_ratios, strict=True)]
    print("geometric means:", ", ".join(f"{way} {mean:.2f}" for way, mean in zip(WAYS[1:], means, strict=False)))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
