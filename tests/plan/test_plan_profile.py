"""Profiles: what cProfile and speedscope's format say of calls and times, and which functions those are."""

from __future__ import annotations

import json
import marshal
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from autoscope.errors import AutoscopeError
from autoscope.plan import cost, profile
from autoscope.plan.assign import assign
from autoscope.plan.facts import Facts, Function, Module
from autoscope.plan.profile import Measured, Profile, Row

FREE = replace(cost.shipped(), profiled=0.0)
"""A profiler that costs nothing: times as they are in the file."""
DEAR = replace(cost.shipped(), profiled=100.0)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).lstrip().encode())
    return str(path)


def python(*words, cwd):
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("AUTOSCOPE_", "PYTHON"))}


def facts_of(root, modules):
    """Facts and files of `{module: {qualname: (line, end line[, kind])}}`, each module where its name says."""
    functions, found, files = [], {}, {}
    for module, named in modules.items():
        file = str(root / (module.replace(".", "/") + ".py"))
        files[module] = file
        found[module] = Module(module, file, 100, "")
        for qualname, (line, end, *kind) in named.items():
            functions.append(Function(module, qualname, line, end, kind[0] if kind else "function", ()))
    return Facts(str(root), functions, found, [], ""), files


def assigned(found, facts):
    """Name -> what was measured."""
    return {facts.functions[index].name: measured for index, measured in found.items()}


def names(found, facts):
    return sorted(assigned(found, facts))


# -- cProfile

