"""What a call costs: every kind of function in every state, beside the plain function and the OpenTelemetry SDK.

    python benchmarks/call.py [--json] [--rounds N]

Plain and woven copies are timed in turn in one process, in blocks of a few milliseconds; the median over rounds is
printed with its quartiles, as nanoseconds added to the plain call and as a ratio to it. The OpenTelemetry rows need
`opentelemetry-sdk`; without it they are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from autoscope.plan.model import CapturePatch, Plan
from autoscope.runtime import sampling, sites
from autoscope.weave.weaver import Weaver, give_back

SOURCE = """
def tiny(x):
    return x + 1

def medium(x):
    total = 0
    for number in range(12):
        total += number * x
    return total

def generator(x):
    for number in range(10):
        yield number

async def coroutine(x):
    return x + 1

def raises(x):
    raise ValueError

def twenty(x, depth=20):
    if depth:
        return twenty(x, depth - 1)
    raise ValueError

class Shop:
    def method(self, x):
        return x

def call_tiny(n):
    for _ in range(n):
        tiny(1)

def call_medium(n):
    for _ in range(n):
        medium(1)

def call_method(n):
    shop = Shop()
    for _ in range(n):
        shop.method(1)

def call_generator(n):
    for _ in range(n):
        for _ in generator(1):
            pass

def call_coroutine(n):
    for _ in range(n):
        try:
            coroutine(1).send(None)
        except StopIteration:
            pass

def call_raises(n):
    for _ in range(n):
        try:
            raises(1)
        except ValueError:
            pass

def call_twenty(n):
    for _ in range(n):
        try:
            twenty(1)
        except ValueError:
            pass
"""

KINDS = ("tiny", "medium", "method", "generator", "coroutine", "raises", "twenty")
TARGETS = ("tiny", "medium", "method", "generator", "coroutine", "raises", "twenty")


def namespace(plan: Plan | None, path: str = "bytecode") -> dict[str, Any]:
    """The functions above; with a plan, woven (all but the loops that call them)."""
    code = compile(SOURCE, "<benchmark>", "exec")
    names: dict[str, Any] = {"__name__": "bench"}
    if plan is not None:
        weave = Weaver(plan)
        weave.path = path
        code = weave.module_code(code, "bench", lambda: SOURCE)
    exec(code, names)
    return names


def plan_for(capture: bool = False) -> Plan:
    from autoscope.plan.model import FunctionRule, ModuleRule

    return Plan(
        strategy="full_trace",
        include=("bench",),
        capture=CapturePatch(args=capture, returns=capture),
        modules={"bench": ModuleRule(None, None, CapturePatch(), {"call_*": FunctionRule("off")})},
    )


def under_otel(rate: float) -> dict[str, Any]:
    """The functions, each with a `start_as_current_span` round its body, and a BatchSpanProcessor that discards."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    class Discard(SpanExporter):
        def export(self, spans: Any) -> Any:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(rate)))
    provider.add_span_processor(BatchSpanProcessor(Discard()))
    lines = []
    for line in SOURCE.splitlines():
        lines.append(line)
    text = SOURCE
    for name in ("tiny", "medium", "generator", "raises", "twenty", "method"):
        text = _in_a_span(text, name)
    text = _in_a_span(text, "coroutine", "async def ")
    names: dict[str, Any] = {"__name__": "bench", "tracer": provider.get_tracer("bench")}
    exec(compile(text, "<benchmark>", "exec"), names)
    return names


def _in_a_span(text: str, name: str, define: str = "def ") -> str:
    out, inside, indent = [], False, ""
    for line in text.splitlines():
        bare = line.strip()
        if inside and bare and not line.startswith(indent + " "):
            inside = False
        out.append("    " + line if inside and bare else line)
        if bare.startswith(f"{define}{name}("):
            indent = line[: len(line) - len(line.lstrip())]
            inside = True
            out.append(f'{indent}    with tracer.start_as_current_span("bench.{name}"):')
    return "\n".join(out) + "\n"


