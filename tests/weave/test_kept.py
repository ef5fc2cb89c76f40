"""Code objects that a program keeps and looks for: its functions are never given others, whatever becomes of them."""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import FunctionType

import pytest

import autoscope
from autoscope import bootstrap
from autoscope.runtime import sites
from autoscope.weave import kept, pace, weaver

PROGRAM = """\
import functools, sys, types, weakref

KEPT = set()
WEAK = weakref.WeakKeyDictionary()


def keep(function):
    KEPT.add(function.__code__)
    return function


def keep_weakly(function):
    WEAK[function.__code__] = True
    return function


def keep_another(function):
    function.__code__ = function.__code__.replace()
    WEAK[function.__code__] = True
    return function


def code_of():
    return sys._getframe(1).f_code


@keep
def strong(number):
    return code_of() in KEPT


@keep_weakly
def weak(number):
    return code_of() in WEAK


@keep_another
def copied(number):
    return code_of() in WEAK


class Holder:
    @keep
    def method(self, number):
        return code_of() in KEPT

    @property
    @keep
    def held(self):
        return code_of() in KEPT

    def ordinary(self, number):
        return number

    @functools.lru_cache
    def cached(self, number):
        return number


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


@decorate
def wrapped(number):
    return number


def plain(number, default=lambda: 0):
    for _ in range(number):
        pass
    return default()


def finds(number):
    holder = Holder()
    return [strong(number), weak(number), copied(number), holder.method(number), holder.held]
"""
LOOKED_FOR = ["strong", "weak", "Holder.method", "Holder.held"]


def load(tmp_path, monkeypatch, **settings):
    name = f"keeper_{time.monotonic_ns()}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("AUTOSCOPE_STRICT", "1")
    handle = autoscope.install(strategy="full_trace", include=[name], store="", **settings)
    return handle, importlib.import_module(name)


@pytest.fixture
def program(tmp_path, monkeypatch):
    handle, module = load(tmp_path, monkeypatch)
    yield module
    handle.uninstall()
    sys.modules.pop(module.__name__, None)


def functions(module):
    """Function's qualified name -> itself, of those the module's author wrote."""
    return {
        one.__qualname__: one
        for one in gc.get_objects()
        if type(one) is FunctionType and one.__globals__ is module.__dict__
    }


def test_only_what_the_program_keeps(program):
    """Functions and methods, lambdas, properties, cached ones and decorated ones are not taken for kept."""
    mine = [site for site in sites.sites if site.module == program.__name__]
    assert len(mine) > 15
    assert [site.qualname for site in mine if kept.is_kept(site)] == LOOKED_FOR


