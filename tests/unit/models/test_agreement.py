"""A form is compared with its model, and one that is off by ever so little is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.fitted_models import ESTIMATORS, of_columns, of_dicts, of_numbers

from slipway.models import agreement
from slipway.models.agreement import Disagreement, compare, sample
from slipway.models.compile import compile_model
from slipway.scoring.linear import Linear
from slipway.scoring.steps import Steps


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_form_agrees_with_its_model(kind: str) -> None:
    for made in (of_dicts(kind), of_columns(kind), of_dicts(kind, apart=True)):
        model, use_case = made
        form = compile_model(model.predict, use_case)
        assert compare(form, model.predict, use_case) >= len(sample(form, use_case))


def test_F14_the_sample_has_every_threshold_and_both_sides_of_it() -> None:
    model, use_case = of_dicts("forest")
    form = compile_model(model.predict, use_case)
    thresholds = form.thresholds("trip_distance")
    rows = sample(form, use_case)
    numbers = {row["trip_distance"] for row in rows}
    assert {row["PU_DO"] for row in rows} > set(form.encoding.categories[0].columns)
    for direction in (-np.inf, np.inf):
        assert numbers >= set(np.nextafter(thresholds, direction).tolist())
        near = np.nextafter(thresholds.astype(np.float32), np.float32(direction))
        assert numbers >= set(near.astype(np.float64).tolist())
    assert numbers >= set(thresholds.tolist())
    assert rows == sample(form, use_case)
    assert len(sample(form, use_case, most=50)) == 50


def test_the_sample_of_optional_numbers_lacks_some() -> None:
    model, use_case = of_numbers("histogram", missing=True)
    form = compile_model(model.predict, use_case)
    assert any(np.isnan(row["b"]) for row in sample(form, use_case))
    compare(form, model.predict, use_case)


def test_a_threshold_in_single_precision_is_found_out() -> None:
    """What a converter to single precision does: another leaf, and minutes beside the model."""
    model, use_case = of_dicts("boosting")
    form = compile_model(model.predict, use_case)
    assert isinstance(form, Steps)
    thresholds = np.sort(form._unfolded.thresholds.astype(np.float32).astype(np.float64))
    rounded = Steps(form.encoding, replace(form._unfolded, thresholds=thresholds))
    with pytest.raises(Disagreement, match="off by"):
        compare(rounded, model.predict, use_case)


@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_coefficient_that_is_off_by_a_trillionth_is_found_out(place: int) -> None:
    model, use_case = of_dicts("linear")
    form = compile_model(model.predict, use_case)
    assert isinstance(form, Linear)
    coefficients = form._coefficients.copy()
    coefficients[place] *= 1 + 1e-10
    with pytest.raises(Disagreement, match="off by"):
        compare(Linear(form.encoding, coefficients, form._intercept), model.predict, use_case)


def test_the_input_example_is_compared_too() -> None:
    """A value that no sample has, at which this model answers otherwise."""
    pipeline, use_case = of_dicts("linear")
    form = compile_model(pipeline.predict, use_case)

    def odd(rows: list[dict[str, Any]]) -> Any:
        return pipeline.predict(rows) + [row["trip_distance"] == 123.456 for row in rows]

    compare(form, odd, use_case)
    ride = {"PU_DO": "7_10", "trip_distance": 123.456}
    for inputs in (ride, [ride]):
        with pytest.raises(Disagreement):
            compare(form, odd, use_case, msgspec.json.encode({"inputs": inputs}))
    table = {"columns": list(ride), "data": [list(ride.values())]}
    with pytest.raises(Disagreement):
        compare(form, odd, use_case, msgspec.json.encode({"dataframe_split": table}))
    for unusable in (b"{", b"[]", b'{"inputs": {"other": 1}}', b'{"inputs": {"PU_DO": 1}}'):
        compare(form, odd, use_case, unusable)


def test_a_model_that_raises_agrees_with_nothing() -> None:
    pipeline, use_case = of_dicts("linear")
    form = compile_model(pipeline.predict, use_case)

    def broken(_rows: Any) -> Any:
        raise RuntimeError("about a ride")

    with pytest.raises(Disagreement, match="raised RuntimeError at a made row"):
        compare(form, broken, use_case)
    with pytest.raises(Disagreement, match="own answer is none"):
        compare(form, lambda rows: [np.nan] * len(rows), use_case)


def test_a_form_that_answers_otherwise_for_one_row_alone_is_found_out() -> None:
    pipeline, use_case = of_dicts("linear")
    form = compile_model(pipeline.predict, use_case)
    assert isinstance(form, Linear)
    form._weights = [(name, known, weights) for name, known, weights in form._weights[:1]]
    with pytest.raises(Disagreement, match="one row alone"):
        compare(form, pipeline.predict, use_case)


def test_a_large_dense_matrix_is_asked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, use_case = of_dicts("histogram")
    form = compile_model(model.predict, use_case)
    asked: list[int] = []

    def counted(rows: Any) -> Any:
        asked.append(len(rows))
        return model.predict(rows)

    monkeypatch.setattr(agreement, "CELLS", 100 * form.encoding.width)
    compare(form, counted, use_case)
    assert max(asked) == 100
