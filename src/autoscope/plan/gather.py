"""From paths to facts: every file read, analysed where the cache does not know it, in processes side by side, and all linked."""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from autoscope.errors import AutoscopeError
from autoscope.plan import source
from autoscope.plan.analysis import analyse
from autoscope.plan.analysis.seen import FORMAT, Seen, from_plain, to_plain
from autoscope.plan.facts import Facts, is_test
from autoscope.plan.facts_cache import FactsCache, digest
from autoscope.plan.source import Source, Unreadable
from autoscope.plan.values import printable

PARALLEL = 60
"""Files from which on starting other processes pays."""
PORTION = 24
"""Files a process is given at once."""
HEAD = 2_000
"""Bytes at a file's beginning in which a generator says so."""

Progress = Callable[[int, int], None]
"""Called with the number of files analysed so far, and of all that must be."""


@dataclass(slots=True)
class Tree:
    """The files of a code base, and what is in them: content digests."""

    paths: tuple[str, ...]
    sources: list[Source]
    digests: dict[str, str]
    """Path -> content digest; of files that cannot be read there is none."""
    skipped: list[tuple[str, str]]
    contents: dict[str, bytes] = field(default_factory=dict)
    """Of files that had to be read."""
    tests: int = 0
    """Test modules that were left out."""

    def digest(self) -> str:
        """Of all names and contents."""
        whole = hashlib.blake2b(digest_size=16)
        for found in self.sources:
            whole.update(
                f"{found.module} {found.path} {self.digests.get(found.path, '')}\n".encode("utf-8", "surrogateescape")
            )
        for path, reason in self.skipped:
            whole.update(f"{path} {reason}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    @property
    def root(self) -> str:
        """The directory all files are in."""
        places = [path if os.path.isdir(path) else os.path.dirname(path) for path in self.paths]
        try:
            return os.path.commonpath(places)
        except ValueError:
            return os.getcwd()


def cache_version() -> str:
    """What facts and plans depend on beside the code they are of: us, as we are on disk, and the interpreter whose `ast` read it."""
    from autoscope import __version__

    here = os.path.dirname(os.path.abspath(__file__))
    stamps = []
    try:
        for place, _, names in os.walk(here):  # in an archive there is nothing to walk: the version says it
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(place, name)
                    status = os.stat(path)
                    stamps.append((path, status.st_size, status.st_mtime_ns))
    except OSError:
        pass
    whole = hashlib.blake2b(repr(sorted(stamps)).encode(), digest_size=8).hexdigest()
    return f"{__version__} {FORMAT} {whole} {sys.version_info.major}.{sys.version_info.minor}"


def read_tree(paths: Sequence[str], cache: FactsCache, refresh: bool = False, tests: bool = True) -> Tree:
    """The files under `paths`, each with its digest; unchanged ones are not read. Raises AutoscopeError for bad paths.

    Without `tests`, test modules are left out, unless there is nothing else.
    """
    sources, skipped = source.find(paths)
    count = len(sources)
    if not tests:
        sources = [found for found in sources if not is_test(found.module)] or sources
    known = {} if refresh else cache.known(sources)
    tree = Tree(tuple(map(os.path.realpath, paths)), sources, dict(known), skipped, tests=count - len(sources))
    fresh = []
    for found in sources:
        if found.path in known:
            continue
        try:
            data = source.read(found)
        except Unreadable as error:
            tree.skipped.append((found.path, error.reason))
            continue
        tree.digests[found.path] = digest(data)
        tree.contents[found.path] = data
        fresh.append((found, tree.digests[found.path]))
    cache.remember(fresh)
    return tree


def gather(
    tree: Tree, cache: FactsCache, *, refresh: bool = False, jobs: int = 0, progress: Progress | None = None
) -> Facts:
    """The facts of a tree. Files that cannot be analysed are in `Facts.skipped`, with the reason."""
    from autoscope.plan import relink
    from autoscope.plan.link import Linker

    seen, skipped = see(tree, cache, refresh=refresh, jobs=jobs, progress=progress)
    modules = {
        found.module: (found.path, tree.digests[found.path], seen[found.path])
        for found in tree.sources
        if found.path in seen
    }
    keys = {found.module: _key(tree, found) for found in tree.sources if found.path in seen}
    place = f"rows {tree.paths} {tree.tests > 0}"
    linker = Linker(tree.root, modules, scripts(tree))

    def reconnect() -> Sequence[int]:
        kept = None if refresh else relink.load(cache.load([place]).get(place))
        names = None if kept is None else relink.changed(kept, keys)
        if kept is None or names is None:
            return linker.everything()
        blobs = cache.load([kept.keys[name] for name in names])
        before = {name: plain for name in names if isinstance(plain := _loads(blobs.get(kept.keys[name])), tuple)}
        if len(before) < len(names):
            return linker.everything()
        return relink.restore(linker, kept, {name: from_plain(plain) for name, plain in before.items()})

    def keep(connected: int) -> None:
        if connected > relink.MOST_STALE * len(linker.functions):
            cache.store({place: relink.dump(linker, keys)})

    facts = linker.link(reconnect, keep)
    facts.skipped = sorted([*tree.skipped, *skipped])
    missed = [one for one in tree.skipped if source.is_missed(one[1])]
    facts.unread = sorted([*missed, *(one for one in skipped if not one[1].startswith(source.GENERATED))])
    facts.digest = tree.digest()
    facts.tests = tree.tests
    return facts


def see(
    tree: Tree, cache: FactsCache, *, refresh: bool = False, jobs: int = 0, progress: Progress | None = None
) -> tuple[dict[str, Seen], list[tuple[str, str]]]:
    """Path -> what was seen in it; and (path, reason) of what could not be analysed."""
    keys = {found.path: _key(tree, found) for found in tree.sources if found.path in tree.digests}
    stored = {} if refresh else cache.load(keys.values())
    seen: dict[str, Seen] = {}
    skipped: list[tuple[str, str]] = []
    missing: list[tuple[str, str, bool, bytes | None]] = []
    for found in tree.sources:
        key = keys.get(found.path)
        if key is None:
            continue
        blob = stored.get(key)
        plain = _loads(blob)
        if plain is None:
            missing.append((found.path, found.module, found.is_package, tree.contents.get(found.path)))
        elif isinstance(plain, str):
            skipped.append((found.path, plain))
        else:
            seen[found.path] = from_plain(plain)
    tree.contents.clear()
    fresh: dict[str, bytes] = {}
    done = 0
    with closing(_analyse_all(missing, jobs)) as analysed:
        for path, blob in analysed:
            done += 1
            if progress is not None:
                progress(done, len(missing))
            plain = marshal.loads(blob)
            fresh[keys[path]] = blob
            if isinstance(plain, str):
                skipped.append((path, plain))
            else:
                seen[path] = from_plain(plain)
    if fresh:
        cache.store(fresh)
    return seen, skipped


def _key(tree: Tree, found: Source) -> str:
    """What names the facts of a file in the cache."""
    return f"{tree.digests[found.path]} {found.module} {found.is_package}"


def _loads(blob: bytes | None) -> str | tuple[Any, ...] | None:
    """What was stored; None where there is nothing, or nothing of ours."""
    if blob is None:
        return None
    try:
        found = marshal.loads(blob)
    except (EOFError, ValueError, TypeError):
        return None
    return found if isinstance(found, (str, tuple)) else None


Work = tuple[str, str, bool, bytes | None]


def _analyse_all(work: list[Work], jobs: int) -> Generator[tuple[str, bytes], None, None]:
    """(path, blob) for each file, in no particular order of time but always that of `work`."""
    count = jobs or os.cpu_count() or 1
    if len(work) < PARALLEL or count < 2:
        yield from map(analyse_file, work)
        return
    from concurrent.futures.process import BrokenProcessPool

    from autoscope.plan.side_by_side import side_by_side

    # The others read for themselves: handing contents over would cost more.
    portions: list[list[Work]] = [
        [(*item[:3], None) for item in work[at : at + PORTION]] for at in range(0, len(work), PORTION)
    ]
    done = 0
    try:
        with closing(side_by_side(min(count, len(portions)), _analyse_portion, portions)) as finished:
            for results in finished:
                for result in results:
                    done += 1
                    yield result
    except (BrokenProcessPool, OSError):
        # No processes to be had, or one was killed: what is left is done here.
        yield from map(analyse_file, work[done:])


def _analyse_portion(work: list[Work]) -> list[tuple[str, bytes]]:
    return [analyse_file(item) for item in work]


def analyse_file(work: Work) -> tuple[str, bytes]:
    """One file as `cache` holds it: what was seen, or the reason why nothing could be."""
    path, module, is_package, data = work
    try:
        if data is None:
            data = source.read(path)
        reason = source.generated(data[:HEAD])
        if reason:
            return path, marshal.dumps(reason)
        return path, marshal.dumps(to_plain(analyse(source.decode(data, path), module, is_package)))
    except Unreadable as error:
        return path, marshal.dumps(error.reason)
    except SyntaxError as error:
        version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        where = f" (line {error.lineno})" if error.lineno else ""
        return path, marshal.dumps(f"not {version}: {error.msg}{where}")
    except (ValueError, RecursionError, MemoryError) as error:
        # What even the interpreter's own parser gives up on: null bytes, thousands of brackets.
        why = "too deeply nested" if isinstance(error, (RecursionError, MemoryError)) else str(error)
        return path, marshal.dumps(f"cannot be parsed: {why}"[:200])


def scripts(tree: Tree) -> dict[str, str]:
    """Console scripts the project declares: function's dotted name -> the script's name."""
    import tomllib

    found: dict[str, str] = {}
    for path in dict.fromkeys(_projects(tree)):
        try:
            with open(path, "rb") as stream:
                project = tomllib.load(stream).get("project", {})
            for kind in ("scripts", "gui-scripts"):
                for name, target in dict(project.get(kind, {})).items():
                    found[str(target).partition("[")[0].strip().replace(":", ".")] = str(name)
        except (OSError, ValueError, AttributeError, TypeError):
            continue  # none there, or none that can be read: whoever builds the project is told
    return found


def _projects(tree: Tree) -> Iterator[str]:
    for path in tree.paths:
        place = path if os.path.isdir(path) else os.path.dirname(path)
        for _ in range(3):
            yield os.path.join(place, "pyproject.toml")
            place = os.path.dirname(place)


def check_found(tree: Tree) -> None:
    """Raises AutoscopeError where there is nothing to plan."""
    if not tree.sources:
        more = f"; left out: {printable(tree.skipped[0][0])} ({tree.skipped[0][1]})" if tree.skipped else ""
        raise AutoscopeError(
            f"no Python files under {', '.join(map(printable, tree.paths))}{more}; name a package, a project or a script"
        )
