"""Fitted pipelines of every kind that is compiled, small, by a seed; and rides to ask them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from slipway.usecases.protocol import InputField
from slipway.usecases.rides import (
    DISTANCE,
    DROPOFF_ZONE,
    PAIR,
    PICKUP_ZONE,
    Rides,
    pair_of_keys,
    ride_features,
    zone_features,
)
from slipway.usecases.tabular import Tabular

ZONES = [str(zone) for zone in (7, 10, 43, 50, 130, 151, 166, 205)]
ROWS = 120

LINEAR: dict[str, Callable[[int], Any]] = {
    "linear": lambda _: LinearRegression(),
    "ridge": lambda seed: Ridge(random_state=seed),
    "lasso": lambda _: Lasso(alpha=0.01),
}
TREES: dict[str, Callable[[int], Any]] = {
    "tree": lambda seed: DecisionTreeRegressor(random_state=seed),
    "forest": lambda seed: RandomForestRegressor(4, random_state=seed),
    "extra trees": lambda seed: ExtraTreesRegressor(4, random_state=seed),
    "boosting": lambda seed: GradientBoostingRegressor(n_estimators=10, random_state=seed),
    "histogram": lambda seed: HistGradientBoostingRegressor(
        max_iter=10, min_samples_leaf=3, random_state=seed
    ),
}
ESTIMATORS = LINEAR | TREES


def rides(seed: int, *, apart: bool = False, rows: int = ROWS) -> list[dict[str, Any]]:
    """The features of rides among ZONES, distances in hundredths of a mile."""
    random = np.random.default_rng(seed)
    ends = random.choice(ZONES, (rows, 2)).tolist()
    distances = np.round(random.gamma(2.0, 2.0, rows), 2).tolist()
    if apart:
        return [
            zone_features(zones[0], zones[1], far)
            for zones, far in zip(ends, distances, strict=True)
        ]
    return [
        ride_features(pair_of_keys(*zones), far) for zones, far in zip(ends, distances, strict=True)
    ]


def minutes(features: Sequence[dict[str, Any]], seed: int) -> Any:
    """How long they take: by distance, by category, and by chance."""
    random = np.random.default_rng(seed)
    texts = [[value for value in row.values() if isinstance(value, str)] for row in features]
    by_category = {text: random.uniform(0, 9) for row in texts for text in row}
    return np.array([
        3.5 * row[DISTANCE] + sum(by_category[text] for text in named) + random.normal()
        for row, named in zip(features, texts, strict=True)
    ])  # fmt: skip


def of_dicts(kind: str, seed: int = 0, *, apart: bool = False) -> tuple[Pipeline, Rides]:
    """A pipeline behind a DictVectorizer, and its use case."""
    learnt = rides(seed, apart=apart)
    # Histogram boosting takes no sparse matrix, the lasso none with the vectoriser's indices.
    vectorizer = DictVectorizer(sparse=kind not in ("histogram", "lasso"))
    pipeline = make_pipeline(vectorizer, ESTIMATORS[kind](seed))
    return pipeline.fit(learnt, minutes(learnt, seed)), Rides(apart=apart)


def of_columns(kind: str, seed: int = 0, *, apart: bool = False) -> tuple[Pipeline, Tabular]:
    """A pipeline behind a ColumnTransformer with a one-hot encoder, and its use case."""
    import pandas as pd

    learnt = rides(seed, apart=apart)
    texts = [PICKUP_ZONE, DROPOFF_ZONE] if apart else [PAIR]
    columns = ColumnTransformer(
        [
            ("distance", "passthrough", [DISTANCE]),
            ("zones", OneHotEncoder(handle_unknown="ignore"), texts),
        ],
        sparse_threshold=0.0 if kind == "histogram" else 1.0,
    )
    pipeline = make_pipeline(columns, ESTIMATORS[kind](seed))
    inputs = [*(InputField(name, "string") for name in texts), InputField(DISTANCE, "double")]
    return pipeline.fit(pd.DataFrame(learnt), minutes(learnt, seed)), Tabular(inputs)


def of_numbers(kind: str, seed: int = 0, *, missing: bool = False) -> tuple[Any, Tabular]:
    """An estimator of three numbers without a vectoriser; some of them missing, if so wanted."""
    import pandas as pd

    random = np.random.default_rng(seed)
    table = pd.DataFrame(np.round(random.normal(0, 5, (ROWS, 3)), 2), columns=["a", "b", "c"])
    wanted = table["a"] * 2 - table["b"].abs() + random.normal(0, 1, ROWS)
    if missing:
        table = table.mask(random.random(table.shape) < 0.15)
    inputs = [InputField(name, "double", required=not missing) for name in ("a", "b", "c")]
    return ESTIMATORS[kind](seed).fit(table, wanted), Tabular(inputs)
