"""What starting a process costs with autoscope's sitecustomize on the path, switched off, and switched on with nothing to trace.

python benchmarks/startup.py [--json] [--rounds N]

Beside it, where they are installed: what others take to be ready to trace.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from processes import ROOT, environment, in_turn, show, table

SDK = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
"""


def peers() -> dict[str, tuple[list[str], dict[str, str]]]:
    found = {}
    if importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.exporter"):
        found["OpenTelemetry SDK, set up in the program"] = (["-c", SDK], environment())
    if importlib.util.find_spec("logfire"):
        setup = "import logfire; logfire.configure(send_to_logfire=False, console=False)"
        found["logfire, set up in the program"] = (["-W", "ignore", "-c", setup], environment())
    if importlib.util.find_spec("ddtrace"):
        script = str(Path(sys.executable).with_name("ddtrace-run"))
        quiet = environment(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_TRACE_AGENT_URL="http://127.0.0.1:9")
        found["ddtrace-run"] = ([script, sys.executable, "-c", "pass"], quiet)
    return found


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
                **peers(),
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
