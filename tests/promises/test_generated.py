"""Programs nobody wrote: hypothesis makes them, plain and woven are compared in every state."""

from __future__ import annotations

import os
import sys

from harness import PATHS, Prelude, compare
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("GENERATED_CASES", "100"))

VALUES = st.sampled_from(
    [
        "a", "b", "a + b", "a * 2 - 1", "[a, b][a % 2]", "(a if b > 1 else b)", "sum(i for i in range(a % 4))",
        "len([x for x in range(b % 5) if x])", "(lambda q: q + a)(b)", "call(a - 1)", "(n := a % 3)", "10 // (a % 3)",
        "{0: a}[b % 2]", "int(str(a))", "max(a, b)", "len(f'{a!r:>{b % 4}}')", "sum((a, *range(b % 3)))",
        "sum({**{'k': a}, 'b': b}.values())", "[*range(4)][a % 4:][0]", "(0 < a < b) + 1", "(a or b) and 2",
        "len({x: y for x in range(2) for y in range(a % 3)})", "not_there if a > 5 else 1", "len(((), frozenset({1, 'x'}), ..., 1j, b'b'))",
        "[f() for f in [lambda: a, lambda: b]][b % 2]", "star(a, *[b], k=a, **{'z': b})", "sum(map(lambda x: x + a, [1]))",
        "Thing(a).value", "Thing[b]", "int(Thing(a) == Thing(b))", "next(iter([a]))", "len(dir())", "len(vars())",
        "eval('a + 1', {'a': a})", "9999999999999999999 % (a + 7)", "hash(('autoscope', 1)) % 1 + a",
    ]
)  # fmt: skip
RAISES = st.sampled_from(
    [
        "ValueError(a)", "KeyError('k')", "ZeroDivisionError", "RuntimeError('r')", "StopIteration(b)", "Odd('o', a)",
        "ExceptionGroup('g', [ValueError(a), KeyError(b)])", "GeneratorExit", "ValueError(a) from KeyError(b)", "Odd(a) from None",
    ]
)  # fmt: skip
CATCHES = st.sampled_from(
    [
        "ValueError",
        "(KeyError, IndexError)",
        "ZeroDivisionError",
        "Exception",
        "ArithmeticError",
        "Odd",
        "UnboundLocalError",
    ]
)
PARAMETERS = st.sampled_from(
    ["a=a, b=1", "a, /, b=2", "a=1, *, b=a", "a=2, *rest, b=0", "a: int = 1, b: 'str' = 2", "a=a, b=b, **kw", "a=3, b=(lambda: 2)()"]
)  # fmt: skip
ARGUMENTS = st.sampled_from(["", "1", "b % 3"])
DECORATORS = st.sampled_from(
    ["@same", "@wrapped", "@wrapped\n@same", "@functools.lru_cache", "@(lambda f: f)", "@functools.singledispatch"]
)

YIELDS = ("generator", "async generator")
AWAITS = ("coroutine", "async generator")

ANYWHERE = {
    "assign": "{ab} = {value}",
    "augment": "{ab} += {value} % 5",
    "unpack": "a, *rest, b = {value} % 3, 1, 2, {value} % 2",
    "log": "log(({value}, 'here'))",
    "raise": "if a == {small}: raise {raises}",
    "call": "log(call({value}))",
    "assert": "assert {value} != {small}, 'asserted'",
    "delete": "del {ab}",
    "set again": "a, b = 1, 2",
    "names": "log(sorted(locals()))",
    "frame": "frame = sys._getframe(); log((frame.f_code.co_name, frame.f_lineno, frame.f_back.f_code.co_name)); del frame",
    "caller": "log(caller())",
    "warn": "warn()",
    "exec": "exec('c9 = 1\\nlog(c9)', {'log': log})",
    "import": "import string as text; log(text.digits)",
    "annotated": "note: int = {value}",
    "dies": "mortal = Mortal('m{small}')",
    "dies at once": "Mortal('t{small}')",
    "passed on": "keeps(Mortal('p{small}'))",
    "global": "counters['n'] = counters.get('n', 0) + {value}",
    "unicode": "ärger = {value}; log(ärger)",
    "constants": "log((None, ..., 'SITE', -1, 1e300, b'', (1, (2, 'three')), frozenset()))",
    "described": "log(Described().field)",
    "nothing": "pass",
    "traceback": "log([line for line in traced_lines()])",
}
IN_YIELDS = {
    "yield": "yield {value}",
    "send": "a = (yield {value}) or 1",
    "yield object": "yield Mortal('y{small}').name",
}
IN_GENERATORS = {
    "delegate": "b = (yield from other(a % 3)) or b",
    "delegate to a list": "yield from [{value}]",
}
IN_AWAITS = {
    "await": "log(await pause({value}))",
    "gather": "log(await asyncio.gather(pause({value}), pause(1)))",
    "task": "log(await asyncio.ensure_future(pause({value})))",
    "timeout": "log(await asyncio.wait_for(pause({value}), 5))",
    "async list": "log([x async for x in numbers(b % 3)])",
    "async list of awaits": "log([await pause(x) for x in range(b % 3)])",
}
if sys.version_info >= (3, 12):
    ANYWHERE["type alias"] = "type Alias[T] = list[T]; log(str(Alias.__type_params__))"


