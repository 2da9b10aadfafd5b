"""Months, keys and ids."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.batch.shards import Shard, Table, month_before
from slipway.errors import InvalidConfig


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2021, 4, 2), (2021, 3)),
        (date(2021, 4, 30), (2021, 3)),
        (date(2021, 1, 1), (2020, 12)),
        (date(2024, 3, 31), (2024, 2)),
    ],
)
def test_R34_the_month_is_the_one_before_the_run_date(day: date, expected: tuple[int, int]) -> None:
    assert month_before(day) == expected


def test_R33_the_key_is_the_partition_and_the_run() -> None:
    key = Shard("green", 2021, 3).output_key("0" * 32)
    assert key == f"taxi_type=green/year=2021/month=03/{'0' * 32}"


def test_R29_an_id_is_the_month_and_the_row() -> None:
    shard = Shard("green", 2021, 3)
    assert shard.row_ids(np.array([0, 41])).to_pylist() == [
        "green-2021-03-000000000",
        "green-2021-03-000000041",
    ]
    assert len(shard.row_ids(np.array([], dtype=np.int64))) == 0


@given(st.lists(st.integers(0, 999_999_999), unique=True, max_size=50))
def test_R29_ids_are_unique_and_the_same_every_time(rows: list[int]) -> None:
    shard, places = Shard("yellow", 2021, 3), np.array(rows, dtype=np.int64)
    for as_uuid in (False, True):
        ids = shard.row_ids(places, as_uuid=as_uuid)
        assert len(set(ids.to_pylist())) == len(rows)
        assert ids == shard.row_ids(places, as_uuid=as_uuid)


@pytest.mark.parametrize(
    ("taxi", "year", "month"),
    [("blue", 2021, 3), ("green", 2021, 0), ("green", 2021, 13), ("green", 21, 3)],
)
def test_R28_what_is_no_month_of_taxis_is_refused(taxi: str, year: int, month: int) -> None:
    with pytest.raises(InvalidConfig):
        Shard(taxi, year, month)


@pytest.mark.parametrize(
    ("given_input", "expected"),
    [
        ("months", "months/green_tripdata_2021-03.parquet"),
        ("s3://rides/months/", "s3://rides/months/green_tripdata_2021-03.parquet"),
        ("one.parquet", "one.parquet"),
        ("https://h/d/one.parquet?X-Signature=1", "https://h/d/one.parquet?X-Signature=1"),
        ("s3://in/{year:04d}-{month:02d}.parquet", "s3://in/2021-03.parquet"),
        ("{taxi_type}/{year}", "green/2021/green_tripdata_2021-03.parquet"),
        ("parts/*.parquet", "parts/*.parquet"),
    ],
)
def test_the_input_is_a_file_or_a_place_of_months(given_input: str, expected: str) -> None:
    assert Shard("green", 2021, 3).input_uri(given_input) == expected


@pytest.mark.parametrize("bad", ["{day}", "{year.real}", "{month", "{0}", "{year:nothing}"])
def test_a_field_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(InvalidConfig, match="year" if "{month" not in bad else "filled in"):
        Shard("green", 2021, 3).input_uri(bad)


def test_a_tables_period_has_names_in_input_output_and_rows() -> None:
    week = Table("meters", "2026-W48")
    assert str(week) == "meters 2026-W48"
    assert week.input_uri("s3://b/in") == "s3://b/in/meters_2026-W48.parquet"
    assert week.input_uri("s3://b/{table}/{period}.parquet") == "s3://b/meters/2026-W48.parquet"
    assert week.output_key("abc") == "table=meters/period=2026-W48/abc"
    assert week.row_ids(np.array([7])).to_pylist() == ["meters-2026-W48-000000007"]
    with pytest.raises(InvalidConfig, match=r"fields other than \{table\}, \{period\}"):
        week.input_uri("s3://b/{year}")


@pytest.mark.parametrize(("table", "period"), [("", "p"), ("a/b", "p"), ("t", ".."), ("t", "a b")])
def test_what_cannot_be_part_of_a_path_is_no_name(table: str, period: str) -> None:
    with pytest.raises(InvalidConfig, match="must have 1 to 100 letters"):
        Table(table, period)