APP = """
import functools
import time

def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper

class Cart:
    def __init__(self):
        self.items = []

    def add(self, item):
        self.items.append(item)

    @logged
    @functools.lru_cache
    def price(self):
        return sum(len(item) for item in self.items)

def numbers(n):
    for number in range(n):
        yield number

def again(n):
    return n and again(n - 1)

def main():
    cart = Cart()
    for number in range(50):
        cart.add(str(number))
    cart.price()
    list(numbers(9))
    again(3)
    time.sleep(0.2)

main()
"""
FUNCTIONS = {
    "logged": (4, 8),
    "logged.<locals>.wrapper": (5, 7),
    "Cart.__init__": (11, 12),
    "Cart.add": (14, 15),
    "Cart.price": (17, 20),
    "numbers": (22, 24, "generator"),
    "again": (26, 27),
    "main": (29, 36),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A program, and what `python -m cProfile -o` wrote of it."""
    folder = tmp_path_factory.mktemp("cprofile")
    write(folder / "app.py", APP)
    python("-m", "cProfile", "-o", "app.prof", "app.py", cwd=folder)
    return folder


def test_calls_of_a_real_profile(recorded):
    """Each function of the program is found, with its number of calls; decorated ones by the line of the decorator."""
    facts, files = facts_of(recorded, {"app": FUNCTIONS})

    found = assigned(assign(profile.read(str(recorded / "app.prof"), FREE), facts, files), facts)

    calls = {name.removeprefix("app."): measured.calls for name, measured in found.items()}
    assert {
        "logged": 1,
        "logged.<locals>.wrapper": 1,
        "Cart.__init__": 1,
        "Cart.add": 50,
        "Cart.price": 1,
        "numbers": 1,
        "again": 4,
        "main": 1,
    } == calls
    assert 10 == found["app.numbers"].steps


def test_times_of_a_real_profile(recorded):
    """Waiting is on the wall's clock and not in the CPU time; what calls is longer with what it calls."""
    read = profile.read(str(recorded / "app.prof"), FREE)
    facts, files = facts_of(recorded, {"app": FUNCTIONS})
    found = assigned(assign(read, facts, files), facts)

    assert ("pstats", True) == (read.kind, read.counts)
    assert read.wall_ns >= 200_000_000
    assert read.cpu_ns <= read.wall_ns - 200_000_000
    assert found["app.main"].own_ns < 200_000_000
    assert found["app.main"].total_ns >= found["app.Cart.add"].total_ns >= found["app.Cart.add"].own_ns > 0


def test_what_is_said_of_a_real_profile(recorded):
    """Only one thread is seen, what is not of this code and what is counted by steps is told once, however often it is assigned."""
    read = profile.read(str(recorded / "app.prof"), FREE)
    facts, files = facts_of(recorded, {"app": FUNCTIONS})
    assign(read, facts, files)
    assign(read, facts, files)

    assert 3 == len(read.notes)
    assert read.notes[2].startswith("This profile counts steps of generators and coroutines, not calls: of 1 the calls")
    assert read.notes[0].startswith("cProfile sees the thread it was started in")
    assert re.match(
        r"[\d.]+% of the calls and [\d.]+% of the time in this profile went to functions outside", read.notes[1]
    )


def test_a_comprehension_is_part_of_its_function(recorded):
    """Code that has a name of its own only for the interpreter is not missing, and its time is its function's."""
    read = profile.read(str(recorded / "app.prof"), FREE)
    facts, files = facts_of(recorded, {"app": FUNCTIONS})
    inner = next(measured for (_, line, name), measured in read.functions.items() if name == "<genexpr>" and line == 20)
    own = next(measured for (_, _, name), measured in read.functions.items() if name == "price")

    found = assigned(assign(read, facts, files), facts)

    assert Measured(own.calls, own.own_ns + inner.own_ns, own.total_ns) == found["app.Cart.price"]


def stats(*entries):
    """A file of cProfile's, of (file, line, name), calls, own and total seconds, {caller: (calls, own)}."""
    return marshal.dumps(
        {
            key: (calls, calls, own, total, {by: (made, made, time, time) for by, (made, time) in callers.items()})
            for key, calls, own, total, callers in entries
        }
    )


MAIN, LEAF = ("app.py", 1, "main"), ("app.py", 9, "leaf")
LENGTH, SLEEP = ("~", 0, "<built-in method builtins.len>"), ("~", 0, "<built-in method time.sleep>")


def test_the_profilers_cost_is_taken_off(tmp_path):
    """From the whole by calls; from each function its part of its own calls and of those it makes."""
    path = write(
        tmp_path / "a.prof",
        stats(
            (MAIN, 1, 10e-6, 20e-6, {}),
            (LEAF, 20, 8e-6, 8e-6, {MAIN: (20, 8e-6)}),
            (LENGTH, 10, 2e-6, 2e-6, {MAIN: (10, 2e-6)}),
        ),
    )

    read = profile.read(path, DEAR)

    assert pytest.approx(20_000 - 21 * 100 - 10 * 65) == read.cpu_ns
    assert pytest.approx(20_000) == read.wall_ns
    assert pytest.approx(8_000 - 20 * 20) == read.functions[LEAF].own_ns
    assert pytest.approx(10_000 + 2_000 - 20 - 20 * 80 - 10 * 65) == read.functions[MAIN].own_ns
    assert {MAIN, LEAF} == set(read.functions)


def test_a_step_of_a_generator_expression_is_cheaper_than_a_call(tmp_path):
    """It makes no frame."""
    step = ("app.py", 2, "<genexpr>")
    path = write(tmp_path / "a.prof", stats((MAIN, 1, 10e-6, 20e-6, {}), (step, 20, 8e-6, 8e-6, {MAIN: (20, 8e-6)})))

    assert pytest.approx(18_000 - 100 - 20 * 75) == profile.read(path, DEAR).cpu_ns


def test_a_tenth_is_left_at_least(tmp_path):
    """A profiler that cost more than everything was mistaken about, not negative time."""
    path = write(tmp_path / "a.prof", stats((MAIN, 1000, 10e-6, 10e-6, {})))

    read = profile.read(path, DEAR)

    assert pytest.approx(1_000) == read.cpu_ns
    assert pytest.approx(1_000) == read.functions[MAIN].own_ns


def test_waiting_is_not_work(tmp_path):
    """A built-in function that waits is on the clock, and neither in the CPU time nor in its caller's own."""
    path = write(
        tmp_path / "a.prof",
        stats((MAIN, 1, 10e-6, 1.0, {}), (SLEEP, 1, 1.0, 1.0, {MAIN: (1, 1.0)})),
    )

    read = profile.read(path, FREE)

    assert pytest.approx(10_000) == read.cpu_ns
    assert pytest.approx(10_000) == read.functions[MAIN].own_ns
    assert pytest.approx(1e9 + 10_000) == read.wall_ns


def test_a_profile_of_the_module_profile(tmp_path):
    """It is read, and its times are doubted aloud."""
    write(tmp_path / "app.py", "def f(): pass\nf(); f()\n")
    python("-m", "profile", "-o", "app.prof", "app.py", cwd=tmp_path)

    read = profile.read(str(tmp_path / "app.prof"), FREE)

    assert 2 == read.functions["app.py", 1, "f"].calls
    assert "use `cProfile`" in read.notes[-1]


# -- speedscope


def speedscope(*profiles, frames):
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": frames},
            "profiles": list(profiles),
        }
    ).encode()


