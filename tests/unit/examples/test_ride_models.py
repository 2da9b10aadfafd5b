from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.errors import InputDataInvalid, InputDataMissing, InvalidConfig
from slipway.examples.ride_models import (
    ESTIMATORS,
    TrainingRides,
    dict_pipeline,
    fit,
    make_estimator,
    onehot_pipeline,
    read_rides,
    rides_of_table,
    sample,
    split,
    usable_rides,
)
from slipway.examples.synthetic import Recipe, make_month, write_month
from slipway.usecases.rides import Ride, Rides

MIDNIGHT = datetime(2021, 3, 1)


def table_of(*rides: tuple[Any, ...], prefix: str = "lpep") -> pa.Table:
    """A month from (pickup zone, dropoff zone, miles, minutes, tip) tuples."""
    starts, ends, miles, lasting, tips = zip(*rides, strict=True)
    return pa.table(
        {
            f"{prefix}_pickup_datetime": pa.array([MIDNIGHT] * len(rides), pa.timestamp("us")),
            f"{prefix}_dropoff_datetime": pa.array(
                [MIDNIGHT + timedelta(minutes=each) for each in lasting], pa.timestamp("us")
            ),
            "PULocationID": pa.array(starts),
            "DOLocationID": pa.array(ends),
            "trip_distance": pa.array(miles, pa.float64()),
            "tip_amount": pa.array(tips, pa.float64()),
        }
    )


@pytest.fixture(scope="module")
def month() -> TrainingRides:
    return rides_of_table(make_month(Recipe("green", 2021, 2, 2_000)), "duration", "test")


@pytest.mark.parametrize(
    ("lasting", "used"), [(0.99, False), (1, True), (30, True), (60, True), (60.01, False)]
)
def test_R31_rides_of_one_to_sixty_minutes_are_learnt_from(lasting: float, used: bool) -> None:
    pairs, _, target = usable_rides(table_of((10, 50, 2.0, lasting, 1.0)), "duration")
    assert list(pairs) == (["10_50"] if used else [])
    assert list(target) == ([lasting] if used else [])


@pytest.mark.parametrize(
    "ride",
    [
        (None, 50, 2.0, 10, 1.0),
        (10, None, 2.0, 10, 1.0),
        (10, 50, None, 10, 1.0),
        (10, 50, -1.0, 10, 1.0),
        (10, 50, 10_001.0, 10, 1.0),
        (10, 50, float("nan"), 10, 1.0),
    ],
)
def test_a_ride_that_the_service_would_refuse_is_not_learnt_from(ride: tuple[Any, ...]) -> None:
    good = (10, 50, 0.0, 10, 1.0)
    pairs, distances, _ = usable_rides(table_of(ride, good), "duration")
    assert list(pairs) == ["10_50"]
    assert list(distances) == [0.0]


def test_a_tip_may_be_nothing_but_not_a_refund() -> None:
    table = table_of((10, 50, 2.0, 10, 0.0), (10, 50, 2.0, 10, -3.0), (1, 2, 2.0, 10, 4.5))
    pairs, _, target = usable_rides(table, "tip")
    assert list(zip(pairs, target, strict=True)) == [("10_50", 0.0), ("1_2", 4.5)]


def test_R48_zones_in_a_column_of_floats_give_the_same_categories() -> None:
    whole = usable_rides(table_of((10, 50, 2.0, 10, 0.0)), "duration")
    floats = usable_rides(table_of((10.0, 50.0, 2.0, 10, 0.0)), "duration")
    assert list(whole[0]) == list(floats[0]) == ["10_50"]


def test_R47_training_sees_the_features_that_the_service_makes(month: TrainingRides) -> None:
    rides = []
    for pair, distance in zip(month.pairs, month.distances, strict=True):
        pickup, dropoff = pair.split("_")
        rides.append(Ride(int(pickup), int(dropoff), distance))
    assert month.dicts() == Rides().features(rides)


@pytest.mark.real_rides
def test_all_usable_real_rides_are_found_green_and_yellow(real_rides: Path) -> None:
    green = real_rides / "green_tripdata_2019-03.parquet"
    yellow = real_rides / "yellow_tripdata_2019-03.parquet"
    rides = read_rides([green, yellow], "duration")
    assert len(rides) == 712 + 4_047
    assert rides.source == f"{green.name}, {yellow.name}"
    assert rides.sha256 == hashlib.sha256(green.read_bytes() + yellow.read_bytes()).hexdigest()


