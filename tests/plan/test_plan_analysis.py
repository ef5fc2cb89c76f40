"""What is seen in one file: the same functions as the compiler makes, whatever the file; and what is said of each."""

from __future__ import annotations

import ast
import marshal
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscope.plan.analysis import analyse
from autoscope.plan.analysis.block_frequency import ITERATIONS
from autoscope.plan.analysis.dotted import MOST_EXPRESSION
from autoscope.plan.analysis.seen import SeenFunction, from_plain, to_plain, whole
from autoscope.weave.choose import is_function, kind_of

Found = tuple[str, int, str, tuple[str, ...]]
"""Qualified name, line, kind, parameters."""


def seen_in(text: str) -> set[Found]:
    """The functions that analysis finds."""
    return {(one.qualname, one.line, one.kind, one.parameters) for one in analyse(text, "m").functions}


def codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes(constant)


def compiled_from(text: str) -> set[Found]:
    """The functions that the compiler makes code for; what it makes for type aliases and type variables are none."""
    tree = ast.parse(text)
    alias, variable = getattr(ast, "TypeAlias", ()), getattr(ast, "TypeVar", ())
    lazy = {(node.name.id, node.lineno) for node in ast.walk(tree) if alias and isinstance(node, alias)}
    lazy |= {(node.name, node.lineno) for node in ast.walk(tree) if variable and isinstance(node, variable)}
    found = set()
    for code in codes(compile(text, "m.py", "exec", dont_inherit=True)):
        if is_function(code) and (code.co_name, code.co_firstlineno) not in lazy:
            count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
            found.add((code.co_qualname, code.co_firstlineno, kind_of(code), code.co_varnames[:count]))
    return found


def only(text: str) -> SeenFunction:
    """The function `f` of a text."""
    return next(one for one in analyse(textwrap.dedent(text), "m").functions if one.qualname.rpartition(".")[2] == "f")


