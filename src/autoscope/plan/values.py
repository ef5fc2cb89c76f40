"""Single words of a plan, as people write them in a file, an option or a variable: shares, durations, levels, globs.

Every refusal is made here or by `refuse`: one line that says what was asked, why not, and what to do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from autoscope.errors import Place, PlanError
from autoscope.ours import keep_builtins

keep_builtins(globals())

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DURATION = re.compile(rf"({_NUMBER.pattern})\s*([a-zA-Zµμ]*)", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST = 2**62
_SHARE = "give a share from 0 to 1 such as 0.2, or a percentage such as 20%"
_BUDGET = "give a percentage such as 3%, or a share such as 0.03"
_LENGTH = "give a number and a unit (ns, us, ms, s, m, h), such as 250ms"
MOST_SHOWN = 60
"""Characters of the user's words that a message repeats."""


def printable(text: str) -> str:
    """The text on one line, whatever is in it."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or (f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")


def shown(text: str) -> str:
    """The user's word as a message repeats it: quoted, on one line, of bounded length."""
    cut = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
    return f"`{printable(cut)}`"


def refuse(name: str, why: str, way: str, place: Place | None = None) -> PlanError:
    """`name: why; way`, at a place: what was asked, why not, what to do."""
    return PlanError(f"{name}: {why}; {way}" if name else f"{why}; {way}", place)


def parse_rate(text: str, name: str = "", place: Place | None = None) -> float:
    """`0.2` or `20%`; from 0 to 1. `name` begins the message of a refusal: `AUTOSCOPE_RATE=2`, `--rate 2`."""
    share = _share(text, _SHARE, name, place)
    if not 0 <= share <= 1:
        raise refuse(name, f"{shown(text)} is not between 0 and 1", _percent(text, share) + _SHARE, place)
    return share


def parse_budget(text: str, name: str = "", place: Place | None = None) -> float:
    """`3%` or `0.03`: a share of the process's CPU time, above 0 and up to 1."""
    share = _share(text, _BUDGET, name, place)
    if share == 0:
        raise refuse(
            name, "a budget of nothing leaves nothing to watch with", f"{_BUDGET}, or do not turn autoscope on", place
        )
    if not 0 < share <= 1:
        raise refuse(name, f"{shown(text)} is not between 0 and 1", _percent(text, share) + _BUDGET, place)
    return share


def parse_times(text: str, name: str = "", place: Place | None = None) -> float:
    """`1.5`: how many times as much; 1 or more."""
    way = "give a number from 1 on, such as 1.5"
    number = text.strip()
    if _NUMBER.fullmatch(number) is None:
        raise refuse(name, f"{shown(text)} is not a number", way, place)
    _refuse_octal(number, text, way, name, place)
    value = float(number)
    if not (value >= 1 and math.isfinite(value)):
        raise refuse(name, f"{shown(text)} is not 1 or more", way, place)
    return value


def parse_count(text: str, name: str = "", place: Place | None = None) -> int:
    """`5`: a whole number above 0."""
    way = "give a whole number above 0, such as 5"
    number = text.strip()
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise refuse(name, f"{shown(text)} is not a whole number", way, place)
    _refuse_octal(number, text, way, name, place)
    if int(number) < 1:
        raise refuse(name, f"{shown(text)} is not above 0", way, place)
    return int(number)


def _percent(text: str, share: float) -> str:
    return f"did you mean `{text.strip()}%`? " if 1 < share <= 100 and "%" not in text else ""


