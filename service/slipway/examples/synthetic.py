"""Makes months of taxi rides in the TLC's Parquet schema, for trying Slipway without the real ones.

Everything follows from the recipe: the same one gives the same rides on every machine. The city
(its zones, how popular they are, which pairs are slow) is the same in all recipes, so a model
trained on one month means something in the next.

A ride: its zones are drawn by popularity and nearness; the distance is 1.3 times the way as the
crow flies; minutes = 2 + distance / speed, with the speed falling in the day's rush and rising
with the distance, times a factor of the zone pair (about ±15 %) and noise (about ±12 %).

Clean rides last 1 to 60 minutes. `dirt` is the share of rows that are not clean, exactly
round(rows * dirt) of them, the four kinds in turn: shorter than a minute, longer than an hour,
of no distance, of more than 10,000 miles. `null_zones` is the share of rows that lack one zone.
"""

from __future__ import annotations

import calendar
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.errors import InvalidConfig
from slipway.usecases.rides import DISTANCE, DROPOFF_ZONE, MAX_DISTANCE, PICKUP_ZONE

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DIRT = 0.02
ZONES = 263
CITY_SEED = 2019
PREFIXES = {"green": "lpep", "yellow": "tpep"}
ROW_GROUP = 20_000
KM_PER_MILE = 1.609344

# Miles an hour for each hour of a weekday, before distance and pair.
_SPEEDS = np.array(
    [16, 17, 18, 18, 17, 16, 14, 11, 9, 9, 9.5, 9.5, 9, 9, 9, 9, 8.5, 8, 8.5, 10, 11, 12, 13, 15]
)
# How many rides begin in each hour.
_DEMAND = np.array(
    [4, 3, 2, 1.5, 1, 1.5, 3, 5, 6, 6, 6, 6, 6, 6, 6.5, 6.5, 6, 7, 8, 8, 7.5, 7, 6.5, 5.5]
)


@dataclass(frozen=True)
class Recipe:
    """What a month is made from. Raises InvalidConfig for what gives no month."""

    taxi_type: str
    year: int
    month: int
    rows: int
    seed: int = 0
    dirt: float = DIRT
    null_zones: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would make another month than the one that is named."""
        if self.taxi_type not in PREFIXES:
            raise InvalidConfig(f"a taxi is green or yellow, not {self.taxi_type!r}")
        if not (1 <= self.month <= 12 and 1900 <= self.year <= 2200):
            raise InvalidConfig(f"there is no month {self.year}-{self.month} to make rides of")
        if self.rows < 0 or self.seed < 0:
            raise InvalidConfig("the number of rides and the seed must be 0 or more")
        if not (0 <= self.dirt <= 1 and 0 <= self.null_zones <= 1):
            raise InvalidConfig("a share must be from 0 to 1")

    @property
    def file_name(self) -> str:
        """The TLC's name for the month's file."""
        return f"{self.taxi_type}_tripdata_{self.year}-{self.month:02d}.parquet"


def make_month(recipe: Recipe) -> pa.Table:
    """The recipe's rides, ordered by pickup time."""
    random = np.random.default_rng(
        [recipe.seed, recipe.year, recipe.month, list(PREFIXES).index(recipe.taxi_type)]
    )
    pickups = _pickup_seconds(random, recipe)
    zones = _zones(random, recipe)
    distances, seconds = _journeys(random, pickups, *zones)
    _soil(random, recipe.dirt, distances, seconds)
    money = _money(random, recipe.taxi_type, distances, seconds)
    start = np.datetime64(f"{recipe.year:04d}-{recipe.month:02d}-01", "us")
    times = [start + (pickups + after) * np.timedelta64(1_000_000, "us") for after in (0, seconds)]
    missing = _missing_zones(random, recipe)
    prefix = PREFIXES[recipe.taxi_type]
    columns: dict[str, Any] = {
        "VendorID": random.integers(1, 3, recipe.rows),
        f"{prefix}_pickup_datetime": times[0],
        f"{prefix}_dropoff_datetime": times[1],
        "passenger_count": 1 + random.binomial(5, 0.1, recipe.rows),
        DISTANCE: distances,
        "RatecodeID": np.ones(recipe.rows, np.int64),
        "store_and_fwd_flag": pa.repeat("N", recipe.rows),
        PICKUP_ZONE: pa.array(zones[0], mask=missing[0]),
        DROPOFF_ZONE: pa.array(zones[1], mask=missing[1]),
        **money,
    }
    if recipe.taxi_type == "green":
        columns["ehail_fee"] = pa.nulls(recipe.rows, pa.float64())
        columns["trip_type"] = np.ones(recipe.rows)
    return pa.table(columns)


def in_kilometres(month: pa.Table) -> pa.Table:
    """The same rides by somebody who took the distances for kilometres: a mistake to learn from."""
    at = month.column_names.index(DISTANCE)
    kilometres = np.asarray(month.column(DISTANCE)) * KM_PER_MILE
    return month.set_column(at, DISTANCE, pa.array(kilometres))


