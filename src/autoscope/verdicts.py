"""What a comparison comes to, in the words of all of them: of a plan with the code, of a run with another."""

from __future__ import annotations

from collections.abc import Iterable

ALIGNED, DRIFTED, CRITICAL_MISS = VERDICTS = ("ALIGNED", "DRIFTED", "CRITICAL_MISS")


def verdict_of(severities: Iterable[str]) -> str:
    """The worst of `critical`, `drift` and others decides."""
    found = set(severities)
    return CRITICAL_MISS if "critical" in found else DRIFTED if "drift" in found else ALIGNED
