"""Every benchmark, and what the project promises beside what was measured.

    python benchmarks/targets.py [--json FILE] [--from FILE] [--only NAME ...]

`--json` keeps what the benchmarks said, `--from` prints the table of an earlier run. Takes about ten minutes on a quiet machine;
docs/performance.md explains the rows.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import STEPS

BENCHMARKS: dict[str, list[str]] = {
    "floor": [],
    "call": ["--rounds", "21"],
    "startup": ["--rounds", "15"],
    "imports": ["--rounds", "7", "django", "sqlalchemy", "sympy"],
    "export": [],
    "sustained": [],
    "memory": [],
    "reconfigure": [],
    "macro": ["--rounds", "3", "--processes", "5"],
    "estimate": [],
    "late": [],
}
Results = dict[str, Any]
"""Name of a benchmark -> what it printed with `--json`."""


def run(names: list[str]) -> Results:
    results: Results = {"python": sys.version.split()[0]}
    for name in names:
        print(f"… {name}", file=sys.stderr, flush=True)
        script = Path(__file__).with_name(f"{name}.py")
        words = [sys.executable, "-W", "ignore", str(script), "--json", *BENCHMARKS[name]]
        ran = subprocess.run(words, stdout=subprocess.PIPE, text=True)
        if ran.returncode:
            print(f"{name}: exit code {ran.returncode}", file=sys.stderr)
            continue
        results[name] = json.loads(ran.stdout)
    return results


# Looking things up in what they printed.


def call(results: Results, state: str, kind: str = "tiny") -> dict[str, Any]:
    return next(row for row in results["call"]["rows"] if (row["kind"], row["state"]) == (kind, state))


def added(results: Results, state: str, kind: str = "tiny") -> float:
    value: float = call(results, state, kind)["added_ns"]
    return value


def named(results: Results, benchmark: str, key: str, name: str) -> dict[str, Any]:
    return next(row for row in results[benchmark]["rows"] if row[key] == name)


def imported(results: Results, variant: str) -> dict[str, float]:
    return {
        entry["package"]: next(row["ratio"] for row in entry["rows"] if row["variant"] == variant)
        for entry in results["imports"]["packages"]
    }


def sustained(results: Results, way: str, asked: float) -> dict[str, Any]:
    return next(row for row in results["sustained"]["rows"] if (row["way"], row["asked"]) == (way, asked))


# The rows: what, the target, what was measured and whether that meets it.

Row = tuple[str, str, Callable[[Results], tuple[str, bool]]]


def floor(results: Results, what: str) -> str:
    """What the interpreter alone asks for it, in words."""
    if "floor" not in results:
        return ""
    return f" (floor {named(results, 'floor', 'what', 'altogether: ' + what)['ns']:,.0f})"


def at_most(limit: float, value: float, unit: str = "ns", digits: int = 0) -> tuple[str, bool]:
    return f"{value:,.{digits}f} {unit}".strip(), value <= limit


def _off(results: Results) -> tuple[str, bool]:
    never, off = call(results, "off in the plan"), call(results, "switched off")
    control = call(results, "control: a second plain copy")
    noise = max(abs(control["ratio"] - 1), 0.03)
    said = f"{never['ratio']:.2f} x in the plan, {off['ratio']:.2f} x switched off (a second plain copy {control['ratio']:.2f})"
    return said, max(never["ratio"], off["ratio"]) <= 1 + noise


def _armed(results: Results) -> tuple[str, bool]:
    row = call(results, "armed, nothing recorded")
    return f"{row['ratio']:.2f} x, {row['added_ns']:+.0f} ns", row["ratio"] <= 1.35


def _child(results: Results) -> tuple[str, bool]:
    ours, sdk = added(results, "child, recorded"), added(results, "OpenTelemetry SDK, recorded")
    least = floor(results, "a recorded call below another")
    return f"{ours:,.0f} ns{least}, the SDK {sdk / ours:.0f} times that", ours <= 450 and sdk / ours >= 35


def _root(results: Results) -> tuple[str, bool]:
    ours = added(results, "root, not recorded")
    return f"{ours:,.0f} ns{floor(results, 'a root that is not recorded')}", ours <= 60


def _waiting(results: Results) -> tuple[str, bool]:
    coroutine = added(results, "child, recorded", "coroutine")
    step = added(results, "child, recorded", "generator") / STEPS
    least = floor(results, "a step of a recorded generator")
    return f"{coroutine:,.0f} ns / {step:,.0f} ns{least}", coroutine <= 700 and step <= 300


def _known_exception(results: Results) -> tuple[str, bool]:
    frames = added(results, "child, recorded", "twenty") - added(results, "child, recorded", "raises")
    return at_most(1000, frames / 20)


def _hundreds(results: Results) -> tuple[str, bool]:
    twenty, hundreds = (added(results, "child, recorded", kind) for kind in ("twenty", "hundreds"))
    frame = hundreds / 400
    said = f"{hundreds / 1e6:.2f} ms for 400, {frame:,.0f} ns a frame ({twenty / 21:,.0f} of 21)"
    return said, hundreds < 1e6 and frame <= 1500


def _cpu(results: Results) -> tuple[str, bool]:
    ours = named(results, "export", "what", "altogether, over OTLP/HTTP")["cpu_ns"]
    sdk = named(results, "export", "what", "OpenTelemetry SDK: altogether, over OTLP/HTTP")["cpu_ns"]
    return f"{ours:,.0f} ns, the SDK {sdk / ours:.0f} times that", ours <= 1200 and sdk / ours >= 35


def _store(results: Results) -> tuple[str, bool]:
    rate = 1e9 / named(results, "export", "what", "write into the store")["cpu_ns"]
    return f"{rate:,.0f} spans a second of CPU", rate >= 250_000


def _sustained(results: Results) -> tuple[str, bool]:
    row, full = sustained(results, "traced", 300_000.0), sustained(results, "traced", 0.0)
    rate = row["made"] / row["seconds"]
    counted = full["arrived"] + full["dropped"] == full["recorded"]
    said = (
        f"{row['dropped']:,} dropped of {row['recorded']:,} ({rate:,.0f} calls/s); at full speed {full['dropped']:,} of "
        f"{full['recorded']:,}, {'all counted' if counted else 'NOT ALL COUNTED'}, {full['peak_bytes'] / 1e6:.0f} MB"
    )
    return said, row["dropped"] == 0 and row["arrived"] == row["recorded"] and counted


def _memory(results: Results) -> tuple[str, bool]:
    rows = results["memory"]["rows"]
    span = next(row["bytes"] for row in rows if row["what"] == "recorded, nothing captured")
    site = max(row["bytes"] for row in rows if row["unit"] == "site")
    return f"{span:,.0f} bytes a span, {site:,.0f} a site", span <= 200 and site <= 2048


def _ratios(limit: float, ratios: dict[str, float]) -> tuple[str, bool]:
    return ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()), max(ratios.values()) <= limit


def _warm(results: Results) -> tuple[str, bool]:
    balanced, full = (imported(results, f"woven at {strategy}, warm") for strategy in ("balanced", "full_trace"))
    said = ", ".join(f"{name} {balanced[name]:.2f} / {full[name]:.2f}" for name in balanced)
    return said, max(balanced.values()) <= 1.05 and max(full.values()) <= 1.15


def _startup(results: Results) -> tuple[str, bool]:
    on = named(results, "startup", "variant", "enabled by a resolved plan, traces nothing")["added_ms"]
    nothing = named(results, "startup", "variant", "sitecustomize on PYTHONPATH, nothing set")["added_ms"]
    return f"{on:+.1f} ms, {nothing:+.1f} ms with nothing set", on <= 25 and nothing < 1


def _reconfigure(results: Results) -> tuple[str, bool]:
    rows = results["reconfigure"]["rows"]
    worst = max(rows, key=lambda row: row["stretch_ms"])
    first = max(row["stretch_first_ms"] for row in rows)
    return f"{worst['stretch_ms']:.1f} ms ({worst['change']}), {first:.1f} the first time", worst["stretch_ms"] < 5


def _macro(results: Results) -> tuple[str, bool]:
    macro = results["macro"]
    off, rate = macro["geometric_mean"]["off"], macro["geometric_mean"]["rate 0"]
    worst = max(macro["programs"], key=lambda name: macro["programs"][name]["rate 0"]["ratio"])
    most = macro["programs"][worst]["rate 0"]["ratio"]
    said = f"off {off:.3f}; rate 0 {rate:.3f}, {worst} {most:.2f} the worst of {len(macro['programs'])}"
    return said, off <= 1.01 and rate <= 1.07 and most <= 1.15


def _estimate(results: Results) -> tuple[str, bool]:
    rows = results["estimate"]["rows"]
    limits = {"source": 5.0, "run": 1.5, "cprofile": 1.5}
    far = [row for row in rows if not 1 / limits[row["from"]] <= row["factor"] <= limits[row["from"]]]
    worst = max(rows, key=lambda row: abs(math.log(row["factor"])) / math.log(limits[row["from"]]))
    said = f"{len(rows) - len(far)} of {len(rows)} plans, {worst['program']} {worst['strategy']} from {worst['from']}"
    return f"{said} {worst['factor']:.2f}, the worst", not far


ROWS: tuple[Row, ...] = (
    ("call of a function that is off", "1.00 x plain", _off),
    ("armed, not recorded, nothing being recorded", "1.35 x plain", _armed),
    (
        "the same in a trace that is not recorded",
        "60 ns",
        lambda r: at_most(60, added(r, "in a trace that is not recorded")),
    ),
    ('root decision "do not record"', "60 ns", _root),
    ("recorded call, nothing captured", "450 ns; SDK 35 x", _child),
    ("recorded coroutine / generator, a step", "700 / 300 ns", _waiting),
    ("recorded call that raises, already told", "1,000 ns", _known_exception),
    ("an exception through recorded frames", "1.5 µs a frame, 400 < 1 ms", _hundreds),
    ("all CPU of a span, to OTLP/HTTP", "1,200 ns; SDK 35 x", _cpu),
    ("into the local store", "250,000 spans/s of CPU", _store),
    ("300,000 spans/s for 10 s", "none dropped; beyond, all counted", _sustained),
    ("memory", "200 bytes a span, 2 KB a site", _memory),
    ("import, warm, balanced / full_trace", "1.05 / 1.15 x", _warm),
    (
        "import, cold, everything woven",
        "2.5 x",
        lambda results: _ratios(2.5, imported(results, "the last, to plain without .pyc")),
    ),
    ("start-up, traces nothing", "25 ms; 1 with nothing set", _startup),
    ("5,000 sites reconfigured, others held up", "5 ms", _reconfigure),
    ("a plan's estimate / what was measured", "1.5 x with a profile, 5 x without", _estimate),
    ("whole programs, everything woven", "off 1.01, rate 0 1.07, none 1.15", _macro),
)


def table(results: Results) -> list[tuple[str, str, str, str]]:
    """(what, target, measured, verdict) of every row there is a measurement for."""
    lines = []
    for what, target, judge in ROWS:
        try:
            measured, met = judge(results)
        except (KeyError, StopIteration):
            continue  # not run, or the peer is not installed
        lines.append((what, target, measured, "met" if met else "MISSED"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--from", metavar="FILE", type=Path, dest="source")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    arguments = parser.parse_args()
    results = json.loads(arguments.source.read_text()) if arguments.source else run(arguments.only)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    lines = table(results)
    widths = [max([len(line[column]) for line in lines], default=0) for column in range(3)]
    print(f"CPython {results['python']}: {sum(line[3] == 'met' for line in lines)} of {len(lines)} met")
    for line in lines:
        print("  " + "  ".join([*(text.ljust(width) for text, width in zip(line[:3], widths, strict=True)), line[3]]))


if __name__ == "__main__":
    main()
