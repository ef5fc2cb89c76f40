"""Functions in turn, in one process: what the call benchmarks share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Loop = Callable[[int], Any]
"""Calls a function so many times."""

SOURCE = """
def tiny(x):
    return x + 1

def medium(x):
    total = 0
    for number in range(12):
        total += number * x
    return total

def generator(x):
    for number in range(10):
        yield number

async def coroutine(x):
    return x + 1

def raises(x):
    raise ValueError

def twenty(x, depth=20):
    if depth:
        return twenty(x, depth - 1)
    raise ValueError

class Shop:
    def method(self, x):
        return x

def call_tiny(n):
    for _ in range(n):
        tiny(1)

def call_medium(n):
    for _ in range(n):
        medium(1)

def call_method(n):
    shop = Shop()
    for _ in range(n):
        shop.method(1)

def call_generator(n):
    for _ in range(n):
        for _ in generator(1):
            pass

def call_coroutine(n):
    for _ in range(n):
        try:
            coroutine(1).send(None)
        except StopIteration:
            pass

def call_raises(n):
    for _ in range(n):
        try:
            raises(1)
        except ValueError:
            pass

def call_twenty(n):
    for _ in range(n):
        try:
            twenty(1)
        except ValueError:
            pass

def call_hundreds(n):
    for _ in range(n):
        try:
            twenty(1, 399)
        except ValueError:
            pass
"""

FUNCTIONS = ("tiny", "medium", "generator", "coroutine", "raises", "twenty")
KINDS = ("tiny", "medium", "method", "generator", "coroutine", "raises", "twenty")
"""What everybody is measured on; `hundreds`, an exception through 400 frames, takes seconds with some."""
STEPS = 11
"""How often `generator` is resumed until it ends."""


def functions(weave: Callable[[Any], Any] = lambda code: code) -> dict[str, Any]:
    """The functions above, and the loops that call them; `weave` is handed the module's code."""
    names: dict[str, Any] = {"__name__": "bench"}
    exec(weave(compile(SOURCE, "<benchmark>", "exec")), names)
    return names


def measure(
    variants: dict[str, Loop], rounds: int, between: Callable[[], Any] = lambda: None, block_ms: float = 4.0
) -> dict[str, list[float]]:
    """Nanoseconds a call for each variant, `rounds` values each, in turn; `between` is called after each block."""
    clock = time.perf_counter_ns
    counts = {}
    for name, loop in variants.items():
        loop(10)
        count = 16
        while True:
            started = clock()
            loop(count)
            spent = clock() - started
            if spent > 1e6 or count > 1 << 20:
                break
            count *= 4
        counts[name] = max(8, int(count * block_ms * 1e6 / max(spent, 1)))
        between()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, loop in variants.items():
            started = clock()
            loop(counts[name])
            times[name].append((clock() - started) / counts[name])
            between()
    return times


def summary(kind: str, times: dict[str, list[float]], base: str = "plain") -> list[dict[str, Any]]:
    """A row a variant: median ns and quartiles, and what it adds to the base and its ratio to it, medians round by round."""
    rows = []
    for state, values in times.items():
        low, median, high = statistics.quantiles(values, n=4)
        ratios = [value / plain for value, plain in zip(values, times[base], strict=True)]
        added = statistics.median([value - plain for value, plain in zip(values, times[base], strict=True)])
        rows.append(
            {
                "kind": kind,
                "state": state,
                "ns": median,
                "added_ns": added,
                "ratio": statistics.median(ratios),
                "quartiles_ns": [low, high],
            }
        )
    return rows
