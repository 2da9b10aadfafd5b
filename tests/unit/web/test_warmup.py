"""A model that cannot predict is never Ready."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.in_process import COLUMNS, RIDE, by_columns, by_tensor, count_of
from tests.stub_models import loaded

from slipway.errors import ModelFailed, ModelOutputInvalid
from slipway.scoring.scorer import Scorer
from slipway.usecases.protocol import UseCase
from slipway.usecases.rides import Rides
from slipway.web.decode import predict_decoder
from slipway.web.warmup import MAX_ROWS, TIMES, made_row, warm_up

TENSORS = [by_tensor(dtype, 2, 3) for dtype in ("bool", "int8", "uint8", "uint64", "float32")]
USE_CASES: list[UseCase] = [Rides(), by_columns(), by_tensor(), by_tensor("float64", 1), *TENSORS]


class Seeing:
    """A model that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, features: Any) -> list[float]:
        self.asked.append(features)
        return count_of(features)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_model_without_an_example_predicts_a_row_that_its_schema_allows(
    use_case: UseCase,
) -> None:
    model = Seeing()
    row, prediction = warm_up(Scorer(use_case, model))
    assert (len(model.asked), prediction) == (TIMES + 1, 0.0)
    body = encoded(row if isinstance(row, dict) else {"instances": [row]})
    (decoded,) = predict_decoder(use_case.row_type(), 1)(body).rows
    assert decoded == made_row(use_case.row_type())


@settings(deadline=None)
@given(st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1))
def test_a_made_row_suits_a_model_of_any_columns(columns: list[Any]) -> None:
    use_case = by_columns(columns)
    features = use_case.features([made_row(use_case.row_type())])
    assert len(features) == 1


@pytest.mark.parametrize(
    "example",
    [
        {"dataframe_split": {"columns": list(RIDE), "data": [list(RIDE.values())] * 2}},
        {"inputs": [RIDE, RIDE]},
    ],
)
def test_the_models_own_example_is_what_it_predicts_and_what_is_shown(example: Any) -> None:
    model = Seeing()
    assert warm_up(Scorer(Rides(), model), encoded(example)).row == RIDE
    ride = {"PU_DO": "10_50", "trip_distance": 40.0}
    assert model.asked == [*[[ride] * 2] * TIMES, [ride]]


@pytest.mark.parametrize("several", [False, True])
def test_the_example_of_a_vectoriser_is_features_already(several: bool) -> None:
    """Its dicts are no rows of a request: they are predicted, and a made row is shown."""
    features = {"PU_DO": "43_151", "trip_distance": 2.5}
    model = Seeing()
    shown = warm_up(
        Scorer(Rides(), model), encoded({"inputs": [features] if several else features})
    )
    assert model.asked[:-1] == [[features]] * TIMES
    assert shown.row == msgspec.to_builtins(made_row(Rides().row_type()))
    assert model.asked[-1] == [{"PU_DO": "1_1", "trip_distance": 1.0}]


@pytest.mark.parametrize(
    "example",
    [
        b"",
        b"\xff",
        b'{"inputs": "\xff"}',
        b'{"\xff": 1}',
        b'{"x": ' + b"[" * 100_000,
        b'{"inputs": 7}',
        b'{"inputs": []}',
    ],
    ids=lambda example: repr(example[:20]),
)
def test_an_example_that_cannot_be_used_is_as_good_as_none(example: bytes) -> None:
    model = Seeing()
    warm_up(Scorer(Rides(), model), example)
    assert [len(features) for features in model.asked] == [1] * (TIMES + 1)


def test_of_an_example_that_is_the_whole_training_set_the_beginning_is_predicted() -> None:
    ride, features = Seeing(), Seeing()
    warm_up(Scorer(Rides(), ride), encoded({"inputs": [RIDE] * 20_000}))
    warm_up(Scorer(Rides(), features), encoded({"inputs": [{"PU_DO": "1_2"}] * 20_000}))
    for model in (ride, features):
        assert [len(asked) for asked in model.asked] == [*[MAX_ROWS] * TIMES, 1]


def test_only_a_model_that_takes_dicts_is_shown_an_example_of_dicts() -> None:
    """A column that the example has as text and the signature as a number: no reason to refuse."""
    model = Seeing()
    row, _ = warm_up(
        Scorer(by_columns(COLUMNS[:1]), model), encoded({"inputs": [{"truth": "yes"}]})
    )
    assert row == {"truth": True}
    assert model.asked[0].columns.tolist() == ["truth"]


@pytest.mark.parametrize(
    ("example", "which"),
    [
        (b"", "a row of its own schema"),
        (encoded({"inputs": [RIDE]}), "its own input example"),
        (encoded({"inputs": {"PU_DO": "1_2", "trip_distance": 1}}), "its own input example"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "kind"), [(ZeroDivisionError(), ModelFailed), ([None], ModelOutputInvalid)]
)
def test_F22_a_model_that_cannot_predict_is_refused_with_what_it_was_asked(
    example: bytes, which: str, answer: Any, kind: type[ModelFailed]
) -> None:
    def predict(_features: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ModelFailed, match=f"cannot predict {which}") as failed:
        warm_up(Scorer(Rides(), predict), example)
    assert type(failed.value) is kind


def test_a_sound_model_is_let_through() -> None:
    assert warm_up(loaded().scorer, encoded({"inputs": [RIDE]})) == (RIDE, 80.0)
