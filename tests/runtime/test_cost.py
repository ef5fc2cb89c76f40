"""What we say of our own cost, and that it is not counted as the program's."""

from __future__ import annotations

import ast

from program_kit import run

CALLS = 2000


def test_a_call_ends_before_its_result_is_looked_at(tmp_path):
    """Rendering arguments and results is our cost, not the function's time: the clock is read outside of it."""
    source = """
        import itertools
        from autoscope.runtime import capture, sites

        def f(x):
            return x

        def g(x):
            yield x

        ticks = itertools.count().__next__
        rendered, kept = [], []
        render, arguments = capture.render, capture.arguments
        # From text, so that they are not woven: they would capture themselves.
        capture.render = eval("lambda *words: (ticks(), rendered.append(words[0]), render(*words))[2]")
        capture.arguments = eval("lambda *words: (ticks(), arguments(*words))[1]")
        sites.switches.clock, sites.switches.append = ticks, kept.append
        f(1)
        print([(record[5] - record[4]) for record in kept], len(rendered) > 0)
    """
    ran = run(tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_STRICT": "1"})
    assert (ran.out, ran.err) == ("[1] True\n", "")


def test_the_cost_of_capture_is_part_of_our_cost(tmp_path):
    """Per call and measured, so a program that captures much says so."""
    source = f"""
        import autoscope, sys

        def f(x):
            return x

        def g(x):
            return None

        for _ in range({CALLS}):
            f([{{"deep": [1, 2, 3]}}] * 10)
        print(autoscope.stats())
    """
    costs = {}
    for captures in (True, False):
        folder = tmp_path / str(captures)
        folder.mkdir()
        plan = folder / "plan.yaml"
        plan.write_text(
            f"version: 1\nextends: autoscope:full_trace\ncapture: {{args: {captures}, return: {captures}}}\n"
        )
        ran = run(folder, source, env={"AUTOSCOPE_PLAN": str(plan), "AUTOSCOPE_STRATEGY": None})
        assert ran.err == ""
        stats = ast.literal_eval(ran.out)
        assert stats["recorded"] == CALLS
        costs[captures] = stats["cost"]["cpu_ns"]
    assert costs[True] > costs[False] > 0


def test_what_a_thread_of_the_programs_hands_over_is_our_cost(tmp_path):
    """It was told to, and the time is ours all the same."""
    source = """
        import autoscope, time

        def f(x):
            return x

        for x in range(20_000):
            f(x)
        before, started = autoscope.stats()["cost"]["cpu_ns"], time.thread_time_ns()
        autoscope.flush()
        taken = time.thread_time_ns() - started
        print(autoscope.stats()["cost"]["cpu_ns"] - before > 0.5 * taken > 0)
    """
    ran = run(tmp_path, source, strategy="full_trace", env={"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert (ran.out, ran.err) == ("True\n", "")


def test_what_runs_while_costs_are_measured(tmp_path):
    """A `__del__` or a signal's handler of the program's: its calls are no part of the measuring, nor of a trace that is none."""
    source = """
        from autoscope.runtime import calls

        def note(x):
            return len([x])

        lean = calls._lean
        calls._costs = None
        calls._lean = eval("lambda: (note(1), lean())[1]")  # not woven
        print(min(calls.costs()) > 0)
    """
    ran = run(tmp_path, source, strategy="full_trace", env={"AUTOSCOPE_STRICT": "1"})
    assert (ran.out, ran.err) == ("True\n", "")
    assert ran.names == {"note": 5}
    assert len({span.trace_id for span in ran.spans}) == 5


def test_what_weaving_took_is_not_told_by_children_again(tmp_path):
    """Their own CPU time begins at the fork."""
    source = """
        import os, autoscope
        from autoscope.weave import weaver

        def f():
            pass

        weaver.Cost.cpu_ns += 10**12
        child = os.fork()
        if not child:
            f()
            print(autoscope.stats()["cost"]["cpu_ns"] < 10**11, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(autoscope.stats()["cost"]["cpu_ns"] > 10**12)
    """
    assert run(tmp_path, source, env={"AUTOSCOPE_STRICT": "1"}).out == "True\nTrue\n"
