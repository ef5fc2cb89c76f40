"""What `plan`, `analyze`, `explain` and `check` share: their options, the facts of a code base, profiles, the cost table."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autoscope.cli import output, plan_options
from autoscope.errors import AutoscopeError
from autoscope.weave import cache

if TYPE_CHECKING:
    from sqlite3 import Connection

    from autoscope.plan.cost import CostTable
    from autoscope.plan.facts import Facts
    from autoscope.plan.facts_cache import FactsCache
    from autoscope.plan.gather import Tree
    from autoscope.plan.model import Plan
    from autoscope.plan.planner import Settings
    from autoscope.plan.profile import Profile
    from autoscope.plan.update import Previous
    from autoscope.read.runs import Process, Run

AUTO = "auto"


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options on how the code is read."""
    parser.add_argument("--tests", action="store_true", help="read test modules too, which are left out otherwise")
    parser.add_argument("--refresh", action="store_true", help="read and analyse every file anew")
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=output.count, default=0, help="processes (default: one for each CPU)"
    )


def add_planning(parser: argparse.ArgumentParser) -> None:
    """Options on what is planned."""
    plan_options.add(parser)
    parser.add_argument(
        "--goal",
        metavar="G",
        action="append",
        default=[],
        help="slow:TARGET, errors:TARGET, request:ROUTE or diff:RANGE (repeatable)",
    )
    add_profile(parser, ": measured calls instead of estimates")
    add_reading(parser)


def add_profile(parser: argparse.ArgumentParser, what_for: str) -> None:
    """What was measured, and where runs are."""
    parser.add_argument(
        "--profile",
        metavar="RUN",
        type=output.name,
        help=f"a stored run, or a cProfile or speedscope file{what_for}",
    )
    parser.add_argument(
        "--store", metavar="DIR", type=output.name, help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)"
    )


def directory() -> str | None:
    """Where the cache is; None where there is none."""
    return cache.folder(os.environ)


@contextmanager
def opened() -> Iterator[FactsCache]:
    """The facts cache, closed afterwards. Nothing made here is rubbish before the end: the collector rests meanwhile."""
    from autoscope.plan.facts_cache import FactsCache
    from autoscope.plan.gather import cache_version

    was_on = gc.isenabled()
    gc.disable()
    try:
        with FactsCache.open(directory(), cache_version()) as found:
            yield found
    finally:
        if was_on:
            # All there is counts as old: else it would be looked through at once, and takes longer than writing the plan.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def read_tree(paths: list[str], arguments: argparse.Namespace, found: FactsCache) -> Tree:
    """The files, or AutoscopeError where there are none."""
    from autoscope.plan import gather

    tree = gather.read_tree(paths, found, arguments.refresh, arguments.tests)
    gather.check_found(tree)
    return tree


def facts_of(tree: Tree, arguments: argparse.Namespace, found: FactsCache) -> Facts:
    """The facts, with a progress bar where somebody watches."""
    from autoscope.plan import gather

    with _progress() as tell:
        return gather.gather(tree, found, refresh=arguments.refresh, jobs=arguments.jobs, progress=tell)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def cost_table() -> CostTable:
    """What was calibrated here, else what is shipped."""
    from autoscope.plan import cost

    return cost.load(directory())


def previous_plan(path: str) -> Previous:
    """A plan file taken apart; loads YAML, which planning from nothing need not."""
    from autoscope.plan.update import read_previous

    return read_previous(path)


def kept_settings(previous: Previous, settings: Settings, directory: str) -> dict[str, str]:
    """Top-level settings of a plan that stay as its user wrote them."""
    from autoscope.plan.update import kept_settings

    return kept_settings(previous, settings, directory)


