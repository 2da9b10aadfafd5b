"""What is compiled, to what form, and that every form has the bits of its model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from tests.fitted_models import (
    ESTIMATORS,
    LINEAR,
    TREES,
    ZONES,
    minutes,
    of_columns,
    of_dicts,
    of_numbers,
    rides,
)

from slipway.batch.tables import read_month
from slipway.models.compile import NotCompilable, compile_model
from slipway.scoring.forms import Form
from slipway.usecases.protocol import InputField
from slipway.usecases.rides import Rides, ride_features, zone_features
from slipway.usecases.tabular import Tabular

SEEDS = st.integers(0, 10_000)
EXAMPLES = settings(max_examples=5, deadline=None)
ALONE = 100


def around(thresholds: Any) -> Any:
    """Just below, at and just above each, in double and in single precision."""
    # An infinite one asks whether the number is there at all.
    thresholds = np.asarray(thresholds)[np.isfinite(thresholds)]
    single = np.asarray(thresholds, dtype=np.float32)
    neighbours = [
        np.asarray(thresholds, dtype=np.float64),
        np.nextafter(thresholds, -np.inf),
        np.nextafter(thresholds, np.inf),
        single.astype(np.float64),
        np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
        np.nextafter(single, np.float32(np.inf)).astype(np.float64),
    ]
    return np.concatenate([*neighbours, [0.0, -0.0, 1e4, -1e4, 1e-30]]).tolist()


def every_way(form: Form, rows: list[dict[str, Any]]) -> Any:
    """The answers; fails where one row alone, some, and all in columns differ by a bit."""
    together = form(rows)
    some = np.concatenate([form(rows[start : start + 7]) for start in range(0, len(rows), 7)])
    few = slice(None, None, max(1, len(rows) // ALONE))
    alone = np.concatenate([form([row]) for row in rows[few]])
    assert alone.tobytes() == together[few].tobytes()
    categories, numbers = {}, {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], str):
            distinct = sorted(set(values))
            places = {value: place for place, value in enumerate(distinct)}
            categories[name] = (np.array([places[value] for value in values]), distinct)
        else:
            numbers[name] = np.array(values)
    columns = form.predict(form.encoding.columns(categories, numbers, len(rows)))
    for other in (some, columns):
        assert other.tobytes() == together.tobytes()
    return together


@pytest.mark.parametrize("apart", [False, True], ids=["pair", "zones apart"])
@pytest.mark.parametrize("kind", ESTIMATORS)
@EXAMPLES
@given(seed=SEEDS)
def test_F14_a_model_of_dicts_has_its_bits_around_every_threshold(
    kind: str, apart: bool, seed: int
) -> None:
    pipeline, use_case = of_dicts(kind, seed, apart=apart)
    form = compile_model(pipeline.predict, use_case)
    assert form.name == ("linear" if kind in LINEAR else "steps")
    random = np.random.default_rng(seed)
    numbers = around(form.thresholds("trip_distance"))
    zones = random.choice([*ZONES, "unknown"], (len(numbers), 2)).tolist()
    rows = [
        zone_features(ends[0], ends[1], far) if apart else ride_features("_".join(ends), far)
        for ends, far in zip(zones, numbers, strict=True)
    ]
    native, found = pipeline.predict(rows), every_way(form, rows)
    if kind == "lasso":
        # The product of a dense row is added up in an order of its own.
        np.testing.assert_allclose(found, native, rtol=1e-12, atol=0)
    else:
        assert found.tobytes() == native.tobytes()


@pytest.mark.parametrize("apart", [False, True], ids=["pair", "zones apart"])
@pytest.mark.parametrize("kind", ESTIMATORS)
@EXAMPLES
@given(seed=SEEDS)
def test_F14_a_model_of_columns_has_its_bits_around_every_threshold(
    kind: str, apart: bool, seed: int
) -> None:
    pipeline, use_case = of_columns(kind, seed, apart=apart)
    form = compile_model(pipeline.predict, use_case)
    random = np.random.default_rng(seed)
    numbers = around(form.thresholds("trip_distance"))
    zones = random.choice([*ZONES, "unknown"], (len(numbers), 2)).tolist()
    given = [
        zone_features(ends[0], ends[1], far) if apart else ride_features("_".join(ends), far)
        for ends, far in zip(zones, numbers, strict=True)
    ]
    rows = msgspec.convert(given, list[use_case.row_type()])  # type: ignore[misc]
    native = pipeline.predict(use_case.features(rows))
    found = every_way(form, use_case.named(rows))
    if kind in LINEAR:
        np.testing.assert_allclose(found, native, rtol=1e-12, atol=0)
    else:
        assert found.tobytes() == native.tobytes()


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, missing) for kind in TREES for missing in (False, True)
     # It takes no missing numbers.
     if not (missing and kind == "boosting")],
)  # fmt: skip
@EXAMPLES
@given(seed=SEEDS)
def test_F14_trees_of_several_numbers_have_their_bits(kind: str, missing: bool, seed: int) -> None:
    """What is missing goes where the node says, as in the model itself."""
    model, use_case = of_numbers(kind, seed, missing=missing)
    form = compile_model(model.predict, use_case)
    assert form.name == "trees"
    random = np.random.default_rng(seed)
    by_name = {name: around(form.thresholds(name)) for name in ("a", "b", "c")}
    given = [
        {name: float(random.choice(values)) for name, values in by_name.items()} for _ in range(300)
    ]
    if missing:
        for row in given[::2]:
            row[str(random.choice(["a", "b", "c"]))] = None  # type: ignore[assignment]
    rows = msgspec.convert(given, list[use_case.row_type()])  # type: ignore[misc]
    native = model.predict(use_case.features(rows))
    assert every_way(form, use_case.named(rows)).tobytes() == native.tobytes()


@EXAMPLES
@given(seed=SEEDS)
def test_F14_numbers_in_single_precision_are_rounded_first(seed: int) -> None:
    inputs = [InputField("PU_DO", "string"), InputField("trip_distance", "float")]
    pipeline, _ = of_columns("forest", seed)
    use_case = Tabular(inputs)
    form = compile_model(pipeline.predict, use_case)
    numbers = around(form.thresholds("trip_distance"))
    given = [ride_features(f"{ZONES[0]}_{ZONES[1]}", far) for far in numbers]
    rows = msgspec.convert(given, list[use_case.row_type()])  # type: ignore[misc]
    native = pipeline.predict(use_case.features(rows))
    assert form(use_case.named(rows)).tobytes() == native.tobytes()


def test_a_number_that_the_model_refuses_is_refused() -> None:
    for kind, far in (("forest", 1e300), ("forest", math.nan), ("histogram", math.inf)):
        pipeline, use_case = of_dicts(kind)
        form = compile_model(pipeline.predict, use_case)
        for rows in ([ride_features("10_50", far)], [ride_features("10_50", far)] * 50):
            with pytest.raises(ValueError, match="missing, infinite or too large"):
                form(rows)


def test_an_encoder_that_refuses_unknown_values_does_so_compiled_too() -> None:
    import pandas as pd

    learnt = rides(0)
    columns = ColumnTransformer(
        [("pair", OneHotEncoder(), ["PU_DO"]), ("far", "passthrough", ["trip_distance"])]
    )
    pipeline = make_pipeline(columns, LinearRegression())
    pipeline.fit(pd.DataFrame(learnt), minutes(learnt, 0))
    use_case = Tabular([InputField("PU_DO", "string"), InputField("trip_distance", "double")])
    form = compile_model(pipeline.predict, use_case)
    with pytest.raises(ValueError, match="unknown categories"):
        pipeline.predict(pd.DataFrame([ride_features("no_pair", 1.0)]))
    for rows in ([ride_features("no_pair", 1.0)], [ride_features("no_pair", 1.0)] * 2):
        with pytest.raises(ValueError, match="no such value of PU_DO"):
            form(rows)


def test_a_feature_that_no_ride_has_is_nought() -> None:
    """A model that learnt the hour of the day too is asked without it, as it is natively."""
    learnt = [row | {"hour": float(place % 24)} for place, row in enumerate(rides(3))]
    for kind in ("linear", "forest"):
        pipeline = make_pipeline(DictVectorizer(), ESTIMATORS[kind](0))
        pipeline.fit(learnt, minutes(learnt, 3))
        form = compile_model(pipeline.predict, Rides())
        asked = rides(4)
        assert form(asked).tobytes() == pipeline.predict(asked).tobytes()


class Own(LinearRegression):  # type: ignore[misc]
    """A class of its own may do anything else."""


def fitted(*steps: Any) -> Callable[[Any], Any]:
    learnt = rides(0)
    predict: Callable[[Any], Any] = make_pipeline(*steps).fit(learnt, minutes(learnt, 0)).predict
    return predict


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ((DictVectorizer(), Own()), "Own has no compiled form"),
        ((DictVectorizer(), KNeighborsRegressor()), "KNeighborsRegressor has no compiled form"),
        ((DictVectorizer(), PoissonRegressor()), "PoissonRegressor has no compiled form"),
        ((DictVectorizer(), MaxAbsScaler(), LinearRegression()), "3 steps"),
        ((DictVectorizer(dtype=np.int64), LinearRegression()), "no floating-point numbers"),
        (
            (DictVectorizer(sparse=False), HistGradientBoostingRegressor(loss="poisson")),
            "its loss has a link",
        ),
        (
            (DictVectorizer(), GradientBoostingRegressor(init=LinearRegression())),
            "begins with another model",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_is_not_known_is_not_compiled(steps: Any, why: str) -> None:
    with pytest.raises(NotCompilable, match=why):
        compile_model(fitted(*steps), Rides())


def test_what_is_no_pipeline_is_not_compiled() -> None:
    with pytest.raises(NotCompilable, match="no scikit-learn model"):
        compile_model(lambda rows: rows, Rides())
    pipeline, _ = of_columns("linear")
    for inputs, why in (
        ([InputField("PU_DO", "string"), InputField("when", "datetime")], "only texts and numbers"),
        ([InputField("PU_DO", "string")], "its column trip_distance is no input"),
    ):
        with pytest.raises(NotCompilable, match=why):
            compile_model(pipeline.predict, Tabular(inputs))


@pytest.mark.parametrize("apart", [False, True], ids=["pair", "zones apart"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_F14_a_thousand_real_rides_have_the_bits_of_the_model(
    kind: str, apart: bool, real_rides: Path
) -> None:
    """Learnt from yellow rides, asked with these and with green ones that it has not seen."""
    learnt, asked = (
        [ride for batch in read_month(month, "duration") for ride in batch.features(apart=apart)]
        for month in map(pq.ParquetFile, sorted(real_rides.glob("*.parquet"), reverse=True))
    )
    vectorizer = DictVectorizer(sparse=kind not in ("histogram", "lasso"))
    pipeline = make_pipeline(vectorizer, ESTIMATORS[kind](0))
    pipeline.fit(learnt[:1_500], minutes(learnt[:1_500], 0))
    form = compile_model(pipeline.predict, Rides(apart=apart))
    rows = [*learnt[-500:], *asked[:500]]
    assert len(rows) == 1_000
    native, found = pipeline.predict(rows), every_way(form, rows)
    if kind == "lasso":
        np.testing.assert_allclose(found, native, rtol=1e-12, atol=0)
    else:
        assert found.tobytes() == native.tobytes()
