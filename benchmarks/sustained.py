"""A program that makes spans without end: all the CPU they cost, from the call to the socket, and whether any is lost.

    python benchmarks/sustained.py [--json] [--seconds S]

The program calls one function so many times a second, plain, traced, and through the OpenTelemetry SDK, each in a process of its
own with the defaults of its exporter, which sends to a local OTLP/HTTP receiver. CPU is the whole process's (all threads, start
and end included) beyond that of a process that makes none; what arrives is counted at the receiver.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import ROOT, environment
from receiver import Receiver

PROGRAM = """
import json, sys, time
def leaf(x):
    return x
def work(count):
    for _ in range(count): leaf(1)
def main(rate, seconds):
    began, made = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate) - made if rate else 10_000
        work(due)
        made += due
        if rate: time.sleep(0.001)
    return made
"""
SDK = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("bench")
plain = leaf
def leaf(x):
    with tracer.start_as_current_span("__main__.leaf"):
        return plain(x)
"""
END = """
made = main(float(sys.argv[1]), float(sys.argv[2]))
counts = {}
if "autoscope" in sys.modules:
    import autoscope
    autoscope.flush(30)
    counts = autoscope.stats()
print(json.dumps({"made": made, "dropped": counts.get("dropped"), "recorded": counts.get("recorded")}))
"""


def run(folder: str, way: str, rate: float, seconds: float) -> dict[str, Any]:
    """One process: what it made, what arrived, its CPU seconds and its largest size in bytes."""
    script = Path(folder, "app.py")
    script.write_text(PROGRAM + (SDK if way == "sdk" else "") + END)
    with Receiver() as receiver:
        environ = environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
        if way == "traced":
            environ |= {
                "PYTHONPATH": str(ROOT),
                "AUTOSCOPE_STRATEGY": "balanced",
                "AUTOSCOPE_RATE": "1",
                "AUTOSCOPE_INCLUDE": "__main__",
                "AUTOSCOPE_PLAN": str(Path(folder, "plan.yaml")),
                "AUTOSCOPE_STORE": "",
            }
            # `leaf` is what a balanced plan would leave out, and `main` would make it all one trace's.
            Path(folder, "plan.yaml").write_text(
                "strategy: balanced\nmodules:\n  __main__:\n    functions:\n      leaf: {level: balanced}\n"
                "      main: {level: 'off'}\n"
            )
        process = subprocess.Popen(
            [sys.executable, str(script), str(rate), str(seconds)], env=environ, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{way}: exit code {process.returncode}")
        arrived = receiver.spans()
    return json.loads(said) | {
        "arrived": arrived,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    cases = [("traced", 20_000.0), ("traced", 100_000.0), ("traced", 300_000.0), ("traced", 0.0)]
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401

        cases += [("sdk", 5_000.0), ("sdk", 20_000.0)]
    except ImportError:
        pass
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for way, rate in cases:
            # At full speed the plain program would make many more: then there is nothing to compare.
            plain = run(folder, "plain", rate, arguments.seconds) if rate else None
            ran = run(folder, way, rate, arguments.seconds)
            spans = ran["arrived"]
            cpu = 1e9 * (ran["cpu_s"] - plain["cpu_s"]) / spans if plain else None
            rows.append({"way": way, "asked": rate, "seconds": arguments.seconds, "cpu_ns": cpu, **ran})
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=2))
        return
    print(
        f"{arguments.seconds:g} s of spans, CPython {sys.version.split()[0]}: calls made, spans that arrived, CPU a span"
    )
    for row in rows:
        asked = f"{row['asked']:,.0f} calls a second" if row["asked"] else "at full speed"
        cpu = f"{row['cpu_ns']:8,.0f} ns" if row["cpu_ns"] is not None else ""
        dropped = f", {row['dropped']:,} dropped" if row["dropped"] is not None else ""
        print(
            f"  {row['way']:7} {asked:26} {row['made']:12,} {row['arrived']:12,}{dropped} {cpu}  "
            f"(at most {row['peak_bytes'] / 1e6:.0f} MB)"
        )


if __name__ == "__main__":
    main()