FRAMES = [
    {"name": "main", "file": "shop/app.py", "line": 31},
    {"name": "add", "file": "shop/cart.py", "line": 12},
    {"name": "add", "file": "shop/cart.py", "line": 13},
    {"name": "loads", "file": "/usr/lib/python3.11/json/__init__.py", "line": 346},
]
SAMPLED = {
    "type": "sampled", "name": "thread 1", "unit": "seconds", "startValue": 0, "endValue": 0.04,
    "samples": [[0, 1], [0, 2], [0, 1, 3], [0]], "weights": [0.01, 0.01, 0.01, 0.01],
}  # fmt: skip
EVENTED = {
    "type": "evented", "name": "thread 1", "unit": "milliseconds", "startValue": 0, "endValue": 10,
    "events": [
        {"type": "O", "frame": 0, "at": 0}, {"type": "O", "frame": 1, "at": 1}, {"type": "C", "frame": 1, "at": 4},
        {"type": "O", "frame": 1, "at": 5}, {"type": "O", "frame": 1, "at": 6}, {"type": "C", "frame": 1, "at": 7},
        {"type": "C", "frame": 1, "at": 8}, {"type": "C", "frame": 0, "at": 10},
    ],
}  # fmt: skip
SHOP = {"shop.app": {"main": (30, 40)}, "shop.cart": {"Cart.__init__": (5, 9), "Cart.add": (10, 14)}}


def test_samples(tmp_path):
    """Weights are times, at the innermost function and at all above it; there are no calls, and that is said."""
    path = write(tmp_path / "a.json", speedscope(SAMPLED, frames=FRAMES))
    facts, files = facts_of(tmp_path, SHOP)

    read = profile.read(path, FREE)
    found = assigned(assign(read, facts, files), facts)

    assert ("speedscope", False, 40e6, 40e6) == (read.kind, read.counts, read.cpu_ns, read.wall_ns)
    assert {"shop.app.main": Measured(0, 10e6, 40e6), "shop.cart.Cart.add": Measured(0, 20e6, 30e6)} == found
    assert "A sampled profile has times and no calls." in read.notes
    assert "25.0% of the time in this profile went to functions outside the code that was read." in read.notes


def test_events(tmp_path):
    """Functions entered and left are calls; recursive ones count once in the whole time."""
    path = write(tmp_path / "a.json", speedscope(EVENTED, frames=FRAMES))

    read = profile.read(path, FREE)

    assert {
        ("shop/app.py", 31, "main"): Measured(1, 4e6, 10e6),
        ("shop/cart.py", 12, "add"): Measured(3, 6e6, 6e6),
    } == read.functions
    assert (True, 10e6, 10e6) == (read.counts, read.cpu_ns, read.wall_ns)


