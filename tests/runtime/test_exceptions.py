"""Exceptions that leave woven functions: recorded once, where they left first; never changed, never kept."""

from __future__ import annotations

import gc
import re
import sys
import textwrap
import traceback
import weakref
from types import ModuleType

import pytest

from autoscope.export.wire import exception_attributes
from autoscope.plan.resolve import resolve_mapping
from autoscope.runtime import calls, context, sites
from autoscope.runtime.library import library
from autoscope.runtime.spans import Details
from autoscope.weave import weaver
from autoscope.weave.weaver import Weaver
from program_kit import run

FILE = "<program>"
SHAPES = {
    "lean": ("bytecode", False),
    "full": ("bytecode", True),
    "source": ("ast", False),
}
if not weaver.BYTECODE:
    SHAPES = {"source": ("ast", False)}


@pytest.fixture(params=SHAPES)
def weave(request):
    """Weaves a program in this process, in each of the shapes a woven function can have."""
    path, capture = SHAPES[request.param]

    def weave(source, **plan):
        settled = resolve_mapping(
            {"strategy": "full_trace", "include": ["program"], "capture": {"args": capture, "return": capture}} | plan,
            environ={},
        )
        weaver = Weaver(settled)
        weaver.path = path
        module = ModuleType("program")
        source = textwrap.dedent(source)
        code = weaver.module_code(compile(source, FILE, "exec", dont_inherit=True), "program", lambda: source)
        exec(code, module.__dict__)
        return module

    return weave


def fails(function, *arguments):
    """The exception a call ends with."""
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("it returned")


def told():
    """(function, error type, message, whether it tells the exception) of every call that ended so far, and forgets them."""
    seen = [
        (
            record[0].qualname,
            record[6].error_type if record[6] else "",
            record[6].error_message if record[6] else "",
            bool(record[6] and record[6].exception),
        )
        for record in sites.recorded()
    ]
    sites.records.clear()
    return seen


def the_exception():
    """The one exception that was recorded."""
    (exception,) = [record[6].exception for record in sites.recorded() if record[6] and record[6].exception]
    return exception


# -- once, where it left first


def test_recorded_once_and_an_error_on_all(weave):
    """The innermost function tells the exception, every function it passes is an error, callers that catch it are not."""
    program = weave("""
        def inner(): raise ValueError("no")
        def middle(): inner()
        def outer(): middle()
        def main():
            try: outer()
            except ValueError: return "caught"
    """)
    assert program.main() == "caught"
    assert told() == [
        ("inner", "ValueError", "no", True),
        ("middle", "ValueError", "no", False),
        ("outer", "ValueError", "no", False),
        ("main", "", "", False),
    ]


@pytest.mark.parametrize(
    "way",
    [
        "raise",
        "raise error",
        "raise error.with_traceback(error.__traceback__)",
    ],
)
def test_a_reraised_exception_is_the_same_one(weave, way):
    """Caught on its way and raised again: still once."""
    program = weave(f"""
        def inner(): raise ValueError("no")
        def middle():
            try: inner()
            except ValueError as error: {way}
        def outer(): middle()
    """)
    fails(program.outer)
    assert [exception for *_, exception in told()] == [True, False, False]


def test_others_may_come_and_go_while_it_is_on_its_way(weave):
    """What a `finally` or an `except` does on the way, failures of its own included, makes no second one of it."""
    program = weave("""
        said = []
        class Mine(ValueError):
            def __str__(self):
                said.append(self)
                return "mine"
        def fail(): raise KeyError("other")
        def tidy():
            for _ in range(3):
                try: fail()
                except KeyError: pass
        def inner(): raise Mine
        def middle():
            try: inner()
            finally: tidy()
        def outer():
            try: middle()
            except Mine:
                tidy()
                raise
    """)
    fails(program.outer)
    seen = [entry for entry in told() if entry[1] == "program.Mine"]
    assert seen == [
        ("inner", "program.Mine", "mine", True),
        ("middle", "program.Mine", "mine", False),
        ("outer", "program.Mine", "mine", False),
    ]
    assert len(program.said) == 1


def test_tasks_of_one_trace_fail_side_by_side(weave):
    """Their exceptions pass each other on the way out; each is told once, with its own message."""
    program = weave("""
        import asyncio
        async def leaf(number):
            await asyncio.sleep(0)
            raise ValueError(number)
        async def branch(number):
            try: await leaf(number)
            finally: await asyncio.sleep(0)
        async def main():
            await asyncio.gather(*(branch(number) for number in range(8)), return_exceptions=True)
        def run(): asyncio.run(main())
    """)
    program.run()
    seen = told()
    assert sorted(entry for entry in seen if entry[0] == "leaf") == [
        ("leaf", "ValueError", str(number), True) for number in range(8)
    ]
    assert sorted(entry for entry in seen if entry[0] == "branch") == [
        ("branch", "ValueError", str(number), False) for number in range(8)
    ]


def test_generators_and_coroutines_pass_it_on_too(weave):
    """`yield from`, a loop over a generator, `await`, `throw`: once."""
    program = weave("""
        import asyncio
        def leaf():
            yield 1
            raise ValueError("no")
        def delegate(): yield from leaf()
        def consume():
            for _ in delegate(): pass
        async def wait(): consume()
        async def main(): await wait()
        def run(): asyncio.run(main())
        def thrown():
            steps = leaf()
            next(steps)
            steps.throw(KeyError("thrown"))
    """)
    names = ["leaf", "delegate", "consume", "wait", "main", "run"]
    if "program.delegate" not in {site.name for site in sites.sites}:
        names.remove("delegate")  # the source rewrite leaves `yield from` alone
    fails(program.run)
    assert told() == [
        ("leaf", "ValueError", "no", True),
        *((name, "ValueError", "no", False) for name in names[1:]),
    ]
    fails(program.thrown)
    assert told() == [("leaf", "KeyError", "'thrown'", True), ("thrown", "KeyError", "'thrown'", False)]


