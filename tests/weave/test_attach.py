"""`install()` in a running program, what it finds there, and that `uninstall()` leaves no trace of it."""

from __future__ import annotations

import functools
import importlib
import sys
import textwrap
import types

import pytest

import autoscope
from autoscope import bootstrap
from autoscope.runtime import sites
from autoscope.weave import attach

SOURCE = """
import functools

def plain():
    return len("abc")

def deco(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

def bare(function):
    def wrapper(*args):
        return function(*args)
    return wrapper

@deco
def decorated():
    return plain()

@bare
def hidden():
    return plain()

@functools.lru_cache
def cached(n):
    return plain() + n

@functools.singledispatch
def dispatched(x):
    return plain()

@dispatched.register
def _of_int(x: int):
    return plain() + x

part = functools.partial(plain)
table = {"key": lambda: plain()}

def make():
    count = 0
    def inner():
        nonlocal count
        count += plain()
        return count
    return inner

closure = make()

class C:
    def method(self):
        return plain()
    @staticmethod
    def static():
        return plain()
    @classmethod
    def klass(cls):
        return plain()
    @property
    def prop(self):
        return plain()
    @prop.setter
    def prop(self, value):
        plain()
    @functools.cached_property
    def once(self):
        return plain()
    half = functools.partialmethod(method)
    class Inner:
        def deep(self):
            return plain()

class Slotted:
    __slots__ = ("x",)
    def __init__(self):
        self.x = plain()

def generate():
    yield plain()

async def wait():
    return plain()

def call_all():
    c = C()
    c.prop = 1
    return [plain(), decorated(), hidden(), cached(1), dispatched(""), dispatched(2), part(), table["key"](), closure(), c.method(),
            C.static(), C.klass(), c.prop, c.once, c.half(), C.Inner().deep(), Slotted().x, list(generate())]
"""
EXPECTED = [
    "C.Inner.deep", "C.klass", "C.method", "C.once", "C.prop", "C.static", "Slotted.__init__", "_of_int", "bare", "cached", "call_all",
    "deco", "decorated", "dispatched", "generate", "hidden", "make", "make.<locals>.inner", "plain", "wait",
]  # fmt: skip


