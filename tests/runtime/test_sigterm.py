"""SIGTERM: where the program leaves it alone, the process dies of it as without us, at once, and what it did is kept."""

from __future__ import annotations

import signal
import sys

import pytest

from program_kit import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs ask /proc")

BEGIN = """
import ctypes, os, signal, sys, time

def work(n):
    return sum(range(n))

def stuck():
    '''In a call into C that no signal interrupts.'''
    lock = ctypes.create_string_buffer(64)
    library = ctypes.CDLL(None)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)

def caught():
    mask = [line for line in open('/proc/self/status') if line.startswith('SigCgt')][0]
    return bool(int(mask.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

def until(condition):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            sys.exit('waited too long')
        time.sleep(0.001)

def terminate_soon(pid=os.getpid()):
    '''By a process of its own, which waits until `pid` is inside C: state S, and its main thread on a futex.'''
    import subprocess
    subprocess.Popen([sys.executable, '-I', '-S', '-c', f'''
import os, time
while not open("/proc/{pid}/wchan").read().startswith(("futex", "0")):
    time.sleep(0.01)
time.sleep(0.3)
os.kill({pid}, 15)
'''], env={})
"""


def both(tmp_path, text, **options):
    traced = run(tmp_path, BEGIN + text, check=False, **options)
    plain = run(tmp_path, BEGIN + text, check=False, plain=True, **options)
    assert (traced.status, traced.out, traced.err) == (plain.status, plain.out, plain.err)
    return traced