def test_a_stored_exception_is_told_once_a_trace(weave):
    """Raised again later, its message is asked for once; a trace of its own tells it anew."""
    program = weave("""
        kept = []
        def fail(): raise ValueError("no")
        def store():
            try: fail()
            except ValueError as error: kept.append(error)
        def later(): raise kept[0]
        def wrap(): raise RuntimeError("wrapped") from kept[0]
        def main():
            store()
            for function in (later, later, wrap):
                try: function()
                except Exception: pass
    """)
    program.main()
    assert told() == [
        ("fail", "ValueError", "no", True),
        ("store", "", "", False),
        ("later", "ValueError", "no", False),
        ("later", "ValueError", "no", False),
        ("wrap", "RuntimeError", "wrapped", True),
        ("main", "", "", False),
    ]
    fails(program.later)
    assert told() == [("later", "ValueError", "no", True)]


def test_the_address_of_a_dead_exception_is_nobody(weave):
    """The next exception at the same address, raised in the same place, is another one."""
    program = weave("""
        addresses = []
        def fail(number):
            error = ValueError(number)
            addresses.append(id(error))
            try: raise error
            finally: del error
        def attempt(number): fail(number)
        def cause(number):
            try: raise KeyError(number)
            except KeyError as error: raise LookupError from error
        def main():
            for number in range(50):
                try: attempt(number)
                except ValueError: pass
                try: cause(number)
                except LookupError: pass
    """)
    program.main()
    assert len(set(program.addresses)) < 50, "no address came twice: this test shows nothing"
    caused = [record[6].exception.cause.message for record in sites.recorded() if record[0].qualname == "cause"]
    assert caused == [str(number) for number in range(50)]
    seen = [entry for entry in told() if entry[0] in ("fail", "attempt")]
    assert seen == [
        entry
        for number in range(50)
        for entry in (("fail", "ValueError", str(number), True), ("attempt", "ValueError", str(number), False))
    ]


def test_the_address_of_a_dead_exception_in_another_function(weave):
    """Nor is one at the same address, with a traceback at the same address, that comes out of a function nobody watches."""
    program = weave(
        """
        addresses = []
        def fail():
            try: raise ValueError("watched")
            except ValueError as error:
                addresses.append(id(error))
                raise
        def hidden():
            try: raise ValueError("hidden")
            except ValueError as error:
                addresses.append(id(error))
                raise
        def middle():
            try: fail()
            except ValueError: pass
            hidden()
        def main():
            for _ in range(20):
                try: middle()
                except ValueError: pass
        """,
        modules={"program": {"functions": {"hidden": {"level": "off"}}}},
    )
    program.main()
    assert any(one == other for one, other in zip(program.addresses[::2], program.addresses[1::2], strict=True))
    assert told() == [
        *[("fail", "ValueError", "watched", True), ("middle", "ValueError", "hidden", True)] * 20,
        ("main", "", "", False),
    ]


def test_the_address_of_a_dead_exception_out_of_a_thinned_call(weave):
    """Nor is one out of the same function, where only some of its calls are watched."""
    program = weave(
        """
        number = 0
        def fail():
            global number
            number += 1
            raise ValueError(number)
        def middle():
            try: fail()
            except ValueError: pass
            fail()
        def main():
            for _ in range(100):
                try: middle()
                except ValueError: pass
        """,
        modules={"program": {"functions": {"fail": {"rate": 0.5}}}},
    )
    program.main()
    seen = told()
    assert [message for name, _, message, _ in seen if name == "middle"] == [
        str(2 * number) for number in range(1, 101)
    ]
    messages = [message for name, _, message, exception in seen if exception]
    assert len(set(messages)) == len(messages), "one was recorded twice"
    assert {message for name, _, message, _ in seen if name == "middle"} <= set(messages), "one was never recorded"


def test_a_new_traceback_does_not_make_it_anothers(weave):
    """An exception whose traceback the program takes away is told where it is raised again; nobody else's message is used."""
    program = weave("""
        def inner(): raise ValueError("no")
        def outer():
            try: inner()
            except ValueError as error: raise error.with_traceback(None)
    """)
    fails(program.outer)
    assert [entry[2] for entry in told()] == ["no", "no"]


def test_where_exceptions_are_not_captured(weave):
    """`capture: {exceptions: false}`: type and message, no stack; a function further out that captures them tells it."""
    source = """
        def inner(): raise ValueError("no")
        def outer(): inner()
    """
    program = weave(source, capture={"exceptions": False, "args": False, "return": False})
    fails(program.outer)
    assert told() == [("inner", "ValueError", "no", False), ("outer", "ValueError", "no", False)]
    quiet = {"program": {"functions": {"inner": {"capture": {"exceptions": False}}}}}
    program = weave(source, modules=quiet)
    fails(program.outer)
    assert told() == [("inner", "ValueError", "no", False), ("outer", "ValueError", "no", True)]


# -- what it costs


