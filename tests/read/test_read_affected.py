"""`autoscope affected`: the tests that a change concerns, in a real repository with a real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from cases_kit import call, case, record, write
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscope import cli
from autoscope.cli.affected import whole_words
from autoscope.errors import AutoscopeError
from autoscope.read.affected import find_affected, imports_of, is_imported, path_of, read_code

FILES = {
    "shop/__init__.py": "",
    "shop/config.py": "RATE = 2\n",
    "shop/cart.py": '''\
"""The cart."""
from shop.config import RATE

def traced(function):
    def wrapper(*values):
        return function(*values)
    return wrapper

class Cart:
    limit = 3

    def __init__(self):
        self.items = []

    @traced
    def add(self, sku):
        self.items.append(sku)
        return self

    @property
    def total(self):
        return sum(self.items) * RATE

def helper():
    return 7

def unused():
    return 1
''',
    "shop/stock.py": """\
def load(sku):
    def inner(k):
        return k + sku
    return [inner(k) for k in range(3)]

def audit():
    return True
""",
    "tests/test_cart.py": "def test_add():\n    pass\n\ndef test_total():\n    pass\n",
    "tests/test_stock.py": """\
import tests.data

def made():
    return 1

class TestStock:
    def test_load(self):
        pass

    def test_params(self):
        pass
""",
    "tests/data.py": "ROWS = [1]\n",
    "tests/sub/test_audit.py": "def test_audit():\n    pass\n",
    "conftest.py": "",
}
BODY = """
import autoscope
with autoscope.pause():  # as pytest's plugin has it: what an import calls belongs to no test
    from shop import cart, stock
with case("tests/test_cart.py::test_add"):
    cart.Cart().add(3)
with case("tests/test_cart.py::test_total"):
    with span("setup"), span("fixture helper", {"pytest.fixture.name": "helper", "pytest.fixture.scope": "module"}):
        cart.helper()
    cart.Cart().total
with case("tests/test_stock.py::TestStock::test_load"):
    with span("setup"), span("fixture audited", {"pytest.fixture.name": "audited", "pytest.fixture.scope": "function"}):
        stock.audit()
    stock.load(1)
with case("tests/test_stock.py::TestStock::test_params[a b]"):
    pass
with case("tests/sub/test_audit.py::test_audit"):
    stock.audit()
"""
ADD, TOTAL = "tests/test_cart.py::test_add", "tests/test_cart.py::test_total"
LOAD, PARAMS = "tests/test_stock.py::TestStock::test_load", "tests/test_stock.py::TestStock::test_params[a b]"
AUDIT = "tests/sub/test_audit.py::test_audit"
EVERY = [ADD, TOTAL, LOAD, PARAMS, AUDIT]


class Project:
    def __init__(self, folder):
        self.folder = folder

    def git(self, *words):
        command = ["git", "-c", "commit.gpgsign=false", "-c", "user.name=a", "-c", "user.email=a@b", *words]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "state")

    def edit(self, file, old, new):
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def affected(self, since="HEAD", directory=None):
        return find_affected(self.run, since, str(directory or self.folder))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The project and a run of its tests."""
    folder = tmp_path_factory.mktemp("affected") / "project"
    project = Project(folder)
    folder.mkdir()
    (folder / ".gitignore").write_text("store/\napp.py\ncases.py\n__pycache__/\n")
    project.run = record(folder, BODY, files=FILES, strategy="full_trace")
    project.git("init", "-q", "-b", "main")
    project.commit()
    return project


@pytest.fixture
def project(recorded):
    yield recorded
    recorded.git("reset", "-q", "--hard", "HEAD")
    recorded.git("clean", "-q", "-f", "-d", "-e", "store")