def indent(lines: list[str]) -> list[str]:
    return ["    " + line for text in lines for line in text.split("\n")] or ["    pass"]


@st.composite
def block(draw, depth: int, kind: str, loop: bool) -> list[str]:
    """Some statements of a function of this kind."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines += draw(statement(depth, kind, loop))
    return lines


def fill(draw, template: str) -> str:
    for word, strategy in (
        ("{value}", VALUES),
        ("{raises}", RAISES),
        ("{small}", st.integers(0, 3).map(str)),
        ("{ab}", st.sampled_from("ab")),
    ):
        while word in template:
            template = template.replace(word, draw(strategy), 1)
    return template


NESTED = (
    "if", "for", "while", "try", "finally", "with", "def", "class", "match", "closure", "return in finally", "again", "group",
    "nested generator",
)  # fmt: skip


@st.composite
def statement(draw, depth: int, kind: str, loop: bool) -> list[str]:
    simple = ANYWHERE
    if kind in YIELDS:
        simple = simple | IN_YIELDS
    if kind == "generator":
        simple = simple | IN_GENERATORS
    if kind in AWAITS:
        simple = simple | IN_AWAITS
    special = ["return"] * 2 + ["break", "continue"] * loop + list(IN_YIELDS) * 2 * (kind in YIELDS)
    nested = list(NESTED) if depth else []
    if depth and kind in AWAITS:
        nested += ["async with", "async for"]
    what = draw(st.sampled_from([*simple, *special, *nested, *nested]))
    if what in simple:
        return [fill(draw, simple[what])]
    value = draw(VALUES)
    inner = block(depth - 1, kind, loop)
    small = draw(st.integers(0, 4))
    match what:
        case "return":
            result = "" if kind == "async generator" else f" {value}"
            return [f"if b == {small}: return{result}"]
        case "break" | "continue":
            return [f"if a > {small}: {what}"]
        case "if":
            return [
                f"if {value} > 1:",
                *indent(draw(inner)),
                f"elif {value} == 0:",
                "    pass",
                "else:",
                *indent(draw(inner)),
            ]
        case "for":
            body = draw(block(depth - 1, kind, True))
            return [f"for a in range(({value}) % 3):", *indent(body), "else:", *indent(draw(inner))]
        case "while":
            counter = f"c{depth}"
            body = [f"{counter} -= 1", *draw(block(depth - 1, kind, True))]
            return [f"{counter} = 2", f"while {counter} > 0:", *indent(body)]
        case "try":
            return [
                "try:", *indent(draw(inner)),
                f"except {draw(CATCHES)} as error:", *indent(["log(repr(error))", *draw(inner)]),
                "else:", *indent(draw(inner)),
            ]  # fmt: skip
        case "again":
            return ["try:", *indent(draw(inner)), f"except {draw(CATCHES)}:", *indent([*draw(inner), "raise"])]
        case "finally":
            return ["try:", *indent(draw(inner)), "finally:", *indent(["log('finally')", *draw(inner)])]
        case "return in finally":
            leave = "break" if loop and small else "return" if kind == "async generator" else f"return {value}"
            return ["try:", *indent(draw(inner)), "finally:", *indent([f"if a == {small % 3}: {leave}"])]
        case "group":
            body = draw(block(depth - 1, kind, False))
            handler = _handler(draw(block(depth - 1, kind, False)))
            return ["try:", *indent(body), "except* ValueError as errors:", "    log(repr(errors))", *handler]
        case "with":
            return [f"with Guard({value} % 2) as g, held(b):", *indent(draw(inner))]
        case "async with":
            return [f"async with AsyncGuard({value} % 2):", *indent(draw(inner))]
        case "async for":
            body = draw(block(depth - 1, kind, True))
            return [f"async for a in numbers(({value}) % 3):", *indent(body), "else:", *indent(draw(inner))]
        case "match":
            return [
                f"match {value}:", "    case 0 | 1:", *indent(indent(draw(inner))),
                "    case int(q) if q > 2:", *indent(indent(["log(q)", *draw(inner)])),
                "    case {'k': v} | [v, *_]:", "        log(v)", "    case _:", "        pass",
            ]  # fmt: skip
        case "closure":
            body = draw(block(depth - 1, "function", False))
            return [
                f"near{depth} = {value}",
                f"def inside{depth}(b=1, a=2):", f"    nonlocal near{depth}", *indent([f"near{depth} += 1", *body, f"return near{depth}"]),
                f"log((inside{depth}(), inside{depth}(b=2), near{depth}))",
            ]  # fmt: skip
        case "class":
            body = draw(block(depth - 1, "function", False))
            bases = draw(st.sampled_from(["", "(Base)", "(Base, metaclass=Meta)", "(Base, tag=1)"]))
            return [
                f"class Local{bases}:", '    """Doc."""', "    __hidden = 1", "    size = a if 'a' in dir() else 0",
                "    def __init__(self, a=1, b=2):", "        super().__init__()", *indent(indent([*body, "self.__own = b"])),
                "    @property", "    def own(self): return self.__own + self.__hidden",
                "    @classmethod", "    def make(cls, *args): return cls(*args)",
                "    @staticmethod", "    def still(a, b=0): return a", "    def __len__(self): return self.own",
                "    def described(self): return __class__.__name__",
                "made = Local.make(1)", "log((made.own, Local.still(3), len(made), made.described(), sorted(vars(made))))",
            ]  # fmt: skip
        case "nested generator":
            body = draw(block(depth - 1, "generator", False))
            take = draw(
                st.sampled_from(
                    ["list({})", "next({}, None)", "[x for x in {}]", "tuple(zip({}, range(2)))", "close({})"]
                )
            )
            return [
                f"def steps{depth}(a=1, b=2):", *indent([*body, "yield a"]),
                f"log({take.format(f'steps{depth}({draw(ARGUMENTS)})')})",
            ]  # fmt: skip
        case _:
            body = draw(block(depth - 1, "function", False))
            decorator = draw(DECORATORS).split("\n") if draw(st.booleans()) else []
            parameters, name = draw(PARAMETERS), "inside"
            if sys.version_info >= (3, 12) and draw(st.booleans()):
                name += "[T: int, *Ts]"
            return [
                *decorator, f"def {name}({parameters}) -> 'int':", *indent([*body, "return b"]),
                f"log(inside({draw(ARGUMENTS) or 1}))",
            ]  # fmt: skip


def _handler(lines: list[str]) -> list[str]:
    """What `except*` may hold: no `break`, `continue` or `return`."""
    return [] if any(word in line for line in lines for word in ("break", "continue", "return")) else indent(lines)


PRELUDE = """
import asyncio, functools, sys, traceback, warnings, weakref
from contextlib import contextmanager
counters = {}
class Odd(Exception):
    def __str__(self): return "odd " + str(len(self.args))
