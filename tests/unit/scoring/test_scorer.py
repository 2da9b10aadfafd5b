"""What counts as a prediction, and whose fault it is when there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from slipway.errors import ModelFailed, ModelOutputInvalid
from slipway.scoring.scorer import Scorer, check_output
from slipway.usecases.rides import Ride, Rides

RIDES = [Ride(10, 50, distance) for distance in (1.0, 2.0, 3.0)]


def distances(features: list[dict[str, Any]]) -> list[float]:
    return [row["trip_distance"] for row in features]


def scorer(predict: Callable[[Any], Any]) -> Scorer:
    return Scorer(Rides(), predict)


def test_a_list_an_array_and_a_column_are_all_predictions() -> None:
    shapes: list[Callable[[Any], Any]] = [list, np.asarray, lambda got: np.asarray(got)[:, None]]
    for shape in shapes:

        def predict(rows: Any, shape: Callable[[Any], Any] = shape) -> Any:
            return shape(distances(rows))

        predicted = scorer(predict).score(RIDES)
        assert predicted.tolist() == [1.0, 2.0, 3.0]
        assert predicted.dtype == np.float64


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5.0,
        [],
        [1.0, 2.0],
        [1.0, 2.0, 3.0, 4.0],
        ["a", "b", "c"],
        [None, 1.0, 2.0],
        [[1.0, 2.0]] * 3,
        [1.0, float("nan"), 3.0],
        [1.0, 2.0, float("inf")],
        [1.0, [2.0], 3.0],
        [1j, 2j, 3j],
    ],
)
def test_A10_whatever_is_no_finite_number_a_row_is_the_models_failure(answer: Any) -> None:
    with pytest.raises(ModelOutputInvalid):
        scorer(lambda _rows: answer).score(RIDES)


@pytest.mark.parametrize("kind", [np.float64, np.float32, ">f8", np.int8])
def test_one_number_is_a_double_whatever_the_model_answers_in(kind: Any) -> None:
    for shape in ((1,), (1, 1)):
        values = check_output(np.full(shape, 3, kind), 1)
        assert values.dtype == np.float64
        assert values.tolist() == [3.0]


@pytest.mark.parametrize("answer", [[math.nan], [math.inf], [-math.inf], [], [1.0, 2.0]])
def test_A10_one_answer_is_checked_as_many_are(answer: list[float]) -> None:
    for numeric in (True, False):
        with pytest.raises(ModelOutputInvalid):
            check_output(np.array(answer), 1, numeric=numeric)
    with pytest.raises(ModelOutputInvalid):
        check_output(np.array([1.0]), 2)


def test_A10_the_row_that_is_not_finite_is_named() -> None:
    with pytest.raises(ModelOutputInvalid) as failed:
        check_output([1.0, float("nan"), float("nan")], 3)
    assert failed.value.row == 1


def test_A9_the_row_on_which_the_model_raises_is_named() -> None:
    def predict(features: list[dict[str, Any]]) -> list[float]:
        if 2.0 in distances(features):
            raise ZeroDivisionError("secret of a user")
        return distances(features)

    with pytest.raises(ModelFailed, match="row 1: the model raised ZeroDivisionError") as failed:
        scorer(predict).score(RIDES)
    assert failed.value.row == 1
    assert "secret" not in failed.value.message


def test_a_model_that_only_fails_on_many_rows_blames_none() -> None:
    def predict(features: list[dict[str, Any]]) -> list[float]:
        if len(features) > 1:
            raise MemoryError
        return distances(features)

    with pytest.raises(ModelFailed) as failed:
        scorer(predict).score(RIDES)
    assert failed.value.row is None


def test_labels_and_several_outputs_pass_where_numbers_are_not_demanded() -> None:
    assert check_output(["a", "b"], 2, numeric=False).tolist() == ["a", "b"]
    assert check_output([[1.0, 0.0]] * 2, 2, numeric=False).shape == (2, 2)
    with pytest.raises(ModelOutputInvalid):
        check_output([[1.0, float("nan")]] * 2, 2, numeric=False)
