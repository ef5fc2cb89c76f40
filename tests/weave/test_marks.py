"""What authors write on functions, `@autoscope.trace` and `@autoscope.never`, in running programs; and plans that name the script."""

from __future__ import annotations

import sys
import textwrap

import pytest

import program_kit

MARKED = """
import autoscope

@autoscope.never
def never():
    return sum(range(10))

@autoscope.trace
def trace():
    return 1

class Cart:
    @autoscope.never
    @staticmethod
    def static():
        return sum(range(3))

    @autoscope.trace
    @property
    def size(self):
        return 5

    @autoscope.trace
    @classmethod
    def made(cls):
        return cls

@autoscope.never
class Left:
    def method(self):
        return sum(range(3))

def make():
    @autoscope.trace
    def inner():
        return 2
    return inner

def plain():
    return sum(range(3))

assert never.__code__.co_filename == __file__
print(never(), trace(), Cart.static(), Cart().size, Cart.made().__name__, Left().method(), make()(), make()(), plain())
"""


def run_one(folder, text, **options):
    """One program, in a folder of its own."""
    number = sum(1 for _ in folder.glob("run*"))
    place = folder / f"run{number}"
    place.mkdir()
    for extra in folder.glob("*.py"):
        (place / extra.name).write_bytes(extra.read_bytes())
    return program_kit.run(place, text, **options)


PRINTED = "45 1 3 5 Cart 3 2 2 3\n"
bytecode = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="what a strategy leaves out is woven late by bytecode only"
)


@bytecode
def test_marks_decide_over_the_strategy(tmp_path):
    """A function marked `trace` is watched though trivial, one marked `never` is not, and the program does the same."""
    ran = run_one(tmp_path, MARKED)
    assert PRINTED == ran.out
    expected = {"trace": 1, "Cart.size": 1, "Cart.made": 1, "make": 2, "make.<locals>.inner": 2, "plain": 1}
    assert expected == dict(ran.names)


@bytecode
def test_a_plan_that_names_the_function_decides_over_its_mark(tmp_path):
    """An entry for the function itself, or `off` for its module, wins over what its author wrote on it."""
    plan = tmp_path / "plan.yaml"
    plan.write_text("modules: {__main__: {functions: {never: {level: balanced}, trace: {level: off}}}}\n")
    named = run_one(tmp_path, MARKED, env={"AUTOSCOPE_PLAN": str(plan)})
    assert (1, 0, 1) == (named.names["never"], named.names["trace"], named.names["Cart.size"])
    plan.write_text("modules: {__main__: {level: off}}\n")
    nothing = run_one(tmp_path, MARKED, env={"AUTOSCOPE_PLAN": str(plan)})
    assert ({}, PRINTED) == (dict(nothing.names), nothing.out)


@bytecode
def test_a_mark_is_heeded_where_the_plan_leaves_the_rest_alone(tmp_path):
    """The planner's `"*": {level: off}` says nothing of a function its author marked."""
    plan = tmp_path / "plan.yaml"
    plan.write_text('modules: {"*": {level: off}}\n')
    ran = run_one(tmp_path, MARKED, env={"AUTOSCOPE_PLAN": str(plan)})
    assert {"trace": 1, "Cart.size": 1, "Cart.made": 1, "make.<locals>.inner": 2} == dict(ran.names)


def test_marks_cost_nothing_where_nothing_is_traced(tmp_path):
    """Without autoscope active a marked function is the very object its author wrote, with the mark as its one trace."""
    text = textwrap.dedent("""
        import autoscope, sys
        def f(): return 1
        assert autoscope.trace(f) is f and autoscope.never(len) is len
        assert f.__dict__ == {"__autoscope__": "trace"}
        print("autoscope.bootstrap" in sys.modules)
    """)
    ran = run_one(tmp_path, text, plain=True)
    assert "False\n" == ran.out


@bytecode
def test_marks_made_before_autoscope_starts_are_heeded(tmp_path):
    """`install` finds the marks on functions that exist already."""
    text = MARKED.replace("print(", "handle = autoscope.install(store='store', strategy='balanced')\nprint(")
    ran = run_one(tmp_path, text, plain=True)
    assert PRINTED == ran.out
    assert {"trace", "Cart.size", "Cart.made", "make", "plain", "make.<locals>.inner"} == set(ran.names)


def test_a_plan_speaks_of_the_script_by_its_modules_name(tmp_path):
    """What the plan says of `app` holds for `app.py` run as the script, where nothing is said of `__main__`."""
    plan = tmp_path / "plan.yaml"
    plan.write_text('modules: {"*": {level: off}, app: {functions: {chosen: {level: balanced}}}}\n')
    text = "def chosen(): return sum(range(3))\ndef other(): return sum(range(3))\nchosen(); other()\n"
    ran = run_one(tmp_path, text, env={"AUTOSCOPE_PLAN": str(plan)})
    assert {"chosen": 1} == dict(ran.names)
    plan.write_text("modules: {__main__: {level: off}, app: {level: balanced}}\n")
    assert {} == dict(run_one(tmp_path, text, env={"AUTOSCOPE_PLAN": str(plan)}).names)


def test_functions_a_plan_names_in_vain_are_said_once(tmp_path):
    """As the process ends, one line has the functions that are not where the plan names them."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "modules: {app: {functions: {gone: {level: balanced}, here: {level: balanced}, was: {level: off}}}}\n"
    )
    ran = run_one(tmp_path, "def here(): return 1\nhere()\n", env={"AUTOSCOPE_PLAN": str(plan)})
    assert {"here": 1} == dict(ran.names)
    assert 1 == ran.err.count("plan-unmatched") and "__main__.gone;" in ran.err


def test_a_module_left_alone_whole_is_not_touched(tmp_path):
    """A module of which a plan watches nothing is imported as its author wrote it, and is not looked at again."""
    (tmp_path / "quiet.py").write_text("def f(): return sum(range(3))\n")
    plan = tmp_path / "plan.yaml"
    plan.write_text('include: [quiet, __main__]\nmodules: {"*": {level: off}, __main__: {level: balanced}}\n')
    text = "import quiet\nfrom autoscope.weave import weaver\nprint('quiet' in weaver.seen)\nquiet.f()\ndef mine(): return sum(range(3))\nmine()\n"
    ran = run_one(tmp_path, text, env={"AUTOSCOPE_PLAN": str(plan)})
    assert ("False\n", {"mine": 1}) == (ran.out, dict(ran.names))
