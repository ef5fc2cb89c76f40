"""What a test run is traced by: the plan its options come to, the modules that are the project's own, and what child processes are told."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from autoscope import bootstrap
from autoscope.errors import AutoscopeError, notice
from autoscope.ours import keep_builtins
from autoscope.plan.model import Plan, matches_module
from autoscope.runtime import quota, sites

keep_builtins(globals())

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DEFAULT_STRATEGY = "minimal"
"""In force where neither a plan nor a strategy is named. No budget is: it counts calls that it does not record."""
TESTS = tuple([form for name in ("tests", "_tests") for form in (name, f"{name}.*", f"*.{name}", f"*.{name}.*")])
"""Packages that are tests, unless they are asked for."""
NO_PROJECT = frozenset(("benchmarks", "build", "conftest", "dist", "doc", "docs", "examples", "noxfile", "setup", "tasks", "test", "tests"))  # fmt: skip
"""What lies in a project's directory and is not what it is about."""
MOST_PLAN = 64_000
"""Bytes of a plan that is handed on in a variable, where there is no run's directory to put it in."""
ALLOWANCE = "AUTOSCOPE_PYTEST_CALLS"
"""The variable by which xdist's workers are told what `allowance` says: they are given the command line, but find a plan in the environment."""
ALL = "all"
"""What `--autoscope-calls` is where every call has a span."""
SETTINGS = ("plan", "include", "exclude", "strategy", "rate", "budget", "store")


class Started:
    """What tracing a test run has begun, and how it is ended."""

    def __init__(
        self,
        running: bootstrap.Running,
        joined: bool,
        environ: dict[str, str | None],
        allowance: tuple[int, int | None] | None = None,
    ) -> None:
        self.running = running
        self.joined = joined
        """Whether autoscope was active already; then it stays so."""
        self.allowance = allowance
        """Of how many calls of each function in how many tests there are spans, see `Quota`; None: of all."""
        self._environ = environ

    def stop(self) -> None:
        """Give the process back as it was."""
        for name, value in self._environ.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if self.joined or is_all_there_is():
            self.running.flush(bootstrap.FLUSH_SECONDS)
            if not self.joined:
                sites.pause()
        elif bootstrap.running is self.running:
            bootstrap.stop()


def is_all_there_is() -> bool:
    """Whether this process is pytest's and ends with it: then no function need have its own code again, which takes a while."""
    path = str(getattr(sys.modules.get("__main__"), "__file__", None) or "")
    return os.path.basename(path) in ("pytest", "py.test") or path.endswith(os.path.join("pytest", "__main__.py"))


def option(config: pytest.Config, name: str) -> Any:
    """What the command line says, or else the ini file; None where neither does."""
    known: Any = config.known_args_namespace if hasattr(config, "known_args_namespace") else config.option
    given = getattr(known, "autoscope_" + name, None)
    if given is None or given == []:
        given = config.getini("autoscope_" + name)
    return None if given in ("", []) else given


CHOICES = {"trace": ("test", "session"), "show": ("short", "long", "off"), "gate": ("critical", "drifted", "never")}


def check(config: pytest.Config) -> None:
    """Raise `pytest.UsageError` for what is none of an option's choices, in the ini file too."""
    for name, choices in CHOICES.items():
        given = option(config, name)
        if given is not None and given not in choices:
            raise pytest.UsageError(f"autoscope: autoscope_{name}: {given!r} is none of {', '.join(choices)}")
    calls = option(config, "calls")
    if calls is not None and calls != ALL and (not calls.isdecimal() or not int(calls)):
        raise pytest.UsageError(f"autoscope: autoscope_calls: {calls!r} is no number of calls, nor {ALL!r}")
    count = option(config, "durations")
    if type(count) is str and not count.isdecimal():
        raise pytest.UsageError(f"autoscope: autoscope_durations: {count!r} is no number of functions")


def is_disabled() -> bool:
    """Whether the environment says that nothing is to be traced."""
    environ = os.environ
    return (
        environ.get("AUTOSCOPE_DISABLED", "0") not in ("", "0")
        or environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    )


