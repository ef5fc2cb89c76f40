"""Planning anew after a change: whatever changed, the plan is the one that is made from nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscope.plan import gather, planner, write
from autoscope.plan.cost import shipped
from autoscope.plan.facts import Facts
from autoscope.plan.facts_cache import FactsCache
from autoscope.plan.link import Linker
from autoscope.plan.planner import Settings

MODULES = ("__init__", "one", "two", "three", "sub.__init__", "sub.four", "sub.five")
FUNCTIONS = tuple(f"{name}_{number}" for name in ("make", "run", "wrap") for number in range(len(MODULES)))
CLASSES = tuple(f"{name}{number}" for name in "AB" for number in range(len(MODULES)))
"""Each ends in the number of the module that defines it; the others import it from there."""
METHODS = ("run", "step", "f", "visit_a", "visit_b", "close", "size")
SPECIAL = ("__init__", "__call__", "__iter__", "__next__", "__len__", "__bool__", "__getitem__", "__enter__", "__add__")
ATTRIBUTES = ("part", "size", "make", "kind")
LINES = (
    "{f}()",
    "{f}({g})",
    "{C}()",
    "{C}().{m}()",
    "{C}.{m}(p)",
    "{f}().{m}()",
    "{f}()().{m}()",
    "{C}().{a}.{m}()",
    "{C}().{a}",
    "{M}.{f}()",
    "{M}.{C}().{m}()",
    "p.{m}()",
    "p()",
    "p.{a}",
    "x = {C}(); x.{m}()",
    "for x in {C}(): x.{m}()",
    "for x in {f}(): x.{m}()",
    "len({C}())",
    "if {C}(): {f}()",
    "with {C}() as x: x.{m}()",
    "{C}()[0].{m}()",
    "{C}() + p",
    "TABLE['a']()",
    "{M}.TABLE['a']()",
    "getattr({C}(), f'visit_{{p}}')()",
    "sorted(p, key={f})",
    "open(p)",
    "hashlib.scrypt(p)",
    "x = lambda: {f}(); x()",
    "return {C}()",
    "return {f}()",
    "return {g}",
    "return p",
    "yield {C}()",
    "def inner(): {f}()\n    return inner",
)
METHOD_LINES = (
    "self.{m}()",
    "self.{a}.{m}()",
    "self.{a}",
    "self.{a} = {C}()",
    "self.{a} = {f}",
    "self.{a} = self.{m}()",
    "super().{m}()",
    "return self",
    "getattr(self, f'visit_{{p}}')()",
    "self[0].{m}()",
    "for x in self: x.{m}()",
    *LINES,
)
BODY = ("pass", "...", "raise NotImplementedError", "return 1")
PARAMETERS = ("p", "p", "p: {C}", "p: list[{C}]", "p: 'Fits'", "p=None")
TOP = (
    "from pkg.{M} import {f} as {own}",
    "from pkg.{M} import {C} as {Own}",
    "from pkg.{M} import *",
    "from pkg import {M}",
    "import pkg.{M}",
    "import requests as {own}",
    "{own} = {f}",
    "{Own} = {C}",
    "{own} = {C}()",
    "{own} = {C}().{m}",
    "{own} = {f}()",
    "TABLE = {{'a': {f}, 'b': {g}, 'c': {C}}}",
    "TABLE = [{f}, {C}]",
    "{f}()",
    "if __name__ == '__main__': {f}()",
)


class Author:
    """Writes a package, and changes it; all by the numbers of one seed."""

    def __init__(self, seed: int, root: Path) -> None:
        self.random = random.Random(seed)
        self.root = root / "pkg"
        self.here = 0
        """Number of the module that is being written."""
        self.modules: dict[str, list[str]] = {}
        for number, name in enumerate(MODULES):
            self.here = number
            self.modules[name] = [
                self.function(),
                self.function(),
                self.decorator(),
                self.kind(),
                self.kind(),
                self.piece(),
            ]
            self.save(name)

    def fill(self, template: str) -> str:
        choose = self.random.choice
        return template.format(
            f=choose(FUNCTIONS),
            g=choose(FUNCTIONS),
            C=choose(CLASSES),
            D=choose(CLASSES),
            m=choose(METHODS),
            a=choose(ATTRIBUTES),
            M=choose(("one", "two", "three", "sub")),
            own=f"{choose(('make', 'run'))}_{self.here}",
            wrap=f"wrap_{self.here}",
            Own=f"{choose('AB')}{self.here}",
        )

    def body(self, lines: tuple[str, ...], indent: str) -> str:
        found = [self.line(lines, indent) for _ in range(self.random.randint(0, 3))]
        return "".join(found) or f"{indent}{self.random.choice(BODY)}\n"

    def line(self, lines: tuple[str, ...], indent: str) -> str:
        filled = self.fill(self.random.choice(lines)).replace("\n    ", f"\n{indent}")
        return f"{indent}{filled}\n"

    def function(self) -> str:
        decorator = self.random.choice(("", "", "", "@{f}\n", "@{f}(1)\n", "@{C}\n"))
        returns = self.random.choice(("", "", " -> {C}", " -> 'list[{C}]'"))
        head = self.fill(f"{decorator}def {{own}}({self.random.choice(PARAMETERS)}){returns}:\n")
        return head + self.body(LINES, "    ")

    def decorator(self) -> str:
        return self.fill(
            "def {wrap}(g):\n    def wrapped(*all):\n        {g}()\n        return g(*all)\n    return wrapped\n"
        )

    def method(self) -> str:
        decorator = self.random.choice(
            ("", "", "", "", "@property", "@staticmethod", "@classmethod", "@{f}", "@abstractmethod")
        )
        name = self.random.choice(METHODS + SPECIAL + ATTRIBUTES[:1])
        head = "".join(f"    {line}\n" for line in [decorator] if line)
        head += f"    def {name}(self, {self.random.choice(PARAMETERS)}){self.random.choice(('', '', ' -> {C}'))}:\n"
        return self.fill(head) + self.body(METHOD_LINES, "        ")

    def kind(self) -> str:
        bases = self.random.choice(("", "", "", "({C})", "({C}, {D})", "(Thread)"))
        attribute = self.random.choice(
            ("", "    {a} = {C}()\n", "    {a} = {f}\n", "    TABLE = [{f}]\n", "    {a}: {C}\n")
        )
        methods = [self.method() for _ in range(self.random.randint(1, 4))]
        return self.fill(f"class {{Own}}{bases}:\n{attribute}") + "".join(methods)

    def piece(self) -> str:
        how = self.random.randrange(8)
        if how < 3:
            return self.function()
        if how < 4:
            return self.kind()
        if how < 5:
            return f"class Fits(Protocol):\n    def {self.random.choice(METHODS + SPECIAL)}(self): ...\n"
        return self.fill(self.random.choice(TOP)) + "\n"

    def change(self) -> None:
        """Change one module, sometimes two; seldom a module comes or goes."""
        for _ in range(self.random.choice((1, 1, 1, 2))):
            name = self.random.choice(list(self.modules))
            self.here = MODULES.index(name)
            pieces = self.modules[name]
            what = self.random.randrange(40)
            if what == 0 and not name.endswith("__init__"):
                del self.modules[name]
                (self.root / f"{name.replace('.', '/')}.py").unlink()
                continue
            if what == 1:
                self.modules = {other: self.modules.get(other, [self.function()]) for other in MODULES}
                for other in MODULES:
                    self.save(other)
            elif what == 2:
                self.random.shuffle(pieces)
            elif what < 5:
                pieces.insert(0, "# a line\n")
            elif what < 9 or not pieces:
                pieces.insert(self.random.randint(0, len(pieces)), self.piece())
            elif what < 12:
                pieces.pop(self.random.randrange(len(pieces)))
            else:
                self.rewrite(pieces)
            self.save(name)

    def rewrite(self, pieces: list[str]) -> None:
        """Another line, another name, one more method or one fewer line in one of the pieces."""
        place = self.random.randrange(len(pieces))
        lines = pieces[place].splitlines(keepends=True)
        inside = [
            number for number, line in enumerate(lines) if line[:1] == " " and not line.strip().startswith(("def", "@"))
        ]
        what = self.random.randrange(6)
        if what == 0 and lines[0].startswith("class A") or lines[0].startswith("class B"):
            lines.append(self.method())
        elif what < 3 and inside:
            number = self.random.choice(inside)
            indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
            lines[number] = (
                self.line(METHOD_LINES if len(indent) == 8 else LINES, indent) if len(lines) > 2 else lines[number]
            )
        else:
            number = self.random.randrange(len(lines))
            for pool in (METHODS + SPECIAL, ATTRIBUTES, CLASSES, FUNCTIONS):
                here = [word for word in pool if re.search(rf"\b{word}\b", lines[number])]
                if here:
                    was, now = self.random.choice(here), self.random.choice(pool)
                    lines[number] = re.sub(rf"\b{was}\b", now, lines[number])
                    break
        pieces[place] = "".join(lines)

    def save(self, name: str) -> None:
        head = "import hashlib\nimport threading\nfrom threading import Thread\nfrom abc import abstractmethod\nfrom typing import Protocol\n"
        for number, other in enumerate(MODULES):
            if other != name:
                names = ", ".join(word for word in FUNCTIONS + CLASSES if word.endswith(str(number)))
                head += f"from pkg.{other} import {names}\n".replace(".__init__", "")
        path = self.root / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + "".join(self.modules[name]))


def facts_of(root: Path, directory: Path | None, refresh: bool = False) -> Facts:
    cache = FactsCache.open(None if directory is None else str(directory), "1")
    with cache:
        tree = gather.read_tree([str(root)], cache, refresh)
        return gather.gather(tree, cache, refresh=refresh, jobs=1)


def text_of(facts: Facts) -> str:
    """The plan, and all that is known of the code."""
    planned = planner.make(facts, Settings(), shipped())
    return write.text(planner.document(planned)) + "\n".join(map(repr, [*facts.functions, *facts.modules.values()]))


@pytest.fixture
def connected(monkeypatch) -> Iterator[list[float]]:
    """Of each linking, the share of functions that were connected anew."""
    shares: list[float] = []
    original = Linker.connect

    def connect(self, indices):
        shares.append(len(indices) / len(self.functions))
        original(self, indices)

    monkeypatch.setattr(Linker, "connect", connect)
    yield shares


@pytest.mark.parametrize("seed", range(24))
def test_a_plan_after_changes_is_the_plan_made_from_nothing(tmp_path, seed, connected):
    """Byte for byte, after each of many changes."""
    author = Author(seed, tmp_path)
    saved = 0
    for _ in range(15):
        known = text_of(facts_of(author.root, tmp_path / "cache"))
        saved += connected[-1] < 1.0
        assert known == text_of(facts_of(author.root, None))
        author.change()
    assert saved, "everything was connected anew each time: the comparison says nothing"


USER = "from pkg.lib import *\nfrom pkg.lib import make, Box, Fits, ROWS\nfrom pkg.mid import again\n"
REACHES = {
    "a name that is mentioned": ("def make(): pass", "def make(): pass\ndef more(): pass", "make(); more()"),
    "a name in terms of another": (
        "class Box:\n    def send(self): pass\nmake = Box",
        "class Box:\n    def send(self): pass\nmake = print",
        "again().send()",
    ),
    "what a function returns": (
        "class Box:\n    def send(self): pass\ndef make(): return Box()",
        "class Box:\n    def send(self): pass\ndef make(): return 1",
        "again().send()",
    ),
    "a call of a class": ("class Box: pass", "class Box:\n    def __init__(self): pass", "Box()"),
    "a call of a class below": (
        "class Box: pass\nclass Fits(Box): pass",
        "class Box:\n    def __init__(self): pass\nclass Fits(Box): pass",
        "Fits()",
    ),
    "a loop": ("class Box: pass", "class Box:\n    def __iter__(self): yield 1", "for x in Box(): pass"),
    "what stands in for an operator's method": (
        "class Box: pass",
        "class Box:\n    def __len__(self): return 1",
        "if Box(): pass",
    ),
    "the same in a class below": (
        "class Box:\n    def __len__(self): return 1\nclass Fits(Box): pass",
        "class Box:\n    def __len__(self): return 1\nclass Fits(Box):\n    def __len__(self): return 2",
        "if Box(): pass",
    ),
    "names that begin alike": (
        "class Box:\n    def visit_a(self): pass",
        "class Box:\n    def visit_a(self): pass\n    def visit_b(self): pass",
        "getattr(Box(), f'visit_{p}')()",
    ),
    "which comes first": (
        "class Box:\n    def size_it(self): pass\nclass Fits:\n    def size_it(self): pass",
        "class Fits:\n    def size_it(self): pass\nclass Box:\n    def size_it(self): pass",
        "p.size_it()",
    ),
    "a table": (
        "def make(): pass\ndef send(): pass\nROWS = [make]",
        "def make(): pass\ndef send(): pass\nROWS = [make, send]",
        "ROWS[0]()",
    ),
    "a table's function": (
        "def make(): pass\ndef send(): pass\nROWS = [make, Box]",
        "def make(): pass\ndef send(): pass\nclass Box:\n    def __init__(self): pass\nROWS = [make, Box]",
        "ROWS[0]()",
    ),
    "a decorator": (
        "def deco(g): return g\n@deco\ndef make(): pass",
        "def deco(g):\n    def inner(): return g()\n    return inner\n@deco\ndef make(): pass",
        "make()",
    ),
    "a class that decorates": (
        "class Box:\n    def __init__(self, g): pass\n@Box\ndef make(): pass",
        "class Box:\n    def __init__(self, g): pass\n    def __call__(self): pass\n@Box\ndef make(): pass",
        "make()",
    ),
    "what fits a protocol": (
        "from typing import Protocol\nclass Fits(Protocol):\n    def __call__(self): ...\nclass Box: pass",
        "from typing import Protocol\nclass Fits(Protocol):\n    def __call__(self): ...\nclass Box:\n    def __call__(self): pass",
        "q()",
    ),
    "what is only declared": (
        "class Box:\n    def send(self): raise NotImplementedError\nclass Fits(Box):\n    def send(self): pass",
        "class Box:\n    def send(self): return print()\nclass Fits(Box):\n    def send(self): pass",
        "Box().send()",
    ),
    "a property": (
        "class Box:\n    def size_it(self): pass",
        "class Box:\n    @property\n    def size_it(self): pass",
        "Box().size_it",
    ),
    "a base class": (
        "class Low:\n    def send(self): pass\nclass Box: pass",
        "class Low:\n    def send(self): pass\nclass Box(Low): pass",
        "Box().send()",
    ),
    "the name of a base class": (
        "class Low:\n    def send(self): pass\nMiddle = print\nclass Box(Middle): pass",
        "class Low:\n    def send(self): pass\nMiddle = Low\nclass Box(Middle): pass",
        "Box().send()",
    ),
    "a star": ("from os import *", "from pkg.mid import *", "extra()"),
    "what a star brings": ("def make(): pass", "def make(): pass\ndef extra(): pass", "extra()"),
}


@pytest.mark.parametrize("rule", REACHES)
def test_a_change_is_seen_from_elsewhere(tmp_path, rule, connected):
    """What a function of an unchanged module calls is another after each of these changes of the module it imports from."""
    before, after, call = REACHES[rule]
    root = tmp_path / "pkg"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "mid.py").write_text("from pkg.lib import make as again\ndef extra(): pass\n")
    (root / "use.py").write_text(
        f"{USER}def user(p, q: Fits):\n    {call}\ndef other(): return [n for n in range(9)]\n"
    )
    (root / "lib.py").write_text(f"{before}\n")
    was = facts_of(root, tmp_path / "cache")
    (root / "lib.py").write_text(f"{after}\n")
    now = facts_of(root, tmp_path / "cache")
    assert calls_of(was, "user") != calls_of(now, "user"), "the change changes nothing: the test says nothing"
    assert text_of(now) == text_of(facts_of(root, None))


def calls_of(facts: Facts, name: str) -> list[tuple[str, float]]:
    """What a function calls and how often, in order."""
    function = next(function for function in facts.functions if function.qualname == name)
    inside = [(facts.functions[callee].name, weight) for callee, weight in function.callees.items()]
    return [*function.calls.items(), *inside]


def test_a_change_that_nobody_can_see_from_outside_connects_one_module(tmp_path, connected):
    """Another body, or one more function: what other modules call is not asked again."""
    root = tmp_path / "pkg"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "use.py").write_text(
        "from pkg.lib import make\ndef user(): make()\ndef other(): make()\ndef third(): pass\n"
    )
    (root / "lib.py").write_text("def make(): print()\n")
    facts_of(root, tmp_path / "cache")
    (root / "lib.py").write_text("def more(): make()\ndef make(): open('x')\n")
    facts = facts_of(root, tmp_path / "cache")
    assert connected == [1.0, 2 / 5]
    assert calls_of(facts, "user") == [("pkg.lib.make", 1.0)]