def body(text: str) -> SeenFunction:
    """A function `f(self, a, b, c)` with this body."""
    return only("def f(self, a, b, c):\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "    "))


FORMS = {
    "nested": "def a():\n def b():\n  class C:\n   def d(self): return lambda: 1\n",
    "class in a class": "class A:\n class B:\n  def m(self): pass\n x = lambda self: 1",
    "decorated": "@one\n@two(lambda: 1)\nclass A:\n @three\n\n @four\n def m(self): pass",
    "defaults": "def a(x=lambda: 1, *y, z=lambda: 2, **w): pass",
    "every parameter": "def a(b, c, /, d, e=1, *f, g, h=2, **i): pass\nlambda x, *y, z, **w: 1",
    "private parameters": "class _A_:\n def m(self, __x, *__y, __z__, **__w):\n  def n(__v): return lambda __u: 1\nclass __:\n def m(self, __x): pass",
    "async": "async def a(): await b()\nasync def c(): yield 1\nasync def d(): return [x async for x in e]\nasync def f(): (x async for x in g)",
    "generators": "def a(): yield\ndef b(): x = yield from y\ndef c(): return (yield)\nx = lambda: (yield)\ndef d():\n def e(): yield",
    "a yield that is never reached": "def a():\n return\n yield\ndef b():\n raise E\n if c:\n  for d in e: (yield)\ndef c():\n if 0: yield",
    "comprehensions": "a = [lambda: 1 for b in c]\nd = {lambda: 2 for b in (lambda: 3)()}\ne = {b: lambda: 4 for b in c}\nf = (lambda: 5 for b in c)",
    "comprehensions in functions": "def f():\n return [lambda: [lambda: 1 for c in d] for e in g if (lambda: 2)()]",
    "comprehensions in classes": "class A:\n x = [lambda: 1 for b in c]\n y = (lambda: 2 for b in c)",
    "lambda in a lambda": "a = lambda: lambda b: lambda *c: (d for e in (lambda: 1)())",
    "walrus": "def a():\n if (b := lambda: 1)(): pass\n [c := (lambda: 2) for d in e]",
    "match": "def a(b):\n match b:\n  case [c, *d] if (lambda: 1)(): e = lambda: 2\n  case C(x=lambda_): pass\n  case _:\n   def g(): pass",
    "try star": "try: pass\nexcept* E:\n def a(): pass\nelse:\n def b(): pass\nfinally:\n def c(): pass",
    "conditional": "if a:\n def b(): pass\nelse:\n def b(): return 1\nwhile c:\n def d(): pass\nelse:\n def e(): pass\nfor f in g:\n def h(): pass",
    "with": "with a as b, (lambda: 1) as c:\n def d(): pass\nasync def e():\n async with f as g:\n  def h(): pass",
    "global": "def a():\n global b, C\n def b():\n  def c(): pass\n class C:\n  def m(self): pass\n def d(): pass",
    "global in a class": "class A:\n global m\n def m(self): pass\n def n(self): pass",
    "annotations": "def a(b: (lambda: 1) = 2, *c: d(lambda: 3), **e: f[lambda: 4]) -> (lambda: 5):\n g: (lambda: 6) = 7\nclass A:\n h: i[lambda: 8]\n",
    "annotations not evaluated": "from __future__ import annotations\ndef a(b: (lambda: 1)): pass\nc: (lambda: 2) = 3",
    "bases": "class A(B[lambda: 1], (lambda: 2)(), metaclass=lambda *a: 3): pass",
    "never reached": "def a():\n return 1\n def b(): pass\ndef c():\n if d: return 1\n else: raise E\n lambda: 2\nwhile True: pass\ndef e(): pass",
    "reached after all": "def a():\n while True:\n  if b: break\n def c(): pass\ndef d():\n try: return 1\n except E: pass\n def e(): pass\n"
    "def f():\n with g: return 1\n def h(): pass\ndef i():\n for j in k: return 1\n def l(): pass",
    "in strings": "a = f'{(lambda: 1)()!r:{(lambda: 2)}}'",
    "in deletions and subscripts": "del a[lambda: 1], (b[lambda: 7], c)\nb[lambda: 2] = c\nd[lambda: 3:lambda: 4]\ne.f[lambda: 5] += (lambda: 6)()",
    "two of one name": "def a(): pass\ndef a(b): pass\nclass A:\n @property\n def x(self): pass\n @x.setter\n def x(self, v): pass",
    "empty": "",
    "only a comment": "# nothing",
    "carriage returns": "def a(): pass\r\n\r\ndef b():\r\n pass\r\n",
    "form feed": "\x0cdef a(): pass\n\x0c\ndef b(): pass",
    "not ASCII": "def größe(é): pass\nclass Ä:\n def ñ(self): pass",
}
if sys.version_info >= (3, 12):
    FORMS |= {
        "type parameters": "def a[T](b: T) -> T:\n def c[*U](): pass\nclass A[T](B[T]):\n def m[**P](self): pass\n@d(lambda: 1)\nasync def e[T: int](): pass",
        "lambdas in type parameters": "def a[T: (lambda: 1)](): pass\nclass A[T: (lambda: 2)](B[lambda: 3]): pass",
        "type aliases": "type A = list[int]\ntype B[T] = lambda: 1\ndef f():\n type C = lambda: 2",
    }


@pytest.mark.parametrize("form", FORMS)
def test_functions_are_those_the_compiler_makes(form: str) -> None:
    """Each with its qualified name, its line, its kind and its parameters, as its code object has them."""
    assert compiled_from(FORMS[form]) == seen_in(FORMS[form])


LIBRARY = Path(sysconfig.get_path("stdlib"))
SAMPLE = [*sorted(LIBRARY.glob("*.py"))[::5], *sorted((LIBRARY / "asyncio").glob("*.py"))[::3], LIBRARY / "typing.py"]


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_functions_of_the_standard_library(path: Path) -> None:
    """The same for whole files."""
    text = path.read_text("utf-8")

    assert compiled_from(text) == seen_in(text)


NAMES = st.sampled_from(["a", "b", "__c", "A"])
SIMPLE = st.sampled_from(
    [
        "pass",
        "x = lambda: 1",
        "yield_ = [lambda: 2 for i in y]",
        "z = (lambda i: i for i in y)",
        "del x, y[0]",
        "x: int = (lambda: 3)()",
    ]
)
LAST = st.sampled_from(["return (lambda: 4)", "raise E", "yield", "yield from x", "await_ = 1", "return"])


def indented(block: str) -> str:
    return textwrap.indent(block, " ")


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Statements around a block, for functions and classes; a block in a function may end in what only stands there."""
    ending = st.builds(lambda block, last: f"{block}\n{last}", inner, LAST)
    return st.one_of(
        st.builds(
            lambda name, more, block: f"def {name}(__p{more}):\n{indented(block)}",
            NAMES,
            st.sampled_from(["", ", q=lambda: 5", ", *r, s=1", ", /, **t"]),
            st.one_of(inner, ending),
        ),
        st.builds(lambda name, block: f"@d\nasync def {name}():\n{indented(block)}", NAMES, inner),
        st.builds(lambda name, block: f"class {name}(B, k=lambda: 6):\n{indented(block)}", NAMES, inner),
        st.builds(
            lambda one, two: f"if x:\n{indented(one)}\nelif y:\n{indented(two)}\nelse:\n{indented(one)}", inner, inner
        ),
        st.builds(lambda one, two: f"for i in x:\n{indented(one)}\nelse:\n{indented(two)}", inner, inner),
        st.builds(lambda one: f"while x:\n{indented(one)}\n if y: break", inner),
        st.builds(
            lambda one, two: f"try:\n{indented(one)}\nexcept E as e:\n{indented(two)}\nfinally:\n pass", inner, inner
        ),
        st.builds(lambda one: f"with x as y, z:\n{indented(one)}", inner),
        st.builds(
            lambda one, two: (
                f"match x:\n case [a, *b] if c:\n{indented(indented(one))}\n case _:\n{indented(indented(two))}"
            ),
            inner,
            inner,
        ),
        st.builds(lambda one, two: f"{one}\n{two}", inner, inner),
    )


PROGRAMS = st.recursive(SIMPLE, compound, max_leaves=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS)
def test_functions_of_any_program(text: str) -> None:
    """However statements are put into each other; and what was seen survives being stored."""
    assert compiled_from(text) == seen_in(text)
    seen = analyse(text, "m")
    assert seen == whole(from_plain(marshal.loads(marshal.dumps(to_plain(seen)))))


DEEP = 900
MONSTERS = {
    "attributes": "x = a" + ".b" * DEEP,
    "calls": "x = a" + ".b()" * (DEEP // 2),
    "a sum": "x = " + " + ".join(["f()"] * DEEP),
    "negations": "x = " + "not " * DEEP + "y",
    "either or": "x = " + "a if b else " * (DEEP // 2) + "c",
    "elifs": "def f(x):\n if x == 0: pass\n" + "".join(f" elif x == {n}: g(x)\n" for n in range(DEEP)),
    "a large table": "T = {" + ", ".join(f"'k{n}': g" for n in range(20_000)) + "}",
    "a large list": "def f(): return [" + ", ".join("g(1)" for n in range(20_000)) + "]",
    "many assignments": "def f():\n" + "".join(f" x{n} = g(x{n - 1})\n" for n in range(5000)),
    "x = x.next": "def f(x: C):\n" + " x = x.next\n" * 5000,
    "x = x()": "def f(x: C):\n" + " x = x()\n" * 5000,
    "x = x[0]": "def f(x: C):\n" + " x = x[0]\n" * 5000,
    "x = [x]": "def f(x: C):\n" + " x = [x, x]\n" * 5000,
    "x = x.a(x.b)": "def f(x: C):\n" + " x = x.a(x.b, x.c)\n" * 5000,
    "walrus": "def f(x: C):\n" + " if (x := x.next): pass\n" * 3000,
    "self.x = self.x.next": "class C:\n def f(self):\n" + "  self.x = self.x.next\n" * 3000,
    "brackets": "x = " + "(" * 90 + "lambda: 1" + ")" * 90,
    "an annotation": "def f(x: " + "Optional[" * 80 + "C" + "]" * 80 + "): pass",
    "an annotation in quotes": "def f(x: '" + "(" * 190 + "'): pass",
    "functions in functions": "".join(" " * n + f"def f{n}():\n" for n in range(90)) + " " * 90 + "pass",
    "tuples unpacked": "def f(): " + "(" * 80 + "a," + ")" * 80 + " = " + "(" * 80 + "g()," + ")" * 80,
    "comprehensions": "x = " + "[" * 40 + "1" + " for i in y]" * 40,
    "nothing but targets": "a = " * 500 + "b",
    "a number no float can hold": "N = 0x" + "f" * 300 + "\ndef f():\n for x in range(N): g()\n",
    "many with": "def f():\n with " + ", ".join(f"a{n}() as b{n}" for n in range(2000)) + ": pass",
    "many cases": "def f(x):\n match x:\n"
    + "".join(f"  case C({n}, [a, *b], k={{'x': z}}): g()\n" for n in range(2000)),
}


@pytest.mark.parametrize("name", MONSTERS)
def test_monsters_are_read(name: str) -> None:
    """What the parser takes is read: however deep, however long, and what is kept of it stays small, though names could grow for ever."""
    text = MONSTERS[name]
    limit = sys.getrecursionlimit()
    seen = analyse(text, "m")

    assert limit == sys.getrecursionlimit()
    assert len(marshal.dumps(to_plain(seen))) < 20 * len(text) + 100_000
    words = [word for one in seen.functions for word in (*one.calls, *one.loads, one.returns)]
    words += [*seen.names.values(), *(word for kind in seen.classes for word in kind.attributes.values())]
    assert max(map(len, words), default=0) <= MOST_EXPRESSION + 100


def test_what_cannot_be_parsed_is_an_error() -> None:
    """A syntax error is the interpreter's own."""
    with pytest.raises(SyntaxError):
        analyse("def f(:", "m")


def test_reading_warns_of_nothing() -> None:
    """The warnings of a file are its author's, when it is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analyse("x = '\\d'\nassert (1, 'x')\n1 is 1\n", "m")


COMPLEXITY: dict[str, tuple[int, int, int]] = {
    # body: cyclomatic, cognitive, loop depth
    "pass": (1, 0, 0),
    "if a: b()": (2, 1, 0),
    "if a: b()\nelse: c()": (2, 2, 0),
    "if a: b()\nelif b: c()\nelif c: a()": (4, 3, 0),
    "if a: b()\nelif b:\n if c: a()": (4, 4, 0),
    "if a: b()\nelse:\n if b: c()\n else: a()": (3, 5, 0),
    "if a:\n if b:\n  if c: a()": (4, 6, 0),
    "for a in b: c()": (2, 1, 1),
    "for a in b:\n for b in c: a()": (3, 3, 2),
    "for a in b: c()\nelse: a()": (2, 2, 1),
    "for a in b: pass\nelse:\n if c: a()": (3, 4, 1),
    "while a: b()": (2, 1, 1),
    "while a and b:\n if c: continue\n break": (4, 4, 1),
    "for a in b:\n while c:\n  if a: b()": (4, 6, 2),
    "try: a()\nexcept E: b()": (2, 1, 0),
    "try: a()\nexcept E: b()\nexcept F: c()\nelse: a()\nfinally: b()": (3, 2, 0),
    "for a in b:\n try: a()\n except E:\n  if c: b()": (4, 6, 1),
    "with a: b()": (1, 0, 0),
    "with a:\n if b: c()": (2, 1, 0),
    "match a:\n case 1: b()\n case 2: c()\n case _: a()": (3, 1, 0),
    "match a:\n case 1: b()\n case x if b: c()": (4, 1, 0),
    "match a:\n case 1:\n  if b: c()": (3, 3, 0),
    "return a and b and c": (3, 1, 0),
    "return a and b or c": (3, 2, 0),
    "return a and not (b or c)": (3, 2, 0),
    "return a if b else c": (2, 1, 0),
    "return a if b else b if c else a": (3, 3, 0),
    "if a: return b if c else a": (3, 3, 0),
    "return [a for a in b]": (2, 0, 1),
    "return [a for a in b if a if c]": (4, 2, 1),
    "return {a: b for a in b for b in c}": (3, 0, 2),
    "for a in b: c(x for x in a)": (3, 1, 2),
    "assert a and b": (3, 1, 0),
    "def g():\n if a: b()": (1, 0, 0),
    "a(lambda: b if c else a)": (1, 0, 0),
    "f(a)": (1, 1, 0),
    "if a: f(f(a))": (2, 2, 0),
}


@pytest.mark.parametrize("text", COMPLEXITY)
def test_complexity(text: str) -> None:
    """McCabe's, SonarSource's, and loops in loops, as `SeenFunction` says; checked against radon, complexipy and cognitive_complexity."""
    found = body(text)

    assert COMPLEXITY[text] == (found.cyclomatic, found.cognitive, found.loop_depth)


def test_a_method_that_calls_itself_is_recursive() -> None:
    """Through `self`, too; a function that only has the same name is another."""
    assert (1, 0) == (
        only("class A:\n def f(self): self.f()").cognitive,
        only("from g import f as h\ndef f(): h()\nclass B:\n def f(self): pass").cognitive,
    )


EXCEPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    # body: raises, catches, swallows
    "raise ValueError": (("ValueError",), (), ()),
    "raise errors.NotFound(a) from b": (("NotFound",), (), ()),
    "raise E().with_traceback(a)": (("E",), (), ()),
    "try: a()\nexcept E: raise": (("...",), ("E",), ()),
    "try: a()\nexcept E as e: raise e": (("...",), ("E",), ()),
    "try: a()\nexcept E as e: raise F from e": (("F",), ("E",), ()),
    "try: a()\nexcept E: pass": ((), ("E",), ("E",)),
    "try: a()\nexcept (E, x.F): return None": ((), ("E", "F"), ("E", "F")),
    "try: a()\nexcept (E, *b): pass": ((), ("E", "b"), ("E", "b")),
    "try: a()\nexcept: b = 1": ((), ("*",), ("*",)),
    "try: a()\nexcept* E: pass": ((), ("E",), ("E",)),
    "try: a()\nexcept E as e: self.last = e": ((), ("E",), ()),
    "try: a()\nexcept E as e: pass": ((), ("E",), ("E",)),
    "try: a()\nexcept E: log.exception('x')": ((), ("E",), ()),
    "try: a()\nexcept E: print('x')": ((), ("E",), ()),
    "try: a()\nexcept E:\n if b: raise\nexcept F: pass": (("...",), ("E", "F"), ("F",)),
    "for a in b:\n try: c()\n except E: continue": ((), ("E",), ("E",)),
    "import contextlib\nwith contextlib.suppress(E, F): a()": ((), ("E", "F"), ("E", "F")),
    "def g():\n raise E": ((), (), ()),
}


@pytest.mark.parametrize("text", EXCEPTIONS)
def test_exceptions(text: str) -> None:
    """What is raised and caught by name; swallowed is what is caught and neither raised again, told to anybody nor looked at."""
    found = body(text)

    assert EXCEPTIONS[text] == (found.raises, found.catches, found.swallows)


CHANGES: dict[str, list[str]] = {
    "self.x = 1": ["self.x"],
    "self.x += 1": ["self.x"],
    "self.x.y = 1": ["self.x"],
    "self.x[0] = 1": ["self.x"],
    "del self.x": ["self.x"],
    "del self.x['a']": ["self.x"],
    "self.x.append(a)": ["self.x"],
    "self.x, self.y = a": ["self.x", "self.y"],
    "for self.x in a: pass": ["self.x"],
    "with a as self.x: pass": ["self.x"],
    "self.x: int = 1": ["self.x"],
    "global g\ng = 1": ["global g"],
    "global g\ng += 1": ["global g"],
    "seen.add(a)": ["m.seen"],
    "seen[a] = b": ["m.seen"],
    "config.DEBUG = True": ["shop.config.DEBUG"],
    "x = []\nx.append(a)": [],
    "x = {}\nx[a] = b": [],
    "a.b = 1": [],
    "return self.x": [],
    "self.read(a)": [],
}


@pytest.mark.parametrize("text", CHANGES)
def test_changes(text: str) -> None:
    """State that outlives the call: of the object, of modules. Not what is the call's own."""
    inner = textwrap.indent(text, "  ")
    found = only(f"from shop import config\nseen = set()\ng = 0\nclass C:\n def f(self, a, b):\n{inner}")

    assert CHANGES[text] == sorted(found.changes)


def test_nonlocal_state_changes() -> None:
    """What a closure gives a variable of the function around it."""
    assert ("nonlocal n",) == only("def g():\n n = 0\n def f():\n  nonlocal n\n  n += 1\n").changes


TRIVIAL: dict[str, str] = {
    "pass": "empty",
    "...": "empty",
    "'''Documented.'''": "empty",
    "return": "empty",
    "'''Documented.'''\nreturn 1": "constant",
    "return None": "constant",
    "return self.a": "accessor",
    "return self.a.b[0]": "accessor",
    "return self.a == b": "accessor",
    "return not self.a and b is None": "accessor",
    "return (self.a, b)": "accessor",
    "return f'{self.a} {b}'": "accessor",
    "return self.a + 1": "accessor",
    "self.a = a": "accessor",
    "self.a = a\nself.b = {}\nreturn self": "accessor",
    "raise NotImplementedError": "stub",
    "raise NotImplementedError('x')": "stub",
    "return NotImplemented": "accessor",
    "return self.a.get(b)": "delegation",
    "return super().get(a, *b, k=c)": "delegation",
    "a(b)": "delegation",
    "return a @ b": "",
    "raise ValueError": "",
    "return [x for x in a]": "",
    "return a(b(c))": "",
    "return a().b()": "",
    "for x in a: pass": "",
    "a()\nb()": "",
    "yield a": "",
    "if a: return b": "",
    "return lambda: a()": "",
}


@pytest.mark.parametrize("text", TRIVIAL)
def test_trivial(text: str) -> None:
    """Why nothing in a function can take time, if so."""
    assert TRIVIAL[text] == body(text).trivial


def test_a_constructor_that_only_keeps_is_trivial() -> None:
    """It sets attributes and works nothing out."""
    found = only("class A:\n def f(self): pass\n def __init__(self, a, b):\n  self.a = a\n  self.b = b\n")
    init = next(
        one
        for one in analyse("class A:\n def __init__(self, a):\n  self.a = a\n", "m").functions
        if one.qualname == "A.__init__"
    )

    assert ("empty", "constructor") == (found.trivial, init.trivial)


def test_an_awaited_delegation_is_one() -> None:
    """`return await self.client.get(key)`."""
    assert "delegation" == only("async def f(self, key): return await self.client.get(key)").trivial


WEIGHTS: dict[str, float] = {
    "g()": 1.0,
    "g(); g()": 2.0,
    "for x in a: g()": ITERATIONS,
    "for x in range(30): g()": 30.0,
    "for x in range(5, 30): g()": 25.0,
    "for x in range(0, 30, 3): g()": 10.0,
    "for x in range(30, 0, -10): g()": 3.0,
    "for x in range(LIMIT): g()": 7.0,
    "for x in range(LIMIT * 2): g()": 14.0,
    "for x in range(ENDLESS): g()": ITERATIONS,
    f"for x in range({' * '.join(['LARGE'] * 30)} - {' * '.join(['LARGE'] * 30)}): g()": ITERATIONS,
    "for x in range(LARGE): g()": 1e6,
    "for x in 'ab', 'c': g()": 2.0,
    "for n, x in enumerate([1, 2, 3]): g()": 3.0,
    "for x in range(3):\n for y in range(4): g()": 12.0,
    "while a: g()": ITERATIONS,
    "return [g() for x in range(6)]": 6.0,
    "return [y for x in range(6) for y in g()]": 6.0,
    "if a: g()": 0.5,
    "if a: g()\nelse: g()": 1.0,
    "match a:\n case 1: g()\n case 2: pass": 0.5,
    "try: pass\nexcept E: g()": 0.02,
    "raise E(g())": 0.02,
    "with a: g()": 1.0,
    "lambda: g()": 0.0,
    "def h(): g()": 0.0,
    "return 1\ng()": 0.0,
    "if 0: g()": 0.0,
}


@pytest.mark.parametrize("text", WEIGHTS)
def test_how_often_a_call_is_made(text: str) -> None:
    """For one call of the function: loops as often as the source says, else `ITERATIONS` times; one side of an `if` half the time."""
    inner = textwrap.indent(text, "    ")
    found = only(f"from shop import g\nLIMIT = 7\nENDLESS = 1e999\nLARGE = 900000000000\ndef f(a):\n{inner}")

    assert pytest.approx(WEIGHTS[text]) == found.calls.get("shop.g", 0.0)


MARKS = {
    "def f(): pass  # autoscope: off": "off",
    "def f(): pass  # autoscope: never": "off",
    "def f(a,\n      b):  # autoscope: trace\n    pass": "trace",
    "@d  # autoscope: off\ndef f(): pass": "off",
    "@autoscope.trace\ndef f(): pass": "trace",
    "@autoscope.never\ndef f(): pass": "never",
    "from autoscope import never as n\n@n\ndef f(): pass": "never",
    "def f():\n    pass  # autoscope: off": "",
    "def f():\n    @d  # autoscope: off\n    def g(): pass": "",
    "def f(): return '# autoscope: off'": "",
    "def f():\n    '''x'''\n# autoscope: off": "",
    "x = '\u2028'\ndef f(): pass  # autoscope: off": "off",
}


@pytest.mark.parametrize("text", MARKS)
def test_what_its_author_wrote_on_it(text: str) -> None:
    """By decorator, or by a comment between the first decorator and the end of the signature; not in its body, not in a text."""
    assert MARKS[text] == only(f"import autoscope\n{text}").mark


@pytest.mark.parametrize(
    ("text", "serves"),
    [
        ("while True: a()", True),
        ("while 1:\n if b: break", True),
        ("while self.running: a()", True),
        ("while not stop.is_set(): a()", True),
        ("while a < b: a()", False),
        ("for x in a: b()", False),
    ],
)
def test_loops_that_end_only_when_told_to(text: str, serves: bool) -> None:
    """As a worker's does."""
    assert serves is body(text).serves


def test_what_a_module_is_made_of() -> None:
    """Its imports as absolute names, its own names, its guard, what it does when imported and when run."""
    text = """
        from __future__ import annotations
        import os.path as p, sys
        from . import sibling
        from ..other import *
        from .near import thing as t
        cart = t.Cart()
        cart.load()
        if __name__ == "__main__":
            cart.run()
        else:
            cart.stay()
        """
    seen = analyse(textwrap.dedent(text), "shop.web.views")

    assert (
        "__future__.annotations",
        "os.path",
        "sys",
        "shop.web.sibling",
        "shop.other",
        "shop.web.near.thing",
    ) == seen.imports
    assert ("shop.other",) == seen.stars
    assert {"p": "os.path", "cart": "shop.web.near.thing.Cart()"}.items() <= seen.names.items()
    assert {"shop.web.near.thing.Cart", "shop.web.views.cart.load", "shop.web.views.cart.stay"} == set(seen.calls)
    assert (["shop.web.views.cart.run"], True) == (list(seen.main_calls), seen.has_main)


@pytest.mark.parametrize(
    ("module", "package", "expected"),
    [("a.b.c", False, "a.b.x"), ("a.b", True, "a.b.x"), ("a", True, "a.x"), ("a", False, "x")],
)
def test_relative_imports_start_from_the_package(module: str, package: bool, expected: str) -> None:
    """A package's own `__init__` is in it; a module beside others is not."""
    assert (expected,) == analyse("from .x import *", module, package).imports


def test_lines() -> None:
    """As an editor counts them."""
    assert [0, 1, 1, 2] == [analyse(text, "m").lines for text in ("", "x", "x\n", "x\n\n")]