def measure(variants: dict[str, Callable[[int], Any]], rounds: int, block_ms: float = 4.0) -> dict[str, list[float]]:
    """Nanoseconds a call for each variant, `rounds` values each, in turn."""
    clock = time.perf_counter_ns
    counts = {}
    for name, loop in variants.items():
        loop(10)
        count = 16
        while True:
            started = clock()
            loop(count)
            spent = clock() - started
            if spent > 1e6 or count > 1 << 20:
                break
            count *= 4
        counts[name] = max(8, int(count * block_ms * 1e6 / max(spent, 1)))
        sites.records.clear()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, loop in variants.items():
            started = clock()
            loop(counts[name])
            times[name].append((clock() - started) / counts[name])
            sites.records.clear()
    return times


def rows(rounds: int) -> list[dict[str, Any]]:
    """One row a kind and state: median ns, added ns, ratio, quartiles."""
    sampling.set_rate(1.0)
    plain, control = namespace(None), namespace(None)
    off = namespace(plan_for())
    give_back()
    disarmed = namespace(plan_for())
    for site in sites.sites:
        site.armed = False
    armed_from = len(sites.sites)
    recorded = namespace(plan_for())
    captured = namespace(plan_for(True))
    source = namespace(plan_for(), "ast")
    unsampled = namespace(plan_for())
    assert len(sites.sites) > armed_from
    trace_root = sampling.root(None)

    def inside(loop: Callable[[int], Any]) -> Callable[[int], Any]:
        """Run a loop as the child of a recorded span, as most calls are."""
        from autoscope.runtime import context

        def run(n: int) -> None:
            context.current.set(trace_root)
            loop(n)
            context.current.set(None)

        return run

    def sampled_out(loop: Callable[[int], Any]) -> Callable[[int], Any]:
        def run(n: int) -> None:
            sampling.set_rate(0.0)
            loop(n)
            sampling.set_rate(1.0)

        return run

    states: dict[str, Callable[[str], Callable[[int], Any]]] = {
        "plain": lambda name: plain[name],
        "control: a second plain copy": lambda name: control[name],
        "off: the author's code": lambda name: off[name],
        "armed, nothing recorded": lambda name: disarmed[name],
        "root, sampled out": lambda name: sampled_out(unsampled[name]),
        "root, recorded": lambda name: recorded[name],
        "child, recorded": lambda name: inside(recorded[name]),
        "child, arguments and result": lambda name: inside(captured[name]),
        "child, recorded, woven from source": lambda name: inside(source[name]),
    }
    try:
        otel, otel_off = under_otel(1.0), under_otel(0.0)
        states["OpenTelemetry SDK, recorded"] = lambda name: otel[name]
        states["OpenTelemetry SDK, sampled out"] = lambda name: otel_off[name]
    except ImportError:
        pass
    table = []
    for kind in KINDS:
        times = measure({state: make("call_" + kind) for state, make in states.items()}, rounds)
        base = statistics.median(times["plain"])
        for state, values in times.items():
            low, middle, high = statistics.quantiles(values, n=4)
            table.append(
                {
                    "kind": kind,
                    "state": state,
                    "ns": middle,
                    "added_ns": middle - base,
                    "ratio": middle / base,
                    "quartiles_ns": [low, high],
                }
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    table = rows(arguments.rounds)
    if arguments.json:
        print(json.dumps({"python": sys.version.split()[0], "rows": table}, indent=2))
        return
    print(f"CPython {sys.version.split()[0]}: nanoseconds added to a plain call (ratio to it) [quartiles of the call]")
    for row in table:
        low, high = row["quartiles_ns"]
        print(
            f"{row['kind']:10} {row['state']:36} {row['added_ns']:+10.0f} ({row['ratio']:6.2f}x)  [{low:.0f} .. {high:.0f}]"
        )


if __name__ == "__main__":
    main()