EDITS = [
    ("nothing", [], []),
    ("a method's body", [("shop/cart.py", "append(sku)", "append(sku + 1)")], [ADD]),
    ("a property", [("shop/cart.py", "sum(self.items)", "sum(self.items, 1)")], [TOTAL]),
    ("what a constructor does", [("shop/cart.py", "self.items = []", "self.items = [0]")], [ADD, TOTAL]),
    ("a comment, a blank line, layout", [("shop/cart.py", "return 1\n", "\n    # why\n    return (1)\n")], []),
    ("lines above it", [("shop/cart.py", "def traced(", "\n\n\ndef traced(")], []),
    ("a function nobody called", [("shop/cart.py", "return 1\n", "return 2\n")], []),
    ("what a shared fixture called", [("shop/cart.py", "return 7", "return 8")], [ADD, TOTAL]),
    ("what a test's own fixture called", [("shop/stock.py", "return True", "return False")], [LOAD, AUDIT]),
    ("a nested function", [("shop/stock.py", "return k + sku", "return k")], [LOAD]),
    ("what is called on import", [("shop/cart.py", "return wrapper", "return function")], [ADD, TOTAL]),
    ("a decorator taken away", [("shop/cart.py", "    @property\n", "")], [ADD, TOTAL]),
    ("a default", [("shop/cart.py", "def add(self, sku)", "def add(self, sku=1)")], [ADD]),
    ("a value of a class", [("shop/cart.py", "limit = 3", "limit = 4")], [ADD, TOTAL]),
    ("a value of the module", [("shop/cart.py", "from shop.config import RATE", "RATE = 3")], [ADD, TOTAL]),
    ("a value another module imports", [("shop/config.py", "RATE = 2", "RATE = 3")], [ADD, TOTAL]),
    ("a new function", [("shop/stock.py", "def audit", "def more():\n    pass\n\ndef audit")], []),
    ("a new method, which may override", [("shop/cart.py", "    @traced", "    def more(self): pass\n\n    @traced")], [ADD, TOTAL]),
    ("a function that is renamed", [("shop/stock.py", "def load", "def fetch")], [LOAD]),
    ("a test", [("tests/test_cart.py", "def test_add():\n    pass", "def test_add():\n    assert 1")], [ADD]),
    ("a method that tests", [("tests/test_stock.py", "test_params(self):\n        pass", "test_params(self):\n        1")], [PARAMS]),
    ("a fixture of a file of tests", [("tests/test_stock.py", "return 1", "return 2")], [LOAD, PARAMS]),
    ("what tests import and nobody watches", [("tests/data.py", "[1]", "[2]")], [LOAD, PARAMS]),
    ("code that is none", [("shop/stock.py", "return True", "return (")], [LOAD, AUDIT]),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "expected"), [edit[1:] for edit in EDITS], ids=[edit[0] for edit in EDITS])
def test_what_is_edited_and_whom_it_concerns(project, edits, expected):
    """Function by function; what is outside functions, module by module."""
    for edit in edits:
        project.edit(*edit)

    found = project.affected()

    assert sorted(found.tests) == sorted(expected), found.reasons
    assert found.notes == ()
    assert found.known == 5


def test_committed_or_not_makes_no_difference(project):
    """What counts is the working tree beside the revision."""
    project.edit("shop/cart.py", "append(sku)", "append(sku + 1)")
    project.commit()
    project.edit("shop/stock.py", "return True", "return False")
    try:
        assert sorted(project.affected("HEAD~1").tests) == sorted([ADD, LOAD, AUDIT])
        assert sorted(project.affected("HEAD").tests) == sorted([LOAD, AUDIT])
    finally:
        project.git("reset", "-q", "--hard", "HEAD~1")


def test_conftest(project):
    """Every test below it."""
    (project.folder / "conftest.py").write_text("x = 1\n")
    assert list(project.affected().tests) == EVERY
    project.git("checkout", "-q", ".")
    (project.folder / "tests/sub/conftest.py").write_text("x = 1\n")
    assert list(project.affected().tests) == [AUDIT]


def test_new_tests(project):
    """In new files, and in known ones; those of files that are gone are not asked for."""
    (project.folder / "tests/test_new.py").write_text("def test_new():\n    pass\n")
    project.edit("tests/test_cart.py", "def test_total", "def test_more():\n    pass\n\ndef test_total")
    project.edit(
        "tests/test_stock.py", "    def test_params", "    def test_most(self):\n        pass\n\n    def test_params"
    )
    os.unlink(project.folder / "tests/sub/test_audit.py")
    project.edit("shop/stock.py", "return True", "return False")

    found = project.affected()

    assert set(found.tests) >= {
        "tests/test_new.py",
        "tests/test_cart.py::test_more",
        "tests/test_stock.py::TestStock::test_most",
    }
    assert AUDIT not in found.tests
    assert ADD not in found.tests


def test_a_test_that_is_gone(project):
    """Is not asked for: pytest would refuse the whole list."""
    project.edit("tests/test_cart.py", "def test_add", "def test_other")
    project.edit("shop/cart.py", "append(sku)", "append(sku + 1)")

    assert list(project.affected().tests) == ["tests/test_cart.py::test_other"]


def test_a_module_that_is_gone(project):
    """Concerns those that called its functions."""
    os.unlink(project.folder / "shop/stock.py")
    assert sorted(project.affected().tests) == sorted([LOAD, AUDIT])


def test_what_is_not_python_is_said(project):
    """It may matter, and nobody can say for whom."""
    for number in range(5):
        (project.folder / f"page{number}.html").write_text("x")

    found = project.affected()

    assert found.tests == ()
    assert found.notes == (
        "not Python, and no test is listed for it: page0.html, page1.html, page2.html and 2 other files",
    )


