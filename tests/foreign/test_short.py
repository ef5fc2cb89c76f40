"""Other people's tests, those that take seconds: the rest are `make foreign`."""

from __future__ import annotations

import sys
import tomllib

import pytest
from run import CHECKOUT, HERE, compare

PACKAGES = tomllib.loads((HERE / "packages.toml").read_text())
SHORT = [name for name, package in PACKAGES.items() if package.get("short")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHORT)
def test_a_packages_own_tests_come_out_the_same(name, tmp_path, capfd):
    """Every function of the package and of its tests traced, arguments and results captured: no test comes out otherwise."""
    assert compare(name, PACKAGES[name], sys.executable, CHECKOUT / ".venv/foreign", tmp_path) == []
    cells = capfd.readouterr().out.replace(",", "").split("|")
    tests, different, functions, spans = (int(cells[place]) for place in (2, 5, 6, 7))
    assert not different
    assert tests > 50 and functions > 50 and spans > 1000, "too little was traced to show anything"
