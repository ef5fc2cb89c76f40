"""The control socket of a real process, over the real socket: well-behaved clients, and all others."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import time
from pathlib import Path

import pytest

from program_kit import end, start

PROGRAM = """
import sys, time, os
def work(x): return len([x]) + 1
total = 0
print("ready", flush=True)
while not os.path.exists("stop"):
    for i in range(20): total += work(i)
    time.sleep(0.002)
print(total % 40)
"""
FOLDER = Path(os.environ["XDG_RUNTIME_DIR"]) / "autoscope"


class Program:
    """A traced program that works until it is told to stop."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.process = start(folder, PROGRAM, strategy="full_trace", **options)
        assert self.process.stdout.readline() == "ready\n"
        self.socket = FOLDER / f"{self.process.pid}.sock"
        deadline = time.monotonic() + 30
        while not self.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(self.socket))
        return connection

    def send(self, data):
        with self.connect() as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def ask(self, verb, **words):
        return json.loads(self.send(json.dumps({"verb": verb, **words}).encode() + b"\n"))

    def stop(self):
        (self.folder / "stop").touch()
        return end(self.folder, self.process)


@pytest.fixture
def program(tmp_path):
    found = Program(tmp_path)
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.process.communicate()


def test_the_directory_is_the_users_alone(program):
    status = FOLDER.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())
    assert stat.S_ISSOCK(program.socket.stat().st_mode)
    program.stop()
    assert not program.socket.exists()


def test_who_it_is(program):
    told = program.ask("info")
    assert (told["pid"], told["ppid"], told["strategy"]) == (program.process.pid, os.getpid(), "full_trace")
    assert told["stats"]["woven"] == 1 and told["changes"] == [] and not told["off"]


def test_a_change_is_in_force(program):
    assert program.ask("set", target="*.work", rate=0)["sites"] == 1
    time.sleep(0.3)  # calls that began before
    before = program.ask("info")["stats"]["recorded"]
    time.sleep(0.3)
    assert before == program.ask("info")["stats"]["recorded"]
    assert program.ask("revert")["reverted"] == 1
    deadline = time.monotonic() + 20
    while program.ask("info")["stats"]["recorded"] == before:
        assert time.monotonic() < deadline, "nothing is recorded again"
    ran = program.stop()
    assert (ran.out, ran.err) == ("0\n", "")


def test_a_snapshot(program):
    told = program.ask("snapshot", target="*.work", calls=3)
    assert (len(told["calls"]), told["missing"]) == (3, 0)
    for call in told["calls"]:
        assert call["attributes"]["autoscope.return"] == 2 and call["duration_ns"] > 0
    assert program.ask("info")["changes"] == []


def test_a_snapshot_that_does_not_come(program):
    program.ask("set", target="*.work", level="off")
    told = program.ask("snapshot", target="*.work", calls=3, **{"for": 60})
    assert told["missing"] == 0  # a snapshot turns on what it wants to see
    assert "no function is called nothing" in program.ask("snapshot", target="nothing")["error"]


def test_what_top_shows(program):
    program.ask("top")
    deadline = time.monotonic() + 20
    while True:
        time.sleep(0.5)
        told = program.ask("top")
        (site,) = told["sites"]
        if site["spans"] or time.monotonic() > deadline:
            break
    assert site["name"] == "__main__.work" and site["spans"] > 0 and 0 < site["p50_ns"] <= site["p95_ns"]
    assert 0.3 < told["window_s"]


