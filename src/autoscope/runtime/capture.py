"""Arguments and results as short text, made at the moment of the call.

Safe before complete: nothing of the program's is called. Values of the built-in types are rendered, inside bounds; of anything
else only its type is told, because its `__repr__`, its properties, its iteration may do work, fail, or change
something. What a name says is secret is never rendered. Nothing is kept but the text.
"""

from __future__ import annotations

from itertools import islice

from autoscope.errors import pass_on
from autoscope.ours import keep_builtins
from autoscope.runtime.spans import STEPS

keep_builtins(globals())

TYPE_CHECKING = False  # not typing's: importing it would cost every traced process milliseconds
if TYPE_CHECKING:
    from typing import Any

    from autoscope.runtime.sites import Site
    from autoscope.runtime.spans import Captured

MOST_CHARACTERS = 256
"""Length of one rendered value."""
MOST_ITEMS = 8
"""Items shown of a container."""
MOST_DEPTH = 3
"""Containers inside containers shown."""
MOST_BITS = 512
"""Size of a number that is written out; Python refuses to write very long ones in decimal."""
LONGEST_NAME = 4096
"""Characters of a name that are looked at."""
REDACTED = "[redacted]"

REDACT = (
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
"""Parts of names whose values are secret in every plan, lower-case without `-` and `_`."""
redact: tuple[str, ...] = REDACT
"""Those in force: a plan's own added."""
_secret_names: dict[str, bool] = {}


def set_redact(words: tuple[str, ...]) -> None:
    """Use these words from now on, with those of every plan, and none of an earlier call."""
    global redact
    redact = tuple(dict.fromkeys([*REDACT, *(_fold(word) for word in words)]))
    _secret_names.clear()


def _fold(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def is_secret(name: str) -> bool:
    """Whether a parameter, key or attribute of this name is redacted."""
    known = _secret_names.get(name)
    if known is None:
        folded = _fold(name[:LONGEST_NAME])
        known = any(word in folded for word in redact)
        # Keys of a dictionary may be anything: only what can be a name is remembered.
        if len(name) <= 64 and len(_secret_names) < 4096:
            _secret_names[name] = known
    return known


def _is_secret_key(key: Any, kind: type) -> bool:
    """The same for a dictionary's key: text or bytes, members of a text enumeration and the like included."""
    if kind is str:
        return is_secret(key)
    if issubclass(kind, str):
        return is_secret(str.__str__(key))
    return issubclass(kind, bytes) and is_secret(bytes.decode(bytes.__getitem__(key, _NAME), "latin-1"))


_NAME = slice(LONGEST_NAME)


def arguments(site: Site, values: tuple[Any, ...]) -> list[Any]:
    """Span attributes `autoscope.arg.<name>` for the parameters of a site, defaults applied: their names in a tuple, then the values."""
    keys = site.keys
    if keys is None or keys[0] is not redact:
        keys = _keys(site)
    captured = [keys[3]]
    append = captured.append
    for secret, value in zip(keys[1], values):  # noqa: B905 - asking for equal lengths costs more than a value
        append(REDACTED if secret else render(value))
    return captured


def add_result(site: Site, captured: list[Any] | None, value: Any) -> list[Any]:
    """The same with the span attribute `autoscope.return`."""
    keys = site.keys
    if keys is None or keys[0] is not redact:
        keys = _keys(site)
    shown = REDACTED if keys[2] else render(value)
    if captured is None:
        return [_ONLY_RESULT, shown]
    names = captured[0]
    known = names is keys[3] and len(captured) == len(names) + 1
    # Else what is captured of this function has changed since the call began.
    captured[0] = keys[4] if known else (*names[: len(captured) - 1], _RESULT)
    captured.append(shown)
    return captured


def returned(site: Site, captured: list[Any] | None, value: Any) -> Captured | None:
    """What is recorded of a call with its result: `add_result` and `details_of`, in one for most calls."""
    keys = site.keys
    if keys is not None and keys[0] is redact and captured is not None:
        names = keys[3]
        if captured[0] is names and len(captured) == len(names) + 1:
            captured[0] = keys[4]
            captured.append(REDACTED if keys[2] else render(value))
            return tuple(captured)
    return details_of(add_result(site, captured, value))


def details_of(captured: list[Any]) -> Captured | None:
    """What is recorded of what was captured."""
    shown, names = len(captured) - 1, captured[0]
    if shown < len(names):
        captured[0] = names[:shown]
    return tuple(captured) if shown else None


def with_steps(site: Site, captured: list[Any] | None, steps: int, running: int) -> Captured:
    """The same of a call that was suspended, with how often it was resumed and how many nanoseconds it ran itself."""
    if captured is None:
        return STEPS[site.kind], steps, running
    names = captured[0]
    shown, keys = len(captured) - 1, site.keys
    if keys is not None and names is keys[3] and shown == len(names):
        names = keys[5]
    else:
        names = (*names[:shown], *STEPS[site.kind])
    return names, *captured[1:], steps, running


def hide(site: Site) -> None:
    """Show nothing of the arguments that woven code goes on to hand over."""
    site.keys = (redact, (), False, (), _ONLY_RESULT, STEPS.get(site.kind, ()))


_RESULT = "autoscope.return"
_ONLY_RESULT = (_RESULT,)


def _keys(site: Site) -> tuple[Any, ...]:
    names = tuple(["autoscope.arg." + name for name in site.parameters])
    secrets = tuple([is_secret(name) for name in site.parameters])
    stepped = (*names, *STEPS.get(site.kind, ()))
    site.keys = keys = (redact, secrets, is_secret(site.qualname), names, (*names, _RESULT), stepped)
    return keys


def render(value: Any) -> Any:
    """A value as an attribute: numbers and booleans as they are, everything else as text."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MOST_CHARACTERS else _clip(value)
    if kind is int:
        return value if _LEAST <= value <= _MOST else _integer(value)
    if value is None:
        return "None"
    if kind is bool or kind is float:
        return value
    if kind is tuple or kind is dict or kind is list:
        return _long(value, kind) if value else "()" if kind is tuple else "{}" if kind is dict else "[]"
    return _of_class(kind) or _long(value, kind)


_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
"""What an attribute's number may be."""


def _long(value: Any, kind: type) -> str:
    return _cut(_text(value, kind, MOST_DEPTH, [MOST_CHARACTERS]))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


_classes: dict[int, tuple[str, str, str]] = {}
"""What values of a class are told as, by its id: the text, and the two names it was made of. Another class may get that id, and this one
another name; the class itself is not kept."""
_CLASSES_KEPT = 4096


def _of_class(kind: type) -> str:
    """What a value is told as of whose class nothing but the name is told: one of a program's, mostly. Empty for any other."""
    known = _classes.get(id(kind))
    if known is not None:
        try:
            if known[1] is _qualname(kind) and known[2] is _module(kind):
                return known[0]
        except AttributeError:
            pass  # another one, made by `type(…)` where there is no `__name__`
    if not _flags(kind) & _HEAP_TYPE:
        return ""
    text = _cut(f"<{type_name(kind)}>")
    try:
        name, module = _qualname(kind), _module(kind)
    except AttributeError:
        return text
    if type(name) is str and type(module) is str:
        if len(_classes) >= _CLASSES_KEPT:
            _classes.clear()
        _classes[id(kind)] = text, name, module
    return text


def _clip(value: str) -> str:
    return value if len(value) <= MOST_CHARACTERS else f"{value[: MOST_CHARACTERS - 1]}… ({len(value)} characters)"


def _integer(value: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= MOST_BITS else f"<int of {bits} bits>"


def _text(value: Any, kind: type, depth: int, left: list[int]) -> str:
    """`left[0]` is the number of characters still allowed, shared by all parts."""
    before = left[0]
    if before <= 0:
        return "…"
    # Compared by identity: a metaclass of the program's may answer for `==` and `hash`.
    if (kind is int and value.bit_length() <= MOST_BITS) or value is None:
        text = repr(value)
    elif kind is str:
        text = repr(value) if len(value) <= MOST_CHARACTERS else repr(value[:MOST_CHARACTERS]) + "…"
    elif kind is int:
        text = _integer(value)
    elif kind is list or kind is tuple or kind is dict or kind is set or kind is frozenset:
        text = _container(value, kind, depth, left)
    elif shown := _of_class(kind):
        text = shown
    elif kind is bool or kind is float or kind is complex:
        text = repr(value)
    elif kind is bytes or kind is bytearray:
        text = repr(bytes(value[:64])) + (f"… ({len(value)} bytes)" if len(value) > 64 else "")
    elif (kind is range or kind is slice) and _plain_parts(value, kind):
        text = repr(value)
    else:
        text = f"<{type_name(kind)}>"
    left[0] = before - len(text)  # its parts have taken theirs off already
    return text


def _plain_parts(value: Any, kind: type) -> bool:
    parts = (value.start, value.stop, value.step)
    return all(part is None or (type(part) is int and part.bit_length() <= MOST_BITS) for part in parts)


def _container(value: Any, kind: type, depth: int, left: list[int]) -> str:
    size = len(value)
    if not size:
        return repr(value)
    if depth == 0:
        return f"<{kind.__name__} of {size}>"
    # A copy of the first items, so that another thread's change in mid-iteration cannot reach us.
    if kind is list or kind is tuple:
        first = value[:MOST_ITEMS]
    else:
        try:
            first = list(islice(value.items() if kind is dict else value, MOST_ITEMS))
        except RuntimeError as error:
            pass_on(error)
            return f"<{kind.__name__} of {size}>"
    more = f", … ({size} items)" if size > len(first) else ""
    if kind is dict:
        parts = []
        for key, item in first:
            shown = REDACTED if _is_secret_key(key, type(key)) else _text(item, type(item), depth - 1, left)
            parts.append(f"{_text(key, type(key), 0, left)}: {shown}")
        return "{" + ", ".join(parts) + more + "}"
    if len(first) == 2 and (kind is list or kind is tuple) and _is_secret_key(first[0], type(first[0])):
        # A name and its value, as headers, the items of a dictionary and the fields of a form come.
        name = _text(first[0], type(first[0]), depth - 1, left)
        return f"[{name}, {REDACTED}]" if kind is list else f"({name}, {REDACTED})"
    inside = ", ".join([_text(item, type(item), depth - 1, left) for item in first]) + more
    if kind is list:
        return f"[{inside}]"
    if kind is tuple:
        return f"({inside},)" if size == 1 else f"({inside})"
    return "{" + inside + "}" if kind is set else f"frozenset({{{inside}}})"


_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_flags = type.__dict__["__flags__"].__get__
_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: made by a `class` statement or a call of `type`, or by a newer module in C. Of the built-in ones none is."""


def type_name(kind: type) -> str:
    """`module.qualname`, of a builtin its name.

    From the type itself: a metaclass of the program's may answer for `__qualname__` and `__module__`, and what is found
    there may be text of a class of its own.
    """
    name = _qualname(kind)
    if type(name) is not str or len(name) > LONGEST_NAME:
        name = str.__getitem__(name, _NAME)
    try:
        module = _module(kind)
    except AttributeError:
        return name  # made by `type(…)` where there is no `__name__`
    if type(module) is not str or module == "builtins":
        return name
    return f"{module}.{name}" if len(module) <= LONGEST_NAME else f"{module[:LONGEST_NAME]}.{name}"