def test_from_the_code_cache_too(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSCOPE_CACHE_DIR", str(tmp_path / "woven"))
    for _ in range(2):
        handle, module = load(tmp_path, monkeypatch)
        importlib.invalidate_caches()
        mine = [site for site in sites.sites if site.module == module.__name__]
        assert [site.qualname for site in mine if kept.is_kept(site)] == LOOKED_FOR
        handle.uninstall()
        sys.modules.pop(module.__name__)


def test_a_budget_gives_them_no_other_code(program):
    """Nor those that have a copy the program has made."""
    mine = {site for site in sites.sites if site.module == program.__name__}
    found = {site.qualname for site in pace.functions_of(mine)}
    assert found.isdisjoint([*LOOKED_FOR, "copied"])
    assert {"plain", "wrapped", "decorate.<locals>.wrapper", "Holder.ordinary", "Holder.cached"} <= found


def test_with_a_budget_they_are_found(tmp_path, monkeypatch):
    """Whatever the budget does with functions called so often."""
    handle, module = load(tmp_path, monkeypatch, budget=0.01)
    try:
        end = time.monotonic() + 30
        calls, steered = 0, {}
        while time.monotonic() < end and len(steered) < 6:
            for _ in range(2000):
                calls += 1
                assert module.finds(1) == [True] * 5
            budget = bootstrap.running.drain.steer
            known = dict(budget.warm) if budget is not None else {}
            steered = {site.qualname: one.state for site, one in known.items() if one.state != "every call"}
        assert len(steered) >= 6, steered
    finally:
        handle.uninstall()
        sys.modules.pop(module.__name__)


def test_what_only_looks_kept_gets_the_authors_code(tmp_path, monkeypatch):
    """Woven in place nothing was counted: a generator that is suspended holds its code as a program would, and only a budget goes by that."""
    (tmp_path / "suspended.py").write_text("def steps():\n    yield 1\n    yield 2\ndef plain():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("suspended")
    authors = module.steps.__code__
    handle = autoscope.install(strategy="full_trace", include=["suspended"], store="")
    try:
        suspended = module.steps()
        next(suspended)
        assert module.steps.__code__ is not authors
        mine = {site for site in sites.sites if site.module == "suspended"}
        assert {site.qualname for site in pace.functions_of(mine)} == {"plain"}
        bootstrap.running.live.off()
        assert module.steps.__code__.co_code == authors.co_code
        assert list(suspended) == [2]
    finally:
        handle.uninstall()
        sys.modules.pop("suspended")


@pytest.mark.parametrize("way", ["off", "update", "anew", "uninstall"])
def test_whatever_is_asked_for(program, way):
    """They stay as they are, and nothing is recorded where nothing is to be."""
    before = {name: function.__code__ for name, function in functions(program).items()}
    live = bootstrap.running.live
    glob = f"{program.__name__}.*"
    if way == "off":
        live.off()
    elif way == "update":
        autoscope.update(glob, level="off")
    elif way == "anew":
        autoscope.update(glob, capture={"args": False, "return": False})
    else:
        bootstrap.stop()
    assert program.finds(1) == [True] * 5
    count = len(sites.records)
    program.finds(1)
    assert (len(sites.records) > count) == (way == "anew")
    after = {name: function.__code__ for name, function in functions(program).items()}
    changed = {name for name in before if after[name] is not before[name]}
    assert changed.isdisjoint([*LOOKED_FOR, "copied"])
    assert {"plain", "Holder.ordinary"} <= changed
    if way == "off":
        live.on()
        assert program.finds(1) == [True] * 5


def test_it_costs_next_to_nothing(tmp_path, monkeypatch):
    """Two references a function are counted, by C: no function of ours is called when a module has been executed."""
    calls = []

    def watch(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == kept.__file__:
            calls.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        handle, module = load(tmp_path, monkeypatch)
    finally:
        sys.setprofile(None)
    assert calls[:1] == ["watch"]
    assert set(calls) <= {"watch", "<listcomp>"}
    handle.uninstall()
    sys.modules.pop(module.__name__)


def test_functions_that_were_woven_anew_are_forgotten(tmp_path, monkeypatch):
    """Changed thousands of times, as a long-running program's may be, with a budget that asks about each of them."""
    (tmp_path / "changing.py").write_text("def one(x): return x\ndef two():\n    def inner(): pass\n    return inner\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    handle = autoscope.install(strategy="full_trace", include=["changing"], store="")
    try:
        importlib.import_module("changing")
        for number in range(150):
            autoscope.update("changing.*", capture={"args": number % 2 == 0, "return": False})
            pace.functions_of({site for site in sites.sites if site.module == "changing"})
        ours = [site for site in gc.get_objects() if type(site) is sites.Site and site.module == "changing"]
        # Twice as many as there are, and a hundred, in each of two rooms.
        assert len(ours) < 2 * (2 * 3 + 100) + 10
    finally:
        handle.uninstall()
        sys.modules.pop("changing")


SCRIPT = """
def outer():
    @keep
    def nested(number):
        return code_of() in KEPT

    @functools.wraps(nested)
    def ordinary(number):
        return nested(number)

    return nested, ordinary


nested, ordinary = outer()


def recursive(number):
    return recursive(number - 1) + 1 if number else 0


class Counted:
    def __iter__(self):
        yield from (1, 2)


if __name__ == "__main__":
    import json, time
    from autoscope import bootstrap
    from autoscope.weave import kept

    end = time.monotonic() + 30
    states = {}
    wanted = {"strong", "nested", "recursive", "ordinary"}
    names = {"outer.<locals>.nested": "nested", "outer.<locals>.ordinary": "ordinary"}
    while time.monotonic() < end and not wanted <= states.keys():
        for _ in range(1000):
            assert finds(1) == [True] * 5
            assert nested(1) and ordinary(1)
            assert recursive(30) == 30
        budget = bootstrap.running.drain.steer
        for site, one in dict(budget.warm).items() if budget else ():
            if one.state in ("paced", "windows", "thinned", "off"):
                states[names.get(site.qualname, site.qualname)] = bool(one.functions)
    print(json.dumps(states))
"""


def test_scripts_and_functions_defined_in_others(tmp_path):
    """Whose code others hold too: what calls under way and their makers hold is nobody's doing."""
    (tmp_path / "app.py").write_text(PROGRAM + SCRIPT)
    words = ["run", "--quiet", "--no-store", "--strategy", "full_trace", "--budget", "1%", "app.py"]
    done = subprocess.run(
        [sys.executable, "-m", "autoscope", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "AUTOSCOPE_STRICT": "1", "PYTHONPATH": str(Path(autoscope.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    states = json.loads(done.stdout)
    given_other_code = {name for name, has in states.items() if has}
    assert {"strong", "nested", "recursive", "ordinary"} <= states.keys()
    assert given_other_code.isdisjoint([*LOOKED_FOR, "copied", "nested"])
    assert {"recursive", "ordinary"} <= given_other_code


def test_in_place(tmp_path, monkeypatch):
    """What was there before us: code objects that are known weakly are left alone, and it is said why."""
    name = f"keeper_{time.monotonic_ns()}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(name)
    with autoscope.install(strategy="full_trace", include=[name], store=""):
        assert module.weak(1) and module.copied(1)
        assert sites.site_of(module.plain.__code__) is not None
        alone = {function for where, function, why in weaver.left_alone if where == name and why == weaver.LOOKED_FOR}
        assert alone == {"weak", "copied"}
    sys.modules.pop(name)