class Guard:
    def __init__(self, swallow): self.swallow = swallow
    def __enter__(self): log("enter"); return self
    def __exit__(self, kind, error, traceback):
        log((kind and kind.__name__, traceback and traceback.tb_lineno))
        return bool(self.swallow) and kind is not None and issubclass(kind, Exception)
class AsyncGuard(Guard):
    async def __aenter__(self): await asyncio.sleep(0); return self.__enter__()
    async def __aexit__(self, *what): await asyncio.sleep(0); return self.__exit__(*what)
@contextmanager
def held(x):
    log("held")
    try: yield x
    finally: log("let go")
class Mortal:
    def __init__(self, name): self.name = name
    def __del__(self): log("end of " + self.name)
def keeps(mortal): return mortal.name
class Thing:
    def __init__(self, value): self.value = value
    def __eq__(self, other): return self.value == other.value
    def __hash__(self): return 1
    def __class_getitem__(cls, item): return item
class Described:
    class Field:
        def __get__(self, owner, kind): return kind.__name__
        def __set_name__(self, owner, name): log(name)
    field = Field()
class Base:
    def __init_subclass__(cls, tag=0): log((cls.__name__, tag))
class Meta(type):
    def __prepare__(name, bases, **kw): return {}
    def __call__(cls, *args): return super().__call__(*args)
