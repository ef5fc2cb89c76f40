"""A site, records and a store to write them to; imported by the tests and by the processes they start."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from autoscope.export.store import StoreExporter
from autoscope.runtime.spans import Trace


class Site:
    """What the store reads of a site."""

    def __init__(self, index=0, name="shop.cart.add", kind="function"):
        self.index, self.name, self.kind = index, name, kind
        self.module, _, self.qualname = name.rpartition(".")
        self.file, self.line = "/src/cart.py", 7


site = Site()
base = int.from_bytes(os.urandom(7), "big")


def batch(count, first=0):
    """Roots of one trace; two batches want different `first`."""
    trace = Trace(0xABCD)
    return [(site, base + first + k, trace, None, 1000 + k, 2000 + k, None) for k in range(count)]


def open_store(directory, run_id="20261121-053012-4f3a"):
    return StoreExporter(directory, run_id=run_id, resource={"service.name": "shop"}, info={})


def open_store_that_forks(directory):
    """With the hook that the drain sets in a program."""
    store = open_store(directory)
    os.register_at_fork(before=store.before_fork)
    return store


PRELUDE = f"""
import os, sys, time, signal
sys.path.insert(0, {os.path.dirname(__file__)!r})
from store_kit import *
from autoscope.export.store import *
"""


def start_python(code, *args, **options):
    """A process that has these words; `sys.argv[1]` is the first of `args`."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, args)]
    environ = {**os.environ, "AUTOSCOPE_SILENCE": ""}
    return subprocess.Popen(command, env=environ, text=True, stdout=subprocess.PIPE, **options)


def run_python(code, *args):
    """(standard output, standard error) of such a process."""
    return start_python(code, *args, stderr=subprocess.PIPE).communicate(timeout=60)
