"""What can be seen in one file alone, as values, and as `marshal` holds them in the cache.

Made by `walk`, read by `link`; how expressions are written is in docs/decisions/0008.
"""

from __future__ import annotations

import marshal
from itertools import repeat
from typing import Any, NamedTuple

FORMAT = 7
"""To be raised when the same text would give another `Seen`."""
MOST_TEXT = 200
"""Characters of a text kept, or of an annotation in quotes that is read."""


class SeenFunction(NamedTuple):
    """One function; see `facts.Function` for what most of it means."""

    qualname: str
    line: int
    end_line: int
    kind: str
    parameters: tuple[str, ...]
    decorators: tuple[tuple[str, str], ...]
    """(expression, first text among its arguments), outermost first."""
    statements: int
    cyclomatic: int
    """As radon counts, but for these: the `else` of a loop or `try` is no branch; a case's guard is one; what an `assert` combines
    counts; nested functions and lambdas are functions of their own."""
    cognitive: int
    """As SonarSource's paper has it, with what it leaves open: an `else` of a loop counts one, of a `try` none; every condition of a
    comprehension counts one; nested functions and lambdas are functions of their own, and begin at no depth."""
    loop_depth: int
    calls: dict[str, float]
    """Expression called -> times for one call; `shop.walk(visit)` is the parameter `visit` of `shop.walk`."""
    loads: dict[str, float]
    """What may turn out to be a call: attributes read (properties), and `x.__len__`, `x.__iter__`, `x.__eq__` for what operators do."""
    nodes: float
    """Parts of expressions and statements executed by one call."""
    raises: tuple[str, ...]
    catches: tuple[str, ...]
    swallows: tuple[str, ...]
    changes: tuple[str, ...]
    trivial: str
    nested: bool
    mark: str
    returns: str
    """What a call gives: an expression; empty where unknown."""
    owner: str
    """Qualified name of the class it is a method of; empty for none."""
    serves: bool
    """Whether it has a loop that ends only when told to."""


class SeenClass(NamedTuple):
    """One class."""

    qualname: str
    bases: tuple[str, ...]
    decorators: tuple[str, ...]
    attributes: dict[str, str]
    """Name -> expression of its value, from the class body, annotations and `self.name = …`."""
    mark: str


class Handed(NamedTuple):
    """A function, or what may be one, given to a call."""

    callee: str
    place: int | str
    text: str
    """The first text among the call's arguments."""
    reference: str
    owner: int
    """Index of the function whose code does it, -1 for the module's."""
    weight: float
    """How often, for one call of that function."""


class Seen(NamedTuple):
    """One module."""

    lines: int
    imports: tuple[str, ...]
    """Absolute dotted names, of modules or of what is in them."""
    stars: tuple[str, ...]
    names: dict[str, str]
    """Module-level name -> expression; functions and classes are not among them."""
    classes: tuple[SeenClass, ...]
    functions: tuple[SeenFunction, ...]
    handed: tuple[Handed, ...]
    calls: dict[str, float]
    """Made when the module is imported."""
    main_calls: dict[str, float]
    """Made under `if __name__ == "__main__":`."""
    nodes: float
    has_main: bool
    tables: dict[str, tuple[str, ...]]
    """Name in the module, or `Class.name` -> what may be functions among the values of the list, tuple or dict it names."""
    outer_words: str = ""
    """Names in what other code may ask of this one: values of names and attributes, bases, results, decorators, tables. See `words_of`."""
    inner_words: str = ""
    """Names in what its functions call and read."""
    inner: bytes = b""
    """What its functions call and read, as long as nobody asked: see `whole`."""


def to_plain(seen: Seen) -> tuple[Any, ...]:
    """As `marshal` can hold it; what functions call and read in a part of its own, which is half of all."""
    inner = marshal.dumps([(function.calls, function.loads) for function in seen.functions])
    return (
        *seen[:4],
        tuple(map(tuple, seen.classes)),
        tuple([(*function[:_INNER], None, None, *function[_INNER + 2 :]) for function in seen.functions]),
        tuple(map(tuple, seen.handed)),
        *seen[7:-1],
        inner,
    )


_INNER = SeenFunction._fields.index("calls")
"""Place of `calls`, which `loads` follows."""


def whole(seen: Seen) -> Seen:
    """With what its functions call and read."""
    if not seen.inner:
        return seen
    inner = marshal.loads(seen.inner)
    plain = [
        (*function[:_INNER], *both, *function[_INNER + 2 :])
        for function, both in zip(seen.functions, inner, strict=True)
    ]
    return seen._replace(functions=tuple(map(tuple.__new__, repeat(SeenFunction), plain)), inner=b"")


def from_plain(plain: tuple[Any, ...]) -> Seen:
    """The way back, but for what `whole` adds."""
    # What `_make` does, without a call of Python's for each.
    classes = tuple(map(tuple.__new__, repeat(SeenClass), plain[4]))
    functions = tuple(map(tuple.__new__, repeat(SeenFunction), plain[5]))
    handed = tuple(map(tuple.__new__, repeat(Handed), plain[6]))
    return Seen._make((*plain[:4], classes, functions, handed, *plain[7:]))
