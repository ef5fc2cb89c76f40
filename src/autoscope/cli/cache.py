"""`autoscope cache`: the woven modules kept on disk."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscope.cli import plan_options
from autoscope.errors import AutoscopeError
from autoscope.weave import cache

if TYPE_CHECKING:
    from autoscope.plan.facts_cache import FactsCache
    from autoscope.weave.weaver import Weaver


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "cache",
        help="what is kept on disk: woven modules, facts about code, finished plans",
        description="Modules are woven once and kept, as Python keeps compiled ones; what the planner saw in a file is kept by its "
        "content. All is in AUTOSCOPE_CACHE_DIR, else in autoscope/ of XDG_CACHE_HOME or ~/.cache.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="where it is and how large")
    stats.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    stats.set_defaults(command=show)
    clear = actions.add_parser("clear", help="delete what is in it")
    clear.set_defaults(command=empty)
    warm = actions.add_parser(
        "warm",
        help="weave modules before they are imported",
        description="Weaves every module under PATH that the plan selects, so that the first import finds it: in the last step "
        "of a container image, for one. With the plan the program will run with; rates may differ.",
    )
    plan_options.add(warm)
    warm.add_argument("-j", "--jobs", metavar="N", type=int, default=0, help="processes (default: one for each CPU)")
    warm.add_argument("paths", metavar="PATH", nargs="+", help="a package's or an application's directory, or a module")
    warm.set_defaults(command=fill)


def _opened() -> cache.Cache:
    found = cache.opened(os.environ)
    if found is None:
        raise AutoscopeError(
            "there is no code cache: AUTOSCOPE_CACHE_DIR is empty, or there is no HOME; name a directory"
        )
    return found


def show(arguments: argparse.Namespace) -> int:
    """Where, how many, how large, how old."""
    from autoscope.plan import facts_cache

    found = _opened()
    entries = found.entries()
    size = sum(size for _, size, _ in entries)
    with _facts(found) as facts:
        counts: dict[str, Any] = facts.stats()
        trouble = facts.trouble
    if arguments.format == "json":
        woven = {"modules": len(entries), "bytes": size, "most_bytes": cache.MOST_BYTES}
        told = {"directory": found.place, "woven": woven, "facts": counts, "trouble": trouble or None}
        print(json.dumps(told, indent=2))
        return 0
    print(f"directory  {found.place}")
    print(f"modules    {len(entries):,}")
    print(f"size       {size / 1e6:,.1f} MB of {cache.MOST_BYTES / 1e6:,.0f}")
    if entries:
        used = [when for when, _, _ in entries]
        print(f"last used  {_date(min(used))} (the oldest) to {_date(max(used))}")
    print(f"facts      of {counts['entries']:,} files, {counts['plans']:,} plans")
    print(f"size       {counts['bytes'] / 1e6:,.1f} MB of {facts_cache.MOST_BYTES / 1e6:,.0f}")
    print(
        f"asked      {counts['hits']:,} found, {counts['misses']:,} not, {counts['evicted']:,} gone for want of room or use"
    )
    if trouble:
        print(f"trouble    {trouble}")
    return 0


def _facts(found: cache.Cache) -> FactsCache:
    from autoscope.plan.facts_cache import FactsCache
    from autoscope.plan.gather import cache_version

    return FactsCache.open(found.place, cache_version())


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))


def empty(arguments: argparse.Namespace) -> int:
    """Delete every entry; running programs go on."""
    from autoscope.plan.facts_cache import FILE

    found = _opened()
    count = found.shrink(0)
    left = len(found.entries())
    if left:
        raise AutoscopeError(f"{left} of {count} modules in {found.place} cannot be deleted: are they somebody else's?")
    with _facts(found) as facts:
        forgotten = facts.clear()
        if not facts.usable and os.path.exists(os.path.join(found.place, FILE)):
            raise AutoscopeError(f"the facts and plans in {found.place} cannot be deleted: {facts.trouble}")
    print(f"{count:,} modules and {forgotten:,} facts and plans deleted from {found.place}")
    return 0


def fill(arguments: argparse.Namespace) -> int:
    """Weave what is under the paths, in processes side by side."""
    from contextlib import closing

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from autoscope.plan.side_by_side import side_by_side

    plan = plan_options.resolve(arguments)
    found = _opened()
    work = [(name, str(file)) for path in arguments.paths for name, file in modules(Path(path))]
    jobs = max(1, min(arguments.jobs or os.cpu_count() or 1, len(work) // 8))
    done: Counter[str] = Counter()
    failed: list[str] = []
    bar = Progress(
        TextColumn("weaving"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=not sys.stderr.isatty(),
    )
    parts = [work[at : at + 16] for at in range(0, len(work), 16)]
    with bar, closing(side_by_side(jobs, _weave, parts, _begin, (plan.to_json(),))) as finished:
        task = bar.add_task("", total=len(work))
        for outcomes in finished:
            for outcome, why in outcomes:
                done[outcome] += 1
                if why:
                    failed.append(why)
            bar.advance(task, len(outcomes))
    for why in failed:
        print(f"autoscope: {why}", file=sys.stderr)
    parts_of_it = [f"{done[outcome]:,} {outcome}" for outcome in OUTCOMES if done[outcome]]
    print(f"{len(work):,} modules: {', '.join(parts_of_it) or 'none found'}; in {found.place}")
    if done["not kept"]:
        raise AutoscopeError(
            f"nothing can be written to {found.place}: name another directory with AUTOSCOPE_CACHE_DIR"
        )
    return 0


OUTCOMES = ("woven", "there already", "not in the plan", "not compiled", "not kept")


def modules(path: Path) -> Iterator[tuple[str, Path]]:
    """(module name, file) of all under a path, named as they are from the nearest entry of `sys.path`, or from its package."""
    path = Path(os.path.abspath(path))
    if not path.exists():
        raise AutoscopeError(
            f"there is no {path}: name the directory of a package or an application, or a module's file"
        )
    top = path if path.is_dir() else path.parent
    bases = [Path(entry).resolve() for entry in sys.path if entry]
    base = next((parent for parent in (top, *top.parents) if parent.resolve() in bases), None)
    if base is None:
        base = top
        while (base / "__init__.py").is_file():
            base = base.parent
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        parts = list(file.relative_to(base).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts and all(part.isidentifier() for part in parts):
            yield ".".join(parts), file


_weaver: Weaver


def _begin(plan: str) -> None:
    """In a process of its own: the plan, once."""
    import json

    from autoscope.plan.model import Plan
    from autoscope.weave.weaver import Weaver

    global _weaver
    _weaver = Weaver(Plan.from_dict(json.loads(plan)), cache.opened(os.environ))


def _weave(part: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(what became of it, why not) for each (name, file)."""
    from autoscope.weave import ahead

    return [ahead.weave_ahead(_weaver, name, file) for name, file in part]