def settings_of(arguments: argparse.Namespace, costs: CostTable, previous: Previous | None = None) -> Settings:
    """What the options, the environment and a plan file ask for; nearer ones win. `previous` is the plan that is updated or checked."""
    from autoscope.plan.planner import Settings

    before = previous
    if before is None and arguments.plan:
        before = previous_plan(arguments.plan)
    asked = argparse.Namespace(**vars(arguments))
    asked.strategy = None if arguments.strategy == AUTO else arguments.strategy
    asked.plan = before.path if before is not None else None
    plan = plan_options.resolve(asked, {name: value for name, value in os.environ.items() if name != "AUTOSCOPE_PLAN"})
    provenance: Mapping[str, Any] = before.provenance if before is not None else {}
    strategy = plan.strategy
    if arguments.strategy == AUTO or (not arguments.strategy and provenance.get("strategy") == AUTO):
        strategy = AUTO
    arguments.tests = arguments.tests or bool(provenance.get("tests"))
    goals = tuple(arguments.goal) or (before.words("goals") if before is not None else ())
    include = plan.include
    asked_for = bool(arguments.include or os.environ.get("AUTOSCOPE_INCLUDE", "").strip())
    if before is not None and before.by_planner and "include" not in before.settings and not asked_for:
        include = ()  # what the planner wrote there was all there is
    return Settings(
        strategy=strategy,
        include=include,
        exclude=plan.exclude,
        goals=goals,
        budget=plan.budget_overhead,
        rate=plan.sampling.rate if plan.sampling.rate_given else None,
        overrides=None if before is None or not before.user.modules else before.user,
        profile=profile_of(arguments, costs),
        removed=before.removed if previous is not None and before is not None else frozenset(),
    )


def check_strategy(arguments: argparse.Namespace) -> None:
    """Raises PlanError for a `--strategy` that is none; here `auto` is one."""
    from autoscope.plan.choose import STRATEGIES
    from autoscope.plan.values import parse_word

    if arguments.strategy is not None:
        parse_word(arguments.strategy, STRATEGIES, "--strategy")


def with_previous(settings: Settings, previous: Previous, arguments: argparse.Namespace) -> Settings:
    """Settings with what an older plan says, as far as options and environment do not."""
    from autoscope.plan.update import settle

    strategy = bool(arguments.strategy or os.environ.get("AUTOSCOPE_STRATEGY", "").strip())
    rate = arguments.rate is not None or bool(os.environ.get("AUTOSCOPE_RATE", "").strip())
    return settle(settings, previous, strategy=strategy, rate=rate)


def paths_of(arguments: argparse.Namespace, previous: Previous | None) -> list[str]:
    """The paths given, else those the plan was written for, else here."""
    if arguments.paths:
        return list(arguments.paths)
    if previous is not None:
        base = os.path.dirname(os.path.abspath(previous.path))
        said = previous.words("paths")
        if said:
            return [os.path.join(base, path) for path in said]
    return ["."]


def profile_of(arguments: argparse.Namespace, costs: CostTable) -> Profile | None:
    """The profile that `--profile` names: a file, else a run in the store."""
    from autoscope.export import DEFAULT_STORE
    from autoscope.plan import profile

    name = arguments.profile
    if not name:
        return None
    if os.path.isfile(name):
        return profile.read(name, costs)
    return from_store(name, arguments.store or os.environ.get("AUTOSCOPE_STORE") or DEFAULT_STORE, costs)


