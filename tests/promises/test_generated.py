"""Programs nobody wrote: hypothesis makes them, plain and woven are compared in every state."""

from __future__ import annotations

from harness import PATHS, compare
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXPRESSIONS = st.sampled_from(
    [
        "a", "b", "a + b", "a * 2 - 1", "[a, b][a % 2]", "(a if b > 1 else b)", "sum(i for i in range(a % 4))",
        "len([x for x in range(b % 5) if x])", "(lambda q: q + a)(b)", "call(a - 1)", "(n := a % 3)", "10 // (a % 3)",
        "{0: a}[b % 2]", "int(str(a))", "max(a, b)",
    ]
)  # fmt: skip
RAISES = st.sampled_from(
    ["ValueError(a)", "KeyError('k')", "ZeroDivisionError", "RuntimeError('r')", "StopIteration(b)"]
)
CATCHES = st.sampled_from(["ValueError", "(KeyError, IndexError)", "ZeroDivisionError", "Exception", "ArithmeticError"])


def indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines] or ["    pass"]


@st.composite
def block(draw, depth: int, kind: str, loop: bool) -> list[str]:
    """Some statements of a function of this kind."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines += draw(statement(depth, kind, loop))
    return lines


@st.composite
def statement(draw, depth: int, kind: str, loop: bool) -> list[str]:
    simple = ["assign", "log", "raise", "return", "call"]
    if kind in ("generator", "async generator"):
        simple += ["yield", "yield", "send"]
    if kind == "generator":
        simple += ["delegate"]
    if kind in ("coroutine", "async generator"):
        simple += ["await", "await"]
    if loop:
        simple += ["break", "continue"]
    nested = ["if", "for", "while", "try", "finally", "with", "def"] if depth else []
    what = draw(st.sampled_from(simple + nested * 2))
    value = draw(EXPRESSIONS)
    inner = block(depth - 1, kind, loop)
    match what:
        case "assign":
            return [f"{draw(st.sampled_from('ab'))} = {value}"]
        case "log":
            return [f"log(({value}, 'here'))"]
        case "raise":
            return [f"if a == {draw(st.integers(0, 3))}: raise {draw(RAISES)}"]
        case "return":
            result = "" if kind == "async generator" else f" {value}"
            return [f"if b == {draw(st.integers(0, 4))}: return{result}"]
        case "call":
            return [f"log(call({value}))"]
        case "yield":
            return [f"yield {value}"]
        case "send":
            return [f"a = (yield {value}) or a"]
        case "delegate":
            return ["b = (yield from other(a % 3)) or b"]
        case "await":
            return [f"log(await pause({value}))"]
        case "break" | "continue":
            return [f"if a > {draw(st.integers(0, 3))}: {what}"]
        case "if":
            return [f"if {value} > 1:", *indent(draw(inner)), "else:", *indent(draw(inner))]
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
        case "finally":
            return ["try:", *indent(draw(inner)), "finally:", *indent(["log('finally')", *draw(inner)])]
        case "with":
            return [f"with Guard({value} % 2):", *indent(draw(inner))]
        case _:
            body = draw(block(depth - 1, "function", False))
            return ["def inside(a=a, b=1):", *indent([*body, "return b"]), "log(inside(b % 3))"]


PRELUDE = """
import asyncio
class Guard:
    def __init__(self, swallow): self.swallow = swallow
    def __enter__(self): log("enter"); return self
    def __exit__(self, kind, error, traceback):
        log((kind and kind.__name__, traceback and traceback.tb_lineno))
        return bool(self.swallow) and kind is not None and issubclass(kind, Exception)
async def pause(x):
    await asyncio.sleep(0)
    return x
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
    if "generator" in kind:
        body.append("yield a")
    define = "async def" if kind in ("coroutine", "async generator") else "def"
    return "\n".join([PRELUDE, f"{define} subject(a, b):", *indent(body), DRIVERS[kind], MAIN])


@given(programs())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes: add Phase.shrink by hand
)
def test_generated_programs_cannot_tell(source):
    """Same results, exceptions, positions, order of effects, looks."""
    compile(source, "<generated>", "exec")
    # The source rewrite cannot wake a generator something is thrown into: what it calls then has its consumer as parent.
    compare(source, paths=PATHS[:1])
