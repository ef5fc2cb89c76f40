"""Programs as real processes, plain and traced: what the tests of the command line and of the environment share."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

from autoscope.cli.env import site_directory
from autoscope.read.runs import list_runs, open_run

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AUTOSCOPE_", "OTEL_", "PYTHON", "COV_", "PYTEST_"))
}
"""As a user's shell has it. Loud about our own failures: what goes wrong inside must not pass for stepping aside."""


class Outcome(NamedTuple):
    """All that somebody outside sees of a process."""

    stdout: bytes
    stderr: bytes
    code: int


def write(directory: Path, files: dict[str, str | bytes]) -> Path:
    """The files of a case, dedented; returns the directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str):
            text = textwrap.dedent(text).lstrip("\n").encode()
        path.write_bytes(text)
    return directory


def python(*arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: bytes = b"") -> Outcome:
    """One interpreter, to its end."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**ENVIRONMENT, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=90,
        check=False,
    )
    return Outcome(done.stdout, done.stderr, done.returncode)


def hooked(store: Path | str = "", **variables: str) -> dict[str, str]:
    """The environment that turns tracing on, as somebody writes it by hand."""
    return {
        "PYTHONPATH": site_directory(),
        "AUTOSCOPE_STORE": str(store),
        "AUTOSCOPE_STRICT": "1",
        **{"AUTOSCOPE_" + name: value for name, value in variables.items()},
    }


def spans(store: Path) -> list[str]:
    """Names of everything recorded in a store, every run and process of it, sorted."""
    names = []
    for run in list_runs(str(store)):
        names += [span.name for span in open_run(str(store), run).spans()]
    return sorted(names)


def without_ours(stderr: bytes) -> bytes:
    """Standard error but for autoscope's own lines."""
    return b"".join(line for line in stderr.splitlines(keepends=True) if not line.startswith(b"autoscope:"))


def tree(directory: Path) -> list[str]:
    """Every file below a directory."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