BAD = [
    b"\n",
    b"nothing\n",
    b"[]\n",
    b"{}\n",
    b"null\n",
    b'{"verb": 3}\n',
    b'{"verb": ["set"]}\n',
    b'{"verb": "set"}\n',
    b'{"verb": "set", "target": 3}\n',
    b'{"verb": "set", "target": "*"}\n',
    b'{"verb": "set", "target": "*", "rate": "much"}\n',
    b'{"verb": "set", "target": "*", "rate": 7}\n',
    b'{"verb": "set", "target": "*", "rate": NaN}\n',
    b'{"verb": "set", "target": "*", "level": "loud"}\n',
    b'{"verb": "set", "target": "*", "level": {}}\n',
    b'{"verb": "set", "target": "*", "capture": 1}\n',
    b'{"verb": "set", "target": "*", "capture": [1, 2, 3, 4]}\n',
    b'{"verb": "set", "target": "*", "capture": [true, true, true, "sideways"]}\n',
    b'{"verb": "set", "target": "*", "rate": 1, "for": -1}\n',
    b'{"verb": "set", "target": "*", "rate": 1, "for": 1e99}\n',
    b'{"verb": "get", "target": {}}\n',
    b'{"verb": "snapshot", "target": "*", "calls": 1000000}\n',
    b'{"verb": "snapshot", "target": "*", "calls": "many"}\n',
    b'{"verb": "snapshot", "target": "*", "for": -3}\n',
    b"\xff\xfe\x00\n",
    b"[" * 5000 + b"\n",
    b'"' + b"x" * 200_000,
]


def test_malformed_requests(program):
    """Each is answered with an error of one line, and changes nothing."""
    for request in BAD:
        try:
            told = json.loads(program.send(request))
        except (ConnectionResetError, BrokenPipeError):
            assert len(request) > 100_000  # hung up on in the middle
            continue
        assert list(told) == ["error"] and "\n" not in told["error"], request[:60]
    assert program.ask("info")["changes"] == []
    ran = program.stop()
    assert (ran.out, ran.err) == ("0\n", "")


def test_clients_that_do_not_behave(program):
    """Slow, silent, deaf, too many: the others are served, the program is not disturbed."""
    silent = [program.connect() for _ in range(10)]
    deaf = program.connect()
    deaf.sendall(b'{"verb": "get"}\n')
    half = program.connect()
    half.sendall(b'{"verb": "in')
    gone = program.connect()
    gone.sendall(b'{"verb": "snapshot", "target": "*.work", "calls": 1000}\n')
    gone.close()
    assert program.ask("info")["pid"] == program.process.pid
    for byte in b'fo"}\n':
        half.sendall(bytes([byte]))
        time.sleep(0.05)
    assert json.loads(half.recv(65536))["pid"] == program.process.pid
    for client in (*silent, deaf, half):
        client.close()
    ran = program.stop()
    assert (ran.out, ran.err) == ("0\n", "")


def test_more_clients_than_are_served(program):
    many = [program.connect() for _ in range(16)]
    time.sleep(0.3)
    with program.connect() as late, pytest.raises((TimeoutError, BlockingIOError)):
        late.settimeout(0.5)
        late.sendall(b'{"verb": "info"}\n')
        late.recv(1)
    for client in many:
        client.close()
    assert program.ask("info")["pid"] == program.process.pid


def test_a_program_that_closes_every_descriptor(tmp_path):
    source = """
        import os, time
        def work(x): return len([x])
        work(1); time.sleep(0.5)
        os.closerange(3, 1000)
        files = [open(f"file{n}", "w+") for n in range(300)]
        end = time.time() + 0.7
        while time.time() < end: work(1); time.sleep(0.01)
        for file in files: file.write("x"); file.flush()
        print(sum(os.path.getsize(f"file{n}") for n in range(300)))
    """
    ran = end(tmp_path, start(tmp_path, source, env={"AUTOSCOPE_STORE": "store", "AUTOSCOPE_STRICT": None}))
    assert ran.out == "300\n"


