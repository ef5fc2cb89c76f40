"""Dotted expressions: what a value is, as text (docs/decisions/0008).

`shop.cart.Cart()` is an instance, `[]X` and `{}X` are a collection and a mapping of `X`, `X[]` is an item of `X`, `?.add` is unknown but for its name.
"""

from __future__ import annotations

MOST_EXPRESSION = 240
"""Characters of a dotted expression; longer ones are unknown (`x = x.next`, over and over, would grow without end)."""


def element(of: str | None) -> str | None:
    """What iterating over, or subscripting, an expression gives."""
    if of is None or of[0] == "?":
        return None
    if of[0] in "[{":
        return of[2:]
    return None if of.startswith("builtins.") and not of.startswith("builtins.open") else of + "[]"


def taken_from(container: str, method: str) -> str | None:
    """What a method of `[]X` or `{}X` gives: an `X`, or several."""
    if container[0] == "{":
        if method in ("get", "pop", "setdefault"):
            return container[2:]
        return "[]" + container[2:] if method == "values" else None
    return container[2:] if method in ("pop", "popleft") else None