@pytest.mark.parametrize("way", ["passes", "finally", "wraps"])
def test_the_work_grows_with_the_depth_not_its_square(weave, monkeypatch, way):
    """Frames looked at and messages asked for, for an exception that leaves N functions."""
    program = weave("""
        said = 0
        class Mine(Exception):
            def __str__(self):
                global said
                said += 1
                return "mine"
        def other(): raise KeyError from None
        def passes(depth):
            if not depth: raise Mine
            passes(depth - 1)
        def wraps(depth):
            if not depth: raise Mine
            try: wraps(depth - 1)
            except Mine as error: raise Mine from error
        def finally_(depth):
            if not depth: raise Mine
            try: finally_(depth - 1)
            finally:
                try: other()
                except KeyError: pass
    """)
    function = getattr(program, {"finally": "finally_"}.get(way, way))
    made = []
    frames = calls._frames

    def counted(exception):
        found = frames(exception)
        made.extend(code.co_name for code, _, _ in found)
        return found

    monkeypatch.setattr(calls, "_frames", counted)
    work = []
    for depth in (50, 100, 200):
        program.said = 0
        made.clear()
        fails(function, depth)
        own = [name for name in made if name != "other"]
        work.append(len(own))
        assert program.said == (depth + 1 if way == "wraps" else 1)
        assert len(sites.recorded()) == (2 * depth + 1 if way == "finally" else depth + 1)
        sites.records.clear()
    if way == "wraps":
        # Each of them is an exception with causes: the same for each, but for the first few, which have fewer.
        assert work[2] - work[1] == 2 * (work[1] - work[0])
    else:
        assert work == [1, 1, 1]


def test_a_long_stack_is_cut_in_the_middle(weave):
    """A stack trace has no more than so many lines, its ends among them, and says how many are missing."""
    program = weave(
        """
        def fail(): raise ValueError
        def deep(depth):
            if depth: deeper(depth - 1)
            else: fail()
        def deeper(depth): deep(depth - 1)
        def top():
            deep(300)
        """,
        modules={"program": {"functions": {"deep*": {"level": "off"}, "fail": {"level": "off"}}}},
    )
    fails(program.top)
    frames = the_exception().frames
    assert len(frames) == calls.MOST_FRAMES + 1
    assert (frames[0][0].co_name, frames[-1][0].co_name) == ("top", "fail")
    assert frames[calls.MOST_FRAMES // 2] == f"  [{303 - calls.MOST_FRAMES} lines left out]\n"
    assert f"\n  [{303 - calls.MOST_FRAMES} lines left out]\n  File" in the_exception().stacktrace()


# -- what is no error


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        ("StopIteration", ""),
        ("StopIteration(5)", ""),
        ("StopAsyncIteration", ""),
        ("GeneratorExit", ""),
        ("asyncio.CancelledError", ""),
        ("Derived", ""),
        ("SystemExit", ""),
        ("SystemExit(0)", ""),
        ("SystemExit(False)", ""),
        ("SystemExit(Code.FINE)", ""),
        ("SystemExit(1)", "SystemExit"),
        ("SystemExit('bye')", "SystemExit"),
        ("SystemExit(0.0)", "SystemExit"),
        ("AttributeError('name')", "AttributeError"),
        ("CancelledError", "program.CancelledError"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_control_flow_is_no_error(weave, raised, error):
    """How Python says something ordinary is no error; what only has the same name, or another exit code, is one."""
    program = weave(f"""
        import asyncio, enum
        class Code(enum.IntEnum):
            FINE = 0
        class Derived(asyncio.CancelledError): pass
        class CancelledError(Exception): "An order was cancelled."
        def function(): raise {raised}
        def outer(): function()
    """)
    sites.records.clear()  # the enumeration's own class body calls nothing of ours, its members may
    fails(program.outer)
    assert [(name, kind, exception) for name, kind, _, exception in told()] == [
        ("function", error, bool(error)),
        ("outer", error, False),
    ]


def test_control_flow_where_it_happens(weave):
    """A cancelled task, a generator closed or exhausted, an attribute that is not there: nobody's error."""
    program = weave("""
        import asyncio
        class Thing:
            def __getattr__(self, name): raise AttributeError(name)
        def count():
            yield 1
            yield 2
        async def sleep(): await asyncio.sleep(30)
        async def main():
            task = asyncio.ensure_future(sleep())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        def everything():
            assert getattr(Thing(), "missing", 5) == 5
            steps = count()
            next(steps)
            steps.close()
            assert list(count()) == [1, 2]
            asyncio.run(main())
    """)
    program.everything()
    seen = told()
    assert [name for name, *_ in seen] == ["Thing.__getattr__", "count", "count", "sleep", "main", "everything"]
    assert {kind for _, kind, *_ in seen} == {""}


def test_a_missing_attribute_is_an_error_further_out(weave):
    """Out of `__getattr__` it is an answer; whoever asked and lets it out has failed."""
    program = weave("""
        class Thing:
            def __getattr__(self, name): raise AttributeError(name)
        def ask(): Thing().missing
    """)
    fails(program.ask)
    assert told() == [("Thing.__getattr__", "", "", False), ("ask", "AttributeError", "missing", True)]


# -- causes


def chain(exception):
    """[type, message, how it follows, …] from an exception down its causes."""
    seen = []
    while exception is not None:
        seen.append((exception.type, exception.message))
        if exception.cause is not None:
            seen.append("from" if exception.explicit else "during")
        exception = exception.cause
    return seen


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        ("from error", [("RuntimeError", "second"), "from", ("ValueError", "first")]),
        ("", [("RuntimeError", "second"), "during", ("ValueError", "first")]),
        ("from None", [("RuntimeError", "second")]),
        ("from KeyError(1)", [("RuntimeError", "second"), "from", ("KeyError", "1")]),
    ],
)
@pytest.mark.parametrize("where", ["raise ValueError('first')", "inner()"])
def test_causes(weave, suffix, expected, where):
    """Given, implied, suppressed: as Python itself follows them."""
    program = weave(f"""
        def inner(): raise ValueError("first")
        def outer():
            try: {where}
            except ValueError as error: raise RuntimeError("second") {suffix}
    """)
    fails(program.outer)
    exception = next(record[6].exception for record in sites.recorded() if record[0].qualname == "outer")
    assert chain(exception) == expected


