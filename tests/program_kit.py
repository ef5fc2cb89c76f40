"""Runs a program in a process of its own, traced through the environment, and reads back what it left in the store."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import autoscope
from autoscope.read.runs import list_runs, open_run

SOURCES = Path(autoscope.__file__).parents[1]
ROOT = SOURCES.parent
SITE = str(ROOT if (ROOT / "sitecustomize.py").exists() else Path(autoscope.__file__).parent / "site")


SHELF = """
limit = 3
def outer(x, *, y=limit):
    def inner(z): return z + x
    return inner, lambda q: q + y
class Cart:
    def add(self, sku): return [sku for sku in (sku, sku)]
    @staticmethod
    def empty(): yield from ()
class Shop(Cart):
    def add(self, sku): return super().add(sku)
"""
"""Functions of several kinds, to be pickled by value."""


@dataclass
class Ran:
    """How a program ended, and its spans."""

    status: int
    out: str
    err: str
    processes: tuple = ()
    spans: list = field(default_factory=list)
    meta: dict = field(default_factory=dict)
    events: dict = field(default_factory=dict)

    @property
    def names(self):
        return Counter(span.name.removeprefix("__main__.") for span in self.spans)

    @cached_property
    def by_id(self):
        return {span.span_id: span for span in self.spans}

    def named(self, name):
        return [span for span in self.spans if span.name in (name, f"__main__.{name}")]

    def one(self, name):
        (span,) = self.named(name)
        return span

    def parent_name(self, span):
        parent = self.by_id.get(span.parent_id)
        return parent and parent.name.removeprefix("__main__.")

    def whole(self):
        """No span twice, every parent there."""
        assert len(self.by_id) == len(self.spans), "one span was recorded twice"
        for span in self.spans:
            assert not span.parent_id or span.parent_id in self.by_id, f"{span.name}: its parent is nowhere"


def environment(store, strategy="balanced", env=(), plain=False):
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOSCOPE_", "OTEL_", "PYTHON"))}
    if not plain:
        environ |= {"AUTOSCOPE_STRATEGY": strategy, "AUTOSCOPE_STORE": str(store), "AUTOSCOPE_STRICT": "1"}
        environ["PYTHONPATH"] = SITE
    environ |= dict(env)
    return {key: value for key, value in environ.items() if value is not None}


def start(
    folder, source, *args, strategy="balanced", env=(), plain=False, flags=(), prefix=(), name="app.py", **options
):
    """The process. Its program is a file, as users' programs are; its store is `folder/store`."""
    file = Path(folder) / name
    file.write_text(textwrap.dedent(source))
    command = [sys.executable, *flags, *prefix, str(file), *map(str, args)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(
        command, env=environment(Path(folder) / "store", strategy, env, plain), cwd=folder, **options
    )


def read(folder):
    """(run, spans, events) of the one run in `folder/store`; all nothing where there is none."""
    store = Path(folder) / "store"
    names = list_runs(str(store))
    if not names:
        return None, [], {}
    assert len(names) == 1, f"one program, {len(names)} runs"
    run = open_run(str(store))
    events = {}
    for process in run.processes:
        events |= run.events_of(process)
    spans = list(run.spans())
    assert not run.notes, run.notes
    return run, spans, events


def end(folder, process, check=True):
    """Wait for a started program and read what it left."""
    out, err = process.communicate(timeout=60)
    if check:
        assert process.returncode == 0, err
    run, spans, events = read(folder)
    ran = Ran(process.returncode, out, err, spans=spans, events=events)
    if run is not None:
        ran.processes, ran.meta = run.processes, run.meta
    return ran


def run(folder, source, *args, check=True, **options):
    """Run a program to its end."""
    return end(folder, start(folder, source, *args, **options), check)