def test_a_file_reads_as_the_table_that_was_written(tmp_path: Path) -> None:
    recipe = Recipe("yellow", 2021, 2, 200, null_zones=0.1)
    path = write_month(tmp_path / recipe.file_name, recipe)
    read = read_rides([path], "tip")
    made = rides_of_table(make_month(recipe), "tip", "test")
    assert list(read.pairs) == list(made.pairs)
    assert list(read.target) == list(made.target)


def test_the_hash_of_synthetic_rides_is_that_of_their_values(month: TrainingRides) -> None:
    again = rides_of_table(make_month(Recipe("green", 2021, 2, 2_000)), "duration", "other")
    other = rides_of_table(make_month(Recipe("green", 2021, 2, 2_000, 1)), "duration", "other")
    assert again.sha256 == month.sha256 != other.sha256


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputDataMissing, match=r"march\.parquet"):
        read_rides([tmp_path / "march.parquet"], "duration")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rides.csv"
    path.write_text("PULocationID,DOLocationID\n")
    with pytest.raises(InputDataInvalid, match=r"rides\.csv"):
        read_rides([path], "duration")


@pytest.mark.parametrize("column", ["PULocationID", "trip_distance", "tip_amount"])
def test_a_missing_column_is_named(column: str, tmp_path: Path) -> None:
    path = tmp_path / "rides.parquet"
    pq.write_table(table_of((1, 2, 2.0, 10, 0.0)).drop_columns([column]), path)
    with pytest.raises(InputDataInvalid, match=column):
        read_rides([path], "tip")


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [1]}),
        table_of((1, 2, 2.0, 10, 0.0), prefix="fhv"),
        table_of(("Soho", "Harlem", 2.0, 10, 0.0)),
        table_of((1.5, 2.0, 2.0, 10, 0.0)),
    ],
)
def test_rides_of_another_kind_are_refused(table: pa.Table) -> None:
    with pytest.raises(InputDataInvalid):
        usable_rides(table, "duration")


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_R15_the_twin_predicts_the_same(kind: str, month: TrainingRides) -> None:
    learnt, held_out = split(month, seed=1)
    trained = [
        fit(
            dict_pipeline(make_estimator(kind, 5)),
            learnt.dicts(),
            learnt.target,
            held_out.dicts(),
            held_out.target,
        ),
        fit(
            onehot_pipeline(make_estimator(kind, 5)),
            learnt.frame(),
            learnt.target,
            held_out.frame(),
            held_out.target,
        ),
    ]
    assert not set(held_out.pairs) <= set(learnt.pairs), "unseen pairs must be part of this"
    np.testing.assert_allclose(trained[0].predictions, trained[1].predictions, rtol=1e-9)
    always_the_mean = np.sqrt(np.mean((held_out.target - learnt.target.mean()) ** 2))
    assert trained[0].rmse < 0.85 * always_the_mean


def test_what_is_learnt_from_one_month_holds_in_the_next() -> None:
    months = [
        rides_of_table(make_month(Recipe("green", 2021, each, 8_000, each)), "duration", "test")
        for each in (2, 3)
    ]
    ridge = dict_pipeline(make_estimator("ridge", 0))
    before, after = months
    trained = fit(ridge, before.dicts(), before.target, after.dicts(), after.target)
    assert trained.rmse < 0.65 * float(np.std(after.target))


def test_held_out_rides_are_a_fifth_and_never_learnt_from(month: TrainingRides) -> None:
    numbered = TrainingRides(
        month.pairs, np.arange(len(month), dtype=np.float64), month.target, "test", ""
    )
    learnt, held_out = split(numbered, seed=1)
    assert len(held_out) == round(len(month) / 5)
    both = [*learnt.distances, *held_out.distances]
    assert sorted(both) == list(range(len(month)))
    assert list(split(numbered, seed=1)[1].distances) == list(held_out.distances)
    assert list(split(numbered, seed=2)[1].distances) != list(held_out.distances)


def test_a_sample_has_at_most_so_many_rides(month: TrainingRides) -> None:
    assert len(sample(month, 100, seed=0)) == 100
    assert sample(month, 10_000, seed=0) is month


def test_too_few_rides_are_refused_with_their_number(month: TrainingRides) -> None:
    with pytest.raises(InputDataInvalid, match="49"):
        split(month.take(np.arange(49)), seed=0)


def test_an_unknown_model_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidConfig, match="linear, ridge, forest, boosting"):
        make_estimator("oracle", 0)
