"""The users' rides are sound requests, the same ones each time."""

from __future__ import annotations

import msgspec
from loadtest.rides import POOL, ride_pool

from slipway.usecases.rides import Rides


def test_each_ride_is_what_predict_takes() -> None:
    rides = ride_pool()
    assert len(rides) == POOL
    decoded = msgspec.json.decode(msgspec.json.encode(rides), type=list[Rides().row_type()])  # type: ignore[misc]
    assert {type(ride.PULocationID) for ride in decoded} == {int, str}


def test_the_same_seed_gives_the_same_rides() -> None:
    assert ride_pool(1) == ride_pool(1) != ride_pool(2)
