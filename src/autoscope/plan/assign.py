"""Which functions in `Facts` those of a profile are: by file, line and name, though the code may have moved since."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from autoscope.plan.creations import Creations
from autoscope.plan.facts import Facts, Function
from autoscope.plan.profile import Key, Measured, Profile

MOST_NAMED = 5
"""Functions that a note names."""
_LIBRARY = re.compile(r"(^|/)(site-packages|dist-packages|python\d+\.\d+)/")
_INNER = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<lambda>")
"""Code inside a function that is no function of its own in `Facts`: its time is its function's."""


def assign(profile: Profile, facts: Facts, files: dict[str, str]) -> dict[int, Measured]:
    """Index in `Facts.functions` -> what was measured of it. Adds to the profile's notes what could not be found.

    `files` has the absolute path of each module's file. Paths of a profile may be relative, or those of another machine: a file is
    found by the longest end they have in common, at least as long as the module's name. Lines may have moved: a
    function is then the nearest of its name in its file, if there is no doubt which.
    """
    modules = _modules({key[0] for key in profile.functions}, files)
    entries: dict[str, list[Key]] = {}
    nameless: list[Key] = []
    for key in profile.functions:
        if key[0] in modules:
            entries.setdefault(modules[key[0]], []).append(key)
        elif not key[0]:
            nameless.append(key)
    inside: dict[str, list[int]] = {}
    for index, function in enumerate(facts.functions):
        inside.setdefault(function.module, []).append(index)
    found: dict[Key, int] = _by_full_name(nameless, facts)
    missing = []
    for module, keys in entries.items():
        matched = _match(keys, inside.get(module, []), facts.functions, profile.kind == "speedscope")
        found |= matched
        for key in keys:
            if key not in matched and not _is_no_function(key[2], inside.get(module, []), facts.functions):
                missing.append(key)
    measured: dict[int, Measured] = {}
    for key, index in found.items():
        mine = profile.functions[key]
        function = facts.functions[index]
        if key[2] in _INNER and function.qualname.rpartition(".")[2] != key[2]:
            mine = Measured(0.0, mine.own_ns, 0.0)
        before = measured.get(index)
        measured[index] = mine if before is None else before + mine
    guessed: set[int] = set()
    if profile.kind != "run":
        made: dict[tuple[int, int], float] = {}
        for (caller, callee), times in profile.made.items():
            if caller in found and callee in found:
                pair = found[caller], found[callee]
                made[pair] = made.get(pair, 0.0) + times
        creations = Creations(facts.functions, measured, made)
        measured = creations.counted()
        guessed = creations.guessed
    here = [key for keys in entries.values() for key in keys] + [key for key in nameless if key in found]
    _note(profile, set(here), missing)
    _note_steps(profile, facts, measured, guessed)
    return measured


def _modules(paths: Iterable[str], files: dict[str, str]) -> dict[str, str]:
    """Path in the profile -> module."""
    exact: dict[str, str] = {}
    by_base: dict[str, list[tuple[str, list[str]]]] = {}
    for module, file in files.items():
        exact[os.path.realpath(file)] = module
        parts = _parts(file)
        by_base.setdefault(parts[-1], []).append((module, parts))
    found: dict[str, str] = {}
    others: list[str] = []
    for path in paths:
        if not path or path == "~" or path.startswith("<") or "\0" in path:
            continue
        here = exact.get(os.path.realpath(path))
        if here is not None:
            found[path] = here
        else:
            others.append(path)
    taken = set(found.values())
    for path in others:
        there = _by_tail(path, [entry for entry in by_base.get(_parts(path)[-1], ()) if entry[0] not in taken])
        if there is not None:
            found[path] = there
    return found


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _by_tail(path: str, candidates: list[tuple[str, list[str]]]) -> str | None:
    """The module whose file's path has the longest end in common with this one; None where two have, or none enough."""
    parts = _parts(path)
    absolute = path[:1] == "/" or path[1:3] in (":\\", ":/")
    library = absolute and _LIBRARY.search(path.replace("\\", "/")) is not None
    best, longest, twice = None, 0, False
    for module, file in candidates:
        common = 0
        while common < min(len(parts), len(file)) and parts[-1 - common] == file[-1 - common]:
            common += 1
        needed = module.count(".") + 1 + (file[-1] == "__init__.py")
        enough = common >= needed and not (library and needed == 1)
        if not enough and (absolute or common < len(parts)):
            continue
        if common > longest:
            best, longest, twice = module, common, False
        elif common == longest:
            twice = True
    return None if twice else best


def _is_named(function: Function, name: str) -> bool:
    """Whether a profile may call a function so: by its bare name, its qualified one, or that with a module's before it."""
    qualname = function.qualname
    return name in (qualname, qualname.rpartition(".")[2]) or name.endswith(f".{qualname}")


