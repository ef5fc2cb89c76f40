"""From options, environment, plan file and presets to one `Plan`.

The nearest that says something wins: options, then `AUTOSCOPE_*`, then the plan file and what it extends, then
(for the rate) `OTEL_TRACES_SAMPLER`, then the preset of the strategy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from autoscope.errors import Place, PlanError
from autoscope.ours import keep_builtins
from autoscope.plan.model import REDACT, RESOLVED, STRATEGIES, VERSION, Plan, Sampling, Thresholds
from autoscope.plan.presets import RATES
from autoscope.plan.schema import Layer, from_python, read_layer
from autoscope.plan.values import (
    parse_budget,
    parse_duration,
    parse_module_glob,
    parse_rate,
    parse_word,
    printable,
    refuse,
    shown,
)

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

__all__ = ["parse_budget", "parse_duration", "parse_rate", "resolve", "resolve_mapping", "resolve_plan"]

MAPPING = "<mapping>"
Globs = str | Iterable[str]


def resolve(
    *,
    plan_file: str | None = None,
    environ: Mapping[str, str],
    strategy: str | None = None,
    include: Globs = (),
    exclude: Globs = (),
    rate: float | str | None = None,
    budget: float | str | None = None,
) -> Plan:
    """The plan for one run; without `plan_file` the file is what `AUTOSCOPE_PLAN` names, if anything."""
    options = _options(strategy, include, exclude, rate, budget).over(_environment(environ))
    path = plan_file if plan_file is not None else environ.get("AUTOSCOPE_PLAN") or None
    if path is None:
        return _settle(options, None, environ, "")
    from autoscope.plan.load import load, read_bytes  # YAML takes ten milliseconds to import

    # Read once: it may be a pipe. Or it is the plan itself, which `autoscope run` hands over where it stores nothing.
    data = path.encode("utf-8", "surrogateescape") if path.startswith(RESOLVED) else read_bytes(path)
    if data.startswith(RESOLVED.encode()):
        return _override(_read_resolved(data, path), options)
    return _settle(options, load(path, options.strategy, data), environ, path)


def resolve_mapping(
    mapping: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    strategy: str | None = None,
    include: Globs = (),
    exclude: Globs = (),
    rate: float | str | None = None,
    budget: float | str | None = None,
) -> Plan:
    """As `resolve`, with a mapping in the file's schema for the file; paths in it start at the working directory."""
    from autoscope.plan.load import extend

    options = _options(strategy, include, exclude, rate, budget).over(_environment(environ))
    layer = read_layer(from_python(mapping, Place(MAPPING)))
    return _settle(options, extend(layer, "", options.strategy), environ, MAPPING)


def resolve_plan(
    plan: Plan,
    *,
    environ: Mapping[str, str],
    strategy: str | None = None,
    include: Globs = (),
    exclude: Globs = (),
    rate: float | str | None = None,
    budget: float | str | None = None,
) -> Plan:
    """A plan that is resolved already, with options and `AUTOSCOPE_*` over it."""
    return _override(plan, _options(strategy, include, exclude, rate, budget).over(_environment(environ)))


def _settle(options: Layer, file: Layer | None, environ: Mapping[str, str], source: str) -> Plan:
    told = options if file is None else options.over(file)
    strategy = told.strategy or "balanced"
    preset = Layer(strategy=strategy, rate=RATES[strategy], rate_given=False)
    warnings: tuple[str, ...] = ()
    if told.rate is None or not told.rate_given:
        rate, warnings = _sampler(environ)
        if rate is not None:
            told = told._replace(rate=rate, rate_given=True)
    told = told.over(preset)
    return Plan(
        version=VERSION,
        strategy=strategy,
        include=told.include or (),
        exclude=told.exclude,
        budget_overhead=told.budget,
        budget_spans=told.budget_spans,
        sampling=Sampling(
            rate=1.0 if told.rate is None else told.rate,
            rate_given=told.rate is not None and told.rate_given,
            keep_errors=bool(told.keep_errors),
            keep_slower_than_ns=told.keep_slower_than_ns,
            fold_under_ns=told.fold_under_ns or None,
        ),
        capture=told.capture,
        redact=tuple(dict.fromkeys(REDACT + told.redact)),
        modules=told.modules or {},
        compare=Thresholds(**(told.compare or {})),
        provenance=told.provenance,
        source=source,
        warnings=warnings,
        extended=told.extended,
    )


