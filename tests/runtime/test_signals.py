"""Exceptions of the program's signal handlers, which run wherever the main thread is, in our functions too."""

from __future__ import annotations

import pytest

from program_kit import run

PROGRAM = """
import os, itertools, signal
from autoscope.runtime import sites

class Timeout(Exception):
    pass

def handler(number, frame):
    raise Timeout

signal.signal(signal.SIGUSR1, handler)

def f(x):
    return len("x")

def g(x):
    yield x

def fails(x):
    raise KeyError(x)

watched = [site for site in sites.sites if site.qualname in ("f", "g", "fails")]
for site in sites.sites:
    site.armed = site in watched

struck = 0
def at(moment):
    # The signal strikes inside a function of ours: at its reading of the clock, at its next id, at its parent.
    readings = itertools.count()
    def wrapped(real):
        def strike(*words):
            if next(readings) == moment:
                signal.raise_signal(signal.SIGUSR1)
            return real(*words)
        return strike
    return wrapped

for name in os.environ["NAMES"].split():
    for moment in range(3):
        for call in (lambda: f([1]), lambda: list(g([2])), lambda: fails([3])):
            real = getattr(sites.switches, name)
            setattr(sites.switches, name, at(moment)(real))
            try:
                call()
            except (Timeout, KeyError) as error:
                struck += isinstance(error, Timeout)
            finally:
                setattr(sites.switches, name, real)
armed = len(watched) > 1 and all(site.armed for site in watched)
print(armed, struck)
"""


@pytest.mark.parametrize("rate, names", [("1", "append clock next root"), ("0.0000001", "chance mark")])
@pytest.mark.parametrize("strategy", ["full_trace", "balanced"])
def test_a_handlers_exception_reaches_the_program(tmp_path, strategy, rate, names):
    """Never taken for a failure of ours: nothing is switched off, nothing is said, and the program sees it."""
    env = {"AUTOSCOPE_STRICT": None, "AUTOSCOPE_RATE": rate, "NAMES": names}
    ran = run(tmp_path, PROGRAM, strategy=strategy, env=env)
    armed, struck = ran.out.split()
    assert (armed, ran.err) == ("True", "")
    assert int(struck) >= 6


def test_timeouts_by_alarm_happen(tmp_path):
    """The usual way to bound a computation."""
    source = """
        import signal
        class T(Exception): pass
        def h(s, f): raise T
        def f(): return len("x")
        signal.signal(signal.SIGALRM, h)
        lost = 0
        for _ in range(150):
            try:
                signal.setitimer(signal.ITIMER_REAL, .002)
                for _ in range(400000): f()
                lost += 1
            except T: pass
        print("lost", lost)
    """
    ran = run(
        tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_STRICT": None, "OTEL_BSP_MAX_QUEUE_SIZE": "1000"}
    )
    assert (ran.out, ran.err) == ("lost 0\n", "")


@pytest.mark.parametrize("strategy", ["full_trace", "balanced"])
def test_every_entry_of_a_traceback_has_a_line(tmp_path, strategy):
    """Wherever the alarm comes, while an exception of the program's is being recorded too: pytest's reports compute with lines."""
    source = """
        import signal
        class Timeout(Exception): pass
        def alarm(*_): raise Timeout
        signal.signal(signal.SIGALRM, alarm)
        def failing(x):
            if x: raise ValueError(x)
            return len("x")
        def steps():
            for i in range(3): yield i
        def work():
            while True:
                for i in steps():
                    try: failing(i)
                    except ValueError: pass
        without, tries = {}, 0
        while tries < 800:
            tries += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005 + tries % 97 * 1e-5)
                work()
            except Timeout as error:
                entry = error.__traceback__
                while entry:
                    if entry.tb_lineno is None and "app.py" in entry.tb_frame.f_code.co_filename:
                        without[entry.tb_frame.f_code.co_name] = without.get(entry.tb_frame.f_code.co_name, 0) + 1
                    entry = entry.tb_next
        print(without)
    """
    ran = run(tmp_path, source, strategy=strategy, env={"AUTOSCOPE_STRICT": None, "OTEL_BSP_MAX_QUEUE_SIZE": "1000"})
    assert (ran.out, ran.err) == ("{}\n", "")