def test_what_was_open_at_the_end_is_closed(tmp_path):
    """A profile that stops in the middle has the calls so far."""
    path = write(tmp_path / "a.json", speedscope({**EVENTED, "events": EVENTED["events"][:3]}, frames=FRAMES))

    assert Measured(1, 1e6, 4e6) == profile.read(path, FREE).functions["shop/app.py", 31, "main"]


def test_profiles_of_a_file_are_added_up(tmp_path):
    """Threads: their times add up, the wall's clock is that of the longest."""
    path = write(tmp_path / "a.json", speedscope(EVENTED, {**EVENTED, "endValue": 12}, frames=FRAMES))

    read = profile.read(path, FREE)

    assert Measured(2, 8e6, 20e6) == read.functions["shop/app.py", 31, "main"]
    assert (20e6, 12e6) == (read.cpu_ns, read.wall_ns)


@pytest.mark.parametrize(
    "unit, ns", [("nanoseconds", 1), ("microseconds", 1e3), ("milliseconds", 1e6), ("seconds", 1e9), ("none", 1e7)]
)
def test_units(unit, ns, tmp_path):
    """Every unit of time; samples without one are taken for ten milliseconds."""
    one = {**SAMPLED, "unit": unit, "samples": [[0]], "weights": [3], "endValue": 3}

    assert 3 * ns == profile.read(write(tmp_path / "a.json", speedscope(one, frames=FRAMES)), FREE).cpu_ns


def test_a_run_exported_by_ours(tmp_path):
    """`autoscope export --format speedscope` gives functions without files: found by their full names."""
    write(tmp_path / "shop/__init__.py", "")
    write(tmp_path / "shop/cart.py", "class Cart:\n    def add(self):\n        return sum(range(1000))\n")
    write(tmp_path / "app.py", "from shop.cart import Cart\ndef main():\n    Cart().add()\nmain()\n")
    python("-m", "autoscope", "run", "--quiet", "--strategy", "full_trace", "app.py", cwd=tmp_path)
    python("-m", "autoscope", "export", "--format", "speedscope", "-o", "run.json", cwd=tmp_path)
    facts, files = facts_of(tmp_path, {"app": {"main": (2, 3)}, "shop.cart": {"Cart.add": (2, 3)}})

    read = profile.read(str(tmp_path / "run.json"), FREE)
    found = assign(read, facts, files)

    assert ["app.main", "shop.cart.Cart.add"] == names(found, facts)
    assert all(measured.own_ns > 0 for measured in found.values())
    assert not read.counts


# -- what is no profile

REFUSED = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\n", "it is empty"),
    "cut off": (stats((MAIN, 1, 1.0, 1.0, {}))[:40], "it is damaged or cut off"),
    "no function": (marshal.dumps({}), "no function was profiled"),
    "another dictionary": (marshal.dumps({(1, 2): 3}), "its entries are not those of cProfile"),
    "a time that is none": (stats((MAIN, 1, float("nan"), 1.0, {})), "its entries are not those of cProfile"),
    "text": (b"def main():\n    pass\n", "it is text, not a profile"),
    "a program": (b"\x7fELF\x02\x01\x00\x00", "it is neither a file of cProfile nor one of speedscope's format"),
    "collapsed": (b"main;shop.add 12\nmain 4\n", "collapsed stacks are not supported"),
    "a page": (b"<!DOCTYPE html><svg/>", "it is a web page or a picture"),
    "compressed": (b"\x1f\x8b\x08\x00", "it is compressed"),
    "a database": (b"SQLite format 3\0", "it is a database; a stored run is named by its id"),
    "chrome": (b'{"traceEvents": []}', "Chrome's trace events are not supported"),
    "chrome's list": (b'[{"ph": "X"}]', "Chrome's trace events are not supported"),
    "spans": (b'{"resourceSpans": []}', "it holds OpenTelemetry spans"),
    "other JSON": (b'{"a": 1}', "it is JSON, but not speedscope's"),
    "JSON cut off": (speedscope(SAMPLED, frames=FRAMES)[:200], "it is JSON that is damaged or cut off"),
    "deep JSON": (b"[" * 200_000, "it is JSON that is damaged or cut off"),
    "no profiles": (speedscope(frames=FRAMES), "no function was profiled"),
    "no such frame": (speedscope(SAMPLED, frames=FRAMES[:1]), "it is not sound as speedscope's format"),
    "a negative frame": (speedscope({**SAMPLED, "samples": [[-1]] * 4}, frames=FRAMES), "it is not sound"),
    "too few weights": (speedscope({**SAMPLED, "weights": [1]}, frames=FRAMES), "it is not sound"),
    "weights that are none": (speedscope({**SAMPLED, "weights": [float("inf")] * 4}, frames=FRAMES), "it is not sound"),
    "text for weights": (speedscope({**SAMPLED, "weights": ["1"] * 4}, frames=FRAMES), "it is not sound"),
    "an enormous number": (speedscope({**SAMPLED, "weights": [10**400] * 4}, frames=FRAMES), "it is not sound"),
    "left before entered": (speedscope({**EVENTED, "events": EVENTED["events"][2:]}, frames=FRAMES), "it is not sound"),
    "memory": (speedscope({**SAMPLED, "unit": "bytes"}, frames=FRAMES), "its unit is 'bytes'"),
    "an unknown type": (
        speedscope({**SAMPLED, "type": "flow"}, frames=FRAMES),
        "profiles of type 'flow' are not known",
    ),
}


