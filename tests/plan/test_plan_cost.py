"""Cost tables: shipped, kept and found again, and what calls cost by them."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import pytest

from autoscope.errors import AutoscopeError
from autoscope.plan import cost

ROUND = cost.CostTable(
    interpreter=cost.interpreter(),
    source="calibrated 2026-11-21",
    flag=1,
    armed=10,
    root_no=100,
    thinned=30,
    recorded=500,
    exported=1000,
    root=2000,
    detailed=4000,
    step=200,
    exception=3000,
    told=9000,
    argument=700,
    result=800,
    state=5000,
    profiled=250,
    python=8,
    cold=1,
)
"""Figures that can be added up by hand."""


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_shipped_tables_are_sound(version):
    """Every shipped figure is plausible, beside the others too."""
    assert {} == cost.implausible(cost.shipped(version))


def test_each_version_has_its_own_figures():
    """The tables of the versions differ, and say whose they are."""
    tables = [cost.shipped((3, minor)) for minor in (11, 12, 13)]

    assert ["CPython 3.11", "CPython 3.12", "CPython 3.13"] == [table.interpreter for table in tables]
    assert 3 == len({table.recorded for table in tables})


@pytest.mark.parametrize("version, known", [((3, 14), (3, 13)), ((4, 0), (3, 13)), ((3, 10), (3, 11))])
def test_other_versions_have_the_nearest_figures(version, known):
    """Later versions have the newest figures, earlier ones the oldest, under their own name."""
    expected = replace(cost.shipped(known), interpreter=f"CPython {version[0]}.{version[1]}")

    assert expected == cost.shipped(version)


def test_a_table_survives_json():
    """`from_dict` takes back what `to_dict` gave."""
    assert ROUND == cost.CostTable.from_dict(json.loads(json.dumps(ROUND.to_dict())))


@pytest.mark.parametrize(
    "change, why",
    [
        ({"flag": -1.0}, {"flag": "cannot be -1"}),
        ({"step": math.nan}, {"step": "cannot be nan"}),
        ({"told": math.inf}, {"told": "cannot be inf"}),
        ({"argument": 2e9}, {"argument": "cannot be 2e+09"}),
        ({"python": 0.0}, {"python": "cannot be nothing"}),
        ({"flag": 10.0}, {"flag": "is not below armed", "armed": "is not above flag"}),
        ({"thinned": 600.0}, {"thinned": "is not below recorded", "recorded": "is not above thinned"}),
    ],
)
def test_what_cannot_be_is_told(change, why):
    """A figure is nothing a clock can have measured, or stands in the wrong order to another."""
    assert why == cost.implausible(replace(ROUND, **change))


def test_an_implausible_figure_is_taken_from_the_other_table():
    """Only what cannot be is replaced; the rest stays as measured."""
    table, why = cost.mend(replace(ROUND, flag=-1.0), cost.shipped())

    assert replace(ROUND, flag=cost.shipped().flag) == table
    assert {"flag": "cannot be -1"} == why


def test_what_does_not_go_with_a_replaced_figure_is_replaced_too():
    """The mended table is sound as a whole."""
    slow = replace(cost.shipped(), armed=9000.0, root_no=9500.0, recorded=20_000.0, flag=8500.0)

    table, why = cost.mend(replace(slow, flag=-1.0, armed=1.0), cost.shipped())

    assert {} == cost.implausible(table)
    assert {"flag", "armed"} == set(why)


def test_the_digest_is_of_the_figures():
    """Where a table comes from does not matter, each figure and the interpreter do."""
    assert ROUND.digest() == replace(ROUND, source="elsewhere").digest()
    others = {replace(ROUND, **{name: getattr(ROUND, name) + 1}).digest() for name in cost.PRICES}
    others.add(replace(ROUND, interpreter="CPython 3.99").digest())
    assert len(cost.PRICES) + 1 == len(others - {ROUND.digest()})


def test_a_saved_table_is_loaded(tmp_path):
    """`load` finds what `save` wrote, whatever the directory had to be made of."""
    path = cost.save(ROUND, str(tmp_path / "new" / "cache"))

    assert str(tmp_path / "new" / "cache" / "costs" / f"{sys.implementation.cache_tag}.json") == path
    assert ROUND == cost.load(str(tmp_path / "new" / "cache"))


def test_saving_leaves_nothing_else(tmp_path):
    """A table replaces the one before it."""
    cost.save(ROUND, str(tmp_path))
    cost.save(replace(ROUND, step=201.0), str(tmp_path))

    assert [f"{sys.implementation.cache_tag}.json"] == [path.name for path in (tmp_path / "costs").iterdir()]
    assert 201.0 == cost.load(str(tmp_path)).step


def kept(**changes):
    """The text of a table's file with some of it changed."""
    from autoscope import __version__

    return json.dumps({"autoscope": __version__, **ROUND.to_dict(), **changes})


