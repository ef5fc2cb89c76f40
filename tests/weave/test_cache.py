"""The code cache: what comes from it does what plain Python does, whatever becomes of the files; and it is used."""

from __future__ import annotations

import marshal
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType

import pytest

from autoscope.runtime import sites
from autoscope.weave import assemble, cache, choose, recode, restore, weaver
from program_kit import SITE, run

if not weaver.BYTECODE:
    pytest.skip("what is woven from source is not kept", allow_module_level=True)

MAIN = """
import sys
import case
print(case.total(4), case.Box(2).size, list(case.steps(3)), case.later())
try:
    case.wrong(0)
except ZeroDivisionError:
    import traceback
    print(traceback.format_exc())
print(sorted(name for name in sys.modules if name in ("autoscope.weave.recode", "autoscope.weave.assemble")))
"""
CASE = '''
def total(n, start=0, *rest, key=None, **more):
    """Doc."""
    def add(a, b):
        return (lambda: a + b)()
    for i in range(n):
        start = add(start, i)
    return start
class Box:
    def __init__(self, size):
        self.size = size
def steps(n):
    for i in range(n):
        try:
            yield i
        finally:
            pass
def wrong(x):
    return (1 /
            x)
def later():
    import asyncio
    async def wait():
        await asyncio.sleep(0)
        return [y async for y in again()]
    async def again():
        yield 5
    return asyncio.run(wait())
'''


