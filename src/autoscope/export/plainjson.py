"""Values as JSON, in ASCII: of the built-in types as they are, of anything else as the name of its type. Nothing of the program's is called."""

from __future__ import annotations

from autoscope.ours import keep_builtins
from autoscope.runtime.library import library
from autoscope.runtime.spans import Words

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.spans import Captured

_TOP = 1 << 63
_DEPTH = 16

_encode: Any = None
"""Writes what JSON has."""
_quote: Any = None
"""Writes text as JSON."""
_keys: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Names of what is captured of a function, ready to be written."""
_KEYS_KEPT = 4096


def to_json(value: Any) -> str:
    """JSON in ASCII. Calls no method that a subclass of the program's own may have given its value."""
    global _encode
    if _encode is None:
        _encode = library("json").JSONEncoder().encode
    dumped: str = _encode(_plain(value))
    return dumped


def captured_json(captured: Captured) -> tuple[str, bool]:
    """What was captured of a call, as an object: as `to_json` would write it, at a fifth of the cost. And whether all of it is text."""
    global _quote
    if _quote is None:
        _quote = library("json.encoder").encode_basestring_ascii
    names = captured[0]
    keys = _keys.get(names)
    if keys is None:
        if len(_keys) >= _KEYS_KEPT:
            _keys.clear()
        heads = ["{", *[", "] * len(names)]
        keys = _keys[names] = tuple([f"{head}{_quote(name)}: " for head, name in zip(heads, names, strict=False)])
    parts = []
    place = 0
    only_text = True
    for key in keys:
        place += 1
        value = captured[place]
        kind = type(value)
        parts.append(key)
        if kind is str:
            parts.append(_quote(value))
            continue
        only_text = False
        parts.append(repr(value) if kind is int else ("true" if value else "false") if kind is bool else to_json(value))
    return "".join(parts) + "}" if parts else "{}", only_text


def _plain(value: Any, depth: int = 0) -> Any:
    """`value` as what JSON has; anything else, and what is nested too deep, as the name of its type."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int and -_TOP <= value < _TOP:
        return value
    if kind is Words:
        return list(value)
    if kind is list and depth < _DEPTH:
        return [_plain(item, depth + 1) for item in value]
    if kind is dict and depth < _DEPTH:
        return {
            key if type(key) is str else _key(key): item if type(item) is str else _plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        whole = int.__add__(value, 0)
        # JSON readers keep 64 bits, and Python refuses to write very long numbers in decimal.
        return whole if -_TOP <= whole < _TOP else hex(whole)
    if isinstance(value, float):
        number = float.__add__(value, 0.0)
        return number if number - number == 0 else float.__repr__(number)  # JSON has no infinity
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    if depth < _DEPTH:
        if isinstance(value, dict):
            return {_key(key): _plain(item, depth + 1) for key, item in dict.items(value)}
        if isinstance(value, list):
            return [_plain(item, depth + 1) for item in list.__iter__(value)]
        if isinstance(value, tuple):
            return [_plain(item, depth + 1) for item in tuple.__iter__(value)]
    return f"<{type(value).__name__}>"


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else repr(_plain(key, _DEPTH))
