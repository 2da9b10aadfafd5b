from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.errors import InvalidConfig
from slipway.examples.synthetic import ROW_GROUP, Recipe, make_month, write_month
from slipway.usecases.rides import DISTANCE, DROPOFF_ZONE, MAX_DISTANCE, PICKUP_ZONE

GREEN = Recipe("green", 2021, 2, rows=1_000, seed=3)


def minutes(table: pa.Table, prefix: str = "lpep") -> Any:
    pickup, dropoff = (
        table[f"{prefix}_{which}_datetime"].to_numpy() for which in ("pickup", "dropoff")
    )
    return (dropoff - pickup) / np.timedelta64(60_000_000, "us")


def test_the_same_recipe_gives_the_same_rides() -> None:
    assert make_month(GREEN).equals(make_month(replace(GREEN)))


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"month": 1}, {"year": 2022}, {"taxi_type": "yellow"}]
)
def test_another_recipe_gives_other_rides(change: dict[str, Any]) -> None:
    other = make_month(replace(GREEN, **change))
    assert other[DISTANCE].to_pylist() != make_month(GREEN)[DISTANCE].to_pylist()


@pytest.mark.real_rides
@pytest.mark.parametrize("taxi_type", ["green", "yellow"])
def test_the_columns_are_those_of_the_real_files(taxi_type: str, real_rides: Path) -> None:
    recipe = Recipe(taxi_type, 2019, 3, rows=10)
    real = pq.read_schema(real_rides / recipe.file_name)
    made = make_month(recipe).schema
    assert made.names == real.names
    text = {pa.string(): pa.large_string()}
    assert [text.get(kind, kind) for kind in made.types] == real.types


@pytest.mark.parametrize(("year", "month", "days"), [(2021, 2, 28), (2024, 2, 29), (2023, 12, 31)])
def test_rides_begin_within_their_month_in_order(year: int, month: int, days: int) -> None:
    table = make_month(Recipe("yellow", year, month, rows=5_000))
    pickups = table["tpep_pickup_datetime"].to_pylist()
    assert pickups == sorted(pickups)
    assert pickups[0] >= datetime(year, month, 1)
    assert {pickup.day for pickup in pickups} == set(range(1, days + 1))
    assert {pickup.month for pickup in pickups} == {month}


def test_without_dirt_every_ride_can_be_used() -> None:
    table = make_month(replace(GREEN, dirt=0.0))
    assert minutes(table).min() >= 1
    assert minutes(table).max() <= 60
    distances = table[DISTANCE].to_numpy()
    assert distances.min() > 0
    assert distances.max() <= MAX_DISTANCE
    assert table[PICKUP_ZONE].null_count == table[DROPOFF_ZONE].null_count == 0


def test_dirt_comes_in_four_kinds_and_in_the_promised_number() -> None:
    table = make_month(replace(GREEN, dirt=0.04))
    distances = table[DISTANCE].to_numpy()
    assert int((minutes(table) < 1).sum()) == 10
    assert int((minutes(table) > 60).sum()) == 10
    assert int((distances == 0).sum()) == 10
    assert int((distances > MAX_DISTANCE).sum()) == 10


def test_R48_zones_can_be_missing_on_either_side() -> None:
    table = make_month(replace(GREEN, null_zones=0.01))
    assert table[PICKUP_ZONE].null_count == 5
    assert table[DROPOFF_ZONE].null_count == 5
    assert table.schema.field(PICKUP_ZONE).type == pa.int64()


def test_a_month_is_written_in_row_groups(tmp_path: Path) -> None:
    recipe = replace(GREEN, rows=ROW_GROUP + 1)
    path = write_month(tmp_path / "in" / recipe.file_name, recipe)
    assert path.name == "green_tripdata_2021-02.parquet"
    assert pq.ParquetFile(path).num_row_groups == 2
    assert pq.read_table(path).equals(make_month(recipe))


def test_a_month_may_be_empty() -> None:
    table = make_month(replace(GREEN, rows=0))
    assert table.num_rows == 0
    assert table.schema == make_month(GREEN).schema


@pytest.mark.parametrize(
    "change",
    [
        {"taxi_type": "red"},
        {"month": 0},
        {"month": 13},
        {"year": 1},
        {"rows": -1},
        {"seed": -1},
        {"dirt": 1.1},
        {"null_zones": -0.1},
    ],
)
def test_a_recipe_that_gives_no_month_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        replace(GREEN, **change)
