"""The promise: a woven program does what the plain one does. One case for each construct of the language."""

from __future__ import annotations

import sys
import textwrap

import pytest
from harness import PATHS, compare

from autoscope.plan.model import CapturePatch, Plan
from autoscope.runtime import sites
from autoscope.weave.assemble import OP, decode
from autoscope.weave.weaver import Weaver

CASES: dict[str, str] = {
    "positional, default, star and keyword-only parameters": """
        def f(a, b=2, /, c=3, *rest, d, e=5, **more): return (a, b, c, rest, d, e, more)
        def main(): return f(1, d=4), f(1, 2, 3, 4, 5, d=6, z=7)
    """,
    "early return and fall off the end": """
        def f(x):
            if x: return "early"
            log(x)
        def main(): return f(0), f(1)
    """,
    "return in finally swallows": """
        def f():
            try: raise ValueError(1)
            finally: return "kept"
        def main(): return f()
    """,
    "finally runs between the return value and the return": """
        def f():
            x = [1]
            try: return x
            finally: x.append(2); log("finally")
        def main(): return f()
    """,
    "an exception's traceback": """
        def inner(n):
            if n: return inner(n - 1)
            raise KeyError("deep")
        def main(): return inner(3)
    """,
    "exceptions chained": """
        def f():
            try: g()
            except ZeroDivisionError as e: raise RuntimeError("wrapped") from e
        def g():
            try: [][1]
            except IndexError: 1 / 0
        def main(): f()
    """,
    "except star": """
        def f():
            try: raise ExceptionGroup("g", [ValueError(1), TypeError(2)])
            except* ValueError as e: log(repr(e))
        def main(): f()
    """,
    "bare raise keeps its traceback": """
        def f():
            try: g()
            except ValueError:
                log("seen")
                raise
        def g(): raise ValueError("x")
        def main(): f()
    """,
    "with and its exit": """
        class C:
            def __enter__(self): log("in"); return self
            def __exit__(self, t, e, tb): log((t and t.__name__, tb and tb.tb_lineno)); return t is ValueError
        def f(x):
            with C() as c, C():
                if x: raise ValueError(x)
                return "fine"
            return "swallowed"
        def main(): return f(0), f(1)
    """,
    "closures and nonlocal": """
        def counter():
            n = 0
            def step(by=1):
                nonlocal n
                n += by
                return n
            return step
        def main():
            a, b = counter(), counter()
            return a(), a(2), b(), a.__closure__[0].cell_contents
    """,
    "an argument that is a cell": """
        def f(a, *b, **c):
            def g(): return a, b, c
            a = a + 1
            return g()
        def main(): return f(1, 2, x=3)
    """,
    "global": """
        x = 1
        def f():
            global x, y
            x, y = 2, 3
        def main():
            f()
            return x, y
    """,
    "locals sees the author's names only": """
        def f(a, b=2):
            c = 3
            return sorted(locals()), sorted(vars()), dir(), eval("a + b + c")
        def g():
            exec("z = 1")
            return sorted(locals())
        def main(): return f(1), g()
    """,
    "frames": """
        import sys, inspect
        def f():
            here = sys._getframe()
            return here.f_lineno, here.f_code.co_name, sorted(here.f_locals), sys._getframe(1).f_code.co_name
        def g(): return [frame.function for frame in inspect.stack()[:3]], inspect.currentframe().f_lineno
        def main(): return f(), g()
    """,
    "warnings point at the caller": """
        import warnings
        def f(): warnings.warn("old", DeprecationWarning, stacklevel=2)
        def main():
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                f()
            return seen[0].lineno, seen[0].filename
    """,
    "super, __class__ and name mangling": """
        class A:
            def __init__(self, x): self.__x = x
            def get(self, __y=1): return self.__x, __y
        class B(A):
            def __init__(self):
                super().__init__(7)
            def get(self): return super().get(), __class__.__name__
        def main(): return B().get()
    """,
    "static, class methods and properties": """
        class C:
            @staticmethod
            def s(x): return x
            @classmethod
            def c(cls): return cls.__name__
            @property
            def p(self): return self._p
            @p.setter
            def p(self, v): self._p = v * 2
            @p.deleter
            def p(self): del self._p
        def main():
            c = C(); c.p = 4
            got = C.s(1), c.c(), c.p
            del c.p
            return got, hasattr(c, "p")
    """,
    "descriptors, metaclass, __init_subclass__, __class_getitem__, __set_name__": """
        class M(type):
            def __new__(m, name, bases, ns, **kw): return super().__new__(m, name, bases, ns)
            def __call__(cls, *a): log(cls.__name__); return super().__call__(*a)
        class D:
            def __set_name__(self, owner, name): self.n = name
            def __get__(self, o, t=None): return self.n
        class A(metaclass=M, tag=1):
            d = D()
            def __init_subclass__(cls, **kw): log(kw)
            def __class_getitem__(cls, k): return k
        class B(A, x=1): pass
        def main(): return A().d, B.d, A[3]
    """,
    "__getattr__ misses are not errors of the program": """
        class A:
            def __getattr__(self, name): raise AttributeError(name)
        def main(): return hasattr(A(), "x"), getattr(A(), "y", 5)
    """,
    "decorators and functools": """
        import functools
        def twice(f):
            @functools.wraps(f)
            def w(*a): return f(*a) * 2
            return w
        @twice
        def f(x): return x
        @functools.lru_cache
        def g(x): log(x); return x
        @functools.singledispatch
        def h(x): return "any"
        @h.register
        def _(x: int): return "int"
        class C:
            @functools.cached_property
            def v(self): log("once"); return 1
        def main():
            c = C()
            return f(3), g(1), g(1), h(1), h(""), c.v, c.v, f.__wrapped__(2)
    """,
    "generators: send, throw, close, return": """
        def g(n):
            try:
                while n:
                    got = yield n
                    log(got)
                    n -= 1
            except ValueError as e:
                log(repr(e))
                yield "caught"
            finally:
                log("closing")
            return "value"
        def d():
            r = yield from g(2)
            log(r)
            return r * 2
        def main():
            out = list(g(3))
            it = d(); out += [next(it), it.send("s")]
            try: next(it)
            except StopIteration as e: out.append(e.value)
            it = d(); next(it); out.append(it.throw(ValueError("v")))
            it.close()
            it = g(2); next(it); it.close(); it.close()
            it = g(1); it.close()
            it = d(); next(it)
            try: it.throw(KeyError("k"))
            except KeyError as e: out.append(repr(e))
            return out
    """,
    "generators: state seen from outside": """
        import inspect
        def g():
            x = 1
            yield x
        def d(): yield from g()
        def main():
            a = d()
            states = [inspect.getgeneratorstate(a)]
            next(a)
            states += [inspect.getgeneratorstate(a), a.gi_frame.f_lineno, sorted(a.gi_frame.f_locals), a.gi_yieldfrom.__name__]
            list(a)
            return states, inspect.getgeneratorstate(a), a.gi_frame, a.gi_yieldfrom
    """,
    "a StopIteration inside a generator": """
        def g():
            yield 1
            raise StopIteration(2)
        def main():
            try: list(g())
            except RuntimeError as e: return str(e), repr(e.__cause__)
    """,
    "interleaved and abandoned generators": """
        def g(tag):
            try:
                for i in range(3): yield tag, i
            finally: log(("end", tag))
        def main():
            a, b = g("a"), g("b")
            out = [next(a), next(b), next(a), next(b)]
            del a
            out.append(next(b))
            return out
    """,
    "generator expressions and comprehensions": """
        def f(n): return [x * y for x in range(n) for y in range(x) if y], {x: x for x in "ab"}, sum(x for x in range(n))
        def main(): return f(4)
    """,
    "coroutines": """
        import asyncio
        async def leaf(x):
            await asyncio.sleep(0)
            if x == 2: raise ValueError(x)
            return x
        async def many():
            r = await asyncio.gather(*(leaf(i) for i in range(4)), return_exceptions=True)
            return [repr(x) for x in r]
        async def cancelled():
            try: await asyncio.sleep(10)
            except asyncio.CancelledError: log("cancelled"); raise
        async def top():
            t = asyncio.create_task(cancelled())
            await asyncio.sleep(0)
            t.cancel()
            try: await t
            except asyncio.CancelledError: log("seen")
            return await many()
        def main(): return asyncio.run(top())
    """,
    "a coroutine driven by hand": """
        class Y:
            def __await__(self):
                r = yield "y"
                return r
        async def a(): return await Y()
        async def b(): return (await a()) + 1
        def main():
            c = b(); out = [c.send(None), c.cr_await.__name__]
            try: c.send(5)
            except StopIteration as e: out.append(e.value)
            c = b(); c.send(None)
            try: c.throw(KeyError("k"))
            except KeyError as e: out.append(repr(e))
            c = b(); c.send(None); c.close()
            return out
    """,
    "async generators, async with, async for": """
        import asyncio
        class C:
            async def __aenter__(self): await asyncio.sleep(0); log("in"); return self
            async def __aexit__(self, *a): await asyncio.sleep(0); log(a[0] and a[0].__name__)
        async def ag(n):
            try:
                for i in range(n):
                    got = yield i
                    if got: log(got)
                    await asyncio.sleep(0)
            except ValueError: yield "caught"
            finally: log("closing")
        async def top():
            out = []
            async with C():
                async for x in ag(3): out.append(x)
            out += [x async for x in ag(2) if x]
            g = ag(5); out.append(await g.asend(None)); out.append(await g.asend("hello"))
            out.append(await g.athrow(ValueError)); await g.aclose()
            try:
                async with C(): raise KeyError(1)
            except KeyError: log("out")
            return out
        def main(): return asyncio.run(top())
    """,
    "match": """
        def f(x):
            match x:
                case {"a": a, **rest}: return a, rest
                case [1, *more] if more: return more
                case str() as s: return s
                case _: return None
        def main(): return f({"a": 1, "b": 2}), f([1, 2]), f("s"), f(3)
    """,
    "walrus, star-args, chained comparison, del": """
        def f(*a):
            if (n := len(a)) > 1: del a
            try: return a
            except UnboundLocalError as e: return n, type(e).__name__
        def main(): return f(), f(1, 2), 1 < (lambda: 2)() < 3
    """,
    "docstring only, ellipsis and pass": """
        def a():
            "only a docstring"
        def b(): ...
        def c(): pass
        def main(): return a(), b(), c(), a.__doc__
    """,
    "constants that look like ours": '''
        def f(x="@site:0"):
            """@site:0"""
            return x, "@site", "@site:1", "@SITE@"
        def main(): return f(), f.__doc__
    ''',
    "recursion": """
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        def main(): return fib(10)
    """,
    "loops with else, break, continue": """
        def f(n):
            out = []
            for i in range(n):
                if i == 1: continue
                if i == 3: break
                out.append(i)
            else: out.append("else")
            while n:
                n -= 1
                if n == 5: break
            else: out.append("done")
            return out
        def main(): return f(2), f(9)
    """,
    "exception variables are unbound afterwards": """
        def f():
            try: 1 / 0
            except ZeroDivisionError as e: pass
            return "e" in locals()
        def main(): return f()
    """,
    "sys.exc_info inside and outside handlers": """
        import sys
        def f(): return sys.exc_info()[0]
        def g():
            try: raise ValueError
            except ValueError: return f(), sys.exc_info()[0]
        def main(): return f(), g(), f()
    """,
    "lambdas": """
        f = lambda x: x + 1
        def main(): return f(1), (lambda: 2)(), sorted([3, 1], key=lambda x: -x)
    """,
    "nested classes and functions": """
        def outer(x):
            class Inner:
                y = x
                def m(self): return self.y, x
            def helper(): return Inner
            return helper
        def main(): return outer(3)()().m(), outer.__qualname__, outer(1)()().m.__qualname__
    """,
    "dataclass, enum, namedtuple": """
        import dataclasses, enum, typing
        @dataclasses.dataclass(order=True)
        class P:
            x: int
            y: int = 0
            def __post_init__(self): self.y += 1
        class E(enum.Enum):
            A = 1
            def up(self): return self.value + 1
        class N(typing.NamedTuple):
            a: int
            def total(self): return self.a
        def main(): return repr(P(1)), P(1) < P(2), E.A.up(), N(3).total()
    """,
    "pickle, copy, weakref, identity": """
        import copy, weakref
        class C:
            def m(self): return 1
        def f(): return 2
        def main():
            c = C()
            return copy.copy(f) is f, copy.deepcopy(f) is f, weakref.ref(f)() is f, c.m == c.m, C.m is C.m, copy.copy(c).m()
    """,
    "no reference outlives the call": """
        import gc, weakref
        class T: pass
        def f(t): return weakref.ref(t)
        def g(t): raise ValueError(t)
        def main():
            r = f(T())
            seen = [r() is None]
            t = T(); r = weakref.ref(t)
            try: g(t)
            except ValueError: pass
            del t
            return seen, r() is None
    """,
    "an exception whose __str__ raises": """
        class E(Exception):
            def __str__(self): raise RuntimeError("no")
        def f(): raise E()
        def main():
            try: f()
            except E: return "caught"
    """,
    "__del__ and generators collected": """
        def g():
            try: yield 1
            finally: log("collected")
        class D:
            def __del__(self): log("deleted")
        def f():
            d = D()
            it = g(); next(it)
            return 1
        def main():
            f(); return "after"
    """,
    "unicode names": """
        def größe(ñ): return ñ * 2
        def main(): return größe(ñ=2)
    """,
    "__future__ annotations": """
        from __future__ import annotations
        def f(x: undefined = 1) -> alsoundefined: return x
        def main(): return f(), f.__annotations__, annotations.__class__.__name__
    """,
    "deep recursion still fails as itself": """
        def f(n): return f(n + 1)
        def main():
            try: f(0)
            except RecursionError: return "RecursionError"
    """,
    "module names": """
        def f(): return 1
        def main(): f(); return sorted(k for k in globals() if not k.startswith("__"))
    """,
    "a long function": "def f(x):\n" + "".join(f"    x += {i}\n    if x < 0: return {i}\n" for i in range(700))
    + "    return x\ndef main(): return f(1)\n",
    "nested blocks": "def f(x):\n" + "".join(f"{' ' * (i + 1)}if x > {i}:\n" for i in range(60)) + f"{' ' * 62}return 'deep'\n"
    + "def main(): return f(100), f(3)\n",
    "yields at depth": """
        def g(x):
            y = [1, (yield x), *[2, (yield x + 1)]]
            z = {"k": (yield y), **{"l": (yield 0)}}
            with open("/dev/null") as f:
                for i in range(2):
                    try: w = (yield i), (yield f.name)
                    finally: log(i)
            return z, w
        def main():
            it = g(1); out = [next(it)]
            try:
                for n in range(20): out.append(it.send(n))
            except StopIteration as e: out.append(e.value)
            return out
    """,
    "await at depth": """
        import asyncio
        async def v(x):
            await asyncio.sleep(0)
            return x
        async def f():
            return [await v(1), {"a": await v(2)}, (await v(3), await v(4)), f"{await v(5)}"] + [await v(i) for i in range(3)]
        def main(): return asyncio.run(f())
    """,
    "functions on one line": """
        def nothing(): pass
        def dots(x=1): ...
        def documented(): "doc"
        def answer(x): return x
        def raises(x): raise KeyError(x)
        def two(x): y = x; return y
        def when(x): return [i for i in x] if x else None
        def cell(x): return (lambda: x)()
        def generator(x=1): yield x
        def delegates(x): yield from generator(x)
        def never(): yield 1; pass
        left = lambda x: x
        class C: pass
        class D: x = 1
        class E: a = lambda self: 1; b = property(lambda self: 2)
        class F:
            def method(self): pass
            def returns(self): return self
            @staticmethod
            def static(): pass
            @property
            def p(self): pass
            def generator(self): yield self
        def main():
            out = [nothing(), dots(), documented(), answer(3), two(4), when([5]), cell(6), left(7), D.x, E().a(), E().b]
            out += [list(generator()), list(delegates(8)), list(never())]
            f = F(); out += [f.method(), f.returns() is f, F.static(), f.p, len(list(f.generator()))]
            try: raises(9)
            except KeyError as e: out.append((e.args, e.__traceback__.tb_next.tb_lineno))
            return out
    """,
    "a function on one line fails": """
        def fails(x): raise KeyError(x)
        def main(): fails(1)
    """,
    "a generator on one line fails": """
        def fails(x): yield 1 / x
        def main(): return list(fails(0))
    """,
    "coroutines on one line": """
        import asyncio
        async def nothing(): pass
        async def dots(): ...
        async def answer(x): return x
        async def waits(x): return await answer(x)
        async def sleeps(): await asyncio.sleep(0)
        async def steps(x=1): yield x
        async def empty(): return; yield
        async def top(): return [await nothing(), await dots(), await waits(1), await sleeps(), [x async for x in steps()], [x async for x in empty()]]
        def main(): return asyncio.run(top())
    """,
    "everything on one line": "def f(): pass\ndef g(x=1): yield x\ndef main(): return f(), list(g()), (lambda: 2)()",
}  # fmt: skip
if sys.version_info >= (3, 12):
    CASES["type parameters"] = """
        def f[T](x: T) -> T: return x
        class C[T]:
            def m[U](self, x: U) -> T: return x
        type A[T] = list[T]
        def main(): return f(1), C[int]().m(2), f.__type_params__[0].__name__
    """


