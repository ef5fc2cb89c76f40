"""Who reads a function's instructions, or follows every line, sees the author's."""

from __future__ import annotations

import pytest
from interplay_kit import same

from autoscope.weave import aside, finder
from program_kit import SHELF

KERNELS = """
import functools, math
import numba, numpy
from numba import float64, njit, vectorize

def noted(function):
    @functools.wraps(function)
    def around(*arguments): return function(*arguments)
    return around
@njit
def total(x):
    s = 0.0
    for i in range(10): s += part(x, i)
    return s
@njit(cache=True)
def part(x, i): return math.sqrt(x) + i
@vectorize([float64(float64)])
def twice(x): return x * 2
def plain(x): return x + 1
compiled = njit(plain)
thrice = njit(lambda x: x * 3)
def made(n):
    def inner(x): return x + n
    return inner
added, given = njit(made(5)), made(7)
def length(a): return len(a)
@numba.extending.overload(length)
def replaced(a):
    def inner(a): return 100
    return inner
@njit
def calls_replaced(a): return length(a)
@njit
def closes_over(x):
    def inner(y): return y * x
    return inner(3)
@numba.stencil
def neighbours(a): return a[-1] + a[1]
@numba.experimental.jitclass([("a", numba.int64)])
class Jitted:
    def __init__(self, a): self.a = a
    def double(self): return self.a * 2
@numba.cfunc("float64(float64)")
def callback(x): return x + 0.5
def main():
    print(total(2.0), twice(numpy.arange(3.0)), compiled(1), plain(1), thrice(2), added(1), given(1))
    print(calls_replaced((1, 2)), closes_over(4), neighbours(numpy.arange(5.0)), Jitted(4).double(), callback.ctypes(1.0))
    try: njit(lambda x: x.nothing)(1)
    except numba.TypingError as error: print(str(error).splitlines()[0], str(error).splitlines()[-6:])
"""


def test_numba(tmp_path):
    """Compiled functions compile, at module level and nested, with a cache, and are left alone; what calls them is traced."""
    pytest.importorskip("numba")
    files = {"kernels.py": KERNELS, "app.py": "import kernels\nkernels.main()"}
    env = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    recorded = ("kernels.main", "kernels.made", "kernels.made.<locals>.inner")
    ran = same(tmp_path, files, recorded=recorded, env=env, strategies=("full_trace",))
    assert "kernels.total" not in ran.names
    # Turned on by the program, when numba and its functions are there.
    files["app.py"] = """
import os
import kernels
if os.environ.get("STORE"):
    import autoscope
    autoscope.install(include=["kernels"], strategy="full_trace", store=os.environ["STORE"])
kernels.main()
"""
    traced = {"STORE": str(tmp_path / "late" / "full_trace" / "store"), "AUTOSCOPE_STRATEGY": "", "AUTOSCOPE_STORE": ""}
    same(
        tmp_path / "late",
        files,
        recorded=("kernels.main", "kernels.made.<locals>.inner"),
        env=env,
        traced=traced,
        strategies=("full_trace",),
    )


PONY = """
from pony.orm import Database, Required, count, db_session, desc, select
db = Database()
class Person(db.Entity):
    name = Required(str)
    age = Required(int)
    @property
    def double(self): return self.age * 2
    def older(self, years): return self.age > years
db.bind("sqlite", ":memory:")
db.generate_mapping(create_tables=True)
def query(limit): return Person.select(lambda p: p.age > limit and p.double < 200 or p.older(35)).order_by(lambda p: desc(p.age))
@db_session
def main():
    for i in range(5): Person(name=f"n{i}", age=i * 10)
    print([p.name for p in query(15)], [p.name for p in query(25)], [p.older(20) for p in query(5)])
    print(select(p.name for p in Person if p.age > 15)[:], count(p for p in Person), query(10).get_sql())
main()
"""


def test_pony(tmp_path):
    """Lambdas, generator expressions, properties and methods that become SQL."""
    pytest.importorskip("pony")
    same(tmp_path, PONY, recorded="query", strategies=("full_trace",))


