"""Totals over batches, and the model by columns against the model itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from tests.artifacts import ride_pipeline

from slipway.batch.forms import OWN
from slipway.batch.shards import Shard
from slipway.batch.tables import COMPARED, MonthScorer, Totals
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


def score(month: Path, pipeline: Any) -> tuple[list[float], MonthScorer]:
    scorer = MonthScorer(
        Shard("green", 2021, 3),
        Scorer(Rides(), pipeline.predict),
        "v",
        OWN,
        uuids=False,
        schema=OWN.schema("duration", {}),
    )
    found: list[float] = []
    with pq.ParquetFile(month) as source:
        for scored, _ in scorer.batches(source):
            found += scored["predicted_duration"].to_pylist()
    return found, scorer


@pytest.fixture
def month(tmp_path: Path) -> Path:
    recipe = Recipe("green", 2021, 3, rows=3 * COMPARED, null_zones=0.01)
    return write_month(tmp_path / recipe.file_name, recipe)


def test_R47_a_month_by_columns_has_the_bits_of_a_month_by_dicts(month: Path) -> None:
    pipeline = ride_pipeline()
    by_columns, scorer = score(month, pipeline)
    assert scorer._columnar is not None

    def predict(rides: Any) -> Any:
        """A function, whose pipeline cannot be seen."""
        return pipeline.predict(rides)

    by_dicts, scorer = score(month, SimpleNamespace(predict=predict))
    assert scorer._columnar is None
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
    found, scorer = score(month, pipeline)
    assert scorer._columnar is None
    assert len(found) > COMPARED
