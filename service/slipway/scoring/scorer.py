"""Applies a model, or its compiled form, to rows and refuses whatever is no prediction. Pure.

A model is code of somebody else: it may raise, answer too little, or answer NaN. All of that is
the model's failure and never the request's, so that the error gate of a rollout can see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.errors import ModelFailed, ModelOutputInvalid
from slipway.scoring.encoding import Category, Floats
from slipway.scoring.forms import Form
from slipway.usecases.protocol import UseCase

NATIVE = "native"

_DOUBLE = np.dtype(np.float64)

Predict = Callable[[Any], Any]


class Scorer:
    """A use case and what predicts, together.

    `predict` is the model's own, unless there is a `compiled` form of it: then rows go to that by
    name. `why` says in a sentence why it is the one or the other. `numeric` demands one finite
    float for each row; without it, labels and several outputs a row are let through too.
    """

    def __init__(
        self,
        use_case: UseCase,
        predict: Predict | None = None,
        *,
        compiled: Form | None = None,
        why: str = "",
        numeric: bool = True,
    ) -> None:
        asked = compiled or predict
        if asked is None:
            raise ValueError("a scorer needs a model's predict or a compiled form")
        self.use_case = use_case
        self.compiled = compiled
        self.predict: Predict = asked
        self.why = why
        self._features = use_case.named if compiled else use_case.features
        self._numeric = numeric

    @property
    def form(self) -> str:
        """What predicts: the compiled form's name, or `native` for the model itself."""
        return self.compiled.name if self.compiled else NATIVE

    def score(self, rows: Sequence[Any]) -> npt.NDArray[Any]:
        """Predictions for rows of the use case's `row_type`, shape (len(rows),) and more.

        Raises ModelFailed or ModelOutputInvalid; `row` is then the first row that fails alone.
        """
        try:
            return self.score_features(self._features(rows), len(rows))
        except ModelFailed as error:
            if len(rows) == 1:
                error.row = 0
            if error.row is not None:
                raise
            raise self._blame(error, rows) from error

    def score_features(self, features: Any, count: int) -> npt.NDArray[Any]:
        """Predictions for `count` rows that are already what the model takes."""
        return self.guard(lambda: self.predict(features), count)

    def score_columns(
        self, categories: Mapping[str, Category], numbers: Mapping[str, Floats], count: int
    ) -> npt.NDArray[Any]:
        """Predictions for `count` rows in columns; only with a compiled form."""
        form = self.compiled
        if form is None:
            raise ValueError("only a compiled form takes columns")
        return self.guard(
            lambda: form.predict(form.encoding.columns(categories, numbers, count)), count
        )

    def guard(self, call: Callable[[], Any], count: int) -> npt.NDArray[Any]:
        """What `call`, some way of asking the model, answers for `count` rows."""
        try:
            raw = call()
        # The model is foreign code: whatever it raises is its failure.
        except Exception as error:
            raise ModelFailed(f"the model raised {type(error).__name__}") from error
        return check_output(raw, count, numeric=self._numeric)

    def _blame(self, error: ModelFailed, rows: Sequence[Any]) -> ModelFailed:
        for index, row in enumerate(rows):
            try:
                self.score_features(self._features([row]), 1)
            except ModelFailed as alone:
                return type(alone)(f"row {index}: {alone.message}", row=index)
        return error


def check_output(raw: Any, count: int, *, numeric: bool = True) -> npt.NDArray[Any]:
    """A model's answer as an array of `count` rows.

    Raises ModelOutputInvalid when rows are missing or too many, when something is neither a finite
    number nor a label, and with `numeric` also when there is not exactly one real number a row.
    """
    if (
        count == 1
        and type(raw) is np.ndarray
        and raw.shape == (1,)
        and raw.dtype == _DOUBLE
        and math.isfinite(raw.item())
    ):
        # What most answers are: one finite double, which is good as it stands.
        return raw
    try:
        values = np.asarray(raw)
    except (ValueError, TypeError) as error:
        raise ModelOutputInvalid("the model's answer is no array") from error
    if values.ndim == 0 or values.shape[0] != count:
        got = "a single value" if values.ndim == 0 else f"{values.shape[0]} values"
        raise ModelOutputInvalid(f"the model answered {got} for {count} rows")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if numeric:
        if values.ndim != 1 or values.dtype.kind not in "fiu":
            raise ModelOutputInvalid(
                f"the model's answer has type {values.dtype} and shape {values.shape}; "
                "one real number a row is expected"
            )
        values = values.astype(np.float64)
    if values.dtype.kind == "O":
        values = np.frompyfunc(_plain, 1, 1)(values)
    sound = _sound(values)
    if not sound.all():
        row = int(np.argmin(sound.reshape(count, -1).all(axis=1)))
        which = f" for row {row}" if count > 1 else ""
        raise ModelOutputInvalid(f"the model's answer{which} is no finite number or label", row=row)
    return values


def _sound(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which elements are finite numbers, truth values or texts; all else has no place in JSON."""
    sound: npt.NDArray[np.bool_]
    if values.dtype.kind == "f":
        sound = np.isfinite(values)
    elif values.dtype.kind == "O":
        sound = np.frompyfunc(_is_label, 1, 1)(values).astype(bool)
    else:
        sound = np.full(values.shape, values.dtype.kind in "biuU")
    return sound


def _plain(value: Any) -> Any:
    """An object without numpy's wrapping, as JSON's writer knows it."""
    return value.item() if isinstance(value, np.generic) else value


def _is_label(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)
