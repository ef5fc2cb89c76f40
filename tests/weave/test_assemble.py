"""Code objects taken apart and put together again."""

from __future__ import annotations

import ast
import textwrap
from types import CodeType

import pytest

from autoscope.weave import assemble, weaver

if not weaver.BYTECODE:
    pytest.skip("there is no bytecode rewrite here", allow_module_level=True)

FAR = "x = 1;" + " " * 200 + "y = (\n" + "\n" * 100 + " a.b(c,\n d))\nz = 2\n"
"""With positions in each of the forms they can be written in."""


def codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


@pytest.mark.parametrize("source", [FAR, ast.__file__, textwrap.__file__], ids=lambda s: s[-11:])
def test_a_line_table_is_cut_anywhere(source):
    """Both halves together say what the whole did, also where the cut goes through an entry, and the line there is right."""
    if source != FAR:
        with open(source) as file:
            source = file.read()
    within = 0
    for code in codes(compile(source, "<case>", "exec")):
        positions = list(code.co_positions())
        line = code.co_firstlineno
        for units in range(1, len(positions)):
            here = positions[units - 1][0]
            line = line if here is None else here
            before, after, found = assemble.split_positions(code.co_linetable, units, code.co_firstlineno)
            within += before + after != code.co_linetable
            assert found == line
            if units < 60 or before + after != code.co_linetable:
                assert list(code.replace(co_linetable=before + after).co_positions()) == positions
            assert sum((byte & 7) + 1 for byte in before if byte & 0x80) == units
    assert within
