"""The same program plain and traced, each way it can be turned on and wherever its spans go: nothing about it may differ.

Here are the programs that make it hard: signals, forks, limits, closed descriptors, a world of their own making. What a
script sees of itself is in `test_run`, what is recorded in `runtime/test_drain`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cli_kit import ENVIRONMENT, hooked, python, spans, tree, write

import autoscope

DEAD = "http://127.0.0.1:9"
"""Nobody answers here."""
WAYS = ("run", "environment", "otlp")


class Case(NamedTuple):
    """One program, and what is special about it."""

    files: dict[str, str]
    command: tuple[str, ...] = ("app.py",)
    ways: tuple[str, ...] = WAYS
    flags: tuple[str, ...] = ()
    env: dict[str, str] = {}
    shell: str = ""
    """How a shell starts it: the command is in `"$@"`."""
    stdin: bytes = b""
    masked: str = ""
    """What differs from run to run: a pattern."""
    spans: int | None = None
    """How many are in the store: none lost, none twice."""
    silent: bool = True
    """Nothing is said on standard error that the plain program does not say; False where one notice is right."""


def app(text: str, **extra) -> Case:
    return Case({"app.py": "def f():\n    return len('x')\n" + text}, **extra)


def own(name: str, text: str = "", **extra) -> Case:
    """A script with a module of its own beside it, of a name that the standard library has too."""
    files = {
        "sub/app.py": f"def f():\n    return len('x')\nf()\n{NAP}{text}",
        f"sub/{name}.py": "print('mine')\nX = 1\n",
    }
    return Case(files, ("sub/app.py",), **extra)


NAP = "import time\nfor _ in range(20):\n    f()\n    time.sleep(0.01)\n"
"""Calls, for as long as it takes to have our threads up and at work."""

PROGRAMS = {
    # Threads of ours must not be the last ones, nor take what is the program's.
    "a signal that is blocked and waited for": app(
        NAP
        + "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\n"
        + "os.kill(os.getpid(), signal.SIGUSR1)\nf()\nprint(signal.sigwait({signal.SIGUSR1}))",
        spans=21,
    ),
    "a signal that is blocked, as our thread begins": app(
        """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for _ in range(10):
    child = os.fork()
    if not child:
        f()
        os.kill(os.getpid(), signal.SIGUSR1)
        os._exit(signal.sigwait({signal.SIGUSR1}))
    print(os.waitpid(child, 0)[1])
""",
        spans=10,
    ),
    "a thread forks and its child returns": app(
        """
import os, threading, warnings
warnings.simplefilter("ignore")  # Python's own about forking with threads
def forks():
    f()
    child = os.fork()
    if not child:
        f()
        return
    print(os.waitpid(child, 0)[1])
thread = threading.Thread(target=forks)
thread.start()
thread.join()
""",
        spans=3,
    ),
    "a child is terminated before it begins": app(
        f"""{NAP}
import multiprocessing, time
def sleeps():
    time.sleep(30)
context = multiprocessing.get_context("fork")
for _ in range(20):
    process = context.Process(target=sleeps)
    process.start()
    process.terminate()
    process.join()
    print(process.exitcode)
""",
        ways=("run", "environment"),
    ),
    # Started under odd circumstances.
    "no standard output": app("f()\nprint(1)", shell='exec "$@" >&-'),
    "no standard error": app("f()\nprint(1)", shell='exec "$@" 2>&-'),
    "no standard streams": app("f()\nopen('left', 'w').write('x')", shell='exec "$@" <&- >&- 2>&-'),
    "a reader that has seen enough": app(
        "for i in range(100_000):\n    print(i, f())", shell='"$@" | head -1; echo ${PIPESTATUS[0]}'
    ),
    "a full disk for its output": app("f()\nprint(1)", shell='exec "$@" > /dev/full'),
    "started where nothing is any more": app(
        "f()\nprint(1)", command=("{here}/app.py",), shell='mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    ),
    "it moves into a jail": app(
        f"import os\n{NAP}try:\n    os.mkdir('jail')\n    os.chroot('jail')\n    os.chdir('/')\n"
        + "except PermissionError:\n    pass  # only root may\n"
        + f"{NAP}print(f(), os.listdir('/'))",
        silent=False,
    ),
    "its working directory goes away": app(
        "f()\nimport os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n" + NAP + "print(1)", spans=21
    ),
}


OWN = ("json", "sqlite3", "token", "email", "dataclasses", "socket", "threading", "yaml", "fcntl")
"""Modules the library (or we) have too; ours are imported before the program's, or late in a thread of ours, or not at all."""