def test_what_was_called_outside_all_tests(tmp_path):
    """By imports, hooks, plugins: for whom is not known."""
    project = Project(tmp_path)
    (tmp_path / ".gitignore").write_text("store/\napp.py\ncases.py\n__pycache__/\n")
    body = BODY.replace("with autoscope.pause():", "if True:")
    project.run = record(tmp_path, body, files=FILES, strategy="full_trace")
    project.git("init", "-q", "-b", "main")
    project.commit()
    project.edit("shop/cart.py", "return wrapper", "return function")
    assert list(project.affected().tests) == EVERY
    project.git("checkout", "-q", ".")
    project.edit("shop/cart.py", "limit = 3", "limit = 4")
    assert list(project.affected().tests) == [ADD, TOTAL]


def test_what_a_run_does_not_watch(tmp_path):
    """Short accessors are not watched at this level: who may have called one is who called anything of its module. What no test
    called any function of is said."""
    project = Project(tmp_path)
    (tmp_path / ".gitignore").write_text("store/\napp.py\ncases.py\n__pycache__/\n")
    project.run = record(tmp_path, BODY, files=FILES | {"shop/idle.py": "def f():\n    return 1\n"})
    project.git("init", "-q", "-b", "main")
    project.commit()
    project.edit("shop/cart.py", "return 1\n", "return 2\n")
    project.edit("shop/idle.py", "return 1\n", "return 2\n")
    found = project.affected()

    assert list(found.tests) == [ADD, TOTAL]
    assert found.reasons[ADD] == "unused of shop/cart.py changed, which the run may not have watched"
    assert found.notes == ("changed, and no test of the run called a function of it: shop/idle.py",)


def test_reasons(project):
    """Each is a sentence."""
    project.edit("shop/config.py", "RATE = 2", "RATE = 3")
    project.edit("shop/stock.py", "return True", "return False")
    reasons = project.affected().reasons

    assert reasons[ADD] == "shop/config.py, which shop/cart.py imports, changed outside functions"
    assert reasons[AUDIT] == "audit of shop/stock.py changed"


def test_where_calls_are_missing_every_test_is_listed(tmp_path, recorded):
    """What was not recorded cannot be followed."""
    run = write(tmp_path, case(ADD, call("shop.cart.add")), meta={"counters": {"dropped": 1}})
    found = find_affected(run, "HEAD", str(recorded.folder))

    assert found.tests == (ADD,)
    assert found.notes == ("dropped: 1 call: every test is listed",)


def test_a_run_of_another_checkout(recorded, tmp_path):
    """As CI's: files count that end alike."""
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", str(recorded.folder), str(copy)], check=True)
    project = Project(copy)
    project.run = recorded.run
    project.edit("shop/cart.py", "append(sku)", "append(sku + 1)")

    assert list(project.affected().tests) == [ADD]


def test_a_project_in_a_folder_of_the_repository(tmp_path):
    """Node ids begin where pytest is started."""
    project = Project(tmp_path)
    (tmp_path / ".gitignore").write_text("store/\napp.py\ncases.py\n__pycache__/\n")
    project.run = record(tmp_path / "back", BODY, files=FILES, strategy="full_trace")
    project.git("init", "-q", "-b", "main")
    project.commit()
    project.edit("back/shop/cart.py", "append(sku)", "append(sku + 1)")
    project.edit("back/tests/test_cart.py", "def test_total", "def test_more():\n    pass\n\ndef test_total")

    assert sorted(project.affected(directory=tmp_path / "back").tests) == sorted([ADD, "tests/test_cart.py::test_more"])


# -- the command


def affected(project, monkeypatch, *words):
    monkeypatch.chdir(project.folder)
    return cli.main(["affected", project.run.path, "--since", "HEAD", *words])


def test_formats(project, capsys, monkeypatch):
    """For `$(…)`, where quotes would not help, for a file of arguments, for xargs, for programs."""
    project.edit("tests/test_stock.py", "return 1", "return 2")
    whole = PARAMS.partition("[")[0]
    for words, expected in (
        ((), f"{LOAD}\n{whole}\n"),
        (("--format", "lines"), f"{LOAD}\n{PARAMS}\n"),
        (("-0",), f"{LOAD}\0{PARAMS}\0"),
    ):
        assert affected(project, monkeypatch, *words) == 0
        assert capsys.readouterr().out == expected
    assert affected(project, monkeypatch, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tests"], told["reasons"][LOAD]) == ([LOAD, PARAMS], "made of tests/test_stock.py changed")


def test_nothing_is_affected(project, capsys, monkeypatch):
    """Which `pytest $(…)` would take for all tests: said."""
    assert affected(project, monkeypatch) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "autoscope: no test is affected; `pytest` without arguments would run all of them\n")


