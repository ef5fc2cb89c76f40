"""What is kept in memory: for a site, and for a span that waits to be taken.

    python benchmarks/memory.py [--json] [--calls N]

Bytes as `tracemalloc` counts them, which is what Python's allocator gives, and the growth of the process's resident memory.
Plain and woven modules are loaded from equal bytes, so that what differs is ours.
"""

from __future__ import annotations

import argparse
import gc
import json
import marshal
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoscope.plan.model import CapturePatch, Plan
from autoscope.runtime import context, sites
from autoscope.runtime.spans import Trace
from autoscope.weave import pack
from autoscope.weave.weaver import Weaver

MODULES = (
    "argparse",
    "ast",
    "datetime",
    "decimal",
    "difflib",
    "email.message",
    "inspect",
    "logging",
    "tarfile",
    "typing",
)


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cost(make: Callable[[], Any]) -> tuple[Any, int, int]:
    """(what was made, bytes allocated for it if they are traced, bytes of resident memory else)"""
    gc.collect()
    if not tracemalloc.is_tracing():
        before = resident()
        made = make()
        gc.collect()
        return made, 0, resident() - before
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    gc.collect()
    return made, tracemalloc.get_traced_memory()[0] - before, 0


def modules() -> list[tuple[str, bytes]]:
    """(name, compiled code) of some of the library's larger modules."""
    folder = Path(os.__file__).parent
    found = []
    for name in MODULES:
        file = folder.joinpath(*name.split(".")).with_suffix(".py")
        if not file.exists():
            file = folder.joinpath(*name.split("."), "__init__.py")
        found.append((name, marshal.dumps(compile(file.read_bytes(), str(file), "exec"))))
    return found


def sdk(calls: int, row: Callable[..., None]) -> None:
    """What the OpenTelemetry SDK keeps of a span with the attributes ours have, where it is installed."""
    try:
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        return
    tracer = TracerProvider().get_tracer("bench")
    attributes = {"code.function.name": "bench.f", "code.file.path": "<benchmark>", "code.line.number": 1}
    kept: list[Any] = []

    def spans() -> None:
        for _ in range(calls):
            with tracer.start_as_current_span("bench.f", attributes=attributes) as span:
                kept.append(span)

    _, allocated, grown = cost(spans)
    row("OpenTelemetry SDK, nothing captured", "span", calls, allocated, grown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--resident", action="store_true", help="measure resident memory (done by itself)")
    arguments = parser.parse_args()
    if not arguments.resident:
        tracemalloc.start()
    rows: list[dict[str, Any]] = []

    def row(what: str, unit: str, count: int, allocated: int, grown: int) -> None:
        rows.append({"what": what, "unit": unit, "count": count, "bytes": allocated / count, "resident": grown / count})

    plan = Plan(strategy="full_trace", include=("*",))
    weave = Weaver(plan)
    sources = modules()
    kept, plain, plain_grown = cost(lambda: [marshal.loads(data) for _, data in sources])
    woven, allocated, grown = cost(
        lambda: [weave.module_code(marshal.loads(d), name, lambda: None) for name, d in sources]
    )
    count = len(sites.sites)
    row("woven now, beyond plain code", "site", count, allocated - plain, grown - plain_grown)
    packed = [(name, pack.pack(code, [])) for (name, _), code in zip(sources, woven, strict=True)]
    del woven
    sites.reset()
    read, allocated, grown = cost(lambda: [pack.unpack(data, plan, name) for name, data in packed if data is not None])
    assert len(sites.sites) == count
    row("from the code cache, beyond plain code", "site", count, allocated - plain, grown - plain_grown)
    del kept, read
    sites.reset()

    for what, capture in (("recorded, nothing captured", False), ("recorded, a number and a text captured", True)):
        weave = Weaver(
            Plan(strategy="full_trace", capture=CapturePatch(args=capture, returns=capture), include=("bench",))
        )
        text = "def f(number, text):\n    return number\n"
        names: dict[str, Any] = {"__name__": "bench"}
        exec(weave.module_code(compile(text, "<benchmark>", "exec"), "bench", lambda text=text: text), names)
        context.set_current((Trace(1), 1))

        def calls(f: Any = names["f"]) -> None:
            for number in range(arguments.calls):
                f(number, "a text")

        _, allocated, grown = cost(calls)
        assert len(sites.recorded()) == arguments.calls
        row(what, "span", arguments.calls, allocated, grown)
        context.set_current(None)
        sites.reset()
    sdk(arguments.calls, row)
    if not arguments.resident:
        # In a process of its own: what tracemalloc notes is memory too.
        words = [sys.executable, __file__, "--json", "--resident", "--calls", str(arguments.calls)]
        other = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        for mine, theirs in zip(rows, other["rows"], strict=True):
            mine["resident"] = theirs["resident"]
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": rows}, indent=2))
        return
    print(f"memory, CPython {sys.version.split()[0]}: bytes allocated (resident memory grown by)")
    for entry in rows:
        print(
            f"  {entry['what']:42} {entry['bytes']:8.0f} ({entry['resident']:.0f}) a {entry['unit']}, of {entry['count']:,}"
        )


if __name__ == "__main__":
    main()