for _name in OWN:
    # What 3.13 adds to an AttributeError of a module by a name of the library's depends on when it is asked.
    PROGRAMS[f"a {_name} of its own"] = own(
        _name, f"import {_name}\nprint({_name}.X)", spans=21, masked=r"'_shutdown'( \(consider renaming .*\))?"
    )
    PROGRAMS[f"a {_name} that it never imports"] = own(_name, spans=21)
_FILES = {"app.py": own("json", "import json, token\nprint(json.X, token.X)").files["sub/app.py"]}
PROGRAMS |= {
    "modules of its own by PYTHONPATH": Case(
        _FILES | {f"lib/{name}.py": "print('mine')\nX = 1\n" for name in ("json", "token", "argparse", "textwrap")},
        env={"PYTHONPATH": "lib"},
        spans=21,
    ),
    "modules of its own, run by -m": Case(
        _FILES | {f"{name}.py": "print('mine')\nX = 1\n" for name in ("json", "token")}, ("-m", "app"), spans=21
    ),
    "modules of its own, code by -c": Case(
        {
            "mod.py": "def f():\n    return len('x')\n",
            **{f"{name}.py": "print('mine')\nX = 1\n" for name in ("json", "token")},
        },
        ("-c", f"import json, token\nfrom mod import f\n{NAP}print(json.X, token.X)"),
        ways=("environment", "otlp"),
        spans=20,
    ),
    "modules of its own in a directory with a main": Case(
        {"d/__main__.py": _FILES["app.py"], **{f"d/{name}.py": "X = 1\n" for name in ("json", "token")}},
        ("d",),
        spans=21,
    ),
    "folders of such names, which are no modules": Case(
        {
            "app.py": f"def f():\n    return len('x')\n{NAP}import json, email\nprint(json, email)",
            "json/x": "",
            "email/x": "",
        },
        spans=20,
    ),
}


REPLACED = (
    *("os." + name for name in "getpid stat listdir open close mkdir makedirs getcwd urandom uname replace".split()),
    *("os.path." + name for name in "exists isdir abspath".split()),
    *("time." + name for name in "time time_ns monotonic perf_counter gmtime strftime".split()),
    *("builtins.open", "json.dumps", "sqlite3.connect"),
)
"""What tests put mocks in the place of, for as long as they run; our threads are no part of what they count."""


def replacing(*places: str) -> str:
    """A program that does so with one after the other."""
    text = (
        "import builtins, json, os, sqlite3, time\nnap, hits = time.sleep, []\ndef fake(*a, **k):\n    hits.append(a)\n"
    )
    for place in places:
        text += f"real, {place} = {place}, fake\nfor _ in range(15):\n    f()\n    nap(0.01)\n"
        text += f"{place} = real\nprint({place!r}, hits)\nhits.clear()\n"
    return text


PROGRAMS["it replaces what it imports"] = app(NAP + replacing(*REPLACED), spans=20 + 15 * len(REPLACED))
for _place in (
    "os.getpid",
    "os.stat",
    "os.open",
    "os.mkdir",
    "os.uname",
    "builtins.open",
    "json.dumps",
    "sqlite3.connect",
):
    PROGRAMS[f"it has replaced {_place} first of all"] = app(replacing(_place), spans=15)


