"""A model fed by columns answers what it answers for dicts, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from tests.artifacts import PAIRS, ride_pipeline

from slipway.models.columnar import columnar
from slipway.usecases.rides import ride_features

UNKNOWN = "no_pair"
NAMES = [*PAIRS, UNKNOWN]


def fitted(*steps: Any) -> Pipeline:
    random = np.random.default_rng(1)
    rides = [
        ride_features(PAIRS[random.integers(len(PAIRS))], float(distance))
        for distance in random.uniform(0, 20, 300)
    ]
    return make_pipeline(DictVectorizer(), *steps).fit(rides, random.uniform(1, 60, 300))


MODELS = {
    "linear": ride_pipeline(),
    "trees": fitted(RandomForestRegressor(5, random_state=1)),
    "three steps": fitted(MaxAbsScaler(), LinearRegression()),
}


@pytest.mark.parametrize("name", MODELS)
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(NAMES) - 1), st.sampled_from([0.0, 0.1, 3.66, 1e4])),
        min_size=1,
        max_size=30,
    )
)
def test_R47_it_answers_with_the_same_bits(name: str, rides: list[tuple[int, float]]) -> None:
    model = MODELS[name]
    by_columns = columnar(model.predict)
    assert by_columns is not None
    places = np.array([place for place, _ in rides])
    distances = np.array([distance for _, distance in rides])
    found = by_columns({"PU_DO": (places, NAMES)}, {"trip_distance": distances})
    native = model.predict([ride_features(NAMES[place], distance) for place, distance in rides])
    assert found.tobytes() == native.tobytes()


class Own(DictVectorizer):  # type: ignore[misc]
    """Somebody's own vectoriser, which may do anything."""


@pytest.mark.parametrize(
    "predict",
    [
        len,
        LinearRegression().predict,
        make_pipeline(ColumnTransformer([]), LinearRegression()).predict,
        make_pipeline(Own(), LinearRegression()).predict,
        make_pipeline(DictVectorizer(sparse=False), LinearRegression()).predict,
        make_pipeline(DictVectorizer()).fit_transform,
    ],
    ids=range(6),
)
def test_other_models_have_no_such_form(predict: Any) -> None:
    assert columnar(predict) is None