def test_a_forked_child_has_a_socket_of_its_own(tmp_path):
    """And the changes made before the fork; a change of the child's is not the parent's."""
    source = """
        import os, time, autoscope
        def work(x): return len([x])
        work(1)
        autoscope.update("*.work", rate=0.25)
        child = os.fork()
        if not child:
            end = time.time() + 20
            while time.time() < end and not os.path.exists("stop"): work(1); time.sleep(0.01)
            os._exit(0)
        for _ in range(100): work(1)  # a parent is reached again from its next record on
        print(child, flush=True)
        os.waitpid(child, 0)
        print(autoscope.stats()["woven"])
    """
    process = start(tmp_path, source, strategy="full_trace")
    child = int(process.stdout.readline())
    sockets = [FOLDER / f"{pid}.sock" for pid in (process.pid, child)]
    deadline = time.monotonic() + 30
    while not all(path.exists() for path in sockets) and time.monotonic() < deadline:
        time.sleep(0.01)
    rates = []
    for path, request in zip(sockets, ({"verb": "get"}, {"verb": "get"}), strict=True):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            told = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
            rates.append((told["pid"], told["sites"][0]["rate"]))
    (tmp_path / "stop").touch()
    assert rates == [(process.pid, 0.25), (child, 0.25)]
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("1\n", "")
    assert not any(path.exists() for path in sockets[:1])


def test_without_control(tmp_path):
    """`AUTOSCOPE_CONTROL=0`: no socket. Otherwise, where the rate is 0, a thread from the start."""
    source = """
        import os, time
        path = os.environ["XDG_RUNTIME_DIR"] + f"/autoscope/{os.getpid()}.sock"
        time.sleep(0.7)
        deadline = time.time() + 20
        while os.environ["AUTOSCOPE_CONTROL"] == "1" and not os.path.exists(path) and time.time() < deadline: time.sleep(0.01)
        print(len(os.listdir("/proc/self/task")), os.path.exists(path))
    """
    for value, told in (("0", "1 False\n"), ("1", "2 True\n")):
        ran = end(tmp_path, start(tmp_path, source, env={"AUTOSCOPE_CONTROL": value, "AUTOSCOPE_RATE": "0"}))
        assert (ran.out, ran.err) == (told, "")


OFF_AND_FORK = """
    import os, sys, threading, time
    def work(x): return len([x])
    def idle(): sys.stdin.readline()
    if sys.argv[1] == "thread": threading.Thread(target=idle, daemon=True).start()
    work(1)
    while not os.path.exists(os.environ["XDG_RUNTIME_DIR"] + f"/autoscope/{os.getpid()}.sock"): time.sleep(0.01)
    print("ready", flush=True)
    while not os.path.exists("off"): time.sleep(0.01)
    child = os.fork()
    end = time.time() + 30
    if child: print(child, flush=True)
    while time.time() < end and not os.path.exists("stop"): time.sleep(0.01)
    if child: os.waitpid(child, 0)
"""


@pytest.mark.parametrize("who", ["alone", "thread"])
def test_a_fork_while_everything_is_off(tmp_path, who):
    """Nothing is recorded that would begin our thread again: parent and child can be turned on all the same.

    From 3.12 on a parent without threads of its own cannot, as Python would warn of ours.
    """
    process = start(tmp_path, OFF_AND_FORK, who, stdin=-1, flags=("-W", "ignore::DeprecationWarning"))
    try:
        assert process.stdout.readline() == "ready\n"
        assert ask(process.pid, "off")["functions"] > 0
        (tmp_path / "off").touch()
        child = int(process.stdout.readline())
        if who == "thread" or sys.version_info < (3, 12):
            assert ask(process.pid, "on")["functions"] > 0
        assert ask(child, "info")["paused"] or ask(child, "info")["off"]
        assert ask(child, "on")["functions"] > 0
    finally:
        (tmp_path / "stop").touch()
    assert process.communicate("\n", timeout=30) == ("", "")


def ask(pid, verb):
    """By the process's number; its socket may have to be waited for."""
    path = FOLDER / f"{pid}.sock"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                connection.connect(str(path))
                connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
                return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.02)
    raise AssertionError(f"process {pid} has no socket")