def _match(keys: list[Key], indices: list[int], functions: list[Function], executing: bool) -> dict[Key, int]:
    """Function of a profile -> of `Facts`, for those of one file.

    `executing`: whether a line may be the one that was being executed, as some samplers have it, and not that of the `def`.
    """
    found: dict[Key, int] = {}
    names: dict[str, list[int]] = {}
    for index in indices:
        names.setdefault(functions[index].qualname.rpartition(".")[2], []).append(index)
    left: dict[str, list[Key]] = {}
    for key in keys:
        _, line, name = key
        bare = name.rpartition(".")[2]
        named = [index for index in names.get(bare, ()) if _is_named(functions[index], name)]
        same = [index for index in named if functions[index].line == line]
        within = [index for index in named if functions[index].line <= line <= functions[index].end_line]
        if same:
            found[key] = same[-1]
        elif within and executing:
            found[key] = max(within, key=lambda index: functions[index].line)
        elif named:
            left.setdefault(name, []).append(key)
        elif bare in _INNER:
            around = [index for index in indices if functions[index].line <= line <= functions[index].end_line]
            if around:
                found[key] = max(around, key=lambda index: functions[index].line)
    taken = set(found.values())
    for name, moved in left.items():
        free = [
            index
            for index in names[name.rpartition(".")[2]]
            if not functions[index].overload and _is_named(functions[index], name)
        ]
        if executing:
            found |= dict.fromkeys(moved, free[0]) if len(free) == 1 else {}
            continue
        free = [index for index in free if index not in taken]
        found |= _nearest(sorted(moved, key=lambda key: key[1]), free, functions)
    return found


def _nearest(keys: list[Key], free: list[int], functions: list[Function]) -> dict[Key, int]:
    """Functions whose lines have moved: as many as there are of the name are in the same order still; else the nearest by far."""
    free = sorted(free, key=lambda index: functions[index].line)
    if len(keys) == len(free):
        return dict(zip(keys, free, strict=True))
    found: dict[Key, int] = {}
    for key in keys:
        distances = sorted((abs(functions[index].line - key[1]), index) for index in free)
        if key[1] and len(distances) > 1 and distances[0][0] * 3 < distances[1][0]:
            found[key] = distances[0][1]
    # Two that would be the same one: there is doubt about both.
    chosen = list(found.values())
    return {key: index for key, index in found.items() if chosen.count(index) == 1}


def _by_full_name(keys: list[Key], facts: Facts) -> dict[Key, int]:
    """Functions a profile gives no file of: by module and name, those of a script by name if only one has it."""
    full: dict[str, int] = {}
    bare: dict[str, list[int]] = {}
    for index, function in enumerate(facts.functions):
        if not function.overload:
            full[function.name] = index
            bare.setdefault(function.qualname, []).append(index)
    found: dict[Key, int] = {}
    for key in keys:
        name = key[2]
        if name in full:
            found[key] = full[name]
        elif name.startswith("__main__."):
            named = bare.get(name.removeprefix("__main__."), [])
            if len(named) == 1:
                found[key] = named[0]
    return found


def _is_no_function(name: str, indices: list[int], functions: list[Function]) -> bool:
    """Whether a name is that of a module's or a class's top level, or of something inside one: nothing to be missed."""
    bare = name.rpartition(".")[2]
    if bare == "<module>" or bare in _INNER:
        return True
    return any(
        functions[index].qualname.startswith(f"{bare}.") or f".{bare}." in functions[index].qualname
        for index in indices
    )


def _note(profile: Profile, here: set[Key], missing: list[Key]) -> None:
    """Say what of the profile has no place in the code that was read."""
    calls, time = _sum(profile, profile.functions)
    outside = _sum(profile, (key for key in profile.functions if key not in here))
    lost = _sum(profile, missing)

    def share(of: tuple[float, float]) -> str:
        parts = [f"{of[0] / calls:.1%} of the calls"] if calls and profile.counts else []
        return " and ".join([*parts, f"{of[1] / time:.1%} of the time"] if time else parts) or "nothing"

    notes = []
    if not here:
        notes.append(
            "None of the functions in this profile is of the code that was read: is it a profile of this program?"
        )
    elif outside != (0.0, 0.0):
        notes.append(f"{share(outside)} in this profile went to functions outside the code that was read.")
    if missing:
        named = [f"{name} ({os.path.basename(file)}:{line})" for file, line, name in sorted(missing)[:MOST_NAMED]]
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        notes.append(
            f"{share(lost)} went to functions that are no longer where they were, or are in doubt: {', '.join(named)}{more}; "
            "profile again if the code has changed."
        )
    profile.notes += [note for note in notes if note not in profile.notes]


def _note_steps(profile: Profile, facts: Facts, measured: Mapping[int, Measured], guessed: set[int]) -> None:
    """Say of how many functions the calls are no counts, and of which they are guesses."""
    count = sum(of.steps > 0 for of in measured.values())
    if profile.kind == "run" or not count:
        return
    note = f"This profile counts steps of generators and coroutines, not calls: of {count} the calls are worked out from those of their callers"
    if guessed:
        names = sorted(facts.functions[index].name for index in guessed)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        note += f", and guessed where these do not tell, at most the steps: {', '.join(names[:MOST_NAMED])}{more}"
    if f"{note}." not in profile.notes:
        profile.notes.append(f"{note}.")


def _sum(profile: Profile, keys: Iterable[Key]) -> tuple[float, float]:
    chosen = [profile.functions[key] for key in keys]
    return sum(measured.calls for measured in chosen), sum(measured.own_ns for measured in chosen)
