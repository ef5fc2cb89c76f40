"""What a call costs: every kind of function in every state, beside the plain function, the OpenTelemetry SDK and others.

    python benchmarks/call.py [--json] [--rounds N]

Plain and woven copies are timed in turn in one process, in blocks of a few milliseconds; the median over rounds is
printed with its quartiles, as nanoseconds added to the plain call and as a ratio to it. The OpenTelemetry SDK runs in the same
process, every other peer in one of its own (`peers.py`); who is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import peers
from timing import KINDS, SOURCE, Loop, functions, measure, summary

from autoscope.plan.model import CapturePatch, ModuleRule, Plan
from autoscope.runtime import context, sampling, sites
from autoscope.weave.weaver import Weaver, give_back


def namespace(plan: Plan | None, path: str = "bytecode") -> dict[str, Any]:
    """The functions above; with a plan, woven (all but the loops that call them)."""
    if plan is None:
        return functions()
    weave = Weaver(plan)
    weave.path = path
    return functions(lambda code: weave.module_code(code, "bench", lambda: SOURCE))


def plan_for(capture: bool = False) -> Plan:
    from autoscope.plan.model import FunctionRule

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


def rows(rounds: int) -> list[dict[str, Any]]:
    """One row a kind and state: median ns, added ns, ratio, quartiles."""
    sampling.set_rate(1.0)
    plain, control = namespace(None), namespace(None)
    never = namespace(Plan(strategy="full_trace", include=("bench",), modules={"bench": ModuleRule("off")}))
    assert not sites.sites
    off = namespace(plan_for())
    give_back()
    disarmed = namespace(plan_for())
    for site in sites.sites:
        site.armed = False
    armed_from = len(sites.sites)
    recorded = namespace(plan_for())
    captured = namespace(plan_for(True))
    source = namespace(plan_for(), "ast")
    assert len(sites.sites) > armed_from
    trace_root = sampling.root(None)

    def under(parent: Any, rate: float = 1.0) -> Callable[[Loop], Loop]:
        """Run a loop where `parent` is current, as most calls are in some trace."""

        def around(loop: Loop) -> Loop:
            def run(n: int) -> None:
                sampling.set_rate(rate)
                context.current.set(parent)
                loop(n)
                context.current.set(None)
                sampling.set_rate(1.0)

            return run

        return around

    states: dict[str, Callable[[str], Loop]] = {
        "plain": lambda name: plain[name],
        "control: a second plain copy": lambda name: control[name],
        "off in the plan": lambda name: never[name],
        "switched off": lambda name: off[name],
        "armed, nothing recorded": lambda name: disarmed[name],
        "in a trace that is not recorded": lambda name: under(context.UNSAMPLED)(recorded[name]),
        "root, not recorded": lambda name: under(None, 1e-9)(recorded[name]),
        "root, recorded": lambda name: recorded[name],
        "child, recorded": lambda name: under(trace_root)(recorded[name]),
        "child, arguments and result": lambda name: under(trace_root)(captured[name]),
        "child, recorded, woven from source": lambda name: under(trace_root)(source[name]),
    }
    ours = list(states)
    try:
        otel, otel_off = under_otel(1.0), under_otel(0.0)
        states["OpenTelemetry SDK, recorded"] = lambda name: otel[name]
        states["OpenTelemetry SDK, sampled out"] = lambda name: otel_off[name]
    except ImportError:
        pass
    table = []
    for kind in (*KINDS, "hundreds"):
        # With the SDK one exception through 400 frames takes seconds.
        chosen = ours if kind == "hundreds" else list(states)
        loops = {state: states[state]("call_" + kind) for state in chosen}
        table += summary(kind, measure(loops, rounds, sites.records.clear))
    return table + peers.rows(rounds)


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
