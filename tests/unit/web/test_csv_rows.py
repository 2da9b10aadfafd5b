"""CSV on /invocations: the same rows as in JSON, and bad ones named."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.in_process import COLUMNS, by_columns, by_tensor

from slipway.errors import InvalidInput, Malformed, UnsupportedMedia
from slipway.usecases.rides import Ride, Rides
from slipway.web.csv_rows import csv_decoder
from slipway.web.decode import Decoded, predict_decoder

HEAD = "PULocationID,DOLocationID,trip_distance"
rides = csv_decoder(Rides(), 3)
columns = by_columns()
in_columns = csv_decoder(columns, 3)


def decoded(*lines: str) -> Decoded:
    return rides("\n".join(lines).encode())


@pytest.mark.parametrize(
    "lines",
    [
        (HEAD, "10,50,40", ""),
        (HEAD, "10,50,+4.0e1"),
        (HEAD, '"10","50","40"'),
        ("\ufeff" + HEAD, "10,50,40"),
        ("trip_distance,DOLocationID,PULocationID", "40.,50,10"),
        ("," + HEAD, "0,10,50,40"),
        (HEAD + "\r", "10,50,40\r", ""),
    ],
)
def test_a_ride_is_read_however_its_file_was_written(lines: tuple[str, ...]) -> None:
    found = decoded(*lines)
    assert (list(found.rows), found.single) == ([Ride("10", "50", 40.0)], False)
    assert found.place(0) == "/0"


def test_what_pandas_writes_with_and_without_its_index_is_read() -> None:
    frame = pd.DataFrame({"PULocationID": [10, 43], "DOLocationID": [50, 1], "trip_distance": 2.5})
    wanted = [Ride("10", "50", 2.5), Ride("43", "1", 2.5)]
    for index in (True, False):
        assert list(rides(frame.to_csv(index=index).encode()).rows) == wanted


@pytest.mark.parametrize(
    ("lines", "pointer", "said"),
    [
        ((HEAD,), "", "the body: must hold 1 to 3 rows"),
        ((HEAD, *["1,2,3"] * 4), "", "the body: must hold 1 to 3 rows"),
        ((HEAD, "1,2,3", "1,2"), "/1", "row 1: must have one value for each column"),
        ((HEAD, "1,2,3", "1,2,x"), "/1/trip_distance", "row 1: trip_distance: expected float"),
        ((HEAD, "1,2,nan"), "/0/trip_distance", "row 0: trip_distance: expected float"),
        ((HEAD, "1,2,-3"), "/0/trip_distance", "row 0: trip_distance: must be from 0"),
        ((HEAD, "1,2,1e400"), "/0/trip_distance", "row 0: trip_distance: must be from 0"),
        ((HEAD, "1,2," + "9" * 5000), "/0/trip_distance", "row 0: trip_distance: must be from 0"),
        ((HEAD, "1,,3"), "/0/DOLocationID", "row 0: DOLocationID: is missing"),
        (("PULocationID,trip_distance", "1,3"), "/0/DOLocationID", "row 0: DOLocationID: is miss"),
        ((HEAD + ",x", "1,2,3,4"), "/0/x", "row 0: x: the model's input has no such field"),
        ((HEAD + ",", "1,2,3,4"), "", "the first line: only the first column may have no name"),
        ((HEAD + ",trip_distance", "1,2,3,4"), "", "the first line names a column twice"),
    ],
)
def test_F17_a_bad_row_is_named(lines: tuple[str, ...], pointer: str, said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        decoded(*lines)
    assert (error.value.pointer, error.value.message[: len(said)]) == (pointer, said)
    assert type(error.value) is InvalidInput


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"\xff\xfe", b'a,b\n"1,2', b'a,b\n"1"2,3', b"a\n" + b"x" * 200_000]
)
def test_what_is_no_csv_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        rides(body)


def test_a_tensor_cannot_come_as_csv() -> None:
    with pytest.raises(UnsupportedMedia, match="send it as JSON"):
        csv_decoder(by_tensor(), 3)(b"a\n1\n")


cells = st.fixed_dictionaries(
    {
        "truth": st.booleans(),
        "small": st.integers(-(2**33), 2**33),
        "large": st.integers(-(2**64), 2**64),
        "single": st.floats(allow_nan=False, allow_infinity=False),
        "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
        "text": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        "time": st.datetimes().map(lambda time: time.isoformat()) | st.just("now"),
        "some large": st.none() | st.integers(-9, 9),
        "some.text[0]": st.none() | st.just("x"),
    }
)


@settings(max_examples=200)
@given(st.lists(cells, min_size=1, max_size=3))
def test_csv_gives_the_same_verdict_as_predict(rows: list[dict[str, Any]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, [field.name for field in COLUMNS])
    writer.writeheader()
    writer.writerows(rows)

    def outcome(decode: Any, body: bytes) -> Any:
        try:
            return list(decode(body).rows)
        except InvalidInput as error:
            return type(error)

    predict = predict_decoder(columns.row_type(), 3)
    wanted = outcome(predict, msgspec.json.encode({"instances": rows}))
    assert outcome(in_columns, file.getvalue().encode()) == wanted