def _override(plan: Plan, options: Layer) -> Plan:
    sampling = plan.sampling
    if options.rate is not None:
        sampling = sampling._replace(rate=options.rate, rate_given=True)
    return plan._replace(
        strategy=options.strategy or plan.strategy,
        include=plan.include if options.include is None else options.include,
        exclude=tuple(dict.fromkeys(plan.exclude + options.exclude)),
        budget_overhead=plan.budget_overhead if options.budget is None else options.budget,
        sampling=sampling,
    )


def _read_resolved(data: bytes, path: str) -> Plan:
    """The plan in a file written by `Plan.to_json`."""
    try:
        return Plan.from_dict(json.loads(data))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        way = "name the plan it was made from, which will be resolved again"
        raise refuse("", "a resolved plan that is damaged", way, Place(printable(path))) from None


def _options(
    strategy: str | None, include: Globs, exclude: Globs, rate: float | str | None, budget: float | str | None
) -> Layer:
    return _layer(
        ("strategy", strategy),
        ("include", (include,) if isinstance(include, str) else tuple(include)),
        ("exclude", (exclude,) if isinstance(exclude, str) else tuple(exclude)),
        ("rate", None if rate is None else str(rate)),
        ("budget", None if budget is None else str(budget)),
    )


def _environment(environ: Mapping[str, str]) -> Layer:
    def text(name: str) -> tuple[str, str | None]:
        value = environ.get(name, "").strip()
        return f"{name}={shown(value)[1:-1]}", value or None

    def globs(name: str) -> tuple[str, tuple[str, ...]]:
        label, value = text(name)
        return label, tuple(word for word in (value or "").split(",") if word.strip())

    return _layer(
        text("AUTOSCOPE_STRATEGY"),
        globs("AUTOSCOPE_INCLUDE"),
        globs("AUTOSCOPE_EXCLUDE"),
        text("AUTOSCOPE_RATE"),
        text("AUTOSCOPE_BUDGET"),
    )


Word = tuple[str, str | None]
Words = tuple[str, tuple[str, ...]]


def _layer(strategy: Word, include: Words, exclude: Words, rate: Word, budget: Word) -> Layer:
    """Settings outside a file, each with what a refusal calls it."""
    return Layer(
        strategy=None if strategy[1] is None else parse_word(strategy[1], STRATEGIES, strategy[0]),
        include=tuple(parse_module_glob(glob, include[0]) for glob in include[1]) or None,
        exclude=tuple(parse_module_glob(glob, exclude[0]) for glob in exclude[1]),
        rate=None if rate[1] is None else parse_rate(rate[1], rate[0]),
        budget=None if budget[1] is None else parse_budget(budget[1], budget[0]),
    )


def _sampler(environ: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """The rate that OpenTelemetry's own variables give, and what is wrong with them; never an error, as it asks."""
    value = environ.get("OTEL_TRACES_SAMPLER", "").strip()
    kind = value.lower().removeprefix("parentbased_")
    if not kind:
        return None, ()
    if kind in ("always_on", "always_off"):
        return (1.0 if kind == "always_on" else 0.0), ()
    if kind != "traceidratio":
        known = "always_on, always_off and traceidratio, each also with parentbased_"
        return None, (f"OTEL_TRACES_SAMPLER={shown(value)[1:-1]}: not known here and not used; known: {known}",)
    argument = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        return (parse_rate(argument) if argument else 1.0), ()
    except PlanError:
        label = f"OTEL_TRACES_SAMPLER_ARG={shown(argument)[1:-1]}"
        return 1.0, (f"{label}: not a number from 0 to 1, every trace is recorded; give one such as 0.2",)