DAMAGED = {
    "empty": "",
    "cut off": kept()[:100],
    "a list": "[1]",
    "too deep": "[" * 100_000,
    "not text": b"\xff\xfe\x00",
    "far too long": " " * 200_000 + kept(),
    "another version": kept(autoscope="0.0.0"),
    "another interpreter": kept(interpreter="CPython 3.11.0 of somebody else"),
    "a figure missing": json.dumps({"autoscope": "0.1.0", "interpreter": "x", "source": "y"}),
    "not a number": kept(step="many"),
    "a number too large": kept().replace("200", "1" + "0" * 400),
    "negative": kept(step=-5),
    "NaN": kept(step=math.nan),
    "out of order": kept(recorded=5),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_table_is_none(content, tmp_path):
    """Whatever is in the file: the shipped figures hold, and nothing is raised."""
    (tmp_path / "costs").mkdir()
    (tmp_path / "costs" / f"{sys.implementation.cache_tag}.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )

    assert cost.shipped(sys.version_info[:2]) == cost.load(str(tmp_path))


@pytest.mark.parametrize("directory", [None, "/nowhere/at/all"])
def test_without_a_table_the_shipped_one_holds(directory):
    """No cache, or one without a table."""
    assert cost.shipped(sys.version_info[:2]) == cost.load(directory)


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    """One line, with the way out."""
    (tmp_path / "costs").write_text("in the way")

    with pytest.raises(AutoscopeError, match=r"^the cost table cannot be kept in .*: .*AUTOSCOPE_CACHE_DIR$"):
        cost.save(ROUND, str(tmp_path))


@pytest.mark.parametrize(
    "kind, asked, recorded",
    [
        ("function", {}, 1500),
        ("function", {"steps": 9.0}, 1500),
        ("function", {"arguments": 2}, 1500 + 4000 + 1400),
        ("function", {"result": True}, 1500 + 4000 + 800),
        ("function", {"state": True}, 1500 + 4000 + 5000),
        ("function", {"arguments": 1, "result": True, "state": True}, 1500 + 4000 + 700 + 800 + 5000),
        ("generator", {"steps": 11.0}, 1500 + 4000 + 2200),
        ("generator", {"steps": 11.0, "result": True}, 1500 + 4000 + 2200),
        ("async_generator", {"steps": 1.0}, 1500 + 4000 + 200),
        ("coroutine", {"steps": 1.0}, 1500),
        ("coroutine", {"steps": 3.0}, 1500 + 4000 + 600),
        ("coroutine", {"steps": 1.0, "result": True}, 1500 + 4000 + 800),
    ],
)
def test_the_price_of_a_recorded_call(kind, asked, recorded):
    """A span, its export, its steps, and what is captured; a span with more to say than its times costs more however little."""
    assert recorded == cost.price(ROUND, kind, **asked).recorded


@pytest.mark.parametrize(
    "shares, spent",
    [
        ({}, 1500),
        ({"traced": 0.5}, 0.5 * 1500 + 0.5 * 10),
        ({"traced": 0.0}, 1),
        ({"traced": 0.0, "rate": 0.5, "root": True}, 1),
        ({"root": True}, 1500 + 2000),
        ({"traced": 0.5, "root": True}, 0.5 * 3500 + 0.5 * 100),
        ({"rate": 0.25}, 0.25 * (1500 + 20) + 0.75 * 30),
        ({"traced": 0.5, "rate": 0.25}, 0.5 * (0.25 * 1520 + 0.75 * 30) + 0.5 * 30),
        (
            {"traced": 0.5, "rate": 0.25, "root": True},
            0.5 * (0.25 * 3520 + 0.75 * 30) + 0.5 * (0.25 * (100 + 20) + 0.75 * 30),
        ),
    ],
)
def test_what_calls_come_to(shares, spent):
    """Each share of the calls at its price, a thousand times what one comes to."""
    assert 1000 * spent == pytest.approx(cost.spent(cost.price(ROUND), 1000, **shares))


def test_a_suspended_root_that_is_not_recorded_pays_for_its_steps():
    """It must not be current in its consumer, recorded or not."""
    assert 100 + 11 * 200 == cost.price(ROUND, "generator", steps=11.0).root_no


@pytest.mark.parametrize("frames, spent", [(0, 0), (1, 12_000), (3, 18_000)])
def test_what_an_exception_comes_to(frames, spent):
    """Told once, then passed on; nothing where nothing is recorded."""
    assert spent == cost.raised(ROUND, frames)


def test_what_a_run_shows_of_cold_caches():
    """As much as handing over took more in it than one span after the other; nothing of few spans, and never less than those take."""
    table = cost.shipped()
    spans, traces, cpu = 10_000.0, 500.0, 2e9
    handed = spans * table.exported + traces * table.root
    spent = handed + spans * table.recorded
    assert cost.coldness(table, spans, traces, handed, cpu) == 1.0
    assert cost.coldness(table, spans, traces, handed / 2, cpu) == 1.0
    assert cost.coldness(table, 900, traces, 9 * handed, cpu) == 1.0
    cold = cost.coldness(table, spans, traces, 2 * handed, cpu)
    assert cost.among(table, spent, cpu, cold) == pytest.approx(2 * spent)
    assert cost.among(table, spent, cpu, 1.0) == cost.among(table, spent, cpu)
    assert cost.coldness(table, spans, traces, 1000 * handed, cpu) == cost.MOST_RATIO
