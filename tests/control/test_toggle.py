"""`AUTOSCOPE_SIGNALS`: a signal turns tracing off and on, and is nobody's whom a handler of the program's could miss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from program_kit import end, environment, start

PROGRAM = """
import faulthandler, os, signal, sys, time
def work(x): return len([x])
{before}
work(1)
print("ready", flush=True)
for line in sys.stdin:
    if line == "fork\\n":
        child = os.fork()
        if not child:
            print(os.getpid(), flush=True)
            deadline = time.time() + 20
            while len(work.__code__.co_code) != int(sys.argv[1]) and time.time() < deadline: time.sleep(0.01)
            print("child", len(work.__code__.co_code) == int(sys.argv[1]), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    print(len(work.__code__.co_code), signal.getsignal(signal.SIGUSR1), flush=True)
"""
ENV = {"AUTOSCOPE_SIGNALS": "SIGUSR1"}


@pytest.fixture
def begun(tmp_path):
    """Starts the program; ends it in the end."""
    processes = []

    def begin(before="", env=ENV, *arguments):
        process = start(tmp_path, PROGRAM.replace("{before}", before), *arguments, env=env, stdin=-1)
        processes.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def state(process):
    process.stdin.write("\n")
    process.stdin.flush()
    size, handler = process.stdout.readline().split()
    return int(size), handler


def becomes(process, woven):
    """The size of the function's code, when it is the one or the other."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        size, handler = state(process)
        assert handler == str(signal.SIG_DFL)
        if (size > OWN) == woven:
            return size
        time.sleep(0.02)
    raise AssertionError(f"still {'not ' if woven else ''}woven")


def _own():
    scope = {}
    exec("def work(x): return len([x])", scope)
    return len(scope["work"].__code__.co_code)


OWN = _own()


def test_off_and_on_again(tmp_path, begun):
    """Seen by the program as if there was no handler; system calls are not interrupted."""
    process = begun()
    size = becomes(process, True)
    for _ in range(3):
        os.kill(process.pid, signal.SIGUSR1)
        assert becomes(process, False) == OWN
        os.kill(process.pid, signal.SIGUSR1)
        assert becomes(process, True) == size
    process.stdin.close()
    process.stdin = None
    ran = end(tmp_path, process)
    assert ran.err.count("(signalled)") == 2 and len(ran.err.splitlines()) == 2


def test_a_child_has_a_switch_of_its_own(tmp_path, begun):
    process = begun("", ENV, OWN)
    becomes(process, True)
    process.stdin.write("fork\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    os.kill(child, signal.SIGUSR1)
    assert process.stdout.readline() == "child True\n"
    size, _ = process.stdout.readline().split()
    assert int(size) > OWN


@pytest.mark.parametrize(
    "handler",
    [
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'heard\\n'))",
        "faulthandler.register(signal.SIGUSR1, file=sys.stdout, all_threads=False)",
    ],
    ids=["signal", "faulthandler"],
)
def test_a_handler_of_the_programs_wins(begun, handler):
    """Whoever sets one has the signal; we do not."""
    process = begun(handler)
    os.kill(process.pid, signal.SIGUSR1)
    told = process.stdout.readline()
    assert told == "heard\n" or told.startswith("Stack (most recent")
    time.sleep(1.2)
    process.stdin.write("\n")
    process.stdin.flush()
    while not (told := process.stdout.readline()).split()[0].isdigit():
        pass
    assert int(told.split()[0]) > OWN


def test_a_handler_that_is_there_keeps_its_signal(tmp_path):
    """Ignored by whoever started the program: it goes on being ignored."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGUSR1))"],
        env=environment(tmp_path, env=ENV), preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        stdout=-1, stderr=-1, text=True,
    )  # fmt: skip
    out, err = process.communicate(timeout=30)
    assert out == f"{signal.SIG_IGN}\n"
    assert "signal-unavailable" in err and "has a handler" in err


@pytest.mark.parametrize("word", ["SIGNONSENSE", "TERM", "SIGKILL", "SIGINT", "SIG_DFL", "SIGSEGV", "10"])
def test_what_is_no_such_signal(tmp_path, word):
    ran = end(tmp_path, start(tmp_path, "print(1)", env={"AUTOSCOPE_SIGNALS": word}))
    assert ran.out == "1\n"
    assert [line for line in ran.err.splitlines() if "(signal-unavailable)" in line] == ran.err.splitlines() != []


def test_without_the_variable_nothing_is_there(tmp_path, begun):
    """The default holds: the signal ends the process."""
    process = begun("", {})
    os.kill(process.pid, signal.SIGUSR1)
    assert process.wait(30) == -signal.SIGUSR1
