"""A table's predictions as columns, whatever the model answers, and the rows at which it fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.batch.shards import Table
from slipway.batch.table_model import TableModel
from slipway.batch.table_scorer import TableScorer
from slipway.batch.tables import BATCH_ROWS
from slipway.errors import InvalidConfig, ModelFailed, ModelOutputInvalid
from slipway.scoring.scorer import Scorer
from slipway.usecases.protocol import InputField
from slipway.usecases.rides import Rides
from slipway.usecases.tabular import Tabular

CASE = Tabular([InputField("x", "double")])
SOME = np.arange(5.0)


def scorer_of(
    predict: Callable[[Any], Any],
    *,
    keep: tuple[str, ...] = (),
    candidate: TableModel | None = None,
) -> TableScorer:
    names: dict[str, Any] = {"renamed": {}, "keep": keep, "metadata": {"a": "b"}}
    model = model_of(predict)
    return TableScorer(Table("t", "p"), model, uuids=False, candidate=candidate, **names)


def model_of(predict: Callable[[Any], Any], case: Tabular = CASE) -> TableModel:
    return TableModel(Scorer(case, predict, numeric=False), "v")


def score(folder: Path, scorer: TableScorer, values: Any) -> pa.Table:
    path = folder / "t_p.parquet"
    pq.write_table(pa.table({"x": values, "y": values}), path)
    with pq.ParquetFile(path) as file:
        batches = [scored for scored, _ in scorer.batches(file)]
    scorer.check()
    return pa.Table.from_batches(batches) if batches else pa.table({})


@pytest.mark.parametrize(
    ("answer", "kind", "mean"),
    [
        (lambda x: x, pa.float64(), 2.0),
        (lambda x: x.astype(int), pa.int64(), 2.0),
        (lambda x: x > 2, pa.bool_(), None),
        (lambda x: np.where(x > 2, "high", "low"), pa.string(), None),
        (lambda x: np.stack([x, x.astype(int)], axis=1), pa.list_(pa.float64()), None),
    ],
)
def test_the_answers_make_a_column_of_their_type(
    answer: Callable[[Any], Any], kind: pa.DataType, mean: float | None, tmp_path: Path
) -> None:
    scorer = scorer_of(lambda frame: answer(frame["x"].to_numpy()))
    found = score(tmp_path, scorer, SOME)
    assert found.schema.field("prediction").type == kind
    assert found["prediction"].to_pylist() == answer(SOME).tolist()
    assert found.schema.metadata == {b"a": b"b"}
    assert scorer.summary["mean_predicted"] == mean
    assert scorer.summary["scored"] == len(SOME)


def test_answers_of_two_types_or_of_two_dimensions_more_make_none(tmp_path: Path) -> None:
    def moody(frame: Any) -> Any:
        return np.array(["a" if value else value for value in frame["x"]], dtype=object)

    with pytest.raises(ModelOutputInvalid, match="not all of one type"):
        score(tmp_path, scorer_of(moody), SOME)
    with pytest.raises(ModelOutputInvalid, match=r"of shape \(2, 2\) for a row"):
        score(tmp_path, scorer_of(lambda frame: np.zeros((len(frame), 2, 2))), SOME)


def test_rows_without_a_value_come_first_and_the_type_is_known_afterwards(tmp_path: Path) -> None:
    values = np.concatenate([np.full(BATCH_ROWS, np.nan), SOME])
    scorer = scorer_of(lambda frame: frame["x"], keep=("y",))
    found = score(tmp_path, scorer, values)
    assert found["row_id"].to_pylist()[0] == f"t-p-{BATCH_ROWS:09d}"
    assert found["y"].to_pylist() == SOME.tolist()
    assert scorer.summary["dropped"] == {"x_missing": BATCH_ROWS}


def test_a_model_that_fails_at_some_rows_of_several_batches_is_told_with_all_of_them(
    tmp_path: Path,
) -> None:
    def predict(frame: Any) -> Any:
        if (frame["x"] == -1).any():
            raise ValueError
        return frame["x"]

    values = np.zeros(2 * BATCH_ROWS)
    values[[9, 10, BATCH_ROWS + 1]] = -1
    with pytest.raises(ModelFailed, match=r"at 3 rows, the first is t-p-000000009 \(row 9 of"):
        score(tmp_path, scorer_of(predict), values)


def test_columns_of_its_own_cannot_be_kept_and_rides_are_no_table() -> None:
    with pytest.raises(InvalidConfig, match="a column prediction of its own"):
        scorer_of(len, keep=("prediction",))
    with pytest.raises(InvalidConfig, match="none of tables"):
        TableModel(Scorer(Rides(), len), "v")


@pytest.mark.parametrize(
    ("answer", "mean", "apart"),
    [
        (lambda x: 3 * x, 6.0, 4.0),
        (lambda x: np.where(x > 2, "high", "low"), None, None),
    ],
)
def test_row_13_a_candidate_answers_the_same_rows_beside(
    answer: Callable[[Any], Any], mean: float | None, apart: float | None, tmp_path: Path
) -> None:
    candidate = model_of(lambda frame: answer(frame["x"].to_numpy()))
    scorer = scorer_of(lambda frame: frame["x"], candidate=candidate)
    found = score(tmp_path, scorer, SOME)
    names = ["row_id", "prediction", "model_version", "candidate_prediction", "candidate_version"]
    assert found.column_names == names
    assert found["prediction"].to_pylist() == SOME.tolist()
    assert found["candidate_prediction"].to_pylist() == answer(SOME).tolist()
    assert scorer.summary["candidate_mean_predicted"] == mean
    assert scorer.summary["candidate_mean_absolute_difference"] == apart


def test_a_candidate_that_fails_or_does_not_fit_is_named(tmp_path: Path) -> None:
    def broken(frame: Any) -> Any:
        if len(frame) > 0:
            raise ZeroDivisionError

    candidate = model_of(broken)
    with pytest.raises(ModelFailed, match=r"^the candidate: .* at 5 rows, the first is t-p-0000"):
        score(tmp_path, scorer_of(lambda frame: frame["x"], candidate=candidate), SOME)
    with pytest.raises(InvalidConfig, match="a column candidate_version of its own"):
        scorer_of(len, keep=("candidate_version",), candidate=candidate)
    other = model_of(len, Tabular([InputField("x", "long")]))
    with pytest.raises(InvalidConfig, match="takes other inputs"):
        scorer_of(len, candidate=other)
