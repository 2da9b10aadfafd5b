"""Totals over batches, and the model by columns against the model itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from tests.artifacts import ride_pipeline

from slipway.batch.forms import OWN
from slipway.batch.ride_model import COMPARED, RideModel
from slipway.batch.shards import Shard
from slipway.batch.tables import MonthScorer, Totals
from slipway.errors import ModelFailed
from slipway.examples.synthetic import Recipe, write_month
from slipway.scoring.scorer import Scorer
from slipway.usecases.rides import Rides

MINUTES = st.floats(-1e4, 1e4)


@given(st.lists(st.lists(MINUTES, max_size=9), max_size=9))
def test_R40_the_deviation_of_all_batches_is_numpys(batches: list[list[float]]) -> None:
    totals = Totals()
    for batch in batches:
        totals.add(np.zeros(len(batch)), np.array(batch))
    everything = [value for batch in batches for value in batch]
    if not everything:
        assert totals.deviation is None
    else:
        assert totals.deviation == pytest.approx(np.std(everything), rel=1e-9, abs=1e-7)


def score(month: Path, pipeline: Any) -> tuple[list[float], RideModel]:
    model = RideModel(Scorer(Rides(), pipeline.predict), "v")
    schema = OWN.schema("duration", {})
    scorer = MonthScorer(Shard("green", 2021, 3), model, OWN, uuids=False, schema=schema)
    found: list[float] = []
    with pq.ParquetFile(month) as source:
        for scored, _ in scorer.batches(source):
            found += scored["predicted_duration"].to_pylist()
    return found, model


@pytest.fixture
def month(tmp_path: Path) -> Path:
    recipe = Recipe("green", 2021, 3, rows=3 * COMPARED, null_zones=0.01)
    return write_month(tmp_path / recipe.file_name, recipe)


def test_R47_a_month_by_columns_has_the_bits_of_a_month_by_dicts(month: Path) -> None:
    pipeline = ride_pipeline()
    by_columns, model = score(month, pipeline)
    assert model._columnar is not None

    def predict(rides: Any) -> Any:
        """A function, whose pipeline cannot be seen."""
        return pipeline.predict(rides)

    by_dicts, model = score(month, SimpleNamespace(predict=predict))
    assert model._columnar is None
    assert by_columns == by_dicts


class Moody(LinearRegression):  # type: ignore[misc]
    """Answers by how many rows it is asked at a time."""

    def predict(self, rows: Any) -> Any:
        """What the base says, and the number of rows."""
        return super().predict(rows) + rows.shape[0]


def test_a_model_that_answers_otherwise_by_columns_is_asked_itself(month: Path) -> None:
    pipeline = ride_pipeline()
    moody = Moody()
    moody.__dict__ = pipeline.steps[1][1].__dict__
    pipeline.steps[1] = ("model", moody)
    found, model = score(month, pipeline)
    assert model._columnar is None
    assert len(found) > COMPARED


def test_row_13_a_candidate_is_asked_for_the_same_rides_and_compared(month: Path) -> None:
    model, candidate = ride_pipeline(), ride_pipeline()
    candidate.steps[1][1].intercept_ += 3.0
    models = [
        RideModel(Scorer(Rides(), each.predict), name)
        for each, name in ((model, "old"), (candidate, "new"))
    ]
    schema = OWN.schema("duration", {}, candidate=True)
    part = Shard("green", 2021, 3)
    scorer = MonthScorer(part, models[0], OWN, uuids=False, schema=schema, candidate=models[1])
    with pq.ParquetFile(month) as source:
        table = pa.Table.from_batches([scored for scored, _ in scorer.batches(source)])
    assert table.column_names[-2:] == ["candidate_duration", "candidate_version"]
    assert table["predicted_duration"].to_pylist() == score(month, model)[0]
    assert table["candidate_duration"].to_pylist() == score(month, candidate)[0]
    assert set(table["candidate_version"].to_pylist()) == {"new"}

    beside, actual = table["candidate_duration"].to_numpy(), table["actual_duration"].to_numpy()
    off = np.abs(beside - actual)
    told = {name: value for name, value in scorer.summary.items() if name.startswith("candidate")}
    assert told == pytest.approx(
        {
            "candidate_mean_predicted": beside.mean(),
            "candidate_std_predicted": beside.std(),
            "candidate_mean_absolute_error": off.mean(),
            "candidate_share_beyond_10": (off > 10).mean(),
            "candidate_mean_absolute_difference": 3.0,
        }
    )


@pytest.mark.parametrize(
    ("works", "told"), [(True, "^the candidate: .*ZeroDivision"), (False, "^the model raised Zero")]
)
def test_a_candidate_that_fails_is_named_and_not_asked_where_the_model_does(
    month: Path, works: bool, told: str
) -> None:
    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    model = RideModel(Scorer(Rides(), ride_pipeline().predict if works else broken), "old")
    candidate = RideModel(Scorer(Rides(), broken), "new")
    schema = OWN.schema("duration", {}, candidate=True)
    part = Shard("green", 2021, 3)
    scorer = MonthScorer(part, model, OWN, uuids=False, schema=schema, candidate=candidate)
    with pq.ParquetFile(month) as source:
        assert not list(scorer.batches(source))
    with pytest.raises(ModelFailed, match=f"{told}.*100 rows"):
        scorer.check()