@pytest.mark.parametrize("name", CASES)
def test_same_result_exceptions_order_and_looks(name):
    """Plain and woven by every path in every state, a program cannot tell."""
    recorded = compare(textwrap.dedent(CASES[name]))
    assert recorded > 0, "nothing was recorded, so nothing was shown"


AT_THE_LIMIT = """
    def f(x): f(x)
    def g(x):
        yield
        f(x)
    def from_a_depth(n, call):
        return from_a_depth(n - 1, call) if n else call(n)
    def main():
        seen = set()
        for call in f, lambda x: list(g(x)):
            for n in range(12):
                try: from_a_depth(n, call)
                except RecursionError as error:
                    files, entry = set(), error.__traceback__
                    while entry:
                        files.add(entry.tb_frame.f_code.co_filename)
                        entry = entry.tb_next
                    seen.add((*files, error.__context__))
        return seen
"""


def test_where_recursion_ends_nothing_of_ours_is_in_the_traceback():
    """Nor is it said that one exception came of the other: ours gives up, where a level more is too much."""
    if "bytecode" not in PATHS:
        pytest.skip("the source rewrite has frames of its own")
    assert compare(textwrap.dedent(AT_THE_LIMIT), paths=("bytecode",)) > 0


ONE_LINERS = {
    "def f(): pass": ["f"],
    "def f(): ...": ["f"],
    "def f(): 'doc'": ["f"],
    "def f(): return x": ["f"],
    "def f(): return 1": ["f"],
    "def f(): raise": ["f"],
    "def f(*a, b=1, **c): pass": ["f"],
    "def f(x=1): yield x": ["f"],
    "def f(): yield": ["f"],
    "async def f(): pass": ["f"],
    "async def f(): return 1": ["f"],
    "async def f(): await x": ["f"],
    "async def f(x=1): yield x": ["f"],
    "async def f(): return; yield": ["f"],
    "def f(a): return lambda: a": ["f.<locals>.<lambda>", "f"],
    "f = lambda: None": ["<lambda>"],
    "f = lambda *a, b=1, **c: (yield b)": ["<lambda>"],
    "class C: pass": [],
    "class C: x = 1": [],
    "class C:\n def m(self): pass": ["C.m"],
    "class C:\n def m(self): return __class__": ["C.m"],
    "class C:\n async def m(self): pass": ["C.m"],
    "def f(): pass; pass": ["f"],
    "\n" * 300 + "def f(): pass": ["f"],
}


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("source", ONE_LINERS)
def test_one_line_functions_are_woven(source, captures):
    """None is left alone because of how its positions are written down, and the author's body in it has the author's."""
    if "bytecode" not in PATHS:
        pytest.skip("there is no bytecode rewrite here")
    plan = Plan(strategy="full_trace", include=("case",), capture=CapturePatch(args=captures, returns=captures))
    weave = Weaver(plan)
    weave.path = "bytecode"
    weave.module_code(compile(source, "<case>", "exec", dont_inherit=True), "case", lambda: source)
    assert [site.qualname for site in sites.sites] == ONE_LINERS[source]
    for site in sites.sites:
        plain, woven = list(site.off.co_positions()), list(site.traced.co_positions())
        start = next(after for _, op, _, after in decode(site.off.co_code) if op == OP["RESUME"])
        assert woven[:start] == plain[:start]
        assert woven[len(woven) - len(plain) + start :] == plain[start:]


NOT_TRACED = {
    "deep recursion still fails as itself": "a thousand frames of events",
    "a long function": "as long as its events",
    "an exception whose __str__ raises": "its message is asked for when it leaves: its __str__ runs once more",
}
if sys.version_info >= (3, 13):
    # 3.13 does not wake a suspended generator on close() where nothing could catch GeneratorExit; its span has to end, so
    # woven it is woken, and a tracer sees it.
    for _name in ("a coroutine driven by hand", "generators: send, throw, close, return",
                  "interleaved and abandoned generators"):  # fmt: skip
        NOT_TRACED[_name] = "closed generators are woken"


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_TRACED])
def test_same_line_events(name):
    """A debugger or a coverage tool sees the same calls, lines, returns and exceptions, in the same order."""
    if "bytecode" not in PATHS:
        pytest.skip("the source rewrite adds a with statement, whose exit is a line event")
    compare(textwrap.dedent(CASES[name]), trace=True, paths=("bytecode",))
