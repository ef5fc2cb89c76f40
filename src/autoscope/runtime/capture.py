"""Arguments and results as short text, made at the moment of the call.

Safe before complete: nothing of the program's is called. Values of the built-in types are rendered, inside bounds; of anything
else only its type is told, because its `__repr__`, its properties, its iteration may do work, fail, or change
something. What a name says is secret is never rendered. Nothing is kept but the text.
"""

from __future__ import annotations

# Ours from here on: a program may replace its builtins, and does in tests.
from builtins import all, any, len, range, repr, type, zip

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.sites import Site

MOST_CHARACTERS = 256
"""Length of one rendered value."""
MOST_ITEMS = 8
"""Items shown of a container."""
MOST_DEPTH = 3
"""Containers inside containers shown."""
REDACTED = "[redacted]"

redact: tuple[str, ...] = (
    "password",
    "passwd",
    "pwd",
    "token",
    "secret",
    "authorization",
    "cookie",
    "apikey",
    "privatekey",
    "credential",
    "session",
)
"""Parts of names whose values are secret, lower-case without `-` and `_`; the plan's `redact` adds to them."""
_secret_names: dict[str, bool] = {}


def set_redact(words: tuple[str, ...]) -> None:
    """Use these words (with the defaults) from now on."""
    global redact
    redact = tuple(dict.fromkeys([*redact, *(_fold(word) for word in words)]))
    _secret_names.clear()


def _fold(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def is_secret(name: str) -> bool:
    """Whether a parameter, key or attribute of this name is redacted."""
    known = _secret_names.get(name)
    if known is None:
        folded = _fold(name)
        known = any(word in folded for word in redact)
        if len(_secret_names) < 4096:
            _secret_names[name] = known
    return known


def arguments(site: Site, values: tuple[Any, ...]) -> dict[str, Any]:
    """Span attributes `autoscope.arg.<name>` for the parameters of a site, defaults applied."""
    captured: dict[str, Any] = {}
    for name, value in zip(site.parameters, values, strict=True):
        captured["autoscope.arg." + name] = render(value, name)
    return captured


def render(value: Any, name: str = "") -> Any:
    """A value as an attribute: numbers and booleans as they are, everything else as text.

    `name` is what the value is called where it comes from; for a result, the function's name.
    """
    if name and is_secret(name):
        return REDACTED
    kind = type(value)
    if kind is int:
        return value if -(1 << 63) <= value < 1 << 63 else _integer(value)
    if kind is bool or kind is float:
        return value
    if kind is str:
        return _clip(value)
    text = _text(value, kind, MOST_DEPTH, [MOST_CHARACTERS])
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _clip(value: str) -> str:
    return value if len(value) <= MOST_CHARACTERS else f"{value[: MOST_CHARACTERS - 1]}… ({len(value)} characters)"


def _integer(value: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= 512 else f"<int of {bits} bits>"


def _text(value: Any, kind: type, depth: int, left: list[int]) -> str:
    """`left[0]` is the number of characters still allowed, shared by all parts."""
    if left[0] <= 0:
        return "…"
    text = _scalar(value, kind)
    if text is None:
        text = _container(value, kind, depth, left)
    left[0] -= len(text)
    return text


def _scalar(value: Any, kind: type) -> str | None:
    if value is None or kind is bool or kind is float or kind is complex:
        return repr(value)
    if kind is int:
        return _integer(value)
    if kind is str:
        return repr(value[:MOST_CHARACTERS]) + ("…" if len(value) > MOST_CHARACTERS else "")
    if kind is bytes or kind is bytearray:
        return repr(bytes(value[:64])) + (f"… ({len(value)} bytes)" if len(value) > 64 else "")
    if kind is range or kind is slice:
        return repr(value) if _plain_parts(value, kind) else _other(kind)
    if kind in _CONTAINERS:
        return None
    return _other(kind)


def _plain_parts(value: Any, kind: type) -> bool:
    parts = (value.start, value.stop, value.step)
    return all(part is None or type(part) is int for part in parts)


_CONTAINERS = frozenset((list, tuple, dict, set, frozenset))


def _container(value: Any, kind: type, depth: int, left: list[int]) -> str:
    size = len(value)
    if not size:
        return repr(value)
    if depth == 0:
        return f"<{kind.__name__} of {size}>"
    # A copy of the first items, so that another thread's change in mid-iteration cannot reach us.
    try:
        first = _first(value, kind)
    except RuntimeError:
        return f"<{kind.__name__} of {size}>"
    more = f", … ({size} items)" if size > len(first) else ""
    if kind is dict:
        parts = []
        for key, item in first:
            shown = REDACTED if type(key) is str and is_secret(key) else _text(item, type(item), depth - 1, left)
            parts.append(f"{_text(key, type(key), 0, left)}: {shown}")
        return "{" + ", ".join(parts) + more + "}"
    inside = ", ".join(_text(item, type(item), depth - 1, left) for item in first) + more
    if kind is list:
        return f"[{inside}]"
    if kind is tuple:
        return f"({inside},)" if size == 1 else f"({inside})"
    return "{" + inside + "}" if kind is set else f"frozenset({{{inside}}})"


def _first(value: Any, kind: type) -> list[Any]:
    if kind is list or kind is tuple:
        return list(value[:MOST_ITEMS])
    items = value.items() if kind is dict else value
    first = []
    for item in items:
        first.append(item)
        if len(first) == MOST_ITEMS:
            break
    return first


def _other(kind: type) -> str:
    # From the type itself: a metaclass of the program's may answer for `__name__` and `__module__`.
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    return f"<{name}>" if module == "builtins" or type(module) is not str else f"<{module}.{name}>"
