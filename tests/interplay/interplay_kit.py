"""One program, plain and woven, in processes of its own: all that it prints, and how it ends, must be the same.

A program here prints what it sees: of its functions, its callers, its context, of other people's tools. `same` runs it in one
folder, first plain, then woven with and without arguments and results captured, and gives what was recorded.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from program_kit import Ran, environment, read

STRATEGIES = ("full_trace", "balanced")
"""The two shapes woven code has: with a `Call`, and with three values on the stack."""


QUIET = """
import sys, threading, time
def at_rest():
    me = threading.get_ident()
    return sorted((f.f_code.co_name, f.f_lasti) for thread, f in sys._current_frames().items() if thread != me)
while True:
    before = at_rest(); time.sleep(0.2)
    if before == at_rest() and all(name == "run" for name, _ in before): break
"""
"""For a program that has recorded something: waits until our threads are up and asleep (with OTEL_BSP_SCHEDULE_DELAY, for long)."""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def start(folder: Path, command: tuple, store: Path, strategy: str, env=(), **options) -> subprocess.Popen:
    """One process in `folder`; `strategy` may be `plain`."""
    plain = strategy == "plain"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=environment(store, "full_trace" if plain else strategy, env, plain),
        cwd=folder,
        **options,
    )


def outcome(process: subprocess.Popen, stdin: str = "", mask: str = "") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(stdin, timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    pattern = re.compile("0x[0-9a-f]+" + ("|" + mask if mask else ""))
    return process.returncode, pattern.sub("#", out), pattern.sub("#", err)


def difference(plain: str, woven: str) -> list[str]:
    lines = difflib.unified_diff(plain.splitlines(), woven.splitlines(), "plain", "woven", lineterm="", n=0)
    return list(lines)[2:40]


def same(
    tmp_path: Path,
    files: str | dict[str, str],
    *command: object,
    recorded: str | tuple[str, ...],
    strategies: tuple[str, ...] = STRATEGIES,
    include: str | None = None,
    env: dict[str, str] | None = None,
    traced: dict[str, str] | None = None,
    stdin: str = "",
    mask: str = "",
    status: int = 0,
    fresh: bool = False,
) -> Ran:
    """Assert that a program is the same in every way; what the last way saw.

    `recorded`: functions that must be among the spans, so that something was shown. `traced`: environment of the woven
    program alone. `mask`: a pattern of what differs from run to run. `fresh`: the program changes its own files.
    """
    case = tmp_path / "case"
    write(case, {"app.py": files} if isinstance(files, str) else files)
    command = command or ("app.py",)
    expected = outcome(start(case, command, tmp_path, "plain", env or {}), stdin, mask)
    assert expected[0] == status, expected[2]
    for strategy in strategies:
        if fresh:
            write(case, {"app.py": files} if isinstance(files, str) else files)
        folder = tmp_path / strategy
        variables = {**(env or {}), **(traced or {}), **({"AUTOSCOPE_INCLUDE": include} if include else {})}
        if "PYTHONPATH" in (env or {}):
            variables["PYTHONPATH"] = environment(folder)["PYTHONPATH"] + os.pathsep + variables["PYTHONPATH"]
        got = outcome(start(case, command, folder / "store", strategy, variables), stdin, mask)
        for have, want in zip(got, expected, strict=True):
            assert have == want, (strategy, *difference(str(want), str(have)))
        run, spans, events = read(folder)
        ran = Ran(*got, spans=spans, events=events)
        if run is not None:
            ran.processes, ran.meta = run.processes, run.meta
        for name in (recorded,) if isinstance(recorded, str) else recorded:
            assert ran.names[name], f"{name} was not recorded: {sorted(ran.names)}"
    return ran