@pytest.mark.parametrize("content, why", REFUSED.values(), ids=REFUSED)
def test_what_is_no_profile(content, why, tmp_path):
    """One line: which file, what it looks like, how to make a profile."""
    path = write(tmp_path / "odd", content)

    with pytest.raises(AutoscopeError) as caught:
        profile.read(path, FREE)

    assert str(caught.value).startswith(f"cannot read a profile from {path!r}: {why}")
    assert str(caught.value).endswith("; make one with `python -m cProfile -o FILE app.py`")
    assert 1 == len(str(caught.value).splitlines())


@pytest.mark.parametrize(
    "path, why", [("missing", "No such file or directory"), (".", "it is a directory"), ("a\0b", "embedded null byte")]
)
def test_what_cannot_be_opened(path, why, tmp_path, monkeypatch):
    """No file, or none that can be read."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AutoscopeError, match=f": {why}.*; "):
        profile.read(path, FREE)


def test_a_profile_that_is_too_large(tmp_path, monkeypatch):
    """Read no further than the bound."""
    monkeypatch.setattr(profile, "MOST_BYTES", 1000)
    with pytest.raises(AutoscopeError, match="larger than 0 MB; profile a shorter run"):
        profile.read(write(tmp_path / "large", b"{" + b" " * 1000), FREE)


# -- runs


def test_a_run():
    """Rows as stored, scaled by how many calls each recorded one stands for; our own CPU is taken off."""
    rows = [
        Row("shop.cart.Cart.add", "/srv/shop/cart.py", 10, "function", 5, 100, 200, scale=4.0),
        Row("shop.cart.each", "/srv/shop/cart.py", 20, "generator", 1, 10, 20, steps=9),
    ]

    read = profile.from_run("20261121", rows, 1000.0, wall_ns=5000.0, own_cpu_ns=300.0, notes=["sampled"])

    assert {
        ("/srv/shop/cart.py", 10, "shop.cart.Cart.add"): Measured(20, 400, 800),
        ("/srv/shop/cart.py", 20, "shop.cart.each"): Measured(1, 10, 20, 9),
    } == read.functions
    assert ("run", "20261121", 700.0, 5000.0, ["sampled"]) == (
        read.kind, read.source, read.cpu_ns, read.wall_ns, read.notes,
    )  # fmt: skip


def test_a_runs_generators_are_counted_as_they_are(tmp_path):
    """A run counts calls, a profiler resumptions."""
    facts, files = facts_of(tmp_path, {"shop.cart": {"each": (20, 25, "generator")}})
    read = profile.from_run("r", [Row("shop.cart.each", files["shop.cart"], 20, "generator", 3, 10, 20, steps=9)], 100)

    assert {"shop.cart.each": Measured(3, 10, 20, 9)} == assigned(assign(read, facts, files), facts)


def test_a_script_is_a_module_elsewhere(tmp_path):
    """What ran as `__main__` is found by its file."""
    facts, files = facts_of(tmp_path, {"app": {"main": (2, 3)}})
    read = profile.from_run("r", [Row("__main__.main", files["app"], 2, "function", 1, 10, 20)], 100)

    assert ["app.main"] == names(assign(read, facts, files), facts)


# -- finding functions


def of(*keys, kind="pstats"):
    return Profile("p", kind, {key: Measured(1, 10, 10) for key in keys}, 100, 100)


@pytest.mark.parametrize(
    "path, found",
    [
        ("{root}/shop/cart.py", ["shop.cart.add"]),
        ("/build/7/src/shop/cart.py", ["shop.cart.add"]),
        ("C:\\work\\shop\\cart.py", ["shop.cart.add"]),
        ("/venv/lib/python3.11/site-packages/shop/cart.py", ["shop.cart.add"]),
        ("shop/cart.py", ["shop.cart.add"]),
        ("./cart.py", ["shop.cart.add"]),
        ("/elsewhere/cart.py", []),
        ("/elsewhere/other/cart.py", []),
        ("/srv/app.py", ["app.add"]),
        ("/usr/lib/python3.11/app.py", []),
        ("/srv/a/shop/models.py", []),
        ("/srv/a/one/shop/models.py", ["one.shop.models.add"]),
        ("models.py", []),
        ("<frozen importlib._bootstrap>", []),
        ("<string>", []),
        ("a\0b.py", []),
    ],
)
def test_paths(path, found, tmp_path):
    """A file is known by the end of its path, as long as its module's name at least; where two fit, it is neither."""
    modules = ("shop.cart", "app", "one.shop.models", "two.shop.models")
    facts, files = facts_of(tmp_path, {module: {"add": (3, 5)} for module in modules})

    assert found == names(assign(of((path.format(root=tmp_path), 3, "add")), facts, files), facts)


