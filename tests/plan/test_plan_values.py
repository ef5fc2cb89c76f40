"""Shares, durations and globs as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscope.errors import PlanError
from autoscope.plan.values import (
    parse_budget,
    parse_duration,
    parse_function_glob,
    parse_module_glob,
    parse_rate,
    printable,
    shown,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0.0), ("1", 1.0), ("0.25", 0.25), (".5", 0.5), ("1.", 1.0), ("1e-3", 0.001), ("+0.5", 0.5)]
    + [("20%", 0.2), ("7%", 0.07), ("0.1%", 0.001), ("100 %", 1.0), (" 5% ", 0.05), ("1e1%", 0.1)],
)
def test_a_rate_is_a_share_or_a_percentage(text, expected):
    """A percentage is the very number its share would be."""
    assert parse_rate(text) == expected


@given(st.integers(min_value=0, max_value=10_000))
def test_percentages_are_exact(hundredths):
    """`7%` is 0.07, not 0.07000000000000001."""
    assert parse_rate(f"{hundredths // 100}.{hundredths % 100:02d}%") == float(f"{hundredths}e-4")


@pytest.mark.parametrize(("text", "expected"), [("3%", 0.03), ("0.03", 0.03), ("100%", 1.0), ("1", 1.0)])
def test_a_budget_is_written_as_a_rate_is(text, expected):
    """But is never nothing."""
    assert parse_budget(text) == expected


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("100ns", 100), ("50us", 50_000), ("50µs", 50_000), ("50μs", 50_000), ("250ms", 250 * 10**6), ("1s", 10**9)]
    + [("2m", 120 * 10**9), ("2min", 120 * 10**9), ("1h", 3600 * 10**9), ("1.5 ms", 1_500_000), ("0", 0), ("0s", 0)],
)
def test_a_duration_is_a_number_and_a_unit(text, nanoseconds):
    """Only nothing needs no unit."""
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_rate, "", "--x: `` is not a number; give a share from 0 to 1 such as 0.2, or a percentage such as 20%"),
        (parse_budget, "0%", "--x: a budget of nothing leaves nothing to watch with; "
         "give a percentage such as 3%, or a share such as 0.03, or do not turn autoscope on"),
        (parse_budget, "-1%", "--x: `-1%` is not between 0 and 1; give a percentage such as 3%, or a share such as 0.03"),
        (parse_duration, "1e999s", "--x: `1e999s` is longer than a century; "
         "give a number and a unit (ns, us, ms, s, m, h), such as 250ms"),
        (parse_duration, "0 parsecs", "--x: `parsecs` is not a unit of time; "
         "give a number and a unit (ns, us, ms, s, m, h), such as 250ms"),
    ],
)  # fmt: skip
def test_a_refusal_begins_with_the_name_it_is_given(parse, text, message):
    """An option and a variable are refused in the same words as a key of a file."""
    with pytest.raises(PlanError) as caught:
        parse(text, "--x")
    assert str(caught.value) == message


@pytest.mark.parametrize("glob", ["shop", "shop.*", "*", "shop.[a-c]?", "shop.[]]", "shop.[!]a]", "my-script", "café"])
def test_globs_are_kept_as_they_are(glob):
    """Whatever fnmatch understands, and names that are no identifiers."""
    assert parse_module_glob(glob) == glob


@pytest.mark.parametrize("glob", ["Cart.add", "Cart._*", "make.<locals>.inner", "*.<locals>.*", "<module>", "on"])
def test_functions_are_named_by_their_qualified_names(glob):
    """Nested ones, too."""
    assert parse_function_glob(glob) == glob


@pytest.mark.parametrize("glob", ["shop.[", "shop.[]", "shop.[!]", "shop.[z-a]", "a b", "a,b", "a:b", "", "a..b", "a."])
def test_globs_that_cannot_match_are_refused(glob):
    """Rather than matching nothing in silence."""
    for parse in (parse_module_glob, parse_function_glob):
        with pytest.raises(PlanError):
            parse(glob)


@given(st.text())
def test_what_is_shown_stays_on_one_line(text):
    """And is of bounded length."""
    assert printable(text).isprintable()
    assert len(shown(text)) <= 62 * 10
    assert printable("café 日本") == "café 日本"