class Place:
    """A program's directory and a code cache beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "program"
        self.folder.mkdir()
        self.cache = folder / "cache"
        self.write("main", MAIN)
        self.write("case", CASE)

    def write(self, name, text):
        file = self.folder / f"{name}.py"
        file.write_text(textwrap.dedent(text))
        return file

    def run(self, *words, plain=False, **environ):
        base = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOSCOPE_", "OTEL_", "PYTHON"))}
        if not plain:
            base |= {"PYTHONPATH": SITE, "AUTOSCOPE_STRATEGY": "full_trace", "AUTOSCOPE_STRICT": "1"}
            base |= {"AUTOSCOPE_CACHE_DIR": str(self.cache), "OTEL_TRACES_EXPORTER": "none"}
        done = subprocess.run(
            [sys.executable, *(words or ("main.py",))],
            cwd=self.folder,
            env=base | environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr

    def entries(self):
        return sorted(file.name for file in self.cache.iterdir()) if self.cache.exists() else []


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


LOADED = "['autoscope.weave.assemble', 'autoscope.weave.recode']"


def says(ran):
    """Output without its last line, which lists modules."""
    status, out, err = ran
    return status, out.splitlines()[:-1], err


def from_cache(ran):
    return ran[1].splitlines()[-1] == "[]"


def test_the_second_process_weaves_nothing(place):
    plain = place.run(plain=True)
    first, second = place.run(), place.run()
    assert says(first) == says(second) == says(plain)
    assert first[1].splitlines()[-1] == LOADED and from_cache(second)
    assert len(place.entries()) == 2


def test_rates_do_not_matter_and_what_changes_the_code_does(place):
    place.run()
    assert from_cache(place.run(AUTOSCOPE_RATE="0.5"))
    assert not from_cache(place.run(AUTOSCOPE_STRATEGY="balanced"))
    assert not from_cache(place.run("-O", "main.py"))
    assert from_cache(place.run("-O", "main.py"))
    assert from_cache(place.run(AUTOSCOPE_STRATEGY="balanced")) and from_cache(place.run())


def test_spans_are_the_same(tmp_path):
    (tmp_path / "case.py").write_text(CASE)
    env = {"AUTOSCOPE_CACHE_DIR": str(tmp_path / "cache")}
    seen = []
    for _ in range(2):
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        ran = run(tmp_path, MAIN, strategy="full_trace", env=env)
        ran.whole()
        seen.append(
            sorted(
                (
                    span.name,
                    ran.parent_name(span) or "",
                    [
                        item
                        for item in sorted(span.attributes.items())
                        if not item[0].endswith(("running_ns", "thread.id"))
                    ],
                )
                for span in ran.spans
            )
        )
    assert seen[0] == seen[1] and any("case.Box.__init__" in name for name, _, _ in seen[0])
    assert from_cache((0, ran.out, ""))


def test_an_edited_source(place):
    place.run()
    place.write("case", CASE.replace("return start", "return start * 1000"))
    edited = place.run()
    assert says(edited) == says(place.run(plain=True)) and "6000" in edited[1]
    assert says(place.run()) == says(edited)


@pytest.mark.parametrize("first", ["plain", "woven"])
def test_an_edit_python_does_not_see(place, first):
    """Same size, same second: plain Python goes on with its `.pyc`, and so do we, until it notices."""
    file = place.folder / "case.py"
    os.utime(file, (1_700_000_000,) * 2)
    place.run(plain=first == "plain")
    place.write("case", CASE.replace("1 /", "2 /").replace("start=0", "start=7"))
    os.utime(file, (1_700_000_000,) * 2)
    assert says(place.run()) == says(place.run(plain=True)) == says(place.run())
    os.utime(file, (1_700_000_001,) * 2)
    noticed = place.run()
    assert says(noticed) == says(place.run(plain=True)) and noticed[1].startswith("13 ")


def test_without_pyc_files(place):
    """A tree nobody may write to: the source is compiled each time, with its warnings, and woven once."""
    place.write("case", CASE + "def odd(): return '\\d'\n")
    for environ in ({"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONPYCACHEPREFIX": os.devnull}):
        plain = place.run(plain=True, **environ)
        assert "invalid escape" in plain[2] or sys.version_info < (3, 12)
        assert says(place.run(**environ)) == says(plain)
        again = place.run(**environ)
        assert says(again) == says(plain) and from_cache(again)
    assert not (place.folder / "__pycache__").exists()


def test_a_prefix_for_pyc_files(place, tmp_path):
    environ = {"PYTHONPYCACHEPREFIX": str(tmp_path / "prefix")}
    place.run(**environ)
    assert from_cache(place.run(**environ)) and not (place.folder / "__pycache__").exists()


@pytest.mark.parametrize(
    ("mode", "policy"),
    [
        ("CHECKED_HASH", "default"),
        ("CHECKED_HASH", "never"),
        ("UNCHECKED_HASH", "default"),
        ("UNCHECKED_HASH", "always"),
        ("TIMESTAMP", "always"),
    ],
)
def test_kinds_of_pyc_files(place, mode, policy):
    file = str(place.folder / "case.py")
    py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode[mode])
    words = ("--check-hash-based-pycs", policy, "main.py")
    place.run(*words)
    assert from_cache(place.run(*words))
    times = os.stat(file).st_atime, os.stat(file).st_mtime
    place.write("case", CASE.replace("start=0", "start=7"))
    os.utime(file, times)  # what a build system does that sets all times to one
    plain = place.run(*words, plain=True)
    assert says(place.run(*words)) == says(plain) == says(place.run(*words))


def test_a_damaged_entry(place):
    place.run()
    plain = says(place.run(plain=True))
    good = {name: (place.cache / name).read_bytes() for name in place.entries()}
    for damage in (
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: bytes(len(data)),
        lambda data: data[:-300] + bytes([data[-300] ^ 255]) + data[-299:],
        lambda data: data + b"x",
    ):
        for name, data in good.items():
            (place.cache / name).write_bytes(damage(data))
        assert says(place.run()) == plain
        mended = place.run()
        assert says(mended) == plain and from_cache(mended)
        assert {name: len((place.cache / name).read_bytes()) for name in place.entries()} == {
            name: len(data) for name, data in good.items()
        }


def test_an_entry_that_is_whole_and_makes_no_sense(place):
    """Written by a version with the same name for something else: the module is woven anew."""
    place.run()
    for name in place.entries():
        for content in (b"nonsense", marshal.dumps((None, [], [])), marshal.dumps((None, [(1, 2)], []))):
            data = cache.HEAD + cache._digest(cache._KEY, content) + content
            (place.cache / name).write_bytes(data)
            assert says(place.run()) == says(place.run(plain=True))


def test_many_at_once(place):
    for file in range(30):
        place.write(f"part{file}", CASE)
    place.write("main", "import " + ", ".join(f"part{file}" for file in range(30)) + "\n" + MAIN)
    plain = says(place.run(plain=True))
    with ThreadPoolExecutor(6) as pool:
        for ran in pool.map(lambda _: place.run(), range(12)):
            assert says(ran) == plain
    names = place.entries()
    assert len(names) == 32 and all(name.endswith(cache.SUFFIX) for name in names)


def test_deleted_at_any_moment(place):
    place.run()
    with ThreadPoolExecutor(2) as pool:
        over = pool.submit(lambda: [place.run() for _ in range(4)])
        while not over.done():
            shutil.rmtree(place.cache, ignore_errors=True)
            time.sleep(0.01)
    for ran in over.result():
        assert says(ran) == says(place.run(plain=True))


@pytest.mark.parametrize("where", ["/dev/null/cache", "/proc/nothing", ""])
def test_nowhere_to_keep_it(place, where):
    plain = says(place.run(plain=True))
    assert says(place.run(AUTOSCOPE_CACHE_DIR=where)) == plain == says(place.run(AUTOSCOPE_CACHE_DIR=where))


def test_a_directory_others_can_write_to(place):
    place.run()
    plain = says(place.run(plain=True))
    for mode in (0o777, 0o775, 0o1777):
        place.cache.chmod(mode)
        status, out, err = place.run()
        assert (status, out.splitlines()[:-1]) == plain[:2] and out.splitlines()[-1] == LOADED
        assert err.count("others can write to") == 1 and str(place.cache) in err
    place.cache.chmod(0o755)
    assert from_cache(place.run())


def test_who_may_read_it(place):
    (place.folder / "case.py").chmod(0o600)
    (place.folder / "main.py").chmod(0o644)
    place.run()
    modes = sorted(stat.S_IMODE((place.cache / name).stat().st_mode) for name in place.entries())
    assert modes == [0o600, 0o644]


def test_a_loader_the_program_has_changed(place):
    """Somebody who replaces what loads modules wants it used."""
    place.write(
        "main",
        """
        from importlib.machinery import SourceFileLoader
        import importlib
        old = SourceFileLoader.source_to_code
        def source_to_code(self, data, path, **more):
            return old(self, data.replace(b"start=0", b"start=9"), path, **more)
        SourceFileLoader.source_to_code = source_to_code
        """
        + textwrap.dedent(MAIN).replace("\n", "\n        "),
    )
    for _ in range(2):
        ran = place.run("-B", "main.py")
        assert ran[1].startswith("15 ") and says(ran) == says(place.run("-B", "main.py", plain=True))


@pytest.mark.parametrize(
    "text",
    ["def f(:\n", "import nothing_of_the_kind\n", "def f(): raise KeyError(1)\nf()\n", "x = '\0'\n", "1 / 0\n"],
)
def test_modules_that_fail(place, text):
    place.write("case", text)
    plain = place.run(plain=True)
    assert plain[0] == 1
    assert [place.run() for _ in range(3)] == [plain] * 3


def test_run_as_a_module(place):
    (place.folder / "pack").mkdir()
    (place.folder / "pack/__init__.py").write_text("")
    (place.folder / "pack/__main__.py").write_text(MAIN)
    (place.folder / "pack/sub.py").write_text("def f(): return 1\nprint(f(), __spec__.name, __name__)\n")
    for words in (("-m", "pack"), ("-m", "pack.sub")):
        ran = [place.run(*words) for _ in range(2)]
        assert says(ran[1]) == says(ran[0]) == says(place.run(*words, plain=True))
    assert from_cache(place.run("-m", "pack"))


def test_off_and_given_back(place):
    """The author's code objects are read back out of the twins: equal to what Python compiles, to the byte."""
    place.write(
        "main",
        """
        import case, inspect, autoscope, marshal, sys
        from types import FunctionType, CodeType
        def all_of(code):
            yield code
            for part in code.co_consts:
                if type(part) is CodeType: yield from all_of(part)
        facts = [name for name in dir(CodeType) if name.startswith("co_") and name not in ("co_consts", "co_positions", "co_lines", "co_branches", "co_lnotab")]
        with open(case.__file__) as file:
            author = {(c.co_qualname, c.co_firstlineno): c for c in all_of(compile(file.read(), case.__file__, "exec"))}
        functions = [case.total, case.Box.__init__, case.steps, case.wrong, case.later]
        woven = all("@armed" in f.__code__.co_names for f in functions)
        def same(f):
            ours = list(all_of(f.__code__))
            theirs = list(all_of(author[f.__qualname__, f.__code__.co_firstlineno]))
            return len(ours) == len(theirs) and all(
                getattr(a, fact) == getattr(b, fact) for a, b in zip(ours, theirs) for fact in facts
            )
        handle = autoscope.update("case.*", level="off")
        off = [f.__code__.co_code == author[f.__qualname__, f.__code__.co_firstlineno].co_code for f in functions]
        print(case.total(3), [len(inspect.getsource(f)) for f in functions])
        autoscope.update("case.*", level="full_trace")
        on = ["@armed" in f.__code__.co_names for f in functions]
        print(case.total(3), list(case.steps(2)), case.later())
        __import__("autoscope.bootstrap").bootstrap.stop()
        print(woven, off, on, [same(f) for f in functions], file=sys.stderr)
        print(case.total(3), list(case.steps(2)), case.later())
        print()
        """,
    )
    ran = [place.run() for _ in range(2)]
    assert ran[0] == ran[1]
    assert ran[1][2].split("\n")[-2] == f"True {[True] * 5} {[True] * 5} {[True] * 5}", ran[1]