def test_causes_without_end(weave):
    """A chain that comes back to itself is followed once round, a long one so far and no farther."""
    program = weave("""
        def circle():
            first, second = ValueError(1), ValueError(2)
            first.__cause__, second.__cause__ = second, first
            raise first
        def long():
            for number in range(100):
                try:
                    if number: raise ValueError(number) from error
                    raise ValueError(number)
                except ValueError as this:
                    error = this
            raise error
    """)
    fails(program.circle)
    assert chain(the_exception()) == [("ValueError", "1"), "from", ("ValueError", "2")]
    sites.records.clear()
    fails(program.long)
    messages = [message for _, message in chain(the_exception())[::2]]
    assert messages == [str(number) for number in range(99, 98 - calls.MOST_CAUSES, -1)]


def test_what_str_keeps_in_the_exception_is_taken_out(weave):
    """As glom's errors keep their text once it was asked for, and add to themselves on their way out."""
    program = weave("""
        class Failed(Exception):
            def __init__(self, *args):
                super().__init__(*args)
                self.path = ["inner"]
            def __str__(self):
                if "text" not in self.__dict__: self.text = " -> ".join(self.path)
                return self.text
        class Counted(Exception):
            def __str__(self):
                self.asked = getattr(self, "asked", 0) + 1
                return f"asked {self.asked}"
        def inner(): raise Failed("x")
        def middle():
            try: inner()
            except Failed as error:
                error.path.insert(0, "outer")
                raise
        def counted():
            raise Counted(1)
        def outer():
            found = []
            for call in (middle, counted):
                try: call()
                except Exception as error: found += [dict(error.__dict__), str(error), dict(error.__dict__)]
            return found
    """)
    first = {"path": ["outer", "inner"]}
    assert program.outer() == [first, "outer -> inner", first | {"text": "outer -> inner"}, {}, "asked 1", {"asked": 1}]
    assert [message for name, _, message, *_ in told() if name in ("inner", "counted")] == ["inner", "asked 1"]


def test_a_message_is_asked_for_once(weave):
    """However many functions it leaves and however often it is wrapped, `str()` is called once for an exception, and
    what `__str__` does is no part of the trace."""
    program = weave("""
        said = []
        class Mine(Exception):
            def __str__(self):
                said.append(self.args[0])
                return describe(self.args[0])
        def describe(name): return f"<{name}>"
        def inner():
            try: raise Mine("zero")
            except Mine as error: raise Mine("one") from error
        def middle():
            try: inner()
            except Mine: raise Mine("two")
        def outer():
            try: middle()
            except Mine as error: raise Mine("three") from error
        def top():
            outer()
    """)
    fails(program.top)
    assert sorted(program.said) == ["one", "three", "two", "zero"]
    exception = next(record[6].exception for record in sites.recorded() if record[0].qualname == "outer")
    assert [link[1] for link in chain(exception)[::2]] == ["<three>", "<two>", "<one>", "<zero>"]
    assert [name for name, *_ in told()] == ["inner", "middle", "outer", "top"]


def test_an_exception_may_be_shared_by_two_chains(weave):
    """A cause that is replaced is not told under the message of the one before."""
    program = weave("""
        def inner():
            try: raise KeyError("first")
            except KeyError as error: raise ValueError("no") from error
        def outer():
            try: inner()
            except ValueError as error:
                error.__cause__ = KeyError("second")
                raise RuntimeError from error
    """)
    fails(program.outer)
    exception = next(record[6].exception for record in sites.recorded() if record[0].qualname == "outer")
    assert [link[1] for link in chain(exception)[::2]] == ["", "no", "'second'"]


# -- exceptions that resist


HOSTILE = """
    class Text(str):
        def __getitem__(self, key): raise RuntimeError("asked")
        def __eq__(self, other): raise RuntimeError("asked")
        __hash__ = str.__hash__
        def __format__(self, spec): raise RuntimeError("asked")
    class Meta(type):
        def __getattribute__(self, name): raise RuntimeError(name)
        def __hash__(self): raise RuntimeError("asked")
        def __eq__(self, other): raise RuntimeError("asked")
    class Raises(Exception):
        def __str__(self): raise KeyError("in __str__")
        def __repr__(self): raise KeyError("in __repr__")
    class Recurses(Exception):
        def __str__(self): return str(self)
    class NoText(Exception):
        def __str__(self): return 5
    class OddText(Exception):
        def __str__(self): return Text("odd")
    class OddClass(Exception, metaclass=Meta): pass
    class OddNames(Exception):
        __module__ = Text("odd")
        __qualname__ = Text("OddNames")
    class Disguised(Exception):
        __class__ = property(lambda self: 1 / 0)
    class Closed(Exception):
        def __getattribute__(self, name): raise RuntimeError(name)
    class Shadows(Exception):
        __cause__ = __context__ = __traceback__ = __suppress_context__ = property(lambda self: 1 / 0)
    class OddExit(SystemExit):
        code = property(lambda self: 1 / 0)
    class Number(int):
        def __eq__(self, other): raise RuntimeError("asked")
    def odd_code(): return SystemExit(Number(0))
    def long(): return ValueError("x" * 1_000_000)
    def nul(): return ValueError("a\\0b\\udc80")
    def fail(kind): raise kind()
    def outer(kind): fail(kind)
"""


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("Raises", "program.Raises", "<program.Raises.__str__ raised KeyError>"),
        ("Recurses", "program.Recurses", "<program.Recurses.__str__ raised RecursionError>"),
        ("NoText", "program.NoText", "<program.NoText.__str__ raised TypeError>"),
        ("OddText", "program.OddText", "odd"),
        ("OddClass", "program.OddClass", ""),
        ("OddNames", "OddNames", ""),
        ("Disguised", "program.Disguised", ""),
        ("Closed", "program.Closed", ""),
        ("Shadows", "program.Shadows", ""),
        ("OddExit", "", ""),
        ("odd_code", "", ""),
        ("long", "ValueError", "x" * 4000),
        ("nul", "ValueError", "a\0b\udc80"),
    ],
)
def test_exceptions_that_resist(weave, name, kind, message):
    """Whatever an exception's class does, the program sees that exception, and it is told as far as it can be."""
    program = weave(HOSTILE)
    error = fails(program.outer, getattr(program, name))
    assert not name[0].isupper() or type(error) is getattr(program, name)
    seen = [entry for entry in told() if entry[0] in ("fail", "outer")]
    assert seen == [("fail", kind, message, bool(kind)), ("outer", kind, message, False)]
    assert all(type(text) is str for entry in seen for text in entry[:3])


