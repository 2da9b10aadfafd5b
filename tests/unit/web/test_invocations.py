"""MLflow's scoring protocol: four forms of the same rows, judged as strictly as on /predict."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.in_process import RIDE, by_columns, by_tensor

from slipway.errors import InvalidInput
from slipway.usecases.rides import Ride
from slipway.web.decode import Decode, Decoded, predict_decoder
from slipway.web.invocations import MEMBERS, invocations_decoder

NAMES = list(RIDE)
VALUES = list(RIDE.values())
rides = invocations_decoder(Ride, 3)
tensors = invocations_decoder(by_tensor().row_type(), 3)
COLUMNS_ROW = by_columns().row_type()
in_columns = invocations_decoder(COLUMNS_ROW, 3)


def decoded(decode: Decode, document: Any) -> Decoded:
    return decode(json.dumps(document).encode())


def refused(document: Any, decode: Decode = rides) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        decoded(decode, document)
    return error.value


def split(*rows: Any, columns: Any = NAMES) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": list(rows)}}


def forms(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, all with the same columns, in every form that MLflow's clients send."""
    columns = list(rows[0])
    return [
        split(*([row[name] for name in columns] for row in rows), columns=columns),
        {"dataframe_records": rows},
        {"instances": rows},
        {"inputs": rows},
        {"inputs": {name: [row[name] for row in rows] for name in columns}},
    ]


@pytest.mark.parametrize("form", range(5))
def test_every_form_gives_the_same_rows(form: int) -> None:
    found = decoded(rides, forms([RIDE, RIDE | {"PULocationID": "43"}])[form])
    assert (list(found.rows), found.single) == ([Ride(10, 50, 40.0), Ride("43", 50, 40.0)], False)


@pytest.mark.parametrize(
    ("form", "place"),
    [
        (0, "/dataframe_split/data/1"),
        (1, "/dataframe_records/1"),
        (2, "/instances/1"),
        (3, "/inputs/1"),
        (4, "/inputs"),
    ],
)
def test_a_row_has_a_place_in_every_form(form: int, place: str) -> None:
    """A row of columns is spread over all of them."""
    assert decoded(rides, forms([RIDE, RIDE])[form]).place(1) == place


@pytest.mark.parametrize("member", ["instances", "inputs"])
def test_a_tensors_rows_are_lists(member: str) -> None:
    row = [[1, 2, 3], [4, 5, 6]]
    assert decoded(tensors, {member: [row, row]}).rows == [row, row]
    assert refused({member: [row, [[1, 2, 3], [4, 5, ""]]]}, tensors).pointer == f"/{member}/1/1/2"


def test_the_order_of_columns_is_the_senders_own() -> None:
    found = decoded(rides, split(VALUES[::-1], columns=NAMES[::-1]))
    assert list(found.rows) == [Ride(10, 50, 40.0)]


def test_what_mlflows_clients_send_besides_is_no_fault() -> None:
    """pandas writes an index; mlflow's own client may send empty params."""
    document = split(VALUES)
    document["dataframe_split"]["index"] = [0]
    assert decoded(rides, document).rows
    assert decoded(rides, {"inputs": [RIDE], "params": {}}).rows
    assert decoded(rides, {"inputs": [RIDE], "params": None}).rows


@pytest.mark.parametrize(
    "document",
    [
        {},
        RIDE,
        [RIDE],
        [],
        None,
        {"params": {}},
        {"instance": [RIDE]},
        {"instances": [RIDE], "inputs": [RIDE]},
        {"instances": [RIDE], "trip_distance": 1},
    ],
)
def test_the_body_must_be_one_of_the_four_forms_and_is_told_which(document: Any) -> None:
    """Who sends a bare ride must not be told that the model has no such field."""
    error = refused(document)
    assert error.pointer == ""
    assert all(member in error.message for member in MEMBERS)


BAD = RIDE | {"trip_distance": "4.0"}


@pytest.mark.parametrize(
    ("document", "pointer", "said"),
    [
        ({"inputs": [RIDE], "params": {"a": 1}}, "/params", "params: this service takes none"),
        ({"inputs": [RIDE], "params": 1}, "/params", "params: expected object"),
        ({"dataframe_split": []}, "/dataframe_split", "dataframe_split: expected object"),
        ({"dataframe_split": {"data": []}}, "/dataframe_split/columns", "columns: is missing"),
        ({"dataframe_split": None}, "/dataframe_split", "dataframe_split: expected object"),
        (split(), "/dataframe_split/data", "data: must hold 1 to 3 rows"),
        (split(*[VALUES] * 4), "/dataframe_split/data", "data: must hold 1 to 3 rows"),
        (split(VALUES, 7), "/dataframe_split/data/1", "row 1: expected array"),
        (split(VALUES, [1, 2]), "/dataframe_split/data/1", "row 1: must have one value"),
        (split([10, 50, "4"]), "/dataframe_split/data/0/2", "trip_distance: expected float"),
        (split([1, 2], columns=NAMES[:2]), "/dataframe_split/columns", "trip_distance: is missing"),
        (split([*VALUES, 1], columns=[*NAMES, "x"]), "/dataframe_split/data/0/3", "x: the model"),
        (split([*VALUES, 1], columns=[*NAMES, NAMES[0]]), "/dataframe_split/columns", "columns: "),
        ({"dataframe_records": []}, "/dataframe_records", "dataframe_records: must hold"),
        ({"dataframe_records": [RIDE, BAD]}, "/dataframe_records/1/trip_distance", "trip_distance"),
        ({"instances": RIDE}, "/instances", "the body: expected array"),
        ({"instances": [RIDE] * 4}, "/instances", "instances: must hold 1 to 3 rows"),
        ({"inputs": {}}, "/inputs", "inputs: must hold 1 to 3 rows"),
        ({"inputs": {"x": 1}}, "/inputs", "inputs: must hold one list for each column"),
        ({"inputs": {"x": [1], "y": []}}, "/inputs", "inputs: all columns must have the same"),
        ({"inputs": {"x": [1]}}, "/inputs/x/0", "x: the model's input has no such field"),
        ({"inputs": {"PULocationID": [1]}}, "/inputs", "DOLocationID: is missing"),
        (forms([RIDE, BAD])[4], "/inputs/trip_distance/1", "trip_distance: expected float"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(document: Any, pointer: str, said: str) -> None:
    error = refused(document)
    assert (error.pointer, error.message[: len(said)]) == (pointer, said)


cells = st.fixed_dictionaries(
    {
        "truth": st.booleans() | st.just(1),
        "small": st.integers(-(2**33), 2**33) | st.sampled_from([1.0, 1.5, True, "1", None]),
        "large": st.integers(),
        "single": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.just("1"),
        "text": st.text() | st.none(),
        "time": st.datetimes().map(lambda time: time.isoformat()) | st.sampled_from(["", 0, "1Z"]),
        "some large": st.integers(-(2**63), 2**63 - 1),
    }
)


def outcome(decode: Decode, document: Any) -> Any:
    try:
        return decoded(decode, document).rows
    except InvalidInput as error:
        # Of several faults each decoder tells the one that it met first.
        return type(error)


@settings(deadline=None, max_examples=200)
@given(st.lists(cells, min_size=1, max_size=3))
def test_every_form_gives_the_same_verdict_as_predict(rows: list[dict[str, Any]]) -> None:
    """Two decoders are at work, of JSON and of plain values: they must be of one mind."""
    wanted = outcome(predict_decoder(COLUMNS_ROW, 3), {"instances": rows})
    assert [outcome(in_columns, form) for form in forms(rows)] == [wanted] * 5
