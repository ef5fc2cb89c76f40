"""Chaos for some seconds; `python tests/chaos/chaos.py --seconds 600` is the same for longer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))

from chaos import RATE, chaos

SECONDS = 6
SEED = 11


@pytest.mark.timeout(300)
def test_changes_of_every_kind_at_random(tmp_path):
    """No wrong result, no lost request, no leak, every span well-formed, and after `off` every function is its author's."""
    outcome = chaos(tmp_path, SECONDS, SEED)
    assert outcome.faults == []
    assert outcome.told["changes"] == SECONDS * RATE
    assert outcome.told["spans"] > 1000 and outcome.told["processes"] > 3 and outcome.counts["requests"] > 100