@pytest.fixture
def case(tmp_path, monkeypatch):
    (tmp_path / "case_attach.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("case_attach")
    sys.modules.pop("case_attach", None)


def install(**more):
    return autoscope.install(**{"strategy": "full_trace", "include": ["case_attach"], "store": "", **more})


def functions():
    import gc
    from types import FunctionType

    namespace = sys.modules["case_attach"].__dict__
    return {
        id(thing): (thing, thing.__code__)
        for thing in gc.get_objects()
        if type(thing) is FunctionType and thing.__globals__ is namespace
    }


def recorded():
    names = sorted({record[0].qualname for record in sites.recorded()})
    sites.records.clear()
    return names


def test_everything_imported_before_is_found(case):
    with install():
        found = {site.qualname for site in sites.sites}
        assert set(EXPECTED) <= found
        assert "deco.<locals>.wrapper" in found
        sites.records.clear()
        case.call_all()
        called = set(recorded())
        assert called >= set(EXPECTED) - {"bare", "deco", "make", "wait"}


def test_results_are_the_same(case):
    plain = case.call_all()
    with install():
        case.closure.__closure__[0].cell_contents -= 3
        case.cached.cache_clear()
        assert case.call_all() == plain


@pytest.mark.parametrize("times", [1, 2])
def test_uninstall_gives_everything_back(case, times):
    before = functions()
    meta_path, hooks = list(sys.meta_path), list(sys.path_hooks)
    for _ in range(times):
        handle = install()
        assert any(function.__code__ is not code for function, code in before.values())
        case.call_all()
        handle.uninstall()
    for function, code in before.values():
        assert function.__code__ is code, function
    assert (sys.meta_path, sys.path_hooks) == (meta_path, hooks)
    case.call_all()
    assert sites.records == []
    assert bootstrap.running is None
    handle.uninstall()


def test_modules_imported_while_it_ran_get_their_own_code_back(case, tmp_path):
    (tmp_path / "case_attach_late.py").write_text("def f():\n    def g():\n        return len('abc')\n    return g\n")
    handle = install(include=["case_attach*"])
    late = importlib.import_module("case_attach_late")
    inner = late.f()
    inner()
    assert {"f", "f.<locals>.g"} <= set(recorded())
    handle.uninstall()
    code = compile((tmp_path / "case_attach_late.py").read_text(), late.__file__, "exec", dont_inherit=True).co_consts[
        0
    ]
    assert late.f.__code__ == code
    assert late.f().__code__ == code.co_consts[1]
    inner()
    assert sites.records == []


def test_a_second_install_replaces_the_first(case):
    before = functions()
    first = install()
    second = install(exclude=["nothing"])
    first.uninstall()
    assert bootstrap.running is not None
    case.plain()
    assert recorded() == ["plain"]
    second.uninstall()
    for function, code in before.values():
        assert function.__code__ is code


def test_the_context_of_opentelemetry_is_as_before(case):
    context = pytest.importorskip("opentelemetry.context")
    before = context._RUNTIME_CONTEXT
    token = context.attach(context.set_value("k", 1))
    handle = install()
    assert context.get_value("k") == 1
    handle.uninstall()
    assert context._RUNTIME_CONTEXT is before
    assert context.get_value("k") == 1
    context.detach(token)
    assert context.get_value("k") is None


def test_a_context_manager_that_is_left_by_an_error(case):
    code = case.plain.__code__
    with pytest.raises(KeyError), install() as handle:
        assert isinstance(handle, autoscope.Handle)
        raise KeyError
    assert case.plain.__code__ is code


def test_a_generator_that_outlives_it(case):
    handle = install()
    steps = case.generate()
    assert next(steps) == 3
    handle.uninstall()
    assert list(steps) == []


def test_off_and_on_again(case):
    code = case.plain.__code__
    with install():
        traced = case.plain.__code__
        assert autoscope.update("case_attach.*", level="off") >= len(EXPECTED)
        assert case.plain.__code__ is code
        case.call_all()
        assert recorded() == []
        autoscope.update("case_attach.plain", level="full_trace")
        assert case.plain.__code__ is traced
        case.call_all()
        assert recorded() == ["plain"]
        assert autoscope.update("*", level="full_trace") >= len(EXPECTED)
        case.call_all()
        assert "call_all" in recorded()


def test_off_at_one_closure_reaches_the_next(case):
    with install():
        autoscope.update("*inner", level="off")
        made = case.make()
        sites.records.clear()
        made()
        case.closure()
        assert recorded() == ["plain"]


def test_the_rate_of_a_site(case):
    with install():
        assert autoscope.update("case_attach.plain", rate=0.0) == 1
        case.decorated()
        assert recorded() == ["deco.<locals>.wrapper", "decorated"]
        autoscope.update("case_attach.plain", rate=1.0)
        case.decorated()
        assert "plain" in recorded()


@pytest.mark.parametrize(
    "wrong", [{"level": "loud"}, {"rate": 2}, {"rate": -1}, {"capture": {}}, {"for_": 1}, {"rate": 1, "for_": 0}]
)
def test_what_cannot_be_changed_is_refused(case, wrong):
    with install(), pytest.raises(autoscope.AutoscopeError):
        autoscope.update("*", **wrong)


def test_nothing_matches(case):
    with install():
        assert autoscope.update("nope.*", level="off") == 0
    assert autoscope.update("*", level="off") == 0


def test_stats_and_flush(case, tmp_path):
    from autoscope.read.runs import open_run

    assert autoscope.stats()["woven"] == 0
    assert autoscope.flush()
    with install(store=str(tmp_path / "s")):
        before = autoscope.stats()["recorded"]
        for _ in range(10):
            case.plain()
        assert autoscope.flush(5.0)
        counts = autoscope.stats()
        assert counts["recorded"] - before == 10
        assert counts["exported"] == counts["recorded"]
        assert counts["dropped"] == 0
        assert counts["armed"] == counts["woven"] >= len(EXPECTED)
        assert counts["cost"]["cpu_ns"] > 0
        assert open_run(str(tmp_path / "s")).count_spans() == 10
    assert autoscope.stats()["woven"] == 0


def test_rate_zero_records_nothing(case):
    with install(rate=0.0):
        case.call_all()
        assert recorded() == []
        assert autoscope.stats()["sampled_out"] > 0


def test_a_plan_as_a_mapping_and_as_a_file(case, tmp_path):
    plan = {
        "version": 1,
        "include": ["case_attach"],
        "modules": {"case_attach": {"functions": {"plain": {"level": "off"}}}},
    }
    with autoscope.install(plan, strategy="full_trace", store=""):
        case.decorated()
        assert recorded() == ["deco.<locals>.wrapper", "decorated"]
    (tmp_path / "p.yaml").write_text("version: 1\ninclude: [case_attach]\nstrategy: full_trace\n")
    with autoscope.install(tmp_path / "p.yaml", store=""):
        case.decorated()
        assert "plain" in recorded()
    with pytest.raises(autoscope.PlanError):
        autoscope.install(tmp_path / "none.yaml")
    assert bootstrap.running is None


def test_decorators_identity_is_kept(case):
    names = {name: id(value) for name, value in vars(case).items()}
    wrapped = case.decorated.__wrapped__
    with install():
        assert {name: id(value) for name, value in vars(case).items()} == names
        assert case.decorated.__wrapped__ is wrapped
        assert isinstance(case.part, functools.partial)


ASKED = """
asked = []

class Lazy:
    "As Django's and wrapt's lazy objects: whoever asks for its class makes it."
    @property
    def __class__(self):
        asked.append("__class__")
        return dict

class Claims(Lazy):
    @property
    def __class__(self):
        return type

class Meta(type):
    def __eq__(self, other):
        asked.append("==")
        return NotImplemented
    __hash__ = type.__hash__
    def __getattribute__(self, name):
        asked.append(name)
        return super().__getattribute__(name)
    def __instancecheck__(self, thing): asked.append("instance")
    def __subclasscheck__(self, kind): asked.append("subclass")

class Field(metaclass=Meta):
    def method(self): return len("ab")

lazy, claims, field = Lazy(), Claims(), Field()
asked.clear()

def work(): return len("abc")
"""


def test_looking_for_functions_asks_the_program_nothing():
    module = types.ModuleType("asked")
    exec(compile(ASKED, "asked.py", "exec"), module.__dict__)
    found = {function.__qualname__ for function in attach.functions_of(module)}
    assert module.asked == []
    assert {"work", "Field.method", "Meta.__eq__"} <= found


def test_off_and_on_after_a_reload(tmp_path, monkeypatch):
    """Two functions with equal code, of which one is nobody's any more: each gets its own back."""
    (tmp_path / "case_reload.py").write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    handle = install(include=["case_reload"], strategy="full_trace")
    try:
        import case_reload

        old = case_reload.f
        importlib.reload(case_reload)
        new = case_reload.f
        twins = old.__code__, new.__code__
        assert old is not new and sites.site_of(twins[0]) is not sites.site_of(twins[1])
        for _ in range(2):
            autoscope.update("case_reload.*", level="off")
            assert [sites.site_of(f.__code__) for f in (old, new)] == [None, None]
            autoscope.update("case_reload.*", level="full_trace")
            assert (old.__code__, new.__code__) == twins and old.__code__ is twins[0] and new.__code__ is twins[1]
    finally:
        handle.uninstall()
        sys.modules.pop("case_reload", None)
