"""What starting a process costs with autoscope's sitecustomize on the path, switched off, and switched on with nothing to trace.

python benchmarks/startup.py [--json] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile

from processes import ROOT, environment, in_turn, show, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    from autoscope.plan.resolve import resolve

    with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
        plan.write(resolve(environ={}, strategy="balanced").to_json())
        plan.flush()
        root = str(ROOT)
        command = ["-c", "pass"]
        times = in_turn(
            {
                "plain": (command, environment()),
                "sitecustomize on PYTHONPATH, nothing set": (command, environment(PYTHONPATH=root)),
                "enabled by a resolved plan, traces nothing": (
                    command,
                    environment(PYTHONPATH=root, AUTOSCOPE_PLAN=plan.name),
                ),
                "enabled by AUTOSCOPE_STRATEGY, traces nothing": (
                    command,
                    environment(PYTHONPATH=root, AUTOSCOPE_STRATEGY="balanced"),
                ),
                "import autoscope": (["-c", "import autoscope"], environment()),
            },
            arguments.rounds,
        )
    rows = table(times, "plain")
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=2))
    else:
        show("start-up", rows)


if __name__ == "__main__":
    main()