def test_hostile_causes(weave):
    """The same below the exception that is told."""
    program = weave(
        HOSTILE
        + """
    def wrapped(kind):
        try: fail(kind)
        except BaseException as error: raise LookupError from error
    """
    )
    for name in ("Raises", "OddText", "OddClass", "OddNames", "Disguised", "Closed", "Shadows", "OddExit"):
        sites.records.clear()
        fails(program.wrapped, getattr(program, name))
        exception = next(record[6].exception for record in sites.recorded() if record[0].qualname == "wrapped")
        assert exception.type == "LookupError"
        assert exception.cause.type.endswith(name)
        exception.stacktrace()


# -- groups


def test_exception_groups(weave):
    """A group is an exception like another; `except*` splits it, and the rest goes on as what it is."""
    program = weave("""
        def fail(kind): raise kind("no")
        def collect():
            errors = []
            for kind in (ValueError, KeyError):
                try: fail(kind)
                except Exception as error: errors.append(error)
            raise ExceptionGroup("both", errors)
        def split():
            try: collect()
            except* ValueError: pass
        def all_of_it():
            try: collect()
            except* Exception: pass
            return "caught"
    """)
    group = fails(program.split)
    assert [type(error) for error in group.exceptions] == [KeyError]
    assert told() == [
        ("fail", "ValueError", "no", True),
        ("fail", "KeyError", "'no'", True),
        ("collect", "ExceptionGroup", "both (2 sub-exceptions)", True),
        ("split", "ExceptionGroup", "both (1 sub-exception)", True),
    ]
    assert program.all_of_it() == "caught"
    assert told()[-1] == ("all_of_it", "", "", False)


# -- the stack, as text