def start(config: pytest.Config, *, asked_only: bool = False) -> Started:
    """Trace this process from now on, or join what traces it. Raises `pytest.UsageError` for settings that cannot be used.

    `asked_only`: nothing is stored, child processes are not traced, and every function is, where nothing else is said.
    """
    running = bootstrap.running
    if running is not None:
        ignored = [f"--autoscope-{name}" for name in SETTINGS if option(config, name)]
        if ignored and "PYTEST_XDIST_WORKER" not in os.environ:
            notice("pytest-joined", f"autoscope was active before pytest began: {', '.join(ignored)} not heeded")
        return Started(running, True, {}, told_allowance() if "PYTEST_XDIST_WORKER" in os.environ else None)
    settings = {name: option(config, name) for name in SETTINGS}
    environ: dict[str, str] = {}
    try:
        if asked_only:
            settings["store"] = ""
            settings["strategy"] = settings["strategy"] or (None if settings["plan"] else "full_trace")
        plan = plan_for(config, settings)
        allowed = None if asked_only else allowance(config, plan)
        if not asked_only:
            environ = _tell_children(plan, settings["store"])
            environ[ALLOWANCE] = "" if allowed is None else f"{allowed[0]} {allowed[1] or ''}".strip()
    except AutoscopeError as error:
        raise pytest.UsageError(f"autoscope: {error}") from None
    before = {name: os.environ.get(name) for name in (*environ, "AUTOSCOPE_RUN_ID")}
    os.environ.update(environ)
    running = bootstrap.start(plan, store=environ.get("AUTOSCOPE_STORE", ""), otlp=None)
    running.name_run()
    return Started(running, False, before, allowed)


def allowance(config: pytest.Config, plan: Plan) -> tuple[int, int | None] | None:
    """Of how many calls of each function in how many tests there are spans: of all (None) where somebody has said how much is to be recorded."""
    calls = option(config, "calls")
    if calls == ALL:
        return None
    if calls is not None and plan.budget_overhead is not None:
        raise AutoscopeError("autoscope_calls: a budget says how many calls are recorded; leave out one of both")
    has_plan = bool(option(config, "plan") or os.environ.get("AUTOSCOPE_PLAN"))
    is_named = has_plan or bool(option(config, "strategy") or os.environ.get("AUTOSCOPE_STRATEGY"))
    if calls is not None:
        return int(calls), None if is_named else quota.TESTS
    if has_plan or plan.sampling.rate_given or plan.budget_overhead is not None or option(config, "show") == "long":
        return None
    return (quota.FIRST_OF_ALL, None) if is_named else (quota.FIRST, quota.TESTS)


def told_allowance() -> tuple[int, int | None] | None:
    """The same, as the process said that started this worker."""
    numbers = [int(word) for word in os.environ.get(ALLOWANCE, "").split() if word.isdecimal()]
    return (numbers[0], numbers[1] if len(numbers) > 1 else None) if numbers else None


def plan_for(config: pytest.Config, settings: dict[str, Any]) -> Plan:
    """The plan these settings, the environment and the project come to. Raises `PlanError`."""
    from autoscope.plan.resolve import parse_budget, parse_rate, resolve

    include, exclude = _words(settings["include"]), _words(settings["exclude"])
    rate, budget = settings["rate"], settings["budget"]
    environ = os.environ
    strategy = settings["strategy"]
    if not strategy and not settings["plan"] and not environ.get("AUTOSCOPE_PLAN"):
        strategy = environ.get("AUTOSCOPE_STRATEGY") or DEFAULT_STRATEGY
    plan = resolve(
        plan_file=settings["plan"] or environ.get("AUTOSCOPE_PLAN") or None,
        environ=environ,
        strategy=strategy,
        include=include,
        exclude=exclude,
        rate=None if rate is None else parse_rate(rate, "--autoscope-rate"),
        budget=None if budget is None else parse_budget(budget, "--autoscope-budget"),
    )
    if not plan.sampling.rate_given:  # a preset's is for programs that do the same all day
        plan = plan._replace(sampling=plan.sampling._replace(rate=1.0))
    files = config.getini("python_files")
    asked = plan.include
    if not asked and not plan.modules:
        plan = plan._replace(include=project_modules(config.rootpath, files))
    return plan._replace(exclude=tuple(dict.fromkeys((*plan.exclude, *left_to_pytest(files, asked)))))


