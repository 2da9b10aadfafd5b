"""The list of trusted types is measured: what the models need is on it, and nothing else."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skops import io as skops_io

from slipway.examples.ride_models import (
    ESTIMATORS,
    TrainingRides,
    dict_pipeline,
    make_estimator,
    onehot_pipeline,
    rides_of_table,
)
from slipway.examples.synthetic import Recipe, make_month
from slipway.models.trusted_types import TRUSTED_TYPES


@pytest.fixture(scope="module")
def rides() -> TrainingRides:
    return rides_of_table(make_month(Recipe("green", 2021, 2, 300)), "duration", "test")


def asked_about(model: Any) -> set[str]:
    return set(skops_io.get_untrusted_types(data=skops_io.dumps(model)))


def every_model(rides: TrainingRides) -> list[Pipeline]:
    models = []
    for kind in ESTIMATORS:
        estimator = make_estimator(kind, seed=0)
        models.append(dict_pipeline(estimator).fit(rides.dicts(), rides.target))
        estimator = make_estimator(kind, seed=0)
        models.append(onehot_pipeline(estimator).fit(rides.frame(), rides.target))
    return models


def test_the_list_is_exactly_what_the_served_models_need(rides: TrainingRides) -> None:
    """FAULTS finding 9: tree models are refused unless their types are named."""
    histogram = HistGradientBoostingRegressor(max_iter=2).fit(
        rides.frame()[["trip_distance"]], rides.target
    )
    needed = [asked_about(model) for model in [*every_model(rides), histogram]]
    assert set().union(*needed) == TRUSTED_TYPES


@pytest.mark.parametrize("function", [operator.methodcaller("sum"), operator.itemgetter(0)])
def test_B5_what_calls_whatever_the_file_says_is_not_trusted(function: Any) -> None:
    asked = asked_about(make_pipeline(FunctionTransformer(function)))
    assert asked
    assert not asked & TRUSTED_TYPES
