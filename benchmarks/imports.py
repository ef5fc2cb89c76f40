"""What importing a package costs woven, whole process: all `.pyc` files and the code cache there, or none of it.

    python benchmarks/imports.py [--json] [--rounds N] [--no-peers] [PACKAGE ...]

Packages not installed are left out; without any named, those of `PACKAGES`. Beside it, where it is installed, logfire's
auto-tracing, which rewrites modules each time they are imported: once, since it takes seconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path

from processes import ROOT, environment, in_turn, show, table

PACKAGES = {
    "django": "import django.db.models, django.http, django.template, django.forms, django.contrib.auth.hashers",
    "sqlalchemy": "import sqlalchemy, sqlalchemy.orm",
    "sympy": "import sympy",
    "yaml": "import yaml",
    "argparse": "import argparse",
}

PLAIN_COLD = "plain, no .pyc"
COLD = "woven at full_trace, no .pyc, nothing in the code cache"


LOGFIRE_ROW = "logfire auto-tracing, warm"
LOGFIRE = (
    "import logfire; logfire.configure(send_to_logfire=False, console=False); "
    "logfire.install_auto_tracing(modules=[{!r}], min_duration=1000, check_imported_modules='ignore'); "
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("packages", nargs="*")
    arguments = parser.parse_args()
    from autoscope.plan.resolve import resolve

    result = []
    for package in arguments.packages or PACKAGES:
        if importlib.util.find_spec(package) is None:
            continue
        command = ["-c", PACKAGES.get(package, f"import {package}")]
        with tempfile.TemporaryDirectory() as folder:
            variants = {"plain, warm": (command, environment())}
            kept, emptied = Path(folder) / "cache", Path(folder) / "emptied"
            for strategy in ("balanced", "full_trace"):
                plan = Path(folder) / f"{strategy}.json"
                include = (f"{package}.*",)
                plan.write_text(resolve(environ={}, strategy=strategy, include=include, rate=0.0).to_json())
                on = {"PYTHONPATH": str(ROOT), "AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STORE": ""}
                on["AUTOSCOPE_CACHE_DIR"] = str(kept)
                variants[f"woven at {strategy}, warm"] = (command, environment(**on))
                if strategy == "full_trace":
                    cold = environment(PYTHONPYCACHEPREFIX=f"{folder}/none", PYTHONDONTWRITEBYTECODE="1")
                    variants[PLAIN_COLD] = (command, cold)
                    variants[COLD] = (command, {**cold, **on, "AUTOSCOPE_CACHE_DIR": str(emptied)})

            def before(name: str, emptied: Path = emptied) -> None:
                if name == COLD:
                    shutil.rmtree(emptied, ignore_errors=True)

            times = in_turn(variants, arguments.rounds, before)
            rows = table(times, "plain, warm")
            [cold_row] = table({name: times[name] for name in (PLAIN_COLD, COLD)}, PLAIN_COLD)[1:]
            rows.append({**cold_row, "variant": "the last, to plain without .pyc"})
            if not arguments.no_peers and importlib.util.find_spec("logfire"):
                setup = LOGFIRE.format(package) + command[1]
                peer = {
                    "plain, warm": variants["plain, warm"],
                    LOGFIRE_ROW: (["-W", "ignore", "-c", setup], environment()),
                }
                rows += table(in_turn(peer, 2), "plain, warm")[1:]
        result.append({"package": package, "rows": rows})
        if not arguments.json:
            show(f"import {package}", rows)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "packages": result}, indent=2))


if __name__ == "__main__":
    main()
