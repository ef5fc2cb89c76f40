"""What was captured of a call, written as JSON by two ways that have to agree."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscope.export.plainjson import captured_json, to_json
from autoscope.runtime import capture
from autoscope.runtime.sites import new_site
from autoscope.runtime.spans import attributes_of

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=300),
    st.lists(st.text(max_size=3), max_size=3),
)


def site(count):
    return new_site("app", "f", "/app.py", 1, "function", "", tuple(f"p{number}" for number in range(count)), False)


@given(st.lists(VALUES, max_size=6), st.none() | st.tuples(VALUES))
def test_what_was_captured_is_written_as_anything_else(values, result):
    """The quick way of captured calls and the careful one for all else: the same text, and the same attributes when it is read again."""
    place = site(len(values))
    captured = capture.arguments(place, tuple(values)) if values else None
    if result is not None:
        captured = capture.add_result(place, captured, *result)
    if captured is None:
        return
    details = capture.details_of(captured)
    names = [*(f"autoscope.arg.p{number}" for number in range(len(values))), *(["autoscope.return"] if result else [])]
    shown = [capture.render(value) for value in [*values, *(result or ())]]
    assert (list(details[0]), repr(list(details[1:]))) == (names, repr(shown))
    only_text = {*map(type, details[1:])} == {str}
    assert captured_json(details) == (to_json(attributes_of(details)), only_text)


def test_names_stay_with_their_values_when_what_is_captured_changes():
    """While a call runs, its function may be told to capture other parameters, or none; and woven code may hand over fewer than there are."""
    place = site(3)
    begun = capture.arguments(place, (1, 2, 3))
    place.parameters, place.keys = ("q",), None
    named = dict(zip(("autoscope.arg.p0", "autoscope.arg.p1", "autoscope.arg.p2"), (1, 2, 3), strict=True))
    assert attributes_of(capture.details_of(capture.add_result(place, begun, 4))) == named | {"autoscope.return": 4}
    assert attributes_of(capture.details_of(capture.arguments(place, (1, 2)))) == {"autoscope.arg.q": 1}
    place.parameters, place.keys = ("q", "r"), None
    fewer = capture.arguments(place, (1,))
    assert attributes_of(capture.details_of(list(fewer))) == {"autoscope.arg.q": 1}
    assert attributes_of(capture.details_of(capture.add_result(place, fewer, 2))) == {
        "autoscope.arg.q": 1,
        "autoscope.return": 2,
    }
    capture.hide(place)
    assert capture.details_of(capture.arguments(place, (1,))) is None
