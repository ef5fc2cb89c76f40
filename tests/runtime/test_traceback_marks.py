"""The marks under an expression in a stack trace, without a tree."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import traceback
from types import FunctionType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscope.runtime import marks

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="traceback itself is asked from Python 3.12 on")

SYMBOLS = ("+", "-", "*", "/", "//", "%", "@", "**", "<<", ">>", "&", "|", "^")
SPACES = st.sampled_from(["", " ", "  "])
# No constants: what is made of them alone is worked out by the compiler, and raises nothing.
LEAVES = st.sampled_from(
    ["a", "bé", "f(1)", "x.y", "(a, 2)", "(b, )", "[1]", "{1: 2}", "{3}", "f'{a}é'", "-a", "(yield)", "(await a)"]
)


def inside(parts):
    """Expressions made of others, in brackets where they need them and sometimes where they do not."""
    safe = st.one_of(parts.map("({})".format), parts.map("(({} ))".format), LEAVES)
    return st.one_of(
        st.tuples(safe, SPACES, st.sampled_from(SYMBOLS), SPACES, safe).map("".join),
        st.tuples(parts, SPACES, st.sampled_from(SYMBOLS), SPACES, parts).map("".join),
        st.tuples(safe, SPACES, parts).map("{0[0]}{0[1]}[{0[2]}]".format),
        st.tuples(safe, parts, parts).map("{0[0]}[{0[1]}:{0[2]}, 1]".format),
        st.tuples(parts, parts, parts).map("({0[0]} if {0[1]} else {0[2]})".format),
        st.tuples(parts, parts).map("({0[0]} or {0[1]})".format),
        st.tuples(parts, parts).map("{0[0]} < {0[1]}".format),
        parts.map("(b := {})".format),
        parts.map("(lambda: {})".format),
        parts.map("[{} for a in b]".format),
        parts.map("({} for a in b)".format),
        parts.map("f({})".format),
    )


def asked(tree_of):
    """What `traceback` makes of a segment with that for its `ast`."""
    asks = traceback._extract_caret_anchors_from_line_segment
    import builtins

    names = {**vars(traceback), "__builtins__": {**vars(builtins), "__import__": lambda *_: tree_of}}
    return FunctionType(asks.__code__, names)


@given(st.recursive(LEAVES, inside, max_leaves=6))
def test_the_marks_are_those_of_a_tree(segment):
    try:
        expected = traceback._extract_caret_anchors_from_line_segment(segment)
    except Exception as error:
        expected = type(error)
    try:
        compile(f"async def f():\n (\n{segment}\n)", "", "exec")
    except SyntaxError:
        return  # no expression of a program's that could run
    try:
        found = asked(marks)(segment)
    except Exception as error:
        found = type(error)
    assert found == expected


PROGRAM = """
    import ast
    import gc
    import sys
    import time

    text = "(" * 40 + "1" + ")" * 40 + "\\n" + "f(a + b[c])\\n" * 40


    def called(phase, info):
        time.sleep(0.0001)  # others get their turn


    def fails(number):
        return {}[number]


    def main():
        gc.callbacks.append(called)
        gc.set_threshold(50, 2, 2)
        for number in range(400):
            for _ in range(5):
                try:
                    fails(number)
                except KeyError:
                    pass
            ast.parse(text)
        print("parsed")


    main()
"""


def test_a_program_that_parses_while_stack_traces_are_written(tmp_path):
    """The interpreter counts the depth of trees in one place for all threads; ours makes none."""
    lines = "".join(f"        if number == {number}: return {{}}[number]\n" for number in range(400))
    source = textwrap.dedent(PROGRAM).replace("    return {}[number]\n", lines.replace("        if", "    if"))
    (tmp_path / "app.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "autoscope", "run", "--quiet", "--strategy", "full_trace", "app.py"],
        cwd=tmp_path,
        env={"OTEL_BSP_SCHEDULE_DELAY": "50", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "parsed\n", "")
