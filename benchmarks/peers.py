"""What others cost a call, each in a process of its own, beside the plain function there. Used by `call.py`.

    python benchmarks/peers.py PEER [--rounds N]      one peer, as JSON

A peer that is not installed is left out: `make bench` installs them all.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from receiver import Receiver
from timing import FUNCTIONS, KINDS, SOURCE, Loop, functions, measure, summary


def decorated(decorate: Callable[[Any], Any]) -> dict[str, Any]:
    """The functions, each decorated."""
    names = functions()
    for name in FUNCTIONS:
        names[name] = decorate(names[name])
    names["Shop"].method = decorate(names["Shop"].__dict__["method"])
    return names


def nothing() -> dict[str, Any]:
    """A decorator that does nothing: what wrapping costs by itself."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    return decorated(decorate)


def wrapt_nothing() -> dict[str, Any]:
    import wrapt

    @wrapt.decorator
    def decorate(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return decorated(decorate)


def logfire() -> dict[str, Any]:
    """Its auto-tracing, which rewrites modules as they are imported; spans to a batch processor that discards them."""
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Discard(SpanExporter):
        def export(self, spans: Any) -> Any:
            return SpanExportResult.SUCCESS

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[BatchSpanProcessor(Discard())],
        scrubbing=False,
    )
    logfire.install_auto_tracing(modules=["traced_by_logfire"], min_duration=0)
    with tempfile.TemporaryDirectory() as folder:
        # The loops that call are not to be traced: they stay in another module.
        Path(folder, "traced_by_logfire.py").write_text(SOURCE)
        sys.path.insert(0, folder)
        import traced_by_logfire  # type: ignore[import-not-found]
    names = functions()
    for name in (*FUNCTIONS, "Shop"):
        names[name] = getattr(traced_by_logfire, name)
    return names


def ddtrace() -> dict[str, Any]:
    """`tracer.wrap` round every function, sending to an agent that takes everything."""
    receiver = Receiver().__enter__()
    os.environ["DD_TRACE_AGENT_URL"] = receiver.url
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    import atexit
    import logging

    logging.disable()
    from ddtrace.trace import tracer

    atexit.register(receiver.process.kill)
    return decorated(lambda function: tracer.wrap()(function))


def viztracer() -> dict[str, Any]:
    """Its C tracer switched on round the loop; the buffer is emptied between the loops."""
    from viztracer import VizTracer

    tracer = VizTracer(verbose=0, tracer_entries=3_000_000)
    names = functions()

    def traced(loop: Loop) -> Loop:
        def run(count: int) -> None:
            tracer.start()
            loop(count)
            tracer.stop()

        return run

    for kind in KINDS:
        names["call_" + kind] = traced(names["call_" + kind])
    names["between"] = tracer.clear
    return names


PEERS: dict[str, tuple[str, str, Callable[[], dict[str, Any]]]] = {
    "functools": ("functools.wraps, does nothing", "functools", nothing),
    "wrapt": ("wrapt.decorator, does nothing", "wrapt", wrapt_nothing),
    "viztracer": ("viztracer, recorded", "viztracer", viztracer),
    "ddtrace": ("ddtrace tracer.wrap, recorded", "ddtrace", ddtrace),
    "logfire": ("logfire auto-tracing, recorded", "logfire", logfire),
}
"""Name on the command line -> name of the row, the package it needs, its functions."""


def rows(rounds: int) -> list[dict[str, Any]]:
    """Of every peer that is installed, as `timing.summary` makes them."""
    found = []
    for peer, (_, package, _) in PEERS.items():
        if importlib.util.find_spec(package) is None:
            continue
        words = [sys.executable, "-W", "ignore", __file__, peer, "--rounds", str(rounds)]
        ran = subprocess.run(words, capture_output=True, text=True)
        if ran.returncode:
            print(f"{peer}: could not be measured: {ran.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        found += json.loads(ran.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    title, _, make = PEERS[arguments.peer]
    plain, theirs = functions(), make()
    between = theirs.get("between", lambda: None)
    table = []
    for kind in KINDS:
        loops = {"plain": plain["call_" + kind], title: theirs["call_" + kind]}
        table += [row for row in summary(kind, measure(loops, arguments.rounds, between)) if row["state"] != "plain"]
    print(json.dumps(table))


if __name__ == "__main__":
    main()