def test_what_is_least_used_goes(tmp_path):
    found = cache.Cache(str(tmp_path / "cache"))
    for number in range(20):
        found.store(f"{number:02}{cache.SUFFIX}", bytes(1000), 0o600)
        os.utime(tmp_path / "cache" / f"{number:02}{cache.SUFFIX}", (1000 + number,) * 2)
    (tmp_path / "cache" / f"99{cache.SUFFIX}.77.ab").write_bytes(b"left by one that was killed")
    os.utime(tmp_path / "cache" / f"99{cache.SUFFIX}.77.ab", (1000, 1000))
    assert bytes(found.load(f"03{cache.SUFFIX}")) == bytes(1000)  # used: from now on the newest
    found.shrink(10_000)
    assert {name[:2] for _, _, name in found.entries()} == {"03", *(str(n) for n in range(12, 20))}
    assert found.shrink(10_000) == 0
    found.shrink(0)
    assert found.entries() == []


def test_a_full_disk(tmp_path, monkeypatch):
    found = cache.Cache(str(tmp_path / "cache"))

    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def write(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.library, "system", Full())
    found.store(f"a{cache.SUFFIX}", b"x", 0o600)
    assert list((tmp_path / "cache").iterdir()) == [] and not found.writable


def functions_in(code):
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from functions_in(constant)
    if choose.is_function(code):
        yield code