def test_a_shell_takes_nothing_apart(project, tmp_path):
    """A real one: what arrives at a program after `$(…)` is what was printed."""
    project.edit("tests/test_stock.py", "return 1", "return 2")
    code = "import sys; from autoscope.cli import main; sys.exit(main(sys.argv[1:]))"
    line = f"""printf '%s\\n' $({sys.executable} -c '{code}' affected {project.run.path} --since HEAD)"""
    result = subprocess.run(["sh", "-c", line], cwd=project.folder, capture_output=True, text=True, check=True)

    assert result.stdout.split("\n")[:-1] == [LOAD, PARAMS.partition("[")[0]]


@given(st.lists(st.text(st.sampled_from("ab [*?]\\\t'\"$\u00a0"), max_size=6), max_size=5))
def test_words_are_whole(parameters):
    """No blank, no pattern but the brackets of parameters; and no test is lost."""
    ids = [f"t.py::test_{len(one)}[{one}]" for one in parameters]
    words = whole_words(ids)
    for word in words:
        assert len(word.split()) == 1
        assert not set(word.partition("[")[2][:-1]) & set("*?[]\\")
    assert all(any(id == word or id.startswith(f"{word}[") for word in words) for id in ids)
    assert whole_words(words) == words


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("nosuch", "affected --since nosuch: git refused: "),
        ("--output=x", "affected --since --output=x: that is no revision; "),
        ("HEAD:shop", "affected --since HEAD:shop: git refused: "),
    ],
)
def test_an_unknown_revision(project, revision, message):
    """With what git says."""
    with pytest.raises(AutoscopeError) as refused:
        project.affected(revision)

    assert str(refused.value).startswith(message)
    assert "give a " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_repository(project, tmp_path):
    """And no git."""
    with pytest.raises(AutoscopeError, match="is in no git repository; go to one"):
        project.affected(directory=tmp_path)


def test_a_run_without_tests(project, tmp_path, capsys, monkeypatch):
    """Is no use here."""
    run = write(tmp_path, call("shop.main"))
    monkeypatch.chdir(project.folder)
    assert cli.main(["affected", run.path, "--since", "HEAD"]) == 0
    assert "has no tests; record one with `pytest --autoscope`" in capsys.readouterr().err


# -- code


SAMPLE = """
import os
LIMIT = 3
def f(x):
    def g(): return x
    return g
class C(list):
    y = 1
    @property
    def p(self): return 1
    @p.setter
    def p(self, value): pass
    class D:
        async def m(self): return lambda: 1
if True:
    def h(): pass
"""


def test_functions_are_named_as_python_names_them():
    """Nested ones, methods, those under conditions; a property has several definitions."""
    code = read_code(SAMPLE.encode())
    namespace = {"__name__": "m"}
    exec(SAMPLE, namespace)

    assert {name: len(of) for name, of in code.functions.items()} == {
        "f": 1,
        "f.<locals>.g": 1,
        "C.p": 2,
        "C.D.m": 1,
        "h": 1,
    }
    assert namespace["f"](1).__qualname__ == "f.<locals>.g"
    assert namespace["C"].D.m.__qualname__ == "C.D.m"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(SAMPLE.splitlines()) - 1), max_size=5))
def test_blank_lines_and_comments_change_nothing(lines):
    """Wherever they stand."""
    changed = SAMPLE.splitlines()
    for line in sorted(lines, reverse=True):
        changed[line:line] = ["", "# a comment"]

    assert read_code("\n".join(changed).encode()) == read_code(SAMPLE.encode())


@pytest.mark.parametrize(
    ("source", "file", "imported"),
    [
        ("import shop.config", "app.py", True),
        ("from shop import config", "app.py", True),
        ("from shop.config import RATE", "app.py", True),
        ("from . import config", "src/shop/cart.py", True),
        ("from .config import RATE", "src/shop/cart.py", True),
        ("from ..config import RATE", "src/shop/sub/cart.py", True),
        ("def f():\n    import shop.config", "app.py", True),
        ("from .config import RATE", "src/other/cart.py", False),
        ("import shop", "app.py", False),
        ("import configure", "app.py", False),
        ("import other.config", "app.py", False),
        ("(", "app.py", False),
    ],
)
def test_imports(source, file, imported):
    """Absolute ones as far as they are named, relative ones to the letter."""
    assert is_imported("src/shop/config.py", imports_of(source.encode(), file)) is imported
    assert path_of("src/shop/__init__.py") == "src/shop"
