"""Frequencies: how often functions are called for each time the program's entry points are, along the call graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from autoscope.plan.facts import Function

RECURSION = 5.0
"""How often a recursive function is taken to call itself for one call from outside."""
MOST_CALLS = 1e9


def spread(functions: Sequence[Function], roots: dict[int, float], tests: Collection[str] = ()) -> None:
    """Frequencies from callers to callees, in an order that meets callers first; a call back up is recursion.

    A function called in several ways gets the sum. What calls in a circle gets `RECURSION` times what comes from outside
    it, once. Of a circle that nothing outside calls, its first function is a root.
    """
    callees = [tuple(function.callees) for function in functions]
    roots = dict(roots)
    left = bytearray(len(functions))
    back: dict[int, set[int]] = {}
    order = postorder(callees, sorted(roots), left, back)
    rest = [index for index, function in enumerate(functions) if not left[index] and function.module not in tests]
    # Of what no root leads to, the last to be left is called by nothing else.
    for index in reversed(postorder(callees, rest, bytearray(left), {})):
        if not left[index]:
            roots[index] = 1.0
            order += postorder(callees, [index], left, back)
    order += postorder(callees, range(len(functions)), left, back)
    order.reverse()
    circles = find_circles(functions, order, set().union(*back.values()))
    frequency = [0.0] * len(functions)
    for index, weight in roots.items():
        frequency[index] = weight * (RECURSION if index in circles else 1.0)
    for index in order:
        own = frequency[index]
        if own == 0.0:
            continue
        circle = circles.get(index)
        above = back.get(index, ())
        for callee, weight in functions[index].callees.items():
            if callee in above:
                continue
            gain = own * weight
            if callee in circles and circles[callee] != circle:
                gain *= RECURSION
            gain += frequency[callee]
            frequency[callee] = gain if gain < MOST_CALLS else MOST_CALLS
    for index, function in enumerate(functions):
        function.frequency = frequency[index]
        function.recursive = index in circles


def postorder(
    callees: Sequence[tuple[int, ...]], starts: Iterable[int], left: bytearray, back: dict[int, set[int]]
) -> list[int]:
    """What `starts` lead to that is not in `left` yet, callees before callers; calls back up are added to `back`."""
    order: list[int] = []
    above: set[int] = set()
    for start in starts:
        if left[start]:
            continue
        left[start] = 1
        if not callees[start]:
            order.append(start)
            continue
        above.add(start)
        stack = [(start, iter(callees[start]))]
        while stack:
            index, rest = stack[-1]
            for callee in rest:
                if not left[callee]:
                    left[callee] = 1
                    if not callees[callee]:
                        order.append(callee)
                        continue
                    above.add(callee)
                    stack.append((callee, iter(callees[callee])))
                    break
                if callee in above:
                    back.setdefault(index, set()).add(callee)
            else:
                above.discard(index)
                order.append(index)
                stack.pop()
    return order


def find_circles(functions: Sequence[Function], order: list[int], turns: set[int]) -> dict[int, int]:
    """Function that may come to call itself -> the first, in `order`, of those that call each other so.

    `order` has callers first, `turns` are called from further down: a circle's first function is always one of those.
    """
    circles: dict[int, int] = {}
    passed: set[int] = set()
    for first in order:
        if first in turns and first not in circles:
            circles[first] = first
            work = [first]
            while work:
                for caller in functions[work.pop()].callers:
                    if caller not in circles and caller not in passed:
                        circles[caller] = first
                        work.append(caller)
        passed.add(first)
    return circles
