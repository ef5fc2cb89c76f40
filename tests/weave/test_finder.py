"""The import hook: the loader protocol is kept, failures look as they looked, other hooks do their work, nothing is missed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import py_compile
import subprocess
import sys
import textwrap
import threading
import zipfile
from importlib.machinery import PathFinder, SourceFileLoader
from types import ModuleType

import pytest

import autoscope
from autoscope import bootstrap, errors
from autoscope.runtime import sites
from autoscope.weave import weaver


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory on the path, traced; `here(name=text)` writes modules."""
    monkeypatch.syspath_prepend(str(tmp_path))
    handle = autoscope.install(strategy="full_trace", include=["case*"], store="", rate=1.0)

    def write(**files):
        for name, text in files.items():
            path = tmp_path.joinpath(*name.split("__slash__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return tmp_path

    yield write
    handle.uninstall()
    for name in [name for name in sys.modules if name.startswith("case")]:
        del sys.modules[name]


def names():
    return sorted(site.name for site in sites.sites if site.armed)


def woven(function):
    return sites.site_of(function.__code__) is not None


F = "def f():\n    return len('abc')\n"


def test_the_loader_protocol(here):
    root = here(case_a="'''Doc.'''\n" + F)
    import case_a

    loader = case_a.__loader__
    assert type(loader) is SourceFileLoader
    assert vars(loader) == {"name": "case_a", "path": str(root / "case_a.py")}  # nothing of ours stays
    assert loader is case_a.__spec__.loader
    assert loader.get_source("case_a") == (root / "case_a.py").read_text()
    assert loader.get_data(str(root / "case_a.py")) == (root / "case_a.py").read_bytes()
    assert loader.get_filename("case_a") == case_a.__file__ == case_a.__spec__.origin
    assert not loader.is_package("case_a")
    assert not woven(type("", (), {"__code__": loader.get_code("case_a")}))
    assert woven(case_a.f)
    assert case_a.__cached__ == importlib.util.cache_from_source(case_a.__file__)
    assert case_a.__doc__ == "Doc."


def test_the_protocol_before_loading(here):
    here(case_a=F)
    spec = importlib.util.find_spec("case_a")
    assert spec.loader.get_source("case_a") == F
    assert spec.loader.get_resource_reader("case_a") is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert woven(module.f)
    with pytest.raises(ImportError):
        spec.loader.get_code("case_other")


def test_resources(here):
    from importlib import resources

    root = here(case_p__slash____init__=F)
    (root / "case_p" / "data.txt").write_text("hello")
    import case_p

    assert resources.files(case_p).joinpath("data.txt").read_text() == "hello"
    assert resources.files("case_p").joinpath("data.txt").is_file()
    import pkgutil

    assert pkgutil.get_data("case_p", "data.txt") == b"hello"


def test_runpy(here):
    import runpy

    root = here(
        case_a=F + "x = f()\nname = __name__\n", case_p__slash____init__="", case_p__slash____main__=F + "x = f()\n"
    )
    assert runpy.run_module("case_a")["x"] == 3
    assert runpy.run_module("case_a", run_name="__main__", alter_sys=True)["name"] == "__main__"
    assert runpy.run_module("case_p")["x"] == 3
    assert runpy.run_path(str(root / "case_a.py"))["x"] == 3
    assert "case_a.f" in names()
    assert "case_p.__main__.f" in names()


def test_reload_weaves_again_and_calls_are_recorded_once(here):
    root = here(case_a=F)
    import case_a

    before = case_a.f
    (root / "case_a.py").write_text("def f():\n    return len('abcd')\n\ndef g():\n    return f()\n")
    importlib.invalidate_caches()
    assert importlib.reload(case_a) is case_a
    assert woven(case_a.f)
    assert case_a.f is not before
    sites.records.clear()
    case_a.g()
    assert sorted(record[0].name for record in sites.recorded()) == ["case_a.f", "case_a.g"]


def test_a_zip(here, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("case_z/__init__.py", F)
        archive.writestr("case_z/a.py", "from . import b\n" + F)
        archive.writestr("case_z/b.py", F)
    monkeypatch.syspath_prepend(str(tmp_path / "lib.zip"))
    import case_z.a

    assert names() == ["case_z.a.f", "case_z.b.f", "case_z.f"]
    assert case_z.a.__loader__.get_source("case_z.a").startswith("from")
    assert "get_code" not in vars(case_z.a.__loader__)


def test_a_namespace_package(here):
    here(case_ns__slash__sub__slash__mod=F)
    import case_ns.sub.mod

    assert case_ns.__file__ is None
    assert names() == ["case_ns.sub.mod.f"]


def test_an_editable_install_with_a_finder_of_its_own(here, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "case_ed.py").write_text(F)

    class Editable:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name == "case_ed":
                return importlib.util.spec_from_file_location(name, tmp_path / "elsewhere" / "case_ed.py")
            return None

    sys.meta_path.append(Editable)
    import case_ed

    assert woven(case_ed.f)


def test_a_lazy_module(here):
    here(case_lazy=F + "loaded = []\n")
    spec = importlib.util.find_spec("case_lazy")
    loader = importlib.util.LazyLoader(spec.loader)
    spec.loader = loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["case_lazy"] = module
    loader.exec_module(module)
    assert names() == []
    assert woven(module.f)
    assert names() == ["case_lazy.f"]


def test_a_module_without_source(here, tmp_path):
    here(case_pyc=F)
    py_compile.compile(str(tmp_path / "case_pyc.py"), cfile=str(tmp_path / "case_pyc.pyc"))
    (tmp_path / "case_pyc.py").unlink()
    importlib.invalidate_caches()
    import case_pyc

    assert case_pyc.__file__.endswith(".pyc")
    assert woven(case_pyc.f)


def test_a_package_that_moves_its_path(here, tmp_path):
    here(
        case_p__slash____init__="import os\n__path__.append(os.path.join(os.path.dirname(__file__), '..', 'more'))\n",
        more__slash__inner=F,
    )
    import case_p.inner

    assert woven(case_p.inner.f)


def test_circular_imports(here):
    here(
        case_a="import case_b\n" + F + "def g():\n    return case_b.g()\n",
        case_b="import case_a\ndef g():\n    return case_a.f()\n",
    )
    import case_a

    assert case_a.g() == 3
    assert names() == ["case_a.f", "case_a.g", "case_b.g"]


def test_a_module_that_replaces_itself(here):
    here(case_r="import sys, types\n" + F + "m = types.SimpleNamespace(f=f)\nsys.modules[__name__] = m\n")
    import case_r

    assert case_r.f() == 3
    assert woven(case_r.f)


def test_probing_compiles_nothing(here, tmp_path):
    here(case_a="syntax error here\n")
    for _ in range(3):
        assert importlib.util.find_spec("case_a").origin == str(tmp_path / "case_a.py")
    assert not (tmp_path / "__pycache__").exists()
    assert sites.sites == []


def test_frozen_and_built_in_modules_are_left(here):
    for name in ("__hello__", "_frozen_importlib", "zipimport"):
        spec = importlib.util.find_spec(name)
        assert (
            spec is None or "get_code" not in vars(spec.loader).keys() - {"get_code"} or isinstance(spec.loader, type)
        )
    assert sites.sites == []


def test_what_no_plan_wants_costs_no_search(here):
    finder = bootstrap.running.finder
    before = finder.finding
    for name in ("this", "colorsys", "sndhdr"):
        sys.modules.pop(name, None)
    import colorsys  # noqa: F401

    assert finder.find_spec("email.charset") is None
    assert finder.finding == before
    finder.find_spec("case_nope")
    assert finder.finding == before + 1


def test_threads_importing_at_once(here):
    here(**{f"case_t{n}": (f"import case_t{n + 1}\n" if n < 7 else "") + F for n in range(8)})
    failures = []
    start = threading.Barrier(8)

    def work(n):
        try:
            start.wait()
            importlib.import_module(f"case_t{n}").f()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert names() == [f"case_t{n}.f" for n in range(8)]


class Rewriting:
    """As pytest's hook: in front of all others, its own loader, which executes in a way of its own."""

    def __init__(self):
        self.rewritten = []

    def find_spec(self, name, path=None, target=None):
        if not name.startswith("case_"):
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None:
            return None
        return importlib.util.spec_from_file_location(name, found.origin, loader=self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self.rewritten.append(module.__name__)
        with open(module.__spec__.origin, encoding="utf-8") as file:
            exec(compile(file.read() + "\nrewritten = True\n", module.__spec__.origin, "exec"), module.__dict__)


def test_a_hook_installed_after_ours_still_works(here):
    here(case_a=F, case_b=F)
    hook = Rewriting()
    sys.meta_path.insert(0, hook)
    import case_a

    finder = bootstrap.running.finder
    if not woven(case_a.f):  # the first import may still come past us; at the next look round it is found
        bootstrap.running.look_round()
    assert woven(case_a.f)
    sys.meta_path.remove(finder)
    sys.meta_path.insert(1, finder)
    importlib.util.find_spec("case_nope")
    assert sys.meta_path[0] is finder
    import case_b

    assert hook.rewritten == ["case_a", "case_b"]
    assert case_b.rewritten
    assert woven(case_b.f)


def test_typeguard(here):
    typeguard = pytest.importorskip("typeguard")
    here(case_checked="def f(n: int) -> int:\n    return n\n")
    with typeguard.install_import_hook(["case_checked"]):
        import case_checked
    if not woven(case_checked.f):
        bootstrap.running.look_round()
    with pytest.raises(typeguard.TypeCheckError):
        case_checked.f("x")
    assert woven(case_checked.f)
    assert case_checked.f(1) == 1


def test_a_module_loaded_past_the_hook_is_found_and_reported(here, tmp_path, capfd):
    here(case_late=F)
    module = ModuleType("case_late")
    module.__file__ = str(tmp_path / "case_late.py")
    exec(compile(F, module.__file__, "exec"), module.__dict__)
    sys.modules["case_late"] = module
    bootstrap.running.look_round()
    bootstrap.running.look_round()
    assert woven(module.f)
    assert [slug for slug, _ in errors.notices] == ["late-module"]
    assert (
        capfd.readouterr().err
        == "autoscope: case_late was loaded past the import hook; it is traced from now on (late-module)\n"
    )


def test_one_that_is_being_imported_is_looked_for_again(here, tmp_path):
    """At the next look, though no further module has come since."""
    here(case_slow=F)
    module = ModuleType("case_slow")
    module.__file__ = str(tmp_path / "case_slow.py")
    module.__spec__ = importlib.util.spec_from_file_location("case_slow", module.__file__)
    exec(compile(F, module.__file__, "exec"), module.__dict__)
    sys.modules["case_slow"] = module
    module.__spec__._initializing = True
    bootstrap.running.look_round()
    assert not woven(module.f)
    module.__spec__._initializing = False
    bootstrap.running.look_round()
    assert woven(module.f)


@pytest.mark.parametrize(
    "module, function, call",
    [("_csv", "list_dialects", "()"), ("_bisect", "bisect_right", "([1], 2)"), ("_struct", "calcsize", "('i')")],
)
def test_an_extension_module_imported_later(module, function, call, tmp_path):
    """Nothing to weave in it; what the plan names in it is wrapped, and nothing is said to be late."""
    code = f"""
import sys
import autoscope
from autoscope.runtime import sites
plan = {{"version": 1, "include": ["{module}"], "modules": {{"{module}": {{"functions": {{"{function}": {{"level": "full_trace"}}}}}}}}}}
sys.modules.pop("{module}", None)
handle = autoscope.install(plan, store="")
import {module}
original = getattr({module}.{function}, "__wrapped__", None)
built_in = "{module}" in sys.builtin_module_names
{module}.{function}{call}
print(built_in or [record[0].name for record in sites.recorded()] == ["{module}.{function}"])
from autoscope import bootstrap
bootstrap.running.look_round()
handle.uninstall()
print(built_in or {module}.{function} is original)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


BROKEN = {
    "syntax error": "def f(:\n",
    "raises": "def g():\n    1 / 0\ng()\n",
    "missing": "import no_such_module_here\n",
    "missing name": "from os import nope\n",
    "undecodable": "x = '\udcff'\n",
    "null": "x = 1\0\n",
    "exits": "import sys\nsys.exit(4)\n",
    "raises while lazily imported": "def g():\n    import case_other\ng()\n",
}


@pytest.mark.parametrize(
    "how",
    [
        "import case_bad",
        "import importlib; importlib.import_module('case_bad')",
        "import runpy; runpy.run_module('case_bad')",
        "from case_bad import x",
    ],
)
@pytest.mark.parametrize("name", BROKEN)
def test_a_failed_import_looks_as_it_looked(name, how, tmp_path):
    (tmp_path / "case_bad.py").write_text(BROKEN[name], encoding="utf-8", errors="surrogateescape")
    (tmp_path / "case_other.py").write_text("def h():\n    raise KeyError('k')\nh()\n")
    (tmp_path / "plain.py").write_text(how)
    environment = {**os.environ, "AUTOSCOPE_STRICT": "1"}
    on = "import autoscope\nautoscope.install(strategy='full_trace', include=['case*'], store='', rate=0)\n"
    # The same lines on the same places, so that tracebacks can be compared byte by byte.
    outcomes = []
    for head in ("import os\nos.getpid()\n", on):
        (tmp_path / "app.py").write_text(head + how + "\n")
        done = subprocess.run(
            [sys.executable, "app.py"], cwd=tmp_path, env=environment, capture_output=True, timeout=60
        )
        outcomes.append((done.stdout, done.stderr, done.returncode))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "module, function, arguments",
    [("zlib", "compress", (b"x",)), ("_json", "encode_basestring", ("x",)), ("zlib", "crc32", (b"x",))],
)
def test_a_c_function_named_in_a_plan(module, function, arguments):
    pytest.importorskip("wrapt")
    owner = importlib.import_module(module)
    original = getattr(owner, function)
    expected = original(*arguments)
    with autoscope.install(
        {"version": 1, "modules": {module: {"functions": {function: {"level": "full_trace"}}}}}, store=""
    ):
        sites.records.clear()
        assert getattr(owner, function)(*arguments) == expected
        assert [record[0].name for record in sites.recorded()] == [f"{module}.{function}"]
        with pytest.raises(TypeError):
            getattr(owner, function)()
        assert sites.recorded()[-1][6].error_type == "TypeError"
    assert getattr(owner, function) is original


def test_the_weaver_says_how_each_module_came(here):
    here(case_a=F)
    import case_a  # noqa: F401

    assert weaver.seen["case_a"] == "import"
