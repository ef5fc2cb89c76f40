"""Stands in for pyperf: runs a pyperformance program once for every line it is sent, and answers with the seconds it took.

So that plain and woven processes can take turns, which pyperf's own do not. Sent "fork on" or "fork off" it makes such a child, numbered from 0, and "turn N" has
that one run the program. With `STANDIN_RUNS` set the program is run once,
says into the file `STANDIN_SAID` what CPU time it has taken, is run so many times more, and ends as any other does. Only what the programs of `macro.py` and `estimate.py` use.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter as perf_counter  # the programs use it
from time import process_time
from typing import Any


class Runner:
    """As the programs see it; the measuring is in `serve`."""

    def __init__(self, add_cmdline_args: Any = None) -> None:
        self.argparser = argparse.ArgumentParser()
        self.metadata: dict[str, Any] = {}
        self.args: Any = None

    def parse_args(self) -> Any:
        self.args = self.argparser.parse_args()
        return self.args

    def bench_func(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self.serve(lambda: function(*arguments))

    def bench_time_func(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        self.serve(lambda: function(1, *arguments))

    def bench_async_func(self, name: str, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        async def once() -> None:
            await function(*arguments)

        self.serve(lambda: asyncio.run(once()))

    def serve(self, work: Callable[[], Any]) -> None:
        """Until standard input ends. The program's own output goes nowhere."""
        if "STANDIN_RUNS" in os.environ:
            work()
            if "autoscope" in sys.modules:
                sys.modules["autoscope"].flush()  # what the first run has recorded is no part of the others
            with open(os.environ["STANDIN_SAID"], "w", encoding="ascii") as said:
                said.write(str(process_time()))
            for _ in range(int(os.environ["STANDIN_RUNS"])):
                work()
            return
        answers = os.fdopen(os.dup(1), "w", buffering=1)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
        if "MACRO_OFF" in os.environ:
            turn_off()
        answers.write("ready\n")
        children: list[Child] = []
        for line in sys.stdin:
            command, _, what = line.strip().partition(" ")
            if command == "fork":
                children.append(Child(work, what))
                answers.write("ready\n")
            elif command == "turn":
                answers.write(f"{children[int(what)].once()}\n")
            else:
                started = process_time()
                work()
                answers.write(f"{process_time() - started}\n")
        for child in children:
            child.end()
        os._exit(0)


def turn_off() -> None:
    """Every function has its author's code from here on."""
    import autoscope

    autoscope.update("*", level="off")


class Child:
    """A fork of this process, in which everything lies where it lies in its siblings."""

    def __init__(self, work: Callable[[], Any], state: str) -> None:
        """`state`: "off", and every function has its author's code from the start, or "on"."""
        theirs, self.commands = os.pipe()
        self.answers, ours = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(theirs)
            os.close(ours)
            os.read(self.answers, 1)
            return
        os.close(self.commands)
        os.close(self.answers)
        if state == "off":
            turn_off()
        os.write(ours, b"r")
        before = process_time()
        while os.read(theirs, 1) == b"a":
            work()
            now = process_time()
            os.write(ours, f"{now - before}\n".encode())
            before = now
        os._exit(0)

    def once(self) -> float:
        """CPU seconds of one run, and of what its threads did since the one before."""
        os.write(self.commands, b"a")
        return float(os.read(self.answers, 64))

    def end(self) -> None:
        os.write(self.commands, b"e")
        os.waitpid(self.process, 0)
