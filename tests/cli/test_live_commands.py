"""The commands for running processes, on real ones: `ps`, `get`, `set`, `off`, `on`, `top`, `snapshot`, `attach`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
import time

import pytest
from cli_kit import python

from program_kit import end, start

PROGRAM = """
import os, sys, time, autoscope
def work(x): return helper(x) + 1
def helper(x): return len([x])
class Cart:
    def add(self, sku, n=1): return work(n)
if len(sys.argv) > 1 and sys.argv[1] == "parent": os.fork()
print(os.getpid(), flush=True)
while not os.path.exists("stop"):
    for i in range(5): Cart().add("apple", i)
    time.sleep(0.005)
"""


def autoscope(*words, **env):
    """One command; its output as JSON where that was asked for."""
    return python(
        "-m", "autoscope", *words, cwd=os.getcwd(), env={"XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"], **env}
    )


def told(*words):
    done = autoscope(*words, "--format", "json")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


class Program:
    def __init__(self, folder, *words, **options):
        self.folder = folder
        self.process = start(folder, PROGRAM, *words, strategy="full_trace", **options)
        self.pids = [int(self.process.stdout.readline()) for _ in range(2 if words else 1)]
        self.pid = str(self.process.pid)
        deadline = time.monotonic() + 30
        while {process["pid"] for process in self.listed()} < set(self.pids) and time.monotonic() < deadline:
            time.sleep(0.05)

    def listed(self):
        done = autoscope("ps", "--format", "json")
        return [process for process in json.loads(done.stdout) if process["pid"] in self.pids]

    def rates(self, name="__main__.work"):
        return {answer["pid"]: [site["rate"] for site in answer["sites"]] for answer in told("get", self.pid, name)}

    def stop(self):
        (self.folder / "stop").touch()
        out, err = self.process.communicate(timeout=30)
        assert (self.process.returncode, out, err) == (0, "", "")


@pytest.fixture
def program(tmp_path):
    found = Program(tmp_path)
    yield found
    if found.process.poll() is None:
        found.stop()


@pytest.fixture
def family(tmp_path):
    """A process and the child it forked."""
    found = Program(tmp_path, "parent", env={"OTEL_SERVICE_NAME": "family"})
    yield found
    if found.process.poll() is None:
        found.stop()


def test_ps(program):
    (process,) = program.listed()
    assert (process["strategy"], process["off"], process["stats"]["woven"]) == ("full_trace", False, 3)
    done = autoscope("ps")
    assert done.code == 0 and program.pid.encode() in done.stdout and b"app.py" in done.stdout


def test_ps_has_room_for_its_figures(tmp_path):
    """However long the command is."""
    long = Program(tmp_path, flags=("-X", "x" * 300))
    done = autoscope("ps")
    long.stop()
    (line,) = [line for line in done.stdout.decode().splitlines() if long.pid in line]
    assert line.split()[2:4] == ["full_trace", "3"], line


def test_a_command_is_shown_as_it_is(tmp_path):
    """Also where it looks like markup, to what lays the table out."""
    odd = Program(tmp_path, flags=("-X", "a[bold]b"))
    done = autoscope("ps")
    odd.stop()
    assert "a[bold]b" in done.stdout.decode()


def test_what_the_budget_left_is_told(tmp_path):
    """In percent, as it was given; a function in windows is not off."""
    found = Program(tmp_path, env={"AUTOSCOPE_BUDGET": "0.1%"})
    deadline = time.monotonic() + 30
    states = {}
    while not any(state != "every call" for state in states.values()) and time.monotonic() < deadline:
        states = {site["name"]: site["budget"] for site in told("get", found.pid)[0]["sites"]}
    shown, listed = autoscope("get", found.pid, "*.work"), autoscope("ps")
    top = autoscope("top", found.pid, "--once")
    found.stop()
    assert " 0.1% " in listed.stdout.decode()
    assert "0.1% allowed" in top.stdout.decode()
    assert re.search(r"__main__\.work  full_trace at 1 .* by the budget (every|1 call|no call)", shown.stdout.decode())
    assert "1 function\n" in shown.stdout.decode()


def test_ps_clears_what_a_killed_process_left(program):
    program.process.send_signal(signal.SIGKILL)
    program.process.communicate()
    socket = f"{os.environ['XDG_RUNTIME_DIR']}/autoscope/{program.pid}.sock"
    assert os.path.exists(socket)
    assert program.listed() == []
    assert not os.path.exists(socket)


def test_set_get_and_revert(program):
    (answer,) = told("set", program.pid, "__main__.work", "rate=0.25", "capture.args=false")
    assert answer["sites"] == 1
    assert program.rates() == {int(program.pid): [0.25]}
    assert b"change 1: __main__.work rate=0.25" in autoscope("get", program.pid).stdout
    assert told("set", program.pid, "--revert")[0]["reverted"] == 1
    assert program.rates() == {int(program.pid): [1.0]}


def test_a_change_for_a_time_takes_itself_back(program):
    told("set", program.pid, "__main__.*", "rate=0", "for=300s")
    assert program.rates() == {int(program.pid): [0.0]}
    assert told("set", program.pid, "--revert")[0]["reverted"] == 1
    assert told("set", program.pid, "__main__.*", "rate=0", "for=1s")[0]["sites"] == 3
    deadline = time.monotonic() + 20
    while program.rates() != {int(program.pid): [1.0]}:
        assert time.monotonic() < deadline, "it is in force still"


def test_off_and_on(program):
    assert told("off", program.pid)[0]["functions"] == 3
    time.sleep(0.4)  # calls that began before
    before = program.listed()[0]["stats"]["recorded"]
    time.sleep(0.4)  # in which nothing is recorded
    (process,) = program.listed()
    assert process["off"] and before == process["stats"]["recorded"]
    assert told("on", program.pid)[0]["functions"] == 3
    deadline = time.monotonic() + 20
    while before == program.listed()[0]["stats"]["recorded"]:
        assert time.monotonic() < deadline, "nothing is recorded again"


def test_top(program):
    (process,) = told("top", program.pid, "--once")
    assert {"__main__.work", "__main__.helper", "__main__.Cart.add"} == {site["name"] for site in process["sites"]}
    done = autoscope("top", program.pid, "--once", "--filter", "Cart", "--sort", "function")
    assert done.code == 0 and b"__main__.Cart.add" in done.stdout and b"__main__.work" not in done.stdout
    assert b"cost" in done.stdout


def test_top_on_a_terminal(program):
    """The live table: it sorts, filters and ends by keys, and leaves the terminal as it was."""
    pty = pytest.importorskip("pty", reason="a terminal is needed")
    import subprocess

    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "autoscope", "top", program.pid, "--interval", "0.3"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, close_fds=True)
    os.close(theirs)
    seen = b""
    try:
        deadline = time.monotonic() + 20
        for keys, wanted in ((b"", b"__main__.work"), (b"/Cart\r", b"__main__.Cart.add"), (b"f", b"__main__.Cart.add")):
            os.write(ours, keys) if keys else None
            seen = b""
            while wanted not in seen and time.monotonic() < deadline:
                seen += os.read(ours, 65536)
            assert wanted in seen
        os.write(ours, b"q")
        while True:
            try:
                if not os.read(ours, 65536):
                    break
            except OSError:
                break  # the other side is closed
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_snapshot(program):
    (answer,) = told("snapshot", program.pid, "__main__.Cart.add", "--calls", "2")
    assert [call["attributes"]["autoscope.arg.sku"] for call in answer["calls"]] == ["apple", "apple"]
    done = autoscope("snapshot", program.pid, "__main__.work")
    assert done.code == 0 and b"    x = " in done.stdout and b"    return = " in done.stdout


def test_a_process_means_its_children_too(family):
    assert set(family.rates()) == set(family.pids)
    assert [1, 1] == [answer["sites"] for answer in told("set", family.pid, "__main__.work", "rate=0.5")]
    assert list(family.rates().values()) == [[0.5], [0.5]]
    assert [1, 1] == [answer["sites"] for answer in told("set", "--service", "family", "__main__.work", "rate=0.75")]
    assert list(family.rates().values()) == [[0.75], [0.75]]
    (_, child) = sorted(family.pids)
    assert [child] == [
        answer["pid"]
        for answer in told("set", str(max(set(family.pids) - {int(family.pid)})), "__main__.work", "rate=0.1")
    ]


WRONG = {
    ("set", "PID"): b"name functions",
    ("set", "PID", "*", "rate=2"): b"is not between 0 and 1",
    ("set", "PID", "*", "speed=2"): b"not one of rate=",
    ("set", "PID", "*"): b"nothing to change",
    ("set", "PID", "*", "for=3s"): b"nothing to change",
    ("set", "PID", "*", "rate=1", "for=soon"): b"for",
    ("set", "PID", "*", "level=loud"): b"level",
    ("set", "PID", "*", "capture.args=3x"): b"capture.args",
    ("set", "PID", "*", "rate=1", "--all"): b"give one of them",
    ("set", "PID", "nothing", "--revert"): b"name no function",
    ("off", "1"): b"process 1 is not traced",
    ("off", "x"): b"no process id",
    ("on", "--service", "nobody"): b"no traced process has the service name nobody",
    ("top", "PID", "--interval", "0"): b"--interval",
    ("snapshot", "PID", "nothing.at.all"): b"no function is called nothing.at.all",
    ("snapshot", "PID", "*", "--calls", "0"): b"--calls",
    ("attach", "PID"): b"attach",
}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """One for all of these: none changes it."""
    found = Program(tmp_path_factory.mktemp("unchanged"))
    yield found
    found.stop()


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_words(unchanged, words):
    """One line, exit code 2, and nothing is changed."""
    if words[0] == "attach" and hasattr(sys, "remote_exec"):
        pytest.skip("this interpreter can attach")
    done = autoscope(*(unchanged.pid if word == "PID" else word for word in words))
    assert (done.code, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), done
    assert WRONG[words] in done.stderr
    assert unchanged.listed()[0]["changes"] == []


def test_where_no_process_is_traced(tmp_path):
    empty = {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = autoscope("ps", **empty)
    if done.code == 0 and os.geteuid() == 0:
        pytest.skip("root sees everybody's processes, and somebody traces one here")
    assert (done.code, done.stdout) == (1, b"no traced process\n")
    done = autoscope("off", **empty)
    assert done.code == 2 and b"no traced process is running here" in done.stderr


def test_a_name_that_no_function_has(program):
    done = autoscope("set", program.pid, "nothing", "rate=1")
    assert (done.code, done.stdout) == (1, f"{program.pid}: 0 functions\n".encode())


def test_a_directory_that_others_may_enter_is_not_used(tmp_path):
    """Somebody else's directory in its place: no socket there, one line, the program runs."""
    (tmp_path / "autoscope").mkdir(mode=0o777)
    (tmp_path / "autoscope").chmod(0o777)
    tmp_path.chmod(0o700)
    source = "import time\ndef f(x): return len([x])\nf(1); time.sleep(0.4); print(1)\n"
    ran = end(tmp_path, start(tmp_path, source, env={"XDG_RUNTIME_DIR": str(tmp_path)}))
    assert ran.out == "1\n"
    assert ran.err.count("\n") == 1 and "control-unavailable" in ran.err
    assert os.listdir(tmp_path / "autoscope") == []


@pytest.mark.timeout(60)
def test_many_processes_are_asked_at_the_same_time(tmp_path, monkeypatch):
    """Each answers only when all others have been asked too."""
    from autoscope.control import client

    count = 12
    all_asked = threading.Barrier(count)
    listening = []

    def answer(server, number):
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            all_asked.wait(30)
            connection.sendall(json.dumps({"pid": number}).encode() + b"\n")

    for number in range(count):
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / f"{number}.sock"))
        server.listen()
        listening.append(server)
        threading.Thread(target=answer, args=(server, number), daemon=True).start()
    paths = [str(tmp_path / f"{number}.sock") for number in range(count)]
    found = client.ask_all([*paths, str(tmp_path / "nobody.sock")], {"verb": "info"}, 30.0)
    for server in listening:
        server.close()
    assert found[:-1] == [{"pid": number} for number in range(count)]
    assert isinstance(found[-1], client.Gone)