def parse_duration(text: str, name: str = "", place: Place | None = None) -> int:
    """`250ms` as nanoseconds; 0 needs no unit."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise refuse(name, f"{shown(text)} is not a duration", _LENGTH, place)
    number, unit = match[1], match[2]
    _refuse_octal(number, text, _LENGTH, name, place)
    value = float(number)
    if value == 0 and unit in ("", *_UNITS):
        return 0
    if not unit:
        raise refuse(name, f"{shown(text)} has no unit", _LENGTH, place)
    if unit not in _UNITS:
        raise refuse(name, f"{shown(unit)} is not a unit of time", _LENGTH, place)
    if value < 0:
        raise refuse(name, f"{shown(text)} is less than nothing", _LENGTH, place)
    length = value * _UNITS[unit]
    if length > _LONGEST:
        raise refuse(name, f"{shown(text)} is longer than a century", _LENGTH, place)
    return round(length)


def _share(text: str, way: str, name: str, place: Place | None) -> float:
    number = text.strip()
    percent = number.endswith("%")
    if percent:
        number = number[:-1].rstrip()
    if _NUMBER.fullmatch(number) is None:
        if number.lower().lstrip("+-.") in ("inf", "infinity", "nan"):
            raise refuse(name, f"{shown(text)} is not a finite number", way, place)
        raise refuse(name, f"{shown(text)} is not a number", way, place)
    _refuse_octal(number, text, way, name, place)
    value = float(number)
    if not math.isfinite(value):
        raise refuse(name, f"{shown(text)} is not a finite number", way, place)
    # Divided as text would be: 7% is 0.07, not 0.07000000000000001.
    return float(f"{number}e-2") if percent and "e" not in number.lower() else value / 100 if percent else value


def _refuse_octal(number: str, text: str, way: str, name: str, place: Place | None) -> None:
    digits = number.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        raise refuse(name, f"{shown(text)} begins with a 0 and would be octal in YAML", way, place)


def parse_word(text: str, known: Sequence[str], name: str = "", place: Place | None = None) -> str:
    """One of a few words: a level, a strategy, a kind of state."""
    if text in known:
        return text
    raise refuse(name, f"{shown(text)} is not known", _choices(text, known), place)


def _choices(text: str, known: Sequence[str]) -> str:
    return f"{did_you_mean(text, known)}known: {', '.join(known)}"


def did_you_mean(text: str, known: Sequence[str]) -> str:
    """`did you mean `rate`? ` where one of the known words is near; else empty."""
    from autoscope.plan.near import nearest

    near = nearest(text[:MOST_SHOWN].lower(), known)
    return f"did you mean `{near}`? " if near else ""


_MODULE = "give a dotted module name, with `*`, `?` or `[…]` for several, such as shop.*"
_FUNCTION = "give a qualified name, with `*`, `?` or `[…]` for several, such as Cart.add"


def parse_module_glob(text: str, name: str = "", place: Place | None = None) -> str:
    """`shop.cart`, `shop.*`."""
    glob = text.strip()
    if glob.endswith(".py") or "/" in glob or "\\" in glob:
        stem = re.sub(r"[/\\]+", ".", glob.removesuffix(".py")).strip(".").removesuffix(".__init__")
        raise refuse(
            name, f"{shown(text)} is a path, not a module", f"write {shown(stem)} if that is its module name", place
        )
    _check_glob(glob, text, "a module name or glob", r"[\s,:;()\"'`{}]", _MODULE, name, place)
    return glob


def parse_function_glob(text: str, name: str = "", place: Place | None = None) -> str:
    """`Cart.add`, `Cart._*`, `outer.<locals>.inner`."""
    glob = text.strip()
    if glob.endswith("()"):
        raise refuse(name, f"{shown(text)} is a call, not a name", f"write {shown(glob[:-2])}", place)
    _check_glob(glob, text, "a function name or glob", r"[\s,:;()/\\\"'`{}]", _FUNCTION, name, place)
    return glob


def _check_glob(glob: str, text: str, what: str, never: str, way: str, name: str, place: Place | None) -> None:
    if not glob:
        raise refuse(name, f"{shown(text)} is empty, not {what}", way, place)
    odd = re.search(never, glob)
    if odd is not None:
        raise refuse(name, f"{shown(text)} has {shown(odd[0])} in it and is not {what}", way, place)
    if glob[0] == "." or glob[-1] == "." or ".." in glob:
        raise refuse(name, f"{shown(text)} has an empty part between its dots and is not {what}", way, place)
    _check_brackets(glob, text, way, name, place)


def _check_brackets(glob: str, text: str, way: str, name: str, place: Place | None) -> None:
    """As fnmatch reads them: `]` right after `[` or `[!` stands for itself, and an unclosed `[` is a letter."""
    position = 0
    while (start := glob.find("[", position)) >= 0:
        first = start + 1 + (glob[start + 1 : start + 2] == "!")
        end = glob.find("]", first + 1)
        if end < 0:
            raise refuse(name, f"{shown(text)} has a `[` that no `]` closes", way, place)
        for low, high in re.findall(r"(.)-(.)", glob[first:end]):
            if low > high:
                raise refuse(name, f"{shown(text)} has the empty range {shown(f'{low}-{high}')}", way, place)
        position = end + 1
