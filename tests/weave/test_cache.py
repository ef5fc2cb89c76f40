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
from program_kit import SHELF, SITE, run

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
print(sorted(name for name in list(sys.modules) if name in ("autoscope.weave.recode", "autoscope.weave.assemble")))
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
            env={name: value for name, value in (base | environ).items() if value is not None},
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
            data = cache.HEAD + cache.digest(content) + content
            (place.cache / name).write_bytes(data)
            assert says(place.run()) == says(place.run(plain=True))


SANDBOX = """
import sys, os
here = os.path.dirname(os.path.abspath(__file__))
def main():
    import case
    print(case.total(2))
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith((here, sys.base_prefix, sys.prefix)):
        raise RuntimeError("sandbox")
sys.addaudithook(hook)
main()
"""


def test_opening_is_denied(place):
    """By an audit hook, which may raise anything: the import is not concerned."""
    place.write("main", SANDBOX)
    for _ in range(2):
        ran = place.run(AUTOSCOPE_STRICT=None)
        assert ran[:2] == place.run(plain=True)[:2] == (0, "1\n"), ran


REPLACED = """
import builtins, itertools
def calls(f):
    return lambda *arguments, **named: f(*arguments, **named)
names = ["tuple", "dict", "zip", "set", "len", "list", "repr", "map", "filter", "getattr", "open", "sorted", "next", "compile"]
kept = {name: getattr(builtins, name) for name in names}
for name in names: setattr(builtins, name, calls(kept[name]))
import case
for name in names: setattr(builtins, name, kept[name])
print(case.total(4), case.Box(2).size, list(case.steps(3)))
"""


def test_builtins_are_replaced_meanwhile(place):
    place.write("main", REPLACED)
    for _ in range(2):
        assert place.run() == place.run(plain=True)


def test_who_changes_what_is_compiled_changes_nobody_elses_entry(place):
    """Without a `.pyc` the source does not tell what is executed: the program may have a word to say, for this once."""
    place.write("main", "import case\nprint(case.total(4))\n")
    place.write(
        "patched",
        """
        import builtins
        old = builtins.compile
        def compile(source, *arguments, **named):
            if isinstance(source, bytes): source = source.replace(b"start=0", b"start=9")
            return old(source, *arguments, **named)
        builtins.compile = compile
        import case
        print(case.total(4))
        """,
    )
    place.write(
        "loaded",
        """
        import sys
        from importlib.machinery import PathFinder
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                spec = PathFinder.find_spec(name, path, target)
                if name == "case":
                    plain = spec.loader.source_to_code
                    spec.loader.source_to_code = lambda data, path: plain(data.replace(b"start=0", b"start=3"), path)
                return spec
        sys.meta_path.insert(0, Finder)
        import case
        print(case.total(4))
        """,
    )
    said = {"main.py": "6", "patched.py": "15", "loaded.py": "9"}
    for order in (("patched.py", "loaded.py", "main.py"), ("main.py", "loaded.py", "patched.py")):
        for file in order * 2:
            # Only so far: a finder before ours brings a notice.
            assert place.run("-B", file)[:2] == place.run("-B", file, plain=True)[:2] == (0, f"{said[file]}\n")
        shutil.rmtree(place.cache)


@pytest.mark.parametrize("words", [(), ("-B",)])
def test_code_without_columns(place, words):
    plain = says(place.run(*words, "main.py", plain=True))
    without = says(place.run(*words, "-X", "no_debug_ranges", "main.py", plain=True))
    assert plain != without and "^" in "".join(plain[1])
    for _ in range(2):
        assert says(place.run(*words, "-X", "no_debug_ranges", "main.py")) == without
        assert says(place.run(*words, "main.py")) == plain


def test_a_failure_of_the_moment_is_not_kept(place):
    """Out of memory, or at the end of the stack: the next process weaves what this one could not."""
    program = """
    from autoscope.weave import weaver
    recode = weaver.rewriter()[1]
    working = recode.recode
    def recode_or_not(code, *arguments, **named):
        if code.co_name == "total": raise MemoryError
        return working(code, *arguments, **named)
    recode.recode = recode_or_not
    import case
    print("@armed" in case.total.__code__.co_names)
    """
    place.write("failing", program)
    assert place.run("failing.py", AUTOSCOPE_STRICT=None)[1] == "False\n"
    look = "import case; print('@armed' in case.total.__code__.co_names)"
    assert place.run("-c", look)[1] == "True\n" == place.run("-c", look)[1]