def start(case: Case, here: Path, way: str, store: Path) -> subprocess.Popen[bytes]:
    write(here, case.files)
    command = [word.replace("{here}", str(here)) for word in case.command]
    command = [sys.executable, *case.flags, *command]
    environment = {**ENVIRONMENT, **case.env}
    if way != "plain":
        environment["AUTOSCOPE_SILENCE"] = "export-failed" if case.silent else "all"
    if way == "run":
        options = ["--quiet", "--strategy", "full_trace", "--store", str(store), "--"]
        command[1 + len(case.flags) : 1 + len(case.flags)] = ["-m", "autoscope", "run", *options]
    elif way != "plain":
        traced = hooked(store if way == "environment" else "", STRATEGY="full_trace")
        del traced["AUTOSCOPE_STRICT"]  # it is about what users see
        if case.env.get("PYTHONPATH"):
            traced["PYTHONPATH"] += os.pathsep + case.env["PYTHONPATH"]
        if way == "otlp":
            traced |= {"OTEL_EXPORTER_OTLP_ENDPOINT": DEAD, "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
        environment |= traced
    if case.shell:
        command = ["bash", "-c", case.shell, "-", *command]
    return subprocess.Popen(
        command,
        cwd=here,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def end(case: Case, process: subprocess.Popen[bytes], here: Path) -> tuple:
    """All that somebody outside sees: status, what it printed, what it left."""
    try:
        out, err = process.communicate(case.stdin, timeout=30)
        status: object = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = "it hangs"
    pattern = "0x[0-9a-f]+" + ("|" + case.masked if case.masked else "")
    printed = [re.sub(pattern.encode(), b"#", text.replace(str(here).encode(), b"HERE")) for text in (out, err)]
    return status, *printed, [name for name in tree(here) if "__pycache__" not in name]


@pytest.mark.parametrize("name", PROGRAMS)
def test_nobody_outside_can_tell(name, tmp_path):
    case = PROGRAMS[name]
    ways = ("plain", *case.ways)
    started = {way: start(case, tmp_path / way, way, tmp_path / f"store-{way}") for way in ways}
    ended = {way: end(case, process, tmp_path / way) for way, process in started.items()}
    for way in case.ways:
        assert ended[way] == ended["plain"], way
        if case.spans is not None and way != "otlp":
            assert len(spans(tmp_path / f"store-{way}")) == case.spans, way


def test_what_we_import_late_is_known():
    """The names that are looked for beside a program are those of all that is imported when there is something to send."""
    text = """
import sys
import autoscope.bootstrap
from importlib import import_module
from importlib.machinery import BuiltinImporter, FrozenImporter
from autoscope.runtime import library
before = set(sys.modules)
for name in library.SENDING + library.NETWORK + library.SUMMARY + library.FOLLOWING:
    import_module(name)
late = {name.partition(".")[0] for name in set(sys.modules) - before} - {name.partition(".")[0] for name in before}
found = [name for name in late - library.LATE if not BuiltinImporter.find_spec(name) and not FrozenImporter.find_spec(name)]
print([name for name in found if not name.startswith("_") and name != "cython_runtime"])  # which Cython's modules make
"""
    done = python("-c", text, cwd=Path.cwd(), env={"PYTHONPATH": str(Path(autoscope.__file__).parents[1])})
    assert done == (b"[]\n", b"", 0)


def test_what_the_program_has_not_loaded_it_finds_as_its_own(tmp_path):
    """Where nothing is hidden, nothing of ours is imported sooner, nor taken away."""
    write(tmp_path, {"app.py": "import sys\nprint('sqlite3' in sys.modules, 'threading' in sys.modules)"})
    done = python("app.py", cwd=tmp_path, env=hooked(STRATEGY="full_trace"))
    assert done.stdout == b"False True\n"
