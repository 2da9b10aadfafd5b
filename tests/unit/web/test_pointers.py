"""From what msgspec says to a sentence and a place, whatever columns are called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.usecases.protocol import InputField
from slipway.usecases.rides import Ride
from slipway.usecases.tabular import Tabular
from slipway.web.decode import field_names
from slipway.web.pointers import MAX_NAME, explain, invalid, pointer

# Names that look like a part of what msgspec writes.
HARD_NAMES = [
    "a.b",
    "a",
    "a.b[0]",
    "0",
    "a: b",
    "a[",
    "~",
    "/",
    " - at `",
    " - at `$.a",
    "§",
    "$",
    "row 1",
]


def resolve(document: Any, place: str) -> Any:
    """What a JSON pointer leads to (RFC 6901, 4)."""
    for token in place.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def failing(row_type: Any, document: Any) -> msgspec.ValidationError:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(json.dumps(document), type=row_type)
    return error.value


def explained(row_type: Any, document: Any, names: Sequence[str] = ()) -> tuple[str, str]:
    sentence, tokens = explain(failing(row_type, document), names or field_names(row_type))
    return sentence, pointer(tokens)


def columns(names: Sequence[str]) -> Any:
    return Tabular([InputField(name, "double") for name in names]).row_type()


@given(st.dictionaries(st.text(), st.integers(), min_size=1))
def test_a_pointer_leads_where_its_tokens_say(document: dict[str, int]) -> None:
    for name, value in document.items():
        assert resolve({"outer": [document]}, pointer(("outer", "0", name))) == value


@pytest.mark.parametrize(
    ("kind", "document", "said", "place"),
    [
        (Ride, [], "the body: expected object, got array", ""),
        (list[Ride], [[]], "row 0: expected object, got array", "/0"),
        (list[list[float]], [[], [1, ""]], "row 1: expected float, got str", "/1/1"),
        (list[list[list[int]]], [[], [[1, ""]]], "row 1: expected int, got str", "/1/0/1"),
        (dict[str, list[int]], {"x": 1}, "the body: expected array, got int", ""),
        (columns(["0"]), {"0": ""}, "0: expected float, got str", "/0"),
        (columns(["a: b"]), {"a: b": ""}, "a: b: expected float, got str", "/a: b"),
    ],
)
def test_a_sentence_begins_with_what_it_speaks_of(
    kind: Any, document: Any, said: str, place: str
) -> None:
    assert explained(kind, document) == (said, place)


def test_a_rows_own_check_is_told_of_the_field_that_it_names() -> None:
    times: Any = Tabular([InputField("a", "double"), InputField("a: b", "datetime")]).row_type()
    sentence, place = explained(
        list[times], [{"a": 1, "a: b": "0001-01-01T00:00:00"}], ["a", "a: b"]
    )
    assert (sentence, place) == ("a: b: the year must be from 1678 to 2261", "/0/a: b")


def test_what_was_decoded_may_stand_inside_of_the_body() -> None:
    error = invalid(failing(list[Ride], [{}]), field_names(Ride), ("dataframe_records",))
    assert error.pointer == "/dataframe_records/0/PULocationID"


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(HARD_NAMES)
        | st.text(
            st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='`\\"'), min_size=1
        )
    )
    .map(lambda given: list(dict.fromkeys(given)))
    .filter(bool),
    st.data(),
)
def test_the_pointer_leads_to_the_bad_value_whatever_the_columns_are_called(
    names: list[str], data: st.DataObject
) -> None:
    bad = data.draw(st.sampled_from(names))
    good = dict.fromkeys(names, 1.0)
    document = {"instances": [good, good | {bad: "bad"}]}
    row_type: Any = columns(names)
    kind = msgspec.defstruct("Body", [("instances", list[row_type])])
    sentence, place = explained(kind, document, names)
    assert resolve(document, place) == "bad"
    assert sentence == f"{bad}: expected float, got str"


def test_a_field_that_is_unknown_is_named_if_it_may_be_a_typing_error() -> None:
    ride = {"PULocationID": 1, "DOLocationID": 2, "trip_distance": 3}
    for name in ("trip_distnace", "x" * MAX_NAME, "größe", "a.b[0]"):
        said = f"{name}: the model's input has no such field"
        assert explained(Ride, ride | {name: 1}) == (said, f"/{name}")
        assert explained(list[Ride], [ride | {name: 1}], field_names(Ride))[1] == f"/0/{name}"


@pytest.mark.parametrize(
    "name", ["x" * (MAX_NAME + 1), "line\nbreak", "\x1b[31m", "\u202e", "\x00"]
)
def test_a_made_up_name_that_is_long_or_unprintable_is_not_repeated(name: str) -> None:
    ride = {"PULocationID": 1, "DOLocationID": 2, "trip_distance": 3}
    for hostile in (name, name + "` - at `$.instances[0]", name + " - at `$.x", name + " - at `"):
        sentence, place = explained(Ride, ride | {hostile: 1})
        assert sentence == "there is a field that the model's input does not have"
        assert place in ("", "/instances/0")


@settings(deadline=None)
@given(st.text())
def test_whatever_a_made_up_name_holds_the_answer_stays_short(name: str) -> None:
    ride = {"PULocationID": 1, "DOLocationID": 2, "trip_distance": 3}
    sentence, place = explained(Ride, ride | {name + " - at `$" + name: 1})
    assert len(sentence) + len(place) < 4 * MAX_NAME


def test_a_value_of_a_closed_set_is_not_quoted() -> None:
    said = "colour: is none of the values that are allowed"
    kind = msgspec.defstruct("Row", [("colour", Literal["green", "yellow"])])
    assert explained(kind, {"colour": "a user's own"}) == (said, "/colour")
