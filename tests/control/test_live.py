"""Changes in a running process: what is in force afterwards, and what is left when they are taken back."""

from __future__ import annotations

import gc
import importlib
import sys
import textwrap
import threading
import time
from types import FunctionType

import pytest

import autoscope
from autoscope import bootstrap
from autoscope.read.runs import open_run
from autoscope.runtime import sites
from autoscope.runtime.spans import attributes_of

SOURCE = """
def plain(x):
    return len([x])

def tiny(x):
    return x

def make(n):
    def inner(x):
        return plain(x) + n
    return inner

closure = make(3)

class C:
    def method(self, a, b=2):
        return plain(a) + b

def numbers(n):
    for number in range(n):
        yield number

def call_all():
    return [plain(1), tiny(1), closure(1), make(1)(1), C().method(1), list(numbers(2))]
"""
RESULT = [1, 1, 4, 2, 3, [0, 1]]


@pytest.fixture
def case(tmp_path, monkeypatch):
    (tmp_path / "case_live.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield importlib.import_module("case_live")
    sys.modules.pop("case_live", None)


@pytest.fixture(params=["first", "last"])
def installed(request, tmp_path, case):
    """Traced from before the module was imported, or woven in place."""
    if request.param == "first":
        sys.modules.pop("case_live")
        handle = install(tmp_path)
        yield importlib.import_module("case_live")
    else:
        handle = install(tmp_path)
        yield case
    handle.uninstall()


def install(tmp_path, strategy="full_trace", **options):
    return autoscope.install({"include": ["case_live*"], **options}, strategy=strategy, store=str(tmp_path / "store"))


def recorded(case):
    """Functions recorded by one round, with what was captured of each; the result is what it is untraced."""
    bootstrap.running.drain.flush(5.0)
    seen = []

    def tap(records):
        for site, _, _, _, _, _, details in records:
            attributes = None if details is None else attributes_of(details)
            if attributes is not None:
                attributes.pop("autoscope.generator.running_ns", None)
            seen.append((site.qualname, attributes))
        return True

    taps = bootstrap.running.drain.taps
    taps.append(tap)
    assert case.call_all() == RESULT
    assert bootstrap.running.drain.flush(5.0)
    taps.remove(tap)
    return seen


def names(case):
    return sorted(name for name, _ in recorded(case))


def codes(case):
    return [
        case.plain.__code__,
        case.tiny.__code__,
        case.closure.__code__,
        case.C.method.__code__,
        case.numbers.__code__,
    ]


def test_off_and_back(installed):
    everything = names(installed)
    woven = codes(installed)
    assert autoscope.update("case_live.C.*", level="off") == 1
    assert "C.method" in everything and "C.method" not in names(installed)
    assert sites.site_of(installed.C.method.__code__) is None
    assert autoscope.update("case_live.C.*", level="full_trace") == 1
    assert everything == names(installed)
    assert codes(installed) == woven


def test_what_a_call_captures(installed):
    """Less, more and by name; closures that live and those made afterwards alike."""
    captured = dict(recorded(installed))
    assert captured["C.method"]["autoscope.arg.a"] == 1 and captured["C.method"]["autoscope.return"] == 3

    assert autoscope.update("*", capture={"args": False, "return": False}) > 0
    assert {None} == {attributes for name, attributes in recorded(installed) if name != "numbers"}

    autoscope.update("*.method", capture={"args": ["b"]})
    autoscope.update("*inner", capture={"args": True})
    again = recorded(installed)
    assert {"autoscope.arg.b": 2} == dict(again)["C.method"]
    assert [{"autoscope.arg.x": 1}] * 2 == [attributes for name, attributes in again if name.endswith("inner")]
    assert sorted(name for name, _ in again) == sorted(name for name, _ in recorded(installed))


def test_a_time_that_is_over(installed):
    before = recorded(installed)
    woven = len(sites.sites)
    assert autoscope.update("*", level="off", for_=300) > 0
    assert recorded(installed) == []
    (change,) = bootstrap.running.weave.changes
    assert bootstrap.running.live.revert(change.number)
    assert autoscope.update("*", level="off", for_=0.2) > 0
    deadline = time.monotonic() + 30
    while bootstrap.running.weave.changes and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [name for name, _ in before] == [name for name, _ in recorded(installed)]
    assert woven == len(sites.sites)


def test_captures_for_a_time_leave_nothing_behind(tmp_path, case):
    with install(tmp_path, "balanced"):
        before = recorded(case)
        number, count = bootstrap.running.live.change("*", rule(level="full_trace", capture={"args": True}))
        assert count > len({name for name, _ in before})
        assert "tiny" in names(case)
        assert bootstrap.running.live.revert(number)
        assert before == recorded(case)
        assert not bootstrap.running.live.revert(number)


def rule(**said):
    from autoscope.plan.schema import change_from

    return change_from(said, "test")


def test_a_function_that_was_left_alone(tmp_path, case):
    """Too small for the strategy, or off in the plan: said by name, it is watched."""
    with install(tmp_path, "balanced", modules={"case_live": {"functions": {"plain": {"level": "off"}}}}):
        assert not {"tiny", "plain"} & set(names(case))
        assert autoscope.update("case_live.tiny", level="balanced") == 1
        assert autoscope.update("case_live.plain", level="balanced") == 1
        assert {"tiny", "plain"} <= set(names(case))
        assert names(case).count("plain") == 4


def test_a_change_holds_for_what_is_imported_later(tmp_path, case):
    sys.modules.pop("case_live")
    with install(tmp_path):
        assert autoscope.update("case_live.C.*", level="off") == 0
        assert autoscope.update("case_live.plain", capture={"args": False}) == 0
        later = importlib.import_module("case_live")
        seen = dict(recorded(later))
        assert "C.method" not in seen
        assert seen["plain"] == {"autoscope.return": 1}


def test_changes_for_good_do_not_pile_up(installed):
    for number in range(20):
        autoscope.update("case_live.*", rate=number / 20)
    autoscope.update("case_live.*", level="off")
    assert [0.95, None] == [change.rule.rate for change in bootstrap.running.weave.changes]


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": "loud"},
        {"rate": 2},
        {"capture": {"argz": True}},
        {"capture": 3},
        {"level": "off", "for_": 0},
        {"level": "off", "for_": float("nan")},
        {},
    ],
)
def test_what_cannot_be_changed_is_refused(installed, wrong):
    before = recorded(installed)
    with pytest.raises(autoscope.AutoscopeError) as caught:
        autoscope.update("*", **wrong)
    assert "\n" not in str(caught.value)
    assert before == recorded(installed)


