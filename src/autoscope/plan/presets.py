"""The plans that come with autoscope, one for each strategy: where they are, and what they say."""

from __future__ import annotations

import os

from autoscope.errors import Place
from autoscope.ours import keep_builtins
from autoscope.plan.model import STRATEGIES
from autoscope.plan.values import did_you_mean, refuse, shown

keep_builtins(globals())

PRESETS = STRATEGIES
RATES = {"minimal": 0.1, "balanced": 1.0, "full_trace": 1.0}
"""What the presets say of sampling, for programs that start without a plan file: all else in them is their strategy."""


def preset_path(name: str, place: Place | None = None) -> str:
    """The file of a preset: `autoscope/presets/` where installed, the repository's `plans/` in a checkout."""
    if name not in PRESETS:
        known = ", ".join(f"autoscope:{preset}" for preset in PRESETS)
        raise refuse("extends", f"no preset {shown(name)}", f"{did_you_mean(name, PRESETS)}known: {known}", place)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    checkout = os.path.dirname(os.path.dirname(package))
    for directory in (os.path.join(package, "presets"), os.path.join(checkout, "plans")):
        path = os.path.join(directory, f"{name}.yaml")
        if os.path.isfile(path):
            return path
    raise refuse(f"autoscope:{name}", f"{package} has no presets", "install autoscope again", place)