TORCH = """
import warnings
import torch
warnings.simplefilter("ignore")
def helper(x): return torch.sin(x) + 1
def traced(x, n=2):
    inner = lambda y: y * 2
    for i in range(n): x = inner(helper(x)) * i
    return x
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)
        with torch.no_grad(): self.linear.weight.fill_(0.5); self.linear.bias.zero_()
    def forward(self, x): return self.act(self.linear(x))
    def act(self, y): return torch.relu(y)
@torch.compile(backend="eager")
def breaks(x):
    if x.sum() > 0: return helper(x)
    return x - 1
def main():
    print(torch.compile(traced, backend="eager", fullgraph=True)(torch.ones(3)))
    print(torch.compile(Model(), backend="eager", fullgraph=True)(torch.ones(1, 3)))
    print(breaks(torch.ones(2)), breaks(-torch.ones(2)))
    explained = torch._dynamo.explain(traced)(torch.ones(3))
    print(explained.graph_count, explained.graph_break_count, explained.graphs[0].code)
    print(torch.jit.script(helper).code, torch.fx.symbolic_trace(helper).code)
    print(torch.func.vmap(lambda x: x * 2)(torch.arange(3)))
    print(torch.export.export(Model(), (torch.ones(1, 3),)).graph_module.code)
main()
"""


def test_torch(tmp_path):
    """What `torch.compile` and `torch.export` make of functions, whole graphs and broken ones."""
    pytest.importorskip("torch", reason="half a gigabyte: pip install torch, and run this")
    same(tmp_path, TORCH, recorded="main", strategies=("full_trace",))


HYPOTHESIS = """
import functools
from hypothesis import find, given, settings, strategies as st
def identity(x): return x
class Kept:
    def same(self, x): return x
    def other(self, x): return x, 1
limit = 3
whole = st.integers()
print(whole.map(lambda x: x * 2), whole.filter(lambda q, *, w=1: q > limit), whole.map(lambda x: x), st.builds(lambda a, b=2: [a], whole))
for function in (identity, Kept().same, Kept().other, lambda x: x, functools.partial(identity)):
    print(whole.map(function) is whole, repr(whole.map(function)).replace(hex(id(function)), ""))
@settings(derandomize=True, database=None)
@given(st.integers(), st.text().map(lambda s: s + "!"))
def fails(number, text):
    if number > 100:
        total = number + len(text)
        assert total < 3
try: fails()
except AssertionError as error: print(error, error.__notes__)
@settings(derandomize=True, database=None)
@given(st.functions(like=lambda a: a, returns=st.booleans()))
def shows(function): assert function(1)
try: shows()
except AssertionError as error: print(error, error.__notes__)
print(find(whole, lambda x: x > 10))
"""


def test_hypothesis(tmp_path):
    """Failing examples, what strategies are called, which are simplified, and the lines said to explain a failure."""
    ran = same(tmp_path, HYPOTHESIS, recorded="fails", strategies=("full_trace",))
    assert "lambda x: x * 2" in ran.out
    assert "only run by failing" in ran.out


BY_VALUE = (
    """
import hashlib, sys
import cloudpickle, dill
from numba import cloudpickle as copy
"""
    + SHELF
    + """def looked_at(thing): return [hashlib.sha256(tool.dumps(thing)).hexdigest() for tool in (cloudpickle, copy)]
for thing in (outer, outer(1), lambda x: x + limit, Cart.add, Cart.empty): print(looked_at(thing))
print(cloudpickle.loads(cloudpickle.dumps(outer))(2)[0](3), dill.loads(dill.dumps(outer(1)))[0](4))
print(hashlib.sha256(dill.dumps(outer(1), recurse=True)).hexdigest())
"""
)


def test_functions_by_value(tmp_path):
    """What is sent elsewhere, or hashed as dask and its like do, is the same byte for byte."""
    same(tmp_path, BY_VALUE, recorded=("outer", "looked_at"), strategies=("full_trace",))


def test_the_finder_knows_all_readers():
    assert aside.READERS.keys() == finder.READERS
