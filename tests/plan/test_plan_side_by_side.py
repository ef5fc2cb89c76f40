"""Processes side by side: they do the work, and none outlives or outshouts the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="asks /proc")
PROGRAM = """
import os, sys, time
from autoscope.plan.side_by_side import side_by_side

def begin(directory):
    open(os.path.join(directory, str(os.getpid())), "w").close()

def work(seconds):
    time.sleep(seconds)
    return seconds

if __name__ == "__main__":
    try:
        print(*side_by_side(2, work, [float(word) for word in sys.argv[2:]], begin, (sys.argv[1],)))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def started(directory: Path, *seconds: float) -> subprocess.Popen[str]:
    """The program above in a process group of its own, in which Ctrl-C is heard; who begins to work is in `directory` by process id."""
    (directory / "begun").mkdir()
    (directory / "program.py").write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, "program.py", "begun", *map(str, seconds)],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def until(condition, what: str):
    """What `condition` comes to, as soon as it is true."""
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.005)
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started, those of it that keep the book for `multiprocessing` left out."""
    found = []
    for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            if b"spawn_main" in Path(f"/proc/{word}/cmdline").read_bytes():
                found.append(int(word))
        except OSError:
            pass  # gone already
    return found


def is_running(pid: str) -> bool:
    """Whether there is such a process, and not only what is left of it until somebody asks."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_results_come_in_order(tmp_path):
    """Whoever is finished first."""
    process = started(tmp_path, 0.2, 0.0, 0.1)

    assert ("0.2 0.0 0.1\n", "", 0) == (*process.communicate(timeout=60), process.returncode)


@LINUX
@pytest.mark.parametrize("moment", ["starting", "working"])
def test_an_interrupt_is_for_the_one_that_started_them(tmp_path, moment):
    """A terminal sends it to all of them: none says a word, even one that has only begun to start, and what is not begun is not done."""
    process = started(tmp_path, *[0.5] * 200)
    begun = (lambda: children(process.pid)) if moment == "starting" else (lambda: os.listdir(tmp_path / "begun"))
    until(begun, "nobody has begun")
    os.killpg(process.pid, signal.SIGINT)

    assert ("", "", 130) == (*process.communicate(timeout=60), process.returncode)


@LINUX
def test_none_outlives_the_one_that_started_them(tmp_path):
    """Killed, it can tell them nothing."""
    process = started(tmp_path, 600, 600)
    workers = until(lambda: len(found := os.listdir(tmp_path / "begun")) == 2 and found, "they have not begun")
    assert all(map(is_running, workers))
    process.kill()
    process.communicate(timeout=60)

    until(lambda: not any(map(is_running, workers)), "they are still there")