def test_at_the_end_of_the_stack(place):
    """An import that has just enough room has it still, or all but a few levels; and what was woven there is whole later."""
    place.write("small", "def f(x):\n    return x\n")
    place.write(
        "deep", "import sys\ndef deep(n):\n    if n: return deep(n - 1)\n    import small\ndeep(int(sys.argv[1]))\n"
    )
    look = "import small; print('@armed' in small.f.__code__.co_names)"
    place.run("-c", "import small", plain=True)
    for depth in (900, 960, 975):
        assert place.run("deep.py", str(depth), AUTOSCOPE_STRICT=None) == place.run("deep.py", str(depth), plain=True)
        assert place.run("-c", look)[1] == "True\n"
        shutil.rmtree(place.cache)


def test_a_mock_does_not_see_us(place):
    place.write(
        "main",
        """
        from unittest import mock
        with mock.patch("os.makedirs") as makedirs, mock.patch("os.mkdir") as mkdir, mock.patch("os.replace") as replace:
            import case
        print(makedirs.mock_calls, mkdir.mock_calls, replace.mock_calls)
        """,
    )
    for _ in range(2):
        assert place.run("-B", "main.py") == (0, "[] [] []\n", "")


def test_a_damaged_pyc_file(place):
    place.run(plain=True)
    (file,) = (place.folder / "__pycache__").glob("case*.pyc")
    file.write_bytes(file.read_bytes()[:-200])
    plain = place.run(plain=True)
    assert plain[0] == 1 and "EOFError" in plain[2]
    assert place.run(AUTOSCOPE_STRICT=None) == plain