WAKING = """
import _thread, operator, traceback
from functools import partial
exec('''
def current():
    try: from autoscope.runtime import context
    except ImportError: return None
    return context.get()
class Pause:
    def __await__(self): yield
''')

def steps():
    yield 1
    yield 2

def held():
    try:
        yield 1
        yield 2
    finally:
        len("x")

async def inner():
    await Pause()

async def outer():
    await inner()

async def again():
    try:
        await Pause()
    finally:
        await Pause()

async def caught():
    try:
        await Pause()
    except KeyboardInterrupt:
        return 5

seen = []

def attempt(call):
    before = current()
    try:
        try: seen.append(call())
        except BaseException as error: seen.append(error)
        for _ in range(3): len("x")  # what is pending strikes by now
    except KeyboardInterrupt as error: seen.append(error)
    print(current() is before)

for make in (steps, held, outer, again, caught):
    for how in ("send", "throw", "close"):
        words = {"send": (None,), "throw": (KeyError(1),), "close": ()}[how]
        one = make()
        one.send(None)
        del seen[:]
        # Only C code between the signal and the waking.
        attempt(partial(list, map(operator.call, [_thread.interrupt_main, partial(getattr(one, how), *words)])))
        attempt(partial(one.send, None))
        print(current())
        for error in seen:
            assert not isinstance(error, AttributeError), error
            if isinstance(error, BaseException):
                for entry in traceback.extract_tb(error.__traceback__): assert (entry.lineno or 0) > 0, (make, how, entry)
        if (make, how) == (again, "send"): print([type(thing).__name__ for thing in seen])
"""


@pytest.mark.parametrize("rate", ["1", "0.0000001"])
@pytest.mark.parametrize("strategy", ["full_trace", "balanced"])
def test_a_signal_while_something_is_being_woken(tmp_path, strategy, rate):
    """Before its span is current again: the program's handlers run, may wait again, and what was current before still is."""
    env = {"AUTOSCOPE_STRICT": None, "AUTOSCOPE_RATE": rate}
    plain = run(tmp_path, WAKING, plain=True)
    ran = run(tmp_path, WAKING, strategy=strategy, env=env)
    assert (ran.out, ran.err) == (plain.out, "")
    assert (ran.out.count("True\n"), ran.out.count("None\n")) == (30, 15)


@pytest.mark.parametrize("kind", ["Exception", "OSError", "ValueError"])
@pytest.mark.parametrize("event", ["open /proc/self/status", "fcntl.fcntl"])
def test_a_timeout_while_our_threads_are_started_reaches_the_program(tmp_path, event, kind):
    """The first recorded call starts them; what a handler raises meanwhile may be an `OSError`, as `TimeoutError` is."""
    source = f"""
        import signal, sys
        class Timeout({kind}): pass
        def alarm(*_): raise Timeout
        signal.signal(signal.SIGALRM, alarm)
        struck = []
        def hook(event, args):
            if " ".join([event, *map(str, args)]).startswith({event!r}) and not struck:
                struck.append(event)
                signal.raise_signal(signal.SIGALRM)
        sys.addaudithook(hook)
        def work(x): return len("x")
        seen = 0
        for i in range(3):
            try: work(i)
            except Timeout: seen += 1
        print(len(struck), seen)
    """
    ran = run(tmp_path, source, strategy="full_trace")
    assert (ran.out, ran.err) == ("1 1\n", "")
    assert len(ran.named("__main__.work")) >= 2


ELSEWHERE = {
    "while a module's compiled code is read": ("open", "late.cpython", "import late"),
    "while the store is opened": ("sqlite3.connect", "", "work(1); autoscope.flush()"),
}


@pytest.mark.parametrize("kind", ["Exception", "OSError"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_timeout_in_what_we_do_for_the_program_reaches_it(tmp_path, where, kind):
    """An import, a flush: in the main thread, where handlers run, and where an `OSError` of ours would be none of its business."""
    event, word, act = ELSEWHERE[where]
    (tmp_path / "late.py").write_text("def work(x): return len([x])\n")
    compile_all = "import late; late.work(1)"
    run(tmp_path, compile_all, plain=True)
    source = f"""
        import autoscope, signal, sys, threading
        class Timeout({kind}): pass
        def alarm(*_): raise Timeout
        signal.signal(signal.SIGALRM, alarm)
        struck = []
        def hook(event, args):
            if struck or event != {event!r} or {word!r} not in str(args[0]): return
            if threading.get_ident() == threading.main_thread().ident:
                struck.append(event)
                signal.raise_signal(signal.SIGALRM)
        sys.addaudithook(hook)
        def work(x): return len("x")
        seen = 0
        for attempt in range(2):
            try: {act}
            except Timeout: seen += 1
        print(len(struck), seen)
    """
    ran = run(
        tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_STRICT": None, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    )
    assert (ran.out, ran.err) == ("1 1\n", "")