FACTS = [
    name
    for name in dir(CodeType)
    if name.startswith("co_") and name not in ("co_positions", "co_lines", "co_branches", "co_lnotab", "co_consts")
]


def test_the_authors_code_out_of_a_twin():
    """Every tenth module of the standard library and its tests: `restore` undoes `recode`, to the byte."""
    library = Path(os.__file__).parent
    count = 0
    for file in sorted(library.rglob("*.py"))[::10]:
        if "site-packages" in file.parts:
            continue
        try:
            module = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        for code in functions_in(module):
            for captures in (False, True):
                parameters = recode.parameters(code) if captures else ()
                facts = {"module": "m", "qualname": "f", "file": "", "line": 1, "kind": "function", "path": "bytecode"}
                site = sites.new_site(parameters=parameters, **facts)
                try:
                    twin = recode.recode(code, site, capture=parameters, returns=captures)
                except recode.CannotWeave:
                    continue
                author = restore.off(site, twin)
                assert [getattr(author, fact) for fact in FACTS] == [getattr(code, fact) for fact in FACTS], code
                assert author.co_consts == code.co_consts
                count += 1
        sites.sites.clear()
    assert count > 1000, "the library has not been found"
    assert assemble.VERSION == sys.version_info[:2]


# The command.


def command(place, *words, **environ):
    base = {k: v for k, v in os.environ.items() if not k.startswith(("AUTOSCOPE_", "OTEL_", "PYTHON"))}
    base |= {"PYTHONPATH": str(Path(cache.__file__).parents[2]), "AUTOSCOPE_CACHE_DIR": str(place.cache)} | environ
    words = [sys.executable, "-m", "autoscope", "cache", *words]
    done = subprocess.run(words, cwd=place.folder, env=base, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_warm(place):
    (place.folder / "pack/inner").mkdir(parents=True)
    for name in ("pack/__init__", "pack/inner/__init__", "pack/inner/deep", "other"):
        place.write(name, CASE)
    place.write("broken", "def f(:\n")
    place.write("not-a-module", "1 / 0\n")
    status, out, err = command(place, "warm", "--strategy", "full_trace", "--include", "case,pack.*,main,broken", ".")
    assert status == 0 and "8 modules: 5 woven, 1 not in the plan, 1 not compiled" in out.replace(
        "7 modules", "8 modules"
    )
    assert "broken.py: SyntaxError" in err
    place.write("main", MAIN.replace("import case", "import case, pack.inner.deep"))
    assert from_cache(place.run("-c", MAIN, AUTOSCOPE_INCLUDE="case,pack.*,main,broken"))
    status, out, _ = command(place, "warm", "--strategy", "full_trace", "--include", "case,pack.*,main,broken", ".")
    assert status == 0 and "there already" in out
    status, out, _ = command(place, "stats")
    assert status == 0 and str(place.cache) in out and "modules    " in out
    status, out, _ = command(place, "clear")
    assert status == 0 and "deleted" in out and place.entries() == []
    assert "modules    0" in command(place, "stats")[1]


def test_what_the_command_cannot_do(place):
    status, _, err = command(place, "stats", AUTOSCOPE_CACHE_DIR="")
    assert status == 2 and "AUTOSCOPE_CACHE_DIR is empty" in err and len(err.splitlines()) == 1
    status, _, err = command(place, "warm", "nowhere")
    assert status == 2 and "nowhere" in err and len(err.splitlines()) == 1
    status, out, err = command(place, "warm", "--include", "case", ".", AUTOSCOPE_CACHE_DIR="/dev/null/x")
    assert status == 2 and "nothing can be written" in err
