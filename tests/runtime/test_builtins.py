"""Builtins that a program replaces, as its tests do (`mock.patch("builtins.open")`), are the program's: nothing of ours asks them."""

import pytest

from program_kit import run

PROGRAM = """
    import builtins, sys, time
    class Mine(Exception): pass
    def leaf(values, name): return [name]
    def outer(number):
        try:
            leaf({"a": [number, 2.5]}, "x" * number)
            if number % 3 == 0: raise Mine(number)
        except Mine: pass
        if number % 5 == 0: raise Mine("out")
    def steps(): yield from (1, 2, 3)
    asked, add, frame = set(), set.add, sys._getframe
    ours = sys.modules["autoscope"].__file__[:-len("__init__.py")]
    def replaced(name, before):
        def asks(*arguments, **keywords):
            code = frame(1).f_code
            if code.co_name != "<module>" and code.co_filename.startswith(ours):
                add(asked, (name, code.co_filename, code.co_qualname))
            return before(*arguments, **keywords)
        return asks
    names = [name for name, value in vars(builtins).items() if name[0] != "_" and not isinstance(value, type)]
    names = {*names, "__import__"} - {"locals", "vars", "dir", "globals", "eval", "exec"}  # they look at their caller
    before = {name: vars(builtins)[name] for name in names if callable(vars(builtins)[name])}
    others = {name: replaced(name, value) for name, value in before.items()}
    sleep, clock, put = time.sleep, time.monotonic, vars(builtins).update
    print(len(others))
    put(others)
    end = clock() + 1.6
    number = 0
    while clock() < end:
        number += 1
        try: outer(number)
        except Mine: pass
        for _ in steps(): pass
        sleep(0.002)
    put(before)
    print(number > 50, *sorted(asked), sep="\\n")
"""


@pytest.mark.parametrize("more", [{}, {"AUTOSCOPE_BUDGET": "3%"}, {"OTEL_TRACES_EXPORTER": "console,otlp"}])
def test_no_builtin_of_the_programs_is_asked(tmp_path, more):
    """In no thread, while spans are made, steered, stored and sent. But `__import__`, by modules of ours that are imported meanwhile."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "200", **more}
    ran = run(tmp_path, PROGRAM, strategy="full_trace", env=env)
    lines = [line for line in ran.out.splitlines() if not line.startswith(("{", "["))]
    assert (int(lines[0]) > 30, lines[1:]) == (True, ["True"])


def test_every_function_of_ours_in_a_running_program_has_our_own(tmp_path):
    program = """
        import gc, sys
        from types import FunctionType
        from autoscope.ours import keep_builtins
        from autoscope.control import client, live, server
        from autoscope.export import otlp, store
        from autoscope.runtime import breaker, budget, fold, late
        own = keep_builtins.__globals__["_BUILTINS"]
        folder = sys.modules["autoscope"].__file__[:-len("__init__.py")]
        functions = [one for one in gc.get_objects() if type(one) is FunctionType and one.__code__.co_filename.startswith(folder)]
        others = {one.__module__ for one in functions if one.__builtins__ is not own}
        print(len(functions) > 500, sorted(others - {"autoscope.ours"}))
    """
    assert run(tmp_path, program).out == "True []\n"
