"""One file's text -> what can be seen in it alone, as plain values that `marshal` can hold.

One walk over the tree does everything: an expression's visit returns what the expression *is*, as a dotted expression
(docs/decisions/0008), and on the way counts work, calls, complexity. What other files say is left to `link`.

The walk is made of layers, each built on the one before: `scopes` (what a name stands for), `annotations` (what a value annotated so is),
`assignments` (what is given a value), `expressions`, `statements`, `definitions`; `walk` is the whole.
"""

from __future__ import annotations

import ast
import sys
import warnings

from autoscope.plan.analysis.seen import Seen
from autoscope.plan.analysis.walk import Walk
from autoscope.plan.analysis.words import with_words

DEEP = 60_000
"""Recursion limit for trees too deep for the usual one; deeper than this the parser makes none."""


def analyse(text: str, module: str, is_package: bool = False) -> Seen:
    """What can be seen in one module's text.

    Raises SyntaxError, and ValueError, RecursionError or MemoryError for what the interpreter's parser gives up on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and the like: the author's, when the program runs
        tree = ast.parse(text)
        try:
            return with_words(Walk(tree, text, module, is_package).seen())
        except RecursionError:
            # Sums of a thousand parts, chains of a thousand calls. The walk is all Python, and Python's calls of
            # itself take no room on the C stack.
            usual = sys.getrecursionlimit()
            sys.setrecursionlimit(max(usual, DEEP))
            try:
                return with_words(Walk(tree, text, module, is_package).seen())
            finally:
                sys.setrecursionlimit(usual)
