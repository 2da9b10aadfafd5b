"""Taxi rides: the only file that knows a ride's columns.

The model takes `{"PU_DO": "10_50", "trip_distance": 40.0}`: the pair of zones as one category
and the distance in miles. Web, batch and stream all come through `pair_key` and `zone_key`, so
one ride has one prediction however its ids are written: 10, 10.0 and "10" are the same zone.

Models from the course's homework take the two zones apart in place of the pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from slipway.errors import ModelFailed
from slipway.usecases.protocol import NUMBER, TEXT, InputField

# Miles. Longer "rides" in the TLC's files are errors of the meter, and a bound is what keeps a
# valid number from becoming an infinite prediction.
MAX_DISTANCE = 10_000.0
MAX_ZONE_LENGTH = 64
# Doubles hold every integer up to here exactly: beyond, two ids would become one key.
MAX_ZONE_ID = 2**53

PICKUP_ZONE = "PULocationID"
DROPOFF_ZONE = "DOLocationID"
DISTANCE = "trip_distance"
PAIR = "PU_DO"

INPUTS: tuple[InputField, ...] = (
    InputField(PICKUP_ZONE, "zone"),
    InputField(DROPOFF_ZONE, "zone"),
    InputField(DISTANCE, "double"),
)


def zone_key(zone: float | str) -> str:
    """The one spelling of a zone's id: `10`, `10.0`, `"10"` and `"10.0"` give `"10"`.

    Raises ValueError for what cannot be an id: a fraction, a negative number, NaN or infinity,
    an empty or over-long text.
    """
    # Most are such, and each ride's are asked for twice.
    if type(zone) is int and 0 <= zone <= MAX_ZONE_ID:
        return str(zone)
    if isinstance(zone, str):
        text = zone.strip()
        if not text or len(zone) > MAX_ZONE_LENGTH:
            raise ValueError(f"a zone's text must have 1 to {MAX_ZONE_LENGTH} characters")
        whole, _, fraction = text.partition(".")
        digits = whole.isascii() and whole.isdigit()
        if digits and not fraction.strip("0"):
            return str(int(whole))
        return text
    # The range first: an integer of 400 digits cannot be compared in any other way.
    if not 0 <= zone <= MAX_ZONE_ID or zone != int(zone):
        raise ValueError("a zone's number must be a whole one from 0 up")
    return str(int(zone))


def pair_key(pickup: float | str, dropoff: float | str) -> str:
    """The category that the model learns from: both zones' keys, joined by an underscore."""
    return pair_of_keys(zone_key(pickup), zone_key(dropoff))


def pair_of_keys(pickup: str, dropoff: str) -> str:
    """The category of two zones whose keys are known already."""
    return f"{pickup}_{dropoff}"


_WHOLE = {"minimum": 0, "maximum": MAX_ZONE_ID, "multipleOf": 1}
# What `strip` leaves something of: it and JSON Schema's `\s` differ in these characters.
_PATTERN = r"[^\s\u001c-\u001f\u0085]|\ufeff"
_TEXT = {"minLength": 1, "maxLength": MAX_ZONE_LENGTH, "pattern": _PATTERN}

# The schemas say what `__post_init__` checks, for documents that are made from the type.
Zone = (
    Annotated[int, Meta(extra_json_schema=_WHOLE)]
    | Annotated[float, Meta(extra_json_schema=_WHOLE)]
    | Annotated[str, Meta(extra_json_schema=_TEXT)]
)


class Ride(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ride; the names are the TLC's column names. Zones are ids, as number or text."""

    PULocationID: Zone
    DOLocationID: Zone
    trip_distance: Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_DISTANCE})]

    def __post_init__(self) -> None:
        """Check what types alone cannot say."""
        name = PICKUP_ZONE
        try:
            zone_key(self.PULocationID)
            name = DROPOFF_ZONE
            zone_key(self.DOLocationID)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if not 0 <= self.trip_distance <= MAX_DISTANCE:
            raise ValueError(f"{DISTANCE}: must be from 0 to {MAX_DISTANCE:.0f} miles")


class Rides:
    """The use case `rides`; `answer` is `duration` (minutes) or `tip` (dollars).

    `apart` is for models that take the zones as two categories and not as a pair.
    """

    name = "rides"
    inputs = INPUTS

    def __init__(self, answer: str = "duration", *, apart: bool = False) -> None:
        self.answer = answer
        self.apart = apart

    def row_type(self) -> type[Ride]:
        """The request's schema."""
        return Ride

    def features(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Rides -> what the pipeline's DictVectorizer takes, one dict a ride."""
        if self.apart:
            return [
                zone_features(
                    zone_key(ride.PULocationID), zone_key(ride.DOLocationID), ride.trip_distance
                )
                for ride in rows
            ]
        return [
            ride_features(pair_key(ride.PULocationID, ride.DOLocationID), ride.trip_distance)
            for ride in rows
        ]

    def kinds(self) -> dict[str, str]:
        """The features by name."""
        if self.apart:
            return {PICKUP_ZONE: TEXT, DROPOFF_ZONE: TEXT, DISTANCE: NUMBER}
        return {PAIR: TEXT, DISTANCE: NUMBER}

    def named(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """What `features` gives: it has names already."""
        return self.features(rows)


def ride_features(pair: str, distance: float) -> dict[str, Any]:
    """One ride's features: the pair's category and the distance in miles."""
    return {PAIR: pair, DISTANCE: float(distance)}


def zone_features(pickup: str, dropoff: str, distance: float) -> dict[str, Any]:
    """One ride's features for a model that takes its zones apart."""
    return {PICKUP_ZONE: pickup, DROPOFF_ZONE: dropoff, DISTANCE: float(distance)}


def takes_zones_apart(features: Sequence[str]) -> bool:
    """Whether a DictVectorizer with these `feature_names_` was fitted on zones, not on pairs.

    Raises ModelFailed where it knows neither: it would pass over all of a ride in silence.
    """
    names = {feature.partition("=")[0] for feature in features}
    if PAIR not in names and not names & {PICKUP_ZONE, DROPOFF_ZONE}:
        raise ModelFailed(
            f"the model's vectoriser knows neither {PAIR} nor {PICKUP_ZONE}, so it is none of rides"
        )
    return PAIR not in names