STACKS = """
    import json
    class Own(Exception): pass
    class Mine(Exception): __module__ = "__main__"
    def parse(text):
        return json.loads(
            text
        )
    def explicit():
        try:
            parse("{")
        except ValueError as error:
            raise Own("explicit") from error
    def implicit():
        try:
            explicit()
        except Own:
            {}["missing"]
    def suppressed():
        try:
            parse("{")
        except ValueError:
            raise Own from None
    def both():
        try: parse("{")
        except ValueError as error:
            new = Own("both")
            new.__cause__ = KeyError("never raised")
            new.__suppress_context__ = False
            raise new
    def lines(): raise ValueError("two\\nlines")
    def empty(): assert 1 == 2
    def marks(x=0): return {"a": [1, 2]}["a"][x + 1] + 1 / x + len("ü€🐍")
    def subscript(x={}): return 1 + x["ä"]["b"]
    def wide(): return "漢字" + (1).missing
    def indented():
            if 1:
                    raise Own(
                        "over", 1,
                        "lines")
    def chained(): return ("x"
        .upper()
        .nothing())
    def notes():
        error = ValueError("no")
        error.add_note("but see here")
        error.add_note("and\\nhere\\n")
        error.add_note("")
        raise error
    def main(): raise Mine("no")
    def recursion():
        def deep(depth):
            if depth: deep(depth - 1)
            raise ValueError
        deep(50)
    def recursion_of_three():
        def deep(depth):
            if depth: deep(depth - 1)
            raise ValueError
        deep(3)
    def recursion_of_four():
        def deep(depth):
            if depth: deep(depth - 1)
            raise ValueError
        deep(4)
    def recursion_to_the_limit():
        def deep(depth): return 1 + deep(depth + 1)
        deep(0)
    def recursion_that_changes():
        def deep(depth):
            if depth < 100: deep(depth + 1) if depth % 7 else [deep(depth + 1)]
            elif depth < 400: deep(depth + 1)
            else: raise ValueError
        deep(0)
    def syntax(): compile("a b", "<text>", "exec")
    def syntax_in_a_line(): compile("x = 1\\nif x:\\n\\ty = (1 +\\n", "some.py", "exec")
    def indentation(): compile("if 1:\\nx", "some.py", "exec")
    def syntax_of_ones_own():
        class Wrong(SyntaxError): pass
        raise Wrong("mine", ("there.py", 3, 4, "  some text", 3, 8))
    def syntax_without_anything(): raise SyntaxError
    def syntax_with_words_only(): raise SyntaxError("just so")
    def syntax_noted():
        error = SyntaxError("mine", ("there.py", 3, None, None))
        error.add_note("noted")
        raise error
    def group(): raise ExceptionGroup("both", [ValueError(1), KeyError(2)])
    def raised(kind, *arguments, cause=None):
        try:
            if cause: raise kind(*arguments) from cause
            raise kind(*arguments)
        except Exception as error: return error
    def group_of_raised():
        errors = [raised(ValueError, 1), raised(Mine, "two\\nlines", cause=KeyError("why"))]
        errors[0].add_note("noted")
        raise ExceptionGroup("both", errors)
    def groups_in_groups():
        inner = raised(ExceptionGroup, "inner", [raised(Own, 1), ExceptionGroup("never raised", [Own(2)])])
        inner.add_note("of the inner")
        outer = ExceptionGroup("outer", [OSError(2, "gone"), inner, ValueError(3)])
        outer.add_note("of the outer")
        raise outer
    def group_last():
        raise ExceptionGroup("outer", [ValueError(1), ExceptionGroup("inner", [ValueError(2)])])
    def group_from_group():
        try: group()
        except ExceptionGroup as error: raise ExceptionGroup("next", [Own()]) from error
    def group_during():
        try: raise Own("before")
        except Own: raise ExceptionGroup("during", [ValueError(1)])
    def error_from_group():
        try: group_of_raised()
        except ExceptionGroup as error: raise Own("after") from error
    def members_share_a_cause():
        shared = raised(KeyError, "shared")
        raise ExceptionGroup("all", [raised(Own, n, cause=shared) for n in range(3)])
    def members_twice():
        one = raised(Own, "one")
        raise ExceptionGroup("all", [one, one]) from one
    def circle():
        first, second = raised(Own, 1), raised(Own, 2)
        first.__cause__, second.__cause__ = second, first
        raise ExceptionGroup("all", [first, second])
    def fifteen(): raise ExceptionGroup("many", [ValueError(n) for n in range(15)])
    def sixteen(): raise ExceptionGroup("many", [ValueError(n) for n in range(16)])
    def thirty(): raise ExceptionGroup("many", [ValueError(n) for n in range(30)])
    def levels():
        group = ValueError("innermost")
        for n in range(13): group = ExceptionGroup(f"level {n}", [KeyError(n), group])
        raise group
    def split():
        try: group_of_raised()
        except* ValueError: pass
    def split_and_more():
        try: group_of_raised()
        except* ValueError: raise Own("in the handler")
"""
FAILING = re.findall(r"^    def (\w+)\((?!kind)", STACKS, re.MULTILINE)


@pytest.mark.parametrize("name", FAILING)
def test_the_stack_trace_is_pythons(weave, tmp_path, monkeypatch, name):
    """`exception.stacktrace` is what Python prints from the function on that it left: causes, notes, members of groups, repeated
    lines counted, where the syntax is wrong, and `^^^^` under what failed."""
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(STACKS), encoding="utf-8")
    monkeypatch.setitem(globals(), "FILE", str(file))
    program = weave(STACKS, modules={"program": {"functions": {"*deep": {"level": "off"}}}})
    arguments = ("[1,",) if name == "parse" else ()
    error = fails(getattr(program, name), *arguments)
    error.__traceback__ = error.__traceback__.tb_next  # our own frame
    # The last: other functions have told exceptions of theirs before.
    exception = [record[6].exception for record in sites.recorded() if record[6] and record[6].exception][-1]
    text = exception_attributes(exception)["exception.stacktrace"]
    assert text == "".join(traceback.format_exception(error, chain=True))
    assert str(file) in text


def test_suggestions_are_left_out(weave):
    """`Did you mean …` needs the objects; all else is there."""
    program = weave("""
        def fail():
            something = 1
            return somethin
    """)
    said = "".join(traceback.format_exception(fails(program.fail)))
    assert ("Did you mean" in said) == (sys.version_info >= (3, 12))  # 3.11 says it only where nobody catches
    assert the_exception().stacktrace().endswith("NameError: name 'somethin' is not defined\n")


def test_notes_that_are_none(weave):
    """Whatever a program puts where notes are kept, nothing of it is called and nothing is changed."""
    program = weave("""
        class Text(str):
            def split(self, *arguments): raise RuntimeError("asked")
            __str__ = __getitem__ = split
        class Listed(list):
            def __iter__(self): raise RuntimeError("asked")
            __getitem__ = __len__ = __iter__
        class Computed(Exception):
            __notes__ = property(lambda self: 1 / 0)
        def fail(notes):
            error = ValueError("no")
            if notes is not None: error.__notes__ = notes
            raise error
        def computed(): raise Computed("no")
    """)
    for notes, told in (
        (None, ()),
        ([], ()),
        (("one",), ("one",)),
        ([program.Text("x"), None, "two"], ("<program.Text>", "<NoneType>", "two")),
        (program.Listed(["x"]), ()),
        ("text", ()),
        ([str(number) for number in range(99)], tuple(str(number) for number in range(calls.MOST_NOTES))),
        (["x" * 10_000], ("x" * 4000,)),
    ):
        sites.records.clear()
        fails(program.fail, notes)
        assert the_exception().notes == told
    sites.records.clear()
    error = fails(program.computed)
    assert the_exception().notes == ()
    assert error.__reduce__() == (program.Computed, ("no",)), "it has a dictionary it did not have"