def test_the_same_file_goes_before_one_like_it(tmp_path):
    """A copy of a file elsewhere is not taken for one that is in the profile itself."""
    facts, files = facts_of(tmp_path, {"shop.cart": {"add": (3, 5)}})
    read = of((files["shop.cart"], 3, "add"), ("/old/shop/cart.py", 3, "add"))

    assert {"shop.cart.add": Measured(1, 10, 10)} == assigned(assign(read, facts, files), facts)


def test_a_package(tmp_path):
    """`shop/__init__.py` is found by package and file name, and by no other package's."""
    facts, files = facts_of(tmp_path, {"shop": {"add": (3, 5)}})
    files["shop"] = str(tmp_path / "shop" / "__init__.py")

    assert ["shop.add"] == names(assign(of(("/srv/shop/__init__.py", 3, "add")), facts, files), facts)
    assert [] == names(assign(of(("/srv/other/__init__.py", 3, "add")), facts, files), facts)


TWICE = {"A.add": (10, 12), "B.add": (30, 32), "sub": (50, 52)}


@pytest.mark.parametrize(
    "keys, found",
    [
        ([(10, "add"), (30, "add")], {10: "A.add", 30: "B.add"}),
        ([(30, "add")], {30: "B.add"}),
        ([(14, "add"), (34, "add")], {14: "A.add", 34: "B.add"}),
        ([(32, "add"), (52, "add")], {32: "A.add", 52: "B.add"}),
        ([(10, "add"), (34, "add")], {10: "A.add", 34: "B.add"}),
        ([(12, "add")], {12: "A.add"}),
        ([(20, "add")], {}),
        ([(11, "add"), (12, "add"), (13, "add")], {}),
        ([(90, "sub")], {90: "sub"}),
        ([(50, "sub"), (90, "sub")], {50: "sub"}),
        ([(50, "mul")], {}),
        ([(30, "B.add"), (10, "app.A.add")], {30: "B.add", 10: "A.add"}),
        ([(31, "A.add")], {31: "A.add"}),
    ],
)
def test_lines_that_have_moved(keys, found, tmp_path):
    """The same line; else as many in the same order; else the nearest by far; else nobody."""
    facts, files = facts_of(tmp_path, {"app": TWICE})
    expected = {f"app.{qualname}": float(line) for line, qualname in found.items()}
    functions = {(files["app"], line, name): Measured(line, 1, 1) for line, name in keys}

    measured = assign(Profile("p", "pstats", functions, 100, 100), facts, files)

    assert expected == {name: measured.calls for name, measured in assigned(measured, facts).items()}