def test_a_pause(installed):
    everything = names(installed)
    with autoscope.pause():
        assert names(installed) == []
        with autoscope.pause():
            autoscope.update("*", level="full_trace")
        assert names(installed) == []
    assert everything == names(installed)


def test_off_gives_every_function_its_own_code(tmp_path, case):
    before = codes(case)
    with install(tmp_path):
        everything = names(case)
        autoscope.update("case_live.C.*", level="off")
        assert bootstrap.running.live.off() > 0
        assert [id(code) for code in before] == [id(code) for code in codes(case)]
        assert case.make(1).__code__ in case.make.__code__.co_consts
        assert names(case) == []
        autoscope.update("case_live.C.*", level="full_trace")
        assert [id(code) for code in before] == [id(code) for code in codes(case)]
        assert bootstrap.running.live.on() > 0
        assert everything == names(case)
    assert [id(code) for code in before] == [id(code) for code in codes(case)]


def test_after_uninstall_every_function_has_its_own_code(tmp_path, case):
    """Whatever was changed before."""
    before = codes(case)
    with install(tmp_path, "balanced"):
        autoscope.update("*", level="full_trace")
        autoscope.update("*.method", capture={"args": ["b"]})
        autoscope.update("*.plain", level="off")
        assert case.call_all() == RESULT
    assert [id(code) for code in before] == [id(code) for code in codes(case)]