def test_groups_without_end(weave):
    """So many exceptions are told of groups in groups and no more, and the rest is counted."""
    program = weave("""
        asked = 0
        class Mine(Exception):
            def __str__(self):
                global asked
                asked += 1
                return "mine"
        def wide(depth):
            if not depth: return Mine()
            return ExceptionGroup("group", [wide(depth - 1) for _ in range(6)])
        def fail(): raise wide(4)
    """)
    fails(program.fail)
    assert 0 < program.asked <= calls.MOST_EXCEPTIONS
    text = the_exception().stacktrace()
    assert 0 < text.count("Mine: mine") == program.asked
    assert text.count("more exception") >= 3


def test_a_message_of_a_member_is_asked_for_once(weave):
    """However many groups it is in on the way; also where a group goes on as part of another."""
    program = weave("""
        said = []
        class Mine(Exception):
            def __str__(self):
                said.append(self.args[0])
                return "mine"
        def inner(): raise ExceptionGroup("inner", [Mine("one"), Mine("two")])
        def middle():
            try: inner()
            except ExceptionGroup as error: raise ExceptionGroup("middle", [error, Mine("three")])
        def outer():
            try: middle()
            except ExceptionGroup as error: raise Mine("four") from error
    """)
    fails(program.outer)
    assert sorted(program.said) == ["four", "one", "three", "two"]


def test_source_that_is_nowhere(weave, monkeypatch, tmp_path):
    """Lines are those `linecache` was told, of a file wherever it is now, or none; `linecache` itself stays as it was."""
    import linecache
    import zipfile

    program = weave("""
        def compiled(file):
            names = {}
            exec(compile("def fail():\\n  raise ValueError('no')\\n", file, "exec"), names)
            return names["fail"]
        def fail(function): function()
    """)

    def shown(file):
        sites.records.clear()
        fails(program.fail, program.compiled(file))
        # The lines are not those that were compiled: what is marked in them is nothing.
        return [line for line in the_exception().stacktrace().splitlines()[2:-1] if line.strip("^ ")]

    (tmp_path / "there.py").write_text("#\n  the file's line\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("zipped.py", "#\n  from the archive\n")
        archive.writestr("loaded.py", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path / "a.zip"))
    __import__("loaded")
    del sys.modules["loaded"]
    monkeypatch.setitem(linecache.cache, "<told>", (9, None, ["#\n", "told\n"], "<told>"))
    monkeypatch.setitem(linecache.cache, "<lazy>", (lambda: 1 / 0,))
    before = dict(linecache.cache)
    zipped = str(tmp_path / "a.zip" / "zipped.py")
    odd = ["<lazy>", "<none>", "", "no/such/file.py", "nul\ud800l", str(tmp_path)]
    with monkeypatch.context() as nobody:
        nobody.setattr(linecache, "getline", None)
        found = {file: shown(file) for file in ("<told>", "there.py", zipped, *odd)}
    assert linecache.cache == before
    expected = {"<told>": ["told"], "there.py": ["the file's line"], zipped: ["from the archive"]}
    for file, lines in found.items():
        line = f'  File "{file}", line 2, in fail'
        assert lines == [line, *[f"    {text}" for text in expected.get(file, ())]]


def test_a_program_with_an_ast_of_its_own(weave, monkeypatch, tmp_path):
    """What Python's `traceback` would import to find what to mark is not the program's: nothing is marked. Up to 3.11 it is not asked."""
    library("ast")
    file = tmp_path / "program.py"
    file.write_text("def fail(): return 1 + 2 / 0\n")
    monkeypatch.setitem(globals(), "FILE", str(file))
    monkeypatch.setitem(sys.modules, "ast", ModuleType("ast"))
    program = weave(file.read_text())
    fails(program.fail)
    assert the_exception().stacktrace().splitlines()[2:] == [
        "    def fail(): return 1 + 2 / 0",
        *(["                           ~~^~~"] if sys.version_info < (3, 12) else []),
        "ZeroDivisionError: division by zero",
    ]