def from_store(name: str, store: str, costs: CostTable) -> Profile:
    """A stored run as a profile. Raises AutoscopeError where there is no such run, or nothing in it.

    Each recorded call stands for those that were not, as the report has it, and for those that were dropped.
    """
    from autoscope.plan.cost import coldness
    from autoscope.plan.profile import Row, from_run
    from autoscope.read.runs import open_run

    try:
        run = open_run(store, name)
    except AutoscopeError as error:
        raise AutoscopeError(f"--profile {name}: no such file, nor a run: {error}") from None
    if not (run.processes or run.info):
        raise AutoscopeError(f"--profile {name}: no run is kept there; name a run's id, or a cProfile file")
    functions = run.functions()
    if not functions:
        raise AutoscopeError(f"--profile {name}: the run has no calls; name one that has, or a cProfile file")
    meta = run.meta
    cost, counters = meta.get("cost", {}), meta.get("counters", {})
    plan, steps = _plan_of(run), _steps(run)
    rates = _rates(run, plan)
    stored = float(sum(found.recorded for found in functions))
    recorded = max(float(counters.get("recorded", 0)), stored)
    scale = recorded / stored
    if plan is not None and plan.sampling.keeps and plan.budget_overhead is None and counters.get("recorded"):
        # Every trace was recorded, and is counted so; what the kept ones stand for by themselves is chance.
        scale = recorded / sum(one.calls * rates.get((one.name, one.file, one.line), 1.0) for one in functions)
    rows = []
    for found in functions:
        place = (found.name, found.file, found.line)
        times = found.calls, found.own_ns, found.total_ns
        share = found.recorded / found.calls if found.calls else 1.0
        rows.append(Row(*place, found.kind, *times, scale, steps.get(place, 0.0) / share))
    process = float(cost.get("process_cpu_ns", 0))
    if process <= 0:  # killed before it could say
        return from_run(f"run {run.id}", rows, sum(found.own_ns for found in functions) * scale)
    # Of resumptions it tells nothing; a coroutine that was resumed once cost what a function does.
    suspended = sum(
        max(0.0, steps.get((one.name, one.file, one.line), 0.0) - one.recorded * (one.kind == "coroutine"))
        for one in functions
    )
    # Nor of calls that a site's own rate left out.
    left_out = sum(one.recorded * (1.0 / rates.get((one.name, one.file, one.line), 1.0) - 1.0) for one in functions)
    own = float(cost.get("cpu_ns", 0)) + max(0.0, recorded * costs.recorded - float(cost.get("in_calls_ns", 0)))
    own += recorded / stored * (suspended * costs.step + left_out * costs.thinned)
    notes = []
    if recorded > stored:
        notes.append(
            f"{1 - stored / recorded:.0%} of the run's calls were dropped or left out; the others stand for them."
        )
    before = float(cost.get("before_cpu_ns", 0))
    plain = max(process - before - own, 0.0)
    traces, captured, errors = (sum(column) for column in zip(*run.ask(_counts), strict=True))
    # What else was told with the spans took longer, and is no sign of anything.
    handed = max(float(cost.get("handed_ns", 0)) - errors * costs.told, 0.0)
    cold = coldness(costs, recorded, traces, handed, plain) if captured < MOST_CAPTURED * stored else 1.0
    return from_run(f"run {run.id}", rows, process - before, own_cpu_ns=own, notes=notes, cold=cold)


MOST_CAPTURED = 0.1
"""From such a part of spans with something captured on, what handing them over took tells nothing."""


def _counts(connection: Connection, _: Process) -> tuple[int, int, int]:
    """How many traces a process began, spans it had that tell more than their times, and exceptions told."""
    found: tuple[int, int, int] = connection.execute(_COUNTS).fetchone()
    return found


_COUNTS = """
SELECT (SELECT count(DISTINCT trace_id) FROM traces), (SELECT count(*) FROM details WHERE attributes IS NOT NULL),
    (SELECT count(*) FROM events WHERE span != 0)
"""


Place = tuple[str, str, int]
"""A function's full name, file and line."""


def _steps(run: Run) -> dict[Place, float]:
    """How often the generators and coroutines were resumed that were at all, all calls together; a coroutine that never waited, once."""
    found: dict[Place, float] = {}
    for rows in run.ask(lambda connection, _: connection.execute(_STEPS).fetchall()):
        for name, file, line, steps in rows:
            found[name, file, line] = found.get((name, file, line), 0.0) + float(steps)
    return found


_STEPS = """
SELECT f.name, f.file, f.line, sum(coalesce(json_extract(d.attributes, '$."autoscope.' ||
    CASE f.kind WHEN 'coroutine' THEN 'coroutine' ELSE 'generator' END || '.steps"'), 1))
FROM spans s JOIN sites f ON f.id = s.site LEFT JOIN details d ON d.span = s.span
WHERE f.kind != 'function' GROUP BY f.id
"""


def _plan_of(run: Run) -> Plan | None:
    """The plan it was made with; None where that cannot be read any more."""
    import json

    from autoscope.plan.model import Plan

    try:
        with open(os.path.join(run.path, "plan.json"), encoding="utf-8") as stream:
            return Plan.from_dict(json.load(stream))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _rates(run: Run, plan: Plan | None) -> dict[Place, float]:
    """The rates of their own that sites of a run had, by its plan; those without one are not in it."""
    if plan is None:
        return {}
    found: dict[Place, float] = {}
    for rows in run.ask(lambda connection, _: connection.execute(_SITES).fetchall()):
        for name, file, line, module, qualname in rows:
            stem = os.path.splitext(os.path.basename(file))[0]
            named = stem if module == "__main__" and "__main__" not in plan.modules else module
            rate = plan.rule_for(named, qualname).rate
            if 0.0 < rate < 1.0:
                found[name, file, line] = rate
    return found


_SITES = "SELECT name, file, line, module, qualname FROM sites"


def say(text: str) -> None:
    """To standard error."""
    print(text, file=sys.stderr)
