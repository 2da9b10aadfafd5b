"""Rides in columns: types as they come, and every row either scored or counted under a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import InputDataInvalid
from slipway.usecases.ride_columns import REASONS, Rides, find_columns, read_rides
from slipway.usecases.rides import Ride
from slipway.usecases.rides import Rides as RidesCase

START = datetime(2021, 3, 1, 12, 0, 0)
GOOD: dict[str, Any] = {
    "lpep_pickup_datetime": START,
    "lpep_dropoff_datetime": START + timedelta(minutes=10),
    "PULocationID": 10,
    "DOLocationID": 50,
    "trip_distance": 4.0,
}


def read(rows: list[dict[str, Any]], types: dict[str, pa.DataType] | None = None) -> Rides:
    columns = {
        name: pa.array([row[name] for row in rows], (types or {}).get(name)) for name in GOOD
    }
    batch = pa.RecordBatch.from_pydict(columns)
    return read_rides(batch, find_columns(batch.schema.names, "duration"))


ZONE_TYPES = [
    pa.int32(),
    pa.int64(),
    pa.uint16(),
    pa.float64(),
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int32(), pa.int64()),
]


@pytest.mark.parametrize("kind", ZONE_TYPES, ids=str)
def test_R48_a_zones_key_does_not_hang_on_the_columns_type(kind: pa.DataType) -> None:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    rows = [GOOD | {"PULocationID": "10" if text else 10}, GOOD | {"PULocationID": None}]
    rides = read(rows, {"PULocationID": kind})
    assert rides.pairs.tolist() == ["10_50"]
    assert rides.dropped["zone_missing"] == 1


def test_R48_a_column_that_missing_ids_made_float_keeps_its_keys() -> None:
    rides = read([GOOD | {"PULocationID": value} for value in (10.0, float("nan"), 43.0)])
    assert rides.pairs.tolist() == ["10_50", "43_50"]
    assert rides.positions.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"DOLocationID": None}, "zone_missing"),
        ({"DOLocationID": -3}, "zone_invalid"),
        ({"trip_distance": None}, "distance_missing"),
        ({"trip_distance": -1.0}, "distance_out_of_range"),
        ({"trip_distance": 1e6}, "distance_out_of_range"),
        ({"trip_distance": float("inf")}, "distance_out_of_range"),
        ({"lpep_dropoff_datetime": None}, "time_missing"),
        ({"lpep_dropoff_datetime": START - timedelta(hours=1)}, "dropoff_before_pickup"),
        ({"lpep_dropoff_datetime": START + timedelta(seconds=59)}, "duration_under_1_minute"),
        ({"lpep_dropoff_datetime": START + timedelta(minutes=61)}, "duration_over_60_minutes"),
    ],
)
def test_R31_a_row_that_cannot_be_scored_is_counted_under_its_reason(
    change: dict[str, Any], reason: str
) -> None:
    rides = read([GOOD, GOOD | change, GOOD])
    assert {name: count for name, count in rides.dropped.items() if count} == {reason: 1}
    assert rides.positions.tolist() == [0, 2]


def test_R31_the_bounds_themselves_are_kept() -> None:
    ends = [START + timedelta(minutes=1), START + timedelta(minutes=60)]
    rides = read([GOOD | {"lpep_dropoff_datetime": end} for end in ends])
    assert rides.actual.tolist() == [1.0, 60.0]


ROW = st.fixed_dictionaries(
    {
        "lpep_pickup_datetime": st.just(START),
        "lpep_dropoff_datetime": st.none()
        | st.integers(-90, 90).map(lambda minutes: START + timedelta(minutes=minutes)),
        "PULocationID": st.none() | st.floats() | st.integers(0, 265).map(float),
        "DOLocationID": st.none() | st.integers(0, 265).map(float),
        "trip_distance": st.none() | st.floats(),
    }
)


@settings(max_examples=150)
@given(st.lists(ROW, min_size=1, max_size=20))
def test_rows_in_are_rows_scored_and_rows_left_out(rows: list[dict[str, Any]]) -> None:
    rides = read(
        rows,
        {name: pa.float64() for name in ("PULocationID", "DOLocationID", "trip_distance")}
        | {"lpep_dropoff_datetime": pa.timestamp("us")},
    )
    assert len(rides.positions) + sum(rides.dropped.values()) == len(rows)
    assert set(rides.dropped) == set(REASONS)


@given(st.integers(0, 265), st.integers(0, 265), st.floats(0, 10_000))
def test_R47_batch_and_web_make_the_same_features(pickup: int, dropoff: int, miles: float) -> None:
    row = {"PULocationID": pickup, "DOLocationID": dropoff, "trip_distance": miles}
    assert read([GOOD | row]).features() == RidesCase().features([Ride(**row)])


def test_E3_a_missing_column_is_named() -> None:
    with pytest.raises(InputDataInvalid, match="trip_distance"):
        find_columns([name for name in GOOD if name != "trip_distance"], "duration")
    with pytest.raises(InputDataInvalid, match="tip_amount"):
        find_columns(list(GOOD), "tip")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trip_distance", "long ago"),
        ("trip_distance", True),
        ("trip_distance", START),
        ("lpep_pickup_datetime", "long ago"),
        ("lpep_pickup_datetime", 1_614_600_000),
        ("PULocationID", {"zone": 1}),
    ],
    ids=str,
)
def test_E3_a_column_of_the_wrong_type_is_named(name: str, value: Any) -> None:
    with pytest.raises(InputDataInvalid, match=name):
        read([GOOD | {name: value}])


def test_names_are_found_in_any_case_and_order() -> None:
    names = ["airport_fee", "TRIP_DISTANCE", "DOlocationID", "PUlocationID"]
    names += ["tpep_dropoff_datetime", "Tpep_pickup_datetime"]
    found = find_columns(names, "duration")
    assert (found.pickup_zone, found.dropoff_zone) == ("PUlocationID", "DOlocationID")
    assert (found.pickup_time, found.distance) == ("Tpep_pickup_datetime", "TRIP_DISTANCE")


def test_E3_a_column_that_is_there_twice_is_named_and_an_exact_name_wins() -> None:
    with pytest.raises(InputDataInvalid, match="trip_distance more than once"):
        find_columns([*GOOD, "trip_distance"], "duration")
    assert find_columns(["Trip_Distance", *GOOD], "duration").distance == "trip_distance"


def test_a_column_without_values_is_missing_in_every_row() -> None:
    for name, reason in (("PULocationID", "zone_missing"), ("trip_distance", "distance_missing")):
        rides = read([GOOD | {name: None}] * 3, {name: pa.null()})
        assert rides.dropped[reason] == 3
