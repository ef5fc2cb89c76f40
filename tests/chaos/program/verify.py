"""What the program can tell of its own functions: whether each has the code its author's file compiles to. Never traced."""

from __future__ import annotations

import gc
import os
from collections import Counter
from itertools import chain
from operator import call
from types import CodeType

from autoscope.weave.everywhere import every_function

HERE = os.path.dirname(os.path.abspath(__file__))
ATTRIBUTES = [
    name
    for name in dir(CodeType)
    if name.startswith("co_") and name not in ("co_consts", "co_lnotab", "co_lines", "co_positions")
]
compiled: dict[str, dict] = {}


def parts(code, found):
    found.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    for constant in code.co_consts:
        if type(constant) is CodeType:
            parts(constant, found)
    return found


def authors(file):
    """(qualified name, line) -> code objects, as a plain compile of the file has them."""
    if file not in compiled:
        with open(file, "rb") as source:
            compiled[file] = parts(compile(source.read(), file, "exec", dont_inherit=True), {})
    return compiled[file]


def differs(code, author):
    """The first thing in which a code object is not the author's, or None."""
    for name in ATTRIBUTES:
        value = getattr(code, name)
        if not callable(value) and value != getattr(author, name):
            return name
    if len(code.co_consts) != len(author.co_consts):
        return "co_consts"
    for mine, theirs in zip(code.co_consts, author.co_consts, strict=True):
        if type(mine) is not type(theirs):
            return "co_consts"
        inside = differs(mine, theirs) if type(mine) is CodeType else None if mine == theirs else "co_consts"
        if inside:
            return inside
    return None


def wrong():
    """Every function of the program that has not its author's code, and how many there are."""
    found, count = [], 0
    for function in every_function():  # a list of all objects, in the hands of one thread, is seen by the others
        code = function.__code__
        if code.co_filename.startswith(HERE):
            count += 1
            if code.co_name == "<module>":
                continue  # the script itself, which is run as a function
            told = [
                differs(code, author)
                for author in authors(code.co_filename).get((code.co_qualname, code.co_firstlineno), ())
            ]
            if None not in told:
                found.append(f"{code.co_qualname}:{code.co_firstlineno}: {told}")
    return sorted(set(found)), count


waiting = 0
"""The most records that waited to be handed over: what they took, the allocator may keep."""


def look():
    """Called now and then."""
    global waiting
    from autoscope.runtime import sites

    waiting = max(waiting, len(sites.records) // sites.WIDTH)


LEAST = 0.0025
"""The last budget there is has less, when nothing is changed any more: who has more is let go of and taken up many times a second."""


def crowd():
    """How often functions are to be called that are called often: as long as a budget may leave most of it out."""
    from autoscope import bootstrap

    running = bootstrap.running
    asked_for = any(change.until is not None for change in running.weave.changes)
    if running.steer is None or asked_for:
        return 20
    return 2000 if running.plan.budget_overhead < LEAST else 200


def states():
    """How many functions are in which state of the budget."""
    from autoscope import bootstrap

    found: dict[str, int] = {}
    steering = bootstrap.running.steer
    for steered in list(steering.warm.values()) if steering is not None else ():
        found[steered.state] = found.get(steered.state, 0) + 1
    return found


def allocated():
    """Bytes in use that were allocated past Python's own allocator, code objects for one; None where the C library does not tell."""
    import ctypes

    class Mallinfo(ctypes.Structure):
        _fields_ = [
            (name, ctypes.c_size_t)
            for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
        ]

    try:
        ask = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    ask.restype = Mallinfo
    found = ask()
    return found.uordblks


def size():
    """What must not grow."""
    import sys

    import autoscope
    from autoscope import bootstrap
    from autoscope.runtime import sites

    autoscope.flush()  # what waits to be handed over is as much as was recorded in the last second, and no leak
    gc.collect()
    # In one run of C functions: a list of all objects, in the hands of one thread, is seen by the others.
    kinds = Counter(kind.__name__ for kind in list(map(type, chain.from_iterable(map(call, (gc.get_objects,))))))
    restore = sys.modules.get("autoscope.weave.restore")
    most = dict(kinds.most_common(12))
    running = bootstrap.running
    return {
        "sites": len(sites.sites),
        "Site": kinds["Site"],
        "objects": kinds.total(),
        "most": most,
        "shared": sum(map(len, restore._shared.values())) if restore else 0,
        "changes": len(running.weave.changes),
        "allocated": allocated(),
        "waiting": waiting,
        "blocks": sys.getallocatedblocks(),
        "dropped": running.stats()["dropped"],
        "recorded": running.stats()["recorded"],
    }
