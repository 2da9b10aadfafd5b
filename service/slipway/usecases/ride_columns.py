"""Rides in columns: the batch's half of the use case. Pure, vectorised over a record batch.

Zones pass through the same `zone_key` as a web request's, once for each distinct value, so a
column that missing ids have made float gives `"10"` and not `"10.0"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slipway.errors import InputDataInvalid
from slipway.usecases.rides import (
    DISTANCE,
    DROPOFF_ZONE,
    MAX_DISTANCE,
    PAIR,
    PICKUP_ZONE,
    pair_of_keys,
    ride_features,
    zone_features,
    zone_key,
)

MIN_MINUTES, MAX_MINUTES = 1.0, 60.0
MICROSECONDS_A_MINUTE = 60e6
TIP = "tip_amount"
TIME_PREFIXES = ("lpep", "tpep")

# Why a ride is left out, in the order in which it is asked: a ride counts under the first.
REASONS = (
    "zone_missing",
    "zone_invalid",
    "distance_missing",
    "distance_out_of_range",
    "time_missing",
    "dropoff_before_pickup",
    "duration_under_1_minute",
    "duration_over_60_minutes",
    "tip_missing",
)

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """The names that a file uses for what is needed of it."""

    pickup_time: str
    dropoff_time: str
    pickup_zone: str
    dropoff_zone: str
    distance: str
    actual: str | None

    @property
    def names(self) -> list[str]:
        """All columns to read."""
        wanted = [
            *(self.pickup_time, self.dropoff_time),
            *(self.pickup_zone, self.dropoff_zone, self.distance),
        ]
        return [*wanted, self.actual] if self.actual else wanted


@dataclass(frozen=True)
class Rides:
    """The rides of a batch that can be scored; all arrays have one entry a ride.

    `positions` are places within the batch; `actual` is in minutes or dollars. `reasons` has an
    entry for each row of the batch: its place in REASONS, or -1 for a ride that can be scored.
    """

    positions: npt.NDArray[np.int64]
    pickup_times: pa.Array
    pickup_zones: pa.Array
    dropoff_zones: pa.Array
    # The place of each ride's pair of zones among the distinct ones, and these.
    pair_places: npt.NDArray[np.int64]
    pair_names: list[str]
    distances: Floats
    actual: Floats
    reasons: npt.NDArray[np.int8]

    @property
    def dropped(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        counts = np.bincount(self.reasons[self.reasons >= 0], minlength=len(REASONS))
        return dict(zip(REASONS, counts.tolist(), strict=True))

    @property
    def pairs(self) -> npt.NDArray[np.object_]:
        """Each ride's pair of zones."""
        return np.array(self.pair_names, dtype=object)[self.pair_places]

    def columns(self, *, apart: bool = False) -> tuple[dict[str, Any], dict[str, Floats]]:
        """The features by column: categories as (places, distinct values), and numbers."""
        categories: dict[str, Any] = {PAIR: (self.pair_places, self.pair_names)}
        if apart:
            ends = {PICKUP_ZONE: self.pickup_zones, DROPOFF_ZONE: self.dropoff_zones}
            categories = {
                name: (zones.indices.to_numpy(), zones.dictionary.to_pylist())
                for name, zones in ends.items()
            }
        return categories, {DISTANCE: self.distances}

    def between(self, start: int, stop: int) -> Rides:
        """The rides from one place to another, without the latter."""
        return replace(
            self,
            positions=self.positions[start:stop],
            pickup_times=self.pickup_times[start:stop],
            pickup_zones=self.pickup_zones[start:stop],
            dropoff_zones=self.dropoff_zones[start:stop],
            pair_places=self.pair_places[start:stop],
            distances=self.distances[start:stop],
            actual=self.actual[start:stop],
        )

    def features(self, *, apart: bool = False) -> list[dict[str, Any]]:
        """What the pipeline takes, one dict a ride; `apart` for models that take zones apart."""
        distances = self.distances.tolist()
        if apart:
            ends = zip(self.pickup_zones.to_pylist(), self.dropoff_zones.to_pylist(), strict=True)
            return [
                zone_features(pickup, dropoff, distance)
                for (pickup, dropoff), distance in zip(ends, distances, strict=True)
            ]
        rides = zip(self.pairs.tolist(), distances, strict=True)
        return [ride_features(pair, distance) for pair, distance in rides]


def find_columns(names: Sequence[str], answer: str) -> Columns:
    """The columns of a file with these names, in any order and in any case of their letters.

    The TLC has changed the case of names over the years (`airport_fee`, `Airport_fee`). Raises
    InputDataInvalid that names what is missing, or what is there twice.
    """
    prefix = next(
        (p for p in TIME_PREFIXES if _found(names, f"{p}_pickup_datetime")), TIME_PREFIXES[0]
    )
    wanted = [f"{prefix}_pickup_datetime", f"{prefix}_dropoff_datetime"]
    wanted += [PICKUP_ZONE, DROPOFF_ZONE, DISTANCE, *([TIP] if answer == "tip" else [])]
    found = [_found(names, name) for name in wanted]
    if missing := [name for name, there in zip(wanted, found, strict=True) if not there]:
        raise InputDataInvalid(
            f"the file has no column {', '.join(missing)}; it must have the TLC's columns"
        )
    if double := [name for name, there in zip(wanted, found, strict=True) if len(there) > 1]:
        raise InputDataInvalid(f"the file has the column {', '.join(double)} more than once")
    pickup, dropoff, start, end, distance, *tip = (there[0] for there in found)
    return Columns(pickup, dropoff, start, end, distance, tip[0] if tip else None)


