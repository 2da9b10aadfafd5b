"""Rides: one spelling for a zone, and what a request may hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.usecases.rides import MAX_ZONE_ID, Ride, Rides, pair_key, zone_key


@pytest.mark.parametrize("written", [10, 10.0, "10", "10.0", " 10 ", "010"])
def test_R48_every_spelling_of_a_zone_gives_the_same_key(written: float | str) -> None:
    assert zone_key(written) == "10"
    assert pair_key(written, 50) == "10_50"


@given(st.integers(0, MAX_ZONE_ID))
def test_R48_a_whole_number_has_one_key_however_it_is_written(zone: int) -> None:
    assert zone_key(zone) == zone_key(float(zone)) == zone_key(str(zone)) == str(zone)


@pytest.mark.parametrize(
    "zone", [-1, 10.5, float("nan"), float("inf"), MAX_ZONE_ID + 2, 10**400, "", "  ", "x" * 65]
)
def test_what_cannot_be_a_zone_is_refused(zone: float | str) -> None:
    with pytest.raises(ValueError, match="zone"):
        zone_key(zone)


def test_a_text_that_is_no_number_is_a_zone_of_its_own() -> None:
    assert zone_key("Zürich") == "Zürich"
    assert zone_key("10.5") == "10.5"


@given(st.one_of(st.integers(), st.floats(), st.text()))
def test_a_key_is_its_own_key(zone: float | str) -> None:
    try:
        key = zone_key(zone)
    except ValueError:
        return
    assert zone_key(key) == key


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ('{"PULocationID": 10.5, "DOLocationID": 50, "trip_distance": 1}', "PULocationID"),
        ('{"PULocationID": 10, "DOLocationID": -1, "trip_distance": 1}', "DOLocationID"),
        ('{"PULocationID": 10, "DOLocationID": 50, "trip_distance": -0.1}', "trip_distance"),
        ('{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 1e308}', "trip_distance"),
        ('{"PULocationID": true, "DOLocationID": 50, "trip_distance": 1}', "PULocationID"),
        ('{"PULocationID": 10, "DOLocationID": 50, "trip_distance": "4.0"}', "trip_distance"),
        ('{"PULocationID": 10, "DOLocationID": 50}', "trip_distance"),
        ('{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 1, "tip": 2}', "tip"),
    ],
)
def test_a_wrong_field_is_named(document: str, field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.json.decode(document, type=Ride)


def test_features_are_the_pair_and_the_distance() -> None:
    rides = [Ride(10, "50", 40), Ride(10.0, 50, 1.5)]
    assert Rides().features(rides) == [
        {"PU_DO": "10_50", "trip_distance": 40.0},
        {"PU_DO": "10_50", "trip_distance": 1.5},
    ]