def test_files_may_have_no_size(place):
    """Who dies of SIGXFSZ does not die of ours."""
    place.write(
        "main",
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        import case
        print(case.total(2))
        """,
    )
    for _ in range(2):
        assert place.run("-B", "main.py") == place.run("-B", "main.py", plain=True) == (0, "1\n", "")


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
            time.sleep(0.01)  # gone again and again, at no particular moment
    for ran in over.result():
        assert says(ran) == says(place.run(plain=True))


@pytest.mark.parametrize("where", ["/dev/null/cache", "/proc/nothing", ""])
def test_nowhere_to_keep_it(place, where):
    plain = says(place.run(plain=True))
    assert says(place.run(AUTOSCOPE_CACHE_DIR=where)) == plain == says(place.run(AUTOSCOPE_CACHE_DIR=where))


def test_a_directory_others_can_write_to(place):
    place.run()
    plain = says(place.run(plain=True))
    before = {name: (place.cache / name).stat().st_mtime_ns for name in place.entries()}
    for mode in (0o777, 0o775, 0o1777):
        place.cache.chmod(mode)
        status, out, err = place.run()
        assert (status, out.splitlines()[:-1]) == plain[:2] and out.splitlines()[-1] == LOADED
        assert err.count("others can write to") == 1 and str(place.cache) in err
        assert {name: (place.cache / name).stat().st_mtime_ns for name in place.entries()} == before
    place.cache.chmod(0o755)
    assert from_cache(place.run())


def test_who_may_read_it(place, tmp_path):
    """Who can read the module, if the cache was named, and nobody else if it is in somebody's home."""
    folder = place.folder
    above = [folder, *folder.parents]
    modes = {parent: stat.S_IMODE(parent.stat().st_mode) for parent in above}
    try:
        for parent in above[:-1]:
            if "pytest" in str(parent):
                parent.chmod(0o755)
        (folder / "case.py").chmod(0o600)
        (folder / "main.py").chmod(0o644)
        place.run()
        assert stat.S_IMODE(place.cache.stat().st_mode) == 0o755
        found = sorted(stat.S_IMODE((place.cache / name).stat().st_mode) for name in place.entries())
        reachable = all(parent.stat().st_mode & 1 for parent in above)
        assert found == [0o600, 0o644 if reachable else 0o600]
        shutil.rmtree(place.cache)
        folder.chmod(0o700)
        place.run()
        assert {stat.S_IMODE((place.cache / name).stat().st_mode) for name in place.entries()} == {0o600}
        home = tmp_path / "home"
        home.mkdir(mode=0o755)
        place.run(AUTOSCOPE_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME=str(home))
        assert stat.S_IMODE((home / ".cache").stat().st_mode) == 0o700
        assert stat.S_IMODE((home / ".cache/autoscope").stat().st_mode) == 0o700
    finally:
        for parent, mode in modes.items():
            if "pytest" in str(parent):
                parent.chmod(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for somebody else")
def test_somebody_elses_home_and_entries(place, tmp_path):
    """Root makes nothing in another's home, and executes nothing that another has put into the cache."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    plain = says(place.run(plain=True))
    for where in (home, tmp_path / "nowhere"):
        ran = place.run(AUTOSCOPE_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME=str(where))
        assert says(ran) == plain and not list(home.iterdir()) and not (tmp_path / "nowhere").exists()
    place.run()
    evil = place.write("evil", "import os\nos.write(2, b'EVIL')\n")
    packed = marshal.dumps((compile(evil.read_text(), "case.py", "exec"), [], []))
    for name in place.entries():
        entry = place.cache / name
        entry.write_bytes(cache.HEAD + cache.digest(packed) + packed)
        os.chown(entry, 12345, 12345)
    assert says(place.run()) == plain
    for name in place.entries():
        entry = place.cache / name
        os.chown(entry, 0, 0)
        entry.chmod(0o666)
    assert says(place.run()) == plain


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


BY_VALUE = (
    SHELF
    + '''same = lambda x: x + limit, lambda x: x + limit
def documented(x: int, y: "str" = "a text that is no identifier") -> list[int]:
    """What it is about, at some length."""
    return [x, "another text, no identifier either"]
def renamed(x): "Its own."; return x
renamed.__name__, renamed.__qualname__, renamed.__doc__, renamed.mark = "other", "Other.other", "Another's.", 1
'''
)
DIGESTS = """
import hashlib, cloudpickle, dill, shelf
cloudpickle.register_pickle_by_value(shelf)
things = shelf.outer, shelf.outer(1), shelf.Cart.add, shelf.Cart.empty, shelf.same, shelf.documented, shelf.renamed
for thing in things: print(hashlib.sha256(cloudpickle.dumps(thing)).hexdigest())
print(hashlib.sha256(dill.dumps(shelf.outer(1), recurse=True)).hexdigest())
"""


@pytest.mark.parametrize("words", [(), ("-B",)])
@pytest.mark.parametrize("where", ["module", "script"])
def test_pickled_by_value(place, words, where):
    """Code objects of a module share equal parts, which a pickle shows: what is given back is shared alike."""
    if where == "script":
        place.write(
            "main",
            BY_VALUE
            + "import sys\nsys.modules['shelf'] = sys.modules['__main__']\n"
            + DIGESTS.replace("cloudpickle.register", "#"),
        )
    else:
        place.write("shelf", BY_VALUE)
        place.write("main", DIGESTS)
    place.run(
        *words, "main.py", plain=True
    )  # what was compiled now and what is read from a `.pyc` differ by themselves
    plain = place.run(*words, "main.py", plain=True)
    assert plain[0] == 0 and len(plain[1].split()) == 8 and plain == place.run(*words, "main.py", plain=True), plain
    for _ in range(3):
        assert place.run(*words, "main.py") == plain


def test_what_is_least_used_goes(tmp_path):
    found = cache.Cache(str(tmp_path / "cache"))
    for number in range(20):
        found.store(f"{number:032}{cache.SUFFIX}", bytes(1000), __file__)
        os.utime(tmp_path / "cache" / f"{number:032}{cache.SUFFIX}", (1000 + number,) * 2)
    (tmp_path / "cache" / f"{99:032}{cache.SUFFIX}.77.ab").write_bytes(b"left by one that was killed")
    os.utime(tmp_path / "cache" / f"{99:032}{cache.SUFFIX}.77.ab", (1000, 1000))
    assert bytes(found.load(f"{3:032}{cache.SUFFIX}")) == bytes(1000)  # used: from now on the newest
    found.shrink(10_000)
    assert {int(name[:32]) for _, _, name in found.entries()} == {3, *range(12, 20)}
    assert found.shrink(10_000) == 0
    (tmp_path / "cache/mine.woven").write_bytes(b"somebody else's")
    found.shrink(0)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["mine.woven"]


def test_a_full_disk(tmp_path, monkeypatch):
    found = cache.Cache(str(tmp_path / "cache"))

    class Full:
        def __getattr__(self, name):
            return getattr(os, name)

        def write(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.library, "system", Full())
    found.store(f"a{cache.SUFFIX}", b"x", __file__)
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
    """Every thirtieth module of the standard library and its tests: `restore` undoes `recode`, to the byte."""
    library = Path(os.__file__).parent
    count = 0
    for file in sorted(library.rglob("*.py"))[::30]:
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