def same(function): return function
def wrapped(function):
    @functools.wraps(function)
    def around(*args, **kw): return function(*args, **kw)
    return around
def star(*args, k=0, **kw): return sum(args) + k + len(kw)
def close(generator):
    got = next(generator, None)
    generator.close()
    return got
def caller():
    frame = sys._getframe(1)
    return frame.f_code.co_name, frame.f_lineno
def warn():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn("w", stacklevel=2)
    log([(str(w.message), w.lineno, w.filename) for w in seen])
def traced_lines():
    try: 1 / 0
    except ZeroDivisionError as error: return [f.name for f in traceback.extract_stack(error.__traceback__.tb_frame, limit=2)]
async def pause(x):
    await asyncio.sleep(0)
    return x
async def numbers(n):
    try:
        for i in range(n): yield i
    finally: log("numbers over")
def other(n):
    try:
        for i in range(n):
            got = yield i
            if got: log(("sent", got))
    except ValueError as error: log(repr(error))
    return n
budget = [60]
def call(x):
    budget[0] -= 1
    if budget[0] < 0 or x < 0 or x > 3: return x
    return FUNCTION(x, 1)
"""
COMMON = Prelude.of(PRELUDE)
DRIVERS = {
    "function": """
def FUNCTION(a, b): return subject(a, b)
def drive(a, b): return subject(a, b)
""",
    "generator": """
def FUNCTION(a, b): return next(subject(a, b), None)
def drive(a, b):
    it, out = subject(a, b), []
    try:
        out.append(next(it))
        out.append(it.send(2))
        out.append(it.throw(ValueError("thrown")))
        out += list(it)
    except StopIteration as stop: out.append(("stop", stop.value))
    it = subject(b, a)
    try: next(it, None)
    finally: it.close()
    return out
""",
    "coroutine": """
def FUNCTION(a, b): return a
def drive(a, b): return asyncio.run(subject(a, b))
""",
    "async generator": """
def FUNCTION(a, b): return a
def drive(a, b):
    async def top():
        it, out = subject(a, b), []
        try:
            out.append(await it.asend(None))
            out.append(await it.asend(2))
            out.append(await it.athrow(ValueError("thrown")))
            out += [x async for x in it]
        except StopAsyncIteration: out.append("stop")
        await it.aclose()
        return out
    return asyncio.run(top())
""",
}
MAIN = """
def main():
    out = []
    for a in range(3):
        for b in (0, 3):
            budget[0] = 20
            try: out.append(drive(a, b))
            except (Exception, GeneratorExit) as error: out.append((type(error).__name__, str(error)))
    budget[0] = 20
    return out, drive(1, 2)
"""


@st.composite
def programs(draw) -> str:
    """A whole case: one function of some kind, and what drives it."""
    kind = draw(st.sampled_from(sorted(DRIVERS)))
    body = draw(block(3, kind, False))
    if kind in YIELDS:
        body.append("yield a")
    define = "async def" if kind in AWAITS else "def"
    head = draw(st.sampled_from(["", "", "from __future__ import annotations"]))
    doc = draw(st.sampled_from([[], ['"""What it does."""'], ["..."]]))
    return "\n".join([head, f"{define} subject(a, b):", *indent([*doc, *body]), DRIVERS[kind], MAIN])


@given(programs())
@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes: add Phase.shrink by hand
)
def test_generated_programs_cannot_tell(source):
    """Same results, exceptions, positions, order of effects, looks."""
    # The source rewrite cannot wake a generator something is thrown into: what it calls then has its consumer as parent.
    compare(source, prelude=COMMON, paths=PATHS[:1])