def test_the_line_being_executed(tmp_path):
    """Samplers may give the line inside the function: innermost of that name; several lines of one function are one."""
    facts, files = facts_of(tmp_path, {"app": {**TWICE, "sub.<locals>.add": (51, 52)}})
    keys = [(files["app"], line, "add") for line in (31, 32, 52)]

    found = assigned(assign(of(*keys, kind="speedscope"), facts, files), facts)

    assert {"app.B.add": Measured(2, 20, 20), "app.sub.<locals>.add": Measured(1, 10, 10)} == found


def test_a_sampler_without_lines(tmp_path):
    """By name, where only one function in the file has it."""
    facts, files = facts_of(tmp_path, {"app": TWICE})

    found = assign(of((files["app"], 0, "sub"), (files["app"], 0, "add"), kind="speedscope"), facts, files)

    assert ["app.sub"] == names(found, facts)


def test_a_replaced_definition_is_found_only_where_it_is(tmp_path):
    """A name's last definition is what the name means; an earlier one is meant by its line alone."""
    facts, files = facts_of(tmp_path, {"app": {"size": (10, 12)}})
    facts.functions.insert(0, Function("app", "size", 4, 6, "function", (), overload=True))
    at = {line: assign(of((files["app"], line, "size")), facts, files) for line in (4, 7, 10)}

    assert {4: [0], 7: [1], 10: [1]} == {line: list(found) for line, found in at.items()}


@pytest.mark.parametrize(
    "kind, calls", [("generator", 2.0), ("async_generator", 2.0), ("coroutine", 10.0), ("function", 20.0)]
)
def test_resumptions_are_not_calls(kind, calls, tmp_path):
    """What a profiler counts of a generator or a coroutine are its steps."""
    facts, files = facts_of(tmp_path, {"app": {"each": (3, 5, kind)}})
    read = Profile("p", "pstats", {(files["app"], 3, "each"): Measured(20, 10, 10)}, 100, 100)

    (found,) = assign(read, facts, files).values()

    assert Measured(calls, 10, 10, 0.0 if kind == "function" else 20.0) == found


def test_what_is_missing_is_named(tmp_path):
    """Functions of this code that are not where they were are named, classes' and modules' own code is not."""
    facts, files = facts_of(tmp_path, {"app": {"Cart.add": (10, 12)}})
    file = files["app"]
    read = of((file, 10, "add"), (file, 20, "gone"), (file, 1, "<module>"), (file, 8, "Cart"), (file, 40, "<lambda>"))

    assign(read, facts, files)

    assert [
        "20.0% of the calls and 20.0% of the time went to functions that are no longer where they were, or are in doubt: "
        "gone (app.py:20); profile again if the code has changed."
    ] == read.notes


def test_a_profile_of_another_program(tmp_path):
    """Nothing is found, and that is said."""
    facts, files = facts_of(tmp_path, {"app": {"add": (3, 5)}})
    read = of(("/srv/other/thing.py", 3, "add"))

    assert {} == assign(read, facts, files)
    assert [
        "None of the functions in this profile is of the code that was read: is it a profile of this program?"
    ] == read.notes
