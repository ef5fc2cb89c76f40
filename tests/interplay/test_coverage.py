"""coverage.py sees what it saw: the same lines, the same branches, with every core it has here, and run either way."""

from __future__ import annotations

import sys

import pytest
from interplay_kit import same

pytest.importorskip("coverage")

PROGRAM = {
    "app.py": """
    import asyncio, contextlib, sys
    import shapes

    def branchy(n):
        if n > 2:
            total = 0
            for i in range(n):
                if i % 2: continue
                total += i
            else:
                total += 1
            return total
        while n:
            n -= 1
            if n == 5:
                break
        try:
            if n: return "never"
            raise KeyError(n)
        except KeyError as error:
            return [x for x in range(3) if x]
        except ValueError:
            return "never"
        finally:
            n = None

    def gen(n):
        for i in range(n):
            yield i
        got = yield from (x for x in "ab")
        if n > 100:
            yield "never"

    async def coro(n):
        async with contextlib.AsyncExitStack() as stack:
            for i in range(n):
                await asyncio.sleep(0)
        if n < 0: return "never"
        return [x async for x in agen(n)]

    async def agen(n):
        while n:
            yield n
            n -= 1

    def matched(x):
        match x:
            case [a, *rest] if rest: return a
            case {"k": v}: return v
            case int(): return x
            case _: pass

    def never(): return len("never")

    def main(arguments=sys.argv):
        print(branchy(5), branchy(1), list(gen(2)), asyncio.run(coro(2)), [matched(x) for x in ([1, 2], {"k": 2}, 3, "s")])
        print(shapes.area([1, 2, 0]), shapes.first(gen(3)))

    if __name__ == "__main__":
        main()
    """,
    "shapes.py": """
    def area(sides):
        product = 1
        for side in sides:
            if not side:
                return product
            product *= side
        return len("never")
    def first(steps):
        with_break = None
        for step in steps:
            with_break = step
            break
        return with_break, lambda: never(
            1)
    class Shape:
        x = [1 if y else 2 for y in range(3)]
        def method(self): return 1
    """,
    "measure.py": """
    import json, os, sys
    import coverage
    cov = coverage.Coverage(data_file=None, branch=os.environ["BRANCH"] == "1", include=["app.py", "shapes.py"], messages=True)
    cov.start()
    import app
    app.main()
    cov.stop()
    data = cov.get_data()
    print(sorted((os.path.basename(file), sorted(data.lines(file)), sorted(data.arcs(file) or ())) for file in data.measured_files()))
    """,
}


@pytest.mark.parametrize("core, branch", [("ctrace", "1"), ("pytrace", "1"), ("sysmon", "0"), ("sysmon", "1")])
def test_the_same_lines_and_branches(core, branch, tmp_path):
    """By its API, started when we are at work already."""
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring is of 3.12")
    env = {"COVERAGE_CORE": core, "BRANCH": branch, "PYTHONDONTWRITEBYTECODE": "1"}
    strategies = ("full_trace", "balanced") if (core, branch) in (("ctrace", "1"), ("sysmon", "0")) else ("balanced",)
    recorded = ("app.branchy", "app.gen", "shapes.area")
    ran = same(tmp_path, PROGRAM, "measure.py", recorded=recorded, env=env, strategies=strategies)
    assert "('shapes.py', [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 15, 16, 17]" in ran.out


def test_coverage_runs_the_program(tmp_path):
    """`coverage run` and its reports; coverage compiles the script itself, so only what it imports is traced."""
    files = PROGRAM | {
        "both.py": """
        import subprocess, sys
        for command in (["run", "--branch", "app.py"], ["report", "-m", "--include=app.py,shapes.py"], ["json", "-o", "-", "-q", "--include=app.py"]):
            done = subprocess.run([sys.executable, "-m", "coverage", *command], capture_output=True, text=True)
            print(done.stdout, done.stderr, done.returncode)
        """
    }
    mask = r'"timestamp": "[^"]*"'
    ran = same(tmp_path, files, "both.py", recorded="shapes.area", mask=mask, strategies=("full_trace",))
    assert "executed_branches" in ran.out
