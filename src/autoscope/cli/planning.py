"""What `plan`, `analyze`, `explain` and `check` share: their options, the facts of a code base, profiles, the cost table."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError
from autoscope.weave import cache

if TYPE_CHECKING:
    from autoscope.plan.cost import CostTable
    from autoscope.plan.facts import Facts
    from autoscope.plan.facts_cache import FactsCache
    from autoscope.plan.gather import Tree
    from autoscope.plan.planner import Settings
    from autoscope.plan.profile import Profile
    from autoscope.plan.update import Previous

AUTO = "auto"


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options on how the code is read."""
    parser.add_argument("--tests", action="store_true", help="read test modules too, which are left out otherwise")
    parser.add_argument("--refresh", action="store_true", help="read and analyse every file anew")
    parser.add_argument("-j", "--jobs", metavar="N", type=int, default=0, help="processes (default: one for each CPU)")


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
    parser.add_argument(
        "--profile",
        metavar="RUN",
        help="a stored run, or a cProfile or speedscope file: measured calls instead of estimates",
    )
    parser.add_argument("--store", metavar="DIR", help="where runs are kept (default: AUTOSCOPE_STORE or .autoscope)")
    add_reading(parser)


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


def settings_of(arguments: argparse.Namespace, costs: CostTable, previous: Previous | None = None) -> Settings:
    """What the options, the environment and a plan file ask for; nearer ones win. `previous` is the plan that is updated or checked."""
    from autoscope.plan.planner import Settings
    from autoscope.plan.update import read_previous

    before = previous
    if before is None and arguments.plan:
        before = read_previous(arguments.plan)
    asked = argparse.Namespace(**vars(arguments))
    asked.strategy = None if arguments.strategy == AUTO else arguments.strategy
    asked.plan = before.path if before is not None else None
    plan = plan_options.resolve(asked, {name: value for name, value in os.environ.items() if name != "AUTOSCOPE_PLAN"})
    provenance: Mapping[str, Any] = before.provenance if before is not None else {}
    strategy = plan.strategy
    if arguments.strategy == AUTO or (not arguments.strategy and provenance.get("strategy") == AUTO):
        strategy = AUTO
    arguments.tests = arguments.tests or bool(provenance.get("tests"))
    goals = tuple(arguments.goal) or tuple(map(str, provenance.get("goals") or ()))
    include = plan.include
    if before is not None and before.by_planner and "include" not in before.settings and not arguments.include:
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


def paths_of(arguments: argparse.Namespace, previous: Previous | None) -> list[str]:
    """The paths given, else those the plan was written for, else here."""
    if arguments.paths:
        return list(arguments.paths)
    if previous is not None:
        base = os.path.dirname(os.path.abspath(previous.path))
        said = [str(path) for path in previous.provenance.get("paths") or ()]  # type: ignore[attr-defined]
        if said:
            return [os.path.join(base, path) for path in said]
    return ["."]


def profile_of(arguments: argparse.Namespace, costs: CostTable) -> Profile | None:
    """The profile that `--profile` names: a file, else a run in the store."""
    from autoscope.plan import profile

    name = arguments.profile
    if not name:
        return None
    if os.path.isfile(name):
        return profile.read(name, costs)
    return from_store(name, arguments.store or os.environ.get("AUTOSCOPE_STORE") or ".autoscope")


def from_store(name: str, store: str) -> Profile:
    """A stored run as a profile. Raises AutoscopeError where there is no such run, or nothing in it."""
    from autoscope.plan.profile import Row, from_run
    from autoscope.read.runs import open_run

    run = open_run(store, name)
    functions = run.functions()
    if not functions:
        raise AutoscopeError(f"--profile {name}: the run has no calls; name one that has, or a cProfile file")
    cost = run.meta.get("cost", {})
    process = float(cost.get("process_cpu_ns", 0))
    rate = float(run.info.get("rate", 1.0)) or 1.0
    scale = 1.0 / rate
    rows = [
        Row(found.name, found.file, found.line, found.kind, found.calls, found.own_ns, found.total_ns, scale)
        for found in functions
    ]
    cpu = max(process - float(cost.get("cpu_ns", 0)), 0.1 * process)
    if process <= 0:
        cpu = float(sum(found.own_ns for found in functions)) * scale
    return from_run(f"run {run.id}", rows, cpu)


def write(text: str) -> None:
    """To standard output, whatever its encoding has no character for written as an escape."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say(text: str) -> None:
    """To standard error."""
    print(text, file=sys.stderr)