def test_a_process_inside_c_dies_with_its_spans(tmp_path):
    """The main thread never comes back from C: the process dies all the same, and what it recorded is there."""
    ran = both(tmp_path, "work(3)\nterminate_soon()\nstuck()\n", env={"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert ran.status == -signal.SIGTERM
    assert ran.names["work"] == 1


def test_nothing_runs_after_it(tmp_path):
    """As without us, the statement after the one that ends the process is not reached."""
    ran = both(
        tmp_path,
        "print(signal.getsignal(15) is signal.SIG_DFL, flush=True)\nos.kill(os.getpid(), 15)\nprint('alive', flush=True)\n",
        env={"AUTOSCOPE_INCLUDE": "nothing_of_this_name"},
    )
    assert (ran.status, ran.out) == (-signal.SIGTERM, "True\n")


@pytest.mark.parametrize("recorded", [False, True], ids=["nothing recorded", "recorded"])
@pytest.mark.parametrize("where", ["main thread", "another thread"])
def test_a_forked_child_inside_c_dies(tmp_path, recorded, where):
    """A pool's worker that waits for a semaphore, told to end: its parent waits for it, and gets its status."""
    ran = both(
        tmp_path,
        f"""
import threading, warnings
warnings.simplefilter('ignore')
if {recorded}:
    work(3)
    until(caught) if 'autoscope' in sys.modules else None
def fork():
    child = os.fork()
    if not child:
        stuck()
    terminate_soon(child)
    print(os.waitpid(child, 0)[1], flush=True)
    assert os.waitpid(-1, 0)[1] == 0
if {where!r} == 'main thread':
    fork()
else:
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
work(2)
""",
    )
    assert (ran.status, ran.out) == (0, "15\n")
    assert ran.names["work"] == 1 + recorded


def test_a_child_that_is_told_to_end_does_not_end_its_parent(tmp_path):
    """Many children, each terminated at once: their signals are theirs alone."""
    ran = both(
        tmp_path,
        """
work(3)
until(caught) if 'autoscope' in sys.modules else None
for round in range(50):
    child = os.fork()
    if not child:
        work(4)
        time.sleep(60)
    if round % 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
print('still here')
""",
    )
    assert (ran.status, ran.out) == (0, "still here\n")


def test_the_default_put_back_and_raised_again(tmp_path):
    """What servers do when they have shut down: put back what was there, and raise the signal once more."""
    ran = both(
        tmp_path,
        """
before = signal.signal(signal.SIGTERM, lambda number, frame: None)
work(1)
os.kill(os.getpid(), signal.SIGTERM)
work(2)
signal.signal(signal.SIGTERM, before)
signal.raise_signal(signal.SIGTERM)
work(3)
""",
        env={"OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert ran.status == -signal.SIGTERM
    assert ran.names["work"] == 2


def test_the_default_put_back_and_waiting_in_c(tmp_path):
    """The handler that stands in for the default again is the whole of it."""
    ran = both(
        tmp_path,
        """
signal.signal(signal.SIGTERM, lambda number, frame: None)
work(1)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
print(signal.getsignal(signal.SIGTERM), flush=True)
terminate_soon()
stuck()
""",
        env={"OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert ran.status == -signal.SIGTERM
    assert ran.names["work"] == 1


def test_a_handler_in_c_is_left_alone(tmp_path):
    """A program that has a traceback written when it is told to end gets it, and goes on if it said so."""
    ran = both(
        tmp_path,
        """
import faulthandler
file = open('trace.txt', 'w+')
faulthandler.register(signal.SIGTERM, file, all_threads=False)
work(1)
time.sleep(0.3)
os.kill(os.getpid(), signal.SIGTERM)
if not os.fork():
    os._exit(0)
os.wait()
os.kill(os.getpid(), signal.SIGTERM)
file.seek(0)
print(file.read().count('most recent call first'), 'still here')
""",
    )
    assert (ran.status, ran.out) == (0, "2 still here\n")


def test_a_handler_in_c_that_comes_later_is_left_alone(tmp_path):
    ran = both(
        tmp_path,
        """
import faulthandler
work(1)
until(caught) if 'autoscope' in sys.modules else None
file = open('trace.txt', 'w+')
faulthandler.register(signal.SIGTERM, file, all_threads=False)
if not os.fork():
    os._exit(0)
os.wait()
os.kill(os.getpid(), signal.SIGTERM)
file.seek(0)
print(file.read().count('most recent call first'), 'still here')
""",
    )
    assert (ran.status, ran.out) == (0, "1 still here\n")


def test_a_program_that_closes_every_descriptor(tmp_path):
    """A daemon does. The numbers become files of its own, and nothing of ours is written there."""
    ran = both(
        tmp_path,
        """
work(1)
until(caught) if 'autoscope' in sys.modules else None
os.closerange(3, 1000)
time.sleep(0.2)
files = [os.open('mine.txt', os.O_RDWR | os.O_CREAT) for _ in range(300)]
print(len(files), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(30)
""",
    )
    assert (ran.status, ran.out) == (-signal.SIGTERM, "300\n")
    assert (tmp_path / "mine.txt").read_bytes() == b"" if (tmp_path / "mine.txt").exists() else True


def test_a_forked_child_that_recorded_dies_inside_c(tmp_path):
    """The handler in C is put in place again in the child, not only Python's."""
    ran = both(
        tmp_path,
        """
work(3)
until(caught) if 'autoscope' in sys.modules else None
child = os.fork()
if not child:
    work(4)
    stuck()
terminate_soon(child)
print(os.waitpid(child, 0)[1], flush=True)
assert os.waitpid(-1, 0)[1] == 0
""",
        env={"OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert (ran.status, ran.out) == (0, "15\n")
    assert ran.names["work"] == 2


def test_blocked_and_waited_for(tmp_path):
    """A program that blocks the signal and waits for it itself gets it."""
    ran = both(
        tmp_path,
        """
work(1)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
print(signal.sigwait({signal.SIGTERM}))
""",
    )
    assert (ran.status, ran.out) == (0, "15\n")


def test_threads_that_fork_at_once(tmp_path):
    """Each fork stops what must not be running then, and lets it go on: nothing is lost and nothing waits for ever."""
    ran = both(
        tmp_path,
        """
import threading, warnings
warnings.simplefilter('ignore')
def fork_often():
    for _ in range(20):
        work(2)
        child = os.fork()
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
threads = [threading.Thread(target=fork_often) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
work(5)
print('done')
""",
    )
    assert (ran.status, ran.out) == (0, "done\n")
    assert ran.names["work"] == 81
