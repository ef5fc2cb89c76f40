"""Goals: what the user wants to know, as functions to watch more closely than the strategy would.

`slow:TARGET` the function, what it calls, and their I/O; `errors:TARGET` what raises or catches in a module or function and below it;
`request:ROUTE` all that can run between a request and its answer; `diff:A..B` what a range of commits changed, with callers and callees.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from autoscope import git
from autoscope.errors import AutoscopeError
from autoscope.plan import source
from autoscope.plan.analysis import analyse
from autoscope.plan.choose import DETAIL, Aim
from autoscope.plan.facts import Facts, Function
from autoscope.plan.model import is_glob, matches
from autoscope.plan.values import did_you_mean, shown

KINDS = ("slow", "errors", "request", "diff")
DEPTH = 3
"""Calls below the target that `slow` follows; its I/O is looked for twice as deep."""
WHOLE = 12
"""Calls below a route that `request` follows."""


def aims(facts: Facts, goals: Sequence[str]) -> dict[int, Aim]:
    """What the goals want, by index of function. Raises AutoscopeError for a goal that means nothing here."""
    found: dict[int, Aim] = {}
    for goal in goals:
        kind, colon, target = goal.partition(":")
        if not colon or not target.strip() or kind not in KINDS:
            meant = "" if kind in KINDS else did_you_mean(kind, KINDS)
            raise AutoscopeError(
                f"--goal {shown(goal)}: {meant}write KIND:TARGET; kinds: {', '.join(KINDS)}, "
                "such as slow:shop.checkout or request:/cart/{id}"
            )
        for index, aim in _GOALS[kind](facts, target.strip(), goal).items():
            before = found.get(index)
            found[index] = aim if before is None else both(before, aim)
    return found


def both(one: Aim, other: Aim) -> Aim:
    """What two goals want of the same function."""
    level = max(one.level, other.level, key=DETAIL.__getitem__)
    return Aim(f"{one.reason}; {other.reason}", one.args or other.args, one.result or other.result, level)


def slow(facts: Facts, target: str, goal: str) -> dict[int, Aim]:
    found: dict[int, Aim] = {}
    for index, depth in below(facts, named(facts, target, goal), 2 * DEPTH).items():
        function = facts.functions[index]
        if depth == 0:
            found[index] = Aim(f"goal {goal}: the function itself", args=True)
        elif function.io or (depth <= DEPTH and not function.trivial):
            found[index] = Aim(
                f"goal {goal}: {calls_below(depth)}" + (f", does I/O: {', '.join(function.io)}" if function.io else "")
            )
    return found


def errors(facts: Facts, target: str, goal: str) -> dict[int, Aim]:
    found: dict[int, Aim] = {}
    for index, depth in below(facts, named(facts, target, goal), WHOLE).items():
        function = facts.functions[index]
        what = [f"raises {', '.join(function.raises)}"] if function.raises else []
        what += [f"catches {', '.join(function.catches)}"] if function.catches else []
        if what or (depth == 0 and not function.trivial):
            place = "in the target" if depth == 0 else calls_below(depth)
            found[index] = Aim(f"goal {goal}: {'; '.join([place, *what])}", args=True)
    return found


def request(facts: Facts, target: str, goal: str) -> dict[int, Aim]:
    method, _, path = target.rpartition(" ")
    handlers = handling(facts, path, method)
    if not handlers:
        routes = sorted({route_of(function) for function in facts.functions if function.role == "web"} - {""})
        known = ", ".join(routes[:8]) + (", …" if len(routes) > 8 else "") if routes else "none whose path can be read"
        raise AutoscopeError(f"--goal {goal}: no route {shown(target)}; routes found: {known}")
    found: dict[int, Aim] = {}
    for index, depth in below(facts, handlers, WHOLE).items():
        if depth == 0:
            found[index] = Aim(f"goal {goal}: handles it", args=True, result=True)
        elif not facts.functions[index].trivial:
            found[index] = Aim(f"goal {goal}: {calls_below(depth)}")
    return found


def handling(facts: Facts, path: str, method: str) -> list[int]:
    """The handlers of a path as a route has it, or as it was asked for: `/cart/{id}`, `/cart/7`.

    Where no route is the whole path, those of the longest one it ends with: what it begins with may be said where the route cannot be
    seen, as in `include_router(router, prefix="/api")`. A route that says nothing but parameters is only meant by itself.
    """
    asked = route_words(path).split("/")
    best: tuple[bool, int, int] = False, 0, 0
    found: list[int] = []
    for index, function in enumerate(facts.functions):
        if function.role != "web" or (method and method.upper() not in function.role_detail.split()):
            continue
        written = route_of(function)
        route = route_words(written).split("/")
        pairs = list(zip(route, asked[-len(route) :], strict=False))
        if len(route) > len(asked) or not all(word == other or (word == "*" and other) for word, other in pairs):
            continue
        said = sum(word == other and word not in ("", "*") for word, other in pairs)
        if not said and (route != asked or not written):
            continue
        rank = len(route) == len(asked), len(route), sum(word == other for word, other in pairs)
        if rank > best:
            best, found = rank, []
        if rank == best:
            found.append(index)
    return found


def diff(facts: Facts, target: str, goal: str) -> dict[int, Aim]:
    changed = changed_functions(facts, target, goal)
    found = {index: Aim(f"goal {goal}: changed", args=True) for index in changed}
    for index in changed:
        for caller in facts.functions[index].callers:
            found.setdefault(caller, Aim(f"goal {goal}: calls {facts.functions[index].name}, which changed"))
        for callee in facts.functions[index].callees:
            if not facts.functions[callee].trivial:
                found.setdefault(callee, Aim(f"goal {goal}: called by {facts.functions[index].name}, which changed"))
    return found


_GOALS = {"slow": slow, "errors": errors, "request": request, "diff": diff}


def calls_below(depth: int) -> str:
    """`2 calls below the target`."""
    return f"{depth} call{'s' if depth > 1 else ''} below"


def named(facts: Facts, target: str, goal: str, word: str = "--goal") -> list[int]:
    """The functions a target names: one, all of a class or module, or those of a glob."""
    found = []
    for index, function in enumerate(facts.functions):
        if function.overload:
            continue
        name = function.name
        if matches(target, name) or (not is_glob(target) and name.startswith(target + ".")):
            found.append(index)
    if not found:
        names = [function.name for function in facts.functions] + list(facts.modules)
        names += dict.fromkeys(name.rpartition(".")[0] for name in names)  # classes
        raise AutoscopeError(
            f"{word} {goal.removeprefix(word).strip()}: the code has no {shown(target)}; {did_you_mean(target, names)}"
            "name a function, class or module as its spans are called, such as shop.cart.Cart.add"
        )
    return found


def below(facts: Facts, start: Iterable[int], most: int) -> dict[int, int]:
    """Functions reached from `start` -> how many calls below, up to `most`."""
    depth = dict.fromkeys(start, 0)
    level = list(depth)
    for distance in range(1, most + 1):
        following = []
        for index in level:
            for callee in facts.functions[index].callees:
                if callee not in depth:
                    depth[callee] = distance
                    following.append(callee)
        level = following
    return depth


_PARAMETER = re.compile(r"<[^>]*>|\{[^}]*\}|\(\?P<[^>]*>[^)]*\)|:[A-Za-z_]\w*")


def route_of(function: Function) -> str:
    """The path in what is known of a web entry point; empty for none."""
    words = function.role_detail.split()
    last = words[-1] if len(words) > 2 and words[-2] in ("URL", "path", "route") else ""
    return next((word for word in words if "/" in word), last)


def route_words(route: str) -> str:
    """A path without what frameworks write differently: parameters are `*`, no slash at either end."""
    return _PARAMETER.sub("*", route.strip().strip("^$")).strip("/")


_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_DEFINES = ("def ", "async def ", "class ")
_QUOTED = re.compile(r"\\([0-7]{3}|.)")
_ESCAPED = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def changed_functions(facts: Facts, target: str, goal: str) -> list[int]:
    """The functions that lines of a range of commits belong to, and that are still there."""
    if target.startswith("-"):
        raise AutoscopeError(
            f"--goal {goal}: {shown(target)} is no range of commits; write one such as diff:main..HEAD"
        )
    asked = f"--goal {goal}"
    if not git.is_repository(facts.root, asked):
        raise AutoscopeError(f"{asked}: {facts.root} is in no git repository; take another goal")
    # Whatever the user's configuration makes of a difference.
    form = ("--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
    asking = ("-c", "core.quotePath=false", "diff", *form, "--relative", target, "--", ".")
    way = "give a range git knows"
    if git.is_shallow(facts.root, asked):
        way += ": this clone is shallow, `git fetch --unshallow` gets the rest"
    out = git.insist(facts.root, asked, *asking, way=way)
    lines = changed_lines(out.decode("utf-8", "surrogateescape"))
    files = {os.path.realpath(os.path.join(facts.root, name)): name for name in lines}
    _, dots, end = target.rpartition("..")
    end = end or "HEAD"
    later: set[str] = set()
    if dots:  # lines may be elsewhere by now
        names = ("diff", "--name-only", "-z", "--no-ext-diff", "--relative", end, "--", ".")
        later = set(git.insist(facts.root, asked, *names, way=way).decode("utf-8", "surrogateescape").split("\0"))
    found = []
    for module in facts.modules.values():
        name = files.get(os.path.realpath(module.file))
        if name is None:
            continue
        touched = lines[name]
        then = git.text_at(facts.root, end, f"./{name}", asked) if name in later else None
        changed = None if then is None else changed_then(then, module.file, touched)
        for index in module.functions:
            function = facts.functions[index]
            if changed is None:
                is_changed = not touched.isdisjoint(range(function.line, function.end_line + 1))
            else:
                is_changed = function.qualname in changed
            if is_changed and not function.overload:
                found.append(index)
    if not found:
        raise AutoscopeError(
            f"--goal {goal}: no function was changed in that range; give one with changes to the code planned"
        )
    return found


def changed_lines(difference: str) -> dict[str, set[int]]:
    """File, as `git diff` calls it -> the lines that are new or changed, or stand where some were taken out."""
    found: dict[str, set[int]] = {}
    name = ""
    lines = iter(difference.split("\n"))
    for line in lines:
        if line.startswith("+++ "):
            name = unquoted(line[4:])
            name = name[2:] if name.startswith("b/") else ""
        elif hunk := _HUNK.match(line):
            before, first, count = (1 if number is None else int(number) for number in hunk.groups())
            # Not to take a line of the file for one of git's.
            taken_out = [next(lines, "")[1:].lstrip() for _ in range(before)]
            if name:
                touched = found.setdefault(name, set())
                # What was only taken out leaves no line: the one it stood behind is meant, or for a decorator, the next.
                touched.update(range(first, first + max(count, 1)))
                if not count and is_decorator(taken_out):
                    touched.add(first + 1)
            for _ in range(count):
                if next(lines, "").startswith(
                    "\\"
                ):  # the end of a file without a line's end, which git tells of between the two
                    next(lines, "")
    return found


def is_decorator(lines: Sequence[str]) -> bool:
    """Whether lines, without indentation, are those of decorators and not of what they decorate."""
    return any(line.startswith("@") for line in lines) and not any(line.startswith(_DEFINES) for line in lines)


def unquoted(name: str) -> str:
    """A file's name without what git puts around it: quotes where it has some or control characters, a tab behind it where it has blanks."""
    if not name.startswith('"'):
        return name.removesuffix("\t")

    def character(found: re.Match[str]) -> str:
        return chr(int(found[1], 8)) if len(found[1]) == 3 else _ESCAPED.get(found[1], found[1])

    return _QUOTED.sub(character, name.removesuffix("\t")[1:-1])


def changed_then(data: bytes, file: str, touched: set[int]) -> set[str] | None:
    """The functions lines belong to in an older text of a file, by name; None where it cannot be read."""
    try:
        seen = analyse(source.decode(data, file), "")
    except (source.Unreadable, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return {one.qualname for one in seen.functions if not touched.isdisjoint(range(one.line, one.end_line + 1))}
