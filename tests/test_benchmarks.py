"""The benchmarks run and print what `targets.py` and `compare.py` look for. What they measure is not tested here."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)

SHORT = {
    "floor": ["--rounds", "2"],
    "call": ["--rounds", "2"],
    "startup": ["--rounds", "2"],
    "imports": ["--rounds", "2", "argparse"],
    "export": ["--spans", "5000"],
    "sustained": ["--seconds", "0.3"],
    "memory": ["--calls", "1000"],
    "reconfigure": ["--rounds", "2", "--sites", "100"],
    "late": ["--spans", "3000"],
    "estimate": ["--processes", "1", "--seconds", "0.05", "--strategy", "balanced", "--shipped", "shop"],
}


@pytest.fixture(scope="module")
def benchmark():
    """One of the scripts, as a module."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield lambda name: importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def said():
    """What a benchmark prints with `--json`, run once."""
    results = {}

    def run(name):
        if name not in results:
            words = [sys.executable, "-W", "ignore", FOLDER / f"{name}.py", "--json", *SHORT[name]]
            ran = subprocess.run(words, capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
            results[name] = json.loads(ran.stdout)
        return results[name]

    return run


@pytest.mark.parametrize("name", SHORT)
def test_a_benchmark_prints_figures(name, said, benchmark):
    """Every row has a name of its own and a figure above zero, but for the differences of two."""
    found = list(benchmark("compare").figures(said(name)))
    if name in ("sustained", "floor", "estimate"):
        assert said(name)["rows"]
        return
    assert len({title for title, _ in found}) == len(found) > 1
    assert all(figure > 0 for _, figure in found)


def test_every_target_is_looked_for_where_it_is_measured(said, benchmark):
    """No row of the table is silently left out: each finds its figures."""
    targets = benchmark("targets")
    results = {"python": "3", **{name: said(name) for name in SHORT}}
    results["macro"] = {"geometric_mean": {"off": 1.0, "rate 0": 1.05}, "programs": {"go": {"rate 0": {"ratio": 1.2}}}}
    lines = targets.table(results)
    assert [line[0] for line in lines] == [row[0] for row in targets.ROWS]
    assert {line[3] for line in lines} <= {"met", "MISSED"}
    assert lines[-1][2:] == ("off 1.000; rate 0 1.050, go 1.20 the worst of 1", "MISSED")


def test_worse_is_what_is_worse_in_every_round(benchmark):
    worse = benchmark("compare").worse
    assert worse([11.0, 12.0, 13.0], [8.0, 9.0, 10.0], 0.05)
    assert not worse([10.0, 12.0, 13.0], [8.0, 9.0, 10.0], 0.05)
    assert not worse([10.2, 10.3], [10.0, 10.1], 0.05)
    assert not worse([8.0, 9.0], [11.0, 12.0], 0.05)


@pytest.mark.parametrize(
    "words, said", [(("no-such-revision",), "is no revision"), (("HEAD", "speed"), "no benchmark speed")]
)
def test_compare_says_what_it_cannot_do(words, said):
    ran = subprocess.run([sys.executable, FOLDER / "compare.py", *words], capture_output=True, text=True)
    assert ran.returncode == 2
    assert said in ran.stderr.splitlines()[-1]
