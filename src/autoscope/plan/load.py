"""Reads plan files: YAML to a tree with places, the tree to a `Layer`, and what it extends under it.

A plan may come from anywhere, so size, depth and the work of aliases are bounded, and no tag makes an object.
YAML's events are read one by one rather than composed: the bounds hold before anything has grown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import yaml

from autoscope.errors import Place, PlanError
from autoscope.ours import keep_builtins
from autoscope.plan.presets import PRESETS, preset_path
from autoscope.plan.schema import MOST_DEPTH, Layer, Listing, Node, Scalar, Table, read_layer
from autoscope.plan.values import printable, refuse, shown

keep_builtins(globals())

MOST_BYTES = 5_000_000
MOST_ALIASED = 20_000
"""Values that aliases may repeat, counted each time."""
MOST_EXTENDS = 16
"""Plans that extend each other in a row."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SMALLER = "leave to `strategy` and globs what needs no entry of its own"


def load(path: str, strategy: str | None = None, data: bytes | None = None) -> Layer:
    """What a plan file says, with what it extends; `data` is what is in it, if it was read already.

    `strategy`, where the user named one outside the file, takes the place of the preset the file extends.
    """
    loading = _Loading(strategy)
    try:
        return loading.file(path, None, data)
    except PlanError as error:
        error.extended = tuple(loading.looked_for)
        raise


def extend(layer: Layer, directory: str, strategy: str | None = None) -> Layer:
    """A layer that was not read from a file, with what it extends."""
    return _Loading(strategy).under(layer, directory)


class _Loading:
    """One plan and all it extends; a file that is reached twice is read once."""

    def __init__(self, strategy: str | None) -> None:
        self.strategy = strategy
        self.done: dict[str, Layer] = {}
        self.open: dict[str, str] = {}
        """Real path -> path as shown, from the plan down to the file being read."""
        self.looked_for: list[str] = []
        """Files that a plan extends, there or not."""

    def file(self, path: str, place: Place | None, data: bytes | None = None) -> Layer:
        real = _real(path, place)
        if real in self.done:
            return self.done[real]
        if real in self.open:
            circle = " -> ".join(printable(name) for name in (*self.open.values(), path))
            why = f"{printable(path)} extends itself: {circle}"
            raise refuse("extends", why, "take out one `extends` of the circle", place)
        if len(self.open) >= MOST_EXTENDS:
            raise refuse("extends", f"more than {MOST_EXTENDS} plans extend each other", "join some of them", place)
        self.open[real] = path
        root = parse(read_bytes(path, place) if data is None else data, path)
        layer = self.under(read_layer(root), os.path.dirname(path))
        del self.open[real]
        self.done[real] = layer
        return layer

    def under(self, layer: Layer, directory: str) -> Layer:
        """The layer over what it extends; of several, one that stands later is nearer."""
        for word in reversed(layer.extends):
            layer = layer.over(self.extended(word, directory))
        return layer

    def extended(self, word: Scalar, directory: str) -> Layer:
        scheme, _, name = word.text.partition(":")
        if scheme == "autoscope":
            path = preset_path(self.strategy if self.strategy and name in PRESETS else name, word.place)
            return self.file(path, word.place)._replace(rate_given=False)
        if "://" in word.text:
            raise refuse("extends", f"{shown(word.text)} is an address", "fetch it and name the file", word.place)
        path = os.path.join(directory, os.path.expanduser(word.text))
        self.looked_for.append(path)
        layer = self.file(path, word.place)
        return layer._replace(extended=(path, *layer.extended))


def _real(path: str, place: Place | None) -> str:
    try:
        if path:
            return os.path.realpath(path)
    except OSError:
        return os.path.abspath(path)  # a link that is being replaced; whoever opens it says more
    except ValueError:
        pass  # what no file system can hold
    raise refuse("extends" if place else "", f"{shown(path)} is not the name of a file", "name a plan file", place)


def read_bytes(path: str, place: Place | None = None) -> bytes:
    """A plan's bytes, but never more than a plan may have. `place` is where the file is named, if a plan names it."""
    here = place or Place(printable(path))
    name = f"extends: {printable(path)}" if place else ""
    _real(path, place)
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        way = "name a plan that exists, or write one with `autoscope plan PATH -o FILE`"
        raise refuse(name, "no such file", way, here) from None
    except IsADirectoryError:
        raise refuse(name, "a directory, not a plan", "name the plan file in it", here) from None
    except OSError as error:
        raise refuse(name, f"cannot be read: {error.strerror}", "name a plan this user may read", here) from None
    if len(data) > MOST_BYTES:
        raise refuse(name, f"larger than {MOST_BYTES // 10**6} MB, the most a plan may have", _SMALLER, here)
    return data


def parse(data: bytes, path: str) -> Node:
    """The YAML in a file as a tree of words with their places."""
    shown_path = printable(path)
    text = _decode(data, shown_path)
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Tree(shown_path).build(events)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, shown_path) from None


