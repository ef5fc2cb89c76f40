"""The language reference, chapter by chapter: every expression, simple statement and compound statement, plain and woven."""

from __future__ import annotations

import sys
import textwrap

import pytest
from harness import compare

# Chapter and section -> the body of `f`, which is called with 1, 2 and "x"; what it raises is looked at as well.
BODIES = {
    "6.2.1 private names": """
        class C:
            __a = 1
            def m(self): return self.__a, [self.__a for _ in range(2)], (lambda: self.__a)()
        return C().m()
    """,
    "6.2.4 displays": "return [x, *range(2)], {x, 1}, {1: x, **{2: x}}, (x, *'ab'), [i for j in range(3) if j for i in range(j)]",
    "6.2.5 a comprehension's scope": "y = x; r = [y for y in range(3)]; return r, y, {k: v for k, v in zip('ab', r)}, {z for z in r}",
    "6.2.8 generator expressions": "g = (x for _ in range(2)); return next(g), list(g), sum(i * i for i in range(4)), type(g).__name__",
    "6.2.9 yield as a value": """
        def g():
            got = yield x
            other = [(yield got), (yield)]
            return other
        it = g()
        out = [next(it), it.send(1), it.send(2)]
        try: it.send(3)
        except StopIteration as stop: out.append(stop.value)
        return out
    """,
    "6.3 primaries": "return 'abc'[1], 'abc'[::-1], [1, 2, 3][-1:], {'a': {'b': x}}['a']['b'], str.upper('q'), f.__name__",
    "6.3.4 calls": """
        def g(a, /, b, *c, d=4, **e): return a, b, c, d, e
        return g(1, 2), g(1, b=2), g(*[1, 2, 3], **{'d': x, 'z': 0}), g(1, *[2], 3, d=5, **{}, y=1)
    """,
    "6.3.4 calls that fail": """
        def g(a, *, b): return a
        out = []
        for words in ((), (1,), (1, 2)):
            try: g(*words)
            except TypeError as error: out.append(str(error))
        return out
    """,
    "6.4 to 6.9 operators": "return x * 3, -2 ** 2, 7 // 2, 7 % 3, ~5, 1 << 3 | 1 & 3 ^ 2, 10 / 4, not x, +True",
    "6.7 an operator that fails": "return x + None",
    "6.10 comparisons": "return 1 < 2 < 3 != 4, x is x, x in [x], x not in (), None is not x, [1] == [1.0]",
    "6.11 and, or": "return (x and [] or 'no'), (0 or 1 and 2), not (x or None)",
    "6.12 assignment expressions": "return [(y := x), y * 2, [z := i for i in range(3)], z]",
    "6.13 conditional expressions": "return 'one' if x == 1 else 'x' if x == 'x' else 'other'",
    "6.14 lambdas": """
        adders = [lambda y=i: y for i in range(3)]
        return [a() for a in adders], (lambda *a, k=1, **kw: (a, k, kw))(1, 2, k=3, z=4), (lambda: (yield x))().__next__()
    """,
    "6.14 a lambda that fails": "return (lambda y: y / 0)(3)",
    "6.15 order of evaluation": """
        def t(n): log(n); return n
        {t(1): t(2), t(3): t(4)}; t(5) + t(6) * t(7); t(8) if t(9) else t(10)
        a, b = t(11), t(12)
        [a, b][t(0)] = t(13)
        return max(t(14), *[t(15)], key=lambda v: t(-v))
    """,
    "7.2 assignments": """
        a = b = x; (c, *d), e = ('p', 'q', 'r'), 1; [g, h] = 'gh'
        l = [0] * 5; l[1:3] = 'yz'; l[-1] += 1
        class O: pass
        o = O(); o.v = 1; o.v *= 3
        del l[0], o.v
        return a, b, c, d, e, g, h, l, hasattr(o, 'v')
    """,
    "7.2 an assignment that fails": "a, b = (x,)\nreturn a",
    "7.2.1 augmented assignment": "y = [1]; z = y; y += [2]; y *= 2; n = 7; n **= 2; n //= 3; n %= 5; n |= 8; n >>= 1; return y, z is y, n",
    "7.2.2 annotated assignment": "y: int = x; z: list['never']; w: undefined = 1; return y, sorted(locals())",
    "7.3 assert": "assert x != 1, ('not', x)\nassert x\nreturn 'held'",
    "7.4 pass, 7.5 del": "pass\ny = x\ndel y\ntry: y\nexcept UnboundLocalError as error: return str(error)",
    "7.8 raise": """
        try:
            try: raise KeyError(x)
            except KeyError as e: raise ValueError('second') from e
        except ValueError as error:
            error.add_note('noted')
            raise
    """,
    "7.8 raise a class, a wrong thing, from None": """
        out = []
        for what in (KeyError, KeyError(1), 5, None):
            try: raise what
            except TypeError as error: out.append(str(error))
            except KeyError as error: out.append(repr(error))
        try: raise IndexError from None
        except IndexError as error: out.append((error.__suppress_context__, error.__cause__))
        return out
    """,
    "7.9 break, 7.10 continue": """
        out = []
        for i in range(6):
            try:
                if i == 1: continue
                if i == 4: break
            finally: out.append(i)
        else: out.append('never')
        while True:
            try: break
            finally: out.append('end')
        return out
    """,
    "7.11 import": """
        import os.path as p, sys
        from collections import OrderedDict as O, abc
        try: import no_such_module
        except ImportError as error: missing = error.name
        return p.join('a', 'b'), O([(1, x)]), abc.__name__, missing
    """,
    "7.12 global, 7.13 nonlocal": """
        global shared
        shared = [x]
        n = 0
        def up():
            nonlocal n
            global shared
            n += 1; shared.append(n)
            return up if n < 3 else None
        up()()()
        return n, shared
    """,
    "8.1 if, 8.2 while": "n = 0\nwhile n < 3:\n    n += 1\n    if n == x: continue\n    elif n == 2: log(n)\n    else: log('else')\nelse: log('done')\nreturn n",
    "8.3 for": "out = []\nfor i, (a, *b) in enumerate(['pq', 'rst']):\n    out.append((i, a, b))\nfor out[0] in range(2): pass\nreturn out",
    "8.4 try": """
        out = []
        for what in (ValueError, KeyError, OSError, None):
            try:
                if what: raise what('w')
            except (ValueError, KeyError) as error: out.append(type(error).__name__)
            except Exception: out.append('any')
            else: out.append('else')
            finally: out.append('finally')
        return out
    """,
    "8.4 returns and raises in finally": """
        def a():
            try: return log('try')
            finally: return 'finally'
        def b():
            for i in range(3):
                try: 1 / 0
                finally: continue
            return i
        def c():
            try: raise KeyError
            finally: raise ValueError
        out = [a(), b()]
        try: c()
        except ValueError as error: out.append(type(error.__context__).__name__)
        return out
    """,
    "8.4.3 except*": """
        out = []
        try:
            try: raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2), OSError(3)])])
            except* (ValueError, KeyError) as group: out.append(repr(group))
            except* TypeError: out.append('never')
            else: out.append('never')
            finally: out.append('finally')
        except ExceptionGroup as rest: out.append(repr(rest))
        return out
    """,
    "8.4.3 except* that raises": """
        try: raise ExceptionGroup('g', [ValueError(1), KeyError(2)])
        except* ValueError: raise
        except* KeyError as group: raise RuntimeError('r') from group
    """,
    "8.5 with": """
        class M:
            def __init__(self, n, swallow=False): self.n, self.swallow = n, swallow
            def __enter__(self): log(('in', self.n)); return self.n
            def __exit__(self, kind, error, tb): log(('out', self.n, kind and kind.__name__)); return self.swallow
        with M(1) as a, M(2): pass
        with (M(3) as b, M(4, True) as c,): raise ValueError(a + b)
        with M(5): return c
    """,
    "8.5 with what fails to enter": "with x: pass",
    "8.6 match": """
        class P:
            __match_args__ = ('a', 'b')
            def __init__(self, a, b): self.a, self.b = a, b
        out = []
        for v in (0, -1, 'x', [1, 2, 3], {'k': 1, 'm': 2}, P(1, P(2, 3)), (1, [2]), None, 2.5, b'y', [x]):
            match v:
                case 0 | None: out.append('zero or none')
                case -1: out.append('negative')
                case str() as s if s == x: out.append(s)
                case str(s): out.append(('text', s))
                case [1, *rest] if len(rest) > 1: out.append(rest)
                case {'k': k, **more}: out.append((k, more))
                case P(a, P(b=q)): out.append((a, q))
                case (1, [y]): out.append(y)
                case float() | bytes(): out.append('f or b')
                case [only]: out.append(only)
                case _: out.append('other')
        return out
    """,
    "8.7 functions": """
        def deco(n):
            log(('deco', n))
            return lambda g: (log(('applied', n)), g)[1]
        @deco(1)
        @deco(2)
        def g(a: 'A' = x, /, *, b: int = 2) -> list:
            '''Doc.'''
            g.calls = getattr(g, 'calls', 0) + 1
            return a, b, g.calls
        return g(), g(3, b=4), g.__doc__, sorted(g.__annotations__), g.__defaults__, g.__kwdefaults__, g.__qualname__
    """,
    "8.8 classes": """
        class Meta(type):
            def __new__(m, name, bases, space, **kw): log((name, sorted(kw))); return super().__new__(m, name, bases, space)
            def __init__(c, name, bases, space, **kw): super().__init__(name, bases, space)
            def __instancecheck__(c, i): return i == 'is'
        class A(metaclass=Meta, key=x):
            __slots__ = ('s',)
            n = [i for i in range(2)]
            def __init__(self): self.s = x
            def who(self): return __class__.__name__, super().__repr__()[:4]
            def __eq__(self, o): return True
        class B(A):
            def who(self): return super().who()[0], super(B, self).who()[0]
        return B().who(), isinstance('is', A), A.n, A() == B(), B.__mro__[1] is A
    """,
    "8.9 coroutines": """
        import asyncio
        class It:
            def __init__(self): self.n = 0
            def __aiter__(self): return self
            async def __anext__(self):
                self.n += 1
                if self.n > 2: raise StopAsyncIteration
                return self.n
        class M:
            async def __aenter__(self): log('in'); return self
            async def __aexit__(self, kind, error, tb): log(kind and kind.__name__); return True
        class Awaitable:
            def __await__(self): yield from asyncio.sleep(0).__await__(); return x
        async def steps(n):
            for i in range(n):
                try: yield i, await Awaitable()
                finally: log(('step', i))
        async def top():
            out = [i async for i in It()] + [v async for v in steps(2) if v[0]]
            async with M() as a, M(): raise KeyError(1)
            async for i in It():
                if i == 2: break
            else: log('never')
            out.append([await Awaitable() for _ in range(2)])
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(2)]
            return out, [t.result() for t in tasks], await asyncio.wait_for(Awaitable(), 5)
        return asyncio.run(top())
    """,
    "4.2 names bound in every way": """
        import os as bound1
        for bound2 in [1]: pass
        with open(bound1.devnull) as bound3: pass
        def bound4(): pass
        class bound5: pass
        try: 1 / 0
        except ZeroDivisionError as bound6: pass
        [bound7 := 1 for _ in [1]]
        return sorted(locals()), sorted(f.__code__.co_names)[:0], sorted(v for v in vars() if 'bound' in v)
    """,
    "4.2.3 builtins and eval, exec": """
        space = {}
        exec('def made(a): return a + 1', space)
        y = 5
        return eval('x'), space['made'](1), eval('[x for _ in range(2)]', {'x': x}), exec('y = 6'), y, eval('sorted(locals())')
    """,
    "3.3.12 what a frame shows": """
        import inspect, sys
        frame = sys._getframe()
        here = inspect.currentframe()
        return (frame is here, frame.f_code.co_name, frame.f_lineno, sorted(frame.f_locals), frame.f_back.f_code.co_name,
                inspect.stack()[1].function, [s.name for s in __import__('traceback').extract_stack(limit=2)])
    """,
    "generators thrown into, closed and left": """
        def g():
            while True:
                try: yield x
                except ValueError as error: log(('caught', str(error)))
                except GeneratorExit: log('closed'); raise
        def outer(): return (yield from g())
        it = outer()
        out = [next(it), it.throw(ValueError('v')), it.gi_yieldfrom is not None]
        it.close(); it.close()
        left = outer(); next(left); del left
        out.append(next(it, 'over'))
        return out
    """,
    "a generator that yields in finally": """
        def g():
            try: yield 1
            finally: yield 'while closing'
        it = g(); next(it)
        try: it.close()
        except RuntimeError as error: return str(error)
    """,
    "recursion": "def down(n): return n and 1 + down(n - 1)\nreturn down(60)",
    "numbers, text and other constants": "return 10**30, 0x_ff, 1_000j, 'a' 'b', b'\\x00', r'\\n', f'{x!r:>4}{x=}', ..., True, None, 1e400, -0.0, (1, (2.0, 'c'))",
    "very many locals and arguments": "\n".join([*(f"v{i} = {i}" for i in range(400)), "return sum(v for k, v in locals().items() if k[0] == 'v')"]),
    "jumps too far for one byte": "\n".join(["while x:", *(f"    y{i} = x" for i in range(300)), "    if y0: break", "return y299"]),
    "ninety blocks inside one another": "\n".join([*(" " * i + "if x:" for i in range(90)), " " * 90 + "return 'deep'"]),
    "twenty blocks with an end each": "\n".join([*(" " * i + ("for _ in [1]:", "with __import__('contextlib').nullcontext():", "try:")[i % 3] for i in range(18)), " " * 18 + "return x",
                                                 *(" " * i + "finally: log(1)" for i in range(17, -1, -1) if i % 3 == 2)]),
}  # fmt: skip
if sys.version_info >= (3, 12):
    BODIES |= {
        "8.10 type parameters": """
            type Alias[T: int, *Ts, **P] = dict[T, tuple[*Ts]]
            def g[T: (int, str) = int](a: T, b: 'T' = 2) -> T: return a, g.__type_params__[0].__name__
            class C[T](list[T]):
                def m[U](self, u: U) -> tuple[T, U]: return __class__.__name__, [t.__name__ for t in C.__type_params__]
            return str(Alias.__type_params__), g(x), C([x]).m(1), C.__orig_bases__ != (), Alias[int, str, [x]].__origin__ is Alias
        """.replace(" = int](a", "](a" if sys.version_info < (3, 13) else " = int](a"),
        "2.5.4 f-strings within f-strings": """return f"{f'{x}' + f"{'q'!r}"} {x:{'>'}{3}} { {'a': 1}['a'] }" """,
        "inlined comprehensions": """
            i = 'outer'
            a = [i for i in range(3)]
            b = [(lambda: j)() for j in range(2)]
            class C: k = [k for k in range(2)]
            return a, i, b, C.k, [[m for m in range(n)] for n in range(3)], sorted(locals())
        """,
    }
if sys.version_info >= (3, 14):
    BODIES |= {
        "except without parentheses": "try: raise KeyError(x)\nexcept ValueError, KeyError: return 'caught'",
        "template strings": "return str(t'{x} and {1 + 1}'.values)",
    }


@pytest.mark.parametrize("section", BODIES)
def test_the_language(section):
    """Results, exceptions with positions, effects and looks, in every state, by both ways of weaving."""
    body = textwrap.dedent(BODIES[section]).strip("\n")
    source = "def f(x):\n" + textwrap.indent(body, "    ") + "\n"
    source += textwrap.dedent("""
        def main():
            out = []
            for x in (1, 2, "x"):
                try: out.append(f(x))
                except Exception as error: out.append((type(error).__name__, str(error), error.__traceback__.tb_next.tb_lineno))
            return out, [f(x) for x in (1, "x")]
    """)
    assert compare(source) > 0
