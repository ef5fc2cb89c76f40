"""Functions of every kind. `work(n)` calls them all; what it gives depends on `n` alone."""

from __future__ import annotations

import contextlib
import functools
import json

KEPT: list = []
"""Closures and generators that live on from one round to others, as registries and pools keep them."""


def plain(x, y=1):
    return len([x, y]) + x * y


def keywords(a, /, b=2, *rest, c=3, **more):
    return [a, b, *rest, c, *sorted(more)]


def tiny(x):
    return x


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def make(n):
    total = n

    def inner(x):
        nonlocal total
        total += plain(x)
        return total

    def outer(x):
        def innermost(y):
            return y + n

        return innermost(x) + inner(x)

    return inner, outer, lambda x: plain(x) + n


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return [function(*args, **kwargs), function.__name__]

    return wrapper


def times(count):
    def decorate(function):
        @functools.wraps(function)
        def again(*args):
            return [function(*args) for _ in range(count)]

        return again

    return decorate


@logged
@times(2)
def decorated(x):
    return plain(x)


class Base:
    kind = "base"

    def __init__(self, n):
        self.n = n

    def method(self, x):
        return plain(self.n, x)

    def __eq__(self, other):
        return isinstance(other, Base) and self.n == other.n

    def __hash__(self):
        return hash(self.n)

    def __getattr__(self, name):
        if name.startswith("made_"):
            return name[5:]
        raise AttributeError(name)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return kind is KeyError


class Thing(Base):
    kind = "thing"

    def method(self, x):
        return super().method(x) + 1

    @property
    def double(self):
        return self.n * 2

    @double.setter
    def double(self, value):
        self.n = value // 2

    @functools.cached_property
    def slow(self):
        return factorial(self.n % 7)

    @classmethod
    def made(cls, n):
        return cls(n)

    @staticmethod
    def fixed(x):
        return plain(x, 3)

    class Inside:
        def deep(self, x):
            return [plain(x)]


class Failed(Exception):
    def __init__(self, n):
        super().__init__(f"failed {n}")
        self.n = n


def fails(depth, n):
    if depth == 0:
        raise Failed(n)
    return fails(depth - 1, n)


def survives(n):
    try:
        fails(3, n)
    except Failed as error:
        try:
            raise ValueError("again") from error
        except ValueError as second:
            return [str(second), str(second.__cause__), second.__cause__.n]
    finally:
        tiny(n)


def numbers(n):
    try:
        for number in range(n):
            got = yield tiny(number)
            if got:
                yield got * 2
        return n
    finally:
        tiny(n)


def delegates(n):
    result = yield from numbers(n)
    yield ["end", result]


def context_values(n):
    @contextlib.contextmanager
    def opened(name):
        entered = [name]
        try:
            yield entered
        except KeyError:
            entered.append("swallowed")

    with opened("one") as found:
        found.append(plain(n))
        raise KeyError(n)
    return found


def generators(n):
    found = list(numbers(n % 5)) + list(delegates(n % 4))
    half = numbers(10)
    found += [next(half), half.send(4), next(half)]
    abandoned = delegates(10)
    found.append(next(abandoned))
    del abandoned
    half.close()
    thrown = numbers(3)
    next(thrown)
    try:
        thrown.throw(Failed(n))
    except Failed as error:
        found.append(str(error))
    found.append(sum(plain(x) for x in range(n % 6)))
    return found


def run_by_hand(coroutine):
    """As an event loop of three lines does."""
    steps = []
    try:
        while True:
            steps.append(coroutine.send(None))
    except StopIteration as stop:
        return [*steps, stop.value]


class Waits:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield self.value
        return self.value * 2


async def coroutine(n):
    return await Waits(n) + await nested(n + 1)


async def nested(n):
    try:
        return await Waits(n)
    finally:
        tiny(n)


async def stream(n):
    for number in range(n):
        yield tiny(number)
        await Waits(number)


async def consume(n):
    found = [number async for number in stream(n)]
    async for number in stream(5):
        if number == 2:
            break
        found.append(number)
    return found


def looks_at_itself(n):
    local = n + 1
    return sorted(locals()) + [local]


def keeps(n):
    """Closures and half-run generators of earlier rounds are gone on with, in whatever code they have by now."""
    mine = [make(1)[2], numbers(4)]
    assert next(mine[1]) == 0
    KEPT.append(mine)
    found = []
    if len(KEPT) > 64:
        closure, generator = KEPT.pop(0)
        found = [closure(2), list(generator)]
        assert found == [5, [1, 2, 3]], found
    return len(str(n))


def work(n):
    inner, outer, short = make(n)
    thing = Thing.made(n)
    other = Thing(1)
    other.double = n
    with Base(n) as base:
        raise KeyError(n)
    found = [
        plain(n), keywords(n, 4, 5, d=6), factorial(n % 9), is_even(n % 7), inner(1), outer(2), short(3), inner(4),
        decorated(n), thing.method(n), thing.double, thing.slow, Thing.fixed(n), Thing.Inside().deep(n), other.n,
        base.made_here, thing == Thing(n), hash(thing) == hash(n), survives(n), generators(n), context_values(n),
        run_by_hand(coroutine(n)), run_by_hand(consume(n % 4)), looks_at_itself(n), keeps(n),
        sorted([3, 1, 2], key=lambda x: -x), functools.reduce(lambda a, b: a + b, map(tiny, range(n % 8)), 0),
    ]  # fmt: skip
    return json.loads(json.dumps(found))
