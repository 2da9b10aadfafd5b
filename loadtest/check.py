"""Whether an answer is what it should be: a sentence when it is not. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# The compiled form of a model may differ from the native one by this much (trees; linear models
# by less): beyond it, it is another prediction.
TOLERANCE = 1e-9

# model version -> the native model's prediction for each ride of the pool.
Expected = Mapping[str, Sequence[float]]


def fault_of(
    document: Any, version: str, rides: Sequence[int], expected: Expected | None
) -> str | None:
    """What is wrong with the answer to these rides of the pool, or None.

    Without `expected` a finite number for each ride is enough.
    """
    values = predictions_of(document)
    if values is None or len(values) != len(rides):
        return "no prediction for each ride"
    said = document.get("model_version", version)
    if said != version:
        return "model_version and X-Slipway-Run-Id differ"
    if expected is None:
        return None
    if version not in expected:
        return "answered by a model version that no --reference names"
    for ride, value in zip(rides, values, strict=True):
        native = expected[version][ride]
        if not math.isclose(value, native, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            return "another prediction than the native model's"
    return None


def predictions_of(document: Any) -> list[float] | None:
    """The predictions in an answer of /predict or /invocations; None where there are none."""
    if not isinstance(document, dict):
        return None
    values = document.get("predictions")
    if not isinstance(values, list):
        values = [value for name, value in document.items() if name != "model_version"]
    return values if values and all(map(_is_prediction, values)) else None


def _is_prediction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