def _decode(data: bytes, path: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        why = f"not a YAML file: byte 0x{data[error.start]:02x} is not UTF-8"
        raise refuse("", why, "name a plan file, or save it as UTF-8", _place_after(path, before)) from None
    odd = _NOT_YAML.search(text)
    if odd is not None:
        why = f"not a YAML file: it has the control character {shown(odd[0])}"
        raise refuse("", why, "name a plan file, or take the character out", _place_after(path, text[: odd.start()]))
    return text


def _place_after(path: str, before: str) -> Place:
    return Place(path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


_HINTS = {
    "\t": "indent with spaces, not tabs",
    "*": "put quotes round a glob that begins with `*`",
    "[": "put quotes round a glob that begins with `[`, and close every list with `]`",
    "%": "put quotes round it",
    "@": "put quotes round it",
    "`": "put quotes round it",
}


def _not_yaml(error: yaml.MarkedYAMLError, text: str, path: str) -> PlanError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = text.split("\n")
    there = lines[line][column : column + 1] if line < len(lines) else ""
    problem = printable(str(error.problem or error.context or "no more is known"))
    if problem.startswith("found character that cannot start any token"):
        problem = f"{shown(there)} cannot begin a value"
    elif error.context and "alias" in error.context:
        problem = "`*` at the start of a word is an alias in YAML, and this one has no name"
        there = "*"
    way = _HINTS.get(there, "check the indentation, colons, brackets and quotes here and on the line before")
    return refuse("", f"not YAML: {problem}", way, Place(path, line + 1, column + 1))


class _Tree:
    """Builds the tree, bounded in depth and in what aliases repeat."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.anchors: dict[str, tuple[Node | None, int]] = {}
        """Anchor -> what it stands for (None while still open) and how many values that is."""
        self.aliased = 0

    def place(self, event: Any) -> Place:
        return Place(self.path, event.start_mark.line + 1, event.start_mark.column + 1)

    def build(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    way = "keep one, and take out the `---` before the other"
                    raise refuse("", "more than one YAML document", way, self.place(event))
                root, _ = self.node(next(events), events, 0)
        if root is None or (isinstance(root, Scalar) and root.is_null):
            raise refuse("", "the plan is empty", "begin with a key such as `strategy: balanced`", Place(self.path))
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Node, int]:
        """The node that begins with this event, and how many values it comes to."""
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            way = "take it out: the values of a plan need none"
            raise refuse("", f"{shown(str(event.tag))} is a tag", way, self.place(event))
        if depth > MOST_DEPTH:
            way = "a plan needs six: modules, a module, functions, a function, capture, args"
            raise refuse("", f"more than {MOST_DEPTH} levels deep", way, self.place(event))
        if event.anchor is not None:
            self.anchors[event.anchor] = (None, 0)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, size = Scalar(self.place(event), event.value, plain=not event.style), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, size = self.listing(event, events, depth)
        else:
            node, size = self.table(event, events, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, size)
        return node, size

    def alias(self, event: Any) -> tuple[Node, int]:
        if event.anchor not in self.anchors:
            way = "put quotes round a glob that begins with `*`"
            raise refuse("", f"{shown('*' + event.anchor)} is an alias to nothing", way, self.place(event))
        node, size = self.anchors[event.anchor]
        if node is None:
            why = f"{shown('*' + event.anchor)} stands inside what it stands for"
            raise refuse("", why, "write out what is meant", self.place(event))
        self.aliased += size
        if self.aliased > MOST_ALIASED:
            way = "write out what is meant"
            raise refuse("", f"aliases repeat more than {MOST_ALIASED} values", way, self.place(event))
        return node, size

    def listing(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Listing, int]:
        items = []
        total = 1
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            item, size = self.node(inner, events, depth + 1)
            items.append(item)
            total += size
        return Listing(self.place(event), items), total

    def table(self, event: Any, events: Iterator[Any], depth: int) -> tuple[Table, int]:
        entries: dict[str, tuple[Place, Node]] = {}
        merged: list[Node] = []
        total = 1
        for inner in events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            key, _ = self.node(inner, events, depth + 1)
            value, size = self.node(next(events), events, depth + 1)
            total += 1 + size
            if not isinstance(key, Scalar):
                raise refuse("", "a key that is not one word", "write the key as text", self.place(inner))
            if key.text == "<<" and key.plain:
                merged.append(value)
                continue
            if key.text in entries:
                first = entries[key.text][0]
                why = f"{shown(key.text)} stands here twice, first in line {first.line}"
                raise refuse("", why, "join the two, or take one out", self.place(inner))
            entries[key.text] = (self.place(inner), value)
        for value in merged:
            self.merge(value, entries)
        return Table(self.place(event), entries), total

    def merge(self, value: Node, entries: dict[str, tuple[Place, Node]]) -> None:
        """`<<: *common`, as YAML 1.1 has it: what is written out wins."""
        for source in value.items if isinstance(value, Listing) else [value]:
            if not isinstance(source, Table):
                why = "`<<` takes mappings only"
                raise refuse("", why, "give it an alias of a mapping, or a list of those", source.place)
            for key, entry in source.entries.items():
                entries.setdefault(key, entry)