def _found(names: Sequence[str], wanted: str) -> list[str]:
    """The columns that may be meant: those of just this name, else of these letters."""
    exact = [name for name in names if name == wanted]
    return exact or [name for name in names if name.lower() == wanted.lower()]


def read_rides(batch: pa.RecordBatch, columns: Columns) -> Rides:
    """Judge every row of a batch and prepare those that can be scored.

    Raises InputDataInvalid for a column of a type that cannot hold what it should.
    """
    pickup, pickup_bad = _zones(batch, columns.pickup_zone)
    dropoff, dropoff_bad = _zones(batch, columns.dropoff_zone)
    distances = _numbers(batch, columns.distance)
    starts, ends = (_times(batch, name) for name in (columns.pickup_time, columns.dropoff_time))
    minutes = _minutes(starts, ends)
    actual = _numbers(batch, columns.actual) if columns.actual else minutes
    with np.errstate(invalid="ignore"):
        judgements = (
            (pickup_bad == _MISSING) | (dropoff_bad == _MISSING),
            (pickup_bad == _INVALID) | (dropoff_bad == _INVALID),
            np.isnan(distances),
            ~((distances >= 0) & (distances <= MAX_DISTANCE)),
            np.isnan(minutes),
            minutes < 0,
            minutes < MIN_MINUTES,
            minutes > MAX_MINUTES,
            np.isnan(actual),
        )
    reasons = _judge(batch.num_rows, judgements)
    kept = np.flatnonzero(reasons < 0)
    places, names = _pairs(pickup.take(pa.array(kept)), dropoff.take(pa.array(kept)))
    return Rides(
        positions=kept,
        pickup_times=starts.take(pa.array(kept)),
        pickup_zones=pickup.take(pa.array(kept)),
        dropoff_zones=dropoff.take(pa.array(kept)),
        pair_places=places,
        pair_names=names,
        distances=distances[kept],
        actual=actual[kept],
        reasons=reasons,
    )


_MISSING, _INVALID = 1, 2


def _judge(rows: int, judgements: Sequence[Any]) -> npt.NDArray[np.int8]:
    reasons = np.full(rows, -1, dtype=np.int8)
    for place, bad in enumerate(judgements):
        reasons[(reasons < 0) & bad] = place
    return reasons


def _zones(batch: pa.RecordBatch, name: str) -> tuple[pa.DictionaryArray, npt.NDArray[np.int8]]:
    """The zones' keys, and for each row 0 for a good one, _MISSING or _INVALID."""
    column = batch.column(name)
    if not isinstance(column, pa.DictionaryArray):
        try:
            column = column.dictionary_encode()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputDataInvalid(f"the column {name} holds no zones") from error
    keys: list[str] = []
    faults: list[int] = []
    for value in column.dictionary.to_pylist():
        key, fault = _key(value)
        keys.append(key)
        faults.append(fault)
    places = pc.fill_null(column.indices, len(keys)).to_numpy(zero_copy_only=False)
    found = np.array([*faults, _MISSING], dtype=np.int8)[places]
    indices = pa.array(places, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array([*keys, ""], pa.string())), found


def _key(value: Any) -> tuple[str, int]:
    if value is None or value != value:  # noqa: PLR0124 - NaN is how pandas writes "no id"
        return "", _MISSING
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return "", _INVALID
    try:
        return zone_key(value), 0
    except ValueError:
        return "", _INVALID


def _pairs(
    pickup: pa.DictionaryArray, dropoff: pa.DictionaryArray
) -> tuple[npt.NDArray[np.int64], list[str]]:
    ends = dropoff.dictionary.to_pylist()
    codes = pickup.indices.to_numpy().astype(np.int64) * len(ends) + dropoff.indices.to_numpy()
    distinct, places = np.unique(codes, return_inverse=True)
    starts = pickup.dictionary.to_pylist()
    names = [
        pair_of_keys(starts[code // len(ends)], ends[code % len(ends)])
        for code in distinct.tolist()
    ]
    return places, names


def _numbers(batch: pa.RecordBatch, name: str) -> Floats:
    column = batch.column(name)
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        raise InputDataInvalid(f"the column {name} holds no numbers")
    try:
        column = pc.fill_null(column.cast(pa.float64()), np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputDataInvalid(f"the column {name} holds no numbers") from error
    numbers: Floats = column.to_numpy(zero_copy_only=False)
    return numbers


def _times(batch: pa.RecordBatch, name: str) -> pa.Array:
    column = batch.column(name)
    # A number would be taken for microseconds, whatever it counts.
    if pa.types.is_integer(column.type):
        raise InputDataInvalid(f"the column {name} holds numbers and no times")
    try:
        return column.cast(pa.timestamp("us"), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputDataInvalid(f"the column {name} holds no times") from error


def _minutes(starts: pa.Array, ends: pa.Array) -> Floats:
    elapsed = pc.subtract(ends.cast(pa.int64()), starts.cast(pa.int64())).cast(pa.float64())
    minutes: Floats = pc.fill_null(elapsed, np.nan).to_numpy(zero_copy_only=False)
    return minutes / MICROSECONDS_A_MINUTE
