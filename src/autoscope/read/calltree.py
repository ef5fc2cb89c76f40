"""One trace, or that of one test, as a tree of calls: calls of one function by one caller are one line.

`find` and `build_tree` ask the run, `render_text` and `render_json` make text of what they found.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from autoscope.errors import AutoscopeError
from autoscope.read.functions import Counted, Place
from autoscope.read.report import human_time, plural
from autoscope.read.runs import Span, unsigned
from autoscope.read.tests import Case, find_cases, last_of_each

if TYPE_CHECKING:
    from autoscope.read.runs import Process, Run

ARGUMENT = "autoscope.arg."
RESULT = "autoscope.return"
COUNTED = "only counted"
"""Where calls are whose callers are not known but for the test, and whose times are not at all."""
DEPTH = 40
"""Calls below each other that are shown as text."""


@dataclass(slots=True)
class Node:
    """Calls of one function by one caller that ended alike, in the order in which the first of each began."""

    name: str
    calls: int = 0
    total_ns: int = 0
    """Their durations added up; calls that ran at the same time may come to more than their caller's."""
    error: str = ""
    """Type of the exception that ended them."""
    message: str = ""
    """Of the first."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """As they were captured, where there is one call."""
    result: Any = None
    where: str = ""
    """Which thread or process, where it is not the caller's."""
    exact: bool = True
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What a tree is made of."""

    title: str
    """Node id, or trace id."""
    outcome: str
    duration_ns: int
    trace_id: int
    span_id: int
    """The topmost span, 0 where that is all of the trace."""


@dataclass(frozen=True, slots=True)
class Item:
    """A test, or a trace, as a list of them has it."""

    id: str
    name: str
    """Its node id, or its first function."""
    outcome: str
    duration_ns: int
    spans: int


# -- what there is


def list_items(run: Run) -> list[Item]:
    """The tests of a run; of a run without tests its traces. In order of start."""
    counts: dict[int, int] = {}
    roots: dict[int, tuple[int, str, int, int]] = {}

    def ask(connection: Connection, _: Process) -> None:
        for trace, number in connection.execute(_SPANS_OF_TRACES):
            trace_id = int.from_bytes(trace)
            counts[trace_id] = counts.get(trace_id, 0) + number
        for trace, start, name, duration, failed in connection.execute(_ROOTS):
            trace_id = int.from_bytes(trace)
            known = roots.get(trace_id)
            if known is None or start < known[0]:
                roots[trace_id] = start, name, duration, failed

    run.ask(ask)
    cases = list(last_of_each(find_cases(run)).values())
    if cases:
        shared = len({case.trace_id for case in cases}) < len(cases)  # one trace for the whole session
        return [
            Item(case.id, case.id, case.outcome, case.duration_ns, 0 if shared else counts.get(case.trace_id, 0))
            for case in cases
        ]
    return [
        Item(f"{trace_id:032x}", name, "failed" if failed else "", duration, counts[trace_id])
        for trace_id, (_, name, duration, failed) in sorted(roots.items(), key=lambda item: item[1][0])
    ]


_SPANS_OF_TRACES = "SELECT t.trace_id, count(*) FROM spans s JOIN traces t ON t.id = s.trace GROUP BY t.trace_id"
_ROOTS = """
SELECT t.trace_id, s.start_ns, f.name, s.duration_ns, coalesce(d.error_type, '') != ''
FROM spans s JOIN traces t ON t.id = s.trace JOIN sites f ON f.id = s.site LEFT JOIN details d ON d.span = s.span
WHERE s.parent IN (0, t.remote_parent) ORDER BY s.start_ns DESC
"""


def find(run: Run, word: str) -> Found:
    """The test with that node id, or the trace with that id or its beginning. Raises AutoscopeError with what is near."""
    cases = last_of_each(find_cases(run))
    case = cases.get(word)
    if case is not None:
        return _found(case)
    items = list_items(run)
    if not cases and word:
        matching = [item for item in items if item.id.startswith(word.lower())]
        if len(matching) == 1:
            return Found(matching[0].id, matching[0].outcome, matching[0].duration_ns, int(matching[0].id, 16), 0)
    what = "test" if cases else "trace"
    near = nearest(word, [item.id for item in items])
    way = f"did you mean {' or '.join(near)}?" if near else f"`autoscope view {run.id}` lists its {what}s"
    raise AutoscopeError(f"can't view {run.id}#{word}: no such {what} in this run; {way}")


def _found(case: Case) -> Found:
    return Found(case.id, case.outcome, case.duration_ns, case.trace_id, unsigned(case.span))


def nearest(word: str, known: Sequence[str]) -> list[str]:
    """Up to three that have the word in them, or are near to it."""
    from difflib import get_close_matches

    inside = [one for one in known if word and word.lower() in one.lower()]
    return (inside or get_close_matches(word, known, 3))[:3]


# -- the tree


def build_tree(run: Run, found: Found) -> Node:
    """What was called, across threads and processes. The topmost node is the test, or the trace."""
    spans: dict[int, Span] = {}
    counted: dict[int, list[tuple[Place, str, int]]] = {}
    pids: dict[int, int] = {}
    for process in run.processes:
        for span in run.spans_of(process, found.trace_id):
            spans[span.span_id] = span
            pids[span.span_id] = process.pid
            if "autoscope.counted.functions" in span.attributes:
                counted[span.span_id] = Counted(process.meta).read(span.attributes)
    below: dict[int, list[Span]] = {}
    for span in spans.values():
        below.setdefault(span.parent_id if span.parent_id in spans else 0, []).append(span)
    top = Node(found.title, 1, found.duration_ns)
    first = [spans[found.span_id]] if found.span_id in spans else []
    todo = [(top, first, below.get(found.span_id, []))]
    while todo:
        node, callers, callees = todo.pop()
        groups: dict[tuple[str, str], list[Span]] = {}
        for span in sorted(callees, key=lambda span: (span.start_ns, span.span_id)):
            groups.setdefault((span.name, span.error_type), []).append(span)
        made = {key: _node(group, spans, pids) for key, group in groups.items()}
        node.children = list(made.values())
        for span in callers:
            _add_folded(node, made, span.attributes, is_beside=False)
            for place, _, calls in counted.get(span.span_id, ()):
                node.children.append(Node(place.name, calls, where=COUNTED))
        for span in callees:
            _add_folded(node, made, span.attributes, is_beside=True)
        for key, group in groups.items():
            todo.append((made[key], group, [one for span in group for one in below.get(span.span_id, ())]))
    return top


def _node(group: list[Span], spans: dict[int, Span], pids: dict[int, int]) -> Node:
    first = group[0]
    node = Node(first.name.removeprefix("."), len(group), sum(span.duration_ns for span in group), first.error_type)
    node.message = first.error_message
    node.exact = not any("autoscope.sampling.probability" in span.attributes for span in group)
    caller = spans.get(first.parent_id)
    if caller is not None and pids[caller.span_id] != pids[first.span_id]:
        node.where = f"in process {pids[first.span_id]}"
    elif caller is not None and caller.thread_id != first.thread_id:
        node.where = f"in thread {first.thread_name or first.thread_id}"
    if len(group) == 1:
        told = first.attributes
        node.arguments = {key.removeprefix(ARGUMENT): told[key] for key in told if key.startswith(ARGUMENT)}
        node.result = told.get(RESULT)
    return node


def _add_folded(node: Node, made: dict[tuple[str, str], Node], told: dict[str, Any], is_beside: bool) -> None:
    """Calls that have no span of their own, among those that have one."""
    if bool(told.get("autoscope.folded.beside")) is not is_beside:
        return
    names, calls, totals = (told.get(f"autoscope.folded.{key}", ()) for key in ("functions", "calls", "total_ns"))
    for name, number, total in zip(names, calls, totals, strict=False):
        of = made.get((name, ""))
        if of is None:
            of = made[name, ""] = Node(name)
            node.children.append(of)
        of.calls += number
        of.total_ns += total
        of.arguments, of.result = {}, None


# -- as text


def walk(top: Node) -> Iterator[tuple[int, Node]]:
    """(depth, node) from the top, callers first."""
    todo = [(0, top)]
    while todo:
        depth, node = todo.pop()
        yield depth, node
        todo.extend((depth + 1, child) for child in reversed(node.children))


def render_text(found: Found, top: Node, run: str, *, depth: int = DEPTH) -> str:
    """A line for each node, indented; what lies deeper than `depth` is counted."""
    head = "  ".join(part for part in (found.title, found.outcome, human_time(found.duration_ns)) if part)
    lines = [f"{head}  (run {run}, trace {found.trace_id:032x})"]
    hidden = 0
    for level, node in walk(top):
        if level > depth:
            hidden += node.calls
        elif level:
            took = "" if node.where == COUNTED else human_time(node.total_ns)
            lines.append(f"{took:>9}  {'  ' * (level - 1)}{line_of(node)}")
    if hidden:
        lines.append(f"and {plural(hidden, 'call')} more than {depth} below each other; --depth N shows more")
    if not top.children:
        lines.append("no call of a watched function was recorded in it")
    return "\n".join(lines) + "\n"


def line_of(node: Node) -> str:
    """`shop.pay(sku='a') -> 3`, `shop.query x 12`, `shop.pay  shop.Refused: no`."""
    text = node.name
    if node.arguments:
        text += "(" + ", ".join(f"{name}={_one_line(value)}" for name, value in node.arguments.items()) + ")"
    if node.result is not None:
        text += f" -> {_one_line(node.result)}"
    if node.calls != 1:
        text += f" x {'' if node.exact else '~'}{node.calls:,}"
    if node.error:
        text += f"  {node.error}: {_one_line(node.message)}" if node.message else f"  {node.error}"
    return f"{text}  [{node.where}]" if node.where else text


def _one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]


def render_json(found: Found, top: Node, run: str, *, depth: int = DEPTH) -> str:
    """All of it, whatever the depth; children stand after their caller, as `below` (the index of the caller) tells."""
    nodes: list[dict[str, Any]] = []
    stack: list[int] = []
    for level, node in walk(top):
        del stack[level:]
        nodes.append(
            {
                "name": node.name,
                "below": stack[-1] if stack else None,
                "calls": node.calls,
                "exact": node.exact,
                "total_ns": node.total_ns,
                "error": node.error or None,
                "message": node.message or None,
                "arguments": node.arguments,
                "result": node.result,
                "where": node.where or None,
            }
        )
        stack.append(len(nodes) - 1)
    value = {
        "run": run,
        "id": found.title,
        "outcome": found.outcome,
        "duration_ns": found.duration_ns,
        "trace_id": f"{found.trace_id:032x}",
        "calls": nodes,
    }
    return json.dumps(value, indent=2) + "\n"


def render_list(items: list[Item], run: str, *, limit: int | None = None) -> str:
    """One line for each, as many as there is room for."""
    lines = []
    for item in items[:limit]:
        name = item.id if item.id == item.name else f"{item.id}  {item.name}"
        spans = f"  {plural(item.spans, 'span')}" if item.spans else ""
        lines.append(f"{human_time(item.duration_ns):>9}  {item.outcome or 'ok':8}  {name}{spans}")
    if limit is not None and len(items) > limit:
        lines.append(f"and {len(items) - limit:,} more; --limit N shows more")
    lines.append(f"autoscope view '{run}#{items[0].id}' shows one" if items else f"nothing was recorded in run {run}")
    return "\n".join(lines) + "\n"