def test_another_plan(tmp_path, case):
    """What it adds is woven, what it leaves out is not recorded any longer, rates and captures are its own."""
    from autoscope.plan.resolve import resolve_mapping

    def plan(**said):
        return resolve_mapping({"include": ["case_live*"], **said}, environ={})

    with install(tmp_path, "balanced"):
        first = recorded(case)
        bootstrap.running.adopt(plan(strategy="full_trace"))
        assert {"tiny", "C.method"} <= set(names(case))
        bootstrap.running.adopt(
            plan(strategy="balanced", modules={"case_live": {"functions": {"C.method": {"level": "off"}}}})
        )
        assert "C.method" not in names(case)
        bootstrap.running.adopt(plan(include=["nothing"]))
        assert names(case) == []
        bootstrap.running.adopt(plan(sampling={"rate": 0}))
        assert names(case) == []
        bootstrap.running.adopt(plan(strategy="balanced"))
        assert [name for name, _ in first] == [name for name, _ in recorded(case)]


def test_changes_while_threads_call(installed):
    """No wrong result, whatever is changed under the calls of two threads."""
    wrong, ends = [], []
    stop = threading.Event()

    def work():
        while not stop.is_set():
            if installed.call_all() != RESULT:
                wrong.append(1)
        ends.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)  # more often under a call, and whoever makes the changes need not wait as long
    for thread in threads:
        thread.start()
    for turn in range(3):
        autoscope.update("case_live.*", level=["off", "balanced", "full_trace"][turn])
        autoscope.update("*method", capture={"args": [["a"], True, False][turn]})
        autoscope.update("*", rate=[0.5, 1.0, 0.0][turn])
        if turn == 2:
            bootstrap.running.live.off()
            bootstrap.running.live.on()
    stop.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(usual)
    assert (wrong, len(ends)) == ([], 2)


def test_who_runs_on_in_an_old_twin_makes_functions_that_are_recorded(tmp_path):
    """A loop that began before a change of captures: what it defines afterwards is watched, and off when that is said."""
    from program_kit import run

    source = """
        import autoscope
        def maker():
            for turn in range(4):
                def inner(x): return len([x])
                inner(turn)
                if turn == 0: autoscope.update("*", capture={"args": True})
                if turn == 2: autoscope.update("*", level="off")
        maker()
    """
    ran = run(tmp_path, source, strategy="balanced")
    assert (ran.out, ran.err) == ("", "")
    assert len([span for span in ran.spans if span.name.endswith("inner")]) == 3


def alive(kind):
    gc.collect()
    return sum(type(thing) is kind for thing in gc.get_objects())


@pytest.mark.parametrize(("rate", "options"), [(None, {}), (0.9, {}), (0.9, {"budget": {"overhead": 0.02}})])
def test_what_was_woven_anew_is_let_go(tmp_path, case, rate, options):
    """However often captures change, at whatever rate; what is stored of a function is one row."""
    with install(tmp_path, **options):

        def turn(number):
            autoscope.update("*", rate=rate, capture={"args": bool(number % 2), "return": bool(number % 2)})
            assert case.call_all() == RESULT
            assert autoscope.flush()

        for number in range(6):
            turn(number)
        before = alive(sites.Site)
        for number in range(40):
            turn(number)
        assert alive(sites.Site) <= 3 * before
        functions = len(sites.sites)
    run = open_run(str(tmp_path / "store"))
    (rows,) = run.ask(lambda connection, _: connection.execute("SELECT count(*) FROM sites").fetchone()[0])
    assert rows == functions


def test_functions_made_while_everything_is_off(tmp_path, case):
    """By a call that began before, in a twin: they are found, and given their authors' code too."""
    before = case.make.__code__
    with install(tmp_path):
        woven = case.make.__code__
        live = bootstrap.running.live
        live.off()
        made = FunctionType(woven, case.__dict__)(1)
        assert sites.site_of(made.__code__) is not None
        assert made(1) == 2
        live.next_look = 0.0
        bootstrap.running.look_round()
        assert made.__code__ in before.co_consts
        live.on()
        assert sites.site_of(made.__code__) is not None


def test_what_somebody_turned_off_stays_off(installed):
    """However often the circuit breaker turns things off and on again meanwhile; and `on` means on."""
    live = bootstrap.running.live
    for reasons in ((), ("trouble",)):
        live.off("trouble")
        assert live.off() == 0
        assert live.on("trouble") == 0
        assert live.is_off and sites.site_of(installed.plain.__code__) is None
        for reason in reasons:
            live.off(reason)
        assert live.on() > 0
        assert not live.is_off and sites.site_of(installed.plain.__code__) is not None
    live.off("trouble")
    assert live.on("trouble") > 0
    assert not live.is_off
