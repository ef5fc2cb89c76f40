"""Stands in for pyperf: runs a pyperformance program once for every line it is sent, and answers with the seconds it took.

So that plain and woven processes can take turns, which pyperf's own do not. With `STANDIN_RUNS` set the program is run once,
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
            import autoscope

            autoscope.update("*", level="off")
        answers.write("ready\n")
        for _ in sys.stdin:
            started = process_time()
            work()
            answers.write(f"{process_time() - started}\n")
        os._exit(0)
