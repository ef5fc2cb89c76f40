"""Every function there is, looked up while the program runs on."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from operator import attrgetter
from types import FunctionType

import pytest

from autoscope.weave.everywhere import every_function


def test_the_same_functions_as_by_a_loop():
    def closure():
        return wanted

    wanted = closure.__code__
    known = {id(one) for one in gc.get_objects() if type(one) is FunctionType}
    assert {id(one) for one in every_function()} == known
    assert every_function(attrgetter("__code__"), {id(wanted)}) == [closure]
    assert every_function(attrgetter("__globals__"), set()) == []


@pytest.fixture
def quick_switches():
    """Threads take turns often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def while_looking(quick_switches):
    """What is given is called again and again for two seconds at least, while another thread looks all functions up."""
    looked = []
    ended = threading.Event()

    def look():
        while not ended.is_set():
            looked.append(len(every_function()))
            looked.append(len(every_function(attrgetter("__code__"), frozenset())))

    def call(action):
        looking = threading.Thread(target=look)
        looking.start()
        try:
            until = time.monotonic() + 2
            while time.monotonic() < until or len(looked) < 40:
                action()
        finally:
            ended.set()
            looking.join()

    return call


def test_a_tuple_in_the_making_is_nobodys(while_looking):
    """`tuple()` fails with a SystemError where somebody else holds what it makes."""

    def make():
        assert len(tuple(one for one in range(3000))) == 3000

    while_looking(make)


def test_what_the_program_lets_go_of_is_gone(while_looking):
    """And ends in its own thread."""

    class Thing:
        pass

    def let_go():
        thing = Thing()
        there = weakref.ref(thing)
        for _ in range(10):
            sum(range(300))
        del thing
        assert there() is None

    while_looking(let_go)
