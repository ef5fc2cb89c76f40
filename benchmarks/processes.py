"""Whole processes in turn: what the start-up and import benchmarks share."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """This environment without anything of ours, and with `.pyc` files allowed: else every import is a cold one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AUTOSCOPE_", "OTEL_")) and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    return {**kept, **more}


def in_turn(
    variants: dict[str, tuple[list[str], dict[str, str]]],
    rounds: int,
    before: Callable[[str], None] = lambda name: None,
) -> dict[str, list[float]]:
    """Wall milliseconds of each command with its environment, `rounds` values each, in turn, after one warm-up.

    `before` is called with a variant's name before each of its runs.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, (arguments, environ) in variants.items():
            before(name)
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], env=environ, check=True, stdout=subprocess.DEVNULL)
            if number:
                times[name].append(1000 * (time.perf_counter() - started))
    return times


def table(times: dict[str, list[float]], base: str) -> list[dict[str, Any]]:
    """A row a variant: median, quartiles, added to the base, and the median of the ratios pair by pair."""
    rows = []
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        ratios = [value / plain for value, plain in zip(values, times[base], strict=True)]
        rows.append(
            {
                "variant": name,
                "ms": middle,
                "quartiles_ms": [low, high],
                "added_ms": middle - statistics.median(times[base]),
                "ratio": statistics.median(ratios),
            }
        )
    return rows


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table."""
    print(f"{title}, CPython {sys.version.split()[0]}: milliseconds a process [quartiles], added, ratio")
    for row in rows:
        low, high = row["quartiles_ms"]
        print(
            f"  {row['variant']:52} {row['ms']:8.1f} [{low:.1f} .. {high:.1f}] {row['added_ms']:+8.1f} {row['ratio']:7.3f}x"
        )