def test_what_reaches_the_store(tmp_path):
    """One event for the exception, an error on every span, also for text no encoding has bytes for."""
    ran = run(
        tmp_path,
        r"""
        def inner(): raise ValueError("a\0b\udc80\U0001f40d")
        def outer(): inner()
        try: outer()
        except ValueError: pass
        """,
        strategy="full_trace",
    )
    inner, outer = ran.one("inner"), ran.one("outer")
    message = "a\0b\\udc80\U0001f40d"
    assert (inner.error_type, inner.error_message) == (outer.error_type, outer.error_message) == ("ValueError", message)
    (event,) = ran.events[inner.span_id]
    assert outer.span_id not in ran.events
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"].replace("\udc80", "\\udc80") == message
    lines = event.attributes["exception.stacktrace"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{tmp_path / "app.py"}", line 2, in inner'
    assert lines[2] == r'    def inner(): raise ValueError("a\0b\udc80\U0001f40d")'
    ran.whole()


# -- nothing is kept


@pytest.mark.parametrize("way", ["caught", "stored in a record", "wrapped", "in a generator"])
def test_nothing_is_kept_alive(weave, way):
    """Exception, traceback, frames and what their locals hold are gone when the program lets go, without a collector."""
    program = weave("""
        import weakref
        class Thing: pass
        class Mine(Exception): pass
        kept = []
        def inner():
            thing = Thing()
            kept.append(weakref.ref(thing))
            error = Mine("no")
            kept.append(weakref.ref(error))
            try: raise error
            finally: del error
        def outer(): inner()
        def wrapped():
            try: outer()
            except Mine as error: raise LookupError from error
        def steps():
            yield 1
            outer()
        def loop():
            for _ in steps(): pass
        def main(function):
            try: function()
            except Exception: pass
            # The trace goes on.
            return [reference() for reference in kept]
    """)
    gc.collect()
    gc.disable()
    try:
        function = {"wrapped": program.wrapped, "in a generator": program.loop}.get(way, program.outer)
        assert program.main(function) == [None, None]
        assert len(program.kept) == 2
    finally:
        gc.enable()
    if way == "stored in a record":
        assert the_exception().stacktrace().endswith("program.Mine: no\n")


def test_frames_are_not_kept_by_what_is_remembered(weave):
    """The record and the trace stay; the frames' locals do not."""
    program = weave("""
        class Thing: pass
        def inner(thing): raise ValueError
        def outer(thing): inner(thing)
    """)
    thing = program.Thing()
    reference = weakref.ref(thing)
    gc.collect()
    gc.disable()
    try:
        fails(program.outer, thing).with_traceback(None)
        del thing
        assert reference() is None
        assert len(sites.recorded()) == 2
    finally:
        gc.enable()


# -- a program that replaces builtins


def test_replaced_builtins_are_the_programs_own(tmp_path):
    """Names we use are ours: a program that puts its own in their place is neither harmed nor asked."""
    text = """
        import builtins, sys, time
        class Mine(Exception):
            def __str__(self): return "mine"
        def inner(): raise Mine
        def outer(): inner()
        def refuse(*arguments, **keywords):
            raise RuntimeError("a builtin of the program's was called")
        names = [name for name in dir(builtins) if name[0] != "_" and name not in ("print",)]
        before = {name: getattr(builtins, name) for name in names}
        set_, sleep = setattr, time.sleep
        try:
            for name in names:
                set_(builtins, name, refuse)
            try: outer()
            except Mine: pass
            sleep(0.3)  # our thread looks round meanwhile
        finally:
            for name, value in before.items():
                set_(builtins, name, value)
        print("fine")
    """
    ran = run(tmp_path, text, strategy="full_trace", env={"OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert (ran.out, ran.err) == ("fine\n", "")
    assert [(ran.one(name).error_type, ran.one(name).error_message) for name in ("inner", "outer")] == [
        ("__main__.Mine", "mine")
    ] * 2


def test_at_the_recursion_limit_what_was_current_is_current_again(weave):
    """Also where there is no room to record that a call failed, and nothing woven above it would put that right."""
    module = weave("""
        def other(x): return x
        def returns(x): return other(x)
        def fails(x): raise ValueError(other(x))
        def steps(x): yield other(x)
    """)
    seen = []

    def down(call):
        try:
            return down(call)
        except RecursionError:
            # Again a level higher, until there is room for it.
            try:
                return call()
            finally:
                seen.append(context.get())

    assert down(lambda: module.returns(1)) == 1
    assert down(lambda: list(module.steps(1))) == [1]
    assert type(fails(down, lambda: module.fails(1))) is ValueError
    assert len(seen) > 3
    assert set(seen) == {None}


@pytest.mark.parametrize("name", ["asyncio.exceptions", "concurrent.futures._base"])
@pytest.mark.parametrize("cancelled", [None, "CancelledError"])
def test_while_the_module_of_cancelled_error_is_being_imported(weave, monkeypatch, name, cancelled):
    """By another thread, or by this one: what it imports has woven functions, and exceptions leave them."""
    module = weave("def f(): raise ValueError(1)")
    unfinished = ModuleType(name)
    if cancelled:
        unfinished.CancelledError = cancelled  # a test's stand-in
    monkeypatch.setitem(sys.modules, name, unfinished)
    assert type(fails(module.f)) is ValueError
    assert all(site.armed for site in sites.sites)
    assert sites.recorded()[-1][6].error_type == "ValueError"


def test_what_strikes_while_one_is_recorded_has_a_line(weave, monkeypatch):
    """A handler's exception (of a timeout, a Ctrl-C) that arrives while ours note another: the author's lines, no frames of ours."""
    program = weave("""
        def inner(x):
            x += 1
            raise ValueError(x)
        def generate(x):
            yield x
            raise ValueError(x)
        def outer(x):
            inner(x)
        def passes(x):
            for value in generate(x): pass
    """)

    class Struck(Exception):
        pass

    def strike(*_):
        raise Struck

    monkeypatch.setattr(sites.switches, "fail", strike)
    monkeypatch.setattr(sites.switches, "fail_call", strike)
    for name, line in ("inner", 4), ("outer", 9), ("passes", 11):
        error = fails(getattr(program, name), 1)
        if type(error) is Struck:  # woven from source, it is not asked
            # The outermost struck last: there another exception was on its way.
            found = [(entry.name, entry.lineno) for entry in traceback.extract_tb(error.__traceback__)[1:]]
            assert found == [(name, line), ("strike", strike.__code__.co_firstlineno + 1)]
        assert context.get() is None


def test_an_ordinary_end_at_the_address_of_an_error(weave):
    """What a generator ends with, or `sys.exit(0)`, may lie where an error told before lay: it is not taken for that further on."""
    program = weave("""
        def inner(error): raise error
        def outer(error): inner(error)
        def root(error):
            try: outer(error)
            except SystemExit: pass
    """)
    error = SystemExit(0)
    begin = sites.switches.root(None)
    begin[0].failed = {id(error): [0, None, "gone", {}, Details("SystemExit", "gone")]}
    context.set_current(begin)
    program.root(error)
    assert [record[6].error_type if record[6] else "" for record in sites.recorded()] == ["", "", ""]
    assert id(error) not in begin[0].failed
    context.set_current(None)