def write_month(path: Path, month: Recipe | pa.Table) -> Path:
    """Write a month as one Parquet file with row groups of ROW_GROUP rides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = make_month(month) if isinstance(month, Recipe) else month
    pq.write_table(table, path, row_group_size=ROW_GROUP)
    return path


@dataclass(frozen=True)
class _City:
    """Zones 1 to ZONES; matrices have shape (ZONES, ZONES), from row to column."""

    miles: Floats
    slowness: Floats
    pairs: dict[str, Floats]


@functools.cache
def _city() -> _City:
    random = np.random.default_rng(CITY_SEED)
    places = random.normal(0.0, 4.0, (ZONES, 2))
    steps = places[:, None, :] - places[None, :, :]
    miles = np.hypot(steps[..., 0], steps[..., 1])
    from_centre = np.hypot(places[:, 0], places[:, 1])
    taste = random.lognormal(0.0, 0.8, ZONES)
    popular = {
        "yellow": taste * np.exp(-from_centre / 2.0),
        "green": taste * np.exp(-(((from_centre - 5.0) / 2.5) ** 2)),
    }
    # Most rides are short; some cross the city whatever it costs.
    near = np.exp(-miles / 1.1) + 0.006
    pairs = {
        taxi: np.cumsum(share[:, None] * share[None, :] * near) for taxi, share in popular.items()
    }
    return _City(miles, random.lognormal(0.0, 0.15, (ZONES, ZONES)), pairs)


def _pickup_seconds(random: np.random.Generator, recipe: Recipe) -> Integers:
    _, days = calendar.monthrange(recipe.year, recipe.month)
    hours = random.choice(24, recipe.rows, p=_DEMAND / _DEMAND.sum())
    day = random.integers(0, days, recipe.rows)
    return np.sort(day * 86_400 + hours * 3_600 + random.integers(0, 3_600, recipe.rows))


def _zones(random: np.random.Generator, recipe: Recipe) -> tuple[Integers, Integers]:
    weights = _city().pairs[recipe.taxi_type]
    pair = np.searchsorted(weights, random.random(recipe.rows) * weights[-1], side="right")
    return pair // ZONES + 1, pair % ZONES + 1


def _journeys(
    random: np.random.Generator, pickups: Integers, start: Integers, end: Integers
) -> tuple[Floats, Integers]:
    """Distances in miles (hundredths) and durations in whole seconds of clean rides."""
    city, count = _city(), len(pickups)
    way = 1.3 * city.miles[start - 1, end - 1] + random.gamma(2.0, 0.25, count)
    distances = np.clip(np.round(way * random.lognormal(0.0, 0.08, count), 2), 0.1, 60.0)
    speed = _SPEEDS[pickups // 3_600 % 24] * (1.0 + distances / 8.0)
    minutes = 2.0 + 60.0 * distances / speed
    minutes *= city.slowness[start - 1, end - 1] * random.lognormal(0.0, 0.12, count)
    return distances, np.clip(np.rint(minutes * 60.0), 60, 3_600).astype(np.int64)


def _soil(random: np.random.Generator, dirt: float, distances: Floats, seconds: Integers) -> None:
    dirty = random.permutation(len(seconds))[: round(len(seconds) * dirt)]
    short, long, nowhere, far = (dirty[kind::4] for kind in range(4))
    seconds[short] = random.integers(0, 60, len(short))
    seconds[long] = random.integers(3_601, 86_400, len(long))
    distances[nowhere] = 0.0
    distances[far] = np.round(random.uniform(MAX_DISTANCE + 1, 20 * MAX_DISTANCE, len(far)), 2)


def _missing_zones(
    random: np.random.Generator, recipe: Recipe
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    chosen = random.permutation(recipe.rows)[: round(recipe.rows * recipe.null_zones)]
    missing = np.zeros((2, recipe.rows), dtype=np.bool_)
    missing[0, chosen[0::2]] = True
    missing[1, chosen[1::2]] = True
    return missing[0], missing[1]


def _money(
    random: np.random.Generator, taxi_type: str, distances: Floats, seconds: Integers
) -> dict[str, Floats | Integers]:
    """Fares in dollars; tips are known for cards (payment type 1) only, as in the real files."""
    count = len(seconds)
    paid = np.minimum(distances, 60.0)
    fare = np.round((2.5 + 2.0 * paid + 0.3 * np.minimum(seconds, 3_600) / 60.0) * 2.0) / 2.0
    card = random.random(count) < (0.7 if taxi_type == "yellow" else 0.5)
    tip = np.where(card, np.round(fare * np.clip(random.normal(0.2, 0.05, count), 0, 1), 2), 0.0)
    tolls = np.where(paid > 12.0, 5.76, 0.0)
    fixed = {"extra": 0.5, "mta_tax": 0.5, "improvement_surcharge": 0.3}
    extra, tax, surcharge = (np.full(count, amount) for amount in fixed.values())
    congestion = np.full(count, 2.5 if taxi_type == "yellow" else 0.0)
    return {
        "payment_type": np.where(card, 1, 2),
        "fare_amount": fare,
        "extra": extra,
        "mta_tax": tax,
        "tip_amount": tip,
        "tolls_amount": tolls,
        "improvement_surcharge": surcharge,
        "total_amount": np.round(fare + extra + tax + tip + tolls + surcharge + congestion, 2),
        "congestion_surcharge": congestion,
    }