def _words(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Globs, as an option given several times or as one text with commas or spaces has them."""
    texts = [given] if isinstance(given, str) else given or ()
    return tuple([word for text in texts for word in re.split(r"[,\s]+", text) if word])


def left_to_pytest(python_files: Iterable[str], asked: Sequence[str] = ()) -> list[str]:
    """Globs of the modules that are tests: pytest loads them, and nobody wants their functions beside the program's."""
    names = [
        "conftest",
        *[file.removesuffix(".py") for file in python_files if file.endswith(".py") and "/" not in file],
    ]
    tests = [glob for glob in TESTS if not any(matches_module(glob, one.rstrip(".*")) for one in asked)]
    return [*[form for name in names if name != "*" for form in (name, f"*.{name}")], *tests]


def project_modules(root: Path, python_files: Iterable[str]) -> tuple[str, ...]:
    """Globs of the packages and modules in a project's directory and in its `src`; none: all that is not installed."""
    tests = left_to_pytest(python_files)
    found: dict[str, None] = {}
    for place in (root / "src", root):
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = entry.name.removesuffix(".py") if entry.is_file() else entry.name
            if name in NO_PROJECT or not name.isidentifier() or any(matches_module(glob, name) for glob in tests):
                continue
            if entry.is_file():
                if entry.name.endswith(".py"):
                    found[name] = None
            elif os.path.exists(os.path.join(entry.path, "__init__.py")) or (
                place != root and _has_packages(entry.path)
            ):
                found[f"{name}.*"] = None
    return tuple(found)


def _has_packages(directory: str) -> bool:
    """Whether it is a namespace with packages or modules in it."""
    with os.scandir(directory) as entries:
        return any(
            entry.name.endswith(".py") or os.path.exists(os.path.join(entry.path, "__init__.py")) for entry in entries
        )


def _tell_children(plan: Plan, store: str | None) -> dict[str, str]:
    """The variables by which Python processes that tests start are traced too, and belong to the same run."""
    from autoscope.cli.env import site_directory
    from autoscope.export import DEFAULT_STORE
    from autoscope.export.runs import absolute, create_run, prune
    from autoscope.export.settings import Settings

    environ: dict[str, str] = {"AUTOSCOPE_STORE": "", "AUTOSCOPE_PREFIX": sys.prefix}
    if store is None:
        store = os.environ.get("AUTOSCOPE_STORE")
    wanted = store is None and not Settings.from_environ(os.environ).otlp_wanted
    text = plan.to_json()
    if store or wanted:
        directory = environ["AUTOSCOPE_STORE"] = absolute(store or DEFAULT_STORE)
        try:
            run_id = create_run(directory, bootstrap.describe_run(plan))
            file = os.path.join(directory, "runs", run_id, "plan.json")
            with open(file, "w", encoding="utf-8") as stream:
                stream.write(text)
        except (AutoscopeError, OSError) as error:
            what = str(error).partition(";")[0]
            notice(
                "store-unusable",
                f"{what}; the tests run traced, nothing is stored; name another place with --autoscope-store",
            )
            environ["AUTOSCOPE_STORE"] = ""
        else:
            prune(directory, current=run_id)
            environ["AUTOSCOPE_RUN_ID"] = run_id
            text = file
    if len(text) < MOST_PLAN:
        environ["AUTOSCOPE_PLAN"] = text
        path = os.environ.get("PYTHONPATH")
        environ["PYTHONPATH"] = site_directory() + (os.pathsep + path if path else "")
    return environ
