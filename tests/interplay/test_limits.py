"""Where a program is at its end: of the stack, of memory, of patience (Ctrl-C, threads told to stop); and at its very end.

What is current afterwards must be what was, which the next call shows: it begins a trace of its own.
"""

from __future__ import annotations

import pytest
from interplay_kit import QUIET, same, write

from program_kit import run

KINDS = """
import asyncio, sys

def f(x):
    return len([x])

def gen(x):
    got = yield f(x)
    yield len([x])

async def coro(x):
    await Pause()
    return f(x)

async def agen(x):
    yield f(x)
    await Pause()

class Pause:
    def __await__(self):
        yield

def fails(x):
    raise ValueError(f(x))

def drive(awaitable):
    try:
        while True: awaitable.send(None)
    except StopIteration as stop: return stop.value

def by_hand(x):
    async def main():
        return [y async for y in agen(x)]
    return drive(main())

def caught(x):
    try: fails(x)
    except ValueError as error: return str(error)

calls = {
    "function": lambda: f(1),
    "generator": lambda: list(gen(2)),
    "coroutine": lambda: drive(coro(3)),
    "async generator": lambda: by_hand(4),
    "exception": lambda: caught(5),
}
"""


def test_the_end_of_the_stack(tmp_path):
    """Recursion that goes too deep is caught and the program goes on; limits that are set, low and high, and threads of their own."""
    ran = same(
        tmp_path,
        KINDS
        + """
import threading
def down(n):
    return down(n + 1) + len("x")
def gen_down(n):
    yield len("x")
    yield from gen_down(n + 1)
async def coro_down(n):
    return await coro_down(n + 1) + len("x")
def mixed(n):
    try: return mixed(n + 1)
    except RecursionError: return f("caught")
def counted(n): return counted(n - 1) + len("x") if n else 0
def reach(*deeps):
    for deep in deeps:
        try: deep()
        except RecursionError: print("too deep")
    print(mixed(0), [call() for call in calls.values()])
deeps = lambda: down(0), lambda: drive(coro_down(0)), lambda: list(gen_down(0))
sys.setrecursionlimit(400)
reach(*deeps)
exec('''
def climb(n):
    try: climb(n + 1)
    except RecursionError: pass
    try: f(n)
    except RecursionError: pass
''')
climb(0)  # not woven: at each level, the first function that is
for limit in (200, 3000):
    sys.setrecursionlimit(limit)
    print(sys.getrecursionlimit()); reach(*deeps[:2])
    print(counted(limit - 100))
def shallow():
    try: sys.setrecursionlimit(2)
    except RecursionError as error: print("too low")
    print(sys.getrecursionlimit())
shallow()
def raised():
    sys.setrecursionlimit(10_000)
    return counted(8000)
threading.stack_size(256 * 1024 * 1024)
thread = threading.Thread(target=lambda: print(raised())); thread.start(); thread.join()
print(f("last"))
""",
        recorded=("down", "gen_down", "coro_down", "mixed", "counted", "f"),
    )
    assert not max(ran.named("f"), key=lambda span: span.start_ns).parent_id


def test_no_memory(tmp_path):
    """Every allocation fails once, wherever it is, in the program or in ours: what is current afterwards is what was."""
    pytest.importorskip("_testcapi")
    program = (
        KINDS
        + """
import _testcapi, gc, warnings
warnings.simplefilter('ignore')  # of coroutines that were never awaited
from autoscope.runtime import context, sites
gc.disable()
f("first")
"""
        + QUIET
        + """
failed = {}
watched = [site for site in sites.sites if site.armed]
for name, call in calls.items():
    call()
    for start in range(100):
        error = None
        _testcapi.set_nomemory(start, start + 1)
        try: call()
        except MemoryError: error = True
        # Python's own way to lose one that fails while an exception is on its way: the plain program has it too.
        except SystemError as other: error = str(other) == "error return without exception set" or other
        except BaseException as other: error = other
        finally: _testcapi.remove_mem_hooks()
        if error is True: failed[name] = failed.get(name, 0) + 1
        elif error: print(name, start, repr(error))
        if context.get(): print(name, start, "still current:", context.get()); context.set_current(None)
        off = [site.qualname for site in watched if not site.armed]
        if off: print(name, start, "switched off", off)
        for site in watched: site.armed = True
print(sorted(failed))
f("last")
"""
    )
    for strategy in ("full_trace", "balanced"):
        (tmp_path / strategy).mkdir()
        ran = run(tmp_path / strategy, program, strategy=strategy, env={"OTEL_BSP_SCHEDULE_DELAY": "60000"})
        assert ran.err == ""
        assert ran.out == f"{sorted(['function', 'generator', 'coroutine', 'async generator', 'exception'])}\n"
        assert not max(ran.named("f"), key=lambda span: span.start_ns).parent_id


AT_ANY_MOMENT = """
import dis, gc, itertools, sys, warnings
import kinds
from autoscope.runtime import context, sites
gc.disable()
warnings.simplefilter("ignore")  # of coroutines that were never awaited
HERE = context.__file__.rpartition("/runtime")[0]
AFTER = {"CALL", "CALL_FUNCTION_EX", "RESUME", "JUMP_BACKWARD"}
known = {}
def checks(frame):
    # Whether the interpreter looks for signals right before this instruction: behind a call, at the beginning, in a loop.
    table = known.get(id(frame.f_code))
    if table is None:
        before, table = "", {}
        for instruction in dis.get_instructions(frame.f_code):
            table[instruction.offset] = before in AFTER
            if instruction.opname != "CACHE": before = instruction.opname
        known[id(frame.f_code)] = table
    return table.get(frame.f_lasti)

def interrupted(call, moment):
    seen = itertools.count()
    struck, called = [], set()
    def trace(frame, event, arg):
        file = frame.f_code.co_filename
        if file != kinds.__file__ and not file.startswith(HERE): return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "call": called.add(id(frame.f_back))
        if event != "opcode": return trace
        if id(frame) in called: called.remove(id(frame))  # the interpreter does not look when a Python function returns
        elif not struck and checks(frame) and next(seen) == moment:
            struck.append(frame.f_code.co_name)
            raise KeyboardInterrupt
        return trace
    sys.settrace(trace)
    try: call()
    except KeyboardInterrupt: pass
    finally: sys.settrace(None)
    return struck

inside = set()
for name, call in kinds.calls.items():
    for moment in itertools.count():
        struck = interrupted(call, moment)
        if not struck: break
        inside.update(struck)
        if context.get():
            print(name, moment, struck, "still current:", context.get()); context.set_current(None)
print({"f", "gen", "agen"} < inside, all(site.armed for site in sites.sites))
kinds.f("last")
"""


@pytest.mark.parametrize("strategy", ["full_trace", "balanced"])
def test_an_interrupt_at_any_moment(strategy, tmp_path):
    """Raised wherever the interpreter looks for signals, in the program's functions and in ours: the context is never corrupted."""
    write(tmp_path, {"kinds.py": KINDS})
    ran = run(tmp_path, AT_ANY_MOMENT, strategy=strategy, env={"AUTOSCOPE_INCLUDE": "kinds"})
    assert (ran.out, ran.err) == ("True True\n", "")
    assert not max(ran.named("kinds.f"), key=lambda span: span.start_ns).parent_id
